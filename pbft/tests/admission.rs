//! What is let in and what is not: every way to forge a message that a liar
//! with one key has.

use kernel::keys::seeded;
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Digest, Operation, Phase, Reason, ReplicaId, Request, Seq,
    SessionId, Signature, Signer, View, Weakening,
};
use pbft::{Certificate, CertificateKind, CheckpointVote, Message, StableCheckpoint, Vote};
use std::sync::Arc;

const LIAR: ReplicaId = ReplicaId(3);

struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    admission: Admission,
}

fn bench() -> Bench {
    let cluster = Cluster::new(ClusterId::derive("admission", 1), "pbft", 4);
    let (signers, keyring) = seeded(1, 4);
    let admission = Admission::new(cluster.clone(), keyring);
    Bench { cluster, signers, admission }
}

impl Bench {
    fn check(&mut self, message: Message) -> Result<(), Reason> {
        let admitted = self.admission.admit(LIAR, message);
        admitted.map(|_| ()).map_err(|rejection| rejection.reason)
    }

    fn vote(&self, author: u16, phase: Phase, digest: Digest) -> Vote {
        let signer = &self.signers[usize::from(author)];
        Vote::sign(&self.cluster, signer, phase, (View(0), Seq(1), digest), None)
    }

    fn certificate(&self, kind: CertificateKind, authors: &[u16]) -> Certificate {
        let digest = Digest::of(b"batch");
        let votes = authors.iter().map(|author| {
            let phase = match kind {
                CertificateKind::Committed => Phase::Commit,
                _ if *author == 0 => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            (ReplicaId(*author), self.vote(*author, phase, digest).signature)
        });
        Certificate {
            kind,
            view: View(0),
            seq: Seq(1),
            digest,
            communication_node: None,
            votes: votes.collect(),
        }
    }

    fn bundle(&self, gateway: u16, session_of: u16) -> Bundle {
        let request = Request {
            session: SessionId { gateway: ReplicaId(session_of), number: 1 },
            counter: 1,
            operation: Operation::new(b"pay"),
        };
        Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], vec![request])
    }
}

#[test]
fn an_honest_message_of_each_kind_gets_in() {
    let mut bench = bench();
    let bundle = Arc::new(bench.bundle(2, 2));
    let batch = Arc::new(Batch { bundles: vec![Arc::clone(&bundle)] });
    let (_, proposal) =
        Message::propose(&bench.cluster, &bench.signers[0], View(0), Seq(1), Arc::clone(&batch), None);
    let prepare = bench.vote(1, Phase::Prepare, batch.digest());
    let commit = bench.vote(0, Phase::Commit, batch.digest());
    let checkpoint = CheckpointVote::sign(&bench.cluster, &bench.signers[1], Seq(128), Digest::ZERO);
    let messages = [
        Message::Requests(bundle),
        proposal,
        Message::Vote(prepare.clone()),
        Message::Vote(commit.clone()),
        Message::Stuck { seq: Seq(1), complaint: true, votes: vec![prepare, commit] },
        Message::Certificate(Arc::new(bench.certificate(CertificateKind::Prepared, &[0, 1, 2]))),
        Message::Certificate(Arc::new(bench.certificate(CertificateKind::Committed, &[1, 2, 3]))),
        Message::Certificate(Arc::new(bench.certificate(CertificateKind::Fast, &[0, 1, 2, 3]))),
        Message::Checkpoint(checkpoint),
    ];
    for message in messages {
        assert_eq!(bench.check(message.clone()), Ok(()), "{message:?}");
    }
}

#[test]
fn a_changed_field_breaks_the_signature() {
    let mut bench = bench();
    let vote = bench.vote(1, Phase::Prepare, Digest::of(b"batch"));
    let changes: [fn(&mut Vote); 6] = [
        |vote| vote.phase = Phase::Commit,
        |vote| vote.view = View(4),
        |vote| vote.seq = Seq(2),
        |vote| vote.digest = Digest::of(b"other"),
        |vote| vote.author = ReplicaId(2),
        |vote| vote.signature = Signature([7; 64]),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut forged = vote.clone();
        change(&mut forged);
        assert_eq!(bench.check(Message::Vote(forged)), Err(Reason::BadSignature), "change {i}");
    }
}

