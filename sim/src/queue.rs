//! What is going to happen, in the order of time; what falls on the same moment
//! happens in the order in which it was planned.

use std::collections::VecDeque;

/// Something that happens at a node: an envelope arrives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_ns: u64,
    /// The node, or [`EVERYONE`].
    pub(crate) to: u16,
    /// The key of the envelope in the [`Slab`].
    pub(crate) envelope: u32,
}

/// Stands for all nodes but the envelope's sender, in ascending order.
pub(crate) const EVERYONE: u16 = u16::MAX;

/// A radix heap: a queue for times that never go backwards. An event lies in the
/// bucket of the highest bit in which its time differs from the last time that
/// came out, so it is touched at most once per bit, and always beside its
/// neighbours. Events of the same time lie in the same bucket all the while, in
/// the order in which they came: no number is needed to keep the order.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Those of the moment `last_ns`.
    now: VecDeque<Event>,
    later: [Vec<Event>; 64],
    last_ns: u64,
    length: usize,
}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue { now: VecDeque::new(), later: [const { Vec::new() }; 64], last_ns: 0, length: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn push(&mut self, event: Event) {
        debug_assert!(event.at_ns >= self.last_ns, "time does not go backwards");
        self.length += 1;
        self.sort_in(event);
    }

    fn sort_in(&mut self, event: Event) {
        match event.at_ns ^ self.last_ns {
            0 => self.now.push_back(event),
            differs => self.later[63 - differs.leading_zeros() as usize].push(event),
        }
    }

    /// Takes the next event, unless it lies after `end_ns`.
    pub(crate) fn pop_until(&mut self, end_ns: u64) -> Option<Event> {
        if self.now.is_empty() {
            let bucket = self.later.iter().position(|bucket| !bucket.is_empty())?;
            let earliest = self.later[bucket].iter().map(|event| event.at_ns).min()?;
            if earliest > end_ns {
                return None;
            }
            self.last_ns = earliest;
            let mut events = std::mem::take(&mut self.later[bucket]);
            for event in events.drain(..) {
                self.sort_in(event);
            }
            self.later[bucket] = events;
        } else if self.last_ns > end_ns {
            return None;
        }
        self.length -= 1;
        self.now.pop_front()
    }
}

/// Values by key; the key of a removed value is used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { entries: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(key) = self.free.pop() {
            self.entries[key as usize] = Some(value);
            return key;
        }
        self.entries.push(Some(value));
        (self.entries.len() - 1) as u32
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> &mut T {
        self.entries[key as usize].as_mut().expect("an envelope stays until its last copy is taken")
    }

    pub(crate) fn remove(&mut self, key: u32) -> T {
        self.free.push(key);
        self.entries[key as usize].take().expect("an envelope is taken once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Choose, SeededChoice};
    use std::collections::BTreeMap;

    #[test]
    fn events_come_in_the_order_of_time_and_then_of_planning() {
        // Beside an ordered map: random times, new events in between, ends.
        let mut choose = SeededChoice::new(1);
        let (mut queue, mut map) = (Queue::new(), BTreeMap::new());
        let mut now = 0;
        for envelope in 0..20_000u32 {
            let span = [1, 4, 1_000, 1_000_000_000][choose.below(4) as usize];
            let at_ns = now + choose.below(span);
            queue.push(Event { at_ns, to: 0, envelope });
            map.insert((at_ns, envelope), envelope);
            if choose.chance(0.45) {
                let end = now + choose.below(2_000);
                let expected = map.first_entry().filter(|e| e.key().0 <= end).map(|e| e.remove_entry());
                let popped = queue.pop_until(end).map(|e| ((e.at_ns, e.envelope), e.envelope));
                assert_eq!(popped, expected);
                now = popped.map_or(now, |((at_ns, _), _)| at_ns);
            }
        }
        assert_eq!(queue.len(), map.len());
        while let Some(event) = queue.pop_until(u64::MAX) {
            assert_eq!(map.pop_first(), Some(((event.at_ns, event.envelope), event.envelope)));
        }
        assert!(map.is_empty());
    }

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!((slab.remove(a), *slab.get_mut(b)), ("a", "b"));
        assert_eq!(slab.insert("c"), a);
    }
}
