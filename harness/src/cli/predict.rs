//! Flags of `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::plan::{Plan, ProtocolName};

/// Flags of `predict`. Lists take commas.
#[derive(Clone, Debug, Args)]
pub struct PredictArgs {
    /// Protocols: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "pbft,pbft-mac,ccro,ccro-paper"
    )]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4,7,10")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// Measured requests in each cell and repetition
    #[arg(long, value_name = "N", default_value = "200")]
    pub requests: u64,
    /// How often costs and cells are measured
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: u32,
    /// Seed of keys, payloads, the order of cells and the simulation
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where predictions.csv and costs.json go: a folder that is empty or does not exist [default: printed only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl PredictArgs {
    /// The plan that they ask for.
    pub fn plan(&self) -> Plan {
        let default = Plan::default();
        Plan {
            name: "predict".into(),
            protocols: self.protocol.clone(),
            nodes: self.nodes.clone(),
            faults: vec!["none".into()],
            requests: self.requests,
            warmup: 20,
            repetitions: self.repetitions,
            seed: self.seed.unwrap_or(default.seed),
            ..default
        }
    }
}
