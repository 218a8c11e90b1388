//! What a new view proposes, chosen from claims without proof (TOCS §4.5).

use super::SlotReport;
use crate::message::ViewChange;
use crate::new_view::Outline;
use kernel::{Batch, Cluster, Digest, Seq, View, Weakening, weakened};
use std::sync::Arc;

/// What is chosen for a slot.
enum Chosen {
    /// The digest that somebody claims to have prepared.
    Claimed(Digest),
    /// The null request.
    Null,
}

impl Outline {
    /// The outline of the view that `changes`, with reports, lead to. None if more of them are needed to tell.
    pub(crate) fn of_reports(cluster: &Cluster, changes: &[Arc<ViewChange>]) -> Option<Outline> {
        let (stable, low) = Outline::stable(changes);
        let claimed = changes.iter().flat_map(|change| &change.reports);
        let claimed = claimed.filter(|report| report.prepared.is_some()).map(|report| report.seq).max();
        let null = Batch::default().digest();
        let mut slots = Vec::new();
        let mut needed = 0;
        for seq in low.0 + 1..=claimed.map_or(0, |seq| seq.0) {
            let digest = match choose(cluster, changes, Seq(seq))? {
                Chosen::Null => null,
                Chosen::Claimed(digest) => {
                    needed = slots.len() + 1;
                    digest
                }
            };
            slots.push((Seq(seq), digest));
        }
        // Above the last claim that counts nothing can be decided.
        slots.truncate(needed);
        Some(Outline { stable, slots })
    }
}

/// What each of `changes` says of a slot, if it reports anything.
fn reports(
    changes: &[Arc<ViewChange>],
    seq: Seq,
) -> impl Iterator<Item = (&ViewChange, Option<&SlotReport>)> {
    changes.iter().map(move |change| {
        let place = change.reports.binary_search_by_key(&seq, |report| report.seq);
        (&**change, place.ok().map(|place| &change.reports[place]))
    })
}

/// None if nothing can be chosen yet.
fn choose(cluster: &Cluster, changes: &[Arc<ViewChange>], seq: Seq) -> Option<Chosen> {
    let claim_of = |report: Option<&SlotReport>| report.and_then(|report| report.prepared);
    let mut claims: Vec<(View, Digest)> =
        reports(changes, seq).filter_map(|(_, report)| claim_of(report)).collect();
    // Of the highest view first, and of two with one view the smaller.
    claims.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    let is_safe = |claim: &(View, Digest)| {
        is_highest(cluster, changes, seq, *claim) && is_known(cluster, changes, seq, *claim)
    };
    if let Some((_, digest)) = claims.into_iter().find(is_safe) {
        return Some(Chosen::Claimed(digest));
    }
    let silent = reports(changes, seq)
        .filter(|(change, report)| change.low_watermark() < seq && claim_of(*report).is_none())
        .count();
    let needed = if weakened(Weakening::NullBySilenceOfFew) { 1 } else { cluster.quorum() };
    (silent >= needed).then_some(Chosen::Null)
}

/// (A1): a quorum has prepared nothing of a higher view, and nothing else of the same one.
fn is_highest(
    cluster: &Cluster,
    changes: &[Arc<ViewChange>],
    seq: Seq,
    (view, digest): (View, Digest),
) -> bool {
    let agrees = |report: Option<&SlotReport>| {
        report.and_then(|report| report.prepared).is_none_or(|(other, prepared)| {
            other < view || other == view && (prepared == digest || weakened(Weakening::OtherClaimOfSameView))
        })
    };
    let agreeing =
        reports(changes, seq).filter(|(change, report)| change.low_watermark() < seq && agrees(*report));
    agreeing.count() >= cluster.quorum() || weakened(Weakening::HigherClaimIgnored)
}

/// (A2): `f+1` replicas have pre-prepared it in that view or a later one, so an honest one has.
fn is_known(
    cluster: &Cluster,
    changes: &[Arc<ViewChange>],
    seq: Seq,
    (view, digest): (View, Digest),
) -> bool {
    let knows =
        |report: Option<&SlotReport>| report.is_some_and(|report| report.has_pre_prepared(&digest, view));
    let one_less = usize::from(weakened(Weakening::ReportsOneLess));
    reports(changes, seq).filter(|(_, report)| knows(*report)).count() >= cluster.weak_quorum() - one_less
}
