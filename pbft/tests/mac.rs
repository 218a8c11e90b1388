//! `pbft-mac`: what is believed without signatures, what a view change claims, and what is chosen from claims.

use apps::OpaqueLog;
use kernel::keys::{Keyring, symbolic};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Falsify as _, Forgery, Input,
    Mark, Operation, Path, Phase, Protocol as _, Reason, Rejection, ReplicaId, ReplyBundle, Request,
    SeededChoice, Seq, SessionId, Signature, Signer, Subject, To, View, ViewMark, Weakening, Wire as _,
};
use pbft::mac::{MOST_PRE_PREPARED, SlotReport};
use pbft::new_view::Outline;
use pbft::{Certificate, CertificateKind, Config, Message, NewView, Replica, Timer, ViewChange, Vote};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

type Mac = Replica<OpaqueLog>;
type Effects = Vec<Effect<Mac>>;

/// A replica of four, and the keys to speak to it as any other.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
    id: u16,
    replica: Mac,
}

fn cluster(n: u16) -> Cluster {
    Cluster::new(ClusterId::derive("mac", 1), "pbft-mac", n)
}

fn bench(id: u16) -> Bench {
    let (signers, keyring) = symbolic(1, 4);
    let replica = Replica::new(Config::for_cluster(4), OpaqueLog::default());
    Bench { cluster: cluster(4), signers, keyring, id, replica }
}

impl Bench {
    fn step(&mut self, input: Input<Mac>) -> Effects {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let signer = &self.signers[usize::from(self.id)];
        self.replica.step(&mut Context::new(&self.cluster, signer, &mut choose, &mut effects), input);
        effects
    }

    fn admit(&self, from: u16, message: Message) -> Result<kernel::Verified<Message>, Rejection> {
        Admission::new(self.cluster.clone(), self.keyring.clone()).admit(ReplicaId(from), message)
    }

    fn deliver(&mut self, from: u16, message: Message) -> Effects {
        let message = self.admit(from, message).unwrap();
        self.step(Input::Deliver { from: ReplicaId(from), message })
    }

    fn refusal(&self, from: u16, message: Message) -> Reason {
        self.admit(from, message).unwrap_err().reason
    }

    /// A batch of one request of gateway 2.
    fn batch(&self, number: u64) -> Arc<Batch> {
        let session = SessionId { gateway: ReplicaId(2), number };
        let request = Request { session, counter: 1, operation: Operation::new(b"pay") };
        Arc::new(Batch {
            bundles: vec![Arc::new(Bundle::sign(&self.cluster, &self.signers[2], vec![request]))],
        })
    }

    /// Slot 1 goes through PREPARE here, in view 0: all that is missing is COMMITs.
    fn prepare(&mut self, batch: &Arc<Batch>) {
        self.deliver(0, proposal(0, 1, batch));
        let own = self.id;
        for from in (1..4).filter(|id| *id != own) {
            self.deliver(from, vote(Phase::Prepare, 0, 1, batch.digest()));
        }
    }

    fn change(&self, author: u16, view: u64, reports: Vec<SlotReport>) -> Arc<ViewChange> {
        let signer = &self.signers[usize::from(author)];
        Arc::new(ViewChange::sign_reports(&self.cluster, signer, View(view), None, reports))
    }

    /// This replica's VIEW-CHANGE for the next view.
    fn own_change(&mut self) -> Arc<ViewChange> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let signer = &self.signers[usize::from(self.id)];
        let mut cx = Context::new(&self.cluster, signer, &mut choose, &mut effects);
        self.replica.ask_for_next_view(&mut cx);
        let changes = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { to: To::All, message: Message::ViewChange(change) } => Some(change),
            _ => None,
        });
        changes.last().expect("it leaves")
    }

    fn new_view(&self, view: u64, changes: Vec<Arc<ViewChange>>) -> Message {
        let signer = &self.signers[usize::from(self.cluster.commander(View(view)).0)];
        Message::NewView(Arc::new(NewView::sign(&self.cluster, signer, View(view), changes, vec![])))
    }
}

fn proposal(view: u64, seq: u64, batch: &Arc<Batch>) -> Message {
    Message::TaggedProposal { view: View(view), seq: Seq(seq), batch: Arc::clone(batch) }
}

fn vote(phase: Phase, view: u64, seq: u64, digest: Digest) -> Message {
    Message::TaggedVote { phase, view: View(view), seq: Seq(seq), digest }
}

fn decided(digest: Digest) -> Message {
    Message::Decided { seq: Seq(1), digest }
}

fn report(seq: u64, prepared: Option<(u64, Digest)>, pre_prepared: &[(Digest, u64)]) -> SlotReport {
    let mut pre_prepared: Vec<_> = pre_prepared.iter().map(|(digest, view)| (*digest, View(*view))).collect();
    pre_prepared.sort_unstable();
    SlotReport { seq: Seq(seq), prepared: prepared.map(|(view, digest)| (View(view), digest)), pre_prepared }
}

fn to_all(message: Message) -> Effect<Mac> {
    Effect::Send { to: To::All, message }
}

fn to_one(id: u16, message: Message) -> Effect<Mac> {
    Effect::Send { to: To::One(ReplicaId(id)), message }
}

/// Digests in ascending order.
fn digests() -> [Digest; 3] {
    [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])]
}

// ---- What travels ----

