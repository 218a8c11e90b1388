//! One replica, and the keys to speak to it as any other.

use apps::OpaqueLog;
use kernel::keys::{Keyring, symbolic};
use kernel::{
    Admission, Batch, Bundle, Cluster, ClusterId, Context, Digest, Effect, Input, Mark, Micros, Operation,
    Phase, Protocol as _, ReplicaId, Request, SeededChoice, Seq, SessionId, Signer, To, View, ViewMark,
};
use pbft::{
    Certificate, CertificateKind, CheckpointVote, Config, Message, NewView, Replica, StableCheckpoint,
    ViewChange, Vote,
};
use std::sync::Arc;

pub(crate) type Pbft = Replica<OpaqueLog>;
pub(crate) type Effects = Vec<Effect<Pbft>>;

/// The size of most operations, in bytes.
pub(crate) const SMALL: usize = 3;

pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) signers: Vec<Signer>,
    pub(crate) replica: Pbft,
    /// What the host's clock shows.
    pub(crate) now: Micros,
    /// The view in which is proposed.
    pub(crate) view: View,
    keyring: Keyring,
    id: u16,
    /// The last slot proposed.
    proposed: u64,
    sessions: u64,
}

/// A replica of four, one second after its start.
pub(crate) fn bench(id: u16, config: Config) -> Bench {
    bench_of(cluster(4), id, Replica::new(config, OpaqueLog::default()))
}

pub(crate) fn cluster(n: u16) -> Cluster {
    Cluster::new(ClusterId::derive("steps", 1), "pbft", n)
}

pub(crate) fn bench_of(cluster: Cluster, id: u16, replica: Pbft) -> Bench {
    let (signers, keyring) = symbolic(1, cluster.n + cluster.clients);
    let (now, view) = (Micros(1_000_000), View(0));
    Bench { cluster, signers, replica, now, view, keyring, id, proposed: 0, sessions: 0 }
}

impl Bench {
    pub(crate) fn step(&mut self, input: Input<Pbft>) -> Effects {
        let (mut effects, mut choose) = (Vec::new(), SeededChoice::new(1));
        let signer = &self.signers[usize::from(self.id)];
        let mut cx = Context::new(&self.cluster, signer, &mut choose, &mut effects).at(self.now);
        self.replica.step(&mut cx, input);
        effects
    }

    pub(crate) fn deliver(&mut self, from: u16, message: Message) -> Effects {
        let mut admission = Admission::new(self.cluster.clone(), self.keyring.clone());
        let from = ReplicaId(from);
        let message = admission.admit(from, message).unwrap();
        self.step(Input::Deliver { from, message })
    }

