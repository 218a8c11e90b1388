//! A replica whose votes wait for a person.
//!
//! The replica is the real one, and so is the admission of what it is sent. A replica is a
//! function of its inputs, so each input is first given to a copy of it: an input that would
//! make it cast a vote that its person has not released is *held*, and given to the replica
//! itself when the person says so. What the copy learned of the vote that came is shown at
//! once. Nothing is taken out of the replica's rules: a held input is a message that arrives
//! later, which the rules allow at any time.
//!
//! One input may not wait: with a NEW-VIEW, the replica votes for what the view proposes again
//! in the same step. Then its votes wait on their way out, and what would follow from them is
//! held.
//!
//! A vote leaves for those whom the person names. Who is to get another vote gets one for a
//! value that nobody proposed, signed rightly: that is what a faulty replica can do.
//!
//! Timers of the view never run out here: a person asks for another commander.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use apps::Bank;
use client::ReplyCollector;
use kernel::{
    Admission, Batch, Bundle, Cluster, Context, Digest, Effect, Input, Keyring, Mark, Micros, Operation,
    Phase, Protocol, ReplicaId, ReplyBundle, Request, SeededChoice, Seq, SessionId, Signer, Status, To, View,
    ViewMark, Wire,
};
use pbft::{Config, Message, Replica, Timer, Vote};

use crate::envelope::{Content, Envelope};
use crate::names::name;
use crate::operation::{changes_nothing, filler, first_bank, in_words, result_in_words};
use crate::tally::{Ballot, Tally};

/// A checkpoint every so many slots: few, so that one is seen soon.
pub const CHECKPOINT_INTERVAL: u64 = 4;
/// How long nothing may be executed before a replica sends again what may be lost, where
/// time passes.
const RESEND_AFTER: Micros = Micros::from_millis(1000);

/// What all participants must know alike.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The replicas, and one client.
    pub cluster: Cluster,
    /// The seed of all keys.
    pub seed: u64,
    /// The first session that this participant opens.
    pub first_session: u64,
}

impl Setup {
    /// The signer of a participant and the public keys of all.
    pub fn keys(&self, id: ReplicaId) -> (Signer, Keyring) {
        let (signers, keyring) = kernel::keys::seeded(self.seed, self.cluster.n + 1);
        let signer = signers.into_iter().nth(usize::from(id.0)).expect("participants are numbered in order");
        (signer, keyring)
    }

    /// The client's id.
    pub fn client(&self) -> ReplicaId {
        ReplicaId(self.cluster.n)
    }
}

fn config(n: u16) -> Config {
    let without_time = Micros(u64::from(u32::MAX));
    Config {
        window: CHECKPOINT_INTERVAL,
        checkpoint_interval: CHECKPOINT_INTERVAL,
        // A person decides how long a commander may take.
        request_after: without_time,
        late_share: 0,
        resend_after: RESEND_AFTER,
        ..Config::for_cluster(n)
    }
}

/// What a participant wants done.
#[derive(Clone, Debug)]
pub enum Out {
    /// A line for its person.
    Line(String),
    /// Send this.
    Envelope(Box<Envelope>),
    /// Start a timer.
    SetTimer(Timer, Micros),
    /// Forget a timer.
    CancelTimer(Timer),
}

/// An input that waits for the person.
#[derive(Clone, Debug)]
struct Held {
    input: Input<Replica<Bank>>,
    needs: BTreeSet<Need>,
}

/// What a person must release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A vote for this digest.
    Vote(Ballot, Digest),
    /// The proposal of a request.
    Proposal,
}

/// What a person said about a ballot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ruling {
    /// These get the vote.
    pub(crate) yes: BTreeSet<ReplicaId>,
    /// These get another one.
    pub(crate) other: BTreeSet<ReplicaId>,
    /// The person said no.
    pub(crate) declined: bool,
}

/// How the person proposes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposing {
    /// Only these get the proposal; empty means all.
    pub(crate) to: Vec<ReplicaId>,
    /// What the others get proposed for the same slot.
    pub(crate) other: Option<Operation>,
}

