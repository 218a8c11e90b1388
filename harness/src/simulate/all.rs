//! Every cell with every seed.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use flows::job::Job;
use tokio::task::JoinHandle;

use super::cell::{self, Run};
use super::simulation::Simulation;
use super::{memory, print, rows, trace};
use crate::base::console::{say, warn};
use crate::base::exit::{INTERRUPTED, NOT_LIVE, NotMeasured, UNSAFE};
use crate::base::stop::Stop;
use crate::experiment::rows::RunId;
use crate::plan::Cell;
use crate::report;
use crate::results::machine::Machine;
use crate::results::store::{Resume, Store};

/// Plays all cells with all seeds, prints what came of them, and fills the folder
/// `out`. Returns the exit code.
pub async fn run(simulation: &Simulation, out: Option<&Path>) -> Result<u8> {
    memory::check(simulation)?;
    let mut store = match out {
        Some(dir) => Some(prepare(dir, simulation)?),
        None => None,
    };
    let stop = Stop::listen()?;
    let code = all(simulation, store.as_mut(), &stop).await?;
    if let Some(store) = store.filter(|store| store.finished() > 0) {
        let built = report::build(store.dir()).context("cannot build the report")?;
        built.warning_lines().iter().for_each(|warning| warn(format_args!("WARNING: {warning}")));
        say(format_args!("Report: {}", store.dir().join("report.html").display()));
    }
    Ok(code)
}

fn prepare(dir: &Path, simulation: &Simulation) -> Result<Store> {
    let store = Store::create(dir, &simulation.plan.to_toml()?, false, Resume::Impossible)?;
    Machine::inspect().write(dir)?;
    let path = dir.join("network.toml");
    std::fs::write(&path, simulation.network.to_toml())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(store)
}

/// A cell with a seed.
struct Numbered {
    repetition: u32,
    order: u32,
    seed: u64,
    cell: Cell,
}

fn numbered(simulation: &Simulation) -> impl Iterator<Item = Result<Numbered>> {
    (0u32..).zip(simulation.seeds.clone()).flat_map(|(repetition, seed)| match simulation.cells(seed) {
        Ok(cells) => {
            (0u32..).zip(cells).map(|(order, cell)| Ok(Numbered { repetition, order, seed, cell })).collect()
        }
        Err(error) => vec![Err(error)],
    })
}

/// Every cell with every seed. Several are played at once, and told in their order.
async fn all(simulation: &Simulation, store: Option<&mut Store>, stop: &Stop) -> Result<u8> {
    let stopped = Arc::new(AtomicBool::new(false));
    let code = in_order(simulation, store, stop, &stopped).await;
    // Those that nobody waits for any more end soon.
    stopped.store(true, Ordering::Relaxed);
    code
}

async fn in_order(
    simulation: &Simulation,
    mut store: Option<&mut Store>,
    stop: &Stop,
    stopped: &Arc<AtomicBool>,
) -> Result<u8> {
    let several = simulation.seeds.end - simulation.seeds.start > 1;
    let at_once = memory::at_once(simulation)?;
    let (mut upcoming, mut playing) = (numbered(simulation), VecDeque::new());
    let mut worst = 0;
    loop {
        while playing.len() < at_once
            && let Some(next) = upcoming.next().transpose()?
        {
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let job = cell::job_of(simulation, &next.cell, next.seed);
            playing.push_back((next, job.clone(), started, begin(job, stopped)));
        }
        let Some((Numbered { repetition, order, seed, cell }, job, started, run)) = playing.pop_front()
        else {
            return Ok(worst);
        };
        let run = end(run, stopped, stop).await?;
        if several {
            print::line(&cell, seed, &run);
        } else {
            print::whole(&cell, &run, simulation);
        }
        if run.interrupted {
            say(format_args!("Interrupted; this is what was done so far."));
            return Ok(INTERRUPTED);
        }
        if let Some(store) = store.as_deref_mut() {
            let id = RunId { repetition, order, started_unix_ms: started.as_millis() as u64 };
            store.append(&rows::rows(&cell, id, &run)).context(NotMeasured)?;
        }
        if let Some(file) = &simulation.trace {
            trace::write(&job, &run, &trace::file_of(file, &cell, seed, simulation))?;
        }
        worst = worse(worst, verdict(&cell, &run));
    }
}

/// Plays a job. Ctrl-C is noticed.
pub(crate) async fn one(job: Job, stop: &Stop) -> Result<Run> {
    let stopped = Arc::new(AtomicBool::new(false));
    end(begin(job, &stopped), &stopped, stop).await
}

/// Plays on a thread of its own.
fn begin(job: Job, stopped: &Arc<AtomicBool>) -> JoinHandle<Run> {
    let stopped = Arc::clone(stopped);
    tokio::task::spawn_blocking(move || cell::play(&job, &stopped))
}

async fn end(mut playing: JoinHandle<Run>, stopped: &AtomicBool, stop: &Stop) -> Result<Run> {
    let run = tokio::select! {
        run = &mut playing => run,
        () = stop.wait() => {
            stopped.store(true, Ordering::Relaxed);
            playing.await
        }
    };
    run.context("the simulation failed").context(NotMeasured)
}

fn worse(one: u8, other: u8) -> u8 {
    match (one, other) {
        (UNSAFE, _) | (_, UNSAFE) => UNSAFE,
        _ => one.max(other),
    }
}

/// What a run says about the flow: only what happens with at most `f` faulty
/// nodes counts against it.
fn verdict(cell: &Cell, run: &Run) -> u8 {
    let within_f = cell.faults.faulty().len() <= cell.f();
    let undecided = run.undecided();
    match (&run.breach, within_f) {
        (Some(breach), true) => {
            warn(format_args!("SAFETY VIOLATED with at most f = {} faulty nodes: {breach}", cell.f()));
            UNSAFE
        }
        (Some(breach), false) => {
            warn(format_args!("Safety violated, with more than f = {} faulty nodes: {breach}", cell.f()));
            0
        }
        (None, true) if undecided > 0 && run.healthy_at_end => {
            warn(format_args!(
                "LIVENESS VIOLATED: {undecided} requests were never decided, with at most f = {} faulty nodes \
                 and a network that was healthy in the end",
                cell.f()
            ));
            NOT_LIVE
        }
        _ => 0,
    }
}
