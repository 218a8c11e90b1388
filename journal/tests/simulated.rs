//! Journals on the disks of a simulated cluster: what crashes, failures and lies of disks lead to.

use flows::{CCRO, PBFT};
use kernel::{Cluster, ClusterId, Protocol, ReplicaId};
use sim::oracles::{self, acknowledged};
use sim::swarm::{Disks, Flow};
use sim::{Change, Disk, DiskFault, Setup, World};

const N: u16 = 4;

/// Four nodes, with disks that have these faults.
fn world<P: Protocol + 'static>(flow: &Flow<P>, disk: Disk, faults: Vec<(u16, DiskFault)>) -> World<P> {
    let settings = Disks::Never.draw(flow.name, 0, flow.tolerates).settings;
    let make = flow.make;
    let cluster = Cluster::new(ClusterId::derive("disks", 3), flow.name, N);
    let setup = Setup { record: true, disk: Some(disk), disk_faults: faults, ..Setup::new(cluster, 3) };
    World::new(setup, move |_, memory| make(&settings, N, memory))
}

fn ids() -> impl Iterator<Item = ReplicaId> {
    (0..N).map(ReplicaId)
}

fn ask<P: Protocol>(world: &mut World<P>, requests: u8) {
    for request in 0..requests {
        world.submit_again(ReplicaId(u16::from(request) % N), &[&[request]]);
        world.run(5_000);
    }
}

fn changes<P: Protocol>(world: &World<P>) -> Vec<(u16, Change)> {
    world.trace().lifecycle.iter().map(|life| (life.replica.0, life.change)).collect()
}

/// All requests were answered, and stand in all logs where the answers say.
fn judge<P: Protocol>(world: &World<P>) {
    assert_eq!(world.accepted().len(), world.submitted());
    oracles::check_results(world.trace()).unwrap();
    oracles::check_votes(world.trace()).unwrap();
    acknowledged::check(world.trace()).unwrap();
    let executed = |id| world.replica(id).status(&world.trace().cluster).last_executed;
    assert!((0..N).all(|id| executed(id) == executed(0)));
}

fn all_crash_at_once<P: Protocol + 'static>(flow: &Flow<P>) {
    let mut world = world(flow, Disk { save_after_bytes: 3_000, ..Disk::quick() }, vec![]);
    for round in 0..6 {
        ask(&mut world, 10);
        // In the middle of everything, at another moment each time.
        world.submit_again(ReplicaId(1), &[b"on its way"]);
        world.run(100 + 37 * round);
        ids().for_each(|id| world.crash(id));
        world.run(1_000);
        ids().for_each(|id| world.restart(id));
        let status = |id: u16| world.replica(id).status(&world.trace().cluster);
        assert!((0..N).all(|id| !status(id).recovering), "nobody lost its memory");
        world.run(3_000_000);
    }
    assert!(changes(&world).iter().all(|(_, change)| *change != Change::Restarted));
    judge(&world);
}

#[test]
fn nothing_is_lost_when_all_crash_at_once() {
    all_crash_at_once(&PBFT);
    all_crash_at_once(&CCRO);
}

/// The view that a replica wants, and whether it has not begun.
fn view<P: Protocol>(world: &World<P>, id: u16) -> (u64, bool) {
    let views = world.replica(id).status(&world.trace().cluster).views.unwrap();
    (views.view.0, views.changing_view)
}

#[test]
fn a_commander_that_is_started_again_is_followed_out_of_its_view_before_any_timer_runs_out() {
    let mut world = world(&PBFT, Disk::quick(), vec![]);
    ask(&mut world, 4);
    // It has proposed, and the power is lost before that is written.
    world.submit_again(ReplicaId(0), &[b"on its way"]);
    world.run(10);
    world.crash(ReplicaId(0));
    world.restart(ReplicaId(0));
    world.run(10_000);
    for id in 0..N {
        assert_eq!(view(&world, id), (1, false), "replica {id}");
    }
    ask(&mut world, 4);
    world.run(3_000_000);
    judge(&world);
    // Any other replica goes on in its view.
    world.crash(ReplicaId(2));
    world.restart(ReplicaId(2));
    world.run(3_000_000);
    assert!((0..N).all(|id| view(&world, id) == (1, false)));
    judge(&world);
}

