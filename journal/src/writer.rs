//! The thread that writes and syncs, while the replica goes on.

use crate::folder::{Folder, Inputs, Save};
use crate::header::When;
use crate::held::Ticket;
use kernel::{Weakening, weakened};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;

/// What a node's journal outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// There is none: a node that stops loses its memory.
    #[default]
    Off,
    /// The end of the process, however it comes.
    On,
    /// A loss of power as well: what is written is synced.
    Fsync,
}

impl Durability {
    /// All of them.
    pub const ALL: [Durability; 3] = [Durability::Off, Durability::On, Durability::Fsync];

    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Off => "off",
            Durability::On => "on",
            Durability::Fsync => "fsync",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no durability of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no durability; there are off, on and fsync")]
pub struct UnknownDurability(String);

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Durability, UnknownDurability> {
        let found = Durability::ALL.into_iter().find(|durability| durability.as_str() == text);
        found.ok_or_else(|| UnknownDurability(text.into()))
    }
}

/// Writes a replica as it was ([`crate::replay::save`]).
pub type WriteReplica = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// How much there is in a folder already.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Bytes of the replica's file.
    pub saved: u64,
    /// Entries behind it.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

enum Work {
    Append(Ticket, Vec<u8>),
    BeginGeneration(When, WriteReplica),
}

/// The replica is saved anew after so many entries or bytes of them, whichever comes first: to play an entry again takes
/// some tens of microseconds, however small it is, and a node that starts again should be there within a second. But
/// not before there are as many bytes as the last save took, so that at most twice as much is written.
const ENTRIES_BEFORE_SAVE: u64 = 16_384;
const BYTES_BEFORE_SAVE: u64 = 64 << 20;

/// Who appends faster than the disk takes it waits when so much has not been written.
const MOST_WAITING_BYTES: u64 = 128 << 20;
/// One batch takes no more in once it has so much.
const MOST_GATHERED_BYTES: usize = 16 << 20;

/// What both threads know.
struct Shared {
    safe: AtomicU64,
    failure: OnceLock<String>,
    is_saving: AtomicBool,
    /// Since the newest generation began.
    bytes: AtomicU64,
    /// The same.
    entries: AtomicU64,
    saved_bytes: AtomicU64,
    /// Handed over, and not written yet.
    waiting_bytes: AtomicU64,
    writes: AtomicU64,
    syncs: AtomicU64,
    /// What these took together, microseconds.
    sync_us: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn fail(&self, what: &str, error: &io::Error) {
        self.failure.get_or_init(|| format!("{what}: {error}"));
        (self.wake)();
    }
}

/// How far a journal is.
pub struct Progress(Arc<Shared>);

impl Progress {
    /// Bytes of entries since the newest generation began.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// How often something was written, and synced if it had to be.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// How often a batch was synced, and how many microseconds that took together.
    pub fn syncs(&self) -> (u64, u64) {
        (self.0.syncs.load(Ordering::Relaxed), self.0.sync_us.load(Ordering::Relaxed))
    }

    /// Why nothing more will be safe, if so.
    pub fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }
}

/// Hands over what is to be written, and knows what is safe.
pub struct Writer {
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    last: Ticket,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("last", &self.last).field("safe", &self.safe()).finish()
    }
}

impl Writer {
    /// Begins a generation in `folder`, in which a replica was saved, and a thread that writes to it. `wake` is called
    /// whenever more is safe, and when the journal has failed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn begin(
        mut folder: Folder,
        durability: Durability,
        size: Size,
        began: When,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Writer> {
        let inputs = folder.begin_generation(began)?;
        let shared = Arc::new(Shared {
            safe: AtomicU64::new(0),
            failure: OnceLock::new(),
            is_saving: AtomicBool::new(false),
            bytes: AtomicU64::new(size.bytes),
            entries: AtomicU64::new(size.entries),
            saved_bytes: AtomicU64::new(size.saved),
            waiting_bytes: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            sync_us: AtomicU64::new(0),
            wake: Box::new(wake),
        });
        let (work, to_do) = mpsc::channel();
        let thread =
            Thread { folder, inputs, sync: durability == Durability::Fsync, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || thread.run(&to_do))?;
        Ok(Writer { work: Some(work), thread: Some(thread), shared, last: 0 })
    }

