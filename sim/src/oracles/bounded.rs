//! Bounded state: nobody votes outside its watermarks, and what a replica keeps
//! is bounded by the checkpoint interval however long it runs.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Mark, ReplicaId, Seq, ViewMark};
use std::collections::BTreeMap;

/// How much a replica keeps at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which replica.
    pub replica: ReplicaId,
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// Slots of which it knows anything.
    pub slots: usize,
    /// Votes in all of them.
    pub votes: usize,
}

/// Views in which a slot may be tried before it is decided, for the bound on
/// votes.
const VIEWS: usize = 64;

/// Judges a run whose replicas take a checkpoint every `interval` slots. What
/// lies between the last two stable checkpoints is kept to help others, so a
/// replica keeps at most `6K` slots: `2K` below its low watermark, where they
/// are not further apart, and `4K` that it may be behind.
pub fn check(trace: &Trace, interval: u64, kept: &[Kept]) -> Result<(), String> {
    check_watermarks(trace, interval)?;
    check_kept(trace, interval, kept)
}

/// Judges only what replicas keep.
pub fn check_kept(trace: &Trace, interval: u64, kept: &[Kept]) -> Result<(), String> {
    let slots = 6 * interval as usize;
    let votes = slots * 2 * usize::from(trace.cluster.n) * VIEWS;
    let honest = kept.iter().filter(|kept| trace.is_honest(kept.replica));
    match honest.into_iter().find(|kept| kept.slots > slots || kept.votes > votes) {
        Some(kept) => Err(format!(
            "replica {} keeps {} slots and {} votes at {} us; {slots} and {votes} are the bound",
            kept.replica, kept.slots, kept.votes, kept.at_us
        )),
        None => Ok(()),
    }
}

fn check_watermarks(trace: &Trace, interval: u64) -> Result<(), String> {
    let mut stable: BTreeMap<ReplicaId, Seq> = BTreeMap::new();
    for moment in trace.honest_moments() {
        let (replica, mark) = match moment {
            Moment::Restarted(replica) => {
                stable.remove(&replica);
                continue;
            }
            Moment::Marked(replica, mark) => (replica, mark),
        };
        let low = stable.entry(replica).or_default();
        match *mark {
            Mark::View(ViewMark::Stable { seq }) if seq < *low => {
                return Err(format!(
                    "replica {replica}: the stable checkpoint went from {low} back to {seq}"
                ));
            }
            Mark::View(ViewMark::Stable { seq }) => *low = seq,
            Mark::Voted { seq, .. } | Mark::Proposed { seq, .. } if seq.0 > low.0 + 2 * interval => {
                return Err(format!("replica {replica} voted for slot {seq}, its low watermark being {low}"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kept, check};
    use crate::oracles::testing::trace;
    use kernel::{Phase, ReplicaId};

    #[test]
    fn votes_stay_inside_the_watermarks() {
        let run = trace(4).vote(Phase::Prepare, &[1], 0, 8, "a");
        assert_eq!(check(&run, 4, &[]), Ok(()));
        let run = run.vote(Phase::Prepare, &[1], 0, 9, "a");
        assert!(check(&run, 4, &[]).unwrap_err().contains("slot 9, its low watermark being 0"));
        let run = trace(4).stable(1, 4).vote(Phase::Commit, &[1], 0, 12, "a");
        assert_eq!(check(&run, 4, &[]), Ok(()));
        assert!(check(&run.restart(1).vote(Phase::Commit, &[1], 9, 12, "a"), 4, &[]).is_err());
        assert!(check(&trace(4).stable(1, 8).stable(1, 4), 4, &[]).unwrap_err().contains("back to 4"));
    }

    #[test]
    fn a_replica_that_keeps_too_much_is_named() {
        let kept = |slots, votes| Kept { replica: ReplicaId(2), at_us: 7, slots, votes };
        assert_eq!(check(&trace(4), 4, &[kept(24, 100)]), Ok(()));
        assert!(check(&trace(4), 4, &[kept(25, 0)]).unwrap_err().contains("replica 2 keeps 25 slots"));
        assert!(check(&trace(4), 4, &[kept(1, 1_000_000)]).is_err());
        assert_eq!(check(&trace(4).faulty(&[2]), 4, &[kept(25, 0)]), Ok(()));
    }
}
