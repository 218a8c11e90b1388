//! A replica is a function of its inputs: from what it was given it can be built
//! again. [`Recorder`] notes that for any protocol; [`rebuild`] does it.
//!
//! What is noted of a step is the input, the time lent with it and the choices
//! drawn in it. Signatures need not be: they are deterministic. Journals and replays
//! rest on this.

use crate::choose::Choose;
use crate::cluster::Cluster;
use crate::ids::{Digest, Micros, ReplicaId};
use crate::keys::Signer;
use crate::protocol::{Context, Effect, Input, Protocol, Reading, Status};
use crate::request::Operation;
use std::hash::{Hash, Hasher};

/// One step of a replica: all that it depends on, and a hash of what came of it.
#[derive(Clone, Debug)]
pub struct Step<P: Protocol> {
    /// How often the replica's state was damaged before it ([`Protocol::corrupt_state`]):
    /// no input, but what a simulated fault does to a replica.
    pub damaged: u32,
    /// The input.
    pub input: Input<P>,
    /// The time that was lent with it.
    pub now: Micros,
    /// The choices drawn, in order: for each the bound and the number chosen.
    pub choices: Vec<(u64, u64)>,
    /// See [`hash_of`].
    pub effects: u64,
}

/// A hash of a step's effects, in order: enough to notice that a rebuilt replica
/// did something else. The same on every platform, but not promised from one version
/// of Rust to the next, which may change what the standard types hash.
pub fn hash_of<P: Protocol>(effects: &[Effect<P>]) -> u64 {
    let mut hasher = PortableHasher(blake3::Hasher::new());
    effects.hash(&mut hasher);
    hasher.finish()
}

/// Hashes lengths and other numbers of a pointer's width as 64 bits. (Bytes come in the
/// order of the machine: little-endian wherever this runs.)
struct PortableHasher(blake3::Hasher);

impl Hasher for PortableHasher {
    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight of 32 bytes"))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as i64 as u64);
    }
}

/// A replica that could not be rebuilt as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// It drew another choice, or more or fewer, than were noted.
    #[error("step {step}: the replica drew choices that are not those recorded")]
    Choices {
        /// The step, from 0.
        step: usize,
    },
    /// Other effects came of a step.
    #[error("step {step}: the replica has other effects than those recorded")]
    Effects {
        /// The step, from 0.
        step: usize,
    },
}

/// Gives a replica an input. Returns the choices that it drew, in order: for each the bound and the number chosen.
pub fn step_noting<P: Protocol>(replica: &mut P, cx: Context<'_, P>, input: Input<P>) -> Vec<(u64, u64)> {
    let Context { cluster, signer, choose, now, effects } = cx;
    let mut choose = NotingChoice { inner: choose, drawn: Vec::new() };
    replica.step(&mut Context::new(cluster, signer, &mut choose, effects).at(now), input);
    choose.drawn
}

/// Gives a replica an input with the choices that it drew when it was given it first. False if it asks for others, or
/// for more or fewer.
pub fn step_again<P: Protocol>(
    replica: &mut P,
    cluster: &Cluster,
    signer: &Signer,
    input: Input<P>,
    now: Micros,
    choices: &[(u64, u64)],
    effects: &mut Vec<Effect<P>>,
) -> bool {
    let mut choose = NotedChoice { left: choices.iter(), diverged: false };
    replica.step(&mut Context::new(cluster, signer, &mut choose, effects).at(now), input);
    !choose.diverged && choose.left.len() == 0
}

/// Notes every choice that passes through it.
struct NotingChoice<'a> {
    inner: &'a mut dyn Choose,
    drawn: Vec<(u64, u64)>,
}

impl Choose for NotingChoice<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        let chosen = self.inner.below(bound);
        self.drawn.push((bound, chosen));
        chosen
    }
}

/// Gives noted choices again, and notices when others are asked for.
struct NotedChoice<'a> {
    left: std::slice::Iter<'a, (u64, u64)>,
    diverged: bool,
}

