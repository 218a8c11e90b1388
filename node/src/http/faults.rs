//! `/faults`: the behaviours of this node, to read and to replace.

use super::body::{MAX_CONTROL_BODY_BYTES, read_body};
use super::interface::Interface;
use super::response::{Answer, Refusal, json};
use crate::api::Faults;
use crate::host::node::Node;
use adversary::{KNOWN, REPLY};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::{Falsify, Protocol};

/// The behaviours on this node.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    json(StatusCode::OK, &Faults { faults: node.behaviours() })
}

/// Replaces them.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let body = read_body(interface, request.into_body(), MAX_CONTROL_BODY_BYTES).await?;
    let wanted: Faults = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!(
            "{error}; send JSON such as {{\"faults\": [\"malicious\", \"delay=5ms\"]}}, and [] for an honest node{}",
            // An unknown fault names them already.
            if error.to_string().contains(KNOWN) { String::new() } else { format!("; known: {KNOWN}") }
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
