//! Against the number of nodes: messages with what the formulas give, and time.

use std::collections::BTreeMap;

use super::{MEDIAN_HEADER, id, median_fields, milliseconds};
use crate::report::figure::{Data, Figure, field};
use crate::report::format::{duration, per_decision};
use crate::report::line_chart::{LineChart, Point, Series, Shape};
use crate::report::material::{Material, join};
use crate::report::scale::{Scale, bounds};
use crate::report::style::name_of;
use crate::report::words::fault_class;
use crate::results::schema::SummaryRow;
use crate::results::setting::Variant;

/// A formula of a protocol's messages per decision without faults.
struct Formula {
    protocol: &'static str,
    text: &'static str,
    messages: fn(f64) -> f64,
}

const FORMULAS: [Formula; 9] = [
    Formula { protocol: "pbft", text: "2n(n−1)", messages: |n| 2.0 * n * (n - 1.0) },
    Formula { protocol: "pbft-mac", text: "2n(n−1)", messages: |n| 2.0 * n * (n - 1.0) },
    Formula { protocol: "pbft-mac-requests", text: "2n(n−1)", messages: |n| 2.0 * n * (n - 1.0) },
    Formula { protocol: "ccro", text: "fast 3n−4", messages: |n| 3.0 * n - 4.0 },
    Formula { protocol: "ccro", text: "two-phase 5n−6", messages: |n| 5.0 * n - 6.0 },
    // With the words that `ccro` has, these names would be longer than their room.
    Formula { protocol: "ccro-aggregate", text: "3n−4", messages: |n| 3.0 * n - 4.0 },
    Formula { protocol: "ccro-aggregate", text: "5n−6", messages: |n| 5.0 * n - 6.0 },
    Formula { protocol: "broadcast", text: "3(n−1)", messages: |n| 3.0 * (n - 1.0) },
    Formula { protocol: "ccro-paper", text: "5n−9", messages: |n| 5.0 * n - 9.0 },
];

/// Cells that differ in protocol and nodes only.
struct Class<'a> {
    title: String,
    rows: Vec<&'a SummaryRow>,
}

/// The classes in which some protocol has at least so many sizes, fault-free first.
fn classes<'a>(material: &'a Material, sizes: usize) -> Vec<Class<'a>> {
    let mut classes: BTreeMap<(bool, String, Variant), Vec<&SummaryRow>> = BTreeMap::new();
    for row in material.rows.summary {
        let Some(setting) = material.setting(row) else { continue };
        let fault = fault_class(&row.fault, row.nodes);
        classes.entry((row.fault != "none", fault, setting.variant.clone())).or_default().push(row);
    }
    let enough = |rows: &[&SummaryRow]| {
        rows.iter().any(|row| rows.iter().filter(|other| other.protocol == row.protocol).count() >= sizes)
    };
    classes
        .into_iter()
        .filter(|(_, rows)| enough(rows))
        .map(|((_, fault, variant), rows)| Class { title: join(&[&fault, &material.label(&variant)]), rows })
        .collect()
}

fn sizes(rows: &[&SummaryRow]) -> Vec<f64> {
    let mut sizes: Vec<u32> = rows.iter().map(|row| row.nodes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter().map(f64::from).collect()
}

fn protocols<'a>(rows: &[&'a SummaryRow]) -> Vec<&'a str> {
    let mut protocols: Vec<&str> = Vec::new();
    for row in rows {
        if !protocols.contains(&row.protocol.as_str()) {
            protocols.push(&row.protocol);
        }
    }
    protocols
}

