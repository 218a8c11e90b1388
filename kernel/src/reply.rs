//! Signed replies, and the rule by which a client accepts one.

use crate::cluster::Cluster;
use crate::ids::{ReplicaId, Seq, SessionId, View};
use crate::keys::{Claim, Signature, Signer};
use crate::request::Output;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// One per request.
    pub replies: Vec<Reply>,
    /// Over everything above.
    pub signature: Signature,
}

impl ReplyBundle {
    /// Signs replies as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        seq: Seq,
        gateway: ReplicaId,
        replies: Vec<Reply>,
    ) -> ReplyBundle {
        let mut bundle =
            ReplyBundle { view, seq, replica: signer.id(), gateway, replies, signature: Signature([0; 64]) };
        bundle.signature = signer.sign(&bundle.statement(cluster));
        bundle
    }

    /// The signature to be checked.
    pub fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.replica, bytes: self.statement(cluster), signature: self.signature }
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let content = postcard::to_stdvec(&(self.view, self.seq, self.replica, self.gateway, &self.replies))
            .expect("replies are plain data");
        let digest = blake3::hash(&content);
        [b"replies/1".as_slice(), &cluster.id.0, digest.as_bytes()].concat()
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
        ReplyBundle::sign(cluster, signer, self.view, self.seq, self.gateway, replies)
    }
}

/// Collects the replies to one request until `needed` distinct replicas agree
/// on a result (PBFT, OSDI §4.1: `f+1`, matching in all but the view).
#[derive(Clone, Debug)]
pub struct ReplyCollector {
    needed: usize,
    by_result: BTreeMap<Output, BTreeSet<ReplicaId>>,
    replied: BTreeSet<ReplicaId>,
}

impl ReplyCollector {
    /// Waits for `needed` matching replies.
    pub fn new(needed: usize) -> ReplyCollector {
        ReplyCollector { needed: needed.max(1), by_result: BTreeMap::new(), replied: BTreeSet::new() }
    }

    /// Counts a reply of `replica`, of which only the first counts. Returns the
    /// result once it is accepted.
    pub fn add(&mut self, replica: ReplicaId, result: &Output) -> Option<&Output> {
        if self.replied.insert(replica) {
            self.by_result.entry(result.clone()).or_default().insert(replica);
        }
        self.accepted()
    }

    /// The accepted result, if `needed` replicas agree on one.
    pub fn accepted(&self) -> Option<&Output> {
        self.by_result.iter().find(|(_, replicas)| replicas.len() >= self.needed).map(|(result, _)| result)
    }

    /// Replies that agree with the most common result, and all others.
    pub fn agreeing_and_not(&self) -> (usize, usize) {
        let agreeing = self.by_result.values().map(BTreeSet::len).max().unwrap_or(0);
        (agreeing, self.replied.len() - agreeing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_what_enough_distinct_replicas_say() {
        let (good, bad) = (Output::new(b"ok"), Output::new(b"lie"));
        let mut collector = ReplyCollector::new(2);
        assert_eq!(collector.add(ReplicaId(0), &good), None);
        assert_eq!(collector.add(ReplicaId(0), &good), None, "the same replica again");
        assert_eq!(collector.add(ReplicaId(1), &bad), None);
        assert_eq!(collector.add(ReplicaId(1), &good), None, "its first reply counts");
        assert_eq!(collector.add(ReplicaId(2), &good), Some(&good));
        assert_eq!(collector.agreeing_and_not(), (2, 1));
    }
}
