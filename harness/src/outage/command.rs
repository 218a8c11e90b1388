//! `harness outage` and `harness soak`: flags to a plan.

use anyhow::{Result, bail};

use super::{Outage, Victim};
use crate::cli::{OutageArgs, OutageLoad, SoakArgs};
use crate::compare::apply;
use crate::experiment::Experiment;
use crate::faults;
use crate::machine::default_results;
use crate::plan::Plan;
use crate::stop::Stop;

/// The plan that the flags of `harness outage` ask for.
pub fn outage_plan(args: &OutageArgs) -> Result<Plan> {
    let kill = match (args.kill, args.partition.is_empty()) {
        (None, true) => Some(Victim::Commander),
        (kill, _) => kill,
    };
    if kill == Some(Victim::InTurn) {
        bail!("`harness soak` kills nodes in turn; here give commander, communication-node or node:ID");
    }
    let outage = Outage {
        kill,
        at_s: args.at,
        restart_after_s: (!args.stay_down).then_some(args.restart_after),
        partition: args.partition.clone(),
        late_ms: args.late_ms,
    };
    plan("outage", &args.load, outage, 8.0, 3)
}

/// The plan that the flags of `harness soak` ask for.
pub fn soak_plan(args: &SoakArgs) -> Result<Plan> {
    let outage = Outage {
        kill: Some(Victim::InTurn),
        at_s: 1.0,
        restart_after_s: Some(args.down),
        late_ms: args.late_ms,
        ..Outage::default()
    };
    plan("soak", &args.load, outage, 120.0, 1)
}

fn plan(name: &str, load: &OutageLoad, outage: Outage, duration_s: f64, repetitions: u32) -> Result<Plan> {
    let mut plan = Plan {
        name: name.into(),
        protocols: load.protocol.clone(),
        nodes: load.nodes.clone(),
        rate: vec![load.rate],
        requests: (load.rate * load.duration.unwrap_or(duration_s)).max(0.0) as u64,
        warmup: 100,
        repetitions: load.repetitions.unwrap_or(repetitions),
        give_up_after: 0,
        outage: Some(outage),
        ..Plan::default()
    };
    let scenarios = faults::scenarios(&load.cluster.fault)?;
    plan.faults = scenarios.iter().map(ToString::to_string).collect();
    apply(&load.cluster, &mut plan);
    Ok(plan)
}

/// Runs `harness outage` and returns the exit code.
pub async fn run_outage(args: OutageArgs) -> Result<u8> {
    run(outage_plan(&args)?, args.load).await
}

/// Runs `harness soak` and returns the exit code.
pub async fn run_soak(args: SoakArgs) -> Result<u8> {
    run(soak_plan(&args)?, args.load).await
}

async fn run(plan: Plan, load: OutageLoad) -> Result<u8> {
    let dir = load.out.out.unwrap_or_else(|| default_results(&plan.name));
    let experiment = Experiment::prepare(plan, &dir, load.out.resume)?;
    experiment.run(&Stop::listen()?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(arguments: &[&str]) -> Result<Plan> {
        match Cli::try_parse_from(["harness"].iter().chain(arguments))?.command {
            Command::Outage(args) => outage_plan(&args),
            Command::Soak(args) => soak_plan(&args),
            _ => unreachable!(),
        }
    }

    #[test]
    fn the_flags_make_a_plan_that_can_run() {
        let outage = plan(&["outage"]).unwrap();
        assert_eq!(outage.outage.as_ref().unwrap().kill, Some(Victim::Commander));
        assert_eq!(outage.cells().unwrap().len(), 2);
        let soak = plan(&["soak", "--nodes", "7", "--duration", "30", "--rate", "100"]).unwrap();
        assert_eq!((soak.requests, soak.cells().unwrap().len()), (3000, 2));
        let cut = plan(&["outage", "--partition", "0|1,2,3:1..2", "--protocol", "pbft"]).unwrap();
        assert_eq!(cut.outage.as_ref().unwrap().kill, None);
        assert_eq!(cut.cells().unwrap().len(), 1);
        for (arguments, expected) in [
            (vec!["outage", "--kill", "in-turn"], "harness soak"),
            (vec!["outage", "--duration", "1"], "not while the load lasts"),
            (vec!["outage", "--duration=-1"], "not while the load lasts"),
            (vec!["outage", "--kill", "communication-node"], "pbft has no communication node"),
            (vec!["soak", "--nodes", "3"], "tolerates f = 0"),
        ] {
            let message = plan(&arguments).and_then(|plan| plan.cells()).unwrap_err().to_string();
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }
}
