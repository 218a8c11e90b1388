//! What a replica was given is noted, and makes the same replica again.

mod support;

use kernel::keys::seeded;
use kernel::record::{Divergence, Recorder, Step, hash_of, rebuild, step_again};
use kernel::{
    Bundle, Choose, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation, Output,
    Path, Protocol, Reading, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, Status, To, Verified,
};
use std::sync::Arc;
use support::{Idle, Word, hashed, word};

/// Adds up what it is given and what it draws, and says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Adder(u64);

impl Protocol for Adder {
    type Message = Word;
    type Timer = u64;

    fn step(&mut self, cx: &mut Context<'_, Adder>, input: Input<Adder>) {
        match input {
            Input::Start => cx.set_timer(1, Micros(10)),
            Input::Resume => {}
            Input::Expire(times) => {
                self.0 += (0..times).map(|_| cx.choose.below(1_000)).sum::<u64>() + cx.now.0;
                cx.set_timer(times, Micros(self.0));
            }
            Input::Submit(bundle) => {
                self.0 += bundle.requests().len() as u64;
                cx.mark(committed(self.0, Path::Direct));
            }
            Input::Deliver { from, message } => cx.send(from, message.into_inner()),
        }
    }

    fn status(&self, _: &Cluster) -> Status {
        Status { last_executed: Seq(self.0), ..Status::default() }
    }

    fn state_digest(&self) -> Option<Digest> {
        Some(Digest::of(&self.0.to_le_bytes()))
    }

    fn corrupt_state(&mut self) {
        self.0 += 1_000_000;
    }

    fn takes_requests(&self, own: ReplicaId) -> bool {
        u64::from(own.0) <= self.0
    }

    fn may_wait(&self, cluster: &Cluster, message: &Word) -> bool {
        u64::from(cluster.n) <= self.0 && message.is_vote
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        Some(Reading { as_of: Seq(self.0), output: Output::new(&operation.0) })
    }
}

fn committed(seq: u64, path: Path) -> Mark {
    Mark::Committed { view: None, seq: Seq(seq), digest: Digest::ZERO, path }
}

/// A recorder and what it is stepped with.
struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    choose: SeededChoice,
    recorder: Recorder<Adder>,
}

impl Bench {
    fn new() -> Bench {
        let cluster = Cluster::new(ClusterId::derive("record", 1), "pbft", 4);
        let recorder = Recorder::new(Adder(0));
        Bench { cluster, signers: seeded(1, 4).0, choose: SeededChoice::new(1), recorder }
    }

    fn step(&mut self, now: u64, input: Input<Recorder<Adder>>) -> Vec<Effect<Recorder<Adder>>> {
        let mut effects = Vec::new();
        let cx = Context::new(&self.cluster, &self.signers[0], &mut self.choose, &mut effects);
        self.recorder.step(&mut cx.at(Micros(now)), input);
        effects
    }

    fn bundle(&self) -> Arc<Bundle> {
        let session = SessionId { gateway: ReplicaId(0), number: 1 };
        let request = Request { session, counter: 1, operation: Operation::new(b"a") };
        Arc::new(Bundle::sign(&self.cluster, &self.signers[0], vec![request]))
    }

    fn rebuilt(&self, steps: &[Step<Adder>]) -> Result<Adder, Divergence> {
        rebuild(Adder(0), &self.cluster, &self.signers[0], steps, |_, _, _| {})
    }
}

/// A start, five draws in two steps, and a request.
fn stepped() -> Bench {
    let mut bench = Bench::new();
    bench.step(0, Input::Start);
    bench.step(7, Input::Expire(2));
    bench.step(8, Input::Expire(3));
    let bundle = bench.bundle();
    bench.step(9, Input::Submit(bundle));
    bench
}

