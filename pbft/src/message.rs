//! Messages, what must be signed in them, and how they are admitted.

use crate::mac::SlotReport;
use kernel::{
    Authentication, Batch, Bundle, Claim, Class, Cluster, Digest, Phase, ProvenChunk, Reason, ReplicaId, Seq,
    ShareClaim, Signature, Signer, View, Voters, WaitsFor, Weakening, Wire, shares, weakened,
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
    /// Over all of the above, the flow and the cluster; [`Signature::NONE`] where votes have tags. In `ccro-aggregate`,
    /// that of a PREPARE or COMMIT is a share ([`kernel::shares`]), over phase, view, slot and digest, or none if it is
    /// known only as part of a sum.
    pub signature: Signature,
}

/// Whether proposals and PREPAREs leave before the journal has them: who was started again may have forgotten some, and says
/// nothing in their place (ADR 39). Votes to accept of CCRO wait, as a later view may have to hear of them, and what has tags does, as
/// no certificate shows it.
pub(crate) fn may_be_forgotten(cluster: &Cluster) -> bool {
    cluster.protocol == "pbft"
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
    /// In ascending order of the authors, none twice. In `ccro-aggregate`, the commander's proposal alone, as one of the votes to
    /// accept.
    pub votes: Arc<[(ReplicaId, Signature)]>,
    /// The other votes, in `ccro-aggregate`; none elsewhere, or if there are no others.
    pub sum: Option<Arc<ShareSum>>,
}

/// Votes of several replicas under one signature (`ccro-aggregate`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShareSum {
    /// Whose votes, at least one.
    pub voters: Voters,
    /// The sum of their shares.
    pub sum: Signature,
}

/// A replica's statement about its state after a slot (OSDI §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointVote {
    /// The last slot executed.
    pub seq: Seq,
    /// Digest of application, sessions and log: of their [`kernel::Snapshot`].
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
    /// Digest of application, sessions and log: of their [`kernel::Snapshot`].
    pub state: Digest,
    /// In ascending order of the authors, none twice.
    pub votes: Vec<(ReplicaId, Signature)>,
}

/// A replica's vote to leave for another view (OSDI §4.4). It carries digests and
/// signed headers, never batches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewChange {
    /// The view that it wants; it casts no vote below it ever again.
    pub view: View,
    /// Whose vote.
    pub author: ReplicaId,
    /// `h` and its proof; none while `h` is 0.
    pub stable: Option<Arc<StableCheckpoint>>,
    /// `P`: for each slot above `h` the prepared or fast certificate of the
    /// highest view that the author ever held. In ascending order of slots.
    pub prepared: Vec<Arc<Certificate>>,
    /// `Q` (CCRO): for each slot above `h` the last vote to accept, PREPARE or
    /// proposal, that the author cast. In ascending order of slots.
    pub voted: Vec<Vote>,
    /// `P` and `Q` without proof (`pbft-mac`, in which both of the above are empty): in ascending order of slots.
    pub reports: Vec<SlotReport>,
    /// Over all of the above.
    pub signature: Signature,
}

/// The beginning of a view (OSDI §4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewView {
    /// The view; its commander is the author.
    pub view: View,
    /// `V`: exactly a quorum, or in `pbft-mac` at least one, in ascending order of the authors.
    pub view_changes: Vec<Arc<ViewChange>>,
    /// `O`: a proposal for every slot from the highest checkpoint in `V` to the
    /// highest slot that may be decided, in ascending order. Empty in `pbft-mac`, where `V` says it all.
    pub proposals: Vec<Vote>,
    /// Over all of the above.
    pub signature: Signature,
}

/// What a replica answers one that lost its memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recollection {
    /// From the question, so that an old answer is worth nothing.
    pub nonce: u64,
    /// Who asked.
    pub asker: ReplicaId,
    /// Who answers.
    pub author: ReplicaId,
    /// The author's stable checkpoint; none while it is 0.
    pub stable: Option<Arc<StableCheckpoint>>,
    /// VIEW-CHANGEs of `f+1` replicas for the highest views that the author has
    /// so many of; none if it never had.
    pub view_changes: Vec<Arc<ViewChange>>,
    /// Over all of the above.
    pub signature: Signature,
}

