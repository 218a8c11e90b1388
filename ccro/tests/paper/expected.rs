//! What nodes say, and the effects that should come of it: in round 1, where no round is named.

use crate::by_hand::{Hand, Published};
use ccro::TrustTable;
use ccro::paper::{Attempt, Message, Statement, Step, Timer};
use kernel::{Batch, Digest, Effect, Mark, Micros, Phase, Reason, Rejection, ReplicaId, Seq, To, ViewMark};
use std::sync::Arc;

pub(crate) const FIRST: Attempt = Attempt { takeovers: 0, replacements: 0 };
/// With the next communication node.
pub(crate) const SECOND: Attempt = Attempt { takeovers: 0, replacements: 1 };
/// With the next commander.
pub(crate) const TAKEN_OVER: Attempt = Attempt { takeovers: 1, replacements: 0 };

// ---- Messages ----

pub(crate) fn batch(run: &Hand, operation: &[u8]) -> Arc<Batch> {
    Arc::new(Batch { bundles: vec![run.bundle(2, operation)] })
}

pub(crate) fn statement_in(
    run: &Hand,
    author: u16,
    step: Step,
    (seq, attempt): (u64, Attempt),
    digest: Digest,
) -> Statement {
    Statement::sign(&run.cluster, &run.signers[usize::from(author)], step, (Seq(seq), attempt), digest)
}

pub(crate) fn statement(run: &Hand, author: u16, step: Step, attempt: Attempt, digest: Digest) -> Statement {
    statement_in(run, author, step, (1, attempt), digest)
}

pub(crate) fn step(run: &Hand, author: u16, step: Step, attempt: Attempt, digest: Digest) -> Message {
    Message::Step(statement(run, author, step, attempt, digest))
}

pub(crate) fn request(run: &Hand, author: u16, attempt: Attempt, batch: &Arc<Batch>) -> Message {
    let header = statement(run, author, Step::Request, attempt, batch.digest());
    Message::Block { header, batch: Arc::clone(batch) }
}

/// A REPLY without results.
pub(crate) fn reply_in(run: &Hand, author: u16, seq: u64, digest: Digest) -> Message {
    let header = statement_in(run, author, Step::Reply, (seq, FIRST), digest);
    Message::Reply { header, bundles: vec![] }
}

/// A STORE that says how far each node is trusted, in thousandths.
pub(crate) fn store(
    run: &Hand,
    author: u16,
    (seq, attempt): (u64, Attempt),
    batch: &Arc<Batch>,
    trust: &[u16],
) -> Message {
    let signer = &run.signers[usize::from(author)];
    Message::store(&run.cluster, signer, (Seq(seq), attempt), Arc::clone(batch), table(trust))
}

/// A STORE of a block without requests, by which nobody's trust changes.
pub(crate) fn empty_store(run: &Hand, seq: u64) -> Message {
    store(run, 0, (seq, FIRST), &Arc::default(), &[5_000; 4])
}

pub(crate) fn table(trust: &[u16]) -> Arc<TrustTable> {
    Arc::new(postcard::from_bytes(&postcard::to_stdvec(trust).unwrap()).unwrap())
}

// ---- Effects ----

fn mark_of_vote(author: u16, phase: Phase, digest: Digest, contradicts: bool) -> Effect<Published> {
    let author = ReplicaId(author);
    Effect::Mark(Mark::VoteReceived { seq: Seq(1), digest, author, phase, contradicts })
}

pub(crate) fn received(author: u16, phase: Phase, digest: Digest) -> Effect<Published> {
    mark_of_vote(author, phase, digest, false)
}

/// After the same author said something else.
pub(crate) fn contradicting(author: u16, phase: Phase, digest: Digest) -> Effect<Published> {
    mark_of_vote(author, phase, digest, true)
}

pub(crate) fn accepted(digest: Digest) -> Effect<Published> {
    Effect::Mark(Mark::Accepted { seq: Seq(1), digest })
}

/// The roles of a round, and the trust that they follow from.
pub(crate) fn roles(seq: u64, commander: u16, communication_node: u16, trust: &[u16]) -> Effect<Published> {
    Effect::Mark(Mark::View(ViewMark::Trusted {
        seq: Seq(seq),
        commander: ReplicaId(commander),
        communication_node: ReplicaId(communication_node),
        trust_milli: trust.to_vec(),
    }))
}

/// The commander's timer, so many times as long as at first.
pub(crate) fn wait(times: u64) -> Effect<Published> {
    let after = Micros(pbft::Config::for_cluster(4).resend_after.0 * times);
    Effect::SetTimer { timer: Timer::Round, after }
}

/// Anybody else's.
pub(crate) fn watch(times: u64) -> Effect<Published> {
    let after = Micros(pbft::Config::for_cluster(4).request_after.0 * times);
    Effect::SetTimer { timer: Timer::Round, after }
}

pub(crate) fn send(to: u16, message: Message) -> Effect<Published> {
    Effect::Send { to: To::One(ReplicaId(to)), message }
}

pub(crate) fn send_all(message: Message) -> Effect<Published> {
    Effect::Send { to: To::All, message }
}

pub(crate) fn refused(from: u16, reason: Reason) -> Effect<Published> {
    refused_in(from, 1, reason)
}

pub(crate) fn refused_in(from: u16, seq: u64, reason: Reason) -> Effect<Published> {
    let corrupt_vote = reason.is_offence();
    Effect::Reject(Rejection { from: ReplicaId(from), seq: Some(Seq(seq)), corrupt_vote, reason })
}

pub(crate) fn is_send(effect: &Effect<Published>) -> bool {
    matches!(effect, Effect::Send { .. })
}
