//! `harness predict`.

use anyhow::Result;

use crate::cli::PredictArgs;
use crate::predict::run as predict;

/// Runs the command and returns the exit code.
pub async fn run(args: PredictArgs) -> Result<u8> {
    predict::run(args.plan(), args.out.as_deref()).await
}
