//! The rows of the result files, exactly as `results/README.md` describes
//! them. The side that measures writes these structs, the report reads them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How one request ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// `f+1` matching, validly signed replies reached the gateway in time.
    Decided,
    /// The gateway had no such replies in time.
    Timeout,
    /// The request could not be sent or answered at all.
    Error,
    /// It was answered, and the honest nodes' logs disagree on its slot.
    Violation,
}

/// How a slot was committed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum CommitPath {
    /// Votes received one by one, or the published round of `ccro-paper`.
    Direct,
    /// A certificate of all `n` PREPAREs.
    Fast,
    /// A prepared and then a committed certificate.
    TwoPhase,
    /// By votes sent to all, after `fallback_after`.
    Fallback,
}

impl CommitPath {
    /// The name in the files.
    pub fn name(self) -> &'static str {
        match self {
            CommitPath::Direct => "direct",
            CommitPath::Fast => "fast",
            CommitPath::TwoPhase => "two-phase",
            CommitPath::Fallback => "fallback",
        }
    }
}

/// How the note of a cell begins to tell of disagreement, or of an acknowledged
/// request that was lost or doubled.
pub const VIOLATION: &str = "VIOLATION";
/// How the note of a cell begins to tell of nodes that stayed behind although at
/// most `f` were faulty.
pub const NOT_BACK: &str = "NOT BACK";

/// How a note begins that says that a history could not be judged.
pub const NOT_JUDGED: &str = "NOT JUDGED";

/// How a note begins that says that the run was recorded, which takes time.
pub const RECORDED: &str = "RECORDED";

/// A row of one of the result files.
pub trait Row: Serialize + DeserializeOwned {
    /// The file's name inside a result folder.
    const FILE: &'static str;
    /// The columns, in the order in which they are written.
    const COLUMNS: &'static [&'static str];
}

/// Columns that older files lack. Their fields have a default.
pub const ADDED_LATER: [&str; 7] = ["app", "via", "durability", "p99_us", "syncs", "sync_us", "sync_mean_us"];

fn opaque() -> String {
    "opaque".to_owned()
}

fn http() -> String {
    "http".to_owned()
}

fn off() -> String {
    "off".to_owned()
}

/// One request: a row of `samples.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SampleRow {
    /// The cell's name, the same in all files.
    pub cell: String,
    /// Number of the repetition, from 0.
    pub repetition: u32,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// Faults that the flow tolerates at this `n`.
    pub f: u32,
    /// The faults as given, several joined by `+`; `none` without.
    pub fault: String,
    /// Ids of the faulty nodes, separated by `;`.
    pub faulty: String,
    /// What is replicated: `opaque`, `kv`, `bank` or `orswot`. Files of before there were several
    /// do not have it.
    #[serde(default = "opaque")]
    pub app: String,
    /// Bytes of `data` in each request.
    pub payload_bytes: u64,
    /// Most requests that one slot orders.
    pub batch_max: u64,
    /// Requests in flight at most (closed loop).
    pub clients: u64,
    /// Intended requests per second (open loop).
    pub rate_per_s: Option<f64>,
    /// How requests reached the cluster: `http` or `client`. Files of before there were
    /// several ways do not have it.
    #[serde(default = "http")]
    pub via: String,
    /// What the nodes' journals outlived: `off` (there were none), `on` or `fsync`. Files of
    /// before there were journals do not have it.
    #[serde(default = "off")]
    pub durability: String,
    /// Number of the request, from 0, warm-up excluded.
    pub request: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// How its slot was committed; `None` if undecided.
    pub path: Option<CommitPath>,
    /// When it was due, microseconds since the measured part began.
    pub intended_us: u64,
    /// When it was really sent, microseconds on the same scale.
    pub sent_us: Option<u64>,
    /// Microseconds from `intended_us` to the complete answer; only if decided.
    pub response_us: Option<u64>,
    /// Microseconds at the gateway from receipt to the `f+1`st valid reply; only if decided.
    pub consensus_us: Option<u64>,
    /// Microseconds at the commander from the proposal to its own commit.
    pub commander_commit_us: Option<u64>,
    /// Microseconds from the gateway's receipt to the last honest node's commit.
    pub last_commit_us: Option<u64>,
    /// Matching replies that the gateway held when it answered.
    pub replies: Option<u64>,
    /// Votes for the decided digest of the slot, over all honest nodes.
    pub correct: Option<u64>,
    /// Contradicting, badly signed or other votes and proposals for the slot, over all honest nodes.
    pub corrupt: Option<u64>,
    /// The slot's sequence number; `None` if undecided.
    pub seq: Option<u64>,
    /// Id of the node that the request was posted to.
    pub gateway: u32,
    /// What went wrong, for [`Outcome::Error`]; else empty.
    pub error: String,
}

