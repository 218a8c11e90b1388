//! Wire bytes are pinned: a change of the encoding is a change of the protocol
//! and must be meant.

use kernel::keys::seeded;
use kernel::{
    Batch, Bundle, Chunk, Class, Cluster, ClusterId, Digest, Falsify as _, Operation, Phase, ReplicaId,
    Request, Seq, SessionId, Signature, Snapshot, View, WaitsFor, Wire as _,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, StableCheckpoint,
    ViewChange, Vote,
};
use proptest::prelude::*;
use std::sync::Arc;

const SIGNATURE: Signature = Signature([9; 64]);

fn examples() -> Vec<(&'static str, Message)> {
    let cluster = Cluster::new(ClusterId([7; 16]), "ccro", 4);
    let (signers, _) = seeded(1, 4);
    let request = Request {
        session: SessionId { gateway: ReplicaId(2), number: 300 },
        counter: 5,
        operation: Operation::new(b"pay"),
    };
    let bundle = Arc::new(Bundle::sign(&cluster, &signers[2], vec![request]));
    let batch = Arc::new(Batch { bundles: vec![Arc::clone(&bundle)] });
    let digest = batch.digest();
    let node = Some(ReplicaId(1));
    let (header, proposal) =
        Message::propose(&cluster, &signers[0], View(0), Seq(9), Arc::clone(&batch), node);
    let prepare = Vote::sign(&cluster, &signers[1], Phase::Prepare, (View(0), Seq(9), digest), None);
    let certificate = Certificate {
        kind: CertificateKind::Prepared,
        view: View(0),
        seq: Seq(9),
        digest,
        communication_node: node,
        votes: [(ReplicaId(0), header.signature), (ReplicaId(1), prepare.signature)].into(),
        sum: None,
    };
    let certificate = Arc::new(certificate);
    let stable =
        StableCheckpoint { seq: Seq(8), state: Digest::ZERO, votes: vec![(ReplicaId(0), SIGNATURE)] };
    let (stable, prepared) = (Some(Arc::new(stable)), vec![Arc::clone(&certificate)]);
    let voted = vec![prepare.clone()];
    let change = Arc::new(ViewChange::sign(&cluster, &signers[1], View(1), stable.clone(), prepared, voted));
    let changes = vec![Arc::clone(&change)];
    let again = Vote::sign(&cluster, &signers[1], Phase::PrePrepare, (View(1), Seq(9), digest), node);
    let new_view = NewView::sign(&cluster, &signers[1], View(1), changes.clone(), vec![again]);
    let asked = (77, ReplicaId(3));
    let recollection = Recollection::sign(&cluster, &signers[2], asked, stable.clone(), changes);
    let state = Snapshot::new(vec![Chunk::new(b"one"), Chunk::new(b"part"), Chunk::new(b"three")]);
    let part = state.prove(1).expect("there are three");
    vec![
        ("stable-checkpoint", Message::Stable(stable.expect("made above"))),
        ("progress", Message::Progress { view: View(1), executed: Seq(9) }),
        ("view-change", Message::ViewChange(change)),
        ("new-view", Message::NewView(Arc::new(new_view))),
        ("conflict", Message::Conflict { first: Box::new(header), second: Box::new(prepare.clone()) }),
        ("fetch-state", Message::FetchState { seq: Seq(8), index: 300 }),
        ("state", Message::State { seq: Seq(8), part }),
        ("recover", Message::Recover { nonce: 77 }),
        ("recollection", Message::Recollection(Arc::new(recollection))),
        ("requests", Message::Requests(bundle)),
        ("pre-prepare", proposal),
        ("prepare", Message::Vote(prepare.clone())),
        ("certificate", Message::Certificate(certificate)),
        ("stuck", Message::Stuck { seq: Seq(9), complaint: true, votes: vec![prepare] }),
        (
            "checkpoint",
            Message::Checkpoint(CheckpointVote::sign(&cluster, &signers[3], Seq(128), Digest::ZERO)),
        ),
        ("fetch", Message::Fetch { seq: Seq(9), digest }),
        ("fetched", Message::Fetched { seq: Seq(9), batch: Arc::clone(&batch) }),
        ("tagged-proposal", Message::TaggedProposal { view: View(1), seq: Seq(9), batch }),
        ("tagged-vote", Message::TaggedVote { phase: Phase::Prepare, view: View(1), seq: Seq(9), digest }),
        ("decided", Message::Decided { seq: Seq(9), digest }),
        ("mistagged", Message::Mistagged { seq: Seq(9) }),
    ]
}

