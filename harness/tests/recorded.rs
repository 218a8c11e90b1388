//! Runs of real nodes are recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use harness::results::files::read_rows;
use harness::results::schema::{CellRow, NodeRow, RECORDED};
use trace::{Clock, Line, NodeChange, Trace, VotePhase};

fn harness(arguments: &[&str], out: &Path, file: &Path) -> Output {
    let common = ["--repetitions", "1", "--timeout", "30"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    let command = command.args(arguments).args(common).arg("--out").arg(out).arg("--trace").arg(file);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn read(file: &Path) -> Trace {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let trace = Trace::parse(&text).unwrap();
    assert_eq!(trace.header.clock, Clock::Real);
    trace
}

/// Nothing arrives before it leaves.
fn check_arrivals(trace: &Trace) {
    for line in &trace.lines {
        if let Line::Message(message) = line {
            let mut arrivals = message.to.iter().flat_map(|(_, arrivals)| arrivals);
            assert!(arrivals.all(|arrival| *arrival > message.t), "{message:?}");
        }
    }
}

/// Every request is answered by a slot that was proposed, and that every node of
/// `everywhere` committed upon a quorum of votes. Returns how many requests there are.
///
/// What a killed commander proposed last may be missing, if the trace says that it lacks something: then the
/// others' votes show that it was proposed.
fn check_answers(trace: &Trace, everywhere: &[u16]) -> usize {
    let (mut requests, mut answered) = (BTreeSet::new(), BTreeMap::new());
    let (mut proposed, mut prepared) = (BTreeSet::new(), BTreeSet::new());
    let mut votes: BTreeMap<(u16, u64, u32), BTreeSet<u16>> = BTreeMap::new();
    let mut certified = BTreeSet::new();
    let mut committed = BTreeMap::new();
    for line in &trace.lines {
        match line {
            Line::Request { request, .. } => assert!(requests.insert(*request), "asked twice: {request}"),
            Line::Answer { request, seq, .. } => {
                assert!(requests.contains(request) && answered.insert(*request, *seq).is_none());
            }
            Line::Vote { node, author, phase: VotePhase::Commit, seq, value, .. } => {
                votes.entry((*node, *seq, *value)).or_default().insert(*author);
            }
            Line::Mark { node, mark, .. } => match mark {
                trace::MarkRecord::Proposed { seq, .. } => drop(proposed.insert(*seq)),
                trace::MarkRecord::Voted { phase: VotePhase::Prepare, seq, .. } => {
                    prepared.insert(*seq);
                }
                trace::MarkRecord::Voted { phase: VotePhase::Commit, seq, value, .. } => {
                    votes.entry((*node, *seq, *value)).or_default().insert(*node);
                }
                trace::MarkRecord::Certified { seq, .. } => drop(certified.insert(*seq)),
                trace::MarkRecord::Committed { seq, value, path, .. } => {
                    committed.insert((*node, *seq), (*value, path.clone()));
                }
                _ => {}
            },
            _ => {}
        }
    }
    assert_eq!(requests, answered.keys().copied().collect(), "every request is answered");
    for seq in answered.values() {
        let is_lost = !trace.header.notes.is_empty() && prepared.contains(seq);
        assert!(proposed.contains(seq) || is_lost, "slot {seq} was not proposed");
        for node in everywhere {
            let (value, path) = committed.get(&(*node, *seq)).expect("a node has committed it");
            let voters = votes.get(&(*node, *seq, *value)).map_or(0, BTreeSet::len);
            let by_certificate = path != "direct" && path != "fallback" && certified.contains(seq);
            assert!(
                voters >= trace.header.quorum || by_certificate,
                "node {node}, slot {seq}: {voters}, {path}"
            );
        }
    }
    requests.len()
}

/// Copies by kind: those that left a node, and those that arrived there.
fn copies(trace: &Trace, node: u32) -> [BTreeMap<String, u64>; 2] {
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for line in &trace.lines {
        let Line::Message(message) = line else { continue };
        let arrivals =
            message.to.iter().filter(|(to, _)| u32::from(*to) == node).flat_map(|(_, at)| at).count();
        let left = if u32::from(message.from) == node { message.to.len() } else { 0 };
        for (counts, count) in counts.iter_mut().zip([left, arrivals]) {
            if count > 0 {
                *counts.entry(message.kind.clone()).or_default() += count as u64;
            }
        }
    }
    counts
}

fn by_kind(column: &str) -> BTreeMap<String, u64> {
    let pairs = column.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(kind, count)| (kind.to_owned(), count.parse().unwrap())).collect()
}

#[test]
fn a_comparison_has_a_trace_of_each_run_that_agrees_with_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = (folder.path().join("out"), folder.path().join("run.trace"));
    // Waits so long that nothing is sent again after the nodes were asked what they counted.
    let patient = ["--fast-wait-ms", "500", "--fallback-after-ms", "60000", "--resend-after-ms", "60000"];
    let what = ["compare", "--protocol", "pbft,ccro", "--nodes", "4", "--requests", "6", "--warmup", "0"];
    let output = harness(&[&what[..], &["--fault", "malicious@3"], &patient].concat(), &out, &file);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!file.exists(), "of two runs, each has a file of its own");
    let nodes: Vec<NodeRow> = read_rows(&out).unwrap();
    for protocol in ["pbft", "ccro"] {
        let file = folder.path().join(format!("run-{protocol}-n4-malicious_at_3-0.trace"));
        assert!(said.contains(&format!("Trace: {}", file.display())), "{said}");
        let trace = read(&file);
        assert_eq!(
            (trace.header.protocol.as_str(), trace.header.nodes, trace.header.quorum),
            (protocol, 4, 3)
        );
        assert_eq!(trace.header.faults, [(3, vec!["malicious".to_owned()])].into());
        assert_eq!(trace.header.notes, [""; 0]);
        check_arrivals(&trace);
        assert_eq!(check_answers(&trace, &[0, 1, 2]), 6);
        for row in nodes.iter().filter(|row| row.protocol == protocol) {
            let [left, arrived] = copies(&trace, row.node);
            assert_eq!(left, by_kind(&row.messages_out_by_kind), "{protocol}: node {} sent", row.node);
            let counted = row.agreement_messages_in + row.other_messages_in;
            assert_eq!(arrived.values().sum::<u64>(), counted, "{protocol}: node {} got", row.node);
        }
    }
    let cells: Vec<CellRow> = read_rows(&out).unwrap();
    assert!(cells.iter().all(|cell| cell.note.contains(RECORDED)), "{cells:?}");
    assert!(said.contains("times and throughput include the recording"), "{said}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the parts are gone: {left:?}");
}

