//! The journals of a cluster, as one recorded run.

use std::collections::BTreeMap;
use std::path::Path;

use adversary::Adversary;
use anyhow::{Context, Result, bail, ensure};
use apps::AppName;
use flows::job::FlowName;
use journal::Durable;
use journal::entry::Given;
use kernel::{Cluster, Content, Effect, Input, Observation, Protocol, ReplicaId, To, Verified};
use trace::{About, Clock, Part, PartWriter, Trace};

use super::FolderOf;
use super::play::{Moment, Played, Use, Watch};

/// Makes a trace of the journals in the folders `node-ID` below this one.
///
/// # Errors
///
/// If there are none, one cannot be read or played, two are of one node, or they are not of one cluster.
pub fn trace(folder: &Path) -> Result<Trace> {
    let folders = journals(folder)?;
    let first = folders.first().with_context(|| {
        format!("{} holds no journals; give a folder with node-0, node-1 and so on in it", folder.display())
    })?;
    let (cluster, app) = (first.cluster()?, first.app()?);
    let flow: FlowName = first.identity.protocol.parse()?;
    let (mut parts, mut doubts) = (Vec::new(), Vec::new());
    for journal in &folders {
        ensure!(
            journal.cluster()? == cluster,
            "{} and {} are the journals of two clusters; give a folder with those of one",
            first.path.display(),
            journal.path.display()
        );
        doubts.extend(journal.doubt());
        parts.extend(Part::parse(&journal.using(ToPart { cluster: &cluster, app })?)?);
    }
    let about = About {
        title: format!("{} journals of {}", folders.len(), folder.display()),
        app,
        f: flow.tolerates(cluster.n),
        quorum: flow.quorum(&cluster),
        clock: Clock::Real,
        faults: BTreeMap::new(),
        scenario: None,
    };
    let mut trace = trace::merge(&cluster, about, parts, &[]);
    trace.header.notes.extend(doubts);
    trace.header.notes.push(
        "these are journals: what clients were answered is not in them, nor when a message left; one that waited for the \
         disk when its node was killed is shown as sent, and a proposal or PREPARE that left before it was written, and \
         was not written later, is missing"
            .to_owned(),
    );
    Ok(trace)
}

fn journals(folder: &Path) -> Result<Vec<FolderOf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let is_of_node = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("node-"));
        if is_of_node && path.is_dir() && journal::Folder::is_used(&path) {
            folders.push(FolderOf::read(&path)?);
        }
    }
    folders.sort_by_key(|folder| folder.identity.node);
    let is_same = |pair: &&[FolderOf]| pair[0].identity.node == pair[1].identity.node;
    if let Some(pair) = folders.windows(2).find(is_same) {
        bail!(
            "{} and {} are both journals of node {}; give a folder with one journal of each node",
            pair[0].path.display(),
            pair[1].path.display(),
            pair[0].identity.node
        );
    }
    Ok(folders)
}

/// Makes the text of a part of a journal.
struct ToPart<'a> {
    cluster: &'a Cluster,
    app: AppName,
}

impl Use for ToPart<'_> {
    type Output = Vec<u8>;

    fn with<P: Durable>(self, journal: &FolderOf) -> Result<Vec<u8>> {
        let node = ReplicaId(journal.identity.node);
        let mut noting = Noting::<P> {
            cluster: self.cluster,
            node,
            app: self.app,
            part: None,
            requests: 0,
            text: Vec::new(),
            last: 0,
        };
        journal.play(&mut noting)?;
        let last = noting.last;
        if let Some(mut part) = noting.part {
            part.end(last);
            noting.text.extend(part.take());
        }
        Ok(noting.text)
    }
}

/// Notes what a replica does, as a node that is recorded notes it.
struct Noting<'a, P: Protocol> {
    cluster: &'a Cluster,
    node: ReplicaId,
    app: AppName,
    part: Option<PartWriter<P::Message>>,
    requests: u64,
    text: Vec<u8>,
    /// Nanoseconds.
    last: u64,
}

impl<P: Durable> Watch<P> for Noting<'_, P> {
    fn begins(&mut self, replica: &Adversary<P>, at: Moment) {
        let t = nanoseconds(at);
        let mut part = PartWriter::new(self.node, self.app, t).without_signatures();
        if part.state(t, || replica.status(self.cluster)) {
            part.contents(t, |operation| replica.query(operation));
        }
        self.part = Some(part);
    }

    fn step(&mut self, step: &Played<P>) -> bool {
        let Some(part) = &mut self.part else { return false };
        // Two entries of one microsecond are in order.
        let t = nanoseconds(step.at).max(self.last + 1);
        self.last = t;
        match &step.entry.given {
            Given::Faults(faults) => part.behaves(t, faults.clone()),
            Given::Input(Input::Deliver { from, message }) => {
                let content = Content::Message(Verified::get(message));
                part.observe(t, Observation::Arrived { copy: None, from: *from, content });
            }
            Given::Input(Input::Submit(bundle)) if self.cluster.is_client(bundle.gateway()) => {
                part.client_asks(t, bundle.gateway(), bundle);
            }
            Given::Input(Input::Submit(bundle)) => {
                for request in bundle.requests() {
                    part.request(t, self.requests, &request.operation);
                    self.requests += 1;
                }
            }
            Given::Input(Input::Start | Input::Resume | Input::Expire(_)) => {}
        }
        for effect in step.effects {
            note(part, self.cluster, self.node, t, effect);
        }
        if part.state(t, || step.replica.status(self.cluster)) {
            part.contents(t, |operation| step.replica.query(operation));
        }
        self.text.extend(part.take());
        true
    }
}

fn note<P: Protocol>(
    part: &mut PartWriter<P::Message>,
    cluster: &Cluster,
    node: ReplicaId,
    t: u64,
    effect: &Effect<Adversary<P>>,
) {
    let mut sent = |to: ReplicaId, content| {
        part.observe(t, Observation::Departed { copy: 0, to, content, arrivals_ns: None });
    };
    match effect {
        Effect::Send { to: To::One(to), message } => sent(*to, Content::Message(message)),
        Effect::Send { to: To::All, message } => {
            cluster.replicas().filter(|id| *id != node).for_each(|id| sent(id, Content::Message(message)));
        }
        Effect::Reply { to, bundle } if cluster.is_client(*to) => part.client_answered(t, *to, bundle),
        // That it came is not in the journal of whoever got it.
        Effect::Reply { .. } | Effect::SetTimer { .. } | Effect::CancelTimer(_) => {}
        Effect::Reject(rejection) => part.observe(t, Observation::Rejection(rejection)),
        Effect::Mark(mark) => part.observe(t, Observation::Mark(mark)),
    }
}

fn nanoseconds(at: Moment) -> u64 {
    at.unix_us.saturating_mul(1000)
}
