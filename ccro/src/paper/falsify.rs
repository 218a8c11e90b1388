//! How a faulty node falsifies its messages, with nothing but its own key.

use super::message::{Message, Statement, Step};
use super::replica::view;
use super::roles::Attempt;
use kernel::{
    Batch, Choose, Cluster, Digest, Falsify, Forgery, ReplicaId, ReplyBundle, Seq, Signer, Subject, View,
};
use std::sync::Arc;

impl Statement {
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Statement {
        self.about(Digest::of(&self.digest.0), cluster, signer)
    }

    /// The same step about another block; it holds if it is `signer`'s own.
    fn about(&self, digest: Digest, cluster: &Cluster, signer: &Signer) -> Statement {
        if self.author == signer.id() {
            Statement::sign(cluster, signer, self.step, (self.seq, self.attempt), digest)
        } else {
            Statement { digest, ..self.clone() }
        }
    }

    fn forged(&self, forgery: Forgery, cluster: &Cluster) -> Option<Statement> {
        match forgery {
            Forgery::Signature => Some(Statement { signature: self.signature.corrupted(), ..self.clone() }),
            Forgery::Name => Some(Statement { author: cluster.next(self.author), ..self.clone() }),
            // There are no certificates in this flow.
            Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
        }
    }
}

impl Message {
    fn block(&self) -> Option<&Arc<Batch>> {
        match self {
            Message::Block { batch, .. } | Message::Store { batch, .. } => Some(batch),
            _ => None,
        }
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &[
        "request",
        "block-request",
        "store",
        "pre-prepare",
        "prepare",
        "commit",
        "round-reply",
        "fetch",
        "state",
    ];

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Step(statement) => Message::Step(statement.falsified(cluster, signer)),
            Message::Reply { header, bundles } => Message::Reply {
                header: header.falsified(cluster, signer),
                bundles: bundles.iter().map(|bundle| bundle.falsified(cluster, signer)).collect(),
            },
            other => other.clone(),
        }
    }

    fn alternative(&self, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        let Message::Block { header, batch } = self else {
            return None;
        };
        let other = Arc::new(batch.shortened()?);
        let header =
            Statement::sign(cluster, signer, Step::Request, (header.seq, header.attempt), other.digest());
        Some(Message::Block { header, batch: other })
    }

    fn subject(&self) -> Option<Subject> {
        let header = self.header()?;
        Some(Subject { view: Some(view(header.attempt)), seq: header.seq, digest: header.digest })
    }

    fn with_value(
        &self,
        digest: Digest,
        received: &[Message],
        cluster: &Cluster,
        signer: &Signer,
    ) -> Option<Message> {
        match self {
            Message::Step(statement) => Some(Message::Step(statement.about(digest, cluster, signer))),
            Message::Block { header, .. } => {
                let batch =
                    received.iter().filter_map(Message::block).find(|batch| batch.digest() == digest)?;
                let header = header.about(digest, cluster, signer);
                Some(Message::Block { header, batch: Arc::clone(batch) })
            }
            Message::Store { header, trust, .. } => {
                let batch =
                    received.iter().filter_map(Message::block).find(|batch| batch.digest() == digest)?;
                let (round, batch) = ((header.seq, header.attempt), Arc::clone(batch));
                Some(Message::store(cluster, signer, round, batch, Arc::clone(trust)))
            }
            Message::Reply { header, bundles } => {
                let lie = |bundle: &ReplyBundle| bundle.falsified(cluster, signer);
                let bundles = bundles.iter().map(lie).collect();
                Some(Message::Reply { header: header.about(digest, cluster, signer), bundles })
            }
            Message::Requests(_) | Message::Fetch { .. } | Message::State { .. } => None,
        }
    }

    fn forged(&self, forgery: Forgery, cluster: &Cluster, _signer: &Signer) -> Option<Message> {
        match self {
            Message::Step(statement) => statement.forged(forgery, cluster).map(Message::Step),
            Message::Block { header, batch } => {
                let header = header.forged(forgery, cluster)?;
                Some(Message::Block { header, batch: Arc::clone(batch) })
            }
            Message::Reply { header, bundles } => {
                let header = header.forged(forgery, cluster)?;
                Some(Message::Reply { header, bundles: bundles.clone() })
            }
            Message::Store { header, batch, trust } => {
                let (header, batch) = (header.forged(forgery, cluster)?, Arc::clone(batch));
                Some(Message::Store { header, batch, trust: Arc::clone(trust) })
            }
            Message::State { header, trust, state } => {
                let (header, state) = (header.forged(forgery, cluster)?, state.clone());
                Some(Message::State { header, trust: Arc::clone(trust), state })
            }
            Message::Requests(_) | Message::Fetch { .. } => None,
        }
    }

    fn requests_of(&self) -> Option<ReplicaId> {
        if let Message::Requests(bundle) = self { Some(bundle.gateway()) } else { None }
    }

    /// This flow has no views that anyone could ask to leave.
    fn needless_view_changes(_view: View, _cluster: &Cluster, _signer: &Signer) -> Vec<Message> {
        vec![]
    }

    fn noise(near: Seq, choose: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        let seq = Seq(near.0 + 1 + choose.below(600));
        let step = [Step::Prepare, Step::PrePrepare, Step::Commit][choose.below(3) as usize];
        let round = (seq, Attempt::default());
        Message::Step(Statement::sign(cluster, signer, step, round, Digest::of(&seq.0.to_le_bytes())))
    }
}
