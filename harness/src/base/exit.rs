//! The exit codes of all commands, and the error that has one of its own.

use std::fmt;

/// Safety was violated: honest nodes disagreed, or an acknowledged request was lost
/// or doubled, with at most `f` faulty nodes.
pub const UNSAFE: u8 = 1;
/// Of `client`: the answer is no. A key has no value, a swap found another, the set has
/// no such member, the application refuses, an answer does not prove itself.
pub const NO: u8 = 1;
/// Something stands in the way of running, or the output could not be written.
pub const UNUSABLE: u8 = 2;
/// Something that was due never came, with at most `f` faulty nodes: a request was
/// not decided, or nodes did not come back after an outage.
pub const NOT_LIVE: u8 = 3;
/// Something could not be measured, for a reason that says nothing about what was to
/// be measured: a port was taken, a process did not start, a disk was full.
pub const NOT_MEASURED: u8 = 4;
/// The run was interrupted.
pub const INTERRUPTED: u8 = 130;

/// The context of an error that kept something from being measured. Such an error is
/// no result: what it prevented is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMeasured;

impl fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not be measured")
    }
}

impl std::error::Error for NotMeasured {}

/// The context of an error that ended a run in which honest nodes disagreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsafe;

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("honest nodes disagreed")
    }
}

impl std::error::Error for Unsafe {}

/// The exit code of a command that ended with this error.
pub fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Unsafe>() {
        UNSAFE
    } else if error.is::<NotMeasured>() {
        NOT_MEASURED
    } else {
        UNUSABLE
    }
}

/// The graver of two exit codes: a violation, then what never came, then what was not
/// measured.
pub fn graver(one: u8, other: u8) -> u8 {
    let rank = |code: u8| [0, NOT_MEASURED, NOT_LIVE, UNSAFE].iter().position(|known| *known == code);
    if rank(other) > rank(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn what_could_not_be_measured_has_a_code_of_its_own() {
        let failed = || anyhow::anyhow!("port 8080 cannot be used");
        assert_eq!(code_of(&failed()), UNUSABLE);
        let error = Err::<(), _>(failed()).context(NotMeasured).context("the links").unwrap_err();
        assert_eq!(code_of(&error), NOT_MEASURED);
        assert_eq!(code_of(&failed().context(Unsafe)), UNSAFE);
        assert_eq!(graver(NOT_MEASURED, UNSAFE), UNSAFE);
        assert_eq!(graver(NOT_LIVE, NOT_MEASURED), NOT_LIVE);
        assert_eq!(graver(0, NOT_MEASURED), NOT_MEASURED);
    }
}
