//! One node of the published flow: the steps of a round.

use super::message::{Message, Statement, Step};
use super::roles::{Attempt, Ranking, Roles};
use super::round::Round;
use super::stores::Stores;
use super::waiting::Waiting;
use crate::trust::{Answer, TrustTable};
use kernel::{
    Application, Batch, Cluster, Context, Digest, Effect, Input, Mark, Micros, Operation, Path, Phase,
    Protocol, Reading, Reason, ReplicaId, Seq, Status, Tallied, View, ViewMark, ViewStatus,
};
use pbft::Execution;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Faults that this flow tolerates by its own count (crashes under synchrony
/// only): `⌊(n−3)/3⌋`.
pub fn max_faulty(n: u16) -> usize {
    usize::from(n).saturating_sub(3) / 3
}

/// A node of the published flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "A: Application")]
pub struct Replica<A> {
    pub(super) batch_max: usize,
    pub(super) batch_bytes_max: usize,
    /// How long the commander gives a communication node.
    pub(super) round_after: Micros,
    /// How long others give the commander.
    pub(super) commander_after: Micros,
    /// Whether this node knows that it was here before.
    pub(super) returns: bool,
    pub(super) execution: Execution<A>,
    /// As published with the last STORE.
    pub(super) trust: Arc<TrustTable>,
    /// The round after the last STORE. All before it is over.
    pub(super) current: Seq,
    /// The current round and some past ones, so that echoes find their place.
    pub(super) rounds: BTreeMap<Seq, Round>,
    /// Messages whose round, or attempt, has not begun here.
    pub(super) early: BTreeMap<Seq, Vec<(ReplicaId, Message)>>,
    pub(super) waiting: Waiting,
    pub(super) stores: Stores,
    /// What [`Timer::Round`] runs for.
    pub(super) watched: Option<(Seq, Attempt)>,
    /// The latest round that a message told of, and whose message; while it is
    /// some, [`Timer::CatchUp`] runs.
    pub(super) ahead: Option<(Seq, ReplicaId)>,
    /// The last of the rounds that this node asked the STOREs of.
    pub(super) fetching: Option<Seq>,
}

/// What a node waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The commander: `f+1` REPLYs. All others, with work at hand: STORE.
    Round,
    /// A node that knows of a later round: the STOREs before it.
    CatchUp,
}

/// Rounds kept after they were stored.
const KEPT_ROUNDS: u64 = 8;

impl<A: Application> Replica<A> {
    /// A node that has seen nothing yet. Rounds go one at a time, so of PBFT's
    /// settings only the sizes of a batch matter, `resend_after` (how long the
    /// commander gives a communication node) and `request_after` (how long others
    /// give the commander).
    pub fn new(config: &pbft::Config, application: A) -> Replica<A> {
        Replica {
            batch_max: config.batch_max,
            batch_bytes_max: config.batch_bytes_max,
            round_after: config.resend_after,
            // The commander has to have time for one replacement.
            commander_after: config.request_after.max(Micros(2 * config.resend_after.0)),
            returns: false,
            execution: Execution::new(application),
            trust: Arc::default(),
            current: Seq(1),
            rounds: BTreeMap::new(),
            early: BTreeMap::new(),
            waiting: Waiting::default(),
            stores: Stores::default(),
            watched: None,
            ahead: None,
            fetching: None,
        }
    }

    /// A node that was there before and has lost its memory: it asks for what it
    /// missed when it starts, instead of when it first hears of a later round.
    pub fn recovering(config: &pbft::Config, application: A) -> Replica<A> {
        Replica { returns: true, ..Replica::new(config, application) }
    }

    /// The trust that the current round's roles follow from.
    pub fn trust(&self) -> &TrustTable {
        &self.trust
    }

    /// Digest of all that was executed.
    pub fn digest(&self) -> Digest {
        self.execution.digest()
    }

    /// The current round, which there always is from the first step on.
    pub(super) fn round(&mut self, cluster: &Cluster) -> &mut Round {
        let trust = &self.trust;
        self.rounds.entry(self.current).or_insert_with(|| Round::new(Arc::new(Ranking::new(trust, cluster))))
    }

    pub(super) fn roles(&mut self, cluster: &Cluster) -> Roles {
        self.round(cluster).roles()
    }

    // ---- REQUEST ----

