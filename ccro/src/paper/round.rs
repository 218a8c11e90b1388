//! What a node knows of one round.

use super::roles::{Attempt, Ranking, Roles};
use kernel::{Batch, Digest, Micros, ReplicaId, ReplyBundle, Signature, Tallied, VoteSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One round, in the latest attempt that this node knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) ranking: Arc<Ranking>,
    pub(super) attempt: Attempt,
    /// What this attempt's commander handed out.
    pub(super) requested: Option<Digest>,
    /// What its communication node asked votes for, and what it announced.
    pub(super) asked: Option<Digest>,
    pub(super) announced: Option<Digest>,
    /// As communication node, the PREPAREs of this attempt.
    pub(super) votes: VoteSet,
    /// The block, of whichever attempt.
    pub(super) block: Option<(Digest, Arc<Batch>)>,
    /// The block that was executed here: it cannot be undone.
    pub(super) executed: Option<Digest>,
    /// This node's own results.
    pub(super) results: Vec<ReplyBundle>,
    /// As commander.
    pub(super) replies: Replies,
}

/// The REPLYs that a commander has, of all attempts: who executed a block once
/// has executed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Replies {
    /// When this attempt's REQUEST went out.
    pub(super) begun: Micros,
    authors: VoteSet,
    /// By author, how long it took and what it says.
    answers: BTreeMap<ReplicaId, (Micros, Digest)>,
    /// By what they say; emptied once the round is decided.
    bundles: BTreeMap<Digest, Vec<(ReplicaId, Vec<ReplyBundle>)>>,
    /// What `f+1` say.
    pub(super) decided: Option<Digest>,
}

impl Round {
    pub(super) fn new(ranking: Arc<Ranking>) -> Round {
        Round {
            ranking,
            attempt: Attempt::default(),
            requested: None,
            asked: None,
            announced: None,
            votes: VoteSet::default(),
            block: None,
            executed: None,
            results: Vec::new(),
            replies: Replies::default(),
        }
    }

    pub(super) fn roles(&self) -> Roles {
        self.ranking.roles(self.attempt)
    }

    /// Leaves the attempt before behind, and with it what was asked and announced:
    /// nothing locks a node to it (CCRO paper).
    pub(super) fn enter(&mut self, attempt: Attempt) {
        self.attempt = attempt;
        self.requested = None;
        self.asked = None;
        self.announced = None;
        self.votes = VoteSet::default();
    }
}

impl Replies {
    /// Takes a REPLY for the block `digest`.
    pub(super) fn add(
        &mut self,
        (author, digest, signature): (ReplicaId, Digest, Signature),
        bundles: Vec<ReplyBundle>,
        now: Micros,
    ) -> Tallied {
        let tallied = self.authors.insert(author, digest, signature);
        if tallied == Tallied::New {
            let content = content(digest, &bundles);
            let after = Micros(now.0.saturating_sub(self.begun.0));
            self.answers.insert(author, (after, content));
            if self.decided.is_none() {
                self.bundles.entry(content).or_default().push((author, bundles));
            }
        }
        tallied
    }

    /// The results of the first `needed` counting nodes, or more, that executed
    /// the block `digest` alike. From then on the round is decided.
    pub(super) fn decide(
        &mut self,
        digest: Digest,
        needed: usize,
        counts: impl Fn(ReplicaId) -> bool,
    ) -> Option<Vec<ReplyBundle>> {
        let is_enough = |group: &[(ReplicaId, Vec<ReplyBundle>)]| {
            group.iter().filter(|(author, _)| counts(*author)).count() >= needed
        };
        let is_of_block = |group: &[(ReplicaId, Vec<ReplyBundle>)]| {
            let author = group.first().map(|(author, _)| *author);
            author.and_then(|author| self.authors.get(author)).is_some_and(|(of, _)| *of == digest)
        };
        let content = self
            .bundles
            .iter()
            .find(|(_, group)| is_of_block(group) && is_enough(group))
            .map(|(content, _)| *content)?;
        self.decided = Some(content);
        let groups = std::mem::take(&mut self.bundles);
        let group = groups.into_iter().find(|(of, _)| *of == content);
        group.map(|(_, group)| group.into_iter().flat_map(|(_, bundles)| bundles).collect())
    }

    /// Whether `author` said what was decided, and after what time; none if it
    /// said nothing.
    pub(super) fn answer(&self, author: ReplicaId) -> Option<(bool, Micros)> {
        self.answers.get(&author).map(|(after, content)| (Some(*content) == self.decided, *after))
    }

    /// When the first right answer came.
    pub(super) fn first_right(&self) -> Option<Micros> {
        let right = self.answers.values().filter(|(_, content)| Some(*content) == self.decided);
        right.map(|(after, _)| *after).min()
    }
}

/// What a REPLY says, whoever says it.
fn content(digest: Digest, bundles: &[ReplyBundle]) -> Digest {
    let said: Vec<_> = bundles.iter().map(|bundle| (bundle.gateway, &bundle.replies)).collect();
    Digest::of(&postcard::to_stdvec(&(digest, said)).expect("replies are plain data"))
}
