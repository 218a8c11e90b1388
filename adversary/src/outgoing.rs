//! Outgoing messages, and the behaviours that change no content: they drop,
//! delay, duplicate or reorder.

use crate::behaviour::Act;
use crate::trigger::MessageTraits;
use kernel::{Choose, Class, Cluster, Micros, ReplicaId, ReplyBundle, To, Wire};

/// A message or reply that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outgoing<M> {
    pub(crate) to: To,
    pub(crate) content: Content<M>,
    /// How long it is held back.
    pub(crate) hold: Micros,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Content<M> {
    Message(M),
    Reply(ReplyBundle),
}

/// What a behaviour needs besides the message.
pub(crate) struct CarryContext<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) id: ReplicaId,
    pub(crate) choose: &'a mut dyn Choose,
}

impl<M: Wire> Outgoing<M> {
    pub(crate) fn message(to: To, message: M) -> Outgoing<M> {
        Outgoing { to, content: Content::Message(message), hold: Micros(0) }
    }

    pub(crate) fn reply(to: ReplicaId, bundle: ReplyBundle) -> Outgoing<M> {
        Outgoing { to: To::One(to), content: Content::Reply(bundle), hold: Micros(0) }
    }

    pub(crate) fn traits(&self) -> MessageTraits {
        match &self.content {
            Content::Message(message) => MessageTraits { seq: message.seq(), kind: message.kind() },
            Content::Reply(bundle) => MessageTraits { seq: Some(bundle.seq), kind: REPLY },
        }
    }

    /// The class of a message; replies have none.
    pub(crate) fn class(&self) -> Option<Class> {
        match &self.content {
            Content::Message(message) => Some(message.class()),
            Content::Reply(_) => None,
        }
    }

    /// The same for one recipient.
    pub(crate) fn to(&self, id: ReplicaId) -> Outgoing<M> {
        Outgoing { to: To::One(id), ..self.clone() }
    }

    /// The same for each of its recipients that pass.
    pub(crate) fn to_those(
        &self,
        cluster: &Cluster,
        id: ReplicaId,
        mut pass: impl FnMut(ReplicaId) -> bool,
    ) -> Vec<Outgoing<M>> {
        let recipients = recipients(cluster, id, self.to).into_iter();
        recipients.filter(|to| pass(*to)).map(|to| self.to(to)).collect()
    }
}

pub use kernel::observe::REPLY;

/// The recipients of `to` when `id` sends.
pub(crate) fn recipients(cluster: &Cluster, id: ReplicaId, to: To) -> Vec<ReplicaId> {
    match to {
        To::One(one) => vec![one],
        To::All => cluster.replicas().filter(|other| *other != id).collect(),
    }
}

/// Whether a behaviour's list names this replica; an empty one stands for the
/// odd ids.
pub(crate) fn names(list: &[ReplicaId], id: ReplicaId) -> bool {
    if list.is_empty() { id.0 % 2 == 1 } else { list.contains(&id) }
}

fn happens(choose: &mut dyn Choose, millionths: u32) -> bool {
    choose.chance(f64::from(millionths) / 1e6)
}

/// What is held back is held for so many different times, so that a checker can
/// try them all.
const STEPS: u64 = 8;

/// Applies a behaviour that changes no content.
pub(crate) fn carry<M: Wire>(act: &Act, outgoing: Outgoing<M>, cx: CarryContext<'_>) -> Vec<Outgoing<M>> {
    let CarryContext { cluster, id, choose } = cx;
    match act {
        Act::Offline => vec![],
        Act::Withhold => match outgoing.class() {
            Some(Class::Vote | Class::Certificate | Class::Checkpoint) => vec![],
            _ => vec![outgoing],
        },
        Act::Partial(served) => match outgoing.class() {
            Some(Class::Proposal | Class::Certificate) => {
                outgoing.to_those(cluster, id, |to| names(served, to))
            }
            _ => vec![outgoing],
        },
        Act::Drop(p) => outgoing.to_those(cluster, id, |_| !happens(choose, *p)),
        Act::Duplicate(p) => {
            let mut both = outgoing.to_those(cluster, id, |_| happens(choose, *p));
            both.push(outgoing);
            both
        }
        Act::Delay(by) => vec![Outgoing { hold: Micros(outgoing.hold.0 + by.0), ..outgoing }],
        Act::Reorder(most) => {
            let mut each = outgoing.to_those(cluster, id, |_| true);
            for one in &mut each {
                one.hold.0 += most.0 * choose.below(STEPS + 1) / STEPS;
            }
            each
        }
        _ => vec![outgoing],
    }
}