/// A proposal that some do not get.
#[derive(Clone, Debug)]
pub(crate) struct Partial {
    /// These get it.
    pub(crate) to: BTreeSet<ReplicaId>,
    /// The others get this.
    pub(crate) other: Option<Message>,
}

/// A replica and its person's decisions.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) setup: Setup,
    pub(crate) signer: Signer,
    admission: Admission,
    choose: SeededChoice,
    pub(crate) replica: Replica<Bank>,
    held: Vec<Held>,
    pub(crate) announced: BTreeSet<Need>,
    pub(crate) rulings: BTreeMap<Ballot, Ruling>,
    /// Votes that were cast with a NEW-VIEW and have not left.
    pub(crate) unsent: BTreeMap<Ballot, Digest>,
    /// The person proposes.
    pub(crate) proposing: Option<Proposing>,
    /// Proposals that do not go to all.
    pub(crate) partial: BTreeMap<(View, Seq), Partial>,
    pub(crate) tally: Tally,
    pub(crate) wanting: BTreeMap<View, BTreeSet<ReplicaId>>,
    pub(crate) batches: BTreeMap<Digest, Arc<Batch>>,
    /// What was executed here, in words.
    pub(crate) history: Vec<String>,
    own: BTreeMap<u64, (Operation, ReplyCollector)>,
    pub(crate) next_session: u64,
    /// What the client asked last.
    pub(crate) asked: Option<Request>,
    pub(crate) is_down: bool,
    pub(crate) forgot: bool,
    /// The person asked for another view in this very step.
    pub(crate) asks_for_view: bool,
    /// What it proposed last was a null request.
    pub(crate) orders_null: bool,
    /// When each of the others was first started, as far as this replica has seen.
    starts: BTreeMap<ReplicaId, u64>,
    /// Its person knows that it lost its memory.
    knows_of_loss: bool,
    out: Vec<Out>,
}

impl Node {
    /// The replica `id`; one that lost its memory learns before it votes.
    pub fn new(setup: Setup, id: ReplicaId, recovering: bool) -> Node {
        let (signer, keyring) = setup.keys(id);
        let (admission, config) = (Admission::new(setup.cluster.clone(), keyring), config(setup.cluster.n));
        let replica = match recovering {
            true => Replica::recovering(config, first_bank()),
            false => Replica::new(config, first_bank()),
        };
        let mut node = Node {
            signer,
            admission,
            choose: SeededChoice::new(setup.seed ^ setup.first_session ^ u64::from(id.0)),
            replica,
            held: Vec::new(),
            announced: BTreeSet::new(),
            rulings: BTreeMap::new(),
            unsent: BTreeMap::new(),
            proposing: None,
            partial: BTreeMap::new(),
            tally: Tally::default(),
            wanting: BTreeMap::new(),
            batches: BTreeMap::new(),
            history: Vec::new(),
            own: BTreeMap::new(),
            next_session: setup.first_session,
            asked: None,
            is_down: false,
            forgot: recovering,
            asks_for_view: false,
            orders_null: false,
            starts: BTreeMap::new(),
            knows_of_loss: recovering,
            out: Vec::new(),
            setup,
        };
        node.feed(Input::Start);
        if recovering {
            node.say(
                "has lost its memory: it asks the others where they are, and does not vote before it knows",
            );
        }
        node
    }

    /// This replica.
    pub fn id(&self) -> ReplicaId {
        self.signer.id()
    }

    /// What the replica says of itself.
    pub fn replica_status(&self) -> Status {
        self.replica.status(&self.setup.cluster)
    }

    /// The view that it wants, and that view's commander.
    pub fn view(&self) -> (View, ReplicaId) {
        let view = self.replica_status().views.map_or(View(0), |views| views.view);
        (view, self.setup.cluster.commander(view))
    }

    /// Whether it is down.
    pub fn is_down(&self) -> bool {
        self.is_down
    }

    /// Whether it is down without its memory, or recovers from that.
    pub fn has_lost_memory(&self) -> bool {
        self.forgot
    }

    /// What is in each account here.
    pub fn balances(&self) -> Vec<(String, u64)> {
        let bank = self.replica.core().application();
        let balances = bank.into_iter().flat_map(Bank::balances);
        balances.map(|(account, balance)| (account.to_owned(), balance)).collect()
    }

