//! `ccro`: PBFT's votes through one communication node.

use crate::config::{CommunicationPolicy, Config};
use crate::trust::{Answer, TrustTable};
use kernel::{
    Application, Cluster, Context, Digest, Input, Mark, Micros, Operation, Path, Phase, Protocol, Reading,
    ReplicaId, Seq, Status, View, ViewMark, Weakening, weakened,
};
use pbft::{Certificate, CertificateKind, Core, Message, Vote, Votes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A CCRO replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "A: Application")]
pub struct Replica<A> {
    config: Config,
    core: Core<A>,
    /// The view that what follows belongs to.
    view: View,
    carried: BTreeMap<Seq, Carried>,
    /// As commander, the communication node that it names at present.
    naming: Option<ReplicaId>,
    /// As commander with policy `trust`: what it thinks of communication nodes, and
    /// how long each took last, from the proposal to the decision.
    trust: TrustTable,
    times: BTreeMap<ReplicaId, Micros>,
    /// As communication node, replicas that let `fast_wait` run out: not waited
    /// for again until a vote of theirs comes (ADR 0004).
    absent: BTreeSet<ReplicaId>,
}

/// What a CCRO replica waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// As communication node, the last votes for the fast path of a slot.
    FastWait(Seq),
    /// A certificate that decides a slot.
    Fallback(Seq),
    /// What every replica with PBFT's votes waits for.
    Pbft(pbft::Timer),
}

impl From<pbft::Timer> for Timer {
    fn from(timer: pbft::Timer) -> Timer {
        Timer::Pbft(timer)
    }
}

/// How far a slot got on its way through the communication node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Carried {
    /// As communication node: `fast_wait` runs or ran.
    fast_wait: Wait,
    /// The highest certificate sent or received that does not decide the slot.
    prepared: Option<Arc<Certificate>>,
    /// This replica's votes for the slot go to all.
    fell_back: bool,
    /// Replicas whose own fallback timer ran out.
    complaints: BTreeSet<ReplicaId>,
    /// As commander with policy `trust`, when it proposed the slot.
    proposed_at: Option<Micros>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Wait {
    #[default]
    NotBegun,
    Running,
    Over,
}

impl<A: Application> Replica<A> {
    /// A replica that has seen nothing yet.
    pub fn new(config: Config, application: A) -> Replica<A> {
        Replica::with(Core::new(config.pbft.clone(), Votes::Collected, application), config)
    }

    /// A replica that lost its memory: it learns from the others before it votes.
    pub fn recovering(config: Config, application: A) -> Replica<A> {
        Replica::with(Core::recovering(config.pbft.clone(), Votes::Collected, application), config)
    }

    fn with(core: Core<A>, config: Config) -> Replica<A> {
        Replica {
            core,
            config,
            view: View(0),
            carried: BTreeMap::new(),
            naming: None,
            trust: TrustTable::default(),
            times: BTreeMap::new(),
            absent: BTreeSet::new(),
        }
    }

    /// The state shared with PBFT.
    pub fn core(&self) -> &Core<A> {
        &self.core
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        match message {
            Message::PrePrepare { header, batch } => {
                let seq = header.seq;
                if self.core.accept(cx, from, header, batch) {
                    self.follow_proposal(cx, seq);
                }
            }
            Message::Vote(vote) => {
                if self.core.take_vote(cx, from, &vote) {
                    self.note_presence(vote.seq);
                    self.advance(cx, vote.seq);
                }
            }
            Message::Certificate(certificate) => self.take_certificate(cx, from, certificate),
            Message::Stuck { seq, complaint, votes } => {
                if complaint {
                    self.core.note_complaint(from, seq);
                }
                self.take_fallback_votes(cx, from, (seq, complaint), &votes);
            }
            other => {
                for seq in self.core.take_other(cx, from, other) {
                    self.follow_proposal(cx, seq);
                }
            }
        }
    }

    // ---- Proposal: PBFT's, and it names the communication node ----

    fn propose(&mut self, cx: &mut Context<'_, Self>) {
        if self.core.may_begin_view(cx) {
            let node = self.config.communication.first(cx.cluster, cx.id());
            for seq in self.core.begin_view(cx, Some(node)) {
                self.follow_proposal(cx, seq);
            }
        }
        self.notice_view();
        while self.core.may_propose(cx) {
            let policy = self.config.communication;
            let node = *self.naming.get_or_insert_with(|| policy.first(cx.cluster, cx.id()));
            let seq = self.core.propose(cx, Some(node));
            if policy == CommunicationPolicy::Trust {
                self.carried.entry(seq).or_default().proposed_at = Some(cx.now);
            }
            cx.set_timer(Timer::Fallback(seq), self.config.fallback_after);
            self.advance(cx, seq);
        }
    }

