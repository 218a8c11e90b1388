//! How members agree upon the next generation: one decision, in rounds, by two votes.
//!
//! | upon | a member does |
//! | --- | --- |
//! | a change is agreed upon, or a checkpoint is due | as the leader of the round, `suggest` to all; else wait for that |
//! | `suggest` | once it has applied what is in the cut, and finds the same state, or if a quorum accepted it before: `accept` to all |
//! | `accept` of a quorum | sign nothing more in this generation, and say what it has signed: `conclude` to all |
//! | `conclude` of a quorum | the generation begins |
//! | a timer | `next-round` to all, with what it saw a quorum accept last |
//! | `next-round` of a quorum, as the round's leader | suggest what was accepted last according to them, or anything |
//!
//! So two generations of one number never begin: a quorum accepted whatever has begun, one of any quorum that gives up
//! says so, and nothing else is suggested from then on.
//!
//! *Unfinished batches.* A proof of the old generation takes a quorum that signed it, and the new generation a quorum
//! that has ended signing. They share an honest member, which reports the batch, or a later one of its actor. All who
//! come after honour that, and report it again. Without it, two generations that are two changes apart might each
//! prove a batch of one number: their quorums may share faulty members only.

use crate::data::DataType;
use crate::generation::{
    Accepted, Ballot, Conclusion, Decision, Generation, MOST_TOLD, NextRound, Obligation, OnGeneration,
    Report, Suggestion, accepted_last,
};
use crate::membership::Members;
use crate::message::Message;
use crate::replica::{Cx, MOST_DOUBLED, Replica, Timer, Vouched};
use crate::snapshots::contains;
use apps::Change;
use kernel::{Digest, GenerationMark, Mark, Reason, ReplicaId, Signature, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first wait, as a multiple of the wait before something is sent again: the state may take a while to compute.
const FIRST_WAIT: u64 = 2;
/// How often messages are sent again before a round is given up.
const RESENDS_PER_ROUND: u8 = 3;

/// Bytes of them, after which no further one is told.
const MOST_TOLD_BYTES: usize = 8 << 20;

/// Where the agreement on the next generation stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Succession {
    round: u64,
    suggested: Option<Suggested>,
    /// The last vote of each member.
    accepts: BTreeMap<ReplicaId, (Ballot, Signature)>,
    conclusions: BTreeMap<ReplicaId, Conclusion>,
    next_rounds: BTreeMap<ReplicaId, NextRound>,
    /// What a quorum accepted last, as far as this member saw.
    accepted: Option<Accepted>,
    /// What this member has signed. It signs nothing more in this generation.
    report: Option<Report>,
    /// So many times the first wait; 0 while no timer is set.
    waited: u64,
    /// How often everything was said again in this round.
    said_again: u8,
}

/// What the leader of the round suggests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Suggested {
    /// As it came: said again with other grounds, it might be bound to something else.
    suggestion: Suggestion,
    digest: Digest,
    /// A quorum accepted it in an earlier round: it needs no more looking at.
    is_bound: bool,
    answer: Answer,
    /// Of its first state, if it was computed here.
    snapshot: Option<Snapshot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Answer {
    NotYet,
    Accepted,
    Concluded,
    Refused,
}

impl Succession {
    pub(crate) fn has_concluded(&self) -> bool {
        self.report.is_some()
    }

    /// Members that gave up on the round before this one, or on a later one.
    fn grounds(&self, members: &Members) -> Vec<(ReplicaId, NextRound)> {
        let of_round =
            self.next_rounds.iter().filter(|(id, next)| next.round >= self.round && members.contains(**id));
        of_round.map(|(id, next)| (*id, next.clone())).collect()
    }

    /// Whether a quorum is in this round, as far as this member knows.
    fn has_begun(&self, members: &Members) -> bool {
        let was_accepted = || self.accepted.as_ref().is_some_and(|accepted| accepted.round == self.round);
        self.round == 0
            || self.suggested.is_some()
            || was_accepted()
            || self.grounds(members).len() >= members.quorum()
    }

