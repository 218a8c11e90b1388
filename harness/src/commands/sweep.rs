//! `harness sweep`.

use std::path::Path;

use anyhow::Result;

use crate::base::stop::Stop;
use crate::cli::SweepArgs;
use crate::experiment::Experiment;

/// Runs the command and returns the exit code.
pub async fn run(args: SweepArgs) -> Result<u8> {
    let plan = args.plan()?;
    let dir = args.out.unwrap_or_else(|| Path::new("results").join(&plan.name));
    let experiment = Experiment::prepare(plan, &dir, args.resume, args.trace.to())?;
    experiment.run(&Stop::listen()?).await
}
