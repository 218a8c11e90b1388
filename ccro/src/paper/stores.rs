//! The STOREs of past rounds, for nodes that missed them.

use super::message::Message;
use kernel::Seq;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rounds kept at most, and bytes of their blocks beyond the last.
const MOST_ROUNDS: usize = 1_024;
const MOST_BYTES: usize = 64 << 20;
/// Rounds sent upon one FETCH.
pub(super) const PER_FETCH: u64 = 64;

/// The latest STOREs without a gap, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// Whether the STORE of `next` is kept.
    pub(super) fn reach_back_to(&self, next: Seq) -> bool {
        self.first().is_some_and(|first| first <= next)
    }

    /// Some STOREs from `next` on, as far as they are kept.
    pub(super) fn from(&self, next: Seq) -> impl Iterator<Item = &Message> {
        let skipped = self.first().map_or(0, |first| next.0.saturating_sub(first.0));
        self.kept.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)).take(PER_FETCH as usize)
    }

    fn first(&self) -> Option<Seq> {
        self.kept.front().and_then(kernel::Wire::seq)
    }
}

fn bytes(store: &Message) -> usize {
    match store {
        Message::Store { batch, .. } => batch.payload_bytes(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::keys::symbolic;
    use kernel::{Batch, Bundle, Cluster, ClusterId, Operation, ReplicaId, Request, SessionId};
    use std::sync::Arc;

    #[test]
    fn the_last_store_is_kept_however_large_it_is() {
        let (signers, _) = symbolic(1, 3);
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro-paper", 3);
        let session = SessionId { gateway: ReplicaId(0), number: 1 };
        let request = Request { session, counter: 1, operation: Operation::new(&vec![0; 1 << 20]) };
        let bundle = Arc::new(Bundle::sign(&cluster, &signers[0], vec![request]));
        let batch = Arc::new(Batch { bundles: vec![bundle; 65] });
        let store = |seq| {
            let round = (Seq(seq), Default::default());
            Message::store(&cluster, &signers[0], round, Arc::clone(&batch), Arc::default())
        };
        let mut stores = Stores::default();
        for seq in 1..4 {
            stores.push(store(seq));
            assert_eq!(stores.from(Seq(1)).collect::<Vec<_>>(), [&store(seq)]);
        }
    }
}
