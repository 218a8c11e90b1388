//! Result folders.

use super::folder;
use crate::{Limit, Target};
use harness::report;
use harness::results::files::parse_rows;
use harness::results::schema::{CellRow, EventRow, NodeRow, PredictionRow, Row, SampleRow};
use harness::results::store::Store;
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// Rows.
pub static ROWS: Target = Target {
    name: "rows",
    reads: "samples.csv, nodes.csv, cells.csv, events.csv and predictions.csv of a result folder",
    run: rows,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 1_000,
};

/// The columns of a kind of file, and what reads it.
type Kind = (&'static [&'static str], fn(&[u8]) -> bool);

/// Reads it as the file of which its header has most columns. True if it is one.
fn rows(input: &[u8]) -> bool {
    let header = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let named: Vec<&[u8]> = header.split(|byte| *byte == b',').collect();
    let kinds: [Kind; 5] = [
        (SampleRow::COLUMNS, read::<SampleRow>),
        (NodeRow::COLUMNS, read::<NodeRow>),
        (CellRow::COLUMNS, read::<CellRow>),
        (EventRow::COLUMNS, read::<EventRow>),
        (PredictionRow::COLUMNS, read::<PredictionRow>),
    ];
    let likeness =
        |columns: &[&str]| columns.iter().filter(|column| named.contains(&column.as_bytes())).count();
    let likest = kinds.into_iter().max_by_key(|(columns, _)| likeness(columns));
    likest.is_some_and(|(_, read)| read(input))
}

fn read<R: Row>(input: &[u8]) -> bool {
    match parse_rows::<R>(Cursor::new(input), Path::new(R::FILE)) {
        Ok(_) => true,
        Err(error) => format!("{error:#}").is_empty(),
    }
}

/// Whole folders.
pub static REPORTS: Target = Target {
    name: "reports",
    reads: "a whole result folder, as harness report and --resume read it: rows, floors, the machine, the progress; \
            every figure of it is drawn",
    run: reports,
    limit: Limit { bytes: 64 << 20, per_byte: 4096 },
    tries: 20,
};

/// What begins a file in an input; its name follows.
const BEGINS: &str = "==> ";
/// The files that may be in an input.
const FILES: [&str; 8] = [
    "cells.csv",
    "samples.csv",
    "nodes.csv",
    "events.csv",
    "predictions.csv",
    "floor.json",
    "machine.json",
    "progress.log",
];

/// The files of an input: each begins with a line such as `==> cells.csv`. What is before the
/// first counts for nothing, and of two with one name the later one counts.
pub fn files_of(input: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let name = line.strip_prefix(BEGINS.as_bytes()).map(<[u8]>::trim_ascii);
        match name.and_then(|name| FILES.into_iter().find(|file| file.as_bytes() == name)) {
            Some(name) => {
                files.retain(|(known, _)| *known != name);
                files.push((name, Vec::new()));
            }
            None => {
                if let Some((_, text)) = files.last_mut() {
                    text.extend_from_slice(line);
                }
            }
        }
    }
    files
}

fn reports(input: &[u8]) -> bool {
    let folder = folder();
    for (name, text) in files_of(input) {
        fs::write(folder.path().join(name), text).expect("a temporary file can be written");
    }
    let built = match report::build(folder.path()) {
        Ok(built) => {
            let _ = (built.warning_lines(), built.violations_within_f().count());
            true
        }
        Err(error) => format!("{error:#}").is_empty(),
    };
    fs::write(folder.path().join("plan.toml"), "").expect("a temporary file can be written");
    match Store::resume(folder.path(), |_| Ok(())) {
        Ok(store) => assert!(!store.has("", 0) || store.finished() > 0),
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
    built
}
