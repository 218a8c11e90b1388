//! After the load: whether all is as it should be again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use apps::AppName;
use kernel::{Digest, Seq};
use node::api::StateDigest;
use tokio::time::{Instant, sleep};

use super::driver::Seen;
use super::verdict::check_places;
use crate::cluster::http::get_json;
use crate::cluster::observe;
use crate::load::{self, Answer, LoadSpec, Progress, Sample, Targets};
use crate::plan::Load;
use crate::results::schema::{NOT_BACK, VIOLATION};

/// How long nodes may take to execute the last requests.
const LEVEL_LIMIT: Duration = Duration::from_secs(10);
/// How long a node may take to make the digest of a large state.
const DIGEST_LIMIT: Duration = Duration::from_secs(60);

/// Posts one more request through every node that is up, and says what is wrong:
/// nodes that do not serve or did not execute all, states that differ, and acknowledged requests
/// that were lost or doubled. `posted` requests were sent before, the warm-up's included.
pub async fn check(
    spec: &LoadSpec,
    addresses: &[SocketAddr],
    honest: &[u16],
    seen: &Seen,
    samples: &[Sample],
    posted: u64,
) -> Vec<String> {
    let up: Vec<u16> = honest.iter().copied().filter(|id| !seen.down.contains(id)).collect();
    let mut notes: Vec<String> = seen.not_back.iter().map(|what| format!("{NOT_BACK}: {what}")).collect();
    let mut last = None;
    for id in &up {
        match one_more(spec, *id, addresses[usize::from(*id)]).await {
            Answer::Decided(decision) => last = Some(decision),
            _ => notes.push(format!("{NOT_BACK}: a request through node {id} was not decided afterwards")),
        }
    }
    if let Some(different) = not_level(addresses, &up).await {
        notes.push(format!("{NOT_BACK}: {different}"));
    }
    if let Some(different) = different_states(addresses, &up).await {
        notes.push(format!("{VIOLATION}: {different}"));
    }
    // Only the opaque log names places.
    let wrong = match spec.app {
        AppName::Opaque => check_places(samples, last.as_ref(), posted + up.len() as u64),
        AppName::Kv | AppName::Bank | AppName::Set => vec![],
    };
    if let Some(first) = wrong.first() {
        notes.push(format!("{VIOLATION} of {} acknowledged requests, the first: {first}", wrong.len()));
    }
    notes
}

async fn one_more(spec: &LoadSpec, id: u16, address: SocketAddr) -> Answer {
    let spec = LoadSpec {
        targets: Targets::Gateways { nodes: vec![(id, address)], connections: 1 },
        load: Load::Closed { clients: 1 },
        requests: 1,
        seed: !spec.seed ^ u64::from(id),
        ..spec.clone()
    };
    let progress = Progress::new(&spec);
    load::run(&spec, &progress).await;
    let mut samples = progress.finish("no answer").samples;
    samples.pop().map_or(Answer::Pending, |sample| sample.answer)
}

/// A sentence on nodes that have executed as much as each other and have different states.
async fn different_states(addresses: &[SocketAddr], up: &[u16]) -> Option<String> {
    let mut digests: BTreeMap<Seq, (u16, Digest)> = BTreeMap::new();
    for id in up {
        let address = addresses[usize::from(*id)];
        let Ok(state) = get_json::<StateDigest>(address, "/api/v1/state/digest", DIGEST_LIMIT).await else {
            // Whoever does not answer is found by others.
            continue;
        };
        let Some(digest) = state.digest else { continue };
        let (other, theirs) = digests.entry(state.last_applied).or_insert((*id, digest));
        if *theirs != digest {
            let seq = state.last_applied;
            return Some(format!(
                "after slot {seq}, the states of nodes {other} and {id} have different digests"
            ));
        }
    }
    None
}

/// What the nodes have executed, if that stays different.
async fn not_level(addresses: &[SocketAddr], up: &[u16]) -> Option<String> {
    let limit = Instant::now() + LEVEL_LIMIT;
    loop {
        let statuses = observe::statuses(addresses).await;
        let executed = |id: &u16| statuses[usize::from(*id)].as_ref().map(|s| s.replica.last_executed.0);
        let distinct: BTreeSet<Option<u64>> = up.iter().map(executed).collect();
        if distinct.len() <= 1 && !distinct.contains(&None) {
            return None;
        }
        if Instant::now() >= limit {
            let each = up.iter().map(|id| match executed(id) {
                Some(seq) => format!("node {id} up to slot {seq}"),
                None => format!("node {id} does not answer"),
            });
            return Some(format!("executed: {}", each.collect::<Vec<_>>().join(", ")));
        }
        sleep(Duration::from_millis(20)).await;
    }
}
