//! Running a plan: all cells of all repetitions, with progress, into a folder.

use std::path::Path;

use anyhow::{Context, Result, bail};
use journal::Durability;

use super::cell::{CellRun, run_cell};
use super::display::Display;
use super::journals::RunJournals;
use crate::base::console::{counted, say, warn};
use crate::base::exit::{INTERRUPTED, NOT_LIVE, NOT_MEASURED, NotMeasured, UNSAFE, graver};
use crate::base::stop::Stop;
use crate::cluster::limits;
use crate::cluster::recording::{Recorded, Recording};
use crate::plan::trace::TraceTo;
use crate::plan::{Cell, Placement, Plan};
use crate::report;
use crate::results::disk::Disk;
use crate::results::files::{part_of_file_name, read_rows};
use crate::results::machine::Machine;
use crate::results::schema::{CellRow, EventKind, NOT_BACK, NOT_JUDGED, VIOLATION};
use crate::results::store::{Resume, Store};
use crate::results::summary::faulty_count;

/// A plan that was checked, and the folder for it. Nothing has started yet.
#[derive(Debug)]
pub struct Experiment {
    plan: Plan,
    cells: Vec<Cell>,
    store: Store,
    failures: Vec<Failure>,
    trace: Option<TraceTo>,
}

/// A run that could not be measured. It has no rows, so `--resume` tries it again.
#[derive(Debug)]
struct Failure {
    run: String,
    why: String,
}

/// After so many runs in a row that could not be measured, the others are not tried:
/// they would fail for the same reason.
const GIVE_UP_AFTER: usize = 3;

