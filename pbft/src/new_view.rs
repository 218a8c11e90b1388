//! What a new view must propose (in `pbft-mac`: see [`crate::mac`]): a pure function of `q` VIEW-CHANGEs, computed by
//! the commander and again by every backup (OSDI §4.4; SBFT §V for rule (b)).
//!
//! For each slot above the highest proven checkpoint there are two candidates:
//!
//! * **(a)** the digest of the prepared certificate of the highest view, `w_a`;
//! * **(b)** where the flow has a fast path, a digest that at least `f+1`
//!   VIEW-CHANGEs report a vote for; its view `w_b` is the highest `w` such that
//!   `f+1` of them report it voted for at `w` *or later*. Between two such digests
//!   the one of the higher view counts, and of the same view the smaller.
//!
//! (b) is taken if `w_b > w_a`, else (a); with neither, the null request.
//!
//! # Why it is safe
//!
//! *Claim.* If a slot is committed with digest `d` in view `w`, then every NEW-VIEW
//! of a view `v > w` that reaches the slot proposes `d`. *Induction over `v`*, with
//! `V` the `q` VIEW-CHANGEs of that NEW-VIEW; assume the claim for the views between
//! `w` and `v`, so that in these views no honest replica votes for another digest,
//! and hence no other digest is prepared. (Nor does one that is too far behind to keep what a view began with: it votes for no other
//! digest than that one in this view, and for nothing below its stable checkpoint.)
//!
//! 1. *Committed by `q` COMMITs.* `V` shares an honest replica with them. It held a
//!    prepared certificate for `d` of view `w` before it sent VIEW-CHANGE, and what
//!    it reports is of view `w` or a later one, hence for `d`. So `w_a ≥ w` and (a)
//!    is `d`: a certificate of a view above `w` is for `d` by the assumption, one of
//!    view `w` because two quorums share an honest voter. (b) wins only with a view
//!    above `w`; one of its `f+1` reporters is honest and voted in a view above `w`,
//!    hence for `d`.
//! 2. *Committed by a FastCertificate.* Every honest replica voted for `d` in view
//!    `w`, and later for nothing else. `V` holds at least `q − f ≥ f+1` honest
//!    reports of `d` at `w` or later, so `w_b ≥ w` for `d`; *counting each view alone
//!    would lose it* as soon as some of them voted again in a later view.
//!    (a) of a view above `w` is for `d` by the assumption. (a) of view `w` is for
//!    `d` as well: another digest cannot find `q` voters, as all honest replicas
//!    voted for `d`. (a) of a view below `w` loses to (b). Another digest `d'` under
//!    (b) has an honest reporter, who last voted for `d'`: before `w`, as it voted for
//!    `d` in `w` and only for `d` later; but then it would report `d`. So there is no
//!    such `d'`.
//! 3. *Why (a) wins a tie.* In view `w` an equivocating commander gives another
//!    digest to `f` honest replicas, while `d` is prepared and committed by COMMITs.
//!    The commander and those `f` can make `f+1` reports of the other digest at the
//!    same view `w`.
//! 4. *Why commanders report their proposals.* The commander's proposal is its vote.
//!    Without it a `V` may hold only `f` reports of a fast-committed digest.
//!
//! A replica whose checkpoint covers the slot reports nothing of it, but then the
//! slot lies at or below the highest proven checkpoint and is not proposed again.
//! That a replica which decided a slot does not vote for it again in later views
//! takes nothing from the argument: its report of `w` stays.

use crate::message::{StableCheckpoint, ViewChange, Vote};
use kernel::{Authentication, Batch, Cluster, Digest, Phase, Seq, View, Weakening, weakened};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a NEW-VIEW must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The highest checkpoint that is proven; none while it is 0.
    pub stable: Option<Arc<StableCheckpoint>>,
    /// A digest for every slot above it, up to the highest with a candidate.
    pub slots: Vec<(Seq, Digest)>,
}

impl Outline {
    /// The outline of the view that `changes` lead to. None if more of them are needed to tell, which
    /// happens in `pbft-mac` only.
    pub fn of(cluster: &Cluster, changes: &[Arc<ViewChange>]) -> Option<Outline> {
        match cluster.authentication() {
            Authentication::Signatures => Some(Outline::of_certificates(cluster, changes)),
            Authentication::Tags => Outline::of_reports(cluster, changes),
        }
    }