    /// The ticket of what is appended next.
    pub fn next(&self) -> Ticket {
        self.last + 1
    }

    /// Has so many entries written.
    pub fn append(&mut self, entries: Vec<u8>, count: u64) {
        self.last += 1;
        self.shared.entries.fetch_add(count, Ordering::Relaxed);
        self.shared.bytes.fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.shared.waiting_bytes.fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.hand_over(Work::Append(self.last, entries));
    }

    /// Whether so much waits to be written that nothing more should be appended for the time being.
    pub fn is_behind(&self) -> bool {
        self.shared.waiting_bytes.load(Ordering::Relaxed) > MOST_WAITING_BYTES
    }

    /// All is safe up to this ticket.
    pub fn safe(&self) -> Ticket {
        self.shared.safe.load(Ordering::Acquire)
    }

    /// How far it is, for others to read.
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.shared))
    }

    /// Whether so much was written that the replica should be saved anew.
    pub fn wants_save(&self) -> bool {
        let Shared { bytes, entries, saved_bytes, is_saving, .. } = &*self.shared;
        let bytes = bytes.load(Ordering::Relaxed);
        (bytes >= BYTES_BEFORE_SAVE || entries.load(Ordering::Relaxed) >= ENTRIES_BEFORE_SAVE)
            && bytes >= saved_bytes.load(Ordering::Relaxed)
            && !is_saving.load(Ordering::Acquire)
    }

    /// Has the replica saved as it is after all that was appended so far.
    pub fn save(&mut self, now: When, replica: WriteReplica) {
        self.shared.is_saving.store(true, Ordering::Release);
        self.shared.bytes.store(0, Ordering::Relaxed);
        self.shared.entries.store(0, Ordering::Relaxed);
        self.hand_over(Work::BeginGeneration(now, replica));
    }

    fn hand_over(&self, work: Work) {
        if let Some(to_thread) = &self.work
            && to_thread.send(work).is_err()
        {
            // Unless it has said why already.
            self.shared.fail("cannot write the journal", &io::Error::other("its thread has ended"));
        }
    }
}

/// Everything that was appended is written first.
impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Thread {
    folder: Folder,
    inputs: Inputs,
    sync: bool,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(mut self, to_do: &mpsc::Receiver<Work>) {
        let mut saving: Option<JoinHandle<()>> = None;
        let mut next = to_do.recv().ok();
        while let Some(work) = next.take() {
            let done = match work {
                Work::Append(ticket, entries) => {
                    let (ticket, entries, after) = gather(ticket, entries, to_do);
                    next = after;
                    self.append(ticket, &entries)
                }
                Work::BeginGeneration(began, replica) => self.begin_generation(began).map(|save| {
                    let shared = Arc::clone(&self.shared);
                    saving = Some(std::thread::spawn(move || write_replica(&shared, save, replica)));
                }),
            };
            if let Err(error) = done {
                self.shared.fail("cannot write the journal", &error);
                break;
            }
            next = next.or_else(|| to_do.recv().ok());
        }
        if let Some(saving) = saving {
            let _ = saving.join();
        }
    }

    fn append(&mut self, ticket: Ticket, entries: &[u8]) -> io::Result<()> {
        let synced = match self.inputs.append(entries, self.sync) {
            Err(_) if weakened(Weakening::FailedSyncIgnored) => None,
            appended => appended?,
        };
        if let Some(took) = synced {
            self.shared.syncs.fetch_add(1, Ordering::Relaxed);
            self.shared.sync_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        }
        self.shared.writes.fetch_add(1, Ordering::Relaxed);
        self.shared.waiting_bytes.fetch_sub(entries.len() as u64, Ordering::Relaxed);
        self.shared.safe.store(ticket, Ordering::Release);
        (self.shared.wake)();
        Ok(())
    }

    fn begin_generation(&mut self, began: When) -> io::Result<Save> {
        self.inputs.finish()?;
        self.inputs = self.folder.begin_generation(began)?;
        Ok(self.folder.save())
    }
}

