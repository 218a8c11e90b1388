//! The bank over HTTP: `/api/v1/bank` and what is below it. Amounts are whole numbers.

use super::decision::Decision;
use kernel::Seq;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `POST /api/v1/bank/accounts`: opens an account.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Open<'a> {
    /// Its name.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
}

/// `POST /api/v1/bank/deposit` and `/api/v1/bank/withdraw`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Payment<'a> {
    /// The account.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// How much.
    pub amount: u64,
}

/// `POST /api/v1/bank/transfer`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Transfer<'a> {
    /// Whose money it is.
    #[serde(borrow)]
    pub from: Cow<'a, str>,
    /// Whose it becomes.
    #[serde(borrow)]
    pub to: Cow<'a, str>,
    /// How much.
    pub amount: u64,
}

/// What is in an account, after an operation on it or when asked for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Balance<'a> {
    /// The account; after a transfer, the one that paid.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// What is in it now. None without consensus, where payments by others have no order with this operation;
    /// `/api/v1/bank/local` says what one node has.
    pub balance: Option<u64>,
    /// How that was decided.
    pub decision: Decision,
}

/// `GET /api/v1/bank/local?account=`: what this node's own state says. Others may be
/// further.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LocalBalance<'a> {
    /// The account.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// What is in it; none if there is no such account.
    pub balance: Option<u64>,
    /// The last slot that this node had executed.
    #[schemars(with = "u64")]
    pub as_of: Seq,
    /// Always true: no other node was asked.
    pub may_be_stale: bool,
}
