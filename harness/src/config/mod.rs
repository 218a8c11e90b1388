//! The configuration of a cluster: one file for all its nodes and clients, the same
//! values as flags and environment variables, and a key file for each member.

mod cluster_config;
pub mod init;
pub mod key_file;
mod settings;

pub use cluster_config::ClusterConfig;
pub use settings::{ClientEntry, Limits, NodeEntry, Settings, Timers};
