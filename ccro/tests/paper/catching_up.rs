//! Messages of rounds that are yet to come, and how a node gets there.

use crate::by_hand::{Hand, Published};
use crate::expected::*;
use apps::OpaqueLog;
use ccro::paper::{Attempt, Message, Replica, Step, Timer};
use kernel::{Batch, Context, Digest, Effect, Input, Mark, Reason, ReplicaId, SeededChoice, Seq, View};
use pbft::Execution;
use std::sync::Arc;

/// Node 3 of four has lost its memory, and asked for what it missed.
fn returned() -> Hand {
    let mut run = Hand::new(4);
    run.nodes[3] = Replica::recovering(&pbft::Config::for_cluster(4), OpaqueLog::default());
    let asked = run.step(3, Input::Start);
    assert_eq!(asked, [send_all(Message::Fetch { next: Seq(1) })]);
    run
}

/// A COMMIT of node 1's in a round that is yet to come.
fn later(run: &Hand, seq: u64) -> Message {
    Message::Step(statement_in(run, 1, Step::Commit, (seq, FIRST), Digest::of(b"later")))
}

fn fetches(effects: &[Effect<Published>]) -> Vec<Effect<Published>> {
    let is_fetch = |e: &&Effect<Published>| matches!(e, Effect::Send { message: Message::Fetch { .. }, .. });
    effects.iter().filter(is_fetch).cloned().collect()
}

fn fetch(to: u16, next: u64) -> Effect<Published> {
    send(to, Message::Fetch { next: Seq(next) })
}

fn catch_up_timer() -> Effect<Published> {
    Effect::SetTimer { timer: Timer::CatchUp, after: pbft::Config::for_cluster(4).resend_after }
}

#[test]
fn more_is_asked_for_once_all_64_rounds_are_here() {
    let mut run = returned();
    for seq in 1..64 {
        assert_eq!(fetches(&run.deliver_one(1, 3, empty_store(&run, seq))), [], "round {seq}");
    }
    assert_eq!(fetches(&run.deliver_one(1, 3, empty_store(&run, 64))), [fetch(1, 65)]);
}

#[test]
fn what_was_missed_is_asked_of_the_first_to_tell_of_the_latest_round() {
    let mut run = Hand::new(4);
    // Whoever passes a message on is the one who is asked.
    let told = [(1, 3), (0, 2), (2, 5), (0, 5), (1, 4)];
    let mut effects = Vec::new();
    for (from, seq) in told {
        effects.extend(run.deliver_one(from, 3, later(&run, seq)));
    }
    assert_eq!(effects, [catch_up_timer()], "at first: it may be on its way");
    assert_eq!(run.step(3, Input::Expire(Timer::CatchUp)), [fetch(2, 1)]);
    assert_eq!(run.deliver_one(1, 3, later(&run, 6)), [catch_up_timer()], "and so again");
}

#[test]
fn nothing_is_asked_by_a_node_that_came_to_the_latest_round_in_time() {
    let mut run = Hand::new(4);
    run.deliver_one(1, 3, later(&run, 2));
    run.deliver_one(0, 3, empty_store(&run, 1));
    assert_eq!(run.step(3, Input::Expire(Timer::CatchUp)), []);
}

#[test]
fn messages_of_64_rounds_ahead_are_kept() {
    let mut run = Hand::new(4);
    assert_eq!(run.deliver_one(1, 3, later(&run, 65)), [catch_up_timer()]);
    assert_eq!(run.deliver_one(1, 3, later(&run, 66)), [refused_in(1, 66, Reason::OutsideWindow)]);
    // What lies beyond tells how far behind this node is all the same.
    for seq in 1..65 {
        run.deliver_one(0, 3, empty_store(&run, seq));
    }
    assert_eq!(run.deliver_one(1, 3, later(&run, 65)), [], "it is known: it was kept");
    assert_eq!(fetches(&run.step(3, Input::Expire(Timer::CatchUp))), [fetch(1, 65)]);
}

