//! What a faulty node can make of its own messages and of those of others.

use crate::by_hand::Hand;
use crate::expected::*;
use ccro::paper::{Message, Step};
use kernel::{Batch, Choose, Digest, Falsify as _, Forgery, ReplicaId, Seq, Subject, View};
use std::sync::Arc;

#[test]
fn a_node_signs_its_own_step_about_another_block_and_cannot_sign_another_s() {
    let run = Hand::new(4);
    let (d, other) = (Digest::of(b"block"), Digest::of(b"other"));
    let vote = statement(&run, 2, Step::Prepare, SECOND, d);
    let by = |signer: usize| {
        Message::Step(vote.clone()).with_value(other, &[], &run.cluster, &run.signers[signer]).unwrap()
    };
    assert_eq!(by(2), step(&run, 2, Step::Prepare, SECOND, other));
    // The signature is still that of the vote before.
    let mut altered = vote.clone();
    altered.digest = other;
    assert_eq!(by(3), Message::Step(altered));
    let lie = Message::Step(vote).falsified(&run.cluster, &run.signers[2]);
    assert_eq!(lie, step(&run, 2, Step::Prepare, SECOND, Digest::of(&d.0)));
}

#[test]
fn a_block_of_another_value_is_taken_from_what_was_received() {
    let run = Hand::new(4);
    let (a, b, c) = (batch(&run, b"a"), batch(&run, b"b"), batch(&run, b"c"));
    let trust = [5_000; 4];
    // One block came as a REQUEST, another as a STORE.
    let received = [request(&run, 0, FIRST, &b), store(&run, 0, (1, FIRST), &c, &trust)];
    let with =
        |message: &Message, digest| message.with_value(digest, &received, &run.cluster, &run.signers[0]);
    let (handed_out, stored) = (request(&run, 0, SECOND, &a), store(&run, 0, (1, SECOND), &a, &trust));
    for other in [&b, &c] {
        let expected = request(&run, 0, SECOND, other);
        assert_eq!(with(&handed_out, other.digest()), Some(expected));
        let expected = store(&run, 0, (1, SECOND), other, &trust);
        assert_eq!(with(&stored, other.digest()), Some(expected));
    }
    assert_eq!(with(&handed_out, a.digest()), None, "nobody sent this block");
    assert_eq!(with(&stored, a.digest()), None);
}

#[test]
fn a_forged_step_has_a_bad_signature_or_another_s_name() {
    let run = Hand::new(4);
    let vote = statement(&run, 3, Step::Prepare, FIRST, Digest::of(b"block"));
    let forged = |forgery| Message::Step(vote.clone()).forged(forgery, &run.cluster, &run.signers[3]);
    let mut unsigned = vote.clone();
    unsigned.signature = vote.signature.corrupted();
    assert_eq!(forged(Forgery::Signature), Some(Message::Step(unsigned)));
    let mut renamed = vote.clone();
    renamed.author = ReplicaId(0);
    assert_eq!(forged(Forgery::Name), Some(Message::Step(renamed)));
    // There are no certificates in this flow.
    for forgery in [Forgery::Short, Forgery::Repeated, Forgery::Mixed] {
        assert_eq!(forged(forgery), None);
    }
}

#[test]
fn only_a_hand_over_of_requests_names_their_gateway() {
    let run = Hand::new(4);
    assert_eq!(Message::Requests(run.bundle(2, b"a")).requests_of(), Some(ReplicaId(2)));
    assert_eq!(request(&run, 0, FIRST, &Arc::default()).requests_of(), None);
}

/// The highest number that may be chosen.
struct Highest;

impl Choose for Highest {
    fn below(&mut self, bound: u64) -> u64 {
        bound - 1
    }
}

#[test]
fn noise_is_a_step_of_one_of_the_next_600_rounds() {
    let run = Hand::new(4);
    let noise = Message::noise(Seq(10), &mut Highest, &run.cluster, &run.signers[2]);
    let digest = Digest::of(&610u64.to_le_bytes());
    assert_eq!(noise, Message::Step(statement_in(&run, 2, Step::Commit, (610, FIRST), digest)));
}

#[test]
fn a_commander_can_hand_out_a_shorter_block_instead() {
    let run = Hand::new(4);
    let (first, second) = (run.bundle(2, b"a"), run.bundle(3, b"b"));
    let block = Arc::new(Batch { bundles: vec![Arc::clone(&first), second] });
    let shorter = Arc::new(Batch { bundles: vec![first] });
    let alternative = |message: &Message| message.alternative(&run.cluster, &run.signers[0]);
    let handed_out = request(&run, 0, SECOND, &block);
    assert_eq!(alternative(&handed_out), Some(request(&run, 0, SECOND, &shorter)));
    assert_eq!(alternative(&request(&run, 0, FIRST, &Arc::default())), None, "there is no shorter one");
    assert_eq!(alternative(&step(&run, 0, Step::Prepare, FIRST, block.digest())), None);
}

#[test]
fn a_message_is_about_a_block_in_an_attempt_of_a_round() {
    let run = Hand::new(4);
    let block = batch(&run, b"a");
    let digest = block.digest();
    for message in [step(&run, 1, Step::Commit, TAKEN_OVER, digest), request(&run, 1, TAKEN_OVER, &block)] {
        let expected = Subject { view: Some(View(1)), seq: Seq(1), digest };
        assert_eq!(message.subject(), Some(expected), "one takeover: view 1");
    }
    assert_eq!(Message::Fetch { next: Seq(1) }.subject(), None);
}
