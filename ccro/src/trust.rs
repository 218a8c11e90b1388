//! Trust in nodes (CCRO paper §3.1), as far as it can be reconstructed.
//!
//! The paper gives the start value 5, the range 1 to 10, three weights 0.4, 0.2
//! and 0.4, and ±1.2 by response-time quintile; not the formula that they belong
//! to. **This formula is ours**:
//!
//! `T' = 0.4·T + 0.2·B + 0.4·R`, where
//!
//! * `T` is the trust before;
//! * `B`, behaviour, is 10 if the node's answer was the decided one, 1 if it was
//!   another or is missing;
//! * `R`, response, is `T` moved by the answer's quintile among all response times
//!   (+1.2 for the fastest fifth, then +0.6, 0, −0.6, −1.2; −1.2 if missing) and
//!   kept within 1 to 10.
//!
//! Equal times share the better place. All is counted in thousandths, rounded half
//! up, so that every machine gets the same numbers.

use kernel::{Cluster, Micros, ReplicaId};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What every node starts with, in thousandths.
const START: u16 = 5_000;
const LEAST: u16 = 1_000;
const MOST: u16 = 10_000;
/// What response moves, by quintile, the fastest first.
const BY_QUINTILE: [i32; 5] = [1_200, 600, 0, -600, -1_200];

/// Trust per node in thousandths, by id. A node that is not in it has the start
/// value, so an empty table is that of a cluster that has not measured anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrustTable(Vec<u16>);

/// What became of one node's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nobody looked: the trust stays.
    Unobserved,
    /// It did not come.
    Missing,
    /// It came.
    Given {
        /// It was the decided one.
        right: bool,
        /// How long it took.
        after: Micros,
    },
}

impl TrustTable {
    /// The trust in one node, in thousandths.
    pub fn of(&self, id: ReplicaId) -> u16 {
        self.0.get(usize::from(id.0)).copied().unwrap_or(START)
    }

    /// The trust in every node of the cluster, by id.
    pub fn all(&self, cluster: &Cluster) -> Vec<u16> {
        cluster.replicas().map(|id| self.of(id)).collect()
    }

    /// Whether it can be a table of this cluster.
    pub(crate) fn is_well_formed(&self, cluster: &Cluster) -> bool {
        (self.0.is_empty() || self.0.len() == usize::from(cluster.n))
            && self.0.iter().all(|trust| (LEAST..=MOST).contains(trust))
    }

    /// The table after one more round; `answers` are by id.
    pub(crate) fn updated(&self, answers: &[Answer]) -> TrustTable {
        let mut times: Vec<Micros> = answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Given { after, .. } => Some(*after),
                _ => None,
            })
            .collect();
        times.sort_unstable();
        let score = |(id, answer): (u16, &Answer)| {
            let trust = self.of(ReplicaId(id));
            match answer {
                Answer::Unobserved => trust,
                Answer::Missing => scored(trust, false, BY_QUINTILE[4]),
                Answer::Given { right, after } => {
                    let faster = times.partition_point(|time| time < after);
                    scored(trust, *right, BY_QUINTILE[faster * BY_QUINTILE.len() / times.len()])
                }
            }
        };
        TrustTable((0..).zip(answers).map(score).collect())
    }

    /// The table after one node alone was measured, as communication node: its
    /// answer is placed among the last `times` of all nodes that were.
    pub(crate) fn updated_for(
        &self,
        cluster: &Cluster,
        times: &BTreeMap<ReplicaId, Micros>,
        (id, answer): (ReplicaId, Answer),
    ) -> TrustTable {
        let given = |other: ReplicaId| {
            times.get(&other).map_or(Answer::Unobserved, |after| Answer::Given { right: true, after: *after })
        };
        let of = |other: ReplicaId| if other == id { answer } else { given(other) };
        let answers: Vec<Answer> = cluster.replicas().map(of).collect();
        let mut trust = self.all(cluster);
        trust[usize::from(id.0)] = self.updated(&answers).of(id);
        TrustTable(trust)
    }

    /// All nodes of the cluster: the highest trust first, among equals the lowest
    /// id.
    pub(crate) fn ranking(&self, cluster: &Cluster) -> Vec<ReplicaId> {
        let mut ranking: Vec<ReplicaId> = cluster.replicas().collect();
        ranking.sort_by_key(|id| (Reverse(self.of(*id)), *id));
        ranking
    }
}

