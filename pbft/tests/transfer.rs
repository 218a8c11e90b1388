//! State transfer and damaged states, input by input.

use apps::OpaqueLog;
use kernel::keys::{Keyring, seeded};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Falsify as _, Input, Mark, Micros,
    Operation, Phase, Protocol, Reason, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, Snapshot,
    StateForgery, To, View, ViewMark, Weakening,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Config, Execution, Message, Replica, StableCheckpoint,
    Timer, Vote,
};
use std::sync::Arc;

type Pbft = Replica<OpaqueLog>;
type Effects = Vec<Effect<Pbft>>;

/// Sessions of a state of many chunks: 256 share one.
const SESSIONS: u64 = 256 * 10;
/// The slot after which it is.
const SLOT: Seq = Seq(4);

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
    let config = Config { checkpoint_interval: SLOT.0, ..Config::for_cluster(4) };
    let cluster = Cluster::new(ClusterId::derive("transfer", 1), "pbft", 4);
    Bench { cluster, signers, keyring, id, replica: Replica::new(config, OpaqueLog::default()) }
}

impl Bench {
    fn step(&mut self, input: Input<Pbft>) -> Effects {
        let mut effects = Vec::new();
        let mut choose = SeededChoice::new(1);
        let mut cx = Context::new(&self.cluster, &self.signers[self.id], &mut choose, &mut effects);
        self.replica.step(&mut cx, input);
        effects
    }

    fn deliver(&mut self, from: u16, message: Message) -> Effects {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).unwrap();
        self.step(Input::Deliver { from, message })
    }

    fn batch(&self, slot: u64, requests: u64) -> Arc<Batch> {
        let request = |k: u64| Request {
            session: SessionId { gateway: ReplicaId(2), number: (slot << 20) + k },
            counter: 1,
            operation: Operation::new(b"pay"),
        };
        let bundle = Bundle::sign(&self.cluster, &self.signers[2], (0..requests).map(request).collect());
        Arc::new(Batch { bundles: vec![Arc::new(bundle)] })
    }

    /// The state after [`SLOT`], of many chunks.
    fn state(&self) -> Snapshot {
        self.state_after(SLOT, SESSIONS / SLOT.0)
    }

    /// The state after this slot: those after [`SLOT`] have one request each.
    fn state_after(&self, last: Seq, requests: u64) -> Snapshot {
        let mut execution = Execution::new(OpaqueLog::default());
        let (mut effects, mut choose) = (Vec::<Effect<Pbft>>::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[0], &mut choose, &mut effects);
        for slot in 1..=last.0 {
            let batch = self.batch(slot, if slot > SLOT.0 { 1 } else { requests });
            execution.execute(&mut cx, View(0), Seq(slot), batch.digest(), &batch);
        }
        execution.snapshot()
    }

    fn proof(&self, state: Digest) -> Message {
        self.proof_of(SLOT, state)
    }

    fn proof_of(&self, seq: Seq, state: Digest) -> Message {
        let sign = |id: usize| {
            let vote = CheckpointVote::sign(&self.cluster, &self.signers[id], seq, state);
            (vote.author, vote.signature)
        };
        let votes = (0..4).filter(|id| *id != self.id).map(sign).collect();
        Message::Stable(Arc::new(StableCheckpoint { seq, state, votes }))
    }

    /// The replica learns that the state is stable, waits, and asks for it.
    fn left_behind(&mut self, state: &Snapshot) -> Vec<(u16, u64)> {
        self.deliver(0, self.proof(state.digest()));
        asked(&self.step(Input::Expire(Timer::Resend)))
    }

    fn serve(&mut self, from: u16, state: &Snapshot, index: u64) -> Effects {
        self.deliver(from, part(state, index))
    }

    /// A slot is decided.
    fn decide(&mut self, slot: u64) -> Effects {
        let batch = self.batch(slot, 1);
        let about = (View(0), Seq(slot), batch.digest());
        let (header, proposal) =
            Message::propose(&self.cluster, &self.signers[0], View(0), Seq(slot), batch, None);
        self.deliver(0, proposal);
        let vote = |id: usize| {
            let vote = Vote::sign(&self.cluster, &self.signers[id], Phase::Commit, about, None);
            (vote.author, vote.signature)
        };
        let votes = [0, 2, 3].map(vote).into();
        let (view, seq, digest) = about;
        let kind = CertificateKind::Committed;
        let certificate = Certificate { kind, view, seq, digest, communication_node: None, votes, sum: None };
        assert_eq!(header.digest, digest);
        self.deliver(0, Message::Certificate(Arc::new(certificate)))
    }

    fn expire(&mut self) -> Vec<(u16, u64)> {
        asked(&self.step(Input::Expire(Timer::Transfer)))
    }
}

