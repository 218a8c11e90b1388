//! The clients of this node: their requests go in, and what became of them comes out.

use client::{Accepted, Busy, Evidence, Limits, Sessions, Submissions};
use kernel::{Bundle, Operation, Output, ReplicaId, ReplyBundle, Request, Seq, View};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::sync::Arc;
use tokio::sync::oneshot;

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
    /// Only if it was asked for.
    pub(crate) evidence: Option<Evidence>,
}

impl Decided {
    /// The consensus time, rounded to microseconds.
    pub(crate) fn rounded_us(&self) -> u64 {
        (self.consensus_ns + 500) / 1_000
    }
}

/// A request that waits for its result.
#[derive(Debug)]
struct Asked {
    /// Counts this gateway's requests, from 0.
    ordinal: u64,
    received_ns: u64,
    /// None once it was answered as timed out.
    client: Option<oneshot::Sender<Outcome>>,
    wants_evidence: bool,
}

/// The clients' side of a node.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Replies are kept as long as anybody wants evidence.
    sessions: Sessions<Asked, Option<Arc<ReplyBundle>>>,
    submissions: Submissions,
    /// Requests taken in so far.
    opened: u64,
    timeout_ns: u64,
    /// Consensus times, seconds.
    latencies: Histogram,
    timed_out: u64,
    refused: u64,
    /// Requests in flight whose clients want evidence.
    wanting_evidence: usize,
}

/// The upper ends of the buckets of consensus times: 100 µs, doubled up to 13 s.
fn buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(1e-4, 2.0, 18)
}

impl Gateway {
    pub(crate) fn new(
        id: ReplicaId,
        replies_needed: usize,
        timeout_ns: u64,
        remind_after_ns: u64,
        first_session: u64,
    ) -> Gateway {
        Gateway {
            sessions: Sessions::new(id, replies_needed, first_session, remind_after_ns, Limits::NODE),
            submissions: Submissions::default(),
            opened: 0,
            timeout_ns,
            latencies: Histogram::new(buckets()),
            timed_out: 0,
            refused: 0,
            wanting_evidence: 0,
        }
    }

    /// Takes a request in; the outcome comes through the channel.
    pub(crate) fn open(
        &mut self,
        operation: Operation,
        received_ns: u64,
        wants_evidence: bool,
    ) -> Result<oneshot::Receiver<Outcome>, Busy> {
        let (client, outcome) = oneshot::channel();
        let asked = Asked { ordinal: self.opened, received_ns, client: Some(client), wants_evidence };
        let deadline_ns = received_ns.saturating_add(self.timeout_ns);
        self.submissions.push(self.sessions.open(operation, Some(deadline_ns), asked)?);
        self.wanting_evidence += usize::from(wants_evidence);
        self.opened += 1;
        Ok(outcome)
    }

    /// The number of a request that waits, and when it was received.
    pub(crate) fn asked(&self, request: &Request) -> Option<(u64, u64)> {
        let asked = self.sessions.waiting(request.session, request.counter)?;
        Some((asked.ordinal, asked.received_ns))
    }

    /// The requests to be bundled in this iteration of the event loop, in groups for one
    /// bundle each.
    pub(crate) fn take_submissions(&mut self, batch_max: usize) -> Vec<Vec<Request>> {
        self.submissions.take(batch_max)
    }

    /// Whether requests wait to be bundled.
    pub(crate) fn has_submissions(&self) -> bool {
        !self.submissions.is_empty()
    }

    /// Notes that a bundle was handed over when the links had carried so many bytes.
    pub(crate) fn handed_over(&mut self, bundle: &Arc<Bundle>, now_ns: u64, carried: u64) {
        self.sessions.handed_over(bundle, now_ns, carried);
    }

    /// A bundle that is due to be handed over again ([`Sessions::overdue`]).
    pub(crate) fn overdue(
        &mut self,
        now_ns: u64,
        carried: u64,
        extension: impl Fn(u64, u64) -> u64,
    ) -> Option<Arc<Bundle>> {
        self.sessions.overdue(now_ns, carried, extension)
    }

    /// Whether any request in the bundle still waits for replies.
    pub(crate) fn awaits(&self, bundle: &ReplyBundle) -> bool {
        self.sessions.awaits(bundle)
    }

