//! `harness floor`.

use anyhow::Result;

use crate::cli::FloorArgs;
use crate::costs::floor;

/// Runs the command and returns the exit code.
pub async fn run(args: FloorArgs) -> Result<u8> {
    floor::run(&args.nodes, args.payload, args.out.as_deref()).await?;
    Ok(0)
}
