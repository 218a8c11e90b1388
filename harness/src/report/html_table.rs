//! The tables of the page: every cell with the value that it is sorted by.

use serde::Serialize;

use super::format::{NONE, digits, duration, optional, outcomes, per_decision, percent, ratio};
use super::outages::OutageSummary;
use super::style::{class_of, name_of};
use super::words::fault_words;
use crate::results::schema::{CellRow, PredictionRow, SummaryRow};

/// A table.
#[derive(Serialize, Debug, Default)]
pub(super) struct Table {
    header: Vec<Head>,
    rows: Vec<Line>,
}

#[derive(Serialize, Debug)]
struct Head {
    text: &'static str,
    left: bool,
}

#[derive(Serialize, Debug)]
struct Line {
    class: String,
    cells: Vec<Cell>,
}

#[derive(Serialize, Debug, Default)]
struct Cell {
    text: String,
    class: &'static str,
    /// What it is sorted by; by its text without one, last if empty.
    sort: Option<String>,
    /// The class of a protocol's colour.
    key: Option<&'static str>,
    small: Vec<String>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), class: "l", ..Cell::default() }
    }

    fn number(text: String, value: Option<f64>) -> Cell {
        let sort = value.map_or_else(String::new, |value| value.to_string());
        Cell { text, sort: Some(sort), ..Cell::default() }
    }

    fn protocol(protocol: &str) -> Cell {
        Cell { key: Some(class_of(protocol)), ..Cell::text(name_of(protocol)) }
    }

    fn duration(us: Option<f64>) -> Cell {
        Cell::number(duration(us), us)
    }

    fn count(value: u64) -> Cell {
        Cell::number(value.to_string(), Some(value as f64))
    }

    fn with(mut self, small: impl IntoIterator<Item = String>) -> Cell {
        self.small.extend(small.into_iter().filter(|line| !line.is_empty()));
        self
    }
}

