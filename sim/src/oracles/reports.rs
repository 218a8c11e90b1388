//! A VIEW-CHANGE says what its sender must not forget: for every slot above its
//! stable checkpoint that it sent COMMIT for, a prepared certificate of that view or
//! a later one, and in flows with a fast path its last vote to accept. Safety across
//! views rests on this (OSDI §4.4), and a run can break it long before two replicas
//! disagree.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Digest, Mark, Phase, ReplicaId, Seq, View, ViewMark};
use std::collections::HashMap;

/// By slot, what was said last.
type Said = HashMap<Seq, (View, Digest)>;

#[derive(Default)]
struct Owed {
    committed: Said,
    accepted: Said,
}

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let reporting = ["ccro", "ccro-aggregate", "pbft-mac", "pbft-mac-requests"];
    let reports_votes = reporting.contains(&trace.cluster.protocol.as_str());
    let mut owed: HashMap<ReplicaId, Owed> = HashMap::new();
    for moment in trace.honest_moments() {
        let (replica, mark) = match moment {
            Moment::Restarted(replica) => {
                owed.remove(&replica);
                continue;
            }
            Moment::Marked(replica, mark) => (replica, mark),
        };
        let owed = owed.entry(replica).or_default();
        match mark {
            Mark::Voted { phase: Phase::Commit, view: Some(view), seq, digest } => {
                owed.committed.insert(*seq, (*view, *digest));
            }
            Mark::Voted { view: Some(view), seq, digest, .. }
            | Mark::Proposed { view: Some(view), seq, digest, .. } => {
                owed.accepted.insert(*seq, (*view, *digest));
            }
            Mark::View(ViewMark::Reported { stable, prepared, voted }) => {
                is_reported(&owed.committed, *stable, prepared).map_err(|(seq, view)| {
                    format!("replica {replica} sent COMMIT for slot {seq} in view {view} and reports no certificate")
                })?;
                if reports_votes {
                    is_reported(&owed.accepted, *stable, voted).map_err(|(seq, view)| {
                        format!("replica {replica} accepted slot {seq} in view {view} and does not report it")
                    })?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first slot that is owed and not reported, and the view that is owed.
fn is_reported(owed: &Said, stable: Seq, reported: &[(Seq, View, Digest)]) -> Result<(), (Seq, View)> {
    let mut latest = Said::new();
    for (seq, view, digest) in reported {
        // Of a slot more than one digest may be reported (`pbft-mac`).
        let known = latest.entry(*seq).or_insert((*view, *digest));
        if known.0 < *view {
            *known = (*view, *digest);
        }
    }
    let reported = latest;
    let mut owed: Vec<_> = owed.iter().filter(|(seq, _)| **seq > stable).collect();
    owed.sort_unstable_by_key(|(seq, _)| **seq);
    let missing = owed.into_iter().find(|(seq, (view, digest))| {
        let enough =
            |(reported, what): &(View, Digest)| reported > view || (reported == view && what == digest);
        !reported.get(seq).is_some_and(enough)
    });
    missing.map_or(Ok(()), |(seq, (view, _))| Err((*seq, *view)))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::{digest, trace};
    use crate::trace::Trace;
    use kernel::{Mark, Phase, Seq, View, ViewMark};

    type Said<'a> = &'a [(u64, u64, &'a str)];

    fn report(run: Trace, stable: u64, prepared: Said<'_>, voted: Said<'_>) -> Trace {
        let list = |said: Said<'_>| said.iter().map(|(s, v, d)| (Seq(*s), View(*v), digest(d))).collect();
        run.mark(
            1,
            Mark::View(ViewMark::Reported {
                stable: Seq(stable),
                prepared: list(prepared),
                voted: list(voted),
            }),
        )
    }

    fn committed() -> Trace {
        trace(4).vote(Phase::Prepare, &[1], 2, 5, "a").vote(Phase::Commit, &[1], 2, 5, "a")
    }

    #[test]
    fn a_commit_is_reported_with_its_certificate_or_a_later_one() {
        for (view, name) in [(2, "a"), (3, "a"), (3, "b")] {
            assert_eq!(check(&report(committed(), 4, &[(5, view, name)], &[])), Ok(()));
        }
        for prepared in [&[][..], &[(5, 1, "a")], &[(5, 2, "b")], &[(6, 2, "a")]] {
            let error = check(&report(committed(), 4, prepared, &[])).unwrap_err();
            assert_eq!(error, "replica 1 sent COMMIT for slot 5 in view 2 and reports no certificate");
        }
    }

    #[test]
    fn what_a_checkpoint_covers_or_a_crash_took_is_not_owed() {
        assert_eq!(check(&report(committed(), 5, &[], &[])), Ok(()));
        assert_eq!(check(&report(committed().restart(1), 4, &[], &[])), Ok(()));
        assert_eq!(check(&report(committed().faulty(&[1]), 4, &[], &[])), Ok(()));
    }

    #[test]
    fn votes_to_accept_are_owed_where_there_is_a_fast_path() {
        let accepted = |protocol: &str| {
            let mut run = trace(4).vote(Phase::Prepare, &[1], 2, 5, "a");
            run.cluster.protocol = protocol.into();
            run
        };
        assert_eq!(check(&report(accepted("pbft"), 4, &[], &[])), Ok(()));
        assert_eq!(check(&report(accepted("ccro"), 4, &[], &[(5, 2, "a")])), Ok(()));
        for voted in [&[][..], &[(5, 1, "a")], &[(5, 2, "b")]] {
            let error = check(&report(accepted("ccro"), 4, &[], voted)).unwrap_err();
            assert_eq!(error, "replica 1 accepted slot 5 in view 2 and does not report it");
        }
    }
}
