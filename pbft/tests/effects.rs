//! Exact effects, input by input.

use apps::OpaqueLog;
use kernel::keys::{Keyring, seeded};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Operation, Path,
    Phase, Protocol, Reason, Rejection, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, To, View,
    ViewMark, Weakening,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Config, Message, NewView, Replica, StableCheckpoint, Timer,
    ViewChange, Vote,
};
use std::sync::Arc;

#[path = "effects/checkpoints.rs"]
mod checkpoints;
#[path = "effects/collected.rs"]
mod collected;
#[path = "effects/executing.rs"]
mod executing;
#[path = "effects/helpers.rs"]
mod helpers;
#[path = "effects/leaving.rs"]
mod leaving;
#[path = "effects/new_views.rs"]
mod new_views;
#[path = "effects/requests.rs"]
mod requests;
#[path = "effects/slots.rs"]
mod slots;

type Pbft = Replica<OpaqueLog>;

/// One replica of four, and the keys to speak to it as any other.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
    id: usize,
    replica: Pbft,
}

fn bench(id: usize) -> Bench {
    let (signers, keyring) = seeded(1, 4);
    Bench {
        cluster: Cluster::new(ClusterId::derive("effects", 1), "pbft", 4),
        signers,
        keyring,
        id,
        replica: Replica::new(Config::for_cluster(4), OpaqueLog::default()),
    }
}

impl Bench {
    fn step(&mut self, input: Input<Pbft>) -> Vec<Effect<Pbft>> {
        let mut effects = Vec::new();
        let mut choose = SeededChoice::new(1);
        let mut cx = Context::new(&self.cluster, &self.signers[self.id], &mut choose, &mut effects);
        self.replica.step(&mut cx, input);
        effects
    }

    fn deliver(&mut self, from: u16, message: Message) -> Vec<Effect<Pbft>> {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).unwrap();
        self.step(Input::Deliver { from, message })
    }

    fn batch(&self, operation: &[u8]) -> Arc<Batch> {
        let request = Request {
            session: SessionId { gateway: ReplicaId(2), number: 1 },
            counter: 1,
            operation: Operation::new(operation),
        };
        let bundle = Bundle::sign(&self.cluster, &self.signers[2], vec![request]);
        Arc::new(Batch { bundles: vec![Arc::new(bundle)] })
    }

    /// Hands over a bundle of so many requests of sessions named after `number`.
    /// Returns the slots proposed and how many requests are in each.
    fn submit(&mut self, number: u64, requests: u64) -> Vec<(u64, usize)> {
        let request = |k: u64| Request {
            session: SessionId { gateway: ReplicaId(0), number: 1000 * number + k },
            counter: 1,
            operation: Operation::new(b"pay"),
        };
        let bundle =
            Bundle::sign(&self.cluster, &self.signers[self.id], (0..requests).map(request).collect());
        let effects = self.step(Input::Submit(Arc::new(bundle)));
        let proposed = effects.iter().filter_map(|effect| match effect {
            Effect::Mark(Mark::Proposed { seq, requests, .. }) => Some((seq.0, *requests)),
            _ => None,
        });
        proposed.collect()
    }

    fn proposal(&self, seq: u64, batch: &Arc<Batch>) -> Message {
        let batch = Arc::clone(batch);
        Message::propose(&self.cluster, &self.signers[0], View(0), Seq(seq), batch, None).1
    }

    fn vote(&self, author: u16, phase: Phase, digest: Digest) -> Vote {
        let signer = &self.signers[usize::from(author)];
        Vote::sign(&self.cluster, signer, phase, (View(0), Seq(1), digest), None)
    }
}

fn received(author: u16, phase: Phase, digest: Digest, contradicts: bool) -> Effect<Pbft> {
    Effect::Mark(Mark::VoteReceived { seq: Seq(1), digest, author: ReplicaId(author), phase, contradicts })
}

fn voted(phase: Phase, digest: Digest) -> Effect<Pbft> {
    Effect::Mark(Mark::Voted { phase, view: Some(View(0)), seq: Seq(1), digest })
}

fn to_all(message: Message) -> Effect<Pbft> {
    Effect::Send { to: To::All, message }
}

