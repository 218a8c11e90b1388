//! Behaviours that change no word: lost, late, repeated, old.

use crate::bench::{bench, sent, timers, to_all, to_each};
use adversary::{Adversary, Timer};
use kernel::{Digest, Effect, Input, Micros, Phase, ReplicaId, Wire as _};
use pbft::Message;

#[test]
fn without_behaviours_the_node_is_its_replica() {
    let mut bench = bench(1, &[]);
    let start = bench.step(Input::Start);
    assert_eq!(timers(&start), [(Timer::Inner { instance: 0, timer: 0 }, Micros(1))]);
    let prepare = bench.prepare(1);
    let effects = bench.deliver(3, &prepare);
    assert_eq!(effects.len(), 2);
    assert_eq!(sent(&effects), to_all(&prepare));
}

#[test]
fn duplicate_sends_twice() {
    let prepare = bench(1, &[]).prepare(1);
    let mut always = bench(1, &["duplicate"]);
    assert_eq!(always.send_or_hold(&prepare), [to_each(&[0, 2, 3], &prepare), to_all(&prepare)].concat());
    assert_eq!(bench(1, &["duplicate=0"]).send_or_hold(&prepare), to_all(&prepare));
}

#[test]
fn drop_delay_and_partial_do_what_they_say() {
    let prepare = bench(1, &[]).prepare(1);
    assert_eq!(bench(1, &["drop=1"]).send_or_hold(&prepare), []);
    assert_eq!(bench(1, &["withhold"]).send_or_hold(&prepare), []);
    assert_eq!(bench(1, &["partial=2"]).send_or_hold(&prepare), to_all(&prepare), "a vote is not served");
    let mut late = bench(1, &["delay=5ms", "delay=2ms"]);
    let effects = late.deliver(3, &prepare);
    assert_eq!(sent(&effects), []);
    assert_eq!(timers(&effects), [(Timer::Release(0), Micros(7000))]);
    assert_eq!(sent(&late.expire(Timer::Release(0))), to_all(&prepare));
    assert_eq!(sent(&late.expire(Timer::Release(0))), []);
    let proposal = bench(0, &[]).proposal(1, 1);
    assert_eq!(bench(0, &["partial=2"]).send_or_hold(&proposal), to_each(&[2], &proposal));
    let odd = bench(0, &["partial"]).send_or_hold(&proposal);
    assert_eq!(odd, to_each(&[1, 3], &proposal), "the odd nodes");
}

#[test]
fn reorder_holds_each_message_a_time_of_its_own() {
    let mut bench = bench(1, &["reorder=8ms"]);
    let mut held = Vec::new();
    let mut at_once = 0;
    for seq in 1..=40 {
        let prepare = bench.prepare(seq);
        let effects = bench.deliver(3, &prepare);
        at_once += sent(&effects).len();
        held.extend(timers(&effects));
    }
    assert_eq!(held.len() + at_once, 3 * 40, "one by one");
    assert!(at_once > 0 && held.iter().all(|(_, after)| *after <= Micros(8000)));
    let mut times: Vec<Micros> = held.iter().map(|(_, after)| *after).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 8, "nine steps, one of which is at once");
    assert_eq!(sent(&bench.expire(held[0].0)).len(), 1);
}

#[test]
fn replay_sends_what_was_said_and_heard_before() {
    let mut bench = bench(1, &["replay=1"]);
    let (first, second) = (bench.prepare(1), bench.prepare(2));
    // What is received is recorded before it is repeated: the bench's crier says it.
    assert_eq!(bench.send_or_hold(&first), [to_all(&first), to_all(&first)].concat());
    let sent = bench.send_or_hold(&second);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].1 == first || sent[0].1 == second);
    assert_eq!(sent[1..], to_all(&second)[..]);
}

#[test]
fn what_is_recorded_stays_bounded() {
    let mut bench = bench(1, &["replay=1"]);
    let size = |bench: &crate::bench::Bench| format!("{:?}", bench.node).len();
    let mut sizes = Vec::new();
    for seq in 1..=2000 {
        let prepare = bench.prepare(seq + 1_000_000);
        bench.send_or_hold(&prepare);
        sizes.push(size(&bench));
    }
    assert!(sizes[1999] <= sizes[100] + 64, "{} then {}", sizes[100], sizes[1999]);
}

#[test]
fn flood_says_useless_things_in_bursts_that_go_on() {
    let mut bench = bench(1, &["flood=1000"]);
    let start = bench.step(Input::Start);
    assert_eq!(timers(&start)[1..], [(Timer::Tick(0), Micros::from_millis(10))]);
    let burst = bench.expire(Timer::Tick(0));
    assert_eq!(sent(&burst).len(), 10);
    assert_eq!(timers(&burst), [(Timer::Tick(0), Micros::from_millis(10))]);
    let mut admission = bench.admission();
    for (_, message) in sent(&burst) {
        assert!(admission.admit(ReplicaId(1), message.clone()).is_ok(), "plausible: {message:?}");
    }
    let prepare = bench.prepare(77);
    bench.send_or_hold(&prepare);
    let repeated = (0..10).flat_map(|_| sent(&bench.expire(Timer::Tick(0)))).any(|(_, m)| m == prepare);
    assert!(repeated, "what was received is part of it");
}

