//! Messages of the published round.

use kernel::{
    Batch, Bundle, Claim, Class, Cluster, Digest, Reason, ReplicaId, ReplyBundle, Seq, Signature, Signer,
    Wire,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The steps of a round that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The commander hands out the block.
    Request,
    /// The communication node asks for votes.
    PrePrepare,
    /// A consensus node's vote.
    Prepare,
    /// The communication node's announcement.
    Commit,
    /// A consensus node has executed the block.
    Reply,
    /// The commander tells that the block is decided.
    Store,
}

/// A signed step about one block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statement {
    /// Which step.
    pub step: Step,
    /// The round.
    pub seq: Seq,
    /// The block.
    pub digest: Digest,
    /// Who says so.
    pub author: ReplicaId,
    /// Over all of the above, the flow and the cluster.
    pub signature: Signature,
}

/// What nodes send each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A gateway's requests on their way to the commander.
    Requests(Arc<Bundle>),
    /// A step that carries the block: REQUEST or STORE.
    Block {
        /// The signed header.
        header: Statement,
        /// The block.
        batch: Arc<Batch>,
    },
    /// A step without more: PRE-PREPARE, PREPARE or COMMIT.
    Step(Statement),
    /// REPLY, with the results for each gateway.
    Reply {
        /// The signed header.
        header: Statement,
        /// The sender's results.
        bundles: Vec<ReplyBundle>,
    },
}

impl Statement {
    /// Signs a step as `signer`'s.
    pub fn sign(cluster: &Cluster, signer: &Signer, step: Step, seq: Seq, digest: Digest) -> Statement {
        let mut statement =
            Statement { step, seq, digest, author: signer.id(), signature: Signature([0; 64]) };
        statement.signature = signer.sign(&statement.bytes(cluster));
        statement
    }

    fn bytes(&self, cluster: &Cluster) -> Vec<u8> {
        let fields =
            ("step/1", &cluster.protocol, &cluster.id, self.step, self.seq, &self.digest, self.author);
        postcard::to_stdvec(&fields).expect("a statement is plain data")
    }

    fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.author, bytes: self.bytes(cluster), signature: self.signature }
    }
}

impl Message {
    fn block_claims(header: &Statement, batch: &Batch, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        if !matches!(header.step, Step::Request | Step::Store) {
            return Err(Reason::NotEntitled);
        }
        if batch.digest() != header.digest {
            return Err(Reason::DigestMismatch);
        }
        let mut claims = batch.claims(cluster).ok_or(Reason::MalformedRequests)?;
        claims.push(header.claim(cluster));
        Ok(claims)
    }
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Message::Requests(_) => "request",
            Message::Block { header, .. } if header.step == Step::Store => "store",
            Message::Block { .. } => "block-request",
            Message::Step(statement) => match statement.step {
                Step::PrePrepare => "pre-prepare",
                Step::Prepare => "prepare",
                _ => "commit",
            },
            Message::Reply { .. } => "round-reply",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Request,
            Message::Block { header, .. } if header.step == Step::Store => Class::Upkeep,
            Message::Block { .. } => Class::Proposal,
            Message::Step(statement) if statement.step == Step::Prepare => Class::Vote,
            Message::Step(_) => Class::Certificate,
            // Having executed the block is what counts towards the decision.
            Message::Reply { .. } => Class::Vote,
        }
    }

    fn seq(&self) -> Option<Seq> {
        match self {
            Message::Requests(_) => None,
            Message::Block { header, .. } | Message::Reply { header, .. } | Message::Step(header) => {
                Some(header.seq)
            }
        }
    }

    fn claims(&self, _from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        match self {
            Message::Requests(bundle) => {
                if !cluster.contains(bundle.gateway()) || !bundle.is_well_formed() {
                    return Err(Reason::MalformedRequests);
                }
                Ok(vec![bundle.claim(cluster)])
            }
            Message::Block { header, batch } => Message::block_claims(header, batch, cluster),
            Message::Step(statement) => {
                if !matches!(statement.step, Step::PrePrepare | Step::Prepare | Step::Commit) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vec![statement.claim(cluster)])
            }
            Message::Reply { header, bundles } => {
                let own = |bundle: &ReplyBundle| {
                    bundle.replica == header.author && cluster.contains(bundle.gateway)
                };
                if header.step != Step::Reply || !bundles.iter().all(own) {
                    return Err(Reason::NotEntitled);
                }
                let replies = bundles.iter().map(|bundle| bundle.claim(cluster));
                Ok(replies.chain([header.claim(cluster)]).collect())
            }
        }
    }
}
