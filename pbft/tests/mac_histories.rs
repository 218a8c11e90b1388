//! The rule of `pbft-mac` for new views against drawn histories of one slot: whatever was committed must be proposed by every
//! view that follows, and the VIEW-CHANGEs of all honest replicas must suffice to begin one (the claims of `pbft::mac`).
//!
//! The model knows nothing of the replicas' code, and faulty replicas claim whatever they like, each time something else.
//!
//! `cargo test --release -p pbft --test mac_histories -- --ignored --nocapture` prints how many histories it takes
//! to miss each part of the rule.

use kernel::keys::symbolic;
use kernel::weakening::weaken;
use kernel::{
    Choose as _, Cluster, ClusterId, Digest, ReplicaId, SeededChoice, Seq, Signer, View, Weakening,
};
use pbft::ViewChange;
use pbft::mac::SlotReport;
use pbft::new_view::Outline;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Views that a history goes through.
const VIEWS: u64 = 5;

/// What an honest replica reports.
#[derive(Clone, Default)]
struct Memory {
    prepared: Option<(u64, Digest)>,
    pre_prepared: BTreeMap<Digest, u64>,
}

struct History {
    cluster: Cluster,
    signers: Vec<Signer>,
    dice: SeededChoice,
    faulty: BTreeSet<u16>,
    memory: Vec<Memory>,
    committed: Option<(u64, Digest)>,
    digests: [Digest; 3],
}

impl History {
    fn draw(seed: u64, n: u16) -> History {
        let cluster = Cluster::new(ClusterId::derive("histories", 1), "pbft-mac", n);
        let mut dice = SeededChoice::new(seed);
        let mut faulty = BTreeSet::new();
        while faulty.len() < cluster.f() {
            faulty.insert(dice.below(u64::from(n)) as u16);
        }
        // Which of two digests is the smaller one must not matter.
        let digests = [0, 1, 2].map(|k: u8| Digest::of(&[k, seed as u8, (seed >> 8) as u8]));
        let memory = vec![Memory::default(); usize::from(n)];
        History { cluster, signers: symbolic(1, n).0, dice, faulty, memory, committed: None, digests }
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.dice.below(100) < chance
    }

    fn any_digest(&mut self) -> Digest {
        self.digests[self.dice.below(3) as usize]
    }

    fn honest(&self) -> Vec<usize> {
        let honest = self.cluster.replicas().filter(|id| !self.faulty.contains(&id.0));
        honest.map(|id| usize::from(id.0)).collect()
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
        let commander = self.cluster.commander(View(view)).0;
        let is_faulty = self.faulty.contains(&commander);
        let honest_ones = if is_faulty { None } else { self.proposal(view, false)? };
        let mut proposals = vec![None; self.memory.len()];
        let heard_by = 50 + self.dice.below(51);
        for id in self.honest() {
            let proposal = if is_faulty { self.proposal(view, true)? } else { honest_ones };
            if usize::from(commander) == id || self.percent(heard_by) {
                proposals[id] = proposal;
            }
        }
        Ok(proposals)
    }

    /// What a view may begin with: what its reports demand, else anything; none if the reports that a lying commander
    /// shows leave it open.
    fn proposal(&mut self, view: u64, is_faulty: bool) -> Result<Option<Digest>, String> {
        let free = self.any_digest();
        if view == 0 {
            return Ok(Some(free));
        }
        let mut authors: Vec<ReplicaId> = self.cluster.replicas().collect();
        let most =
            authors.len() - self.dice.below((authors.len() - self.cluster.quorum() + 1) as u64) as usize;
        while authors.len() > most {
            let out = self.dice.below(authors.len() as u64) as usize;
            authors.remove(out);
        }
        let reports: Vec<_> = authors.iter().map(|author| self.report(view, *author)).collect();
        let Some(outline) = Outline::of(&self.cluster, &reports) else {
            let all_honest = self.honest().iter().all(|id| authors.contains(&ReplicaId(*id as u16)));
            return match (all_honest, is_faulty) {
                (true, _) => {
                    Err(format!("all honest replicas leave open what view {view} begins with: {reports:#?}"))
                }
                (false, true) => Ok(None),
                (false, false) => self.proposal(view, false), // An honest commander waits for more.
            };
        };
        let demanded = outline.slots.first().map(|(_, digest)| *digest);
        match self.committed {
            Some((in_view, digest)) if demanded != Some(digest) => Err(format!(
                "{digest} was committed in view {in_view}, and view {view} begins with {demanded:?}: {reports:#?}"
            )),
            _ => Ok(Some(demanded.unwrap_or(free))),
        }
    }

