//! Latency by percentile: a panel for each setting, all with the same axes.

use super::{basis, id, milliseconds};
use crate::report::figure::{Data, Figure};
use crate::report::format::duration;
use crate::report::line_chart::{LineChart, Point, Series, Shape};
use crate::report::material::{Group, Material, join};
use crate::report::scale::{Scale, bounds};
use crate::report::style::name_of;
use crate::results::schema::SummaryRow;
use crate::results::statistics::quantile;

/// Places on the curve for each decade of `1 / (1 - p)`.
const PER_DECADE: u32 = 12;

/// The axis ends at the greatest 99th percentile times this, if anything is beyond.
const BEYOND_P99: f64 = 2.0;

/// The figure; `None` where nothing was decided.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let mut data =
        Data::new(&["cell", "percentile", "latency_us", "least_repetition_us", "greatest_repetition_us"]);
    let mut panels: Vec<(String, Vec<Series>)> = Vec::new();
    for group in material.groups() {
        let series: Vec<Series> =
            group.rows.iter().filter_map(|row| series(material, row, &mut data)).collect();
        if !series.is_empty() {
            panels.push((title(material, &group), series));
        }
    }
    let points = || panels.iter().flat_map(|panel| &panel.1).flat_map(|series| &series.points);
    let (low, high) = bounds(points().map(|point| point.y).filter(|y| *y > 0.0))?;
    // One stalled request must not press all curves to the ground.
    let p99 = material.rows.summary.iter().filter_map(|row| row.p99_us).max()?;
    let high = high.min(milliseconds(p99) * BEYOND_P99);
    let most = material.rows.summary.iter().map(|row| row.decided).max().unwrap_or(0);
    let draw = |(title, mut series): (String, Vec<Series>)| {
        for series in &mut series {
            if let Some(last) = series.points.last().filter(|last| last.y > high) {
                series.name += &format!(" ↑ {}", duration(Some(last.y * 1000.0)));
            }
        }
        let chart = LineChart {
            title,
            x: Scale::percentiles(most),
            x_title: "percentile of decided requests".into(),
            y: Scale::log(low, high, 1.1, 6),
            y_title: "ms".into(),
            height: 220.0,
            names: 118.0,
            verticals: Vec::new(),
            series,
        };
        chart.draw()
    };
    Some(Figure {
        id: id::DISTRIBUTION,
        title: format!("Latency by percentile ({})", basis(material.rows.summary.iter())),
        caption: "All repetitions together; the band reaches from the least to the greatest repetition at each \
                  percentile. Markers are p50, p90, p99 and the maximum. On this axis, HdrHistogram’s, every \
                  step is another nine, so that the tail has as much room as the middle. All panels share their \
                  axes. The whole distributions are in histograms/."
            .into(),
        panels: panels.into_iter().map(draw).collect(),
        omitted: 0,
        data,
    })
}

fn title(material: &Material, group: &Group) -> String {
    let nodes = format!("n = {}", group.setting.nodes);
    join(&[&nodes, &group.setting.fault_words(), &material.label(&group.setting.variant)])
}

fn series(material: &Material, row: &SummaryRow, data: &mut Data) -> Option<Series> {
    let runs = material.latencies(&row.cell);
    let mut all = runs.concat();
    all.sort_unstable();
    if all.is_empty() {
        return None;
    }
    let mut points = Vec::new();
    for (x, p) in percentiles(all.len()) {
        let us = quantile(&all, p)?;
        let of_runs = || runs.iter().filter_map(|run| quantile(run, p));
        let (least, greatest) = (of_runs().min()?, of_runs().max()?);
        let tip = match marked(p) {
            Some(name) => format!("{}, {name}: {}", row.protocol, duration(Some(us as f64))),
            None => String::new(),
        };
        let interval = (runs.len() > 1).then(|| (milliseconds(least), milliseconds(greatest)));
        points.push(Point { x, y: milliseconds(us), interval, tip });
        let percentile = format!("{}", (p * 1e8).round() / 1e6);
        data.push(vec![
            row.cell.clone(),
            percentile,
            us.to_string(),
            least.to_string(),
            greatest.to_string(),
        ]);
    }
    let protocol = row.protocol.clone();
    Some(Series { name: name_of(&protocol), protocol, points, shape: Shape::Curve })
}

fn marked(p: f64) -> Option<&'static str> {
    let named = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "maximum")];
    named.into_iter().find(|(q, _)| (q - p).abs() < 1e-9).map(|(_, name)| name)
}

/// Places on the axis with the quantile of each, the maximum as the last.
fn percentiles(count: usize) -> Vec<(f64, f64)> {
    let end = count as f64;
    let mut places: Vec<f64> = (0..)
        .map(|step| 10f64.powf(f64::from(step) / f64::from(PER_DECADE)))
        .take_while(|x| *x < end)
        .collect();
    if end > 2.0 {
        places.push(2.0);
    }
    places.sort_by(f64::total_cmp);
    let mut with_quantiles: Vec<(f64, f64)> = places.into_iter().map(|x| (x, 1.0 - 1.0 / x)).collect();
    if count > 0 {
        with_quantiles.push((end, 1.0));
    }
    with_quantiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_hold_the_named_percentiles_and_end_at_the_maximum() {
        let places = percentiles(1000);
        assert_eq!(places[0], (1.0, 0.0));
        assert_eq!(places.last(), Some(&(1000.0, 1.0)));
        let named: Vec<&str> = places.iter().filter_map(|place| marked(place.1)).collect();
        assert_eq!(named, ["p50", "p90", "p99", "maximum"]);
        assert!(places.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(percentiles(1), [(1.0, 1.0)]);
        assert!(percentiles(0).is_empty());
    }
}
