//! Faulty nodes with one plan on real nodes: beyond `f` a violation is a result, within
//! `f` it is exit code 1.

use std::process::Command;

use harness::results::files::read_rows;
use harness::results::schema::{NodeRow, Outcome, SampleRow};

/// Runs one cell and returns the exit code, what was said, and the rows.
fn compare(protocol: &str, nodes: &str, fault: &str) -> (i32, String, Vec<SampleRow>, Vec<NodeRow>) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["compare", "--protocol", protocol, "--nodes", nodes, "--fault", fault]);
    command.args(["--placement", "tasks", "--requests", "3", "--warmup", "0", "--repetitions", "1"]);
    let output = command.args(["--timeout", "1.5", "--out"]).arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said, read_rows(&out).unwrap(), read_rows(&out).unwrap())
}

fn violations(samples: &[SampleRow]) -> usize {
    samples.iter().filter(|sample| sample.outcome == Outcome::Violation).count()
}

#[test]
fn two_liars_of_four_make_honest_nodes_disagree_which_is_a_result() {
    for protocol in ["pbft", "ccro"] {
        let (code, said, samples, nodes) = compare(protocol, "4", "equivocate@0,1");
        assert!(violations(&samples) > 0, "{protocol}: {said}");
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("SAFETY VIOLATION with more than f faulty nodes"), "{said}");
        let plans: Vec<&str> = nodes.iter().map(|node| node.faults.as_str()).collect();
        assert_eq!(plans, ["equivocate=0;1", "equivocate=0;1", "none", "none"]);
    }
}

/// The published flow's commander and communication node are two of nine nodes,
/// of which it is said to tolerate two.
#[test]
fn two_liars_of_nine_break_the_published_flow_within_its_own_f() {
    let (code, said, samples, _) = compare("ccro-paper", "9", "equivocate=victim@0,1");
    assert!(violations(&samples) > 0, "{said}");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("SAFETY VIOLATED with at most f = 2 faulty nodes"), "{said}");
}

/// A STORE needs no proof, so a commander that stores another block at one node
/// needs no accomplice.
#[test]
fn one_commander_of_six_breaks_the_published_flow() {
    let (code, said, samples, _) = compare("ccro-paper", "6", "equivocate=victim;0@0");
    assert!(violations(&samples) > 0, "{said}");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("SAFETY VIOLATED with at most f = 1 faulty nodes"), "{said}");
}

#[test]
fn one_liar_of_four_breaks_nothing() {
    for protocol in ["pbft", "ccro"] {
        let (code, said, samples, _) = compare(protocol, "4", "equivocate@0");
        assert_eq!((code, violations(&samples)), (0, 0), "{protocol}: {said}");
    }
}
