//! Flags of `node`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::BoolishValueParser;
use journal::Durability;

use super::durability::durability;
use crate::config::{ClusterConfig, Settings, key_file};

/// Flags of `node`.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// The cluster's configuration, as `harness init` writes it
    #[arg(long, env = "HARNESS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which of its nodes this is, counted from 0
    #[arg(long, env = "HARNESS_ID", value_name = "ID")]
    pub id: u16,
    /// The file with the node's secret key; without it, node-ID.key beside the configuration
    #[arg(long, env = "HARNESS_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// What to listen on, if it is not the address by which the others reach the node
    #[arg(long, env = "HARNESS_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the node keeps what it was given, so that it goes on from there when it is started again;
    /// without it, it forgets everything, and notes beside its key only that it was started
    #[arg(long, env = "HARNESS_DATA_DIR", value_name = "DIR", alias = "data")]
    pub data_dir: Option<PathBuf>,
    /// What it outlives: nothing (off), the end of the process (on), or a loss of power as well
    /// (fsync); without it, fsync with --data-dir
    #[arg(long, env = "HARNESS_DURABILITY", value_name = "off|on|fsync")]
    pub durability: Option<Durability>,
    /// This start is the cluster's first: no node of it has said anything yet
    #[arg(long, env = "HARNESS_FIRST_START", value_parser = BoolishValueParser::new())]
    pub first_start: bool,
    /// Talk to other machines, and let them talk to this one
    #[arg(long, env = "HARNESS_ALLOW_REMOTE", value_parser = BoolishValueParser::new())]
    pub allow_remote: bool,
    /// Let clients inject faults, by /faults and /links
    #[arg(long, env = "HARNESS_ALLOW_FAULT_INJECTION", value_parser = BoolishValueParser::new())]
    pub allow_fault_injection: bool,
    /// What the configuration says, or what is said instead.
    #[command(flatten)]
    pub settings: Settings,
}

impl NodeArgs {
    /// The configuration: what flags and variables say, and for the rest the file.
    pub fn cluster(&self) -> Result<ClusterConfig> {
        let Some(path) = &self.config else {
            return ClusterConfig::of(self.settings.clone())
                .context("without --config, all that a file would say must be given");
        };
        ClusterConfig::of(Settings::read(path)?.overridden_by(self.settings.clone()))
            .with_context(|| format!("the configuration {}", path.display()))
    }

    /// The file with the node's key.
    pub fn key_file(&self) -> Result<PathBuf> {
        match (&self.key, &self.config) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(config)) => Ok(key_file::of_node(folder_of(config), self.id)),
            (None, None) => anyhow::bail!("without --config, the node's key file must be given with --key"),
        }
    }

    /// What its journal outlives.
    pub fn durability(&self) -> Result<Durability> {
        durability(self.durability, self.data_dir.as_deref())
    }

    /// Where the node keeps what it notes.
    pub fn data_folder(&self) -> Result<PathBuf> {
        match &self.data_dir {
            Some(folder) => Ok(folder.clone()),
            None => self.key_folder(),
        }
    }

    /// The folder with its key.
    pub fn key_folder(&self) -> Result<PathBuf> {
        self.key_file().map(|key| folder_of(&key).to_owned())
    }
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
