//! What a replica executes decided requests on.

use crate::request::{Operation, Output};
use crate::snapshot::Chunk;
use std::fmt::Debug;
use std::hash::Hash;

/// A deterministic service: the same operations in the same order give the same
/// results and the same state on every replica.
pub trait Application: Clone + Debug + Eq + Hash {
    /// Executes one operation and returns its result. Must not fail: an
    /// operation that makes no sense has a result that says so.
    fn execute(&mut self, operation: &Operation) -> Output;

    /// The result of an operation that only reads, without executing it. It is what
    /// [`Application::execute`] would return in this state, which that would leave
    /// as it is; so a read that cannot be answered without agreement can be ordered
    /// instead, as the same bytes. None if the operation may change the state or
    /// makes no sense: it must be ordered.
    fn query(&self, operation: &Operation) -> Option<Output>;

    /// The whole state in chunks, in a canonical form: equal states give equal chunks on
    /// every replica. It is asked for at every checkpoint, so an application with much
    /// state keeps the chunks that did not change and makes the others anew. No chunk
    /// is empty or larger than [`Chunk::MOST_BYTES`].
    fn snapshot(&mut self) -> Vec<Chunk>;

    /// The state that these chunks hold; none if they hold none. They are what a
    /// quorum vouched for, one by one.
    fn restore(chunks: &[Chunk]) -> Option<Self>;

    /// The same. What it has in common with this state need not be read again: a replica
    /// that was left behind a little with a large state is back soon.
    fn restore_over(&self, chunks: &[Chunk]) -> Option<Self> {
        Self::restore(chunks)
    }
}
