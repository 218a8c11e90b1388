//! Flags of `history`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// History files: JSON Lines, an operation in each
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Most seconds for the search on each key
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub seconds: u64,
}
