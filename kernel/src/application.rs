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

    /// The whole state as bytes, for a replica that was left behind.
    fn snapshot(&self) -> Vec<u8>;

    /// The state that a snapshot holds; none if it is not one. Whoever restores
    /// compares the digest with one that is proven.
    fn restore(snapshot: &[u8]) -> Option<Self>;
}
