//! `harness bench`.

use anyhow::Result;

use crate::bench::run::{self as bench, Bench};
use crate::cli::BenchArgs;
use crate::results::machine::default_results;

/// Runs the command and returns the exit code.
pub async fn run(args: BenchArgs) -> Result<u8> {
    bench::run(&Bench {
        flags: args.compare_flags()?,
        against: args.against,
        pairs: args.pairs,
        tolerated: args.tolerate / 100.0,
        out: args.out.unwrap_or_else(|| default_results("bench")),
    })
    .await
}
