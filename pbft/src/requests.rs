//! The requests that a replica knows of and that are not executed yet
//! (OSDI §4.1).

use kernel::{Batch, Bundle, Digest, ReplicaId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Requests of one gateway that wait at a commander at most.
const MOST_WAITING: usize = 65_536;
/// Bytes of requests that wait at a commander, or that a replica watches over, at
/// most.
const MOST_WAITING_BYTES: usize = 256 << 20;

/// Requests on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Requests {
    /// As commander, bundles waiting for a slot, and how many requests of each
    /// gateway are in them.
    waiting: VecDeque<Arc<Bundle>>,
    waiting_of: BTreeMap<ReplicaId, usize>,
    waiting_bytes: usize,
    /// As commander, bundles waiting or proposed and not executed.
    known: BTreeSet<Digest>,
    /// Bundles whose execution this replica watches over, in the order in which
    /// they came: its own gateway's, and those that a gateway sent to all.
    watched: BTreeMap<u64, Watched>,
    places: BTreeMap<Digest, u64>,
    watched_bytes: usize,
    next_place: u64,
}

/// A bundle that has to be executed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Watched {
    bundle: Arc<Bundle>,
    /// The resend timer ran out once since it came.
    waited: bool,
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
        let gateway = bundle.gateway();
        let waiting = self.waiting_of.get(&gateway).copied().unwrap_or(0) + bundle.requests().len();
        let bytes = self.waiting_bytes + bundle.payload_bytes();
        if waiting > MOST_WAITING || bytes > MOST_WAITING_BYTES {
            return Err(Full);
        }
        if self.known.insert(bundle.digest()) {
            self.waiting_bytes = bytes;
            self.waiting_of.insert(gateway, waiting);
            self.waiting.push_back(bundle);
        }
        Ok(())
    }

    /// Whether bundles wait for a slot.
    pub(crate) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Requests that wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.iter().map(|bundle| bundle.requests().len()).sum()
    }

    /// Whether as many requests wait as one batch takes.
    pub(crate) fn fill_a_batch(&self, most_requests: usize, most_bytes: usize) -> bool {
        self.waiting() >= most_requests || self.waiting_bytes >= most_bytes
    }

    /// Takes the next batch of waiting bundles: at least one if any waits, then as
    /// many as the limits allow.
    pub(crate) fn next_batch(&mut self, most_requests: usize, most_bytes: usize) -> Batch {
        let (mut requests, mut bytes) = (0, 0);
        let mut batch = Batch::default();
        while let Some(bundle) = self.waiting.front() {
            requests += bundle.requests().len();
            bytes += bundle.payload_bytes();
            let full = requests > most_requests || bytes > most_bytes;
            if full && !batch.bundles.is_empty() {
                break;
            }
            if let Some(waiting) = self.waiting_of.get_mut(&bundle.gateway()) {
                *waiting -= bundle.requests().len();
            }
            self.waiting_bytes -= bundle.payload_bytes();
            batch.bundles.extend(self.waiting.pop_front());
        }
        batch
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
    pub(crate) fn take_waiting(&mut self) -> VecDeque<Arc<Bundle>> {
        std::mem::take(&mut self.waiting)
    }

    /// A view begins: what waited for a slot of an earlier view is forgotten, as
    /// whoever watches over it sends it to the new commander.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_of.clear();
        self.waiting_bytes = 0;
        self.known.clear();
    }

    /// As commander of a new view: these bundles are in a slot already.
    pub(crate) fn note_proposed(&mut self, batch: &Batch) {
        self.known.extend(batch.bundles.iter().map(|bundle| bundle.digest()));
    }
}
