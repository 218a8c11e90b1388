//! Output for people.
//!
//! The standard macros end the process when the reader is gone (`harness … |
//! head`); a measurement goes on and a cluster is still stopped in order.

use std::fmt::Display;
use std::io::Write;

/// Prints a line to the standard output.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line to the standard error.
pub fn warn(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
