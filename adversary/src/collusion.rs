//! `equivocate` by several nodes with one plan.
//!
//! The colluders divide all other nodes into two sides: in order of their ids,
//! every second one (or the last one alone) is on the *second* side, the rest on
//! the *first*. A commander among the colluders proposes a batch to the first
//! side, its alternative to the second, and both to the other colluders. Each of
//! these follows the first of the two that it receives, hides from its replica
//! what the colluders send about the other one, and sends each side what it would
//! have sent had it received that side's batch alone: the same votes for that
//! batch, and as communication node certificates made of the votes it received.
//!
//! Which of two proposals is for the second side follows from the proposals
//! alone: it is the other one's alternative. So all colluders arrive at the same
//! plan, whatever the order in which they receive the two. Until one knows both,
//! it sends nothing about the slot.

use crate::behaviour::{Equivocation, Split};
use crate::outgoing::{Outgoing, recipients};
use kernel::{Class, Cluster, Digest, Falsify, ReplicaId, Seq, Signer, Subject, To, View};
use std::collections::BTreeMap;

/// What is planned for the newest slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SharedPlans<M>(BTreeMap<(Option<View>, Seq), SlotPlan<M>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SlotPlan<M> {
    /// The colluders' proposals: two of them, once the plan is known.
    proposals: Vec<M>,
    /// The one that the replica inside follows.
    followed: Option<Digest>,
    /// What was received and proposed about the slot.
    received: Vec<M>,
    /// What is still to be sent.
    pending: Vec<Pending<M>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending<M> {
    to: To,
    message: M,
    /// Whether it is still to be sent to the first side, and to the second.
    sides: [bool; 2],
}

/// Slots that are planned for at once.
const SLOTS: usize = 64;
/// Messages kept of a slot, for each node.
const RECEIVED_OF_EACH: usize = 4;

/// Who sends what to whom.
pub(crate) struct Plan<'a> {
    pub(crate) equivocation: &'a Equivocation,
    pub(crate) cluster: &'a Cluster,
    pub(crate) signer: &'a Signer,
    /// A certificate that falls short is sent all the same, for another
    /// behaviour to pad.
    pub(crate) forges: bool,
}

impl Plan<'_> {
    pub(crate) fn colludes(&self, id: ReplicaId) -> bool {
        id == self.signer.id() || self.equivocation.colluders.contains(&id)
    }

    /// Whether an honest replica is on the second side.
    fn is_given_second(&self, id: ReplicaId) -> bool {
        let mut honest = self.cluster.replicas().filter(|id| !self.colludes(*id));
        match self.equivocation.split {
            Split::Halves => honest.position(|other| other == id).is_some_and(|place| place % 2 == 1),
            Split::Victim => honest.last() == Some(id),
        }
    }

    /// The recipients that belong to a side; colluders belong to both.
    fn audience(&self, to: To, side: usize) -> Vec<ReplicaId> {
        let belongs = |id: &ReplicaId| self.colludes(*id) || usize::from(self.is_given_second(*id)) == side;
        recipients(self.cluster, self.signer.id(), to).into_iter().filter(belongs).collect()
    }

    fn send<M: Falsify>(&self, to: To, side: usize, message: &M) -> Vec<Outgoing<M>> {
        let audience = self.audience(to, side).into_iter();
        audience.map(|id| Outgoing::message(To::One(id), message.clone())).collect()
    }
}

impl<M> Default for SharedPlans<M> {
    fn default() -> SharedPlans<M> {
        SharedPlans(BTreeMap::new())
    }
}