fn rejected(from: u16, seq: u64, reason: Reason) -> Vec<Effect<Pbft>> {
    vec![Effect::Reject(Rejection {
        from: ReplicaId(from),
        seq: Some(Seq(seq)),
        corrupt_vote: reason.is_offence(),
        reason,
    })]
}

#[test]
fn a_backup_goes_through_the_three_phases() {
    let mut bench = bench(1);
    let batch = bench.batch(b"pay");
    let digest = batch.digest();

    let effects = bench.deliver(0, bench.proposal(1, &batch));
    let prepare = bench.vote(1, Phase::Prepare, digest);
    assert_eq!(
        effects,
        [
            received(0, Phase::PrePrepare, digest, false),
            Effect::Mark(Mark::Accepted { seq: Seq(1), digest }),
            voted(Phase::Prepare, digest),
            to_all(Message::Vote(prepare)),
            Effect::SetTimer { timer: Timer::Resend, after: Config::for_cluster(4).resend_after },
        ]
    );

    // Commander, itself and one more: prepared.
    let effects = bench.deliver(2, Message::Vote(bench.vote(2, Phase::Prepare, digest)));
    let commit = bench.vote(1, Phase::Commit, digest);
    assert_eq!(
        effects,
        [
            received(2, Phase::Prepare, digest, false),
            voted(Phase::Commit, digest),
            to_all(Message::Vote(commit)),
        ]
    );

    let effects = bench.deliver(2, Message::Vote(bench.vote(2, Phase::Commit, digest)));
    assert_eq!(effects, [received(2, Phase::Commit, digest, false)]);

    let effects = bench.deliver(3, Message::Vote(bench.vote(3, Phase::Commit, digest)));
    assert_eq!(effects[0], received(3, Phase::Commit, digest, false));
    assert_eq!(
        effects[1],
        Effect::Mark(Mark::Committed { view: Some(View(0)), seq: Seq(1), digest, path: Path::Direct })
    );
    assert!(matches!(effects[2], Effect::Mark(Mark::Applied { seq: Some(Seq(1)), counter: 1, .. })));
    assert!(matches!(effects[3], Effect::Mark(Mark::Executed { seq: Seq(1), requests: 1, .. })));
    let Effect::Reply { to, bundle } = &effects[4] else {
        panic!("{:?}", effects[4]);
    };
    assert_eq!((*to, bundle.replica, bundle.replies.len()), (ReplicaId(2), ReplicaId(1), 1));
    assert_eq!(effects.len(), 5);
}

#[test]
fn a_vote_of_which_there_are_enough_may_wait_and_no_other() {
    let mut bench = bench(1);
    let batch = bench.batch(b"pay");
    let digest = batch.digest();
    let late = |bench: &Bench| {
        [Phase::Prepare, Phase::Commit].map(|phase| {
            let vote = Message::Vote(bench.vote(3, phase, digest));
            bench.replica.may_wait(&bench.cluster, &vote)
        })
    };
    bench.deliver(0, bench.proposal(1, &batch));
    assert_eq!(late(&bench), [false, false]);
    bench.deliver(2, Message::Vote(bench.vote(2, Phase::Prepare, digest)));
    assert_eq!(late(&bench), [true, false], "it is prepared");
    bench.deliver(0, Message::Vote(bench.vote(0, Phase::Commit, digest)));
    assert_eq!(late(&bench), [true, false]);
    bench.deliver(2, Message::Vote(bench.vote(2, Phase::Commit, digest)));
    assert_eq!(late(&bench), [true, true], "it is decided");
    let of_others = [Phase::Prepare, Phase::Commit].map(|phase| bench.vote(3, phase, Digest::ZERO));
    let of_another_view = [Phase::Prepare, Phase::Commit]
        .map(|phase| Vote::sign(&bench.cluster, &bench.signers[3], phase, (View(1), Seq(1), digest), None));
    let votes = of_others.into_iter().chain(of_another_view).map(Message::Vote);
    for message in votes.chain([bench.proposal(1, &batch)]) {
        assert!(!bench.replica.may_wait(&bench.cluster, &message), "{message:?}");
    }
}

