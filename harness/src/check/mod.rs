//! `harness check`: every interleaving of small scopes.

pub mod forge;
pub mod paper;
pub mod scopes;
