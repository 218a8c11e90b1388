//! The STOREs of past rounds, for nodes that missed them.

use super::message::Message;
use kernel::Seq;
use std::collections::VecDeque;

/// Rounds kept at most, and bytes of their blocks beyond the last.
const MOST_ROUNDS: usize = 4_096;
const MOST_BYTES: usize = 64 << 20;
/// Rounds sent upon one FETCH.
pub(super) const PER_FETCH: u64 = 64;

/// The latest STOREs without a gap, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stores {
    kept: VecDeque<Message>,
    bytes: usize,
}

impl Stores {
    /// Keeps the STORE of the next round.
    pub(super) fn push(&mut self, store: Message) {
        self.bytes += bytes(&store);
        self.kept.push_back(store);
        while self.kept.len() > MOST_ROUNDS || (self.bytes > MOST_BYTES && self.kept.len() > 1) {
            self.bytes -= self.kept.pop_front().as_ref().map_or(0, bytes);
        }
    }

    /// Puts another STORE in the place of the last.
    pub(super) fn replace_last(&mut self, store: Message) {
        self.bytes -= self.kept.pop_back().as_ref().map_or(0, bytes);
        self.push(store);
    }

    /// Some STOREs from `next` on; none if that round is no longer kept.
    pub(super) fn from(&self, next: Seq) -> impl Iterator<Item = &Message> {
        let first = self.kept.front().and_then(kernel::Wire::seq).unwrap_or(Seq(0));
        let skipped = next.0.checked_sub(first.0).map_or(self.kept.len(), |skipped| skipped as usize);
        self.kept.iter().skip(skipped).take(PER_FETCH as usize)
    }
}

fn bytes(store: &Message) -> usize {
    match store {
        Message::Store { batch, .. } => batch.payload_bytes(),
        _ => 0,
    }
}
