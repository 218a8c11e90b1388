//! Generations: what members agree upon together, and the messages by which they do.
//!
//! A generation says who its members are, and begins with a state on which a quorum of those before agrees: so it is a
//! checkpoint as well, behind which history is forgotten, and from which a new member begins.

use crate::statement::{Applied, proposed};
use kernel::{Claim, Cluster, Digest, Reason, ReplicaId, Signature, Signer, Weakening, weakened};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A generation of members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Rises by one.
    pub number: u64,
    /// The last generation before it that began with other members than the one before that had; 0 if there is none. So
    /// nobody who learns of generations later can be kept from learning of a change.
    pub changed: u64,
    /// Who they are, in order.
    pub members: Vec<ReplicaId>,
    /// The batches that its first state contains: so many of each actor.
    pub cut: Applied,
    /// The digest of that state's snapshot.
    pub state: Digest,
}

impl Generation {
    /// What is voted on.
    pub fn digest(&self) -> Digest {
        let content = postcard::to_stdvec(self).expect("a generation is plain data");
        let mut hasher = blake3::Hasher::new_derive_key("a generation of members");
        hasher.update(&content);
        Digest(*hasher.finalize().as_bytes())
    }

    fn is_well_formed(&self, cluster: &Cluster) -> bool {
        self.number > 0
            && !self.members.is_empty()
            && self.members.is_sorted_by(|one, next| one < next)
            && self.members.iter().all(|member| cluster.contains(*member))
            && self.cut.len() == usize::from(cluster.n)
    }
}

/// Votes for a generation are about this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// The number of the generation that is to begin.
    pub number: u64,
    /// The attempt, counted from 0.
    pub round: u64,
    /// [`Generation::digest`].
    pub digest: Digest,
}

impl Ballot {
    fn of(generation: &Generation, round: u64) -> Ballot {
        Ballot { number: generation.number, round, digest: generation.digest() }
    }

    fn statement(&self, kind: &[u8], cluster: &Cluster, more: &[u8]) -> Vec<u8> {
        let Ballot { number, round, digest } = self;
        [kind, &cluster.id.0, &number.to_le_bytes(), &round.to_le_bytes(), &digest.0, more].concat()
    }

    /// A member's vote to accept it.
    pub fn accept(self, cluster: &Cluster, signer: &Signer) -> Signature {
        signer.sign(&self.statement(ACCEPT, cluster, &[]))
    }
}

const ACCEPT: &[u8] = b"generation-accept/1";
const CONCLUDE: &[u8] = b"generation-conclude/1";
const NEXT_ROUND: &[u8] = b"generation-round/1";

/// What was signed last of an actor's batches, and may be unproven: another batch of this number must not be proven. Those
/// before it are, if the actor is honest; if not, it has stopped itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Obligation {
    /// The batch's number.
    pub number: u64,
    /// Its digest, and its actor's signature; two of an actor that has equivocated.
    pub batches: Vec<(Digest, Signature)>,
}

impl Obligation {
    /// Whether this allows to vouch for a batch.
    pub(crate) fn allows(&self, number: u64, digest: &Digest) -> bool {
        match &self.batches[..] {
            [(only, _)] if number == self.number => only == digest,
            _ => number > self.number,
        }
    }

    /// What both together ask for.
    pub(crate) fn merge(&mut self, other: &Obligation) {
        if other.number > self.number {
            *self = other.clone();
        } else if other.number == self.number && self.batches.len() == 1 {
            let differs = |(digest, _): &&(Digest, Signature)| *digest != self.batches[0].0;
            let another = other.batches.iter().find(differs).copied();
            self.batches.extend(another);
        }
    }
}

/// What a member has signed and not seen proven, by actor. It signs no more in this generation.
pub type Report = Vec<(ReplicaId, Obligation)>;

fn check_report(report: &Report, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
    let is_whole = |obligation: &Obligation| match &obligation.batches[..] {
        [_] => true,
        [(one, _), (other, _)] => one != other,
        _ => false,
    };
    let are_whole = report.iter().all(|(actor, it)| cluster.contains(*actor) && is_whole(it));
    if !are_whole || !report.is_sorted_by(|one, next| one.0 < next.0) {
        return Err(Reason::MalformedCertificate);
    }
    let claims = report.iter().flat_map(|(actor, obligation)| {
        obligation.batches.iter().map(|(digest, signature)| Claim {
            author: *actor,
            bytes: proposed(cluster, *actor, obligation.number, digest),
            signature: *signature,
        })
    });
    Ok(claims.collect())
}

/// A member saw a quorum accept: it votes to begin the generation, and signs nothing more in the one before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conclusion {
    /// What it is about.
    pub ballot: Ballot,
    /// What the next generation has to honour.
    pub report: Report,
    /// The member's, over both.
    pub signature: Signature,
}

