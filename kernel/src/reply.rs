//! Signed replies.

use crate::cluster::Cluster;
use crate::ids::{Digest, ReplicaId, Seq, SessionId, View};
use crate::keys::{Claim, Signature, Signer};
use crate::request::Output;
use serde::{Deserialize, Serialize};

/// The result of one executed request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The session that asked.
    pub session: SessionId,
    /// Which of its requests.
    pub counter: u64,
    /// What the application answered.
    pub result: Output,
}

/// The replies of one replica to one gateway for one slot, under one signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplyBundle {
    /// The view in which the replica was when it replied.
    pub view: View,
    /// The slot that ordered the requests.
    pub seq: Seq,
    /// Who replies.
    pub replica: ReplicaId,
    /// Whose sessions these are.
    pub gateway: ReplicaId,
    /// The bundles whose requests were all executed in this slot, by digest: they say what
    /// was asked. One that holds a request of before is not among them, as it may ask for
    /// something else under the same number.
    pub bundles: Vec<Digest>,
    /// One per request.
    pub replies: Vec<Reply>,
    /// Over everything above; [`Signature::NONE`] in replies with tags.
    #[serde(with = "crate::keys::signature_or_none")]
    pub signature: Signature,
}

impl ReplyBundle {
    /// Replies of `signer`'s, signed unless they have tags.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        seq: Seq,
        gateway: ReplicaId,
        bundles: Vec<Digest>,
        replies: Vec<Reply>,
    ) -> ReplyBundle {
        let (replica, signature) = (signer.id(), Signature::NONE);
        let mut bundle = ReplyBundle { view, seq, replica, gateway, bundles, replies, signature };
        if !bundle.has_tag(cluster) {
            bundle.signature = signer.sign(&bundle.statement(cluster));
        }
        bundle
    }

    /// Whether the link that it comes on says whose replies these are, and no signature does. A client with a key, which must be able
    /// to show what it was told, gets signed replies always.
    pub fn has_tag(&self, cluster: &Cluster) -> bool {
        cluster.has_tags() && cluster.contains(self.gateway)
    }

    /// The signature to be checked.
    pub fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.replica, bytes: self.statement(cluster), signature: self.signature }
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let ReplyBundle { view, seq, replica, gateway, bundles, replies, .. } = self;
        let content = postcard::to_stdvec(&(view, seq, replica, gateway, bundles, replies))
            .expect("replies are plain data");
        let digest = blake3::hash(&content);
        [b"replies/2".as_slice(), &cluster.id.0, digest.as_bytes()].concat()
    }

    /// The same bundle with every result replaced by another, signed anew: what
    /// a faulty replica sends.
    pub fn falsified(&self, cluster: &Cluster, signer: &Signer) -> ReplyBundle {
        let replies = self
            .replies
            .iter()
            .map(|reply| Reply {
                result: Output::new(&[b"falsified ".as_slice(), &reply.result.0].concat()),
                ..reply.clone()
            })
            .collect();
        let bundles = self.bundles.clone();
        ReplyBundle::sign(cluster, signer, self.view, self.seq, self.gateway, bundles, replies)
    }
}
