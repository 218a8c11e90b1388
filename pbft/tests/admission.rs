//! What is let in and what is not: every way to forge a message that a liar
//! with one key has.

use kernel::keys::seeded;
use kernel::weakening::{assert_detected, weaken};
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Digest, Operation, Phase, Reason, ReplicaId, Request, Seq,
    SessionId, Signature, Signer, View, Weakening,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, StableCheckpoint,
    ViewChange, Vote,
};
use std::sync::Arc;

const LIAR: ReplicaId = ReplicaId(3);
/// A signature of nobody's.
const SIGNATURE: Signature = Signature([7; 64]);

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

    fn vote_in(&self, author: u16, phase: Phase, view: u64, seq: u64) -> Vote {
        let about = (View(view), Seq(seq), Digest::of(b"batch"));
        Vote::sign(&self.cluster, &self.signers[usize::from(author)], phase, about, None)
    }

    /// A proposal of the first commander that names a communication node.
    fn header(&self, digest: Digest, node: u16) -> Vote {
        let (about, node) = ((View(0), Seq(1), digest), Some(ReplicaId(node)));
        Vote::sign(&self.cluster, &self.signers[0], Phase::PrePrepare, about, node)
    }

    fn stable(&self, authors: &[u16]) -> StableCheckpoint {
        let vote = |author: &u16| {
            let signer = &self.signers[usize::from(*author)];
            CheckpointVote::sign(&self.cluster, signer, Seq(128), Digest::ZERO).signature
        };
        let votes = authors.iter().map(|author| (ReplicaId(*author), vote(author))).collect();
        StableCheckpoint { seq: Seq(128), state: Digest::ZERO, votes }
    }

    fn view_change(&self, author: u16, view: u64) -> Arc<ViewChange> {
        let signer = &self.signers[usize::from(author)];
        Arc::new(ViewChange::sign(&self.cluster, signer, View(view), None, vec![], vec![]))
    }

    fn view_changes(&self, authors: &[u16]) -> Vec<Arc<ViewChange>> {
        authors.iter().map(|author| self.view_change(*author, 1)).collect()
    }

    /// What becomes of a NEW-VIEW of view 1, which its commander signs.
    fn begin(&mut self, changes: Vec<Arc<ViewChange>>, proposals: &[Vote]) -> Result<(), Reason> {
        let (commander, proposals) = (&self.signers[1], proposals.to_vec());
        let new_view = NewView::sign(&self.cluster, commander, View(1), changes, proposals);
        self.check(Message::NewView(Arc::new(new_view)))
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
            sum: None,
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
    let other = forged.votes[1].1;
    Arc::make_mut(&mut forged.votes)[2].1 = other;
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
    let sound = bench.stable(&[0, 1, 2]);
    assert_eq!(bench.check(Message::Stable(Arc::new(sound.clone()))), Ok(()));
    for authors in [vec![0, 1], vec![0, 1, 1], vec![2, 1, 0]] {
        let malformed = Message::Stable(Arc::new(bench.stable(&authors)));
        assert_eq!(bench.check(malformed), Err(Reason::MalformedCertificate), "{authors:?}");
    }
    let another = StableCheckpoint { state: Digest::of(b"another"), ..sound };
    assert_eq!(bench.check(Message::Stable(Arc::new(another))), Err(Reason::BadSignature));
}

#[test]
fn a_certificate_names_the_communication_node_for_the_commander_s_proposal_alone() {
    let mut bench = bench();
    let genuine = bench.certificate(CertificateKind::Prepared, &[0, 1, 2]);
    let mut votes = genuine.votes.clone();
    let header = bench.header(genuine.digest, 2);
    Arc::make_mut(&mut votes)[0].1 = header.signature;
    let certificate = Certificate { communication_node: Some(ReplicaId(2)), votes, ..genuine };
    let expected = [
        header,
        bench.vote(1, Phase::Prepare, certificate.digest),
        bench.vote(2, Phase::Prepare, certificate.digest),
    ];
    assert_eq!(certificate.to_votes(&bench.cluster).collect::<Vec<_>>(), expected);
    assert_eq!(bench.check(Message::Certificate(Arc::new(certificate))), Ok(()));
}

