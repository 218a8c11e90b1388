//! Turns: what a node handles together, and pays for once.

use super::World;
use kernel::{Protocol, ReplicaId};

/// The turn of the node at work.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Whether work is done in turns, and a node is at one.
    pub(super) is_on: bool,
    /// What it is going to send.
    pub(super) outbox: Vec<Outgoing>,
    /// Whom it has read from.
    heard: Vec<ReplicaId>,
    /// Signatures in the turn's batch.
    checked: u64,
}

/// A message that leaves at the end of a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) to: ReplicaId,
    pub(super) bytes: usize,
    pub(super) place: u32,
}

impl<P: Protocol> World<P> {
    pub(super) fn begin_turn(&mut self) {
        self.turn.is_on = self.costs.turns.is_some();
        self.turn.heard.clear();
        self.turn.checked = 0;
        self.spent_ns += self.costs.turn_ns();
    }

    /// What was put aside leaves, on each link all at once, as the writers of a
    /// real node do after its turn.
    pub(super) fn end_turn(&mut self, id: ReplicaId) {
        if !std::mem::take(&mut self.turn.is_on) {
            return;
        }
        let mut outbox = std::mem::take(&mut self.turn.outbox);
        outbox.sort_by_key(|outgoing| outgoing.to);
        let mut last = None;
        for Outgoing { to, bytes, place } in outbox.drain(..) {
            if last.replace(to) != Some(to) {
                self.spent_ns += self.costs.chunk_ns();
            }
            self.depart(id, to, bytes, place);
        }
        self.turn.outbox = outbox;
    }

    /// What came over one link since the last turn is read at once.
    pub(super) fn read_from(&mut self, peer: ReplicaId) {
        if self.turn.is_on && !self.turn.heard.contains(&peer) {
            self.turn.heard.push(peer);
            self.spent_ns += self.costs.chunk_ns();
        }
    }

    /// So many signatures more are in the batch of this turn.
    pub(super) fn check_in_turn(&mut self, signatures: u64) {
        let before = if self.turn.is_on { self.turn.checked } else { 0 };
        let costs = &self.costs;
        self.spent_ns += costs.verifying_ns(before + signatures).saturating_sub(costs.verifying_ns(before));
        self.turn.checked = before + signatures;
    }
}
