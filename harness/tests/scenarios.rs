//! The same scenario in both hosts: what the simulated world decides, real nodes
//! decide, and what stops one stops the other.

use std::process::Command;

use adversary::Behaviour;
use apps::OpaqueLog;
use harness::results::files::read_rows;
use harness::results::schema::{Outcome, SampleRow};
use kernel::{Cluster, ClusterId, Protocol, ReplicaId};
use sim::{Setup, World};

/// A flow, its size, what is wrong with which node, where requests go in, and
/// whether they are decided.
type Scenario = (&'static str, u16, &'static [(u16, &'static str)], u16, bool);

const SCENARIOS: [Scenario; 24] = [
    ("pbft", 4, &[], 0, true),
    ("pbft", 4, &[(3, "malicious")], 1, true),
    ("pbft", 4, &[(0, "equivocate")], 2, true),
    ("pbft", 4, &[(0, "equivocate=victim")], 2, true),
    ("pbft", 4, &[(1, "offline"), (2, "offline")], 0, false),
    ("pbft", 6, &[(2, "withhold")], 3, true),
    ("pbft", 7, &[(1, "malicious"), (2, "offline")], 0, true),
    ("pbft-mac", 4, &[], 0, true),
    ("pbft-mac", 4, &[(0, "equivocate")], 2, true),
    ("pbft-mac", 4, &[(3, "forge=signature")], 1, true),
    ("pbft-mac", 5, &[(0, "offline"), (4, "offline")], 1, false),
    ("pbft-mac", 7, &[(1, "malicious"), (2, "offline")], 0, true),
    ("pbft-mac-requests", 4, &[], 0, true),
    ("pbft-mac-requests", 4, &[(3, "mac-attack=30ms[until=100ms]")], 1, true),
    ("ccro", 4, &[(1, "withhold")], 0, true),
    ("ccro", 4, &[(1, "equivocate")], 3, true),
    ("ccro", 5, &[(1, "partial=0;2")], 4, true),
    ("ccro", 4, &[(0, "offline")], 2, true),
    ("ccro-aggregate", 4, &[], 0, true),
    ("ccro-aggregate", 4, &[(1, "withhold")], 0, true),
    ("ccro-aggregate", 4, &[(0, "offline")], 2, true),
    ("ccro-paper", 6, &[(5, "offline")], 0, true),
    ("ccro-paper", 6, &[(1, "withhold")], 0, true),
    ("ccro-paper", 4, &[(0, "offline")], 2, true),
];

fn decided_in_simulation(scenario: &Scenario) -> bool {
    match scenario.0 {
        "pbft" | "pbft-mac" | "pbft-mac-requests" => {
            simulate(scenario, |n| pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default()))
        }
        "ccro" | "ccro-aggregate" => {
            simulate(scenario, |n| ccro::Replica::new(ccro::Config::for_cluster(n), OpaqueLog::default()))
        }
        _ => simulate(scenario, |n| {
            ccro::paper::Replica::new(&pbft::Config::for_cluster(n), OpaqueLog::default())
        }),
    }
}

fn simulate<P: Protocol>(
    (flow, n, faults, gateway, _): &Scenario,
    make: impl Fn(u16) -> P + 'static,
) -> bool {
    let cluster = Cluster::new(ClusterId::derive("scenario", 1), flow, *n);
    let f = if *flow == "ccro-paper" { ccro::paper::max_faulty(*n) } else { cluster.f() };
    let faults: Vec<(u16, Vec<Behaviour>)> =
        faults.iter().map(|(id, fault)| (*id, vec![fault.parse().unwrap()])).collect();
    let n = *n;
    let setup = Setup { replies_needed: f + 1, faults, ..Setup::new(cluster, 1) };
    let mut world = World::new(setup, move |_, _| make(n));
    for operation in 0..3u8 {
        world.submit(ReplicaId(*gateway), &[operation]);
        world.run(1_000_000);
    }
    world.judge().unwrap();
    let accepted = world.accepted().len();
    assert!([0, 3].contains(&accepted), "{accepted} of 3");
    accepted == 3
}

fn decided_by_nodes((flow, n, faults, gateway, _): &Scenario) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args([
        "compare",
        "--protocol",
        flow,
        "--nodes",
        &n.to_string(),
        "--gateway",
        &gateway.to_string(),
    ]);
    command.args(["--placement", "tasks", "--requests", "3", "--warmup", "0", "--repetitions", "1"]);
    command.args(["--timeout", "2.5", "--out"]).arg(&out);
    for (id, fault) in *faults {
        command.arg("--fault").arg(format!("{fault}@{id}"));
    }
    if faults.is_empty() {
        command.args(["--fault", "none"]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples: Vec<SampleRow> = read_rows(&out).unwrap();
    assert!(!samples.is_empty());
    let decided = samples.iter().filter(|sample| sample.outcome == Outcome::Decided).count();
    for sample in samples.iter().filter(|sample| sample.outcome != Outcome::Decided) {
        assert_eq!(sample.outcome, Outcome::Timeout, "{}", sample.error);
        assert_eq!((sample.consensus_us, sample.response_us), (None, None));
    }
    assert!(decided == 0 || decided == samples.len(), "{decided} of {}", samples.len());
    decided > 0
}

#[test]
fn real_nodes_and_the_simulated_world_decide_the_same() {
    for scenario in &SCENARIOS {
        let expected = scenario.4;
        assert_eq!(decided_in_simulation(scenario), expected, "simulated: {scenario:?}");
        assert_eq!(decided_by_nodes(scenario), expected, "on nodes: {scenario:?}");
    }
}