#[test]
fn a_vote_counts_once() {
    let mut bench = bench(1);
    let batch = bench.batch(b"pay");
    bench.deliver(0, bench.proposal(1, &batch));
    bench.deliver(2, Message::Vote(bench.vote(2, Phase::Commit, batch.digest())));
    let again = bench.deliver(3, Message::Vote(bench.vote(2, Phase::Commit, batch.digest())));
    assert_eq!(again, rejected(3, 1, Reason::Duplicate));
    assert!(!bench.replica.core().is_committed(Seq(1)));
}

#[test]
fn a_second_proposal_for_a_slot_is_refused() {
    let mut bench = bench(1);
    let (one, other) = (bench.batch(b"one"), bench.batch(b"other"));
    bench.deliver(0, bench.proposal(1, &one));
    let again = bench.deliver(0, bench.proposal(1, &one));
    assert_eq!(again, rejected(0, 1, Reason::Duplicate), "the same again is no offence");

    // The second one goes to all as proof, and its commander is left.
    let effects = bench.deliver(0, bench.proposal(1, &other));
    assert_eq!(effects[..1], rejected(0, 1, Reason::ConflictingProposal));
    let Effect::Send { to: To::All, message: Message::Conflict { first, second } } = &effects[1] else {
        panic!("{:?}", effects[1]);
    };
    assert_eq!((first.digest, second.digest), (one.digest(), other.digest()));
    let left = Effect::Mark(Mark::View(ViewMark::LeftFor { view: View(1) }));
    assert!(effects.contains(&left), "{effects:?}");
    let Some(Effect::Send { to: To::All, message: Message::ViewChange(change) }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!((change.view, change.author), (View(1), ReplicaId(1)));
}

#[test]
fn a_vote_that_contradicts_an_earlier_one_is_marked_and_does_not_count() {
    let mut bench = bench(1);
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    bench.deliver(2, Message::Vote(bench.vote(2, Phase::Commit, one)));
    let effects = bench.deliver(2, Message::Vote(bench.vote(2, Phase::Commit, other)));
    assert_eq!(effects, [received(2, Phase::Commit, other, true)]);
}

#[test]
fn no_vote_without_the_proposal() {
    let mut bench = bench(1);
    let digest = bench.batch(b"pay").digest();
    for author in [2, 3] {
        let effects = bench.deliver(author, Message::Vote(bench.vote(author, Phase::Prepare, digest)));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })));
    }
}

#[test]
fn a_proposal_outside_the_watermarks_or_of_another_view_is_refused() {
    let mut bench = bench(2);
    let batch = bench.batch(b"pay");
    let high = 2 * Config::for_cluster(4).checkpoint_interval;
    let effects = bench.deliver(0, bench.proposal(high + 1, &batch));
    assert_eq!(effects, rejected(0, high + 1, Reason::OutsideWindow));
    let (cluster, signer) = (bench.cluster.clone(), bench.signers[1].clone());
    let (_, early) = Message::propose(&cluster, &signer, View(1), Seq(1), batch, None);
    let effects = bench.deliver(1, early);
    assert_eq!(effects[..1], rejected(1, 1, Reason::WrongView));
    // Others may be in that view: it will ask.
    let after = Config::for_cluster(4).resend_after;
    assert_eq!(effects[1..], [Effect::SetTimer { timer: Timer::Resend, after }]);
}

#[test]
fn the_commander_proposes_at_once_and_fills_the_window_with_batches() {
    let mut bench = bench(0);
    let window = Config::for_cluster(4).window;
    for number in 1..=window {
        assert_eq!(bench.submit(number, 1), [(number, 1)]);
    }
    for number in window + 1..=window + 3 {
        assert_eq!(bench.submit(number, 1), [], "the window is full");
    }
    assert_eq!(bench.replica.status(&bench.cluster).requests_waiting, 3);
}

#[test]
fn where_many_requests_are_in_flight_another_slot_takes_a_full_batch() {
    let mut bench = bench(0);
    let most = Config::for_cluster(4).batch_max as u64;
    let few = most / 8 - 1;
    assert_eq!(bench.submit(1, few), [(1, few as usize)]);
    assert_eq!(bench.submit(2, 1), [(2, 1)], "few are in flight");
    assert_eq!(bench.submit(3, most - 1), [], "now there are as many as an eighth of a batch");
    assert_eq!(bench.submit(4, 1), [(3, most as usize)]);
    assert_eq!(bench.submit(5, most), [(4, most as usize)]);
    assert_eq!(bench.submit(6, most), [], "the window is full");
}

