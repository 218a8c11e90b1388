//! Histories of the key-value store's clients, recorded on real nodes that are killed and
//! cut off, and judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::history::{Answer, Call, file};
use harness::results::files::read_rows;
use harness::results::schema::{CellRow, EventKind, EventRow};

fn harness(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_harness")).args(arguments).output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    (output.status.code(), format!("{out}{err}"))
}

/// Runs a soak that must hold all promises, and returns its histories.
fn soak(dir: &Path, arguments: &[&str]) -> Vec<PathBuf> {
    let common = ["soak", "--app", "kv", "--rate", "20", "--timeout", "30", "--down", "0.3", "--cut", "0.5"];
    let (code, said) = harness(&[&common[..], arguments, &["--out", dir.to_str().unwrap()]].concat());
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    assert!(said.contains("without an answer: linearizable"), "{said}");
    let cells: Vec<CellRow> = read_rows(dir).unwrap();
    assert!(cells.iter().all(|cell| cell.note.is_empty()), "{cells:?}");
    cells.iter().map(|cell| dir.join(format!("history-{}-{}.jsonl", cell.cell, cell.repetition))).collect()
}

#[test]
fn a_soak_of_the_key_value_store_is_judged_and_can_be_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let paths = soak(&dir, &["--protocol", "pbft", "--duration", "8"]);
    let events: Vec<EventRow> = read_rows(&dir).unwrap();
    for kind in [EventKind::Kill, EventKind::Restart, EventKind::Cut, EventKind::Heal] {
        assert!(events.iter().any(|event| event.event == kind), "{kind:?}: {events:?}");
    }
    let mut history = file::read(&paths[0]).unwrap();
    for node in 0..4 {
        assert!(history.iter().any(|one| one.node == node && one.returned.is_some()), "node {node}");
    }
    let saw_a_value = |answer: &Answer| matches!(answer, Answer::Value { value: Some(_) });
    let answers = || history.iter().filter_map(|one| Some(&one.returned.as_ref()?.answer));
    assert!(answers().any(saw_a_value));
    assert!(answers().any(|answer| matches!(answer, Answer::Compared { swapped: true, .. })));
    assert!(history.iter().any(|one| one.call == Call::Delete));
    let path = paths[0].to_str().unwrap();
    assert_eq!(harness(&["history", path]).0, Some(0));

    // The same with one answer that was never given.
    let read = history.iter().position(|one| one.returned.as_ref().is_some_and(|r| saw_a_value(&r.answer)));
    let read = &mut history[read.unwrap()];
    read.returned.as_mut().unwrap().answer = Answer::Value { value: Some("never written".into()) };
    let key = read.key.clone();
    file::write(&paths[0], &history).unwrap();
    let (code, said) = harness(&["history", path]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("key {key:?}")) && said.contains("get -> \"never written\""), "{said}");
}

#[test]
fn an_equivocating_commander_among_kills_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["--nodes", "7", "--fault", "equivocate@0", "--protocol", "ccro", "--duration", "4"];
    let paths = soak(&folder.path().join("out"), &faults);
    let history = file::read(&paths[0]).unwrap();
    assert!(history.iter().all(|one| one.node != 0), "clients may be told anything by a faulty node");
}
