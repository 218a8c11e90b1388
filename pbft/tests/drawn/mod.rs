//! What the drawn histories of one slot have in common, whichever rule they are about: who is faulty, what is random,
//! what was committed, and how many histories it takes to miss a part of the rule.

use kernel::weakening::weaken;
use kernel::{Choose as _, Cluster, ClusterId, Digest, ReplicaId, SeededChoice, Weakening};
use std::collections::BTreeSet;

/// Views that a history goes through.
pub(crate) const VIEWS: u64 = 5;
/// A digest voted for or prepared, and the view.
pub(crate) type Claim = (u64, Digest);

/// Sizes of clusters, in turn by seed.
const SIZES: [u16; 6] = [4, 5, 6, 7, 8, 13];

/// What a history begins with.
pub(crate) struct Drawn {
    pub(crate) cluster: Cluster,
    pub(crate) dice: SeededChoice,
    pub(crate) faulty: BTreeSet<u16>,
    pub(crate) committed: Option<Claim>,
    pub(crate) digests: [Digest; 3],
}

impl Drawn {
    /// That of a seed: its size, and `f` faulty replicas.
    pub(crate) fn of(seed: u64, protocol: &str) -> Drawn {
        let n = SIZES[(seed % 6) as usize];
        let cluster = Cluster::new(ClusterId::derive("histories", 1), protocol, n);
        let mut dice = SeededChoice::new(seed);
        let mut faulty = BTreeSet::new();
        while faulty.len() < cluster.f() {
            faulty.insert(dice.below(u64::from(n)) as u16);
        }
        // Which of two digests is the smaller one must not matter.
        let digests = [0, 1, 2].map(|k: u8| Digest::of(&[k, seed as u8, (seed >> 8) as u8]));
        Drawn { cluster, dice, faulty, committed: None, digests }
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.dice.below(100) < chance
    }

    pub(crate) fn any_digest(&mut self) -> Digest {
        self.digests[self.dice.below(3) as usize]
    }

    pub(crate) fn honest(&self) -> Vec<usize> {
        let honest = self.cluster.replicas().filter(|id| !self.faulty.contains(&id.0));
        honest.map(|id| usize::from(id.0)).collect()
    }

    /// All replicas but some, until so many are left.
    pub(crate) fn some(&mut self, left: usize) -> Vec<ReplicaId> {
        let mut some: Vec<ReplicaId> = self.cluster.replicas().collect();
        while some.len() > left {
            let out = self.dice.below(some.len() as u64) as usize;
            some.remove(out);
        }
        some
    }

    pub(crate) fn commit(&mut self, claim: Claim) -> Result<(), String> {
        match self.committed {
            Some(earlier) if earlier.1 != claim.1 => {
                Err(format!("{} in view {} and {} in view {}", earlier.1, earlier.0, claim.1, claim.0))
            }
            Some(_) => Ok(()),
            None => {
                self.committed = Some(claim);
                Ok(())
            }
        }
    }
}

/// How many histories it takes, from a seed on, until one does not hold without the rule.
pub(crate) fn first_miss(
    rule: Weakening,
    from: u64,
    holds: impl Fn(u64) -> Result<(), String>,
) -> Option<u64> {
    (0..100_000).find(|tried| weaken(rule, || holds(from + tried)).is_err())
}

/// Prints rows of docs/weakenings.md.
pub(crate) fn print_misses(rules: &[Weakening], holds: impl Fn(u64) -> Result<(), String>) {
    for rule in rules {
        let mut tried: Vec<u64> =
            (0..9).filter_map(|k| Some(first_miss(*rule, k << 32, &holds)? + 1)).collect();
        tried.sort_unstable();
        println!("| {rule:?} | histories | {:?} of {tried:?}", tried.get(tried.len() / 2));
    }
}