impl Row for SampleRow {
    const FILE: &'static str = "samples.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "repetition",
        "protocol",
        "nodes",
        "f",
        "fault",
        "faulty",
        "app",
        "payload_bytes",
        "batch_max",
        "clients",
        "rate_per_s",
        "via",
        "durability",
        "request",
        "outcome",
        "path",
        "intended_us",
        "sent_us",
        "response_us",
        "consensus_us",
        "commander_commit_us",
        "last_commit_us",
        "replies",
        "correct",
        "corrupt",
        "seq",
        "gateway",
        "error",
    ];
}

impl SampleRow {
    /// The latency in microseconds that the summary uses: the response time
    /// where a rate was given, else the consensus time. `None` unless decided.
    pub fn latency_us(&self) -> Option<u64> {
        match (self.outcome, self.rate_per_s) {
            (Outcome::Decided, Some(_)) => self.response_us,
            (Outcome::Decided, None) => self.consensus_us,
            _ => None,
        }
    }
}

/// Which time the latencies of a cell are, as in the column `latency_basis`: from the
/// intended start where a rate was given, so that a stall counts for every request
/// that it delayed. One rule for everything that is written of a cell.
pub fn latency_basis(rate_per_s: Option<f64>) -> &'static str {
    if rate_per_s.is_some() { "response" } else { "consensus" }
}

/// A `latency_basis` in words.
pub fn basis_words(basis: &str) -> &'static str {
    if basis == "response" { "response time from the intended start" } else { "consensus time" }
}

/// One node in one cell and repetition: a row of `nodes.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct NodeRow {
    /// The cell's name.
    pub cell: String,
    /// Number of the repetition, from 0.
    pub repetition: u32,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// Faults that the flow tolerates at this `n`.
    pub f: u32,
    /// The faults as given.
    pub fault: String,
    /// Id of this node.
    pub node: u32,
    /// `commander`, `communication_node`, `replica`, joined by `+`.
    pub role: String,
    /// The behaviours on this node; `none` if it is honest.
    pub faults: String,
    /// Slots it committed.
    pub decided_slots: u64,
    /// Votes received for the decided digest.
    pub correct: u64,
    /// Votes and proposals received that were corrupt.
    pub corrupt: u64,
    /// Messages of the agreement itself, sent.
    pub agreement_messages_out: u64,
    /// Messages of the agreement itself, received.
    pub agreement_messages_in: u64,
    /// Forwarded requests, replies, checkpoints and fetches sent.
    pub other_messages_out: u64,
    /// Forwarded requests, replies, checkpoints and fetches received.
    pub other_messages_in: u64,
    /// Bytes sent on the peer links, frame headers included.
    pub bytes_out: u64,
    /// Bytes received on the peer links, frame headers included.
    pub bytes_in: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures checked.
    pub signatures_checked: u64,
    /// Peer messages refused at admission or by the protocol.
    pub rejected: u64,
    /// Times that its journal was synced. Files of before this was counted do not have it.
    #[serde(default)]
    pub syncs: u64,
    /// What these syncs took together, microseconds.
    #[serde(default)]
    pub sync_us: u64,
    /// CPU time in microseconds; `None` where nodes share a process.
    pub cpu_us: Option<u64>,
    /// Resident memory in bytes at the end; `None` where nodes share a process.
    pub memory_bytes: Option<u64>,
    /// `kind=count` pairs separated by `;`.
    pub messages_out_by_kind: String,
}