#[test]
fn a_recorder_does_what_its_replica_does() {
    let mut bench = Bench::new();
    assert_eq!(bench.step(0, Input::Start), [Effect::SetTimer { timer: 1, after: Micros(10) }]);
    let mut choose = SeededChoice::new(1);
    let sum = (0..2).map(|_| choose.below(1_000)).sum::<u64>() + 7;
    assert_eq!(bench.step(7, Input::Expire(2)), [Effect::SetTimer { timer: 2, after: Micros(sum) }]);
    let bundle = bench.bundle();
    let mark = Effect::Mark(committed(sum + 1, Path::Direct));
    assert_eq!(bench.step(8, Input::Submit(bundle)), [mark]);
    let message = word(&bench.signers, 2, b"a", true);
    let delivered = Verified::admitted_before(message.clone());
    let sent = bench.step(8, Input::Deliver { from: ReplicaId(2), message: delivered });
    assert_eq!(sent, [Effect::Send { to: To::One(ReplicaId(2)), message }]);

    let replica = bench.recorder.inner();
    assert_eq!(replica, &Adder(sum + 1));
    assert_eq!(bench.recorder.status(&bench.cluster), replica.status(&bench.cluster));
    assert_eq!(bench.recorder.state_digest(), replica.state_digest());
    let operation = Operation::new(b"what?");
    assert_eq!(bench.recorder.query(&operation), replica.query(&operation));
    let takes = [0, u16::MAX].map(|own| bench.recorder.takes_requests(ReplicaId(own)));
    assert_eq!(takes, [true, false]);
    let may_wait = [true, false].map(|is_vote| {
        let message = word(&bench.signers, 2, b"a", is_vote);
        bench.recorder.may_wait(&bench.cluster, &message)
    });
    assert_eq!(may_wait, [true, false]);
}

#[test]
fn a_protocol_that_does_not_say_otherwise_takes_requests_and_lets_no_message_wait() {
    let Bench { cluster, signers, .. } = Bench::new();
    let message = word(&signers, 2, b"a", true);
    assert!(Idle.takes_requests(ReplicaId(0)) && !Idle.may_wait(&cluster, &message));
    assert_eq!((Idle.state_digest(), Idle.query(&Operation::new(b"x"))), (None, None));
}

#[test]
fn a_step_is_noted_with_its_time_and_choices() {
    let bench = stepped();
    let mut choose = SeededChoice::new(1);
    let mut draw = |times| (0..times).map(|_| (1_000, choose.below(1_000))).collect::<Vec<_>>();
    let noted: Vec<_> =
        bench.recorder.steps().iter().map(|step| (step.now.0, step.choices.clone())).collect();
    assert_eq!(noted, [(0, vec![]), (7, draw(2)), (8, draw(3)), (9, vec![])]);
    let start = [Effect::SetTimer { timer: 1, after: Micros(10) }];
    assert_eq!(bench.recorder.steps()[0].effects, hash_of::<Adder>(&start));
}

#[test]
fn a_replica_is_made_again_of_what_it_was_given() {
    let bench = stepped();
    let mut seen = Vec::new();
    let steps = bench.recorder.steps();
    let rebuilt = rebuild(Adder(0), &bench.cluster, &bench.signers[0], steps, |number, replica, effects| {
        seen.push((number, replica.clone(), effects.len()));
    });
    assert_eq!(rebuilt.as_ref(), Ok(bench.recorder.inner()));
    assert_eq!(
        seen.iter().map(|(number, _, effects)| (*number, *effects)).collect::<Vec<_>>(),
        [(0, 1), (1, 1), (2, 1), (3, 1)]
    );
    assert_eq!(&seen[3].1, bench.recorder.inner());
    assert_eq!(bench.recorder.rebuilt(&bench.cluster, &bench.signers[0]), rebuilt);
}

/// Damage is no input, and is noted beside them.
#[test]
fn a_damaged_state_is_damaged_again() {
    let mut bench = stepped();
    bench.recorder.corrupt_state();
    bench.recorder.corrupt_state();
    bench.step(10, Input::Expire(0));
    assert_eq!(bench.recorder.steps().iter().map(|step| step.damaged).collect::<Vec<_>>(), [0, 0, 0, 0, 2]);
    bench.recorder.corrupt_state();
    assert!(bench.recorder.inner().0 > 3_000_000);
    let rebuilt = bench.recorder.rebuilt(&bench.cluster, &bench.signers[0]).unwrap();
    assert_eq!(&rebuilt, bench.recorder.inner());
}

