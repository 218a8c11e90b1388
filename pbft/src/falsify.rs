//! How a faulty replica's messages lie, with nothing but its own key.

use crate::message::{Certificate, CheckpointVote, Message, Vote};
use kernel::{Batch, Cluster, Digest, Falsify, Phase, Signer};
use std::sync::Arc;

impl Vote {
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Vote {
        let digest = Digest::of(&self.digest.0);
        if self.author != signer.id() {
            return Vote { digest, ..self.clone() };
        }
        let about = (self.view, self.seq, digest);
        Vote::sign(cluster, signer, self.phase, about, self.communication_node)
    }
}

impl Falsify for Message {
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Vote(vote) => Message::Vote(vote.falsified(cluster, signer)),
            Message::Certificate(certificate) => Message::Certificate(Arc::new(Certificate {
                digest: Digest::of(&certificate.digest.0),
                ..Certificate::clone(certificate)
            })),
            // Its proposals are left alone, here too: another one would make a
            // commander that only lies in votes equivocate.
            Message::Stuck { seq, complaint, votes } => {
                let lie = |vote: &Vote| match vote.phase {
                    Phase::PrePrepare => vote.clone(),
                    Phase::Prepare | Phase::Commit => vote.falsified(cluster, signer),
                };
                let votes = votes.iter().map(lie).collect();
                Message::Stuck { seq: *seq, complaint: *complaint, votes }
            }
            Message::Checkpoint(vote) => Message::Checkpoint(CheckpointVote::sign(
                cluster,
                signer,
                vote.seq,
                Digest::of(&vote.state.0),
            )),
            other => other.clone(),
        }
    }

    fn alternative(&self, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        let Message::PrePrepare { header, batch } = self else {
            return None;
        };
        if header.author != signer.id() || batch.bundles.is_empty() {
            return None;
        }
        // The same bundles in another order, or none: authentic either way.
        let mut other = Batch::default();
        if batch.bundles.len() > 1 {
            other.bundles = batch.bundles.iter().rev().cloned().collect();
        }
        let node = header.communication_node;
        let (_, proposal) = Message::propose(cluster, signer, header.view, header.seq, Arc::new(other), node);
        Some(proposal)
    }
}
