//! What each message is called, and which are let in.

use crate::by_hand::Hand;
use crate::expected::*;
use ccro::paper::{Message, Step};
use kernel::{
    Admission, Batch, Bundle, Class, Cluster, Digest, Falsify as _, Reason, ReplicaId, ReplyBundle, Seq,
    View, Wire as _,
};
use std::sync::Arc;

/// A STATE of node 0's.
fn state(run: &Hand, trust: &[u16]) -> Message {
    Message::state(&run.cluster, &run.signers[0], Seq(1), table(trust), b"state".to_vec())
}

fn judge(run: &Hand, message: Message) -> Result<(), Reason> {
    let mut admission = Admission::new(run.cluster.clone(), run.keyring.clone());
    admission.admit(ReplicaId(2), message).map(|_| ()).map_err(|refused| refused.reason)
}

#[test]
fn each_message_has_a_kind_a_class_and_as_a_step_a_round() {
    let run = Hand::new(4);
    let block = batch(&run, b"a");
    let d = block.digest();
    let messages = [
        (Message::Requests(run.bundle(2, b"a")), "request", Class::Request, None),
        (request(&run, 0, FIRST, &block), "block-request", Class::Proposal, Some(Seq(1))),
        (store(&run, 0, (1, FIRST), &block, &[5_000; 4]), "store", Class::Upkeep, Some(Seq(1))),
        (step(&run, 1, Step::PrePrepare, FIRST, d), "pre-prepare", Class::Certificate, Some(Seq(1))),
        (step(&run, 2, Step::Prepare, FIRST, d), "prepare", Class::Vote, Some(Seq(1))),
        (step(&run, 1, Step::Commit, FIRST, d), "commit", Class::Certificate, Some(Seq(1))),
        (reply_in(&run, 2, 1, d), "round-reply", Class::Vote, Some(Seq(1))),
        (Message::Fetch { next: Seq(1) }, "fetch", Class::Upkeep, None),
        (state(&run, &[5_000; 4]), "state", Class::Upkeep, None),
    ];
    for (message, kind, class, seq) in &messages {
        assert_eq!((message.kind(), message.class(), message.seq()), (*kind, *class, *seq), "{message:?}");
        assert_eq!(judge(&run, message.clone()), Ok(()), "{message:?}");
    }
    assert_eq!(messages.map(|(_, kind, ..)| kind), Message::KINDS);
}

#[test]
fn requests_are_let_in_of_those_who_may_submit_them_and_not_empty() {
    let mut run = Hand::with_clients(4, 1);
    let of_client = Message::Requests(run.bundle(4, b"a"));
    let empty = Bundle::sign(&run.cluster, &run.signers[2], vec![]);
    assert_eq!(judge(&run, of_client.clone()), Ok(()));
    assert_eq!(judge(&run, Message::Requests(Arc::new(empty))), Err(Reason::MalformedRequests));
    run.cluster = Cluster::new(run.cluster.id, "ccro-paper", 4);
    assert_eq!(judge(&run, of_client), Err(Reason::MalformedRequests), "it is no client here");
}

#[test]
fn a_reply_holds_its_author_s_results_for_those_who_may_ask() {
    let run = Hand::new(4);
    let d = Digest::of(b"block");
    let results = |author: usize, gateway| {
        let signer = &run.signers[author];
        ReplyBundle::sign(&run.cluster, signer, View(0), Seq(1), ReplicaId(gateway), vec![], vec![])
    };
    let reply = |step, bundle| {
        let header = statement(&run, 2, step, FIRST, d);
        judge(&run, Message::Reply { header, bundles: vec![bundle] })
    };
    assert_eq!(reply(Step::Reply, results(2, 3)), Ok(()));
    assert_eq!(reply(Step::Reply, results(3, 3)), Err(Reason::NotEntitled), "another's results");
    assert_eq!(reply(Step::Reply, results(2, 4)), Err(Reason::NotEntitled), "for nobody");
    assert_eq!(reply(Step::Prepare, results(2, 3)), Err(Reason::NotEntitled), "another step");
}

#[test]
fn a_state_is_let_in_with_a_sound_table_and_its_own_digest() {
    let run = Hand::new(4);
    assert_eq!(judge(&run, state(&run, &[5_000; 4])), Ok(()));
    let malformed = Err(Reason::MalformedCertificate);
    assert_eq!(judge(&run, state(&run, &[5_000, 5_000, 5_000, 20_000])), malformed, "an absurd table");
    let Message::State { header, trust, state } = state(&run, &[5_000; 4]) else { panic!() };
    let other = Message::State { header: header.clone(), trust: trust.clone(), state: b"other".to_vec() };
    assert_eq!(judge(&run, other), malformed, "another state");
    let mut no_state = header;
    no_state.step = Step::Commit;
    assert_eq!(judge(&run, Message::State { header: no_state, trust, state }), malformed, "another step");
}

#[test]
fn a_block_is_let_in_with_the_step_the_digest_and_the_signatures_that_belong_to_it() {
    let run = Hand::new(4);
    let block = batch(&run, b"a");
    let with = |step, digest, batch: &Arc<Batch>| {
        let header = statement(&run, 0, step, FIRST, digest);
        judge(&run, Message::Block { header, batch: Arc::clone(batch) })
    };
    assert_eq!(with(Step::Request, block.digest(), &block), Ok(()));
    assert_eq!(with(Step::Store, block.digest(), &block), Err(Reason::NotEntitled));
    assert_eq!(with(Step::Request, Digest::of(b"other"), &block), Err(Reason::DigestMismatch));
    // Another cluster's signature.
    let elsewhere = Cluster::new(kernel::ClusterId::derive("elsewhere", 1), "ccro-paper", 4);
    let bundle = Bundle::sign(&elsewhere, &run.signers[2], run.bundle(2, b"a").requests().to_vec());
    let forged = Arc::new(Batch { bundles: vec![Arc::new(bundle)] });
    assert_eq!(with(Step::Request, forged.digest(), &forged), Err(Reason::BadSignature));
}
