//! Journals: the folder of a replica, the entries in it, and a saved replica.

use super::folder;
use crate::choices::Choices;
use crate::{Limit, Target};
use adversary::Adversary;
use flows::{Broadcast, Ccro, CcroPaper, Pbft};
use journal::batch::{self, Key};
use journal::header::{Header, Identity, When};
use journal::{Durable, Folder, Found, entry, replay};
use kernel::Micros;
use std::fs;
use std::path::Path;

/// The files of a replica.
pub static JOURNALS: Target = Target {
    name: "journals",
    reads: "the folder of a replica, as a node and harness replay open it: files that are whole, cut, damaged, missing, \
            or of another",
    run: journals,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 300,
};

/// Whose journals are read.
fn identity() -> Identity {
    Identity {
        cluster: "00".into(),
        protocol: "pbft".into(),
        app: "kv".into(),
        n: 4,
        clients: 0,
        node: 3,
        settings: "00".into(),
    }
}

/// A file in an input: what it is and how it is made (a byte), its generation (a byte), how much is cut from its end
/// (a byte), the length of its bytes (two), its bytes. True if there is a journal to go on with.
fn journals(input: &[u8]) -> bool {
    let folder = folder();
    let mut choices = Choices::new(input);
    while !choices.is_over() {
        let (kind, generation, cut) =
            (choices.byte(), u64::from(choices.byte()), usize::from(choices.byte()));
        let length = usize::from(choices.byte()) | usize::from(choices.byte()) << 8;
        let bytes = choices.take(length);
        let is_replica = kind & 1 == 0;
        let mut file = match (kind & 2 == 0, is_replica) {
            (false, _) => bytes.to_vec(),
            (true, true) => whole_replica(generation, bytes),
            (true, false) => whole_inputs(generation, bytes),
        };
        file.truncate(file.len().saturating_sub(cut));
        let name = if is_replica { "replica" } else { "inputs" };
        fs::write(folder.path().join(format!("{name}-{generation}")), file)
            .expect("a temporary file can be written");
    }
    let looked = match Folder::look(folder.path()) {
        Ok(looked) => looked,
        Err(error) => return error.to_string().is_empty(),
    };
    let opened = open(folder.path());
    if let (Some((_, looked)), Some(opened)) = (&looked, &opened) {
        assert_eq!(looked.inputs, opened.inputs, "who looks sees what a node goes on with");
    }
    if let Some(opened) = &opened {
        let again = open(folder.path()).expect("what could be opened can be opened again");
        assert_eq!(again.torn, 0, "what was torn is cut");
        assert!(again.inputs == opened.inputs && again.replica == opened.replica, "nothing else has changed");
    }
    opened.is_some()
}

fn open(path: &Path) -> Option<Found> {
    match Folder::open(path, identity()) {
        Ok((_, found)) => found,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn first_line(generation: u64) -> Vec<u8> {
    Header::new(identity(), generation, When::default(), generation).line()
}

/// With a first line and a checksum that hold.
fn whole_replica(generation: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = [&first_line(generation)[..], bytes].concat();
    let checksum = blake3::hash(&file);
    file.extend_from_slice(checksum.as_bytes());
    file
}

/// With a first line and batches that are whole; a byte says how long the next one is.
fn whole_inputs(generation: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = first_line(generation);
    let key = Key::of(&file);
    let mut choices = Choices::new(bytes);
    let mut number = 0;
    while !choices.is_over() {
        let length = usize::from(choices.byte());
        let entries = choices.take(length);
        file.extend_from_slice(&batch::head(&key, number, entries));
        file.extend_from_slice(entries);
        number += 1;
    }
    file
}

/// Calls a function of the flow that the first byte names, with the other bytes.
macro_rules! of_a_flow {
    ($input:expr, $function:ident) => {{
        let mut choices = Choices::new($input);
        match choices.byte() % 4 {
            0 => $function::<Pbft>(choices.rest()),
            1 => $function::<Ccro>(choices.rest()),
            2 => $function::<CcroPaper>(choices.rest()),
            _ => $function::<Broadcast>(choices.rest()),
        }
    }};
}

/// What replicas were given.
pub static JOURNAL_ENTRIES: Target = Target {
    name: "journal_entries",
    reads: "the entries of a journal, of each flow; what is read is written and read again",
    run: journal_entries,
    limit: Limit { bytes: 4 << 20, per_byte: 256 },
    tries: 3_000,
};

/// The first byte says of which flow. True if all are entries.
fn journal_entries(input: &[u8]) -> bool {
    of_a_flow!(input, entries)
}

fn entries<P: Durable>(bytes: &[u8]) -> bool {
    let (mut again, mut all) = (Vec::new(), !bytes.is_empty());
    for read in entry::read::<Adversary<P>>(bytes) {
        match read {
            Ok(entry) => entry::write(&mut again, &entry),
            Err(error) => all = error.to_string().is_empty(),
        }
    }
    let mut twice = Vec::new();
    for read in entry::read::<Adversary<P>>(&again) {
        entry::write(&mut twice, &read.expect("what was written can be read"));
    }
    assert_eq!(again, twice, "it is read as it was written");
    all
}

/// Replicas.
pub static SAVED_REPLICAS: Target = Target {
    name: "saved_replicas",
    reads: "a replica as a journal saves it, of each flow; what is read is written and read again",
    run: saved_replicas,
    limit: Limit { bytes: 4 << 20, per_byte: 1024 },
    tries: 3_000,
};

/// The first byte says of which flow. True if it is a replica.
fn saved_replicas(input: &[u8]) -> bool {
    of_a_flow!(input, replica)
}

fn replica<P: Durable>(bytes: &[u8]) -> bool {
    let saved = match replay::load::<Adversary<P>, P>(bytes) {
        Ok(saved) => saved,
        Err(error) => return error.to_string().is_empty(),
    };
    let write = |replica: &P, timers, now: Micros| {
        let mut bytes = Vec::new();
        replay::save::<Adversary<P>, P>(&mut bytes, replica, timers, now).expect("memory takes it");
        bytes
    };
    let once = write(&saved.replica, &saved.timers, saved.now);
    let again = replay::load::<Adversary<P>, P>(&once).expect("what was written can be read");
    assert_eq!(write(&again.replica, &again.timers, again.now), once, "it is read as it was written");
    true
}