/// What replicas of PBFT and CCRO send each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A gateway's or client's requests on their way to the commander.
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
        /// The view that it takes part in.
        view: View,
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
    /// See [`ViewChange`].
    ViewChange(Arc<ViewChange>),
    /// See [`NewView`].
    NewView(Arc<NewView>),
    /// Two proposals of one commander for one slot: proof that it equivocates.
    Conflict {
        /// One of them. Boxed, for this would make every message twice as large.
        first: Box<Vote>,
        /// The other.
        second: Box<Vote>,
    },
    /// Asks for a chunk of the state after a checkpoint.
    FetchState {
        /// The checkpoint.
        seq: Seq,
        /// Which chunk, counted from 0.
        index: u64,
    },
    /// A chunk of the state after a checkpoint.
    State {
        /// The checkpoint.
        seq: Seq,
        /// The chunk, with the proof that the checkpoint's digest commits to it.
        part: ProvenChunk,
    },
    /// A replica that lost its memory asks where the others are.
    Recover {
        /// To be repeated in the answer.
        nonce: u64,
    },
    /// Answers it.
    Recollection(Arc<Recollection>),
    /// The proposal of its sender (`pbft-mac`).
    TaggedProposal {
        /// Whose commander the sender is.
        view: View,
        /// The slot.
        seq: Seq,
        /// What it orders.
        batch: Arc<Batch>,
    },
    /// What is let in of a proposal with requests whose tags do not hold here (`pbft-mac-requests`). Nobody sends it.
    DoubtedProposal {
        /// Whose commander the sender is.
        view: View,
        /// The slot.
        seq: Seq,
        /// What it orders.
        batch: Arc<Batch>,
    },
    /// A PREPARE or COMMIT of its sender (`pbft-mac`).
    TaggedVote {
        /// What it votes on.
        phase: Phase,
        /// In which view.
        view: View,
        /// For which slot.
        seq: Seq,
        /// For which batch.
        digest: Digest,
    },
    /// The slot is decided at the sender (`pbft-mac`): what `f+1` say is true.
    Decided {
        /// The slot.
        seq: Seq,
        /// The batch.
        digest: Digest,
    },
    /// A proposal, vote or statement with a tag that does not hold for this receiver: what a faulty
    /// replica sends (`pbft-mac`).
    Mistagged {
        /// What slot it was about.
        seq: Seq,
    },
}

/// The bytes that a share is of: the same for all who vote alike.
fn share_statement(cluster: &Cluster, vote: &Vote) -> Vec<u8> {
    let phase = if weakened(Weakening::PhaseNotSigned) { Phase::Commit } else { vote.phase };
    let fields = ("share/1", &cluster.protocol, &cluster.id, phase, vote.view, vote.seq, &vote.digest);
    postcard::to_stdvec(&fields).expect("a vote is plain data")
}

/// The bytes that a vote signs: every field that gives it meaning, so that it
/// is worth nothing in another flow, cluster, phase, view or slot.
fn vote_statement(cluster: &Cluster, vote: &Vote) -> Vec<u8> {
    let phase = if weakened(Weakening::PhaseNotSigned) { Phase::Commit } else { vote.phase };
    let fields = (
        "vote/1",
        &cluster.protocol,
        &cluster.id,
        phase,
        vote.view,
        vote.seq,
        &vote.digest,
        vote.author,
        vote.communication_node,
    );
    postcard::to_stdvec(&fields).expect("a vote is plain data")
}