    /// As commander, begins the current round or runs it again (CCRO paper §3.3).
    pub(super) fn begin(&mut self, cx: &mut Context<'_, Self>) {
        let round = self.round(cx.cluster);
        let (attempt, roles) = (round.attempt, round.roles());
        if roles.commander != cx.id() || round.requested.is_some() {
            return;
        }
        let (digest, batch) = match round.block.clone() {
            Some(block) => block,
            None if self.waiting.is_empty() => return,
            None => {
                let batch = Arc::new(self.waiting.block(self.batch_max, self.batch_bytes_max));
                (batch.digest(), batch)
            }
        };
        let seq = self.current;
        let round = self.round(cx.cluster);
        round.block = Some((digest, Arc::clone(&batch)));
        round.requested = Some(digest);
        round.replies.begun = cx.now;
        cx.mark(Mark::Proposed {
            view: Some(view(attempt)),
            seq,
            digest,
            requests: batch.requests(),
            communication_node: Some(roles.communication_node),
        });
        let header = Statement::sign(cx.cluster, cx.signer, Step::Request, (seq, attempt), digest);
        cx.send_all(Message::Block { header, batch });
        // As a later commander it may have the REPLYs already.
        self.store(cx);
    }

    fn take_block(&mut self, cx: &mut Context<'_, Self>, header: &Statement, batch: Arc<Batch>) {
        let (seq, digest) = (header.seq, header.digest);
        let is_over = seq < self.current;
        let Some(round) = self.rounds.get_mut(&seq) else {
            return self.serve(cx, header.author, seq);
        };
        if header.attempt > round.attempt {
            if is_over {
                // Its author does not know yet that the round is over.
                return self.serve(cx, header.author, seq);
            }
            round.enter(header.attempt);
        }
        if header.attempt < round.attempt {
            return;
        }
        if let Some(requested) = round.requested {
            if requested != digest {
                cx.reject(header.author, Some(seq), Reason::ConflictingProposal);
            }
            return;
        }
        if is_over {
            return;
        }
        if round.executed.is_some_and(|executed| executed != digest) {
            cx.reject(header.author, Some(seq), Reason::ConflictingProposal);
            return;
        }
        round.requested = Some(digest);
        round.block = Some((digest, batch));
        received(cx, header, Phase::PrePrepare, false);
        cx.mark(Mark::Accepted { seq, digest });
        if round.executed.is_some() {
            let results = round.results.clone();
            self.reply(cx, header, results);
        }
        let (attempt, roles) = (header.attempt, self.roles(cx.cluster));
        if cx.id() == roles.communication_node {
            let ask = Statement::sign(cx.cluster, cx.signer, Step::PrePrepare, (seq, attempt), digest);
            send_to_consensus_nodes(cx, roles, &Message::Step(ask));
        }
        self.vote(cx, seq);
        self.execute(cx);
    }

    // ---- PRE-PREPARE, PREPARE, COMMIT ----

    fn take_step(&mut self, cx: &mut Context<'_, Self>, statement: &Statement) {
        let (seq, digest) = (statement.seq, statement.digest);
        let Some(round) = self.rounds.get_mut(&seq).filter(|round| round.attempt == statement.attempt) else {
            return;
        };
        match statement.step {
            Step::PrePrepare if round.asked.is_none() => {
                round.asked = Some(digest);
                received(cx, statement, Phase::Prepare, false);
                self.vote(cx, seq);
            }
            Step::Commit if round.announced.is_none() => {
                round.announced = Some(digest);
                received(cx, statement, Phase::Commit, false);
                self.execute(cx);
            }
            Step::Prepare if cx.id() == round.roles().communication_node => self.take_vote(cx, statement),
            _ => {
                let mut known = [round.asked, round.announced].into_iter().flatten().peekable();
                if known.peek().is_some() && known.all(|known| known != digest) {
                    cx.reject(statement.author, Some(seq), Reason::ConflictingVote);
                }
            }
        }
    }

    /// PREPARE: a consensus node with the block that votes are asked for.
    fn vote(&mut self, cx: &mut Context<'_, Self>, seq: Seq) {
        let Some(round) = self.rounds.get(&seq) else {
            return;
        };
        let (Some(asked), roles) = (round.asked, round.roles()) else {
            return;
        };
        if round.requested == Some(asked) && roles.is_consensus_node(cx.id()) {
            let attempt = round.attempt;
            let vote = Statement::sign(cx.cluster, cx.signer, Step::Prepare, (seq, attempt), asked);
            cx.mark(Mark::Voted { phase: Phase::Prepare, view: Some(view(attempt)), seq, digest: asked });
            cx.send(roles.communication_node, Message::Step(vote));
        }
    }

