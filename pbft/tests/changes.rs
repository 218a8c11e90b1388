//! Commanders that fail, replicas that were away, replicas that lost their
//! memory: in the simulated world.

use adversary::Behaviour;
use apps::OpaqueLog;
use kernel::weakening::assert_detected;
use kernel::{
    Cluster, ClusterId, Mark, Protocol as _, ReplicaId, Seq, Snapshot, Status, View, ViewMark, Weakening,
};
use pbft::{Config, Execution, Replica};
use sim::oracles::check_votes;
use sim::{Memory, Network, Setup, World};

const SECOND: u64 = 1_000_000;
type Pbft = Replica<OpaqueLog>;

fn world(n: u16, seed: u64, faults: &[(u16, &str)], network: Network) -> World<Pbft> {
    let config = Config { checkpoint_interval: 8, ..Config::for_cluster(n) };
    world_with(setup(n, seed, faults, network), config)
}

fn setup(n: u16, seed: u64, faults: &[(u16, &str)], network: Network) -> Setup {
    let cluster = Cluster::new(ClusterId::derive("changes", seed), "pbft", n);
    let behaviour = |text: &&str| -> Vec<Behaviour> { vec![text.parse().unwrap()] };
    let faults = faults.iter().map(|(id, text)| (*id, behaviour(text))).collect();
    Setup { network, faults, record: true, ..Setup::new(cluster, seed) }
}

fn world_with(setup: Setup, config: Config) -> World<Pbft> {
    World::new(setup, move |_, memory| match memory {
        Memory::Fresh => Replica::new(config.clone(), OpaqueLog::default()),
        Memory::Lost => Replica::recovering(config.clone(), OpaqueLog::default()),
    })
}

fn status(world: &World<Pbft>, id: u16) -> Status {
    world.replica(id).status(&world.trace().cluster)
}

fn submit(world: &mut World<Pbft>, gateway: u16, requests: usize) {
    for i in 0..requests {
        world.submit(ReplicaId(gateway), &i.to_le_bytes());
        world.run(SECOND / 20);
    }
}

#[test]
fn a_dead_commander_is_replaced_and_the_next_ones_too() {
    for (n, dead) in [(4, vec![0]), (5, vec![0]), (6, vec![0]), (7, vec![0, 1]), (13, vec![0, 1, 2, 3])] {
        let mut world = world(n, 1, &[], Network::default());
        submit(&mut world, n - 1, 3);
        for id in &dead {
            world.crash(ReplicaId(*id));
        }
        submit(&mut world, n - 1, 3);
        world.run(60 * SECOND);
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 6, "n = {n}");
        let view = status(&world, n - 1).views.as_ref().unwrap().view;
        assert_eq!(view, View(dead.len() as u64), "n = {n}: one view for each dead commander");
        for id in dead.len() as u16..n {
            assert_eq!(world.log(id), world.log(n - 1), "n = {n}, replica {id}");
        }
    }
}

#[test]
fn service_is_back_within_two_request_timers() {
    let mut world = world(4, 1, &[], Network::default());
    submit(&mut world, 2, 3);
    world.crash(ReplicaId(0));
    let killed = world.trace().accepted.len();
    world.submit(ReplicaId(2), b"after");
    let timer = Config::for_cluster(4).request_after.0;
    assert!(world.run_until(|world| world.accepted().len() > killed, 2 * timer));
}

/// Replica 1 suspects the commander alone as long as the others are served. Its clients
/// are served all the same, without asking twice.
#[test]
fn a_commander_that_serves_only_some_costs_request_timers() {
    let usual = Config::for_cluster(4);
    // Without required progress as well, which would replace such a commander for being late.
    let both = [usual.late_share, 0].map(|late_share| Config { late_share, ..usual.clone() });
    for config in both {
        for served in ["partial=2", "partial=3", "partial=2;3"] {
            lone_suspect_s_clients_are_served(served, config.clone());
        }
    }
}

