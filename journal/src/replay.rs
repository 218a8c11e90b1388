//! A replica is given again what it was given.

use crate::entry::{Entry, Given, NoEntry};
use kernel::record::step_again;
use kernel::{Cluster, Effect, Input, Micros, Protocol, Signer, share_chunks};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A replica as it was when its last entry was written.
#[derive(Clone, Debug)]
pub struct Replayed<P: Protocol> {
    /// The replica.
    pub replica: P,
    /// The timers that run, and for how long each was set.
    pub timers: BTreeMap<P::Timer, Micros>,
    /// The time lent last.
    pub now: Micros,
    /// Entries that were played.
    pub entries: u64,
    /// Faults were injected into it once.
    pub was_faulty: bool,
}

/// Why a journal cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Its entries are not those of this protocol.
    #[error(transparent)]
    NoEntry(#[from] NoEntry),
    /// Faults were injected that this program does not know.
    #[error(
        "at entry {entry}, faults were injected that this version of the program does not know: {reason}"
    )]
    Faults {
        /// Which, from 0.
        entry: u64,
        /// What is wrong.
        reason: String,
    },
    /// The replica does not do what it did.
    #[error(
        "at entry {entry}, the replica does not do what it did when the journal was written: this is another version of \
         the program, or the memory of the machine is defective"
    )]
    Diverged {
        /// Which, from 0.
        entry: u64,
    },
}

impl<P: Protocol> Replayed<P> {
    /// A replica as it was saved, with the timers that ran then.
    pub fn begin(replica: P, timers: BTreeMap<P::Timer, Micros>, now: Micros) -> Replayed<P> {
        Replayed { replica, timers, now, entries: 0, was_faulty: false }
    }
}

/// Gives a replica the entries. `inject` puts faults on it, as they are typed. `each` is called after every step, with
/// the entry, the replica and its effects; it returns whether to go on.
///
/// # Errors
///
/// If there is something that is no entry, or the replica draws other choices than were noted.
pub fn replay<P: Protocol>(
    replayed: &mut Replayed<P>,
    cluster: &Cluster,
    signer: &Signer,
    entries: impl Iterator<Item = Result<Entry<P>, NoEntry>>,
    inject: impl Fn(&mut P, &[String]) -> Result<(), String>,
    mut each: impl FnMut(&Entry<P>, &P, &[Effect<P>]) -> bool,
) -> Result<(), ReplayError> {
    let mut effects = Vec::new();
    for entry in entries {
        let entry = entry?;
        effects.clear();
        let number = replayed.entries;
        match &entry.given {
            Given::Faults(faults) => {
                replayed.was_faulty |= !faults.is_empty();
                inject(&mut replayed.replica, faults)
                    .map_err(|reason| ReplayError::Faults { entry: number, reason })?;
            }
            Given::Input(input) => {
                let (replica, again) = (&mut replayed.replica, input.clone());
                if !step_again(replica, cluster, signer, again, entry.now, &entry.choices, &mut effects) {
                    return Err(ReplayError::Diverged { entry: number });
                }
                note_timers(&mut replayed.timers, input, &effects);
            }
        }
        replayed.now = entry.now;
        replayed.entries += 1;
        if !each(&entry, &replayed.replica, &effects) {
            break;
        }
    }
    Ok(())
}

/// Keeps up which timers run.
fn note_timers<P: Protocol>(
    timers: &mut BTreeMap<P::Timer, Micros>,
    input: &Input<P>,
    effects: &[Effect<P>],
) {
    if let Input::Expire(timer) = input {
        timers.remove(timer);
    }
    for effect in effects {
        match effect {
            Effect::SetTimer { timer, after } => {
                timers.insert(*timer, *after);
            }
            Effect::CancelTimer(timer) => {
                timers.remove(timer);
            }
            _ => {}
        }
    }
}

/// Writes a replica as it is, with the timers that run and the time lent last.
///
/// # Errors
///
/// If `to` does not take it.
pub fn save<P: Protocol, R: Serialize>(
    to: &mut dyn Write,
    replica: &R,
    timers: &BTreeMap<P::Timer, Micros>,
    now: Micros,
) -> io::Result<()> {
    let written = share_chunks(|| postcard::to_io(&(now, timers, replica), to));
    written.map(|_| ()).map_err(io::Error::other)
}

/// Reads what [`save`] has written.
///
/// # Errors
///
/// If it is no replica of this protocol.
pub fn load<P: Protocol, R: DeserializeOwned>(bytes: &[u8]) -> Result<Saved<P, R>, NoReplica> {
    let (now, timers, replica) = share_chunks(|| postcard::from_bytes(bytes)).map_err(NoReplica)?;
    Ok(Saved { replica, timers, now })
}

/// What was saved of a replica.
#[derive(Clone, Debug)]
pub struct Saved<P: Protocol, R> {
    /// The replica.
    pub replica: R,
    /// The timers that ran, and for how long each was set.
    pub timers: BTreeMap<P::Timer, Micros>,
    /// The time lent last.
    pub now: Micros,
}

/// The bytes are no replica of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved replica is none of this protocol, or another version of the program wrote it: {0}")]
pub struct NoReplica(postcard::Error);
