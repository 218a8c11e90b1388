//! From the raw rows to one summary row per cell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::schema::{CellRow, NodeRow, Outcome, SampleRow, SummaryRow, latency_basis};
use super::setting::Setting;
use super::statistics::{mean, quantile, quantile_intervals, ratio_interval};

/// The protocol that the others are compared with.
pub const BASELINE: &str = "pbft";

/// What has to stand wherever numbers of `ccro-paper` are shown.
pub const PAPER_WARNING: &str = "not Byzantine-safe, and not crash-safe without synchrony";

/// Seed of the bootstrap: fixed, so that a report can be rebuilt exactly.
pub const BOOTSTRAP_SEED: u64 = 24_301;

/// What a protocol of this name withstands, as in the column `safety`.
pub fn safety_of(protocol: &str) -> &'static str {
    if protocol == "ccro-paper" { PAPER_WARNING } else { "byzantine" }
}

/// The least time that one decision can take on this machine.
#[derive(Deserialize, Clone, Debug, PartialEq)]
pub struct Floor {
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// Bytes of data in the request.
    pub payload_bytes: u64,
    /// The larger of critical path and total work, microseconds.
    pub floor_us: f64,
}

#[derive(Deserialize)]
struct FloorFile {
    floors: Vec<Floor>,
}

/// Reads `dir/floor.json`; without such a file there are no floors.
pub fn read_floors(dir: &Path) -> Result<Vec<Floor>> {
    let path = dir.join("floor.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: FloorFile = serde_json::from_str(&text).with_context(|| {
        format!("{} is not what `harness floor` writes; measure it again or delete it", path.display())
    })?;
    Ok(file.floors)
}

/// Whether a cell's median differs significantly from PBFT's: the 95 % interval of the
/// ratio does not hold 1.
pub fn is_significant(row: &SummaryRow) -> bool {
    matches!((row.ratio_low, row.ratio_high), (Some(low), Some(high)) if high < 1.0 || low > 1.0)
}

/// Ids in a list such as `0;3`.
pub fn faulty_count(faulty: &str) -> usize {
    faulty.split(';').filter(|id| !id.trim().is_empty()).count()
}

/// Place of a protocol in tables and legends.
pub fn protocol_rank(protocol: &str) -> usize {
    let known = ["pbft", "pbft-mac", "pbft-mac-requests", "ccro", "ccro-aggregate", "ccro-paper"];
    known.iter().position(|p| *p == protocol).unwrap_or(known.len())
}

/// The rows of one cell, by repetition.
struct Cell<'a> {
    setting: Setting,
    runs: BTreeMap<u32, Run<'a>>,
}

/// The rows of one cell in one repetition.
struct Run<'a> {
    row: &'a CellRow,
    samples: Vec<&'a SampleRow>,
    nodes: Vec<&'a NodeRow>,
    /// Latencies of the decided requests, ascending.
    latencies: Vec<u64>,
}

/// One row per cell that has at least one finished repetition (a row among
/// `cells`), in the order of tables: by nodes, faults, load, protocol. Their warnings
/// are found afterwards, by [`super::warnings::find`].
pub fn summarise(
    samples: &[SampleRow],
    nodes: &[NodeRow],
    cells: &[CellRow],
    floors: &[Floor],
) -> Vec<SummaryRow> {
    let grouped = group(samples, nodes, cells);
    let baselines: HashMap<&Setting, &Cell> = grouped
        .iter()
        .filter(|cell| cell.first().protocol == BASELINE)
        .map(|cell| (&cell.setting, cell))
        .collect();
    let mut rows: Vec<(&Cell, SummaryRow)> = grouped.iter().map(|cell| (cell, summary_of(cell))).collect();
    for (cell, row) in &mut rows {
        if let Some(baseline) = baselines.get(&cell.setting) {
            compare(row, cell, baseline);
        }
        if let Some(floor) = floor_of(cell, floors) {
            // The ratio is that of the two numbers that the table shows.
            let floor = round(floor, 3);
            row.floor_us = Some(floor);
            row.ratio_to_floor = row.p50_us.map(|p50| round(p50 as f64 / floor, 4));
        }
    }
    rows.sort_by_cached_key(|(cell, row)| {
        let Setting { nodes, fault, variant } = cell.setting.clone();
        let faulty = faulty_count(&row.faulty);
        let with_faults = fault != "none";
        (nodes, with_faults, faulty, fault, variant, protocol_rank(&row.protocol), row.cell.clone())
    });
    rows.into_iter().map(|(_, row)| row).collect()
}