    /// Whether the leader of the round may suggest something.
    fn is_free(&self, members: &Members) -> bool {
        let has_grounds = || self.round == 0 || self.grounds(members).len() >= members.quorum();
        self.suggested.is_none() && has_grounds()
    }

    fn enter(&mut self, round: u64) {
        self.round = round;
        self.suggested = None;
        self.said_again = 0;
    }
}

impl<D: DataType> Replica<D> {
    fn next_number(&self) -> u64 {
        self.membership.generation + 1
    }

    /// What should change, if there is to be another generation.
    fn wanted(&self) -> Option<Option<Change>> {
        // Whoever has not got the state of this generation cannot say anything about the next.
        if self.base.number != self.membership.generation {
            return None;
        }
        let change = self.membership.agreed(&self.state.asked, self.nodes());
        let is_due = || self.base.is_old(&self.applied_numbers(), self.config.checkpoint_interval, 1);
        if change.is_some() || is_due() { Some(change) } else { None }
    }

    /// Does what there is to do for the next generation.
    pub(crate) fn consider_generation(&mut self, cx: &mut Cx<'_, D>) {
        if !self.takes_part(cx.id()) {
            return;
        }
        let members = self.membership.members();
        let (number, round) = (self.next_number(), self.succession.round);
        let is_leader = members.leader(number, round) == cx.id();
        if is_leader && self.succession.is_free(members) {
            self.suggest(cx);
        }
        if self.succession.suggested.is_some() || self.wanted().is_some() {
            self.wait_for_generation(cx);
        }
        self.try_accept(cx);
    }

    fn wait_for_generation(&mut self, cx: &mut Cx<'_, D>) {
        if self.succession.waited == 0 {
            self.succession.waited = 1;
            cx.set_timer(Timer::Generation, self.resend_after(FIRST_WAIT));
        }
    }

    fn suggest(&mut self, cx: &mut Cx<'_, D>) {
        let (round, members) = (self.succession.round, self.membership.members());
        let grounds = if round == 0 { vec![] } else { self.succession.grounds(members) };
        let bound = accepted_last(&grounds).cloned();
        let own = || self.generation_wanted().map(|(generation, snapshot)| (generation, Some(snapshot)));
        let Some((generation, snapshot)) = bound.map(|generation| (generation, None)).or_else(own) else {
            return;
        };
        let suggestion = Suggestion { generation, round, grounds };
        cx.send_all(on(OnGeneration::Suggest(suggestion.clone())));
        self.note_suggestion(cx, suggestion, snapshot);
    }

    fn generation_wanted(&self) -> Option<(Generation, Snapshot)> {
        let members = self.membership.members().after(self.wanted()?).iter().collect();
        let (cut, snapshot) = (self.applied_numbers(), self.state.snapshot());
        let (number, changed) = (self.next_number(), self.membership.last_change());
        let generation = Generation { number, changed, members, cut, state: snapshot.digest() };
        Some((generation, snapshot))
    }

    pub(crate) fn receive_on_generation(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, on: OnGeneration) {
        let number = match &on {
            OnGeneration::Began(decisions) => return self.receive_decisions(cx, from, decisions),
            OnGeneration::Suggest(suggestion) => suggestion.generation.number,
            OnGeneration::Accept(ballot, _) => ballot.number,
            OnGeneration::Conclude(conclusion) => conclusion.ballot.number,
            OnGeneration::NextRound(next) => next.number,
        };
        if number > self.next_number() {
            return self.fetch(cx, from);
        }
        if number < self.next_number() {
            // It began here, which the sender may not know.
            return cx.send(from, Message::Applied(self.progress()));
        }
        if !self.membership.members().contains(from) {
            return cx.reject(from, None, Reason::WrongGeneration);
        }
        if !self.takes_part(cx.id()) {
            return;
        }
        match on {
            OnGeneration::Suggest(suggestion) => self.receive_suggestion(cx, from, suggestion),
            OnGeneration::Accept(ballot, signature) => self.receive_accept(cx, from, ballot, signature),
            OnGeneration::Conclude(conclusion) => self.receive_conclusion(cx, from, conclusion),
            OnGeneration::NextRound(next) => self.receive_next_round(cx, from, next),
            OnGeneration::Began(_) => {}
        }
    }

