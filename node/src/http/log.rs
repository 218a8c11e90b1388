//! `/log`: the record of each slot.

use super::peer::FROM_HEADER;
use super::response::{Answer, Refusal, json, offline};
use crate::host::node::Node;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::Protocol;

/// The records that the query asks for; all without one.
pub(super) fn get<P: Protocol>(node: &Node<P>, request: &Request<Incoming>) -> Result<Answer, Refusal> {
    if request.headers().contains_key(FROM_HEADER) && node.is_offline() {
        return Err(offline());
    }
    let (mut from, mut to) = (0, u64::MAX);
    for part in request.uri().query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let known = match part.split_once('=') {
            Some(("from", value)) => Some((&mut from, value)),
            Some(("to", value)) => Some((&mut to, value)),
            _ => None,
        };
        let parsed = known.and_then(|(bound, value)| Some((bound, value.parse().ok()?)));
        let Some((bound, value)) = parsed else {
            return Err(Refusal::bad(format!(
                "{part:?} is not understood; ask for /log?from=A&to=B with whole sequence numbers"
            )));
        };
        *bound = value;
    }
    Ok(json(StatusCode::OK, &node.log(from, to)))
}
