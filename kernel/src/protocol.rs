//! The central trait: a protocol is a pure state machine.

use crate::choose::Choose;
use crate::cluster::Cluster;
use crate::ids::{Digest, Micros, ReplicaId, Seq, View};
use crate::keys::Signer;
use crate::mark::Mark;
use crate::reply::ReplyBundle;
use crate::request::{Bundle, Operation, Output};
use crate::wire::{Falsify, Reason, Rejection, Verified};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A replica: an input goes in, effects come out through the context.
///
/// Inside there is no clock, socket, task, lock, randomness or map order. Bad
/// input is an effect ([`Effect::Reject`]), never an error and never a panic.
pub trait Protocol: Clone + Debug + Eq + Hash {
    /// What replicas send each other. That it can be falsified is what lets an
    /// adversary be put around any protocol.
    type Message: Falsify;
    /// What the replica waits for.
    type Timer: Copy + Debug + Ord + Hash + Serialize + DeserializeOwned;

    /// Takes one input.
    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>);

    /// What a person wants to know of the replica.
    fn status(&self, cluster: &Cluster) -> Status;

    /// A digest of all that was executed, alike on replicas that have executed as much: for those who compare
    /// them. It costs a copy of the state. None in a protocol whose replicas cannot be compared so.
    fn state_digest(&self) -> Option<Digest> {
        None
    }

    /// Flips a bit of the state that was executed, as defective memory would. Only an
    /// adversary does so, to its own replica. A protocol without state does nothing.
    fn corrupt_state(&mut self) {}

    /// Whether requests of its own clients would be proposed, as far as this replica, which is `own`, can tell. Else
    /// they are better asked elsewhere.
    fn takes_requests(&self, _own: ReplicaId) -> bool {
        true
    }

    /// Whether a message that was not admitted yet can wait, as this replica would do nothing because of it: a vote of
    /// which there are enough here already, for the same. A host may check such ones later, together. False if in doubt.
    fn may_wait(&self, _cluster: &Cluster, _message: &Self::Message) -> bool {
        false
    }

    /// Answers an operation that only reads from what this replica has executed so
    /// far, without agreement: the value may be out of date, and one replica alone
    /// may be faulty. None if the operation may change something, or if this
    /// replica's state is not to be trusted now. The state is not changed.
    fn query(&self, _operation: &Operation) -> Option<Reading> {
        None
    }
}

/// What can happen to a replica.
#[derive(Clone, Debug)]
pub enum Input<P: Protocol> {
    /// The host is ready. Comes once, first.
    Start,
    /// The host was started again, and the replica is as its journal says. What it sent without waiting for the journal
    /// ([`crate::WaitsFor::Nothing`]), and all that followed from it, it may not know of.
    Resume,
    /// A peer's message, admitted.
    Deliver {
        /// The peer.
        from: ReplicaId,
        /// The message.
        message: Verified<P::Message>,
    },
    /// A timer that was set ran out.
    Expire(P::Timer),
    /// The host hands over requests: its own gateway's, which it has signed, or those of
    /// a client with a key of its own, whose signature it has checked
    /// ([`crate::Admission::admit_bundles`]).
    Submit(Arc<Bundle>),
}

impl<P: Protocol> Input<P> {
    /// The same input for another protocol with the same messages and timers.
    pub fn of<Q: Protocol<Message = P::Message, Timer = P::Timer>>(self) -> Input<Q> {
        match self {
            Input::Start => Input::Start,
            Input::Resume => Input::Resume,
            Input::Deliver { from, message } => Input::Deliver { from, message },
            Input::Expire(timer) => Input::Expire(timer),
            Input::Submit(bundle) => Input::Submit(bundle),
        }
    }
}

/// Whom a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// Every replica but the sender.
    All,
    /// One replica, never the sender itself.
    One(ReplicaId),
}

/// What a replica wants done. The host carries effects out in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<P: Protocol> {
    /// Send a message.
    Send {
        /// Whom to.
        to: To,
        /// What.
        message: P::Message,
    },
    /// Start a timer, or start it anew.
    SetTimer {
        /// Which.
        timer: P::Timer,
        /// From now.
        after: Micros,
    },
    /// Forget a timer.
    CancelTimer(P::Timer),
    /// Results for whoever asked; `to` may be this node itself.
    Reply {
        /// The node or client that the replies go to.
        to: ReplicaId,
        /// The results.
        bundle: ReplyBundle,
    },
    /// A peer's message was of no use.
    Reject(Rejection),
    /// Something worth knowing happened.
    Mark(Mark),
}

impl<P: Protocol> Effect<P> {
    /// The same effect of another protocol with the same messages and timers.
    pub fn of<Q: Protocol<Message = P::Message, Timer = P::Timer>>(self) -> Effect<Q> {
        match self {
            Effect::Send { to, message } => Effect::Send { to, message },
            Effect::SetTimer { timer, after } => Effect::SetTimer { timer, after },
            Effect::CancelTimer(timer) => Effect::CancelTimer(timer),
            Effect::Reply { to, bundle } => Effect::Reply { to, bundle },
            Effect::Reject(rejection) => Effect::Reject(rejection),
            Effect::Mark(mark) => Effect::Mark(mark),
        }
    }
}

