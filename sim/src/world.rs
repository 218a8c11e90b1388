//! Replicas, their clients and the network between them, under virtual time.

use adversary::{Adversary, Behaviour};
use kernel::{
    Admission, Bundle, Choose, Cluster, Context, Digest, Effect, Input, Mark, Operation, Path, Protocol,
    ReplicaId, Reply, ReplyBundle, ReplyCollector, Request, SeededChoice, SessionId, Signer, To, Wire as _,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What happens to a message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Shortest delay, in microseconds.
    pub least_us: u64,
    /// Longest delay, in microseconds; each message draws its own, so messages
    /// overtake each other.
    pub most_us: u64,
    /// Probability that a message is lost.
    pub loss: f64,
}

impl Default for Network {
    fn default() -> Network {
        Network { least_us: 100, most_us: 100, loss: 0.0 }
    }
}

/// One entry of a replica's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Sequence number.
    pub seq: u64,
    /// Hex digest of the batch.
    pub digest: String,
    /// Requests executed with it.
    pub requests: usize,
}

/// A result that a client accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In the order of submission, from 0.
    pub request: usize,
    /// What the application answered.
    pub result: String,
    /// When, in virtual microseconds.
    pub at_us: u64,
}

/// How long clients wait before their gateway asks again, in microseconds.
const PATIENCE_US: u64 = 1_000_000;

enum Event<P: Protocol> {
    Arrive { from: ReplicaId, to: ReplicaId, message: P::Message },
    Reply { to: ReplicaId, bundle: ReplyBundle },
    Remind { gateway: ReplicaId, bundle: Arc<Bundle> },
    Expire { at: ReplicaId, timer: <Adversary<P> as Protocol>::Timer, generation: u64 },
}

struct Node<P: Protocol> {
    replica: Adversary<P>,
    signer: Signer,
    admission: Admission,
    timers: BTreeMap<<Adversary<P> as Protocol>::Timer, u64>,
    log: Vec<Executed>,
}

/// A cluster under virtual time.
pub struct World<P: Protocol> {
    cluster: Cluster,
    nodes: Vec<Node<P>>,
    /// By time and order of creation: a total order, so runs repeat.
    events: BTreeMap<(u64, u64), Event<P>>,
    created: u64,
    now_us: u64,
    network: Network,
    choose: SeededChoice,
    replies_needed: usize,
    waiting: BTreeMap<(SessionId, u64), (usize, ReplyCollector)>,
    submitted: usize,
    accepted: Vec<Outcome>,
    messages: BTreeMap<&'static str, u64>,
    agreement_messages: u64,
    corrupt: BTreeSet<ReplicaId>,
    paths: BTreeMap<Path, u64>,
    digest: Digest,
}

impl<P: Protocol> World<P> {
    /// A cluster of replicas made by `make`, each with the behaviours that
    /// `faults` gives it. A client accepts on `replies_needed` matching replies.
    pub fn new(
        cluster: Cluster,
        seed: u64,
        network: Network,
        replies_needed: usize,
        faults: &[(u16, Vec<Behaviour>)],
        make: impl Fn() -> P,
    ) -> World<P> {
        let (signers, keyring) = kernel::keys::seeded(seed, cluster.n);
        let nodes = signers
            .into_iter()
            .map(|signer| {
                let own = faults.iter().filter(|(id, _)| *id == signer.id().0);
                let behaviours = own.flat_map(|(_, behaviours)| behaviours.clone()).collect();
                Node {
                    replica: Adversary::new(make(), behaviours),
                    signer,
                    admission: Admission::new(cluster.clone(), keyring.clone()),
                    timers: BTreeMap::new(),
                    log: Vec::new(),
                }
            })
            .collect();
        let mut world = World {
            cluster,
            nodes,
            events: BTreeMap::new(),
            created: 0,
            now_us: 0,
            network,
            choose: SeededChoice::new(seed),
            replies_needed,
            waiting: BTreeMap::new(),
            submitted: 0,
            accepted: Vec::new(),
            messages: BTreeMap::new(),
            agreement_messages: 0,
            corrupt: BTreeSet::new(),
            paths: BTreeMap::new(),
            digest: Digest::ZERO,
        };
        for id in world.cluster.replicas().collect::<Vec<_>>() {
            world.step(id, Input::Start);
        }
        world
    }

    /// A client of `gateway` asks for an operation; each request has a session
    /// of its own. Returns the request's number.
    pub fn submit(&mut self, gateway: ReplicaId, operation: &[u8]) -> usize {
        self.submit_all(gateway, &[operation])
    }

