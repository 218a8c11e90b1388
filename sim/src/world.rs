//! Replicas, their clients and the network between them, under virtual time.

mod gateways;
mod interventions;
mod iteration;
mod journals;
mod observing;
mod sending;
mod views;

use crate::clients::{Clients, Load};
use crate::costs::{Costs, PER_ITERATION};
use crate::counts::{CountedMessage, Counts, Roles};
use crate::digest::RunDigest;
use crate::disk::NodeDisk;
use crate::links::Links;
use crate::network::Network;
use crate::queue::{EVERYONE, Event, Queue, Slab};
use crate::server::Servers;
use crate::setup::{Memory, Setup, Signatures};
use crate::trace::{Change, Executed, Lifecycle, Stamped, Trace};
use adversary::{Adversary, Behaviour};
use gateways::Session;
pub use interventions::Intervention;
use iteration::Iteration;
use kernel::{
    Admission, Cluster, Context, Effect, Input, Keyring, Mark, Micros, Observation, Operation, Path,
    Protocol, Rejection, ReplicaId, ReplyBundle, SeededChoice, Signer, Verified, Wire as _,
};
pub use observing::Alteration;
use observing::Observing;
use std::collections::BTreeMap;

type Timer<P> = <Adversary<P> as Protocol>::Timer;

/// What is in transit to a node, be it from another or from itself.
pub(crate) enum Envelope<P: Protocol> {
    Message {
        from: ReplicaId,
        /// Else it is to one replica.
        is_to_all: bool,
        body: Body<P::Message>,
        counted: CountedMessage,
        tag: u64,
    },
    Reply {
        from: ReplicaId,
        bundle: ReplyBundle,
        counted: CountedMessage,
    },
    /// A gateway hands over what its clients asked since the last time.
    Bundle,
    /// A gateway looks which requests wait for too long.
    Alarm,
    Expire {
        timer: Timer<P>,
        generation: u64,
    },
    /// The next request of the load is due at this gateway.
    Due,
    /// The node has done its work.
    Done,
    /// The node's disk has synced what was written, or failed to.
    Synced {
        write: u64,
    },
    /// What the node noted may have waited for long.
    Look,
    /// The node's replica has been saved.
    Saved {
        save: u64,
    },
    /// The user of the world intervenes.
    Intervene(Box<Intervention>),
}

/// A message, admitted or not, once for all receivers: admission depends on
/// nothing but the message, its sender, the cluster and the keys, unless requests have tags.
#[derive(Clone)]
pub(crate) enum Body<M> {
    Raw(M),
    Admitted(Verified<M>),
    /// The message is kept only where messages are observed.
    Refused(Option<M>, Rejection),
    /// A placeholder while it is being admitted.
    BeingAdmitted,
}

impl<M: Clone> Body<M> {
    /// Admits what is not yet admitted.
    fn admit_once(&mut self, keep: bool, admit: impl FnOnce(M) -> Result<Verified<M>, Rejection>) {
        if let Body::Raw(_) = self
            && let Body::Raw(message) = std::mem::replace(self, Body::BeingAdmitted)
        {
            let kept = keep.then(|| message.clone());
            *self = match admit(message) {
                Ok(message) => Body::Admitted(message),
                Err(rejection) => Body::Refused(kept, rejection),
            };
        }
    }
}

/// An envelope and how many copies of it are still to be delivered.
struct InFlight<P: Protocol> {
    envelope: Envelope<P>,
    copies: u32,
    at_ns: u64,
    /// The ordinal of the first copy, for messages and replies; those of the other
    /// recipients follow it in ascending order of their ids.
    first_copy: u64,
}

