//! Proposals, votes and decisions of single slots.

use super::helpers::*;
use super::*;
use kernel::weakening::weaken;
use kernel::{Micros, Tallied};
use pbft::Round;

#[test]
fn a_certificate_decides_a_slot_once_whether_its_batch_is_here_or_not() {
    let mut bench = small(1);
    let batch = bench.batch(b"pay");
    let about = (0, 1, batch.digest());
    let commit = |author| heard(&bench.vote_on(author, Phase::Commit, about));
    let expected = [commit(0), commit(2), commit(3), decided(about), resend_timer()];
    let certificate = bench.committed(about);
    assert_eq!(bench.deliver(0, certificate.clone()), expected, "its proposal is most likely on its way");
    assert_eq!(bench.deliver(2, certificate.clone()), []);

    // The batch that was decided is taken, and no other.
    let fetched = |batch: &Arc<Batch>| Message::Fetched { seq: Seq(1), batch: Arc::clone(batch) };
    let other = bench.batch(b"other");
    assert_eq!(bench.deliver(3, fetched(&other)), [refused(3, Reason::DigestMismatch)]);
    let effects = bench.deliver(2, fetched(&batch));
    assert!(
        matches!(
            &effects[..],
            [
                Effect::Mark(Mark::Applied { seq: Some(Seq(1)), counter: 1, .. }),
                Effect::Mark(Mark::Executed { seq: Seq(1), requests: 1, .. }),
                Effect::Reply { to: ReplicaId(2), .. },
            ]
        ),
        "it is executed, and needs no vote: {effects:?}"
    );
    assert_eq!(bench.deliver(3, fetched(&other)), [], "nothing is asked for any more");
    assert_eq!(bench.deliver(3, certificate), []);
}

#[test]
fn the_batch_of_a_slot_that_was_decided_for_another_one_than_proposed_is_fetched_at_once() {
    let mut bench = small(1);
    let proposed = bench.batch(b"proposed");
    bench.deliver(0, bench.proposal(1, &proposed));
    let about = (0, 1, bench.batch(b"decided").digest());
    let commit = |author| heard(&bench.vote_on(author, Phase::Commit, about));
    let fetch = to_all(Message::Fetch { seq: Seq(1), digest: about.2 });
    let expected = [commit(0), commit(2), commit(3), decided(about), fetch];
    assert_eq!(bench.deliver(0, bench.committed(about)), expected);
}

#[test]
fn proposals_votes_and_certificates_are_taken_up_to_the_high_watermark() {
    let high = 2 * INTERVAL;
    let mut bench = small(1);
    let batch = bench.batch(b"pay");
    let about = |seq| (0, seq, batch.digest());
    let (prepare, header) = (Phase::Prepare, Phase::PrePrepare);

    let mut expected = vec![heard(&bench.vote_on(0, header, about(high))), accepted(high, batch.digest())];
    expected.extend(cast(&bench.vote_on(1, prepare, about(high))));
    expected.push(resend_timer());
    assert_eq!(bench.deliver(0, bench.proposal(high, &batch)), expected);
    let vote = bench.vote_on(2, prepare, about(high));
    assert_eq!(bench.deliver(2, Message::Vote(vote.clone()))[0], heard(&vote));
    let vote = bench.vote_on(2, prepare, about(high + 1));
    assert_eq!(bench.deliver(2, Message::Vote(vote)), rejected(2, high + 1, Reason::OutsideWindow));

    let above = bench.deliver(0, bench.committed(about(high + 1)));
    assert_eq!(
        above,
        vec![rejected(0, high + 1, Reason::OutsideWindow); 4].concat(),
        "votes, and what they prove"
    );
    let effects = bench.deliver(0, bench.committed(about(high)));
    let commit = |author| heard(&bench.vote_on(author, Phase::Commit, about(high)));
    assert_eq!(effects, [commit(0), commit(2), commit(3), decided(about(high))]);
    assert!(!bench.replica.core().is_committed(Seq(high + 1)));
}

