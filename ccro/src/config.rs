//! What can be tuned beyond PBFT's settings.

use kernel::{Cluster, Micros, ReplicaId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Settings that all replicas of a cluster share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// PBFT's settings.
    pub pbft: pbft::Config,
    /// Whether a certificate of all `n` votes commits at once.
    pub fast_path: bool,
    /// How long the communication node waits for the last votes, once it has a
    /// quorum of them.
    pub fast_wait: Micros,
    /// How long a replica waits for a slot's certificates before it sends its
    /// votes to all.
    pub fallback_after: Micros,
    /// Which node the commander names.
    pub communication: CommunicationPolicy,
}

/// How the commander chooses the communication node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommunicationPolicy {
    /// Never the commander while `n > 1`; the next in ring order after one that
    /// did not deliver.
    #[default]
    Separate,
    /// Always the commander itself.
    Collocated,
    /// The one that this commander trusts most, of those that are not the
    /// commander (CCRO paper §3.1; see [`crate::TrustTable`]).
    Trust,
    /// Always this one.
    Fixed(ReplicaId),
}

impl Config {
    /// Defaults for `n` replicas on one machine. The waits grow with `n`,
    /// because all replicas share its cores.
    pub fn for_cluster(n: u16) -> Config {
        let pbft = pbft::Config::for_cluster(n);
        let n = u64::from(n);
        Config {
            pbft,
            fast_path: true,
            fast_wait: Micros(2_000 + 1_000 * n),
            fallback_after: Micros(20_000 + 10_000 * n),
            communication: CommunicationPolicy::default(),
        }
    }
}

impl CommunicationPolicy {
    /// The node that `commander` names first.
    pub(crate) fn first(self, cluster: &Cluster, commander: ReplicaId) -> ReplicaId {
        match self {
            CommunicationPolicy::Separate | CommunicationPolicy::Trust => cluster.next(commander),
            CommunicationPolicy::Collocated => commander,
            CommunicationPolicy::Fixed(id) => id,
        }
    }

    /// The node that `commander` names after `failed` did not deliver.
    pub(crate) fn after(self, cluster: &Cluster, commander: ReplicaId, failed: ReplicaId) -> ReplicaId {
        match self {
            CommunicationPolicy::Separate => {
                let next = cluster.next(failed);
                if next == commander { cluster.next(next) } else { next }
            }
            // Trust has its own say: see the replica.
            CommunicationPolicy::Trust | CommunicationPolicy::Collocated | CommunicationPolicy::Fixed(_) => {
                failed
            }
        }
    }
}

/// A policy that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct ParsePolicyError(String);

impl fmt::Display for ParsePolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(f, "unknown policy {text:?}; known: separate, collocated, trust, fixed:ID (such as fixed:2)")
    }
}

impl std::error::Error for ParsePolicyError {}

impl FromStr for CommunicationPolicy {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<CommunicationPolicy, ParsePolicyError> {
        match text {
            "separate" => Ok(CommunicationPolicy::Separate),
            "collocated" => Ok(CommunicationPolicy::Collocated),
            "trust" => Ok(CommunicationPolicy::Trust),
            _ => text
                .strip_prefix("fixed:")
                .and_then(|id| id.parse().ok())
                .map(|id| CommunicationPolicy::Fixed(ReplicaId(id)))
                .ok_or_else(|| ParsePolicyError(text.to_owned())),
        }
    }
}

impl fmt::Display for CommunicationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommunicationPolicy::Separate => f.write_str("separate"),
            CommunicationPolicy::Collocated => f.write_str("collocated"),
            CommunicationPolicy::Trust => f.write_str("trust"),
            CommunicationPolicy::Fixed(id) => write!(f, "fixed:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClusterId;

    #[test]
    fn separate_goes_round_and_leaves_the_commander_out() {
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro", 4);
        let commander = ReplicaId(2);
        let policy = CommunicationPolicy::Separate;
        let mut named = vec![policy.first(&cluster, commander)];
        for _ in 0..4 {
            named.push(policy.after(&cluster, commander, named[named.len() - 1]));
        }
        assert_eq!(named.iter().map(|id| id.0).collect::<Vec<_>>(), [3, 0, 1, 3, 0]);
    }

    #[test]
    fn policies_read_back() {
        for text in ["separate", "collocated", "trust", "fixed:3"] {
            assert_eq!(text.parse::<CommunicationPolicy>().unwrap().to_string(), text);
        }
        assert!("fixed:x".parse::<CommunicationPolicy>().unwrap_err().to_string().contains("separate"));
    }
}
