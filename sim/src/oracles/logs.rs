//! Agreement and total order of logs alone, where marks were not recorded: no two honest replicas execute different batches
//! for one sequence number, and each executes 1, 2, 3, … without a gap.

use crate::trace::Executed;

/// Judges the logs of the honest replicas. The error names the first breach.
pub fn check(logs: &[(u16, &[Executed])]) -> Result<(), String> {
    for (replica, log) in logs {
        for (place, entry) in log.iter().enumerate() {
            let expected = place as u64 + 1;
            if entry.seq != expected {
                return Err(format!(
                    "replica {replica} executed slot {} where {expected} was due",
                    entry.seq
                ));
            }
        }
    }
    for (i, (one, log)) in logs.iter().enumerate() {
        for (other, other_log) in &logs[i + 1..] {
            for (a, b) in log.iter().zip(other_log.iter()) {
                if a.digest != b.digest {
                    return Err(format!(
                        "slot {}: replica {one} executed {}, replica {other} executed {}",
                        a.seq,
                        &a.digest[..12],
                        &b.digest[..12]
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, &str)]) -> Vec<Executed> {
        entries
            .iter()
            .map(|(seq, digest)| Executed { seq: *seq, digest: format!("{digest:0<12}"), requests: 1 })
            .collect()
    }

    #[test]
    fn finds_a_disagreement_and_a_gap_and_nothing_else() {
        let long = log(&[(1, "aa"), (2, "bb")]);
        let short = log(&[(1, "aa")]);
        let other = log(&[(1, "aa"), (2, "cc")]);
        let gap = log(&[(2, "bb")]);
        assert_eq!(check(&[(0, &long), (1, &short)]), Ok(()));
        assert!(check(&[(0, &long), (1, &short), (2, &other)]).unwrap_err().starts_with("slot 2"));
        assert!(check(&[(0, &gap)]).unwrap_err().contains("where 1 was due"));
    }
}
