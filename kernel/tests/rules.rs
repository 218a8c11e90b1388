//! The rules that everything else is built on, each with exact values.

mod support;

use kernel::keys::{Keyring, SecretKey, seeded};
use kernel::request::{MAX_BATCH_BYTES, MAX_BUNDLE_BYTES};
use kernel::{
    Admission, Application, Batch, Bundle, CachedChunks, Choose, Chunk, Claim, Cluster, ClusterId, Content,
    Context, Digest, Effect, Falsify as _, Mark, Micros, Operation, Output, Path, Reason, Rejection,
    ReplicaId, Reply, ReplyBundle, Request, SeededChoice, Seq, SessionId, Signature, Signer, Snapshot, To,
    View, Wire as _,
};
use std::sync::Arc;
use support::{Idle, Word, hashed, word};

fn cluster(seed: u64) -> Cluster {
    Cluster::new(ClusterId::derive("rules", seed), "pbft", 4)
}

fn keys() -> (Vec<Signer>, Keyring) {
    seeded(1, 4)
}

fn request(gateway: u16, bytes: usize) -> Request {
    let session = SessionId { gateway: ReplicaId(gateway), number: 7 };
    Request { session, counter: 1, operation: Operation::new(&vec![1; bytes]) }
}

// ---- Clusters and numbers ----

#[test]
fn f_plus_one_replicas_make_a_weak_quorum() {
    for (n, weak) in [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (31, 11)] {
        assert_eq!(Cluster::new(ClusterId([0; 16]), "pbft", n).weak_quorum(), weak, "n = {n}");
    }
}

#[test]
fn replicas_are_numbered_from_zero_and_stand_in_a_ring() {
    let cluster = cluster(1);
    assert_eq!([0, 2, 3, 4, 9].map(|id| cluster.contains(ReplicaId(id))), [true, true, true, false, false]);
    assert_eq!([0, 2, 3].map(|id| cluster.next(ReplicaId(id)).0), [1, 3, 0]);
    assert_eq!((Seq(3).next(), View(3).next(), Micros::from_millis(2)), (Seq(4), View(4), Micros(2_000)));
}

#[test]
fn digests_and_signatures_keep_their_bytes_in_both_encodings() {
    let (digest, signature) = (Digest::of(b"a"), Signature(std::array::from_fn(|i| i as u8)));
    let binary = postcard::to_stdvec(&(digest, signature)).unwrap();
    assert_eq!(binary.len(), 32 + 64);
    assert_eq!(postcard::from_bytes::<(Digest, Signature)>(&binary).unwrap(), (digest, signature));
    let text = serde_json::to_string(&(digest, signature)).unwrap();
    assert_eq!(serde_json::from_str::<(Digest, Signature)>(&text).unwrap(), (digest, signature));
    let flipped = Signature([1; 64]).corrupted();
    assert_eq!((flipped.0[0], &flipped.0[1..]), (0, &[1; 63][..]));
    assert_eq!(Signature([0; 64]).corrupted().0[0], 1);
}

// ---- Requests and replies ----

#[test]
fn a_bundle_is_not_empty_not_too_large_and_of_its_gateways_sessions_alone() {
    let (signers, _) = keys();
    let bundle = |requests| Bundle::sign(&cluster(1), &signers[0], requests);
    assert!(bundle(vec![request(0, 1), request(0, 1)]).is_well_formed(&cluster(1)));
    assert!(!bundle(vec![]).is_well_formed(&cluster(1)));
    assert!(!bundle(vec![request(0, 1), request(1, 1)]).is_well_formed(&cluster(1)));
    // 40 bytes for the request, 90 for the bundle.
    let room = MAX_BUNDLE_BYTES - 130;
    let full = Arc::new(bundle(vec![request(0, room)]));
    assert!(full.is_well_formed(&cluster(1)));
    assert!(!bundle(vec![request(0, room + 1)]).is_well_formed(&cluster(1)));
    assert!(!bundle(vec![request(0, room - 40), request(0, 1)]).is_well_formed(&cluster(1)));

    assert_eq!(MAX_BATCH_BYTES, 2 * MAX_BUNDLE_BYTES);
    let one = Arc::new(bundle(vec![request(0, 1), request(0, 2)]));
    let claims = |bundles: &[&Arc<Bundle>]| {
        let batch = Batch { bundles: bundles.iter().map(|bundle| Arc::clone(bundle)).collect() };
        batch.claims(&cluster(1)).map(|claims| claims.len())
    };
    assert_eq!([claims(&[]), claims(&[&full, &full]), claims(&[&full, &one])], [Some(0), Some(2), Some(2)]);
    assert_eq!(claims(&[&full, &full, &one]), None);
    let batch = Batch { bundles: vec![Arc::clone(&one), one] };
    assert_eq!((batch.requests(), batch.payload_bytes()), (4, 6));
}

