//! CCRO across views: communication nodes and commanders that fail together.

mod support;

use adversary::Behaviour;
use apps::OpaqueLog;
use ccro::{Config, Replica};
use kernel::weakening::assert_detected;
use kernel::{
    Cluster, ClusterId, Digest, Effect, Input, Mark, Path, Phase, Protocol, ReplicaId, Seq, View, Weakening,
};
use pbft::{CertificateKind, Message};
use sim::oracles::check_votes;
use sim::{Memory, Network, Setup, World};
use std::sync::Arc;
use support::{Bench, Ccro};

const SECOND: u64 = 1_000_000;

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
        Mark::Committed { path, view, .. } => Some((*path, view.unwrap().0)),
        _ => None,
    });
    assert_eq!(last, Some((Path::Fast, 1)));
    assert_eq!(world.accepted().len(), 5);
}

#[test]
fn a_commander_reports_its_own_proposals_as_votes() {
    let mut bench = Bench::new(0, Config::for_cluster(4));
    bench.step(Input::Submit(bench.bundle(1)));
    // Nobody votes, and the request timer runs out: its two halves.
    bench.step(Input::Expire(pbft::Timer::View.into()));
    let effects = bench.step(Input::Expire(pbft::Timer::View.into()));
    let change = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::ViewChange(change), .. } => Some(change),
        _ => None,
    });
    let voted = &change.expect("it leaves its view").voted;
    let about = |vote: &pbft::Vote| (vote.phase, vote.view, vote.seq);
    assert_eq!(voted.iter().map(about).collect::<Vec<_>>(), [(Phase::PrePrepare, View(0), Seq(1))]);
}

#[test]
fn a_certificate_that_was_acted_upon_is_reported_though_a_voter_contradicts_it() {
    let mut bench = Bench::new(2, Config::for_cluster(4));
    let node = Some(ReplicaId(1));
    let header = bench.accept(node);
    let digest = header.digest;
    // Replica 3 tells replica 2 that it accepted something else, and the
    // communication node that it accepted the proposal.
    bench.hear(3, Message::Vote(bench.prepare(3, Digest::of(b"other"))));
    let certificate = bench.certificate(CertificateKind::Prepared, &header, &[1, 3]);
    let effects = bench.hear(1, Message::Certificate(Arc::clone(&certificate)));
    let commit = Mark::Voted { phase: Phase::Commit, view: Some(View(0)), seq: Seq(1), digest };
    assert!(effects.contains(&Effect::Mark(commit)), "it acts upon the certificate");

    bench.step(Input::Expire(pbft::Timer::View.into()));
    let effects = bench.step(Input::Expire(pbft::Timer::View.into()));
    let change = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::ViewChange(change), .. } => Some(change),
        _ => None,
    });
    assert_eq!(change.expect("it leaves its view").prepared, [certificate]);
}

/// With PBFT it may wait, as a quorum is enough there.
#[test]
fn a_vote_that_may_complete_a_fast_certificate_does_not_wait() {
    let mut bench = Bench::new(2, Config::for_cluster(4));
    let digest = bench.accept(Some(ReplicaId(2))).digest;
    bench.hear(1, Message::Vote(bench.prepare(1, digest)));
    let last = Message::Vote(bench.prepare(3, digest));
    assert!(!bench.replica.may_wait(&bench.cluster, &last), "a quorum has prepared, and all may");
    bench.hear(3, last.clone());
    assert!(bench.replica.may_wait(&bench.cluster, &last), "it is decided");
}

#[test]
fn a_bad_communication_node_for_ever_is_survived_by_falling_back() {
    let cluster = Cluster::new(ClusterId::derive("changes", 1), "ccro", 4);
    let faults = vec![(ReplicaId(1).0, vec!["withhold".parse().unwrap()])];
    let setup = Setup { faults, ..Setup::new(cluster, 1) };
    let communication = ccro::CommunicationPolicy::Fixed(ReplicaId(1));
    let config = Config { communication, ..Config::for_cluster(4) };
    let mut world: World<Ccro> =
        World::new(setup, move |_, _| Replica::new(config.clone(), OpaqueLog::default()));
    drive(&mut world, 2, 3);
    world.run(30 * SECOND);
    assert_eq!(world.accepted().len(), 3);
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::CommanderNotReported, a_commander_reports_its_own_proposals_as_votes),
        (
            Weakening::CertificateNotKept,
            a_certificate_that_was_acted_upon_is_reported_though_a_voter_contradicts_it,
        ),
        (Weakening::FallbackNeverTriggered, a_bad_communication_node_for_ever_is_survived_by_falling_back),
    ]);
}
