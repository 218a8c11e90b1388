//! What waits for which write.

use flows::PBFT;
use journal::entry::{self, Entry, Given};
use journal::{Held, Noted};
use kernel::{
    Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation, Phase, Protocol,
    ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, To, View, ViewMark,
};
use pbft::Message;
use sim::Memory;
use sim::swarm::{Disks, Flow};
use std::sync::Arc;

const N: u16 = 4;

/// A replica alone.
struct Bench<P: Protocol> {
    cluster: Cluster,
    signer: Signer,
    replica: P,
    noted: Noted,
}

impl<P: Protocol> Bench<P> {
    /// The first commander.
    fn new(flow: &Flow<P>) -> Bench<P> {
        let settings = Disks::Never.draw(flow.name, 0, flow.tolerates).settings;
        let signer = kernel::keys::symbolic(3, N).0.swap_remove(0);
        let cluster = Cluster::new(ClusterId::derive("held", 3), flow.name, N);
        Bench { cluster, signer, replica: (flow.make)(&settings, N, Memory::Fresh), noted: Noted::default() }
    }

    /// Effects of an input that comes at this time.
    fn step(&mut self, now: u64, input: Input<P>) -> Vec<Effect<P>> {
        let (mut choose, mut effects) = (SeededChoice::new(3), Vec::new());
        let cx = Context::new(&self.cluster, &self.signer, &mut choose, &mut effects).at(Micros(now));
        self.noted.step(&mut self.replica, cx, input);
        effects
    }

    fn request(&self, operation: Vec<u8>) -> Input<P> {
        let session = SessionId { gateway: ReplicaId(0), number: 1 };
        let request = Request { session, counter: 1, operation: Operation(operation.into()) };
        Input::Submit(Arc::new(Bundle::sign(&self.cluster, &self.signer, vec![request])))
    }
}

fn is_sent<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Send { .. })
}

fn is_timer<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::SetTimer { .. } | Effect::CancelTimer(_))
}

fn accepted<P: Protocol>(seq: u64) -> Effect<P> {
    Effect::Mark(Mark::Accepted { seq: Seq(seq), digest: Digest::ZERO })
}

fn cluster() -> Cluster {
    Cluster::new(ClusterId::derive("held", 3), PBFT.name, N)
}

fn hold(
    held: &mut Held<flows::Pbft>,
    ticket: u64,
    mut effects: Vec<Effect<flows::Pbft>>,
) -> Vec<Effect<flows::Pbft>> {
    held.hold(&cluster(), ticket, &mut effects);
    effects
}

fn released(held: &mut Held<flows::Pbft>, ticket: u64) -> Vec<Effect<flows::Pbft>> {
    held.safe_up_to(ticket);
    std::iter::from_fn(|| held.release()).collect()
}

fn sent(message: Message) -> Effect<flows::Pbft> {
    Effect::Send { to: To::All, message }
}

/// A promise like any other.
fn promise() -> Effect<flows::Pbft> {
    sent(Message::Recover { nonce: 1 })
}

#[test]
fn a_step_that_promises_waits_for_its_inputs_and_one_that_does_not_for_what_was_promised_before() {
    let mut held = Held::default();
    let timer = Effect::CancelTimer(pbft::Timer::View);
    assert_eq!(hold(&mut held, 1, vec![accepted(1)]), [accepted(1)], "nothing was sent: nothing to wait for");
    assert!(!held.waits_for(1));
    assert_eq!(hold(&mut held, 1, vec![timer.clone(), promise(), timer.clone()]), [timer.clone(), timer]);
    assert!(held.waits_for(1) && !held.waits_for(2));
    // A mark of the same step waits with the message, though it comes before it.
    assert_eq!(hold(&mut held, 2, vec![accepted(2), promise()]), []);
    // What is promised by nobody needs no write of its own.
    assert_eq!(hold(&mut held, 3, vec![accepted(3)]), []);
    assert!(!held.waits_for(3));

    assert_eq!((held.len(), held.is_empty()), (4, false));
    assert_eq!(released(&mut held, 1), [promise()]);
    assert_eq!(released(&mut held, 2), [accepted(2), promise(), accepted(3)]);
    assert_eq!((held.len(), held.is_empty()), (0, true));

    assert_eq!(hold(&mut held, 4, vec![promise()]), []);
    held.clear();
    assert_eq!(released(&mut held, 4), [], "a replica that stops sends nothing more");
}

