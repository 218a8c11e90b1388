//! The state with which a generation began: computed, kept, given to those that are behind, and taken over by them.
//!
//! Members apply batches in different orders, so none of them need ever have been in the state that a generation begins
//! with. It is computed from the one before and the batches between.

use crate::data::DataType;
use crate::message::{Batch, Message};
use crate::replica::{AppliedBatch, Cx, Replica};
use crate::state::State;
use crate::statement::Applied;
use kernel::{Chunk, GenerationMark, Mark, ProvenChunk, Reason, ReplicaId, Snapshot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of batches after which a checkpoint is due, however few they are.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Bytes of a state that are sent for one question, at most.
const MOST_CHUNK_BYTES: usize = 8 << 20;

/// The last state on which members have agreed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Base {
    /// The generation that began with it.
    pub(crate) number: u64,
    pub(crate) cut: Applied,
    pub(crate) snapshot: Snapshot,
    /// Of the batches that were applied since, as far as this node knows.
    bytes: usize,
}

impl Base {
    pub(crate) fn new(cut: Applied, snapshot: Snapshot) -> Base {
        Base { number: 0, cut, snapshot, bytes: 0 }
    }

    /// A batch was applied.
    pub(crate) fn note(&mut self, batch: &Batch) {
        self.bytes += payload_bytes(batch);
    }

    /// Whether so many intervals are full since that a checkpoint is due.
    pub(crate) fn is_old(&self, applied: &Applied, interval: u64, intervals: u64) -> bool {
        let sum = |numbers: &Applied| numbers.iter().fold(0, |sum: u64, number| sum.saturating_add(*number));
        sum(applied).saturating_sub(sum(&self.cut)) >= interval.saturating_mul(intervals)
            || self.bytes as u64 >= CHECKPOINT_BYTES.saturating_mul(intervals)
    }
}

pub(crate) fn payload_bytes(batch: &Batch) -> usize {
    batch.bundles.iter().map(|bundle| bundle.payload_bytes()).sum()
}

/// Whether everything that is in `other` is in `one`.
pub(crate) fn contains(one: &Applied, other: &Applied) -> bool {
    one.iter().zip(other).all(|(one, other)| one >= other)
}

impl<D: DataType> Replica<D> {
    /// The snapshot of the state that contains exactly these batches. None if some of them are not here, or if they
    /// make no state: if they depend on others.
    pub(crate) fn snapshot_of(&self, cut: &Applied) -> Option<Snapshot> {
        if *cut == self.applied_numbers() {
            return Some(self.state.snapshot());
        }
        let is_between = contains(cut, &self.base.cut) && contains(&self.applied_numbers(), cut);
        let mut state = State::restore(&self.base.snapshot, self.nodes()).filter(|_| is_between)?;
        self.apply_up_to(&mut state, cut);
        (state.applied() == *cut).then(|| state.snapshot())
    }

    /// Applies to a state what was applied here and is in `cut`, as far as it can be.
    fn apply_up_to(&self, state: &mut State<D>, cut: &Applied) {
        let mut missing: Vec<&AppliedBatch> = Vec::new();
        for (place, (actor, last)) in self.actors.iter().zip(cut).enumerate() {
            let applied = state.of(ReplicaId(place as u16)).applied;
            let new = actor.history.range(applied + 1..).take_while(|(number, _)| *number <= last);
            missing.extend(new.map(|(_, batch)| batch));
        }
        missing.sort_by_key(|applied| applied.place);
        // Whoever leaves out some of what was applied here has applied the rest in another order, maybe.
        loop {
            let before = missing.len();
            missing.retain(|AppliedBatch { batch, digest, .. }| {
                let can_be = state.is_ready(batch) && state.is_valid(batch);
                if can_be {
                    state.apply(batch, digest);
                }
                !can_be
            });
            if missing.is_empty() || missing.len() == before {
                return;
            }
        }
    }

