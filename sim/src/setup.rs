//! What a world is made of.

use crate::costs::Costs;
use crate::disk::{Disk, DiskFault};
use crate::network::Network;
use adversary::Behaviour;
use kernel::Cluster;

/// What a world is made of; [`Setup::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cluster.
    pub cluster: Cluster,
    /// Everything random comes from it.
    pub seed: u64,
    /// What happens to messages in transit.
    pub network: Network,
    /// Matching replies on which a client accepts a result.
    pub replies_needed: usize,
    /// Replicas that misbehave from the start, and how.
    pub faults: Vec<(u16, Vec<Behaviour>)>,
    /// What signatures are made of.
    pub signatures: Signatures,
    /// What work costs.
    pub costs: Costs,
    /// Whether all marks are kept in the trace.
    pub record: bool,
    /// Most requests that a gateway puts into one bundle, of those that its clients
    /// asked for while it was busy.
    pub bundle_max: usize,
    /// Whether every result begins with the request's place in the log, as those of
    /// `apps::OpaqueLog` do: no two are equal then, which is judged.
    pub results_are_places: bool,
    /// After how long without an answer a gateway hands a request to its replica again,
    /// in microseconds; each further time after twice as long.
    pub remind_after_us: u64,
    /// The disks, on which every node keeps a journal. None: a replica that crashes loses its memory.
    pub disk: Option<Disk>,
    /// Disks that have something wrong, by node.
    pub disk_faults: Vec<(u16, DiskFault)>,
}

/// What signatures are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Keyed hashes: unforgeable here, because nobody is lent another's key.
    #[default]
    Symbolic,
    /// The real ones.
    Ed25519,
}

/// How a replica begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// For the first time.
    Fresh,
    /// Again, without what it knew.
    Lost,
}

impl Setup {
    /// No faults, a network with a constant delay of 100 microseconds, symbolic
    /// signatures, work that costs nothing, no disks, no record; a client accepts on `f+1`
    /// replies.
    pub fn new(cluster: Cluster, seed: u64) -> Setup {
        Setup {
            replies_needed: cluster.weak_quorum(),
            cluster,
            seed,
            network: Network::default(),
            faults: Vec::new(),
            signatures: Signatures::default(),
            costs: Costs::default(),
            record: false,
            bundle_max: 256,
            results_are_places: true,
            remind_after_us: 1_000_000,
            disk: None,
            disk_faults: Vec::new(),
        }
    }
}
