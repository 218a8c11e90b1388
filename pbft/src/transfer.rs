//! The state of others, for a replica that was left behind or whose own state is wrong
//! (OSDI §4.6).
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | resend timer | a stable checkpoint lies beyond what was executed | ask `f+1` of its signers for the first chunk |
//! | its state contradicts a stable checkpoint | – | the same, at once ([`crate::divergence`]) |
//! | a chunk | the checkpoint's digest proves it | keep it; ask its sender for another one |
//! | | it does not | its sender loses its turn |
//! | transfer timer | a signer owes a chunk for too long | it loses its turn |
//! | a signer loses its turn | – | what it owes is asked of others |
//! | | no signer is left | all get another turn, and more time; a newer checkpoint, if there is one, takes the place of this one |
//! | all chunks | – | take the state over |
//!
//! # What is not fetched
//!
//! A chunk comes with the digests beside its way to the root. Those that are known here, of the
//! own state or of a transfer that was given up, stand for chunks that are here already,
//! whole subtrees of them. So a replica that was left behind a little fetches what has
//! changed, and a few hashes; one that comes back with nothing fetches all once, and then what has
//! changed meanwhile.
//!
//! # Why no peer can prolong it
//!
//! The digest that a quorum signed is the root of a hash tree over the chunks, their
//! number and their bytes ([`kernel::Snapshot`]). So every chunk is checked alone, when it
//! comes; the first one proves how much there is, and never more is kept than that. Every
//! signer is asked for a few chunks at a time, and the oldest request counts: a
//! signer that answers slowly, wrongly or not at all delays what it was asked for by one or
//! two periods of the transfer timer, once in a round; in the meantime others deliver the
//! rest. As `f+1` of the signers are honest, a round in which all lose their turn means
//! that the network is slow: so they get twice the time in the next one. A chunk
//! that comes late is as good as any. Who lost its turn is not asked for the next state
//! either, as long as others are left: else it would cost each of them two periods, and a replica
//! would never catch up with a cluster that takes several checkpoints in that time.

use crate::core::{Core, PbftProtocol, Timer};
use crate::execution::Execution;
use crate::message::{Message, StableCheckpoint};
use kernel::{
    Application, Chunk, Context, Digest, Extent, Mark, ProvenChunk, Reason, ReplicaId, Seq, Snapshot,
    Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Chunks that are asked for at one time, of all signers together.
const MOST_REQUESTS: usize = 32;
/// Expiries of the transfer timer after which a chunk is overdue: between one and two
/// periods.
const PATIENCE: u32 = 2;
/// The patience doubles at most so often.
const MOST_DOUBLINGS: u32 = 5;

/// Chunks that need not be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Known {
    /// This replica's own state.
    own: Option<Arc<Snapshot>>,
    /// Which of its chunks are below each node of its tree.
    nodes: BTreeMap<Digest, Range<u64>>,
    /// Of a transfer that was given up.
    received: BTreeMap<Digest, Chunk>,
}

impl Known {
    fn of(own: Option<Arc<Snapshot>>, received: BTreeMap<u64, Chunk>) -> Known {
        let nodes = own.iter().flat_map(|own| own.nodes());
        let nodes = nodes.map(|(digest, below)| (*digest, below)).collect();
        let received = received.into_values().map(|chunk| (*chunk.digest(), chunk)).collect();
        Known { own, nodes, received }
    }

    /// The chunks below a node, if they are known.
    fn below(&self, node: &Digest) -> Option<&[Chunk]> {
        if let (Some(own), Some(below)) = (&self.own, self.nodes.get(node)) {
            return own.chunks().get(below.start as usize..below.end as usize);
        }
        self.received.get(node).map(std::slice::from_ref)
    }
}

