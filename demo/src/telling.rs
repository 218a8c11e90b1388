//! What a replica's person is told of what the replica does: its marks in sentences, with
//! the section of the paper that they follow.

use std::sync::Arc;

use apps::Bank;
use kernel::{
    Batch, Cluster, Digest, Input, Mark, Operation, Output, Phase, Reason, Rejection, ReplicaId, Seq, View,
    ViewMark,
};
use pbft::{Message, Replica, Vote};

use crate::names::names;
use crate::node::{Need, Node, Partial, Proposing, requests_in, words_of};
use crate::operation::{batch_in_words, in_words, result_in_words};
use crate::tally::{Ballot, message};

impl Node {
    pub(crate) fn announce(&mut self, need: &Need, input: &Input<Replica<Bank>>) {
        let line = match need {
            Need::Vote(ballot, _) if ballot.phase == Phase::Commit => format!(
                "slot {} is prepared: no other value can be in view {} (§4.2). \"{}ack commit\" sends COMMIT, \"ack abort\" keeps it back",
                ballot.seq,
                ballot.view,
                if self.view().1 == self.id() { "progress\" or \"" } else { "" }
            ),
            Need::Vote(ballot, _) => {
                format!("\"prepare yes\" accepts slot {}, \"prepare no\" keeps silent", ballot.seq)
            }
            Need::Proposal => {
                let Some(bundle) = requests_in(input) else { return };
                let from = self.call(bundle.gateway());
                let words: Vec<String> = bundle.requests().iter().map(|r| in_words(&r.operation)).collect();
                format!(
                    "request of {from}: {}. \"progress\" proposes it (PRE-PREPARE, §4.2)",
                    words.join("; ")
                )
            }
        };
        self.say(line);
    }

    pub(crate) fn tell_result(&mut self, seq: Seq, to: ReplicaId, operation: &Operation, result: &Output) {
        let done = format!("slot {seq}: {}: {}", in_words(operation), result_in_words(operation, result));
        if self.history.contains(&done) {
            return; // The same REPLY once more.
        }
        let to = self.call(to);
        self.say(format!("executes {done}; REPLY to {to}"));
        self.history.push(done);
    }

    pub(crate) fn tell_rejection(&mut self, rejection: &Rejection) {
        if rejection.reason.is_offence() || rejection.reason == Reason::Overloaded {
            let from = self.call(rejection.from);
            let about = rejection.seq.map_or(String::new(), |seq| format!(" about slot {seq}"));
            self.say(format!("refused what {from} sent{about}: {}", rejection.reason));
        }
    }

    /// Counts a vote that came, and tells of it.
    pub(crate) fn tell_vote(&mut self, mark: &Mark, message: Option<&Message>) {
        let Mark::VoteReceived { seq, digest, author, phase, contradicts } = mark else { return };
        let Some(view) = message.and_then(|message| view_of(message, &self.setup.cluster, *author, *phase))
        else {
            return;
        };
        let (ballot, from) = (Ballot::of(view, *seq, *phase), self.call(*author));
        let vote = crate::tally::message(*phase);
        if *contradicts {
            self.say(format!(
                "{vote} from {from} for slot {seq} contradicts an earlier one: {from} is faulty; its first vote stays"
            ));
            return;
        }
        if !self.tally.insert(ballot, *author, *digest) || self.is_silent(digest) {
            return;
        }
        let counted = self.counted(ballot, digest);
        if *phase == Phase::PrePrepare {
            let words = self.batches.get(digest).map_or("a batch".into(), |batch| batch_in_words(batch));
            self.say(format!("{vote} from {from} for slot {seq} in view {view}: {words}: {counted}"));
        } else if self.is_about_proposal(view, *seq, digest) {
            self.say(format!("{vote} from {from} for slot {seq}: {counted}"));
        } else {
            self.say(format!(
                "{vote} from {from} for slot {seq} is for another value than the one proposed here: {counted}"
            ));
        }
    }

    /// Whether the commander proposed this digest here, as far as is known.
    fn is_about_proposal(&self, view: View, seq: Seq, digest: &Digest) -> bool {
        let proposal = Ballot::of(view, seq, Phase::Prepare);
        let commander = self.setup.cluster.commander(view);
        self.tally.vote_of(proposal, commander).is_none_or(|proposed| proposed == digest)
    }

