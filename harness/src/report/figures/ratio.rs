//! How long a decision takes compared with PBFT: an interval for each cell.

use super::{about, id, interval};
use crate::report::figure::{Data, Figure, field};
use crate::report::format::digits;
use crate::report::material::Material;
use crate::report::row_chart::{Group, Mark, Row, RowChart};
use crate::report::scale::{Scale, bounds};
use crate::results::schema::SummaryRow;
use crate::results::summary::{BASELINE, is_significant};

/// The figure; `None` where nothing can be compared.
pub(super) fn figure(material: &Material) -> Option<Figure> {
    let compared = |row: &&SummaryRow| row.protocol != BASELINE && row.ratio_to_pbft.is_some();
    let rows = || material.rows.summary.iter().filter(compared);
    let ends = rows().flat_map(|row| [row.ratio_to_pbft, row.ratio_low, row.ratio_high]).flatten();
    let (low, high) = bounds(ends.chain([0.8, 1.25]).filter(|v| *v > 0.0))?;
    rows().next()?;
    let mut data =
        Data::new(&["cell", "protocol", "nodes", "fault", "ratio_to_pbft", "ratio_low", "ratio_high"]);
    for row in rows() {
        data.push(vec![
            row.cell.clone(),
            row.protocol.clone(),
            row.nodes.to_string(),
            row.fault.clone(),
            field(row.ratio_to_pbft),
            field(row.ratio_low),
            field(row.ratio_high),
        ]);
    }
    let mut panels = Vec::new();
    for sheet in material.sheets() {
        let groups: Vec<Group> = sheet
            .groups
            .iter()
            .map(|(label, group)| {
                let rows = group.rows.iter().copied().filter(compared);
                let rows = rows.map(|row| chart_row(row, &about(row, &sheet.title, label))).collect();
                Group { label: label.clone(), rows }
            })
            .filter(|group| !group.rows.is_empty())
            .collect();
        if groups.is_empty() {
            continue;
        }
        let chart = RowChart {
            title: sheet.title.clone(),
            axis: Scale::log(low, high, 1.06, 9),
            axis_title: "← faster · median ÷ PBFT’s · slower →".into(),
            reference: Some(1.0),
            values: 104.0,
            groups,
        };
        panels.push(chart.draw());
    }
    Some(Figure {
        id: id::RATIO,
        title: "Time to decide, compared with PBFT".into(),
        caption: "Each marker is a protocol’s median latency divided by that of PBFT under the same faults and \
                  load; the bar is the 95 % interval (paired bootstrap). A bar that crosses the dashed line at 1, \
                  drawn with a hollow marker, is not a significant difference. The scale is logarithmic: half and \
                  double are equally far from 1."
            .into(),
        panels,
        omitted: 0,
        data,
    })
}

fn chart_row(row: &SummaryRow, about: &str) -> Row {
    let ratio = row.ratio_to_pbft.unwrap_or(1.0);
    let significant = is_significant(row);
    let mut marks = Vec::new();
    let mut value = digits(ratio);
    let mut tip = format!("{about}: {} × PBFT’s median", digits(ratio));
    if let (Some(low), Some(high)) = (row.ratio_low, row.ratio_high) {
        marks.push(Mark::Interval(low, high));
        value += &format!(" ({})", interval(low, high));
        tip += &format!(" (95 % {})", interval(low, high));
        if !significant {
            tip += ", not significant";
        }
    }
    marks.push(Mark::Point { at: ratio, filled: significant });
    Row { protocol: row.protocol.clone(), value, tip, marks }
}
