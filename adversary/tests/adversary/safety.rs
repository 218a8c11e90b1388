//! With any behaviour, or two, on `f` nodes, honest replicas agree, and all that
//! their clients ask for is decided.

use adversary::Behaviour;
use apps::OpaqueLog;
use kernel::{Choose as _, Cluster, ClusterId, Protocol, ReplicaId, SeededChoice};
use sim::{Setup, World};

const FAULTS: [&str; 27] = [
    "offline",
    "malicious",
    "equivocate",
    "equivocate=victim",
    "equivocate=0",
    "withhold",
    "partial=1;2",
    "delay=3ms",
    "drop=0.3",
    "duplicate",
    "reorder",
    "replay=0.5",
    "forge",
    "forge=repeated",
    "forge=mixed",
    "amnesia",
    "amnesia[seq=2][kind=commit]",
    "twins",
    "twins=1",
    "view-change-spam",
    "flood=2000",
    "offline[after=1s][until=2s]",
    "partial=2[kind=fast-certificate;prepared-certificate]",
    "equivocate[seq=2..4]",
    "malicious[view=0]",
    "drop=1[to=2]",
    "withhold[kind=commit]",
];

/// Runs some requests while `faulty` misbehaves.
fn run<P: Protocol + 'static>(
    flow: &str,
    (n, seed): (u16, u64),
    faulty: &[(u16, Vec<&str>)],
    make: impl Fn(u16) -> P + 'static,
) {
    let cluster = Cluster::new(ClusterId::derive("safety", seed), flow, n);
    let faults: Vec<(u16, Vec<Behaviour>)> = faulty
        .iter()
        .map(|(id, texts)| (*id, texts.iter().map(|text| text.parse().unwrap()).collect()))
        .collect();
    let mut honest = (0..n).rev().filter(|id| faults.iter().all(|(faulty, _)| faulty != id)).map(ReplicaId);
    let gateways = [honest.next().unwrap(), honest.next().unwrap()];
    let mut world = World::new(Setup { faults, ..Setup::new(cluster, seed) }, move |_, _| make(n));
    for i in 0..4u8 {
        world.submit_all(gateways[0], &[&[i], &[i, i]]);
        world.submit(gateways[1], &[i, i, i]);
        world.run(700_000);
    }
    world.run_until(|world| world.accepted().len() == 12, 60_000_000);
    if let Err(violation) = world.judge() {
        panic!("{flow}, n = {n}, seed {seed}, {faulty:?}: {violation}");
    }
    let decided = world.accepted().len();
    assert_eq!(decided, 12, "{flow}, n = {n}, seed {seed}, {faulty:?}");
}

fn run_both((n, seed): (u16, u64), faulty: &[(u16, Vec<&str>)]) {
    run("pbft", (n, seed), faulty, |n| {
        pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default())
    });
    run("ccro", (n, seed), faulty, |n| {
        ccro::Replica::new(ccro::Config::for_cluster(n), OpaqueLog::default())
    });
}

#[test]
fn one_of_four_misbehaves_as_commander_communication_node_or_voter() {
    for fault in FAULTS {
        for id in [0, 1, 3] {
            run_both((4, 1), &[(id, vec![fault])]);
        }
    }
}

#[test]
fn two_of_seven_combine_what_chance_gives_them() {
    for seed in 0..30 {
        let mut choose = SeededChoice::new(seed);
        let mut draw = || FAULTS[choose.below(FAULTS.len() as u64) as usize];
        let behaviours = [vec![draw(), draw()], vec![draw(), draw()]];
        let other = 1 + seed as u16 % 6;
        let [first, second] = behaviours;
        run_both((7, seed), &[(0, first), (other, second)]);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_whatever_the_behaviours() {
    let digest = |fault: &str| {
        let cluster = Cluster::new(ClusterId::derive("repeat", 1), "pbft", 4);
        let faults = vec![(0, vec![fault.parse().unwrap()])];
        let mut world = World::new(Setup { faults, ..Setup::new(cluster, 1) }, |_, _| {
            pbft::Replica::new(pbft::Config::for_cluster(4), OpaqueLog::default())
        });
        world.submit(ReplicaId(2), b"x");
        world.run(1_000_000);
        world.digest()
    };
    for fault in FAULTS {
        assert_eq!(digest(fault), digest(fault), "{fault}");
    }
}
