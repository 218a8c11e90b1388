//! The files of one replica.
//!
//! | file | what it is |
//! | --- | --- |
//! | `lock` | held by the node that runs; says whether a file of inputs was ever begun |
//! | `replica-7` | the replica as it was when generation 7 began, with a checksum at its end |
//! | `inputs-7` | what it was given since, in batches |
//!
//! A new generation begins with an empty `inputs-8`; `replica-8` is written meanwhile, and when it is whole, all before
//! is removed. So a replica is the newest `replica-N`, given `inputs-N` and those that follow.

use crate::batch::{self, Damaged, HEAD_BYTES, Key};
use crate::blocks::Blocks;
use crate::header::{self, BadHeader, Header, Identity, PROGRAM, When};
use kernel::{Micros, Weakening, weakened};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Read as _, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LOCK: &str = "lock";
const REPLICA: &str = "replica-";
const INPUTS: &str = "inputs-";
/// Behind the name of a replica's file while it is written.
const UNFINISHED: &str = ".unfinished";
/// In `lock`, once there is a file of inputs: if there is none then, it was removed.
const BEGUN: &[u8] = b"begun\n";
/// A folder is read so often before what a running node removes meanwhile is an error.
const LOOKS: usize = 10;
const CHECKSUM_BYTES: usize = 32;
/// So many zeros are written behind a small batch that is at the end of its file, to be overwritten by those that
/// follow: a sync takes about half as long if the file does not grow.
const ZEROS_AHEAD: usize = 256 << 10;
/// A batch is small below that. Where they are larger, the zeros would be a good part of what is written, and a sync of
/// many bytes takes long anyway.
const SMALL_BATCH: usize = ZEROS_AHEAD / 32;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("{0} is in use by a node that runs: stop that one, or give this one a folder of its own")]
    InUse(PathBuf),
    /// The operating system refuses something.
    #[error("cannot {what} {path}: {error}. {}", advice(.error))]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file is not this replica's, or not one of ours.
    #[error("{path}: {reason}")]
    Header {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: BadHeader,
    },
    /// A file was damaged after it was safe.
    #[error(
        "{path} is damaged: {reason}. A loss of power does not do that; the disk may, or somebody who removes files. Take \
         the whole folder from a copy that is as new as this one, or remove the whole folder and start the node as one \
         that lost its memory"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        reason: String,
    },
}

/// What to do where the operating system refuses something.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "There is nothing under that name, or a link that leads nowhere: give another one"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "Something else stands where a folder is to be: give another path"
        }
        io::ErrorKind::IsADirectory => "Something else stands where a file is to be: move it away",
        _ => "The folder must be one that this program can read and write, on a disk that has room",
    }
}

impl FolderError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
        move |error| FolderError::Io { what, path: path.to_owned(), error }
    }

    fn damaged(path: &Path, reason: impl ToString) -> FolderError {
        FolderError::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    fn header(path: &Path) -> impl Fn(BadHeader) -> FolderError {
        move |reason| match reason {
            BadHeader::None | BadHeader::Damaged => FolderError::damaged(path, reason),
            BadHeader::Version(_) | BadHeader::Other { .. } => {
                FolderError::Header { path: path.to_owned(), reason }
            }
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, FolderError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// What a replica was given from one start, or one save, to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The entries ([`crate::entry::read`]).
    pub entries: Vec<u8>,
    /// When it began.
    pub began: When,
    /// The version of the program that wrote it.
    pub program: String,
}

/// What was in a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// The replica as it was saved ([`crate::replay::load`]).
    pub replica: Vec<u8>,
    /// What it was given since, a generation after the other.
    pub inputs: Vec<Generation>,
    /// Bytes that a loss of power had left torn.
    pub torn: u64,
    /// The version of the program that wrote it.
    pub program: String,
    /// The replica had seen nothing when it was saved.
    pub is_first: bool,
}

impl Found {
    /// Another build of the program that wrote of what has to be played, if there is one: this one may make something
    /// else of it.
    pub fn other_build(&self) -> Option<&str> {
        let mut to_play = self.inputs.iter().filter(|generation| !generation.entries.is_empty()).peekable();
        to_play.peek()?;
        let builds = to_play.map(|generation| &*generation.program).chain([&*self.program]);
        builds.filter(|build| *build != PROGRAM).max()
    }
}

/// The folder of one replica, locked.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    identity: Identity,
    /// Whose file of inputs is the newest.
    generation: u64,
    /// Where that one ends, which its writer knows; none if there is none.
    end: Option<Arc<AtomicU64>>,
    /// Held as long as this is.
    lock: Arc<File>,
}