#[test]
fn a_slot_is_decided_by_messages_without_signatures() {
    let mut bench = bench(3);
    let batch = bench.batch(1);
    let digest = batch.digest();
    let (view, seq) = (View(0), Seq(1));
    let signed = bench.signers[3].signatures_made();
    let heard = |author: u16, phase| {
        let author = ReplicaId(author);
        Effect::Mark(Mark::VoteReceived { seq, digest, author, phase, contradicts: false })
    };
    let voted = |phase| Effect::Mark(Mark::Voted { phase, view: Some(view), seq, digest });

    let effects = bench.deliver(0, proposal(0, 1, &batch));
    let expected = [
        heard(0, Phase::PrePrepare),
        Effect::Mark(Mark::Accepted { seq, digest }),
        voted(Phase::Prepare),
        to_all(vote(Phase::Prepare, 0, 1, digest)),
    ];
    assert_eq!(effects[..4], expected);
    let effects = bench.deliver(1, vote(Phase::Prepare, 0, 1, digest));
    let commit = vote(Phase::Commit, 0, 1, digest);
    assert_eq!(effects, [heard(1, Phase::Prepare), voted(Phase::Commit), to_all(commit.clone())]);
    assert_eq!(bench.deliver(1, commit.clone()), [heard(1, Phase::Commit)]);
    let effects = bench.deliver(2, commit);
    let committed = Effect::Mark(Mark::Committed { view: Some(view), seq, digest, path: Path::Direct });
    assert_eq!(effects[..2], [heard(2, Phase::Commit), committed]);
    let replies: Vec<&ReplyBundle> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply { bundle, .. } => Some(bundle),
            _ => None,
        })
        .collect();
    assert_eq!((replies.len(), replies[0].signature, replies[0].replica), (1, Signature::NONE, ReplicaId(3)));
    assert_eq!(bench.signers[3].signatures_made(), signed, "nothing of it was signed");
}

/// Two are stuck, and only one of them has the proposal: both must leave the view, or none is heard.
#[test]
fn who_has_no_proposal_waits_for_the_requests_that_f_plus_one_vote_for() {
    waits_for_what_others_vote_for(bench(3), Phase::Prepare);
}

/// The same for who was given something else.
#[test]
fn who_has_another_proposal_waits_for_the_requests_that_f_plus_one_vote_for() {
    let mut bench = bench(3);
    let effects = bench.deliver(0, proposal(0, 1, &Arc::new(Batch::default())));
    assert!(effects.contains(&to_all(vote(Phase::Prepare, 0, 1, Batch::default().digest()))), "{effects:?}");
    waits_for_what_others_vote_for(bench, Phase::Prepare);
}

/// The commander sends no PREPARE, and who has decided sends its COMMIT alone again.
#[test]
fn a_commit_shows_what_was_proposed_like_a_prepare() {
    waits_for_what_others_vote_for(bench(3), Phase::Commit);
}

/// P1 sends a PREPARE, and P2 its vote of this phase.
fn waits_for_what_others_vote_for(mut bench: Bench, phase: Phase) {
    let batch = bench.batch(1);
    let digest = batch.digest();
    let fetch = to_all(Message::Fetch { seq: Seq(1), digest });
    let fetched = Message::Fetched { seq: Seq(1), batch: Arc::clone(&batch) };
    let expire = |bench: &mut Bench| bench.step(Input::Expire(Timer::Resend));
    let half = kernel::Micros(Config::for_cluster(4).request_after.0 / 2);
    let watched = Effect::SetTimer { timer: Timer::View, after: half };

    bench.deliver(1, vote(Phase::Prepare, 0, 1, digest));
    bench.deliver(1, vote(Phase::Commit, 0, 1, digest));
    bench.deliver(2, Message::Stuck { seq: Seq(1), complaint: true, votes: vec![] });
    assert!(!expire(&mut bench).contains(&fetch), "the votes of one may be an invention");
    bench.deliver(1, fetched.clone());
    bench.deliver(2, vote(phase, 0, 1, digest));
    assert!(!expire(&mut bench).contains(&watched), "and what it did not ask for it did not keep");

    assert!(expire(&mut bench).contains(&fetch));
    let sends = |effects: &Effects| effects.iter().any(|effect| matches!(effect, Effect::Send { .. }));
    assert!(!sends(&bench.deliver(1, fetched)), "no PREPARE: it is no proposal");
    assert!(expire(&mut bench).contains(&watched));
    let effects = bench.step(Input::Expire(Timer::View));
    assert!(effects.contains(&to_all(Message::Requests(Arc::clone(&batch.bundles[0])))), "{effects:?}");
    let effects = bench.step(Input::Expire(Timer::View));
    let leaves = |effect: &Effect<Mac>| matches!(effect, Effect::Send { message: Message::ViewChange(change), .. } if change.view == View(1));
    assert!(effects.iter().any(leaves), "{effects:?}");
}

