//! Histories as files: JSON Lines, an operation in each.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::operation::Operation;

/// Writes a history.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, history: &[Operation]) -> Result<()> {
    let written = || -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for operation in history {
            serde_json::to_writer(&mut file, operation)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    };
    written().with_context(|| format!("cannot write the history {}", path.display()))
}

/// Reads a history.
///
/// # Errors
/// If the file cannot be read, or a line of it is no operation.
pub fn read(path: &Path) -> Result<Vec<Operation>> {
    let file =
        File::open(path).with_context(|| format!("cannot read {}; give a history file", path.display()))?;
    parse(BufReader::new(file), path)
}

/// Reads the text of a history; `path` is what errors call it.
///
/// # Errors
/// If a line of it is no operation.
pub fn parse(text: impl BufRead, path: &Path) -> Result<Vec<Operation>> {
    let mut history = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let place = || format!("{} line {number} is no operation of a history", path.display());
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let operation: Operation = serde_json::from_str(&line).with_context(place)?;
        let is_in_order = operation.returned_ns().is_none_or(|returned| returned >= operation.called_ns);
        ensure!(is_in_order, "{}: it returned before it was called", place());
        ensure!(operation.called_ns < i64::MAX as u64, "{}: called_ns is beyond 2^63", place());
        history.push(operation);
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::operation::{Answer, Call, Returned};

    #[test]
    fn a_history_survives_its_file_and_bad_lines_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let answer = Answer::Compared { swapped: false, current: Some("ü\n".into()) };
        let operation =
            |call, returned| Operation { client: 1, node: 2, key: "k".into(), call, called_ns: 7, returned };
        let swap = Call::CompareAndSwap { expected: None, new: Some("x".into()) };
        let history = vec![operation(swap, Some(Returned { at_ns: 9, answer })), operation(Call::Get, None)];
        write(&path, &history).unwrap();
        assert_eq!(read(&path).unwrap(), history);

        let good = std::fs::read_to_string(&path).unwrap();
        for (bad, expected) in [
            (good.replace("get", "got"), "line 2 is no operation"),
            (good.replace("\"called_ns\":7", "\"called_ns\":10"), "returned before it was called"),
            (good.replace("\"node\":2", "\"node\":2,\"port\":1"), "line 1 is no operation"),
            (good.replace("called_ns\":7", "called_ns\":18446744073709551615"), "returned before"),
            (good[..good.len() - 20].to_owned(), "line 2 is no operation"),
        ] {
            std::fs::write(&path, bad).unwrap();
            let message = format!("{:#}", read(&path).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
        let missing = read(&folder.path().join("none")).unwrap_err();
        assert!(format!("{missing:#}").contains("give a history file"), "{missing:#}");
    }
}
