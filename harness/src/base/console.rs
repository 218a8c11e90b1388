//! Output for people.
//!
//! The standard macros end the process when the reader is gone (`harness … |
//! head`); a measurement goes on and a cluster is still stopped in order. A reader
//! that is gone wants no more; every other failure to write is noted, and ends the
//! program with a message and an exit code of its own in the end.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// The first failure to write, other than a reader that is gone.
static FAILURE: OnceLock<String> = OnceLock::new();

/// Prints a line to the standard output.
pub fn say(line: impl Display) {
    note(writeln!(io::stdout(), "{line}"));
}

/// Prints a line to the standard error.
pub fn warn(line: impl Display) {
    note(writeln!(io::stderr(), "{line}"));
}

/// A number of things: `1 cell`, `2 cells`.
pub fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Notes whether a line could be written.
pub fn note(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            FAILURE.get_or_init(|| error.to_string());
        }
        _ => {}
    }
}

/// Why some output could not be written; `None` if all was, or if its reader is
/// gone.
pub fn failure() -> Option<&'static str> {
    note(io::stdout().flush());
    FAILURE.get().map(String::as_str)
}
