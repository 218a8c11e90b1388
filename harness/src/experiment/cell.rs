//! One run of one cell: a fresh cluster, warm-up, load, and what came of it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use node::api::LogReport;

use super::audit;
use super::journals::RunJournals;
use super::outage::driver::{self, Driver, Seen};
use super::outage::recorded::{self, Recorded};
use super::outage::{aftermath, verdict};
use super::rows::{self, Measured, RunId};
use crate::base::exit::NotMeasured;
use crate::cluster::observe;
use crate::cluster::procfs::CpuMark;
use crate::cluster::recording::{self, Recording};
use crate::cluster::{Cluster, ClusterSpec, nodes_up};
use crate::history::clients::History;
use crate::load::{self, Answer, LoadResult, LoadSpec, Progress, Sample, Targets};
use crate::plan::outage::Victim;
use crate::plan::trace::TraceTo;
use crate::plan::{Cell, Gateway, OPEN_LOOP_IN_FLIGHT, Plan};
use crate::results::schema::{RECORDED, VIOLATION};
use crate::results::store::CellRows;

/// What one run of one cell gave.
#[derive(Debug)]
pub struct CellRun {
    /// Its rows.
    pub rows: CellRows,
    /// Sentences on every disagreement of honest nodes.
    pub violations: Vec<String>,
    /// What clients of the key-value store saw meanwhile, if that was recorded.
    pub history: Option<Recorded>,
    /// What happened in it, message by message, if that was recorded.
    pub recorded: Option<recording::Recorded>,
    /// Whether they came with at most `f` faulty nodes.
    pub within_f: bool,
}

/// How long nodes may take to connect to each other.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How often nodes are asked whether they still run.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long counters may take to come to rest.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Runs one cell. What the nodes do or fail to do is its result; an error says that
/// there is none, because a node could not be started, killed or asked.
pub async fn run_cell(
    plan: &Plan,
    cell: &Cell,
    repetition: u32,
    order: u32,
    trace: Option<TraceTo>,
    journals: Option<RunJournals>,
) -> Result<CellRun> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = RunId { repetition, order, started_unix_ms: now.as_millis() as u64 };
    let (measured, recorded) = measure(plan, cell, repetition, trace, journals).await.context(NotMeasured)?;
    let clients = rows::clients_column(cell.load, OPEN_LOOP_IN_FLIGHT);
    Ok(CellRun {
        rows: rows::rows(cell, run, plan.placement, clients, &measured),
        violations: measured.audit.disagreements.into_values().collect(),
        history: measured.history,
        recorded,
        within_f: cell.faults.faulty().len() <= cell.f(),
    })
}

