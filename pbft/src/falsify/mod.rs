//! How a faulty replica falsifies its messages, with nothing but its own key.

mod forge;
mod version;

use crate::mac::SlotReport;
use crate::message::{
    Certificate, CheckpointVote, Message, NewView, Recollection, StableCheckpoint, ViewChange, Vote,
};
use kernel::{
    Batch, Bundle, Choose, Cluster, Digest, Extent, Falsify, Forgery, Operation, Phase, ReplicaId, Seq,
    Signer, StateForgery, Subject, View,
};
use std::sync::Arc;

/// A digest that nobody proposed.
fn invented(digest: &Digest) -> Digest {
    Digest::of(&digest.0)
}

impl Vote {
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Vote {
        self.about(invented(&self.digest), cluster, signer)
    }

    /// The same vote for another digest; it holds if it is `signer`'s own.
    fn about(&self, digest: Digest, cluster: &Cluster, signer: &Signer) -> Vote {
        if self.author != signer.id() {
            return Vote { digest, ..self.clone() };
        }
        let about = (self.view, self.seq, digest);
        Vote::sign(cluster, signer, self.phase, about, self.communication_node)
    }
}

impl ViewChange {
    /// Conceals what was prepared and reports votes never cast: for null requests,
    /// which everybody could vote for at once. Where that takes no proof, claims that these were prepared.
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> ViewChange {
        let null = Batch::default().digest();
        if cluster.has_tags() {
            let latest = View(self.view.0.saturating_sub(1));
            let lie = |report: &SlotReport| SlotReport {
                prepared: Some((latest, null)),
                pre_prepared: vec![(null, latest)],
                ..report.clone()
            };
            let reports = self.reports.iter().map(lie).collect();
            return ViewChange::sign_reports(cluster, signer, self.view, self.stable.clone(), reports);
        }
        let voted = self.voted.iter().map(|vote| vote.about(null, cluster, signer)).collect();
        ViewChange::sign(cluster, signer, self.view, self.stable.clone(), vec![], voted)
    }
}

impl NewView {
    /// Proposes other digests than those that follow from the VIEW-CHANGEs; where it proposes none, its own
    /// VIEW-CHANGE is falsified.
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> NewView {
        let mut changes = self.view_changes.clone();
        if cluster.has_tags() {
            for change in changes.iter_mut().filter(|change| change.author == signer.id()) {
                *change = Arc::new(change.falsified(cluster, signer));
            }
        }
        let proposals = self.proposals.iter().map(|header| header.falsified(cluster, signer)).collect();
        NewView::sign(cluster, signer, self.view, changes, proposals)
    }
}

