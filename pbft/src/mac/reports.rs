//! What replicas say of a slot that they cannot prove.

use crate::slot::Round;
use kernel::{Cluster, Digest, ReplicaId, Seq, View, Weakening, weakened};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of one slot, a replica reports so many digests that it pre-prepared at most: the one that it prepared, and those of
/// the highest views.
pub const MOST_PRE_PREPARED: usize = 16;

/// A replica's entries of `P` and `Q` for one slot, without proof (TOCS §4.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotReport {
    /// The slot.
    pub seq: Seq,
    /// `P`: what was prepared here in the highest view in which anything was.
    pub prepared: Option<(View, Digest)>,
    /// `Q`: each digest that was pre-prepared here, by a PREPARE of this replica or by its own proposal, and the
    /// last view in which it was. In ascending order of the digests, at most [`MOST_PRE_PREPARED`].
    pub pre_prepared: Vec<(Digest, View)>,
}

impl SlotReport {
    /// What the replica `id` is to report after these rounds, and after what was reported of earlier ones. None if there is
    /// nothing.
    pub(crate) fn of(
        cluster: &Cluster,
        id: ReplicaId,
        seq: Seq,
        before: Option<SlotReport>,
        rounds: &BTreeMap<View, Round>,
    ) -> Option<SlotReport> {
        let before = before.unwrap_or(SlotReport { seq, prepared: None, pre_prepared: vec![] });
        let mut prepared = before.prepared.filter(|_| !weakened(Weakening::PreparedForgotten));
        let mut pre_prepared: BTreeMap<Digest, View> = before.pre_prepared.into_iter().collect();
        // In ascending order of the views.
        for (view, round) in rounds {
            // A commander's proposal is its vote, even of a batch that it has still to fetch.
            let Some(header) = round.header.as_ref().filter(|header| round.accepted || header.author == id)
            else {
                continue;
            };
            pre_prepared.insert(header.digest, *view);
            if round.is_prepared(cluster) {
                prepared = Some((*view, header.digest));
            }
        }
        while pre_prepared.len() > MOST_PRE_PREPARED {
            let own = prepared.map(|(_, digest)| digest);
            let others = pre_prepared.iter().filter(|(digest, _)| Some(**digest) != own);
            let oldest = others.min_by_key(|(_, view)| **view).map(|(digest, _)| *digest);
            oldest.map(|digest| pre_prepared.remove(&digest));
        }
        let pre_prepared: Vec<_> = pre_prepared.into_iter().collect();
        (prepared.is_some() || !pre_prepared.is_empty()).then_some(SlotReport { seq, prepared, pre_prepared })
    }

    /// Whether a VIEW-CHANGE for `view` may say so.
    pub(crate) fn is_well_formed(&self, view: View) -> bool {
        (self.prepared.is_some() || !self.pre_prepared.is_empty())
            && self.prepared.is_none_or(|(prepared, _)| prepared < view)
            && self.pre_prepared.len() <= MOST_PRE_PREPARED
            && self.pre_prepared.is_sorted_by(|a, b| a.0 < b.0)
            && self.pre_prepared.iter().all(|(_, last)| *last < view)
    }

    /// Whether `digest` is reported as pre-prepared in `view` or a later one.
    pub(crate) fn has_pre_prepared(&self, digest: &Digest, view: View) -> bool {
        let per_view = weakened(Weakening::ReportsCountedPerView);
        let fits = |last: View| if per_view { last == view } else { last >= view };
        self.pre_prepared.iter().any(|(reported, last)| reported == digest && fits(*last))
    }
}

/// Who said that a slot is decided, and as what: of each replica what it said last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statements(BTreeMap<ReplicaId, Digest>);

impl Statements {
    /// Takes one. True if `f+1` replicas say the same: one of them is honest.
    pub(crate) fn add(&mut self, cluster: &Cluster, from: ReplicaId, digest: Digest) -> bool {
        self.0.insert(from, digest);
        let same = self.0.values().filter(|said| **said == digest).count();
        let one_less = usize::from(weakened(Weakening::StatementsOneLess));
        same >= (cluster.weak_quorum() - one_less).max(1)
    }
}
