//! What has begun to come in and is not complete, counted over all connections.

use std::cell::Cell;

/// Bytes of unfinished frames that all links of peers may hold together, and those of clients with keys; beyond, a link
/// with more than its share is closed. Two of the largest frames of a peer fit.
pub(super) const MAX_UNFINISHED_BYTES: usize = 128 << 20;
/// Whoever holds no more than this is never to blame.
const LITTLE_BYTES: usize = 64 << 10;

/// What one link or one body holds of what has not come in whole; given back
/// when that ends.
pub(super) struct Unfinished<'a> {
    all: &'a Cell<usize>,
    all_max: usize,
    /// What it may have even if all have too much.
    share: usize,
    own: usize,
}

impl Unfinished<'_> {
    pub(super) fn new(all: &Cell<usize>, all_max: usize, share: usize) -> Unfinished<'_> {
        Unfinished { all, all_max, share: share.max(LITTLE_BYTES), own: 0 }
    }

    pub(super) fn update(&mut self, own: usize) {
        self.all.set(self.all.get() - self.own + own);
        self.own = own;
    }

    /// Whoever has no more than its share is not to blame: else one that holds much would keep all others out.
    pub(super) fn is_too_much(&self) -> bool {
        self.all.get() > self.all_max && self.own > self.share
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.update(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_keeps_nobody_else_out() {
        const MIB: usize = 1 << 20;
        let all = Cell::new(0);
        let [mut greedy, mut other] = [(); 2].map(|()| Unfinished::new(&all, 10 * MIB, 3 * MIB));
        greedy.update(10 * MIB);
        assert!(!greedy.is_too_much());
        other.update(3 * MIB);
        assert!(greedy.is_too_much() && !other.is_too_much());
        other.update(3 * MIB + 1);
        assert!(other.is_too_much(), "more than its share, while all have too much");
        drop(greedy);
        assert!(!other.is_too_much());
        drop(other);
        assert_eq!(all.get(), 0);
    }
}
