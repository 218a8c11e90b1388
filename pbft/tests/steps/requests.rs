//! Which requests a replica knows of, and what it does with them.

use crate::bench::{Bench, Pbft, asks_all, batch, bench, bench_of, cluster, first_slot, to_all, to_one};
use apps::OpaqueLog;
use kernel::{
    Effect, Input, Mark, Micros, Phase, Protocol as _, Reason, Rejection, ReplicaId, Seq, To, View,
};
use pbft::{CertificateKind, Config, Message, NewView, Replica, Timer, ViewChange};
use std::slice;
use std::sync::Arc;

fn usual() -> Config {
    Config::for_cluster(4)
}

/// Slots proposed, and how many requests are in each.
fn proposed(effects: &[Effect<Pbft>]) -> Vec<(u64, usize)> {
    let proposed = effects.iter().filter_map(|effect| match effect {
        Effect::Mark(Mark::Proposed { seq, requests, .. }) => Some((seq.0, *requests)),
        _ => None,
    });
    proposed.collect()
}

#[test]
fn what_is_executed_is_watched_over_no_more() {
    let mut bench = bench(3, usual());
    let (first, second) = (bench.request(3), bench.request(3));
    let forward = |bundle| to_one(0, Message::Requests(bundle));
    let after = Micros(usual().request_after.0 / 2);
    let view_timer = Effect::SetTimer { timer: Timer::View, after };
    let resend = Effect::SetTimer { timer: Timer::Resend, after: usual().resend_after };
    assert_eq!(bench.submit(&first), [forward(first.clone()), view_timer.clone(), resend]);
    assert_eq!(bench.submit(&second), [forward(second.clone())]);
    let effects = bench.order(&[first]);
    assert_eq!(effects.last(), Some(&view_timer), "the next one is waited for");
    let effects = bench.order(&[second]);
    assert_eq!(effects.last(), Some(&Effect::CancelTimer(Timer::View)));
}

#[test]
fn an_executed_bundle_is_neither_queued_nor_passed_on_again() {
    let mut bench = bench(0, usual());
    let request = bench.request(2);
    let effects = bench.deliver(2, Message::Requests(request.clone()));
    assert_eq!(proposed(&effects), [(1, 1)]);
    let slot = first_slot(slice::from_ref(&request));
    bench.decide(slot);
    let effects = bench.deliver(2, Message::Requests(request));
    assert!(matches!(effects[..], [Effect::Reply { .. }]), "{effects:?}");
}

#[test]
fn a_bundle_that_the_commander_knows_from_others_goes_to_all_when_its_gateway_hands_it_over() {
    let mut bench = bench(0, usual());
    let (known, new) = (bench.request(0), bench.request(0));
    let effects = bench.deliver(2, Message::Requests(known.clone()));
    assert_eq!(proposed(&effects), [(1, 1)]);
    let effects = bench.submit(&known);
    assert_eq!(effects[0], to_all(Message::Requests(known)));
    assert_eq!(proposed(&effects), [], "it is proposed once");
    assert!(!asks_all(&bench.submit(&new)));
}

#[test]
fn a_commander_whose_view_is_over_forgets_what_waited_for_a_slot() {
    let mut bench = bench(0, usual());
    let window = usual().window;
    for _ in 0..window + 3 {
        let request = bench.request(2);
        bench.deliver(2, Message::Requests(request));
    }
    assert_eq!(bench.replica.status(&bench.cluster).requests_waiting, 3);
    bench.begin_view(View(1));
    assert_eq!(bench.replica.status(&bench.cluster).requests_waiting, 0);
}

/// The NEW-VIEW among the effects.
fn new_view(effects: &[Effect<Pbft>]) -> &NewView {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::NewView(new_view) } => Some(new_view),
        _ => None,
    });
    found.expect("a view begins")
}

