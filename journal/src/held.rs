//! Effects that wait until the inputs behind them are safe.

use kernel::{Class, Effect, Mark, Protocol, ViewMark, WaitsFor, Weakening, Wire, weakened};
use std::collections::VecDeque;

/// A place in the journal: how many batches were handed over to be written, this one included.
pub type Ticket = u64;

/// Effects of a replica, in order, none of which may leave before its time.
///
/// Most of what a replica sends is a promise: it may leave once the inputs of its own step are safe. So is a vote that it casts
/// and sends to nobody, as it collects them itself. A reply, a
/// mark or a message that [waits for earlier promises](WaitsFor::EarlierPromises) tells of what this replica's and its peers'
/// promises have led to, and may leave once all that was promised up to its own step is safe.
/// A message that [waits for nothing](WaitsFor::Nothing) is not held, nor are timers, which are the replica's own. But a proposal
/// does not go ahead of what it rests on: that its view has begun, and its watermarks. The mark of a proposal goes with it.
#[derive(Debug)]
pub struct Held<P: Protocol> {
    waiting: VecDeque<(Ticket, Effect<P>)>,
    /// What the last promise waits for.
    last_promise: Ticket,
    /// What the last beginning of a view, or the last stable checkpoint, waits for.
    proposals_rest_on: Ticket,
    safe: Ticket,
}

impl<P: Protocol> Default for Held<P> {
    fn default() -> Held<P> {
        Held { waiting: VecDeque::new(), last_promise: 0, proposals_rest_on: 0, safe: 0 }
    }
}

impl<P: Protocol> Held<P> {
    /// Takes the effects of a step whose inputs will be safe with `ticket`; leaves those that need not wait.
    pub fn hold(&mut self, ticket: Ticket, effects: &mut Vec<Effect<P>>) {
        if weakened(Weakening::EffectsBeforeJournal) {
            return;
        }
        if effects.iter().any(carries_proposals) {
            self.proposals_rest_on = ticket;
        }
        let may_propose = self.proposals_rest_on <= self.safe;
        if effects.iter().any(|effect| is_promise(effect, may_propose)) {
            self.last_promise = ticket;
        }
        if self.last_promise <= self.safe && self.waiting.is_empty() {
            return;
        }
        let is_free = |effect: &Effect<P>| waits_for_nothing(effect, may_propose);
        let proposes = effects.iter().any(|effect| is_proposal(effect) && is_free(effect));
        let held = effects.extract_if(.., |effect| !(is_free(effect) || proposes && is_proposed(effect)));
        self.waiting.extend(held.map(|effect| (self.last_promise, effect)));
    }

    /// Whether something waits for this ticket.
    pub fn waits_for(&self, ticket: Ticket) -> bool {
        self.last_promise >= ticket
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

fn is_promise<P: Protocol>(effect: &Effect<P>, may_propose: bool) -> bool {
    match effect {
        Effect::Send { message, .. } => match message.waits_for() {
            WaitsFor::Nothing => is_proposal(effect) && !may_propose,
            WaitsFor::EarlierPromises => false,
            WaitsFor::OwnStep => true,
        },
        Effect::Mark(Mark::Voted { .. }) => !weakened(Weakening::UnsentVoteNotHeld),
        // Written at once, so that no proposal waits for long.
        Effect::Mark(_) => carries_proposals(effect),
        _ => false,
    }
}

/// Whether proposals rest on what this tells.
fn carries_proposals<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Mark(Mark::View(ViewMark::ViewBegan { .. } | ViewMark::Stable { .. })))
}

fn waits_for_nothing<P: Protocol>(effect: &Effect<P>, may_propose: bool) -> bool {
    match effect {
        Effect::SetTimer { .. } | Effect::CancelTimer(_) => true,
        Effect::Send { message, .. } => {
            message.waits_for() == WaitsFor::Nothing && !is_promise(effect, may_propose)
        }
        _ => false,
    }
}

fn is_proposal<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Send { message, .. } if message.class() == Class::Proposal)
}

fn is_proposed<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Mark(Mark::Proposed { .. }))
}
