//! The scopes: what is explored, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use apps::OpaqueLog;
use ccro::CommunicationPolicy;
use kernel::{
    Batch, Bundle, Class, Cluster, ClusterId, Digest, Operation, Phase, ReplicaId, Request, Seq, SessionId,
    Signature, View, Wire as _,
};
use pbft::{Certificate, CertificateKind, Message, NewView, ViewChange, Vote};
use sim::checker::{Checkable, Names, Node, Opening, Scope, requests_of, signers};

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

/// What every scope's network loses: upkeep, and questions. Their answers are
/// among the forged messages where they matter.
fn is_upkeep(message: &Message) -> bool {
    match message {
        Message::Requests(_) | Message::Progress { .. } | Message::Checkpoint(_) | Message::Fetch { .. } => {
            true
        }
        Message::Stuck { votes, .. } => votes.is_empty(),
        _ => false,
    }
}

/// What is lost in scopes of view 0 alone as well.
fn is_upkeep_or_view_change(message: &Message) -> bool {
    is_upkeep(message) || message.class() == Class::ViewChange
}

/// Who plays which part in a scope of PBFT or CCRO with `n` identities.
struct Cast<P> {
    protocol: &'static str,
    n: u16,
    replica: P,
    /// Communication nodes that a faulty commander names.
    names: Vec<Option<ReplicaId>>,
    certificates: bool,
}

impl<P: Checkable<Message = Message>> Cast<P> {
    /// These replicas, two requests, and nobody who is faulty.
    fn scope(&self, running: impl IntoIterator<Item = u16>) -> Scope<P> {
        let cluster = cluster(self.protocol, self.n);
        let two = two(&cluster);
        let mut scope = Scope::new(cluster, honest(running, &self.replica));
        scope.asked = two.bundles.iter().flat_map(|bundle| requests_of(bundle)).collect();
        scope.names = two.names;
        scope.describe = describe;
        scope.lost = is_upkeep;
        scope.abstraction = gist;
        scope.topic = topic;
        scope
    }

    /// All but `faulty` are honest. It forges messages about these slots up to view `views`. An
    /// honest commander is given `requests` requests.
    fn with_faulty(&self, faulty: u16, slots: &[u64], views: u64, requests: usize) -> Scope<P> {
        let two = two(&cluster(self.protocol, self.n));
        let mut scope = self.with_faulty_saying(faulty, two.batches, slots, views);
        if faulty != 0 {
            scope.nodes[0].submits = two.bundles[..requests].to_vec();
        }
        scope
    }

    /// All but `faulty` are honest. It forges messages about these batches and slots, up to view `views`.
    fn with_faulty_saying(
        &self,
        faulty: u16,
        batches: Vec<Arc<Batch>>,
        slots: &[u64],
        views: u64,
    ) -> Scope<P> {
        let mut scope = self.scope((0..self.n).filter(|id| *id != faulty));
        let alphabet = Alphabet {
            batches,
            slots: slots.iter().copied().map(Seq).collect(),
            views: (0..=views).map(View).collect(),
            names: self.names.clone(),
            certificates: self.certificates,
            new_views: (1..=views).map(View).collect(),
        };
        let forger = Forger::new(&scope.cluster, ReplicaId(faulty), alphabet);
        scope.faulty = BTreeSet::from([ReplicaId(faulty)]);
        scope.forge = Box::new(move |received| forger.forge(received));
        if views == 0 {
            scope.lost = is_upkeep_or_view_change;
        }
        scope
    }

    /// The commander runs twice, each copy with a request of its own.
    fn twins(&self) -> Scope<P> {
        let mut scope = self.scope([0, 0].into_iter().chain(1..self.n));
        for (twin, bundle) in two(&scope.cluster).bundles.into_iter().enumerate() {
            scope.nodes[twin].honest = false;
            scope.nodes[twin].submits = vec![bundle];
        }
        scope.lost = is_upkeep_or_view_change;
        scope
    }
}

/// `pbft`, `pbft-mac` or `pbft-mac-requests`.
fn pbft(protocol: &'static str, n: u16) -> Cast<Pbft> {
    let replica = pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default());
    Cast { protocol, n, replica, names: vec![None], certificates: false }
}

/// `ccro` or `ccro-aggregate`.
fn ccro(protocol: &'static str, n: u16, names: &[u16], policy: CommunicationPolicy) -> Cast<Ccro> {
    let config = ccro::Config { communication: policy, ..ccro::Config::for_cluster(n) };
    let replica = ccro::Replica::new(config, OpaqueLog::default());
    let names = names.iter().map(|id| Some(ReplicaId(*id))).collect();
    Cast { protocol, n, replica, names, certificates: true }
}

