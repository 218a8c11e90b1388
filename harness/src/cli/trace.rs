//! Flags about recording runs.

use std::path::PathBuf;

use clap::Args;

use crate::plan::trace::TraceTo;

/// Flags about recording runs of real nodes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Recording")]
pub struct TraceArgs {
    /// Record every message, vote and change of state into this file, which is replaced if it exists. Of several runs,
    /// each has a file with the cell's name and the repetition in it: run.trace becomes run-pbft-n4-none-0.trace. All
    /// times then include the recording
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// What all nodes of a run record together at most, megabytes: the trace ends there, and the run goes on. A request
    /// takes about 10 KB with 4 nodes; putting a trace together takes five times its size in memory
    #[arg(long, value_name = "MB", default_value = "256", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub trace_mb: u64,
}

impl TraceArgs {
    /// Where runs are recorded, if they are to be.
    pub fn to(&self) -> Option<TraceTo> {
        let file = self.trace.clone()?;
        Some(TraceTo { file, limit_bytes: self.trace_mb * 1_000_000 })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    #[test]
    fn a_run_is_recorded_if_that_is_asked_for() {
        let to = |flags: &[&str]| {
            let cli = Cli::try_parse_from(["harness", "up"].iter().chain(flags)).ok()?;
            let Command::Up(args) = cli.command else { panic!("not up") };
            Some(args.rest.trace.to().map(|to| to.limit_bytes))
        };
        assert_eq!(to(&[]), Some(None));
        assert_eq!(to(&["--trace", "run.trace"]), Some(Some(256_000_000)));
        assert_eq!(to(&["--trace", "run.trace", "--trace-mb", "2"]), Some(Some(2_000_000)));
        assert_eq!(to(&["--trace", "run.trace", "--trace-mb", "0"]), None);
    }
}
