//! The set over HTTP: `/api/v1/set` and `/api/v1/set/local`.

use super::decision::Decision;
use kernel::Seq;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `POST /api/v1/set`: puts a member in, which may be there already.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Add<'a> {
    /// The member.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
}

/// The answer to [`Add`]: it is in the set now, whether or not it was before.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Added<'a> {
    /// The member.
    #[serde(borrow)]
    pub added: Cow<'a, str>,
    /// How that was decided.
    pub decision: Decision,
}

/// `DELETE /api/v1/set?member=`: 200; 404, with the reason, if it is not in the set, or if without consensus this node
/// has not seen it there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Removed<'a> {
    /// The member. Without consensus, what others add at the same time stays.
    #[serde(borrow)]
    pub removed: Cow<'a, str>,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/set?member=`: whether it is in the set. Without consensus a read has no place in an order: 400.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Contains<'a> {
    /// The member.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
    /// Whether it is in the set.
    pub contains: bool,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/set?prefix=&after=&limit=`: the members that begin so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Members {
    /// In their order.
    pub members: Vec<String>,
    /// Whether there are more: ask again with `after` the last one.
    pub more: bool,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/set/local?member=`: what this node's own state says. Others may be further.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LocalContains<'a> {
    /// The member.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
    /// Whether it is in the set.
    pub contains: bool,
    /// The last slot that this node had executed.
    #[schemars(with = "u64")]
    pub as_of: Seq,
    /// Always true: no other node was asked.
    pub may_be_stale: bool,
}

/// `GET /api/v1/set/local?prefix=&after=&limit=`: likewise.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LocalMembers {
    /// In their order.
    pub members: Vec<String>,
    /// Whether there are more: ask again with `after` the last one.
    pub more: bool,
    /// The last slot that this node had executed.
    #[schemars(with = "u64")]
    pub as_of: Seq,
    /// Always true: no other node was asked.
    pub may_be_stale: bool,
}