    pub(crate) fn note(&mut self, mark: &Mark, message: Option<&Message>) {
        match mark {
            Mark::VoteReceived { .. } => self.tell_vote(mark, message),
            Mark::Proposed { view: Some(view), seq, digest, .. } => self.tell_proposal(*view, *seq, digest),
            Mark::Voted { phase, view: Some(view), seq, digest } => {
                self.tell_own_vote(*phase, *view, *seq, digest);
            }
            Mark::Committed { view: Some(view), seq, digest, .. } if !self.is_silent(digest) => {
                let counted = self.counted(Ballot::of(*view, *seq, Phase::Commit), digest);
                self.say(format!("slot {seq} is committed: COMMIT {counted}; this is final (§4.2)"));
            }
            Mark::StateAdopted { seq, .. } => {
                self.history.push(format!("slots up to {seq}: taken over as a state"));
                self.say(format!(
                    "takes over the state after slot {seq}: 2f+1 CHECKPOINTs vouch for its digest (§4.3, §4.4)"
                ));
            }
            Mark::Recovered { view: Some(view) } => {
                self.forgot = false;
                self.say(format!(
                    "has recovered: it votes in view {view} and later ones, where it cannot have voted before"
                ));
            }
            Mark::View(mark) => self.note_view(mark, message),
            _ => {}
        }
    }

    fn tell_proposal(&mut self, view: View, seq: Seq, digest: &Digest) {
        let ballot = Ballot::of(view, seq, Phase::PrePrepare);
        self.tally.insert(ballot, self.id(), *digest);
        // The batch is in the message that follows.
        let Some(batch) = self.replica.core().slot(seq).and_then(|slot| slot.batches.get(digest)).cloned()
        else {
            return;
        };
        self.batches.insert(*digest, Arc::clone(&batch));
        self.explain_null_requests(seq, batch.bundles.is_empty());
        if !self.is_silent(digest) {
            let (words, counted) = (batch_in_words(&batch), self.counted(ballot, digest));
            self.say(format!(
                "sends PRE-PREPARE for slot {seq} in view {view}: {words}: {counted}; a commander's proposal is its vote"
            ));
        }
        self.split_proposal(view, seq);
    }

    /// Says once, where a row of them begins, why slots are ordered in which nothing is asked.
    fn explain_null_requests(&mut self, seq: Seq, is_null: bool) {
        if is_null && !self.orders_null {
            self.say(format!(
                "orders slots without a request, from slot {seq} on (null requests; nobody is asked to vote): a replica has lost its memory, and \
                 votes again only after a checkpoint that lies beyond all that it may have voted for. In the paper, replicas keep \
                 their memory on disk (§3), and null requests fill gaps in a NEW-VIEW (§4.4)"
            ));
        }
        self.orders_null = is_null;
    }

    /// The person equivocates: another proposal for the same slot goes to the others.
    fn split_proposal(&mut self, view: View, seq: Seq) {
        let Some(Proposing { to, other }) =
            self.proposing.clone().filter(|proposing| !proposing.to.is_empty())
        else {
            return;
        };
        let chosen = names(&self.setup.cluster, &to);
        let words = other.as_ref().map_or("nothing".into(), in_words);
        self.say(format!("sends this to {chosen} only; the others get for the same slot: {words}"));
        let other = other.map(|operation| {
            let batch = Arc::new(Batch { bundles: vec![self.own_bundle(operation)] });
            Message::propose(&self.setup.cluster, &self.signer, view, seq, batch, None).1
        });
        self.partial.insert((view, seq), Partial { to: to.into_iter().collect(), other });
    }

