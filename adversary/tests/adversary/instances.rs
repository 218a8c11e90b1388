//! Amnesia and twins.

use crate::bench::{bench, sent, timers, to_each};
use adversary::Timer;
use kernel::{Effect, Input, Micros};

#[test]
fn amnesia_forgets_once_after_a_vote() {
    let mut bench = bench(1, &["amnesia[seq=2..]"]);
    bench.step(Input::Start);
    let (first, second, third) = (bench.prepare(1), bench.prepare(2), bench.prepare(3));
    bench.send_or_hold(&first);
    assert_eq!(bench.node.inner().received, 1);
    let effects = bench.deliver(3, &second);
    assert_eq!(sent(&effects).len(), 1, "the vote itself goes out");
    assert_eq!(timers(&effects), [(Timer::Inner { instance: 1, timer: 0 }, Micros(1))], "it starts anew");
    assert_eq!(bench.node.inner().received, 0);
    bench.expire(Timer::Inner { instance: 0, timer: 0 });
    assert_eq!(bench.node.inner().rang, 0, "a timer of the instance before means nothing");
    bench.expire(Timer::Inner { instance: 1, timer: 0 });
    assert_eq!(bench.node.inner().rang, 1);
    bench.send_or_hold(&third);
    assert_eq!(bench.node.inner().received, 1, "only once");
}

#[test]
fn amnesia_needs_a_vote() {
    let mut bench = bench(0, &["amnesia"]);
    let proposal = bench.proposal(1, 1);
    bench.send_or_hold(&proposal);
    assert_eq!(bench.node.inner().received, 1);
}

#[test]
fn twins_are_told_apart_by_whom_they_talk_to() {
    let mut bench = bench(2, &["twins"]);
    let start = bench.step(Input::Start);
    let instances = [0, 1].map(|instance| (Timer::Inner { instance, timer: 0 }, Micros(1)));
    assert_eq!(timers(&start), instances);
    let (even, odd) = (bench.prepare(1), bench.prepare(2));
    let effects = bench.deliver(0, &even);
    assert_eq!(sent(&effects), to_each(&[0], &even));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Mark(_))));
    let effects = bench.deliver(1, &odd);
    assert_eq!(sent(&effects), to_each(&[1, 3], &odd));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Mark(_))), "the first speaks for both");
    assert_eq!(bench.node.inner().received, 1);
    let bundle = bench.bundle(1);
    let submitted = sent(&bench.step(Input::Submit(bundle)));
    assert_eq!(submitted.len(), 3, "its own clients talk to both: {submitted:?}");
    bench.expire(Timer::Inner { instance: 1, timer: 0 });
    assert_eq!(bench.node.inner().rang, 0);
}

#[test]
fn the_second_twin_lives_as_long_as_its_conditions_hold() {
    let mut bench = bench(2, &["twins=1[after=1ms][until=2ms]"]);
    let prepare = bench.prepare(1);
    bench.step(Input::Start);
    assert_eq!(sent(&bench.deliver(1, &prepare)).len(), 1, "to all");
    bench.now = Micros::from_millis(1);
    let born = bench.deliver(1, &prepare);
    assert_eq!(timers(&born), [(Timer::Inner { instance: 1, timer: 0 }, Micros(1))]);
    assert_eq!(sent(&born), to_each(&[1], &prepare));
    bench.now = Micros::from_millis(2);
    let received = bench.node.inner().received;
    bench.deliver(1, &prepare);
    assert_eq!(bench.node.inner().received, received + 1, "there is one copy again");
}