    fn is_quorum(&self, authors: impl Iterator<Item = ReplicaId> + Clone) -> bool {
        let members = self.membership.members();
        authors.clone().all(|author| members.contains(author)) && authors.count() >= members.quorum()
    }

    fn is_accepted(&self, accepted: &Accepted) -> bool {
        self.is_quorum(accepted.votes.iter().map(|(author, _)| *author))
    }

    /// Whether a leader may suggest this in its round.
    fn is_grounded(&self, suggestion: &Suggestion) -> bool {
        let accepted = |(_, next): &(ReplicaId, NextRound)| {
            next.accepted.as_ref().is_none_or(|accepted| self.is_accepted(accepted))
        };
        suggestion.round == 0
            || (self.is_quorum(suggestion.grounds.iter().map(|(author, _)| *author))
                && suggestion.grounds.iter().all(accepted)
                && suggestion.bound_to().is_none_or(|bound| *bound == suggestion.generation))
    }

    fn receive_suggestion(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, suggestion: Suggestion) {
        let leader = self.membership.members().leader(self.next_number(), suggestion.round);
        if from != leader {
            return cx.reject(from, None, Reason::NotEntitled);
        }
        if suggestion.round < self.succession.round {
            return;
        }
        if !self.is_grounded(&suggestion) {
            return cx.reject(from, None, Reason::MalformedViewChange);
        }
        if suggestion.round > self.succession.round {
            self.succession.enter(suggestion.round);
        }
        if let Some(suggested) = &self.succession.suggested {
            if suggested.digest != suggestion.generation.digest() {
                cx.reject(from, None, Reason::ConflictingProposal);
            }
            return;
        }
        self.note_suggestion(cx, suggestion, None);
    }

    /// The first suggestion of a round; with the snapshot of its state, if that is known.
    fn note_suggestion(&mut self, cx: &mut Cx<'_, D>, suggestion: Suggestion, snapshot: Option<Snapshot>) {
        let digest = suggestion.generation.digest();
        let is_bound = suggestion.round > 0 && suggestion.bound_to().is_some();
        let answer = Answer::NotYet;
        self.succession.suggested = Some(Suggested { suggestion, digest, is_bound, answer, snapshot });
        self.wait_for_generation(cx);
        self.try_accept(cx);
    }

    /// Looks at what is suggested, and accepts it if that is right.
    fn try_accept(&mut self, cx: &mut Cx<'_, D>) {
        let Some(mut suggested) = self.succession.suggested.take_if(|it| it.answer == Answer::NotYet) else {
            return;
        };
        let round = self.succession.round;
        suggested.answer = if suggested.is_bound { Answer::Accepted } else { self.look_at(&mut suggested) };
        let (answer, ballot) =
            (suggested.answer, Ballot { number: self.next_number(), round, digest: suggested.digest });
        self.succession.suggested = Some(suggested);
        let leader = self.membership.members().leader(ballot.number, round);
        match answer {
            Answer::Refused => cx.reject(leader, None, Reason::InvalidOperation),
            Answer::Accepted => {
                let signature = ballot.accept(cx.cluster, cx.signer);
                cx.send_all(on(OnGeneration::Accept(ballot, signature)));
                self.receive_accept(cx, cx.id(), ballot, signature);
            }
            _ => {}
        }
    }

