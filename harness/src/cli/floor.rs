//! Flags of `floor`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `floor`.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4,7")]
    pub nodes: Vec<u16>,
    /// Bytes of data in a request
    #[arg(long, value_name = "BYTES", default_value = "100")]
    pub payload: usize,
    /// Where floor.json goes [default: printed only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
