//! What a load is.

use std::net::SocketAddr;
use std::time::Duration;

use apps::AppName;
use client::driver::Setup;

use crate::plan::Load;

/// What to send, where and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Who takes the requests.
    pub targets: Targets,
    /// How requests come.
    pub load: Load,
    /// See [`crate::plan::OPEN_LOOP_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// How many requests.
    pub requests: u64,
    /// What is asked.
    pub app: AppName,
    /// Bytes of data in each.
    pub payload_bytes: usize,
    /// Bytes of values in the key-value store before the load.
    pub fill_bytes: u64,
    /// Seed of the data.
    pub seed: u64,
    /// The nodes' request timeout.
    pub timeout: Duration,
    /// See [`crate::plan::Plan::give_up_after`].
    pub give_up_after: u64,
}

/// Who takes the requests of a load.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Nodes to post to, round robin.
    Gateways {
        /// Their ids and addresses.
        nodes: Vec<(u16, SocketAddr)>,
        /// Connections to each, which its requests share.
        connections: usize,
    },
    /// All replicas, through a client with a key of its own.
    Replicas(Box<Setup>),
}

impl Targets {
    /// The ids under whose keys requests are signed, round robin.
    pub fn ids(&self) -> Vec<u16> {
        match self {
            Targets::Gateways { nodes, .. } => nodes.iter().map(|(id, _)| *id).collect(),
            Targets::Replicas(setup) => vec![setup.id.0],
        }
    }
}