/// All that waits to be appended is one batch, unless that is much.
fn gather(
    mut ticket: Ticket,
    mut entries: Vec<u8>,
    to_do: &mpsc::Receiver<Work>,
) -> (Ticket, Vec<u8>, Option<Work>) {
    while entries.len() < MOST_GATHERED_BYTES {
        match to_do.try_recv() {
            Ok(Work::Append(later, more)) => {
                ticket = later;
                entries.extend_from_slice(&more);
            }
            Ok(other) => return (ticket, entries, Some(other)),
            Err(_) => break,
        }
    }
    (ticket, entries, None)
}

fn write_replica(shared: &Shared, save: Save, replica: WriteReplica) {
    match save.write(replica) {
        Ok(bytes) => shared.saved_bytes.store(bytes, Ordering::Relaxed),
        Err(error) => shared.fail("cannot save the replica", &error),
    }
    shared.is_saving.store(false, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Identity;

    fn identity() -> Identity {
        let text = |text: &str| text.to_owned();
        let (cluster, protocol, app, settings) = (text("c"), text("pbft"), text("kv"), text("s"));
        Identity { cluster, protocol, app, n: 4, clients: 0, node: 0, settings }
    }

    fn writer(folder: &tempfile::TempDir, size: Size) -> Writer {
        let (folder, _) = Folder::open(folder.path(), identity()).unwrap();
        folder.save_first().write(|_| Ok(())).unwrap();
        Writer::begin(folder, Durability::On, size, When::default(), || ()).unwrap()
    }

    #[test]
    fn what_waits_for_the_disk_is_limited_and_written_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder, Size { saved: 0, entries: 0, bytes: 0 });
        let part = MOST_GATHERED_BYTES / 2 + 1;
        let mut appended = 0;
        while !writer.is_behind() {
            writer.append(vec![1; part], 1);
            appended += part as u64;
            // It may be as fast as this thread.
            if appended > 64 * MOST_WAITING_BYTES {
                break;
            }
        }
        assert!(appended > MOST_WAITING_BYTES);
        while writer.safe() + 1 < writer.next() {
            std::thread::yield_now();
        }
        assert!(!writer.is_behind());
        assert_eq!(writer.shared.waiting_bytes.load(Ordering::Relaxed), 0);
        assert!(writer.progress().writes() >= appended / (2 * MOST_GATHERED_BYTES as u64), "in parts");
    }

    #[test]
    fn it_is_behind_with_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder, Size { saved: 0, entries: 0, bytes: 0 });
        let waits = |bytes| writer.shared.waiting_bytes.store(bytes, Ordering::Relaxed);
        waits(MOST_WAITING_BYTES);
        assert!(!writer.is_behind());
        waits(MOST_WAITING_BYTES + 1);
        assert!(writer.is_behind());
    }

    #[test]
    fn what_was_appended_is_safe_in_order_and_written_before_the_writer_ends() {
        let at = tempfile::tempdir().unwrap();
        let mut writer = writer(&at, Size { saved: 0, entries: 0, bytes: 7 });
        assert_eq!((writer.next(), writer.safe()), (1, 0));
        for ticket in 1..=200 {
            writer.append(vec![ticket as u8; 100_000], 1);
            assert_eq!(writer.next(), ticket + 1);
        }
        assert_eq!(writer.progress().bytes(), 7 + 20_000_000);
        drop(writer);
        let (_, found) = Folder::open(at.path(), identity()).unwrap();
        let inputs = found.expect("it was begun").inputs;
        let found: Vec<u8> = inputs.into_iter().flat_map(|generation| generation.entries).collect();
        let expected: Vec<u8> = (1..=200).flat_map(|ticket| std::iter::repeat_n(ticket, 100_000)).collect();
        assert!(found == expected);
    }

    #[test]
    fn only_what_outlives_a_loss_of_power_has_zeros_written_ahead() {
        let bytes_of = |durability| {
            let at = tempfile::tempdir().unwrap();
            let (folder, _) = Folder::open(at.path(), identity()).unwrap();
            folder.save_first().write(|_| Ok(())).unwrap();
            let size = Size { saved: 0, entries: 0, bytes: 0 };
            let mut writer = Writer::begin(folder, durability, size, When::default(), || ()).unwrap();
            writer.append(vec![1; 100], 1);
            drop(writer);
            std::fs::read(at.path().join("inputs-1")).unwrap()
        };
        assert_eq!(bytes_of(Durability::On).last(), Some(&1));
        assert_eq!(bytes_of(Durability::Fsync).last(), Some(&0));
    }

    #[test]
    fn a_batch_that_cannot_be_written_is_not_safe() {
        let at = tempfile::tempdir().unwrap();
        let writer = writer(&at, Size { saved: 0, entries: 0, bytes: 0 });
        let other = tempfile::tempdir().unwrap();
        let (folder, _) = Folder::open(other.path(), identity()).unwrap();
        let (inputs, shared) = (Inputs::on_a_full_disk(), Arc::clone(&writer.shared));
        let mut thread = Thread { folder, inputs, sync: false, shared };
        let error = thread.append(1, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((writer.safe(), writer.progress().writes()), (0, 0));
    }

    #[test]
    fn one_batch_takes_in_what_waits_until_there_is_enough() {
        let (hand_over, to_do) = mpsc::channel();
        let gathered = |bytes: usize| {
            let (ticket, entries, other) = gather(1, vec![1; bytes], &to_do);
            (ticket, entries.len(), other.is_some())
        };
        assert_eq!(gathered(1), (1, 1, false), "nothing waits");
        for (ticket, bytes) in [(2, 10), (3, 20)] {
            hand_over.send(Work::Append(ticket, vec![1; bytes])).unwrap();
        }
        hand_over.send(Work::BeginGeneration(When::default(), Box::new(|_| Ok(())))).unwrap();
        hand_over.send(Work::Append(4, vec![1; 40])).unwrap();
        assert_eq!(gathered(MOST_GATHERED_BYTES), (1, MOST_GATHERED_BYTES, false), "it has enough");
        assert_eq!(gathered(MOST_GATHERED_BYTES - 1), (2, MOST_GATHERED_BYTES + 9, false));
        assert_eq!(gathered(1), (3, 21, true), "a new file comes between");
        assert_eq!(gathered(1), (4, 41, false));
    }

    #[test]
    fn a_durability_is_read_as_it_is_written() {
        let typed = Durability::ALL.map(|durability| durability.to_string());
        assert_eq!(typed, ["off", "on", "fsync"]);
        assert_eq!(typed.map(|text| text.parse()), Durability::ALL.map(Ok));
        let unknown = "sync".parse::<Durability>().unwrap_err().to_string();
        assert_eq!(unknown, "\"sync\" is no durability; there are off, on and fsync");
        assert_eq!(format!("{:>6}", Durability::On), "    on");
    }

    #[test]
    fn a_thread_that_has_ended_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder, Size { saved: 0, entries: 0, bytes: 0 });
        writer.work = Some(mpsc::channel().0);
        writer.append(vec![1], 1);
        assert_eq!(writer.progress().failure(), Some("cannot write the journal: its thread has ended"));
    }

    #[test]
    fn a_replica_is_saved_after_so_many_entries_or_bytes_but_not_before_a_save_pays() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder, Size { saved: 100, entries: ENTRIES_BEFORE_SAVE - 2, bytes: 98 });
        let mut wants = |bytes: usize, entries| {
            writer.append(vec![0; bytes], entries);
            writer.wants_save()
        };
        assert!(!wants(1, 1), "one entry is missing");
        assert!(!wants(0, 1), "one byte is missing");
        assert!(wants(1, 0));
        writer.save(When::default(), Box::new(|to| to.write_all(&[0; 1000])));
        assert!(!writer.wants_save(), "it is being saved");
        writer.append(vec![0; BYTES_BEFORE_SAVE as usize], 1);
        while writer.shared.is_saving.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(writer.wants_save(), "few entries, and many bytes");
    }
}
