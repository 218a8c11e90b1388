//! What the simulator predicted and what was measured.

use super::{id, milliseconds};
use crate::report::figure::{Data, Figure, field};
use crate::report::format::{digits, duration};
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::{Scale, bounds};
use crate::results::schema::PredictionRow;

/// The figure; `None` where nothing can be compared.
pub(in crate::report) fn figure(predictions: &[PredictionRow]) -> Option<Figure> {
    let ratios = predictions.iter().filter_map(|row| row.ratio);
    let (low, high) = bounds(ratios.chain([0.6, 1.4]).filter(|v| *v > 0.0))?;
    let times = predictions.iter().flat_map(|row| [row.measured_p50_us, row.predicted_p50_us]);
    let (least, greatest) = bounds(times.flatten().map(milliseconds).filter(|ms| *ms > 0.0))?;
    let mut data = Data::new(&["cell", "measured_p50_us", "predicted_p50_us", "ratio", "within_30_percent"]);
    for row in predictions {
        let us = |value: Option<u64>| field(value.map(|us| us as f64));
        data.push(vec![
            row.cell.clone(),
            us(row.measured_p50_us),
            us(row.predicted_p50_us),
            field(row.ratio),
            row.within_30_percent.to_string(),
        ]);
    }
    let ratio = RowChart {
        title: "predicted ÷ measured".into(),
        axis: Scale::log(low, high, 1.08, 6),
        axis_title: "median, predicted ÷ measured".into(),
        reference: Some(1.0),
        values: 44.0,
        groups: groups(predictions, ratio_row),
    };
    let time = RowChart {
        title: "measured and predicted (hollow)".into(),
        axis: Scale::log(least, greatest, 1.12, 6),
        axis_title: "median consensus time, ms".into(),
        reference: None,
        values: 62.0,
        groups: groups(predictions, time_row),
    };
    Some(Figure {
        id: id::PREDICTION,
        title: "Medians that the simulator predicted, against measured ones".into(),
        caption:
            "Left: the ratio, with the range that counts as good (within 30 %) in green. Right: the medians \
                  themselves; hollow markers and figures are predictions from the costs in costs.json alone, \
                  filled ones were measured on real nodes."
                .into(),
        panels: vec![ratio.draw(), time.draw()],
        omitted: 0,
        data,
    })
}

fn groups(predictions: &[PredictionRow], row: fn(&PredictionRow) -> Row) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for prediction in predictions {
        let label = format!("n = {}", prediction.nodes);
        match groups.last_mut() {
            Some(group) if group.label == label => group.rows.push(row(prediction)),
            _ => groups.push(Group { label, rows: vec![row(prediction)] }),
        }
    }
    groups
}

fn tip(row: &PredictionRow) -> String {
    let us = |value: Option<u64>| duration(value.map(|us| us as f64));
    let why = if row.why.is_empty() { String::new() } else { format!("; {}", row.why) };
    format!("{}: measured {}, predicted {}{why}", row.cell, us(row.measured_p50_us), us(row.predicted_p50_us))
}

fn ratio_row(row: &PredictionRow) -> Row {
    let mut marks = vec![Mark::Bar { from: 0.7, to: 1.3, class: "good", label: "" }];
    marks.extend(row.ratio.map(|at| Mark::Point { at, filled: row.within_30_percent }));
    let value = row.ratio.map_or_else(|| "–".into(), digits);
    Row { protocol: row.protocol.clone(), value, tip: tip(row), marks }
}

fn time_row(row: &PredictionRow) -> Row {
    let point = |us: Option<u64>, filled| us.map(|us| Mark::Point { at: milliseconds(us), filled });
    let marks = [point(row.measured_p50_us, true), point(row.predicted_p50_us, false)];
    let value = duration(row.predicted_p50_us.map(|us| us as f64));
    Row { protocol: row.protocol.clone(), value, tip: tip(row), marks: marks.into_iter().flatten().collect() }
}
