//! Checkpoints: votes about the state after a slot, what a quorum of them proves, and
//! the states themselves (OSDI §4.3).
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | a slot executed | its number divisible by `K`, or enough payload since the last | CHECKPOINT to all; keep the state |
//! | CHECKPOINTs | `q` for one state: *stable* | move the watermarks, forget what is below the one before |
//! | a CHECKPOINT | for less than what is stable here, or for that once more | answer with the proof |

use crate::core::{Core, PbftProtocol};
use crate::message::{CheckpointVote, Message, StableCheckpoint};
use kernel::{Application, Context, Mark, Reason, ReplicaId, Seq, Snapshot, Tallied, ViewMark, VoteSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stable checkpoint and the votes for later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Checkpoints {
    stable: Seq,
    /// The stable checkpoint before that. What lies between the two is kept, to
    /// help replicas that are behind.
    before: Seq,
    proof: Option<Arc<StableCheckpoint>>,
    votes: BTreeMap<Seq, VoteSet>,
    /// Whose votes for the stable checkpoint were seen.
    seen: BTreeSet<ReplicaId>,
}

impl Checkpoints {
    /// The last stable checkpoint: the low watermark `h`.
    pub(crate) fn stable(&self) -> Seq {
        self.stable
    }

    /// The stable checkpoint before the last.
    pub(crate) fn before(&self) -> Seq {
        self.before
    }

    /// Proof of the last stable checkpoint, if there was one.
    pub(crate) fn proof(&self) -> Option<&Arc<StableCheckpoint>> {
        self.proof.as_ref()
    }

    /// Counts a vote. With the vote that completes a quorum, the checkpoint
    /// becomes stable.
    pub(crate) fn count(&mut self, vote: &CheckpointVote, quorum: usize) -> Tallied {
        let votes = self.votes.entry(vote.seq).or_default();
        let tallied = votes.insert(vote.author, vote.state, vote.signature);
        if votes.count(&vote.state) >= quorum {
            let votes = votes.of(&vote.state);
            self.adopt(Arc::new(StableCheckpoint { seq: vote.seq, state: vote.state, votes }));
        }
        tallied
    }

    /// Takes a proof, whose signatures were checked. True if it is news.
    pub(crate) fn adopt(&mut self, proof: Arc<StableCheckpoint>) -> bool {
        if proof.seq <= self.stable {
            return false;
        }
        self.before = std::mem::replace(&mut self.stable, proof.seq);
        self.votes = self.votes.split_off(&proof.seq.next());
        self.seen = proof.votes.iter().map(|(author, _)| *author).collect();
        self.proof = Some(proof);
        true
    }

    /// Whether a vote for what is stable already says that its author lacks the
    /// proof. The first one for the stable checkpoint merely came late.
    pub(crate) fn asks_for_proof(&mut self, vote: &CheckpointVote) -> bool {
        vote.seq < self.stable || !self.seen.insert(vote.author)
    }

    /// The votes of `author` for checkpoints that are not stable yet.
    pub(crate) fn unstable_votes_of(&self, author: ReplicaId) -> Vec<CheckpointVote> {
        let own = self.votes.iter().filter_map(|(seq, votes)| Some((seq, votes.get(author)?)));
        own.map(|(seq, (state, signature))| CheckpointVote {
            seq: *seq,
            state: *state,
            author,
            signature: *signature,
        })
        .collect()
    }

    /// Forgets the votes of `author` for checkpoints that are not stable yet.
    pub(crate) fn withdraw(&mut self, author: ReplicaId) {
        self.votes.values_mut().for_each(|votes| votes.remove(author));
    }
}

/// So many states at or below the stable checkpoint are kept: a state on its way
/// must not be forgotten while the others go on.
const STATES_KEPT: usize = 4;
/// A state that a peer is fetching is kept, too, as long as no more checkpoints than this
/// become stable without its asking for another chunk,
const MOST_CHECKPOINTS_WITHOUT_REQUEST: u32 = 64;
/// and for so many checkpoints in all.
const MOST_CHECKPOINTS_OF_A_TRANSFER: u32 = 1024;

/// The states after this replica's checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct States {
    kept: BTreeMap<Seq, Arc<Snapshot>>,
    /// What each peer is fetching: one state each, so that no peer can make this replica keep many.
    fetched: BTreeMap<ReplicaId, Fetched>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Fetched {
    seq: Seq,
    checkpoints_without_request: u32,
    checkpoints: u32,
}

impl States {
    pub(crate) fn keep(&mut self, seq: Seq, state: Snapshot) {
        self.kept.insert(seq, Arc::new(state));
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Arc<Snapshot>> {
        self.kept.get(&seq)
    }

    /// The newest.
    pub(crate) fn latest(&self) -> Option<&Arc<Snapshot>> {
        self.kept.values().next_back()
    }

    /// The state that a peer asks for a chunk of.
    pub(crate) fn serve(&mut self, peer: ReplicaId, seq: Seq) -> Option<Arc<Snapshot>> {
        let state = Arc::clone(self.kept.get(&seq)?);
        let fetched = self.fetched.entry(peer).or_default();
        if fetched.seq != seq {
            *fetched = Fetched { seq, ..Fetched::default() };
        }
        fetched.checkpoints_without_request = 0;
        Some(state)
    }

    /// A checkpoint became stable: states that nobody needs are forgotten.
    fn forget_below(&mut self, stable: Seq) {
        self.fetched.retain(|_, fetched| {
            fetched.checkpoints_without_request += 1;
            fetched.checkpoints += 1;
            fetched.checkpoints_without_request <= MOST_CHECKPOINTS_WITHOUT_REQUEST
                && fetched.checkpoints <= MOST_CHECKPOINTS_OF_A_TRANSFER
        });
        let oldest = self.kept.range(..=stable).rev().nth(STATES_KEPT - 1).map(|(seq, _)| *seq);
        let oldest = oldest.unwrap_or_default();
        let fetched: BTreeSet<Seq> = self.fetched.values().map(|fetched| fetched.seq).collect();
        self.kept.retain(|seq, _| *seq >= oldest || fetched.contains(seq));
    }

    pub(crate) fn forget_all(&mut self) {
        *self = States::default();
    }
}

impl<A: Application> Core<A> {
    /// A checkpoint is due after this slot.
    pub(crate) fn checkpoint<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, seq: Seq) {
        self.bytes_since_checkpoint = 0;
        let state = self.execution.snapshot();
        let digest = state.digest();
        self.states.keep(seq, state);
        // One that catches up with a checkpoint far ahead needs no more what it passed.
        self.slots = self.slots.split_off(&self.oldest_kept());
        self.compare_state(cx);
        if self.has_diverged() {
            return;
        }
        let vote = CheckpointVote::sign(cx.cluster, cx.signer, seq, digest);
        cx.send_all(Message::Checkpoint(vote.clone()));
        self.take_checkpoint(cx, vote);
    }

    /// Counts a checkpoint; when it becomes stable, what is below is forgotten.
    /// Whoever votes for less, or once more, gets the proof.
    pub(crate) fn take_checkpoint<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, vote: CheckpointVote) {
        if vote.seq <= self.checkpoints.stable() {
            let asks = vote.author != cx.id() && self.checkpoints.asks_for_proof(&vote);
            if let Some(proof) = self.checkpoints.proof().filter(|_| asks) {
                cx.send(vote.author, Message::Stable(Arc::clone(proof)));
            }
            return;
        }
        // Far-off numbers, which only a faulty replica sends yet, would fill the
        // memory. An honest one is never further ahead than a window.
        if vote.seq.0 > self.highest_kept().0 + 2 * self.config.checkpoint_interval {
            return;
        }
        let stable = self.checkpoints.stable();
        if self.checkpoints.count(&vote, cx.cluster.quorum()) == Tallied::Contradiction {
            cx.reject(vote.author, None, Reason::ConflictingVote);
        }
        if self.checkpoints.stable() != stable {
            self.collect_garbage(cx);
        }
    }

    /// Takes the proof of a stable checkpoint.
    pub(crate) fn take_stable<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        proof: Arc<StableCheckpoint>,
    ) {
        if self.checkpoints.adopt(proof) {
            self.collect_garbage(cx);
            self.begin_transfer_anew(cx);
        }
    }

    /// Answers a replica that is stuck in a slot long past: with the proof of the
    /// stable checkpoint. True if the slot is of that kind.
    pub fn is_past<P: PbftProtocol>(&self, cx: &mut Context<'_, P>, stuck: ReplicaId, seq: Seq) -> bool {
        let past = seq < self.oldest_kept();
        if let Some(proof) = self.checkpoints.proof().filter(|_| past) {
            cx.send(stuck, Message::Stable(Arc::clone(proof)));
        }
        past
    }

    fn collect_garbage<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let stable = self.checkpoints.stable();
        cx.mark(Mark::View(ViewMark::Stable { seq: stable }));
        self.slots = self.slots.split_off(&self.oldest_kept());
        // What this replica has proposed further ahead than it can catch up with comes with the state.
        let highest = self.highest_kept();
        self.slots.retain(|seq, _| *seq <= highest || *seq > stable);
        self.compare_state(cx);
        self.states.forget_below(stable);
        self.stop_recovering_at(cx, stable);
    }
}
