//! What a node counts: the event loop its messages, the readers of peer links what
//! comes in on them.

use super::refusal_log::RefusalLog;
use crate::clock::now_ns;
use kernel::{Class, Mark, Path, Reason, ViewMark};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name under which replies to gateways are counted.
const REPLY_KIND: &str = "reply";

/// Counts since the start of the node, written by the event loop.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: Traffic,
    pub(crate) sent_bytes: u64,
    pub(crate) received: Traffic,
    refused: BTreeMap<Reason, u64>,
    log: RefusalLog<Reason>,
    pub(crate) dropped_messages: u64,
    decided_slots: u64,
    commits: BTreeMap<Path, u64>,
    view_changes: u64,
    fallbacks: u64,
    stable_checkpoints: u64,
    pub(crate) corrupt_replies: u64,
    pub(crate) timers_extended: u64,
}

/// What came in on the peer links since the start, written by their readers.
#[derive(Debug, Default)]
pub(crate) struct ArrivalCounters {
    pub(crate) bytes: u64,
    unreadable: BTreeMap<&'static str, u64>,
    log: RefusalLog<&'static str>,
}

impl ArrivalCounters {
    /// Counts a frame or a link that never got as far as a message.
    pub(crate) fn unreadable(&mut self, what: &'static str) {
        *self.unreadable.entry(what).or_default() += 1;
        if let Some(times) = self.log.note(what, now_ns()) {
            tracing::warn!(kind = what, times, "refused what came on a peer's connection");
        }
    }
}

/// Messages in one direction.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    by_kind: BTreeMap<&'static str, Amount>,
    agreement: u64,
    other: u64,
}

/// Messages of one kind, and the bytes that they took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Traffic {
    /// Counts messages of one kind.
    pub(crate) fn count(&mut self, kind: &'static str, class: Class, amount: Amount) {
        self.add(kind, amount);
        let copies = amount.messages;
        if class.is_agreement() {
            self.agreement += copies;
        } else {
            self.other += copies;
        }
    }

    /// Counts a reply to a gateway, which is no message of the protocol and never
    /// part of the agreement.
    pub(crate) fn count_reply(&mut self, amount: Amount) {
        self.add(REPLY_KIND, amount);
        self.other += amount.messages;
    }

    fn add(&mut self, kind: &'static str, amount: Amount) {
        let total = self.by_kind.entry(kind).or_default();
        total.messages += amount.messages;
        total.bytes += amount.bytes;
    }

    fn by_kind(&self, what: impl Fn(&Amount) -> u64) -> BTreeMap<String, u64> {
        self.by_kind.iter().map(|(kind, amount)| ((*kind).to_owned(), what(amount))).collect()
    }
}

impl Counters {
    /// Counts a message that was understood and refused.
    pub(crate) fn refused(&mut self, reason: Reason) {
        *self.refused.entry(reason).or_default() += 1;
        // Duplicates and what comes late are common; nobody pays for lines that are not read.
        if tracing::enabled!(tracing::Level::INFO)
            && let Some(times) = self.log.note(reason, now_ns())
        {
            tracing::info!(kind = %reason, times, "refused messages of peers");
        }
    }

    /// Counts what happened inside the replica.
    pub(crate) fn note(&mut self, mark: &Mark) {
        match mark {
            Mark::Committed { path, .. } => {
                self.decided_slots += 1;
                *self.commits.entry(*path).or_default() += 1;
            }
            Mark::View(ViewMark::ViewBegan { .. }) => self.view_changes += 1,
            Mark::View(ViewMark::FellBack { .. }) => self.fallbacks += 1,
            Mark::View(ViewMark::Stable { .. }) => self.stable_checkpoints += 1,
            _ => {}
        }
    }

    /// The counts as they are reported; those kept elsewhere are zero.
    pub(crate) fn report(&self, arrivals: &ArrivalCounters) -> CounterReport {
        let refused = self.refused.iter().map(|(reason, count)| (reason.to_string(), *count));
        let unreadable = arrivals.unreadable.iter().map(|(what, count)| ((*what).to_owned(), *count));
        CounterReport {
            messages_out: self.sent.by_kind(|amount| amount.messages),
            messages_in: self.received.by_kind(|amount| amount.messages),
            bytes_out_by_kind: self.sent.by_kind(|amount| amount.bytes),
            bytes_in_by_kind: self.received.by_kind(|amount| amount.bytes),
            bytes_out: self.sent_bytes,
            bytes_in: arrivals.bytes,
            agreement_messages_out: self.sent.agreement,
            agreement_messages_in: self.received.agreement,
            other_messages_out: self.sent.other,
            other_messages_in: self.received.other,
            rejected: refused.chain(unreadable).collect(),
            dropped_messages: self.dropped_messages,
            decided_slots: self.decided_slots,
            commits_by_path: self.commits.iter().map(|(path, count)| (path.to_string(), *count)).collect(),
            view_changes: self.view_changes,
            fallbacks: self.fallbacks,
            stable_checkpoints: self.stable_checkpoints,
            corrupt_replies: self.corrupt_replies,
            timers_extended: self.timers_extended,
            ..CounterReport::default()
        }
    }
}

