//! Who does what in a round.

use crate::trust::TrustTable;
use kernel::{Cluster, ReplicaId};
use serde::{Deserialize, Serialize};

/// Which run of a round it is. Attempts of one round are ordered: a later commander
/// before a later communication node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// How many commanders of the round were found down.
    pub takeovers: u16,
    /// How many communication nodes this commander found down.
    pub replacements: u16,
}

impl Attempt {
    /// The next, with another communication node.
    pub(super) fn replaced(self) -> Attempt {
        Attempt { replacements: self.replacements.saturating_add(1), ..self }
    }

    /// The next, with another commander.
    pub(super) fn taken_over(self) -> Attempt {
        Attempt { takeovers: self.takeovers.saturating_add(1), replacements: 0 }
    }

    /// How many nodes were found down.
    pub(super) fn failures(self) -> u32 {
        u32::from(self.takeovers) + u32::from(self.replacements)
    }
}

/// The two nodes of a round that are no consensus nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Roles {
    pub(super) commander: ReplicaId,
    pub(super) communication_node: ReplicaId,
}

impl Roles {
    /// Whether `id` votes and replies.
    pub(super) fn is_consensus_node(self, id: ReplicaId) -> bool {
        id != self.commander && id != self.communication_node
    }
}

/// From this trust on a node's vote counts (CCRO paper §3.1). The floors of
/// commander (9) and communication node (8) need no mention here: above and below
/// them it is the highest trust that is taken.
const CONSENSUS_FLOOR: u16 = 4_000;

/// The nodes in the order of trust, from which the roles of a round follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Ranking {
    order: Vec<ReplicaId>,
    below_floor: Vec<ReplicaId>,
}

impl Ranking {
    pub(super) fn new(trust: &TrustTable, cluster: &Cluster) -> Ranking {
        let order = trust.ranking(cluster);
        let below_floor = cluster.replicas().filter(|id| trust.of(*id) < CONSENSUS_FLOOR).collect();
        Ranking { order, below_floor }
    }

    /// The commander is the first that was not found down, the communication node
    /// the next after it that was not; both go round when all were.
    pub(super) fn roles(&self, attempt: Attempt) -> Roles {
        let n = self.order.len();
        let commander = usize::from(attempt.takeovers);
        let replaced = usize::from(attempt.replacements) % (n - 1).max(1);
        Roles {
            commander: self.order[commander % n],
            communication_node: self.order[(commander + 1 + replaced) % n],
        }
    }

    /// Nodes that were found down before `attempt` and have no such role in it.
    pub(super) fn found_down(&self, attempt: Attempt) -> Vec<ReplicaId> {
        let n = self.order.len() as u16;
        let commanders = (0..attempt.takeovers.min(n))
            .map(|takeovers| self.roles(Attempt { takeovers, replacements: 0 }).commander);
        let communication_nodes = (0..attempt.replacements.min(n))
            .map(|replacements| self.roles(Attempt { replacements, ..attempt }).communication_node);
        let roles = self.roles(attempt);
        commanders.chain(communication_nodes).filter(|id| roles.is_consensus_node(*id)).collect()
    }

    /// Whether a consensus node's PREPARE and REPLY count: while enough others
    /// reach the floor, not below it. A rerun needs whom it can get.
    pub(super) fn counts(&self, id: ReplicaId, attempt: Attempt, needed: usize) -> bool {
        if attempt != Attempt::default() || self.below_floor.is_empty() {
            return true;
        }
        let roles = self.roles(attempt);
        let reaches = |id: &ReplicaId| roles.is_consensus_node(*id) && !self.below_floor.contains(id);
        !self.below_floor.contains(&id) || self.order.iter().filter(|id| reaches(id)).count() < needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Answer;
    use kernel::{ClusterId, Micros};

    fn attempt(takeovers: u16, replacements: u16) -> Attempt {
        Attempt { takeovers, replacements }
    }

    fn ranking(answers: &[Answer]) -> Ranking {
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro-paper", 5);
        Ranking::new(&TrustTable::default().updated(answers), &cluster)
    }

    #[test]
    fn roles_go_down_the_ranking_and_round() {
        let ranking = ranking(&[]);
        let roles = |t, r| {
            let roles = ranking.roles(attempt(t, r));
            (roles.commander.0, roles.communication_node.0)
        };
        assert_eq!(
            (0..6).map(|r| roles(0, r)).collect::<Vec<_>>(),
            [(0, 1), (0, 2), (0, 3), (0, 4), (0, 1), (0, 2)]
        );
        assert_eq!(
            (0..6).map(|t| roles(t, 0)).collect::<Vec<_>>(),
            [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 1)]
        );
        assert_eq!((roles(1, 3), roles(4, 3)), ((1, 0), (4, 3)));
    }

    #[test]
    fn whoever_had_a_role_before_was_found_down() {
        let ranking = ranking(&[]);
        let down = |t, r| ranking.found_down(attempt(t, r)).iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(down(0, 0), [] as [u16; 0]);
        assert_eq!(down(0, 2), [1, 2]);
        assert_eq!(down(2, 1), [0, 1, 3]);
        assert_eq!(down(0, 4), [2, 3, 4], "it is node 1's turn again");
    }

    #[test]
    fn below_the_floor_a_vote_counts_only_when_it_is_needed() {
        let good = Answer::Given { right: true, after: Micros(1) };
        // 0 and 1 are commander and communication node; 3 and 4 reach the floor.
        let ranking = ranking(&[good, good, Answer::Missing, good, good]);
        assert_eq!(ranking.roles(attempt(0, 0)).communication_node, ReplicaId(1));
        let counts = |id, at, needed| ranking.counts(ReplicaId(id), at, needed);
        assert!(!counts(2, attempt(0, 0), 2));
        assert!(counts(3, attempt(0, 0), 2));
        assert!(counts(2, attempt(0, 0), 3), "too few reach the floor");
        assert!(counts(2, attempt(0, 1), 2), "in a rerun all count");
    }
}
