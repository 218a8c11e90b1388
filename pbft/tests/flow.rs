//! PBFT's normal case and its faults, in the simulated world.

use adversary::Behaviour;
use apps::OpaqueLog;
use kernel::{Cluster, ClusterId, Content, Observation, Path, ReplicaId, View};
use pbft::{Config, Replica};
use sim::{Network, Setup, World};
use std::cell::RefCell;
use std::rc::Rc;

const SECOND: u64 = 1_000_000;

fn world(n: u16, seed: u64, network: Network, faults: &[(u16, Vec<Behaviour>)]) -> World<Replica<OpaqueLog>> {
    let cluster = Cluster::new(ClusterId::derive("test", seed), "pbft", n);
    let setup = Setup { network, faults: faults.to_vec(), ..Setup::new(cluster, seed) };
    World::new(setup, move |_, _| Replica::new(Config::for_cluster(n), OpaqueLog::default()))
}

fn faulty(ids: &[u16], behaviour: &str) -> Vec<(u16, Vec<Behaviour>)> {
    let behaviour: Behaviour = behaviour.parse().unwrap();
    ids.iter().map(|id| (*id, vec![behaviour.clone()])).collect()
}

/// Submits `requests` one after the other and returns how many were accepted.
fn drive(world: &mut World<Replica<OpaqueLog>>, gateway: u16, requests: usize) -> usize {
    for i in 0..requests {
        world.submit(ReplicaId(gateway), format!("operation {i}").as_bytes());
        world.run(SECOND);
    }
    world.judge().unwrap();
    world.accepted().len()
}

#[test]
fn the_defaults_suit_the_size_of_the_cluster() {
    let of = |n| {
        let config = Config::for_cluster(n);
        (config.checkpoint_interval, config.request_after.0, config.resend_after.0)
    };
    assert_eq!(of(4), (128, 400_000, 180_000));
    assert_eq!(of(64), (32, 3_400_000, 1_380_000));
    assert_eq!(of(1000), (16, 50_200_000, 20_100_000));
    let config = Config::for_cluster(4);
    assert_eq!((config.batch_bytes_max, config.checkpoint_bytes), (8 << 20, 16 << 20));
}

#[test]
fn a_decision_costs_the_messages_of_the_formula() {
    for n in [1, 2, 3, 4, 5, 6, 7, 10, 13] {
        let mut world = world(n, 1, Network::default(), &[]);
        assert_eq!(drive(&mut world, 0, 3), 3, "n = {n}");
        let n = u64::from(n);
        assert_eq!(world.agreement_messages(), 3 * 2 * n * (n - 1), "n = {n}");
        assert_eq!(world.paths()[&Path::Direct], 3 * n);
    }
}

#[test]
fn a_decision_takes_three_delays_and_the_reply_one() {
    let mut world = world(4, 1, Network::default(), &[]);
    drive(&mut world, 0, 1);
    // PRE-PREPARE, PREPARE, COMMIT; the commander's own reply and one more.
    assert_eq!(world.accepted()[0].at_us, 400);
}

#[test]
fn lost_replies_come_again_with_the_reminders() {
    const REMIND_AFTER: u64 = SECOND / 2;
    // Loses the first replies to node 0, and those to its first reminders.
    let run = |lost: &[u64]| {
        let mut world = world(4, 1, Network::default(), &[]);
        world.set_remind_after_us(REMIND_AFTER);
        lost.iter().for_each(|copy| world.alter_copy(*copy, sim::Alteration::Lose));
        let replies = Rc::new(RefCell::new(Vec::new()));
        let notes = Rc::clone(&replies);
        world.observe_all(Box::new(move |_, _, observation| {
            if let Observation::Departed { copy, content: Content::Reply(_), .. } = observation {
                notes.borrow_mut().push(copy);
            }
        }));
        world.submit(ReplicaId(0), b"a");
        world.run(20 * SECOND);
        world.judge().unwrap();
        let accepted_us = world.accepted()[0].at_us;
        (accepted_us, replies.take())
    };
    let mut lost = Vec::new();
    let mut due_us = 0;
    for wait in [1, 2, 4, 8, 8] {
        // What else is sent until then is the same, as are the ordinals of its copies.
        let (_, replies) = run(&lost);
        lost.extend(&replies[lost.len()..lost.len() + 3]);
        due_us += wait * REMIND_AFTER;
        let (accepted_us, _) = run(&lost);
        assert!((due_us..due_us + 1_000).contains(&accepted_us), "{accepted_us} us, due at {due_us} us");
    }
}

#[test]
fn any_node_takes_requests() {
    for gateway in 0..4 {
        let mut world = world(4, 1, Network::default(), &[]);
        assert_eq!(drive(&mut world, gateway, 2), 2);
        let forwarded = world.messages().get("request").copied().unwrap_or(0);
        assert_eq!(forwarded, if gateway == 0 { 0 } else { 2 });
    }
}

