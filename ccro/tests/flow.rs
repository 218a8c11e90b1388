//! CCRO's paths, its fallback and its faults, in the simulated world.

use adversary::Behaviour;
use apps::OpaqueLog;
use ccro::{CommunicationPolicy, Config, Replica};
use kernel::{Cluster, ClusterId, Path, Protocol, ReplicaId};
use sim::{Costs, Network, Setup, World};

const SECOND: u64 = 1_000_000;

fn world_of(
    n: u16,
    seed: u64,
    network: Network,
    faults: &[(u16, Vec<Behaviour>)],
    tune: impl Fn(&mut Config),
) -> World<Replica<OpaqueLog>> {
    let cluster = Cluster::new(ClusterId::derive("test", seed), "ccro", n);
    let setup = Setup { network, faults: faults.to_vec(), ..Setup::new(cluster, seed) };
    let mut config = Config::for_cluster(n);
    tune(&mut config);
    World::new(setup, move |_, _| Replica::new(config.clone(), OpaqueLog::default()))
}

fn world(n: u16, faults: &[(u16, Vec<Behaviour>)]) -> World<Replica<OpaqueLog>> {
    world_of(n, 1, Network::default(), faults, |_| {})
}

fn faulty(ids: &[u16], behaviour: &str) -> Vec<(u16, Vec<Behaviour>)> {
    let behaviour: Behaviour = behaviour.parse().unwrap();
    ids.iter().map(|id| (*id, vec![behaviour.clone()])).collect()
}

fn drive<P: Protocol>(world: &mut World<P>, gateway: u16, requests: usize) -> usize {
    for i in 0..requests {
        world.submit(ReplicaId(gateway), format!("operation {i}").as_bytes());
        world.run(SECOND);
    }
    world.judge().unwrap();
    world.accepted().len()
}

#[test]
fn the_default_waits_grow_with_the_cluster() {
    let waits = |n| {
        let config = Config::for_cluster(n);
        (config.fast_wait.0, config.fallback_after.0)
    };
    assert_eq!((waits(4), waits(100)), ((6_000, 60_000), (102_000, 1_020_000)));
}

#[test]
fn each_node_pays_for_the_shares_that_it_makes_and_checks() {
    let run = |costs: Costs| {
        let cluster = Cluster::new(ClusterId::derive("test", 1), "ccro-aggregate", 4);
        let setup = Setup { costs, ..Setup::new(cluster, 1) };
        let config = Config::for_cluster(4);
        let mut world = World::new(setup, move |_, _| Replica::new(config.clone(), OpaqueLog::default()));
        world.submit(ReplicaId(0), b"operation");
        world.run_until(|world| !world.accepted().is_empty(), SECOND);
        let took_us = world.now_us();
        world.run(SECOND);
        (took_us, [0, 1, 2, 3].map(|id| world.signatures(id).1))
    };
    let (free_us, _) = run(Costs::default());
    // A PREPARE is made; those of two others are checked at the communication node, one after the other; and so is the certificate.
    let (signing_us, _) = run(Costs { share_sign_us: 300.0, ..Costs::default() });
    assert_eq!(signing_us - free_us, 300);
    let (checking_us, checked) = run(Costs { share_verify_us: 300.0, ..Costs::default() });
    assert_eq!(checking_us - free_us, 900);
    assert!(checked.iter().all(|checked| *checked > 0), "{checked:?}");
}

#[test]
fn a_decision_costs_the_messages_of_the_formulas() {
    for n in [2, 3, 4, 5, 6, 7, 10, 13] {
        let cost = |tune: &dyn Fn(&mut Config)| {
            let mut world = world_of(n, 1, Network::default(), &[], tune);
            assert_eq!(drive(&mut world, 0, 3), 3, "n = {n}");
            (world.agreement_messages() / 3, world.paths().clone())
        };
        let n = u64::from(n);
        let (fast, paths) = cost(&|_| {});
        assert_eq!(fast, 3 * n - 4, "fast, n = {n}");
        assert_eq!(paths[&Path::Fast], 3 * n);
        let (two_phase, paths) = cost(&|config| config.fast_path = false);
        assert_eq!(two_phase, 5 * n - 6, "two-phase, n = {n}");
        assert_eq!(paths[&Path::TwoPhase], 3 * n);
        let collocated = CommunicationPolicy::Collocated;
        assert_eq!(cost(&|config| config.communication = collocated).0, 3 * (n - 1));
        let both = cost(&|config| {
            config.communication = collocated;
            config.fast_path = false;
        });
        assert_eq!(both.0, 5 * (n - 1));
    }
}

#[test]
fn the_fast_path_takes_three_delays() {
    let mut world = world(4, &[]);
    drive(&mut world, 0, 1);
    // PRE-PREPARE, PREPARE, then FastCertificate; the communication node has
    // committed one delay earlier, so its REPLY comes with the certificate.
    assert_eq!(world.accepted()[0].at_us, 300);
}

#[test]
fn a_lone_replica_decides_alone() {
    let mut world = world(1, &[]);
    assert_eq!(drive(&mut world, 0, 2), 2);
    assert_eq!(world.agreement_messages(), 0);
}

