//! Throughput and median against what was varied of load and links.

use std::collections::BTreeMap;

use super::{id, milliseconds};
use crate::report::figure::{Data, Figure, Panel, field};
use crate::report::format::{digits, duration};
use crate::report::line_chart::{LineChart, Point, Series, Shape};
use crate::report::material::{Material, join};
use crate::report::scale::{Scale, bounds, number};
use crate::report::style::name_of;
use crate::results::schema::SummaryRow;
use crate::results::setting::{Setting, Varied};

/// Cells that differ in the protocol and in one part of the load.
pub(in crate::report) struct Course<'a> {
    pub(in crate::report) varied: Varied,
    /// What its cells have in common.
    pub(in crate::report) title: String,
    /// With the value of what is varied.
    pub(in crate::report) rows: Vec<(f64, &'a SummaryRow)>,
}

/// A value of a row as a chart shows it.
struct Shown {
    at: f64,
    interval: Option<(f64, f64)>,
    text: String,
}

/// The figure; `None` unless something was varied.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let courses = courses(material);
    let mut data = Data::new(&["cell", "protocol", "varied", "value", "throughput_per_s", "p50_us"]);
    for course in &courses {
        for (value, row) in &course.rows {
            data.push(vec![
                row.cell.clone(),
                row.protocol.clone(),
                course.varied.words().into(),
                number(*value),
                field(row.throughput_per_s),
                field(row.p50_us.map(|us| us as f64)),
            ]);
        }
    }
    let mut panels = Vec::new();
    for course in &courses {
        panels.extend(throughput(material, course));
        panels.extend(median(course));
    }
    (!panels.is_empty()).then(|| Figure {
        id: id::LOAD,
        title: "Throughput and latency against the load".into(),
        caption:
            "Decided requests per second (bars: least and greatest repetition) and median latency (bars: \
                  95 % interval). Values are joined from three on."
                .into(),
        panels,
        omitted: 0,
        data,
    })
}

/// Everything that was varied.
pub(in crate::report) fn courses<'a>(material: &'a Material) -> Vec<Course<'a>> {
    let mut courses = Vec::new();
    for varied in Varied::ALL {
        let mut groups: BTreeMap<Setting, Vec<(f64, &SummaryRow)>> = BTreeMap::new();
        for row in material.rows.summary {
            let Some(setting) = material.setting(row) else { continue };
            let (rest, value) = setting.without(varied);
            groups.entry(rest).or_default().extend(value.map(|value| (value, row)));
        }
        let rests = groups.keys().map(|setting| setting.variant.clone()).collect();
        for (rest, rows) in &groups {
            let same = rows.windows(2).all(|pair| pair[0].0 == pair[1].0);
            if same {
                continue;
            }
            let nodes = format!("n = {}", rest.nodes);
            let title = join(&[&nodes, &rest.fault_words(), &rest.variant.label(&rests)]);
            courses.push(Course { varied, title, rows: rows.clone() });
        }
    }
    courses
}

impl Course<'_> {
    /// The protocols in it, in the order of tables.
    pub(in crate::report) fn protocols(&self) -> Vec<&str> {
        let mut protocols: Vec<&str> = Vec::new();
        for (_, row) in &self.rows {
            if !protocols.contains(&row.protocol.as_str()) {
                protocols.push(&row.protocol);
            }
        }
        protocols
    }

    /// Least and greatest of what is varied.
    pub(in crate::report) fn ends(&self) -> Option<(f64, f64)> {
        bounds(self.rows.iter().map(|(value, _)| *value))
    }

    /// A chart of a value, with its interval and its text.
    fn chart(
        &self,
        what: &str,
        y_title: &str,
        value: &dyn Fn(&SummaryRow) -> Option<Shown>,
    ) -> Option<Panel> {
        let mut series: Vec<Series> = Vec::new();
        let mut places: Vec<f64> = Vec::new();
        for (x, row) in &self.rows {
            let Some(Shown { at: y, interval, text }) = value(row) else { continue };
            let tip = format!("{}, {} {}: {text}", row.protocol, self.varied.words(), number(*x));
            let point = Point { x: *x, y, interval, tip };
            places.push(*x);
            match series.iter_mut().find(|series| series.protocol == row.protocol) {
                Some(series) => series.points.push(point),
                None => series.push(Series {
                    protocol: row.protocol.clone(),
                    name: name_of(&row.protocol),
                    points: vec![point],
                    shape: Shape::Points,
                }),
            }
        }
        for series in &mut series {
            series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        places.sort_by(f64::total_cmp);
        places.dedup();
        let values = series.iter().flat_map(|series| &series.points);
        let ends =
            values.flat_map(|p| [p.y, p.interval.map_or(p.y, |i| i.0), p.interval.map_or(p.y, |i| i.1)]);
        let (low, high) = bounds(ends)?;
        let spread = places.last()? / places.first()?;
        let chart = LineChart {
            title: format!("{what}: {}", self.title),
            x: Scale::at_values(&places, spread > 6.0),
            x_title: self.varied.words().into(),
            y: if low > 0.0 && high / low > 12.0 {
                Scale::log(low, high, 1.2, 6)
            } else {
                Scale::from_zero(high, 5)
            },
            y_title: y_title.into(),
            height: 220.0,
            names: 84.0,
            verticals: Vec::new(),
            series,
        };
        (places.len() > 1).then(|| chart.draw())
    }
}

fn throughput(material: &Material, course: &Course) -> Option<Panel> {
    course.chart("throughput", "decided per second", &|row| {
        let per_s = row.throughput_per_s?;
        let range = material.range(&row.cell, |repetition| repetition.throughput_per_s);
        Some(Shown { at: per_s, interval: range, text: format!("{} decided per second", digits(per_s)) })
    })
}

fn median(course: &Course) -> Option<Panel> {
    course.chart("median", "p50 (ms)", &|row| {
        let p50 = row.p50_us?;
        let interval = row.p50_low_us.map(milliseconds).zip(row.p50_high_us.map(milliseconds));
        let text = format!("p50 {}", duration(Some(p50 as f64)));
        Some(Shown { at: milliseconds(p50), interval, text })
    })
}
