//! Running a check, and what comes out of it.

use super::diagram::{self, SequenceDiagram};
use super::model::{AGREEMENT, Search, VALIDITY, World};
use super::scope::{Checkable, Scope};
use super::table::Reach;
use stateright::{Checker, HasDiscoveries, Model};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// States generated, repetitions included.
    pub states: usize,
    /// Distinct states.
    pub unique: usize,
    /// The longest run, in moves.
    pub depth: usize,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// How much was seen.
    pub progress: Progress,
    /// What was seen.
    pub reach: Reach,
    /// Why the search ended before all states were seen; none if it did not.
    pub stopped: Option<String>,
    /// The property violated, and a shortest run that violates it.
    pub violation: Option<(&'static str, SequenceDiagram)>,
}

impl Report {
    /// Whether every state was seen.
    pub fn is_exhausted(&self) -> bool {
        self.stopped.is_none() && self.violation.is_none()
    }
}

/// How often the limits are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Explores a scope until a property is violated, every state was seen, or
/// `stop` gives a reason to end.
pub fn check<P: Checkable>(
    scope: Scope<P>,
    search: Search,
    mut stop: impl FnMut(Progress) -> Option<String>,
) -> Report {
    let world = World::new(scope, search);
    let halted = Arc::clone(&world.halted);
    // One thread: the first run found is a shortest one, and a rule that a test
    // switches off is switched off for the thread that steps.
    let mut checker = world.checker().finish_when(HasDiscoveries::AnyFailures).threads(1).spawn_bfs();
    let handles = checker.handles();
    let mut stopped = None;
    while handles.iter().any(|handle| !handle.is_finished()) {
        let progress = progress_of(&checker);
        if stopped.is_none() {
            stopped = stop(progress);
        }
        halted.store(stopped.is_some(), Ordering::Relaxed);
        std::thread::sleep(LOOK_EVERY);
    }
    for handle in handles {
        if let Err(panic) = handle.join() {
            std::panic::resume_unwind(panic);
        }
    }
    // The runs found are walked through again.
    halted.store(false, Ordering::Relaxed);
    let mut found = checker.discoveries();
    let violation = [AGREEMENT, VALIDITY].into_iter().find_map(|property| {
        let path = found.remove(property)?;
        Some((property, diagram::draw(checker.model(), path)))
    });
    let stopped = stopped.filter(|_| violation.is_none());
    Report { progress: progress_of(&checker), reach: checker.model().reach(), stopped, violation }
}

fn progress_of<P: Checkable>(checker: &impl Checker<World<P>>) -> Progress {
    Progress {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth().saturating_sub(1),
    }
}