/// Neither the votes of one replica nor the word of another that it has executed the slot is enough.
#[test]
fn who_hears_of_a_slot_from_f_plus_one_asks_for_it_whatever_they_say() {
    let stuck = to_all(Message::Stuck { seq: Seq(1), complaint: true, votes: vec![] });
    let expire = |bench: &mut Bench| bench.step(Input::Expire(Timer::Resend));
    let executed = |seq| Message::Progress { view: View(0), executed: Seq(seq) };
    let digest = bench(3).batch(1).digest();

    for (from, asks) in [(1, false), (2, true)] {
        let mut bench = bench(3);
        bench.deliver(1, vote(Phase::Prepare, 0, 1, digest));
        bench.deliver(1, vote(Phase::Commit, 0, 1, digest));
        bench.deliver(from, executed(1));
        assert_eq!(expire(&mut bench).contains(&stuck), asks, "P{from} has executed it");
    }
    let mut bench = bench(3);
    bench.deliver(1, vote(Phase::Prepare, 0, 1, digest));
    bench.deliver(2, executed(0));
    bench.deliver(2, vote(Phase::Commit, 0, 1, digest));
    assert!(expire(&mut bench).contains(&stuck), "a PREPARE and a COMMIT");
}

/// One that has left the view complains of no slot in it.
#[test]
fn who_is_stuck_with_one_who_has_left_the_view_waits_for_the_requests() {
    let mut bench = bench(3);
    let batch = bench.batch(1);
    bench.prepare(&batch);
    let half = kernel::Micros(Config::for_cluster(4).request_after.0 / 2);
    let watched = Effect::SetTimer { timer: Timer::View, after: half };
    assert!(!bench.step(Input::Expire(Timer::Resend)).contains(&watched), "stuck alone");
    let change = bench.change(2, 1, vec![]);
    bench.deliver(2, Message::ViewChange(change));
    assert!(bench.step(Input::Expire(Timer::Resend)).contains(&watched));
}

#[test]
fn replies_are_believed_of_whom_they_come_from() {
    let bench = bench(0);
    let mut admission = Admission::new(bench.cluster.clone(), bench.keyring.clone());
    let reply =
        ReplyBundle::sign(&bench.cluster, &bench.signers[1], View(0), Seq(1), ReplicaId(0), vec![], vec![]);
    assert_eq!(admission.check_reply(ReplicaId(1), &reply), Ok(()));
    assert_eq!(admission.check_reply(ReplicaId(2), &reply), Err(Reason::NotEntitled), "in another's name");
    let signed = ReplyBundle { signature: Signature([1; 64]), ..reply.clone() };
    assert_eq!(admission.check_reply(ReplicaId(1), &signed), Err(Reason::BadTag));
    assert_eq!(admission.signatures_checked(), 0);

    // A client with a key must be able to show what it was told.
    let with_client = cluster(4).with_clients(1);
    let reply =
        ReplyBundle::sign(&with_client, &bench.signers[1], View(0), Seq(1), ReplicaId(4), vec![], vec![]);
    assert_ne!(reply.signature, Signature::NONE);

    let bytes = |signature| postcard::to_stdvec(&ReplyBundle { signature, ..reply.clone() }).unwrap();
    assert_eq!(bytes(reply.signature).len() - bytes(Signature::NONE).len(), 64, "no room for none");
    let read: ReplyBundle = postcard::from_bytes(&bytes(Signature::NONE)).unwrap();
    assert_eq!(read.signature, Signature::NONE);
}

#[test]
fn messages_of_the_one_flow_are_refused_in_the_other() {
    let mac = bench(3);
    let batch = mac.batch(1);
    let digest = batch.digest();
    let signed = Bench { cluster: Cluster { protocol: "pbft".into(), ..cluster(4) }, ..bench(3) };
    let about = (View(0), Seq(1), digest);
    let header = Vote::sign(&signed.cluster, &signed.signers[0], Phase::PrePrepare, about, None);
    let prepare = Vote::sign(&signed.cluster, &signed.signers[1], Phase::Prepare, about, None);
    let certificate = Certificate {
        kind: CertificateKind::Committed,
        view: View(0),
        seq: Seq(1),
        digest,
        communication_node: None,
        votes: [].into(),
        sum: None,
    };
    let other = Vote { digest: Digest::ZERO, ..header.clone() };
    for message in [
        Message::PrePrepare { header: header.clone(), batch: Arc::clone(&batch) },
        Message::Vote(prepare.clone()),
        Message::Certificate(Arc::new(certificate)),
        Message::Conflict { first: Box::new(header), second: Box::new(other) },
        Message::Stuck { seq: Seq(1), complaint: true, votes: vec![prepare] },
    ] {
        assert_eq!(mac.refusal(1, message.clone()), Reason::NotEntitled, "{}", message.kind());
    }
    let tagged = [
        proposal(0, 1, &batch),
        vote(Phase::Prepare, 0, 1, digest),
        decided(digest),
        Message::Mistagged { seq: Seq(1) },
    ];
    for message in tagged {
        assert_eq!(signed.refusal(0, message.clone()), Reason::NotEntitled, "{}", message.kind());
    }
    let claims = mac.change(1, 1, vec![report(1, None, &[(digest, 0)])]);
    let claims =
        ViewChange::sign_reports(&signed.cluster, &signed.signers[1], View(1), None, claims.reports.clone());
    assert_eq!(signed.refusal(1, Message::ViewChange(Arc::new(claims))), Reason::MalformedViewChange);
    let vote = Vote::sign(&mac.cluster, &mac.signers[1], Phase::Prepare, about, None);
    let with_votes = ViewChange::sign(&mac.cluster, &mac.signers[1], View(1), None, vec![], vec![vote]);
    assert_eq!(mac.refusal(1, Message::ViewChange(Arc::new(with_votes))), Reason::MalformedViewChange);
}

