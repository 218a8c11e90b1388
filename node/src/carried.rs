//! What the peer links are carrying, and how much longer a timer may wait because of
//! that.
//!
//! A timer judges that a message is lost or a node is silent. While a large message is
//! being written or is arriving, neither is so, however long that takes on a busy
//! machine or a slow network. So bytes of large frames give the timers that run
//! meanwhile more time: what a slow link needs for them, and never more than a multiple
//! of the timer's own wait, whatever a Byzantine peer sends.

use std::cell::Cell;

/// Frames up to this size are carried in no time; what is beyond counts.
pub(crate) const SMALL_BYTES: usize = 64 << 10;
/// A link is taken to carry, and its ends to write and read, ten million bytes a
/// second.
const NS_PER_BYTE: u64 = 100;
/// A timer waits at most so many times its own wait in addition: as if it had been
/// doubled three times.
const MOST_WAITS_MORE: u64 = 7;

/// Bytes of large frames that all peer links of a node have carried, in and out, since
/// the node's start.
#[derive(Debug, Default)]
pub(crate) struct Carried(Cell<u64>);

impl Carried {
    /// More were carried.
    pub(crate) fn add(&self, bytes: usize) {
        self.0.set(self.0.get() + bytes as u64);
    }

    /// All so far.
    pub(crate) fn total(&self) -> u64 {
        self.0.get()
    }
}

/// How much longer to wait, in nanoseconds, for what has `wait_ns` to come, when so many
/// bytes were carried or are still to be written since the wait began.
pub(crate) fn extension_ns(wait_ns: u64, bytes: u64) -> u64 {
    bytes.saturating_mul(NS_PER_BYTE).min(wait_ns.saturating_mul(MOST_WAITS_MORE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_grows_with_what_is_carried_up_to_a_multiple_of_the_wait() {
        assert_eq!(extension_ns(200_000_000, 0), 0);
        assert_eq!(extension_ns(200_000_000, 1), 100, "a trickle is worth what it carries");
        assert_eq!(extension_ns(200_000_000, 4_000_000), 400_000_000);
        assert_eq!(extension_ns(200_000_000, 8_000_000), 800_000_000);
        assert_eq!(extension_ns(200_000_000, 15_000_000), 1_400_000_000);
        assert_eq!(extension_ns(u64::MAX, u64::MAX), u64::MAX);
    }
}
