//! Each oracle restates one property in its own words and calls nothing of what
//! it judges: no quorum, vote set or digest of production code, only the marks
//! that replicas left.
//!
//! | oracle | property |
//! | --- | --- |
//! | [`agreement`] | one digest and one history per slot |
//! | [`total_order`] | slots without a gap, the same requests in each |
//! | [`source_order`] | without slots: the requests of each session in its order, at most once |
//! | [`validity`] | only what was asked for, at most once; answers to what was applied |
//! | [`acknowledged`] | what was acknowledged stands at its place at the end, once |
//! | [`certificates`] | enough votes behind every decision and every COMMIT |
//! | [`votes`] | an honest replica votes once, and never below a view that it left for |
//! | [`reports`] | a VIEW-CHANGE forgets nothing that its sender promised |
//! | [`checkpoints`] | a quorum behind every stable checkpoint; no invented state |
//! | [`states`] | equal logs have equal states; who lacks a state gets it in time |
//! | [`bounded`] | watermarks hold; what is kept is bounded |
//! | [`service`] | answers within a number of request timers |
//! | [`liveness`] | after healing all is answered and all logs are equal |
//! | [`logs`] | agreement and order of logs alone, where no marks were recorded |
//! | [`messages`] | messages per decision, fault-free |

pub mod acknowledged;
pub mod agreement;
pub mod bounded;
pub mod certificates;
pub mod checkpoints;
pub mod liveness;
pub mod logs;
pub mod messages;
mod moments;
pub mod reports;
pub mod service;
pub mod source_order;
pub mod states;
#[cfg(test)]
mod testing;
pub mod total_order;
pub mod validity;
pub mod votes;

pub use moments::Moment;

/// For a breach: the view, in a protocol with views.
fn in_view(view: Option<kernel::View>) -> String {
    view.map_or(String::new(), |view| format!(" in view {view}"))
}

use crate::trace::Trace;
use std::fmt;

/// What an oracle watches over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// [`agreement`].
    Agreement,
    /// [`total_order`].
    TotalOrder,
    /// [`source_order`].
    SourceOrder,
    /// [`validity`].
    Validity,
    /// [`acknowledged`].
    Acknowledged,
    /// [`certificates`].
    Certificates,
    /// [`votes`].
    Votes,
    /// [`reports`].
    Reports,
    /// [`checkpoints`].
    Checkpoints,
    /// [`states`].
    States,
    /// [`states::caught_up`].
    CaughtUp,
    /// [`bounded`].
    BoundedState,
    /// [`liveness::answered`].
    Liveness,
    /// [`service`].
    Service,
    /// [`liveness::equal_logs`].
    EqualLogs,
    /// [`messages`].
    Messages,
    /// No assertion of the replicas' own fails.
    Assertions,
    /// What must hold of the state that is replicated, such as that no money is made.
    Application,
}

/// A property that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// The first breach.
    pub breach: String,
}

impl Property {
    /// Makes a breach of this property a violation.
    pub fn judge(self, verdict: Result<(), String>) -> Result<(), Violation> {
        verdict.map_err(|breach| Violation { property: self, breach })
    }

    /// Whether a breach is one of safety; else it is one of liveness.
    pub fn is_safety(self) -> bool {
        !matches!(self, Property::Liveness | Property::Service | Property::EqualLogs | Property::CaughtUp)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Property::Agreement => "agreement",
            Property::TotalOrder => "total order",
            Property::SourceOrder => "source order",
            Property::Validity => "validity",
            Property::Acknowledged => "acknowledged requests",
            Property::Certificates => "certificate soundness",
            Property::Votes => "one vote",
            Property::Reports => "view-change reports",
            Property::Checkpoints => "checkpoint agreement",
            Property::States => "equal states",
            Property::CaughtUp => "caught up",
            Property::BoundedState => "bounded state",
            Property::Liveness => "liveness",
            Property::Service => "service within request timers",
            Property::EqualLogs => "equal logs",
            Property::Messages => "messages per decision",
            Property::Assertions => "assertions",
            Property::Application => "application",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.breach)
    }
}

/// What must hold of every run of every flow with at most `f` faulty replicas.
pub fn check_results(trace: &Trace) -> Result<(), Violation> {
    Property::Agreement.judge(agreement::check(trace))?;
    Property::TotalOrder.judge(total_order::check(trace))?;
    Property::Validity.judge(validity::check(trace))
}

/// What must hold of every run of a protocol that orders only the requests of each session: its slots stand side by
/// side.
pub fn check_unordered_results(trace: &Trace) -> Result<(), Violation> {
    Property::Agreement.judge(agreement::check(trace))?;
    Property::SourceOrder.judge(source_order::check(trace))?;
    Property::Votes.judge(votes::check(trace))?;
    Property::Certificates.judge(certificates::check_one_round(trace))
}

/// What must hold, beyond that, of the flows that are made of PBFT's votes.
pub fn check_votes(trace: &Trace) -> Result<(), Violation> {
    Property::Votes.judge(votes::check(trace))?;
    Property::Reports.judge(reports::check(trace))?;
    Property::Certificates.judge(certificates::check(trace))?;
    Property::Checkpoints.judge(checkpoints::check(trace))?;
    Property::States.judge(states::check(trace))
}
