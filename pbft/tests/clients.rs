//! Clients with keys of their own: what replicas do with their bundles, and what they do
//! not accept from a client.

use apps::OpaqueLog;
use kernel::keys::{Keyring, seeded, symbolic};
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation,
    Phase, Protocol, Reason, ReplicaId, ReplyBundle, Request, SESSIONS_KEPT, SeededChoice, Seq, SessionId,
    Signer, To, View,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Config, Execution, Message, NewView, Recollection, Replica,
    StableCheckpoint, Timer, ViewChange, Vote,
};
use std::collections::VecDeque;
use std::sync::Arc;

type Pbft = Replica<OpaqueLog>;

const CLIENT: ReplicaId = ReplicaId(4);

/// Four replicas and two clients.
struct World {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
    replicas: Vec<Pbft>,
    /// Requests executed, by replica.
    applied: Vec<Vec<(u64, u64)>>,
}

fn cluster() -> Cluster {
    Cluster::new(ClusterId::derive("clients", 1), "pbft", 4).with_clients(2)
}

fn world() -> World {
    let (signers, keyring) = seeded(1, 6);
    let replica = || Replica::new(Config::for_cluster(4), OpaqueLog::default());
    World {
        cluster: cluster(),
        signers,
        keyring,
        replicas: (0..4).map(|_| replica()).collect(),
        applied: vec![vec![]; 4],
    }
}

fn request(number: u64, counter: u64, operation: &[u8]) -> Request {
    Request { session: SessionId { gateway: CLIENT, number }, counter, operation: Operation::new(operation) }
}

impl World {
    fn bundle(&self, number: u64, counter: u64, operation: &[u8]) -> Arc<Bundle> {
        let requests = vec![request(number, counter, operation)];
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(CLIENT.0)], requests))
    }

    fn admission(&self) -> Admission {
        Admission::new(self.cluster.clone(), self.keyring.clone())
    }

    fn step(&mut self, id: usize, input: Input<Pbft>) -> Vec<Effect<Pbft>> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[id], &mut choose, &mut effects);
        self.replicas[id].step(&mut cx, input);
        for effect in &effects {
            if let Effect::Mark(Mark::Applied { session, counter, .. }) = effect {
                self.applied[id].push((session.number, *counter));
            }
        }
        effects
    }

    fn submit(&mut self, id: usize, bundle: &Arc<Bundle>) -> Vec<Effect<Pbft>> {
        assert_eq!(self.admission().admit_bundles(&[(CLIENT, Arc::clone(bundle))]), [Ok(())]);
        self.step(id, Input::Submit(Arc::clone(bundle)))
    }

    /// Hands the bundle to one replica, and delivers all that comes of it. Returns the
    /// replies, and to whom.
    fn run(&mut self, id: usize, bundle: &Arc<Bundle>) -> Vec<(ReplicaId, ReplyBundle)> {
        let mut replies = Vec::new();
        let mut admission = self.admission();
        let mut queue: VecDeque<_> =
            self.submit(id, bundle).into_iter().map(|effect| (id as u16, effect)).collect();
        while let Some((from, effect)) = queue.pop_front() {
            let (to, message) = match effect {
                Effect::Reply { to, bundle } => {
                    replies.push((to, bundle));
                    continue;
                }
                Effect::Send { to, message } => (to, message),
                _ => continue,
            };
            for other in (0..4).filter(|id| *id != from && (to == To::All || to == To::One(ReplicaId(*id)))) {
                let message = admission.admit(ReplicaId(from), message.clone()).unwrap();
                let effects =
                    self.step(usize::from(other), Input::Deliver { from: ReplicaId(from), message });
                queue.extend(effects.into_iter().map(|effect| (other, effect)));
            }
        }
        replies
    }
}

