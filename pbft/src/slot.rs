//! One sequence number and all that a replica knows of it.

use crate::core::Votes;
use crate::mac::{SlotReport, Statements};
use crate::message::{Certificate, CertificateKind, Vote};
use kernel::{
    Batch, Cluster, Digest, Phase, ReplicaId, Seq, Signature, Tallied, View, VoteSet, Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that is known of one sequence number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// By view: the view that this replica takes part in, and the one it wants.
    pub rounds: BTreeMap<View, Round>,
    /// Of the rounds that are gone, and of those that came as one: the prepared or
    /// fast certificate of the highest view that this replica ever held (an entry of
    /// `P`).
    pub prepared: Option<Arc<Certificate>>,
    /// Of the rounds that are gone: the last vote to accept that this replica
    /// cast (an entry of `Q`).
    pub voted: Option<Vote>,
    /// Of the rounds that are gone: what this replica reports of the slot (`pbft-mac`).
    pub reported: Option<SlotReport>,
    /// Who said that the slot is decided (`pbft-mac`).
    pub statements: Statements,
    /// The batches that proposals or certificates for this slot name.
    pub batches: BTreeMap<Digest, Arc<Batch>>,
    /// The decision: view and digest.
    pub committed: Option<(View, Digest)>,
    /// The final certificate, where the decision came as one.
    pub proof: Option<Arc<Certificate>>,
}

/// What happened to a slot in one view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Round {
    /// The first proposal header of the commander that was seen, in whatever
    /// envelope. Its signature is the commander's entry in `prepares`.
    pub header: Option<Vote>,
    /// Whether this replica accepted `header`: only then may it vote.
    pub accepted: bool,
    /// Votes to accept: the header and the PREPAREs.
    pub prepares: VoteSet,
    /// COMMITs.
    pub commits: VoteSet,
}

impl Round {
    /// Nothing has happened yet.
    pub(crate) fn new(cluster: &Cluster, votes: Votes) -> Round {
        // Most signatures come in a certificate, or there are none.
        if votes == Votes::Collected || cluster.has_tags() {
            return Round::default();
        }
        Round {
            prepares: VoteSet::for_votes_of(cluster.n),
            commits: VoteSet::for_votes_of(cluster.n),
            ..Round::default()
        }
    }

    /// Records a vote. A second proposal that differs from the first only in the
    /// communication node contradicts it as well.
    pub fn record(&mut self, vote: &Vote) -> Tallied {
        match vote.phase {
            Phase::PrePrepare => {
                if let Some(header) = &self.header
                    && header.digest == vote.digest
                    && header.communication_node != vote.communication_node
                {
                    return Tallied::Contradiction;
                }
                let tallied = self.prepares.insert(vote.author, vote.digest, vote.signature);
                if tallied == Tallied::New {
                    self.header = Some(vote.clone());
                }
                tallied
            }
            Phase::Prepare => self.prepares.insert(vote.author, vote.digest, vote.signature),
            Phase::Commit => self.commits.insert(vote.author, vote.digest, vote.signature),
        }
    }

    /// Leaves the signatures of votes that came in `certificate` in there: a simulation has it in memory
    /// once for all replicas, each of which would have a copy of its votes.
    pub(crate) fn share(&mut self, certificate: &Certificate) {
        let votes = match certificate.kind {
            CertificateKind::Prepared | CertificateKind::Fast => &mut self.prepares,
            CertificateKind::Committed => &mut self.commits,
        };
        votes.share(&certificate.votes);
    }

    /// The proposal that this replica accepted.
    pub fn accepted_header(&self) -> Option<&Vote> {
        self.header.as_ref().filter(|_| self.accepted)
    }

    /// Replicas that accepted what this replica accepted, itself included.
    pub fn accepting(&self) -> usize {
        self.accepted_header().map_or(0, |header| self.prepares.count(&header.digest))
    }

