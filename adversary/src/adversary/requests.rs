//! `ignore-gateway`, `gateway-last` and `small-batches`: what becomes of requests on their
//! way to the replica. It proposes what it knows of, at once and all together, so a
//! commander that is unfair or slow in another way is one that gets its requests otherwise.

use super::{Adversary, Timer, Which};
use crate::behaviour::Act;
use crate::outgoing::names;
use crate::trigger::{MessageTraits, Moment};
use kernel::{Bundle, Context, Falsify as _, Input, Micros, Protocol, ReplicaId, Verified, Wire as _};
use std::sync::Arc;

/// Requests that were handed to the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Arrival<M> {
    /// By its host: its own gateway's, or a client's.
    Submitted(Arc<Bundle>),
    /// By a peer.
    Delivered { from: ReplicaId, message: Verified<M> },
}

/// The kind of message that hands over requests, in every protocol.
const REQUEST: &str = "request";

/// Bundles kept for later at most; what comes beyond goes to the replica at once.
const MOST_QUEUED: usize = 65_536;

/// What becomes of a peer's message that hands over requests.
pub(super) enum Fate {
    Taken,
    Ignored,
    Held(Micros),
}

impl<P: Protocol> Adversary<P> {
    /// `ignore-gateway`, `gateway-last`: whether requests of this gateway, from whomever
    /// they come, get to the replica, and when.
    pub(super) fn fate(&self, moment: Moment, from: ReplicaId, message: &P::Message) -> Fate {
        let traits = MessageTraits { seq: message.seq(), kind: message.kind() };
        match message.requests_of() {
            Some(gateway) => self.fate_of_requests(moment, from, traits, gateway),
            None => Fate::Taken,
        }
    }

    /// The same for what the host hands over. A node's own gateway is not treated so.
    pub(super) fn fate_of_submitted(&self, id: ReplicaId, moment: Moment, bundle: &Bundle) -> Fate {
        let gateway = bundle.gateway();
        let traits = MessageTraits { seq: None, kind: REQUEST };
        if gateway == id { Fate::Taken } else { self.fate_of_requests(moment, gateway, traits, gateway) }
    }

    fn fate_of_requests(
        &self,
        moment: Moment,
        from: ReplicaId,
        traits: MessageTraits,
        gateway: ReplicaId,
    ) -> Fate {
        for behaviour in &self.behaviours {
            let (gateways, fate) = match &behaviour.act {
                Act::IgnoreGateway(gateways) => (gateways, Fate::Ignored),
                Act::GatewayLast { gateways, after } => (gateways, Fate::Held(*after)),
                _ => continue,
            };
            let when = &behaviour.when;
            if names(gateways, gateway) && when.holds(moment) && when.covers(traits) && when.concerns(from) {
                return fate;
            }
        }
        Fate::Taken
    }

    /// `gateway-last`: keeps a message for the time given.
    pub(super) fn delay_arrival(
        &mut self,
        cx: &mut Context<'_, Self>,
        arrival: Arrival<P::Message>,
        after: Micros,
    ) {
        let number = self.next_held;
        self.next_held += 1;
        self.delayed.insert(number, arrival);
        cx.set_timer(Timer::Release(number), after);
    }

    /// Requests get to the replica, one bundle at a time if batches are to be small.
    pub(super) fn take_arrival(
        &mut self,
        cx: &mut Context<'_, Self>,
        moment: Moment,
        arrival: Arrival<P::Message>,
    ) {
        if self.keeps_batches_small(moment) && self.queued.len() < MOST_QUEUED {
            self.queued.push_back(arrival);
        } else {
            self.hand_over(cx, arrival);
        }
    }

    fn keeps_batches_small(&self, moment: Moment) -> bool {
        let is_on =
            |behaviour: &crate::Behaviour| behaviour.act == Act::SmallBatches && behaviour.when.holds(moment);
        self.behaviours.iter().any(is_on)
    }

    /// `small-batches`: the next bundle gets to the replica when it has proposed the last
    /// one, so that there is one in each batch. A replica that is not commander keeps none
    /// waiting and gets all at once.
    pub(super) fn hand_over_queued(&mut self, cx: &mut Context<'_, Self>) {
        while !self.queued.is_empty() {
            let moment = self.moment(cx.cluster, cx.now);
            if self.keeps_batches_small(moment) && self.inner().status(cx.cluster).requests_waiting > 0 {
                return;
            }
            if let Some(arrival) = self.queued.pop_front() {
                self.hand_over(cx, arrival);
            }
        }
    }

    /// The replica takes it, and the second copy what is for it.
    pub(super) fn hand_over(&mut self, cx: &mut Context<'_, Self>, arrival: Arrival<P::Message>) {
        match arrival {
            Arrival::Submitted(bundle) => {
                self.step_copy(cx, Which::First, Input::Submit(Arc::clone(&bundle)));
                if self.second.is_some() {
                    self.step_copy(cx, Which::Second, Input::Submit(bundle));
                }
            }
            Arrival::Delivered { from, message } => {
                let is_for_second = self.second.is_some() && self.belongs_to_second(from);
                let which = if is_for_second { Which::Second } else { Which::First };
                self.step_copy(cx, which, Input::Deliver { from, message });
            }
        }
    }
}
