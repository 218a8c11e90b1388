//! The scopes: what is explored, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use apps::OpaqueLog;
use kernel::{
    Batch, Bundle, Cluster, ClusterId, Operation, Phase, ReplicaId, Request, Seq, SessionId, View, Wire as _,
};
use pbft::{Certificate, Message, Vote};
use sim::checker::{Checkable, Names, Node, Scope, requests_of, signers};

use super::forge::{Alphabet, Forger};

/// A PBFT replica.
pub type Pbft = pbft::Replica<OpaqueLog>;
/// A CCRO replica.
pub type Ccro = ccro::Replica<OpaqueLog>;

/// A cluster of `n` with keys of no worth.
pub fn cluster(protocol: &str, n: u16) -> Cluster {
    Cluster::new(ClusterId::derive("check", 0), protocol, n)
}

/// Request `name` of a client of `gateway`, signed by it.
pub fn bundle(cluster: &Cluster, gateway: u16, name: &str) -> Arc<Bundle> {
    let gateway = ReplicaId(gateway);
    let request = Request {
        session: SessionId { gateway, number: u64::from(name.as_bytes()[0]) },
        counter: 1,
        operation: Operation::new(name.as_bytes()),
    };
    Arc::new(Bundle::sign(cluster, &signers(cluster)[usize::from(gateway.0)], vec![request]))
}

/// A batch of one bundle.
pub fn batch(bundle: &Arc<Bundle>) -> Arc<Batch> {
    Arc::new(Batch { bundles: vec![Arc::clone(bundle)] })
}

/// Honest replicas with these identities.
pub fn honest<P: Clone>(ids: impl IntoIterator<Item = u16>, replica: &P) -> Vec<Node<P>> {
    let node = |id| Node { id: ReplicaId(id), replica: replica.clone(), honest: true, submits: Vec::new() };
    ids.into_iter().map(node).collect()
}

/// The two requests that most scopes are about, and their batches by name.
pub struct Two {
    /// The requests.
    pub bundles: [Arc<Bundle>; 2],
    /// Each alone in a batch, and the null request.
    pub batches: Vec<Arc<Batch>>,
    /// `A`, `B` and `null`.
    pub names: Names,
}

/// Makes them; replica `n-1` is their gateway.
pub fn two(cluster: &Cluster) -> Two {
    let bundles = ["A", "B"].map(|name| bundle(cluster, cluster.n - 1, name));
    let batches = vec![batch(&bundles[0]), batch(&bundles[1])];
    let named = batches.iter().zip(["A", "B"]).map(|(batch, name)| (batch.digest(), name.to_owned()));
    let null = (Batch::default().digest(), "null".to_owned());
    Two { names: Names(named.chain([null]).collect()), bundles, batches }
}

fn pbft_replica(n: u16) -> Pbft {
    pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default())
}

/// Upkeep that no scope without resend timers needs.
fn is_upkeep(message: &Message) -> bool {
    matches!(message, Message::Requests(_) | Message::Progress { .. } | Message::Checkpoint(_))
}

/// Who plays which part in a scope of PBFT or CCRO with `n` identities.
struct Cast<P> {
    protocol: &'static str,
    n: u16,
    replica: P,
    /// Communication nodes that a lying commander names.
    names: Vec<Option<ReplicaId>>,
    certificates: bool,
}

impl<P: Checkable<Message = Message>> Cast<P> {
    /// These replicas, two requests, and nobody who lies.
    fn scope(&self, running: impl IntoIterator<Item = u16>) -> Scope<P> {
        let cluster = cluster(self.protocol, self.n);
        let two = two(&cluster);
        let mut scope = Scope::new(cluster, honest(running, &self.replica));
        scope.asked = two.bundles.iter().flat_map(|bundle| requests_of(bundle)).collect();
        scope.names = two.names;
        scope.describe = describe;
        scope.lost = is_upkeep;
        scope.gist = gist;
        scope
    }

