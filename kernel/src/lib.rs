//! What every protocol is written against.
//!
//! A protocol is a pure, deterministic state machine ([`Protocol`]): an
//! [`Input`] goes in, a list of [`Effect`]s comes out. This crate holds the
//! vocabulary of those inputs and effects and nothing that touches a clock, a
//! socket, a task or a thread, so the same replica code runs on HTTP nodes, in
//! the simulated world and in a checker.
//!
//! | module | what it defines |
//! | --- | --- |
//! | [`ids`] | replica, view, sequence number, digest, session, cluster |
//! | [`cluster`] | `n`, `f`, quorum, weak quorum, commander of a view |
//! | [`keys`] | key pairs, signatures, the keyring, batch verification |
//! | [`shares`] | signatures of one statement that add up to one |
//! | [`tags`] | keys that two participants share, and tags of requests under them |
//! | [`request`] | requests, authentic bundles of them, batches |
//! | [`reply`] | signed replies and the client's acceptance rule |
//! | [`votes`] | counting the votes of distinct replicas |
//! | [`wire`] | canonical bytes of a message, and admission: the one place where signatures are checked |
//! | [`protocol`] | `Protocol`, `Context`, `Input`, `Effect` |
//! | [`mark`] | trace events that hosts put the time on |
//! | [`observe`] | what an observer of a cluster is told, in every host |
//! | [`record`] | a replica built again from the inputs it was given |
//! | [`application`] | what a replica executes decided requests on |
//! | [`snapshot`] | a state in chunks, under one digest that commits to each |
//! | [`weakening`] | rules that tests switch off, to see a check fail |

pub mod application;
pub mod choose;
pub mod cluster;
pub mod ids;
pub mod keys;
pub mod mark;
pub mod observe;
pub mod protocol;
pub mod record;
pub mod reply;
pub mod request;
pub mod shares;
pub mod snapshot;
pub mod tags;
mod verification;
pub mod votes;
pub mod weakening;
pub mod wire;

pub use application::Application;
pub use choose::{Choose, SeededChoice};
pub use cluster::{Authentication, Cluster};
pub use ids::{ClusterId, Digest, Micros, ReplicaId, Seq, SessionId, View};
pub use keys::{Claim, Keyring, Signature, Signer};
pub use mark::{GenerationMark, Mark, Path, Phase, ViewMark};
pub use observe::{Content, Observation, Observer};
pub use protocol::{
    ChangeStatus, Context, Effect, Input, MembershipStatus, Protocol, Reading, Status, To, ViewStatus,
};
pub use record::Recorder;
pub use reply::{Reply, ReplyBundle};
pub use request::{
    Authenticator, Batch, Bundle, MAX_BUNDLE_BYTES, Operation, Output, Request, SESSIONS_KEPT,
};
pub use shares::{ShareClaim, ShareKey, Voters};
pub use snapshot::{CachedChunks, Chunk, Extent, ProvenChunk, Snapshot, share_chunks};
pub use tags::{SharedKeys, Tag};
pub use votes::{Tallied, VoteSet};
pub use weakening::{Weakening, weakened};
pub use wire::{
    Admission, Class, Falsify, Forgery, Reason, Rejection, StateForgery, Subject, Verified, WaitsFor, Wire,
};
