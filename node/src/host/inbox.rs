//! What waits for the host, with back-pressure on its readers.

use crate::links::frame::Frame;
use kernel::{Bundle, ReplicaId};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Readers wait while this many frames are in the inbox …
const FULL_AT_FRAMES: usize = 4_096;
/// … or this many bytes of them.
const FULL_AT_BYTES: usize = 128 << 20;

/// Incoming frames in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    frames: RefCell<Queue<T>>,
    space: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    /// Each with its bytes.
    frames: VecDeque<(T, usize)>,
    bytes: usize,
}

/// A frame and where it came from.
#[derive(Debug)]
pub(crate) struct Incoming<M> {
    pub(crate) from: ReplicaId,
    pub(crate) frame: Frame<M>,
    pub(crate) bytes: usize,
}

/// A bundle that came on a client's link.
#[derive(Debug)]
pub(crate) struct FromClient {
    /// Whose link it is.
    pub(crate) client: ReplicaId,
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) bytes: usize,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Inbox<T> {
        Inbox { frames: RefCell::new(Queue { frames: VecDeque::new(), bytes: 0 }), space: Notify::new() }
    }

    pub(crate) fn push(&self, incoming: T, bytes: usize) {
        let mut queue = self.frames.borrow_mut();
        queue.bytes += bytes;
        queue.frames.push_back((incoming, bytes));
    }

    /// Takes at most `count` frames, the oldest.
    pub(crate) fn take(&self, count: usize) -> Vec<T> {
        let mut queue = self.frames.borrow_mut();
        let was_full = queue.is_full();
        let count = count.min(queue.frames.len());
        let mut taken_bytes = 0;
        let taken = queue.frames.drain(..count).map(|(incoming, bytes)| {
            taken_bytes += bytes;
            incoming
        });
        let taken = taken.collect();
        queue.bytes -= taken_bytes;
        if was_full && !queue.is_full() {
            self.space.notify_waiters();
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.borrow().frames.is_empty()
    }

    /// Waits until it is not full: called by a reader before it reads on, so that
    /// a peer that sends too fast is slowed down by its own connection.
    pub(crate) async fn until_it_has_space(&self) {
        loop {
            let space = self.space.notified();
            if !self.frames.borrow().is_full() {
                return;
            }
            space.await;
        }
    }
}

impl<T> Queue<T> {
    fn is_full(&self) -> bool {
        self.frames.len() >= FULL_AT_FRAMES || self.bytes >= FULL_AT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Waker};

    #[test]
    fn a_reader_waits_while_the_inbox_is_full_and_goes_on_when_it_is_not() {
        let inbox = Inbox::new();
        for (frames, bytes) in [(FULL_AT_FRAMES, 1), (1, FULL_AT_BYTES)] {
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..frames {
                assert!(Box::pin(inbox.until_it_has_space()).as_mut().poll(&mut cx).is_ready());
                inbox.push('x', bytes);
            }
            let mut waiting = Box::pin(inbox.until_it_has_space());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert_eq!(inbox.take(1).len(), 1);
            assert!(waiting.as_mut().poll(&mut cx).is_ready());
            assert_eq!(inbox.take(usize::MAX).len(), frames - 1);
            assert!(inbox.is_empty());
        }
    }
}
