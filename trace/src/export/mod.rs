//! A trace, or part of it, in the forms of other programs: pure functions from a trace to
//! a text.
//!
//! | function | what reads its text |
//! | --- | --- |
//! | [`msc`] | mscgen: a message sequence chart |
//! | [`mermaid`] | Mermaid, also in Markdown on many sites: the same chart |
//! | [`svg`] | browsers: a space-time diagram, a lane for each node, arrows at their real times |
//! | [`chrome`] | Perfetto and `chrome://tracing`: trace events |
//! | [`summary`] | people |

mod chrome;
mod labels;
mod mermaid;
mod msc;
mod roles;
mod sequence;
mod summary;
mod svg;
mod tally;

pub use chrome::chrome;
pub use mermaid::mermaid;
pub use msc::msc;
pub use summary::summary;
pub use svg::svg;

use crate::{Line, Trace};
use std::collections::BTreeSet;
use std::ops::Range;

/// Which part of a trace is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What is about these slots, and what is about no slot between the first and the last
    /// of it. Everything if none.
    pub seq: Option<Range<u64>>,
    /// Only what happens at this time or later, in nanoseconds.
    pub from_ns: u64,
    /// Only what happens before this time.
    pub until_ns: Option<u64>,
}

/// Why there is no chart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Nobody could read it.
    #[error(
        "the chart would have {arrows} arrows, and one with more than {most} cannot be read; choose slots with --slots A..B or a time with --ms A..B: {extent}"
    )]
    TooMany {
        /// Copies of messages, requests and answers.
        arrows: usize,
        /// Most of them that a chart of this form may have.
        most: usize,
        /// What can be chosen from.
        extent: String,
    },
    /// There would be nothing in it.
    #[error(
        "nothing that is chosen is in the trace; choose other slots with --slots A..B or another time with --ms A..B: {0}"
    )]
    Nothing(String),
}

impl Selection {
    /// The chosen lines, without definitions.
    fn lines<'a>(&self, trace: &'a Trace) -> Result<Vec<&'a Line>, ExportError> {
        let timed = trace.lines.iter().filter(|line| {
            line.t().is_some_and(|t| t >= self.from_ns && self.until_ns.is_none_or(|until| t < until))
        });
        let lines = match &self.seq {
            None => timed.collect(),
            Some(slots) => about(slots, timed.collect(), trace),
        };
        if lines.is_empty() { Err(ExportError::Nothing(extent(trace))) } else { Ok(lines) }
    }

    /// The chosen lines, if they make at most so many arrows.
    fn lines_at_most<'a>(&self, trace: &'a Trace, most: usize) -> Result<Vec<&'a Line>, ExportError> {
        let lines = self.lines(trace)?;
        let arrows = lines.iter().map(|line| arrows(line)).sum();
        if arrows > most {
            return Err(ExportError::TooMany { arrows, most, extent: extent(trace) });
        }
        Ok(lines)
    }
}

fn arrows(line: &Line) -> usize {
    match line {
        Line::Message(message) => message.to.len(),
        Line::Request { .. } | Line::Answer { .. } => 1,
        _ => 0,
    }
}

/// Lines about these slots, and those about none between the first and the last of them.
/// A request is about the slot of its answer.
fn about<'a>(slots: &Range<u64>, lines: Vec<&'a Line>, trace: &Trace) -> Vec<&'a Line> {
    let answered: BTreeSet<u64> = trace
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Answer { request, seq, .. } if slots.contains(seq) => Some(*request),
            _ => None,
        })
        .collect();
    let is_about = |line: &Line| match line {
        Line::Request { request, .. } => answered.contains(request),
        _ => line.seq().is_some_and(|seq| slots.contains(&seq)),
    };
    let first = lines.iter().position(|line| is_about(line));
    let last = lines.iter().rposition(|line| is_about(line));
    let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
    let mut chosen = lines[first..=last].to_vec();
    chosen.retain(|line| {
        is_about(line)
            || line.seq().is_none() && !matches!(line, Line::Request { .. } | Line::TimedOut { .. })
    });
    chosen
}

/// What can be chosen from, in a sentence.
fn extent(trace: &Trace) -> String {
    let slots = || trace.lines.iter().filter_map(Line::seq);
    let time = format!("it lasts {}", labels::time(trace.end.t));
    match (slots().min(), slots().max()) {
        (Some(first), Some(last)) => format!("the trace has slots {first} to {last}, and {time}"),
        _ => format!("the trace has no slots, and {time}"),
    }
}