struct Node<P: Protocol> {
    replica: Adversary<P>,
    signer: Signer,
    /// Those that run: by which event they end, and for how long they were set.
    timers: BTreeMap<Timer<P>, (u64, Micros)>,
    /// None: a crash takes all.
    disk: Option<NodeDisk<P>>,
    log: Vec<Executed>,
    down: bool,
    /// When it was started last; what was sent to it before is lost.
    up_since_ns: u64,
}

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
    envelopes: Slab<InFlight<P>>,
    servers: Servers,
    links: Links,
    choose: SeededChoice,
    disk_choose: SeededChoice,
    clients: Clients,
    counts: Counts,
    roles: Roles,
    paths: BTreeMap<Path, u64>,
    trace: Trace,
    digest: RunDigest,
    observation: Observing<P::Message>,
    record: bool,
    costs: Costs,
    bundle_max: usize,
    now_ns: u64,
    load_began_ns: u64,
    generations: u64,
    /// What the node at work has spent on the work at hand.
    spent_ns: u64,
    /// What all nodes have spent so far.
    worked_ns: u64,
    iteration: Iteration,
    effects: Vec<Effect<Adversary<P>>>,
}

/// Real keys; those for shares take long to make, and only one flow needs them.
#[cfg(not(target_family = "wasm"))]
fn keys(cluster: &Cluster, seed: u64) -> (Vec<Signer>, Keyring) {
    match cluster.has_shares() {
        true => kernel::keys::seeded_with_shares(seed, cluster.n),
        false => kernel::keys::seeded(seed, cluster.n),
    }
}

#[cfg(target_family = "wasm")]
fn keys(cluster: &Cluster, seed: u64) -> (Vec<Signer>, Keyring) {
    kernel::keys::seeded(seed, cluster.n)
}