    /// Takes what there is to be done.
    pub fn take_out(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// What was to be done before this replica was made anew.
    pub(crate) fn put_first(&mut self, mut earlier: Vec<Out>) {
        earlier.append(&mut self.out);
        self.out = earlier;
    }

    /// Replicas that are known to want this view.
    pub(crate) fn wanting(&self, view: View) -> usize {
        self.wanting.get(&view).map_or(0, BTreeSet::len)
    }

    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.out.push(Out::Line(line.into()));
    }

    pub(crate) fn call(&self, id: ReplicaId) -> String {
        name(&self.setup.cluster, id)
    }

    /// `2/4 (threshold ≥ 3)`.
    pub(crate) fn counted(&self, ballot: Ballot, digest: &Digest) -> String {
        let (count, n) = (self.tally.count(ballot, digest), self.setup.cluster.n);
        format!("{count}/{n} (threshold ≥ {})", self.setup.cluster.quorum())
    }

    /// The other replicas.
    pub(crate) fn peers(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        let id = self.id();
        self.setup.cluster.replicas().filter(move |peer| *peer != id)
    }

    // ---- What comes in ----

    /// Takes an envelope, unless it is down.
    pub fn receive(&mut self, envelope: Envelope) {
        if self.is_down {
            return;
        }
        let from = self.call(envelope.from);
        if envelope.to != self.id() || !self.admission.check(&envelope.claim(&self.setup.cluster)) {
            self.say(format!(
                "refused an envelope in the name of {from}: bad signature; nothing follows from it"
            ));
            return;
        }
        self.compare_starts(&envelope);
        match envelope.content {
            Content::Message(message) => self.receive_message(envelope.from, message),
            Content::Request(bundle) => self.receive_request(envelope.from, bundle),
            Content::Reply(bundle) => self.receive_reply(&bundle),
        }
    }

    /// Says so if this replica ran before and was started as if it were new.
    fn compare_starts(&mut self, envelope: &Envelope) {
        self.starts.entry(envelope.from).or_insert(envelope.started);
        let ran_before = envelope.remembers.is_some_and(|first| first < self.setup.first_session);
        if ran_before && !std::mem::replace(&mut self.knows_of_loss, true) {
            let from = self.call(envelope.from);
            self.say(format!(
                "ran before, as {from} remembers, and was started again as if it were new: it does not know what it has signed, and a vote now may \
                 contradict one of then, as a faulty replica's does. \"quit\" it, and start it again with --recovering"
            ));
        }
    }

    fn receive_message(&mut self, from: ReplicaId, message: Message) {
        let kind = message.kind();
        match self.admission.admit(from, message) {
            Ok(message) => {
                self.remember(message.get());
                self.feed(Input::Deliver { from, message });
            }
            Err(rejection) => {
                let from = self.call(from);
                self.say(format!("refused a {kind} of {from}: {}", rejection.reason));
            }
        }
    }

    fn receive_request(&mut self, from: ReplicaId, bundle: Arc<Bundle>) {
        if let [Err(reason)] = self.admission.admit_bundles(&[(from, Arc::clone(&bundle))])[..] {
            let from = self.call(from);
            self.say(format!("refused a request of {from}: {reason}"));
            return;
        }
        self.asked = bundle.requests().last().cloned();
        self.feed(Input::Submit(bundle));
    }

    /// An answer to what this replica's person proposed with `tx`.
    fn receive_reply(&mut self, bundle: &ReplyBundle) {
        let from = self.call(bundle.replica);
        if bundle.gateway != self.id() || !self.admission.check(&bundle.claim(&self.setup.cluster)) {
            self.say(format!("refused a REPLY in the name of {from}: bad signature"));
            return;
        }
        for reply in &bundle.replies {
            let Some((operation, collector)) = self.own.get_mut(&reply.session.number) else { continue };
            let Some(result) = collector.add(bundle.replica, &reply.result, ()).cloned() else { continue };
            let operation = operation.clone();
            self.own.remove(&reply.session.number);
            if !operation_is_silent(&operation) {
                let needed = self.setup.cluster.weak_quorum();
                self.say(format!(
                    "answer to its own tx, signed by f+1 = {needed} replicas: {}: {} (§4.1)",
                    in_words(&operation),
                    result_in_words(&operation, &result)
                ));
            }
        }
    }

