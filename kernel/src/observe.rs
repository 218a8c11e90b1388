//! What an observer of a cluster is told, in a simulation and on real nodes alike.
//!
//! Every message is sent as *copies*, one for each recipient. A copy leaves its
//! sender once ([`Observation::Departed`]) and arrives once, twice (where a network
//! duplicates) or never ([`Observation::Arrived`]). Traces, sequence charts and
//! exporters read these observations; nothing in a replica depends on whether
//! somebody observes.

use crate::ids::ReplicaId;
use crate::mark::Mark;
use crate::reply::ReplyBundle;
use crate::wire::{Rejection, Wire};

/// Is called with everything that is observed: when, in nanoseconds of the host's
/// clock; at which node; and what.
pub type Observer<M> = Box<dyn FnMut(u64, ReplicaId, Observation<'_, M>)>;

/// Something that happened at a node.
#[derive(Debug)]
pub enum Observation<'a, M> {
    /// Its replica left a mark.
    Mark(&'a Mark),
    /// Its replica refused a message, or admission did so for it.
    Rejection(&'a Rejection),
    /// A copy of a message left it.
    Departed {
        /// The ordinal of the copy: among all copies of the run in a simulation,
        /// among all that this node sent on a real one. From 0.
        copy: u64,
        /// To whom.
        to: ReplicaId,
        /// What.
        content: Content<'a, M>,
        /// When it will arrive, on the same clock; empty if it is lost, two times if
        /// the network duplicates it. None where the host cannot know, as on a real
        /// network.
        arrivals_ns: Option<&'a [u64]>,
    },
    /// A copy of a message reached it, and the node is up. What waits there for a
    /// busy node has arrived.
    Arrived {
        /// The ordinal of the copy, where the host knows it: see
        /// [`Observation::Departed`].
        copy: Option<u64>,
        /// From whom.
        from: ReplicaId,
        /// What.
        content: Content<'a, M>,
    },
}

/// What passes from node to node.
#[derive(Debug)]
pub enum Content<'a, M> {
    /// A message of the protocol.
    Message(&'a M),
    /// Results for a gateway's clients.
    Reply(&'a ReplyBundle),
}

/// The kind of a reply to a gateway, beside the kinds of a protocol's messages.
pub const REPLY: &str = "reply";

impl<M: Wire> Content<'_, M> {
    /// The field's name for this kind of message.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Message(message) => message.kind(),
            Content::Reply(_) => REPLY,
        }
    }
}

// Written out because a derive would demand that messages are `Copy`.
impl<M> Clone for Content<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Content<'_, M> {}
impl<M> Clone for Observation<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Observation<'_, M> {}
