//! A member: validates, proves, applies.

use crate::data::DataType;
use crate::generation::{Decision, Obligation};
use crate::membership::{Members, Membership};
use crate::message::{Batch, MAX_REMARKS_BYTES, Message, Progress, Proof, Remark, Validation};
use crate::snapshots::Base;
use crate::state::{State, forget_oldest};
use crate::statement::Applied;
use crate::succession::Succession;
use apps::{Change, MembershipOperation, MembershipOutput, MembershipRefusal};
use kernel::{
    Bundle, ChangeStatus, Chunk, Cluster, Context, Digest, Effect, Input, Mark, MembershipStatus, Micros,
    Operation, Output, Path, Phase, Protocol, Reading, Reason, ReplicaId, Reply, ReplyBundle, Request, Seq,
    Signature, Status, View, VoteSet, Weakening, weakened,
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
    /// A new generation, which is a checkpoint as well, begins after so many batches of all actors together.
    pub checkpoint_interval: u64,
    /// So many nodes are members at first, those with the lowest ids; all of them if there are not more.
    pub members: u16,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch_max: 256,
            resend_after: Micros::from_millis(20),
            checkpoint_interval: 1024,
            members: u16::MAX,
        }
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
    /// The next generation has not begun.
    Generation,
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
/// Checkpoint intervals that are filled while a checkpoint is due, at most.
const MOST_INTERVALS: u64 = 4;
/// Waits double up to so many times the first.
pub(crate) const MOST_DOUBLED: u64 = 32;
/// So many times the first wait, a node that is no member any more waits until it sends its last batch again.
const OUTSIDE_WAITS: u64 = 256;

/// Requests of one batch whose remarks fit into it, whatever they are: one of a set says what was seen of each of `n`
/// actors.
fn most_requests(n: u16) -> usize {
    MAX_REMARKS_BYTES / (512 + 16 * usize::from(n))
}

/// A batch and its digest, which takes long to compute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) batch: Arc<Batch>,
    pub(crate) digest: Digest,
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
    pub(crate) digest: Digest,
    pub(crate) proof: Arc<Proof>,
}

/// What a member keeps of an actor's batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Actor {
    /// The last batch that this member vouched for.
    pub(crate) vouched: Option<Vouched>,
    /// By number: the first that came of each, or the proven one.
    pub(crate) proposals: BTreeMap<u64, Known>,
    pub(crate) proofs: BTreeMap<u64, Arc<Proof>>,
    /// Those that were applied here since the last checkpoint but one.
    pub(crate) history: BTreeMap<u64, AppliedBatch>,
}

/// A batch that a member vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Vouched {
    pub(crate) number: u64,
    pub(crate) digest: Digest,
    /// The actor's.
    pub(crate) signature: Signature,
}

impl Actor {
    /// The batch of this number, if it is there and proven.
    fn proven(&self, number: u64) -> Option<(Known, Arc<Proof>)> {
        let (known, proof) = (self.proposals.get(&number)?, self.proofs.get(&number)?);
        (known.digest == proof.digest).then(|| (known.clone(), Arc::clone(proof)))
    }

    /// The batch of this number, if this member has yet to say whether it is valid.
    fn to_validate(&self, number: u64) -> Option<Known> {
        let known = self.proposals.get(&number)?;
        let is_new = self.vouched.as_ref().is_none_or(|vouched| vouched.number < number);
        // A proven one needs no more votes, and may only seem invalid here for the time being.
        (is_new && self.proven(number).is_none()).then(|| known.clone())
    }

    fn has_vouched(&self, number: u64, digest: &Digest) -> bool {
        self.vouched.as_ref().is_some_and(|vouched| vouched.number == number && vouched.digest == *digest)
    }
}

/// A batch of this member's own that waits for validations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct InFlight {
    known: Known,
    /// Of the generation in which it was sent last.
    votes: VoteSet,
    /// It was sent so many times of the first wait ago.
    waited: u64,
}

