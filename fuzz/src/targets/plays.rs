//! Plays: honest replicas, and faulty ones that say whatever their keys can sign. An input
//! decides everything that the network, the clock, the clients and the faulty replicas do, and
//! the oracles of the simulator judge the honest ones.

use super::peers::keys;
use crate::choices::Choices;
use crate::{Limit, Target};
use apps::OpaqueLog;
use ccro::CommunicationPolicy;
use client::link;
use kernel::{
    Admission, Batch, Bundle, Choose as _, Cluster, ClusterId, Context, Digest, Effect, Falsify, Forgery,
    Input, Micros, Operation, Phase, Protocol, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer,
    StateForgery, To, View,
};
use pbft::{CheckpointVote, Message, Vote};
use sim::oracles::{check_results, check_votes};
use sim::{Stamped, Submitted, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Of PBFT.
pub static PLAYS_OF_PBFT: Target = Target {
    name: "plays_of_pbft",
    reads: "sequences of messages to replicas of PBFT, with f colluding faulty replicas, and the oracles on",
    run: plays_of_pbft,
    limit: LIMIT,
    tries: 150,
};

/// Of PBFT with authenticators.
pub static PLAYS_OF_PBFT_MAC: Target = Target {
    name: "plays_of_pbft_mac",
    reads: "sequences of messages to replicas of PBFT with authenticators, with f colluding faulty replicas, and the \
            oracles on",
    run: plays_of_pbft_mac,
    limit: LIMIT,
    tries: 150,
};

/// Of CCRO.
pub static PLAYS_OF_CCRO: Target = Target {
    name: "plays_of_ccro",
    reads: "sequences of messages to replicas of CCRO, with f colluding faulty replicas, and the oracles on",
    run: plays_of_ccro,
    limit: LIMIT,
    tries: 150,
};

/// What replicas and the trace keep of a play.
const LIMIT: Limit = Limit { bytes: 64 << 20, per_byte: 32 << 10 };

/// Steps of a play.
const MOST_STEPS: usize = 400;
/// Messages that are on their way; older ones are lost then.
const MOST_PENDING: usize = 200;
/// Messages that the faulty replicas remember.
const MOST_KNOWN: usize = 100;

fn plays_of_pbft(input: &[u8]) -> bool {
    play(input, "pbft", |n| pbft::Replica::new(pbft_config(n), OpaqueLog::default()))
}

fn plays_of_pbft_mac(input: &[u8]) -> bool {
    play(input, "pbft-mac", |n| pbft::Replica::new(pbft_config(n), OpaqueLog::default()))
}

fn plays_of_ccro(input: &[u8]) -> bool {
    play(input, "ccro", |n| {
        let communication = CommunicationPolicy::Separate;
        let config = ccro::Config { pbft: pbft_config(n), communication, ..ccro::Config::for_cluster(n) };
        ccro::Replica::new(config, OpaqueLog::default())
    })
}

/// Checkpoints come soon.
fn pbft_config(n: u16) -> pbft::Config {
    pbft::Config { batch_max: 2, window: 2, checkpoint_interval: 4, ..pbft::Config::for_cluster(n) }
}

/// Plays an input. True if an honest replica has executed anything.
///
/// # Panics
///
/// If a property does not hold.
fn play<P: Protocol<Message = Message>>(input: &[u8], protocol: &str, make: impl Fn(u16) -> P) -> bool {
    let mut choices = Choices::new(input);
    let n = if choices.byte() % 4 == 3 { 7 } else { 4 };
    let mut play = Play::new(protocol, n, choices.byte(), make);
    for _ in 0..MOST_STEPS {
        if choices.is_over() {
            break;
        }
        play.go_on(&mut choices);
    }
    let judged = check_results(&play.trace).and_then(|()| check_votes(&play.trace));
    if let Err(violation) = judged {
        panic!("{violation}");
    }
    play.trace.marks.iter().any(|stamped| matches!(stamped.mark, kernel::Mark::Executed { .. }))
}

/// A message on its way.
struct Pending {
    from: ReplicaId,
    to: ReplicaId,
    message: Message,
}

/// What happens in a play.
struct Play<P: Protocol> {
    cluster: Cluster,
    signers: Vec<Signer>,
    /// By receiver.
    admissions: Vec<Admission>,
    /// Those of the honest replicas.
    replicas: BTreeMap<ReplicaId, P>,
    faulty: Vec<ReplicaId>,
    pending: Vec<Pending>,
    timers: BTreeSet<(ReplicaId, P::Timer)>,
    /// What has reached a faulty replica, the newest last.
    known: Vec<Message>,
    /// Requests that exist.
    bundles: Vec<Arc<Bundle>>,
    trace: Trace,
    steps: u64,
}

impl<P: Protocol<Message = Message>> Play<P> {
    /// `which` says which replicas are faulty: as many as are tolerated, one after the other.
    fn new(protocol: &str, n: u16, which: u8, make: impl Fn(u16) -> P) -> Play<P> {
        let cluster = Cluster::new(ClusterId::derive("fuzz", 0), protocol, n);
        let (signers, keyring) = keys(n);
        let faulty: Vec<ReplicaId> =
            (0..cluster.f() as u16).map(|place| ReplicaId((u16::from(which) + place) % n)).collect();
        let honest = cluster.replicas().filter(|id| !faulty.contains(id));
        let mut trace = Trace::new(cluster.clone(), false);
        trace.faulty = faulty.iter().map(|id| id.0).collect();
        let admission = |signer| Admission::new(cluster.clone(), keyring.clone()).of_receiver(signer);
        let mut play = Play {
            admissions: signers.iter().map(admission).collect(),
            replicas: honest.map(|id| (id, make(n))).collect(),
            pending: Vec::new(),
            timers: BTreeSet::new(),
            known: Vec::new(),
            bundles: Vec::new(),
            steps: 0,
            signers,
            faulty,
            trace,
            cluster,
        };
        let honest: Vec<ReplicaId> = play.replicas.keys().copied().collect();
        honest.into_iter().for_each(|id| play.step(id, Input::Start));
        play
    }

    /// One thing happens.
    fn go_on(&mut self, choices: &mut Choices<'_>) {
        self.steps += 1;
        match choices.byte() % 16 {
            0..=6 => self.deliver(choices),
            7 => self.deliver_all(choices),
            8 => self.lose(choices),
            9 => self.expire(choices),
            10 => self.submit(choices),
            _ => self.misbehave(choices),
        }
    }

    fn deliver(&mut self, choices: &mut Choices<'_>) {
        let Some(place) = choices.index(self.pending.len()) else { return };
        let pending = self.pending.remove(place);
        self.arrive(pending);
    }

    /// All that is on its way to one replica arrives.
    fn deliver_all(&mut self, choices: &mut Choices<'_>) {
        let to = ReplicaId(choices.below(u64::from(self.cluster.n)) as u16);
        let arriving: Vec<Pending> = self.pending.extract_if(.., |pending| pending.to == to).collect();
        arriving.into_iter().for_each(|pending| self.arrive(pending));
    }

    fn lose(&mut self, choices: &mut Choices<'_>) {
        if let Some(place) = choices.index(self.pending.len()) {
            self.pending.remove(place);
        }
    }

    fn expire(&mut self, choices: &mut Choices<'_>) {
        let Some(place) = choices.index(self.timers.len()) else { return };
        let timer = self.timers.iter().nth(place).copied();
        if let Some((id, timer)) = timer {
            self.timers.remove(&(id, timer));
            self.step(id, Input::Expire(timer));
        }
    }

    /// A client asks an honest gateway, or a faulty one signs requests.
    fn submit(&mut self, choices: &mut Choices<'_>) {
        let gateway = ReplicaId(choices.below(u64::from(self.cluster.n)) as u16);
        let number = choices.below(3);
        let session = SessionId { gateway, number };
        let earlier = self.trace.submitted.iter().filter(|submitted| submitted.session == session);
        // A client asks one after the other, a faulty gateway anything.
        let counter = match self.faulty.contains(&gateway) {
            true => choices.below(4),
            false => earlier.count() as u64 + 1,
        };
        let request = self.trace.submitted.len();
        let operation = Operation::new(&[b'a' + choices.byte() % 3]);
        let requests = vec![Request { session, counter, operation }];
        let bundle = Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(gateway.0)], requests));
        self.bundles.push(Arc::clone(&bundle));
        if self.faulty.contains(&gateway) {
            return self.say(choices, gateway, Message::Requests(bundle));
        }
        let at_us = self.steps;
        self.trace.submitted.push(Submitted {
            request,
            session,
            counter,
            gateway,
            at_us,
            taken_up_us: Some(at_us),
        });
        self.step(gateway, Input::Submit(bundle));
    }

    /// A faulty replica says something to an honest one, or to all.
    fn misbehave(&mut self, choices: &mut Choices<'_>) {
        let Some(from) = choices.one_of(&self.faulty).copied() else { return };
        if let Some(message) = self.invented(from, choices) {
            self.say(choices, from, message);
        }
    }

    fn say(&mut self, choices: &mut Choices<'_>, from: ReplicaId, message: Message) {
        let honest: Vec<ReplicaId> = self.replicas.keys().copied().collect();
        let place = choices.below(honest.len() as u64 + 1) as usize;
        let to = honest.get(place).map_or(honest.as_slice(), std::slice::from_ref);
        to.iter().for_each(|to| self.send(from, *to, message.clone()));
    }

    /// A message that needs no key but those of the faulty, or that they have received.
    fn invented(&self, from: ReplicaId, choices: &mut Choices<'_>) -> Option<Message> {
        let (cluster, signer) = (&self.cluster, &self.signers[usize::from(from.0)]);
        let kind = choices.byte() % 14;
        let view = View(choices.below(4));
        match kind {
            0 => return Falsify::needless_view_changes(view, cluster, signer).into_iter().next(),
            1 => {
                let mut choose = SeededChoice::new(choices.below(256));
                return Some(Message::noise(Seq(choices.below(12)), &mut choose, cluster, signer));
            }
            2..=4 => return Some(self.vote(signer, view, choices)),
            5 | 6 => return Some(self.proposal(signer, view, choices)),
            _ => {}
        }
        let known = choices.one_of(&self.known)?;
        match kind {
            7 => Some(known.falsified(cluster, signer)),
            8 => known.alternative(cluster, signer),
            9 => known.forged(*choices.one_of(&Forgery::ALL)?, cluster, signer),
            10 => known.misserved(*choices.one_of(&StateForgery::ALL)?),
            11 => {
                let digest = choices.one_of(&self.known)?.subject()?.digest;
                known.with_value(digest, &self.known, cluster, signer)
            }
            12 => mangled(known, choices),
            _ => Some(known.clone()),
        }
    }

    /// A slot, and a value that somebody has proposed or nobody.
    fn value(&self, choices: &mut Choices<'_>) -> (Seq, Digest) {
        let seq = Seq(choices.below(12));
        let known = choices.one_of(&self.known).and_then(Falsify::subject);
        (seq, known.map_or(Digest::ZERO, |known| known.digest))
    }

    fn vote(&self, signer: &Signer, view: View, choices: &mut Choices<'_>) -> Message {
        let (seq, digest) = self.value(choices);
        let vote = |phase| match self.cluster.has_tags() {
            true => Message::TaggedVote { phase, view, seq, digest },
            false => Message::Vote(Vote::sign(&self.cluster, signer, phase, (view, seq, digest), None)),
        };
        let kinds = if self.cluster.has_tags() { 4 } else { 3 };
        match choices.byte() % kinds {
            0 => vote(Phase::Prepare),
            1 => vote(Phase::Commit),
            3 => Message::Decided { seq, digest },
            _ => Message::Checkpoint(CheckpointVote::sign(&self.cluster, signer, seq, digest)),
        }
    }

    fn proposal(&self, signer: &Signer, view: View, choices: &mut Choices<'_>) -> Message {
        let count = choices.below(3);
        let bundles = (0..count).filter_map(|_| choices.one_of(&self.bundles).cloned()).collect();
        let node = matches!(self.cluster.protocol.as_str(), "ccro" | "ccro-aggregate")
            .then(|| ReplicaId(choices.below(u64::from(self.cluster.n)) as u16));
        let seq = Seq(choices.below(12));
        Message::propose(&self.cluster, signer, view, seq, Arc::new(Batch { bundles }), node).1
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaId, message: Message) {
        self.pending.push(Pending { from, to, message });
        if self.pending.len() > MOST_PENDING {
            self.pending.remove(0);
        }
    }

    fn arrive(&mut self, Pending { from, to, message }: Pending) {
        // Whatever is sent to one of the faulty, all of them know.
        if self.faulty.contains(&to) {
            self.known.push(message);
            if self.known.len() > MOST_KNOWN {
                self.known.remove(0);
            }
        } else if let Ok(message) = self.admissions[usize::from(to.0)].admit(from, message) {
            self.step(to, Input::Deliver { from, message });
        }
    }

    fn step(&mut self, id: ReplicaId, input: Input<P>) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let (mut choose, mut effects) = (SeededChoice::new(self.steps), Vec::new());
        let signer = &self.signers[usize::from(id.0)];
        let mut cx = Context::new(&self.cluster, signer, &mut choose, &mut effects).at(Micros(self.steps));
        replica.step(&mut cx, input);
        for effect in effects {
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: ReplicaId, effect: Effect<P>) {
        match effect {
            Effect::Send { to: To::One(to), message } => self.send(id, to, message),
            Effect::Send { to: To::All, message } => {
                for to in self.cluster.replicas().filter(|to| *to != id) {
                    self.send(id, to, message.clone());
                }
            }
            Effect::SetTimer { timer, .. } => drop(self.timers.insert((id, timer))),
            Effect::CancelTimer(timer) => drop(self.timers.remove(&(id, timer))),
            Effect::Mark(mark) => self.trace.marks.push(Stamped { at_us: self.steps, replica: id, mark }),
            Effect::Reply { .. } | Effect::Reject(_) => {}
        }
    }
}

/// A message with a few of its bytes changed.
fn mangled(message: &Message, choices: &mut Choices<'_>) -> Option<Message> {
    let mut bytes = postcard::to_stdvec(message).expect("messages are plain data");
    for _ in 0..=choices.below(3) {
        let place = choices.index(bytes.len())?;
        bytes[place] = choices.byte();
    }
    link::decode(&bytes).ok()
}
