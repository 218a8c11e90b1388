//! Replicas in a network as a stateright model.

use super::scope::{Checkable, Scope};
use super::table::{Event, LocalId, Moves, Reach, Table};
use stateright::{Model, Property};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How much of what cannot make a difference is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Nothing: every single delivery in every order. For comparison.
    EveryDelivery,
    /// Deliveries that nobody can tell yet are put off until something needs
    /// them.
    Lazy,
    /// Lazy, and of all quorums that bring about the same one.
    OneQuorum,
}

/// A state of the whole: the local state of every node.
pub(crate) type Cut = Box<[LocalId]>;

/// One node moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) node: usize,
    pub(crate) to: LocalId,
}

/// A scope as a model.
pub(crate) struct World<P: Checkable> {
    table: Mutex<Table<P>>,
    search: Search,
    initial: Cut,
    /// Ends the search early: no state has actions any more.
    pub(crate) halted: Arc<AtomicBool>,
}

impl<P: Checkable> World<P> {
    pub(crate) fn new(scope: Scope<P>, search: Search) -> World<P> {
        let nodes = scope.nodes.len();
        let mut table = Table::new(scope);
        let mut initial: Cut = (0..nodes).map(|node| table.start(node)).collect();
        table.open(&mut initial);
        World { table: Mutex::new(table), search, initial, halted: Arc::default() }
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table<P>> {
        self.table.lock().expect("a step that panics ends the check")
    }

    pub(crate) fn reach(&self) -> Reach {
        self.table().reach()
    }

    /// The events of one move, in order.
    pub(crate) fn events(&self, cut: &Cut, action: &Action) -> Vec<Event<P::Timer>> {
        let moves = self.moves(&mut self.table(), cut, action.node);
        let found = moves.iter().find(|found| found.to == action.to);
        found.map_or_else(Vec::new, |found| found.events.clone())
    }

    fn moves(&self, table: &mut Table<P>, cut: &Cut, node: usize) -> Moves<P::Timer> {
        let inbox = table.inbox(cut, node);
        match self.search {
            Search::EveryDelivery => table.single_moves(cut[node], &inbox),
            Search::Lazy => table.lazy_moves(cut[node], &inbox, false),
            Search::OneQuorum => table.lazy_moves(cut[node], &inbox, true),
        }
    }
}

impl<P: Checkable> Model for World<P> {
    type State = Cut;
    type Action = Action;

    fn init_states(&self) -> Vec<Cut> {
        vec![self.initial.clone()]
    }

    fn actions(&self, cut: &Cut, actions: &mut Vec<Action>) {
        if self.halted.load(Ordering::Relaxed) {
            return;
        }
        let table = &mut *self.table();
        let spent: u32 = cut.iter().map(|local| table.expirations(*local)).sum();
        let left = u32::from(table.scope.expirations) - spent;
        for (node, at) in cut.iter().enumerate() {
            for found in self.moves(table, cut, node).iter() {
                if table.expirations(found.to) - table.expirations(*at) <= left {
                    actions.push(Action { node, to: found.to });
                }
            }
        }
    }

    fn next_state(&self, cut: &Cut, action: Action) -> Option<Cut> {
        let mut next = cut.clone();
        next[action.node] = action.to;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<World<P>>> {
        vec![
            Property::always(AGREEMENT, |world, cut: &Cut| {
                !world.table().breaks_first(cut, |verdict| verdict.agree)
            }),
            Property::always(VALIDITY, |world, cut: &Cut| {
                !world.table().breaks_first(cut, |verdict| verdict.are_valid)
            }),
        ]
    }
}

/// See [`history::agree`].
pub(crate) const AGREEMENT: &str = "agreement";
/// See [`history::is_valid`].
pub(crate) const VALIDITY: &str = "validity";