#[test]
fn after_a_leap_two_intervals_are_kept_and_what_is_older_is_not_taken_again() {
    let mut bench = small(1);
    bench.decide_null(1..=2 * INTERVAL);
    let state = state_after(3 * INTERVAL);
    bench.deliver(0, Message::Stable(bench.stable(3 * INTERVAL, state)));
    bench.decide_null(2 * INTERVAL + 1..=3 * INTERVAL);
    assert!(!bench.replica.core().has_diverged());
    let core = bench.replica.core();
    assert_eq!(core.oldest_kept(), Seq(INTERVAL + 1));
    assert!(core.slot(Seq(INTERVAL)).is_none() && core.slot(Seq(INTERVAL + 1)).is_some());
    assert!(core.is_committed(Seq(INTERVAL)), "it was executed");

    let batch = bench.batch(b"late");
    let late = bench.proposal(INTERVAL, &batch);
    assert_eq!(bench.deliver(0, late), rejected(0, INTERVAL, Reason::OutsideWindow));
    let about = (0, INTERVAL, batch.digest());
    let echo = bench.vote_on(2, Phase::Prepare, about);
    assert_eq!(bench.deliver(2, Message::Vote(echo)), [], "it may have been on its way");
    assert_eq!(bench.deliver(2, bench.committed((0, INTERVAL, null()))), []);
    assert!(bench.replica.core().slot(Seq(INTERVAL)).is_none());
}

#[test]
fn the_batch_of_a_second_proposal_is_not_kept() {
    let mut bench = small(1);
    let (one, other) = (bench.batch(b"one"), bench.batch(b"other"));
    bench.deliver(0, bench.proposal(1, &one));
    bench.deliver(0, bench.proposal(1, &other));
    let fetch = |batch: &Batch| Message::Fetch { seq: Seq(1), digest: batch.digest() };
    assert_eq!(bench.deliver(2, fetch(&other)), []);
    let fetched = Message::Fetched { seq: Seq(1), batch: Arc::clone(&one) };
    assert_eq!(bench.deliver(2, fetch(&one)), [to_one(2, fetched)]);
}

/// Delivers a vote. Returns what comes of it but the mark that it got here.
fn after_vote(bench: &mut Bench, author: u16, phase: Phase, about: (u64, u64, Digest)) -> Effects {
    let vote = bench.vote_on(author, phase, about);
    let mut effects = bench.deliver(author, Message::Vote(vote.clone()));
    assert_eq!(effects.remove(0), heard(&vote));
    effects
}

#[test]
fn a_replica_that_left_its_view_learns_in_it_and_casts_no_vote() {
    let mut bench = small(3);
    let batch = bench.batch(b"pay");
    let about = (0, 1, batch.digest());
    bench.deliver(0, bench.proposal(1, &batch));
    bench.ask_for_next_view();

    let header = bench.vote_on(0, Phase::PrePrepare, (0, 2, batch.digest()));
    assert_eq!(bench.deliver(0, bench.proposal(2, &batch)), [heard(&header)]);
    let [prepare, commit] = [Phase::Prepare, Phase::Commit];
    assert_eq!(after_vote(&mut bench, 1, prepare, about), [], "prepared, but it may not send COMMIT");
    let in_view_1 = (1, 1, batch.digest());
    assert_eq!(after_vote(&mut bench, 2, prepare, in_view_1), [], "of the view that it wants");
    assert_eq!(after_vote(&mut bench, 0, commit, about), []);
    assert_eq!(after_vote(&mut bench, 1, commit, about), []);
    assert_eq!(after_vote(&mut bench, 2, commit, about)[0], decided(about));
    assert_eq!(bench.replica.core().last_executed(), Seq(1));
    let later = bench.vote_on(1, Phase::Commit, (2, 1, batch.digest()));
    assert_eq!(bench.deliver(1, Message::Vote(later))[..1], rejected(1, 1, Reason::WrongView));
}

