//! What happened in a run, as the oracles read it.

use kernel::{Cluster, Mark, Output, ReplicaId, Seq, SessionId, View};
use std::collections::BTreeSet;

/// Everything that a judge needs to know of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The cluster.
    pub cluster: Cluster,
    /// Every request that clients submitted, in the order of submission.
    pub submitted: Vec<Submitted>,
    /// See [`crate::Setup::results_are_places`].
    pub results_are_places: bool,
    /// Results that clients accepted, in the order of acceptance.
    pub accepted: Vec<Outcome>,
    /// Requests that were not answered within their client's time limit, in the
    /// order in which the limit expired. An answer may have come later.
    pub timed_out: Vec<usize>,
    /// Every mark of every replica, in order, if the setup asked for a record.
    pub marks: Vec<Stamped>,
    /// Crashes and restarts.
    pub lifecycle: Vec<Lifecycle>,
    /// Replicas that misbehaved at some time or were given the means to.
    pub faulty: BTreeSet<u16>,
    /// Replicas whose state was damaged at some time, or may have been: what they say
    /// of it is wrong until they notice. In all else they keep the rules.
    pub damaged: BTreeSet<u16>,
    /// Replicas whose messages were found to be invalid or contradictory.
    pub caught: BTreeSet<ReplicaId>,
}

/// A request that a client submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its number, from 0.
    pub request: usize,
    /// The session that asked.
    pub session: SessionId,
    /// Which of the session's requests.
    pub counter: u64,
    /// The node that took it in.
    pub gateway: ReplicaId,
    /// When it was due, in virtual microseconds.
    pub at_us: u64,
    /// When its gateway took it up: later, if it was busy then. None as long as it
    /// was not.
    pub taken_up_us: Option<u64>,
}

/// A result that a client accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The request's number.
    pub request: usize,
    /// What the application answered.
    pub result: Output,
    /// The slot, by the word of the reply that completed the quorum.
    pub seq: Seq,
    /// The view, by the same.
    pub view: View,
    /// When, in virtual microseconds.
    pub at_us: u64,
}

/// A mark, and when and where it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// By whom.
    pub replica: ReplicaId,
    /// What happened.
    pub mark: Mark,
}

/// A replica stopped or began again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// Who.
    pub replica: ReplicaId,
    /// What.
    pub change: Change,
    /// How many marks the trace had by then.
    pub marks: usize,
}

/// What became of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stopped, and lost its state.
    Crashed,
    /// It began again, without what it knew.
    Restarted,
    /// It began again as it was by its journal: nothing of what it had said is forgotten.
    Resumed,
}

/// One entry of a replica's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Sequence number.
    pub seq: u64,
    /// Hex digest of the batch.
    pub digest: String,
    /// Requests executed with it.
    pub requests: usize,
}

impl Trace {
    /// A trace without anything in it.
    pub fn new(cluster: Cluster, results_are_places: bool) -> Trace {
        Trace {
            cluster,
            submitted: Vec::new(),
            results_are_places,
            accepted: Vec::new(),
            timed_out: Vec::new(),
            marks: Vec::new(),
            lifecycle: Vec::new(),
            faulty: BTreeSet::new(),
            damaged: BTreeSet::new(),
            caught: BTreeSet::new(),
        }
    }
}
