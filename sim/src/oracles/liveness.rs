//! Liveness after healing: by a deadline every request that an honest gateway
//! was given is answered, and all honest replicas have the same log.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Digest, Mark, ReplicaId, Seq};
use std::collections::{BTreeMap, HashMap};

/// Whether every request of an honest gateway was answered by `deadline_us`, in a
/// run that was healed before and went on until then.
pub fn answered(trace: &Trace, deadline_us: u64) -> Result<(), String> {
    let accepted: HashMap<usize, u64> =
        trace.accepted.iter().map(|outcome| (outcome.request, outcome.at_us)).collect();
    for request in trace.submitted.iter().filter(|request| trace.is_honest(request.gateway)) {
        let (number, gateway, since) = (request.request, request.gateway, request.at_us);
        if accepted.get(&number).is_none_or(|at_us| *at_us > deadline_us) {
            return Err(format!(
                "request {number} of gateway {gateway}, submitted at {since} us, has no answer at {deadline_us} us"
            ));
        }
    }
    Ok(())
}

/// Whether all honest replicas have executed the same, as far as each other.
pub fn equal_logs(trace: &Trace) -> Result<(), String> {
    let nothing = (Seq(0), Digest::ZERO);
    let mut logs: BTreeMap<ReplicaId, (Seq, Digest)> =
        trace.honest().into_iter().map(|replica| (replica, nothing)).collect();
    for moment in trace.honest_moments() {
        match moment {
            Moment::Restarted(replica) => logs.insert(replica, nothing),
            Moment::Marked(
                replica,
                Mark::Executed { seq, chain, .. } | Mark::StateAdopted { seq, chain },
            ) => logs.insert(replica, (*seq, *chain)),
            Moment::Marked(..) => None,
        };
    }
    let Some((furthest, log)) = logs.iter().max_by_key(|(_, (seq, _))| *seq) else {
        return Ok(());
    };
    match logs.iter().find(|(_, other)| *other != log) {
        Some((replica, (seq, _))) => {
            Err(format!("replica {replica} ends at slot {seq}, replica {furthest} at slot {}", log.0))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{answered, equal_logs};
    use crate::oracles::testing::trace;

    #[test]
    fn answered_in_time() {
        let run = (0..4).fold(trace(4).submit(7, 1), |run, id| run.execute(id, 1, "a", "a"));
        assert_eq!(answered(&run.clone().accept(0, "1 x"), 10), Ok(()));
        assert!(answered(&run.clone(), 10).unwrap_err().starts_with("request 0 of gateway 0"));
        assert!(answered(&run.clone().accept(0, "1 x"), 3).is_err(), "too late");
        assert_eq!(answered(&run.faulty(&[0]), 10), Ok(()), "a faulty gateway's clients are its own concern");
    }

    #[test]
    fn whoever_stays_behind_is_named() {
        let run = (0..3).fold(trace(4), |run, id| run.execute(id, 1, "a", "a"));
        assert!(equal_logs(&run).unwrap_err().starts_with("replica 3 ends at slot 0, replica "));
        assert_eq!(equal_logs(&run.clone().faulty(&[3])), Ok(()));
        assert_eq!(equal_logs(&run.clone().adopt(3, 1, "a")), Ok(()));
        let forgot = run.adopt(3, 1, "a").restart(2);
        assert!(equal_logs(&forgot).is_err());
    }
}