    /// Keeps the state that a generation began with, and forgets what was before the one before it.
    pub(crate) fn set_base(&mut self, number: u64, cut: Applied, snapshot: Snapshot) {
        let before = std::mem::replace(&mut self.base, Base { number, cut, snapshot, bytes: 0 });
        for (actor, last) in self.actors.iter_mut().zip(&before.cut) {
            actor.history = actor.history.split_off(&(last + 1));
        }
        let cut = &self.base.cut;
        let new = self.actors.iter().zip(cut).flat_map(|(actor, last)| actor.history.range(last + 1..));
        self.base.bytes = new.map(|(_, applied)| payload_bytes(&applied.batch)).sum();
        self.transferred.clear();
    }

    /// Whether a member that was behind when its generation began has come so far.
    pub(crate) fn catch_up(&mut self) -> bool {
        let Some(last) = self.decisions.last().filter(|last| last.generation.number > self.base.number)
        else {
            return false;
        };
        let generation = last.generation.clone();
        let has_all = contains(&self.applied_numbers(), &generation.cut);
        let snapshot = if has_all { self.snapshot_of(&generation.cut) } else { None };
        let snapshot = snapshot.filter(|snapshot| snapshot.digest() == generation.state);
        let has_come_so_far = snapshot.is_some();
        if let Some(snapshot) = snapshot {
            self.set_base(generation.number, generation.cut, snapshot);
        }
        has_come_so_far
    }

    /// Gives a node parts of the state, after those that it has.
    pub(crate) fn give_chunks(&self, cx: &mut Cx<'_, D>, to: ReplicaId, has: u64) {
        let mut bytes = 0;
        let mut index = has;
        while bytes < MOST_CHUNK_BYTES
            && let Some(chunk) = self.base.snapshot.prove(index)
        {
            bytes += chunk.bytes.0.len();
            index += 1;
            cx.send(to, Message::Chunk(self.base.number, Arc::new(chunk)));
        }
    }

    pub(crate) fn receive_chunk(
        &mut self,
        cx: &mut Cx<'_, D>,
        from: ReplicaId,
        number: u64,
        chunk: &ProvenChunk,
    ) {
        let last = self.decisions.last().filter(|last| {
            last.generation.number == number
                && self.base.number < number
                && self.transferred.len() as u64 == chunk.index
        });
        let Some(generation) = last.map(|last| last.generation.clone()) else { return };
        let Some(proven) = chunk.verify(&generation.state) else {
            return cx.reject(from, None, Reason::DigestMismatch);
        };
        self.transferred.push(proven);
        if self.transferred.len() as u64 == chunk.extent.chunks {
            let snapshot = Snapshot::new(std::mem::take(&mut self.transferred));
            self.adopt(cx, number, generation.cut, snapshot);
        }
    }

    /// Takes over a state, and what was applied here beyond it.
    fn adopt(&mut self, cx: &mut Cx<'_, D>, number: u64, cut: Applied, snapshot: Snapshot) {
        let Some(mut state) = State::restore(&snapshot, self.nodes()).filter(|state| state.applied() == cut)
        else {
            return;
        };
        let applied = self.applied_numbers();
        let beyond: Applied = cut.iter().zip(&applied).map(|(cut, applied)| *cut.max(applied)).collect();
        self.apply_up_to(&mut state, &beyond);
        self.state = state;
        let applied = self.applied_numbers();
        for (actor, last) in self.actors.iter_mut().zip(&applied) {
            actor.proposals = actor.proposals.split_off(&(last + 1));
            actor.proofs = actor.proofs.split_off(&(last + 1));
            actor.history.retain(|number, _| number <= last);
        }
        self.set_base(number, cut, snapshot);
        let state = self.base.snapshot.digest();
        cx.mark(Mark::Generation(GenerationMark::Adopted { number, state }));
        self.end_flight(cx, cx.id());
        self.announce_soon(cx);
        self.advance(cx);
    }

    /// What is transferred of a state at the moment, in bytes.
    pub fn transferring(&self) -> u64 {
        self.transferred.iter().map(|chunk: &Chunk| chunk.bytes().len() as u64).sum()
    }
}