/// What a member does as an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Own {
    waiting: Waiting,
    in_flight: Option<InFlight>,
    /// The last request of each session that was taken in.
    taken: BTreeMap<u64, u64>,
    /// What its batches depend on, as far as they have said.
    named: Applied,
}

/// Requests that are not proposed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Waiting {
    bundles: VecDeque<Arc<Bundle>>,
    requests: usize,
    bytes: usize,
}

impl Waiting {
    fn has_room(&self, bundle: &Bundle) -> bool {
        self.requests + bundle.requests().len() <= MOST_WAITING
            && self.bytes + bundle.payload_bytes() <= MOST_WAITING_BYTES
    }

    fn push(&mut self, bundle: Arc<Bundle>) {
        self.requests += bundle.requests().len();
        self.bytes += bundle.payload_bytes();
        self.bundles.push_back(bundle);
    }

    fn pop(&mut self) -> Option<Arc<Bundle>> {
        let bundle = self.bundles.pop_front()?;
        self.requests -= bundle.requests().len();
        self.bytes -= bundle.payload_bytes();
        Some(bundle)
    }

    /// The next bundles, one at least, within the bounds of a batch.
    fn take(&mut self, batch_max: usize) -> Vec<Arc<Bundle>> {
        let (mut bundles, mut requests, mut bytes) = (Vec::new(), 0, 0);
        while let Some(bundle) = self.bundles.front() {
            requests += bundle.requests().len();
            bytes += bundle.payload_bytes();
            if !bundles.is_empty() && (requests > batch_max || bytes > BATCH_BYTES) {
                break;
            }
            bundles.extend(self.pop());
        }
        bundles
    }
}

/// A member of a secure broadcast, with the data that is replicated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Replica<D> {
    pub(crate) config: Config,
    /// It lost its memory: it proposes nothing and vouches for nothing, as it may have said something else before.
    pub(crate) is_mute: bool,
    pub(crate) state: State<D>,
    pub(crate) actors: Vec<Actor>,
    own: Own,
    pub(crate) membership: Membership,
    /// The generations that began: those in which members changed, and the last one.
    pub(crate) decisions: Vec<Decision>,
    /// What was signed in earlier generations and may be unproven.
    pub(crate) obligations: BTreeMap<ReplicaId, Obligation>,
    /// Which of that is finished if its actor is no member any more: it was one when it began that.
    pub(crate) finishing: BTreeSet<(ReplicaId, u64)>,
    pub(crate) succession: Succession,
    pub(crate) base: Base,
    /// The chunks of a state that is taken over, as far as they are here.
    pub(crate) transferred: Vec<Chunk>,
    /// What each node said last that it had.
    pub(crate) peers: Vec<Progress>,
    /// So many times the first wait until the next announcement; 0 if none is due.
    pub(crate) announces_after: u64,
    /// The node that was asked last, while its answer is waited for.
    pub(crate) fetching: Option<ReplicaId>,
    /// Nodes that were given batches a short time ago: who asks all the time gets no more than who waits.
    pub(crate) served: BTreeSet<ReplicaId>,
}

pub(crate) type Cx<'a, D> = Context<'a, Replica<D>>;

