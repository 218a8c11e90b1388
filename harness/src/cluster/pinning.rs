//! Nodes on cores of their own.

use anyhow::{Result, anyhow};

/// Keeps the calling thread on one core.
pub fn pin_to(core: usize) -> Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core)
        .and_then(|()| sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|error| anyhow!("cannot pin to core {core}: {error}; leave out pin"))
}
