//! What a NEW-VIEW has a replica do.

use super::helpers::*;
use super::*;

fn prepared(bench: &Bench, seq: u64, digest: Digest) -> Arc<Certificate> {
    bench.certificate(CertificateKind::Prepared, [0, 1, 2], (0, seq, digest))
}

/// The VIEW-CHANGEs of replicas 0, 1 and 2 for view 1, of which replica 0 reports something.
fn changes_with(
    bench: &Bench,
    stable: Option<Arc<StableCheckpoint>>,
    prepared: Vec<Arc<Certificate>>,
) -> Vec<Arc<ViewChange>> {
    vec![bench.change_with(0, 1, stable, prepared), bench.change(1, 1), bench.change(2, 1)]
}

#[test]
fn the_highest_checkpoint_that_a_new_view_proves_is_adopted_first() {
    let mut bench = small(3);
    let stable = bench.stable(INTERVAL, Digest::of(b"state"));
    let new_view = bench.new_view(changes_with(&bench, Some(stable), vec![]), &[]);
    let mut expected = vec![Effect::Mark(Mark::View(ViewMark::Stable { seq: Seq(INTERVAL) }))];
    expected.extend(began(1));
    expected.push(resend_timer());
    assert_eq!(bench.deliver(1, Message::NewView(new_view)), expected);

    let mut commander = small(1);
    let stable = commander.stable(INTERVAL, Digest::of(b"state"));
    let change = commander.change_with(0, 1, Some(stable), vec![]);
    commander.deliver(0, Message::ViewChange(change));
    commander.deliver_change(2, 1);
    let views = commander.replica.status(&commander.cluster).views.unwrap();
    assert_eq!((views.view, views.stable_checkpoint), (View(1), Seq(INTERVAL)));
}

#[test]
fn a_new_view_is_refused_whose_view_changes_go_too_far_or_that_names_a_communication_node() {
    let mut bench = small(3);
    let beyond = 2 * INTERVAL + 1;
    let digest = bench.batch(b"pay").digest();
    let proposals: Vec<_> =
        (1..=beyond).map(|seq| (seq, if seq == beyond { digest } else { null() })).collect();
    let malformed = [refused(1, Reason::MalformedViewChange)];
    let new_view =
        |changes, proposals: &[(u64, Digest)]| Message::NewView(small(3).new_view(changes, proposals));
    let changes = changes_with(&bench, None, vec![prepared(&bench, beyond, digest)]);
    assert_eq!(bench.deliver(1, new_view(changes, &proposals)), malformed);

    let changes = changes_with(&bench, None, vec![prepared(&bench, 1, digest)]);
    let about = (View(1), Seq(1), digest);
    let node = Some(ReplicaId(2));
    let named = Vote::sign(&bench.cluster, &bench.signers[1], Phase::PrePrepare, about, node);
    let signer = &bench.signers[1];
    let with_node = NewView::sign(&bench.cluster, signer, View(1), changes.clone(), vec![named]);
    assert_eq!(bench.deliver(1, Message::NewView(Arc::new(with_node))), malformed);
    assert_eq!(bench.deliver(1, new_view(changes, &[(1, digest)]))[..2], began(1));
}

#[test]
fn what_a_new_view_proposes_is_accepted_when_its_batch_is_here() {
    let mut bench = small(3);
    let batch = bench.batch(b"pay");
    let changes = changes_with(&bench, None, vec![prepared(&bench, 2, batch.digest())]);
    let new_view = bench.new_view(changes, &[(1, null()), (2, batch.digest())]);
    let mut expected = began(1).to_vec();
    let fetch = to_all(Message::Fetch { seq: Seq(2), digest: batch.digest() });
    expected.extend([stuck(1), stuck(2), fetch, accepted(1, null())]);
    expected.extend(cast(&bench.vote_on(3, Phase::Prepare, (1, 1, null()))));
    expected.push(resend_timer());
    assert_eq!(bench.deliver(1, Message::NewView(new_view)), expected);

    let mut expected = vec![accepted(2, batch.digest())];
    expected.extend(cast(&bench.vote_on(3, Phase::Prepare, (1, 2, batch.digest()))));
    assert_eq!(bench.deliver(0, Message::Fetched { seq: Seq(2), batch }), expected);
}

