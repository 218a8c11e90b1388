//! Nobody is left behind: members tell each other what they have applied, and ask for what they lack.
//!
//! * After applying something, a member announces what it has (`applied`).
//! * Who hears of more than it has asks for it (`fetch`), and gets batches with their proofs, in an order
//!   in which they can be applied.
//! * A member that may lack something, as far as is known, is asked again and again, less and less often, what it has:
//!   so an actor that dies half-way, loss and partitions leave nobody behind.
//!
//! What is before the checkpoint before the last is forgotten. Who lacks some of that takes over the state of the
//! last one (`snapshots.rs`).

use crate::data::DataType;
use crate::message::{Message, Progress};
use crate::replica::{Actor, AppliedBatch, Cx, MOST_DOUBLED, Replica, Timer};
use crate::snapshots::{contains, payload_bytes};
use kernel::ReplicaId;
use std::sync::Arc;

/// Batches that are sent for one question, at most.
const MOST_SERVED: usize = 256;
/// Bytes of their operations, after which no further one is sent.
const MOST_SERVED_BYTES: usize = 8 << 20;

fn has_more(one: &Progress, than: &Progress) -> bool {
    one.generation > than.generation || !contains(&than.applied, &one.applied)
}

impl<D: DataType> Replica<D> {
    /// Something new was applied: others may lack it.
    pub(crate) fn announce_soon(&mut self, cx: &mut Cx<'_, D>) {
        // It must come while requests go on, too, so it is not put off again and again.
        if self.announces_after != 1 {
            self.announces_after = 1;
            cx.set_timer(Timer::Announce, self.resend_after(1));
        }
    }

    /// Says what was applied: to all the first time, then to those that have not said that they have it, too.
    pub(crate) fn announce(&mut self, cx: &mut Cx<'_, D>) {
        let own = self.progress();
        let times = std::mem::take(&mut self.announces_after);
        let lacks_some = |peer: &ReplicaId| has_more(&own, &self.peers[usize::from(peer.0)]);
        let others = cx.cluster.replicas().filter(|peer| *peer != cx.id());
        let behind: Vec<ReplicaId> = others.filter(lacks_some).collect();
        if times == 1 {
            cx.send_all(Message::Applied(own));
        } else {
            behind.iter().for_each(|peer| cx.send(*peer, Message::Fetch(own.clone())));
        }
        if !behind.is_empty() {
            self.announces_after = (2 * times).min(MOST_DOUBLED);
            cx.set_timer(Timer::Announce, self.resend_after(self.announces_after));
        }
    }

    pub(crate) fn receive_progress(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, progress: Progress) {
        let is_ahead = has_more(&progress, &self.progress());
        self.peers[usize::from(from.0)] = progress;
        if is_ahead {
            self.fetch(cx, from);
        }
    }

    /// Asks a member for what this one lacks, if no answer is waited for.
    pub(crate) fn fetch(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId) {
        if self.fetching.is_none() && from != cx.id() {
            self.fetching = Some(from);
            cx.send(from, Message::Fetch(self.progress()));
            cx.set_timer(Timer::Fetch, self.resend_after(1));
        }
    }

    /// Asks the next member that says it has more; one alone may be down, or lie.
    pub(crate) fn fetch_again(&mut self, cx: &mut Cx<'_, D>) {
        let Some(last) = self.fetching.take() else { return };
        let own = self.progress();
        let mut next = cx.cluster.next(last);
        for _ in 0..cx.cluster.n {
            if next != cx.id() && has_more(&self.peers[usize::from(next.0)], &own) {
                return self.fetch(cx, next);
            }
            next = cx.cluster.next(next);
        }
    }

    /// Gives a node what it lacks, if it was given nothing a short time ago, and says what there is.
    pub(crate) fn serve(&mut self, cx: &mut Cx<'_, D>, to: ReplicaId, has: Progress) {
        let own = self.progress();
        self.peers[usize::from(to.0)].clone_from(&has);
        let is_ahead = has_more(&has, &own);
        if has_more(&own, &has) && self.served.insert(to) {
            if self.served.len() == 1 {
                cx.set_timer(Timer::Serve, self.resend_after(1));
            }
            self.tell_generations(cx, to, has.generation);
            self.give(cx, to, has);
        }
        cx.send(to, Message::Applied(own));
        if is_ahead {
            self.fetch(cx, to);
        }
    }

    fn give(&self, cx: &mut Cx<'_, D>, to: ReplicaId, has: Progress) {
        let mut applied = has.applied;
        let is_forgotten = |(actor, (own, has)): (&Actor, (u64, &u64))| {
            *has < own && !actor.history.contains_key(&(has + 1))
        };
        if self.actors.iter().zip(self.applied_numbers().into_iter().zip(&applied)).any(is_forgotten) {
            if has.generation == self.base.number {
                self.give_chunks(cx, to, has.chunks);
            }
            return;
        }
        let mut bytes = 0;
        for _ in 0..MOST_SERVED {
            if bytes >= MOST_SERVED_BYTES {
                break;
            }
            let next = |has: &u64| has.checked_add(1);
            let lacks =
                self.actors.iter().zip(&applied).filter_map(|(actor, has)| actor.history.get(&next(has)?));
            // Whatever its actor says that it depends on, all of that was applied here before.
            let Some(AppliedBatch { batch, proof, .. }) = lacks.min_by_key(|applied| applied.place) else {
                break;
            };
            applied[usize::from(batch.actor.0)] += 1;
            bytes += payload_bytes(batch);
            cx.send(to, Message::Proven(Arc::clone(batch), Arc::clone(proof)));
        }
    }
}
