//! What is needed to start a cluster, and the configuration of each of its nodes.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use apps::AppName;
use client::driver::Setup;
use flows::options::Options;
use flows::waits::Links;
use journal::{Durability, Folder};
use kernel::keys::{PublicKey, SecretKey};
use kernel::{Cluster as Identity, ClusterId, Digest, ReplicaId, ShareKey};
use node::{Encoding, JournalTo, LinkConditions, NodeConfig, RecordTo};

use super::limits;
use super::node::{Memory, NodeSpec};
use crate::config::NodeEntry;
use crate::config::init::{NewCluster, Wanted};
use crate::plan::faults::Assignment;
use crate::plan::{Cell, MAX_PAYLOAD_BYTES, Placement, Plan, ProtocolName, Via};

/// All that is needed to start a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// The flow.
    pub protocol: ProtocolName,
    /// Number of nodes.
    pub nodes: u16,
    /// What is replicated.
    pub app: AppName,
    /// How requests reach the cluster: a client with a key is known to all nodes.
    pub via: Via,
    /// Who is faulty, and how.
    pub faults: Assignment,
    /// The replicas' settings.
    pub options: Options,
    /// Request timeout at gateways, microseconds.
    pub timeout_us: u64,
    /// Delay and loss on every peer link.
    pub link: LinkConditions,
    /// How peers encode messages.
    pub encoding: Encoding,
    /// Seed of keys and random decisions.
    pub seed: u64,
    /// Processes or tasks.
    pub placement: Placement,
    /// Whether nodes are pinned to cores.
    pub pin: bool,
    /// The first node's port; free ones if `None`.
    pub first_port: Option<u16>,
    /// Each node keeps the records of so many slots.
    pub slots_kept: usize,
    /// The folder for the logs of nodes that are processes; without it, nobody but this
    /// program reads them.
    pub logs: Option<PathBuf>,
    /// The folder for the files of a client with a key; without it, nobody needs them.
    pub client_files: Option<PathBuf>,
    /// Where each node notes what it does, if that is recorded.
    pub recording: Option<RecordTo>,
    /// Where the nodes keep what they were given, if they do.
    pub journals: Option<Journals>,
    /// The program that nodes are.
    pub executable: PathBuf,
}

/// Where nodes keep what they were given.
#[derive(Clone, Debug)]
pub struct Journals {
    /// Each has a folder in it.
    pub folder: PathBuf,
    /// What it outlives.
    pub durability: Durability,
}

impl Journals {
    fn folder_of(&self, id: u16) -> PathBuf {
        self.folder.join(format!("node-{id}"))
    }

    /// Is there from when the first start of the cluster begins until all nodes have begun their journals.
    fn first_start(&self) -> PathBuf {
        self.folder.join("first-start")
    }

    /// Where one node keeps it.
    pub(super) fn of_node(&self, id: u16, options: &Options, app: AppName) -> JournalTo {
        let settings = serde_json::to_vec(&(app, options)).expect("settings are plain data");
        JournalTo {
            folder: self.folder_of(id),
            durability: self.durability,
            settings: Digest::of(&settings).to_string(),
        }
    }
}

impl ClusterSpec {
    /// The cluster of one cell.
    pub fn of(plan: &Plan, cell: &Cell) -> ClusterSpec {
        ClusterSpec {
            protocol: cell.protocol,
            nodes: cell.nodes,
            app: cell.app,
            via: cell.via,
            faults: cell.faults.clone(),
            options: plan.options(cell, &Links::uniform(cell.link_delay_us, cell.link_loss)),
            timeout_us: plan.timeout_us(),
            link: LinkConditions {
                delay_us: cell.link_delay_us,
                loss: cell.link_loss,
                ..LinkConditions::default()
            },
            encoding: plan.encoding,
            seed: plan.seed,
            placement: plan.placement,
            pin: plan.pin,
            first_port: plan.port,
            slots_kept: node::SLOTS_KEPT,
            logs: None,
            client_files: None,
            recording: None,
            journals: None,
            // This very program, even if its file was replaced meanwhile.
            executable: PathBuf::from("/proc/self/exe"),
        }
    }