#[test]
fn whoever_votes_for_a_checkpoint_long_past_gets_the_proof_of_the_checkpoint() {
    let mut bench = bench(0);
    let interval = Config::for_cluster(4).checkpoint_interval;
    let state = Digest::of(b"state");
    let vote = |bench: &Bench, author: u16, seq: u64| {
        let signer = &bench.signers[usize::from(author)];
        Message::Checkpoint(CheckpointVote::sign(&bench.cluster, signer, Seq(seq), state))
    };
    let proof_for = |effects: &[Effect<Pbft>], asks: u16| match effects {
        [Effect::Send { to: To::One(to), message: Message::Stable(proof) }] if *to == ReplicaId(asks) => {
            Some(proof.seq.0)
        }
        _ => None,
    };
    for seq in [interval, 2 * interval] {
        for author in 1..4 {
            let vote = vote(&bench, author, seq);
            bench.deliver(author, vote);
        }
    }
    let earlier = vote(&bench, 3, interval);
    let effects = bench.deliver(3, earlier);
    assert_eq!(proof_for(&effects, 3), Some(2 * interval), "{effects:?}");
    let again = vote(&bench, 3, 2 * interval);
    let effects = bench.deliver(3, again);
    assert_eq!(proof_for(&effects, 3), Some(2 * interval), "it has voted before, and lacks the proof");
}

#[test]
fn who_never_voted_for_the_stable_checkpoint_and_votes_for_an_earlier_one_gets_the_proof() {
    let mut bench = bench(1);
    let state = Digest::of(b"state");
    let vote = |bench: &Bench, author: u16, seq: u64| {
        let signer = &bench.signers[usize::from(author)];
        Message::Checkpoint(CheckpointVote::sign(&bench.cluster, signer, Seq(seq), state))
    };
    for author in [1, 2, 3] {
        let vote = vote(&bench, author, 8);
        bench.deliver(author, vote);
    }
    let effects = bench.deliver(0, vote(&bench, 0, 7));
    assert!(
        matches!(&effects[..], [Effect::Send { to: To::One(ReplicaId(0)), message: Message::Stable(_) }]),
        "{effects:?}"
    );
}

#[test]
fn a_replica_takes_part_up_to_the_high_watermark_and_no_further_ahead_than_it_can_catch_up() {
    let interval = Config::for_cluster(4).checkpoint_interval;
    let state = Digest::of(b"state");
    // Nothing executed: up to two intervals beyond the stable checkpoint, but four in all.
    for (stable, highest) in [(0, 2 * interval), (interval, 3 * interval), (9 * interval, 4 * interval)] {
        let mut bench = bench(1);
        if stable > 0 {
            let vote = |author: usize| {
                CheckpointVote::sign(&bench.cluster, &bench.signers[author], Seq(stable), state).signature
            };
            let votes = [0, 2, 3].map(|author| (ReplicaId(author as u16), vote(author))).to_vec();
            let proof = StableCheckpoint { seq: Seq(stable), state, votes };
            bench.deliver(0, Message::Stable(Arc::new(proof)));
        }
        assert_eq!(bench.replica.core().highest_kept(), Seq(highest), "stable: {stable}");
    }
}

#[test]
fn batches_far_ahead_are_kept_up_to_a_number_of_bytes() {
    let mut bench = bench(1);
    let window = Config::for_cluster(4).window;
    let batch = bench.batch(&vec![0; 16 << 20]);
    // 256 MiB are sixteen of them.
    for seq in window + 1..=window + 16 {
        let message = bench.proposal(seq, &batch);
        let effects = bench.deliver(0, message);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reject(_))), "slot {seq}");
    }
    let one_more = bench.proposal(window + 17, &batch);
    assert_eq!(bench.deliver(0, one_more), rejected(0, window + 17, Reason::Overloaded));
    // What is due soon is always taken.
    let soon = bench.proposal(window, &batch);
    let effects = bench.deliver(0, soon);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reject(_))));
}

