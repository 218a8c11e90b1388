//! Votes of which there are enough here already: they change nothing, but who signed badly is counted. Many signatures that are
//! checked together cost less each, so they wait for one another (ADR 33).

use kernel::ReplicaId;

/// So many are checked together.
const TOGETHER: usize = 64;
/// None waits longer, nanoseconds.
const LONGEST_WAIT_NS: u64 = 10_000_000;

/// Messages that wait to be checked, in the order in which they came.
#[derive(Debug)]
pub(super) struct Late<M> {
    messages: Vec<(ReplicaId, M)>,
    /// When they are checked though they are few.
    due_ns: u64,
}

impl<M> Late<M> {
    pub(super) fn new() -> Late<M> {
        Late { messages: Vec::new(), due_ns: 0 }
    }

    /// One more waits.
    pub(super) fn push(&mut self, from: ReplicaId, message: M, now_ns: u64) {
        if self.messages.is_empty() {
            self.due_ns = now_ns + LONGEST_WAIT_NS;
        }
        self.messages.push((from, message));
    }

    /// When the first has waited long enough; none if none waits.
    pub(super) fn due(&self) -> Option<u64> {
        (!self.messages.is_empty()).then_some(self.due_ns)
    }

    /// All of them, if it is time; else none.
    pub(super) fn take(&mut self, now_ns: u64) -> Vec<(ReplicaId, M)> {
        let is_time = self.messages.len() >= TOGETHER || self.due().is_some_and(|due| due <= now_ns);
        if is_time { std::mem::take(&mut self.messages) } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_wait_until_they_are_many_or_the_first_has_waited_long() {
        let mut late = Late::new();
        assert_eq!((late.due(), late.take(u64::MAX)), (None, vec![]));
        late.push(ReplicaId(1), 'a', 100);
        late.push(ReplicaId(2), 'b', 5_000_000);
        let due = 100 + LONGEST_WAIT_NS;
        assert_eq!((late.due(), late.take(due - 1)), (Some(due), vec![]));
        assert_eq!(late.take(due), [(ReplicaId(1), 'a'), (ReplicaId(2), 'b')]);
        assert_eq!(late.due(), None);
        (1..TOGETHER).for_each(|_| late.push(ReplicaId(1), 'a', 200));
        assert!(late.take(200).is_empty());
        late.push(ReplicaId(1), 'a', 200);
        assert_eq!(late.take(200).len(), TOGETHER);
    }
}
