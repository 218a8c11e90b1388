//! Clients' requests: sessions, bundling, collecting replies, deadlines.
//!
//! A session has one request outstanding at a time and belongs to this gateway.
//! A session whose request was not decided in time stays aside until its
//! replies come after all: using it for another request would make the replicas
//! skip the one that they may still execute.

use kernel::{
    Bundle, Operation, Output, ReplicaId, ReplyBundle, ReplyCollector, Request, Seq, SessionId, View,
};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// Requests that a gateway has in flight at most, the undecided ones set aside
/// not counted.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;
/// Bytes of their operations at most.
pub(crate) const MAX_IN_FLIGHT_BYTES: usize = 256 << 20;
/// Requests set aside at most; beyond, the oldest are given up for good.
const MAX_SET_ASIDE: usize = 65_536;
/// A bundle is closed when its operations reach this many bytes.
const MAX_BUNDLE_BYTES: usize = 8 << 20;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `f+1` nodes agree on its result.
    Decided(Decided),
    /// They did not in time.
    TimedOut {
        /// Replies held that agree with each other.
        replies: usize,
    },
}

/// An accepted result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) seq: Seq,
    pub(crate) view: View,
    pub(crate) received_ns: u64,
    /// From the receipt of the request to the reply that completed the quorum.
    pub(crate) consensus_ns: u64,
    pub(crate) replies: usize,
    pub(crate) result: Output,
}

impl Decided {
    /// The consensus time, rounded to microseconds.
    pub(crate) fn rounded_us(&self) -> u64 {
        (self.consensus_ns + 500) / 1_000
    }
}

/// Too many requests are in flight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

#[derive(Debug)]
struct Pending {
    counter: u64,
    received_ns: u64,
    bytes: usize,
    collector: ReplyCollector,
    /// None once the request was answered as timed out.
    client: Option<oneshot::Sender<Outcome>>,
}

/// A bundle that may have to be handed over once more.
#[derive(Debug)]
struct Reminder {
    due_ns: u64,
    /// When it is due if the links carry nothing large.
    first_due_ns: u64,
    /// What the links had carried when it was handed over.
    carried_before: u64,
    bundle: Arc<Bundle>,
}

/// The clients' side of a node.
#[derive(Debug)]
pub(crate) struct Gateway {
    id: ReplicaId,
    replies_needed: usize,
    timeout_ns: u64,
    next_session: u64,
    /// Session number and the counter of its next request.
    free: Vec<(u64, u64)>,
    pending: HashMap<u64, Pending>,
    submissions: Vec<Request>,
    /// How many of them were here in the last iteration already.
    seen_before: usize,
    /// When, session number, counter: in the order of time, because every
    /// request has the same timeout.
    deadlines: VecDeque<(u64, u64, u64)>,
    set_aside: VecDeque<(u64, u64)>,
    /// When to hand a bundle over once more, if it is not answered by then; in
    /// the order of time.
    reminders: VecDeque<Reminder>,
    in_flight: usize,
    in_flight_bytes: usize,
}

impl Gateway {
    /// A gateway whose sessions are numbered from `first_session`.
    pub(crate) fn new(id: ReplicaId, replies_needed: usize, timeout_ns: u64, first_session: u64) -> Gateway {
        Gateway {
            id,
            replies_needed,
            timeout_ns,
            next_session: first_session,
            free: Vec::new(),
            pending: HashMap::new(),
            submissions: Vec::new(),
            seen_before: 0,
            deadlines: VecDeque::new(),
            set_aside: VecDeque::new(),
            reminders: VecDeque::new(),
            in_flight: 0,
            in_flight_bytes: 0,
        }
    }

    /// Takes a request in; the outcome comes through the channel.
    pub(crate) fn open(
        &mut self,
        operation: Operation,
        received_ns: u64,
    ) -> Result<oneshot::Receiver<Outcome>, Busy> {
        let bytes = operation.0.len();
        if self.in_flight >= MAX_IN_FLIGHT || self.in_flight_bytes + bytes > MAX_IN_FLIGHT_BYTES {
            return Err(Busy);
        }
        let (number, counter) = self.free.pop().unwrap_or_else(|| {
            self.next_session += 1;
            (self.next_session - 1, 1)
        });
        let (client, outcome) = oneshot::channel();
        let pending = Pending {
            counter,
            received_ns,
            bytes,
            collector: ReplyCollector::new(self.replies_needed),
            client: Some(client),
        };
        self.pending.insert(number, pending);
        self.in_flight += 1;
        self.in_flight_bytes += bytes;
        self.deadlines.push_back((received_ns + self.timeout_ns, number, counter));
        let session = SessionId { gateway: self.id, number };
        self.submissions.push(Request { session, counter, operation });
        Ok(outcome)
    }

