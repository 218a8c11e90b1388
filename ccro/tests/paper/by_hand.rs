//! Nodes whose messages are delivered one by one, in an order of the test's.

use apps::OpaqueLog;
use ccro::paper::{Message, Replica, Timer};
use kernel::keys::{Keyring, symbolic};
use kernel::{
    Admission, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation,
    ReplicaId, Request, SeededChoice, SessionId, Signer, To, Wire as _,
};
use std::sync::Arc;

pub(crate) type Published = Replica<OpaqueLog>;

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) message: Message,
}

/// A cluster without a network: what is sent stays in `sent` until it is
/// delivered.
pub(crate) struct Hand {
    pub(crate) cluster: Cluster,
    pub(crate) signers: Vec<Signer>,
    pub(crate) keyring: Keyring,
    pub(crate) nodes: Vec<Published>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) logs: Vec<Vec<(u64, Digest)>>,
    pub(crate) now: Micros,
}

impl Hand {
    pub(crate) fn new(n: u16) -> Hand {
        Hand::with_clients(n, 0)
    }

    /// The same, with clients that have keys.
    pub(crate) fn with_clients(n: u16, clients: u16) -> Hand {
        let (signers, keyring) = symbolic(1, n + clients);
        let config = pbft::Config::for_cluster(n);
        Hand {
            cluster: Cluster::new(ClusterId::derive("by hand", 1), "ccro-paper", n).with_clients(clients),
            signers,
            keyring,
            nodes: (0..n).map(|_| Replica::new(&config, OpaqueLog::default())).collect(),
            sent: Vec::new(),
            logs: vec![Vec::new(); usize::from(n)],
            now: Micros(0),
        }
    }

    /// Steps a node; what it sends goes to `sent`, what it executes to `logs`.
    pub(crate) fn step(&mut self, id: u16, input: Input<Published>) -> Vec<Effect<Published>> {
        let index = usize::from(id);
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let mut cx =
            Context::new(&self.cluster, &self.signers[index], &mut choose, &mut effects).at(self.now);
        kernel::Protocol::step(&mut self.nodes[index], &mut cx, input);
        for effect in &effects {
            match effect {
                Effect::Send { to: To::One(to), message } => {
                    self.sent.push(Sent { from: id, to: to.0, message: message.clone() });
                }
                Effect::Send { to: To::All, message } => {
                    let others = (0..self.cluster.n).filter(|to| *to != id);
                    self.sent.extend(others.map(|to| Sent { from: id, to, message: message.clone() }));
                }
                Effect::Mark(Mark::Executed { seq, digest, .. }) => self.logs[index].push((seq.0, *digest)),
                _ => {}
            }
        }
        effects
    }

    pub(crate) fn bundle(&self, gateway: u16, operation: &[u8]) -> Arc<Bundle> {
        self.bundle_of(gateway, &[operation])
    }

    /// Several requests that came together.
    pub(crate) fn bundle_of(&self, gateway: u16, operations: &[&[u8]]) -> Arc<Bundle> {
        let request = |operation: &&[u8]| {
            // One session per operation.
            let number = u64::from_le_bytes(Digest::of(operation).0[..8].try_into().unwrap());
            let session = SessionId { gateway: ReplicaId(gateway), number };
            Request { session, counter: 1, operation: Operation::new(operation) }
        };
        let requests = operations.iter().map(request).collect();
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], requests))
    }

    pub(crate) fn submit(&mut self, gateway: u16, operation: &[u8]) -> Vec<Effect<Published>> {
        let bundle = self.bundle(gateway, operation);
        self.step(gateway, Input::Submit(bundle))
    }

    pub(crate) fn deliver_one(&mut self, from: u16, to: u16, message: Message) -> Vec<Effect<Published>> {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).expect("admitted");
        self.step(to, Input::Deliver { from, message })
    }

    /// Delivers all that is on its way, and what comes of it, along the links that
    /// are `open`; returns the kinds delivered. The rest stays on its way.
    pub(crate) fn deliver(&mut self, open: impl Fn(&Sent) -> bool) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        while let Some(index) = self.sent.iter().position(&open) {
            let Sent { from, to, message } = self.sent.remove(index);
            kinds.push(message.kind());
            self.deliver_one(from, to, message);
        }
        kinds
    }

    pub(crate) fn expire(&mut self, id: u16) -> Vec<Effect<Published>> {
        self.step(id, Input::Expire(Timer::Round))
    }

    pub(crate) fn status(&self, id: u16) -> kernel::Status {
        kernel::Protocol::status(&self.nodes[usize::from(id)], &self.cluster)
    }
}