impl Conclusion {
    /// Signs it as `signer`'s.
    pub fn sign(cluster: &Cluster, signer: &Signer, ballot: Ballot, report: Report) -> Conclusion {
        let signature = signer.sign(&conclude(cluster, &ballot, &report));
        Conclusion { ballot, report, signature }
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let bytes = conclude(cluster, &self.ballot, &self.report);
        let own = Claim { author: from, bytes, signature: self.signature };
        let mut claims = check_report(&self.report, cluster)?;
        claims.push(own);
        Ok(claims)
    }
}

fn conclude(cluster: &Cluster, ballot: &Ballot, report: &Report) -> Vec<u8> {
    let report = postcard::to_stdvec(report).expect("a report is plain data");
    ballot.statement(CONCLUDE, cluster, &Digest::of(&report).0)
}

/// A generation that a quorum accepted in a round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Accepted {
    /// Which.
    pub generation: Generation,
    /// In this round.
    pub round: u64,
    /// By author.
    pub votes: Vec<(ReplicaId, Signature)>,
}

impl Accepted {
    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        check_authors(self.votes.iter().map(|(author, _)| *author), cluster)?;
        if !self.generation.is_well_formed(cluster) {
            return Err(Reason::MalformedCertificate);
        }
        let bytes = Ballot::of(&self.generation, self.round).statement(ACCEPT, cluster, &[]);
        let claim = |(author, signature): &(ReplicaId, Signature)| Claim {
            author: *author,
            bytes: bytes.clone(),
            signature: *signature,
        };
        Ok(self.votes.iter().map(claim).collect())
    }
}

/// Distinct nodes of the cluster, by id. Whether they are members of the generation at hand, and enough, is seen by who
/// knows the generations.
fn check_authors(authors: impl Iterator<Item = ReplicaId> + Clone, cluster: &Cluster) -> Result<(), Reason> {
    let are_nodes = authors.clone().all(|author| cluster.contains(author));
    if are_nodes && authors.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(Reason::MalformedCertificate)
    }
}

/// A member gives up on a round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextRound {
    /// The number of the generation that is to begin.
    pub number: u64,
    /// The next round.
    pub round: u64,
    /// What it saw a quorum accept last, in an earlier round.
    pub accepted: Option<Accepted>,
    /// The member's.
    pub signature: Signature,
}

impl NextRound {
    /// Signs it as `signer`'s.
    pub fn sign(
        cluster: &Cluster,
        signer: &Signer,
        number: u64,
        round: u64,
        accepted: Option<Accepted>,
    ) -> NextRound {
        let signature = Signature([0; 64]);
        let mut next = NextRound { number, round, accepted, signature };
        next.signature = signer.sign(&next.statement(cluster));
        next
    }

    fn statement(&self, cluster: &Cluster) -> Vec<u8> {
        let accepted = postcard::to_stdvec(&self.accepted).expect("votes are plain data");
        let ballot = Ballot { number: self.number, round: self.round, digest: Digest::of(&accepted) };
        ballot.statement(NEXT_ROUND, cluster, &[])
    }

    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        let is_earlier =
            |accepted: &Accepted| accepted.round < self.round && accepted.generation.number == self.number;
        if !self.accepted.as_ref().is_none_or(is_earlier) {
            return Err(Reason::MalformedCertificate);
        }
        let own = Claim { author: from, bytes: self.statement(cluster), signature: self.signature };
        let mut claims = match &self.accepted {
            Some(accepted) => accepted.claims(cluster)?,
            None => vec![],
        };
        claims.push(own);
        Ok(claims)
    }
}

/// The leader of a round suggests a generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Suggestion {
    /// Which.
    pub generation: Generation,
    /// The round.
    pub round: u64,
    /// From the second round on: a quorum that gave up on the round before, or on a later one. What was accepted last according to them is
    /// suggested again.
    pub grounds: Vec<(ReplicaId, NextRound)>,
}

/// What was accepted last, according to members that gave up.
pub(crate) fn accepted_last(grounds: &[(ReplicaId, NextRound)]) -> Option<&Generation> {
    let accepted = grounds.iter().filter_map(|(_, next)| next.accepted.as_ref());
    accepted.max_by_key(|accepted| accepted.round).map(|accepted| &accepted.generation)
}

impl Suggestion {
    /// What it suggests must be this, if it is not free.
    pub(crate) fn bound_to(&self) -> Option<&Generation> {
        accepted_last(&self.grounds)
    }

    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        check_authors(self.grounds.iter().map(|(author, _)| *author), cluster)?;
        let (number, round) = (self.generation.number, self.round);
        let are_of_it = self.grounds.iter().all(|(_, next)| next.number == number && next.round >= round);
        if !are_of_it || !self.generation.is_well_formed(cluster) {
            return Err(Reason::MalformedCertificate);
        }
        let claims: Result<Vec<Vec<Claim>>, Reason> =
            self.grounds.iter().map(|(author, next)| next.claims(*author, cluster)).collect();
        Ok(claims?.concat())
    }
}

/// A generation that begins: a quorum of the one before has concluded so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decision {
    /// Which.
    pub generation: Generation,
    /// In this round.
    pub round: u64,
    /// By author: what is to be honoured, and the signature.
    pub conclusions: Vec<(ReplicaId, Report, Signature)>,
}

