//! Messages of the published round.

use super::roles::Attempt;
use crate::trust::TrustTable;
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
    /// A node hands over its state after the block.
    State,
}

/// A signed step about one block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statement {
    /// Which step.
    pub step: Step,
    /// The round.
    pub seq: Seq,
    /// Which run of the round.
    pub attempt: Attempt,
    /// The block.
    pub digest: Digest,
    /// Who says so.
    pub author: ReplicaId,
    /// Over all of the above, the flow and the cluster; in a STORE, the table of
    /// trust too.
    pub signature: Signature,
}

/// What nodes send each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A gateway's requests on their way to the commander.
    Requests(Arc<Bundle>),
    /// REQUEST: the commander hands out the block.
    Block {
        /// The signed header.
        header: Statement,
        /// The block.
        batch: Arc<Batch>,
    },
    /// STORE: the block is decided, and this is the trust from now on.
    Store {
        /// The signed header.
        header: Statement,
        /// The block.
        batch: Arc<Batch>,
        /// The roles of the next round follow from it.
        trust: Arc<TrustTable>,
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
    /// Asks for the STOREs of rounds that the sender missed.
    Fetch {
        /// The first round wanted.
        next: Seq,
    },
    /// Answers a FETCH of a round whose STORE is no longer kept.
    State {
        /// The signed header: the last round that the state contains, and the
        /// state's digest.
        header: Statement,
        /// The roles of the next round follow from it.
        trust: Arc<TrustTable>,
        /// What was executed, as a snapshot.
        state: Vec<u8>,
    },
}

impl Statement {
    /// Signs a step as `signer`'s; STORE and STATE are made by [`Message::store`] and
    /// [`Message::state`].
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        step: Step,
        (seq, attempt): (Seq, Attempt),
        digest: Digest,
    ) -> Statement {
        Statement { step, seq, attempt, digest, author: signer.id(), signature: Signature([0; 64]) }
            .signed(cluster, signer, None)
    }

    fn signed(mut self, cluster: &Cluster, signer: &Signer, trust: Option<&TrustTable>) -> Statement {
        self.signature = signer.sign(&self.bytes(cluster, trust));
        self
    }

    fn bytes(&self, cluster: &Cluster, trust: Option<&TrustTable>) -> Vec<u8> {
        let of = ("step/2", &cluster.protocol, &cluster.id);
        let what = (self.step, self.seq, self.attempt, &self.digest, self.author);
        postcard::to_stdvec(&(of, what, trust)).expect("a statement is plain data")
    }

    fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.author, bytes: self.bytes(cluster, None), signature: self.signature }
    }

    fn claim_with(&self, cluster: &Cluster, trust: &TrustTable) -> Claim {
        Claim { bytes: self.bytes(cluster, Some(trust)), ..self.claim(cluster) }
    }
}

impl Message {
    /// A STORE of `signer`'s.
    pub fn store(
        cluster: &Cluster,
        signer: &Signer,
        round: (Seq, Attempt),
        batch: Arc<Batch>,
        trust: Arc<TrustTable>,
    ) -> Message {
        let (seq, attempt) = round;
        let (digest, author, signature) = (batch.digest(), signer.id(), Signature([0; 64]));
        let header = Statement { step: Step::Store, seq, attempt, digest, author, signature };
        Message::Store { header: header.signed(cluster, signer, Some(&trust)), batch, trust }
    }

    /// A STATE of `signer`'s, up to and including the round `seq`.
    pub fn state(
        cluster: &Cluster,
        signer: &Signer,
        seq: Seq,
        trust: Arc<TrustTable>,
        state: Vec<u8>,
    ) -> Message {
        let (digest, author, signature) = (Digest::of(&state), signer.id(), Signature([0; 64]));
        let attempt = Attempt::default();
        let header = Statement { step: Step::State, seq, attempt, digest, author, signature };
        Message::State { header: header.signed(cluster, signer, Some(&trust)), trust, state }
    }

    /// The signed header, if it is a step of a round.
    pub fn header(&self) -> Option<&Statement> {
        match self {
            Message::Block { header, .. }
            | Message::Store { header, .. }
            | Message::Reply { header, .. }
            | Message::Step(header) => Some(header),
            Message::Requests(_) | Message::Fetch { .. } | Message::State { .. } => None,
        }
    }

    /// The signatures of a step that carries the block, the header's own apart.
    fn block_claims(
        header: &Statement,
        step: Step,
        batch: &Batch,
        cluster: &Cluster,
    ) -> Result<Vec<Claim>, Reason> {
        if header.step != step {
            return Err(Reason::NotEntitled);
        }
        if batch.digest() != header.digest {
            return Err(Reason::DigestMismatch);
        }
        batch.claims(cluster).ok_or(Reason::MalformedRequests)
    }
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Message::Requests(_) => "request",
            Message::Block { .. } => "block-request",
            Message::Store { .. } => "store",
            Message::Step(statement) => match statement.step {
                Step::PrePrepare => "pre-prepare",
                Step::Prepare => "prepare",
                _ => "commit",
            },
            Message::Reply { .. } => "round-reply",
            Message::Fetch { .. } => "fetch",
            Message::State { .. } => "state",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Request,
            Message::Block { .. } => Class::Proposal,
            Message::Store { .. } | Message::Fetch { .. } | Message::State { .. } => Class::Upkeep,
            Message::Step(statement) if statement.step == Step::Prepare => Class::Vote,
            Message::Step(_) => Class::Certificate,
            // Having executed the block is what counts towards the decision.
            Message::Reply { .. } => Class::Vote,
        }
    }

    fn seq(&self) -> Option<Seq> {
        self.header().map(|header| header.seq)
    }

    fn claims(&self, _from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let author = match self {
            Message::State { header, .. } => Some(header.author),
            _ => self.header().map(|header| header.author),
        };
        if author.is_some_and(|author| !cluster.contains(author)) {
            return Err(Reason::NotEntitled);
        }
        match self {
            Message::Requests(bundle) => {
                if !cluster.may_submit(bundle.gateway()) || !bundle.is_well_formed(cluster) {
                    return Err(Reason::MalformedRequests);
                }
                Ok(bundle.claim(cluster).into_iter().collect())
            }
            Message::Block { header, batch } => {
                let mut claims = Message::block_claims(header, Step::Request, batch, cluster)?;
                claims.push(header.claim(cluster));
                Ok(claims)
            }
            Message::Store { header, batch, trust } => {
                if !trust.is_well_formed(cluster) {
                    return Err(Reason::MalformedCertificate);
                }
                let mut claims = Message::block_claims(header, Step::Store, batch, cluster)?;
                claims.push(header.claim_with(cluster, trust));
                Ok(claims)
            }
            // What answers it is signed.
            Message::Fetch { .. } => Ok(vec![]),
            Message::State { header, trust, state } => {
                let is_sound = header.step == Step::State && trust.is_well_formed(cluster);
                if !is_sound || Digest::of(state) != header.digest {
                    return Err(Reason::MalformedCertificate);
                }
                Ok(vec![header.claim_with(cluster, trust)])
            }
            Message::Step(statement) => {
                if !matches!(statement.step, Step::PrePrepare | Step::Prepare | Step::Commit) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vec![statement.claim(cluster)])
            }
            Message::Reply { header, bundles } => {
                let own = |bundle: &ReplyBundle| {
                    bundle.replica == header.author && cluster.may_submit(bundle.gateway)
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