/// A node's counts, as `GET /status` gives them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
pub struct CounterReport {
    /// Messages handed to the peer links, one per recipient, by kind.
    pub messages_out: BTreeMap<String, u64>,
    /// Messages that came in and could be read, by kind.
    pub messages_in: BTreeMap<String, u64>,
    /// Bytes of the messages out, frame headers included, by kind.
    pub bytes_out_by_kind: BTreeMap<String, u64>,
    /// Bytes of the messages in, frame headers included, by kind.
    pub bytes_in_by_kind: BTreeMap<String, u64>,
    /// Bytes handed to the peer links.
    pub bytes_out: u64,
    /// Bytes that came in on peer links.
    pub bytes_in: u64,
    /// Proposals, votes and certificates among the messages out.
    pub agreement_messages_out: u64,
    /// Proposals, votes and certificates among the messages in.
    pub agreement_messages_in: u64,
    /// All other messages out.
    pub other_messages_out: u64,
    /// All other messages in.
    pub other_messages_in: u64,
    /// Votes received for the decided digest of their slot.
    pub votes_correct: u64,
    /// Votes and proposals for another digest, badly signed or contradictory.
    pub votes_corrupt: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures checked.
    pub signatures_checked: u64,
    /// Peer messages refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Messages that a link's full queue or an unreachable peer cost, and those
    /// too large to be sent.
    pub dropped_messages: u64,
    /// Slots decided here.
    pub decided_slots: u64,
    /// The same by how they were committed.
    #[serde(default)]
    pub commits_by_path: BTreeMap<String, u64>,
    /// Views that began here after the first.
    #[serde(default)]
    pub view_changes: u64,
    /// Slots in which this replica gave up on the communication node.
    #[serde(default)]
    pub fallbacks: u64,
    /// Checkpoints that a quorum proved.
    #[serde(default)]
    pub stable_checkpoints: u64,
    /// Replies whose result differs from the accepted one.
    pub corrupt_replies: u64,
    /// How often a timer of the replica was due and ran on because the links were
    /// carrying large messages.
    #[serde(default)]
    pub timers_extended: u64,
    /// How often the journal was synced.
    #[serde(default)]
    pub syncs: u64,
    /// How long these syncs took together, microseconds.
    #[serde(default)]
    pub sync_us: u64,
    /// CPU time of the process, microseconds; none where nodes share one.
    pub cpu_us: Option<u64>,
    /// Resident memory of the process, bytes; none where nodes share one.
    pub memory_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_by_part_and_by_reason() {
        let mut counters = Counters::default();
        let amount = |messages, bytes| Amount { messages, bytes };
        counters.sent.count("prepare", Class::Vote, amount(3, 600));
        counters.sent.count("prepare", Class::Vote, amount(3, 630));
        counters.sent.count("request", Class::Request, amount(1, 90));
        counters.received.count_reply(amount(1, 70));
        counters.refused(Reason::BadSignature);
        counters.refused(Reason::BadSignature);
        counters.refused(Reason::Duplicate);
        let mut arrivals = ArrivalCounters::default();
        arrivals.unreadable("truncated frame");
        let report = counters.report(&arrivals);
        assert_eq!(report.messages_out, [("prepare".to_owned(), 6), ("request".to_owned(), 1)].into());
        assert_eq!(
            report.bytes_out_by_kind,
            [("prepare".to_owned(), 1230), ("request".to_owned(), 90)].into()
        );
        assert_eq!(report.bytes_in_by_kind, [("reply".to_owned(), 70)].into());
        assert_eq!((report.agreement_messages_out, report.other_messages_out), (6, 1));
        assert_eq!((report.agreement_messages_in, report.other_messages_in), (0, 1));
        let rejected = [("bad signature", 2), ("duplicate", 1), ("truncated frame", 1)];
        assert_eq!(report.rejected, rejected.map(|(reason, count)| (reason.to_owned(), count)).into());
    }
}
