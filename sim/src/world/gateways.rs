//! The clients' side of the nodes: requests go in, results come out.

use super::{Envelope, World};
use crate::clients::{Load, LoadRun, Pace};
use crate::trace::Submitted;
use kernel::{Bundle, Input, Operation, Protocol, ReplicaId, Reply, ReplyBundle, Request, SessionId};
use std::sync::Arc;

impl<P: Protocol> World<P> {
    pub(super) fn request(
        &mut self,
        (session, counter): (SessionId, u64),
        operation: Operation,
        at_us: u64,
        of_load: bool,
    ) -> Request {
        let request = self.trace.submitted.len();
        let gateway = session.gateway;
        let taken_up_us = None;
        self.trace.submitted.push(Submitted { request, session, counter, gateway, at_us, taken_up_us });
        self.clients.expect(request, session, counter, of_load);
        Request { session, counter, operation }
    }

    /// A gateway takes requests in: it hands them over at once, or when it has
    /// time.
    pub(super) fn take_in(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        if self.costs.is_free() {
            self.hand_over(gateway, requests);
            return;
        }
        for request in requests {
            if self.clients.hold(request) {
                self.schedule(0, gateway, Envelope::Bundle);
            }
        }
    }

    /// A gateway signs requests and hands them to its replica.
    pub(super) fn hand_over(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        let now_us = self.now_us();
        for request in &requests {
            if let Some(number) = self.clients.number(request.session, request.counter) {
                self.trace.submitted[number].taken_up_us = Some(now_us);
            }
        }
        let signer = &self.nodes[usize::from(gateway.0)].signer;
        let bundle = Arc::new(Bundle::sign(&self.cluster, signer, requests));
        self.spent_ns += self.costs.signing_ns(1);
        self.schedule(self.reminder_ns, gateway, Envelope::Remind(Arc::clone(&bundle)));
        if !self.nodes[usize::from(gateway.0)].down {
            self.step(gateway, Input::Submit(bundle));
        }
    }

    pub(super) fn remind(&mut self, gateway: ReplicaId, bundle: Arc<Bundle>) {
        let mut requests = bundle.requests().iter();
        if requests.any(|request| self.clients.awaits(request.session, request.counter)) {
            self.schedule(self.reminder_ns, gateway, Envelope::Remind(Arc::clone(&bundle)));
            if !self.nodes[usize::from(gateway.0)].down {
                self.step(gateway, Input::Submit(bundle));
            }
        }
    }

    pub(super) fn take_reply(&mut self, gateway: ReplicaId, from: ReplicaId, bundle: &ReplyBundle) {
        // As a node does: what nobody waits for is not checked, nor what did not
        // come from outside, whatever name is on it.
        let waits = |reply: &Reply| self.clients.awaits(reply.session, reply.counter);
        if !bundle.replies.iter().any(waits) {
            return;
        }
        let own = from == gateway;
        if !own {
            self.spent_ns += self.costs.verifying_ns(1);
        }
        let key = if self.metered { usize::from(gateway.0) } else { 0 };
        let admission = &mut self.admissions[key];
        let valid = own || admission.check(&bundle.claim(&self.cluster));
        if !valid || bundle.gateway != gateway {
            self.trace.caught.insert(bundle.replica);
            return;
        }
        let at_us = (self.now_ns + self.spent_ns) / 1000;
        for accepted in self.clients.count(bundle, at_us) {
            self.trace.accepted.push(accepted.outcome);
            if accepted.of_load {
                self.request_is_over(accepted.gateway);
            }
        }
    }

    pub(super) fn begin_load(&mut self, load: Load) {
        assert!(!load.gateways.is_empty(), "a load needs a gateway");
        let clients = match load.pace {
            Pace::Closed { clients } => clients,
            Pace::Open { .. } => 1,
        };
        let gateways = load.gateways.clone();
        self.clients.load = Some(LoadRun { load, begun: 0, over: 0 });
        for client in 0..clients {
            let gateway = ReplicaId(gateways[client % gateways.len()]);
            self.schedule(0, gateway, Envelope::Due);
        }
    }

    /// The load's next request comes to a gateway, if there is one left.
    pub(super) fn next_request(&mut self, gateway: ReplicaId) {
        let Some(run) = self.clients.load.as_mut().filter(|run| run.begun < run.load.requests) else {
            return;
        };
        let number = run.begun;
        run.begun += 1;
        let operation = run.load.operation(number);
        let timeout_ns = run.load.timeout_us * 1000;
        if let Some(due_ns) = run.load.due_ns(run.begun).filter(|_| run.begun < run.load.requests) {
            let gateway = run.load.gateways[run.begun as usize % run.load.gateways.len()];
            let after_ns = (self.load_began_ns + due_ns).saturating_sub(self.now_ns);
            self.schedule(after_ns, ReplicaId(gateway), Envelope::Due);
        }
        let (session, counter) = self.clients.free_session(gateway);
        let at_us = self.now_us();
        let request = self.request((session, counter), operation, at_us, true);
        self.schedule(timeout_ns, gateway, Envelope::GiveUp { session, counter });
        if self.clients.hold(request) {
            self.schedule(0, gateway, Envelope::Bundle);
        }
    }

    pub(super) fn give_up(&mut self, session: SessionId, counter: u64) {
        if let Some(request) = self.clients.give_up(session, counter) {
            self.trace.timed_out.push(request);
            self.request_is_over(session.gateway);
        }
    }

    /// A client of the load has its answer, or goes on without one.
    fn request_is_over(&mut self, gateway: ReplicaId) {
        let Some(run) = self.clients.load.as_mut() else {
            return;
        };
        run.over += 1;
        if run.load.due_ns(0).is_none() {
            self.schedule(self.costs.client_ns(), gateway, Envelope::Due);
        }
    }
}