async fn measure(
    plan: &Plan,
    cell: &Cell,
    repetition: u32,
    trace: Option<TraceTo>,
    // Before the cluster, so that they are removed after its nodes have ended.
    mut journals: Option<RunJournals>,
) -> Result<(Measured, Option<recording::Recorded>)> {
    let mut spec = ClusterSpec::of(plan, cell);
    let recording = trace.map(|to| Recording::begin(&to.file, to.limit_bytes)).transpose()?;
    spec.recording = recording.as_ref().map(|recording| recording.of_nodes(cell.nodes));
    spec.journals = journals.as_ref().map(RunJournals::of_nodes);
    let cluster = Rc::new(RefCell::new(Cluster::start(&spec).await?));
    let addresses = cluster.borrow().addresses().to_vec();
    let mut notes = Vec::new();
    let up: Vec<u16> = nodes_up(&cell.faults).into_iter().collect();
    if !observe::wait_connected(&addresses, &up, CONNECT_LIMIT).await {
        notes.push(format!("not all nodes were connected after {CONNECT_LIMIT:?}"));
    }
    let mut load_spec = load_spec(plan, cell, &spec, &addresses);
    if let Err(error) = load::prepare(&load_spec).await {
        notes.push(format!("the application could not be prepared: {error:#}"));
    }
    load_spec.seed = plan.seed ^ u64::from(repetition).rotate_left(40);
    if !warm_up(plan, &load_spec).await {
        // It counts as the first of those in a row.
        load_spec.give_up_after =
            load_spec.give_up_after.saturating_sub(1).max(load_spec.give_up_after.min(1));
    }

    let pause = settle_pause(cell);
    let mut before = observe::settled(&addresses, pause, SETTLE_LIMIT).await;
    for (id, faults) in (0u16..).zip(&cell.faults.nodes) {
        if faults.crash {
            cluster.borrow_mut().kill(id)?;
        }
    }
    let pids = cluster.borrow().pids();
    let mark = CpuMark::now(&pids);
    let history = Rc::new(History::default());
    let (load, seen) = load_under_outage(plan, cell, &load_spec, &cluster, &history, &mut notes).await?;
    let cpu = CpuMark::now(&pids).since(&mark);
    notes.extend(load.cut_short.clone());

    let honest = cell.faults.honest();
    let mut events = Vec::new();
    if let Some(outage) = &plan.outage {
        // Nodes started again count from zero.
        seen.restarted.iter().for_each(|id| before[usize::from(*id)] = None);
        let posted = plan.warmup + load.samples.len() as u64;
        notes.extend(aftermath::check(&load_spec, &addresses, &honest, &seen, &load.samples, posted).await);
        let late_us = (outage.late_ms * 1e3) as u64;
        events = verdict::event_rows(cell, repetition, &seen.events, &load.samples, late_us);
    }
    let history = match plan.outage.as_ref().is_some_and(|outage| outage.records_history(cell)) {
        true => Some(Recorded::judged(history.finish()).await?),
        false => None,
    };
    notes.extend(history.iter().flat_map(Recorded::notes));
    let after = observe::settled(&addresses, pause, SETTLE_LIMIT).await;
    let logs = observe::logs(&addresses).await;
    let honest_logs = logs.iter().flatten().chain(&seen.logs).filter(|log| honest.contains(&log.id));
    let honest_logs: Vec<&LogReport> = honest_logs.collect();
    if honest_logs.iter().any(|log| log.truncated) {
        notes.push("the nodes no longer hold the logs of the first slots".to_string());
    }
    let audit = audit::compare(&honest_logs);
    if let Some(first) = audit.disagreements.values().next() {
        notes.push(format!("{VIOLATION} on {} slots, the first: {first}", audit.disagreements.len()));
    }
    if notes.iter().any(|note| note.starts_with(VIOLATION)) {
        notes.extend(journals.as_mut().map(RunJournals::keep));
    }
    let title = format!("{} #{repetition}", cell.name);
    let finish = |recording: Recording| recording.finish(&mut cluster.borrow_mut(), &spec, title);
    let recorded = recording.map(finish).transpose()?;
    notes.extend(recorded.iter().map(|recorded| format!("{RECORDED} into {}", recorded.file.display())));
    Ok((Measured { load, before, after, logs, audit, cpu, events, notes, history }, recorded))
}

/// Runs the load, and the plan's outage beside it, and clients whose history is recorded.
async fn load_under_outage(
    plan: &Plan,
    cell: &Cell,
    spec: &LoadSpec,
    cluster: &Rc<RefCell<Cluster>>,
    history: &Rc<History>,
    notes: &mut Vec<String>,
) -> Result<(LoadResult, Seen)> {
    let Some(outage) = &plan.outage else {
        let progress = Progress::new(spec);
        let load = async {
            load::run(spec, &progress).await;
            Ok(())
        };
        return Ok((until_done_or_dead(load, spec, &progress, cluster, notes).await?, Seen::default()));
    };
    let honest = cell.faults.honest();
    let addresses = cluster.borrow().addresses().to_vec();
    let victim = match outage.kill {
        Some(Victim::InTurn | Victim::All) | None => None,
        Some(victim) => Some(driver::find(victim, &honest, &addresses).await?),
    };
    let progress = Progress::new(spec);
    victim.into_iter().for_each(|id| progress.spare(id, true));
    let load_ends = Duration::from_secs_f64(plan.requests as f64 / cell.rate_per_s().unwrap_or(1.0));
    let driver = Driver::new(outage, cell, load_ends, cluster, &progress, spec.seed);
    let both = async {
        let (_, driven) = tokio::join!(load::run(spec, &progress), driver.run());
        driven
    };
    let count = if outage.records_history(cell) { outage.history_clients } else { 0 };
    let clients = recorded::clients(count, &honest, &addresses, spec.seed);
    let load = until_done_or_dead(clients.beside(history, both), spec, &progress, cluster, notes).await?;
    Ok((load, driver.finish()))
}

