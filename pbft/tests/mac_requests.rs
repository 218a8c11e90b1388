//! `pbft-mac-requests`: requests whose tags do not hold here, though they may elsewhere.

use apps::OpaqueLog;
use kernel::keys::{Keyring, symbolic};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Operation, Phase,
    Protocol as _, Reason, Rejection, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, To, View,
    Weakening,
};
use pbft::mac::SlotReport;
use pbft::{Config, Message, NewView, Replica, Timer, ViewChange};
use sim::{Costs, Setup, World};
use std::sync::Arc;

type Mac = Replica<OpaqueLog>;

/// Replica 3, and the keys to speak to it as any other.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
    replica: Mac,
}

const OWN: usize = 3;

fn bench() -> Bench {
    bench_of(4)
}

fn bench_of(n: u16) -> Bench {
    let (signers, keyring) = symbolic(1, n);
    Bench {
        cluster: Cluster::new(ClusterId::derive("mac", 1), "pbft-mac-requests", n),
        signers,
        keyring,
        replica: Replica::new(Config::for_cluster(n), OpaqueLog::default()),
    }
}

impl Bench {
    fn step(&mut self, input: Input<Mac>) -> Vec<Effect<Mac>> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let signer = &self.signers[OWN];
        self.replica.step(&mut Context::new(&self.cluster, signer, &mut choose, &mut effects), input);
        effects
    }

    fn admit(&self, from: u16, message: Message) -> Result<kernel::Verified<Message>, Rejection> {
        let admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        admission.of_receiver(&self.signers[OWN]).admit(ReplicaId(from), message)
    }

    fn deliver(&mut self, from: u16, message: Message) -> Vec<Message> {
        let message = self.admit(from, message).unwrap();
        messages(self.step(Input::Deliver { from: ReplicaId(from), message }))
    }

    /// A request of gateway 2.
    fn bundle(&self) -> Bundle {
        let session = SessionId { gateway: ReplicaId(2), number: 1 };
        let request = Request { session, counter: 1, operation: Operation::new(b"pay") };
        Bundle::sign(&self.cluster, &self.signers[2], vec![request])
    }
}

impl Bench {
    fn change(&self, author: u16, reports: Vec<SlotReport>) -> Arc<ViewChange> {
        let signer = &self.signers[usize::from(author)];
        Arc::new(ViewChange::sign_reports(&self.cluster, signer, View(1), None, reports))
    }

    /// Three replicas want view 1, and report this.
    fn new_view(&self, reports: &[SlotReport]) -> Message {
        let changes = [0, 1, 2].map(|author| self.change(author, reports.to_vec())).to_vec();
        Message::NewView(Arc::new(NewView::sign(&self.cluster, &self.signers[1], View(1), changes, vec![])))
    }

    /// It leaves for view 1.
    fn leave(&mut self) -> Arc<ViewChange> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[OWN], &mut choose, &mut effects);
        self.replica.ask_for_next_view(&mut cx);
        let change = messages(effects).into_iter().find_map(|message| match message {
            Message::ViewChange(change) => Some(change),
            _ => None,
        });
        change.expect("it leaves")
    }
}

/// What goes to all.
fn messages(effects: Vec<Effect<Mac>>) -> Vec<Message> {
    let sent = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { to: To::All, message } => Some(message),
        _ => None,
    });
    sent.collect()
}

fn batch_of(bundle: Bundle) -> Arc<Batch> {
    Arc::new(Batch { bundles: vec![Arc::new(bundle)] })
}

fn proposal(batch: &Arc<Batch>) -> Message {
    Message::TaggedProposal { view: View(0), seq: Seq(1), batch: Arc::clone(batch) }
}

fn vote(phase: Phase, digest: Digest) -> Message {
    Message::TaggedVote { phase, view: View(0), seq: Seq(1), digest }
}

fn prepare(digest: Digest) -> Message {
    vote(Phase::Prepare, digest)
}

/// The commander alone can tell that the request is authentic.
fn doubtful(bench: &Bench) -> Arc<Batch> {
    batch_of(bench.bundle().favouring(ReplicaId(0)))
}

