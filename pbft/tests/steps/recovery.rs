//! A replica that lost its memory, and what the others do for it.

use crate::bench::{Bench, Effects, Pbft, Slot, bench, bench_of, cluster, to_all, to_one};
use apps::OpaqueLog;
use kernel::{
    Batch, Effect, Input, Mark, Micros, Phase, Protocol as _, Reason, Rejection, ReplicaId, Seq, View,
};
use pbft::{Config, Message, Recollection, Replica, StableCheckpoint, Timer};
use std::sync::Arc;

/// Slots between two checkpoints.
const INTERVAL: u64 = 2;

fn config() -> Config {
    Config { checkpoint_interval: INTERVAL, window: 100, ..Config::for_cluster(4) }
}

/// The last replica of so many, which has lost its memory, and the nonce of its question.
fn recovering(n: u16) -> (Bench, u64) {
    let replica = Replica::recovering(config(), OpaqueLog::default());
    let mut bench = bench_of(cluster(n), n - 1, replica);
    let effects = bench.step(Input::Start);
    let [Effect::Send { message: Message::Recover { nonce }, .. }, timer] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(effects[0], to_all(Message::Recover { nonce: *nonce }));
    assert_eq!(*timer, Effect::SetTimer { timer: Timer::Resend, after: config().resend_after });
    (bench, *nonce)
}

/// What `author` answers to the question: its checkpoint, and the views of VIEW-CHANGEs of
/// replicas 0, 1 and so on.
fn answer(
    bench: &mut Bench,
    author: u16,
    (nonce, asker): (u64, u16),
    stable: Option<Arc<StableCheckpoint>>,
    views: &[u64],
) -> Effects {
    let change = |(id, view): (u16, &u64)| Arc::new(bench.view_change(id, View(*view), None));
    let changes = (0..).zip(views).map(change).collect();
    let signer = &bench.signers[usize::from(author)];
    let answer = Recollection::sign(&bench.cluster, signer, (nonce, ReplicaId(asker)), stable, changes);
    bench.deliver(author, Message::Recollection(Arc::new(answer)))
}

/// Null requests are executed up to this slot, and each checkpoint becomes stable. Returns
/// with which checkpoint the replica had recovered, and from which view it votes.
fn execute_up_to(bench: &mut Bench, last: u64) -> Option<(u64, View)> {
    let mut recovered = None;
    for seq in bench.replica.core().last_executed().0 + 1..=last {
        let mut effects = bench.order(&[]);
        if seq % INTERVAL == 0 {
            let proof = bench.own_proof().unwrap();
            effects.extend(bench.deliver(0, Message::Stable(proof)));
        }
        recovered = recovered.or(effects.iter().find_map(|effect| match effect {
            Effect::Mark(Mark::Recovered { view: Some(view) }) => Some((seq, *view)),
            _ => None,
        }));
    }
    recovered
}

/// Proof of the state after so many null requests.
fn proof_after(slots: u64) -> Option<Arc<StableCheckpoint>> {
    let mut other = bench(3, config());
    execute_up_to(&mut other, slots);
    other.own_proof()
}

#[test]
fn it_votes_again_four_intervals_beyond_the_highest_checkpoint_and_two_views_beyond_what_was_wanted() {
    let (mut bench, nonce) = recovering(4);
    answer(&mut bench, 0, (nonce, 3), None, &[3, 5]);
    answer(&mut bench, 1, (nonce, 3), None, &[9]);
    answer(&mut bench, 2, (nonce, 3), proof_after(INTERVAL), &[]);
    // f+1 wanted view 3 or a later one, and one replica's word for view 9 proves nothing.
    assert_eq!(execute_up_to(&mut bench, 20), Some((INTERVAL + 4 * INTERVAL, View(3 + 2))));
}

#[test]
fn of_two_replicas_the_other_one_s_answer_is_enough() {
    let (mut bench, nonce) = recovering(2);
    answer(&mut bench, 0, (nonce, 1), None, &[]);
    assert_eq!(execute_up_to(&mut bench, 20), Some((4 * INTERVAL, View(2))));
}

#[test]
fn an_answer_to_another_question_or_to_another_replica_does_not_count() {
    let (mut bench, nonce) = recovering(4);
    let refused = [Effect::Reject(Rejection {
        from: ReplicaId(1),
        seq: None,
        corrupt_vote: false,
        reason: Reason::Duplicate,
    })];
    assert_eq!(answer(&mut bench, 1, (nonce.wrapping_add(1), 3), None, &[]), refused);
    assert_eq!(answer(&mut bench, 1, (nonce, 2), None, &[]), refused);
    for author in [0, 2] {
        assert_eq!(answer(&mut bench, author, (nonce, 3), None, &[]), []);
    }
    assert_eq!(execute_up_to(&mut bench, 20), None, "two have answered");
}

