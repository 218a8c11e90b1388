//! The requests that a replica knows of and that are not executed yet
//! (OSDI §4.1).

use kernel::{Batch, Bundle, Digest, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Requests of one gateway that wait at a commander at most.
const MOST_WAITING: usize = 65_536;
/// Bytes of requests that wait at a commander, or that a replica watches over, at
/// most.
const MOST_WAITING_BYTES: usize = 256 << 20;

/// Requests on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// As commander, bundles waiting for a slot, by gateway; none is empty.
    waiting: BTreeMap<ReplicaId, Queue>,
    waiting_requests: usize,
    waiting_bytes: usize,
    /// The gateway whose turn it is.
    first: ReplicaId,
    /// As commander, bundles waiting or proposed and not executed.
    known: BTreeSet<Digest>,
    /// Bundles whose execution this replica watches over, in the order in which
    /// they came: its own gateway's, and those that a gateway sent to all.
    watched: BTreeMap<u64, Watched>,
    places: BTreeMap<Digest, u64>,
    watched_bytes: usize,
    next_place: u64,
}

/// What waits of one gateway, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Queue {
    bundles: VecDeque<Arc<Bundle>>,
    requests: usize,
}

/// A bundle that has to be executed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Watched {
    bundle: Arc<Bundle>,
    /// The resend timer ran out once since it came.
    waited: bool,
}

/// What a batch has room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

impl Room {
    /// Whether so much less than half is taken that whatever fits into half fits in, too.
    pub(crate) fn is_more_than_half_of(self, whole: Room) -> bool {
        2 * self.requests > whole.requests && 2 * self.bytes > whole.bytes
    }

    /// Whether the bundle fits in.
    pub(crate) fn holds(self, bundle: &Bundle) -> bool {
        bundle.requests().len() <= self.requests && bundle.payload_bytes() <= self.bytes
    }

    /// What is left beside so much.
    pub(crate) fn beside(self, requests: usize, bytes: usize) -> Room {
        Room { requests: self.requests.saturating_sub(requests), bytes: self.bytes.saturating_sub(bytes) }
    }
}

/// Too many requests are on their way.
#[derive(Debug)]
pub(crate) struct Full;

impl Requests {
    /// Watches over a bundle from now on.
    pub(crate) fn watch(&mut self, bundle: &Arc<Bundle>) -> Result<(), Full> {
        if self.is_watched(&bundle.digest()) {
            return Ok(());
        }
        if self.watched_bytes + bundle.payload_bytes() > MOST_WAITING_BYTES {
            return Err(Full);
        }
        self.watched_bytes += bundle.payload_bytes();
        self.places.insert(bundle.digest(), self.next_place);
        self.watched.insert(self.next_place, Watched { bundle: Arc::clone(bundle), waited: false });
        self.next_place += 1;
        Ok(())
    }

    /// An author's own copy takes the place of one that others have passed on, whose tags they may have changed.
    pub(crate) fn renew(&mut self, bundle: &Arc<Bundle>) {
        let digest = bundle.digest();
        let watched = self.places.get(&digest).and_then(|place| self.watched.get_mut(place));
        let queue = self.waiting.get_mut(&bundle.gateway()).into_iter();
        let waiting = queue.flat_map(|queue| &mut queue.bundles).filter(|waiting| waiting.digest() == digest);
        for copy in watched.map(|watched| &mut watched.bundle).into_iter().chain(waiting) {
            *copy = Arc::clone(bundle);
        }
    }

    /// Only the bundles of this gateway are watched over from now on.
    pub(crate) fn watch_only_those_of(&mut self, gateway: ReplicaId) {
        for bundle in self.all_watched().iter().filter(|bundle| bundle.gateway() != gateway) {
            self.stop_watching(bundle);
        }
    }

    /// Whether the bundle is watched over.
    pub(crate) fn is_watched(&self, bundle: &Digest) -> bool {
        self.places.contains_key(bundle)
    }

    /// Whether the bundle waits for a slot here or was proposed from here.
    pub(crate) fn is_known(&self, bundle: &Digest) -> bool {
        self.known.contains(bundle)
    }

    /// Whether any bundle is watched over.
    pub(crate) fn any_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Payload of the bundles watched over.
    pub(crate) fn watched_bytes(&self) -> usize {
        self.watched_bytes
    }

    /// The bundle that is watched over for longest.
    pub(crate) fn oldest(&self) -> Option<&Arc<Bundle>> {
        self.watched.first_key_value().map(|(_, watched)| &watched.bundle)
    }

    /// All bundles watched over, oldest first.
    pub(crate) fn all_watched(&self) -> Vec<Arc<Bundle>> {
        self.watched.values().map(|watched| Arc::clone(&watched.bundle)).collect()
    }

    /// The bundles watched over since before the last call.
    pub(crate) fn overdue(&mut self) -> Vec<Arc<Bundle>> {
        let waited = |watched: &mut Watched| {
            std::mem::replace(&mut watched.waited, true).then(|| Arc::clone(&watched.bundle))
        };
        self.watched.values_mut().filter_map(waited).collect()
    }

