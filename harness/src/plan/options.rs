//! What replicas are configured with.

use kernel::{Micros, ReplicaId};
use serde::{Deserialize, Serialize};

use super::protocols::Communication;

/// What a replica is configured with, beside its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Most requests that one slot orders.
    pub batch_max: usize,
    /// Most slots in flight.
    pub window: u64,
    /// Whether CCRO tries its fast path.
    pub fast_path: bool,
    /// How long the communication node waits for all votes, microseconds; if
    /// `None`, what suits the cluster's size.
    pub fast_wait_us: Option<u64>,
    /// After how long a replica sends its votes to all, microseconds; if `None`,
    /// what suits the cluster's size.
    pub fallback_after_us: Option<u64>,
    /// The request timer, microseconds; if `None`, what suits the cluster's size.
    pub request_after_us: Option<u64>,
    /// After how long without progress a replica sends its votes again,
    /// microseconds; if `None`, what suits the cluster's size.
    pub resend_after_us: Option<u64>,
    /// Who collects CCRO's votes.
    pub communication: Communication,
}

impl Options {
    /// PBFT's settings in a cluster of `n` nodes.
    pub fn pbft(&self, n: u16) -> pbft::Config {
        let defaults = pbft::Config::for_cluster(n);
        pbft::Config {
            batch_max: self.batch_max,
            window: self.window,
            request_after: self.request_after_us.map_or(defaults.request_after, Micros),
            resend_after: self.resend_after_us.map_or(defaults.resend_after, Micros),
            ..defaults
        }
    }

    /// CCRO's settings in a cluster of `n` nodes.
    pub fn ccro(&self, n: u16) -> ccro::Config {
        let defaults = ccro::Config::for_cluster(n);
        ccro::Config {
            pbft: self.pbft(n),
            fast_path: self.fast_path,
            fast_wait: self.fast_wait_us.map_or(defaults.fast_wait, Micros),
            fallback_after: self.fallback_after_us.map_or(defaults.fallback_after, Micros),
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
