//! Agreement: one digest per slot among all honest replicas, whether they say
//! that it is committed or execute it, and one history behind every slot. Where members change: one set of members in
//! each generation, and one state that it begins with.

use crate::trace::Trace;
use kernel::{Digest, GenerationMark, Mark, ReplicaId};
use std::collections::HashMap;

/// Judges a run. The error names the first breach.
pub fn check(trace: &Trace) -> Result<(), String> {
    let (mut decided, mut chains) = (HashMap::new(), HashMap::new());
    let (mut generations, mut adopted) = (HashMap::new(), HashMap::new());
    for stamped in trace.honest_marks() {
        let replica = stamped.replica;
        match &stamped.mark {
            Mark::Committed { seq, digest, .. } => agree(&mut decided, seq.0, *digest, replica, "batches")?,
            Mark::Executed { seq, digest, chain, .. } => {
                agree(&mut decided, seq.0, *digest, replica, "batches")?;
                agree(&mut chains, seq.0, *chain, replica, "histories")?;
            }
            Mark::Generation(GenerationMark::Began { number, members }) => {
                let members = Digest::of(format!("{members:?}").as_bytes());
                agree(&mut generations, *number, members, replica, "members")?;
            }
            Mark::Generation(GenerationMark::Adopted { number, state }) => {
                agree(&mut adopted, *number, *state, replica, "states")?;
            }
            Mark::StateAdopted { seq, chain } => agree(&mut chains, seq.0, *chain, replica, "histories")?,
            _ => {}
        }
    }
    Ok(())
}

fn agree(
    first: &mut HashMap<u64, (Digest, ReplicaId)>,
    slot: u64,
    digest: Digest,
    replica: ReplicaId,
    what: &str,
) -> Result<(), String> {
    let (other, holder) = *first.entry(slot).or_insert((digest, replica));
    if other == digest {
        return Ok(());
    }
    Err(format!(
        "slot {slot}: replicas {holder} and {replica} have different {what}, {other:?} and {digest:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::oracles::testing::trace;
    use kernel::{Digest, GenerationMark, Mark, Path, ReplicaId};

    #[test]
    fn the_same_everywhere_is_agreement() {
        let run = trace(4).execute(0, 1, "a", "a").execute(1, 1, "a", "a").execute(0, 2, "b", "ab");
        let run = run.adopt(2, 2, "ab").commit(3, Path::Fast, 0, 2, "b");
        assert_eq!(check(&run), Ok(()));
    }

    #[test]
    fn two_batches_or_two_histories_for_one_slot_are_none() {
        let other = trace(4).execute(0, 1, "a", "a").execute(1, 1, "b", "b");
        assert!(check(&other).unwrap_err().starts_with("slot 1: replicas 0 and 1 have different batches"));
        let committed = trace(4).execute(0, 1, "a", "a").commit(1, Path::Direct, 3, 1, "b");
        assert!(check(&committed).is_err());
        let history = trace(4).execute(0, 2, "a", "xa").execute(1, 2, "a", "ya");
        assert!(check(&history).unwrap_err().contains("histories"));
        let adopted = trace(4).execute(0, 2, "a", "xa").adopt(1, 2, "ya");
        assert!(check(&adopted).unwrap_err().contains("histories"));
    }

    #[test]
    fn what_a_faulty_replica_says_counts_for_nothing() {
        let run = trace(4).faulty(&[1]).execute(0, 1, "a", "a").execute(1, 1, "b", "b");
        assert_eq!(check(&run), Ok(()));
    }

    #[test]
    fn a_replica_disagrees_with_itself_after_a_restart_too() {
        let run = trace(4).execute(0, 1, "a", "a").restart(0).execute(0, 1, "b", "b");
        assert!(check(&run).is_err());
    }

    #[test]
    fn a_generation_has_one_set_of_members_and_begins_with_one_state() {
        let began = |number, members: &[u16]| {
            let members = members.iter().copied().map(ReplicaId).collect();
            Mark::Generation(GenerationMark::Began { number, members })
        };
        let adopted = |number, state: &[u8]| {
            Mark::Generation(GenerationMark::Adopted { number, state: Digest::of(state) })
        };
        let run = trace(4).mark(0, began(1, &[0, 1])).mark(1, began(1, &[0, 1])).mark(1, began(2, &[0]));
        assert_eq!(check(&run), Ok(()));
        assert!(check(&run.clone().mark(2, began(2, &[1]))).unwrap_err().contains("members"));
        let run = run.mark(0, adopted(1, b"a")).mark(1, adopted(2, b"b"));
        assert_eq!(check(&run), Ok(()));
        assert!(check(&run.mark(3, adopted(1, b"b"))).unwrap_err().contains("states"));
    }
}
