//! The file into which a node notes what it does.
//!
//! A thread of its own writes it, so that the node never waits for a disk. What the thread
//! has been handed is with the operating system a moment later, so that it outlives
//! the node, however that ends.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// So much may wait to be written.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A file that is written in the background.
#[derive(Debug)]
pub(crate) struct PartFile {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What the writing thread is to do.
enum Job {
    Write(Vec<u8>),
    /// The last line of a recording that ends early: written even if something before
    /// could not be.
    WriteLast(Vec<u8>),
}

#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    failure: OnceLock<String>,
}

/// Why nothing more is taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("its file cannot be written: {0}")]
    Failed(String),
    #[error("the disk does not keep up: {} MB wait to be written", MAX_WAITING_BYTES >> 20)]
    TooSlow,
}

impl PartFile {
    /// A new file for this start of this node: no other has its name.
    pub(crate) fn create(folder: &Path, node: u16) -> io::Result<PartFile> {
        let file = (0..).find_map(|start| {
            let path = folder.join(format!("node-{node}-{start}.part"));
            match File::options().append(true).create_new(true).open(path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                opened => Some(opened),
            }
        });
        let file = file.unwrap_or_else(|| Err(ErrorKind::AlreadyExists.into()))?;
        let (jobs, to_do) = channel();
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("recording-{node}"))
            .spawn(move || write_all(file, &to_do, &of_thread))?;
        Ok(PartFile { jobs: Some(jobs), thread: Some(thread), shared })
    }

    /// Hands whole lines over.
    pub(crate) fn write(&self, lines: Vec<u8>) -> Result<(), NotTaken> {
        if let Some(failure) = self.shared.failure.get() {
            return Err(NotTaken::Failed(failure.clone()));
        }
        let waiting = self.shared.waiting_bytes.fetch_add(lines.len(), Ordering::Relaxed);
        if waiting + lines.len() > MAX_WAITING_BYTES {
            return Err(NotTaken::TooSlow);
        }
        self.send(Job::Write(lines));
        Ok(())
    }

    /// Hands over the last line of a recording that ends early.
    pub(crate) fn write_last(&self, line: Vec<u8>) {
        self.send(Job::WriteLast(line));
    }

    fn send(&self, job: Job) {
        // The thread ends after the sender only.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for PartFile {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.jobs.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write_all(mut file: File, to_do: &Receiver<Job>, shared: &Shared) {
    let mut whole_bytes = 0;
    for job in to_do {
        match job {
            Job::Write(lines) if shared.failure.get().is_none() => match file.write_all(&lines) {
                Ok(()) => {
                    whole_bytes += lines.len() as u64;
                    shared.waiting_bytes.fetch_sub(lines.len(), Ordering::Relaxed);
                }
                Err(error) => {
                    let _ = shared.failure.set(error.to_string());
                    // Half a line must not stand before the last one.
                    let _ = file.set_len(whole_bytes);
                }
            },
            Job::Write(_) => {}
            // If this fails, the missing end shows it.
            Job::WriteLast(line) => drop(file.write_all(&line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_file_of_its_own_and_everything_is_in_it() {
        let folder = std::env::temp_dir().join(format!("part-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for start in 0..2 {
            let file = PartFile::create(&folder, 3).unwrap();
            for line in 0..1000 {
                file.write(format!("{start} {line}\n").into_bytes()).unwrap();
            }
            drop(file);
            let text = std::fs::read_to_string(folder.join(format!("node-3-{start}.part"))).unwrap();
            assert_eq!(text.lines().count(), 1000);
            assert!(text.ends_with(&format!("{start} 999\n")));
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(PartFile::create(&folder, 3).is_err(), "there is no such folder");
    }

    #[test]
    fn a_disk_that_is_full_or_too_slow_ends_the_recording() {
        let (jobs, to_do) = channel();
        let shared = Arc::<Shared>::default();
        let file = PartFile { jobs: Some(jobs), thread: None, shared: Arc::clone(&shared) };
        file.write(vec![b'x'; MAX_WAITING_BYTES]).unwrap();
        assert!(matches!(file.write(vec![b'x']), Err(NotTaken::TooSlow)));
        drop(file);
        write_all(File::options().append(true).open("/dev/full").unwrap(), &to_do, &shared);
        assert!(shared.failure.get().is_some_and(|failure| failure.contains("space")));
        let (jobs, _) = channel();
        let file = PartFile { jobs: Some(jobs), thread: None, shared };
        let refused = file.write(vec![b'x']).unwrap_err().to_string();
        assert!(refused.contains("cannot be written: No space"), "{refused}");
    }
}
