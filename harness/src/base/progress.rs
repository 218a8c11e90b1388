//! How far long work is: a bar where one can be drawn, lines elsewhere.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::console::warn;

/// Between two lines, where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one piece of work. Where no bar can be drawn (the standard error
/// is no terminal, or one with `TERM=dumb`), nothing is lost but the bar.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
    last_line: Instant,
}

impl ProgressLine {
    /// For `total` steps, drawn by a template of `indicatif`.
    pub fn new(total: u64, template: &str) -> Result<ProgressLine> {
        let bar = ProgressBar::new(total);
        bar.set_style(ProgressStyle::with_template(template)?);
        Ok(ProgressLine { bar, last_line: Instant::now() })
    }

    /// Begins with so many steps done before; they say nothing about the speed.
    pub fn begin_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Whether a bar is drawn.
    pub fn is_drawn(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// So many steps are done.
    pub fn advance(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// So many steps of `what` are done; without a bar, a line says so from time to
    /// time.
    pub fn tell(&mut self, done: u64, what: &str) {
        self.advance(done);
        if !self.is_drawn() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            warn(format_args!("{what}: {done} of {}", self.bar.length().unwrap_or(done)));
        }
    }

    /// What is shown behind the bar.
    pub fn describe(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Prints a line to the standard error, whether or not a bar is drawn.
    pub fn line(&self, text: impl Display) {
        self.bar.suspend(|| warn(text));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
