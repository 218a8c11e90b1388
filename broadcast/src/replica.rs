//! A member: validates, proves, applies.

use crate::data::DataType;
use crate::message::{Applied, Batch, Message, Proof, Remark, Validation};
use kernel::{
    Bundle, Cluster, Context, Digest, Effect, Input, Mark, Micros, Operation, Output, Path, Phase, Protocol,
    Reading, Reason, ReplicaId, Reply, ReplyBundle, Request, SESSIONS_KEPT, Seq, Status, View, VoteSet,
    Weakening, weakened,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What members are configured with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Requests of one batch, at most; a bundle is never divided.
    pub batch_max: usize,
    /// After how long what may have been lost is sent again.
    pub resend_after: Micros,
}

impl Default for Config {
    fn default() -> Config {
        Config { batch_max: 256, resend_after: Micros::from_millis(20) }
    }
}

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Validations of its own batch.
    Validations,
    /// Others may lack what it has applied.
    Announce,
    /// What it asked for has not come.
    Fetch,
    /// Members that were given batches may be given more.
    Serve,
}

/// Batches of an actor that are kept before they can be applied: the next one, and the one after, which may
/// overtake the proof of the one before.
const AHEAD: u64 = 2;
/// Bytes of the operations of one batch; a bundle may be larger alone.
const BATCH_BYTES: usize = 8 << 20;
/// Requests that wait to be proposed, at most: what comes beyond is lost, as it is on a link. Their clients ask again.
const MOST_WAITING: usize = 65_536;
/// Bytes of them.
const MOST_WAITING_BYTES: usize = 256 << 20;
/// Waits double up to so many times the first.
pub(crate) const MOST_DOUBLED: u64 = 32;

/// A batch and its digest, which takes long to compute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Known {
    batch: Arc<Batch>,
    digest: Digest,
}

/// The slot under which a batch is observed: the batches of all actors side by side, so that slots of different
/// actors have no order, and what is decided in one slot can be compared.
pub fn slot(n: u16, actor: ReplicaId, number: u64) -> Seq {
    Seq(number.saturating_sub(1).saturating_mul(n.into()).saturating_add(u64::from(actor.0) + 1))
}

impl Known {
    fn slot(&self, cluster: &Cluster) -> Seq {
        slot(cluster.n, self.batch.actor, self.batch.number)
    }

    fn new(batch: Arc<Batch>) -> Known {
        Known { digest: batch.digest(), batch }
    }
}

/// A batch that was applied here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct AppliedBatch {
    /// How many batches of whatever actors were applied before it: in this order others can apply them as well.
    pub(crate) place: u64,
    pub(crate) batch: Arc<Batch>,
    pub(crate) proof: Arc<Proof>,
}

/// What a member knows of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Actor {
    /// The number of its last batch that was applied.
    pub(crate) applied: u64,
    /// Over the digests of all of them.
    chain: Digest,
    /// The last batch that this member vouched for.
    vouched: Option<(u64, Digest)>,
    /// By number: the first that came of each, or the proven one.
    proposals: BTreeMap<u64, Known>,
    proofs: BTreeMap<u64, Arc<Proof>>,
    /// The last request of each of its sessions, by number: a request is applied once.
    sessions: BTreeMap<u64, Answered>,
    /// Applied here, and maybe not everywhere.
    pub(crate) history: BTreeMap<u64, AppliedBatch>,
}

impl Actor {
    fn new() -> Actor {
        Actor {
            applied: 0,
            chain: Digest::ZERO,
            vouched: None,
            proposals: BTreeMap::new(),
            proofs: BTreeMap::new(),
            sessions: BTreeMap::new(),
            history: BTreeMap::new(),
        }
    }

    fn is_near(&self, number: u64) -> bool {
        number > self.applied && number <= self.applied + AHEAD
    }

    /// The next batch, if it is there and proven.
    fn proven(&self) -> Option<(Known, Arc<Proof>)> {
        let next = self.applied + 1;
        let (known, proof) = (self.proposals.get(&next)?, self.proofs.get(&next)?);
        (known.digest == proof.digest).then(|| (known.clone(), Arc::clone(proof)))
    }

    /// The next batch, if this member has yet to say whether it is valid.
    fn to_validate(&self) -> Option<Known> {
        let next = self.applied + 1;
        let known = self.proposals.get(&next)?;
        let is_new = self.vouched.is_none_or(|(number, _)| number < next);
        // A proven one needs no more votes, and may only seem invalid here for the time being.
        (is_new && self.proven().is_none()).then(|| known.clone())
    }
}