#[test]
fn a_vote_for_another_cluster_or_flow_is_worth_nothing() {
    let mut bench = bench();
    let about = (View(0), Seq(1), Digest::ZERO);
    for cluster in [
        Cluster::new(ClusterId::derive("another", 1), "pbft", 4),
        Cluster::new(ClusterId::derive("admission", 1), "ccro", 4),
    ] {
        let foreign = Vote::sign(&cluster, &bench.signers[1], Phase::Prepare, about, None);
        assert_eq!(bench.check(Message::Vote(foreign)), Err(Reason::BadSignature));
    }
}

#[test]
fn nobody_votes_in_a_role_that_is_not_his() {
    let mut bench = bench();
    let digest = Batch::default().digest();
    let commander_prepares = bench.vote(0, Phase::Prepare, digest);
    assert_eq!(bench.check(Message::Vote(commander_prepares)), Err(Reason::NotEntitled));
    let loose_header = bench.vote(0, Phase::PrePrepare, digest);
    assert_eq!(bench.check(Message::Vote(loose_header)), Err(Reason::NotEntitled));
    let header = bench.vote(3, Phase::PrePrepare, digest);
    let usurper = Message::PrePrepare { header, batch: Arc::default() };
    assert_eq!(bench.check(usurper), Err(Reason::NotEntitled));
    let mut stranger = bench.vote(1, Phase::Prepare, digest);
    stranger.author = ReplicaId(4);
    assert_eq!(bench.check(Message::Vote(stranger)), Err(Reason::NotEntitled));
}

#[test]
fn a_certificate_needs_enough_distinct_votes_of_one_kind() {
    use CertificateKind::{Committed, Fast, Prepared};
    let mut bench = bench();
    let malformed = [
        (Prepared, vec![0, 1]),
        (Prepared, vec![1, 2, 3]),
        (Prepared, vec![0, 1, 1]),
        (Committed, vec![1, 2]),
        (Committed, vec![2, 2, 2]),
        (Committed, vec![3, 2, 1]),
        (Fast, vec![0, 1, 2]),
        (Fast, vec![0, 1, 2, 2]),
    ];
    for (kind, authors) in malformed {
        let certificate = bench.certificate(kind, &authors);
        let verdict = bench.check(Message::Certificate(Arc::new(certificate)));
        assert_eq!(verdict, Err(Reason::MalformedCertificate), "{kind:?} of {authors:?}");
    }
    // Votes of one phase passed off as another's, and one vote of four forged.
    let mut relabelled = bench.certificate(Prepared, &[0, 1, 2]);
    relabelled.kind = Committed;
    assert_eq!(bench.check(Message::Certificate(Arc::new(relabelled))), Err(Reason::BadSignature));
    let mut forged = bench.certificate(Fast, &[0, 1, 2, 3]);
    forged.votes[2].1 = forged.votes[1].1;
    assert_eq!(bench.check(Message::Certificate(Arc::new(forged))), Err(Reason::BadSignature));
    let mut other_digest = bench.certificate(Committed, &[0, 1, 2]);
    other_digest.digest = Digest::of(b"other");
    assert_eq!(bench.check(Message::Certificate(Arc::new(other_digest))), Err(Reason::BadSignature));
}

