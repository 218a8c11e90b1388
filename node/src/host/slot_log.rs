//! The record of each slot, built from marks and from nothing else.

use crate::tally::Tally;
use kernel::{Digest, Mark, Path, Phase, Reason, ReplicaId, Seq};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// In an experiment, whose logs are compared at its end, a node keeps the records of this
/// many slots, the latest: about 27 MB.
pub const SLOTS_KEPT: usize = 65_536;

/// In a service it keeps those of so many: its memory does not grow for minutes.
pub const SERVICE_SLOTS_KEPT: usize = 2_048;

/// A record is opened at most this far above the highest slot that was decided, so that
/// absurd sequence numbers cannot drive out the records of real slots.
const LOOK_AHEAD: u64 = 1_024;

/// What is known of one slot.
#[derive(Clone, Debug, Default)]
struct Slot {
    votes: Vec<(Digest, u64)>,
    /// Who offended how; each counts once, however often it is sent.
    offences: Vec<(ReplicaId, Offence)>,
    accepted: Option<Digest>,
    decided: Option<Digest>,
    requests: usize,
    path: Option<Path>,
    proposed_ns: Option<u64>,
    committed_ns: Option<u64>,
    executed_ns: Option<u64>,
    chain: Option<Digest>,
}

/// What makes a vote or a proposal corrupt, whatever is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offence {
    /// It contradicts its author's earlier one.
    Contradicted(Phase),
    /// It was refused.
    Refused(Reason),
}

impl Slot {
    /// Votes for the decided digest are correct, before the decision those for
    /// the accepted proposal's. While neither is known, a vote is neither.
    fn tally(&self) -> Tally {
        let Some(right) = self.decided.or(self.accepted) else {
            return Tally { correct: 0, corrupt: self.offences.len() as u64 };
        };
        let mut tally = Tally { correct: 0, corrupt: self.offences.len() as u64 };
        for (digest, count) in &self.votes {
            if *digest == right {
                tally.correct += count;
            } else {
                tally.corrupt += count;
            }
        }
        tally
    }
}

/// The records of the latest slots.
#[derive(Debug)]
pub struct SlotLog {
    kept: usize,
    /// What the replica had executed before this log began.
    executed_before: u64,
    first: u64,
    slots: VecDeque<Slot>,
    /// The highest slot that was decided or executed.
    highest: u64,
    totals: Tally,
}

impl SlotLog {
    /// A log of at most `kept` slots.
    pub fn new(kept: usize) -> SlotLog {
        SlotLog::after(0, kept)
    }

    /// The same, of a replica that had executed so many slots before it was started, by its journal.
    pub fn after(executed: u64, kept: usize) -> SlotLog {
        SlotLog {
            kept,
            executed_before: executed,
            first: executed + 1,
            slots: VecDeque::new(),
            highest: executed,
            totals: Tally::default(),
        }
    }

    /// What the replica had executed before this log began.
    pub(crate) fn executed_before(&self) -> u64 {
        self.executed_before
    }

    /// Takes note of a mark made at `now_ns`.
    pub fn note(&mut self, mark: &Mark, now_ns: u64) {
        match mark {
            Mark::Proposed { seq, digest, requests, .. } => self.update(*seq, |slot| {
                slot.accepted = Some(*digest);
                slot.requests = *requests;
                slot.proposed_ns.get_or_insert(now_ns);
            }),
            Mark::Accepted { seq, digest } => self.update(*seq, |slot| slot.accepted = Some(*digest)),
            Mark::VoteReceived { seq, author, phase, contradicts: true, .. } => {
                self.offended(*seq, *author, Offence::Contradicted(*phase));
            }
            Mark::VoteReceived { seq, digest, .. } => {
                self.update(*seq, |slot| match slot.votes.iter_mut().find(|(d, _)| d == digest) {
                    Some((_, count)) => *count += 1,
                    None => slot.votes.push((*digest, 1)),
                });
            }
            Mark::Committed { seq, digest, path, .. } => {
                self.highest = self.highest.max(seq.0);
                self.update(*seq, |slot| {
                    slot.decided = Some(*digest);
                    slot.path.get_or_insert(*path);
                    slot.committed_ns.get_or_insert(now_ns);
                });
            }
            Mark::Executed { seq, digest, requests, chain } => {
                self.highest = self.highest.max(seq.0);
                self.update(*seq, |slot| {
                    slot.decided = Some(*digest);
                    slot.requests = *requests;
                    slot.chain = Some(*chain);
                    slot.executed_ns.get_or_insert(now_ns);
                });
            }
            Mark::StateAdopted { seq, chain } => {
                self.highest = self.highest.max(seq.0);
                self.update(*seq, |slot| slot.chain = Some(*chain));
            }
            Mark::Voted { .. }
            | Mark::Applied { .. }
            | Mark::View(_)
            | Mark::Generation(_)
            | Mark::Diverged { .. }
            | Mark::Recovered { .. } => {}
        }
    }

