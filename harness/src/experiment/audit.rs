//! Whether the honest nodes decided the same: the check after every cell.

use std::collections::BTreeMap;

use kernel::Digest;
use node::api::LogReport;

/// The slots on which honest nodes disagree, each with a sentence that says how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// By sequence number.
    pub disagreements: BTreeMap<u64, String>,
}

/// What the first node that knows a slot said of it.
struct First {
    node: u16,
    digest: Option<Digest>,
    chain: Option<(u16, Digest)>,
}

/// Compares the honest nodes' logs, of the slots that several have records of; a node that is there again by
/// its journal has them since then only: two digests for one slot, or two histories
/// (chains) up to one slot where no digest explains the difference.
pub fn compare(honest: &[&LogReport]) -> Audit {
    let mut known: BTreeMap<u64, First> = BTreeMap::new();
    let mut digests = BTreeMap::new();
    let mut chains = BTreeMap::new();
    for log in honest {
        for row in &log.rows {
            let (digest, chain) = (row.digest, row.chain);
            let Some(first) = known.get_mut(&row.seq) else {
                let chain = chain.map(|chain| (log.id, chain));
                known.insert(row.seq, First { node: log.id, digest, chain });
                continue;
            };
            match (first.digest, digest) {
                (Some(one), Some(other)) if one != other => {
                    digests.entry(row.seq).or_insert_with(|| {
                        format!(
                            "slot {}: node {} decided {one}, node {} decided {other}",
                            row.seq, first.node, log.id
                        )
                    });
                }
                (None, Some(_)) => (first.node, first.digest) = (log.id, digest),
                _ => {}
            }
            match (first.chain, chain) {
                (Some((node, one)), Some(other)) if one != other => {
                    chains.entry(row.seq).or_insert_with(|| {
                        format!("slot {}: nodes {node} and {} executed different histories", row.seq, log.id)
                    });
                }
                (None, Some(chain)) => first.chain = Some((log.id, chain)),
                _ => {}
            }
        }
    }
    // Once two digests differ, all later histories differ as well: the slots
    // that did it are the affected ones.
    let explained_from = digests.keys().next().copied().unwrap_or(u64::MAX);
    let unexplained = chains.into_iter().find(|(seq, _)| *seq < explained_from);
    digests.extend(unexplained);
    Audit { disagreements: digests }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::api::SlotRow;

    fn log(id: u16, rows: &[(u64, Option<&str>, Option<&str>)]) -> LogReport {
        let rows: Vec<SlotRow> = rows
            .iter()
            .map(|(seq, digest, chain)| SlotRow {
                seq: *seq,
                digest: digest.map(|text| Digest::of(text.as_bytes())),
                chain: chain.map(|text| Digest::of(text.as_bytes())),
                ..SlotRow::default()
            })
            .collect();
        LogReport { id, last_executed: rows.len() as u64, executed_before: 0, truncated: false, rows }
    }

    fn disagreeing(logs: &[LogReport]) -> Vec<u64> {
        compare(&logs.iter().collect::<Vec<_>>()).disagreements.into_keys().collect()
    }

    #[test]
    fn equal_logs_and_gaps_agree() {
        let full = log(0, &[(1, Some("a"), Some("A")), (2, Some("b"), Some("B"))]);
        let behind = log(1, &[(1, Some("a"), Some("A")), (2, None, None)]);
        let later = log(2, &[(2, Some("b"), Some("B"))]);
        assert_eq!(disagreeing(&[full, behind, later]), Vec::<u64>::new());
        assert_eq!(disagreeing(&[]), Vec::<u64>::new());
    }

    #[test]
    fn a_node_that_is_there_again_is_compared_since_then() {
        let full = log(0, &[(1, Some("a"), Some("A")), (2, Some("b"), Some("B")), (3, Some("c"), Some("C"))]);
        let again = |chain| LogReport { executed_before: 2, ..log(1, &[(3, Some("c"), Some(chain))]) };
        assert_eq!(disagreeing(&[full.clone(), again("C")]), Vec::<u64>::new());
        // It executed something else before, of which there is no record any more.
        assert_eq!(disagreeing(&[full, again("X")]), [3]);
    }

    #[test]
    fn another_digest_is_a_violation_of_that_slot_only() {
        let one = log(0, &[(1, Some("a"), Some("A")), (2, Some("b"), Some("B")), (3, Some("c"), Some("C"))]);
        let two = log(1, &[(1, Some("a"), Some("A")), (2, Some("x"), Some("X")), (3, Some("c"), Some("Y"))]);
        assert_eq!(disagreeing(&[one.clone(), two.clone()]), [2]);
        let audit = compare(&[&one, &two]);
        let (b, x) = (Digest::of(b"b"), Digest::of(b"x"));
        assert_eq!(audit.disagreements[&2], format!("slot 2: node 0 decided {b}, node 1 decided {x}"));
    }

    #[test]
    fn a_disagreement_between_the_second_and_third_is_seen() {
        let behind = log(0, &[(1, None, None)]);
        let one = log(1, &[(1, Some("a"), Some("A"))]);
        let two = log(2, &[(1, Some("b"), Some("B"))]);
        assert_eq!(disagreeing(&[behind, one, two]), [1]);
    }

    #[test]
    fn another_history_is_a_violation_even_if_the_digests_are_gone() {
        let one = log(0, &[(7, Some("g"), Some("A")), (8, Some("h"), Some("B"))]);
        let two = log(1, &[(7, Some("g"), Some("Z")), (8, Some("h"), Some("Y"))]);
        assert_eq!(disagreeing(&[one, two]), [7]);
    }
}
