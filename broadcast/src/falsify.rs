//! How a faulty member falsifies its messages, with nothing but its own key.

use crate::generation::{Ballot, Conclusion, OnGeneration, Suggestion};
use crate::message::{Batch, Message, Progress, Proof, Remark, Validation};
use kernel::wire::{Forgery, Subject};
use kernel::{Choose, Cluster, Digest, Falsify, ProvenChunk, ReplicaId, Seq, Signature, Signer, View};
use std::sync::Arc;

/// A digest that nobody proposed.
fn invented(digest: &Digest) -> Digest {
    Digest::of(&digest.0)
}

impl Validation {
    fn about(&self, digest: Digest, cluster: &Cluster, signer: &Signer) -> Validation {
        Validation::sign(cluster, signer, (self.actor, self.number, digest), self.generation)
    }
}

impl Message {
    /// The same with other validations in its proof. None if it has no proof.
    fn with_validations(&self, change: impl FnOnce(&mut Vec<(ReplicaId, Signature)>)) -> Option<Message> {
        let changed = |proof: &Arc<Proof>| {
            let mut proof = Proof::clone(proof);
            change(&mut proof.validations);
            Arc::new(proof)
        };
        match self {
            Message::Proof(proof) => Some(Message::Proof(changed(proof))),
            Message::Proven(batch, proof) => Some(Message::Proven(Arc::clone(batch), changed(proof))),
            _ => None,
        }
    }
}

impl OnGeneration {
    /// For another generation than the honest one, where the sender's own key is enough for that.
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> OnGeneration {
        let other = |ballot: &Ballot| Ballot { digest: invented(&ballot.digest), ..*ballot };
        match self {
            OnGeneration::Accept(ballot, _) => {
                OnGeneration::Accept(other(ballot), other(ballot).accept(cluster, signer))
            }
            OnGeneration::Conclude(conclusion) => {
                // It hides what it has signed.
                let ballot = conclusion.ballot;
                OnGeneration::Conclude(Conclusion::sign(cluster, signer, ballot, vec![]))
            }
            other => other.alternative().unwrap_or_else(|| other.clone()),
        }
    }

