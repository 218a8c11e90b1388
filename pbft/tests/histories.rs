//! The new-view rule against drawn histories of one slot: whatever was committed
//! must be proposed by every view that follows (the claim of `pbft::new_view`).
//!
//! The model knows nothing of the replicas' code. In each view the replicas get a
//! proposal or none, honest ones vote for it once, faulty vote for everything;
//! certificates and commits are what the votes allow. Then the next view begins
//! with any quorum of reports, true ones of the honest, any of the faulty.
//!
//! `cargo test --release -p pbft --test histories -- --ignored --nocapture` prints
//! how many histories it takes to miss each part of the rule.

mod drawn;

use drawn::{Claim, Drawn, VIEWS, first_miss, print_misses};
use kernel::{Choose as _, Digest, Phase, ReplicaId, Seq, Signature, View, Weakening};
use pbft::new_view::Outline;
use pbft::{Certificate, CertificateKind, ViewChange, Vote};
use std::sync::Arc;

/// What an honest replica would report.
#[derive(Clone, Copy, Default)]
struct Memory {
    voted: Option<Claim>,
    prepared: Option<Claim>,
}

struct History {
    drawn: Drawn,
    memory: Vec<Memory>,
    /// Every prepared certificate that exists.
    certificates: Vec<Claim>,
}

impl History {
    fn draw(seed: u64) -> History {
        let drawn = Drawn::of(seed, "ccro");
        let memory = vec![Memory::default(); usize::from(drawn.cluster.n)];
        History { drawn, memory, certificates: vec![] }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| choices[self.drawn.dice.below(choices.len() as u64) as usize])
    }

    /// Plays all views; the error says what broke the claim.
    fn play(mut self) -> Result<(), String> {
        for view in 0..VIEWS {
            let proposals = self.proposals(view)?;
            self.vote(view, &proposals)?;
        }
        Ok(())
    }

    /// What each replica gets proposed. An honest commander sends the same to all; a
    /// lying one may begin the view with other reports for each of them.
    fn proposals(&mut self, view: u64) -> Result<Vec<Option<Digest>>, String> {
        let commander = self.drawn.cluster.commander(View(view)).0;
        let is_faulty = self.drawn.faulty.contains(&commander);
        let mut common = None;
        let mut proposals = vec![None; self.memory.len()];
        let heard_by = 50 + self.drawn.dice.below(51);
        for id in self.drawn.honest() {
            let proposal = match common {
                Some(proposal) if !is_faulty => proposal,
                _ => self.proposal(view)?,
            };
            common = Some(proposal);
            if usize::from(commander) == id || self.drawn.percent(heard_by) {
                proposals[id] = Some(proposal);
            }
        }
        if !is_faulty && let Some(digest) = common {
            // The commander's proposal is its vote, whoever hears it.
            self.memory[usize::from(commander)].voted = Some((view, digest));
        }
        Ok(proposals)
    }

    /// A proposal that a view may begin with: what its reports demand, else anything.
    fn proposal(&mut self, view: u64) -> Result<Digest, String> {
        let free = self.drawn.any_digest();
        if view == 0 {
            return Ok(free);
        }
        let reports = self.reports(view);
        let outline = Outline::of(&self.drawn.cluster, &reports).expect("certificates leave nothing open");
        let demanded = outline.slots.first().map(|(_, digest)| *digest);
        match self.drawn.committed {
            Some((in_view, digest)) if demanded != Some(digest) => Err(format!(
                "{digest} was committed in view {in_view}, and view {view} begins with {demanded:?}: {reports:#?}"
            )),
            _ => Ok(demanded.unwrap_or(free)),
        }
    }

    /// A quorum of VIEW-CHANGEs.
    fn reports(&mut self, view: u64) -> Vec<Arc<ViewChange>> {
        let authors = self.drawn.some(self.drawn.cluster.quorum());
        authors.into_iter().map(|author| Arc::new(self.report(view, author))).collect()
    }

    fn report(&mut self, view: u64, author: ReplicaId) -> ViewChange {
        let mut memory = self.memory[usize::from(author.0)];
        if self.drawn.faulty.contains(&author.0) {
            let held = self.certificates.clone();
            memory.prepared = self.one_of(&held).filter(|_| view.is_multiple_of(2));
            let lie = (self.drawn.dice.below(view), self.drawn.any_digest());
            memory.voted = self.drawn.percent(80).then_some(lie);
        }
        let signature = Signature([0; 64]);
        let voted = memory.voted.map(|(voted_in, digest)| Vote {
            phase: Phase::Prepare,
            view: View(voted_in),
            seq: Seq(1),
            digest,
            author,
            communication_node: Some(ReplicaId(0)),
            signature,
        });
        let prepared = memory.prepared.map(|(prepared_in, digest)| {
            Arc::new(Certificate {
                kind: CertificateKind::Prepared,
                view: View(prepared_in),
                seq: Seq(1),
                digest,
                communication_node: Some(ReplicaId(0)),
                votes: [].into(),
                sum: None,
            })
        });
        ViewChange {
            view: View(view),
            author,
            stable: None,
            prepared: prepared.into_iter().collect(),
            voted: voted.into_iter().collect(),
            reports: vec![],
            signature,
        }
    }

    /// Honest replicas vote for what they got, faulty for everything, and what can
    /// be proved by that is proved to some.
    fn vote(&mut self, view: u64, proposals: &[Option<Digest>]) -> Result<(), String> {
        let (n, quorum, faulty) = (self.memory.len(), self.drawn.cluster.quorum(), self.drawn.faulty.len());
        for digest in self.drawn.digests {
            let voters: Vec<usize> =
                self.drawn.honest().into_iter().filter(|id| proposals[*id] == Some(digest)).collect();
            for id in &voters {
                self.memory[*id].voted = Some((view, digest));
            }
            if voters.len() + faulty == n && self.drawn.percent(50) {
                self.drawn.commit((view, digest))?;
            }
            if voters.is_empty() || voters.len() + faulty < quorum {
                continue;
            }
            self.certificates.push((view, digest));
            let heard_by = self.drawn.dice.below(101);
            let mut committing = faulty;
            for id in voters {
                if self.drawn.percent(heard_by) {
                    self.memory[id].prepared = Some((view, digest));
                    committing += 1;
                }
            }
            if committing >= quorum {
                self.drawn.commit((view, digest))?;
            }
        }
        Ok(())
    }
}

