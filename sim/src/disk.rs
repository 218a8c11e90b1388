//! The disk of a node and the journal on it: what is written, what is synced, and what is left
//! of it after a crash.
//!
//! Entries, batches and held effects are those of the crate `journal`, as on a real node. Only the
//! files are simulated: bytes that are synced and bytes that are not, and in place of a
//! saved replica a copy of it.

use adversary::{Adversary, Behaviour};
use journal::batch::{self, Key};
use journal::held::{Held, Ticket, early_votes, tells_of_one};
use journal::{Noted, Replayed, entry, replay};
use kernel::{
    Choose, Cluster, Context, Effect, Input, Mark, Micros, Protocol, ReplicaId, Signer, Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

type Timer<P> = <Adversary<P> as Protocol>::Timer;

/// The disks of all nodes, on each of which a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// How long it takes until what is written is synced: from the first to the second number of
    /// virtual microseconds.
    pub sync_us: (u64, u64),
    /// After so many bytes of entries the replica is saved anew.
    pub save_after_bytes: u64,
    /// How long that takes until it is whole, in the same way.
    pub save_us: (u64, u64),
}

/// What is wrong with the disk of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFault {
    /// It says that all is synced; a loss of power takes any part of the newest file.
    Lies,
    /// The sync of this number fails, counted from 1 over all that the node ever makes.
    FailsAt(u64),
    /// This sync fails and all that follow.
    FailsFrom(u64),
    /// No more than so many bytes of entries fit on it.
    FullAfterBytes(u64),
    /// Every sync takes so many virtual microseconds longer.
    SlowUs(u64),
}

impl DiskFault {
    /// Whether nobody mends it: then the node is one of the `f` that may be faulty.
    pub fn is_for_ever(self) -> bool {
        matches!(self, DiskFault::Lies | DiskFault::FailsFrom(_))
    }
}

/// An hour: longer than any disk here takes.
const LONGEST_US: u64 = 3_600_000_000;

impl Disk {
    /// One that takes hardly any time, and on which the replica is rarely saved.
    pub fn quick() -> Disk {
        Disk { sync_us: (20, 20), save_after_bytes: 64 << 10, save_us: (1000, 1000) }
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    ///
    /// What is wrong, and what would do.
    pub fn check(&self) -> Result<(), String> {
        for (key, (least, most)) in [("sync_us", self.sync_us), ("save_us", self.save_us)] {
            if least > most || most > LONGEST_US {
                return Err(format!(
                    "{key}, {least} to {most}, is no span; give two numbers up to {LONGEST_US}, the smaller one first"
                ));
            }
        }
        Ok(())
    }
}

/// A replica and what ran for it, after all batches up to one.
#[derive(Clone, Debug)]
struct Point<P: Protocol> {
    ticket: Ticket,
    replica: Adversary<P>,
    /// The timers that run, and for how long each was set.
    timers: BTreeMap<Timer<P>, Micros>,
    now: Micros,
}

/// A file of inputs.
#[derive(Debug)]
struct Generation {
    /// What was safe when it began.
    after: Ticket,
    key: Key,
    bytes: Vec<u8>,
    synced: usize,
    batches: u64,
    /// Where a sync failed and nobody minded: that is gone with the power.
    holes: Vec<std::ops::Range<usize>>,
}

/// A batch that is written and not yet synced.
#[derive(Debug)]
struct InFlight<P: Protocol> {
    write: u64,
    fits: bool,
    point: Point<P>,
}

/// A replica that was read from a disk.
#[derive(Debug)]
pub(crate) struct Resumed<P: Protocol> {
    pub(crate) replica: Adversary<P>,
    pub(crate) timers: BTreeMap<Timer<P>, Micros>,
    /// Of the steps that had left none before.
    pub(crate) marks: Vec<Mark>,
    /// Something was written before it stopped. If not, it is as if it had never been started.
    pub(crate) was_started: bool,
}

/// What is to be done for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Nothing,
    /// It has begun a write, which is synced after so many nanoseconds.
    Begun {
        write: u64,
        synced_after_ns: u64,
    },
    /// Nothing waits for what is noted: it is written after [`Noted::WRITTEN_WITHIN`] at the latest.
    Later,
}