fn part(state: &Snapshot, index: u64) -> Message {
    Message::State { seq: SLOT, part: state.prove(index).unwrap() }
}

/// Whom it asks for which chunk.
fn asked(effects: &Effects) -> Vec<(u16, u64)> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: To::One(id), message: Message::FetchState { seq: SLOT, index } } => {
            Some((id.0, *index))
        }
        _ => None,
    });
    requests.collect()
}

fn refused(effects: &Effects) -> Vec<(u16, Reason)> {
    let rejections = effects.iter().filter_map(|effect| match effect {
        Effect::Reject(rejection) => Some((rejection.from.0, rejection.reason)),
        _ => None,
    });
    rejections.collect()
}

fn marks(effects: &Effects) -> Vec<&Mark> {
    let marks = effects.iter().filter_map(|effect| match effect {
        Effect::Mark(mark) => Some(mark),
        _ => None,
    });
    marks.collect()
}

#[test]
fn chunks_are_asked_of_all_signers_and_make_the_proven_state() {
    let mut bench = bench(3);
    let state = bench.state();
    assert_eq!(state.extent().chunks, 2 + 4 * 3, "head, log, pages of 256 sessions: 640 in each slot");
    assert_eq!(bench.left_behind(&state), [(0, 0), (1, 0)], "f+1 signers for the first chunk");
    let rest = asked(&bench.serve(0, &state, 0));
    assert_eq!(rest.iter().map(|(_, index)| *index).collect::<Vec<_>>(), (1..14).collect::<Vec<u64>>());
    for id in 0..3 {
        assert!(rest.iter().filter(|(to, _)| *to == id).count() >= 4, "{rest:?}");
    }
    assert_eq!(bench.replica.core().transferring().map(|(_, proven)| proven), Some(state.extent().bytes));
    let mut last = Vec::new();
    for (id, index) in rest {
        assert!(last.is_empty());
        let effects = bench.serve(id, &state, index);
        last = marks(&effects).into_iter().cloned().collect();
    }
    assert!(matches!(last[..], [Mark::StateAdopted { seq: SLOT, .. }]), "{last:?}");
    assert_eq!(bench.replica.core().state_digest(), state.digest());
    assert_eq!(bench.replica.core().transferring(), None);
}

/// Gives a replica every chunk that it asks for until it asks for none, and returns which.
fn serve_all(bench: &mut Bench, seq: Seq, state: &Snapshot, effects: Effects) -> Vec<u64> {
    let (mut waiting, mut served) = (effects, Vec::new());
    loop {
        let next = waiting.iter().position(|effect| {
            matches!(effect, Effect::Send { message: Message::FetchState { seq: s, .. }, .. } if *s == seq)
        });
        let Some(next) = next else { return served };
        let Effect::Send { to: To::One(id), message: Message::FetchState { index, .. } } =
            waiting.remove(next)
        else {
            continue;
        };
        served.push(index);
        waiting.extend(bench.deliver(id.0, Message::State { seq, part: state.prove(index).unwrap() }));
    }
}