fn lone_suspect_s_clients_are_served(served: &str, config: Config) {
    let timer = config.request_after.0;
    let mut world = world_with(setup(4, 1, &[(0, served)], Network::default()), config);
    world.set_remind_after_us(1000 * SECOND);
    for request in 0..5 {
        world.submit(ReplicaId(1), &[request]);
        let answered = world.run_until(|world| world.accepted().len() > request.into(), 2 * timer);
        assert!(answered, "{served}: request {request}");
        world.run(SECOND);
    }
}

/// Submits requests one after the other and returns how long each took.
fn times(world: &mut World<Pbft>, gateway: u16, requests: u16) -> Vec<u64> {
    let one = |request: u16| {
        let (begun, answered) = (world.now_us(), world.accepted().len());
        world.submit(ReplicaId(gateway), &request.to_le_bytes());
        assert!(world.run_until(|world| world.accepted().len() > answered, 2 * SECOND));
        world.now_us() - begun
    };
    (0..requests).map(one).collect()
}

#[test]
fn a_commander_that_is_late_with_every_proposal_is_replaced() {
    for (late, gateway) in [("delay=380ms[kind=pre-prepare]", 1), ("delay=60ms[kind=pre-prepare]", 2)] {
        let mut world = world(4, 1, &[(0, late)], Network::default());
        let times = times(&mut world, gateway, 40);
        assert_eq!(status(&world, 3).views.unwrap().view, View(1), "{late}");
        assert!(times[39] < 1000, "{late}: {times:?}");
    }
}

/// How long requests of gateway 3 take, one after the other, while those of gateways 1 and
/// 2 go on, and the view after that.
fn times_beside_others(fault: &str, batch_max: usize) -> (Vec<u64>, View) {
    let cluster = Cluster::new(ClusterId::derive("changes", 1), "pbft", 4);
    let faults = [(0, vec![fault.parse().unwrap()])].into();
    let config = Config { batch_max, ..Config::for_cluster(4) };
    let mut world = world_with(Setup { faults, ..Setup::new(cluster, 1) }, config);
    world.run(1);
    let one = |request: u8| {
        let begun = world.now_us();
        let own = world.submit_again(ReplicaId(3), &[&[request]]);
        let answered =
            |world: &World<Pbft>| world.accepted().iter().rev().find(|one| one.request == own).cloned();
        while answered(&world).is_none() && world.now_us() < begun + 2 * SECOND {
            for other in [1, 2] {
                world.submit_again(ReplicaId(other), &[&[request]]);
            }
            world.run(1000);
        }
        answered(&world).map_or(2 * SECOND, |one| one.at_us - begun)
    };
    let times = (0..40).map(one).collect();
    (times, status(&world, 3).views.unwrap().view)
}

#[test]
fn a_commander_that_serves_one_gateway_last_is_replaced() {
    for last in ["gateway-last=380ms;3", "gateway-last=60ms;3"] {
        let (times, view) = times_beside_others(last, 256);
        assert_eq!(view, View(1), "{last}: {times:?}");
        assert!(times[39] < 2000, "{last}: {times:?}");
    }
}

#[test]
fn a_commander_that_takes_a_gateway_s_requests_from_others_only_gets_them_from_others() {
    let (times, view) = times_beside_others("offline[kind=request][to=3]", 256);
    assert_eq!(view, View(0), "all others are served");
    let late = times.iter().filter(|time| **time > 2000).count();
    assert!(late <= 2, "{times:?}");
}

#[test]
fn a_commander_that_serves_one_gateway_last_is_replaced_though_its_batches_are_full() {
    let (times, view) = times_beside_others("gateway-last=380ms;3", 1);
    assert_eq!(view, View(1), "{times:?}");
    assert!(times[39] < 2000, "{times:?}");
}

