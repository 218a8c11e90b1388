//! Replicas of simulated runs, given again what they were given, and saved and loaded.

use flows::{BROADCAST, CCRO, CCRO_PAPER, PBFT};
use journal::Durable;
use journal::entry::{self, Entry, Given};
use journal::replay::{self, Replayed};
use kernel::record::{Recorder, hash_of};
use kernel::{Cluster, Micros, ReplicaId};
use sim::swarm::{Disks, Flow, Schedule, Settings, inspect, watch};
use sim::{Memory, World};
use std::collections::BTreeMap;

/// What a run is, without nodes that lose their memory: these begin as another replica.
fn schedule<P>(flow: &Flow<P>, seed: u64) -> Schedule {
    let mut schedule = Disks::Never.draw(flow.name, seed, flow.tolerates);
    schedule.crashes.clear();
    schedule
}

/// The flow with replicas that note all that they are given.
fn recorded<P: Durable>(
    flow: &Flow<P>,
    make: fn(&Settings, u16, Memory) -> Recorder<P>,
) -> Flow<Recorder<P>> {
    Flow {
        name: flow.name,
        make,
        kept: |_| (0, 0),
        transferred: |_| 0,
        state: |_| kernel::Digest::ZERO,
        holds: |_, _| Ok(()),
        ask: flow.ask,
        is_total_order: flow.is_total_order,
        tolerates: flow.tolerates,
        withstands_faults: flow.withstands_faults,
    }
}

/// Writes down all that a replica was given, reads it, and plays it around a replica that has seen nothing.
fn play_again<P: Durable>(cluster: &Cluster, seed: u64, id: ReplicaId, run: &Recorder<P>, fresh: P) -> usize {
    let mut bytes = Vec::new();
    for step in run.steps() {
        let given = Given::Input(step.input.clone());
        entry::write(&mut bytes, &Entry { given, now: step.now, choices: step.choices.clone() });
    }
    let (signers, _) = kernel::keys::symbolic(seed, cluster.n);
    let mut replayed = Replayed::begin(fresh, BTreeMap::new(), Micros(0));
    let mut effects_of = run.steps().iter().map(|step| step.effects);
    let each = |_: &_, _: &P, effects: &[kernel::Effect<P>]| {
        assert_eq!(Some(hash_of(effects)), effects_of.next());
        true
    };
    let entries = entry::read::<P>(&bytes);
    replay::replay(&mut replayed, cluster, &signers[usize::from(id.0)], entries, |_, _| Ok(()), each)
        .unwrap();
    assert!(replayed.replica == *run.inner(), "replica {id} of seed {seed} differs");
    assert_eq!(replayed.entries, run.steps().len() as u64);
    run.steps().len()
}

fn replicas_are_functions_of_their_entries<P: Durable>(
    flow: &Flow<P>,
    make: fn(&Settings, u16, Memory) -> Recorder<P>,
) {
    let recorded = recorded(flow, make);
    let mut steps = 0;
    for seed in 0..16 {
        let schedule = schedule(flow, seed);
        inspect(&recorded, &schedule, |cluster, id, run| {
            // Damage to a state is no input of the replica inside.
            if run.steps().iter().all(|step| step.damaged == 0) {
                let fresh = (flow.make)(&schedule.settings, schedule.nodes, Memory::Fresh);
                steps += play_again(cluster, seed, id, run, fresh);
            }
        });
    }
    assert!(steps > 5_000, "{steps}");
}

#[test]
fn a_replica_that_is_given_its_entries_again_is_the_same() {
    replicas_are_functions_of_their_entries(&PBFT, |s, n, memory| Recorder::new((PBFT.make)(s, n, memory)));
    replicas_are_functions_of_their_entries(&CCRO, |s, n, memory| Recorder::new((CCRO.make)(s, n, memory)));
    replicas_are_functions_of_their_entries(&CCRO_PAPER, |s, n, memory| {
        Recorder::new((CCRO_PAPER.make)(s, n, memory))
    });
    replicas_are_functions_of_their_entries(&BROADCAST, |s, n, memory| {
        Recorder::new((BROADCAST.make)(s, n, memory))
    });
}

