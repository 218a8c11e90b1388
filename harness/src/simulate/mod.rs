//! `harness simulate`: the same replicas in virtual time.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`args`] | the flags, and what they mean |
//! | [`costs`] | what work costs: measured here, or given |
//! | [`memory`] | how much a simulation needs |
//! | [`mod@run`] | one cell with one seed |
//! | [`rows`] | from such a run to the rows of the result files |
//! | [`mod@print`] | and to text |
//! | [`swarm`], [`flows`] | everything drawn from the seed, for many seeds |

pub mod args;
pub mod costs;
pub mod flows;
pub mod memory;
pub mod print;
pub mod rows;
pub mod run;
pub mod swarm;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::console::{say, warn};
use crate::machine::Machine;
use crate::report;
use crate::rows::RunId;
use crate::stop::{INTERRUPTED, Stop};
use crate::store::Store;
use args::{Resolved, SimulateArgs};
use run::Run;

/// Exit code: honest nodes disagreed with at most `f` faulty.
pub const UNSAFE: u8 = 1;
/// Exit code: a request was never decided, with at most `f` faulty and a network
/// that was healthy in the end.
pub const STUCK: u8 = 3;

/// Runs `harness simulate` and returns the exit code.
pub async fn run(args: SimulateArgs) -> Result<u8> {
    if let Some(schedule) = &args.schedule {
        return swarm::replay(schedule);
    }
    if args.swarm {
        let seeds = args.seeds.context("--swarm needs the seeds to draw from, such as --seeds 0..1000")?;
        return swarm::run(&args.protocol, seeds).await;
    }
    let out = args.out.clone();
    let resolved = args::resolve(args)?;
    memory::check(&resolved)?;
    let mut store = match &out {
        Some(dir) => Some(prepare(dir, &resolved)?),
        None => None,
    };
    let stop = Stop::listen()?;
    let code = all(&resolved, store.as_mut(), &stop).await?;
    if let Some(store) = store.filter(|store| store.finished() > 0) {
        report::build(store.dir()).context("cannot build the report")?;
        say(format_args!("Report: {}", store.dir().join("report.html").display()));
    }
    Ok(code)
}

fn prepare(dir: &Path, resolved: &Resolved) -> Result<Store> {
    let store = Store::create(dir, &resolved.plan)?;
    Machine::inspect().write(dir)?;
    let path = dir.join("network.toml");
    std::fs::write(&path, resolved.network.to_toml())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(store)
}

/// Every cell with every seed, one after the other.
async fn all(resolved: &Resolved, mut store: Option<&mut Store>, stop: &Stop) -> Result<u8> {
    let mut worst = 0;
    let several = resolved.seeds.end - resolved.seeds.start > 1;
    for (repetition, seed) in (0u32..).zip(resolved.seeds.clone()) {
        for (order, cell) in (0u32..).zip(resolved.cells(seed)?) {
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let run = one(run::Job::of(resolved, &cell, seed), stop).await?;
            if several {
                print::line(&cell, seed, &run);
            } else {
                print::whole(&cell, &run, resolved);
            }
            if run.interrupted {
                say(format_args!("Interrupted; this is what was done so far."));
                return Ok(INTERRUPTED);
            }
            if let Some(store) = store.as_deref_mut() {
                let id = RunId { repetition, order, started_unix_ms: started.as_millis() as u64 };
                store.append(&rows::rows(&cell, id, &run))?;
            }
            worst = worse(worst, verdict(&cell, &run));
        }
    }
    Ok(worst)
}

/// Plays on a thread of its own, so that Ctrl-C is heard.
pub(crate) async fn one(job: run::Job, stop: &Stop) -> Result<Run> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    let mut playing = tokio::task::spawn_blocking(move || run::play(job, &flag));
    let run = tokio::select! {
        run = &mut playing => run,
        () = stop.wait() => {
            stopped.store(true, Ordering::Relaxed);
            playing.await
        }
    };
    run.context("the simulation failed")
}

fn worse(one: u8, other: u8) -> u8 {
    match (one, other) {
        (UNSAFE, _) | (_, UNSAFE) => UNSAFE,
        _ => one.max(other),
    }
}

/// What a run says about the flow: only what happens with at most `f` faulty
/// nodes counts against it.
fn verdict(cell: &crate::plan::Cell, run: &Run) -> u8 {
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
            STUCK
        }
        _ => 0,
    }
}
