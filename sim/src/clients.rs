//! Clients of the cluster: requests, sessions, and results accepted.

use crate::trace::Outcome;
use kernel::{Operation, ReplicaId, ReplyBundle, ReplyCollector, Request, SessionId};
use std::collections::HashMap;

/// Clients that ask by themselves, in virtual time.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The nodes that take their requests, by turns.
    pub gateways: Vec<u16>,
    /// When requests come.
    pub pace: Pace,
    /// How many in all.
    pub requests: u64,
    /// Bytes of each operation, at least 8: they begin with the request's number.
    pub payload_bytes: usize,
    /// How long a client waits for an answer before it goes on without one.
    pub timeout_us: u64,
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

/// A request that waits for its result.
#[derive(Clone, Debug)]
struct Waiting {
    request: usize,
    collector: ReplyCollector,
    of_load: bool,
}

/// The clients of all gateways.
#[derive(Debug)]
pub(crate) struct Clients {
    replies_needed: usize,
    // Never iterated over, so its order does not matter.
    waiting: HashMap<(SessionId, u64), Waiting>,
    next_session: u64,
    gateways: Vec<Gateway>,
    pub(crate) load: Option<LoadRun>,
}

/// A node's clients' side.
#[derive(Clone, Debug, Default)]
struct Gateway {
    /// Sessions without a request in flight, and the counter of their next.
    free: Vec<(SessionId, u64)>,
    /// Requests that came since the last bundle.
    unbundled: Vec<Request>,
}

/// How far a load has got.
#[derive(Clone, Debug)]
pub(crate) struct LoadRun {
    pub(crate) load: Load,
    /// Requests begun, and those answered or given up.
    pub(crate) begun: u64,
    pub(crate) over: u64,
}

/// A result that was just accepted.
pub(crate) struct Accepted {
    pub(crate) outcome: Outcome,
    pub(crate) gateway: ReplicaId,
    pub(crate) of_load: bool,
}

impl Clients {
    pub(crate) fn new(n: u16, replies_needed: usize) -> Clients {
        Clients {
            replies_needed,
            waiting: HashMap::new(),
            next_session: 0,
            gateways: vec![Gateway::default(); usize::from(n)],
            load: None,
        }
    }

    /// A session that was never used before.
    pub(crate) fn new_session(&mut self, gateway: ReplicaId) -> SessionId {
        self.next_session += 1;
        SessionId { gateway, number: self.next_session - 1 }
    }

    /// A session of the gateway that has no request in flight, and its counter.
    pub(crate) fn free_session(&mut self, gateway: ReplicaId) -> (SessionId, u64) {
        match self.gateways[usize::from(gateway.0)].free.pop() {
            Some(free) => free,
            None => (self.new_session(gateway), 1),
        }
    }

    /// Waits for the result of a request.
    pub(crate) fn expect(&mut self, request: usize, session: SessionId, counter: u64, of_load: bool) {
        let collector = ReplyCollector::new(self.replies_needed);
        self.waiting.insert((session, counter), Waiting { request, collector, of_load });
    }

    pub(crate) fn awaits(&self, session: SessionId, counter: u64) -> bool {
        self.waiting.contains_key(&(session, counter))
    }

    /// The number of a request that is not answered yet.
    pub(crate) fn number(&self, session: SessionId, counter: u64) -> Option<usize> {
        self.waiting.get(&(session, counter)).map(|waiting| waiting.request)
    }

    /// Keeps a request for the gateway's next bundle. True if it is the first.
    pub(crate) fn hold(&mut self, request: Request) -> bool {
        let unbundled = &mut self.gateways[usize::from(request.session.gateway.0)].unbundled;
        unbundled.push(request);
        unbundled.len() == 1
    }

    /// The requests for the gateway's next bundle.
    pub(crate) fn take_held(&mut self, gateway: ReplicaId) -> Vec<Request> {
        std::mem::take(&mut self.gateways[usize::from(gateway.0)].unbundled)
    }

    /// Counts the replies of a bundle whose signature holds.
    pub(crate) fn count(&mut self, bundle: &ReplyBundle, at_us: u64) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        for reply in &bundle.replies {
            let key = (reply.session, reply.counter);
            let Some(waiting) =
                self.waiting.get_mut(&key).filter(|_| reply.session.gateway == bundle.gateway)
            else {
                continue;
            };
            let Some(result) = waiting.collector.add(bundle.replica, &reply.result) else {
                continue;
            };
            let result = String::from_utf8_lossy(&result.0).into_owned();
            let (seq, view) = (bundle.seq, bundle.view);
            let outcome = Outcome { request: waiting.request, result, seq, view, at_us };
            accepted.push(Accepted { outcome, gateway: bundle.gateway, of_load: waiting.of_load });
            self.waiting.remove(&key);
            let (session, counter) = key;
            self.gateways[usize::from(session.gateway.0)].free.push((session, counter + 1));
        }
        accepted
    }

    /// A client of the load gives up on a request, unless it has its answer. Its
    /// session stays aside: the request may still be executed.
    pub(crate) fn give_up(&mut self, session: SessionId, counter: u64) -> Option<usize> {
        let waiting = self.waiting.get_mut(&(session, counter)).filter(|waiting| waiting.of_load)?;
        waiting.of_load = false;
        Some(waiting.request)
    }
}

impl Load {
    /// The operation of a request: its number, and filling that no two requests
    /// share.
    pub(crate) fn operation(&self, request: u64) -> Operation {
        let mut bytes = request.to_le_bytes().to_vec();
        let mut word = request;
        while bytes.len() < self.payload_bytes {
            // Knuth's multiplier: anything that differs from request to request.
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(request | 1);
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(self.payload_bytes.max(8));
        Operation::new(&bytes)
    }

    /// When a request is due, counted from the beginning of the load, if that
    /// does not depend on earlier ones.
    pub(crate) fn due_ns(&self, request: u64) -> Option<u64> {
        match self.pace {
            Pace::Closed { .. } => None,
            Pace::Open { rate_per_s } => Some((request as f64 * 1e9 / rate_per_s).round() as u64),
        }
    }
}
