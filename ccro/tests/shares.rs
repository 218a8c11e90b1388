//! Votes that are shares, and certificates with sums of them (`ccro-aggregate`).

use apps::OpaqueLog;
use kernel::keys::{seeded_with_shares, symbolic};
use kernel::weakening::assert_detected;
use kernel::{
    Admission, Batch, Cluster, ClusterId, Context, Digest, Effect, Falsify as _, Forgery, Input, Keyring,
    Micros, Phase, Protocol as _, Reason, ReplicaId, SeededChoice, Seq, Signature, Signer, View, Voters,
    Weakening,
};
use pbft::{Certificate, CertificateKind, Message, NewView, ShareSum, ViewChange, Vote};
use std::sync::Arc;

const NODE: ReplicaId = ReplicaId(1);

struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    admission: Admission,
}

fn bench_of((signers, keyring): (Vec<Signer>, Keyring), protocol: &str) -> Bench {
    let cluster = Cluster::new(ClusterId::derive("shares", 1), protocol, 4);
    let admission = Admission::new(cluster.clone(), keyring);
    Bench { cluster, signers, admission }
}

fn bench() -> Bench {
    bench_of(symbolic(1, 4), "ccro-aggregate")
}

fn null() -> Digest {
    Batch::default().digest()
}

impl Bench {
    fn vote(&self, author: u16, phase: Phase, digest: Digest) -> Vote {
        let (about, node) = ((View(0), Seq(1), digest), (phase == Phase::PrePrepare).then_some(NODE));
        Vote::sign(&self.cluster, &self.signers[usize::from(author)], phase, about, node)
    }

