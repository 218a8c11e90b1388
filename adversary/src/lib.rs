//! Byzantine behaviours around any protocol.
//!
//! [`Adversary`] is a protocol around a protocol, with the same messages: it
//! filters the inputs of the honest replica inside and rewrites its effects. It has its own node's key and no other, so it can do exactly
//! what a faulty node can; what it needs to know of a protocol's messages is
//! [`kernel::Falsify`]. Behaviours combine: they are applied to each outgoing
//! message in the order of the list. Each may have conditions ([`Trigger`]).
//!
//! | behaviours | where |
//! | --- | --- |
//! | the text forms, conditions | [`Behaviour`], [`Trigger`] |
//! | offline, withhold, partial, drop, delay, duplicate, reorder | `outgoing.rs` |
//! | malicious, equivocate, forge, bad-state | `altering.rs` |
//! | equivocate by several nodes with one plan | `collusion.rs` |
//! | amnesia, diverge, twins | `adversary/instances.rs` |
//! | ignore-gateway, gateway-last, small-batches | `adversary/requests.rs` |
//! | replay, flood, view-change-spam, mac-attack | `adversary/background.rs` |
//!
//! Everything is deterministic: chance goes through `Context::choose`, time
//! comes from `Context::now` and from timers. (Where a host lends no time, as a
//! checker does not, it is always 0.)
//!
//! Faults of the network (delay or loss on every link) are not behaviours: they
//! are the host's.

mod adversary;
mod altering;
mod behaviour;
mod collusion;
mod outgoing;
mod text;
mod trigger;

pub use adversary::{Adversary, Timer};
pub use behaviour::{Act, Behaviour, Equivocation, KNOWN, ParseBehaviourError, Split, StateFault};
pub use outgoing::REPLY;
pub use trigger::{Span, Trigger};
