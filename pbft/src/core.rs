//! What PBFT and the flows built on it share: the log of slots, proposing,
//! accepting, recording votes, committing. Who carries the votes is decided by
//! the flow that owns the core.

use crate::checkpoint::{Checkpoints, States};
use crate::config::Config;
use crate::divergence::Divergence;
use crate::execution::Execution;
use crate::fairness::Fairness;
use crate::message::{Certificate, CertificateKind, Message, Vote};
use crate::pace::Pace;
use crate::recovery::Recovery;
use crate::requests::{Full, Requests, Room};
use crate::resend::Resend;
use crate::slot::{Round, Slot};
use crate::transfer::Transfer;
use crate::view_change::Views;
use kernel::{
    Application, Batch, Bundle, Cluster, Context, Digest, Effect, Mark, Micros, Operation, Path, Phase,
    Protocol, Reading, Reason, ReplicaId, Reply, ReplyBundle, Seq, Status, Tallied, View, ViewStatus,
    Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What every replica with PBFT's votes waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Work at hand, and maybe a message lost.
    Resend,
    /// In a view: the oldest request not executed. Leaving one: the NEW-VIEW.
    View,
    /// Chunks of a state on its way.
    Transfer,
}

/// A protocol with PBFT's messages and timers.
pub trait PbftProtocol: Protocol<Message = Message, Timer: From<Timer>> {}
impl<P: Protocol<Message = Message, Timer: From<Timer>>> PbftProtocol for P {}

/// How a flow's votes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Votes {
    /// To all (PBFT).
    ToAll,
    /// Through a communication node that the proposal names, with a fast path
    /// (CCRO): so a VIEW-CHANGE reports votes as well.
    Collected,
}

/// An honest commander has no more than `window` slots in flight. Of those beyond, which it
/// sends to a replica that is behind, so many bytes are kept; the rest is fetched when it
/// is due. A faulty one could fill the memory up to the high watermark.
const MOST_BYTES_AHEAD: usize = 256 << 20;

/// The state that every flow with PBFT's votes has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "A: Application")]
pub struct Core<A> {
    pub(crate) config: Config,
    pub(crate) votes: Votes,
    pub(crate) views: Views,
    /// As commander, the last slot proposed.
    pub(crate) last_proposed: Seq,
    /// As commander, null requests are proposed up to this slot while nothing
    /// else waits, for the sake of a replica that lost its memory.
    pub(crate) null_until: Seq,
    /// A replica that lost its memory asked, and nothing was executed since.
    pub(crate) null_owed: bool,
    /// By replica that lost its memory: the question that it asks, and the checkpoint that
    /// was stable when it came first.
    pub(crate) null_owed_to: BTreeMap<ReplicaId, (u64, Seq)>,
    pub(crate) slots: BTreeMap<Seq, Slot>,
    pub(crate) execution: Execution<A>,
    pub(crate) requests: Requests,
    pub(crate) checkpoints: Checkpoints,
    /// Payload executed since this replica's last checkpoint.
    pub(crate) bytes_since_checkpoint: usize,
    pub(crate) states: States,
    pub(crate) resend: Resend,
    pub(crate) pace: Pace,
    pub(crate) fairness: Fairness,
    pub(crate) transfer: Option<Transfer>,
    /// Peers that served a state badly: the next one is asked of others first.
    pub(crate) bad_servers: BTreeSet<ReplicaId>,
    pub(crate) divergence: Divergence,
    pub(crate) recovery: Recovery,
    /// Started again, this replica may have cast PREPAREs in this view, up to this slot, that it has forgotten.
    pub(crate) may_have_prepared: Option<(View, Seq)>,
}

impl<A: Application> Core<A> {
    /// A replica that has seen nothing yet.
    pub fn new(config: Config, votes: Votes, application: A) -> Core<A> {
        Core {
            config,
            votes,
            views: Views::default(),
            last_proposed: Seq(0),
            null_until: Seq(0),
            null_owed: false,
            null_owed_to: BTreeMap::new(),
            slots: BTreeMap::new(),
            execution: Execution::new(application),
            requests: Requests::default(),
            checkpoints: Checkpoints::default(),
            bytes_since_checkpoint: 0,
            states: States::default(),
            resend: Resend::default(),
            pace: Pace::default(),
            fairness: Fairness::default(),
            transfer: None,
            bad_servers: BTreeSet::new(),
            divergence: Divergence::default(),
            recovery: Recovery::default(),
            may_have_prepared: None,
        }
    }