/// The same but for one bit near the end, so that it may still be read as a state.
fn corrupted(bytes: &Operation) -> Operation {
    let mut bytes = bytes.0.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    Operation::new(&bytes)
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &[
        "request",
        "pre-prepare",
        "prepare",
        "commit",
        "prepared-certificate",
        "fast-certificate",
        "committed-certificate",
        "stuck",
        "checkpoint",
        "stable-checkpoint",
        "progress",
        "fetch",
        "fetched",
        "view-change",
        "new-view",
        "conflict",
        "fetch-state",
        "state",
        "recover",
        "recollection",
        "decided",
        "mistagged",
    ];

    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Message {
        match self {
            Message::Vote(vote) => Message::Vote(vote.falsified(cluster, signer)),
            Message::TaggedVote { phase, view, seq, digest } => {
                Message::TaggedVote { phase: *phase, view: *view, seq: *seq, digest: invented(digest) }
            }
            Message::Decided { seq, digest } => Message::Decided { seq: *seq, digest: invented(digest) },
            Message::Certificate(certificate) => Message::Certificate(Arc::new(Certificate {
                digest: invented(&certificate.digest),
                ..Certificate::clone(certificate)
            })),
            // Its proposals are left alone, here too: another one would make a
            // commander that falsifies only votes equivocate.
            Message::Stuck { seq, complaint, votes } => {
                let falsify = |vote: &Vote| match vote.phase {
                    Phase::PrePrepare => vote.clone(),
                    Phase::Prepare | Phase::Commit => vote.falsified(cluster, signer),
                };
                let votes = votes.iter().map(falsify).collect();
                Message::Stuck { seq: *seq, complaint: *complaint, votes }
            }
            Message::Checkpoint(vote) => {
                Message::Checkpoint(CheckpointVote::sign(cluster, signer, vote.seq, invented(&vote.state)))
            }
            Message::Stable(proof) => Message::Stable(Arc::new(StableCheckpoint {
                state: invented(&proof.state),
                ..StableCheckpoint::clone(proof)
            })),
            Message::Progress { view, executed } => {
                Message::Progress { view: view.next(), executed: Seq(executed.0 + 1000) }
            }
            Message::Fetched { seq, .. } => Message::Fetched { seq: *seq, batch: Arc::new(Batch::default()) },
            Message::State { .. } => self.misserved(StateForgery::Bit).expect("it is a part of a state"),
            Message::ViewChange(change) if change.author == signer.id() => {
                Message::ViewChange(Arc::new(change.falsified(cluster, signer)))
            }
            Message::NewView(new_view) if cluster.commander(new_view.view) == signer.id() => {
                Message::NewView(Arc::new(new_view.falsified(cluster, signer)))
            }
            // It claims to know nothing.
            Message::Recollection(answer) => Message::Recollection(Arc::new(Recollection::sign(
                cluster,
                signer,
                (answer.nonce, answer.asker),
                None,
                vec![],
            ))),
            other => other.clone(),
        }
    }

    fn alternative(&self, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        let (view, seq, batch, node) = match self {
            Message::PrePrepare { header, batch } => {
                (header.view, header.seq, batch, header.communication_node)
            }
            Message::TaggedProposal { view, seq, batch } => (*view, *seq, batch, None),
            _ => return None,
        };
        let other = Arc::new(batch.shortened()?);
        Some(Message::propose(cluster, signer, view, seq, other, node).1)
    }

    fn subject(&self) -> Option<Subject> {
        match self {
            Message::PrePrepare { header, .. } => Some(version::of_vote(header)),
            Message::Vote(vote) => Some(version::of_vote(vote)),
            Message::Stuck { votes, .. } => votes.first().map(version::of_vote),
            Message::Certificate(certificate) => {
                let Certificate { view, seq, digest, .. } = **certificate;
                Some(Subject { view: Some(view), seq, digest })
            }
            Message::TaggedProposal { view, seq, batch } | Message::DoubtedProposal { view, seq, batch } => {
                Some(Subject { view: Some(*view), seq: *seq, digest: batch.digest() })
            }
            Message::TaggedVote { view, seq, digest, .. } => {
                Some(Subject { view: Some(*view), seq: *seq, digest: *digest })
            }
            Message::Decided { seq, digest } => Some(Subject { view: None, seq: *seq, digest: *digest }),
            _ => None,
        }
    }

    fn with_value(
        &self,
        digest: Digest,
        received: &[Message],
        cluster: &Cluster,
        signer: &Signer,
    ) -> Option<Message> {
        version::with_value(self, digest, received, cluster, signer)
    }

    fn forged(&self, forgery: Forgery, cluster: &Cluster, signer: &Signer) -> Option<Message> {
        forge::forged(self, forgery, cluster, signer)
    }

    fn handing_over(bundle: Arc<Bundle>) -> Option<Message> {
        Some(Message::Requests(bundle))
    }

    fn requests_of(&self) -> Option<ReplicaId> {
        if let Message::Requests(bundle) = self { Some(bundle.gateway()) } else { None }
    }

    fn misserved(&self, forgery: StateForgery) -> Option<Message> {
        let Message::State { seq, part } = self else {
            return None;
        };
        let mut part = part.clone();
        match forgery {
            StateForgery::Bit => part.bytes = corrupted(&part.bytes),
            StateForgery::Extent => {
                part.extent = Extent { chunks: u64::MAX, bytes: u64::MAX };
                part.path.resize(64, Digest::ZERO);
            }
            StateForgery::Short => part.bytes = Operation::new(&part.bytes.0[..part.bytes.0.len().min(1)]),
        }
        Some(Message::State { seq: *seq, part })
    }

    fn needless_view_changes(view: View, cluster: &Cluster, signer: &Signer) -> Vec<Message> {
        let demand = |ahead: u64| {
            let target = View(view.0 + ahead);
            let change = ViewChange::sign(cluster, signer, target, None, vec![], vec![]);
            Message::ViewChange(Arc::new(change))
        };
        vec![demand(1), demand(2)]
    }

    fn noise(near: Seq, choose: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Message {
        let seq = Seq(near.0 + 1 + choose.below(600));
        let digest = Digest::of(&seq.0.to_le_bytes());
        match choose.below(6) {
            0 => {
                let about = (View(0), seq, digest);
                Message::vote(cluster, Vote::sign(cluster, signer, Phase::Commit, about, None))
            }
            1 => Message::Stuck { seq, complaint: true, votes: vec![] },
            2 => Message::Fetch { seq: near, digest },
            3 => Message::FetchState { seq: near, index: 0 },
            4 => Message::Checkpoint(CheckpointVote::sign(cluster, signer, seq, digest)),
            _ => Message::Progress { view: View(choose.below(20)), executed: seq },
        }
    }
}
