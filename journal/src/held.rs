//! Effects that wait until the inputs behind them are safe.

use kernel::{
    Class, Cluster, Effect, Mark, Phase, Protocol, Seq, ViewMark, WaitsFor, Weakening, Wire, weakened,
};
use std::collections::VecDeque;

/// A place in the journal: how many batches were handed over to be written, this one included.
pub type Ticket = u64;

/// Effects of a replica, in order, none of which may leave before its time.
///
/// Most of what a replica sends is a promise: it may leave once the inputs of its own step are safe. So is a vote that it casts
/// and sends to nobody, as it collects them itself. A reply, a
/// mark or a message that [waits for earlier promises](WaitsFor::EarlierPromises) tells of what this replica's and its peers'
/// promises have led to, and may leave once all that was promised up to its own step is safe.
/// A message that [waits for nothing](WaitsFor::Nothing) is not held, nor are timers, which are the replica's own. Nor is one that waits
/// for [its view and its watermarks](WaitsFor::ViewAndWatermarks) once these are safe; the mark of what it votes for goes with it.
#[derive(Debug)]
pub struct Held<P: Protocol> {
    waiting: VecDeque<(Ticket, Effect<P>)>,
    /// What the last promise waits for.
    last_promise: Ticket,
    /// What the last beginning of a view, or the last stable checkpoint, waits for.
    view_and_watermarks: Ticket,
    safe: Ticket,
}

impl<P: Protocol> Default for Held<P> {
    fn default() -> Held<P> {
        Held { waiting: VecDeque::new(), last_promise: 0, view_and_watermarks: 0, safe: 0 }
    }
}

impl<P: Protocol> Held<P> {
    /// Takes the effects of a step whose inputs will be safe with `ticket`; leaves those that need not wait.
    pub fn hold(&mut self, cluster: &Cluster, ticket: Ticket, effects: &mut Vec<Effect<P>>) {
        if weakened(Weakening::EffectsBeforeJournal) {
            return;
        }
        if effects.iter().any(changes_view_or_watermarks) {
            self.view_and_watermarks = ticket;
        }
        let step = Step::of(cluster, effects, self.view_and_watermarks <= self.safe);
        if effects.iter().any(|effect| step.is_promise(effect)) {
            self.last_promise = ticket;
        }
        if self.last_promise <= self.safe && self.waiting.is_empty() {
            return;
        }
        let held = effects.extract_if(.., |effect| !step.waits_for_nothing(effect));
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

/// What is to be known of a step to tell what its effects wait for.
struct Step<'a> {
    cluster: &'a Cluster,
    /// The replica's view and watermarks are safe.
    has_view_and_watermarks: bool,
    /// Proposals and PREPAREs that leave before their step is safe.
    early: Vec<(Class, Option<Seq>)>,
}

impl Step<'_> {
    fn of<'a, P: Protocol>(
        cluster: &'a Cluster,
        effects: &[Effect<P>],
        has_view_and_watermarks: bool,
    ) -> Step<'a> {
        let early = if has_view_and_watermarks { early_votes(cluster, effects).collect() } else { vec![] };
        Step { cluster, has_view_and_watermarks, early }
    }

    fn is_promise<P: Protocol>(&self, effect: &Effect<P>) -> bool {
        match effect {
            Effect::Send { message, .. } => match message.waits_for(self.cluster) {
                WaitsFor::Nothing | WaitsFor::EarlierPromises => false,
                WaitsFor::ViewAndWatermarks => !self.has_view_and_watermarks,
                WaitsFor::OwnStep => true,
            },
            Effect::Mark(Mark::Voted { .. }) => {
                !self.leaves_early(effect) && !weakened(Weakening::UnsentVoteNotHeld)
            }
            // Written at once, so that no proposal waits for long.
            Effect::Mark(_) => changes_view_or_watermarks(effect),
            _ => false,
        }
    }

    fn waits_for_nothing<P: Protocol>(&self, effect: &Effect<P>) -> bool {
        match effect {
            Effect::SetTimer { .. } | Effect::CancelTimer(_) => true,
            Effect::Send { message, .. } => match message.waits_for(self.cluster) {
                WaitsFor::Nothing => true,
                WaitsFor::ViewAndWatermarks => self.has_view_and_watermarks,
                WaitsFor::EarlierPromises | WaitsFor::OwnStep => false,
            },
            _ => self.leaves_early(effect),
        }
    }

    fn leaves_early<P: Protocol>(&self, effect: &Effect<P>) -> bool {
        matches!(effect, Effect::Mark(mark) if tells_of_one(mark, &self.early))
    }
}

/// Class and slot of each proposal and PREPARE of a flow in which they do not wait for their own step.
pub fn early_votes<P: Protocol>(
    cluster: &Cluster,
    effects: &[Effect<P>],
) -> impl Iterator<Item = (Class, Option<Seq>)> {
    effects.iter().filter_map(move |effect| match effect {
        Effect::Send { message, .. } if message.waits_for(cluster) == WaitsFor::ViewAndWatermarks => {
            Some((message.class(), message.seq()))
        }
        _ => None,
    })
}

/// Whether the mark is that of one of these [`early_votes`].
pub fn tells_of_one(mark: &Mark, votes: &[(Class, Option<Seq>)]) -> bool {
    match mark {
        Mark::Proposed { seq, .. } => votes.contains(&(Class::Proposal, Some(*seq))),
        Mark::Voted { phase: Phase::Prepare, seq, .. } => votes.contains(&(Class::Vote, Some(*seq))),
        _ => false,
    }
}

fn changes_view_or_watermarks<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Mark(Mark::View(ViewMark::ViewBegan { .. } | ViewMark::Stable { .. })))
}
