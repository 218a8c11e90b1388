//! How a decision came about: part of every answer that needed one.

use client::Evidence;
use kernel::{ReplicaId, Seq, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How a request was decided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Decision {
    /// The node that was asked.
    #[schemars(with = "u64")]
    pub node: ReplicaId,
    /// The slot that ordered the request.
    #[schemars(with = "u64")]
    pub seq: Seq,
    /// The view in which a replica executed it.
    #[schemars(with = "u64")]
    pub view: View,
    /// From the receipt of the request to the `f+1`st matching reply, in microseconds.
    pub consensus_us: f64,
    /// When the request was received, nanoseconds on the machine's monotonic clock.
    pub received_ns: u64,
    /// Matching replies.
    pub replies: usize,
    /// What proves the result, with `?evidence=true`: the requests that were signed together,
    /// and the replies as the nodes signed them. `harness client verify` checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub evidence: Option<Box<Evidence>>,
}

/// An operation was decided and not done: 404 if there is no such account or member, 400 if it can never be done, 403
/// if it is not for this node's clients to ask for, else 409. Nothing has changed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Refused<'a> {
    /// Why.
    #[serde(borrow)]
    pub error: Cow<'a, str>,
    /// How that was decided.
    pub decision: Decision,
}
