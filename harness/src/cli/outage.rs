//! Flags of `outage` and `soak`.

use anyhow::{Result, bail};
use apps::AppName;
use clap::Args;
use journal::Durability;

use super::cluster::ClusterArgs;
use super::out::OutArgs;
use super::trace::TraceArgs;
use crate::plan::outage::{Outage, Partition, Victim};
use crate::plan::{Plan, ProtocolName, faults};

/// Clients of a soak of the key-value store whose history is judged.
const USUAL_HISTORY_CLIENTS: u32 = 8;

/// Flags of `outage`.
#[derive(Clone, Debug, Args)]
pub struct OutageArgs {
    /// Who is killed: commander, communication-node, node:ID, or all at once (with --durability) [default: commander, without a --partition]
    #[arg(long, value_name = "WHO")]
    pub kill: Option<Victim>,
    /// When, in seconds since the load began
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub at: f64,
    /// How long after the kill the node is started again, seconds
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub restart_after: f64,
    /// Do not start the killed node again
    #[arg(long)]
    pub stay_down: bool,
    /// Clients of the key-value store whose history is judged, beside the load (with --app kv)
    #[arg(long, value_name = "N", default_value = "0")]
    pub history_clients: u32,
    /// Megabytes of values to put into the key-value store before the load (with --app kv)
    #[arg(long, value_name = "MB", default_value = "0", value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub fill_mb: u64,
    /// Cut links between groups of nodes for a while, such as 0,1|2,3:2..5 (seconds); can be repeated
    #[arg(long, value_name = "GROUPS:FROM..UNTIL")]
    pub partition: Vec<Partition>,
    /// An answer that takes longer than so many milliseconds is late
    #[arg(long, value_name = "MS", default_value = "100")]
    pub late_ms: f64,
    /// The load.
    #[command(flatten)]
    pub load: OutageLoad,
}

/// Flags of `soak`.
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// How long killed nodes stay down, seconds
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub down: f64,
    /// How long other nodes are cut off each time the killed ones are back, seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub cut: f64,
    /// How often all nodes are killed at once and started again instead, seconds; takes --durability
    #[arg(long, value_name = "SECONDS")]
    pub kill_all_every: Option<f64>,
    /// Clients of the key-value store whose history is judged, beside the load [default: 8 with --app kv]
    #[arg(long, value_name = "N")]
    pub history_clients: Option<u32>,
    /// An answer that takes longer than so many milliseconds is late
    #[arg(long, value_name = "MS", default_value = "100")]
    pub late_ms: f64,
    /// The load.
    #[command(flatten)]
    pub load: OutageLoad,
}

/// Flags of `outage` and `soak` about what runs meanwhile.
#[derive(Clone, Debug, Args)]
pub struct OutageLoad {
    /// Protocols: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "pbft,ccro")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// Requests due per second
    #[arg(long, value_name = "PER_SECOND", default_value = "500")]
    pub rate: f64,
    /// How long requests keep coming, seconds [default: 8]
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<f64>,
    /// What the nodes' journals outlive: nothing (off: killed nodes lose their memory), the end of a process (on), a
    /// loss of power as well (fsync); comma-separated to compare
    #[arg(long, value_delimiter = ',', value_name = "off|on|fsync", default_value = "off")]
    pub durability: Vec<Durability>,
    /// How often [default: 3]
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Where results go.
    #[command(flatten)]
    pub out: OutArgs,
    /// Whether it is recorded.
    #[command(flatten)]
    pub trace: TraceArgs,
}

impl OutageArgs {
    /// The plan that the flags of `harness outage` ask for.
    pub fn plan(&self) -> Result<Plan> {
        let kill = match (self.kill, self.partition.is_empty()) {
            (None, true) => Some(Victim::Commander),
            (kill, _) => kill,
        };
        if kill == Some(Victim::InTurn) {
            bail!(
                "`harness soak` kills nodes in turn; here give commander, communication-node, node:ID or all"
            );
        }
        let outage = Outage {
            kill,
            at_s: self.at,
            restart_after_s: (!self.stay_down).then_some(self.restart_after),
            partition: self.partition.clone(),
            history_clients: self.history_clients,
            fill_mb: self.fill_mb,
            late_ms: self.late_ms,
            ..Outage::default()
        };
        self.load.plan("outage", outage, 8.0, 3)
    }
}

