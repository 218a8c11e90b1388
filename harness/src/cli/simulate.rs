//! The flags of `simulate`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sim::Network;
use sim::swarm::Disks;

use super::cluster::ClusterArgs;
use super::load::RequestArgs;
use crate::plan::{Placement, Plan, ProtocolName, faults};

/// Flags of `simulate`. Lists take commas.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// Protocols: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "pbft")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// The network: localhost, lan, wan, lossy, five-continents, world, or a TOML file that describes one
    #[arg(long, value_name = "FILE|NAME", default_value = "lan")]
    pub network: String,
    /// What work costs: none, measured (signatures and messages on this machine, now), or such as
    /// sign_us=15,verify_us=40,per_message_us=5,per_byte_ns=1,cores=2 (cores: shared by all nodes; tag_us, tag_per_byte_ns: tags of pbft-mac;
    /// share_sign_us, share_verify_us, batch_share_us: shares of ccro-aggregate;
    /// client_us: pause between a client's requests; per_iteration_us, per_chunk_us, batch_us, batch_verify_us: what is paid once in one iteration of a node's event loop)
    #[arg(long, value_name = "COSTS", default_value = "none")]
    pub costs: String,
    /// Real Ed25519 signatures instead of symbolic ones
    #[arg(long)]
    pub real_signatures: bool,
    /// A run for each of these seeds; the end is not part of it
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, conflicts_with = "seed")]
    pub seeds: Option<Range<u64>>,
    /// Draw nodes, settings, faults, network and load from each of --seeds, and judge every run
    #[arg(long, requires = "seeds")]
    pub swarm: bool,
    /// Which seeds of a swarm have disks, so that nodes go on after a crash by their journals: always, never, or drawn,
    /// which means a third of them
    #[arg(long, value_name = "WHICH", default_value = "drawn", value_parser = parse_disks, requires = "swarm")]
    pub disks: Disks,
    /// Play a schedule again that a swarm has printed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["swarm", "seeds"])]
    pub schedule: Option<PathBuf>,
    /// Requests of all clients together
    #[arg(long, value_name = "N", default_value = "100")]
    pub requests: u64,
    /// Where the result files go: a folder that is empty or does not exist [default: printed only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write everything that happens into this file, to be seen with `harness view`; where there are several runs,
    /// each has a file with the cell's name and its seed in it. Of a swarm, what breaks a property is written, cut down,
    /// each with the protocol and its seed in the name
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// What is asked for; of data, at least 8 bytes, which hold a request's number.
    #[command(flatten)]
    pub asked: RequestArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let form = "give a first seed and one behind the last, such as 0..1000";
    let (first, end) = text.split_once("..").ok_or_else(|| format!("{text:?} is no range; {form}"))?;
    let number = |part: &str| part.trim().parse::<u64>().map_err(|_| format!("{part:?} is no seed; {form}"));
    let (first, end) = (number(first)?, number(end)?);
    if first >= end {
        return Err(format!("the range {text} is empty; {form}"));
    }
    Ok(first..end)
}

fn parse_disks(text: &str) -> Result<Disks, String> {
    match text {
        "always" => Ok(Disks::Always),
        "never" => Ok(Disks::Never),
        "drawn" => Ok(Disks::Drawn),
        other => Err(format!("{other:?} is none of always, never and drawn")),
    }
}

impl SimulateArgs {
    /// The network that they name.
    pub fn network(&self) -> Result<Network> {
        refuse_meaningless(&self.cluster)?;
        read_network(&self.network, &self.nodes)
    }

    /// The plan that they ask for, on this network, and the seeds to run it with.
    pub fn plan(&self, network: &Network) -> Result<(Plan, Range<u64>)> {
        let slowest_us = self.nodes.iter().map(|n| network.slowest_us(*n)).max().unwrap_or(0);
        let mut plan = Plan {
            name: "simulate".into(),
            protocols: self.protocol.clone(),
            nodes: self.nodes.clone(),
            requests: self.requests,
            warmup: 0,
            // Virtual time costs nothing.
            timeout_s: 10.0 + 20.0 * slowest_us as f64 / 1e6,
            link_delay_us: vec![slowest_us],
            link_loss: vec![network.loss],
            ..Plan::default()
        };
        self.asked.put_into(&mut plan);
        if !self.cluster.fault.is_empty() {
            plan.faults = faults::scenarios(&self.cluster.fault)?.iter().map(ToString::to_string).collect();
        }
        self.cluster.put_into(&mut plan);
        plan.placement = Placement::Simulated;
        if let Some(small) = plan.payload_bytes.iter().find(|bytes| **bytes < 8) {
            bail!("--payload {small}: a simulated request has at least 8 bytes, which hold its number");
        }
        let seeds = self.seeds.clone().unwrap_or(plan.seed..plan.seed.saturating_add(1));
        plan.seed = seeds.start;
        plan.repetitions =
            u32::try_from(seeds.end - seeds.start).context("too many --seeds for single runs")?;
        plan.cells()?;
        Ok((plan, seeds))
    }
}

fn refuse_meaningless(args: &ClusterArgs) -> Result<()> {
    let given = [
        ("--placement", args.placement.is_some()),
        ("--encoding", args.encoding.is_some()),
        ("--pin", args.pin),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => bail!("{flag} means nothing to a simulation; leave it out"),
        None => Ok(()),
    }
}

fn read_network(given: &str, nodes: &[u16]) -> Result<Network> {
    let network = match Network::named(given) {
        Some(network) => network,
        None => {
            let text = std::fs::read_to_string(Path::new(given)).with_context(|| {
                format!(
                    "--network {given}: no such file, and no network of that name; named are {}",
                    sim::NAMED.join(", ")
                )
            })?;
            Network::parse(&text).with_context(|| format!("the network {given}"))?
        }
    };
    for n in nodes {
        network.check(*n).with_context(|| format!("the network {given}, with {n} nodes"))?;
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_with_disks_are_chosen_by_a_word() {
        assert_eq!(parse_disks("always"), Ok(Disks::Always));
        assert!(parse_disks("some").unwrap_err().contains("always, never and drawn"));
    }

    #[test]
    fn a_range_of_seeds_has_a_beginning_and_a_later_end() {
        assert_eq!(parse_seeds("3..7"), Ok(3..7));
        for (bad, says) in
            [("7..7", "is empty"), ("9..7", "is empty"), ("7", "no range"), ("a..7", "no seed")]
        {
            let message = parse_seeds(bad).unwrap_err();
            assert!(message.contains(says) && message.contains("0..1000"), "{message}");
        }
    }
}
