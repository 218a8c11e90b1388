//! A new configuration with its keys, as `harness init` writes it.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use apps::AppName;
use kernel::ClusterId;
use kernel::keys::SecretKey;
use rand::RngExt;

use super::cluster_config::ClusterConfig;
use super::key_file;
use super::settings::{ClientEntry, NodeEntry, Settings, Timers};
use crate::plan::ProtocolName;

/// The name of the file in its folder.
pub const FILE: &str = "cluster.toml";

/// What a new cluster is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The flow.
    pub protocol: ProtocolName,
    /// What is replicated.
    pub app: AppName,
    /// Where the nodes are, by id.
    pub addresses: Vec<SocketAddr>,
    /// The clients' names.
    pub clients: Vec<String>,
    /// How long a message between two nodes usually travels, milliseconds.
    pub link_delay_ms: f64,
    /// Nodes that are members at first, where members change; all of them if none.
    pub members: Option<u16>,
}

/// A new configuration and the secrets of its members.
pub struct NewCluster {
    settings: Settings,
    /// What each is to be written to, in the folder.
    secrets: Vec<(PathBuf, SecretKey)>,
}

impl NewCluster {
    /// Draws an id and keys.
    ///
    /// # Errors
    /// If no cluster can be what is wanted.
    pub fn draw(wanted: &Wanted) -> Result<NewCluster> {
        let mut secrets = Vec::new();
        let mut draw = |path| {
            let secret = key_file::generate();
            secrets.push((path, secret));
            secret
        };
        let has_shares = wanted.protocol.has_shares();
        let mut node = Vec::new();
        for (id, address) in (0u16..).zip(&wanted.addresses) {
            let secret = draw(key_file::of_node(Path::new(""), id));
            let share_key = has_shares.then(|| secret.share_key());
            node.push(NodeEntry { address: *address, public_key: secret.public_key(), share_key });
        }
        let mut client = Vec::new();
        for name in &wanted.clients {
            let public_key = draw(key_file::of_client(Path::new(""), name)).public_key();
            client.push(ClientEntry { name: name.clone(), public_key });
        }
        let settings = settings(ClusterId(rand::rng().random()), wanted, node, client);
        ClusterConfig::of(settings.clone())?;
        Ok(NewCluster { settings, secrets })
    }

    /// A cluster that runs already, with one client whose key this is.
    ///
    /// # Errors
    /// If its parts do not fit together.
    pub fn running(
        id: ClusterId,
        wanted: &Wanted,
        nodes: Vec<NodeEntry>,
        secret: SecretKey,
    ) -> Result<NewCluster> {
        let [name] = wanted.clients.as_slice() else { bail!("a running cluster has one client") };
        let client = vec![ClientEntry { name: name.clone(), public_key: secret.public_key() }];
        let settings = settings(id, wanted, nodes, client);
        ClusterConfig::of(settings.clone())?;
        Ok(NewCluster { settings, secrets: vec![(key_file::of_client(Path::new(""), name), secret)] })
    }

    /// Whether the configuration in this folder is one of the same cluster.
    pub fn is_in(&self, folder: &Path) -> bool {
        Settings::read(&folder.join(FILE)).is_ok_and(|there| there.cluster_id == self.settings.cluster_id)
    }

    /// Writes all files into a folder, and returns the configuration's.
    ///
    /// # Errors
    /// If one of them is there and may not be replaced, or cannot be written.
    pub fn write(&self, folder: &Path, replace: bool) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let config = folder.join(FILE);
        let keys: Vec<PathBuf> = self.secrets.iter().map(|(name, _)| folder.join(name)).collect();
        let there = keys.iter().chain([&config]).find(|path| path.symlink_metadata().is_ok());
        if let (Some(there), false) = (there, replace) {
            bail!(
                "{} is there already, and a key that is replaced is lost; give another folder (harness init also takes --force, \
                 to replace it and all the others)",
                there.display()
            );
        }
        for (path, (_, secret)) in keys.iter().zip(&self.secrets) {
            if replace {
                remove(path)?;
            }
            key_file::write(path, secret)?;
        }
        // Last: where it is, the keys are.
        fs::write(&config, text(&self.settings)?)
            .with_context(|| format!("cannot write {}", config.display()))?;
        Ok(config)
    }
}

