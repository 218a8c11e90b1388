//! What does not fit in a round: steps said twice, of nodes without the role, of attempts or rounds
//! that are over.

use crate::by_hand::{Hand, Published};
use crate::expected::*;
use apps::{KvOperation, KvOutput, KvStore};
use ccro::paper::{Attempt, Message, Replica, Step, Timer};
use kernel::{Digest, Effect, Input, Mark, Path, Phase, Protocol as _, Reason, ReplicaId, Seq, View};
use std::sync::Arc;

/// Commander 0 handed node 3 of four a block.
fn with_block(operation: &[u8]) -> (Hand, Digest) {
    let mut run = Hand::new(4);
    let block = batch(&run, operation);
    run.deliver_one(0, 3, request(&run, 0, FIRST, &block));
    (run, block.digest())
}

/// The same, and node 1 announced it.
fn executed(operation: &[u8]) -> (Hand, Digest) {
    let (mut run, digest) = with_block(operation);
    run.deliver_one(1, 3, step(&run, 1, Step::Commit, FIRST, digest));
    assert_eq!(run.logs[3], [(1, digest)]);
    (run, digest)
}

fn no_send(effects: &[Effect<Published>]) -> bool {
    !effects.iter().any(is_send)
}

#[test]
fn a_commander_that_hands_out_two_blocks_is_refused_the_second() {
    let (mut run, _) = with_block(b"a");
    let (a, b) = (batch(&run, b"a"), batch(&run, b"b"));
    assert_eq!(run.deliver_one(0, 3, request(&run, 0, FIRST, &a)), [], "once more");
    let second = request(&run, 0, FIRST, &b);
    assert_eq!(run.deliver_one(0, 3, second), [refused(0, Reason::ConflictingProposal)]);
}

#[test]
fn a_communication_node_that_says_two_things_is_refused_the_second() {
    let (mut run, a) = with_block(b"a");
    let other = Digest::of(b"other");
    for what in [Step::PrePrepare, Step::Commit] {
        let first = run.deliver_one(1, 3, step(&run, 1, what, FIRST, a));
        assert!(!no_send(&first), "{what:?}: node 3 votes, or replies");
        assert_eq!(run.deliver_one(1, 3, step(&run, 1, what, FIRST, a)), [], "{what:?} once more");
        let second = step(&run, 1, what, FIRST, other);
        assert_eq!(run.deliver_one(1, 3, second), [refused(1, Reason::ConflictingVote)], "{what:?}");
    }
    assert_eq!(run.logs[3], [(1, a)]);
}

#[test]
fn a_vote_counts_once_and_at_the_communication_node_alone() {
    let (mut run, a) = with_block(b"a");
    run.deliver_one(1, 3, step(&run, 1, Step::PrePrepare, FIRST, a));
    let vote = step(&run, 2, Step::Prepare, FIRST, a);
    assert_eq!(run.deliver_one(2, 3, vote), [], "node 3 collects no votes");
    let early = step(&run, 2, Step::Prepare, FIRST, Digest::of(b"other"));
    let (mut unasked, _) = with_block(b"a");
    assert_eq!(unasked.deliver_one(2, 3, early.clone()), [], "nothing was asked that it could contradict");
    assert_eq!(run.deliver_one(2, 3, early), [refused(2, Reason::ConflictingVote)]);
    // With f = 1, where one vote is not enough.
    let mut run = Hand::new(6);
    let block = batch(&run, b"a");
    run.deliver_one(0, 1, request(&run, 0, FIRST, &block));
    let vote = step(&run, 2, Step::Prepare, FIRST, block.digest());
    let counted = received(2, Phase::Prepare, block.digest());
    assert_eq!(run.deliver_one(2, 1, vote.clone()), [counted]);
    assert_eq!(run.deliver_one(2, 1, vote), [], "once more");
    let other = Digest::of(b"other");
    let second = step(&run, 2, Step::Prepare, FIRST, other);
    assert_eq!(run.deliver_one(2, 1, second), [contradicting(2, Phase::Prepare, other)]);
}

#[test]
fn a_reply_counts_once() {
    // With f = 1, where one REPLY is not enough.
    let mut run = Hand::new(6);
    run.submit(0, b"a");
    let (d, other) = (kernel::Batch { bundles: vec![run.bundle(0, b"a")] }.digest(), Digest::of(b"other"));
    let reply = |run: &mut Hand, digest| run.deliver_one(2, 0, reply_in(run, 2, 1, digest));
    assert_eq!(reply(&mut run, d), [received(2, Phase::Commit, d)]);
    assert_eq!(reply(&mut run, d), [], "once more");
    assert_eq!(reply(&mut run, other), [contradicting(2, Phase::Commit, other)]);
}