    /// Keeps batches, so that they can be shown, and counts VIEW-CHANGEs, of which there are no
    /// marks.
    fn remember(&mut self, message: &Message) {
        match message {
            Message::PrePrepare { batch, .. } | Message::Fetched { batch, .. } => {
                self.batches.insert(batch.digest(), Arc::clone(batch));
            }
            Message::ViewChange(change) => self.count_view_change(change.view, change.author),
            _ => {}
        }
    }

    fn count_view_change(&mut self, view: View, author: ReplicaId) {
        if view <= self.replica.core().view() || !self.wanting.entry(view).or_default().insert(author) {
            return;
        }
        let count = self.wanting[&view].len();
        let (n, quorum) = (self.setup.cluster.n, self.setup.cluster.quorum());
        let counted = format!("for view {view}: {count}/{n} (threshold ≥ {quorum})");
        if author == self.id() {
            self.say(format!("sends VIEW-CHANGE {counted}; its own counts"));
        } else {
            let author = self.call(author);
            self.say(format!("VIEW-CHANGE from {author} {counted}"));
        }
    }

    /// A timer ran out.
    pub fn expire(&mut self, timer: Timer) {
        if !self.is_down {
            self.feed(Input::Expire(timer));
        }
    }

    // ---- The replica, and what waits for the person ----

    /// Gives the replica an input, or holds it.
    pub(crate) fn feed(&mut self, input: Input<Replica<Bank>>) {
        let (replica, choose, effects) = self.tried(|replica, cx| replica.step(cx, input.clone()));
        let needs = self.unreleased(&input, &effects);
        if needs.is_empty() && !self.comes_early(&input) {
            self.adopt(replica, choose, &input, effects);
            self.release();
        } else {
            self.hold(input, needs, &effects);
            // Votes that were counted may be enough without one of its own that waits.
            self.release();
        }
    }

    /// The next view's commander is wanted.
    pub(crate) fn ask_for_next_view(&mut self) {
        let (replica, choose, effects) = self.tried(|replica, cx| replica.ask_for_next_view(cx));
        self.asks_for_view = true;
        self.adopt(replica, choose, &Input::Start, effects);
        self.asks_for_view = false;
        self.release();
    }

