//! The machine's monotonic clock.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`: the same clock in every process of the
/// machine, so that times noted by different nodes can be compared.
pub fn now_ns() -> u64 {
    // The clock exists on every Linux; there is nothing to fall back to.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC can be read");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
