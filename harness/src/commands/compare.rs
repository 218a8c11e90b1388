//! `harness compare`.

use anyhow::{Result, bail};

use crate::base::console::warn;
use crate::base::stop::Stop;
use crate::cli::CompareArgs;
use crate::costs::floor;
use crate::experiment::Experiment;
use crate::results::machine::default_results;

/// Runs the command and returns the exit code.
pub async fn run(args: CompareArgs) -> Result<u8> {
    let plan = args.plan()?;
    if args.out.resume && args.out.out.is_none() {
        bail!("--resume needs the folder of the stopped run: --out DIR");
    }
    let dir = args.out.out.unwrap_or_else(|| default_results(&plan.name));
    let experiment = Experiment::prepare(plan, &dir, args.out.resume, args.trace.to())?;
    let stop = Stop::listen()?;
    // What is gone on with keeps the floor that its first runs were compared with.
    if !experiment.dir().join(floor::FILE).exists() {
        let floors = tokio::select! {
            floors = floor::measure_quick(experiment.plan(), experiment.dir()) => floors,
            () = stop.wait() => Ok(()),
        };
        if let Err(error) = floors {
            warn(format_args!("The floor could not be measured, so no ratio to it is shown: {error:#}"));
        }
    }
    experiment.run(&stop).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::results::warnings::is_bounded;

    #[test]
    fn the_default_comparison_has_requests_enough_for_what_it_shows() {
        let Command::Compare(args) = Cli::parse_from(["harness", "compare"]).command else { panic!() };
        let plan = args.plan().unwrap();
        assert!(is_bounded(0.99, plan.requests * u64::from(plan.repetitions)));
    }
}
