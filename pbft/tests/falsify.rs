//! What a faulty replica makes of its messages, field by field, and whether its key is
//! enough to have it let in.

use kernel::keys::{Keyring, symbolic};
use kernel::{
    Admission, Batch, Bundle, Choose, Chunk, Cluster, ClusterId, Digest, Falsify as _, Forgery, Operation,
    Phase, Reason, ReplicaId, Request, Seq, SessionId, Signature, Signer, Snapshot, StateForgery, Subject,
    View,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, StableCheckpoint,
    ViewChange, Vote,
};
use std::sync::Arc;

/// Who lies; the commander of views 1 and 5.
const LIAR: u16 = 1;
/// The last stable checkpoint, and the slot after it.
const CHECKPOINT: Seq = Seq(128);
const SLOT: Seq = Seq(129);
/// What was proposed for the slot, and another value.
const PROPOSED: Digest = Digest([5; 32]);
const OTHER: Digest = Digest([6; 32]);
const STATE: Digest = Digest([7; 32]);

struct Bench {
    cluster: Cluster,
    signers: Vec<Signer>,
    keyring: Keyring,
}

fn bench() -> Bench {
    let (signers, keyring) = symbolic(1, 4);
    Bench { cluster: Cluster::new(ClusterId::derive("falsify", 1), "ccro", 4), signers, keyring }
}

/// The value that nobody proposed: the hash of the one that somebody did.
fn invented(digest: Digest) -> Digest {
    Digest::of(&digest.0)
}

fn corrupted_vote(vote: &Vote) -> Vote {
    Vote { signature: vote.signature.corrupted(), ..vote.clone() }
}

fn renamed_vote(vote: &Vote, author: u16) -> Vote {
    Vote { author: ReplicaId(author), ..vote.clone() }
}

impl Bench {
    fn signer(&self, id: u16) -> &Signer {
        &self.signers[usize::from(id)]
    }

    fn liar(&self) -> &Signer {
        self.signer(LIAR)
    }

    fn vote(&self, author: u16, phase: Phase, view: u64, digest: Digest) -> Vote {
        Vote::sign(&self.cluster, self.signer(author), phase, (View(view), SLOT, digest), None)
    }

    /// A proposal that names a communication node.
    fn header(&self, view: u64, digest: Digest, node: u16) -> Vote {
        let commander = self.signer(self.cluster.commander(View(view)).0);
        let about = (View(view), SLOT, digest);
        Vote::sign(&self.cluster, commander, Phase::PrePrepare, about, Some(ReplicaId(node)))
    }

    /// A batch of so many bundles.
    fn batch(&self, bundles: u64) -> Arc<Batch> {
        let bundle = |counter| {
            let session = SessionId { gateway: ReplicaId(2), number: 1 };
            let request = Request { session, counter, operation: Operation::new(b"pay") };
            Arc::new(Bundle::sign(&self.cluster, self.signer(2), vec![request]))
        };
        Arc::new(Batch { bundles: (1..=bundles).map(bundle).collect() })
    }

    /// A proposal of the liar's, in view 1.
    fn proposal(&self, batch: &Arc<Batch>) -> Message {
        let node = Some(ReplicaId(2));
        Message::propose(&self.cluster, self.liar(), View(1), SLOT, Arc::clone(batch), node).1
    }

    fn certificate(&self, kind: CertificateKind, view: u64, authors: &[u16]) -> Certificate {
        let commander = self.cluster.commander(View(view));
        let phase = |author: u16| match kind {
            CertificateKind::Committed => Phase::Commit,
            _ if commander.0 == author => Phase::PrePrepare,
            _ => Phase::Prepare,
        };
        let vote = |author| self.vote(author, phase(author), view, PROPOSED).signature;
        let votes = authors.iter().map(|author| (ReplicaId(*author), vote(*author))).collect();
        Certificate {
            kind,
            view: View(view),
            seq: SLOT,
            digest: PROPOSED,
            communication_node: None,
            votes,
            sum: None,
        }
    }

    fn checkpoint(&self, author: u16, state: Digest) -> CheckpointVote {
        CheckpointVote::sign(&self.cluster, self.signer(author), CHECKPOINT, state)
    }

    fn stable(&self, authors: &[u16]) -> StableCheckpoint {
        let vote = |author: &u16| (ReplicaId(*author), self.checkpoint(*author, STATE).signature);
        StableCheckpoint { seq: CHECKPOINT, state: STATE, votes: authors.iter().map(vote).collect() }
    }

    /// A VIEW-CHANGE to view 5 with a checkpoint, a certificate of view 0 and its author's vote.
    fn view_change(&self, author: u16) -> ViewChange {
        let stable = Some(Arc::new(self.stable(&[0, 1, 2])));
        let prepared = vec![Arc::new(self.certificate(CertificateKind::Prepared, 0, &[0, 1, 2]))];
        let voted = vec![self.vote(author, Phase::Prepare, 4, PROPOSED)];
        ViewChange::sign(&self.cluster, self.signer(author), View(5), stable, prepared, voted)
    }

    fn empty_view_change(&self, author: u16, view: u64) -> ViewChange {
        ViewChange::sign(&self.cluster, self.signer(author), View(view), None, vec![], vec![])
    }

    /// The VIEW-CHANGEs of `authors` to the view.
    fn empty_view_changes(&self, authors: &[u16], view: u64) -> Vec<Arc<ViewChange>> {
        authors.iter().map(|author| Arc::new(self.empty_view_change(*author, view))).collect()
    }