impl Choose for NotedChoice<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        match self.left.next() {
            Some((noted, chosen)) if *noted == bound => *chosen,
            _ => {
                self.diverged = true;
                0
            }
        }
    }
}

/// Gives a replica that has seen nothing yet the inputs of `steps`, with the times
/// and choices that belong to them. `each` is called after every step with the
/// replica and its effects. An error if the replica does not do what was recorded.
pub fn rebuild<P: Protocol>(
    mut replica: P,
    cluster: &Cluster,
    signer: &Signer,
    steps: &[Step<P>],
    mut each: impl FnMut(usize, &P, &[Effect<P>]),
) -> Result<P, Divergence> {
    let mut effects = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        effects.clear();
        (0..step.damaged).for_each(|_| replica.corrupt_state());
        let input = step.input.clone();
        if !step_again(&mut replica, cluster, signer, input, step.now, &step.choices, &mut effects) {
            return Err(Divergence::Choices { step: number });
        }
        if hash_of(&effects) != step.effects {
            return Err(Divergence::Effects { step: number });
        }
        each(number, &replica, &effects);
    }
    Ok(replica)
}

/// A protocol around any protocol, with the same messages and timers, that notes
/// what the replica inside is given. It adds nothing else: two recorders are equal
/// if their replicas are.
#[derive(Clone, Debug)]
pub struct Recorder<P: Protocol> {
    initial: P,
    replica: P,
    steps: Vec<Step<P>>,
    /// How often the replica's state was damaged since the last step.
    damaged: u32,
}

impl<P: Protocol> Recorder<P> {
    /// Around a replica that has seen nothing yet.
    pub fn new(replica: P) -> Recorder<P> {
        Recorder { initial: replica.clone(), replica, steps: Vec::new(), damaged: 0 }
    }

    /// The replica.
    pub fn inner(&self) -> &P {
        &self.replica
    }

    /// All that the replica was given, in order.
    pub fn steps(&self) -> &[Step<P>] {
        &self.steps
    }

    /// The replica, built again from what it was given.
    pub fn rebuilt(&self, cluster: &Cluster, signer: &Signer) -> Result<P, Divergence> {
        let mut replica = rebuild(self.initial.clone(), cluster, signer, &self.steps, |_, _, _| {})?;
        (0..self.damaged).for_each(|_| replica.corrupt_state());
        Ok(replica)
    }
}

impl<P: Protocol> PartialEq for Recorder<P> {
    fn eq(&self, other: &Recorder<P>) -> bool {
        self.replica == other.replica
    }
}

impl<P: Protocol> Eq for Recorder<P> {}

impl<P: Protocol> Hash for Recorder<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.replica.hash(state);
    }
}

impl<P: Protocol> Protocol for Recorder<P> {
    type Message = P::Message;
    type Timer = P::Timer;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        let (input, now) = (input.of(), cx.now);
        let mut effects = Vec::new();
        let inner = Context::new(cx.cluster, cx.signer, &mut *cx.choose, &mut effects).at(now);
        let choices = step_noting(&mut self.replica, inner, input.clone());
        let damaged = std::mem::take(&mut self.damaged);
        self.steps.push(Step { damaged, input, now, choices, effects: hash_of(&effects) });
        effects.into_iter().for_each(|effect| cx.push(effect.of()));
    }

    fn status(&self, cluster: &Cluster) -> Status {
        self.replica.status(cluster)
    }

    fn state_digest(&self) -> Option<Digest> {
        self.replica.state_digest()
    }

    fn corrupt_state(&mut self) {
        self.damaged += 1;
        self.replica.corrupt_state();
    }

    fn takes_requests(&self, own: ReplicaId) -> bool {
        self.replica.takes_requests(own)
    }

    fn may_wait(&self, cluster: &Cluster, message: &P::Message) -> bool {
        self.replica.may_wait(cluster, message)
    }

    fn query(&self, operation: &Operation) -> Option<Reading> {
        self.replica.query(operation)
    }
}