impl Experiment {
    /// Checks the plan against itself and the machine, and makes the folder.
    pub fn prepare(plan: Plan, dir: &Path, resume: bool, trace: Option<TraceTo>) -> Result<Experiment> {
        if plan.placement == Placement::Simulated {
            bail!(
                "the plan was simulated, not measured; repeat it with the command in its machine.json, or \
                 measure it with placement = \"processes\""
            );
        }
        let cells = plan.cells()?;
        let descriptors = limits::raise_descriptor_limit();
        limits::check(&plan, &cells, descriptors)?;
        // Found out before anything runs.
        trace.as_ref().map(|to| Recording::begin(&to.file, to.limit_bytes)).transpose()?;
        let store = if resume {
            Store::resume(dir, |begun_with| plan.check_same(begun_with))?
        } else {
            let store = Store::create(dir, &plan.to_toml()?, plan.outage.is_some(), Resume::Possible)?;
            Machine::inspect().write(dir)?;
            store
        };
        Ok(Experiment { plan, cells, store, failures: Vec::new(), trace })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs what is not finished yet, then builds the report. Returns the exit
    /// code.
    pub async fn run(mut self, stop: &Stop) -> Result<u8> {
        let total = self.cells.len() * self.plan.repetitions as usize;
        let mut display = Display::new(total, self.store.finished())?;
        display.line(&self.announcement());
        let result = tokio::select! {
            result = self.run_cells(&mut display) => Some(result),
            () = stop.wait() => None,
        };
        display.finish();
        let interrupted = match result {
            Some(Ok(())) => false,
            Some(Err(error)) => {
                self.store.drop_unfinished()?;
                return Err(error);
            }
            None => true,
        };
        self.store.drop_unfinished()?;
        let code = self.report();
        if interrupted {
            // How to go on is said even where the report cannot be built.
            say(format_args!(
                "Interrupted. {} of {total} runs are in {}; the same command with --out {} --resume goes on.",
                self.store.finished(),
                self.dir().display(),
                self.dir().display(),
            ));
            return code.map(|_| INTERRUPTED);
        }
        let not_measured = self.tell_failures(total);
        Ok(graver(code?, not_measured))
    }

    /// Says what could not be measured, and how to go on. Returns the exit code.
    fn tell_failures(&self, total: usize) -> u8 {
        if self.failures.is_empty() {
            return 0;
        }
        for failure in &self.failures {
            warn(format_args!("NOT MEASURED: {} {}", failure.run, failure.why));
        }
        let dir = self.dir().display();
        warn(format_args!(
            "{} of {total} runs are in {dir}; the others could not be measured or were not tried. They are no \
             results: remove the cause, and the same command with --out {dir} --resume goes on.",
            self.store.finished(),
        ));
        NOT_MEASURED
    }

    fn announcement(&self) -> String {
        let mut powerless: Vec<String> = self
            .cells
            .iter()
            .filter(|cell| cell.f() == 0)
            .map(|cell| format!("{} with {}", cell.protocol, counted(cell.nodes.into(), "node")))
            .collect();
        powerless.sort();
        powerless.dedup();
        let warning = if powerless.is_empty() {
            String::new()
        } else {
            format!("\nTolerate no fault at all (f = 0): {}.", powerless.join(", "))
        };
        let nothing_left =
            if self.has_all() { "\nAll runs are there already; the report is built again." } else { "" };
        format!(
            "{}: {} x {}, {} each, into {}{warning}{nothing_left}",
            self.plan.name,
            counted(self.cells.len() as u64, "cell"),
            counted(self.plan.repetitions.into(), "repetition"),
            counted(self.plan.requests, "request"),
            self.dir().display()
        )
    }

    /// Runs the cells, and measures before and after them what syncing costs, if nodes do it.
    async fn run_cells(&mut self, display: &mut Display) -> Result<()> {
        if self.has_all() {
            return Ok(());
        }
        self.measure_disk(display)?;
        self.run_unfinished(display).await?;
        self.measure_disk(display)
    }

    fn has_all(&self) -> bool {
        let repetitions = 0..self.plan.repetitions;
        self.cells.iter().all(|cell| repetitions.clone().all(|number| self.store.has(&cell.name, number)))
    }

    fn measure_disk(&self, display: &mut Display) -> Result<()> {
        if !self.plan.durability.contains(&Durability::Fsync) {
            return Ok(());
        }
        let disk = Disk::measure(self.dir()).context(NotMeasured)?;
        if let (Some(warning), [_]) = (disk.warning(), disk.measurements.as_slice()) {
            display.line(warning);
        }
        Ok(())
    }

    async fn run_unfinished(&mut self, display: &mut Display) -> Result<()> {
        let mut failed_in_a_row = 0;
        for repetition in 0..self.plan.repetitions {
            let order = self.plan.order(self.cells.len(), repetition);
            for (place, index) in (0u32..).zip(order) {
                let cell = &self.cells[index];
                if self.store.has(&cell.name, repetition) {
                    continue;
                }
                display.begin(&format!("{} #{repetition}", cell.name));
                match self.run_one(cell, repetition, place).await {
                    Ok(run) => {
                        failed_in_a_row = 0;
                        self.keep_history(&run, display).context(NotMeasured)?;
                        display_restarts(&run, display);
                        let sentences = run.recorded.iter().flat_map(Recorded::sentences);
                        sentences.for_each(|sentence| display.line(&sentence));
                        self.store.append(&run.rows).context(NotMeasured)?;
                        display.end(&run);
                    }
                    Err(error) => {
                        failed_in_a_row += 1;
                        let (run, why) = (format!("{} #{repetition}", cell.name), format!("{error:#}"));
                        display.line(&format!("{run} {why}"));
                        self.failures.push(Failure { run, why });
                        if failed_in_a_row >= GIVE_UP_AFTER {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn run_one(&self, cell: &Cell, repetition: u32, place: u32) -> Result<CellRun> {
        let journals = RunJournals::begin(self.dir(), cell, repetition).context(NotMeasured)?;
        run_cell(&self.plan, cell, repetition, place, self.trace_of(cell, repetition), journals).await
    }

    /// Where a run is recorded.
    fn trace_of(&self, cell: &Cell, repetition: u32) -> Option<TraceTo> {
        let trace = self.trace.as_ref()?;
        let runs = self.cells.len() * self.plan.repetitions as usize;
        Some(TraceTo {
            file: trace.file_of(&part_of_file_name(&cell.name), u64::from(repetition), runs),
            ..trace.clone()
        })
    }

    /// Writes a run's history into the folder, and says what came of judging it.
    fn keep_history(&self, run: &CellRun, display: &mut Display) -> Result<()> {
        let Some(history) = &run.history else { return Ok(()) };
        let cell = &run.rows.cell;
        let path = history.save(self.dir(), &cell.cell, cell.repetition)?;
        display.line(&format!("{} #{}: {}", cell.cell, cell.repetition, history.judgement));
        for violation in &history.judgement.violations {
            display.line(&format!("{violation}"));
        }
        if !history.judgement.holds() {
            display.line(&format!("The whole history: harness history {}", path.display()));
        }
        Ok(())
    }

    /// Builds and prints the report. Returns the exit code: whether safety, or
    /// liveness after an outage, was lost although at most `f` nodes were faulty.
    fn report(&self) -> Result<u8> {
        if self.store.finished() == 0 {
            return Ok(0);
        }
        let built = report::build(self.dir()).context("cannot build the report")?;
        say(report::table::render(&built));
        say(format_args!("Report: {}", self.dir().join("report.html").display()));
        let cells = read_rows::<CellRow>(self.dir())?;
        let mut code = 0;
        for row in &cells {
            if faulty_count(&row.faulty) > row.f as usize {
                continue;
            }
            if row.note.contains(NOT_BACK) {
                warn(format_args!("{} #{}: {}", row.cell, row.repetition, row.note));
                code = graver(code, NOT_LIVE);
            }
            if row.note.contains(NOT_JUDGED) {
                warn(format_args!("{} #{}: {}", row.cell, row.repetition, row.note));
                code = graver(code, NOT_MEASURED);
            }
            if !row.note.contains(VIOLATION) && row.violations == 0 {
                continue;
            }
            code = UNSAFE;
            warn(format_args!(
                "SAFETY VIOLATED with at most f = {} faulty nodes: {} #{}: {}",
                row.f, row.cell, row.repetition, row.note
            ));
        }
        Ok(code)
    }
}

/// Says how soon answers came again after all nodes had been killed and were started again.
fn display_restarts(run: &CellRun, display: &mut Display) {
    let restarts = run.rows.events.iter().filter(|event| event.event == EventKind::RestartAll);
    let answered: Vec<String> = restarts
        .map(|event| match event.service_after_us {
            Some(us) => format!("{} ms", us / 1000),
            None => "never".to_owned(),
        })
        .collect();
    if !answered.is_empty() {
        let (cell, number) = (&run.rows.cell, answered.len());
        display.line(&format!(
            "{} #{}: all nodes were killed at once and started again, {number} times; the first answer came after {}",
            cell.cell,
            cell.repetition,
            answered.join(", ")
        ));
    }
}