    fn new_view(&self, view: u64, changes: Vec<Arc<ViewChange>>, proposals: Vec<Vote>) -> NewView {
        let commander = self.signer(self.cluster.commander(View(view)).0);
        NewView::sign(&self.cluster, commander, View(view), changes, proposals)
    }

    fn recollection(&self, stable: Option<StableCheckpoint>, changes: Vec<Arc<ViewChange>>) -> Recollection {
        let asked = (77, ReplicaId(3));
        Recollection::sign(&self.cluster, self.liar(), asked, stable.map(Arc::new), changes)
    }

    /// What a replica says of the message when the liar sends it.
    fn verdict(&self, message: &Message) -> Result<(), Reason> {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let admitted = admission.admit(ReplicaId(LIAR), message.clone());
        admitted.map(|_| ()).map_err(|rejection| rejection.reason)
    }

    fn falsified(&self, message: &Message) -> Message {
        message.falsified(&self.cluster, self.liar())
    }

    /// What a genuine message becomes, and whether that is let in.
    fn lie(&self, message: &Message) -> (Message, Result<(), Reason>) {
        assert_eq!(self.verdict(message), Ok(()), "it is genuine: {message:?}");
        let lie = self.falsified(message);
        let verdict = self.verdict(&lie);
        (lie, verdict)
    }

    fn with_value(&self, message: &Message, digest: Digest, received: &[Message]) -> Option<Message> {
        message.with_value(digest, received, &self.cluster, self.liar())
    }

    /// All counterfeits of the message that make sense, and whether they are let in.
    fn counterfeits(&self, message: &Message) -> Vec<(Forgery, Message, Result<(), Reason>)> {
        let counterfeit = |forgery: Forgery| {
            let forged = message.forged(forgery, &self.cluster, self.liar())?;
            let verdict = self.verdict(&forged);
            Some((forgery, forged, verdict))
        };
        Forgery::ALL.into_iter().filter_map(counterfeit).collect()
    }
}

fn certificate(certificate: Certificate) -> Message {
    Message::Certificate(Arc::new(certificate))
}

fn stuck(votes: Vec<Vote>) -> Message {
    Message::Stuck { seq: SLOT, complaint: true, votes }
}

fn conflict(first: &Vote, second: Vote) -> Message {
    Message::Conflict { first: Box::new(first.clone()), second: Box::new(second) }
}

/// The same certificate with the votes at these places of it, in this order.
fn with_votes(genuine: &Certificate, places: &[usize]) -> Certificate {
    let votes = places.iter().map(|place| genuine.votes[*place]).collect();
    Certificate { votes, ..genuine.clone() }
}

const REFUSED_SIGNATURE: Result<(), Reason> = Err(Reason::BadSignature);
const REFUSED_AUTHOR: Result<(), Reason> = Err(Reason::NotEntitled);
const REFUSED_CERTIFICATE: Result<(), Reason> = Err(Reason::MalformedCertificate);
const REFUSED_VIEW_CHANGE: Result<(), Reason> = Err(Reason::MalformedViewChange);

#[test]
fn a_falsified_vote_holds_if_it_is_one_s_own() {
    let bench = bench();
    let own = bench.vote(LIAR, Phase::Prepare, 0, PROPOSED);
    let lie = bench.vote(LIAR, Phase::Prepare, 0, invented(PROPOSED));
    assert_eq!(bench.lie(&Message::Vote(own)), (Message::Vote(lie), Ok(())));
    let others = bench.vote(2, Phase::Prepare, 0, PROPOSED);
    let lie = Vote { digest: invented(PROPOSED), ..others.clone() };
    assert_eq!(bench.lie(&Message::Vote(others)), (Message::Vote(lie), REFUSED_SIGNATURE));
}

#[test]
fn a_falsified_complaint_leaves_the_proposal_as_it_is() {
    let bench = bench();
    let header = bench.header(1, PROPOSED, 2);
    let votes = |prepared, committed| {
        let prepare = bench.vote(LIAR, Phase::Prepare, 4, prepared);
        stuck(vec![header.clone(), prepare, bench.vote(LIAR, Phase::Commit, 1, committed)])
    };
    let lie = votes(invented(PROPOSED), invented(OTHER));
    assert_eq!(bench.lie(&votes(PROPOSED, OTHER)), (lie, Ok(())));
}

#[test]
fn falsified_certificates_and_proofs_keep_votes_that_are_for_something_else() {
    let bench = bench();
    let genuine = bench.certificate(CertificateKind::Committed, 0, &[0, 1, 2]);
    let lie = Certificate { digest: invented(PROPOSED), ..genuine.clone() };
    assert_eq!(bench.lie(&certificate(genuine)), (certificate(lie), REFUSED_SIGNATURE));
    let genuine = bench.stable(&[0, 1, 2]);
    let lie = Message::Stable(Arc::new(StableCheckpoint { state: invented(STATE), ..genuine.clone() }));
    assert_eq!(bench.lie(&Message::Stable(Arc::new(genuine))), (lie, REFUSED_SIGNATURE));
}

#[test]
fn a_falsified_checkpoint_is_of_a_state_that_nobody_has() {
    let bench = bench();
    let checkpoint = |state| Message::Checkpoint(bench.checkpoint(LIAR, state));
    assert_eq!(bench.lie(&checkpoint(STATE)), (checkpoint(invented(STATE)), Ok(())));
}

