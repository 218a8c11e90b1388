//! `/faults`: the behaviours of this node, to read and to replace.

use super::body::{MAX_CONTROL_BODY_BYTES, read_body};
use super::interface::Interface;
use super::response::{Answer, Refusal, json_of};
use crate::host::node::Node;
use adversary::{Behaviour, KNOWN, REPLY};
use hyper::Request;
use hyper::body::Incoming;
use kernel::{Falsify, Protocol};
use serde::Deserialize;

/// The behaviours on this node.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    json_of(&serde_json::json!({ "faults": node.behaviours() }))
}

/// Replaces them.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        faults: Vec<Behaviour>,
    }
    let body = read_body(interface, request.into_body(), MAX_CONTROL_BODY_BYTES).await?;
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!(
            "{error}; send JSON such as {{\"faults\": [\"malicious\", \"delay=5ms\"]}}, and [] for an honest node; \
             known: {KNOWN}"
        ))
    })?;
    for fault in &wanted.faults {
        let kinds: Vec<&str> = P::Message::KINDS.iter().copied().chain([REPLY]).collect();
        if let Some(problem) = fault.problem(interface.node.config.cluster.n, &kinds) {
            return Err(Refusal::bad(format!("fault \"{fault}\": {problem}")));
        }
    }
    interface.node.set_behaviours(wanted.faults).await;
    Ok(get(&interface.node))
}
