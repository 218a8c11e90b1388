//! A configuration that was checked: every rule holds, and every value is there.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::{Context, Result, bail, ensure};
use apps::AppName;
use flows::options::Options;
use flows::waits::{Links, Waits};
use kernel::{Cluster, ClusterId, Keyring};

use super::settings::{ClientEntry, NodeEntry, Settings};
use crate::plan::{Communication, MAX_PAYLOAD_BYTES, ProtocolName, Via};

/// Waits longer than an hour are a mistake.
const LONGEST_MS: f64 = 3_600_000.0;
/// As many nodes as other commands take.
const MOST_NODES: usize = 1000;
/// Most clients with keys of their own.
const MOST_CLIENTS: usize = 10_000;
const LONGEST_NAME: usize = 64;

/// The configuration of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterConfig {
    /// Tells the cluster from all others.
    pub id: ClusterId,
    /// The flow.
    pub protocol: ProtocolName,
    /// What is replicated.
    pub app: AppName,
    /// The replicas' settings.
    pub options: Options,
    /// How long a node waits for the decision of a client's request, microseconds.
    pub timeout_us: u64,
    /// How long a client may take to send a request, microseconds.
    pub read_limit_us: u64,
    /// The largest data of a request, bytes.
    pub max_data_bytes: usize,
    /// Most connections of clients to a node; as many as there are descriptors for if
    /// `None`.
    pub max_connections: Option<usize>,
    /// Requests that each client may send to a node in a second; any number if `None`.
    pub requests_per_s: Option<u32>,
    /// The nodes by id.
    pub nodes: Vec<NodeEntry>,
    /// The clients: the first has the id after the last node's.
    pub clients: Vec<ClientEntry>,
}

impl ClusterConfig {
    /// The cluster, as its members know each other.
    pub fn identity(&self) -> Cluster {
        let name = self.protocol.to_string();
        Cluster::new(self.id, &name, self.n()).with_clients(self.clients.len() as u16)
    }

    /// Checks what was given. Every error names the field and the rule.
    pub fn of(given: Settings) -> Result<ClusterConfig> {
        let id = given.cluster_id.context(
            "cluster_id is not given; it is 32 hexadecimal digits, the same for all members of one cluster and for \
             no other cluster",
        )?;
        let protocol = given.protocol.context(
            "protocol is not given; give pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper or broadcast",
        )?;
        let app = given.app.context("app is not given; give opaque, kv, bank or orswot")?;
        check_members(&given)?;
        check_share_keys(&given, protocol)?;
        let n = given.node.len() as u16;
        protocol.check_size(n).context("the [[node]] tables are too few")?;
        let via = if given.client.is_empty() { Via::Http } else { Via::Client };
        protocol.check_use(app, via)?;
        protocol.check_members(given.members, n)?;
        check_communication(given.communication, protocol, n)?;
        check_ranges(&given)?;
        let waits = waits(&given, n);
        let us = |ms: Option<f64>, otherwise: u64| ms.map_or(otherwise, |ms| (ms * 1e3) as u64);
        let options = Options {
            batch_max: given.limits.batch.unwrap_or(pbft::Config::for_cluster(n).batch_max),
            window: given.limits.window.unwrap_or(pbft::Config::for_cluster(n).window),
            fast_path: given.fast_path.unwrap_or(true),
            waits,
            communication: given.communication.unwrap_or_default().into(),
            checkpoint_interval: None,
            members: given.members,
        };
        Ok(ClusterConfig {
            id,
            protocol,
            app,
            timeout_us: us(
                given.timers.timeout_ms,
                waits.request_timeout().as_micros().max(2_000_000) as u64,
            ),
            read_limit_us: us(given.timers.read_limit_ms, node::DEFAULT_READ_LIMIT_US),
            max_data_bytes: given.limits.max_data_bytes.unwrap_or(node::DEFAULT_MAX_DATA_BYTES),
            max_connections: given.limits.max_connections,
            requests_per_s: given.limits.requests_per_s,
            options,
            nodes: given.node,
            clients: given.client,
        })
    }

    /// Number of nodes.
    pub fn n(&self) -> u16 {
        self.nodes.len() as u16
    }

    /// The node of this id.
    pub fn node(&self, id: u16) -> Result<&NodeEntry> {
        self.nodes.get(usize::from(id)).with_context(|| {
            format!(
                "node {id} is out of range: the configuration has {} nodes, 0 to {}",
                self.n(),
                self.n() - 1
            )
        })
    }
}

/// The waits that were given, and for the others those that suit the links.
fn waits(given: &Settings, n: u16) -> Waits {
    let us = |ms: Option<f64>, suits: u64| ms.map_or(suits, |ms| (ms * 1e3) as u64);
    let suits = Waits::suiting(n, &Links::uniform(us(given.timers.link_delay_ms, 0), 0.0));
    Waits {
        fast_wait_us: us(given.timers.fast_wait_ms, suits.fast_wait_us),
        fallback_after_us: us(given.timers.fallback_after_ms, suits.fallback_after_us),
        resend_after_us: us(given.timers.resend_after_ms, suits.resend_after_us),
        request_after_us: us(given.timers.request_timer_ms, suits.request_after_us),
    }
}

