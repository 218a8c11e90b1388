//! What is sent again when nothing moves, to whom, and after which time.

use crate::bench::{Bench, Effects, Pbft, Slot, bench, bench_of, cluster, left_for, to_all, to_one};
use apps::OpaqueLog;
use kernel::{Effect, Input, Micros, Phase, Reason, Rejection, ReplicaId, Seq, View};
use pbft::{Config, Message, Replica, Timer};
use std::sync::Arc;

/// The window: slots that a replica may be behind its peers without being left behind.
const WINDOW: u64 = 4;

fn backup() -> Bench {
    bench(3, Config { window: WINDOW, ..Config::for_cluster(4) })
}

fn expire(bench: &mut Bench) -> Effects {
    bench.step(Input::Expire(Timer::Resend))
}

/// The resend timer is started, doubled so often.
fn timer(doublings: u32) -> Effect<Pbft> {
    let after = Micros(Config::for_cluster(4).resend_after.0 << doublings);
    Effect::SetTimer { timer: Timer::Resend, after }
}

fn progress(view: u64, executed: u64) -> Message {
    Message::Progress { view: View(view), executed: Seq(executed) }
}

/// It has executed a slot, and has told all of it.
fn at_rest() -> Bench {
    let mut bench = backup();
    bench.order(&[]);
    assert_eq!(expire(&mut bench), [timer(0)], "there was progress");
    assert_eq!(expire(&mut bench), [to_all(progress(0, 1)), timer(0)]);
    bench
}

#[test]
fn who_says_that_it_is_behind_learns_how_far_this_replica_is() {
    let mut bench = backup();
    bench.order(&[]);
    bench.order(&[]);
    assert_eq!(bench.deliver(1, progress(0, 1)), [to_one(1, progress(0, 2))]);
    assert_eq!(bench.deliver(1, progress(0, 2)), []);
    assert_eq!(bench.deliver(1, progress(0, 3)), []);
}

#[test]
fn at_rest_those_are_told_who_never_said_that_they_have_executed_as_much() {
    let mut bench = at_rest();
    let told = |id: u16| to_one(id, progress(0, 1));
    assert_eq!(expire(&mut bench), [told(0), told(1), told(2), timer(1)]);
    bench.deliver(0, progress(0, 1));
    bench.deliver(1, progress(0, 0));
    bench.deliver(2, progress(0, 2));
    assert_eq!(expire(&mut bench), [told(1), timer(2)]);
    bench.deliver(1, progress(0, 1));
    assert_eq!(expire(&mut bench), [], "all have said so");
}

#[test]
fn a_replica_that_has_executed_nothing_tells_nobody() {
    let mut bench = backup();
    assert_eq!(bench.step(Input::Start), []);
    assert_eq!(expire(&mut bench), []);
}

#[test]
fn the_requests_in_a_stuck_slot_are_watched_over() {
    let mut bench = backup();
    let bundle = bench.request(2);
    bench.propose(&[Arc::clone(&bundle)]);
    let stuck = |seq, complaint| Message::Stuck { seq: Seq(seq), complaint, votes: vec![] };
    let half = Micros(Config::for_cluster(4).request_after.0 / 2);
    let watched = Effect::SetTimer { timer: Timer::View, after: half };
    assert!(!expire(&mut bench).contains(&watched), "who alone is stuck is behind, or cut off");
    bench.deliver(1, stuck(2, true));
    assert!(!expire(&mut bench).contains(&watched), "of another slot");
    bench.deliver(1, stuck(1, false));
    assert!(!expire(&mut bench).contains(&watched), "no complaint");
    bench.deliver(1, stuck(1, true));
    assert!(expire(&mut bench).contains(&watched), "nobody else may watch over them");
    let effects = bench.step(Input::Expire(Timer::View));
    assert!(effects.contains(&to_all(Message::Requests(bundle))), "{effects:?}");
    assert_eq!(left_for(&bench.step(Input::Expire(Timer::View))), Some(View(1)));
}

#[test]
fn only_complaints_of_slots_that_may_be_stuck_are_kept() {
    let mut bench = backup();
    bench.order(&[]);
    let before = bench.replica.clone();
    let highest = bench.replica.core().highest_kept();
    for seq in [Seq(1), highest.next()] {
        bench.deliver(1, Message::Stuck { seq, complaint: true, votes: vec![] });
        assert!(bench.replica == before, "slot {seq}");
    }
    bench.deliver(1, Message::Stuck { seq: highest, complaint: true, votes: vec![] });
    assert!(bench.replica != before);
}

