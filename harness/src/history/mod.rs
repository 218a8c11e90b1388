//! Histories of concurrent clients of the key-value store, and whether they are
//! linearizable (Herlihy and Wing 1990): whether every operation can have taken effect at
//! one moment between its call and its answer.
//!
//! The search is `porcupine-rs`' (ADR 24). Each key is a history of its own, because no
//! operation of a history touches two.

pub mod clients;
mod connection;
pub mod file;
pub mod judge;
mod model;
pub mod operation;

pub use judge::{Judgement, judge};
pub use operation::{Answer, Call, Operation, Returned};
