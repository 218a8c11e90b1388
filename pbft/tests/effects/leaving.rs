//! Why a replica leaves its view, what it says then, and what others' VIEW-CHANGEs do.

use super::helpers::*;
use super::*;
use pbft::Recollection;

#[test]
fn a_person_s_wish_for_another_commander_is_a_view_change() {
    let mut bench = small(3);
    let mut expected = left_for(&bench.own_change(1));
    expected.push(resend_timer());
    assert_eq!(bench.ask_for_next_view(), expected);
    let views = bench.replica.status(&bench.cluster).views.unwrap();
    assert_eq!((views.view, views.changing_view, bench.replica.core().view()), (View(1), true, View(0)));
    assert_eq!(bench.ask_for_next_view(), left_for(&bench.own_change(2)));
}

#[test]
fn of_a_view_that_did_not_begin_nothing_is_kept() {
    let mut bench = small(3);
    bench.ask_for_next_view();
    for view in [0, 1] {
        let vote = bench.vote_on(2, Phase::Commit, (view, 1, Digest::ZERO));
        bench.deliver(2, Message::Vote(vote));
    }
    let views = |bench: &Bench| {
        let rounds = &bench.replica.core().slot(Seq(1)).unwrap().rounds;
        rounds.keys().map(|view| view.0).collect::<Vec<_>>()
    };
    assert_eq!(views(&bench), [0, 1]);
    bench.ask_for_next_view();
    assert_eq!(views(&bench), [0]);
}

#[test]
fn a_commander_that_leaves_its_view_is_followed_into_the_next_by_each_alone() {
    assert_eq!(small(3).deliver_change(1, 7), [], "any other is not");
    let mut bench = small(3);
    let mut expected = left_for(&bench.own_change(1));
    expected.push(resend_timer());
    assert_eq!(bench.deliver_change(0, 7), expected, "not as far as it says");
    // The view that this replica wants has not begun, so its commander is nobody yet.
    assert_eq!(bench.deliver_change(0, 8), []);
    let views = bench.replica.status(&bench.cluster).views.unwrap();
    assert_eq!((views.view, bench.replica.core().view()), (View(1), View(0)));
}

#[test]
fn a_commander_that_left_its_view_before_that_began_here_is_followed_when_it_begins() {
    let mut bench = small(3);
    assert_eq!(bench.deliver_change(1, 2), []);
    let changes = [0, 1, 2].map(|author| bench.change(author, 1)).to_vec();
    let new_view = Message::NewView(bench.new_view(changes, &[]));
    let mut expected = began(1).to_vec();
    expected.extend(left_for(&bench.own_change(2)));
    expected.push(resend_timer());
    assert_eq!(bench.deliver(1, new_view), expected);
}

fn a_commander_that_was_started_again_leaves() {
    let mut bench = small(0);
    let mut expected = left_for(&bench.own_change(1));
    expected.push(resend_timer());
    assert_eq!(bench.step(Input::Resume), expected);
    assert_eq!(bench.step(Input::Resume), [], "once");
    let request = bench.bundle(0, 1, 1);
    let effects = bench.step(Input::Submit(request));
    let proposes = |effect: &_| matches!(effect, Effect::Send { message: Message::PrePrepare { .. }, .. });
    assert!(!effects.iter().any(proposes), "{effects:?}");
}

#[test]
fn a_commander_that_was_started_again_proposes_nothing_more_in_its_view() {
    a_commander_that_was_started_again_leaves();
}

/// Slots up to the high watermark: it may have voted for other proposals there.
fn a_backup_that_was_started_again_casts_no_prepares_that_it_may_have_cast_before() {
    let mut bench = small(3);
    assert_eq!(bench.step(Input::Resume), []);
    let batch = bench.batch(b"x");
    let sent = |effects: Effects| -> Effects {
        effects.into_iter().filter(|effect| matches!(effect, Effect::Send { .. })).collect()
    };
    for seq in [1, 2 * INTERVAL] {
        let vote = |author, phase| bench.vote_on(author, phase, (0, seq, batch.digest()));
        let prepares = [1, 2].map(|author| Message::Vote(vote(author, Phase::Prepare)));
        let commit = Message::Vote(vote(3, Phase::Commit));
        let proposal = bench.proposal(seq, &batch);
        assert_eq!(sent(bench.deliver(0, proposal)), [], "slot {seq}");
        // But what others have prepared, it commits to.
        let [first, second] = prepares;
        assert_eq!(sent(bench.deliver(1, first)), []);
        assert_eq!(sent(bench.deliver(2, second)), [to_all(commit)]);
    }
}

