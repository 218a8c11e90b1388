//! What a person does at a replica.

use apps::BankOperation;
use kernel::{Application, Digest, Input, Output, Phase, ReplicaId, Reply, ReplyBundle, Seq};
use pbft::{Message, Timer};

use crate::command::{Choice, Command};
use crate::envelope::Content;
use crate::names::names;
use crate::node::{CHECKPOINT_INTERVAL, Need, Node, Proposing, words_of};
use crate::operation::{batch_in_words, filler, first_bank};
use crate::tally::{Ballot, message};

impl Node {
    /// Does what the person says. Commands of the prompt itself are not for a replica.
    pub fn act(&mut self, command: &Command) {
        let works_when_down = matches!(command, Command::Recover | Command::Status | Command::List);
        if self.is_down && !works_when_down {
            self.say("is down: it receives nothing and sends nothing; \"recover\" brings it back");
            return;
        }
        match command {
            Command::List => self.list(),
            Command::Status => self.status(),
            Command::Data => self.data(),
            Command::Tx { operation: Some(operation), to, other } => self.tx(operation, to, other.as_ref()),
            // A commander's prompt asks for the operation.
            Command::Tx { operation: None, .. } => self.explain_no_proposal(),
            Command::Send(_) => {
                self.say("only the client sends requests; \"as client\" goes on as the client")
            }
            Command::Prepare(choice) => self.choose(Phase::Prepare, choice),
            Command::Ack(choice) => self.choose(Phase::Commit, choice),
            Command::Progress => self.progress(),
            Command::ViewChange => self.view_change(),
            Command::Checkpoint => self.checkpoint(),
            Command::Crash { forget } => self.crash(*forget),
            Command::Recover => self.recover(),
            Command::ForgeReply { name } => self.forge_reply(*name),
            Command::As(_) | Command::Help(_) | Command::Quit => {}
        }
    }

    // ---- Looking ----

    fn list(&mut self) {
        let (_, commander) = self.view();
        let role = |id| if id == commander { " (commander)" } else { "" };
        let all: Vec<String> =
            self.setup.cluster.replicas().map(|id| format!("{}{}", self.call(id), role(id))).collect();
        self.say(format!("replicas {}; and the client", all.join(", ")));
    }

    fn status(&mut self) {
        let cluster = self.setup.cluster.clone();
        let status = self.replica_status();
        let (view, commander) = self.view();
        let commander = if commander == self.id() { "this node".into() } else { self.call(commander) };
        let leaving = status.views.as_ref().is_some_and(|views| views.changing_view);
        let leaving = if leaving { " (wanted; it has not begun here)" } else { "" };
        if self.is_down {
            self.say("is down");
        }
        if status.recovering {
            self.say("recovers from the loss of its memory and does not vote yet");
        }
        self.say(format!("view {view}{leaving}, commander {commander}"));
        let members: Vec<ReplicaId> = cluster.replicas().collect();
        let rule = if usize::from(cluster.n) == 3 * cluster.f() + 1 { "2f+1 = " } else { "" };
        self.say(format!(
            "members {}: n = {}, f = {}, quorum {rule}{}",
            names(&cluster, &members),
            cluster.n,
            cluster.f(),
            cluster.quorum()
        ));
        let stable = status.views.map_or(Seq(0), |views| views.stable_checkpoint);
        self.say(format!(
            "executed up to slot {}; stable checkpoint {stable} (one every {CHECKPOINT_INTERVAL} slots)",
            status.last_executed
        ));
        self.history.clone().into_iter().for_each(|done| self.say(format!("  {done}")));
        self.show_waiting();
    }

    fn show_waiting(&mut self) {
        for need in self.waiting() {
            let line = match need {
                Need::Proposal => "  a request waits to be proposed: \"progress\"".into(),
                Need::Vote(ballot, digest) => {
                    let words =
                        self.batches.get(&digest).map_or("a batch".into(), |batch| batch_in_words(batch));
                    let (yes, no) = words_of(ballot.phase);
                    let declined = self.rulings.get(&ballot).is_some_and(|ruling| ruling.declined);
                    let so_far = if declined { "; you said no" } else { "" };
                    format!(
                        "  slot {}: {words}: {} {} so far; yours waits: \"{yes}\" or \"{no}\"{so_far}",
                        ballot.seq,
                        ballot.message(),
                        self.counted(ballot, &digest)
                    )
                }
            };
            self.say(line);
        }
    }

