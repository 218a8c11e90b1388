//! Real nodes that are killed, started again and cut off under load.

use std::path::Path;
use std::process::Command;

use harness::results::files::read_rows;
use harness::results::schema::{CellRow, EventKind, EventRow, NodeRow, Outcome, SampleRow};

/// Runs a short outage that must hold all promises, and returns its events.
fn outage(dir: &Path, arguments: &[&str]) -> Vec<EventRow> {
    let dir_text = dir.to_str().unwrap();
    let common = ["--repetitions", "1", "--timeout", "30", "--out", dir_text];
    let slow: &[&str] = if arguments.contains(&"--rate") { &[] } else { &["--rate", "40"] };
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    let output = command.arg("outage").args(common).args(slow).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Exit code 0: every node serves at the end, all logs are equal, and every
    // acknowledged request has its own place in them.
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    let cells: Vec<CellRow> = read_rows(dir).unwrap();
    assert!(cells.iter().all(|cell| cell.note.is_empty()), "{cells:?}");
    let samples: Vec<SampleRow> = read_rows(dir).unwrap();
    assert!(!samples.is_empty() && samples.iter().all(|sample| sample.outcome == Outcome::Decided));
    assert!(dir.join("report.html").exists());
    read_rows(dir).unwrap()
}

#[test]
fn a_killed_commander_is_replaced_and_nobody_s_request_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let events = outage(&dir, &["--at", "0.3", "--duration", "1", "--stay-down"]);
    assert_eq!(events.len(), 2, "pbft and ccro");
    for event in &events {
        assert_eq!((event.event, event.node.as_str(), event.undecided), (EventKind::Kill, "0", 0));
        assert!(event.view >= Some(1) && event.service_after_us.is_some(), "{event:?}");
    }
    let samples: Vec<SampleRow> = read_rows(&dir).unwrap();
    assert!(samples.iter().all(|sample| sample.gateway != 0), "clients of the killed node would be lost");
}

#[test]
fn a_node_without_memory_comes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let kill = ["--kill", "node:2", "--at", "0.2", "--restart-after", "0.2", "--duration", "1"];
    let events = outage(&folder.path().join("out"), &[&kill[..], &["--protocol", "pbft"]].concat());
    let kinds: Vec<EventKind> = events.iter().map(|event| event.event).collect();
    assert_eq!(kinds, [EventKind::Kill, EventKind::Restart]);
    assert!(events[1].caught_up_us.is_some() && events[1].voting_us >= events[1].caught_up_us);
}

/// The cell's messages of a kind that a node sent, all rows of it together.
fn sent(dir: &Path, protocol: &str, node: u32, kind: &str) -> u64 {
    let nodes: Vec<NodeRow> = read_rows(dir).unwrap();
    let of_node = nodes.iter().filter(|row| row.node == node && row.protocol == protocol);
    let pairs =
        of_node.flat_map(|row| row.messages_out_by_kind.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == kind).map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}

/// Node 2 is cut off for longer than the others keep slots, so that it must fetch a
/// state, first of all from node 3, whose states are of no use.
#[test]
fn a_node_left_behind_gets_its_state_past_a_server_of_bad_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (fault, served) in [("bad-state=bit@3", true), ("bad-state=silence@3", false)] {
        let dir = folder.path().join(fault);
        let cut = ["--partition", "0,1,3|2:0.1..0.9", "--duration", "1.5", "--rate", "500", "--fault", fault];
        let events = outage(&dir, &cut);
        let healed = events.iter().filter(|event| event.event == EventKind::Heal);
        assert_eq!(healed.filter(|event| event.caught_up_us.is_some()).count(), 2, "{events:?}");
        for protocol in ["pbft", "ccro"] {
            assert!(sent(&dir, protocol, 2, "fetch-state") > 1, "{protocol}, {fault}");
            assert_eq!(sent(&dir, protocol, 3, "state") > 0, served, "{protocol}, {fault}");
        }
    }
}

#[test]
fn a_node_that_was_cut_off_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let cut = ["--partition", "0,1,2|3:0.2..0.7", "--duration", "1", "--protocol", "ccro"];
    let events = outage(&folder.path().join("out"), &cut);
    let kinds: Vec<EventKind> = events.iter().map(|event| event.event).collect();
    assert_eq!(kinds, [EventKind::Cut, EventKind::Heal]);
    assert!(events.iter().all(|event| event.node == "3") && events[1].caught_up_us.is_some());
}