    /// Whether `author` voted for what this replica accepted.
    pub fn has_accepted(&self, author: ReplicaId) -> bool {
        let vote = self.prepares.choice(author);
        self.accepted_header().is_some_and(|header| vote == Some(&header.digest))
    }

    /// Prepared (OSDI §4.2): accepted here and by a quorum.
    pub fn is_prepared(&self, cluster: &Cluster) -> bool {
        self.accepting() >= cluster.quorum()
    }

    /// The certificate of `kind` that the votes at hand make for `digest`, if
    /// there are enough of them.
    pub fn certificate(
        &self,
        cluster: &Cluster,
        kind: CertificateKind,
        (view, seq, digest): (View, Seq, Digest),
    ) -> Option<Certificate> {
        let (votes, needed) = match kind {
            CertificateKind::Prepared => (&self.prepares, cluster.quorum()),
            CertificateKind::Fast => (&self.prepares, Certificate::fast_votes(cluster)),
            CertificateKind::Committed => (&self.commits, cluster.quorum()),
        };
        let header = self.header.as_ref().filter(|header| header.digest == digest);
        let mut votes = votes.of(&digest);
        if cluster.has_shares() && !weakened(Weakening::UnknownSharesAdded) {
            // What is known only as part of a sum is in a certificate that was kept whole.
            votes.retain(|(_, share)| *share != Signature::NONE);
        }
        if votes.len() < needed || (kind != CertificateKind::Committed && header.is_none()) {
            return None;
        }
        // The commander's vote must be in a prepared certificate, so it goes
        // first into the selection; then back into the order of the authors.
        let commander = cluster.commander(view);
        votes.sort_by_key(|(author, _)| (*author != commander, *author));
        votes.truncate(needed);
        votes.sort_by_key(|(author, _)| *author);
        let node = header.filter(|_| kind != CertificateKind::Committed);
        let node = node.and_then(|header| header.communication_node);
        Certificate::of_votes(cluster, kind, (view, seq, digest), node, votes)
    }

    /// The certificate that `q` replicas accepted the commander's proposal.
    fn prepared_certificate(&self, cluster: &Cluster, view: View, seq: Seq) -> Option<Certificate> {
        let digest = self.header.as_ref()?.digest;
        self.certificate(cluster, CertificateKind::Prepared, (view, seq, digest))
    }

    /// The vote by which `author` accepted: its PREPARE, or as commander its
    /// proposal.
    fn vote_to_accept(&self, author: ReplicaId, view: View, seq: Seq) -> Option<Vote> {
        self.votes_of(author, (view, seq)).into_iter().find(|vote| vote.phase != Phase::Commit)
    }

    /// The votes that `author` cast in this round.
    pub fn votes_of(&self, author: ReplicaId, (view, seq): (View, Seq)) -> Vec<Vote> {
        let proposal = self.header.iter().filter(|header| header.author == author).cloned();
        let is_commander = self.header.as_ref().is_some_and(|h| h.author == author);
        let prepare = self.prepares.get(author).filter(|_| !is_commander).map(|v| (Phase::Prepare, v));
        let commit = self.commits.get(author).map(|v| (Phase::Commit, v));
        let votes = prepare.into_iter().chain(commit).map(|(phase, (digest, signature))| Vote {
            phase,
            view,
            seq,
            digest: *digest,
            author,
            communication_node: None,
            signature: *signature,
        });
        proposal.chain(votes).collect()
    }
}

impl Slot {
    /// Takes note of a certificate.
    pub(crate) fn note_prepared(&mut self, certificate: Arc<Certificate>) {
        if self.prepared.as_ref().is_none_or(|known| known.view < certificate.view) {
            self.prepared = Some(certificate);
        }
    }

