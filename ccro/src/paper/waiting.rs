//! Requests that a node knows of and has not executed yet.

use kernel::{Batch, Bundle, Digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Bundles kept at most.
const MOST_BUNDLES: usize = 65_536;

/// Bundles in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Waiting {
    bundles: VecDeque<Arc<Bundle>>,
    /// Of those above that still wait.
    known: BTreeSet<Digest>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= MOST_BUNDLES
    }

    /// Keeps a bundle; false if it is there already.
    pub(super) fn insert(&mut self, bundle: &Arc<Bundle>) -> bool {
        let is_new = self.known.insert(bundle.digest());
        if is_new {
            self.bundles.push_back(Arc::clone(bundle));
        }
        is_new
    }

    /// Forgets all but the bundles that `keep` names.
    pub(super) fn retain(&mut self, keep: impl Fn(&Bundle) -> bool) {
        self.bundles.retain(|bundle| keep(bundle));
        self.known = self.bundles.iter().map(|bundle| bundle.digest()).collect();
    }

    /// Forgets what a decided block contains.
    pub(super) fn remove(&mut self, batch: &Batch) {
        for bundle in &batch.bundles {
            self.known.remove(&bundle.digest());
        }
        while self.bundles.front().is_some_and(|bundle| !self.known.contains(&bundle.digest())) {
            self.bundles.pop_front();
        }
        if self.bundles.len() > self.known.len() {
            self.bundles.retain(|bundle| self.known.contains(&bundle.digest()));
        }
    }

    /// A block of what has waited longest, within bounds but never empty while
    /// anything waits. It waits on until the block is executed.
    pub(super) fn block(&self, requests_max: usize, bytes_max: usize) -> Batch {
        let mut batch = Batch::default();
        let (mut requests, mut bytes) = (0, 0);
        for bundle in &self.bundles {
            requests += bundle.requests().len();
            bytes += bundle.payload_bytes();
            if !batch.bundles.is_empty() && (requests > requests_max || bytes > bytes_max) {
                break;
            }
            batch.bundles.push(Arc::clone(bundle));
        }
        batch
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Bundle>> {
        self.bundles.iter()
    }

    pub(super) fn requests(&self) -> usize {
        self.bundles.iter().map(|bundle| bundle.requests().len()).sum()
    }
}
