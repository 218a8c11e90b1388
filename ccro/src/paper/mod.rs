//! `ccro-paper`: the round of CCRO as published (CCRO paper §3.1, §3.3), for
//! reproduction. **Not Byzantine-safe, and not crash-safe without synchrony.**
//!
//! # Roles
//!
//! A commander, a communication node, and `n−2` consensus nodes; `n ≥ 3f+3`, so
//! `f = ⌊(n−3)/3⌋`. Roles follow **trust**: the node with the highest trust is
//! commander, the next is communication node; among equals the lowest id comes
//! first, so at the start, when all have trust 5, these are replicas 0 and 1. Each
//! STORE publishes the trust of all nodes, and the roles of the next round are a
//! pure function of it. `GET /status` shows it, and [`kernel::ViewMark::Trusted`] marks
//! it in every round.
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
//! | STORE (the block, the new trust), on `f+1` matching REPLYs | commander | all others | `n−1` |
//!
//! `5n−9` messages a decision, `6n−10` with storage. One round at a time.
//!
//! # What is done upon what
//!
//! An *attempt* is one run of a round: how many of its commanders were found down,
//! then how many communication nodes of this commander ([`Attempt`]). Every step
//! names its attempt.
//!
//! | upon | condition | a node does |
//! | --- | --- | --- |
//! | requests | not commander | keep them until executed, forward them to the commander, start the round timer |
//! | requests | executed already | reply from the session table, to the gateway |
//! | requests, or a STORE | commander, no round open | REQUEST to all |
//! | REQUEST | of the commander of this attempt or a later one | take the block; communication node: PRE-PREPARE |
//! | REQUEST of a rerun | executed that block | REPLY at once; vote again when asked |
//! | | executed another block | refuse |
//! | PRE-PREPARE | holds that block | PREPARE |
//! | PREPAREs | communication node, `2f+1` that count | COMMIT, execute |
//! | COMMIT | holds that block | execute, REPLY |
//! | REPLYs | commander, `f+1` that match and count | pass them to the gateways, score, STORE, execute |
//! | STORE | – | execute what it says, adopt the trust: the round is over |
//! | STORE with another commander | requests waiting | forward them to it |
//! | round timer | commander | the communication node is *down*: REQUEST again, same block, the next in trust in its place |
//! | | commander, `f+2` communication nodes failed | step aside, as if found down |
//! | round timer | not commander | the commander is *down*: its place goes to the next in trust, who runs the round again with the block that it has, if any; forward what waits to it |
//! | a step of a later round | – | keep it; if the STOREs in between do not come, FETCH them |
//! | FETCH | – | the STOREs asked for, or a snapshot of the state if they are too long ago |
//! | REQUEST for a round long over | – | the STOREs since: its author missed them |
//!
//! The commander gives a communication node `resend_after`, the others give the
//! commander `request_after` (never less than twice as long), each counted from the
//! beginning of the attempt and doubled with every node found down in the round.
//!
//! # Trust
//!
//! Start 5, range 1 to 10, weights 0.4, 0.2, 0.4 and ±1.2 by response-time quintile
//! are the paper's; the formula is **a reconstruction** (see `trust.rs`):
//! `T' = 0.4·T + 0.2·B + 0.4·R`. So are these choices:
//!
//! * The commander measures, from its REQUEST to each REPLY. A round is scored with
//!   the STORE of the *next* one, so that REPLYs beyond the first `f+1` have until
//!   then to come.
//! * The commander's own time is 0, and the communication node's that of the first
//!   right REPLY, before which it must have announced. No consensus node is faster
//!   than that, so without faults both keep their lead, and with it their roles.
//! * Whoever was found down in a round counts as missing in it.
//! * The floors 9 and 8 for commander and communication node change nothing where
//!   the highest trust is taken in any case. A consensus node below its floor of 4
//!   is served and takes part as before, or it could never earn trust again, but its
//!   PREPARE and REPLY do not count as long as `2f+1` others reach the floor; in a
//!   rerun all count.
//!
//! # Deviations from the paper
//!
//! * Messages are signed, as in all flows here, and requests authenticated.
//! * The commander passes the matching REPLYs on to the gateway, which checks
//!   them as in every other flow.
//! * How a node is found down, how the round is run again and how a node catches up
//!   are worked out here; the paper says no more than that it happens.
//! * A snapshot is believed on its sender's word, like everything in this flow.
//!
//! # Why it is not safe
//!
//! * COMMIT is one node's word, without proof. A communication node that announces
//!   one block to some and, with a commander that equivocates, another to others
//!   makes honest nodes execute different blocks.
//! * A rerun has no lock: nothing binds a node to what was asked, voted or announced
//!   in an earlier attempt, except its own execution. That is enough while "no answer
//!   in time" means "down": a node that takes over as the next in trust is the one
//!   communication node that can have announced anything. Where a node is only slow,
//!   the block of one attempt may be executed by some nodes and a different block of
//!   the next attempt by others, all of them honest.
//! * STORE and takeover need nobody's consent: any node can declare itself commander
//!   at the attempt that makes it so.
//!
//! `ccro/tests/paper/runs.rs` has the first two written out, message by message.

mod falsify;
mod message;
mod recovery;
mod replica;
mod roles;
mod round;
mod stores;
mod waiting;

pub use message::{Message, Statement, Step};
pub use replica::{Replica, Timer, max_faulty};
pub use roles::Attempt;
