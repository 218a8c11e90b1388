//! The system's allocator, which counts for each thread what is in use.
#![allow(unsafe_code, reason = "every allocator is unsafe; this one hands all on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes allocated on this thread less bytes freed on it.
    static IN_USE: Cell<isize> = const { Cell::new(0) };
    /// The most that were in use since this was set.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Runs `work`. Returns what it returns, and the most memory, in bytes, that this thread had
/// in use meanwhile beyond what it had before.
pub fn most_in_use<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.get();
    MOST.set(before);
    let done = work();
    (done, (MOST.get() - before).unsigned_abs())
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    let in_use = IN_USE.get() + bytes;
    IN_USE.set(in_use);
    MOST.set(MOST.get().max(in_use));
}

// SAFETY: the system's allocator keeps the rules; to count changes nothing of what it gets
// and returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_in_use_is_known_and_what_was_there_before_does_not_count() {
        let before = vec![1_u8; 1 << 20];
        let (sum, bytes) = most_in_use(|| {
            let first: usize = vec![1_u8; 3000].iter().map(|byte| usize::from(*byte)).sum();
            first + vec![0_u8; 2000].len()
        });
        assert_eq!((sum, bytes, before.len()), (5000, 3000, 1 << 20));
        assert_eq!(most_in_use(|| drop(before)).1, 0);
    }
}
