//! The loop that steps the replica: frames, timers and requests in, effects out.

use super::counters::Amount;
use super::inbox::{FromClient, Incoming};
use super::node::Node;
use super::timers::{Alarm, Running, Timers};
use crate::clock::now_ns;
use crate::links::frame::{Frame, encode};
use crate::links::outgoing::Link;
use crate::tally::Tally;
use adversary::{Adversary, Timer};
use bytes::Bytes;
use client::link;
use kernel::{
    Bundle, Choose as _, Class, Content, Context, Effect, Input, Mark, Observation, Observer, Protocol,
    Reason, Rejection, ReplicaId, ReplyBundle, SeededChoice, To, Verified, ViewMark, Wire,
};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Frames handled in one iteration: enough for signatures to be checked in good
/// batches, few enough that answers and timers need not wait long.
const FRAMES_PER_ITERATION: usize = 64;

/// The name under which clients' requests are counted, as protocols have it for peers'.
const REQUEST_KIND: &str = "request";

/// A message that waits for its injected delay.
struct Delayed {
    due_ns: u64,
    to: ReplicaId,
    frame: Bytes,
}

/// The host's event loop.
pub(crate) struct EventLoop<P: Protocol> {
    node: Rc<Node<P>>,
    timers: Timers<Timer<P::Timer>>,
    alarm: Alarm,
    choose: SeededChoice,
    /// Which messages are lost: not drawn from the replica's choices.
    loss: SeededChoice,
    /// In the order of time: the delay is the same for all.
    delayed: VecDeque<Delayed>,
    effects: Vec<Effect<Adversary<P>>>,
    observer: Option<Observer<P::Message>>,
    /// Copies of messages that have left this node.
    copies_sent: u64,
}

impl<P: Protocol> EventLoop<P> {
    pub(crate) fn new(
        node: Rc<Node<P>>,
        observer: Option<Observer<P::Message>>,
    ) -> std::io::Result<EventLoop<P>> {
        let seed = node.config.seed;
        Ok(EventLoop {
            timers: Timers::new(),
            alarm: Alarm::new()?,
            choose: SeededChoice::new(seed),
            loss: SeededChoice::new(seed ^ 0x6c6f_7373),
            delayed: VecDeque::new(),
            effects: Vec::new(),
            observer,
            copies_sent: 0,
            node,
        })
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self) -> std::io::Result<()> {
        self.step(Input::Start);
        loop {
            let due = self.next_due();
            self.alarm.arm(due)?;
            let node = Rc::clone(&self.node);
            tokio::select! {
                biased;
                () = node.wake.notified() => {}
                rang = self.alarm.rung() => rang?,
            }
            self.iterate();
            while !node.arrivals.inbox.is_empty()
                || !node.arrivals.from_clients.is_empty()
                || node.gateway.borrow().has_submissions()
            {
                tokio::task::yield_now().await;
                self.iterate();
            }
        }
    }

    fn next_due(&mut self) -> Option<u64> {
        let delayed = self.delayed.front().map(|delayed| delayed.due_ns);
        let deadline = self.node.gateway.borrow_mut().next_deadline();
        [self.timers.next_due(), delayed, deadline].into_iter().flatten().min()
    }

    /// Handles what has come up, within bounds.
    fn iterate(&mut self) {
        let now = now_ns();
        self.set_behaviours();
        let mut incoming = self.node.arrivals.inbox.take(FRAMES_PER_ITERATION);
        incoming.retain(|incoming| !self.node.is_cut(incoming.from));
        let from_clients = self.node.arrivals.from_clients.take(FRAMES_PER_ITERATION);
        // A node that is offline does not even look at what it is sent.
        if !self.node.is_offline() {
            self.receive(incoming);
            self.receive_from_clients(from_clients);
        }
        // After what has arrived, as that may be what a timer waits for.
        self.expire_timers(now);
        self.submit();
        self.release_delayed(now);
        self.node.gateway.borrow_mut().expire(now);
    }