#[test]
fn a_new_commander_proposes_once_what_was_prepared_and_then_what_waits() {
    let mut bench = bench(1, usual());
    let (prepared, waiting) = (bench.request(1), bench.request(1));
    bench.submit(&prepared);
    bench.submit(&waiting);
    let (slot, _) = bench.propose(&[prepared]);
    for author in [2, 3] {
        let vote = bench.vote(author, Phase::Prepare, slot);
        bench.deliver(author, Message::Vote(vote));
    }
    bench.step(Input::Expire(Timer::View));
    bench.step(Input::Expire(Timer::View));
    let certificate = Arc::new(bench.certificate(CertificateKind::Prepared, slot));
    let mut effects = Vec::new();
    for author in [2, 3] {
        let signer = &bench.signers[author];
        let prepared = vec![Arc::clone(&certificate)];
        let change = ViewChange::sign(&bench.cluster, signer, View(1), None, prepared, vec![]);
        effects = bench.deliver(author as u16, Message::ViewChange(Arc::new(change)));
    }
    let again: Vec<_> =
        new_view(&effects).proposals.iter().map(|header| (header.seq, header.digest)).collect();
    assert_eq!(again, [(slot.seq, slot.digest)]);
    let rest = Effect::Mark(Mark::Proposed {
        view: Some(View(1)),
        seq: slot.seq.next(),
        digest: batch(&[waiting]).digest(),
        requests: 1,
        communication_node: None,
    });
    assert_eq!(proposed(&effects), [(2, 1)]);
    assert!(effects.contains(&rest), "{effects:?}");
}

#[test]
fn a_commander_that_is_one_again_goes_on_with_what_waited() {
    let mut bench = bench(0, usual());
    for _ in 0..usual().window {
        let request = bench.request(2);
        bench.deliver(2, Message::Requests(request));
    }
    let waiting = bench.request(2);
    bench.deliver(2, Message::Requests(Arc::clone(&waiting)));
    let mut effects = Vec::new();
    for author in [1, 2] {
        let change = bench.view_change(author, View(4), None);
        effects = bench.deliver(author, Message::ViewChange(Arc::new(change)));
    }
    let goes_on = Effect::Mark(Mark::Proposed {
        view: Some(View(4)),
        seq: Seq(1),
        digest: batch(&[waiting]).digest(),
        requests: 1,
        communication_node: None,
    });
    assert!(effects.contains(&goes_on), "{effects:?}");
}

/// Requests of one gateway that may wait.
const MOST_WAITING: u64 = 65_536;

/// Whether a commander takes so many more requests of this gateway.
fn takes(bench: &mut Bench, gateway: u16, requests: u64) -> bool {
    let bundle = bench.bundle(gateway, requests, 1);
    let effects = bench.deliver(gateway, Message::Requests(bundle));
    let refused = Effect::Reject(Rejection {
        from: ReplicaId(gateway),
        seq: None,
        corrupt_vote: false,
        reason: Reason::Overloaded,
    });
    !effects.contains(&refused)
}

#[test]
fn so_many_requests_of_each_gateway_wait_at_a_commander_and_no_more() {
    // While it recovers its memory it proposes nothing.
    let mut bench = bench_of(cluster(4), 0, Replica::recovering(usual(), OpaqueLog::default()));
    assert!(takes(&mut bench, 2, MOST_WAITING - 1));
    assert!(!takes(&mut bench, 2, 2));
    assert!(takes(&mut bench, 2, 1));
    assert!(!takes(&mut bench, 2, 1));
    assert!(takes(&mut bench, 3, 1), "each gateway has a queue of its own");
    assert_eq!(bench.replica.status(&bench.cluster).requests_waiting as u64, MOST_WAITING + 1);
}

#[test]
fn what_is_proposed_makes_room_for_as_many_requests() {
    let mut bench = bench(0, usual());
    let (window, most) = (usual().window, usual().batch_max as u64);
    let first = bench.bundle(2, most, 1);
    let slot = first_slot(slice::from_ref(&first));
    bench.deliver(2, Message::Requests(first));
    for _ in 1..window {
        assert!(takes(&mut bench, 2, most));
    }
    for _ in 0..MOST_WAITING / most {
        assert!(takes(&mut bench, 2, most));
    }
    assert!(!takes(&mut bench, 2, 1));
    assert_eq!(proposed(&bench.decide(slot)), [(window + 1, most as usize)]);
    assert!(!takes(&mut bench, 2, most + 1));
    assert!(takes(&mut bench, 2, most));
    assert!(!takes(&mut bench, 2, 1));
}