fn header(titles: &[&'static str], left: &[&str]) -> Vec<Head> {
    titles.iter().map(|text| Head { text, left: left.contains(text) }).collect()
}

/// All cells. `variants` says what sets the load of each apart, `doubts` what is
/// doubtful about it.
pub(super) fn summary(
    rows: &[SummaryRow],
    variants: &[String],
    doubts: &dyn Fn(&str) -> Vec<String>,
) -> Table {
    let titles = [
        "protocol",
        "n (f)",
        "faults",
        "outcomes",
        "p50 (95 %)",
        "p99 (95 %)",
        "decided per s",
        "messages per decision",
        "CPU per decision",
        "p50 ÷ PBFT (95 %)",
        "p50 ÷ floor",
        "path",
    ];
    let mut before: Option<(&SummaryRow, &String)> = None;
    let mut lines = Vec::new();
    for (row, variant) in rows.iter().zip(variants) {
        let alike = before
            .is_some_and(|(last, its)| last.nodes == row.nodes && last.fault == row.fault && its == variant);
        let mut class = if row.violations > 0 { "bad".to_string() } else { String::new() };
        if !alike {
            class += " first";
        }
        before = Some((row, variant));
        let cells = summary_cells(row, variant, doubts(&row.cell));
        lines.push(Line { class: class.trim().into(), cells });
    }
    Table { header: header(&titles, &["protocol", "faults", "outcomes", "path"]), rows: lines }
}

fn summary_cells(row: &SummaryRow, variant: &str, doubts: Vec<String>) -> Vec<Cell> {
    let us = |value: Option<u64>| Cell::duration(value.map(|us| us as f64));
    let ends = |low: Option<u64>, high: Option<u64>| match (low, high) {
        (Some(low), Some(high)) => {
            vec![format!("{} to {}", duration(Some(low as f64)), duration(Some(high as f64)))]
        }
        _ => vec![],
    };
    let faulty = if row.faulty.is_empty() { String::new() } else { format!("nodes {}", row.faulty) };
    let given = if row.fault == "none" { String::new() } else { row.fault.clone() };
    let mut shown = outcomes(row);
    let first = if shown.is_empty() { String::new() } else { shown.remove(0) };
    let runs = format!("{} requests, {} repetitions", row.requests, row.repetitions);
    vec![
        Cell::protocol(&row.protocol),
        Cell::number(format!("{} ({})", row.nodes, row.f), Some(f64::from(row.nodes))),
        Cell { class: "l wrap", ..Cell::text(fault_words(&row.fault, row.nodes)) }
            .with([given, faulty, variant.to_string()])
            .with(doubts.into_iter().map(|doubt| format!("⚠ {doubt}"))),
        Cell::text(first).with(shown).with([runs]),
        us(row.p50_us).with(ends(row.p50_low_us, row.p50_high_us)),
        us(row.p99_us).with(ends(row.p99_low_us, row.p99_high_us)),
        Cell::number(optional(row.throughput_per_s), row.throughput_per_s),
        Cell::number(
            row.messages_per_decision.map_or_else(|| NONE.into(), per_decision),
            row.messages_per_decision,
        ),
        Cell::duration(row.cpu_us_per_decision),
        Cell::number(ratio(row), row.ratio_to_pbft),
        Cell::number(optional(row.ratio_to_floor), row.ratio_to_floor),
        Cell::text("").with(row.paths.split(';').map(|pair| pair.replace('=', " "))),
    ]
}

/// Kills, restarts and cuts.
pub(super) fn outages(outages: &[OutageSummary]) -> Option<Table> {
    let line = |outage: &OutageSummary| {
        let mut cells: Vec<Cell> =
            outage.fields().into_iter().map(|text| Cell { text, ..Cell::default() }).collect();
        cells.iter_mut().take(2).for_each(|cell| cell.class = "l");
        Line { class: String::new(), cells }
    };
    (!outages.is_empty()).then(|| Table {
        header: header(&super::outages::HEADER, &["cell", "event"]),
        rows: outages.iter().map(line).collect(),
    })
}

/// The state of the machine during each cell.
pub(super) fn conditions(rows: &[CellRow]) -> Option<Table> {
    let titles = [
        "cell",
        "repetition",
        "order",
        "measured",
        "placement",
        "idle",
        "foreign CPU",
        "load generator CPU",
        "nodes CPU",
        "note",
    ];
    let share = |share: Option<f64>| Cell::number(share.map_or_else(|| NONE.into(), percent), share);
    let line = |row: &CellRow| {
        let first = row.note.lines().next().unwrap_or_default();
        let cells = vec![
            Cell::text(&row.cell),
            Cell::count(row.repetition.into()),
            Cell::count(row.order.into()),
            Cell::duration(Some(row.measured_s * 1e6)),
            Cell::text(&row.placement),
            share(row.idle_share),
            share(row.foreign_cpu_share),
            Cell::duration(row.load_cpu_us.map(|us| us as f64)),
            Cell::duration(row.nodes_cpu_us.map(|us| us as f64)),
            Cell { class: "l wrap", ..Cell::text(first) },
        ];
        Line { class: String::new(), cells }
    };
    (!rows.is_empty()).then(|| Table {
        header: header(&titles, &["cell", "placement", "note"]),
        rows: rows.iter().map(line).collect(),
    })
}

/// Predicted and measured.
pub(super) fn predictions(rows: &[PredictionRow]) -> Table {
    let titles = [
        "protocol",
        "n",
        "measured p50",
        "predicted p50",
        "predicted ÷ measured",
        "within 30 %",
        "CPU measured",
        "CPU predicted",
        "idle measured",
        "idle predicted",
        "foreign CPU",
    ];
    let us = |value: Option<u64>| Cell::duration(value.map(|us| us as f64));
    let share = |share: Option<f64>| Cell::number(share.map_or_else(|| NONE.into(), percent), share);
    let line = |row: &PredictionRow| {
        let cells = vec![
            Cell::protocol(&row.protocol),
            Cell::count(row.nodes.into()),
            us(row.measured_p50_us).with([format!("{} of {} requests", row.decided, row.requests)]),
            us(row.predicted_p50_us),
            Cell::number(row.ratio.map_or_else(|| NONE.into(), digits), row.ratio),
            Cell::text(if row.within_30_percent { "yes" } else { "no" }),
            Cell::duration(row.measured_cpu_us),
            Cell::duration(row.predicted_cpu_us),
            share(row.measured_idle_share),
            share(row.predicted_idle_share),
            share(row.foreign_cpu_share),
        ];
        Line { class: String::new(), cells }
    };
    Table { header: header(&titles, &["protocol", "within 30 %"]), rows: rows.iter().map(line).collect() }
}