#[test]
fn what_it_has_already_is_not_fetched_again() {
    let mut bench = bench(3);
    let requests = 50 * 256;
    let state = bench.state_after(SLOT, requests);
    bench.deliver(0, bench.proof(state.digest()));
    let asks = bench.step(Input::Expire(Timer::Resend));
    let all = state.extent().chunks as usize;
    assert_eq!(serve_all(&mut bench, SLOT, &state, asks).len(), 1 + all, "all, and the first of two");
    // The next one has other first chunks and some more at its end.
    let later = Seq(3 * SLOT.0);
    let next = bench.state_after(later, requests);
    let new = next.chunks().iter().filter(|chunk| !state.chunks().contains(chunk)).count();
    assert_eq!((all, new), (202, 10));
    bench.deliver(0, bench.proof_of(later, next.digest()));
    // With the first one, it notes that there is no progress.
    bench.step(Input::Expire(Timer::Resend));
    let asks = bench.step(Input::Expire(Timer::Resend));
    let served = serve_all(&mut bench, later, &next, asks);
    // And what is asked for before the answer that would have shown it.
    assert!((new..all / 4).contains(&served.len()), "{served:?}");
    assert_eq!(bench.replica.core().state_digest(), next.digest());
}

#[test]
fn a_chunk_that_is_not_proven_costs_its_sender_its_turn() {
    for forgery in StateForgery::ALL {
        let mut bench = bench(3);
        let state = bench.state();
        bench.left_behind(&state);
        let effects = bench.deliver(0, part(&state, 0).misserved(forgery).unwrap());
        assert_eq!(refused(&effects), [(0, Reason::DigestMismatch)], "{forgery:?}");
        assert_eq!(asked(&effects), [(2, 0)], "{forgery:?}: another one is asked");
        assert_eq!(bench.replica.core().transferring(), Some((0, 0)), "{forgery:?}: nothing is kept");
        let rest = asked(&bench.serve(1, &state, 0));
        assert!(rest.iter().all(|(to, _)| *to != 0), "{forgery:?}: {rest:?}");
        // What was asked of one that lies in the midst of it is asked of the others.
        let (liar, owed) = (1, rest.iter().filter(|(to, _)| *to == 1).count());
        let (_, index) = rest.into_iter().find(|(to, _)| *to == liar).unwrap();
        let again = asked(&bench.deliver(liar, part(&state, index).misserved(forgery).unwrap()));
        let room = 32 / 3 - (13 - owed) - 1;
        assert_eq!(again.len(), owed.min(room), "{forgery:?}: {again:?}");
        assert!(again.iter().all(|(to, _)| *to == 2));
    }
}

#[test]
fn what_nobody_asked_for_is_not_kept() {
    let mut bench = bench(3);
    let state = bench.state();
    bench.left_behind(&state);
    for index in 0..1000 {
        let mut endless = state.prove(0).unwrap();
        endless.index = index + 1;
        bench.deliver(0, Message::State { seq: SLOT, part: endless });
    }
    let other = Snapshot::new(state.chunks()[1..].to_vec());
    bench.serve(0, &other, 3);
    assert_eq!(bench.replica.core().transferring(), Some((0, 0)));
}

#[test]
fn a_silent_signer_loses_its_turn_and_what_it_owes_is_asked_of_others() {
    let mut bench = bench(3);
    let state = bench.state();
    bench.left_behind(&state);
    let rest = asked(&bench.serve(1, &state, 0));
    let owed: Vec<u64> = rest.iter().filter(|(to, _)| *to == 0).map(|(_, index)| *index).collect();
    let others = rest.iter().filter(|(to, _)| *to != 0);
    for (id, index) in others {
        bench.serve(*id, &state, *index);
    }
    assert_eq!(bench.expire(), [], "it may still come");
    let again = bench.expire();
    assert_eq!(again.iter().map(|(_, index)| *index).collect::<Vec<_>>(), owed);
    assert!(again.iter().all(|(to, _)| [1, 2].contains(to)), "{again:?}");
    for (id, index) in again {
        bench.serve(id, &state, index);
    }
    assert_eq!(bench.replica.core().last_executed(), SLOT);
}

#[test]
fn a_signer_that_delivers_just_enough_loses_its_turn_all_the_same() {
    let mut bench = bench(3);
    let state = bench.state();
    bench.left_behind(&state);
    let rest = asked(&bench.serve(1, &state, 0));
    let of = |id: u16| rest.iter().filter(move |(to, _)| *to == id).map(|(_, index)| *index);
    for id in [1, 2] {
        for index in of(id) {
            bench.serve(id, &state, index);
        }
    }
    let (first, others) = (of(0).next().unwrap(), of(0).skip(1).collect::<Vec<_>>());
    bench.expire();
    bench.serve(0, &state, first);
    let again = bench.expire();
    assert_eq!(again.iter().map(|(_, index)| *index).collect::<Vec<_>>(), others);
    assert!(again.iter().all(|(to, _)| *to != 0), "{again:?}");
    for index in others {
        bench.serve(0, &state, index);
    }
    assert_eq!(bench.replica.core().last_executed(), SLOT, "what comes late is as good");
}

