//! Votes that each node received, for each decision.

use std::collections::{BTreeMap, HashMap};

use super::{about, id};
use crate::report::figure::{Data, Figure, PANEL_WIDTH, Panel, field};
use crate::report::format::digits;
use crate::report::material::{Material, Sheet};
use crate::report::style::{class_of, name_of};
use crate::report::svg::Element;
use crate::report::words::wrap;
use crate::results::schema::SummaryRow;

const LEFT: f64 = 84.0;
const ROW: f64 = 17.0;
/// The widest field of a node.
const WIDEST: f64 = 56.0;
/// The least field in which a number has room.
const NUMBER: f64 = 20.0;

/// Votes of one node in one cell.
#[derive(Default, Clone, Copy)]
struct Tally {
    correct: u64,
    corrupt: u64,
    faulty: bool,
}

/// Votes by cell and node.
type Tallies<'a> = HashMap<&'a str, BTreeMap<u32, Tally>>;

/// The figure; `None` without a vote.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let mut tallies: Tallies = HashMap::new();
    for row in material.rows.nodes {
        let tally = tallies.entry(&row.cell).or_default().entry(row.node).or_default();
        tally.correct += row.correct;
        tally.corrupt += row.corrupt;
        tally.faulty |= row.faults != "none" && !row.faults.is_empty();
    }
    let slots = slots(material);
    let mut data = Data::new(&["cell", "node", "faulty", "correct_per_decision", "corrupt_per_decision"]);
    for row in material.rows.summary {
        let Some(nodes) = tallies.get(row.cell.as_str()) else { continue };
        for (node, tally) in nodes {
            let per = |count: u64| per_slot(count, slots.get(row.cell.as_str()).copied());
            let faulty = if tally.faulty { "yes" } else { "no" };
            data.push(vec![
                row.cell.clone(),
                node.to_string(),
                faulty.into(),
                field(per(tally.correct)),
                field(per(tally.corrupt)),
            ]);
        }
    }
    let most = tallies.iter().flat_map(|(cell, nodes)| {
        nodes.values().filter_map(|tally| per_slot(tally.correct, slots.get(cell).copied()))
    });
    let most = most.fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let draw = |sheet: Sheet| panel(&sheet, &tallies, &slots, most);
    Some(Figure {
        id: id::VOTES,
        title: "Votes that each node received, for each decision".into(),
        caption: "A field for each node, from node 0 on the left: the darker, the more votes for what was decided. \
                  Numbers are correct votes and, in red, corrupt ones (for something else, badly signed or \
                  contradicting earlier ones). Framed fields belong to faulty nodes."
            .into(),
        panels: material.sheets().into_iter().map(draw).collect(),
        omitted: 0,
        data,
    })
}

/// Decided slots of all repetitions, by cell.
fn slots<'a>(material: &Material<'a>) -> HashMap<&'a str, u64> {
    let mut slots: HashMap<&str, u64> = HashMap::new();
    for cell in material.rows.cells {
        *slots.entry(&cell.cell).or_default() += cell.decided_slots;
    }
    slots
}

fn per_slot(count: u64, slots: Option<u64>) -> Option<f64> {
    slots.filter(|slots| *slots > 0).map(|slots| count as f64 / slots as f64)
}

fn panel(sheet: &Sheet, tallies: &Tallies, slots: &HashMap<&str, u64>, most: f64) -> Panel {
    let mut content = Element::group("").child(Element::text("h", (0.0, 13.0), &sheet.title));
    let mut y = 24.0;
    for (label, group) in &sheet.groups {
        for line in wrap(label, 64, 2) {
            content.push(Element::text("b", (0.0, y + 12.0), &line));
            y += ROW;
        }
        for row in &group.rows {
            let Some(nodes) = tallies.get(row.cell.as_str()) else { continue };
            let mut drawn = Element::group(class_of(&row.protocol));
            drawn.push(Element::text("n", (8.0, y + 12.5), &name_of(&row.protocol)));
            let about = about(row, &sheet.title, label);
            fields(&mut drawn, row, nodes, slots.get(row.cell.as_str()).copied(), y, most, &about);
            content.push(drawn);
            y += ROW;
        }
        y += 6.0;
    }
    Panel { title: sheet.title.clone(), height: y, content }
}

fn fields(
    into: &mut Element,
    row: &SummaryRow,
    nodes: &BTreeMap<u32, Tally>,
    slots: Option<u64>,
    y: f64,
    most: f64,
    about: &str,
) {
    let width = ((PANEL_WIDTH - LEFT) / f64::from(row.nodes.max(1))).min(WIDEST);
    for (node, tally) in nodes {
        let (Some(correct), Some(corrupt)) = (per_slot(tally.correct, slots), per_slot(tally.corrupt, slots))
        else {
            continue;
        };
        let x = LEFT + f64::from(*node) * width;
        let gap = if width > 6.0 { 2.0 } else { 0.0 };
        let share = 0.08 + 0.52 * correct / most;
        let tip = format!(
            "{about}, node {node}{}: {} correct and {} corrupt votes per decision",
            if tally.faulty { " (faulty)" } else { "" },
            digits(correct),
            digits(corrupt),
        );
        let mut drawn = Element::group("").tip(&tip);
        let size = (width - gap, ROW - 2.0);
        drawn.push(Element::rect("a", (x, y), size).with("fill-opacity", format!("{share:.2}")));
        if tally.faulty {
            drawn.push(Element::rect("frame", (x + 0.5, y + 0.5), (size.0 - 1.0, size.1 - 1.0)));
        }
        if width >= NUMBER {
            let both = corrupt > 0.0 && width >= 2.0 * NUMBER;
            let place = if both { x + size.0 * 0.3 } else { x + size.0 / 2.0 };
            drawn.push(Element::text("c", (place, y + 11.5), &short(correct)));
            if both {
                drawn.push(Element::text("c bad", (x + size.0 * 0.74, y + 11.5), &short(corrupt)));
            }
        }
        if corrupt > 0.0 && width < 2.0 * NUMBER {
            let share = corrupt / (correct + corrupt);
            drawn.push(Element::rect("violation", (x, y + ROW - 5.0), (size.0 * share, 3.0)));
        }
        into.push(drawn);
    }
}

/// A number with as few characters as a narrow field has room for.
fn short(value: f64) -> String {
    if value > 0.0 && value < 0.05 {
        return "<.1".into();
    }
    if value >= 9.95 || (value - value.round()).abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}