// ---- PBFT: `protocol` is `pbft` or `pbft-mac` ----

/// View 0 with an honest commander and a faulty backup.
pub fn pbft_faulty_backup(protocol: &'static str, n: u16, requests: usize) -> Scope<Pbft> {
    pbft(protocol, n).with_faulty(n - 1, &[1, 2][..requests], 0, requests)
}

/// View 0 with a commander that proposes two batches for each slot.
pub fn pbft_equivocating(protocol: &'static str, n: u16, slots: &[u64]) -> Scope<Pbft> {
    pbft(protocol, n).with_faulty(0, slots, 0, 0)
}

/// View 0 with a commander that runs twice.
pub fn pbft_twins(protocol: &'static str, n: u16) -> Scope<Pbft> {
    pbft(protocol, n).twins()
}

/// A commander that equivocates and can be proved to, at any moment, so that
/// anybody leaves at any moment; with `expirations`, on to view 2. (In `pbft-mac` nothing can be proved, and
/// nobody leaves without an expiration.)
pub fn pbft_view_change(protocol: &'static str, n: u16, views: u64, expirations: u8) -> Scope<Pbft> {
    with_view_expirations(pbft(protocol, n).with_faulty(0, &[1], views, 0), expirations)
}

/// A commander that proposes A with tags that hold for replica 1 alone, and a request that nobody made with tags that hold
/// for nobody; on to view `views`. Both are claimed to be those of replica 3.
pub fn pbft_doubted_requests(views: u64, expirations: u8) -> Scope<Pbft> {
    let cast = pbft("pbft-mac-requests", 4);
    let cluster = cluster(cast.protocol, cast.n);
    let partly_authentic = Arc::new(two(&cluster).bundles[0].favouring(ReplicaId(1)));
    let own = bundle(&cluster, 0, "C");
    let invented = Arc::new(own.as_if_of(ReplicaId(3), &cluster, &signers(&cluster)[0]));
    let batches = vec![batch(&partly_authentic), batch(&invented)];
    let mut scope =
        with_view_expirations(cast.with_faulty_saying(0, batches.clone(), &[1], views), expirations);
    scope.names.0.insert(batches[1].digest(), "C (invented)".to_owned());
    scope
}

fn with_view_expirations(mut scope: Scope<Pbft>, expirations: u8) -> Scope<Pbft> {
    // The next commander has something to propose where a slot is left open.
    scope.nodes[0].submits = vec![two(&scope.cluster).bundles[1].clone()];
    scope.max_expirations = |timer| u8::from(*timer == pbft::Timer::View) * 3;
    scope.expirations = expirations;
    scope
}

/// The same, after the batch A was voted for by all but replica 1 and replica 3
/// has decided it.
pub fn pbft_after_a_decision(protocol: &'static str, views: u64, expirations: u8) -> Scope<Pbft> {
    let mut scope = pbft_view_change(protocol, 4, views, expirations);
    let a = two(&scope.cluster).batches[0].digest();
    scope.openings = vec![
        opening(1, move |m| proposes(m, a)),
        opening(2, move |m| proposes(m, a)),
        opening_from(3, 1, move |m| votes(m, Phase::Prepare, a)),
        opening_from(2, 2, move |m| votes(m, Phase::Prepare, a)),
        opening_from(0, 2, move |m| votes(m, Phase::Commit, a)),
        opening_from(2, 2, move |m| votes(m, Phase::Commit, a)),
    ];
    scope
}

/// The same without the PREPAREs: nobody is prepared, and replica 3 decides only
/// if COMMITs come without.
pub fn pbft_unprepared(protocol: &'static str, expirations: u8) -> Scope<Pbft> {
    let mut scope = pbft_view_change(protocol, 4, 1, expirations);
    let a = two(&scope.cluster).batches[0].digest();
    scope.openings = vec![opening(1, move |m| proposes(m, a)), opening(2, move |m| proposes(m, a))];
    scope
}

// ---- CCRO: `protocol` is `ccro` or `ccro-aggregate` ----

/// View 0 with a communication node that sends any certificate it can make.
pub fn ccro_faulty_communication_node(protocol: &'static str, n: u16, expirations: u8) -> Scope<Ccro> {
    with_expirations(
        ccro(protocol, n, &[], CommunicationPolicy::Separate).with_faulty(1, &[1], 0, 1),
        expirations,
    )
}

/// View 0 with a commander that equivocates and names one of `names`; itself, and
/// it plays both parts.
pub fn ccro_equivocating(protocol: &'static str, n: u16, names: &[u16], expirations: u8) -> Scope<Ccro> {
    with_expirations(
        ccro(protocol, n, names, CommunicationPolicy::Separate).with_faulty(0, &[1], 0, 0),
        expirations,
    )
}