/// After how many of the REPLYs of nodes 5, 2 and 3 commander 0 of six stores a round that begins
/// with this trust.
fn stored_after(trust: [u16; 6]) -> Option<usize> {
    let mut run = Hand::new(6);
    // The table is published by whoever was commander before.
    run.deliver_one(1, 0, store(&run, 1, (1, TAKEN_OVER), &Arc::default(), &trust));
    run.submit(0, b"a");
    let digest = kernel::Batch { bundles: vec![run.bundle(0, b"a")] }.digest();
    let mut stores = [5, 2, 3].into_iter().map(|author| {
        let effects = run.deliver_one(author, 0, reply_in(&run, author, 2, digest));
        effects.iter().any(|e| matches!(e, Effect::Send { message: Message::Store { .. }, .. }))
    });
    stores.position(|has_stored| has_stored).map(|place| place + 1)
}

#[test]
fn a_reply_of_a_node_below_the_floor_counts_unless_three_others_reach_it() {
    // f = 1: two REPLYs are needed, and 2f+1 = 3 consensus nodes to do without the fourth.
    assert_eq!(stored_after([9_000, 8_000, 5_000, 5_000, 5_000, 5_000]), Some(2));
    assert_eq!(stored_after([9_000, 8_000, 4_000, 4_000, 4_000, 3_999]), Some(3));
    assert_eq!(stored_after([9_000, 8_000, 4_000, 4_000, 3_999, 3_999]), Some(2));
}

#[test]
fn a_request_for_a_round_that_is_over_is_answered_by_its_store() {
    let mut run = Hand::new(4);
    let stored = empty_store(&run, 1);
    run.deliver_one(0, 3, stored.clone());
    let block = batch(&run, b"a");
    let late = request(&run, 0, SECOND, &block);
    assert_eq!(run.deliver_one(0, 3, late), [send(0, stored)]);
    // One of the attempt that was stored is only late.
    assert_eq!(run.deliver_one(0, 3, request(&run, 0, FIRST, &block)), []);
}

#[test]
fn a_store_is_executed_in_the_attempt_that_it_names() {
    let mut run = Hand::new(4);
    let block = batch(&run, b"a");
    let stored = store(&run, 1, (1, TAKEN_OVER), &block, &[5_000; 4]);
    let effects = run.deliver_one(1, 3, stored);
    let digest = block.digest();
    let committed = Mark::Committed { view: Some(View(1)), seq: Seq(1), digest, path: Path::Direct };
    assert_eq!(effects[0], Effect::Mark(committed));
    assert_eq!(run.logs[3], [(1, digest)]);
}

#[test]
fn a_store_of_another_block_than_was_executed_is_refused_and_ends_the_round() {
    let (mut run, a) = executed(b"a");
    let other = batch(&run, b"b");
    let trust = [6_000, 5_000, 5_000, 5_000];
    assert_eq!(
        run.deliver_one(0, 3, store(&run, 0, (1, FIRST), &other, &trust)),
        [refused(0, Reason::ConflictingProposal), roles(2, 0, 1, &trust), Effect::CancelTimer(Timer::Round),]
    );
    assert_eq!(run.logs[3], [(1, a)], "what is executed is executed");
}

const BY_0: [u16; 4] = [6_000, 5_000, 5_000, 5_000];
const BY_1: [u16; 4] = [4_000, 6_000, 5_000, 5_000];

/// At node 3, commander 0 has stored round 1, and a request waits.
fn stored_by_0() -> Hand {
    let mut run = Hand::new(4);
    run.deliver_one(0, 3, store(&run, 0, (1, FIRST), &Arc::default(), &BY_0));
    run.submit(3, b"waiting");
    run
}

/// Round 1 is stored again. Returns what comes of it.
fn stored_again(run: &mut Hand, author: u16, attempt: Attempt) -> Vec<Effect<Published>> {
    run.deliver_one(author, 3, store(run, author, (1, attempt), &Arc::default(), &BY_1))
}