/// One admission for all nodes where it does not matter who checks what: else
/// each remembers what it has checked itself.
fn admissions(cluster: &Cluster, signers: &[Signer], keyring: &Keyring, metered: bool) -> Vec<Admission> {
    let receivers = if metered { signers } else { &signers[..1] };
    let admission = |signer| Admission::new(cluster.clone(), keyring.clone()).of_receiver(signer);
    receivers.iter().map(admission).collect()
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
            Signatures::Ed25519 => keys(&cluster, seed),
        };
        let metered = setup.signatures == Signatures::Ed25519
            || setup.costs.iteration.is_some()
            || setup.costs.verify_us > 0.0
            || setup.costs.share_verify_us > 0.0
            || cluster.requests_have_tags();
        // Draws of the network and of the replicas do not disturb each other.
        let links = Links::new(&network, cluster.n, SeededChoice::new(seed ^ 0x006e_6574_776f_726b))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut world = World {
            admissions: admissions(&cluster, &signers, &keyring, metered),
            metered,
            make: Box::new(make),
            nodes: Vec::new(),
            queue: Queue::new(),
            envelopes: Slab::new(),
            servers: Servers::new(cluster.n, setup.costs.cores),
            links,
            choose: SeededChoice::new(seed),
            disk_choose: SeededChoice::new(seed ^ 0x0064_6973_6b73),
            clients: Clients::new(&cluster, setup.replies_needed, setup.remind_after_us.saturating_mul(1000)),
            counts: Counts::new(cluster.n),
            roles: Roles::default(),
            paths: BTreeMap::new(),
            trace: Trace::new(cluster.clone(), setup.results_are_places),
            digest: RunDigest::new(),
            observation: Observing::default(),
            record: setup.record,
            costs: setup.costs.with_tags(cluster.has_tags()),
            bundle_max: setup.bundle_max.max(1),
            now_ns: 0,
            load_began_ns: 0,
            generations: 0,
            spent_ns: 0,
            worked_ns: 0,
            iteration: Iteration::default(),
            effects: Vec::new(),
            cluster,
        };
        world.begin(signers, &setup.faults);
        if let Some(disk) = setup.disk {
            world.begin_journals(&disk, &setup.disk_faults);
        }
        world.start_all();
        world
    }

    fn begin(&mut self, signers: Vec<Signer>, faults: &[(u16, Vec<Behaviour>)]) {
        for signer in signers {
            let id = signer.id();
            let own = faults.iter().filter(|(faulty, _)| *faulty == id.0);
            let behaviours: Vec<Behaviour> = own.flat_map(|(_, behaviours)| behaviours.clone()).collect();
            self.note_behaviours(id, &behaviours);
            self.nodes.push(Node {
                replica: Adversary::new((self.make)(id, Memory::Fresh), behaviours),
                signer,
                timers: BTreeMap::new(),
                disk: None,
                log: Vec::new(),
                down: false,
                up_since_ns: 0,
            });
        }
    }

    fn start_all(&mut self) {
        // Until the first proposal tells more.
        let views = self.nodes.first().and_then(|node| node.replica.status(&self.cluster).views);
        self.roles.commander = views.map(|views| views.commander);
        for id in self.cluster.replicas() {
            self.start(id);
        }
    }

    /// Starting costs nothing.
    fn start(&mut self, id: ReplicaId) {
        self.step(id, Input::Start);
        self.spent_ns = 0;
    }

    // ---- Controlling a run ----

    /// A client of `gateway` asks for an operation; each request has a session
    /// of its own. Returns the request's number.
    pub fn submit(&mut self, gateway: ReplicaId, operation: &[u8]) -> usize {
        self.submit_all(gateway, &[operation])
    }

    /// Clients of `gateway` ask for operations that travel in one bundle, each
    /// in a session of its own. Returns the first request's number.
    pub fn submit_all(&mut self, gateway: ReplicaId, operations: &[&[u8]]) -> usize {
        self.ask(gateway, Session::New, operations)
    }

    /// The same, in sessions that were used before where the gateway has such
    /// without a request in flight: their counters go on.
    pub fn submit_again(&mut self, gateway: ReplicaId, operations: &[&[u8]]) -> usize {
        self.ask(gateway, Session::Free, operations)
    }

    fn ask(&mut self, gateway: ReplicaId, session: Session, operations: &[&[u8]]) -> usize {
        let first = self.trace.submitted.len();
        let open = |bytes: &&[u8]| self.open(gateway, session, Operation::new(bytes), None);
        let requests = operations.iter().map(open).collect();
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
            self.handle(event);
        }
        self.now_ns = end_ns;
    }

    /// After how long gateways hand requests over again, of those that come from now on.
    pub fn set_remind_after_us(&mut self, remind_after_us: u64) {
        self.clients.set_remind_after(remind_after_us.saturating_mul(1000));
    }

    /// Runs until `done` says so, and at most so long. Says whether it did.
    pub fn run_until(&mut self, mut done: impl FnMut(&World<P>) -> bool, at_most_us: u64) -> bool {
        let end_ns = self.now_ns + at_most_us * 1000;
        while !done(self) {
            let Some(event) = self.queue.pop_until(end_ns) else {
                self.now_ns = end_ns;
                return false;
            };
            self.handle(event);
        }
        true
    }

    /// Whether no event is left to happen.
    pub fn is_idle(&self) -> bool {
        self.queue.len() == 0
    }

    /// Stops a replica by a loss of power: its state, its timers and what is in transit to it are
    /// lost, and so is what others send it until it is started again. On its disk, if it
    /// has one, stays what was synced, and maybe more.
    pub fn crash(&mut self, id: ReplicaId) {
        self.stop(id);
        if let Some(disk) = &mut self.nodes[usize::from(id.0)].disk {
            disk.lose_power(&mut self.disk_choose);
        }
    }

    fn stop(&mut self, id: ReplicaId) {
        self.change(id, Change::Crashed);
        let node = &mut self.nodes[usize::from(id.0)];
        node.down = true;
        node.timers.clear();
        for envelope in self.servers.clear(id) {
            self.drop_copy(envelope);
        }
        self.clients.at(id).submissions.clear();
        self.stop_journal(id);
    }

    /// Starts a replica again: as it was by its journal, or without what it knew. Its behaviours stay.
    ///
    /// # Panics
    ///
    /// If it has a journal on a disk that does not lie, and by that it is not as it was.
    pub fn restart(&mut self, id: ReplicaId) {
        if self.resume(id) {
            return;
        }
        self.change(id, Change::Restarted);
        let replica = (self.make)(id, Memory::Lost);
        let now_ns = self.now_ns;
        let node = &mut self.nodes[usize::from(id.0)];
        let behaviours = node.replica.behaviours().to_vec();
        node.replica = Adversary::new(replica, behaviours);
        if let Some(disk) = &mut node.disk {
            disk.begin(node.replica.clone(), Micros(now_ns / 1000));
        }
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

    fn note_behaviours(&mut self, id: ReplicaId, behaviours: &[Behaviour]) {
        for behaviour in behaviours {
            let nodes =
                if behaviour.keeps_rules() { &mut self.trace.damaged } else { &mut self.trace.faulty };
            nodes.insert(id.0);
        }
    }

    /// Replaces a node's behaviours.
    pub fn set_behaviours(&mut self, id: ReplicaId, behaviours: Vec<Behaviour>) {
        self.note_behaviours(id, &behaviours);
        let now = Micros(self.now_ns / 1000);
        let node = &mut self.nodes[usize::from(id.0)];
        if let Some(disk) = node.disk.as_mut().filter(|_| !node.down) {
            disk.note_faults(&behaviours, now);
        }
        node.replica.set_behaviours(behaviours);
        if !node.down {
            self.step(id, Input::Expire(Adversary::<P>::BEHAVIOURS_CHANGED));
        }
    }

    /// Replaces the network; what is in transit is not affected.
    ///
    /// # Panics
    ///
    /// If it cannot be meant: check it first.
    pub fn set_network(&mut self, network: &Network) {
        self.links.change(network).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Delivers a message that no replica sent: for forgeries made by hand.
    pub fn inject(&mut self, from: ReplicaId, to: ReplicaId, message: P::Message) {
        let counted = CountedMessage { kind: message.kind(), agreement: false, bytes: 0 };
        let tag = self.digest.tag(&message).0;
        let envelope = Envelope::Message { from, is_to_all: false, body: Body::Raw(message), counted, tag };
        let first_copy = self.observation.number_copies(1);
        let key = self.envelopes.insert(InFlight { envelope, copies: 1, at_ns: self.now_ns, first_copy });
        self.arrive(to, key);
    }

    // ---- Handling events ----

    fn handle(&mut self, event: Event) {
        self.now_ns = event.at_ns;
        if event.to != EVERYONE {
            self.arrive(ReplicaId(event.to), event.envelope);
            return;
        }
        let Envelope::Message { from, .. } = self.envelopes.get_mut(event.envelope).envelope else {
            unreachable!("only messages go to everyone");
        };
        for to in self.cluster.replicas() {
            if to != from {
                self.arrive(to, event.envelope);
            }
        }
    }

    /// An envelope reaches its node, which works on it at once or when it has time.
    fn arrive(&mut self, to: ReplicaId, key: u32) {
        let node = &self.nodes[usize::from(to.0)];
        let sent = self.envelopes.get_mut(key);
        match sent.envelope {
            Envelope::Done => {
                self.drop_copy(key);
                self.servers.done(to);
                self.run_ready_nodes();
            }
            Envelope::Message { .. } | Envelope::Reply { .. }
                if node.down || sent.at_ns < node.up_since_ns =>
            {
                self.drop_copy(key);
            }
            Envelope::Message { .. } | Envelope::Reply { .. } => {
                if self.observation.includes_messages() {
                    self.observe_arrival(to, key);
                }
                self.process(to, key);
            }
            Envelope::Intervene(_) => self.handle_envelope(to, key),
            // Its clients are elsewhere.
            Envelope::Due => self.handle_envelope(to, key),
            Envelope::Alarm if node.down => self.handle_envelope(to, key),
            _ => self.process(to, key),
        }
    }

    /// A node handles an envelope, at once or when it has time.
    fn process(&mut self, to: ReplicaId, key: u32) {
        if self.costs.is_free() {
            self.handle_envelope(to, key);
        } else {
            self.servers.queue(to, key);
            self.run_ready_nodes();
        }
    }

    /// Nodes that have work and a core begin with it.
    fn run_ready_nodes(&mut self) {
        while let Some((id, envelopes)) = self.servers.next(self.costs.iteration.map_or(1, |_| PER_ITERATION))
        {
            self.spent_ns = 0;
            self.begin_iteration();
            envelopes.into_iter().for_each(|key| self.handle_envelope(id, key));
            self.end_iteration(id);
            self.write_journal(id);
            let spent_ns = std::mem::take(&mut self.spent_ns);
            self.worked_ns += spent_ns;
            self.schedule(spent_ns, id, Envelope::Done);
        }
    }

    /// A node takes an envelope.
    fn handle_envelope(&mut self, to: ReplicaId, key: u32) {
        if let Envelope::Message { from, counted, tag, .. } = self.envelopes.get_mut(key).envelope {
            self.digest.note(self.now_ns, from.0, to.0, tag);
            self.counts.received(self.roles.of(to), to, counted);
            self.spent_ns += self.costs.message_ns(counted.bytes);
            self.read_from(from);
            if let Some(input) = self.admit(to, key) {
                self.step(to, Input::Deliver { from, message: input });
            }
            return;
        }
        match self.envelopes.remove(key).envelope {
            Envelope::Message { .. } | Envelope::Done => unreachable!("handled above"),
            Envelope::Synced { write } => self.synced(to, write),
            Envelope::Look => self.look(to),
            Envelope::Saved { save } => self.saved(to, save),
            Envelope::Reply { from, bundle, counted } => {
                if from != to {
                    self.counts.received(self.roles.of(to), to, counted);
                    self.spent_ns += self.costs.message_ns(counted.bytes);
                    self.read_from(from);
                }
                self.take_reply(to, from, &bundle);
            }
            Envelope::Bundle => self.bundle(to),
            Envelope::Alarm => self.ring(to),
            Envelope::Expire { timer, generation } => {
                let node = &mut self.nodes[usize::from(to.0)];
                if node.timers.get(&timer).is_some_and(|(set, _)| *set == generation) {
                    node.timers.remove(&timer);
                    self.step(to, Input::Expire(timer));
                }
            }
            Envelope::Intervene(intervention) => self.intervene(*intervention),
            Envelope::Due => self.next_request(to),
        }
    }

    /// Lets a message in, or not.
    fn admit(&mut self, to: ReplicaId, key: u32) -> Option<Verified<P::Message>> {
        let rejection = if !self.metered {
            let keep = self.observation.includes_messages();
            let shared = &mut self.admissions[0];
            let sent = self.envelopes.get_mut(key);
            let Envelope::Message { from, body, .. } = &mut sent.envelope else {
                unreachable!("only messages are admitted");
            };
            body.admit_once(keep, |message| shared.admit(*from, message));
            match self.take_copy(key) {
                Body::Admitted(message) => return Some(message),
                Body::Refused(_, rejection) => rejection,
                Body::Raw(_) | Body::BeingAdmitted => unreachable!("admitted above"),
            }
        } else {
            let Envelope::Message { from, .. } = self.envelopes.get_mut(key).envelope else {
                unreachable!("only messages are admitted");
            };
            let Body::Raw(message) = self.take_copy(key) else {
                unreachable!("each node admits for itself");
            };
            let admission = &mut self.admissions[usize::from(to.0)];
            let before =
                (admission.signatures_checked(), admission.tags_checked(), admission.shares_checked());
            let admitted = admission.admit(from, message);
            let signatures = admission.signatures_checked() - before.0;
            let tags = admission.tags_checked() - before.1;
            let shares = admission.shares_checked().0 - before.2.0;
            self.count_checks(signatures, shares);
            self.spent_ns += self.costs.tagging_ns(tags);
            match admitted {
                Ok(message) => return Some(message),
                Err(rejection) => rejection,
            }
        };
        self.counts.by_node[usize::from(to.0)].rejected += 1;
        if rejection.reason.is_offence() {
            self.trace.caught.insert(rejection.from);
        }
        self.notify(to, Observation::Rejection(&rejection));
        None
    }

    /// One copy of a message; the last one is the message itself.
    fn take_copy(&mut self, key: u32) -> Body<P::Message> {
        let sent = self.envelopes.get_mut(key);
        sent.copies -= 1;
        if sent.copies > 0 {
            let Envelope::Message { body, .. } = &sent.envelope else {
                unreachable!("only messages have copies");
            };
            return body.clone();
        }
        match self.envelopes.remove(key).envelope {
            Envelope::Message { body, .. } => body,
            _ => unreachable!("only messages have copies"),
        }
    }

    /// Drops one copy of an envelope.
    fn drop_copy(&mut self, key: u32) {
        let sent = self.envelopes.get_mut(key);
        sent.copies -= 1;
        if sent.copies == 0 {
            self.envelopes.remove(key);
        }
    }

    fn step(&mut self, id: ReplicaId, input: Input<Adversary<P>>) {
        let mut effects = std::mem::take(&mut self.effects);
        let now = Micros(self.now_ns / 1000);
        let node = &mut self.nodes[usize::from(id.0)];
        let made = (node.signer.signatures_made(), node.signer.shares_made());
        let mut cx = Context::new(&self.cluster, &node.signer, &mut self.choose, &mut effects).at(now);
        match &mut node.disk {
            Some(disk) => disk.step(&mut node.replica, cx, input),
            None => node.replica.step(&mut cx, input),
        }
        self.spent_ns += self.costs.signing_ns(node.signer.signatures_made() - made.0);
        self.spent_ns += self.costs.sharing_ns(node.signer.shares_made() - made.1);
        if let Some(disk) = &mut node.disk {
            disk.hold(&self.cluster, &mut effects);
        }
        for effect in effects.drain(..) {
            self.carry_out(id, effect);
        }
        self.effects = effects;
        if !self.iteration.is_on {
            self.write_journal(id);
        }
    }

    fn carry_out(&mut self, id: ReplicaId, effect: Effect<Adversary<P>>) {
        match effect {
            Effect::Send { to, message } => self.send(id, to, message),
            Effect::SetTimer { timer, after } => {
                self.generations += 1;
                let generation = self.generations;
                self.nodes[usize::from(id.0)].timers.insert(timer, (generation, after));
                self.schedule(after.0 * 1000, id, Envelope::Expire { timer, generation });
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
                self.notify(id, Observation::Rejection(&rejection));
            }
            Effect::Mark(mark) => self.record_mark(id, mark),
        }
    }

    fn record_mark(&mut self, id: ReplicaId, mark: Mark) {
        match mark {
            Mark::Executed { seq, digest, requests, .. } => {
                let digest = digest.to_string();
                self.nodes[usize::from(id.0)].log.push(Executed { seq: seq.0, digest, requests });
            }
            // It may be behind what was executed on a state that was wrong.
            Mark::StateAdopted { seq, .. } => {
                self.nodes[usize::from(id.0)].log.retain(|entry| entry.seq <= seq.0);
            }
            Mark::Committed { path, .. } => *self.paths.entry(path).or_default() += 1,
            Mark::VoteReceived { author, contradicts: true, .. } => {
                self.trace.caught.insert(author);
            }
            Mark::Proposed { view: Some(_), communication_node, .. } => {
                self.roles = Roles { commander: Some(id), communication_node };
            }
            _ => {}
        }
        self.notify(id, Observation::Mark(&mark));
        if self.record {
            self.trace.marks.push(Stamped { at_us: self.now_ns / 1000, replica: id, mark });
        }
    }
}