/// A replica that has executed nothing learns that slot 6 is stable, and that slot 10 is
/// prepared. It keeps no more than 8 slots beyond what it executed.
fn far_behind(id: usize) -> (Bench, Arc<ViewChange>) {
    let config = Config { checkpoint_interval: 2, ..Config::for_cluster(4) };
    let bench = bench_of(id, Replica::new(config, OpaqueLog::default()));
    let stable = bench.stable(6, Digest::of(b"state"));
    let change = bench.change_with(0, 1, Some(stable), vec![prepared(&bench, 10, null())]);
    (bench, change)
}

/// Where a new view knows nothing of a slot because a checkpoint covers it, a commander may propose what it likes there.
pub(super) fn nobody_votes_below_its_stable_checkpoint() {
    let mut bench = small(3);
    bench.decide_null(1..=8);
    for seq in [4, 8] {
        let stable = bench.stable(seq, state_after(seq));
        bench.deliver(0, Message::Stable(stable));
    }
    let last = bench.stable(8, state_after(8));
    let new_view = bench.new_view(changes_with(&bench, Some(last), vec![]), &[]);
    bench.deliver(1, Message::NewView(new_view));
    let other = bench.batch(b"pay");
    let header = bench.vote_on(1, Phase::PrePrepare, (1, 6, other.digest()));
    let proposal = bench.proposal_in(1, 6, &other);
    assert_eq!(
        bench.deliver(1, proposal)[0],
        heard(&header),
        "it is kept, as it is by those who lack the slot"
    );
    for author in [0, 2] {
        let prepare = bench.vote_on(author, Phase::Prepare, (1, 6, other.digest()));
        assert_eq!(
            bench.deliver(author, Message::Vote(prepare.clone())),
            [heard(&prepare)],
            "no COMMIT either"
        );
    }
    let at_checkpoint = bench.proposal_in(1, 8, &other);
    assert!(
        !bench.deliver(1, at_checkpoint).contains(&accepted(8, other.digest())),
        "that slot is decided as well"
    );
    let next = bench.proposal_in(1, 9, &other);
    assert!(bench.deliver(1, next).contains(&accepted(9, other.digest())));
}

#[test]
fn below_the_stable_checkpoint_there_is_nothing_to_vote_for() {
    nobody_votes_below_its_stable_checkpoint();
}

/// What a view began with stands, even for a replica that was too far behind to keep it.
pub(super) fn who_was_far_behind_votes_for_what_the_view_began_with() {
    let (mut bench, change) = far_behind(3);
    let changes = vec![change, bench.change(1, 1), bench.change(2, 1)];
    let new_view = bench.new_view(changes, &[7, 8, 9, 10].map(|seq| (seq, null())));
    bench.deliver(1, Message::NewView(new_view));
    assert_eq!(slots_of_view_1(&bench), [7, 8]);
    bench.decide_null(1..=2);
    let other = bench.batch(b"pay");
    let proposal = bench.proposal_in(1, 10, &other);
    assert_eq!(bench.deliver(1, proposal), rejected(1, 10, Reason::ConflictingProposal));
    let same = bench.proposal_in(1, 10, &Arc::default());
    assert!(bench.deliver(1, same).contains(&accepted(10, null())), "as the view began");
}

#[test]
fn a_view_goes_on_as_it_began() {
    who_was_far_behind_votes_for_what_the_view_began_with();
}

fn slots_of_view_1(bench: &Bench) -> Vec<u64> {
    let has_header = |seq: &u64| bench.replica.core().round(Seq(*seq)).is_some_and(|r| r.header.is_some());
    (1..=12).filter(has_header).collect()
}