    /// The requests to be bundled in this iteration of the event loop, in groups for one bundle
    /// each. As long as every iteration brings more, they wait until a bundle is full: its
    /// signature costs the same whatever is in it, and what is bundled together is
    /// proposed together (ADR 5).
    pub(crate) fn take_submissions(&mut self, batch_max: usize) -> Vec<Vec<Request>> {
        let quiet = self.submissions.len() == self.seen_before;
        let mut bundles = Vec::new();
        let mut bundle: Vec<Request> = Vec::new();
        let mut bytes = 0;
        for request in self.submissions.drain(..) {
            let more = request.operation.0.len();
            let is_full = bundle.len() >= batch_max || bytes + more > MAX_BUNDLE_BYTES;
            if is_full && !bundle.is_empty() {
                bundles.push(std::mem::take(&mut bundle));
                bytes = 0;
            }
            bytes += more;
            bundle.push(request);
        }
        let closed = quiet || bundle.len() >= batch_max;
        if !closed {
            self.submissions = bundle;
        } else if !bundle.is_empty() {
            bundles.push(bundle);
        }
        self.seen_before = self.submissions.len();
        bundles
    }

    /// Notes that a bundle was handed over, to do so again at half the timeout
    /// (OSDI §4.1: a client that has no answer sends its request again).
    pub(crate) fn handed_over(&mut self, bundle: &Arc<Bundle>, now_ns: u64, carried: u64) {
        self.drop_answered_reminders();
        let due_ns = now_ns + self.timeout_ns / 2;
        let bundle = Arc::clone(bundle);
        self.remind(Reminder { due_ns, first_due_ns: due_ns, carried_before: carried, bundle });
    }

    /// A bundle that is due to be handed over again. What the links carry meanwhile puts
    /// that off, by what `extension` makes of the wait and of what they had carried
    /// before, but not until the request's time is up.
    pub(crate) fn overdue(
        &mut self,
        now_ns: u64,
        extension: impl Fn(u64, u64) -> u64,
    ) -> Option<Arc<Bundle>> {
        loop {
            self.drop_answered_reminders();
            let mut reminder = self.reminders.pop_front_if(|reminder| reminder.due_ns <= now_ns)?;
            let more = extension(self.timeout_ns / 2, reminder.carried_before).min(self.timeout_ns / 4);
            reminder.due_ns = reminder.first_due_ns + more;
            if reminder.due_ns <= now_ns {
                return Some(reminder.bundle);
            }
            self.remind(reminder);
        }
    }

    fn remind(&mut self, reminder: Reminder) {
        let place = self.reminders.partition_point(|other| other.due_ns <= reminder.due_ns);
        self.reminders.insert(place, reminder);
    }

    fn drop_answered_reminders(&mut self) {
        while let Some(Reminder { bundle, .. }) = self.reminders.front() {
            let is_pending = |request: &Request| {
                let pending = self.pending.get(&request.session.number);
                pending.is_some_and(|p| p.counter == request.counter && p.client.is_some())
            };
            if bundle.requests().iter().any(is_pending) {
                return;
            }
            self.reminders.pop_front();
        }
    }

    /// Whether requests wait to be bundled.
    pub(crate) fn has_submissions(&self) -> bool {
        !self.submissions.is_empty()
    }

    /// Whether any request in the bundle still waits for replies.
    pub(crate) fn awaits(&self, bundle: &ReplyBundle) -> bool {
        bundle.replies.iter().any(|reply| {
            let pending = self.pending.get(&reply.session.number);
            pending.is_some_and(|pending| pending.counter == reply.counter)
        })
    }