#[test]
fn a_replica_without_memory_learns_and_casts_no_vote() {
    let mut bench = bench_of(1, Replica::recovering(small_config(), OpaqueLog::default()));
    bench.step(Input::Start);
    let batch = bench.batch(b"pay");
    let about = (0, 1, batch.digest());
    let header = bench.vote_on(0, Phase::PrePrepare, about);
    assert_eq!(bench.deliver(0, bench.proposal(1, &batch)), [heard(&header)]);
    let vote = bench.vote_on(2, Phase::Prepare, about);
    assert_eq!(bench.deliver(2, Message::Vote(vote.clone())), [heard(&vote)]);
    let effects = bench.deliver(2, bench.committed(about));
    assert!(effects.contains(&decided(about)));
    assert_eq!(bench.replica.core().last_executed(), Seq(1));
}

#[test]
fn a_commander_that_may_not_vote_proposes_nothing() {
    let mut without_memory = bench_of(0, Replica::recovering(small_config(), OpaqueLog::default()));
    without_memory.step(Input::Start);
    let mut left = small(0);
    left.ask_for_next_view();
    for mut bench in [without_memory, left] {
        assert_eq!(bench.submit(1, 1), []);
        assert_eq!(bench.replica.status(&bench.cluster).requests_waiting, 1);
    }
}

#[test]
fn a_commander_proposes_up_to_the_high_watermark_however_large_its_window_is() {
    let config = Config { window: 100, checkpoint_interval: 2, ..Config::for_cluster(4) };
    let mut bench = bench_of(0, Replica::new(config, OpaqueLog::default()));
    for number in 1..=4 {
        assert_eq!(bench.submit(number, 1), [(number, 1)]);
    }
    assert_eq!(bench.submit(5, 1), []);
}

#[test]
fn a_slot_is_waited_for_once_f_plus_1_replicas_have_voted_in_it() {
    let mut bench = small(1);
    let about = (0, 5, Digest::ZERO);
    assert_eq!(after_vote(&mut bench, 2, Phase::Commit, about), [], "one vote may be an invention");
    assert_eq!(after_vote(&mut bench, 3, Phase::Commit, about), [resend_timer()]);
}

#[test]
fn whoever_is_stuck_gets_votes_if_it_complains_or_has_sent_its_own() {
    let mut bench = small(1);
    let batch = bench.batch(b"pay");
    let about = (0, 1, batch.digest());
    bench.deliver(0, bench.proposal(1, &batch));
    let of_slot = |complaint, votes| Message::Stuck { seq: Seq(1), complaint, votes };
    let [prepare, commit] = [Phase::Prepare, Phase::Commit].map(|phase| bench.vote_on(1, phase, about));
    let has_cast_commit = |bench: &Bench| bench.replica.core().has_cast_commit(ReplicaId(1), Seq(1));

    assert_eq!(bench.deliver(3, of_slot(false, vec![])), [], "it asks for a decision only");
    let sent = |vote: &Vote| to_one(3, Message::Vote(vote.clone()));
    assert_eq!(bench.deliver(3, of_slot(true, vec![])), [sent(&prepare)]);
    assert!(!has_cast_commit(&bench));
    let theirs = bench.vote_on(3, Phase::Prepare, about);
    let mut expected = vec![heard(&theirs)];
    expected.extend(cast(&commit));
    expected.extend([sent(&prepare), sent(&commit)]);
    assert_eq!(bench.deliver(3, of_slot(false, vec![theirs])), expected);
    assert!(has_cast_commit(&bench));

    // A commander's proposal is its vote.
    let mut bench = small(0);
    bench.submit(1, 1);
    let core = bench.replica.core();
    let proposal = core.own_proposal(&bench.cluster, ReplicaId(0), Seq(1)).expect("it has proposed");
    assert_eq!(bench.deliver(3, of_slot(true, vec![])), [to_one(3, proposal)]);
}

/// Replica 3, of which replica 2 has sent another vote than that in the certificate.
fn with_certificate() -> (Bench, Arc<Certificate>) {
    let mut bench = small(3);
    let about = (0, 1, bench.batch(b"pay").digest());
    let lie = bench.vote_on(2, Phase::Prepare, (0, 1, Digest::ZERO));
    bench.deliver(2, Message::Vote(lie));
    let certificate = bench.certificate(CertificateKind::Prepared, [0, 1, 2], about);
    let expected = [
        heard(&bench.vote_on(0, Phase::PrePrepare, about)),
        heard(&bench.vote_on(1, Phase::Prepare, about)),
        heard_as(&bench.vote_on(2, Phase::Prepare, about), true),
        resend_timer(),
    ];
    assert_eq!(bench.deliver(0, Message::Certificate(Arc::clone(&certificate))), expected);
    (bench, certificate)
}

