//! `/api/v1/state`, `/health` and `/ready`: what a node says of itself in few words.

use super::response::{Answer, Refusal, json};
use super::status::{report, role};
use crate::api::{Readiness, StateDigest, StateReport};
use crate::host::node::Node;
use hyper::StatusCode;
use kernel::Protocol;

/// `GET /api/v1/state`.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    let config = &node.config;
    let status = node.replica_status();
    let role = role(config.id, &status).to_owned();
    let views = status.views;
    let state = StateReport {
        replica: config.id,
        protocol: config.cluster.protocol.clone(),
        app: config.app,
        role,
        view: views.as_ref().map(|views| views.view),
        commander: views.as_ref().map(|views| views.commander),
        changing_view: views.as_ref().is_some_and(|views| views.changing_view),
        last_applied: status.last_executed,
        last_stable_checkpoint: views.as_ref().map(|views| views.stable_checkpoint),
    };
    json(StatusCode::OK, &state)
}

/// `GET /api/v1/state/digest`.
pub(super) fn digest<P: Protocol>(node: &Node<P>) -> Answer {
    let (last_applied, digest) = (node.replica_status().last_executed, node.state_digest());
    json(StatusCode::OK, &StateDigest { last_applied, digest })
}

/// `GET /api/v1/pbft/state`: the same, where the flow is `pbft`.
pub(super) fn get_pbft<P: Protocol>(node: &Node<P>) -> Result<Answer, Refusal> {
    let protocol = &node.config.cluster.protocol;
    if protocol == "pbft" {
        return Ok(get(node));
    }
    let error = format!("this cluster runs {protocol}; its state is at /api/v1/state");
    Err(Refusal(StatusCode::NOT_FOUND, error))
}

/// `GET /health`: that an answer comes is what it says.
pub(super) fn health() -> Answer {
    answer(vec![])
}

/// `GET /ready`: whether a request that comes now is likely to be decided.
pub(super) fn ready<P: Protocol>(node: &Node<P>) -> Answer {
    let report = report(node);
    let mut problems = Vec::new();
    if node.is_stopping() {
        problems.push("it is being stopped".to_owned());
    }
    if let Some(failure) = report.journal.as_ref().and_then(|journal| journal.failure.as_ref()) {
        problems.push(format!("it has lost its journal and takes part in nothing more: {failure}"));
    }
    if node.is_offline() {
        problems.push("it is offline by fault injection".to_owned());
    }
    if let Some(why) = node.takes_no_requests() {
        problems.push(format!("it takes no requests: {why}"));
    } else if report.replica.recovering {
        problems.push("it lost its memory and recovers".to_owned());
    }
    if report.replica.diverged {
        problems.push("its state is known to be wrong, and it takes over the others'".to_owned());
    }
    if report.replica.views.as_ref().is_some_and(|views| views.changing_view) {
        problems.push("it has left its view and waits for the next one".to_owned());
    }
    let reached = report.peers_reachable + 1;
    if reached < report.quorum {
        let quorum = report.quorum;
        problems.push(format!("it reaches {reached} nodes with itself, and a decision needs {quorum}"));
    }
    answer(problems)
}

fn answer(problems: Vec<String>) -> Answer {
    let ok = problems.is_empty();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ok, problems })
}