#[test]
fn a_killed_commander_and_the_view_change_are_in_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = (folder.path().join("out"), folder.path().join("run.trace"));
    let times = ["--at", "0.3", "--restart-after", "0.4", "--duration", "1.5", "--rate", "40"];
    harness(&[&["outage", "--protocol", "pbft"][..], &times].concat(), &out, &file);
    // It is the only run.
    let trace = read(&file);
    check_arrivals(&trace);
    assert!(check_answers(&trace, &[1, 2, 3]) >= 60);
    let node_changes: Vec<_> = trace
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Node { t, node, change } => Some((*t, *node, change)),
            _ => None,
        })
        .collect();
    let [(crashed, 0, NodeChange::Crashed), (restarted, 0, NodeChange::Restarted)] = node_changes[..] else {
        panic!("{node_changes:?}")
    };
    let marks = |wanted: fn(&trace::MarkRecord) -> bool| {
        let of_wanted = move |line: &Line| match line {
            Line::Mark { t, node, mark } if wanted(mark) => Some((*t, *node)),
            _ => None,
        };
        trace.lines.iter().filter_map(of_wanted).collect::<Vec<_>>()
    };
    let began = marks(|mark| matches!(mark, trace::MarkRecord::ViewBegan { view: 1.. }));
    for node in 1..4 {
        assert!(began.iter().any(|(t, of)| *of == node && *t > crashed), "node {node}: {began:?}");
    }
    let recovered = marks(|mark| matches!(mark, trace::MarkRecord::Recovered { .. }));
    assert!(recovered.iter().any(|(t, node)| *node == 0 && *t > restarted), "{recovered:?}");
    let away = crashed..restarted;
    let of_dead = |line: &&Line| match line {
        Line::Message(message) => {
            let mut to_dead = message.to.iter().filter(|(to, _)| *to == 0).flat_map(|(_, at)| at);
            (message.from == 0 && away.contains(&message.t)) || to_dead.any(|at| away.contains(at))
        }
        _ => false,
    };
    assert_eq!(trace.lines.iter().find(of_dead), None, "a dead node neither sends nor receives");
    // What the killed node had not written yet is lost, and the trace says so.
    let of_killed =
        |note: &&String| !note.contains("from node 0 have arrived whose departure was not recorded");
    assert_eq!(trace.header.notes.iter().find(of_killed), None);
}

#[test]
fn a_recording_ends_at_its_limit_and_what_it_has_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = (folder.path().join("out"), folder.path().join("run.trace"));
    let what = ["compare", "--protocol", "pbft", "--nodes", "4", "--fault", "none", "--placement", "tasks"];
    let output = harness(&[&what[..], &["--requests", "300", "--trace-mb", "1"]].concat(), &out, &file);
    let trace = read(&file);
    let [note] = trace.header.notes.as_slice() else { panic!("{:?}", trace.header.notes) };
    assert!(
        note.contains("the trace ends early: node ") && note.contains("as much as it may, 248 KB"),
        "{note}"
    );
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("missing in it: the trace ends early"), "{said}");
    check_arrivals(&trace);
    let answers = trace.lines.iter().filter(|line| matches!(line, Line::Answer { .. })).count();
    assert!((10..300).contains(&answers), "{answers}");
}

#[test]
fn what_a_client_with_a_key_asks_and_what_the_store_holds_are_in_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (out, file) = (folder.path().join("out"), folder.path().join("run.trace"));
    let what = ["compare", "--protocol", "pbft", "--nodes", "4", "--fault", "none", "--warmup", "0"];
    harness(&[&what[..], &["--requests", "20", "--via", "client", "--app", "kv"]].concat(), &out, &file);
    let trace = read(&file);
    check_arrivals(&trace);
    // Those that prepare the store are requests as well.
    assert!(check_answers(&trace, &[0, 1, 2, 3]) >= 20);
    let mut stores: BTreeMap<u16, BTreeMap<String, String>> = BTreeMap::new();
    for line in &trace.lines {
        if let Line::App { node, set, gone, .. } = line {
            let store = stores.entry(*node).or_default();
            store.extend(set.clone());
            store.retain(|key, _| !gone.contains(key));
        }
    }
    assert_eq!(stores.len(), 4);
    assert!(!stores[&0].is_empty() && stores.values().all(|store| *store == stores[&0]));
}

#[test]
fn a_trace_that_cannot_be_written_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        let command = command.args(["compare", "--nodes", "4", "--out"]).arg(folder.path().join("out"));
        let output = command.arg("--trace").arg(file).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(!folder.path().join("out").exists());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let is_folder = refused(folder.path());
    assert!(is_folder.contains("is a folder; give the name of a file"), "{is_folder}");
    let nowhere = refused(&folder.path().join("none/run.trace"));
    assert!(nowhere.contains("give --trace a file in a folder that exists"), "{nowhere}");
}
