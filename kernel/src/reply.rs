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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::symbolic;
    use crate::{Admission, ClusterId, Reason};

    /// Replies of replica 1 to `gateway`, in a cluster of four replicas and a client.
    fn reply(protocol: &str, gateway: u16) -> (ReplyBundle, Admission) {
        let cluster = Cluster::new(ClusterId::derive("replies", 1), protocol, 4).with_clients(1);
        let (signers, keyring) = symbolic(1, 5);
        let bundle =
            ReplyBundle::sign(&cluster, &signers[1], View(0), Seq(1), ReplicaId(gateway), vec![], vec![]);
        (bundle, Admission::new(cluster, keyring))
    }

    #[test]
    fn replies_are_signed_unless_they_have_tags_and_a_client_with_a_key_gets_signed_ones() {
        for (protocol, gateway, is_signed) in
            [("pbft", 2, true), ("pbft-mac", 2, false), ("pbft-mac", 4, true)]
        {
            let (bundle, mut admission) = reply(protocol, gateway);
            assert_eq!(bundle.signature != Signature::NONE, is_signed, "{protocol} to {gateway}");
            assert_eq!(admission.check_reply(ReplicaId(1), &bundle), Ok(()));
            assert_eq!(admission.signatures_checked(), u64::from(is_signed));
            // A signature says whose replies these are, whoever brings them; a tag holds on one link only.
            let by_another = if is_signed { Ok(()) } else { Err(Reason::NotEntitled) };
            assert_eq!(admission.check_reply(ReplicaId(3), &bundle), by_another);
            let other = ReplyBundle { signature: Signature([1; 64]), ..bundle };
            let reason = if is_signed { Reason::BadSignature } else { Reason::BadTag };
            assert_eq!(admission.check_reply(ReplicaId(1), &other), Err(reason));
        }
    }

    #[test]
    fn no_signature_takes_no_room() {
        let [tagged, signed] = [2, 4].map(|gateway| reply("pbft-mac", gateway).0).map(|bundle| {
            let bytes = postcard::to_stdvec(&bundle).unwrap();
            assert_eq!(postcard::from_bytes::<ReplyBundle>(&bytes).unwrap(), bundle);
            bytes.len()
        });
        assert_eq!(signed - tagged, 64);
    }
}
