//! Departures and arrivals, lost copies, and interventions at a given time.

use super::protocol::{Command, Leaderless, operation};
use kernel::observe::{Content, Observation};
use kernel::{Cluster, ClusterId, Protocol as _, ReplicaId};
use sim::{Alteration, Costs, Intervention, IterationCosts, Memory, Network, Setup, World};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Departure {
    at_ns: u64,
    from: u16,
    to: u16,
    kind: &'static str,
    content: String,
    arrivals_ns: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    departed: BTreeMap<u64, Departure>,
    /// By copy: when, where, from whom, what.
    arrived: Vec<(u64, (u64, u16, u16, String))>,
    marks: usize,
}

fn text(content: Content<'_, super::protocol::Message>) -> String {
    match content {
        Content::Message(message) => format!("{message:?}"),
        Content::Reply(bundle) => format!("{bundle:?}"),
    }
}

fn observed(world: &mut World<Leaderless>) -> Rc<RefCell<Seen>> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let notes = Rc::clone(&seen);
    world.observe_all(Box::new(move |at_ns, node, observation| {
        let mut seen = notes.borrow_mut();
        match observation {
            Observation::Departed { copy, to, content, arrivals_ns } => {
                let departure = Departure {
                    at_ns,
                    from: node.0,
                    to: to.0,
                    kind: content.kind(),
                    content: text(content),
                    arrivals_ns: arrivals_ns.expect("a simulation knows").to_vec(),
                };
                assert!(seen.departed.insert(copy, departure).is_none(), "copy {copy} departs twice");
            }
            Observation::Arrived { copy, from, content } => {
                let copy = copy.expect("a simulation knows");
                seen.arrived.push((copy, (at_ns, node.0, from.0, text(content))));
            }
            Observation::Mark(_) => seen.marks += 1,
            Observation::Rejection(_) => {}
        }
    }));
    seen
}

fn networks() -> Vec<(Network, Costs)> {
    let spread = Network { duplication: 0.1, loss: 0.05, ..Network::uniform(50, 5_000) };
    let iteration = IterationCosts { per_iteration_us: 5.0, per_chunk_us: 2.0, ..IterationCosts::default() };
    let busy = Costs { per_message_us: 10.0, iteration: Some(iteration), ..Costs::default() };
    vec![
        (Network::constant(100), Costs::default()),
        (spread.clone(), Costs::default()),
        (Network::constant(100), busy),
        (spread, busy),
    ]
}

fn world_in(network: &Network, costs: &Costs) -> World<Leaderless> {
    let cluster = Cluster::new(ClusterId::derive("observed", 1), "leaderless", 4);
    let setup = Setup { network: network.clone(), costs: *costs, record: true, ..Setup::new(cluster, 3) };
    World::new(setup, |_, _: Memory| Leaderless::default())
}

fn run(world: &mut World<Leaderless>) {
    for value in 0..8 {
        world.submit_again(ReplicaId((value % 4) as u16), &[&operation(Command::Set(value)).0]);
        world.run(20_000);
    }
    world.run(3_000_000);
}

#[test]
fn every_copy_departs_once_and_arrives_when_it_was_said_to() {
    for (network, costs) in networks() {
        let mut unobserved = world_in(&network, &costs);
        run(&mut unobserved);
        let mut world = world_in(&network, &costs);
        let seen = observed(&mut world);
        run(&mut world);
        assert_eq!(world.digest(), unobserved.digest(), "observing changes nothing");

        let seen = seen.borrow();
        let copies: Vec<u64> = seen.departed.keys().copied().collect();
        assert_eq!(copies, (0..copies.len() as u64).collect::<Vec<_>>(), "ordinals without a gap");
        let sent: u64 = world.messages().values().sum();
        assert_eq!(copies.len() as u64, sent);
        let mut expected: Vec<_> = seen
            .departed
            .iter()
            .flat_map(|(copy, d)| {
                d.arrivals_ns.iter().map(|at| (*copy, (*at, d.to, d.from, d.content.clone())))
            })
            .collect();
        let mut arrived = seen.arrived.clone();
        // A second copy of a reply is not simulated; all others are.
        expected.sort();
        arrived.sort();
        assert_eq!(arrived, expected);
        assert!(seen.departed.values().all(|d| d.arrivals_ns.iter().all(|at| *at >= d.at_ns)));
        assert_eq!(seen.marks, world.trace().marks.len());
        if network.loss > 0.0 {
            assert!(seen.departed.values().any(|d| d.arrivals_ns.is_empty()), "some are lost");
            assert!(seen.departed.values().any(|d| d.arrivals_ns.len() == 2), "some come twice");
        }
    }
}

