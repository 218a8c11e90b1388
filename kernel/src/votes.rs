//! Counting the votes of distinct replicas.

use crate::ids::{Digest, ReplicaId};
use crate::keys::Signature;
use std::collections::BTreeMap;

/// The votes of one phase of one slot in one view: at most one per replica, the
/// first that came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VoteSet {
    votes: BTreeMap<ReplicaId, (Digest, Signature)>,
    // Nearly always one entry: honest replicas vote for one digest.
    counts: Vec<(Digest, usize)>,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tallied {
    /// It counts.
    New,
    /// The same vote was there already.
    Duplicate,
    /// Its author voted for another digest before; the first vote stands.
    Contradiction,
}

impl VoteSet {
    /// Adds a vote.
    pub fn insert(&mut self, author: ReplicaId, digest: Digest, signature: Signature) -> Tallied {
        if let Some((earlier, _)) = self.votes.get(&author) {
            return if *earlier == digest { Tallied::Duplicate } else { Tallied::Contradiction };
        }
        self.votes.insert(author, (digest, signature));
        match self.counts.iter_mut().find(|(counted, _)| *counted == digest) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((digest, 1)),
        }
        Tallied::New
    }

    /// Distinct replicas that voted for `digest`.
    pub fn count(&self, digest: &Digest) -> usize {
        self.counts.iter().find(|(counted, _)| counted == digest).map_or(0, |(_, count)| *count)
    }

    /// Distinct replicas that voted at all.
    pub fn voters(&self) -> usize {
        self.votes.len()
    }

    /// The digest that at least `quorum` replicas voted for. At most one can
    /// exist for a quorum of more than half.
    pub fn decided(&self, quorum: usize) -> Option<Digest> {
        self.counts.iter().find(|(_, count)| *count >= quorum).map(|(digest, _)| *digest)
    }

    /// The votes for `digest` in order of their authors.
    pub fn of(&self, digest: &Digest) -> Vec<(ReplicaId, Signature)> {
        self.votes
            .iter()
            .filter(|(_, (voted, _))| voted == digest)
            .map(|(author, (_, signature))| (*author, *signature))
            .collect()
    }

    /// The vote of `author`.
    pub fn get(&self, author: ReplicaId) -> Option<&(Digest, Signature)> {
        self.votes.get(&author)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_replica_once() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let signature = Signature([0; 64]);
        let mut votes = VoteSet::default();
        assert_eq!(votes.insert(ReplicaId(1), a, signature), Tallied::New);
        assert_eq!(votes.insert(ReplicaId(1), a, signature), Tallied::Duplicate);
        assert_eq!(votes.insert(ReplicaId(1), b, signature), Tallied::Contradiction);
        assert_eq!(votes.insert(ReplicaId(0), a, signature), Tallied::New);
        assert_eq!(votes.insert(ReplicaId(2), b, signature), Tallied::New);
        assert_eq!((votes.count(&a), votes.count(&b)), (2, 1));
        assert_eq!(votes.decided(2), Some(a));
        assert_eq!(votes.decided(3), None);
        assert_eq!(votes.of(&a).iter().map(|v| v.0.0).collect::<Vec<_>>(), [0, 1]);
    }
}
