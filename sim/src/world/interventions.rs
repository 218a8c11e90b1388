//! What the user of a world does to it at a given time.

use super::{Envelope, InFlight, World};
use crate::network::Network;
use crate::queue::Event;
use adversary::Behaviour;
use kernel::{Protocol, ReplicaId};

/// Something done to a world while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Intervention {
    /// See [`World::set_behaviours`]; an empty list heals the node.
    Behave(ReplicaId, Vec<Behaviour>),
    /// See [`World::crash`]; does nothing to a node that is down.
    Crash(ReplicaId),
    /// See [`World::restart`]; does nothing to a node that is up.
    Restart(ReplicaId),
    /// See [`World::set_network`].
    Network(Network),
}

impl<P: Protocol> World<P> {
    /// Lets something happen at a time, virtual microseconds, or now if that is over.
    /// What falls on the same moment happens in the order in which it was planned.
    ///
    /// # Panics
    ///
    /// If a network cannot be meant, or there is no such node.
    pub fn plan(&mut self, at_us: u64, intervention: Intervention) {
        match &intervention {
            Intervention::Network(network) => {
                network.check(self.cluster.n).unwrap_or_else(|error| panic!("{error}"));
            }
            Intervention::Behave(id, _) | Intervention::Crash(id) | Intervention::Restart(id) => {
                assert!(self.cluster.contains(*id), "there is no node {id}");
            }
        }
        let envelope = Envelope::Intervene(Box::new(intervention));
        let sent = InFlight { envelope, copies: 1, at_ns: self.now_ns, first_copy: 0 };
        let envelope = self.envelopes.insert(sent);
        let at_ns = at_us.saturating_mul(1000).max(self.now_ns);
        self.queue.push(Event { at_ns, to: 0, envelope });
    }

    pub(super) fn intervene(&mut self, intervention: Intervention) {
        match intervention {
            Intervention::Behave(id, behaviours) => self.set_behaviours(id, behaviours),
            Intervention::Crash(id) if !self.is_down(id.0) => self.crash(id),
            Intervention::Restart(id) if self.is_down(id.0) => self.restart(id),
            Intervention::Crash(_) | Intervention::Restart(_) => {}
            Intervention::Network(network) => self.set_network(&network),
        }
        self.spent_ns = 0;
    }
}
