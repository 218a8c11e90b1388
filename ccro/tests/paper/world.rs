//! Rounds in the simulated world: their cost, and nodes that are down.

use adversary::Behaviour;
use apps::OpaqueLog;
use ccro::paper::{Replica, max_faulty};
use kernel::{Cluster, ClusterId, Digest, Path, Protocol, ReplicaId, Status};
use sim::{Memory, Network, Setup, World};

const SECOND: u64 = 1_000_000;
type Published = World<Replica<OpaqueLog>>;

fn cluster(n: u16, seed: u64) -> Cluster {
    Cluster::new(ClusterId::derive("test", seed), "ccro-paper", n)
}

fn world_of(n: u16, seed: u64, network: Network, faults: &[(u16, Vec<Behaviour>)]) -> Published {
    let (replies_needed, faults) = (max_faulty(n) + 1, faults.to_vec());
    let setup = Setup { network, faults, replies_needed, ..Setup::new(cluster(n, seed), seed) };
    let config = pbft::Config::for_cluster(n);
    World::new(setup, move |_, memory| match memory {
        Memory::Fresh => Replica::new(&config, OpaqueLog::default()),
        Memory::Lost => Replica::recovering(&config, OpaqueLog::default()),
    })
}

fn world(n: u16, faults: &[(u16, Vec<Behaviour>)]) -> Published {
    world_of(n, 1, Network::default(), faults)
}

fn faulty(ids: &[u16], behaviour: &str) -> Vec<(u16, Vec<Behaviour>)> {
    ids.iter().map(|id| (*id, vec![behaviour.parse().unwrap()])).collect()
}

fn switch(world: &mut Published, id: u16, behaviour: &[&str]) {
    world.set_behaviours(ReplicaId(id), behaviour.iter().map(|b| b.parse().unwrap()).collect());
}

fn drive(world: &mut Published, gateway: u16, requests: usize) -> usize {
    for i in 0..requests {
        world.submit(ReplicaId(gateway), format!("operation {i}").as_bytes());
        world.run(SECOND);
    }
    world.judge().unwrap();
    world.accepted().len()
}

fn status(world: &Published, n: u16, id: u16) -> Status {
    world.replica(id).status(&cluster(n, 1))
}

fn roles(world: &Published, n: u16, id: u16) -> (u16, u16) {
    let status = status(world, n, id);
    (status.views.as_ref().unwrap().commander.0, status.views.as_ref().unwrap().communication_node.unwrap().0)
}

fn round_timeout(n: u16) -> u64 {
    pbft::Config::for_cluster(n).resend_after.0
}

fn executed(world: &Published, id: u16) -> usize {
    world.log(id).iter().map(|entry| entry.requests).sum()
}

#[test]
fn a_decision_costs_5n_minus_9_and_its_storage() {
    for n in [3, 4, 5, 6, 7, 10, 12, 18] {
        for gateway in [0, 2] {
            let mut world = world(n, &[]);
            assert_eq!(drive(&mut world, gateway, 3), 3, "n = {n}");
            let n = u64::from(n);
            assert_eq!(world.agreement_messages(), 3 * (5 * n - 9), "n = {n}");
            assert_eq!(world.messages()["store"], 3 * (n - 1));
            assert_eq!(world.paths()[&Path::Direct], 3 * n);
            assert!(!world.messages().contains_key("fetch"));
        }
    }
}

#[test]
fn without_faults_roles_stay_and_trust_rises() {
    // Uneven delays: response times differ from round to round.
    for seed in 0..10 {
        let network = Network::uniform(50, 3_000);
        let mut world = world_of(7, seed, network, &[]);
        for i in 0..40u8 {
            world.submit(ReplicaId(u16::from(i) % 7), &[i]);
            world.run(SECOND / 10);
        }
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 40);
        assert_eq!(world.agreement_messages(), 40 * (5 * 7 - 9));
        let status = world.replica(3).status(&cluster(7, seed));
        assert_eq!(
            (status.views.as_ref().unwrap().commander, status.views.as_ref().unwrap().communication_node),
            (ReplicaId(0), Some(ReplicaId(1)))
        );
        assert!(
            status.views.as_ref().unwrap().trust_milli[0] > 9_900,
            "{:?}",
            status.views.as_ref().unwrap().trust_milli
        );
        assert!(
            status.views.as_ref().unwrap().trust_milli.iter().all(|trust| *trust > 7_000),
            "{:?}",
            status.views.as_ref().unwrap().trust_milli
        );
    }
}