/// A state on its way here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Transfer {
    proof: Arc<StableCheckpoint>,
    known: Known,
    /// Known and proven as soon as a chunk is here.
    extent: Option<Extent>,
    received: BTreeMap<u64, Chunk>,
    received_bytes: u64,
    /// The lowest chunk of each lane that was never asked for.
    next: [u64; MOST_REQUESTS],
    /// The lane that is asked next.
    lane: usize,
    /// Chunks that were asked of a signer that lost its turn.
    unserved: BTreeSet<u64>,
    servers: BTreeMap<ReplicaId, Server>,
    /// Rounds in a row in which all signers lost their turn and nothing came.
    failed_rounds: u32,
    received_before_round: usize,
}

/// A signer of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Server {
    /// What it owes: the chunks asked for, and for how many more expiries of the timer.
    owes: BTreeMap<u64, u32>,
    lost_turn: bool,
}

/// Chunks are asked for in as many lanes as there are requests at a time: so each answer can
/// show what is known beside it before the next in its lane is asked for.
fn lane(number: usize, chunks: u64) -> Range<u64> {
    let start = |number: u64| (u128::from(chunks) * u128::from(number) / MOST_REQUESTS as u128) as u64;
    start(number as u64)..start(number as u64 + 1)
}

impl Transfer {
    /// `servers` have another turn, the other signers have not.
    fn new(
        proof: Arc<StableCheckpoint>,
        known: Known,
        signers: &[ReplicaId],
        servers: &[ReplicaId],
        failed_rounds: u32,
    ) -> Transfer {
        let server = |id: &ReplicaId| Server { owes: BTreeMap::new(), lost_turn: !servers.contains(id) };
        Transfer {
            proof,
            known,
            extent: None,
            received: BTreeMap::new(),
            received_bytes: 0,
            next: [0; MOST_REQUESTS],
            lane: 0,
            unserved: BTreeSet::new(),
            servers: signers.iter().map(|id| (*id, server(id))).collect(),
            failed_rounds,
            received_before_round: 0,
        }
    }

    fn note_request(&mut self, id: ReplicaId, index: u64) {
        let patience = PATIENCE << self.failed_rounds.min(MOST_DOUBLINGS);
        if let Some(server) = self.servers.get_mut(&id) {
            server.owes.insert(index, patience);
        }
    }

    /// Decides what to ask next, and of whom: of those with the least to do.
    fn next_request(&mut self) -> Option<(ReplicaId, u64)> {
        let most = (MOST_REQUESTS / self.servers.len()).max(1);
        let free = self.servers.iter().filter(|(_, server)| !server.lost_turn && server.owes.len() < most);
        let (id, _) = free.min_by_key(|(_, server)| server.owes.len())?;
        let (id, index) = (*id, self.next_chunk()?);
        self.note_request(id, index);
        Some((id, index))
    }

    fn next_chunk(&mut self) -> Option<u64> {
        while let Some(index) = self.unserved.pop_first() {
            if !self.received.contains_key(&index) {
                return Some(index);
            }
        }
        let chunks = self.extent?.chunks;
        for _ in 0..MOST_REQUESTS {
            let lane = lane(self.lane, chunks);
            let next = &mut self.next[self.lane];
            self.lane = (self.lane + 1) % MOST_REQUESTS;
            *next = (*next).max(lane.start);
            while *next < lane.end {
                *next += 1;
                if !self.received.contains_key(&(*next - 1)) {
                    return Some(*next - 1);
                }
            }
        }
        None
    }

