//! What a decision costs all nodes together: messages, CPU time, bytes.

use super::{about, id};
use crate::report::figure::{Data, Figure, field};
use crate::report::format::per_decision;
use crate::report::material::Material;
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::{Scale, bounds};
use crate::results::repetitions::Repetition;
use crate::results::schema::SummaryRow;

/// One of the costs.
struct Cost {
    title: &'static str,
    unit: &'static str,
    of_row: fn(&SummaryRow) -> Option<f64>,
    of_repetition: fn(&Repetition) -> Option<f64>,
}

const COSTS: [Cost; 3] = [
    Cost {
        title: "agreement messages",
        unit: "messages per decision",
        of_row: |row| row.messages_per_decision,
        of_repetition: |repetition| repetition.messages_per_decision,
    },
    Cost {
        title: "CPU time of all nodes",
        unit: "ms per decision",
        of_row: |row| row.cpu_us_per_decision.map(|us| us / 1000.0),
        of_repetition: |repetition| repetition.cpu_us_per_decision.map(|us| us / 1000.0),
    },
    Cost {
        title: "bytes on the links",
        unit: "kB per decision",
        of_row: |row| row.bytes_per_decision.map(|bytes| bytes / 1000.0),
        of_repetition: |repetition| repetition.bytes_per_decision.map(|bytes| bytes / 1000.0),
    },
];

/// The figure; `None` where nothing was decided.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let mut data =
        Data::new(&["cell", "protocol", "nodes", "fault", "cost", "unit", "value", "least", "greatest"]);
    let mut panels = Vec::new();
    for cost in &COSTS {
        let range = |row: &SummaryRow| material.range(&row.cell, cost.of_repetition);
        let values = material.rows.summary.iter().filter_map(|row| {
            let value = (cost.of_row)(row)?;
            Some(range(row).map_or(value, |range| range.1.max(value)))
        });
        let Some((_, most)) = bounds(values) else { continue };
        for sheet in material.sheets() {
            let mut groups = Vec::new();
            for (label, group) in &sheet.groups {
                let mut rows = Vec::new();
                for row in &group.rows {
                    let value = (cost.of_row)(row);
                    push(&mut data, row, cost, value, range(row));
                    rows.push(chart_row(row, &about(row, &sheet.title, label), cost, range(row)));
                }
                groups.push(Group { label: label.clone(), rows });
            }
            let chart = RowChart {
                title: format!("{}, {}", sheet.title, cost.title),
                axis: Scale::from_zero(most, 5),
                axis_title: cost.unit.into(),
                reference: None,
                values: 48.0,
                groups,
            };
            panels.push(chart.draw());
        }
    }
    Some(Figure {
        id: id::COST,
        title: "What a decision costs, all nodes together".into(),
        caption:
            "Per decided slot, over the measured part. The dark end of a bar reaches from the least to the \
                  greatest repetition. Messages are those of the agreement: proposals, votes, certificates; \
                  bytes are all that passes between nodes. Panels of the same cost share their axis."
                .into(),
        panels,
        omitted: 0,
        data,
    })
}

fn push(data: &mut Data, row: &SummaryRow, cost: &Cost, value: Option<f64>, range: Option<(f64, f64)>) {
    data.push(vec![
        row.cell.clone(),
        row.protocol.clone(),
        row.nodes.to_string(),
        row.fault.clone(),
        cost.title.into(),
        cost.unit.into(),
        field(value),
        field(range.map(|range| range.0)),
        field(range.map(|range| range.1)),
    ]);
}

fn chart_row(row: &SummaryRow, about: &str, cost: &Cost, range: Option<(f64, f64)>) -> Row {
    let Some(value) = (cost.of_row)(row) else {
        let tip = format!("{about}: no value");
        return Row { protocol: row.protocol.clone(), value: "–".into(), tip, marks: vec![] };
    };
    let mut marks = vec![Mark::Bar { from: 0.0, to: value, class: "a two", label: "" }];
    marks.extend(range.filter(|(low, high)| low < high).map(|(low, high)| Mark::Interval(low, high)));
    let spread = range.map_or_else(String::new, |(low, high)| {
        format!(" (repetitions {} to {})", per_decision(low), per_decision(high))
    });
    let tip = format!("{about}: {} {}{spread}", per_decision(value), cost.unit);
    Row { protocol: row.protocol.clone(), value: per_decision(value), tip, marks }
}
