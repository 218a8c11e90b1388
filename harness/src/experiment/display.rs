//! What is shown while the cells of a plan run.

use std::time::Instant;

use anyhow::Result;

use super::cell::CellRun;
use crate::base::progress::ProgressLine;

/// Progress over cells: a bar where one can be drawn, a line for each cell elsewhere.
pub(super) struct Display {
    progress: ProgressLine,
    total: usize,
    done: usize,
    done_before: usize,
    started: Instant,
    current: String,
}

impl Display {
    pub(super) fn new(total: usize, done: usize) -> Result<Display> {
        let template = "{bar:30} {pos}/{len} {elapsed}, {eta} left  {wide_msg}";
        let progress = ProgressLine::new(total as u64, template)?;
        progress.begin_at(done as u64);
        let (started, current) = (Instant::now(), String::new());
        Ok(Display { progress, total, done, done_before: done, started, current })
    }

    pub(super) fn line(&self, text: &str) {
        self.progress.line(text);
    }

    pub(super) fn begin(&mut self, what: &str) {
        self.current = what.to_string();
        self.progress.describe(&self.current);
    }

    pub(super) fn end(&mut self, run: &CellRun) {
        self.done += 1;
        self.progress.advance(self.done as u64);
        let row = &run.rows.cell;
        if !self.progress.is_drawn() {
            let rate = self.started.elapsed().as_secs_f64() / (self.done - self.done_before) as f64;
            let left = rate * (self.total - self.done) as f64;
            self.line(&format!(
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

    pub(super) fn finish(&self) {
        self.progress.finish();
    }
}
