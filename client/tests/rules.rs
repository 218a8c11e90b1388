//! What clients and gateways rest on, with exact values.

use client::link::{
    FrameReader, FromNode, Introduction, MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES, encode, feed,
};
use client::{Evidence, Limits, NotProven, Sessions, Submissions, first_session};
use kernel::keys::seeded;
use kernel::{
    Bundle, Cluster, ClusterId, MAX_BUNDLE_BYTES, Operation, Output, ReplicaId, Reply, ReplyBundle, Request,
    Seq, SessionId, Signer, View,
};
use std::sync::Arc;
use std::time::Duration;

fn cluster() -> Cluster {
    Cluster::new(ClusterId::derive("rules", 1), "pbft", 4)
}

fn request(number: u64, counter: u64, bytes: usize) -> Request {
    let session = SessionId { gateway: ReplicaId(0), number };
    Request { session, counter, operation: Operation::new(&vec![b'x'; bytes]) }
}

// ---- Links ----

#[test]
fn a_frame_holds_what_it_must() {
    assert_eq!((MAX_CLIENT_FRAME_BYTES, MAX_NODE_FRAME_BYTES), (MAX_BUNDLE_BYTES + 1024, 64 << 20));
}

#[test]
fn an_introduction_is_bound_to_all_that_it_is_about() {
    let (signers, keyring) = seeded(1, 5);
    let one =
        Introduction { cluster: cluster().id, node: ReplicaId(2), client: ReplicaId(4), nonce: [7; 32] };
    let signature = one.sign(&signers[4]);
    assert!(keyring.verify(&one.claim(signature)));
    for other in [
        Introduction { cluster: ClusterId([0; 16]), ..one },
        Introduction { node: ReplicaId(3), ..one },
        Introduction { client: ReplicaId(3), ..one },
        Introduction { nonce: [8; 32], ..one },
    ] {
        assert!(!keyring.verify(&other.claim(signature)), "{other:?}");
    }
}

#[test]
fn a_reader_counts_what_belongs_to_no_whole_frame() {
    let frame = encode(&FromNode::<ReplyBundle>::Ended("why".into()), 100).unwrap();
    let mut reader = FrameReader::new(100);
    reader.feed(&[&frame[..], &frame[..3]].concat());
    assert_eq!(reader.pending(), frame.len() + 3);
    assert!(reader.next_frame().unwrap().is_some());
    assert_eq!(reader.pending(), 3);
    assert_eq!(reader.next_frame(), Ok(None));
}

/// What was read makes room, and a buffer that was large once is given back.
#[test]
fn a_buffer_drops_what_was_read_of_it() {
    let (mut buffer, mut start) = (Vec::new(), 0);
    feed(&mut buffer, &mut start, b"abc");
    start = 2;
    feed(&mut buffer, &mut start, b"de");
    assert_eq!((buffer.as_slice(), start), (&b"cde"[..], 0));

    let large = vec![1; 3 << 20];
    feed(&mut buffer, &mut start, &large);
    feed(&mut buffer, &mut start, b"f");
    assert!(buffer.capacity() > 1 << 20, "nothing was read");
    start = buffer.len();
    feed(&mut buffer, &mut start, b"g");
    assert_eq!(buffer, b"g");
    assert!((1..=1 << 20).contains(&buffer.capacity()), "{}", buffer.capacity());

    // One of exactly the size that is kept is not moved.
    let mut kept = Vec::with_capacity(1 << 20);
    let mut start = 0;
    feed(&mut kept, &mut start, b"xy");
    let place = kept.as_ptr();
    start = 2;
    feed(&mut kept, &mut start, b"z");
    assert_eq!((kept.as_ptr(), kept.capacity()), (place, 1 << 20));
}

// ---- Bundles ----

