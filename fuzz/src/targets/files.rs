//! Files that people write, and what they type.

use super::text;
use crate::{Limit, Target};
use ::adversary::Behaviour;
use flows::waits::{Links, Waits};
use harness::config::{ClientEntry, ClusterConfig, NodeEntry, Settings, key_file};
use harness::history::{file as history_file, judge};
use harness::plan::faults::{CommanderDraw, Scenario, scenarios};
use harness::plan::outage::{Partition, Victim};
use harness::plan::{Communication, Gateway, Plan};
use kernel::keys::PublicKey;
use kernel::{Cluster, ClusterId, Digest, Signature};
use sim::Network;
use sim::swarm::Schedule;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// What errors call the file.
const FILE: &str = "file";

/// TOML and what is made of it: a few kilobytes of the parser's own, and tables.
const TOML: Limit = Limit { bytes: 4 << 20, per_byte: 1024 };

/// Every error can be shown, with all its reasons.
fn shown(error: &anyhow::Error) {
    assert!(!format!("{error:#}").is_empty());
}

/// Configurations of clusters.
pub static CLUSTER_FILES: Target = Target {
    name: "cluster_files",
    reads: "cluster.toml, which all members of a cluster are given",
    run: cluster_files,
    limit: TOML,
    tries: 1_000,
};

fn cluster_files(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    match Settings::parse(text).and_then(ClusterConfig::of) {
        Ok(config) => {
            let cluster = config.identity();
            assert!(cluster.quorum() >= cluster.weak_quorum());
            assert!(config.node(config.n()).is_err() && config.node(0).is_ok());
            true
        }
        Err(error) => {
            shown(&error);
            false
        }
    }
}

/// Key files.
pub static KEY_FILES: Target = Target {
    name: "key_files",
    reads: "key files: a secret key in hexadecimal",
    run: |input| key_file::parse(input).is_some(),
    limit: Limit { bytes: 4 << 10, per_byte: 0 },
    tries: 3_000,
};

/// Plans of sweeps.
pub static PLANS: Target = Target {
    name: "plans",
    reads: "plans, as harness sweep reads them",
    run: plans,
    // Every value of one list is combined with every one of the others.
    limit: Limit { bytes: 64 << 20, per_byte: 4096 },
    tries: 1_000,
};

/// A plan may ask for more cells than memory holds: it means that, and a fuzzer would
/// only find it again and again.
const MOST_CELLS: usize = 2_000;

fn plans(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let plan = match Plan::parse(text, Some("plan")) {
        Ok(plan) => plan,
        Err(error) => {
            shown(&error);
            return false;
        }
    };
    let written = plan.to_toml().expect("a plan can be written");
    let again = Plan::parse(&written, None).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{plan:?}"), "it is read as it was written");
    let lists = [
        plan.protocols.len(),
        plan.apps.len(),
        plan.nodes.len(),
        plan.faults.len(),
        plan.payload_bytes.len(),
        plan.batch.len(),
        plan.clients.len().max(plan.rate.len()),
        plan.via.len(),
        plan.link_delay_us.len(),
        plan.link_loss.len(),
    ];
    if lists.iter().product::<usize>() > MOST_CELLS {
        return false;
    }
    match plan.cells() {
        Ok(cells) => {
            for cell in &cells {
                let links = Links::uniform(cell.link_delay_us, cell.link_loss);
                let _ = plan.options(cell, &links);
            }
            true
        }
        Err(error) => {
            shown(&error);
            false
        }
    }
}

/// Descriptions of networks.
pub static NETWORKS: Target = Target {
    name: "networks",
    reads: "descriptions of networks, as harness simulate --network reads them",
    run: networks,
    limit: TOML,
    tries: 1_000,
};

fn networks(input: &[u8]) -> bool {
    const N: u16 = 4;
    let Some(text) = text(input) else { return false };
    let network = match Network::parse(text) {
        Ok(network) => network,
        Err(error) => return error.to_string().is_empty(),
    };
    let again = Network::parse(&network.to_toml()).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{network:?}"), "it is read as it was written");
    if let Err(error) = network.check(N) {
        return error.to_string().is_empty();
    }
    let _ = (network.slowest_us(N), network.is_healthy_at(0));
    let waits = Waits::suiting(N, &Links::of(&network, N, 100));
    assert!(waits.request_timeout() > Duration::ZERO);
    true
}

/// Schedules of the swarm.
pub static SCHEDULES: Target = Target {
    name: "schedules",
    reads: "schedules, as harness simulate --schedule reads them",
    run: schedules,
    limit: TOML,
    tries: 1_000,
};

fn schedules(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    match Schedule::parse(text) {
        Ok(schedule) => {
            let again = Schedule::parse(&schedule.to_string()).expect("what was written can be read");
            assert_eq!(again, schedule, "it is read as it was written");
            let _ = (schedule.is_benign(), schedule.faulty());
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}

/// Histories of clients.
pub static HISTORIES: Target = Target {
    name: "histories",
    reads: "histories, as harness history reads and judges them",
    run: histories,
    limit: Limit { bytes: 16 << 20, per_byte: 4096 },
    tries: 300,
};

fn histories(input: &[u8]) -> bool {
    /// To judge more may take as long as it is given.
    const MOST_JUDGED: usize = 6;
    match history_file::parse(input, Path::new(FILE)) {
        Ok(history) => {
            history.iter().for_each(|operation| assert!(!operation.to_string().is_empty()));
            if history.len() <= MOST_JUDGED {
                let judged = judge(&history, Duration::from_millis(20));
                assert!(!judged.to_string().is_empty());
                judged.violations.iter().for_each(|found| assert!(!found.to_string().is_empty()));
            }
            true
        }
        Err(error) => {
            shown(&error);
            false
        }
    }
}

/// What people type.
pub static TYPED: Target = Target {
    name: "typed",
    reads: "values of flags and the names in files: faults, behaviours, outages, ids, keys, members, commands of the \
            demo",
    run: typed,
    limit: Limit { bytes: 1 << 20, per_byte: 4096 },
    tries: 3_000,
};

/// True if it is any of them.
fn typed(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let cluster = Cluster::new(ClusterId::derive("demo", 0), "pbft", 4).with_clients(1);
    let known = [
        is_written_back::<Behaviour>(text),
        is_written_back::<Scenario>(text),
        is_written_back::<Partition>(text),
        is_written_back::<Victim>(text),
        is_written_back::<Communication>(text),
        is_written_back::<Gateway>(text),
        is_written_back::<Digest>(text),
        is_written_back::<Signature>(text),
        is_written_back::<PublicKey>(text),
        text.parse::<NodeEntry>().is_ok(),
        text.parse::<ClientEntry>().is_ok(),
        matches!(demo::command::read(&cluster, text), Ok(Some(_))),
    ];
    if let Ok(behaviour) = text.parse::<Behaviour>() {
        let _ = (behaviour.problem(4, &["prepare", "commit"]), behaviour.keeps_rules());
    }
    let flags: Vec<String> = text.lines().take(3).map(str::to_owned).collect();
    for scenario in scenarios(&flags).into_iter().flatten().take(16) {
        for nodes in [1, 4, 7] {
            let _ = scenario.assign(nodes, 1, CommanderDraw::Spare);
        }
    }
    known.contains(&true)
}

/// Whether a text is a value; then its own text is the same value.
fn is_written_back<T: FromStr<Err: ToString> + ToString + PartialEq + std::fmt::Debug>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            let again = written.parse::<T>().map_err(|error| error.to_string());
            assert_eq!(again, Ok(value), "{text:?} was written as {written:?}");
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}