fn check_communication(communication: Option<Communication>, protocol: ProtocolName, n: u16) -> Result<()> {
    let Some(communication) = communication else { return Ok(()) };
    ensure!(
        protocol.chooses_communication_node() || communication == Communication::default(),
        "communication = \"{communication}\": the communication node can be chosen for ccro and ccro-aggregate only, and the protocol is {protocol}"
    );
    if let Communication::Fixed(id) = communication {
        ensure!(id < n, "communication = \"{communication}\": node {id} is out of range, 0 to {}", n - 1);
    }
    Ok(())
}

fn check_ranges(given: &Settings) -> Result<()> {
    let timers = &given.timers;
    for (field, ms, least) in [
        ("timers.link_delay_ms", timers.link_delay_ms, 0.0),
        ("timers.timeout_ms", timers.timeout_ms, 1.0),
        ("timers.request_timer_ms", timers.request_timer_ms, 1.0),
        ("timers.resend_after_ms", timers.resend_after_ms, 1.0),
        ("timers.fast_wait_ms", timers.fast_wait_ms, 0.0),
        ("timers.fallback_after_ms", timers.fallback_after_ms, 0.0),
        ("timers.read_limit_ms", timers.read_limit_ms, 1.0),
    ] {
        within(field, ms, least, LONGEST_MS)?;
    }
    let limits = &given.limits;
    within("limits.batch", limits.batch, 1, 1 << 20)?;
    within("limits.window", limits.window, 1, 1 << 20)?;
    within("limits.max_data_bytes", limits.max_data_bytes, 1, MAX_PAYLOAD_BYTES)?;
    within("limits.requests_per_s", limits.requests_per_s, 1, 1_000_000)?;
    within("limits.max_connections", limits.max_connections, 1, 1 << 20)
}

fn within<T: PartialOrd + Display>(field: &str, value: Option<T>, least: T, most: T) -> Result<()> {
    match value {
        // In this form, so that no value that is not a number passes.
        Some(value) if !(least <= value && value <= most) => {
            bail!("{field} is {value}; it must be from {least} to {most}")
        }
        _ => Ok(()),
    }
}

fn check_share_keys(given: &Settings, protocol: ProtocolName) -> Result<()> {
    let has_shares = protocol.has_shares();
    for (id, node) in given.node.iter().enumerate() {
        let Some(key) = node.share_key else {
            ensure!(
                !has_shares,
                "node {id} has no share_key, which {protocol} needs; take it from the file that `harness init` wrote"
            );
            continue;
        };
        ensure!(has_shares, "node {id} has a share_key, and {protocol} has no shares; leave it out");
        let keyring = Keyring::new(&[])?.with_share_keys(&[key]);
        ensure!(
            keyring.is_ok(),
            "node {id}: share_key is not valid, or without proof that its owner has the secret; take it from the file that \
             `harness init` wrote"
        );
        let other = given.node[..id].iter().position(|other| other.share_key == Some(key));
        if let Some(other) = other {
            bail!("node {other} and node {id} have the same share_key; every node needs its own");
        }
    }
    Ok(())
}

fn check_members(given: &Settings) -> Result<()> {
    let (n, clients) = (given.node.len(), given.client.len());
    ensure!(n > 0, "there are 0 nodes; give at least one [[node]] with its address and public_key");
    ensure!(n <= MOST_NODES, "there are {n} nodes; give at most {MOST_NODES} [[node]] tables");
    ensure!(
        clients <= MOST_CLIENTS,
        "there are {clients} clients; give at most {MOST_CLIENTS} [[client]] tables"
    );
    let mut addresses = BTreeMap::new();
    for (id, node) in given.node.iter().enumerate() {
        let address = node.address;
        ensure!(
            address.port() != 0,
            "node {id}: address {address} has port 0; give the port that the others are to connect to"
        );
        ensure!(
            !address.ip().is_unspecified(),
            "node {id}: address {address} is no address to connect to; give the one by which the others reach the \
             node here, and what it listens on with --listen"
        );
        if let Some(other) = addresses.insert(address, id) {
            bail!("node {other} and node {id} have the same address {address}; every node needs its own");
        }
    }
    let mut names = BTreeMap::new();
    for (at, ClientEntry { name, .. }) in given.client.iter().enumerate() {
        check_name(name).with_context(|| format!("client {at}"))?;
        if let Some(other) = names.insert(name, at) {
            bail!("client {other} and client {at} have the same name {name:?}; every client needs its own");
        }
    }
    check_keys(given)
}

/// A client's name is part of the name of its key file.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    ensure!(
        !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_plain),
        "the name {name:?} must be 1 to {LONGEST_NAME} letters, digits, '-' and '_'"
    );
    ensure!(
        !name.starts_with("node-"),
        "the name {name:?} begins with \"node-\", as the key files of nodes do"
    );
    Ok(())
}

fn check_keys(given: &Settings) -> Result<()> {
    let of_nodes = given.node.iter().enumerate().map(|(id, node)| (format!("node {id}"), node.public_key));
    let of_clients =
        given.client.iter().map(|client| (format!("client {:?}", client.name), client.public_key));
    let mut seen = BTreeMap::new();
    for (who, key) in of_nodes.chain(of_clients) {
        ensure!(
            Keyring::new(&[key]).is_ok(),
            "{who}: public_key {key} is not a valid Ed25519 key; take it from the file that `harness init` wrote"
        );
        if let Some(other) = seen.insert(key, who.clone()) {
            bail!("{other} and {who} have the same public_key {key}; every member needs its own");
        }
    }
    Ok(())
}