/// A batch of this member's own that waits for validations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct InFlight {
    known: Known,
    votes: VoteSet,
    /// It was sent so many times of the first wait ago.
    waited: u64,
}

/// What a member does as an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Own {
    /// Not proposed yet.
    waiting: VecDeque<Arc<Bundle>>,
    in_flight: Option<InFlight>,
    /// The last request of each session that was taken in.
    taken: BTreeMap<u64, u64>,
    /// What its batches depend on, as far as they have said.
    named: Applied,
}

impl Own {
    fn has_room(&self, bundle: &Bundle) -> bool {
        let requests: usize = self.waiting.iter().map(|bundle| bundle.requests().len()).sum();
        let bytes: usize = self.waiting.iter().map(|bundle| bundle.payload_bytes()).sum();
        requests + bundle.requests().len() <= MOST_WAITING
            && bytes + bundle.payload_bytes() <= MOST_WAITING_BYTES
    }
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Answered {
    counter: u64,
    result: Output,
    /// The batch that it was in.
    number: u64,
}

/// A member of a secure broadcast, with the data that is replicated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Replica<D> {
    config: Config,
    /// It lost its memory: it proposes nothing and vouches for nothing, as it may have said something else before.
    is_mute: bool,
    data: D,
    /// Requests applied.
    executed: u64,
    pub(crate) actors: Vec<Actor>,
    own: Own,
    /// What each member said last that it had applied.
    pub(crate) peers: Vec<Applied>,
    /// So many times the first wait until the next announcement; 0 if none is due.
    pub(crate) announces_after: u64,
    /// The member that was asked last, while its answer is waited for.
    pub(crate) fetching: Option<ReplicaId>,
    /// Members that were given batches a short time ago: who asks all the time gets no more than who waits.
    pub(crate) served: BTreeSet<ReplicaId>,
}

pub(crate) type Cx<'a, D> = Context<'a, Replica<D>>;

impl<D: DataType> Replica<D> {
    /// A member of a cluster of `n` that has seen nothing yet; `data` is where all of them begin.
    pub fn new(config: Config, n: u16, data: D) -> Replica<D> {
        let nothing: Applied = vec![0; n.into()];
        Replica {
            config,
            is_mute: false,
            data,
            executed: 0,
            actors: vec![Actor::new(); n.into()],
            own: Own {
                waiting: VecDeque::new(),
                in_flight: None,
                taken: BTreeMap::new(),
                named: nothing.clone(),
            },
            peers: vec![nothing; n.into()],
            announces_after: 0,
            fetching: None,
            served: BTreeSet::new(),
        }
    }

    /// The same, of a member that was there before and has lost its memory. It applies what it can get, and no more.
    pub fn recovering(config: Config, n: u16, data: D) -> Replica<D> {
        Replica { is_mute: true, ..Replica::new(config, n, data) }
    }

    /// The data as this member has it.
    pub fn data(&self) -> &D {
        &self.data
    }

    /// How many batches of an actor were applied, and a digest over all of them.
    pub fn applied(&self, actor: ReplicaId) -> (u64, Digest) {
        let Actor { applied, chain, .. } = self.actor(actor);
        (*applied, *chain)
    }

    /// Batches that are kept for members that may lack them.
    pub fn batches_kept(&self) -> usize {
        self.actors.iter().map(|actor| actor.history.len()).sum()
    }

    pub(crate) fn resend_after(&self, times: u64) -> Micros {
        Micros(self.config.resend_after.0 * times)
    }

    fn actor(&self, actor: ReplicaId) -> &Actor {
        &self.actors[usize::from(actor.0)]
    }

    fn actor_mut(&mut self, actor: ReplicaId) -> &mut Actor {
        &mut self.actors[usize::from(actor.0)]
    }

    /// Takes requests of this member's own clients.
    fn submit(&mut self, cx: &mut Cx<'_, D>, bundle: Arc<Bundle>) {
        if bundle.gateway() != cx.id() {
            return cx.reject(bundle.gateway(), None, Reason::NotEntitled);
        }
        // They could never be proposed, and are not kept.
        if self.is_mute {
            return;
        }
        let taken = &mut self.own.taken;
        let is_new = |request: &&Request| {
            taken.get(&request.session.number).is_none_or(|counter| *counter < request.counter)
        };
        if bundle.requests().iter().any(|request| is_new(&request)) {
            if !self.own.has_room(&bundle) {
                return;
            }
            let taken = &mut self.own.taken;
            for request in bundle.requests() {
                let last = taken.entry(request.session.number).or_default();
                *last = request.counter.max(*last);
            }
            forget_oldest(taken);
            self.own.waiting.push_back(bundle);
            return self.propose(cx);
        }
        // Its answers were lost, here or on their way.
        if self.answer_again(cx, &bundle) {
            cx.send_all(Message::Remind(bundle));
        }
    }