    /// What this signer owes is asked of others.
    fn lose_turn(&mut self, id: ReplicaId) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.lost_turn = !weakened(Weakening::ServerKeepsItsTurn);
            let owed = std::mem::take(&mut server.owes).into_keys();
            self.unserved.extend(owed.filter(|index| !self.received.contains_key(index)));
        }
    }

    /// A period of the timer is over: whoever owes a chunk for too long loses its turn.
    fn expire(&mut self) {
        if weakened(Weakening::ServerKeepsItsTurn) {
            return;
        }
        let mut overdue = Vec::new();
        for (id, server) in &mut self.servers {
            for left in server.owes.values_mut() {
                *left -= 1;
            }
            if server.owes.values().any(|left| *left == 0) {
                overdue.push(*id);
            }
        }
        overdue.into_iter().for_each(|id| self.lose_turn(id));
    }

    fn lost_their_turn(&self) -> impl Iterator<Item = ReplicaId> {
        self.servers.iter().filter(|(_, server)| server.lost_turn).map(|(id, _)| *id)
    }

    fn all_lost_their_turn(&self) -> bool {
        self.lost_their_turn().count() == self.servers.len()
    }

    /// All get another turn.
    fn begin_round(&mut self) {
        self.failed_rounds = self.failed_rounds_now();
        self.received_before_round = self.received.len();
        self.servers.values_mut().for_each(|server| server.lost_turn = false);
    }

    fn failed_rounds_now(&self) -> u32 {
        if self.received.len() > self.received_before_round { 0 } else { self.failed_rounds + 1 }
    }

    /// Takes a chunk. True if its sender deserves another request.
    fn take(&mut self, from: ReplicaId, part: &ProvenChunk) -> bool {
        let server = self.servers.get_mut(&from);
        let owed = server.is_some_and(|server| server.owes.remove(&part.index).is_some());
        let chunk = part.verify(&self.proof.state);
        if chunk.is_some() {
            self.take_known(part);
        }
        let chunk = chunk.or_else(|| weakened(Weakening::ChunkNotChecked).then(|| part.unchecked()));
        let Some(chunk) = chunk else {
            if owed {
                self.unserved.insert(part.index);
            }
            self.lose_turn(from);
            return false;
        };
        self.extent = Some(part.extent);
        self.keep(part.index, chunk);
        true
    }

    fn keep(&mut self, index: u64, chunk: Chunk) {
        let bytes = chunk.bytes().len() as u64;
        if self.received.insert(index, chunk).is_none() {
            self.received_bytes += bytes;
        }
    }

    /// Takes what is known of the rest, as far as a proof names it.
    fn take_known(&mut self, proof: &ProvenChunk) {
        for (below, node) in proof.siblings() {
            let is_here = |index: u64| self.received.contains_key(&index);
            if is_here(below.start) && is_here(below.end - 1) {
                continue;
            }
            let known = self.known.below(node).filter(|known| known.len() as u64 == below.end - below.start);
            let Some(known) = known.map(<[Chunk]>::to_vec) else { continue };
            below.zip(known).for_each(|(index, chunk)| self.keep(index, chunk));
        }
    }

    fn is_complete(&self) -> bool {
        self.extent.is_some_and(|extent| self.received.len() as u64 >= extent.chunks)
    }
}

impl<A: Application> Core<A> {
    /// The checkpoint whose state this replica needs: the stable one, if it did not
    /// get there itself or got there with another state.
    fn state_needed(&self) -> Option<Arc<StableCheckpoint>> {
        let needed = |proof: &&Arc<StableCheckpoint>| proof.seq > self.last_executed() || self.has_diverged();
        self.checkpoints.proof().filter(needed).cloned()
    }

    /// Bytes received of a state on its way, and bytes that its digest has proven so
    /// far that there are; none if no state is on its way.
    pub fn transferring(&self) -> Option<(u64, u64)> {
        let transfer = self.transfer.as_ref()?;
        Some((transfer.received_bytes, transfer.extent.map_or(0, |extent| extent.bytes)))
    }

