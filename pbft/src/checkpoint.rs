//! Checkpoints: votes about the state after a slot, and what a quorum of them
//! proves (OSDI §4.3).

use crate::message::{CheckpointVote, StableCheckpoint};
use kernel::{ReplicaId, Seq, Tallied, VoteSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stable checkpoint and the votes for later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Checkpoints {
    stable: Seq,
    /// The stable checkpoint before that. What lies between the two is kept, to
    /// help replicas that are behind.
    before: Seq,
    proof: Option<Arc<StableCheckpoint>>,
    votes: BTreeMap<Seq, VoteSet>,
    /// Whose votes for the stable checkpoint were seen.
    seen: BTreeSet<ReplicaId>,
}

impl Checkpoints {
    /// The last stable checkpoint: the low watermark `h`.
    pub(crate) fn stable(&self) -> Seq {
        self.stable
    }

    /// The stable checkpoint before the last.
    pub(crate) fn before(&self) -> Seq {
        self.before
    }

    /// Proof of the last stable checkpoint, if there was one.
    pub(crate) fn proof(&self) -> Option<&Arc<StableCheckpoint>> {
        self.proof.as_ref()
    }

    /// Counts a vote. With the vote that completes a quorum, the checkpoint
    /// becomes stable.
    pub(crate) fn count(&mut self, vote: &CheckpointVote, quorum: usize) -> Tallied {
        let votes = self.votes.entry(vote.seq).or_default();
        let tallied = votes.insert(vote.author, vote.state, vote.signature);
        if votes.count(&vote.state) >= quorum {
            let votes = votes.of(&vote.state);
            self.adopt(Arc::new(StableCheckpoint { seq: vote.seq, state: vote.state, votes }));
        }
        tallied
    }

    /// Takes a proof, whose signatures were checked. True if it is news.
    pub(crate) fn adopt(&mut self, proof: Arc<StableCheckpoint>) -> bool {
        if proof.seq <= self.stable {
            return false;
        }
        self.before = std::mem::replace(&mut self.stable, proof.seq);
        self.votes = self.votes.split_off(&proof.seq.next());
        self.seen = proof.votes.iter().map(|(author, _)| *author).collect();
        self.proof = Some(proof);
        true
    }

    /// Whether a vote for what is stable already says that its author lacks the
    /// proof. The first one for the stable checkpoint merely came late.
    pub(crate) fn asks_for_proof(&mut self, vote: &CheckpointVote) -> bool {
        vote.seq < self.stable || !self.seen.insert(vote.author)
    }

    /// The votes of `author` for checkpoints that are not stable yet.
    pub(crate) fn unstable_votes_of(&self, author: ReplicaId) -> Vec<CheckpointVote> {
        let own = self.votes.iter().filter_map(|(seq, votes)| Some((seq, votes.get(author)?)));
        own.map(|(seq, (state, signature))| CheckpointVote {
            seq: *seq,
            state: *state,
            author,
            signature: *signature,
        })
        .collect()
    }
}
