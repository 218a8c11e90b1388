//! Histories of the key-value store's clients: recorded on real nodes that are killed and
//! cut off, where they must be linearizable; and recorded where a rule is switched off that
//! clients depend on, where they must not.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use apps::{AppName, KvOperation, KvOutput, KvStore};
use harness::cluster::http::post_json;
use harness::cluster::node::run_node;
use harness::cluster::{ClusterSpec, observe, ports};
use harness::history::clients::{Clients, History};
use harness::history::{Answer, Call, Judgement, Operation, Returned, file, judge};
use harness::plan::{Placement, Plan, ProtocolName};
use harness::results::files::read_rows;
use harness::results::schema::{CellRow, EventKind, EventRow};
use kernel::weakening::weaken;
use kernel::{Cluster, ClusterId, ReplicaId, Weakening};
use node::LinkConditions;
use sim::{LinkRule, Network, Setup, World};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(30);

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

/// Clients ask four nodes, of which the last is cut off for a while. All of them run on
/// this thread: a rule that is switched off here is switched off for them.
fn with_a_node_cut_off() -> Judgement {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let judgement = LocalSet::new().block_on(&runtime, async {
        let plan = Plan {
            protocols: vec![ProtocolName::Pbft],
            apps: vec![AppName::Kv],
            placement: Placement::Tasks,
            ..Plan::default()
        };
        let spec = ClusterSpec::of(&plan, &plan.cells().unwrap()[0]);
        let listeners = ports::bind_free(4).unwrap();
        let addresses: Vec<_> = listeners.iter().map(|one: &TcpListener| one.local_addr().unwrap()).collect();
        for (node, listener) in spec.node_specs(&addresses).into_iter().zip(listeners) {
            spawn_local(run_node(node, listener, || {}, std::future::pending()));
        }
        assert!(observe::wait_connected(&addresses, &[0, 1, 2, 3], LIMIT).await);

        let history = Rc::new(History::default());
        let nodes = (0..).zip(addresses.iter().copied()).collect();
        let clients = Clients { clients: 6, nodes, patience: Duration::from_millis(500), seed: 7 };
        let cutting = async {
            sleep(Duration::from_millis(500)).await;
            for (id, address) in addresses.iter().enumerate() {
                let cut = if id == 3 { vec![0, 1, 2] } else { vec![3] };
                let cut = cut.into_iter().map(ReplicaId).collect();
                let links = LinkConditions { cut, ..LinkConditions::default() };
                post_json(*address, "/links", &links, LIMIT).await.unwrap();
            }
            sleep(Duration::from_millis(1500)).await;
        };
        clients.beside(&history, cutting).await;
        judge(&history.finish(), LIMIT)
    });
    runtime.shutdown_background();
    judgement
}

#[test]
fn a_stale_read_is_caught_on_real_nodes() {
    let judgement = with_a_node_cut_off();
    assert!(judgement.holds() && judgement.operations > 50, "{judgement}");
    let judgement = weaken(Weakening::StaleReadServed, with_a_node_cut_off);
    let first = judgement.violations.first().expect("a stale read");
    assert_eq!(first.around[first.unexplained].call, Call::Get, "{first}");
}

type KvWorld = World<pbft::Replica<KvStore>>;

/// Asks and, where there is an answer within a second, notes it.
fn ask(world: &mut KvWorld, gateway: u16, call: Call, history: &mut Vec<(usize, Operation)>) {
    let key = String::from("k");
    let operation = match call.clone() {
        Call::Put { value } => KvOperation::Put { key: key.clone(), value },
        _ => KvOperation::Get { key: key.clone() },
    };
    let called_ns = world.now_us() * 1000;
    let request = world.submit(ReplicaId(gateway), &operation.encode().0);
    world.run_until(|world| world.accepted().iter().any(|one| one.request == request), 1_000_000);
    let client = history.len() as u32;
    history.push((request, Operation { client, node: gateway, key, call, called_ns, returned: None }));
    // What comes next is after it, not at the same moment.
    world.run_until(|_| false, 10);
}

/// What clients were told in the end.
fn answered(world: &KvWorld, history: Vec<(usize, Operation)>) -> Vec<Operation> {
    let with_answer = |(request, operation): (usize, Operation)| {
        let outcome = world.accepted().iter().find(|one| one.request == request);
        let returned = outcome.map(|outcome| {
            let output = outcome.result.clone();
            let answer = match KvOutput::decode(&output).expect("the store's own") {
                KvOutput::Value(value) => Answer::Value { value },
                KvOutput::Stored { created } => Answer::Stored { created },
                other => panic!("{other:?}"),
            };
            Returned { at_ns: outcome.at_us * 1000, answer }
        });
        Operation { returned, ..operation }
    };
    history.into_iter().map(with_answer).collect()
}

/// A put is executed, but its gateway hears of no reply and asks again after the commander
/// was replaced.
fn with_a_repeated_put() -> Judgement {
    let cluster = Cluster::new(ClusterId::derive("histories", 1), "pbft", 4);
    let deaf = LinkRule { to: vec![3], loss: Some(1.0), ..LinkRule::default() };
    let network = Network { links: vec![deaf], ..Network::default() };
    let setup = Setup { network, replies_needed: 2, remind_after_us: 1_500_000, ..Setup::new(cluster, 1) };
    let mut world: KvWorld =
        World::new(setup, |_, _| pbft::Replica::new(pbft::Config::for_cluster(4), KvStore::default()));
    let mut history = Vec::new();
    let put = |value: &str| Call::Put { value: value.into() };
    ask(&mut world, 3, put("a"), &mut history);
    ask(&mut world, 1, Call::Get, &mut history);
    ask(&mut world, 1, put("b"), &mut history);
    ask(&mut world, 1, Call::Get, &mut history);
    world.set_network(&Network::default());
    world.crash(ReplicaId(0));
    ask(&mut world, 2, Call::Get, &mut history);
    for _ in 0..4 {
        ask(&mut world, 1, Call::Get, &mut history);
        world.run_until(|_| false, 1_000_000);
    }
    let history = answered(&world, history);
    assert!(history.iter().skip(1).all(|operation| operation.returned.is_some()), "{history:#?}");
    judge(&history, LIMIT)
}

#[test]
fn a_doubled_write_is_caught() {
    let judgement = with_a_repeated_put();
    assert!(judgement.holds(), "{:?}", judgement.violations);
    let judgement = weaken(Weakening::SessionsLost, with_a_repeated_put);
    let first = judgement.violations.first().expect("a write that takes effect twice");
    let answer = first.around[first.unexplained].returned.as_ref().map(|returned| returned.answer.clone());
    assert_eq!(answer, Some(Answer::Value { value: Some("a".into()) }), "{first}");
}
