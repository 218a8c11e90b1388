//! PBFT proper: every vote goes to everyone. All flows of it: `pbft` with signatures, `pbft-mac` and
//! `pbft-mac-requests` with tags ([`crate::mac`]).

use crate::config::Config;
use crate::core::{Core, Timer, Votes};
use crate::message::{Certificate, CertificateKind, Message, Vote};
use kernel::{
    Application, Cluster, Context, Digest, Input, Operation, Path, Phase, Protocol, Reading, ReplicaId, Seq,
    Status, Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A PBFT replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "A: Application")]
pub struct Replica<A> {
    core: Core<A>,
}

impl<A: Application> Replica<A> {
    /// A replica that has seen nothing yet.
    pub fn new(config: Config, application: A) -> Replica<A> {
        Replica { core: Core::new(config, Votes::ToAll, application) }
    }

    /// A replica that lost its memory: it learns from the others before it votes.
    pub fn recovering(config: Config, application: A) -> Replica<A> {
        Replica { core: Core::recovering(config, Votes::ToAll, application) }
    }

    /// The replica's state.
    pub fn core(&self) -> &Core<A> {
        &self.core
    }

    /// A person wants another commander: VIEW-CHANGE for the next view, as when the
    /// request timer runs out (OSDI §4.4). Any replica may ask at any time; a replica
    /// that may not vote yet does not ask.
    pub fn ask_for_next_view(&mut self, cx: &mut Context<'_, Self>) {
        self.core.leave_for_next(cx);
        self.propose(cx);
        self.core.watch(cx);
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        match message {
            // OSDI §4.2: a backup that accepts a proposal multicasts PREPARE.
            Message::PrePrepare { header, batch } => {
                let seq = header.seq;
                if self.core.accept(cx, from, header, batch) {
                    self.follow(cx, seq);
                }
            }
            Message::TaggedProposal { view, seq, batch } => {
                let header = Vote::tagged(from, Phase::PrePrepare, (view, seq, batch.digest()));
                if self.core.accept(cx, from, header, batch) {
                    self.follow(cx, seq);
                }
            }
            Message::DoubtedProposal { view, seq, batch } => {
                let header = Vote::tagged(from, Phase::PrePrepare, (view, seq, batch.digest()));
                if self.core.doubt(cx, from, header, batch) {
                    self.follow(cx, seq);
                }
            }
            Message::Vote(vote) => self.take_vote(cx, from, &vote),
            Message::TaggedVote { phase, view, seq, digest } => {
                self.take_vote(cx, from, &Vote::tagged(from, phase, (view, seq, digest)));
            }
            Message::Decided { seq, digest } => self.core.take_statement(cx, from, (seq, digest)),
            Message::Certificate(certificate) => self.take_certificate(cx, from, certificate),
            Message::Stuck { seq, complaint, votes } => {
                if complaint {
                    self.core.note_complaint(from, seq);
                }
                for vote in &votes {
                    if self.core.record(cx, from, vote) {
                        self.advance(cx, seq);
                    }
                }
                self.help(cx, from, seq, complaint || !votes.is_empty());
            }
            other => {
                for seq in self.core.take_other(cx, from, other) {
                    self.follow(cx, seq);
                }
            }
        }
    }

    /// A proposal was accepted. (A commander's proposal is its vote already.)
    fn follow(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        self.vote(cx, Phase::Prepare, seq);
        self.advance(cx, seq);
    }

    fn take_vote(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, vote: &Vote) {
        if self.core.take_vote(cx, from, vote) {
            if self.core.accept_by_votes(cx, vote.seq) {
                self.follow(cx, vote.seq);
            } else {
                self.advance(cx, vote.seq);
            }
        }
    }

    fn take_certificate(
        &mut self,
        cx: &mut Context<'_, Self>,
        from: ReplicaId,
        certificate: Arc<Certificate>,
    ) {
        self.core.record_certificate(cx, from, &certificate);
        let seq = certificate.seq;
        if certificate.kind != CertificateKind::Prepared {
            self.core.commit_by(cx, from, certificate, Path::Direct);
        }
        self.advance(cx, seq);
    }

