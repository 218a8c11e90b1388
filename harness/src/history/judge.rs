//! Whether a history is linearizable, and where it is not.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use porcupine_rs::{CheckResult, check_operations_timeout};

use super::model::{Key, Step};
use super::operation::{Call, Operation};

/// How many operations are shown that ended before the one that cannot be explained.
const SHOWN_BEFORE: usize = 10;

/// What came of judging a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Operations that were judged.
    pub operations: usize,
    /// Those of them without an answer.
    pub unanswered: usize,
    /// Keys that they were about.
    pub keys: usize,
    /// What cannot be explained: at most one operation of each key.
    pub violations: Vec<Violation>,
    /// Keys whose search did not end in time: nothing is known of them.
    pub undetermined: Vec<String>,
}

/// The first answer about a key that no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// Operations on it up to the answer that cannot be explained, by their call: those
    /// that overlap it or have no answer, and some that ended before.
    pub around: Vec<Operation>,
    /// Which of them it is.
    pub unexplained: usize,
}

/// Judges a history, and searches for at most so long about each key.
pub fn judge(history: &[Operation], limit: Duration) -> Judgement {
    let mut by_key: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        by_key.entry(&operation.key).or_default().push(operation);
    }
    let mut judgement = Judgement {
        operations: history.len(),
        unanswered: history.iter().filter(|operation| operation.returned.is_none()).count(),
        keys: by_key.len(),
        ..Judgement::default()
    };
    for (key, operations) in by_key {
        match search(&operations, u64::MAX, limit) {
            CheckResult::Ok => {}
            CheckResult::Unknown => judgement.undetermined.push(key.to_owned()),
            CheckResult::Illegal => judgement.violations.push(explain(key, &operations, limit)),
        }
    }
    judgement
}

/// Whether one key's operations are linearizable as far as they were known at a moment:
/// what was answered later had no answer yet, and what was called later did not exist.
fn search(operations: &[&Operation], until_ns: u64, limit: Duration) -> CheckResult {
    let known = operations.iter().filter(|operation| operation.called_ns <= until_ns);
    let steps = known.filter_map(|operation| {
        let returned = operation.returned.as_ref().filter(|returned| returned.at_ns <= until_ns);
        // A get without an answer says nothing and changes nothing.
        if returned.is_none() && operation.call == Call::Get {
            return None;
        }
        Some(porcupine_rs::Operation::<Key> {
            client_id: Some(operation.client),
            call_time: operation.called_ns as i64,
            // What has no answer may take effect after everything else, which is as good
            // as never: every state allows it there.
            return_time: returned.map_or(i64::MAX, |returned| returned.at_ns as i64),
            op: Step {
                call: operation.call.clone(),
                answer: returned.map(|returned| returned.answer.clone()),
            },
            metadata: None,
        })
    });
    check_operations_timeout(&steps.collect::<Vec<_>>(), limit)
}

/// Finds the first answer with which a key's operations can no longer be explained. There
/// is one: what begins a linearizable history is linearizable.
fn explain(key: &str, operations: &[&Operation], limit: Duration) -> Violation {
    let mut answered: Vec<&Operation> =
        operations.iter().copied().filter(|operation| operation.returned.is_some()).collect();
    answered.sort_by_key(|operation| operation.returned_ns());
    let is_explained = |operation: &&Operation| {
        let until_ns = operation.returned_ns().unwrap_or(u64::MAX);
        search(operations, until_ns, limit) != CheckResult::Illegal
    };
    let explained = answered.partition_point(is_explained);
    // The whole was searched before, and the last answer completes it.
    let unexplained = answered[explained.min(answered.len() - 1)];
    let ended_before = |operation: &Operation| operation.returned_ns() < Some(unexplained.called_ns);
    let before: Vec<&Operation> =
        answered[..explained].iter().copied().filter(|operation| ended_before(operation)).collect();
    let shown_from_ns = before
        .iter()
        .rev()
        .take(SHOWN_BEFORE)
        .min_by_key(|one| one.returned_ns())
        .map(|one| one.returned_ns());
    let is_shown = |operation: &&&Operation| {
        Some(operation.called_ns) <= unexplained.returned_ns()
            && operation.returned_ns().is_none_or(|ns| shown_from_ns.is_none_or(|from| Some(ns) >= from))
    };
    let mut around: Vec<Operation> = operations.iter().filter(is_shown).map(|one| (*one).clone()).collect();
    around.sort_by_key(|operation| operation.called_ns);
    let unexplained = around.iter().position(|operation| operation == unexplained).unwrap_or_default();
    Violation { key: key.to_owned(), around, unexplained }
}