    /// The proposals of a NEW-VIEW that holds none (`pbft-mac`).
    pub(crate) fn proposals(&self, cluster: &Cluster, view: View) -> Vec<Vote> {
        let commander = cluster.commander(view);
        let proposal =
            |(seq, digest): &(Seq, Digest)| Vote::tagged(commander, Phase::PrePrepare, (view, *seq, *digest));
        self.slots.iter().map(proposal).collect()
    }

    /// The highest checkpoint that is proven, and its slot.
    pub(crate) fn stable(changes: &[Arc<ViewChange>]) -> (Option<Arc<StableCheckpoint>>, Seq) {
        let stable = changes.iter().filter_map(|change| change.stable.clone()).max_by_key(|s| s.seq);
        let low = stable.as_ref().map_or(Seq(0), |stable| stable.seq);
        (stable, low)
    }

    fn of_certificates(cluster: &Cluster, changes: &[Arc<ViewChange>]) -> Outline {
        let (stable, low) = Outline::stable(changes);
        let candidates = candidates(cluster, changes);
        let last = candidates.last_key_value().map_or(low, |(seq, _)| *seq);
        let null = Batch::default().digest();
        let digest = |seq| (seq, candidates.get(&seq).copied().unwrap_or(null));
        Outline { stable, slots: (low.0 + 1..=last.0).map(|seq| digest(Seq(seq))).collect() }
    }
}

/// What is said of one slot.
#[derive(Default)]
struct Evidence {
    prepared: Option<(View, Digest)>,
    /// The views of the reported votes, by digest.
    reported: BTreeMap<Digest, Vec<View>>,
}

fn candidates(cluster: &Cluster, changes: &[Arc<ViewChange>]) -> BTreeMap<Seq, Digest> {
    let mut evidence: BTreeMap<Seq, Evidence> = BTreeMap::new();
    for change in changes {
        for certificate in &change.prepared {
            let prepared = &mut evidence.entry(certificate.seq).or_default().prepared;
            *prepared = (*prepared).max(Some((certificate.view, certificate.digest)));
        }
        for vote in &change.voted {
            let reported = &mut evidence.entry(vote.seq).or_default().reported;
            reported.entry(vote.digest).or_default().push(vote.view);
        }
    }
    let chosen = evidence.into_iter().filter_map(|(seq, evidence)| Some((seq, evidence.choose(cluster)?)));
    chosen.collect()
}

impl Evidence {
    fn choose(&self, cluster: &Cluster) -> Option<Digest> {
        let (a, b) = (self.prepared, self.best_reported(cluster));
        match (a, b) {
            (Some((w_a, d_a)), Some((w_b, d_b))) => {
                let b_wins = w_b > w_a || (w_b == w_a && weakened(Weakening::TieWonByReports));
                Some(if b_wins { d_b } else { d_a })
            }
            _ => a.or(b).map(|(_, digest)| digest),
        }
    }

    /// Candidate (b).
    fn best_reported(&self, cluster: &Cluster) -> Option<(View, Digest)> {
        if weakened(Weakening::ReportedVotesIgnored) {
            return None;
        }
        let one_less = usize::from(weakened(Weakening::ReportsOneLess));
        let needed = (cluster.weak_quorum() - one_less).max(1);
        let views = self.reported.iter().filter_map(|(digest, views)| {
            let view = highest_supported(views, needed)?;
            Some((view, *digest))
        });
        // In ascending order of the digests: of equal views the first one stays.
        views.reduce(|best, next| if next.0 > best.0 { next } else { best })
    }
}

/// The highest view such that `needed` of `views` are that view or later.
fn highest_supported(views: &[View], needed: usize) -> Option<View> {
    if weakened(Weakening::ReportsCountedPerView) {
        let count = |view: &View| views.iter().filter(|other| *other == view).count();
        return views.iter().filter(|view| count(view) >= needed).max().copied();
    }
    let mut views = views.to_vec();
    views.sort_unstable_by(|one, other| other.cmp(one));
    views.get(needed - 1).copied()
}
