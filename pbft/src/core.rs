//! What PBFT and the flows built on it share: the log of slots, proposing,
//! accepting, recording votes, committing. Who carries the votes is decided by
//! the flow that owns the core.

use crate::checkpoint::Checkpoints;
use crate::config::Config;
use crate::execution::Execution;
use crate::message::{Certificate, CertificateKind, CheckpointVote, Message, StableCheckpoint, Vote};
use crate::slot::{Round, Slot};
use kernel::{
    Application, Batch, Bundle, Cluster, Context, Digest, Effect, Mark, Micros, Path, Phase, Protocol,
    Reason, ReplicaId, Reply, ReplyBundle, Seq, Status, Tallied, View,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A protocol that speaks PBFT's messages.
pub trait Speaks: Protocol<Message = Message> {}
impl<P: Protocol<Message = Message>> Speaks for P {}

/// The state that every flow with PBFT's votes has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core<A> {
    config: Config,
    view: View,
    /// As commander, the last slot proposed.
    last_proposed: Seq,
    slots: BTreeMap<Seq, Slot>,
    execution: Execution<A>,
    /// As commander, bundles waiting for a slot, and how many requests of each
    /// gateway are in them.
    waiting: VecDeque<Arc<Bundle>>,
    waiting_of: BTreeMap<ReplicaId, usize>,
    waiting_bytes: usize,
    /// As commander, bundles waiting or proposed and not executed.
    known: BTreeSet<Digest>,
    /// As gateway, bundles handed over and not executed.
    submitted: BTreeMap<Digest, Submitted>,
    submitted_bytes: usize,
    checkpoints: Checkpoints,
    /// Payload executed since this replica's last checkpoint.
    bytes_since_checkpoint: usize,
    resend: Resend,
    /// How far peers say that they have executed.
    heard: BTreeMap<ReplicaId, Seq>,
    /// What this replica told its peers last.
    told: Seq,
}

/// A bundle of this node's own gateway on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Submitted {
    bundle: Arc<Bundle>,
    /// The resend timer ran out once since it was handed over.
    waited: bool,
}

/// When what may be lost is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Resend {
    /// What was executed when the timer was started, if it runs.
    since: Option<Seq>,
    /// How often it ran out in a row without progress; the wait doubles each time.
    in_vain: u32,
}

/// The resend timer doubles at most so often.
const MOST_DOUBLINGS: u32 = 5;
/// Requests of one gateway that wait at a commander at most.
const MOST_WAITING: usize = 65_536;
/// Bytes of requests that wait at a commander, or that a gateway has on the way,
/// at most.
const MOST_WAITING_BYTES: usize = 256 << 20;
/// Slots that a replica asks for at once when it is behind.
const SLOTS_ASKED: usize = 32;

