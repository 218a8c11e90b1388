//! The flows, and the one place where their replicas are made.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use adversary::{Adversary, Behaviour};
use apps::OpaqueLog;
use kernel::{Micros, ReplicaId};

/// A flow that can be run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolName {
    /// Classic PBFT.
    Pbft,
    /// CCRO with certificates: PBFT's votes through a communication node.
    Ccro,
    /// CCRO as published; not Byzantine-safe.
    CcroPaper,
}

/// Where nodes run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// One process each.
    #[default]
    Processes,
    /// All in this process, spread over a thread per core.
    Tasks,
    /// Nowhere: `harness simulate` played it in virtual time.
    #[value(skip)]
    Simulated,
}

/// Who collects CCRO's votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Communication {
    /// Never the commander, as long as there is another.
    #[default]
    Separate,
    /// Always the commander.
    Collocated,
    /// The one that the commander trusts most.
    Trust,
    /// Always this node.
    Fixed(u16),
}

/// Which node the load is posted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gateway {
    /// The first commander, or the first honest node if that one is faulty.
    #[default]
    Auto,
    /// All honest nodes in turn.
    Spread,
    /// This one.
    Node(u16),
}

/// What a replica is configured with, beside its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Most requests that one slot orders.
    pub batch_max: usize,
    /// Most slots in flight.
    pub window: u64,
    /// Whether CCRO tries its fast path.
    pub fast_path: bool,
    /// How long the communication node waits for all votes, microseconds; if
    /// `None`, what suits the cluster's size.
    pub fast_wait_us: Option<u64>,
    /// After how long a replica sends its votes to all, microseconds; if `None`,
    /// what suits the cluster's size.
    pub fallback_after_us: Option<u64>,
    /// The request timer, microseconds; if `None`, what suits the cluster's size.
    pub request_after_us: Option<u64>,
    /// After how long without progress a replica sends its votes again,
    /// microseconds; if `None`, what suits the cluster's size.
    pub resend_after_us: Option<u64>,
    /// Who collects CCRO's votes.
    pub communication: Communication,
}

/// What a node knows of its own past when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Memory {
    /// It has none: this is its first start.
    Fresh,
    /// It had one and lost it: it was killed and is started again. It must not
    /// vote until nothing that it may have said before can contradict it.
    Lost,
}

/// All that one node needs to know: the line of JSON that `harness node` reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The flow.
    pub protocol: ProtocolName,
    /// The replica's settings.
    pub options: Options,
    /// Whether it starts for the first time.
    pub memory: Memory,
    /// What is wrong with the node from the start.
    pub behaviours: Vec<Behaviour>,
    /// The core to stay on.
    pub pin: Option<usize>,
    /// The node's identity, keys, peers and limits.
    pub node: node::NodeConfig,
}

impl ProtocolName {
    /// Faults that the flow tolerates among `nodes` nodes.
    pub fn tolerates(self, nodes: u16) -> usize {
        match self {
            ProtocolName::Pbft | ProtocolName::Ccro => kernel::cluster::max_faulty(nodes),
            ProtocolName::CcroPaper => usize::from(nodes).saturating_sub(3) / 3,
        }
    }

    /// Refuses a cluster that is too small for the flow.
    pub fn check_size(self, nodes: u16) -> Result<()> {
        let least = match self {
            ProtocolName::Pbft | ProtocolName::Ccro => 1,
            ProtocolName::CcroPaper => 3,
        };
        if nodes < least {
            bail!("{self} needs at least {least} node(s), not {nodes}; give more --nodes");
        }
        Ok(())
    }
}

impl Options {
    /// PBFT's settings in a cluster of `n` nodes.
    pub fn pbft(&self, n: u16) -> pbft::Config {
        let defaults = pbft::Config::for_cluster(n);
        pbft::Config {
            batch_max: self.batch_max,
            window: self.window,
            request_after: self.request_after_us.map_or(defaults.request_after, Micros),
            resend_after: self.resend_after_us.map_or(defaults.resend_after, Micros),
            ..defaults
        }
    }

    /// CCRO's settings in a cluster of `n` nodes.
    pub fn ccro(&self, n: u16) -> ccro::Config {
        let defaults = ccro::Config::for_cluster(n);
        ccro::Config {
            pbft: self.pbft(n),
            fast_path: self.fast_path,
            fast_wait: self.fast_wait_us.map_or(defaults.fast_wait, Micros),
            fallback_after: self.fallback_after_us.map_or(defaults.fallback_after, Micros),
            communication: self.communication.into(),
        }
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolName::Pbft => "pbft",
            ProtocolName::Ccro => "ccro",
            ProtocolName::CcroPaper => "ccro-paper",
        })
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::Processes => "processes",
            Placement::Tasks => "tasks",
            Placement::Simulated => "simulated",
        })
    }
}

impl fmt::Display for Communication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Communication::Separate => f.write_str("separate"),
            Communication::Collocated => f.write_str("collocated"),
            Communication::Trust => f.write_str("trust"),
            Communication::Fixed(id) => write!(f, "fixed:{id}"),
        }
    }
}

impl FromStr for Communication {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Communication> {
        match (text, text.strip_prefix("fixed:").map(str::parse)) {
            ("separate", _) => Ok(Communication::Separate),
            ("collocated", _) => Ok(Communication::Collocated),
            ("trust", _) => Ok(Communication::Trust),
            (_, Some(Ok(id))) => Ok(Communication::Fixed(id)),
            _ => bail!("{text:?} is no communication policy; known: separate, collocated, trust, fixed:ID"),
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gateway::Auto => f.write_str("auto"),
            Gateway::Spread => f.write_str("spread"),
            Gateway::Node(id) => id.fmt(f),
        }
    }
}

impl FromStr for Gateway {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Gateway> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Gateway::Auto),
            ("spread", _) => Ok(Gateway::Spread),
            (_, Ok(id)) => Ok(Gateway::Node(id)),
            _ => bail!("{text:?} is no gateway; known: auto, spread, or a node's id"),
        }
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(Communication, Gateway);

/// Runs one node until `shutdown`; must be inside a `LocalSet`.
pub async fn run_node(
    spec: NodeSpec,
    listener: std::net::TcpListener,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let NodeSpec { protocol, options, memory, behaviours, node: config, .. } = spec;
    let (n, lost) = (config.cluster.n, memory == Memory::Lost);
    match protocol {
        ProtocolName::Pbft => {
            let new = if lost { pbft::Replica::recovering } else { pbft::Replica::new };
            let replica = new(options.pbft(n), OpaqueLog::default());
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
        ProtocolName::Ccro => {
            let new = if lost { ccro::Replica::recovering } else { ccro::Replica::new };
            let replica = new(options.ccro(n), OpaqueLog::default());
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
        ProtocolName::CcroPaper => {
            let new = if lost { ccro::paper::Replica::recovering } else { ccro::paper::Replica::new };
            let replica = new(&options.pbft(n), OpaqueLog::default());
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
    }
}

impl From<Communication> for ccro::CommunicationPolicy {
    fn from(communication: Communication) -> ccro::CommunicationPolicy {
        match communication {
            Communication::Separate => ccro::CommunicationPolicy::Separate,
            Communication::Collocated => ccro::CommunicationPolicy::Collocated,
            Communication::Trust => ccro::CommunicationPolicy::Trust,
            Communication::Fixed(id) => ccro::CommunicationPolicy::Fixed(ReplicaId(id)),
        }
    }
}