/// What a step of the disk has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    /// More is safe; with the number of nanoseconds, the replica is being saved and will be by then.
    Safe { saved_after_ns: Option<u64> },
    /// Nobody knows what is on the disk.
    Failed,
    /// It was asked for before a crash.
    Stale,
}

/// The journal of a node, and the disk that it is on.
#[derive(Debug)]
pub(crate) struct NodeDisk<P: Protocol> {
    id: ReplicaId,
    disk: Disk,
    faults: Vec<DiskFault>,
    // On the disk.
    saved: Option<Point<P>>,
    /// What it began with: nothing was written before.
    began: Ticket,
    generations: Vec<Generation>,
    /// What is written to replace `saved`.
    saving: Option<(u64, Point<P>)>,
    // In memory.
    noted: Noted,
    /// The world will look whether what is noted waits for too long.
    looks_later: bool,
    /// The time that was lent last.
    lent: Micros,
    held: Held<Adversary<P>>,
    marks: VecDeque<(Ticket, Mark)>,
    in_flight: Option<InFlight<P>>,
    /// What was handed over to be written, and what of it is safe.
    handed_over: Ticket,
    safe: Ticket,
    /// The marks of all steps up to this one are known.
    marked: Ticket,
    // For the judge.
    last_safe: Option<Point<P>>,
    /// What was in flight when the node stopped: it may be there or not.
    in_doubt: Option<Point<P>>,
    syncs: u64,
    writes: u64,
    files: u64,
}

impl<P: Protocol> NodeDisk<P> {
    /// An empty one.
    pub(crate) fn new(id: ReplicaId, disk: Disk, faults: Vec<DiskFault>) -> NodeDisk<P> {
        NodeDisk {
            id,
            disk,
            faults,
            saved: None,
            began: 0,
            generations: Vec::new(),
            saving: None,
            noted: Noted::default(),
            looks_later: false,
            lent: Micros(0),
            held: Held::default(),
            marks: VecDeque::new(),
            in_flight: None,
            handed_over: 0,
            safe: 0,
            marked: 0,
            last_safe: None,
            in_doubt: None,
            syncs: 0,
            writes: 0,
            files: 0,
        }
    }

    /// Whether it may have lost what it called safe.
    pub(crate) fn lies(&self) -> bool {
        self.faults.contains(&DiskFault::Lies)
    }

    /// Another speed, for what is written from now on.
    pub(crate) fn set_speed(&mut self, disk: Disk) {
        self.disk = disk;
    }

    /// What can be mended is mended. False if a write has failed already that is not over.
    pub(crate) fn mend(&mut self) -> bool {
        self.faults.retain(|fault| fault.is_for_ever());
        self.in_flight.as_ref().is_none_or(|in_flight| in_flight.fits)
    }