#[test]
fn a_request_that_is_passed_on_waits_for_nothing() {
    let bench = Bench::new(&PBFT);
    let Input::Submit(bundle) = bench.request(b"x".to_vec()) else { unreachable!() };
    let request = Effect::Send { to: To::One(ReplicaId(1)), message: Message::Requests(bundle) };
    let mut held = Held::default();
    assert_eq!(hold(&mut held, 1, vec![request.clone(), accepted(1)]), [request.clone(), accepted(1)]);
    assert!(!held.waits_for(1));
    // What waits already does not keep it back.
    assert_eq!(hold(&mut held, 1, vec![promise(), request.clone()]), [request]);
    assert!(held.waits_for(1));
    assert_eq!(released(&mut held, 1), [promise()]);
}

/// What a commander does upon a request: two timers, the mark of its proposal, the proposal.
fn proposed() -> Vec<Effect<flows::Pbft>> {
    let mut bench = Bench::new(&PBFT);
    let request = bench.request(b"x".to_vec());
    let effects = bench.step(0, request);
    assert!(effects.iter().any(is_early) && effects.iter().filter(|effect| is_sent(effect)).count() == 1);
    effects
}

/// What a backup does upon that: a timer, the mark of what it accepts, the mark of its PREPARE, the PREPARE.
fn prepared() -> Vec<Effect<flows::Pbft>> {
    let proposal = proposed().into_iter().find_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    let mut bench = Bench::new(&PBFT);
    bench.signer = kernel::keys::symbolic(3, N).0.swap_remove(1);
    let message = kernel::Verified::admitted_before(proposal.unwrap());
    let effects = bench.step(0, Input::Deliver { from: ReplicaId(0), message });
    assert!(effects.iter().any(is_early) && effects.iter().filter(|effect| is_sent(effect)).count() == 1);
    effects
}

/// The mark of a proposal or a PREPARE.
fn is_early<P: Protocol>(effect: &Effect<P>) -> bool {
    matches!(effect, Effect::Mark(Mark::Proposed { .. } | Mark::Voted { phase: Phase::Prepare, .. }))
}

fn waits_for_nothing_but_its_view_and_its_watermarks(step: fn() -> Vec<Effect<flows::Pbft>>) {
    let leaving: Vec<_> =
        step().into_iter().filter(|effect| is_timer(effect) || is_early(effect) || is_sent(effect)).collect();
    let timers: Vec<_> = step().into_iter().filter(is_timer).collect();
    let others = || step().into_iter().filter(|effect| !is_timer(effect));

    let mut held = Held::default();
    assert_eq!(hold(&mut held, 1, step()), step());
    assert!(!held.waits_for(1));
    // It goes ahead of votes, and its mark with it.
    assert_eq!(hold(&mut held, 1, vec![promise()]), []);
    let mut with_another_mark = leaving.clone();
    with_another_mark.push(accepted(1));
    assert_eq!(hold(&mut held, 2, with_another_mark), leaving);
    assert!(!held.waits_for(2));
    assert_eq!(released(&mut held, 1), [promise(), accepted(1)]);

    let stable = Effect::Mark(Mark::View(ViewMark::Stable { seq: Seq(8) }));
    let began = Effect::Mark(Mark::View(ViewMark::ViewBegan { view: View(0) }));
    let mut begun = vec![began.clone()];
    begun.extend(step());
    assert_eq!(hold(&mut held, 2, begun), timers);
    assert!(held.waits_for(2));
    assert_eq!(hold(&mut held, 3, step()), timers);
    assert!(held.waits_for(3), "then it is a promise like any other");
    let expected: Vec<_> = std::iter::once(began).chain(others()).collect();
    assert_eq!(released(&mut held, 2), expected);
    assert_eq!(released(&mut held, 3), others().collect::<Vec<_>>());
    assert_eq!(hold(&mut held, 4, step()), step());
    assert_eq!(hold(&mut held, 4, vec![stable.clone()]), []);
    assert!(held.waits_for(4), "written at once, so that no proposal waits for long");
    assert_eq!(hold(&mut held, 5, step()), timers);
}