impl<'a> Cell<'a> {
    /// A cell is only made from a row, so there is a first one.
    fn first(&self) -> &'a CellRow {
        self.runs.values().next().expect("a cell has a run").row
    }

    fn samples(&self) -> impl Iterator<Item = &'a SampleRow> + '_ {
        self.runs.values().flat_map(|run| run.samples.iter().copied())
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.runs.values().map(|run| run.count(outcome)).sum()
    }

    fn sorted_latencies(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.runs.values().flat_map(|run| run.latencies.iter().copied()).collect();
        all.sort_unstable();
        all
    }
}

impl Run<'_> {
    fn count(&self, outcome: Outcome) -> u64 {
        self.samples.iter().filter(|s| s.outcome == outcome).count() as u64
    }
}

/// Puts every row to its cell and repetition; rows of samples and nodes whose
/// repetition has no row among `cells` belong to an unfinished run and are
/// left out.
fn group<'a>(samples: &'a [SampleRow], nodes: &'a [NodeRow], cells: &'a [CellRow]) -> Vec<Cell<'a>> {
    let mut grouped: Vec<Cell> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for row in cells {
        let place = *index.entry(row.cell.as_str()).or_insert_with(|| {
            grouped.push(Cell { setting: Setting::of(row), runs: BTreeMap::new() });
            grouped.len() - 1
        });
        let run = Run { row, samples: Vec::new(), nodes: Vec::new(), latencies: Vec::new() };
        grouped[place].runs.insert(row.repetition, run);
    }
    let mut run_of = |cell: &str, repetition: u32, action: &mut dyn FnMut(&mut Run<'a>)| {
        if let Some(run) = index.get(cell).and_then(|place| grouped[*place].runs.get_mut(&repetition)) {
            action(run);
        }
    };
    for sample in samples {
        run_of(&sample.cell, sample.repetition, &mut |run| {
            run.latencies.extend(sample.latency_us());
            run.samples.push(sample);
        });
    }
    for node in nodes {
        run_of(&node.cell, node.repetition, &mut |run| run.nodes.push(node));
    }
    for run in grouped.iter_mut().flat_map(|cell| cell.runs.values_mut()) {
        run.latencies.sort_unstable();
    }
    grouped
}

/// All columns of a cell that need no other cell.
fn summary_of(cell: &Cell) -> SummaryRow {
    let first = cell.first();
    let requests = cell.samples().count() as u64;
    let [decided, timeouts, errors, violations] =
        [Outcome::Decided, Outcome::Timeout, Outcome::Error, Outcome::Violation]
            .map(|outcome| cell.count(outcome));
    let share = |count: u64| per(count as f64, requests as f64, 6);
    let latencies = cell.sorted_latencies();
    let measured_s: f64 = cell.runs.values().map(|run| run.row.measured_s).sum();
    let slots = |run: &Run| run.row.decided_slots as f64;
    let runs: Vec<&[u64]> = cell.runs.values().map(|run| run.latencies.as_slice()).collect();
    let intervals = quantile_intervals(&runs, [0.5, 0.99], BOOTSTRAP_SEED);
    let end = |place: usize, end: fn((u64, u64)) -> u64| intervals.map(|ends| end(ends[place]));
    SummaryRow {
        cell: first.cell.clone(),
        protocol: first.protocol.clone(),
        nodes: first.nodes,
        f: first.f,
        fault: first.fault.clone(),
        faulty: faulty_of(cell),
        app: first.app.clone(),
        payload_bytes: first.payload_bytes,
        batch_max: first.batch_max,
        clients: first.clients,
        rate_per_s: first.rate_per_s,
        via: first.via.clone(),
        durability: first.durability.clone(),
        repetitions: cell.runs.len() as u32,
        requests,
        decided,
        timeouts,
        errors,
        violations,
        decided_share: share(decided),
        timeout_share: share(timeouts),
        error_share: share(errors),
        violation_share: share(violations),
        latency_basis: latency_basis(first.rate_per_s).into(),
        p50_us: quantile(&latencies, 0.5),
        p90_us: quantile(&latencies, 0.9),
        p99_us: quantile(&latencies, 0.99),
        p999_us: quantile(&latencies, 0.999),
        max_us: latencies.last().copied(),
        mean_us: mean(latencies.iter().map(|v| *v as f64)).map(|v| round(v, 3)),
        p50_low_us: end(0, |ends| ends.0),
        p50_high_us: end(0, |ends| ends.1),
        p99_low_us: end(1, |ends| ends.0),
        p99_high_us: end(1, |ends| ends.1),
        throughput_per_s: per(decided as f64, measured_s, 3),
        messages_per_decision: over_nodes(cell, |node| node.agreement_messages_out),
        bytes_per_decision: over_nodes(cell, |node| node.bytes_out),
        cpu_us_per_decision: cpu_per(cell, slots),
        cpu_us_per_request: cpu_per(cell, |run| run.count(Outcome::Decided) as f64),
        sync_mean_us: sync_mean_us(cell),
        ratio_to_pbft: None,
        ratio_low: None,
        ratio_high: None,
        floor_us: None,
        ratio_to_floor: None,
        idle_share: mean(cell.runs.values().filter_map(|r| r.row.idle_share)).map(|v| round(v, 4)),
        foreign_cpu_share: mean(cell.runs.values().filter_map(|r| r.row.foreign_cpu_share))
            .map(|v| round(v, 4)),
        paths: paths_of(cell),
        safety: safety_of(&first.protocol).into(),
        warnings: String::new(),
    }
}

