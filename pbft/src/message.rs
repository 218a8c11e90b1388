//! Messages, what must be signed in them, and how they are admitted.

use kernel::{
    Batch, Bundle, Claim, Class, Cluster, Digest, Falsify, Phase, Reason, ReplicaId, Seq, Signature, Signer,
    View, Wire,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A replica's signed vote. A commander's proposal header is its vote in phase
/// [`Phase::PrePrepare`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// What it votes on.
    pub phase: Phase,
    /// In which view.
    pub view: View,
    /// For which slot.
    pub seq: Seq,
    /// For which batch.
    pub digest: Digest,
    /// Whose vote.
    pub author: ReplicaId,
    /// In a proposal under CCRO, the vote collector it names; else none.
    pub communication_node: Option<ReplicaId>,
    /// Over all of the above, the flow and the cluster.
    pub signature: Signature,
}

/// What a certificate proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CertificateKind {
    /// `q` replicas accepted the proposal, the commander among them.
    Prepared,
    /// All `n` replicas accepted the proposal (CCRO); final.
    Fast,
    /// `q` replicas sent COMMIT; final.
    Committed,
}

/// The votes of distinct replicas for one digest in one slot and view: the same
/// proof as having received each of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Certificate {
    /// What it proves.
    pub kind: CertificateKind,
    /// The view of the votes.
    pub view: View,
    /// The slot.
    pub seq: Seq,
    /// The batch.
    pub digest: Digest,
    /// As in the commander's proposal.
    pub communication_node: Option<ReplicaId>,
    /// In ascending order of the authors, none twice.
    pub votes: Vec<(ReplicaId, Signature)>,
}

/// A replica's statement about its state after a slot (OSDI §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointVote {
    /// The last slot executed.
    pub seq: Seq,
    /// Digest of application, sessions and log.
    pub state: Digest,
    /// Whose statement.
    pub author: ReplicaId,
    /// Over all of the above.
    pub signature: Signature,
}

/// The votes of a quorum for one checkpoint (OSDI §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StableCheckpoint {
    /// The last slot executed.
    pub seq: Seq,
    /// Digest of application, sessions and log.
    pub state: Digest,
    /// In ascending order of the authors, none twice.
    pub votes: Vec<(ReplicaId, Signature)>,
}

/// What replicas of PBFT and CCRO send each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A gateway's requests on their way to the commander.
    Requests(Arc<Bundle>),
    /// The commander's proposal.
    PrePrepare {
        /// The signed header.
        header: Vote,
        /// What it orders.
        batch: Arc<Batch>,
    },
    /// A PREPARE or COMMIT.
    Vote(Vote),
    /// A bundle of votes.
    Certificate(Arc<Certificate>),
    /// The slot is stuck here; these are all my votes for it (none, if I know
    /// nothing of it). Under CCRO, a fallback vote.
    Stuck {
        /// The slot.
        seq: Seq,
        /// The sender's own timer ran out; else it answers another's.
        complaint: bool,
        /// The sender's own votes.
        votes: Vec<Vote>,
    },
    /// See [`CheckpointVote`].
    Checkpoint(CheckpointVote),
    /// Proof that a checkpoint is stable, for a replica that missed votes for it.
    Stable(Arc<StableCheckpoint>),
    /// How far the sender has executed; sent when it has come to rest.
    Progress {
        /// The last slot executed.
        executed: Seq,
    },
    /// Asks for a batch that a certificate names.
    Fetch {
        /// The slot.
        seq: Seq,
        /// The batch.
        digest: Digest,
    },
    /// Answers a fetch.
    Fetched {
        /// The slot.
        seq: Seq,
        /// The batch.
        batch: Arc<Batch>,
    },
}

/// The bytes that a vote signs: every field that gives it meaning, so that it
/// is worth nothing in another flow, cluster, phase, view or slot.
fn vote_statement(cluster: &Cluster, vote: &Vote) -> Vec<u8> {
    let fields = (
        "vote/1",
        &cluster.protocol,
        &cluster.id,
        vote.phase,
        vote.view,
        vote.seq,
        &vote.digest,
        vote.author,
        vote.communication_node,
    );
    postcard::to_stdvec(&fields).expect("a vote is plain data")
}

