//! What members have alike once they have applied the same batches: what a snapshot holds.

use crate::data::DataType;
use crate::membership::Asked;
use crate::message::{Batch, Remark};
use crate::statement::Applied;
use apps::{MembershipOperation, MembershipOutput, MembershipRefusal};
use kernel::{Chunk, Digest, Operation, Output, ReplicaId, Reply, Request, SESSIONS_KEPT, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The data, and what was applied of each actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct State<D> {
    pub(crate) data: D,
    /// Requests applied.
    pub(crate) executed: u64,
    pub(crate) asked: Asked,
    actors: Vec<Progress>,
}

/// How far an actor is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The number of its last batch that was applied.
    pub(crate) applied: u64,
    /// Over the digests of all of them.
    pub(crate) chain: Digest,
    /// The last request of each of its sessions, by number: a request is applied once.
    pub(crate) sessions: BTreeMap<u64, Answered>,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) counter: u64,
    pub(crate) result: Output,
    /// The batch that it was in.
    pub(crate) number: u64,
}

impl<D: DataType> State<D> {
    /// Before anything was applied of these many actors.
    pub(crate) fn new(n: u16, data: D) -> State<D> {
        let begun = Progress { applied: 0, chain: Digest::ZERO, sessions: BTreeMap::new() };
        State { data, executed: 0, asked: Asked::default(), actors: vec![begun; n.into()] }
    }

    /// How far an actor is.
    pub(crate) fn of(&self, actor: ReplicaId) -> &Progress {
        &self.actors[usize::from(actor.0)]
    }

    /// How many batches were applied of each actor.
    pub(crate) fn applied(&self) -> Applied {
        self.actors.iter().map(|actor| actor.applied).collect()
    }

    /// Over what was applied of each actor, in the order of its numbers.
    pub(crate) fn digest(&self) -> Digest {
        self.actors.iter().fold(Digest::ZERO, |digest, actor| digest.chain(&actor.chain))
    }

    /// As it is voted on and given to others: equal states have equal snapshots.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let bytes = postcard::to_stdvec(self).expect("a state is plain data");
        Snapshot::new(Chunk::cut(&bytes))
    }

    /// The state of a snapshot; none if it holds none of so many actors.
    pub(crate) fn restore(snapshot: &Snapshot, n: u16) -> Option<State<D>> {
        let bytes: Vec<u8> = snapshot.chunks().iter().flat_map(Chunk::bytes).copied().collect();
        let state: State<D> = postcard::from_bytes(&bytes).ok()?;
        (state.actors.len() == usize::from(n)).then_some(state)
    }

    /// Whether all that a batch depends on was applied.
    pub(crate) fn is_ready(&self, batch: &Batch) -> bool {
        batch.number == self.of(batch.actor).applied + 1
            && batch.after.iter().all(|(actor, number)| self.of(*actor).applied >= *number)
    }

    /// Whether everything in it is valid but what it says itself is not.
    pub(crate) fn is_valid(&self, batch: &Batch) -> bool {
        let mut data = self.data.clone();
        let is_valid = |operation: &Operation| match MembershipOperation::decode(operation) {
            Some(asked) => {
                matches!(asked, Ok(MembershipOperation::AskSince(change, _)) if self.is_node(change.node()))
            }
            None => {
                let is_valid = data.validate(batch.actor, operation).is_ok();
                if is_valid {
                    data.try_out(batch.actor, operation);
                }
                is_valid
            }
        };
        let operations = self.operations(batch).into_iter();
        operations.filter_map(|(_, operation)| operation.ok()).all(is_valid)
    }

    fn is_node(&self, node: ReplicaId) -> bool {
        usize::from(node.0) < self.actors.len()
    }

    /// Applies a batch. Returns the bundles that were executed whole, and the replies.
    pub(crate) fn apply(&mut self, batch: &Batch, digest: &Digest) -> (Vec<Digest>, Vec<Reply>) {
        let mut replies = Vec::new();
        for (request, operation) in self.operations(batch) {
            let (session, counter) = (request.session, request.counter);
            let result = match operation {
                Ok(operation) => self.execute(batch.actor, operation),
                Err(output) => output.clone(),
            };
            self.executed += 1;
            let answered = Answered { counter, result: result.clone(), number: batch.number };
            self.of_mut(batch.actor).sessions.insert(session.number, answered);
            replies.push(Reply { session, counter, result });
        }
        let actor = self.of_mut(batch.actor);
        forget_oldest(&mut actor.sessions);
        actor.applied = batch.number;
        actor.chain = actor.chain.chain(digest);
        let requests: usize = batch.bundles.iter().map(|bundle| bundle.requests().len()).sum();
        let all_new = replies.len() == requests;
        let whole =
            if all_new { batch.bundles.iter().map(|bundle| bundle.digest()).collect() } else { vec![] };
        (whole, replies)
    }

    fn of_mut(&mut self, actor: ReplicaId) -> &mut Progress {
        &mut self.actors[usize::from(actor.0)]
    }

    fn execute(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        match MembershipOperation::decode(operation) {
            None => self.data.apply(actor, operation),
            Some(Ok(MembershipOperation::AskSince(change, generation))) => {
                self.asked.apply(actor, change, generation);
                MembershipOutput::Asked.encode()
            }
            Some(_) => MembershipOutput::Refused(MembershipRefusal::NotAnOperation).encode(),
        }
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
        self.new_requests(batch.actor, batch.requests()).map(operation).collect()
    }

    /// The requests of an actor that were not applied before, each with its place: what an actor asks for twice is
    /// done once.
    pub(crate) fn new_requests<'a>(
        &self,
        actor: ReplicaId,
        requests: impl Iterator<Item = &'a Request>,
    ) -> impl Iterator<Item = (u32, &'a Request)> {
        let sessions = &self.of(actor).sessions;
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        (0..).zip(requests).filter(move |(_, request)| {
            let session = request.session.number;
            let before = || sessions.get(&session).map_or(0, |answered| answered.counter);
            let last = last.entry(session).or_insert_with(before);
            let is_new = request.counter > *last;
            *last = request.counter.max(*last);
            is_new
        })
    }
}

/// Sessions with low numbers are over.
pub(crate) fn forget_oldest<V>(sessions: &mut BTreeMap<u64, V>) {
    while sessions.len() > SESSIONS_KEPT {
        sessions.pop_first();
    }
}