impl SoakArgs {
    /// The plan that the flags of `harness soak` ask for.
    pub fn plan(&self) -> Result<Plan> {
        let usual = if self.load.cluster.app.contains(&AppName::Kv) { USUAL_HISTORY_CLIENTS } else { 0 };
        let outage = Outage {
            kill: Some(Victim::InTurn),
            at_s: 1.0,
            restart_after_s: Some(self.down),
            kill_all_every_s: self.kill_all_every,
            cut_s: (self.cut != 0.0).then_some(self.cut),
            history_clients: self.history_clients.unwrap_or(usual),
            late_ms: self.late_ms,
            ..Outage::default()
        };
        self.load.plan("soak", outage, 120.0, 1)
    }
}

impl OutageLoad {
    fn plan(&self, name: &str, outage: Outage, duration_s: f64, repetitions: u32) -> Result<Plan> {
        let mut plan = Plan {
            name: name.into(),
            protocols: self.protocol.clone(),
            nodes: self.nodes.clone(),
            rate: vec![self.rate],
            requests: (self.rate * self.duration.unwrap_or(duration_s)).max(0.0) as u64,
            warmup: 100,
            repetitions: self.repetitions.unwrap_or(repetitions),
            give_up_after: 0,
            durability: self.durability.clone(),
            outage: Some(outage),
            ..Plan::default()
        };
        let scenarios = faults::scenarios(&self.cluster.fault)?;
        plan.faults = scenarios.iter().map(ToString::to_string).collect();
        self.cluster.put_into(&mut plan);
        plan.timeout_s =
            self.cluster.timeout.unwrap_or_else(|| plan.timeout_s.max(plan.suitable_timeout_s()));
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(arguments: &[&str]) -> Result<Plan> {
        match Cli::try_parse_from(["harness"].iter().chain(arguments))?.command {
            Command::Outage(args) => args.plan(),
            Command::Soak(args) => args.plan(),
            _ => unreachable!(),
        }
    }

    #[test]
    fn the_flags_make_a_plan_that_can_run() {
        let outage = plan(&["outage"]).unwrap();
        assert_eq!(outage.outage.as_ref().unwrap().kill, Some(Victim::Commander));
        assert_eq!(outage.cells().unwrap().len(), 2);
        let soak = plan(&["soak", "--nodes", "7", "--duration", "30", "--rate", "100"]).unwrap();
        assert_eq!((soak.requests, soak.cells().unwrap().len()), (3000, 2));
        assert_eq!(
            soak.outage.as_ref().map(|outage| (outage.cut_s, outage.history_clients)),
            Some((Some(1.0), 0))
        );
        let kv =
            plan(&["soak", "--app", "kv", "--cut", "0", "--nodes", "7", "--fault", "equivocate@0"]).unwrap();
        let outage = kv.outage.as_ref().unwrap();
        assert_eq!((outage.cut_s, outage.history_clients), (None, 8));
        assert_eq!(outage.killed_at_once(&kv.cells().unwrap()[0]), 1, "one of the two is faulty");
        let durable = plan(&["soak", "--durability", "fsync", "--kill-all-every", "5"]).unwrap();
        assert_eq!(durable.outage.as_ref().unwrap().kill_all_every_s, Some(5.0));
        assert_eq!(durable.cells().unwrap()[0].durability, Durability::Fsync);
        let all = plan(&["outage", "--kill", "all", "--durability", "on,fsync"]).unwrap();
        assert_eq!(all.cells().unwrap().len(), 4);
        let cut = plan(&["outage", "--partition", "0|1,2,3:1..2", "--protocol", "pbft"]).unwrap();
        assert_eq!(cut.outage.as_ref().unwrap().kill, None);
        assert_eq!(cut.cells().unwrap().len(), 1);
        for (arguments, expected) in [
            (vec!["outage", "--kill", "in-turn"], "harness soak"),
            (vec!["outage", "--duration", "1"], "not while the load lasts"),
            (vec!["outage", "--duration=-1"], "not while the load lasts"),
            (vec!["outage", "--kill", "communication-node"], "pbft has no communication node"),
            (vec!["soak", "--nodes", "3"], "tolerates f = 0"),
            (vec!["soak", "--kill-all-every", "5"], "give the durability"),
            (vec!["outage", "--kill", "all"], "give the durability"),
            (vec!["outage", "--kill", "all", "--durability", "on", "--stay-down"], "give restart_after_s"),
            (vec!["soak", "--fault", "equivocate@0"], "tolerates f = 1"),
            (vec!["soak", "--history-clients", "1"], "give the app kv"),
        ] {
            let message = plan(&arguments).and_then(|plan| plan.cells()).unwrap_err().to_string();
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }
}