    /// Begins to ask for the state after the stable checkpoint, if this replica needs it
    /// and does not ask already.
    pub(crate) fn fetch_state<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        match self.state_needed() {
            None => self.stop_transfer(cx),
            Some(proof) if self.transfer.is_none() => self.begin_transfer(cx, proof, 0),
            Some(_) => {}
        }
    }

    fn stop_transfer<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if let Some(transfer) = self.transfer.take() {
            self.bad_servers = transfer.lost_their_turn().collect();
            cx.cancel_timer(Timer::Transfer.into());
        }
    }

    fn begin_transfer<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        proof: Arc<StableCheckpoint>,
        failed_rounds: u32,
    ) {
        let me = cx.id();
        let mut signers: Vec<ReplicaId> =
            proof.votes.iter().map(|(id, _)| *id).filter(|id| *id != me).collect();
        if signers.is_empty() {
            return;
        }
        // Not all begin with the same one.
        signers.sort_by_key(|id| (*id < me, *id));
        let mut servers = signers.clone();
        servers.retain(|id| !self.bad_servers.contains(id));
        if servers.is_empty() {
            servers.clone_from(&signers);
        }
        let seq = proof.seq;
        let given_up = self.transfer.take().map(|transfer| transfer.received);
        let known = Known::of(self.states.latest().cloned(), given_up.unwrap_or_default());
        let mut transfer = Transfer::new(proof, known, &signers, &servers, failed_rounds);
        // Of so many one is honest. The first chunk is small.
        for id in servers.into_iter().take(cx.cluster.weak_quorum()) {
            transfer.note_request(id, 0);
            cx.send(id, Message::FetchState { seq, index: 0 });
        }
        self.transfer = Some(transfer);
        cx.set_timer(Timer::Transfer.into(), self.config.resend_after);
    }

    /// A newer checkpoint is stable: the state of an older one may be gone where it was
    /// asked for, so as long as nothing of it came it is not waited for.
    pub(crate) fn begin_transfer_anew<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.received.is_empty()) {
            self.stop_transfer(cx);
            self.fetch_state(cx);
        }
    }

    fn ask_for_chunks<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        let seq = transfer.proof.seq;
        while let Some((id, index)) = transfer.next_request() {
            cx.send(id, Message::FetchState { seq, index });
        }
    }

    /// The transfer timer ran out.
    pub fn expire_transfer<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        let Some(newest) = self.state_needed() else {
            return self.stop_transfer(cx);
        };
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        transfer.expire();
        if transfer.all_lost_their_turn() {
            if newest.seq > transfer.proof.seq || transfer.extent.is_none() {
                let failed_rounds = transfer.failed_rounds_now();
                self.bad_servers.clear();
                return self.begin_transfer(cx, newest, failed_rounds);
            }
            transfer.begin_round();
        }
        self.ask_for_chunks(cx);
        cx.set_timer(Timer::Transfer.into(), self.config.resend_after);
    }

    /// Sends a chunk of the state after a checkpoint; if that state is not here any more,
    /// the proof of the stable one.
    pub(crate) fn serve_state<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        (seq, index): (Seq, u64),
    ) {
        if let Some(state) = self.states.serve(from, seq) {
            if let Some(part) = state.prove(index) {
                cx.send(from, Message::State { seq, part });
            }
        } else if let Some(proof) = self.checkpoints.proof().filter(|proof| proof.seq > seq) {
            cx.send(from, Message::Stable(Arc::clone(proof)));
        }
    }

    /// Takes a chunk of the state that was asked for.
    pub(crate) fn take_state<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        part: &ProvenChunk,
    ) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.proof.seq == seq) else {
            return; // Not asked for, or no longer.
        };
        if !transfer.take(from, part) {
            cx.reject(from, None, Reason::DigestMismatch);
        }
        if !transfer.is_complete() {
            return self.ask_for_chunks(cx);
        }
        let received = std::mem::take(&mut transfer.received);
        self.stop_transfer(cx);
        let snapshot = Snapshot::new(received.into_values().collect());
        match self.execution.restore_over(&snapshot).filter(|state| state.last() == seq) {
            Some(state) => self.adopt_state(cx, state, snapshot),
            // A quorum vouched for what the application cannot read.
            None => cx.reject(from, None, Reason::DigestMismatch),
        }
    }

    fn adopt_state<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        state: Execution<A>,
        snapshot: Snapshot,
    ) {
        let seq = state.last();
        if seq <= self.last_executed() && !self.has_diverged() {
            return; // It got there itself meanwhile.
        }
        cx.mark(Mark::StateAdopted { seq, chain: state.chain() });
        self.states.keep(seq, snapshot);
        self.execution = state;
        self.divergence.heal();
        self.bytes_since_checkpoint = 0;
        self.slots = self.slots.split_off(&self.oldest_kept());
        self.stop_watching_executed();
        self.stop_recovering_at(cx, self.checkpoints.stable());
        self.execute(cx);
    }
}