    /// A replica that lost its memory (see [`crate::recovery`]).
    pub fn recovering(config: Config, votes: Votes, application: A) -> Core<A> {
        Core { recovery: Recovery::begin(), ..Core::new(config, votes, application) }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The view that this replica takes part in. It may have left it already, and
    /// then only learns in it.
    pub fn view(&self) -> View {
        self.views.active
    }

    /// What is known of a slot.
    pub fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.slots.get(&seq)
    }

    /// What is known of a slot in the current view.
    pub fn round(&self, seq: Seq) -> Option<&Round> {
        self.slots.get(&seq)?.rounds.get(&self.views.active)
    }

    /// Whether the slot is decided here.
    pub fn is_committed(&self, seq: Seq) -> bool {
        seq <= self.execution.last() || self.slot(seq).is_some_and(|slot| slot.committed.is_some())
    }

    /// Whether this replica has voted COMMIT in the current view.
    pub fn has_cast_commit(&self, id: ReplicaId, seq: Seq) -> bool {
        self.round(seq).is_some_and(|round| round.commits.get(id).is_some())
    }

    /// The last slot executed.
    pub fn last_executed(&self) -> Seq {
        self.execution.last()
    }

    /// Digest of log, application and sessions.
    pub fn state_digest(&self) -> Digest {
        self.execution.digest()
    }

    /// The oldest slot that is still kept: what lies between the last two stable
    /// checkpoints is there to help others, and what was not executed, for itself.
    /// After a leap over many checkpoints, there is no more to keep than without one.
    pub fn oldest_kept(&self) -> Seq {
        let leap = self.checkpoints.stable().0.saturating_sub(2 * self.config.checkpoint_interval);
        self.checkpoints.before().max(Seq(leap)).min(self.last_executed()).next()
    }

    /// Whether this replica takes part in its view: it has not left it, and its
    /// memory is whole.
    pub fn may_vote(&self) -> bool {
        !self.views.is_changing() && self.recovery.may_vote_in(self.views.active)
    }

    // ---- Requests (OSDI §4.1) ----

