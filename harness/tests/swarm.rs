//! The swarm, short: what `harness simulate --swarm` does for hours.

use flows::{Ccro, CcroPaper, Pbft};
use kernel::{Cluster, ClusterId, Path, Protocol, ReplicaId};
use sim::oracles::messages;
use sim::swarm::schedule::Client;
use sim::swarm::{BadSchedule, Disks, Flow, Schedule, Search, draw, play, shrink};
use sim::{Network, Setup, World};

/// Seeds of each flow.
const SEEDS: u64 = 5_000;

fn all_hold<P: Protocol + 'static>(flow: &Flow<P>, seeds: u64) {
    let search = Search::new(0..seeds, Disks::Drawn);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| search.work(flow));
        }
    });
    assert_eq!(search.done(), seeds);
    if let Some(finding) = search.findings().into_iter().find(|finding| finding.is_breach) {
        let schedule = search.schedule(flow, finding.seed);
        let smallest = shrink(flow, &schedule, finding.violation.property);
        panic!("{} seed {} violates {}\n{smallest}", flow.name, finding.seed, finding.violation);
    }
}

#[test]
fn pbft_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::PBFT, SEEDS);
}

#[test]
fn pbft_with_authenticators_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::PBFT_MAC, SEEDS);
}

#[test]
fn pbft_with_authenticators_on_requests_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::PBFT_MAC_REQUESTS, SEEDS / 4);
}

#[test]
fn ccro_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::CCRO, SEEDS);
}

#[test]
fn ccro_with_aggregate_certificates_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::CCRO_AGGREGATE, SEEDS / 4);
}

#[test]
fn broadcast_holds_whatever_f_nodes_and_the_network_do() {
    all_hold(&flows::BROADCAST, SEEDS);
}

/// What once broke a property, cut down: `tests/schedules/`.
#[test]
fn schedules_that_once_failed_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedules");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let schedule = Schedule::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let verdict = match schedule.protocol.as_str() {
            "pbft" => play(&flows::PBFT, &schedule),
            "pbft-mac" => play(&flows::PBFT_MAC, &schedule),
            "pbft-mac-requests" => play(&flows::PBFT_MAC_REQUESTS, &schedule),
            "ccro" => play(&flows::CCRO, &schedule),
            "ccro-aggregate" => play(&flows::CCRO_AGGREGATE, &schedule),
            "broadcast" => play(&flows::BROADCAST, &schedule),
            other => panic!("{}: {other}", path.display()),
        };
        assert_eq!(verdict.violation, None, "{}", path.display());
        played += 1;
    }
    assert!(played > 0);
}

#[test]
fn the_published_flow_holds_where_nothing_fails() {
    let flow = &flows::CCRO_PAPER;
    for seed in 0..100 {
        let schedule = benign(draw(flow.name, seed, flow.tolerates));
        assert!(flow.must_hold(&schedule));
        assert_eq!(play(flow, &schedule).violation, None, "seed {seed}\n{schedule}");
    }
}

/// The same without anything that fails.
fn benign(schedule: Schedule) -> Schedule {
    let network = Network { delay: schedule.network.delay, ..Network::default() };
    Schedule { network, faults: vec![], crashes: vec![], ..schedule }
}

#[test]
fn a_schedule_is_a_file_that_gives_the_same_run() {
    let mut differing = 0;
    for seed in 0..40 {
        let disks = if seed % 2 == 0 { Disks::Never } else { Disks::Always };
        let schedule = disks.draw("ccro", seed, flows::CCRO.tolerates);
        let text = schedule.to_string();
        let again = Schedule::parse(&text).unwrap();
        assert_eq!(again, schedule);
        let (one, other) = (play(&flows::CCRO, &schedule), play(&flows::CCRO, &again));
        assert_eq!(one, other);
        let reseeded = play(&flows::CCRO, &Schedule { seed: seed + 1, ..schedule });
        differing += usize::from(one.digest != reseeded.digest);
        let cut = &text[..text.len() / 2];
        assert!(matches!(Schedule::parse(cut), Err(BadSchedule::Unreadable(_) | BadSchedule::Senseless(_))));
    }
    // Where nothing is left to chance, another seed gives the same run.
    assert!(differing > 0);
}

