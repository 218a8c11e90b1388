//! What a faulty replica of PBFT and CCRO may say: everything that its key can
//! sign over a small alphabet, and everything that can be made of the votes it received.
//! Where votes are shares, sums of them are made of single ones: in every scope of that flow
//! it is the communication node, to which all send theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::{Batch, Cluster, Digest, Phase, ReplicaId, Seq, Signature, Signer, View};
use pbft::mac::SlotReport;
use pbft::new_view::Outline;
use pbft::{Certificate, CertificateKind, Message, NewView, ShareSum, ViewChange, Vote};
use sim::checker::{Forged, signers};

/// What a faulty replica may put into its messages.
#[derive(Clone, Debug)]
pub struct Alphabet {
    /// Batches that it proposes and votes for.
    pub batches: Vec<Arc<Batch>>,
    /// Slots that it forges messages about.
    pub slots: Vec<Seq>,
    /// Views that it forges messages in.
    pub views: Vec<View>,
    /// Communication nodes that its proposals name.
    pub names: Vec<Option<ReplicaId>>,
    /// Whether it makes certificates of the votes it knows.
    pub certificates: bool,
    /// Views that it asks for, and begins as their commander.
    pub new_views: Vec<View>,
}

/// Makes a faulty replica's messages.
pub struct Forger {
    cluster: Cluster,
    signer: Signer,
    alphabet: Alphabet,
    own: Vec<Message>,
}

/// What votes are for.
type About = (View, Seq, Digest);

/// Votes that a faulty replica knows: for each phase and content, by author. PREPAREs and
/// the proposal that they stand for are in one.
#[derive(Default)]
struct Known {
    prepares: BTreeMap<About, BTreeMap<ReplicaId, Signature>>,
    commits: BTreeMap<About, BTreeMap<ReplicaId, Signature>>,
    naming: BTreeMap<About, BTreeSet<(Option<ReplicaId>, Signature)>>,
}

impl Forger {
    /// The forger of the replica `faulty`.
    pub fn new(cluster: &Cluster, faulty: ReplicaId, alphabet: Alphabet) -> Forger {
        let signer = signers(cluster).remove(usize::from(faulty.0));
        let mut forger = Forger { cluster: cluster.clone(), signer, alphabet, own: Vec::new() };
        forger.own = forger.proposals_and_votes();
        let rest = forger.rest();
        forger.own.extend(rest);
        forger
    }

    /// All that it may say now.
    pub fn forge(&self, received: &[&Message]) -> Vec<Forged<Message>> {
        let mut said = self.own.clone();
        let mut known = Known::default();
        received.iter().copied().chain(&self.own).for_each(|message| known.learn(message));
        if self.alphabet.certificates {
            said.extend(self.relays(received));
            said.extend(self.certificates(&known));
        }
        for view in &self.alphabet.new_views {
            let changes = self.view_changes(&known, *view);
            said.extend(self.new_views(received, &changes, *view));
            said.extend(changes.into_iter().map(Message::ViewChange));
        }
        let from = self.signer.id();
        said.into_iter().map(|message| Forged { from, to: None, message }).collect()
    }

    fn proposals_and_votes(&self) -> Vec<Message> {
        let Alphabet { batches, slots, views, names, .. } = &self.alphabet;
        let mut messages = Vec::new();
        let places = views.iter().flat_map(|view| slots.iter().map(move |seq| (*view, *seq)));
        for ((view, seq), batch) in places.flat_map(|place| batches.iter().map(move |batch| (place, batch))) {
            let about = (view, seq, batch.digest());
            let is_commander = self.cluster.commander(view) == self.signer.id();
            if is_commander {
                messages.extend(names.iter().map(|name| {
                    Message::propose(&self.cluster, &self.signer, view, seq, Arc::clone(batch), *name).1
                }));
            } else {
                messages.push(self.vote(Phase::Prepare, about));
            }
            messages.push(self.vote(Phase::Commit, about));
            if self.cluster.has_tags() && view == View(0) {
                messages.push(Message::Decided { seq, digest: batch.digest() });
            }
        }
        messages
    }

