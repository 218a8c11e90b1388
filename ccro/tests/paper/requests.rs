//! Requests that wait: how many are kept, what a block takes of them, and when they are forgotten.

use crate::by_hand::Hand;
use crate::expected::*;
use apps::OpaqueLog;
use ccro::paper::{Message, Replica};
use kernel::{Batch, Effect, Input, Reason, Rejection, ReplicaId};
use std::sync::Arc;

/// So many requests of so many bytes each, named apart by `name`.
fn bundle(run: &Hand, name: u8, requests: u8, bytes: usize) -> Arc<kernel::Bundle> {
    let operations: Vec<Vec<u8>> = (0..requests).map(|i| [vec![name, i], vec![0; bytes]].concat()).collect();
    let operations: Vec<&[u8]> = operations.iter().map(|operation| &operation[..bytes]).collect();
    run.bundle_of(1, &operations)
}

/// How many bundles there are in the block of a commander at which bundles of so many requests
/// wait, of so many bytes each; at most 3 requests and 12 bytes fit in.
fn bundles_taken(waiting: &[(u8, usize)]) -> usize {
    let config = pbft::Config { batch_max: 3, batch_bytes_max: 12, ..pbft::Config::for_cluster(4) };
    let mut run = Hand::new(4);
    run.nodes[1] = Replica::new(&config, OpaqueLog::default());
    for (name, (requests, bytes)) in (0..).zip(waiting) {
        run.step(1, Input::Submit(bundle(&run, name, *requests, *bytes)));
    }
    // It finds the commander down, so it is commander itself.
    let effects = run.expire(1);
    let blocks = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Block { batch, .. }, .. } => Some(batch.bundles.len()),
        _ => None,
    });
    blocks.sum()
}

#[test]
fn a_block_takes_what_fits_in_and_never_nothing() {
    assert_eq!(bundles_taken(&[(1, 2), (1, 2)]), 2);
    assert_eq!(bundles_taken(&[(1, 2), (2, 2)]), 2, "as many requests as fit in");
    assert_eq!(bundles_taken(&[(2, 2), (2, 2)]), 1, "one more");
    assert_eq!(bundles_taken(&[(4, 2), (1, 2)]), 1, "the first alone is too many");
    assert_eq!(bundles_taken(&[(1, 5), (1, 7)]), 2, "as many bytes as fit in");
    assert_eq!(bundles_taken(&[(1, 6), (1, 7)]), 1, "one more");
    assert_eq!(bundles_taken(&[(1, 13), (1, 2)]), 1, "the first alone is too long");
}

#[test]
fn what_is_decided_waits_no_more_wherever_it_stood() {
    let mut run = Hand::new(4);
    let bundles = [(0, 1), (1, 2), (2, 4)].map(|(name, requests)| bundle(&run, name, requests, 2));
    for bundle in &bundles {
        run.step(3, Input::Submit(Arc::clone(bundle)));
    }
    assert_eq!(run.status(3).requests_waiting, 7);
    let middle = Arc::new(Batch { bundles: vec![Arc::clone(&bundles[1])] });
    // Node 1 is trusted most from now on: what waits goes there.
    let trust = [5_000, 6_000, 5_000, 5_000];
    let effects = run.deliver_one(0, 3, store(&run, 0, (1, FIRST), &middle, &trust));
    let handed_over = [&bundles[0], &bundles[2]].map(|b| send(1, Message::Requests(Arc::clone(b))));
    let sent: Vec<_> = effects.into_iter().filter(is_send).collect();
    assert_eq!(sent, handed_over);
    assert_eq!(run.status(3).requests_waiting, 5);
    // Nor does a commander that stays get them once more.
    let effects = run.deliver_one(1, 3, store(&run, 1, (2, FIRST), &Arc::default(), &trust));
    assert!(!effects.iter().any(is_send), "{effects:?}");
}

#[test]
fn a_gateway_cannot_fill_a_node_with_requests() {
    let mut run = Hand::new(4);
    for i in 0..65_535u32 {
        run.step(3, Input::Submit(run.bundle(3, &i.to_le_bytes())));
    }
    run.sent.clear();
    let last = run.bundle(3, b"last");
    let forwarded = [send(0, Message::Requests(Arc::clone(&last)))];
    assert_eq!(run.step(3, Input::Submit(last)), forwarded, "there is room for one");
    let beyond = run.bundle(3, b"beyond");
    let from = ReplicaId(3);
    let refusal = Rejection { from, seq: None, corrupt_vote: false, reason: Reason::Overloaded };
    assert_eq!(run.step(3, Input::Submit(beyond)), [Effect::Reject(refusal)]);
    assert_eq!(run.status(3).requests_waiting, 65_536);
}