    /// Counts replies whose signature holds. Returns how many replies differ
    /// from the results accepted by this. `answered` is told which requests are answered, by
    /// their numbers.
    pub(crate) fn add(
        &mut self,
        bundle: &ReplyBundle,
        now_ns: u64,
        mut answered: impl FnMut(u64, &Decided),
    ) -> usize {
        let kept = (self.wanting_evidence > 0).then(|| Arc::new(bundle.clone()));
        let accepted = self.sessions.add(bundle, kept);
        let differing = accepted.iter().map(|accepted| accepted.differing).sum();
        for accepted in accepted {
            let evidence = accepted.of.wants_evidence.then(|| accepted.proof(Option::as_ref)).flatten();
            let Accepted { of: Asked { ordinal, received_ns, client, wants_evidence }, seq, view, .. } =
                accepted;
            let consensus_ns = now_ns.saturating_sub(received_ns);
            if client.is_some() {
                self.latencies.observe(consensus_ns as f64 / 1e9);
                self.wanting_evidence -= usize::from(wants_evidence);
            }
            let Accepted { replies, result, .. } = accepted;
            let decided = Decided { seq, view, received_ns, consensus_ns, replies, result, evidence };
            if let Some(client) = client {
                answered(ordinal, &decided);
                // A client that went away does not matter: the request is decided.
                let _ = client.send(Outcome::Decided(decided));
            }
        }
        differing
    }

    /// Answers the requests whose time is up, and tells `timed_out` their numbers.
    pub(crate) fn expire(&mut self, now_ns: u64, mut timed_out: impl FnMut(u64)) {
        let (count, wanting_evidence) = (&mut self.timed_out, &mut self.wanting_evidence);
        self.sessions.expire(now_ns, |asked, replies| {
            let client = asked.client.take();
            *count += 1;
            timed_out(asked.ordinal);
            *wanting_evidence -= usize::from(asked.wants_evidence);
            let _ = client.map(|client| client.send(Outcome::TimedOut { replies }));
        });
    }

    /// When the next request's time is up or a bundle is due again, in
    /// nanoseconds.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        self.sessions.next_deadline()
    }

    /// When the next request's time is up, in nanoseconds.
    pub(crate) fn next_timeout(&mut self) -> Option<u64> {
        self.sessions.next_timeout()
    }

    /// Consensus times of the requests that were decided in time, seconds.
    pub(crate) fn latencies(&self) -> Histogram {
        self.latencies.clone()
    }

    /// Requests that were not decided in time.
    pub(crate) fn timed_out(&self) -> u64 {
        self.timed_out
    }

    /// The application has answered a decided request otherwise than asked.
    pub(crate) fn note_refused(&mut self) {
        self.refused += 1;
    }

    /// How often it has.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Requests whose clients wait.
    pub(crate) fn in_flight(&self) -> usize {
        self.sessions.in_flight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Reply, Signature};

    const TIMEOUT: u64 = 1_000;

    fn gateway() -> Gateway {
        Gateway::new(ReplicaId(0), 2, TIMEOUT, TIMEOUT / 2, 100)
    }

    fn reply(replica: u16, requests: &[Request]) -> ReplyBundle {
        let reply = |request: &Request| Reply {
            session: request.session,
            counter: request.counter,
            result: Output::new(b"ok"),
        };
        ReplyBundle {
            view: View(2),
            seq: Seq(9),
            replica: ReplicaId(replica),
            gateway: ReplicaId(0),
            bundles: vec![],
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
    fn a_client_gets_the_accepted_result_and_the_time_that_it_took() {
        let mut gateway = gateway();
        let mut outcome = gateway.open(Operation::new(b"a"), 50, false).unwrap();
        assert!(gateway.has_submissions());
        let requests = submitted(&mut gateway);
        assert!(!gateway.has_submissions());
        gateway.add(&reply(1, &requests), 60, |_, _| panic!("too early"));
        assert!(outcome.try_recv().is_err());
        let mut told = Vec::new();
        gateway.add(&reply(2, &requests), 80, |ordinal, decided| told.push((ordinal, decided.seq)));
        assert_eq!(told, [(0, Seq(9))]);
        let decided = Decided {
            seq: Seq(9),
            view: View(2),
            received_ns: 50,
            consensus_ns: 30,
            replies: 2,
            result: Output::new(b"ok"),
            evidence: None,
        };
        assert_eq!(outcome.try_recv().unwrap(), Outcome::Decided(decided));
    }

    #[test]
    fn a_client_out_of_time_is_answered_once() {
        let mut gateway = gateway();
        let mut outcome = gateway.open(Operation::new(b"a"), 0, false).unwrap();
        let requests = submitted(&mut gateway);
        gateway.add(&reply(1, &requests), 1, |_, _| panic!("too early"));
        let mut told = Vec::new();
        gateway.expire(TIMEOUT, |ordinal| told.push(ordinal));
        assert_eq!(told, [0]);
        assert_eq!(outcome.try_recv().unwrap(), Outcome::TimedOut { replies: 1 });
        gateway.add(&reply(2, &requests), TIMEOUT + 1, |_, _| panic!("it was answered"));
        assert!(outcome.try_recv().is_err());
    }
}
