//! What two programs took for the same cells, and whether they differ.
//!
//! A *pair* is one run of a cell by each program, one right after the other. The ratio of each
//! pair is free of what drifts over minutes. With `k` pairs, the median of all ratios that could be
//! measured lies between the least and the greatest one with probability `1 - 2^(1-k)`, whatever
//! their distribution is: each of them is below the median with probability one half.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;

use crate::report::format::duration;
use crate::results::schema::{BenchRow, Verdict};

/// What a program took for one cell: some columns of a row of its `summary.csv`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Measured {
    cell: String,
    decided_share: f64,
    p50_us: Option<f64>,
    throughput_per_s: Option<f64>,
    cpu_us_per_request: Option<f64>,
    ratio_to_floor: Option<f64>,
    foreign_cpu_share: Option<f64>,
}

/// One of the figures that are compared.
struct Quantity {
    name: &'static str,
    of: fn(&Measured) -> Option<f64>,
    /// Whether more of it is better.
    is_gain: bool,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity { name: "p50_us", of: |measured| measured.p50_us, is_gain: false },
    Quantity { name: "throughput_per_s", of: |measured| measured.throughput_per_s, is_gain: true },
    Quantity { name: "cpu_us_per_request", of: |measured| measured.cpu_us_per_request, is_gain: false },
];

impl Measured {
    /// Reads what one run of `compare` has written.
    pub(super) fn read(dir: &Path) -> Result<Vec<Measured>> {
        let path = dir.join("summary.csv");
        let what =
            || format!("cannot read {}, which `compare` of that program should have written", path.display());
        let file = File::open(&path).with_context(what)?;
        csv::Reader::from_reader(file).deserialize().collect::<Result<_, _>>().with_context(what)
    }

    /// The greatest share of the CPU that other programs used.
    pub(super) fn foreign_cpu_share(all: &[Vec<Measured>]) -> f64 {
        all.iter().flatten().filter_map(|measured| measured.foreign_cpu_share).fold(0.0, f64::max)
    }
}

/// The runs of both programs, pair by pair; of one alone if there is no other.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Of this program.
    pub(super) this: Vec<Vec<Measured>>,
    /// Of the other one.
    pub(super) other: Vec<Vec<Measured>>,
}

impl Runs {
    /// The runs of this program and, if there is one, of the other. A pair of which one is missing is none.
    pub(super) fn of(mut measured: Vec<Vec<Vec<Measured>>>) -> Runs {
        let pairs = measured.iter().map(Vec::len).min().unwrap_or_default();
        measured.iter_mut().for_each(|of| of.truncate(pairs));
        let mut measured = measured.into_iter();
        Runs { this: measured.next().unwrap_or_default(), other: measured.next().unwrap_or_default() }
    }

    /// A row for each figure of each cell. It is a difference if the ratios of all pairs are on the same side of 1, and
    /// their median is further from 1 than `tolerated`, a share.
    pub(super) fn judge(&self, tolerated: f64) -> Vec<BenchRow> {
        let cells = self.this.first().into_iter().flatten().map(|measured| measured.cell.as_str());
        cells.flat_map(|cell| QUANTITIES.iter().map(move |of| self.row(cell, of, tolerated))).collect()
    }

    fn row(&self, cell: &str, quantity: &Quantity, tolerated: f64) -> BenchRow {
        let this = of_cell(&self.this, cell);
        let other = of_cell(&self.other, cell);
        let all = || this.iter().chain(&other);
        let decided = all().all(|measured| measured.decided_share == 1.0);
        let values = |of: &[&Measured]| of.iter().filter_map(|m| (quantity.of)(m)).collect::<Vec<f64>>();
        let pairs = this.iter().zip(&other);
        let ratios: Vec<f64> = pairs
            .filter_map(|(this, other)| Some((quantity.of)(this)? / (quantity.of)(other)?))
            .filter(|ratio| decided && ratio.is_finite())
            .collect();
        let range = |pick: fn(f64, f64) -> f64| ratios.iter().copied().reduce(pick);
        let (ratio, ratio_low, ratio_high) = (median(&ratios), range(f64::min), range(f64::max));
        let floors = this.iter().filter_map(|measured| measured.ratio_to_floor).collect::<Vec<f64>>();
        BenchRow {
            cell: cell.to_owned(),
            quantity: quantity.name.to_owned(),
            this: median(&values(&this)),
            other: median(&values(&other)),
            ratio,
            ratio_low,
            ratio_high,
            pairs: ratios.len() as u64,
            confidence: (!ratios.is_empty()).then(|| 1.0 - 2f64.powi(1 - ratios.len() as i32)),
            ratio_to_floor: median(&floors).filter(|_| quantity.name == "p50_us"),
            verdict: match (decided, ratio, ratio_low, ratio_high) {
                (false, ..) => Verdict::Undecided,
                (true, Some(ratio), Some(low), Some(high)) => {
                    verdict([ratio, low, high], quantity.is_gain, tolerated)
                }
                _ => Verdict::Alone,
            },
        }
    }
}

fn of_cell<'a>(runs: &'a [Vec<Measured>], cell: &str) -> Vec<&'a Measured> {
    runs.iter().filter_map(|run| run.iter().find(|measured| measured.cell == cell)).collect()
}

