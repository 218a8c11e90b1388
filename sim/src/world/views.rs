//! What happened in a world, to be read.

use super::World;
use crate::counts::{Role, RoleTraffic, Traffic, Volume};
use crate::trace::{Executed, Outcome, Trace};
use kernel::{Admission, Digest, Path, Protocol};
use std::collections::BTreeMap;

impl<P: Protocol> World<P> {
    /// Virtual microseconds since the beginning.
    pub fn now_us(&self) -> u64 {
        self.now_ns / 1000
    }

    /// Time that all nodes have spent on their work so far, microseconds.
    pub fn worked_us(&self) -> u64 {
        self.worked_ns / 1000
    }

    /// What happened, for judges.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Results that clients accepted, in the order of acceptance.
    pub fn accepted(&self) -> &[Outcome] {
        &self.trace.accepted
    }

    /// Requests submitted.
    pub fn submitted(&self) -> usize {
        self.trace.submitted.len()
    }

    /// The log of one replica, since it was started last.
    pub fn log(&self, id: u16) -> &[Executed] {
        &self.nodes[usize::from(id)].log
    }

    /// The replica itself, for a look at its state.
    pub fn replica(&self, id: u16) -> &P {
        self.nodes[usize::from(id)].replica.inner()
    }

    /// Whether the node was crashed and not started again.
    pub fn is_down(&self, id: u16) -> bool {
        self.nodes[usize::from(id)].down
    }

    /// Messages sent, by kind, `reply` among them.
    pub fn messages(&self) -> BTreeMap<&'static str, u64> {
        self.counts.by_kind.iter().map(|(kind, volume)| (*kind, volume.messages)).collect()
    }

    /// Messages and bytes sent, by kind.
    pub fn by_kind(&self) -> &BTreeMap<&'static str, Volume> {
        &self.counts.by_kind
    }

    /// Messages and bytes sent and received, by the role of the node at that
    /// moment: the last proposal tells who leads and who collects votes.
    pub fn by_role(&self) -> &BTreeMap<Role, RoleTraffic> {
        &self.counts.by_role
    }

    /// What one node sent and received.
    pub fn traffic(&self, id: u16) -> &Traffic {
        &self.counts.by_node[usize::from(id)]
    }

    /// Messages delivered.
    pub fn delivered(&self) -> u64 {
        self.counts.delivered
    }

    /// Messages of the agreement sent: proposals, votes, certificates.
    pub fn agreement_messages(&self) -> u64 {
        self.counts.by_node.iter().map(|node| node.agreement_out.messages).sum()
    }

    /// Commits by path, over all replicas.
    pub fn paths(&self) -> &BTreeMap<Path, u64> {
        &self.paths
    }

    /// Replicas that sent something invalid or contradictory.
    pub fn caught(&self) -> Vec<u16> {
        self.trace.caught.iter().map(|id| id.0).collect()
    }

    /// Signatures that one replica made, and those that it checked; with symbolic
    /// signatures that cost nothing, all checks are done once, by replica 0.
    pub fn signatures(&self, id: u16) -> (u64, u64) {
        let checked = |of: &Admission| of.signatures_checked() + of.shares_checked().0;
        let checked = self.admissions.get(usize::from(id)).map_or(0, checked);
        let signer = &self.nodes[usize::from(id)].signer;
        (signer.signatures_made() + signer.shares_made(), checked)
    }

    /// Digest of every delivery, in order.
    pub fn digest(&self) -> Digest {
        self.digest.value()
    }

    /// Judges the run: agreement among replicas without behaviours, validity.
    pub fn judge(&self) -> Result<(), String> {
        if !self.trace.marks.is_empty() {
            return crate::oracles::check_results(&self.trace).map_err(|violation| violation.to_string());
        }
        let honest = self.nodes.iter().filter(|node| node.replica.behaviours().is_empty());
        let logs: Vec<(u16, &[Executed])> =
            honest.map(|node| (node.signer.id().0, node.log.as_slice())).collect();
        crate::oracles::logs::check(&logs)?;
        crate::oracles::validity::check_accepted(&self.trace)
    }
}
