//! Requests: whom they are sent to, who watches over them, and null requests.

use super::helpers::*;
use super::*;
use kernel::Micros;

/// Half the request timer.
fn half() -> u64 {
    small_config().request_after.0 / 2
}

#[test]
fn a_gateway_s_bundle_goes_to_the_commander_and_to_all_when_it_is_asked_for_again() {
    let mut bench = small(1);
    let bundle = bench.bundle(1, 1, 1);
    let forward = to_one(0, Message::Requests(Arc::clone(&bundle)));
    let effects = bench.step(Input::Submit(Arc::clone(&bundle)));
    assert_eq!(effects, [forward.clone(), view_timer(half()), resend_timer()]);
    let effects = bench.step(Input::Submit(Arc::clone(&bundle)));
    assert_eq!(effects, [to_all(Message::Requests(bundle)), forward]);
}

#[test]
fn a_commander_proposes_its_own_gateway_s_bundle_and_watches_over_it_until_it_is_executed() {
    let mut bench = small(0);
    let bundle = bench.bundle(0, 1, 1);
    let batch = Arc::new(Batch { bundles: vec![Arc::clone(&bundle)] });
    let proposed = Mark::Proposed {
        view: Some(View(0)),
        seq: Seq(1),
        digest: batch.digest(),
        requests: 1,
        communication_node: None,
    };
    let effects = bench.step(Input::Submit(Arc::clone(&bundle)));
    let proposal = to_all(bench.proposal(1, &batch));
    assert_eq!(effects, [Effect::Mark(proposed), proposal, view_timer(half()), resend_timer()]);

    let effects = bench.deliver(1, bench.committed((0, 1, batch.digest())));
    assert!(effects.contains(&Effect::CancelTimer(Timer::View)), "{effects:?}");
    let effects = bench.step(Input::Submit(Arc::clone(&bundle)));
    let to_all_again = to_all(Message::Requests(bundle));
    assert!(
        matches!(&effects[..], [sent, Effect::Reply { to: ReplicaId(0), .. }] if *sent == to_all_again),
        "{effects:?}"
    );
}

#[test]
fn a_commander_says_so_when_more_requests_of_a_gateway_wait_than_it_keeps() {
    let requests = |count: u64| small(0).bundle_of(2, &(1..=count).map(|k| (k, 1)).collect::<Vec<_>>());
    let effects = small(0).step(Input::Submit(requests(65_537)));
    assert_eq!(effects, [refused(2, Reason::Overloaded)]);
    let effects = small(0).step(Input::Submit(requests(65_536)));
    assert!(matches!(effects[0], Effect::Mark(Mark::Proposed { requests: 65_536, .. })));
}

#[test]
fn what_was_executed_as_part_of_another_bundle_is_watched_over_no_more() {
    let mut bench = small(1);
    let (one, both) = (bench.bundle(2, 1, 1), bench.bundle_of(2, &[(1, 1), (2, 1)]));
    bench.deliver(2, Message::Requests(one));
    let batch = Arc::new(Batch { bundles: vec![both] });
    bench.deliver(0, bench.proposal(1, &batch));
    bench.deliver(0, bench.committed((0, 1, batch.digest())));
    assert_eq!(bench.replica.core().last_executed(), Seq(1));
    assert_eq!(bench.expire(Timer::View), []);
}

#[test]
fn a_commander_that_orders_no_null_requests_for_who_lost_its_memory_is_left() {
    let mut bench = small(1);
    let effects = bench.deliver(3, Message::Recover { nonce: 7 });
    let answer = |effect: &Effect<Pbft>| {
        matches!(effect, Effect::Send { to: To::One(ReplicaId(3)), message: Message::Recollection(_) })
    };
    assert!(answer(&effects[0]), "{effects:?}");
    assert_eq!(effects[1..], [view_timer(half())], "a backup proposes nothing itself");
    assert_eq!(bench.expire(Timer::View), [view_timer(half())]);
    let mut expected = left_for(&bench.own_change(1));
    expected.extend([view_timer(half()), resend_timer()]);
    assert_eq!(bench.expire(Timer::View), expected);
}

#[test]
fn the_timers_double_with_a_view_that_did_not_begin_and_return_when_something_is_executed() {
    let whole = small_config().request_after;
    let mut bench = small(3);
    let first = bench.bundle(2, 1, 1);
    let requests = Message::Requests(Arc::clone(&first));
    let effects = bench.deliver(2, requests.clone());
    assert_eq!(effects, [to_one(0, requests.clone()), view_timer(half()), resend_timer()]);
    assert_eq!(bench.expire(Timer::View), [to_all(requests.clone()), view_timer(half())]);

    // It leaves, watches over the request alone, and waits for the view once a quorum does.
    let mut expected = left_for(&bench.own_change(1));
    expected.push(view_timer(half()));
    assert_eq!(bench.expire(Timer::View), expected);
    assert_eq!(bench.deliver_change(0, 1), []);
    assert_eq!(bench.deliver_change(1, 1), [view_timer(whole.0)]);

    let mut expected = left_for(&bench.own_change(2));
    expected.push(view_timer(half()));
    assert_eq!(bench.expire(Timer::View), expected);
    assert_eq!(bench.deliver_change(0, 2), []);
    assert_eq!(bench.deliver_change(1, 2), [view_timer(2 * whole.0)]);
    let mut expected = began(2).to_vec();
    expected.extend([to_one(2, requests), view_timer(whole.0)]);
    assert_eq!(bench.deliver_new_view(2), expected);

    let batch = Arc::new(Batch { bundles: vec![first] });
    bench.deliver(2, bench.proposal_in(2, 1, &batch));
    bench.deliver(0, bench.committed((2, 1, batch.digest())));
    let requests = Message::Requests(bench.bundle(1, 2, 1));
    assert_eq!(bench.deliver(1, requests.clone()), [to_one(2, requests), view_timer(half())]);
    assert_eq!(Micros(2 * half()), whole);
}
