//! What a node is told at start.

use ::apps::AppName;
use ::journal::Durability;
use anyhow::{Context as _, bail, ensure};
use kernel::keys::{PublicKey, SecretKey};
use kernel::{Claim, Cluster, Digest, Keyring, ReplicaId, ShareKey, Signer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The largest `data` that a node takes unless told otherwise, in bytes.
pub const DEFAULT_MAX_DATA_BYTES: usize = 8 << 20;

/// How long a client may take to send a request unless told otherwise, in
/// microseconds.
pub const DEFAULT_READ_LIMIT_US: u64 = 60_000_000;

/// Everything that one node needs to know.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct NodeConfig {
    /// The cluster that it belongs to.
    pub cluster: Cluster,
    /// Which of the cluster's replicas it is.
    pub id: ReplicaId,
    /// Its signing key.
    pub secret: SecretKey,
    /// Every replica's public key, by id.
    pub public_keys: Vec<PublicKey>,
    /// Every replica's public key for shares, by id, where the flow has those; else none.
    #[serde(default)]
    pub share_keys: Vec<ShareKey>,
    /// The public keys of the clients that have one, by id: the first is that of id `n`.
    #[serde(default)]
    pub client_keys: Vec<PublicKey>,
    /// Every replica's listen address, by id.
    pub addresses: Vec<SocketAddr>,
    /// What is replicated.
    pub app: AppName,
    /// The flow's `f`: the gateway accepts a result on `f+1` matching replies.
    pub faulty_tolerated: usize,
    /// A gateway's bundle never holds more requests than this.
    pub batch_max: usize,
    /// How long the gateway waits for a decision, in microseconds.
    pub timeout_us: u64,
    /// After how long without an answer the gateway hands a request to its replica again,
    /// in microseconds; each further time after twice as long.
    pub remind_after_us: u64,
    /// What the network does to this node's messages, at the start.
    pub link: LinkConditions,
    /// How messages are written on the peer links.
    pub encoding: Encoding,
    /// Seed of every random choice made in this node.
    pub seed: u64,
    /// The largest `data` of a request, in bytes.
    pub max_data_bytes: usize,
    /// Connections that clients may have to this node at a time; the peers' come
    /// on top.
    pub max_clients: usize,
    /// Requests that each client, told apart by its address, may send in a second; any
    /// number if `None`.
    pub requests_per_s: Option<u32>,
    /// How long a client may take to send a request's head or its body, and how
    /// long its connection may be idle, in microseconds.
    pub read_limit_us: u64,
    /// How long a client of the classic text waits for votes that are still on their
    /// way, in microseconds: as long as this cluster waits before it sends again what
    /// may be lost.
    pub settle_us: u64,
    /// Several nodes share this process, so that its CPU time and memory are not
    /// this node's own and are not reported.
    pub shares_process: bool,
    /// The digest of all that the members of the cluster must be told alike. A link to or
    /// from a node with another is refused.
    pub configuration: Digest,
    /// The records of how many slots, the latest, are kept for `/log`.
    pub slots_kept: usize,
    /// Whether `/faults` and `/links` may be used.
    pub fault_injection: bool,
    /// Where the node notes what it does; nobody notes it if `None`.
    #[serde(default)]
    pub recording: Option<RecordTo>,
    /// Where the node keeps what it was given; it keeps nothing if `None`.
    #[serde(default)]
    pub journal: Option<JournalTo>,
}

/// Where a node keeps what it was given, so that it is there again when it is started again.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct JournalTo {
    /// A folder of its own.
    pub folder: PathBuf,
    /// What it outlives.
    pub durability: Durability,
    /// A digest of all settings of the replica: with others it would not do again what it did.
    pub settings: String,
}

/// Where a node notes what it does, and how much of it: see [`trace::PartWriter`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RecordTo {
    /// The folder for its part, a file of its own each time that it starts.
    pub folder: PathBuf,
    /// It stops recording before the file is larger than so many bytes.
    pub limit_bytes: u64,
}

/// Faults of the network, injected on the peer links of one node. What is not
/// named is not injected.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConditions {
    /// Delay of every message that leaves this node, in microseconds.
    pub delay_us: u64,
    /// Probability that a message that leaves this node is lost, 0 to 1.
    pub loss: f64,
    /// Every message to and from these peers is lost.
    #[schemars(with = "Vec<u64>")]
    pub cut: Vec<ReplicaId>,
}