#[test]
fn every_replica_replies_to_the_client_whichever_it_asked() {
    for asked in 0..4 {
        let mut world = world();
        let bundle = world.bundle(1, 1, b"pay");
        let replies = world.run(asked, &bundle);
        let mut admission = world.admission();
        assert!(replies.iter().all(|(to, reply)| *to == CLIENT
            && reply.gateway == CLIENT
            && admission.check(&reply.claim(&world.cluster))));
        let mut replicas: Vec<u16> = replies.iter().map(|(_, reply)| reply.replica.0).collect();
        replicas.sort_unstable();
        assert_eq!(replicas, [0, 1, 2, 3], "asked {asked}");
        let results: Vec<_> = replies.iter().flat_map(|(_, bundle)| &bundle.replies).collect();
        assert_eq!(results.len(), 4);
        assert!(results.iter().all(|reply| **reply == *results[0]), "{results:?}");
        assert_eq!(world.applied, vec![vec![(1, 1)]; 4]);
    }
}

#[test]
fn a_backup_passes_it_on_and_watches_over_it_and_the_client_tells_the_others_itself() {
    let mut world = world();
    let bundle = world.bundle(1, 1, b"pay");
    let config = Config::for_cluster(4);
    let forward = Effect::Send { to: To::One(ReplicaId(0)), message: Message::Requests(Arc::clone(&bundle)) };
    let half = Micros(config.request_after.0 / 2);
    assert_eq!(
        world.submit(1, &bundle),
        [
            forward.clone(),
            Effect::SetTimer { timer: Timer::View, after: half },
            Effect::SetTimer { timer: Timer::Resend, after: config.resend_after },
        ]
    );
    assert_eq!(world.submit(1, &bundle), std::slice::from_ref(&forward), "a reminder goes the same way");
    // It waits at the commander once.
    assert!(matches!(
        world.submit(0, &bundle)[..],
        [
            Effect::Mark(Mark::Proposed { seq: Seq(1), requests: 1, .. }),
            Effect::Send { to: To::All, message: Message::PrePrepare { .. } },
            Effect::SetTimer { timer: Timer::Resend, .. },
        ]
    ));
    assert_eq!(world.submit(0, &bundle), []);
    // What may have been lost on the way to the commander is sent again.
    let twice = [world.step(1, Input::Expire(Timer::Resend)), world.step(1, Input::Expire(Timer::Resend))];
    assert!(twice.concat().contains(&forward), "{twice:?}");
}

#[test]
fn a_replay_or_a_doubled_request_is_answered_again_or_not_at_all_and_never_executed_again() {
    let mut world = world();
    let first = world.bundle(1, 1, b"pay 1");
    world.run(0, &first);
    // The same bundle once more: each replica answers for itself, and nothing is sent.
    for id in 0..4 {
        let effects = world.submit(id, &first);
        assert!(
            matches!(&effects[..], [Effect::Reply { to: CLIENT, bundle }]
                if bundle.seq == Seq(1) && bundle.replica == ReplicaId(id as u16)),
            "{effects:?}"
        );
    }
    // The counter's second request in another bundle: the first one's answer.
    let doubled = world.bundle(1, 1, b"pay 1 again");
    for id in 0..4 {
        let effects = world.submit(id, &doubled);
        let [Effect::Reply { bundle, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((bundle.seq, &bundle.bundles), (Seq(1), &vec![]));
    }
    // A counter that has gone back: no effect at all, from whomever it comes.
    let second = world.bundle(1, 2, b"pay 2");
    world.run(2, &second);
    for id in 0..4 {
        assert_eq!(world.submit(id, &first), []);
        let message = world.admission().admit(ReplicaId(3), Message::Requests(Arc::clone(&first))).unwrap();
        assert_eq!(world.step(id, Input::Deliver { from: ReplicaId(3), message }), []);
    }
    assert_eq!(world.applied, vec![vec![(1, 1), (1, 2)]; 4]);
}

#[test]
fn a_doubled_request_that_is_ordered_twice_is_executed_once() {
    let mut world = world();
    let (one, other) = (world.bundle(1, 1, b"pay 1"), world.bundle(1, 1, b"pay 2"));
    // Two replicas are asked for two things under one counter.
    let mut admission = world.admission();
    let replies = world.run(0, &one);
    let batch = Arc::new(Batch { bundles: vec![Arc::clone(&other)] });
    assert_eq!(replies.len(), 4);
    // A commander that proposes it all the same changes nothing.
    let mut execution = Execution::new(OpaqueLog::default());
    let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
    let mut cx: Context<'_, Pbft> =
        Context::new(&world.cluster, &world.signers[1], &mut choose, &mut effects);
    let both = Batch { bundles: vec![Arc::clone(&one), Arc::clone(&other)] };
    let first = execution.execute(&mut cx, View(0), Seq(1), both.digest(), &both);
    let again = execution.execute(&mut cx, View(0), Seq(2), batch.digest(), &batch);
    assert!(admission.check(&again[0].claim(&world.cluster)));
    // Nobody can show the answer to one as that to the other.
    assert_eq!((&first[0].bundles, &again[0].bundles), (&vec![one.digest()], &vec![]));
    let results: Vec<_> = first.iter().chain(&again).flat_map(|bundle| &bundle.replies).collect();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|reply| reply.result == results[0].result), "{results:?}");
    let applied = effects.iter().filter(|effect| matches!(effect, Effect::Mark(Mark::Applied { .. })));
    assert_eq!(applied.count(), 1);
}

