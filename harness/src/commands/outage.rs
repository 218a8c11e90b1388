//! `harness outage` and `harness soak`.

use anyhow::Result;

use crate::base::stop::Stop;
use crate::cli::outage::OutageLoad;
use crate::cli::{OutageArgs, SoakArgs};
use crate::experiment::Experiment;
use crate::plan::Plan;
use crate::results::machine::default_results;

/// Runs `harness outage` and returns the exit code.
pub async fn run(args: OutageArgs) -> Result<u8> {
    run_plan(args.plan()?, args.load).await
}

/// Runs `harness soak` and returns the exit code.
pub async fn run_soak(args: SoakArgs) -> Result<u8> {
    run_plan(args.plan()?, args.load).await
}

async fn run_plan(plan: Plan, args: OutageLoad) -> Result<u8> {
    let dir = args.out.out.unwrap_or_else(|| default_results(&plan.name));
    let experiment = Experiment::prepare(plan, &dir, args.out.resume, args.trace.to())?;
    experiment.run(&Stop::listen()?).await
}