/// Whether a REQUEST of round 2 is there when the round begins, after so many other messages of it.
fn is_kept_after(others: usize) -> bool {
    let mut run = Hand::new(4);
    for _ in 0..others {
        run.deliver_one(1, 3, later(&run, 2));
    }
    let block = batch(&run, b"a");
    let header = statement_in(&run, 0, Step::Request, (2, FIRST), block.digest());
    run.deliver_one(0, 3, Message::Block { header, batch: block.clone() });
    let effects = run.deliver_one(0, 3, empty_store(&run, 1));
    effects.contains(&Effect::Mark(Mark::Accepted { seq: Seq(2), digest: block.digest() }))
}

#[test]
fn of_a_later_round_four_nodes_keep_sixteen_messages() {
    assert!(is_kept_after(15));
    assert!(!is_kept_after(16));
}

#[test]
fn nobody_can_be_told_of_rounds_that_are_not_stored_here() {
    let mut run = Hand::new(4);
    assert_eq!(run.deliver_one(2, 3, Message::Fetch { next: Seq(1) }), [], "nothing has happened yet");
    // It has executed the block, but the trust after the round is not known.
    let block = batch(&run, b"a");
    run.deliver_one(0, 3, request(&run, 0, FIRST, &block));
    run.deliver_one(1, 3, step(&run, 1, Step::Commit, FIRST, block.digest()));
    assert_eq!(run.logs[3].len(), 1);
    assert_eq!(run.deliver_one(2, 3, Message::Fetch { next: Seq(1) }), []);
}

#[test]
fn of_1024_rounds_the_stores_are_kept_and_of_more_the_state() {
    let mut run = Hand::new(4);
    let ask = |run: &mut Hand, next| run.deliver_one(2, 3, Message::Fetch { next: Seq(next) });
    for seq in 1..=1_024 {
        run.deliver_one(0, 3, empty_store(&run, seq));
    }
    let stores = |run: &Hand, from: u64| -> Vec<_> {
        (from..from + 64).map(|seq| send(2, empty_store(run, seq))).collect()
    };
    assert_eq!(ask(&mut run, 1), stores(&run, 1));
    run.deliver_one(0, 3, empty_store(&run, 1_025));
    assert_eq!(ask(&mut run, 2), stores(&run, 2));
    let state = state_of(&run, 3, 1_025, &vec![Arc::default(); 1_025]);
    assert_eq!(ask(&mut run, 1), [send(2, state)]);
}

/// A block of so many times a mebibyte.
fn large(run: &Hand, mebibytes: usize) -> Arc<Batch> {
    let bundle = run.bundle(2, &vec![0; 1 << 20]);
    Arc::new(Batch { bundles: vec![bundle; mebibytes] })
}

#[test]
fn of_64_mebibytes_the_stores_are_kept_and_of_more_the_latest() {
    let mut run = Hand::new(4);
    let block = large(&run, 32);
    let stored =
        |run: &Hand, seq, attempt: Attempt| store(run, attempt.takeovers, (seq, attempt), &block, &TRUST);
    let ask = |run: &mut Hand, next| run.deliver_one(2, 3, Message::Fetch { next: Seq(next) });
    let (first, second) = (stored(&run, 1, FIRST), stored(&run, 2, FIRST));
    for store in [&first, &second] {
        run.deliver_one(2, 3, store.clone());
    }
    assert_eq!(ask(&mut run, 1), [&first, &second].map(|store| send(2, store.clone())));
    // Another in the place of the last takes no more room.
    let later = stored(&run, 2, TAKEN_OVER);
    run.deliver_one(2, 3, later.clone());
    assert_eq!(ask(&mut run, 1), [&first, &later].map(|store| send(2, store.clone())));
    // One byte more.
    let small = Arc::new(Batch { bundles: vec![run.bundle(2, b"a")] });
    let third = store(&run, 0, (3, FIRST), &small, &TRUST);
    run.deliver_one(2, 3, third.clone());
    assert_eq!(ask(&mut run, 2), [&later, &third].map(|store| send(2, store.clone())));
    let answer = ask(&mut run, 1);
    assert!(matches!(&answer[..], [Effect::Send { message: Message::State { .. }, .. }]), "{answer:?}");
}

