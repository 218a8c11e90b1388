//! Fairness among gateways, and batches that are filled: what backups hold a commander to
//! that proposes in time, but not what waits for longest.
//!
//! The request timer alone lets a commander keep one gateway's requests until just before
//! it runs out, for ever, and lets it order one bundle at a time while hundreds wait.
//! Aardvark (Clement et al., NSDI 2009) counts how many requests of others go before one
//! that the replica has forwarded. Here backups count slots, by what an honest commander
//! can be relied on for (`next_batch` in `requests.rs`):
//!
//! * a batch that is not half full has everything in it that waits, except bundles larger
//!   than half a batch;
//! * of as many batches in a row as there are gateways, one has a bundle of each gateway
//!   that has any waiting. Clients with keys of their own count as gateways.
//!
//! For each gateway a backup follows one bundle at a time that it watches over: the first
//! that comes after the last one followed was executed. Its own gateway's it always knows;
//! others' it knows when they were sent to all.
//!
//! | upon | condition | a backup does |
//! | --- | --- | --- |
//! | the bundle waits for longer than the limit | – | count slots that begin from then on: the commander has known it for long |
//! | a slot without it is executed | the batch is not half full, and the bundle no larger than half | it was *passed over* |
//! | more slots in a row than there are gateways | nothing of its gateway in them | it was passed over |
//! | the bundle is executed | it was passed over | add how many limits it waited, at most 4, to the gateway's score |
//! | | it was not | lower the gateway's score as [`crate::pace`] does |
//! | a score of 4 for its own gateway | – | send that gateway's requests to all at once, so that all follow the same |
//! | 64 bundles in time since then, doubled each time in a view | – | send them to the commander alone again: who serves only what all know of is found out anew |
//! | a score of 16 for any gateway | – | VIEW-CHANGE |
//!
//! The limit is that of [`crate::pace`]: with it doubles what is asked of the next
//! commander.
//!
//! *Safety*: all that follows is a VIEW-CHANGE, which any replica may send at any time.
//!
//! *Liveness*: an honest commander passes over only what has not reached it, for longer than
//! the limit. Where that happens again and again, requests are soon sent to all, and each
//! replica passes them on; and the limit doubles with each view change until it is as long
//! as the request timer, which rules alone then. How much waits is no excuse and no offence:
//! however long the queue is, batches are full and gateways have their turns.
//!
//! *A faulty gateway* cannot have an honest commander replaced: whatever it sends to backups
//! they pass on, and what it had the commander queue before has its turn in one of as many slots as there are gateways.
//!
//! *What it bounds*: requests of a gateway that wait for `x` limits again and again, while
//! others are served, cost a commander its office after `4 / min(x, 4)` of them, one after the
//! other, until all know of them, and `16 / min(x, 4)` after that. Which of one gateway's
//! requests go first is not judged: what its replica knows of their order nobody else does.

use crate::core::{Core, PbftProtocol};
use crate::pace::Score;
use crate::requests::Room;
use kernel::{Application, Batch, Bundle, Context, Digest, Micros, ReplicaId, Seq, Weakening, weakened};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a replica has seen of how commanders treat gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Fairness {
    gateways: BTreeMap<ReplicaId, Account>,
    /// The commander is to be left for what a gateway's score has become.
    pub(crate) is_unfair: bool,
}

/// How one gateway is treated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Account {
    followed: Option<Followed>,
    score: Score,
    /// Bundles in time since its requests go to all at once.
    in_time: u32,
    /// How often they were sent to the commander alone again, in this view.
    trials: u32,
}

/// After so many bundles in time that went to all at once, the next ones go to the
/// commander alone again; doubled with each time.
const TRIAL_AFTER: u32 = 64;
/// It doubles at most so often.
const MOST_DOUBLINGS: u32 = 10;

/// A bundle whose way is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Followed {
    bundle: Digest,
    /// It fits into half a batch.
    is_small: bool,
    since: Micros,
    /// Slots above this one count, once it has waited for longer than the limit.
    counts_above: Option<Seq>,
    /// Slots in a row without its gateway.
    without_gateway: usize,
    was_passed_over: bool,
}

impl Account {
    /// A bundle that went to all at once was executed in time, which says nothing of what
    /// the commander does with those that it alone knows.
    fn note_help(&mut self, now: Micros) {
        self.in_time += 1;
        if self.in_time >= TRIAL_AFTER << self.trials.min(MOST_DOUBLINGS) {
            self.in_time = 0;
            self.trials += 1;
            self.score = Score::below_suspicion(now);
        }
    }