#[test]
fn a_proposal_with_authentic_requests_is_voted_for() {
    let mut bench = bench();
    let batch = batch_of(bench.bundle());
    assert_eq!(bench.deliver(0, proposal(&batch)), [prepare(batch.digest())]);
    // For this replica they are: what the others make of the tags is not its business.
    let mut bench = self::bench();
    let batch = batch_of(bench.bundle().favouring(ReplicaId(3)));
    assert_eq!(bench.deliver(0, proposal(&batch)), [prepare(batch.digest())]);
}

#[test]
fn a_doubted_proposal_is_voted_for_once_f_plus_one_have_voted() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    let message = bench.admit(0, proposal(&batch)).unwrap();
    let effects = bench.step(Input::Deliver { from: ReplicaId(0), message });
    let rejection = Rejection {
        from: ReplicaId(0),
        seq: Some(Seq(1)),
        corrupt_vote: false,
        reason: Reason::DoubtedRequests,
    };
    assert!(effects.contains(&Effect::Reject(rejection)), "it is counted, and no offence: {effects:?}");
    assert_eq!(messages(effects), [], "the commander may have invented the requests");
    let digest = batch.digest();
    // The second of f+1: with the commander, one of two is honest.
    assert_eq!(bench.deliver(1, prepare(digest)), [prepare(digest), vote(Phase::Commit, digest)]);
}

#[test]
fn a_doubted_proposal_that_comes_again_is_counted_as_that_alone() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    bench.deliver(0, proposal(&batch));
    let message = bench.admit(0, proposal(&batch)).unwrap();
    let effects = bench.step(Input::Deliver { from: ReplicaId(0), message });
    let reasons = effects.iter().filter_map(|effect| match effect {
        Effect::Reject(rejection) => Some(rejection.reason),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [Reason::Duplicate]);
}

#[test]
fn votes_may_come_before_the_doubted_proposal() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    assert_eq!(bench.deliver(1, prepare(batch.digest())), []);
    let both = [prepare(batch.digest()), vote(Phase::Commit, batch.digest())];
    assert_eq!(bench.deliver(0, proposal(&batch)), both);
}

#[test]
fn votes_for_something_else_vouch_for_nothing() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    assert_eq!(bench.deliver(0, proposal(&batch)), []);
    assert_eq!(bench.deliver(1, prepare(Digest::of(b"else"))), []);
    assert_eq!(bench.deliver(2, vote(Phase::Commit, batch.digest())), [], "a COMMIT says who was prepared");
}

#[test]
fn a_quorum_decides_whatever_is_doubted_here() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    bench.deliver(0, proposal(&batch));
    for from in [0, 1] {
        bench.deliver(from, vote(Phase::Commit, batch.digest()));
    }
    let message = bench.admit(2, vote(Phase::Commit, batch.digest())).unwrap();
    let effects = bench.step(Input::Deliver { from: ReplicaId(2), message });
    let is_applied = |effect: &Effect<Mac>| matches!(effect, Effect::Mark(Mark::Applied { .. }));
    assert!(effects.iter().any(is_applied), "{effects:?}");
}

#[test]
fn a_doubted_proposal_is_not_reported_as_pre_prepared() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    bench.deliver(0, proposal(&batch));
    assert_eq!(bench.leave().reports, []);
}

#[test]
fn f_plus_one_are_three_of_seven_and_only_votes_of_its_view_count() {
    let mut bench = bench_of(7);
    let batch = doubtful(&bench);
    let digest = batch.digest();
    assert_eq!(bench.deliver(0, proposal(&batch)), []);
    assert_eq!(bench.deliver(1, prepare(digest)), [], "two of seven may be faulty");
    assert_eq!(bench.deliver(1, prepare(digest)), [], "nobody counts twice");
    let other_view = Message::TaggedVote { phase: Phase::Prepare, view: View(1), seq: Seq(1), digest };
    assert_eq!(bench.deliver(2, other_view), []);
    assert_eq!(bench.deliver(2, prepare(digest)), [prepare(digest)]);
}