#[test]
fn of_two_stores_of_the_last_round_the_later_attempt_s_holds() {
    let mut run = stored_by_0();
    let waiting = Message::Requests(run.bundle(3, b"waiting"));
    let mut effects = stored_again(&mut run, 1, TAKEN_OVER);
    effects.retain(|effect| is_send(effect) || matches!(effect, Effect::Mark(_)));
    assert_eq!(effects, [roles(2, 1, 2, &BY_1), send(1, waiting)], "1 is commander now");
    assert_eq!(*run.nodes[3].trust(), *table(&BY_1));
    let views = run.status(3).views.unwrap();
    assert_eq!((views.commander, views.communication_node), (ReplicaId(1), Some(ReplicaId(2))));
    // Who missed the round is told the one that holds, and only that.
    let holds = store(&run, 1, (1, TAKEN_OVER), &Arc::default(), &BY_1);
    assert_eq!(run.deliver_one(2, 3, Message::Fetch { next: Seq(1) }), [send(2, holds)]);
    // The first one does not come back.
    assert_eq!(stored_again(&mut run, 0, FIRST), []);
}

#[test]
fn a_second_store_of_one_attempt_changes_nothing() {
    let mut run = stored_by_0();
    assert_eq!(stored_again(&mut run, 0, FIRST), []);
    assert_eq!(*run.nodes[3].trust(), *table(&BY_0));
}

#[test]
fn a_later_attempt_s_store_changes_nothing_once_something_came_of_the_first() {
    let mut run = stored_by_0();
    let block = batch(&run, b"a");
    let header = statement_in(&run, 0, Step::Request, (2, FIRST), block.digest());
    run.deliver_one(0, 3, Message::Block { header, batch: Arc::clone(&block) });
    run.deliver_one(1, 3, Message::Step(statement_in(&run, 1, Step::Commit, (2, FIRST), block.digest())));
    assert_eq!(run.logs[3].last(), Some(&(2, block.digest())), "round 2 followed from it");
    assert_eq!(stored_again(&mut run, 1, TAKEN_OVER), []);
    assert_eq!(*run.nodes[3].trust(), *table(&BY_0));
    // Nor is the round before the last stored anew.
    let mut run = stored_by_0();
    run.deliver_one(0, 3, store(&run, 0, (2, FIRST), &Arc::default(), &BY_0));
    assert_eq!(stored_again(&mut run, 1, TAKEN_OVER), []);
    assert_eq!(*run.nodes[3].trust(), *table(&BY_0));
}

#[test]
fn a_commander_that_forgot_a_round_scores_nobody_for_it() {
    let mut run = Hand::new(4);
    // Its own STORE, which another node kept.
    run.deliver_one(2, 0, empty_store(&run, 1));
    run.submit(0, b"a");
    let block = Arc::new(kernel::Batch { bundles: vec![run.bundle(0, b"a")] });
    let effects = run.deliver_one(2, 0, reply_in(&run, 2, 2, block.digest()));
    let unchanged = store(&run, 0, (2, FIRST), &block, &[5_000; 4]);
    assert!(effects.contains(&send_all(unchanged)), "{effects:?}");
    // The round that it remembers is scored with the next: node 3 did not answer in it.
    run.submit(0, b"b");
    let block = kernel::Batch { bundles: vec![run.bundle(0, b"b")] };
    run.deliver_one(2, 0, reply_in(&run, 2, 3, block.digest()));
    assert_eq!(*run.nodes[0].trust(), *table(&[6_480, 6_480, 6_480, 3_720]));
}

#[test]
fn a_block_is_in_flight_from_its_request_to_its_execution() {
    let in_flight = |run: &Hand| run.status(3).slots_in_flight;
    assert_eq!(in_flight(&Hand::new(4)), 0);
    let mut run = Hand::new(4);
    run.step(3, Input::Start);
    assert_eq!(in_flight(&run), 0, "the round has begun, without a block");
    assert_eq!((in_flight(&with_block(b"a").0), in_flight(&executed(b"a").0)), (1, 0));
}

#[test]
fn a_corrupted_state_has_another_digest() {
    let (mut run, _) = executed(b"a");
    let before = run.nodes[3].state_digest();
    run.nodes[3].corrupt_state();
    assert_ne!(run.nodes[3].state_digest(), before);
}

#[test]
fn what_the_application_holds_can_be_read() {
    let replica = Replica::new(&pbft::Config::for_cluster(4), KvStore::default());
    let get = KvOperation::Get { key: "color".into() }.encode();
    let reading = replica.query(&get).expect("it only reads");
    assert_eq!((reading.as_of, KvOutput::decode(&reading.output)), (Seq(0), Some(KvOutput::Value(None))));
    let put = KvOperation::Put { key: "color".into(), value: "red".into() }.encode();
    assert_eq!(replica.query(&put), None, "it is to be ordered");
}
