//! `harness check`.

use std::time::Duration;

use anyhow::Result;

use crate::check::search::{self, Bounds};
use crate::cli::CheckArgs;

/// Runs the command and returns the exit code.
pub async fn run(args: CheckArgs) -> Result<u8> {
    if args.list {
        search::list();
        return Ok(0);
    }
    let bounds = Bounds {
        states: args.states,
        time: Duration::from_secs(args.seconds),
        memory_bytes: args.memory_mib << 20,
    };
    search::run(&args.scope, bounds, args.example.as_deref()).await
}
