//! Requests that are not bundled yet.

use kernel::Request;

/// A bundle is closed when its operations reach this many bytes.
const MAX_BUNDLE_BYTES: usize = 8 << 20;

/// The requests that came since the last bundle, in order.
#[derive(Debug, Default)]
pub struct Submissions {
    waiting: Vec<Request>,
    /// How many of them were here when bundles were last taken.
    seen_before: usize,
}

impl Submissions {
    /// Adds a request.
    pub fn push(&mut self, request: Request) {
        self.waiting.push(request);
    }

    /// Whether no request waits to be bundled.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets all of them: the host lost them.
    pub fn clear(&mut self) {
        *self = Submissions::default();
    }

    /// The requests to be bundled in this iteration of the host's event loop, in groups
    /// for one bundle each, of `batch_max` requests at most. As long as every iteration
    /// brings more, they wait until a bundle is full: its signature costs the same
    /// whatever is in it, and what is bundled together is proposed together (ADR 5).
    pub fn take(&mut self, batch_max: usize) -> Vec<Vec<Request>> {
        let brought_none = self.waiting.len() == self.seen_before;
        let mut bundles = Vec::new();
        let mut bundle: Vec<Request> = Vec::new();
        let mut bytes = 0;
        for request in self.waiting.drain(..) {
            let more = request.operation.0.len();
            let is_full = bundle.len() >= batch_max || bytes + more > MAX_BUNDLE_BYTES;
            if is_full && !bundle.is_empty() {
                bundles.push(std::mem::take(&mut bundle));
                bytes = 0;
            }
            bytes += more;
            bundle.push(request);
        }
        if !brought_none && bundle.len() < batch_max {
            self.waiting = bundle;
        } else if !bundle.is_empty() {
            bundles.push(bundle);
        }
        self.seen_before = self.waiting.len();
        bundles
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BUNDLE_BYTES, Submissions};
    use kernel::{Operation, ReplicaId, Request, SessionId};

    fn request(bytes: usize) -> Request {
        let session = SessionId { gateway: ReplicaId(0), number: 0 };
        Request { session, counter: 1, operation: Operation::new(&vec![0; bytes]) }
    }

    fn with(sizes: &[usize]) -> Submissions {
        let mut submissions = Submissions::default();
        sizes.iter().for_each(|bytes| submissions.push(request(*bytes)));
        submissions
    }

    fn take(submissions: &mut Submissions, batch_max: usize) -> Vec<usize> {
        submissions.take(batch_max).iter().map(Vec::len).collect()
    }

    #[test]
    fn bundles_end_at_their_number_of_requests_and_at_their_bytes() {
        let mut submissions = with(&[1; 7]);
        assert_eq!(take(&mut submissions, 3), [3, 3]);
        assert!(!submissions.is_empty());
        assert_eq!(take(&mut submissions, 3), [1]);
        assert!(submissions.is_empty());
        assert_eq!(take(&mut submissions, 3), [0; 0]);

        let mut submissions = with(&[MAX_BUNDLE_BYTES, 1, 1]);
        assert_eq!(take(&mut submissions, 100), [1]);
        assert_eq!(take(&mut submissions, 100), [2]);
    }

    #[test]
    fn requests_wait_for_each_other_as_long_as_every_iteration_brings_more() {
        let mut submissions = Submissions::default();
        for (more, bundles) in
            [(1, &[][..]), (0, &[1]), (2, &[]), (1, &[]), (3, &[5]), (0, &[1]), (0, &[]), (4, &[]), (1, &[5])]
        {
            (0..more).for_each(|_| submissions.push(request(1)));
            assert_eq!(take(&mut submissions, 5), bundles);
        }
    }
}