/// View 0 with a commander that runs twice.
pub fn ccro_twins(protocol: &'static str, n: u16, expirations: u8) -> Scope<Ccro> {
    with_expirations(ccro(protocol, n, &[], CommunicationPolicy::Separate).twins(), expirations)
}

/// A commander that equivocates, names itself, and can be proved to at any moment.
pub fn ccro_view_change(protocol: &'static str, n: u16, views: u64, expirations: u8) -> Scope<Ccro> {
    with_expirations(
        ccro(protocol, n, &[0], CommunicationPolicy::Separate).with_faulty(0, &[1], views, 0),
        expirations,
    )
}

/// The same, after all have voted for `decided` and replica 3 alone has its
/// FastCertificate.
pub fn ccro_after_the_fast_path(
    protocol: &'static str,
    decided: usize,
    views: u64,
    expirations: u8,
) -> Scope<Ccro> {
    let mut scope = ccro_view_change(protocol, 4, views, expirations);
    let digest = two(&scope.cluster).batches[decided].digest();
    scope.openings = vec![
        opening(0, move |m| proposes(m, digest)),
        opening(1, move |m| proposes(m, digest)),
        opening(2, move |m| proposes(m, digest)),
        opening(2, move |m| certifies(m, CertificateKind::Fast, digest, 4)),
    ];
    scope
}

/// The same, after replicas 2 and 3 were given A, replica 1 B, and replica 3 alone
/// has the CommittedCertificate of A.
pub fn ccro_after_two_phases(protocol: &'static str, decided: usize, expirations: u8) -> Scope<Ccro> {
    let mut scope = ccro_view_change(protocol, 4, 1, expirations);
    let two = two(&scope.cluster);
    let (a, b) = (two.batches[decided].digest(), two.batches[1 - decided].digest());
    scope.openings = vec![
        opening(0, move |m| proposes(m, b)),
        opening(1, move |m| proposes(m, a)),
        opening(2, move |m| proposes(m, a)),
        opening(1, move |m| certifies(m, CertificateKind::Prepared, a, 3)),
        opening(2, move |m| certifies(m, CertificateKind::Prepared, a, 3)),
        opening(2, move |m| certifies(m, CertificateKind::Committed, a, 3)),
    ];
    scope
}

/// An honest commander whose fast-committed batch only replica 3 knows of; the
/// communication node, replica 2, is faulty.
pub fn ccro_after_an_honest_fast_path(protocol: &'static str, expirations: u8) -> Scope<Ccro> {
    let policy = CommunicationPolicy::Fixed(ReplicaId(2));
    let mut scope = with_expirations(ccro(protocol, 4, &[2], policy).with_faulty(2, &[1], 1, 1), expirations);
    let a = two(&scope.cluster).batches[0].digest();
    scope.openings = vec![
        opening(1, move |m| proposes(m, a)),
        opening(2, move |m| proposes(m, a)),
        opening(2, move |m| certifies(m, CertificateKind::Fast, a, 4)),
    ];
    scope
}

fn with_expirations(mut scope: Scope<Ccro>, expirations: u8) -> Scope<Ccro> {
    scope.max_expirations = |timer| match timer {
        ccro::Timer::FastWait(_) | ccro::Timer::Fallback(_) => 1,
        ccro::Timer::Pbft(pbft::Timer::View) => 3,
        ccro::Timer::Pbft(pbft::Timer::Resend | pbft::Timer::Transfer) => 0,
    };
    scope.expirations = expirations;
    scope
}

// ---- Openings ----

fn opening(node: usize, fits: impl Fn(&Message) -> bool + Send + 'static) -> Opening<Message> {
    Opening { from: None, node, fits: Box::new(fits) }
}

/// One whose message comes from this replica.
fn opening_from(
    from: u16,
    node: usize,
    fits: impl Fn(&Message) -> bool + Send + 'static,
) -> Opening<Message> {
    Opening { from: Some(ReplicaId(from)), ..opening(node, fits) }
}

fn proposes(message: &Message, digest: Digest) -> bool {
    match message {
        Message::PrePrepare { header, batch } => header.digest == digest && batch.digest() == digest,
        Message::TaggedProposal { batch, .. } => batch.digest() == digest,
        _ => false,
    }
}

fn votes(message: &Message, phase: Phase, digest: Digest) -> bool {
    match message {
        Message::Vote(vote) => (vote.phase, vote.digest, vote.view) == (phase, digest, View(0)),
        Message::TaggedVote { phase: on, view, digest: of, .. } => {
            (*on, *of, *view) == (phase, digest, View(0))
        }
        _ => false,
    }
}

