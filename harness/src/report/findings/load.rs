//! What more load does to throughput.

use super::{Finding, Weight, limited, name};
use crate::report::figures::{self, id};
use crate::report::format::digits;
use crate::report::material::Material;
use crate::report::scale::number;
use crate::report::words::list;

/// A sentence for each part of the load that was varied.
pub(super) fn findings(material: &Material) -> Vec<Finding> {
    let sentence = |course: &figures::Course| {
        let mut changes = Vec::new();
        let mut cells = Vec::new();
        for protocol in course.protocols() {
            let mut points: Vec<_> = course.rows.iter().filter(|(_, row)| row.protocol == protocol).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if let [(from, first), .., (to, last)] = points.as_slice()
                && let (Some(before), Some(after)) = (first.throughput_per_s, last.throughput_per_s)
                && from < to
            {
                let (before, after) = (digits(before), digits(after));
                changes.push(format!("from {before} to {after} with {}", name(protocol)));
                cells.extend([first.cell.clone(), last.cell.clone()]);
            }
        }
        let (low, high) = course.ends()?;
        let text = format!(
            "From {} to {} {} ({}), decided requests per second go {}.",
            number(low),
            number(high),
            course.varied.noun(),
            course.title,
            list(&changes)
        );
        (!changes.is_empty()).then(|| Finding::new(Weight::Headline, id::LOAD, text, cells))
    };
    limited(figures::courses(material).iter().filter_map(sentence).collect(), id::LOAD)
}
