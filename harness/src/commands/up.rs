//! `harness up`.

use anyhow::Result;

use crate::cli::UpRest;
use crate::cluster::{ClusterSpec, up};
use crate::plan::ProtocolName;

/// Runs the command and returns the exit code.
pub async fn run(protocol: ProtocolName, args: UpRest) -> Result<u8> {
    let plan = args.plan(protocol)?;
    let cell = plan.cells()?.remove(0);
    let (logs, client_files) = (args.logs, args.client_files);
    up::run(&ClusterSpec { logs, client_files, ..ClusterSpec::of(&plan, &cell) }).await
}
