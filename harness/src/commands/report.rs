//! `harness report`.

use anyhow::Result;

use crate::base::console::say;
use crate::cli::ReportArgs;
use crate::report::{self, table};

/// Runs the command and returns the exit code.
pub fn run(args: &ReportArgs) -> Result<u8> {
    let built = report::build(&args.dir)?;
    say(table::render(&built));
    say(format_args!("Report: {}", args.dir.join("report.html").display()));
    Ok(0)
}