impl Folder {
    /// Whether a replica has kept something there. True as well of what cannot be read: who opens it is told why.
    pub fn is_used(path: &Path) -> bool {
        match files(path) {
            Ok(files) => !files.replicas.is_empty() || !files.inputs.is_empty(),
            Err(error) => !error.is_not_found(),
        }
    }

    /// Whether a folder is that of this identity, or of none, by the first line of its newest replica. No more of it is read.
    ///
    /// # Errors
    ///
    /// With what differs, or why it cannot be read.
    pub fn check(path: &Path, own: &Identity) -> Result<(), FolderError> {
        let files = match files(path) {
            Err(error) if error.is_not_found() => return Ok(()),
            files => files?,
        };
        let Some((generation, replica)) = files.replicas.last_key_value() else { return Ok(()) };
        let read = must_be_file(replica).and_then(|()| File::open(replica)).and_then(|file| {
            let mut beginning = Vec::new();
            file.take(header::MOST_BYTES as u64).read_to_end(&mut beginning).map(|_| beginning)
        });
        match read.map_err(FolderError::io("read", replica)) {
            // A node that runs has saved anew: its lock says so to whoever opens the folder.
            Err(error) if error.is_not_found() => Ok(()),
            read => header(replica, &read?, *generation, Some(own)).map(drop),
        }
    }

    /// Opens a folder, which is made if need be, checks everything, and cuts what a loss of power left torn. `None` if
    /// nothing is in it.
    ///
    /// # Errors
    ///
    /// See [`FolderError`]; nothing is changed then.
    pub fn open(path: &Path, identity: Identity) -> Result<(Folder, Option<Found>), FolderError> {
        make(path).map_err(FolderError::io("make the folder", path))?;
        let lock = Arc::new(lock(path)?);
        let Read { found, newest: generation, end } = read(path, Some(&identity), true)?;
        remove_unfinished(path).map_err(FolderError::io("remove an unfinished file from", path))?;
        let end = end.map(|end| Arc::new(AtomicU64::new(end)));
        let found = found.map(|(_, found)| found);
        Ok((Folder { path: path.to_owned(), identity, generation, end, lock }, found))
    }

    /// Reads a folder without changing it, of whatever identity; a node may be running, and remove files
    /// meanwhile: then it is read again.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn look(path: &Path) -> Result<Option<(Identity, Found)>, FolderError> {
        for _ in 1..LOOKS {
            match read(path, None, false) {
                Err(error) if error.is_not_found() && path.exists() => {}
                read => return Ok(read?.found),
            }
        }
        Ok(read(path, None, false)?.found)
    }

    /// Begins a new generation, with a file for what the replica is given from `began` on.
    ///
    /// # Errors
    ///
    /// If the file cannot be written and synced.
    pub fn begin_generation(&mut self, began: When) -> io::Result<Inputs> {
        self.generation += 1;
        let salt = RandomState::new().build_hasher().finish();
        let follows = self.end.as_ref().map(|end| end.load(Ordering::Acquire));
        let header = Header::new(self.identity.clone(), self.generation, began, salt);
        let line = Header { follows, ..header }.line();
        let path = self.path.join(format!("{INPUTS}{}", self.generation));
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&line)?;
        file.sync_all()?;
        sync_folder(&self.path)?;
        if !has_begun(&self.path) {
            let mut lock = &*self.lock;
            lock.rewind()?;
            lock.write_all(BEGUN)?;
            self.lock.sync_all()?;
        }
        let length = line.len() as u64;
        let end = Arc::new(AtomicU64::new(length));
        self.end = Some(Arc::clone(&end));
        let blocks = Blocks::behind(file, &line);
        Ok(Inputs { lock: Arc::clone(&self.lock), blocks, key: Key::of(&line), number: 0, end })
    }

    /// Where the replica is to be written as it was when the newest generation began.
    pub fn save(&self) -> Save {
        self.save_as(self.generation)
    }

    /// Where a replica that has seen nothing yet is to be written, before the first generation begins.
    pub fn save_first(&self) -> Save {
        self.save_as(self.generation + 1)
    }

    fn save_as(&self, generation: u64) -> Save {
        Save {
            folder: self.path.clone(),
            header: Header::new(self.identity.clone(), generation, When::now(Micros(0)), 0),
        }
    }
}

