//! What is to be simulated.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::Result;
use flows::options::Options;
use flows::waits::Links;
use sim::{Costs, Network};

use crate::plan::{Cell, Load, Plan};

/// The cells of a plan, on a network, with what work costs.
#[derive(Clone, Debug)]
pub struct Simulation {
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
    /// Where everything that happens is written.
    pub trace: Option<PathBuf>,
}

impl Simulation {
    /// The cells with a seed: drawn faults depend on it.
    pub fn cells(&self, seed: u64) -> Result<Vec<Cell>> {
        Plan { seed, ..self.plan.clone() }.cells()
    }

    /// What replicas are configured with: waits that are not given suit the network
    /// as well as the cluster's size, as on real nodes.
    pub fn options(&self, cell: &Cell) -> Options {
        let requests = match cell.load {
            Load::Closed { clients } => cell.batch.min(clients),
            Load::Open { .. } => cell.batch,
        };
        let links = Links::of(&self.network, cell.nodes, requests * cell.payload_bytes);
        self.plan.options(cell, &links)
    }
}
