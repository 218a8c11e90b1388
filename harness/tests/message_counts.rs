//! Real nodes send exactly the messages that the formulas say, fault-free.

use std::process::Command;

use harness::results::files::read_rows;
use harness::results::schema::SummaryRow;

/// Runs fault-free cells on real nodes and returns their summary. The waits are
/// so long that nothing but the formulas' messages is ever sent, however slow
/// the machine.
fn summary(protocols: &str, nodes: &str, more: &[&str]) -> Vec<SummaryRow> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let patient = ["--fast-wait-ms", "60000", "--fallback-after-ms", "60000", "--resend-after-ms", "60000"];
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args([
            "compare",
            "--protocol",
            protocols,
            "--nodes",
            nodes,
            "--fault",
            "none",
            "--placement",
            "tasks",
        ])
        .args(["--requests", "20", "--warmup", "3", "--repetitions", "1", "--timeout", "60"])
        .args(patient)
        .args(more)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read_rows(&out).unwrap()
}

fn check(protocols: &str, nodes: &str, more: &[&str], path: &str, formula: impl Fn(&SummaryRow) -> u32) {
    let rows = summary(protocols, nodes, more);
    assert_eq!(rows.len(), protocols.split(',').count() * nodes.split(',').count());
    for row in rows {
        assert_eq!(row.decided, 20, "{}", row.cell);
        let expected = f64::from(formula(&row));
        assert_eq!(row.messages_per_decision, Some(expected), "{} {more:?}", row.cell);
        if row.protocol == "ccro" {
            assert_eq!(row.paths, format!("{path}=20"), "{}", row.cell);
        }
    }
}

#[test]
fn every_flow_sends_what_its_formula_says() {
    check("pbft,ccro,ccro-paper", "4,5,7,10", &[], "fast", |row| match row.protocol.as_str() {
        "pbft" => 2 * row.nodes * (row.nodes - 1),
        "ccro" => 3 * row.nodes - 4,
        _ => 5 * row.nodes - 9,
    });
}

#[test]
fn the_other_paths_of_ccro_do_too() {
    check("ccro", "4,7", &["--no-fast-path"], "two-phase", |row| 5 * row.nodes - 6);
    check("ccro", "4,7", &["--communication", "collocated"], "fast", |row| 3 * (row.nodes - 1));
    let both = ["--communication", "collocated", "--no-fast-path"];
    check("ccro", "5,10", &both, "two-phase", |row| 5 * (row.nodes - 1));
}
