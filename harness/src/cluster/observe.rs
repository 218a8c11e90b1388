//! What the harness reads off running nodes: status, counters and logs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use node::api::{CounterReport, LogReport, StatusReport};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::http::get_json;

/// What was counted between `earlier` and `now`. Memory is as it
/// is now.
pub fn since(now: &CounterReport, earlier: &CounterReport) -> CounterReport {
    let maps = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
        now.iter()
            .map(|(key, count)| (key.clone(), count.saturating_sub(then.get(key).copied().unwrap_or(0))))
            .filter(|(_, count)| *count > 0)
            .collect()
    };
    let minus = |read: fn(&CounterReport) -> u64| read(now).saturating_sub(read(earlier));
    CounterReport {
        messages_out: maps(&now.messages_out, &earlier.messages_out),
        messages_in: maps(&now.messages_in, &earlier.messages_in),
        bytes_out_by_kind: maps(&now.bytes_out_by_kind, &earlier.bytes_out_by_kind),
        bytes_in_by_kind: maps(&now.bytes_in_by_kind, &earlier.bytes_in_by_kind),
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
        rejected: maps(&now.rejected, &earlier.rejected),
        dropped_messages: minus(|c| c.dropped_messages),
        decided_slots: minus(|c| c.decided_slots),
        commits_by_path: maps(&now.commits_by_path, &earlier.commits_by_path),
        view_changes: minus(|c| c.view_changes),
        fallbacks: minus(|c| c.fallbacks),
        stable_checkpoints: minus(|c| c.stable_checkpoints),
        corrupt_replies: minus(|c| c.corrupt_replies),
        timers_extended: minus(|c| c.timers_extended),
        syncs: minus(|c| c.syncs),
        sync_us: minus(|c| c.sync_us),
        cpu_us: now.cpu_us.zip(earlier.cpu_us).map(|(now, then)| now.saturating_sub(then)),
        memory_bytes: now.memory_bytes,
    }
}

fn traffic(counters: &CounterReport) -> [u64; 5] {
    [
        counters.agreement_messages_out,
        counters.agreement_messages_in,
        counters.other_messages_out,
        counters.other_messages_in,
        counters.decided_slots,
    ]
}

/// What the rows need to know of a node at one moment.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// The node's role by its own word.
    pub role: String,
    /// Who commands its view.
    pub commander: Option<u16>,
    /// How often it found that its state was not the one that a quorum vouched for.
    pub divergences: u64,
    /// Whether its state is not that one now.
    pub is_diverged: bool,
    /// What it counted since it began.
    pub counters: CounterReport,
}

impl From<StatusReport> for NodeState {
    fn from(status: StatusReport) -> NodeState {
        NodeState {
            role: status.role,
            commander: status.replica.views.map(|views| views.commander.0),
            divergences: status.replica.divergences,
            is_diverged: status.replica.diverged,
            counters: status.counters,
        }
    }
}

const STATUS_LIMIT: Duration = Duration::from_secs(5);
const LOG_LIMIT: Duration = Duration::from_secs(60);

/// The status of every node, by id; `None` for one that does not answer.
pub async fn statuses(addresses: &[SocketAddr]) -> Vec<Option<StatusReport>> {
    all(addresses, |address| async move { get_json(address, "/status", STATUS_LIMIT).await }).await
}

/// The whole log of every node, by id; `None` for one that does not answer.
pub async fn logs(addresses: &[SocketAddr]) -> Vec<Option<LogReport>> {
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
        let connected = |status: &Option<StatusReport>| {
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
/// what every node says then.
pub async fn settled(addresses: &[SocketAddr], pause: Duration, limit: Duration) -> Vec<Option<NodeState>> {
    let all_traffic = |states: &[Option<NodeState>]| -> Vec<Option<[u64; 5]>> {
        states.iter().map(|state| state.as_ref().map(|state| traffic(&state.counters))).collect()
    };
    let deadline = Instant::now() + limit;
    let mut last = states(addresses).await;
    loop {
        sleep(pause).await;
        let now = states(addresses).await;
        if all_traffic(&now) == all_traffic(&last) || Instant::now() >= deadline {
            return now;
        }
        last = now;
    }
}

async fn states(addresses: &[SocketAddr]) -> Vec<Option<NodeState>> {
    statuses(addresses).await.into_iter().map(|status| status.map(NodeState::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_leave_out_what_did_not_move() {
        let counters = |sent: u64| CounterReport {
            messages_out: [("prepare".to_string(), sent), ("commit".to_string(), 2)].into(),
            agreement_messages_out: sent + 2,
            cpu_us: Some(10 * sent),
            memory_bytes: Some(sent),
            ..CounterReport::default()
        };
        let difference = since(&counters(7), &counters(3));
        assert_eq!(difference.messages_out, [("prepare".to_string(), 4)].into());
        assert_eq!((difference.agreement_messages_out, difference.cpu_us), (4, Some(40)));
        assert_eq!(difference.memory_bytes, Some(7));
    }
}