#[test]
fn what_was_doubted_before_its_view_began_is_not_what_the_view_begins_with() {
    let mut bench = bench();
    // An invention of the next commander, in the name of gateway 2, of a slot that no VIEW-CHANGE speaks of.
    let invented = batch_of(bench.bundle().as_if_of(ReplicaId(2), &bench.cluster, &bench.signers[1]));
    bench.leave();
    let early = Message::TaggedProposal { view: View(1), seq: Seq(1), batch: Arc::clone(&invented) };
    assert_eq!(bench.deliver(1, early.clone()), []);
    let begun = bench.deliver(1, bench.new_view(&[]));
    assert!(!begun.iter().any(|message| matches!(message, Message::TaggedVote { .. })), "{begun:?}");
    // It comes again, and still needs a vote of somebody honest.
    assert_eq!(bench.deliver(1, early), []);
    let vote = |phase| Message::TaggedVote { phase, view: View(1), seq: Seq(1), digest: invented.digest() };
    let both = [vote(Phase::Prepare), vote(Phase::Commit)];
    assert_eq!(bench.deliver(0, vote(Phase::Prepare)), both);
}

#[test]
fn what_a_view_begins_with_is_not_doubted() {
    let mut bench = bench();
    let batch = doubtful(&bench);
    let digest = batch.digest();
    let report =
        SlotReport { seq: Seq(1), prepared: Some((View(0), digest)), pre_prepared: vec![(digest, View(0))] };
    bench.leave();
    bench.deliver(1, bench.new_view(&[report]));
    // The batch is not here yet, and comes from the commander, with tags as they are.
    let proposal = Message::TaggedProposal { view: View(1), seq: Seq(1), batch };
    let vote = Message::TaggedVote { phase: Phase::Prepare, view: View(1), seq: Seq(1), digest };
    assert_eq!(bench.deliver(1, proposal), [vote]);
}

/// What this replica tells a new commander of.
fn handed_over(effects: &[Effect<Mac>]) -> Vec<Arc<Bundle>> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: To::One(ReplicaId(1)), message: Message::Requests(bundle) } => {
            Some(Arc::clone(bundle))
        }
        _ => None,
    });
    requests.collect()
}

#[test]
fn others_requests_are_watched_over_until_the_next_view_begins() {
    let mut bench = bench();
    let deliver = |bench: &mut Bench, from: u16, message: Message| {
        let message = bench.admit(from, message).unwrap();
        bench.step(Input::Deliver { from: ReplicaId(from), message })
    };
    // Authentic for this replica alone: nobody else will ever execute it.
    let poisoned = Arc::new(bench.bundle().favouring(ReplicaId(3)));
    deliver(&mut bench, 2, Message::Requests(Arc::clone(&poisoned)));
    bench.leave();
    let new_view = bench.new_view(&[]);
    let begun = deliver(&mut bench, 1, new_view);
    assert_eq!(handed_over(&begun), [poisoned], "the next commander may find it authentic");
    assert_eq!(bench.replica.status(&bench.cluster).requests_waiting, 0);
    let has_timer = |effects: &[Effect<Mac>]| {
        effects.iter().any(|effect| matches!(effect, Effect::SetTimer { timer: Timer::View, .. }))
    };
    assert!(!has_timer(&begun), "it waits for nothing any more: {begun:?}");
}

#[test]
fn an_author_s_own_copy_replaces_one_that_others_have_changed() {
    let mut bench = bench();
    // Replica 1 passes on what it has made of the request; then gateway 2 sends it to all.
    let (changed, good) = (Arc::new(bench.bundle().favouring(ReplicaId(3))), Arc::new(bench.bundle()));
    for bundle in [&changed, &good] {
        let message = bench.admit(2, Message::Requests(Arc::clone(bundle))).unwrap();
        bench.step(Input::Deliver { from: ReplicaId(2), message });
    }
    bench.leave();
    let message = bench.admit(1, bench.new_view(&[])).unwrap();
    let begun = bench.step(Input::Deliver { from: ReplicaId(1), message });
    assert_eq!(handed_over(&begun), [good]);
}

#[test]
fn requests_that_are_not_authentic_here_are_refused_and_nobody_is_blamed() {
    let bench = bench();
    let requests = |bundle: Bundle| Message::Requests(Arc::new(bundle));
    assert!(bench.admit(2, requests(bench.bundle())).is_ok());
    let rejection = bench.admit(1, requests(bench.bundle().favouring(ReplicaId(0)))).unwrap_err();
    assert_eq!((rejection.reason, rejection.corrupt_vote), (Reason::DoubtedRequests, false));
    assert!(!rejection.reason.is_offence(), "it may be the author's fault, or that of whoever passed it on");
}

