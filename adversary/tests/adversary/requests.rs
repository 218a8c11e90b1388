//! What becomes of requests on their way to a faulty replica.

use crate::bench::{Crier, bench, sent, timers, to_all};
use adversary::{Adversary, Timer};
use kernel::{Digest, Input, Micros, Phase};
use pbft::Message;

#[test]
fn requests_of_an_ignored_gateway_do_not_get_in_whoever_hands_them_over() {
    for (ignored, reach_it) in
        [("ignore-gateway=2", false), ("ignore-gateway=0;1;3", true), ("ignore-gateway", true)]
    {
        let mut bench = bench(0, &[ignored]);
        let requests = Message::Requests(bench.bundle(1));
        for from in 1..4 {
            assert_eq!(sent(&bench.deliver(from, &requests)).len(), usize::from(reach_it), "{ignored}");
        }
        let prepare = Message::Vote(bench.vote(3, Phase::Prepare, 1, Digest::of(b"batch")));
        assert_eq!(sent(&bench.deliver(2, &prepare)), to_all(&prepare), "{ignored}: nothing else");
    }
}

#[test]
fn a_client_s_requests_are_ignored_or_held_like_a_gateway_s_and_never_the_node_s_own() {
    // The bundle is node 2's: here it plays a client.
    for (id, behaviour, submitted, held) in
        [(0, "ignore-gateway=2", 0, 0), (0, "gateway-last=60ms;2", 0, 1), (2, "ignore-gateway=2", 1, 0)]
    {
        let mut bench = bench(id, &[behaviour]);
        let effects = bench.step(Input::Submit(bench.bundle(1)));
        assert_eq!((bench.node.inner().submitted, timers(&effects).len()), (submitted, held), "{behaviour}");
        for (timer, _) in timers(&effects) {
            bench.expire(timer);
            assert_eq!(bench.node.inner().submitted, 1);
        }
    }
}

#[test]
fn requests_of_the_last_gateway_get_in_later_in_their_order() {
    let mut bench = bench(0, &["gateway-last=60ms;2"]);
    let requests = [1, 2].map(|number| Message::Requests(bench.bundle(number)));
    let mut held = Vec::new();
    for message in &requests {
        let effects = bench.deliver(1, message);
        assert_eq!((sent(&effects), bench.node.inner().received), (vec![], 0));
        held.extend(timers(&effects));
    }
    assert_eq!(held, [0, 1].map(|number| (Timer::Release(number), Micros::from_millis(60))));
    for (message, (timer, _)) in requests.iter().zip(held) {
        assert_eq!(sent(&bench.expire(timer)), to_all(message));
        assert_eq!(sent(&bench.expire(timer)), [], "once");
    }
    let default = self::bench(0, &["gateway-last=0;2"]).deliver(1, &requests[0]);
    assert_eq!(timers(&default)[0].1, Micros::from_millis(300));
}

#[test]
fn with_small_batches_the_replica_gets_a_bundle_when_it_has_proposed_the_last_one() {
    let mut bench = bench(0, &[]);
    let crier = Crier { keeps_requests: true, ..Crier::default() };
    bench.node = Adversary::new(crier, vec!["small-batches[until=1s]".parse().unwrap()]);
    for number in 1..=2 {
        let requests = Message::Requests(bench.bundle(number));
        bench.deliver(1, &requests);
    }
    bench.step(Input::Submit(bench.bundle(3)));
    assert_eq!((bench.node.inner().received, bench.node.inner().submitted), (1, 0));
    // A vote is no request: it gets in, and with this replica nothing waits afterwards.
    let prepare = Message::Vote(bench.vote(3, Phase::Prepare, 1, Digest::of(b"batch")));
    bench.deliver(2, &prepare);
    assert_eq!((bench.node.inner().received, bench.node.inner().submitted), (3, 0));
    bench.now = Micros::from_millis(1000);
    bench.deliver(2, &prepare);
    assert_eq!((bench.node.inner().received, bench.node.inner().submitted), (4, 1), "all, when it is over");
}
