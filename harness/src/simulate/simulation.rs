//! What is to be simulated.

use std::ops::Range;

use anyhow::Result;
use sim::{Costs, Network};

use crate::plan::{Cell, Options, Plan};

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
}

impl Simulation {
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