#[test]
fn faults_that_were_injected_are_read_as_they_were_typed() {
    type Replica = flows::Pbft;
    let faults = vec!["drop=0.5".to_owned(), "malicious".to_owned()];
    let mut bytes = Vec::new();
    entry::write_faults::<Replica>(&mut bytes, faults.clone(), Micros(3));
    let written = Entry::<Replica> { given: Given::Faults(faults.clone()), now: Micros(3), choices: vec![] };
    let mut alike = Vec::new();
    entry::write(&mut alike, &written);
    assert_eq!(bytes, alike);
    let read: Vec<Entry<Replica>> = entry::read(&bytes).collect::<Result<_, _>>().unwrap();
    let [Entry { given: Given::Faults(typed), now: Micros(3), choices }] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((typed, choices.len()), (&faults, 0));
}

#[test]
fn faults_that_were_injected_are_injected_again_and_counted() {
    type Replica = flows::Pbft;
    let cluster = Cluster::new(kernel::ClusterId::derive("faults", 1), "pbft", 4);
    let (signers, _) = kernel::keys::symbolic(1, 4);
    let play = |given: &[&[&str]]| {
        let mut bytes = Vec::new();
        for faults in given {
            let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
            entry::write_faults::<Replica>(&mut bytes, faults, Micros(3));
        }
        let settings = Disks::Never.draw(PBFT.name, 0, PBFT.tolerates).settings;
        let fresh = (PBFT.make)(&settings, 4, Memory::Fresh);
        let mut replayed = Replayed::begin(fresh, BTreeMap::new(), Micros(0));
        let injected = std::cell::RefCell::new(Vec::new());
        let inject = |_: &mut Replica, faults: &[String]| {
            injected.borrow_mut().push(faults.join(","));
            if faults.contains(&"unknown".to_owned()) { Err("no such fault".to_owned()) } else { Ok(()) }
        };
        let entries = entry::read::<Replica>(&bytes);
        let ended = replay::replay(&mut replayed, &cluster, &signers[0], entries, inject, |_, _, _| true);
        (
            injected.into_inner(),
            replayed.was_faulty,
            replayed.entries,
            ended.map_err(|error| error.to_string()),
        )
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(play(&[&[]]), (strings(&[""]), false, 1, Ok(())));
    let mended = play(&[&["malicious", "drop=0.5"], &[]]);
    assert_eq!(mended, (strings(&["malicious,drop=0.5", ""]), true, 2, Ok(())), "it was faulty once");
    let (_, _, entries, ended) = play(&[&[], &["unknown"]]);
    assert_eq!(entries, 1);
    assert!(ended.unwrap_err().contains("no such fault"));
}

/// How many replicas were saved: all, in a view change, while a state is on its way to them.
#[derive(Debug, Default)]
struct Saved {
    all: u64,
    changing: u64,
    receiving: u64,
}

fn save_and_load<P: Durable>(replica: &P) {
    let mut bytes = Vec::new();
    replay::save::<P, P>(&mut bytes, replica, &BTreeMap::new(), Micros(7)).unwrap();
    let loaded = replay::load::<P, P>(&bytes).unwrap();
    assert!(loaded.replica == *replica, "{replica:?}\n{:?}", loaded.replica);
    assert_eq!(loaded.now, Micros(7));
    assert!(replay::load::<P, P>(&bytes[..bytes.len() - 1]).is_err());
}

fn saved_in_the_middle<P: Durable>(flow: &Flow<P>) -> Saved {
    let mut saved = Saved::default();
    for seed in (0..96).filter(|seed| [3, 5].contains(&(seed % 8))) {
        let mut events = 0_u64;
        let look = |world: &World<P>| {
            events += 1;
            for id in 0..world.trace().cluster.n {
                let replica = world.replica(id);
                let changing =
                    replica.status(&world.trace().cluster).views.is_some_and(|views| views.changing_view);
                let receiving = (flow.transferred)(replica) > 0;
                // Rare states more often.
                let every = if changing || receiving { 50 } else { 1000 };
                if events % every == u64::from(id) {
                    save_and_load(replica);
                    saved.all += 1;
                    saved.changing += u64::from(changing);
                    saved.receiving += u64::from(receiving);
                }
            }
        };
        watch(flow, &schedule(flow, seed), |_| {}, look);
    }
    saved
}

#[test]
fn a_replica_is_the_same_after_it_was_saved_and_loaded() {
    for saved in [saved_in_the_middle(&PBFT), saved_in_the_middle(&CCRO)] {
        assert!(saved.all > 200 && saved.changing > 30 && saved.receiving > 0, "{saved:?}");
    }
    assert!(saved_in_the_middle(&CCRO_PAPER).all > 30);
    assert!(saved_in_the_middle(&BROADCAST).all > 30);
}
