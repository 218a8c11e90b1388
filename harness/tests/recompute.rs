//! The reference result's `summary.csv`, computed again from the raw files by code that
//! shares nothing with the one that wrote it: once here, by what a percentile and a mean
//! are and not by how they are found, and once by the script and the lines for readers without Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

type Record = BTreeMap<String, String>;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference")
}

fn read(file: &str) -> Vec<Record> {
    let mut reader = csv::Reader::from_path(reference().join(file)).expect(file);
    let header = reader.headers().expect(file).clone();
    let record =
        |row: csv::StringRecord| header.iter().zip(&row).map(|(k, v)| (k.into(), v.into())).collect();
    reader.records().map(|row| record(row.expect(file))).collect()
}

fn of<'a>(rows: &'a [Record], cell: &'a str) -> impl Iterator<Item = &'a Record> + Clone {
    rows.iter().filter(move |row| row["cell"] == cell)
}

fn sum(rows: impl Iterator<Item = f64>) -> f64 {
    rows.sum()
}

fn number(row: &Record, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is {:?}", row[column]))
}

/// Whether `value` is the nearest-rank quantile: it was measured, at least `per_mille` of
/// all are at most as large, and with all smaller ones it is not so.
fn is_quantile(values: &[f64], value: f64, per_mille: usize) -> bool {
    let enough = |count: usize| 1000 * count >= per_mille * values.len();
    let at_most = values.iter().filter(|v| **v <= value).count();
    let below = values.iter().filter(|v| **v < value).count();
    values.contains(&value) && enough(at_most) && !enough(below)
}

#[test]
fn the_summary_is_what_the_raw_files_say() {
    let (summary, samples) = (read("summary.csv"), read("samples.csv"));
    let (nodes, cells) = (read("nodes.csv"), read("cells.csv"));
    let mut medians: BTreeMap<(&str, &str, &str), f64> = BTreeMap::new();
    for row in &summary {
        let cell = row["cell"].as_str();
        let basis = format!("{}_us", row["latency_basis"]);
        let decided: Vec<f64> = of(&samples, cell)
            .filter(|sample| sample["outcome"] == "decided")
            .map(|sample| number(sample, &basis))
            .collect();
        assert_eq!(decided.len() as f64, number(row, "decided"), "{cell}");
        for (column, per_mille) in [("p50_us", 500), ("p90_us", 900), ("p99_us", 990), ("p999_us", 999)] {
            assert!(is_quantile(&decided, number(row, column), per_mille), "{cell}: {column}");
        }
        let mean = sum(decided.iter().copied()) / decided.len() as f64;
        assert!((mean - number(row, "mean_us")).abs() <= 0.000_5 + 1e-9, "{cell}: mean {mean}");
        let slots = sum(of(&cells, cell).map(|run| number(run, "decided_slots")));
        for (column, counter) in
            [("messages_per_decision", "agreement_messages_out"), ("bytes_per_decision", "bytes_out")]
        {
            let per_slot = sum(of(&nodes, cell).map(|node| number(node, counter))) / slots;
            assert!((per_slot - number(row, column)).abs() <= 0.000_5 + 1e-9, "{cell}: {column} {per_slot}");
        }
        let seconds = sum(of(&cells, cell).map(|run| number(run, "measured_s")));
        let rate = decided.len() as f64 / seconds;
        assert!((rate - number(row, "throughput_per_s")).abs() <= 0.000_5 + 1e-9, "{cell}: {rate}");
        medians.insert((&row["protocol"], &row["nodes"], &row["fault"]), number(row, "p50_us"));
    }
    let mut compared = 0;
    for row in &summary {
        let own = medians[&(row["protocol"].as_str(), row["nodes"].as_str(), row["fault"].as_str())];
        let theirs = medians[&("pbft", row["nodes"].as_str(), row["fault"].as_str())];
        let (ratio, written) = (own / theirs, number(row, "ratio_to_pbft"));
        assert!((ratio - written).abs() <= 0.000_05 + 1e-9, "{}: {ratio} and {written}", row["cell"]);
        let (low, high) = (number(row, "ratio_low"), number(row, "ratio_high"));
        assert!(low <= high && low < written * 1.2 && high > written / 1.2, "{}: {low} {high}", row["cell"]);
        compared += 1;
    }
    assert!(compared >= 20, "the reference has all protocols, sizes and faults");
}

/// The lines for pandas in `results/README.md`.
#[test]
fn the_lines_for_pandas_compute_the_same() {
    let has_pandas = Command::new("python3").args(["-c", "import pandas"]).output();
    if !has_pandas.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no pandas here");
        return;
    }
    let readme = std::fs::read_to_string(reference().join("../README.md")).expect("results/README.md");
    let lines = readme.split("```python").nth(1).and_then(|rest| rest.split("```").next());
    let root = reference().join("../..");
    let output = Command::new("python3").args(["-c", lines.expect("the lines")]).current_dir(root).output();
    let output = output.expect("python3 has run before");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with(" cells, all equal\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Every column, intervals included, to the digit.
#[test]
fn the_script_for_readers_computes_the_same() {
    let script = reference().join("../recompute.py");
    match Command::new("python3").arg(&script).arg(reference()).output() {
        Err(_) => eprintln!("skipped: there is no python3 here"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains(", 0 differ"), "{said}");
        }
    }
}