    /// COMMIT: the communication node announces what `2f+1` voted for.
    fn take_vote(&mut self, cx: &mut Context<'_, Self>, vote: &Statement) {
        let (seq, digest, attempt) = (vote.seq, vote.digest, vote.attempt);
        let Some(round) = self.rounds.get_mut(&seq) else {
            return;
        };
        let tallied = round.votes.insert(vote.author, digest, vote.signature);
        if tallied == Tallied::Duplicate {
            return;
        }
        received(cx, vote, Phase::Prepare, tallied == Tallied::Contradiction);
        if round.requested != Some(digest) {
            return;
        }
        let needed = 2 * max_faulty(cx.cluster.n) + 1;
        let votes = round.votes.of(&digest);
        let counting = votes.iter().filter(|(id, _)| round.ranking.counts(*id, attempt, needed)).count();
        // Exactly then: votes beyond announce nothing anew.
        let counts = round.ranking.counts(vote.author, attempt, needed);
        if counts && counting == needed {
            round.announced = Some(digest);
            cx.mark(Mark::View(ViewMark::Certified { seq, kind: "announcement" }));
            let roles = round.roles();
            let announcement = Statement::sign(cx.cluster, cx.signer, Step::Commit, (seq, attempt), digest);
            send_to_consensus_nodes(cx, roles, &Message::Step(announcement));
            self.execute(cx);
        }
    }

    // ---- REPLY ----

    /// Executes the current round's block once it is announced; a consensus node
    /// that was handed it then sends REPLY.
    fn execute(&mut self, cx: &mut Context<'_, Self>) {
        let seq = self.current;
        let round = self.round(cx.cluster);
        let Some((digest, batch)) = round.block.clone() else {
            return;
        };
        if round.executed.is_some() || round.announced != Some(digest) {
            return;
        }
        let (attempt, was_asked) = (round.attempt, round.requested == Some(digest));
        cx.mark(Mark::Committed { view: Some(view(attempt)), seq, digest, path: Path::Direct });
        let results = self.execution.execute(cx, view(attempt), seq, digest, &batch);
        self.waiting.remove(&batch);
        let round = self.round(cx.cluster);
        round.executed = Some(digest);
        round.results = results.clone();
        if was_asked && round.roles().is_consensus_node(cx.id()) {
            let header = Statement::sign(cx.cluster, cx.signer, Step::Reply, (seq, attempt), digest);
            let commander = round.roles().commander;
            cx.send(commander, Message::Reply { header, bundles: results });
        }
    }

    /// REPLY again, to the commander of a rerun.
    fn reply(&mut self, cx: &mut Context<'_, Self>, request: &Statement, bundles: Vec<kernel::ReplyBundle>) {
        if self.roles(cx.cluster).is_consensus_node(cx.id()) {
            let round = (request.seq, request.attempt);
            let header = Statement::sign(cx.cluster, cx.signer, Step::Reply, round, request.digest);
            cx.send(request.author, Message::Reply { header, bundles });
        }
    }

    fn take_reply(
        &mut self,
        cx: &mut Context<'_, Self>,
        header: &Statement,
        bundles: Vec<kernel::ReplyBundle>,
    ) {
        let Some(round) = self.rounds.get_mut(&header.seq).filter(|r| r.roles().commander == cx.id()) else {
            return;
        };
        let reply = (header.author, header.digest, header.signature);
        let tallied = round.replies.add(reply, bundles, cx.now);
        if tallied != Tallied::Duplicate {
            received(cx, header, Phase::Commit, tallied == Tallied::Contradiction);
        }
        if header.seq == self.current {
            self.store(cx);
        }
    }

    // ---- STORE ----

