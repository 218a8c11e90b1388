//! Effects that wait until the inputs behind them are safe.

use kernel::{Effect, Protocol, Weakening, weakened};
use std::collections::VecDeque;

/// A place in the journal: how many batches were handed over to be written, this one included.
pub type Ticket = u64;

/// Effects of a replica, in order, none of which may leave before its time.
///
/// What a replica sends is a promise: it may leave once the inputs of its own step are safe. A reply or a
/// mark promises nothing; it tells of what this replica's and its peers' promises have led to, and may leave
/// once all that was sent before is safe. Timers are the replica's own and are never held.
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
    /// Takes an effect of a step whose inputs will be safe with `ticket`; returns it if it
    /// need not wait.
    pub fn hold(&mut self, ticket: Ticket, effect: Effect<P>) -> Option<Effect<P>> {
        let until = match effect {
            Effect::SetTimer { .. } | Effect::CancelTimer(_) => return Some(effect),
            _ if weakened(Weakening::EffectsBeforeJournal) => return Some(effect),
            Effect::Send { .. } => {
                self.last_sent = ticket;
                ticket
            }
            Effect::Reply { .. } | Effect::Reject(_) | Effect::Mark(_) => self.last_sent,
        };
        if until <= self.safe && self.waiting.is_empty() {
            return Some(effect);
        }
        self.waiting.push_back((until, effect));
        None
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
