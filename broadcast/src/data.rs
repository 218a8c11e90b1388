//! What is replicated: a data type whose operations need no total order.

use kernel::{Operation, Output, ReplicaId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;

/// A data type for secure broadcast.
///
/// The operations of one actor are applied in its order; those of different actors
/// in any order that respects what each depends on. So two rules must hold, for
/// everything that [`DataType::validate`] lets through:
///
/// * **What is valid stays valid**, whatever operations of *other* actors are
///   applied in between.
/// * **The order does not matter**: operations of different actors that are both
///   valid give the same state and the same outputs in either order.
///
/// Operations that break these rules need consensus: for example an account that two may draw on.
///
/// Equal states are serialized alike: members vote on a digest of that.
pub trait DataType: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned {
    /// What `actor` is to broadcast for what its client asks, if that is not the same: with what it has
    /// seen in this state.
    ///
    /// # Errors
    ///
    /// The answer of a refusal.
    fn prepare(&self, _actor: ReplicaId, _asked: &Operation) -> Result<Option<Operation>, Output> {
        Ok(None)
    }

    /// Whether `actor` may do this in this state; if not, what it is answered.
    ///
    /// # Errors
    ///
    /// The answer of the refusal.
    fn validate(&self, actor: ReplicaId, operation: &Operation) -> Result<(), Output>;

    /// Does what was found valid, here or at a quorum of members. It is not
    /// validated again. The output must not depend on what other actors did.
    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output;

    /// Does it on a copy on which the operations of a batch are tried, one after the other. What no
    /// [`DataType::validate`] looks at can be left out.
    fn try_out(&mut self, actor: ReplicaId, operation: &Operation) {
        self.apply(actor, operation);
    }

    /// The answer to an operation that only reads, from this state. None if it is no such
    /// operation.
    fn query(&self, operation: &Operation) -> Option<Output>;
}