#[test]
fn up_to_f_faulty_replicas_change_nothing() {
    for n in [4, 5, 6, 7, 10, 13] {
        let f = (n - 1) / 3;
        let ids: Vec<u16> = (1..=f).collect();
        for behaviour in ["offline", "malicious", "withhold", "equivocate", "drop=0.5", "delay=1ms"] {
            let mut world = world(n, 2, Network::default(), &faulty(&ids, behaviour));
            assert_eq!(drive(&mut world, 0, 2), 2, "n = {n}, {behaviour}");
        }
    }
}

#[test]
fn more_than_f_silent_replicas_stop_it_and_nothing_else() {
    for (n, silent) in [(4, 2), (5, 2), (6, 3), (7, 3), (3, 2)] {
        let ids: Vec<u16> = (1..=silent).collect();
        let mut world = world(n, 3, Network::default(), &faulty(&ids, "offline"));
        assert_eq!(drive(&mut world, 0, 2), 0, "n = {n}");
        assert!(world.log(0).is_empty());
    }
}

#[test]
fn a_lying_majority_of_replies_is_what_f_does_not_cover() {
    // Three liars of four: the honest commander alone is no quorum.
    let mut world = world(4, 3, Network::default(), &faulty(&[1, 2, 3], "malicious"));
    assert_eq!(drive(&mut world, 0, 1), 0);
}

#[test]
fn an_equivocating_commander_is_survived() {
    // n = 4: replicas 1 and 3 get the null batch, 2 and the liar itself the
    // real one. Two against two: no quorum, so the next commander decides.
    let mut split = world(4, 4, Network::default(), &faulty(&[0], "equivocate"));
    assert_eq!(drive(&mut split, 2, 2), 2);
    assert!(split.replica(2).core().view() > View(0));
    // One victim: the other three decide, and the victim fetches the batch.
    let mut one = world(4, 4, Network::default(), &faulty(&[0], "equivocate=victim"));
    assert_eq!(drive(&mut one, 2, 2), 2);
    assert_eq!(one.log(1), one.log(2));
    assert!(one.messages()["fetch"] > 0);
}

#[test]
fn liars_are_caught() {
    let mut world = world(4, 4, Network::default(), &[(0, vec!["equivocate=victim".parse().unwrap()])]);
    drive(&mut world, 2, 1);
    assert_eq!(world.caught(), [0]);
}

#[test]
fn lost_messages_are_sent_again() {
    // Seed 6 once left a replica behind for good: a decided slot whose batch
    // came with a late proposal was not executed.
    for seed in 0..40 {
        let network = Network::uniform(100, 2_000).with_loss(0.2);
        let mut world = world(4, seed, network, &[]);
        for i in 0..5u8 {
            world.submit(ReplicaId(u16::from(i) % 4), &[i]);
        }
        world.run(30 * SECOND);
        world.judge().unwrap();
        let executed = world.log(0).iter().map(|entry| entry.requests).sum::<usize>();
        assert_eq!(executed, 5, "seed {seed}");
        for id in 1..4 {
            assert_eq!(world.log(id), world.log(0), "seed {seed}");
        }
    }
}

#[test]
fn requests_are_batched_and_pipelined_and_memory_stays_bounded() {
    let mut world = world(4, 5, Network::default(), &[]);
    for round in 0..600u32 {
        let operations: Vec<Vec<u8>> = (0..4u32).map(|i| (round * 4 + i).to_le_bytes().to_vec()).collect();
        let operations: Vec<&[u8]> = operations.iter().map(Vec::as_slice).collect();
        world.submit_all(ReplicaId(0), &operations);
        world.run(100);
    }
    world.run(SECOND);
    world.judge().unwrap();
    assert_eq!(world.accepted().len(), 2400);
    assert!(world.log(0).len() > 2 * 128 + 8, "passed the first watermarks");
    let core = world.replica(1).core();
    let kept = core.last_executed().0 - core.oldest_kept().0 + 1;
    assert!(kept <= 2 * 128 + 8, "{kept} slots kept");
}

#[test]
fn large_requests_bring_checkpoints_forward() {
    let mut world = world(4, 5, Network::default(), &[]);
    for i in 0..40u8 {
        world.submit(ReplicaId(0), &vec![i; 1 << 20]);
        world.run(10_000);
    }
    assert_eq!(world.accepted().len(), 40);
    let core = world.replica(2).core();
    // Checkpoints at 16 and 32: what is below the one before the last is gone.
    assert_eq!(core.oldest_kept().0, 17);
}

#[test]
fn two_kinds_of_fault_at_once() {
    let mut faults = faulty(&[1], "malicious");
    faults.extend(faulty(&[2], "offline"));
    let mut world = world(7, 6, Network::default(), &faults);
    assert_eq!(drive(&mut world, 0, 3), 3);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let network = Network::uniform(100, 5_000).with_loss(0.05);
        let mut world = world(4, seed, network, &faulty(&[3], "drop=0.3"));
        drive(&mut world, 1, 5);
        world.digest()
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}
