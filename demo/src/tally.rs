//! The votes that a replica has, counted for a person: those that its marks tell of, be
//! they in its log already or not.

use std::collections::BTreeMap;

use kernel::{Digest, Phase, ReplicaId, Seq, View};

/// What a vote is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot {
    /// The slot.
    pub seq: Seq,
    /// The view.
    pub view: View,
    /// A proposal counts as its commander's PREPARE.
    pub phase: Phase,
}

impl Ballot {
    /// The ballot of a vote.
    pub fn of(view: View, seq: Seq, phase: Phase) -> Ballot {
        Ballot { seq, view, phase: if phase == Phase::PrePrepare { Phase::Prepare } else { phase } }
    }

    /// As the paper calls it.
    pub fn message(&self) -> &'static str {
        message(self.phase)
    }
}

/// What the paper calls a vote of this phase.
pub fn message(phase: Phase) -> &'static str {
    match phase {
        Phase::PrePrepare => "PRE-PREPARE",
        Phase::Prepare => "PREPARE",
        Phase::Commit => "COMMIT",
    }
}

/// First votes by ballot and author.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<Ballot, BTreeMap<ReplicaId, Digest>>);

impl Tally {
    /// Counts a vote. False if its author has voted already.
    pub fn insert(&mut self, ballot: Ballot, author: ReplicaId, digest: Digest) -> bool {
        let votes = self.0.entry(ballot).or_default();
        let new = !votes.contains_key(&author);
        votes.entry(author).or_insert(digest);
        new
    }

    /// Votes for `digest`.
    pub fn count(&self, ballot: Ballot, digest: &Digest) -> usize {
        self.0.get(&ballot).map_or(0, |votes| votes.values().filter(|voted| *voted == digest).count())
    }

    /// What `author` voted for.
    pub fn vote_of(&self, ballot: Ballot, author: ReplicaId) -> Option<&Digest> {
        self.0.get(&ballot)?.get(&author)
    }

    /// Forgets what lies below a slot.
    pub fn forget_below(&mut self, seq: Seq) {
        self.0.retain(|ballot, _| ballot.seq >= seq);
    }
}
