//! What makes a cell's numbers doubtful, found in the rows alone: one list for the
//! terminal, the report and `summary.csv`. `results/README.md` gives the reason for
//! each threshold.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::schema::{CellRow, EventRow, NodeRow, RECORDED, SampleRow, SummaryRow};
use super::statistics::quantile;

/// From this share of all cores' time on, other programs disturb a measurement.
pub const FOREIGN_CPU_SHARE: f64 = 0.1;

/// From this share of one core on, the load generator, which has one thread, may be
/// what is measured.
const LOAD_CORE_SHARE: f64 = 0.8;

/// With fewer repetitions, an interval knows too little of what changes between runs.
const REPETITIONS: u32 = 3;

/// A repetition whose median is by this factor outside of all others' is an outlier.
const OUTLIER_FACTOR: f64 = 1.25;

/// From this factor over the messages of a fault-free decision on, messages were sent
/// again, not only a few more around the measured part.
const SENT_AGAIN_FACTOR: f64 = 1.5;

/// The percentiles that terminal and report show.
const SHOWN: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// One reason to doubt the numbers of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// Other programs used this share of all cores' time, the mean over the
    /// repetitions.
    ForeignCpu(f64),
    /// So many repetitions were recorded.
    Recorded(usize),
    /// The load generator used this share of a core, all repetitions together.
    LoadGenerator(f64),
    /// This percentile, and those above it, rest on too few decided requests: its
    /// 95 % interval has no upper end.
    FewSamples(&'static str),
    /// There is an interval of the ratio to PBFT, from so few repetitions.
    FewRepetitions(u32),
    /// The interval of the ratio to PBFT contains 1: the data show no difference.
    NotSignificant,
    /// The median of this repetition is by this factor outside of all others'.
    Outlier(u32, f64),
    /// So many VIEW-CHANGEs were sent although nothing was faulty.
    ViewChanges(u64),
    /// So many requests were decided by the fallback although nothing was faulty.
    Fallbacks(u64),
    /// By this factor more messages were sent than a decision without faults takes.
    SentAgain(f64),
}

impl Warning {
    /// Its name in `summary.csv`.
    pub fn name(&self) -> &'static str {
        match self {
            Warning::ForeignCpu(_) => "foreign-cpu",
            Warning::Recorded(_) => "recorded",
            Warning::LoadGenerator(_) => "load-generator",
            Warning::FewSamples(_) => "few-samples",
            Warning::FewRepetitions(_) => "few-repetitions",
            Warning::NotSignificant => "not-significant",
            Warning::Outlier(..) => "outlier",
            Warning::ViewChanges(_) => "view-changes",
            Warning::Fallbacks(_) => "fallbacks",
            Warning::SentAgain(_) => "sent-again",
        }
    }

    /// What is wrong and what to do, without the value.
    pub fn meaning(&self) -> &'static str {
        match self {
            Warning::ForeignCpu(_) => "other programs used the CPU meanwhile; repeat it on a quiet machine",
            Warning::Recorded(_) => {
                "every message was recorded meanwhile, so that times and throughput include the recording; leave out \
                 --trace to measure them"
            }
            Warning::LoadGenerator(_) => {
                "the load generator was nearly busy all the time, so times and throughput may be its own; \
                 give fewer clients or a lower rate"
            }
            Warning::FewSamples(_) => {
                "so few requests were decided that this percentile has no upper bound; give more requests"
            }
            Warning::FewRepetitions(_) => {
                "so few repetitions say little about what changes between runs; give at least 3"
            }
            Warning::NotSignificant => {
                "the interval of p50 ÷ PBFT contains 1, so the data show no difference; \
                 give more repetitions to find a small one"
            }
            Warning::Outlier(..) => {
                "the median of one repetition is far from all others'; look at it, or give more repetitions"
            }
            Warning::ViewChanges(_) => {
                "replicas asked for another commander although none was faulty, so a wait is too short for this \
                 machine or network; give a longer --request-timer-ms"
            }
            Warning::Fallbacks(_) => {
                "votes were sent to all although no node was faulty, so a wait is too short for this machine or \
                 network; give a longer --fallback-after-ms"
            }
            Warning::SentAgain(_) => {
                "more messages were sent than the protocol needs without faults, so some were sent again; give a \
                 longer --resend-after-ms, or fewer lost messages"
            }
        }
    }

    /// Whether it is about all that was measured of the cell, not about one percentile
    /// or the comparison alone.
    pub fn concerns_every_number(&self) -> bool {
        match self {
            Warning::ForeignCpu(_) | Warning::LoadGenerator(_) | Warning::Outlier(..) => true,
            Warning::Recorded(_) => true,
            Warning::ViewChanges(_) | Warning::Fallbacks(_) | Warning::SentAgain(_) => true,
            Warning::FewSamples(_) | Warning::FewRepetitions(_) | Warning::NotSignificant => false,
        }
    }

    /// What was found in this cell, in short; empty where the name says it all.
    pub fn value(&self) -> String {
        match self {
            Warning::ForeignCpu(share) | Warning::LoadGenerator(share) => format!("{share:.2}"),
            Warning::SentAgain(factor) => format!("{factor:.2}"),
            Warning::ViewChanges(count) | Warning::Fallbacks(count) => count.to_string(),
            Warning::FewSamples(percentile) => (*percentile).to_owned(),
            Warning::FewRepetitions(count) => count.to_string(),
            Warning::Recorded(count) => count.to_string(),
            Warning::NotSignificant => String::new(),
            Warning::Outlier(repetition, factor) => format!("#{repetition}*{factor:.2}"),
        }
    }
}

