//! Flags of `report`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
