//! What the replica was given, written before anything that it promises because of that leaves
//! (the crate `journal`, ADR 30).

use crate::clock::now_ns;
use crate::config::{JournalTo, NodeConfig};
use adversary::{Adversary, Behaviour, Timer};
use anyhow::{Context as _, bail};
use journal::folder::Found;
use journal::writer::WriteReplica;
use journal::{
    Durable, Folder, FolderError, Held, Identity, Noted, PROGRAM, Progress, Replayed, Size, When, Writer,
    entry,
};
use kernel::{Cluster, Context, Effect, Input, Micros, Protocol, Signer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// The timers that run, and for how long each was set.
pub(crate) type RunningTimers<P> = BTreeMap<Timer<<P as Protocol>::Timer>, Micros>;

/// More effects than this wait for the disk: the replica takes nothing more in for the time being.
const MOST_HELD: usize = 65_536;

/// The journal of a running node.
pub(crate) struct Journal<P: Protocol> {
    /// See [`Start::began`].
    began: When,
    writer: Writer,
    held: Held<Adversary<P>>,
    noted: Noted,
    to_save: fn(&Adversary<P>, RunningTimers<P>, Micros) -> WriteReplica,
    /// Faults were injected into the replica once: it is not saved, only played again from its beginning, as
    /// what surrounds it cannot be saved.
    was_faulty: bool,
    progress: Progress,
    /// It failed, and that was said.
    has_ended: bool,
}

/// A node as it comes up.
pub(crate) struct Start<P: Protocol> {
    /// The replica.
    pub(crate) replica: Adversary<P>,
    /// What it had set, if it was there before.
    pub(crate) timers: RunningTimers<P>,
    /// What it is to be given first.
    pub(crate) inputs: Vec<Input<Adversary<P>>>,
    /// When it was there again: its time goes on from what was lent to it last. The machine's clock may have been set
    /// back since; this moment is after all at which a node with this journal has run.
    pub(crate) began: When,
    /// The same moment on the clock of [`now_ns`].
    pub(crate) started_ns: u64,
    /// None if it has none.
    pub(crate) journal: Option<Journal<P>>,
}

impl<P: Protocol> Start<P> {
    fn fresh(replica: Adversary<P>) -> Start<P> {
        Start {
            replica,
            timers: RunningTimers::<P>::new(),
            inputs: vec![Input::Start],
            began: When::now(Micros(0)),
            started_ns: now_ns(),
            journal: None,
        }
    }

    /// Where it stopped before anything was written, it may have been started, and said something, all the same.
    fn again(replayed: Replayed<Adversary<P>>, was_started: bool, last_began: When) -> Start<P> {
        let Replayed { replica, timers, now, .. } = replayed;
        let began = When::now(now).not_before(last_began);
        let inputs = if was_started { vec![Input::Resume] } else { vec![Input::Start, Input::Resume] };
        Start { replica, timers, inputs, began, started_ns: now_ns(), journal: None }
    }
}

/// Brings up `replica`, which has seen nothing yet, or in its place the one that the journal holds. `wake` is told when
/// there is more to do.
pub(crate) fn start<P: Durable>(
    config: &NodeConfig,
    signer: &Signer,
    replica: Adversary<P>,
    wake: &Arc<Notify>,
) -> anyhow::Result<Start<P>> {
    let Some(to) = &config.journal else { return Ok(Start::fresh(replica)) };
    let behaviours = replica.behaviours().to_vec();
    let (folder, found) = Folder::open(&to.folder, identity(config, to))?;
    let cannot_write = || format!("cannot write the journal in {}", to.folder.display());
    let fresh = Adversary::new(replica.inner().clone(), Vec::new());
    let (mut start, size, was_faulty) = match found {
        None => {
            let first = to_save(&fresh, RunningTimers::<P>::new(), Micros(0));
            let saved = folder.save_first().write(first).with_context(cannot_write)?;
            (Start::fresh(fresh), Size { saved, entries: 0, bytes: 0 }, false)
        }
        Some(found) => {
            let replayed = rebuild(&config.cluster, signer, fresh, &found)
                .with_context(|| format!("cannot go on from the journal in {}", to.folder.display()))?;
            let bytes = found.inputs.iter().map(|generation| generation.entries.len() as u64).sum();
            let saved = found.replica.len() as u64;
            let (size, was_faulty) = (Size { saved, entries: replayed.entries, bytes }, replayed.was_faulty);
            let last_began = found.inputs.last().map_or(When::default(), |generation| generation.began);
            let was_started = !found.is_first || replayed.entries > 0;
            (Start::again(replayed, was_started, last_began), size, was_faulty)
        }
    };
    let wake = Arc::clone(wake);
    let writer = Writer::begin(folder, to.durability, size, start.began, move || wake.notify_one());
    let writer = writer.with_context(cannot_write)?;
    let mut journal = Journal {
        began: start.began,
        progress: writer.progress(),
        writer,
        held: Held::default(),
        noted: Noted::default(),
        to_save: to_save::<P>,
        was_faulty,
        has_ended: false,
    };
    if start.replica.behaviours() != behaviours {
        journal.note_faults(&behaviours, start.began.elapsed);
        start.replica.set_behaviours(behaviours);
    }
    start.journal = Some(journal);
    Ok(start)
}

impl NodeConfig {
    /// Whether the folder for the node's journal is empty, or holds a journal of this node.
    ///
    /// # Errors
    ///
    /// With what is wrong with it. All that can be wrong further on is found when the node starts.
    pub fn check_journal(&self) -> Result<(), FolderError> {
        self.journal.as_ref().map_or(Ok(()), |to| Folder::check(&to.folder, &identity(self, to)))
    }
}

fn identity(config: &NodeConfig, to: &JournalTo) -> Identity {
    Identity {
        cluster: config.cluster.id.to_string(),
        protocol: config.cluster.protocol.clone(),
        app: config.app.to_string(),
        n: config.cluster.n,
        clients: config.cluster.clients,
        node: config.id.0,
        settings: to.settings.clone(),
    }
}

fn rebuild<P: Durable>(
    cluster: &Cluster,
    signer: &Signer,
    fresh: Adversary<P>,
    found: &Found,
) -> anyhow::Result<Replayed<Adversary<P>>> {
    let began = Instant::now();
    let saved = journal::replay::load::<Adversary<P>, P>(&found.replica)?;
    let mut replayed = Replayed::begin(fresh.with_replica(saved.replica), saved.timers, saved.now);
    // What one build made of an entry, another may not.
    if let Some(other) = found.other_build() {
        bail!(
            "build {other} of the program wrote it and this is build {PROGRAM}: start it with the old one, or remove the \
             folder and start the node as one that lost its memory"
        );
    }
    for generation in &found.inputs {
        journal::replay(
            &mut replayed,
            cluster,
            signer,
            entry::read(&generation.entries),
            Adversary::set_typed,
            |_, _, _| true,
        )?;
    }
    tracing::info!(
        entries = replayed.entries,
        torn_bytes = found.torn,
        took_ms = began.elapsed().as_millis() as u64,
        "is by its journal as it was when it stopped"
    );
    Ok(replayed)
}

fn to_save<P: Durable>(replica: &Adversary<P>, timers: RunningTimers<P>, now: Micros) -> WriteReplica {
    let replica = replica.inner().clone();
    Box::new(move |to| journal::replay::save::<Adversary<P>, P>(to, &replica, &timers, now))
}

impl<P: Protocol> Journal<P> {
    /// Gives the replica an input, and notes it.
    pub(crate) fn step(
        &mut self,
        replica: &mut Adversary<P>,
        cx: Context<'_, Adversary<P>>,
        input: Input<Adversary<P>>,
    ) {
        self.noted.step(replica, cx, input);
    }

    /// These faults are injected now.
    pub(crate) fn note_faults(&mut self, behaviours: &[Behaviour], now: Micros) {
        self.was_faulty |= !behaviours.is_empty();
        self.noted.faults::<Adversary<P>>(Adversary::<P>::typed(behaviours), now);
    }

    /// Takes the effects of the input noted last; leaves those that may be carried out at once.
    pub(crate) fn hold(&mut self, cluster: &Cluster, effects: &mut Vec<Effect<Adversary<P>>>) {
        self.held.hold(cluster, self.writer.next(), effects);
    }

    /// When [`Journal::write`] must be called at the latest; none if nothing is noted.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.noted.due()
    }

    /// Has what was noted written if something waits for it, or it has waited for long; then the replica is saved
    /// as it is now, if the journal has grown long.
    pub(crate) fn write(
        &mut self,
        replica: &Adversary<P>,
        timers: impl FnOnce() -> RunningTimers<P>,
        now: Micros,
    ) {
        if self.held.waits_for(self.writer.next()) || self.noted.is_due(now) {
            self.write_all();
            if self.writer.wants_save() && !self.was_faulty {
                self.writer
                    .save(When::now(now).not_before(self.began), (self.to_save)(replica, timers(), now));
            }
        }
    }

    fn write_all(&mut self) {
        if !self.noted.is_empty() {
            let (entries, count) = self.noted.take();
            self.writer.append(entries, count);
        }
    }

    /// The next effect whose inputs are safe.
    pub(crate) fn release(&mut self) -> Option<Effect<Adversary<P>>> {
        self.held.safe_up_to(self.writer.safe());
        self.held.release()
    }

    /// Whether the disk is far behind.
    pub(crate) fn is_behind(&self) -> bool {
        self.held.len() > MOST_HELD || self.writer.is_behind()
    }

    /// Whether nothing more can be promised. What waits will never leave.
    pub(crate) fn has_ended(&mut self) -> bool {
        let Some(failure) = self.progress.failure() else { return false };
        if !std::mem::replace(&mut self.has_ended, true) {
            tracing::error!(
                "{failure}; this node takes part in nothing more. The others go on as long as no more than f nodes \
                 fail. Mend the disk and start the node again"
            );
            self.held.clear();
            self.noted = Noted::default();
        }
        true
    }

    /// Whether [`Journal::has_ended`] has said so.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended
    }

    /// Effects that wait for the disk.
    pub(crate) fn effects_waiting(&self) -> usize {
        self.held.len()
    }

    /// How far it is, for others to read.
    pub(crate) fn progress(&self) -> Progress {
        self.writer.progress()
    }
}

/// What was noted is written, though nothing waits for it: who stops a node finds all of it in the journal.
impl<P: Protocol> Drop for Journal<P> {
    fn drop(&mut self) {
        self.write_all();
    }
}
