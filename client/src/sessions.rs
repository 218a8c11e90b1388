//! The sessions of one key: requests go in, accepted results come out.

use crate::collector::ReplyCollector;
use crate::evidence::Evidence;
use crate::reminders::Reminders;
use kernel::{
    Bundle, Operation, Output, ReplicaId, ReplyBundle, Request, SESSIONS_KEPT, Seq, SessionId, View,
};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Requests that a node has in flight at most, those set aside not counted.
pub const MAX_IN_FLIGHT: usize = 65_536;
/// Bytes of their operations at most.
pub const MAX_IN_FLIGHT_BYTES: usize = 256 << 20;

/// How much a host keeps of requests at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight, those set aside not counted; beyond, no more are taken.
    pub in_flight: usize,
    /// Bytes of their operations.
    pub in_flight_bytes: usize,
    /// Requests set aside; beyond, the oldest are given up for good.
    pub set_aside: usize,
}

impl Limits {
    /// A node's.
    pub const NODE: Limits =
        Limits { in_flight: MAX_IN_FLIGHT, in_flight_bytes: MAX_IN_FLIGHT_BYTES, set_aside: 65_536 };
    /// A simulation's, which has all clients' memory anyway.
    pub const NONE: Limits =
        Limits { in_flight: usize::MAX, in_flight_bytes: usize::MAX, set_aside: usize::MAX };
}

/// Too many requests are in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// A result that enough replicas agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<T, E = ()> {
    /// What the host keeps of the request.
    pub of: T,
    /// The session in which it was asked.
    pub session: SessionId,
    /// Which of the session's requests it was.
    pub counter: u64,
    /// Whether its time was not up yet.
    pub is_in_time: bool,
    /// The slot that ordered the request, as the last of the replies has it.
    pub seq: Seq,
    /// Likewise the view.
    pub view: View,
    /// The result.
    pub result: Output,
    /// Replies that agree on it.
    pub replies: usize,
    /// Replies that differ from it.
    pub differing: usize,
    /// The bundle that the request was handed over in, as long as its time was not up.
    pub requests: Option<Arc<Bundle>>,
    /// What the host keeps of the replies that agree, by replica.
    pub evidence: Vec<E>,
}

/// The sessions of one gateway or client, and what each waits for. `T` is what the host
/// keeps of a request, `E` what it keeps of a reply.
///
/// A session whose request was not decided in time stays aside until its replies come
/// after all: with another request in it, replicas would skip the one that they may still
/// execute.
#[derive(Debug)]
pub struct Sessions<T, E = ()> {
    gateway: ReplicaId,
    replies_needed: usize,
    limits: Limits,
    /// After how long a bundle is handed over again.
    remind_after_ns: u64,
    next_session: u64,
    /// Sessions without a request, and the counter of their next one.
    free: Vec<(u64, u64)>,
    // Never iterated over, so that its order does not matter.
    pending: HashMap<u64, Pending<T, E>>,
    /// When, session number, counter: in the order of time.
    deadlines: VecDeque<(u64, u64, u64)>,
    /// Session number and counter.
    set_aside: VecDeque<(u64, u64)>,
    reminders: Reminders,
    in_flight: usize,
    in_flight_bytes: usize,
}

#[derive(Debug)]
struct Pending<T, E> {
    counter: u64,
    bytes: usize,
    collector: ReplyCollector<E>,
    /// Its time is not up yet.
    is_in_time: bool,
    /// The bundle that it was handed over in.
    requests: Option<Arc<Bundle>>,
    of: T,
}

impl<T, E> Accepted<T, E> {
    /// What proves the result to others; none once the time was up. `reply` gives the reply
    /// that is kept, where one is.
    pub fn proof(&self, reply: impl Fn(&E) -> Option<&Arc<ReplyBundle>>) -> Option<Evidence> {
        Some(Evidence {
            session: self.session,
            counter: self.counter,
            requests: self.requests.clone()?,
            replies: self.evidence.iter().filter_map(reply).cloned().collect(),
        })
    }
}

