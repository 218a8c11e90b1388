//! The simulated world: the replicas that run on HTTP nodes, with the same
//! adversaries around them, under virtual time and a seeded network.
//!
//! The same seed gives the same run, event by event ([`World::digest`]). The
//! [`oracles`] judge what happened and share no code with what they judge.

pub mod checker;
pub mod oracles;
mod world;

pub use world::{Executed, Network, Outcome, World};