#[test]
fn requests_come_from_whoever_may_submit_and_in_its_own_sessions() {
    let mut bench = bench();
    let foreign = bench.bundle(0, 2);
    assert_eq!(bench.check(Message::Requests(Arc::new(foreign))), Err(Reason::MalformedRequests));
    bench.signers = seeded(1, 5).0;
    let stranger = bench.bundle(4, 4);
    assert_eq!(bench.check(Message::Requests(Arc::new(stranger))), Err(Reason::MalformedRequests));
}

#[test]
fn a_stuck_replica_shows_at_most_three_votes_for_its_slot() {
    let mut bench = bench();
    // All that an author can say of a slot: a proposal, a PREPARE and a COMMIT.
    let mut votes = vec![
        bench.vote_in(0, Phase::PrePrepare, 0, 1),
        bench.vote_in(0, Phase::Prepare, 1, 1),
        bench.vote_in(0, Phase::Commit, 1, 1),
    ];
    let stuck = |votes: &[Vote]| Message::Stuck { seq: Seq(1), complaint: true, votes: votes.to_vec() };
    for shown in 0..=3 {
        assert_eq!(bench.check(stuck(&votes[..shown])), Ok(()), "{shown} votes");
    }
    votes.push(bench.vote_in(0, Phase::Commit, 0, 1));
    assert_eq!(bench.check(stuck(&votes)), Err(Reason::NotEntitled));
    let elsewhere = bench.vote_in(0, Phase::Commit, 0, 2);
    assert_eq!(bench.check(stuck(&[elsewhere])), Err(Reason::NotEntitled));
    let prepare_of_the_commander = bench.vote_in(0, Phase::Prepare, 0, 1);
    assert_eq!(bench.check(stuck(&[prepare_of_the_commander])), Err(Reason::NotEntitled));
}

#[test]
fn nobody_changes_to_the_first_view() {
    let mut bench = bench();
    let first = Message::ViewChange(bench.view_change(LIAR.0, 0));
    assert_eq!(bench.check(first), Err(Reason::MalformedViewChange));
    let second = Message::ViewChange(bench.view_change(LIAR.0, 1));
    assert_eq!(bench.check(second), Ok(()));
}

#[test]
fn every_signature_in_a_view_change_is_checked() {
    let mut bench = bench();
    let stable = bench.stable(&[0, 1, 2]);
    let prepared = bench.certificate(CertificateKind::Prepared, &[0, 1, 2]);
    let vote = bench.vote(LIAR.0, Phase::Prepare, Digest::of(b"batch"));
    let sign = |stable: &StableCheckpoint, prepared: &Certificate, vote: &Vote| {
        let (stable, prepared) = (Arc::new(stable.clone()), Arc::new(prepared.clone()));
        let (signer, vote) = (&bench.signers[3], vote.clone());
        ViewChange::sign(&bench.cluster, signer, View(1), Some(stable), vec![prepared], vec![vote])
    };
    let sound = sign(&stable, &prepared, &vote);
    let (mut bad_stable, mut bad_prepared, mut bad_vote) = (stable.clone(), prepared.clone(), vote.clone());
    bad_stable.votes[1].1 = SIGNATURE;
    Arc::make_mut(&mut bad_prepared.votes)[1].1 = SIGNATURE;
    bad_vote.signature = SIGNATURE;
    let forged = [
        ("of the checkpoint", sign(&bad_stable, &prepared, &vote)),
        ("of the certificate", sign(&stable, &bad_prepared, &vote)),
        ("of the vote reported", sign(&stable, &prepared, &bad_vote)),
        ("of the whole", ViewChange { signature: SIGNATURE, ..sound.clone() }),
        ("over other content", ViewChange { voted: vec![], ..sound.clone() }),
    ];
    assert_eq!(bench.check(Message::ViewChange(Arc::new(sound))), Ok(()));
    for (what, change) in forged {
        assert_eq!(bench.check(Message::ViewChange(Arc::new(change))), Err(Reason::BadSignature), "{what}");
    }
}