#[test]
fn where_all_are_silent_they_get_twice_the_time() {
    let mut bench = bench(3);
    let state = bench.state();
    assert_eq!(bench.left_behind(&state), [(0, 0), (1, 0)]);
    let mut periods = Vec::new();
    for _ in 0..6 {
        let waited = (1..1000).find(|_| !bench.expire().is_empty()).unwrap();
        periods.push(waited);
    }
    // Two are asked, then the third one, and then all of them anew.
    assert_eq!(periods, [2, 2, 4, 4, 8, 8]);
}

#[test]
fn a_state_is_served_chunk_by_chunk_and_each_is_proven() {
    let mut bench = bench(1);
    let last = (1..=SLOT.0).map(|slot| bench.decide(slot)).last().unwrap();
    let vote = last.iter().find_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::Checkpoint(vote) } => Some(vote.state),
        _ => None,
    });
    let digest = vote.expect("a checkpoint is due");
    for index in 0..6 {
        let effects = bench.deliver(3, Message::FetchState { seq: SLOT, index });
        let [Effect::Send { to: To::One(ReplicaId(3)), message: Message::State { seq: SLOT, part } }] =
            &effects[..]
        else {
            panic!("{effects:?}");
        };
        assert_eq!((part.index, part.extent.chunks), (index, 6));
        assert!(part.verify(&digest).is_some());
    }
    assert_eq!(bench.deliver(3, Message::FetchState { seq: SLOT, index: 6 }), []);
    assert_eq!(bench.deliver(3, Message::FetchState { seq: SLOT, index: u64::MAX }), []);
}

/// Replica 1 has executed [`SLOT`] slots and voted for its state; three others vote for
/// another one.
fn diverged() -> (Bench, Effects) {
    let mut bench = bench(1);
    for slot in 1..=SLOT.0 {
        bench.decide(slot);
    }
    let state = bench.state().digest();
    let mut last = Vec::new();
    for id in [0, 2, 3] {
        let vote = CheckpointVote::sign(&bench.cluster, &bench.signers[id], SLOT, state);
        last = bench.deliver(id as u16, Message::Checkpoint(vote));
    }
    (bench, last)
}

#[test]
fn a_replica_whose_state_is_not_the_proven_one_says_so_and_asks_for_it_at_once() {
    let (bench, effects) = diverged();
    let proven = bench.state().digest();
    let [Mark::View(ViewMark::Stable { seq: SLOT }), Mark::Diverged { seq: SLOT, own, proven: theirs }] =
        marks(&effects)[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*own, *theirs), (bench.replica.core().state_digest(), proven));
    assert_eq!(asked(&effects), [(2, 0), (3, 0)]);
    let after = Config::for_cluster(4).resend_after;
    assert!(effects.contains(&Effect::SetTimer { timer: Timer::Transfer, after }));
    assert!(after > Micros(0) && bench.replica.core().has_diverged());
    assert_eq!((bench.replica.core().divergences(), bench.replica.core().application()), (1, None));
}

#[test]
fn a_wrong_state_answers_nothing_and_does_not_go_on() {
    let (mut bench, _) = diverged();
    assert_eq!(marks(&bench.decide(5)).last(), Some(&&committed(&bench, 5)));
    assert_eq!(bench.replica.core().last_executed(), SLOT);
    assert_eq!(bench.deliver(0, Message::FetchState { seq: SLOT, index: 0 }), []);
    let executed = Message::Requests(Arc::clone(&bench.batch(1, 1).bundles[0]));
    let effects = bench.deliver(2, executed);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reply { .. })), "{effects:?}");
    let effects = bench.step(Input::Expire(Timer::Resend));
    let votes = |effect: &Effect<Pbft>| {
        matches!(effect, Effect::Send { message: Message::Checkpoint(_) | Message::State { .. }, .. })
    };
    assert!(!effects.iter().any(votes), "{effects:?}");
}

