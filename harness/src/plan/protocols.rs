//! The protocols by name, and the choices that go with them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use apps::AppName;
use flows::job::FlowName;
use kernel::ReplicaId;
use serde::{Deserialize, Serialize};

/// A flow that can be run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolName {
    /// Classic PBFT.
    Pbft,
    /// PBFT with authenticators instead of signatures, as it was published.
    PbftMac,
    /// The same, with authenticators on requests as well: a faulty client can make views change.
    PbftMacRequests,
    /// CCRO with certificates: PBFT's votes through a communication node.
    Ccro,
    /// The same with aggregate certificates: one signature and a bit set, whatever the number of votes.
    CcroAggregate,
    /// CCRO as published; not Byzantine-safe.
    CcroPaper,
    /// Secure broadcast: no leader, and no order between requests of different nodes.
    Broadcast,
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

/// How requests reach the cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By HTTP to a node, which signs them under its own key and collects the replies.
    #[default]
    Http,
    /// By a client with a key of its own, which is connected to all nodes and collects the
    /// replies itself.
    Client,
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

/// Which node the load is posted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gateway {
    /// The first commander, or the first honest node if that one is faulty.
    #[default]
    Auto,
    /// All honest nodes, round robin.
    Spread,
    /// This one.
    Node(u16),
}

impl From<ProtocolName> for FlowName {
    fn from(protocol: ProtocolName) -> FlowName {
        match protocol {
            ProtocolName::Pbft => FlowName::Pbft,
            ProtocolName::PbftMac => FlowName::PbftMac,
            ProtocolName::PbftMacRequests => FlowName::PbftMacRequests,
            ProtocolName::Ccro => FlowName::Ccro,
            ProtocolName::CcroAggregate => FlowName::CcroAggregate,
            ProtocolName::CcroPaper => FlowName::CcroPaper,
            ProtocolName::Broadcast => FlowName::Broadcast,
        }
    }
}

impl ProtocolName {
    /// Whether one can say which node is the communication node.
    pub fn chooses_communication_node(self) -> bool {
        matches!(self, ProtocolName::Ccro | ProtocolName::CcroAggregate)
    }

    /// Whether its nodes need keys for shares.
    pub fn has_shares(self) -> bool {
        kernel::cluster::has_shares(FlowName::from(self).as_str())
    }

    /// Refuses that only some nodes are members at first, where that cannot be.
    pub fn check_members(self, members: Option<u16>, nodes: u16) -> Result<()> {
        match members {
            Some(_) if self != ProtocolName::Broadcast => {
                bail!("all nodes of {self} are members for good; members is for --protocol broadcast")
            }
            Some(members) if members == 0 || members > nodes => {
                bail!("members is {members}; it must be from 1 to the number of nodes, {nodes}")
            }
            _ => Ok(()),
        }
    }

    /// Faults that the flow tolerates among `nodes` nodes.
    pub fn tolerates(self, nodes: u16) -> usize {
        FlowName::from(self).tolerates(nodes)
    }

    /// Refuses a cluster that is too small for the flow.
    pub fn check_size(self, nodes: u16) -> Result<()> {
        let least = FlowName::from(self).least_nodes();
        if nodes < least {
            bail!("{self} needs at least {least} node(s), not {nodes}; give more nodes");
        }
        Ok(())
    }
}

impl ProtocolName {
    /// Refuses an application that the flow cannot replicate, and a way to ask that it does not have.
    pub fn check_use(self, app: AppName, via: Via) -> Result<()> {
        FlowName::from(self).check_app(app).map_err(anyhow::Error::msg)?;
        if self == ProtocolName::Broadcast && via == Via::Client {
            bail!(
                "broadcast has no clients with keys of their own, as a node numbers the requests of its own clients; leave \
                 them out, and ask the nodes by HTTP"
            );
        }
        Ok(())
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FlowName::from(*self).as_str())
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

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Via::Http => "http",
            Via::Client => "client",
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
