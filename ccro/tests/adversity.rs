//! Regressions: what once stopped a run, filled a memory or accused the honest.

use adversary::Behaviour;
use apps::OpaqueLog;
use kernel::keys::seeded;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Operation, Path, Phase,
    Protocol, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, View,
};
use pbft::{Certificate, CertificateKind, CheckpointVote, Message, Vote};
use sim::{Network, Setup, Signatures, World};
use std::sync::Arc;

const SECOND: u64 = 1_000_000;
type Ccro = ccro::Replica<OpaqueLog>;
type Pbft = pbft::Replica<OpaqueLog>;

fn faulty(ids: &[u16], behaviour: &str) -> Vec<(u16, Vec<Behaviour>)> {
    ids.iter().map(|id| (*id, vec![behaviour.parse().unwrap()])).collect()
}

fn pbft_world(
    n: u16,
    seed: u64,
    loss: f64,
    faults: &[(u16, Vec<Behaviour>)],
    needed: usize,
    interval: u64,
) -> World<Pbft> {
    let cluster = Cluster::new(ClusterId::derive("test", seed), "pbft", n);
    let config = pbft::Config { checkpoint_interval: interval, ..pbft::Config::for_cluster(n) };
    let setup = Setup {
        network: Network::default().with_loss(loss),
        replies_needed: needed,
        faults: faults.to_vec(),
        signatures: Signatures::Ed25519,
        ..Setup::new(cluster, seed)
    };
    World::new(setup, move |_, _| pbft::Replica::new(config.clone(), OpaqueLog::default()))
}

fn ccro_world(faults: &[(u16, Vec<Behaviour>)]) -> World<Ccro> {
    let cluster = Cluster::new(ClusterId::derive("test", 1), "ccro", 4);
    let setup = Setup { faults: faults.to_vec(), signatures: Signatures::Ed25519, ..Setup::new(cluster, 1) };
    World::new(setup, |_, _| ccro::Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default()))
}

/// The keys of [`pbft_world`] and [`ccro_world`] with seed 1.
fn keys(protocol: &str) -> (Cluster, Vec<Signer>) {
    (Cluster::new(ClusterId::derive("test", 1), protocol, 4), seeded(1, 4).0)
}

fn vote(cluster: &Cluster, signer: &Signer, phase: Phase, seq: u64, digest: Digest) -> Vote {
    Vote::sign(cluster, signer, phase, (View(0), Seq(seq), digest), None)
}

fn bundle(cluster: &Cluster, signer: &Signer, counter: u64, operation: &[u8]) -> Arc<Bundle> {
    let session = SessionId { gateway: signer.id(), number: 1 };
    let request = Request { session, counter, operation: Operation::new(operation) };
    Arc::new(Bundle::sign(cluster, signer, vec![request]))
}

/// Feeds one replica messages as if from a peer and returns it with the effects
/// of the last.
fn feed<P: Protocol>(
    mut replica: P,
    protocol: &str,
    id: usize,
    messages: Vec<(u16, P::Message)>,
) -> (P, Vec<Effect<P>>) {
    let (cluster, signers) = keys(protocol);
    let mut admission = Admission::new(cluster.clone(), seeded(1, 4).1);
    let mut effects = Vec::new();
    for (from, message) in messages {
        let from = ReplicaId(from);
        let message = admission.admit(from, message).expect("admitted");
        effects.clear();
        let mut choose = SeededChoice::new(1);
        let mut cx = Context::new(&cluster, &signers[id], &mut choose, &mut effects);
        replica.step(&mut cx, Input::Deliver { from, message });
    }
    (replica, effects)
}

fn pbft_replica() -> Pbft {
    pbft::Replica::new(pbft::Config::for_cluster(4), OpaqueLog::default())
}

#[test]
fn lost_checkpoints_are_sent_again() {
    for seed in 0..12 {
        let mut world = pbft_world(4, seed, 0.15, &faulty(&[3], "offline"), 2, 8);
        for i in 0..40u32 {
            world.submit(ReplicaId(0), &i.to_le_bytes());
            world.run(SECOND);
        }
        world.run(300 * SECOND);
        world.judge().unwrap();
        for id in 0..3 {
            let executed: usize = world.log(id).iter().map(|entry| entry.requests).sum();
            assert_eq!(executed, 40, "seed {seed}, replica {id}");
        }
    }
}