#[test]
fn a_commander_whose_batches_have_room_for_what_waits_is_replaced() {
    // All clients at one gateway, and at all but the commander's.
    for gateways in [vec![2], vec![1, 2, 3]] {
        let cluster = Cluster::new(ClusterId::derive("changes", 1), "pbft", 4);
        let faults = [(0, vec!["small-batches".parse().unwrap()])].into();
        let network = Network::constant(1000);
        let setup = Setup { faults, network, ..Setup::new(cluster, 1) };
        let mut world = world_with(setup, Config::for_cluster(4));
        world.run(1);
        let answered = clients(&mut world, &gateways, 240, 3 * SECOND);
        assert_eq!(status(&world, 3).views.unwrap().view, View(1), "gateways {gateways:?}");
        assert!(answered > 20_000, "gateways {gateways:?}: {answered}");
    }
}

/// So many clients at these gateways, for so long: how many requests are answered.
fn clients(world: &mut World<Pbft>, gateways: &[u16], clients: usize, time_us: u64) -> usize {
    let (end_us, mut seen) = (world.now_us() + time_us, 0);
    let mut turns = gateways.iter().cycle();
    let mut due = clients;
    while world.now_us() < end_us {
        for _ in 0..due {
            world.submit_again(ReplicaId(*turns.next().unwrap()), &[b"x"]);
        }
        world.run_until(|world| world.accepted().len() > seen, 2 * SECOND);
        due = world.accepted().len() - seen;
        seen += due;
    }
    seen
}

#[test]
fn where_every_commander_is_late_the_requirement_relaxes() {
    let all = [0, 1, 2, 3].map(|id| (id, "delay=100ms[kind=pre-prepare]"));
    let mut world = world(4, 1, &all, Network::default());
    times(&mut world, 1, 60);
    let view = status(&world, 1).views.unwrap().view;
    assert!((View(1)..=View(3)).contains(&view), "{view}");
    times(&mut world, 1, 60);
    assert_eq!(status(&world, 1).views.unwrap().view, view);
}

#[test]
fn what_was_decided_before_the_view_change_stays_decided() {
    // The commander's COMMITs reach one replica only, then it dies: that replica
    // alone has decided. Many seeds, with messages overtaking each other.
    for seed in 0..60 {
        let network = Network::uniform(50, 2_000);
        let mut world = world(4, seed, &[(0, "partial=1;2")], network);
        for i in 0..6u8 {
            world.submit(ReplicaId(u16::from(i) % 3 + 1), &[i]);
            world.run(1_500 + seed * 37);
        }
        world.crash(ReplicaId(0));
        world.run(30 * SECOND);
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 6, "seed {seed}");
    }
}

#[test]
fn loss_and_a_dead_commander_together_only_take_time() {
    for seed in 0..20 {
        let mut world = world(4, seed, &[], Network::uniform(100, 900).with_loss(0.2));
        world.crash(ReplicaId(0));
        submit(&mut world, 3, 5);
        world.run(120 * SECOND);
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 5, "seed {seed}");
    }
}

#[test]
fn a_replica_that_was_cut_off_for_long_takes_over_the_state() {
    let mut world = world(4, 3, &[(3, "offline")], Network::default());
    submit(&mut world, 1, 50);
    world.set_behaviours(ReplicaId(3), vec![]);
    submit(&mut world, 1, 2);
    world.run(20 * SECOND);
    let adopted = world.trace().marks.iter().filter(|stamped| stamped.replica == ReplicaId(3));
    assert!(adopted.clone().any(|stamped| matches!(stamped.mark, Mark::StateAdopted { .. })));
    assert_eq!(status(&world, 3).last_executed, Seq(52));
    assert_eq!(world.replica(3).core().state_digest(), world.replica(1).core().state_digest());
    // It is a full member again: without another one, it is needed.
    world.crash(ReplicaId(2));
    submit(&mut world, 1, 3);
    world.run(20 * SECOND);
    assert_eq!(world.accepted().len(), 55);
}

