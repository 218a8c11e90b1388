//! Latencies in HdrHistogram's own percentile-distribution text format, the one that
//! its Java and C tools print and its plotting page reads: the same latencies as in
//! `summary.csv`. A comment line names them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::files::{file_name, replace_folder};
use super::schema::{SampleRow, basis_words, latency_basis};

/// Decimal digits that a value keeps.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Writes `histograms/<cell>.hgrm` for every cell with a decided request, unit
/// microseconds, and deletes the `.hgrm` files of cells that are gone. A file that
/// cannot be written costs no other: returns a sentence for each.
pub fn write_all(dir: &Path, samples: &[SampleRow]) -> Result<Vec<String>> {
    let mut cells: BTreeMap<&str, (Histogram<u64>, &'static str)> = BTreeMap::new();
    for sample in samples {
        let Some(value) = sample.latency_us() else {
            continue;
        };
        let (histogram, _) = match cells.entry(&sample.cell) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert((empty()?, latency_basis(sample.rate_per_s))),
        };
        histogram.record(value).with_context(|| format!("latency {value} µs of {}", sample.cell))?;
    }
    let files: Vec<(String, Vec<u8>)> = cells
        .iter()
        .map(|(cell, (histogram, basis))| (file_name(cell, "hgrm"), render(histogram, basis).into_bytes()))
        .collect();
    Ok(replace_folder(&dir.join("histograms"), "hgrm", &files))
}

fn empty() -> Result<Histogram<u64>> {
    Histogram::new(SIGNIFICANT_DIGITS).context("cannot make a histogram")
}

/// The text of a histogram of latencies with this basis.
fn render(histogram: &Histogram<u64>, basis: &str) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    // Writing to a String cannot fail.
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let (value, level) = (step.value_iterated_to() as f64, step.quantile_iterated_to());
        let _ = write!(text, "{value:12.3} {level:14.12} {total:10}");
        let _ = if level < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - level)) } else { writeln!(text) };
    }
    let (mean, deviation) = (histogram.mean(), histogram.stdev());
    let max = histogram.max() as f64;
    // Two decades of a leading digit pair need 2 * 10^digits sub-buckets,
    // rounded up to a power of two.
    let sub_buckets = (2 * 10u64.pow(u32::from(SIGNIFICANT_DIGITS))).next_power_of_two();
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {:12}]", histogram.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]", histogram.buckets());
    let _ = writeln!(text, "#[Latency = {}, microseconds]", basis_words(basis));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::statistics::quantile;
    use crate::results::testdata;

    #[test]
    fn the_text_is_the_format_of_the_java_tool() {
        let mut histogram = empty().unwrap();
        for value in [1000, 1000, 2000, 4000] {
            histogram.record(value).unwrap();
        }
        let text = render(&histogram, "consensus");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "    1000.000 0.000000000000          2           1.00");
        let last = lines.iter().rposition(|line| !line.starts_with('#')).unwrap();
        assert_eq!(lines[last], "    4001.000 1.000000000000          4");
        // From 2048 µs on, a bucket is 2 µs wide: 4000 counts as 4001 in the mean.
        assert_eq!(lines[last + 1], "#[Mean    =     2000.250, StdDeviation   =     1225.153]");
        assert!(lines[last + 2].starts_with("#[Max     =     4001.000, Total count    =            4]"));
        assert!(lines[last + 3].ends_with("SubBuckets     =         2048]"));
        assert_eq!(lines[last + 4], "#[Latency = consensus time, microseconds]");
        assert_eq!(lines.len(), last + 5);
    }

    #[test]
    fn the_file_agrees_with_the_exact_percentiles() {
        let dir = tempfile::tempdir().unwrap();
        let data = testdata::standard();
        write_all(dir.path(), &data.samples).unwrap();
        let cell = "ccro-7-malicious:2";
        let mut exact: Vec<u64> =
            data.samples.iter().filter(|s| s.cell == cell).filter_map(SampleRow::latency_us).collect();
        exact.sort_unstable();
        let text =
            std::fs::read_to_string(dir.path().join("histograms").join(file_name(cell, "hgrm"))).unwrap();
        let mut compared = 0;
        for line in text.lines().skip(2).filter(|line| !line.starts_with('#')) {
            let fields: Vec<f64> = line.split_whitespace().map(|f| f.parse().unwrap()).collect();
            // The histogram's own rounding of a level may land on the next rank.
            let rank = 1.0 / exact.len() as f64;
            let low = quantile(&exact, fields[1] - rank).unwrap() as f64;
            let high = quantile(&exact, fields[1] + rank).unwrap() as f64;
            let within = low * 0.999 - 1.0..=high * 1.001 + 1.0;
            assert!(within.contains(&fields[0]), "{line}: exact {low} to {high}");
            let at_most = exact.iter().filter(|v| **v as f64 <= fields[0]).count() as f64;
            assert_eq!(fields[2], at_most, "{line}");
            compared += 1;
        }
        assert!(compared > 20);
        // Undecided cells and violations leave nothing.
        assert!(!dir.path().join("histograms/pbft-4-offline_2.hgrm").exists());
        assert!(!dir.path().join("histograms/ccro-paper-4-equivocate_at_0.hgrm").exists());
    }

    /// In an open loop the table and the pictures show response times from the intended
    /// start; a histogram of consensus times beside them would contradict them.
    #[test]
    fn the_file_has_the_basis_of_the_summary_and_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::Data::default();
        data.add(&testdata::CellSpec::new("pbft", 4, "none"));
        data.add(&testdata::CellSpec { rate: Some(100.0), ..testdata::CellSpec::new("ccro", 4, "none") });
        for sample in &mut data.samples {
            (sample.consensus_us, sample.response_us) = (Some(5), Some(700));
        }
        write_all(dir.path(), &data.samples).unwrap();
        let text = |cell: &str| {
            std::fs::read_to_string(dir.path().join("histograms").join(format!("{cell}.hgrm"))).unwrap()
        };
        let (closed, open) = (text("pbft-4-none"), text("ccro-4-none"));
        assert!(closed.contains("#[Max     =        5.000,"), "{closed}");
        assert!(closed.contains("consensus time"), "{closed}");
        assert!(open.contains("#[Max     =      700.000,"), "{open}");
        assert!(open.contains("response time from the intended start"), "{open}");
    }

    #[test]
    fn files_of_cells_that_are_gone_are_deleted_and_others_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::standard();
        write_all(dir.path(), &data.samples).unwrap();
        let folder = dir.path().join("histograms");
        std::fs::write(folder.join("mine.txt"), "x").unwrap();
        data.samples.retain(|s| s.cell == "pbft-4-none");
        write_all(dir.path(), &data.samples).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["mine.txt", "pbft-4-none.hgrm"]);
    }
}
