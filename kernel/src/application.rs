//! What a replica executes decided requests on.

use crate::ids::Digest;
use crate::request::Operation;
use std::fmt::Debug;
use std::hash::Hash;

/// A deterministic service: the same operations in the same order give the same
/// results and the same digest on every replica.
pub trait Application: Clone + Debug + Eq + Hash {
    /// Executes one operation and returns its result. Must not fail: an
    /// operation that makes no sense has a result that says so.
    fn execute(&mut self, operation: &Operation) -> Operation;

    /// Digest of the whole state, kept incrementally.
    fn digest(&self) -> Digest;
}