#[test]
fn every_signature_in_a_new_view_is_checked() {
    let mut bench = bench();
    let (changes, header) = (bench.view_changes(&[0, 1, 2]), bench.vote_in(1, Phase::PrePrepare, 1, 1));
    let mut bad_changes = changes.clone();
    bad_changes[2] = Arc::new(ViewChange { signature: SIGNATURE, ..ViewChange::clone(&changes[2]) });
    let bad_header = Vote { signature: SIGNATURE, ..header.clone() };
    let sign = |signer: usize, changes: &[Arc<ViewChange>], header: &Vote| {
        let (signer, proposals) = (&bench.signers[signer], vec![header.clone()]);
        NewView::sign(&bench.cluster, signer, View(1), changes.to_vec(), proposals)
    };
    let sound = sign(1, &changes, &header);
    let forged = [
        ("of a VIEW-CHANGE", sign(1, &bad_changes, &header)),
        ("of a proposal", sign(1, &changes, &bad_header)),
        ("of a backup", sign(3, &changes, &header)),
        ("over other content", NewView { proposals: vec![], ..sound.clone() }),
    ];
    assert_eq!(bench.check(Message::NewView(Arc::new(sound))), Ok(()));
    for (what, new_view) in forged {
        assert_eq!(bench.check(Message::NewView(Arc::new(new_view))), Err(Reason::BadSignature), "{what}");
    }
}

#[test]
fn every_signature_in_a_recollection_is_checked() {
    let mut bench = bench();
    let (stable, changes) = (bench.stable(&[0, 1, 2]), bench.view_changes(&[1, 2]));
    let mut bad_stable = stable.clone();
    bad_stable.votes[1].1 = SIGNATURE;
    let mut bad_changes = changes.clone();
    bad_changes[0] = Arc::new(ViewChange { signature: SIGNATURE, ..ViewChange::clone(&changes[0]) });
    let sign = |stable: &StableCheckpoint, changes: &[Arc<ViewChange>]| {
        let (signer, stable) = (&bench.signers[3], Some(Arc::new(stable.clone())));
        Recollection::sign(&bench.cluster, signer, (77, ReplicaId(0)), stable, changes.to_vec())
    };
    let sound = sign(&stable, &changes);
    let forged = [
        ("of the checkpoint", sign(&bad_stable, &changes)),
        ("of a VIEW-CHANGE", sign(&stable, &bad_changes)),
        ("over another question", Recollection { nonce: 78, ..sound.clone() }),
        ("for another asker", Recollection { asker: ReplicaId(1), ..sound.clone() }),
    ];
    assert_eq!(bench.check(Message::Recollection(Arc::new(sound))), Ok(()));
    for (what, answer) in forged {
        let verdict = bench.check(Message::Recollection(Arc::new(answer)));
        assert_eq!(verdict, Err(Reason::BadSignature), "{what}");
    }
}

#[test]
fn a_new_view_needs_exactly_a_quorum_of_view_changes_to_it() {
    let mut bench = bench();
    let proposals = [bench.vote_in(1, Phase::PrePrepare, 1, 1), bench.vote_in(1, Phase::PrePrepare, 1, 2)];
    let sound = bench.view_changes(&[0, 2, 3]);
    assert_eq!(bench.begin(sound, &proposals), Ok(()));
    for authors in [vec![0, 1], vec![0, 1, 2, 3], vec![0, 2, 1], vec![0, 1, 1]] {
        let changes = bench.view_changes(&authors);
        assert_eq!(bench.begin(changes, &proposals), Err(Reason::MalformedViewChange), "{authors:?}");
    }
    let mut changes = bench.view_changes(&[0, 1, 2]);
    changes[1] = bench.view_change(1, 2);
    assert_eq!(bench.begin(changes, &proposals), Err(Reason::MalformedViewChange), "of another view");
}

