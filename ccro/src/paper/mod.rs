//! `ccro-paper`: one round of CCRO as published (CCRO paper §3.3), for
//! reproduction. **Not Byzantine-safe, and not crash-safe without synchrony.**
//!
//! # Roles
//!
//! A commander, a communication node, and `n−2` consensus nodes; `n ≥ 3f+3`, so
//! `f = ⌊(n−3)/3⌋`. The paper lets roles follow trust scores, of which all start
//! equal; until scores are measured, ties go to the lowest id: replica 0 is
//! commander and replica 1 communication node.
//!
//! # Messages
//!
//! | message | from | to | count |
//! | --- | --- | --- | --- |
//! | REQUEST (the block) | commander | all others | `n−1` |
//! | PRE-PREPARE | communication node | consensus nodes | `n−2` |
//! | PREPARE | consensus node with that block | communication node | `n−2` |
//! | COMMIT, on `2f+1` PREPAREs; no proof | communication node | consensus nodes | `n−2` |
//! | REPLY, having executed the block | consensus node | commander | `n−2` |
//! | STORE (the block), on `f+1` matching REPLYs | commander | all others | `n−1` |
//!
//! `5n−9` messages a decision, `6n−10` with storage. One round at a time.
//!
//! # Deviations from the paper
//!
//! * Messages are signed, as in all flows here, and requests authenticated.
//! * The commander passes the `f+1` matching REPLYs on to the gateway, which
//!   checks them as in every other flow.
//! * A node that saw COMMIT for a digest ignores a STORE of another.
//! * Replacing a node that is down, and running the round again, is not part of
//!   this version: a silent communication node stops the flow.
//!
//! # Why it is not safe
//!
//! COMMIT is one node's word. A communication node that announces one block to
//! some and, with a commander that equivocates, another to others makes honest
//! nodes execute different blocks.

mod falsify;
mod message;
mod replica;

pub use message::{Message, Statement, Step};
pub use replica::{Replica, Timer, max_faulty};
