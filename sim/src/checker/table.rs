//! Local states of replicas and the steps between them, each computed once.

use super::history::{self, History};
use super::scope::{Checkable, Forged, KEY_SEED, Scope};
use kernel::{
    Admission, Choose, Context, Digest, Effect, Input, Mark, ReplicaId, Seq, Signer, To, Verified, View,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

/// Number of a local state.
pub(crate) type LocalId = u32;
/// Number of a envelope.
pub(crate) type EnvelopeId = u32;

/// One replica, everything that it ever sent, and what it has done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Local<P: Checkable> {
    pub(crate) node: usize,
    pub(crate) replica: P,
    timers: BTreeSet<P::Timer>,
    expired: BTreeMap<P::Timer, u8>,
    pub(crate) sent: BTreeSet<EnvelopeId>,
    pub(crate) history: History,
}

/// What everybody else can tell of a replica: the abstraction of all that it sent, what
/// it decided, and how often its timers expired.
type Observable<P> = (BTreeSet<u32>, History, BTreeMap<<P as kernel::Protocol>::Timer, u8>);

/// A message on its way to one identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope<M> {
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
    pub(crate) message: M,
}

/// What can happen to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Event<T> {
    Deliver(EnvelopeId),
    Expire(T),
}

/// A closed number of events at one replica, which end in another local state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move<T> {
    pub(crate) events: Vec<Event<T>>,
    pub(crate) to: LocalId,
}

pub(crate) type Moves<T> = Arc<[Move<T>]>;

/// What was seen over all local states: shows that a scope is not vacuous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Local states of replicas.
    pub local_states: usize,
    /// Distinct messages to one receiver, forged ones included.
    pub messages: usize,
    /// Forged messages that admission refused.
    pub refused: usize,
    /// The highest view that an honest replica was in.
    pub view: View,
    /// The highest slot that an honest replica decided, and executed.
    pub decided: Seq,
    /// See `decided`.
    pub executed: Seq,
    /// States of the whole that can be sent apart from outside the replicas.
    pub observable_states: usize,
    /// Combinations of what the replicas have decided and executed.
    pub outcomes: usize,
}

/// Whether the properties hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) agree: bool,
    pub(crate) are_valid: bool,
}