    /// Steps the replica with the timers that have run out. Its own run on while large
    /// messages are carried (`crate::carried`); those of an adversary do not.
    fn expire_timers(&mut self, now: u64) {
        let node = Rc::clone(&self.node);
        let extension = |timer: &Timer<P::Timer>, running: &Running| {
            if !matches!(timer, Timer::Inner { .. }) {
                return 0;
            }
            let more = node.extension_ns(running.wait_ns, running.carried_before);
            node.engine.counters.borrow_mut().timers_extended += u64::from(more > 0);
            more
        };
        while let Some(timer) = self.timers.pop_due(now, extension) {
            self.step(Input::Expire(timer));
        }
    }

    /// Puts new behaviours on the replica: those that act by themselves begin.
    fn set_behaviours(&mut self) {
        let Some(behaviours) = self.node.controls.new_behaviours.take() else { return };
        self.node.engine.replica.borrow_mut().set_behaviours(behaviours);
        self.step(Input::Expire(Adversary::<P>::BEHAVIOURS_CHANGED));
        self.node.controls.behaviours_set.notify_waiters();
    }

    /// Tells the observer, if there is one.
    fn observe(&mut self, observation: Observation<'_, P::Message>) {
        if let Some(observer) = &mut self.observer {
            observer(now_ns(), self.node.config.id, observation);
        }
    }

    fn observe_arrivals(&mut self, incoming: &[Incoming<P::Message>]) {
        for Incoming { from, frame, .. } in incoming {
            let content = match frame {
                Frame::Protocol(message) => Content::Message(message),
                Frame::Reply { bundle, .. } => Content::Reply(bundle),
            };
            self.observe(Observation::Arrived { copy: None, from: *from, content });
        }
    }

    fn receive(&mut self, incoming: Vec<Incoming<P::Message>>) {
        if self.observer.is_some() {
            self.observe_arrivals(&incoming);
        }
        let mut messages = Vec::with_capacity(incoming.len());
        let mut replies = Vec::new();
        {
            let received = &mut self.node.engine.counters.borrow_mut().received;
            for Incoming { from, frame, bytes } in incoming {
                let amount = Amount { messages: 1, bytes: bytes as u64 };
                match frame {
                    Frame::Protocol(message) => {
                        received.count(message.kind(), message.class(), amount);
                        messages.push((from, message));
                    }
                    Frame::Reply { bundle, votes } => {
                        received.count_reply(amount);
                        replies.push((from, bundle, votes));
                    }
                }
            }
        }
        let senders: Vec<ReplicaId> = messages.iter().map(|(from, _)| *from).collect();
        let admitted = self.node.engine.admission.borrow_mut().admit_all(messages);
        for (from, admitted) in senders.into_iter().zip(admitted) {
            match admitted {
                Ok(message) => self.deliver(from, message),
                Err(rejection) => self.refuse(&rejection),
            }
        }
        for (from, bundle, votes) in replies {
            self.accept_reply(from, &bundle, votes);
        }
    }

    /// Requests of clients with keys of their own.
    fn receive_from_clients(&mut self, incoming: Vec<FromClient>) {
        if incoming.is_empty() {
            return;
        }
        let mut bundles = Vec::with_capacity(incoming.len());
        for FromClient { client, bundle, bytes } in incoming {
            let received = &mut self.node.engine.counters.borrow_mut().received;
            received.count(REQUEST_KIND, Class::Request, Amount { messages: 1, bytes: bytes as u64 });
            bundles.push((client, bundle));
        }
        let verdicts = self.node.engine.admission.borrow_mut().admit_bundles(&bundles);
        for ((from, bundle), verdict) in bundles.into_iter().zip(verdicts) {
            match verdict {
                Ok(()) => self.step(Input::Submit(bundle)),
                Err(reason) => self.refuse(&Rejection { from, seq: None, corrupt_vote: false, reason }),
            }
        }
    }

    fn deliver(&mut self, from: ReplicaId, message: Verified<P::Message>) {
        self.step(Input::Deliver { from, message });
    }

    /// A peer's replies to this node's clients.
    fn accept_reply(&mut self, from: ReplicaId, bundle: &ReplyBundle, votes: Tally) {
        let config = &self.node.config;
        if bundle.gateway != config.id || !config.cluster.contains(bundle.replica) {
            self.node.engine.counters.borrow_mut().refused(Reason::NotEntitled);
            return;
        }
        let engine = &self.node.engine;
        // Late replies are many and decide nothing: do not check their signatures.
        if !self.node.gateway.borrow().awaits(bundle) {
            if from == bundle.replica {
                engine.reported_tallies.borrow_mut().note_late(bundle.seq, from, votes);
            }
            return;
        }
        let claim = bundle.claim(&config.cluster);
        if engine.admission.borrow_mut().check(&claim) {
            engine.reported_tallies.borrow_mut().note(bundle.seq, bundle.replica, votes);
            self.count_reply(bundle);
        } else {
            self.node.engine.counters.borrow_mut().refused(Reason::BadSignature);
        }
    }

