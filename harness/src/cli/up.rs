//! Flags of `up`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser};
use journal::Durability;

use super::cluster::ClusterArgs;
use super::durability::durability;
use super::trace::TraceArgs;
use crate::plan::{Plan, ProtocolName, Via, faults};

/// How the command is called.
pub(super) const EXAMPLES: &str = "\
Examples:
  harness up --protocol pbft --nodes 4
  harness up --protocol ccro --nodes 7 --fault malicious:2 --port 9000
  harness up --protocol ccro --fault withhold@1 --fault delay=5ms@2 --encoding json
  harness up --protocol broadcast --app bank --nodes 5 --members 4        node 4 can join, any can leave
  harness up --app kv --data-dir data            and the same again, after whatever ended it: it goes on";

/// What can be asked of a cluster that is up.
pub(super) const REQUESTS: &str = "\
With the cluster up, any node takes requests:
  curl -d '{\"data\": \"pay 5 to bob\"}' http://127.0.0.1:8080/preprepare
      is answered as soon as f+1 nodes agree, with the votes that each of them had received
  curl -d '{\"data\": \"pay 5 to bob\"}' 'http://127.0.0.1:8080/preprepare?settle=500'
      waits for every node's final tally, at most 500 ms";

/// How it ends.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 ended by Ctrl-C; 2 unusable input, a port that is taken, or a node that did not start.";

/// Flags of `up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Protocol: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper or broadcast
    #[arg(long, value_name = "NAME", default_value = "pbft")]
    pub protocol: ProtocolName,
    /// The rest.
    #[command(flatten)]
    pub rest: UpRest,
}

/// Flags of `up` and of the commands that have their protocol fixed.
#[derive(Clone, Debug, Args)]
pub struct UpRest {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: u16,
    /// Secure broadcast: so many nodes are members at first; the others can join [default: all]
    #[arg(long, value_name = "N")]
    pub members: Option<u16>,
    /// The first node's port; the others follow
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// Most requests that one slot orders
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Delay on every peer link, microseconds
    #[arg(long, value_name = "US")]
    pub link_delay_us: Option<u64>,
    /// Loss on every peer link, a probability
    #[arg(long, value_name = "P")]
    pub link_loss: Option<f64>,
    /// The folder for the nodes' logs; RUST_LOG says how much is in them (info, debug)
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// The folder for cluster.toml and the key of a client, which harness client then takes (--config
    /// DIR/cluster.toml); keys follow from --seed, so that they are for experiments only
    #[arg(long, value_name = "DIR")]
    pub client_files: Option<PathBuf>,
    /// The folder in which each node keeps what it was given, so that the same command goes on from there; without
    /// it, all is forgotten at the end
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What that outlives: the end of a process (on), or a loss of power as well (fsync); without it, fsync with
    /// --data-dir
    #[arg(long, value_name = "off|on|fsync")]
    pub durability: Option<Durability>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Whether it is recorded.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// The flags of a command that is `harness up` with its protocol fixed.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "Starts a cluster that stays up until Ctrl-C; like `harness up` with the protocol fixed",
    after_help = REQUESTS
)]
pub struct FixedUp {
    /// All but the protocol.
    #[command(flatten)]
    pub rest: UpRest,
}

impl UpRest {
    /// The plan of one cell that the flags ask for.
    pub fn plan(&self, protocol: ProtocolName) -> Result<Plan> {
        let mut plan = Plan {
            name: "up".into(),
            protocols: vec![protocol],
            nodes: vec![self.nodes],
            batch: vec![self.batch.unwrap_or(256)],
            link_delay_us: vec![self.link_delay_us.unwrap_or(0)],
            link_loss: vec![self.link_loss.unwrap_or(0.0)],
            port: Some(self.port),
            members: self.members,
            durability: vec![durability(self.durability, self.data_dir.as_deref())?],
            via: vec![if self.client_files.is_some() { Via::Client } else { Via::Http }],
            ..Plan::default()
        };
        protocol.check_members(self.members, self.nodes)?;
        self.cluster.put_into(&mut plan);
        plan.timeout_s =
            self.cluster.timeout.unwrap_or_else(|| plan.timeout_s.max(plan.suitable_timeout_s()));
        let scenarios = faults::scenarios(&self.cluster.fault)?;
        let [scenario] = scenarios.as_slice() else {
            bail!(
                "one cluster can have one scenario, and the flags name {}; repeat --fault to put several faults \
                 on it at once",
                scenarios.len()
            );
        };
        if scenario.has_crash() {
            bail!(
                "crash needs a moment to happen at; kill the node's process yourself (its pid is in /status)"
            );
        }
        plan.faults = vec![scenario.to_string()];
        if plan.apps.len() > 1 {
            bail!("one cluster runs one application, and --app names {}; give one of them", plan.apps.len());
        }
        Ok(plan)
    }
}