#[test]
fn bytes_are_as_pinned() {
    let mut all = String::new();
    for (name, message) in examples() {
        let bytes = postcard::to_stdvec(&message).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        all.push_str(&format!("{name} {hex}\n"));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages.hex");
    if std::env::var_os("PIN_WIRE_BYTES").is_some() {
        std::fs::write(path, &all).unwrap();
    }
    let pinned = std::fs::read_to_string(path).expect("golden file; write it with PIN_WIRE_BYTES=1");
    assert_eq!(all, pinned, "the encoding changed; if that is meant, run with PIN_WIRE_BYTES=1");
}

#[test]
fn binary_and_json_read_back_as_written() {
    for (name, message) in examples() {
        let binary: Message = postcard::from_bytes(&postcard::to_stdvec(&message).unwrap()).unwrap();
        assert_eq!(binary, message, "{name}");
        let json: Message = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
        assert_eq!(json, message, "{name}");
    }
}

#[test]
fn a_truncated_message_is_an_error_at_every_length() {
    for (name, message) in examples() {
        let bytes = postcard::to_stdvec(&message).unwrap();
        for length in 0..bytes.len() {
            let cut = postcard::from_bytes::<Message>(&bytes[..length]);
            assert!(cut.is_err(), "{name} cut to {length} of {} bytes", bytes.len());
        }
    }
}

/// The kind, the class and the slot of each example.
const EXAMPLES_ARE: [(&str, Class, Option<Seq>); 21] = [
    ("stable-checkpoint", Class::Upkeep, None),
    ("progress", Class::Upkeep, None),
    ("view-change", Class::ViewChange, None),
    ("new-view", Class::ViewChange, None),
    ("conflict", Class::ViewChange, None),
    ("fetch-state", Class::Upkeep, None),
    ("state", Class::Upkeep, None),
    ("recover", Class::Upkeep, None),
    ("recollection", Class::Upkeep, None),
    ("request", Class::Request, None),
    ("pre-prepare", Class::Proposal, Some(Seq(9))),
    ("prepare", Class::Vote, Some(Seq(9))),
    ("prepared-certificate", Class::Certificate, Some(Seq(9))),
    ("stuck", Class::Vote, Some(Seq(9))),
    ("checkpoint", Class::Checkpoint, None),
    ("fetch", Class::Upkeep, Some(Seq(9))),
    ("fetched", Class::Upkeep, Some(Seq(9))),
    ("pre-prepare", Class::Proposal, Some(Seq(9))),
    ("prepare", Class::Vote, Some(Seq(9))),
    ("decided", Class::Certificate, Some(Seq(9))),
    ("mistagged", Class::Vote, Some(Seq(9))),
];

#[test]
fn a_message_says_its_kind_its_part_and_the_slot_that_it_is_about() {
    for ((name, message), is) in examples().into_iter().zip(EXAMPLES_ARE) {
        assert_eq!((message.kind(), message.class(), message.seq()), is, "{name}");
    }
}

#[test]
fn certificates_and_requests_do_not_wait_for_the_journal_nor_do_proposals_and_prepares_of_pbft() {
    let votes = commits_and_final_certificates().into_iter().map(|message| ("another", message));
    for (name, message) in examples().into_iter().chain(votes) {
        let (of_pbft, of_others) = match &message {
            Message::Requests(_) => (WaitsFor::Nothing, WaitsFor::Nothing),
            Message::Certificate(_) => (WaitsFor::EarlierPromises, WaitsFor::EarlierPromises),
            Message::PrePrepare { .. } | Message::Vote(Vote { phase: Phase::Prepare, .. }) => {
                (WaitsFor::ViewAndWatermarks, WaitsFor::OwnStep)
            }
            _ => (WaitsFor::OwnStep, WaitsFor::OwnStep),
        };
        for protocol in ["pbft", "pbft-mac", "pbft-mac-requests", "ccro", "ccro-aggregate"] {
            let cluster = Cluster::new(ClusterId::derive("waits", 1), protocol, 4);
            let expected = if protocol == "pbft" { of_pbft } else { of_others };
            assert_eq!(message.waits_for(&cluster), expected, "{name} of {protocol}");
        }
    }
}

/// The other kinds of vote and certificate, made of the examples.
fn commits_and_final_certificates() -> Vec<Message> {
    let others = |(_, message)| match message {
        Message::Vote(vote) => vec![Message::Vote(Vote { phase: Phase::Commit, ..vote })],
        Message::Certificate(prepared) => {
            let of = |kind| Certificate { kind, ..Certificate::clone(&prepared) };
            let kinds = [CertificateKind::Fast, CertificateKind::Committed];
            kinds.map(|kind| Message::Certificate(Arc::new(of(kind)))).to_vec()
        }
        _ => vec![],
    };
    examples().into_iter().flat_map(others).collect()
}

#[test]
fn the_list_of_kinds_is_complete() {
    let others = commits_and_final_certificates();
    let kinds: Vec<&str> = others.iter().map(Message::kind).collect();
    assert_eq!(kinds, ["commit", "fast-certificate", "committed-certificate"]);
    let mut all: Vec<&str> = EXAMPLES_ARE.iter().map(|(kind, ..)| *kind).chain(kinds).collect();
    let mut listed = Message::KINDS.to_vec();
    all.sort_unstable();
    all.dedup();
    listed.sort_unstable();
    assert_eq!(listed, all);
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = postcard::from_bytes::<Message>(&bytes);
    }

    #[test]
    fn operations_of_any_bytes_survive_both_encodings(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let operation = Operation::new(&bytes);
        let json: Operation = serde_json::from_str(&serde_json::to_string(&operation).unwrap()).unwrap();
        prop_assert_eq!(&json, &operation);
        let binary: Operation = postcard::from_bytes(&postcard::to_stdvec(&operation).unwrap()).unwrap();
        prop_assert_eq!(&binary, &operation);
    }
}