#[test]
fn a_lost_request_does_not_starve_while_others_are_executed() {
    let mut world = pbft_world(4, 1, 0.0, &[], 2, 128);
    world.set_behaviours(ReplicaId(1), faulty(&[1], "drop=1").remove(0).1);
    world.submit(ReplicaId(1), b"lost once");
    world.set_behaviours(ReplicaId(1), vec![]);
    for i in 0..30u32 {
        world.submit(ReplicaId(0), &i.to_le_bytes());
        world.run(SECOND / 10);
    }
    assert!(world.accepted().iter().any(|outcome| outcome.request == 0));
}

#[test]
fn lost_replies_are_sent_again() {
    for seed in 0..40 {
        let mut world = pbft_world(7, seed, 0.3, &faulty(&[5, 6], "offline"), 3, 128);
        for i in 0..5u8 {
            world.submit(ReplicaId(1), &[i]);
            world.run(SECOND);
        }
        world.run(120 * SECOND);
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 5, "seed {seed}");
    }
}

#[test]
fn drop_and_delay_hold_for_replies_too() {
    let answered = |behaviour| {
        let mut world = pbft_world(4, 1, 0.0, &faulty(&[2], behaviour), 4, 128);
        world.submit(ReplicaId(0), b"a");
        world.run(SECOND * 4 / 5);
        world.accepted().first().map(|outcome| outcome.at_us)
    };
    assert_eq!(answered("drop=1"), None);
    assert!(answered("delay=100ms").is_some_and(|at_us| at_us > 100_000));
}

#[test]
fn votes_far_above_the_watermark_take_no_memory() {
    let (cluster, signers) = keys("ccro");
    let stuck = (0..2000).map(|i| {
        let seq = 1_000_000 + i;
        let votes = vec![vote(&cluster, &signers[3], Phase::Commit, seq, Digest::ZERO)];
        (3, Message::Stuck { seq: Seq(seq), complaint: true, votes })
    });
    let fresh: Ccro = ccro::Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default());
    let (replica, _) = feed(fresh.clone(), "ccro", 0, stuck.collect());
    assert_eq!(replica, fresh);
}

#[test]
fn a_replica_that_fell_too_far_behind_keeps_no_more_than_others() {
    let mut world = pbft_world(4, 1, 0.0, &faulty(&[3], "offline"), 2, 8);
    for i in 0..20u32 {
        world.submit(ReplicaId(0), &i.to_le_bytes());
        world.run(SECOND / 10);
    }
    world.set_behaviours(ReplicaId(3), vec![]);
    for i in 0..300u32 {
        world.submit(ReplicaId(0), &i.to_le_bytes());
        world.run(SECOND / 10);
    }
    let kept = |id| (0..2000).filter(|seq| world.replica(id).core().slot(Seq(*seq)).is_some()).count();
    for id in 0..4 {
        assert!(kept(id) <= 5 * 8, "replica {id} keeps {} slots", kept(id));
    }
    assert_eq!(world.caught(), [] as [u16; 0], "being late or early is no offence");
}

#[test]
fn a_gateway_cannot_fill_the_commander_with_requests() {
    let (cluster, signers) = keys("pbft");
    let requests = |from: u64| {
        let of = |counter| Request {
            session: SessionId { gateway: ReplicaId(3), number: 1 },
            counter,
            operation: Operation::new(b"x"),
        };
        Arc::new(Bundle::sign(&cluster, &signers[3], (from..from + 20_000).map(of).collect()))
    };
    let flood = (0..10).map(|i| (3, Message::Requests(requests(i * 20_000)))).collect();
    let (replica, effects) = feed(pbft_replica(), "pbft", 0, flood);
    assert!(replica.status(&cluster).requests_waiting <= 65_536);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reject(_))));
}

#[test]
fn one_vote_makes_no_endless_traffic() {
    let (cluster, signers) = keys("pbft");
    let mut world = pbft_world(4, 1, 0.0, &[], 2, 128);
    for to in 0..3 {
        let invented = vote(&cluster, &signers[3], Phase::Commit, 256, Digest::ZERO);
        world.inject(ReplicaId(3), ReplicaId(to), Message::Vote(invented));
    }
    world.run(600 * SECOND);
    assert_eq!(world.agreement_messages(), 0);
}

#[test]
fn a_single_complainer_has_no_honest_node_replaced() {
    let (cluster, signers) = keys("ccro");
    let mut world = ccro_world(&[]);
    for i in 1..=8u64 {
        world.submit(ReplicaId(0), &i.to_le_bytes());
        world.run(120);
        for to in 0..3 {
            let votes = vec![vote(&cluster, &signers[3], Phase::Commit, i, Digest::ZERO)];
            world.inject(ReplicaId(3), ReplicaId(to), Message::Stuck { seq: Seq(i), complaint: true, votes });
        }
        world.run(SECOND);
    }
    assert_eq!(world.accepted().len(), 8);
    assert_eq!(world.replica(0).status(&cluster).views.unwrap().communication_node, Some(ReplicaId(1)));
}

