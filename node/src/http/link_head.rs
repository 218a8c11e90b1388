//! What the heads of the requests that open links have in common, whether they are a
//! peer's or a client's.

use super::response::Refusal;
use crate::host::node::Node;
use client::link::CLUSTER_HEADER;
use hyper::header::HeaderMap;
use hyper::{StatusCode, Version};
use kernel::Protocol;

/// The kind under which a refused link is counted, and what is wrong.
pub(super) type Fault = (&'static str, String);

/// A header's text; empty if there is none.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A link is a connection of its own, and is counted as one. `whose` is "peer" or "client".
pub(super) fn check_version(version: Version, whose: &str) -> Result<(), Refusal> {
    if version != Version::HTTP_2 {
        return Ok(());
    }
    let error = format!("{whose} links speak HTTP/1.1, one on each connection");
    Err(Refusal(StatusCode::HTTP_VERSION_NOT_SUPPORTED, error))
}

/// Whether the opener means this node's cluster.
pub(super) fn check_cluster<P: Protocol>(node: &Node<P>, headers: &HeaderMap) -> Result<(), Fault> {
    if text(headers, CLUSTER_HEADER) == node.config.cluster.id.to_string() {
        return Ok(());
    }
    // The error does not name the cluster: strangers need not learn it.
    let error = format!("header {CLUSTER_HEADER} must name the cluster that this node belongs to");
    Err(("other cluster", error))
}

/// Counts a refused link, and says why.
pub(super) fn refuse<P: Protocol>(node: &Node<P>, (kind, error): Fault) -> Refusal {
    node.count_unreadable(kind);
    Refusal::bad(error)
}
