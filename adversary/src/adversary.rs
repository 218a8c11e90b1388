//! The protocol around a protocol: which inputs get in, which instance of the
//! replica takes them, and what becomes of its effects.

mod background;
mod instances;
mod requests;

use self::requests::{Arrival, Fate};
use crate::altering;
use crate::behaviour::{Act, Behaviour};
use crate::collusion::{Plan, SharedPlans};
use crate::outgoing::{CarryContext, Content, Outgoing, carry};
use crate::trigger::{MessageTraits, Moment};
use kernel::{
    Class, Cluster, Context, Digest, Effect, Input, Micros, Operation, Protocol, Reading, ReplicaId, Status,
    To, Verified, Wire as _,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A replica with behaviours around it; without any it is the replica itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adversary<P: Protocol> {
    first: Instance<P>,
    /// `twins`: the other copy.
    second: Option<Box<Instance<P>>>,
    initial: Initial<P>,
    behaviours: Vec<Behaviour>,
    /// Copies of the replica that there have been.
    instances: u32,
    held: BTreeMap<u64, Outgoing<P::Message>>,
    next_held: u64,
    /// `gateway-last`: requests that the replica gets later, numbered as those held.
    delayed: BTreeMap<u64, Arrival<P::Message>>,
    /// `small-batches`: requests that the replica gets one after the other.
    queued: VecDeque<Arrival<P::Message>>,
    /// Behaviours, by place, whose timer runs or whose one moment is over.
    begun: BTreeSet<usize>,
    recorded: Vec<P::Message>,
    plans: SharedPlans<P::Message>,
}

/// A copy of the replica, numbered so that its timers are its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Instance<P> {
    number: u32,
    replica: P,
}

/// The replica as it was made. It is the same in all states of a node, so it
/// tells none of them apart.
#[derive(Clone, Debug)]
struct Initial<P>(Arc<P>);

impl<P> PartialEq for Initial<P> {
    fn eq(&self, _: &Initial<P>) -> bool {
        true
    }
}

impl<P> Eq for Initial<P> {}

impl<P> Hash for Initial<P> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Which copy of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Second,
}

/// What a node with behaviours waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer<T> {
    /// A timer of the replica inside, in the instance in which it was set.
    Inner {
        /// Which copy of the replica, counted over all there have been.
        instance: u32,
        /// Its timer.
        timer: T,
    },
    /// The held message of this number may go.
    Release(u64),
    /// The behaviour in this place acts by itself again.
    Tick(usize),
}

impl<P: Protocol> Adversary<P> {
    /// What a host lets expire after it has changed the behaviours, so that those
    /// which act by themselves need not wait for the next message.
    pub const BEHAVIOURS_CHANGED: Timer<P::Timer> = Timer::Tick(usize::MAX);

    /// Puts behaviours around a replica that has seen nothing yet.
    pub fn new(inner: P, behaviours: Vec<Behaviour>) -> Adversary<P> {
        Adversary {
            initial: Initial(Arc::new(inner.clone())),
            first: Instance { number: 0, replica: inner },
            second: None,
            behaviours,
            instances: 1,
            held: BTreeMap::new(),
            next_held: 0,
            delayed: BTreeMap::new(),
            queued: VecDeque::new(),
            begun: BTreeSet::new(),
            recorded: Vec::new(),
            plans: SharedPlans::default(),
        }
    }

    /// The same, with a replica that has seen something already: what it forgets, it forgets up to
    /// the one given first.
    pub fn with_replica(mut self, replica: P) -> Adversary<P> {
        self.first.replica = replica;
        self
    }

    /// The behaviours on the node, in force or not.
    pub fn behaviours(&self) -> &[Behaviour] {
        &self.behaviours
    }

    /// Replaces the behaviours; what is held back already stays so.
    pub fn set_behaviours(&mut self, behaviours: Vec<Behaviour>) {
        self.behaviours = behaviours;
        self.second = None;
        self.begun.clear();
        self.recorded.clear();
        self.plans.clear();
    }

