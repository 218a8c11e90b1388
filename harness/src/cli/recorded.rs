//! Flags of `trace`.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trace::export::Selection;

/// Flags of `trace`.
#[derive(Clone, Debug, Args)]
pub struct RecordedArgs {
    /// A recorded run, or a folder with the journals of nodes
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to make of it
    #[arg(long = "as", value_name = "FORM", default_value = "summary")]
    pub form: Form,
    /// Only these slots, and what is about no slot meanwhile; the end is not part of it
    #[arg(long, value_name = "A..B", value_parser = parse_slots)]
    pub slots: Option<Range<u64>>,
    /// Only what happens in these milliseconds of the run
    #[arg(long, value_name = "A..B", value_parser = parse_ms)]
    pub ms: Option<Range<u64>>,
    /// Where it goes [default: printed]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What can be made of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people: what is in it
    Summary,
    /// A message sequence chart for mscgen
    Msc,
    /// A message sequence chart for Mermaid
    Mermaid,
    /// A space-time diagram
    Svg,
    /// Trace events for Perfetto and chrome://tracing
    Chrome,
}

impl RecordedArgs {
    /// The part of the trace that they ask for.
    pub fn selection(&self) -> Selection {
        let ms = self.ms.as_ref();
        Selection {
            seq: self.slots.clone(),
            from_ns: ms.map_or(0, |ms| ms.start),
            until_ns: ms.map(|ms| ms.end),
        }
    }
}

fn parse_slots(text: &str) -> Result<Range<u64>, String> {
    range(text, "a first slot and one behind the last, such as 1..4", |part| part.parse().ok())
}

/// In nanoseconds.
fn parse_ms(text: &str) -> Result<Range<u64>, String> {
    range(text, "the first millisecond and the end, such as 0.5..20", |part| {
        let ms: f64 = part.parse().ok()?;
        (ms.is_finite() && ms >= 0.0).then_some((ms * 1e6).round() as u64)
    })
}

fn range(text: &str, form: &str, number: impl Fn(&str) -> Option<u64>) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some((number(from.trim())?, number(to.trim())?)));
    let (from, to) = parts.ok_or_else(|| format!("{text:?} is no range; give {form}"))?;
    if from >= to {
        return Err(format!("the range {text} is empty; give {form}"));
    }
    Ok(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_a_beginning_and_a_later_end() {
        assert_eq!(parse_slots("1..4"), Ok(1..4));
        assert_eq!(parse_ms("0.5..20"), Ok(500_000..20_000_000));
        for (bad, said) in
            [("4", "is no range"), ("a..4", "is no range"), ("4..4", "is empty"), ("-1..4", "is no range")]
        {
            for message in [parse_slots(bad).unwrap_err(), parse_ms(bad).unwrap_err()] {
                assert!(message.contains(said) && message.contains("such as"), "{message}");
            }
        }
        assert!(parse_ms("0..inf").is_err() && parse_ms("NaN..4").is_err());
    }
}
