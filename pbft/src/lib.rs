//! Practical Byzantine Fault Tolerance, in the signature variant.
//!
//! Source: Castro & Liskov, *Practical Byzantine Fault Tolerance*, OSDI 1999
//! ("OSDI"), §4; sizes for `n ≠ 3f+1` as in [`kernel::Cluster::quorum`].
//!
//! # Roles and messages
//!
//! The *commander* of view `v` (the paper's primary) is replica `v mod n`; all
//! others are *backups*. The *gateway* is the node an HTTP client talks to: it
//! signs its clients' requests in bundles and gathers the replies. A *client* with a key
//! of its own does both itself, and speaks to all replicas.
//!
//! | upon | condition | a replica does |
//! | --- | --- | --- |
//! | requests | not commander | forward to the commander (§4.1) |
//! | requests | commander, fewer than `window` slots in flight | PRE-PREPARE to all (§4.2) |
//! | PRE-PREPARE | this view, inside the watermarks, first for its slot, batch matches digest, requests authentic | PREPARE to all (§4.2) |
//! | PREPAREs | proposal accepted and `q` replicas for it, the commander's proposal counting as its vote: *prepared* | COMMIT to all (§4.2) |
//! | COMMITs | `q` for one digest: *committed* | execute in order, REPLY to the gateway (§4.2) |
//! | requests | executed already | reply from the session table |
//! | a proposal or vote | its author said another thing before | refuse it; two proposals prove that the commander equivocates |
//! | resend timer | nothing executed, a slot or checkpoint open | own votes for it to all; the wait doubles |
//! | resend timer | at rest since the last | tell all how far this replica has executed |
//! | `f+1` replicas further ahead | – | the slots in between are stuck: ask for them |
//! | a stuck slot's votes | committed here | answer with a certificate; else with own votes |
//! | a certificate of `q` COMMITs | of any view, from anyone | the slot is committed |
//! | started again, with its journal | commander | leave the view: its proposals did not wait for the journal (ADR 39) |
//! | started again, with its journal | backup | no PREPARE in this view up to the high watermark, for the same reason |
//!
//! Checkpoints (§4.3) are specified in [`checkpoint`], state transfer (§4.6) in
//! [`transfer`], what a replica does whose state is wrong in [`divergence`], the
//! view change (§4.4) in [`view_change`], what is demanded of a commander in [`pace`], what a new view proposes and why that is
//! safe in [`new_view`], and what a replica does that lost its memory in
//! [`recovery`].
//!
//! # Deviations from the paper
//!
//! * Signatures instead of MACs, so votes are transferable and a certificate
//!   (a bundle of votes) proves as much as having received each vote.
//! * Requests are authenticated per bundle, by the key of a gateway or of a client that
//!   has one (ADR 0002).
//! * `q` COMMITs alone commit a slot, without this replica having prepared it:
//!   `f+1` honest replicas among them were prepared, which is all that the
//!   safety argument needs. The batch is fetched by digest where it is missing.
//! * Large requests bring checkpoints forward, so that what is kept is bounded in
//!   bytes and not only in slots. All replicas execute the same bytes, so they
//!   reach the same checkpoints.
//! * Replies carry no client timestamp but session and counter.
//! * A replica that left a view alone goes on learning in it, and one that decided
//!   a slot does not vote for it again in the next view ([`view_change`]).
//!
//! # Why it is safe
//!
//! Within a view: if two honest replicas commit `d` and `d'` for one slot, `q`
//! replicas sent COMMIT for each, so an honest one sent both; it does so only
//! when prepared for each, and by the same argument an honest replica would
//! have voted for both in PREPARE. An honest replica votes once per slot and
//! view ([`Core::accept`], [`Core::cast`]; a replica that may have forgotten what it voted for in a view
//! does not vote there, [`view_change`]), so `d = d'`. Across views: see
//! [`new_view`]. Execution follows sequence numbers without a gap, so logs are
//! equal; a state that is taken over is the one that a quorum vouched for.

pub mod checkpoint;
mod config;
mod core;
pub mod divergence;
mod execution;
pub mod fairness;
mod falsify;
pub mod mac;
mod message;
pub mod new_view;
pub mod pace;
pub mod recovery;
mod replica;
mod requests;
mod resend;
mod sessions;
mod slot;
pub mod transfer;
pub mod view_change;

pub use crate::core::{Core, PbftProtocol, Timer, Votes};
pub use config::Config;
pub use execution::Execution;
pub use message::{
    Certificate, CertificateKind, CheckpointVote, Message, NewView, Recollection, ShareSum, StableCheckpoint,
    ViewChange, Vote,
};
pub use replica::Replica;
pub use slot::{Round, Slot};
