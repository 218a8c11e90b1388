//! The values of a configuration as they are given, by a file, by flags or by
//! environment variables: one field for each, whatever it came by.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use apps::AppName;
use clap::Args;
use kernel::keys::PublicKey;
use kernel::{ClusterId, ShareKey};
use serde::{Deserialize, Serialize};

use crate::plan::{Communication, ProtocolName};

/// What a file holds, or what flags and environment variables say. All members of a
/// cluster must be given the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Values of the file, the same for all nodes")]
pub struct Settings {
    /// Tells this cluster from all others: 32 hexadecimal digits
    #[arg(long, env = "HARNESS_CLUSTER_ID", value_name = "HEX")]
    pub cluster_id: Option<ClusterId>,
    /// Protocol: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper or broadcast
    #[arg(long, env = "HARNESS_PROTOCOL", value_name = "NAME")]
    pub protocol: Option<ProtocolName>,
    /// What is replicated: opaque, kv, bank or orswot
    #[arg(long, env = "HARNESS_APP", value_name = "APP")]
    pub app: Option<AppName>,
    /// Secure broadcast: so many nodes are members at first, those with the lowest ids; the others can join
    #[arg(long, env = "HARNESS_MEMBERS", value_name = "N")]
    pub members: Option<u16>,
    /// Who collects CCRO's votes: separate, collocated, trust or fixed:ID
    #[arg(long, env = "HARNESS_COMMUNICATION", value_name = "WHO")]
    pub communication: Option<Communication>,
    /// Whether CCRO tries its fast path
    #[arg(long, env = "HARNESS_FAST_PATH", value_name = "BOOL")]
    pub fast_path: Option<bool>,
    /// How many nodes the file lists. A file that was cut off between two of them has
    /// fewer.
    #[arg(skip)]
    pub nodes: Option<usize>,
    /// How many clients the file lists.
    #[arg(skip)]
    pub clients: Option<usize>,
    /// How long is waited for what.
    #[command(flatten)]
    pub timers: Timers,
    /// How much is taken.
    #[command(flatten)]
    pub limits: Limits,
    /// Address and public key of each node, in the order of their ids: ADDRESS=KEY,ADDRESS=KEY... (ADDRESS=KEY=SHAREKEY for
    /// ccro-aggregate)
    #[serde(rename = "node")]
    #[arg(
        id = "node_entries",
        long = "node",
        env = "HARNESS_NODES",
        value_name = "NODES",
        value_delimiter = ','
    )]
    pub node: Vec<NodeEntry>,
    /// Name and public key of each client: NAME=KEY,NAME=KEY...
    #[serde(rename = "client")]
    #[arg(
        id = "client_entries",
        long = "client",
        env = "HARNESS_CLIENTS",
        value_name = "CLIENTS",
        value_delimiter = ','
    )]
    pub client: Vec<ClientEntry>,
}

/// How long is waited for what. Where it is not said, the number of nodes and the
/// delay of the links say it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub struct Timers {
    /// How long a message between two nodes usually travels, milliseconds; waits that are not given follow from it
    #[arg(long, env = "HARNESS_LINK_DELAY_MS", value_name = "MS")]
    pub link_delay_ms: Option<f64>,
    /// How long a node waits for the decision of a client's request, milliseconds
    #[arg(long, env = "HARNESS_TIMEOUT_MS", value_name = "MS")]
    pub timeout_ms: Option<f64>,
    /// How long a replica waits for a request before it asks for another commander, milliseconds
    #[arg(long, env = "HARNESS_REQUEST_TIMER_MS", value_name = "MS")]
    pub request_timer_ms: Option<f64>,
    /// After how long without progress a replica sends its votes again, milliseconds
    #[arg(long, env = "HARNESS_RESEND_AFTER_MS", value_name = "MS")]
    pub resend_after_ms: Option<f64>,
    /// How long CCRO's communication node waits for all votes, milliseconds
    #[arg(long, env = "HARNESS_FAST_WAIT_MS", value_name = "MS")]
    pub fast_wait_ms: Option<f64>,
    /// After how long a CCRO replica sends its votes to all, milliseconds
    #[arg(long, env = "HARNESS_FALLBACK_AFTER_MS", value_name = "MS")]
    pub fallback_after_ms: Option<f64>,
    /// How long a client may take to send a request, and be idle, milliseconds
    #[arg(long, env = "HARNESS_READ_LIMIT_MS", value_name = "MS")]
    pub read_limit_ms: Option<f64>,
}

/// How much is taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most requests that one slot orders
    #[arg(long, env = "HARNESS_BATCH", value_name = "N")]
    pub batch: Option<usize>,
    /// Most slots that the commander keeps in flight
    #[arg(long, env = "HARNESS_WINDOW", value_name = "SLOTS")]
    pub window: Option<u64>,
    /// The largest data of a request, bytes
    #[arg(long, env = "HARNESS_MAX_DATA_BYTES", value_name = "BYTES")]
    pub max_data_bytes: Option<usize>,
    /// Most connections of clients to a node
    #[arg(long, env = "HARNESS_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// Most requests that a client, told apart by its address, may send to a node in a second
    #[arg(long, env = "HARNESS_REQUESTS_PER_S", value_name = "N")]
    pub requests_per_s: Option<u32>,
}