    /// The commander, on `f+1` REPLYs that match in block and results.
    fn store(&mut self, cx: &mut Context<'_, Self>) {
        let (seq, needed) = (self.current, max_faulty(cx.cluster.n) + 1);
        let round = self.round(cx.cluster);
        let (Some(digest), attempt) = (round.requested, round.attempt) else {
            return;
        };
        let ranking = Arc::clone(&round.ranking);
        let voters = 2 * max_faulty(cx.cluster.n) + 1;
        let counts = |id| ranking.counts(id, attempt, voters);
        let Some(bundles) = round.replies.decide(digest, needed, counts) else {
            return;
        };
        for bundle in bundles {
            let to = bundle.gateway;
            cx.push(Effect::Reply { to, bundle });
        }
        round.announced = Some(digest);
        let batch = round.block.as_ref().map(|(_, batch)| Arc::clone(batch)).unwrap_or_default();
        let trust = Arc::new(self.scores(cx));
        let store = Message::store(cx.cluster, cx.signer, (seq, attempt), batch, Arc::clone(&trust));
        cx.send_all(store.clone());
        self.execute(cx);
        self.stores.push(store);
        self.next_round(cx, trust);
    }

    /// The trust after this round: what the commander saw of the round before,
    /// whose last REPLYs had until now to come, and who was found down in this.
    fn scores(&self, cx: &Context<'_, Self>) -> TrustTable {
        let down = self.rounds.get(&self.current).map(|round| round.ranking.found_down(round.attempt));
        let down = down.unwrap_or_default();
        let before = self.rounds.get(&Seq(self.current.0 - 1));
        let before = before.filter(|r| r.roles().commander == cx.id() && r.replies.decided.is_some());
        if before.is_none() && down.is_empty() {
            return (*self.trust).clone();
        }
        let answer = |id: ReplicaId| match before {
            _ if down.contains(&id) => Answer::Missing,
            None => Answer::Unobserved,
            // It is where the time is measured.
            Some(_) if id == cx.id() => Answer::Given { right: true, after: Micros(0) },
            // It had announced by the time of the first REPLY.
            Some(round) if id == round.roles().communication_node => round
                .replies
                .first_right()
                .map_or(Answer::Missing, |after| Answer::Given { right: true, after }),
            Some(round) => round
                .replies
                .answer(id)
                .map_or(Answer::Missing, |(right, after)| Answer::Given { right, after }),
        };
        self.trust.updated(&cx.cluster.replicas().map(answer).collect::<Vec<_>>())
    }

    /// A node that missed the round learns of it here.
    fn take_store(
        &mut self,
        cx: &mut Context<'_, Self>,
        header: Statement,
        batch: Arc<Batch>,
        trust: Arc<TrustTable>,
    ) {
        if header.seq != self.current {
            return self.supersede(cx, header, batch, trust);
        }
        let (attempt, digest) = (header.attempt, header.digest);
        let round = self.round(cx.cluster);
        if attempt > round.attempt {
            round.enter(attempt);
        }
        match round.executed {
            // What is executed is executed: the logs differ from here on.
            Some(executed) if executed != digest => {
                cx.reject(header.author, Some(header.seq), Reason::ConflictingProposal);
            }
            Some(_) => {}
            None => {
                round.announced = Some(digest);
                round.block = Some((digest, Arc::clone(&batch)));
                self.execute(cx);
            }
        }
        self.stores.push(Message::Store { header, batch, trust: Arc::clone(&trust) });
        self.next_round(cx, trust);
    }

    /// Two commanders stored one round, each with a table of its own: that of the
    /// later attempt holds, as long as nothing came of the other.
    fn supersede(
        &mut self,
        cx: &mut Context<'_, Self>,
        header: Statement,
        batch: Arc<Batch>,
        trust: Arc<TrustTable>,
    ) {
        let untouched = self.round(cx.cluster).executed.is_none();
        let Some(round) = self.rounds.get_mut(&header.seq) else {
            return;
        };
        if header.seq.next() == self.current && header.attempt > round.attempt && untouched {
            round.attempt = header.attempt;
            self.rounds.remove(&self.current);
            self.stores.replace_last(Message::Store { header, batch, trust: Arc::clone(&trust) });
            self.trust = trust;
            self.mark_roles(cx);
            self.hand_over(cx);
        }
    }

    /// The round is over: roles of the next follow from the trust published.
    fn next_round(&mut self, cx: &mut Context<'_, Self>, trust: Arc<TrustTable>) {
        let before = self.roles(cx.cluster).commander;
        self.current = self.current.next();
        self.rounds = self.rounds.split_off(&Seq(self.current.0.saturating_sub(KEPT_ROUNDS)));
        self.trust = trust;
        if self.mark_roles(cx).commander != before {
            self.hand_over(cx);
        }
    }

