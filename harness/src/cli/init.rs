//! Flags of `init`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Result, bail};
use apps::AppName;
use clap::Args;

use crate::config::init::Wanted;
use crate::plan::ProtocolName;

/// Flags of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value = "4", conflicts_with = "addresses")]
    pub nodes: u16,
    /// Protocol: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper or broadcast
    #[arg(long, value_name = "NAME", default_value = "pbft")]
    pub protocol: ProtocolName,
    /// What is replicated: opaque (a log of any data), kv (a key-value store), bank or orswot (a set) [default: kv, broadcast bank]
    #[arg(long, value_name = "APP")]
    pub app: Option<AppName>,
    /// Number of clients with keys of their own; they are called client-0, client-1... [default: 1, broadcast 0]
    #[arg(long, value_name = "N", conflicts_with = "client_names")]
    pub clients: Option<u16>,
    /// The clients' names, comma-separated, instead of their number
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub client_names: Vec<String>,
    /// Where the nodes are, comma-separated, instead of --nodes, --host and --port: 10.0.0.1:8080,10.0.0.2:8080...
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub addresses: Vec<SocketAddr>,
    /// The host that all nodes are on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), conflicts_with = "addresses")]
    pub host: IpAddr,
    /// The first node's port; the others follow
    #[arg(long, value_name = "PORT", default_value = "8080", conflicts_with = "addresses")]
    pub port: u16,
    /// How long a message between two nodes usually travels, milliseconds; all waits follow from it
    #[arg(long, value_name = "MS", default_value = "0")]
    pub link_delay_ms: f64,
    /// Secure broadcast: so many nodes are members at first; the others can join [default: all]
    #[arg(long, value_name = "N")]
    pub members: Option<u16>,
    /// The folder that is filled
    #[arg(long, value_name = "DIR", default_value = "cluster")]
    pub dir: PathBuf,
    /// Replace the files that are there; keys that are replaced are lost
    #[arg(long)]
    pub force: bool,
}

impl InitArgs {
    /// What the new cluster is to be.
    pub fn wanted(&self) -> Result<Wanted> {
        let usual = if self.protocol == ProtocolName::Broadcast { 0 } else { 1 };
        let clients = match self.client_names.is_empty() {
            true => (0..self.clients.unwrap_or(usual)).map(|at| format!("client-{at}")).collect(),
            false => self.client_names.clone(),
        };
        Ok(Wanted {
            protocol: self.protocol,
            app: self.app.unwrap_or(match self.protocol {
                ProtocolName::Broadcast => AppName::Bank,
                _ => AppName::Kv,
            }),
            addresses: if self.addresses.is_empty() { self.in_a_row()? } else { self.addresses.clone() },
            clients,
            link_delay_ms: self.link_delay_ms,
            members: self.members,
        })
    }

    fn in_a_row(&self) -> Result<Vec<SocketAddr>> {
        let last = u32::from(self.port) + u32::from(self.nodes);
        if last > u32::from(u16::MAX) + 1 {
            bail!(
                "{} nodes from port {} on need ports beyond 65535; give another --port",
                self.nodes,
                self.port
            );
        }
        Ok((0..self.nodes).map(|id| SocketAddr::new(self.host, self.port + id)).collect())
    }
}