impl<D: DataType> Replica<D> {
    /// A node of a cluster of `n` that has seen nothing yet; `data` is where all of them begin.
    pub fn new(config: Config, n: u16, data: D) -> Replica<D> {
        let nothing: Applied = vec![0; n.into()];
        let state = State::new(n, data);
        let members = Members::new((0..config.members.clamp(1, n)).map(ReplicaId));
        let nowhere = Progress { generation: 0, applied: nothing.clone(), chunks: 0 };
        Replica {
            config,
            is_mute: false,
            base: Base::new(nothing.clone(), state.snapshot()),
            state,
            actors: vec![Actor::default(); n.into()],
            own: Own { waiting: Waiting::default(), in_flight: None, taken: BTreeMap::new(), named: nothing },
            membership: Membership::new(members),
            decisions: vec![],
            obligations: BTreeMap::new(),
            finishing: BTreeSet::new(),
            succession: Succession::default(),
            transferred: vec![],
            peers: vec![nowhere; n.into()],
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
        &self.state.data
    }

    /// How many batches of an actor were applied, and a digest over all of them.
    pub fn applied(&self, actor: ReplicaId) -> (u64, Digest) {
        let of = self.state.of(actor);
        (of.applied, of.chain)
    }

    /// A digest of the whole state: equal where members have applied the same.
    pub fn snapshot_digest(&self) -> Digest {
        self.state.snapshot().digest()
    }

    /// Batches that are kept for members that may lack them.
    pub fn batches_kept(&self) -> usize {
        self.actors.iter().map(|actor| actor.history.len()).sum()
    }

    /// The current generation's number, and who its members are.
    pub fn generation(&self) -> (u64, &Members) {
        (self.membership.generation, self.membership.members())
    }

    fn membership_status(&self) -> MembershipStatus {
        let members = self.membership.members();
        let open = self.membership.open(&self.state.asked, self.nodes());
        let changes =
            open.into_iter().map(|(change, asked_by)| ChangeStatus { change: change.to_string(), asked_by });
        MembershipStatus {
            generation: self.membership.generation,
            members: members.iter().collect(),
            members_quorum: members.quorum(),
            changes_asked: changes.collect(),
        }
    }

    pub(crate) fn nodes(&self) -> u16 {
        self.actors.len() as u16
    }

    pub(crate) fn resend_after(&self, times: u64) -> Micros {
        Micros(self.config.resend_after.0 * times)
    }

    pub(crate) fn actor(&self, actor: ReplicaId) -> &Actor {
        &self.actors[usize::from(actor.0)]
    }

    pub(crate) fn actor_mut(&mut self, actor: ReplicaId) -> &mut Actor {
        &mut self.actors[usize::from(actor.0)]
    }

    fn next_of(&self, actor: ReplicaId) -> u64 {
        self.state.of(actor).applied + 1
    }

    fn is_near(&self, actor: ReplicaId, number: u64) -> bool {
        let next = self.next_of(actor);
        number >= next && number < next + AHEAD
    }

    /// Whether this node is a member, and remembers what it has said.
    pub(crate) fn takes_part(&self, id: ReplicaId) -> bool {
        !self.is_mute && self.membership.members().contains(id)
    }

    /// Whether this member has asked to leave. It begins nothing more.
    fn is_leaving(&self, id: ReplicaId) -> bool {
        let leave = Change::Leave(id);
        let makes_sense = self.membership.members().refusal(leave, self.nodes()).is_none();
        makes_sense && self.membership.has_asked(&self.state.asked, id, leave)
    }

    /// Whether it may sign something in this generation. If the next one is long overdue, it may not: what is kept is
    /// bounded.
    fn may_sign(&self, id: ReplicaId) -> bool {
        let is_full =
            || self.base.is_old(&self.applied_numbers(), self.config.checkpoint_interval, MOST_INTERVALS);
        self.takes_part(id) && !self.succession.has_concluded() && !is_full()
    }

    /// Takes requests of this member's own clients.
    fn submit(&mut self, cx: &mut Cx<'_, D>, bundle: Arc<Bundle>) {
        if bundle.gateway() != cx.id() {
            return cx.reject(bundle.gateway(), None, Reason::NotEntitled);
        }
        let taken = &mut self.own.taken;
        let is_new = |request: &&Request| {
            taken.get(&request.session.number).is_none_or(|counter| *counter < request.counter)
        };
        if bundle.requests().iter().any(|request| is_new(&request)) {
            // What could not be proposed is not kept.
            if !self.takes_part(cx.id()) || !self.own.waiting.has_room(&bundle) {
                return;
            }
            let taken = &mut self.own.taken;
            for request in bundle.requests() {
                let last = taken.entry(request.session.number).or_default();
                *last = request.counter.max(*last);
            }
            forget_oldest(taken);
            self.own.waiting.push(bundle);
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
            let answered = self.state.of(bundle.gateway()).sessions.get(&request.session.number);
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
        let is_busy = self.own.in_flight.is_some() || self.own.waiting.requests == 0;
        if is_busy || !self.may_sign(cx.id()) || self.is_leaving(cx.id()) {
            return;
        }
        let bundles = self.own.waiting.take(self.config.batch_max.min(most_requests(cx.cluster.n)));
        let remarks = self.remarks(cx.id(), &bundles);
        let after = self.new_dependencies(cx.id());
        let number = self.next_of(cx.id());
        let batch = Batch::sign(cx.cluster, cx.signer, number, after, bundles, remarks);
        let known = Known::new(Arc::new(batch));
        cx.send_all(Message::Propose(Arc::clone(&known.batch)));
        let (seq, digest, requests) = (known.slot(cx.cluster), known.digest, known.batch.requests().count());
        cx.mark(Mark::Proposed { view: None, seq, digest, requests, communication_node: None });
        cx.mark(Mark::Voted { phase: Phase::Prepare, view: None, seq, digest });
        let myself = self.actor_mut(cx.id());
        let signature = known.batch.signature;
        myself.vouched = Some(Vouched { number, digest, signature });
        myself.proposals.insert(number, known.clone());
        self.collect_validations(cx, known);
    }

    /// Waits for validations of a batch that was just sent, of which its own is the first.
    fn collect_validations(&mut self, cx: &mut Cx<'_, D>, known: Known) {
        cx.set_timer(Timer::Validations, self.resend_after(1));
        let votes = VoteSet::for_votes_of(cx.cluster.n);
        let about = (cx.id(), known.batch.number, known.digest);
        self.own.in_flight = Some(InFlight { known, votes, waited: 1 });
        // Who has left only finishes what the others know of.
        if self.takes_part(cx.id()) {
            let validation = Validation::sign(cx.cluster, cx.signer, about, self.membership.generation);
            self.count(cx, cx.id(), validation);
        }
    }

    /// In a new generation, the members validate anew what is on its way.
    pub(crate) fn sign_again(&mut self, cx: &mut Cx<'_, D>) {
        if let Some(in_flight) = &mut self.own.in_flight {
            in_flight.votes = VoteSet::for_votes_of(cx.cluster.n);
        }
        if let Some(in_flight) = self.own.in_flight.take_if(|_| !self.is_mute) {
            cx.send_all(Message::Propose(Arc::clone(&in_flight.known.batch)));
            self.collect_validations(cx, in_flight.known);
        }
        if !self.may_sign(cx.id()) {
            return;
        }
        // Of its own it has just said so.
        let own = cx.id();
        for actor in cx.cluster.replicas().filter(|actor| *actor != own) {
            let of_actor = self.actor(actor);
            let next = of_actor.proposals.get(&self.next_of(actor)).cloned();
            let has_vouched = |known: &Known| of_actor.has_vouched(known.batch.number, &known.digest);
            if let Some(known) = next.filter(|known| has_vouched(known) && self.may_vouch(cx.id(), known)) {
                self.vouch(cx, &known);
            }
        }
    }

    /// What there is to say of the requests in these bundles of `actor`, each made after those before it.
    fn remarks(&self, actor: ReplicaId, bundles: &[Arc<Bundle>]) -> Vec<(u32, Remark)> {
        let mut data = self.state.data.clone();
        let remark = |(place, request): (u32, &Request)| {
            let prepared = match MembershipOperation::decode(&request.operation) {
                Some(asked) => self.membership_remark(asked).map(Some),
                None => data.prepare(actor, &request.operation).and_then(|meant| {
                    let operation = meant.as_ref().unwrap_or(&request.operation);
                    data.validate(actor, operation)?;
                    data.try_out(actor, operation);
                    Ok(meant.map(Remark::Meant))
                }),
            };
            prepared.unwrap_or_else(|output| Some(Remark::Refused(output))).map(|remark| (place, remark))
        };
        let requests = bundles.iter().flat_map(|bundle| bundle.requests());
        self.state.new_requests(actor, requests).filter_map(remark).collect()
    }

    fn membership_remark(
        &self,
        asked: Result<MembershipOperation, MembershipRefusal>,
    ) -> Result<Remark, Output> {
        let generation = self.membership.generation;
        let refused = |refusal| MembershipOutput::Refused(refusal).encode();
        match asked.map_err(refused)? {
            MembershipOperation::Ask(change) | MembershipOperation::AskSince(change, _) => {
                match self.membership.members().refusal(change, self.nodes()) {
                    Some(refusal) => Err(refused(refusal)),
                    None => Ok(Remark::Meant(MembershipOperation::AskSince(change, generation).encode())),
                }
            }
        }
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
        self.state.applied()
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            generation: self.membership.generation,
            applied: self.applied_numbers(),
            chunks: self.transferred.len() as u64,
        }
    }

    fn receive_proposal(&mut self, cx: &mut Cx<'_, D>, batch: Arc<Batch>) {
        let (actor, number) = (batch.actor, batch.number);
        if number < self.next_of(actor) {
            // It was applied here, which its actor does not know.
            return cx.send(actor, Message::Applied(self.progress()));
        }
        if !self.is_near(actor, number) {
            return self.fetch(cx, actor);
        }
        let new = Known::new(batch);
        let known = self.actor(actor);
        match known.proposals.get(&number) {
            Some(first) if first.digest == new.digest => {
                if known.has_vouched(number, &new.digest) && self.may_vouch(cx.id(), &new) {
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

    /// Whether this member may sign for a batch in this generation. Of who has left, only what was on its way then is
    /// finished.
    fn may_vouch(&self, id: ReplicaId, known: &Known) -> bool {
        let Batch { actor, number, .. } = *known.batch;
        let is_member = self.membership.members().contains(actor);
        let allows = |obligation: &Obligation| obligation.allows(number, &known.digest);
        let may_be = (is_member || self.finishing.contains(&(actor, number)))
            && self.obligations.get(&actor).is_none_or(allows);
        self.may_sign(id) && may_be
    }

    /// Tells the actor that its batch is valid.
    fn vouch(&mut self, cx: &mut Cx<'_, D>, known: &Known) {
        let Batch { actor, number, signature, .. } = *known.batch;
        let digest = known.digest;
        self.actor_mut(actor).vouched = Some(Vouched { number, digest, signature });
        let about = (actor, number, digest);
        let validation = Validation::sign(cx.cluster, cx.signer, about, self.membership.generation);
        cx.send(actor, Message::Validated(validation));
    }

    /// Counts a validation of the batch that is on its way.
    fn count(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, validation: Validation) {
        let Validation { actor, number, digest, generation, signature } = validation;
        if actor != cx.id() {
            return cx.reject(from, None, Reason::NotEntitled);
        }
        if generation > self.membership.generation {
            return self.fetch(cx, from);
        }
        // Those that come after the proof are not needed.
        let Some(in_flight) = &mut self.own.in_flight else { return };
        if in_flight.known.batch.number != number {
            return;
        }
        if generation < self.membership.generation || !self.membership.members().contains(from) {
            return cx.reject(from, None, Reason::WrongGeneration);
        }
        let seq = in_flight.known.slot(cx.cluster);
        if in_flight.known.digest != digest {
            return cx.reject(from, Some(seq), Reason::ConflictingVote);
        }
        if from != cx.id() && in_flight.votes.choice(from).is_none() {
            let (author, phase) = (from, Phase::Prepare);
            cx.mark(Mark::VoteReceived { seq, digest, author, phase, contradicts: false });
        }
        in_flight.votes.insert(from, digest, signature);
        if in_flight.votes.count(&digest) >= self.membership.members().quorum() {
            let validations = in_flight.votes.of(&digest);
            let proof = Arc::new(Proof { actor, number, digest, generation, validations });
            cx.send_all(Message::Proof(Arc::clone(&proof)));
            self.actor_mut(actor).proofs.insert(number, proof);
            self.advance(cx);
        }
    }

    /// Whether a quorum of the members of its generation have validated it. Asks `from` if that generation is not known,
    /// and else says so if it is no proof.
    fn is_proof(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, proof: &Proof) -> bool {
        if weakened(Weakening::ProofNotChecked) {
            return true;
        }
        let Some(members) = self.membership.of(proof.generation) else {
            self.fetch(cx, from);
            return false;
        };
        let all_members = proof.validations.iter().all(|(author, _)| members.contains(*author))
            || weakened(Weakening::GenerationNotChecked);
        let is_proof = all_members && proof.validations.len() >= members.quorum();
        if !is_proof {
            cx.reject(from, None, Reason::MalformedCertificate);
        }
        is_proof
    }

    fn receive_proof(&mut self, cx: &mut Cx<'_, D>, from: ReplicaId, proof: Arc<Proof>) {
        let (actor, number, digest) = (proof.actor, proof.number, proof.digest);
        if number < self.next_of(actor) || !self.is_proof(cx, from, &proof) {
            return;
        }
        if self.is_near(actor, number) {
            self.actor_mut(actor).proofs.insert(number, proof);
            self.advance(cx);
        }
        let is_there = self.actor(actor).proposals.get(&number).is_some_and(|known| known.digest == digest);
        if number >= self.next_of(actor) && !is_there {
            self.fetch(cx, from);
        }
    }

    pub(crate) fn receive_proven(
        &mut self,
        cx: &mut Cx<'_, D>,
        from: ReplicaId,
        batch: Arc<Batch>,
        proof: Arc<Proof>,
    ) {
        let number = batch.number;
        if self.is_near(batch.actor, number) && self.is_proof(cx, from, &proof) {
            let actor = self.actor_mut(batch.actor);
            // Whatever its actor proposed here, this is what a quorum saw.
            actor.proposals.insert(number, Known::new(batch));
            actor.proofs.insert(number, proof);
            self.advance(cx);
        }
    }

    /// Applies and validates what can be, until nothing more can.
    pub(crate) fn advance(&mut self, cx: &mut Cx<'_, D>) {
        loop {
            while cx.cluster.replicas().any(|actor| self.advance_actor(cx, actor)) {}
            self.propose(cx);
            // Whoever has come so far may sign more.
            if !self.catch_up() {
                break;
            }
        }
        self.consider_generation(cx);
    }

    fn advance_actor(&mut self, cx: &mut Cx<'_, D>, actor: ReplicaId) -> bool {
        let next = self.next_of(actor);
        if let Some((known, proof)) =
            self.actor(actor).proven(next).filter(|(known, _)| self.may_apply(known))
        {
            self.apply(cx, known, proof);
            return true;
        }
        let to_validate =
            self.actor(actor).to_validate(next).filter(|known| self.state.is_ready(&known.batch));
        let Some(known) = to_validate.filter(|known| self.may_vouch(cx.id(), known)) else { return false };
        if self.state.is_valid(&known.batch) {
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
        let has_validated = || self.actor(batch.actor).has_vouched(batch.number, digest);
        weakened(Weakening::DependencyNotChecked)
            || (self.state.is_ready(batch) && (has_validated() || self.state.is_valid(batch)))
    }

    fn apply(&mut self, cx: &mut Cx<'_, D>, known: Known, proof: Arc<Proof>) {
        let seq = known.slot(cx.cluster);
        let Known { batch, digest } = known;
        let (id, number) = (batch.actor, batch.number);
        cx.mark(Mark::Committed { view: None, seq, digest, path: Path::Direct });
        let place = self.applied_numbers().iter().sum();
        let (whole, replies) = self.state.apply(&batch, &digest);
        for Reply { session, counter, .. } in &replies {
            cx.mark(Mark::Applied { seq: None, session: *session, counter: *counter });
        }
        reply(cx, id, seq, whole, replies);
        self.base.note(&batch);
        let actor = self.actor_mut(id);
        actor.proposals.remove(&number);
        actor.proofs.remove(&number);
        actor.history.insert(number, AppliedBatch { place, batch, digest, proof });
        self.end_flight(cx, id);
        self.announce_soon(cx);
    }

    /// The batch on its way may have been applied.
    pub(crate) fn end_flight(&mut self, cx: &mut Cx<'_, D>, id: ReplicaId) {
        let next = self.next_of(cx.id());
        let is_over = |own: &mut InFlight| own.known.batch.number < next;
        if id == cx.id() && self.own.in_flight.take_if(is_over).is_some() {
            cx.cancel_timer(Timer::Validations);
        }
    }

    /// Sends the batch that is on its way again to those that have not answered.
    fn propose_again(&mut self, cx: &mut Cx<'_, D>) {
        let takes_part = self.takes_part(cx.id());
        let Some(in_flight) = &mut self.own.in_flight else { return };
        in_flight.waited = (2 * in_flight.waited).min(MOST_DOUBLED);
        for peer in cx.cluster.replicas().filter(|peer| in_flight.votes.choice(*peer).is_none()) {
            cx.send(peer, Message::Propose(Arc::clone(&in_flight.known.batch)));
        }
        // It may not be finished before this node is a member again.
        let times = if takes_part { in_flight.waited } else { OUTSIDE_WAITS };
        cx.set_timer(Timer::Validations, self.resend_after(times));
    }
}

fn reply<D: DataType>(cx: &mut Cx<'_, D>, to: ReplicaId, seq: Seq, whole: Vec<Digest>, replies: Vec<Reply>) {
    if !replies.is_empty() {
        let bundle = ReplyBundle::sign(cx.cluster, cx.signer, View(0), seq, to, whole, replies);
        cx.push(Effect::Reply { to, bundle });
    }
}

impl<D: DataType> Protocol for Replica<D> {
    type Message = Message;
    type Timer = Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start | Input::Resume => {}
            Input::Submit(bundle) => self.submit(cx, bundle),
            Input::Expire(Timer::Validations) => self.propose_again(cx),
            Input::Expire(Timer::Announce) => self.announce(cx),
            Input::Expire(Timer::Fetch) => self.fetch_again(cx),
            Input::Expire(Timer::Serve) => self.served.clear(),
            Input::Expire(Timer::Generation) => self.give_up_round(cx),
            Input::Deliver { from, message } => match message.into_inner() {
                Message::Propose(batch) => self.receive_proposal(cx, batch),
                Message::Validated(validation) => self.count(cx, from, validation),
                Message::Proof(proof) => self.receive_proof(cx, from, proof),
                Message::Proven(batch, proof) => self.receive_proven(cx, from, batch, proof),
                Message::Applied(progress) => self.receive_progress(cx, from, progress),
                Message::Fetch(progress) => self.serve(cx, from, progress),
                Message::Remind(bundle) => drop(self.answer_again(cx, &bundle)),
                Message::Generation(on) => self.receive_on_generation(cx, from, Arc::unwrap_or_clone(on)),
                Message::Chunk(number, chunk) => self.receive_chunk(cx, from, number, &chunk),
            },
        }
    }

    fn status(&self, _: &Cluster) -> Status {
        Status {
            recovering: self.is_mute,
            last_executed: Seq(self.state.executed),
            slots_in_flight: self.actors.iter().map(|actor| actor.proposals.len()).sum(),
            requests_waiting: self.own.waiting.requests,
            membership: Some(self.membership_status()),
            ..Status::default()
        }
    }

    /// Over what was applied of each actor, in the order of its numbers.
    fn state_digest(&self) -> Option<Digest> {
        Some(self.state.digest())
    }

    /// A member that remembers what it has said, and does not leave.
    fn takes_requests(&self, own: ReplicaId) -> bool {
        self.takes_part(own) && !self.is_leaving(own)
    }

    /// A validation of what was applied here.
    fn may_wait(&self, _: &Cluster, message: &Message) -> bool {
        let Message::Validated(Validation { actor, number, .. }) = message else { return false };
        self.actors.get(usize::from(actor.0)).is_some() && *number <= self.applied(*actor).0
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        let output = self.state.data.query(operation)?;
        Some(Reading { as_of: Seq(self.state.executed), output })
    }
}
