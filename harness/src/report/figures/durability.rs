//! What it costs that nodes keep journals, and sync them.

use std::collections::BTreeMap;

use super::{MEDIAN_HEADER, about, id, median_fields, milliseconds};
use crate::report::figure::{Data, Figure, Panel, field};
use crate::report::format::{digits, duration};
use crate::report::material::{Material, join};
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::{Scale, bounds};
use crate::results::schema::SummaryRow;
use crate::results::setting::Setting;

/// In the order of what they cost, with what they are.
const DURABILITIES: [(&str, &str); 3] =
    [("off", "off: no journal"), ("on", "on: written"), ("fsync", "fsync: written and synced")];

/// Cells that differ in the protocol and in the durability.
pub(in crate::report) struct Comparison<'a> {
    /// What its cells have in common.
    pub(in crate::report) title: String,
    /// Cells of the same durability together.
    pub(in crate::report) rows: Vec<&'a SummaryRow>,
}

/// Those of them that have several durabilities.
pub(in crate::report) fn comparisons<'a>(material: &'a Material) -> Vec<Comparison<'a>> {
    let mut groups: BTreeMap<Setting, Vec<&SummaryRow>> = BTreeMap::new();
    for row in material.rows.summary {
        let Some(setting) = material.setting(row) else { continue };
        let mut rest = setting.clone();
        rest.variant.durability.clear();
        groups.entry(rest).or_default().push(row);
    }
    groups.retain(|_, rows| rows.iter().any(|row| row.durability != rows[0].durability));
    let rests = groups.keys().map(|setting| setting.variant.clone()).collect();
    let comparison = |(rest, rows): (&Setting, &Vec<&'a SummaryRow>)| {
        let nodes = format!("n = {}", rest.nodes);
        let title = join(&[&nodes, &rest.fault_words(), &rest.variant.label(&rests)]);
        let mut rows = rows.clone();
        rows.sort_by_key(|row| DURABILITIES.iter().position(|(name, _)| *name == row.durability));
        Comparison { title, rows }
    };
    groups.iter().map(comparison).collect()
}

/// The figure; `None` unless the durability was varied.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let mut data = Data::new(&[&["durability", "throughput_per_s"], &MEDIAN_HEADER[..]].concat());
    let mut panels = Vec::new();
    for comparison in comparisons(material) {
        for row in &comparison.rows {
            let first = [row.durability.clone(), field(row.throughput_per_s)];
            data.push([&first[..], &median_fields(row)].concat());
        }
        panels.extend(throughput(material, &comparison));
        panels.extend(median(&comparison));
    }
    (!panels.is_empty()).then(|| Figure {
        id: id::DURABILITY,
        title: "Throughput and latency by durability".into(),
        caption: "Decided requests per second (the dark end: least to greatest repetition) and median latency (thick \
                  bar: its 95 % interval), without journals, with journals that outlive a process, and with journals that \
                  are synced and outlive a loss of power."
            .into(),
        panels,
        omitted: 0,
        data,
    })
}

impl Comparison<'_> {
    /// The rows below each other, those of a durability under its name.
    fn groups(&self, row: impl Fn(&SummaryRow, &str) -> Row) -> Vec<Group> {
        let of = |(name, words): (&str, &str)| {
            let rows = self.rows.iter().filter(|row| row.durability == name);
            let rows = rows.map(|cell| row(cell, &about(cell, &self.title, words))).collect();
            Group { label: words.into(), rows }
        };
        DURABILITIES.into_iter().map(of).filter(|group| !group.rows.is_empty()).collect()
    }
}

fn throughput(material: &Material, comparison: &Comparison) -> Option<Panel> {
    let range = |row: &SummaryRow| material.range(&row.cell, |repetition| repetition.throughput_per_s);
    let greatest = |row: &&SummaryRow| range(row).map(|range| range.1).or(row.throughput_per_s);
    let (_, most) = bounds(comparison.rows.iter().filter_map(greatest))?;
    let row = |row: &SummaryRow, about: &str| {
        let per_s = row.throughput_per_s.unwrap_or(0.0);
        let mut marks = vec![Mark::Bar { from: 0.0, to: per_s, class: "a two", label: "" }];
        marks
            .extend(range(row).filter(|(low, high)| low < high).map(|(low, high)| Mark::Interval(low, high)));
        let value = digits(per_s);
        let tip = format!("{about}: {value} decided per second");
        Row { protocol: row.protocol.clone(), value, tip, marks }
    };
    let chart = RowChart {
        title: format!("throughput: {}", comparison.title),
        axis: Scale::from_zero(most, 5),
        axis_title: "decided per second".into(),
        reference: None,
        values: 48.0,
        groups: comparison.groups(row),
    };
    Some(chart.draw())
}

fn median(comparison: &Comparison) -> Option<Panel> {
    let times = comparison.rows.iter().flat_map(|row| [row.p50_low_us, row.p50_us, row.p50_high_us]);
    let (low, high) = bounds(times.flatten().filter(|us| *us > 0).map(milliseconds))?;
    let row = |row: &SummaryRow, about: &str| {
        let value = duration(row.p50_us.map(|us| us as f64));
        let mut marks = Vec::new();
        if let (Some(low), Some(high)) = (row.p50_low_us, row.p50_high_us) {
            marks.push(Mark::Interval(milliseconds(low), milliseconds(high)));
        }
        marks.extend(row.p50_us.map(|us| Mark::Point { at: milliseconds(us), filled: true }));
        Row { protocol: row.protocol.clone(), tip: format!("{about}: p50 {value}"), value, marks }
    };
    let chart = RowChart {
        title: format!("median: {}", comparison.title),
        axis: Scale::log(low, high, 1.12, 6),
        axis_title: "p50 (ms)".into(),
        reference: None,
        values: 62.0,
        groups: comparison.groups(row),
    };
    Some(chart.draw())
}
