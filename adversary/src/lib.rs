//! Byzantine behaviours around any protocol.
//!
//! [`Adversary`] is a protocol around a protocol, with the same messages: it
//! filters what the honest replica inside gets to see and rewrites what it
//! wants done. It has its own node's key and no other, so it can do exactly
//! what a faulty node can. Behaviours combine; they are applied to each
//! outgoing message in the order of the list, except that `offline` overrides
//! everything.
//!
//! Faults of the network (delay or loss on every link) are not behaviours: they
//! are the host's.

mod adversary;
mod behaviour;

pub use adversary::{Adversary, Timer};
pub use behaviour::{Behaviour, Equivocation, ParseBehaviourError};