    /// The nodes without a journal, if others have one: they have lost theirs. In a first start that was broken off,
    /// they have begun none.
    pub fn without_memory(&self) -> Vec<u16> {
        match &self.journals {
            Some(journals) if !journals.first_start().exists() => {
                let without = self.without_journal(journals);
                if without.len() == usize::from(self.nodes) { Vec::new() } else { without }
            }
            _ => Vec::new(),
        }
    }

    /// Refuses a start without the journals that are there: they would not hold what the nodes say meanwhile.
    ///
    /// # Errors
    /// If there are any.
    pub fn check_that_no_journal_goes_out_of_date(&self) -> Result<()> {
        let Some(journals) = &self.journals else { return Ok(()) };
        ensure!(
            self.without_journal(journals).len() == usize::from(self.nodes),
            "there are journals in {}, which would be out of date after a start without them: leave out --durability off, \
             or give another folder, or remove that folder if the cluster is to forget",
            journals.folder.display()
        );
        Ok(())
    }

    fn without_journal(&self, journals: &Journals) -> Vec<u16> {
        (0..self.nodes).filter(|id| !Folder::is_used(&journals.folder_of(*id))).collect()
    }

    /// Notes that the first start begins, if no node has a journal yet.
    ///
    /// # Errors
    /// If the folder cannot be made, or not be written.
    pub fn begin_first_start(&self) -> Result<()> {
        let Some(journals) = &self.journals else { return Ok(()) };
        if self.without_journal(journals).len() < usize::from(self.nodes) {
            return Ok(());
        }
        let written = fs::create_dir_all(&journals.folder).and_then(|()| {
            fs::write(journals.first_start(), "The first start of this cluster is not finished.\n")
        });
        written.with_context(|| {
            format!("cannot write into {}; give another folder with --data-dir", journals.folder.display())
        })
    }

    /// Notes that all nodes have begun their journals: one without has lost it from now on.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn end_first_start(&self) -> Result<()> {
        let Some(file) = self.journals.as_ref().map(Journals::first_start) else { return Ok(()) };
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// What each node needs to know, by id, when they listen at these addresses.
    pub fn node_specs(&self, addresses: &[SocketAddr]) -> Vec<NodeSpec> {
        let cluster = self.identity();
        let pairs = self.key_pairs();
        let all_keys: Vec<_> = pairs.iter().map(|(_, public)| *public).collect();
        let (public_keys, client_keys) = all_keys.split_at(self.nodes.into());
        let nodes = self.node_entries(addresses);
        let share_keys: Vec<ShareKey> = nodes.iter().filter_map(|node| node.share_key).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lost = self.without_memory();
        let spec_of = |(id, (secret, _)): (u16, &(SecretKey, _))| NodeSpec {
            protocol: self.protocol,
            options: self.options.clone(),
            memory: if lost.contains(&id) { Memory::Lost } else { Memory::Fresh },
            behaviours: self.faults.nodes[usize::from(id)].behaviours.clone(),
            pin: self.pin.then(|| usize::from(id) % cores),
            node: NodeConfig {
                cluster: cluster.clone(),
                id: ReplicaId(id),
                secret: *secret,
                public_keys: public_keys.to_vec(),
                client_keys: client_keys.to_vec(),
                share_keys: share_keys.clone(),
                addresses: addresses.to_vec(),
                app: self.app,
                faulty_tolerated: self.protocol.tolerates(self.nodes),
                batch_max: self.options.batch_max,
                timeout_us: self.timeout_us,
                link: self.link.clone(),
                encoding: self.encoding,
                seed: self.seed,
                max_data_bytes: MAX_PAYLOAD_BYTES,
                max_clients: limits::max_clients(self.placement, self.nodes, limits::descriptor_limit()),
                read_limit_us: node::DEFAULT_READ_LIMIT_US,
                remind_after_us: self.options.waits.remind_after_us(self.timeout_us),
                settle_us: self.options.pbft(self.nodes).resend_after.0,
                shares_process: self.placement == Placement::Tasks,
                configuration: configuration(
                    &cluster,
                    self.app,
                    &self.options,
                    ([public_keys, client_keys], &share_keys),
                ),
                requests_per_s: None,
                slots_kept: self.slots_kept,
                fault_injection: true,
                recording: self.recording.clone(),
                journal: self.journals.as_ref().map(|journals| journals.of_node(id, &self.options, self.app)),
            },
        };
        (0..self.nodes).zip(&pairs).map(spec_of).collect()
    }

