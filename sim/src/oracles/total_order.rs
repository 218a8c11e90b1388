//! Total order: every honest replica executes 1, 2, 3, … without a gap, from the
//! beginning or from a state that it adopted (behind what it executed only if that
//! was found to be wrong), and the requests of a slot are
//! applied everywhere alike. So any two sequences of applied requests are
//! prefixes of one another.

use super::moments::Moment;
use crate::trace::Trace;
use kernel::{Mark, ReplicaId, SessionId};
use std::collections::{BTreeMap, HashMap};

type Applied = Vec<(SessionId, u64)>;

/// How far a replica is.
#[derive(Default)]
struct Position {
    last: u64,
    /// What was applied of the next slot.
    applied: Applied,
    has_diverged: bool,
}

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let mut slots: HashMap<u64, (ReplicaId, Applied)> = HashMap::new();
    let mut replicas: BTreeMap<ReplicaId, Position> = BTreeMap::new();
    for moment in trace.honest_moments() {
        let (replica, mark) = match moment {
            Moment::Restarted(replica) => {
                replicas.remove(&replica);
                continue;
            }
            Moment::Marked(replica, mark) => (replica, mark),
        };
        let Position { last, applied, has_diverged } = replicas.entry(replica).or_default();
        match mark {
            Mark::Applied { seq: Some(seq), session, counter } => {
                if seq.0 != *last + 1 {
                    return Err(format!(
                        "replica {replica} applied a request of slot {seq} after slot {last}"
                    ));
                }
                applied.push((*session, *counter));
            }
            Mark::Executed { seq, requests, .. } => {
                if seq.0 != *last + 1 {
                    return Err(format!("replica {replica} executed slot {seq} after slot {last}"));
                }
                *last = seq.0;
                let applied = std::mem::take(applied);
                if applied.len() != *requests {
                    let count = applied.len();
                    return Err(format!(
                        "replica {replica}, slot {seq}: {requests} requests, {count} applied"
                    ));
                }
                compare(&mut slots, seq.0, replica, applied)?;
            }
            Mark::StateAdopted { seq, .. } => {
                if seq.0 <= *last && !std::mem::take(has_diverged) {
                    return Err(format!("replica {replica} went back from slot {last} to slot {seq}"));
                }
                *last = seq.0;
                *has_diverged = false;
                applied.clear();
            }
            Mark::Diverged { .. } => *has_diverged = true,
            _ => {}
        }
    }
    Ok(())
}

fn compare(
    slots: &mut HashMap<u64, (ReplicaId, Applied)>,
    slot: u64,
    replica: ReplicaId,
    applied: Applied,
) -> Result<(), String> {
    match slots.get(&slot) {
        Some((other, before)) if *before != applied => {
            Err(format!("slot {slot}: replica {other} applied {before:?}, replica {replica} {applied:?}"))
        }
        Some(_) => Ok(()),
        None => {
            slots.insert(slot, (replica, applied));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;

    #[test]
    fn prefixes_and_adopted_states_are_in_order() {
        let run =
            trace(4).apply(0, 1, 7, 1).execute(0, 1, "a", "a").apply(0, 2, 7, 2).execute(0, 2, "b", "ab");
        let run = run.apply(1, 1, 7, 1).execute(1, 1, "a", "a");
        let run = run.adopt(2, 1, "a").apply(2, 2, 7, 2).execute(2, 2, "b", "ab");
        let run = run.restart(1).apply(1, 1, 7, 1).execute(1, 1, "a", "a");
        assert_eq!(check(&run), Ok(()));
    }

    #[test]
    fn a_gap_a_step_back_and_a_repetition_are_breaches() {
        let gap = trace(4).apply(0, 2, 7, 1).execute(0, 2, "a", "a");
        assert!(check(&gap).unwrap_err().contains("slot 2 after slot 0"));
        let twice = trace(4).apply(0, 1, 7, 1).execute(0, 1, "a", "a").execute(0, 1, "a", "a");
        assert!(check(&twice).unwrap_err().contains("slot 1 after slot 1"));
        let back = trace(4).adopt(0, 5, "a").adopt(0, 5, "a");
        assert!(check(&back).unwrap_err().contains("went back"));
        let healed = trace(4).adopt(0, 5, "a").diverge(0, 4).adopt(0, 4, "a");
        assert_eq!(check(&healed), Ok(()));
        assert!(check(&healed.adopt(0, 4, "a")).unwrap_err().contains("went back"));
    }

    #[test]
    fn other_requests_for_the_same_slot_are_a_breach() {
        let run =
            trace(4).apply(0, 1, 7, 1).execute(0, 1, "a", "a").apply(1, 1, 8, 1).execute(1, 1, "a", "a");
        assert!(check(&run).unwrap_err().starts_with("slot 1: replica 0 applied"));
        let fewer = trace(4).execute(0, 1, "a", "a");
        assert!(check(&fewer).unwrap_err().contains("1 requests, 0 applied"));
    }
}
