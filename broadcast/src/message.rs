//! What members send each other.

use crate::generation::OnGeneration;
use crate::statement::{Applied, proposed, validated};
use kernel::{
    Bundle, Claim, Class, Cluster, Digest, Operation, Output, ProvenChunk, Reason, ReplicaId, Request, Seq,
    Signature, Signer, Weakening, Wire, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of an answer that refuses a request, at most.
const MAX_REFUSAL_BYTES: usize = 1 << 10;
/// Bytes of all that an actor says of the operations of a batch, at most: it must fit into a frame with them.
pub(crate) const MAX_REMARKS_BYTES: usize = 8 << 20;

/// What an actor says of an operation that one of its clients asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Remark {
    /// It is invalid, and this is the answer. It is here so that all members answer alike; nothing is
    /// done.
    Refused(Output),
    /// This is to be done for it: the same with what the actor had seen when it was asked.
    Meant(Operation),
}

/// Operations of one actor that get one number, one validation and one proof.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Whose operations.
    pub actor: ReplicaId,
    /// Rises by one with each batch of the actor, from 1: the source order.
    pub number: u64,
    /// What it depends on: so many batches of these other actors come before it.
    pub after: Vec<(ReplicaId, u64)>,
    /// What is to be applied, in order.
    pub bundles: Vec<Arc<Bundle>>,
    /// What the actor has to say of some of the operations, by their place in the batch.
    pub remarks: Vec<(u32, Remark)>,
    /// The actor's, over everything above.
    pub signature: Signature,
}

impl Batch {
    /// Signs it as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        number: u64,
        after: Vec<(ReplicaId, u64)>,
        bundles: Vec<Arc<Bundle>>,
        remarks: Vec<(u32, Remark)>,
    ) -> Batch {
        let (actor, signature) = (signer.id(), Signature([0; 64]));
        let mut batch = Batch { actor, number, after, bundles, remarks, signature };
        let bytes = proposed(cluster, actor, number, &batch.digest());
        batch.signature = signer.sign(&bytes);
        batch
    }

    /// All requests in it.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.bundles.iter().flat_map(|bundle| bundle.requests())
    }

    /// The hash of what is signed: what members vouch for.
    pub fn digest(&self) -> Digest {
        let Batch { actor, number, after, bundles, remarks, .. } = self;
        let bundles: Vec<Digest> = bundles.iter().map(|bundle| bundle.digest()).collect();
        let content = postcard::to_stdvec(&(actor, number, after, bundles, remarks));
        let mut hasher = blake3::Hasher::new_derive_key("operations of an actor");
        hasher.update(&content.expect("a batch is plain data"));
        Digest(*hasher.finalize().as_bytes())
    }

    /// Answers are kept for each session.
    fn are_remarks_short(&self) -> bool {
        let bytes = |remark: &Remark| match remark {
            Remark::Refused(output) => (output.0.len(), MAX_REFUSAL_BYTES),
            Remark::Meant(operation) => (operation.0.len(), MAX_REMARKS_BYTES),
        };
        let bytes: Vec<(usize, usize)> = self.remarks.iter().map(|(_, remark)| bytes(remark)).collect();
        bytes.iter().all(|(bytes, most)| bytes <= most)
            && bytes.iter().map(|(bytes, _)| bytes).sum::<usize>() <= MAX_REMARKS_BYTES
    }

    /// The actor's signature alone: it is over the requests in the bundles as well, and all of them are its own clients'.
    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let requests = kernel::Batch { bundles: self.bundles.clone() };
        let all_its_own = self.bundles.iter().all(|bundle| bundle.gateway() == self.actor);
        let are_others = self.after.iter().all(|(other, _)| cluster.contains(*other) && *other != self.actor);
        // Each at most once, so there are not more of them than members or requests.
        let are_in_order = self.after.is_sorted_by(|one, next| one.0 < next.0)
            && self.remarks.is_sorted_by(|one, next| one.0 < next.0)
            && self.remarks.last().is_none_or(|(place, _)| (*place as usize) < requests.requests());
        let is_well_formed = requests.is_well_formed(cluster) && self.number > 0 && self.are_remarks_short();
        if !is_well_formed || !all_its_own || !are_others || !are_in_order {
            return Err(Reason::MalformedRequests);
        }
        let bytes = proposed(cluster, self.actor, self.number, &self.digest());
        Ok(vec![Claim { author: self.actor, bytes, signature: self.signature }])
    }
}

/// A member found a batch valid. It never says so of another one with this number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Validation {
    /// Whose batch.
    pub actor: ReplicaId,
    /// Which of the actor's.
    pub number: u64,
    /// [`Batch::digest`].
    pub digest: Digest,
    /// In which generation the member said so.
    pub generation: u64,
    /// The member's.
    pub signature: Signature,
}