#[test]
fn whoever_draws_or_does_something_else_is_noticed() {
    let bench = stepped();
    let changed = |step: usize, change: fn(&mut Step<Adder>)| {
        let mut steps = bench.recorder.steps().to_vec();
        change(&mut steps[step]);
        bench.rebuilt(&steps)
    };
    let choices = |step| Err(Divergence::Choices { step });
    let effects = |step| Err(Divergence::Effects { step });
    assert_eq!(changed(1, |step| step.choices[0].0 = 999), choices(1));
    assert_eq!(changed(1, |step| step.choices.push((1_000, 1))), choices(1));
    assert_eq!(changed(2, |step| step.choices.truncate(2)), choices(2));
    assert_eq!(changed(3, |step| step.choices.push((1_000, 1))), choices(3));
    assert_eq!(changed(1, |step| step.choices[0].1 += 1), effects(1));
    assert_eq!(changed(2, |step| step.now.0 += 1), effects(2));
    assert_eq!(changed(3, |step| step.effects ^= 1), effects(3));
    assert_eq!(changed(1, |step| step.damaged = 1), effects(1));
}

#[test]
fn a_step_with_noted_choices_says_whether_they_were_those() {
    let bench = Bench::new();
    let again = |choices: &[(u64, u64)]| {
        let (mut replica, mut effects) = (Adder(0), Vec::new());
        let (cluster, signer) = (&bench.cluster, &bench.signers[0]);
        let input = Input::Expire(2);
        let is_same = step_again(&mut replica, cluster, signer, input, Micros(5), choices, &mut effects);
        (is_same, replica.0)
    };
    assert_eq!(again(&[(1_000, 30), (1_000, 4)]), (true, 39));
    assert_eq!(again(&[(1_000, 30)]), (false, 35));
    assert_eq!(again(&[(1_000, 30), (999, 4)]), (false, 35));
    assert_eq!(again(&[(1_000, 30), (1_000, 4), (1_000, 1)]), (false, 39));
}

/// A recorder adds nothing to the state of its replica: a checker must not take two states for different ones.
#[test]
fn recorders_are_equal_if_their_replicas_are() {
    let (mut one, mut other) = (Bench::new(), Bench::new());
    for times in [1, 1] {
        one.step(0, Input::Expire(times));
    }
    other.step(0, Input::Expire(2));
    assert_eq!(one.recorder, other.recorder);
    assert_eq!(hashed(&one.recorder), hashed(&other.recorder));
    other.step(1, Input::Expire(0));
    assert_ne!(one.recorder, other.recorder);
    assert_ne!(hashed(&one.recorder), hashed(&other.recorder));
}

#[test]
fn the_hash_of_effects_is_over_all_of_them_in_their_order() {
    let mark = |seq, path| Effect::<Adder>::Mark(committed(seq, path));
    let (one, two, fast) = (mark(1, Path::Direct), mark(2, Path::Direct), mark(1, Path::Fast));
    let lists: [&[Effect<Adder>]; 6] = [
        &[],
        std::slice::from_ref(&one),
        std::slice::from_ref(&two),
        std::slice::from_ref(&fast),
        &[one.clone(), two.clone()],
        &[two.clone(), one.clone()],
    ];
    let hashes: Vec<u64> = lists.iter().map(|effects| hash_of(effects)).collect();
    let distinct: std::collections::BTreeSet<u64> = hashes.iter().copied().collect();
    assert_eq!(distinct.len(), lists.len(), "{hashes:?}");
    // A length is hashed as 64 bits, on whatever platform.
    let of_nothing = blake3::hash(&0_u64.to_le_bytes());
    assert_eq!(hashes[0], u64::from_le_bytes(of_nothing.as_bytes()[..8].try_into().unwrap()));
}
