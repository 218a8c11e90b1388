//! `replay`, `flood` and `view-change-spam`: messages that a node sends and its
//! replica does not.

use super::{Adversary, Timer};
use crate::behaviour::Act;
use crate::outgoing::Outgoing;
use crate::trigger::Moment;
use kernel::{Context, Falsify as _, Micros, Protocol, To};

/// Messages kept for being sent again.
const RECORDED: usize = 64;

/// A flood comes in bursts of at least one message, so many apart.
const FLOOD_PERIOD: Micros = Micros::from_millis(10);

/// How often a behaviour acts by itself.
fn period(act: &Act) -> Option<Micros> {
    match act {
        Act::ViewChangeSpam(every) => Some(*every),
        Act::Flood(rate) => Some(FLOOD_PERIOD.max(Micros(1_000_000 / u64::from(*rate)))),
        _ => None,
    }
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
        let messages = match behaviour.act {
            Act::ViewChangeSpam(_) => {
                let views = self.inner().status(cx.cluster).views;
                views.map_or_else(Vec::new, |views| {
                    P::Message::needless_view_changes(views.view, cx.cluster, cx.signer)
                })
            }
            Act::Flood(rate) => self.flood(cx, rate),
            _ => vec![],
        };
        let mut outgoing = Vec::new();
        for message in messages.into_iter().map(|message| Outgoing::message(To::All, message)) {
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