#[test]
fn a_replica_far_behind_keeps_of_a_new_view_what_it_can_catch_up_with() {
    let (mut bench, change) = far_behind(3);
    let changes = vec![change, bench.change(1, 1), bench.change(2, 1)];
    let new_view = bench.new_view(changes, &[7, 8, 9, 10].map(|seq| (seq, null())));
    let effects = bench.deliver(1, Message::NewView(new_view));
    assert_eq!(slots_of_view_1(&bench), [7, 8]);
    let sent = effects.iter().filter(|effect| matches!(effect, Effect::Send { .. }));
    let votes = [7, 8].map(|seq| to_all(Message::Vote(bench.vote_on(3, Phase::Prepare, (1, seq, null())))));
    let [seventh, eighth] = &votes;
    assert_eq!(sent.collect::<Vec<_>>(), [&stuck(7), &stuck(8), seventh, eighth]);
}

#[test]
fn a_commander_far_behind_keeps_all_that_it_proposes_as_these_are_its_votes() {
    let (mut bench, change) = far_behind(1);
    bench.deliver(0, Message::ViewChange(change));
    bench.deliver_change(2, 1);
    assert_eq!(bench.replica.core().view(), View(1));
    assert_eq!(slots_of_view_1(&bench), [7, 8, 9, 10]);
}

/// Else it would keep more with each view that it begins before the state arrives.
#[test]
fn what_a_commander_far_behind_has_proposed_is_forgotten_once_it_is_in_a_checkpoint() {
    let (mut bench, change) = far_behind(1);
    bench.deliver(0, Message::ViewChange(change));
    bench.deliver_change(2, 1);
    let stable = bench.stable(10, state_after(10));
    bench.deliver(0, Message::Stable(stable));
    assert_eq!(slots_of_view_1(&bench), [7, 8]);
}

#[test]
fn slots_that_are_not_kept_any_more_are_not_taken_up_again_by_a_new_view() {
    let mut bench = small(3);
    for end in [INTERVAL, 2 * INTERVAL] {
        let state = state_in(&bench.decide_null(end - INTERVAL + 1..=end));
        bench.deliver(0, Message::Stable(bench.stable(end, state)));
    }
    assert_eq!(bench.replica.core().oldest_kept(), Seq(INTERVAL + 1));
    let last = INTERVAL + 1;
    let changes = changes_with(&bench, None, vec![prepared(&bench, last, null())]);
    let proposals: Vec<_> = (1..=last).map(|seq| (seq, null())).collect();
    let new_view = bench.new_view(changes, &proposals);
    assert_eq!(bench.deliver(1, Message::NewView(new_view)), began(1), "all of it is executed");
    assert_eq!(slots_of_view_1(&bench), [last]);
    assert!(bench.replica.core().slot(Seq(INTERVAL)).is_none());
}

#[test]
fn requests_go_to_the_new_commander_which_proposes_them() {
    let mut backup = small(3);
    let bundle = backup.bundle(2, 1, 1);
    let requests = Message::Requests(Arc::clone(&bundle));
    backup.deliver(2, requests.clone());
    let mut expected = began(1).to_vec();
    expected.extend([to_one(1, requests.clone()), view_timer(200_000)]);
    assert_eq!(backup.deliver_new_view(1), expected);

    let mut commander = small(1);
    commander.deliver(2, requests);
    commander.deliver_change(0, 1);
    let effects = commander.deliver_change(2, 1);
    let batch = Arc::new(Batch { bundles: vec![bundle] });
    let proposal = to_all(commander.proposal_in(1, 1, &batch));
    assert!(effects.contains(&proposal), "{effects:?}");
}

#[test]
fn a_new_view_that_is_known_or_too_late_changes_nothing() {
    let mut bench = small(3);
    assert_eq!(bench.deliver_new_view(1)[..2], began(1));
    assert_eq!(bench.deliver_new_view(1), [], "known");
    let mut bench = small(3);
    bench.ask_for_next_view();
    bench.ask_for_next_view();
    assert_eq!(bench.replica.status(&bench.cluster).views.unwrap().view, View(2));
    assert_eq!(bench.deliver_new_view(1), [], "it wants a later one");
    assert_eq!(bench.replica.core().view(), View(0));
}