    fn data(&mut self) {
        let balances: Vec<String> =
            self.balances().iter().map(|(account, balance)| format!("{account} {balance}")).collect();
        let executed = self.executed();
        self.say(format!("{} (as of slot {executed})", balances.join(", ")));
    }

    // ---- Proposing ----

    fn tx(&mut self, operation: &BankOperation, to: &[ReplicaId], other: Option<&BankOperation>) {
        if self.view().1 != self.id() || !self.replica.core().may_vote() {
            self.explain_no_proposal();
            return;
        }
        let proposing = Proposing { to: to.to_vec(), other: other.map(BankOperation::encode) };
        self.propose_own(operation.encode(), proposing);
    }

    fn explain_no_proposal(&mut self) {
        let (view, commander) = self.view();
        if commander == self.id() {
            self.say("does not propose: its view has not begun, or it recovers; \"status\" says which");
            return;
        }
        let commander = self.call(commander);
        self.say(format!(
            "does not propose: the commander of view {view} is {commander}, and a backup accepts proposals of nobody else (§4.2)"
        ));
    }

    fn progress(&mut self) {
        let waiting = self.waiting();
        if waiting.contains(&Need::Proposal) {
            self.propose(Proposing::default(), None);
            return;
        }
        let commit = |need: &Need| matches!(need, Need::Vote(ballot, _) if ballot.phase == Phase::Commit);
        let is_commander = self.view().1 == self.id();
        if is_commander && waiting.iter().any(commit) {
            self.choose(Phase::Commit, &Choice { yes: true, slot: None, to: Vec::new() });
            return;
        }
        if is_commander {
            self.say_what_is_missing();
        } else {
            self.say("proposes nothing, as it is not the commander; it sends again what may be lost, and asks for what it lacks");
        }
        self.ask_around();
    }

    /// Says of each open slot what it waits for.
    fn say_what_is_missing(&mut self) {
        let view = self.replica.core().view();
        let open: Vec<(Seq, Digest)> = self.open_slots();
        if open.is_empty() {
            self.say("has nothing to drive: no slot is open and no request waits");
        }
        for (seq, digest) in open {
            let prepare = self.counted(Ballot::of(view, seq, Phase::Prepare), &digest);
            let commit = self.counted(Ballot::of(view, seq, Phase::Commit), &digest);
            self.say(format!(
                "slot {seq} has no quorum yet: PREPARE {prepare}, COMMIT {commit}; nothing is decided. Votes are sent again"
            ));
        }
    }

    fn open_slots(&self) -> Vec<(Seq, Digest)> {
        let core = self.replica.core();
        let view = core.view();
        let first = self.executed().next();
        (first.0..first.0 + 2 * CHECKPOINT_INTERVAL)
            .map(Seq)
            .filter_map(|seq| {
                let commander = self.setup.cluster.commander(view);
                let digest = self.tally.vote_of(Ballot::of(view, seq, Phase::Prepare), commander)?;
                (!core.is_committed(seq)).then_some((seq, *digest))
            })
            .collect()
    }

    fn ask_around(&mut self) {
        let core = self.replica.core();
        let progress = Message::Progress { view: core.view(), executed: core.last_executed() };
        for peer in self.peers() {
            self.post(peer, Content::Message(progress.clone()));
        }
        (0..2).for_each(|_| self.feed(Input::Expire(Timer::Resend)));
    }

    // ---- Voting ----

    fn choose(&mut self, phase: Phase, choice: &Choice) {
        let Some((ballot, digest)) = self.ballot(phase, choice.slot) else {
            self.explain_no_ballot(phase, choice.slot);
            return;
        };
        if choice.to.contains(&self.id()) {
            self.say("sends nothing to itself; name other replicas");
            return;
        }
        match (choice.yes, choice.to.is_empty()) {
            (true, _) => self.vote_yes(ballot, &choice.to),
            (false, true) => self.keep_silent(ballot, &digest),
            (false, false) => self.vote_otherwise(ballot, &digest, &choice.to),
        }
    }

    /// The ballot that is meant: one that waits first, else the last one that was decided about.
    fn ballot(&self, phase: Phase, slot: Option<Seq>) -> Option<(Ballot, Digest)> {
        let fits = |ballot: &Ballot| ballot.phase == phase && slot.is_none_or(|slot| slot == ballot.seq);
        let waiting = self.waiting().into_iter().find_map(|need| match need {
            Need::Vote(ballot, digest) if fits(&ballot) => Some((ballot, digest)),
            _ => None,
        });
        waiting.or_else(|| {
            let view = self.replica.core().view();
            let open = |ballot: &Ballot| ballot.view == view && !self.replica.core().is_committed(ballot.seq);
            let ruled = self.rulings.keys().rev().find(|ballot| fits(ballot) && open(ballot))?;
            let own = self.tally.vote_of(*ruled, self.id())?;
            Some((*ruled, *own))
        })
    }