    /// Steps a copy of the replica.
    fn tried(
        &self,
        step: impl FnOnce(&mut Replica<Bank>, &mut Context<'_, Replica<Bank>>),
    ) -> (Replica<Bank>, SeededChoice, Vec<Effect<Replica<Bank>>>) {
        let (mut replica, mut choose, mut effects) = (self.replica.clone(), self.choose.clone(), Vec::new());
        let mut cx = Context::new(&self.setup.cluster, &self.signer, &mut choose, &mut effects);
        step(&mut replica, &mut cx);
        (replica, choose, effects)
    }

    /// What a step would do that the person has not released.
    fn unreleased(&self, input: &Input<Replica<Bank>>, effects: &[Effect<Replica<Bank>>]) -> BTreeSet<Need> {
        let marks =
            || effects.iter().filter_map(|e| if let Effect::Mark(mark) = e { Some(mark) } else { None });
        if marks().any(|mark| matches!(mark, Mark::View(ViewMark::ViewBegan { .. }))) {
            return BTreeSet::new();
        }
        let brings_requests = requests_in(input).is_some();
        // Votes that come in one envelope may make a slot prepared in the step that accepts its
        // proposal: then the COMMIT waits on its way out.
        let accepts = marks().any(|mark| matches!(mark, Mark::Voted { phase: Phase::Prepare, .. }));
        let is_vote = matches!(message_of(input), Some(Message::Vote(_)));
        let need = |mark: &Mark| match mark {
            Mark::Voted { phase: Phase::Commit, view: Some(view), seq, .. }
                if self.unsent.contains_key(&Ballot::of(*view, *seq, Phase::Prepare)) =>
            {
                self.unsent_vote(Ballot::of(*view, *seq, Phase::Prepare))
            }
            Mark::Voted { phase: Phase::Commit, .. } if accepts => None,
            // Decided with a COMMIT of its own that nobody has got.
            Mark::Committed { view: Some(view), seq, digest, .. } if is_vote => {
                let ballot = Ballot::of(*view, *seq, Phase::Commit);
                let others_suffice = self.tally.count(ballot, digest) >= self.setup.cluster.quorum();
                self.unsent_vote(ballot).filter(|_| !others_suffice)
            }
            Mark::Proposed { requests, .. } if brings_requests && *requests > 0 => {
                self.proposing.is_none().then_some(Need::Proposal)
            }
            Mark::Voted { phase, view: Some(view), seq, digest } if *phase != Phase::PrePrepare => {
                let ballot = Ballot::of(*view, *seq, *phase);
                (!self.is_released(ballot, digest)).then_some(Need::Vote(ballot, *digest))
            }
            _ => None,
        };
        marks().filter_map(need).collect()
    }

    /// A vote that was cast and has not left, as what the person must release.
    fn unsent_vote(&self, ballot: Ballot) -> Option<Need> {
        self.unsent.get(&ballot).map(|digest| Need::Vote(ballot, *digest))
    }

    /// Whether it is a PREPARE for a proposal that is not accepted here. It waits too: else the
    /// step that accepts could also make the slot prepared and cast COMMIT, unasked.
    fn comes_early(&self, input: &Input<Replica<Bank>>) -> bool {
        let Some(Message::Vote(vote)) = message_of(input) else { return false };
        let core = self.replica.core();
        vote.phase == Phase::Prepare
            && vote.view == core.view()
            && !core.is_committed(vote.seq)
            && !core.round(vote.seq).is_some_and(|round| round.accepted)
    }

    pub(crate) fn is_released(&self, ballot: Ballot, digest: &Digest) -> bool {
        self.is_silent(digest) || self.rulings.get(&ballot).is_some_and(|ruling| !ruling.yes.is_empty())
    }

    /// Whether nobody is asked about this batch, and nothing said: it changes nothing.
    pub(crate) fn is_silent(&self, digest: &Digest) -> bool {
        *digest == Batch::default().digest()
            || self.batches.get(digest).is_some_and(|batch| changes_nothing(batch))
    }

    fn hold(
        &mut self,
        input: Input<Replica<Bank>>,
        needs: BTreeSet<Need>,
        effects: &[Effect<Replica<Bank>>],
    ) {
        let message = message_of(&input);
        for effect in effects {
            if let Effect::Mark(mark @ Mark::VoteReceived { .. }) = effect {
                self.tell_vote(mark, message);
            }
        }
        let is_late = !needs.is_empty() && needs.iter().all(|need| self.is_decided(need));
        if is_late || self.held.iter().any(|held| same(&held.input, &input)) {
            return;
        }
        for need in &needs {
            if self.announced.insert(*need) || *need == Need::Proposal {
                self.announce(need, &input);
            }
        }
        self.held.push(Held { input, needs });
    }

    /// Gives the replica what it need not wait for any more.
    pub(crate) fn release(&mut self) {
        let held = std::mem::take(&mut self.held).into_iter();
        self.held = held.filter(|held| !self.is_over(held)).collect();
        let mut place = 0;
        while place < self.held.len() {
            let input = self.held[place].input.clone();
            let (replica, choose, effects) = self.tried(|replica, cx| replica.step(cx, input.clone()));
            let needs = self.unreleased(&input, &effects);
            if self.comes_early(&input) {
                place += 1;
            } else if needs.is_empty() {
                self.held.remove(place);
                self.adopt(replica, choose, &input, effects);
                place = 0;
            } else {
                for need in needs.difference(&self.held[place].needs.clone()) {
                    if self.announced.insert(*need) {
                        self.announce(need, &input);
                    }
                }
                self.held[place].needs = needs;
                place += 1;
            }
        }
    }

    fn is_decided(&self, need: &Need) -> bool {
        matches!(need, Need::Vote(ballot, _) if ballot.seq <= self.executed())
    }

    /// Whether nothing can come of an input any more.
    fn is_over(&self, held: &Held) -> bool {
        match held.needs.is_empty() {
            true => message_of(&held.input).and_then(Wire::seq).is_some_and(|seq| seq <= self.executed()),
            false => held.needs.iter().all(|need| self.is_decided(need)),
        }
    }

    /// What waits for the person.
    pub(crate) fn waiting(&self) -> BTreeSet<Need> {
        let held = self.held.iter().flat_map(|held| held.needs.iter().copied());
        let unsent = self.unsent.iter().map(|(ballot, digest)| Need::Vote(*ballot, *digest));
        held.chain(unsent).collect()
    }

    /// The person proposes what waits, or `input` now.
    pub(crate) fn propose(&mut self, proposing: Proposing, input: Option<Input<Replica<Bank>>>) {
        self.proposing = Some(proposing);
        match input {
            Some(input) => self.feed(input),
            None => self.release(),
        }
        self.proposing = None;
    }

    /// Signs an operation as this replica's own request and proposes it.
    pub(crate) fn propose_own(&mut self, operation: Operation, proposing: Proposing) {
        let collector = ReplyCollector::new(self.setup.cluster.weak_quorum());
        self.own.insert(self.next_session, (operation.clone(), collector));
        let bundle = self.own_bundle(operation);
        self.propose(proposing, Some(Input::Submit(bundle)));
    }

    /// A request of this replica's own.
    pub(crate) fn own_bundle(&mut self, operation: Operation) -> Arc<Bundle> {
        let session = SessionId { gateway: self.id(), number: self.next_session };
        self.next_session += 1;
        let request = Request { session, counter: 1, operation };
        Arc::new(Bundle::sign(&self.setup.cluster, &self.signer, vec![request]))
    }

    pub(crate) fn executed(&self) -> Seq {
        self.replica.core().last_executed()
    }

    // ---- What comes of a step ----

    /// The copy becomes the replica, and its effects are carried out.
    fn adopt(
        &mut self,
        replica: Replica<Bank>,
        choose: SeededChoice,
        input: &Input<Replica<Bank>>,
        effects: Vec<Effect<Replica<Bank>>>,
    ) {
        (self.replica, self.choose) = (replica, choose);
        let message = message_of(input);
        let lacks_batch = effects.iter().any(|effect| self.decides_without_batch(effect));
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(to, &message),
                Effect::SetTimer { timer: Timer::View, .. } | Effect::CancelTimer(Timer::View) => {}
                Effect::SetTimer { timer, after } => self.out.push(Out::SetTimer(timer, after)),
                Effect::CancelTimer(timer) => self.out.push(Out::CancelTimer(timer)),
                Effect::Reply { to, bundle } => self.reply(to, bundle),
                Effect::Reject(rejection) => self.tell_rejection(&rejection),
                Effect::Mark(mark) => self.note(&mark, message),
            }
        }
        if lacks_batch {
            // What the person did not want to accept is decided all the same: it is asked for.
            (0..2).for_each(|_| self.feed(Input::Expire(Timer::Resend)));
        }
    }

    fn decides_without_batch(&self, effect: &Effect<Replica<Bank>>) -> bool {
        matches!(effect, Effect::Mark(Mark::Committed { seq, .. })
            if *seq > self.executed() && self.replica.core().slot(*seq).is_some_and(|slot| slot.decided_batch().is_none()))
    }

    fn send(&mut self, to: To, message: &Message) {
        let recipients: Vec<ReplicaId> = match to {
            To::All => self.peers().collect(),
            To::One(peer) => vec![peer],
        };
        if let Message::PrePrepare { batch, .. } = message {
            self.batches.insert(batch.digest(), Arc::clone(batch));
        }
        if let Message::ViewChange(change) = message
            && change.author == self.id()
        {
            self.count_view_change(change.view, change.author);
        }
        for peer in recipients {
            if let Some(message) = self.screened(peer, message) {
                self.post(peer, Content::Message(message));
            }
        }
    }

    pub(crate) fn post(&mut self, to: ReplicaId, content: Content) {
        let remembers = self.starts.get(&to).copied();
        let started = (self.setup.first_session, remembers);
        let envelope = Envelope::sign(&self.setup.cluster, &self.signer, to, started, content);
        self.out.push(Out::Envelope(Box::new(envelope)));
    }

    /// The message as this peer gets it: without votes that the person keeps from it.
    fn screened(&self, peer: ReplicaId, message: &Message) -> Option<Message> {
        match message {
            Message::Vote(vote) => self.screened_vote(peer, vote).map(Message::Vote),
            Message::Stuck { seq, complaint, votes } => {
                let votes = votes.iter().filter_map(|vote| self.screened_vote(peer, vote)).collect();
                Some(Message::Stuck { seq: *seq, complaint: *complaint, votes })
            }
            Message::PrePrepare { header, .. } => match self.partial.get(&(header.view, header.seq)) {
                Some(partial) if !partial.to.contains(&peer) => partial.other.clone(),
                _ => Some(message.clone()),
            },
            other => Some(other.clone()),
        }
    }

    fn screened_vote(&self, peer: ReplicaId, vote: &Vote) -> Option<Vote> {
        if vote.author != self.id() || self.is_silent(&vote.digest) {
            return Some(vote.clone());
        }
        if vote.phase == Phase::PrePrepare {
            let partial = self.partial.get(&(vote.view, vote.seq));
            return partial.is_none_or(|partial| partial.to.contains(&peer)).then(|| vote.clone());
        }
        let ballot = Ballot::of(vote.view, vote.seq, vote.phase);
        let ruling = self.rulings.get(&ballot)?;
        if ruling.yes.contains(&peer) {
            return Some(vote.clone());
        }
        ruling.other.contains(&peer).then(|| self.other_vote(ballot, &vote.digest))
    }

    /// A vote for a value that nobody proposed.
    pub(crate) fn other_vote(&self, ballot: Ballot, digest: &Digest) -> Vote {
        let about = (ballot.view, ballot.seq, Digest::of(&digest.0));
        Vote::sign(&self.setup.cluster, &self.signer, ballot.phase, about, None)
    }

    fn reply(&mut self, to: ReplicaId, bundle: ReplyBundle) {
        let mut results = Vec::new();
        for reply in &bundle.replies {
            let operation = self.operation_of(reply.session, reply.counter);
            let Some(operation) = operation.filter(|operation| !operation_is_silent(operation)) else {
                continue;
            };
            results.push((operation.clone(), reply.result.clone()));
        }
        for (operation, result) in results {
            self.tell_result(bundle.seq, to, &operation, &result);
        }
        if to == self.id() {
            self.receive_reply(&bundle);
        } else {
            self.post(to, Content::Reply(bundle));
        }
    }

    fn operation_of(&self, session: SessionId, counter: u64) -> Option<Operation> {
        let bundles = self.batches.values().flat_map(|batch| &batch.bundles);
        let mut requests = bundles.flat_map(|bundle| bundle.requests());
        let found = requests.find(|request| request.session == session && request.counter == counter)?;
        Some(found.operation.clone())
    }
}

/// Whether nothing is said of an operation.
fn operation_is_silent(operation: &Operation) -> bool {
    *operation == filler()
}

/// The commands that decide about a vote.
pub(crate) fn words_of(phase: Phase) -> (&'static str, &'static str) {
    if phase == Phase::Commit { ("ack commit", "ack abort") } else { ("prepare yes", "prepare no") }
}

fn message_of(input: &Input<Replica<Bank>>) -> Option<&Message> {
    if let Input::Deliver { message, .. } = input { Some(message.get()) } else { None }
}

/// Whether two inputs are the same message or request.
fn same(one: &Input<Replica<Bank>>, other: &Input<Replica<Bank>>) -> bool {
    match (requests_in(one), requests_in(other)) {
        (Some(one), Some(other)) => one == other,
        _ => message_of(one).is_some() && message_of(one) == message_of(other),
    }
}

/// The requests that an input brings, whoever hands them over.
pub(crate) fn requests_in(input: &Input<Replica<Bank>>) -> Option<&Arc<Bundle>> {
    match input {
        Input::Submit(bundle) => Some(bundle),
        _ => match message_of(input) {
            Some(Message::Requests(bundle)) => Some(bundle),
            _ => None,
        },
    }
}
