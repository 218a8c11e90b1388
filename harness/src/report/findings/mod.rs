//! What was found, in sentences made from the data. Each names its numbers and the
//! figure that shows them; what is not significant is called so.

mod aggregates;
mod comparison;
mod durability;
mod load;
mod outage;
mod outcome;
mod prediction;

use super::material::Material;
use crate::results::disk::Disk;
use crate::results::schema::PredictionRow;

/// Most sentences of a kind: the rest is in the figures and the table.
const MOST: usize = 8;

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The sentence.
    pub text: String,
    /// The figure that shows it.
    pub figure: Option<&'static str>,
    /// The cells that it is about.
    pub cells: Vec<String>,
    /// How much it weighs.
    pub weight: Weight,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Safety was lost: before all else.
    Alarm,
    /// What the terminal shows too.
    Headline,
    /// What only the page has room for.
    Detail,
}

impl Finding {
    fn new(weight: Weight, figure: &'static str, text: String, cells: Vec<String>) -> Self {
        Finding { text, figure: Some(figure), cells, weight }
    }
}

/// What cells showed, the most important first.
pub(super) fn of_cells(material: &Material, disk: Option<&Disk>) -> Vec<Finding> {
    let mut findings = outcome::violations(material);
    if material.rows.cells.iter().any(|cell| cell.placement == "simulated") {
        findings.push(Finding {
            text: "All times are virtual: these cells were played in the simulator, on the network described in \
                   network.toml."
                .into(),
            figure: None,
            cells: vec![],
            weight: Weight::Headline,
        });
    }
    findings.extend(outage::findings(material));
    findings.extend(comparison::findings(material));
    findings.extend(aggregates::findings(material));
    findings.extend(load::findings(material));
    findings.extend(durability::findings(material));
    findings.extend(disk.and_then(durability::of_disk));
    findings.extend(outcome::decided(material));
    findings.extend(outcome::floor(material));
    findings
}

/// What `harness predict` showed.
pub(super) fn of_predictions(predictions: &[PredictionRow]) -> Vec<Finding> {
    prediction::findings(predictions)
}

/// A protocol's name in a sentence.
fn name(protocol: &str) -> String {
    match protocol {
        "pbft" | "pbft-mac" | "pbft-mac-requests" | "ccro" | "ccro-aggregate" => protocol.to_uppercase(),
        _ => protocol.to_string(),
    }
}

/// How a sentence on cells without faults begins, if their load has this label.
fn without_faults_under(label: &str) -> String {
    if label.is_empty() { "Without faults".into() } else { format!("Without faults ({label})") }
}

