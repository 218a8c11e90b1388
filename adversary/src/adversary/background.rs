//! `replay`, `flood`, `view-change-spam` and `mac-attack`: messages that a node sends and its
//! replica does not.

use super::requests::Arrival;
use super::{Adversary, Timer};
use crate::behaviour::Act;
use crate::outgoing::Outgoing;
use crate::trigger::Moment;
use kernel::{Bundle, Context, Falsify as _, Micros, Operation, Protocol, ReplicaId, Request, SessionId, To};
use std::sync::Arc;

/// Messages kept for being sent again.
const RECORDED: usize = 64;

/// A flood comes in bursts of at least one message, so many apart.
const FLOOD_PERIOD: Micros = Micros::from_millis(10);

/// How often a behaviour acts by itself.
fn period(act: &Act) -> Option<Micros> {
    match act {
        Act::ViewChangeSpam(every) | Act::MacAttack(every) => Some(*every),
        Act::Flood(rate) => Some(FLOOD_PERIOD.max(Micros(1_000_000 / u64::from(*rate)))),
        _ => None,
    }
}

/// A request of the node's own gateway whose tags hold for the commander alone. All are of one session, under which no client
/// asks, and each is a new one.
fn mac_attack<P: Protocol>(cx: &Context<'_, Adversary<P>>, commander: ReplicaId) -> Bundle {
    let session = SessionId { gateway: cx.id(), number: u64::MAX };
    let request = Request { session, counter: cx.now.0, operation: Operation::new(b"attack") };
    Bundle::sign(cx.cluster, cx.signer, vec![request]).favouring(commander)
}

impl<P: Protocol> Adversary<P> {
    /// Keeps a message for being sent again: of the last ones all, of older ones
    /// ever fewer.
    pub(super) fn record(&mut self, cx: &mut Context<'_, Self>, message: &P::Message) {
        if self.recorded.len() < RECORDED {
            self.recorded.push(message.clone());
        } else {
            let place = cx.choose.below(RECORDED as u64) as usize;
            self.recorded[place] = message.clone();
        }
    }

    pub(super) fn old_message(&self, cx: &mut Context<'_, Self>) -> P::Message {
        let place = cx.choose.below(self.recorded.len() as u64) as usize;
        self.recorded[place].clone()
    }

    /// Sets the timers of the behaviours that act by themselves.
    pub(super) fn arm(&mut self, cx: &mut Context<'_, Self>) {
        for (place, behaviour) in self.behaviours.iter().enumerate() {
            if let Some(period) = period(&behaviour.act)
                && self.begun.insert(place)
            {
                cx.set_timer(Timer::Tick(place), period);
            }
        }
    }

    pub(super) fn tick(&mut self, cx: &mut Context<'_, Self>, moment: Moment, place: usize) {
        let Some(behaviour) = self.behaviours.get(place).cloned() else {
            return;
        };
        let Some(period) = period(&behaviour.act) else {
            return;
        };
        if behaviour.when.until.is_none_or(|until| moment.now < until) {
            cx.set_timer(Timer::Tick(place), period);
        }
        if !behaviour.when.holds(moment) || self.is_cut_off(moment) {
            return;
        }
        let (to, messages) = match behaviour.act {
            Act::ViewChangeSpam(_) => {
                let views = self.inner().status(cx.cluster).views;
                let demands = views.map_or_else(Vec::new, |views| {
                    P::Message::needless_view_changes(views.view, cx.cluster, cx.signer)
                });
                (To::All, demands)
            }
            Act::MacAttack(_) => {
                let Some(views) = self.inner().status(cx.cluster).views else { return };
                let bundle = Arc::new(mac_attack(cx, views.commander));
                if views.commander == cx.id() {
                    return self.hand_over(cx, Arrival::Submitted(bundle));
                }
                let request = P::Message::handing_over(bundle);
                (To::One(views.commander), request.into_iter().collect())
            }
            Act::Flood(rate) => (To::All, self.flood(cx, rate)),
            _ => return,
        };
        let mut outgoing = Vec::new();
        for message in messages.into_iter().map(|message| Outgoing::message(to, message)) {
            if behaviour.when.covers(message.traits()) {
                outgoing.extend(match behaviour.when.to[..] {
                    [] => vec![message],
                    _ => message.to_those(cx.cluster, cx.id(), |id| behaviour.when.concerns(id)),
                });
            }
        }
        let behaviours = std::mem::take(&mut self.behaviours);
        self.apply_behaviours(cx, moment, &behaviours, place + 1, outgoing);
        self.behaviours = behaviours;
    }

    pub(super) fn flood(&self, cx: &mut Context<'_, Self>, rate: u32) -> Vec<P::Message> {
        let near = self.inner().status(cx.cluster).last_executed;
        let burst = (u64::from(rate) * FLOOD_PERIOD.0).div_ceil(1_000_000);
        let mut messages = Vec::new();
        for _ in 0..burst {
            let again = !self.recorded.is_empty() && cx.choose.below(2) == 0;
            messages.push(match again {
                true => self.old_message(cx),
                false => P::Message::noise(near, cx.choose, cx.cluster, cx.signer),
            });
        }
        messages
    }
}