#[test]
fn only_who_may_propose_and_vote_is_let_in() {
    let bench = bench(3);
    let batch = bench.batch(1);
    let digest = batch.digest();
    assert_eq!(bench.refusal(1, proposal(0, 1, &batch)), Reason::NotEntitled, "not the commander");
    assert_eq!(
        bench.refusal(0, vote(Phase::Prepare, 0, 1, digest)),
        Reason::NotEntitled,
        "it is the commander"
    );
    assert_eq!(bench.refusal(1, vote(Phase::PrePrepare, 0, 1, digest)), Reason::NotEntitled);
    assert!(bench.admit(0, vote(Phase::Commit, 0, 1, digest)).is_ok());
    let refused = bench.admit(1, Message::Mistagged { seq: Seq(1) }).unwrap_err();
    let expected =
        Rejection { from: ReplicaId(1), seq: Some(Seq(1)), corrupt_vote: true, reason: Reason::BadTag };
    assert_eq!(refused, expected, "counted against its sender");
}

// ---- Who is behind ----

#[test]
fn what_f_plus_one_say_was_decided_is_decided() {
    let mut bench = bench(3);
    let [a, b, _] = digests();
    let committed =
        |digest| Effect::Mark(Mark::Committed { view: None, seq: Seq(1), digest, path: Path::Direct });
    assert_eq!(bench.deliver(1, decided(a)), [], "one may lie");
    assert_eq!(bench.deliver(1, decided(a)), [], "and twice");
    assert_eq!(bench.deliver(2, decided(b)), []);
    assert_eq!(bench.deliver(0, decided(a))[0], committed(a));
    let refused = Rejection {
        from: ReplicaId(2),
        seq: Some(Seq(1)),
        corrupt_vote: true,
        reason: Reason::ConflictingVote,
    };
    assert_eq!(
        bench.deliver(2, decided(b)),
        [Effect::Reject(refused)],
        "it says something else than was decided"
    );
    assert_eq!(bench.deliver(2, decided(a)), []);
    let beyond = Message::Decided { seq: Seq(10_000), digest: a };
    let refused = Rejection {
        from: ReplicaId(2),
        seq: Some(Seq(10_000)),
        corrupt_vote: false,
        reason: Reason::OutsideWindow,
    };
    assert_eq!(bench.deliver(2, beyond), [Effect::Reject(refused)]);
}

#[test]
fn who_is_stuck_gets_the_decision_and_the_votes() {
    let mut bench = bench(3);
    let batch = bench.batch(1);
    let digest = batch.digest();
    bench.prepare(&batch);
    let votes = [to_one(1, vote(Phase::Prepare, 0, 1, digest)), to_one(1, vote(Phase::Commit, 0, 1, digest))];
    let stuck = |complaint| Message::Stuck { seq: Seq(1), complaint, votes: vec![] };
    assert_eq!(bench.deliver(1, stuck(true)), votes);
    for from in [1, 2] {
        bench.deliver(from, vote(Phase::Commit, 0, 1, digest));
    }
    let said = to_one(1, decided(digest));
    assert_eq!(
        bench.deliver(1, stuck(true)),
        [std::slice::from_ref(&said), &votes[..]].concat(),
        "one word decides nothing"
    );
    assert_eq!(
        bench.deliver(1, stuck(false)),
        std::slice::from_ref(&said),
        "who asks for decisions only gets nothing else"
    );

    let mut commander = self::bench(0);
    commander.step(Input::Submit(Arc::clone(&batch.bundles[0])));
    let effects = commander.deliver(1, stuck(true));
    assert_eq!(effects, [to_one(1, proposal(0, 1, &batch))]);
    // Also once it has decided: its proposal is its vote, and may be the one that is missing.
    for phase in [Phase::Prepare, Phase::Commit] {
        for from in [2, 3] {
            commander.deliver(from, vote(phase, 0, 1, digest));
        }
    }
    let own = [proposal(0, 1, &batch), vote(Phase::Commit, 0, 1, digest)].map(|message| to_one(1, message));
    assert_eq!(commander.deliver(1, stuck(true)), [std::slice::from_ref(&said), &own[..]].concat());
}

#[test]
fn what_is_stuck_is_sent_again_to_all() {
    let mut bench = bench(3);
    let batch = bench.batch(1);
    let digest = batch.digest();
    bench.prepare(&batch);
    let effects = bench.step(Input::Expire(Timer::Resend));
    for again in [
        vote(Phase::Prepare, 0, 1, digest),
        vote(Phase::Commit, 0, 1, digest),
        Message::Stuck { seq: Seq(1), complaint: true, votes: vec![] },
    ] {
        assert!(effects.contains(&to_all(again.clone())), "{again:?} in {effects:?}");
    }
}

#[test]
fn whoever_gets_two_proposals_leaves_and_shows_them_to_nobody() {
    let mut bench = bench(3);
    let (one, other) = (bench.batch(1), bench.batch(2));
    bench.deliver(0, proposal(0, 1, &one));
    let effects = bench.deliver(0, proposal(0, 1, &other));
    assert!(effects.contains(&Effect::Mark(Mark::View(ViewMark::LeftFor { view: View(1) }))), "{effects:?}");
    let shows =
        |effect: &Effect<Mac>| matches!(effect, Effect::Send { message: Message::Conflict { .. }, .. });
    assert!(!effects.iter().any(shows), "it proves nothing to others");
}