/// A bundle as a liar would write it on the wire.
fn changed(bundle: &Bundle, change: impl Fn(&mut serde_json::Value)) -> Bundle {
    let mut json = serde_json::to_value(bundle).unwrap();
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_commander_cannot_invent_or_change_requests() {
    let mut bench = bench();
    let propose = |bench: &Bench, bundle: Bundle| {
        let batch = Arc::new(Batch { bundles: vec![Arc::new(bundle)] });
        Message::propose(&bench.cluster, &bench.signers[0], View(0), Seq(1), batch, None).1
    };
    // Signed by the commander in another gateway's name.
    let invented = changed(&bench.bundle(0, 2), |json| json["gateway"] = 2.into());
    let message = propose(&bench, invented);
    assert_eq!(bench.check(message), Err(Reason::BadSignature));
    // Another gateway's session in the commander's own bundle.
    let message = propose(&bench, bench.bundle(0, 2));
    assert_eq!(bench.check(message), Err(Reason::MalformedRequests));
    // A request changed after the gateway signed.
    let more = changed(&bench.bundle(2, 2), |json| json["requests"][0]["operation"] = "text:pay more".into());
    let message = propose(&bench, more);
    assert_eq!(bench.check(message), Err(Reason::BadSignature));
    // A batch that is not what the header says.
    let Message::PrePrepare { header, .. } = propose(&bench, bench.bundle(2, 2)) else {
        unreachable!("propose makes proposals");
    };
    let swapped = Message::PrePrepare { header, batch: Arc::default() };
    assert_eq!(bench.check(swapped), Err(Reason::DigestMismatch));
}

#[test]
fn one_forged_message_among_many_is_the_only_one_kept_out() {
    let mut bench = bench();
    let digest = Digest::of(b"batch");
    let mut votes: Vec<Vote> = (1..4).map(|author| bench.vote(author, Phase::Prepare, digest)).collect();
    votes[1].digest = Digest::of(b"other");
    let messages = votes.into_iter().map(|vote| (vote.author, Message::Vote(vote))).collect();
    let verdicts: Vec<bool> = bench.admission.admit_all(messages).iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true]);
    assert_eq!(bench.admission.signatures_checked(), 3);
}

#[test]
fn a_vote_seen_before_is_not_checked_again_inside_a_certificate() {
    let mut bench = bench();
    let certificate = bench.certificate(CertificateKind::Committed, &[1, 2, 3]);
    for vote in certificate.to_votes(&bench.cluster.clone()) {
        bench.check(Message::Vote(vote)).unwrap();
    }
    assert_eq!(bench.admission.signatures_checked(), 3);
    bench.check(Message::Certificate(Arc::new(certificate))).unwrap();
    assert_eq!(bench.admission.signatures_checked(), 3);
}

#[test]
fn a_stable_checkpoint_needs_a_quorum_of_votes_for_its_state() {
    let mut bench = bench();
    let proof = |bench: &Bench, authors: &[u16]| {
        let vote = |author: &u16| {
            let signer = &bench.signers[usize::from(*author)];
            CheckpointVote::sign(&bench.cluster, signer, Seq(128), Digest::ZERO).signature
        };
        let votes = authors.iter().map(|author| (ReplicaId(*author), vote(author))).collect();
        StableCheckpoint { seq: Seq(128), state: Digest::ZERO, votes }
    };
    let sound = proof(&bench, &[0, 1, 2]);
    assert_eq!(bench.check(Message::Stable(Arc::new(sound.clone()))), Ok(()));
    for authors in [vec![0, 1], vec![0, 1, 1], vec![2, 1, 0]] {
        let malformed = Message::Stable(Arc::new(proof(&bench, &authors)));
        assert_eq!(bench.check(malformed), Err(Reason::MalformedCertificate), "{authors:?}");
    }
    let another = StableCheckpoint { state: Digest::of(b"another"), ..sound };
    assert_eq!(bench.check(Message::Stable(Arc::new(another))), Err(Reason::BadSignature));
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::QuorumOneLess, a_certificate_needs_enough_distinct_votes_of_one_kind),
        (Weakening::FastPathOneLess, a_certificate_needs_enough_distinct_votes_of_one_kind),
        (Weakening::RepeatedVoterAccepted, a_certificate_needs_enough_distinct_votes_of_one_kind),
        (Weakening::PhaseNotSigned, a_changed_field_breaks_the_signature),
        (Weakening::DigestNotCompared, a_commander_cannot_invent_or_change_requests),
        (Weakening::CheckpointProofNotChecked, a_stable_checkpoint_needs_a_quorum_of_votes_for_its_state),
    ]);
}
