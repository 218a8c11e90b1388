//! Flags of `client`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use apps::{AppName, BankOperation, KvOperation, SetOperation};
use clap::{Args, Subcommand};

use crate::config::{ClusterConfig, Settings, key_file};

/// Flags of `client`.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// The cluster's configuration, as `harness init` writes it
    #[arg(
        long,
        env = "HARNESS_CONFIG",
        value_name = "FILE",
        default_value = "cluster/cluster.toml",
        global = true
    )]
    pub config: PathBuf,
    /// Which of its clients asks; without it, the first
    #[arg(long, env = "HARNESS_CLIENT", value_name = "NAME", global = true)]
    pub name: Option<String>,
    /// The file with the client's secret key; without it, NAME.key beside the configuration
    // Named apart from the key that some commands take.
    #[arg(id = "secret", long = "key", env = "HARNESS_KEY", value_name = "FILE", global = true)]
    pub secret: Option<PathBuf>,
    /// How long a request may take, seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", global = true)]
    pub timeout: f64,
    /// Write what proves the answer to this file, for `harness client verify`
    #[arg(long, value_name = "FILE", global = true)]
    pub evidence: Option<PathBuf>,
    /// What is asked.
    #[command(subcommand)]
    pub command: ClientCommand,
}

/// What a client asks.
#[derive(Clone, Debug, Subcommand)]
pub enum ClientCommand {
    /// The value of a key
    Get {
        /// The key
        key: String,
    },
    /// Set the value of a key
    Put {
        /// The key
        key: String,
        /// Its value
        value: String,
    },
    /// Compare and swap: set a key's value if it is the expected one
    Cas {
        /// The key
        key: String,
        /// The value that it must have; without it, it must have none
        #[arg(long, value_name = "VALUE")]
        expected: Option<String>,
        /// Its value from then on; without it, the key is taken out
        #[arg(long, value_name = "VALUE")]
        new: Option<String>,
    },
    /// Take a key out
    Delete {
        /// The key
        key: String,
    },
    /// Keys and values, in the order of the keys
    List {
        /// What the keys begin with
        #[arg(default_value = "")]
        prefix: String,
        /// Only keys after this one
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value = "100")]
        limit: u32,
    },
    /// Open an account
    Open {
        /// Its name
        account: String,
    },
    /// Pay money in
    Deposit {
        /// The account
        account: String,
        /// How much
        amount: u64,
    },
    /// Take money out
    Withdraw {
        /// The account
        account: String,
        /// How much
        amount: u64,
    },
    /// Move money to another account
    Transfer {
        /// Whose it is
        from: String,
        /// Whose it becomes
        to: String,
        /// How much
        amount: u64,
    },
    /// What is in an account
    Balance {
        /// The account
        account: String,
    },
    /// Put a member into the set
    Add {
        /// The member
        member: String,
    },
    /// Take a member out of the set
    Remove {
        /// The member
        member: String,
    },
    /// Whether a member is in the set
    Contains {
        /// The member
        member: String,
    },
    /// The members of the set, in their order
    Members {
        /// What they begin with
        #[arg(default_value = "")]
        prefix: String,
        /// Only members after this one
        #[arg(long, value_name = "MEMBER")]
        after: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value = "100")]
        limit: u32,
    },
    /// Which nodes take this client's link
    Status,
    /// Check, without asking anybody, that an answer proves itself: one of a node to ?evidence=true, or what
    /// --evidence wrote
    Verify {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Send requests as fast as they are answered, and print throughput and percentiles
    Bench {
        /// How many
        #[arg(long, value_name = "N", default_value = "10000")]
        requests: u64,
        /// Requests in flight
        #[arg(long, value_name = "N", default_value = "64")]
        clients: u64,
        /// Bytes of each value
        #[arg(long, value_name = "BYTES", default_value = "100")]
        payload: usize,
    },
}

/// An operation of the application that a command needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Of the key-value store.
    Kv(KvOperation),
    /// Of the bank.
    Bank(BankOperation),
    /// Of the set.
    Set(SetOperation),
}

impl ClientArgs {
    /// The configuration.
    pub fn cluster(&self) -> Result<ClusterConfig> {
        ClusterConfig::of(Settings::read(&self.config)?)
            .with_context(|| format!("the configuration {}", self.config.display()))
    }

    /// Which client asks: its place among the cluster's clients, and its name.
    pub fn client<'a>(&self, cluster: &'a ClusterConfig) -> Result<(u16, &'a str)> {
        let names: Vec<&str> = cluster.clients.iter().map(|client| client.name.as_str()).collect();
        ensure!(
            !names.is_empty(),
            "the cluster has no clients with keys; `harness init --clients 1` makes one"
        );
        let place = match &self.name {
            None => 0,
            Some(wanted) => names.iter().position(|name| name == wanted).with_context(|| {
                format!("the cluster has no client {wanted:?}; give one of {}", names.join(", "))
            })?,
        };
        Ok((place as u16, names[place]))
    }

    /// The file with the client's key.
    pub fn key_file(&self, name: &str) -> PathBuf {
        let folder = match self.config.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        self.secret.clone().unwrap_or_else(|| key_file::of_client(folder, name))
    }
}

impl ClientCommand {
    /// The operation that is asked; none if the command asks another thing.
    pub fn asked(&self) -> Option<Asked> {
        let kv = |operation| Some(Asked::Kv(operation));
        let bank = |operation| Some(Asked::Bank(operation));
        let set = |operation| Some(Asked::Set(operation));
        match self.clone() {
            ClientCommand::Get { key } => kv(KvOperation::Get { key }),
            ClientCommand::Put { key, value } => kv(KvOperation::Put { key, value }),
            ClientCommand::Cas { key, expected, new } => {
                kv(KvOperation::CompareAndSwap { key, expected, new })
            }
            ClientCommand::Delete { key } => kv(KvOperation::Delete { key }),
            ClientCommand::List { prefix, after, limit } => kv(KvOperation::List { prefix, after, limit }),
            ClientCommand::Open { account } => bank(BankOperation::Open { account }),
            ClientCommand::Deposit { account, amount } => bank(BankOperation::Deposit { account, amount }),
            ClientCommand::Withdraw { account, amount } => bank(BankOperation::Withdraw { account, amount }),
            ClientCommand::Transfer { from, to, amount } => {
                bank(BankOperation::Transfer { from, to, amount })
            }
            ClientCommand::Balance { account } => bank(BankOperation::Balance { account }),
            ClientCommand::Add { member } => set(SetOperation::Add { member }),
            ClientCommand::Remove { member } => set(SetOperation::Remove { member }),
            ClientCommand::Contains { member } => set(SetOperation::Contains { member }),
            ClientCommand::Members { prefix, after, limit } => {
                set(SetOperation::List { prefix, after, limit })
            }
            ClientCommand::Status | ClientCommand::Verify { .. } | ClientCommand::Bench { .. } => None,
        }
    }
}

impl Asked {
    /// Refuses what the cluster's application does not know.
    pub fn check(&self, app: AppName) -> Result<()> {
        let needed = match self {
            Asked::Kv(_) => AppName::Kv,
            Asked::Bank(_) => AppName::Bank,
            Asked::Set(_) => AppName::Set,
        };
        ensure!(needed == app, "this is asked of {needed}, and the cluster replicates {app}");
        Ok(())
    }
}