    /// What to answer to a suggestion that is free: it must be what its cut makes it, and something must be wanted.
    fn look_at(&self, suggested: &mut Suggested) -> Answer {
        let Generation { changed, members, cut, state, .. } = &suggested.suggestion.generation;
        if self.base.number != self.membership.generation || !contains(&self.applied_numbers(), cut) {
            return Answer::NotYet;
        }
        let current: Vec<ReplicaId> = self.membership.members().iter().collect();
        let is_wanted = match change(&current, members) {
            // Something must be forgotten by it.
            Some(None) => *cut != self.base.cut && self.base.is_old(cut, self.config.checkpoint_interval, 1),
            Some(Some(change)) => self.membership.is_agreed(&self.state.asked, change, self.nodes()),
            None => false,
        };
        let is_wanted = is_wanted && *changed == self.membership.last_change();
        let known = suggested.snapshot.take().or_else(|| self.snapshot_of(cut));
        let snapshot = known.filter(|snapshot| is_wanted && snapshot.digest() == *state);
        let answer = if snapshot.is_some() { Answer::Accepted } else { Answer::Refused };
        suggested.snapshot = snapshot;
        answer
    }

    fn receive_accept(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, ballot: Ballot, signature: Signature) {
        match self.succession.accepts.get(&from) {
            Some((last, _)) if last.round == ballot.round && last.digest != ballot.digest => {
                return cx.reject(from, None, Reason::ConflictingVote);
            }
            Some((last, _)) if last.round >= ballot.round => return,
            _ => drop(self.succession.accepts.insert(from, (ballot, signature))),
        }
        self.try_conclude(cx);
    }

    fn try_conclude(&mut self, cx: &mut Cx<'_, D>) {
        let round = self.succession.round;
        let Some(suggested) = &mut self.succession.suggested else { return };
        if suggested.answer == Answer::Concluded {
            return;
        }
        let ballot =
            Ballot { number: suggested.suggestion.generation.number, round, digest: suggested.digest };
        let of_it = self.succession.accepts.iter().filter(|(_, (vote, _))| *vote == ballot);
        let votes: Vec<(ReplicaId, Signature)> =
            of_it.map(|(id, (_, signature))| (*id, *signature)).collect();
        if votes.len() < self.membership.members().quorum() {
            return;
        }
        suggested.answer = Answer::Concluded;
        let generation = suggested.suggestion.generation.clone();
        self.succession.accepted = Some(Accepted { generation, round, votes });
        let report = self.succession.report.take().unwrap_or_else(|| self.report());
        self.succession.report = Some(report.clone());
        let conclusion = Conclusion::sign(cx.cluster, cx.signer, ballot, report);
        cx.send_all(on(OnGeneration::Conclude(conclusion.clone())));
        self.receive_conclusion(cx, cx.id(), conclusion);
    }

    /// What this member has signed last of each actor, and what it has to honour.
    fn report(&self) -> Report {
        let mut report = self.obligations.clone();
        for (actor, of_actor) in (0..).map(ReplicaId).zip(&self.actors) {
            if let Some(Vouched { number, digest, signature }) = &of_actor.vouched {
                let own = Obligation { number: *number, batches: vec![(*digest, *signature)] };
                report.entry(actor).and_modify(|known| known.merge(&own)).or_insert(own);
            }
        }
        report.into_iter().collect()
    }

    fn receive_conclusion(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, conclusion: Conclusion) {
        let last = self.succession.conclusions.get(&from);
        if last.is_some_and(|last| last.ballot.round >= conclusion.ballot.round) {
            return;
        }
        let ballot = conclusion.ballot;
        self.succession.conclusions.insert(from, conclusion);
        let Some(generation) = self.generation_of(&ballot) else { return };
        let of_it = self.succession.conclusions.iter().filter(|(_, conclusion)| conclusion.ballot == ballot);
        let conclusions: Vec<_> =
            of_it.map(|(id, conclusion)| (*id, conclusion.report.clone(), conclusion.signature)).collect();
        if conclusions.len() >= self.membership.members().quorum() {
            self.begin(cx, Decision { generation, round: ballot.round, conclusions });
            self.has_begun(cx);
        }
    }