#[test]
fn a_given_copy_is_lost_and_nothing_before_it_changes() {
    for (network, costs) in networks() {
        let mut world = world_in(&network, &costs);
        let before = observed(&mut world);
        run(&mut world);
        let before = before.borrow();
        let is_it = |d: &&Departure| d.kind == "proof" && d.to == 2 && !d.arrivals_ns.is_empty();
        let (copy, departure) = before.departed.iter().find(|(_, d)| is_it(d)).unwrap();

        let mut other = world_in(&network, &costs);
        other.alter_copy(*copy, Alteration::Lose);
        let after = observed(&mut other);
        run(&mut other);
        let after = after.borrow();
        assert_eq!(after.departed[copy], Departure { arrivals_ns: vec![], ..departure.clone() });
        let earlier = |seen: &Seen| {
            seen.departed
                .iter()
                .filter(|(other, _)| *other < copy)
                .map(|(_, d)| d.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(earlier(&after), earlier(&before));
        assert!(after.arrived.iter().all(|(other, _)| other != copy));
        assert_ne!(other.digest(), world.digest());
        if network.loss == 0.0 {
            assert!(other.replica(2).executed < other.replica(1).executed, "it lacks what was proven");
        }
    }
}

#[test]
fn what_is_planned_happens_at_its_time_as_if_done_by_hand() {
    let offline = || vec!["offline".parse().unwrap()];
    let faulty = ReplicaId(3);
    let lossy = Network::constant(300);
    for (network, costs) in networks() {
        let mut planned = world_in(&network, &costs);
        planned.plan(50_000, Intervention::Behave(faulty, offline()));
        planned.plan(90_000, Intervention::Behave(faulty, vec![]));
        planned.plan(100_000, Intervention::Crash(ReplicaId(2)));
        planned.plan(130_000, Intervention::Restart(ReplicaId(2)));
        planned.plan(130_000, Intervention::Network(lossy.clone()));
        run(&mut planned);

        let mut by_hand = world_in(&network, &costs);
        for value in 0..8u32 {
            by_hand.submit_again(ReplicaId((value % 4) as u16), &[&operation(Command::Set(value)).0]);
            let until = |world: &mut World<Leaderless>, at_us: u64| world.run(at_us - world.now_us());
            match value {
                2 => {
                    until(&mut by_hand, 50_000);
                    by_hand.set_behaviours(faulty, offline());
                }
                4 => {
                    until(&mut by_hand, 90_000);
                    by_hand.set_behaviours(faulty, vec![]);
                    until(&mut by_hand, 100_000);
                    by_hand.crash(ReplicaId(2));
                }
                6 => {
                    until(&mut by_hand, 130_000);
                    by_hand.restart(ReplicaId(2));
                    by_hand.set_network(&lossy);
                }
                _ => {}
            }
            until(&mut by_hand, 20_000 * u64::from(value + 1));
        }
        by_hand.run(3_000_000);
        assert_eq!(planned.trace().lifecycle, by_hand.trace().lifecycle);
        assert_eq!(planned.trace().faulty, [3].into());
        assert_eq!(planned.digest(), by_hand.digest());
        assert!(planned.replica(3).status(&planned.trace().cluster).last_executed.0 < 8);
    }
}
