//! Flags of `load-overhead`.

use clap::Args;

/// Flags of `load-overhead`.
#[derive(Clone, Debug, Args)]
pub struct OverheadArgs {
    /// Clients with one request in flight each
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,512")]
    pub clients: Vec<usize>,
    /// Bytes of data in each request
    #[arg(long, value_name = "BYTES", default_value = "100")]
    pub payload: usize,
    /// Requests for each number of clients
    #[arg(long, value_name = "N", default_value = "50000")]
    pub requests: u64,
}