/// A node. Its id is its place in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Where the others and the clients reach it.
    pub address: SocketAddr,
    /// Its key.
    pub public_key: PublicKey,
    /// Its key for shares, where the protocol has those (`ccro-aggregate`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share_key: Option<ShareKey>,
}

/// A client with a key of its own. Its id is the number of nodes and its place in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// What people and files call it.
    pub name: String,
    /// Its key.
    pub public_key: PublicKey,
}

impl FromStr for NodeEntry {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<NodeEntry> {
        let form =
            "ADDRESS=KEY, such as 127.0.0.1:8080=1f3a... (or ADDRESS=KEY=SHAREKEY, for ccro-aggregate)";
        let (address, keys) = halves(text, form)?;
        let (public_key, share_key) = match keys.split_once('=') {
            Some((public_key, share_key)) => (public_key.parse()?, Some(share_key.parse()?)),
            None => (keys.parse()?, None),
        };
        let address = address.parse().map_err(|_| {
            anyhow!("{address:?} is no address; give an IP address and a port, such as 127.0.0.1:8080")
        })?;
        Ok(NodeEntry { address, public_key, share_key })
    }
}

impl FromStr for ClientEntry {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ClientEntry> {
        let (name, public_key) = halves(text, "NAME=KEY, such as alice=1f3a...")?;
        Ok(ClientEntry { name: name.to_owned(), public_key: public_key.parse()? })
    }
}

fn halves<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| anyhow!("{text:?} is not {form}"))
}

impl Settings {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Settings> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the configuration {}; `harness init` makes one", path.display())
        })?;
        Settings::parse(&text).with_context(|| format!("the configuration {}", path.display()))
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Settings> {
        let settings: Settings = toml::from_str(text)?;
        let counted = [
            ("nodes", settings.nodes, "[[node]]", settings.node.len()),
            ("clients", settings.clients, "[[client]]", settings.client.len()),
        ];
        for (field, said, table, there) in counted {
            if let Some(said) = said.filter(|said| *said != there) {
                return Err(anyhow!(
                    "{field} = {said}, and {there} {table} tables follow; the file was cut off, or {field} \
                     must be changed to {there}"
                ));
            }
        }
        Ok(settings)
    }

    /// These values, and where `over` says something, what it says.
    pub fn overridden_by(self, over: Settings) -> Settings {
        Settings {
            cluster_id: over.cluster_id.or(self.cluster_id),
            protocol: over.protocol.or(self.protocol),
            members: over.members.or(self.members),
            app: over.app.or(self.app),
            communication: over.communication.or(self.communication),
            fast_path: over.fast_path.or(self.fast_path),
            nodes: None,
            clients: None,
            timers: self.timers.overridden_by(&over.timers),
            limits: self.limits.overridden_by(&over.limits),
            node: if over.node.is_empty() { self.node } else { over.node },
            client: if over.client.is_empty() { self.client } else { over.client },
        }
    }
}

impl Timers {
    fn overridden_by(&self, over: &Timers) -> Timers {
        Timers {
            link_delay_ms: over.link_delay_ms.or(self.link_delay_ms),
            timeout_ms: over.timeout_ms.or(self.timeout_ms),
            request_timer_ms: over.request_timer_ms.or(self.request_timer_ms),
            resend_after_ms: over.resend_after_ms.or(self.resend_after_ms),
            fast_wait_ms: over.fast_wait_ms.or(self.fast_wait_ms),
            fallback_after_ms: over.fallback_after_ms.or(self.fallback_after_ms),
            read_limit_ms: over.read_limit_ms.or(self.read_limit_ms),
        }
    }
}

impl Limits {
    fn overridden_by(&self, over: &Limits) -> Limits {
        Limits {
            batch: over.batch.or(self.batch),
            window: over.window.or(self.window),
            max_data_bytes: over.max_data_bytes.or(self.max_data_bytes),
            max_connections: over.max_connections.or(self.max_connections),
            requests_per_s: over.requests_per_s.or(self.requests_per_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::keys::key_pairs;

    #[test]
    fn a_node_is_typed_with_its_keys() {
        let (secret, public_key) = key_pairs(1, 1)[0];
        let (address, share_key) = ("127.0.0.1:8080".parse().unwrap(), secret.share_key());
        let read = |text: String| text.parse::<NodeEntry>().map_err(|error| error.to_string());
        let alone = NodeEntry { address, public_key, share_key: None };
        assert_eq!(read(format!("{address}={public_key}")), Ok(alone.clone()));
        let both = NodeEntry { share_key: Some(share_key), ..alone };
        assert_eq!(read(format!("{address}={public_key}={share_key}")), Ok(both));
        for (text, says) in [
            (format!("{address}"), "ADDRESS=KEY=SHAREKEY"),
            (format!("nowhere={public_key}"), "no address"),
            (format!("{address}={public_key}=1f3a"), "144 bytes"),
            (format!("{address}={public_key}="), "144 bytes"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