#[test]
fn falsified_progress_is_one_view_and_a_thousand_slots_ahead() {
    let bench = bench();
    let progress = |view, executed| Message::Progress { view: View(view), executed: Seq(executed) };
    assert_eq!(bench.lie(&progress(3, 50)), (progress(4, 1050), Ok(())));
}

#[test]
fn a_falsified_view_change_conceals_what_was_prepared_and_reports_votes_for_null_requests() {
    let bench = bench();
    let genuine = bench.view_change(LIAR);
    let voted = vec![bench.vote(LIAR, Phase::Prepare, 4, Batch::default().digest())];
    let lie = ViewChange::sign(&bench.cluster, bench.liar(), View(5), genuine.stable.clone(), vec![], voted);
    let lie = Message::ViewChange(Arc::new(lie));
    assert_eq!(bench.lie(&Message::ViewChange(Arc::new(genuine))), (lie, Ok(())));
}

#[test]
fn a_falsified_new_view_proposes_what_does_not_follow_from_its_view_changes() {
    let bench = bench();
    let changes = bench.empty_view_changes(&[0, 1, 2], 1);
    let new_view = |digest| {
        let new_view = bench.new_view(1, changes.clone(), vec![bench.header(1, digest, 2)]);
        Message::NewView(Arc::new(new_view))
    };
    assert_eq!(bench.lie(&new_view(PROPOSED)), (new_view(invented(PROPOSED)), Ok(())));
}

#[test]
fn a_falsified_recollection_claims_to_know_nothing() {
    let bench = bench();
    let genuine = bench.recollection(Some(bench.stable(&[0, 1, 2])), bench.empty_view_changes(&[0, 2], 4));
    let lie = Message::Recollection(Arc::new(bench.recollection(None, vec![])));
    assert_eq!(bench.lie(&Message::Recollection(Arc::new(genuine))), (lie, Ok(())));
}

#[test]
fn a_falsified_batch_is_empty_and_a_falsified_state_differs_in_a_bit() {
    let bench = bench();
    let fetched = |batch| Message::Fetched { seq: SLOT, batch };
    assert_eq!(bench.lie(&fetched(bench.batch(1))), (fetched(Arc::default()), Ok(())));
    let state = Snapshot::new(vec![Chunk::new(b"state a"), Chunk::new(b"more")]);
    let part = state.prove(0).unwrap();
    let mut other = part.clone();
    other.bytes = Operation::new(b"state `");
    let served = |part| Message::State { seq: CHECKPOINT, part };
    assert_eq!(bench.lie(&served(part)), (served(other), Ok(())));
}

/// Messages of kinds that are not falsified, and others' that it could not sign.
fn left_as_they_are(bench: &Bench) -> Vec<Message> {
    let header = bench.header(0, PROPOSED, 2);
    let batch = bench.batch(1);
    let new_view = bench.new_view(2, bench.empty_view_changes(&[0, 1, 2], 2), vec![]);
    vec![
        Message::Requests(Arc::clone(&batch.bundles[0])),
        bench.proposal(&batch),
        Message::Fetch { seq: SLOT, digest: PROPOSED },
        Message::ViewChange(Arc::new(bench.view_change(2))),
        Message::NewView(Arc::new(new_view)),
        conflict(&header, bench.header(0, OTHER, 2)),
        Message::FetchState { seq: CHECKPOINT, index: 3 },
        Message::Recover { nonce: 77 },
    ]
}

#[test]
fn what_others_signed_and_questions_and_proposals_are_not_falsified() {
    let bench = bench();
    for message in left_as_they_are(&bench) {
        assert_eq!(bench.lie(&message), (message, Ok(())));
    }
}

#[test]
fn the_alternative_to_a_proposal_lacks_its_last_bundle_and_an_empty_one_has_none() {
    let bench = bench();
    let alternative = |message: &Message| message.alternative(&bench.cluster, bench.liar());
    let shorter = bench.proposal(&bench.batch(1));
    assert_eq!(alternative(&bench.proposal(&bench.batch(2))), Some(shorter.clone()));
    assert_eq!(bench.verdict(&shorter), Ok(()));
    assert_eq!(alternative(&bench.proposal(&Arc::default())), None);
    assert_eq!(alternative(&Message::Vote(bench.vote(LIAR, Phase::Commit, 0, PROPOSED))), None);
}

#[test]
fn proposals_votes_and_certificates_have_a_subject_and_nothing_else_has() {
    let bench = bench();
    let batch = bench.batch(1);
    let about = |view, digest| Some(Subject { view: Some(View(view)), seq: SLOT, digest });
    assert_eq!(bench.proposal(&batch).subject(), about(1, batch.digest()));
    let vote = bench.vote(LIAR, Phase::Commit, 3, PROPOSED);
    assert_eq!(Message::Vote(vote.clone()).subject(), about(3, PROPOSED));
    let first = stuck(vec![vote, bench.vote(LIAR, Phase::Prepare, 4, OTHER)]);
    assert_eq!(first.subject(), about(3, PROPOSED));
    assert_eq!(stuck(vec![]).subject(), None);
    let fast = bench.certificate(CertificateKind::Fast, 2, &[0, 1, 2, 3]);
    assert_eq!(certificate(fast).subject(), about(2, PROPOSED));
    let checkpoint = Message::Checkpoint(bench.checkpoint(LIAR, STATE));
    let others = [checkpoint, Message::Fetch { seq: SLOT, digest: PROPOSED }];
    for message in others {
        assert_eq!(message.subject(), None, "{message:?}");
    }
}

