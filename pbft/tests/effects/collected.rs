//! What the core does for a flow whose votes are collected by a communication node.

use super::helpers::*;
use super::*;
use kernel::weakening::weaken;
use pbft::{Core, Votes};

type Collected = Core<OpaqueLog>;

fn core() -> Collected {
    Core::new(small_config(), Votes::Collected, OpaqueLog::default())
}

/// Does something with a replica's core. Returns what came of it.
fn with<R>(
    id: usize,
    core: &mut Collected,
    act: impl FnOnce(&mut Collected, &mut Context<'_, Pbft>) -> R,
) -> (R, Effects) {
    let bench = small(id);
    let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
    let mut cx = Context::new(&bench.cluster, &bench.signers[id], &mut choose, &mut effects);
    (act(core, &mut cx), effects)
}

/// Replica 0's proposal for a slot, which names this communication node.
fn proposal(seq: u64, node: u16) -> (Vote, Arc<Batch>) {
    let bench = small(0);
    let batch = bench.batch(&seq.to_le_bytes());
    let (view, node) = (View(0), Some(ReplicaId(node)));
    let signer = &bench.signers[0];
    let (header, _) = Message::propose(&bench.cluster, signer, view, Seq(seq), Arc::clone(&batch), node);
    (header, batch)
}

fn accept(core: &mut Collected, seq: u64, node: u16) {
    let (header, batch) = proposal(seq, node);
    assert!(with(1, core, |core, cx| core.accept(cx, ReplicaId(0), header, batch)).0);
}

#[test]
fn the_last_communication_node_is_that_of_the_newest_accepted_proposal() {
    let mut core = core();
    assert_eq!(core.last_named(), None);
    accept(&mut core, 1, 2);
    accept(&mut core, 2, 3);
    assert_eq!(core.last_named(), Some(ReplicaId(3)));
    let (header, _) = proposal(3, 2);
    assert!(with(1, &mut core, |core, cx| core.record(cx, ReplicaId(0), &header)).0);
    assert_eq!(core.last_named(), Some(ReplicaId(3)), "that of slot 3 is not accepted");
}

/// What the VIEW-CHANGE of a replica reports that learns that the commander of view 0 has
/// made two proposals for slot 8.
fn reported(id: usize, core: &mut Collected) -> Vec<Vote> {
    let [first, second] = ["one", "other"].map(|name| {
        let digest = Digest::of(name.as_bytes());
        Box::new(small(id).vote_on(0, Phase::PrePrepare, (0, 8, digest)))
    });
    let conflict = Message::Conflict { first, second };
    let (_, effects) = with(id, core, |core, cx| core.take_other(cx, ReplicaId(2), conflict));
    view_change(&effects).voted.clone()
}

#[test]
fn a_view_change_reports_the_last_vote_to_accept_of_each_slot() {
    let mut backup = core();
    accept(&mut backup, 1, 2);
    accept(&mut backup, 2, 2);
    let cast = |core: &mut Collected, phase, seq| with(1, core, |core, cx| core.cast(cx, phase, Seq(seq))).0;
    let prepare = cast(&mut backup, Phase::Prepare, 1).expect("it has accepted");
    assert!(cast(&mut backup, Phase::Commit, 1).is_some());
    // Of slot 2 it has only the proposal.
    assert_eq!(reported(1, &mut backup.clone()), [prepare]);
    let without_rule = weaken(Weakening::CommanderNotReported, || reported(1, &mut backup));
    assert_eq!(without_rule.len(), 1, "the rule is about commanders");
}

/// A commander's VIEW-CHANGE for view 1, in which it has proposed one slot.
fn commander_reports_its_proposal() {
    let mut commander = core();
    let node = Some(ReplicaId(2));
    with(0, &mut commander, |core, cx| core.propose(cx, node));
    let bench = small(0);
    let about = (View(0), Seq(1), null());
    let header = Vote::sign(&bench.cluster, &bench.signers[0], Phase::PrePrepare, about, node);
    assert_eq!(reported(0, &mut commander), [header]);
}

#[test]
fn a_commander_reports_its_proposals_as_they_are_its_votes() {
    commander_reports_its_proposal();
    assert_detected(&[(Weakening::CommanderNotReported, commander_reports_its_proposal)]);
}