    fn count_reply(&self, bundle: &ReplyBundle) {
        let corrupt = self.node.gateway.borrow_mut().add(bundle, now_ns());
        self.node.engine.counters.borrow_mut().corrupt_replies += corrupt as u64;
    }

    /// Signs and submits the clients' requests that wait for no more.
    fn submit(&mut self) {
        let config = &self.node.config;
        let groups = self.node.gateway.borrow_mut().take_submissions(config.batch_max);
        for requests in groups {
            let node = &self.node;
            let bundle = Bundle::sign(&node.config.cluster, &node.signer, requests);
            let bundle = Arc::new(bundle);
            node.gateway.borrow_mut().handed_over(&bundle, now_ns(), node.carried());
            self.step(Input::Submit(bundle));
        }
        let now = now_ns();
        let node = Rc::clone(&self.node);
        let extension = |wait_ns, before| node.extension_ns(wait_ns, before);
        let overdue = || node.gateway.borrow_mut().overdue(now, node.carried(), extension);
        while let Some(bundle) = overdue() {
            self.step(Input::Submit(bundle));
        }
    }

    fn step(&mut self, input: Input<Adversary<P>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let node = Rc::clone(&self.node);
        let mut cx = Context::new(&node.config.cluster, &node.signer, &mut self.choose, &mut effects)
            .at(node.elapsed());
        node.engine.replica.borrow_mut().step(&mut cx, input);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect<Adversary<P>>) {
        match effect {
            Effect::Send { to, message } => self.send(to, &message),
            Effect::SetTimer { timer, after } => self.timers.set(timer, after, now_ns(), self.node.carried()),
            Effect::CancelTimer(timer) => self.timers.cancel(timer),
            Effect::Reply { to, bundle } if to == self.node.config.id => self.count_reply(&bundle),
            Effect::Reply { to, bundle } if self.node.config.cluster.is_client(to) => {
                self.reply_to_client(to, &bundle);
            }
            Effect::Reply { to, bundle } => {
                let votes = self.node.engine.slot_log.borrow().tally(bundle.seq);
                let amount = self.send_frame(To::One(to), &Frame::Reply { bundle: &bundle, votes });
                if amount.messages > 0 {
                    self.node.engine.counters.borrow_mut().sent.count_reply(amount);
                }
            }
            Effect::Reject(rejection) => self.refuse(&rejection),
            Effect::Mark(mark) => self.note(&mark),
        }
    }

    fn reply_to_client(&self, to: ReplicaId, bundle: &ReplyBundle) {
        let node = &self.node;
        if !node.client_links.is_linked(to) {
            return;
        }
        let counters = &mut node.engine.counters.borrow_mut();
        match link::encode(&link::FromNode::Reply(bundle), link::MAX_NODE_FRAME_BYTES) {
            Ok(frame) => {
                let frame = Bytes::from(frame);
                let messages = node.client_links.send(to, &frame);
                let amount = Amount { messages, bytes: messages * frame.len() as u64 };
                counters.sent.count_reply(amount);
                counters.sent_bytes += amount.bytes;
            }
            Err(error) => {
                tracing::error!(%error, client = %to, "reply not sent; requests with smaller results help");
                counters.dropped_messages += 1;
            }
        }
    }

    fn note(&mut self, mark: &Mark) {
        self.observe(Observation::Mark(mark));
        log(mark);
        self.node.engine.counters.borrow_mut().note(mark);
        self.node.engine.slot_log.borrow_mut().note(mark, now_ns());
    }

    fn refuse(&mut self, rejection: &Rejection) {
        self.observe(Observation::Rejection(rejection));
        self.node.engine.counters.borrow_mut().refused(rejection.reason);
        if let (true, Some(seq)) = (rejection.corrupt_vote, rejection.seq) {
            self.node.engine.slot_log.borrow_mut().note_refused(seq, rejection.from, rejection.reason);
        }
    }

