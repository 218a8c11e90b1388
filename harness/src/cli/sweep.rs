//! Flags of `sweep`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use journal::Durability;

use super::load::replace;
use super::trace::TraceArgs;
use crate::plan::Plan;

/// Flags of `sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// The plan
    #[arg(value_name = "PLAN.toml")]
    pub plan: PathBuf,
    /// The result folder; must be empty or not exist [default: results/NAME, the name of the plan]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run of the same plan
    #[arg(long)]
    pub resume: bool,
    /// What the nodes' journals outlive, in place of what the plan says; comma-separated to compare
    #[arg(long, value_delimiter = ',', value_name = "off|on|fsync")]
    pub durability: Vec<Durability>,
    /// Whether it is recorded.
    #[command(flatten)]
    pub trace: TraceArgs,
}

impl SweepArgs {
    /// The plan of the file, with what the flags say in its place.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = Plan::read(&self.plan)?;
        replace(&mut plan.durability, &self.durability);
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn durability(file: &str, flags: &[&str]) -> Vec<Durability> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        std::fs::write(&path, file).unwrap();
        let typed = ["harness", "sweep", path.to_str().unwrap()];
        let Command::Sweep(args) = Cli::try_parse_from(typed.iter().chain(flags)).unwrap().command else {
            panic!("not sweep")
        };
        args.plan().unwrap().durability
    }

    #[test]
    fn a_flag_stands_in_for_what_the_plan_says() {
        let file = "durability = [\"on\"]";
        assert_eq!(durability(file, &[]), [Durability::On]);
        assert_eq!(durability(file, &["--durability", "off,fsync"]), [Durability::Off, Durability::Fsync]);
        assert_eq!(durability("nodes = [4]", &[]), [Durability::Off]);
        let refused = Cli::try_parse_from(["harness", "sweep", "x.toml", "--durability", "always"]);
        assert!(refused.unwrap_err().to_string().contains("there are off, on and fsync"));
    }
}
