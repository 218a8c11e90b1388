//! `/preprepare`: a client's request, to be decided.

use super::answers::{self, NodeTally};
use super::body::{MAX_DISCARDED_BYTES, read_body, too_large};
use super::interface::Interface;
use super::response::{Answer, Refusal, json, offline, with_type};
use super::{status, tallies};
use crate::host::gateway::{Busy, MAX_IN_FLIGHT, Outcome};
use crate::host::node::Node;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, HeaderMap, HeaderName};
use hyper::{Request, StatusCode};
use kernel::{Operation, Protocol, Seq};
use serde::Deserialize;
use std::borrow::Cow;

/// JSON around and inside `data` (escapes, other keys) may add this much.
const BODY_ALLOWANCE_BYTES: usize = 64 << 10;
const PREFER: HeaderName = HeaderName::from_static("prefer");

fn has(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(wanted)))
}

const HOW_TO_ASK: &str = "send JSON such as {\"data\": \"hello\"}";

/// The operation in a client's request: a string's own bytes, anything else as
/// compact JSON.
fn parse_data(body: &[u8], max_data_bytes: usize) -> Result<Operation, Refusal> {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        data: Cow<'a, str>,
    }
    let data = match serde_json::from_slice::<Text<'_>>(body) {
        Ok(text) => text.data,
        Err(_) => Cow::Owned(parse_other_data(body)?),
    };
    if data.is_empty() {
        return Err(Refusal::bad(format!("data is empty; {HOW_TO_ASK}")));
    }
    if data.len() > max_data_bytes {
        let bytes = data.len();
        return Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("data has {bytes} bytes; the limit is {max_data_bytes} bytes"),
        ));
    }
    Ok(Operation::new(data.as_bytes()))
}

fn parse_other_data(body: &[u8]) -> Result<String, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad(format!("the body is empty; {HOW_TO_ASK}")));
    }
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad(format!("the body is not JSON: {error}; {HOW_TO_ASK}")))?;
    match value.get("data") {
        None | Some(serde_json::Value::Null) => {
            Err(Refusal::bad(format!("the body has no data; {HOW_TO_ASK}")))
        }
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(data) => Ok(data.to_string()),
    }
}

/// Answers once the request is decided or its time is up.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    if node.is_offline() {
        return Err(offline());
    }
    let is_minimal = has(request.headers(), &PREFER, "return=minimal");
    let is_text = has(request.headers(), &ACCEPT, "text/plain");
    let max_data_bytes = node.config.max_data_bytes;
    let limit = max_data_bytes + BODY_ALLOWANCE_BYTES;
    // What is announced as far too large is not even waited for.
    if request.body().size_hint().lower() > MAX_DISCARDED_BYTES as u64 {
        return Err(too_large(limit));
    }
    let body = read_body(interface, request.into_body(), limit).await?;
    let operation = parse_data(&body, max_data_bytes)?;
    let outcome = node.submit(operation).map_err(|Busy| {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("too many requests are in flight (at most {MAX_IN_FLIGHT}); try again later"),
        )
    })?;
    // The gateway answers every request, at the latest when its time is up.
    let outcome = outcome.await.unwrap_or(Outcome::TimedOut { replies: 0 });
    let style = Style { is_minimal, is_text };
    Ok(answer_with(node, outcome, style).await)
}

struct Style {
    is_minimal: bool,
    is_text: bool,
}

async fn answer_with<P: Protocol>(node: &Node<P>, outcome: Outcome, style: Style) -> Answer {
    let protocol = &node.config.cluster.protocol;
    let (slot, replies) = match &outcome {
        Outcome::Decided(decided) => (decided.seq, decided.replies),
        // The slot that the cluster is stuck at is the one to look into.
        Outcome::TimedOut { replies } => (next_slot(node), *replies),
    };
    let nodes: Option<Vec<NodeTally>> = match style.is_minimal {
        true => None,
        false => Some(Box::pin(tallies::tallies(node, slot)).await),
    };
    let nodes = nodes.as_deref();
    let (status, body) = match outcome {
        Outcome::Decided(decided) if style.is_text => {
            let text = answers::decided_text(protocol, &decided, nodes.unwrap_or_default());
            (StatusCode::OK, text)
        }
        Outcome::Decided(decided) => {
            let path = node.path(decided.seq);
            let body = answers::decided_json(protocol, node.config.id, path, &decided, nodes);
            (StatusCode::OK, body)
        }
        Outcome::TimedOut { .. } => {
            let error = timeout_error(node, replies);
            let body = match style.is_text {
                true => answers::timeout_text(protocol, &error, nodes.unwrap_or_default()),
                false => answers::timeout_json(&error, replies, nodes.map(|_| slot.0), nodes),
            };
            (StatusCode::GATEWAY_TIMEOUT, body)
        }
    };
    match style.is_text {
        true => with_type(status, "text/plain; charset=utf-8", body),
        false => json(status, body),
    }
}

fn next_slot<P: Protocol>(node: &Node<P>) -> Seq {
    node.replica_status().last_executed.next()
}

fn timeout_error<P: Protocol>(node: &Node<P>, replies: usize) -> String {
    let report = status::report(node);
    format!(
        "not decided within {:?}: {replies} of {} matching replies. Node {} has executed up to slot {}, is in \
         view {} under commander {} and reaches {} of {} peers. Look at GET /status of the commander and of the \
         faulty nodes; a longer timeout or fewer faults (at most {} are tolerated) may help",
        node.config.timeout(),
        report.f + 1,
        report.id,
        report.replica.last_executed,
        report.replica.view,
        report.replica.commander,
        report.peers_reachable,
        report.peers_expected,
        report.f,
    )
}