impl fmt::Display for Warning {
    /// As in the column `warnings`: `foreign-cpu=0.80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            value if value.is_empty() => f.write_str(self.name()),
            value => write!(f, "{}={value}", self.name()),
        }
    }
}

/// For each row of the summary, what makes its numbers doubtful.
pub fn find(
    summary: &[SummaryRow],
    cells: &[CellRow],
    samples: &[SampleRow],
    nodes: &[NodeRow],
    events: &[EventRow],
) -> Vec<Vec<Warning>> {
    let mut runs: HashMap<&str, Vec<&CellRow>> = HashMap::new();
    for row in cells {
        runs.entry(&row.cell).or_default().push(row);
    }
    let mut latencies: HashMap<&str, BTreeMap<u32, Vec<u64>>> = HashMap::new();
    for sample in samples {
        let of_run = latencies.entry(&sample.cell).or_default().entry(sample.repetition).or_default();
        of_run.extend(sample.latency_us());
    }
    let of_row = |row: &SummaryRow| {
        let runs = runs.get(row.cell.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut found = of_machine(row, runs);
        found.extend(of_numbers(row));
        if row.fault == "none" && !events.iter().any(|event| event.cell == row.cell) {
            found.extend(without_cause(row, nodes));
        }
        let measured = runs.first().is_some_and(|run| run.placement != "simulated");
        // A simulated repetition has another seed: that it differs is no fault.
        found.extend(latencies.get(row.cell.as_str()).filter(|_| measured).and_then(outlier));
        found
    };
    summary.iter().map(of_row).collect()
}

/// The column `warnings`.
pub fn column(found: &[Warning]) -> String {
    found.iter().map(Warning::to_string).collect::<Vec<_>>().join(";")
}

/// A sentence for each kind of warning, with the cells that it concerns.
pub fn sentences(summary: &[SummaryRow], found: &[Vec<Warning>]) -> Vec<String> {
    const NAMED: usize = 3;
    let mut kinds: Vec<(&Warning, Vec<String>)> = Vec::new();
    for (row, warnings) in summary.iter().zip(found) {
        for warning in warnings {
            let value = warning.value();
            let cell = if value.is_empty() { row.cell.clone() } else { format!("{} ({value})", row.cell) };
            match kinds.iter_mut().find(|(kind, _)| kind.name() == warning.name()) {
                Some((_, cells)) => cells.push(cell),
                None => kinds.push((warning, vec![cell])),
            }
        }
    }
    let sentence = |(kind, cells): &(&Warning, Vec<String>)| {
        let more = match cells.len().saturating_sub(NAMED) {
            0 => String::new(),
            1 => " and one more cell".to_owned(),
            more => format!(" and {more} more cells"),
        };
        let named = cells[..cells.len().min(NAMED)].join(", ");
        format!("{}: {}: {named}{more}", kind.name(), kind.meaning())
    };
    kinds.iter().map(sentence).collect()
}

fn of_machine(row: &SummaryRow, runs: &[&CellRow]) -> Vec<Warning> {
    let mut found = Vec::new();
    let recorded = runs.iter().filter(|run| run.note.contains(RECORDED)).count();
    found.extend((recorded > 0).then_some(Warning::Recorded(recorded)));
    found.extend(row.foreign_cpu_share.filter(|share| *share >= FOREIGN_CPU_SHARE).map(Warning::ForeignCpu));
    let load_us: u64 = runs.iter().filter_map(|run| run.load_cpu_us).sum();
    let measured_us = 1e6 * runs.iter().map(|run| run.measured_s).sum::<f64>();
    let share = load_us as f64 / measured_us;
    found.extend((share.is_finite() && share >= LOAD_CORE_SHARE).then_some(Warning::LoadGenerator(share)));
    found
}

fn of_numbers(row: &SummaryRow) -> Vec<Warning> {
    let mut found = Vec::new();
    let few = SHOWN.iter().find(|(_, level)| row.decided > 0 && !is_bounded(*level, row.decided));
    found.extend(few.map(|(name, _)| Warning::FewSamples(name)));
    // PBFT's own ratio is exactly 1.
    if let (Some(low), Some(high)) = (row.ratio_low, row.ratio_high)
        && row.protocol != super::summary::BASELINE
    {
        found.extend((row.repetitions < REPETITIONS).then_some(Warning::FewRepetitions(row.repetitions)));
        found.extend((low <= 1.0 && 1.0 <= high).then_some(Warning::NotSignificant));
    }
    found
}

/// What only faults, or waits that are too short, bring about.
fn without_cause(row: &SummaryRow, nodes: &[NodeRow]) -> Vec<Warning> {
    let of_cell = nodes.iter().filter(|node| node.cell == row.cell);
    let view_changes = of_cell.map(|node| count_of(&node.messages_out_by_kind, "view-change")).sum();
    let fallbacks = count_of(&row.paths, "fallback");
    let (mut found, n) = (Vec::new(), f64::from(row.nodes));
    found.extend((view_changes > 0).then_some(Warning::ViewChanges(view_changes)));
    found.extend((fallbacks > 0).then_some(Warning::Fallbacks(fallbacks)));
    // With a commander that collects the votes itself, CCRO takes one message more.
    let needed = match row.protocol.as_str() {
        "pbft" | "pbft-mac" | "pbft-mac-requests" => 2.0 * n * (n - 1.0),
        "ccro" | "ccro-aggregate" if count_of(&row.paths, "two-phase") > 0 => 5.0 * (n - 1.0),
        "ccro" | "ccro-aggregate" => 3.0 * (n - 1.0),
        _ => return found,
    };
    let factor = row.messages_per_decision.filter(|_| needed > 0.0).map(|sent| sent / needed);
    found.extend(factor.filter(|factor| *factor > SENT_AGAIN_FACTOR).map(Warning::SentAgain));
    found
}

/// The count of a key in a list such as `fast=10;fallback=2`.
fn count_of(list: &str, key: &str) -> u64 {
    let counts = list.split(';').filter_map(|pair| pair.split_once('='));
    counts.filter(|(name, _)| *name == key).filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
}

/// Whether the 95 % interval of a percentile, as ranks of the values give it, ends
/// before the largest of them: its upper rank `qm + 1.96 √(mq(1−q))` is at most `m`.
pub fn is_bounded(level: f64, values: u64) -> bool {
    const Z: f64 = 1.96;
    values as f64 * (1.0 - level) >= Z * Z * level
}

/// The repetition whose median is farthest outside of all others', if it is far.
fn outlier(runs: &BTreeMap<u32, Vec<u64>>) -> Option<Warning> {
    let median = |(repetition, values): (&u32, &Vec<u64>)| {
        let mut sorted = values.clone();
        sorted.sort_unstable();
        quantile(&sorted, 0.5).map(|median| (*repetition, median.max(1) as f64))
    };
    let medians: Vec<(u32, f64)> = runs.iter().filter_map(median).collect();
    if medians.len() < 3 {
        return None;
    }
    let factor = |(repetition, own): &(u32, f64)| {
        let others = medians.iter().filter(|(other, _)| other != repetition).map(|(_, median)| *median);
        let (low, high) = others.fold((f64::MAX, f64::MIN), |(low, high), m| (low.min(m), high.max(m)));
        (*repetition, (own / high).max(low / own))
    };
    let (repetition, farthest) =
        medians.iter().map(factor).max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (farthest >= OUTLIER_FACTOR).then_some(Warning::Outlier(repetition, farthest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::schema::{CommitPath, EventKind};
    use crate::results::summary::summarise;
    use crate::results::testdata::{CellSpec, Data};

    /// Two alike cells, three repetitions of a quiet machine.
    fn quiet() -> Data {
        let mut data = Data::default();
        for protocol in ["pbft", "ccro"] {
            data.add(&CellSpec { requests: 200, repetitions: 3, ..CellSpec::new(protocol, 4, "none") });
        }
        for cell in &mut data.cells {
            (cell.foreign_cpu_share, cell.load_cpu_us, cell.measured_s) = (Some(0.02), Some(100_000), 1.0);
        }
        data.set_latencies("pbft-4-none", &[&[1000; 200], &[1010; 200], &[1020; 200]]);
        data.set_latencies("ccro-4-none", &[&[500; 200], &[505; 200], &[510; 200]]);
        data
    }

    /// The warnings of both cells, in the order of the summary: pbft, ccro.
    fn columns(data: &Data) -> Vec<String> {
        let summary = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let found = find(&summary, &data.cells, &data.samples, &data.nodes, &[]);
        assert_eq!(summary.len(), found.len());
        found.iter().map(|warnings| column(warnings)).collect()
    }

    #[test]
    fn a_quiet_machine_and_enough_data_give_no_warning() {
        assert_eq!(columns(&quiet()), ["", ""]);
    }

    #[test]
    fn other_programs_and_a_busy_load_generator_are_noticed() {
        let mut data = quiet();
        // The mean over the repetitions counts.
        data.cells[0].foreign_cpu_share = Some(0.8);
        data.cells.iter_mut().filter(|c| c.protocol == "ccro").for_each(|c| c.load_cpu_us = Some(900_000));
        assert_eq!(columns(&data), ["foreign-cpu=0.28", "load-generator=0.90"]);
    }

    #[test]
    fn a_recording_is_noticed() {
        let mut data = quiet();
        data.cells[1].note = "cut short; RECORDED into run.trace".into();
        assert_eq!(columns(&data), ["recorded=1", ""]);
    }

    #[test]
    fn a_percentile_needs_an_interval_with_an_upper_end() {
        for (values, level, bounded) in
            [(3, 0.5, false), (4, 0.5, true), (380, 0.99, false), (381, 0.99, true), (0, 0.5, false)]
        {
            assert_eq!(is_bounded(level, values), bounded, "{values} values, {level}");
        }
        let mut data = quiet();
        data.samples.retain(|sample| sample.request < 100);
        data.samples
            .retain(|sample| sample.protocol == "pbft" || sample.repetition == 0 && sample.request < 3);
        assert_eq!(columns(&data)[0], "few-samples=p99");
        assert!(columns(&data)[1].starts_with("few-samples=p50"), "{:?}", columns(&data));
    }

    #[test]
    fn a_ratio_that_may_be_one_is_not_significant() {
        let mut data = quiet();
        data.set_latencies("ccro-4-none", &[&[1000; 200], &[1020; 200], &[1010; 200]]);
        assert_eq!(columns(&data), ["", "not-significant"]);
        data.cells.retain(|row| row.repetition == 0);
        data.samples.retain(|row| row.repetition == 0);
        data.nodes.retain(|row| row.repetition == 0);
        assert_eq!(columns(&data)[1], "few-samples=p99;few-repetitions=1;not-significant");
    }

    #[test]
    fn a_first_run_far_from_the_others_is_an_outlier() {
        let mut data = quiet();
        data.set_latencies("pbft-4-none", &[&[2000; 200], &[1000; 200], &[1010; 200]]);
        assert_eq!(columns(&data)[0], "outlier=#0*1.98");
        data.set_latencies("pbft-4-none", &[&[1000; 200], &[1010; 200], &[500; 200]]);
        assert_eq!(columns(&data)[0], "outlier=#2*2.00");
        data.cells.iter_mut().for_each(|cell| cell.placement = "simulated".into());
        assert_eq!(columns(&data)[0], "");
    }

    #[test]
    fn what_only_faults_bring_about_is_noticed_where_there_are_none() {
        let mut data = quiet();
        data.nodes[0].messages_out_by_kind = "prepare=200;view-change=3".into();
        data.nodes[5].messages_out_by_kind = "view-change=2;view-change-ack=9".into();
        data.nodes.iter_mut().filter(|node| node.protocol == "ccro").for_each(|node| {
            // 4 x 8 messages for each decision, where 8 are needed.
            node.agreement_messages_out = 8 * 200;
        });
        let ccro = |sample: &&mut SampleRow| sample.protocol == "ccro" && sample.request == 7;
        data.samples.iter_mut().filter(ccro).for_each(|sample| sample.path = Some(CommitPath::Fallback));
        assert_eq!(columns(&data), ["view-changes=5", "fallbacks=3;sent-again=3.56"]);

        let event = EventRow {
            cell: "pbft-4-none".into(),
            repetition: 0,
            protocol: "pbft".into(),
            nodes: 4,
            event: EventKind::Kill,
            node: "0".into(),
            at_us: 1,
            gap_us: None,
            service_after_us: None,
            late: 0,
            undecided: 0,
            view: None,
            p99_us: None,
            caught_up_us: None,
            voting_us: None,
        };
        let summary = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let found = find(&summary, &data.cells, &data.samples, &data.nodes, &[event]);
        assert_eq!(column(&found[0]), "", "a killed commander is a cause");
        data.cells.iter_mut().for_each(|cell| cell.fault = "offline:1".into());
        assert_eq!(columns(&data), ["", ""], "a fault is a cause");
    }

    #[test]
    fn one_sentence_tells_of_all_cells_with_the_same_doubt() {
        let mut data = quiet();
        data.cells.iter_mut().for_each(|cell| cell.foreign_cpu_share = Some(0.8));
        let summary = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let found = find(&summary, &data.cells, &data.samples, &data.nodes, &[]);
        let lines = sentences(&summary, &found);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("foreign-cpu: other programs used the CPU"), "{lines:?}");
        assert!(lines[0].ends_with("pbft-4-none (0.80), ccro-4-none (0.80)"), "{lines:?}");
        let many = vec![summary[0].clone(); 5];
        let lines = sentences(&many, &vec![vec![Warning::NotSignificant]; 5]);
        assert!(lines[0].ends_with("pbft-4-none, pbft-4-none, pbft-4-none and 2 more cells"), "{lines:?}");
    }
}