#[test]
fn a_replica_without_memory_catches_up_on_an_idle_cluster_and_then_votes() {
    let mut world = world(4, 3, &[], Network::default());
    submit(&mut world, 1, 20);
    world.crash(ReplicaId(3));
    submit(&mut world, 1, 3);
    world.restart(ReplicaId(3));
    world.run(SECOND / 100);
    assert!(status(&world, 3).recovering);
    world.run(20 * SECOND);
    assert!(!status(&world, 3).recovering, "null requests bring it to its checkpoint");
    assert!(status(&world, 3).views.as_ref().unwrap().stable_checkpoint >= Seq(16 + 32));
    let spoke = |mark: &Mark| {
        matches!(mark, Mark::Voted { .. } | Mark::View(ViewMark::LeftFor { .. }) | Mark::Proposed { .. })
    };
    let after = |world: &World<Pbft>| {
        let marks =
            world.trace().marks.iter().rev().take_while(|s| !matches!(s.mark, Mark::Recovered { .. }));
        marks.filter(|s| s.replica == ReplicaId(3) && spoke(&s.mark)).count()
    };
    assert_eq!(after(&world), 0, "in view 0 it does not vote");
    // With another one dead, the others go on to a view in which it votes.
    world.crash(ReplicaId(0));
    submit(&mut world, 1, 3);
    world.run(60 * SECOND);
    world.judge().unwrap();
    check_votes(world.trace()).unwrap();
    assert_eq!(world.accepted().len(), 26);
    assert!(after(&world) > 0);
    assert!(status(&world, 1).views.as_ref().unwrap().view >= View(2));
}

#[test]
fn every_replica_in_turn_is_killed_and_started_again() {
    for seed in 0..5 {
        let mut world = world(4, seed, &[], Network::uniform(50, 500));
        let mut asked = 0;
        for round in 0..8u16 {
            let victim = ReplicaId(round % 4);
            world.crash(victim);
            let gateway = (round + 1) % 4;
            submit(&mut world, gateway, 5);
            world.run(10 * SECOND);
            world.restart(victim);
            submit(&mut world, gateway, 5);
            world.run(30 * SECOND);
            asked += 10;
            world.judge().unwrap();
            check_votes(world.trace()).unwrap();
            assert_eq!(world.accepted().len(), asked, "seed {seed}, round {round}");
            assert!(!status(&world, victim.0).recovering, "seed {seed}, round {round}");
        }
    }
}

#[test]
fn a_state_is_the_one_that_its_digest_names() {
    let mut execution = Execution::new(OpaqueLog::default());
    let snapshot = execution.snapshot();
    let restored = Execution::<OpaqueLog>::restore(&snapshot).unwrap();
    assert_eq!((restored.digest(), restored.last()), (execution.digest(), Seq(0)));
    assert_eq!(restored, execution);
    assert!(Execution::<OpaqueLog>::restore(&Snapshot::new(snapshot.chunks()[1..].to_vec())).is_none());
    assert!(Execution::<OpaqueLog>::restore(&Snapshot::new(vec![])).is_none());
    execution.corrupt();
    assert_ne!(execution.digest(), restored.digest());
    assert_eq!(execution.last(), restored.last());
}

