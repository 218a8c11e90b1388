//! Sending: messages and replies leave their node and are scheduled to arrive.

use super::iteration::Outgoing;
use super::{Body, CountedMessage, Envelope, InFlight, World};
use crate::queue::{EVERYONE, Event};
use kernel::{Protocol, ReplicaId, ReplyBundle, To, Wire as _};

impl<P: Protocol> World<P> {
    pub(super) fn schedule(&mut self, after_ns: u64, to: ReplicaId, envelope: Envelope<P>) {
        let at_ns = self.now_ns + self.spent_ns + after_ns;
        let key = self.envelopes.insert(InFlight { envelope, copies: 1, at_ns: self.now_ns });
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
        let envelope = Envelope::Message { from, body: Body::Raw(message), counted, tag };
        let key = self.envelopes.insert(InFlight { envelope, copies, at_ns: self.now_ns });
        let cost_ns = self.costs.message_ns(bytes);
        match to {
            To::One(to) => self.dispatch(from, to, bytes, cost_ns, key),
            To::All => {
                if cost_ns == 0
                    && !self.iteration.is_on
                    && let Some(delay_ns) = self.links.same_for_all(self.now_ns + self.spent_ns)
                {
                    let at_ns = self.now_ns + self.spent_ns + delay_ns;
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
        let arrivals = self.links.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes);
        match arrivals {
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
        let key = self.envelopes.insert(InFlight { envelope, copies: 1, at_ns: self.now_ns });
        let cost_ns = self.costs.message_ns(bytes);
        if self.iteration.is_on {
            self.dispatch(from, to, bytes, cost_ns, key);
            return;
        }
        self.spent_ns += cost_ns;
        // A second copy of a reply would count for nothing.
        match self.links.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes) {
            [Some(at_ns), _] => self.queue.push(Event { at_ns, to: to.0, envelope: key }),
            [None, _] => self.drop_copy(key),
        }
    }
}