fn committed(bench: &Bench, slot: u64) -> Mark {
    let digest = bench.batch(slot, 1).digest();
    Mark::Committed { view: Some(View(0)), seq: Seq(slot), digest, path: kernel::Path::Direct }
}

#[test]
fn with_the_proven_state_it_executes_again_what_was_decided_since_and_answers() {
    let (mut bench, effects) = diverged();
    bench.decide(5);
    let state = bench.state();
    let mut requests = asked(&effects);
    let mut seen = Vec::new();
    while let Some((id, index)) = requests.pop() {
        let effects = bench.serve(id, &state, index);
        requests.extend(asked(&effects));
        seen.extend(marks(&effects).into_iter().cloned());
    }
    assert!(matches!(
        seen[..],
        [Mark::StateAdopted { seq: SLOT, .. }, Mark::Applied { .. }, Mark::Executed { seq: Seq(5), .. }]
    ));
    assert!(!bench.replica.core().has_diverged());
    assert_eq!(bench.replica.core().divergences(), 1);
    let effects = bench.deliver(2, Message::Requests(Arc::clone(&bench.batch(5, 1).bundles[0])));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reply { .. })), "{effects:?}");
}

/// Which chunks of the state after `slot` it asks for, and whom.
fn asked_of(slot: Seq, effects: &Effects) -> Vec<(u16, u64)> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: To::One(id), message: Message::FetchState { seq, index } } if *seq == slot => {
            Some((id.0, *index))
        }
        _ => None,
    });
    requests.collect()
}

/// After how many periods of the timer something is asked for again, and which chunks.
fn asked_again(bench: &mut Bench) -> (usize, Vec<u64>) {
    let mut asks = (1..1000).map(|period| (period, bench.expire()));
    let (period, asked) = asks.find(|(_, asked)| !asked.is_empty()).unwrap();
    let mut chunks: Vec<u64> = asked.into_iter().map(|(_, index)| index).collect();
    chunks.sort_unstable();
    (period, chunks)
}

#[test]
fn all_that_lost_their_turn_get_another_one_and_more_time_until_something_comes() {
    let mut bench = bench(3);
    let state = bench.state();
    bench.left_behind(&state);
    bench.serve(1, &state, 0);
    let rest: Vec<u64> = (1..14).collect();
    // The first chunk came in the first round.
    for period in [2, 2, 4] {
        assert_eq!(asked_again(&mut bench), (period, rest.clone()));
    }
    bench.serve(2, &state, 5);
    let rest: Vec<u64> = rest.into_iter().filter(|index| *index != 5).collect();
    for period in [8, 2, 4] {
        assert_eq!(asked_again(&mut bench), (period, rest.clone()));
    }
}

#[test]
fn bytes_received_are_counted_once() {
    let mut bench = bench(3);
    let state = bench.state();
    bench.left_behind(&state);
    let bytes = |indexes: &[usize]| {
        let received = indexes.iter().map(|index| state.chunks()[*index].bytes().len() as u64);
        Some((received.sum(), state.extent().bytes))
    };
    let serve = |bench: &mut Bench, index| {
        bench.serve(1, &state, index);
        bench.replica.core().transferring()
    };
    assert_eq!(serve(&mut bench, 0), bytes(&[0]));
    assert_eq!(serve(&mut bench, 7), bytes(&[0, 7]));
    assert_eq!(serve(&mut bench, 7), bytes(&[0, 7]));
}

#[test]
fn a_state_that_is_here_or_on_its_way_is_not_asked_for() {
    let mut bench_of_1 = bench(1);
    for slot in 1..=SLOT.0 {
        bench_of_1.decide(slot);
    }
    let own = bench_of_1.replica.core().state_digest();
    bench_of_1.deliver(0, bench_of_1.proof(own));
    for _ in 0..3 {
        assert_eq!(asked(&bench_of_1.step(Input::Expire(Timer::Resend))), []);
    }

    let mut bench = bench(3);
    let state = bench.state_after(SLOT, 1);
    assert_eq!(bench.left_behind(&state), [(0, 0), (1, 0)]);
    assert_eq!(asked(&bench.step(Input::Expire(Timer::Resend))), []);
}