fn verdict([ratio, low, high]: [f64; 3], is_gain: bool, tolerated: f64) -> Verdict {
    let (more, less) = match is_gain {
        true => (Verdict::Better, Verdict::Worse),
        false => (Verdict::Worse, Verdict::Better),
    };
    if low > 1.0 && ratio > 1.0 + tolerated {
        more
    } else if high < 1.0 && ratio < 1.0 - tolerated {
        less
    } else {
        Verdict::Alike
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => Some((values.get(middle.checked_sub(1)?)? + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// The table that is printed.
pub(super) fn table(rows: &[BenchRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["cell", "figure", "this", "other", "this ÷ other", "of all pairs", "÷ floor", ""]);
    for column in table.column_iter_mut().skip(2).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        let (figure, shown): (&str, fn(Option<f64>) -> String) = match row.quantity.as_str() {
            "p50_us" => ("p50", duration),
            "throughput_per_s" => {
                ("requests/s", |per_s| per_s.map_or("–".into(), |per_s| format!("{per_s:.0}")))
            }
            _ => ("CPU a request", duration),
        };
        let two = |ratio: Option<f64>| ratio.map_or("–".into(), |ratio| format!("{ratio:.2}"));
        let range = row.ratio_low.zip(row.ratio_high);
        let range = range.map_or("–".into(), |(low, high)| format!("{low:.2}–{high:.2}"));
        table.add_row([
            row.cell.clone(),
            figure.into(),
            shown(row.this),
            shown(row.other),
            two(row.ratio),
            range,
            two(row.ratio_to_floor),
            match row.verdict {
                Verdict::Alone => "",
                Verdict::Alike => "alike",
                Verdict::Better => "better",
                Verdict::Worse => "WORSE",
                Verdict::Undecided => "NOT COMPARED: not all requests were decided",
            }
            .into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(p50_us: f64, throughput_per_s: f64, decided_share: f64) -> Vec<Measured> {
        vec![Measured {
            cell: "pbft-n4-none".into(),
            decided_share,
            p50_us: Some(p50_us),
            throughput_per_s: Some(throughput_per_s),
            cpu_us_per_request: Some(20.0),
            ratio_to_floor: Some(p50_us / 100.0),
            foreign_cpu_share: None,
        }]
    }

    fn rows(this: [(f64, f64); 3], other: [(f64, f64); 3]) -> Vec<BenchRow> {
        let runs = |of: [(f64, f64); 3]| of.map(|(p50, per_s)| measured(p50, per_s, 1.0)).to_vec();
        Runs { this: runs(this), other: runs(other) }.judge(0.05)
    }

    #[test]
    fn a_drift_that_both_programs_share_is_no_difference() {
        let drift = [(100.0, 10.0), (200.0, 5.0), (400.0, 2.5)];
        for row in rows(drift, drift) {
            assert_eq!((row.ratio, row.verdict), (Some(1.0), Verdict::Alike), "{row:?}");
            assert_eq!((row.pairs, row.confidence), (3, Some(0.75)));
        }
        let slower = drift.map(|(p50, per_s)| (1.2 * p50, per_s / 1.2));
        let verdicts = |rows: Vec<BenchRow>| rows.into_iter().map(|row| row.verdict).collect::<Vec<_>>();
        use Verdict::{Alike, Better, Worse};
        assert_eq!(verdicts(rows(slower, drift)), [Worse, Worse, Alike]);
        assert_eq!(verdicts(rows(drift, slower)), [Better, Better, Alike]);
    }

    #[test]
    fn a_difference_is_one_in_all_pairs_and_by_more_than_is_tolerated() {
        let base = [(100.0, 10.0); 3];
        let verdict_of = |this: [f64; 3]| rows(this.map(|p50| (p50, 10.0)), base)[0].verdict;
        assert_eq!(verdict_of([130.0, 99.0, 140.0]), Verdict::Alike, "not in all pairs");
        assert_eq!(verdict_of([104.0, 104.0, 104.0]), Verdict::Alike, "tolerated");
        assert_eq!(verdict_of([106.0, 101.0, 107.0]), Verdict::Worse);
        let row = &rows([(106.0, 1.0), (101.0, 1.0), (108.0, 1.0)], base)[0];
        assert_eq!((row.ratio, row.ratio_low, row.ratio_high), (Some(1.06), Some(1.01), Some(1.08)));
        assert_eq!((row.this, row.other, row.ratio_to_floor), (Some(106.0), Some(100.0), Some(1.06)));
    }

    #[test]
    fn what_was_not_decided_is_no_speed() {
        let runs = Runs { this: vec![measured(10.0, 99.0, 0.5)], other: vec![measured(100.0, 10.0, 1.0)] };
        for row in runs.judge(0.05) {
            assert_eq!((row.verdict, row.ratio), (Verdict::Undecided, None));
        }
    }

    #[test]
    fn one_program_alone_is_compared_with_nothing() {
        let runs = Runs { this: vec![measured(100.0, 10.0, 1.0); 2], other: vec![] };
        let rows = runs.judge(0.05);
        assert_eq!((rows[0].this, rows[0].other, rows[0].verdict), (Some(100.0), None, Verdict::Alone));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
    }
}
