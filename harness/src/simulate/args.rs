//! The flags of `simulate`, and what they mean.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sim::{Costs, Network};

use super::costs;
use crate::cli::{ClusterArgs, RequestArgs};
use crate::compare;
use crate::faults;
use crate::plan::{Cell, Plan};
use crate::protocols::{Options, Placement, ProtocolName};

/// Flags of `simulate`. Lists take commas.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// Protocols: pbft, ccro, ccro-paper
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "pbft")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// The network: localhost, lan, wan, lossy, five-continents, world, or a TOML file that describes one
    #[arg(long, value_name = "FILE|NAME", default_value = "lan")]
    pub network: String,
    /// What work costs: none, measured (signatures and messages on this machine, now), or such as
    /// sign_us=15,verify_us=40,per_message_us=5,per_byte_ns=1,cores=2 (cores: shared by all nodes; client_us: pause
    /// between a client's requests; per_iteration_us, per_chunk_us, batch_us, batch_verify_us: what is paid once in one iteration of a node's event loop)
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
    /// Play a schedule again that a swarm has printed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["swarm", "seeds"])]
    pub schedule: Option<PathBuf>,
    /// Requests of all clients together
    #[arg(long, value_name = "N", default_value = "100")]
    pub requests: u64,
    /// Where the result files go: a folder that is empty or does not exist [default: printed only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What is asked for; of data, at least 8 bytes, which hold a request's number.
    #[command(flatten)]
    pub asked: RequestArgs,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What the flags mean.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The cells, as for real nodes.
    pub plan: Plan,
    /// The network.
    pub network: Network,
    /// What work costs.
    pub costs: Costs,
    /// Real signatures.
    pub real_signatures: bool,
    /// The seeds.
    pub seeds: Range<u64>,
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

/// Resolves and checks the flags.
pub fn resolve(args: SimulateArgs) -> Result<Resolved> {
    refuse_meaningless(&args.cluster)?;
    let network = read_network(&args.network, &args.nodes)?;
    let costs = costs::resolve(&args.costs)?;
    let slowest_us = args.nodes.iter().map(|n| network.slowest_us(*n)).max().unwrap_or(0);
    let mut plan = Plan {
        name: "simulate".into(),
        protocols: args.protocol,
        nodes: args.nodes,
        requests: args.requests,
        warmup: 0,
        // Virtual time costs nothing.
        timeout_s: 10.0 + 20.0 * slowest_us as f64 / 1e6,
        link_delay_us: vec![slowest_us],
        link_loss: vec![network.loss],
        ..Plan::default()
    };
    compare::ask(&args.asked, &mut plan);
    if !args.cluster.fault.is_empty() {
        plan.faults = faults::scenarios(&args.cluster.fault)?.iter().map(ToString::to_string).collect();
    }
    compare::apply(&args.cluster, &mut plan);
    plan.placement = Placement::Simulated;
    if let Some(small) = plan.payload_bytes.iter().find(|bytes| **bytes < 8) {
        bail!("--payload {small}: a simulated request has at least 8 bytes, which hold its number");
    }
    let seeds = args.seeds.unwrap_or(plan.seed..plan.seed.saturating_add(1));
    plan.seed = seeds.start;
    plan.repetitions = u32::try_from(seeds.end - seeds.start).context("too many --seeds for single runs")?;
    let resolved = Resolved { plan, network, costs, real_signatures: args.real_signatures, seeds };
    resolved.cells(resolved.seeds.start)?;
    Ok(resolved)
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

impl Resolved {
    /// The cells with a seed: drawn faults depend on it.
    pub fn cells(&self, seed: u64) -> Result<Vec<Cell>> {
        Plan { seed, ..self.plan.clone() }.cells()
    }

    /// What replicas are configured with: waits that are not given suit the
    /// network as well as the cluster's size.
    pub fn options(&self, cell: &Cell) -> Options {
        let (n, slowest_us) = (cell.nodes, self.network.slowest_us(cell.nodes));
        let mut options = self.plan.options(cell.batch);
        let ccro = ccro::Config::for_cluster(n);
        // A slot takes five delays through a communication node, and what is sent
        // again should not overtake what is on its way.
        let suits = |us: &mut Option<u64>, default: u64, delays: u64| {
            us.get_or_insert(default + delays * slowest_us);
        };
        suits(&mut options.fast_wait_us, ccro.fast_wait.0, 2);
        suits(&mut options.fallback_after_us, ccro.fallback_after.0, 6);
        suits(&mut options.resend_after_us, ccro.pbft.resend_after.0, 8);
        // Longer than the fallback and all that follows it.
        suits(&mut options.request_after_us, ccro.pbft.request_after.0, 16);
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
