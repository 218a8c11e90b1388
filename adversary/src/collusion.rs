//! `equivocate` by several nodes with one plan.
//!
//! The liars split those they lie to in two: of the others in order of their
//! ids, every second one (or the last one alone) hears the *lie*, the rest the
//! *truth*. A commander among them proposes a batch to one side and its
//! alternative to the other, and both to its accomplices. An accomplice follows
//! the first of the two that reaches it, keeps to itself what its fellows say
//! about the other, and tells each side what it would say had it heard that
//! side's story alone: the same votes for that side's batch, and as
//! communication node certificates made of the votes that it heard.
//!
//! Which of two proposals is the lie can be told from themselves: it is the
//! other one's alternative. So every liar arrives at the same plan, whatever the
//! order in which it hears of it. Until it knows both, it keeps silent about the
//! slot.

use crate::behaviour::{Equivocation, Split};
use crate::outgoing::{Outgoing, recipients};
use kernel::{Class, Cluster, Digest, Falsify, ReplicaId, Seq, Signer, Subject, To, View};
use std::collections::BTreeMap;

/// What is planned for the newest slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plots<M>(BTreeMap<(View, Seq), Plot<M>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Plot<M> {
    /// The liars' proposals: two of them, once the plan is known.
    proposals: Vec<M>,
    /// The one that the replica inside follows.
    followed: Option<Digest>,
    /// What was heard and proposed about the slot.
    heard: Vec<M>,
    /// What is still to be said.
    owed: Vec<Owed<M>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owed<M> {
    to: To,
    message: M,
    /// To the side that hears the truth, and to the side that hears the lie.
    sides: [bool; 2],
}

/// Slots that are planned for at once.
const SLOTS: usize = 64;
/// Messages kept of a slot, for each node.
const HEARD_OF_EACH: usize = 4;

/// Who lies to whom.
pub(crate) struct Plan<'a> {
    pub(crate) equivocation: &'a Equivocation,
    pub(crate) cluster: &'a Cluster,
    pub(crate) signer: &'a Signer,
    /// A certificate that falls short is sent all the same, for another
    /// behaviour to pad.
    pub(crate) forges: bool,
}

impl Plan<'_> {
    pub(crate) fn is_liar(&self, id: ReplicaId) -> bool {
        id == self.signer.id() || self.equivocation.liars.contains(&id)
    }

    /// Whether an honest replica is on the side that hears the lie.
    fn hears_lie(&self, id: ReplicaId) -> bool {
        let mut honest = self.cluster.replicas().filter(|id| !self.is_liar(*id));
        match self.equivocation.split {
            Split::Halves => honest.position(|other| other == id).is_some_and(|place| place % 2 == 1),
            Split::Victim => honest.last() == Some(id),
        }
    }

    /// The recipients that belong to a side; accomplices belong to both.
    fn audience(&self, to: To, side: usize) -> Vec<ReplicaId> {
        let belongs = |id: &ReplicaId| self.is_liar(*id) || usize::from(self.hears_lie(*id)) == side;
        recipients(self.cluster, self.signer.id(), to).into_iter().filter(belongs).collect()
    }

    fn tell<M: Falsify>(&self, to: To, side: usize, message: &M) -> Vec<Outgoing<M>> {
        let audience = self.audience(to, side).into_iter();
        audience.map(|id| Outgoing::message(To::One(id), message.clone())).collect()
    }
}

impl<M> Default for Plots<M> {
    fn default() -> Plots<M> {
        Plots(BTreeMap::new())
    }
}