#[test]
fn flood_obeys_its_conditions() {
    let mut bench = bench(1, &["flood[kind=fetch][to=2][until=50ms]"]);
    bench.step(Input::Start);
    let kinds: Vec<_> = (0..20).flat_map(|_| sent(&bench.expire(Timer::Tick(0)))).collect();
    assert!(!kinds.is_empty());
    assert!(kinds.iter().all(|(to, m)| m.kind() == "fetch" && *to == kernel::To::One(ReplicaId(2))));
    bench.now = Micros::from_millis(50);
    assert_eq!(bench.expire(Timer::Tick(0)), [], "over, and the timer is not set again");
}

#[test]
fn view_change_spam_demands_views_in_good_form() {
    let mut bench = bench(1, &["view-change-spam=20ms"]);
    assert_eq!(timers(&bench.step(Input::Start))[1..], [(Timer::Tick(0), Micros::from_millis(20))]);
    let demanded = sent(&bench.expire(Timer::Tick(0)));
    let views: Vec<u64> = demanded
        .iter()
        .map(|(_, message)| match message {
            Message::ViewChange(change) => change.view.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(views, [1, 2]);
    for (_, message) in demanded {
        bench.admission().admit(ReplicaId(1), message).expect("well formed");
    }
}

#[test]
fn a_mac_attack_hands_the_commander_requests_that_are_authentic_for_it_alone() {
    let mut bench = bench(1, &["mac-attack=20ms"]);
    bench.cluster.protocol = "pbft-mac-requests".into();
    assert_eq!(timers(&bench.step(Input::Start))[1..], [(Timer::Tick(0), Micros::from_millis(20))]);
    for at_ms in [20, 40] {
        bench.now = Micros::from_millis(at_ms);
        let (to, message) = match &sent(&bench.expire(Timer::Tick(0)))[..] {
            [one] => one.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(to, kernel::To::One(ReplicaId(0)));
        let admitted_by = |id: usize| {
            let mut admission = bench.admission().of_receiver(&bench.signers[id]);
            admission.admit(ReplicaId(1), message.clone()).is_ok()
        };
        assert_eq!([0, 1, 2, 3].map(admitted_by), [true, false, false, false]);
        let Message::Requests(bundle) = message else { panic!("{message:?}") };
        assert_eq!(bundle.requests()[0].counter, at_ms * 1000, "each is a new one");
    }
    // As commander it hands such a request to its own replica, which tells all of it here.
    let mut bench = self::bench(0, &["mac-attack"]);
    bench.cluster.protocol = "pbft-mac-requests".into();
    bench.step(Input::Start);
    let submitted = sent(&bench.expire(Timer::Tick(0)));
    let [(kernel::To::All, message @ Message::Requests(_))] = &submitted[..] else { panic!("{submitted:?}") };
    let admitted_by = |id: usize| {
        bench.admission().of_receiver(&bench.signers[id]).admit(ReplicaId(0), message.clone()).is_ok()
    };
    assert_eq!([0, 1, 2, 3].map(admitted_by), [true, false, false, false]);
}

#[test]
fn behaviours_that_act_by_themselves_begin_when_the_host_rouses_them() {
    let mut bench = bench(1, &[]);
    bench.step(Input::Start);
    bench.node.set_behaviours(vec!["flood".parse().unwrap()]);
    let changed = bench.expire(Adversary::<crate::bench::Crier>::BEHAVIOURS_CHANGED);
    assert_eq!(timers(&changed), [(Timer::Tick(0), Micros::from_millis(10))]);
    bench.node.set_behaviours(vec![]);
    assert_eq!(bench.expire(Timer::Tick(0)), []);
}

#[test]
fn behaviours_combine_in_the_order_given() {
    let prepare = bench(1, &[]).prepare(1);
    assert_eq!(bench(1, &["duplicate", "drop=1"]).send_or_hold(&prepare), []);
    let mut lying = bench(1, &["malicious", "duplicate[to=2]", "drop=1[to=3]"]);
    let lie = match lying.send_or_hold(&prepare)[..] {
        [(_, Message::Vote(ref lie)), ..] => lie.clone(),
        ref other => panic!("{other:?}"),
    };
    assert_ne!(lie.digest, Digest::of(b"batch"));
    assert_eq!((lie.phase, lie.author), (Phase::Prepare, ReplicaId(1)));
    let lie = Message::Vote(lie);
    lying.admission().admit(ReplicaId(1), lie.clone()).expect("correctly signed");
    assert_eq!(lying.send_or_hold(&prepare), to_each(&[0, 2, 2], &lie));
    let mut off = bench(1, &["duplicate", "offline"]);
    assert!(off.deliver(3, &prepare).is_empty());
    assert!(matches!(off.step(Input::Start)[..], [Effect::SetTimer { .. }]));
}