    /// Whether nothing waits for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.marks.is_empty() && self.held.is_empty()
    }

    /// Begins with a replica that has seen nothing yet, which is safe at once; what was there is removed.
    pub(crate) fn begin(&mut self, replica: Adversary<P>, now: Micros) {
        let point = Point { ticket: self.handed_over, replica, timers: BTreeMap::new(), now };
        self.generations.clear();
        self.began = point.ticket;
        self.saved = Some(point.clone());
        self.go_on_from(point);
    }

    fn go_on_from(&mut self, point: Point<P>) {
        (self.handed_over, self.safe, self.marked) = (point.ticket, point.ticket, point.ticket);
        self.held = Held::default();
        self.in_doubt = None;
        self.last_safe = Some(point);
        self.begin_generation();
    }

    fn begin_generation(&mut self) {
        self.files += 1;
        let key = Key::of(format!("{} {}", self.id, self.files).as_bytes());
        self.generations.push(Generation {
            after: self.handed_over,
            key,
            bytes: Vec::new(),
            synced: 0,
            batches: 0,
            holes: Vec::new(),
        });
    }

    // ---- While the node runs ----

    /// Gives the replica an input, and notes it.
    pub(crate) fn step(
        &mut self,
        replica: &mut Adversary<P>,
        cx: Context<'_, Adversary<P>>,
        input: Input<Adversary<P>>,
    ) {
        self.lent = cx.now;
        self.noted.step(replica, cx, input);
    }

    /// The node's behaviours are these from now on.
    pub(crate) fn note_faults(&mut self, behaviours: &[Behaviour], now: Micros) {
        self.lent = now;
        self.noted.faults::<Adversary<P>>(Adversary::<P>::typed(behaviours), now);
    }

    /// Takes the effects of the input noted last; leaves those that may be carried out at once.
    pub(crate) fn hold(&mut self, cluster: &Cluster, effects: &mut Vec<Effect<Adversary<P>>>) {
        let ticket = self.handed_over + 1;
        if weakened(Weakening::EffectsBeforeJournal) {
            self.marked = ticket;
            return;
        }
        // The trace is to have only what will not be taken back: marks wait longer than they must.
        self.marks.extend(effects.iter().filter_map(mark_of).map(|mark| (ticket, mark)));
        self.held.hold(cluster, ticket, effects);
        effects.retain(|effect| mark_of(effect).is_none());
        // But that of a proposal or a PREPARE does not wait for longer than the message: others act upon it.
        let early: Vec<_> = early_votes(cluster, effects).collect();
        if early.is_empty() {
            return;
        }
        let mut marks = Vec::new();
        self.marks.retain(|(_, mark)| {
            let leaves = tells_of_one(mark, &early);
            marks.extend(leaves.then(|| Effect::Mark(mark.clone())));
            !leaves
        });
        effects.splice(0..0, marks);
    }

    /// The next effect whose inputs are safe.
    pub(crate) fn release(&mut self) -> Option<Effect<Adversary<P>>> {
        if let Some((_, mark)) = self.marks.pop_front_if(|(ticket, _)| *ticket <= self.safe) {
            return Some(Effect::Mark(mark));
        }
        self.held.safe_up_to(self.safe);
        std::iter::from_fn(|| self.held.release()).find(|effect| mark_of(effect).is_none())
    }

    /// Has what was noted written if something waits for it or it has waited for long, and if nothing is being written.
    pub(crate) fn write(
        &mut self,
        choose: &mut dyn Choose,
        replica: &Adversary<P>,
        timers: impl FnOnce() -> BTreeMap<Timer<P>, Micros>,
        now: Micros,
    ) -> Write {
        if self.in_flight.is_some() || self.noted.is_empty() {
            return Write::Nothing;
        }
        if !self.held.waits_for(self.handed_over + 1) && !self.noted.is_due(now) {
            let is_new = !std::mem::replace(&mut self.looks_later, true);
            return if is_new { Write::Later } else { Write::Nothing };
        }
        let (entries, _) = self.noted.take();
        let left = self.space_left();
        let newest = self.generations.last_mut().expect("one is begun before anything is written");
        let head = batch::head(&newest.key, newest.batches, &entries);
        let bytes = [&head[..], &entries].concat();
        let fits = bytes.len() <= left;
        newest.bytes.extend_from_slice(&bytes[..bytes.len().min(left)]);
        newest.batches += 1;
        self.handed_over += 1;
        self.writes += 1;
        let point =
            Point { ticket: self.handed_over, replica: replica.clone(), timers: timers(), now: self.lent };
        self.in_flight = Some(InFlight { write: self.writes, fits, point });
        if weakened(Weakening::UnsyncedTailTrusted) {
            self.is_safe_up_to(self.handed_over);
        }
        let slower_us = self.faults.iter().map(|fault| match fault {
            DiskFault::SlowUs(us) => *us,
            _ => 0,
        });
        let synced_after_ns = 1000 * (drawn(choose, self.disk.sync_us) + slower_us.sum::<u64>());
        Write::Begun { write: self.writes, synced_after_ns }
    }

    /// The time has come to look whether what is noted waits for too long.
    pub(crate) fn looks(&mut self) {
        self.looks_later = false;
    }

    fn space_left(&self) -> usize {
        let used: usize = self.generations.iter().map(|generation| generation.bytes.len()).sum();
        let full = self.faults.iter().filter_map(|fault| match fault {
            DiskFault::FullAfterBytes(bytes) => Some(*bytes as usize),
            _ => None,
        });
        full.min().map_or(usize::MAX, |full| full.saturating_sub(used))
    }

    fn is_safe_up_to(&mut self, ticket: Ticket) {
        self.safe = self.safe.max(ticket);
        self.marked = self.marked.max(self.safe);
    }

    /// The sync of a write has ended.
    pub(crate) fn synced(&mut self, choose: &mut dyn Choose, write: u64) -> Synced {
        let Some(InFlight { fits, point, .. }) = self.in_flight.take_if(|in_flight| in_flight.write == write)
        else {
            return Synced::Stale;
        };
        self.syncs += 1;
        let fails = !fits
            || self.faults.iter().any(|fault| match fault {
                DiskFault::FailsAt(sync) => *sync == self.syncs,
                DiskFault::FailsFrom(sync) => *sync <= self.syncs,
                _ => false,
            });
        if fails && !weakened(Weakening::FailedSyncIgnored) {
            self.in_doubt = Some(point);
            return Synced::Failed;
        }
        let newest = self.generations.last_mut().expect("it was written to");
        if fails {
            newest.holes.push(newest.synced..newest.bytes.len());
        }
        newest.synced = newest.bytes.len();
        self.is_safe_up_to(point.ticket);
        let saved_after_ns = self.save_if_long(choose, &point);
        self.last_safe = Some(point);
        Synced::Safe { saved_after_ns }
    }

    /// Begins to save the replica as it is after all that is safe, if the journal has grown long.
    fn save_if_long(&mut self, choose: &mut dyn Choose, point: &Point<P>) -> Option<u64> {
        let newest = self.generations.last().expect("one is begun first");
        if self.saving.is_some() || (newest.bytes.len() as u64) < self.disk.save_after_bytes {
            return None;
        }
        if weakened(Weakening::CutBeforeSaved) {
            self.saved = None;
            self.generations.clear();
        }
        self.begin_generation();
        self.saving = Some((self.files, point.clone()));
        Some(1000 * drawn(choose, self.disk.save_us))
    }

    /// The number of the save that is being written, if one is.
    pub(crate) fn saving(&self) -> Option<u64> {
        self.saving.as_ref().map(|(save, _)| *save)
    }

    /// A save is whole: what was before it is removed.
    pub(crate) fn saved(&mut self, save: u64) {
        if let Some((_, point)) = self.saving.take_if(|(saving, _)| *saving == save) {
            self.generations.retain(|generation| generation.after >= point.ticket);
            self.saved = Some(point);
        }
    }

    // ---- When it stops, and after that ----

    /// The process ends: what was written stays.
    pub(crate) fn stop(&mut self) {
        self.noted = Noted::default();
        self.held.clear();
        self.marks.clear();
        self.saving = None;
        if let Some(in_flight) = self.in_flight.take() {
            self.in_doubt = Some(in_flight.point);
        }
    }

    /// The power is lost, after the process has ended: what was not synced is lost, wholly or in part.
    pub(crate) fn lose_power(&mut self, choose: &mut dyn Choose) {
        let lies = self.lies();
        let Some(newest) = self.generations.last_mut() else { return };
        for hole in newest.holes.drain(..) {
            newest.bytes[hole].fill(0);
        }
        let first = if lies { 0 } else { newest.synced };
        let unsynced = (newest.bytes.len() - first) as u64;
        let kept = match choose.below(4) {
            0 => 0,
            1 => unsynced,
            _ => choose.below(unsynced + 1),
        };
        newest.bytes.truncate(first + kept as usize);
        // Pages may reach the disk in any order.
        if kept > 0 && !lies && choose.below(3) == 0 {
            let from = choose.below(kept);
            let until = from + 1 + choose.below(kept - from);
            newest.bytes[first + from as usize..first + until as usize].fill(0);
        }
        newest.synced = newest.synced.min(newest.bytes.len());
    }

    /// Reads what is there, plays it, and goes on from it.
    ///
    /// # Errors
    ///
    /// Why nothing can be begun with it.
    ///
    /// # Panics
    ///
    /// If the disk does not lie and the replica is not the one that stopped.
    pub(crate) fn resume(&mut self, cluster: &Cluster, signer: &Signer) -> Result<Resumed<P>, String> {
        let (point, marks) = self.read(cluster, signer)?;
        if !self.lies() {
            self.judge(&point);
        }
        let (replica, timers) = (point.replica.clone(), point.timers.clone());
        let was_started = point.ticket > self.began;
        // As a real node does: what was read is synced before anything is built on it.
        let newest = self.generations.last_mut().expect("it was read");
        newest.synced = newest.bytes.len();
        self.go_on_from(point);
        Ok(Resumed { replica, timers, marks, was_started })
    }

    fn read(&mut self, cluster: &Cluster, signer: &Signer) -> Result<(Point<P>, Vec<Mark>), String> {
        let Some(Point { mut ticket, replica, timers, now }) = self.saved.clone() else {
            return Err("the file of the replica is missing".into());
        };
        let (mut replayed, mut marks) = (Replayed::begin(replica, timers, now), Vec::new());
        let newest = self.generations.len() - 1;
        for (place, generation) in self.generations.iter_mut().enumerate() {
            let batches =
                batch::read(&generation.key, &generation.bytes, 0).map_err(|damaged| damaged.to_string())?;
            if batches.torn > 0 && place != newest {
                return Err("an end is torn, and another file follows it".into());
            }
            for range in &batches.entries {
                ticket += 1;
                let entries = entry::read(&generation.bytes[range.clone()]);
                let note_marks = |_: &_, _: &_, effects: &[Effect<Adversary<P>>]| {
                    if ticket > self.marked {
                        marks.extend(effects.iter().filter_map(mark_of));
                    }
                    true
                };
                replay(&mut replayed, cluster, signer, entries, Adversary::set_typed, note_marks)
                    .map_err(|error| error.to_string())?;
            }
            generation.bytes.truncate(batches.end);
        }
        let Replayed { replica, timers, now, .. } = replayed;
        Ok((Point { ticket, replica, timers, now }, marks))
    }

    /// What was safe is there, and what is there is the replica that stopped.
    fn judge(&self, found: &Point<P>) {
        let id = self.id;
        assert!(
            found.ticket >= self.safe,
            "replica {id} was told that {} batches are safe, and after a crash {} are there",
            self.safe,
            found.ticket
        );
        let then =
            [&self.in_doubt, &self.last_safe].into_iter().flatten().find(|then| then.ticket == found.ticket);
        let then =
            then.unwrap_or_else(|| panic!("replica {id} finds {} batches, and wrote fewer", found.ticket));
        assert!(
            then.replica == found.replica,
            "replica {id} is not after its replay what it was: the replay differs"
        );
        assert_eq!(then.timers, found.timers, "replica {id} has other timers after its replay");
        assert_eq!(then.now, found.now, "replica {id} was lent another time in its replay");
    }
}

fn mark_of<P: Protocol>(effect: &Effect<P>) -> Option<Mark> {
    match effect {
        Effect::Mark(mark) => Some(mark.clone()),
        _ => None,
    }
}

fn drawn(choose: &mut dyn Choose, (least, most): (u64, u64)) -> u64 {
    least + choose.below(most - least + 1)
}