impl Vote {
    /// A vote of `signer`'s, signed unless votes have tags.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        phase: Phase,
        (view, seq, digest): (View, Seq, Digest),
        communication_node: Option<ReplicaId>,
    ) -> Vote {
        let author = signer.id();
        let mut vote = Vote { communication_node, ..Vote::tagged(author, phase, (view, seq, digest)) };
        if vote.is_share(cluster) {
            vote.signature = signer.sign_share(&share_statement(cluster, &vote));
        } else if !cluster.has_tags() {
            vote.signature = signer.sign(&vote_statement(cluster, &vote));
        }
        vote
    }

    /// A vote that `author`'s link authenticates.
    pub fn tagged(author: ReplicaId, phase: Phase, (view, seq, digest): (View, Seq, Digest)) -> Vote {
        Vote { phase, view, seq, digest, author, communication_node: None, signature: Signature::NONE }
    }

    /// Whether its signature is a share.
    fn is_share(&self, cluster: &Cluster) -> bool {
        cluster.has_shares() && self.phase != Phase::PrePrepare
    }

    /// The signature to be checked; none if it is a share.
    pub fn claim(&self, cluster: &Cluster) -> Option<Claim> {
        (!self.is_share(cluster)).then(|| Claim {
            author: self.author,
            bytes: vote_statement(cluster, self),
            signature: self.signature,
        })
    }

    /// The share to be checked, if it has one.
    fn share(&self, cluster: &Cluster) -> Option<ShareClaim> {
        self.is_share(cluster).then(|| ShareClaim {
            voters: [self.author].into_iter().collect(),
            bytes: share_statement(cluster, self),
            sum: self.signature,
        })
    }

    /// Whether its author may cast such a vote at all.
    pub(crate) fn is_entitled(&self, cluster: &Cluster) -> bool {
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
}

impl Certificate {
    /// Votes in a fast certificate: all of them.
    pub fn fast_votes(cluster: &Cluster) -> usize {
        usize::from(cluster.n) - usize::from(weakened(Weakening::FastPathOneLess))
    }

    /// A certificate of these votes for `digest`. None if they do not add up.
    pub fn of_votes(
        cluster: &Cluster,
        kind: CertificateKind,
        (view, seq, digest): (View, Seq, Digest),
        communication_node: Option<ReplicaId>,
        votes: Vec<(ReplicaId, Signature)>,
    ) -> Option<Certificate> {
        let commander = cluster.commander(view);
        let is_share =
            |author| cluster.has_shares() && (author != commander || kind == CertificateKind::Committed);
        let (shares, votes): (Vec<_>, Vec<_>) = votes.into_iter().partition(|(author, _)| is_share(*author));
        let sum = match shares[..] {
            [] => None,
            _ => Some(Arc::new(ShareSum {
                voters: shares.iter().map(|(author, _)| *author).collect(),
                sum: shares::sum(shares.iter().map(|(_, share)| share))?,
            })),
        };
        Some(Certificate { kind, view, seq, digest, communication_node, votes: votes.into(), sum })
    }