fn settings(id: ClusterId, wanted: &Wanted, node: Vec<NodeEntry>, client: Vec<ClientEntry>) -> Settings {
    Settings {
        cluster_id: Some(id),
        protocol: Some(wanted.protocol),
        app: Some(wanted.app),
        members: wanted.members,
        nodes: Some(node.len()),
        clients: Some(client.len()),
        timers: Timers { link_delay_ms: Some(wanted.link_delay_ms), ..Timers::default() },
        node,
        client,
        ..Settings::default()
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

const HEAD: &str = "\
# A cluster: the same file for all of its nodes and clients. `harness node --config cluster.toml --id 0` runs a
# node; its secret key is in node-0.key beside this file. Every value can be given as a flag or an environment
# variable instead: see `harness node --help`.

";
const TIMERS: &str = "\
# Waits that are left out follow from the number of nodes and from link_delay_ms. There are timeout_ms,
# request_timer_ms, resend_after_ms, fast_wait_ms, fallback_after_ms and read_limit_ms.
[timers]
";
const LIMITS: &str = "\
# What is left out has its default. There are batch, window, max_data_bytes, max_connections and
# requests_per_s (of each client).
[limits]
";

/// The file's text, with what people should know.
fn text(settings: &Settings) -> Result<String> {
    let text = toml::to_string(settings)?.replacen("[timers]\n", TIMERS, 1).replacen("[limits]\n", LIMITS, 1);
    let mut numbered = String::from(HEAD);
    let (mut node, mut client) = (0, settings.node.len());
    for line in text.lines() {
        match line {
            "[[node]]" => {
                let _ = writeln!(numbered, "[[node]] # {node}");
                node += 1;
            }
            "[[client]]" => {
                let _ = writeln!(numbered, "[[client]] # {client}");
                client += 1;
            }
            line => {
                let _ = writeln!(numbered, "{line}");
            }
        }
    }
    Ok(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(nodes: u16) -> Wanted {
        Wanted {
            protocol: ProtocolName::Pbft,
            app: AppName::Kv,
            addresses: (0..nodes).map(|id| SocketAddr::from(([127, 0, 0, 1], 8080 + id))).collect(),
            clients: vec!["alice".into(), "bob".into()],
            link_delay_ms: 0.5,
            members: None,
        }
    }

    #[test]
    fn the_file_is_read_as_what_was_drawn() {
        let new = NewCluster::draw(&wanted(4)).unwrap();
        let text = text(&new.settings).unwrap();
        assert_eq!(Settings::parse(&text).unwrap(), new.settings, "{text}");
        let config = ClusterConfig::of(new.settings).unwrap();
        assert_eq!((config.n(), config.clients.len()), (4, 2));
        assert_eq!(config.options.waits, Waits::suiting(4, &Links::uniform(500, 0.0)));
    }

    use flows::waits::{Links, Waits};

    #[test]
    fn a_file_that_was_cut_off_is_refused_wherever_the_cut_is() {
        let text = text(&NewCluster::draw(&wanted(4)).unwrap().settings).unwrap();
        let whole = text.trim_end().len();
        for cut in 0..whole {
            let read = Settings::parse(&text[..cut]).and_then(ClusterConfig::of);
            assert!(read.is_err(), "{cut} of {whole} bytes: {}", &text[..cut]);
        }
        assert!(Settings::parse(&text[..whole]).is_ok());
    }

    #[test]
    fn nothing_is_replaced_without_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (NewCluster::draw(&wanted(4)).unwrap(), NewCluster::draw(&wanted(4)).unwrap());
        first.write(folder.path(), false).unwrap();
        let error = second.write(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains("--force"), "{error}");
        let key = || key_file::read(&key_file::of_node(folder.path(), 0)).unwrap();
        assert_eq!(key(), first.secrets[0].1);
        second.write(folder.path(), true).unwrap();
        assert_eq!(key(), second.secrets[0].1);
        assert_eq!(Settings::read(&folder.path().join(FILE)).unwrap(), second.settings);
    }
}
