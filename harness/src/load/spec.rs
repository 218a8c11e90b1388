//! What a load is.

use std::net::SocketAddr;
use std::time::Duration;

use apps::AppName;

use crate::plan::Load;

/// What to send, where and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// The nodes to post to, round robin.
    pub gateways: Vec<(u16, SocketAddr)>,
    /// How requests come.
    pub load: Load,
    /// See [`crate::plan::OPEN_LOOP_IN_FLIGHT`].
    pub max_in_flight: usize,
    /// Connections to each gateway, which its requests share.
    pub connections: usize,
    /// How many requests.
    pub requests: u64,
    /// What is asked.
    pub app: AppName,
    /// Bytes of data in each.
    pub payload_bytes: usize,
    /// Seed of the data.
    pub seed: u64,
    /// The nodes' request timeout.
    pub timeout: Duration,
    /// See [`crate::plan::Plan::give_up_after`].
    pub give_up_after: u64,
}
