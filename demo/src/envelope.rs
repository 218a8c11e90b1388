//! What participants of the demo send each other: signed by the sender, whatever it holds.

use std::sync::Arc;

use kernel::{Bundle, Claim, Cluster, Digest, ReplicaId, ReplyBundle, Signature, Signer};
use pbft::Message;
use serde::{Deserialize, Serialize};

/// What an envelope holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// A message between replicas.
    Message(Message),
    /// A client's request.
    Request(Arc<Bundle>),
    /// A replica's answer.
    Reply(ReplyBundle),
}

/// Something on its way. The signature is over all of it, so that nobody can send under
/// another's name, even where the content itself is not signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sends it.
    pub from: ReplicaId,
    /// Whom it is for.
    pub to: ReplicaId,
    /// When the sender was started: the first session that it could open.
    pub started: u64,
    /// When the recipient was first started, as far as the sender has seen: one that was started again
    /// learns so that it ran before.
    pub remembers: Option<u64>,
    /// What it says.
    pub content: Content,
    signature: Signature,
}

impl Envelope {
    /// An envelope of `signer`'s, who was started then and remembers that of the recipient.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        to: ReplicaId,
        (started, remembers): (u64, Option<u64>),
        content: Content,
    ) -> Envelope {
        let (from, signature) = (signer.id(), Signature([0; 64]));
        let mut envelope = Envelope { from, to, started, remembers, content, signature };
        envelope.signature = signer.sign(&envelope.statement(cluster));
        envelope
    }

    /// The signature to be checked.
    pub fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.from, bytes: self.statement(cluster), signature: self.signature }
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let content = postcard::to_stdvec(&self.content).expect("envelopes are plain data");
        let fields = (
            "demo-envelope/2",
            &cluster.id,
            self.from,
            self.to,
            self.started,
            self.remembers,
            Digest::of(&content),
        );
        postcard::to_stdvec(&fields).expect("a statement is plain data")
    }
}