    /// Counts replies whose signature holds. Returns how many replies differ
    /// from the results accepted by this.
    pub(crate) fn add(&mut self, bundle: &ReplyBundle, now_ns: u64) -> usize {
        let mut differing = 0;
        for reply in &bundle.replies {
            let number = reply.session.number;
            let Some(pending) = self.pending.get_mut(&number) else {
                continue;
            };
            if reply.session.gateway != self.id || pending.counter != reply.counter {
                continue;
            }
            let Some(result) = pending.collector.add(bundle.replica, &reply.result) else {
                continue;
            };
            let result = result.clone();
            let (replies, others) = pending.collector.agreeing_and_not();
            differing += others;
            let decided = Decided {
                seq: bundle.seq,
                view: bundle.view,
                received_ns: pending.received_ns,
                consensus_ns: now_ns.saturating_sub(pending.received_ns),
                replies,
                result,
            };
            self.close(number, decided);
        }
        differing
    }

    fn close(&mut self, number: u64, decided: Decided) {
        let Some(pending) = self.pending.remove(&number) else {
            return;
        };
        self.free.push((number, pending.counter + 1));
        if let Some(client) = pending.client {
            self.in_flight -= 1;
            self.in_flight_bytes -= pending.bytes;
            // A client that went away does not matter: the request is decided.
            let _ = client.send(Outcome::Decided(decided));
        }
    }