#[test]
fn nobody_can_send_what_a_receiver_doubts() {
    let bench = bench();
    let doubted = Message::DoubtedProposal { view: View(0), seq: Seq(1), batch: doubtful(&bench) };
    assert_eq!(bench.admit(0, doubted).unwrap_err().reason, Reason::NotEntitled);
    // And a proposal of somebody else stays one.
    assert_eq!(bench.admit(1, proposal(&doubtful(&bench))).unwrap_err().reason, Reason::NotEntitled);
}

#[test]
fn tags_of_requests_are_paid_for_by_whoever_makes_them_and_whoever_checks_one() {
    let costs = Costs { sign_us: 50.0, verify_us: 50.0, tag_us: 1.0, ..Costs::default() };
    let taken_us = |protocol: &str| {
        let cluster = Cluster::new(ClusterId::derive("world", 1), protocol, 4);
        let make = |_, _| Replica::new(Config::for_cluster(4), OpaqueLog::default());
        let setup = Setup { costs, replies_needed: 2, ..Setup::new(cluster, 1) };
        let mut world = World::new(setup, make);
        world.submit(ReplicaId(0), b"a");
        world.run(1_000_000);
        world.accepted()[0].at_us
    };
    // One signature made and one checked, against four tags made and one checked.
    assert_eq!(taken_us("pbft-mac") - taken_us("pbft-mac-requests"), (50 + 50) - (4 + 1));
}

/// Clients of gateway 0 ask one request after the other for a second, while node 3 attacks: requests decided, and views begun.
fn under_attack(protocol: &str) -> (usize, u64) {
    let cluster = Cluster::new(ClusterId::derive("attack", 1), protocol, 4);
    let make = |_, _| Replica::new(Config::for_cluster(4), OpaqueLog::default());
    let faults = vec![(3, vec!["mac-attack=50ms".parse().unwrap()])];
    let mut world = World::new(Setup { faults, replies_needed: 2, ..Setup::new(cluster, 1) }, make);
    while world.now_us() < 1_000_000 {
        world.submit(ReplicaId(0), b"pay");
        world.run(10_000);
    }
    // The attack goes on, and all the same everybody is served in the end.
    world.run_until(|world| world.accepted().len() == 100, 60_000_000);
    world.judge().unwrap();
    (world.accepted().len(), world.replica(0).core().view().0)
}

#[test]
fn a_faulty_client_makes_views_change_where_its_requests_are_not_signed() {
    let (decided, view) = under_attack("pbft-mac");
    assert_eq!((decided, view), (100, 0), "its requests are signed, and as good as any");
    let (decided, view) = under_attack("pbft-mac-requests");
    assert!(decided == 100 && view >= 2, "{decided} decided, view {view}");
}

#[test]
fn when_the_attack_is_over_an_honest_commander_stays() {
    let cluster = Cluster::new(ClusterId::derive("attack", 1), "pbft-mac-requests", 4);
    let make = |_, _| Replica::new(Config::for_cluster(4), OpaqueLog::default());
    let faults = vec![(3, vec!["mac-attack=10ms[until=500ms]".parse().unwrap()])];
    let mut world = World::new(Setup { faults, replies_needed: 2, ..Setup::new(cluster, 1) }, make);
    let mut views = Vec::new();
    for second in 0..20 {
        for _ in 0..10 {
            world.submit(ReplicaId(0), b"pay");
            world.run(100_000);
        }
        if second >= 10 {
            views.push(world.replica(0).core().view());
        }
    }
    world.judge().unwrap();
    assert_eq!(world.accepted().len(), 200);
    assert!(views[0] > View(0) && views.iter().all(|view| *view == views[0]), "{views:?}");
}

#[test]
fn each_rule_is_needed() {
    assert_detected(&[
        (Weakening::DoubtedRequestsAccepted, a_doubted_proposal_is_voted_for_once_f_plus_one_have_voted),
        (Weakening::DoubtedRequestsOneLess, a_doubted_proposal_is_voted_for_once_f_plus_one_have_voted),
    ]);
}
