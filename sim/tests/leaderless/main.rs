//! A protocol without views, slots or a commander in the simulated world: it reports
//! what it has and invents nothing. What can be observed of its runs, and done to
//! them.

mod observation;
mod protocol;

use kernel::{Application as _, Operation, Protocol as _, Reading, ReplicaId, Seq};
use kernel::{Cluster, ClusterId};
use protocol::{Answer, Command, Leaderless, Register, operation, output};
use sim::{Network, Setup, World, oracles};

fn world(seed: u64, faults: &[(u16, &str)]) -> World<Leaderless> {
    let cluster = Cluster::new(ClusterId::derive("leaderless", seed), "leaderless", 4);
    let mut setup = Setup::new(cluster, seed);
    setup.record = true;
    setup.network = Network::uniform(50, 5_000);
    setup.faults = faults.iter().map(|(id, fault)| (*id, vec![fault.parse().unwrap()])).collect();
    World::new(setup, |_, _| Leaderless::default())
}

fn set(world: &mut World<Leaderless>, gateway: u16, value: u32) {
    world.submit_again(ReplicaId(gateway), &[&operation(Command::Set(value)).0]);
}

#[test]
fn sources_are_independent_and_replicas_converge() {
    for seed in 0..50 {
        let mut world = world(seed, &[]);
        for round in 0..5 {
            (0..4).for_each(|gateway| set(&mut world, gateway, 10 * round + u32::from(gateway)));
            world.run(1_000_000);
        }
        assert_eq!(world.accepted().len(), 20, "seed {seed}");
        oracles::check_unordered_results(world.trace()).unwrap();
        oracles::source_order::converged(world.trace()).unwrap();
        let status = world.replica(0).status(&world.trace().cluster);
        assert_eq!((status.last_executed, &status.views), (Seq(20), &None));
        let written = toml::to_string(&status).unwrap();
        assert!(!written.contains("view") && !written.contains("commander"), "{written}");
    }
}

#[test]
fn faults_that_need_views_do_nothing_and_others_are_withstood() {
    for fault in ["malicious", "view-change-spam=5ms", "offline[view=0..]", "withhold", "flood=50"] {
        let mut world = world(7, &[(3, fault)]);
        for value in 0..10 {
            set(&mut world, (value % 3) as u16, value);
            world.run(200_000);
        }
        assert_eq!(world.accepted().len(), 10, "{fault}");
        oracles::check_unordered_results(world.trace()).unwrap();
        oracles::source_order::converged(world.trace()).unwrap();
        if fault.contains("view") {
            assert_eq!(world.log(3).len(), 0);
            assert_eq!(world.replica(3).executed, 10, "{fault}: a condition on a view never holds");
        }
    }
}

#[test]
fn a_query_reads_what_an_ordered_read_would_and_changes_nothing() {
    let mut world = world(1, &[]);
    set(&mut world, 0, 41);
    world.run(1_000_000);
    set(&mut world, 1, 42);
    world.run(1_000_000);
    let get = operation(Command::Get);
    for id in 0..4 {
        let before = world.replica(id).clone();
        let reading = world.replica(id).query(&get).unwrap();
        assert_eq!(reading, Reading { as_of: Seq(2), output: output(Answer::Is(42)) });
        assert_eq!(*world.replica(id), before);
        assert_eq!(world.replica(id).query(&operation(Command::Set(1))), None, "a write is no query");
        let mut ordered = before.register.clone();
        assert_eq!(ordered.execute(&get), reading.output, "as an ordered read");
        assert_eq!(ordered, before.register);
    }
    world.submit(ReplicaId(2), &get.0);
    world.run(1_000_000);
    let accepted = &world.accepted()[2];
    assert_eq!(accepted.result, output(Answer::Is(42)));
    assert_eq!(output(Answer::Malformed), Register::default().execute(&Operation::new(b"\xff")));
}