#[test]
fn a_communication_node_that_is_down_is_replaced_and_the_round_run_again() {
    for n in [4, 5, 6, 7, 10] {
        for behaviour in ["offline", "withhold", "malicious"] {
            let mut world = world(n, &faulty(&[1], behaviour));
            assert_eq!(drive(&mut world, 3, 4), 4, "n = {n}, {behaviour}");
            let took: Vec<u64> = (0..4).map(|i| world.accepted()[i].at_us - i as u64 * SECOND).collect();
            assert!(took[0] > round_timeout(n) && took[0] < 2 * round_timeout(n), "{took:?}");
            assert!(took[1..].iter().all(|took| *took < 2_000), "n = {n}, {behaviour}: {took:?}");
            assert_eq!(roles(&world, n, 3), (0, 2), "n = {n}, {behaviour}");
            assert!(status(&world, n, 3).views.as_ref().unwrap().trust_milli[1] < 4_000);
            for id in 2..n {
                assert_eq!(world.log(id), world.log(0), "n = {n}, {behaviour}");
            }
        }
    }
}

#[test]
fn a_commander_that_is_down_is_replaced_by_the_next_in_trust() {
    for n in [4, 5, 6, 7, 10] {
        for gateway in [1, 2, n - 1] {
            let mut world = world(n, &faulty(&[0], "offline"));
            assert!(drive(&mut world, gateway, 4) >= 3, "n = {n}, gateway {gateway}");
            world.run(5 * SECOND);
            assert_eq!(world.accepted().len(), 4, "n = {n}, gateway {gateway}");
            assert_eq!(roles(&world, n, 2), (1, 2), "n = {n}, gateway {gateway}");
            for id in 1..n {
                assert_eq!(executed(&world, id), 4);
                assert_eq!(world.log(id), world.log(1));
            }
        }
    }
}

#[test]
fn a_commander_whom_nobody_follows_steps_aside() {
    for n in [4, 7, 10] {
        for behaviour in ["equivocate", "equivocate=victim", "partial=1"] {
            let mut world = world(n, &faulty(&[0], behaviour));
            drive(&mut world, 2, 2);
            world.run(60 * SECOND);
            world.judge().unwrap_or_else(|breach| panic!("n = {n}, {behaviour}: {breach}"));
            assert_eq!(world.accepted().len(), 2, "n = {n}, {behaviour}");
        }
    }
}

#[test]
fn both_at_once_are_replaced_too() {
    let mut world = world(9, &faulty(&[0, 1], "offline"));
    drive(&mut world, 5, 3);
    world.run(10 * SECOND);
    assert_eq!((world.accepted().len(), roles(&world, 9, 5)), (3, (2, 3)));
}

#[test]
fn whoever_dies_at_whatever_moment_loses_nothing() {
    // Every delay is 100 µs, so this is each step of the round, for each role.
    for n in [4, 6, 7] {
        for victim in [0, 1, 2, n - 1] {
            for moment in (0..800).step_by(50) {
                let mut world = world(n, &[]);
                drive(&mut world, 3, 2);
                world.submit(ReplicaId(3), b"the one");
                world.run(moment);
                switch(&mut world, victim, &["offline"]);
                world.run(5 * SECOND);
                world.submit(ReplicaId(if victim == 2 { 3 } else { 2 }), b"after it");
                world.run(5 * SECOND);
                world.judge().unwrap_or_else(|breach| panic!("n = {n}, {victim} at {moment}: {breach}"));
                let expected = if victim == 3 { 2 } else { 3 } + 1;
                assert!(world.accepted().len() >= expected, "n = {n}, {victim} at {moment}");
                let honest: Vec<u16> = (0..n).filter(|id| *id != victim).collect();
                for id in &honest {
                    assert_eq!(world.log(*id), world.log(honest[0]), "n = {n}, {victim} at {moment}");
                    assert!(executed(&world, *id) >= expected);
                }
            }
        }
    }
}