#[test]
fn a_silent_replica_costs_the_fast_path_and_no_more() {
    for n in [4, 7, 10] {
        let mut world = world(n, &faulty(&[n - 1], "offline"));
        assert_eq!(drive(&mut world, 0, 2), 2);
        assert!(!world.paths().contains_key(&Path::Fast));
        assert!(!world.paths().contains_key(&Path::Fallback));
    }
}

#[test]
fn an_absent_replica_is_waited_for_once_and_again_after_it_came_back() {
    let mut world = world(4, &faulty(&[3], "offline"));
    let fast_wait = Config::for_cluster(4).fast_wait.0;
    assert_eq!(drive(&mut world, 0, 3), 3);
    let took: Vec<u64> = (0..3).map(|i| world.accepted()[i].at_us - i as u64 * SECOND).collect();
    assert!(took[0] > fast_wait && took[1] < fast_wait && took[2] < fast_wait, "{took:?}");
    world.set_behaviours(ReplicaId(3), vec![]);
    drive(&mut world, 0, 3);
    assert!(world.paths()[&Path::Fast] >= 4, "the fast path is back: {:?}", world.paths());
}

#[test]
fn a_bad_communication_node_costs_one_fallback_and_is_replaced() {
    for behaviour in ["offline", "withhold", "malicious", "partial=2", "partial=0"] {
        let mut world = world(4, &faulty(&[1], behaviour));
        assert_eq!(drive(&mut world, 0, 4), 4, "{behaviour}");
        let fallbacks = world.paths().get(&Path::Fallback).copied().unwrap_or(0);
        assert!((1..=4).contains(&fallbacks), "{behaviour}: {fallbacks} fallbacks");
        let status = world.replica(0).status(&Cluster::new(ClusterId([0; 16]), "ccro", 4));
        assert_eq!(status.views.as_ref().unwrap().communication_node, Some(ReplicaId(2)), "{behaviour}");
        for id in [2, 3] {
            assert_eq!(world.log(id), world.log(0), "{behaviour}");
        }
    }
}

#[test]
fn with_trust_a_node_that_failed_is_named_again_only_after_all_others() {
    let mut world = world_of(4, 1, Network::default(), &faulty(&[1], "withhold"), |config| {
        config.communication = CommunicationPolicy::Trust;
    });
    assert_eq!(drive(&mut world, 0, 20), 20);
    let fallbacks = world.paths().get(&Path::Fallback).copied().unwrap_or(0);
    assert!((1..=4).contains(&fallbacks), "one slot, at most once a replica: {fallbacks}");
    let status = world.replica(0).status(&Cluster::new(ClusterId([0; 16]), "ccro", 4));
    assert_eq!(status.views.as_ref().unwrap().communication_node, Some(ReplicaId(2)));
}

#[test]
fn a_fixed_bad_communication_node_costs_a_fallback_each_time() {
    let fixed = CommunicationPolicy::Fixed(ReplicaId(1));
    let mut world = world_of(4, 1, Network::default(), &faulty(&[1], "withhold"), |config| {
        config.communication = fixed;
    });
    assert_eq!(drive(&mut world, 0, 3), 3);
    assert!(world.paths()[&Path::Fallback] >= 9);
}

#[test]
fn up_to_f_faulty_replicas_never_stop_it() {
    for n in [4, 5, 6, 7, 10, 13] {
        let f = (n - 1) / 3;
        let ids: Vec<u16> = (1..=f).collect();
        for behaviour in ["offline", "malicious", "withhold", "equivocate", "drop=0.5", "delay=3ms"] {
            let mut world = world(n, &faulty(&ids, behaviour));
            assert_eq!(drive(&mut world, 0, 3), 3, "n = {n}, {behaviour}");
        }
    }
}

#[test]
fn more_than_f_silent_replicas_stop_it() {
    for (n, silent) in [(4, 2), (5, 2), (6, 3), (7, 3)] {
        let ids: Vec<u16> = (1..=silent).collect();
        let mut world = world(n, &faulty(&ids, "offline"));
        assert_eq!(drive(&mut world, 0, 1), 0, "n = {n}");
    }
}

#[test]
fn seeds_with_loss_reordering_and_a_liar_agree_and_finish() {
    for seed in 0..60 {
        let behaviour = ["malicious", "equivocate", "withhold", "partial=0;3", "drop=0.5"][seed as usize % 5];
        let network = Network::uniform(100, 3_000).with_loss(if seed % 2 == 0 { 0.1 } else { 0.0 });
        let liar = 1 + (seed / 5) as u16 % 3;
        let mut world = world_of(4, seed, network, &faulty(&[liar], behaviour), |_| {});
        for i in 0..6u8 {
            let honest = (liar + 1 + u16::from(i) % 3) % 4;
            world.submit(ReplicaId(honest), &[i]);
            world.run(SECOND / 50);
        }
        world.run(60 * SECOND);
        world.judge().unwrap_or_else(|breach| panic!("seed {seed}, {behaviour}@{liar}: {breach}"));
        let honest: Vec<u16> = (0..4).filter(|id| *id != liar).collect();
        for id in &honest {
            let executed: usize = world.log(*id).iter().map(|entry| entry.requests).sum();
            assert_eq!(executed, 6, "seed {seed}, {behaviour}@{liar}, replica {id}");
        }
    }
}
