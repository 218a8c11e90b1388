//! What has begun to come in and is not complete, counted over all connections.

use std::cell::Cell;

/// What one link or one body holds of what has not come in whole; given back
/// when that ends.
pub(super) struct Unfinished<'a> {
    all: &'a Cell<usize>,
    all_max: usize,
    own: usize,
}

impl Unfinished<'_> {
    pub(super) fn new(all: &Cell<usize>, all_max: usize) -> Unfinished<'_> {
        Unfinished { all, all_max, own: 0 }
    }

    pub(super) fn update(&mut self, own: usize) {
        self.all.set(self.all.get() - self.own + own);
        self.own = own;
    }

    /// Whoever has little of it is not to blame.
    pub(super) fn is_too_much(&self) -> bool {
        self.all.get() > self.all_max && self.own > 64 << 10
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.update(0);
    }
}
