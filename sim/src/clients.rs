//! Clients of the cluster: requests, sessions, and results accepted.

use client::{Limits, Sessions, Submissions};
use kernel::{Cluster, Operation, ReplicaId};
use std::fmt;
use std::rc::Rc;

/// Clients that ask by themselves, in virtual time.
#[derive(Clone, Debug)]
pub struct Load {
    /// The nodes that take their requests, in turn.
    pub gateways: Vec<u16>,
    /// When requests come.
    pub pace: Pace,
    /// How many in all.
    pub requests: u64,
    /// What they ask for.
    pub operations: Operations,
    /// How long a client waits for an answer before it goes on without one.
    pub timeout_us: u64,
}

/// What each request of a load asks for, by its number and the node that takes it.
#[derive(Clone)]
pub struct Operations(Rc<dyn Fn(u64, ReplicaId) -> Operation>);

impl Operations {
    /// Those that a function gives.
    pub fn new(of: impl Fn(u64, ReplicaId) -> Operation + 'static) -> Operations {
        Operations(Rc::new(of))
    }

    /// See [`numbered_operation`].
    pub fn numbered(payload_bytes: usize) -> Operations {
        Operations::new(move |request, _| numbered_operation(request, payload_bytes))
    }

    /// That of one request.
    pub fn of(&self, request: u64, gateway: ReplicaId) -> Operation {
        (self.0)(request, gateway)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operations")
    }
}

/// When requests come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many clients, each with one request in flight.
    Closed {
        /// Number of clients.
        clients: usize,
    },
    /// At a fixed rate, whatever becomes of earlier ones.
    Open {
        /// Requests per second.
        rate_per_s: f64,
    },
}

/// What the simulation keeps of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Its number.
    pub(crate) request: usize,
    pub(crate) of_load: bool,
}

/// The clients' side of a node.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) sessions: Sessions<Asked>,
    pub(crate) submissions: Submissions,
    /// For when an alarm is set.
    pub(crate) alarm_ns: Option<u64>,
}

/// The clients of all gateways.
#[derive(Debug)]
pub(crate) struct Clients {
    gateways: Vec<Gateway>,
    pub(crate) load: Option<LoadRun>,
}

/// How far a load has got.
#[derive(Clone, Debug)]
pub(crate) struct LoadRun {
    pub(crate) load: Load,
    /// Requests begun, and those answered or given up.
    pub(crate) begun: u64,
    pub(crate) over: u64,
}

impl Clients {
    pub(crate) fn new(cluster: &Cluster, replies_needed: usize, remind_after_ns: u64) -> Clients {
        let gateway = |id| Gateway {
            sessions: Sessions::new(id, replies_needed, 0, remind_after_ns, Limits::NONE),
            submissions: Submissions::default(),
            alarm_ns: None,
        };
        Clients { gateways: cluster.replicas().map(gateway).collect(), load: None }
    }

    pub(crate) fn at(&mut self, gateway: ReplicaId) -> &mut Gateway {
        &mut self.gateways[usize::from(gateway.0)]
    }

    /// Another wait for a reminder, from now on.
    pub(crate) fn set_remind_after(&mut self, remind_after_ns: u64) {
        for gateway in &mut self.gateways {
            gateway.sessions.set_remind_after(remind_after_ns);
        }
    }
}

/// An operation for an application that does not interpret it: the request's number, and
/// filling that no two requests share, up to so many bytes.
pub fn numbered_operation(request: u64, payload_bytes: usize) -> Operation {
    let mut bytes = request.to_le_bytes().to_vec();
    let mut word = request;
    while bytes.len() < payload_bytes {
        // Knuth's multiplier: anything that differs from request to request.
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(request | 1);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(payload_bytes.max(8));
    Operation::new(&bytes)
}

impl Load {
    /// When a request is due, counted from the beginning of the load, if that
    /// does not depend on earlier ones.
    pub(crate) fn due_ns(&self, request: u64) -> Option<u64> {
        match self.pace {
            Pace::Closed { .. } => None,
            Pace::Open { rate_per_s } => Some((request as f64 * 1e9 / rate_per_s).round() as u64),
        }
    }
}