    /// Takes note of a vote, proposal or certificate that was refused.
    pub fn note_refused(&mut self, seq: Seq, from: ReplicaId, reason: Reason) {
        self.offended(seq, from, Offence::Refused(reason));
    }

    fn offended(&mut self, seq: Seq, who: ReplicaId, how: Offence) {
        self.update(seq, |slot| {
            if !slot.offences.contains(&(who, how)) {
                slot.offences.push((who, how));
            }
        });
    }

    /// All votes received since the start, those of forgotten slots included.
    pub fn totals(&self) -> Tally {
        self.totals
    }

    /// How a slot was committed.
    pub(crate) fn path(&self, seq: Seq) -> Option<Path> {
        self.get(seq)?.path
    }

    /// The votes received for a slot.
    pub(crate) fn tally(&self, seq: Seq) -> Tally {
        self.get(seq).map(Slot::tally).unwrap_or_default()
    }

    /// The records of the slots `from..=to` of which anything is known.
    pub fn rows(&self, from: u64, to: u64) -> Vec<SlotRow> {
        let last = self.first + self.slots.len() as u64;
        let (from, to) = (from.max(self.first), to.min(last.saturating_sub(1)));
        (from..=to).filter_map(|seq| Some(row(seq, self.get(Seq(seq))?))).collect()
    }

    /// Whether records older than the first one were dropped.
    pub(crate) fn is_truncated(&self) -> bool {
        self.first > self.executed_before + 1
    }

    fn get(&self, seq: Seq) -> Option<&Slot> {
        let index = seq.0.checked_sub(self.first)?;
        self.slots.get(usize::try_from(index).ok()?)
    }

    fn update(&mut self, seq: Seq, change: impl FnOnce(&mut Slot)) {
        if seq.0 < self.first || seq.0 > self.highest + LOOK_AHEAD {
            return;
        }
        // A replica that was handed a state by others may execute far ahead.
        if seq.0 - self.first >= 2 * self.kept as u64 {
            self.slots.clear();
            self.first = seq.0;
        }
        while seq.0 >= self.first + self.slots.len() as u64 {
            self.slots.push_back(Slot::default());
        }
        while self.slots.len() > self.kept {
            self.slots.pop_front();
            self.first += 1;
        }
        let slot = &mut self.slots[(seq.0 - self.first) as usize];
        let before = slot.tally();
        change(slot);
        let after = slot.tally();
        self.totals.correct = self.totals.correct + after.correct - before.correct;
        self.totals.corrupt = self.totals.corrupt + after.corrupt - before.corrupt;
    }
}

fn row(seq: u64, slot: &Slot) -> SlotRow {
    let tally = slot.tally();
    SlotRow {
        seq,
        digest: slot.decided,
        requests: slot.requests,
        path: slot.path,
        proposed_ns: slot.proposed_ns,
        committed_ns: slot.committed_ns,
        executed_ns: slot.executed_ns,
        chain: slot.chain,
        correct: tally.correct,
        corrupt: tally.corrupt,
    }
}

/// One slot in the answer to `GET /log`. Times are nanoseconds on the machine's
/// monotonic clock.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotRow {
    /// Its sequence number.
    pub seq: u64,
    /// The decided digest; none if undecided here.
    pub digest: Option<Digest>,
    /// Requests in it, as far as known.
    pub requests: usize,
    /// How it was committed.
    pub path: Option<Path>,
    /// When this node, as commander, proposed it.
    pub proposed_ns: Option<u64>,
    /// When it was committed here.
    pub committed_ns: Option<u64>,
    /// When it was executed here.
    pub executed_ns: Option<u64>,
    /// The chain over all executed digests up to this one.
    pub chain: Option<Digest>,
    /// Votes received for the decided digest.
    pub correct: u64,
    /// Votes and proposals received that were anything else.
    pub corrupt: u64,
}

