//! What a faulty replica of PBFT and CCRO may say: everything that its key can
//! sign over a small alphabet, and everything that can be made of what it heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::{Batch, Cluster, Digest, Phase, ReplicaId, Seq, Signature, Signer, View};
use pbft::{Certificate, CertificateKind, Message, Vote};
use sim::checker::{Lie, signers};

/// The alphabet of a liar.
#[derive(Clone, Debug)]
pub struct Alphabet {
    /// Batches that it proposes and votes for.
    pub batches: Vec<Arc<Batch>>,
    /// Slots that it lies about.
    pub slots: Vec<Seq>,
    /// Views that it lies in.
    pub views: Vec<View>,
    /// Communication nodes that its proposals name.
    pub names: Vec<Option<ReplicaId>>,
    /// Whether it makes certificates of the votes it knows.
    pub certificates: bool,
}

/// Makes a liar's messages.
pub struct Forger {
    cluster: Cluster,
    signer: Signer,
    alphabet: Alphabet,
    own: Vec<Message>,
}

/// What votes are for.
type About = (View, Seq, Digest);

/// Votes that a liar knows: for each phase and content, by author. PREPAREs and
/// the proposal that they stand for are in one.
#[derive(Default)]
struct Known {
    prepares: BTreeMap<About, BTreeMap<ReplicaId, Signature>>,
    commits: BTreeMap<About, BTreeMap<ReplicaId, Signature>>,
    naming: BTreeMap<About, BTreeSet<(Option<ReplicaId>, Signature)>>,
}

impl Forger {
    /// The forger of `liar`.
    pub fn new(cluster: &Cluster, liar: ReplicaId, alphabet: Alphabet) -> Forger {
        let signer = signers(cluster).remove(usize::from(liar.0));
        let mut forger = Forger { cluster: cluster.clone(), signer, alphabet, own: Vec::new() };
        forger.own = forger.proposals_and_votes();
        forger
    }

    /// All that it may say now.
    pub fn forge(&self, heard: &[&Message]) -> Vec<Lie<Message>> {
        let mut said = self.own.clone();
        if self.alphabet.certificates {
            let mut known = Known::default();
            heard.iter().copied().chain(&self.own).for_each(|message| known.learn(message));
            said.extend(self.relays(heard));
            said.extend(self.certificates(&known));
        }
        let from = self.signer.id();
        said.into_iter().map(|message| Lie { from, to: None, message }).collect()
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
        }
        messages
    }

    fn vote(&self, phase: Phase, about: About) -> Message {
        Message::Vote(Vote::sign(&self.cluster, &self.signer, phase, about, None))
    }

    /// Votes that were sent to it alone go to whomever it likes.
    fn relays(&self, heard: &[&Message]) -> Vec<Message> {
        let mut votes: Vec<Message> = Vec::new();
        for message in heard {
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

    /// Every certificate with just enough votes, and every one with a vote less,
    /// which nobody may believe.
    fn certificates(&self, known: &Known) -> Vec<Message> {
        let quorum = self.cluster.quorum();
        let all = usize::from(self.cluster.n);
        let mut messages = Vec::new();
        for (about, votes) in &known.prepares {
            let nodes: BTreeSet<_> = known.naming.get(about).into_iter().flatten().collect();
            for (node, header) in nodes {
                let mut votes = votes.clone();
                votes.insert(self.cluster.commander(about.0), *header);
                for size in [quorum - 1, quorum] {
                    messages.extend(bundles(CertificateKind::Prepared, *about, *node, &votes, size));
                }
                for size in [all - 1, all] {
                    messages.extend(bundles(CertificateKind::Fast, *about, *node, &votes, size));
                }
            }
        }
        for (about, votes) in &known.commits {
            for size in [quorum - 1, quorum] {
                messages.extend(bundles(CertificateKind::Committed, *about, None, votes, size));
            }
        }
        messages
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

/// Certificates of every `size` of `votes`.
fn bundles(
    kind: CertificateKind,
    (view, seq, digest): About,
    communication_node: Option<ReplicaId>,
    votes: &BTreeMap<ReplicaId, Signature>,
    size: usize,
) -> Vec<Message> {
    let votes: Vec<_> = votes.iter().map(|(author, signature)| (*author, *signature)).collect();
    let chosen = (0u32..1 << votes.len()).filter(|set| set.count_ones() as usize == size);
    chosen
        .map(|set| {
            let inside = votes.iter().enumerate().filter(|(i, _)| set & (1 << i) != 0);
            let votes = inside.map(|(_, vote)| *vote).collect();
            let certificate = Certificate { kind, view, seq, digest, communication_node, votes };
            Message::Certificate(Arc::new(certificate))
        })
        .collect()
}