    /// Another suggestion: of a state that is not that of its cut.
    fn alternative(&self) -> Option<OnGeneration> {
        let OnGeneration::Suggest(suggestion) = self else { return None };
        let mut generation = suggestion.generation.clone();
        generation.state = invented(&generation.state);
        Some(OnGeneration::Suggest(Suggestion { generation, ..suggestion.clone() }))
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &[
        "propose",
        "validated",
        "proof",
        "applied",
        "fetch",
        "proven",
        "remind",
        "suggest",
        "accept",
        "conclude",
        "next-round",
        "began",
        "chunk",
    ];

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Validated(validation) => {
                Message::Validated(validation.about(invented(&validation.digest), cluster, signer))
            }
            Message::Proof(proof) => {
                Message::Proof(Arc::new(Proof { digest: invented(&proof.digest), ..Proof::clone(proof) }))
            }
            Message::Proven(batch, proof) => {
                let other = Batch { number: batch.number + 1, ..Batch::clone(batch) };
                Message::Proven(Arc::new(other), Arc::clone(proof))
            }
            Message::Applied(progress) => {
                let applied = progress.applied.iter().map(|number| number + 1000).collect();
                Message::Applied(Progress { applied, ..progress.clone() })
            }
            Message::Fetch(progress) => {
                let applied = vec![0; progress.applied.len()];
                Message::Fetch(Progress { applied, ..progress.clone() })
            }
            Message::Generation(on) => Message::Generation(Arc::new(on.falsified(cluster, signer))),
            Message::Chunk(generation, chunk) => {
                let index = chunk.index ^ 1;
                Message::Chunk(*generation, Arc::new(ProvenChunk { index, ..ProvenChunk::clone(chunk) }))
            }
            // Another proposal would make an actor that falsifies only votes equivocate.
            Message::Propose(_) | Message::Remind(_) => self.clone(),
        }
    }

    fn alternative(&self, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        if let Message::Generation(on) = self {
            return on.alternative().map(|on| Message::Generation(Arc::new(on)));
        }
        let Message::Propose(batch) = self else { return None };
        let (_, kept) = batch.bundles.split_last()?;
        let requests: usize = kept.iter().map(|bundle| bundle.requests().len()).sum();
        let is_kept = |(place, _): &&(u32, Remark)| (*place as usize) < requests;
        let remarks = batch.remarks.iter().filter(is_kept).cloned().collect();
        let other = Batch::sign(cluster, signer, batch.number, batch.after.clone(), kept.to_vec(), remarks);
        (batch.actor == signer.id()).then(|| Message::Propose(Arc::new(other)))
    }

    fn subject(&self) -> Option<Subject> {
        let (actor, number, digest) = match self {
            Message::Propose(batch) => (batch.actor, batch.number, batch.digest()),
            Message::Validated(validation) => (validation.actor, validation.number, validation.digest),
            Message::Proof(proof) => (proof.actor, proof.number, proof.digest),
            _ => return None,
        };
        // Batches of different actors have nothing to do with each other.
        Some(Subject { view: None, seq: Seq(number << 16 | u64::from(actor.0)), digest })
    }

    fn with_value(
        &self,
        digest: Digest,
        received: &[Message],
        cluster: &Cluster,
        signer: &Signer,
    ) -> Option<Message> {
        match self {
            Message::Validated(validation) => {
                Some(Message::Validated(validation.about(digest, cluster, signer)))
            }
            Message::Proof(proof) => {
                let proof = Proof { digest, validations: vec![], ..Proof::clone(proof) };
                Some(Message::Proof(Arc::new(proof)))
            }
            Message::Propose(_) => received
                .iter()
                .find(|other| other.subject().is_some_and(|about| about.digest == digest))
                .cloned(),
            _ => None,
        }
    }

    fn forged(&self, forgery: Forgery, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        match (forgery, self) {
            (Forgery::Signature, Message::Propose(batch)) => {
                let signature = batch.signature.corrupted();
                Some(Message::Propose(Arc::new(Batch { signature, ..Batch::clone(batch) })))
            }
            (Forgery::Signature, Message::Validated(validation)) => {
                let signature = validation.signature.corrupted();
                Some(Message::Validated(Validation { signature, ..validation.clone() }))
            }
            (Forgery::Name, Message::Propose(batch)) => {
                let actor = cluster.next(signer.id());
                Some(Message::Propose(Arc::new(Batch { actor, ..Batch::clone(batch) })))
            }
            (Forgery::Signature, _) => self.with_validations(|votes| {
                votes.iter_mut().take(1).for_each(|(_, signature)| *signature = signature.corrupted());
            }),
            (Forgery::Short, _) => {
                self.with_validations(|votes| votes.truncate(votes.len().saturating_sub(1)))
            }
            (Forgery::Repeated, _) => self.with_validations(|votes| {
                if let Some(first) = votes.first().copied() {
                    votes.iter_mut().for_each(|vote| *vote = first);
                }
            }),
            (Forgery::Mixed, Message::Proof(_)) => Some(self.falsified(cluster, signer)),
            (Forgery::Name | Forgery::Mixed, _) => None,
        }
    }

    fn requests_of(&self) -> Option<ReplicaId> {
        match self {
            Message::Remind(bundle) => Some(bundle.gateway()),
            _ => None,
        }
    }

    fn needless_view_changes(_: View, _: &Cluster, _: &Signer) -> Vec<Message> {
        vec![]
    }

    fn noise(near: Seq, choose: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        let actor = ReplicaId(choose.below(u64::from(cluster.n)) as u16);
        Message::Validated(Validation::sign(cluster, signer, (actor, near.0 + 1, Digest::ZERO), 0))
    }
}
