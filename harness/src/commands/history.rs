//! `harness history`.

use std::time::Duration;

use anyhow::Result;
use tokio::task::spawn_blocking;

use crate::base::console::say;
use crate::base::exit::{INTERRUPTED, NOT_MEASURED, UNSAFE, graver};
use crate::base::stop::Stop;
use crate::cli::HistoryArgs;
use crate::history::{file, judge};

/// Runs the command and returns the exit code: whether a history is not linearizable, or
/// nothing is known because the search took too long.
pub async fn run(args: HistoryArgs) -> Result<u8> {
    let stop = Stop::listen()?;
    let limit = Duration::from_secs(args.seconds);
    let mut code = 0;
    for path in &args.files {
        let history = file::read(path)?;
        let judged = tokio::select! {
            judged = spawn_blocking(move || judge(&history, limit)) => judged?,
            () = stop.wait() => return Ok(INTERRUPTED),
        };
        say(format_args!("{}: {judged}", path.display()));
        judged.violations.iter().for_each(say);
        for key in &judged.undetermined {
            say(format_args!("key {key:?}: not decided within {limit:?}; give more with --seconds"));
        }
        let outcome = match judged.violations.is_empty() {
            false => UNSAFE,
            true if judged.holds() => 0,
            true => NOT_MEASURED,
        };
        code = graver(code, outcome);
    }
    Ok(code)
}