impl Vote {
    /// Signs a vote as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        phase: Phase,
        (view, seq, digest): (View, Seq, Digest),
        communication_node: Option<ReplicaId>,
    ) -> Vote {
        let mut vote = Vote {
            phase,
            view,
            seq,
            digest,
            author: signer.id(),
            communication_node,
            signature: Signature([0; 64]),
        };
        vote.signature = signer.sign(&vote_statement(cluster, &vote));
        vote
    }

    /// The signature to be checked.
    pub fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.author, bytes: vote_statement(cluster, self), signature: self.signature }
    }

    /// Whether its author may cast such a vote at all.
    fn is_entitled(&self, cluster: &Cluster) -> bool {
        let is_commander = self.author == cluster.commander(self.view);
        cluster.contains(self.author)
            && match self.phase {
                Phase::PrePrepare => {
                    is_commander && self.communication_node.is_none_or(|c| cluster.contains(c))
                }
                // The commander's proposal is its vote; a PREPARE of its own
                // would let it be counted twice.
                Phase::Prepare => !is_commander && self.communication_node.is_none(),
                Phase::Commit => self.communication_node.is_none(),
            }
    }

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Vote {
        let digest = Digest::of(&self.digest.0);
        if self.author != signer.id() {
            return Vote { digest, ..self.clone() };
        }
        let about = (self.view, self.seq, digest);
        Vote::sign(cluster, signer, self.phase, about, self.communication_node)
    }
}

impl Certificate {
    /// The single votes it is made of.
    pub fn to_votes(&self, cluster: &Cluster) -> impl Iterator<Item = Vote> {
        let commander = cluster.commander(self.view);
        self.votes.iter().map(move |(author, signature)| {
            let phase = match self.kind {
                CertificateKind::Committed => Phase::Commit,
                _ if *author == commander => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            let proposal = phase == Phase::PrePrepare;
            Vote {
                phase,
                view: self.view,
                seq: self.seq,
                digest: self.digest,
                author: *author,
                communication_node: self.communication_node.filter(|_| proposal),
                signature: *signature,
            }
        })
    }

    /// Whether it proves what its kind says, provided that its signatures hold.
    fn is_well_formed(&self, cluster: &Cluster) -> bool {
        let needed = match self.kind {
            CertificateKind::Fast => usize::from(cluster.n),
            CertificateKind::Prepared | CertificateKind::Committed => cluster.quorum(),
        };
        let commander = cluster.commander(self.view);
        let has_commander = self.votes.iter().any(|(author, _)| *author == commander);
        self.votes.len() >= needed
            && self.votes.is_sorted_by(|a, b| a.0 < b.0)
            && self.votes.iter().all(|(author, _)| cluster.contains(*author))
            && (self.kind != CertificateKind::Prepared || has_commander)
    }
}

impl CheckpointVote {
    /// Signs a checkpoint as `signer`'s.
    pub fn sign(cluster: &Cluster, signer: &Signer, seq: Seq, state: Digest) -> CheckpointVote {
        let mut vote = CheckpointVote { seq, state, author: signer.id(), signature: Signature([0; 64]) };
        vote.signature = signer.sign(&vote.statement(cluster));
        vote
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let fields = ("checkpoint/1", &cluster.protocol, &cluster.id, self.seq, &self.state, self.author);
        postcard::to_stdvec(&fields).expect("a checkpoint is plain data")
    }

    fn claim(&self, cluster: &Cluster) -> Claim {
        Claim { author: self.author, bytes: self.statement(cluster), signature: self.signature }
    }
}

impl StableCheckpoint {
    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let distinct = self.votes.is_sorted_by(|a, b| a.0 < b.0);
        let known = self.votes.iter().all(|(author, _)| cluster.contains(*author));
        if self.votes.len() < cluster.quorum() || !distinct || !known {
            return Err(Reason::MalformedCertificate);
        }
        let vote = |(author, signature): &(ReplicaId, Signature)| CheckpointVote {
            seq: self.seq,
            state: self.state,
            author: *author,
            signature: *signature,
        };
        Ok(self.votes.iter().map(|entry| vote(entry).claim(cluster)).collect())
    }
}

