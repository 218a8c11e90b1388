//! What all resources do whose answer needs a decision.

use super::body::{MAX_DISCARDED_BYTES, read_body, too_large};
use super::interface::Interface;
use super::response::{Answer, Refusal, json, offline};
use super::status;
use super::tallies::{self, Tallies};
use crate::api::{self, Decision, OutcomeName};
use crate::host::gateway::{Decided, Outcome};
use crate::host::node::Node;
use bytes::Bytes;
use client::{Busy, MAX_IN_FLIGHT};
use hyper::body::{Body as _, Incoming};
use hyper::{Request, StatusCode};
use kernel::{Operation, Protocol, Seq};

/// The body of a request for a decision, of `limit` bytes at most.
pub(super) async fn body<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
    limit: usize,
) -> Result<Bytes, Refusal> {
    // What is announced as far too large is not even waited for.
    if request.body().size_hint().lower() > MAX_DISCARDED_BYTES as u64 {
        return Err(too_large(limit));
    }
    read_body(interface, request.into_body(), limit).await
}

/// Whether a request asks for evidence, and the rest of its query.
pub(super) fn split_query<T>(request: &Request<T>) -> Result<(bool, String), Refusal> {
    let (mut evidence, mut rest) = (false, Vec::new());
    for part in request.uri().query().unwrap_or_default().split('&') {
        match part.strip_prefix("evidence=") {
            Some("true") => evidence = true,
            Some("false") => evidence = false,
            Some(other) => {
                return Err(Refusal::bad(format!("evidence is true or false, not {other:?}")));
            }
            None => rest.push(part),
        }
    }
    Ok((evidence, rest.join("&")))
}

/// Has an operation ordered. Returns once it is decided or its time is up.
pub(super) async fn order<P: Protocol>(
    node: &Node<P>,
    operation: Operation,
    wants_evidence: bool,
) -> Result<Outcome, Refusal> {
    if node.is_offline() {
        return Err(offline());
    }
    if wants_evidence && node.config.cluster.has_tags() {
        let error = "there is no evidence: what nodes of this flow tell a gateway proves nothing to others; leave evidence out, or \
                     ask with a client's key (harness client), whose replies are signed";
        return Err(Refusal::bad(error.to_owned()));
    }
    if node.has_lost_its_journal() {
        return Err(lost_journal("ask another one"));
    }
    if let Some(why) = node.takes_no_requests() {
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("this node takes no requests: {why}")));
    }
    if node.is_stopping() {
        let error = "this node is being stopped; ask another one".to_owned();
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error));
    }
    let outcome = node.submit(operation, wants_evidence).map_err(|Busy| {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("too many requests are in flight (at most {MAX_IN_FLIGHT}); try again later"),
        )
    })?;
    // The gateway answers every request, at the latest when its time is up.
    let outcome = outcome.await.unwrap_or(Outcome::TimedOut { replies: 0 });
    if matches!(outcome, Outcome::TimedOut { .. }) && node.has_lost_its_journal() {
        return Err(lost_journal(
            "the request may have been decided or not: look at the state of another one",
        ));
    }
    Ok(outcome)
}

fn lost_journal(what_to_do: &str) -> Refusal {
    let error = format!("this node has lost its journal and takes part in nothing more; {what_to_do}");
    Refusal(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// How a decision came about, as an answer says it.
pub(super) fn decision<P: Protocol>(node: &Node<P>, decided: Decided) -> Decision {
    Decision {
        node: node.config.id,
        seq: decided.seq,
        view: decided.view,
        consensus_us: decided.consensus_ns as f64 / 1e3,
        received_ns: decided.received_ns,
        replies: decided.replies,
        evidence: decided.evidence.map(Box::new),
    }
}

/// The slot that the cluster is stuck at: the one to look into when something is not
/// decided in time. None in a protocol in which slots have no order.
pub(super) fn stuck_slot<P: Protocol>(node: &Node<P>) -> Option<Seq> {
    let status = node.replica_status();
    status.views.map(|_| status.last_executed.next())
}

/// The answer to a request that was not decided in time.
pub(super) fn undecided<P: Protocol>(node: &Node<P>, replies: usize) -> Answer {
    let slot = stuck_slot(node);
    undecided_at(node, slot, replies, tallies::known(node, slot.unwrap_or_default()))
}

/// Likewise, with tallies of the slot that the cluster is stuck at.
pub(super) fn undecided_at<P: Protocol>(
    node: &Node<P>,
    slot: Option<Seq>,
    replies: usize,
    tallies: Tallies,
) -> Answer {
    let answer = api::Undecided {
        outcome: OutcomeName::Timeout,
        error: timeout_error(node, replies).into(),
        replies,
        undecided_slot: slot,
        nodes: tallies.nodes,
        not_answered: tallies.not_answered,
    };
    json(StatusCode::GATEWAY_TIMEOUT, &answer)
}

/// What is known of a request that was not decided in time.
pub(super) fn timeout_error<P: Protocol>(node: &Node<P>, replies: usize) -> String {
    let report = status::report(node);
    let executed = report.replica.last_executed;
    let (state, of) = match report.replica.views {
        Some(views) => (
            format!("up to slot {executed}, is in view {} under commander {},", views.view, views.commander),
            "the commander and of the ",
        ),
        None => (format!("{executed} requests"), ""),
    };
    format!(
        "not decided within {:?}: {replies} of {} matching replies. Node {} has executed {state} and reaches {} of {} \
         peers. Look at GET /status of {of}faulty nodes; a longer timeout or fewer faults (at most {} are tolerated) may help",
        node.config.timeout(),
        report.f + 1,
        report.id,
        report.peers_reachable,
        report.peers_expected,
        report.f,
    )
}
