//! Everything that happens in a run, as a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flows::job::Job;
use flows::record::Recorded;
use trace::Trace;

use super::cell::Run;
use super::simulation::Simulation;
use crate::base::console::say;
use crate::cluster::recording;
use crate::plan::Cell;
use crate::plan::trace::TraceTo;
use crate::results::files::part_of_file_name;

/// The file of a run, which is one of many or the only one.
pub(super) fn file_of(file: &Path, cell: &Cell, seed: u64, simulation: &Simulation) -> PathBuf {
    let plan = &simulation.plan;
    let cells = plan.cells().map_or(1, |cells| cells.len());
    let seeds = simulation.seeds.end - simulation.seeds.start;
    let runs = cells.saturating_mul(usize::try_from(seeds).unwrap_or(usize::MAX));
    let to = TraceTo { file: file.to_owned(), limit_bytes: u64::MAX };
    to.file_of(&part_of_file_name(&cell.name), seed, runs)
}

/// Plays a run once more, and writes what happens.
pub(super) fn write(job: &Job, run: &Run, file: &Path) -> Result<()> {
    let title = format!("{} with {} nodes, seed {}", job.flow.as_str(), job.nodes, job.seed);
    let scenario = viewer::scenario::Scenario::of(job);
    let scenario = scenario.map(serde_json::to_value).transpose().context("a scenario is plain data")?;
    let recorded = Recorded { job, edits: &[], limit_us: u64::MAX, title, scenario };
    let trace = recorded.play();
    let is_whole = trace.header.notes.is_empty();
    ensure!(
        !is_whole || trace.end.digest == Some(run.digest.to_string()),
        "the run did something else when it was recorded; please report this with the command line"
    );
    save(&trace, file)
}

/// Writes a trace, and says where it is.
pub(super) fn save(trace: &Trace, file: &Path) -> Result<()> {
    recording::write(trace, file)?;
    trace.header.notes.iter().for_each(|note| say(format_args!("Note: {note}")));
    say(format_args!("Trace: {}; see it with: harness view {}", file.display(), file.display()));
    Ok(())
}
