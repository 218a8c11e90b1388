//! What is shown while the cells of a plan run.

use std::io::{IsTerminal, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::cell::CellRun;
use crate::base::console::warn;

/// Progress: a bar on a terminal, lines elsewhere.
pub(super) struct Display {
    bar: ProgressBar,
    terminal: bool,
    total: usize,
    done: usize,
    done_before: usize,
    started: Instant,
    current: String,
}

impl Display {
    pub(super) fn new(total: usize, done: usize) -> Display {
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

    pub(super) fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            warn(format_args!("{text}"));
        }
    }

    pub(super) fn begin(&mut self, what: &str) {
        self.current = what.to_string();
        self.bar.set_message(self.current.clone());
    }

    pub(super) fn end(&mut self, run: &CellRun) {
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

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
