//! A replica that lost its memory: it was started again without knowing what it
//! had said.
//!
//! It may have voted for any slot up to the high watermark that it knew, and may
//! have promised, by VIEW-CHANGE, to cast no vote below some view. Both promises
//! must be outlived before it speaks again:
//!
//! 1. It asks all where they are, under a fresh nonce, until `q` others answered.
//! 2. It learns, but sends no PRE-PREPARE, PREPARE, COMMIT or VIEW-CHANGE
//!    until its own stable checkpoint, with the state that belongs to
//!    it, is at least `4K` beyond the highest proven one among the answers. Slots that
//!    it may have voted for lie at most `2K` above a checkpoint that was stable when it
//!    lost its memory; `q` answers share an honest replica with the quorum of each
//!    such checkpoint, which is behind it by less than another `2K`.
//! 3. From then on it votes in views from `u+2` only, `u` being the highest view for
//!    which an answer shows `f+1` VIEW-CHANGEs of views `≥ u`. It wanted a view above
//!    `u+1` only if the NEW-VIEW timer of `u+1` had run, hence `q` wanted `u+1`.
//!
//! While it recovers it counts as one of the `f`. An idle cluster orders null
//! requests so that it gets there, up to `10K` for each loss of memory; a commander that does not, as it may be the very
//! replica that lost its memory, is replaced like one that ignores a request.

use crate::core::{Core, PbftProtocol};
use crate::message::{Message, Recollection};
use kernel::{Application, Context, Mark, Reason, ReplicaId, Seq, View, Weakening, weakened};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a replica is with recovering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Recovery {
    step: Step,
    /// It votes in this view and later ones.
    votes_from: View,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Step {
    /// Its memory is whole.
    #[default]
    Done,
    /// Gathers answers: the proven checkpoint and `u` of each replica.
    Asking { nonce: Option<u64>, answers: BTreeMap<ReplicaId, (Seq, View)> },
    /// Waits for a stable checkpoint.
    CatchingUp { nonce: u64, goal: Seq },
}

impl Recovery {
    /// Everything was forgotten.
    pub(crate) fn begin() -> Recovery {
        Recovery { step: Step::Asking { nonce: None, answers: BTreeMap::new() }, votes_from: View(0) }
    }

    /// Whether it still recovers.
    pub(crate) fn is_pending(&self) -> bool {
        self.step != Step::Done
    }

    /// Whether a vote in `view` cannot contradict what was forgotten.
    pub(crate) fn may_vote_in(&self, view: View) -> bool {
        weakened(Weakening::AmnesiacVotes) || (!self.is_pending() && view >= self.votes_from)
    }

    /// The view to ask for where `view` is wanted; none while it recovers.
    pub(crate) fn may_want(&self, view: View) -> Option<View> {
        if weakened(Weakening::AmnesiacVotes) {
            return Some(view);
        }
        (!self.is_pending()).then(|| view.max(self.votes_from))
    }
}

impl<A: Application> Core<A> {
    /// Begins to ask.
    pub fn start<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if let Step::Asking { nonce, .. } = &mut self.recovery.step {
            *nonce = Some(cx.choose.below(u64::MAX));
        }
        self.recover_again(cx);
    }

    /// Asks again: for answers, or so that an idle cluster goes on.
    pub(crate) fn recover_again<P: PbftProtocol>(&self, cx: &mut Context<'_, P>) {
        match self.recovery.step {
            Step::Asking { nonce: Some(nonce), .. } | Step::CatchingUp { nonce, .. } => {
                cx.send_all(Message::Recover { nonce });
            }
            Step::Asking { nonce: None, .. } | Step::Done => {}
        }
    }

    /// Answers a replica that lost its memory. One that recovers itself knows
    /// nothing that counts.
    pub(crate) fn answer_recovery<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        asker: ReplicaId,
        nonce: u64,
    ) {
        if self.recovery.is_pending() {
            return;
        }
        let needed = cx.cluster.weak_quorum();
        let changes = self.views.highest_weak_quorum(needed);
        let stable = self.checkpoints.proof().cloned();
        let answer = Recollection::sign(cx.cluster, cx.signer, (nonce, asker), stable, changes);
        cx.send(asker, Message::Recollection(Arc::new(answer)));
        self.owe_null_requests(asker, nonce);
    }

    /// Null requests are owed for the sake of a replica that lost its memory, as long as it
    /// may need them. Its goal is 4K beyond the highest of `q` replicas' checkpoints,
    /// rounded up to a checkpoint: that much is demanded of a commander. Twice as much, for the
    /// sake of replicas that are ahead of this one, is all that one loss of memory is
    /// worth: else whoever says so for ever could keep an idle cluster at work, and a
    /// replica that catches up slowly would never be done.
    fn owe_null_requests(&mut self, asker: ReplicaId, nonce: u64) {
        let (stable, interval) = (self.checkpoints.stable().0, self.config.checkpoint_interval);
        let now = Seq(stable.next_multiple_of(interval));
        let (asked, since) = self.null_owed_to.entry(asker).or_insert((nonce, now));
        if *asked != nonce && since.0 + 5 * interval <= stable {
            (*asked, *since) = (nonce, now); // It lost its memory once more.
        }
        self.null_owed |= stable < since.0 + 5 * interval;
        let next = (stable + 5 * interval).min(since.0 + 10 * interval);
        self.null_until = self.null_until.max(Seq(next));
    }

    /// Takes an answer.
    pub(crate) fn take_recollection<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        answer: &Recollection,
    ) {
        let Step::Asking { nonce, answers } = &mut self.recovery.step else {
            return;
        };
        if *nonce != Some(answer.nonce) || answer.asker != cx.id() {
            cx.reject(answer.author, None, Reason::Duplicate);
            return;
        }
        let stable = answer.stable.as_ref().map_or(Seq(0), |stable| stable.seq);
        let enough = answer.view_changes.len() >= cx.cluster.weak_quorum();
        let shown = answer.view_changes.iter().map(|change| change.view).min().filter(|_| enough);
        answers.insert(answer.author, (stable, shown.unwrap_or_default()));
        // Two replicas tolerate nothing, and one of them has lost its memory.
        let needed = cx.cluster.quorum().min(usize::from(cx.cluster.n) - 1);
        if answers.len() >= needed {
            let proven = answers.values().map(|(stable, _)| *stable).max().unwrap_or_default();
            let shown = answers.values().map(|(_, view)| *view).max().unwrap_or_default();
            let goal = Seq(proven.0 + 4 * self.config.checkpoint_interval);
            self.recovery.step = Step::CatchingUp { nonce: answer.nonce, goal };
            self.recovery.votes_from = View(shown.0 + 2);
        }
        if let Some(stable) = &answer.stable {
            self.take_stable(cx, Arc::clone(stable));
            self.fetch_state(cx);
        }
    }

    /// A checkpoint is stable, and maybe its state is here: recovery may be over.
    pub(crate) fn stop_recovering_at<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, stable: Seq) {
        if let Step::CatchingUp { goal, .. } = self.recovery.step
            && stable >= goal
            && self.last_executed() >= stable
            && !self.has_diverged()
        {
            self.recovery.step = Step::Done;
            cx.mark(Mark::Recovered { view: Some(self.recovery.votes_from) });
            self.follow_commander(cx);
        }
    }
}
