//! `harness predict` from the outside: what it prints and writes, never how long
//! anything took.

use std::process::{Command, Output};

fn predict(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).arg("predict").args(args).output().unwrap()
}

#[test]
fn every_cell_is_measured_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let dir = out.to_str().unwrap();
    let given = ["--nodes", "4", "--requests", "5", "--repetitions", "1", "--out", dir];
    let output = predict(&given);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("predicted p50") && text.contains("of 4 cells are predicted"), "{text}");

    let mut reader = csv::Reader::from_path(out.join("predictions.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let flows: Vec<&str> = rows.iter().map(|row| &row[at("protocol")]).collect();
    assert_eq!(flows, ["pbft", "pbft-mac", "ccro", "ccro-paper"]);
    for row in &rows {
        assert_eq!((&row[at("requests")], &row[at("decided")]), ("5", "5"));
        let number = |name: &str| row[at(name)].parse::<f64>().unwrap();
        let ratio = number("predicted_p50_us") / number("measured_p50_us");
        assert!((number("ratio") - ratio).abs() < 1e-9, "{row:?}");
        let within = row[at("within_30_percent")] == *"true";
        assert!(
            within == ((ratio - 1.0).abs() <= 0.3) || ((ratio - 1.0).abs() - 0.3).abs() < 1e-9,
            "{row:?}"
        );
        assert_eq!(within, row[at("why")].is_empty(), "what is off is explained: {row:?}");
        assert!(number("predicted_cpu_us") > 0.0, "{row:?}");
    }
    let costs: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("costs.json")).unwrap()).unwrap();
    assert!(costs["costs"]["sign_us"].as_f64().unwrap() > 0.0 && costs["wake_us"].is_number(), "{costs}");

    let again = predict(&given);
    assert_eq!(again.status.code(), Some(2), "a folder that is not empty is refused");
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));
    assert_eq!(predict(&["--protocol", "ccro-paper", "--nodes", "2"]).status.code(), Some(2));
}