    /// What was carried in an earlier view is of no use in the next.
    fn notice_view(&mut self) {
        if self.view != self.core.view() {
            self.view = self.core.view();
            self.carried.clear();
            self.absent.clear();
            self.naming = None;
        }
    }

    /// A proposal was accepted, from the commander or from a NEW-VIEW.
    fn follow_proposal(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        self.notice_view();
        if !self.core.is_committed(seq) {
            cx.set_timer(Timer::Fallback(seq), self.config.fallback_after);
        }
        // A commander's proposal is its vote already: there this does nothing.
        self.vote(cx, Phase::Prepare, seq);
        self.advance(cx, seq);
    }

    /// Casts a vote and sends it where this slot's votes go.
    fn vote(&mut self, cx: &mut Context<'_, Self>, phase: Phase, seq: Seq) {
        let Some(vote) = self.core.cast(cx, phase, seq) else {
            return;
        };
        if self.has_fallen_back(seq) {
            cx.send_all(Message::Vote(vote));
        } else if let Some(node) = self.communication_node(seq) {
            cx.send(node, Message::Vote(vote));
        }
    }

    // ---- Progress ----

    /// Does what the votes at hand allow: as communication node, certify; after
    /// a fallback, follow PBFT's own rules.
    fn advance(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        if self.core.is_committed(seq) {
            return;
        }
        if self.communication_node(seq) == Some(cx.id()) {
            self.certify(cx, seq);
        }
        let prepared = self.core.round(seq).is_some_and(|round| round.is_prepared(cx.cluster));
        let prepared = prepared || weakened(Weakening::CommitWithoutPrepared);
        if self.has_fallen_back(seq) && prepared {
            self.vote(cx, Phase::Commit, seq);
        }
        if let Some(decision) = self.core.commit_quorum(cx.cluster, seq) {
            let path = if self.has_fallen_back(seq) { Path::Fallback } else { Path::TwoPhase };
            self.core.commit(cx, seq, decision, path);
            self.finish_slot(cx, seq);
        }
    }

    /// As communication node: makes certificates of the votes received.
    fn certify(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        let Some(round) = self.core.round(seq) else {
            return;
        };
        let (accepting, all) = (round.accepting(), Certificate::fast_votes(cx.cluster));
        let committing = round.commits.decided(cx.cluster.quorum()).is_some();
        let sent_prepared = self.carried.get(&seq).is_some_and(|carried| carried.prepared.is_some());
        if sent_prepared {
            if committing {
                self.send_certificate(cx, CertificateKind::Committed, seq);
            }
            return;
        }
        // It may have counted votes whose shares it does not know.
        if self.config.fast_path && accepting >= all && self.send_certificate(cx, CertificateKind::Fast, seq)
        {
            return;
        }
        if accepting >= cx.cluster.quorum() && !self.waits_for_more(cx, seq) {
            self.send_certificate(cx, CertificateKind::Prepared, seq);
            self.vote(cx, Phase::Commit, seq);
        }
    }

    /// Whether more votes may make the fast path; starts `fast_wait` if so.
    fn waits_for_more(&mut self, cx: &mut Context<'_, Self>, seq: Seq) -> bool {
        self.note_presence(seq);
        let missing = self.missing(cx.cluster, seq);
        let carried = self.carried.entry(seq).or_default();
        let all_absent = missing.iter().all(|id| self.absent.contains(id));
        if !self.config.fast_path || carried.fast_wait == Wait::Over || all_absent {
            return false;
        }
        if carried.fast_wait == Wait::NotBegun {
            carried.fast_wait = Wait::Running;
            cx.set_timer(Timer::FastWait(seq), self.config.fast_wait);
        }
        true
    }

    /// Replicas whose vote for the accepted proposal is not here.
    fn missing(&self, cluster: &Cluster, seq: Seq) -> Vec<ReplicaId> {
        let round = self.core.round(seq);
        cluster.replicas().filter(|id| !round.is_some_and(|round| round.has_accepted(*id))).collect()
    }

    /// Waits again for replicas that did vote for the slot.
    fn note_presence(&mut self, seq: Seq) {
        if let Some(round) = self.core.round(seq).filter(|_| !self.absent.is_empty()) {
            self.absent.retain(|id| !round.has_accepted(*id));
        }
    }

