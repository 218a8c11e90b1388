//! What is going to happen, in the order of time; what falls on the same moment
//! happens in the order in which it was planned.

use std::collections::VecDeque;

/// Something that happens at a node: a parcel arrives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_ns: u64,
    /// The node, or [`EVERYONE`].
    pub(crate) to: u16,
    /// Where the parcel lies in the [`Shelf`].
    pub(crate) parcel: u32,
}

/// Stands for all nodes but the parcel's sender, in ascending order.
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
        self.place(event);
    }

    fn place(&mut self, event: Event) {
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
                self.place(event);
            }
            self.later[bucket] = events;
        } else if self.last_ns > end_ns {
            return None;
        }
        self.length -= 1;
        self.now.pop_front()
    }
}

/// Things with a number each, which is used again once a thing is gone.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Shelf<T> {
    pub(crate) fn new() -> Shelf<T> {
        Shelf { places: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn put(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(thing);
            return place;
        }
        self.places.push(Some(thing));
        (self.places.len() - 1) as u32
    }

    pub(crate) fn get(&mut self, place: u32) -> &mut T {
        self.places[place as usize].as_mut().expect("a parcel stays until it was handed out")
    }

    pub(crate) fn take(&mut self, place: u32) -> T {
        self.free.push(place);
        self.places[place as usize].take().expect("a parcel is taken once")
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
        for parcel in 0..20_000u32 {
            let span = [1, 4, 1_000, 1_000_000_000][choose.below(4) as usize];
            let at_ns = now + choose.below(span);
            queue.push(Event { at_ns, to: 0, parcel });
            map.insert((at_ns, parcel), parcel);
            if choose.chance(0.45) {
                let end = now + choose.below(2_000);
                let expected = map.first_entry().filter(|e| e.key().0 <= end).map(|e| e.remove_entry());
                let popped = queue.pop_until(end).map(|e| ((e.at_ns, e.parcel), e.parcel));
                assert_eq!(popped, expected);
                now = popped.map_or(now, |((at_ns, _), _)| at_ns);
            }
        }
        assert_eq!(queue.len(), map.len());
        while let Some(event) = queue.pop_until(u64::MAX) {
            assert_eq!(map.pop_first(), Some(((event.at_ns, event.parcel), event.parcel)));
        }
        assert!(map.is_empty());
    }

    #[test]
    fn places_are_used_again() {
        let mut shelf = Shelf::new();
        let (a, b) = (shelf.put("a"), shelf.put("b"));
        assert_eq!((shelf.take(a), *shelf.get(b)), ("a", "b"));
        assert_eq!(shelf.put("c"), a);
    }
}
