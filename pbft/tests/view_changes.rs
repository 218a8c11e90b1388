//! What a VIEW-CHANGE may say, and what a new view makes of several.

use kernel::keys::seeded;
use kernel::weakening::weaken;
use kernel::{
    Admission, Batch, Cluster, ClusterId, Digest, Phase, Reason, ReplicaId, Seq, Signature, Signer, View,
    Weakening,
};
use pbft::new_view::Outline;
use pbft::{Certificate, CertificateKind, CheckpointVote, Message, StableCheckpoint, ViewChange, Vote};
use std::sync::Arc;

fn cluster(n: u16) -> Cluster {
    Cluster::new(ClusterId::derive("view-changes", 1), "pbft", n)
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Of four replicas; the commander of the view among those who vote.
fn certificate(signers: &[Signer], kind: CertificateKind, (view, seq): (u64, u64)) -> Arc<Certificate> {
    let (cluster, view, seq, digest) = (cluster(4), View(view), Seq(seq), digest("batch"));
    let vote = |author: u16| {
        let phase = match kind {
            CertificateKind::Committed => Phase::Commit,
            _ if cluster.commander(view) == ReplicaId(author) => Phase::PrePrepare,
            _ => Phase::Prepare,
        };
        let signer = &signers[usize::from(author)];
        (ReplicaId(author), Vote::sign(&cluster, signer, phase, (view, seq, digest), None).signature)
    };
    let votes = [0, 1, 2].map(vote).into();
    Arc::new(Certificate { kind, view, seq, digest, communication_node: None, votes, sum: None })
}

/// Replica 3's VIEW-CHANGE for view 2.
fn admitted(signers: &[Signer], prepared: Vec<Arc<Certificate>>, voted: Vec<Vote>) -> Result<(), Reason> {
    let change = ViewChange::sign(&cluster(4), &signers[3], View(2), None, prepared, voted);
    let mut admission = Admission::new(cluster(4), seeded(1, 4).1);
    let message = Message::ViewChange(Arc::new(change));
    admission.admit(ReplicaId(3), message).map(|_| ()).map_err(|rejection| rejection.reason)
}

#[test]
fn a_view_change_names_each_slot_once_in_order_with_proofs_of_earlier_views_and_its_own_votes() {
    let (signers, _) = seeded(1, 4);
    let malformed = Err(Reason::MalformedViewChange);
    let prepared = |of: &[(u64, u64)]| {
        let of = of.iter().map(|of| certificate(&signers, CertificateKind::Prepared, *of)).collect();
        admitted(&signers, of, vec![])
    };
    assert_eq!(prepared(&[(0, 1), (1, 2), (0, 4)]), Ok(()));
    assert_eq!(prepared(&[(0, 2), (0, 1)]), malformed, "out of order");
    assert_eq!(prepared(&[(0, 1), (1, 1)]), malformed, "a slot twice");
    assert_eq!(prepared(&[(2, 1)]), malformed, "of the view that is yet to begin");
    let committed = certificate(&signers, CertificateKind::Committed, (0, 1));
    assert_eq!(admitted(&signers, vec![committed], vec![]), malformed);

    let vote = |author: usize, phase, view, seq| {
        Vote::sign(&cluster(4), &signers[author], phase, (View(view), Seq(seq), digest("batch")), None)
    };
    let own = |view, seq| vote(3, Phase::Prepare, view, seq);
    let voted = |votes: &[Vote]| admitted(&signers, vec![], votes.to_vec());
    assert_eq!(voted(&[own(0, 1), own(1, 2), own(0, 4)]), Ok(()));
    assert_eq!(voted(&[own(0, 2), own(0, 1)]), malformed, "out of order");
    assert_eq!(voted(&[own(0, 1), own(1, 1)]), malformed, "a slot twice");
    assert_eq!(voted(&[own(2, 1)]), malformed, "of the view that is yet to begin");
    assert_eq!(voted(&[vote(3, Phase::Commit, 0, 1)]), malformed, "no vote to accept");
    assert_eq!(voted(&[vote(2, Phase::Prepare, 0, 1)]), malformed, "another's vote");
    assert_eq!(voted(&[vote(3, Phase::PrePrepare, 0, 1)]), malformed, "it was not the commander");
}

#[test]
fn the_slots_of_a_view_change_lie_within_its_own_watermarks() {
    let (signers, _) = seeded(1, 4);
    let state = digest("state");
    let sign = |author: usize| {
        let vote = CheckpointVote::sign(&cluster(4), &signers[author], Seq(8), state);
        (vote.author, vote.signature)
    };
    let stable = Arc::new(StableCheckpoint { seq: Seq(8), state, votes: [0, 1, 2].map(sign).to_vec() });
    let within = |prepared: &[u64], voted: &[u64]| {
        let prepared = prepared.iter().map(|seq| certificate(&signers, CertificateKind::Prepared, (0, *seq)));
        let vote = |seq: &u64| {
            let about = (View(0), Seq(*seq), digest("batch"));
            Vote::sign(&cluster(4), &signers[3], Phase::Prepare, about, None)
        };
        let voted = voted.iter().map(vote).collect();
        let stable = Some(Arc::clone(&stable));
        ViewChange::sign(&cluster(4), &signers[3], View(1), stable, prepared.collect(), voted).is_within(4)
    };
    assert!(within(&[], &[]) && within(&[9, 16], &[9, 16]));
    for outside in [8, 17] {
        assert!(!within(&[outside], &[]), "prepared: {outside}");
        assert!(!within(&[], &[outside]), "voted: {outside}");
        assert!(!within(&[9], &[outside]), "voted beside what is inside: {outside}");
    }
}

/// A view, and what was prepared or voted for in it.
type Said<'a> = Option<(u64, &'a str)>;