#[test]
fn who_lost_its_turn_is_not_asked_for_the_next_state_while_others_are_left() {
    let mut bench = bench(3);
    let state = bench.state_after(SLOT, 1);
    bench.left_behind(&state);
    let mut rest = asked(&bench.serve(1, &state, 0));
    rest.retain(|(id, _)| *id != 0);
    for (id, index) in rest {
        bench.serve(id, &state, index);
    }
    assert_eq!(bench.expire(), []);
    for (id, index) in bench.expire() {
        bench.serve(id, &state, index);
    }
    assert_eq!(bench.replica.core().last_executed(), SLOT);
    let later = Seq(2 * SLOT.0);
    let next = bench.state_after(later, 1);
    bench.deliver(0, bench.proof_of(later, next.digest()));
    bench.step(Input::Expire(Timer::Resend));
    let effects = bench.step(Input::Expire(Timer::Resend));
    assert_eq!(asked_of(later, &effects), [(1, 0), (2, 0)]);
}

#[test]
fn a_newer_checkpoint_takes_the_place_of_one_of_which_nothing_came() {
    let mut bench = bench(3);
    let state = bench.state_after(SLOT, 1);
    bench.left_behind(&state);
    let later = Seq(2 * SLOT.0);
    let next = bench.state_after(later, 1);
    let fetch = |id: u16| Effect::Send {
        to: To::One(ReplicaId(id)),
        message: Message::FetchState { seq: later, index: 0 },
    };
    assert_eq!(
        bench.deliver(0, bench.proof_of(later, next.digest())),
        [
            Effect::Mark(Mark::View(ViewMark::Stable { seq: later })),
            Effect::CancelTimer(Timer::Transfer),
            fetch(0),
            fetch(1),
            Effect::SetTimer { timer: Timer::Transfer, after: Config::for_cluster(4).resend_after },
        ]
    );
}

#[test]
fn a_newer_checkpoint_takes_the_place_of_one_that_comes_no_further() {
    let mut bench = bench(3);
    let state = bench.state_after(SLOT, 1);
    bench.left_behind(&state);
    bench.serve(1, &state, 0);
    let later = Seq(2 * SLOT.0);
    let next = bench.state_after(later, 1);
    let effects = bench.deliver(0, bench.proof_of(later, next.digest()));
    assert_eq!(effects, [Effect::Mark(Mark::View(ViewMark::Stable { seq: later }))], "it may still come");
    assert_eq!(bench.expire(), []);
    let effects = bench.step(Input::Expire(Timer::Transfer));
    assert_eq!(asked_of(later, &effects), [(0, 0), (1, 0)]);
}

#[test]
fn who_asks_for_a_state_that_is_gone_learns_which_one_is_stable() {
    let mut bench = bench(1);
    let stable = bench.proof_of(Seq(2 * SLOT.0), Digest::of(b"state"));
    bench.deliver(0, stable.clone());
    let mut ask = |slot: u64| bench.deliver(3, Message::FetchState { seq: Seq(slot), index: 0 });
    assert_eq!(ask(SLOT.0), [Effect::Send { to: To::One(ReplicaId(3)), message: stable }]);
    // It has neither these states nor news.
    assert_eq!(ask(2 * SLOT.0), []);
    assert_eq!(ask(3 * SLOT.0), []);
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::ChunkNotChecked, a_chunk_that_is_not_proven_costs_its_sender_its_turn),
        (Weakening::ChunkNotChecked, what_nobody_asked_for_is_not_kept),
        (Weakening::ServerKeepsItsTurn, a_silent_signer_loses_its_turn_and_what_it_owes_is_asked_of_others),
        (Weakening::ServerKeepsItsTurn, a_chunk_that_is_not_proven_costs_its_sender_its_turn),
        (
            Weakening::DivergenceNotNoticed,
            a_replica_whose_state_is_not_the_proven_one_says_so_and_asks_for_it_at_once,
        ),
    ]);
}
