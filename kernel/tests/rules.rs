//! The rules that everything else is built on, each with exact values.

use kernel::keys::{Keyring, seeded};
use kernel::request::{MAX_BATCH_BYTES, MAX_BUNDLE_BYTES};
use kernel::{
    Admission, Batch, Bundle, Choose, Claim, Class, Cluster, ClusterId, Context, Digest, Effect, Falsify,
    Forgery, Input, Micros, Operation, Output, Protocol, Reason, Rejection, ReplicaId, Reply, ReplyBundle,
    Request, SeededChoice, Seq, SessionId, Signature, Signer, Status, Subject, To, View, Wire,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    assert!(bundle(vec![request(0, 1), request(0, 1)]).is_well_formed());
    assert!(!bundle(vec![]).is_well_formed());
    assert!(!bundle(vec![request(0, 1), request(1, 1)]).is_well_formed());
    // 40 bytes for the request, 90 for the bundle.
    let room = MAX_BUNDLE_BYTES - 130;
    let full = Arc::new(bundle(vec![request(0, room)]));
    assert!(full.is_well_formed());
    assert!(!bundle(vec![request(0, room + 1)]).is_well_formed());
    assert!(!bundle(vec![request(0, room - 40), request(0, 1)]).is_well_formed());

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
    assert!(keyring.verify(&bundle.claim(&here)));
    assert!(!keyring.verify(&bundle.claim(&elsewhere)));
    assert!(!keyring.verify(&Claim { signature: bundle.claim(&here).signature, ..other.claim(&here) }));

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

/// Something signed, as a vote or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Word {
    is_vote: bool,
    text: Vec<u8>,
    author: ReplicaId,
    signature: Signature,
}

impl Wire for Word {
    fn kind(&self) -> &'static str {
        "word"
    }
    fn class(&self) -> Class {
        if self.is_vote { Class::Vote } else { Class::Upkeep }
    }
    fn seq(&self) -> Option<Seq> {
        Some(Seq(self.text.len() as u64))
    }
    fn claims(&self, _: ReplicaId, _: &Cluster) -> Result<Vec<Claim>, Reason> {
        Ok(vec![Claim { author: self.author, bytes: self.text.clone(), signature: self.signature }])
    }
}

/// No adversary speaks it.
impl Falsify for Word {
    const KINDS: &'static [&'static str] = &["word"];

    fn falsified(&self, _: &Cluster, _: &Signer) -> Word {
        self.clone()
    }
    fn alternative(&self, _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn subject(&self) -> Option<Subject> {
        None
    }
    fn with_value(&self, _: Digest, _: &[Word], _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn forged(&self, _: Forgery, _: &Cluster, _: &Signer) -> Option<Word> {
        None
    }
    fn needless_view_changes(_: View, _: &Cluster, _: &Signer) -> Vec<Word> {
        vec![]
    }
    fn noise(_: Seq, _: &mut dyn Choose, _: &Cluster, signer: &Signer) -> Word {
        word(std::slice::from_ref(signer), 0, b"noise", false)
    }
}

fn word(signers: &[Signer], author: u16, text: &[u8], is_vote: bool) -> Word {
    let signature = signers[usize::from(author)].sign(text);
    Word { is_vote, text: text.to_vec(), author: ReplicaId(author), signature }
}

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

// ---- What a replica does with its context ----

/// Does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Idle;

impl Protocol for Idle {
    type Message = Word;
    type Timer = u8;
    fn step(&mut self, _: &mut Context<'_, Idle>, _: Input<Idle>) {}
    fn status(&self, _: &Cluster) -> Status {
        Status::default()
    }
}

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
