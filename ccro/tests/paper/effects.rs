//! Exact effects, input by input.

use crate::by_hand::{Hand, Published};
use crate::expected::*;
use ccro::TrustTable;
use ccro::paper::{Attempt, Message, Step, Timer};
use kernel::{Batch, Digest, Effect, Mark, Path, Phase, Reason, ReplicaId, Seq, To, View, ViewMark};
use std::sync::Arc;

#[test]
fn a_consensus_node_s_round() {
    let mut run = Hand::new(4);
    let batch = Arc::new(Batch { bundles: vec![run.bundle(2, b"a")] });
    let d = batch.digest();
    let request = request(&run, 0, FIRST, &batch);
    assert_eq!(run.deliver_one(0, 3, request), [received(0, Phase::PrePrepare, d), accepted(d), watch(1)]);
    let ask = statement(&run, 1, Step::PrePrepare, FIRST, d);
    let vote = statement(&run, 3, Step::Prepare, FIRST, d);
    assert_eq!(
        run.deliver_one(1, 3, Message::Step(ask)),
        [
            received(1, Phase::Prepare, d),
            Effect::Mark(Mark::Voted { phase: Phase::Prepare, view: Some(View(0)), seq: Seq(1), digest: d }),
            send(1, Message::Step(vote)),
        ]
    );
    let announcement = statement(&run, 1, Step::Commit, FIRST, d);
    let effects = run.deliver_one(1, 3, Message::Step(announcement));
    let committed = Mark::Committed { view: Some(View(0)), seq: Seq(1), digest: d, path: Path::Direct };
    assert_eq!(effects[..2], [received(1, Phase::Commit, d), Effect::Mark(committed)]);
    let reply = effects.last().unwrap();
    let to_commander = To::One(ReplicaId(0));
    assert!(
        matches!(reply, Effect::Send { to, message: Message::Reply { header, bundles } }
            if *to == to_commander && *header == statement(&run, 3, Step::Reply, FIRST, d) && bundles.len() == 1),
        "{reply:?}"
    );
    let store = Message::store(
        &run.cluster,
        &run.signers[0],
        (Seq(1), FIRST),
        batch,
        Arc::new(TrustTable::default()),
    );
    assert_eq!(
        run.deliver_one(0, 3, store),
        [roles(2, 0, 1, &[5_000; 4]), Effect::CancelTimer(Timer::Round),]
    );
}

#[test]
fn the_communication_node_announces_once_on_enough_votes() {
    // f = 1: three votes.
    let mut run = Hand::new(6);
    let batch = Arc::new(Batch { bundles: vec![run.bundle(2, b"a")] });
    let d = batch.digest();
    let request = request(&run, 0, FIRST, &batch);
    let asked = run.deliver_one(0, 1, request);
    let ask = statement(&run, 1, Step::PrePrepare, FIRST, d);
    let sent: Vec<_> = asked.into_iter().filter(is_send).collect();
    assert_eq!(sent, [2, 3, 4, 5].map(|id| send(id, Message::Step(ask.clone()))));
    let mut after = Vec::new();
    for voter in 2..6 {
        let vote = Message::Step(statement(&run, voter, Step::Prepare, FIRST, d));
        after.push(run.deliver_one(voter, 1, vote).into_iter().filter(is_send).collect::<Vec<_>>());
    }
    let announcement = statement(&run, 1, Step::Commit, FIRST, d);
    let announced = [2, 3, 4, 5].map(|id| send(id, Message::Step(announcement.clone())));
    assert_eq!(after, [vec![], vec![], announced.to_vec(), vec![]]);
}

#[test]
fn a_commander_whose_round_is_late_runs_it_again_with_the_next_in_trust() {
    let mut run = Hand::new(4);
    run.submit(0, b"a");
    let batch = Arc::new(Batch { bundles: vec![run.bundle(0, b"a")] });
    let rerun = |commander_gives_up: Vec<Effect<Published>>, run: &Hand, from, to, attempt, doublings| {
        let proposed = Mark::Proposed {
            view: Some(View(0)),
            seq: Seq(1),
            digest: batch.digest(),
            requests: 1,
            communication_node: Some(ReplicaId(to)),
        };
        let expected = [
            Effect::Mark(Mark::View(ViewMark::Rotated { from: ReplicaId(from), to: ReplicaId(to) })),
            Effect::Mark(proposed),
            Effect::Send { to: To::All, message: request(run, 0, attempt, &batch) },
            wait(doublings),
        ];
        assert_eq!(commander_gives_up, expected);
    };
    let late = run.expire(0);
    rerun(late, &run, 1, 2, SECOND, 2);
    // With f = 0, two failed communication nodes are enough: it steps aside.
    let aside = [
        Effect::Mark(Mark::View(ViewMark::LeftFor { view: View(1) })),
        send(1, Message::Requests(run.bundle(0, b"a"))),
        watch(2),
    ];
    assert_eq!(run.expire(0), aside);
}

