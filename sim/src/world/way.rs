//! What nodes send goes on its way.

use super::turn::Outgoing;
use super::{Body, Counted, Parcel, Sent, World};
use crate::queue::{EVERYONE, Event};
use kernel::{Protocol, ReplicaId, ReplyBundle, To, Wire as _};

impl<P: Protocol> World<P> {
    pub(super) fn later(&mut self, after_ns: u64, to: ReplicaId, parcel: Parcel<P>) {
        let at_ns = self.now_ns + self.spent_ns + after_ns;
        let place = self.parcels.put(Sent { parcel, copies: 1, at_ns: self.now_ns });
        self.queue.push(Event { at_ns, to: to.0, parcel: place });
    }

    pub(super) fn send(&mut self, from: ReplicaId, to: To, message: P::Message) {
        if self.metered {
            self.admissions[usize::from(from.0)].vouch(from, &message);
        }
        let (tag, bytes) = self.digest.tag(&message);
        let counted = Counted { kind: message.kind(), agreement: message.class().is_agreement(), bytes };
        let copies = match to {
            To::One(_) => 1,
            To::All => u32::from(self.cluster.n) - 1,
        };
        if copies == 0 {
            return;
        }
        self.counts.sent(self.roles.of(from), from, u64::from(copies), counted);
        let parcel = Parcel::Message { from, body: Body::Raw(message), counted, tag };
        let place = self.parcels.put(Sent { parcel, copies, at_ns: self.now_ns });
        let cost_ns = self.costs.message_ns(bytes);
        match to {
            To::One(to) => self.dispatch(from, to, bytes, cost_ns, place),
            To::All => {
                if cost_ns == 0
                    && !self.turn.is_on
                    && let Some(delay_ns) = self.wires.same_for_all(self.now_ns + self.spent_ns)
                {
                    let at_ns = self.now_ns + self.spent_ns + delay_ns;
                    self.queue.push(Event { at_ns, to: EVERYONE, parcel: place });
                    return;
                }
                for to in self.cluster.replicas() {
                    if to != from {
                        self.dispatch(from, to, bytes, cost_ns, place);
                    }
                }
            }
        }
    }

    /// One copy goes on its way: it may get lost, or become two.
    fn dispatch(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, cost_ns: u64, place: u32) {
        self.spent_ns += cost_ns;
        if self.turn.is_on {
            self.turn.outbox.push(Outgoing { to, bytes, place });
        } else {
            self.depart(from, to, bytes, place);
        }
    }

    /// A copy leaves its sender.
    pub(super) fn depart(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, place: u32) {
        let arrivals = self.wires.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes);
        match arrivals {
            [None, _] => self.release(place),
            [Some(at_ns), second] => {
                self.queue.push(Event { at_ns, to: to.0, parcel: place });
                if let Some(at_ns) = second {
                    self.parcels.get(place).copies += 1;
                    self.queue.push(Event { at_ns, to: to.0, parcel: place });
                }
            }
        }
    }

    pub(super) fn reply(&mut self, from: ReplicaId, to: ReplicaId, bundle: ReplyBundle) {
        if to == from && self.turn.is_on {
            // As a node does: its own reply counts at once.
            self.take_reply(to, from, &bundle);
            return;
        }
        if to == from {
            let counted = Counted { kind: "reply", agreement: false, bytes: 0 };
            self.later(0, to, Parcel::Reply { from, bundle, counted });
            return;
        }
        let (_, bytes) = self.digest.tag(&bundle);
        let counted = Counted { kind: "reply", agreement: false, bytes };
        self.counts.sent(self.roles.of(from), from, 1, counted);
        let parcel = Parcel::Reply { from, bundle, counted };
        let place = self.parcels.put(Sent { parcel, copies: 1, at_ns: self.now_ns });
        let cost_ns = self.costs.message_ns(bytes);
        if self.turn.is_on {
            self.dispatch(from, to, bytes, cost_ns, place);
            return;
        }
        self.spent_ns += cost_ns;
        // A second copy of a reply would count for nothing.
        match self.wires.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes) {
            [Some(at_ns), _] => self.queue.push(Event { at_ns, to: to.0, parcel: place }),
            [None, _] => self.release(place),
        }
    }
}