    /// Sends a certificate of the votes received. False if they make none.
    fn send_certificate(&mut self, cx: &mut Context<'_, Self>, kind: CertificateKind, seq: Seq) -> bool {
        let accepted = self.core.round(seq).and_then(|round| round.accepted_header());
        let certificate =
            accepted.and_then(|header| self.core.certificate(cx.cluster, kind, seq, header.digest));
        let Some(certificate) = certificate else {
            return false;
        };
        cx.mark(Mark::View(ViewMark::Certified {
            seq,
            kind: match kind {
                CertificateKind::Prepared => "prepared",
                CertificateKind::Fast => "fast",
                CertificateKind::Committed => "committed",
            },
        }));
        cx.send_all(Message::Certificate(Arc::clone(&certificate)));
        self.follow(cx, cx.id(), certificate);
        true
    }

    fn take_certificate(
        &mut self,
        cx: &mut Context<'_, Self>,
        from: ReplicaId,
        certificate: Arc<Certificate>,
    ) {
        if certificate.seq < self.core.oldest_kept() {
            return;
        }
        self.core.record_certificate(cx, from, &certificate);
        let seq = certificate.seq;
        self.follow(cx, from, certificate);
        self.advance(cx, seq);
    }

    /// Acts upon a certificate: a final one decides; a prepared one of this view
    /// makes a replica that accepted its digest vote COMMIT.
    fn follow(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, certificate: Arc<Certificate>) {
        let seq = certificate.seq;
        if certificate.kind != CertificateKind::Prepared {
            let path = match certificate.kind {
                _ if self.has_fallen_back(seq) => Path::Fallback,
                CertificateKind::Fast => Path::Fast,
                _ => Path::TwoPhase,
            };
            self.core.commit_by(cx, from, certificate, path);
            self.finish_slot(cx, seq);
            return;
        }
        let accepted = self.core.round(seq).and_then(|round| round.accepted_header());
        let fits = accepted.is_some_and(|header| header.digest == certificate.digest);
        if fits && certificate.view == self.core.view() && !self.core.is_committed(seq) {
            self.carried.entry(seq).or_default().prepared = Some(certificate);
            self.vote(cx, Phase::Commit, seq);
        }
    }

    /// A decided slot waits for nothing any more.
    fn finish_slot(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        if self.core.is_committed(seq) {
            self.score_node(cx, seq);
            cx.cancel_timer(Timer::Fallback(seq));
            cx.cancel_timer(Timer::FastWait(seq));
            self.carried = self.carried.split_off(&self.core.oldest_kept());
        }
    }

    // ---- Fallback: the slot is finished by plain PBFT ----

    fn fall_back(&mut self, cx: &mut Context<'_, Self>, seq: Seq, complaint: bool) {
        let Some(node) = self.communication_node(seq).filter(|_| !self.core.is_committed(seq)) else {
            return;
        };
        let carried = self.carried.entry(seq).or_default();
        if !carried.fell_back {
            carried.fell_back = true;
            cx.mark(Mark::View(ViewMark::FellBack { seq, communication_node: node }));
        }
        let votes = self.core.own_votes(cx.id(), seq);
        cx.send_all(Message::Stuck { seq, complaint, votes });
        cx.set_timer(Timer::Fallback(seq), self.config.fallback_after);
    }

    fn take_fallback_votes(
        &mut self,
        cx: &mut Context<'_, Self>,
        from: ReplicaId,
        (seq, complaint): (Seq, bool),
        votes: &[Vote],
    ) {
        if self.core.is_past(cx, from, seq) || seq > self.core.highest_kept() {
            return;
        }
        for vote in votes {
            self.core.record(cx, from, vote);
        }
        if let Some(certificate) = self.highest_certificate(cx.cluster, seq) {
            cx.send(from, Message::Certificate(certificate));
        }
        if votes.is_empty() && !complaint {
            return; // It only asks whether the slot is decided.
        }
        if votes.is_empty() {
            // It knows nothing of the slot: it needs the proposal.
            if let Some(proposal) = self.core.own_proposal(cx.cluster, cx.id(), seq) {
                cx.send(from, proposal);
            }
            return;
        }
        // Only who has a vote at stake may make others fall back.
        let view = self.core.view();
        if !votes.iter().any(|vote| vote.author == from && vote.view == view) {
            return;
        }
        if !self.has_fallen_back(seq) {
            self.fall_back(cx, seq, false);
        }
        // Answers to a complaint do not count as complaints: else a single
        // replica could have honest nodes replaced.
        let carried = self.carried.entry(seq).or_default();
        if complaint {
            carried.complaints.insert(from);
        }
        if carried.complaints.len() >= cx.cluster.weak_quorum() {
            self.rotate(cx, seq);
        }
        self.advance(cx, seq);
    }

    fn highest_certificate(&self, cluster: &Cluster, seq: Seq) -> Option<Arc<Certificate>> {
        let decided = self.core.slot(seq).and_then(|slot| slot.final_certificate(cluster, seq));
        decided.or_else(|| self.carried.get(&seq)?.prepared.clone())
    }

