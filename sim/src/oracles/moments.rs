//! A trace as the oracles go through it: what honest replicas did, and when they
//! forgot it.

use crate::trace::{Change, Stamped, Trace};
use kernel::{Mark, ReplicaId};

/// One step of a replica's life.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// It left a mark.
    Marked(ReplicaId, &'a Mark),
    /// It began again without what it knew.
    Restarted(ReplicaId),
}

impl Trace {
    /// Whether the replica never misbehaved. One that crashed or lost its memory
    /// is honest.
    pub fn is_honest(&self, replica: ReplicaId) -> bool {
        !self.faulty.contains(&replica.0)
    }

    /// Replicas that are honest throughout.
    pub fn honest(&self) -> Vec<ReplicaId> {
        self.cluster.replicas().filter(|id| self.is_honest(*id)).collect()
    }

    /// The marks of honest replicas, in order.
    pub fn honest_marks(&self) -> impl Iterator<Item = &Stamped> {
        self.marks.iter().filter(|stamped| self.is_honest(stamped.replica))
    }

    /// What honest replicas did and when they forgot it, in order.
    pub fn honest_moments(&self) -> impl Iterator<Item = Moment<'_>> {
        let is_restart = |life: &&crate::trace::Lifecycle| life.change == Change::Restarted;
        let mut restarts = self.lifecycle.iter().filter(is_restart).peekable();
        let mut marks = self.marks.iter().enumerate().peekable();
        let moments = std::iter::from_fn(move || {
            let next = marks.peek().map_or(usize::MAX, |(place, _)| *place);
            if let Some(restart) = restarts.next_if(|restart| restart.marks <= next) {
                return Some((restart.replica, Moment::Restarted(restart.replica)));
            }
            marks.next().map(|(_, stamped)| (stamped.replica, Moment::Marked(stamped.replica, &stamped.mark)))
        });
        moments.filter(|(replica, _)| self.is_honest(*replica)).map(|(_, moment)| moment)
    }
}
