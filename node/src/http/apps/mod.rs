//! The applications' resources, below `/api/v1`.

pub(super) mod bank;
pub(super) mod kv;
pub(super) mod members;
pub(super) mod set;

use super::interface::Interface;
use super::ordering::{body, decision, order, split_query, undecided};
use super::response::{Answer, Refusal, json};
use crate::api::{Decision, Refused};
use crate::host::gateway::Outcome;
use crate::host::node::Node;
use ::apps::AppName;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::{Operation, Output, Protocol, Reading};
use serde::de::DeserializeOwned;

/// Where the operations of an application go.
fn home(app: AppName) -> &'static str {
    match app {
        AppName::Opaque => "/preprepare",
        AppName::Kv => "/api/v1/kv",
        AppName::Bank => "/api/v1/bank",
        AppName::Set => "/api/v1/set",
    }
}

/// Refuses what is meant for another application than this cluster runs.
pub(super) fn only_with<P: Protocol>(node: &Node<P>, app: AppName) -> Result<(), Refusal> {
    let own = node.config.app;
    if own == app {
        return Ok(());
    }
    let error = format!(
        "this cluster runs the application {own}, which is asked at {}; {} is for {app}: start one with --app {app}",
        home(own),
        home(app)
    );
    Err(Refusal(StatusCode::NOT_FOUND, error))
}

/// Has an operation ordered. `answer` makes the answer of its result; none if this is no
/// result of the application.
async fn decide<P: Protocol>(
    node: &Node<P>,
    operation: Operation,
    wants_evidence: bool,
    answer: impl FnOnce(&Output, Decision) -> Option<Answer>,
) -> Result<Answer, Refusal> {
    match order(node, operation, wants_evidence).await? {
        Outcome::TimedOut { replies } => Ok(undecided(node, replies)),
        Outcome::Decided(decided) => {
            let result = decided.result.clone();
            let answer = answer(&result, decision(node, decided)).ok_or_else(unreadable)?;
            if !answer.status().is_success() {
                node.note_refused();
            }
            Ok(answer)
        }
    }
}

/// The answer to what was decided and not done, with the reason.
fn with_reason(status: StatusCode, refusal: &impl ToString, decision: Decision) -> Answer {
    json(status, &Refused { error: refusal.to_string().into(), decision })
}

/// What this node's own state answers.
fn read<P: Protocol>(node: &Node<P>, operation: &Operation) -> Result<Reading, Refusal> {
    node.query(operation).ok_or_else(|| {
        let error = "this node's state is known to be wrong, and it takes over the others'; ask another node";
        Refusal(StatusCode::SERVICE_UNAVAILABLE, error.into())
    })
}

/// `f+1` nodes say something that no honest one would.
fn unreadable() -> Refusal {
    let error = "the result cannot be read: more nodes are faulty than the cluster tolerates";
    Refusal(StatusCode::BAD_GATEWAY, error.into())
}

/// What is asked for behind the `?`, and whether the answer is to prove itself.
fn query<T: DeserializeOwned>(request: &Request<Incoming>, usage: &str) -> Result<(T, bool), Refusal> {
    let (evidence, rest) = split_query(request)?;
    let wanted = serde_html_form::from_str(&rest)
        .map_err(|error| Refusal::bad(format!("{error}; ask for {usage}")))?;
    Ok((wanted, evidence))
}

/// Likewise, where nothing is decided.
fn local_query<T: DeserializeOwned>(request: &Request<Incoming>, usage: &str) -> Result<T, Refusal> {
    match query(request, usage)? {
        (wanted, false) => Ok(wanted),
        (_, true) => Err(Refusal::bad("what one node's state says has no evidence; leave /local out")),
    }
}

/// The body of a request to an application, and whether the answer is to prove itself.
async fn body_for<P: Protocol>(
    app: AppName,
    interface: &Interface<P>,
    request: Request<Incoming>,
    limit: usize,
) -> Result<(Bytes, bool), Refusal> {
    only_with(&interface.node, app)?;
    let (evidence, _) = split_query(&request)?;
    Ok((body(interface, request, limit).await?, evidence))
}

/// What a body asks for.
fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8], usage: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("{error}; send JSON such as {usage}")))
}
