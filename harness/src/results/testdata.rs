//! Made-up results for tests: deterministic, shaped like real ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::schema::{CellRow, CommitPath, NodeRow, Outcome, SampleRow};

/// The rows of the three raw files.
#[derive(Default, Clone)]
pub(crate) struct Data {
    pub(crate) samples: Vec<SampleRow>,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) cells: Vec<CellRow>,
}

/// A cell to make up.
pub(crate) struct CellSpec {
    pub(crate) protocol: &'static str,
    pub(crate) nodes: u32,
    pub(crate) fault: &'static str,
    pub(crate) payload: u64,
    pub(crate) clients: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) requests: u64,
    pub(crate) repetitions: u32,
    pub(crate) decided: bool,
    pub(crate) durability: &'static str,
}

impl CellSpec {
    pub(crate) fn new(protocol: &'static str, nodes: u32, fault: &'static str) -> Self {
        CellSpec {
            protocol,
            nodes,
            fault,
            payload: 100,
            clients: 1,
            rate: None,
            requests: 20,
            repetitions: 1,
            decided: true,
            durability: "off",
        }
    }

    pub(crate) fn name(&self) -> String {
        let CellSpec { protocol, nodes, fault, payload, clients, .. } = self;
        let mut name = format!("{protocol}-{nodes}-{fault}");
        if *payload != 100 {
            name += &format!("-p{payload}");
        }
        if *clients != 1 {
            name += &format!("-c{clients}");
        }
        if self.durability != "off" {
            name += &format!("-{}", self.durability);
        }
        name
    }

    fn faulty(&self) -> String {
        match self.fault.split_once([':', '@']) {
            Some((_, list)) if self.fault.contains('@') => list.to_string(),
            Some((_, count)) => {
                let count: u32 = count.parse().expect("a count");
                (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(";")
            }
            None => String::new(),
        }
    }
}

impl Data {
    pub(crate) fn add(&mut self, spec: &CellSpec) {
        for repetition in 0..spec.repetitions {
            let seed = u64::from(repetition) * 1000 + u64::from(spec.nodes) + spec.fault.len() as u64;
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            for request in 0..spec.requests {
                self.samples.push(sample(spec, repetition, request, &mut random));
            }
            for node in 0..spec.nodes {
                self.nodes.push(node_row(spec, repetition, node));
            }
            self.cells.push(cell_row(spec, repetition));
        }
    }

    /// Gives a cell these consensus times, one list per repetition.
    pub(crate) fn set_latencies(&mut self, cell: &str, latencies: &[&[u64]]) {
        for sample in self.samples.iter_mut().filter(|s| s.cell == cell) {
            sample.consensus_us = Some(latencies[sample.repetition as usize][sample.request as usize]);
        }
    }