    fn votes(&self, kind: CertificateKind, authors: &[u16]) -> Vec<(ReplicaId, Signature)> {
        let vote = |author: &u16| {
            let phase = match kind {
                CertificateKind::Committed => Phase::Commit,
                _ if *author == 0 => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            (ReplicaId(*author), self.vote(*author, phase, null()).signature)
        };
        authors.iter().map(vote).collect()
    }

    fn certificate(&self, kind: CertificateKind, authors: &[u16]) -> Certificate {
        let node = (kind != CertificateKind::Committed).then_some(NODE);
        let about = (View(0), Seq(1), null());
        Certificate::of_votes(&self.cluster, kind, about, node, self.votes(kind, authors)).unwrap()
    }

    fn check(&mut self, message: Message) -> Result<(), Reason> {
        let admitted = self.admission.admit(NODE, message);
        admitted.map(|_| ()).map_err(|rejection| rejection.reason)
    }

    fn check_certificate(&mut self, certificate: Certificate) -> Result<(), Reason> {
        self.check(Message::Certificate(Arc::new(certificate)))
    }
}

const KINDS: [(CertificateKind, &[u16]); 4] = [
    (CertificateKind::Prepared, &[0, 1, 3]),
    (CertificateKind::Fast, &[0, 1, 2, 3]),
    (CertificateKind::Committed, &[0, 1, 3]),
    (CertificateKind::Committed, &[1, 2, 3]),
];

#[test]
fn certificates_of_shares_get_in_and_say_whose_votes_they_have() {
    for keys in [symbolic(1, 4), seeded_with_shares(1, 4)] {
        let mut bench = bench_of(keys, "ccro-aggregate");
        for (kind, authors) in KINDS {
            let certificate = bench.certificate(kind, authors);
            let mut voters: Vec<u16> =
                certificate.to_votes(&bench.cluster).map(|vote| vote.author.0).collect();
            voters.sort_unstable();
            assert_eq!(voters, authors);
            let (signatures, shares) =
                (bench.admission.signatures_checked(), bench.admission.shares_checked());
            assert_eq!(bench.check_certificate(certificate), Ok(()));
            let listed = u64::from(kind == CertificateKind::Prepared);
            // The commander's proposal is known when it comes in the second certificate.
            assert_eq!(bench.admission.signatures_checked() - signatures, listed, "{kind:?}");
            assert_eq!(bench.admission.shares_checked(), (shares.0 + 1, shares.1 + 1));
        }
    }
}

#[test]
fn a_share_is_of_its_phase_view_slot_and_digest_and_of_whoever_made_it() {
    for keys in [symbolic(1, 4), seeded_with_shares(1, 4)] {
        let mut bench = bench_of(keys, "ccro-aggregate");
        let good = bench.vote(2, Phase::Prepare, null());
        assert_eq!(bench.check(Message::Vote(good.clone())), Ok(()));
        for changed in [
            Vote { phase: Phase::Commit, ..good.clone() },
            Vote { view: View(1), author: ReplicaId(2), ..good.clone() },
            Vote { seq: Seq(2), ..good.clone() },
            Vote { digest: Digest::ZERO, ..good.clone() },
            Vote { author: ReplicaId(3), ..good.clone() },
            Vote { signature: Signature::NONE, ..good.clone() },
        ] {
            assert_eq!(bench.check(Message::Vote(changed.clone())), Err(Reason::BadSignature), "{changed:?}");
            let stuck = Message::Stuck { seq: changed.seq, complaint: false, votes: vec![changed] };
            assert_eq!(bench.check(stuck), Err(Reason::BadSignature));
        }
        // Another cluster's, and another flow's.
        for protocol in ["ccro", "ccro-aggregate"] {
            let other = Cluster::new(ClusterId::derive("other", 1), protocol, 4);
            let about = (View(0), Seq(1), null());
            let vote = Vote::sign(&other, &bench.signers[2], Phase::Prepare, about, None);
            assert_eq!(bench.check(Message::Vote(vote)), Err(Reason::BadSignature));
        }
    }
}

fn with_voters(certificate: &Certificate, voters: &[u16]) -> Certificate {
    let sum = certificate.sum.as_ref().unwrap().sum;
    let voters: Voters = voters.iter().copied().map(ReplicaId).collect();
    Certificate { sum: Some(Arc::new(ShareSum { voters, sum })), ..certificate.clone() }
}

#[test]
fn certificates_that_prove_nothing_are_refused() {
    let mut bench = bench();
    let prepared = bench.certificate(CertificateKind::Prepared, &[0, 1, 3]);
    let committed = bench.certificate(CertificateKind::Committed, &[0, 1, 3]);
    let listed = Certificate {
        votes: bench.votes(CertificateKind::Prepared, &[0, 1, 3]).into(),
        sum: None,
        ..prepared.clone()
    };
    let twice = Certificate {
        votes: committed.votes.iter().copied().chain([(ReplicaId(2), Signature([1; 64]))]).collect(),
        ..committed.clone()
    };
    // The commander has no vote but its proposal: else it could have a node named that it has not named.
    let share = |author: u16| bench.vote(author, Phase::Prepare, null()).signature;
    let all = [0, 1, 2, 3].map(share);
    let of_all =
        ShareSum { voters: (0..4).map(ReplicaId).collect(), sum: kernel::shares::sum(all.iter()).unwrap() };
    let of_commanders_prepare = Certificate {
        kind: CertificateKind::Fast,
        communication_node: Some(ReplicaId(2)),
        votes: [].into(),
        sum: Some(Arc::new(of_all)),
        ..prepared.clone()
    };
    for (bad, reason) in [
        (with_voters(&prepared, &[1]), Reason::MalformedCertificate),
        (with_voters(&prepared, &[0, 1]), Reason::MalformedCertificate),
        (with_voters(&prepared, &[1, 4]), Reason::MalformedCertificate),
        (with_voters(&committed, &[]), Reason::MalformedCertificate),
        (of_commanders_prepare, Reason::MalformedCertificate),
        (Certificate { sum: None, ..prepared.clone() }, Reason::MalformedCertificate),
        (
            Certificate { votes: [].into(), ..with_voters(&prepared, &[1, 2, 3]) },
            Reason::MalformedCertificate,
        ),
        (Certificate { kind: CertificateKind::Committed, ..prepared.clone() }, Reason::MalformedCertificate),
        (listed, Reason::MalformedCertificate),
        (twice, Reason::MalformedCertificate),
        (with_voters(&prepared, &[1, 2]), Reason::BadSignature),
        (with_voters(&prepared, &[1, 2, 3]), Reason::BadSignature),
        (Certificate { digest: Digest::ZERO, ..committed.clone() }, Reason::BadSignature),
        (Certificate { view: View(1), ..committed.clone() }, Reason::BadSignature),
    ] {
        assert_eq!(bench.check_certificate(bad.clone()), Err(reason), "{bad:?}");
    }
    // Where votes are signed one by one there are no sums.
    let mut ccro = bench_of(symbolic(1, 4), "ccro");
    assert_eq!(ccro.check_certificate(with_voters(&prepared, &[1, 3])), Err(Reason::MalformedCertificate));
}

fn forged_certificates_are_refused() {
    let mut bench = bench();
    for (kind, authors) in KINDS {
        let genuine = Message::Certificate(Arc::new(bench.certificate(kind, authors)));
        for forgery in Forgery::ALL {
            if let Some(forged) = genuine.forged(forgery, &bench.cluster, &bench.signers[1]) {
                assert!(bench.check(forged.clone()).is_err(), "{forgery:?}: {forged:?}");
            }
        }
        assert!(genuine.forged(Forgery::Signature, &bench.cluster, &bench.signers[1]).is_some());
        assert!(bench.check(genuine.falsified(&bench.cluster, &bench.signers[1])).is_err());
    }
}

#[test]
fn what_a_liar_makes_of_a_certificate_is_refused() {
    forged_certificates_are_refused();
}

#[test]
fn a_certificate_of_another_value_is_made_of_the_shares_at_hand() {
    let bench = bench();
    let model = Message::Certificate(Arc::new(bench.certificate(CertificateKind::Committed, &[0, 1, 3])));
    let other = Digest::of(b"other");
    let received: Vec<Message> = [0, 2].map(|id| Message::Vote(bench.vote(id, Phase::Commit, other))).into();
    let made = model.with_value(other, &received, &bench.cluster, &bench.signers[3]).unwrap();
    let Message::Certificate(made) = made else { panic!("{made:?}") };
    let mut checked = bench_of(symbolic(1, 4), "ccro-aggregate");
    assert_eq!(checked.check_certificate(Certificate::clone(&made)), Ok(()));
    assert_eq!((made.digest, made.sum.as_ref().unwrap().voters.count()), (other, 3));
}

#[test]
fn view_changes_show_sums_and_shares() {
    let mut bench = bench();
    let prepared = Arc::new(bench.certificate(CertificateKind::Prepared, &[0, 1, 3]));
    let change = |author: u16, prepared: Vec<Arc<Certificate>>, voted: Vec<Vote>| {
        Arc::new(ViewChange::sign(
            &bench.cluster,
            &bench.signers[usize::from(author)],
            View(1),
            None,
            prepared,
            voted,
        ))
    };
    let good = change(3, vec![Arc::clone(&prepared)], vec![bench.vote(3, Phase::Prepare, null())]);
    let of_sum = change(3, vec![Arc::new(with_voters(&prepared, &[1, 2]))], vec![]);
    let unsigned = Vote { signature: Signature::NONE, ..bench.vote(3, Phase::Prepare, null()) };
    let of_vote = change(3, vec![], vec![unsigned]);
    let rest = [change(0, vec![], vec![]), change(1, vec![], vec![])];
    let begin = |last: &Arc<ViewChange>| {
        let changes = [&rest[..], std::slice::from_ref(last)].concat();
        Message::NewView(Arc::new(NewView::sign(&bench.cluster, &bench.signers[1], View(1), changes, vec![])))
    };
    let (good_view, bad_views) = (begin(&good), [begin(&of_sum), begin(&of_vote)]);
    for bad in [of_sum, of_vote] {
        assert_eq!(
            bench.admission.admit(ReplicaId(3), Message::ViewChange(bad)).unwrap_err().reason,
            Reason::BadSignature
        );
    }
    for bad in bad_views {
        assert_eq!(bench.check(bad), Err(Reason::BadSignature));
    }
    assert!(bench.admission.admit(ReplicaId(3), Message::ViewChange(good)).is_ok());
    assert_eq!(bench.check(good_view), Ok(()));
}

type Replica = ccro::Replica<OpaqueLog>;

/// What a replica sends when these messages have come.
fn sent_by(bench: &mut Bench, id: u16, messages: Vec<(u16, Message)>) -> Vec<Message> {
    let mut replica = Replica::new(ccro::Config::for_cluster(4), OpaqueLog::default());
    let mut choose = SeededChoice::new(1);
    let mut sent = Vec::new();
    for (from, message) in messages {
        let message = bench.admission.admit(ReplicaId(from), message).unwrap();
        let mut effects = Vec::new();
        let signer = &bench.signers[usize::from(id)];
        let mut cx = Context::new(&bench.cluster, signer, &mut choose, &mut effects).at(Micros(1));
        replica.step(&mut cx, Input::Deliver { from: ReplicaId(from), message });
        sent.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { message, .. } => Some(message),
            _ => None,
        }));
    }
    sent
}

