//! `/preprepare`: a client's request, to be decided.

use super::apps::only_with;
use super::interface::Interface;
use super::ordering::{self, order, split_query, stuck_slot, timeout_error, undecided_at};
use super::response::{Answer, Refusal, json, with_type};
use super::tallies::{self, Tallies};
use super::text;
use crate::api::{self, OutcomeName};
use crate::host::gateway::{Decided, Outcome};
use crate::host::node::Node;
use apps::AppName;
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use kernel::{Operation, Output, Protocol, Seq};
use std::borrow::Cow;
use std::time::Duration;

/// JSON around and inside `data` (escapes, other keys) may add this much.
const BODY_ALLOWANCE_BYTES: usize = 64 << 10;
const TEXT: &str = "text/plain; charset=utf-8";

const HOW_TO_ASK: &str = "send JSON such as {\"data\": \"hello\"}";

/// The operation in a client's request: a string's own bytes, anything else as
/// compact JSON.
fn parse_data(body: &[u8], max_data_bytes: usize) -> Result<Operation, Refusal> {
    let data = match serde_json::from_slice::<api::Data<'_>>(body) {
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

/// What a client wants to know, and how long it waits for that.
struct Wanted {
    /// The classic text.
    is_text: bool,
    /// How long to wait for the nodes' final tallies.
    settle: Option<Duration>,
    /// Whether the answer is to prove itself.
    evidence: bool,
}

/// Answers once the request is decided or its time is up.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    only_with(node, AppName::Opaque)?;
    let wanted = wanted(node, &request)?;
    let max_data_bytes = node.config.max_data_bytes;
    let evidence = wanted.evidence;
    let body = ordering::body(interface, request, max_data_bytes + BODY_ALLOWANCE_BYTES).await?;
    match order(node, parse_data(&body, max_data_bytes)?, evidence).await? {
        Outcome::Decided(decided) => {
            let took = Duration::from_nanos(decided.consensus_ns);
            let tallies = tallies_of(node, decided.seq, took, wanted.settle).await;
            Ok(answer_decided(node, decided, tallies, wanted.is_text))
        }
        Outcome::TimedOut { replies } => {
            let slot = stuck_slot(node);
            let tallies = tallies_of(node, slot.unwrap_or_default(), Duration::ZERO, wanted.settle).await;
            Ok(match wanted.is_text {
                true => undecided_text(node, replies, &tallies),
                false => undecided_at(node, slot, replies, tallies),
            })
        }
    }
}

fn wanted<P: Protocol>(node: &Node<P>, request: &Request<Incoming>) -> Result<Wanted, Refusal> {
    let mut accept = request.headers().get_all(ACCEPT).iter();
    let is_text = accept.any(|value| value.to_str().is_ok_and(|value| value.contains("text/plain")));
    let mut settle = is_text.then_some(node.config.settle());
    let (evidence, rest) = split_query(request)?;
    for part in rest.split('&').filter(|part| !part.is_empty()) {
        let limit = node.config.timeout();
        let wanted = part.strip_prefix("settle=").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
        let Some(wanted) = wanted.filter(|wanted| *wanted <= limit) else {
            return Err(Refusal::bad(format!(
                "{part:?} is not understood; ask for /preprepare?settle=MS to wait for the tallies of all nodes, \
                 with whole milliseconds from 0 to {}, or for ?evidence=true",
                limit.as_millis()
            )));
        };
        settle = Some(wanted);
    }
    Ok(Wanted { is_text, settle, evidence })
}

async fn tallies_of<P: Protocol>(
    node: &Node<P>,
    slot: Seq,
    decision_took: Duration,
    settle: Option<Duration>,
) -> Tallies {
    match settle {
        None => tallies::known(node, slot),
        // On the heap, as the future of every request is as large as its largest part.
        Some(within) => Box::pin(tallies::settled(node, slot, decision_took, within)).await,
    }
}

fn answer_decided<P: Protocol>(node: &Node<P>, decided: Decided, tallies: Tallies, is_text: bool) -> Answer {
    let protocol = &node.config.cluster.protocol;
    if is_text {
        return with_type(StatusCode::OK, TEXT, text::decided(protocol, &decided, &tallies));
    }
    let answer = api::Decided {
        outcome: OutcomeName::Decided,
        protocol: protocol.into(),
        node: node.config.id,
        seq: decided.seq,
        view: decided.view,
        path: node.path(decided.seq),
        consensus_time_s: decided.rounded_us() as f64 / 1e6,
        consensus_us: decided.consensus_ns as f64 / 1e3,
        received_ns: decided.received_ns,
        replies: decided.replies,
        result: readable(&decided.result),
        nodes: tallies.nodes,
        not_answered: tallies.not_answered,
        evidence: decided.evidence.map(Box::new),
    };
    json(StatusCode::OK, &answer)
}

/// The classic text about a request that was not decided in time.
fn undecided_text<P: Protocol>(node: &Node<P>, replies: usize, tallies: &Tallies) -> Answer {
    let text = text::undecided(&node.config.cluster.protocol, &timeout_error(node, replies), tallies);
    with_type(StatusCode::GATEWAY_TIMEOUT, TEXT, text)
}

/// A result as text; what is not text, as `hex:…`, as an operation writes itself.
fn readable(result: &Output) -> Cow<'_, str> {
    match std::str::from_utf8(&result.0) {
        Ok(text) => text.into(),
        Err(_) => serde_json::to_value(result)
            .ok()
            .and_then(|hex| hex.as_str().map(str::to_owned))
            .unwrap_or_default()
            .into(),
    }
}
