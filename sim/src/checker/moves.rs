//! The moves of one replica: which deliveries need to be told apart.

use super::scope::Checkable;
use super::table::{EnvelopeId, Event, LocalId, Move, Moves, Table};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

impl<P: Checkable> Table<P> {
    /// Every single event that changes the state of the replica.
    pub(crate) fn single_moves(&mut self, at: LocalId, inbox: &Arc<[EnvelopeId]>) -> Moves<P::Timer> {
        let events = self.events(at, inbox);
        let moves = events.into_iter().map(|event| Move { events: vec![event], to: self.step(at, event) });
        moves.filter(|to| to.to != at).collect()
    }

    /// Every lazy move: silent events, then a visible one that needs them all
    /// (see the module's documentation). `one_quorum` keeps one of those that look
    /// alike from outside, and puts no votes for different things into one move.
    pub(crate) fn lazy_moves(
        &mut self,
        at: LocalId,
        inbox: &Arc<[EnvelopeId]>,
        one_quorum: bool,
    ) -> Moves<P::Timer> {
        if let Some(moves) = self.moves.get(&(at, Arc::clone(inbox))) {
            return Arc::clone(moves);
        }
        let mut moves: Vec<Move<P::Timer>> = Vec::new();
        let mut ends = HashSet::new();
        let mut observables = HashSet::new();
        let mut reached = HashSet::from([at]);
        let mut pending = VecDeque::from([(at, Vec::new(), None)]);
        while let Some((here, path, topic)) = pending.pop_front() {
            for event in self.events(here, inbox) {
                let own_topic = self.topic(event).filter(|_| one_quorum);
                let is_apart = topic.is_some() && own_topic.is_some() && topic != own_topic;
                // A replica may keep every copy of a message that comes early.
                if is_apart || path.contains(&event) {
                    continue;
                }
                let next = self.step(here, event);
                let longer = || path.iter().copied().chain([event]).collect::<Vec<_>>();
                if next == here {
                    continue;
                } else if !self.is_visible(here, next) {
                    if reached.insert(next) {
                        pending.push_back((next, longer(), topic.or(own_topic)));
                    }
                } else if !ends.contains(&next) && self.needs_all(at, &path, event, next) {
                    ends.insert(next);
                    if !one_quorum || observables.insert(self.observable(next)) {
                        moves.push(Move { events: longer(), to: next });
                    }
                }
            }
        }
        let moves: Moves<P::Timer> = moves.into();
        self.moves.insert((at, Arc::clone(inbox)), Arc::clone(&moves));
        moves
    }

    /// Whether `last` needs every event of `path` before it: none can come at the
    /// end, after something visible, and leave the replica in the same state.
    fn needs_all(
        &mut self,
        at: LocalId,
        path: &[Event<P::Timer>],
        last: Event<P::Timer>,
        end: LocalId,
    ) -> bool {
        (0..path.len()).all(|late| {
            let others = path.iter().enumerate().filter(|(i, _)| *i != late).map(|(_, event)| *event);
            let order: Vec<_> = others.chain([last]).collect();
            let Some(before) = self.walk(at, &order).filter(|before| self.is_visible(at, *before)) else {
                return true;
            };
            self.walk(before, &[path[late]]) != Some(end)
        })
    }

    /// The state after these events; none if a timer among them cannot expire.
    fn walk(&mut self, at: LocalId, events: &[Event<P::Timer>]) -> Option<LocalId> {
        let mut here = at;
        for event in events {
            if matches!(event, Event::Expire(_)) && !self.events(here, &[]).contains(event) {
                return None;
            }
            here = self.step(here, *event);
        }
        Some(here)
    }
}