#[test]
fn a_node_that_was_down_catches_up_by_stores() {
    for (missed, down) in [(1, 3), (10, 0), (10, 1), (200, 3), (200, 0)] {
        let mut world = world(4, &[]);
        drive(&mut world, 2, 2);
        switch(&mut world, down, &["offline"]);
        for i in 0..missed {
            world.submit(ReplicaId(2), &[i]);
            world.run(if i == 0 { 5 * SECOND } else { SECOND / 50 });
        }
        switch(&mut world, down, &[]);
        for i in 0..3u8 {
            world.submit(ReplicaId(2), &[i]);
            world.run(5 * SECOND);
        }
        world.judge().unwrap();
        let all = usize::from(missed) + 5;
        assert_eq!(world.accepted().len(), all, "{missed} missed by {down}");
        for id in 0..4 {
            assert_eq!(executed(&world, id), all, "{missed} missed by {down}, node {id}");
        }
        let settled = world.messages().values().sum::<u64>();
        world.run(600 * SECOND);
        assert_eq!(world.messages().values().sum::<u64>(), settled, "at rest nothing is sent");
    }
}

#[test]
fn nodes_that_are_killed_and_started_again_end_equal_to_the_others() {
    for n in [4, 7] {
        for victim in [0, 1, n - 1] {
            let mut world = world(n, &[]);
            drive(&mut world, 2, 3);
            world.crash(ReplicaId(victim));
            drive(&mut world, 2, 3);
            world.run(SECOND);
            assert_eq!(world.accepted().len(), 6);
            world.restart(ReplicaId(victim));
            // Without any request it comes back.
            world.run(SECOND);
            let equal = |world: &Published| {
                let digests: Vec<Digest> = (0..n).map(|id| world.replica(id).digest()).collect();
                assert!(digests.iter().all(|digest| *digest == digests[0]), "{victim} of {n}");
            };
            equal(&world);
            drive(&mut world, victim, 2);
            world.run(5 * SECOND);
            assert_eq!(world.accepted().len(), 8, "{victim} of {n}");
            equal(&world);
        }
    }
}

#[test]
fn requests_at_any_node_are_served_while_roles_change() {
    for seed in 0..10 {
        let network = Network::uniform(100, 2_000);
        let mut world = world_of(6, seed, network, &[]);
        for i in 0..60u8 {
            match i {
                10 => switch(&mut world, 0, &["offline"]),
                30 => switch(&mut world, 0, &[]),
                40 => switch(&mut world, 2, &["offline"]),
                _ => {}
            }
            world.submit(ReplicaId([1, 3, 4, 5][usize::from(i) % 4]), &[i]);
            world.run(SECOND / 20);
        }
        world.run(20 * SECOND);
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 60, "seed {seed}");
    }
}

#[test]
fn lost_messages_are_made_up_for() {
    for seed in 0..30 {
        let network = Network::uniform(100, 2_000).with_loss(0.05);
        let mut world = world_of(6, seed, network, &[]);
        for i in 0..20u8 {
            world.submit(ReplicaId(u16::from(i) % 6), &[i]);
            world.run(SECOND / 10);
        }
        world.set_network(&Network::default());
        world.run(120 * SECOND);
        assert_eq!(world.accepted().len(), 20, "seed {seed}");
    }
}

#[test]
fn more_silent_nodes_than_it_can_have_stop_it_until_they_are_back() {
    let mut world = world(6, &faulty(&[3, 4], "offline"));
    assert_eq!(drive(&mut world, 0, 1), 0);
    for id in [3, 4] {
        switch(&mut world, id, &[]);
    }
    world.run(60 * SECOND);
    world.judge().unwrap();
    assert_eq!(world.accepted().len(), 1);
}

#[test]
fn trust_finds_those_who_lie_and_forgets_in_time() {
    let mut world = world(7, &faulty(&[4], "malicious"));
    assert_eq!(drive(&mut world, 0, 20), 20);
    let trust = |world: &Published| status(world, 7, 2).views.as_ref().unwrap().trust_milli[4];
    assert!(trust(&world) < 4_000, "{}", trust(&world));
    switch(&mut world, 4, &[]);
    drive(&mut world, 0, 20);
    assert!(trust(&world) > 8_000, "{}", trust(&world));
    assert_eq!(roles(&world, 7, 2), (0, 1));
}