#[test]
fn a_prepared_certificate_is_owed_to_the_next_view_though_votes_that_are_here_contradict_it() {
    let (mut bench, certificate) = with_certificate();
    let effects = bench.ask_for_next_view();
    assert_eq!(effects[..4], left_for(&bench.change_with(3, 1, None, vec![certificate])));
}

#[test]
fn the_certificate_of_the_highest_view_is_kept_and_none_of_a_view_yet_to_come() {
    let (mut bench, first) = with_certificate();
    bench.deliver_new_view(1);
    let prepared = |authors, view, seq| {
        let about = (view, seq, small(3).batch(b"pay").digest());
        small(3).certificate(CertificateKind::Prepared, authors, about)
    };
    let mut kept_after = |certificate: &Arc<Certificate>| {
        bench.deliver(0, Message::Certificate(Arc::clone(certificate)));
        bench.replica.core().slot(certificate.seq).and_then(|slot| slot.prepared.clone())
    };
    let again = prepared([0, 2, 3], 0, 1);
    assert_eq!(kept_after(&again), Some(Arc::clone(&first)), "of the same view");
    let higher = prepared([0, 1, 2], 1, 1);
    assert_eq!(kept_after(&higher), Some(Arc::clone(&higher)));
    assert_eq!(kept_after(&first), Some(Arc::clone(&higher)));
    let of_another_slot = prepared([0, 1, 2], 0, 2);
    assert_eq!(kept_after(&of_another_slot), Some(Arc::clone(&of_another_slot)));
    assert_eq!(kept_after(&prepared([0, 1, 2], 2, 3)), None, "this replica has not begun that view");
    let beyond = 2 * INTERVAL + 1;
    assert_eq!(kept_after(&prepared([0, 1, 2], 1, beyond)), None, "beyond the high watermark");
}

