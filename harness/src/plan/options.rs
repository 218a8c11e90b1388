//! What replicas are configured with.

use kernel::{Micros, ReplicaId};
use serde::{Deserialize, Serialize};

use super::protocols::Communication;
use super::waits::Waits;

/// What a replica is configured with, beside its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Most requests that one slot orders.
    pub batch_max: usize,
    /// Most slots in flight.
    pub window: u64,
    /// Whether CCRO tries its fast path.
    pub fast_path: bool,
    /// How long it waits for what.
    pub waits: Waits,
    /// Who collects CCRO's votes.
    pub communication: Communication,
}

impl Options {
    /// PBFT's settings in a cluster of `n` nodes.
    pub fn pbft(&self, n: u16) -> pbft::Config {
        pbft::Config {
            batch_max: self.batch_max,
            window: self.window,
            request_after: Micros(self.waits.request_after_us),
            resend_after: Micros(self.waits.resend_after_us),
            ..pbft::Config::for_cluster(n)
        }
    }

    /// CCRO's settings in a cluster of `n` nodes.
    pub fn ccro(&self, n: u16) -> ccro::Config {
        ccro::Config {
            pbft: self.pbft(n),
            fast_path: self.fast_path,
            fast_wait: Micros(self.waits.fast_wait_us),
            fallback_after: Micros(self.waits.fallback_after_us),
            communication: self.communication.into(),
        }
    }
}

impl From<Communication> for ccro::CommunicationPolicy {
    fn from(communication: Communication) -> ccro::CommunicationPolicy {
        match communication {
            Communication::Separate => ccro::CommunicationPolicy::Separate,
            Communication::Collocated => ccro::CommunicationPolicy::Collocated,
            Communication::Trust => ccro::CommunicationPolicy::Trust,
            Communication::Fixed(id) => ccro::CommunicationPolicy::Fixed(ReplicaId(id)),
        }
    }
}
