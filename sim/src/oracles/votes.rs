//! An honest replica votes once: for one digest per phase, view and slot, even
//! if it lost its memory in between, and never again in a view that it left.

use super::in_view;
use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Digest, Mark, Phase, ReplicaId, Seq, View, ViewMark};
use std::collections::{BTreeMap, HashMap};

/// A replica's vote: to accept (a proposal is one, too) or to commit.
type Ballot = (ReplicaId, bool, Option<View>, Seq);

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let mut votes: HashMap<Ballot, Digest> = HashMap::new();
    let mut left: BTreeMap<ReplicaId, View> = BTreeMap::new();
    for moment in trace.honest_moments() {
        let (replica, mark) = match moment {
            Moment::Restarted(replica) => {
                left.remove(&replica);
                continue;
            }
            Moment::Marked(replica, mark) => (replica, mark),
        };
        let (phase, view, seq, digest) = match *mark {
            Mark::View(ViewMark::LeftFor { view }) => {
                let latest = left.entry(replica).or_default();
                *latest = view.max(*latest);
                continue;
            }
            Mark::Proposed { view, seq, digest, .. } => (Phase::PrePrepare, view, seq, digest),
            Mark::Voted { phase, view, seq, digest } => (phase, view, seq, digest),
            _ => continue,
        };
        if let Some(wanted) = left.get(&replica).filter(|wanted| view.is_some_and(|view| view < **wanted)) {
            return Err(format!("replica {replica} voted{} after leaving for view {wanted}", in_view(view)));
        }
        let ballot = (replica, phase == Phase::Commit, view, seq);
        let first = *votes.entry(ballot).or_insert(digest);
        if first != digest {
            return Err(format!(
                "replica {replica} voted twice{} for slot {seq}: {first:?}, then {digest:?}",
                in_view(view)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;
    use kernel::{Mark, Phase, View, ViewMark};

    #[test]
    fn one_vote_per_phase_view_and_slot() {
        let run = trace(4).propose(0, 0, 1, "a").vote(Phase::Prepare, &[1], 0, 1, "a");
        let run = run
            .vote(Phase::Commit, &[0, 1], 0, 1, "a")
            .mark(1, Mark::View(ViewMark::LeftFor { view: View(1) }));
        let run = run.vote(Phase::Prepare, &[1], 1, 1, "b").vote(Phase::Prepare, &[1], 1, 2, "c");
        assert_eq!(check(&run), Ok(()));
    }

    #[test]
    fn a_second_vote_is_a_breach_even_without_memory_of_the_first() {
        let run = trace(4).vote(Phase::Prepare, &[1], 0, 1, "a").vote(Phase::Prepare, &[1], 0, 1, "b");
        assert!(check(&run).unwrap_err().contains("voted twice in view 0 for slot 1"));
        assert_eq!(check(&run.faulty(&[1])), Ok(()));
        let run =
            trace(4).vote(Phase::Commit, &[1], 0, 1, "a").restart(1).vote(Phase::Commit, &[1], 0, 1, "b");
        assert!(check(&run).is_err());
        let run = trace(4).propose(0, 0, 1, "a").vote(Phase::Prepare, &[0], 0, 1, "b");
        assert!(check(&run).is_err());
    }

    #[test]
    fn a_vote_below_the_view_wanted_is_a_breach() {
        let run = trace(4).mark(1, Mark::View(ViewMark::LeftFor { view: View(2) })).vote(
            Phase::Prepare,
            &[1],
            1,
            1,
            "a",
        );
        assert!(check(&run).unwrap_err().contains("after leaving for view 2"));
    }
}