    /// What needs nothing that others said, beside proposals and votes.
    fn rest(&self) -> Vec<Message> {
        let Alphabet { batches, slots, views, .. } = &self.alphabet;
        let mut messages = Vec::new();
        for seq in slots {
            // A batch needs no signature of its own; who lacks one may get it.
            let fetched =
                batches.iter().map(|batch| Message::Fetched { seq: *seq, batch: Arc::clone(batch) });
            messages.extend(fetched);
            for view in views {
                let headers: Vec<&Vote> = self.own.iter().filter_map(|m| header(m, *view, *seq)).collect();
                let Some((first, others)) = headers.split_first() else {
                    continue;
                };
                // A header with another's batch: admission must refuse it.
                let swapped = batches.iter().filter(|batch| batch.digest() != first.digest).take(1);
                messages.extend(
                    swapped.map(|batch| Message::PrePrepare {
                        header: (*first).clone(),
                        batch: Arc::clone(batch),
                    }),
                );
                // Proof of its own misbehaviour: makes anybody leave at any moment.
                let second = others.iter().find(|other| other.digest != first.digest);
                messages.extend(second.map(|second| Message::Conflict {
                    first: Box::new((*first).clone()),
                    second: Box::new((*second).clone()),
                }));
            }
        }
        messages
    }

    /// Its own VIEW-CHANGEs for `view`: with nothing, with each vote it may report,
    /// with each certificate that it can make.
    fn view_changes(&self, known: &Known, view: View) -> Vec<Arc<ViewChange>> {
        if self.cluster.has_tags() {
            return self.claims(view);
        }
        let id = self.signer.id();
        let own = self.own.iter().filter_map(|message| match message {
            Message::PrePrepare { header, .. } => Some(header),
            Message::Vote(vote) => Some(vote),
            _ => None,
        });
        let reports = own.filter(|vote| vote.phase != Phase::Commit && vote.view < view && vote.author == id);
        let reports = [vec![]].into_iter().chain(reports.map(|vote| vec![vote.clone()]));
        let reports: Vec<Vec<Vote>> = match self.cluster.protocol.as_str() {
            "ccro" | "ccro-aggregate" => reports.collect(),
            _ => vec![vec![]],
        };
        let prepared: Vec<Vec<Arc<Certificate>>> = [vec![]]
            .into_iter()
            .chain(self.one_certificate_each(known, view).into_iter().map(|certificate| vec![certificate]))
            .collect();
        let pairs = prepared.iter().flat_map(|p| reports.iter().map(move |q| (p.clone(), q.clone())));
        let sign = |(p, q)| Arc::new(ViewChange::sign(&self.cluster, &self.signer, view, None, p, q));
        pairs.map(sign).collect()
    }

    /// Its own VIEW-CHANGEs for `view` where nothing is proved: with every claim about each slot, and the same
    /// pre-prepared, or all batches.
    fn claims(&self, view: View) -> Vec<Arc<ViewChange>> {
        let Alphabet { batches, slots, .. } = &self.alphabet;
        let digests: BTreeSet<Digest> = batches.iter().map(|batch| batch.digest()).collect();
        let last = View(view.0 - 1);
        let all: Vec<(Digest, View)> = digests.iter().map(|digest| (*digest, last)).collect();
        let mut claims = vec![vec![]];
        for seq in slots {
            let prepared =
                (0..view.0).flat_map(|view| digests.iter().map(move |digest| (View(view), *digest)));
            for prepared in [None].into_iter().chain(prepared.map(Some)) {
                let own = prepared.map(|(_, digest)| vec![(digest, last)]);
                for pre_prepared in own.into_iter().chain([all.clone()]) {
                    claims.push(vec![SlotReport { seq: *seq, prepared, pre_prepared }]);
                }
            }
        }
        let sign =
            |reports| Arc::new(ViewChange::sign_reports(&self.cluster, &self.signer, view, None, reports));
        claims.into_iter().map(sign).collect()
    }