    /// All but `liar` are honest; it lies about these slots in view 0. An honest
    /// commander is given `requests` requests.
    fn liar(&self, liar: u16, slots: &[u64], requests: usize) -> Scope<P> {
        let mut scope = self.scope((0..self.n).filter(|id| *id != liar));
        let two = two(&scope.cluster);
        if liar != 0 {
            scope.nodes[0].submits = two.bundles[..requests].to_vec();
        }
        let alphabet = Alphabet {
            batches: two.batches,
            slots: slots.iter().copied().map(Seq).collect(),
            views: vec![View(0)],
            names: self.names.clone(),
            certificates: self.certificates,
        };
        let forger = Forger::new(&scope.cluster, ReplicaId(liar), alphabet);
        scope.liars = BTreeSet::from([ReplicaId(liar)]);
        scope.forge = Box::new(move |heard| forger.forge(heard));
        scope
    }

    /// The commander runs twice, each copy with a request of its own.
    fn twins(&self) -> Scope<P> {
        let mut scope = self.scope([0, 0].into_iter().chain(1..self.n));
        for (twin, bundle) in two(&scope.cluster).bundles.into_iter().enumerate() {
            scope.nodes[twin].honest = false;
            scope.nodes[twin].submits = vec![bundle];
        }
        scope
    }
}

fn pbft(n: u16) -> Cast<Pbft> {
    let replica = pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default());
    Cast { protocol: "pbft", n, replica, names: vec![None], certificates: false }
}

fn ccro(n: u16, names: &[u16]) -> Cast<Ccro> {
    let replica = ccro::Replica::new(ccro::Config::for_cluster(n), OpaqueLog::default());
    let names = names.iter().map(|id| Some(ReplicaId(*id))).collect();
    Cast { protocol: "ccro", n, replica, names, certificates: true }
}

/// View 0 with an honest commander and a liar among the backups.
pub fn pbft_lying_backup(n: u16, requests: usize) -> Scope<Pbft> {
    pbft(n).liar(n - 1, &[1, 2][..requests], requests)
}

/// View 0 with a commander that proposes two batches for each slot.
pub fn pbft_equivocating(n: u16, slots: &[u64]) -> Scope<Pbft> {
    pbft(n).liar(0, slots, 0)
}

/// View 0 with a commander that runs twice.
pub fn pbft_twins(n: u16) -> Scope<Pbft> {
    pbft(n).twins()
}

/// View 0 with a communication node that sends any certificate it can make.
pub fn ccro_lying_communication_node(n: u16, expirations: u8) -> Scope<Ccro> {
    impatient(ccro(n, &[]).liar(1, &[1], 1), expirations)
}

/// View 0 with a commander that equivocates and names one of `names`; itself, and
/// it plays both parts.
pub fn ccro_equivocating(n: u16, names: &[u16], expirations: u8) -> Scope<Ccro> {
    impatient(ccro(n, names).liar(0, &[1], 0), expirations)
}

/// View 0 with a commander that runs twice.
pub fn ccro_twins(n: u16, expirations: u8) -> Scope<Ccro> {
    impatient(ccro(n, &[]).twins(), expirations)
}

fn impatient(mut scope: Scope<Ccro>, expirations: u8) -> Scope<Ccro> {
    scope.patience = |timer| match timer {
        ccro::Timer::FastWait(_) | ccro::Timer::Fallback(_) => 1,
        ccro::Timer::Resend => 0,
    };
    scope.expirations = expirations;
    scope
}

/// A message without the composition of its quorums.
fn gist(message: &Message) -> Message {
    match message {
        Message::Certificate(certificate) => Message::Certificate(Arc::new(gist_of(certificate))),
        other => other.clone(),
    }
}

fn gist_of(certificate: &Certificate) -> Certificate {
    Certificate { votes: vec![], ..certificate.clone() }
}

fn describe(message: &Message, names: &Names) -> String {
    let about = |vote: &Vote| format!("{} (view {}, slot {})", names.of(&vote.digest), vote.view, vote.seq);
    match message {
        Message::PrePrepare { header, .. } => format!("PRE-PREPARE {}", about(header)),
        Message::Vote(vote) if vote.phase == Phase::Prepare => format!("PREPARE {}", about(vote)),
        Message::Vote(vote) => format!("COMMIT {}", about(vote)),
        Message::Certificate(certificate) => {
            let Certificate { kind, view, seq, digest, votes, .. } = &**certificate;
            let by: Vec<String> = votes.iter().map(|(author, _)| author.to_string()).collect();
            let (by, name) = (by.join(" "), names.of(digest));
            format!("{kind:?}Certificate {name} (view {view}, slot {seq}) by {by}")
        }
        other => other.kind().to_owned(),
    }
}
