//! The loop that steps the replica: frames, timers and requests in, effects out.

use super::counters::Amount;
use super::inbox::{FromClient, Incoming};
use super::journal::{Journal, RunningTimers};
use super::late::Late;
use super::node::Node;
use super::recording::Recording;
use super::timers::{Alarm, Running, Timers};
use crate::clock::now_ns;
use crate::links::frame::{Frame, added_by_tag, encode};
use crate::links::outgoing::Link;
use crate::tally::Tally;
use adversary::{Adversary, Timer};
use anyhow::Context as _;
use bytes::Bytes;
use client::link;
use kernel::{
    Bundle, Choose as _, Class, Content, Context, Effect, GenerationMark, Input, Mark, Observation, Observer,
    Protocol, Reason, Rejection, ReplicaId, ReplyBundle, Request, SeededChoice, To, Verified, ViewMark, Wire,
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
    late: Late<P::Message>,
    observer: Option<Observer<P::Message>>,
    /// Copies of messages that have left this node.
    copies_sent: u64,
    /// None unless the node is recorded.
    recording: Option<Recording<P::Message>>,
    /// None unless the node keeps one.
    journal: Option<Journal<P>>,
}

impl<P: Protocol> EventLoop<P> {
    pub(crate) fn new(
        node: Rc<Node<P>>,
        observer: Option<Observer<P::Message>>,
        journal: Option<Journal<P>>,
    ) -> anyhow::Result<EventLoop<P>> {
        let seed = node.config.seed;
        let recording = node.config.recording.as_ref();
        let recording = recording.map(|to| Recording::begin(&node.config, to)).transpose();
        let recording = recording.context("cannot record what the node does")?;
        Ok(EventLoop {
            timers: Timers::new(),
            alarm: Alarm::new().context("cannot create the node's alarm")?,
            choose: SeededChoice::new(seed),
            loss: SeededChoice::new(seed ^ 0x6c6f_7373),
            delayed: VecDeque::new(),
            effects: Vec::new(),
            late: Late::new(),
            observer,
            copies_sent: 0,
            recording,
            journal,
            node,
        })
    }

    /// Runs for ever, beginning with these inputs. A replica that is there again has timers already.
    pub(crate) async fn run(
        mut self,
        timers: RunningTimers<P>,
        inputs: Vec<Input<Adversary<P>>>,
    ) -> std::io::Result<()> {
        for (timer, after) in timers {
            self.timers.set(timer, after, now_ns(), self.node.carried());
        }
        for input in inputs {
            self.step(input);
        }
        self.write_journal();
        self.hand_over_recording();
        loop {
            let due = self.next_due();
            self.alarm.arm(due)?;
            let node = Rc::clone(&self.node);
            tokio::select! {
                biased;
                () = node.wake.notified() => {}
                rang = self.alarm.rung() => rang?,
            }
            self.turn().await;
            while self.has_work() {
                tokio::task::yield_now().await;
                self.turn().await;
            }
        }
    }

    /// One iteration. What waited for the disk is written to the links before what has come in meanwhile is checked:
    /// others wait for it.
    async fn turn(&mut self) {
        if self.release_held() {
            self.hand_over_recording();
            tokio::task::yield_now().await;
        }
        self.iterate();
    }