    pub(crate) fn write(&self, dir: &std::path::Path) {
        super::files::write_rows(dir, &self.samples).unwrap();
        super::files::write_rows(dir, &self.nodes).unwrap();
        super::files::write_rows(dir, &self.cells).unwrap();
    }
}

/// What a `compare` leaves behind, a stalled cell and a violation included.
pub(crate) fn standard() -> Data {
    let mut data = Data::default();
    for protocol in ["pbft", "ccro", "ccro-paper"] {
        for (nodes, fault) in [
            (4, "none"),
            (4, "offline:1"),
            (4, "malicious:1"),
            (4, "equivocate@0"),
            (4, "offline:2"),
            (7, "none"),
            (7, "offline:2"),
            (7, "malicious:2"),
            (10, "none"),
        ] {
            let decided = fault != "equivocate@0" && (nodes, fault) != (4, "offline:2");
            let spec =
                CellSpec { requests: 300, repetitions: 3, decided, ..CellSpec::new(protocol, nodes, fault) };
            data.add(&spec);
        }
    }
    for sample in &mut data.samples {
        if sample.cell == "ccro-paper-4-equivocate@0" && sample.request % 3 == 0 {
            sample.outcome = Outcome::Violation;
            sample.consensus_us = Some(1);
        }
        if sample.cell == "ccro-7-malicious:2" && sample.request % 20 == 0 {
            sample.outcome = Outcome::Timeout;
            (sample.consensus_us, sample.path, sample.seq) = (None, None, None);
        }
    }
    for cell in &mut data.cells {
        let of_cell = |outcome| {
            data.samples
                .iter()
                .filter(|s| s.cell == cell.cell && s.repetition == cell.repetition && s.outcome == outcome)
                .count() as u64
        };
        (cell.decided, cell.timeouts) = (of_cell(Outcome::Decided), of_cell(Outcome::Timeout));
        (cell.errors, cell.violations) = (of_cell(Outcome::Error), of_cell(Outcome::Violation));
        cell.decided_slots = cell.decided;
    }
    data
}

fn sample(spec: &CellSpec, repetition: u32, request: u64, random: &mut ChaCha8Rng) -> SampleRow {
    let base = match spec.protocol {
        "pbft" => 700.0,
        "ccro" => 800.0,
        _ => 520.0,
    } * f64::from(spec.nodes)
        / 4.0;
    let tail = random.random_range(0.001..1.0f64).powf(-0.25);
    let latency = (base * tail * random.random_range(0.9..1.1)) as u64;
    let time = |value: u64| spec.decided.then_some(value);
    let path = match (spec.protocol, spec.fault) {
        ("ccro", "none") => CommitPath::Fast,
        ("ccro", _) => CommitPath::TwoPhase,
        _ => CommitPath::Direct,
    };
    SampleRow {
        cell: spec.name(),
        repetition,
        protocol: spec.protocol.into(),
        nodes: spec.nodes,
        f: spec.nodes.saturating_sub(1) / 3,
        fault: spec.fault.into(),
        faulty: spec.faulty(),
        app: "opaque".into(),
        payload_bytes: spec.payload,
        batch_max: 1,
        clients: spec.clients,
        rate_per_s: spec.rate,
        via: "http".into(),
        durability: spec.durability.into(),
        request,
        outcome: if spec.decided { Outcome::Decided } else { Outcome::Timeout },
        path: spec.decided.then_some(path),
        intended_us: request * 1000,
        sent_us: Some(request * 1000),
        response_us: time(latency + 50),
        consensus_us: time(latency),
        commander_commit_us: time(latency * 2 / 3),
        last_commit_us: time(latency * 3 / 4),
        replies: time(2),
        correct: time(8),
        corrupt: Some(0),
        seq: time(request + 1),
        gateway: 0,
        error: String::new(),
    }
}

fn node_row(spec: &CellSpec, repetition: u32, node: u32) -> NodeRow {
    let n = u64::from(spec.nodes);
    let faulty = spec.faulty();
    let is_faulty = faulty.split(';').any(|id| id == node.to_string());
    let decided_slots = if spec.decided { spec.requests } else { 0 };
    let malicious = if spec.fault.starts_with("malicious") { faulty.split(';').count() as u64 } else { 0 };
    let messages = match spec.protocol {
        "pbft" => 2 * n - 1,
        "ccro" => 3,
        _ => 2,
    };
    NodeRow {
        cell: spec.name(),
        repetition,
        protocol: spec.protocol.into(),
        nodes: spec.nodes,
        f: (spec.nodes - 1) / 3,
        fault: spec.fault.into(),
        node,
        role: if node == 0 { "commander" } else { "replica" }.into(),
        faults: if is_faulty { spec.fault.split([':', '@']).next().unwrap_or("none") } else { "none" }.into(),
        decided_slots,
        correct: decided_slots * (2 * n - malicious),
        corrupt: 2 * spec.requests * malicious,
        agreement_messages_out: messages * spec.requests,
        agreement_messages_in: messages * spec.requests,
        other_messages_out: spec.requests,
        other_messages_in: spec.requests,
        bytes_out: messages * spec.requests * 180,
        bytes_in: messages * spec.requests * 180,
        signatures_made: spec.requests * 3,
        signatures_checked: spec.requests * 2 * n,
        rejected: 0,
        syncs: 0,
        sync_us: 0,
        cpu_us: Some(spec.requests * 400),
        memory_bytes: Some(12_000_000),
        messages_out_by_kind: format!("prepare={}", spec.requests),
    }
}

fn cell_row(spec: &CellSpec, repetition: u32) -> CellRow {
    let decided = if spec.decided { spec.requests } else { 0 };
    CellRow {
        cell: spec.name(),
        repetition,
        protocol: spec.protocol.into(),
        nodes: spec.nodes,
        f: (spec.nodes - 1) / 3,
        fault: spec.fault.into(),
        faulty: spec.faulty(),
        app: "opaque".into(),
        payload_bytes: spec.payload,
        batch_max: 1,
        clients: spec.clients,
        rate_per_s: spec.rate,
        via: "http".into(),
        durability: spec.durability.into(),
        order: 0,
        started_unix_ms: 1_700_000_000_000,
        measured_s: spec.requests as f64 * 0.001,
        requests: spec.requests,
        decided,
        timeouts: spec.requests - decided,
        errors: 0,
        violations: 0,
        decided_slots: decided,
        nodes_cpu_us: Some(u64::from(spec.nodes) * spec.requests * 400),
        load_cpu_us: Some(spec.requests * 30),
        idle_share: Some(0.3),
        foreign_cpu_share: Some(0.01),
        placement: "processes".into(),
        link_delay_us: 0,
        link_loss: 0.0,
        note: String::new(),
    }
}
