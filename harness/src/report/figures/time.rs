//! How long a decision takes: median with its interval and the 99th percentile.

use super::{MEDIAN_HEADER, about, basis, duration_interval, id, median_fields, microseconds, milliseconds};
use crate::report::figure::{Data, Figure, field};
use crate::report::format::{duration, outcomes};
use crate::report::material::Material;
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::{Scale, bounds};
use crate::results::schema::SummaryRow;

/// The figure; `None` where nothing was decided.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let rows = material.rows.summary;
    let ends = rows.iter().flat_map(|row| {
        let floor = row.floor_us.map(|us| us / 1000.0);
        let latencies = [row.p50_low_us, row.p50_us, row.p50_high_us, row.p99_us];
        latencies.into_iter().flatten().map(milliseconds).chain(floor)
    });
    let (low, high) = bounds(ends.filter(|v| *v > 0.0))?;
    let floors = rows.iter().any(|row| row.floor_us.is_some());
    let mut panels = Vec::new();
    for sheet in material.sheets() {
        let groups = sheet.groups.iter().map(|(label, group)| Group {
            label: label.clone(),
            rows: group.rows.iter().map(|row| chart_row(row, &about(row, &sheet.title, label))).collect(),
        });
        let chart = RowChart {
            title: sheet.title.clone(),
            axis: Scale::log(low, high, 1.12, 6),
            axis_title: "ms".into(),
            reference: None,
            values: 62.0,
            groups: groups.collect(),
        };
        panels.push(chart.draw());
    }
    let floor = if floors {
        " The grey stroke is the floor: the least time in which this machine can do the work of one fault-free \
         decision."
    } else {
        ""
    };
    Some(Figure {
        id: id::TIME,
        title: format!("Time to decide ({})", basis(rows.iter())),
        caption: format!(
            "Marker and figure: the median. Thick bar: its 95 % interval. Thin line: up to the 99th percentile. \
             Only decided requests have a time.{floor} All panels share one logarithmic axis."
        ),
        panels,
        omitted: 0,
        data: data(rows),
    })
}

fn chart_row(row: &SummaryRow, about: &str) -> Row {
    let us = |value: Option<u64>| duration(value.map(|us| us as f64));
    let Some(p50) = row.p50_us else {
        let value = if row.decided == 0 { "none decided" } else { "" };
        let tip = format!("{about}: {}", outcomes(row).join(", "));
        return Row { protocol: row.protocol.clone(), value: value.into(), tip, marks: vec![] };
    };
    let mut marks: Vec<Mark> = row.floor_us.map(|floor| Mark::Tick(floor / 1000.0)).into_iter().collect();
    if let Some(p99) = row.p99_us {
        marks.push(Mark::Reach(milliseconds(p50), milliseconds(p99)));
    }
    if let (Some(low), Some(high)) = (row.p50_low_us, row.p50_high_us) {
        marks.push(Mark::Interval(milliseconds(low), milliseconds(high)));
    }
    marks.push(Mark::Point { at: milliseconds(p50), filled: true });
    let floor = row.floor_us.map_or_else(String::new, |floor| format!("; floor {}", duration(Some(floor))));
    let tip = format!(
        "{about}: p50 {} (95 % {}), p99 {} (95 % {}), max {}{floor}; {} requests, {}",
        us(row.p50_us),
        duration_interval(row.p50_low_us, row.p50_high_us),
        us(row.p99_us),
        duration_interval(row.p99_low_us, row.p99_high_us),
        us(row.max_us),
        row.requests,
        outcomes(row).join(", "),
    );
    Row { protocol: row.protocol.clone(), value: us(row.p50_us), tip, marks }
}

fn data(rows: &[SummaryRow]) -> Data {
    let more = ["p99_us", "p99_low_us", "p99_high_us", "floor_us"];
    let mut data = Data::new(&[&MEDIAN_HEADER[..], &more].concat());
    for row in rows {
        let p99 = [row.p99_us, row.p99_low_us, row.p99_high_us].map(microseconds);
        data.push([&median_fields(row)[..], &p99, &[field(row.floor_us)]].concat());
    }
    data
}