    fn waits_for_the_disk(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_behind)
    }

    /// Whether the replica is given what comes in.
    fn hands_over(&self) -> bool {
        !self.journal.as_ref().is_some_and(|journal| journal.is_behind() || journal.is_over())
    }

    fn has_work(&self) -> bool {
        let node = &self.node;
        self.hands_over()
            && (!node.arrivals.inbox.is_empty()
                || !node.arrivals.from_clients.is_empty()
                || node.gateway.borrow().has_submissions())
    }

    fn next_due(&mut self) -> Option<u64> {
        let delayed = self.delayed.front().map(|delayed| delayed.due_ns);
        // What is not handed over again now is not waited for either.
        let mut gateway = self.node.gateway.borrow_mut();
        let deadline = if self.hands_over() { gateway.next_deadline() } else { gateway.next_timeout() };
        drop(gateway);
        let journal = self.journal.as_ref().and_then(Journal::due).map(|due| self.node.at_ns(due));
        [self.timers.next_due(), delayed, deadline, journal, self.late.due()].into_iter().flatten().min()
    }

    /// Handles what has come up, within bounds.
    fn iterate(&mut self) {
        let now = now_ns();
        if self.has_lost_its_journal() {
            return;
        }
        self.set_behaviours();
        let waits_for_the_disk = self.waits_for_the_disk();
        let at_most = if waits_for_the_disk { 0 } else { FRAMES_PER_ITERATION };
        let mut incoming = self.node.arrivals.inbox.take(at_most);
        incoming.retain(|incoming| !self.node.is_cut(incoming.from));
        let from_clients = self.node.arrivals.from_clients.take(at_most);
        // A node that is offline does not even look at what it is sent.
        if !self.node.is_offline() {
            self.receive(incoming, now);
            self.receive_from_clients(from_clients);
        } else {
            self.late = Late::new();
        }
        // After what has arrived, as that may be what a timer waits for.
        self.expire_timers(now);
        if !waits_for_the_disk {
            self.submit();
        }
        self.write_journal();
        self.release_delayed(now);
        self.expire_requests(now);
        self.hand_over_recording();
    }

    /// Has what the replica was given written, if that is needed.
    fn write_journal(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let timers = &self.timers;
        journal.write(&self.node.engine.replica.borrow(), || timers.running(), self.node.elapsed());
        self.node.set_effects_waiting(journal.effects_waiting());
    }

    /// Carries out what waited for the disk. True if there was something.
    fn release_held(&mut self) -> bool {
        let mut is_any = false;
        while let Some(effect) = self.journal.as_mut().and_then(Journal::release) {
            self.carry_out(effect);
            is_any = true;
        }
        is_any
    }

    /// Without its journal, the node does nothing more: what it says could not be held to. What comes in is
    /// dropped.
    fn has_lost_its_journal(&mut self) -> bool {
        if !self.journal.as_mut().is_some_and(Journal::has_ended) {
            return false;
        }
        self.node.set_effects_waiting(0);
        self.node.arrivals.inbox.take(usize::MAX);
        self.node.arrivals.from_clients.take(usize::MAX);
        self.timers = Timers::new();
        self.late = Late::new();
        self.delayed.clear();
        if self.node.controls.new_behaviours.take().is_some() {
            self.node.controls.behaviours_set.notify_waiters();
        }
        // Nobody is to wait for what this node will not tell any more.
        self.expire_requests(u64::MAX);
        true
    }

    /// Answers the requests whose time is up at `due`, ns.
    fn expire_requests(&mut self, due: u64) {
        let recording = &mut self.recording;
        self.node.gateway.borrow_mut().expire(due, |request| {
            if let Some(recording) = recording {
                recording.timed_out(now_ns(), request);
            }
        });
    }

    /// Before anything that was sent can arrive: links are served by other tasks.
    fn hand_over_recording(&mut self) {
        let Some(recording) = &mut self.recording else { return };
        let node = &self.node;
        recording.links(&node.controls.link_conditions.borrow());
        if !recording.hand_over(|| node.replica_status(), |operation| node.query(operation)) {
            self.recording = None;
        }
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
        if let Some(recording) = &mut self.recording {
            recording.behaves(now_ns(), behaviours.iter().map(ToString::to_string).collect());
        }
        if let Some(journal) = &mut self.journal {
            journal.note_faults(&behaviours, self.node.elapsed());
        }
        self.node.engine.replica.borrow_mut().set_behaviours(behaviours);
        self.step(Input::Expire(Adversary::<P>::BEHAVIOURS_CHANGED));
        self.node.controls.behaviours_set.notify_waiters();
    }

    /// Tells the observer and the recording, if there are any.
    fn observe(&mut self, observation: Observation<'_, P::Message>) {
        if let Some(observer) = &mut self.observer {
            observer(now_ns(), self.node.config.id, observation);
        }
        if let Some(recording) = &mut self.recording {
            recording.observe(now_ns(), observation);
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

    fn receive(&mut self, incoming: Vec<Incoming<P::Message>>, now: u64) {
        if self.observer.is_some() || self.recording.is_some() {
            self.observe_arrivals(&incoming);
        }
        let mut messages = Vec::with_capacity(incoming.len());
        let mut replies = Vec::new();
        {
            let received = &mut self.node.engine.counters.borrow_mut().received;
            let replica = self.node.engine.replica.borrow();
            for Incoming { from, frame, bytes } in incoming {
                let amount = Amount { messages: 1, bytes: bytes as u64 };
                match frame {
                    Frame::Protocol(message) => {
                        received.count(message.kind(), message.class(), amount);
                        if replica.may_wait(&self.node.config.cluster, &message) {
                            self.late.push(from, message, now);
                        } else {
                            messages.push((from, message));
                        }
                    }
                    Frame::Reply { bundle, votes } => {
                        received.count_reply(amount);
                        replies.push((from, bundle, votes));
                    }
                }
            }
        }
        self.admit(messages);
        let late = self.late.take(now);
        self.admit(late);
        for (from, bundle, votes) in replies {
            self.accept_reply(from, &bundle, votes);
        }
    }

    /// Checks messages, their signatures together, and gives those that hold to the replica.
    fn admit(&mut self, messages: Vec<(ReplicaId, P::Message)>) {
        let senders: Vec<ReplicaId> = messages.iter().map(|(from, _)| *from).collect();
        let admitted = self.node.engine.admission.borrow_mut().admit_all(messages);
        for (from, admitted) in senders.into_iter().zip(admitted) {
            match admitted {
                Ok(message) => self.deliver(from, message),
                Err(rejection) => self.refuse(&rejection),
            }
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
            if let (Ok(()), Some(recording)) = (verdict, &mut self.recording) {
                recording.client_asks(now_ns(), from, &bundle);
            }
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
        let node = Rc::clone(&self.node);
        let config = &node.config;
        if bundle.gateway != config.id || !config.cluster.contains(bundle.replica) {
            self.node.engine.counters.borrow_mut().refused(Reason::NotEntitled);
            return;
        }
        let engine = &node.engine;
        // Late replies are many and decide nothing: do not check their signatures.
        if !self.node.gateway.borrow().awaits(bundle) {
            if from == bundle.replica {
                engine.reported_tallies.borrow_mut().note_late(bundle.seq, from, votes);
            }
            return;
        }
        let checked = engine.admission.borrow_mut().check_reply(from, bundle);
        match checked {
            Ok(()) => {
                engine.reported_tallies.borrow_mut().note(bundle.seq, bundle.replica, votes);
                self.count_reply(bundle);
            }
            Err(reason) => engine.counters.borrow_mut().refused(reason),
        }
    }

    fn count_reply(&mut self, bundle: &ReplyBundle) {
        let (now, recording) = (now_ns(), &mut self.recording);
        let corrupt = self.node.gateway.borrow_mut().add(bundle, now, |request, decided| {
            if let Some(recording) = recording {
                recording.answer(now, request, (decided.seq.0, decided.view.0), &decided.result);
            }
        });
        self.node.engine.counters.borrow_mut().corrupt_replies += corrupt as u64;
    }

    /// Signs and submits the clients' requests that wait for no more.
    fn submit(&mut self) {
        let config = &self.node.config;
        let groups = self.node.gateway.borrow_mut().take_submissions(config.batch_max);
        for requests in groups {
            self.record_requests(&requests);
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

    fn record_requests(&mut self, requests: &[Request]) {
        let Some(recording) = &mut self.recording else { return };
        let gateway = self.node.gateway.borrow();
        for request in requests {
            if let Some((number, received_ns)) = gateway.asked(request) {
                recording.request(received_ns, number, &request.operation);
            }
        }
    }

    fn step(&mut self, input: Input<Adversary<P>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let node = Rc::clone(&self.node);
        let mut cx = Context::new(&node.config.cluster, &node.signer, &mut self.choose, &mut effects)
            .at(node.elapsed());
        let mut replica = node.engine.replica.borrow_mut();
        match &mut self.journal {
            Some(journal) => journal.step(&mut replica, cx, input),
            None => replica.step(&mut cx, input),
        }
        drop(replica);
        if let Some(journal) = &mut self.journal {
            journal.hold(&node.config.cluster, &mut effects);
        }
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

    fn reply_to_client(&mut self, to: ReplicaId, bundle: &ReplyBundle) {
        let node = &self.node;
        if let Some(recording) = &mut self.recording {
            recording.client_answered(now_ns(), to, bundle);
        }
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
        // The link adds the tag.
        let tag = if node.config.cluster.has_tags() { added_by_tag(node.config.encoding) } else { 0 };
        let amount = Amount { messages: copies, bytes: copies * (bytes.len() + tag) as u64 };
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
        Mark::Generation(GenerationMark::Began { number, members }) => {
            tracing::info!(number, ?members, "a generation of members begins");
        }
        Mark::Generation(GenerationMark::Adopted { number, .. }) => {
            tracing::info!(number, "took over the state that this generation began with");
        }
        Mark::StateAdopted { seq, .. } => tracing::info!("took over the state after slot {seq} from peers"),
        _ => {}
    }
}
