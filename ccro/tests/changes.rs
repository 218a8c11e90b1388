//! CCRO across views: communication nodes and commanders that fail together.

use adversary::Behaviour;
use apps::OpaqueLog;
use ccro::{Config, Replica};
use kernel::{Cluster, ClusterId, Mark, Path, ReplicaId};
use sim::oracles::check_votes;
use sim::{Memory, Network, Setup, World};

const SECOND: u64 = 1_000_000;
type Ccro = Replica<OpaqueLog>;

fn world(n: u16, seed: u64, faults: &[(u16, &str)], network: Network) -> World<Ccro> {
    let cluster = Cluster::new(ClusterId::derive("changes", seed), "ccro", n);
    let behaviour = |text: &&str| -> Vec<Behaviour> { vec![text.parse().unwrap()] };
    let faults = faults.iter().map(|(id, text)| (*id, behaviour(text))).collect();
    let setup = Setup { network, faults, record: true, ..Setup::new(cluster, seed) };
    let mut config = Config::for_cluster(n);
    config.pbft.checkpoint_interval = 8;
    World::new(setup, move |_, memory| match memory {
        Memory::Fresh => Replica::new(config.clone(), OpaqueLog::default()),
        Memory::Lost => Replica::recovering(config.clone(), OpaqueLog::default()),
    })
}

fn drive(world: &mut World<Ccro>, gateway: u16, requests: usize) {
    for i in 0..requests {
        world.submit(ReplicaId(gateway), &i.to_le_bytes());
        world.run(SECOND / 20);
    }
}

#[test]
fn a_dead_commander_is_replaced_and_the_fast_path_returns() {
    for n in [4, 5, 6, 7, 8, 13] {
        let mut world = world(n, 1, &[], Network::default());
        drive(&mut world, 2, 3);
        world.crash(ReplicaId(0));
        drive(&mut world, 2, 3);
        world.run(20 * SECOND);
        world.restart(ReplicaId(0));
        drive(&mut world, 2, 3);
        world.run(60 * SECOND);
        world.judge().unwrap();
        check_votes(world.trace()).unwrap();
        assert_eq!(world.accepted().len(), 9, "n = {n}");
    }
}

#[test]
fn a_fast_certificate_that_reached_one_replica_only_binds_the_next_view() {
    // The communication node (1) serves replica 2 alone, then commander and
    // communication node are gone as far as the others can tell.
    for seed in 0..40 {
        let mut world = world(4, seed, &[(1, "partial=2")], Network::uniform(50, 400));
        world.submit(ReplicaId(2), b"bound");
        world.run(600 + 20 * seed);
        world.crash(ReplicaId(0));
        drive(&mut world, 2, 2);
        world.run(60 * SECOND);
        world.judge().unwrap();
        check_votes(world.trace()).unwrap();
        assert_eq!(world.accepted().len(), 3, "seed {seed}");
    }
}

#[test]
fn an_equivocating_commander_is_left_behind() {
    for n in [4, 5, 6, 7] {
        for how in ["equivocate", "equivocate=victim"] {
            let mut world = world(n, 2, &[(0, how)], Network::default());
            drive(&mut world, 2, 4);
            world.run(30 * SECOND);
            world.judge().unwrap();
            assert_eq!(world.accepted().len(), 4, "n = {n}, {how}");
        }
    }
}

#[test]
fn after_a_view_change_the_fast_path_is_used_again() {
    let mut world = world(4, 1, &[], Network::default());
    world.set_behaviours(ReplicaId(0), vec!["offline".parse().unwrap()]);
    drive(&mut world, 2, 1);
    world.run(10 * SECOND);
    world.set_behaviours(ReplicaId(0), vec![]);
    for _ in 0..2 {
        drive(&mut world, 2, 2);
        world.run(10 * SECOND);
    }
    let last = world.trace().marks.iter().rev().find_map(|stamped| match &stamped.mark {
        Mark::Committed { path, view, .. } => Some((*path, view.0)),
        _ => None,
    });
    assert_eq!(last, Some((Path::Fast, 1)));
    assert_eq!(world.accepted().len(), 5);
}
