//! How long a commander may let requests wait.

use crate::bench::{Bench, SMALL, asks_all, batch, bench, bench_of, cluster, first_slot, left_for};
use apps::OpaqueLog;
use kernel::{Input, Micros, View};
use pbft::{Config, Message, Replica, Timer};
use std::slice;

/// An eighth of the request timer.
const SHARE: u64 = 50_000;

fn usual() -> Config {
    Config::for_cluster(4)
}

/// Lets the commander propose this replica's next request after so long. Whether it is left then.
fn wait(bench: &mut Bench, idle: u64) -> bool {
    let request = bench.request(3);
    bench.submit(&request);
    bench.now.0 += idle;
    left_for(&bench.order(&[request])).is_some()
}

/// Whether this gateway's next request goes to all.
fn suspects(bench: &mut Bench) -> bool {
    let request = bench.request(3);
    asks_all(&bench.submit(&request))
}

/// Asserts how long the commander may let requests wait: it is suspected when it takes four
/// times as long.
fn assert_limit(limit: u64, prepared: impl Fn() -> Bench) {
    let suspects = |idle: u64| {
        let mut bench = prepared();
        wait(&mut bench, idle);
        suspects(&mut bench)
    };
    assert_eq!([4 * limit - 1, 4 * limit].map(suspects), [false, true], "limit {limit}");
}

#[test]
fn the_limit_is_eight_decision_times_but_within_the_share_of_the_request_timer_and_twice_that() {
    for (decision, limit) in [(0, SHARE), (5_000, SHARE), (10_000, 80_000), (20_000, 2 * SHARE)] {
        assert_limit(limit, || {
            let mut bench = bench(3, usual());
            let request = bench.request(3);
            bench.submit(&request);
            bench.now.0 += 1;
            let (slot, _) = bench.propose(&[request]);
            bench.now.0 += decision;
            bench.decide(slot);
            bench
        });
    }
}

#[test]
fn bytes_that_wait_take_their_time_until_they_are_executed() {
    let suspects = |first: usize, waiting: usize, idle: u64| {
        let mut bench = bench(3, usual());
        let (first, waiting) = (bench.bundle(3, 1, first), bench.bundle(3, 1, waiting));
        bench.submit(&first);
        bench.submit(&waiting);
        bench.order(&[first]);
        bench.now.0 += idle;
        bench.order(&[waiting]);
        suspects(&mut bench)
    };
    // 10 MB/s: 100 kB take 10 ms.
    for (waiting, limit) in [(SMALL, SHARE), (100_000, SHARE + 10_000), (250_000, SHARE + 25_000)] {
        for first in [SMALL, 200_000] {
            let verdicts = [4 * limit - 1, 4 * limit].map(|idle| suspects(first, waiting, idle));
            assert_eq!(verdicts, [false, true], "{waiting} bytes wait, {first} are executed");
        }
    }
}

#[test]
fn the_limit_doubles_where_a_commander_was_late_before_the_view_began() {
    for (idle, limit) in [(SHARE, SHARE), (SHARE + 1, 2 * SHARE)] {
        assert_limit(limit, || {
            let mut bench = bench(3, usual());
            let request = bench.request(3);
            bench.submit(&request);
            bench.now.0 += idle;
            // It is proposed, but nobody votes.
            bench.propose(slice::from_ref(&request));
            bench.begin_view(View(1));
            bench.order(&[request]);
            bench
        });
    }
}

#[test]
fn nobody_is_left_for_what_the_request_timer_tells_as_well() {
    // The limit is the whole request timer, and half of it.
    let left = [1, 2].map(|late_share| {
        let mut bench = bench(3, Config { late_share, ..usual() });
        let limit = usual().request_after.0 / late_share;
        [(); 4].map(|()| wait(&mut bench, 4 * limit))
    });
    assert_eq!(left, [[false; 4], [false, false, false, true]]);
}

#[test]
fn with_a_share_of_zero_no_commander_is_late() {
    let mut bench = bench(3, Config { late_share: 0, ..usual() });
    assert_eq!([(); 8].map(|()| wait(&mut bench, 100 * usual().request_after.0)), [false; 8]);
    assert!(!suspects(&mut bench));
}

/// The commander has nothing to propose then.
#[test]
fn no_time_is_idle_in_which_all_that_waits_was_executed_in_other_bundles() {
    let mut bench = bench(3, usual());
    for _ in 0..5 {
        let [both, alone] = bench.overlapping(3);
        bench.submit(&alone);
        bench.order(&[both]);
        bench.now.0 += 4 * SHARE;
        let next = bench.request(1);
        assert_eq!(left_for(&bench.order(&[next])), None);
    }
    assert!(!suspects(&mut bench));
}

#[test]
fn a_commander_does_not_measure_itself() {
    // It lost its memory: it proposes nothing, and learns what it had proposed before.
    let mut bench = bench_of(cluster(4), 0, Replica::recovering(usual(), OpaqueLog::default()));
    let request = bench.request(0);
    assert!(!asks_all(&bench.submit(&request)));
    bench.now.0 += 100 * SHARE;
    let slot = first_slot(slice::from_ref(&request));
    bench.decide(slot);
    bench.deliver(1, Message::Fetched { seq: slot.seq, batch: batch(&[request]) });
    assert_eq!(bench.replica.core().last_executed(), slot.seq);
    let next = bench.request(0);
    assert!(!asks_all(&bench.submit(&next)));
}

#[test]
fn a_commander_that_was_left_is_not_measured() {
    let mut bench = bench(3, usual());
    let request = bench.request(3);
    bench.submit(&request);
    bench.step(Input::Expire(Timer::View));
    let effects = bench.step(Input::Expire(Timer::View));
    assert_eq!(left_for(&effects), Some(View(1)));
    assert_eq!([(); 8].map(|()| wait(&mut bench, 4 * SHARE)), [false; 8]);
}

/// What a replica has measured.
fn measured(bench: &Bench) -> [serde_json::Value; 2] {
    let replica = serde_json::to_value(&bench.replica).unwrap();
    ["pace", "fairness"].map(|part| replica["core"][part].clone())
}

#[test]
fn where_no_time_is_lent_nothing_is_measured() {
    let mut bench = bench(3, usual());
    bench.now = Micros(0);
    let before = measured(&bench);
    let (request, other) = (bench.request(3), bench.request(2));
    bench.submit(&request);
    assert_eq!(measured(&bench), before);
    bench.deliver(2, Message::Requests(other.clone()));
    let (slot, _) = bench.propose(&[request, other]);
    assert_eq!(measured(&bench), before);
    bench.decide(slot);
    assert_eq!(measured(&bench), before);
}
