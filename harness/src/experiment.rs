//! Running a plan: all cells of all repetitions, with progress, into a folder.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::console::{say, warn};
use crate::limits;
use crate::machine::Machine;
use crate::measure::{CellRun, run_cell};
use crate::plan::{Cell, Plan};
use crate::protocols::Placement;
use crate::report;
use crate::stop::{INTERRUPTED, Stop};
use crate::store::Store;

/// Exit code of a run in which honest nodes disagreed, or an acknowledged request
/// was lost or doubled, with at most `f` faulty.
pub const UNSAFE: u8 = 1;
/// Exit code of a run in which nodes did not come back after an outage.
pub const NOT_LIVE: u8 = 3;

/// A plan that was checked, and the folder for it. Nothing has started yet.
#[derive(Debug)]
pub struct Experiment {
    plan: Plan,
    cells: Vec<Cell>,
    store: Store,
}

impl Experiment {
    /// Checks the plan against itself and the machine, and makes the folder.
    pub fn prepare(plan: Plan, dir: &Path, resume: bool) -> Result<Experiment> {
        if plan.placement == Placement::Simulated {
            bail!(
                "the plan was simulated, not measured; repeat it with the command in its machine.json, or \
                 measure it with placement = \"processes\""
            );
        }
        let cells = plan.cells()?;
        let descriptors = limits::raise_descriptor_limit();
        limits::check(&plan, &cells, descriptors)?;
        let store = if resume {
            Store::resume(dir, &plan)?
        } else {
            let store = Store::create(dir, &plan)?;
            Machine::inspect().write(dir)?;
            store
        };
        Ok(Experiment { plan, cells, store })
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
        let mut display = Display::new(total, self.store.finished());
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
        let code = self.report()?;
        if interrupted {
            say(format_args!(
                "Interrupted. {} of {total} runs are in {}; the same command with --out {} --resume goes on.",
                self.store.finished(),
                self.dir().display(),
                self.dir().display(),
            ));
            return Ok(INTERRUPTED);
        }
        Ok(code)
    }

    fn announcement(&self) -> String {
        let mut powerless: Vec<String> = self
            .cells
            .iter()
            .filter(|cell| cell.f() == 0)
            .map(|cell| format!("{} with {} nodes", cell.protocol, cell.nodes))
            .collect();
        powerless.sort();
        powerless.dedup();
        let warning = if powerless.is_empty() {
            String::new()
        } else {
            format!("\nTolerate no fault at all (f = 0): {}.", powerless.join(", "))
        };
        format!(
            "{}: {} cells x {} repetitions, {} requests each, into {}{warning}",
            self.plan.name,
            self.cells.len(),
            self.plan.repetitions,
            self.plan.requests,
            self.dir().display()
        )
    }

    async fn run_cells(&mut self, display: &mut Display) -> Result<()> {
        for repetition in 0..self.plan.repetitions {
            let order = self.plan.order(self.cells.len(), repetition);
            for (place, index) in (0u32..).zip(order) {
                let cell = &self.cells[index];
                if self.store.has(&cell.name, repetition) {
                    continue;
                }
                display.begin(&format!("{} #{repetition}", cell.name));
                let run = run_cell(&self.plan, cell, repetition, place).await;
                self.store.append(&run.rows)?;
                display.end(&run);
            }
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
        let cells = report::files::read_rows::<report::schema::CellRow>(self.dir())?;
        let mut code = 0;
        for row in &cells {
            if report::summary::faulty_count(&row.faulty) > row.f as usize {
                continue;
            }
            if row.note.contains(NOT_BACK) {
                warn(format_args!("{} #{}: {}", row.cell, row.repetition, row.note));
                code = if code == UNSAFE { UNSAFE } else { NOT_LIVE };
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

/// How the note of a cell begins to tell of disagreement.
pub const VIOLATION: &str = "VIOLATION";
/// How the note of a cell begins to tell of nodes that stayed behind although at
/// most `f` were faulty.
pub const NOT_BACK: &str = "NOT BACK";

/// Progress: a bar on a terminal, lines elsewhere.
struct Display {
    bar: ProgressBar,
    terminal: bool,
    total: usize,
    done: usize,
    done_before: usize,
    started: Instant,
    current: String,
}

impl Display {
    fn new(total: usize, done: usize) -> Display {
        let terminal = stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(total as u64) } else { ProgressBar::hidden() };
        // The template is a constant, so it is known to be valid.
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}, {eta} left  {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        let (started, current) = (Instant::now(), String::new());
        Display { bar, terminal, total, done, done_before: done, started, current }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            warn(format_args!("{text}"));
        }
    }

    fn begin(&mut self, what: &str) {
        self.current = what.to_string();
        self.bar.set_message(self.current.clone());
    }

    fn end(&mut self, run: &CellRun) {
        self.done += 1;
        self.bar.inc(1);
        let row = &run.rows.cell;
        if !self.terminal {
            let rate = self.started.elapsed().as_secs_f64() / (self.done - self.done_before) as f64;
            let left = rate * (self.total - self.done) as f64;
            warn(format_args!(
                "{:>4}/{} about {left:.0} s left  {}: {} of {} decided{}",
                self.done,
                self.total,
                self.current,
                row.decided,
                row.requests,
                if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) }
            ));
        } else if row.errors > 0 {
            self.line(&format!("{}: {} errors ({})", self.current, row.errors, row.note));
        }
        if let Some(first) = run.violations.first() {
            let within = if run.within_f { "WITHIN f" } else { "with more than f faulty nodes" };
            self.line(&format!("!!! SAFETY VIOLATION {within} in {}: {first}", self.current));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
