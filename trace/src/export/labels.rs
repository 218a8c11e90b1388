//! What is written at arrows and notes.

use crate::{Line, MarkRecord, Message, NodeChange, Trace};
use serde_json::Value;

/// Most characters of what a client asks or is answered.
const CONTENT_CHARS: usize = 60;

/// The digests of the values, by number.
pub(super) struct Labels<'a> {
    digests: Vec<&'a str>,
}

impl<'a> Labels<'a> {
    pub(super) fn of(trace: &'a Trace) -> Labels<'a> {
        let digests = trace.lines.iter().filter_map(|line| match line {
            Line::Value { digest, .. } => Some(digest.as_str()),
            _ => None,
        });
        Labels { digests: digests.collect() }
    }

    /// The first digits of a value's digest.
    pub(super) fn value(&self, value: u32) -> String {
        let digest = self.digests.get(value as usize).copied().unwrap_or_default();
        digest.chars().take(8).collect()
    }

    /// Such as `prepare v0 s1 024051af`: the kind, view, slot and value.
    pub(super) fn message(&self, message: &Message) -> String {
        let Message { kind, view, seq, value, .. } = message;
        let view = view.map(|view| format!(" v{view}")).unwrap_or_default();
        let seq = seq.map(|seq| format!(" s{seq}")).unwrap_or_default();
        let value = value.map(|value| format!(" {}", self.value(value))).unwrap_or_default();
        plain(&format!("{kind}{view}{seq}{value}"))
    }
}

/// What a replica did, if it belongs into a chart: how it decided and changed views, not
/// each step on the way.
pub(super) fn of_mark(mark: &MarkRecord) -> Option<String> {
    let text = match mark {
        MarkRecord::Committed { seq, path, .. } if path == "direct" => format!("decided slot {seq}"),
        MarkRecord::Committed { seq, path, .. } => format!("decided slot {seq}, {path}"),
        MarkRecord::StateAdopted { seq, .. } => format!("took over the state after slot {seq}"),
        MarkRecord::Diverged { seq } => format!("its state after slot {seq} is not the proven one"),
        MarkRecord::Recovered { .. } => "votes again".into(),
        MarkRecord::FellBack { seq, communication_node } => {
            format!("slot {seq} without communication node {communication_node}")
        }
        MarkRecord::Rotated { from, to } => format!("communication node {to} after {from}"),
        MarkRecord::LeftFor { view } => format!("leaves for view {view}"),
        MarkRecord::ViewBegan { view } => format!("begins view {view}"),
        MarkRecord::GenerationBegan { number, members } => {
            let members: Vec<String> = members.iter().map(u16::to_string).collect();
            format!("begins generation {number}: {}", members.join(" "))
        }
        MarkRecord::GenerationAdopted { number } => format!("took over the state of generation {number}"),
        _ => return None,
    };
    Some(plain(&text))
}

/// What was done to a node.
pub(super) fn change(change: &NodeChange) -> String {
    match change {
        NodeChange::Crashed => "crashes".into(),
        NodeChange::Restarted => "starts again without its memory".into(),
        NodeChange::Behaves { faults } if faults.is_empty() => "keeps the rules".into(),
        NodeChange::Behaves { faults } => plain(&format!("faulty: {}", faults.join(", "))),
    }
}

/// What a client asks or is answered, shortened: `Put key=a value=1`.
pub(super) fn content(value: &Value) -> String {
    let text = plain(&words(value));
    match text.char_indices().nth(CONTENT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// JSON without its punctuation.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Not known where it was recorded.
        Value::Null => "?".into(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match value {
                Value::Object(_) => format!("{name} {}", words(value)),
                _ => format!("{name}={}", words(value)),
            };
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Such as `0.300 ms`.
pub(super) fn time(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1000 % 1000)
}

/// One line, without characters that a terminal or a file format takes for a command.
pub(super) fn plain(text: &str) -> String {
    let is_hidden =
        |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}