#[test]
fn a_request_of_a_session_that_is_forgotten_has_no_effect() {
    let (signers, _) = symbolic(1, 6);
    let (cluster, client) = (cluster(), &signers[usize::from(CLIENT.0)]);
    let mut execution = Execution::new(OpaqueLog::default());
    let mut execute = |seq: u64, numbers: std::ops::Range<u64>| {
        let requests = numbers.map(|number| request(number, 1, b"pay")).collect();
        let bundle = Arc::new(Bundle::sign(&cluster, client, requests));
        let again = execution.replies_again(&bundle);
        let batch = Batch { bundles: vec![bundle] };
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx: Context<'_, Pbft> = Context::new(&cluster, &signers[0], &mut choose, &mut effects);
        let replies = execution.execute(&mut cx, View(0), Seq(seq), batch.digest(), &batch);
        let applied = effects.iter().filter(|effect| matches!(effect, Effect::Mark(Mark::Applied { .. })));
        (again, replies.iter().map(|bundle| bundle.replies.len()).sum::<usize>(), applied.count())
    };
    let kept = SESSIONS_KEPT as u64;
    assert_eq!(execute(1, 0..kept).2, SESSIONS_KEPT);
    assert_eq!(execute(2, kept..kept + 10).2, 10);
    // Ten are forgotten: they need no slot, and in one that they are given nothing happens.
    assert_eq!(execute(3, 0..10), (Some((Seq(0), vec![])), 0, 0));
    let (again, replies, applied) = execute(4, 9..11);
    assert_eq!(again.map(|(seq, replies)| (seq, replies.len())), Some((Seq(1), 1)));
    assert_eq!((replies, applied), (1, 0));
}