impl Judgement {
    /// Whether every key was searched to the end and explained.
    pub fn holds(&self) -> bool {
        self.violations.is_empty() && self.undetermined.is_empty()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement { operations, unanswered, keys, violations, undetermined } = self;
        write!(f, "{operations} operations on {keys} keys, {unanswered} of them without an answer: ")?;
        match (violations.len(), undetermined.len()) {
            (0, 0) => f.write_str("linearizable"),
            (0, undecided) => {
                write!(f, "the search took too long for {undecided} keys, so nothing is known of them")
            }
            (violated, _) => write!(f, "NOT linearizable on {violated} keys"),
        }
    }
}

impl fmt::Display for Violation {
    /// The key, and a line for each operation around the one that cannot be explained.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}: no order explains the answer marked >>", self.key)?;
        for (place, operation) in self.around.iter().enumerate() {
            let mark = if place == self.unexplained { ">>" } else { "  " };
            write!(f, "\n{mark} {operation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::operation::{Answer, Returned};

    const LIMIT: Duration = Duration::from_secs(20);

    fn operation(client: u32, call: Call, called_ns: u64, returned: Option<(u64, Answer)>) -> Operation {
        let returned = returned.map(|(at_ns, answer)| Returned { at_ns, answer });
        Operation { client, node: 0, key: "k".into(), call, called_ns, returned }
    }

    fn text(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn put(client: u32, value: &str, (called, returned): (u64, u64), created: bool) -> Operation {
        let call = Call::Put { value: value.into() };
        operation(client, call, called, Some((returned, Answer::Stored { created })))
    }

    fn get(client: u32, (called, returned): (u64, u64), value: &str) -> Operation {
        let answer = Answer::Value { value: text(value) };
        operation(client, Call::Get, called, Some((returned, answer)))
    }

    fn swap(
        client: u32,
        from: &str,
        to: &str,
        (called, returned): (u64, u64),
        outcome: (bool, &str),
    ) -> Operation {
        let call = Call::CompareAndSwap { expected: text(from), new: text(to) };
        let answer = Answer::Compared { swapped: outcome.0, current: text(outcome.1) };
        operation(client, call, called, Some((returned, answer)))
    }

    fn unanswered(client: u32, value: &str, called: u64) -> Operation {
        operation(client, Call::Put { value: value.into() }, called, None)
    }

    /// The place of the operation that cannot be explained; none if all are.
    fn unexplained(history: &[Operation]) -> Option<Operation> {
        let judgement = judge(history, LIMIT);
        assert_eq!(judgement.undetermined, Vec::<String>::new());
        let violation = judgement.violations.first()?;
        Some(violation.around[violation.unexplained].clone())
    }

    #[test]
    fn concurrent_operations_take_effect_in_any_order() {
        let first = put(0, "a", (0, 1), true);
        let overlapping = put(1, "b", (2, 10), false);
        for seen in ["a", "b"] {
            assert_eq!(unexplained(&[first.clone(), overlapping.clone(), get(2, (3, 9), seen)]), None);
        }
        let unseen = get(2, (3, 9), "c");
        assert_eq!(unexplained(&[first, overlapping, unseen.clone()]), Some(unseen));
        let deleted =
            |existed, at| operation(3, Call::Delete, at, Some((at + 1, Answer::Deleted { existed })));
        let all = [put(0, "a", (0, 1), true), deleted(true, 2), deleted(false, 4), get(0, (6, 7), "")];
        assert_eq!(unexplained(&all), None);
        assert_eq!(unexplained(&[&all[..], &[deleted(true, 8)]].concat()), Some(deleted(true, 8)));
    }

    #[test]
    fn a_stale_read_is_found_and_shown() {
        let stale = get(2, (6, 7), "a");
        let history = [
            put(0, "a", (0, 1), true),
            put(1, "b", (2, 3), false),
            stale.clone(),
            // What comes later has nothing to do with it.
            put(0, "c", (8, 9), false),
            get(2, (10, 11), "c"),
        ];
        assert_eq!(unexplained(&history), Some(stale));
        let judgement = judge(&history, LIMIT);
        assert_eq!((judgement.operations, judgement.keys, judgement.holds()), (5, 1, false));
        let shown = judgement.violations[0].to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert!(lines[0].contains("\"k\""), "{shown}");
        assert!(
            lines[3].starts_with(">>") && lines[3].contains("client 2 at node 0: get -> \"a\""),
            "{shown}"
        );
    }

    #[test]
    fn two_reads_may_not_go_back() {
        let writes = [put(0, "a", (0, 1), true), put(1, "b", (2, 20), false)];
        let forth = [get(2, (3, 4), "a"), get(3, (5, 6), "b")];
        let back = [get(2, (3, 4), "b"), get(3, (5, 6), "a")];
        assert_eq!(unexplained(&[&writes[..], &forth[..]].concat()), None);
        assert_eq!(unexplained(&[&writes[..], &back[..]].concat()), Some(back[1].clone()));
    }

    #[test]
    fn a_write_that_takes_effect_twice_is_found() {
        // The put of "a" is executed again after that of "b".
        let again = get(2, (6, 7), "a");
        let doubled =
            [put(0, "a", (0, 1), true), put(1, "b", (2, 3), false), get(2, (4, 5), "b"), again.clone()];
        assert_eq!(unexplained(&doubled), Some(again));
        // And so it is if its client never got an answer: it may be late, but not twice.
        let again = get(2, (8, 9), "a");
        let doubled = [
            put(1, "b", (0, 1), true),
            unanswered(0, "a", 0),
            get(2, (2, 3), "a"),
            put(1, "c", (4, 5), false),
            get(2, (6, 7), "c"),
            again.clone(),
        ];
        assert_eq!(unexplained(&doubled), Some(again));
    }

    #[test]
    fn two_swaps_may_not_both_win() {
        let first = put(0, "a", (0, 1), true);
        let wins = |client, to| swap(client, "a", to, (2, 9), (true, to));
        let loses = swap(2, "a", "c", (2, 9), (false, "b"));
        assert_eq!(unexplained(&[first.clone(), wins(1, "b"), loses]), None);
        assert!(unexplained(&[first, wins(1, "b"), wins(2, "c")]).is_some());
    }

    #[test]
    fn an_operation_without_an_answer_takes_effect_late_or_never() {
        let first = [put(0, "a", (0, 1), true), unanswered(1, "b", 2)];
        let late = [get(2, (3, 4), "a"), get(2, (5, 6), "a"), get(2, (50, 51), "b")];
        assert_eq!(unexplained(&[&first[..], &late[..]].concat()), None);
        assert_eq!(unexplained(&[&first[..], &late[..2]].concat()), None);
        // But not before it was called, and it is not undone.
        let early = [put(0, "a", (0, 1), true), get(2, (3, 4), "b"), unanswered(1, "b", 5)];
        assert_eq!(unexplained(&early), Some(early[1].clone()));
        let undone = [&first[..], &late[..], &[get(2, (60, 61), "a")]].concat();
        assert_eq!(unexplained(&undone), undone.last().cloned());
    }

    #[test]
    fn every_key_is_a_history_of_its_own() {
        let of = |key: &str, operation: Operation| Operation { key: key.into(), ..operation };
        let history = [
            of("x", put(0, "a", (0, 1), true)),
            of("y", put(0, "b", (2, 3), true)),
            of("x", get(1, (4, 5), "a")),
            of("y", get(1, (6, 7), "a")),
        ];
        let judgement = judge(&history, LIMIT);
        assert_eq!((judgement.keys, judgement.violations.len()), (2, 1));
        assert_eq!(judgement.violations[0].key, "y");
        assert_eq!(judge(&[], LIMIT), Judgement::default());
    }

    /// The search must not end in "unknown" in what a soak records: some hundred operations
    /// on a key, a dozen of them without an answer.
    #[test]
    fn many_operations_without_an_answer_are_searched_in_time() {
        let mut history = Vec::new();
        let mut last = String::new();
        for number in 0..400 {
            let at = 10 * number;
            if number % 30 == 7 {
                history.push(unanswered(1000 + number as u32, &format!("lost {number}"), at));
            }
            // Every other lost value is seen in the end, at the latest possible moment.
            if number % 60 == 36 {
                last = format!("lost {}", number - 29);
            } else if number % 4 == 0 {
                history.push(put(0, &number.to_string(), (at, at + 15), last.is_empty()));
                last = number.to_string();
                continue;
            }
            history.push(get(1, (at + 6, at + 8), &last));
        }
        assert_eq!(unexplained(&history), None);
        let stale = get(1, (5000, 5001), "0");
        history.push(stale.clone());
        assert_eq!(unexplained(&history), Some(stale));
    }
}
