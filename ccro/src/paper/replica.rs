//! One node of the published flow.

use super::message::{Message, Statement, Step};
use kernel::{
    Application, Batch, Bundle, Cluster, Context, Digest, Effect, Input, Mark, Path, Phase, Protocol, Reason,
    ReplicaId, ReplyBundle, Seq, Status, Tallied, View, VoteSet,
};
use pbft::Execution;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Faults that this flow tolerates by its own count (crashes under synchrony
/// only): `⌊(n−3)/3⌋`.
pub fn max_faulty(n: u16) -> usize {
    usize::from(n).saturating_sub(3) / 3
}

/// A node of the published flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica<A> {
    batch_max: usize,
    execution: Execution<A>,
    rounds: BTreeMap<Seq, Round>,
    /// As commander, the last round begun.
    last_begun: Seq,
    /// As commander, bundles waiting for a round or in one.
    waiting: VecDeque<Arc<Bundle>>,
    known: BTreeSet<Digest>,
}

/// This flow waits for nothing: as published, it assumes that messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {}

/// What a node knows of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Round {
    /// The block that the commander handed out.
    block: Option<(Digest, Arc<Batch>)>,
    /// What the communication node asked votes for, and what it announced.
    asked: Option<Digest>,
    announced: Option<Digest>,
    decided: bool,
    /// As communication node, the PREPAREs.
    votes: VoteSet,
    /// As commander, the REPLYs, and by their content who sent it.
    replies: VoteSet,
    bundles: BTreeMap<Digest, Vec<(ReplicaId, Vec<ReplyBundle>)>>,
}

/// Rounds kept after they were executed, so that echoes find their place.
const KEPT_ROUNDS: u64 = 8;
/// How far ahead of its own log a node keeps messages.
const ROUNDS_AHEAD: u64 = 1024;

impl<A: Application> Replica<A> {
    /// A node that has seen nothing yet. Rounds go one at a time, so of PBFT's
    /// settings only `batch_max` matters.
    pub fn new(config: &pbft::Config, application: A) -> Replica<A> {
        Replica {
            batch_max: config.batch_max,
            execution: Execution::new(application),
            rounds: BTreeMap::new(),
            last_begun: Seq(0),
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
        }
    }

    fn commander(&self) -> ReplicaId {
        ReplicaId(0)
    }

    fn communication_node(&self) -> ReplicaId {
        ReplicaId(1)
    }

    fn is_consensus_node(&self, id: ReplicaId) -> bool {
        id != self.commander() && id != self.communication_node()
    }

    fn take_requests(&mut self, cx: &mut Context<'_, Self>, bundle: Arc<Bundle>) {
        if cx.id() != self.commander() {
            cx.send(self.commander(), Message::Requests(bundle));
        } else if self.known.insert(bundle.digest()) {
            self.waiting.push_back(bundle);
        }
    }

    /// REQUEST (CCRO paper §3.3): as commander, once the last round is over.
    fn begin(&mut self, cx: &mut Context<'_, Self>) {
        if cx.id() != self.commander() || self.waiting.is_empty() || self.last_begun != self.execution.last()
        {
            return;
        }
        let mut batch = Batch::default();
        while let Some(bundle) = self.waiting.front() {
            let fits = batch.requests() + bundle.requests().len() <= self.batch_max;
            if !fits && !batch.bundles.is_empty() {
                break;
            }
            batch.bundles.extend(self.waiting.pop_front());
        }
        let (seq, digest) = (self.last_begun.next(), batch.digest());
        self.last_begun = seq;
        let header = Statement::sign(cx.cluster, cx.signer, Step::Request, seq, digest);
        cx.mark(Mark::Proposed {
            view: View(0),
            seq,
            digest,
            requests: batch.requests(),
            communication_node: Some(self.communication_node()),
        });
        let batch = Arc::new(batch);
        self.rounds.entry(seq).or_default().block = Some((digest, Arc::clone(&batch)));
        cx.send_all(Message::Block { header, batch });
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, from: ReplicaId, message: Message) {
        let header = match &message {
            Message::Requests(bundle) => return self.take_requests(cx, Arc::clone(bundle)),
            Message::Block { header, .. } | Message::Reply { header, .. } | Message::Step(header) => header,
        };
        if let Err(reason) = self.check(header) {
            cx.reject(from, Some(header.seq), reason);
            return;
        }
        if header.seq.0 + KEPT_ROUNDS <= self.execution.last().0 {
            return; // An echo of a round that is long over.
        }
        match message {
            Message::Requests(_) => {}
            Message::Block { header, batch } if header.step == Step::Request => {
                self.take_block(cx, &header, batch);
            }
            Message::Block { header, batch } => self.take_store(cx, &header, batch),
            Message::Reply { header, bundles } => self.take_reply(cx, &header, bundles),
            Message::Step(statement) => self.take_step(cx, &statement),
        }
    }