impl Message {
    /// A proposal of `batch`, signed by `signer`.
    pub fn propose(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        seq: Seq,
        batch: Arc<Batch>,
        communication_node: Option<ReplicaId>,
    ) -> (Vote, Message) {
        let about = (view, seq, batch.digest());
        let header = Vote::sign(cluster, signer, Phase::PrePrepare, about, communication_node);
        (header.clone(), Message::PrePrepare { header, batch })
    }

    fn proposal_claims(header: &Vote, batch: &Batch, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        if header.phase != Phase::PrePrepare || !header.is_entitled(cluster) {
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
            Message::PrePrepare { .. } => "pre-prepare",
            Message::Vote(vote) if vote.phase == Phase::Prepare => "prepare",
            Message::Vote(_) => "commit",
            Message::Certificate(certificate) => match certificate.kind {
                CertificateKind::Prepared => "prepared-certificate",
                CertificateKind::Fast => "fast-certificate",
                CertificateKind::Committed => "committed-certificate",
            },
            Message::Stuck { .. } => "stuck",
            Message::Checkpoint(_) => "checkpoint",
            Message::Stable(_) => "stable-checkpoint",
            Message::Progress { .. } => "progress",
            Message::Fetch { .. } => "fetch",
            Message::Fetched { .. } => "fetched",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Request,
            Message::PrePrepare { .. } => Class::Proposal,
            Message::Vote(_) | Message::Stuck { .. } => Class::Vote,
            Message::Certificate(_) => Class::Certificate,
            Message::Checkpoint(_) => Class::Checkpoint,
            Message::Stable(_)
            | Message::Progress { .. }
            | Message::Fetch { .. }
            | Message::Fetched { .. } => Class::Upkeep,
        }
    }

    fn seq(&self) -> Option<Seq> {
        match self {
            Message::PrePrepare { header, .. } => Some(header.seq),
            Message::Vote(vote) => Some(vote.seq),
            Message::Certificate(certificate) => Some(certificate.seq),
            Message::Stuck { seq, .. } | Message::Fetch { seq, .. } | Message::Fetched { seq, .. } => {
                Some(*seq)
            }
            Message::Requests(_) | Message::Checkpoint(_) | Message::Stable(_) | Message::Progress { .. } => {
                None
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
            Message::PrePrepare { header, batch } => Message::proposal_claims(header, batch, cluster),
            Message::Vote(vote) => {
                if vote.phase == Phase::PrePrepare || !vote.is_entitled(cluster) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vec![vote.claim(cluster)])
            }
            Message::Certificate(certificate) => {
                if !certificate.is_well_formed(cluster) {
                    return Err(Reason::MalformedCertificate);
                }
                Ok(certificate.to_votes(cluster).map(|vote| vote.claim(cluster)).collect())
            }
            Message::Stuck { seq, votes, .. } => {
                // At most a proposal, a PREPARE and a COMMIT of one author.
                if votes.len() > 3 || votes.iter().any(|v| v.seq != *seq || !v.is_entitled(cluster)) {
                    return Err(Reason::NotEntitled);
                }
                Ok(votes.iter().map(|vote| vote.claim(cluster)).collect())
            }
            Message::Checkpoint(vote) => {
                if !cluster.contains(vote.author) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vec![vote.claim(cluster)])
            }
            Message::Stable(proof) => proof.claims(cluster),
            // A hint, believed of `f+1` peers only.
            Message::Progress { .. } => Ok(vec![]),
            // A fetched batch needs no signature: it is wanted for its digest,
            // which a certificate vouches for.
            Message::Fetch { .. } | Message::Fetched { .. } => Ok(vec![]),
        }
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