    /// The single votes it is made of; those that are under one signature have none of their own.
    pub fn to_votes(&self, cluster: &Cluster) -> impl Iterator<Item = Vote> {
        let commander = cluster.commander(self.view);
        let summed =
            self.sum.iter().flat_map(|sum| sum.voters.iter()).map(|author| (author, Signature::NONE));
        self.votes.iter().copied().chain(summed).map(move |(author, signature)| {
            let phase = match self.kind {
                CertificateKind::Committed => Phase::Commit,
                _ if author == commander => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            let proposal = phase == Phase::PrePrepare;
            Vote {
                phase,
                view: self.view,
                seq: self.seq,
                digest: self.digest,
                author,
                communication_node: self.communication_node.filter(|_| proposal),
                signature,
            }
        })
    }

    fn claims(&self, cluster: &Cluster) -> impl Iterator<Item = Claim> {
        self.to_votes(cluster).filter_map(|vote| vote.claim(cluster))
    }

    /// The sum to be checked, if it has one.
    fn share(&self, cluster: &Cluster) -> Option<ShareClaim> {
        let sum = self.sum.as_ref()?;
        let phase = if self.kind == CertificateKind::Committed { Phase::Commit } else { Phase::Prepare };
        // Whose vote it is makes no difference to a share.
        let vote = Vote::tagged(ReplicaId(0), phase, (self.view, self.seq, self.digest));
        Some(ShareClaim { voters: sum.voters.clone(), bytes: share_statement(cluster, &vote), sum: sum.sum })
    }

    /// Whether it has shares where the flow has them, and signatures where it has those.
    fn is_of_flow(&self, cluster: &Cluster) -> bool {
        let commander = cluster.commander(self.view);
        let voters = self.sum.as_ref().map(|sum| &sum.voters);
        if !cluster.has_shares() {
            return voters.is_none();
        }
        let may_be_listed = |author| self.kind != CertificateKind::Committed && author == commander;
        let is_summed = |author| voters.is_some_and(|voters| voters.contains(author));
        // Its vote to accept is its proposal, which names the communication node.
        let adds_commander = self.kind != CertificateKind::Committed && is_summed(commander);
        voters.is_none_or(|voters| voters.last().is_some_and(|last| cluster.contains(last)))
            && !adds_commander
            && self.votes.iter().all(|(author, _)| may_be_listed(*author) && !is_summed(*author))
    }

    /// Whether it proves what its kind says, provided that its signatures hold.
    fn is_well_formed(&self, cluster: &Cluster) -> bool {
        let needed = match self.kind {
            CertificateKind::Fast => Certificate::fast_votes(cluster),
            CertificateKind::Prepared | CertificateKind::Committed => cluster.quorum(),
        };
        let distinct =
            self.votes.is_sorted_by(|a, b| a.0 < b.0) || weakened(Weakening::RepeatedVoterAccepted);
        let commander = cluster.commander(self.view);
        let has_commander = self.votes.iter().any(|(author, _)| *author == commander);
        let summed = self.sum.as_ref().map_or(0, |sum| sum.voters.count());
        self.votes.len() + summed >= needed
            && self.is_of_flow(cluster)
            && distinct
            && self.votes.iter().all(|(author, _)| cluster.contains(*author))
            && (self.kind != CertificateKind::Prepared || has_commander)
    }
}

impl CheckpointVote {
    /// Signs a checkpoint as `signer`'s.
    pub fn sign(cluster: &Cluster, signer: &Signer, seq: Seq, state: Digest) -> CheckpointVote {
        let mut vote = CheckpointVote { seq, state, author: signer.id(), signature: Signature::NONE };
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
        if weakened(Weakening::CheckpointProofNotChecked) {
            return Ok(vec![]);
        }
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

/// The bytes that are signed of a message of several parts: what it is, for
/// which flow and cluster, and the hash of its content.
fn statement_of(domain: &str, cluster: &Cluster, content: &impl Serialize) -> Vec<u8> {
    let content = postcard::to_stdvec(content).expect("messages are plain data");
    let fields = (domain, &cluster.protocol, &cluster.id, Digest::of(&content));
    postcard::to_stdvec(&fields).expect("a statement is plain data")
}

/// Digests by slot, each with a view.
type Reported = Vec<(Seq, View, Digest)>;

impl ViewChange {
    /// Signs a VIEW-CHANGE as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        stable: Option<Arc<StableCheckpoint>>,
        prepared: Vec<Arc<Certificate>>,
        voted: Vec<Vote>,
    ) -> ViewChange {
        let (author, signature) = (signer.id(), Signature::NONE);
        ViewChange { view, author, stable, prepared, voted, reports: vec![], signature }
            .signed(cluster, signer)
    }

    /// Signs a VIEW-CHANGE with reports as `signer`'s (`pbft-mac`).
    pub fn sign_reports(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        stable: Option<Arc<StableCheckpoint>>,
        reports: Vec<SlotReport>,
    ) -> ViewChange {
        ViewChange { reports, ..ViewChange::sign(cluster, signer, view, stable, vec![], vec![]) }
            .signed(cluster, signer)
    }

    fn signed(mut self, cluster: &Cluster, signer: &Signer) -> ViewChange {
        self.signature = signer.sign(&self.statement(cluster));
        self
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let content = (self.view, self.author, &self.stable, &self.prepared, &self.voted, &self.reports);
        statement_of("view-change/2", cluster, &content)
    }

    /// What its author says that it prepared, and what it voted to accept, with the view: by slot.
    pub(crate) fn reported(&self) -> (Reported, Reported) {
        let certified = self.prepared.iter().map(|c| (c.seq, c.view, c.digest));
        let claimed = self.reports.iter().filter_map(|report| {
            let (view, digest) = report.prepared?;
            Some((report.seq, view, digest))
        });
        let voted = self.voted.iter().map(|vote| (vote.seq, vote.view, vote.digest));
        let pre_prepared = self
            .reports
            .iter()
            .flat_map(|report| report.pre_prepared.iter().map(|(digest, view)| (report.seq, *view, *digest)));
        (certified.chain(claimed).collect(), voted.chain(pre_prepared).collect())
    }

    /// `h`: the author's stable checkpoint.
    pub fn low_watermark(&self) -> Seq {
        self.stable.as_ref().map_or(Seq(0), |stable| stable.seq)
    }

    /// Everything but the watermarks, which depend on settings: see
    /// [`ViewChange::is_within`].
    fn is_well_formed(&self, cluster: &Cluster) -> bool {
        let prepared_are = |certificate: &Arc<Certificate>| {
            certificate.kind != CertificateKind::Committed
                && certificate.view < self.view
                && certificate.is_well_formed(cluster)
        };
        let voted_are = |vote: &Vote| {
            vote.author == self.author
                && vote.phase != Phase::Commit
                && vote.view < self.view
                && vote.is_entitled(cluster)
        };
        cluster.contains(self.author)
            && self.view > View(0)
            && self.prepared.is_sorted_by(|a, b| a.seq < b.seq)
            && self.prepared.iter().all(prepared_are)
            && self.voted.is_sorted_by(|a, b| a.seq < b.seq)
            && self.voted.iter().all(voted_are)
            && self.reports.is_sorted_by(|a, b| a.seq < b.seq)
            && self.reports.iter().all(|report| report.is_well_formed(self.view))
            && if cluster.has_tags() {
                self.prepared.is_empty() && self.voted.is_empty()
            } else {
                self.reports.is_empty()
            }
    }

    /// Whether every slot named lies above `h` and at most `2K` above it.
    pub fn is_within(&self, checkpoint_interval: u64) -> bool {
        let h = self.low_watermark().0;
        let inside = |seq: Seq| seq.0 > h && seq.0 <= h + 2 * checkpoint_interval;
        self.prepared.iter().all(|certificate| inside(certificate.seq))
            && self.voted.iter().all(|vote| inside(vote.seq))
            && self.reports.iter().all(|report| inside(report.seq))
    }

    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        if !self.is_well_formed(cluster) {
            return Err(Reason::MalformedViewChange);
        }
        let mut claims = match &self.stable {
            Some(stable) => stable.claims(cluster)?,
            None => vec![],
        };
        for certificate in &self.prepared {
            claims.extend(certificate.claims(cluster));
        }
        claims.extend(self.voted.iter().filter_map(|vote| vote.claim(cluster)));
        let (author, signature) = (self.author, self.signature);
        claims.push(Claim { author, bytes: self.statement(cluster), signature });
        Ok(claims)
    }