    /// Gives answers again that are still known; whether there are any.
    fn answer_again(&mut self, cx: &mut Cx<'_, D>, bundle: &Bundle) -> bool {
        let mut number = 0;
        let mut replies = Vec::new();
        let mut asked = BTreeSet::new();
        for request in bundle.requests().iter().filter(|request| asked.insert(request.session.number)) {
            let answered = self.actor(bundle.gateway()).sessions.get(&request.session.number);
            if let Some(answered) = answered.filter(|answered| answered.counter == request.counter) {
                number = answered.number;
                let (session, counter, result) = (request.session, request.counter, answered.result.clone());
                replies.push(Reply { session, counter, result });
            }
        }
        let are_any = !replies.is_empty();
        if are_any {
            let seq = slot(cx.cluster.n, bundle.gateway(), number);
            reply(cx, bundle.gateway(), seq, vec![], replies);
        }
        are_any
    }

    /// Asks all members to validate the next batch, if none is on its way.
    fn propose(&mut self, cx: &mut Cx<'_, D>) {
        if self.own.in_flight.is_some() || self.own.waiting.is_empty() {
            return;
        }
        let bundles = self.take_waiting();
        let remarks = self.remarks(cx.id(), &bundles);
        let after = self.new_dependencies(cx.id());
        let number = self.actor(cx.id()).applied + 1;
        let batch = Batch::sign(cx.cluster, cx.signer, number, after, bundles, remarks);
        let known = Known::new(Arc::new(batch));
        cx.send_all(Message::Propose(Arc::clone(&known.batch)));
        let (seq, digest) = (known.slot(cx.cluster), known.digest);
        let requests = known.batch.bundles.iter().map(|bundle| bundle.requests().len()).sum();
        cx.mark(Mark::Proposed { view: None, seq, digest, requests, communication_node: None });
        cx.mark(Mark::Voted { phase: Phase::Prepare, view: None, seq, digest });
        cx.set_timer(Timer::Validations, self.resend_after(1));
        let votes = VoteSet::for_votes_of(cx.cluster.n);
        self.own.in_flight = Some(InFlight { known: known.clone(), votes, waited: 1 });
        let myself = self.actor_mut(cx.id());
        myself.vouched = Some((number, digest));
        myself.proposals.insert(number, known);
        let validation = Validation::sign(cx.cluster, cx.signer, cx.id(), number, digest);
        self.count(cx, cx.id(), validation);
    }

    /// The next bundles, one at least, within the bounds of a batch.
    fn take_waiting(&mut self) -> Vec<Arc<Bundle>> {
        let (mut bundles, mut requests, mut bytes) = (Vec::new(), 0, 0);
        while let Some(bundle) = self.own.waiting.front() {
            requests += bundle.requests().len();
            bytes += bundle.payload_bytes();
            if !bundles.is_empty() && (requests > self.config.batch_max || bytes > BATCH_BYTES) {
                break;
            }
            bundles.extend(self.own.waiting.pop_front());
        }
        bundles
    }

    /// What there is to say of the requests in these bundles of `actor`, each made after those before it.
    fn remarks(&self, actor: ReplicaId, bundles: &[Arc<Bundle>]) -> Vec<(u32, Remark)> {
        let mut data = self.data.clone();
        let remark = |(place, request): (u32, &Request)| {
            let prepared = data.prepare(actor, &request.operation).and_then(|meant| {
                let operation = meant.as_ref().unwrap_or(&request.operation);
                data.validate(actor, operation)?;
                data.try_out(actor, operation);
                Ok(meant.map(Remark::Meant))
            });
            prepared.unwrap_or_else(|output| Some(Remark::Refused(output))).map(|remark| (place, remark))
        };
        self.new_requests(actor, bundles).into_iter().filter_map(remark).collect()
    }

