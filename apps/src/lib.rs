//! What consensus replicates.
//!
//! | application | operations | state |
//! | --- | --- | --- |
//! | [`OpaqueLog`] | any bytes | length and hash chain of a log |
//! | [`KvStore`] | [`KvOperation`]: get, put, delete, compare-and-swap, list by prefix | keys and values |
//! | [`Bank`] | [`BankOperation`]: open, deposit, withdraw, transfer, balance | accounts with whole amounts |
//! | [`Set`] | [`SetOperation`]: add, remove, contains, list by prefix | texts |
//!
//! Beside them, [`MembershipOperation`] is what clients ask of a cluster whose members change.
//!
//! [`Service`] is any of them, chosen by [`AppName`]. Operations and results have one
//! canonical encoding (postcard): bytes that are not what the encoder writes are refused,
//! by an answer that all replicas give alike.

mod bank;
mod codec;
mod kv;
mod membership;
mod opaque;
mod service;
mod set;
mod table;
pub mod workload;

pub use bank::{Bank, BankOperation, BankOutput, BankRefusal, MAX_ACCOUNT_BYTES};
pub use kv::{KvOperation, KvOutput, KvRefusal, KvStore, MAX_KEY_BYTES, MAX_LISTED, MAX_VALUE_BYTES};
pub use membership::{Change, MembershipOperation, MembershipOutput, MembershipRefusal};
pub use opaque::OpaqueLog;
pub use service::{AppName, Service, UnknownApp};
pub use set::{MAX_MEMBER_BYTES, Set, SetOperation, SetOutput, SetRefusal};
