//! One journal and the replica that it is of.

use std::path::{Path, PathBuf};

use adversary::Adversary;
use anyhow::{Context, Result, ensure};
use apps::{AppName, Service};
use flows::job::FlowName;
use journal::{Durable, Entry, Folder, Found, Identity, PROGRAM, Replayed, entry};
use kernel::{Cluster, ClusterId, Effect};

/// A journal that was read.
pub struct FolderOf {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub identity: Identity,
    /// What it holds.
    pub found: Found,
}

/// What is done with every step of a replica.
pub trait Watch<P: Durable> {
    /// A replica as it was when the journal begins.
    fn begins(&mut self, replica: &Adversary<P>, at: Moment);

    /// It was given an entry. Returns whether to go on.
    fn step(&mut self, step: &Played<P>) -> bool;
}

/// A step of a replica that was played again.
pub struct Played<'a, P: Durable> {
    /// What it was given.
    pub entry: &'a Entry<Adversary<P>>,
    /// The replica after it.
    pub replica: &'a Adversary<P>,
    /// What came of it.
    pub effects: &'a [Effect<Adversary<P>>],
    /// When it was.
    pub at: Moment,
}

/// Does something with a journal, whichever protocol it is of.
pub trait Use {
    /// What comes of it.
    type Output;

    /// Does it.
    fn with<P: Durable>(self, journal: &FolderOf) -> Result<Self::Output>;
}

/// When something happened.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The entry, from 0.
    pub number: u64,
    /// Microseconds since 1970, as far as the machine's clock was right when the file was begun.
    pub unix_us: u64,
}

impl FolderOf {
    /// Reads the journal of one node; it may be running.
    ///
    /// # Errors
    ///
    /// If there is none, or it is damaged.
    pub fn read(path: &Path) -> Result<FolderOf> {
        let what = || {
            format!("{} holds no journal; give the folder of one node, such as DIR/node-3", path.display())
        };
        ensure!(
            path.is_dir(),
            "{} is no folder; give the folder of one node, such as DIR/node-3",
            path.display()
        );
        let (identity, found) = Folder::look(path)?.with_context(what)?;
        Ok(FolderOf { path: path.to_owned(), identity, found })
    }

    /// What to say if another build of the program wrote it.
    pub fn doubt(&self) -> Option<String> {
        let other = self.found.other_build()?;
        Some(format!(
            "build {other} of the program wrote {}, and this is build {PROGRAM}: what is shown may not be what happened",
            self.path.display()
        ))
    }

    /// The replica's cluster.
    ///
    /// # Errors
    ///
    /// If the first line does not tell.
    pub fn cluster(&self) -> Result<Cluster> {
        let Identity { cluster, protocol, n, clients, node, .. } = &self.identity;
        let id: Option<ClusterId> = cluster.parse().ok();
        let id = id
            .filter(|_| node < n)
            .with_context(|| format!("{}: the first line names no cluster", self.path.display()))?;
        Ok(Cluster { id, protocol: protocol.clone(), n: *n, clients: *clients })
    }

    /// What is replicated.
    ///
    /// # Errors
    ///
    /// If this program does not know it.
    pub fn app(&self) -> Result<AppName> {
        self.identity.app.parse().with_context(|| format!("the journal {}", self.path.display()))
    }

    /// Does something with it, as the journal of the protocol that it is of.
    ///
    /// # Errors
    ///
    /// If this program does not know the protocol, or it cannot be done.
    pub fn using<U: Use>(&self, what: U) -> Result<U::Output> {
        match self.identity.protocol.parse::<FlowName>()? {
            FlowName::Pbft | FlowName::PbftMac | FlowName::PbftMacRequests => {
                what.with::<pbft::Replica<Service>>(self)
            }
            FlowName::Ccro | FlowName::CcroAggregate => what.with::<ccro::Replica<Service>>(self),
            FlowName::CcroPaper => what.with::<ccro::paper::Replica<Service>>(self),
            FlowName::Broadcast => what.with::<flows::job::Member>(self),
        }
        .with_context(|| format!("cannot play the journal {}", self.path.display()))
    }

    /// Plays it. Without the node's key, its signatures are others than they were, and all else is the same.
    ///
    /// # Errors
    ///
    /// If it cannot be played.
    pub fn play<P: Durable>(&self, watch: &mut impl Watch<P>) -> Result<()> {
        let cluster = self.cluster()?;
        // Nobody is told what is signed here.
        let (mut signers, _) = kernel::keys::symbolic(0, cluster.n);
        let signer = signers.swap_remove(usize::from(self.identity.node));
        let saved = journal::replay::load::<Adversary<P>, P>(&self.found.replica)?;
        let replica = Adversary::new(saved.replica, Vec::new());
        let began = self.found.inputs.first().map_or(0, |generation| generation.began.unix_us);
        watch.begins(&replica, Moment { number: 0, unix_us: began });
        let mut replayed = Replayed::begin(replica, saved.timers, saved.now);
        for generation in &self.found.inputs {
            let (first, mut goes_on) = (replayed.entries, true);
            let mut number = first;
            let each =
                |entry: &Entry<Adversary<P>>, replica: &Adversary<P>, effects: &[Effect<Adversary<P>>]| {
                    let since_us = entry.now.0.saturating_sub(generation.began.elapsed.0);
                    let at = Moment { number, unix_us: generation.began.unix_us.saturating_add(since_us) };
                    number += 1;
                    goes_on = watch.step(&Played { entry, replica, effects, at });
                    goes_on
                };
            let entries = entry::read(&generation.entries);
            journal::replay(&mut replayed, &cluster, &signer, entries, Adversary::set_typed, each)?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }
}