    /// Answers the requests whose time is up.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        while let Some((due, number, counter)) = self.deadlines.front().copied() {
            let pending = self.pending.get_mut(&number).filter(|p| p.counter == counter);
            let Some(pending) = pending else {
                self.deadlines.pop_front();
                continue;
            };
            if due > now_ns {
                break;
            }
            self.deadlines.pop_front();
            if let Some(client) = pending.client.take() {
                self.in_flight -= 1;
                self.in_flight_bytes -= pending.bytes;
                let (replies, _) = pending.collector.agreeing_and_not();
                let _ = client.send(Outcome::TimedOut { replies });
            }
            self.set_aside(number, counter);
        }
    }

    fn set_aside(&mut self, number: u64, counter: u64) {
        self.set_aside.push_back((number, counter));
        while self.set_aside.len() > MAX_SET_ASIDE {
            if let Some((number, counter)) = self.set_aside.pop_front()
                && self.pending.get(&number).is_some_and(|p| p.counter == counter)
            {
                // Its number is never used again.
                self.pending.remove(&number);
            }
        }
    }

    /// When the next request's time is up or a bundle is due again, in
    /// nanoseconds.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        let reminder = self.reminders.front().map(|reminder| reminder.due_ns);
        [self.next_timeout(), reminder].into_iter().flatten().min()
    }

    fn next_timeout(&mut self) -> Option<u64> {
        while let Some((due, number, counter)) = self.deadlines.front() {
            if self.pending.get(number).is_some_and(|p| p.counter == *counter) {
                return Some(*due);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// Requests whose clients wait.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// The first session number of a gateway that starts now. A gateway started
/// again begins above all numbers that it can have used: it would have to open
/// 4,096 sessions per microsecond to catch up with the clock.
pub(crate) fn first_session_now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since_epoch.as_micros() as u64) << 12
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Reply, Signature};

    const NEEDED: usize = 2;
    const TIMEOUT: u64 = 1_000;

    fn gateway() -> Gateway {
        Gateway::new(ReplicaId(0), NEEDED, TIMEOUT, 100)
    }

    fn operation(text: &str) -> Operation {
        Operation::new(text.as_bytes())
    }

    fn reply(replica: u16, requests: &[Request], result: &str) -> ReplyBundle {
        let reply = |request: &Request| Reply {
            session: request.session,
            counter: request.counter,
            result: Output::new(result.as_bytes()),
        };
        ReplyBundle {
            view: View(2),
            seq: Seq(9),
            replica: ReplicaId(replica),
            gateway: ReplicaId(0),
            replies: requests.iter().map(reply).collect(),
            signature: Signature([0; 64]),
        }
    }

    /// What a gateway bundles once no more requests come.
    fn submitted(gateway: &mut Gateway) -> Vec<Request> {
        assert_eq!(gateway.take_submissions(1_000), [[]; 0]);
        gateway.take_submissions(1_000).concat()
    }

    #[test]
    fn a_request_is_decided_by_enough_matching_replies_of_distinct_nodes() {
        let mut gateway = gateway();
        let mut outcome = gateway.open(operation("a"), 50).unwrap();
        let requests = submitted(&mut gateway);
        assert_eq!((requests[0].session.number, requests[0].counter), (100, 1));
        let lie = reply(3, &requests, "lie");
        assert!(gateway.awaits(&lie));
        assert_eq!(gateway.add(&lie, 60), 0);
        gateway.add(&reply(1, &requests, "ok"), 70);
        gateway.add(&reply(1, &requests, "ok"), 75);
        gateway.add(&reply(3, &requests, "ok"), 76);
        assert!(outcome.try_recv().is_err(), "node 1 counts once, node 3 has had its say");
        assert_eq!(gateway.add(&reply(2, &requests, "ok"), 80), 1, "one lie among them");
        let decided = Decided {
            seq: Seq(9),
            view: View(2),
            received_ns: 50,
            consensus_ns: 30,
            replies: 2,
            result: Output::new("ok".as_bytes()),
        };
        assert_eq!(outcome.try_recv().unwrap(), Outcome::Decided(decided));
        let late = reply(0, &requests, "ok");
        assert!(!gateway.awaits(&late));
        assert_eq!(gateway.add(&late, 90), 0);
        assert_eq!((gateway.in_flight(), gateway.next_deadline()), (0, None));
    }

    #[test]
    fn a_bundle_without_an_answer_is_handed_over_once_more_at_half_the_timeout() {
        let (signers, _) = kernel::keys::seeded(1, 4);
        let cluster = kernel::Cluster::new(kernel::ClusterId([0; 16]), "pbft", 4);
        let mut gateway = gateway();
        let half = gateway.timeout_ns / 2;
        let hand_over = |gateway: &mut Gateway, now| {
            drop(gateway.open(operation("a"), now).unwrap());
            let requests = submitted(gateway);
            let bundle = Arc::new(Bundle::sign(&cluster, &signers[0], requests.clone()));
            gateway.handed_over(&bundle, now, 0);
            (bundle, requests)
        };
        let (answered, requests) = hand_over(&mut gateway, 0);
        for replica in 0..4 {
            gateway.add(&reply(replica, &requests, "ok"), 1);
        }
        let (waiting, _) = hand_over(&mut gateway, 10);
        assert_eq!(gateway.next_deadline(), Some(10 + half));
        let none = |_, _| 0;
        assert_eq!(gateway.overdue(9 + half, none), None);
        let due = gateway.overdue(10 + half, none);
        assert_eq!(due.as_ref(), Some(&waiting), "and not the answered {answered:?}");
        assert_eq!(gateway.overdue(u64::MAX, none), None, "once");

        // While the links carry it, it is put off, but not until the time is up.
        let (first, _) = hand_over(&mut gateway, 20);
        let (second, _) = hand_over(&mut gateway, 21);
        assert_eq!(gateway.overdue(21 + half, |_, _| 1), Some(first));
        assert_eq!(gateway.overdue(21 + half, |_, _| u64::MAX), None);
        assert_eq!(gateway.next_deadline(), Some(21 + half + TIMEOUT / 4));
        assert_eq!(gateway.overdue(21 + half + TIMEOUT / 4, |_, _| u64::MAX), Some(second));
    }

    #[test]
    fn a_session_is_used_again_with_the_next_counter_once_it_is_free() {
        let mut gateway = gateway();
        let _first = gateway.open(operation("a"), 0).unwrap();
        let _second = gateway.open(operation("b"), 0).unwrap();
        let requests = submitted(&mut gateway);
        assert_eq!(requests[1].session.number, 101);
        for replica in [1, 2] {
            gateway.add(&reply(replica, &requests[..1], "ok"), 1);
        }
        let _third = gateway.open(operation("c"), 2).unwrap();
        let third = submitted(&mut gateway);
        assert_eq!((third[0].session.number, third[0].counter), (100, 2));
        gateway.add(&reply(3, &requests[..1], "ok"), 3);
        assert!(gateway.awaits(&reply(1, &third, "ok")), "an old reply does not count for it");
    }

    #[test]
    fn a_request_out_of_time_is_answered_and_keeps_its_session_until_its_replies_come() {
        let mut gateway = gateway();
        let mut outcome = gateway.open(operation("a"), 0).unwrap();
        let requests = submitted(&mut gateway);
        gateway.add(&reply(1, &requests, "ok"), 1);
        assert_eq!(gateway.next_deadline(), Some(TIMEOUT));
        gateway.expire(TIMEOUT - 1);
        assert!(outcome.try_recv().is_err());
        gateway.expire(TIMEOUT);
        assert_eq!(outcome.try_recv().unwrap(), Outcome::TimedOut { replies: 1 });
        assert_eq!((gateway.in_flight(), gateway.in_flight_bytes), (0, 0));
        assert_eq!(gateway.next_deadline(), None);

        let _next = gateway.open(operation("b"), 2_000).unwrap();
        assert_eq!(submitted(&mut gateway)[0].session.number, 101, "100 is set aside");
        gateway.add(&reply(2, &requests, "ok"), 2_001);
        let _again = gateway.open(operation("c"), 2_002).unwrap();
        let request = &submitted(&mut gateway)[0];
        assert_eq!((request.session.number, request.counter), (100, 2));
    }

    #[test]
    fn requests_set_aside_are_given_up_beyond_a_limit() {
        let mut gateway = gateway();
        for _ in 0..MAX_SET_ASIDE + 10 {
            drop(gateway.open(operation("a"), 0).unwrap());
            gateway.submissions.clear();
            gateway.expire(TIMEOUT);
        }
        assert_eq!(gateway.pending.len(), MAX_SET_ASIDE);
        assert_eq!((gateway.free.len(), gateway.deadlines.len()), (0, 0));
    }

    #[test]
    fn bundles_end_at_their_number_of_requests_and_at_their_bytes() {
        let mut gateway = gateway();
        let sizes = |groups: Vec<Vec<Request>>| groups.iter().map(Vec::len).collect::<Vec<_>>();
        let outcomes: Vec<_> = (0..7).map(|_| gateway.open(operation("a"), 0).unwrap()).collect();
        assert_eq!(sizes(gateway.take_submissions(3)), [3, 3]);
        assert!(gateway.has_submissions());
        assert_eq!(sizes(gateway.take_submissions(3)), [1]);
        assert!(!gateway.has_submissions());
        assert_eq!(sizes(gateway.take_submissions(3)), [0; 0]);

        let large = Operation::new(&vec![0; MAX_BUNDLE_BYTES]);
        let _large = gateway.open(large, 0).unwrap();
        let _small = gateway.open(operation("a"), 0).unwrap();
        let _small2 = gateway.open(operation("a"), 0).unwrap();
        assert_eq!(sizes(gateway.take_submissions(100)), [1]);
        assert_eq!(sizes(gateway.take_submissions(100)), [2]);
        drop(outcomes);
    }

    #[test]
    fn requests_wait_for_each_other_as_long_as_every_turn_brings_more() {
        let mut gateway = gateway();
        let mut clients = Vec::new();
        let mut iteration = |gateway: &mut Gateway, more: usize| {
            clients.extend((0..more).map(|_| gateway.open(operation("a"), 0).unwrap()));
            gateway.take_submissions(5).iter().map(Vec::len).collect::<Vec<_>>()
        };
        for (more, bundles) in
            [(1, &[][..]), (0, &[1]), (2, &[]), (1, &[]), (3, &[5]), (0, &[1]), (0, &[]), (4, &[]), (1, &[5])]
        {
            assert_eq!(iteration(&mut gateway, more), bundles);
        }
    }

    #[test]
    fn too_many_requests_or_bytes_in_flight_are_refused() {
        let mut gateway = gateway();
        let half = Operation::new(&vec![0; MAX_IN_FLIGHT_BYTES / 2]);
        let _first = gateway.open(half.clone(), 0).unwrap();
        let _second = gateway.open(half, 0).unwrap();
        assert_eq!(gateway.open(operation("a"), 0).unwrap_err(), Busy);
        gateway.expire(TIMEOUT);
        let many: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| gateway.open(operation(""), 0).unwrap()).collect();
        assert_eq!(gateway.open(operation(""), 0).unwrap_err(), Busy);
        drop(many);
    }

    #[test]
    fn a_gateway_started_again_numbers_its_sessions_above_all_earlier_ones() {
        let first = first_session_now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(first_session_now() >= first + 1_000 * 4_096);
    }
}