    /// A bundle of new requests of this gateway, with operations of so many bytes.
    pub(crate) fn bundle(&mut self, gateway: u16, requests: u64, bytes: usize) -> Arc<Bundle> {
        let first = self.sessions;
        self.sessions += requests;
        let request = |number: u64| Request {
            session: SessionId { gateway: ReplicaId(gateway), number },
            counter: 1,
            operation: Operation::new(&vec![7; bytes]),
        };
        let requests = (first..self.sessions).map(request).collect();
        Arc::new(Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], requests))
    }

    /// One small request of this gateway.
    pub(crate) fn request(&mut self, gateway: u16) -> Arc<Bundle> {
        self.bundle(gateway, 1, SMALL)
    }

    /// A bundle of two requests of this gateway, and another one that has the first of them alone.
    pub(crate) fn overlapping(&mut self, gateway: u16) -> [Arc<Bundle>; 2] {
        let both = self.bundle(gateway, 2, SMALL);
        let first = both.requests()[..1].to_vec();
        let alone = Bundle::sign(&self.cluster, &self.signers[usize::from(gateway)], first);
        [both, Arc::new(alone)]
    }

    pub(crate) fn submit(&mut self, bundle: &Arc<Bundle>) -> Effects {
        self.step(Input::Submit(Arc::clone(bundle)))
    }

    /// The commander proposes these bundles in the next slot. Returns it, and what comes of it.
    pub(crate) fn propose(&mut self, bundles: &[Arc<Bundle>]) -> (Slot, Effects) {
        self.proposed += 1;
        let (seq, batch) = (Seq(self.proposed), batch(bundles));
        let slot = Slot { seq, digest: batch.digest(), view: self.view };
        let commander = self.cluster.commander(self.view).0;
        let signer = &self.signers[usize::from(commander)];
        let (_, message) = Message::propose(&self.cluster, signer, self.view, seq, batch, None);
        (slot, self.deliver(commander, message))
    }

    /// A quorum has decided the slot.
    pub(crate) fn decide(&mut self, slot: Slot) -> Effects {
        let certificate = self.certificate(CertificateKind::Committed, slot);
        self.deliver(self.others()[0], Message::Certificate(Arc::new(certificate)))
    }

    /// The bundles are proposed and decided at once, in the next slot.
    pub(crate) fn order(&mut self, bundles: &[Arc<Bundle>]) -> Effects {
        let (slot, mut effects) = self.propose(bundles);
        effects.extend(self.decide(slot));
        effects
    }

    /// That `q` replicas voted so, not counting this one if there are enough others.
    pub(crate) fn certificate(&self, kind: CertificateKind, slot: Slot) -> Certificate {
        let Slot { seq, digest, view } = slot;
        let vote = |author: u16| {
            let phase = match kind {
                CertificateKind::Committed => Phase::Commit,
                _ if self.cluster.commander(view) == ReplicaId(author) => Phase::PrePrepare,
                _ => Phase::Prepare,
            };
            (ReplicaId(author), self.vote(author, phase, slot).signature)
        };
        let votes = self.others().into_iter().map(vote).collect();
        Certificate { kind, view, seq, digest, communication_node: None, votes, sum: None }
    }

    pub(crate) fn vote(&self, author: u16, phase: Phase, Slot { seq, digest, view }: Slot) -> Vote {
        Vote::sign(&self.cluster, &self.signers[usize::from(author)], phase, (view, seq, digest), None)
    }

    /// Proof that the state after this slot is `state`.
    pub(crate) fn proof(&self, seq: u64, state: Digest) -> Arc<StableCheckpoint> {
        let sign = |author: u16| {
            let signer = &self.signers[usize::from(author)];
            let vote = CheckpointVote::sign(&self.cluster, signer, Seq(seq), state);
            (vote.author, vote.signature)
        };
        let votes = self.others().into_iter().map(sign).collect();
        Arc::new(StableCheckpoint { seq: Seq(seq), state, votes })
    }

    /// Proof of the state that this replica has now.
    pub(crate) fn own_proof(&self) -> Option<Arc<StableCheckpoint>> {
        let core = self.replica.core();
        let executed = core.last_executed().0;
        (executed > 0).then(|| self.proof(executed, core.state_digest()))
    }

    pub(crate) fn view_change(
        &self,
        author: u16,
        view: View,
        stable: Option<Arc<StableCheckpoint>>,
    ) -> ViewChange {
        let signer = &self.signers[usize::from(author)];
        ViewChange::sign(&self.cluster, signer, view, stable, vec![], vec![])
    }

    /// A view begins after the slots executed, whose state is stable.
    pub(crate) fn begin_view(&mut self, view: View) -> Effects {
        self.view = view;
        self.proposed = self.replica.core().last_executed().0;
        let stable = self.own_proof();
        let commander = self.cluster.commander(view).0;
        let mut authors = vec![commander];
        authors.extend((0..self.cluster.n).filter(|id| *id != commander && *id != self.id));
        authors.truncate(self.cluster.quorum());
        authors.sort_unstable();
        let change = |author: u16| Arc::new(self.view_change(author, view, stable.clone()));
        let changes = authors.into_iter().map(change).collect();
        let signer = &self.signers[usize::from(commander)];
        let new_view = NewView::sign(&self.cluster, signer, view, changes, vec![]);
        self.deliver(commander, Message::NewView(Arc::new(new_view)))
    }

    /// The first `q` replicas, this one among them only if there are too few.
    fn others(&self) -> Vec<u16> {
        let mut authors: Vec<u16> = (0..self.cluster.n).collect();
        authors.sort_by_key(|author| (*author == self.id, *author));
        authors.truncate(self.cluster.quorum());
        authors.sort_unstable();
        authors
    }
}

/// A slot, and what is proposed for it or decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) seq: Seq,
    pub(crate) digest: Digest,
    pub(crate) view: View,
}

/// The first slot of all, with these bundles.
pub(crate) fn first_slot(bundles: &[Arc<Bundle>]) -> Slot {
    Slot { seq: Seq(1), digest: batch(bundles).digest(), view: View(0) }
}

pub(crate) fn batch(bundles: &[Arc<Bundle>]) -> Arc<Batch> {
    Arc::new(Batch { bundles: bundles.to_vec() })
}

pub(crate) fn to_all(message: Message) -> Effect<Pbft> {
    Effect::Send { to: To::All, message }
}

pub(crate) fn to_one(id: u16, message: Message) -> Effect<Pbft> {
    Effect::Send { to: To::One(ReplicaId(id)), message }
}

/// The view that it asks for.
pub(crate) fn left_for(effects: &Effects) -> Option<View> {
    effects.iter().find_map(|effect| match effect {
        Effect::Mark(Mark::View(ViewMark::LeftFor { view })) => Some(*view),
        _ => None,
    })
}

/// Whether requests go to all.
pub(crate) fn asks_all(effects: &Effects) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Send { to: To::All, message: Message::Requests(_) }))
}
