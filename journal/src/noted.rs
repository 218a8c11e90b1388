//! Entries in memory that are to be written together.

use crate::entry;
use kernel::{Context, Input, Micros, Protocol};

/// So many bytes are written even if nothing waits for them.
const BYTES_BEFORE_WRITE: usize = 64 << 10;

/// What was noted and is not yet handed over to be written.
///
/// Most of what a replica is given leads to nothing that leaves: a vote that completes no quorum, a late
/// answer. If that is lost, the replica is one that never got it. So it is written with the next input that something
/// waits for, and a request costs a node as many syncs as it sends messages, not as many as it receives.
#[derive(Debug, Default)]
pub struct Noted {
    entries: Vec<u8>,
    count: u64,
    /// The time that was lent with the first of them.
    since: Micros,
}

impl Noted {
    /// No entry waits for longer than this for another one that makes it be written: who reads a journal sees what has
    /// happened up to now.
    pub const WRITTEN_WITHIN: Micros = Micros(10_000);

    /// Gives the replica an input, and notes it.
    pub fn step<P: Protocol>(&mut self, replica: &mut P, cx: Context<'_, P>, input: Input<P>) {
        self.note(cx.now);
        entry::step(&mut self.entries, replica, cx, input);
    }

    /// Notes that these faults are injected, each as it is typed.
    pub fn faults<P: Protocol>(&mut self, faults: Vec<String>, now: Micros) {
        self.note(now);
        entry::write_faults::<P>(&mut self.entries, faults, now);
    }

    fn note(&mut self, now: Micros) {
        if self.count == 0 {
            self.since = now;
        }
        self.count += 1;
    }

    /// When all must be written at the latest; none if nothing is noted.
    pub fn due(&self) -> Option<Micros> {
        let after = Noted::WRITTEN_WITHIN;
        (self.count > 0).then(|| Micros(self.since.0.saturating_add(after.0)))
    }

    /// Whether it must be written now even if nothing waits for it.
    pub fn is_due(&self, now: Micros) -> bool {
        self.due().is_some_and(|due| due <= now) || self.entries.len() >= BYTES_BEFORE_WRITE
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of it, and how many entries these are.
    pub fn take(&mut self) -> (Vec<u8>, u64) {
        let capacity = self.entries.len();
        (std::mem::replace(&mut self.entries, Vec::with_capacity(capacity)), std::mem::take(&mut self.count))
    }
}
