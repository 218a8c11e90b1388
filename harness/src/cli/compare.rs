//! Flags of `compare`.

use anyhow::Result;
use clap::Args;

use super::cluster::ClusterArgs;
use super::load::{LoadArgs, replace};
use super::out::OutArgs;
use super::trace::TraceArgs;
use crate::plan::{Plan, ProtocolName, faults};

/// Flags of `compare`. Lists take commas.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Protocols: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Where results go.
    #[command(flatten)]
    pub out: OutArgs,
    /// Whether it is recorded.
    #[command(flatten)]
    pub trace: TraceArgs,
}

impl CompareArgs {
    /// The plan that the flags ask for.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = default_plan();
        // Of the defaults, what small clusters cannot have is left out; what was asked
        // for explicitly is refused instead.
        plan.skip_too_small = self.protocol.is_empty();
        plan.skip_impossible_faults = self.cluster.fault.is_empty();
        replace(&mut plan.protocols, &self.protocol);
        replace(&mut plan.nodes, &self.nodes);
        self.load.asked.put_into(&mut plan);
        replace(&mut plan.link_delay_us, &self.load.link_delay_us);
        replace(&mut plan.link_loss, &self.load.link_loss);
        if !self.cluster.fault.is_empty() {
            let scenarios = faults::scenarios(&self.cluster.fault)?;
            plan.faults = scenarios.iter().map(ToString::to_string).collect();
        }
        plan.requests = self.load.requests.unwrap_or(plan.requests);
        plan.warmup = self.load.warmup.unwrap_or(plan.warmup);
        plan.port = self.load.port.or(plan.port);
        plan.give_up_after = self.load.give_up_after.unwrap_or(plan.give_up_after);
        replace(&mut plan.via, &self.load.via);
        replace(&mut plan.durability, &self.load.durability);
        plan.connections = self.load.connections.unwrap_or(plan.connections);
        plan.repetitions = self.load.repetitions.unwrap_or(plan.repetitions);
        self.cluster.put_into(&mut plan);
        plan.timeout_s = self.cluster.timeout.unwrap_or_else(|| plan.suitable_timeout_s());
        Ok(plan)
    }
}

/// What `compare` measures unless told otherwise: enough requests for a 95 % interval of
/// each cell's p99.
fn default_plan() -> Plan {
    let scenarios = ["none", "offline:f", "malicious:f", "equivocate@0", "withhold@1"];
    Plan {
        name: "compare".into(),
        protocols: vec![
            ProtocolName::Pbft,
            ProtocolName::PbftMac,
            ProtocolName::Ccro,
            ProtocolName::CcroPaper,
        ],
        nodes: vec![4, 7],
        faults: scenarios.map(String::from).into(),
        requests: 150,
        warmup: 10,
        repetitions: 3,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use journal::Durability;

    fn plan(flags: &[&str]) -> Result<Plan> {
        let cli = Cli::try_parse_from(["harness", "compare"].iter().chain(flags))?;
        let Command::Compare(args) = cli.command else { panic!("not compare") };
        args.plan()
    }

    #[test]
    fn without_flags_four_protocols_two_sizes_five_scenarios() {
        let cells = plan(&[]).unwrap().cells().unwrap();
        assert_eq!(cells.len(), 4 * 2 * 5);
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert!(names.contains(&"ccro-paper-n7-malicious:2"), "{names:?}");
        for cell in &cells {
            // All protocols get the same faulty nodes.
            let alike = cells.iter().find(|c| c.nodes == cell.nodes && c.faults.text == cell.faults.text);
            assert_eq!(cell.faults, alike.unwrap().faults);
        }
    }

    #[test]
    fn the_help_names_the_defaults() {
        let mut command = <Cli as clap::CommandFactory>::command();
        let help = command.find_subcommand_mut("compare").unwrap().render_help().to_string();
        let default = default_plan();
        for (flag, value) in [
            ("--requests", default.requests),
            ("--warmup", default.warmup),
            ("--repetitions", default.repetitions.into()),
        ] {
            let entry = help.split(&format!("{flag} <")).nth(1).and_then(|rest| rest.split("--").next());
            assert!(entry.unwrap().contains(&format!("[default: {value}]")), "{flag}: {help}");
        }
    }

    #[test]
    fn small_clusters_leave_out_what_they_cannot_have() {
        for nodes in ["1", "2", "3"] {
            assert!(!plan(&["--nodes", nodes]).unwrap().cells().unwrap().is_empty());
        }
        let refused = plan(&["--nodes", "2", "--protocol", "ccro-paper"]).unwrap().cells();
        assert!(refused.unwrap_err().to_string().contains("at least 3"));
    }

    #[test]
    fn flags_reach_the_plan() {
        let plan = plan(&[
            "--fault",
            "offline:1",
            "--fault",
            "delay=5ms@3",
            "--payload",
            "1,1000000",
            "--rate",
            "50",
            "--timeout",
            "0.25",
            "--no-fast-path",
            "--communication",
            "fixed:2",
            "--seed",
            "9",
            "--durability",
            "off,fsync",
        ])
        .unwrap();
        assert_eq!(plan.faults, ["offline:1+delay=5ms@3"]);
        assert_eq!(plan.payload_bytes, [1, 1_000_000]);
        assert_eq!((plan.timeout_us(), plan.fast_path, plan.seed), (250_000, false, 9));
        assert_eq!(plan.rate, [50.0]);
        assert_eq!(plan.durability, [Durability::Off, Durability::Fsync]);
    }
}