    /// For everything that a quorum is known to have accepted before `view`, one
    /// certificate.
    fn one_certificate_each(&self, known: &Known, view: View) -> Vec<Arc<Certificate>> {
        let mut certificates = Vec::new();
        for (about, votes) in known.prepares.iter().filter(|(about, _)| about.0 < view) {
            let commander = self.cluster.commander(about.0);
            let Some((node, header)) = known.naming.get(about).and_then(|named| named.first()) else {
                continue;
            };
            let mut votes = votes.clone();
            votes.insert(commander, *header);
            let made = self.bundles(CertificateKind::Prepared, *about, *node, &votes, self.cluster.quorum());
            let with_commander = made.into_iter().find(|made| made.votes.iter().any(|v| v.0 == commander));
            certificates.extend(with_commander.map(Arc::new));
        }
        certificates
    }

    /// As commander of `view`: NEW-VIEWs of every quorum of VIEW-CHANGEs, with what
    /// they demand and with every batch for the first slot instead.
    fn new_views(&self, received: &[&Message], own: &[Arc<ViewChange>], view: View) -> Vec<Message> {
        if self.cluster.commander(view) != self.signer.id() {
            return vec![];
        }
        let others = received.iter().filter_map(|message| match message {
            Message::ViewChange(change) if change.view == view => Some(Arc::clone(change)),
            _ => None,
        });
        let changes: Vec<Arc<ViewChange>> = others.chain(own.iter().cloned()).collect();
        let name = self.alphabet.names.first().copied().flatten();
        let mut messages = Vec::new();
        if self.cluster.has_tags() {
            let sizes = self.cluster.quorum()..=usize::from(self.cluster.n);
            for mut some in sizes.flat_map(|size| choose(&changes, size)) {
                some.sort_by_key(|change| change.author);
                if some.windows(2).all(|pair| pair[0].author != pair[1].author) {
                    let new_view = NewView::sign(&self.cluster, &self.signer, view, some, vec![]);
                    messages.push(Message::NewView(Arc::new(new_view)));
                }
            }
            return messages;
        }
        for mut quorum in choose(&changes, self.cluster.quorum()) {
            quorum.sort_by_key(|change| change.author);
            if quorum.windows(2).any(|pair| pair[0].author == pair[1].author) {
                continue;
            }
            let Some(Outline { slots: demanded, .. }) = Outline::of(&self.cluster, &quorum) else { continue };
            let others = self.alphabet.batches.iter().map(|batch| vec![(Seq(1), batch.digest())]);
            for slots in [demanded].into_iter().chain(others) {
                let sign = |(seq, digest)| {
                    Vote::sign(&self.cluster, &self.signer, Phase::PrePrepare, (view, seq, digest), name)
                };
                let proposals = slots.into_iter().map(sign).collect();
                let new_view = NewView::sign(&self.cluster, &self.signer, view, quorum.clone(), proposals);
                messages.push(Message::NewView(Arc::new(new_view)));
            }
        }
        messages
    }

    fn vote(&self, phase: Phase, about: About) -> Message {
        if self.cluster.has_tags() {
            let (view, seq, digest) = about;
            return Message::TaggedVote { phase, view, seq, digest };
        }
        Message::Vote(Vote::sign(&self.cluster, &self.signer, phase, about, None))
    }

    /// Votes that were sent to it alone go to whomever it likes.
    fn relays(&self, received: &[&Message]) -> Vec<Message> {
        let mut votes: Vec<Message> = Vec::new();
        for message in received {
            match message {
                Message::Vote(_) | Message::PrePrepare { .. } | Message::Certificate(_) => {
                    votes.push((*message).clone());
                }
                Message::Stuck { votes: inside, .. } => {
                    let single = inside.iter().filter(|vote| vote.phase != Phase::PrePrepare);
                    votes.extend(single.cloned().map(Message::Vote));
                }
                _ => {}
            }
        }
        votes
    }

    /// Certificates of every `size` of `votes`.
    fn bundles(
        &self,
        kind: CertificateKind,
        about: About,
        communication_node: Option<ReplicaId>,
        votes: &BTreeMap<ReplicaId, Signature>,
        size: usize,
    ) -> Vec<Certificate> {
        let votes: Vec<_> = votes.iter().map(|(author, signature)| (*author, *signature)).collect();
        let certificate =
            |votes| Certificate::of_votes(&self.cluster, kind, about, communication_node, votes);
        choose(&votes, size).into_iter().filter_map(certificate).collect()
    }

