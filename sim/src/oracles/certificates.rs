//! Certificate soundness: behind every decision of an honest replica, and behind
//! every COMMIT, stand the votes of enough distinct replicas, cast before it.
//!
//! What faulty replicas signed nobody can know, so all of them count as having
//! voted for everything. Not for the published flow, whose announcements carry
//! no proof.

use super::in_view;
use crate::trace::Trace;
use kernel::{Digest, Mark, Path, Phase, ReplicaId, Seq, View};
use std::collections::{HashMap, HashSet};

type About = (Option<View>, Seq, Digest);
type Voters = HashMap<About, HashSet<ReplicaId>>;

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let (mut accepting, mut committing) = (Voters::new(), Voters::new());
    for stamped in trace.honest_marks() {
        let replica = stamped.replica;
        match stamped.mark {
            Mark::Proposed { view, seq, digest, .. } => {
                accepting.entry((view, seq, digest)).or_default().insert(replica);
            }
            Mark::Voted { phase: Phase::Commit, view, seq, digest } => {
                let about = (view, seq, digest);
                backed(trace, &accepting, about, quorum(trace), &format!("the COMMIT of replica {replica}"))?;
                committing.entry(about).or_default().insert(replica);
            }
            Mark::Voted { view, seq, digest, .. } => {
                accepting.entry((view, seq, digest)).or_default().insert(replica);
            }
            Mark::Committed { view, seq, digest, path } => {
                let about = (view, seq, digest);
                let what = format!("the {path} decision of replica {replica}");
                let all = backed(trace, &accepting, about, usize::from(trace.cluster.n), &what);
                // Who was told by others knows of no view.
                let told =
                    committing.keys().filter(|(_, of, what)| view.is_none() && (*of, *what) == (seq, digest));
                let about = told.max_by_key(|about| committing[about].len()).copied().unwrap_or(about);
                let committed = backed(trace, &committing, about, quorum(trace), &what);
                match path {
                    Path::Fast => all?,
                    Path::Direct | Path::TwoPhase => committed?,
                    // A certificate of either kind may answer a fallback vote.
                    Path::Fallback => all.or(committed)?,
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Judges a run of a protocol with one round of votes: behind every decision of an honest replica stand those of a
/// quorum.
pub fn check_one_round(trace: &Trace) -> Result<(), String> {
    let mut accepting = Voters::new();
    for stamped in trace.honest_marks() {
        let replica = stamped.replica;
        match stamped.mark {
            Mark::Voted { view, seq, digest, .. } => {
                accepting.entry((view, seq, digest)).or_default().insert(replica);
            }
            Mark::Committed { view, seq, digest, path } => {
                let what = format!("the {path} decision of replica {replica}");
                backed(trace, &accepting, (view, seq, digest), quorum(trace), &what)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The smallest number of replicas such that two sets of that size share more
/// than `f` of them.
fn quorum(trace: &Trace) -> usize {
    let n = usize::from(trace.cluster.n);
    let f = (n - 1) / 3;
    (n + f) / 2 + 1
}

fn backed(
    trace: &Trace,
    votes: &Voters,
    (view, seq, digest): About,
    needed: usize,
    what: &str,
) -> Result<(), String> {
    let honest = votes.get(&(view, seq, digest)).map_or(0, HashSet::len);
    let most = honest + trace.faulty.len();
    if most >= needed {
        return Ok(());
    }
    Err(format!(
        "{what}{} for slot {seq}, {digest:?}, rests on {most} votes at most, not {needed}",
        in_view(view)
    ))
}

#[cfg(test)]
mod tests {
    use super::{check, check_one_round, quorum};
    use crate::oracles::testing::trace;
    use crate::trace::Trace;
    use kernel::{Path, Phase};

    fn accepted(n: u16, voters: &[u16]) -> Trace {
        trace(n).propose(0, 0, 1, "a").vote(Phase::Prepare, voters, 0, 1, "a")
    }

    #[test]
    fn quorums_share_more_than_f() {
        for n in 1..200 {
            let (q, f) = (quorum(&trace(n)), usize::from(n - 1) / 3);
            assert!(2 * q > usize::from(n) + f && 2 * (q - 1) <= usize::from(n) + f);
        }
    }

    #[test]
    fn enough_votes_carry_a_decision() {
        let run = accepted(4, &[1, 2]).vote(Phase::Commit, &[0, 1, 3], 0, 1, "a");
        assert_eq!(check(&run.clone().commit(2, Path::Direct, 0, 1, "a")), Ok(()));
        assert_eq!(check(&accepted(4, &[1, 2, 3]).commit(2, Path::Fast, 0, 1, "a")), Ok(()));
        assert_eq!(check(&accepted(4, &[1, 2, 3]).commit(2, Path::Fallback, 0, 1, "a")), Ok(()));
        let helped = accepted(4, &[1, 2]).faulty(&[3]);
        assert_eq!(check(&helped.commit(2, Path::Fast, 0, 1, "a")), Ok(()));
        // What honest replicas voted for before they lost their memory stays signed.
        assert_eq!(check(&run.restart(1).commit(2, Path::Direct, 0, 1, "a")), Ok(()));
    }

    #[test]
    fn one_round_of_votes_carries_a_decision_where_there_is_but_one() {
        let run = trace(4).vote(Phase::Prepare, &[0, 1, 2], 0, 1, "a").commit(3, Path::Direct, 0, 1, "a");
        assert_eq!(check_one_round(&run), Ok(()));
        let short = trace(4).vote(Phase::Prepare, &[0, 1], 0, 1, "a");
        let decided = short.clone().commit(3, Path::Direct, 0, 1, "a");
        assert!(check_one_round(&decided).unwrap_err().contains("rests on 2 votes at most, not 3"));
        assert_eq!(check_one_round(&decided.faulty(&[2])), Ok(()));
        assert!(check_one_round(&short.commit(3, Path::Direct, 0, 1, "b")).is_err(), "votes for another one");
    }

    #[test]
    fn too_few_votes_do_not() {
        let run = accepted(4, &[1, 2]).vote(Phase::Commit, &[0, 1], 0, 1, "a");
        let error = check(&run.clone().commit(2, Path::Direct, 0, 1, "a")).unwrap_err();
        assert!(error.contains("rests on 2 votes at most, not 3"), "{error}");
        assert_eq!(check(&run.clone().faulty(&[3]).commit(2, Path::Direct, 0, 1, "a")), Ok(()));
        assert!(check(&run.clone().commit(2, Path::Fast, 0, 1, "a")).is_err());
        assert!(check(&run.commit(2, Path::Fallback, 0, 1, "a")).is_err());
        assert!(check(&accepted(4, &[1, 2]).commit(2, Path::Fast, 0, 1, "a")).is_err());
        // n = 5 needs four, not 2f+1.
        let five = accepted(5, &[1, 2, 3]).vote(Phase::Commit, &[0, 1, 2], 0, 1, "a");
        assert!(check(&five.commit(2, Path::Direct, 0, 1, "a")).is_err());
    }

    #[test]
    fn votes_of_another_view_phase_or_digest_or_a_later_time_do_not_count() {
        let run = accepted(4, &[1, 2]).vote(Phase::Commit, &[0, 1, 2], 0, 1, "a");
        assert!(check(&run.clone().commit(3, Path::Direct, 1, 1, "a")).is_err());
        assert!(check(&run.commit(3, Path::Direct, 0, 1, "b")).is_err());
        assert!(check(&accepted(4, &[1, 2, 3]).commit(3, Path::TwoPhase, 0, 1, "a")).is_err());
        let late =
            accepted(4, &[1]).commit(1, Path::Fast, 0, 1, "a").vote(Phase::Prepare, &[2, 3], 0, 1, "a");
        assert!(check(&late).is_err());
    }

    #[test]
    fn a_commit_needs_a_quorum_that_accepted() {
        assert_eq!(check(&accepted(4, &[1, 2]).vote(Phase::Commit, &[1], 0, 1, "a")), Ok(()));
        let error = check(&accepted(4, &[1]).vote(Phase::Commit, &[1], 0, 1, "a")).unwrap_err();
        assert!(error.starts_with("the COMMIT of replica 1"), "{error}");
    }
}