    fn shares(&self, cluster: &Cluster) -> impl Iterator<Item = ShareClaim> {
        let certified = self.prepared.iter().filter_map(|certificate| certificate.share(cluster));
        certified.chain(self.voted.iter().filter_map(|vote| vote.share(cluster)))
    }
}

impl NewView {
    /// Signs a NEW-VIEW as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        view: View,
        view_changes: Vec<Arc<ViewChange>>,
        proposals: Vec<Vote>,
    ) -> NewView {
        let mut new_view = NewView { view, view_changes, proposals, signature: Signature::NONE };
        new_view.signature = signer.sign(&new_view.statement(cluster));
        new_view
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        // The VIEW-CHANGEs' signatures stand for them.
        let signed: Vec<_> = self.view_changes.iter().map(|c| (c.author, c.signature)).collect();
        statement_of("new-view/1", cluster, &(self.view, signed, &self.proposals))
    }

    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let commander = cluster.commander(self.view);
        let changes_are = |change: &Arc<ViewChange>| change.view == self.view;
        let proposals_are = |header: &Vote| {
            header.phase == Phase::PrePrepare && header.view == self.view && header.is_entitled(cluster)
        };
        let consecutive = self.proposals.windows(2).all(|pair| pair[1].seq == pair[0].seq.next());
        let enough = match cluster.authentication() {
            Authentication::Signatures => self.view_changes.len() == cluster.quorum(),
            Authentication::Tags => self.view_changes.len() >= cluster.quorum() && self.proposals.is_empty(),
        };
        let well_formed = enough
            && self.view_changes.is_sorted_by(|a, b| a.author < b.author)
            && self.view_changes.iter().all(changes_are)
            && self.proposals.iter().all(proposals_are)
            && consecutive;
        if !well_formed {
            return Err(Reason::MalformedViewChange);
        }
        let mut claims = Vec::new();
        for change in &self.view_changes {
            claims.extend(change.claims(cluster)?);
        }
        claims.extend(self.proposals.iter().filter_map(|header| header.claim(cluster)));
        let bytes = self.statement(cluster);
        claims.push(Claim { author: commander, bytes, signature: self.signature });
        Ok(claims)
    }
}

