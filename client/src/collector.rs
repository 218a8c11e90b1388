//! The rule by which a client accepts a result.

use kernel::{Output, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};

/// Collects the replies to one request until `needed` distinct replicas agree
/// on a result (PBFT, OSDI §4.1: `f+1`, matching in all but the view).
#[derive(Clone, Debug)]
pub struct ReplyCollector {
    needed: usize,
    by_result: BTreeMap<Output, BTreeSet<ReplicaId>>,
    replied: BTreeSet<ReplicaId>,
}

impl ReplyCollector {
    /// Waits for `needed` matching replies.
    pub fn new(needed: usize) -> ReplyCollector {
        ReplyCollector { needed: needed.max(1), by_result: BTreeMap::new(), replied: BTreeSet::new() }
    }

    /// Counts a reply of `replica`, of which only the first counts. Returns the
    /// result once it is accepted.
    pub fn add(&mut self, replica: ReplicaId, result: &Output) -> Option<&Output> {
        if self.replied.insert(replica) {
            self.by_result.entry(result.clone()).or_default().insert(replica);
        }
        self.accepted()
    }

    /// The accepted result, if `needed` replicas agree on one.
    pub fn accepted(&self) -> Option<&Output> {
        self.by_result.iter().find(|(_, replicas)| replicas.len() >= self.needed).map(|(result, _)| result)
    }

    /// Replies that agree with the most common result, and all others.
    pub fn agreeing_and_not(&self) -> (usize, usize) {
        let agreeing = self.by_result.values().map(BTreeSet::len).max().unwrap_or(0);
        (agreeing, self.replied.len() - agreeing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_what_enough_distinct_replicas_say() {
        let (good, bad) = (Output::new(b"ok"), Output::new(b"lie"));
        let mut collector = ReplyCollector::new(2);
        assert_eq!(collector.add(ReplicaId(0), &good), None);
        assert_eq!(collector.add(ReplicaId(0), &good), None, "the same replica again");
        assert_eq!(collector.add(ReplicaId(1), &bad), None);
        assert_eq!(collector.add(ReplicaId(1), &good), None, "its first reply counts");
        assert_eq!(collector.add(ReplicaId(2), &good), Some(&good));
        assert_eq!(collector.agreeing_and_not(), (2, 1));
    }
}
