//! What waits for which write.

use flows::PBFT;
use journal::entry::{self, Entry, Given};
use journal::{Held, Noted};
use kernel::{
    Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation, Protocol, ReplicaId,
    Request, SeededChoice, Seq, SessionId, Signer, To,
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

#[test]
fn a_step_that_sends_waits_for_its_inputs_and_one_that_does_not_for_what_was_sent_before() {
    let mut bench = Bench::new(&PBFT);
    let request = bench.request(b"x".to_vec());
    let proposed = bench.step(0, request);
    let proposal = proposed.iter().find(|effect| is_sent(effect)).expect("a commander proposes").clone();
    let timers = proposed.iter().filter(|effect| is_timer(effect)).count();
    assert!(timers > 0, "it has a request to wait for");

    let mut held = Held::default();
    let hold = |held: &mut Held<_>, ticket, mut effects: Vec<_>| {
        held.hold(ticket, &mut effects);
        effects
    };
    assert_eq!(hold(&mut held, 1, vec![accepted(1)]), [accepted(1)], "nothing was sent: nothing to wait for");
    assert!(!held.waits_for(1));
    let left = hold(&mut held, 1, proposed.clone());
    assert_eq!(left.len(), timers);
    assert!(left.iter().all(is_timer));
    assert!(held.waits_for(1) && !held.waits_for(2));
    // A mark of the same step waits with the message, though it comes before it.
    assert_eq!(hold(&mut held, 2, vec![accepted(2), proposal.clone()]), []);
    // What is sent by nobody needs no write of its own.
    assert_eq!(hold(&mut held, 3, vec![accepted(3)]), []);
    assert!(!held.waits_for(3));

    let waiting = proposed.len() - timers + 3;
    assert_eq!((held.len(), held.is_empty()), (waiting, false));
    held.safe_up_to(1);
    let released: Vec<_> = std::iter::from_fn(|| held.release()).collect();
    assert!(released.iter().eq(proposed.iter().filter(|effect| !is_timer(effect))));
    held.safe_up_to(2);
    let released: Vec<_> = std::iter::from_fn(|| held.release()).collect();
    assert_eq!(released, [accepted(2), proposal.clone(), accepted(3)]);
    assert_eq!((held.len(), held.is_empty()), (0, true));

    assert_eq!(hold(&mut held, 4, vec![proposal]), []);
    held.clear();
    held.safe_up_to(4);
    assert!(held.is_empty() && held.release().is_none(), "a replica that stops sends nothing more");
}

#[test]
fn a_request_that_is_passed_on_waits_for_nothing() {
    let bench = Bench::new(&PBFT);
    let Input::Submit(bundle) = bench.request(b"x".to_vec()) else { unreachable!() };
    let request = Effect::Send { to: To::One(ReplicaId(1)), message: Message::Requests(bundle) };
    let promise = Effect::Send { to: To::All, message: Message::Recover { nonce: 1 } };
    let mut held: Held<flows::Pbft> = Held::default();
    let mut effects = vec![request.clone(), accepted(1)];
    held.hold(1, &mut effects);
    assert_eq!((effects, held.waits_for(1)), (vec![request.clone(), accepted(1)], false));
    // What waits already does not keep it back.
    let mut effects = vec![promise.clone(), request.clone()];
    held.hold(1, &mut effects);
    assert_eq!((effects, held.len(), held.waits_for(1)), (vec![request], 1, true));
    held.safe_up_to(1);
    assert_eq!(held.release(), Some(promise));
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
