//! A message sequence chart for mscgen.

use super::sequence::{Chart, Fate, Party, Row, chart};
use super::{ExportError, Selection};
use crate::Trace;
use std::fmt::Write as _;

/// The part of a trace as a chart in the language of mscgen: `mscgen -T svg -i FILE`. An
/// arrow stands where its message leaves; the copies of a message are beside each other.
///
/// # Errors
///
/// If it would have too many arrows, or nothing in it.
pub fn msc(trace: &Trace, selection: &Selection) -> Result<String, ExportError> {
    let Chart { title, nodes, rows } = chart(trace, selection)?;
    let mut text =
        format!("# {title}\nmsc {{\n  hscale=\"{:.1}\";\n  clients", 1.0 + nodes.len() as f64 / 4.0);
    for (node, name) in nodes.iter().enumerate() {
        // Roles below the number.
        let name = quoted(&name.replace(", ", "\n"));
        put(&mut text, format_args!(", n{node} [label={name}]"));
    }
    text += ";\n";
    for arcs in rows.iter().map(arcs).filter(|arcs| !arcs.is_empty()) {
        put(&mut text, format_args!("  {};\n", arcs.join(", ")));
    }
    text += "}\n";
    Ok(text)
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("memory takes all that is written to it");
}

/// What stands side by side in a row.
fn arcs(row: &Row) -> Vec<String> {
    match row {
        Row::Arrows { from, label, to } => {
            let arc = |(place, (to, fate)): (usize, &(Party, Fate))| {
                let arrow = if *fate == Fate::Lost { "-x" } else { "->" };
                let label = match (place, fate) {
                    // Once for all copies.
                    (0, Fate::ArrivesTwice) => format!("{label} (twice)"),
                    (0, _) => label.clone(),
                    (_, Fate::ArrivesTwice) => "(twice)".into(),
                    _ => return format!("{} {arrow} {}", name(*from), name(*to)),
                };
                format!("{} {arrow} {} [label={}]", name(*from), name(*to), quoted(&label))
            };
            to.iter().enumerate().map(arc).collect()
        }
        Row::Note { at, text, is_fault } => {
            let at = name(*at);
            let colour = if *is_fault { ", textbgcolour=\"#ffd9d9\"" } else { "" };
            vec![format!("{at} box {at} [label={}{colour}]", quoted(text))]
        }
        Row::Everywhere(text) => vec![format!("--- [label={}]", quoted(text))],
    }
}

fn name(party: Party) -> String {
    match party {
        Party::Clients => "clients".into(),
        Party::Node(node) => format!("n{node}"),
    }
}

/// In the quotation marks of mscgen, whose only escapes are `\"` and `\n`: a backslash
/// cannot be written.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "/").replace('"', "\\\"").replace('\n', "\\n"))
}