    /// As commander, queues a bundle, once.
    pub(crate) fn enqueue(&mut self, bundle: Arc<Bundle>) -> Result<(), Full> {
        let queue = self.waiting.get(&bundle.gateway());
        let waiting = queue.map_or(0, |queue| queue.requests) + bundle.requests().len();
        let bytes = self.waiting_bytes + bundle.payload_bytes();
        if waiting > MOST_WAITING || bytes > MOST_WAITING_BYTES {
            return Err(Full);
        }
        if self.known.insert(bundle.digest()) {
            self.waiting_bytes = bytes;
            self.waiting_requests += bundle.requests().len();
            let queue = self.waiting.entry(bundle.gateway()).or_default();
            queue.requests = waiting;
            queue.bundles.push_back(bundle);
        }
        Ok(())
    }

    /// Whether bundles wait for a slot.
    pub(crate) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Requests that wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_requests
    }

    /// Whether as many requests wait as one batch takes.
    pub(crate) fn fill_a_batch(&self, most: Room) -> bool {
        self.waiting_requests >= most.requests || self.waiting_bytes >= most.bytes
    }

    /// Takes the next batch of waiting bundles, at least one if any waits: one of each
    /// gateway in turn, each gateway's oldest first, as long as they fit. In a batch that
    /// is not half full, a bundle that does not fit keeps nobody else from it, and goes
    /// first into the next one. So what is not in such a batch does not fit into half of
    /// one; and a gateway of which anything waits is in one of as many batches in a row as
    /// there are gateways.
    /// Backups hold a commander to both ([`crate::fairness`]).
    pub(crate) fn next_batch(&mut self, most: Room) -> Batch {
        let mut batch = Batch::default();
        let mut room = most;
        let mut turns: VecDeque<ReplicaId> = self.waiting.range(self.first..).map(|(id, _)| *id).collect();
        turns.extend(self.waiting.range(..self.first).map(|(id, _)| *id));
        let mut passed_over = None;
        while let Some(gateway) = turns.pop_front() {
            let is_half_full = !room.is_more_than_half_of(most);
            let place = match batch.bundles.is_empty() {
                true => Some(0),
                false => self.first_that_fits(gateway, room, is_half_full),
            };
            if place != Some(0) {
                passed_over.get_or_insert(gateway);
            }
            if let Some(bundle) = place.and_then(|place| self.take(gateway, place)) {
                room = room.beside(bundle.requests().len(), bundle.payload_bytes());
                batch.bundles.push(bundle);
                if self.waiting.contains_key(&gateway) {
                    turns.push_back(gateway);
                }
            } else if is_half_full {
                break;
            }
        }
        self.first = passed_over.or(turns.front().copied()).unwrap_or(self.first);
        batch
    }

    fn first_that_fits(&self, gateway: ReplicaId, room: Room, only_oldest: bool) -> Option<usize> {
        let considered = if only_oldest { 1 } else { usize::MAX };
        let bundles = self.waiting.get(&gateway)?.bundles.iter();
        bundles.take(considered).position(|bundle| room.holds(bundle))
    }

    fn take(&mut self, gateway: ReplicaId, place: usize) -> Option<Arc<Bundle>> {
        let queue = self.waiting.get_mut(&gateway)?;
        let bundle = queue.bundles.remove(place)?;
        queue.requests -= bundle.requests().len();
        self.waiting_requests -= bundle.requests().len();
        self.waiting_bytes -= bundle.payload_bytes();
        if queue.bundles.is_empty() {
            self.waiting.remove(&gateway);
        }
        Some(bundle)
    }

    /// The bundles of a batch were executed.
    pub(crate) fn executed(&mut self, batch: &Batch) {
        for bundle in &batch.bundles {
            self.known.remove(&bundle.digest());
            self.stop_watching(bundle);
        }
    }

    /// The bundle needs no watching any more.
    pub(crate) fn stop_watching(&mut self, bundle: &Bundle) {
        if let Some(place) = self.places.remove(&bundle.digest()) {
            self.watched.remove(&place);
            self.watched_bytes -= bundle.payload_bytes();
        }
    }

    /// Takes all bundles that wait for a slot.
    pub(crate) fn take_waiting(&mut self) -> Vec<Arc<Bundle>> {
        let queues = std::mem::take(&mut self.waiting).into_values();
        queues.flat_map(|queue| queue.bundles).collect()
    }

    /// A view begins: what waited for a slot of an earlier view is forgotten, as
    /// whoever watches over it sends it to the new commander.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_requests = 0;
        self.waiting_bytes = 0;
        self.known.clear();
    }

    /// As commander of a new view: these bundles are in a slot already.
    pub(crate) fn note_proposed(&mut self, batch: &Batch) {
        self.known.extend(batch.bundles.iter().map(|bundle| bundle.digest()));
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_WAITING_BYTES, Requests, Room};
    use kernel::keys::symbolic;
    use kernel::{Bundle, Cluster, ClusterId, Operation, ReplicaId, Request, SessionId};
    use std::sync::Arc;

    const MOST: Room = Room { requests: 10, bytes: 1000 };

    /// A bundle of a gateway, with so many requests, of one byte each.
    fn bundle(gateway: u16, number: u64, requests: u64) -> Arc<Bundle> {
        let (signers, _) = symbolic(1, 4);
        let cluster = Cluster::new(ClusterId::derive("requests", 1), "pbft", 4);
        let request = |part| {
            let session = SessionId { gateway: ReplicaId(gateway), number: 1000 * number + part };
            Request { session, counter: 1, operation: Operation::new(b"x") }
        };
        let requests = (0..requests).map(request).collect();
        Arc::new(Bundle::sign(&cluster, &signers[usize::from(gateway)], requests))
    }

    /// Gateway, number and requests of bundles that wait; the batches that follow, as
    /// gateways and sizes.
    fn batches(waiting: &[(u16, u64)]) -> Vec<Vec<(u16, usize)>> {
        let mut requests = Requests::default();
        for (number, (gateway, size)) in (0..).zip(waiting) {
            requests.enqueue(bundle(*gateway, number, *size)).unwrap();
        }
        let mut batches = Vec::new();
        while requests.any_waiting() {
            let batch = requests.next_batch(MOST);
            batches.push(batch.bundles.iter().map(|b| (b.gateway().0, b.requests().len())).collect());
        }
        assert_eq!((requests.waiting(), requests.waiting_bytes), (0, 0));
        batches
    }

    #[test]
    fn gateways_take_turns_however_much_one_of_them_asks_for() {
        let flood = vec![(1, 4); 6];
        let waiting = [flood, vec![(2, 4), (3, 4), (2, 4)]].concat();
        let expected =
            [vec![(1, 4), (2, 4)], vec![(3, 4), (1, 4)], vec![(2, 4), (1, 4)], vec![(1, 4); 2], vec![(1, 4)]];
        assert_eq!(batches(&waiting)[..4], expected[..4]);
        assert_eq!(batches(&waiting).concat().len(), 9);
    }

    #[test]
    fn what_does_not_fit_keeps_nothing_out_of_a_batch_with_room_and_is_next() {
        assert_eq!(batches(&[(1, 1), (1, 10), (1, 2)]), [vec![(1, 1), (1, 2)], vec![(1, 10)]]);
        assert_eq!(batches(&[(1, 1), (2, 10), (3, 2)]), [vec![(1, 1), (3, 2)], vec![(2, 10)]]);
        // Half full: whoever's turn it is waits for the next one.
        assert_eq!(batches(&[(1, 5), (2, 6), (3, 2)]), [vec![(1, 5)], vec![(2, 6), (3, 2)]]);
        assert_eq!(batches(&[(1, 20), (1, 1)]), [vec![(1, 20)], vec![(1, 1)]], "too large, and alone");
    }

    #[test]
    fn a_batch_that_is_not_half_full_leaves_out_only_what_is_larger_than_half_of_one() {
        let mut state = 7u64;
        for _ in 0..200 {
            let mut draw = |below: u64| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % below
            };
            let count = 1 + draw(12);
            let waiting: Vec<(u16, u64)> = (0..count).map(|_| (draw(4) as u16, 1 + draw(10))).collect();
            let batches = batches(&waiting);
            for (place, batch) in batches.iter().enumerate() {
                let size: usize = batch.iter().map(|(_, requests)| requests).sum();
                let mut left = batches[place + 1..].concat().into_iter();
                assert!(size <= 10, "{waiting:?}: {batches:?}");
                assert!(2 * size >= 10 || left.all(|(_, requests)| requests > 5), "{waiting:?}: {batches:?}");
                // Nobody is left out of four batches in a row.
                for gateway in 0..4 {
                    let has = |batch: &Vec<(u16, usize)>| batch.iter().any(|(of, _)| *of == gateway);
                    let next = batches[place..].iter().position(has);
                    assert!(next.is_none_or(|next| next < 4), "{waiting:?}: {batches:?}");
                }
            }
        }
    }

    #[test]
    fn bytes_wait_and_are_watched_over_up_to_the_limit_and_no_more() {
        let almost = MOST_WAITING_BYTES - 2;
        let full = Requests { waiting_bytes: almost, watched_bytes: almost, ..Requests::default() };
        for (sizes, fits) in [(vec![2], true), (vec![3], false), (vec![1, 1], true), (vec![1, 2], false)] {
            let (mut queued, mut watching) = (full.clone(), full.clone());
            let bundles: Vec<_> = (1..).zip(&sizes).map(|(number, size)| bundle(1, number, *size)).collect();
            let taken = bundles.iter().all(|bundle| queued.enqueue(Arc::clone(bundle)).is_ok());
            assert_eq!(taken, fits, "{sizes:?} wait");
            let taken = bundles.iter().all(|bundle| watching.watch(bundle).is_ok());
            assert_eq!(taken, fits, "{sizes:?} are watched over");
        }
    }
}