/// What there is after blocks, one for each round.
fn execution(run: &Hand, blocks: &[Arc<Batch>]) -> Execution<OpaqueLog> {
    let (mut effects, mut choose): (Vec<Effect<Published>>, _) = (Vec::new(), SeededChoice::new(1));
    let mut cx = Context::new(&run.cluster, &run.signers[0], &mut choose, &mut effects);
    let mut execution = Execution::new(OpaqueLog::default());
    for (seq, block) in (1..).zip(blocks) {
        execution.execute(&mut cx, View(0), Seq(seq), block.digest(), block);
    }
    execution
}

const TRUST: [u16; 4] = [5_000; 4];

/// A STATE that `author` says is the one after round `seq`.
fn state_of(run: &Hand, author: u16, seq: u64, blocks: &[Arc<Batch>]) -> Message {
    let state = execution(run, blocks).snapshot().to_bytes();
    Message::state(&run.cluster, &run.signers[usize::from(author)], Seq(seq), table(&TRUST), state)
}

#[test]
fn a_node_that_asked_takes_over_a_state_and_goes_on_from_there() {
    let mut run = returned();
    for operation in [b"a", b"b"] {
        run.submit(3, operation);
    }
    // One of its requests was executed meanwhile.
    let block = |bundle| Arc::new(Batch { bundles: vec![bundle] });
    let blocks = [block(run.bundle(3, b"a")), block(run.bundle(2, b"c"))];
    let adopted = execution(&run, &blocks);
    let state = state_of(&run, 1, 2, &blocks);
    assert_eq!(
        run.deliver_one(1, 3, state),
        [
            Effect::Mark(Mark::StateAdopted { seq: Seq(2), chain: adopted.chain() }),
            roles(3, 0, 1, &TRUST),
            fetch(1, 3),
            // For the request that still waits.
            watch(1),
        ]
    );
    assert_eq!(run.nodes[3].digest(), adopted.digest());
    assert_eq!(*run.nodes[3].trust(), *table(&TRUST));
    let status = run.status(3);
    assert_eq!((status.last_executed, status.requests_waiting), (Seq(2), 1));
    // It has no STORE to pass on, but the same state, as its own.
    let own = state_of(&run, 3, 2, &blocks);
    for next in [1, 2] {
        assert_eq!(run.deliver_one(2, 3, Message::Fetch { next: Seq(next) }), [send(2, own.clone())]);
    }
    assert_eq!(run.deliver_one(2, 3, Message::Fetch { next: Seq(3) }), [], "2 missed nothing");
}

#[test]
fn a_state_is_of_use_to_a_node_that_asked_and_is_not_further() {
    let nothing = |run: &mut Hand, message| {
        let before = run.nodes[3].clone();
        assert_eq!(run.deliver_one(1, 3, message), []);
        assert_eq!(run.nodes[3], before);
    };
    let blocks: Vec<Arc<Batch>> = vec![Arc::default(); 3];
    let mut run = Hand::new(4);
    run.step(3, Input::Start);
    let state = state_of(&run, 1, 3, &blocks);
    nothing(&mut run, state);
    // One that asked and learned of two rounds by their STOREs.
    let mut run = returned();
    for seq in 1..3 {
        run.deliver_one(1, 3, empty_store(&run, seq));
    }
    let state = |run: &Hand, seq: usize| state_of(run, 1, seq as u64, &blocks[..seq]);
    let known = state(&run, 2);
    nothing(&mut run, known);
    let next = state(&run, 3);
    run.deliver_one(1, 3, next);
    assert_eq!(run.status(3).last_executed, Seq(3));
}

#[test]
fn a_state_that_is_not_what_it_says_is_refused() {
    let mut run = returned();
    let before = run.nodes[3].clone();
    let of_another_round = state_of(&run, 1, 5, &[Arc::default()]);
    let trust = table(&TRUST);
    let no_state = Message::state(&run.cluster, &run.signers[1], Seq(5), trust, b"none".to_vec());
    for message in [of_another_round, no_state] {
        let effects = run.deliver_one(1, 3, message);
        let from = ReplicaId(1);
        let (seq, reason) = (None, Reason::DigestMismatch);
        let refusal = kernel::Rejection { from, seq, corrupt_vote: false, reason };
        assert_eq!(effects, [Effect::Reject(refusal)]);
        assert_eq!(run.nodes[3], before);
    }
}
