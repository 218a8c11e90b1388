//! Counting the votes of distinct replicas.

use crate::ids::{Digest, ReplicaId};
use crate::keys::Signature;
use serde::{Deserialize, Serialize};

/// The votes of one phase of one slot in one view: at most one per replica, the
/// first that came.
///
/// A thousand replicas keep a thousand votes each, so a vote takes no more than
/// its signature and one byte, and is found by its author's number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteSet {
    /// By author: the place of the digest in `counts`, from 1; 0 for no vote.
    choices: Vec<u8>,
    /// By author; zeros where there is no vote.
    signatures: Vec<Signature>,
    // Nearly always one entry: honest replicas vote for one digest.
    counts: Vec<(Digest, usize)>,
    voters: usize,
}

/// Digests of one set at most. Only faulty replicas vote for others than one or
/// two; the votes beyond are not counted.
const MOST_DIGESTS: usize = u8::MAX as usize;

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
    /// No votes yet, with room for those of `replicas`: each has a part in every set,
    /// and the sets are most of what a large cluster keeps.
    pub fn for_votes_of(replicas: u16) -> VoteSet {
        VoteSet {
            choices: Vec::with_capacity(replicas.into()),
            signatures: Vec::with_capacity(replicas.into()),
            ..VoteSet::default()
        }
    }

    /// Adds a vote.
    pub fn insert(&mut self, author: ReplicaId, digest: Digest, signature: Signature) -> Tallied {
        if let Some((earlier, _)) = self.get(author) {
            return if *earlier == digest { Tallied::Duplicate } else { Tallied::Contradiction };
        }
        let known = self.counts.iter().position(|(counted, _)| *counted == digest);
        let place = known.unwrap_or(self.counts.len());
        if place == MOST_DIGESTS {
            return Tallied::Contradiction;
        }
        match self.counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((digest, 1)),
        }
        let author = usize::from(author.0);
        if author >= self.choices.len() {
            self.choices.resize(author + 1, 0);
            self.signatures.resize(author + 1, Signature::NONE);
        }
        self.choices[author] = place as u8 + 1;
        self.signatures[author] = signature;
        self.voters += 1;
        Tallied::New
    }

    /// Forgets the vote of `author`.
    pub fn remove(&mut self, author: ReplicaId) {
        let author = usize::from(author.0);
        let Some(choice) = self.choices.get_mut(author) else {
            return;
        };
        if let Some(place) = usize::from(std::mem::take(choice)).checked_sub(1) {
            self.signatures[author] = Signature::NONE;
            self.counts[place].1 -= 1;
            self.voters -= 1;
        }
    }

    /// Distinct replicas that voted for `digest`.
    pub fn count(&self, digest: &Digest) -> usize {
        self.counts.iter().find(|(counted, _)| counted == digest).map_or(0, |(_, count)| *count)
    }

    /// Distinct replicas that voted at all.
    pub fn voters(&self) -> usize {
        self.voters
    }

    /// The digest that at least `quorum` replicas voted for. At most one can
    /// exist for a quorum of more than half.
    pub fn decided(&self, quorum: usize) -> Option<Digest> {
        self.counts.iter().find(|(_, count)| *count >= quorum).map(|(digest, _)| *digest)
    }

    /// The votes for `digest` in order of their authors.
    pub fn of(&self, digest: &Digest) -> Vec<(ReplicaId, Signature)> {
        let Some(place) = self.counts.iter().position(|(counted, _)| counted == digest) else {
            return vec![];
        };
        let voted = |(_, (choice, _)): &(u16, (&u8, &Signature))| usize::from(**choice) == place + 1;
        let votes = (0..).zip(self.choices.iter().zip(&self.signatures));
        votes.filter(voted).map(|(author, (_, signature))| (ReplicaId(author), *signature)).collect()
    }

    /// The vote of `author`.
    pub fn get(&self, author: ReplicaId) -> Option<(&Digest, &Signature)> {
        let author = usize::from(author.0);
        let place = usize::from(*self.choices.get(author)?).checked_sub(1)?;
        Some((&self.counts[place].0, &self.signatures[author]))
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
        assert_eq!((votes.voters(), votes.get(ReplicaId(2))), (3, Some((&b, &signature))));
        assert_eq!((votes.get(ReplicaId(3)), votes.of(&Digest::ZERO)), (None, vec![]));
        votes.remove(ReplicaId(1));
        votes.remove(ReplicaId(1));
        votes.remove(ReplicaId(9));
        assert_eq!((votes.count(&a), votes.count(&b), votes.voters()), (1, 1, 2));
        assert_eq!(votes.get(ReplicaId(1)), None);
        assert_eq!(votes.insert(ReplicaId(1), b, signature), Tallied::New);
    }

    #[test]
    fn more_digests_than_anyone_honest_votes_for_are_not_counted() {
        let mut votes = VoteSet::default();
        let of = |id: u16| (ReplicaId(id), Digest::of(&id.to_le_bytes()), Signature([1; 64]));
        for (author, digest, signature) in (0..255).map(of) {
            assert_eq!(votes.insert(author, digest, signature), Tallied::New);
        }
        let (author, digest, signature) = of(255);
        assert_eq!(votes.insert(author, digest, signature), Tallied::Contradiction);
        assert_eq!(votes.insert(author, of(7).1, signature), Tallied::New);
        assert_eq!((votes.count(&of(7).1), votes.get(author).map(|vote| vote.0)), (2, Some(&of(7).1)));
    }
}
