//! Whether a commander treats gateways alike, and fills its batches.

use crate::bench::{Bench, SMALL, asks_all, bench, left_for};
use kernel::{Bundle, View};
use pbft::{Config, Message};
use std::sync::Arc;

/// How long a bundle waits before it is noticed whether others go first.
const LIMIT: u64 = 50_000;
/// Requests in a full batch.
const MOST: u64 = 4;
/// Bytes in a full batch.
const MOST_BYTES: usize = 100;

/// Replica 3, whose own gateway's requests are followed.
fn backup(checkpoint_interval: u64) -> Bench {
    let small = Config::for_cluster(4);
    let (batch_max, batch_bytes_max) = (MOST as usize, MOST_BYTES);
    bench(3, Config { batch_max, batch_bytes_max, checkpoint_interval, ..small })
}

/// A bundle of this gateway waits for so long, while a slot that was begun before it is
/// decided. Returns whether it went to all.
fn wait(bench: &mut Bench, bundle: &Arc<Bundle>, time: u64) -> bool {
    let earlier = bench.request(1);
    let (slot, _) = bench.propose(&[earlier]);
    let sent_to_all = asks_all(&bench.submit(bundle));
    bench.now.0 += time;
    bench.decide(slot);
    sent_to_all
}

/// One request after the other is executed in time. Returns how many of them went to all.
fn in_time(bench: &mut Bench, requests: usize) -> usize {
    let mut sent_to_all = 0;
    for _ in 0..requests {
        let request = bench.request(3);
        sent_to_all += usize::from(wait(bench, &request, LIMIT / 5));
        assert_eq!(left_for(&bench.order(&[request])), None);
    }
    sent_to_all
}

/// A request is executed after so long, and after another one that came later. Returns
/// whether it went to all, and whether the commander is left.
fn passed_over(bench: &mut Bench, time: u64) -> (bool, bool) {
    let (request, later) = (bench.request(3), bench.request(1));
    let sent_to_all = wait(bench, &request, time);
    bench.order(&[later]);
    (sent_to_all, left_for(&bench.order(&[request])).is_some())
}

fn suspects(bench: &mut Bench) -> bool {
    let request = bench.request(3);
    asks_all(&bench.submit(&request))
}

/// Gateway, requests and bytes of each.
type Shape = (u16, u64, usize);

/// Whether a bundle of this shape that waits long counts as passed over, when these batches
/// are executed before it.
fn counts(own: (u64, usize), batches: &[&[Shape]]) -> bool {
    let mut bench = backup(128);
    let own = bench.bundle(3, own.0, own.1);
    wait(&mut bench, &own, 4 * LIMIT);
    for shapes in batches {
        let bundle = |(gateway, requests, bytes): &Shape| bench.bundle(*gateway, *requests, *bytes);
        let bundles: Vec<Arc<Bundle>> = shapes.iter().map(bundle).collect();
        bench.order(&bundles);
    }
    bench.order(&[own]);
    suspects(&mut bench)
}

#[test]
fn a_bundle_that_fits_into_half_a_batch_is_passed_over_by_one_that_is_not_half_full() {
    let (half, half_bytes) = (MOST / 2, MOST_BYTES / 2);
    assert!(!counts((1, SMALL), &[]), "the slot that was begun before does not count");
    assert!(counts((1, SMALL), &[&[(1, half - 1, SMALL)]]));
    assert!(!counts((1, SMALL), &[&[(1, half, SMALL)]]), "half of the requests");
    assert!(counts((1, SMALL), &[&[(1, 1, half_bytes - 1)]]));
    assert!(!counts((1, SMALL), &[&[(1, 1, half_bytes)]]), "half of the bytes");
    assert!(counts((half, SMALL), &[&[(1, 1, SMALL)]]));
    assert!(!counts((half + 1, SMALL), &[&[(1, 1, SMALL)]]), "more than half of the requests");
    assert!(counts((1, half_bytes), &[&[(1, 1, SMALL)]]));
    assert!(!counts((1, half_bytes + 1), &[&[(1, 1, SMALL)]]), "more than half of the bytes");
}