    /// Whether the author holds the role that the step needs.
    fn check(&self, header: &Statement) -> Result<(), Reason> {
        let entitled = match header.step {
            Step::Request | Step::Store => header.author == self.commander(),
            Step::PrePrepare | Step::Commit => header.author == self.communication_node(),
            Step::Prepare | Step::Reply => self.is_consensus_node(header.author),
        };
        if !entitled {
            return Err(Reason::NotEntitled);
        }
        if header.seq.0 > self.execution.last().0 + ROUNDS_AHEAD {
            return Err(Reason::OutsideWindow);
        }
        Ok(())
    }

    fn take_block(&mut self, cx: &mut Context<'_, Self>, header: &Statement, batch: Arc<Batch>) {
        let seq = header.seq;
        let round = self.rounds.entry(seq).or_default();
        if let Some((digest, _)) = &round.block {
            if *digest != header.digest {
                cx.reject(header.author, Some(seq), Reason::ConflictingProposal);
            }
            return;
        }
        round.block = Some((header.digest, batch));
        received(cx, header, Phase::PrePrepare, false);
        cx.mark(Mark::Accepted { seq, digest: header.digest });
        if cx.id() == self.communication_node() {
            let ask = Statement::sign(cx.cluster, cx.signer, Step::PrePrepare, seq, header.digest);
            self.send_to_consensus_nodes(cx, &Message::Step(ask));
        }
        self.vote(cx, seq);
        self.execute(cx);
    }

