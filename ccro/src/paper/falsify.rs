//! How a faulty node's messages lie, with nothing but its own key.

use super::message::{Message, Statement, Step};
use kernel::{Batch, Choose, Cluster, Digest, Falsify, Forgery, ReplyBundle, Seq, Signer, Subject, View};
use std::sync::Arc;

impl Statement {
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Statement {
        self.about(Digest::of(&self.digest.0), cluster, signer)
    }

    /// The same step about another block; it holds if it is `signer`'s own.
    fn about(&self, digest: Digest, cluster: &Cluster, signer: &Signer) -> Statement {
        if self.author == signer.id() {
            Statement::sign(cluster, signer, self.step, self.seq, digest)
        } else {
            Statement { digest, ..self.clone() }
        }
    }

    fn forged(&self, forgery: Forgery, cluster: &Cluster) -> Option<Statement> {
        match forgery {
            Forgery::Signature => Some(Statement { signature: self.signature.spoilt(), ..self.clone() }),
            Forgery::Name => Some(Statement { author: cluster.next(self.author), ..self.clone() }),
            // There are no certificates in this flow.
            Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
        }
    }
}

impl Message {
    fn block(&self) -> Option<&Arc<Batch>> {
        match self {
            Message::Block { batch, .. } => Some(batch),
            _ => None,
        }
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] =
        &["request", "block-request", "store", "pre-prepare", "prepare", "commit", "round-reply"];

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
        if header.step != Step::Request {
            return None;
        }
        let (_, kept) = batch.bundles.split_last()?;
        let other = Arc::new(Batch { bundles: kept.to_vec() });
        let header = Statement::sign(cluster, signer, Step::Request, header.seq, other.digest());
        Some(Message::Block { header, batch: other })
    }

    fn subject(&self) -> Option<Subject> {
        let header = match self {
            Message::Requests(_) => return None,
            Message::Block { header, .. } | Message::Reply { header, .. } | Message::Step(header) => header,
        };
        Some(Subject { view: View(0), seq: header.seq, digest: header.digest })
    }

    fn retold(
        &self,
        digest: Digest,
        heard: &[Message],
        cluster: &Cluster,
        signer: &Signer,
    ) -> Option<Message> {
        match self {
            Message::Step(statement) => Some(Message::Step(statement.about(digest, cluster, signer))),
            Message::Block { header, .. } => {
                let batch = heard.iter().filter_map(Message::block).find(|batch| batch.digest() == digest)?;
                let header = header.about(digest, cluster, signer);
                Some(Message::Block { header, batch: Arc::clone(batch) })
            }
            Message::Reply { header, bundles } => {
                let lie = |bundle: &ReplyBundle| bundle.falsified(cluster, signer);
                let bundles = bundles.iter().map(lie).collect();
                Some(Message::Reply { header: header.about(digest, cluster, signer), bundles })
            }
            Message::Requests(_) => None,
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
            Message::Requests(_) => None,
        }
    }

    /// This flow has no views that anyone could ask to leave.
    fn unprovoked(_view: View, _cluster: &Cluster, _signer: &Signer) -> Vec<Message> {
        vec![]
    }

    fn noise(near: Seq, choose: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        let seq = Seq(near.0 + 1 + choose.below(600));
        let step = [Step::Prepare, Step::PrePrepare, Step::Commit][choose.below(3) as usize];
        Message::Step(Statement::sign(cluster, signer, step, seq, Digest::of(&seq.0.to_le_bytes())))
    }
}
