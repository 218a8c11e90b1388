//! The protocol around a protocol.

use crate::behaviour::{Behaviour, Equivocation};
use kernel::{
    Class, Context, Effect, Falsify as _, Input, Micros, Protocol, ReplicaId, ReplyBundle, Status, To,
    Wire as _,
};
use std::collections::BTreeMap;

/// A replica with behaviours around it; without any it is the replica itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adversary<P: Protocol> {
    inner: P,
    behaviours: Vec<Behaviour>,
    held: BTreeMap<u64, Speech<P::Message>>,
    next_held: u64,
}

/// What a node says to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Speech<M> {
    Message(To, M),
    Reply(ReplicaId, ReplyBundle),
}

/// A timer of the replica inside, or the end of a message's delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer<T> {
    /// Of the replica inside.
    Inner(T),
    /// The held message of this number may go.
    Release(u64),
}

impl<P: Protocol> Adversary<P> {
    /// Puts behaviours around a replica.
    pub fn new(inner: P, behaviours: Vec<Behaviour>) -> Adversary<P> {
        Adversary { inner, behaviours, held: BTreeMap::new(), next_held: 0 }
    }

    /// The behaviours in force.
    pub fn behaviours(&self) -> &[Behaviour] {
        &self.behaviours
    }

    /// Replaces the behaviours; what is held back already stays so.
    pub fn set_behaviours(&mut self, behaviours: Vec<Behaviour>) {
        self.behaviours = behaviours;
    }

    /// Whether the node hears and says nothing.
    pub fn is_offline(&self) -> bool {
        self.behaviours.contains(&Behaviour::Offline)
    }

    /// The replica inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Steps the replica inside and returns what it wants done.
    fn step_inner(&mut self, cx: &mut Context<'_, Self>, input: Input<P>) -> Vec<Effect<P>> {
        let mut effects = Vec::new();
        let mut inner_cx = Context::new(cx.cluster, cx.signer, &mut *cx.choose, &mut effects).at(cx.now);
        self.inner.step(&mut inner_cx, input);
        effects
    }

    fn pass_on(&mut self, cx: &mut Context<'_, Self>, effect: Effect<P>) {
        match effect {
            Effect::Send { to, message } if self.behaviours.is_empty() => {
                cx.push(Effect::Send { to, message });
            }
            Effect::Send { to, message } => self.send(cx, to, message),
            Effect::Reply { to, bundle } => self.reply(cx, to, bundle),
            Effect::SetTimer { timer, after } => cx.set_timer(Timer::Inner(timer), after),
            Effect::CancelTimer(timer) => cx.cancel_timer(Timer::Inner(timer)),
            Effect::Reject(rejection) => cx.push(Effect::Reject(rejection)),
            Effect::Mark(mark) => cx.mark(mark),
        }
    }

    /// Runs a message through all behaviours and sends what is left of it.
    fn send(&mut self, cx: &mut Context<'_, Self>, to: To, message: P::Message) {
        let mut outgoing = vec![(to, message)];
        for behaviour in &self.behaviours {
            outgoing =
                outgoing.into_iter().flat_map(|(to, message)| apply(behaviour, cx, to, message)).collect();
        }
        for (to, message) in outgoing {
            self.say(cx, Speech::Message(to, message));
        }
    }

    /// The same for a reply to a gateway.
    fn reply(&mut self, cx: &mut Context<'_, Self>, to: ReplicaId, bundle: ReplyBundle) {
        let lies = self.behaviours.contains(&Behaviour::Malicious);
        let bundle = if lies { bundle.falsified(cx.cluster, cx.signer) } else { bundle };
        if to == cx.id() {
            cx.push(Effect::Reply { to, bundle });
        } else if !self.behaviours.iter().any(|behaviour| is_dropped(behaviour, cx)) {
            self.say(cx, Speech::Reply(to, bundle));
        }
    }

    /// Says something, after the delays in force.
    fn say(&mut self, cx: &mut Context<'_, Self>, speech: Speech<P::Message>) {
        let delays = self.behaviours.iter().filter_map(|behaviour| match behaviour {
            Behaviour::Delay(by) => Some(by.0),
            _ => None,
        });
        let delay = Micros(delays.sum());
        if delay == Micros(0) {
            utter(cx, speech);
        } else {
            let number = self.next_held;
            self.next_held += 1;
            self.held.insert(number, speech);
            cx.set_timer(Timer::Release(number), delay);
        }
    }
}

fn utter<P: Protocol>(cx: &mut Context<'_, Adversary<P>>, speech: Speech<P::Message>) {
    cx.push(match speech {
        Speech::Message(to, message) => Effect::Send { to, message },
        Speech::Reply(to, bundle) => Effect::Reply { to, bundle },
    });
}

