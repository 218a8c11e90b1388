//! Counterfeits are what they claim to be, and nobody is taken in.

use crate::bench::{Bench, bench, sent, to_all};
use kernel::{Digest, Phase, Reason, ReplicaId, Reply, ReplyBundle, Seq, SessionId, View};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, StableCheckpoint, ViewChange, Vote,
};
use std::sync::Arc;

fn certificate(bench: &Bench, kind: CertificateKind) -> Certificate {
    let digest = Digest::of(b"batch");
    let phase = |id| match kind {
        CertificateKind::Committed => Phase::Commit,
        _ if id == 0 => Phase::PrePrepare,
        _ => Phase::Prepare,
    };
    let votes = (0..if kind == CertificateKind::Fast { 4 } else { 3 })
        .map(|id| (ReplicaId(id as u16), bench.vote(id, phase(id), 1, digest).signature))
        .collect();
    Certificate { kind, view: View(0), seq: Seq(1), digest, communication_node: None, votes, sum: None }
}

fn stable(bench: &Bench) -> StableCheckpoint {
    let (seq, state) = (Seq(128), Digest::of(b"state"));
    let vote = |id: usize| CheckpointVote::sign(&bench.cluster, &bench.signers[id], seq, state).signature;
    StableCheckpoint { seq, state, votes: (0..3).map(|id| (ReplicaId(id as u16), vote(id))).collect() }
}

fn view_change(bench: &Bench, id: usize, with_proofs: bool) -> ViewChange {
    let mut prepared = certificate(bench, CertificateKind::Prepared);
    prepared.seq = Seq(129);
    let votes = (0..3).map(|id| {
        let phase = if id == 0 { Phase::PrePrepare } else { Phase::Prepare };
        (ReplicaId(id as u16), bench.vote(id, phase, 129, prepared.digest).signature)
    });
    prepared.votes = votes.collect();
    let (stable, prepared) =
        if with_proofs { (Some(Arc::new(stable(bench))), vec![Arc::new(prepared)]) } else { (None, vec![]) };
    ViewChange::sign(&bench.cluster, &bench.signers[id], View(1), stable, prepared, vec![])
}

fn new_view(bench: &Bench) -> NewView {
    let changes = (0..3).map(|id| Arc::new(view_change(bench, id, true))).collect();
    let about = (View(1), Seq(129), Digest::of(b"batch"));
    let header = Vote::sign(&bench.cluster, &bench.signers[1], Phase::PrePrepare, about, None);
    NewView::sign(&bench.cluster, &bench.signers[1], View(1), changes, vec![header])
}

/// What replica 1 sends under `forge=KIND` when it means to send `message`, and
/// why it is refused.
fn refused(kind: &str, message: &Message) -> Reason {
    let mut bench = bench(1, &[&format!("forge={kind}")]);
    let sent = bench.send_or_hold(message);
    assert_ne!(sent, to_all(message), "{kind}: {message:?}");
    let counterfeit = sent[0].1.clone();
    bench.admission().admit(ReplicaId(1), counterfeit).expect_err("not taken in").reason
}

#[test]
fn bad_signatures_and_borrowed_names_are_refused_in_every_signed_message() {
    let bench = bench(1, &[]);
    let prepare = bench.prepare(1);
    let Message::Vote(vote) = prepare.clone() else { unreachable!() };
    let messages = [
        prepare,
        Message::Stuck { seq: Seq(1), complaint: true, votes: vec![vote] },
        Message::Certificate(Arc::new(certificate(&bench, CertificateKind::Committed))),
        Message::Checkpoint(CheckpointVote::sign(&bench.cluster, &bench.signers[1], Seq(8), Digest::ZERO)),
        Message::Stable(Arc::new(stable(&bench))),
        Message::ViewChange(Arc::new(view_change(&bench, 1, true))),
        Message::NewView(Arc::new(new_view(&bench))),
        bench.proposal(1, 1),
    ];
    for message in &messages {
        bench.admission().admit(ReplicaId(1), message.clone()).expect("genuine");
        assert_eq!(refused("signature", message), Reason::BadSignature, "{message:?}");
        refused("name", message);
    }
}