/// What backup 2 sends when these messages have come and it leaves the view.
fn leaves_after(bench: &mut Bench, messages: Vec<(u16, Message)>) -> Vec<Message> {
    let leave = |id: u16| {
        let change =
            ViewChange::sign(&bench.cluster, &bench.signers[usize::from(id)], View(1), None, vec![], vec![]);
        (id, Message::ViewChange(Arc::new(change)))
    };
    // An honest one of them has its reasons.
    let others = [leave(1), leave(3)];
    sent_by(bench, 2, messages.into_iter().chain(others).collect())
}

#[test]
fn a_communication_node_that_learns_of_votes_by_a_sum_goes_on_with_it_or_with_the_shares() {
    let mut bench = bench();
    let proposal =
        Message::PrePrepare { header: bench.vote(0, Phase::PrePrepare, null()), batch: Arc::default() };
    let prepared = Message::Certificate(Arc::new(bench.certificate(CertificateKind::Prepared, &[0, 2, 3])));
    let early = vec![(3, prepared.clone()), (0, proposal)];
    let sent = sent_by(&mut bench, 1, early.clone());
    // All have accepted, and it cannot show that of two of them: so there is no fast certificate.
    assert_eq!(sent, [prepared]);

    // It goes on to the decision.
    let committing = [0, 2, 3].map(|id| (id, Message::Vote(bench.vote(id, Phase::Commit, null()))));
    let sent = sent_by(&mut bench, 1, early.into_iter().chain(committing).collect());
    let decided = sent.iter().any(|message| {
        matches!(message, Message::Certificate(certificate) if certificate.kind == CertificateKind::Committed)
    });
    assert!(decided, "{sent:?}");
}