impl LinkConditions {
    /// Refuses what no network does.
    pub(crate) fn check(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let LinkConditions { loss, cut, .. } = self;
        ensure!((0.0..=1.0).contains(loss), "link loss {loss} is not a probability; it goes from 0 to 1");
        if let Some(unknown) = cut.iter().find(|id| !cluster.contains(**id)) {
            bail!("the link to node {unknown} cannot be cut: ids run from 0 to {}", cluster.n - 1);
        }
        Ok(())
    }
}

/// How messages are written on the peer links.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Length and postcard bytes.
    #[default]
    Binary,
    /// One JSON object per line, for people.
    Json,
}

impl Encoding {
    /// The content type that announces it on a peer link.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Binary => "application/octet-stream",
            Encoding::Json => "application/x-ndjson",
        }
    }

    /// The encoding that a content type announces.
    pub fn of_content_type(content_type: &str) -> Option<Encoding> {
        [Encoding::Binary, Encoding::Json]
            .into_iter()
            .find(|encoding| encoding.content_type() == content_type)
    }
}

impl NodeConfig {
    /// Checks that the parts fit together, and returns the keyring.
    pub(crate) fn validate(&self) -> anyhow::Result<Keyring> {
        let n = usize::from(self.cluster.n);
        ensure!(
            self.cluster.contains(self.id),
            "node {} is not in a cluster of {n} nodes; ids run from 0 to {}",
            self.id,
            n.saturating_sub(1)
        );
        ensure!(
            self.addresses.len() == n && self.public_keys.len() == n,
            "a cluster of {n} nodes needs {n} addresses and {n} public keys; there are {} and {}",
            self.addresses.len(),
            self.public_keys.len()
        );
        ensure!(
            self.client_keys.len() == usize::from(self.cluster.clients),
            "a cluster of {} clients needs as many public keys of theirs; there are {}",
            self.cluster.clients,
            self.client_keys.len()
        );
        ensure!(
            self.faulty_tolerated < n,
            "{} faulty nodes cannot be tolerated among {n}: nobody would be left to reply",
            self.faulty_tolerated
        );
        ensure!(self.batch_max > 0, "batch_max is 0; a bundle holds at least 1 request");
        ensure!(self.max_clients > 0, "max_clients is 0; nobody could ask this node for anything");
        ensure!(self.read_limit_us > 0, "read_limit_us is 0; no request could come in time");
        ensure!(self.timeout_us > 0, "timeout_us is 0; no request could ever be decided in time");
        ensure!(
            self.remind_after_us > 0,
            "remind_after_us is 0; every request would be handed over without end"
        );
        self.link.check(&self.cluster)?;
        let keys = [self.public_keys.as_slice(), &self.client_keys].concat();
        let keyring = Keyring::new(&keys).context("cannot read the cluster's public keys")?;
        let keyring = self.with_share_keys(keyring)?;
        let proof = b"this key is this node's";
        let claim = Claim {
            author: self.id,
            bytes: proof.to_vec(),
            signature: Signer::new(self.id, &self.secret).sign(proof),
        };
        ensure!(
            keyring.verify(&claim),
            "the secret key is not that of node {}: its signatures do not fit public key {}",
            self.id,
            self.public_keys[usize::from(self.id.0)]
        );
        Ok(keyring)
    }

    fn with_share_keys(&self, keyring: Keyring) -> anyhow::Result<Keyring> {
        let needed = if self.cluster.has_shares() { usize::from(self.cluster.n) } else { 0 };
        ensure!(
            self.share_keys.len() == needed,
            "the {} nodes of {} need {needed} share keys; there are {}",
            self.cluster.n,
            self.cluster.protocol,
            self.share_keys.len()
        );
        if needed == 0 {
            return Ok(keyring);
        }
        let own = usize::from(self.id.0);
        ensure!(
            self.secret.share_key() == self.share_keys[own],
            "the share key of node {own} is not the one of its secret key, {}",
            self.secret.share_key()
        );
        keyring.with_share_keys(&self.share_keys).context("cannot use the cluster's share keys")
    }

    /// How long a client may take to send a request.
    pub(crate) fn read_limit(&self) -> Duration {
        Duration::from_micros(self.read_limit_us)
    }

    /// How long tallies are waited for.
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_micros(self.settle_us)
    }

    /// How long the gateway waits for a decision.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_micros(self.timeout_us)
    }
}
