//! The rule of `pbft-mac` for new views against drawn histories of one slot: whatever was committed must be proposed by every
//! view that follows, and the VIEW-CHANGEs of all honest replicas must suffice to begin one (the claims of `pbft::mac`).
//!
//! The model knows nothing of the replicas' code, and faulty replicas claim whatever they like, each time something else.
//!
//! `cargo test --release -p pbft --test mac_histories -- --ignored --nocapture` prints how many histories it takes
//! to miss each part of the rule.

mod drawn;

use drawn::{Claim, Drawn, VIEWS, first_miss, print_misses};
use kernel::keys::symbolic;
use kernel::{Choose as _, Digest, ReplicaId, Seq, Signer, View, Weakening};
use pbft::ViewChange;
use pbft::mac::SlotReport;
use pbft::new_view::Outline;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an honest replica reports.
#[derive(Clone, Default)]
struct Memory {
    prepared: Option<Claim>,
    pre_prepared: BTreeMap<Digest, u64>,
}

struct History {
    drawn: Drawn,
    signers: Vec<Signer>,
    memory: Vec<Memory>,
}

impl History {
    fn draw(seed: u64) -> History {
        let drawn = Drawn::of(seed, "pbft-mac");
        let n = drawn.cluster.n;
        History { drawn, signers: symbolic(1, n).0, memory: vec![Memory::default(); usize::from(n)] }
    }

    /// Plays all views; the error says what broke the claims.
    fn play(mut self) -> Result<(), String> {
        for view in 0..VIEWS {
            let proposals = self.proposals(view)?;
            self.vote(view, &proposals)?;
        }
        Ok(())
    }

    /// What each replica gets proposed, if anything. A lying commander may begin the view with other reports for each.
    fn proposals(&mut self, view: u64) -> Result<Vec<Option<Digest>>, String> {
        let commander = self.drawn.cluster.commander(View(view)).0;
        let is_faulty = self.drawn.faulty.contains(&commander);
        let honest_ones = if is_faulty { None } else { self.proposal(view, false)? };
        let mut proposals = vec![None; self.memory.len()];
        let heard_by = 50 + self.drawn.dice.below(51);
        for id in self.drawn.honest() {
            let proposal = if is_faulty { self.proposal(view, true)? } else { honest_ones };
            if usize::from(commander) == id || self.drawn.percent(heard_by) {
                proposals[id] = proposal;
            }
        }
        Ok(proposals)
    }

    /// What a view may begin with: what its reports demand, else anything; none if the reports that a lying commander
    /// shows leave it open.
    fn proposal(&mut self, view: u64, is_faulty: bool) -> Result<Option<Digest>, String> {
        let free = self.drawn.any_digest();
        if view == 0 {
            return Ok(Some(free));
        }
        let (n, quorum) = (self.memory.len(), self.drawn.cluster.quorum());
        let most = n - self.drawn.dice.below((n - quorum + 1) as u64) as usize;
        let authors = self.drawn.some(most);
        let reports: Vec<_> = authors.iter().map(|author| self.report(view, *author)).collect();
        let Some(outline) = Outline::of(&self.drawn.cluster, &reports) else {
            let all_honest = self.drawn.honest().iter().all(|id| authors.contains(&ReplicaId(*id as u16)));
            return match (all_honest, is_faulty) {
                (true, _) => {
                    Err(format!("all honest replicas leave open what view {view} begins with: {reports:#?}"))
                }
                (false, true) => Ok(None),
                (false, false) => self.proposal(view, false), // An honest commander waits for more.
            };
        };
        let demanded = outline.slots.first().map(|(_, digest)| *digest);
        match self.drawn.committed {
            Some((in_view, digest)) if demanded != Some(digest) => Err(format!(
                "{digest} was committed in view {in_view}, and view {view} begins with {demanded:?}: {reports:#?}"
            )),
            _ => Ok(Some(demanded.unwrap_or(free))),
        }
    }

    fn report(&mut self, view: u64, author: ReplicaId) -> Arc<ViewChange> {
        let mut memory = self.memory[usize::from(author.0)].clone();
        if self.drawn.faulty.contains(&author.0) {
            let claim = (self.drawn.dice.below(view), self.drawn.any_digest());
            memory.prepared = self.drawn.percent(70).then_some(claim);
            for digest in self.drawn.digests {
                let last = self.drawn.dice.below(view);
                if self.drawn.percent(70) {
                    memory.pre_prepared.insert(digest, last);
                }
            }
        }
        let report = SlotReport {
            seq: Seq(1),
            prepared: memory.prepared.map(|(view, digest)| (View(view), digest)),
            pre_prepared: memory
                .pre_prepared
                .into_iter()
                .map(|(digest, view)| (digest, View(view)))
                .collect(),
        };
        let is_empty = report.prepared.is_none() && report.pre_prepared.is_empty();
        let reports = if is_empty { vec![] } else { vec![report] };
        let signer = &self.signers[usize::from(author.0)];
        Arc::new(ViewChange::sign_reports(&self.drawn.cluster, signer, View(view), None, reports))
    }

    /// Honest replicas vote for what they got, faulty for everything, to whomever they like.
    fn vote(&mut self, view: u64, proposals: &[Option<Digest>]) -> Result<(), String> {
        let (quorum, faulty) = (self.drawn.cluster.quorum(), self.drawn.faulty.len());
        for digest in self.drawn.digests {
            let voters: Vec<usize> =
                self.drawn.honest().into_iter().filter(|id| proposals[*id] == Some(digest)).collect();
            for id in &voters {
                self.memory[*id].pre_prepared.insert(digest, view);
            }
            if voters.len() + faulty < quorum || voters.is_empty() {
                continue;
            }
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
    for seed in 0..20_000 {
        holds(seed).unwrap_or_else(|breach| panic!("history {seed}: {breach}"));
        committed += u64::from(leads_to_a_commit(seed));
    }
    assert!(committed > 7_000, "{committed} of the histories commit anything");
}

fn leads_to_a_commit(seed: u64) -> bool {
    let mut history = History::draw(seed);
    (0..VIEWS - 1).any(|view| {
        let proposals = history.proposals(view).unwrap();
        history.vote(view, &proposals).unwrap();
        history.drawn.committed.is_some()
    })
}

/// The parts of the rule.
const MISSED: [Weakening; 5] = [
    Weakening::HigherClaimIgnored,
    Weakening::OtherClaimOfSameView,
    Weakening::NullBySilenceOfFew,
    Weakening::ReportsOneLess,
    Weakening::ReportsCountedPerView,
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