#[test]
fn a_backup_that_was_started_again_casts_prepares_in_the_next_view() {
    a_backup_that_was_started_again_casts_no_prepares_that_it_may_have_cast_before();
    let mut bench = small(3);
    bench.step(Input::Resume);
    bench.deliver_new_view(1);
    let batch = bench.batch(b"x");
    let vote = bench.vote_on(3, Phase::Prepare, (1, 1, batch.digest()));
    let effects = bench.deliver(1, bench.proposal_in(1, 1, &batch));
    assert!(effects.windows(2).any(|pair| pair == cast(&vote)), "{effects:?}");
}

#[test]
fn this_check_fails_without_its_rule() {
    assert_detected(&[
        (Weakening::ResumedCommanderProposes, a_commander_that_was_started_again_leaves),
        (
            Weakening::ResumedBackupPrepares,
            a_backup_that_was_started_again_casts_no_prepares_that_it_may_have_cast_before,
        ),
    ]);
}

/// Two proposals of a view's commander for the slot.
fn two_proposals(view: u64, seq: u64) -> [Vote; 2] {
    let (bench, author) = (small(3), view as u16 % 4);
    let digests = ["one", "other"].map(|name| bench.batch(name.as_bytes()).digest());
    digests.map(|digest| bench.vote_on(author, Phase::PrePrepare, (view, seq, digest)))
}

/// Both are delivered. Returns what came of the second.
fn after_two_proposals(bench: &mut Bench, view: u64, seq: u64) -> Effects {
    let commander = view as u16 % 4;
    let [one, other] = ["one", "other"].map(|name| bench.batch(name.as_bytes()));
    bench.deliver(commander, bench.proposal_in(view, seq, &one));
    bench.deliver(commander, bench.proposal_in(view, seq, &other))
}

fn conflict(view: u64, seq: u64) -> Message {
    let [first, second] = two_proposals(view, seq).map(Box::new);
    Message::Conflict { first, second }
}

#[test]
fn two_proposals_are_proven_to_all_while_their_commander_may_serve_and_only_who_wants_its_view_leaves() {
    // It suspects the commander alone: others still follow it.
    let mut bench = small(3);
    bench.ask_for_next_view();
    let mut expected = rejected(0, 1, Reason::ConflictingProposal);
    expected.push(to_all(conflict(0, 1)));
    assert_eq!(after_two_proposals(&mut bench, 0, 1), expected);

    // The commander of the view that it wants.
    let mut expected = rejected(1, 2, Reason::ConflictingProposal);
    expected.push(to_all(conflict(1, 2)));
    expected.extend(left_for(&bench.own_change(2)));
    assert_eq!(after_two_proposals(&mut bench, 1, 2), expected);

    // A quorum has left the commander, too.
    let mut bench = small(3);
    bench.ask_for_next_view();
    bench.deliver_change(0, 1);
    bench.deliver_change(2, 1);
    assert_eq!(after_two_proposals(&mut bench, 0, 1), rejected(0, 1, Reason::ConflictingProposal));
}

#[test]
fn a_peer_s_proof_of_two_proposals_has_a_replica_leave_the_view_that_it_wants() {
    let mut bench = small(3);
    assert_eq!(bench.deliver(2, conflict(1, 1)), []);
    let mut expected = left_for(&bench.own_change(1));
    expected.push(resend_timer());
    assert_eq!(bench.deliver(2, conflict(0, 1)), expected);
    assert_eq!(bench.deliver(2, conflict(0, 1)), []);
}

#[test]
fn a_view_needs_a_quorum_for_itself_to_begin_and_one_for_later_ones_too_to_be_waited_for() {
    let mut bench = small(1);
    assert_eq!(bench.deliver_change(2, 2), [], "one alone is not joined");
    let mut expected = left_for(&bench.own_change(1));
    expected.extend([view_timer(400_000), resend_timer()]);
    assert_eq!(bench.deliver_change(0, 1), expected, "f+1 are, for the smallest of their views");
    let changes = [0, 1, 3].map(|author| bench.change(author, 1)).to_vec();
    let mut expected = vec![to_all(Message::NewView(bench.new_view(changes, &[])))];
    expected.extend(began(1));
    let effects = bench.deliver_change(3, 1);
    assert_eq!(effects[..3], expected);
}

