//! `harness load-overhead`.

use anyhow::Result;

use crate::cli::OverheadArgs;
use crate::costs::overhead;

/// Runs the command and returns the exit code.
pub async fn run(args: OverheadArgs) -> Result<u8> {
    overhead::print_each(&args.clients, args.payload, args.requests).await?;
    Ok(0)
}
