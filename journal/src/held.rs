//! Effects that wait until the inputs behind them are safe.

use kernel::{Class, Effect, Protocol, Weakening, Wire, weakened};
use std::collections::VecDeque;

/// A place in the journal: how many batches were handed over to be written, this one included.
pub type Ticket = u64;

/// Effects of a replica, in order, none of which may leave before its time.
///
/// What a replica sends is a promise: it may leave once the inputs of its own step are safe. A reply or a
/// mark promises nothing; it tells of what this replica's and its peers' promises have led to, and may leave
/// once all that was sent up to its own step is safe. Requests that are passed on promise nothing of this replica: they are
/// never held, nor are timers, which are its own.
#[derive(Debug)]
pub struct Held<P: Protocol> {
    waiting: VecDeque<(Ticket, Effect<P>)>,
    /// What the last message that was sent waits for.
    last_sent: Ticket,
    safe: Ticket,
}

impl<P: Protocol> Default for Held<P> {
    fn default() -> Held<P> {
        Held { waiting: VecDeque::new(), last_sent: 0, safe: 0 }
    }
}

impl<P: Protocol> Held<P> {
    /// Takes the effects of a step whose inputs will be safe with `ticket`; leaves those that need not wait.
    pub fn hold(&mut self, ticket: Ticket, effects: &mut Vec<Effect<P>>) {
        if weakened(Weakening::EffectsBeforeJournal) {
            return;
        }
        if effects.iter().any(is_promise) {
            self.last_sent = ticket;
        }
        if self.last_sent <= self.safe && self.waiting.is_empty() {
            return;
        }
        let is_timer =
            |effect: &Effect<P>| matches!(effect, Effect::SetTimer { .. } | Effect::CancelTimer(_));
        let held = effects.extract_if(.., |effect| !is_timer(effect) && !is_request(effect));
        self.waiting.extend(held.map(|effect| (self.last_sent, effect)));
    }

    /// Whether something waits for this ticket.
    pub fn waits_for(&self, ticket: Ticket) -> bool {
        self.last_sent >= ticket
    }

    /// All is safe up to this ticket.
    pub fn safe_up_to(&mut self, ticket: Ticket) {
        self.safe = self.safe.max(ticket);
    }

    /// The next effect that may leave.
    pub fn release(&mut self) -> Option<Effect<P>> {
        let (until, _) = self.waiting.front()?;
        if *until > self.safe {
            return None;
        }
        self.waiting.pop_front().map(|(_, effect)| effect)
    }

    /// Effects that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets what waits: the replica stops.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

fn is_promise<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Send { .. }) && !is_request(effect)
}

fn is_request<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Send { message, .. } if message.class() == Class::Request)
}
