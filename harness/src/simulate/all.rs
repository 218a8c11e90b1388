//! Every cell with every seed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use flows::job::Job;

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

/// Every cell with every seed, one after the other.
async fn all(simulation: &Simulation, mut store: Option<&mut Store>, stop: &Stop) -> Result<u8> {
    let mut worst = 0;
    let several = simulation.seeds.end - simulation.seeds.start > 1;
    for (repetition, seed) in (0u32..).zip(simulation.seeds.clone()) {
        for (order, cell) in (0u32..).zip(simulation.cells(seed)?) {
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let job = cell::job_of(simulation, &cell, seed);
            let run = one(job.clone(), stop).await?;
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
    Ok(worst)
}

/// Plays on a thread of its own, so that Ctrl-C is noticed.
pub(crate) async fn one(job: Job, stop: &Stop) -> Result<Run> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    let mut playing = tokio::task::spawn_blocking(move || cell::play(&job, &flag));
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