#[test]
fn only_a_bundle_on_its_way_is_somebody_s_requests() {
    let bench = bench();
    let batch = bench.batch(1);
    assert_eq!(Message::Requests(Arc::clone(&batch.bundles[0])).requests_of(), Some(ReplicaId(2)));
    assert_eq!(bench.proposal(&batch).requests_of(), None);
}

#[test]
fn its_own_votes_can_be_for_another_value_and_others_cannot() {
    let bench = bench();
    let vote = |author, digest| Message::Vote(bench.vote(author, Phase::Commit, 0, digest));
    assert_eq!(bench.with_value(&vote(LIAR, PROPOSED), OTHER, &[]), Some(vote(LIAR, OTHER)));
    assert_eq!(bench.with_value(&vote(2, PROPOSED), OTHER, &[]), None);
    let votes = |digest| {
        let commit = bench.vote(LIAR, Phase::Commit, 1, digest);
        stuck(vec![bench.header(1, digest, 2), commit])
    };
    assert_eq!(bench.with_value(&votes(PROPOSED), OTHER, &[]), Some(votes(OTHER)));
    assert_eq!(bench.verdict(&votes(OTHER)), Ok(()));
    let checkpoint = Message::Checkpoint(bench.checkpoint(LIAR, STATE));
    assert_eq!(bench.with_value(&checkpoint, OTHER, &[]), None);
}

#[test]
fn a_proposal_of_another_value_is_the_one_received_for_the_same_slot_and_view() {
    let bench = bench();
    let (genuine, other) = (bench.proposal(&bench.batch(2)), bench.proposal(&bench.batch(1)));
    let wanted = bench.batch(1).digest();
    let proposal = |view: u64, seq| {
        let (signer, node) = (bench.signer((view % 4) as u16), None);
        Message::propose(&bench.cluster, signer, View(view), seq, bench.batch(1), node).1
    };
    let vote = Message::Vote(bench.vote(2, Phase::Prepare, 1, wanted));
    let mut received = vec![genuine.clone(), proposal(2, SLOT), proposal(1, SLOT.next()), vote];
    assert_eq!(bench.with_value(&genuine, wanted, &received), None);
    received.push(other.clone());
    assert_eq!(bench.with_value(&genuine, wanted, &received), Some(other));
}

/// Votes that do not belong into a certificate for [`OTHER`] of this view and phase, each for
/// one reason.
fn unfit(bench: &Bench, view: u64, phase: Phase) -> Vec<Message> {
    let about = (View(view), SLOT.next(), OTHER);
    let elsewhere = Vote::sign(&bench.cluster, bench.signer(3), phase, about, None);
    let otherwise = if phase == Phase::Commit { Phase::Prepare } else { Phase::Commit };
    vec![
        Message::Vote(bench.vote(3, phase, view, PROPOSED)),
        Message::Vote(bench.vote(3, phase, view + 4, OTHER)),
        Message::Vote(elsewhere),
        Message::Vote(bench.vote(3, otherwise, view, OTHER)),
        Message::Checkpoint(bench.checkpoint(3, OTHER)),
    ]
}

/// The certificate that the liar makes for [`OTHER`] of what it received, where it would have
/// sent `model`.
fn collected(bench: &Bench, model: Certificate, received: &[Message]) -> Certificate {
    match bench.with_value(&certificate(model), OTHER, received) {
        Some(Message::Certificate(collected)) => Certificate::clone(&collected),
        other => panic!("a certificate stays one: {other:?}"),
    }
}

/// The certificate of these votes for [`OTHER`], which names the communication node of the first.
fn made_of(model: &Certificate, votes: &[Vote]) -> Certificate {
    let entries = votes.iter().map(|vote| (vote.author, vote.signature)).collect();
    let communication_node = votes[0].communication_node;
    Certificate { digest: OTHER, communication_node, votes: entries, ..model.clone() }
}

#[test]
fn a_certificate_for_another_value_is_made_of_the_votes_at_hand_and_one_s_own() {
    let bench = bench();
    let header = bench.header(0, OTHER, 3);
    let prepare = |author| bench.vote(author, Phase::Prepare, 0, OTHER);
    let model = bench.certificate(CertificateKind::Prepared, 0, &[0, 1, 2]);
    let expected = made_of(&model, &[header.clone(), prepare(1), prepare(2), prepare(3)]);
    let mut received = unfit(&bench, 0, Phase::Prepare);
    received.extend([
        // A commander's vote is its proposal, never a PREPARE.
        Message::Vote(prepare(0)),
        Message::PrePrepare { header, batch: Arc::default() },
        Message::Vote(prepare(2)),
        // Of two votes of one author the first is taken.
        Message::Vote(corrupted_vote(&prepare(2))),
        stuck(vec![bench.vote(3, Phase::Commit, 0, OTHER), prepare(3)]),
    ]);
    let made = collected(&bench, model, &received);
    assert_eq!(made, expected);
    assert_eq!(bench.verdict(&certificate(made)), Ok(()));
}