#[test]
fn a_share_that_comes_after_the_sum_is_kept() {
    let bench = bench();
    let mut round = pbft::Round::default();
    let sum = bench.certificate(CertificateKind::Prepared, &[0, 1, 3]);
    for vote in sum.to_votes(&bench.cluster) {
        round.record(&vote);
    }
    round.accepted = true;
    for author in [1, 3] {
        round.record(&bench.vote(author, Phase::Prepare, null()));
    }
    let about = (View(0), Seq(1), null());
    assert_eq!(round.certificate(&bench.cluster, CertificateKind::Prepared, about), Some(sum));
}

#[test]
fn who_learns_of_votes_by_a_sum_can_show_the_sum() {
    let mut bench = bench();
    let header = bench.vote(0, Phase::PrePrepare, null());
    let proposal = Message::PrePrepare { header, batch: Arc::default() };
    let prepared = bench.certificate(CertificateKind::Prepared, &[0, 1, 3]);
    let certificate = Message::Certificate(Arc::new(prepared.clone()));
    let sent = leaves_after(&mut bench, vec![(0, proposal), (1, certificate)]);
    let commit = bench.vote(2, Phase::Commit, null());
    assert!(sent.contains(&Message::Vote(commit)), "{sent:?}");
    let change = sent.into_iter().find_map(|message| match message {
        Message::ViewChange(change) if change.author == ReplicaId(2) => Some(change),
        _ => None,
    });
    let change = change.expect("f+1 others have left");
    // It counts three votes to accept and its own. Of two of them it has no share, so it can show no other certificate.
    assert_eq!(change.prepared, [Arc::new(prepared)]);
    assert_eq!(change.voted, [bench.vote(2, Phase::Prepare, null())]);
    assert!(bench.admission.admit(ReplicaId(2), Message::ViewChange(change)).is_ok());
}

fn shares_that_are_not_known_are_not_added() {
    let bench = bench();
    let mut round = pbft::Round::default();
    for vote in bench.certificate(CertificateKind::Prepared, &[0, 1, 3]).to_votes(&bench.cluster) {
        round.record(&vote);
    }
    round.accepted = true;
    let about = (View(0), Seq(1), null());
    let made = |round: &pbft::Round| round.certificate(&bench.cluster, CertificateKind::Prepared, about);
    assert!(round.is_prepared(&bench.cluster) && made(&round).is_none());
    round.record(&bench.vote(2, Phase::Prepare, null()));
    assert_eq!(made(&round), None, "two of three are not enough");
}

#[test]
fn a_sum_is_made_of_shares_that_are_known() {
    shares_that_are_not_known_are_not_added();
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[
        (Weakening::SharesNotChecked, forged_certificates_are_refused),
        (Weakening::UnknownSharesAdded, shares_that_are_not_known_are_not_added),
    ]);
}
