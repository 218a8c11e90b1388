//! What the harness reads off running nodes: status, counters and logs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::http::get_json;

/// The part of `GET /status` that is used here.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeStatus {
    /// `commander`, `communication_node`, both joined by `+`, or `replica`.
    pub role: String,
    /// Slots executed.
    pub last_executed: u64,
    /// The view's commander.
    pub commander: u16,
    /// The vote collector, where there is one.
    pub communication_node: Option<u16>,
    /// Other nodes that it is connected to.
    pub peers_reachable: usize,
    /// Counters since its start.
    pub counters: Counters,
}

/// A node's counters since its start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Counters {
    /// Messages sent by kind.
    pub messages_out: BTreeMap<String, u64>,
    /// Bytes sent on peer links.
    pub bytes_out: u64,
    /// Bytes received on peer links.
    pub bytes_in: u64,
    /// Agreement messages sent.
    pub agreement_messages_out: u64,
    /// Agreement messages received.
    pub agreement_messages_in: u64,
    /// All other messages sent.
    pub other_messages_out: u64,
    /// All other messages received.
    pub other_messages_in: u64,
    /// Votes for the decided digest.
    pub votes_correct: u64,
    /// Corrupt votes and proposals.
    pub votes_corrupt: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures checked.
    pub signatures_checked: u64,
    /// Peer messages refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Slots decided.
    pub decided_slots: u64,
    /// CPU time, microseconds; `None` where nodes share a process.
    pub cpu_us: Option<u64>,
    /// Resident memory, bytes; `None` where nodes share a process.
    pub memory_bytes: Option<u64>,
}

impl Counters {
    /// What was counted between `earlier` and now. Memory is as it is now.
    pub fn since(&self, earlier: &Counters) -> Counters {
        let maps = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.iter()
                .map(|(key, count)| (key.clone(), count.saturating_sub(then.get(key).copied().unwrap_or(0))))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        let minus = |read: fn(&Counters) -> u64| read(self).saturating_sub(read(earlier));
        Counters {
            messages_out: maps(&self.messages_out, &earlier.messages_out),
            bytes_out: minus(|c| c.bytes_out),
            bytes_in: minus(|c| c.bytes_in),
            agreement_messages_out: minus(|c| c.agreement_messages_out),
            agreement_messages_in: minus(|c| c.agreement_messages_in),
            other_messages_out: minus(|c| c.other_messages_out),
            other_messages_in: minus(|c| c.other_messages_in),
            votes_correct: minus(|c| c.votes_correct),
            votes_corrupt: minus(|c| c.votes_corrupt),
            signatures_made: minus(|c| c.signatures_made),
            signatures_checked: minus(|c| c.signatures_checked),
            rejected: maps(&self.rejected, &earlier.rejected),
            decided_slots: minus(|c| c.decided_slots),
            cpu_us: self.cpu_us.zip(earlier.cpu_us).map(|(now, then)| now.saturating_sub(then)),
            memory_bytes: self.memory_bytes,
        }
    }

    fn traffic(&self) -> [u64; 5] {
        [
            self.agreement_messages_out,
            self.agreement_messages_in,
            self.other_messages_out,
            self.other_messages_in,
            self.decided_slots,
        ]
    }
}

/// A node's decided slots: the answer of `GET /log`.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeLog {
    /// The node.
    pub id: u16,
    /// Slots executed.
    pub last_executed: u64,
    /// Whether older slots are missing.
    pub truncated: bool,
    /// The slots in order.
    pub rows: Vec<LogRow>,
}

/// One slot as one node saw it. Times are nanoseconds on CLOCK_MONOTONIC.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LogRow {
    /// Sequence number.
    pub seq: u64,
    /// The decided digest, if the slot was decided here.
    pub digest: Option<String>,
    /// How it was committed.
    pub path: Option<String>,
    /// When it was proposed (on the commander).
    pub proposed_ns: Option<u64>,
    /// When it was committed.
    pub committed_ns: Option<u64>,
    /// Digest of all decisions up to here.
    pub chain: Option<String>,
    /// Votes for the decided digest.
    pub correct: u64,
    /// Corrupt votes and proposals.
    pub corrupt: u64,
}

const STATUS_LIMIT: Duration = Duration::from_secs(5);
const LOG_LIMIT: Duration = Duration::from_secs(60);

/// The status of every node, by id; `None` for one that does not answer.
pub async fn statuses(addresses: &[SocketAddr]) -> Vec<Option<NodeStatus>> {
    all(addresses, |address| async move { get_json(address, "/status", STATUS_LIMIT).await }).await
}

/// The whole log of every node, by id; `None` for one that does not answer.
pub async fn logs(addresses: &[SocketAddr]) -> Vec<Option<NodeLog>> {
    all(addresses, |address| async move { get_json(address, "/log", LOG_LIMIT).await }).await
}

async fn all<T, F>(addresses: &[SocketAddr], get: impl Fn(SocketAddr) -> F) -> Vec<Option<T>>
where
    T: 'static,
    F: Future<Output = Result<T>> + 'static,
{
    let mut answers: Vec<Option<T>> = addresses.iter().map(|_| None).collect();
    let mut asked = JoinSet::new();
    for (id, address) in addresses.iter().enumerate() {
        let answer = get(*address);
        asked.spawn_local(async move { (id, answer.await) });
    }
    while let Some(Ok((id, answer))) = asked.join_next().await {
        match answer {
            Ok(answer) => answers[id] = Some(answer),
            Err(error) => tracing::debug!("node {id}: {error:#}"),
        }
    }
    answers
}

/// Waits until every node of `up` is connected to all others of `up`, or the
/// limit is over. Says whether they are.
pub async fn wait_connected(addresses: &[SocketAddr], up: &[u16], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    let asked: Vec<SocketAddr> = up.iter().map(|id| addresses[usize::from(*id)]).collect();
    loop {
        let statuses = statuses(&asked).await;
        let connected = |status: &Option<NodeStatus>| {
            status.as_ref().is_some_and(|status| status.peers_reachable + 1 >= up.len())
        };
        if statuses.iter().all(connected) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}

/// Waits until no node's counters move any more, at most `limit`, and returns
/// the last statuses.
pub async fn settled(addresses: &[SocketAddr], pause: Duration, limit: Duration) -> Vec<Option<NodeStatus>> {
    let traffic = |statuses: &[Option<NodeStatus>]| -> Vec<Option<[u64; 5]>> {
        statuses.iter().map(|status| status.as_ref().map(|s| s.counters.traffic())).collect()
    };
    let deadline = Instant::now() + limit;
    let mut last = statuses(addresses).await;
    loop {
        sleep(pause).await;
        let now = statuses(addresses).await;
        if traffic(&now) == traffic(&last) || Instant::now() >= deadline {
            return now;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_leave_out_what_did_not_move() {
        let counters = |sent: u64| Counters {
            messages_out: [("prepare".to_string(), sent), ("commit".to_string(), 2)].into(),
            agreement_messages_out: sent + 2,
            cpu_us: Some(10 * sent),
            memory_bytes: Some(sent),
            ..Counters::default()
        };
        let difference = counters(7).since(&counters(3));
        assert_eq!(difference.messages_out, [("prepare".to_string(), 4)].into());
        assert_eq!((difference.agreement_messages_out, difference.cpu_us), (4, Some(40)));
        assert_eq!(difference.memory_bytes, Some(7));
    }
}
