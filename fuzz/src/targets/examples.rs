//! Valid messages, signed as they should be: where mutations begin.

use kernel::{
    Batch, Bundle, Chunk, Cluster, ClusterId, Digest, Falsify as _, Keyring, Operation, Output, Phase,
    ReplicaId, Reply, ReplyBundle, Request, SeededChoice, Seq, SessionId, Signer, Snapshot, View,
};
use pbft::mac::SlotReport;
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, StableCheckpoint,
    ViewChange, Vote,
};
use std::sync::Arc;

const SEED: u64 = 0;
/// Replicas.
pub const N: u16 = 4;

/// A cluster, with one client that has a key, and all its keys.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The cluster.
    pub cluster: Cluster,
    /// Of replicas, then of the client.
    pub signers: Vec<Signer>,
    /// The same.
    pub keyring: Keyring,
}

impl Bench {
    /// A cluster that runs `protocol`. Signatures are symbolic: they hold or do not hold as others
    /// do, and cost little.
    pub fn new(protocol: &str) -> Bench {
        let cluster = Cluster::new(ClusterId::derive("fuzz", SEED), protocol, N).with_clients(1);
        let (signers, keyring) = kernel::keys::symbolic(SEED, N + 1);
        Bench { cluster, signers, keyring }
    }

    /// Requests of a gateway or client, signed by it.
    pub fn bundle(&self, gateway: u16, operation: &[u8]) -> Arc<Bundle> {
        let request = Request {
            session: SessionId { gateway: ReplicaId(gateway), number: 1 },
            counter: 1,
            operation: Operation::new(operation),
        };
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], vec![request]))
    }

    /// A reply to such a bundle.
    pub fn reply(&self, replica: u16, bundle: &Bundle, result: &[u8]) -> ReplyBundle {
        let request = &bundle.requests()[0];
        let reply = Reply { session: request.session, counter: request.counter, result: Output::new(result) };
        let (cluster, signer) = (&self.cluster, &self.signers[usize::from(replica)]);
        let bundles = vec![bundle.digest()];
        ReplyBundle::sign(cluster, signer, View(0), Seq(1), bundle.gateway(), bundles, vec![reply])
    }

    fn vote(&self, author: u16, phase: Phase, about: (View, Seq, Digest)) -> Vote {
        Vote::sign(&self.cluster, &self.signers[usize::from(author)], phase, about, None)
    }

    /// Messages of secure broadcast, one of each kind, about the first batches of the actors 0 and 2.
    pub fn broadcast_messages(&self) -> Vec<broadcast::Message> {
        use broadcast::{Batch, Message, Progress, Proof, Validation};
        let Bench { cluster, signers, .. } = self;
        let batch = |actor: u16| {
            let open = apps::BankOperation::Open { account: format!("{actor}/a") }.encode();
            let bundles = vec![self.bundle(actor, &open.0)];
            Arc::new(Batch::sign(cluster, &signers[usize::from(actor)], 1, vec![], bundles, vec![]))
        };
        let (first, own) = (batch(0), batch(2));
        let validation = |author: u16, of: &Batch| {
            let signer = &signers[usize::from(author)];
            Validation::sign(cluster, signer, (of.actor, of.number, of.digest()), 0)
        };
        let validations =
            [0, 1, 3].map(|author| (ReplicaId(author), validation(author, &first).signature)).to_vec();
        let (actor, number, digest) = (first.actor, first.number, first.digest());
        let proof = Arc::new(Proof { actor, number, digest, generation: 0, validations });
        let progress = |applied| Progress { generation: 0, applied, chunks: 0 };
        let mut messages = vec![
            Message::Remind(self.bundle(1, b"pay")),
            Message::Propose(Arc::clone(&first)),
            Message::Validated(validation(1, &own)),
            Message::Proof(Arc::clone(&proof)),
            Message::Proven(Arc::clone(&first), proof),
            Message::Applied(progress(vec![1, 0, 0, 2])),
            Message::Fetch(progress(vec![0; 4])),
        ];
        messages.extend(self.generation_messages(&first));
        messages
    }

    /// Messages about the generation after the first, in which this batch is unproven.
    fn generation_messages(&self, batch: &broadcast::Batch) -> Vec<broadcast::Message> {
        use broadcast::{
            Accepted, Ballot, Conclusion, Decision, Generation, Message, NextRound, Obligation, OnGeneration,
            Suggestion,
        };
        let Bench { cluster, signers, .. } = self;
        let snapshot = Snapshot::new(vec![Chunk::new(b"one"), Chunk::new(b"two")]);
        let (number, members, cut) = (1, (0..3).map(ReplicaId).collect(), vec![0; 4]);
        let generation = Generation { number, changed: 0, members, cut, state: snapshot.digest() };
        let ballot = Ballot { number, round: 0, digest: generation.digest() };
        let by = |author: u16| &signers[usize::from(author)];
        let votes = [0, 1, 3].map(|author| (ReplicaId(author), ballot.accept(cluster, by(author)))).to_vec();
        let accepted = Accepted { generation: generation.clone(), round: 0, votes };
        let signed = Obligation { number: 1, batches: vec![(batch.digest(), batch.signature)] };
        let report = vec![(batch.actor, signed)];
        let conclusion = |author| Conclusion::sign(cluster, by(author), ballot, report.clone());
        let next = |author| NextRound::sign(cluster, by(author), number, 1, Some(accepted.clone()));
        let grounds = [0, 1, 3].map(|author| (ReplicaId(author), next(author))).to_vec();
        let concluded = |author| (ReplicaId(author), report.clone(), conclusion(author).signature);
        let conclusions = [0, 1, 3].map(concluded).to_vec();
        let decision = Decision { generation: generation.clone(), round: 0, conclusions };
        let chunk = snapshot.prove(1).expect("there are two chunks");
        let on = [
            OnGeneration::Suggest(Suggestion { generation: generation.clone(), round: 0, grounds: vec![] }),
            OnGeneration::Suggest(Suggestion { generation, round: 1, grounds }),
            OnGeneration::Accept(ballot, ballot.accept(cluster, by(1))),
            OnGeneration::Conclude(conclusion(1)),
            OnGeneration::NextRound(next(1)),
            OnGeneration::Began(vec![decision]),
        ];
        let on = on.into_iter().map(|on| Message::Generation(Arc::new(on)));
        on.chain([Message::Chunk(1, Arc::new(chunk))]).collect()
    }

    /// Messages of PBFT and CCRO, one of each kind at least, about the first slots of view 0 and
    /// about view 1. The author of most is replica 1.
    pub fn messages(&self) -> Vec<Message> {
        let Bench { cluster, signers, .. } = self;
        let node = matches!(cluster.protocol.as_str(), "ccro" | "ccro-aggregate").then_some(ReplicaId(1));
        let batch = Arc::new(Batch { bundles: vec![self.bundle(2, b"pay"), self.bundle(3, b"pay more")] });
        let about = (View(0), Seq(1), batch.digest());
        let (header, proposal) =
            Message::propose(cluster, &signers[0], View(0), Seq(1), Arc::clone(&batch), node);
        let prepares = [1, 2, 3].map(|author| self.vote(author, Phase::Prepare, about));
        let commits = [0, 1, 2, 3].map(|author| self.vote(author, Phase::Commit, about));
        let certificate = |kind, votes: &[&Vote]| {
            let votes = votes.iter().map(|vote| (vote.author, vote.signature)).collect();
            let node = node.filter(|_| kind != CertificateKind::Committed);
            let certificate = Certificate::of_votes(cluster, kind, about, node, votes);
            Arc::new(certificate.expect("these are votes"))
        };
        let prepared = certificate(CertificateKind::Prepared, &[&header, &prepares[0], &prepares[1]]);
        let fast = certificate(CertificateKind::Fast, &[&header, &prepares[0], &prepares[1], &prepares[2]]);
        let committed = certificate(CertificateKind::Committed, &[&commits[0], &commits[1], &commits[2]]);
        let state = self.state();
        let checkpoint =
            |author: usize| CheckpointVote::sign(cluster, &signers[author], Seq(4), state.digest());
        let votes = [0, 1, 2].map(|author| (ReplicaId(author), checkpoint(usize::from(author)).signature));
        let stable = Arc::new(StableCheckpoint { seq: Seq(4), state: state.digest(), votes: votes.to_vec() });
        let change = |author: usize| {
            let prepared = if author == 1 { vec![Arc::clone(&prepared)] } else { vec![] };
            Arc::new(ViewChange::sign(cluster, &signers[author], View(1), None, prepared, vec![]))
        };
        let changes: Vec<Arc<ViewChange>> = [1, 2, 3].map(change).to_vec();
        let again =
            Vote::sign(cluster, &signers[1], Phase::PrePrepare, (View(1), Seq(1), batch.digest()), node);
        let new_view = NewView::sign(cluster, &signers[1], View(1), changes.clone(), vec![again]);
        let asked = (77, ReplicaId(0));
        let recollection = Recollection::sign(cluster, &signers[1], asked, None, changes.clone());
        let other = Message::propose(cluster, &signers[0], View(0), Seq(1), Arc::default(), node).0;
        let mut messages = vec![
            Message::Requests(self.bundle(1, b"pay")),
            proposal,
            Message::Vote(prepares[0].clone()),
            Message::Vote(commits[1].clone()),
            Message::Certificate(prepared),
            Message::Certificate(fast),
            Message::Certificate(committed),
            Message::Stuck {
                seq: Seq(1),
                complaint: true,
                votes: vec![prepares[0].clone(), commits[1].clone()],
            },
            Message::Checkpoint(checkpoint(1)),
            Message::Stable(Arc::clone(&stable)),
            Message::Progress { view: View(0), executed: Seq(1) },
            Message::ViewChange(Arc::clone(&changes[0])),
            Message::NewView(Arc::new(new_view)),
            Message::Conflict { first: Box::new(header), second: Box::new(other) },
            Message::FetchState { seq: Seq(4), index: 1 },
            Message::State { seq: Seq(4), part: state.prove(1).expect("it has three chunks") },
            Message::Recover { nonce: 77 },
            Message::Recollection(Arc::new(recollection)),
            Message::Fetch { seq: Seq(1), digest: batch.digest() },
            Message::Fetched { seq: Seq(1), batch },
        ];
        messages.push(Message::noise(Seq(1), &mut SeededChoice::new(1), cluster, &signers[1]));
        messages
    }

    /// Messages of `pbft-mac` that are of no other flow, or hold something else there, about the same.
    pub fn tagged_messages(&self) -> Vec<Message> {
        let Bench { cluster, signers, .. } = self;
        let batch = Arc::new(Batch { bundles: vec![self.bundle(2, b"pay"), self.bundle(3, b"pay more")] });
        let (view, seq, digest) = (View(0), Seq(1), batch.digest());
        let report = SlotReport { seq, prepared: Some((view, digest)), pre_prepared: vec![(digest, view)] };
        let change = |author: usize| {
            let reports = vec![report.clone()];
            Arc::new(ViewChange::sign_reports(cluster, &signers[author], View(1), None, reports))
        };
        let changes = [1, 2, 3].map(change).to_vec();
        let new_view = NewView::sign(cluster, &signers[1], View(1), changes.clone(), vec![]);
        vec![
            Message::Requests(self.bundle(1, b"pay")),
            Message::TaggedProposal { view, seq, batch: Arc::clone(&batch) },
            Message::DoubtedProposal { view, seq, batch: Arc::clone(&batch) },
            Message::TaggedVote { phase: Phase::Prepare, view, seq, digest },
            Message::TaggedVote { phase: Phase::Commit, view, seq, digest },
            Message::Decided { seq, digest },
            Message::Mistagged { seq },
            Message::Stuck { seq, complaint: true, votes: vec![] },
            Message::ViewChange(Arc::clone(&changes[0])),
            Message::NewView(Arc::new(new_view)),
            Message::Fetched { seq, batch },
        ]
    }

    /// A state of three chunks.
    pub fn state(&self) -> Snapshot {
        Snapshot::new(vec![Chunk::new(b"one"), Chunk::new(b"part"), Chunk::new(b"three")])
    }
}
