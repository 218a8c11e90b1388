//! A protocol that says what it hears, and a bench to put it on.

use adversary::{Adversary, Timer};
use kernel::keys::{Keyring, symbolic};
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation,
    Phase, Protocol, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, Status, To, View, ViewMark,
    ViewStatus, Wire as _,
};
use pbft::{Message, Vote};
use std::sync::Arc;

/// Says to all what it is sent, and counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Crier {
    pub(crate) received: usize,
    pub(crate) submitted: usize,
    pub(crate) rang: usize,
    pub(crate) view: View,
    /// Whether requests wait here, until something else comes.
    pub(crate) keeps_requests: bool,
    pub(crate) waiting: usize,
}

/// Its alarm.
pub(crate) type Alarm = u8;

impl Protocol for Crier {
    type Message = Message;
    type Timer = Alarm;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start => cx.set_timer(0, Micros(1)),
            Input::Resume => {}
            Input::Submit(bundle) => {
                self.submitted += 1;
                cx.send_all(Message::Requests(bundle));
            }
            Input::Deliver { message, .. } => {
                self.received += 1;
                let is_request = message.get().kind() == "request";
                self.waiting = usize::from(is_request && self.keeps_requests);
                cx.mark(Mark::View(ViewMark::Stable { seq: Seq(self.received as u64) }));
                cx.send_all(message.into_inner());
            }
            Input::Expire(_) => self.rang += 1,
        }
    }

    fn status(&self, _cluster: &Cluster) -> Status {
        Status {
            membership: None,
            views: Some(ViewStatus {
                view: self.view,
                changing_view: false,
                commander: ReplicaId(0),
                communication_node: None,
                stable_checkpoint: Seq(0),
                trust_milli: vec![],
            }),
            requests_waiting: self.waiting,
            ..Status::default()
        }
    }
}

pub(crate) type Effects = Vec<Effect<Adversary<Crier>>>;

/// One node of four with behaviours, and the keys of all.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) signers: Vec<Signer>,
    pub(crate) keyring: Keyring,
    pub(crate) id: usize,
    pub(crate) node: Adversary<Crier>,
    pub(crate) now: Micros,
    choose: SeededChoice,
}

pub(crate) fn bench(id: usize, behaviours: &[&str]) -> Bench {
    bench_in_view(id, behaviours, 0)
}

pub(crate) fn bench_in_view(id: usize, behaviours: &[&str], view: u64) -> Bench {
    let (signers, keyring) = symbolic(1, 4);
    let behaviours = behaviours.iter().map(|text| text.parse().unwrap()).collect();
    let crier = Crier { view: View(view), ..Crier::default() };
    Bench {
        cluster: Cluster::new(ClusterId::derive("bench", 1), "pbft", 4),
        signers,
        keyring,
        id,
        node: Adversary::new(crier, behaviours),
        now: Micros(0),
        choose: SeededChoice::new(1),
    }
}

impl Bench {
    pub(crate) fn step(&mut self, input: Input<Adversary<Crier>>) -> Effects {
        let mut effects = Vec::new();
        let mut cx =
            Context::new(&self.cluster, &self.signers[self.id], &mut self.choose, &mut effects).at(self.now);
        self.node.step(&mut cx, input);
        effects
    }

    pub(crate) fn expire(&mut self, timer: Timer<Alarm>) -> Effects {
        self.step(Input::Expire(timer))
    }

    pub(crate) fn deliver(&mut self, from: u16, message: &Message) -> Effects {
        let from = ReplicaId(from);
        let message = self.admission().admit(from, message.clone()).expect("admitted");
        self.step(Input::Deliver { from, message })
    }

    pub(crate) fn admission(&self) -> Admission {
        Admission::new(self.cluster.clone(), self.keyring.clone())
    }

    /// What the node sends when its replica says `message` to all.
    pub(crate) fn send_or_hold(&mut self, message: &Message) -> Vec<(To, Message)> {
        let from = (self.id as u16 + 2) % 4;
        sent(&self.deliver(from, message))
    }

    pub(crate) fn vote(&self, author: usize, phase: Phase, seq: u64, digest: Digest) -> Vote {
        Vote::sign(&self.cluster, &self.signers[author], phase, (View(0), Seq(seq), digest), None)
    }

    /// This node's own PREPARE for a slot.
    pub(crate) fn prepare(&self, seq: u64) -> Message {
        Message::Vote(self.vote(self.id, Phase::Prepare, seq, Digest::of(b"batch")))
    }

    pub(crate) fn bundle(&self, number: u64) -> Arc<Bundle> {
        let session = SessionId { gateway: ReplicaId(2), number };
        let request = Request { session, counter: 1, operation: Operation::new(b"x") };
        Arc::new(Bundle::sign(&self.cluster, &self.signers[2], vec![request]))
    }

    /// A proposal of so many bundles by the commander of view 0.
    pub(crate) fn proposal(&self, seq: u64, bundles: u64) -> Message {
        let batch = Batch { bundles: (0..bundles).map(|number| self.bundle(number)).collect() };
        Message::propose(&self.cluster, &self.signers[0], View(0), Seq(seq), Arc::new(batch), None).1
    }
}

/// The messages among the effects.
pub(crate) fn sent(effects: &Effects) -> Vec<(To, Message)> {
    let message = |effect: &Effect<_>| match effect {
        Effect::Send { to, message } => Some((*to, Message::clone(message))),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

/// The timers set among the effects.
pub(crate) fn timers(effects: &Effects) -> Vec<(Timer<Alarm>, Micros)> {
    let timer = |effect: &Effect<_>| match effect {
        Effect::SetTimer { timer, after } => Some((*timer, *after)),
        _ => None,
    };
    effects.iter().filter_map(timer).collect()
}

/// The same message for each of these.
pub(crate) fn to_each(ids: &[u16], message: &Message) -> Vec<(To, Message)> {
    ids.iter().map(|id| (To::One(ReplicaId(*id)), message.clone())).collect()
}

pub(crate) fn to_all(message: &Message) -> Vec<(To, Message)> {
    vec![(To::All, message.clone())]
}
