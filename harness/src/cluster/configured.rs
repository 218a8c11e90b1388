//! A node of a cluster that a configuration describes, in a process of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use journal::{Durability, Folder};
use kernel::keys::{PublicKey, SecretKey};
use kernel::{ClusterId, ReplicaId, ShareKey};
use node::{Encoding, LinkConditions, NodeConfig};

use super::limits;
use super::node::{Memory, NodeSpec, after_loss, listen, run_process, write_log};
use super::spec::{Journals, configuration};
use crate::base::console::say;
use crate::base::stop::Stop;
use crate::config::ClusterConfig;
use crate::plan::Placement;

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
    /// Where its key is: that it was started is noted there as well, as the next start may be given another folder.
    pub key_folder: PathBuf,
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
    let (memory, journal) = member.memory()?;
    let (id, n) = (member.id, member.cluster.n());
    if memory == Memory::Lost {
        let then = after_loss(member.cluster.protocol);
        tracing::warn!(
            "node {id} was started before and has lost its memory: {then}. If \
             all nodes were stopped, what they decided is lost; start all of them with --first-start. A node that is \
             started with --data-dir remembers"
        );
    }
    let ready = || {
        if member.durability != Durability::Off
            && let Err(error) = member.write_notes(&Note::WithJournal(Some(journal)))
        {
            tracing::warn!("{error:#}. If its journal is lost, it will not know that it has lost its memory");
        }
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
        ensure!(
            entry.share_key.is_none_or(|key| key == self.secret.share_key()),
            "the share_key of node {} in the configuration is not the one of its secret key; take it from the file that \
             `harness init` wrote, or write {}",
            self.id,
            self.secret.share_key()
        );
        Ok(())
    }

    /// Whether the node was started before and has lost its memory. A start without a journal is noted at once; one with
    /// a journal once that is begun, as it says so itself from then on. Returns the name of that journal as well.
    fn memory(&self) -> Result<(Memory, String)> {
        let folder = self.data.join(format!("node-{}", self.id));
        let read = |folder: &Path| read_note(&self.note_in(folder), &self.cluster.id);
        let (beside_journal, beside_key) = (read(&self.data)?, read(&self.key_folder)?);
        let notes: Vec<&Note> = beside_journal.iter().chain(&beside_key).collect();
        let (id, has_journal, is_off) =
            (self.id, Folder::is_used(&folder), self.durability == Durability::Off);
        ensure!(
            !(has_journal && self.first_start),
            "node {id} has a journal in {}: it was started before. Leave out --first-start, or remove its folder if the \
             whole cluster is to forget",
            self.data.display()
        );
        ensure!(
            !(has_journal && is_off),
            "node {id} has a journal in {}, which would be out of date after a start without it. Leave out --durability \
             off, or remove that folder: the node has lost its memory then",
            folder.display()
        );
        ensure!(
            !(has_journal && notes.contains(&&Note::WithoutJournal)),
            "node {id} was started without its journal in {} since that was written, and does not know what it said then. \
             Remove that folder, and start the node as one that lost its memory",
            folder.display()
        );
        let [named, last] = [&beside_journal, &beside_key].map(|note| note.as_ref().and_then(Note::journal));
        ensure!(
            !has_journal || named.is_none() || last.is_none() || named == last,
            "node {id} was started with another journal since that in {} was written, and does not know from it what it \
             said then. Give the --data-dir of the last start, or remove that folder, and start the node as one that lost \
             its memory",
            folder.display()
        );
        if is_off {
            self.write_notes(&Note::WithoutJournal)?;
        }
        let journal = last.or(named).filter(|_| has_journal).map(str::to_owned);
        let journal = journal.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        let is_lost = !notes.is_empty() && !self.first_start && !has_journal;
        Ok((if is_lost { Memory::Lost } else { Memory::Fresh }, journal))
    }

    /// Where it is noted that the node was started.
    fn notes(&self) -> BTreeSet<PathBuf> {
        [&self.data, &self.key_folder].map(|folder| self.note_in(folder)).into()
    }

    fn note_in(&self, folder: &Path) -> PathBuf {
        folder.join(format!("node-{}.started", self.id))
    }

    fn write_notes(&self, note: &Note) -> Result<()> {
        fs::create_dir_all(&self.data).with_context(|| {
            format!("cannot make the folder {}; give another with --data-dir", self.data.display())
        })?;
        for file in self.notes() {
            let written = write_note(&file, &self.cluster.id, note);
            match written {
                // Keys may be where nothing can be written.
                Err(error) if !file.starts_with(&self.data) => tracing::warn!(
                    "cannot note in {} that the node was started: {error}. Started with another --data-dir, it will not \
                     know that it has lost its memory",
                    file.display()
                ),
                written => written.with_context(|| {
                    format!(
                        "cannot note in {} that the node was started; give a folder with --data-dir",
                        file.display()
                    )
                })?,
            }
        }
        Ok(())
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
        let share_keys: Vec<ShareKey> = nodes.iter().filter_map(|node| node.share_key).collect();
        let client_keys: Vec<PublicKey> = clients.iter().map(|client| client.public_key).collect();
        NodeSpec {
            protocol: *protocol,
            options: options.clone(),
            memory,
            behaviours: Vec::new(),
            pin: None,
            node: NodeConfig {
                configuration: configuration(
                    &cluster,
                    *app,
                    options,
                    ([&public_keys, &client_keys], &share_keys),
                ),
                cluster,
                id: ReplicaId(self.id),
                secret: self.secret,
                public_keys,
                client_keys,
                share_keys,
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

/// How the node was started last.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Note {
    /// With the journal of this name, which was drawn when it was begun. Older notes have none.
    WithJournal(Option<String>),
    WithoutJournal,
}

impl Note {
    /// The name of the journal.
    fn journal(&self) -> Option<&str> {
        match self {
            Note::WithJournal(name) => name.as_deref(),
            Note::WithoutJournal => None,
        }
    }
}

const WITH_JOURNAL: &str = "with a journal";
const WITHOUT_JOURNAL: &str = "without a journal";

/// The note of this cluster, if there is one. One of another cluster, which had this folder before, says nothing.
fn read_note(note_file: &Path, cluster: &ClusterId) -> Result<Option<Note>> {
    let text = match fs::read(note_file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| {
                format!(
                    "cannot read the file {}, which says whether the node was started before; make it one that this \
                     program can read",
                    note_file.display()
                )
            });
        }
    };
    let mut lines = text.lines().map(str::trim);
    let of_cluster = lines.next().and_then(|line| line.parse::<ClusterId>().ok());
    let note = match (lines.next(), lines.next()) {
        (Some(WITHOUT_JOURNAL), _) => Some(Note::WithoutJournal),
        (Some(WITH_JOURNAL), name) => {
            Some(Note::WithJournal(name.filter(|name| !name.is_empty()).map(str::to_owned)))
        }
        _ => None,
    };
    let (Some(of_cluster), Some(note)) = (of_cluster, note) else {
        anyhow::bail!(
            "{} should say that the node was started before, and cannot be understood. If it was, write into it the cluster's \
             id and, in a second line, \"{WITHOUT_JOURNAL}\"; if it never was, remove it",
            note_file.display()
        );
    };
    Ok((of_cluster == *cluster).then_some(note))
}