/// A replica's file that is to be written.
#[derive(Debug)]
pub struct Save {
    folder: PathBuf,
    header: Header,
}

impl Save {
    /// Writes it by `write`, and removes what is not needed any more once it is safe. Returns its bytes.
    ///
    /// # Errors
    ///
    /// If something cannot be written; what was there is untouched.
    pub fn write(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<u64> {
        let generation = self.header.generation;
        if weakened(Weakening::CutBeforeSaved) {
            remove_before(&self.folder, generation)?;
        }
        let path = self.folder.join(format!("{REPLICA}{generation}"));
        let unfinished = self.folder.join(format!("{REPLICA}{generation}{UNFINISHED}"));
        let mut file = Hashing {
            inner: BufWriter::new(File::create(&unfinished)?),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            failure: None,
        };
        file.write_all(&self.header.line())?;
        file.take_from(write)?;
        let checksum = *file.hasher.finalize().as_bytes();
        file.write_all(&checksum)?;
        let bytes = file.bytes;
        file.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_folder(&self.folder)?;
        remove_before(&self.folder, generation)?;
        Ok(bytes)
    }
}

struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
    failure: Option<io::Error>,
}

impl<W: Write> Hashing<W> {
    /// Has `write` write. Whoever encodes forgets why it could not.
    fn take_from(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let written = write(self);
        written.map_err(|error| self.failure.take().unwrap_or(error))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            io::Error::from(kind)
        })?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The file of inputs that is being written.
#[derive(Debug)]
pub struct Inputs {
    /// Without it, another process could write to the folder.
    lock: Arc<File>,
    blocks: Blocks,
    key: Key,
    number: u64,
    /// Where the next batch begins.
    end: Arc<AtomicU64>,
}

impl Inputs {
    /// Writes one batch, and syncs it if it is to outlive a loss of power: then, how long the sync took.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or synced. Then nobody knows what is on the disk, and trying again does not tell
    /// (Rebello et al., *Can applications recover from fsync failures?*, ATC 2020): the journal has ended. Also if the file
    /// was removed, as what is written to it is gone with this process, or `lock`, as another process may use the folder.
    pub fn append(&mut self, entries: &[u8], sync: bool) -> io::Result<Option<Duration>> {
        if is_removed(self.blocks.file())? || is_removed(&self.lock)? {
            return Err(io::Error::other(
                "somebody has removed its file, or `lock` beside it, while the node ran",
            ));
        }
        if sync && self.number == 0 {
            self.blocks.write_directly();
        }
        let head = batch::head(&self.key, self.number, entries);
        self.number += 1;
        let bytes = head.len() + entries.len();
        self.end.fetch_add(bytes as u64, Ordering::AcqRel);
        let has_zeros = sync && self.blocks.grows_by(bytes) && bytes < SMALL_BATCH;
        self.blocks.append(&[&head, entries], if has_zeros { ZEROS_AHEAD } else { 0 })?;
        if !sync {
            return Ok(None);
        }
        let began = Instant::now();
        self.blocks.file().sync_data()?;
        Ok(Some(began.elapsed()))
    }

    /// Cuts the zeros behind the last batch, and syncs, before another file follows this one: what is missing then was
    /// not lost with the power.
    ///
    /// # Errors
    ///
    /// If the file cannot be cut and synced.
    pub fn finish(&mut self) -> io::Result<()> {
        self.blocks.cut()
    }
}

/// Whether a file that is open has no name any more.
#[cfg(unix)]
fn is_removed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.nlink() == 0)
}