    fn send(&mut self, to: To, message: &P::Message) {
        self.node.engine.admission.borrow_mut().vouch(self.node.config.id, message);
        let amount = self.send_frame(to, &Frame::Protocol(message));
        if amount.messages > 0 {
            let sent = &mut self.node.engine.counters.borrow_mut().sent;
            sent.count(message.kind(), message.class(), amount);
        }
    }

    /// Writes a frame once and hands it to the link of every recipient. Returns
    /// what that amounts to: nothing, if the frame cannot be sent at all.
    fn send_frame(&mut self, to: To, frame: &Frame<&P::Message, &ReplyBundle>) -> Amount {
        let node = Rc::clone(&self.node);
        let bytes = match encode(frame, node.config.encoding) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "message not sent; fewer or smaller requests per batch help");
                node.engine.counters.borrow_mut().dropped_messages += 1;
                return Amount::default();
            }
        };
        let content = match *frame {
            Frame::Protocol(message) => Content::Message(message),
            Frame::Reply { bundle, .. } => Content::Reply(bundle),
        };
        let mut copies: u64 = 0;
        let mut hand_over = |id: ReplicaId| {
            if let Some(Some(link)) = node.links.get(usize::from(id.0)) {
                copies += 1;
                self.transmit(link, id, bytes.clone(), content);
            }
        };
        match to {
            To::One(id) => hand_over(id),
            To::All => node.config.cluster.replicas().for_each(hand_over),
        }
        let amount = Amount { messages: copies, bytes: copies * bytes.len() as u64 };
        node.engine.counters.borrow_mut().sent_bytes += amount.bytes;
        amount
    }

    /// One message to one peer, under the injected conditions.
    fn transmit(&mut self, link: &Link, to: ReplicaId, frame: Bytes, content: Content<'_, P::Message>) {
        let (is_cut, loss, delay_us) = {
            let conditions = self.node.controls.link_conditions.borrow();
            (conditions.cut.contains(&to), conditions.loss, conditions.delay_us)
        };
        let is_lost = is_cut || (loss > 0.0 && self.loss.chance(loss));
        // On a real network nobody knows when it arrives, only that it never does.
        let arrivals_ns = is_lost.then_some([].as_slice());
        self.observe(Observation::Departed { copy: self.copies_sent, to, content, arrivals_ns });
        self.copies_sent += 1;
        if is_lost {
            return;
        }
        if delay_us == 0 {
            link.push(frame);
        } else {
            let due_ns = now_ns().saturating_add(delay_us.saturating_mul(1000));
            self.delayed.push_back(Delayed { due_ns, to, frame });
        }
    }

    fn release_delayed(&mut self, now: u64) {
        while self.delayed.front().is_some_and(|next| next.due_ns <= now) {
            let Some(Delayed { to, frame, .. }) = self.delayed.pop_front() else {
                return;
            };
            if self.node.is_cut(to) {
                continue;
            }
            if let Some(Some(link)) = self.node.links.get(usize::from(to.0)) {
                link.push(frame);
            }
        }
    }
}

/// Tells an operator what seldom happens and matters.
fn log(mark: &Mark) {
    match mark {
        Mark::View(ViewMark::LeftFor { view }) => {
            tracing::warn!(%view, "leaves its view and asks for this one")
        }
        Mark::View(ViewMark::ViewBegan { view }) => tracing::warn!(%view, "a view begins"),
        Mark::View(ViewMark::FellBack { seq, communication_node }) => {
            tracing::warn!(%seq, %communication_node, "gives up on the slot's communication node");
        }
        Mark::View(ViewMark::Stable { seq }) => tracing::debug!(%seq, "a checkpoint is stable"),
        Mark::Diverged { seq, own, proven } => tracing::error!(
            "this replica's state after slot {seq} is not the one that a quorum vouched for: it has digest {own}, \
             theirs has {proven}; it answers nothing from its state until it has taken theirs over. Its memory or \
             the application is defective: if this happens again, replace the machine"
        ),
        Mark::StateAdopted { seq, .. } => tracing::info!("took over the state after slot {seq} from peers"),
        _ => {}
    }
}