    /// As commander: names another node, unless it has done so since the slot
    /// was proposed.
    fn rotate(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        let failed = self.communication_node(seq);
        if cx.cluster.commander(self.core.view()) != cx.id() || failed.is_none() || failed != self.naming {
            return;
        }
        let from = failed.expect("checked above");
        let to = match self.config.communication {
            CommunicationPolicy::Trust => {
                self.trust = self.trust.updated_for(cx.cluster, &self.times, (from, Answer::Missing));
                self.most_trusted(cx)
            }
            policy => policy.after(cx.cluster, cx.id(), from),
        };
        if to != from {
            self.naming = Some(to);
            cx.mark(Mark::View(ViewMark::Rotated { from, to }));
        }
    }

    /// With policy `trust`: a node that delivered is scored by how long it took.
    fn score_node(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        let node = self.communication_node(seq);
        let Some(carried) = self.carried.get_mut(&seq).filter(|carried| !carried.fell_back) else {
            return;
        };
        if let (Some(at), Some(node)) = (carried.proposed_at.take(), node) {
            let after = Micros(cx.now.0.saturating_sub(at.0));
            self.times.insert(node, after);
            let answer = Answer::Given { right: true, after };
            self.trust = self.trust.updated_for(cx.cluster, &self.times, (node, answer));
            self.naming = Some(self.most_trusted(cx));
        }
    }

    fn most_trusted(&self, cx: &Context<'_, Self>) -> ReplicaId {
        let ranking = self.trust.ranking(cx.cluster);
        ranking.into_iter().find(|id| *id != cx.id()).unwrap_or(cx.id())
    }

    fn expire(&mut self, cx: &mut Context<'_, Self>, timer: Timer) {
        match timer {
            Timer::FastWait(seq) => {
                if !self.core.is_committed(seq) {
                    self.absent.extend(self.missing(cx.cluster, seq));
                    self.carried.entry(seq).or_default().fast_wait = Wait::Over;
                    self.advance(cx, seq);
                }
            }
            Timer::Fallback(seq) => {
                if !self.core.is_committed(seq) && !weakened(Weakening::FallbackNeverTriggered) {
                    self.fall_back(cx, seq, true);
                    self.rotate(cx, seq);
                    self.advance(cx, seq);
                }
            }
            Timer::Pbft(pbft::Timer::Resend) => self.resend(cx),
            Timer::Pbft(pbft::Timer::View) => self.core.expire_view(cx),
            Timer::Pbft(pbft::Timer::Transfer) => self.core.expire_transfer(cx),
        }
    }

    /// Asks for slots that this replica knows of only because later ones are
    /// known; every other stuck slot has its fallback timer.
    fn resend(&mut self, cx: &mut Context<'_, Self>) {
        for seq in self.core.stuck(cx) {
            let accepted = self.core.round(seq).is_some_and(|round| round.accepted);
            if !accepted {
                cx.send_all(Message::Stuck { seq, complaint: true, votes: vec![] });
            } else if let Some(proposal) = self.core.own_proposal(cx.cluster, cx.id(), seq) {
                cx.send_all(proposal);
            }
        }
    }

    fn has_fallen_back(&self, seq: Seq) -> bool {
        self.carried.get(&seq).is_some_and(|carried| carried.fell_back)
    }

    /// The communication node that the accepted proposal of a slot names.
    fn communication_node(&self, seq: Seq) -> Option<ReplicaId> {
        self.core.round(seq)?.accepted_header()?.communication_node
    }
}

impl<A: Application> Protocol for Replica<A> {
    type Message = Message;
    type Timer = Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start => self.core.start(cx),
            Input::Resume => {} // No promise was made that the journal may not know of.
            Input::Submit(bundle) => self.core.submit(cx, bundle),
            Input::Deliver { from, message } => self.deliver(cx, from, message.into_inner()),
            Input::Expire(timer) => self.expire(cx, timer),
        }
        self.propose(cx);
        self.core.watch(cx);
    }

    fn status(&self, cluster: &Cluster) -> Status {
        let mut status = self.core.status(cluster);
        let last = self.core.last_named();
        if let Some(views) = &mut status.views {
            let first = || self.config.communication.first(cluster, views.commander);
            views.communication_node = self.naming.or(last).or_else(|| Some(first()));
        }
        status
    }

    fn state_digest(&self) -> Option<Digest> {
        Some(self.core.state_digest())
    }

    fn corrupt_state(&mut self) {
        self.core.corrupt_state();
    }

    fn may_wait(&self, cluster: &Cluster, message: &Message) -> bool {
        self.core.may_wait(cluster, message)
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        self.core.query(operation)
    }
}