    /// The generation that votes are about, if it is known here.
    fn generation_of(&self, ballot: &Ballot) -> Option<Generation> {
        let suggested = self.succession.suggested.as_ref().map(|suggested| &suggested.suggestion.generation);
        let accepted = self.succession.accepted.as_ref().map(|accepted| &accepted.generation);
        let mut known = suggested.into_iter().chain(accepted);
        known.find(|generation| generation.digest() == ballot.digest).cloned()
    }

    /// The timer ran out: this member says everything again, or gives up on the round.
    pub(crate) fn give_up_round(&mut self, cx: &mut Cx<'_, D>) {
        let members = self.membership.members();
        // What nobody wants leads to no further round.
        let has_accepted = |it: &Suggested| matches!(it.answer, Answer::Accepted | Answer::Concluded);
        let is_over = !self.succession.suggested.as_ref().is_some_and(has_accepted)
            && self.succession.round == 0
            && self.wanted().is_none();
        if is_over || !self.takes_part(cx.id()) {
            self.succession.waited = 0;
            return;
        }
        if self.succession.said_again < RESENDS_PER_ROUND || !self.succession.has_begun(members) {
            self.succession.said_again = self.succession.said_again.saturating_add(1);
            self.say_again(cx);
        } else {
            self.succession.enter(self.succession.round + 1);
            self.succession.waited = (2 * self.succession.waited).clamp(1, MOST_DOUBLED);
            self.say_next_round(cx);
        }
        cx.set_timer(Timer::Generation, self.resend_after(FIRST_WAIT * self.succession.waited));
    }

    /// Whatever this member has said in this round may be lost.
    fn say_again(&self, cx: &mut Cx<'_, D>) {
        let (round, own) = (self.succession.round, cx.id());
        if let Some(next) = self.succession.next_rounds.get(&own) {
            cx.send_all(on(OnGeneration::NextRound(next.clone())));
        }
        if let Some((ballot, signature)) =
            self.succession.accepts.get(&own).filter(|(it, _)| it.round == round)
        {
            let leader = self.membership.members().leader(ballot.number, round);
            if let Some(suggested) = self.succession.suggested.as_ref().filter(|_| leader == own) {
                cx.send_all(on(OnGeneration::Suggest(suggested.suggestion.clone())));
            }
            cx.send_all(on(OnGeneration::Accept(*ballot, *signature)));
        }
        if let Some(conclusion) = self.succession.conclusions.get(&own).filter(|it| it.ballot.round == round)
        {
            cx.send_all(on(OnGeneration::Conclude(conclusion.clone())));
        }
    }

    fn say_next_round(&mut self, cx: &mut Cx<'_, D>) {
        let (number, round) = (self.next_number(), self.succession.round);
        let accepted = self.succession.accepted.clone();
        let next = NextRound::sign(cx.cluster, cx.signer, number, round, accepted);
        cx.send_all(on(OnGeneration::NextRound(next.clone())));
        self.receive_next_round(cx, cx.id(), next);
    }

    fn receive_next_round(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, next: NextRound) {
        if !next.accepted.as_ref().is_none_or(|accepted| self.is_accepted(accepted)) {
            return cx.reject(from, None, Reason::MalformedViewChange);
        }
        let last = self.succession.next_rounds.get(&from);
        if last.is_some_and(|last| last.round >= next.round) {
            return;
        }
        self.succession.next_rounds.insert(from, next);
        self.join_round(cx);
        self.consider_generation(cx);
    }

    /// If so many are in later rounds that one of them is honest, so is this member.
    fn join_round(&mut self, cx: &mut Cx<'_, D>) {
        let mut rounds: Vec<u64> = self.succession.next_rounds.values().map(|next| next.round).collect();
        rounds.sort_unstable_by(|one, other| other.cmp(one));
        let of_honest = rounds.get(self.membership.members().weak_quorum() - 1).copied();
        if let Some(round) = of_honest.filter(|round| *round > self.succession.round) {
            self.succession.enter(round);
            self.wait_for_generation(cx);
            self.say_next_round(cx);
        }
    }