#[test]
fn what_a_gateway_or_a_replica_signs_is_bound_to_all_of_it() {
    let (signers, keyring) = keys();
    let (here, elsewhere) = (cluster(1), cluster(2));
    let bundle = Bundle::sign(&here, &signers[0], vec![request(0, 1)]);
    let other = Bundle::sign(&here, &signers[0], vec![request(0, 2)]);
    let claim = |bundle: &Bundle, cluster| bundle.claim(cluster).expect("it is signed");
    assert!(keyring.verify(&claim(&bundle, &here)));
    assert!(!keyring.verify(&claim(&bundle, &elsewhere)));
    assert!(!keyring.verify(&Claim { signature: claim(&bundle, &here).signature, ..claim(&other, &here) }));

    let reply =
        |result: &[u8]| Reply { session: request(1, 0).session, counter: 1, result: Output::new(result) };
    let signed =
        ReplyBundle::sign(&here, &signers[2], View(3), Seq(4), ReplicaId(1), vec![], vec![reply(b"ok")]);
    assert!(keyring.verify(&signed.claim(&here)));
    assert!(!keyring.verify(&signed.claim(&elsewhere)));
    for tampered in [
        ReplyBundle { view: View(4), ..signed.clone() },
        ReplyBundle { seq: Seq(5), ..signed.clone() },
        ReplyBundle { replica: ReplicaId(3), ..signed.clone() },
        ReplyBundle { gateway: ReplicaId(0), ..signed.clone() },
        ReplyBundle { bundles: vec![Digest::ZERO], ..signed.clone() },
        ReplyBundle { replies: vec![reply(b"no")], ..signed.clone() },
    ] {
        assert!(!keyring.verify(&tampered.claim(&here)), "{tampered:?}");
    }
}

#[test]
fn short_text_is_shown_and_everything_else_counted() {
    let shown = |text: &str| format!("{:?}", Operation::new(text.as_bytes()));
    assert_eq!(shown("pay"), "\"pay\"");
    assert_eq!(shown(&"x".repeat(40)).len(), 42);
    assert_eq!(shown(&"x".repeat(41)), "41 bytes");
    assert_eq!(format!("{:?}", Operation::new(&[0xff, 0xfe])), "2 bytes");
}

// ---- Admission ----

fn corrupted(word: &Word) -> Word {
    Word { signature: word.signature.corrupted(), ..word.clone() }
}

#[test]
fn of_messages_that_came_together_each_is_judged_by_itself() {
    let (signers, keyring) = keys();
    let mut admission = Admission::new(cluster(1), keyring);
    let (one, two) = (word(&signers, 1, b"a", true), word(&signers, 2, b"bb", false));
    let refused = |from, seq, corrupt_vote, reason| {
        Err(Rejection { from: ReplicaId(from), seq: Some(Seq(seq)), corrupt_vote, reason })
    };
    let words =
        [(1, one.clone()), (2, corrupted(&two)), (1, corrupted(&one)), (2, two.clone()), (4, two.clone())];
    let came = words.map(|(from, word)| (ReplicaId(from), word)).to_vec();
    let admitted: Vec<_> =
        admission.admit_all(came).into_iter().map(|one| one.map(|word| word.into_inner())).collect();
    let bad = Reason::BadSignature;
    assert_eq!(
        admitted,
        [
            Ok(one),
            refused(2, 2, false, bad),
            refused(1, 1, true, bad),
            Ok(two),
            refused(4, 2, false, Reason::NotEntitled)
        ]
    );
    assert_eq!(admission.signatures_checked(), 4);
}