impl Row for NodeRow {
    const FILE: &'static str = "nodes.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "repetition",
        "protocol",
        "nodes",
        "f",
        "fault",
        "node",
        "role",
        "faults",
        "decided_slots",
        "correct",
        "corrupt",
        "agreement_messages_out",
        "agreement_messages_in",
        "other_messages_out",
        "other_messages_in",
        "bytes_out",
        "bytes_in",
        "signatures_made",
        "signatures_checked",
        "rejected",
        "syncs",
        "sync_us",
        "cpu_us",
        "memory_bytes",
        "messages_out_by_kind",
    ];
}

/// One cell in one repetition: a row of `cells.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct CellRow {
    /// The cell's name.
    pub cell: String,
    /// Number of the repetition, from 0.
    pub repetition: u32,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// Faults that the flow tolerates at this `n`.
    pub f: u32,
    /// The faults as given.
    pub fault: String,
    /// Ids of the faulty nodes, separated by `;`.
    pub faulty: String,
    /// What is replicated: `opaque`, `kv`, `bank` or `orswot`. Files of before there were several
    /// do not have it.
    #[serde(default = "opaque")]
    pub app: String,
    /// Bytes of `data` in each request.
    pub payload_bytes: u64,
    /// Most requests that one slot orders.
    pub batch_max: u64,
    /// Requests in flight at most (closed loop).
    pub clients: u64,
    /// Intended requests per second (open loop).
    pub rate_per_s: Option<f64>,
    /// How requests reached the cluster: `http` or `client`. Files of before there were
    /// several ways do not have it.
    #[serde(default = "http")]
    pub via: String,
    /// What the nodes' journals outlived: `off` (there were none), `on` or `fsync`. Files of
    /// before there were journals do not have it.
    #[serde(default = "off")]
    pub durability: String,
    /// Place in the repetition's random order, from 0.
    pub order: u32,
    /// Wall clock at the start, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Seconds from the first measured request's due time to the last answer.
    pub measured_s: f64,
    /// Requests of the measured part.
    pub requests: u64,
    /// Requests that were decided.
    pub decided: u64,
    /// Requests that were not decided in time.
    pub timeouts: u64,
    /// Requests that could not be sent or answered.
    pub errors: u64,
    /// Requests on whose slot the honest nodes disagree.
    pub violations: u64,
    /// Slots decided in the measured part.
    pub decided_slots: u64,
    /// CPU time of all nodes together, microseconds.
    pub nodes_cpu_us: Option<u64>,
    /// CPU time of the load generator, microseconds.
    pub load_cpu_us: Option<u64>,
    /// Share of all cores' time spent idle, 0 to 1.
    pub idle_share: Option<f64>,
    /// Share of all cores' time used by processes that are not ours, 0 to 1.
    pub foreign_cpu_share: Option<f64>,
    /// `processes` or `tasks`.
    pub placement: String,
    /// Delay injected on every peer link, microseconds.
    pub link_delay_us: u64,
    /// Loss injected on every peer link, a probability.
    pub link_loss: f64,
    /// Why the cell ended early, or which node found its state to be wrong; else empty.
    pub note: String,
}