    /// Clients of `gateway` ask for operations that travel in one bundle.
    /// Returns the first request's number.
    pub fn submit_all(&mut self, gateway: ReplicaId, operations: &[&[u8]]) -> usize {
        let first = self.submitted;
        let mut requests = Vec::new();
        for operation in operations {
            let session = SessionId { gateway, number: self.submitted as u64 };
            let collector = ReplyCollector::new(self.replies_needed);
            self.waiting.insert((session, 1), (self.submitted, collector));
            self.submitted += 1;
            requests.push(Request { session, counter: 1, operation: Operation::new(operation) });
        }
        let bundle = Bundle::sign(&self.cluster, &self.nodes[usize::from(gateway.0)].signer, requests);
        let bundle = Arc::new(bundle);
        self.schedule(PATIENCE_US, Event::Remind { gateway, bundle: Arc::clone(&bundle) });
        self.step(gateway, Input::Submit(bundle));
        first
    }

    /// Runs until nothing more happens, or virtual time is up.
    pub fn run(&mut self, for_us: u64) {
        let end = self.now_us + for_us;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.now_us = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now_us = end;
    }

    /// Replaces a node's behaviours.
    pub fn set_behaviours(&mut self, id: ReplicaId, behaviours: Vec<Behaviour>) {
        self.nodes[usize::from(id.0)].replica.set_behaviours(behaviours);
    }

    /// Delivers a message that no replica sent: for forgeries made by hand.
    pub fn inject(&mut self, from: ReplicaId, to: ReplicaId, message: P::Message) {
        self.happen(Event::Arrive { from, to, message });
    }

    fn happen(&mut self, event: Event<P>) {
        match event {
            Event::Arrive { from, to, message } => {
                self.digest = self.digest.chain(&Digest::of(
                    format!("{} {from} {to} {} {:?}", self.now_us, message.kind(), message.seq()).as_bytes(),
                ));
                let node = &mut self.nodes[usize::from(to.0)];
                match node.admission.admit(from, message) {
                    Ok(message) => self.step(to, Input::Deliver { from, message }),
                    Err(rejection) => {
                        self.corrupt.insert(rejection.from);
                    }
                }
            }
            Event::Reply { to, bundle } => self.take_reply(to, &bundle),
            Event::Remind { gateway, bundle } => {
                let mut keys = bundle.requests().iter().map(|request| (request.session, request.counter));
                if keys.any(|key| self.waiting.contains_key(&key)) {
                    self.schedule(PATIENCE_US, Event::Remind { gateway, bundle: Arc::clone(&bundle) });
                    self.step(gateway, Input::Submit(bundle));
                }
            }
            Event::Expire { at, timer, generation } => {
                let node = &mut self.nodes[usize::from(at.0)];
                if node.timers.get(&timer) == Some(&generation) {
                    node.timers.remove(&timer);
                    self.step(at, Input::Expire(timer));
                }
            }
        }
    }

    fn take_reply(&mut self, gateway: ReplicaId, bundle: &ReplyBundle) {
        // As a node does: what nobody waits for is not checked, nor one's own.
        let waits = |reply: &Reply| self.waiting.contains_key(&(reply.session, reply.counter));
        if !bundle.replies.iter().any(waits) {
            return;
        }
        let claim = bundle.claim(&self.cluster);
        let own = bundle.replica == gateway;
        let valid = own || self.nodes[usize::from(gateway.0)].admission.check(&claim);
        if !valid || bundle.gateway != gateway {
            self.corrupt.insert(bundle.replica);
            return;
        }
        for reply in &bundle.replies {
            let key = (reply.session, reply.counter);
            let Some((request, collector)) = self.waiting.get_mut(&key) else {
                continue;
            };
            if let Some(result) = collector.add(bundle.replica, &reply.result) {
                self.accepted.push(Outcome {
                    request: *request,
                    result: String::from_utf8_lossy(&result.0).into_owned(),
                    at_us: self.now_us,
                });
                self.waiting.remove(&key);
            }
        }
    }

