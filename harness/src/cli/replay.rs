//! Flags of `replay`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The folder of one node's journal, such as DIR/node-3; the node may be running
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Stop when this slot is executed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub to_seq: Option<u64>,
    /// Print only steps that are about this slot
    #[arg(long, value_name = "N")]
    pub slot: Option<u64>,
    /// Print what messages hold, all marks and timers, and what the replica knows after every step
    #[arg(long)]
    pub full: bool,
    /// Print a JSON object for each step
    #[arg(long)]
    pub json: bool,
}