impl Row for CellRow {
    const FILE: &'static str = "cells.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "repetition",
        "protocol",
        "nodes",
        "f",
        "fault",
        "faulty",
        "app",
        "payload_bytes",
        "batch_max",
        "clients",
        "rate_per_s",
        "via",
        "durability",
        "order",
        "started_unix_ms",
        "measured_s",
        "requests",
        "decided",
        "timeouts",
        "errors",
        "violations",
        "decided_slots",
        "nodes_cpu_us",
        "load_cpu_us",
        "idle_share",
        "foreign_cpu_share",
        "placement",
        "link_delay_us",
        "link_loss",
        "note",
    ];
}

/// What was done to a cluster under load.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Processes ended with SIGKILL.
    Kill,
    /// Those processes started again: by their journals, or without their memory.
    Restart,
    /// Links cut.
    Cut,
    /// Links healed.
    Heal,
    /// The processes of all nodes ended with SIGKILL, at once.
    KillAll,
    /// Those processes started again, by their journals.
    RestartAll,
}

impl EventKind {
    /// The name in the files.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Kill => "kill",
            EventKind::Restart => "restart",
            EventKind::Cut => "cut",
            EventKind::Heal => "heal",
            EventKind::KillAll => "kill-all",
            EventKind::RestartAll => "restart-all",
        }
    }
}

/// One event of an outage: a row of `events.csv`. What clients saw counts until
/// the next event.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The cell's name.
    pub cell: String,
    /// Number of the repetition, from 0.
    pub repetition: u32,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// What was done.
    pub event: EventKind,
    /// To which nodes, separated by `;`; for cuts, those outside the largest
    /// group.
    pub node: String,
    /// Microseconds since the load began.
    pub at_us: u64,
    /// The longest time without an accepted answer.
    pub gap_us: Option<u64>,
    /// From the event to the answer that ended it; `None` if none did.
    pub service_after_us: Option<u64>,
    /// Answers that took longer than `late_ms` of the plan.
    pub late: u64,
    /// Requests due in this time that were not decided at all.
    pub undecided: u64,
    /// The highest view in which a request was decided.
    pub view: Option<u64>,
    /// The 99th percentile of the response times of the answers. Files of before it was
    /// taken do not have it.
    #[serde(default)]
    pub p99_us: Option<u64>,
    /// From the event until the nodes had executed what the others had.
    pub caught_up_us: Option<u64>,
    /// From the event until they took part in the agreement again.
    pub voting_us: Option<u64>,
}

impl Row for EventRow {
    const FILE: &'static str = "events.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "repetition",
        "protocol",
        "nodes",
        "event",
        "node",
        "at_us",
        "gap_us",
        "service_after_us",
        "late",
        "undecided",
        "view",
        "p99_us",
        "caught_up_us",
        "voting_us",
    ];
}

