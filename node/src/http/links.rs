//! `/links`: the faults of the network injected at this node, to read and to
//! replace.

use super::body::{MAX_CONTROL_BODY_BYTES, read_body};
use super::interface::Interface;
use super::response::{Answer, Refusal, json};
use crate::config::LinkConditions;
use crate::host::node::Node;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::Protocol;

/// The conditions now.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    json(StatusCode::OK, &node.link_conditions())
}

/// Replaces them.
pub(super) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let body = read_body(interface, request.into_body(), MAX_CONTROL_BODY_BYTES).await?;
    let wanted: LinkConditions = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!(
            "{error}; send JSON such as {{\"cut\": [2, 3], \"delay_us\": 500, \"loss\": 0.1}}; what is left out is \
             not injected, and {{}} heals the links"
        ))
    })?;
    wanted.check(&interface.node.config.cluster).map_err(|error| Refusal::bad(error.to_string()))?;
    let answer = json(StatusCode::OK, &wanted);
    interface.node.set_link_conditions(wanted);
    Ok(answer)
}