/// Messages per decision against n; `None` unless there are several sizes.
pub(super) fn messages(material: &Material) -> Option<Figure> {
    let classes = classes(material, 2);
    let all = || classes.iter().flat_map(|class| &class.rows).copied();
    let measured = all().filter_map(|row| row.messages_per_decision);
    let everywhere = sizes(&all().collect::<Vec<_>>());
    let formulas: Vec<&Formula> =
        FORMULAS.iter().filter(|formula| all().any(|row| row.protocol == formula.protocol)).collect();
    let ends = everywhere.first().into_iter().chain(everywhere.last());
    let computed = ends.flat_map(|n| formulas.iter().map(|formula| (formula.messages)(*n)));
    let (low, high) = bounds(measured.chain(computed).filter(|v| *v > 0.0))?;
    let log = high / low > 100.0;
    let mut data = Data::new(&["cell", "protocol", "nodes", "fault", "messages_per_decision"]);
    for row in all() {
        data.push(vec![
            row.cell.clone(),
            row.protocol.clone(),
            row.nodes.to_string(),
            row.fault.clone(),
            field(row.messages_per_decision),
        ]);
    }
    let draw = |class: &Class| {
        let mut series: Vec<Series> = formulas.iter().map(|formula| curve(formula, &everywhere)).collect();
        series.extend(protocols(&class.rows).into_iter().map(|protocol| {
            let points = class.rows.iter().filter(|row| row.protocol == protocol).filter_map(|row| {
                let y = row.messages_per_decision?;
                let tip = format!("{protocol}, n = {}: {} messages per decision", row.nodes, per_decision(y));
                let interval = material.range(&row.cell, |repetition| repetition.messages_per_decision);
                Some(Point { x: f64::from(row.nodes), y, interval, tip })
            });
            let name = if formulas.iter().any(|formula| formula.protocol == protocol) {
                String::new()
            } else {
                name_of(protocol)
            };
            Series { protocol: protocol.into(), name, points: points.collect(), shape: Shape::Points }
        }));
        let chart = LineChart {
            title: class.title.clone(),
            x: Scale::at_values(&everywhere, log),
            x_title: "nodes n".into(),
            y: if log { Scale::log(low, high, 1.2, 6) } else { Scale::from_zero(high, 5) },
            y_title: "messages per decision".into(),
            height: 230.0,
            names: 118.0,
            verticals: Vec::new(),
            series,
        };
        chart.draw()
    };
    Some(Figure {
        id: id::MESSAGES,
        title: "Agreement messages against the number of nodes".into(),
        caption: "Markers: measured. Thin curves: what the formulas give without faults, in every panel. \
                  Where a marker is under its curve, faulty nodes send less; where it is above, faults make \
                  work."
            .into(),
        panels: classes.iter().map(draw).collect(),
        omitted: 0,
        data,
    })
}

fn curve(formula: &Formula, sizes: &[f64]) -> Series {
    let (first, last) = (sizes.first().copied().unwrap_or(1.0), sizes.last().copied().unwrap_or(1.0));
    let steps = 40;
    let points = (0..=steps).map(|step| {
        let x = first + (last - first) * f64::from(step) / f64::from(steps);
        Point { x, y: (formula.messages)(x), ..Point::default() }
    });
    let name = format!("{} {}", formula.protocol, formula.text);
    Series { protocol: formula.protocol.into(), name, points: points.collect(), shape: Shape::Formula }
}

/// Median latency against n; `None` unless there are at least three sizes: of fewer,
/// the other figures say as much.
pub(super) fn time(material: &Material) -> Option<Figure> {
    let classes = classes(material, 3);
    let all = || classes.iter().flat_map(|class| &class.rows).copied();
    let ends = all().flat_map(|row| [row.p50_us, row.p50_low_us, row.p50_high_us]).flatten();
    let (low, high) = bounds(ends.map(milliseconds).filter(|v| *v > 0.0))?;
    let everywhere = sizes(&all().collect::<Vec<_>>());
    let spread = everywhere.last()? / everywhere.first()?;
    let mut data = Data::new(&MEDIAN_HEADER);
    all().for_each(|row| data.push(median_fields(row).into()));
    let draw = |class: &Class| {
        let series = protocols(&class.rows).into_iter().map(|protocol| {
            let points = class.rows.iter().filter(|row| row.protocol == protocol).filter_map(|row| {
                let y = milliseconds(row.p50_us?);
                let interval = row.p50_low_us.map(milliseconds).zip(row.p50_high_us.map(milliseconds));
                let tip = format!("{protocol}, n = {}: p50 {}", row.nodes, duration(Some(y * 1000.0)));
                Some(Point { x: f64::from(row.nodes), y, interval, tip })
            });
            let (points, name) = (points.collect(), name_of(protocol));
            Series { protocol: protocol.into(), name, points, shape: Shape::Points }
        });
        let chart = LineChart {
            title: class.title.clone(),
            x: Scale::at_values(&everywhere, spread > 6.0),
            x_title: "nodes n".into(),
            y: if high / low > 12.0 { Scale::log(low, high, 1.15, 6) } else { Scale::from_zero(high, 5) },
            y_title: "median (ms)".into(),
            height: 230.0,
            names: 84.0,
            verticals: Vec::new(),
            series: series.collect(),
        };
        chart.draw()
    };
    Some(Figure {
        id: id::TIME_BY_NODES,
        title: format!("Time to decide against the number of nodes ({})", super::basis(all())),
        caption: "Medians with their 95 % intervals.".into(),
        panels: classes.iter().map(draw).collect(),
        omitted: 0,
        data,
    })
}