#[test]
fn a_certificate_of_commits_for_another_value_is_made_of_commits() {
    let bench = bench();
    let commit = |author| bench.vote(author, Phase::Commit, 0, OTHER);
    let model = bench.certificate(CertificateKind::Committed, 0, &[0, 2, 3]);
    let expected = made_of(&model, &[commit(0), commit(1), commit(2)]);
    let mut received = unfit(&bench, 0, Phase::Commit);
    // Of a certificate for the same value the votes are taken, but not those to accept.
    let accepted = bench.certificate(CertificateKind::Fast, 0, &[0, 1, 2, 3]);
    received.push(certificate(Certificate { digest: OTHER, ..accepted }));
    received.push(certificate(made_of(&model, &[commit(0), commit(2)])));
    let made = collected(&bench, model, &received);
    assert_eq!(made, expected);
    assert_eq!(bench.verdict(&certificate(made)), Ok(()));
}

#[test]
fn a_certificate_for_another_value_takes_no_proposal_that_its_commander_did_not_make() {
    let bench = bench();
    let prepare = |author| bench.vote(author, Phase::Prepare, 1, OTHER);
    let genuine = bench.certificate(CertificateKind::Fast, 1, &[0, 1, 2, 3]);
    let model = Certificate { communication_node: Some(ReplicaId(3)), ..genuine };
    // The liar is the commander and has not proposed the value: it has no vote of its own to add.
    let received = [Message::Vote(prepare(2)), Message::Vote(prepare(0))];
    let made = collected(&bench, model.clone(), &received);
    let votes = [(ReplicaId(0), prepare(0).signature), (ReplicaId(2), prepare(2).signature)].into();
    assert_eq!(made, Certificate { digest: OTHER, votes, ..model });
}

#[test]
fn counterfeit_votes_have_bad_signatures_or_another_s_name() {
    let bench = bench();
    let vote = bench.vote(LIAR, Phase::Prepare, 0, PROPOSED);
    let expected = vec![
        (Forgery::Signature, Message::Vote(corrupted_vote(&vote)), REFUSED_SIGNATURE),
        (Forgery::Name, Message::Vote(renamed_vote(&vote, 2)), REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&Message::Vote(vote)), expected);
    let vote = bench.checkpoint(3, STATE);
    let corrupted = CheckpointVote { signature: vote.signature.corrupted(), ..vote.clone() };
    // After the last replica comes the first.
    let renamed = CheckpointVote { author: ReplicaId(0), ..vote.clone() };
    let expected = vec![
        (Forgery::Signature, Message::Checkpoint(corrupted), REFUSED_SIGNATURE),
        (Forgery::Name, Message::Checkpoint(renamed), REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&Message::Checkpoint(vote)), expected);
}

#[test]
fn a_counterfeit_proposal_has_a_bad_header_or_another_batch() {
    let bench = bench();
    let genuine = bench.proposal(&bench.batch(1));
    let Message::PrePrepare { header, batch } = &genuine else { unreachable!("it proposes") };
    let proposal =
        |header: Vote, batch: &Arc<Batch>| Message::PrePrepare { header, batch: Arc::clone(batch) };
    let mixed = proposal(header.clone(), &Arc::default());
    let expected = vec![
        (Forgery::Signature, proposal(corrupted_vote(header), batch), REFUSED_SIGNATURE),
        (Forgery::Name, proposal(renamed_vote(header, 2), batch), REFUSED_AUTHOR),
        (Forgery::Mixed, mixed, Err(Reason::DigestMismatch)),
    ];
    assert_eq!(bench.counterfeits(&genuine), expected);
}

#[test]
fn every_vote_of_a_counterfeit_complaint_is_counterfeit_and_one_without_votes_cannot_be() {
    let bench = bench();
    let votes = [bench.vote(LIAR, Phase::Prepare, 0, PROPOSED), bench.vote(LIAR, Phase::Commit, 0, PROPOSED)];
    let corrupted = votes.iter().map(corrupted_vote).collect();
    let renamed = votes.iter().map(|vote| renamed_vote(vote, 2)).collect();
    let expected = vec![
        (Forgery::Signature, stuck(corrupted), REFUSED_SIGNATURE),
        (Forgery::Name, stuck(renamed), REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&stuck(votes.to_vec())), expected);
    assert_eq!(bench.counterfeits(&stuck(vec![])), vec![]);
}

#[test]
fn the_second_proposal_of_a_counterfeit_conflict_is_counterfeit() {
    let bench = bench();
    let (first, second) = (bench.header(0, PROPOSED, 2), bench.header(0, OTHER, 2));
    let expected = vec![
        (Forgery::Signature, conflict(&first, corrupted_vote(&second)), REFUSED_SIGNATURE),
        (Forgery::Name, conflict(&first, renamed_vote(&second, 1)), REFUSED_CERTIFICATE),
    ];
    assert_eq!(bench.counterfeits(&conflict(&first, second)), expected);
}

/// The certificate with another first vote.
fn with_first(genuine: &Certificate, first: (u16, Signature)) -> Message {
    let mut forged = genuine.clone();
    Arc::make_mut(&mut forged.votes)[0] = (ReplicaId(first.0), first.1);
    certificate(forged)
}

#[test]
fn a_counterfeit_prepared_certificate_keeps_the_commander_s_vote() {
    let bench = bench();
    // The commander's vote is the last, and there is one vote more than it takes.
    let genuine = bench.certificate(CertificateKind::Prepared, 3, &[0, 1, 2, 3]);
    let signature = genuine.votes[0].1;
    let committed = Certificate { kind: CertificateKind::Committed, ..genuine.clone() };
    let expected = vec![
        (Forgery::Signature, with_first(&genuine, (0, signature.corrupted())), REFUSED_SIGNATURE),
        (Forgery::Name, with_first(&genuine, (1, signature)), REFUSED_CERTIFICATE),
        (Forgery::Short, certificate(with_votes(&genuine, &[0, 3])), REFUSED_CERTIFICATE),
        (Forgery::Repeated, certificate(with_votes(&genuine, &[0, 0, 3])), REFUSED_CERTIFICATE),
        (Forgery::Mixed, certificate(committed), REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&certificate(genuine)), expected);
}