/// What the host lends a replica for one step. None of it is state.
pub struct Context<'a, P: Protocol> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// This replica's identity and key.
    pub signer: &'a Signer,
    /// Every random decision goes through this.
    pub choose: &'a mut dyn Choose,
    /// Time since the host started, for rules that measure how long a peer took
    /// (the published flow's trust) and for nothing else: what is waited for has
    /// a timer. A checker lends 0.
    pub now: Micros,
    pub(crate) effects: &'a mut Vec<Effect<P>>,
}

impl<'a, P: Protocol> Context<'a, P> {
    /// A context that appends to `effects`.
    pub fn new(
        cluster: &'a Cluster,
        signer: &'a Signer,
        choose: &'a mut dyn Choose,
        effects: &'a mut Vec<Effect<P>>,
    ) -> Self {
        Context { cluster, signer, choose, now: Micros(0), effects }
    }

    /// The same context at a time of the host's.
    pub fn at(mut self, now: Micros) -> Self {
        self.now = now;
        self
    }

    /// This replica.
    pub fn id(&self) -> ReplicaId {
        self.signer.id()
    }

    /// Appends an effect.
    pub fn push(&mut self, effect: Effect<P>) {
        self.effects.push(effect);
    }

    /// Sends to every other replica.
    pub fn send_all(&mut self, message: P::Message) {
        self.push(Effect::Send { to: To::All, message });
    }

    /// Sends to one other replica; to itself it sends nothing.
    pub fn send(&mut self, to: ReplicaId, message: P::Message) {
        if to != self.id() {
            self.push(Effect::Send { to: To::One(to), message });
        }
    }

    /// Starts a timer.
    pub fn set_timer(&mut self, timer: P::Timer, after: Micros) {
        self.push(Effect::SetTimer { timer, after });
    }

    /// Forgets a timer.
    pub fn cancel_timer(&mut self, timer: P::Timer) {
        self.push(Effect::CancelTimer(timer));
    }

    /// Leaves a mark.
    pub fn mark(&mut self, mark: Mark) {
        self.push(Effect::Mark(mark));
    }

    /// Refuses a peer's vote, proposal or certificate.
    pub fn reject(&mut self, from: ReplicaId, seq: Option<Seq>, reason: Reason) {
        self.push(Effect::Reject(Rejection {
            from,
            seq,
            corrupt_vote: seq.is_some() && reason.is_offence(),
            reason,
        }));
    }
}

/// What a replica reads from its own state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The state read: as of this slot, see [`Status::last_executed`].
    pub as_of: Seq,
    /// The answer.
    pub output: Output,
}

/// What a person wants to know of a replica: what every protocol has. Part of
/// `GET /status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// It lost its memory and does not vote yet.
    pub recovering: bool,
    /// Its state is known to be wrong: it answers nothing from it until it has taken over
    /// the proven one.
    pub diverged: bool,
    /// How often its state was found to be wrong since it began.
    pub divergences: u64,
    /// The highest slot executed, 0 if none; in a protocol without slots, how many
    /// requests were executed.
    pub last_executed: Seq,
    /// Slots begun and not executed; in a protocol without slots, requests.
    pub slots_in_flight: usize,
    /// Requests that this replica has still to propose.
    pub requests_waiting: usize,
    /// None in a protocol without views.
    #[serde(flatten)]
    pub views: Option<ViewStatus>,
    /// None in a protocol whose members never change: all replicas are.
    #[serde(flatten)]
    pub membership: Option<MembershipStatus>,
}

/// What only a replica of a protocol has whose members change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipStatus {
    /// How many generations of members there were before this one.
    pub generation: u64,
    /// Who they are.
    pub members: Vec<ReplicaId>,
    /// How many of them decide.
    pub members_quorum: usize,
    /// Changes that some have asked for and that are not agreed upon.
    pub changes_asked: Vec<ChangeStatus>,
}

/// A change of members that is not agreed upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// What changes, in words.
    pub change: String,
    /// The members that have asked for it.
    pub asked_by: Vec<ReplicaId>,
}

/// What only a replica of a protocol with views has: one commander at a time, and
/// checkpoints behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewStatus {
    /// Its view.
    pub view: View,
    /// It has voted to leave for `view`, which has not begun here yet.
    pub changing_view: bool,
    /// The view's commander.
    pub commander: ReplicaId,
    /// The current vote collector, as far as this replica knows (CCRO).
    pub communication_node: Option<ReplicaId>,
    /// The last stable checkpoint, 0 if none.
    pub stable_checkpoint: Seq,
    /// The trust in each node by id, in thousandths, from which roles follow
    /// (`ccro-paper`); empty in other flows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_milli: Vec<u16>,
}