fn holds(seed: u64) -> Result<(), String> {
    History::draw(seed).play()
}

#[test]
fn what_was_committed_is_proposed_by_every_later_view() {
    let mut committed = 0;
    for seed in 0..30_000 {
        holds(seed).unwrap_or_else(|breach| panic!("history {seed}: {breach}"));
        committed += u64::from(leads_to_a_commit(seed));
    }
    assert!(committed > 10_000, "{committed} of the histories commit anything");
}

fn leads_to_a_commit(seed: u64) -> bool {
    let mut history = History::draw(seed);
    (0..VIEWS - 1).any(|view| {
        let proposals = history.proposals(view).unwrap();
        history.vote(view, &proposals).unwrap();
        history.drawn.committed.is_some()
    })
}

/// The parts of the rule, and a history that shows the absence of each.
const MISSED: [Weakening; 4] = [
    Weakening::ReportedVotesIgnored,
    Weakening::ReportsCountedPerView,
    Weakening::ReportsOneLess,
    Weakening::TieWonByReports,
];

#[test]
fn every_part_of_the_rule_is_missed() {
    for rule in MISSED {
        assert!(first_miss(rule, 0, holds).is_some(), "{rule:?}");
    }
}

#[test]
#[ignore = "prints rows of docs/weakenings.md"]
fn how_many_histories_it_takes() {
    print_misses(&MISSED, holds);
}