/// The certificate with the liar's vote replaced by a COMMIT for what nobody proposed.
fn mixed(bench: &Bench, genuine: &Certificate) -> Message {
    let commit = bench.vote(LIAR, Phase::Commit, genuine.view.0, invented(PROPOSED));
    let mut forged = genuine.clone();
    let own = Arc::make_mut(&mut forged.votes).iter_mut().find(|(author, _)| *author == ReplicaId(LIAR));
    own.expect("it has voted").1 = commit.signature;
    certificate(forged)
}

#[test]
fn a_counterfeit_final_certificate_has_a_vote_too_few_one_twice_or_one_for_another_batch() {
    let bench = bench();
    for (kind, authors, short, repeated) in [
        (CertificateKind::Fast, vec![0, 1, 2, 3], vec![0, 1, 2], vec![0, 0, 1, 2]),
        (CertificateKind::Committed, vec![0, 1, 3], vec![0, 1], vec![0, 0, 1]),
    ] {
        let genuine = bench.certificate(kind, 0, &authors);
        let signature = genuine.votes[0].1;
        let expected = vec![
            (Forgery::Signature, with_first(&genuine, (0, signature.corrupted())), REFUSED_SIGNATURE),
            (Forgery::Name, with_first(&genuine, (1, signature)), REFUSED_CERTIFICATE),
            (Forgery::Short, certificate(with_votes(&genuine, &short)), REFUSED_CERTIFICATE),
            (Forgery::Repeated, certificate(with_votes(&genuine, &repeated)), REFUSED_CERTIFICATE),
            (Forgery::Mixed, mixed(&bench, &genuine), REFUSED_SIGNATURE),
        ];
        assert_eq!(bench.counterfeits(&certificate(genuine)), expected, "{kind:?}");
    }
}

#[test]
fn a_certificate_that_is_too_short_already_stays_so_or_is_filled_with_one_vote() {
    let bench = bench();
    let short = bench.certificate(CertificateKind::Committed, 0, &[2, 3]);
    let counterfeits = bench.counterfeits(&certificate(short.clone()));
    // Without its own vote among them it has none that it could sign for another batch.
    let forgeries: Vec<Forgery> = counterfeits.iter().map(|(forgery, ..)| *forgery).collect();
    assert_eq!(forgeries, [Forgery::Signature, Forgery::Name, Forgery::Short, Forgery::Repeated]);
    assert_eq!(counterfeits[2].1, certificate(short.clone()));
    assert_eq!(counterfeits[3].1, certificate(with_votes(&short, &[0, 0, 1])));
    let empty = Certificate { votes: [].into(), ..short };
    let counterfeits = bench.counterfeits(&certificate(empty));
    assert_eq!(counterfeits, vec![], "there is no vote to work on");
}

/// The proof with its votes changed.
fn altered(genuine: &StableCheckpoint, alter: impl Fn(&mut Vec<(ReplicaId, Signature)>)) -> StableCheckpoint {
    let mut forged = genuine.clone();
    alter(&mut forged.votes);
    forged
}

/// A proof by the replicas 1, 2 and 3, and how it is counterfeit in each way.
fn counterfeit_proofs(bench: &Bench) -> (StableCheckpoint, [StableCheckpoint; 5]) {
    let genuine = bench.stable(&[1, 2, 3]);
    let lie = bench.checkpoint(LIAR, invented(STATE)).signature;
    let repeat = |votes: &mut Vec<(ReplicaId, Signature)>| *votes = vec![votes[0], votes[0], votes[1]];
    let forged = [
        altered(&genuine, |votes| votes[0].1 = votes[0].1.corrupted()),
        altered(&genuine, |votes| votes[0].0 = ReplicaId(2)),
        altered(&genuine, |votes| votes.truncate(2)),
        altered(&genuine, repeat),
        altered(&genuine, |votes| votes[0].1 = lie),
    ];
    (genuine, forged)
}

#[test]
fn a_counterfeit_proof_of_a_checkpoint_has_a_vote_too_few_one_twice_or_one_for_another_state() {
    let bench = bench();
    let (genuine, forged) = counterfeit_proofs(&bench);
    let [corrupted, renamed, short, repeated, mixed] = forged.map(|proof| Message::Stable(Arc::new(proof)));
    let expected = vec![
        (Forgery::Signature, corrupted, REFUSED_SIGNATURE),
        (Forgery::Name, renamed, REFUSED_CERTIFICATE),
        (Forgery::Short, short, REFUSED_CERTIFICATE),
        (Forgery::Repeated, repeated, REFUSED_CERTIFICATE),
        (Forgery::Mixed, mixed, REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&Message::Stable(Arc::new(genuine))), expected);
    // None of its own, so none that it can replace.
    let others = Message::Stable(Arc::new(bench.stable(&[0, 2, 3])));
    assert_eq!(others.forged(Forgery::Mixed, &bench.cluster, bench.liar()), None);
}