#[test]
fn senseless_schedules_say_what_is_wrong() {
    let schedule = benign(draw("pbft", 1, flows::PBFT.tolerates));
    let refused = |change: fn(&mut Schedule)| {
        let mut schedule = schedule.clone();
        change(&mut schedule);
        Schedule::parse(&schedule.to_string()).unwrap_err().to_string()
    };
    assert!(refused(|s| s.nodes = 0).contains("at least one replica"));
    assert!(refused(|s| s.settings.window = 0).contains("at least 1"));
    assert!(refused(|s| s.network.loss = 2.0).contains("loss"));
    let refusal = refused(|s| s.clients = vec![Client { gateway: 99, ..s.clients[0] }]);
    assert!(refusal.contains("node 99"), "{refusal}");
}

#[test]
fn a_failing_schedule_is_cut_down_to_what_makes_it_fail() {
    // Three of four nodes offline: no answer, whatever else is in the schedule.
    let mut schedule = draw("pbft", 4, flows::PBFT.tolerates);
    schedule.nodes = 4;
    schedule.limit_us = 2_000_000;
    schedule.reform = false;
    schedule.crashes.clear();
    schedule.network = Network { loss: 0.1, ..Network::default() };
    schedule.clients = [0, 3].map(|gateway| client(gateway, 5)).to_vec();
    let offline = |node| sim::swarm::schedule::Fault {
        node,
        behaviours: vec!["offline".parse().unwrap(), "delay=1ms".parse().unwrap()],
        from_us: 0,
    };
    schedule.faults = vec![offline(0), offline(1), offline(2)];
    let broken = play(&flows::PBFT, &schedule).violation.expect("nobody answers");
    let smallest = shrink(&flows::PBFT, &schedule, broken.property);
    assert_eq!(
        play(&flows::PBFT, &smallest).violation.map(|violation| violation.property),
        Some(broken.property)
    );
    assert_eq!(smallest.clients, [client(3, 1)]);
    assert_eq!(smallest.network.loss, 0.0);
    assert!(smallest.faults.len() == 2 && smallest.faults.iter().all(|fault| fault.behaviours.len() == 1));
}

fn client(gateway: u16, requests: u64) -> Client {
    Client { gateway, begins_us: 0, pause_us: 0, sessions: 1, requests }
}

/// Fault-free decisions, one after the other, and what they cost.
fn sent<P: Protocol + 'static>(name: &str, n: u16, make: impl Fn() -> P + 'static) -> (u64, u64) {
    let cluster = Cluster::new(ClusterId::derive("formula", 1), name, n);
    // The published commander passes on as many replies as its own count of faults needs.
    let replies_needed =
        if name == "ccro-paper" { ccro::paper::max_faulty(n) + 1 } else { cluster.weak_quorum() };
    let setup = Setup { replies_needed, ..Setup::new(cluster, 1) };
    let mut world = World::new(setup, move |_, _| make());
    for _ in 0..3 {
        world.submit(ReplicaId(n - 1), b"x");
        world.run(10_000);
    }
    assert_eq!(world.accepted().len(), 3, "{name} n = {n}");
    (world.agreement_messages(), 3)
}

#[test]
fn without_faults_every_flow_sends_what_its_formula_says() {
    for n in [1u16, 2, 3, 4, 5, 6, 7, 10, 13, 31] {
        let judge = |name: &str, path, collocated, (sent, decisions): (u64, u64)| {
            let formula = messages::per_decision(name, u64::from(n), path, collocated).unwrap();
            messages::check(sent, decisions, formula)
                .unwrap_or_else(|breach| panic!("{name} n = {n}: {breach}"));
        };
        let log = apps::OpaqueLog::default;
        let pbft = move || pbft::Config::for_cluster(n);
        for name in ["pbft", "pbft-mac", "pbft-mac-requests"] {
            judge(name, Path::Direct, false, sent(name, n, move || Pbft::new(pbft(), log())));
        }
        for (fast_path, path) in [(true, Path::Fast), (false, Path::TwoPhase)] {
            for policy in ["separate", "collocated"] {
                let communication = policy.parse().unwrap();
                let config = ccro::Config { fast_path, communication, ..ccro::Config::for_cluster(n) };
                for name in ["ccro", "ccro-aggregate"] {
                    let config = config.clone();
                    let made = sent(name, n, move || Ccro::new(config.clone(), log()));
                    judge(name, path, policy == "collocated", made);
                }
            }
        }
        if n >= 3 {
            let made = sent("ccro-paper", n, move || CcroPaper::new(&pbft(), log()));
            judge("ccro-paper", Path::Direct, false, made);
        }
    }
}
