//! `harness simulate` from the outside.

use std::process::{Command, Output};

use harness::results::files::read_rows;
use harness::results::schema::{CellRow, NodeRow, Outcome, SampleRow, SummaryRow};

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).arg("simulate").args(args).output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = simulate(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn digest(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("digest ")).expect("a line with the digest").to_owned()
}

#[test]
fn the_same_seed_prints_the_same_digest() {
    for network in ["lan", "five-continents", "lossy"] {
        let run = |seed: &str| {
            digest(&printed(&["--nodes", "7", "--requests", "5", "--network", network, "--seed", seed]))
        };
        let first = run("1");
        assert_eq!(first.len(), 64);
        assert_eq!(run("1"), first, "{network}");
        assert_ne!(run("2"), first, "{network}");
    }
}

#[test]
fn real_and_symbolic_signatures_decide_the_same() {
    let run = |more: &[&str]| printed(&[&["--requests", "5", "--network", "localhost"], more].concat());
    for text in [run(&[]), run(&["--real-signatures"])] {
        assert!(text.contains("5 of 5 requests in time"), "{text}");
        assert!(text.contains("commander") && text.contains("pre-prepare"), "{text}");
    }
}

#[test]
fn result_files_are_those_of_a_real_run_and_say_that_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let out_text = out.to_str().unwrap();
    let text = printed(&[
        "--protocol",
        "pbft,ccro,ccro-paper",
        "--nodes",
        "4,7",
        "--requests",
        "10",
        "--out",
        out_text,
    ]);
    assert_eq!(text.matches("10 of 10 requests in time").count(), 6, "{text}");
    let cells: Vec<CellRow> = read_rows(&out).unwrap();
    assert_eq!(cells.len(), 6);
    assert!(cells.iter().all(|cell| cell.placement == "simulated" && cell.decided == 10));
    let samples: Vec<SampleRow> = read_rows(&out).unwrap();
    assert!(
        samples.iter().all(|sample| sample.outcome == Outcome::Decided && sample.last_commit_us.is_some())
    );
    let nodes: Vec<NodeRow> = read_rows(&out).unwrap();
    assert_eq!(nodes.len(), 3 * (4 + 7));
    let summary: Vec<SummaryRow> = read_rows(&out).unwrap();
    for row in &summary {
        let n = f64::from(row.nodes);
        let expected = match row.protocol.as_str() {
            "pbft" => 2.0 * n * (n - 1.0),
            "ccro" => 3.0 * n - 4.0,
            _ => 5.0 * n - 9.0,
        };
        assert_eq!(row.messages_per_decision, Some(expected), "{}", row.cell);
    }
    assert!(out.join("network.toml").exists() && out.join("report.html").exists());
    let report = Command::new(env!("CARGO_BIN_EXE_harness")).arg("report").arg(&out).output().unwrap();
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
}

#[test]
fn a_range_of_seeds_gives_a_digest_for_each() {
    let text = printed(&["--requests", "3", "--seeds", "4..7"]);
    let digests: Vec<&str> = text.lines().filter_map(|line| line.split("digest ").nth(1)).collect();
    assert_eq!(digests.len(), 3, "{text}");
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    assert_eq!(digests[1], digest(&printed(&["--requests", "3", "--seed", "5"])));
}

#[test]
fn costs_and_more_clients_make_requests_wait() {
    let p50 = |clients: &str, costs: &str| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let out_text = out.to_str().unwrap();
        printed(&[
            "--requests",
            "200",
            "--network",
            "localhost",
            "--batch",
            "1",
            "--clients",
            clients,
            "--costs",
            costs,
            "--out",
            out_text,
        ]);
        read_rows::<SummaryRow>(&out).unwrap()[0].p50_us.unwrap()
    };
    let costs = "sign_us=20,verify_us=40,per_message_us=5,cores=2";
    let (free, alone, crowd) = (p50("1", "none"), p50("1", costs), p50("32", costs));
    assert!(free * 3 < alone * 2 && alone * 3 < crowd, "{free} {alone} {crowd}");
}

#[test]
fn more_than_f_silent_nodes_are_a_timeout_and_no_failure() {
    let text = printed(&["--requests", "2", "--fault", "offline@1,2", "--timeout", "1"]);
    assert!(text.contains("0 of 2 requests in time") && text.contains("(2 never)"), "{text}");
}

#[test]
fn what_cannot_be_meant_gets_a_message_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (negative, far) =
        (file("a.toml", "delay = { constant_us = -1 }"), file("b.toml", "regions = [\"moon\"]"));
    for (args, says) in [
        (vec!["--network", negative.as_str()], "constant_us: -1 is negative"),
        (vec!["--network", far.as_str()], "unknown region"),
        (vec!["--network", "nowhere"], "five-continents"),
        (vec!["--seeds", "5..5"], "is empty"),
        (vec!["--seeds", "7"], "no range"),
        (vec!["--costs", "sign_us=-1"], "from 0"),
        (vec!["--placement", "tasks"], "means nothing to a simulation"),
        (vec!["--payload", "4"], "at least 8 bytes"),
        (vec!["--fault", "offline@9"], "ids 0 to 3"),
        (vec!["--swarm"], "--seeds"),
        (vec!["--nodes", "1000", "--requests", "1000000", "--payload", "8000000"], "GiB of memory"),
    ] {
        let output = simulate(&args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains(says), "{args:?}: {message}");
    }
}

/// A gateway that is busy receives a request later than its client sent it: which of the
/// two a latency counts from makes a difference, and both places must choose alike.
#[test]
fn the_terminal_and_the_files_tell_the_same_latency() {
    for (load, basis) in
        [(["--clients", "1"], "consensus time"), (["--rate", "20"], "response time from the intended start")]
    {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let costs = ["--costs", "sign_us=500,verify_us=700,per_message_us=300"];
        let rest = ["--requests", "40", "--out", out.to_str().unwrap()];
        let text = printed(&[&load[..], &costs, &rest].concat());
        let line = text.lines().find(|line| line.contains("in virtual time: p50")).expect(&text);
        assert!(line.contains(basis), "{line}");
        let summary: Vec<SummaryRow> = read_rows(&out).unwrap();
        let p50 = summary[0].p50_us.unwrap() as f64 / 1000.0;
        assert!((10.0..99.0).contains(&p50), "{p50}");
        assert!(line.contains(&format!("p50 {p50:.1} ms,")), "{line} against {p50} ms");
    }
}