    /// The requests in these bundles that were not applied before, each with its place: what an actor asks for twice is
    /// done once.
    fn new_requests<'a>(&self, actor: ReplicaId, bundles: &'a [Arc<Bundle>]) -> Vec<(u32, &'a Request)> {
        let sessions = &self.actor(actor).sessions;
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let is_new = |(_, request): &(u32, &Request)| {
            let session = request.session.number;
            let before = || sessions.get(&session).map_or(0, |answered| answered.counter);
            let last = last.entry(session).or_insert_with(before);
            let is_new = request.counter > *last;
            *last = request.counter.max(*last);
            is_new
        };
        (0..).zip(bundles.iter().flat_map(|bundle| bundle.requests())).filter(is_new).collect()
    }

    /// What this member has applied of others since its last batch: that may be what its
    /// operations build on.
    fn new_dependencies(&mut self, own: ReplicaId) -> Vec<(ReplicaId, u64)> {
        let applied = self.applied_numbers();
        let actors = (0..).map(ReplicaId).zip(applied.iter().zip(&self.own.named));
        let new = actors.filter(|(actor, (applied, named))| *actor != own && applied > named);
        let new = new.map(|(actor, (applied, _))| (actor, *applied)).collect();
        self.own.named = applied;
        new
    }

    pub(crate) fn applied_numbers(&self) -> Applied {
        self.actors.iter().map(|actor| actor.applied).collect()
    }

    fn receive_proposal(&mut self, cx: &mut Cx<'_, D>, batch: Arc<Batch>) {
        let (actor, number) = (batch.actor, batch.number);
        let known = self.actor(actor);
        if number <= known.applied {
            // It was applied here, which its actor does not know.
            return cx.send(actor, Message::Applied(self.applied_numbers()));
        }
        if !known.is_near(number) {
            return self.fetch(cx, actor);
        }
        let new = Known::new(batch);
        match known.proposals.get(&number) {
            Some(first) if first.digest == new.digest => {
                if known.vouched == Some((number, new.digest)) {
                    self.vouch(cx, &new);
                }
            }
            Some(_) if weakened(Weakening::NumberNotChecked) => {
                let actor = self.actor_mut(actor);
                actor.vouched = None;
                actor.proposals.insert(number, new);
                self.advance(cx);
            }
            Some(_) => cx.reject(actor, None, Reason::ConflictingProposal),
            None => {
                self.actor_mut(actor).proposals.insert(number, new);
                self.advance(cx);
            }
        }
    }

    /// Tells the actor that its batch is valid.
    fn vouch(&mut self, cx: &mut Cx<'_, D>, known: &Known) {
        let Batch { actor, number, .. } = *known.batch;
        self.actor_mut(actor).vouched = Some((number, known.digest));
        let validation = Validation::sign(cx.cluster, cx.signer, actor, number, known.digest);
        cx.send(actor, Message::Validated(validation));
    }

    /// Counts a validation of the batch that is on its way.
    fn count(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, validation: Validation) {
        let Validation { actor, number, digest, signature } = validation;
        if actor != cx.id() {
            return cx.reject(from, None, Reason::NotEntitled);
        }
        // Those that come after the proof are not needed.
        let Some(in_flight) = &mut self.own.in_flight else { return };
        if in_flight.known.batch.number != number {
            return;
        }
        let seq = in_flight.known.slot(cx.cluster);
        if in_flight.known.digest != digest {
            return cx.reject(from, Some(seq), Reason::ConflictingVote);
        }
        if from != cx.id() && in_flight.votes.get(from).is_none() {
            let (author, phase) = (from, Phase::Prepare);
            cx.mark(Mark::VoteReceived { seq, digest, author, phase, contradicts: false });
        }
        in_flight.votes.insert(from, digest, signature);
        if in_flight.votes.count(&digest) >= cx.cluster.quorum() {
            let validations = in_flight.votes.of(&digest);
            let proof = Arc::new(Proof { actor, number, digest, validations });
            cx.send_all(Message::Proof(Arc::clone(&proof)));
            self.actor_mut(actor).proofs.insert(number, proof);
            self.advance(cx);
        }
    }

    fn receive_proof(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, proof: Arc<Proof>) {
        let (actor, number, digest) = (proof.actor, proof.number, proof.digest);
        if number <= self.actor(actor).applied {
            return;
        }
        if self.actor(actor).is_near(number) {
            self.actor_mut(actor).proofs.insert(number, proof);
            self.advance(cx);
        }
        let actor = self.actor(actor);
        let is_there = actor.proposals.get(&number).is_some_and(|known| known.digest == digest);
        if number > actor.applied && !is_there {
            self.fetch(cx, from);
        }
    }

    pub(crate) fn receive_proven(&mut self, cx: &mut Cx<'_, D>, batch: Arc<Batch>, proof: Arc<Proof>) {
        let number = batch.number;
        let actor = self.actor_mut(batch.actor);
        if actor.is_near(number) {
            // Whatever its actor proposed here, this is what a quorum saw.
            actor.proposals.insert(number, Known::new(batch));
            actor.proofs.insert(number, proof);
            self.advance(cx);
        }
    }

    /// Applies and validates what can be, until nothing more can.
    fn advance(&mut self, cx: &mut Cx<'_, D>) {
        while cx.cluster.replicas().any(|actor| self.advance_actor(cx, actor)) {}
        self.propose(cx);
    }

    fn advance_actor(&mut self, cx: &mut Cx<'_, D>, actor: ReplicaId) -> bool {
        if let Some((known, proof)) = self.actor(actor).proven().filter(|(known, _)| self.may_apply(known)) {
            self.apply(cx, known, proof);
            return true;
        }
        let to_validate = self.actor(actor).to_validate().filter(|known| self.is_ready(&known.batch));
        let Some(known) = to_validate.filter(|_| !self.is_mute) else { return false };
        if self.is_valid(&known.batch) {
            let (seq, digest) = (known.slot(cx.cluster), known.digest);
            cx.mark(Mark::Accepted { seq, digest });
            cx.mark(Mark::Voted { phase: Phase::Prepare, view: None, seq, digest });
            self.vouch(cx, &known);
        } else {
            // Nothing was said of it, so the actor may propose another one.
            self.actor_mut(actor).proposals.remove(&known.batch.number);
            cx.reject(actor, None, Reason::InvalidOperation);
        }
        true
    }

    /// Whether what is proven may be applied yet. It is valid: a quorum says so. But a faulty actor may not have said
    /// all that it builds on. Members that validated it had applied that, so it will come here, too.
    fn may_apply(&self, known: &Known) -> bool {
        let Known { batch, digest } = known;
        let has_validated = || self.actor(batch.actor).vouched == Some((batch.number, *digest));
        weakened(Weakening::DependencyNotChecked)
            || (self.is_ready(batch) && (has_validated() || self.is_valid(batch)))
    }

    /// Whether all that it depends on was applied.
    fn is_ready(&self, batch: &Batch) -> bool {
        batch.after.iter().all(|(actor, number)| self.actor(*actor).applied >= *number)
    }

    /// Whether everything in it is valid but what it says itself is not.
    fn is_valid(&self, batch: &Batch) -> bool {
        let mut data = self.data.clone();
        let is_valid = |operation: &Operation| {
            let is_valid = data.validate(batch.actor, operation).is_ok();
            if is_valid {
                data.try_out(batch.actor, operation);
            }
            is_valid
        };
        let operations = self.operations(batch).into_iter();
        operations.filter_map(|(_, operation)| operation.ok()).all(is_valid)
    }

    /// What is to be done for each new request of a batch, or what it is answered instead.
    fn operations<'a>(&self, batch: &'a Batch) -> Vec<(&'a Request, Result<&'a Operation, &'a Output>)> {
        let remarks: BTreeMap<u32, &Remark> =
            batch.remarks.iter().map(|(place, remark)| (*place, remark)).collect();
        let operation = |(place, request): (u32, &'a Request)| match remarks.get(&place) {
            None => (request, Ok(&request.operation)),
            Some(Remark::Meant(operation)) => (request, Ok(operation)),
            Some(Remark::Refused(output)) => (request, Err(output)),
        };
        self.new_requests(batch.actor, &batch.bundles).into_iter().map(operation).collect()
    }

    fn apply(&mut self, cx: &mut Cx<'_, D>, known: Known, proof: Arc<Proof>) {
        let seq = known.slot(cx.cluster);
        let Known { batch, digest } = known;
        let (id, number) = (batch.actor, batch.number);
        cx.mark(Mark::Committed { view: None, seq, digest, path: Path::Direct });
        let (whole, replies) = self.execute(cx, &batch);
        reply(cx, id, seq, whole, replies);
        let place = self.applied_numbers().iter().sum();
        let actor = self.actor_mut(id);
        actor.applied = number;
        actor.chain = actor.chain.chain(&digest);
        actor.proposals.remove(&number);
        actor.proofs.remove(&number);
        actor.history.insert(number, AppliedBatch { place, batch, proof });
        if id == cx.id() && self.own.in_flight.take_if(|own| own.known.batch.number == number).is_some() {
            cx.cancel_timer(Timer::Validations);
        }
        self.announce_soon(cx);
    }

    /// Executes what is new in a batch. Returns the bundles that were executed whole, and the replies.
    fn execute(&mut self, cx: &mut Cx<'_, D>, batch: &Batch) -> (Vec<Digest>, Vec<Reply>) {
        let mut replies = Vec::new();
        for (request, operation) in self.operations(batch) {
            let (session, counter) = (request.session, request.counter);
            let result = match operation {
                Ok(operation) => self.data.apply(batch.actor, operation),
                Err(output) => output.clone(),
            };
            self.executed += 1;
            cx.mark(Mark::Applied { seq: None, session, counter });
            let answered = Answered { counter, result: result.clone(), number: batch.number };
            self.actor_mut(batch.actor).sessions.insert(session.number, answered);
            replies.push(Reply { session, counter, result });
        }
        forget_oldest(&mut self.actor_mut(batch.actor).sessions);
        let requests: usize = batch.bundles.iter().map(|bundle| bundle.requests().len()).sum();
        let all_new = replies.len() == requests;
        let whole =
            if all_new { batch.bundles.iter().map(|bundle| bundle.digest()).collect() } else { vec![] };
        (whole, replies)
    }

    /// Sends the batch that is on its way again to those that have not answered.
    fn propose_again(&mut self, cx: &mut Cx<'_, D>) {
        let Some(in_flight) = &mut self.own.in_flight else { return };
        in_flight.waited = (2 * in_flight.waited).min(MOST_DOUBLED);
        for peer in cx.cluster.replicas().filter(|peer| in_flight.votes.get(*peer).is_none()) {
            cx.send(peer, Message::Propose(Arc::clone(&in_flight.known.batch)));
        }
        let times = in_flight.waited;
        cx.set_timer(Timer::Validations, self.resend_after(times));
    }
}