/// Counters rest when they do not move for longer than a message travels.
fn settle_pause(cell: &Cell) -> Duration {
    Duration::from_millis(15) + 2 * Duration::from_micros(cell.link_delay_us)
}

/// Warm-up requests are sent like the others and forgotten. One undecided at
/// the start ends the warm-up: the rest would only cost time. Says whether the
/// last was decided.
async fn warm_up(plan: &Plan, load_spec: &LoadSpec) -> bool {
    let give_up_after = load_spec.give_up_after.min(1);
    let spec = LoadSpec { requests: plan.warmup, give_up_after, ..load_spec.clone() };
    let progress = Progress::new(&spec);
    load::run(&spec, &progress).await;
    let result = progress.finish("no answer");
    result.samples.last().is_none_or(|last| matches!(last.answer, Answer::Decided(_)))
}

pub(super) fn load_spec(
    plan: &Plan,
    cell: &Cell,
    cluster: &ClusterSpec,
    addresses: &[SocketAddr],
) -> LoadSpec {
    let honest = cell.faults.honest();
    let ids = match plan.gateway {
        Gateway::Auto | Gateway::Spread if honest.is_empty() => vec![0],
        // The clients of a node that dies would be lost with it: during an
        // outage the other nodes are asked.
        Gateway::Auto if plan.outage.is_some() => honest,
        // The commander of view 0 is node 0. Without any honest node, whoever
        // is asked, the experiment is about that.
        Gateway::Auto => vec![honest[0]],
        Gateway::Spread => honest,
        Gateway::Node(id) => vec![id],
    };
    let targets = match cluster.client_setup(addresses) {
        Some(setup) => Targets::Replicas(Box::new(setup)),
        None => Targets::Gateways {
            nodes: ids.into_iter().map(|id| (id, addresses[usize::from(id)])).collect(),
            connections: plan.connections,
        },
    };
    LoadSpec {
        targets,
        load: cell.load,
        max_in_flight: OPEN_LOOP_IN_FLIGHT,
        requests: plan.requests,
        app: cell.app,
        payload_bytes: cell.payload_bytes,
        fill_bytes: plan.outage.as_ref().map_or(0, |outage| outage.fill_mb * 1_000_000),
        seed: plan.seed,
        timeout: Duration::from_micros(plan.timeout_us()),
        // An outage is not given up: its end is what is waited for.
        give_up_after: if plan.outage.is_some() { 0 } else { plan.give_up_after },
    }
}

/// Runs a load; when a node dies that was not killed, what is unanswered is an error.
async fn until_done_or_dead(
    load: impl Future<Output = Result<()>>,
    spec: &LoadSpec,
    progress: &Progress,
    cluster: &RefCell<Cluster>,
    notes: &mut Vec<String>,
) -> Result<LoadResult> {
    let death = async {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let died = cluster.borrow_mut().died();
            if let Some(death) = died {
                return death;
            }
        }
    };
    let died = tokio::select! {
        done = load => {
            done?;
            None
        }
        death = death => Some(death),
    };
    let now_dead = || cluster.borrow_mut().died();
    let died = match died.or_else(now_dead) {
        None if progress.has_errors() => {
            // A connection breaks a moment before its process is gone.
            tokio::time::sleep(3 * WATCH_EVERY).await;
            now_dead()
        }
        died => died,
    };
    let Some(death) = died else {
        return Ok(progress.finish(""));
    };
    let mut result = progress.finish(&death);
    // The death must show in the counts even if no request was in flight.
    if result.samples.iter().all(|sample| !matches!(sample.answer, Answer::Error(_))) {
        let gateway = spec.targets.ids()[0];
        result.samples.push(Sample {
            gateway,
            intended_us: result.elapsed.as_micros() as u64,
            sent_us: None,
            response_us: None,
            answer: Answer::Error(death.clone()),
        });
    }
    notes.push(death);
    Ok(result)
}