// ---- What is claimed ----

#[test]
fn a_view_change_claims_what_was_prepared_and_pre_prepared() {
    let mut bench = bench(3);
    let (one, other) = (bench.batch(1), bench.batch(2));
    let (d, e) = (one.digest(), other.digest());
    assert_eq!(bench.own_change().reports, [], "nothing");

    let mut bench = self::bench(3);
    bench.deliver(0, proposal(0, 1, &one));
    assert_eq!(bench.own_change().reports, [report(1, None, &[(d, 0)])], "pre-prepared only");

    let mut bench = self::bench(3);
    bench.prepare(&one);
    bench.deliver(0, proposal(0, 2, &other));
    let expected = [report(1, Some((0, d)), &[(d, 0)]), report(2, None, &[(e, 0)])];
    let change = bench.own_change();
    assert_eq!(change.reports, expected);
    // It survives the next view, in which another digest is proposed for the slot and not prepared.
    let claims = |id| self::bench(3).change(id, 1, vec![report(1, Some((0, e)), &[(e, 0)])]);
    let null = Batch::default().digest();
    let changes = vec![claims(0), claims(1), claims(2)];
    bench.deliver(1, bench.new_view(1, changes));
    bench.deliver(0, Message::Fetched { seq: Seq(1), batch: other });
    let expected = report(1, Some((0, d)), &[(d, 0), (e, 1)]);
    assert_eq!(bench.own_change().reports[0], expected);
    assert_ne!(null, e);

    let mut commander = self::bench(0);
    commander.step(Input::Submit(Arc::clone(&one.bundles[0])));
    assert_eq!(commander.own_change().reports, [report(1, None, &[(d, 0)])], "its proposal is its vote");

    // Even of a batch that it has still to fetch.
    let mut commander = self::bench(1);
    commander.own_change();
    for change in [2, 3].map(claims) {
        commander.deliver(change.author.0, Message::ViewChange(change));
    }
    assert_eq!(commander.own_change().reports, [report(1, None, &[(e, 1)])]);
}

#[test]
fn no_more_than_a_few_digests_are_reported_of_a_slot() {
    let mut bench = bench(3);
    let last = MOST_PRE_PREPARED as u64 + 2;
    let batches: Vec<_> = (0..=last).map(|number| bench.batch(number)).collect();
    bench.deliver(0, proposal(0, 1, &batches[0]));
    for view in 1..=last {
        bench.own_change();
        // Two replicas claim to have prepared another digest in the view before.
        let batch = &batches[view as usize];
        let claim = |id| {
            bench.change(
                id,
                view,
                vec![report(1, Some((view - 1, batch.digest())), &[(batch.digest(), view - 1)])],
            )
        };
        let changes = vec![claim(0), claim(1), claim(2)];
        let commander = bench.cluster.commander(View(view)).0;
        if commander == 3 {
            for change in changes {
                bench.deliver(change.author.0, Message::ViewChange(change));
            }
        } else {
            bench.deliver(commander, bench.new_view(view, changes));
        }
        bench.deliver(0, Message::Fetched { seq: Seq(1), batch: Arc::clone(batch) });
    }
    let reports = bench.own_change().reports.clone();
    let mut views: Vec<u64> = reports[0].pre_prepared.iter().map(|(_, view)| view.0).collect();
    views.sort_unstable();
    let expected: Vec<u64> = (last + 1 - MOST_PRE_PREPARED as u64..=last).collect();
    assert_eq!(views, expected, "those of the highest views");
}

#[test]
fn claims_that_break_a_rule_are_refused() {
    let bench = bench(3);
    let [a, b, _] = digests();
    let many: Vec<_> = (0..=MOST_PRE_PREPARED as u8).map(|byte| (Digest([byte; 32]), 0)).collect();
    let unordered =
        SlotReport { pre_prepared: vec![(b, View(0)), (a, View(0))], ..report(1, None, &[(a, 0)]) };
    for reports in [
        vec![report(1, None, &[])],
        vec![report(1, Some((2, a)), &[])],
        vec![report(1, None, &[(a, 2)])],
        vec![report(1, None, &many)],
        vec![unordered],
        vec![report(1, None, &[(a, 0), (a, 1)])],
        vec![report(1, None, &[(a, 0)]), report(1, None, &[(a, 0)])],
        vec![report(2, None, &[(a, 0)]), report(1, None, &[(a, 0)])],
    ] {
        let change = bench.change(1, 2, reports.clone());
        assert_eq!(bench.refusal(1, Message::ViewChange(change)), Reason::MalformedViewChange, "{reports:?}");
    }
    let whole = bench.change(1, 2, vec![report(1, Some((1, a)), &many[1..]), report(2, None, &[(b, 1)])]);
    assert!(bench.admit(1, Message::ViewChange(whole)).is_ok());
    // Beyond the watermarks, which depend on settings.
    let mut bench = bench;
    let change = bench.change(1, 2, vec![report(10_000, None, &[(a, 0)])]);
    let refused =
        Rejection { from: ReplicaId(1), seq: None, corrupt_vote: false, reason: Reason::MalformedViewChange };
    assert_eq!(bench.deliver(1, Message::ViewChange(change)), [Effect::Reject(refused)]);
}

// ---- What is chosen ----

