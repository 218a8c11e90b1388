//! What is executed, what of it is executed again, and what an adversary damages.

use super::helpers::*;
use super::*;
use apps::{KvOperation, KvOutput, KvStore};
use kernel::{Application, Chunk, Output};
use pbft::{Core, Execution, Votes};

fn applied(effects: &Effects) -> Vec<(u64, u64)> {
    let applied = |effect: &Effect<Pbft>| match effect {
        Effect::Mark(Mark::Applied { session, counter, .. }) => Some((session.number, *counter)),
        _ => None,
    };
    effects.iter().filter_map(applied).collect()
}

#[test]
fn a_request_with_a_counter_that_has_gone_back_is_not_executed_and_not_answered() {
    let bench = small(1);
    let mut execution = Execution::new(OpaqueLog::default());
    let mut execute = |seq: u64, requests: &[(u64, u64)]| {
        let batch = Batch { bundles: vec![bench.bundle_of(2, requests)] };
        let (mut effects, mut choose) = (Effects::new(), SeededChoice::new(1));
        let mut cx = Context::new(&bench.cluster, &bench.signers[1], &mut choose, &mut effects);
        let replies = execution.execute(&mut cx, View(0), Seq(seq), batch.digest(), &batch);
        let replies = replies.iter().flat_map(|bundle| &bundle.replies);
        (applied(&effects), replies.map(|reply| (reply.session.number, reply.counter)).collect::<Vec<_>>())
    };
    assert_eq!(execute(1, &[(1, 2)]), (vec![(1, 2)], vec![(1, 2)]));
    assert_eq!(execute(2, &[(1, 1)]), (vec![], vec![]));
    assert_eq!(execute(3, &[(1, 2), (1, 3)]), (vec![(1, 3)], vec![(1, 2), (1, 3)]), "the last one again");
}

#[test]
fn what_was_executed_in_one_view_is_not_executed_again_in_the_next() {
    let mut bench = small(1);
    let batch = bench.batch(b"pay");
    bench.deliver(0, bench.proposal(1, &batch));
    let effects = bench.deliver(0, bench.committed((0, 1, batch.digest())));
    assert_eq!(applied(&effects), [(1, 1)]);
    bench.deliver_change(0, 1);
    bench.deliver_change(2, 1);
    assert_eq!(bench.replica.core().view(), View(1));
    bench.deliver(3, bench.committed((1, 2, batch.digest())));
    let effects = bench.deliver(3, Message::Fetched { seq: Seq(2), batch });
    assert_eq!(applied(&effects), []);
    assert_eq!(bench.replica.core().last_executed(), Seq(2));
}

#[test]
fn a_replica_without_memory_answers_no_reads() {
    let write = KvOperation::Put { key: "a".into(), value: "1".into() };
    let read = KvOperation::Get { key: "a".into() };
    let mut store = KvStore::default();
    store.execute(&write.encode());
    let whole = Core::new(small_config(), Votes::ToAll, store.clone());
    let reading = whole.query(&read.encode()).expect("it is a read");
    assert_eq!((reading.as_of, Some(reading.output)), (Seq(0), store.query(&read.encode())));
    assert_eq!(whole.query(&write.encode()), None);
    assert_eq!(Core::recovering(small_config(), Votes::ToAll, store).query(&read.encode()), None);
}

/// An application whose state is one byte, with bytes and a chunk after it that never change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Framed(u8);

const END: [u8; 2] = [0x20, 0x21];

impl Application for Framed {
    fn execute(&mut self, _: &Operation) -> Output {
        Output::new(&[])
    }

    fn query(&self, _: &Operation) -> Option<Output> {
        None
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        vec![Chunk::new(&[self.0, END[0], END[1]]), Chunk::new(&END)]
    }

    fn restore(chunks: &[Chunk]) -> Option<Framed> {
        let mut restored = Framed(*chunks.first()?.bytes().first()?);
        (restored.snapshot() == chunks).then_some(restored)
    }
}

#[test]
fn a_damaged_state_is_still_a_state_and_differs_in_one_bit() {
    for (before, after) in [(6, 7), (7, 6)] {
        let mut execution = Execution::new(Framed(before));
        execution.corrupt();
        assert_eq!(execution.application(), &Framed(after), "the last byte that can be damaged");
    }
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[(
        Weakening::SessionsLost,
        what_was_executed_in_one_view_is_not_executed_again_in_the_next,
    )]);
}

#[test]
fn what_the_application_holds_can_be_read_and_compared() {
    let replica = Replica::new(small_config(), KvStore::default());
    let missing = KvOperation::Get { key: "color".into() }.encode();
    let reading = replica.query(&missing).expect("it only reads");
    assert_eq!((reading.as_of, KvOutput::decode(&reading.output)), (Seq(0), Some(KvOutput::Value(None))));
    let change = KvOperation::Put { key: "color".into(), value: "red".into() }.encode();
    assert_eq!(replica.query(&change), None, "it is to be ordered");
    assert_eq!(replica.core().application(), Some(&KvStore::default()));
    assert_eq!(replica.state_digest(), Some(replica.core().state_digest()));
}
