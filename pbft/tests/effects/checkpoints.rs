//! Checkpoint votes, and for how long the states after checkpoints are kept.

use super::helpers::*;
use super::*;

/// A checkpoint after every slot.
fn at_every_slot() -> Bench {
    let config = Config { checkpoint_interval: 1, ..small_config() };
    bench_of(1, Replica::new(config, OpaqueLog::default()))
}

/// The next slot is decided, and the state after it becomes stable.
fn go_on(bench: &mut Bench) {
    let seq = bench.replica.core().last_executed().0 + 1;
    let state = state_in(&bench.decide_null(seq..=seq));
    for author in [0, 2] {
        let vote = bench.checkpoint(author, seq, state);
        bench.deliver(author, vote);
    }
    assert_eq!(bench.replica.status(&bench.cluster).views.unwrap().stable_checkpoint, Seq(seq));
}

/// Whether a peer that asks for the state after a slot gets it. If not, it gets the proof of
/// the stable checkpoint.
fn serves(bench: &mut Bench, seq: u64) -> bool {
    let effects = bench.deliver(3, Message::FetchState { seq: Seq(seq), index: 0 });
    match &effects[..] {
        [Effect::Send { to: To::One(ReplicaId(3)), message: Message::State { seq: of, .. } }] => {
            assert_eq!(*of, Seq(seq));
            true
        }
        [Effect::Send { to: To::One(ReplicaId(3)), message: Message::Stable(_) }] => false,
        _ => panic!("{effects:?}"),
    }
}

#[test]
fn four_states_are_kept_of_those_that_nobody_fetches() {
    let mut bench = at_every_slot();
    for _ in 0..10 {
        go_on(&mut bench);
    }
    // Whatever is asked for is kept from then on, so each is asked of another copy.
    let kept = (1..=10).filter(|seq| serves(&mut copy(&bench), *seq));
    assert_eq!(kept.collect::<Vec<_>>(), [7, 8, 9, 10]);
}

fn copy(bench: &Bench) -> Bench {
    bench_of(bench.id, bench.replica.clone())
}

#[test]
fn a_state_is_kept_while_a_peer_fetches_it_for_up_to_64_checkpoints_without_a_request() {
    let mut bench = at_every_slot();
    go_on(&mut bench);
    for _ in 0..2 {
        assert!(serves(&mut bench, 1));
        for _ in 0..64 {
            go_on(&mut bench);
        }
    }
    assert!(serves(&mut copy(&bench), 1));
    go_on(&mut bench);
    assert!(!serves(&mut bench, 1));
}

#[test]
fn a_state_is_kept_for_no_more_than_1024_checkpoints_though_a_peer_goes_on_to_ask_for_it() {
    let mut bench = at_every_slot();
    go_on(&mut bench);
    for checkpoint in 0..1024 {
        assert!(checkpoint % 60 > 0 || serves(&mut bench, 1), "checkpoint {checkpoint}");
        go_on(&mut bench);
    }
    assert!(serves(&mut bench, 1));
    go_on(&mut bench);
    assert!(!serves(&mut bench, 1));
}

#[test]
fn checkpoint_votes_count_up_to_two_intervals_beyond_what_is_kept_and_once_for_each_author() {
    let mut bench = small(1);
    let (state, other) = (Digest::of(b"state"), Digest::of(b"other"));
    let highest = 4 * INTERVAL;
    for seq in [highest, highest + 1] {
        for author in [0, 2] {
            let vote = bench.checkpoint(author, seq, state);
            assert_eq!(bench.deliver(author, vote), []);
        }
    }
    let second = bench.checkpoint(2, highest, other);
    assert_eq!(bench.deliver(2, second), [refused(2, Reason::ConflictingVote)]);
    let beyond = bench.checkpoint(3, highest + 1, state);
    assert_eq!(bench.deliver(3, beyond), [], "it is not counted");
    let third = bench.checkpoint(3, highest, state);
    let stable = Effect::Mark(Mark::View(ViewMark::Stable { seq: Seq(highest) }));
    assert_eq!(bench.deliver(3, third), [stable, resend_timer()]);
}

#[test]
fn a_replica_whose_state_is_wrong_does_not_repeat_what_it_said_of_later_ones() {
    let mut bench = small(1);
    bench.decide_null(1..=2 * INTERVAL);
    let says = |effects: &Effects| {
        let vote = |effect: &Effect<Pbft>| match effect {
            Effect::Send { message: Message::Checkpoint(vote), .. } => Some(vote.seq.0),
            _ => None,
        };
        effects.iter().filter_map(vote).collect::<Vec<_>>()
    };
    // The first time, it notes only that there is no progress since.
    bench.expire(Timer::Resend);
    assert_eq!(says(&bench.expire(Timer::Resend)), [INTERVAL, 2 * INTERVAL]);
    bench.deliver(0, Message::Stable(bench.stable(INTERVAL, Digest::of(b"another state"))));
    assert!(bench.replica.core().has_diverged());
    assert_eq!(says(&bench.expire(Timer::Resend)), []);
}
