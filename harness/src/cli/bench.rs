//! Flags of `bench`.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use clap::{Args, Parser};

use super::{Cli, Command};

/// What both programs measure unless told otherwise.
const USUALLY: &str =
    "--protocol pbft,ccro --nodes 4 --clients 1,512 --fault none --requests 5000 --warmup 500";

/// Flags of `bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// Another build of this program, to compare this one with [default: none, this one is measured alone]
    #[arg(long, value_name = "PROGRAM")]
    pub against: Option<PathBuf>,
    /// How often each program runs every cell
    #[arg(long, value_name = "N", default_value = "6", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pairs: u32,
    /// By how much figures may differ without being called different, percent
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    pub tolerate: f64,
    /// Where bench.csv and the results of all runs go: a folder that is empty or does not exist [default: below results/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What is measured, as flags of `compare` behind `--` [default: --protocol pbft,ccro --nodes 4 --clients 1,512
    /// --fault none --requests 5000 --warmup 500]
    #[arg(last = true, value_name = "FLAGS")]
    pub flags: Vec<String>,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..100.0).contains(&percent) => Ok(percent),
        _ => Err("give percent from 0 up to 100, such as 5".into()),
    }
}

impl BenchArgs {
    /// The flags of `compare`, after a look at whether it understands them.
    ///
    /// # Errors
    ///
    /// If it does not, or if they say what `bench` says itself.
    pub fn compare_flags(&self) -> Result<Vec<String>> {
        if self.flags.is_empty() {
            return Ok(USUALLY.split(' ').map(str::to_owned).collect());
        }
        let typed = ["harness", "compare"].into_iter().chain(self.flags.iter().map(String::as_str));
        // As a whole sentence, it would say twice that it is an error.
        let plain =
            |error: clap::Error| anyhow!("{}", error.to_string().trim_start_matches("error: ").trim_end());
        let Command::Compare(args) = Cli::try_parse_from(typed).map_err(plain)?.command else {
            unreachable!("`compare` was asked for");
        };
        args.plan()?.cells()?;
        ensure!(
            args.out.out.is_none() && args.load.repetitions.is_none() && args.cluster.seed.is_none(),
            "leave --out, --repetitions and --seed out of the flags behind --: `bench` sets them for each run"
        );
        Ok(self.flags.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(typed: &[&str]) -> Result<Vec<String>> {
        let Command::Bench(args) = Cli::try_parse_from(["harness", "bench"].iter().chain(typed))?.command
        else {
            panic!("not bench")
        };
        args.compare_flags()
    }

    #[test]
    fn the_flags_of_compare_are_those_that_compare_understands() {
        let usually: Vec<&str> = USUALLY.split(' ').collect();
        let asked: Vec<&str> = ["--"].into_iter().chain(usually.iter().copied()).collect();
        assert_eq!(flags(&[]).unwrap(), flags(&asked).unwrap());
        assert_eq!(flags(&["--", "--nodes", "7"]).unwrap(), ["--nodes", "7"]);
        for (typed, says) in [
            (["--nodes", "x"], "invalid value 'x'"),
            (["--fault", "offline:9"], "offline"),
            (["--seed", "1"], "`bench` sets them"),
            (["--out", "there"], "`bench` sets them"),
        ] {
            let error = flags(&[&["--"][..], &typed].concat()).unwrap_err().to_string();
            assert!(error.contains(says) && !error.starts_with("error"), "{typed:?}: {error}");
        }
    }

    #[test]
    fn the_help_names_what_is_measured_usually() {
        let mut command = <Cli as clap::CommandFactory>::command();
        let help = command.find_subcommand_mut("bench").unwrap().render_long_help().to_string();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&help).contains(USUALLY), "{help}");
    }
}