#[test]
fn a_signature_is_checked_once_and_nothing_else_is_taken_for_it() {
    let (signers, keyring) = keys();
    let mut admission = Admission::new(cluster(1), keyring);
    let one = word(&signers, 1, b"a", true);
    for _ in 0..2 {
        assert!(admission.admit(ReplicaId(1), one.clone()).is_ok());
        assert_eq!(admission.signatures_checked(), 1);
    }
    let lies = [
        corrupted(&one),
        Word { text: b"b".to_vec(), ..one.clone() },
        Word { author: ReplicaId(2), ..one.clone() },
    ];
    for (lie, checked) in lies.into_iter().zip(2..) {
        assert!(admission.admit(ReplicaId(1), lie.clone()).is_err(), "{lie:?}");
        assert_eq!(admission.signatures_checked(), checked);
    }
    // A single claim is checked whenever it is asked for.
    let claim = &one.claims(ReplicaId(1), &cluster(1)).unwrap()[0];
    for checked in [5, 6] {
        assert!(admission.check(claim));
        assert_eq!(admission.signatures_checked(), checked);
    }
    assert!(!admission.check(&Claim { signature: claim.signature.corrupted(), ..claim.clone() }));
}

#[test]
fn a_replica_vouches_for_its_own_votes_and_for_nothing_else() {
    let (signers, keyring) = keys();
    for (is_vote, checked) in [(true, 0), (false, 1)] {
        let mut admission = Admission::new(cluster(1), keyring.clone());
        let own = word(&signers, 3, b"mine", is_vote);
        admission.vouch(ReplicaId(3), &own);
        assert!(admission.admit(ReplicaId(0), own).is_ok());
        assert_eq!(admission.signatures_checked(), checked, "vote: {is_vote}");
    }
}

#[test]
fn a_client_hands_over_its_own_well_formed_and_signed_bundles() {
    let cluster = cluster(1).with_clients(2);
    let (signers, keyring) = seeded(1, 6);
    let mut admission = Admission::new(cluster.clone(), keyring);
    let bundle = |of: u16, requests: Vec<Request>| {
        Arc::new(Bundle::sign(&cluster, &signers[usize::from(of)], requests))
    };
    let (good, of_replica) = (bundle(4, vec![request(4, 1)]), bundle(2, vec![request(2, 1)]));
    let signed_by_another = Arc::new(Bundle::sign(&cluster, &signers[5], vec![request(4, 1)]));
    let given = [
        (4, Arc::clone(&good)),
        (5, Arc::clone(&good)),
        (2, of_replica),
        (4, bundle(4, vec![])),
        (5, signed_by_another),
    ];
    let given = given.map(|(from, bundle)| (ReplicaId(from), bundle));
    let (foreign, malformed) = (Err(Reason::NotEntitled), Err(Reason::MalformedRequests));
    assert_eq!(admission.admit_bundles(&given), [Ok(()), foreign, foreign, malformed, malformed]);
    assert_eq!(admission.signatures_checked(), 1);
    assert_eq!(admission.admit_bundles(&given[..1]), [Ok(())]);
    assert_eq!(admission.signatures_checked(), 1, "it is known");
    let mut forged = serde_json::to_value(&*good).unwrap();
    forged["requests"][0]["counter"] = 2.into();
    let forged: Bundle = serde_json::from_value(forged).unwrap();
    assert_eq!(admission.admit_bundles(&[(ReplicaId(4), Arc::new(forged))]), [Err(Reason::BadSignature)]);
}

#[test]
fn a_message_carries_nobody_s_requests_unless_it_says_so() {
    assert_eq!(word(&keys().0, 1, b"a", true).requests_of(), None);
}

// ---- Rules that are switched off ----

#[cfg(feature = "weakenings")]
#[test]
fn a_rule_is_switched_off_within_its_scenario_only() {
    use kernel::Weakening::{DigestNotCompared, QuorumOneLess};
    use kernel::weakened;
    use kernel::weakening::{assert_detected, weaken};
    let seen = || (weakened(QuorumOneLess), weakened(DigestNotCompared));
    assert_eq!(seen(), (false, false));
    assert_eq!(weaken(QuorumOneLess, seen), (true, false));
    assert_eq!(seen(), (false, false));
    assert_detected(&[(QuorumOneLess, || assert_eq!(kernel::cluster::quorum(4), 3))]);
    let not_missed = || assert_detected(&[(QuorumOneLess, || assert_eq!(kernel::cluster::max_faulty(4), 1))]);
    assert!(std::panic::catch_unwind(not_missed).is_err());
    assert_eq!(seen(), (false, false), "whatever becomes of the scenario");
}

// ---- What a replica does with its context ----