#[test]
fn a_node_whose_commander_is_silent_turns_to_the_next_in_trust() {
    let mut run = Hand::new(4);
    let submitted = run.submit(3, b"a");
    let forwarded = Message::Requests(run.bundle(3, b"a"));
    assert_eq!(submitted, [send(0, forwarded.clone()), watch(1)]);
    let suspected = [
        Effect::Mark(Mark::View(ViewMark::LeftFor { view: View(1) })),
        send(0, Message::Fetch { next: Seq(1) }),
        send(1, forwarded.clone()),
        watch(2),
    ];
    assert_eq!(run.expire(3), suspected);
    // The next in trust finds out for itself, and is commander then.
    assert_eq!(run.deliver_one(3, 1, forwarded.clone()), [send(0, forwarded), watch(1)]);
    let sent: Vec<_> = run.expire(1).into_iter().filter(is_send).collect();
    let batch = Arc::new(Batch { bundles: vec![run.bundle(3, b"a")] });
    let takeover = request(&run, 1, Attempt { takeovers: 1, replacements: 0 }, &batch);
    assert_eq!(sent[1..], [Effect::Send { to: To::All, message: takeover }]);
}

#[test]
fn a_later_attempt_holds_and_an_earlier_one_counts_no_more() {
    let mut run = Hand::new(4);
    let batch = Arc::new(Batch { bundles: vec![run.bundle(0, b"a")] });
    let d = batch.digest();
    // The new communication node's PRE-PREPARE is faster than the REQUEST.
    let ask = Message::Step(statement(&run, 2, Step::PrePrepare, SECOND, d));
    run.deliver_one(0, 3, request(&run, 0, FIRST, &batch));
    assert_eq!(run.deliver_one(2, 3, ask), []);
    let effects = run.deliver_one(0, 3, request(&run, 0, SECOND, &batch));
    let vote = Message::Step(statement(&run, 3, Step::Prepare, SECOND, d));
    assert!(effects.contains(&send(2, vote)), "{effects:?}");
    let old = Message::Step(statement(&run, 1, Step::Commit, FIRST, d));
    assert_eq!(run.deliver_one(1, 3, old), []);
    assert!(run.logs[3].is_empty());
    // Nor is what the earlier attempt was about held against anybody.
    let other = Arc::new(Batch { bundles: vec![run.bundle(0, b"b")] });
    assert_eq!(run.deliver_one(0, 3, request(&run, 0, FIRST, &other)), []);
}

#[test]
fn a_step_of_one_attempt_is_no_step_of_another() {
    use kernel::Admission;
    let run = Hand::new(4);
    let mut vote = statement(&run, 2, Step::Prepare, FIRST, Digest::of(b"a"));
    let mut admission = Admission::new(run.cluster.clone(), run.keyring.clone());
    assert!(admission.admit(ReplicaId(2), Message::Step(vote.clone())).is_ok());
    vote.attempt = SECOND;
    let refused = admission.admit(ReplicaId(2), Message::Step(vote)).unwrap_err();
    assert_eq!(refused.reason, Reason::BadSignature);
}

#[test]
fn a_step_of_a_node_without_the_role_is_refused() {
    let mut run = Hand::new(4);
    let batch = Arc::new(Batch { bundles: vec![run.bundle(0, b"a")] });
    let d = batch.digest();
    for (author, step) in [(2, Step::Commit), (0, Step::PrePrepare), (1, Step::Prepare), (0, Step::Prepare)] {
        let message = Message::Step(statement(&run, author, step, FIRST, d));
        assert_eq!(run.deliver_one(author, 3, message), [refused(author, Reason::NotEntitled)], "{step:?}");
    }
    let message = request(&run, 1, FIRST, &batch);
    assert_eq!(run.deliver_one(1, 3, message), [refused(1, Reason::NotEntitled)]);
}

#[test]
fn who_has_executed_a_block_votes_for_no_other() {
    let mut run = Hand::new(4);
    let block = |operation| Arc::new(Batch { bundles: vec![run.bundle(0, operation)] });
    let (a, b) = (block(b"a"), block(b"b"));
    run.deliver_one(0, 3, request(&run, 0, FIRST, &a));
    let announcement = Message::Step(statement(&run, 1, Step::Commit, FIRST, a.digest()));
    run.deliver_one(1, 3, announcement);
    assert_eq!(run.logs[3].len(), 1);
    let rerun = request(&run, 0, SECOND, &b);
    assert_eq!(run.deliver_one(0, 3, rerun), [refused(0, Reason::ConflictingProposal), watch(2)]);
    let ask = Message::Step(statement(&run, 2, Step::PrePrepare, SECOND, b.digest()));
    assert!(!run.deliver_one(2, 3, ask).iter().any(is_send));
}

#[test]
fn a_store_is_signed_with_its_table() {
    use kernel::{Admission, Wire as _};
    let run = Hand::new(2);
    let store = |trust: [u16; 2]| store(&run, 0, (1, FIRST), &Arc::default(), &trust);
    let mut admission = Admission::new(run.cluster.clone(), run.keyring.clone());
    let honest = store([6_000, 5_000]);
    assert!(admission.admit(ReplicaId(0), honest.clone()).is_ok());
    let Message::Store { header, batch, .. } = honest else { panic!() };
    let forged = Message::Store { header, batch, trust: table(&[5_000, 6_000]) };
    assert_eq!(forged.kind(), "store");
    assert_eq!(admission.admit(ReplicaId(0), forged).unwrap_err().reason, Reason::BadSignature);
    let absurd = store([6_000, 20_000]);
    assert_eq!(admission.admit(ReplicaId(0), absurd).unwrap_err().reason, Reason::MalformedCertificate);
}