#[test]
fn only_a_single_bundle_may_be_larger_than_a_batch() {
    let most = Config::for_cluster(4).batch_max as u64;
    let refused = |sizes: &[u64]| {
        let mut bench = bench(1);
        let bundle = |(number, size): (u64, &u64)| {
            let request = |k: u64| Request {
                session: SessionId { gateway: ReplicaId(2), number: 1000 * number + k },
                counter: 1,
                operation: Operation::new(b"pay"),
            };
            Arc::new(Bundle::sign(&bench.cluster, &bench.signers[2], (0..*size).map(request).collect()))
        };
        let batch = Arc::new(Batch { bundles: (0..).zip(sizes).map(bundle).collect() });
        let effects = bench.deliver(0, bench.proposal(1, &batch));
        effects == rejected(0, 1, Reason::MalformedRequests)
    };
    assert_eq!([refused(&[most - 1, 1]), refused(&[most + 1])], [false, false]);
    assert_eq!([refused(&[most, 1]), refused(&[most - 1, 3])], [true, true]);
}

#[test]
fn where_nothing_moves_a_replica_sends_its_own_votes_again() {
    let mut bench = bench(1);
    let batch = bench.batch(b"pay");
    let digest = batch.digest();
    bench.deliver(0, bench.proposal(1, &batch));
    bench.deliver(2, Message::Vote(bench.vote(2, Phase::Prepare, digest)));
    bench.step(Input::Expire(Timer::Resend));
    let effects = bench.step(Input::Expire(Timer::Resend));
    let votes = [Phase::Prepare, Phase::Commit].map(|phase| bench.vote(1, phase, digest)).to_vec();
    let stuck = to_all(Message::Stuck { seq: Seq(1), complaint: true, votes });
    assert!(effects.contains(&stuck), "{effects:?}");
}

/// The VIEW-CHANGE among the effects.
fn view_change(effects: &[Effect<Pbft>]) -> &Arc<ViewChange> {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::ViewChange(change) } => Some(change),
        _ => None,
    });
    found.expect("it leaves its view")
}

#[test]
fn what_was_prepared_is_reported_after_every_later_view_change_too() {
    let mut bench = bench(3);
    let batch = bench.batch(b"pay");
    bench.deliver(0, bench.proposal(1, &batch));
    for author in [1, 2] {
        let vote = bench.vote(author, Phase::Prepare, batch.digest());
        bench.deliver(author, Message::Vote(vote));
    }
    // A request that waits, so that there is a timer: it runs out twice, then that of
    // every NEW-VIEW.
    let mut waiting = Vec::clone(&bench.batch(b"wait").bundles);
    bench.deliver(2, Message::Requests(waiting.remove(0)));
    bench.step(Input::Expire(Timer::View));
    let effects = bench.step(Input::Expire(Timer::View));
    let first = view_change(&effects);
    let about = |change: &ViewChange| {
        let [prepared] = &change.prepared[..] else {
            panic!("{change:?}");
        };
        (change.view, prepared.view, prepared.seq, prepared.digest)
    };
    assert_eq!(about(first), (View(1), View(0), Seq(1), batch.digest()));

    // View 1 begins with it, nobody votes, and it ends.
    let empty = |author: usize| {
        let signer = &bench.signers[author];
        Arc::new(ViewChange::sign(&bench.cluster, signer, View(1), None, vec![], vec![]))
    };
    let changes = vec![empty(1), empty(2), Arc::clone(first)];
    let again = (View(1), Seq(1), batch.digest());
    let header = Vote::sign(&bench.cluster, &bench.signers[1], Phase::PrePrepare, again, None);
    let new_view = NewView::sign(&bench.cluster, &bench.signers[1], View(1), changes, vec![header]);
    let effects = bench.deliver(1, Message::NewView(Arc::new(new_view)));
    assert!(
        effects.contains(&Effect::Mark(Mark::View(ViewMark::ViewBegan { view: View(1) }))),
        "{effects:?}"
    );
    bench.step(Input::Expire(Timer::View));
    let effects = bench.step(Input::Expire(Timer::View));
    assert_eq!(about(view_change(&effects)), (View(2), View(0), Seq(1), batch.digest()));
}