impl<M: Falsify> SharedPlans<M> {
    fn open(&mut self, subject: Subject) -> &mut SlotPlan<M> {
        let key = (subject.view, subject.seq);
        while self.0.len() >= SLOTS && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        self.0.entry(key).or_insert_with(|| SlotPlan {
            proposals: vec![],
            followed: None,
            received: vec![],
            pending: vec![],
        })
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Records a message that came in. False if it is about the value that the
    /// replica inside does not follow, and it must not see it.
    pub(crate) fn receive(&mut self, plan: &Plan<'_>, from: ReplicaId, message: &M) -> bool {
        let Some(subject) = message.subject() else {
            return true;
        };
        let slot = self.open(subject);
        slot.note(message, plan.cluster);
        if !plan.colludes(from) {
            return true;
        }
        if message.class() == Class::Proposal {
            slot.learn(message, subject.digest);
            slot.followed.get_or_insert(subject.digest);
        }
        slot.followed.is_none_or(|followed| followed == subject.digest)
    }

    /// What may be sent now about the slot of `message`.
    pub(crate) fn sendable(&mut self, plan: &Plan<'_>, message: &M) -> Vec<Outgoing<M>> {
        let slot = message.subject().and_then(|about| self.0.get_mut(&(about.view, about.seq)));
        slot.map_or_else(Vec::new, |slot| slot.send_pending(plan))
    }

    /// What becomes of a message that the replica inside wants sent.
    pub(crate) fn send(&mut self, plan: &Plan<'_>, to: To, message: M) -> Vec<Outgoing<M>> {
        let Some(subject) = message.subject() else {
            return self.send_falsified(plan, to, message);
        };
        if message.class() == Class::Proposal {
            let alternative = message.alternative(plan.cluster, plan.signer);
            let is_own = |proposal: &M| proposal.claims(plan.signer.id(), plan.cluster).is_ok();
            let Some(alternative) = alternative.filter(is_own) else {
                return vec![Outgoing::message(to, message)];
            };
            let slot = self.open(subject);
            slot.followed = Some(subject.digest);
            for proposal in [&message, &alternative] {
                slot.note(proposal, plan.cluster);
                slot.learn(proposal, proposal.subject().map_or(subject.digest, |about| about.digest));
            }
        }
        match self.0.get_mut(&(subject.view, subject.seq)) {
            Some(slot) if !slot.proposals.is_empty() => {
                slot.pending.push(Pending { to, message, sides: [true, true] });
                slot.send_pending(plan)
            }
            _ => self.send_falsified(plan, to, message),
        }
    }

    /// Without a colluder's proposal, the second side gets a value that nobody
    /// proposed.
    fn send_falsified(&self, plan: &Plan<'_>, to: To, message: M) -> Vec<Outgoing<M>> {
        match message.class() {
            Class::Vote | Class::Certificate | Class::Checkpoint | Class::ViewChange => {
                let other = message.falsified(plan.cluster, plan.signer);
                let mut sent = plan.send(to, 0, &message);
                let misled = plan.audience(to, 1).into_iter().filter(|id| !plan.colludes(*id));
                sent.extend(misled.map(|id| Outgoing::message(To::One(id), other.clone())));
                sent
            }
            _ => vec![Outgoing::message(to, message)],
        }
    }
}

impl<M: Falsify> SlotPlan<M> {
    fn note(&mut self, message: &M, cluster: &Cluster) {
        let has_space = self.received.len() < RECEIVED_OF_EACH * usize::from(cluster.n);
        if has_space && !self.received.contains(message) {
            self.received.push(message.clone());
        }
    }

    fn learn(&mut self, proposal: &M, digest: Digest) {
        let is_new =
            self.proposals.iter().all(|known| known.subject().map(|about| about.digest) != Some(digest));
        if is_new && self.proposals.len() < 2 {
            self.proposals.push(proposal.clone());
        }
    }

    /// The values for the first and the second side, once both are known.
    fn values(&self, plan: &Plan<'_>) -> Option<[Digest; 2]> {
        let [one, other] = &self.proposals[..] else {
            return None;
        };
        let digest = |message: &M| message.subject().map(|about| about.digest);
        let alternative = one.alternative(plan.cluster, plan.signer);
        let (first, second) = (digest(one)?, digest(other)?);
        let in_order = alternative.and_then(|message| digest(&message)) == Some(second);
        Some(if in_order { [first, second] } else { [second, first] })
    }

    /// Sends what can be sent of all that is pending.
    fn send_pending(&mut self, plan: &Plan<'_>) -> Vec<Outgoing<M>> {
        let Some(values) = self.values(plan) else {
            return vec![];
        };
        let mut sent = Vec::new();
        for pending in &mut self.pending {
            for (side, digest) in values.into_iter().enumerate() {
                if !pending.sides[side] {
                    continue;
                }
                let is_own_value = pending.message.subject().is_some_and(|about| about.digest == digest);
                let version = if is_own_value {
                    Some(pending.message.clone())
                } else {
                    pending.message.with_value(digest, &self.received, plan.cluster, plan.signer)
                };
                let is_whole =
                    |version: &M| plan.forges || version.claims(plan.signer.id(), plan.cluster).is_ok();
                if let Some(version) = version.filter(is_whole) {
                    sent.extend(plan.send(pending.to, side, &version));
                    pending.sides[side] = false;
                }
            }
        }
        self.pending.retain(|pending| pending.sides != [false, false]);
        sent
    }
}
