//! What a node says of itself in few words.

use journal::Durability;
use kernel::{Digest, ReplicaId, Seq, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/state`, and `/api/v1/pbft/state` where the flow is `pbft`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct StateReport {
    /// The node.
    #[schemars(with = "u64")]
    pub replica: ReplicaId,
    /// The flow.
    pub protocol: String,
    /// The application.
    #[schemars(with = "String")]
    pub app: apps::AppName,
    /// `commander`, `communication_node`, `commander+communication_node` or `replica`.
    pub role: String,
    /// The view; none for a protocol without views.
    #[schemars(with = "Option<u64>")]
    pub view: Option<View>,
    /// The commander of that view.
    #[schemars(with = "Option<u64>")]
    pub commander: Option<ReplicaId>,
    /// Whether the node has left the view and waits for the next one.
    pub changing_view: bool,
    /// The last slot executed.
    #[schemars(with = "u64")]
    pub last_applied: Seq,
    /// The last checkpoint that a quorum has proven.
    #[schemars(with = "Option<u64>")]
    pub last_stable_checkpoint: Option<Seq>,
}

/// `GET /api/v1/state/digest`: what tells whether two nodes that have executed as much have the same state.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct StateDigest {
    /// The last slot executed.
    #[schemars(with = "u64")]
    pub last_applied: Seq,
    /// The digest of all that was executed up to it: log, application and sessions.
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
}

/// What the journal of a node has taken in; part of `GET /status`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// What it outlives: `on` the end of the process, `fsync` a loss of power as well.
    #[schemars(with = "String")]
    pub durability: Durability,
    /// Bytes that would be played if the node were started again now.
    pub bytes: u64,
    /// How often something was written since the node was started.
    pub writes: u64,
    /// Messages, replies and marks that wait for the disk.
    pub effects_waiting: u64,
    /// Why it has ended, if it has: then the node takes part in nothing more.
    pub failure: Option<String>,
}

/// `GET /health` and `GET /ready`: 200 if it is so, 503 if not.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is.
    pub ok: bool,
    /// Why not.
    pub problems: Vec<String>,
}