fn certifies(message: &Message, kind: CertificateKind, digest: Digest, votes: usize) -> bool {
    let fits =
        |c: &Certificate| (c.kind, c.digest, voters(c).count(), c.view) == (kind, digest, votes, View(0));
    matches!(message, Message::Certificate(certificate) if fits(certificate))
}

/// Whose votes it holds, singly or as part of a sum.
fn voters(certificate: &Certificate) -> impl Iterator<Item = ReplicaId> {
    let single = certificate.votes.iter().map(|(author, _)| *author);
    single.chain(certificate.sum.iter().flat_map(|sum| sum.voters.iter()))
}

// ---- What messages mean ----

/// A message without the composition of its quorums.
fn gist(message: &Message) -> Message {
    match message {
        Message::Certificate(certificate) => Message::Certificate(Arc::new(gist_of(certificate))),
        Message::ViewChange(change) => {
            let prepared = change.prepared.iter().map(|certificate| Arc::new(gist_of(certificate))).collect();
            let signature = Signature([0; 64]);
            Message::ViewChange(Arc::new(ViewChange { prepared, signature, ..ViewChange::clone(change) }))
        }
        // Where it holds no proposals, they follow from what it does hold.
        Message::NewView(new_view)
            if new_view.view_changes.iter().all(|change| change.reports.is_empty()) =>
        {
            let (view_changes, signature) = (vec![], Signature([0; 64]));
            Message::NewView(Arc::new(NewView { view_changes, signature, ..NewView::clone(new_view) }))
        }
        other => other.clone(),
    }
}

/// What a vote is counted for.
fn topic(message: &Message) -> Option<Digest> {
    let counted_for = match message {
        Message::Vote(vote) => format!("{:?} {} {} {}", vote.phase, vote.view, vote.seq, vote.digest),
        Message::TaggedVote { phase, view, seq, digest } => format!("{phase:?} {view} {seq} {digest}"),
        Message::Decided { seq, digest } => format!("decided {seq} {digest}"),
        Message::ViewChange(change) => format!("view change {}", change.view),
        _ => return None,
    };
    Some(Digest::of(counted_for.as_bytes()))
}

fn gist_of(certificate: &Certificate) -> Certificate {
    Certificate { votes: [].into(), sum: None, ..certificate.clone() }
}

fn describe(message: &Message, names: &Names) -> String {
    let about = |vote: &Vote| format!("{} (view {}, slot {})", names.of(&vote.digest), vote.view, vote.seq);
    match message {
        Message::PrePrepare { header, .. } => format!("PRE-PREPARE {}", about(header)),
        Message::Vote(vote) if vote.phase == Phase::Prepare => format!("PREPARE {}", about(vote)),
        Message::Vote(vote) => format!("COMMIT {}", about(vote)),
        Message::TaggedProposal { view, seq, batch } | Message::DoubtedProposal { view, seq, batch } => {
            format!("PRE-PREPARE {} (view {view}, slot {seq})", names.of(&batch.digest()))
        }
        Message::TaggedVote { phase, view, seq, digest } => {
            let name = if *phase == Phase::Prepare { "PREPARE" } else { "COMMIT" };
            format!("{name} {} (view {view}, slot {seq})", names.of(digest))
        }
        Message::Decided { seq, digest } => format!("decided: {} (slot {seq})", names.of(digest)),
        Message::Certificate(certificate) => {
            let Certificate { kind, view, seq, digest, .. } = &**certificate;
            let by: Vec<String> = voters(certificate).map(|author| author.to_string()).collect();
            let (by, name) = (by.join(" "), names.of(digest));
            format!("{kind:?}Certificate {name} (view {view}, slot {seq}) by {by}")
        }
        Message::ViewChange(change) => {
            let certificates = change.prepared.iter();
            let prepared =
                certificates.map(|c| format!("{} prepared in view {}", names.of(&c.digest), c.view));
            let voted =
                change.voted.iter().map(|v| format!("{} voted for in view {}", names.of(&v.digest), v.view));
            let said: Vec<String> = prepared.chain(voted).collect();
            format!("VIEW-CHANGE to {} ({})", change.view, said.join(", "))
        }
        Message::NewView(new_view) => {
            let by: Vec<String> = new_view.view_changes.iter().map(|c| c.author.to_string()).collect();
            let proposals = new_view.proposals.iter();
            let slots: Vec<String> =
                proposals.map(|h| format!("slot {} {}", h.seq, names.of(&h.digest))).collect();
            format!("NEW-VIEW {} ({}) by {}", new_view.view, slots.join(", "), by.join(" "))
        }
        other => other.kind().to_uppercase(),
    }
}
