//! `disk.json`: what it costs to sync on the disk that a result folder is on, measured beside
//! the cells whose nodes do that.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use serde::{Deserialize, Serialize};

use super::files::write_atomically;
use super::statistics::quantile;

const FILE: &str = "disk.json";
/// So often it is appended and synced in one measurement.
const APPENDS: usize = 200;
/// So much each time: about what a node writes of one request.
pub const APPENDED_BYTES: usize = 2_000;

/// Files that are synced at once in every second measurement, as the nodes of a cluster on one disk sync theirs: they
/// wait for each other.
const FILES_AT_ONCE: usize = 4;

/// What is known of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The folder is in memory, where syncing does nothing and a loss of power takes all.
    pub is_tmpfs: bool,
    /// In the order of time.
    pub measurements: Vec<SyncTimes>,
}

/// How long `fdatasync` took, once after each of some appends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTimes {
    /// Wall clock at the start, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Bytes appended before each.
    pub appended_bytes: usize,
    /// So many files were appended to and synced at the same time.
    #[serde(default = "one")]
    pub files: usize,
    /// The median, microseconds.
    pub median_us: u64,
    /// The 99th percentile, microseconds.
    pub p99_us: u64,
    /// Each, microseconds, in ascending order.
    pub times_us: Vec<u64>,
}

/// Measurements of before told nothing of it.
fn one() -> usize {
    1
}

impl Disk {
    /// What was measured in this folder; `None` if nothing was.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Disk>> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = serde_json::from_str(&text);
        read.map(Some)
            .with_context(|| format!("{} is not what a measurement wrote; delete it", path.display()))
    }

    /// What makes what was measured with it doubtful.
    pub fn warning(&self) -> Option<&'static str> {
        self.is_tmpfs.then_some(
            "The folder is on tmpfs, in memory: syncing does nothing there, so durability fsync costs no more than on, and \
             outlives no loss of power; give a folder on a disk with --out",
        )
    }

    /// Measures in this folder, and adds that to what was measured there before.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn measure(dir: &Path) -> Result<Disk> {
        let mut disk = Disk::read(dir)?.unwrap_or_default();
        disk.is_tmpfs = is_tmpfs(dir)?;
        for files in [1, FILES_AT_ONCE] {
            disk.measurements.push(sync_times(dir, files)?);
        }
        write_atomically(&dir.join(FILE), &serde_json::to_vec(&disk)?)?;
        Ok(disk)
    }
}

/// Whether a folder is in memory.
///
/// # Errors
/// If the operating system does not say.
pub fn is_tmpfs(dir: &Path) -> Result<bool> {
    let file_system = statfs(dir).with_context(|| format!("cannot find out what {} is on", dir.display()))?;
    Ok(file_system.filesystem_type() == TMPFS_MAGIC)
}

fn sync_times(dir: &Path, files: usize) -> Result<SyncTimes> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let together = Barrier::new(files);
    let each = std::thread::scope(|scope| {
        let one = |number| {
            let path = dir.join(format!("disk-{number}.tmp"));
            let together = &together;
            scope.spawn(move || {
                let file = File::create(&path);
                // A file that cannot be made keeps nobody waiting.
                together.wait();
                let times = file.and_then(|file| append_and_sync(&file));
                fs::remove_file(&path).and(times)
            })
        };
        let threads: Vec<_> = (0..files).map(one).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        times.collect::<std::io::Result<Vec<_>>>()
    });
    let each =
        each.with_context(|| format!("cannot write and sync in {}; give another --out", dir.display()))?;
    let mut times_us = each.concat();
    times_us.sort_unstable();
    let of = |q| quantile(&times_us, q).unwrap_or(0);
    Ok(SyncTimes {
        started_unix_ms: now.as_millis() as u64,
        appended_bytes: APPENDED_BYTES,
        files,
        median_us: of(0.5),
        p99_us: of(0.99),
        times_us,
    })
}

fn append_and_sync(mut file: &File) -> std::io::Result<Vec<u64>> {
    let bytes = [b'x'; APPENDED_BYTES];
    let mut once = || {
        file.write_all(&bytes)?;
        let began = Instant::now();
        file.sync_data()?;
        Ok(began.elapsed().as_micros() as u64)
    };
    (0..APPENDS).map(|_| once()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_of_a_folder_come_together_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Disk::read(dir.path()).unwrap(), None);
        Disk::measure(dir.path()).unwrap();
        let disk = Disk::measure(dir.path()).unwrap();
        assert_eq!(Disk::read(dir.path()).unwrap(), Some(disk.clone()));
        let files: Vec<usize> = disk.measurements.iter().map(|times| times.files).collect();
        assert_eq!(files, [1, 4, 1, 4]);
        for times in &disk.measurements {
            let count = times.files * APPENDS;
            assert_eq!(times.times_us.len(), count);
            assert!(times.times_us.is_sorted());
            let at = |part: usize| times.times_us[count * part / 100 - 1];
            assert_eq!((times.median_us, times.p99_us), (at(50), at(99)));
        }
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, [FILE]);
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(Disk::read(dir.path()).unwrap_err().to_string().contains("delete it"));
    }

    #[test]
    fn a_folder_in_memory_is_known() {
        assert!(!is_tmpfs(Path::new("/proc")).unwrap());
        // Every Linux has this one, but a container may hide it.
        if let Ok(mounts) = fs::read_to_string("/proc/mounts")
            && mounts.lines().any(|line| line.starts_with("tmpfs /dev/shm "))
        {
            assert!(is_tmpfs(Path::new("/dev/shm")).unwrap());
        }
        assert!(is_tmpfs(Path::new("/nonexistent")).is_err());
    }
}