/// One cell, all repetitions together: a row of `summary.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The cell's name.
    pub cell: String,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of nodes `n`.
    pub nodes: u32,
    /// Faults that the flow tolerates at this `n`.
    pub f: u32,
    /// The faults as given.
    pub fault: String,
    /// Ids of the faulty nodes, separated by `;`.
    pub faulty: String,
    /// What is replicated: `opaque`, `kv`, `bank` or `orswot`. Files of before there were several
    /// do not have it.
    #[serde(default = "opaque")]
    pub app: String,
    /// Bytes of `data` in each request.
    pub payload_bytes: u64,
    /// Most requests that one slot orders.
    pub batch_max: u64,
    /// Requests in flight at most (closed loop).
    pub clients: u64,
    /// Intended requests per second (open loop).
    pub rate_per_s: Option<f64>,
    /// How requests reached the cluster: `http` or `client`. Files of before there were
    /// several ways do not have it.
    #[serde(default = "http")]
    pub via: String,
    /// What the nodes' journals outlived: `off` (there were none), `on` or `fsync`. Files of
    /// before there were journals do not have it.
    #[serde(default = "off")]
    pub durability: String,
    /// How many repetitions ran.
    pub repetitions: u32,
    /// Requests of all repetitions.
    pub requests: u64,
    /// Requests that were decided.
    pub decided: u64,
    /// Requests that were not decided in time.
    pub timeouts: u64,
    /// Requests that could not be sent or answered.
    pub errors: u64,
    /// Requests on whose slot the honest nodes disagree.
    pub violations: u64,
    /// Share of all requests, 0 to 1; `None` without a request.
    pub decided_share: Option<f64>,
    /// Share of all requests, 0 to 1.
    pub timeout_share: Option<f64>,
    /// Share of all requests, 0 to 1.
    pub error_share: Option<f64>,
    /// Share of all requests, 0 to 1.
    pub violation_share: Option<f64>,
    /// `consensus` or `response`: which time the latency columns hold.
    pub latency_basis: String,
    /// Median latency, microseconds.
    pub p50_us: Option<u64>,
    /// 90 % of the decided requests took at most this, microseconds.
    pub p90_us: Option<u64>,
    /// 99 % of the decided requests took at most this, microseconds.
    pub p99_us: Option<u64>,
    /// 99.9 % of the decided requests took at most this, microseconds.
    pub p999_us: Option<u64>,
    /// Longest latency, microseconds.
    pub max_us: Option<u64>,
    /// Mean latency, microseconds.
    pub mean_us: Option<f64>,
    /// Lower end of the median's 95 % interval, microseconds.
    pub p50_low_us: Option<u64>,
    /// Upper end of the median's 95 % interval, microseconds.
    pub p50_high_us: Option<u64>,
    /// Lower end of `p99_us`'s 95 % interval, microseconds.
    pub p99_low_us: Option<u64>,
    /// Upper end of `p99_us`'s 95 % interval, microseconds.
    pub p99_high_us: Option<u64>,
    /// Decided requests per second.
    pub throughput_per_s: Option<f64>,
    /// Agreement messages sent by all nodes for each decided slot.
    pub messages_per_decision: Option<f64>,
    /// Bytes sent on peer links by all nodes for each decided slot.
    pub bytes_per_decision: Option<f64>,
    /// CPU time of all nodes for each decided slot, microseconds.
    pub cpu_us_per_decision: Option<f64>,
    /// CPU time of all nodes for each decided request, microseconds.
    pub cpu_us_per_request: Option<f64>,
    /// What one sync of a journal took at the nodes, mean, microseconds; `None` where there were none.
    #[serde(default)]
    pub sync_mean_us: Option<f64>,
    /// This cell's p50 divided by that of its PBFT counterpart.
    pub ratio_to_pbft: Option<f64>,
    /// Lower end of that ratio's 95 % interval.
    pub ratio_low: Option<f64>,
    /// Upper end of that ratio's 95 % interval.
    pub ratio_high: Option<f64>,
    /// The least time that one decision can take here, microseconds.
    pub floor_us: Option<f64>,
    /// `p50_us` divided by `floor_us`.
    pub ratio_to_floor: Option<f64>,
    /// Mean over the repetitions, 0 to 1.
    pub idle_share: Option<f64>,
    /// Mean over the repetitions, 0 to 1.
    pub foreign_cpu_share: Option<f64>,
    /// `path=count` pairs separated by `;`.
    pub paths: String,
    /// `byzantine`, or the warning that `ccro-paper` carries.
    pub safety: String,
    /// What makes these numbers doubtful, separated by `;`; empty where nothing does.
    pub warnings: String,
}