#[test]
fn who_fetches_a_state_watches_over_nothing_until_it_has_it() {
    let mut bench = backup();
    let bundle = bench.request(2);
    bench.propose(&[bundle]);
    bench.deliver(1, Message::Stuck { seq: Seq(1), complaint: true, votes: vec![] });
    let proof = bench.proof(64, kernel::Digest::of(b"state"));
    bench.deliver(1, Message::Stable(proof));
    let watched = |effect: &Effect<Pbft>| matches!(effect, Effect::SetTimer { timer: Timer::View, .. });
    assert!(!expire(&mut bench).iter().any(watched), "it is behind");
}

#[test]
fn without_progress_the_time_doubles_five_times_and_a_new_view_begins_with_the_first_one() {
    let mut bench = backup();
    bench.propose(&[]);
    let last = |bench: &mut Bench| expire(bench).pop();
    for doublings in [1, 2, 3, 4, 5, 5] {
        assert_eq!(last(&mut bench), Some(timer(doublings)));
    }
    bench.begin_view(View(1));
    bench.propose(&[]);
    assert_eq!(last(&mut bench), Some(timer(1)));
}

#[test]
fn work_that_comes_up_at_rest_starts_the_timer_anew() {
    let mut bench = at_rest();
    assert_eq!(expire(&mut bench).pop(), Some(timer(1)));
    let (_, effects) = bench.propose(&[]);
    assert_eq!(effects.last(), Some(&timer(0)));
    assert_eq!(expire(&mut bench).pop(), Some(timer(1)));
}

#[test]
fn whoever_makes_progress_sends_nothing_unless_it_is_more_than_a_window_behind() {
    // Of two peers that say so, one is honest.
    for (ahead, sent) in [(1 + WINDOW, vec![]), (2 + WINDOW, vec![to_all(progress(0, 1))])] {
        let mut bench = backup();
        bench.deliver(0, progress(0, 100));
        bench.deliver(1, progress(0, ahead));
        bench.order(&[]);
        let effects = expire(&mut bench);
        let is_progress =
            |effect: &&Effect<Pbft>| matches!(effect, Effect::Send { message: Message::Progress { .. }, .. });
        let found: Vec<_> = effects.iter().filter(is_progress).cloned().collect();
        assert_eq!(found, sent, "two are at slot {ahead}");
    }
}

#[test]
fn who_sees_votes_of_a_later_view_says_where_it_is_though_it_makes_progress() {
    let mut bench = at_rest();
    let (slot, _) = bench.propose(&[]);
    let later = Slot { view: View(3), ..slot };
    let vote = bench.vote(1, Phase::Commit, later);
    let wrong_view =
        Rejection { from: ReplicaId(1), seq: Some(slot.seq), corrupt_vote: false, reason: Reason::WrongView };
    assert_eq!(bench.deliver(1, Message::Vote(vote)), [Effect::Reject(wrong_view)]);
    bench.decide(slot);
    assert_eq!(expire(&mut bench), [to_all(progress(0, 2)), timer(0)]);
    // Once: it has no other reason to believe so.
    let to_each = [0, 1, 2].map(|id| to_one(id, progress(0, 2)));
    assert_eq!(expire(&mut bench)[..3], to_each);
}

#[test]
fn who_has_left_its_view_says_so_again_though_it_makes_progress() {
    let mut bench = backup();
    let (slot, _) = bench.propose(&[]);
    let request = bench.request(3);
    bench.submit(&request);
    bench.step(Input::Expire(Timer::View));
    let effects = bench.step(Input::Expire(Timer::View));
    assert_eq!(left_for(&effects), Some(View(1)));
    let is_change =
        |effect: &&Effect<Pbft>| matches!(effect, Effect::Send { message: Message::ViewChange(_), .. });
    let change = effects.iter().find(is_change).cloned();
    bench.decide(slot);
    assert_eq!(expire(&mut bench).iter().find(is_change).cloned(), change);
}

#[test]
fn in_a_later_view_too_those_at_rest_are_told_one_by_one() {
    let mut bench = at_rest();
    bench.begin_view(View(1));
    bench.order(&[]);
    for _ in 0..2 {
        expire(&mut bench);
    }
    let to_each = [0, 1, 2].map(|id| to_one(id, progress(1, 2)));
    assert_eq!(expire(&mut bench)[..3], to_each);
}

#[test]
fn requests_of_its_own_gateway_and_of_clients_go_to_the_commander_again() {
    let replica = Replica::new(Config::for_cluster(4), OpaqueLog::default());
    let mut bench = bench_of(cluster(4).with_clients(1), 3, replica);
    let (own, other, client) = (bench.request(3), bench.request(2), bench.request(4));
    bench.submit(&own);
    bench.deliver(2, Message::Requests(other));
    bench.submit(&client);
    expire(&mut bench);
    let again = |bundle| to_one(0, Message::Requests(bundle));
    assert_eq!(expire(&mut bench), [again(own), again(client), timer(2)]);
}