#[test]
fn a_gateway_is_passed_over_that_has_nothing_in_more_slots_in_a_row_than_there_are_gateways() {
    const FULL: &[Shape] = &[(1, MOST, SMALL)];
    const BOTH: &[Shape] = &[(1, MOST - 1, SMALL), (3, 1, SMALL)];
    assert!(!counts((1, SMALL), &[FULL; 4]));
    assert!(counts((1, SMALL), &[FULL; 5]));
    assert!(!counts((1, SMALL), &[[FULL; 4].as_slice(), &[BOTH], &[FULL; 4]].concat()));
    assert!(counts((1, SMALL), &[[FULL; 4].as_slice(), &[BOTH], &[FULL; 5]].concat()));
}

/// Both gateways' bundles wait; that of this gateway has waited for `time` when a slot is
/// executed, and much longer when the next one is.
fn counts_after(time: u64) -> bool {
    let mut bench = backup(128);
    let (other, later) = (bench.request(1), bench.request(2));
    bench.deliver(1, Message::Requests(other));
    let (slot, _) = bench.propose(&[later]);
    bench.now.0 += LIMIT;
    let own = bench.request(3);
    bench.submit(&own);
    bench.now.0 += time;
    bench.decide(slot);
    let later = bench.request(2);
    let (slot, _) = bench.propose(&[later]);
    bench.now.0 += 10 * LIMIT;
    bench.decide(slot);
    bench.order(&[own]);
    suspects(&mut bench)
}

#[test]
fn slots_count_from_the_first_one_after_more_than_the_limit() {
    assert_eq!([LIMIT, LIMIT + 1].map(counts_after), [false, true]);
}

#[test]
fn a_commander_that_passes_over_a_gateway_four_times_for_long_is_left() {
    let mut bench = backup(128);
    let seen = [(); 4].map(|()| passed_over(&mut bench, 4 * LIMIT));
    assert_eq!(seen, [(false, false), (true, false), (true, false), (true, true)]);
}

#[test]
fn a_bundle_that_was_executed_in_another_one_is_followed_no_more() {
    let mut bench = backup(128);
    let [both, alone] = bench.overlapping(3);
    bench.submit(&alone);
    bench.order(&[both]);
    passed_over(&mut bench, 4 * LIMIT);
    assert!(suspects(&mut bench), "the next bundle was followed, and waited for four limits");
}

#[test]
fn what_only_the_commander_knows_and_serves_in_time_is_no_help() {
    let mut bench = backup(10_000);
    assert_eq!(in_time(&mut bench, 64), 0);
    // Late once, by one limit: that is 1 of the 4 with which requests go to all.
    assert_eq!([(); 4].map(|()| passed_over(&mut bench, LIMIT + 1)), [(false, false); 4]);
    assert!(suspects(&mut bench));
}

#[test]
fn after_many_requests_in_time_that_all_knew_of_the_commander_is_tried_with_what_it_alone_knows() {
    let mut bench = backup(10_000);
    passed_over(&mut bench, 4 * LIMIT);
    for trial_after in [64, 128] {
        assert_eq!(in_time(&mut bench, trial_after), trial_after);
        // One more late request is enough to go back to all.
        assert_eq!(passed_over(&mut bench, LIMIT + 1), (false, false));
    }
    assert_eq!(in_time(&mut bench, 1), 1);
}

#[test]
fn the_limit_doubles_where_a_gateway_was_passed_over_before_the_view_began() {
    let suspected = |passes_over: bool, idle: u64| {
        let mut bench = backup(4);
        if passes_over {
            passed_over(&mut bench, LIMIT + 1);
        } else {
            in_time(&mut bench, 1);
        }
        while bench.replica.core().last_executed().0 < 4 {
            bench.order(&[]);
        }
        bench.begin_view(View(1));
        let request = bench.request(3);
        bench.submit(&request);
        bench.now.0 += idle;
        bench.order(&[request]);
        suspects(&mut bench)
    };
    for (passes_over, limit) in [(false, LIMIT), (true, 2 * LIMIT)] {
        let verdicts = [4 * limit - 1, 4 * limit].map(|idle| suspected(passes_over, idle));
        assert_eq!(verdicts, [false, true], "passes over: {passes_over}");
    }
}
