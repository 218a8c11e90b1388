//! Sending: messages and replies leave their node and are scheduled to arrive.

use super::iteration::Outgoing;
use super::{Body, CountedMessage, Envelope, InFlight, World};
use crate::links::Arrivals;
use crate::queue::{EVERYONE, Event};
use kernel::{Protocol, ReplicaId, ReplyBundle, To, Wire as _};

impl<P: Protocol> World<P> {
    pub(super) fn schedule(&mut self, after_ns: u64, to: ReplicaId, envelope: Envelope<P>) {
        let at_ns = self.now_ns + self.spent_ns + after_ns;
        let key = self.envelopes.insert(InFlight { envelope, copies: 1, at_ns: self.now_ns, first_copy: 0 });
        self.queue.push(Event { at_ns, to: to.0, envelope: key });
    }

    pub(super) fn send(&mut self, from: ReplicaId, to: To, message: P::Message) {
        if self.metered {
            self.admissions[usize::from(from.0)].vouch(from, &message);
        }
        let (tag, bytes) = self.digest.tag(&message);
        let counted =
            CountedMessage { kind: message.kind(), agreement: message.class().is_agreement(), bytes };
        let copies = match to {
            To::One(_) => 1,
            To::All => u32::from(self.cluster.n) - 1,
        };
        if copies == 0 {
            return;
        }
        self.counts.sent(self.roles.of(from), from, u64::from(copies), counted);
        let envelope =
            Envelope::Message { from, is_to_all: to == To::All, body: Body::Raw(message), counted, tag };
        let first_copy = self.observation.number_copies(copies);
        let key = self.envelopes.insert(InFlight { envelope, copies, at_ns: self.now_ns, first_copy });
        let cost_ns = self.costs.message_ns(bytes);
        match to {
            To::One(to) => self.dispatch(from, to, bytes, cost_ns, key),
            To::All => {
                if cost_ns == 0
                    && !self.iteration.is_on
                    && !self.observation.alters_any(first_copy, copies)
                    && let Some(delay_ns) = self.links.same_for_all(self.now_ns + self.spent_ns)
                {
                    let depart_ns = self.now_ns + self.spent_ns;
                    let at_ns = depart_ns + delay_ns;
                    if self.observation.includes_messages() {
                        let others = self.cluster.replicas().filter(|to| *to != from);
                        others.for_each(|to| self.observe_departure(depart_ns, (from, to), key, &[at_ns]));
                    }
                    self.queue.push(Event { at_ns, to: EVERYONE, envelope: key });
                    return;
                }
                for to in self.cluster.replicas() {
                    if to != from {
                        self.dispatch(from, to, bytes, cost_ns, key);
                    }
                }
            }
        }
    }

    /// Sends one copy, now or at the end of the iteration.
    fn dispatch(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, cost_ns: u64, key: u32) {
        self.spent_ns += cost_ns;
        if self.iteration.is_on {
            self.iteration.outbox.push(Outgoing { to, bytes, key });
        } else {
            self.depart(from, to, bytes, key);
        }
    }

    /// A copy leaves its sender: it may be lost, or arrive twice.
    pub(super) fn depart(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, key: u32) {
        match self.carry(from, to, bytes, key) {
            [None, _] => self.drop_copy(key),
            [Some(at_ns), second] => {
                self.queue.push(Event { at_ns, to: to.0, envelope: key });
                if let Some(at_ns) = second {
                    self.envelopes.get_mut(key).copies += 1;
                    self.queue.push(Event { at_ns, to: to.0, envelope: key });
                }
            }
        }
    }

    /// When a copy that leaves now arrives. It is altered after all draws for it, so that
    /// nothing else changes by that.
    fn carry(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, key: u32) -> Arrivals {
        let depart_ns = self.now_ns + self.spent_ns;
        let mut arrivals = self.links.carry(from.0, to.0, depart_ns, bytes);
        if !self.observation.is_plain() {
            let copy = self.copy_to(key, to);
            arrivals = self.observation.alter(copy, depart_ns, arrivals);
        }
        if matches!(self.envelopes.get_mut(key).envelope, Envelope::Reply { .. }) {
            // A second copy of a reply would count for nothing.
            arrivals[1] = None;
        }
        if self.observation.includes_messages() {
            let times: Vec<u64> = arrivals.into_iter().flatten().collect();
            self.observe_departure(depart_ns, (from, to), key, &times);
        }
        arrivals
    }

    pub(super) fn reply(&mut self, from: ReplicaId, to: ReplicaId, bundle: ReplyBundle) {
        if to == from && self.iteration.is_on {
            // As a node does: its own reply counts at once.
            self.take_reply(to, from, &bundle);
            return;
        }
        if to == from {
            let counted = CountedMessage { kind: "reply", agreement: false, bytes: 0 };
            self.schedule(0, to, Envelope::Reply { from, bundle, counted });
            return;
        }
        let (_, bytes) = self.digest.tag(&bundle);
        let counted = CountedMessage { kind: "reply", agreement: false, bytes };
        self.counts.sent(self.roles.of(from), from, 1, counted);
        let envelope = Envelope::Reply { from, bundle, counted };
        let first_copy = self.observation.number_copies(1);
        let key = self.envelopes.insert(InFlight { envelope, copies: 1, at_ns: self.now_ns, first_copy });
        let cost_ns = self.costs.message_ns(bytes);
        self.dispatch(from, to, bytes, cost_ns, key);
    }
}
