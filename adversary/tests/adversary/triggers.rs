//! Conditions: by slot, view, peer, kind and time.

use crate::bench::{bench, bench_in_view, sent, to_all, to_each};
use kernel::{Micros, Wire as _};

#[test]
fn by_slot() {
    let mut bench = bench(1, &["drop=1[seq=2..4]"]);
    let sent: Vec<u64> = (1..=5)
        .flat_map(|seq| {
            let prepare = bench.prepare(seq);
            bench.send_or_hold(&prepare)
        })
        .map(|(_, message)| message.seq().unwrap().0)
        .collect();
    assert_eq!(sent, [1, 4, 5]);
}

#[test]
fn by_peer() {
    let mut bench = bench(1, &["drop=1[to=0;3]"]);
    let prepare = bench.prepare(1);
    assert_eq!(bench.send_or_hold(&prepare), to_each(&[2], &prepare));
}

#[test]
fn by_kind() {
    let mut bench = bench(1, &["withhold[kind=commit;checkpoint]"]);
    let prepare = bench.prepare(1);
    assert_eq!(bench.send_or_hold(&prepare), to_all(&prepare));
    let commit = bench.vote(1, kernel::Phase::Commit, 1, kernel::Digest::ZERO);
    assert_eq!(bench.send_or_hold(&pbft::Message::Vote(commit)), []);
}

#[test]
fn by_time() {
    let mut bench = bench(1, &["drop=1[after=2ms][until=4ms]"]);
    let prepare = bench.prepare(1);
    let sent = [1, 2, 3, 4].map(|millis| {
        bench.now = Micros::from_millis(millis);
        bench.send_or_hold(&prepare).len()
    });
    assert_eq!(sent, [1, 0, 0, 1]);
}

#[test]
fn by_view() {
    let prepare = bench(1, &[]).prepare(1);
    let sent = [0, 1, 2].map(|view| bench_in_view(1, &["drop=1[view=1]"], view).send_or_hold(&prepare).len());
    assert_eq!(sent, [1, 0, 1]);
}

#[test]
fn offline_with_conditions_neither_hears_nor_says_what_they_cover() {
    let mut bench = bench(1, &["offline[to=0][kind=prepare]"]);
    let prepare = bench.prepare(1);
    assert!(bench.deliver(0, &prepare).is_empty());
    assert_eq!(bench.node.inner().received, 0);
    assert_eq!(sent(&bench.deliver(2, &prepare)), to_each(&[2, 3], &prepare));
    assert!(!bench.node.is_offline(&bench.cluster, Micros(0)), "not altogether");
}

#[test]
fn offline_by_time_comes_back() {
    let mut bench = bench(1, &["offline[after=1ms][until=3ms]"]);
    let prepare = bench.prepare(1);
    for (millis, off) in [(0, false), (1, true), (2, true), (3, false)] {
        bench.now = Micros::from_millis(millis);
        assert_eq!(bench.node.is_offline(&bench.cluster, bench.now), off);
        assert_eq!(bench.send_or_hold(&prepare).is_empty(), off);
    }
}