    /// Where there are sums, the same with one voter more than have signed, and with a share of the commander's own
    /// beside its proposal. Nobody may believe it.
    fn with_false_sum(&self, certificate: &Certificate) -> Vec<Certificate> {
        let Certificate { kind, view, seq, digest, sum: Some(sum), .. } = certificate else { return vec![] };
        let commander = self.cluster.commander(*view);
        let is_listed = |id: &ReplicaId| *kind != CertificateKind::Committed && *id == commander;
        let with = |voter: ReplicaId, added: Option<&Signature>| {
            let voters = sum.voters.iter().chain([voter]).collect();
            let sum = kernel::shares::sum([&sum.sum].into_iter().chain(added))?;
            Some(Certificate { sum: Some(Arc::new(ShareSum { voters, sum })), ..certificate.clone() })
        };
        let missing = self.cluster.replicas().find(|id| !sum.voters.contains(*id) && !is_listed(id));
        let own = is_listed(&self.signer.id()).then(|| {
            Vote::sign(&self.cluster, &self.signer, Phase::Prepare, (*view, *seq, *digest), None).signature
        });
        let unsigned = missing.and_then(|id| with(id, None));
        unsigned.into_iter().chain(own.and_then(|share| with(commander, Some(&share)))).collect()
    }

    /// Every certificate with just enough votes, and every one with a vote less,
    /// which nobody may believe.
    fn certificates(&self, known: &Known) -> Vec<Message> {
        let quorum = self.cluster.quorum();
        let all = usize::from(self.cluster.n);
        let (mut enough, mut one_less) = (Vec::new(), Vec::new());
        let mut make = |kind, about: &About, node, votes: &BTreeMap<_, _>, needed| {
            enough.extend(self.bundles(kind, *about, node, votes, needed));
            one_less.extend(self.bundles(kind, *about, node, votes, needed - 1));
        };
        for (about, votes) in &known.prepares {
            let nodes: BTreeSet<_> = known.naming.get(about).into_iter().flatten().collect();
            for (node, header) in nodes {
                let mut votes = votes.clone();
                votes.insert(self.cluster.commander(about.0), *header);
                make(CertificateKind::Prepared, about, *node, &votes, quorum);
                make(CertificateKind::Fast, about, *node, &votes, all);
            }
        }
        for (about, votes) in &known.commits {
            make(CertificateKind::Committed, about, None, votes, quorum);
        }
        let false_sums: Vec<Certificate> = one_less.iter().flat_map(|one| self.with_false_sum(one)).collect();
        let made = enough.into_iter().chain(one_less).chain(false_sums);
        made.map(|certificate| Message::Certificate(Arc::new(certificate))).collect()
    }
}

impl Known {
    fn learn(&mut self, message: &Message) {
        match message {
            Message::PrePrepare { header, .. } => self.learn_vote(header),
            Message::Vote(vote) => self.learn_vote(vote),
            Message::Stuck { votes, .. } => votes.iter().for_each(|vote| self.learn_vote(vote)),
            _ => {}
        }
    }

    fn learn_vote(&mut self, vote: &Vote) {
        let about = (vote.view, vote.seq, vote.digest);
        match vote.phase {
            Phase::PrePrepare => {
                self.prepares.entry(about).or_default();
                self.naming.entry(about).or_default().insert((vote.communication_node, vote.signature));
            }
            Phase::Prepare => {
                self.prepares.entry(about).or_default().insert(vote.author, vote.signature);
            }
            Phase::Commit => {
                self.commits.entry(about).or_default().insert(vote.author, vote.signature);
            }
        }
    }
}

/// Every choice of `size` of `from`, in order.
pub(super) fn choose<T: Clone>(from: &[T], size: usize) -> Vec<Vec<T>> {
    let chosen = (0u32..1 << from.len()).filter(|set| set.count_ones() as usize == size);
    let pick = |set: u32| {
        let inside = from.iter().enumerate().filter(move |(i, _)| set & (1 << i) != 0);
        inside.map(|(_, one)| one.clone()).collect()
    };
    chosen.map(pick).collect()
}

/// The header of a proposal for this slot.
fn header(message: &Message, view: View, seq: Seq) -> Option<&Vote> {
    match message {
        Message::PrePrepare { header, .. } if header.view == view && header.seq == seq => Some(header),
        _ => None,
    }
}
