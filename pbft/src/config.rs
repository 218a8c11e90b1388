//! What can be tuned.

use kernel::Micros;
use serde::{Deserialize, Serialize};

/// Settings that all replicas of a cluster share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Most requests that one slot orders.
    pub batch_max: usize,
    /// Most payload bytes that one slot orders, beyond its first bundle.
    pub batch_bytes_max: usize,
    /// Most slots that the commander has in flight.
    pub window: u64,
    /// `K`: a checkpoint every so many slots; the watermarks are `2K` apart.
    pub checkpoint_interval: u64,
    /// A checkpoint also after so many payload bytes, whatever the slots: so
    /// that large requests do not fill the memory.
    pub checkpoint_bytes: usize,
    /// The request timer (ADR 9): how long a replica waits for the execution of a request
    /// that it knows of before it asks for another commander.
    pub request_after: Micros,
    /// A commander is late that lets requests wait, with nothing in flight, for longer than
    /// this part of the request timer ([`crate::pace`]): 8 stands for an eighth, 0 for never.
    pub late_share: u64,
    /// How long nothing may be executed, with work at hand, before a replica
    /// sends its votes again.
    pub resend_after: Micros,
}

impl Config {
    /// Defaults for `n` replicas on one machine. The waits grow with `n`, because
    /// all replicas share its cores. The request timer is several times what a
    /// decision takes through every fallback, and small enough that a new commander
    /// of four replicas serves within a second. Checkpoints come more often in large
    /// clusters, as a NEW-VIEW carries up to `2K` certificates of each of `q` replicas.
    pub fn for_cluster(n: u16) -> Config {
        let n = u64::from(n);
        Config {
            batch_max: 256,
            batch_bytes_max: 8 << 20,
            window: 4,
            checkpoint_interval: (2048 / n).clamp(16, 128),
            checkpoint_bytes: 16 << 20,
            request_after: Micros(200_000 + 50_000 * n),
            late_share: 8,
            resend_after: Micros(100_000 + 20_000 * n),
        }
    }
}
