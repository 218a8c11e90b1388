//! What a node says of itself in few words.

use kernel::{ReplicaId, Seq, View};
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

/// `GET /health` and `GET /ready`: 200 if it is so, 503 if not.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is.
    pub ok: bool,
    /// Why not.
    pub problems: Vec<String>,
}
