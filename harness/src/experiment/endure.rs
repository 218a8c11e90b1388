//! Whether a cluster keeps its throughput and its memory over minutes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::cell::load_spec;
use crate::base::console::warn;
use crate::cluster::{Cluster, ClusterSpec, nodes_up, observe};
use crate::load::{self, Answer, LoadSpec, Progress};
use crate::plan::{Cell, Load, Plan};

/// How long nodes may take to connect to each other.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// About how long one part of the load lasts. Memory is read between two parts.
const PART: Duration = Duration::from_secs(5);
/// How often the terminal is told how far it is.
const WORD_EVERY: Duration = Duration::from_secs(30);

/// What was seen of one cell.
#[derive(Clone, Debug, Serialize)]
pub struct Endured {
    /// The cell.
    pub cell: String,
    /// Clients with one request in flight each.
    pub clients: u64,
    /// Requests that were decided.
    pub decided: u64,
    /// Requests that were not.
    pub undecided: u64,
    /// Decided requests a second.
    pub per_s: f64,
    /// Response times, microseconds.
    pub p50_us: u64,
    /// Likewise.
    pub p99_us: u64,
    /// The longest time without an answer while requests were in flight, microseconds.
    pub stall_us: u64,
    /// Resident memory of all nodes after the time to settle, bytes.
    pub settled_bytes: u64,
    /// And at the end.
    pub end_bytes: u64,
    /// What the first requests that were not decided were answered.
    pub errors: String,
}

impl Endured {
    /// By how much memory grew, percent of what it was.
    pub fn growth_percent(&self) -> f64 {
        (self.end_bytes as f64 / self.settled_bytes as f64 - 1.0) * 100.0
    }
}

/// Runs one cell for `duration`. Memory is read after `settle` and at the end.
///
/// # Errors
/// If a node cannot be started or does not answer.
pub async fn endure(plan: &Plan, cell: &Cell, duration: Duration, settle: Duration) -> Result<Endured> {
    // As in a service: the records of an experiment grow for minutes.
    let spec = ClusterSpec { slots_kept: node::SERVICE_SLOTS_KEPT, ..ClusterSpec::of(plan, cell) };
    let mut cluster = Cluster::start(&spec).await?;
    let addresses = cluster.addresses().to_vec();
    let up: Vec<u16> = nodes_up(&cell.faults).into_iter().collect();
    observe::wait_connected(&addresses, &up, CONNECT_LIMIT).await;
    let mut load = load_spec(plan, cell, &spec, &addresses);
    load::prepare(&load).await.context("the application could not be prepared")?;
    let mut seen = Seen::new()?;
    let began = Instant::now();
    let (mut settled_bytes, mut next_word) = (None, WORD_EVERY);
    let Load::Closed { clients } = cell.load else { bail!("a closed loop is needed") };
    load.requests = 10 * clients as u64;
    while began.elapsed() < duration {
        let part = seen.run_part(&load).await;
        load.seed = load.seed.wrapping_add(1);
        if let Some(death) = cluster.died() {
            bail!("{death}");
        }
        // So many more as fit into a part.
        let more = PART.as_secs_f64() / part.as_secs_f64().max(1e-3);
        load.requests = ((load.requests as f64 * more.clamp(0.1, 4.0)) as u64).max(clients as u64);
        if began.elapsed() >= settle && settled_bytes.is_none() {
            settled_bytes = Some(memory(&addresses).await?);
        }
        if began.elapsed() >= next_word {
            next_word += WORD_EVERY;
            let (now_s, of_s) = (began.elapsed().as_secs(), duration.as_secs());
            warn(format_args!("  {}: {now_s} of {of_s} s, {} decided", cell.name, seen.times.len()));
        }
    }
    let per_s = seen.times.len() as f64 / began.elapsed().as_secs_f64();
    let end_bytes = memory(&addresses).await?;
    Ok(Endured {
        cell: cell.name.clone(),
        clients: clients as u64,
        decided: seen.times.len(),
        undecided: seen.undecided,
        per_s,
        p50_us: seen.times.value_at_quantile(0.5),
        p99_us: seen.times.value_at_quantile(0.99),
        stall_us: seen.stall_us,
        settled_bytes: settled_bytes.unwrap_or(end_bytes),
        end_bytes,
        errors: seen
            .errors
            .into_iter()
            .map(|(error, times)| format!("{times} x {error}"))
            .collect::<Vec<_>>()
            .join("; "),
    })
}

/// What came of the requests so far.
struct Seen {
    /// Response times, microseconds.
    times: Histogram<u64>,
    undecided: u64,
    stall_us: u64,
    errors: BTreeMap<String, u64>,
}

impl Seen {
    fn new() -> Result<Seen> {
        // Up to a minute.
        let times = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Seen { times, undecided: 0, stall_us: 0, errors: BTreeMap::new() })
    }

    async fn run_part(&mut self, spec: &LoadSpec) -> Duration {
        let progress = Progress::new(spec);
        load::run(spec, &progress).await;
        let result = progress.finish("no answer");
        let mut answered = vec![0];
        for sample in result.samples {
            match (sample.answer, sample.response_us) {
                (Answer::Decided(_), Some(us)) => {
                    self.times.saturating_record(us);
                    answered.push(sample.intended_us + us);
                }
                (answer, _) => {
                    self.undecided += 1;
                    let error = match answer {
                        Answer::Error(error) => error,
                        other => format!("{other:?}"),
                    };
                    if self.errors.len() < 5 || self.errors.contains_key(&error) {
                        *self.errors.entry(error).or_default() += 1;
                    }
                }
            }
        }
        answered.sort_unstable();
        let longest = answered.windows(2).map(|pair| pair[1] - pair[0]).max();
        self.stall_us = self.stall_us.max(longest.unwrap_or(result.elapsed.as_micros() as u64));
        result.elapsed
    }
}

/// Resident memory of all nodes together.
async fn memory(addresses: &[SocketAddr]) -> Result<u64> {
    let statuses = observe::statuses(addresses).await;
    let of = |status: Option<node::api::StatusReport>| status?.counters.memory_bytes;
    let bytes: Option<Vec<u64>> = statuses.into_iter().map(of).collect();
    bytes.map(|bytes| bytes.iter().sum()).context("a node does not say how much memory it has")
}
