//! How many replicas there are, and how many of them make a quorum.

use crate::ids::{ClusterId, ReplicaId, View};
use crate::weakening::{Weakening, weakened};
use serde::{Deserialize, Serialize};

/// Identity and size of a cluster. Every signed statement is bound to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cluster {
    /// Tells this cluster from all others.
    pub id: ClusterId,
    /// The flow's name: `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Number of replicas, at least 1.
    pub n: u16,
    /// Number of clients with keys of their own. Their ids follow the replicas':
    /// `n .. n + clients`.
    #[serde(default)]
    pub clients: u16,
}

/// How a replica knows who says what another one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Proposals, votes and replies are signed: what one replica was told, it can show to others.
    Signatures,
    /// Proposals, votes and replies are believed because of the link that they come on, whose frames carry
    /// tags under a key that only its two ends have (message authentication codes). They prove nothing to others.
    Tags,
}

/// The flow whose votes are authenticated by tags, …
const TAGGED: &str = "pbft-mac";
/// … and the one whose requests are as well.
const TAGGED_WITH_REQUESTS: &str = "pbft-mac-requests";
/// The flow whose PREPAREs and COMMITs are shares.
const SHARED: &str = "ccro-aggregate";

impl Cluster {
    /// A cluster of `n` replicas running `protocol`, without clients that have keys.
    pub fn new(id: ClusterId, protocol: &str, n: u16) -> Cluster {
        assert!(n > 0, "a cluster has at least one replica");
        Cluster { id, protocol: protocol.to_owned(), n, clients: 0 }
    }

    /// The same cluster with so many clients that have keys.
    pub fn with_clients(self, clients: u16) -> Cluster {
        assert!(clients <= u16::MAX - self.n, "the ids of replicas and clients fit into 16 bits");
        Cluster { clients, ..self }
    }

    /// How the flow's replicas know who says what: it follows from the flow's name, which every vote that is signed is
    /// bound to.
    pub fn authentication(&self) -> Authentication {
        match self.protocol.as_str() {
            TAGGED | TAGGED_WITH_REQUESTS => Authentication::Tags,
            _ => Authentication::Signatures,
        }
    }

    /// Whether votes are authenticated by tags, see [`Authentication::Tags`].
    pub fn has_tags(&self) -> bool {
        self.authentication() == Authentication::Tags
    }

    /// Whether a bundle of requests has a tag for each replica, see [`crate::Authenticator::Tags`], and no signature.
    pub fn requests_have_tags(&self) -> bool {
        self.protocol == TAGGED_WITH_REQUESTS
    }

    /// Whether PREPAREs and COMMITs are shares, see [`crate::shares`], and certificates have sums of them.
    pub fn has_shares(&self) -> bool {
        has_shares(&self.protocol)
    }

    /// Faults tolerated: `⌊(n−1)/3⌋`.
    pub fn f(&self) -> usize {
        max_faulty(self.n)
    }

    /// Replicas in a quorum, see [`quorum`].
    pub fn quorum(&self) -> usize {
        quorum(self.n)
    }

    /// `f+1` replicas: at least one of them is honest.
    pub fn weak_quorum(&self) -> usize {
        self.f() + 1
    }

    /// The view's leader: `view mod n`.
    pub fn commander(&self, view: View) -> ReplicaId {
        ReplicaId((view.0 % u64::from(self.n)) as u16)
    }

    /// All replicas in order.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.n).map(ReplicaId)
    }

    /// Whether `id` is one of this cluster's replicas. Nobody else votes, proposes or
    /// serves anything.
    pub fn contains(&self, id: ReplicaId) -> bool {
        id.0 < self.n
    }

    /// Whether `id` is a client's.
    pub fn is_client(&self, id: ReplicaId) -> bool {
        !self.contains(id) && self.may_submit(id)
    }

    /// Whether `id` may own sessions and sign bundles of requests: a replica, whose
    /// gateway does so for its clients, or a client.
    pub fn may_submit(&self, id: ReplicaId) -> bool {
        usize::from(id.0) < self.submitters()
    }

    /// How many may own sessions: replicas and clients.
    pub fn submitters(&self) -> usize {
        usize::from(self.n) + usize::from(self.clients)
    }

    /// The replica after `id` in ring order.
    pub fn next(&self, id: ReplicaId) -> ReplicaId {
        ReplicaId((id.0 + 1) % self.n)
    }
}

/// Whether the PREPAREs and COMMITs of this flow are shares.
pub fn has_shares(protocol: &str) -> bool {
    protocol == SHARED
}

/// Faults that `n` replicas tolerate: `⌊(n−1)/3⌋`.
pub fn max_faulty(n: u16) -> usize {
    (usize::from(n).saturating_sub(1)) / 3
}

/// Replicas in a quorum of `n`: `⌈(n+f+1)/2⌉`. Any two quorums share an honest
/// replica for every `n`, and all honest replicas together make one.
pub fn quorum(n: u16) -> usize {
    let quorum = (usize::from(n) + max_faulty(n) + 1).div_ceil(2);
    quorum - usize::from(weakened(Weakening::QuorumOneLess))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(n: u16) -> Cluster {
        Cluster::new(ClusterId([0; 16]), "pbft", n)
    }

    #[test]
    fn sizes_of_small_clusters() {
        // (n, f, quorum) by hand; 5 and 6 are where 2f+1 would be wrong.
        for (n, f, quorum) in [
            (1, 0, 1),
            (2, 0, 2),
            (3, 0, 2),
            (4, 1, 3),
            (5, 1, 4),
            (6, 1, 4),
            (7, 2, 5),
            (10, 3, 7),
            (13, 4, 9),
            (31, 10, 21),
        ] {
            assert_eq!((cluster(n).f(), cluster(n).quorum()), (f, quorum), "n = {n}");
        }
    }

    #[test]
    fn any_two_quorums_share_an_honest_replica_and_the_honest_are_enough() {
        for n in 1..=500 {
            let (n, f, q) = (usize::from(n), cluster(n).f(), cluster(n).quorum());
            assert!(2 * q > n + f, "n = {n}");
            assert!(q <= n - f, "n = {n}");
        }
    }

    #[test]
    fn clients_follow_the_replicas_and_are_none() {
        let with_clients = cluster(4).with_clients(2);
        let of = |id: u16| {
            let id = ReplicaId(id);
            (with_clients.contains(id), with_clients.is_client(id), with_clients.may_submit(id))
        };
        assert_eq!((of(3), of(4), of(5)), ((true, false, true), (false, true, true), (false, true, true)));
        assert_eq!((of(6), of(u16::MAX)), ((false, false, false), (false, false, false)));
        assert_eq!((with_clients.f(), with_clients.quorum()), (cluster(4).f(), cluster(4).quorum()));
        assert_eq!(with_clients.replicas().count(), 4);
        assert!(!cluster(4).may_submit(ReplicaId(4)));
    }

    #[test]
    fn the_commander_goes_round() {
        let cluster = cluster(4);
        let commanders: Vec<u16> = (0..6).map(|v| cluster.commander(View(v)).0).collect();
        assert_eq!(commanders, [0, 1, 2, 3, 0, 1]);
    }
}