#[test]
fn a_new_view_must_propose_exactly_what_its_view_changes_demand() {
    let prepared = |bench: &Bench, batch: &Batch| {
        let vote = |author: u16| {
            let phase = if author == 0 { Phase::PrePrepare } else { Phase::Prepare };
            (ReplicaId(author), bench.vote(author, phase, batch.digest()).signature)
        };
        Arc::new(Certificate {
            kind: CertificateKind::Prepared,
            view: View(0),
            seq: Seq(1),
            digest: batch.digest(),
            communication_node: None,
            votes: [0, 1, 2].map(vote).into(),
            sum: None,
        })
    };
    let began = |proposals: &[(u64, &[u8])]| {
        let mut bench = bench(3);
        let certificate = prepared(&bench, &bench.batch(b"pay"));
        let change = |author: u16| {
            let prepared = if author == 2 { vec![Arc::clone(&certificate)] } else { vec![] };
            let signer = &bench.signers[usize::from(author)];
            Arc::new(ViewChange::sign(&bench.cluster, signer, View(1), None, prepared, vec![]))
        };
        let headers = proposals.iter().map(|(seq, operation)| {
            let about = (View(1), Seq(*seq), bench.batch(operation).digest());
            Vote::sign(&bench.cluster, &bench.signers[1], Phase::PrePrepare, about, None)
        });
        let (changes, headers) = ([0, 1, 2].map(change).to_vec(), headers.collect());
        let new_view = NewView::sign(&bench.cluster, &bench.signers[1], View(1), changes, headers);
        let effects = bench.deliver(1, Message::NewView(Arc::new(new_view)));
        let refused = Effect::Reject(Rejection {
            from: ReplicaId(1),
            seq: None,
            corrupt_vote: false,
            reason: Reason::MalformedViewChange,
        });
        let began = effects.contains(&Effect::Mark(Mark::View(ViewMark::ViewBegan { view: View(1) })));
        assert_ne!(began, effects.contains(&refused), "{effects:?}");
        began
    };
    assert!(began(&[(1, b"pay")]));
    assert!(!began(&[(1, b"steal")]), "another batch");
    assert!(!began(&[]), "nothing");
    assert!(!began(&[(1, b"pay"), (2, b"steal")]), "a slot more");
    assert!(!began(&[(2, b"pay")]), "another slot");
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::CommitWithoutPrepared, a_backup_goes_through_the_three_phases),
        (Weakening::NothingSentAgain, a_backup_goes_through_the_three_phases),
        (Weakening::SecondProposalAccepted, a_second_proposal_for_a_slot_is_refused),
        (Weakening::WatermarkIgnored, a_proposal_outside_the_watermarks_or_of_another_view_is_refused),
        (Weakening::NewViewNotRecomputed, a_new_view_must_propose_exactly_what_its_view_changes_demand),
        (Weakening::PreparedForgotten, what_was_prepared_is_reported_after_every_later_view_change_too),
        (Weakening::VotesBelowCheckpoint, new_views::nobody_votes_below_its_stable_checkpoint),
        (Weakening::BeginningForgotten, new_views::who_was_far_behind_votes_for_what_the_view_began_with),
    ]);
}

#[test]
fn a_checkpoint_vote_that_is_merely_late_is_not_answered() {
    let mut bench = bench(1);
    let interval = Config::for_cluster(4).checkpoint_interval;
    let vote = |bench: &Bench, author: u16| {
        let signer = &bench.signers[usize::from(author)];
        Message::Checkpoint(CheckpointVote::sign(&bench.cluster, signer, Seq(interval), Digest::of(b"state")))
    };
    // Replica 0 comes late: a quorum of the others, this one among them, is stable already.
    for author in [1, 2, 3] {
        let vote = vote(&bench, author);
        bench.deliver(author, vote);
    }
    let late = vote(&bench, 0);
    assert_eq!(bench.deliver(0, late.clone()), []);
    let effects = bench.deliver(0, late);
    assert!(
        matches!(&effects[..], [Effect::Send { to: To::One(ReplicaId(0)), message: Message::Stable(_) }]),
        "{effects:?}"
    );
}
