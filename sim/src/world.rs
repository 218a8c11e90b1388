//! Replicas, their clients and the network between them, under virtual time.

use crate::clients::{Clients, Load, LoadRun, Pace};
use crate::costs::Costs;
use crate::counts::{Counts, Parcel as Counted, Role, RoleTraffic, Roles, Traffic, Volume};
use crate::digest::RunDigest;
use crate::network::Network;
use crate::queue::{EVERYONE, Event, Queue, Shelf};
use crate::server::Servers;
use crate::setup::{Memory, Setup, Signatures};
use crate::trace::{Change, Executed, Lifecycle, Outcome, Stamped, Submitted, Trace};
use crate::wires::Wires;
use adversary::{Adversary, Behaviour};
use kernel::{
    Admission, Bundle, Cluster, Context, Digest, Effect, Input, Keyring, Mark, Micros, Operation, Path,
    Protocol, Rejection, ReplicaId, Reply, ReplyBundle, Request, SeededChoice, SessionId, Signer, To,
    Verified, Wire as _,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type Timer<P> = <Adversary<P> as Protocol>::Timer;

/// What is on its way to a node, be it from another or from itself.
pub(crate) enum Parcel<P: Protocol> {
    Message {
        from: ReplicaId,
        body: Body<P::Message>,
        counted: Counted,
        tag: u64,
    },
    Reply {
        bundle: ReplyBundle,
        counted: Counted,
    },
    /// A gateway hands over what its clients asked since the last time.
    Bundle,
    /// A gateway hands a bundle over once more, if it is not answered.
    Remind(Arc<Bundle>),
    Expire {
        timer: Timer<P>,
        generation: u64,
    },
    /// The next request of the load is due at this gateway.
    Due,
    GiveUp {
        session: SessionId,
        counter: u64,
    },
    /// The node has done its work.
    Done,
}

/// A message, admitted or not, once for all receivers: admission depends on
/// nothing but the message, its sender, the cluster and the keys.
#[derive(Clone)]
pub(crate) enum Body<M> {
    Raw(M),
    Admitted(Verified<M>),
    Refused(Rejection),
    /// For the moment in which it is admitted.
    AtTheDoor,
}

impl<M> Body<M> {
    /// Admits what is not yet admitted.
    fn settle(&mut self, admit: impl FnOnce(M) -> Result<Verified<M>, Rejection>) {
        if let Body::Raw(_) = self
            && let Body::Raw(message) = std::mem::replace(self, Body::AtTheDoor)
        {
            *self = match admit(message) {
                Ok(message) => Body::Admitted(message),
                Err(rejection) => Body::Refused(rejection),
            };
        }
    }
}

/// A parcel and how many copies of it are still to be handed out.
struct Sent<P: Protocol> {
    parcel: Parcel<P>,
    copies: u32,
    at_ns: u64,
}

struct Node<P: Protocol> {
    replica: Adversary<P>,
    signer: Signer,
    timers: BTreeMap<Timer<P>, u64>,
    log: Vec<Executed>,
    down: bool,
    /// When it was started last; what was sent to it before is lost.
    up_since_ns: u64,
}

/// Something that an observer is told of.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A replica left a mark.
    Mark(&'a Mark),
    /// A replica refused a message, or admission did so for it.
    Rejection(&'a Rejection),
}

/// Is told of everything that replicas report: the time in virtual nanoseconds,
/// who, and what.
pub type Observer = Box<dyn FnMut(u64, ReplicaId, Seen<'_>)>;

/// A cluster under virtual time.
pub struct World<P: Protocol> {
    cluster: Cluster,
    make: Box<dyn Fn(ReplicaId, Memory) -> P>,
    nodes: Vec<Node<P>>,
    /// One for all, or one for each node where it matters what each has checked.
    admissions: Vec<Admission>,
    /// Whether each node has its own.
    metered: bool,
    queue: Queue,
    parcels: Shelf<Sent<P>>,
    servers: Servers,
    wires: Wires,
    choose: SeededChoice,
    clients: Clients,
    counts: Counts,
    roles: Roles,
    paths: BTreeMap<Path, u64>,
    trace: Trace,
    digest: RunDigest,
    observer: Option<Observer>,
    record: bool,
    costs: Costs,
    patience_ns: u64,
    now_ns: u64,
    load_began_ns: u64,
    generations: u64,
    /// What the node at work has spent on the work at hand.
    spent_ns: u64,
    effects: Vec<Effect<Adversary<P>>>,
}

/// One admission for all nodes where it does not matter who checks what: else
/// each remembers what it has checked itself.
fn admissions(cluster: &Cluster, keyring: &Keyring, metered: bool) -> Vec<Admission> {
    let count = if metered { cluster.n } else { 1 };
    (0..count).map(|_| Admission::new(cluster.clone(), keyring.clone())).collect()
}

impl<P: Protocol> World<P> {
    /// A cluster of replicas made by `make`.
    ///
    /// # Panics
    ///
    /// If the network or the costs cannot be meant: check them first.
    pub fn new(setup: Setup, make: impl Fn(ReplicaId, Memory) -> P + 'static) -> World<P> {
        let Setup { cluster, seed, network, .. } = setup;
        setup.costs.check().unwrap_or_else(|error| panic!("{error}"));
        let (signers, keyring) = match setup.signatures {
            Signatures::Symbolic => kernel::keys::symbolic(seed, cluster.n),
            Signatures::Ed25519 => kernel::keys::seeded(seed, cluster.n),
        };
        let metered = setup.signatures == Signatures::Ed25519 || setup.costs.verify_us > 0.0;
        // Draws of the network and of the replicas do not disturb each other.
        let wires = Wires::new(&network, cluster.n, SeededChoice::new(seed ^ 0x006e_6574_776f_726b))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut world = World {
            admissions: admissions(&cluster, &keyring, metered),
            metered,
            make: Box::new(make),
            nodes: Vec::new(),
            queue: Queue::new(),
            parcels: Shelf::new(),
            servers: Servers::new(cluster.n, setup.costs.cores),
            wires,
            choose: SeededChoice::new(seed),
            clients: Clients::new(cluster.n, setup.replies_needed),
            counts: Counts::new(cluster.n),
            roles: Roles { commander: cluster.commander(kernel::View(0)), communication_node: None },
            paths: BTreeMap::new(),
            trace: Trace::new(cluster.clone()),
            digest: RunDigest::new(),
            observer: None,
            record: setup.record,
            costs: setup.costs,
            patience_ns: setup.patience_us * 1000,
            now_ns: 0,
            load_began_ns: 0,
            generations: 0,
            spent_ns: 0,
            effects: Vec::new(),
            cluster,
        };
        world.begin(signers, &setup.faults);
        world
    }

    fn begin(&mut self, signers: Vec<Signer>, faults: &[(u16, Vec<Behaviour>)]) {
        for signer in signers {
            let id = signer.id();
            let own = faults.iter().filter(|(faulty, _)| *faulty == id.0);
            let behaviours: Vec<Behaviour> = own.flat_map(|(_, behaviours)| behaviours.clone()).collect();
            if !behaviours.is_empty() {
                self.trace.faulty.insert(id.0);
            }
            self.nodes.push(Node {
                replica: Adversary::new((self.make)(id, Memory::Fresh), behaviours),
                signer,
                timers: BTreeMap::new(),
                log: Vec::new(),
                down: false,
                up_since_ns: 0,
            });
        }
        for id in self.cluster.replicas() {
            self.start(id);
        }
    }

    /// Starting costs nothing.
    fn start(&mut self, id: ReplicaId) {
        self.step(id, Input::Start);
        self.spent_ns = 0;
    }

    // ---- What one does with it ----

    /// A client of `gateway` asks for an operation; each request has a session
    /// of its own. Returns the request's number.
    pub fn submit(&mut self, gateway: ReplicaId, operation: &[u8]) -> usize {
        self.submit_all(gateway, &[operation])
    }

    /// Clients of `gateway` ask for operations that travel in one bundle, each
    /// in a session of its own. Returns the first request's number.
    pub fn submit_all(&mut self, gateway: ReplicaId, operations: &[&[u8]]) -> usize {
        let sessions = operations.iter().map(|_| (self.clients.new_session(gateway), 1)).collect();
        self.ask(gateway, sessions, operations)
    }

    /// The same, in sessions that were used before where the gateway has such
    /// without a request on the way: their counters go on.
    pub fn submit_again(&mut self, gateway: ReplicaId, operations: &[&[u8]]) -> usize {
        let sessions = operations.iter().map(|_| self.clients.free_session(gateway)).collect();
        self.ask(gateway, sessions, operations)
    }

    fn ask(&mut self, gateway: ReplicaId, sessions: Vec<(SessionId, u64)>, operations: &[&[u8]]) -> usize {
        let first = self.trace.submitted.len();
        let at_us = self.now_us();
        let asked = sessions.into_iter().zip(operations);
        let requests = asked
            .map(|(session, bytes)| self.request(session, Operation::new(bytes), at_us, false))
            .collect();
        self.take_in(gateway, requests);
        first
    }

    /// Lets clients ask by themselves from now on. One load at a time.
    pub fn offer(&mut self, load: Load) {
        self.load_began_ns = self.now_ns;
        self.begin_load(load);
    }

    /// Whether every request of the load was answered or given up.
    pub fn load_is_over(&self) -> bool {
        self.clients.load.as_ref().is_none_or(|run| run.over == run.load.requests)
    }

    /// Runs until nothing more happens, or virtual time is up.
    pub fn run(&mut self, for_us: u64) {
        let end_ns = self.now_ns + for_us * 1000;
        while let Some(event) = self.queue.pop_until(end_ns) {
            self.happen(event);
        }
        self.now_ns = end_ns;
    }

    /// Runs until `done` says so, and at most so long. Says whether it did.
    pub fn run_until(&mut self, mut done: impl FnMut(&World<P>) -> bool, at_most_us: u64) -> bool {
        let end_ns = self.now_ns + at_most_us * 1000;
        while !done(self) {
            let Some(event) = self.queue.pop_until(end_ns) else {
                self.now_ns = end_ns;
                return false;
            };
            self.happen(event);
        }
        true
    }

    /// Whether nothing at all is going to happen any more.
    pub fn is_at_rest(&self) -> bool {
        self.queue.len() == 0
    }

    /// Stops a replica: its state, its timers and what is on its way to it are
    /// lost, and so is what others send it until it is started again.
    pub fn crash(&mut self, id: ReplicaId) {
        self.change(id, Change::Crashed);
        let node = &mut self.nodes[usize::from(id.0)];
        node.down = true;
        node.timers.clear();
        for parcel in self.servers.clear(id) {
            self.release(parcel);
        }
        self.clients.take_held(id);
    }

    /// Starts a replica again, without what it knew. Its behaviours stay.
    pub fn restart(&mut self, id: ReplicaId) {
        self.change(id, Change::Restarted);
        let replica = (self.make)(id, Memory::Lost);
        let now_ns = self.now_ns;
        let node = &mut self.nodes[usize::from(id.0)];
        let behaviours = node.replica.behaviours().to_vec();
        node.replica = Adversary::new(replica, behaviours);
        node.timers.clear();
        node.log.clear();
        node.down = false;
        node.up_since_ns = now_ns;
        self.start(id);
    }

    fn change(&mut self, replica: ReplicaId, change: Change) {
        let at_us = self.now_us();
        let marks = self.trace.marks.len();
        self.trace.lifecycle.push(Lifecycle { at_us, replica, change, marks });
    }

    /// Replaces a node's behaviours.
    pub fn set_behaviours(&mut self, id: ReplicaId, behaviours: Vec<Behaviour>) {
        if !behaviours.is_empty() {
            self.trace.faulty.insert(id.0);
        }
        self.nodes[usize::from(id.0)].replica.set_behaviours(behaviours);
    }

    /// Replaces the network; what is on its way is not affected.
    ///
    /// # Panics
    ///
    /// If it cannot be meant: check it first.
    pub fn set_network(&mut self, network: &Network) {
        self.wires.change(network).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Delivers a message that no replica sent: for forgeries made by hand.
    pub fn inject(&mut self, from: ReplicaId, to: ReplicaId, message: P::Message) {
        let counted = Counted { kind: message.kind(), agreement: false, bytes: 0 };
        let tag = self.digest.tag(&message).0;
        let parcel = Parcel::Message { from, body: Body::Raw(message), counted, tag };
        let place = self.parcels.put(Sent { parcel, copies: 1, at_ns: self.now_ns });
        self.reach(to, place);
    }

    /// Tells `observer` of all marks and rejections from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    // ---- Time goes on ----

    fn happen(&mut self, event: Event) {
        self.now_ns = event.at_ns;
        if event.to != EVERYONE {
            self.reach(ReplicaId(event.to), event.parcel);
            return;
        }
        let Parcel::Message { from, .. } = self.parcels.get(event.parcel).parcel else {
            unreachable!("only messages go to everyone");
        };
        for to in self.cluster.replicas() {
            if to != from {
                self.reach(to, event.parcel);
            }
        }
    }

    /// A parcel reaches its node, which works on it at once or when it has time.
    fn reach(&mut self, to: ReplicaId, place: u32) {
        let node = &self.nodes[usize::from(to.0)];
        let sent = self.parcels.get(place);
        match sent.parcel {
            Parcel::Done => {
                self.release(place);
                self.servers.done(to);
                self.work_on();
            }
            Parcel::Message { .. } | Parcel::Reply { .. } if node.down || sent.at_ns < node.up_since_ns => {
                self.release(place);
            }
            // These are its clients', who are elsewhere.
            Parcel::Due | Parcel::GiveUp { .. } => self.perform(to, place),
            Parcel::Remind(_) if node.down => self.perform(to, place),
            _ if self.costs.is_free() => self.perform(to, place),
            _ => {
                self.servers.queue(to, place);
                self.work_on();
            }
        }
    }

    /// Nodes that have work and a core begin with it.
    fn work_on(&mut self) {
        while let Some((id, place)) = self.servers.next() {
            self.spent_ns = 0;
            self.perform(id, place);
            let spent_ns = std::mem::take(&mut self.spent_ns);
            self.later(spent_ns, id, Parcel::Done);
        }
    }

    /// A node takes a parcel.
    fn perform(&mut self, to: ReplicaId, place: u32) {
        if let Parcel::Message { from, counted, tag, .. } = self.parcels.get(place).parcel {
            self.digest.note(self.now_ns, from.0, to.0, tag);
            self.counts.received(self.roles.of(to), to, counted);
            self.spent_ns += self.costs.message_ns(counted.bytes);
            if let Some(input) = self.admit(to, place) {
                self.step(to, Input::Deliver { from, message: input });
            }
            return;
        }
        match self.parcels.take(place).parcel {
            Parcel::Message { .. } | Parcel::Done => unreachable!("handled above"),
            Parcel::Reply { bundle, counted } => {
                if counted.bytes > 0 {
                    self.counts.received(self.roles.of(to), to, counted);
                    self.spent_ns += self.costs.message_ns(counted.bytes);
                }
                self.take_reply(to, &bundle);
            }
            Parcel::Bundle => {
                let requests = self.clients.take_held(to);
                if !requests.is_empty() {
                    self.hand_over(to, requests);
                }
            }
            Parcel::Remind(bundle) => self.remind(to, bundle),
            Parcel::Expire { timer, generation } => {
                let node = &mut self.nodes[usize::from(to.0)];
                if node.timers.get(&timer) == Some(&generation) {
                    node.timers.remove(&timer);
                    self.step(to, Input::Expire(timer));
                }
            }
            Parcel::Due => self.next_request(to),
            Parcel::GiveUp { session, counter } => self.give_up(session, counter),
        }
    }

    /// Lets a message in, or not.
    fn admit(&mut self, to: ReplicaId, place: u32) -> Option<Verified<P::Message>> {
        let rejection = if !self.metered {
            let shared = &mut self.admissions[0];
            let sent = self.parcels.get(place);
            let Parcel::Message { from, body, .. } = &mut sent.parcel else {
                unreachable!("only messages are admitted");
            };
            body.settle(|message| shared.admit(*from, message));
            match self.hand_out(place) {
                Body::Admitted(message) => return Some(message),
                Body::Refused(rejection) => rejection,
                Body::Raw(_) | Body::AtTheDoor => unreachable!("admitted above"),
            }
        } else {
            let Parcel::Message { from, .. } = self.parcels.get(place).parcel else {
                unreachable!("only messages are admitted");
            };
            let Body::Raw(message) = self.hand_out(place) else {
                unreachable!("each node admits for itself");
            };
            let admission = &mut self.admissions[usize::from(to.0)];
            let before = admission.signatures_checked();
            let admitted = admission.admit(from, message);
            self.spent_ns += self.costs.verifying_ns(admission.signatures_checked() - before);
            match admitted {
                Ok(message) => return Some(message),
                Err(rejection) => rejection,
            }
        };
        self.counts.by_node[usize::from(to.0)].rejected += 1;
        self.trace.caught.insert(rejection.from);
        self.tell(to, Seen::Rejection(&rejection));
        None
    }

    /// One copy of a message; the last one is the message itself.
    fn hand_out(&mut self, place: u32) -> Body<P::Message> {
        let sent = self.parcels.get(place);
        sent.copies -= 1;
        if sent.copies > 0 {
            let Parcel::Message { body, .. } = &sent.parcel else {
                unreachable!("only messages have copies");
            };
            return body.clone();
        }
        match self.parcels.take(place).parcel {
            Parcel::Message { body, .. } => body,
            _ => unreachable!("only messages have copies"),
        }
    }

    /// Drops one copy of a parcel.
    fn release(&mut self, place: u32) {
        let sent = self.parcels.get(place);
        sent.copies -= 1;
        if sent.copies == 0 {
            self.parcels.take(place);
        }
    }

    fn step(&mut self, id: ReplicaId, input: Input<Adversary<P>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let node = &mut self.nodes[usize::from(id.0)];
        let made = node.signer.signatures_made();
        let mut cx = Context::new(&self.cluster, &node.signer, &mut self.choose, &mut effects)
            .at(Micros(self.now_ns / 1000));
        node.replica.step(&mut cx, input);
        self.spent_ns += self.costs.signing_ns(node.signer.signatures_made() - made);
        for effect in effects.drain(..) {
            self.carry_out(id, effect);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, id: ReplicaId, effect: Effect<Adversary<P>>) {
        match effect {
            Effect::Send { to, message } => self.send(id, to, message),
            Effect::SetTimer { timer, after } => {
                self.generations += 1;
                let generation = self.generations;
                self.nodes[usize::from(id.0)].timers.insert(timer, generation);
                self.later(after.0 * 1000, id, Parcel::Expire { timer, generation });
            }
            Effect::CancelTimer(timer) => {
                self.nodes[usize::from(id.0)].timers.remove(&timer);
            }
            Effect::Reply { to, bundle } => self.reply(id, to, bundle),
            Effect::Reject(rejection) => {
                self.counts.by_node[usize::from(id.0)].rejected += 1;
                if rejection.reason.is_offence() {
                    self.trace.caught.insert(rejection.from);
                }
                self.tell(id, Seen::Rejection(&rejection));
            }
            Effect::Mark(mark) => self.note(id, mark),
        }
    }

    fn tell(&mut self, id: ReplicaId, seen: Seen<'_>) {
        if let Some(observer) = &mut self.observer {
            observer(self.now_ns, id, seen);
        }
    }

    fn note(&mut self, id: ReplicaId, mark: Mark) {
        match mark {
            Mark::Executed { seq, digest, requests, .. } => {
                let digest = digest.to_string();
                self.nodes[usize::from(id.0)].log.push(Executed { seq: seq.0, digest, requests });
            }
            Mark::Committed { path, .. } => *self.paths.entry(path).or_default() += 1,
            Mark::VoteReceived { author, contradicts: true, .. } => {
                self.trace.caught.insert(author);
            }
            Mark::Proposed { communication_node, .. } => {
                self.roles = Roles { commander: id, communication_node };
            }
            _ => {}
        }
        self.tell(id, Seen::Mark(&mark));
        if self.record {
            self.trace.marks.push(Stamped { at_us: self.now_ns / 1000, replica: id, mark });
        }
    }

    // ---- On the way ----

    fn later(&mut self, after_ns: u64, to: ReplicaId, parcel: Parcel<P>) {
        let at_ns = self.now_ns + self.spent_ns + after_ns;
        let place = self.parcels.put(Sent { parcel, copies: 1, at_ns: self.now_ns });
        self.queue.push(Event { at_ns, to: to.0, parcel: place });
    }

    fn send(&mut self, from: ReplicaId, to: To, message: P::Message) {
        if self.metered {
            self.admissions[usize::from(from.0)].vouch(from, &message);
        }
        let (tag, bytes) = self.digest.tag(&message);
        let counted = Counted { kind: message.kind(), agreement: message.class().is_agreement(), bytes };
        let copies = match to {
            To::One(_) => 1,
            To::All => u32::from(self.cluster.n) - 1,
        };
        if copies == 0 {
            return;
        }
        self.counts.sent(self.roles.of(from), from, u64::from(copies), counted);
        let parcel = Parcel::Message { from, body: Body::Raw(message), counted, tag };
        let place = self.parcels.put(Sent { parcel, copies, at_ns: self.now_ns });
        let cost_ns = self.costs.message_ns(bytes);
        match to {
            To::One(to) => self.dispatch(from, to, bytes, cost_ns, place),
            To::All => {
                if cost_ns == 0
                    && let Some(delay_ns) = self.wires.same_for_all(self.now_ns + self.spent_ns)
                {
                    let at_ns = self.now_ns + self.spent_ns + delay_ns;
                    self.queue.push(Event { at_ns, to: EVERYONE, parcel: place });
                    return;
                }
                for to in self.cluster.replicas() {
                    if to != from {
                        self.dispatch(from, to, bytes, cost_ns, place);
                    }
                }
            }
        }
    }

    /// One copy goes on its way: it may get lost, or become two.
    fn dispatch(&mut self, from: ReplicaId, to: ReplicaId, bytes: usize, cost_ns: u64, place: u32) {
        self.spent_ns += cost_ns;
        let arrivals = self.wires.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes);
        match arrivals {
            [None, _] => self.release(place),
            [Some(at_ns), second] => {
                self.queue.push(Event { at_ns, to: to.0, parcel: place });
                if let Some(at_ns) = second {
                    self.parcels.get(place).copies += 1;
                    self.queue.push(Event { at_ns, to: to.0, parcel: place });
                }
            }
        }
    }

    fn reply(&mut self, from: ReplicaId, to: ReplicaId, bundle: ReplyBundle) {
        if to == from {
            let counted = Counted { kind: "reply", agreement: false, bytes: 0 };
            self.later(0, to, Parcel::Reply { bundle, counted });
            return;
        }
        let (_, bytes) = self.digest.tag(&bundle);
        let counted = Counted { kind: "reply", agreement: false, bytes };
        self.counts.sent(self.roles.of(from), from, 1, counted);
        let parcel = Parcel::Reply { bundle, counted };
        let place = self.parcels.put(Sent { parcel, copies: 1, at_ns: self.now_ns });
        self.spent_ns += self.costs.message_ns(bytes);
        // A second copy of a reply would count for nothing.
        match self.wires.carry(from.0, to.0, self.now_ns + self.spent_ns, bytes) {
            [Some(at_ns), _] => self.queue.push(Event { at_ns, to: to.0, parcel: place }),
            [None, _] => self.release(place),
        }
    }

    // ---- Clients ----

    fn request(
        &mut self,
        (session, counter): (SessionId, u64),
        operation: Operation,
        at_us: u64,
        of_load: bool,
    ) -> Request {
        let request = self.trace.submitted.len();
        let gateway = session.gateway;
        self.trace.submitted.push(Submitted { request, session, counter, gateway, at_us });
        self.clients.expect(request, session, counter, of_load);
        Request { session, counter, operation }
    }

    /// A gateway takes requests in: it hands them over at once, or when it has
    /// time.
    fn take_in(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        if self.costs.is_free() {
            self.hand_over(gateway, requests);
            return;
        }
        for request in requests {
            if self.clients.hold(request) {
                self.later(0, gateway, Parcel::Bundle);
            }
        }
    }

    /// A gateway signs requests and hands them to its replica.
    fn hand_over(&mut self, gateway: ReplicaId, requests: Vec<Request>) {
        let signer = &self.nodes[usize::from(gateway.0)].signer;
        let bundle = Arc::new(Bundle::sign(&self.cluster, signer, requests));
        self.spent_ns += self.costs.signing_ns(1);
        self.later(self.patience_ns, gateway, Parcel::Remind(Arc::clone(&bundle)));
        if !self.nodes[usize::from(gateway.0)].down {
            self.step(gateway, Input::Submit(bundle));
        }
    }

    fn remind(&mut self, gateway: ReplicaId, bundle: Arc<Bundle>) {
        let mut requests = bundle.requests().iter();
        if requests.any(|request| self.clients.awaits(request.session, request.counter)) {
            self.later(self.patience_ns, gateway, Parcel::Remind(Arc::clone(&bundle)));
            if !self.nodes[usize::from(gateway.0)].down {
                self.step(gateway, Input::Submit(bundle));
            }
        }
    }

    fn take_reply(&mut self, gateway: ReplicaId, bundle: &ReplyBundle) {
        // As a node does: what nobody waits for is not checked, nor one's own.
        let waits = |reply: &Reply| self.clients.awaits(reply.session, reply.counter);
        if !bundle.replies.iter().any(waits) {
            return;
        }
        let own = bundle.replica == gateway;
        if !own {
            self.spent_ns += self.costs.verifying_ns(1);
        }
        let place = if self.metered { usize::from(gateway.0) } else { 0 };
        let admission = &mut self.admissions[place];
        let valid = own || admission.check(&bundle.claim(&self.cluster));
        if !valid || bundle.gateway != gateway {
            self.trace.caught.insert(bundle.replica);
            return;
        }
        let at_us = (self.now_ns + self.spent_ns) / 1000;
        for accepted in self.clients.count(bundle, at_us) {
            self.trace.accepted.push(accepted.outcome);
            if accepted.of_load {
                self.request_is_over(accepted.gateway);
            }
        }
    }

    // ---- The load ----

    fn begin_load(&mut self, load: Load) {
        assert!(!load.gateways.is_empty(), "a load needs a gateway");
        let clients = match load.pace {
            Pace::Closed { clients } => clients,
            Pace::Open { .. } => 1,
        };
        let gateways = load.gateways.clone();
        self.clients.load = Some(LoadRun { load, begun: 0, over: 0 });
        for client in 0..clients {
            let gateway = ReplicaId(gateways[client % gateways.len()]);
            self.later(0, gateway, Parcel::Due);
        }
    }

    /// The load's next request comes to a gateway, if there is one left.
    fn next_request(&mut self, gateway: ReplicaId) {
        let Some(run) = self.clients.load.as_mut().filter(|run| run.begun < run.load.requests) else {
            return;
        };
        let number = run.begun;
        run.begun += 1;
        let operation = run.load.operation(number);
        let timeout_ns = run.load.timeout_us * 1000;
        if let Some(due_ns) = run.load.due_ns(run.begun).filter(|_| run.begun < run.load.requests) {
            let gateway = run.load.gateways[run.begun as usize % run.load.gateways.len()];
            let after_ns = (self.load_began_ns + due_ns).saturating_sub(self.now_ns);
            self.later(after_ns, ReplicaId(gateway), Parcel::Due);
        }
        let (session, counter) = self.clients.free_session(gateway);
        let at_us = self.now_us();
        let request = self.request((session, counter), operation, at_us, true);
        self.later(timeout_ns, gateway, Parcel::GiveUp { session, counter });
        if self.clients.hold(request) {
            self.later(0, gateway, Parcel::Bundle);
        }
    }

    fn give_up(&mut self, session: SessionId, counter: u64) {
        if let Some(request) = self.clients.give_up(session, counter) {
            self.trace.timed_out.push(request);
            self.request_is_over(session.gateway);
        }
    }

    /// A client of the load has its answer, or goes on without one.
    fn request_is_over(&mut self, gateway: ReplicaId) {
        let Some(run) = self.clients.load.as_mut() else {
            return;
        };
        run.over += 1;
        if run.load.due_ns(0).is_none() {
            self.later(0, gateway, Parcel::Due);
        }
    }

    // ---- What happened ----

    /// Virtual microseconds since the beginning.
    pub fn now_us(&self) -> u64 {
        self.now_ns / 1000
    }

    /// What happened, for judges.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Results that clients accepted, in the order of acceptance.
    pub fn accepted(&self) -> &[Outcome] {
        &self.trace.accepted
    }

    /// Requests submitted.
    pub fn submitted(&self) -> usize {
        self.trace.submitted.len()
    }

    /// The log of one replica, since it was started last.
    pub fn log(&self, id: u16) -> &[Executed] {
        &self.nodes[usize::from(id)].log
    }

    /// The replica itself, for a look at its state.
    pub fn replica(&self, id: u16) -> &P {
        self.nodes[usize::from(id)].replica.inner()
    }

    /// Whether the node was crashed and not started again.
    pub fn is_down(&self, id: u16) -> bool {
        self.nodes[usize::from(id)].down
    }

    /// Messages sent, by kind, `reply` among them.
    pub fn messages(&self) -> BTreeMap<&'static str, u64> {
        self.counts.by_kind.iter().map(|(kind, volume)| (*kind, volume.messages)).collect()
    }

    /// Messages and bytes sent, by kind.
    pub fn by_kind(&self) -> &BTreeMap<&'static str, Volume> {
        &self.counts.by_kind
    }

    /// Messages and bytes sent and received, by the role of the node at that
    /// moment: the last proposal tells who leads and who collects votes.
    pub fn by_role(&self) -> &BTreeMap<Role, RoleTraffic> {
        &self.counts.by_role
    }

    /// What one node sent and received.
    pub fn traffic(&self, id: u16) -> &Traffic {
        &self.counts.by_node[usize::from(id)]
    }

    /// Messages delivered.
    pub fn delivered(&self) -> u64 {
        self.counts.delivered
    }

    /// Messages of the agreement sent: proposals, votes, certificates.
    pub fn agreement_messages(&self) -> u64 {
        self.counts.by_node.iter().map(|node| node.agreement_out.messages).sum()
    }

    /// Commits by path, over all replicas.
    pub fn paths(&self) -> &BTreeMap<Path, u64> {
        &self.paths
    }

    /// Replicas that sent something invalid or contradictory.
    pub fn caught(&self) -> Vec<u16> {
        self.trace.caught.iter().map(|id| id.0).collect()
    }

    /// Signatures that one replica made, and those that it checked; with symbolic
    /// signatures that cost nothing, all checks are done once, by replica 0.
    pub fn signatures(&self, id: u16) -> (u64, u64) {
        let checked = self.admissions.get(usize::from(id)).map_or(0, Admission::signatures_checked);
        (self.nodes[usize::from(id)].signer.signatures_made(), checked)
    }

    /// Digest of every delivery, in order.
    pub fn digest(&self) -> Digest {
        self.digest.value()
    }

    /// Judges the run: agreement among replicas without behaviours, validity.
    pub fn judge(&self) -> Result<(), String> {
        if !self.trace.marks.is_empty() {
            return crate::oracles::check_results(&self.trace).map_err(|violation| violation.to_string());
        }
        let honest = self.nodes.iter().filter(|node| node.replica.behaviours().is_empty());
        let logs: Vec<(u16, &[Executed])> =
            honest.map(|node| (node.signer.id().0, node.log.as_slice())).collect();
        crate::oracles::logs::check(&logs)?;
        crate::oracles::validity::check_accepted(&self.trace)
    }
}