#[test]
fn a_counterfeit_view_change_is_signed_validly_around_counterfeit_proofs() {
    let bench = bench();
    let (stable, [_, _, short, repeated, mixed]) = counterfeit_proofs(&bench);
    let prepared = bench.certificate(CertificateKind::Prepared, 0, &[0, 1, 2]);
    let voted = vec![bench.vote(LIAR, Phase::Prepare, 4, PROPOSED)];
    let change = |stable, prepared| {
        let (stable, prepared) = (Some(Arc::new(stable)), vec![Arc::new(prepared)]);
        ViewChange::sign(&bench.cluster, bench.liar(), View(5), stable, prepared, voted.clone())
    };
    let message = |change| Message::ViewChange(Arc::new(change));
    let genuine = change(stable, prepared.clone());
    let corrupted = ViewChange { signature: genuine.signature.corrupted(), ..genuine.clone() };
    let renamed = ViewChange { author: ReplicaId(2), ..genuine.clone() };
    let committed = Certificate { kind: CertificateKind::Committed, ..prepared.clone() };
    let (too_few, twice) = (with_votes(&prepared, &[0, 1]), with_votes(&prepared, &[0, 0, 1]));
    let expected = vec![
        (Forgery::Signature, message(corrupted), REFUSED_SIGNATURE),
        (Forgery::Name, message(renamed), REFUSED_VIEW_CHANGE),
        (Forgery::Short, message(change(short, too_few)), REFUSED_VIEW_CHANGE),
        (Forgery::Repeated, message(change(repeated, twice)), REFUSED_VIEW_CHANGE),
        (Forgery::Mixed, message(change(mixed, committed)), REFUSED_VIEW_CHANGE),
    ];
    assert_eq!(bench.counterfeits(&message(genuine)), expected);
}

#[test]
fn a_view_change_without_anything_prepared_gets_an_invented_certificate() {
    let bench = bench();
    // The invented slot is of the view before: in view 1 the liar commands, in view 0 it does not.
    for (view, phase) in [(2, Phase::PrePrepare), (1, Phase::Prepare)] {
        let digest = Digest::of(&0u64.to_le_bytes());
        let about = (View(view - 1), Seq(1), digest);
        let own = Vote::sign(&bench.cluster, bench.liar(), phase, about, None).signature;
        let invented = |kind, votes: usize| Certificate {
            kind,
            view: View(view - 1),
            seq: Seq(1),
            digest,
            communication_node: None,
            votes: vec![(ReplicaId(LIAR), own); votes].into(),
            sum: None,
        };
        let change = |prepared| {
            let prepared = vec![Arc::new(prepared)];
            let change = ViewChange::sign(&bench.cluster, bench.liar(), View(view), None, prepared, vec![]);
            Message::ViewChange(Arc::new(change))
        };
        let genuine = Message::ViewChange(Arc::new(bench.empty_view_change(LIAR, view)));
        let (prepared, committed) = (CertificateKind::Prepared, CertificateKind::Committed);
        let expected = [
            (Forgery::Short, change(invented(prepared, 1)), REFUSED_VIEW_CHANGE),
            (Forgery::Repeated, change(invented(prepared, 3)), REFUSED_VIEW_CHANGE),
            (Forgery::Mixed, change(invented(committed, 1)), REFUSED_VIEW_CHANGE),
        ];
        assert_eq!(bench.counterfeits(&genuine)[2..], expected, "view {view}");
    }
}

#[test]
fn a_counterfeit_new_view_is_signed_validly_around_counterfeit_content() {
    let bench = bench();
    let changes = bench.empty_view_changes(&[0, 1, 2], 1);
    let proposals = vec![bench.header(1, PROPOSED, 2)];
    let null = vec![bench.header(1, Batch::default().digest(), 2)];
    let genuine = bench.new_view(1, changes.clone(), proposals.clone());
    let corrupted = NewView { signature: genuine.signature.corrupted(), ..genuine.clone() };
    let mut renamed = changes.clone();
    renamed[0] = Arc::new(ViewChange { author: ReplicaId(1), ..ViewChange::clone(&changes[0]) });
    let repeated = vec![Arc::clone(&changes[0]), Arc::clone(&changes[1]), Arc::clone(&changes[0])];
    let message = |changes: &[_], proposals: &[_]| {
        Message::NewView(Arc::new(bench.new_view(1, changes.to_vec(), proposals.to_vec())))
    };
    let expected = vec![
        (Forgery::Signature, Message::NewView(Arc::new(corrupted)), REFUSED_SIGNATURE),
        (Forgery::Name, message(&renamed, &proposals), REFUSED_VIEW_CHANGE),
        (Forgery::Short, message(&changes[..2], &proposals), REFUSED_VIEW_CHANGE),
        (Forgery::Repeated, message(&repeated, &proposals), REFUSED_VIEW_CHANGE),
        // Whether its proposals follow from the VIEW-CHANGEs is for the replica to see.
        (Forgery::Mixed, message(&changes, &null), Ok(())),
    ];
    assert_eq!(bench.counterfeits(&Message::NewView(Arc::new(genuine))), expected);
}

#[test]
fn a_new_view_without_content_has_only_its_signature_to_forge() {
    let bench = bench();
    let empty = bench.new_view(1, vec![], vec![]);
    let corrupted = NewView { signature: empty.signature.corrupted(), ..empty.clone() };
    let corrupted = Message::NewView(Arc::new(corrupted));
    let expected = vec![(Forgery::Signature, corrupted, REFUSED_VIEW_CHANGE)];
    assert_eq!(bench.counterfeits(&Message::NewView(Arc::new(empty))), expected);
}