#[test]
fn a_replica_sends_nothing_to_itself_and_only_offences_about_a_slot_are_corrupt_votes() {
    let (signers, _) = keys();
    let (cluster, mut choose, mut effects) = (cluster(1), SeededChoice::new(1), Vec::new());
    let mut cx: Context<'_, Idle> = Context::new(&cluster, &signers[1], &mut choose, &mut effects);
    let message = word(&signers, 1, b"a", true);
    cx.send(ReplicaId(1), message.clone());
    cx.send(ReplicaId(2), message.clone());
    cx.send_all(message.clone());
    let cases = [
        (Some(Seq(5)), Reason::ConflictingVote, true),
        (Some(Seq(5)), Reason::WrongView, false),
        (None, Reason::ConflictingVote, false),
        (None, Reason::Duplicate, false),
    ];
    for (seq, reason, _) in cases {
        cx.reject(ReplicaId(3), seq, reason);
    }
    let sent = [To::One(ReplicaId(2)), To::All].map(|to| Effect::Send { to, message: message.clone() });
    let rejected = cases.map(|(seq, reason, corrupt_vote)| {
        Effect::Reject(Rejection { from: ReplicaId(3), seq, corrupt_vote, reason })
    });
    assert_eq!(effects, sent.into_iter().chain(rejected).collect::<Vec<_>>());
}

#[test]
fn timers_and_marks_are_effects_in_order() {
    let (signers, _) = keys();
    let (cluster, mut choose, mut effects) = (cluster(1), SeededChoice::new(1), Vec::new());
    let mut cx: Context<'_, Idle> = Context::new(&cluster, &signers[1], &mut choose, &mut effects);
    let mark = || Mark::Accepted { seq: Seq(1), digest: Digest::ZERO };
    cx.mark(mark());
    cx.set_timer(3, Micros(20));
    cx.cancel_timer(4);
    let set = Effect::SetTimer { timer: 3, after: Micros(20) };
    assert_eq!(effects, [Effect::Mark(mark()), set, Effect::CancelTimer(4)]);
}

// ---- What is shown, drawn and hashed ----

#[test]
fn secrets_are_not_shown() {
    let (signers, _) = keys();
    assert_eq!(format!("{:?}", SecretKey([7; 32])), "SecretKey(not shown)");
    assert_eq!(format!("{:?}", signers[2]), format!("Signer({})", ReplicaId(2)));
}

#[test]
fn kinds_and_paths_have_names() {
    let (signers, _) = keys();
    let message = word(&signers, 1, b"a", true);
    let reply = ReplyBundle::sign(&cluster(1), &signers[2], View(0), Seq(1), ReplicaId(1), vec![], vec![]);
    let contents = [Content::Message(&message), Content::Reply(&reply)];
    assert_eq!(contents.map(|content| content.kind()), ["word", "reply"]);
    assert_eq!([Path::Fast, Path::Direct].map(|path| path.to_string()), ["fast", "direct"]);
}

/// Always the same number.
struct Fixed(u64);

impl Choose for Fixed {
    fn below(&mut self, _: u64) -> u64 {
        self.0
    }
}

#[test]
fn a_chance_is_taken_in_steps_of_a_millionth() {
    for (number, probability, is_taken) in [
        (0, 0.0, false),
        (0, 0.000_001, true),
        (249_999, 0.25, true),
        (250_000, 0.25, false),
        (999_999, 1.0, true),
    ] {
        assert_eq!(Fixed(number).chance(probability), is_taken, "{number} of a million, {probability}");
    }
}

#[test]
fn a_falsified_reply_differs_in_its_results_alone_and_is_signed() {
    let (signers, keyring) = keys();
    let cluster = cluster(1);
    let reply =
        |result: &[u8]| Reply { session: request(1, 0).session, counter: 1, result: Output::new(result) };
    let sign = |replies| {
        ReplyBundle::sign(&cluster, &signers[2], View(3), Seq(4), ReplicaId(1), vec![Digest::ZERO], replies)
    };
    let falsified = sign(vec![reply(b"ok")]).falsified(&cluster, &signers[2]);
    assert_eq!(falsified, sign(vec![reply(b"falsified ok")]));
    assert!(keyring.verify(&falsified.claim(&cluster)));
}

#[test]
fn a_bundle_says_whose_it_is_and_a_shortened_batch_lacks_the_last_one() {
    let (signers, _) = keys();
    let bundle = |gateway: u16| {
        let requests = vec![request(gateway, 1)];
        Arc::new(Bundle::sign(&cluster(1), &signers[usize::from(gateway)], requests))
    };
    let (one, two) = (bundle(2), bundle(3));
    assert_eq!((one.gateway(), one.requests()), (ReplicaId(2), &[request(2, 1)][..]));
    let batch = Batch { bundles: vec![Arc::clone(&one), two] };
    let shortened = batch.shortened().unwrap();
    assert_eq!(shortened, Batch { bundles: vec![one] });
    assert_eq!(shortened.shortened(), Some(Batch::default()));
    assert_eq!(Batch::default().shortened(), None);
}

