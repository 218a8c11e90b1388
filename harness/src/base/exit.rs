//! The exit codes of all commands.

/// Safety was violated: honest nodes disagreed, or an acknowledged request was lost
/// or doubled, with at most `f` faulty nodes.
pub const UNSAFE: u8 = 1;
/// Something stands in the way of running, or the output could not be written.
pub const UNUSABLE: u8 = 2;
/// Something that was due never came, with at most `f` faulty nodes: a request was
/// not decided, or nodes did not come back after an outage.
pub const NOT_LIVE: u8 = 3;
/// The run was interrupted.
pub const INTERRUPTED: u8 = 130;
