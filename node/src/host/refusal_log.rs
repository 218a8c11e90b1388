//! Log lines about refusals: so many may come that each kind gets a line only once in a
//! while.

use std::collections::BTreeMap;

/// Between two lines about one kind, in nanoseconds.
const EVERY_NS: u64 = 10_000_000_000;

/// Which kinds were told when.
#[derive(Debug)]
pub(super) struct RefusalLog<K>(BTreeMap<K, Told>);

#[derive(Debug)]
struct Told {
    at_ns: u64,
    not_told: u64,
}

impl<K> Default for RefusalLog<K> {
    fn default() -> RefusalLog<K> {
        RefusalLog(BTreeMap::new())
    }
}

impl<K: Ord> RefusalLog<K> {
    /// Notes a refusal. Returns for how many a line is to be written now; none if it is
    /// too early for one.
    pub(super) fn note(&mut self, kind: K, now_ns: u64) -> Option<u64> {
        let Some(told) = self.0.get_mut(&kind) else {
            self.0.insert(kind, Told { at_ns: now_ns, not_told: 0 });
            return Some(1);
        };
        told.not_told += 1;
        if now_ns < told.at_ns.saturating_add(EVERY_NS) {
            return None;
        }
        told.at_ns = now_ns;
        Some(std::mem::take(&mut told.not_told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_is_told_and_later_ones_are_summed_up() {
        let mut log = RefusalLog::default();
        assert_eq!([0, 1, 2, EVERY_NS - 1].map(|now| log.note("a", now)), [Some(1), None, None, None]);
        assert_eq!(log.note("b", 3), Some(1));
        assert_eq!([EVERY_NS, EVERY_NS + 1].map(|now| log.note("a", now)), [Some(4), None]);
        assert_eq!(log.note("a", 2 * EVERY_NS), Some(2));
    }
}