impl Row for SummaryRow {
    const FILE: &'static str = "summary.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "protocol",
        "nodes",
        "f",
        "fault",
        "faulty",
        "app",
        "payload_bytes",
        "batch_max",
        "clients",
        "rate_per_s",
        "via",
        "durability",
        "repetitions",
        "requests",
        "decided",
        "timeouts",
        "errors",
        "violations",
        "decided_share",
        "timeout_share",
        "error_share",
        "violation_share",
        "latency_basis",
        "p50_us",
        "p90_us",
        "p99_us",
        "p999_us",
        "max_us",
        "mean_us",
        "p50_low_us",
        "p50_high_us",
        "p99_low_us",
        "p99_high_us",
        "throughput_per_s",
        "messages_per_decision",
        "bytes_per_decision",
        "cpu_us_per_decision",
        "cpu_us_per_request",
        "sync_mean_us",
        "ratio_to_pbft",
        "ratio_low",
        "ratio_high",
        "floor_us",
        "ratio_to_floor",
        "idle_share",
        "foreign_cpu_share",
        "paths",
        "safety",
        "warnings",
    ];
}

/// What the simulator predicted of one cell, and what was measured: a row of
/// `predictions.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct PredictionRow {
    /// The cell's name.
    pub cell: String,
    /// The flow.
    pub protocol: String,
    /// Number of nodes.
    pub nodes: u16,
    /// Requests sent to real nodes, over all repetitions.
    pub requests: u64,
    /// Those decided.
    pub decided: u64,
    /// Median of their consensus times, microseconds.
    pub measured_p50_us: Option<u64>,
    /// The same of the simulated nodes.
    pub predicted_p50_us: Option<u64>,
    /// Predicted ÷ measured.
    pub ratio: Option<f64>,
    /// Whether the prediction is within 30 % of what was measured.
    pub within_30_percent: bool,
    /// CPU time of all real nodes per decided request, microseconds.
    pub measured_cpu_us: Option<f64>,
    /// The same of the simulated nodes.
    pub predicted_cpu_us: Option<f64>,
    /// Share of all cores' time that was idle.
    pub measured_idle_share: Option<f64>,
    /// Share of all cores' time in which no simulated node worked.
    pub predicted_idle_share: Option<f64>,
    /// Share of all cores' time that other programs used.
    pub foreign_cpu_share: Option<f64>,
    /// What is known of why the prediction is off; empty where it is good.
    pub why: String,
}

impl Row for PredictionRow {
    const FILE: &'static str = "predictions.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "protocol",
        "nodes",
        "requests",
        "decided",
        "measured_p50_us",
        "predicted_p50_us",
        "ratio",
        "within_30_percent",
        "measured_cpu_us",
        "predicted_cpu_us",
        "measured_idle_share",
        "predicted_idle_share",
        "foreign_cpu_share",
        "why",
    ];
}

/// What a comparison of two builds says of one figure.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no other program.
    Alone,
    /// It is no different, as far as these runs tell.
    Alike,
    /// This program is better in all pairs of runs.
    Better,
    /// It is worse in all of them.
    Worse,
    /// Not all requests were decided, so nothing is compared.
    Undecided,
}

/// A figure of one cell, of this program and of another one: a row of `bench.csv`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct BenchRow {
    /// The cell's name.
    pub cell: String,
    /// The column of `summary.csv` that is compared.
    pub quantity: String,
    /// Median over the runs of this program.
    pub this: Option<f64>,
    /// Median over the runs of the other one.
    pub other: Option<f64>,
    /// The median over all pairs of this ÷ other.
    pub ratio: Option<f64>,
    /// The least of these.
    pub ratio_low: Option<f64>,
    /// The greatest.
    pub ratio_high: Option<f64>,
    /// Pairs of runs.
    pub pairs: u64,
    /// The probability with which the true median ratio lies between the two.
    pub confidence: Option<f64>,
    /// For times: of this program, ÷ the floor of the machine.
    pub ratio_to_floor: Option<f64>,
    /// What this says.
    pub verdict: Verdict,
}

impl Row for BenchRow {
    const FILE: &'static str = "bench.csv";
    const COLUMNS: &'static [&'static str] = &[
        "cell",
        "quantity",
        "this",
        "other",
        "ratio",
        "ratio_low",
        "ratio_high",
        "pairs",
        "confidence",
        "ratio_to_floor",
        "verdict",
    ];
}
