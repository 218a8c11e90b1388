//! CCRO across views: communication nodes and commanders that fail together.

use adversary::Behaviour;
use apps::OpaqueLog;
use ccro::{Config, Replica};
use kernel::keys::{Keyring, seeded};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Operation, Path,
    Phase, Protocol, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, View, Weakening,
};
use pbft::{Certificate, CertificateKind, Message, Vote};
use sim::oracles::check_votes;
use sim::{Memory, Network, Setup, World};
use std::sync::Arc;

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
        Mark::Committed { path, view, .. } => Some((*path, view.unwrap().0)),
        _ => None,
    });
    assert_eq!(last, Some((Path::Fast, 1)));
    assert_eq!(world.accepted().len(), 5);
}

#[test]
fn a_commander_reports_its_own_proposals_as_votes() {
    let cluster = Cluster::new(ClusterId::derive("changes", 1), "ccro", 4);
    let (signers, _) = seeded(1, 4);
    let mut replica = Ccro::new(Config::for_cluster(4), OpaqueLog::default());
    let mut step = |input| {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        replica.step(&mut Context::new(&cluster, &signers[0], &mut choose, &mut effects), input);
        effects
    };
    let session = SessionId { gateway: ReplicaId(0), number: 1 };
    let request = Request { session, counter: 1, operation: Operation::new(b"pay") };
    step(Input::Submit(Arc::new(Bundle::sign(&cluster, &signers[0], vec![request]))));
    // Nobody votes, and the request timer runs out: its two halves.
    step(Input::Expire(pbft::Timer::View.into()));
    let effects: Vec<Effect<Ccro>> = step(Input::Expire(pbft::Timer::View.into()));
    let change = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::ViewChange(change), .. } => Some(change),
        _ => None,
    });
    let voted = &change.expect("it leaves its view").voted;
    let about = |vote: &pbft::Vote| (vote.phase, vote.view, vote.seq);
    assert_eq!(voted.iter().map(about).collect::<Vec<_>>(), [(Phase::PrePrepare, View(0), Seq(1))]);
}

/// One replica of four, to which the others' words are put into the mouth.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
    replica: Ccro,
}

impl Bench {
    /// The replica is number 2.
    fn new() -> Bench {
        let (signers, keyring) = seeded(1, 4);
        let cluster = Cluster::new(ClusterId::derive("changes", 1), "ccro", 4);
        let replica = Ccro::new(Config::for_cluster(4), OpaqueLog::default());
        Bench { cluster, signers, keyring, replica }
    }

    fn step(&mut self, input: Input<Ccro>) -> Vec<Effect<Ccro>> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[2], &mut choose, &mut effects);
        self.replica.step(&mut cx, input);
        effects
    }

    fn hear(&mut self, from: u16, message: Message) -> Vec<Effect<Ccro>> {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).unwrap();
        self.step(Input::Deliver { from, message })
    }

    /// Replica 0 proposes a request in slot 1. Returns the header.
    fn accept(&mut self, communication_node: Option<ReplicaId>) -> Vote {
        let request = Request {
            session: SessionId { gateway: ReplicaId(0), number: 1 },
            counter: 1,
            operation: Operation::new(b"pay"),
        };
        let bundle = Bundle::sign(&self.cluster, &self.signers[0], vec![request]);
        let batch = Arc::new(Batch { bundles: vec![Arc::new(bundle)] });
        self.hear(0, Message::Requests(Arc::clone(&batch.bundles[0])));
        let commander = &self.signers[0];
        let (header, proposal) =
            Message::propose(&self.cluster, commander, View(0), Seq(1), batch, communication_node);
        self.hear(0, proposal);
        header
    }

    fn prepare(&self, author: u16, digest: Digest) -> Vote {
        let signer = &self.signers[usize::from(author)];
        Vote::sign(&self.cluster, signer, Phase::Prepare, (View(0), Seq(1), digest), None)
    }
}

#[test]
fn a_certificate_that_was_acted_upon_is_reported_though_a_voter_contradicts_it() {
    let mut bench = Bench::new();
    let node = Some(ReplicaId(1));
    let header = bench.accept(node);
    let digest = header.digest;
    // Replica 3 tells replica 2 that it accepted something else, and the
    // communication node that it accepted the proposal.
    bench.hear(3, Message::Vote(bench.prepare(3, Digest::of(b"other"))));
    let votes = [
        (0, header.signature),
        (1, bench.prepare(1, digest).signature),
        (3, bench.prepare(3, digest).signature),
    ];
    let certificate = Certificate {
        kind: CertificateKind::Prepared,
        view: View(0),
        seq: Seq(1),
        digest,
        communication_node: node,
        votes: votes.map(|(id, signature)| (ReplicaId(id), signature)).to_vec(),
    };
    let effects = bench.hear(1, Message::Certificate(Arc::new(certificate.clone())));
    let commit = Mark::Voted { phase: Phase::Commit, view: Some(View(0)), seq: Seq(1), digest };
    assert!(effects.contains(&Effect::Mark(commit)), "it acts upon the certificate");

    bench.step(Input::Expire(pbft::Timer::View.into()));
    let effects = bench.step(Input::Expire(pbft::Timer::View.into()));
    let change = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::ViewChange(change), .. } => Some(change),
        _ => None,
    });
    let prepared: Vec<&Certificate> =
        change.expect("it leaves its view").prepared.iter().map(|c| &**c).collect();
    assert_eq!(prepared, [&certificate]);
}

/// With PBFT it may wait, as a quorum is enough there.
#[test]
fn a_vote_that_may_complete_a_fast_certificate_does_not_wait() {
    let mut bench = Bench::new();
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
