//! Flags of `endure`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::cluster::ClusterArgs;
use super::load::replace;
use crate::plan::faults::{self, Scenario};
use crate::plan::{Plan, ProtocolName};

/// Seconds between the two readings of memory, at least: the load comes in parts of about
/// half of that.
const LEAST_S: f64 = 10.0;

/// Flags of `endure`.
#[derive(Clone, Debug, Args)]
pub struct EndureArgs {
    /// Protocols: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "pbft")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// Clients with one request in flight each; a cluster of its own for each number
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,16,64,256,1024")]
    pub clients: Vec<usize>,
    /// Bytes of data in each request
    #[arg(long, value_name = "BYTES", default_value = "100")]
    pub payload: usize,
    /// How long each runs, seconds
    #[arg(long, value_name = "SECONDS", default_value = "360")]
    pub duration: f64,
    /// After how many seconds memory is read for the first time
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub settle: f64,
    /// How much memory may grow from then on, percent
    #[arg(long, value_name = "PERCENT", default_value = "5")]
    pub growth: f64,
    /// Also write the table to this file, as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl EndureArgs {
    /// The plan whose cells run one after the other.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = Plan {
            name: "endure".into(),
            protocols: self.protocol.clone(),
            nodes: self.nodes.clone(),
            clients: self.clients.clone(),
            payload_bytes: vec![self.payload],
            give_up_after: 0,
            ..Plan::default()
        };
        let scenarios = faults::scenarios(&self.cluster.fault)?;
        ensure!(
            !scenarios.iter().any(Scenario::has_crash),
            "crash needs a moment to happen at, and endure has none; use harness outage, or the fault offline"
        );
        replace(&mut plan.faults, &scenarios.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.cluster.put_into(&mut plan);
        plan.timeout_s =
            self.cluster.timeout.unwrap_or_else(|| plan.timeout_s.max(plan.suitable_timeout_s()));
        Ok(plan)
    }

    /// How long each cell runs, and after how long memory is read for the first time.
    pub fn times(&self) -> Result<[Duration; 2]> {
        ensure!(
            self.settle >= 0.0 && self.settle + LEAST_S <= self.duration && self.duration <= 1e6,
            "--duration {} must be at least {LEAST_S} seconds more than --settle {}, and at most a million: between the \
             two, memory grows or does not",
            self.duration,
            self.settle
        );
        Ok([self.duration, self.settle].map(Duration::from_secs_f64))
    }
}