/// The faulty nodes; where they differ between repetitions, each list once.
fn faulty_of(cell: &Cell) -> String {
    let lists: BTreeSet<&str> = cell.runs.values().map(|run| run.row.faulty.as_str()).collect();
    lists.into_iter().collect::<Vec<_>>().join(" | ")
}

/// How often each path was taken by decided requests.
fn paths_of(cell: &Cell) -> String {
    let mut counts = BTreeMap::new();
    for path in cell.samples().filter(|s| s.outcome == Outcome::Decided).filter_map(|s| s.path) {
        *counts.entry(path).or_insert(0u64) += 1;
    }
    let pairs: Vec<_> = counts.iter().map(|(p, count)| format!("{}={count}", p.name())).collect();
    pairs.join(";")
}

/// A counter of all nodes for each decided slot. Repetitions without node rows
/// (their nodes died) are left out on both sides of the division.
fn over_nodes(cell: &Cell, counter: impl Fn(&NodeRow) -> u64) -> Option<f64> {
    // A repetition of which a node's counters are missing would look too cheap.
    let runs = || cell.runs.values().filter(|run| run.nodes.len() == run.row.nodes as usize);
    if cell.count(Outcome::Decided) == 0 {
        return None;
    }
    let total: u64 = runs().flat_map(|run| &run.nodes).map(|node| counter(node)).sum();
    let slots: u64 = runs().map(|run| run.row.decided_slots).sum();
    per(total as f64, slots as f64, 3)
}

/// CPU microseconds of all nodes for each unit; `None` unless it is known for
/// every repetition.
fn cpu_per(cell: &Cell, units: impl Fn(&Run) -> f64) -> Option<f64> {
    if cell.count(Outcome::Decided) == 0 {
        return None;
    }
    let cpu: Option<u64> = cell.runs.values().map(|run| run.row.nodes_cpu_us).sum();
    per(cpu? as f64, cell.runs.values().map(units).sum(), 3)
}

/// What one sync of a journal took: the mean over all of all nodes.
fn sync_mean_us(cell: &Cell) -> Option<f64> {
    let nodes = || cell.runs.values().flat_map(|run| &run.nodes);
    let syncs: u64 = nodes().map(|node| node.syncs).sum();
    per(nodes().map(|node| node.sync_us).sum::<u64>() as f64, syncs as f64, 1)
}

/// Fills in the ratio to the PBFT cell of the same setting.
fn compare(row: &mut SummaryRow, cell: &Cell, baseline: &Cell) {
    let theirs = quantile(&baseline.sorted_latencies(), 0.5);
    let (Some(own), Some(theirs @ 1..)) = (row.p50_us, theirs) else {
        return;
    };
    row.ratio_to_pbft = Some(round(own as f64 / theirs as f64, 4));
    let interval = if row.protocol == BASELINE {
        Some((1.0, 1.0))
    } else {
        let pairs: Vec<(&[u64], &[u64])> = cell
            .runs
            .iter()
            .filter_map(|(repetition, run)| {
                let other = baseline.runs.get(repetition)?;
                Some((run.latencies.as_slice(), other.latencies.as_slice()))
            })
            .collect();
        ratio_interval(&pairs, BOOTSTRAP_SEED)
    };
    row.ratio_low = interval.map(|(low, _)| round(low, 4));
    row.ratio_high = interval.map(|(_, high)| round(high, 4));
}