    /// OSDI §4.2: prepared, so COMMIT; a quorum of COMMITs, so decided.
    fn advance(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        let prepared = self.core.round(seq).is_some_and(|round| {
            round.is_prepared(cx.cluster) || (round.accepted && weakened(Weakening::CommitWithoutPrepared))
        });
        if prepared && !self.core.has_cast_commit(cx.id(), seq) {
            self.vote(cx, Phase::Commit, seq);
        }
        if let Some(decision) = self.core.commit_quorum(cx.cluster, seq) {
            self.core.commit(cx, seq, decision, Path::Direct);
        }
    }

    fn vote(&mut self, cx: &mut Context<'_, Self>, phase: Phase, seq: Seq) {
        if let Some(vote) = self.core.cast(cx, phase, seq) {
            cx.send_all(Message::vote(cx.cluster, vote));
        }
    }

    fn propose(&mut self, cx: &mut Context<'_, Self>) {
        // OSDI §4.4: with a quorum of VIEW-CHANGEs, the new commander begins.
        if self.core.may_begin_view(cx) {
            for seq in self.core.begin_view(cx, None) {
                self.follow(cx, seq);
            }
        }
        while self.core.may_propose(cx) {
            let seq = self.core.propose(cx, None);
            self.advance(cx, seq);
        }
    }

    /// Nothing moved for a while: this replica's votes for what is stuck go to
    /// all again, and a commander's proposal with them.
    fn resend(&mut self, cx: &mut Context<'_, Self>) {
        for seq in self.core.stuck(cx) {
            if let Some(proposal) = self.core.own_proposal(cx.cluster, cx.id(), seq) {
                cx.send_all(proposal);
            }
            let mut votes = self.core.own_votes(cx.id(), seq);
            if cx.cluster.has_tags() {
                for vote in votes.drain(..).filter(|vote| vote.phase != Phase::PrePrepare) {
                    cx.send_all(Message::vote(cx.cluster, vote));
                }
            }
            cx.send_all(Message::Stuck { seq, complaint: true, votes });
        }
    }

    /// Answers a replica that is stuck: with the decision, else, if it `needs_votes`,
    /// with this replica's own votes. In `pbft-mac` the decision is one replica's word, so the votes go with it.
    fn help(&mut self, cx: &mut Context<'_, Self>, stuck: ReplicaId, seq: Seq, needs_votes: bool) {
        if self.core.is_past(cx, stuck, seq) {
            return;
        }
        let slot = self.core.slot(seq);
        if cx.cluster.has_tags() {
            if let Some((_, digest)) = slot.and_then(|slot| slot.committed) {
                cx.send(stuck, Message::Decided { seq, digest });
            }
        } else if let Some(certificate) = slot.and_then(|slot| slot.final_certificate(cx.cluster, seq)) {
            cx.send(stuck, Message::Certificate(certificate));
            return;
        }
        if !needs_votes {
            return;
        }
        // Whoever learns that it is decided asks for the batch. With tags, that takes more than this replica's word, and the
        // proposal is its vote.
        if (cx.cluster.has_tags() || !self.core.is_committed(seq))
            && let Some(proposal) = self.core.own_proposal(cx.cluster, cx.id(), seq)
        {
            cx.send(stuck, proposal);
        }
        for vote in self.core.own_votes(cx.id(), seq) {
            if vote.phase != Phase::PrePrepare {
                cx.send(stuck, Message::vote(cx.cluster, vote));
            }
        }
    }
}

impl<A: Application> Protocol for Replica<A> {
    type Message = Message;
    type Timer = Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start => self.core.start(cx),
            Input::Resume => self.core.resume(cx),
            Input::Submit(bundle) => self.core.submit(cx, bundle),
            Input::Deliver { from, message } => self.deliver(cx, from, message.into_inner()),
            Input::Expire(Timer::Resend) => self.resend(cx),
            Input::Expire(Timer::View) => self.core.expire_view(cx),
            Input::Expire(Timer::Transfer) => self.core.expire_transfer(cx),
        }
        self.propose(cx);
        self.core.watch(cx);
    }

    fn status(&self, cluster: &Cluster) -> Status {
        self.core.status(cluster)
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