/// A report of one slot, unsigned.
fn report(author: u16, prepared: Said<'_>, voted: Said<'_>) -> Arc<ViewChange> {
    let prepared = prepared.map(|(view, name)| {
        Arc::new(Certificate {
            kind: CertificateKind::Prepared,
            view: View(view),
            seq: Seq(1),
            digest: digest(name),
            communication_node: None,
            votes: [].into(),
            sum: None,
        })
    });
    let voted = voted.map(|(view, name)| Vote {
        phase: Phase::Prepare,
        view: View(view),
        seq: Seq(1),
        digest: digest(name),
        author: ReplicaId(author),
        communication_node: None,
        signature: Signature([0; 64]),
    });
    Arc::new(ViewChange {
        view: View(9),
        author: ReplicaId(author),
        stable: None,
        prepared: prepared.into_iter().collect(),
        voted: voted.into_iter().collect(),
        reports: vec![],
        signature: Signature([0; 64]),
    })
}

/// What the new view of five replicas, one of which may lie, proposes for the slot.
fn chosen(reports: &[(Said<'_>, Said<'_>)]) -> Option<Digest> {
    let reports: Vec<_> = (0..).zip(reports).map(|(author, (p, v))| report(author, *p, *v)).collect();
    let outline = Outline::of(&cluster(5), &reports).expect("certificates leave nothing open");
    assert!(outline.slots.len() <= 1);
    outline.slots.first().map(|(_, digest)| *digest)
}

#[test]
fn of_what_is_reported_the_highest_view_wins_and_a_certificate_wins_a_tie() {
    let vote = |view, name| (None, Some((view, name)));
    let prepared = |view, name| (Some((view, name)), None);
    let nothing = (None, None);
    assert_eq!(chosen(&[nothing; 4]), None);
    // f+1 = 2 reports are needed, for a view or a later one.
    assert_eq!(chosen(&[vote(1, "a"), nothing, nothing, nothing]), None);
    assert_eq!(chosen(&[vote(1, "a"), vote(3, "a"), nothing, nothing]), Some(digest("a")));
    // Whichever digest is the smaller one, and in whatever order they come.
    for (one, other) in [("a", "b"), ("b", "a")] {
        let reports = [vote(1, one), vote(2, other), vote(1, one), vote(2, other)];
        assert_eq!(chosen(&reports), Some(digest(other)));
        let reports = [vote(2, one), vote(2, one), vote(1, other), vote(5, other)];
        assert_eq!(chosen(&reports), Some(digest(one)), "one vote of view 5 may be a lie");
        let reports = [prepared(2, one), vote(2, other), vote(2, other), nothing];
        assert_eq!(chosen(&reports), Some(digest(one)), "a tie");
        let reports = [prepared(2, one), vote(3, other), vote(3, other), nothing];
        assert_eq!(chosen(&reports), Some(digest(other)));
        let reports = [prepared(2, one), prepared(1, other), vote(1, other), vote(1, other)];
        assert_eq!(chosen(&reports), Some(digest(one)));
    }
}

#[test]
fn slots_of_which_nothing_is_reported_below_one_of_which_something_is_get_the_null_request() {
    let vote = |author: u16, seq: u64| {
        let mut change = (*report(author, None, Some((0, "a")))).clone();
        change.voted[0].seq = Seq(seq);
        Arc::new(change)
    };
    let outline = Outline::of(&cluster(4), &[vote(0, 3), vote(1, 3), vote(2, 1)]).unwrap();
    let null = Batch::default().digest();
    assert_eq!(outline.slots, [(Seq(1), null), (Seq(2), null), (Seq(3), digest("a"))]);
}

#[test]
fn of_two_digests_reported_for_the_same_view_the_smaller_one_counts() {
    let vote = |name| (None, Some((1, name)));
    let smaller = digest("a").min(digest("b"));
    for reports in [["a", "a", "b", "b"], ["b", "b", "a", "a"], ["a", "b", "a", "b"]] {
        assert_eq!(chosen(&reports.map(vote)), Some(smaller), "{reports:?}");
    }
}

#[test]
fn what_is_chosen_differs_without_each_rule_just_as_the_rule_says() {
    let vote = |view, name| (None, Some((view, name)));
    let prepared = |view, name| (Some((view, name)), None);
    let nothing = (None, None);
    let without = |rule, reports: &[(Said<'_>, Said<'_>)]| weaken(rule, || chosen(reports));

    let tie = [prepared(2, "a"), vote(2, "b"), vote(2, "b"), nothing];
    let below = [prepared(2, "a"), vote(1, "b"), vote(1, "b"), nothing];
    assert_eq!(without(Weakening::TieWonByReports, &tie), Some(digest("b")));
    assert_eq!(without(Weakening::TieWonByReports, &below), Some(digest("a")), "this is no tie");

    let (one, two) =
        ([vote(1, "a"), nothing, nothing, nothing], [vote(1, "a"), vote(1, "a"), nothing, nothing]);
    assert_eq!(without(Weakening::ReportsOneLess, &one), Some(digest("a")));
    assert_eq!(without(Weakening::ReportsOneLess, &[nothing; 4]), None);

    let apart = [vote(1, "a"), vote(3, "a"), nothing, nothing];
    assert_eq!(without(Weakening::ReportsCountedPerView, &two), Some(digest("a")));
    assert_eq!(without(Weakening::ReportsCountedPerView, &apart), None);
}