    /// Takes a bundle that the host hands over. A client with a key of its own speaks to
    /// all replicas itself, so its bundle is taken like one that a gateway sent.
    ///
    /// This node's own gateway relies on it: the same bundle once more
    /// means that its clients have no answer yet: then it goes to all, and whoever
    /// has executed it replies again. So it does while this replica suspects the
    /// commander alone, or has it in suspicion of being slow.
    pub fn submit<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, bundle: Arc<Bundle>) {
        if bundle.gateway() != cx.id() {
            return self.take_requests(cx, bundle.gateway(), bundle);
        }
        let executed = self.replies_again(&bundle).is_some();
        let digest = bundle.digest();
        let again = executed || self.requests.is_known(&digest) || self.requests.is_watched(&digest);
        let suspicious = self.pace.is_suspicious() || self.fairness.is_suspicious(cx.id());
        if again || self.views.suspects_alone() || suspicious {
            cx.send_all(Message::Requests(Arc::clone(&bundle)));
        }
        if !executed && self.watch_over(cx.now, &bundle).is_err() {
            cx.reject(cx.id(), None, Reason::Overloaded);
            return;
        }
        self.take_requests(cx, cx.id(), bundle);
    }

    /// Takes a bundle that a peer or a client sent. What is executed already is answered from
    /// the session table; else a commander queues it, once, and any other replica
    /// passes it on. Whoever sends its own bundle to others than the commander
    /// has waited for long: then all watch over it.
    pub fn take_requests<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        bundle: Arc<Bundle>,
    ) {
        let gateway = bundle.gateway();
        if let Some((seq, replies)) = self.replies_again(&bundle) {
            return self.reply_again(cx, gateway, seq, replies);
        }
        if from == gateway && cx.cluster.requests_have_tags() {
            self.requests.renew(&bundle);
        }
        let commander = cx.cluster.commander(self.views.serving());
        let watched = from != gateway || commander == cx.id() || self.watch_over(cx.now, &bundle).is_ok();
        let taken = if commander == cx.id() {
            self.requests.enqueue(bundle).is_ok()
        } else {
            if from == gateway {
                cx.send(commander, Message::Requests(bundle));
            }
            true
        };
        if !(watched && taken) {
            cx.reject(gateway, None, Reason::Overloaded);
        }
    }

    fn watch_over(&mut self, now: Micros, bundle: &Arc<Bundle>) -> Result<(), Full> {
        self.requests.watch(bundle)?;
        self.follow(now, bundle);
        Ok(())
    }

    /// The replies to a bundle that was executed, as far as this replica's state is to
    /// be believed.
    fn replies_again(&self, bundle: &Bundle) -> Option<(Seq, Vec<Reply>)> {
        if self.has_diverged() { None } else { self.execution.replies_again(bundle) }
    }

    fn reply_again<P: PbftProtocol>(
        &self,
        cx: &mut Context<'_, P>,
        to: ReplicaId,
        seq: Seq,
        replies: Vec<Reply>,
    ) {
        if !replies.is_empty() {
            let bundle = ReplyBundle::sign(cx.cluster, cx.signer, self.view(), seq, to, vec![], replies);
            cx.push(Effect::Reply { to, bundle });
        }
    }

    // ---- Proposing and accepting (OSDI §4.2) ----

    /// Whether this replica is commander, has something to propose and may open
    /// another slot. One that a later view has decided already is not its to fill.
    pub fn may_propose<P: PbftProtocol>(&self, cx: &Context<'_, P>) -> bool {
        cx.cluster.commander(self.view()) == cx.id()
            && self.may_vote()
            && ((self.requests.any_waiting() && self.fill_a_slot()) || self.last_proposed < self.null_until)
            && self.last_proposed.0 < self.last_executed().0 + self.config.window
            && self.last_proposed < self.highest_kept()
            && !self.is_committed(self.last_proposed.next())
    }

    /// Whether the waiting requests are worth the votes of another slot, which cost
    /// the same whatever it orders. Where few requests are in flight, overlap is worth
    /// more than large batches; where many are, only a full batch is (ADR 5).
    fn fill_a_slot(&self) -> bool {
        // Beyond what this view proposed, batches of earlier views may lie about.
        let slots = self.slots.range(self.last_executed().next()..);
        let slots = slots.take_while(|(seq, _)| **seq <= self.last_proposed);
        let batches = slots.flat_map(|(_, slot)| slot.batches.values());
        let in_flight: usize = batches.map(|batch| batch.requests()).sum();
        in_flight < self.config.batch_max.div_ceil(8) || self.requests.fill_a_batch(self.room())
    }

    /// What one batch has room for.
    pub(crate) fn room(&self) -> Room {
        Room { requests: self.config.batch_max, bytes: self.config.batch_bytes_max }
    }

    /// Proposes the next batch of waiting requests, a null request if none wait,
    /// and returns its slot.
    pub fn propose<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, node: Option<ReplicaId>) -> Seq {
        let seq = self.last_proposed.next();
        self.last_proposed = seq;
        let batch = self.requests.next_batch(self.room());
        let (requests, batch) = (batch.requests(), Arc::new(batch));
        let (header, message) =
            Message::propose(cx.cluster, cx.signer, self.view(), seq, Arc::clone(&batch), node);
        let round = self.open(cx.cluster, self.view(), seq);
        round.record(&header);
        round.accepted = true;
        self.keep_batch(seq, header.digest, batch);
        cx.mark(Mark::Proposed {
            view: Some(header.view),
            seq,
            digest: header.digest,
            requests,
            communication_node: node,
        });
        cx.send_all(message);
        seq
    }

    /// Takes a commander's proposal. True if it is accepted: this replica may
    /// then vote for it. One that may not vote yet, or not any more, keeps it to
    /// learn of the decision.
    pub fn accept<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        header: Vote,
        batch: Arc<Batch>,
    ) -> bool {
        let Vote { seq, view, digest, .. } = header;
        if !self.take_proposal(cx, from, &header, batch) {
            return false;
        }
        let accepted = view == self.view() && self.may_accept(seq, digest);
        if accepted {
            if weakened(Weakening::SecondProposalAccepted) {
                self.open(cx.cluster, view, seq).header = Some(header);
            }
            self.mark_accepted(cx, seq, digest);
        }
        // The slot may have been decided by a certificate that came first.
        self.execute(cx);
        accepted
    }

    /// Takes a proposal with requests that this replica cannot authenticate (`pbft-mac-requests`). True if it is accepted all
    /// the same: because the view began with it, or see [`Core::accept_by_votes`]. One of a view that has not begun is not
    /// kept, as whatever is there when it begins counts as proposed; it is sent again.
    pub fn doubt<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        header: Vote,
        batch: Arc<Batch>,
    ) -> bool {
        let Vote { seq, view, digest, .. } = header;
        if view == self.view() && self.views.began_with(seq, digest) {
            return self.accept(cx, from, header, batch);
        }
        let is_of_this_view = view == self.view() || weakened(Weakening::DoubtForgotten);
        if is_of_this_view {
            if !self.take_proposal(cx, from, &header, batch) {
                return false;
            }
            self.execute(cx);
            if self.accept_by_votes(cx, seq) {
                return true;
            }
        }
        cx.reject(from, Some(seq), Reason::DoubtedRequests);
        false
    }

    /// Accepts a proposal that was doubted once `f+1` replicas, its commander among them, vote for it: one of them is honest, and
    /// voted because the requests are authentic there, or because it knew of one such in the same way.
    pub fn accept_by_votes<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, seq: Seq) -> bool {
        if !cx.cluster.requests_have_tags() {
            return false;
        }
        let Some(round) = self.round(seq).filter(|round| !round.accepted) else { return false };
        let Some(digest) = round.header.as_ref().map(|header| header.digest) else { return false };
        let one_less = usize::from(weakened(Weakening::DoubtedRequestsOneLess));
        let is_vouched_for = round.prepares.count(&digest) + one_less >= cx.cluster.weak_quorum();
        let is_here = self.slot(seq).is_some_and(|slot| slot.batches.contains_key(&digest));
        if !is_vouched_for || !is_here || !self.may_accept(seq, digest) {
            return false;
        }
        self.mark_accepted(cx, seq, digest);
        true
    }

    /// Keeps a commander's proposal, if it is new and may be meant.
    fn take_proposal<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        header: &Vote,
        batch: Arc<Batch>,
    ) -> bool {
        let seq = header.seq;
        if let Err(reason) = self.check_proposal(cx, header, &batch) {
            self.resend.note_view(header.view);
            cx.reject(from, Some(seq), reason);
            return false;
        }
        let first = self.slots.get(&seq).and_then(|slot| slot.rounds.get(&header.view)?.header.clone());
        let same = first.as_ref() == Some(header);
        if !same && !self.record(cx, from, header) && !weakened(Weakening::SecondProposalAccepted) {
            return false;
        }
        let held = self.slot(seq).is_some_and(|slot| slot.batches.contains_key(&header.digest));
        if same && held {
            cx.reject(from, Some(seq), Reason::Duplicate);
            return false;
        }
        self.keep_batch(seq, header.digest, batch);
        true
    }

    /// Whether this replica may vote for this digest in its view, if the commander proposes it. What lies below its
    /// stable checkpoint is decided, though not in slots that it still knows (OSDI §4.2 demands `h < n`), and what a
    /// view began with stands, even where this replica is too far behind to keep it. What it may not vote for it keeps
    /// all the same, to learn of the decision.
    pub(crate) fn may_accept(&self, seq: Seq, digest: Digest) -> bool {
        let above = seq > self.checkpoints.stable() || weakened(Weakening::VotesBelowCheckpoint);
        self.may_vote() && above && self.views.agrees_with_beginning(seq, digest)
    }

    pub(crate) fn mark_accepted<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        seq: Seq,
        digest: Digest,
    ) {
        self.open(cx.cluster, self.view(), seq).accepted = true;
        cx.mark(Mark::Accepted { seq, digest });
    }

    fn check_proposal<P: PbftProtocol>(
        &self,
        cx: &Context<'_, P>,
        header: &Vote,
        batch: &Batch,
    ) -> Result<(), Reason> {
        if !self.views.takes_votes_of(header.view) {
            return Err(Reason::WrongView);
        }
        if header.author == cx.id() {
            return Err(Reason::NotEntitled);
        }
        if header.communication_node.is_some() != (self.votes == Votes::Collected) {
            return Err(Reason::NotEntitled);
        }
        if header.view == self.view() && !self.views.agrees_with_beginning(header.seq, header.digest) {
            return Err(Reason::ConflictingProposal);
        }
        // Below the stable checkpoint, but not executed here yet: still welcome.
        if header.seq < self.oldest_kept() || self.is_ahead(header.seq) {
            return Err(Reason::OutsideWindow);
        }
        if batch.bundles.len() > 1 && batch.requests() > self.config.batch_max {
            return Err(Reason::MalformedRequests);
        }
        if header.seq.0 > self.last_executed().0 + self.config.window
            && self.bytes_ahead() + batch.payload_bytes() > MOST_BYTES_AHEAD
        {
            return Err(Reason::Overloaded);
        }
        Ok(())
    }

    /// Bytes of batches beyond what was executed.
    fn bytes_ahead(&self) -> usize {
        let ahead = self.slots.range(self.last_executed().next()..);
        ahead.flat_map(|(_, slot)| slot.batches.values()).map(|batch| batch.payload_bytes()).sum()
    }

    /// The newest slot that this replica takes part in: the high watermark `H`,
    /// and no further ahead of what it executed than it can catch up with by
    /// certificates. Beyond, it would only fill its memory.
    pub fn highest_kept(&self) -> Seq {
        let within_reach = self.last_executed().0 + 4 * self.config.checkpoint_interval;
        self.high_watermark().min(Seq(within_reach))
    }

    pub(crate) fn high_watermark(&self) -> Seq {
        Seq(self.checkpoints.stable().0 + 2 * self.config.checkpoint_interval)
    }

    /// Whether this replica may have cast a PREPARE for the slot in its view that it has forgotten.
    fn may_have_prepared(&self, seq: Seq) -> bool {
        self.may_have_prepared.is_some_and(|(view, until)| view == self.view() && seq <= until)
    }

    fn is_ahead(&self, seq: Seq) -> bool {
        seq > self.highest_kept() && !weakened(Weakening::WatermarkIgnored)
    }

    pub(crate) fn open(&mut self, cluster: &Cluster, view: View, seq: Seq) -> &mut Round {
        let rounds = &mut self.slots.entry(seq).or_default().rounds;
        rounds.entry(view).or_insert_with(|| Round::new(cluster, self.votes))
    }

    /// What the commander has proposed for a slot, by the votes of `f+1` replicas: an honest one has received it from the
    /// commander. It may be something else than was proposed here. Only where a proposal cannot be shown to others (`pbft-mac`); it is not
    /// accepted for that, but it is known which requests the commander owes.
    ///
    /// A COMMIT counts like a PREPARE: who commits has accepted the proposal. The commander sends no PREPARE, and who has decided
    /// sends its COMMIT alone again.
    pub(crate) fn shown_by_votes(&self, cluster: &Cluster, seq: Seq) -> BTreeSet<Digest> {
        let Some(round) = self.round(seq).filter(|_| cluster.has_tags()) else {
            return BTreeSet::new();
        };
        let votes = |digest: &Digest| {
            let chosen = |author| {
                [&round.prepares, &round.commits].iter().any(|set| set.choice(author) == Some(digest))
            };
            cluster.replicas().filter(|author| chosen(*author)).count()
        };
        let voted = round.prepares.digests().chain(round.commits.digests());
        voted.filter(|digest| votes(digest) >= cluster.weak_quorum()).collect()
    }

    pub(crate) fn keep_batch(&mut self, seq: Seq, digest: Digest, batch: Arc<Batch>) {
        self.slots.entry(seq).or_default().batches.insert(digest, batch);
    }

    // ---- Votes ----

    /// Casts this replica's vote for the proposal that it accepted, records it,
    /// and returns it for the flow to send. None if it voted already or must not.
    pub fn cast<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, phase: Phase, seq: Seq) -> Option<Vote> {
        // Beyond what it keeps, a commander far behind may have its own proposals;
        // others' votes, which the next view must hear of, it keeps none there.
        if !self.may_vote() || self.is_ahead(seq) || phase == Phase::Prepare && self.may_have_prepared(seq) {
            return None;
        }
        let view = self.view();
        let digest = self.round(seq)?.accepted_header()?.digest;
        let vote = Vote::sign(cx.cluster, cx.signer, phase, (view, seq, digest), None);
        let tallied = self.open(cx.cluster, view, seq).record(&vote);
        let again = weakened(Weakening::SecondProposalAccepted) && tallied == Tallied::Contradiction;
        if tallied != Tallied::New && !again {
            return None;
        }
        cx.mark(Mark::Voted { phase, view: Some(view), seq, digest });
        Some(vote)
    }

    /// Records another replica's vote. True if it is new and counts.
    pub fn record<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>, from: ReplicaId, vote: &Vote) -> bool {
        let seq = vote.seq;
        if seq < self.oldest_kept() {
            return false; // An echo of what is long decided: no one's fault.
        }
        if !self.views.takes_votes_of(vote.view) {
            self.resend.note_view(vote.view);
            cx.reject(from, Some(seq), Reason::WrongView);
            return false;
        }
        if self.is_ahead(seq) {
            cx.reject(from, Some(seq), Reason::OutsideWindow);
            return false;
        }
        if vote.author == cx.id() {
            return false; // Our own vote in another's envelope.
        }
        let round = self.open(cx.cluster, vote.view, seq);
        let tallied = round.record(vote);
        if tallied == Tallied::Contradiction && vote.phase == Phase::PrePrepare {
            let first = round.header.clone();
            self.accuse(cx, from, first, vote);
            return false;
        }
        if tallied != Tallied::Duplicate {
            cx.mark(Mark::VoteReceived {
                seq,
                digest: vote.digest,
                author: vote.author,
                phase: vote.phase,
                contradicts: tallied == Tallied::Contradiction,
            });
        }
        tallied == Tallied::New
    }

    /// Takes a vote that came alone: one that was here before is counted as
    /// repeated, be it sent again or replayed.
    pub fn take_vote<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        vote: &Vote,
    ) -> bool {
        let votes = self.slots.get(&vote.seq).and_then(|slot| slot.rounds.get(&vote.view));
        let votes =
            votes.map(|round| if vote.phase == Phase::Commit { &round.commits } else { &round.prepares });
        let known = votes.and_then(|votes| votes.choice(vote.author));
        if known == Some(&vote.digest) {
            let has_share = votes.is_some_and(|votes| votes.has_signature_of(vote.author));
            if cx.cluster.has_shares() && !has_share {
                // It was known as part of a sum only. With its share, this replica may be able to make a certificate.
                self.open(cx.cluster, vote.view, vote.seq).record(vote);
                return true;
            }
            cx.reject(from, Some(vote.seq), Reason::Duplicate);
            return false;
        }
        self.record(cx, from, vote)
    }

    /// The certificate of this kind that can be shown for a digest in this view: one of the votes whose signatures are
    /// known, or else one that was received.
    pub fn certificate(
        &self,
        cluster: &Cluster,
        kind: CertificateKind,
        seq: Seq,
        digest: Digest,
    ) -> Option<Arc<Certificate>> {
        let about = (self.view(), seq, digest);
        let made = self.round(seq)?.certificate(cluster, kind, about).map(Arc::new);
        made.or_else(|| {
            let kept = self.slot(seq)?.prepared.clone()?;
            ((kept.view, kept.seq, kept.digest) == about && kept.kind == kind).then_some(kept)
        })
    }

    /// Records every vote of a certificate, and keeps one of votes to accept: this
    /// replica may send COMMIT because of it and owes it to the next view then,
    /// even if it has other votes of some of the voters and could not make it itself.
    pub fn record_certificate<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        certificate: &Arc<Certificate>,
    ) {
        let seq = certificate.seq;
        let takes_votes = self.views.takes_votes_of(certificate.view);
        if takes_votes {
            for vote in certificate.to_votes(cx.cluster) {
                self.record(cx, from, &vote);
            }
            let slot = self.slots.get_mut(&seq);
            if let Some(round) = slot.and_then(|slot| slot.rounds.get_mut(&certificate.view)) {
                round.share(certificate);
            }
        }
        let kept = takes_votes && !weakened(Weakening::CertificateNotKept);
        if (kept || certificate.view < self.view())
            && certificate.kind != CertificateKind::Committed
            && (self.oldest_kept()..=self.highest_kept()).contains(&seq)
        {
            self.slots.entry(seq).or_default().note_prepared(Arc::clone(certificate));
        }
    }

    /// Takes a peer's word that a slot is decided (`pbft-mac`). It is once `f+1` say the same.
    pub fn take_statement<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        (seq, digest): (Seq, Digest),
    ) {
        if self.is_ahead(seq) {
            cx.reject(from, Some(seq), Reason::OutsideWindow);
            return;
        }
        if self.is_committed(seq) {
            let decided = self.slot(seq).and_then(|slot| slot.committed);
            if decided.is_some_and(|(_, decided)| decided != digest) {
                cx.reject(from, Some(seq), Reason::ConflictingVote);
            }
            return;
        }
        if self.slots.entry(seq).or_default().statements.add(cx.cluster, from, digest) {
            // In which view is for nobody to say: those who made the statements may differ, and one may lie.
            self.decide(cx, (self.view(), seq, digest), None, Path::Direct, None);
        }
    }

    /// The digest that a quorum sent COMMIT for, and in which view.
    pub fn commit_quorum(&self, cluster: &Cluster, seq: Seq) -> Option<(View, Digest)> {
        let rounds = &self.slots.get(&seq)?.rounds;
        rounds.iter().find_map(|(view, round)| Some((*view, round.commits.decided(cluster.quorum())?)))
    }

    /// This replica's votes for a slot in the current view.
    pub fn own_votes(&self, id: ReplicaId, seq: Seq) -> Vec<Vote> {
        self.round(seq).map_or_else(Vec::new, |round| round.votes_of(id, (self.view(), seq)))
    }

    /// This replica's own proposal of a slot, to be sent again.
    pub fn own_proposal(&self, cluster: &Cluster, id: ReplicaId, seq: Seq) -> Option<Message> {
        let slot = self.slot(seq)?;
        let header = self.round(seq)?.accepted_header().filter(|header| header.author == id)?;
        let batch = Arc::clone(slot.batches.get(&header.digest)?);
        Some(Message::proposal(cluster, header.clone(), batch))
    }

    /// The communication node that the newest accepted proposal names (CCRO).
    pub fn last_named(&self) -> Option<ReplicaId> {
        let newest = self.slots.values().rev().filter_map(|slot| slot.rounds.get(&self.view()));
        newest.into_iter().find_map(|round| round.accepted_header()?.communication_node)
    }

    // ---- Deciding and executing ----

    /// The slot is decided by the votes received: `q` COMMITs for `digest`.
    pub fn commit<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        seq: Seq,
        (view, digest): (View, Digest),
        path: Path,
    ) {
        self.decide(cx, (view, seq, digest), Some(view), path, None);
    }

    /// The slot is decided by a final certificate (fast or committed), of any
    /// view.
    pub fn commit_by<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        certificate: Arc<Certificate>,
        path: Path,
    ) {
        debug_assert_ne!(certificate.kind, CertificateKind::Prepared);
        let about = (certificate.view, certificate.seq, certificate.digest);
        if certificate.seq > self.highest_kept() {
            cx.reject(from, Some(certificate.seq), Reason::OutsideWindow);
            return;
        }
        self.decide(cx, about, Some(certificate.view), path, Some(certificate));
    }

    fn decide<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        (view, seq, digest): (View, Seq, Digest),
        known_view: Option<View>,
        path: Path,
        proof: Option<Arc<Certificate>>,
    ) {
        if self.is_committed(seq) {
            return;
        }
        let slot = self.slots.entry(seq).or_default();
        slot.committed = Some((view, digest));
        slot.proof = proof;
        if digest == Batch::default().digest() {
            slot.batches.entry(digest).or_default();
        }
        cx.mark(Mark::Committed { view: known_view, seq, digest, path });
        // Where nothing was accepted yet, the proposal is most likely still on its
        // way; if it is not, the resend timer asks for the batch.
        let accepted_another = slot.decided_batch().is_none() && !slot.batches.is_empty();
        if accepted_another {
            cx.send_all(Message::Fetch { seq, digest });
        }
        self.execute(cx);
    }

    /// Executes all slots that are decided, in order, without a gap; nothing on a state
    /// that is known to be wrong.
    pub(crate) fn execute<P: PbftProtocol>(&mut self, cx: &mut Context<'_, P>) {
        while !self.has_diverged() {
            let seq = self.last_executed().next();
            let Some(slot) = self.slots.get(&seq) else {
                break;
            };
            let (Some((_, digest)), Some(batch)) = (slot.committed, slot.decided_batch().cloned()) else {
                break;
            };
            for bundle in self.execution.execute(cx, self.views.active, seq, digest, &batch) {
                let to = bundle.gateway;
                cx.push(Effect::Reply { to, bundle });
            }
            self.requests.executed(&batch);
            self.judge_slot(cx, seq, &batch);
            self.views.progressed();
            self.null_owed = false;
            // All replicas execute the same bytes, so all reach the same checkpoints.
            self.bytes_since_checkpoint += batch.payload_bytes();
            if seq.0.is_multiple_of(self.config.checkpoint_interval)
                || self.bytes_since_checkpoint >= self.config.checkpoint_bytes
            {
                self.checkpoint(cx, seq);
            }
        }
    }

    // ---- Batches that a certificate or a NEW-VIEW names and that are missing ----

    /// Answers a fetch.
    pub(crate) fn serve<P: PbftProtocol>(
        &self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        digest: Digest,
    ) {
        if self.is_past(cx, from, seq) {
            return;
        }
        if let Some(batch) = self.slot(seq).and_then(|slot| slot.batches.get(&digest)) {
            let batch = Arc::clone(batch);
            cx.send(from, Message::Fetched { seq, batch });
        }
    }

    /// Takes the answer to a fetch, if it is what was asked for. The slot is
    /// returned if its proposal can be accepted now.
    pub(crate) fn take_fetched<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        batch: Arc<Batch>,
    ) -> Option<Seq> {
        let digest = batch.digest();
        let proposed =
            self.round(seq).filter(|round| !round.accepted).and_then(|round| round.header.as_ref());
        let proposed = proposed.map(|header| header.digest);
        let slot = self.slot(seq).filter(|slot| !slot.batches.contains_key(&digest))?;
        let decided = slot.committed.map(|(_, digest)| digest);
        let is_known = [decided, proposed].contains(&Some(digest))
            || self.shown_by_votes(cx.cluster, seq).contains(&digest);
        if !is_known {
            let asked_for = decided.is_some_and(|decided| !slot.batches.contains_key(&decided));
            if asked_for {
                cx.reject(from, None, Reason::DigestMismatch);
            }
            return None;
        }
        self.keep_batch(seq, digest, batch);
        let accepted = proposed == Some(digest) && self.may_accept(seq, digest);
        if accepted {
            self.mark_accepted(cx, seq, digest);
        }
        self.execute(cx);
        accepted.then_some(seq)
    }

    // ---- Messages that are the same in every flow ----

    /// Takes a message that is not about who carries the votes. Returns the slots
    /// whose proposals it made acceptable: the flow votes for them.
    pub fn take_other<P: PbftProtocol>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        message: Message,
    ) -> Vec<Seq> {
        match message {
            // OSDI §4.1
            Message::Requests(bundle) => self.take_requests(cx, from, bundle),
            // OSDI §4.3
            Message::Checkpoint(vote) => self.take_checkpoint(cx, vote),
            Message::Stable(proof) => self.take_stable(cx, proof),
            // OSDI §4.6
            Message::FetchState { seq, index } => self.serve_state(cx, from, (seq, index)),
            Message::State { seq, part } => self.take_state(cx, from, seq, &part),
            // OSDI §4.4
            Message::ViewChange(change) => self.take_view_change(cx, from, change),
            Message::NewView(new_view) => return self.take_new_view(cx, from, &new_view),
            Message::Conflict { first, .. } => self.take_conflict(cx, first.view),
            // What got lost
            Message::Progress { view, executed } => self.take_progress(cx, from, view, executed),
            Message::Fetch { seq, digest } => self.serve(cx, from, seq, digest),
            Message::Fetched { seq, batch } => {
                return self.take_fetched(cx, from, seq, batch).into_iter().collect();
            }
            Message::Recover { nonce } => self.answer_recovery(cx, from, nonce),
            Message::Recollection(answer) => self.take_recollection(cx, &answer),
            // The flow's own.
            Message::PrePrepare { .. }
            | Message::Vote(_)
            | Message::Certificate(_)
            | Message::Stuck { .. }
            | Message::TaggedProposal { .. }
            | Message::DoubtedProposal { .. }
            | Message::TaggedVote { .. }
            | Message::Decided { .. }
            | Message::Mistagged { .. } => {}
        }
        vec![]
    }

    /// Whether this is a vote for what was decided here, in the view in which it was; or, where nothing but `q`
    /// PREPAREs matters, a PREPARE for what is prepared here.
    pub fn may_wait(&self, cluster: &Cluster, message: &Message) -> bool {
        let Message::Vote(vote) = message else { return false };
        let Some(slot) = self.slots.get(&vote.seq) else { return false };
        let is_enough = |round: &Round| {
            round.is_prepared(cluster)
                && round.accepted_header().is_some_and(|header| header.digest == vote.digest)
        };
        let is_prepared = self.votes == Votes::ToAll && vote.phase == Phase::Prepare;
        slot.committed == Some((vote.view, vote.digest))
            || is_prepared && slot.rounds.get(&vote.view).is_some_and(is_enough)
    }

    /// What the application answers to an operation that only reads; none while
    /// this replica has not caught up after it lost its memory, or its state is known to
    /// be wrong.
    pub fn query(&self, operation: &Operation) -> Option<Reading> {
        if self.recovery.is_pending() || self.has_diverged() { None } else { self.execution.query(operation) }
    }

    /// What a person wants to know.
    pub fn status(&self, cluster: &Cluster) -> Status {
        let begun = self.slots.range(self.last_executed().next()..).count();
        Status {
            recovering: self.recovery.is_pending(),
            diverged: self.has_diverged(),
            divergences: self.divergences(),
            last_executed: self.last_executed(),
            slots_in_flight: begun,
            requests_waiting: self.requests.waiting(),
            membership: None,
            views: Some(ViewStatus {
                view: self.views.wanted,
                changing_view: self.views.is_changing(),
                commander: cluster.commander(self.views.wanted),
                communication_node: None,
                stable_checkpoint: self.checkpoints.stable(),
                trust_milli: vec![],
            }),
        }
    }
}
