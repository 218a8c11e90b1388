//! A message sequence chart for Mermaid.

use super::sequence::{Chart, Fate, Party, Row, chart};
use super::{ExportError, Selection};
use crate::Trace;
use std::fmt::Write as _;

/// The part of a trace as a `sequenceDiagram` of Mermaid. An arrow stands where its
/// message leaves.
///
/// # Errors
///
/// If it would have too many arrows, or nothing in it.
pub fn mermaid(trace: &Trace, selection: &Selection) -> Result<String, ExportError> {
    let Chart { title, nodes, rows } = chart(trace, selection)?;
    let mut text = format!("sequenceDiagram\n  title {}\n  actor clients\n", escaped(&title));
    let mut put = |line: String| writeln!(text, "  {line}").expect("memory takes all that is written to it");
    for (node, name) in nodes.iter().enumerate() {
        put(format!("participant n{node} as {}", escaped(name)));
    }
    for row in &rows {
        match row {
            Row::Arrows { from, label, to } => {
                for (to, fate) in to {
                    let (arrow, more) = match fate {
                        Fate::Arrives => ("->>", ""),
                        Fate::ArrivesTwice => ("->>", " (twice)"),
                        Fate::Lost => ("--x", " (lost)"),
                    };
                    put(format!("{}{arrow}{}: {}{more}", name(*from), name(*to), escaped(label)));
                }
            }
            Row::Note { at, text, is_fault } => {
                let sign = if *is_fault { "⚠ " } else { "" };
                put(format!("Note over {}: {sign}{}", name(*at), escaped(text)));
            }
            Row::Everywhere(text) => {
                put(format!("Note over clients,n{}: {}", nodes.len().saturating_sub(1), escaped(text)))
            }
        }
    }
    Ok(text)
}

fn name(party: Party) -> String {
    match party {
        Party::Clients => "clients".into(),
        Party::Node(node) => format!("n{node}"),
    }
}

/// Whatever could end a text, begin a comment or be taken for HTML or for a character
/// code is written as a character code.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        let is_safe = c.is_alphanumeric() || " .,-_()/+=…".contains(c);
        if is_safe {
            escaped.push(c);
        } else {
            write!(escaped, "#{};", u32::from(c)).expect("memory takes all that is written to it");
        }
    }
    escaped
}
