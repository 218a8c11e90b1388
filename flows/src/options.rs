//! What replicas are configured with.

use crate::waits::Waits;
use ccro::CommunicationPolicy;
use kernel::Micros;
use serde::{Deserialize, Serialize};

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
    pub communication: CommunicationPolicy,
    /// A checkpoint every so many slots, or batches of secure broadcast; none: as often as suits real clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_interval: Option<u64>,
    /// Secure broadcast: so many nodes are members at first; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u16>,
}

impl Options {
    /// PBFT's settings in a cluster of `n` nodes.
    pub fn pbft(&self, n: u16) -> pbft::Config {
        let defaults = pbft::Config::for_cluster(n);
        pbft::Config {
            checkpoint_interval: self.checkpoint_interval.unwrap_or(defaults.checkpoint_interval),
            batch_max: self.batch_max,
            window: self.window,
            request_after: Micros(self.waits.request_after_us),
            resend_after: Micros(self.waits.resend_after_us),
            ..defaults
        }
    }

    /// CCRO's settings in a cluster of `n` nodes.
    pub fn ccro(&self, n: u16) -> ccro::Config {
        ccro::Config {
            pbft: self.pbft(n),
            fast_path: self.fast_path,
            fast_wait: Micros(self.waits.fast_wait_us),
            fallback_after: Micros(self.waits.fallback_after_us),
            communication: self.communication,
        }
    }

    /// Secure broadcast's settings.
    pub fn broadcast(&self) -> broadcast::Config {
        let defaults = broadcast::Config::default();
        broadcast::Config {
            batch_max: self.batch_max,
            resend_after: Micros(self.waits.resend_after_us),
            checkpoint_interval: self.checkpoint_interval.unwrap_or(defaults.checkpoint_interval),
            members: self.members.unwrap_or(defaults.members),
        }
    }
}