    pub(super) fn mark_roles(&mut self, cx: &mut Context<'_, Self>) -> Roles {
        let roles = self.roles(cx.cluster);
        cx.mark(Mark::View(ViewMark::Trusted {
            seq: self.current,
            commander: roles.commander,
            communication_node: roles.communication_node,
            trust_milli: self.trust.all(cx.cluster),
        }));
        roles
    }

    // ---- Whatever comes ----

    fn deliver(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        match message {
            Message::Requests(bundle) => self.take_requests(cx, Some(from), bundle),
            Message::Fetch { next } => self.serve(cx, from, next),
            Message::State { header, trust, state } => self.take_state(cx, from, &header, trust, &state),
            message => self.take(cx, from, message),
        }
    }

    /// A step of a round, unless it has to wait for its round or attempt.
    pub(super) fn take(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        let Some(header) = message.header() else {
            return;
        };
        if self.is_early(header) {
            return self.keep_early(cx, from, message);
        }
        if let Some(round) = self.rounds.get(&header.seq)
            && !is_entitled(header, round.ranking.roles(header.attempt))
        {
            cx.reject(from, Some(header.seq), Reason::NotEntitled);
            return;
        }
        match message {
            Message::Block { header, batch } => self.take_block(cx, &header, batch),
            Message::Store { header, batch, trust } => {
                self.take_store(cx, header, batch, trust);
                self.fetch_on(cx, from);
            }
            Message::Reply { header, bundles } => self.take_reply(cx, &header, bundles),
            Message::Step(statement) => self.take_step(cx, &statement),
            Message::Requests(_) | Message::Fetch { .. } | Message::State { .. } => {}
        }
    }
}

/// Whether the author holds the role that the step needs.
fn is_entitled(header: &Statement, roles: Roles) -> bool {
    match header.step {
        Step::Request | Step::Store => header.author == roles.commander,
        Step::PrePrepare | Step::Commit => header.author == roles.communication_node,
        Step::Prepare | Step::Reply => roles.is_consensus_node(header.author),
        Step::State => false,
    }
}

/// How often the round's commander was replaced, as marks and replies show it.
pub(super) fn view(attempt: Attempt) -> View {
    View(u64::from(attempt.takeovers))
}

fn send_to_consensus_nodes<A: Application>(
    cx: &mut Context<'_, Replica<A>>,
    roles: Roles,
    message: &Message,
) {
    for id in cx.cluster.replicas().filter(|id| roles.is_consensus_node(*id)) {
        cx.send(id, message.clone());
    }
}

fn received<P: Protocol>(cx: &mut Context<'_, P>, statement: &Statement, phase: Phase, contradicts: bool) {
    cx.mark(Mark::VoteReceived {
        seq: statement.seq,
        digest: statement.digest,
        author: statement.author,
        phase,
        contradicts,
    });
}

impl<A: Application> Protocol for Replica<A> {
    type Message = Message;
    type Timer = Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        self.round(cx.cluster);
        match input {
            Input::Start => self.start(cx),
            Input::Resume => {} // No promise was made that the journal may not know of.
            Input::Submit(bundle) => self.submit(cx, bundle),
            Input::Deliver { from, message } => self.deliver(cx, from, message.into_inner()),
            Input::Expire(Timer::Round) => self.give_up(cx),
            Input::Expire(Timer::CatchUp) => self.catch_up(cx),
        }
        self.begin(cx);
        self.take_early(cx);
        self.watch(cx);
    }

    fn status(&self, cluster: &Cluster) -> Status {
        let round = self.rounds.get(&self.current);
        let fresh = || (Attempt::default(), Ranking::new(&self.trust, cluster).roles(Attempt::default()));
        let (attempt, roles) = round.map_or_else(fresh, |round| (round.attempt, round.roles()));
        Status {
            recovering: false,
            diverged: false,
            divergences: 0,
            last_executed: self.execution.last(),
            slots_in_flight: usize::from(round.is_some_and(|r| r.block.is_some() && r.executed.is_none())),
            requests_waiting: self.waiting.requests(),
            membership: None,
            views: Some(ViewStatus {
                view: view(attempt),
                changing_view: false,
                commander: roles.commander,
                communication_node: Some(roles.communication_node),
                stable_checkpoint: Seq(0),
                trust_milli: self.trust.all(cluster),
            }),
        }
    }

    fn state_digest(&self) -> Option<Digest> {
        Some(self.execution.digest())
    }

    fn corrupt_state(&mut self) {
        self.execution.corrupt();
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        self.execution.query(operation)
    }
}