// ---- States in chunks ----

#[test]
fn chunks_and_snapshots_are_compared_by_what_they_hold() {
    let chunk = |text: &str| Chunk::new(text.as_bytes());
    let snapshot = |texts: &[&str]| Snapshot::new(texts.iter().map(|text| chunk(text)).collect());
    assert_eq!((hashed(&chunk("a")), snapshot(&["a", "b"])), (hashed(&chunk("a")), snapshot(&["a", "b"])));
    assert_eq!(hashed(&snapshot(&["a"])), hashed(&snapshot(&["a"])));
    assert_ne!(hashed(&chunk("a")), hashed(&chunk("b")));
    for other in [&["a"][..], &["b", "a"], &["ab"], &[]] {
        assert_ne!(snapshot(&["a", "b"]), snapshot(other));
        assert_ne!(hashed(&snapshot(&["a", "b"])), hashed(&snapshot(other)));
    }
}

#[test]
fn every_node_of_a_tree_is_named_with_the_chunks_below_it() {
    let snapshot = Snapshot::new((0..5).map(|number| Chunk::new(&[number])).collect());
    let nodes: Vec<_> = snapshot.nodes().map(|(digest, below)| (*digest, below)).collect();
    let below: Vec<_> = nodes.iter().map(|(_, below)| below.clone()).collect();
    assert_eq!(below, [0..1, 1..2, 2..3, 3..4, 4..5, 0..2, 2..4, 4..5, 0..4, 4..5, 0..5]);
    assert_eq!(&nodes[2].0, snapshot.chunks()[2].digest());
    // A proof names the same nodes.
    let proven = snapshot.prove(2).unwrap();
    let siblings: Vec<_> = proven.siblings().map(|(below, digest)| (*digest, below)).collect();
    assert_eq!(siblings, [nodes[3].clone(), nodes[5].clone(), nodes[9].clone()]);
}

/// A chunk and the siblings on its way cover all chunks, each once.
#[test]
fn the_siblings_of_every_chunk_cover_all_others() {
    for count in 1..20_u8 {
        let snapshot = Snapshot::new((0..count).map(|number| Chunk::new(&[number])).collect());
        for index in 0..u64::from(count) {
            let proven = snapshot.prove(index).unwrap();
            assert!(proven.verify(&snapshot.digest()).is_some(), "{index} of {count}");
            let beside = proven.siblings().flat_map(|(below, _)| below);
            let mut covered: Vec<u64> = beside.chain([index]).collect();
            covered.sort_unstable();
            assert_eq!(covered, (0..u64::from(count)).collect::<Vec<_>>(), "{index} of {count}");
        }
    }
}

#[test]
fn chunks_are_kept_until_the_part_that_they_are_of_changes() {
    let (one, two) = (vec![Chunk::new(b"1")], vec![Chunk::new(b"2")]);
    let mut cached = CachedChunks::default();
    assert_eq!(cached.get(), None);
    assert_eq!(cached.get_or_write(|| one.clone()), one);
    assert_eq!(cached.get_or_write(|| panic!("nothing has changed")), one);
    assert_eq!(cached.get(), Some(&one[..]));
    cached.clear();
    assert_eq!(cached.get(), None);
    cached.set(two.clone());
    assert_eq!(cached.get(), Some(&two[..]));
    assert_eq!(cached, CachedChunks::default(), "they make no difference between two states");
}

/// Its state is one chunk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept(Vec<u8>);

impl Application for Kept {
    fn execute(&mut self, operation: &Operation) -> Output {
        self.0 = operation.0.to_vec();
        Output::new(b"kept")
    }
    fn query(&self, _: &Operation) -> Option<Output> {
        None
    }
    fn snapshot(&mut self) -> Vec<Chunk> {
        vec![Chunk::new(&self.0)]
    }
    fn restore(chunks: &[Chunk]) -> Option<Kept> {
        Some(Kept(chunks.first()?.bytes().to_vec()))
    }
}

#[test]
fn an_application_that_does_not_say_otherwise_reads_a_whole_state() {
    let mut before = Kept(b"before".to_vec());
    before.execute(&Operation::new(b"after"));
    assert_eq!(Kept(vec![]).restore_over(&before.snapshot()), Some(Kept(b"after".to_vec())));
    assert_eq!(before.restore_over(&[]), None);
}
