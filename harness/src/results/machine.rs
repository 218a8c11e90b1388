//! `machine.json`: where and with what a result was measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde::Serialize;

/// The machine, its limits, the versions and the command.
#[derive(Debug, Serialize)]
pub struct Machine {
    cores: usize,
    cpu_model: String,
    memory_bytes: Option<u64>,
    kernel: String,
    rustc: &'static str,
    version: &'static str,
    optimised: bool,
    commit: String,
    nofile_soft: Option<u64>,
    nofile_hard: Option<u64>,
    nproc_soft: Option<u64>,
    nproc_hard: Option<u64>,
    command: Vec<String>,
    started_utc: String,
}

impl Machine {
    /// This machine, now.
    pub fn inspect() -> Machine {
        let limit = |resource| getrlimit(resource).ok();
        let finite = |limit: u64| (limit != RLIM_INFINITY).then_some(limit);
        let (nofile, nproc) = (limit(Resource::RLIMIT_NOFILE), limit(Resource::RLIMIT_NPROC));
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|text| Some(text.split_whitespace().next()?.parse::<u64>().ok()? * 1024)),
            kernel: read("/proc/sys/kernel/osrelease"),
            rustc: env!("RUSTC_VERSION"),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            commit: commit(),
            nofile_soft: nofile.and_then(|(soft, _)| finite(soft)),
            nofile_hard: nofile.and_then(|(_, hard)| finite(hard)),
            nproc_soft: nproc.and_then(|(soft, _)| finite(soft)),
            nproc_hard: nproc.and_then(|(_, hard)| finite(hard)),
            // What is no UTF-8 is shown as near to it as JSON allows.
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            started_utc: utc(SystemTime::now()),
        }
    }

    /// Writes `machine.json`.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join("machine.json");
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or("unknown".into(), |text| text.trim().to_string())
}

fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// The commit of the checkout that this is run in.
fn commit() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .map(|folder| folder.join(".git"))
        .find(|git| git.is_dir())
        .and_then(|git| commit_in(&git))
        .unwrap_or_else(|| "unknown".to_string())
}

fn commit_in(git: &Path) -> Option<String> {
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_string());
    };
    if let Ok(commit) = fs::read_to_string(git.join(reference)) {
        return Some(commit.trim().to_string());
    }
    let packed = fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (commit, name) = line.split_once(' ')?;
        (name == reference).then(|| commit.to_string())
    })
}

/// A moment as `2026-11-21T03:08:35Z`.
fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Counting from a March 1st puts the leap day at the end of each year; 400
    // years have 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A folder for results of which no name was given: `results/compare-20261121T030835Z`.
pub fn default_results(name: &str) -> PathBuf {
    let stamp = utc(SystemTime::now()).replace(['-', ':'], "");
    Path::new("results").join(format!("{name}-{stamp}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn a_commit_is_found_loose_packed_and_detached() {
        let git = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(git.path().join(name), text).unwrap();
        assert_eq!(commit_in(git.path()), None);
        write("HEAD", "ref: refs/heads/main\n");
        write("packed-refs", "# pack-refs\nabc refs/heads/other\ndef refs/heads/main\n");
        assert_eq!(commit_in(git.path()).as_deref(), Some("def"));
        fs::create_dir_all(git.path().join("refs/heads")).unwrap();
        write("refs/heads/main", "012\n");
        assert_eq!(commit_in(git.path()).as_deref(), Some("012"));
        write("HEAD", "345\n");
        assert_eq!(commit_in(git.path()).as_deref(), Some("345"));
    }
}