    fn waits_longer(&self, now: Micros, limit: Micros) -> bool {
        self.followed.as_ref().is_some_and(|followed| now.0 > followed.since.0 + limit.0)
    }
}

impl Followed {
    fn new(bundle: Digest, is_small: bool, since: Micros) -> Followed {
        let (counts_above, without_gateway, was_passed_over) = (None, 0, false);
        Followed { bundle, is_small, since, counts_above, without_gateway, was_passed_over }
    }

    /// A slot was executed that counts, and this bundle is not in it.
    fn note_slot(&mut self, has_room: bool, has_gateway: bool, gateways: usize) {
        self.without_gateway = if has_gateway { 0 } else { self.without_gateway + 1 };
        let left_out = has_room && self.is_small && !weakened(Weakening::UnfilledBatchesKept);
        let starved = self.without_gateway > gateways && !weakened(Weakening::UnfairCommanderKept);
        self.was_passed_over |= left_out || starved;
    }
}

impl Fairness {
    /// Whether this gateway's requests go to all at once, so that all see how long they wait.
    pub(crate) fn is_suspicious(&self, gateway: ReplicaId) -> bool {
        self.gateways.get(&gateway).is_some_and(|account| account.score.is_suspicious())
    }

    /// A view begins: its commander has a clean record. Whether the last one had not.
    pub(crate) fn begin_view(&mut self, now: Micros) -> bool {
        self.is_unfair = false;
        let mut was_late = false;
        for account in self.gateways.values_mut() {
            was_late |= account.score.is_raised();
            account.score = Score::default();
            account.in_time = 0;
            account.trials = 0;
            let restart = |old: Followed| Followed::new(old.bundle, old.is_small, now);
            account.followed = account.followed.take().map(restart);
        }
        was_late
    }
}

impl<A: Application> Core<A> {
    /// A bundle is watched over from now on. A checker, which lends no time, has none
    /// followed.
    pub(crate) fn follow(&mut self, now: Micros, bundle: &Bundle) {
        if now == Micros(0) || self.config.late_share == 0 {
            return;
        }
        let most = self.room();
        let is_small = Room { requests: most.requests / 2, bytes: most.bytes / 2 }.holds(bundle);
        let account = self.fairness.gateways.entry(bundle.gateway()).or_default();
        // One that was executed in another bundle is watched no more.
        account.followed.take_if(|followed| !self.requests.is_watched(&followed.bundle));
        account.followed.get_or_insert_with(|| Followed::new(bundle.digest(), is_small, now));
    }

    /// A slot was executed.
    pub(crate) fn judge_slot<P: PbftProtocol>(&mut self, cx: &Context<'_, P>, seq: Seq, batch: &Batch) {
        let measures = self.measures_commander(cx);
        let limit = self.limit();
        let waited = |followed: &Followed| Micros(cx.now.0.saturating_sub(followed.since.0));
        for bundle in &batch.bundles {
            let account = self.fairness.gateways.get_mut(&bundle.gateway());
            let Some((account, followed)) = account.and_then(|account| {
                let followed = account.followed.take_if(|followed| followed.bundle == bundle.digest())?;
                Some((account, followed))
            }) else {
                continue;
            };
            let late = followed.was_passed_over.then(|| waited(&followed));
            let was_sent_to_all = bundle.gateway() == cx.id() && account.score.is_suspicious();
            if measures && late.is_none() && was_sent_to_all {
                account.note_help(cx.now);
            } else if measures {
                self.pace.note(&mut account.score, cx.now, late, limit);
                self.fairness.is_unfair |= account.score.is_too_high();
            }
        }
        if !measures || !self.fairness.gateways.values().any(|account| account.waits_longer(cx.now, limit)) {
            return;
        }
        let begun = self.last_begun(cx.cluster);
        let left = self.room().beside(batch.requests(), batch.payload_bytes());
        let has_room = left.is_more_than_half_of(self.room());
        for (gateway, account) in &mut self.fairness.gateways {
            account.followed.take_if(|followed| !self.requests.is_watched(&followed.bundle));
            let Some(followed) = account.followed.as_mut().filter(|followed| waited(followed) > limit) else {
                continue;
            };
            if seq > *followed.counts_above.get_or_insert(begun) {
                let has_gateway = batch.bundles.iter().any(|bundle| bundle.gateway() == *gateway);
                followed.note_slot(has_room, has_gateway, cx.cluster.submitters());
            }
        }
    }
}