/// The floor that a cell can be held against: it is that of a lone request
/// without faults on unshaped links. Of several paths the fastest counts.
fn floor_of(cell: &Cell, floors: &[Floor]) -> Option<f64> {
    let row = cell.first();
    let comparable = row.fault == "none"
        && row.clients == 1
        && row.rate_per_s.is_none()
        && !cell.setting.variant.has_shaped_links();
    floors
        .iter()
        .filter(|floor| comparable && floor.floor_us > 0.0)
        .filter(|floor| floor.protocol == row.protocol && floor.nodes == row.nodes)
        .filter(|floor| floor.payload_bytes == row.payload_bytes)
        .map(|floor| floor.floor_us)
        .min_by(f64::total_cmp)
}

/// `total / units`, rounded; `None` where there are no units.
fn per(total: f64, units: f64, digits: i32) -> Option<f64> {
    (units > 0.0).then(|| round(total / units, digits))
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::testdata::{self, CellSpec};

    fn of<'a>(rows: &'a [SummaryRow], cell: &str) -> &'a SummaryRow {
        rows.iter().find(|row| row.cell == cell).expect(cell)
    }

    /// Two repetitions with hand-made latencies.
    #[test]
    fn every_column_matches_the_hand_computed_value() {
        let mut data = testdata::Data::default();
        let spec = CellSpec { requests: 4, repetitions: 2, ..CellSpec::new("pbft", 4, "none") };
        data.add(&spec);
        data.set_latencies("pbft-4-none", &[&[100, 200, 300, 400], &[500, 600, 700, 800]]);
        data.samples[7].outcome = Outcome::Timeout;
        data.samples[6].outcome = Outcome::Violation;
        for cell in &mut data.cells {
            (cell.measured_s, cell.decided_slots, cell.decided) = (1.5, 3, 3);
            cell.nodes_cpu_us = Some(900);
            cell.idle_share = Some(0.25 * f64::from(cell.repetition + 1));
        }
        for node in &mut data.nodes {
            (node.agreement_messages_out, node.bytes_out) = (6, 600);
        }
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let row = of(&rows, "pbft-4-none");
        assert_eq!((row.requests, row.decided, row.timeouts, row.violations), (8, 6, 1, 1));
        assert_eq!((row.decided_share, row.timeout_share), (Some(0.75), Some(0.125)));
        // The violation's 700 and the timeout's 800 do not count.
        assert_eq!((row.p50_us, row.p90_us, row.max_us), (Some(300), Some(600), Some(600)));
        assert_eq!(row.mean_us, Some(350.0));
        assert_eq!(row.throughput_per_s, Some(2.0));
        assert_eq!(row.messages_per_decision, Some(8.0)); // 2 reps * 4 nodes * 6 / 6 slots
        assert_eq!(row.bytes_per_decision, Some(800.0));
        assert_eq!((row.cpu_us_per_decision, row.cpu_us_per_request), (Some(300.0), Some(300.0)));
        assert_eq!(row.idle_share, Some(0.375));
        assert_eq!((row.ratio_to_pbft, row.ratio_low, row.ratio_high), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!(row.paths, "direct=6");
        assert_eq!(row.safety, "byzantine");
    }

    #[test]
    fn ratios_pair_with_the_like_pbft_cell_only() {
        let mut data = testdata::Data::default();
        for (protocol, payload, latency) in
            [("pbft", 1, 100), ("pbft", 9, 1000), ("ccro", 1, 150), ("ccro", 9, 500), ("ccro-paper", 5, 70)]
        {
            let spec = CellSpec { payload, ..CellSpec::new(protocol, 4, "offline:1") };
            let name = spec.name();
            data.add(&spec);
            data.set_latencies(&name, &[&vec![latency; spec.requests as usize]]);
        }
        // The flows may tolerate another f and draw other faulty nodes.
        data.cells.iter_mut().filter(|c| c.protocol == "ccro").for_each(|c| c.faulty = "2".into());
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        let small = of(&rows, "ccro-4-offline:1-p1");
        assert_eq!(
            (small.ratio_to_pbft, small.ratio_low, small.ratio_high),
            (Some(1.5), Some(1.5), Some(1.5))
        );
        assert_eq!(of(&rows, "ccro-4-offline:1-p9").ratio_to_pbft, Some(0.5));
        let paper = of(&rows, "ccro-paper-4-offline:1-p5");
        assert_eq!((paper.ratio_to_pbft, paper.ratio_low), (None, None));
        assert_eq!(paper.safety, PAPER_WARNING);
    }

    /// Without the links in the key, a delayed PBFT cell would be compared
    /// with an undelayed CCRO cell.
    #[test]
    fn cells_on_other_links_are_not_alike() {
        let mut data = testdata::Data::default();
        data.add(&CellSpec::new("pbft", 4, "none"));
        data.add(&CellSpec::new("ccro", 4, "none"));
        data.cells.iter_mut().filter(|c| c.protocol == "ccro").for_each(|c| c.link_delay_us = 500);
        let floors = [Floor { protocol: "ccro".into(), nodes: 4, payload_bytes: 100, floor_us: 10.0 }];
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &floors);
        let ccro = of(&rows, "ccro-4-none");
        assert_eq!((ccro.ratio_to_pbft, ccro.floor_us), (None, None));
    }

    #[test]
    fn the_floor_is_the_fastest_path_and_only_for_lone_fault_free_requests() {
        let mut data = testdata::Data::default();
        data.add(&CellSpec::new("ccro", 4, "none"));
        data.add(&CellSpec::new("ccro", 4, "offline:1"));
        data.add(&CellSpec { clients: 8, ..CellSpec::new("ccro", 7, "none") });
        data.set_latencies("ccro-4-none", &[&[400; 20]]);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_floors(dir.path()).unwrap(), []);
        let json = r#"{"host":"x","floors":[
            {"protocol":"ccro","nodes":4,"payload_bytes":100,"path":"two-phase","critical_path_us":1,"work_us":2,"floor_us":300.0},
            {"protocol":"ccro","nodes":4,"payload_bytes":100,"path":"fast","floor_us":160},
            {"protocol":"ccro","nodes":7,"payload_bytes":100,"path":"fast","floor_us":200}]}"#;
        std::fs::write(dir.path().join("floor.json"), json).unwrap();
        let floors = read_floors(dir.path()).unwrap();
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &floors);
        let lone = of(&rows, "ccro-4-none");
        assert_eq!((lone.floor_us, lone.ratio_to_floor), (Some(160.0), Some(2.5)));
        assert!(rows.iter().filter(|r| r.cell != "ccro-4-none").all(|r| r.floor_us.is_none()));
        std::fs::write(dir.path().join("floor.json"), "{").unwrap();
        assert!(read_floors(dir.path()).unwrap_err().to_string().contains("harness floor"));
    }

    #[test]
    fn a_floor_next_to_a_half_is_rounded_as_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for (written, rounded) in
            [("100.00049999999999", 100.0), ("372.5975", 372.598), ("100.0635", 100.064)]
        {
            let json = format!(
                r#"{{"floors":[{{"protocol":"ccro","nodes":4,"payload_bytes":100,"floor_us":{written}}}]}}"#
            );
            std::fs::write(dir.path().join("floor.json"), json).unwrap();
            let floor = read_floors(dir.path()).unwrap()[0].floor_us;
            assert_eq!((floor, round(floor, 3)), (written.parse().unwrap(), rounded));
        }
    }

    #[test]
    fn an_open_loop_is_judged_by_its_response_time() {
        let mut data = testdata::Data::default();
        data.add(&CellSpec { rate: Some(100.0), ..CellSpec::new("pbft", 4, "none") });
        for sample in &mut data.samples {
            (sample.consensus_us, sample.response_us) = (Some(5), Some(5000));
        }
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        assert_eq!((rows[0].p50_us, rows[0].latency_basis.as_str()), (Some(5000), "response"));
    }

    #[test]
    fn unfinished_and_undecided_cells_have_no_numbers() {
        let mut data = testdata::Data::default();
        data.add(&CellSpec { decided: false, ..CellSpec::new("pbft", 4, "offline:2") });
        data.add(&CellSpec::new("ccro", 4, "none"));
        data.cells.retain(|cell| cell.protocol == "pbft");
        let rows = summarise(&data.samples, &data.nodes, &data.cells, &[]);
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((row.timeouts, row.timeout_share), (row.requests, Some(1.0)));
        assert_eq!((row.p50_us, row.mean_us, row.ratio_to_pbft), (None, None, None));
        assert_eq!((row.messages_per_decision, row.cpu_us_per_decision), (None, None));
        assert_eq!(row.throughput_per_s, Some(0.0));
        assert!(summarise(&[], &[], &[], &[]).is_empty());
    }
}