    fn report(&mut self, view: u64, author: ReplicaId) -> Arc<ViewChange> {
        let mut memory = self.memory[usize::from(author.0)].clone();
        if self.faulty.contains(&author.0) {
            let claim = (self.dice.below(view), self.any_digest());
            memory.prepared = self.percent(70).then_some(claim);
            for digest in self.digests {
                let last = self.dice.below(view);
                if self.percent(70) {
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
        Arc::new(ViewChange::sign_reports(&self.cluster, signer, View(view), None, reports))
    }

    /// Honest replicas vote for what they got, faulty for everything, to whomever they like.
    fn vote(&mut self, view: u64, proposals: &[Option<Digest>]) -> Result<(), String> {
        let (quorum, faulty) = (self.cluster.quorum(), self.faulty.len());
        for digest in self.digests {
            let voters: Vec<usize> =
                self.honest().into_iter().filter(|id| proposals[*id] == Some(digest)).collect();
            for id in &voters {
                self.memory[*id].pre_prepared.insert(digest, view);
            }
            if voters.len() + faulty < quorum || voters.is_empty() {
                continue;
            }
            let heard_by = self.dice.below(101);
            let mut committing = faulty;
            for id in voters {
                if self.percent(heard_by) {
                    self.memory[id].prepared = Some((view, digest));
                    committing += 1;
                }
            }
            if committing >= quorum {
                self.commit((view, digest))?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, claim: (u64, Digest)) -> Result<(), String> {
        match self.committed {
            Some(earlier) if earlier.1 != claim.1 => {
                Err(format!("{} in view {} and {} in view {}", earlier.1, earlier.0, claim.1, claim.0))
            }
            earlier => {
                self.committed = earlier.or(Some(claim));
                Ok(())
            }
        }
    }
}

const SIZES: [u16; 6] = [4, 5, 6, 7, 8, 13];

fn history(seed: u64) -> History {
    History::draw(seed, SIZES[(seed % 6) as usize])
}

#[test]
fn what_was_committed_is_proposed_by_every_later_view() {
    let mut committed = 0;
    for seed in 0..20_000 {
        history(seed).play().unwrap_or_else(|breach| panic!("history {seed}: {breach}"));
        committed += u64::from(leads_to_a_commit(seed));
    }
    assert!(committed > 7_000, "{committed} of the histories commit anything");
}

fn leads_to_a_commit(seed: u64) -> bool {
    let mut history = history(seed);
    (0..VIEWS - 1).any(|view| {
        let proposals = history.proposals(view).unwrap();
        history.vote(view, &proposals).unwrap();
        history.committed.is_some()
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

fn first_miss(rule: Weakening, from: u64) -> Option<u64> {
    (0..100_000).find(|tried| weaken(rule, || history(from + tried).play()).is_err())
}

#[test]
fn every_part_of_the_rule_is_missed() {
    for rule in MISSED {
        assert!(first_miss(rule, 0).is_some(), "{rule:?}");
    }
}

#[test]
#[ignore = "prints rows of docs/weakenings.md"]
fn how_many_histories_it_takes() {
    for rule in MISSED {
        let mut tried: Vec<u64> = (0..9).filter_map(|k| Some(first_miss(rule, k << 32)? + 1)).collect();
        tried.sort_unstable();
        println!("| {rule:?} | histories | {:?} of {tried:?}", tried.get(tried.len() / 2));
    }
}