#[test]
fn a_round_knows_who_accepted_what_this_replica_accepted() {
    let bench = small(1);
    let (digest, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let header = |node| {
        let about = (View(0), Seq(1), digest);
        Vote::sign(&bench.cluster, &bench.signers[0], Phase::PrePrepare, about, Some(ReplicaId(node)))
    };
    let mut round = Round::default();
    assert_eq!(round.record(&header(2)), Tallied::New);
    assert_eq!(round.record(&header(2)), Tallied::Duplicate);
    assert_eq!(round.record(&header(3)), Tallied::Contradiction, "it names another communication node");
    round.record(&bench.vote_on(1, Phase::Prepare, (0, 1, digest)));
    round.record(&bench.vote_on(2, Phase::Prepare, (0, 1, other)));
    let accepted = |round: &Round| [0, 1, 2, 3].map(|id| round.has_accepted(ReplicaId(id)));
    assert_eq!(accepted(&round), [false; 4], "this replica has not accepted it");
    round.accepted = true;
    assert_eq!(accepted(&round), [true, true, false, false]);
}

#[test]
fn a_certificate_of_votes_to_accept_names_what_the_proposal_names_and_one_of_commits_needs_none() {
    let bench = small(1);
    let digest = Digest::of(b"pay");
    let about = (View(0), Seq(1), digest);
    let of = |round: &Round, kind| round.certificate(&bench.cluster, kind, about);
    let mut round = Round::default();
    for author in [1, 2, 3] {
        round.record(&bench.vote_on(author, Phase::Prepare, (0, 1, digest)));
        assert_eq!(of(&round, CertificateKind::Committed), None);
        round.record(&bench.vote_on(author, Phase::Commit, (0, 1, digest)));
    }
    assert_eq!(of(&round, CertificateKind::Prepared), None, "without the commander's proposal");
    let committed = of(&round, CertificateKind::Committed).expect("a quorum sent COMMIT");
    let authors =
        |certificate: &Certificate| certificate.votes.iter().map(|vote| vote.0.0).collect::<Vec<_>>();
    assert_eq!((committed.communication_node, authors(&committed)), (None, vec![1, 2, 3]));

    let node = Some(ReplicaId(2));
    round.record(&Vote::sign(&bench.cluster, &bench.signers[0], Phase::PrePrepare, about, node));
    let prepared = of(&round, CertificateKind::Prepared).expect("a quorum has accepted");
    assert_eq!((prepared.communication_node, authors(&prepared)), (node, vec![0, 1, 2]));
    let fast = of(&round, CertificateKind::Fast).expect("all have accepted");
    assert_eq!((fast.communication_node, authors(&fast)), (node, vec![0, 1, 2, 3]));
    assert_eq!(of(&round, CertificateKind::Committed), Some(committed));
}

/// Seven times: requests come, `lone_vote` of the next slot if there is one, after `idle`
/// its proposal, and after `decision` the decision. Returns how often the replica was in
/// its view still.
fn times_before_leaving(lone_vote: bool, idle: u64, decision: u64) -> u64 {
    let mut bench = small(1);
    let mut now = Micros(1);
    for seq in 1..=7 {
        let bundle = bench.bundle(2, seq, 1);
        let batch = Arc::new(Batch { bundles: vec![Arc::clone(&bundle)] });
        let about = (0, seq, batch.digest());
        bench.deliver_at(now, 2, Message::Requests(bundle));
        if lone_vote {
            let vote = bench.vote_on(3, Phase::Commit, about);
            bench.deliver_at(now, 3, Message::Vote(vote));
        }
        now.0 += idle;
        bench.deliver_at(now, 0, bench.proposal(seq, &batch));
        if bench.replica.status(&bench.cluster).views.unwrap().changing_view {
            return seq - 1;
        }
        now.0 += decision;
        bench.deliver_at(now, 0, bench.committed(about));
    }
    7
}

#[test]
fn a_commander_is_late_until_its_proposal_is_here_and_no_longer() {
    let limit = small_config().request_after.0 / small_config().late_share;
    assert_eq!(times_before_leaving(false, 8 * limit, 1000), 3);
    assert_eq!(times_before_leaving(true, 8 * limit, 1000), 3, "a vote is no proposal");
    assert_eq!(times_before_leaving(false, 1000, 8 * limit), 7, "decisions are not the commander's alone");
}

fn a_new_commander_s_proposals_are_its_votes() {
    let mut bench = small(1);
    let batch = bench.batch(b"pay");
    let about = (0, 1, batch.digest());
    bench.deliver(0, bench.proposal(1, &batch));
    let certificate = bench.certificate(CertificateKind::Prepared, [0, 2, 3], about);
    let change = bench.change_with(0, 1, None, vec![certificate]);
    let own = bench.own_change(1);
    assert_eq!(bench.deliver(0, Message::ViewChange(Arc::clone(&change))), left_for(&own));
    let effects = bench.deliver_change(2, 1);

    let mut expected = vec![view_timer(400_000)];
    let header = bench.vote_on(1, Phase::PrePrepare, (1, 1, batch.digest()));
    let [voted, _] = cast(&header);
    let changes = vec![change, own, bench.change(2, 1)];
    let new_view = bench.new_view(changes, &[(1, batch.digest())]);
    expected.extend([voted, to_all(Message::NewView(new_view))]);
    expected.extend(began(1));
    expected.extend([stuck(1), accepted(1, batch.digest())]);
    assert_eq!(effects, expected);
}

#[test]
fn a_new_commander_sends_no_prepare_for_what_it_proposes() {
    a_new_commander_s_proposals_are_its_votes();
    // What is switched off there is about a second proposal, and here is none.
    weaken(Weakening::SecondProposalAccepted, a_new_commander_s_proposals_are_its_votes);
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[(
        Weakening::CertificateNotKept,
        a_prepared_certificate_is_owed_to_the_next_view_though_votes_that_are_here_contradict_it,
    )]);
}