#[test]
fn a_lying_or_slow_state_server_does_not_hold_a_replica() {
    let period = Config::for_cluster(4).resend_after.0;
    for fault in [
        "malicious[kind=state]",
        "bad-state",
        "bad-state=bit",
        "bad-state=extent",
        "bad-state=short",
        "bad-state=silence",
        "delay=60s[kind=state]",
        "drop=0.9[kind=state]",
    ] {
        // Replica 0 is among the first who are asked.
        let mut world = world(4, 3, &[(0, fault)], Network::default());
        world.crash(ReplicaId(3));
        for round in 0..12u8 {
            // So many sessions that the state has many chunks.
            let operations: Vec<[u8; 2]> = (0..250).map(|place| [round, place]).collect();
            let operations: Vec<&[u8]> = operations.iter().map(<[u8; 2]>::as_slice).collect();
            world.submit_all(ReplicaId(1), &operations);
            world.run(SECOND / 20);
        }
        submit(&mut world, 1, 30);
        world.restart(ReplicaId(3));
        let adopted = |world: &World<Pbft>| {
            let is_adoption = |mark: &Mark| matches!(mark, Mark::StateAdopted { .. });
            world.trace().marks.iter().any(|s| s.replica == ReplicaId(3) && is_adoption(&s.mark))
        };
        // It asks at the resend timer at the latest, and loses two periods to the liar.
        assert!(world.run_until(adopted, 4 * period), "{fault}");
        world.run(20 * SECOND);
        submit(&mut world, 1, 2);
        world.run(20 * SECOND);
        world.judge().unwrap();
        assert_eq!(status(&world, 3).last_executed, status(&world, 1).last_executed, "{fault}");
        assert_eq!(world.replica(3).core().state_digest(), world.replica(1).core().state_digest());
    }
}

#[test]
fn a_replica_whose_state_is_damaged_notices_and_is_whole_again() {
    let mut world = world(4, 3, &[(3, "diverge[seq=5]")], Network::default());
    submit(&mut world, 1, 30);
    world.judge().unwrap();
    check_votes(world.trace()).unwrap();
    let of_3 = world.trace().marks.iter().filter(|stamped| stamped.replica == ReplicaId(3));
    let turns: Vec<&Mark> = of_3
        .map(|stamped| &stamped.mark)
        .filter(|mark| matches!(mark, Mark::Diverged { .. } | Mark::StateAdopted { .. }))
        .collect();
    assert!(
        matches!(turns[..], [Mark::Diverged { seq: Seq(8), .. }, Mark::StateAdopted { seq: Seq(8), .. }]),
        "{turns:?}"
    );
    assert_eq!(world.replica(3).core().state_digest(), world.replica(1).core().state_digest());
    assert_eq!((status(&world, 3).diverged, status(&world, 3).divergences), (false, 1));
    assert_eq!((status(&world, 1).diverged, status(&world, 1).divergences), (false, 0));
    // It is a full member again: without another one, it is needed.
    world.crash(ReplicaId(2));
    submit(&mut world, 1, 3);
    world.run(20 * SECOND);
    assert_eq!(world.accepted().len(), 33);
}

#[test]
fn timers_grow_until_they_suit_the_network() {
    // A view change takes two delays, each longer than the timer.
    let slow = Network::constant(2 * Config::for_cluster(4).request_after.0);
    let mut world = world(4, 3, &[], slow);
    world.crash(ReplicaId(0));
    world.submit(ReplicaId(2), b"slowly");
    world.run(600 * SECOND);
    assert_eq!(world.accepted().len(), 1);
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::ServerKeepsItsTurn, a_lying_or_slow_state_server_does_not_hold_a_replica),
        (Weakening::DivergenceNotNoticed, a_replica_whose_state_is_damaged_notices_and_is_whole_again),
        (Weakening::TimerNeverDoubled, timers_grow_until_they_suit_the_network),
        (Weakening::SlowCommanderKept, a_commander_that_is_late_with_every_proposal_is_replaced),
        (Weakening::UnfilledBatchesKept, a_commander_whose_batches_have_room_for_what_waits_is_replaced),
        (
            Weakening::UnfairCommanderKept,
            a_commander_that_serves_one_gateway_last_is_replaced_though_its_batches_are_full,
        ),
        (Weakening::LoneSuspectRests, a_commander_that_serves_only_some_costs_request_timers),
        (Weakening::AmnesiacVotes, a_replica_without_memory_catches_up_on_an_idle_cluster_and_then_votes),
    ]);
}