    /// Forgets the rounds of all views but `kept`; what a later view change must
    /// know of them stays: `P` and `Q` survive view changes.
    pub(crate) fn forget_rounds(&mut self, cluster: &Cluster, id: ReplicaId, seq: Seq, kept: &[View]) {
        let (kept, gone) = std::mem::take(&mut self.rounds).into_iter().partition(|(v, _)| kept.contains(v));
        self.rounds = kept;
        let gone: BTreeMap<View, Round> = gone;
        if cluster.has_tags() {
            self.reported = SlotReport::of(cluster, id, seq, self.reported.take(), &gone);
            return;
        }
        for (view, round) in gone {
            if let Some(certificate) = round.prepared_certificate(cluster, view, seq)
                && !weakened(Weakening::PreparedForgotten)
            {
                self.note_prepared(Arc::new(certificate));
            }
            if let Some(vote) = round.vote_to_accept(id, view, seq) {
                self.voted = Some(vote);
            }
            if let Some((decided, digest)) = self.committed
                && decided == view
                && self.proof.is_none()
            {
                let about = (view, seq, digest);
                self.proof = round.certificate(cluster, CertificateKind::Committed, about).map(Arc::new);
            }
        }
    }

    /// This replica's entry of `P`: the prepared certificate of the highest view.
    pub(crate) fn highest_prepared(&self, cluster: &Cluster, seq: Seq) -> Option<Arc<Certificate>> {
        let newest = self.rounds.iter().rev();
        let of_rounds = newest.filter_map(|(view, round)| round.prepared_certificate(cluster, *view, seq));
        let of_rounds = of_rounds.map(Arc::new).next();
        of_rounds.into_iter().chain(self.prepared.clone()).max_by_key(|certificate| certificate.view)
    }

    /// This replica's entry of `Q`: the last vote to accept that it cast.
    pub(crate) fn last_vote(&self, id: ReplicaId, seq: Seq) -> Option<Vote> {
        let newest = self.rounds.iter().rev();
        newest.filter_map(|(view, round)| round.vote_to_accept(id, *view, seq)).next().or(self.voted.clone())
    }

    /// What this replica reports of the slot (`pbft-mac`), if there is anything.
    pub(crate) fn report(&self, cluster: &Cluster, id: ReplicaId, seq: Seq) -> Option<SlotReport> {
        SlotReport::of(cluster, id, seq, self.reported.clone(), &self.rounds)
    }

    /// Whether the slot is begun for sure: decided, proposed to this replica, or
    /// known to `weak_quorum` replicas, of which one is honest. A single vote
    /// may be anyone's invention.
    pub(crate) fn is_begun(&self, weak_quorum: usize) -> bool {
        let known = |round: &Round| round.prepares.voters().max(round.commits.voters()) >= weak_quorum;
        self.committed.is_some() || self.rounds.values().any(|round| round.accepted || known(round))
    }

    /// Whether `author` has voted in any view that is kept.
    pub(crate) fn has_vote_of(&self, author: ReplicaId) -> bool {
        let voted = |votes: &VoteSet| votes.choice(author).is_some();
        self.rounds.values().any(|round| voted(&round.prepares) || voted(&round.commits))
    }

    /// Whether the slot is decided, or its batch is here and this replica has voted for it.
    pub(crate) fn is_accepted(&self) -> bool {
        self.committed.is_some() || self.rounds.values().any(|round| round.accepted)
    }

    /// The decided batch, once it is decided and here.
    pub fn decided_batch(&self) -> Option<&Arc<Batch>> {
        let (_, digest) = self.committed.as_ref()?;
        self.batches.get(digest)
    }

    /// A certificate that makes the decision final for whoever gets it.
    pub fn final_certificate(&self, cluster: &Cluster, seq: Seq) -> Option<Arc<Certificate>> {
        let (view, digest) = self.committed?;
        self.proof.clone().or_else(|| {
            let round = self.rounds.get(&view)?;
            let about = (view, seq, digest);
            round.certificate(cluster, CertificateKind::Committed, about).map(Arc::new)
        })
    }
}
