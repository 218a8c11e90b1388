//! Forged messages: bad signatures, other replicas' names, certificates that prove nothing.

use crate::mac::{MOST_PRE_PREPARED, SlotReport};
use crate::message::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, ShareSum, StableCheckpoint,
    ViewChange, Vote,
};
use kernel::{Batch, Bundle, Cluster, Digest, Forgery, Phase, ReplicaId, Seq, Signature, Signer, View};
use std::sync::Arc;

type Votes = Vec<(ReplicaId, Signature)>;

pub(super) fn forged(
    message: &Message,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<Message> {
    match message {
        // A header for one batch with another one.
        Message::PrePrepare { header, .. } if forgery == Forgery::Mixed => {
            Some(Message::PrePrepare { header: header.clone(), batch: Arc::default() })
        }
        Message::PrePrepare { header, batch } => {
            let header = forged_vote(header, forgery, cluster)?;
            Some(Message::PrePrepare { header, batch: Arc::clone(batch) })
        }
        Message::Vote(vote) => forged_vote(vote, forgery, cluster).map(Message::Vote),
        Message::Stuck { seq, complaint, votes } => {
            let forged: Option<_> = votes.iter().map(|vote| forged_vote(vote, forgery, cluster)).collect();
            let votes = forged.filter(|votes: &Vec<Vote>| !votes.is_empty())?;
            Some(Message::Stuck { seq: *seq, complaint: *complaint, votes })
        }
        Message::Certificate(certificate) => {
            let forged = forged_certificate(certificate, forgery, cluster, signer)?;
            Some(Message::Certificate(Arc::new(forged)))
        }
        Message::Checkpoint(vote) => forged_checkpoint(vote, forgery, cluster).map(Message::Checkpoint),
        Message::Stable(proof) => {
            let forged = forged_proof(proof, forgery, cluster, signer)?;
            Some(Message::Stable(Arc::new(forged)))
        }
        Message::ViewChange(change) => {
            let forged = forged_view_change(change, forgery, cluster, signer)?;
            Some(Message::ViewChange(Arc::new(forged)))
        }
        Message::NewView(new_view) => {
            let forged = forged_new_view(new_view, forgery, cluster, signer)?;
            Some(Message::NewView(Arc::new(forged)))
        }
        Message::Recollection(answer) => {
            let forged = forged_recollection(answer, forgery, cluster, signer)?;
            Some(Message::Recollection(Arc::new(forged)))
        }
        Message::Conflict { first, second } => {
            let second = forged_vote(second, forgery, cluster)?;
            Some(Message::Conflict { first: first.clone(), second: Box::new(second) })
        }
        Message::TaggedProposal { view, seq, batch }
            if forgery == Forgery::Name && cluster.requests_have_tags() =>
        {
            let named =
                |bundle: &Arc<Bundle>| Arc::new(bundle.as_if_of(cluster.next(signer.id()), cluster, signer));
            let bundles = batch.bundles.iter().map(named).collect();
            Some(Message::TaggedProposal { view: *view, seq: *seq, batch: Arc::new(Batch { bundles }) })
        }
        // Who says it is who sends it, so a name cannot be forged.
        Message::TaggedProposal { seq, .. }
        | Message::TaggedVote { seq, .. }
        | Message::Decided { seq, .. }
            if forgery == Forgery::Signature =>
        {
            Some(Message::Mistagged { seq: *seq })
        }
        _ => None,
    }
}

fn forged_vote(vote: &Vote, forgery: Forgery, cluster: &Cluster) -> Option<Vote> {
    match forgery {
        Forgery::Signature => Some(Vote { signature: vote.signature.corrupted(), ..vote.clone() }),
        Forgery::Name => Some(Vote { author: cluster.next(vote.author), ..vote.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
    }
}

fn forged_checkpoint(vote: &CheckpointVote, forgery: Forgery, cluster: &Cluster) -> Option<CheckpointVote> {
    match forgery {
        Forgery::Signature => Some(CheckpointVote { signature: vote.signature.corrupted(), ..vote.clone() }),
        Forgery::Name => Some(CheckpointVote { author: cluster.next(vote.author), ..vote.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => None,
    }
}

/// Spoils, shortens or pads the votes of a proof that takes `needed`; `keep` is
/// the author whose vote it cannot do without.
fn forge_votes(
    mut votes: Votes,
    forgery: Forgery,
    needed: usize,
    keep: Option<ReplicaId>,
    cluster: &Cluster,
) -> Option<Votes> {
    let first = *votes.first()?;
    let removable = |votes: &Votes| votes.iter().rposition(|(author, _)| Some(*author) != keep);
    match forgery {
        Forgery::Signature => votes[0].1 = first.1.corrupted(),
        Forgery::Name => votes[0].0 = cluster.next(first.0),
        Forgery::Short | Forgery::Repeated => {
            while votes.len() >= needed
                && let Some(last) = removable(&votes)
            {
                votes.remove(last);
            }
            if votes.len() >= needed {
                return None;
            }
            if forgery == Forgery::Repeated {
                let again = *votes.first()?;
                votes.resize(needed, again);
            }
            votes.sort_by_key(|(author, _)| *author);
        }
        Forgery::Mixed => return None,
    }
    Some(votes)
}

fn forged_certificate(
    certificate: &Certificate,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<Certificate> {
    let mut forged = certificate.clone();
    let needed = match certificate.kind {
        CertificateKind::Fast => Certificate::fast_votes(cluster),
        CertificateKind::Prepared | CertificateKind::Committed => cluster.quorum(),
    };
    match forgery {
        // Votes to accept, passed off as COMMITs.
        Forgery::Mixed if certificate.kind == CertificateKind::Prepared => {
            forged.kind = CertificateKind::Committed;
        }
        _ if certificate.sum.is_some() => {
            forged.sum = forged_sum(certificate, forgery, needed, cluster, signer).map(Arc::new);
            forged.sum.as_ref()?;
        }
        Forgery::Mixed => {
            let mut votes = Arc::make_mut(&mut forged.votes).iter_mut();
            let own = votes.find(|(author, _)| *author == signer.id())?;
            let about = (certificate.view, certificate.seq, Digest::of(&certificate.digest.0));
            own.1 = Vote::sign(cluster, signer, Phase::Commit, about, None).signature;
        }
        _ => {
            let keep = Some(cluster.commander(certificate.view));
            forged.votes = forge_votes(forged.votes.to_vec(), forgery, needed, keep, cluster)?.into();
        }
    }
    Some(forged)
}

/// The sum of a certificate that takes `needed` votes: with another one added, of others than it says, of too few, or
/// of the commander a second time.
fn forged_sum(
    certificate: &Certificate,
    forgery: Forgery,
    needed: usize,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<ShareSum> {
    let sum = certificate.sum.as_ref()?;
    let with = |voters: Vec<ReplicaId>| ShareSum { voters: voters.into_iter().collect(), sum: sum.sum };
    let few = needed.checked_sub(1 + certificate.votes.len()).filter(|few| *few > 0);
    match forgery {
        Forgery::Signature => Some(ShareSum { sum: sum.sum.corrupted(), ..ShareSum::clone(sum) }),
        Forgery::Name => Some(with(sum.voters.iter().map(|id| cluster.next(id)).collect())),
        Forgery::Short => Some(with(sum.voters.iter().take(few?).collect())),
        Forgery::Repeated => {
            let (again, _) = certificate.votes.first()?;
            Some(with(sum.voters.iter().take(few?).chain([*again]).collect()))
        }
        Forgery::Mixed => {
            let about = (certificate.view, certificate.seq, Digest::of(&certificate.digest.0));
            let other = Vote::sign(cluster, signer, Phase::Commit, about, None).signature;
            let sum = kernel::shares::sum([sum.sum, other].iter())?;
            Some(ShareSum { voters: certificate.sum.as_ref()?.voters.clone(), sum })
        }
    }
}

fn forged_proof(
    proof: &StableCheckpoint,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<StableCheckpoint> {
    let mut forged = proof.clone();
    if forgery == Forgery::Mixed {
        let own = forged.votes.iter_mut().find(|(author, _)| *author == signer.id())?;
        own.1 = CheckpointVote::sign(cluster, signer, proof.seq, Digest::of(&proof.state.0)).signature;
    } else {
        forged.votes = forge_votes(forged.votes, forgery, cluster.quorum(), None, cluster)?;
    }
    Some(forged)
}

/// A certificate of one's own making, when there is none to work on: for a
/// digest that nobody proposed, with one's own vote alone.
fn invented_certificate(view: View, h: Seq, cluster: &Cluster, signer: &Signer) -> Certificate {
    let view = View(view.0.saturating_sub(1));
    let (seq, digest) = (h.next(), Digest::of(&h.0.to_le_bytes()));
    let is_commander = cluster.commander(view) == signer.id();
    let phase = if is_commander { Phase::PrePrepare } else { Phase::Prepare };
    let vote = Vote::sign(cluster, signer, phase, (view, seq, digest), None);
    let votes = [(signer.id(), vote.signature)].into();
    Certificate {
        kind: CertificateKind::Prepared,
        view,
        seq,
        digest,
        communication_node: None,
        votes,
        sum: None,
    }
}

fn forged_view_change(
    change: &ViewChange,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<ViewChange> {
    match forgery {
        Forgery::Signature => {
            return Some(ViewChange { signature: change.signature.corrupted(), ..change.clone() });
        }
        Forgery::Name => return Some(ViewChange { author: cluster.next(change.author), ..change.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => {}
    }
    if cluster.has_tags() {
        let reports = forged_reports(change, forgery);
        return Some(ViewChange::sign_reports(cluster, signer, change.view, change.stable.clone(), reports));
    }
    let mut prepared = change.prepared.clone();
    if prepared.is_empty() {
        let h = change.low_watermark();
        prepared.push(Arc::new(invented_certificate(change.view, h, cluster, signer)));
    }
    prepared[0] = Arc::new(forged_certificate(&prepared[0], forgery, cluster, signer)?);
    let stable = match &change.stable {
        Some(proof) => Some(Arc::new(forged_proof(proof, forgery, cluster, signer)?)),
        None => None,
    };
    Some(ViewChange::sign(cluster, signer, change.view, stable, prepared, change.voted.clone()))
}

/// Reports that break a rule each: of a view that is not over, of a slot twice, of too many digests.
fn forged_reports(change: &ViewChange, forgery: Forgery) -> Vec<SlotReport> {
    let mut reports = change.reports.clone();
    let seq = reports.first().map_or(change.low_watermark().next(), |report| report.seq);
    let digest = |number: u64| Digest::of(&number.to_le_bytes());
    if reports.is_empty() {
        reports.push(SlotReport { seq, prepared: None, pre_prepared: vec![(digest(0), View(0))] });
    }
    match forgery {
        Forgery::Short => reports[0].prepared = Some((change.view, digest(0))),
        Forgery::Repeated => reports.insert(0, reports[0].clone()),
        _ => {
            let mut digests: Vec<_> =
                (0..=MOST_PRE_PREPARED as u64).map(|number| (digest(number), View(0))).collect();
            digests.sort_unstable();
            reports[0].pre_prepared = digests;
        }
    }
    reports
}

fn forged_new_view(
    new_view: &NewView,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<NewView> {
    let mut changes = new_view.view_changes.clone();
    let mut proposals = new_view.proposals.clone();
    match forgery {
        Forgery::Signature => {
            return Some(NewView { signature: new_view.signature.corrupted(), ..new_view.clone() });
        }
        Forgery::Name => {
            let first = changes.first()?;
            let renamed = ViewChange { author: cluster.next(first.author), ..ViewChange::clone(first) };
            changes[0] = Arc::new(renamed);
        }
        Forgery::Short => {
            changes.pop()?;
            changes.truncate(cluster.quorum() - 1);
        }
        Forgery::Repeated => {
            let first = Arc::clone(changes.first()?);
            *changes.last_mut()? = first;
        }
        Forgery::Mixed => {
            let header = proposals.first_mut()?;
            // A null request, which everybody could vote for at once.
            *header = header.about(Batch::default().digest(), cluster, signer);
        }
    }
    Some(NewView::sign(cluster, signer, new_view.view, changes, proposals))
}

fn forged_recollection(
    answer: &Recollection,
    forgery: Forgery,
    cluster: &Cluster,
    signer: &Signer,
) -> Option<Recollection> {
    match forgery {
        Forgery::Signature => {
            Some(Recollection { signature: answer.signature.corrupted(), ..answer.clone() })
        }
        Forgery::Name => Some(Recollection { author: cluster.next(answer.author), ..answer.clone() }),
        Forgery::Short | Forgery::Repeated | Forgery::Mixed => {
            let stable = Arc::new(forged_proof(answer.stable.as_ref()?, forgery, cluster, signer)?);
            let asked = (answer.nonce, answer.asker);
            Some(Recollection::sign(cluster, signer, asked, Some(stable), answer.view_changes.clone()))
        }
    }
}