/// The page plays journals and writes none.
#[cfg(not(unix))]
fn is_removed(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Makes a folder that a loss of power does not take away.
fn make(path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        sync_folder(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let lock = path.join(LOCK);
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
    let file = must_be_file(&lock).and_then(|()| open()).map_err(FolderError::io("write", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(FolderError::io("lock", &lock)(source)),
    }
}

#[derive(Default)]
struct Files {
    replicas: BTreeMap<u64, PathBuf>,
    inputs: BTreeMap<u64, PathBuf>,
}

fn files(path: &Path) -> Result<Files, FolderError> {
    let mut files = Files::default();
    for entry in fs::read_dir(path).map_err(FolderError::io("read the folder", path))? {
        let file = entry.map_err(FolderError::io("read the folder", path))?;
        let name = file.file_name();
        let Some(name) = name.to_str() else { continue };
        // As it is written, so that no two files have one number.
        let as_written = |text: &str| text.parse().ok().filter(|number: &u64| number.to_string() == text);
        let number = |prefix| name.strip_prefix(prefix).and_then(as_written);
        if let Some(generation) = number(REPLICA) {
            files.replicas.insert(generation, file.path());
        } else if let Some(generation) = number(INPUTS) {
            files.inputs.insert(generation, file.path());
        }
    }
    Ok(files)
}

/// What is in a folder.
struct Read {
    /// And whose it is.
    found: Option<(Identity, Found)>,
    /// The generation of its newest file of inputs.
    newest: u64,
    /// Where that one ends.
    end: Option<u64>,
}

/// Checks everything before it changes anything.
fn read(path: &Path, own: Option<&Identity>, settle: bool) -> Result<Read, FolderError> {
    let Files { replicas, mut inputs } = files(path)?;
    let Some((saved, replica)) = replicas.last_key_value() else {
        return match inputs.is_empty() {
            true => Ok(Read { found: None, newest: 0, end: None }),
            false => Err(FolderError::damaged(path, "the file of the replica is missing")),
        };
    };
    let (identity, mut found) = read_replica(replica, *saved, own)?;
    let mut last: Option<(&PathBuf, Vec<u8>, Range<usize>)> = None;
    inputs.retain(|generation, _| generation >= saved);
    let newest = inputs.last_key_value().map_or(saved.saturating_sub(1), |(newest, _)| *newest);
    // The first replica is saved before any input, and every other one after its file of inputs was begun.
    let must_be_there = *saved > 1 || has_begun(path);
    if inputs.is_empty() && must_be_there {
        return Err(FolderError::damaged(path, format!("{INPUTS}{saved} is missing")));
    }
    for (expected, (generation, path)) in (*saved..).zip(&inputs) {
        if *generation != expected {
            return Err(FolderError::damaged(path, format!("{INPUTS}{expected} before it is missing")));
        }
        let bytes = read_file(path).map_err(FolderError::io("read", path))?;
        let read = read_inputs(path, &bytes, expected, &identity)?;
        if read.generation.is_none() && expected == *saved && must_be_there {
            return Err(FolderError::damaged(path, "its first line is cut short, and was whole once"));
        }
        if let (Some(follows), Some((before, _, last_batch))) = (read.follows, &last)
            && follows != last_batch.end as u64
        {
            let ends = format!(
                "it ends at byte {}, and ended at byte {follows} when the next file was begun",
                last_batch.end
            );
            return Err(FolderError::damaged(before, ends));
        }
        if read.whole < bytes.len() && *generation != newest {
            return Err(FolderError::damaged(path, "its end is torn, and another file follows it"));
        }
        found.torn = without_zeros(&bytes[read.whole..]).len() as u64;
        found.inputs.extend(read.generation);
        last = Some((path, bytes, read.last_batch..read.whole));
    }
    let end = last.as_ref().map(|(_, _, last_batch)| last_batch.end as u64);
    if settle && let Some((path, bytes, last_batch)) = last {
        settle_end(path, &bytes, last_batch).map_err(FolderError::io("write", path))?;
    }
    Ok(Read { found: Some((identity, found)), newest, end })
}

/// Whether the folder has ever had a file of inputs.
fn has_begun(path: &Path) -> bool {
    read_file(&path.join(LOCK)).is_ok_and(|content| content.starts_with(BEGUN))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    must_be_file(path)?;
    fs::read(path)
}

/// Refuses what is there and no file: whoever opens a named pipe waits for somebody at its other end.
fn must_be_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(is) if is.is_file() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the last batch of the newest file once more, cuts what is behind it, and syncs. The process may have ended
/// before that batch was synced, or because a sync failed. Then what was read is in the memory of the operating
/// system only, which may take it to be written: without this, a later loss of power could take a batch away on
/// which newer files build.
fn settle_end(path: &Path, bytes: &[u8], last_batch: Range<usize>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(last_batch.start as u64))?;
    file.write_all(&bytes[last_batch.clone()])?;
    file.set_len(last_batch.end as u64)?;
    file.sync_all()
}

fn header(
    path: &Path,
    bytes: &[u8],
    generation: u64,
    own: Option<&Identity>,
) -> Result<(Header, usize), FolderError> {
    let read = Header::read(bytes).map_err(FolderError::header(path))?;
    let (header, end) = read.ok_or_else(|| FolderError::damaged(path, "its first line is cut short"))?;
    own.map_or(Ok(()), |own| header.check(own)).map_err(FolderError::header(path))?;
    is_named_so(path, &header, generation)?;
    Ok((header, end))
}

/// A file by another one's name would be taken for what was written at another time.
fn is_named_so(path: &Path, header: &Header, generation: u64) -> Result<(), FolderError> {
    if header.generation == generation {
        return Ok(());
    }
    let was = format!("by its first line its number is {}: files were renamed", header.generation);
    Err(FolderError::damaged(path, was))
}

fn read_replica(
    path: &Path,
    generation: u64,
    own: Option<&Identity>,
) -> Result<(Identity, Found), FolderError> {
    let mut bytes = read_file(path).map_err(FolderError::io("read", path))?;
    let (header, start) = header(path, &bytes, generation, own)?;
    let end = bytes.len().saturating_sub(CHECKSUM_BYTES).max(start);
    if blake3::hash(&bytes[..end]).as_bytes()[..] != bytes[end..] {
        return Err(FolderError::damaged(path, "its checksum is not that of its bytes"));
    }
    bytes.truncate(end);
    let (replica, program, is_first) = (bytes.split_off(start), header.program, generation == 1);
    Ok((header.identity, Found { replica, inputs: Vec::new(), torn: 0, program, is_first }))
}

/// What a file of inputs holds.
#[derive(Default)]
struct ReadInputs {
    /// None if power was lost when it was begun.
    generation: Option<Generation>,
    /// Where its last batch begins, or its first line if it has none.
    last_batch: usize,
    /// How much of it is whole.
    whole: usize,
    /// See [`Header::follows`].
    follows: Option<u64>,
}

fn read_inputs(path: &Path, bytes: &[u8], number: u64, own: &Identity) -> Result<ReadInputs, FolderError> {
    let Some((header, start)) = Header::read(bytes).map_err(FolderError::header(path))? else {
        // It is synced before anything is written behind it.
        return match batch::may_be_in(bytes) {
            true => Err(FolderError::damaged(path, "its first line has no end")),
            false => Ok(ReadInputs::default()),
        };
    };
    header.check(own).map_err(FolderError::header(path))?;
    is_named_so(path, &header, number)?;
    let key = Key::of(&bytes[..start]);
    let damaged = |damaged: Damaged| FolderError::damaged(path, damaged);
    let batches = batch::read(&key, bytes, start).map_err(damaged)?;
    let entries = batches.entries.iter().flat_map(|range| &bytes[range.clone()]).copied().collect();
    let last_batch = batches.entries.last().map_or(0, |range| range.start - HEAD_BYTES);
    let generation = Some(Generation { entries, began: header.began, program: header.program });
    Ok(ReadInputs { generation, last_batch, whole: batches.end, follows: header.follows })
}

/// What was written ahead of the batches is no part of one that is torn.
fn without_zeros(tail: &[u8]) -> &[u8] {
    let end = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &tail[..end]
}

fn remove_before(folder: &Path, generation: u64) -> io::Result<()> {
    let files = files(folder).map_err(io::Error::other)?;
    for (_, path) in files.replicas.range(..generation).chain(files.inputs.range(..generation)) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// A save that was being written when the process ended is as large as the state, and will never be whole.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(REPLICA) && name.ends_with(UNFINISHED) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Inputs {
        /// Nothing can be written to it.
        pub(crate) fn on_a_full_disk() -> Inputs {
            let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let lock = Arc::new(file.try_clone().unwrap());
            let blocks = Blocks::behind(file, b"");
            Inputs { lock, blocks, key: Key::of(b"line"), number: 0, end: Arc::default() }
        }
    }

    #[test]
    fn why_a_replica_cannot_be_written_is_not_forgotten() {
        let mut file = Hashing { inner: Full, hasher: blake3::Hasher::new(), bytes: 0, failure: None };
        let encode = |to: &mut dyn Write| match postcard::to_io(&7_u64, to) {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        };
        assert_eq!(file.take_from(encode).unwrap_err().to_string(), "the disk is full");
    }
}