impl Decision {
    /// What its members have to honour, by actor.
    pub(crate) fn obligations(&self) -> Report {
        let mut merged: BTreeMap<ReplicaId, Obligation> = BTreeMap::new();
        for (actor, obligation) in self.conclusions.iter().flat_map(|(_, report, _)| report) {
            merged
                .entry(*actor)
                .and_modify(|known| known.merge(obligation))
                .or_insert_with(|| obligation.clone());
        }
        if weakened(Weakening::UnfinishedForgotten) {
            return vec![];
        }
        merged.into_iter().collect()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of_report = |report: &Report| report.len() * size_of::<(ReplicaId, u64, Digest, Signature)>();
        let reports =
            self.conclusions.iter().map(|(_, report, _)| of_report(report) + size_of::<Signature>());
        reports.sum()
    }

    /// Its authors.
    pub(crate) fn authors(&self) -> impl Iterator<Item = ReplicaId> + Clone {
        self.conclusions.iter().map(|(author, ..)| *author)
    }

    fn claims(&self, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        check_authors(self.authors(), cluster)?;
        if !self.generation.is_well_formed(cluster) {
            return Err(Reason::MalformedCertificate);
        }
        let ballot = Ballot::of(&self.generation, self.round);
        let mut claims = Vec::new();
        // Most reports say the same.
        let mut checked = BTreeSet::new();
        for (author, report, signature) in &self.conclusions {
            let bytes = conclude(cluster, &ballot, report);
            claims.push(Claim { author: *author, bytes, signature: *signature });
            let of_report = check_report(report, cluster)?;
            let is_new =
                |claim: &Claim| checked.insert((claim.author, claim.bytes.clone(), claim.signature.0));
            claims.extend(of_report.into_iter().filter(is_new));
        }
        Ok(claims)
    }
}

/// Generations that are told for one question, at most: who then knows of those asks for more.
pub(crate) const MOST_TOLD: usize = 16;

/// A message about the next generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnGeneration {
    /// A leader suggests one.
    Suggest(Suggestion),
    /// A member accepts it.
    Accept(Ballot, Signature),
    /// A member saw a quorum accept it.
    Conclude(Conclusion),
    /// A member gives up on a round.
    NextRound(NextRound),
    /// Generations that began, for who does not know: those in which members changed, and the last one.
    Began(Vec<Decision>),
}

impl OnGeneration {
    /// Its name, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            OnGeneration::Suggest(_) => "suggest",
            OnGeneration::Accept(..) => "accept",
            OnGeneration::Conclude(_) => "conclude",
            OnGeneration::NextRound(_) => "next-round",
            OnGeneration::Began(_) => "began",
        }
    }

    pub(crate) fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason> {
        match self {
            OnGeneration::Suggest(suggestion) => suggestion.claims(cluster),
            OnGeneration::Accept(ballot, signature) => {
                let bytes = ballot.statement(ACCEPT, cluster, &[]);
                Ok(vec![Claim { author: from, bytes, signature: *signature }])
            }
            OnGeneration::Conclude(conclusion) => conclusion.claims(from, cluster),
            OnGeneration::NextRound(next) => next.claims(from, cluster),
            OnGeneration::Began(decisions) => {
                let rise = |one: &Decision, next: &Decision| one.generation.number < next.generation.number;
                if decisions.len() > MOST_TOLD || !decisions.is_sorted_by(rise) {
                    return Err(Reason::MalformedCertificate);
                }
                let claims: Result<Vec<Vec<Claim>>, Reason> =
                    decisions.iter().map(|decision| decision.claims(cluster)).collect();
                Ok(claims?.concat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obligation(number: u64, batches: &[&[u8]]) -> Obligation {
        let batch = |of: &&[u8]| (Digest::of(of), Signature([0; 64]));
        Obligation { number, batches: batches.iter().map(batch).collect() }
    }

    #[test]
    fn an_obligation_allows_its_batch_and_what_comes_after() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let one = obligation(3, &[b"a"]);
        let allowed = |of: &Obligation| [(2, a), (3, a), (3, b), (4, b)].map(|(n, d)| of.allows(n, &d));
        assert_eq!(allowed(&one), [false, true, false, true]);
        assert_eq!(allowed(&obligation(3, &[b"a", b"b"])), [false, false, false, true]);
    }

    #[test]
    fn the_last_batch_counts_and_both_of_an_actor_that_equivocates() {
        let merged = |mut one: Obligation, other: &Obligation| {
            one.merge(other);
            one
        };
        let (a3, b3, a4) = (obligation(3, &[b"a"]), obligation(3, &[b"b"]), obligation(4, &[b"a"]));
        let both = obligation(3, &[b"a", b"b"]);
        assert_eq!(merged(a3.clone(), &a4), a4);
        assert_eq!(merged(a4.clone(), &both), a4);
        assert_eq!(merged(a3.clone(), &a3), a3);
        assert_eq!(merged(a3.clone(), &b3), both);
        assert_eq!(merged(a3, &both), both);
        assert_eq!(merged(both.clone(), &b3), both);
    }
}
