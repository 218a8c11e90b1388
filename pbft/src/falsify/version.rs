//! The other version: what a faulty replica sends to those who received another batch.

use crate::message::{Certificate, CertificateKind, Message, Vote};
use kernel::{Cluster, Digest, Falsify as _, Phase, ReplicaId, Signature, Signer, Subject};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn of_vote(vote: &Vote) -> Subject {
    Subject { view: Some(vote.view), seq: vote.seq, digest: vote.digest }
}

pub(super) fn with_value(
    message: &Message,
    digest: Digest,
    received: &[Message],
    cluster: &Cluster,
    signer: &Signer,
) -> Option<Message> {
    match message {
        Message::Vote(vote) if vote.author == signer.id() => {
            Some(Message::Vote(vote.about(digest, cluster, signer)))
        }
        Message::PrePrepare { header, .. } => {
            let wanted = Subject { digest, ..of_vote(header) };
            let is_it = |other: &Message| matches!(other, Message::PrePrepare { header, .. } if of_vote(header) == wanted);
            received.iter().find(|other| is_it(other)).cloned()
        }
        Message::Stuck { seq, complaint, votes } => {
            let votes = votes.iter().map(|vote| vote.about(digest, cluster, signer)).collect();
            Some(Message::Stuck { seq: *seq, complaint: *complaint, votes })
        }
        Message::Certificate(certificate) => {
            let other_version = collect(certificate, digest, received, cluster, signer);
            Some(Message::Certificate(Arc::new(other_version)))
        }
        Message::TaggedVote { phase, view, seq, .. } => {
            Some(Message::TaggedVote { phase: *phase, view: *view, seq: *seq, digest })
        }
        Message::Decided { seq, .. } => Some(Message::Decided { seq: *seq, digest }),
        Message::TaggedProposal { .. } => {
            let wanted = message.subject().map(|subject| Subject { digest, ..subject });
            let is_it = |other: &Message| {
                matches!(other, Message::TaggedProposal { .. }) && other.subject() == wanted
            };
            received.iter().find(|other| is_it(other)).cloned()
        }
        _ => None,
    }
}

/// A certificate of the same kind for `digest`, of all the votes at hand.
fn collect(
    model: &Certificate,
    digest: Digest,
    received: &[Message],
    cluster: &Cluster,
    signer: &Signer,
) -> Certificate {
    let about = (model.view, model.seq, digest);
    let commander = cluster.commander(model.view);
    let phase_of = |author: ReplicaId| match model.kind {
        CertificateKind::Committed => Phase::Commit,
        _ if author == commander => Phase::PrePrepare,
        _ => Phase::Prepare,
    };
    let mut votes: BTreeMap<ReplicaId, Signature> = BTreeMap::new();
    let mut communication_node = model.communication_node;
    let mut take = |vote: &Vote| {
        if (vote.view, vote.seq, vote.digest) == about && vote.phase == phase_of(vote.author) {
            votes.entry(vote.author).or_insert(vote.signature);
            if vote.phase == Phase::PrePrepare {
                communication_node = vote.communication_node;
            }
        }
    };
    for message in received {
        match message {
            Message::PrePrepare { header, .. } => take(header),
            Message::Vote(vote) => take(vote),
            Message::Stuck { votes, .. } => votes.iter().for_each(&mut take),
            Message::Certificate(other) => other.to_votes(cluster).for_each(|vote| take(&vote)),
            _ => {}
        }
    }
    let own = phase_of(signer.id());
    if own != Phase::PrePrepare {
        take(&Vote::sign(cluster, signer, own, about, None));
    }
    // What is known only as part of a sum cannot be made part of another one.
    votes.retain(|_, signature| *signature != Signature::NONE);
    let votes = votes.into_iter().collect();
    let collected = Certificate::of_votes(cluster, model.kind, about, communication_node, votes);
    collected.unwrap_or_else(|| Certificate { digest, ..model.clone() })
}