#[test]
fn a_counterfeit_recollection_is_signed_validly_around_a_counterfeit_proof() {
    let bench = bench();
    let (stable, [_, _, short, repeated, mixed]) = counterfeit_proofs(&bench);
    let answer = |stable| bench.recollection(stable, bench.empty_view_changes(&[0, 2], 4));
    let message = |answer| Message::Recollection(Arc::new(answer));
    let genuine = answer(Some(stable));
    let corrupted = Recollection { signature: genuine.signature.corrupted(), ..genuine.clone() };
    let renamed = Recollection { author: ReplicaId(2), ..genuine.clone() };
    let expected = vec![
        (Forgery::Signature, message(corrupted), REFUSED_SIGNATURE),
        (Forgery::Name, message(renamed), REFUSED_AUTHOR),
        (Forgery::Short, message(answer(Some(short))), REFUSED_CERTIFICATE),
        (Forgery::Repeated, message(answer(Some(repeated))), REFUSED_CERTIFICATE),
        (Forgery::Mixed, message(answer(Some(mixed))), REFUSED_SIGNATURE),
    ];
    assert_eq!(bench.counterfeits(&message(genuine)), expected);
    let forgeries = bench.counterfeits(&message(answer(None)));
    let forgeries: Vec<Forgery> = forgeries.iter().map(|(forgery, ..)| *forgery).collect();
    assert_eq!(forgeries, [Forgery::Signature, Forgery::Name], "there is no proof");
}

#[test]
fn what_nobody_signs_has_no_counterfeits() {
    let bench = bench();
    let batch = bench.batch(1);
    let part = Snapshot::new(vec![Chunk::new(b"state")]).prove(0).unwrap();
    for message in [
        Message::Requests(Arc::clone(&batch.bundles[0])),
        Message::Progress { view: View(1), executed: SLOT },
        Message::Fetch { seq: SLOT, digest: PROPOSED },
        Message::Fetched { seq: SLOT, batch },
        Message::FetchState { seq: CHECKPOINT, index: 0 },
        Message::State { seq: CHECKPOINT, part },
        Message::Recover { nonce: 77 },
    ] {
        assert_eq!(bench.counterfeits(&message), vec![], "{message:?}");
    }
}

#[test]
fn only_parts_of_a_state_are_misserved() {
    let fetch = Message::FetchState { seq: CHECKPOINT, index: 0 };
    for forgery in StateForgery::ALL {
        assert_eq!(fetch.misserved(forgery), None, "{forgery:?}");
    }
}

#[test]
fn needless_view_changes_are_for_the_next_two_views_and_hold() {
    let bench = bench();
    let demands = Message::needless_view_changes(View(3), &bench.cluster, bench.liar());
    let expected = [4, 5].map(|view| Message::ViewChange(Arc::new(bench.empty_view_change(LIAR, view))));
    assert_eq!(demands, expected);
    for demand in &demands {
        assert_eq!(bench.verdict(demand), Ok(()));
    }
}

/// Chooses what it was told, in this order.
struct Told(Vec<u64>);

impl Choose for Told {
    fn below(&mut self, bound: u64) -> u64 {
        let told = self.0.remove(0);
        assert!(told < bound, "{told} is not below {bound}");
        told
    }
}

#[test]
fn noise_is_of_six_kinds_up_to_600_slots_ahead_and_all_of_it_is_let_in() {
    let bench = bench();
    let near = Seq(10);
    let noise = |choices: &[u64]| {
        let mut choose = Told(choices.to_vec());
        Message::noise(near, &mut choose, &bench.cluster, bench.liar())
    };
    let (seq, digest) = (Seq(610), Digest::of(&610u64.to_le_bytes()));
    let commit = Vote::sign(&bench.cluster, bench.liar(), Phase::Commit, (View(0), seq, digest), None);
    let checkpoint = CheckpointVote::sign(&bench.cluster, bench.liar(), seq, digest);
    let expected = [
        Message::Vote(commit),
        Message::Stuck { seq, complaint: true, votes: vec![] },
        Message::Fetch { seq: near, digest },
        Message::FetchState { seq: near, index: 0 },
        Message::Checkpoint(checkpoint),
        Message::Progress { view: View(19), executed: seq },
    ];
    for (kind, expected) in (0..).zip(expected) {
        let made = noise(&[599, kind, 19]);
        assert_eq!((bench.verdict(&made), &made), (Ok(()), &expected));
    }
    let nearest = Message::Stuck { seq: Seq(11), complaint: true, votes: vec![] };
    assert_eq!(noise(&[0, 1]), nearest);
}

#[test]
fn where_one_vote_is_enough_none_is_repeated_and_the_commander_s_is_not_left_out() {
    let (signers, keyring) = symbolic(1, 1);
    let bench = Bench { cluster: Cluster::new(ClusterId::derive("falsify", 1), "pbft", 1), signers, keyring };
    let forged = |message: &Message, forgery| message.forged(forgery, &bench.cluster, bench.signer(0));
    let stable = |votes: &[u16]| Message::Stable(Arc::new(bench.stable(votes)));
    assert_eq!(forged(&stable(&[0]), Forgery::Repeated), None);
    assert_eq!(forged(&stable(&[0]), Forgery::Short), Some(stable(&[])));
    let prepared = bench.certificate(CertificateKind::Prepared, 0, &[0]);
    let prepared = Message::Certificate(Arc::new(prepared));
    for forgery in [Forgery::Repeated, Forgery::Short] {
        assert_eq!(forged(&prepared, forgery), None);
    }
}
