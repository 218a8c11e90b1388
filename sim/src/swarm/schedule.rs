//! A schedule: everything that one run of the swarm is made of, as a file that
//! people can read, cut down and replay.

use crate::disk::{Disk, DiskFault};
use crate::network::Network;
use adversary::Behaviour;
use serde::{Deserialize, Serialize};

/// One run: a phase under faults, in which nothing may go wrong, then healing,
/// then a phase in which all must go well, within bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The flow: `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Everything random in the run comes from it.
    pub seed: u64,
    /// Replicas.
    pub nodes: u16,
    /// When the network becomes perfect and crashed nodes begin again, virtual
    /// microseconds.
    pub heal_us: u64,
    /// Whether faulty nodes behave from then on. Else they stay as they are.
    pub reform: bool,
    /// How long after healing everything must be done, virtual microseconds.
    pub limit_us: u64,
    /// Requests that are made one at a time when everything is done and at rest, in turn
    /// at each honest gateway: each must be answered within a number of request timers.
    #[serde(default)]
    pub probes: u64,
    /// Clients that keep on asking when everything is done and at rest: each honest gateway
    /// must have its answers at a fair pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
    /// The replicas' settings.
    pub settings: Settings,
    /// The network until it heals.
    pub network: Network,
    /// The disks until they are mended with the network, on which every node keeps a journal. None: whoever crashes
    /// loses its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What is wrong with whose disk.
    #[serde(default, rename = "disk_fault", skip_serializing_if = "Vec::is_empty")]
    pub disk_faults: Vec<BadDisk>,
    /// Who misbehaves, how and when.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Who crashes and begins again. Without disks, a crash that would make more than `f` nodes
    /// faulty, down or without memory at one time is left out.
    #[serde(default, rename = "crash", skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Crash>,
    /// Who asks for what.
    #[serde(default, rename = "client", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Client>,
}

/// The settings that a swarm draws; waits in virtual microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Most slots in flight.
    pub window: u64,
    /// Most requests that one slot orders.
    pub batch_max: usize,
    /// A checkpoint every so many slots.
    pub checkpoint_interval: u64,
    /// When what may be lost is sent again.
    pub resend_after_us: u64,
    /// When a request that is not executed makes its replica ask for another
    /// commander.
    pub request_timer_us: u64,
    /// CCRO: whether all votes together commit at once.
    pub fast_path: bool,
    /// CCRO: how long the communication node waits for all votes.
    pub fast_wait_us: u64,
    /// CCRO: how long a replica waits for certificates.
    pub fallback_after_us: u64,
    /// CCRO: who collects votes, as `--communication` takes it.
    pub communication: String,
}

/// Clients of every honest gateway that ask again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// Clients of each, every one with a bundle of its own.
    pub clients: u16,
    /// From an answer to the client's next request, virtual microseconds.
    pub pause_us: u64,
    /// They go on until each gateway has had so many answers.
    pub requests: u64,
}

/// A node misbehaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which.
    pub node: u16,
    /// How, in the form that `--fault` takes.
    pub behaviours: Vec<Behaviour>,
    /// From when on, virtual microseconds.
    #[serde(default)]
    pub from_us: u64,
}

/// A node's disk has something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadDisk {
    /// Whose.
    pub node: u16,
    /// What.
    pub fault: DiskFault,
}

/// A node crashes, and begins again by its journal, or without what it knew if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// Which.
    pub node: u16,
    /// When, virtual microseconds.
    pub at_us: u64,
    /// When it begins again, at the latest with healing.
    pub restart_us: u64,
}

/// Clients of one gateway whose requests travel in one bundle; they ask for more
/// when all of them have their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The node that they talk to.
    pub gateway: u16,
    /// Their first requests, virtual microseconds.
    pub begins_us: u64,
    /// From the answers to the next requests, virtual microseconds.
    #[serde(default)]
    pub pause_us: u64,
    /// How many clients, each a session.
    pub sessions: u16,
    /// Requests of each.
    pub requests: u64,
}

/// A schedule that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum BadSchedule {
    /// It is no such file, or was cut short.
    #[error("{0}; a schedule is a whole file as the swarm prints it")]
    Unreadable(#[from] Box<toml::de::Error>),
    /// It is one, and makes no sense.
    #[error("{0}")]
    Senseless(String),
}

/// The last line of a schedule: half a TOML file is often one as well.
const END: &str = "# end of schedule";

impl Schedule {
    /// Reads a schedule and checks that it can be replayed.
    pub fn parse(text: &str) -> Result<Schedule, BadSchedule> {
        let schedule: Schedule = toml::from_str(text).map_err(Box::new)?;
        if !text.trim_end().ends_with(END) {
            let message = format!("the last line, {END:?}, is missing: the file was cut short");
            return Err(BadSchedule::Senseless(message));
        }
        schedule.check().map_err(BadSchedule::Senseless)?;
        Ok(schedule)
    }

    /// Whether nothing fails in it: neither nodes nor the network.
    pub fn is_benign(&self) -> bool {
        let network = &self.network;
        let lossless = network.loss == 0.0 && network.duplication == 0.0 && network.partitions.is_empty();
        let nodes_fail = !self.faults.is_empty() || !self.crashes.is_empty() || !self.disk_faults.is_empty();
        !nodes_fail && lossless && network.links.is_empty()
    }

    /// Nodes that misbehave at some time, or whose disk does.
    pub fn faulty(&self) -> std::collections::BTreeSet<u16> {
        let bad_disks = self.disk_faults.iter().filter(|bad| bad.fault.is_for_ever());
        self.faults.iter().map(|fault| fault.node).chain(bad_disks.map(|bad| bad.node)).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.nodes == 0 {
            return Err("nodes is 0; a cluster has at least one replica".into());
        }
        let settings = &self.settings;
        if settings.window == 0 || settings.batch_max == 0 || settings.checkpoint_interval == 0 {
            return Err("window, batch_max and checkpoint_interval must be at least 1".into());
        }
        let faulty = self.faults.iter().map(|fault| ("fault", fault.node));
        let crashed = self.crashes.iter().map(|crash| ("crash", crash.node));
        let gateways = self.clients.iter().map(|client| ("client", client.gateway));
        let disks = self.disk_faults.iter().map(|bad| ("disk_fault", bad.node));
        let mut named = faulty.chain(crashed).chain(gateways).chain(disks);
        if let Some((key, node)) = named.find(|(_, node)| *node >= self.nodes) {
            return Err(format!("[[{key}]] names node {node}; there are {} nodes, from 0", self.nodes));
        }
        let behaviours = self.faults.iter().flat_map(|fault| &fault.behaviours);
        for behaviour in behaviours {
            if let Some(id) = behaviour.named().find(|id| id.0 >= self.nodes) {
                return Err(format!("{behaviour} names node {id}; there are {} nodes, from 0", self.nodes));
            }
        }
        if let Some(crash) = self.crashes.iter().find(|crash| crash.restart_us <= crash.at_us) {
            return Err(format!("[[crash]] of node {}: restart_us must come after at_us", crash.node));
        }
        match &self.disk {
            Some(disk) => disk.check().map_err(|problem| format!("[disk] {problem}"))?,
            None if !self.disk_faults.is_empty() => {
                return Err("[[disk_fault]] needs a table [disk]: without it there are no disks".into());
            }
            None => {}
        }
        self.network.check(self.nodes).map_err(|error| error.to_string())
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}{END}", toml::to_string(self).expect("a schedule is plain data"))
    }
}