#[test]
fn a_proposal_waits_for_nothing_but_its_view_and_its_watermarks() {
    waits_for_nothing_but_its_view_and_its_watermarks(proposed);
}

#[test]
fn a_prepare_waits_for_nothing_but_its_view_and_its_watermarks() {
    waits_for_nothing_but_its_view_and_its_watermarks(prepared);
}

/// A COMMIT that is cast in the same step is not taken along.
#[test]
fn only_the_mark_of_a_vote_that_leaves_leaves_with_it() {
    let commit =
        Effect::Mark(Mark::Voted { phase: Phase::Commit, view: None, seq: Seq(1), digest: Digest::ZERO });
    let mut held = Held::default();
    let mut both = prepared();
    both.push(commit.clone());
    let left = hold(&mut held, 1, both);
    assert!(left.iter().filter(|effect| is_early(effect) || is_sent(effect)).count() == 2);
    assert!(held.waits_for(1) && !left.contains(&commit));
    assert!(released(&mut held, 1).contains(&commit));
}

#[test]
fn a_certificate_waits_for_what_was_promised_before_a_vote_that_is_sent_to_nobody_among_it() {
    let certificate = sent(Message::Certificate(Arc::new(pbft::Certificate {
        kind: pbft::CertificateKind::Fast,
        view: View(0),
        seq: Seq(1),
        digest: Digest::ZERO,
        communication_node: None,
        votes: Arc::from([]),
        sum: None,
    })));
    let voted =
        Effect::Mark(Mark::Voted { phase: Phase::Prepare, view: None, seq: Seq(1), digest: Digest::ZERO });
    let mut held = Held::default();
    assert_eq!(hold(&mut held, 1, vec![certificate.clone()]), vec![certificate.clone()]);
    assert!(!held.waits_for(1));
    assert_eq!(hold(&mut held, 1, vec![voted.clone()]), []);
    assert!(held.waits_for(1));
    assert_eq!(hold(&mut held, 2, vec![certificate.clone()]), []);
    assert!(!held.waits_for(2));
    assert_eq!(released(&mut held, 1), [voted.clone(), certificate.clone()]);
    assert_eq!(hold(&mut held, 2, vec![certificate.clone()]), vec![certificate.clone()]);
    // With a vote in the same step, it waits for that.
    assert_eq!(hold(&mut held, 2, vec![certificate.clone(), voted.clone()]), []);
    assert_eq!(released(&mut held, 1), []);
    assert_eq!(released(&mut held, 2), [certificate, voted]);
}

fn entries_of<P: Protocol>(_: &P, bytes: &[u8]) -> usize {
    entry::read::<P>(bytes).filter(Result::is_ok).count()
}

#[test]
fn what_nobody_waits_for_is_written_when_it_is_old_or_much() {
    let mut bench = Bench::new(&PBFT);
    assert_eq!((bench.noted.due(), bench.noted.is_due(Micros(u64::MAX))), (None, false));
    let within = Noted::WRITTEN_WITHIN.0;
    bench.step(500, Input::Start);
    let request = bench.request(b"x".to_vec());
    bench.step(700, request);
    assert_eq!(bench.noted.due(), Some(Micros(500 + within)), "the oldest decides");
    assert!(!bench.noted.is_due(Micros(500 + within - 1)) && bench.noted.is_due(Micros(500 + within)));
    let (entries, count) = bench.noted.take();
    assert_eq!((entries_of(&bench.replica, &entries), count), (2, 2));
    assert!(bench.noted.is_empty() && bench.noted.due().is_none());
    bench.noted.faults::<flows::Pbft>(vec!["malicious".into()], Micros(800));
    assert_eq!(bench.noted.due(), Some(Micros(800 + within)));
    let (entries, count) = bench.noted.take();
    let read: Vec<Entry<flows::Pbft>> = entry::read(&entries).collect::<Result<_, _>>().unwrap();
    let [Entry { given: Given::Faults(faults), now: Micros(800), .. }] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((&faults[..], count), (&["malicious".to_owned()][..], 1));
    let large = bench.request(vec![0; 64 << 10]);
    bench.step(900, large);
    assert!(bench.noted.is_due(Micros(900)));
}
