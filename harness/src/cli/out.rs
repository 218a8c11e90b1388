//! Flags about the result folder.

use std::path::PathBuf;

use clap::Args;

/// Flags about the result folder.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct OutArgs {
    /// The result folder; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the stopped run in --out
    #[arg(long, requires = "out")]
    pub resume: bool,
}