impl Validation {
    /// Signs it as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        (actor, number, digest): (ReplicaId, u64, Digest),
        generation: u64,
    ) -> Validation {
        let bytes = validated(cluster, actor, number, &digest, generation);
        Validation { actor, number, digest, generation, signature: signer.sign(&bytes) }
    }

    fn claim(&self, from: ReplicaId, cluster: &Cluster) -> Claim {
        let bytes = validated(cluster, self.actor, self.number, &self.digest, self.generation);
        Claim { author: from, bytes, signature: self.signature }
    }
}

/// The validations of a quorum of one generation. There is one batch of each number at most that has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proof {
    /// Whose batch.
    pub actor: ReplicaId,
    /// Which of the actor's.
    pub number: u64,
    /// [`Batch::digest`].
    pub digest: Digest,
    /// The generation whose members' validations these are.
    pub generation: u64,
    /// By author.
    pub validations: Vec<(ReplicaId, Signature)>,
}

impl Proof {
    /// Whether they are enough, and all members of the generation, is seen by who knows the generations.
    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let authors: BTreeSet<ReplicaId> = self.validations.iter().map(|(author, _)| *author).collect();
        let are_nodes = authors.iter().all(|author| cluster.contains(*author));
        if weakened(Weakening::ProofNotChecked) {
            return Ok(vec![]);
        }
        if !are_nodes || authors.len() != self.validations.len() || !cluster.contains(self.actor) {
            return Err(Reason::MalformedCertificate);
        }
        let bytes = validated(cluster, self.actor, self.number, &self.digest, self.generation);
        let claim = |(author, signature): &(ReplicaId, Signature)| Claim {
            author: *author,
            bytes: bytes.clone(),
            signature: *signature,
        };
        Ok(self.validations.iter().map(claim).collect())
    }
}

/// What a node says that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The generation that it knows of.
    pub generation: u64,
    /// What it has applied.
    pub applied: Applied,
    /// Chunks that it has of that generation's first state, while it takes that over.
    pub chunks: u64,
}

/// A message between members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// An actor asks all members to validate a batch.
    Propose(Arc<Batch>),
    /// A member does, to the actor.
    Validated(Validation),
    /// The actor proves to all that a quorum did.
    Proof(Arc<Proof>),
    /// What the sender has, for those that lack some of it.
    Applied(Progress),
    /// What the sender has: it asks for more.
    Fetch(Progress),
    /// A batch that the recipient lacks, and its proof.
    Proven(Arc<Batch>, Arc<Proof>),
    /// Answers to these requests were lost: give them again.
    Remind(Arc<Bundle>),
    /// About the next generation.
    Generation(Arc<OnGeneration>),
    /// A part of the first state of the generation of this number.
    Chunk(u64, Arc<ProvenChunk>),
}

fn check_progress(progress: &Progress, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
    // Links tell who sent it, and a lie harms nobody but the liar.
    if progress.applied.len() == usize::from(cluster.n) { Ok(vec![]) } else { Err(Reason::MalformedRequests) }
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        match self {
            Message::Propose(_) => "propose",
            Message::Validated(_) => "validated",
            Message::Proof(_) => "proof",
            Message::Applied(_) => "applied",
            Message::Fetch(_) => "fetch",
            Message::Proven(..) => "proven",
            Message::Remind(_) => "remind",
            Message::Generation(on) => on.kind(),
            Message::Chunk(..) => "chunk",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Propose(_) => Class::Proposal,
            Message::Validated(_) => Class::Vote,
            Message::Proof(_) => Class::Certificate,
            Message::Applied(_)
            | Message::Fetch(_)
            | Message::Proven(..)
            | Message::Generation(_)
            | Message::Chunk(..) => Class::Upkeep,
            Message::Remind(_) => Class::Request,
        }
    }

    /// There are no slots: each actor counts for itself.
    fn seq(&self) -> Option<Seq> {
        None
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        match self {
            Message::Propose(batch) if batch.actor != from => Err(Reason::NotEntitled),
            Message::Propose(batch) => batch.claims(cluster),
            Message::Validated(validation) => Ok(vec![validation.claim(from, cluster)]),
            Message::Proof(proof) => proof.claims(cluster),
            Message::Applied(progress) | Message::Fetch(progress) => check_progress(progress, cluster),
            Message::Proven(batch, proof) => {
                let is_of_it = (proof.actor, proof.number) == (batch.actor, batch.number)
                    && proof.digest == batch.digest();
                if !is_of_it {
                    return Err(Reason::DigestMismatch);
                }
                Ok([batch.claims(cluster)?, proof.claims(cluster)?].concat())
            }
            Message::Remind(bundle) if bundle.gateway() == from && bundle.is_well_formed(cluster) => {
                Ok(bundle.claim(cluster).into_iter().collect())
            }
            Message::Remind(_) => Err(Reason::MalformedRequests),
            Message::Generation(on) => on.claims(from, cluster),
            // It is checked against the state's digest where that is known.
            Message::Chunk(..) => Ok(vec![]),
        }
    }
}
