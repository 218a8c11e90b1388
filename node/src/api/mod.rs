//! What a node answers over HTTP: the types that it writes and that its users read.
//! Times are microseconds unless the name says otherwise.

pub mod bank;
mod decision;
pub mod kv;
pub mod members;
pub mod set;
mod state;

pub use decision::{Decision, Refused};
pub use state::{JournalReport, Readiness, StateDigest, StateReport};

use adversary::Behaviour;
use client::Evidence;
use kernel::{Path, ReplicaId, Seq, Status, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub use crate::config::LinkConditions;
pub use crate::host::counters::CounterReport;
pub use crate::host::slot_log::{LogReport, SlotRow};

/// What became of a client's request.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeName {
    /// `f+1` nodes agree on its result.
    Decided,
    /// They did not in time.
    Timeout,
}

/// `POST /preprepare`: what is to be decided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Any text; what is no string is taken as compact JSON.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

/// `POST /preprepare`, 200: the request is decided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Decided<'a> {
    /// Always [`OutcomeName::Decided`].
    pub outcome: OutcomeName,
    /// The flow.
    #[serde(borrow)]
    pub protocol: Cow<'a, str>,
    /// The node that was asked.
    #[schemars(with = "u64")]
    pub node: ReplicaId,
    /// The slot that ordered the request.
    #[schemars(with = "u64")]
    pub seq: Seq,
    /// The view in which a replica executed it.
    #[schemars(with = "u64")]
    pub view: View,
    /// How the slot was committed; none while it is not committed at this node, as
    /// the replies of others may be faster.
    #[schemars(with = "Option<String>")]
    pub path: Option<Path>,
    /// From the receipt of the request to the `f+1`st matching reply, in seconds,
    /// rounded to microseconds.
    pub consensus_time_s: f64,
    /// The same, not rounded, in microseconds.
    pub consensus_us: f64,
    /// When the request was received, nanoseconds on the machine's monotonic clock.
    pub received_ns: u64,
    /// Matching replies.
    pub replies: usize,
    /// What the application answered; what is not text, as `hex:…`.
    #[serde(borrow)]
    pub result: Cow<'a, str>,
    /// The votes that each node had received for the slot when it replied; at the
    /// node that was asked, by now.
    pub nodes: Vec<NodeTally>,
    /// The nodes that have not replied yet.
    #[schemars(with = "Vec<u64>")]
    pub not_answered: Vec<ReplicaId>,
    /// As in [`Decision::evidence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub evidence: Option<Box<Evidence>>,
}

/// `POST /preprepare`, 504: the request was not decided in time. It has no time.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct Undecided<'a> {
    /// Always [`OutcomeName::Timeout`].
    pub outcome: OutcomeName,
    /// What is known, and what may help.
    #[serde(borrow)]
    pub error: Cow<'a, str>,
    /// Replies held that agree with each other.
    pub replies: usize,
    /// The slot that this node would execute next; none in a protocol in which slots have no order.
    #[schemars(with = "Option<u64>")]
    pub undecided_slot: Option<Seq>,
    /// The votes for that slot, as in [`Decided::nodes`].
    pub nodes: Vec<NodeTally>,
    /// The nodes of which no reply for that slot is known.
    #[schemars(with = "Vec<u64>")]
    pub not_answered: Vec<ReplicaId>,
}

/// One node's tally of a slot.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTally {
    /// The node.
    #[schemars(with = "u64")]
    pub node: ReplicaId,
    /// Votes for the decided digest.
    pub correct: u64,
    /// All other votes and proposals.
    pub corrupt: u64,
}

/// Any refusal.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer<'a> {
    /// What is wrong, and what to do.
    #[serde(borrow)]
    pub error: Cow<'a, str>,
}

/// `GET` and `POST /faults`: the behaviours of a node; also what is posted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// None if it is honest.
    #[schemars(with = "Vec<String>")]
    pub faults: Vec<Behaviour>,
}

/// `POST /peer`, once the peer has ended its link in order, and `POST /peer/hello`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LinkEnded {}

/// `GET /status`: what a node says of itself.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
pub struct StatusReport {
    /// The node.
    #[schemars(with = "u64")]
    pub id: ReplicaId,
    /// Its process.
    pub pid: u32,
    /// The flow.
    pub protocol: String,
    /// The application.
    #[schemars(with = "String")]
    pub app: apps::AppName,
    /// `commander`, `communication_node`, `commander+communication_node` or
    /// `replica`.
    pub role: String,
    /// Nodes in the cluster.
    pub nodes: u16,
    /// Faults that the flow tolerates.
    pub f: usize,
    /// Votes that decide.
    pub quorum: usize,
    /// The replica's view, commander, communication node, executed slots.
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub replica: Status,
    /// Peers that take messages now.
    pub peers_reachable: usize,
    /// All other nodes.
    pub peers_expected: usize,
    /// Each of them.
    pub peers: Vec<PeerReport>,
    /// The behaviours on this node; none if it is honest.
    #[schemars(with = "Vec<String>")]
    pub faults: Vec<Behaviour>,
    /// Requests whose clients wait at this node.
    pub requests_in_flight: usize,
    /// Counts since the start.
    pub counters: CounterReport,
    /// Its journal; none if it keeps none.
    pub journal: Option<JournalReport>,
}

/// One peer as a node sees it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
pub struct PeerReport {
    /// The peer.
    #[schemars(with = "u64")]
    pub id: ReplicaId,
    /// Where it listens.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Whether the link to it is up.
    pub reachable: bool,
}
