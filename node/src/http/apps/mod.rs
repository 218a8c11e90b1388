//! The applications' resources, below `/api/v1`.

pub(super) mod bank;
pub(super) mod kv;

use super::ordering::{decision, order, undecided};
use super::response::{Answer, Refusal};
use crate::api::Decision;
use crate::host::gateway::Outcome;
use crate::host::node::Node;
use ::apps::AppName;
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
    answer: impl FnOnce(&Output, Decision) -> Option<Answer>,
) -> Result<Answer, Refusal> {
    match order(node, operation).await? {
        Outcome::TimedOut { replies } => Ok(undecided(node, replies)),
        Outcome::Decided(decided) => {
            let decision = decision(node, &decided);
            answer(&decided.result, decision).ok_or_else(unreadable)
        }
    }
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

/// What is asked for behind the `?`.
fn query<T: DeserializeOwned>(request: &Request<Incoming>, usage: &str) -> Result<T, Refusal> {
    serde_html_form::from_str(request.uri().query().unwrap_or_default())
        .map_err(|error| Refusal::bad(format!("{error}; ask for {usage}")))
}

/// What a body asks for.
fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8], usage: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("{error}; send JSON such as {usage}")))
}
