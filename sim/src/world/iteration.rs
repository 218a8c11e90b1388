//! What a node handles in one iteration of its event loop, and pays for once.

use super::World;
use kernel::{Protocol, ReplicaId};

/// The current iteration of the node at work.
#[derive(Debug, Default)]
pub(super) struct Iteration {
    /// Whether nodes work in iterations, and one of them is in one now.
    pub(super) is_on: bool,
    /// What it is going to send.
    pub(super) outbox: Vec<Outgoing>,
    /// The links it has read from, by peer.
    links_read: Vec<ReplicaId>,
    /// Signatures in the iteration's batch.
    checked: u64,
    shares_checked: u64,
}

/// A message that leaves at the end of an iteration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) to: ReplicaId,
    pub(super) bytes: usize,
    pub(super) key: u32,
}

impl<P: Protocol> World<P> {
    pub(super) fn begin_iteration(&mut self) {
        self.iteration.is_on = self.costs.iteration.is_some();
        self.iteration.links_read.clear();
        self.iteration.checked = 0;
        self.iteration.shares_checked = 0;
        self.spent_ns += self.costs.iteration_ns();
    }

    /// What was put aside leaves, on each link all at once, as the writers of a
    /// real node do after its iteration.
    pub(super) fn end_iteration(&mut self, id: ReplicaId) {
        if !std::mem::take(&mut self.iteration.is_on) {
            return;
        }
        let mut outbox = std::mem::take(&mut self.iteration.outbox);
        outbox.sort_by_key(|outgoing| outgoing.to);
        let mut last = None;
        for Outgoing { to, bytes, key } in outbox.drain(..) {
            if last.replace(to) != Some(to) {
                self.spent_ns += self.costs.chunk_ns();
            }
            self.depart(id, to, bytes, key);
        }
        self.iteration.outbox = outbox;
    }

    /// What came over one link since the last iteration is read at once.
    pub(super) fn read_from(&mut self, peer: ReplicaId) {
        if self.iteration.is_on && !self.iteration.links_read.contains(&peer) {
            self.iteration.links_read.push(peer);
            self.spent_ns += self.costs.chunk_ns();
        }
    }

    /// So many signatures, and so many shares, more are in the batch of this iteration.
    pub(super) fn count_checks(&mut self, signatures: u64, shares: u64) {
        let Iteration { is_on, checked, shares_checked, .. } = self.iteration;
        let before = if is_on { (checked, shares_checked) } else { (0, 0) };
        let after = (before.0 + signatures, before.1 + shares);
        let costs = &self.costs;
        self.spent_ns += costs.verifying_ns(after.0).saturating_sub(costs.verifying_ns(before.0));
        self.spent_ns +=
            costs.verifying_shares_ns(after.1).saturating_sub(costs.verifying_shares_ns(before.1));
        (self.iteration.checked, self.iteration.shares_checked) = after;
    }
}
