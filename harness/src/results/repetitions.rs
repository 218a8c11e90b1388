//! What each repetition of a cell gives by itself: how far repetitions are apart is
//! the spread that figures show where no interval is computed.

use std::collections::HashMap;

use super::schema::{CellRow, NodeRow};

/// One cell in one repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Repetition {
    /// Decided requests per second.
    pub throughput_per_s: Option<f64>,
    /// Agreement messages sent by all nodes for each decided slot.
    pub messages_per_decision: Option<f64>,
    /// Bytes sent on peer links by all nodes for each decided slot.
    pub bytes_per_decision: Option<f64>,
    /// CPU time of all nodes for each decided slot, microseconds.
    pub cpu_us_per_decision: Option<f64>,
}

/// The repetitions of every cell that has a row among `cells`, by the cell's name. A
/// repetition of which some node's row is missing has no messages and bytes.
pub fn by_cell<'a>(nodes: &[NodeRow], cells: &'a [CellRow]) -> HashMap<&'a str, Vec<Repetition>> {
    let mut sent: HashMap<(&str, u32), (u32, u64, u64)> = HashMap::new();
    for node in nodes {
        let (rows, messages, bytes) = sent.entry((&node.cell, node.repetition)).or_default();
        *rows += 1;
        *messages += node.agreement_messages_out;
        *bytes += node.bytes_out;
    }
    let mut repetitions: HashMap<&str, Vec<Repetition>> = HashMap::new();
    for cell in cells {
        let whole = sent.get(&(cell.cell.as_str(), cell.repetition)).filter(|sent| sent.0 == cell.nodes);
        let per_slot =
            |total: u64| (cell.decided_slots > 0).then(|| total as f64 / cell.decided_slots as f64);
        repetitions.entry(&cell.cell).or_default().push(Repetition {
            throughput_per_s: (cell.measured_s > 0.0).then(|| cell.decided as f64 / cell.measured_s),
            messages_per_decision: whole.and_then(|sent| per_slot(sent.1)),
            bytes_per_decision: whole.and_then(|sent| per_slot(sent.2)),
            cpu_us_per_decision: cell.nodes_cpu_us.and_then(per_slot),
        });
    }
    repetitions
}

/// Least and greatest of a value over the repetitions; `None` with fewer than two.
pub fn range(repetitions: &[Repetition], value: impl Fn(&Repetition) -> Option<f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = repetitions.iter().filter_map(value).collect();
    let low = values.iter().copied().min_by(f64::total_cmp)?;
    let high = values.iter().copied().max_by(f64::total_cmp)?;
    (values.len() > 1).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testdata::{CellSpec, Data};

    #[test]
    fn each_repetition_counts_by_itself() {
        let mut data = Data::default();
        data.add(&CellSpec { repetitions: 3, ..CellSpec::new("pbft", 4, "none") });
        data.cells[1].measured_s *= 2.0;
        data.cells[2].nodes_cpu_us = None;
        data.nodes.pop();
        let repetitions = by_cell(&data.nodes, &data.cells);
        let of_cell = &repetitions["pbft-4-none"];
        assert_eq!(range(of_cell, |r| r.throughput_per_s), Some((500.0, 1000.0)));
        // 4 nodes, 7 messages each; the third repetition misses a node's row.
        assert_eq!(of_cell[0].messages_per_decision, Some(28.0));
        assert_eq!((of_cell[2].messages_per_decision, of_cell[2].cpu_us_per_decision), (None, None));
        assert_eq!(range(&of_cell[..1], |r| r.throughput_per_s), None, "one value is no range");
    }
}
