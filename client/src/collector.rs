//! The rule by which a client accepts a result.

use kernel::{Output, ReplicaId, Weakening, weakened};
use std::collections::{BTreeMap, BTreeSet};

/// Collects the replies to one request until `needed` distinct replicas agree
/// on a result (PBFT, OSDI §4.1: `f+1`, matching in all but the view). `E` is what the host
/// keeps of a reply.
#[derive(Clone, Debug)]
pub struct ReplyCollector<E = ()> {
    needed: usize,
    by_result: BTreeMap<Output, BTreeMap<ReplicaId, E>>,
    replied: BTreeSet<ReplicaId>,
}

impl<E> ReplyCollector<E> {
    /// Waits for `needed` matching replies.
    pub fn new(needed: usize) -> ReplyCollector<E> {
        let needed = needed - usize::from(weakened(Weakening::FewerRepliesAccepted));
        ReplyCollector { needed: needed.max(1), by_result: BTreeMap::new(), replied: BTreeSet::new() }
    }

    /// Counts a reply of `replica`, of which only the first counts. Returns the
    /// result once it is accepted.
    pub fn add(&mut self, replica: ReplicaId, result: &Output, evidence: E) -> Option<&Output> {
        if self.replied.insert(replica) {
            self.by_result.entry(result.clone()).or_default().insert(replica, evidence);
        }
        self.accepted()
    }

    /// The accepted result, if `needed` replicas agree on one.
    pub fn accepted(&self) -> Option<&Output> {
        self.by_result.iter().find(|(_, replicas)| replicas.len() >= self.needed).map(|(result, _)| result)
    }

    /// How many replicas gave this result.
    pub fn count(&self, result: &Output) -> usize {
        self.by_result.get(result).map_or(0, BTreeMap::len)
    }

    /// What is kept of the replies that agree on `result`.
    pub fn into_evidence(mut self, result: &Output) -> Vec<E> {
        self.by_result.remove(result).unwrap_or_default().into_values().collect()
    }

    /// Replies that agree with the most common result, and all others.
    pub fn agreeing_and_not(&self) -> (usize, usize) {
        let agreeing = self.by_result.values().map(BTreeMap::len).max().unwrap_or(0);
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
        assert_eq!(collector.add(ReplicaId(0), &good, 0), None);
        assert_eq!(collector.add(ReplicaId(0), &good, 0), None, "the same replica again");
        assert_eq!(collector.add(ReplicaId(1), &bad, 1), None);
        assert_eq!(collector.add(ReplicaId(1), &good, 1), None, "its first reply counts");
        assert_eq!(collector.add(ReplicaId(2), &good, 2), Some(&good));
        assert_eq!(collector.agreeing_and_not(), (2, 1));
        assert_eq!((collector.count(&good), collector.count(&bad)), (2, 1));
        assert_eq!(collector.into_evidence(&good), [0, 2]);
    }

    #[test]
    fn this_check_fails_without_its_rule() {
        let check = accepts_only_what_enough_distinct_replicas_say;
        kernel::weakening::assert_detected(&[(Weakening::FewerRepliesAccepted, check)]);
    }
}