impl Recollection {
    /// Signs an answer as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        (nonce, asker): (u64, ReplicaId),
        stable: Option<Arc<StableCheckpoint>>,
        view_changes: Vec<Arc<ViewChange>>,
    ) -> Recollection {
        let (author, signature) = (signer.id(), Signature::NONE);
        let mut answer = Recollection { nonce, asker, author, stable, view_changes, signature };
        answer.signature = signer.sign(&answer.statement(cluster));
        answer
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let changes: Vec<_> = self.view_changes.iter().map(|c| (c.author, c.signature)).collect();
        let content = (self.nonce, self.asker, self.author, &self.stable, changes);
        statement_of("recollection/1", cluster, &content)
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let distinct = self.view_changes.is_sorted_by(|a, b| a.author < b.author);
        if self.author != from || !distinct {
            return Err(Reason::NotEntitled);
        }
        let mut claims = match &self.stable {
            Some(stable) => stable.claims(cluster)?,
            None => vec![],
        };
        for change in &self.view_changes {
            claims.extend(change.claims(cluster)?);
        }
        claims.push(Claim { author: self.author, bytes: self.statement(cluster), signature: self.signature });
        Ok(claims)
    }
}

impl Message {
    /// A proposal of `batch` by `signer`, and its header.
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
        (header.clone(), Message::proposal(cluster, header, batch))
    }

    /// The proposal with this header, from its author.
    pub(crate) fn proposal(cluster: &Cluster, header: Vote, batch: Arc<Batch>) -> Message {
        match cluster.authentication() {
            Authentication::Signatures => Message::PrePrepare { header, batch },
            Authentication::Tags => Message::TaggedProposal { view: header.view, seq: header.seq, batch },
        }
    }

    /// A PREPARE or COMMIT, from its author.
    pub(crate) fn vote(cluster: &Cluster, vote: Vote) -> Message {
        let Vote { phase, view, seq, digest, .. } = vote;
        match cluster.authentication() {
            Authentication::Signatures => Message::Vote(vote),
            Authentication::Tags => Message::TaggedVote { phase, view, seq, digest },
        }
    }

    /// Whether the flow has such messages: votes are signed or have tags, and nothing that was made of the
    /// one kind is believed where there is the other.
    fn is_of_flow(&self, cluster: &Cluster) -> bool {
        match self {
            Message::PrePrepare { .. }
            | Message::Vote(_)
            | Message::Certificate(_)
            | Message::Conflict { .. } => !cluster.has_tags(),
            Message::TaggedProposal { .. }
            | Message::DoubtedProposal { .. }
            | Message::TaggedVote { .. }
            | Message::Decided { .. }
            | Message::Mistagged { .. } => cluster.has_tags(),
            Message::Stuck { votes, .. } => !cluster.has_tags() || votes.is_empty(),
            _ => true,
        }
    }

    fn tagged_proposal_claims(
        from: ReplicaId,
        view: View,
        batch: &Batch,
        cluster: &Cluster,
    ) -> Result<Vec<Claim>, Reason> {
        if from != cluster.commander(view) {
            return Err(Reason::NotEntitled);
        }
        batch.claims(cluster).ok_or(Reason::MalformedRequests)
    }

    fn conflict_claims(first: &Vote, second: &Vote, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let about = |vote: &Vote| (vote.phase, vote.view, vote.seq, vote.author);
        let says = |vote: &Vote| (vote.digest, vote.communication_node);
        let proves = first.phase == Phase::PrePrepare
            && first.is_entitled(cluster)
            && second.is_entitled(cluster)
            && about(first) == about(second)
            && says(first) != says(second);
        if !proves {
            return Err(Reason::MalformedCertificate);
        }
        Ok([first, second].into_iter().filter_map(|header| header.claim(cluster)).collect())
    }

    fn proposal_claims(header: &Vote, batch: &Batch, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        if header.phase != Phase::PrePrepare || !header.is_entitled(cluster) {
            return Err(Reason::NotEntitled);
        }
        if batch.digest() != header.digest && !weakened(Weakening::DigestNotCompared) {
            return Err(Reason::DigestMismatch);
        }
        let mut claims = batch.claims(cluster).ok_or(Reason::MalformedRequests)?;
        claims.extend(header.claim(cluster));
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
            Message::ViewChange(_) => "view-change",
            Message::NewView(_) => "new-view",
            Message::Conflict { .. } => "conflict",
            Message::FetchState { .. } => "fetch-state",
            Message::State { .. } => "state",
            Message::Recover { .. } => "recover",
            Message::Recollection(_) => "recollection",
            Message::TaggedProposal { .. } | Message::DoubtedProposal { .. } => "pre-prepare",
            Message::TaggedVote { phase: Phase::Prepare, .. } => "prepare",
            Message::TaggedVote { .. } => "commit",
            Message::Decided { .. } => "decided",
            Message::Mistagged { .. } => "mistagged",
        }
    }

    fn class(&self) -> Class {
        match self {
            Message::Requests(_) => Class::Request,
            Message::PrePrepare { .. } | Message::TaggedProposal { .. } | Message::DoubtedProposal { .. } => {
                Class::Proposal
            }
            Message::Vote(_)
            | Message::Stuck { .. }
            | Message::TaggedVote { .. }
            | Message::Mistagged { .. } => Class::Vote,
            Message::Certificate(_) | Message::Decided { .. } => Class::Certificate,
            Message::Checkpoint(_) => Class::Checkpoint,
            Message::Stable(_)
            | Message::Progress { .. }
            | Message::Fetch { .. }
            | Message::Fetched { .. }
            | Message::FetchState { .. }
            | Message::State { .. }
            | Message::Recover { .. }
            | Message::Recollection(_) => Class::Upkeep,
            Message::ViewChange(_) | Message::NewView(_) | Message::Conflict { .. } => Class::ViewChange,
        }
    }

    fn waits_for(&self, cluster: &Cluster) -> WaitsFor {
        match self {
            Message::PrePrepare { .. } | Message::Vote(Vote { phase: Phase::Prepare, .. })
                if may_be_forgotten(cluster) =>
            {
                WaitsFor::ViewAndWatermarks
            }
            // Each of its votes was safe at its voter before it left.
            Message::Certificate(_) => WaitsFor::EarlierPromises,
            Message::Requests(_) => WaitsFor::Nothing,
            _ => WaitsFor::OwnStep,
        }
    }

    fn seq(&self) -> Option<Seq> {
        match self {
            Message::PrePrepare { header, .. } => Some(header.seq),
            Message::Vote(vote) => Some(vote.seq),
            Message::Certificate(certificate) => Some(certificate.seq),
            Message::Stuck { seq, .. }
            | Message::Fetch { seq, .. }
            | Message::Fetched { seq, .. }
            | Message::TaggedProposal { seq, .. }
            | Message::DoubtedProposal { seq, .. }
            | Message::TaggedVote { seq, .. }
            | Message::Decided { seq, .. }
            | Message::Mistagged { seq } => Some(*seq),
            _ => None,
        }
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        if !self.is_of_flow(cluster) {
            return Err(Reason::NotEntitled);
        }
        match self {
            Message::Requests(bundle) => {
                if !cluster.may_submit(bundle.gateway()) || !bundle.is_well_formed(cluster) {
                    return Err(Reason::MalformedRequests);
                }
                Ok(bundle.claim(cluster).into_iter().collect())
            }
            Message::PrePrepare { header, batch } => Message::proposal_claims(header, batch, cluster),
            Message::Vote(vote) => {
                if vote.phase == Phase::PrePrepare || !vote.is_entitled(cluster) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vote.claim(cluster).into_iter().collect())
            }
            Message::Certificate(certificate) => {
                if !certificate.is_well_formed(cluster) {
                    return Err(Reason::MalformedCertificate);
                }
                Ok(certificate.claims(cluster).collect())
            }
            Message::Stuck { seq, votes, .. } => {
                // No more than one replica casts in a view. Each is signed, so it does not matter whose they are.
                if votes.len() > 3 || votes.iter().any(|v| v.seq != *seq || !v.is_entitled(cluster)) {
                    return Err(Reason::NotEntitled);
                }
                Ok(votes.iter().filter_map(|vote| vote.claim(cluster)).collect())
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
            Message::Fetch { .. } => Ok(vec![]),
            // A fetched batch needs no signature: it is wanted for its digest,
            // which a certificate vouches for. But it may be sent on, so it must look like one.
            Message::Fetched { batch, .. } => match batch.is_well_formed(cluster) {
                true => Ok(vec![]),
                false => Err(Reason::MalformedRequests),
            },
            Message::ViewChange(change) => change.claims(cluster),
            Message::NewView(new_view) => new_view.claims(cluster),
            Message::Conflict { first, second } => Message::conflict_claims(first, second, cluster),
            // A chunk is proven by the digest of the checkpoint that it belongs to.
            Message::FetchState { .. } | Message::State { .. } => Ok(vec![]),
            Message::Recover { .. } => Ok(vec![]),
            Message::Recollection(answer) => answer.claims(from, cluster),
            Message::TaggedProposal { view, batch, .. } => {
                Message::tagged_proposal_claims(from, *view, batch, cluster)
            }
            Message::TaggedVote { phase, view, seq, digest } => {
                let vote = Vote::tagged(from, *phase, (*view, *seq, *digest));
                if vote.phase == Phase::PrePrepare || !vote.is_entitled(cluster) {
                    return Err(Reason::NotEntitled);
                }
                Ok(vec![])
            }
            // Believed of `f+1` only.
            Message::Decided { .. } => Ok(vec![]),
            // A receiver's own doubts are nothing that others can send.
            Message::DoubtedProposal { .. } => Err(Reason::NotEntitled),
            Message::Mistagged { .. } => Err(Reason::BadTag),
        }
    }

    fn shares(&self, cluster: &Cluster) -> Vec<ShareClaim> {
        if !cluster.has_shares() {
            return vec![];
        }
        match self {
            Message::Vote(vote) => vote.share(cluster).into_iter().collect(),
            Message::Stuck { votes, .. } => votes.iter().filter_map(|vote| vote.share(cluster)).collect(),
            Message::Certificate(certificate) => certificate.share(cluster).into_iter().collect(),
            Message::ViewChange(change) => change.shares(cluster).collect(),
            Message::NewView(new_view) => {
                new_view.view_changes.iter().flat_map(|change| change.shares(cluster)).collect()
            }
            Message::Recollection(answer) => {
                answer.view_changes.iter().flat_map(|change| change.shares(cluster)).collect()
            }
            _ => vec![],
        }
    }

    /// A batch that is fetched is wanted for its digest, which a quorum or a NEW-VIEW vouches for.
    fn bundles(&self) -> &[Arc<Bundle>] {
        match self {
            Message::Requests(bundle) => std::slice::from_ref(bundle),
            Message::TaggedProposal { batch, .. } => &batch.bundles,
            _ => &[],
        }
    }

    fn doubted(self) -> Option<Message> {
        let Message::TaggedProposal { view, seq, batch } = self else { return None };
        Some(if weakened(Weakening::DoubtedRequestsAccepted) {
            Message::TaggedProposal { view, seq, batch }
        } else {
            Message::DoubtedProposal { view, seq, batch }
        })
    }
}
