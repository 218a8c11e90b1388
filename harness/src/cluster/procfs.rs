//! CPU time of processes, threads and the whole machine.

use std::fs;

use nix::time::{ClockId, clock_gettime};

/// Linux counts CPU time for users in hundredths of a second on every
/// architecture (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// Time of all cores since boot, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTicks {
    /// All of it.
    pub total: u64,
    /// Spent idle or waiting for a disk.
    pub idle: u64,
}

impl MachineTicks {
    /// Reads `/proc/stat`.
    pub fn now() -> Option<MachineTicks> {
        MachineTicks::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<MachineTicks> {
        // user nice system idle iowait irq softirq steal; the guest columns
        // after them are contained in user and nice.
        let columns: Vec<u64> = stat
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_whitespace()
            .take(8)
            .map(|column| column.parse().ok())
            .collect::<Option<_>>()?;
        let idle = columns.get(3)? + columns.get(4)?;
        Some(MachineTicks { total: columns.iter().sum(), idle })
    }
}

/// CPU time of a process, user and system, in ticks; `None` if it is gone.
pub fn process_ticks(pid: u32) -> Option<u64> {
    parse_stat_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in the second field may contain anything, so fields count from the
/// last closing parenthesis.
fn parse_stat_ticks(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// CPU time of this process's threads whose names start with `prefix`,
/// microseconds.
pub fn threads_cpu_us(prefix: &str) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let path = task.path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if !name.starts_with(prefix) {
            continue;
        }
        // schedstat counts nanoseconds; not every kernel has it.
        let nanos = fs::read_to_string(path.join("schedstat"))
            .ok()
            .and_then(|stat| stat.split_whitespace().next()?.parse::<u64>().ok());
        sum += match nanos {
            Some(nanos) => nanos / 1000,
            None => parse_stat_ticks(&fs::read_to_string(path.join("stat")).ok()?)? * TICK_US,
        };
    }
    Some(sum)
}

/// CPU time of the calling thread, microseconds.
pub fn this_thread_cpu_us() -> Option<u64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1000)
}

/// The CPU time of the machine, of our own processes, of the calling thread (the
/// load generator) and of node threads, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuMark {
    machine: Option<MachineTicks>,
    own_ticks: u64,
    load_us: Option<u64>,
    node_threads_us: Option<u64>,
}

/// What happened on the machine between two marks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuUse {
    /// Share of all cores' time spent idle.
    pub idle_share: Option<f64>,
    /// Share of all cores' time used by others.
    pub foreign_share: Option<f64>,
    /// CPU time of the load generator, microseconds.
    pub load_us: Option<u64>,
    /// CPU time of the threads that nodes share, microseconds.
    pub node_threads_us: Option<u64>,
}

/// Start of the names of threads that run nodes.
pub const NODE_THREADS: &str = "nodes-";

impl CpuMark {
    /// Now, with `pids` counted as ours beside this process.
    pub fn now(pids: &[u32]) -> CpuMark {
        let own = pids.iter().copied().chain([std::process::id()]);
        CpuMark {
            machine: MachineTicks::now(),
            own_ticks: own.filter_map(process_ticks).sum(),
            load_us: this_thread_cpu_us(),
            node_threads_us: threads_cpu_us(NODE_THREADS),
        }
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &CpuMark) -> CpuUse {
        let minus = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let shares = self.machine.zip(earlier.machine).and_then(|(now, then)| {
            // Ticks are coarse: a part that is shorter than a few has no shares.
            let total = now.total.saturating_sub(then.total);
            if total == 0 {
                return None;
            }
            let idle = now.idle.saturating_sub(then.idle).min(total);
            let own = self.own_ticks.saturating_sub(earlier.own_ticks);
            let foreign = (total - idle).saturating_sub(own);
            Some((idle as f64 / total as f64, foreign as f64 / total as f64))
        });
        CpuUse {
            idle_share: shares.map(|(idle, _)| idle),
            foreign_share: shares.map(|(_, foreign)| foreign),
            load_us: minus(self.load_us, earlier.load_us),
            node_threads_us: minus(self.node_threads_us, earlier.node_threads_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_read_by_column() {
        let stat = "cpu  10 2 30 400 50 6 7 8 999 999\ncpu0 1 1 1 1\n";
        assert_eq!(MachineTicks::parse(stat), Some(MachineTicks { total: 513, idle: 450 }));
        assert_eq!(MachineTicks::parse("intr 1"), None);
        let process = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 1 0 5";
        assert_eq!(parse_stat_ticks(process), Some(100));
    }

    #[test]
    fn shares_split_the_machine_into_idle_own_and_foreign() {
        let mark = |total, idle, own_ticks| CpuMark {
            machine: Some(MachineTicks { total, idle }),
            own_ticks,
            ..CpuMark::default()
        };
        let used = mark(200, 150, 40).since(&mark(100, 100, 10));
        assert_eq!((used.idle_share, used.foreign_share), (Some(0.5), Some(0.2)));
        assert_eq!(mark(100, 100, 10).since(&mark(100, 100, 10)).idle_share, None);
    }
}
