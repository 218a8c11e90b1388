//! The swarm: from a seed it draws a cluster, its settings, faults within `f`,
//! a network and clients; runs them; heals the network; and demands that nothing
//! went wrong and that everything comes to an end.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`schedule`] | all that one run is made of, as a file |
//! | [`mod@draw`] | a schedule from a seed |
//! | [`mod@play`] | runs a schedule and judges it |
//! | [`mod@shrink`] | a smaller schedule that breaks the same property |
//! | [`search`] | many seeds on many threads |

pub mod draw;
pub mod play;
pub mod schedule;
pub mod search;
pub mod shrink;

pub use draw::{Disks, draw};
pub use play::{Verdict, inspect, play, record, watch};
pub use schedule::{BadSchedule, Schedule, Settings};
pub use search::{Finding, Search};
pub use shrink::shrink;

use crate::setup::Memory;
use kernel::{Digest, ReplicaId};

/// What the swarm needs to know of a flow, and may not depend on.
pub struct Flow<P> {
    /// Its name.
    pub name: &'static str,
    /// Makes a replica of a cluster of this size.
    pub make: fn(&Settings, u16, Memory) -> P,
    /// Slots that a replica keeps, and votes in them.
    pub kept: fn(&P) -> (usize, usize),
    /// Bytes that a replica keeps of a state on its way.
    pub transferred: fn(&P) -> u64,
    /// Digest of a replica's state.
    pub state: fn(&P) -> Digest,
    /// What must hold of a replica's state, whenever it is looked at; else what is wrong with it. The second number is
    /// that of the nodes.
    pub holds: fn(&P, u16) -> Result<(), String>,
    /// What a client of a gateway asks for, made of a few bytes that differ, in a cluster of so many nodes.
    pub ask: fn(ReplicaId, u16, &[u8]) -> Vec<u8>,
    /// Whether it orders all requests; else those of each gateway alone.
    pub is_total_order: bool,
    /// Faulty nodes that it tolerates among so many.
    pub tolerates: fn(u16) -> usize,
    /// Whether it promises to keep its word whatever those nodes do. Else it
    /// promises something only where nothing fails at all.
    pub withstands_faults: bool,
}

impl<P> Clone for Flow<P> {
    fn clone(&self) -> Flow<P> {
        *self
    }
}

impl<P> Copy for Flow<P> {}

impl<P> Flow<P> {
    /// Whether this flow's promises cover a schedule.
    pub fn must_hold(&self, schedule: &Schedule) -> bool {
        self.withstands_faults || schedule.is_benign()
    }
}
