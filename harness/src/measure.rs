//! One run of one cell: a fresh cluster, warm-up, load, and what came of it.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::audit;
use crate::cluster::{Cluster, ClusterSpec, nodes_up};
use crate::load::{self, Answer, LoadResult, LoadSpec, Progress, Sample};
use crate::observe::{self, NodeLog};
use crate::plan::{Cell, Plan};
use crate::procfs::{CpuMark, CpuUse};
use crate::protocols::Gateway;
use crate::rows::{self, CellRows, Measured, RunId};

/// What is to be told of one run of one cell.
#[derive(Debug)]
pub struct CellRun {
    /// Its rows.
    pub rows: CellRows,
    /// Sentences on every disagreement of honest nodes.
    pub violations: Vec<String>,
    /// Whether they came with at most `f` faulty nodes.
    pub within_f: bool,
}

/// How long nodes may take to connect to each other.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How often nodes are asked whether they still run.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long counters may take to come to rest.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Runs one cell. Whatever goes wrong with the nodes becomes `error` rows.
pub async fn run_cell(
    plan: &Plan,
    cell: &Cell,
    repetition: u32,
    order: u32,
    max_in_flight: usize,
) -> CellRun {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = RunId { repetition, order, started_unix_ms: now.as_millis() as u64 };
    let measured = match measure(plan, cell, repetition, max_in_flight).await {
        Ok(measured) => measured,
        Err(error) => failed_to_start(cell, &format!("{error:#}")),
    };
    let clients = rows::clients_column(cell.load, max_in_flight);
    CellRun {
        rows: rows::rows(cell, run, plan.placement, clients, &measured),
        violations: measured.audit.disagreements.into_values().collect(),
        within_f: cell.faults.faulty().len() <= cell.f(),
    }
}

fn failed_to_start(cell: &Cell, error: &str) -> Measured {
    let sample = Sample {
        gateway: 0,
        intended_us: 0,
        sent_us: None,
        response_us: None,
        answer: Answer::Error(error.to_string()),
    };
    let nodes = usize::from(cell.nodes);
    Measured {
        load: LoadResult { samples: vec![sample], ..LoadResult::default() },
        before: vec![None; nodes],
        after: vec![None; nodes],
        logs: vec![None; nodes],
        audit: audit::Audit::default(),
        cpu: CpuUse::default(),
        notes: vec![format!("the cluster did not start: {error}")],
    }
}

async fn measure(plan: &Plan, cell: &Cell, repetition: u32, max_in_flight: usize) -> Result<Measured> {
    let spec = ClusterSpec::of(plan, cell);
    let mut cluster = Cluster::start(&spec).await?;
    let mut notes = Vec::new();
    let up: Vec<u16> = nodes_up(&cell.faults).into_iter().collect();
    if !observe::wait_connected(cluster.addresses(), &up, CONNECT_LIMIT).await {
        notes.push(format!("not all nodes were connected after {CONNECT_LIMIT:?}"));
    }
    let mut load_spec = load_spec(plan, cell, &cluster, max_in_flight);
    load_spec.seed = plan.seed ^ u64::from(repetition).rotate_left(40);
    if !warm_up(plan, &load_spec).await {
        // It counts as the first of those in a row.
        load_spec.give_up_after = plan.give_up_after.saturating_sub(1).max(plan.give_up_after.min(1));
    }

    let pause = settle_pause(cell);
    let before = observe::settled(cluster.addresses(), pause, SETTLE_LIMIT).await;
    for (id, faults) in (0u16..).zip(&cell.faults.nodes) {
        if faults.crash {
            cluster.kill(id)?;
        }
    }
    let pids = cluster.pids();
    let mark = CpuMark::now(&pids);
    let load = load_until_done_or_dead(&load_spec, &mut cluster, &mut notes).await;
    let cpu = CpuMark::now(&pids).since(&mark);
    notes.extend(load.cut_short.clone());

    let after = observe::settled(cluster.addresses(), pause, SETTLE_LIMIT).await;
    let logs = observe::logs(cluster.addresses()).await;
    let honest = cell.faults.honest();
    let honest_logs: Vec<&NodeLog> = logs.iter().flatten().filter(|log| honest.contains(&log.id)).collect();
    if honest_logs.iter().any(|log| log.truncated) {
        notes.push("the nodes no longer hold the logs of the first slots".to_string());
    }
    let audit = audit::compare(&honest_logs);
    if let Some(first) = audit.disagreements.values().next() {
        notes.push(format!("VIOLATION on {} slots, the first: {first}", audit.disagreements.len()));
    }
    Ok(Measured { load, before, after, logs, audit, cpu, notes })
}

/// Counters rest when they do not move for longer than a message travels.
fn settle_pause(cell: &Cell) -> Duration {
    Duration::from_millis(15) + 2 * Duration::from_micros(cell.link_delay_us)
}

/// Warm-up requests are sent like the others and forgotten. One undecided at
/// the start ends the warm-up: the rest would only cost time. Says whether the
/// last was decided.
async fn warm_up(plan: &Plan, load_spec: &LoadSpec) -> bool {
    let give_up_after = plan.give_up_after.min(1);
    let spec = LoadSpec { requests: plan.warmup, give_up_after, ..load_spec.clone() };
    let progress = Progress::new(&spec);
    load::run(&spec, &progress).await;
    let result = progress.finish("no answer");
    result.samples.last().is_none_or(|last| matches!(last.answer, Answer::Decided(_)))
}

fn load_spec(plan: &Plan, cell: &Cell, cluster: &Cluster, max_in_flight: usize) -> LoadSpec {
    let honest = cell.faults.honest();
    let ids = match plan.gateway {
        // The commander of view 0 is node 0. Without any honest node, whoever
        // is asked, the experiment is about that.
        Gateway::Auto => vec![honest.first().copied().unwrap_or(0)],
        Gateway::Spread if honest.is_empty() => vec![0],
        Gateway::Spread => honest,
        Gateway::Node(id) => vec![id],
    };
    LoadSpec {
        gateways: ids.into_iter().map(|id| (id, cluster.addresses()[usize::from(id)])).collect(),
        load: cell.load,
        max_in_flight,
        requests: plan.requests,
        payload_bytes: cell.payload_bytes,
        seed: plan.seed,
        timeout: Duration::from_micros(plan.timeout_us()),
        give_up_after: plan.give_up_after,
    }
}

/// Runs the load; when a node dies unasked, what is unanswered is an error.
async fn load_until_done_or_dead(
    spec: &LoadSpec,
    cluster: &mut Cluster,
    notes: &mut Vec<String>,
) -> LoadResult {
    let progress: Rc<Progress> = Progress::new(spec);
    let death = async {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            if let Some(death) = cluster.died() {
                return death;
            }
        }
    };
    let died = tokio::select! {
        () = load::run(spec, &progress) => None,
        death = death => Some(death),
    };
    let died = match died.or_else(|| cluster.died()) {
        None if progress.has_errors() => {
            // A connection breaks a moment before its process is gone.
            tokio::time::sleep(3 * WATCH_EVERY).await;
            cluster.died()
        }
        died => died,
    };
    let Some(death) = died else {
        return progress.finish("");
    };
    let mut result = progress.finish(&death);
    // The death must show in the counts even if no request was in flight.
    if result.samples.iter().all(|sample| !matches!(sample.answer, Answer::Error(_))) {
        let (gateway, _) = spec.gateways[0];
        result.samples.push(Sample {
            gateway,
            intended_us: result.elapsed.as_micros() as u64,
            sent_us: None,
            response_us: None,
            answer: Answer::Error(death.clone()),
        });
    }
    notes.push(death);
    result
}
