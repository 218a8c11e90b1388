//! One replica of four, to which the others' words are put into the mouth.

use apps::OpaqueLog;
use ccro::{Config, Replica};
use kernel::keys::{Keyring, symbolic};
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Operation, Phase, Protocol,
    ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, View,
};
use pbft::{Certificate, CertificateKind, Message, Vote};
use std::sync::Arc;

pub(crate) type Ccro = Replica<OpaqueLog>;

pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) signers: Vec<Signer>,
    keyring: Keyring,
    id: usize,
    pub(crate) replica: Ccro,
}

impl Bench {
    pub(crate) fn new(id: usize, config: Config) -> Bench {
        let (signers, keyring) = symbolic(1, 4);
        let cluster = Cluster::new(ClusterId::derive("changes", 1), "ccro", 4);
        let replica = Ccro::new(config, OpaqueLog::default());
        Bench { cluster, signers, keyring, id, replica }
    }

    pub(crate) fn step(&mut self, input: Input<Ccro>) -> Vec<Effect<Ccro>> {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx = Context::new(&self.cluster, &self.signers[self.id], &mut choose, &mut effects);
        self.replica.step(&mut cx, input);
        effects
    }

    pub(crate) fn hear(&mut self, from: u16, message: Message) -> Vec<Effect<Ccro>> {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).unwrap();
        self.step(Input::Deliver { from, message })
    }

    /// A request of replica 0's, in a session of its own.
    pub(crate) fn bundle(&self, number: u64) -> Arc<Bundle> {
        let session = SessionId { gateway: ReplicaId(0), number };
        let request = Request { session, counter: 1, operation: Operation::new(b"pay") };
        Arc::new(Bundle::sign(&self.cluster, &self.signers[0], vec![request]))
    }

    /// Replica 0 proposes a request in slot 1. Returns the header.
    pub(crate) fn accept(&mut self, communication_node: Option<ReplicaId>) -> Vote {
        let batch = Arc::new(Batch { bundles: vec![self.bundle(1)] });
        self.hear(0, Message::Requests(Arc::clone(&batch.bundles[0])));
        let commander = &self.signers[0];
        let (header, proposal) =
            Message::propose(&self.cluster, commander, View(0), Seq(1), batch, communication_node);
        self.hear(0, proposal);
        header
    }

    /// A vote for what is proposed.
    pub(crate) fn vote(&self, author: u16, phase: Phase, header: &Vote) -> Vote {
        let about = (header.view, header.seq, header.digest);
        Vote::sign(&self.cluster, &self.signers[usize::from(author)], phase, about, None)
    }

    pub(crate) fn prepare(&self, author: u16, digest: Digest) -> Vote {
        let signer = &self.signers[usize::from(author)];
        Vote::sign(&self.cluster, signer, Phase::Prepare, (View(0), Seq(1), digest), None)
    }

    /// Of the proposal and the PREPAREs of others.
    pub(crate) fn certificate(
        &self,
        kind: CertificateKind,
        header: &Vote,
        others: &[u16],
    ) -> Arc<Certificate> {
        let (view, seq, digest) = (header.view, header.seq, header.digest);
        let signature = |author: &u16| self.vote(*author, Phase::Prepare, header).signature;
        let mut votes: Vec<_> = others.iter().map(|author| (ReplicaId(*author), signature(author))).collect();
        votes.push((header.author, header.signature));
        votes.sort_by_key(|(author, _)| *author);
        let (communication_node, votes) = (header.communication_node, votes.into());
        Arc::new(Certificate { kind, view, seq, digest, communication_node, votes, sum: None })
    }
}
