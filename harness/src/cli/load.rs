//! Flags about the load.

use clap::Args;
use journal::Durability;

use crate::plan::{Gateway, Plan, Via};

/// Flags about requests, on real nodes and simulated ones.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct RequestArgs {
    /// Clients with one request in flight each (closed loop) [default: 1]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub clients: Vec<usize>,
    /// Requests due per second, whatever becomes of earlier ones (open loop; --clients then means nothing)
    #[arg(long, value_delimiter = ',', value_name = "PER_SECOND")]
    pub rate: Vec<f64>,
    /// Bytes of data in each request [default: 100]
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub payload: Vec<usize>,
    /// Most requests that one slot orders [default: 256]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub batch: Vec<usize>,
    /// The node that the load is posted to: auto (the commander, or the lowest honest node), spread, or an id [default: auto]
    #[arg(long, value_name = "NODE")]
    pub gateway: Option<Gateway>,
}

impl RequestArgs {
    /// Puts the flags about requests into a plan.
    pub(super) fn put_into(&self, plan: &mut Plan) {
        replace(&mut plan.clients, &self.clients);
        replace(&mut plan.rate, &self.rate);
        replace(&mut plan.payload_bytes, &self.payload);
        replace(&mut plan.batch, &self.batch);
        plan.gateway = self.gateway.unwrap_or(plan.gateway);
    }
}

/// Flags about load on real nodes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Port of the first node, the others' following [default: free ports]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Cut a cell short after so many undecided requests in a row with none decided; 0 never [default: 2]
    #[arg(long, value_name = "N")]
    pub give_up_after: Option<u64>,
    /// Measured requests in each cell and repetition [default: 150]
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// Requests before those, which are not recorded [default: 10]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u64>,
    /// How often every cell runs [default: 3]
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// How requests reach the cluster: by http to a node, or by a client with a key of its own, connected to all
    /// nodes; comma-separated to compare [default: http]
    #[arg(long, value_delimiter = ',', value_name = "HOW")]
    pub via: Vec<Via>,
    /// What the nodes' journals outlive: nothing (off: there are none), the end of a process (on), a loss of power as
    /// well (fsync); comma-separated to compare [default: off]
    #[arg(long, value_delimiter = ',', value_name = "off|on|fsync")]
    pub durability: Vec<Durability>,
    /// HTTP/2 connections to each gateway, which the clients share [default: 4]
    #[arg(long, value_name = "N")]
    pub connections: Option<usize>,
    /// What is asked for.
    #[command(flatten)]
    pub asked: RequestArgs,
    /// Delay on every peer link, microseconds
    #[arg(long, value_delimiter = ',', value_name = "US")]
    pub link_delay_us: Vec<u64>,
    /// Loss on every peer link, a probability
    #[arg(long, value_delimiter = ',', value_name = "P")]
    pub link_loss: Vec<f64>,
}

/// Puts a list that was given in the place of the default.
pub(super) fn replace<T: Clone>(list: &mut Vec<T>, given: &[T]) {
    if !given.is_empty() {
        *list = given.to_vec();
    }
}
