//! Flags of `check`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Scopes, by the beginning of their names [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub scope: Vec<String>,
    /// Name all scopes and end
    #[arg(long)]
    pub list: bool,
    /// Most distinct states of a scope
    #[arg(long, value_name = "N", default_value = "5000000", value_parser = parse_at_least_one)]
    pub states: usize,
    /// Most seconds for a scope
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Most memory of the whole process, MiB
    #[arg(long, value_name = "MIB", default_value = "4096", value_parser = clap::value_parser!(u64).range(16..=1 << 20))]
    pub memory_mib: u64,
    /// Write the disagreement found as a sequence chart
    #[arg(long, value_name = "FILE")]
    pub example: Option<PathBuf>,
}

fn parse_at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number from 1".to_owned()),
    }
}