#[test]
fn short_repeated_and_mixed_certificates_are_refused() {
    let bench = bench(1, &[]);
    let certificate = |kind| Message::Certificate(Arc::new(certificate(&bench, kind)));
    for kind in [CertificateKind::Prepared, CertificateKind::Fast, CertificateKind::Committed] {
        let genuine = certificate(kind);
        assert_eq!(refused("short", &genuine), Reason::MalformedCertificate);
        assert_eq!(refused("repeated", &genuine), Reason::MalformedCertificate);
        assert_eq!(refused("mixed", &genuine), Reason::BadSignature);
    }
    let proof = Message::Stable(Arc::new(stable(&bench)));
    assert_eq!(refused("short", &proof), Reason::MalformedCertificate);
    assert_eq!(refused("repeated", &proof), Reason::MalformedCertificate);
    assert_eq!(refused("mixed", &proof), Reason::BadSignature);
}

#[test]
fn a_repeated_certificate_has_as_many_votes_as_it_takes_and_the_commander_s() {
    let mut bench = bench(1, &["forge=repeated"]);
    let genuine = certificate(&bench, CertificateKind::Prepared);
    let sent = bench.send_or_hold(&Message::Certificate(Arc::new(genuine)));
    let Message::Certificate(forged) = &sent[0].1 else { panic!("{sent:?}") };
    let authors: Vec<u16> = forged.votes.iter().map(|(author, _)| author.0).collect();
    assert_eq!(authors, [0, 0, 1]);
}

#[test]
fn view_changes_and_new_views_with_forged_proofs_are_refused() {
    let bench = bench(1, &[]);
    for kind in ["short", "repeated", "mixed"] {
        for with_proofs in [true, false] {
            let change = Message::ViewChange(Arc::new(view_change(&bench, 1, with_proofs)));
            bench.admission().admit(ReplicaId(1), change.clone()).expect("genuine");
            refused(kind, &change);
        }
    }
    let new_view = Message::NewView(Arc::new(new_view(&bench)));
    assert_eq!(refused("short", &new_view), Reason::MalformedViewChange);
    assert_eq!(refused("repeated", &new_view), Reason::MalformedViewChange);
}

#[test]
fn without_a_kind_every_kind_that_fits_has_its_turn() {
    let mut bench = bench(1, &["forge"]);
    let genuine = Message::Certificate(Arc::new(certificate(&bench, CertificateKind::Committed)));
    let mut seen = std::collections::HashSet::new();
    for _ in 0..60 {
        seen.insert(bench.send_or_hold(&genuine).remove(0).1);
    }
    assert_eq!(seen.len(), 5, "signature, name, short, repeated, mixed");
    let fetch = Message::Fetch { seq: Seq(1), digest: Digest::ZERO };
    assert_eq!(sent(&bench.deliver(3, &fetch)), to_all(&fetch), "nothing to forge");
}

#[test]
fn replies_are_forged_too() {
    use kernel::Falsify as _;
    let bench = bench(1, &[]);
    let session = SessionId { gateway: ReplicaId(0), number: 1 };
    let reply = Reply { session, counter: 1, result: kernel::Output::new(b"ok") };
    let bundle = ReplyBundle::sign(
        &bench.cluster,
        &bench.signers[1],
        View(0),
        Seq(1),
        ReplicaId(0),
        vec![],
        vec![reply],
    );
    assert!(bench.keyring.verify(&bundle.claim(&bench.cluster)));
    let corrupted = ReplyBundle { signature: bundle.signature.corrupted(), ..bundle.clone() };
    assert!(!bench.keyring.verify(&corrupted.claim(&bench.cluster)));
    assert_eq!(Message::needless_view_changes(View(0), &bench.cluster, &bench.signers[1]).len(), 2);
}
