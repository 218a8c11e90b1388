//! Flags of `sweep`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// The plan
    #[arg(value_name = "PLAN.toml")]
    pub plan: PathBuf,
    /// The result folder; must be empty or not exist [default: results/NAME, the name of the plan]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run of the same plan
    #[arg(long)]
    pub resume: bool,
}
