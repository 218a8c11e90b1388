//! What honest replicas have done, as far as it matters for safety, and what
//! must hold of it. Read from marks; calls nothing of what it judges.

use kernel::{Digest, Mark, Seq, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// What one replica decided and executed. It only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Slots decided, by digest. A set, so that a replica that contradicts itself
    /// is seen.
    pub decided: BTreeSet<(Seq, Digest)>,
    /// Slots executed or taken over, with the chain over all digests up to them.
    pub executed: BTreeSet<(Seq, Digest)>,
    /// Requests executed, in order.
    pub applied: Vec<(Seq, SessionId, u64)>,
}

impl History {
    /// Notes a mark, if it is about a decision.
    pub(crate) fn note(&mut self, mark: &Mark) {
        match mark {
            Mark::Committed { seq, digest, .. } => {
                self.decided.insert((*seq, *digest));
            }
            Mark::Executed { seq, chain, .. } | Mark::StateAdopted { seq, chain } => {
                self.executed.insert((*seq, *chain));
            }
            Mark::Applied { seq: Some(seq), session, counter } => {
                self.applied.push((*seq, *session, *counter))
            }
            _ => {}
        }
    }

    fn requests_of(&self, seq: Seq) -> Vec<(SessionId, u64)> {
        let of_slot = self.applied.iter().filter(|applied| applied.0 == seq);
        of_slot.map(|(_, session, counter)| (*session, *counter)).collect()
    }
}

/// Agreement: one digest, one chain and one list of requests for each slot, over
/// all replicas.
pub fn agree<'a>(histories: impl Iterator<Item = &'a History>) -> bool {
    let (mut decided, mut executed, mut requests) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for history in histories {
        let same = |first: &mut BTreeMap<Seq, Digest>, entry: &(Seq, Digest)| {
            *first.entry(entry.0).or_insert(entry.1) == entry.1
        };
        let agrees = history.decided.iter().all(|entry| same(&mut decided, entry))
            && history.executed.iter().all(|entry| same(&mut executed, entry))
            && history.applied.iter().all(|(seq, ..)| {
                let own = history.requests_of(*seq);
                *requests.entry(*seq).or_insert_with(|| own.clone()) == own
            });
        if !agrees {
            return false;
        }
    }
    true
}

/// Validity: a replica executes only what was asked for, each request at most
/// once.
pub fn is_valid(history: &History, asked: &BTreeSet<(SessionId, u64)>) -> bool {
    let mut seen = BTreeSet::new();
    history.applied.iter().all(|(_, session, counter)| {
        asked.contains(&(*session, *counter)) && seen.insert((*session, *counter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ReplicaId;

    fn session(number: u64) -> SessionId {
        SessionId { gateway: ReplicaId(0), number }
    }

    #[test]
    fn disagreement_is_seen_between_replicas_and_within_one() {
        let (a, b) = ((Seq(1), Digest::of(b"a")), (Seq(1), Digest::of(b"b")));
        let decided = |entries: &[(Seq, Digest)]| History {
            decided: entries.iter().copied().collect(),
            ..History::default()
        };
        assert!(agree([decided(&[a]), decided(&[a]), decided(&[])].iter()));
        assert!(!agree([decided(&[a]), decided(&[b])].iter()));
        assert!(!agree([decided(&[a, b])].iter()));
        let executed = |entry| History { executed: [entry].into(), ..History::default() };
        assert!(!agree([executed(a), executed(b)].iter()));
        let applied = |number| History { applied: vec![(Seq(1), session(number), 1)], ..History::default() };
        assert!(agree([applied(1), applied(1)].iter()));
        assert!(!agree([applied(1), applied(2)].iter()));
    }

    #[test]
    fn what_nobody_asked_for_and_what_is_done_twice_is_not_valid() {
        let asked = [(session(1), 1)].into();
        let applied = |entries: &[(u64, u64)]| History {
            applied: entries.iter().map(|(slot, number)| (Seq(*slot), session(*number), 1)).collect(),
            ..History::default()
        };
        assert!(is_valid(&applied(&[(1, 1)]), &asked));
        assert!(!is_valid(&applied(&[(1, 2)]), &asked));
        assert!(!is_valid(&applied(&[(1, 1), (2, 1)]), &asked));
    }
}
