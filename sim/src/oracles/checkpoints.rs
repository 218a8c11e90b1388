//! Checkpoint agreement: a checkpoint is stable only where a quorum had reached
//! it, and a state that a replica adopts is one that an honest replica had.

use crate::trace::Trace;
use kernel::{Digest, Mark, ReplicaId, ViewMark};
use std::collections::{HashMap, HashSet};

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let n = usize::from(trace.cluster.n);
    let needed = (n + (n - 1) / 3) / 2 + 1;
    let mut reached: HashMap<u64, (HashSet<ReplicaId>, HashSet<Digest>)> = HashMap::new();
    for stamped in trace.honest_marks() {
        let replica = stamped.replica;
        match stamped.mark {
            Mark::Executed { seq, chain, .. } => {
                let (replicas, chains) = reached.entry(seq.0).or_default();
                replicas.insert(replica);
                chains.insert(chain);
            }
            Mark::View(ViewMark::Stable { seq }) => {
                let honest = reached.get(&seq.0).map_or(0, |(replicas, _)| replicas.len());
                let most = honest + trace.faulty.len();
                if most < needed {
                    return Err(format!(
                        "checkpoint {seq} is stable at replica {replica} when at most {most} had reached it, \
                         not {needed}"
                    ));
                }
            }
            Mark::StateAdopted { seq, chain }
                if !reached.get(&seq.0).is_some_and(|(_, chains)| chains.contains(&chain)) =>
            {
                return Err(format!("replica {replica} adopted a state at slot {seq} that nobody had"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;

    #[test]
    fn a_quorum_makes_a_checkpoint_and_a_state() {
        let run = trace(4).execute(0, 4, "a", "a").execute(1, 4, "a", "a").execute(2, 4, "a", "a");
        assert_eq!(check(&run.stable(0, 4).stable(3, 4).adopt(3, 4, "a")), Ok(()));
    }

    #[test]
    fn fewer_do_not() {
        let run = trace(4).execute(0, 4, "a", "a").execute(1, 4, "a", "a").stable(0, 4);
        assert!(check(&run).unwrap_err().contains("at most 2 had reached it, not 3"));
        assert_eq!(check(&run.faulty(&[3])), Ok(()));
        assert!(check(&trace(4).faulty(&[3]).stable(0, 8)).is_err());
    }

    #[test]
    fn an_invented_state_is_a_breach() {
        let run = trace(4).execute(0, 4, "a", "a").adopt(3, 4, "b");
        assert!(check(&run).unwrap_err().contains("that nobody had"));
        assert!(check(&trace(4).adopt(3, 4, "a").execute(0, 4, "a", "a")).is_err());
    }
}