/// Writes a note: the old one is there until the new one is safe.
fn write_note(file: &Path, cluster: &ClusterId, note: &Note) -> std::io::Result<()> {
    let (how, name) = match note {
        Note::WithJournal(name) => (WITH_JOURNAL, name.as_deref().unwrap_or_default()),
        Note::WithoutJournal => (WITHOUT_JOURNAL, ""),
    };
    let unfinished = file.with_extension("started.unfinished");
    let mut to = File::create(&unfinished)?;
    writeln!(to, "{cluster}\n{how}\n{name}")?;
    to.sync_all()?;
    fs::rename(&unfinished, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_for_its_own_cluster_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node-0.started");
        let (this, other) = (ClusterId([1; 16]), ClusterId([2; 16]));
        assert_eq!(read_note(&file, &this).unwrap(), None);
        for note in [Note::WithJournal(Some("j1".into())), Note::WithoutJournal] {
            write_note(&file, &this, &note).unwrap();
            assert_eq!(read_note(&file, &this).unwrap(), Some(note));
            assert_eq!(read_note(&file, &other).unwrap(), None);
        }
        fs::write(&file, format!("{this}\nwith a journal\n")).unwrap();
        assert_eq!(read_note(&file, &this).unwrap(), Some(Note::WithJournal(None)), "an older one");
        for text in ["", "\u{0}", &this.to_string(), "with a journal\n", &format!("{this}\nwith a j")] {
            fs::write(&file, text).unwrap();
            assert!(read_note(&file, &this).is_err(), "{text:?} is not taken for a first start");
        }
        fs::write(&file, [0xff]).unwrap();
        assert!(read_note(&file, &this).is_err(), "nor is what is no text");
    }
}