#[test]
fn a_bundle_is_full_with_its_bytes_and_not_before() {
    const MOST: usize = 8 << 20;
    let taken = |sizes: &[usize]| {
        let mut submissions = Submissions::default();
        sizes.iter().for_each(|bytes| submissions.push(request(1, 1, *bytes)));
        let mut bundles = submissions.take(2);
        bundles.extend(submissions.take(2));
        bundles.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(taken(&[MOST - 1, 1]), [2]);
    assert_eq!(taken(&[MOST - 1, 2]), [1, 1]);
}

#[test]
fn what_a_host_has_lost_is_forgotten() {
    let mut submissions = Submissions::default();
    submissions.push(request(1, 1, 1));
    submissions.clear();
    assert!(submissions.is_empty());
    assert_eq!((submissions.take(10).len(), submissions.take(10).len()), (0, 0));
}

// ---- Sessions ----

fn sessions() -> Sessions<(), Arc<ReplyBundle>> {
    Sessions::new(ReplicaId(0), 2, 100, 300, Limits::NODE)
}

fn reply(signer: &Signer, request: &Request, bundles: Vec<kernel::Digest>) -> Arc<ReplyBundle> {
    let reply = Reply { session: request.session, counter: request.counter, result: Output::new(b"done") };
    Arc::new(ReplyBundle::sign(&cluster(), signer, View(0), Seq(1), ReplicaId(0), bundles, vec![reply]))
}

#[test]
fn an_accepted_result_proves_itself_with_the_bundle_that_it_was_in() {
    let (signers, keyring) = seeded(1, 4);
    let mut sessions = sessions();
    let request = sessions.open(Operation::new(b"put"), Some(1_000), ()).unwrap();
    // Another request of the same session, which is over, does not take its place.
    let before = Request { counter: 0, ..request.clone() };
    let bundle = Arc::new(Bundle::sign(&cluster(), &signers[0], vec![request.clone()]));
    let other = Arc::new(Bundle::sign(&cluster(), &signers[0], vec![before]));
    sessions.handed_over(&bundle, 0, 0);
    sessions.handed_over(&other, 0, 0);
    let mut accepted = Vec::new();
    for signer in &signers[1..3] {
        let reply = reply(signer, &request, vec![bundle.digest()]);
        accepted.extend(sessions.add(&reply, Arc::clone(&reply)));
    }
    let proof = accepted[0].proof(|reply| Some(reply)).expect("it was in time");
    assert_eq!(proof.requests, bundle);
    let proven = proof.check(&cluster(), &keyring, 2).unwrap();
    assert_eq!(
        (proven.operation, proven.replicas),
        (Operation::new(b"put"), vec![ReplicaId(1), ReplicaId(2)])
    );
    assert_eq!(accepted[0].proof(|_| None).map(|proof| proof.replies.len()), Some(0));
}

#[test]
fn bundles_are_due_again_after_the_wait_that_holds_when_they_are_handed_over() {
    let (signers, _) = seeded(1, 4);
    let due = |wait: Option<u64>| {
        let mut sessions = sessions();
        wait.into_iter().for_each(|wait| sessions.set_remind_after(wait));
        let request = sessions.open(Operation::new(b"put"), Some(1_000_000), ()).unwrap();
        let bundle = Arc::new(Bundle::sign(&cluster(), &signers[0], vec![request]));
        sessions.handed_over(&bundle, 10, 0);
        sessions.next_deadline()
    };
    assert_eq!((due(None), due(Some(700))), (Some(310), Some(710)));
}

#[test]
fn session_numbers_begin_above_all_that_can_have_been_used() {
    assert_eq!(first_session(Duration::ZERO), 0);
    assert_eq!(first_session(Duration::from_micros(1)), 4_096);
    assert_eq!(first_session(Duration::from_secs(3)), 3_000_000 * 4_096);
}

// ---- Evidence ----

#[test]
fn evidence_says_what_is_wrong_with_each_reply() {
    let (signers, keyring) = seeded(1, 4);
    let request = request(8, 3, 4);
    let requests = Arc::new(Bundle::sign(&cluster(), &signers[0], vec![request.clone()]));
    let check = |replies: Vec<Arc<ReplyBundle>>| {
        let evidence = Evidence { session: request.session, counter: 3, requests: requests.clone(), replies };
        evidence.check(&cluster(), &keyring, 2).unwrap_err()
    };
    let good = reply(&signers[1], &request, vec![requests.digest()]);
    assert_eq!(check(vec![good.clone()]).to_string(), "1 of 2 replicas have signed the same result");
    // To another request of the session, and to another session with this counter.
    for other in [
        Request { counter: 4, ..request.clone() },
        Request { session: SessionId { number: 9, ..request.session }, ..request.clone() },
    ] {
        let bad = reply(&signers[2], &other, vec![requests.digest()]);
        let refused = vec!["the reply of 2 does not hold this request's result".to_owned()];
        let expected = NotProven::TooFew { found: 1, needed: 2, refused };
        assert_eq!(check(vec![good.clone(), bad]), expected);
        assert_eq!(
            expected.to_string(),
            "1 of 2 replicas have signed the same result: the reply of 2 does not hold this request's result"
        );
    }
}
