//! Log lines about refusals: so many may come that each kind gets a line only once in a
//! while.

use std::collections::BTreeMap;

/// Between two lines about one kind, in nanoseconds.
const EVERY_NS: u64 = 10_000_000_000;

/// When each kind had its last line.
#[derive(Debug)]
pub(super) struct RefusalLog<K>(BTreeMap<K, Line>);

#[derive(Debug)]
struct Line {
    at_ns: u64,
    /// Refusals since then.
    since: u64,
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
        let Some(line) = self.0.get_mut(&kind) else {
            self.0.insert(kind, Line { at_ns: now_ns, since: 0 });
            return Some(1);
        };
        line.since += 1;
        if now_ns < line.at_ns.saturating_add(EVERY_NS) {
            return None;
        }
        line.at_ns = now_ns;
        Some(std::mem::take(&mut line.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_has_a_line_and_later_ones_are_summed_up() {
        let mut log = RefusalLog::default();
        assert_eq!([0, 1, 2, EVERY_NS - 1].map(|now| log.note("a", now)), [Some(1), None, None, None]);
        assert_eq!(log.note("b", 3), Some(1));
        assert_eq!([EVERY_NS, EVERY_NS + 1].map(|now| log.note("a", now)), [Some(4), None]);
        assert_eq!(log.note("a", 2 * EVERY_NS), Some(2));
    }
}