fn reply<D: DataType>(cx: &mut Cx<'_, D>, to: ReplicaId, seq: Seq, whole: Vec<Digest>, replies: Vec<Reply>) {
    if !replies.is_empty() {
        let bundle = ReplyBundle::sign(cx.cluster, cx.signer, View(0), seq, to, whole, replies);
        cx.push(Effect::Reply { to, bundle });
    }
}

/// Sessions with low numbers are over.
fn forget_oldest<V>(sessions: &mut BTreeMap<u64, V>) {
    while sessions.len() > SESSIONS_KEPT {
        sessions.pop_first();
    }
}

impl<D: DataType> Protocol for Replica<D> {
    type Message = Message;
    type Timer = Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start => {}
            Input::Submit(bundle) => self.submit(cx, bundle),
            Input::Expire(Timer::Validations) => self.propose_again(cx),
            Input::Expire(Timer::Announce) => self.announce(cx),
            Input::Expire(Timer::Fetch) => self.fetch_again(cx),
            Input::Expire(Timer::Serve) => self.served.clear(),
            Input::Deliver { from, message } => match message.into_inner() {
                Message::Propose(batch) => self.receive_proposal(cx, batch),
                Message::Validated(validation) => self.count(cx, from, validation),
                Message::Proof(proof) => self.receive_proof(cx, from, proof),
                Message::Proven(batch, proof) => self.receive_proven(cx, batch, proof),
                Message::Applied(applied) => self.receive_applied(cx, from, applied),
                Message::Fetch(applied) => self.serve(cx, from, applied),
                Message::Remind(bundle) => drop(self.answer_again(cx, &bundle)),
            },
        }
    }

    fn status(&self, _: &Cluster) -> Status {
        Status {
            recovering: self.is_mute,
            last_executed: Seq(self.executed),
            slots_in_flight: self.actors.iter().map(|actor| actor.proposals.len()).sum(),
            requests_waiting: self.own.waiting.iter().map(|bundle| bundle.requests().len()).sum(),
            ..Status::default()
        }
    }

    /// Over what was applied of each actor, in the order of its numbers.
    fn state_digest(&self) -> Option<Digest> {
        Some(self.actors.iter().fold(Digest::ZERO, |digest, actor| digest.chain(&actor.chain)))
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        let output = self.data.query(operation)?;
        Some(Reading { as_of: Seq(self.executed), output })
    }
}
