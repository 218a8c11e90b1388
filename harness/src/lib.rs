//! Starts clusters of localhost HTTP nodes, drives decisions through them under
//! faults, measures, and reports.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`cli`] | the command line as typed |
//! | [`plan`], [`faults`] | what it means: a grid of cells, faulty nodes drawn |
//! | [`protocols`] | the flows, and the one place where their replicas are made |
//! | [`cluster`], [`node_command`], [`ports`], [`limits`] | nodes as processes or tasks |
//! | [`load`] | the load generator, closed and open loop |
//! | [`observe`], [`audit`], [`procfs`] | status, logs and their comparison, CPU time |
//! | [`measure`], [`rows`] | one run of one cell, and its rows |
//! | [`experiment`], [`store`], [`machine`], [`stop`] | all cells into a folder that can be resumed |
//! | [`outage`] | kills, restarts and cuts under load, and what clients see of them |
//! | [`report`] | from raw files to statistics, plots and pages |
//! | [`check`] | every interleaving of small scopes |
//! | [`console`], [`http`] | printing, and a small HTTP client |
//! | [`simulate`] | the same in virtual time |
//! | [`predict`] | how well that foretells real nodes |
//! | [`compare`], [`sweep`], [`up`], [`floor`], [`overhead`] | the commands |

pub mod audit;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod compare;
pub mod console;
pub mod experiment;
pub mod faults;
pub mod floor;
pub mod http;
pub mod limits;
pub mod load;
pub mod machine;
pub mod measure;
pub mod node_command;
pub mod observe;
pub mod outage;
pub mod overhead;
pub mod plan;
pub mod ports;
pub mod predict;
pub mod procfs;
pub mod protocols;
pub mod report;
pub mod rows;
pub mod simulate;
pub mod stop;
pub mod store;
pub mod sweep;
pub mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::task::LocalSet;

use cli::{Cli, Command, UpRest};
use protocols::ProtocolName;

/// Exit code for everything that stands in the way of running.
const UNUSABLE: u8 = 2;

/// The `harness` command.
pub fn main() -> ExitCode {
    let cli = cli::read::<Cli>();
    finish(match cli.command {
        Command::Node => node_command::run(),
        Command::Check(args) => run(check::run(args)),
        Command::Compare(args) => run(compare::run(*args)),
        Command::Sweep(args) => run(sweep::run(args)),
        Command::Outage(args) => run(outage::command::run_outage(args)),
        Command::Soak(args) => run(outage::command::run_soak(args)),
        Command::Up(args) => run(up::run(args.protocol, args.rest, None)),
        Command::Floor(args) => run(async { floor::run(args).await.map(|()| 0) }),
        Command::LoadOverhead(args) => run(overhead::run(args)),
        Command::Simulate(args) => run(simulate::run(*args)),
        Command::Predict(args) => run(predict::run(args)),
        Command::Report(args) => report::build(&args.dir).map(|built| {
            console::say(report::table::render(&built));
            console::say(format_args!("Report: {}", args.dir.join("report.html").display()));
            0
        }),
    })
}

/// A command that is `harness up` with its protocol fixed.
pub fn main_of(protocol: ProtocolName) -> ExitCode {
    #[derive(Debug, Parser)]
    #[command(
        version,
        about = "Starts a cluster that stays up until Ctrl-C; like `harness up` with the protocol fixed"
    )]
    struct Fixed {
        #[command(flatten)]
        rest: UpRest,
    }
    // The nodes are this same program, called again.
    if std::env::args().nth(1).as_deref() == Some("node") {
        return finish(node_command::run());
    }
    finish(run(up::run(protocol, cli::read::<Fixed>().rest, None)))
}

fn run(command: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, command);
    // Nobody waits for a thread that still reads a dead node's output.
    runtime.shutdown_background();
    result
}

fn finish(result: Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::warn(format_args!("error: {error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}