    fn tell_own_vote(&mut self, phase: Phase, view: View, seq: Seq, digest: &Digest) {
        let ballot = Ballot::of(view, seq, phase);
        if phase != Phase::PrePrepare && !self.is_released(ballot, digest) {
            self.tell_unsent(ballot, digest);
            return;
        }
        let new = self.tally.insert(ballot, self.id(), *digest);
        if *digest == Batch::default().digest() && phase == Phase::PrePrepare {
            self.say(format!(
                "fills slot {seq} with a null request in view {view}: no VIEW-CHANGE shows a proposal for it, and slots have no gaps (§4.4)"
            ));
        }
        if self.is_silent(digest) || !new {
            return;
        }
        let counted = self.counted(ballot, digest);
        if phase == Phase::PrePrepare {
            self.say(format!(
                "proposes slot {seq} again in view {view}, as the VIEW-CHANGEs demand (§4.4): {counted}"
            ));
        } else if let Some(ruling) = self.rulings.get(&ballot).filter(|ruling| !ruling.yes.is_empty()) {
            let all = ruling.yes.len() == usize::from(self.setup.cluster.n) - 1;
            let to = if all {
                String::new()
            } else {
                format!(" to {} only", names(&self.setup.cluster, &ruling.yes))
            };
            self.say(format!("sends {} for slot {seq}{to}: {counted}", message(phase)));
        }
    }

    /// A vote was cast with a NEW-VIEW: it counts once it has left.
    fn tell_unsent(&mut self, ballot: Ballot, digest: &Digest) {
        if self.unsent.insert(ballot, *digest).is_some() {
            return;
        }
        self.announced.insert(Need::Vote(ballot, *digest));
        let (yes, no) = words_of(ballot.phase);
        self.say(format!(
            "has a {} for slot {} in view {} ready: \"{yes}\" sends it, \"{no}\" keeps it back",
            ballot.message(),
            ballot.seq,
            ballot.view
        ));
    }

    fn note_view(&mut self, mark: &ViewMark, message: Option<&Message>) {
        match mark {
            ViewMark::LeftFor { view } if !self.asks_for_view => {
                let needed = self.setup.cluster.weak_quorum();
                let why = match message {
                    Some(Message::ViewChange(_)) => {
                        format!("f+1 = {needed} replicas want it, so an honest one does (§4.5.2)")
                    }
                    _ => {
                        "the commander sent two proposals for one slot, which proves that it is faulty".into()
                    }
                };
                self.say(format!("joins the view change to view {view}: {why}"));
            }
            ViewMark::ViewBegan { view } => self.note_new_view(*view, message),
            ViewMark::Stable { seq } => {
                self.tally.forget_below(seq.next());
                self.rulings.retain(|ballot, _| ballot.seq > *seq);
                let quorum = self.setup.cluster.quorum();
                self.say(format!(
                    "the checkpoint after slot {seq} is stable: {quorum} CHECKPOINTs agree on the state; older log entries can be forgotten (§4.3)"
                ));
            }
            _ => {}
        }
    }

    fn note_new_view(&mut self, view: View, message: Option<&Message>) {
        let commander = self.setup.cluster.commander(view);
        self.wanting.retain(|wanted, _| *wanted > view);
        self.unsent.retain(|ballot, _| ballot.view >= view);
        if let Some(Message::NewView(new_view)) = message {
            for header in &new_view.proposals {
                self.tally.insert(
                    Ballot::of(view, header.seq, Phase::PrePrepare),
                    header.author,
                    header.digest,
                );
            }
        }
        let line = match commander == self.id() {
            true => format!(
                "has {} VIEW-CHANGEs, its own among them, and sends NEW-VIEW: view {view} begins, it is the commander (§4.4)",
                self.setup.cluster.quorum()
            ),
            false => format!("view {view} begins: {} is the commander (§4.4)", self.call(commander)),
        };
        self.say(line);
    }
}

/// The view of the author's vote in a message.
fn view_of(message: &Message, cluster: &Cluster, author: ReplicaId, phase: Phase) -> Option<View> {
    let matches = |vote: &Vote| vote.author == author && vote.phase == phase;
    match message {
        Message::PrePrepare { header, .. } => matches(header).then_some(header.view),
        Message::Vote(vote) => matches(vote).then_some(vote.view),
        Message::Stuck { votes, .. } => votes.iter().find(|vote| matches(vote)).map(|vote| vote.view),
        Message::Certificate(certificate) => {
            certificate.to_votes(cluster).find(|vote| matches(vote)).map(|vote| vote.view)
        }
        _ => None,
    }
}
