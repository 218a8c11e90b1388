//! A node of a cluster that a configuration describes, in a process of its own.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use journal::{Durability, Folder};
use kernel::keys::{PublicKey, SecretKey};
use kernel::{ClusterId, ReplicaId};
use node::{Encoding, LinkConditions, NodeConfig};

use super::limits;
use super::node::{Memory, NodeSpec, listen, run_process, write_log};
use super::spec::{Journals, configuration};
use crate::base::console::say;
use crate::base::stop::Stop;
use crate::config::ClusterConfig;
use crate::plan::Placement;
use flows::job::FlowName;

/// A node that is to run here.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its cluster.
    pub cluster: ClusterConfig,
    /// Which node it is.
    pub id: u16,
    /// Its key.
    pub secret: SecretKey,
    /// What it listens on, if not on its address.
    pub listen: Option<SocketAddr>,
    /// Where it notes that it was started, and keeps its journal.
    pub data: PathBuf,
    /// What the journal outlives.
    pub durability: Durability,
    /// No node of the cluster has said anything yet.
    pub first_start: bool,
    /// Whether other machines may reach it, and it them.
    pub allow_remote: bool,
    /// Whether clients may inject faults.
    pub allow_fault_injection: bool,
}

/// Runs a node until Ctrl-C or SIGTERM and returns the exit code.
pub fn run(member: Member) -> Result<u8> {
    write_log("info");
    let entry = member.cluster.node(member.id)?;
    let address = member.listen.unwrap_or(entry.address);
    member.check_reach(address)?;
    member.check_key()?;
    limits::check_cluster(Placement::Processes, member.cluster.n(), 1, limits::raise_descriptor_limit())?;
    let listener = listen(address)?;
    let memory = member.memory()?;
    let (id, n) = (member.id, member.cluster.n());
    if memory == Memory::Lost {
        let then = match FlowName::from(member.cluster.protocol).orders_everything() {
            true => "it learns from the others first and votes later",
            false => "it takes over what it can get, and takes part no more",
        };
        tracing::warn!(
            "node {id} was started before and has lost its memory: {then}. If \
             all nodes were stopped, what they decided is lost; start all of them with --first-start. A node that is \
             started with --data-dir remembers"
        );
    }
    let ready = || {
        say(format_args!("Node {id} of {n} listens on http://{address}. Ctrl-C stops it."));
    };
    let stopped = async || {
        Stop::listen()?.wait().await;
        Ok(())
    };
    run_process(member.spec(memory), listener, ready, stopped)?;
    say(format_args!("Node {id} is stopped."));
    Ok(0)
}

impl Member {
    fn check_reach(&self, listening: SocketAddr) -> Result<()> {
        if self.allow_remote {
            return Ok(());
        }
        let of_nodes =
            (0..).zip(&self.cluster.nodes).map(|(id, node)| (format!("node {id}: address"), node.address));
        let mut all = of_nodes.chain([("--listen".to_owned(), listening)]);
        let remote = all.find(|(_, address)| !address.ip().is_loopback());
        if let Some((whose, address)) = remote {
            anyhow::bail!(
                "{whose} {address} is not of this machine alone; give --allow-remote if other machines are to reach the \
                 node. Whoever reaches it can have requests ordered"
            );
        }
        Ok(())
    }

    fn check_key(&self) -> Result<()> {
        let entry = self.cluster.node(self.id)?;
        ensure!(
            self.secret.public_key() == entry.public_key,
            "the secret key is not that of node {}: its public key is {}, and the configuration says {}; give the node's \
             own key file with --key",
            self.id,
            self.secret.public_key(),
            entry.public_key
        );
        Ok(())
    }

