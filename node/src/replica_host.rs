//! The loop that steps the replica: frames, timers and requests in, effects out.

use crate::clock::now_ns;
use crate::config::{LinkConditions, NodeConfig};
use crate::counters::{Amount, Counters};
use crate::frame::{Frame, encode};
use crate::gateway::{Gateway, first_session_now};
use crate::inbox::{Inbox, Incoming};
use crate::link::{Link, LinkTarget};
use crate::server;
use crate::slots::{SLOTS_KEPT, SlotLog};
use crate::timers::{Alarm, Timers};
use adversary::{Adversary, Timer};
use anyhow::Context as _;
use bytes::Bytes;
use kernel::{
    Admission, Bundle, Choose as _, Context, Effect, Falsify, Input, Mark, Micros, Protocol, Reason,
    Rejection, ReplicaId, ReplyBundle, SeededChoice, Signer, To, Verified, Wire,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Frames handled in one turn: enough for signatures to be checked in good
/// batches, few enough that answers and timers need not wait long.
const FRAMES_PER_TURN: usize = 64;

/// What the host and the HTTP tasks of one node share.
pub(crate) struct Shared<P: Protocol>
where
    P::Message: Falsify,
{
    pub(crate) config: NodeConfig,
    pub(crate) replica: RefCell<Adversary<P>>,
    pub(crate) signer: Signer,
    pub(crate) admission: RefCell<Admission>,
    pub(crate) gateway: RefCell<Gateway>,
    pub(crate) counters: RefCell<Counters>,
    pub(crate) slots: RefCell<SlotLog>,
    /// By id; none to itself.
    pub(crate) links: Vec<Option<Rc<Link>>>,
    /// What the network does to messages now.
    pub(crate) link_conditions: RefCell<LinkConditions>,
    pub(crate) inbox: Inbox<P::Message>,
    /// Tells the host that there is work.
    pub(crate) wake: Notify,
    /// Bytes of frames that have begun to come in, over all peer links.
    pub(crate) unfinished: Cell<usize>,
    /// Bytes of clients' bodies that have begun to come in, over all connections.
    pub(crate) unfinished_bodies: Cell<usize>,
    /// The behaviours were changed: those that act by themselves must begin.
    pub(crate) roused: Cell<bool>,
    /// When this node began, for conditions and measurements of time.
    started_ns: u64,
}

impl<P: Protocol> Shared<P> {
    /// Time since the node began.
    pub(crate) fn elapsed(&self) -> Micros {
        Micros(now_ns().saturating_sub(self.started_ns) / 1000)
    }

    /// Whether the node is cut off by fault injection.
    pub(crate) fn is_offline(&self) -> bool {
        self.replica.borrow().is_offline(&self.config.cluster, self.elapsed())
    }
}

impl<P: Protocol> Shared<P>
where
    P::Message: Falsify,
{
    /// Whether the network lets nothing through to and from this peer.
    fn is_cut(&self, peer: ReplicaId) -> bool {
        self.link_conditions.borrow().cut.contains(&peer)
    }
}

/// Runs one node until `shutdown` completes. `listener` is bound already;
/// `ready` is called once requests are being served. Must run inside a tokio
/// `LocalSet` on a runtime with I/O and time enabled. All of the node's tasks
/// end with the returned future.
pub async fn run<P>(
    config: NodeConfig,
    replica: Adversary<P>,
    listener: std::net::TcpListener,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()>
where
    P: Protocol + 'static,
    P::Message: Falsify,
{
    let keyring = config.validate().context("this node's configuration cannot be used")?;
    listener.set_nonblocking(true).context("cannot make the listening socket non-blocking")?;
    let listener =
        tokio::net::TcpListener::from_std(listener).context("cannot serve on the listening socket")?;
    let links = config.cluster.replicas().map(|id| (id != config.id).then(Rc::<Link>::default)).collect();
    let timeout_ns = config.timeout_us.saturating_mul(1000);
    let replies_needed = config.faulty_tolerated + 1;
    let shared = Rc::new(Shared {
        replica: RefCell::new(replica),
        signer: Signer::new(config.id, &config.secret),
        admission: RefCell::new(Admission::new(config.cluster.clone(), keyring)),
        gateway: RefCell::new(Gateway::new(config.id, replies_needed, timeout_ns, first_session_now())),
        counters: RefCell::new(Counters::default()),
        slots: RefCell::new(SlotLog::new(SLOTS_KEPT)),
        links,
        link_conditions: RefCell::new(config.link.clone()),
        inbox: Inbox::new(),
        wake: Notify::new(),
        unfinished: Cell::new(0),
        unfinished_bodies: Cell::new(0),
        roused: Cell::new(false),
        started_ns: now_ns(),
        config,
    });
    let mut tasks = JoinSet::new();
    start_links(&shared, &mut tasks);
    let host = Host::new(Rc::clone(&shared)).context("cannot create the node's alarm")?;
    ready();
    tokio::select! {
        stopped = host.run() => stopped.context("the node's alarm failed"),
        never = server::serve(shared, listener, &mut tasks) => match never {},
        () = shutdown => Ok(()),
    }
}

fn start_links<P: Protocol>(shared: &Shared<P>, tasks: &mut JoinSet<()>)
where
    P::Message: Falsify,
{
    let config = &shared.config;
    for (link, address) in shared.links.iter().zip(&config.addresses) {
        let Some(link) = link else { continue };
        let target = LinkTarget {
            address: *address,
            cluster: config.cluster.id.to_string(),
            from: config.id,
            encoding: config.encoding,
        };
        tasks.spawn_local(Rc::clone(link).run(target));
    }
}

/// A message on its way through an injected delay.
struct Delayed {
    due_ns: u64,
    to: ReplicaId,
    frame: Bytes,
}

struct Host<P: Protocol>
where
    P::Message: Falsify,
{
    shared: Rc<Shared<P>>,
    timers: Timers<Timer<P::Timer>>,
    alarm: Alarm,
    choose: SeededChoice,
    /// Apart from the replica's choices: the network's luck is its own.
    loss: SeededChoice,
    /// In the order of time: the delay is the same for all.
    delayed: VecDeque<Delayed>,
    effects: Vec<Effect<Adversary<P>>>,
}

impl<P> Host<P>
where
    P: Protocol + 'static,
    P::Message: Falsify,
{
    fn new(shared: Rc<Shared<P>>) -> std::io::Result<Host<P>> {
        let seed = shared.config.seed;
        Ok(Host {
            timers: Timers::new(),
            alarm: Alarm::new()?,
            choose: SeededChoice::new(seed),
            loss: SeededChoice::new(seed ^ 0x6c6f_7373),
            delayed: VecDeque::new(),
            effects: Vec::new(),
            shared,
        })
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.step(Input::Start);
        loop {
            let due = self.next_due();
            self.alarm.arm(due)?;
            let shared = Rc::clone(&self.shared);
            tokio::select! {
                biased;
                () = shared.wake.notified() => {}
                rang = self.alarm.rung() => rang?,
            }
            self.turn();
            while !shared.inbox.is_empty() || shared.gateway.borrow().has_submissions() {
                tokio::task::yield_now().await;
                self.turn();
            }
        }
    }

    fn next_due(&mut self) -> Option<u64> {
        let delayed = self.delayed.front().map(|delayed| delayed.due_ns);
        let deadline = self.shared.gateway.borrow_mut().next_deadline();
        [self.timers.next_due(), delayed, deadline].into_iter().flatten().min()
    }

    /// Handles what has come up, within bounds.
    fn turn(&mut self) {
        let now = now_ns();
        while let Some(timer) = self.timers.pop_due(now) {
            self.step(Input::Expire(timer));
        }
        let mut incoming = self.shared.inbox.take(FRAMES_PER_TURN);
        incoming.retain(|incoming| !self.shared.is_cut(incoming.from));
        // A node that is offline does not even look at what it is sent.
        if !self.shared.is_offline() {
            self.receive(incoming);
        }
        if self.shared.roused.take() {
            self.step(Input::Expire(Adversary::<P>::ROUSE));
        }
        self.submit();
        self.release_delayed(now);
        self.shared.gateway.borrow_mut().expire(now);
    }

    fn receive(&mut self, incoming: Vec<Incoming<P::Message>>) {
        let mut messages = Vec::with_capacity(incoming.len());
        let mut replies = Vec::new();
        {
            let received = &mut self.shared.counters.borrow_mut().received;
            for Incoming { from, frame, bytes } in incoming {
                let amount = Amount { messages: 1, bytes: bytes as u64 };
                match frame {
                    Frame::Protocol(message) => {
                        received.count(message.kind(), message.class(), amount);
                        messages.push((from, message));
                    }
                    Frame::Reply(bundle) => {
                        received.count_reply(amount);
                        replies.push(bundle);
                    }
                }
            }
        }
        let senders: Vec<ReplicaId> = messages.iter().map(|(from, _)| *from).collect();
        let admitted = self.shared.admission.borrow_mut().admit_all(messages);
        for (from, admitted) in senders.into_iter().zip(admitted) {
            match admitted {
                Ok(message) => self.deliver(from, message),
                Err(rejection) => self.refuse(&rejection),
            }
        }
        for bundle in replies {
            self.accept_reply(&bundle);
        }
    }

    fn deliver(&mut self, from: ReplicaId, message: Verified<P::Message>) {
        self.step(Input::Deliver { from, message });
    }

    /// A peer's replies to this node's clients.
    fn accept_reply(&mut self, bundle: &ReplyBundle) {
        let config = &self.shared.config;
        if bundle.gateway != config.id || !config.cluster.contains(bundle.replica) {
            self.shared.counters.borrow_mut().refused(Reason::NotEntitled);
            return;
        }
        // Late replies are many and useless: do not check their signatures.
        if !self.shared.gateway.borrow().awaits(bundle) {
            return;
        }
        let claim = bundle.claim(&config.cluster);
        if self.shared.admission.borrow_mut().check(&claim) {
            self.count_reply(bundle);
        } else {
            self.shared.counters.borrow_mut().refused(Reason::BadSignature);
        }
    }

    fn count_reply(&self, bundle: &ReplyBundle) {
        let corrupt = self.shared.gateway.borrow_mut().add(bundle, now_ns());
        self.shared.counters.borrow_mut().corrupt_replies += corrupt as u64;
    }

    /// Signs and submits the clients' requests that wait for no more.
    fn submit(&mut self) {
        let config = &self.shared.config;
        let groups = self.shared.gateway.borrow_mut().take_submissions(config.batch_max);
        for requests in groups {
            let shared = &self.shared;
            let bundle = Bundle::sign(&shared.config.cluster, &shared.signer, requests);
            let bundle = Arc::new(bundle);
            shared.gateway.borrow_mut().handed_over(&bundle, now_ns());
            self.step(Input::Submit(bundle));
        }
        let now = now_ns();
        while let Some(bundle) = { self.shared.gateway.borrow_mut().overdue(now) } {
            self.step(Input::Submit(bundle));
        }
    }

    fn step(&mut self, input: Input<Adversary<P>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let shared = Rc::clone(&self.shared);
        let mut cx = Context::new(&shared.config.cluster, &shared.signer, &mut self.choose, &mut effects)
            .at(shared.elapsed());
        shared.replica.borrow_mut().step(&mut cx, input);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect<Adversary<P>>) {
        match effect {
            Effect::Send { to, message } => self.send(to, &message),
            Effect::SetTimer { timer, after } => self.timers.set(timer, after, now_ns()),
            Effect::CancelTimer(timer) => self.timers.cancel(timer),
            Effect::Reply { to, bundle } if to == self.shared.config.id => self.count_reply(&bundle),
            Effect::Reply { to, bundle } => {
                let amount = self.send_frame(To::One(to), &Frame::Reply(&bundle));
                if amount.messages > 0 {
                    self.shared.counters.borrow_mut().sent.count_reply(amount);
                }
            }
            Effect::Reject(rejection) => self.refuse(&rejection),
            Effect::Mark(mark) => self.note(&mark),
        }
    }

    fn note(&self, mark: &Mark) {
        if matches!(mark, Mark::Committed { .. }) {
            self.shared.counters.borrow_mut().decided_slots += 1;
        }
        self.shared.slots.borrow_mut().note(mark, now_ns());
    }

    fn refuse(&self, rejection: &Rejection) {
        self.shared.counters.borrow_mut().refused(rejection.reason);
        if let (true, Some(seq)) = (rejection.corrupt_vote, rejection.seq) {
            self.shared.slots.borrow_mut().note_refused(seq, rejection.from, rejection.reason);
        }
    }

    fn send(&mut self, to: To, message: &P::Message) {
        self.shared.admission.borrow_mut().vouch(self.shared.config.id, message);
        let amount = self.send_frame(to, &Frame::Protocol(message));
        if amount.messages > 0 {
            let sent = &mut self.shared.counters.borrow_mut().sent;
            sent.count(message.kind(), message.class(), amount);
        }
    }

    /// Writes a frame once and hands it to the link of every recipient. Returns
    /// what that amounts to: nothing, if the frame cannot be sent at all.
    fn send_frame(&mut self, to: To, frame: &Frame<&P::Message, &ReplyBundle>) -> Amount {
        let shared = Rc::clone(&self.shared);
        let bytes = match encode(frame, shared.config.encoding) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "message not sent; fewer or smaller requests per batch help");
                shared.counters.borrow_mut().dropped_messages += 1;
                return Amount::default();
            }
        };
        let mut copies: u64 = 0;
        let mut hand_over = |id: ReplicaId| {
            if let Some(Some(link)) = shared.links.get(usize::from(id.0)) {
                copies += 1;
                self.transmit(link, id, bytes.clone());
            }
        };
        match to {
            To::One(id) => hand_over(id),
            To::All => shared.config.cluster.replicas().for_each(hand_over),
        }
        let amount = Amount { messages: copies, bytes: copies * bytes.len() as u64 };
        shared.counters.borrow_mut().sent.bytes += amount.bytes;
        amount
    }

    /// One message to one peer, under the injected conditions.
    fn transmit(&mut self, link: &Link, to: ReplicaId, frame: Bytes) {
        let conditions = self.shared.link_conditions.borrow();
        if conditions.cut.contains(&to) {
            return;
        }
        if conditions.loss > 0.0 && self.loss.chance(conditions.loss) {
            return;
        }
        if conditions.delay_us == 0 {
            link.push(frame);
        } else {
            let due_ns = now_ns().saturating_add(conditions.delay_us.saturating_mul(1000));
            self.delayed.push_back(Delayed { due_ns, to, frame });
        }
    }

    fn release_delayed(&mut self, now: u64) {
        while self.delayed.front().is_some_and(|next| next.due_ns <= now) {
            let Some(Delayed { to, frame, .. }) = self.delayed.pop_front() else {
                return;
            };
            if self.shared.is_cut(to) {
                continue;
            }
            if let Some(Some(link)) = self.shared.links.get(usize::from(to.0)) {
                link.push(frame);
            }
        }
    }
}