#[test]
fn an_answer_to_who_lost_its_memory_shows_f_plus_1_view_changes_for_the_highest_views() {
    let mut bench = small(1);
    let shown = |bench: &mut Bench| {
        let effects = bench.deliver(3, Message::Recover { nonce: 7 });
        let [Effect::Send { to: To::One(ReplicaId(3)), message: Message::Recollection(answer) }, ..] =
            &effects[..]
        else {
            panic!("{effects:?}");
        };
        answer.view_changes.iter().map(|change| (change.author.0, change.view.0)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&mut bench), []);
    bench.deliver_change(2, 3);
    assert_eq!(shown(&mut bench), [], "one may be a lie");
    bench.ask_for_next_view();
    assert_eq!(shown(&mut bench), [(1, 1), (2, 3)]);
    bench.deliver_change(0, 5);
    assert_eq!(shown(&mut bench), [(0, 5), (1, 3)], "this replica has joined for view 3");
}

#[test]
fn who_is_in_an_earlier_view_gets_what_began_this_one() {
    let mut bench = small(3);
    let progress = |view| Message::Progress { view: View(view), executed: Seq(0) };
    assert_eq!(bench.deliver(2, progress(0)), []);
    let changes = [0, 1, 2].map(|author| bench.change(author, 1)).to_vec();
    let new_view = Message::NewView(bench.new_view(changes, &[]));
    assert_eq!(bench.deliver(1, new_view.clone()), began(1));
    assert_eq!(bench.deliver(2, progress(0)), [to_one(2, new_view.clone())]);
    assert_eq!(bench.deliver(2, progress(1)), []);
    assert_eq!(bench.deliver_change(2, 1), [to_one(2, new_view)], "it still waits for this view");
}

#[test]
fn a_view_change_for_a_later_view_is_remembered_when_an_earlier_one_begins() {
    let mut bench = small(3);
    bench.deliver_change(2, 4);
    bench.deliver_new_view(1);
    let mut expected = left_for(&bench.own_change(4));
    expected.extend([view_timer(400_000), resend_timer()]);
    assert_eq!(bench.deliver_change(0, 4), expected);
}

#[test]
fn a_commander_s_own_view_change_is_in_its_new_view_whoever_else_has_sent_one() {
    let config = Config { checkpoint_interval: 1, ..small_config() };
    let mut bench = bench_of(1, Replica::recovering(config, OpaqueLog::default()));
    let effects = bench.step(Input::Start);
    let Effect::Send { to: To::All, message: Message::Recover { nonce } } = effects[0] else {
        panic!("{effects:?}");
    };
    // f+1 want view 3, so it votes from view 5 on, which it commands.
    for author in [0, 2, 3] {
        let shown = [0, 2].map(|author| bench.change(author, 3)).to_vec();
        let signer = &bench.signers[usize::from(author)];
        let answer = Recollection::sign(&bench.cluster, signer, (nonce, ReplicaId(1)), None, shown);
        assert_eq!(bench.deliver(author, Message::Recollection(Arc::new(answer))), []);
    }
    for author in [0, 2, 3] {
        assert_eq!(bench.deliver_change(author, 5), [], "it may not leave yet");
    }
    let mut effects = Vec::new();
    for seq in 1..=4 {
        bench.decide_null(seq..=seq);
        effects = bench.deliver(0, Message::Stable(bench.stable(seq, state_after(seq))));
    }
    assert!(effects.contains(&Effect::Mark(Mark::Recovered { view: Some(View(5)) })), "{effects:?}");
    // Now it may leave, as the commander of view 0 has.
    let new_view = effects.iter().find_map(|effect| match effect {
        Effect::Send { to: To::All, message: Message::NewView(new_view) } => Some(new_view),
        _ => None,
    });
    let new_view = new_view.expect("all want the view");
    let authors: Vec<u16> = new_view.view_changes.iter().map(|change| change.author.0).collect();
    assert_eq!((new_view.view, authors), (View(5), vec![0, 1, 2]));
}
