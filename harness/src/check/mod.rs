//! Every interleaving of small scopes (see [`sim::checker`]): the scopes by name, and
//! for each whether it was exhausted or what bounded it.

pub mod forge;
pub mod named;
pub mod paper;
pub mod scopes;
pub mod search;
pub mod unordered;