#[test]
fn a_new_view_proposes_in_its_own_view_slot_after_slot() {
    let mut bench = bench();
    let propose = |bench: &Bench, seq| bench.vote_in(1, Phase::PrePrepare, 1, seq);
    let next = propose(&bench, 2);
    let malformed = [
        ("a backup's vote", vec![bench.vote_in(0, Phase::Prepare, 1, 1), next.clone()]),
        ("a proposal of another view", vec![bench.vote_in(1, Phase::PrePrepare, 5, 1), next.clone()]),
        ("a backup's proposal", vec![bench.vote_in(0, Phase::PrePrepare, 1, 1), next.clone()]),
        ("a slot left out", vec![next.clone(), propose(&bench, 4)]),
        ("a slot twice", vec![next.clone(), next.clone()]),
        ("descending", vec![next, propose(&bench, 1)]),
    ];
    for (what, proposals) in malformed {
        let changes = bench.view_changes(&[0, 1, 2]);
        assert_eq!(bench.begin(changes, &proposals), Err(Reason::MalformedViewChange), "{what}");
    }
    let changes = bench.view_changes(&[0, 1, 2]);
    assert_eq!(bench.begin(changes, &[]), Ok(()), "nothing was left over");
}

#[test]
fn a_recollection_is_its_sender_s_and_has_a_view_change_of_each_author_once() {
    let mut bench = bench();
    let recollect = |bench: &mut Bench, author: ReplicaId, authors: &[u16]| {
        let signer = &bench.signers[usize::from(author.0)];
        let (asked, changes) = ((77, ReplicaId(0)), bench.view_changes(authors));
        let answer = Recollection::sign(&bench.cluster, signer, asked, None, changes);
        bench.check(Message::Recollection(Arc::new(answer)))
    };
    assert_eq!(recollect(&mut bench, LIAR, &[]), Ok(()));
    assert_eq!(recollect(&mut bench, LIAR, &[1, 2]), Ok(()));
    for authors in [[2, 1], [1, 1]] {
        assert_eq!(recollect(&mut bench, LIAR, &authors), Err(Reason::NotEntitled), "{authors:?}");
    }
    assert_eq!(recollect(&mut bench, ReplicaId(2), &[1, 2]), Err(Reason::NotEntitled));
}

#[test]
fn a_conflict_is_two_different_proposals_of_one_commander_for_one_slot() {
    let mut bench = bench();
    let (digest, other) = (Digest::of(b"batch"), Digest::of(b"other"));
    let named = bench.header(digest, 2);
    let elsewhere = bench.vote_in(0, Phase::PrePrepare, 0, 2);
    let later = bench.vote_in(0, Phase::PrePrepare, 4, 1);
    let stranger = bench.header(digest, 4);
    let [prepare, other_prepare] = [digest, other].map(|digest| bench.vote(1, Phase::Prepare, digest));
    let proofs = [bench.header(other, 2), bench.header(digest, 3), bench.vote(0, Phase::PrePrepare, digest)];
    let mut check = |first: &Vote, second: &Vote| {
        let (first, second) = (Box::new(first.clone()), Box::new(second.clone()));
        bench.check(Message::Conflict { first, second })
    };
    for second in &proofs {
        assert_eq!(check(&named, second), Ok(()), "another batch or another communication node");
    }
    let another_node = Vote { communication_node: None, ..named.clone() };
    assert_eq!(check(&named, &another_node), Err(Reason::BadSignature), "not what was signed");
    let unproven = [
        (&named, &named, "the same"),
        (&named, &elsewhere, "another slot"),
        (&named, &later, "another view"),
        (&named, &stranger, "the second names no replica"),
        (&stranger, &named, "the first names no replica"),
        (&prepare, &other_prepare, "of a backup"),
    ];
    for (first, second, why) in unproven {
        assert_eq!(check(first, second), Err(Reason::MalformedCertificate), "{why}");
    }
}

#[test]
fn without_its_rule_a_fast_certificate_takes_one_vote_less() {
    let mut bench = bench();
    let mut check = |authors: &[u16]| {
        let certificate = bench.certificate(CertificateKind::Fast, authors);
        bench.check(Message::Certificate(Arc::new(certificate)))
    };
    assert_eq!(check(&[0, 1, 2]), Err(Reason::MalformedCertificate));
    weaken(Weakening::FastPathOneLess, || {
        assert_eq!(check(&[0, 1]), Err(Reason::MalformedCertificate));
        assert_eq!(check(&[0, 1, 2]), Ok(()));
    });
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