    fn explain_no_ballot(&mut self, phase: Phase, slot: Option<Seq>) {
        let which = slot.map_or(String::new(), |slot| format!(" in slot {slot}"));
        if let Some(slot) = slot.filter(|slot| self.replica.core().is_committed(*slot)) {
            self.say(format!("need not vote: slot {slot} is decided already"));
        } else if self.replica_status().recovering {
            self.say("does not vote: it has lost its memory and may contradict what it said before");
        } else if phase == Phase::Prepare && self.view().1 == self.id() {
            self.say("is the commander: its PRE-PREPARE is its vote, it sends no PREPARE (§4.2)");
        } else if let Some((seq, digest)) = self
            .open_slots()
            .into_iter()
            .find(|(seq, _)| phase == Phase::Commit && slot.is_none_or(|s| s == *seq))
        {
            let view = self.replica.core().view();
            let counted = self.counted(Ballot::of(view, seq, Phase::Prepare), &digest);
            self.say(format!(
                "cannot send COMMIT for slot {seq}: it is not prepared here (PREPARE {counted}, and its own must be among them, §4.2)"
            ));
        } else {
            let what = if phase == Phase::Prepare { "proposal" } else { "prepared slot" };
            let decided = self.executed();
            let so_far =
                if decided == Seq(0) { String::new() } else { format!("; slot {decided} is decided") };
            self.say(format!("need not vote: no {what}{which} waits here{so_far}"));
        }
    }

    fn vote_yes(&mut self, ballot: Ballot, to: &[ReplicaId]) {
        let prepare = Ballot { phase: Phase::Prepare, ..ballot };
        if ballot.phase == Phase::Commit && self.unsent.contains_key(&prepare) {
            self.say(format!(
                "sends no COMMIT for slot {} before its PREPARE: \"prepare yes\" first (§4.2)",
                ballot.seq
            ));
            return;
        }
        let ruling = self.rulings.entry(ballot).or_default();
        let id = self.signer.id();
        let all = self.setup.cluster.replicas().filter(|peer| *peer != id);
        let chosen: Vec<ReplicaId> = if to.is_empty() { all.collect() } else { to.to_vec() };
        let new: Vec<ReplicaId> = chosen
            .into_iter()
            .filter(|peer| !ruling.yes.contains(peer) && (!to.is_empty() || !ruling.other.contains(peer)))
            .collect();
        if new.is_empty() {
            self.say(format!("has sent this {} to them already", ballot.message()));
            return;
        }
        ruling.declined = false;
        ruling.yes.extend(new.iter().copied());
        self.unsent.remove(&ballot);
        let votes = self.replica.core().own_votes(self.id(), ballot.seq);
        let cast = votes.into_iter().find(|vote| (vote.phase, vote.view) == (ballot.phase, ballot.view));
        let Some(vote) = cast else {
            self.release();
            return;
        };
        self.tally.insert(ballot, self.id(), vote.digest);
        let (to, counted) = (names(&self.setup.cluster, &new), self.counted(ballot, &vote.digest));
        self.say(format!("sends {} for slot {} to {to}: {counted}", ballot.message(), ballot.seq));
        for peer in new {
            self.post(peer, Content::Message(Message::Vote(vote.clone())));
        }
        self.release();
    }

    fn keep_silent(&mut self, ballot: Ballot, digest: &Digest) {
        let quorum = self.setup.cluster.quorum();
        let counted = self.counted(ballot, digest);
        let ruling = self.rulings.entry(ballot).or_default();
        let (yes, _) = words_of(ballot.phase);
        let line = if ruling.yes.is_empty() {
            ruling.declined = true;
            format!(
                "sends no {} for slot {}: PBFT has no vote against, a \"no\" is silence. {counted} without it; {quorum} are enough. \"{yes}\" changes your mind",
                ballot.message(),
                ballot.seq
            )
        } else {
            format!(
                "cannot take back its {} for slot {}: it is signed and sent",
                ballot.message(),
                ballot.seq
            )
        };
        self.say(line);
    }

