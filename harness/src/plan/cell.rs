//! One combination of a plan's grid: what one cluster is and what it is asked.

use apps::AppName;
use journal::Durability;

use super::faults::Assignment;
use super::protocols::{ProtocolName, Via};

/// Largest payload that nodes take, bytes.
pub const MAX_PAYLOAD_BYTES: usize = 8 << 20;

/// Requests in flight at most in an open loop. Those beyond wait, and their
/// waiting counts.
pub const OPEN_LOOP_IN_FLIGHT: usize = 4096;

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// So many clients, each with one request in flight.
    Closed {
        /// Number of clients.
        clients: usize,
    },
    /// Requests due at a fixed rate, whatever becomes of earlier ones.
    Open {
        /// Requests per second.
        rate_per_s: f64,
    },
}

/// One combination of the grid.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its name in all files.
    pub name: String,
    /// The flow.
    pub protocol: ProtocolName,
    /// Number of nodes.
    pub nodes: u16,
    /// Who is faulty, and how.
    pub faults: Assignment,
    /// What is replicated.
    pub app: AppName,
    /// Bytes of data in each request.
    pub payload_bytes: usize,
    /// Most requests that one slot orders.
    pub batch: usize,
    /// How requests come.
    pub load: Load,
    /// How they reach the cluster.
    pub via: Via,
    /// What the nodes' journals outlive.
    pub durability: Durability,
    /// Delay on every peer link, microseconds.
    pub link_delay_us: u64,
    /// Loss on every peer link, a probability.
    pub link_loss: f64,
}

impl Cell {
    /// Faults that the flow tolerates at this size.
    pub fn f(&self) -> usize {
        self.protocol.tolerates(self.nodes)
    }

    /// The open loop's rate.
    pub fn rate_per_s(&self) -> Option<f64> {
        match self.load {
            Load::Open { rate_per_s } => Some(rate_per_s),
            Load::Closed { .. } => None,
        }
    }
}
