//! Many seeds on many threads; they share nothing.

use super::Flow;
use super::draw::Disks;
use super::play::play;
use super::schedule::Schedule;
use crate::oracles::Violation;
use kernel::Protocol;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A seed whose run broke a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
    /// Whether the flow promises otherwise. A finding without a promise is
    /// reported as what was to be expected.
    pub is_breach: bool,
}

/// A range of seeds, and how far it got.
#[derive(Debug)]
pub struct Search {
    seeds: Range<u64>,
    disks: Disks,
    next: AtomicU64,
    done: AtomicU64,
    stopped: AtomicBool,
    findings: Mutex<Vec<Finding>>,
}

impl Search {
    /// Will play every seed of the range.
    pub fn new(seeds: Range<u64>, disks: Disks) -> Search {
        Search {
            next: AtomicU64::new(seeds.start),
            seeds,
            disks,
            done: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            findings: Mutex::new(Vec::new()),
        }
    }

    /// Plays seeds until none is left; to be called by as many threads as there
    /// are cores.
    pub fn work<P: Protocol + 'static>(&self, flow: &Flow<P>) {
        while !self.stopped.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end {
                break;
            }
            let schedule = self.schedule(flow, seed);
            if let Some(violation) = play(flow, &schedule).violation {
                let finding = Finding { seed, violation, is_breach: flow.must_hold(&schedule) };
                self.findings.lock().expect("nobody panics with it").push(finding);
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The schedule of a seed.
    pub fn schedule<P>(&self, flow: &Flow<P>, seed: u64) -> Schedule {
        self.disks.draw(flow.name, seed, flow.tolerates)
    }

    /// Makes all threads end after the seed that they are at.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How many seeds the range has.
    pub fn seeds(&self) -> u64 {
        self.seeds.end - self.seeds.start
    }

    /// Seeds played so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// What was found so far, in the order of the seeds.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.lock().expect("nobody panics with it").clone();
        findings.sort_by_key(|finding| finding.seed);
        findings
    }
}