#[test]
fn a_node_whose_sync_fails_stops_and_can_be_started_again() {
    let mut world = world(&PBFT, Disk::quick(), vec![(2, DiskFault::FailsAt(10))]);
    ask(&mut world, 12);
    assert_eq!(changes(&world), [(2, Change::Crashed)]);
    assert!(world.is_down(2) && world.log(2).len() < world.log(0).len());
    world.restart(ReplicaId(2));
    world.run(3_000_000);
    assert_eq!(changes(&world), [(2, Change::Crashed), (2, Change::Resumed)]);
    judge(&world);
}

#[test]
fn a_node_whose_disk_is_full_stops_until_there_is_room() {
    let mut world = world(&PBFT, Disk::quick(), vec![(1, DiskFault::FullAfterBytes(2_000))]);
    ask(&mut world, 12);
    assert!(world.is_down(1));
    world.restart(ReplicaId(1));
    world.run(1_000_000);
    assert!(world.is_down(1), "it is still full");
    world.mend_disks(&Disk::quick());
    world.restart(ReplicaId(1));
    world.run(3_000_000);
    assert!(!world.is_down(1));
    judge(&world);
}

#[test]
fn a_slow_disk_delays_its_own_node_alone() {
    let slow = |us| {
        let mut world = world(&PBFT, Disk::quick(), vec![(3, DiskFault::SlowUs(us))]);
        world.submit(ReplicaId(0), b"x");
        world.run_until(|world| !world.accepted().is_empty(), 1_000_000);
        let accepted_us = world.now_us();
        world.run_until(|world| !world.log(3).is_empty(), 1_000_000);
        (accepted_us, world.now_us())
    };
    let (quick, delayed) = (slow(0), slow(50_000));
    assert!(delayed.0 < quick.0 + 1_000, "the others do not wait for it: {quick:?}, {delayed:?}");
    assert!(delayed.1 > quick.1 + 50_000, "{quick:?}, {delayed:?}");
}

/// How many syncs stand one behind the other on the way of a request that this gateway has.
fn syncs_in_series<P: Protocol + 'static>(flow: &Flow<P>, gateway: u16) -> u64 {
    const SYNC_US: u64 = 2_000;
    let mut world = world(flow, Disk { sync_us: (SYNC_US, SYNC_US), ..Disk::quick() }, vec![]);
    let took_us: Vec<u64> = (0..2)
        .map(|_| {
            world.run(1_000_000);
            let (asked_us, asked) = (world.now_us(), world.submitted());
            world.submit_again(ReplicaId(gateway), &[b"x"]);
            world.run_until(|world| world.accepted().len() > asked, 1_000_000);
            world.now_us() - asked_us
        })
        .collect();
    took_us[1] / SYNC_US
}

#[test]
fn a_request_waits_for_the_syncs_of_promises_alone() {
    for gateway in [0, 1] {
        // That of the COMMITs.
        assert_eq!(syncs_in_series(&PBFT, gateway), 1);
        // Those of the proposal and the PREPAREs as well: with tags, who sent them has to know of them.
        assert_eq!(syncs_in_series(&flows::PBFT_MAC, gateway), 3);
        // Those of the proposal and the PREPAREs: that of the communication node's own is one of these.
        assert_eq!(syncs_in_series(&CCRO, gateway), 2);
        // Those of the batch, the validations and the proof.
        assert_eq!(syncs_in_series(&flows::BROADCAST, gateway), 3);
    }
}

#[test]
fn more_than_f_disks_that_lie_lose_what_was_acknowledged() {
    let lost = |liars: u16| {
        let mut world = world(&PBFT, Disk::quick(), (0..liars).map(|id| (id, DiskFault::Lies)).collect());
        ask(&mut world, 10);
        world.run(1_000);
        let before = world.log(N - 1).len();
        ids().for_each(|id| world.crash(id));
        ids().for_each(|id| world.restart(id));
        (0..N).any(|id| world.log(id).len() < before)
    };
    assert!(!lost(0));
    assert!(lost(4));
}