impl<T, E: Clone> Sessions<T, E> {
    /// Sessions under the key of `gateway`, numbered from `first_session`: above all that
    /// it ever used. A result is accepted on `replies_needed` matching replies; a bundle
    /// without an answer is handed over again after `remind_after_ns`.
    pub fn new(
        gateway: ReplicaId,
        replies_needed: usize,
        first_session: u64,
        remind_after_ns: u64,
        limits: Limits,
    ) -> Sessions<T, E> {
        Sessions {
            gateway,
            replies_needed,
            limits,
            remind_after_ns,
            next_session: first_session,
            free: Vec::new(),
            pending: HashMap::new(),
            deadlines: VecDeque::new(),
            set_aside: VecDeque::new(),
            reminders: Reminders::default(),
            in_flight: 0,
            in_flight_bytes: 0,
        }
    }

    /// Another wait for a reminder, for bundles that are handed over from now on.
    pub fn set_remind_after(&mut self, remind_after_ns: u64) {
        self.remind_after_ns = remind_after_ns;
    }

    /// Whether a request with an operation of so many bytes is taken now.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.in_flight < self.limits.in_flight && self.in_flight_bytes + bytes <= self.limits.in_flight_bytes
    }

    /// A request for `operation`, in a session that has none outstanding. Its time is up
    /// at `deadline_ns`, if that is given; deadlines must not go back.
    pub fn open(&mut self, operation: Operation, deadline_ns: Option<u64>, of: T) -> Result<Request, Busy> {
        // Replicas remember no others once there are so many.
        let oldest_kept = self.next_session.saturating_sub(SESSIONS_KEPT as u64);
        let session = std::iter::from_fn(|| self.free.pop()).find(|(number, _)| *number >= oldest_kept);
        self.open_in(session, operation, deadline_ns, of)
    }

    /// The same, in a session that was never used before.
    pub fn open_new(
        &mut self,
        operation: Operation,
        deadline_ns: Option<u64>,
        of: T,
    ) -> Result<Request, Busy> {
        self.open_in(None, operation, deadline_ns, of)
    }

    fn open_in(
        &mut self,
        session: Option<(u64, u64)>,
        operation: Operation,
        deadline_ns: Option<u64>,
        of: T,
    ) -> Result<Request, Busy> {
        let bytes = operation.0.len();
        if !self.has_room(bytes) {
            self.free.extend(session);
            return Err(Busy);
        }
        let (number, counter) = session.unwrap_or_else(|| {
            self.next_session += 1;
            (self.next_session - 1, 1)
        });
        let collector = ReplyCollector::new(self.replies_needed);
        let pending = Pending { counter, bytes, collector, is_in_time: true, requests: None, of };
        self.pending.insert(number, pending);
        self.in_flight += 1;
        self.in_flight_bytes += bytes;
        if let Some(deadline_ns) = deadline_ns {
            self.deadlines.push_back((deadline_ns, number, counter));
        }
        Ok(Request { session: SessionId { gateway: self.gateway, number }, counter, operation })
    }

    /// What the host keeps of a request that is not answered yet.
    pub fn waiting(&self, session: SessionId, counter: u64) -> Option<&T> {
        self.find(session, counter).map(|pending| &pending.of)
    }

    fn find(&self, session: SessionId, counter: u64) -> Option<&Pending<T, E>> {
        let pending = self.pending.get(&session.number).filter(|_| session.gateway == self.gateway)?;
        (pending.counter == counter).then_some(pending)
    }

    /// Whether any request in the bundle still waits for replies.
    pub fn awaits(&self, bundle: &ReplyBundle) -> bool {
        bundle.replies.iter().any(|reply| self.find(reply.session, reply.counter).is_some())
    }

    /// Counts replies whose signature holds, and keeps `evidence` of them. Returns what is
    /// accepted by that.
    pub fn add(&mut self, bundle: &ReplyBundle, evidence: E) -> Vec<Accepted<T, E>> {
        let mut accepted = Vec::new();
        for reply in &bundle.replies {
            let number = reply.session.number;
            let pending = self.pending.get_mut(&number).filter(|_| reply.session.gateway == self.gateway);
            let Some(pending) = pending.filter(|pending| pending.counter == reply.counter) else { continue };
            let Some(result) =
                pending.collector.add(bundle.replica, &reply.result, evidence.clone()).cloned()
            else {
                continue;
            };
            let Some(pending) = self.pending.remove(&number) else { continue };
            let Pending { counter, bytes, collector, is_in_time, requests, of } = pending;
            self.free.push((number, counter + 1));
            if is_in_time {
                self.in_flight -= 1;
                self.in_flight_bytes -= bytes;
            }
            let (replies, differing) = collector.agreeing_and_not();
            let (seq, view) = (bundle.seq, bundle.view);
            let evidence = collector.into_evidence(&result);
            let session = reply.session;
            accepted.push(Accepted {
                of,
                session,
                counter,
                is_in_time,
                seq,
                view,
                result,
                replies,
                differing,
                requests,
                evidence,
            });
        }
        accepted
    }

    /// Sets the requests aside whose time is up. `give_up` gets each of them, and how many
    /// replies agree so far.
    pub fn expire(&mut self, now_ns: u64, mut give_up: impl FnMut(&mut T, usize)) {
        while self.next_timeout().is_some_and(|due_ns| due_ns <= now_ns) {
            let Some((_, number, counter)) = self.deadlines.pop_front() else { return };
            let Some(pending) = self.pending.get_mut(&number) else { return };
            pending.is_in_time = false;
            // Nobody waits for a proof, and what is set aside may be much.
            pending.requests = None;
            self.in_flight -= 1;
            self.in_flight_bytes -= pending.bytes;
            let (replies, _) = pending.collector.agreeing_and_not();
            give_up(&mut pending.of, replies);
            self.set_aside(number, counter);
        }
    }

    fn set_aside(&mut self, number: u64, counter: u64) {
        self.set_aside.push_back((number, counter));
        while self.set_aside.len() > self.limits.set_aside {
            if let Some((number, counter)) = self.set_aside.pop_front()
                && self.pending.get(&number).is_some_and(|p| p.counter == counter)
            {
                // Its number is never used again.
                self.pending.remove(&number);
            }
        }
    }

    /// Notes that a bundle was handed over, to do so again if it has no answer by then
    /// (OSDI §4.1: a client that has no answer sends its request again). `carried` is what
    /// the links have carried so far, bytes.
    pub fn handed_over(&mut self, bundle: &Arc<Bundle>, now_ns: u64, carried: u64) {
        self.drop_closed_reminders();
        for request in bundle.requests() {
            if let Some(pending) = self.pending.get_mut(&request.session.number)
                && pending.counter == request.counter
            {
                pending.requests = Some(Arc::clone(bundle));
            }
        }
        self.reminders.add(Arc::clone(bundle), now_ns, self.remind_after_ns, carried);
    }

    /// A bundle that is due to be handed over again; it is due again after twice the time,
    /// until all its requests are answered or out of time. What the links carry meanwhile
    /// puts it off, by what `extension` makes of the wait and of what they had carried
    /// before, and at most by half the wait.
    pub fn overdue(
        &mut self,
        now_ns: u64,
        carried: u64,
        extension: impl Fn(u64, u64) -> u64,
    ) -> Option<Arc<Bundle>> {
        let pending = &self.pending;
        self.reminders.pop_due(now_ns, carried, |request| is_open(pending, request), extension)
    }

    fn drop_closed_reminders(&mut self) {
        let pending = &self.pending;
        self.reminders.drop_closed(|request| is_open(pending, request));
    }

    /// When the next request's time is up or the next bundle is due again, nanoseconds.
    pub fn next_deadline(&mut self) -> Option<u64> {
        [self.next_timeout(), self.reminders.next_due()].into_iter().flatten().min()
    }

    /// When the next request's time is up, nanoseconds.
    pub fn next_timeout(&mut self) -> Option<u64> {
        while let Some((due_ns, number, counter)) = self.deadlines.front() {
            if self.pending.get(number).is_some_and(|p| p.counter == *counter) {
                return Some(*due_ns);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// Requests whose time is not up.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// The first session number of a gateway or client that starts so long after the Unix
/// epoch. One started again begins above all numbers that it can have used: it would have
/// to open 4,096 sessions per microsecond to catch up with the clock.
pub fn first_session(since_epoch: Duration) -> u64 {
    (since_epoch.as_micros() as u64) << 12
}

/// Whether a request may have to be handed over again.
fn is_open<T, E>(pending: &HashMap<u64, Pending<T, E>>, request: &Request) -> bool {
    let pending = pending.get(&request.session.number);
    pending.is_some_and(|pending| pending.counter == request.counter && pending.is_in_time)
}

#[cfg(test)]
mod tests;
