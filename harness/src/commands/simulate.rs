//! `harness simulate`.

use anyhow::{Context, Result};

use crate::cli::SimulateArgs;
use crate::costs::work;
use crate::simulate::simulation::Simulation;
use crate::simulate::{all, swarm};

/// Runs the command and returns the exit code.
pub async fn run(args: SimulateArgs) -> Result<u8> {
    if let Some(schedule) = &args.schedule {
        return swarm::replay(schedule, args.trace.as_deref());
    }
    if args.swarm {
        let seeds = args.seeds.context("--swarm needs the seeds to draw from, such as --seeds 0..1000")?;
        return swarm::run(&args.protocol, seeds, args.disks, args.trace.as_deref()).await;
    }
    let network = args.network()?;
    let (plan, seeds) = args.plan(&network)?;
    let costs = work::resolve(&args.costs)?;
    let simulation =
        Simulation { plan, network, costs, real_signatures: args.real_signatures, seeds, trace: args.trace };
    all::run(&simulation, args.out.as_deref()).await
}