/// A replica, and what it prepared and pre-prepared.
type Says<'a> = (u16, Option<(u64, Digest)>, &'a [(Digest, u64)]);

/// What `V` leads to in a cluster of four: of each replica what it prepared and pre-prepared in slot 1.
fn chosen(said: &[Says<'_>]) -> Option<Vec<(Seq, Digest)>> {
    let bench = bench(3);
    let changes: Vec<_> = said
        .iter()
        .map(|(author, prepared, pre_prepared)| {
            let silent = prepared.is_none() && pre_prepared.is_empty();
            bench.change(*author, 9, if silent { vec![] } else { vec![report(1, *prepared, pre_prepared)] })
        })
        .collect();
    Outline::of(&bench.cluster, &changes).map(|outline| outline.slots)
}

#[test]
fn nothing_is_proposed_where_nobody_claims_anything() {
    let [a, ..] = digests();
    assert_eq!(chosen(&[(0, None, &[]), (1, None, &[]), (2, None, &[])]), Some(vec![]));
    assert_eq!(
        chosen(&[(0, None, &[(a, 0)]), (1, None, &[(a, 0)]), (2, None, &[])]),
        Some(vec![]),
        "pre-prepared only"
    );
}

#[test]
fn a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest() {
    let [a, b, _] = digests();
    let found = |digest| Some(vec![(Seq(1), digest)]);
    assert_eq!(chosen(&[(0, Some((0, a)), &[(a, 0)]), (1, None, &[(a, 0)]), (2, None, &[])]), found(a));
    // (A2): nobody else has pre-prepared it; a fourth VIEW-CHANGE tells that nobody can have prepared it.
    let alone: &[_] = &[(0, Some((0, a)), &[(a, 0)][..]), (1, None, &[]), (2, None, &[])];
    assert_eq!(chosen(alone), None);
    assert_eq!(chosen(&[alone, &[(3, None, &[])]].concat()), Some(vec![]));
    // (A1): of two claims that of the higher view, which one replica alone may invent if two know the digest.
    let higher: &[_] =
        &[(0, Some((2, a)), &[(a, 2)][..]), (1, Some((1, b)), &[(b, 1)]), (2, None, &[(a, 2), (b, 1)])];
    assert_eq!(chosen(higher), found(a));
    // In one view two digests cannot both be prepared. Until it is known which, nothing is chosen.
    let tie: &[_] =
        &[(0, Some((1, a)), &[(a, 1)][..]), (1, Some((1, b)), &[(b, 1)]), (2, None, &[(a, 1), (b, 1)])];
    assert_eq!(chosen(tie), None);
    assert_eq!(chosen(&[tie, &[(3, Some((1, b)), &[(b, 1)])]].concat()), found(b));
    // "Or a later one": half of those that pre-prepared it did so again.
    assert_eq!(chosen(&[(0, Some((0, a)), &[(a, 0)]), (1, None, &[(a, 1)]), (2, None, &[])]), found(a));
    assert_eq!(
        chosen(&[(0, Some((1, a)), &[(a, 1)]), (1, None, &[(a, 0)]), (2, None, &[])]),
        None,
        "an earlier one is none"
    );
}

#[test]
fn gaps_are_null_requests_and_above_the_last_claim_nothing_is_proposed() {
    let bench = bench(3);
    let [a, ..] = digests();
    let null = Batch::default().digest();
    let known = [report(3, Some((0, a)), &[(a, 0)])];
    let lie = [report(3, Some((0, a)), &[(a, 0)]), report(7, Some((0, a)), &[(a, 0)])];
    let changes = [(0, &known[..]), (1, &known[..]), (2, &lie[..]), (3, &known[..])]
        .map(|(id, r)| bench.change(id, 1, r.to_vec()));
    let outline = Outline::of(&bench.cluster, &changes).unwrap();
    assert_eq!(outline.slots, [(Seq(1), null), (Seq(2), null), (Seq(3), a)]);
    assert_eq!(Outline::of(&bench.cluster, &changes[..3]), None, "slot 7 is open");
}

/// The rule as it is written down, over sets, for any number of replicas.
fn by_the_book(n: u16, said: &[SlotSaid]) -> Option<Option<Digest>> {
    let f = (usize::from(n) - 1) / 3;
    let q = (usize::from(n) + f + 1).div_ceil(2);
    let claims: BTreeSet<(u64, std::cmp::Reverse<Digest>)> =
        said.iter().filter_map(|one| one.prepared.map(|(v, d)| (v, std::cmp::Reverse(d)))).collect();
    for (v, std::cmp::Reverse(d)) in claims.into_iter().rev() {
        let a1 = said.iter().filter(|one| match one.prepared {
            None => true,
            Some((other, prepared)) => other < v || (other == v && prepared == d),
        });
        let a2 =
            said.iter().filter(|one| one.pre_prepared.iter().any(|(known, last)| *known == d && *last >= v));
        if a1.count() >= q && a2.count() > f {
            return Some(Some(d));
        }
    }
    (said.iter().filter(|one| one.prepared.is_none()).count() >= q).then_some(None)
}

#[derive(Clone, Debug)]
struct SlotSaid {
    prepared: Option<(u64, Digest)>,
    pre_prepared: Vec<(Digest, u64)>,
}

fn anything() -> impl Strategy<Value = SlotSaid> {
    let digest = || (0..3usize).prop_map(|place| digests()[place]);
    let pre_prepared = proptest::collection::btree_map(digest(), 0..3u64, 0..=3);
    (proptest::option::weighted(0.7, (0..3u64, digest())), pre_prepared)
        .prop_map(|(prepared, known)| SlotSaid { prepared, pre_prepared: known.into_iter().collect() })
}

proptest! {
    #[test]
    fn what_is_chosen_is_what_the_rule_says(n in 4..=7u16, all in proptest::collection::vec(anything(), 7)) {
        let cluster = cluster(n);
        let (signers, _) = symbolic(1, n);
        for size in cluster.quorum()..=usize::from(n) {
            let said = &all[..size];
            let changes: Vec<_> = said.iter().zip(&signers).map(|(one, signer)| {
                let silent = one.prepared.is_none() && one.pre_prepared.is_empty();
                let reports = if silent { vec![] } else { vec![report(1, one.prepared, &one.pre_prepared)] };
                Arc::new(ViewChange::sign_reports(&cluster, signer, View(9), None, reports))
            }).collect();
            let found = Outline::of(&cluster, &changes).map(|outline| outline.slots.first().map(|slot| slot.1));
            let expected = if said.iter().all(|one| one.prepared.is_none()) { Some(None) } else { by_the_book(n, said) };
            prop_assert_eq!(found, expected);
        }
    }
}

// ---- New views ----

#[test]
fn a_commander_waits_until_it_is_clear_what_to_propose() {
    let mut bench = bench(1);
    let [a, ..] = digests();
    bench.own_change();
    let lie = bench.change(0, 1, vec![report(1, Some((0, a)), &[(a, 0)])]);
    bench.deliver(0, Message::ViewChange(lie));
    let begins = |effects: &Effects| {
        effects.iter().find_map(|effect| match effect {
            Effect::Send { to: To::All, message: Message::NewView(new_view) } => {
                Some(new_view.view_changes.len())
            }
            _ => None,
        })
    };
    let silent = |id| self::bench(1).change(id, 1, vec![]);
    assert_eq!(begins(&bench.deliver(2, Message::ViewChange(silent(2)))), None, "three leave it open");
    assert_eq!(begins(&bench.deliver(3, Message::ViewChange(silent(3)))), Some(4));
}

#[test]
fn a_new_view_that_leaves_something_open_is_refused() {
    let mut bench = bench(3);
    let [a, ..] = digests();
    let lie = bench.change(0, 1, vec![report(1, Some((0, a)), &[(a, 0)])]);
    let changes = vec![lie, bench.change(1, 1, vec![]), bench.change(2, 1, vec![])];
    let refused =
        Rejection { from: ReplicaId(1), seq: None, corrupt_vote: false, reason: Reason::MalformedViewChange };
    let open = bench.new_view(1, changes.clone());
    assert_eq!(bench.deliver(1, open), [Effect::Reject(refused)]);
    let [first, second, _] = &changes[..] else { unreachable!() };
    let short = bench.new_view(1, vec![Arc::clone(first), Arc::clone(second)]);
    assert_eq!(bench.refusal(1, short), Reason::MalformedViewChange, "fewer than a quorum");
    let header = Vote::tagged(ReplicaId(1), Phase::PrePrepare, (View(1), Seq(1), a));
    let with = NewView::sign(&bench.cluster, &bench.signers[1], View(1), changes, vec![header]);
    assert_eq!(
        bench.refusal(1, Message::NewView(Arc::new(with))),
        Reason::MalformedViewChange,
        "proposals follow from it"
    );
}

/// The votes that a replica which has decided slot 1 casts for it in the next view.
fn votes_again() -> Vec<Phase> {
    let mut bench = bench(3);
    let batch = bench.batch(1);
    let digest = batch.digest();
    bench.prepare(&batch);
    for from in [1, 2] {
        bench.deliver(from, vote(Phase::Commit, 0, 1, digest));
    }
    assert!(bench.replica.core().is_committed(Seq(1)));
    let own = bench.own_change();
    let prepared = |id| bench.change(id, 1, vec![report(1, Some((0, digest)), &[(digest, 0)])]);
    let changes = vec![prepared(1), prepared(2), own];
    let mut effects = bench.deliver(1, bench.new_view(1, changes));
    effects.extend(bench.deliver(2, vote(Phase::Prepare, 1, 1, digest)));
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::TaggedVote { phase, view: View(1), .. } } => {
            Some(*phase)
        }
        _ => None,
    });
    sent.collect()
}