fn scored(trust: u16, right: bool, by: i32) -> u16 {
    let trust = i32::from(trust);
    let behaviour = i32::from(if right { MOST } else { LEAST });
    let response = (trust + by).clamp(i32::from(LEAST), i32::from(MOST));
    let sum = (4 * trust + 2 * behaviour + 4 * response + 5) / 10;
    u16::try_from(sum).expect("a mean of values in range is in range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClusterId;

    fn given(after: u64) -> Answer {
        Answer::Given { right: true, after: Micros(after) }
    }

    fn wrong(after: u64) -> Answer {
        Answer::Given { right: false, after: Micros(after) }
    }

    #[test]
    fn one_round_by_hand() {
        let start = TrustTable::default();
        // Times 10 to 50: one node in each quintile. 0.4·5 + 0.2·10 + 0.4·(5 ± …).
        let answers = [given(30), given(10), given(50), given(20), given(40)];
        assert_eq!(start.updated(&answers).0, [6_000, 6_480, 5_520, 6_240, 5_760]);
        // Missing: 0.4·5 + 0.2·1 + 0.4·3.8; wrong and alone, so fastest: 2 + 0.2 + 0.4·6.2.
        assert_eq!(start.updated(&[Answer::Missing, wrong(9)]).0, [3_720, 4_680]);
        assert_eq!(start.updated(&[Answer::Unobserved]).0, [5_000]);
    }

    #[test]
    fn equal_times_share_the_better_place() {
        // Ranks 0, 1, 1, 3 of four: quintiles 0, 1, 1, 3.
        let answers = [given(0), given(7), given(7), given(9)];
        assert_eq!(TrustTable::default().updated(&answers).0, [6_480, 6_240, 6_240, 5_760]);
        assert_eq!(TrustTable::default().updated(&[given(3); 3]).0, [6_480; 3]);
    }

    #[test]
    fn trust_stays_within_1_and_10() {
        let table = TrustTable(vec![9_500, 1_500]);
        // 3.8 + 2 + 0.4·10 and 0.6 + 0.2 + 0.4·1.
        assert_eq!(table.updated(&[given(1), Answer::Missing]).0, [9_800, 1_200]);
        let mut table = TrustTable::default();
        for _ in 0..200 {
            table = table.updated(&[given(1), Answer::Missing]);
        }
        assert_eq!(table.0, [10_000, 1_000]);
    }

    #[test]
    fn thousandths_are_rounded_half_up() {
        // 0.4·5.004 + 2 + 0.4·6.204 = 6.4832; with 5.001: 6.4808.
        let table = TrustTable(vec![5_004, 5_001]);
        assert_eq!(table.updated(&[given(1), given(1)]).0, [6_483, 6_481]);
    }

    #[test]
    fn the_highest_trust_comes_first_then_the_lowest_id() {
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro-paper", 5);
        let order = |table: TrustTable| table.ranking(&cluster).iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(order(TrustTable::default()), [0, 1, 2, 3, 4]);
        assert_eq!(order(TrustTable(vec![3_720, 5_000, 8_000, 5_000, 9_000])), [4, 2, 1, 3, 0]);
    }

    #[test]
    fn a_node_measured_alone_is_placed_among_the_others_last_times() {
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro", 3);
        let start = TrustTable::default();
        let times = BTreeMap::from([(ReplicaId(0), Micros(10))]);
        // Slower than the only other one: rank 1 of 2, third quintile.
        assert_eq!(start.updated_for(&cluster, &times, (ReplicaId(2), given(20))).0, [5_000, 5_000, 6_000]);
        assert_eq!(start.updated_for(&cluster, &times, (ReplicaId(2), given(5))).0, [5_000, 5_000, 6_480]);
        let missing = start.updated_for(&cluster, &times, (ReplicaId(0), Answer::Missing));
        assert_eq!(missing.0, [3_720, 5_000, 5_000]);
    }

    #[test]
    fn a_table_of_another_size_or_out_of_range_is_refused() {
        let cluster = Cluster::new(ClusterId([0; 16]), "ccro-paper", 2);
        assert!(TrustTable::default().is_well_formed(&cluster));
        assert!(TrustTable(vec![1_000, 10_000]).is_well_formed(&cluster));
        for bad in [vec![5_000], vec![999, 5_000], vec![5_000, 10_001]] {
            assert!(!TrustTable(bad).is_well_formed(&cluster));
        }
    }
}