#[test]
fn an_equivocating_voter_is_caught_under_ccro() {
    for behaviour in ["equivocate", "equivocate=victim"] {
        let mut world = ccro_world(&faulty(&[2], behaviour));
        for i in 0..4u8 {
            world.submit(ReplicaId(0), &[i]);
            world.run(SECOND);
        }
        world.judge().unwrap();
        assert_eq!(world.accepted().len(), 4, "{behaviour}");
        let slowed = world.paths().keys().any(|path| *path != Path::Fast);
        assert!(slowed || world.caught() == [2], "{behaviour} changed nothing");
    }
}

#[test]
fn no_request_is_too_large_for_a_proposal() {
    let (cluster, signers) = keys("pbft");
    let large = |bytes: usize| bundle(&cluster, &signers[3], 1, &vec![0; bytes]);
    assert!(large(8 << 20).is_well_formed(&cluster));
    assert!(!large(kernel::request::MAX_BUNDLE_BYTES).is_well_formed(&cluster));
    let batch = Batch { bundles: vec![large(20 << 20), large(20 << 20), large(20 << 20)] };
    assert_eq!(batch.claims(&cluster), None);
    let fits = Batch { bundles: vec![large(20 << 20), large(20 << 20)] };
    assert!(fits.claims(&cluster).is_some());
    let (_, proposal) = Message::propose(&cluster, &signers[0], View(0), Seq(1), Arc::new(fits), None);
    assert!(postcard::to_stdvec(&proposal).unwrap().len() <= kernel::request::MAX_BATCH_BYTES);
}

#[test]
fn a_checkpoint_needs_a_quorum() {
    let (cluster, signers) = keys("pbft");
    let state = Digest::of(b"state");
    let votes = |count: usize| {
        let of = |id: usize| {
            let vote = CheckpointVote::sign(&cluster, &signers[id], Seq(128), state);
            (id as u16, Message::Checkpoint(vote))
        };
        (1..=count).map(of).collect::<Vec<_>>()
    };
    let stable = |count| {
        feed(pbft_replica(), "pbft", 0, votes(count))
            .0
            .status(&cluster)
            .views
            .as_ref()
            .unwrap()
            .stable_checkpoint
    };
    assert_eq!((stable(2), stable(3)), (Seq(0), Seq(128)));
}

#[test]
fn a_prepared_certificate_of_another_digest_makes_nobody_commit() {
    let (cluster, signers) = keys("ccro");
    let (mine, other) =
        (bundle(&cluster, &signers[0], 1, b"mine"), bundle(&cluster, &signers[0], 1, b"other"));
    let batch = |bundle: &Arc<Bundle>| Arc::new(Batch { bundles: vec![Arc::clone(bundle)] });
    let node = Some(ReplicaId(1));
    let (_, proposal) = Message::propose(&cluster, &signers[0], View(0), Seq(1), batch(&mine), node);
    let (header, _) = Message::propose(&cluster, &signers[0], View(0), Seq(1), batch(&other), node);
    let digest = header.digest;
    let prepares = [1, 3].map(|id: usize| vote(&cluster, &signers[id], Phase::Prepare, 1, digest).signature);
    let certificate = |kind| Certificate {
        kind,
        view: View(0),
        seq: Seq(1),
        digest,
        communication_node: node,
        votes: [(ReplicaId(0), header.signature), (ReplicaId(1), prepares[0]), (ReplicaId(3), prepares[1])]
            .into(),
        sum: None,
    };
    let fresh: Ccro = ccro::Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default());
    let prepared = Message::Certificate(Arc::new(certificate(CertificateKind::Prepared)));
    let (_, effects) = feed(fresh, "ccro", 2, vec![(0, proposal), (1, prepared)]);
    let voted = |effect: &Effect<Ccro>| matches!(effect, Effect::Send { message: Message::Vote(_), .. });
    assert!(!effects.iter().any(voted), "{effects:?}");
}

