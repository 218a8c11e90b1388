//! What it costs that nodes keep journals.

use super::{Finding, Weight, limited, name};
use crate::report::figures::{self, id};
use crate::report::format::{digits, duration};
use crate::report::material::Material;
use crate::report::words::list;
use crate::results::disk::Disk;
use crate::results::schema::SummaryRow;

/// A sentence for each cell with journals that has one without them to be compared with.
pub(super) fn findings(material: &Material) -> Vec<Finding> {
    let sentences = figures::comparisons(material).into_iter().flat_map(|comparison| {
        let title = comparison.title.clone();
        let journals = comparison.rows.iter().filter(|row| row.durability != "off");
        let found = journals.filter_map(|row| {
            let alike = |other: &&&SummaryRow| other.durability == "off" && other.protocol == row.protocol;
            sentence(row, comparison.rows.iter().find(alike)?, &title)
        });
        found.collect::<Vec<_>>()
    });
    limited(sentences.collect(), id::DURABILITY)
}

fn sentence(row: &SummaryRow, without: &SummaryRow, title: &str) -> Option<Finding> {
    let share = row.throughput_per_s? / without.throughput_per_s.filter(|per_s| *per_s > 0.0)?;
    let p50 = |row: &SummaryRow| Some(duration(Some(row.p50_us? as f64)));
    let journals = if row.durability == "fsync" { "journals that are synced" } else { "journals" };
    let text = format!(
        "With {journals}, {} decided {} of the requests per second that it decided without any, with a p50 of {} \
         instead of {}{} ({title}).",
        name(&row.protocol),
        digits(share),
        p50(row)?,
        p50(without)?,
        syncs_more(row, without).unwrap_or_default(),
    );
    let cells = vec![row.cell.clone(), without.cell.clone()];
    Some(Finding::new(Weight::Headline, id::DURABILITY, text, cells))
}

/// What journals add to the median latency, in syncs as the nodes had them meanwhile.
fn syncs_more(row: &SummaryRow, without: &SummaryRow) -> Option<String> {
    let sync_us = row.sync_mean_us.filter(|us| *us > 0.0)?;
    let more_us = row.p50_us?.checked_sub(without.p50_us?)? as f64;
    let (syncs, took) = (digits(more_us / sync_us), duration(Some(sync_us)));
    Some(format!(": more by {syncs} times what one sync took at its nodes meanwhile, {took} on average"))
}

/// What one `fdatasync` cost, beside the cells: alone, and with others at once.
pub(super) fn of_disk(disk: &Disk) -> Option<Finding> {
    let time = |us: u64| duration(Some(us as f64));
    let of = |is_wanted: fn(usize) -> bool| {
        let wanted = disk.measurements.iter().filter(|times| is_wanted(times.files));
        let each: Vec<String> = wanted
            .map(|times| {
                let (median, p99) = (time(times.median_us), time(times.p99_us));
                format!("{median} (median of {}; p99 {p99})", times.times_us.len())
            })
            .collect();
        list(&each)
    };
    let bytes = crate::report::scale::number(disk.measurements.first()?.appended_bytes as f64);
    let alone = of(|files| files == 1);
    let several = disk.measurements.iter().map(|times| times.files).find(|files| *files > 1);
    let together = several.map_or(String::new(), |files| {
        let times = of(|files| files > 1);
        format!(", and each of {files} at once, as nodes on one disk have it, {times}")
    });
    let text = format!(
        "One fdatasync after {bytes} appended bytes took {alone} on this disk{together}, measured before and after the \
         cells."
    );
    Some(Finding { text, figure: None, cells: vec![], weight: Weight::Headline })
}