#[test]
fn who_has_decided_a_slot_votes_for_it_again() {
    assert_eq!(votes_again(), [Phase::Prepare, Phase::Commit], "the others cannot be shown the decision");
}

// ---- What a faulty replica makes of it ----

#[test]
fn tagged_messages_are_falsified_and_forged() {
    let bench = bench(1);
    let (cluster, signer) = (&bench.cluster, &bench.signers[1]);
    let [a, b, _] = digests();
    let invented = Digest::of(&a.0);
    let seq = Seq(1);
    let prepare = |digest| vote(Phase::Prepare, 0, 1, digest);
    assert_eq!(prepare(a).falsified(cluster, signer), prepare(invented));
    assert_eq!(decided(a).falsified(cluster, signer), decided(invented));
    assert_eq!(prepare(a).with_value(b, &[], cluster, signer), Some(prepare(b)));
    assert_eq!(decided(a).with_value(b, &[], cluster, signer), Some(decided(b)));
    let two = Arc::new(Batch {
        bundles: [bench.batch(1), bench.batch(2)].map(|one| Arc::clone(&one.bundles[0])).into(),
    });
    let (whole, other) = (proposal(0, 1, &two), proposal(0, 1, &bench.batch(2)));
    let alternative = whole.alternative(cluster, signer).unwrap();
    assert_eq!(alternative.subject().map(|subject| subject.seq), Some(seq));
    assert_ne!(alternative.subject(), whole.subject());
    let digest = bench.batch(2).digest();
    assert_eq!(other.subject(), Some(Subject { view: Some(View(0)), seq, digest }));
    assert_eq!(
        whole.with_value(digest, &[prepare(digest), other.clone()], cluster, signer),
        Some(other.clone())
    );
    assert_eq!(whole.with_value(a, &[other], cluster, signer), None);
    assert_eq!(prepare(a).subject(), Some(Subject { view: Some(View(0)), seq, digest: a }));
    assert_eq!(decided(a).subject(), Some(Subject { view: None, seq, digest: a }));
    for message in [whole, prepare(a), decided(a)] {
        let forged = |forgery| message.forged(forgery, cluster, signer);
        assert_eq!(forged(Forgery::Signature), Some(Message::Mistagged { seq }));
        for forgery in [Forgery::Name, Forgery::Short, Forgery::Repeated, Forgery::Mixed] {
            assert_eq!(forged(forgery), None, "{forgery:?}");
        }
        assert!(Message::KINDS.contains(&message.kind()));
    }
    assert!(Message::KINDS.contains(&Message::Mistagged { seq }.kind()));
}

