//! Checkpoints, and the state of others for a replica that was left behind
//! (OSDI §4.3, §4.6).
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | a slot executed | its number divisible by `K`, or enough payload since the last | CHECKPOINT to all; keep the state |
//! | CHECKPOINTs | `q` for one state: *stable* | move the watermarks, forget what is below the one before |
//! | a CHECKPOINT | for less than what is stable here, or for that once more | answer with the proof |
//! | resend timer | a stable checkpoint lies beyond what was executed | ask one of its signers for the state, part by part |
//! | all parts | the state's digest is the proven one | take it over |
//! | | it is not, or the signer is silent | ask the next signer from the start |

use crate::core::{Core, PbftProtocol};
use crate::execution::Execution;
use crate::message::{CheckpointVote, Message, StableCheckpoint};
use kernel::{Application, Context, Mark, Operation, Reason, ReplicaId, Seq, Tallied, Weakening, weakened};
use std::sync::Arc;

/// A state on its way here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transfer {
    proof: Arc<StableCheckpoint>,
    from: ReplicaId,
    received: Vec<u8>,
    /// Nothing came since the resend timer ran out last.
    idle: bool,
}

/// So many states at or below the stable checkpoint are kept: a state on its way
/// must not be forgotten while the others go on.
const STATES_KEPT: usize = 4;
/// Bytes of a state that travel in one message.
const PART_BYTES: usize = 1 << 20;

impl<A: Application> Core<A> {
    // ---- Checkpoints (OSDI §4.3) ----

    pub(crate) fn checkpoint<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, seq: Seq) {
        self.bytes_since_checkpoint = 0;
        self.states.insert(seq, Arc::new(self.execution.clone()));
        let vote = CheckpointVote::sign(cx.cluster, cx.signer, seq, self.execution.digest());
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
            if self.transfer.as_ref().is_some_and(|transfer| transfer.received.is_empty()) {
                self.transfer = None;
                self.fetch_state(cx); // The one asked for may be gone.
            }
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
        cx.mark(Mark::Stable { seq: stable });
        self.slots = self.slots.split_off(&self.oldest_kept());
        while self.states.range(..=stable).count() > STATES_KEPT {
            self.states.pop_first();
        }
        self.stop_recovering_at(cx, stable);
    }

    // ---- State transfer (OSDI §4.6) ----

    /// Asks for the state after the stable checkpoint, if this replica did not get
    /// there itself.
    pub(crate) fn fetch_state<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let Some(proof) = self.checkpoints.proof().filter(|proof| proof.seq > self.last_executed()).cloned()
        else {
            self.transfer = None;
            return;
        };
        if let Some(transfer) = &mut self.transfer
            && transfer.proof.seq > self.execution.last()
            && !std::mem::replace(&mut transfer.idle, true)
        {
            return; // Under way.
        }
        let last = self.transfer.as_ref().map(|transfer| transfer.from);
        let signers = || proof.votes.iter().map(|(id, _)| *id).filter(|id| *id != cx.id());
        let next = signers().find(|id| last.is_none_or(|last| *id > last)).or_else(|| signers().next());
        let Some(from) = next else {
            return;
        };
        cx.send(from, Message::FetchState { seq: proof.seq, offset: 0 });
        self.transfer = Some(Transfer { proof, from, received: Vec::new(), idle: false });
    }

    /// Sends a part of the state after the stable checkpoint; for an earlier
    /// checkpoint, the proof of the stable one.
    pub(crate) fn serve_state<P: PbftProtocol>(
        &self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        offset: u64,
    ) {
        let Some(state) = self.states.get(&seq) else {
            if let Some(proof) = self.checkpoints.proof().filter(|proof| proof.seq > seq) {
                cx.send(from, Message::Stable(Arc::clone(proof)));
            }
            return;
        };
        let bytes = state.snapshot();
        let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let end = bytes.len().min(start + PART_BYTES);
        let part = Operation::new(&bytes[start..end]);
        cx.send(from, Message::State { seq, total: bytes.len() as u64, offset, part });
    }

    /// Takes a part of the state that was asked for.
    pub(crate) fn take_state<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        (total, offset): (u64, u64),
        part: &Operation,
    ) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| {
            transfer.from == from && transfer.proof.seq == seq && transfer.received.len() as u64 == offset
        }) else {
            return; // Not asked for, or no longer.
        };
        transfer.received.extend_from_slice(&part.0);
        transfer.idle = false;
        let received = transfer.received.len() as u64;
        if received < total && !part.0.is_empty() {
            cx.send(from, Message::FetchState { seq, offset: received });
            return;
        }
        let proven = transfer.proof.state;
        let state = Execution::restore(&transfer.received);
        let matches = |state: &Execution<A>| {
            state.last() == seq && (state.digest() == proven || weakened(Weakening::StateNotCompared))
        };
        match state.filter(matches) {
            Some(state) => self.adopt_state(cx, state),
            None => {
                cx.reject(from, None, Reason::DigestMismatch);
                transfer.idle = true;
                self.fetch_state(cx);
            }
        }
    }

    fn adopt_state<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, state: Execution<A>) {
        self.transfer = None;
        let seq = state.last();
        if seq <= self.last_executed() {
            return; // It got there itself meanwhile.
        }
        cx.mark(Mark::StateAdopted { seq, chain: state.chain() });
        self.states.insert(seq, Arc::new(state.clone()));
        self.execution = state;
        self.bytes_since_checkpoint = 0;
        self.slots = self.slots.split_off(&self.oldest_kept());
        self.stop_watching_executed();
        self.stop_recovering_at(cx, self.checkpoints.stable());
        self.execute(cx);
    }
}
