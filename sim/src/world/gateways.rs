//! The clients' side of the nodes: requests go in, results come out.

use super::{Envelope, World};
use crate::clients::{Asked, Load, LoadRun, Pace};
use crate::trace::{Outcome, Submitted};
use client::Accepted;
use kernel::{Bundle, Input, Operation, Protocol, ReplicaId, ReplyBundle, Request};
use std::sync::Arc;

/// In which session a request goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// One that was never used before.
    New,
    /// One that was, if the gateway has such without a request in flight.
    Free,
}

impl<P: Protocol> World<P> {
    pub(super) fn open(
        &mut self,
        gateway: ReplicaId,
        session: Session,
        operation: Operation,
        timeout_ns: Option<u64>,
    ) -> Request {
        let number = self.trace.submitted.len();
        let asked = Asked { request: number, of_load: timeout_ns.is_some() };
        let deadline_ns = timeout_ns.map(|timeout_ns| self.now_ns + timeout_ns);
        let sessions = &mut self.clients.at(gateway).sessions;
        let opened = match session {
            Session::New => sessions.open_new(operation, deadline_ns, asked),
            Session::Free => sessions.open(operation, deadline_ns, asked),
        };
        let request = opened.expect("without limits");
        let (session, counter, at_us) = (request.session, request.counter, self.now_us());
        let taken_up_us = None;
        self.trace.submitted.push(Submitted {
            request: number,
            session,
            counter,
            gateway,
            at_us,
            taken_up_us,
        });
        self.set_alarm(gateway);
        request
    }

    /// A gateway takes requests in: it hands them over at once, or when it has
    /// time.
    pub(super) fn take_in(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        if self.costs.is_free() {
            self.hand_over(gateway, requests);
        } else {
            requests.into_iter().for_each(|request| self.hold(request));
        }
    }

    /// Keeps a request for its gateway's next bundle.
    fn hold(&mut self, request: Request) {
        let gateway = request.session.gateway;
        let submissions = &mut self.clients.at(gateway).submissions;
        let is_first = submissions.is_empty();
        submissions.push(request);
        if is_first {
            self.schedule(0, gateway, Envelope::Bundle);
        }
    }

    /// A gateway bundles what waits for no more.
    pub(super) fn bundle(&mut self, gateway: ReplicaId) {
        let bundles = self.clients.at(gateway).submissions.take(self.bundle_max);
        if !self.clients.at(gateway).submissions.is_empty() {
            self.schedule(0, gateway, Envelope::Bundle);
        }
        bundles.into_iter().for_each(|requests| self.hand_over(gateway, requests));
    }

    /// A gateway signs requests and hands them to its replica.
    fn hand_over(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        let now_us = self.now_us();
        for request in &requests {
            let waiting = self.clients.at(gateway).sessions.waiting(request.session, request.counter);
            if let Some(Asked { request, .. }) = waiting {
                self.trace.submitted[*request].taken_up_us = Some(now_us);
            }
        }
        let signer = &self.nodes[usize::from(gateway.0)].signer;
        let bundle = Arc::new(Bundle::sign(&self.cluster, signer, requests));
        self.spent_ns += match self.cluster.requests_have_tags() {
            true => self.costs.tagging_ns(self.cluster.n.into()),
            false => self.costs.signing_ns(1),
        };
        let now_ns = self.now_ns + self.spent_ns;
        self.clients.at(gateway).sessions.handed_over(&bundle, now_ns, 0);
        self.set_alarm(gateway);
        self.submit_bundle(gateway, bundle);
    }

    fn submit_bundle(&mut self, gateway: ReplicaId, bundle: Arc<Bundle>) {
        if !self.nodes[usize::from(gateway.0)].down {
            self.step(gateway, Input::Submit(bundle));
        }
    }

    /// Wakes a gateway when its next request's time is up or a bundle is due again.
    fn set_alarm(&mut self, gateway: ReplicaId) {
        let now_ns = self.now_ns + self.spent_ns;
        let clients = self.clients.at(gateway);
        let Some(due_ns) = clients.sessions.next_deadline() else { return };
        if clients.alarm_ns.is_none_or(|set_ns| due_ns < set_ns) {
            clients.alarm_ns = Some(due_ns);
            self.schedule(due_ns.saturating_sub(now_ns), gateway, Envelope::Alarm);
        }
    }

    /// A gateway's alarm: requests whose time is up are given up, bundles without an
    /// answer are handed over again.
    pub(super) fn ring(&mut self, gateway: ReplicaId) {
        let now_ns = self.now_ns;
        let clients = self.clients.at(gateway);
        clients.alarm_ns = None;
        let mut given_up = Vec::new();
        clients.sessions.expire(now_ns, |asked, _| given_up.push(*asked));
        for asked in given_up {
            self.trace.timed_out.push(asked.request);
            self.request_is_over(gateway);
        }
        while let Some(bundle) = self.clients.at(gateway).sessions.overdue(now_ns, 0, |_, _| 0) {
            self.submit_bundle(gateway, bundle);
        }
        self.set_alarm(gateway);
    }

    pub(super) fn take_reply(&mut self, gateway: ReplicaId, from: ReplicaId, bundle: &ReplyBundle) {
        // As a node does: what nobody waits for is not checked, nor what did not
        // come from outside, whatever name is on it.
        if !self.clients.at(gateway).sessions.awaits(bundle) {
            return;
        }
        let own = from == gateway;
        if !own && !bundle.has_tag(&self.cluster) {
            self.spent_ns += self.costs.verifying_ns(1);
        }
        let key = if self.metered { usize::from(gateway.0) } else { 0 };
        let admission = &mut self.admissions[key];
        let valid = own || admission.check_reply(from, bundle).is_ok();
        if !valid || bundle.gateway != gateway {
            self.trace.caught.insert(bundle.replica);
            return;
        }
        let at_us = (self.now_ns + self.spent_ns) / 1000;
        for Accepted { of, is_in_time, seq, view, result, .. } in
            self.clients.at(gateway).sessions.add(bundle, ())
        {
            self.trace.accepted.push(Outcome { request: of.request, result, seq, view, at_us });
            if of.of_load && is_in_time {
                self.request_is_over(gateway);
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
        let operation = run.load.operations.of(number, gateway);
        let timeout_ns = run.load.timeout_us * 1000;
        if let Some(due_ns) = run.load.due_ns(run.begun).filter(|_| run.begun < run.load.requests) {
            let gateway = run.load.gateways[run.begun as usize % run.load.gateways.len()];
            let after_ns = (self.load_began_ns + due_ns).saturating_sub(self.now_ns);
            self.schedule(after_ns, ReplicaId(gateway), Envelope::Due);
        }
        let request = self.open(gateway, Session::Free, operation, Some(timeout_ns));
        self.hold(request);
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