#[test]
fn view_changes_lie_as_well_as_they_can_and_are_forged_in_every_way() {
    let bench = bench(3);
    let (cluster, signer) = (&bench.cluster, &bench.signers[1]);
    let [a, ..] = digests();
    let null = Batch::default().digest();
    let honest = bench.change(1, 5, vec![report(1, Some((2, a)), &[(a, 3)])]);
    let Message::ViewChange(lie) = Message::ViewChange(Arc::clone(&honest)).falsified(cluster, signer) else {
        panic!("it is one")
    };
    assert_eq!(lie.reports, [report(1, Some((4, null)), &[(null, 4)])]);
    assert!(bench.admit(1, Message::ViewChange(lie)).is_ok(), "it is let in");
    for change in [honest, bench.change(1, 5, vec![])] {
        for forgery in Forgery::ALL {
            let forged = Message::ViewChange(Arc::clone(&change)).forged(forgery, cluster, signer).unwrap();
            let Message::ViewChange(counterfeit) = &forged else { panic!("it is one") };
            let first = &counterfeit.reports.first();
            match forgery {
                Forgery::Short => {
                    assert_eq!(first.unwrap().prepared.map(|(view, _)| view), Some(View(5)), "not over");
                }
                Forgery::Repeated => {
                    assert_eq!(counterfeit.reports.get(1).map(|report| report.seq), Some(first.unwrap().seq));
                }
                Forgery::Mixed => assert_eq!(first.unwrap().pre_prepared.len(), MOST_PRE_PREPARED + 1),
                Forgery::Signature | Forgery::Name => {}
            }
            let refused = bench.refusal(1, forged);
            let expected = match forgery {
                Forgery::Signature | Forgery::Name => Reason::BadSignature,
                _ => Reason::MalformedViewChange,
            };
            assert_eq!(refused, expected, "{forgery:?}");
        }
    }
    let changes: Vec<_> = (0..4).map(|id| bench.change(id, 1, vec![report(1, None, &[(a, 0)])])).collect();
    let honest = NewView::sign(cluster, signer, View(1), changes, vec![]);
    let message = Message::NewView(Arc::new(honest.clone()));
    let Message::NewView(lie) = message.falsified(cluster, signer) else { panic!("it is one") };
    assert_eq!(lie.view_changes[1].reports, [report(1, Some((0, null)), &[(null, 0)])]);
    assert_eq!(lie.view_changes[0], honest.view_changes[0]);
    for forgery in [Forgery::Short, Forgery::Repeated] {
        let forged = message.forged(forgery, cluster, signer).unwrap();
        assert_eq!(bench.refusal(1, forged), Reason::MalformedViewChange, "{forgery:?}");
    }
}

#[test]
fn each_rule_is_needed() {
    assert_detected(&[
        (Weakening::StatementsOneLess, what_f_plus_one_say_was_decided_is_decided),
        (Weakening::DecidedNotVotedAgain, who_has_decided_a_slot_votes_for_it_again),
        (Weakening::PreparedForgotten, a_view_change_claims_what_was_prepared_and_pre_prepared),
        (Weakening::CommanderNotReported, a_view_change_claims_what_was_prepared_and_pre_prepared),
        (
            Weakening::ReportsOneLess,
            a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest,
        ),
        (
            Weakening::ReportsCountedPerView,
            a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest,
        ),
        (
            Weakening::HigherClaimIgnored,
            a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest,
        ),
        (
            Weakening::OtherClaimOfSameView,
            a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest,
        ),
        (
            Weakening::NullBySilenceOfFew,
            a_claim_needs_a_quorum_that_does_not_contradict_and_a_weak_quorum_that_knows_the_digest,
        ),
    ]);
}