    /// Generations that began elsewhere.
    fn receive_decisions(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, decisions: &[Decision]) {
        let mut is_new = false;
        for decision in decisions {
            if decision.generation.number < self.next_number() {
                continue;
            }
            // If a change was left out, these are not the members that decided. This one may have said that it knew of
            // it, before it lost its memory.
            if decision.generation.changed > self.membership.last_change() {
                self.fetch(cx, from);
                break;
            }
            let is_all = decision.generation.changed == self.membership.last_change();
            if !is_all || !self.is_quorum(decision.authors()) {
                cx.reject(from, None, Reason::MalformedCertificate);
                break;
            }
            self.begin(cx, decision.clone());
            is_new = true;
        }
        if is_new {
            self.has_begun(cx);
        }
    }

    /// A generation begins.
    fn begin(&mut self, cx: &mut Cx<'_, D>, decision: Decision) {
        let succession = std::mem::take(&mut self.succession);
        if succession.waited > 0 {
            cx.cancel_timer(Timer::Generation);
        }
        let Generation { number, members, .. } = &decision.generation;
        cx.mark(Mark::Generation(GenerationMark::Began { number: *number, members: members.clone() }));
        let obligations: BTreeMap<ReplicaId, Obligation> = decision.obligations().into_iter().collect();
        let were_members = self.membership.members();
        let is_finished = |(actor, it): &(&ReplicaId, &Obligation)| {
            were_members.contains(**actor) || self.finishing.contains(&(**actor, it.number))
        };
        let finishing = obligations.iter().filter(is_finished).map(|(actor, it)| (*actor, it.number));
        self.finishing = finishing.collect();
        self.membership.begin(&decision.generation);
        self.obligations = obligations;
        self.transferred.clear();
        let suggested = succession.suggested.filter(|it| it.suggestion.generation == decision.generation);
        if let Some(snapshot) = suggested.and_then(|suggested| suggested.snapshot) {
            self.set_base(decision.generation.number, decision.generation.cut.clone(), snapshot);
        }
        // Who learns of it later needs to know each change, and what there is now.
        self.decisions.pop_if(|last| !self.membership.changed_in(last.generation.number));
        self.decisions.push(decision);
    }

    fn has_begun(&mut self, cx: &mut Cx<'_, D>) {
        self.sign_again(cx);
        self.announce_soon(cx);
        self.advance(cx);
    }

    /// Generations that a node does not know which knows this one.
    pub(crate) fn tell_generations(&self, cx: &mut Cx<'_, D>, to: ReplicaId, known: u64) {
        let is_unknown = |decision: &&Decision| decision.generation.number > known;
        let mut bytes = 0;
        let mut has_room = |decision: &&Decision| {
            let is_first = bytes == 0;
            bytes += decision.bytes();
            is_first || bytes <= MOST_TOLD_BYTES
        };
        let unknown = self.decisions.iter().filter(is_unknown).take(MOST_TOLD);
        let unknown: Vec<Decision> = unknown.take_while(|decision| has_room(decision)).cloned().collect();
        if !unknown.is_empty() {
            cx.send(to, on(OnGeneration::Began(unknown)));
        }
    }
}

fn on(message: OnGeneration) -> Message {
    Message::Generation(Arc::new(message))
}

/// What makes these members of those; none inside if nothing does, none at all if it is more than one change.
fn change(current: &[ReplicaId], next: &[ReplicaId]) -> Option<Option<Change>> {
    let joined: Vec<ReplicaId> = next.iter().filter(|id| !current.contains(id)).copied().collect();
    let left: Vec<ReplicaId> = current.iter().filter(|id| !next.contains(id)).copied().collect();
    match (&joined[..], &left[..]) {
        ([], []) => Some(None),
        ([node], []) => Some(Some(Change::Join(*node))),
        ([], [node]) => Some(Some(Change::Leave(*node))),
        _ => None,
    }
}