#[test]
fn bundles_that_clients_hand_over_are_their_own_and_signed() {
    let world = world();
    let mut admission = world.admission();
    let good = world.bundle(1, 1, b"pay");
    let changed = |bundle: &Bundle, change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(bundle).unwrap();
        change(&mut json);
        Arc::new(serde_json::from_value::<Bundle>(json).unwrap())
    };
    let operation = changed(&good, &|json| json["requests"][0]["operation"] = "text:pay more".into());
    let foreign = changed(&good, &|json| json["requests"][0]["session"]["gateway"] = 5.into());
    let empty = Arc::new(Bundle::sign(&world.cluster, &world.signers[4], vec![]));
    let of_a_replica = Arc::new(Bundle::sign(&world.cluster, &world.signers[2], vec![]));
    let bundles = [
        (CLIENT, Arc::clone(&good)),
        (CLIENT, operation),
        (CLIENT, foreign),
        (CLIENT, empty),
        (ReplicaId(5), Arc::clone(&good)),
        (ReplicaId(2), of_a_replica),
        (ReplicaId(6), Arc::clone(&good)),
    ];
    let expected = [
        Ok(()),
        Err(Reason::BadSignature),
        Err(Reason::MalformedRequests),
        Err(Reason::MalformedRequests),
        Err(Reason::NotEntitled),
        Err(Reason::NotEntitled),
        Err(Reason::NotEntitled),
    ];
    assert_eq!(admission.admit_bundles(&bundles), expected);
    assert_eq!(admission.signatures_checked(), 2);
    // Once checked, it is not checked again inside a proposal.
    let batch = Arc::new(Batch { bundles: vec![good] });
    let (_, proposal) = Message::propose(&world.cluster, &world.signers[0], View(0), Seq(1), batch, None);
    admission.admit(ReplicaId(0), proposal).unwrap();
    assert_eq!(admission.signatures_checked(), 3);
}

#[test]
fn a_client_is_no_replica_whatever_it_signs() {
    let world = world();
    let (cluster, client) = (&world.cluster, &world.signers[usize::from(CLIENT.0)]);
    let about = (View(0), Seq(1), Digest::ZERO);
    let vote = |id: usize, phase| Vote::sign(cluster, &world.signers[id], phase, about, None);
    let (prepare, commit) = (vote(4, Phase::Prepare), vote(4, Phase::Commit));
    let checkpoint = |id: usize| CheckpointVote::sign(cluster, &world.signers[id], Seq(128), Digest::ZERO);
    let stable = StableCheckpoint {
        seq: Seq(128),
        state: Digest::ZERO,
        votes: [1, 2, 4].map(|id| (ReplicaId(id as u16), checkpoint(id).signature)).to_vec(),
    };
    let certificate = Certificate {
        kind: CertificateKind::Committed,
        view: View(0),
        seq: Seq(1),
        digest: Digest::ZERO,
        communication_node: None,
        votes: [1, 2, 4].map(|id| (ReplicaId(id as u16), vote(id, Phase::Commit).signature)).into(),
        sum: None,
    };
    let change =
        |id: usize| Arc::new(ViewChange::sign(cluster, &world.signers[id], View(1), None, vec![], vec![]));
    let new_view =
        NewView::sign(cluster, &world.signers[1], View(1), vec![change(1), change(2), change(4)], vec![]);
    let (_, proposal) = Message::propose(cluster, client, View(4), Seq(1), Arc::default(), None);
    let messages = [
        Message::Vote(prepare.clone()),
        Message::Vote(commit.clone()),
        Message::Stuck { seq: Seq(1), complaint: true, votes: vec![prepare, commit] },
        Message::Certificate(Arc::new(certificate)),
        Message::Checkpoint(checkpoint(4)),
        Message::Stable(Arc::new(stable)),
        Message::ViewChange(change(4)),
        Message::NewView(Arc::new(new_view)),
        Message::Recollection(Arc::new(Recollection::sign(cluster, client, (1, ReplicaId(0)), None, vec![]))),
        proposal,
    ];
    let mut admission = world.admission();
    for message in messages {
        for from in [ReplicaId(3), CLIENT] {
            let refused = admission.admit(from, message.clone()).unwrap_err();
            assert!(refused.reason.is_offence() && refused.reason != Reason::BadSignature, "{refused:?}");
        }
    }
    let bundle = Message::Requests(world.bundle(1, 1, b"pay"));
    assert!(admission.admit(CLIENT, bundle.clone()).is_err(), "a client has a link of its own");
    assert!(admission.admit(ReplicaId(3), bundle).is_ok(), "a peer passes it on");
}
