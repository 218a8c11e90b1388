//! States: replicas that executed the same are in the same state; one whose state was
//! damaged notices, executes nothing on it, and takes over the proven one; and one that was
//! left behind has caught up by a deadline, without keeping more than there is.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Digest, Mark, ReplicaId, Seq};
use std::collections::{BTreeMap, BTreeSet};

/// Whether only damaged replicas found their state to be wrong, and executed nothing more
/// until they had another one.
pub fn check(trace: &Trace) -> Result<(), String> {
    let mut diverged: BTreeSet<ReplicaId> = BTreeSet::new();
    for moment in trace.honest_moments() {
        match moment {
            Moment::Marked(replica, Mark::Diverged { seq, .. }) => {
                if !trace.damaged.contains(&replica.0) {
                    return Err(format!(
                        "replica {replica} was in another state than the others after slot {seq}"
                    ));
                }
                diverged.insert(replica);
            }
            Moment::Marked(replica, Mark::StateAdopted { .. }) | Moment::Restarted(replica) => {
                diverged.remove(&replica);
            }
            Moment::Marked(replica, Mark::Executed { seq, .. } | Mark::Applied { seq: Some(seq), .. }) => {
                if diverged.contains(&replica) {
                    return Err(format!(
                        "replica {replica} executed slot {seq} on a state known to be wrong"
                    ));
                }
            }
            Moment::Marked(..) => {}
        }
    }
    Ok(())
}

/// Whether replicas that have executed as far as each other are in the same state.
pub fn equal(states: &[(ReplicaId, Seq, Digest)]) -> Result<(), String> {
    let mut first: BTreeMap<Seq, (ReplicaId, Digest)> = BTreeMap::new();
    for (replica, seq, state) in states {
        let (other, expected) = first.entry(*seq).or_insert((*replica, *state));
        if state != expected {
            return Err(format!("after slot {seq}, replicas {other} and {replica} are in different states"));
        }
    }
    Ok(())
}

/// How far a replica is with the state of a stable checkpoint at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Which replica.
    pub replica: ReplicaId,
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// Whether it knows of a stable checkpoint whose state it lacks.
    pub is_behind: bool,
    /// Bytes of a state on its way that it keeps.
    pub received_bytes: u64,
}

/// Clients of a swarm leave far less state than this.
const MOST_STATE_BYTES: u64 = 1 << 20;

/// Judges what was seen of replicas in a run that was healed at `healed_us`: none of them
/// keeps more of a state than there is, or is behind without a pause for longer than
/// `most_us` then.
pub fn caught_up(trace: &Trace, seen: &[Behind], healed_us: u64, most_us: u64) -> Result<(), String> {
    let mut since: BTreeMap<ReplicaId, u64> = BTreeMap::new();
    for Behind { replica, at_us, is_behind, received_bytes } in seen {
        if !trace.is_honest(*replica) {
            continue;
        }
        if *received_bytes > MOST_STATE_BYTES {
            return Err(format!("replica {replica} keeps {received_bytes} bytes of a state at {at_us} us"));
        }
        if !is_behind || *at_us < healed_us {
            since.remove(replica);
            continue;
        }
        let since_us = *since.entry(*replica).or_insert(*at_us);
        if at_us - since_us > most_us {
            return Err(format!(
                "replica {replica} lacks the state of a stable checkpoint from {since_us} us to {at_us} us"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Behind, caught_up, check, equal};
    use crate::oracles::testing::{digest, trace};
    use kernel::{ReplicaId, Seq};

    #[test]
    fn only_the_damaged_diverge_and_they_stop() {
        let run = trace(4).damaged(&[2]).execute(2, 4, "a", "a").diverge(2, 4);
        assert_eq!(check(&run.clone().adopt(2, 4, "a").execute(2, 5, "b", "ab")), Ok(()));
        assert_eq!(check(&run.clone().restart(2).execute(2, 1, "b", "b")), Ok(()));
        assert!(check(&run.clone().execute(2, 5, "b", "ab")).unwrap_err().contains("executed slot 5"));
        assert!(check(&run.apply(2, 5, 7, 1)).unwrap_err().contains("known to be wrong"));
        assert!(check(&trace(4).diverge(1, 4)).unwrap_err().starts_with("replica 1 was in another state"));
        assert_eq!(check(&trace(4).faulty(&[1]).diverge(1, 4)), Ok(()));
    }

    #[test]
    fn equal_logs_have_equal_states() {
        let state = |id, seq, name| (ReplicaId(id), Seq(seq), digest(name));
        assert_eq!(equal(&[state(0, 4, "a"), state(1, 5, "b"), state(2, 4, "a")]), Ok(()));
        let error = equal(&[state(0, 4, "a"), state(1, 5, "b"), state(2, 4, "b")]).unwrap_err();
        assert_eq!(error, "after slot 4, replicas 0 and 2 are in different states");
    }

    #[test]
    fn who_stays_behind_or_keeps_too_much_is_named() {
        let at = |at_us, is_behind| Behind { replica: ReplicaId(1), at_us, is_behind, received_bytes: 9 };
        let run = trace(4);
        let judge = |seen: &[Behind]| caught_up(&run, seen, 100, 50);
        assert_eq!(
            judge(&[at(0, true), at(100, true), at(150, true), at(160, false), at(170, true)]),
            Ok(())
        );
        assert!(judge(&[at(100, true), at(151, true)]).unwrap_err().contains("from 100 us to 151 us"));
        let much = Behind { received_bytes: 2 << 20, ..at(0, false) };
        assert!(judge(&[much]).unwrap_err().contains("keeps 2097152 bytes"));
        assert_eq!(caught_up(&trace(4).faulty(&[1]), &[much], 100, 50), Ok(()));
    }
}