    /// The same, as they are typed; an error says what is no behaviour.
    pub fn set_typed(&mut self, behaviours: &[String]) -> Result<(), String> {
        let behaviours: Result<Vec<Behaviour>, _> = behaviours.iter().map(|typed| typed.parse()).collect();
        self.set_behaviours(behaviours.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// The behaviours, as they are typed.
    pub fn typed(behaviours: &[Behaviour]) -> Vec<String> {
        behaviours.iter().map(ToString::to_string).collect()
    }

    /// Whether the node neither receives nor sends anything at this time.
    pub fn is_offline(&self, cluster: &Cluster, now: Micros) -> bool {
        !self.behaviours.is_empty() && self.is_cut_off(self.moment(cluster, now))
    }

    /// The replica inside; of twins, the first.
    pub fn inner(&self) -> &P {
        &self.first.replica
    }

    fn moment(&self, cluster: &Cluster, now: Micros) -> Moment {
        // Asking for the view costs something, and few conditions are about it.
        let asks = self.behaviours.iter().any(|behaviour| behaviour.when.view.is_some());
        let views = if asks { self.inner().status(cluster).views } else { None };
        Moment { now, view: views.map(|views| views.view) }
    }

    fn is_cut_off(&self, moment: Moment) -> bool {
        self.behaviours.iter().any(|behaviour| {
            behaviour.act == Act::Offline && behaviour.when.is_about_moments() && behaviour.when.holds(moment)
        })
    }

    // ---- Inputs ----

    fn take(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        let moment = self.moment(cx.cluster, cx.now);
        match input {
            // These always get through, so that a node that comes back has its timers.
            Input::Start => self.step_copy(cx, Which::First, Input::Start),
            Input::Resume => self.step_copy(cx, Which::First, Input::Resume),
            Input::Submit(_) if self.is_cut_off(moment) => {}
            Input::Submit(bundle) => match self.fate_of_submitted(cx.id(), moment, &bundle) {
                Fate::Ignored => {}
                Fate::Held(after) => self.delay_arrival(cx, Arrival::Submitted(bundle), after),
                Fate::Taken => self.take_arrival(cx, moment, Arrival::Submitted(bundle)),
            },
            Input::Deliver { from, message } => self.receive(cx, moment, from, message),
            Input::Expire(Timer::Inner { instance, timer }) => {
                // A timer of a copy that is gone means nothing.
                if instance == self.first.number {
                    self.step_copy(cx, Which::First, Input::Expire(timer));
                } else if self.second.as_ref().is_some_and(|second| second.number == instance) {
                    self.step_copy(cx, Which::Second, Input::Expire(timer));
                }
            }
            Input::Expire(Timer::Release(number)) => {
                let (outgoing, arrival) = (self.held.remove(&number), self.delayed.remove(&number));
                if self.is_cut_off(moment) {
                    return;
                }
                if let Some(outgoing) = outgoing {
                    emit(cx, outgoing);
                }
                if let Some(arrival) = arrival {
                    self.take_arrival(cx, moment, arrival);
                }
            }
            Input::Expire(Timer::Tick(place)) => self.tick(cx, moment, place),
        }
    }

    fn receive(
        &mut self,
        cx: &mut Context<'_, Self>,
        moment: Moment,
        from: ReplicaId,
        message: Verified<P::Message>,
    ) {
        let traits = MessageTraits { seq: message.get().seq(), kind: message.get().kind() };
        let ignores = |behaviour: &Behaviour| {
            let when = &behaviour.when;
            behaviour.act == Act::Offline && when.holds(moment) && when.covers(traits) && when.concerns(from)
        };
        if self.behaviours.iter().any(ignores) {
            return;
        }
        if self.behaviours.iter().any(|b| matches!(b.act, Act::Replay(_) | Act::Flood(_))) {
            self.record(cx, message.get());
        }
        if !self.update_plans(cx, moment, from, message.get()) {
            return;
        }
        let fate = self.fate(moment, from, message.get());
        let is_request = message.get().class() == Class::Request;
        let arrival = Arrival::Delivered { from, message };
        match fate {
            Fate::Ignored => {}
            Fate::Held(after) => self.delay_arrival(cx, arrival, after),
            Fate::Taken if is_request => self.take_arrival(cx, moment, arrival),
            Fate::Taken => self.hand_over(cx, arrival),
        }
    }

    /// Updates the plans of colluding nodes. False if the replica must not see
    /// the message.
    fn update_plans(
        &mut self,
        cx: &mut Context<'_, Self>,
        moment: Moment,
        from: ReplicaId,
        message: &P::Message,
    ) -> bool {
        let behaviours = std::mem::take(&mut self.behaviours);
        let mut is_for_replica = true;
        for (place, behaviour) in behaviours.iter().enumerate() {
            let Act::Equivocate(equivocation) = &behaviour.act else { continue };
            if !equivocation.colluders.is_empty() && behaviour.when.holds(moment) {
                let plan = Plan {
                    equivocation,
                    cluster: cx.cluster,
                    signer: cx.signer,
                    forges: forges(&behaviours),
                };
                is_for_replica &= self.plans.receive(&plan, from, message);
                let sendable = self.plans.sendable(&plan, message);
                self.apply_behaviours(cx, moment, &behaviours, place + 1, sendable);
            }
        }
        self.behaviours = behaviours;
        is_for_replica
    }

    // ---- Instances of the replica ----

    /// Steps one instance and passes on its effects.
    fn step_copy(&mut self, cx: &mut Context<'_, Self>, which: Which, input: Input<P>) {
        let copy = match which {
            Which::First => &mut self.first,
            Which::Second => {
                self.second.as_mut().expect("a second instance is stepped only where there is one")
            }
        };
        let instance = copy.number;
        let mut effects = Vec::new();
        let mut inner_cx = Context::new(cx.cluster, cx.signer, &mut *cx.choose, &mut effects).at(cx.now);
        copy.replica.step(&mut inner_cx, input);
        let (mut forgets, mut diverges) = (false, false);
        for effect in effects {
            forgets |= which == Which::First && self.happens_once(cx, &Act::Amnesia, &effect);
            diverges |= which == Which::First && self.happens_once(cx, &Act::Diverge, &effect);
            self.pass_on(cx, which, instance, effect);
        }
        if diverges {
            self.first.replica.corrupt_state();
        }
        if forgets {
            self.first = self.another_copy();
            self.step_copy(cx, Which::First, Input::Start);
        }
    }

    // ---- Effects ----

    fn pass_on(&mut self, cx: &mut Context<'_, Self>, which: Which, instance: u32, effect: Effect<P>) {
        match effect {
            Effect::Send { to, message } if self.behaviours.is_empty() => {
                cx.push(Effect::Send { to, message });
            }
            Effect::Send { to, message } => self.send(cx, which, Outgoing::message(to, message)),
            Effect::Reply { to, bundle } if self.behaviours.is_empty() => {
                cx.push(Effect::Reply { to, bundle });
            }
            Effect::Reply { to, bundle } => self.send(cx, which, Outgoing::reply(to, bundle)),
            Effect::SetTimer { timer, after } => cx.set_timer(Timer::Inner { instance, timer }, after),
            Effect::CancelTimer(timer) => cx.cancel_timer(Timer::Inner { instance, timer }),
            // Only the first instance reports marks and rejections.
            Effect::Reject(_) | Effect::Mark(_) if which == Which::Second => {}
            Effect::Reject(rejection) => cx.push(Effect::Reject(rejection)),
            Effect::Mark(mark) => cx.mark(mark),
        }
    }

    /// Applies all behaviours to something that is to be sent, and sends what is
    /// left of it.
    fn send(&mut self, cx: &mut Context<'_, Self>, which: Which, outgoing: Outgoing<P::Message>) {
        if let Content::Reply(bundle) = &outgoing.content
            && outgoing.to == To::One(cx.id())
        {
            // A node may give its own clients wrong results; no link is in between.
            if which == Which::First {
                let falsifies = self.behaviours.iter().any(|behaviour| behaviour.act == Act::Malicious);
                let bundle = if falsifies { bundle.falsified(cx.cluster, cx.signer) } else { bundle.clone() };
                cx.push(Effect::Reply { to: cx.id(), bundle });
            }
            return;
        }
        let outgoing = match self.second {
            None => vec![outgoing],
            Some(_) => outgoing
                .to_those(cx.cluster, cx.id(), |id| self.belongs_to_second(id) == (which == Which::Second)),
        };
        let moment = self.moment(cx.cluster, cx.now);
        let behaviours = std::mem::take(&mut self.behaviours);
        self.apply_behaviours(cx, moment, &behaviours, 0, outgoing);
        self.behaviours = behaviours;
    }

    /// Applies the behaviours from `place` on, then sends what they leave.
    fn apply_behaviours(
        &mut self,
        cx: &mut Context<'_, Self>,
        moment: Moment,
        behaviours: &[Behaviour],
        place: usize,
        mut outgoing: Vec<Outgoing<P::Message>>,
    ) {
        for behaviour in behaviours.iter().skip(place).filter(|behaviour| behaviour.when.holds(moment)) {
            let mut kept = Vec::with_capacity(outgoing.len());
            for one in outgoing {
                if !behaviour.when.covers(one.traits()) {
                    kept.push(one);
                } else if behaviour.when.to.is_empty() {
                    kept.extend(self.act(cx, behaviours, &behaviour.act, one));
                } else {
                    for single in one.to_those(cx.cluster, cx.id(), |_| true) {
                        match single.to {
                            To::One(id) if behaviour.when.concerns(id) => {
                                kept.extend(self.act(cx, behaviours, &behaviour.act, single));
                            }
                            _ => kept.push(single),
                        }
                    }
                }
            }
            outgoing = kept;
        }
        for one in outgoing {
            self.send_or_hold(cx, one);
        }
    }

    /// Applies one behaviour to one outgoing message.
    fn act(
        &mut self,
        cx: &mut Context<'_, Self>,
        behaviours: &[Behaviour],
        act: &Act,
        outgoing: Outgoing<P::Message>,
    ) -> Vec<Outgoing<P::Message>> {
        let (cluster, signer) = (cx.cluster, cx.signer);
        match act {
            Act::Malicious => vec![altering::falsify(outgoing, cluster, signer)],
            Act::Forge(kind) => vec![altering::forge(*kind, outgoing, cluster, signer, cx.choose)],
            Act::BadState(fault) => altering::misserve(*fault, outgoing, cx.choose),
            Act::Equivocate(equivocation) if equivocation.colluders.is_empty() => {
                altering::equivocate(equivocation.split, outgoing, cluster, signer)
            }
            Act::Equivocate(equivocation) => match outgoing.content {
                Content::Message(message) => {
                    let plan = Plan { equivocation, cluster, signer, forges: forges(behaviours) };
                    self.plans.send(&plan, outgoing.to, message)
                }
                Content::Reply(_) => vec![outgoing],
            },
            Act::Replay(millionths) => {
                let mut both = Vec::new();
                if !self.recorded.is_empty() && cx.choose.chance(f64::from(*millionths) / 1e6) {
                    both.push(Outgoing::message(outgoing.to, self.old_message(cx)));
                }
                if let Content::Message(message) = &outgoing.content {
                    self.record(cx, message);
                }
                both.push(outgoing);
                both
            }
            _ => carry(act, outgoing, CarryContext { cluster, id: signer.id(), choose: cx.choose }),
        }
    }

    fn send_or_hold(&mut self, cx: &mut Context<'_, Self>, outgoing: Outgoing<P::Message>) {
        if outgoing.hold == Micros(0) {
            emit(cx, outgoing);
        } else {
            let (number, hold) = (self.next_held, outgoing.hold);
            self.next_held += 1;
            self.held.insert(number, outgoing);
            cx.set_timer(Timer::Release(number), hold);
        }
    }
}

/// Whether what comes out is counterfeited later on.
fn forges(behaviours: &[Behaviour]) -> bool {
    behaviours.iter().any(|behaviour| matches!(behaviour.act, Act::Forge(_)))
}

fn emit<P: Protocol>(cx: &mut Context<'_, Adversary<P>>, outgoing: Outgoing<P::Message>) {
    match (outgoing.content, outgoing.to) {
        (Content::Message(message), to) => cx.push(Effect::Send { to, message }),
        (Content::Reply(bundle), To::One(to)) => cx.push(Effect::Reply { to, bundle }),
        (Content::Reply(_), To::All) => {}
    }
}

impl<P: Protocol> Protocol for Adversary<P> {
    type Message = P::Message;
    type Timer = Timer<P::Timer>;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        let is_start = matches!(input, Input::Start | Input::Resume);
        if !self.behaviours.is_empty() && !is_start {
            let moment = self.moment(cx.cluster, cx.now);
            self.keep_twin(cx, moment);
        }
        self.take(cx, input);
        self.hand_over_queued(cx);
        if !self.behaviours.is_empty() {
            if is_start {
                let moment = self.moment(cx.cluster, cx.now);
                self.keep_twin(cx, moment);
            }
            self.arm(cx);
        }
    }

    fn status(&self, cluster: &kernel::Cluster) -> Status {
        self.inner().status(cluster)
    }

    fn state_digest(&self) -> Option<Digest> {
        self.inner().state_digest()
    }

    fn takes_requests(&self, own: ReplicaId) -> bool {
        self.inner().takes_requests(own)
    }

    fn may_wait(&self, cluster: &Cluster, message: &P::Message) -> bool {
        self.behaviours.is_empty() && self.inner().may_wait(cluster, message)
    }

    fn corrupt_state(&mut self) {
        self.first.replica.corrupt_state();
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        self.inner().query(operation)
    }
}