impl<M: Falsify> Plots<M> {
    fn open(&mut self, subject: Subject) -> &mut Plot<M> {
        let key = (subject.view, subject.seq);
        while self.0.len() >= SLOTS && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        self.0.entry(key).or_insert_with(|| Plot {
            proposals: vec![],
            followed: None,
            heard: vec![],
            owed: vec![],
        })
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes note of a message that came in. False if it is about the story that
    /// the replica inside does not follow, and it must not see it.
    pub(crate) fn hear(&mut self, plan: &Plan<'_>, from: ReplicaId, message: &M) -> bool {
        let Some(subject) = message.subject() else {
            return true;
        };
        let plot = self.open(subject);
        plot.note(message, plan.cluster);
        if !plan.is_liar(from) {
            return true;
        }
        if message.class() == Class::Proposal {
            plot.learn(message, subject.digest);
            plot.followed.get_or_insert(subject.digest);
        }
        plot.followed.is_none_or(|followed| followed == subject.digest)
    }

    /// What may be said now about the slot of `message`.
    pub(crate) fn overdue(&mut self, plan: &Plan<'_>, message: &M) -> Vec<Outgoing<M>> {
        let plot = message.subject().and_then(|about| self.0.get_mut(&(about.view, about.seq)));
        plot.map_or_else(Vec::new, |plot| plot.settle(plan))
    }

    /// What becomes of a message that the replica inside wants sent.
    pub(crate) fn tell(&mut self, plan: &Plan<'_>, to: To, message: M) -> Vec<Outgoing<M>> {
        let Some(subject) = message.subject() else {
            return self.tell_alone(plan, to, message);
        };
        if message.class() == Class::Proposal {
            let alternative = message.alternative(plan.cluster, plan.signer);
            let is_own = |proposal: &M| proposal.claims(plan.signer.id(), plan.cluster).is_ok();
            let Some(alternative) = alternative.filter(is_own) else {
                return vec![Outgoing::message(to, message)];
            };
            let plot = self.open(subject);
            plot.followed = Some(subject.digest);
            for proposal in [&message, &alternative] {
                plot.note(proposal, plan.cluster);
                plot.learn(proposal, proposal.subject().map_or(subject.digest, |about| about.digest));
            }
        }
        match self.0.get_mut(&(subject.view, subject.seq)) {
            Some(plot) if !plot.proposals.is_empty() => {
                plot.owed.push(Owed { to, message, sides: [true, true] });
                plot.settle(plan)
            }
            _ => self.tell_alone(plan, to, message),
        }
    }

    /// Without a liar's proposal, the other side hears of a value that nobody
    /// proposed.
    fn tell_alone(&self, plan: &Plan<'_>, to: To, message: M) -> Vec<Outgoing<M>> {
        match message.class() {
            Class::Vote | Class::Certificate | Class::Checkpoint | Class::ViewChange => {
                let lie = message.falsified(plan.cluster, plan.signer);
                let mut told = plan.tell(to, 0, &message);
                let misled = plan.audience(to, 1).into_iter().filter(|id| !plan.is_liar(*id));
                told.extend(misled.map(|id| Outgoing::message(To::One(id), lie.clone())));
                told
            }
            _ => vec![Outgoing::message(to, message)],
        }
    }
}

impl<M: Falsify> Plot<M> {
    fn note(&mut self, message: &M, cluster: &Cluster) {
        let room = self.heard.len() < HEARD_OF_EACH * usize::from(cluster.n);
        if room && !self.heard.contains(message) {
            self.heard.push(message.clone());
        }
    }

    fn learn(&mut self, proposal: &M, digest: Digest) {
        let is_new =
            self.proposals.iter().all(|known| known.subject().map(|about| about.digest) != Some(digest));
        if is_new && self.proposals.len() < 2 {
            self.proposals.push(proposal.clone());
        }
    }

    /// The truth and the lie, once both are known.
    fn stories(&self, plan: &Plan<'_>) -> Option<[Digest; 2]> {
        let [one, other] = &self.proposals[..] else {
            return None;
        };
        let digest = |message: &M| message.subject().map(|about| about.digest);
        let alternative = one.alternative(plan.cluster, plan.signer);
        let (first, second) = (digest(one)?, digest(other)?);
        let in_order = alternative.and_then(|message| digest(&message)) == Some(second);
        Some(if in_order { [first, second] } else { [second, first] })
    }

    /// Says what can be said of all that is owed.
    fn settle(&mut self, plan: &Plan<'_>) -> Vec<Outgoing<M>> {
        let Some(stories) = self.stories(plan) else {
            return vec![];
        };
        let mut said = Vec::new();
        for owed in &mut self.owed {
            for (side, digest) in stories.into_iter().enumerate() {
                if !owed.sides[side] {
                    continue;
                }
                let is_own_story = owed.message.subject().is_some_and(|about| about.digest == digest);
                let version = if is_own_story {
                    Some(owed.message.clone())
                } else {
                    owed.message.retold(digest, &self.heard, plan.cluster, plan.signer)
                };
                let is_whole =
                    |version: &M| plan.forges || version.claims(plan.signer.id(), plan.cluster).is_ok();
                if let Some(version) = version.filter(is_whole) {
                    said.extend(plan.tell(owed.to, side, &version));
                    owed.sides[side] = false;
                }
            }
        }
        self.owed.retain(|owed| owed.sides != [false, false]);
        said
    }
}