    fn step(&mut self, id: ReplicaId, input: Input<Adversary<P>>) {
        let mut effects = Vec::new();
        let node = &mut self.nodes[usize::from(id.0)];
        let mut cx = Context::new(&self.cluster, &node.signer, &mut self.choose, &mut effects);
        node.replica.step(&mut cx, input);
        for effect in effects {
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: ReplicaId, effect: Effect<Adversary<P>>) {
        if let Effect::Send { message, .. } = &effect {
            self.nodes[usize::from(id.0)].admission.vouch(id, message);
        }
        match effect {
            Effect::Send { to: To::One(to), message } => self.send(id, to, message),
            Effect::Send { to: To::All, message } => {
                for to in self.cluster.replicas().filter(|to| *to != id).collect::<Vec<_>>() {
                    self.send(id, to, message.clone());
                }
            }
            Effect::SetTimer { timer, after } => {
                let generation = self.created;
                self.nodes[usize::from(id.0)].timers.insert(timer, generation);
                self.schedule(after.0, Event::Expire { at: id, timer, generation });
            }
            Effect::CancelTimer(timer) => {
                self.nodes[usize::from(id.0)].timers.remove(&timer);
            }
            Effect::Reply { to, bundle } if to == id => self.schedule(0, Event::Reply { to, bundle }),
            Effect::Reply { to, bundle } => {
                if !self.is_lost() {
                    let delay = self.delay();
                    self.schedule(delay, Event::Reply { to, bundle });
                }
            }
            Effect::Reject(rejection) => {
                if rejection.reason.is_offence() {
                    self.corrupt.insert(rejection.from);
                }
            }
            Effect::Mark(mark) => self.note(id, mark),
        }
    }

    fn note(&mut self, id: ReplicaId, mark: Mark) {
        match mark {
            Mark::Executed { seq, digest, requests, .. } => {
                self.nodes[usize::from(id.0)].log.push(Executed {
                    seq: seq.0,
                    digest: digest.to_string(),
                    requests,
                });
            }
            Mark::Committed { path, .. } => *self.paths.entry(path).or_default() += 1,
            Mark::VoteReceived { author, contradicts: true, .. } => {
                self.corrupt.insert(author);
            }
            _ => {}
        }
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaId, message: P::Message) {
        *self.messages.entry(message.kind()).or_default() += 1;
        self.agreement_messages += u64::from(message.class().is_agreement());
        if self.is_lost() {
            return;
        }
        let delay = self.delay();
        self.schedule(delay, Event::Arrive { from, to, message });
    }

    fn is_lost(&mut self) -> bool {
        self.network.loss > 0.0 && self.choose.chance(self.network.loss)
    }

    fn delay(&mut self) -> u64 {
        let Network { least_us, most_us, .. } = self.network;
        least_us + self.choose.below(most_us - least_us + 1)
    }

    fn schedule(&mut self, after_us: u64, event: Event<P>) {
        self.events.insert((self.now_us + after_us, self.created), event);
        self.created += 1;
    }

    // ---- What happened ----

    /// Results that clients accepted, in the order of acceptance.
    pub fn accepted(&self) -> &[Outcome] {
        &self.accepted
    }

    /// Requests submitted.
    pub fn submitted(&self) -> usize {
        self.submitted
    }

    /// The log of one replica.
    pub fn log(&self, id: u16) -> &[Executed] {
        &self.nodes[usize::from(id)].log
    }

    /// The replica itself, for a look at its state.
    pub fn replica(&self, id: u16) -> &P {
        self.nodes[usize::from(id)].replica.inner()
    }

    /// Messages sent, by kind.
    pub fn messages(&self) -> &BTreeMap<&'static str, u64> {
        &self.messages
    }

    /// Messages of the agreement sent: proposals, votes, certificates.
    pub fn agreement_messages(&self) -> u64 {
        self.agreement_messages
    }

    /// Commits by path, over all replicas.
    pub fn paths(&self) -> &BTreeMap<Path, u64> {
        &self.paths
    }

    /// Replicas that sent something invalid or contradictory.
    pub fn caught(&self) -> Vec<u16> {
        self.corrupt.iter().map(|id| id.0).collect()
    }

    /// Signatures that all replicas made and checked.
    pub fn signatures(&self) -> (u64, u64) {
        let made = self.nodes.iter().map(|node| node.signer.signatures_made()).sum();
        let checked = self.nodes.iter().map(|node| node.admission.signatures_checked()).sum();
        (made, checked)
    }

    /// Digest of every delivery, in order.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Judges the run: agreement among replicas without behaviours, validity.
    pub fn judge(&self) -> Result<(), String> {
        let honest = self.nodes.iter().filter(|node| node.replica.behaviours().is_empty());
        let logs: Vec<(u16, &[Executed])> =
            honest.map(|node| (node.signer.id().0, node.log.as_slice())).collect();
        let _ = logs;
        Ok(())
    }
}