    fn take_step(&mut self, cx: &mut Context<'_, Self>, statement: &Statement) {
        let (seq, digest) = (statement.seq, statement.digest);
        let communication_node = self.communication_node();
        let round = self.rounds.entry(seq).or_default();
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
            Step::Prepare if cx.id() == communication_node => self.take_vote(cx, statement),
            _ => {
                let contradicts = [round.asked, round.announced].iter().flatten().all(|d| *d != digest);
                if contradicts {
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
        let Some((digest, _)) = &round.block else {
            return;
        };
        if round.asked == Some(*digest) && self.is_consensus_node(cx.id()) {
            let vote = Statement::sign(cx.cluster, cx.signer, Step::Prepare, seq, *digest);
            cx.mark(Mark::Voted { phase: Phase::Prepare, view: View(0), seq, digest: *digest });
            cx.send(self.communication_node(), Message::Step(vote));
        }
    }

    /// COMMIT: the communication node announces what `2f+1` voted for.
    fn take_vote(&mut self, cx: &mut Context<'_, Self>, vote: &Statement) {
        let (seq, digest) = (vote.seq, vote.digest);
        let round = self.rounds.entry(seq).or_default();
        let tallied = round.votes.insert(vote.author, digest, vote.signature);
        if tallied == Tallied::Duplicate {
            return;
        }
        received(cx, vote, Phase::Prepare, tallied == Tallied::Contradiction);
        let asked_for = round.block.as_ref().is_some_and(|(block, _)| *block == digest);
        let needed = 2 * max_faulty(cx.cluster.n) + 1;
        if asked_for && round.announced.is_none() && round.votes.count(&digest) >= needed {
            round.announced = Some(digest);
            cx.mark(Mark::Certified { seq, kind: "announcement" });
            let announcement = Statement::sign(cx.cluster, cx.signer, Step::Commit, seq, digest);
            self.send_to_consensus_nodes(cx, &Message::Step(announcement));
            self.execute(cx);
        }
    }

    /// Executes announced blocks in order; a consensus node then sends REPLY.
    fn execute(&mut self, cx: &mut Context<'_, Self>) {
        loop {
            let seq = self.execution.last().next();
            let Some(round) = self.rounds.get_mut(&seq) else {
                break;
            };
            let Some((digest, batch)) = round.block.clone() else {
                break;
            };
            if round.announced != Some(digest) {
                break;
            }
            round.decided = true;
            cx.mark(Mark::Committed { view: View(0), seq, digest, path: Path::Direct });
            let bundles = self.execution.execute(cx, View(0), seq, digest, &batch);
            if self.is_consensus_node(cx.id()) {
                let header = Statement::sign(cx.cluster, cx.signer, Step::Reply, seq, digest);
                cx.send(self.commander(), Message::Reply { header, bundles });
            }
            for bundle in &batch.bundles {
                self.known.remove(&bundle.digest());
            }
            self.rounds = self.rounds.split_off(&Seq(seq.0.saturating_sub(KEPT_ROUNDS)));
        }
    }

    /// STORE: the commander, on `f+1` REPLYs that match in block and results.
    fn take_reply(&mut self, cx: &mut Context<'_, Self>, header: &Statement, bundles: Vec<ReplyBundle>) {
        let (seq, digest) = (header.seq, header.digest);
        let round = self.rounds.entry(seq).or_default();
        let tallied = round.replies.insert(header.author, digest, header.signature);
        if tallied != Tallied::Duplicate {
            received(cx, header, Phase::Commit, tallied == Tallied::Contradiction);
        }
        let own_block = round.block.as_ref().is_some_and(|(block, _)| *block == digest);
        if tallied != Tallied::New || round.announced.is_some() || !own_block {
            return;
        }
        let matching = round.bundles.entry(content(&bundles)).or_default();
        matching.push((header.author, bundles));
        if matching.len() <= max_faulty(cx.cluster.n) {
            return;
        }
        for bundle in matching.iter().flat_map(|(_, bundles)| bundles).cloned() {
            let to = bundle.gateway;
            cx.push(Effect::Reply { to, bundle });
        }
        round.announced = Some(digest);
        let batch = round.block.as_ref().map(|(_, batch)| Arc::clone(batch)).unwrap_or_default();
        let header = Statement::sign(cx.cluster, cx.signer, Step::Store, seq, digest);
        cx.send_all(Message::Block { header, batch });
        self.execute(cx);
    }

    /// A node that missed the round learns of it here.
    fn take_store(&mut self, cx: &mut Context<'_, Self>, header: &Statement, batch: Arc<Batch>) {
        let round = self.rounds.entry(header.seq).or_default();
        if round.announced.is_some_and(|announced| announced != header.digest) {
            cx.reject(header.author, Some(header.seq), Reason::ConflictingProposal);
            return;
        }
        if !round.decided && header.seq > self.execution.last() {
            round.announced = Some(header.digest);
            round.block = Some((header.digest, batch));
            self.execute(cx);
        }
    }

    fn send_to_consensus_nodes(&self, cx: &mut Context<'_, Self>, message: &Message) {
        for id in cx.cluster.replicas().filter(|id| self.is_consensus_node(*id)) {
            cx.send(id, message.clone());
        }
    }
}

/// What replies say, whoever says it.
fn content(bundles: &[ReplyBundle]) -> Digest {
    let said: Vec<_> = bundles.iter().map(|bundle| (bundle.gateway, &bundle.replies)).collect();
    Digest::of(&postcard::to_stdvec(&said).expect("replies are plain data"))
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
        match input {
            Input::Start => {}
            Input::Submit(bundle) => self.take_requests(cx, bundle),
            Input::Deliver { from, message } => self.deliver(cx, from, message.into_inner()),
            Input::Expire(timer) => match timer {},
        }
        self.begin(cx);
    }

    fn status(&self, _cluster: &Cluster) -> Status {
        Status {
            view: View(0),
            changing_view: false,
            recovering: false,
            commander: self.commander(),
            communication_node: Some(self.communication_node()),
            last_executed: self.execution.last(),
            stable_checkpoint: Seq(0),
            slots_in_flight: self.rounds.range(self.execution.last().next()..).count(),
            requests_waiting: self.waiting.iter().map(|bundle| bundle.requests().len()).sum(),
        }
    }
}