    /// What the client with a key needs to know; none where requests come by HTTP.
    pub fn client_setup(&self, addresses: &[SocketAddr]) -> Option<Setup> {
        let mut pairs = self.key_pairs();
        let (secret, _) = pairs.split_off(self.nodes.into()).pop()?;
        let public_keys = pairs.into_iter().map(|(_, public)| public).collect();
        let id = ReplicaId(self.nodes);
        let mut setup = Setup::new(self.identity(), id, secret, public_keys, addresses.to_vec());
        setup.replies_needed = self.protocol.tolerates(self.nodes) + 1;
        setup.remind_after = Duration::from_micros(self.options.waits.remind_after_us(self.timeout_us));
        setup.batch_max = self.options.batch_max;
        Some(setup)
    }

    /// The configuration of this cluster and its client's key, as files.
    ///
    /// # Errors
    /// If requests come by HTTP only.
    pub(super) fn files_for_client(&self, addresses: &[SocketAddr]) -> Result<NewCluster> {
        let setup = self.client_setup(addresses).context("no client has a key")?;
        let wanted = Wanted {
            protocol: self.protocol,
            app: self.app,
            addresses: addresses.to_vec(),
            clients: vec!["client-0".to_owned()],
            link_delay_ms: self.link.delay_us as f64 / 1e3,
            members: self.options.members,
        };
        let nodes = self.node_entries(addresses);
        NewCluster::running(setup.cluster.id, &wanted, nodes, setup.secret)
    }

    fn clients(&self) -> u16 {
        u16::from(self.via == Via::Client)
    }

    pub(super) fn identity(&self) -> Identity {
        let name = self.protocol.to_string();
        Identity::new(ClusterId::derive(&name, self.seed), &name, self.nodes).with_clients(self.clients())
    }

    fn node_entries(&self, addresses: &[SocketAddr]) -> Vec<NodeEntry> {
        let has_shares = self.protocol.has_shares();
        let entry = |(address, (secret, public_key)): (&SocketAddr, (SecretKey, PublicKey))| NodeEntry {
            address: *address,
            public_key,
            share_key: has_shares.then(|| secret.share_key()),
        };
        addresses.iter().zip(self.key_pairs()).map(entry).collect()
    }

    /// The nodes' keys, and the client's behind them.
    fn key_pairs(&self) -> Vec<(SecretKey, PublicKey)> {
        kernel::keys::key_pairs(self.seed, self.nodes + self.clients())
    }
}

/// The digest of what all nodes must be told alike: addresses may differ, as a node can
/// be reached by several. `keys` are those of the nodes and those of the clients, and the nodes' for shares.
pub(super) fn configuration(
    cluster: &Identity,
    app: AppName,
    options: &Options,
    keys: ([&[PublicKey]; 2], &[ShareKey]),
) -> Digest {
    let text = serde_json::to_vec(&(cluster, app, options, keys));
    Digest::of(&text.expect("a configuration is plain data"))
}

/// Ids of the nodes that talk to others from the start.
pub fn nodes_up(faults: &Assignment) -> BTreeSet<u16> {
    (0u16..)
        .zip(&faults.nodes)
        .filter(|(_, node)| !node.behaviours.contains(&adversary::Act::Offline.into()))
        .map(|(id, _)| id)
        .collect()
}
