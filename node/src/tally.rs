//! Votes of one slot, counted.

use serde::{Deserialize, Serialize};

/// Votes received, sorted out.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// For the digest that is right.
    pub correct: u64,
    /// All else.
    pub corrupt: u64,
}
