//! Source order, for protocols without a total order: every honest replica applies
//! the requests of each session in the order of their counters, without a gap, each
//! once; only what was asked for is applied, and only what was applied is answered. Whoever takes over a state goes on
//! after what that contains. (A faulty actor can leave its own
//! clients without what they were answered, if all nodes stop before it is on a disk: it alone has the proof.)

use super::Moment;
use crate::trace::Trace;
use kernel::{GenerationMark, Mark, ReplicaId, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let submitted: BTreeSet<(SessionId, u64)> =
        trace.submitted.iter().map(|request| (request.session, request.counter)).collect();
    let mut anywhere: BTreeSet<(SessionId, u64)> = BTreeSet::new();
    let mut applied: BTreeMap<(ReplicaId, SessionId), u64> = BTreeMap::new();
    // Sessions of which a replica has applied nothing since it took over a state.
    let mut unknown: BTreeSet<(ReplicaId, SessionId)> = BTreeSet::new();
    let sessions: BTreeSet<SessionId> = submitted.iter().map(|(session, _)| *session).collect();
    for moment in trace.honest_moments() {
        match moment {
            Moment::Restarted(replica) => applied.retain(|(other, _), _| *other != replica),
            Moment::Marked(replica, Mark::Generation(GenerationMark::Adopted { .. })) => {
                unknown.extend(sessions.iter().map(|session| (replica, *session)));
            }
            Moment::Marked(replica, Mark::Applied { seq: None, session, counter }) => {
                let may_jump = unknown.remove(&(replica, *session));
                let last = applied.entry((replica, *session)).or_default();
                if *counter != *last + 1 && !(may_jump && counter > last) {
                    return Err(format!(
                        "replica {replica} applied request {counter} of {session:?} after request {last}"
                    ));
                }
                *last = *counter;
                let request = (*session, *counter);
                if trace.is_honest(session.gateway) && !submitted.contains(&request) {
                    return Err(format!("replica {replica} applied {request:?}, which nobody asked for"));
                }
                anywhere.insert(request);
            }
            Moment::Marked(replica, Mark::Applied { seq: Some(seq), .. } | Mark::Executed { seq, .. }) => {
                return Err(format!("replica {replica} reports slot {seq} in a protocol without slots"));
            }
            Moment::Marked(..) => {}
        }
    }
    let of = |answer: &crate::trace::Outcome| &trace.submitted[answer.request];
    let of_honest = trace.accepted.iter().map(of).filter(|asked| trace.is_honest(asked.gateway));
    let invented = of_honest.into_iter().find(|asked| !anywhere.contains(&(asked.session, asked.counter)));
    invented.map_or(Ok(()), |asked| Err(format!("request {} was answered and never applied", asked.request)))
}

/// After healing: all honest replicas have applied the same requests of every session, but for those that took over a
/// state, of which this cannot be said: they are to have the same state.
pub fn converged(trace: &Trace) -> Result<(), String> {
    let mut applied: BTreeMap<ReplicaId, BTreeMap<SessionId, u64>> =
        trace.honest().into_iter().map(|id| (id, BTreeMap::new())).collect();
    let mut adopted: BTreeSet<ReplicaId> = BTreeSet::new();
    for moment in trace.honest_moments() {
        match moment {
            Moment::Restarted(replica) => applied.entry(replica).or_default().clear(),
            Moment::Marked(replica, Mark::Applied { session, counter, .. }) => {
                applied.entry(replica).or_default().insert(*session, *counter);
            }
            Moment::Marked(replica, Mark::Generation(GenerationMark::Adopted { .. })) => {
                adopted.insert(replica);
            }
            Moment::Marked(..) => {}
        }
    }
    let mut replicas = applied.into_iter().filter(|(replica, _)| !adopted.contains(replica));
    let Some((first, expected)) = replicas.next() else {
        return Ok(());
    };
    match replicas.find(|(_, sessions)| *sessions != expected) {
        Some((other, _)) => Err(format!("replicas {first} and {other} did not apply the same requests")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::testing::{session, trace};

    fn applied(run: Trace, replica: u16, number: u64, counter: u64) -> Trace {
        run.mark(replica, Mark::Applied { seq: None, session: session(number), counter })
    }

    #[test]
    fn sessions_are_independent_and_each_is_in_order() {
        let run = trace(4).submit(1, 1).submit(2, 1).submit(1, 2);
        let run = applied(applied(applied(run, 0, 1, 1), 0, 2, 1), 0, 1, 2);
        assert_eq!(check(&run), Ok(()));
        assert!(check(&applied(run.clone(), 0, 1, 2)).unwrap_err().contains("after request 2"), "twice");
        assert!(check(&applied(run.clone(), 0, 1, 4)).unwrap_err().contains("after request 2"), "a gap");
        assert!(check(&run.clone().apply(1, 1, 1, 1)).unwrap_err().contains("without slots"));
        assert!(check(&applied(run.clone(), 1, 3, 1)).unwrap_err().contains("nobody asked"));
        assert_eq!(check(&run.clone().accept(2, "done")), Ok(()));
        let invented = run.submit(4, 1).accept(3, "done");
        assert!(check(&invented).unwrap_err().contains("never applied"));
        assert_eq!(check(&invented.faulty(&[0])), Ok(()), "its own clients are its concern");
    }

    fn adopt(run: Trace, replica: u16) -> Trace {
        let adopted = GenerationMark::Adopted { number: 1, state: kernel::Digest::ZERO };
        run.mark(replica, Mark::Generation(adopted))
    }

    #[test]
    fn who_takes_over_a_state_goes_on_after_it() {
        let run = trace(4).submit(1, 1).submit(1, 2).submit(1, 3).submit(1, 4);
        let adopted = adopt(applied(run, 0, 1, 1), 0);
        assert_eq!(check(&applied(adopted.clone(), 0, 1, 4)), Ok(()));
        let again = applied(adopted.clone(), 0, 1, 1);
        assert!(check(&again).unwrap_err().contains("after request 1"), "it was applied before");
        let gap = applied(applied(adopted, 0, 1, 2), 0, 1, 4);
        assert!(check(&gap).unwrap_err().contains("after request 2"));
        let all = (0..4).fold(trace(4), |run, id| applied(run, id, 1, 1));
        assert_eq!(converged(&adopt(applied(all, 2, 1, 2), 2)), Ok(()));
    }

    #[test]
    fn what_one_replica_lacks_is_found() {
        let all = (0..4).fold(trace(4), |run, id| applied(run, id, 1, 1));
        assert_eq!(converged(&all), Ok(()));
        assert!(converged(&applied(all.clone(), 2, 1, 2)).is_err());
        assert!(converged(&all.restart(2)).is_err());
    }
}