fn is_dropped<P: Protocol>(behaviour: &Behaviour, cx: &mut Context<'_, Adversary<P>>) -> bool {
    match behaviour {
        Behaviour::Drop(millionths) => cx.choose.chance(f64::from(*millionths) / 1e6),
        _ => false,
    }
}

/// What one behaviour makes of one outgoing message.
fn apply<P: Protocol>(
    behaviour: &Behaviour,
    cx: &mut Context<'_, Adversary<P>>,
    to: To,
    message: P::Message,
) -> Vec<(To, P::Message)> {
    let class = message.class();
    match behaviour {
        Behaviour::Malicious => match class {
            Class::Vote | Class::Certificate | Class::Checkpoint => {
                vec![(to, message.falsified(cx.cluster, cx.signer))]
            }
            _ => vec![(to, message)],
        },
        Behaviour::Equivocate(whom) => {
            let lie = match class {
                Class::Proposal => message.alternative(cx.cluster, cx.signer),
                Class::Vote | Class::Certificate | Class::Checkpoint => {
                    Some(message.falsified(cx.cluster, cx.signer))
                }
                _ => None,
            };
            match lie {
                Some(lie) => split(cx, *whom, to, message, lie),
                None => vec![(to, message)],
            }
        }
        Behaviour::Withhold => match class {
            Class::Vote | Class::Certificate | Class::Checkpoint => vec![],
            _ => vec![(to, message)],
        },
        Behaviour::Partial(served) => match class {
            Class::Proposal | Class::Certificate => recipients(cx, to)
                .into_iter()
                .filter(|id| served.contains(id))
                .map(|id| (To::One(id), message.clone()))
                .collect(),
            _ => vec![(to, message)],
        },
        Behaviour::Drop(_) => recipients(cx, to)
            .into_iter()
            .filter(|_| !is_dropped(behaviour, cx))
            .map(|id| (To::One(id), message.clone()))
            .collect(),
        // Offline never gets here, and a delay is added up by the caller.
        Behaviour::Offline | Behaviour::Delay(_) => vec![(to, message)],
    }
}

fn split<P: Protocol>(
    cx: &Context<'_, Adversary<P>>,
    whom: Equivocation,
    to: To,
    truth: P::Message,
    lie: P::Message,
) -> Vec<(To, P::Message)> {
    let victim = cx.cluster.next(cx.id());
    let is_lied_to = |id: ReplicaId| match whom {
        Equivocation::Halves => id.0 % 2 == 1,
        Equivocation::Victim => id == victim,
    };
    let mut audience = recipients(cx, to);
    if let (To::One(id), Class::Vote) = (to, truth.class()) {
        // A vote for one collector alone would contradict nothing: the other
        // story goes to somebody else.
        let other = cx.cluster.replicas().find(|o| *o != cx.id() && is_lied_to(*o) != is_lied_to(id));
        audience.extend(other);
    }
    audience
        .into_iter()
        .map(|id| (To::One(id), if is_lied_to(id) { lie.clone() } else { truth.clone() }))
        .collect()
}

fn recipients<P: Protocol>(cx: &Context<'_, Adversary<P>>, to: To) -> Vec<ReplicaId> {
    match to {
        To::One(id) => vec![id],
        To::All => cx.cluster.replicas().filter(|id| *id != cx.id()).collect(),
    }
}

impl<P: Protocol> Protocol for Adversary<P> {
    type Message = P::Message;
    type Timer = Timer<P::Timer>;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        let input = match input {
            Input::Expire(Timer::Release(number)) => {
                if let Some(speech) = self.held.remove(&number)
                    && !self.is_offline()
                {
                    utter(cx, speech);
                }
                return;
            }
            Input::Expire(Timer::Inner(timer)) => Input::Expire(timer),
            // Start always gets through, so that a node that is switched on
            // later has its timers.
            Input::Start => Input::Start,
            Input::Deliver { .. } | Input::Submit(_) if self.is_offline() => return,
            Input::Deliver { from, message } => Input::Deliver { from, message },
            Input::Submit(bundle) => Input::Submit(bundle),
        };
        for effect in self.step_inner(cx, input) {
            let is_speech = matches!(effect, Effect::Send { .. } | Effect::Reply { .. });
            if !(is_speech && self.is_offline()) {
                self.pass_on(cx, effect);
            }
        }
    }

    fn status(&self, cluster: &kernel::Cluster) -> Status {
        self.inner.status(cluster)
    }
}