/// A value by number and a number by value.
struct Interned<T> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T: Eq + Hash> Interned<T> {
    fn new() -> Interned<T> {
        Interned { values: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of `value`, and whether it is new.
    fn number(&mut self, value: T) -> (u32, bool) {
        if let Some(number) = self.numbers.get(&value) {
            return (*number, false);
        }
        let (number, value) = (self.values.len() as u32, Arc::new(value));
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        (number, true)
    }
}

/// In a checker a choice would have to be enumerated. No replica makes one so
/// far, so the first that does must say so.
struct NoChoice;

impl Choose for NoChoice {
    fn below(&mut self, bound: u64) -> u64 {
        assert_eq!(bound, 1, "the checker does not enumerate a replica's random choices yet");
        0
    }
}

/// A node's state and the envelopes that it could get.
type Situation = (LocalId, Arc<[EnvelopeId]>);

/// Everything that is known about single replicas.
pub(crate) struct Table<P: Checkable> {
    pub(crate) scope: Scope<P>,
    signers: Vec<Signer>,
    /// By receiver.
    admissions: Vec<Admission>,
    locals: Interned<Local<P>>,
    envelopes: Interned<Envelope<P::Message>>,
    /// By envelope, what it means.
    abstractions: Vec<u32>,
    abstract_envelopes: Interned<Envelope<P::Message>>,
    /// By envelope, what it is a vote for.
    topics: Vec<Option<Digest>>,
    observables: Interned<Observable<P>>,
    histories: Interned<History>,
    /// By local state, the numbers of its observable and of its history.
    seen_as: Vec<(u32, u32)>,
    /// By the histories of all nodes.
    verdicts: HashMap<Box<[u32]>, Verdict>,
    /// The first state that was found to break a property.
    broken: Option<Box<[LocalId]>>,
    /// Hashes of the observables of all nodes.
    observable_states: HashSet<u64>,
    /// By envelope; none if admission refused it.
    admitted: Vec<Option<Verified<P::Message>>>,
    steps: HashMap<(LocalId, Event<P::Timer>), LocalId>,
    pub(crate) moves: HashMap<Situation, Moves<P::Timer>>,
    forged: HashMap<Vec<EnvelopeId>, Arc<[EnvelopeId]>>,
    reach: Reach,
}

impl<P: Checkable> Table<P> {
    pub(crate) fn new(scope: Scope<P>) -> Table<P> {
        let (signers, keyring) = kernel::keys::symbolic(KEY_SEED, scope.cluster.n);
        let admission = |signer| Admission::new(scope.cluster.clone(), keyring.clone()).of_receiver(signer);
        Table {
            admissions: signers.iter().map(admission).collect(),
            signers,
            scope,
            locals: Interned::new(),
            envelopes: Interned::new(),
            abstractions: Vec::new(),
            abstract_envelopes: Interned::new(),
            topics: Vec::new(),
            observables: Interned::new(),
            histories: Interned::new(),
            seen_as: Vec::new(),
            verdicts: HashMap::new(),
            broken: None,
            observable_states: HashSet::new(),
            admitted: Vec::new(),
            steps: HashMap::new(),
            moves: HashMap::new(),
            forged: HashMap::new(),
            reach: Reach::default(),
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach {
            local_states: self.locals.values.len(),
            messages: self.envelopes.values.len(),
            observable_states: self.observable_states.len(),
            outcomes: self.verdicts.len(),
            ..self.reach
        }
    }

    pub(crate) fn local(&self, id: LocalId) -> &Local<P> {
        &self.locals.values[id as usize]
    }

    pub(crate) fn envelope(&self, id: EnvelopeId) -> &Envelope<P::Message> {
        &self.envelopes.values[id as usize]
    }

    /// The local state of a node that was started and given its requests.
    pub(crate) fn start(&mut self, node: usize) -> LocalId {
        let mut local = Local {
            node,
            replica: self.scope.nodes[node].replica.clone(),
            timers: BTreeSet::new(),
            expired: BTreeMap::new(),
            sent: BTreeSet::new(),
            history: History::default(),
        };
        let submits = self.scope.nodes[node].submits.clone();
        for input in [Input::Start].into_iter().chain(submits.into_iter().map(Input::Submit)) {
            self.take(&mut local, input);
        }
        self.intern(local)
    }

    /// Plays the openings of the scope.
    pub(crate) fn open(&mut self, cut: &mut [LocalId]) {
        for opening in std::mem::take(&mut self.scope.openings) {
            let node = opening.node;
            let inbox = self.inbox(cut, node);
            let fits = |envelope: &&EnvelopeId| {
                let Envelope { from, message, .. } = self.envelope(**envelope);
                opening.from.is_none_or(|wanted| wanted == *from) && (opening.fits)(message)
            };
            let envelope = *inbox.iter().find(fits).expect("an opening's message was sent or can be forged");
            let next = self.step(cut[node], Event::Deliver(envelope));
            assert_ne!(next, cut[node], "an opening's message changes its receiver");
            cut[node] = next;
        }
    }

    fn intern(&mut self, local: Local<P>) -> LocalId {
        let honest = self.scope.nodes[local.node].honest;
        let (number, is_new) = self.locals.number(local);
        if !is_new {
            return number;
        }
        let local = Arc::clone(&self.locals.values[number as usize]);
        let abstractions = local.sent.iter().map(|envelope| self.abstractions[*envelope as usize]).collect();
        let (observable, _) =
            self.observables.number((abstractions, local.history.clone(), local.expired.clone()));
        let (history, _) = self.histories.number(local.history.clone());
        self.seen_as.push((observable, history));
        if honest {
            let last = |set: &BTreeSet<(Seq, _)>| set.last().map_or(Seq(0), |(seq, _)| *seq);
            let views = local.replica.status(&self.scope.cluster).views;
            self.reach.view = self.reach.view.max(views.map_or(View(0), |views| views.view));
            self.reach.decided = self.reach.decided.max(last(&local.history.decided));
            self.reach.executed = self.reach.executed.max(last(&local.history.executed));
        }
        number
    }

    /// The state after an event; the same state if the event changes nothing.
    pub(crate) fn step(&mut self, at: LocalId, event: Event<P::Timer>) -> LocalId {
        if let Some(next) = self.steps.get(&(at, event)) {
            return *next;
        }
        let (local, _) = self.play(at, event);
        let next = self.intern(local);
        self.steps.insert((at, event), next);
        next
    }

    /// Computes a step, and what marks it leaves.
    pub(crate) fn play(&mut self, at: LocalId, event: Event<P::Timer>) -> (Local<P>, Vec<Mark>) {
        let mut local = self.local(at).clone();
        let input = match event {
            Event::Deliver(envelope) => {
                let message =
                    self.admitted[envelope as usize].clone().expect("inboxes hold admitted envelopes");
                Input::Deliver { from: self.envelope(envelope).from, message }
            }
            Event::Expire(timer) => {
                local.timers.remove(&timer);
                *local.expired.entry(timer).or_default() += 1;
                Input::Expire(timer)
            }
        };
        let marks = self.take(&mut local, input);
        (local, marks)
    }

    /// Lets the replica take an input, and carries out its effects.
    fn take(&mut self, local: &mut Local<P>, input: Input<P>) -> Vec<Mark> {
        let mut effects = Vec::new();
        let id = self.scope.nodes[local.node].id;
        let signer = &self.signers[usize::from(id.0)];
        let mut input = Some(input);
        (self.scope.around)(&mut || {
            let mut choose = NoChoice;
            let mut cx = Context::new(&self.scope.cluster, signer, &mut choose, &mut effects);
            if let Some(input) = input.take() {
                local.replica.step(&mut cx, input);
            }
        });
        let mut marks = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(local, id, to, message),
                Effect::SetTimer { timer, .. } => {
                    local.timers.insert(timer);
                }
                Effect::CancelTimer(timer) => {
                    local.timers.remove(&timer);
                }
                Effect::Mark(mark) => {
                    local.history.note(&mark);
                    marks.push(mark);
                }
                _ => {}
            }
        }
        marks
    }

    fn send(&mut self, local: &mut Local<P>, from: ReplicaId, to: To, message: P::Message) {
        if (self.scope.lost)(&message) {
            return;
        }
        let to = match to {
            To::One(to) => vec![to],
            To::All => self.scope.cluster.replicas().filter(|to| *to != from).collect(),
        };
        for to in to {
            let envelope = self.post(Envelope { from, to, message: message.clone() });
            local.sent.insert(envelope);
        }
    }

    fn post(&mut self, envelope: Envelope<P::Message>) -> EnvelopeId {
        let (number, is_new) = self.envelopes.number(envelope.clone());
        if is_new {
            let abstraction = Envelope {
                message: (self.scope.abstraction)(&envelope.message),
                from: envelope.from,
                to: envelope.to,
            };
            let (abstraction, _) = self.abstract_envelopes.number(abstraction);
            self.abstractions.push(abstraction);
            self.topics.push((self.scope.topic)(&envelope.message));
            let Envelope { from, to, message } = envelope;
            let mut message = Some(message);
            let mut admitted = None;
            (self.scope.around)(&mut || {
                if let Some(message) = message.take() {
                    admitted = self.admissions[usize::from(to.0)].admit(from, message).ok();
                }
            });
            self.reach.refused += usize::from(admitted.is_none());
            self.admitted.push(admitted);
        }
        number
    }

    /// All envelopes that may be delivered to `node` once the replicas are in these
    /// states: whatever was ever sent to it, and every forged one.
    pub(crate) fn inbox(&mut self, cut: &[LocalId], node: usize) -> Arc<[EnvelopeId]> {
        let id = self.scope.nodes[node].id;
        let mut inbox: Vec<EnvelopeId> = self.forged(cut).to_vec();
        for local in cut {
            inbox.extend(&self.local(*local).sent);
        }
        inbox.retain(|envelope| {
            self.envelope(*envelope).to == id && self.admitted[*envelope as usize].is_some()
        });
        inbox.sort_unstable();
        inbox.dedup();
        inbox.into()
    }

    /// What faulty replicas may send, given what was sent to them.
    fn forged(&mut self, cut: &[LocalId]) -> Arc<[EnvelopeId]> {
        if self.scope.faulty.is_empty() {
            return Arc::default();
        }
        let mut received: Vec<EnvelopeId> =
            cut.iter().flat_map(|local| self.local(*local).sent.iter().copied()).collect();
        received.retain(|envelope| self.scope.faulty.contains(&self.envelope(*envelope).to));
        received.sort_unstable();
        received.dedup();
        if let Some(forged) = self.forged.get(&received) {
            return Arc::clone(forged);
        }
        let known: Vec<_> =
            received.iter().map(|envelope| &self.envelopes.values[*envelope as usize].message).collect();
        let mut sent = Vec::new();
        (self.scope.around)(&mut || sent = (self.scope.forge)(&known));
        let honest: BTreeSet<ReplicaId> = self.scope.nodes.iter().map(|node| node.id).collect();
        let mut forged = Vec::new();
        sent.retain(|forged: &Forged<_>| !(self.scope.lost)(&forged.message));
        for Forged { from, to, message } in sent {
            assert!(self.scope.faulty.contains(&from), "{from} is not a faulty replica of this scope");
            for to in honest.iter().filter(|id| to.is_none_or(|to| to == **id)) {
                forged.push(self.post(Envelope { from, to: *to, message: message.clone() }));
            }
        }
        let forged: Arc<[EnvelopeId]> = forged.into();
        self.forged.insert(received, Arc::clone(&forged));
        forged
    }

    /// What an event is a vote for, if it delivers one.
    pub(crate) fn topic(&self, event: Event<P::Timer>) -> Option<Digest> {
        match event {
            Event::Deliver(envelope) => self.topics[envelope as usize],
            Event::Expire(_) => None,
        }
    }

    /// What can happen at `at`, with this inbox.
    pub(crate) fn events(&self, at: LocalId, inbox: &[EnvelopeId]) -> Vec<Event<P::Timer>> {
        let local = self.local(at);
        let deliveries = inbox.iter().map(|envelope| Event::Deliver(*envelope));
        let may_expire = |timer: &&P::Timer| {
            local.expired.get(timer).copied().unwrap_or(0) < (self.scope.max_expirations)(timer)
        };
        let expirations = local.timers.iter().filter(may_expire).map(|timer| Event::Expire(*timer));
        deliveries.chain(expirations).collect()
    }

    /// Timers that expired on the way to `at`.
    pub(crate) fn expirations(&self, at: LocalId) -> u32 {
        self.local(at).expired.values().map(|count| u32::from(*count)).sum()
    }

    /// Whether this is the first state in which `holds` does not. Stateright keeps
    /// the last one that it comes by, which need not be the nearest.
    pub(crate) fn breaks_first(&mut self, cut: &[LocalId], holds: fn(Verdict) -> bool) -> bool {
        if holds(self.judge(cut)) {
            return false;
        }
        **self.broken.get_or_insert_with(|| cut.into()) == *cut
    }

    /// What everybody else can tell of the replica, by number.
    pub(crate) fn observable(&self, at: LocalId) -> u32 {
        self.seen_as[at as usize].0
    }

    /// Whether what the honest nodes have done is as it must be.
    pub(crate) fn judge(&mut self, cut: &[LocalId]) -> Verdict {
        let mut hasher = DefaultHasher::new();
        cut.iter().for_each(|local| self.observable(*local).hash(&mut hasher));
        self.observable_states.insert(hasher.finish());
        let histories: Box<[u32]> = cut.iter().map(|local| self.seen_as[*local as usize].1).collect();
        if let Some(verdict) = self.verdicts.get(&histories) {
            return *verdict;
        }
        let honest = cut.iter().map(|local| self.local(*local));
        let honest: Vec<&History> =
            honest.filter(|local| self.scope.nodes[local.node].honest).map(|local| &local.history).collect();
        let verdict = Verdict {
            agree: history::agree(honest.iter().copied()),
            are_valid: honest.iter().all(|history| history::is_valid(history, &self.scope.asked)),
        };
        self.verdicts.insert(histories, verdict);
        verdict
    }

    /// Whether anybody but the replica itself can tell `at` from `next`.
    pub(crate) fn is_visible(&self, at: LocalId, next: LocalId) -> bool {
        let (at, next) = (self.local(at), self.local(next));
        at.sent != next.sent || at.history != next.history
    }
}
