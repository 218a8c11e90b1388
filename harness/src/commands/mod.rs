//! One file for each command: it joins what was typed with what runs it, and decides
//! nothing itself.

pub mod bench;
pub mod check;
pub mod client;
pub mod compare;
pub mod demo;
pub mod endure;
pub mod floor;
pub mod history;
pub mod init;
pub mod load_overhead;
pub mod node;
pub mod outage;
pub mod predict;
pub mod replay;
pub mod report;
pub mod simulate;
pub mod sweep;
pub mod trace;
pub mod up;
pub mod verify;
pub mod view;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::task::LocalSet;

use crate::base::console;
use crate::base::exit::{UNUSABLE, code_of};
use crate::cli::{self, Cli, Command, FixedUp};
use crate::cluster::node::run_from_input;
use crate::plan::ProtocolName;

/// The `harness` command.
pub fn main() -> ExitCode {
    let cli: Cli = match read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    finish(match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Node(args) => node::run(&args),
        Command::NodeFromInput => run_from_input(),
        Command::Client(args) => block_on(client::run(args)),
        Command::Bench(args) => block_on(bench::run(args)),
        Command::Check(args) => block_on(check::run(args)),
        Command::Compare(args) => block_on(compare::run(*args)),
        Command::Sweep(args) => block_on(sweep::run(args)),
        Command::Outage(args) => block_on(outage::run(args)),
        Command::Soak(args) => block_on(outage::run_soak(args)),
        Command::Endure(args) => block_on(endure::run(args)),
        Command::History(args) => block_on(history::run(args)),
        Command::Up(args) => block_on(up::run(args.protocol, args.rest)),
        Command::View(args) => block_on(view::run(args)),
        Command::Floor(args) => block_on(floor::run(args)),
        Command::LoadOverhead(args) => block_on(load_overhead::run(args)),
        Command::Simulate(args) => block_on(simulate::run(*args)),
        Command::Predict(args) => block_on(predict::run(args)),
        Command::Report(args) => report::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Replay(args) => replay::run(&args),
    })
}

/// A command that is `harness up` with its protocol fixed.
pub fn main_of(protocol: ProtocolName) -> ExitCode {
    // The nodes are this same program, called again.
    if std::env::args_os().nth(1).is_some_and(|word| word == "node-from-input") {
        return finish(run_from_input());
    }
    match read::<FixedUp>() {
        Ok(fixed) => finish(block_on(up::run(protocol, fixed.rest))),
        Err(code) => code,
    }
}

/// What was typed; else the exit code, after saying what is wrong with it or what was
/// asked for.
fn read<C: Parser>() -> Result<C, ExitCode> {
    cli::read().map_err(|error| {
        console::note(error.print());
        finish(Ok(error.exit_code() as u8))
    })
}

fn block_on(command: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, command);
    // Nobody waits for a thread that still reads a dead node's output.
    runtime.shutdown_background();
    result
}

fn finish(result: Result<u8>) -> ExitCode {
    let mut code = result.unwrap_or_else(|error| {
        console::warn(format_args!("error: {error:#}"));
        code_of(&error)
    });
    if let Some(failure) = console::failure() {
        console::warn(format_args!(
            "error: some of the output could not be written: {failure}; send it where there is room for it"
        ));
        code = if code == 0 { UNUSABLE } else { code };
    }
    ExitCode::from(code)
}