/// At most [`MOST`] of these, and how many more there are.
fn limited(mut findings: Vec<Finding>, figure: &'static str) -> Vec<Finding> {
    if findings.len() > MOST + 1 {
        let more = findings.split_off(MOST);
        let cells = more.iter().flat_map(|finding| finding.cells.clone()).collect();
        let text = format!("{} more such findings are in the figure and in the table.", more.len());
        findings.push(Finding::new(Weight::Detail, figure, text, cells));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::build;
    use crate::results::disk::SyncTimes;
    use crate::results::schema::Outcome;
    use crate::results::testdata::{self, CellSpec, Data};

    fn found(data: &Data) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        build(dir.path()).unwrap().findings.into_iter().map(|finding| finding.text).collect()
    }

    /// Two repetitions of both protocols, constant within each.
    fn two(cells: &[(&'static str, u32, &'static str, u64, u64)]) -> Data {
        let mut data = Data::default();
        for (protocol, nodes, fault, first, second) in cells {
            let spec = CellSpec { repetitions: 2, ..CellSpec::new(protocol, *nodes, fault) };
            let name = spec.name();
            data.add(&spec);
            data.set_latencies(&name, &[&[*first; 20], &[*second; 20]]);
        }
        data
    }

    #[test]
    fn what_makes_the_baseline_doubtful_stands_beside_each_comparison_with_it() {
        let mut data = Data::default();
        for fault in ["none", "offline:1"] {
            for protocol in ["pbft", "ccro"] {
                let spec = CellSpec { repetitions: 3, ..CellSpec::new(protocol, 4, fault) };
                data.add(&spec);
                data.set_latencies(&spec.name(), &[&[500; 20], &[500; 20], &[500; 20]]);
            }
            // PBFT's first repetition alone is far from the others.
            data.set_latencies(&format!("pbft-4-{fault}"), &[&[2000; 20], &[1000; 20], &[1000; 20]]);
        }
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        build(dir.path()).unwrap();
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        for (sentence, cell) in
            [("Without faults, CCRO", "pbft-4-none"), ("With faults at", "pbft-4-offline:1")]
        {
            let finding = page.split("<li").find(|item| item.contains(sentence)).unwrap();
            let warning = finding.split("class=\"warning\"").nth(1).unwrap_or_default();
            assert!(warning.starts_with(&format!(">{cell}: the median of one repetition")), "{finding}");
        }
    }

    #[test]
    fn what_journals_cost_is_told_and_drawn_beside_what_syncing_costs() {
        let mut data = Data::default();
        for (durability, us) in [("off", 1000), ("on", 1100), ("fsync", 3000)] {
            let spec = CellSpec { durability, ..CellSpec::new("pbft", 4, "none") };
            data.add(&spec);
            data.set_latencies(&spec.name(), &[&[us; 20]]);
        }
        for row in data.cells.iter_mut().filter(|row| row.durability == "fsync") {
            row.measured_s *= 4.0;
        }
        for node in data.nodes.iter_mut().filter(|node| node.cell.ends_with("fsync")) {
            (node.syncs, node.sync_us) = (100, 50_000);
        }
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        let times = |files, median_us, p99_us| SyncTimes {
            started_unix_ms: 0,
            appended_bytes: 2_000,
            files,
            median_us,
            p99_us,
            times_us: vec![median_us; 200],
        };
        let disk = Disk {
            is_tmpfs: true,
            measurements: vec![times(1, 500, 900), times(4, 1_000, 3_000), times(1, 700, 2_500)],
        };
        std::fs::write(dir.path().join("disk.json"), serde_json::to_vec(&disk).unwrap()).unwrap();
        let report = build(dir.path()).unwrap();
        let texts: Vec<&str> = report.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = texts.iter().position(|text| text.starts_with("With journals, "));
        assert!(first < texts.iter().position(|text| text.starts_with("With journals that are synced")));
        for expected in [
            "With journals, PBFT decided 1.00 of the requests per second that it decided without any, with a p50 of \
             1.10 ms instead of 1.00 ms (n = 4, no faults).",
            "With journals that are synced, PBFT decided 0.25 of the requests per second that it decided without \
             any, with a p50 of 3.00 ms instead of 1.00 ms: more by 4.00 times what one sync took at its nodes \
             meanwhile, 500 µs on average (n = 4, no faults).",
            "One fdatasync after 2000 appended bytes took 500 µs (median of 200; p99 900 µs) and 700 µs (median of \
             200; p99 2.50 ms) on this disk, and each of 4 at once, as nodes on one disk have it, 1.00 ms (median of 200; \
             p99 3.00 ms), measured before and after the cells.",
        ] {
            assert!(texts.contains(&expected), "{texts:?}");
        }
        assert!(report.warnings.iter().any(|warning| warning.contains("tmpfs")), "{:?}", report.warnings);
        let figure = std::fs::read_to_string(dir.path().join("plots/durability.csv")).unwrap();
        assert!(figure.contains("fsync,250,pbft-4-none-fsync,"), "{figure}");
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(page.contains("fsync: written and synced") && page.contains("durability fsync"));
    }

    #[test]
    fn a_significant_difference_is_told_with_its_interval_and_the_messages() {
        let data = two(&[
            ("pbft", 4, "none", 1000, 1000),
            ("ccro", 4, "none", 570, 570),
            ("pbft", 7, "none", 1000, 1000),
            ("ccro", 7, "none", 1200, 1200),
        ]);
        assert_eq!(
            found(&data),
            [
                "Without faults, CCRO decides in 0.57 × PBFT’s time at n = 4 (95 % 0.57–0.57) and sends 12 messages \
                 instead of 28; it takes 1.20 × PBFT’s time at n = 7 (95 % 1.20–1.20) and sends 21 messages instead \
                 of 91.",
                "All 160 requests were decided.",
            ]
        );
    }

    #[test]
    fn where_aggregate_certificates_pay_is_told() {
        let mut data = Data::default();
        // CPU time of a node for a decision in two repetitions, where `ccro` takes 400 us.
        for (nodes, cpu_us, bytes) in
            [(4, [100, 100], 180), (16, [800, 800], 90), (64, [380, 410], 45), (100, [200, 210], 18)]
        {
            for protocol in ["ccro", "ccro-aggregate"] {
                data.add(&CellSpec { repetitions: 2, ..CellSpec::new(protocol, nodes, "none") });
            }
            let cell = format!("ccro-aggregate-{nodes}-none");
            for row in data.cells.iter_mut().filter(|row| row.cell == cell) {
                let cpu_us = cpu_us[row.repetition as usize];
                row.nodes_cpu_us = Some(u64::from(nodes) * row.requests * cpu_us);
            }
            for row in data.nodes.iter_mut().filter(|row| row.cell == cell) {
                row.bytes_out = 3 * row.decided_slots * bytes;
            }
        }
        let told = |data: &Data| found(data).into_iter().find(|text| text.contains("compared with CCRO"));
        assert_eq!(
            told(&data).unwrap(),
            "Without faults, a decision of CCRO-AGGREGATE takes, compared with CCRO, 0.25 × the CPU time and 1.00 × the \
             bytes at n = 4; 2.00 × the CPU time and 0.50 × the bytes at n = 16; 0.99 × the CPU time and 0.25 × the bytes \
             at n = 64; 0.51 × the CPU time and 0.10 × the bytes at n = 100. In every repetition it took less CPU time at \
             n = 4 and n = 100."
        );
        data.cells.iter_mut().filter(|row| row.nodes != 16).for_each(|row| row.nodes_cpu_us = None);
        assert_eq!(
            told(&data).unwrap(),
            "Without faults, a decision of CCRO-AGGREGATE takes, compared with CCRO, 2.00 × the CPU time and 0.50 × the \
             bytes at n = 16. At none of these sizes did it take less CPU time in every repetition."
        );
        data.cells.retain(|row| row.protocol == "ccro");
        assert_eq!(told(&data), None);
    }

    #[test]
    fn an_interval_that_holds_one_is_not_significant() {
        let data = two(&[("pbft", 4, "none", 1000, 1000), ("ccro", 4, "none", 500, 1500)]);
        assert_eq!(
            found(&data)[0],
            "Without faults, CCRO is not significantly faster or slower than PBFT at n = 4 (0.50 ×, 95 % \
             0.50–1.50), and sends 12 messages instead of 28."
        );
    }

    #[test]
    fn an_advantage_that_faults_take_away_is_called_gone() {
        let data = two(&[
            ("pbft", 7, "none", 1000, 1000),
            ("ccro", 7, "none", 570, 570),
            ("pbft", 7, "malicious:2", 1000, 1000),
            ("ccro", 7, "malicious:2", 900, 1100),
            ("pbft", 7, "equivocate@0", 1000, 1000),
            ("ccro", 7, "equivocate@0", 600, 600),
            ("pbft", 7, "offline:1", 1000, 1000),
            ("ccro", 7, "offline:1", 1100, 1100),
        ]);
        assert_eq!(
            found(&data)[1],
            "With faults at n = 7, CCRO is faster than PBFT with an equivocating commander (0.60 ×, 95 % 0.60–0.60); \
             slower than PBFT with 1 offline node (1.10 ×, 95 % 1.10–1.10): there the advantage is gone; not \
             significantly different from PBFT with f = 2 malicious nodes (0.90 ×, 95 % 0.90–1.10): there the advantage is gone."
        );
    }

    #[test]
    fn what_is_not_safe_is_not_the_same_service() {
        let data = two(&[("pbft", 4, "none", 1000, 1000), ("ccro-paper", 4, "none", 500, 500)]);
        let first = &found(&data)[0];
        assert!(first.starts_with("Without faults, ccro-paper decides in 0.50 × PBFT’s time"), "{first}");
        assert!(first.ends_with("But ccro-paper is not Byzantine-safe, and not crash-safe without synchrony: this is not the same service."), "{first}");
    }

    #[test]
    fn a_protocol_alone_has_its_own_numbers() {
        let data = two(&[("ccro", 4, "none", 1000, 1000), ("ccro", 4, "offline:2", 1000, 1000)]);
        assert_eq!(
            found(&data)[0],
            "CCRO takes 1.00 ms (median; 95 % 1.00 ms to 1.00 ms) and 12 messages at n = 4 without faults; takes \
             1.00 ms (median; 95 % 1.00 ms to 1.00 ms) and 12 messages at n = 4 with 2 offline nodes."
        );
    }

    #[test]
    fn violations_come_first_and_undecided_requests_are_told() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        let findings = build(dir.path()).unwrap().findings;
        assert_eq!(findings[0].weight, Weight::Alarm);
        assert_eq!(
            findings[0].text,
            "Honest nodes disagreed on 300 of 900 requests of ccro-paper at n = 4 with an equivocating commander: \
             with at most f = 1 faulty nodes, this must not happen."
        );
        let decided = findings.iter().find(|finding| finding.text.contains("were decided")).unwrap();
        assert!(
            decided.text.starts_with("18855 of 24\u{202f}300 requests were decided."),
            "{}",
            decided.text
        );
        assert!(
            decided.text.contains("CCRO at n = 7 with f = 2 malicious nodes (5.0 % not)"),
            "{}",
            decided.text
        );
        assert!(decided.text.contains("more than f faulty nodes, where nothing is promised, some were not: PBFT at n = 4 with 2 offline nodes (100 % not)"), "{}", decided.text);
    }

    #[test]
    fn more_load_is_one_sentence_for_all_protocols() {
        let mut data = Data::default();
        for protocol in ["pbft", "ccro"] {
            for clients in [1, 8, 64] {
                data.add(&CellSpec { clients, ..CellSpec::new(protocol, 4, "none") });
            }
        }
        for cell in &mut data.cells {
            cell.measured_s = 20.0 / (cell.clients as f64 * 10.0);
        }
        let expected = "From 1 to 64 requests in flight (n = 4, no faults), decided requests per second go from 10.0 \
                        to 640 with PBFT and from 10.0 to 640 with CCRO.";
        let found = found(&data);
        assert!(found.iter().any(|text| text == expected), "{found:#?}");
    }

    #[test]
    fn many_loads_are_one_sentence_for_each_protocol() {
        let mut data = Data::default();
        for (protocol, latency) in [("pbft", 1000), ("ccro", 500)] {
            for clients in [1, 8, 64] {
                let spec = CellSpec { clients, ..CellSpec::new(protocol, 4, "none") };
                let name = spec.name();
                data.add(&spec);
                data.set_latencies(&name, &[&[latency; 20]]);
            }
        }
        assert_eq!(
            found(&data)[0],
            "Without faults at n = 4, CCRO is faster than PBFT with clients 1 (0.50 ×, 95 % 0.50–0.50), clients 8 \
             (0.50 ×, 95 % 0.50–0.50) and clients 64 (0.50 ×, 95 % 0.50–0.50)."
        );
    }

    #[test]
    fn simulated_times_are_called_virtual_and_nothing_gives_no_finding() {
        let mut data = two(&[("pbft", 4, "none", 1000, 1000)]);
        data.cells.iter_mut().for_each(|cell| cell.placement = "simulated".into());
        assert!(found(&data)[0].starts_with("All times are virtual"));
        assert_eq!(found(&Data::default()), [""; 0]);
        data.samples.iter_mut().for_each(|sample| sample.outcome = Outcome::Error);
        assert!(!found(&data).is_empty());
    }
}