    fn vote_otherwise(&mut self, ballot: Ballot, digest: &Digest, to: &[ReplicaId]) {
        self.rulings.entry(ballot).or_default().other.extend(to.iter().copied());
        let vote = self.other_vote(ballot, digest);
        let (chosen, (yes, _)) = (names(&self.setup.cluster, to), words_of(ballot.phase));
        self.say(format!(
            "sends {chosen} a {} for slot {} with another digest, which nobody proposed; \"{yes}\" sends the right one to the others: that is equivocation",
            message(ballot.phase),
            ballot.seq
        ));
        for peer in to {
            self.post(*peer, Content::Message(Message::Vote(vote.clone())));
        }
    }

    // ---- Views, checkpoints, failures ----

    fn view_change(&mut self) {
        let core = self.replica.core();
        if self.replica_status().recovering {
            self.say("asks for no view change: it has lost its memory and may have promised something else");
            return;
        }
        let (wanted, commander) = self.view();
        let is_leaving = wanted != core.view();
        if is_leaving && self.wanting(wanted) < self.setup.cluster.quorum() {
            let commander = self.call(commander);
            self.say(format!(
                "asks for view {wanted} (commander {commander}) already, as {} of {} do; it sends its VIEW-CHANGE again. The view begins with {}",
                self.wanting(wanted),
                self.setup.cluster.n,
                self.setup.cluster.quorum()
            ));
            self.ask_around();
            return;
        }
        self.ask_for_next_view();
    }

    fn checkpoint(&mut self) {
        let status = self.replica_status();
        let stable = status.views.map_or(Seq(0), |views| views.stable_checkpoint);
        let executed = status.last_executed;
        let next = Seq((executed.0 / CHECKPOINT_INTERVAL + 1) * CHECKPOINT_INTERVAL);
        self.say(format!(
            "stable checkpoint: slot {stable}; the next is due after slot {next}. Nobody calls for one: every replica takes it after each {CHECKPOINT_INTERVAL} slots and tells all its state's digest (§4.3)"
        ));
        if self.view().1 != self.id() {
            self.say(
                "the commander's \"checkpoint\" fills the slots up to there with requests that do nothing",
            );
            return;
        }
        if !self.replica.core().may_vote() || !self.open_slots().is_empty() {
            self.say("fills no slots now: a slot is open or the view has not begun; decide that first");
            return;
        }
        let to_fill = next.0 - executed.0;
        self.say(format!(
            "fills {to_fill} slots with requests that do nothing; nobody is asked to vote for these"
        ));
        (0..to_fill).for_each(|_| self.propose_own(filler(), Proposing::default()));
    }

    fn crash(&mut self, forget: bool) {
        self.is_down = true;
        self.forgot = forget;
        self.say(match forget {
            false => "is down: it receives nothing and sends nothing; what it knows is kept, as on a disk",
            true => {
                "is down, and all that it knew and said is lost, as when a process without a disk is killed"
            }
        });
    }

    fn recover(&mut self) {
        if !self.is_down {
            self.say("is up; \"crash\" takes it down");
            return;
        }
        if self.forgot {
            let mut setup = self.setup.clone();
            // Sessions of before are never used again.
            setup.first_session = self.next_session + 1;
            let pending = self.take_out();
            *self = Node::new(setup, self.id(), true);
            self.put_first(pending);
            return;
        }
        self.is_down = false;
        let executed = self.executed();
        self.say(format!(
            "is up again, with what it knew: executed up to slot {executed}. It tells the others, and they send what it lacks"
        ));
        self.ask_around();
    }

    // ---- Lying ----

    fn forge_reply(&mut self, named: Option<ReplicaId>) {
        let Some(request) = self.asked.clone() else {
            self.say("has no request of the client to forge an answer to; let the client \"send\" one first");
            return;
        };
        let result = forged_result();
        let reply = Reply { session: request.session, counter: request.counter, result };
        let (view, seq) = (self.replica.core().view(), self.executed().next());
        let client = request.session.gateway;
        let mut bundle =
            ReplyBundle::sign(&self.setup.cluster, &self.signer, view, seq, client, vec![], vec![reply]);
        let named = named.unwrap_or(self.id());
        bundle.replica = named;
        let name = self.call(named);
        let own = if named == self.id() {
            "in its own name"
        } else {
            "signed with its own key, as it has no other"
        };
        self.say(format!("sends the client a forged REPLY of {name}, {own}: \"the account has 1000000\""));
        self.post(client, Content::Reply(bundle));
    }
}

/// What a bank answers where an account has a million.
fn forged_result() -> Output {
    let deposit = BankOperation::Deposit { account: "alice".into(), amount: 1_000_000 };
    first_bank().execute(&deposit.encode())
}