/// Whether it votes for what the commander proposes next.
fn votes(bench: &mut Bench) -> bool {
    let (slot, effects) = bench.propose(&[]);
    let vote = bench.vote(3, Phase::Prepare, slot);
    bench.decide(slot);
    effects.contains(&to_all(Message::Vote(vote)))
}

#[test]
fn it_votes_neither_while_it_recovers_nor_in_views_in_which_it_may_have_voted() {
    let (mut bench, nonce) = recovering(4);
    bench.begin_view(View(5));
    assert!(!votes(&mut bench));
    for author in 0..3 {
        answer(&mut bench, author, (nonce, 3), None, &[5, 5]);
    }
    assert!(!votes(&mut bench));
    assert_eq!(execute_up_to(&mut bench, 8), Some((4 * INTERVAL, View(7))));
    assert!(!votes(&mut bench));
    execute_up_to(&mut bench, 10);
    bench.begin_view(View(6));
    assert!(!votes(&mut bench));
    execute_up_to(&mut bench, 12);
    bench.begin_view(View(8));
    assert!(votes(&mut bench));
}

/// Replica 1 asks, having lost its memory. Whether the commander owes null requests then.
fn owed(bench: &mut Bench, nonce: u64) -> bool {
    let effects = bench.deliver(1, Message::Recover { nonce });
    let after = Micros(config().request_after.0 / 2);
    let timer: Effect<Pbft> = Effect::SetTimer { timer: Timer::View, after };
    match &effects[..] {
        [Effect::Send { message: Message::Recollection(_), .. }] => false,
        [Effect::Send { message: Message::Recollection(_), .. }, set] if *set == timer => true,
        other => panic!("{other:?}"),
    }
}

/// At which checkpoints null requests are owed for questions with these nonces.
fn owed_at(questions: &[(u64, u64)]) -> Vec<bool> {
    let mut bench = bench(3, config());
    let ask = |(slot, nonce): &(u64, u64)| {
        execute_up_to(&mut bench, *slot);
        owed(&mut bench, *nonce)
    };
    questions.iter().map(ask).collect()
}

#[test]
fn null_requests_are_owed_for_five_intervals_after_each_loss_of_memory() {
    assert_eq!(owed_at(&[(0, 1), (8, 1), (10, 1)]), [true, true, false]);
    assert_eq!(owed_at(&[(0, 1), (10, 2), (18, 2), (20, 2)]), [true, true, true, false], "lost again");
    // Another loss counts from when the first one is paid for.
    assert_eq!(owed_at(&[(0, 1), (8, 2), (10, 2), (18, 2), (20, 2)]), [true, true, true, true, false]);
}

/// Replica 1 asks the commander. Null requests are proposed and executed, and checkpoints
/// become stable, until there are no more: after which slot.
fn proposed_up_to(bench: &mut Bench, nonce: u64) -> u64 {
    let mut effects = bench.deliver(1, Message::Recover { nonce });
    loop {
        let executed = bench.replica.core().last_executed().0;
        if bench.replica.status(&bench.cluster).slots_in_flight == 0 {
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Mark(Mark::Proposed { .. }))));
            return executed;
        }
        let slot = Slot { seq: Seq(executed + 1), digest: Batch::default().digest(), view: View(0) };
        effects = bench.decide(slot);
        if slot.seq.0.is_multiple_of(INTERVAL) {
            let proof = bench.own_proof().unwrap();
            effects = bench.deliver(2, Message::Stable(proof));
        }
    }
}

#[test]
fn a_commander_orders_null_requests_for_ten_intervals_after_each_loss_of_memory_and_no_more() {
    let mut bench = bench(0, config());
    assert_eq!(proposed_up_to(&mut bench, 1), 5 * INTERVAL);
    assert_eq!(proposed_up_to(&mut bench, 1), 10 * INTERVAL);
    assert_eq!(proposed_up_to(&mut bench, 1), 10 * INTERVAL);
    assert_eq!(proposed_up_to(&mut bench, 2), 15 * INTERVAL);
}

#[test]
fn whoever_asks_is_answered_with_the_stable_checkpoint_and_not_by_one_that_recovers_itself() {
    let mut bench = bench(3, config());
    execute_up_to(&mut bench, INTERVAL);
    let about = (7, ReplicaId(1));
    let answer = Recollection::sign(&bench.cluster, &bench.signers[3], about, bench.own_proof(), vec![]);
    let effects = bench.deliver(1, Message::Recover { nonce: 7 });
    assert_eq!(effects[0], to_one(1, Message::Recollection(Arc::new(answer))));
    let (mut other, _) = recovering(4);
    assert_eq!(other.deliver(1, Message::Recover { nonce: 7 }), []);
}
