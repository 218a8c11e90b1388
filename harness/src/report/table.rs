//! The summary for the terminal.

use comfy_table::{CellAlignment, Row, Table, presets};

use super::Report;
use super::findings::Weight;
use super::format::{NONE, digits, duration, optional, outcomes, per_decision, ratio};
use super::outages;
use super::style::{given_up, is_marked};
use super::words::wrap;
use crate::results::schema::SummaryRow;
use crate::results::summary::PAPER_WARNING;

/// Characters in a line of a finding.
const WIDTH: usize = 110;

const HEADER: [&str; 10] = [
    "nodes, faults",
    "protocol",
    "outcome",
    "p50",
    "p99",
    "req/s",
    "msgs/dec",
    "CPU/dec",
    "p50 ÷ PBFT [95 %]",
    "÷ floor",
];

/// The summary as a table, rows of the same setting together, followed by what
/// its reader has to know: warnings, notes and violations.
pub fn render(report: &Report) -> String {
    let found = found(report);
    if report.summary.is_empty() && !report.findings.is_empty() {
        return found;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(HEADER);
    let labels: Vec<Vec<String>> =
        report.summary.iter().zip(&report.variants).map(|(row, v)| label_of(row, v)).collect();
    let mut start = 0;
    for end in 1..=labels.len() {
        if end < labels.len() && labels[end] == labels[start] {
            continue;
        }
        if start > 0 {
            table.add_row([""; HEADER.len()]);
        }
        add_group(&mut table, &labels[start], &report.summary[start..end]);
        start = end;
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{found}{table}\n{}{}", outages::render(&report.outages), remarks(report))
}

/// The findings that the terminal has room for, a line or two each.
fn found(report: &Report) -> String {
    let brief = report.findings.iter().filter(|finding| finding.weight != Weight::Detail);
    let mut text = String::new();
    for finding in brief {
        let lines = wrap(&finding.text, WIDTH, usize::MAX);
        for (place, line) in lines.iter().enumerate() {
            text += if place == 0 { "• " } else { "  " };
            text += line;
            text.push('\n');
        }
    }
    text
}

/// Nodes, faults and what else sets a group apart, in short lines.
fn label_of(row: &SummaryRow, variant: &str) -> Vec<String> {
    let fault = if row.fault == "none" { "no faults" } else { &row.fault };
    let mut lines: Vec<String> =
        format!("{}, {}", row.nodes, fault.replace('+', "\n  +")).lines().map(str::to_string).collect();
    let parts: Vec<&str> = variant.split(", ").filter(|part| !part.is_empty()).collect();
    lines.extend(parts.chunks(2).map(|pair| format!("  {}", pair.join(", "))));
    lines
}

/// The rows of one setting; the lines of its label run down the first column.
fn add_group(table: &mut Table, label: &[String], rows: &[SummaryRow]) {
    let mut label = label.iter();
    for row in rows {
        let outcomes = outcomes(row);
        let lines: Vec<&str> = label.by_ref().take(outcomes.len()).map(String::as_str).collect();
        let mark = if is_marked(&row.protocol) { " *" } else { "" };
        table.add_row(Row::from([
            lines.join("\n"),
            format!("{}{mark}", row.protocol),
            outcomes.join("\n"),
            duration(row.p50_us.map(|us| us as f64)),
            duration(row.p99_us.map(|us| us as f64)),
            optional(row.throughput_per_s),
            row.messages_per_decision.map_or_else(|| NONE.into(), per_decision),
            duration(row.cpu_us_per_decision),
            ratio(row),
            row.ratio_to_floor.map_or_else(String::new, digits),
        ]));
    }
    for line in label {
        table.add_row(vec![line.as_str()]);
    }
}

fn remarks(report: &Report) -> String {
    let mut text = String::new();
    if report.summary.iter().any(|row| is_marked(&row.protocol)) {
        text += &format!("* ccro-paper is {PAPER_WARNING}.\n");
    }
    if let Some(given_up) = report.summary.iter().find_map(|row| given_up(&row.protocol)) {
        text += &format!("{given_up}.\n");
    }
    for row in report.summary.iter().filter(|row| row.latency_basis == "response").take(1) {
        text += &format!("p50 and p99 of open loops ({} …) are from the intended send time.\n", row.cell);
    }
    for note in &report.notes {
        // The last lines of a dead node are in cells.csv and on the page.
        text += &format!("note: {}\n", note.lines().next().unwrap_or_default());
    }
    for warning in report.warning_lines() {
        text += &format!("WARNING: {warning}\n");
    }
    for row in report.summary.iter().filter(|row| row.violations > 0) {
        text += &format!(
            "VIOLATION: {}: the honest nodes disagree on {} of {} requests\n",
            row.cell, row.violations, row.requests
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::report::build;
    use crate::results::testdata;

    #[test]
    fn the_table_is_narrow_and_says_what_happened() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        let text = super::render(&build(dir.path()).unwrap());
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with(['│', '┌'])).collect();
        assert!(table.iter().all(|line| line.chars().count() <= 140), "{text}");
        let undecided = table.iter().find(|line| line.contains("4, offline:2")).unwrap();
        assert!(undecided.contains("timeout 100 %") && !undecided.contains("ms"), "{undecided}");
        assert!(text.contains("* ccro-paper is not Byzantine-safe, and not crash-safe"));
        assert!(
            text.contains("VIOLATION: ccro-paper-4-equivocate@0: the honest nodes disagree on 300 of 900")
        );
        assert_eq!(table.iter().filter(|line| line.contains("7, malicious:2")).count(), 1);
    }

    #[test]
    fn a_long_label_is_shown_whole_and_once_per_group() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::Data::default();
        data.add(&testdata::CellSpec::new("pbft", 4, "none"));
        for protocol in ["pbft", "ccro"] {
            let spec = testdata::CellSpec::new(protocol, 4, "none");
            data.add(&testdata::CellSpec { clients: 8, payload: 7, ..spec });
        }
        for cell in data.cells.iter_mut().filter(|c| c.clients == 8) {
            (cell.link_delay_us, cell.link_loss, cell.batch_max) = (50, 0.1, 9);
        }
        data.write(dir.path());
        let text = super::render(&build(dir.path()).unwrap());
        let text: String = text.lines().filter(|line| line.starts_with('│')).collect::<Vec<_>>().join("\n");
        for part in ["payload 7 B, batch 9", "clients 8, link delay 50 µs", "link loss 0.1"] {
            assert_eq!(text.matches(part).count(), 1, "{part} in\n{text}");
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_table() {
        let dir = tempfile::tempdir().unwrap();
        testdata::Data::default().write(dir.path());
        assert!(super::render(&build(dir.path()).unwrap()).contains("nodes, faults"));
    }
}