impl<A: Application> Core<A> {
    /// A replica that has seen nothing yet.
    pub fn new(config: Config, application: A) -> Core<A> {
        Core {
            config,
            view: View(0),
            last_proposed: Seq(0),
            slots: BTreeMap::new(),
            execution: Execution::new(application),
            waiting: VecDeque::new(),
            waiting_of: BTreeMap::new(),
            waiting_bytes: 0,
            known: BTreeSet::new(),
            submitted: BTreeMap::new(),
            submitted_bytes: 0,
            checkpoints: Checkpoints::default(),
            bytes_since_checkpoint: 0,
            resend: Resend::default(),
            heard: BTreeMap::new(),
            told: Seq(0),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The current view.
    pub fn view(&self) -> View {
        self.view
    }

    /// What is known of a slot.
    pub fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.slots.get(&seq)
    }

    /// What is known of a slot in the current view.
    pub fn round(&self, seq: Seq) -> Option<&Round> {
        self.slots.get(&seq)?.rounds.get(&self.view)
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

    /// The oldest slot that is still kept.
    pub fn oldest_kept(&self) -> Seq {
        self.checkpoints.before().min(self.last_executed()).next()
    }

    // ---- Requests (OSDI §4.1) ----

    /// Takes the bundle of this node's own gateway. The same bundle once more
    /// means that its clients have no answer yet: then it goes to all, and whoever
    /// has executed it replies again.
    pub fn submit<P: Speaks>(&mut self, cx: &mut Context<'_, P>, bundle: Arc<Bundle>) {
        let executed = self.execution.replies_again(&bundle).is_some();
        if executed || self.known.contains(&bundle.digest()) || self.submitted.contains_key(&bundle.digest())
        {
            cx.send_all(Message::Requests(Arc::clone(&bundle)));
        }
        let bytes = self.submitted_bytes + bundle.payload_bytes();
        if bytes > MOST_WAITING_BYTES {
            cx.reject(cx.id(), None, Reason::Overloaded);
            return;
        }
        let known = self.submitted.contains_key(&bundle.digest());
        if !executed && !known && cx.cluster.commander(self.view) != cx.id() {
            self.submitted_bytes = bytes;
            let submitted = Submitted { bundle: Arc::clone(&bundle), waited: false };
            self.submitted.insert(bundle.digest(), submitted);
        }
        self.take_requests(cx, bundle);
    }

    /// Takes a bundle that a gateway sent. What is executed already is answered
    /// from the session table; else a commander queues it, once, and any other
    /// replica passes it on.
    pub fn take_requests<P: Speaks>(&mut self, cx: &mut Context<'_, P>, bundle: Arc<Bundle>) {
        let commander = cx.cluster.commander(self.view);
        if let Some((seq, replies)) = self.execution.replies_again(&bundle) {
            self.reply_again(cx, bundle.gateway(), seq, replies);
        } else if commander == cx.id() {
            self.enqueue(cx, bundle);
        } else {
            cx.send(commander, Message::Requests(bundle));
        }
    }

    fn enqueue<P: Speaks>(&mut self, cx: &mut Context<'_, P>, bundle: Arc<Bundle>) {
        let gateway = bundle.gateway();
        let waiting = self.waiting_of.get(&gateway).copied().unwrap_or(0) + bundle.requests().len();
        let bytes = self.waiting_bytes + bundle.payload_bytes();
        if waiting > MOST_WAITING || bytes > MOST_WAITING_BYTES {
            cx.reject(gateway, None, Reason::Overloaded);
        } else if self.known.insert(bundle.digest()) {
            self.waiting_bytes = bytes;
            self.waiting_of.insert(gateway, waiting);
            self.waiting.push_back(bundle);
        }
    }

    fn reply_again<P: Speaks>(&self, cx: &mut Context<'_, P>, to: ReplicaId, seq: Seq, replies: Vec<Reply>) {
        if !replies.is_empty() {
            let bundle = ReplyBundle::sign(cx.cluster, cx.signer, self.view, seq, to, replies);
            cx.push(Effect::Reply { to, bundle });
        }
    }

    // ---- Proposing and accepting (OSDI §4.2) ----

    /// Whether this replica is commander, has requests waiting and may open
    /// another slot.
    pub fn may_propose<P: Speaks>(&self, cx: &Context<'_, P>) -> bool {
        cx.cluster.commander(self.view) == cx.id()
            && !self.waiting.is_empty()
            && self.last_proposed.0 < self.last_executed().0 + self.config.window
            && self.last_proposed < self.highest_kept()
    }

    /// Proposes the next batch of waiting requests and returns its slot.
    pub fn propose<P: Speaks>(&mut self, cx: &mut Context<'_, P>, node: Option<ReplicaId>) -> Seq {
        let seq = self.last_proposed.next();
        self.last_proposed = seq;
        let batch = Arc::new(self.next_batch());
        let requests = batch.requests();
        let (header, message) =
            Message::propose(cx.cluster, cx.signer, self.view, seq, Arc::clone(&batch), node);
        let round = self.open(seq);
        round.record(&header);
        round.accepted = true;
        self.keep_batch(seq, header.digest, batch);
        cx.mark(Mark::Proposed {
            view: header.view,
            seq,
            digest: header.digest,
            requests,
            communication_node: node,
        });
        cx.send_all(message);
        seq
    }

    fn next_batch(&mut self) -> Batch {
        let (mut requests, mut bytes) = (0, 0);
        let mut batch = Batch::default();
        while let Some(bundle) = self.waiting.front() {
            requests += bundle.requests().len();
            bytes += bundle.payload_bytes();
            let full = requests > self.config.batch_max || bytes > self.config.batch_bytes_max;
            if full && !batch.bundles.is_empty() {
                break;
            }
            if let Some(waiting) = self.waiting_of.get_mut(&bundle.gateway()) {
                *waiting -= bundle.requests().len();
            }
            self.waiting_bytes -= bundle.payload_bytes();
            batch.bundles.extend(self.waiting.pop_front());
        }
        batch
    }

    /// Takes a commander's proposal. True if it is accepted: this replica may
    /// then vote for it.
    pub fn accept<P: Speaks>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        header: Vote,
        batch: Arc<Batch>,
    ) -> bool {
        let seq = header.seq;
        if let Err(reason) = self.check_proposal(cx, &header, &batch) {
            cx.reject(from, Some(seq), reason);
            return false;
        }
        if self.round(seq).is_some_and(|round| round.accepted) {
            let same = self.round(seq).and_then(|round| round.header.as_ref()) == Some(&header);
            if !same {
                cx.reject(from, Some(seq), Reason::ConflictingProposal);
            }
            return false;
        }
        if !self.record(cx, from, &header) {
            // Refused, unless the header was seen already without its batch.
            let known = self.round(seq).and_then(|round| round.header.as_ref()) == Some(&header);
            if !known {
                return false;
            }
        }
        self.open(seq).accepted = true;
        cx.mark(Mark::Accepted { seq, digest: header.digest });
        self.keep_batch(seq, header.digest, batch);
        // The slot may have been decided by a certificate that came first.
        self.execute(cx);
        true
    }

    fn check_proposal<P: Speaks>(
        &self,
        cx: &Context<'_, P>,
        header: &Vote,
        batch: &Batch,
    ) -> Result<(), Reason> {
        if header.view != self.view {
            return Err(Reason::WrongView);
        }
        if header.author == cx.id() {
            return Err(Reason::NotEntitled);
        }
        // Below the stable checkpoint, but not executed here yet: still welcome.
        if header.seq < self.oldest_kept() || header.seq > self.highest_kept() {
            return Err(Reason::OutsideWindow);
        }
        if batch.bundles.len() > 1 && batch.requests() > self.config.batch_max {
            return Err(Reason::MalformedRequests);
        }
        Ok(())
    }

    /// The newest slot that this replica takes part in: the high watermark `H`,
    /// and no further ahead of what it executed than it can catch up with by
    /// certificates. Beyond, it would only fill its memory.
    pub fn highest_kept(&self) -> Seq {
        let interval = self.config.checkpoint_interval;
        let high_watermark = self.checkpoints.stable().0 + 2 * interval;
        Seq(high_watermark.min(self.last_executed().0 + 4 * interval))
    }

    fn open(&mut self, seq: Seq) -> &mut Round {
        let view = self.view;
        self.slots.entry(seq).or_default().rounds.entry(view).or_default()
    }

    fn keep_batch(&mut self, seq: Seq, digest: Digest, batch: Arc<Batch>) {
        self.slots.entry(seq).or_default().batches.insert(digest, batch);
    }

    // ---- Votes ----

    /// Casts this replica's vote for the proposal that it accepted, records it,
    /// and returns it for the flow to send. None if it voted already.
    pub fn cast<P: Speaks>(&mut self, cx: &mut Context<'_, P>, phase: Phase, seq: Seq) -> Option<Vote> {
        let digest = self.round(seq)?.accepted_header()?.digest;
        let vote = Vote::sign(cx.cluster, cx.signer, phase, (self.view, seq, digest), None);
        if self.open(seq).record(&vote) != Tallied::New {
            return None;
        }
        cx.mark(Mark::Voted { phase, view: self.view, seq, digest });
        Some(vote)
    }

    /// Records another replica's vote. True if it is new and counts.
    pub fn record<P: Speaks>(&mut self, cx: &mut Context<'_, P>, from: ReplicaId, vote: &Vote) -> bool {
        let seq = vote.seq;
        if seq < self.oldest_kept() {
            return false; // An echo of what is long decided: no one's fault.
        }
        if vote.view != self.view {
            cx.reject(from, Some(seq), Reason::WrongView);
            return false;
        }
        if seq > self.highest_kept() {
            cx.reject(from, Some(seq), Reason::OutsideWindow);
            return false;
        }
        if vote.author == cx.id() {
            return false; // Our own vote in another's envelope.
        }
        let tallied = self.open(seq).record(vote);
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

    /// Records every vote of a certificate.
    pub fn record_certificate<P: Speaks>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        certificate: &Certificate,
    ) {
        if certificate.view == self.view {
            for vote in certificate.to_votes(cx.cluster) {
                self.record(cx, from, &vote);
            }
        }
    }

    /// The digest that a quorum sent COMMIT for.
    pub fn digest_with_commit_quorum(&self, cluster: &Cluster, seq: Seq) -> Option<Digest> {
        self.round(seq)?.commits.decided(cluster.quorum())
    }

    /// This replica's votes for a slot in the current view.
    pub fn own_votes(&self, id: ReplicaId, seq: Seq) -> Vec<Vote> {
        self.round(seq).map_or_else(Vec::new, |round| round.votes_of(id, (self.view, seq)))
    }

    // ---- Deciding and executing ----

    /// The slot is decided by the votes received: `q` COMMITs for `digest`.
    pub fn commit<P: Speaks>(&mut self, cx: &mut Context<'_, P>, seq: Seq, digest: Digest, path: Path) {
        self.decide(cx, (self.view, seq, digest), path, None);
    }

    /// The slot is decided by a final certificate (fast or committed), of any
    /// view.
    pub fn commit_by<P: Speaks>(
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
        self.decide(cx, about, path, Some(certificate));
    }

    fn decide<P: Speaks>(
        &mut self,
        cx: &mut Context<'_, P>,
        (view, seq, digest): (View, Seq, Digest),
        path: Path,
        proof: Option<Arc<Certificate>>,
    ) {
        if self.is_committed(seq) {
            return;
        }
        let slot = self.slots.entry(seq).or_default();
        slot.committed = Some((view, digest));
        slot.proof = proof;
        cx.mark(Mark::Committed { view, seq, digest, path });
        // Where nothing was accepted yet, the proposal is most likely still on its
        // way; if it is not, the resend timer asks for the batch.
        let accepted_another = slot.decided_batch().is_none() && !slot.batches.is_empty();
        if accepted_another {
            cx.send_all(Message::Fetch { seq, digest });
        }
        self.execute(cx);
    }

    /// Executes all slots that are decided, in order, without a gap.
    fn execute<P: Speaks>(&mut self, cx: &mut Context<'_, P>) {
        loop {
            let seq = self.last_executed().next();
            let Some(slot) = self.slots.get(&seq) else {
                break;
            };
            let (Some((_, digest)), Some(batch)) = (slot.committed, slot.decided_batch().cloned()) else {
                break;
            };
            for bundle in self.execution.execute(cx, self.view, seq, digest, &batch) {
                let to = bundle.gateway;
                cx.push(Effect::Reply { to, bundle });
            }
            self.forget_requests(&batch);
            // All replicas execute the same bytes, so all reach the same checkpoints.
            self.bytes_since_checkpoint += batch.payload_bytes();
            if seq.0.is_multiple_of(self.config.checkpoint_interval)
                || self.bytes_since_checkpoint >= self.config.checkpoint_bytes
            {
                self.checkpoint(cx, seq);
            }
        }
    }

    fn forget_requests(&mut self, batch: &Batch) {
        for bundle in &batch.bundles {
            let digest = bundle.digest();
            self.known.remove(&digest);
            if self.submitted.remove(&digest).is_some() {
                self.submitted_bytes -= bundle.payload_bytes();
            }
        }
    }

    // ---- Batches that a certificate names and that are missing ----

    /// Answers a fetch.
    pub fn serve<P: Speaks>(&self, cx: &mut Context<'_, P>, from: ReplicaId, seq: Seq, digest: Digest) {
        if let Some(batch) = self.slot(seq).and_then(|slot| slot.batches.get(&digest)) {
            let batch = Arc::clone(batch);
            cx.send(from, Message::Fetched { seq, batch });
        }
    }

    /// Takes the answer to a fetch, if it is what was asked for.
    pub fn take_fetched<P: Speaks>(
        &mut self,
        cx: &mut Context<'_, P>,
        from: ReplicaId,
        seq: Seq,
        batch: Arc<Batch>,
    ) {
        let wanted = self
            .slot(seq)
            .filter(|slot| slot.decided_batch().is_none())
            .and_then(|slot| slot.committed)
            .map(|(_, digest)| digest);
        match wanted {
            // Another peer answered first.
            None => {}
            Some(digest) if batch.digest() == digest => {
                self.keep_batch(seq, digest, batch);
                self.execute(cx);
            }
            Some(_) => cx.reject(from, None, Reason::DigestMismatch),
        }
    }

    // ---- Checkpoints (OSDI §4.3) ----

    fn checkpoint<P: Speaks>(&mut self, cx: &mut Context<'_, P>, seq: Seq) {
        self.bytes_since_checkpoint = 0;
        let vote = CheckpointVote::sign(cx.cluster, cx.signer, seq, self.execution.digest());
        cx.send_all(Message::Checkpoint(vote.clone()));
        self.take_checkpoint(cx, vote);
    }

    /// Counts a checkpoint; when it becomes stable, what is below is forgotten.
    /// Whoever asks for one that is stable here already gets the proof.
    pub fn take_checkpoint<P: Speaks>(&mut self, cx: &mut Context<'_, P>, vote: CheckpointVote) {
        if vote.seq <= self.checkpoints.stable() {
            if let Some(proof) = self.checkpoints.proof().filter(|_| vote.author != cx.id()) {
                let proof = Arc::clone(proof);
                cx.send(vote.author, Message::Stable(proof));
            }
            return;
        }
        // Far-off numbers, which only a faulty replica sends yet, would fill the
        // memory. An honest one is never further ahead than a window.
        if vote.seq.0 > self.highest_kept().0 + 2 * self.config.checkpoint_interval {
            return;
        }
        let stable = self.checkpoints.stable();
        if self.checkpoints.count(&vote, cx.cluster.quorum()) == Tallied::Contradiction {
            cx.reject(vote.author, None, Reason::ConflictingVote);
        }
        if self.checkpoints.stable() != stable {
            self.collect_garbage(cx);
        }
    }

    /// Takes the proof of a stable checkpoint.
    pub fn take_stable<P: Speaks>(&mut self, cx: &mut Context<'_, P>, proof: Arc<StableCheckpoint>) {
        if self.checkpoints.adopt(proof) {
            self.collect_garbage(cx);
        }
    }

    fn collect_garbage<P: Speaks>(&mut self, cx: &mut Context<'_, P>) {
        cx.mark(Mark::Stable { seq: self.checkpoints.stable() });
        self.slots = self.slots.split_off(&self.oldest_kept());
    }

    // ---- What got lost is sent again ----

    /// A peer says how far it has executed.
    pub fn hear(&mut self, from: ReplicaId, executed: Seq) {
        let heard = self.heard.entry(from).or_default();
        *heard = executed.max(*heard);
    }

    /// The slot that at least one honest peer has executed.
    fn executed_by_peers(&self, cluster: &Cluster) -> Seq {
        let mut heard: Vec<Seq> = self.heard.values().copied().collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        let executed = heard.get(cluster.f()).copied().unwrap_or_default();
        executed.min(self.highest_kept())
    }

    /// The last slot that is begun for sure.
    fn last_begun(&self, cluster: &Cluster) -> Seq {
        let weak = cluster.weak_quorum();
        let by_peers = self.executed_by_peers(cluster);
        let begun = self.slots.iter().rev().find(|(_, slot)| slot.is_begun(weak));
        begun.map_or(by_peers, |(seq, _)| by_peers.max(*seq))
    }

    /// Whether anything is begun and not finished: requests, slots, checkpoints.
    fn has_work(&self, cluster: &Cluster, id: ReplicaId) -> bool {
        !self.submitted.is_empty()
            || self.last_begun(cluster) > self.last_executed()
            || !self.checkpoints.unstable_votes_of(id).is_empty()
            || self.told < self.last_executed()
    }

    /// Starts the resend timer, if there is work at hand and it does not run.
    pub fn watch<P: Speaks>(&mut self, cx: &mut Context<'_, P>, timer: P::Timer) {
        if self.resend.since.is_none() && self.has_work(cx.cluster, cx.id()) {
            self.resend.since = Some(self.last_executed());
            let after = self.config.resend_after.0 << self.resend.in_vain.min(MOST_DOUBLINGS);
            cx.set_timer(timer, Micros(after));
        }
    }

    /// The resend timer ran out. Sends this gateway's requests again that have
    /// waited that long. If nothing was executed either: sends checkpoints again,
    /// asks again for missing batches, and returns the slots that are stuck.
    pub fn stuck<P: Speaks>(&mut self, cx: &mut Context<'_, P>) -> Vec<Seq> {
        self.submit_again(cx);
        let executed = self.last_executed();
        let progressed = self.resend.since.take() != Some(executed);
        self.resend.in_vain = if progressed { 0 } else { self.resend.in_vain + 1 };
        let is_behind = self.executed_by_peers(cx.cluster).0 > executed.0 + self.config.window;
        if progressed && !is_behind {
            return vec![];
        }
        if self.told < executed {
            // Quiet again: whoever missed the last slots learns of them.
            self.told = executed;
            cx.send_all(Message::Progress { executed });
        }
        for vote in self.checkpoints.unstable_votes_of(cx.id()) {
            cx.send_all(Message::Checkpoint(vote));
        }
        let first = self.last_executed().next();
        let last = self.last_begun(cx.cluster);
        let slots: Vec<Seq> = (first.0..=last.0).take(SLOTS_ASKED).map(Seq).collect();
        for seq in &slots {
            if let Some((_, digest)) = self.slot(*seq).and_then(|slot| slot.committed) {
                cx.send_all(Message::Fetch { seq: *seq, digest });
            }
        }
        slots.into_iter().filter(|seq| !self.is_committed(*seq)).collect()
    }

    fn submit_again<P: Speaks>(&mut self, cx: &mut Context<'_, P>) {
        let commander = cx.cluster.commander(self.view);
        for submitted in self.submitted.values_mut() {
            if std::mem::replace(&mut submitted.waited, true) {
                cx.send(commander, Message::Requests(Arc::clone(&submitted.bundle)));
            }
        }
    }

    /// This replica's own proposal of a slot, to be sent again.
    pub fn own_proposal(&self, id: ReplicaId, seq: Seq) -> Option<Message> {
        let slot = self.slot(seq)?;
        let header = self.round(seq)?.accepted_header().filter(|header| header.author == id)?;
        let batch = Arc::clone(slot.batches.get(&header.digest)?);
        Some(Message::PrePrepare { header: header.clone(), batch })
    }

    /// The communication node that the newest accepted proposal names (CCRO).
    pub fn last_named(&self) -> Option<ReplicaId> {
        let newest = self.slots.values().rev().filter_map(|slot| slot.rounds.get(&self.view));
        newest.into_iter().find_map(|round| round.accepted_header()?.communication_node)
    }

    /// What a person wants to know.
    pub fn status(&self, cluster: &Cluster) -> Status {
        let begun = self.slots.range(self.last_executed().next()..).count();
        Status {
            view: self.view,
            changing_view: false,
            recovering: false,
            commander: cluster.commander(self.view),
            communication_node: None,
            last_executed: self.last_executed(),
            stable_checkpoint: self.checkpoints.stable(),
            slots_in_flight: begun,
            requests_waiting: self.waiting.iter().map(|bundle| bundle.requests().len()).sum(),
            trust_milli: vec![],
        }
    }
}
