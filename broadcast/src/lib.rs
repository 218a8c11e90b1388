//! Secure broadcast: agreement without a leader, for data that needs no total order.
//!
//! Sources: Malkhi and Reiter, *A High-Throughput Secure Reliable Multicast Protocol*, 1997;
//! Guerraoui et al., *AT2: Asynchronous Trustworthy Transfers*, 2018.
//!
//! # Roles and messages
//!
//! All members are alike. Each is an **actor**: the requests of its clients are its operations, in
//! batches that it numbers from 1. So there are as many commanders as members, and none of them can
//! hold up another.
//!
//! | upon | condition | a member does |
//! | --- | --- | --- |
//! | requests | no batch of its own is on its way | `propose` to all: number, operations, and what they depend on |
//! | `propose` | the actor's batch before it and all that it depends on was applied here; every operation is valid; none of this number was validated | `validated` to the actor |
//! | | another one of this number came first | refuse it |
//! | `validated` at the actor | `q` members | `proof` to all |
//! | `proof` | the batch before it and all that it builds on was applied here | apply the batch, reply to the actor's clients |
//! | a timer, or something that shows that it lacks something | – | announce, ask, serve (`recovery.rs`) |
//!
//! `3(n−1)` messages a batch, three delays until all have applied it.
//!
//! # Why it is safe
//!
//! *No two proofs.* Two quorums share an honest member, which validates one batch of a
//! number. So all honest members apply the same batches of an actor, in the order of its numbers.
//!
//! *No validation at the end.* A quorum found the batch valid, so an honest member did, when it had applied
//! some batches of others. What is valid stays valid whatever others do ([`DataType`]). So a
//! member that has applied those as well may apply it, in whatever order they came. An honest actor names them. One that
//! does not delays itself: a member that has not validated the batch waits until it would, which comes
//! about, as those batches are proven.
//!
//! *Convergence.* Members that have applied as many batches of each actor have applied the same ones, and
//! their order does not matter.
//!
//! *Refusals.* An actor finds its own clients' requests invalid, and says so in the batch, so that all members
//! answer alike. It can lie about that to its own clients, and to nobody else; it could as well not
//! propose what they ask for.
//!
//! # What is given up
//!
//! Operations whose validity depends on what others do at the same time: two who draw on one
//! account, a name that only the first may take. An actor that equivocates stops its own
//! operations for good, and those of nobody else.
//!
//! A member that loses its memory does not know which numbers it has used, and which batches it has vouched for. It must
//! keep a journal. Without one it proposes nothing and vouches for nothing when it is there again.
//!
//! # Members, and what is forgotten
//!
//! Some of the cluster's nodes are members; one joins or leaves with a **generation** (`succession.rs`), on which the members
//! of the one before agree, together with the state that it begins with. So a generation is a checkpoint as well: what was
//! applied before the last one but one is forgotten, and who lacks it takes over the state (`snapshots.rs`). Validations name
//! their generation. What a generation has signed and not proven, the next one honours (ADR 32).
//!
//! | module | what it holds |
//! | --- | --- |
//! | `replica` | a member: validates, proves, applies |
//! | `recovery` | who lacks what, and gets it |
//! | `generation`, `succession` | what begins, and how members agree on it |
//! | `snapshots` | the state that a generation begins with |
//! | `membership` | who the members are, and who has asked for a change |
//! | `state` | what members have alike when they have applied the same |
//! | `statement` | what is signed of a batch |
//! | `message`, `falsify` | what members send, and how a faulty one falsifies it |
//! | `data`, `named`, `bank`, `logs`, `counter`, `orswot` | the data types (`docs/data-types.md`) |
//!
//! Here so far: requests of the nodes' own clients, not of clients with keys (ADR 31).

mod bank;
mod counter;
mod data;
mod falsify;
mod generation;
mod logs;
mod membership;
mod message;
mod named;
mod orswot;
mod recovery;
mod replica;
mod shared_map;
mod snapshots;
mod state;
mod statement;
mod succession;

pub use bank::Bank;
pub use counter::{Counter, CounterOperation, CounterOutput};
pub use data::DataType;
pub use generation::{
    Accepted, Ballot, Conclusion, Decision, Generation, NextRound, Obligation, OnGeneration, Report,
    Suggestion,
};
pub use logs::Logs;
pub use membership::Members;
pub use message::{Batch, Message, Progress, Proof, Remark, Validation};
pub use named::Data;
pub use orswot::Orswot;
pub use replica::{Config, Replica, Timer, slot};
pub use statement::Applied;