/// The answer to `GET /log`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// The node.
    pub id: u16,
    /// The highest slot executed, 0 if none.
    pub last_executed: u64,
    /// The highest slot that it had executed, by its journal, before it was last started: there are records of later slots
    /// only.
    #[serde(default)]
    pub executed_before: u64,
    /// Records of slots after that were dropped.
    pub truncated: bool,
    /// In ascending order.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub rows: Vec<SlotRow>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Phase, ReplicaId, View};

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    fn vote(seq: u64, digest: Digest, contradicts: bool) -> Mark {
        Mark::VoteReceived { seq: Seq(seq), digest, author: ReplicaId(1), phase: Phase::Prepare, contradicts }
    }

    fn committed(seq: u64, digest: Digest) -> Mark {
        Mark::Committed { view: Some(View(0)), seq: Seq(seq), digest, path: Path::Fast }
    }

    fn executed(seq: u64, digest: Digest) -> Mark {
        Mark::Executed { seq: Seq(seq), digest, requests: 3, chain: B }
    }

    fn tally(correct: u64, corrupt: u64) -> Tally {
        Tally { correct, corrupt }
    }

    #[test]
    fn a_replica_that_is_there_again_has_records_since_then() {
        let mut log = SlotLog::after(50_000, 10);
        log.note(&vote(50_001, A, false), 1);
        log.note(&vote(50_000, A, false), 2);
        log.note(&executed(50_001, A), 3);
        assert_eq!(log.rows(0, u64::MAX).iter().map(|row| row.seq).collect::<Vec<_>>(), [50_001]);
        assert_eq!(log.tally(Seq(50_001)), tally(1, 0), "the first vote counts");
        assert!(!log.is_truncated());
        (50_002..50_020).for_each(|seq| log.note(&executed(seq, A), 4));
        assert!(log.is_truncated());
    }

    #[test]
    fn a_vote_is_judged_by_the_decision_and_before_it_by_the_proposal() {
        let mut log = SlotLog::new(10);
        let one = Seq(1);
        log.note(&vote(1, A, false), 1);
        log.note(&vote(1, B, false), 2);
        log.note(&vote(1, B, false), 3);
        assert_eq!(log.tally(one), tally(0, 0), "nobody knows which is right");
        log.note(&Mark::Accepted { seq: one, digest: A }, 4);
        assert_eq!(log.tally(one), tally(1, 2));
        log.note(&committed(1, B), 5);
        assert_eq!(log.tally(one), tally(2, 1));
        log.note(&vote(1, B, true), 6);
        log.note_refused(one, ReplicaId(2), Reason::BadSignature);
        log.note_refused(one, ReplicaId(2), Reason::BadSignature);
        assert_eq!(log.tally(one), tally(2, 3));
        assert_eq!(log.totals(), tally(2, 3));
        log.note(&vote(2, A, false), 7);
        log.note(&committed(2, A), 8);
        assert_eq!(log.totals(), tally(3, 3));
    }

    #[test]
    fn a_row_holds_the_first_time_of_each_event() {
        let mut log = SlotLog::new(10);
        let proposed = Mark::Proposed {
            view: Some(View(0)),
            seq: Seq(1),
            digest: A,
            requests: 5,
            communication_node: None,
        };
        log.note(&proposed, 10);
        log.note(&committed(1, A), 20);
        log.note(&committed(1, A), 21);
        log.note(&executed(1, A), 30);
        assert_eq!(
            log.rows(0, u64::MAX),
            [SlotRow {
                seq: 1,
                digest: Some(A),
                requests: 3,
                path: Some(Path::Fast),
                proposed_ns: Some(10),
                committed_ns: Some(20),
                executed_ns: Some(30),
                chain: Some(B),
                correct: 0,
                corrupt: 0,
            }]
        );
        let json = serde_json::to_value(&log.rows(1, 1)[0]).unwrap();
        assert_eq!(json["path"], "fast");
        assert_eq!(json["digest"], "01".repeat(32));
    }

    #[test]
    fn old_slots_make_room_and_their_votes_still_count() {
        let mut log = SlotLog::new(2);
        assert_eq!(log.rows(0, u64::MAX), []);
        for seq in 1..=3 {
            log.note(&committed(seq, A), seq);
            log.note(&vote(seq, A, false), seq);
            log.note(&executed(seq, A), seq);
        }
        let seqs = |from, to| log.rows(from, to).iter().map(|row| row.seq).collect::<Vec<_>>();
        assert_eq!(seqs(0, u64::MAX), [2, 3]);
        assert_eq!((seqs(3, 3), seqs(4, 9), seqs(3, 2)), (vec![3], vec![], vec![]));
        assert!(log.is_truncated());
        assert_eq!(log.totals(), tally(3, 0));
        assert_eq!((log.tally(Seq(1)), log.tally(Seq(0))), (tally(0, 0), tally(0, 0)));
    }

    #[test]
    fn an_absurd_sequence_number_opens_no_record() {
        let mut log = SlotLog::new(100_000);
        log.note_refused(Seq(u64::MAX), ReplicaId(1), Reason::BadSignature);
        log.note_refused(Seq(0), ReplicaId(1), Reason::BadSignature);
        log.note(&vote(LOOK_AHEAD + 1, A, false), 1);
        assert_eq!((log.rows(0, u64::MAX), log.totals()), (vec![], tally(0, 0)));
        log.note_refused(Seq(LOOK_AHEAD), ReplicaId(1), Reason::BadSignature);
        assert_eq!(log.totals(), tally(0, 1));
    }

    #[test]
    fn a_leap_far_ahead_starts_the_log_anew() {
        let mut log = SlotLog::new(4);
        log.note(&executed(1, A), 1);
        log.note(&executed(1_000_000_000_000, A), 2);
        assert_eq!(log.rows(0, u64::MAX).len(), 1);
        assert_eq!(log.rows(0, u64::MAX)[0].seq, 1_000_000_000_000);
    }
}
