//! How requests ended, and on which path decided ones were committed.

use super::{about, id};
use crate::report::figure::{Data, Figure};
use crate::report::format::{outcomes, percent};
use crate::report::material::Material;
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::Scale;
use crate::results::schema::SummaryRow;

/// The figure; `None` without a request.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let mut data = Data::new(&["cell", "protocol", "nodes", "fault", "part", "requests", "of"]);
    for row in material.rows.summary {
        for part in parts(row) {
            data.push(vec![
                row.cell.clone(),
                row.protocol.clone(),
                row.nodes.to_string(),
                row.fault.clone(),
                part.name.into(),
                part.count.to_string(),
                row.requests.to_string(),
            ]);
        }
    }
    if material.rows.summary.iter().all(|row| row.requests == 0) {
        return None;
    }
    let draw = |sheet: super::super::material::Sheet| {
        let groups = sheet.groups.iter().map(|(label, group)| Group {
            label: label.clone(),
            rows: group.rows.iter().map(|row| chart_row(row, &about(row, &sheet.title, label))).collect(),
        });
        let chart = RowChart {
            title: sheet.title.clone(),
            axis: Scale::linear(0.0, 100.0, 4),
            axis_title: "% of requests".into(),
            reference: None,
            values: 84.0,
            groups: groups.collect(),
        };
        chart.draw()
    };
    Some(Figure {
        id: id::OUTCOMES,
        title: "How requests ended, and by which path".into(),
        caption: "Decided requests are in the protocol’s colour: full for direct votes and for CCRO’s fast path, \
                  lighter for its two-phase path, lightest for the fallback to votes among all. Hatched: not \
                  decided in time (yellow) or in error (grey). Red: honest nodes disagreed. The figure at the \
                  right is the share that was decided."
            .into(),
        panels: material.sheets().into_iter().map(draw).collect(),
        omitted: 0,
        data,
    })
}

struct Part {
    name: &'static str,
    count: u64,
    class: &'static str,
}

/// The parts of a bar that are there, in the order in which they are drawn.
fn parts(row: &SummaryRow) -> Vec<Part> {
    let on_path = |path: &str| {
        let mut pairs = row.paths.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == path).and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
    };
    let paths = [("direct", "a"), ("fast", "a"), ("two-phase", "a two"), ("fallback", "a back")];
    let mut parts: Vec<Part> =
        paths.into_iter().map(|(name, class)| Part { name, count: on_path(name), class }).collect();
    let known: u64 = parts.iter().map(|part| part.count).sum();
    parts.extend([
        Part { name: "decided", count: row.decided.saturating_sub(known), class: "a back" },
        Part { name: "timeout", count: row.timeouts, class: "timeout" },
        Part { name: "error", count: row.errors, class: "error" },
        Part { name: "violation", count: row.violations, class: "violation" },
    ]);
    parts.retain(|part| part.count > 0);
    parts
}

fn chart_row(row: &SummaryRow, about: &str) -> Row {
    let requests = row.requests.max(1) as f64;
    let mut marks = Vec::new();
    let mut named = Vec::new();
    let mut below = 0.0;
    for part in parts(row) {
        let share = part.count as f64 / requests;
        let (from, to) = (below * 100.0, (below + share) * 100.0);
        marks.push(Mark::Bar { from, to, class: part.class, label: part.name });
        named.push(format!("{} {} ({})", part.name, part.count, percent(share)));
        below += share;
    }
    let value = match row.decided_share {
        Some(share) => percent(share),
        None => "no requests".into(),
    };
    let tip = match named.is_empty() {
        true => format!("{about}: {}", outcomes(row).join(", ")),
        false => format!("{about}: {} of {} requests", named.join(", "), row.requests),
    };
    Row { protocol: row.protocol.clone(), value, tip, marks }
}