    /// Whether the node was started before, which is noted for the next time.
    fn memory(&self) -> Result<Memory> {
        let note = self.data.join(format!("node-{}.started", self.id));
        let was_started = was_started(&note, &self.cluster.id)?;
        let remembers = self.durability != Durability::Off
            && Folder::is_used(&self.data.join(format!("node-{}", self.id)));
        ensure!(
            !(remembers && self.first_start),
            "node {} has a journal in {}: it was started before. Leave out --first-start, or remove its folder if the \
             whole cluster is to forget",
            self.id,
            self.data.display()
        );
        if was_started && !self.first_start && !remembers {
            return Ok(Memory::Lost);
        }
        fs::create_dir_all(&self.data).with_context(|| {
            format!("cannot make the folder {}; give another with --data-dir", self.data.display())
        })?;
        write_note(&note, &self.cluster.id).with_context(|| {
            format!(
                "cannot note in {} that the node was started; give a folder with --data-dir",
                note.display()
            )
        })?;
        Ok(Memory::Fresh)
    }

    fn journals(&self) -> Option<Journals> {
        let (folder, durability) = (self.data.clone(), self.durability);
        (durability != Durability::Off).then_some(Journals { folder, durability })
    }

    fn spec(&self, memory: Memory) -> NodeSpec {
        let ClusterConfig { protocol, app, options, nodes, clients, .. } = &self.cluster;
        let n = self.cluster.n();
        let descriptors = limits::descriptor_limit();
        let connections = limits::max_clients(Placement::Processes, n, descriptors);
        let cluster = self.cluster.identity();
        let public_keys: Vec<PublicKey> = nodes.iter().map(|node| node.public_key).collect();
        let client_keys: Vec<PublicKey> = clients.iter().map(|client| client.public_key).collect();
        NodeSpec {
            protocol: *protocol,
            options: options.clone(),
            memory,
            behaviours: Vec::new(),
            pin: None,
            node: NodeConfig {
                configuration: configuration(&cluster, *app, options, [&public_keys, &client_keys]),
                cluster,
                id: ReplicaId(self.id),
                secret: self.secret,
                public_keys,
                client_keys,
                addresses: nodes.iter().map(|node| node.address).collect(),
                app: *app,
                faulty_tolerated: protocol.tolerates(n),
                batch_max: options.batch_max,
                timeout_us: self.cluster.timeout_us,
                remind_after_us: options.waits.remind_after_us(self.cluster.timeout_us),
                link: LinkConditions::default(),
                encoding: Encoding::Binary,
                seed: u64::from_le_bytes(rand::random()),
                max_data_bytes: self.cluster.max_data_bytes,
                max_clients: self.cluster.max_connections.unwrap_or(connections).min(connections),
                read_limit_us: self.cluster.read_limit_us,
                settle_us: options.pbft(n).resend_after.0,
                shares_process: false,
                requests_per_s: self.cluster.requests_per_s,
                slots_kept: node::SERVICE_SLOTS_KEPT,
                fault_injection: self.allow_fault_injection,
                recording: None,
                journal: self.journals().map(|journals| journals.of_node(self.id, options, *app)),
            },
        }
    }
}

/// Whether there is a note of this cluster. One of another cluster, which had this
/// folder before, says nothing.
fn was_started(note: &Path, cluster: &ClusterId) -> Result<bool> {
    match fs::read_to_string(note) {
        Ok(text) => Ok(text.trim() == cluster.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| {
            format!("cannot read {}, which says whether the node was started before", note.display())
        }),
    }
}

fn write_note(note: &Path, cluster: &ClusterId) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(note)?;
    writeln!(file, "{cluster}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_for_its_own_cluster_only() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("node-0.started");
        let (this, other) = (ClusterId([1; 16]), ClusterId([2; 16]));
        assert!(!was_started(&note, &this).unwrap());
        write_note(&note, &this).unwrap();
        assert!(was_started(&note, &this).unwrap() && !was_started(&note, &other).unwrap());
        fs::write(&note, [0xff]).unwrap();
        assert!(was_started(&note, &this).is_err(), "what is not understood is not taken for a first start");
    }
}
