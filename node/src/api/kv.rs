//! The key-value store over HTTP: `/api/v1/kv` and what is below it.

use super::decision::Decision;
use kernel::Seq;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `POST /api/v1/kv`: sets a key's value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Put<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Its value from now on.
    #[serde(borrow)]
    pub value: Cow<'a, str>,
}

/// The answer to [`Put`].
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Stored<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Whether it had no value before.
    pub created: bool,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/kv?key=`: 200, or 404 if the key has no value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Value<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Its value.
    #[serde(borrow)]
    pub value: Option<Cow<'a, str>>,
    /// How that was decided.
    pub decision: Decision,
}

/// `DELETE /api/v1/kv?key=`: 200, or 404 if the key had no value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Deleted<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Whether it had a value.
    pub existed: bool,
    /// How that was decided.
    pub decision: Decision,
}

/// `POST /api/v1/kv/cas`: sets a key's value if it has the expected one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CompareAndSwap<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// The value that it must have; null if it must have none.
    #[serde(borrow)]
    pub expected: Option<Cow<'a, str>>,
    /// Its value from then on; null to take the key out.
    #[serde(borrow)]
    pub new: Option<Cow<'a, str>>,
}

/// The answer to [`CompareAndSwap`]: 200, or 409 if the value is another one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Compared<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Whether its value was the expected one and was set.
    pub swapped: bool,
    /// Its value now.
    #[serde(borrow)]
    pub current: Option<Cow<'a, str>>,
    /// How that was decided.
    pub decision: Decision,
}

/// A key and its value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// `GET /api/v1/kv?prefix=&after=&limit=`: the entries whose keys begin so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Listed {
    /// In the order of the keys.
    pub entries: Vec<Entry>,
    /// Whether there are more: ask again with `after` the last key.
    pub more: bool,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/kv/local?key=`: what this node's own state says. Others may be further.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct LocalValue<'a> {
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Its value.
    #[serde(borrow)]
    pub value: Option<Cow<'a, str>>,
    /// The last slot that this node had executed.
    #[schemars(with = "u64")]
    pub as_of: Seq,
    /// Always true: no other node was asked.
    pub may_be_stale: bool,
}

/// `GET /api/v1/kv/local?prefix=&after=&limit=`: likewise.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LocalList {
    /// In the order of the keys.
    pub entries: Vec<Entry>,
    /// Whether there are more: ask again with `after` the last key.
    pub more: bool,
    /// The last slot that this node had executed.
    #[schemars(with = "u64")]
    pub as_of: Seq,
    /// Always true: no other node was asked.
    pub may_be_stale: bool,
}