#[test]
fn signatures_that_came_in_a_certificate_stay_in_there() {
    let (cluster, signers) = keys("ccro");
    let (digest, seq) = (Digest::of(b"batch"), Seq(1));
    for kind in [CertificateKind::Prepared, CertificateKind::Committed] {
        let votes = [0, 1, 3].map(|id| {
            let phase = match kind {
                CertificateKind::Committed => Phase::Commit,
                _ if id == 0 => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            let vote = vote(&cluster, &signers[id], phase, seq.0, digest);
            (vote.author, vote.signature)
        });
        let votes: Arc<[_]> = votes.into();
        let certificate = Certificate {
            kind,
            view: View(0),
            seq,
            digest,
            communication_node: None,
            votes: Arc::clone(&votes),
            sum: None,
        };
        let fresh: Ccro = ccro::Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default());
        let (replica, _) = feed(fresh, "ccro", 2, vec![(1, Message::Certificate(Arc::new(certificate)))]);
        let round = replica.core().round(seq).unwrap();
        let recorded = if kind == CertificateKind::Prepared { &round.prepares } else { &round.commits };
        assert_eq!(recorded.of(&digest)[..], votes[..]);
        assert_eq!(Arc::strong_count(&votes), 3, "this list is the certificate's and the replica's");
    }
}

#[test]
fn a_request_is_executed_once_and_answered_from_the_session_table() {
    let (cluster, signers) = keys("pbft");
    let cluster_of_one = Cluster::new(cluster.id, "pbft", 1);
    let mut replica = pbft::Replica::new(pbft::Config::for_cluster(1), OpaqueLog::default());
    let mut results = Vec::new();
    for _ in 0..3 {
        let request = bundle(&cluster_of_one, &signers[0], 7, b"pay");
        let mut effects = Vec::new();
        let mut choose = SeededChoice::new(1);
        let mut cx = Context::new(&cluster_of_one, &signers[0], &mut choose, &mut effects);
        replica.step(&mut cx, Input::Submit(request));
        results.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Reply { bundle, .. } => Some((bundle.seq, bundle.replies[0].result.clone())),
            _ => None,
        }));
    }
    assert_eq!(results.len(), 3, "each time an answer");
    assert!(results.iter().all(|result| *result == results[0]), "the same one: {results:?}");
    assert_eq!(replica.core().last_executed(), Seq(1));
}

#[test]
fn a_request_in_two_slots_is_executed_once() {
    let (cluster, signers) = keys("pbft");
    let twice = bundle(&cluster, &signers[3], 1, b"pay");
    let batch = Arc::new(Batch { bundles: vec![Arc::clone(&twice), twice] });
    let digest = batch.digest();
    let mut messages = Vec::new();
    for seq in [1, 2] {
        messages.push((
            0,
            Message::propose(&cluster, &signers[0], View(0), Seq(seq), Arc::clone(&batch), None).1,
        ));
        for id in [0, 2, 3] {
            messages
                .push((id as u16, Message::Vote(vote(&cluster, &signers[id], Phase::Commit, seq, digest))));
        }
    }
    let (replica, _) = feed(pbft_replica(), "pbft", 1, messages);
    assert_eq!(replica.core().last_executed(), Seq(2));
    let state = format!("{replica:?}");
    assert!(state.contains("OpaqueLog { length: 1,"), "{state}");
}

#[test]
fn a_fetched_batch_must_be_the_one_that_was_certified() {
    let (cluster, signers) = keys("pbft");
    let batch = |operation| Arc::new(Batch { bundles: vec![bundle(&cluster, &signers[3], 1, operation)] });
    let (right, wrong) = (batch(b"right"), batch(b"wrong"));
    let digest = right.digest();
    let commit =
        |id: usize| (id as u16, Message::Vote(vote(&cluster, &signers[id], Phase::Commit, 1, digest)));
    let committed = vec![commit(0), commit(2), commit(3)];
    let executed = |batch: &Arc<Batch>| {
        let mut messages = committed.clone();
        messages.push((2, Message::Fetched { seq: Seq(1), batch: Arc::clone(batch) }));
        feed(pbft_replica(), "pbft", 1, messages).0.core().last_executed()
    };
    assert_eq!((executed(&wrong), executed(&right)), (Seq(0), Seq(1)));
}

#[test]
fn a_replica_that_missed_slots_catches_up_when_its_peers_come_to_rest() {
    for missed in [1, 5, 60] {
        let mut world = ccro_world(&faulty(&[3], "offline"));
        for i in 0..missed {
            world.submit(ReplicaId(0), &[i]);
            world.run(20_000);
        }
        world.set_behaviours(ReplicaId(3), vec![]);
        world.run(60 * SECOND);
        world.submit(ReplicaId(0), b"one more");
        world.run(20 * SECOND);
        assert_eq!(world.log(3).len(), usize::from(missed) + 1);
        let settled = world.messages().values().sum::<u64>();
        world.run(600 * SECOND);
        assert_eq!(world.messages().values().sum::<u64>(), settled, "at rest nothing is sent");
    }
}
