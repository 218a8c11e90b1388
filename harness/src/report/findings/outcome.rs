//! Whether requests were decided, whether nodes agreed, and what the machine allows.

use super::{Finding, Weight, name};
use crate::report::figures::id;
use crate::report::format::{digits, percent};
use crate::report::material::Material;
use crate::report::words::{count, fault_phrase, list};
use crate::results::schema::SummaryRow;
use crate::results::summary::faulty_count;

/// Most cells that one sentence names.
const NAMED: usize = 4;

/// `ccro-paper at n = 4 with an equivocating commander`.
fn cell(row: &SummaryRow) -> String {
    let fault = if row.fault == "none" {
        String::new()
    } else {
        format!(" with {}", fault_phrase(&row.fault, row.nodes))
    };
    format!("{} at n = {}{fault}", name(&row.protocol), row.nodes)
}

fn named(rows: &[&SummaryRow], text: impl Fn(&SummaryRow) -> String) -> String {
    let mut items: Vec<String> = rows.iter().take(NAMED).map(|row| text(row)).collect();
    if rows.len() > NAMED {
        items.push(format!("{} more cells", rows.len() - NAMED));
    }
    list(&items)
}

/// The faulty nodes of a cell and how many it tolerates; lists of repetitions that drew
/// other nodes are separated by `|`.
fn beyond_f(row: &SummaryRow) -> bool {
    row.faulty.split('|').map(faulty_count).min().unwrap_or(0) > row.f as usize
}

/// A sentence for each cell in which honest nodes disagreed.
pub(super) fn violations(material: &Material) -> Vec<Finding> {
    let sentence = |row: &SummaryRow| {
        let within = if beyond_f(row) {
            format!("more nodes were faulty than the f = {} that it tolerates", row.f)
        } else {
            format!("with at most f = {} faulty nodes, this must not happen", row.f)
        };
        let text = format!(
            "Honest nodes disagreed on {} of {} of {}: {within}.",
            row.violations,
            count(row.requests, "request"),
            cell(row)
        );
        Finding::new(Weight::Alarm, id::OUTCOMES, text, vec![row.cell.clone()])
    };
    material.rows.summary.iter().filter(|row| row.violations > 0).map(sentence).collect()
}

/// How many requests were decided, and where not all were.
pub(super) fn decided(material: &Material) -> Option<Finding> {
    let rows = material.rows.summary;
    let requests: u64 = rows.iter().map(|row| row.requests).sum();
    let decided: u64 = rows.iter().map(|row| row.decided).sum();
    if requests == 0 {
        return None;
    }
    let missing = |row: &&SummaryRow| row.timeouts + row.errors > 0;
    let (beyond, within): (Vec<&SummaryRow>, Vec<&SummaryRow>) =
        rows.iter().filter(missing).partition(|row| beyond_f(row));
    let share = |row: &SummaryRow| {
        let lost = (row.timeouts + row.errors) as f64 / row.requests.max(1) as f64;
        format!("{} ({} not)", cell(row), percent(lost))
    };
    let mut text = match decided == requests {
        true => format!("All {} were decided.", count(requests, "request")),
        false => format!("{decided} of {} were decided.", count(requests, "request")),
    };
    if !within.is_empty() {
        text += &format!(" With at most f faulty nodes, some were not: {}.", named(&within, share));
    }
    if !beyond.is_empty() {
        text += &format!(
            " With more than f faulty nodes, where nothing is promised, some were not: {}.",
            named(&beyond, share)
        );
    }
    let cells = within.iter().chain(&beyond).map(|row| row.cell.clone()).collect();
    Some(Finding::new(Weight::Headline, id::OUTCOMES, text, cells))
}

/// How near fault-free decisions come to what the machine allows.
pub(super) fn floor(material: &Material) -> Option<Finding> {
    let rows: Vec<&SummaryRow> =
        material.rows.summary.iter().filter(|row| row.ratio_to_floor.is_some()).collect();
    let by_ratio = |a: &&&SummaryRow, b: &&&SummaryRow| {
        a.ratio_to_floor.unwrap_or(0.0).total_cmp(&b.ratio_to_floor.unwrap_or(0.0))
    };
    let (nearest, farthest) = (rows.iter().min_by(by_ratio)?, rows.iter().max_by(by_ratio)?);
    let of = |row: &SummaryRow| {
        format!(
            "{} × ({} at n = {})",
            digits(row.ratio_to_floor.unwrap_or(0.0)),
            name(&row.protocol),
            row.nodes
        )
    };
    let range = match rows.len() {
        1 => of(nearest),
        _ => format!("{} to {}", of(nearest), of(farthest)),
    };
    let text = format!(
        "Without faults a median decision takes {range} the floor, the least time in which this machine can do \
         its work."
    );
    let cells = rows.iter().map(|row| row.cell.clone()).collect();
    Some(Finding::new(Weight::Detail, id::TIME, text, cells))
}
