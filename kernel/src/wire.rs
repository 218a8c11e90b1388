//! Canonical bytes, and admission: the one place where signatures are checked.

use crate::choose::Choose;
use crate::cluster::Cluster;
use crate::ids::{Digest, ReplicaId, Seq, View};
use crate::keys::{Claim, Keyring, Signature, Signer};
use crate::reply::ReplyBundle;
use crate::request::Bundle;
use crate::shares::ShareClaim;
use crate::tags::SharedKeys;
use crate::weakening::{Weakening, weakened};
use serde::{Serialize, de::DeserializeOwned};
use std::cell::Cell;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A message between replicas.
pub trait Wire: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned {
    /// The field's name for this kind of message, such as `prepare`.
    fn kind(&self) -> &'static str;

    /// What part it plays.
    fn class(&self) -> Class;

    /// The slot it is about, if it is about one.
    fn seq(&self) -> Option<Seq>;

    /// What a replica with a journal waits for before it sends this. Of a client's requests, nothing: they promise
    /// nothing of whoever passes them on. Of all else, that its own step is on the disk, unless the flow knows better.
    fn waits_for(&self, _cluster: &Cluster) -> WaitsFor {
        if self.class() == Class::Request { WaitsFor::Nothing } else { WaitsFor::OwnStep }
    }

    /// Checks everything about the message that needs no state, and returns the
    /// signatures that must hold for it to be let in.
    fn claims(&self, from: ReplicaId, cluster: &Cluster) -> Result<Vec<Claim>, Reason>;

    /// The shares that must hold besides. Asked for only where [`Wire::claims`] has nothing against the message.
    fn shares(&self, _cluster: &Cluster) -> Vec<ShareClaim> {
        vec![]
    }

    /// The bundles of requests whose tags must hold for the receiver, where requests have tags.
    fn bundles(&self) -> &[Arc<Bundle>] {
        &[]
    }

    /// What is let in of a message, some of whose requests have tags that do not hold for the receiver. None if nothing
    /// is.
    fn doubted(self) -> Option<Self> {
        None
    }
}

/// The part that a message plays, as metrics and behaviours tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A client's requests on their way to the commander.
    Request,
    /// A commander's proposal.
    Proposal,
    /// A replica's own vote.
    Vote,
    /// What a communication node makes of votes.
    Certificate,
    /// A statement about a replica's state.
    Checkpoint,
    /// Leaving a view, beginning one.
    ViewChange,
    /// Upkeep: fetches and proofs of what is stable.
    Upkeep,
}

impl Class {
    /// Whether the message belongs to the agreement itself; only these count as
    /// messages per decision.
    pub fn is_agreement(self) -> bool {
        matches!(self, Class::Proposal | Class::Vote | Class::Certificate)
    }
}

/// What has to be on the disk of a replica with a journal before a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// Nothing: the message promises nothing.
    Nothing,
    /// That its view has begun, and the checkpoint that its watermarks rest on. The message is a proposal or a PREPARE, and a
    /// replica that was started again keeps its promise though it may have forgotten it ([`crate::Input::Resume`]).
    ViewAndWatermarks,
    /// What was promised before: the message tells of that, and of what others have promised.
    EarlierPromises,
    /// The step that it is sent in, too: the message is a promise.
    OwnStep,
}

/// How a faulty node can falsify a message, with nothing but its own key. It is
/// all that an adversary needs to know of a protocol.
pub trait Falsify: Wire {
    /// Every kind that [`Wire::kind`] can return.
    const KINDS: &'static [&'static str];

    /// The same message about another value, signed by `signer` where it is
    /// `signer`'s to sign.
    fn falsified(&self, cluster: &Cluster, signer: &Signer) -> Self;

    /// For a proposal: another batch for the same slot that would be accepted
    /// as well, never one whose own alternative is this. None for every other
    /// message.
    fn alternative(&self, cluster: &Cluster, signer: &Signer) -> Option<Self>;

    /// What the message is about, if it proposes a value, votes for one or
    /// proves one decided.
    fn subject(&self) -> Option<Subject>;

    /// The same message about the value `digest`. What `signer` cannot sign or
    /// carry by itself, others' votes in a certificate or a batch, is taken from
    /// the messages `received`. None if there is no such message; a certificate may
    /// come out too short.
    fn with_value(
        &self,
        digest: Digest,
        received: &[Self],
        cluster: &Cluster,
        signer: &Signer,
    ) -> Option<Self>;

    /// The same message, counterfeit. None if this kind of counterfeit makes no
    /// sense for it.
    fn forged(&self, forgery: Forgery, cluster: &Cluster, signer: &Signer) -> Option<Self>;

    /// For a part of a state that is served to a peer: the same, of no use. None for every
    /// other message, and for a state that is not served in parts.
    fn misserved(&self, _: StateForgery) -> Option<Self> {
        None
    }

    /// The message that hands over `bundle`. None where requests travel otherwise.
    fn handing_over(_bundle: Arc<Bundle>) -> Option<Self> {
        None
    }

    /// The gateway whose requests the message hands over. None for every other message.
    fn requests_of(&self) -> Option<ReplicaId> {
        None
    }

    /// Demands to leave `view` without any cause; asked for in protocols with views
    /// only.
    fn needless_view_changes(view: View, cluster: &Cluster, signer: &Signer) -> Vec<Self>;

    /// A message that costs its receiver work and is of no use, near the slot
    /// that the sender has reached.
    fn noise(near: Seq, choose: &mut dyn Choose, cluster: &Cluster, signer: &Signer) -> Self;
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The view, in a protocol with views.
    pub view: Option<View>,
    /// The slot.
    pub seq: Seq,
    /// The value.
    pub digest: Digest,
}

/// A way in which a message can be counterfeit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forgery {
    /// A signature that does not hold.
    Signature,
    /// Another replica's name over one's own signature.
    Name,
    /// A certificate or proof of one vote too few.
    Short,
    /// A certificate or proof that counts one voter several times.
    Repeated,
    /// A certificate or proof with votes that are not for what it says.
    Mixed,
}

impl Forgery {
    /// All of them.
    pub const ALL: [Forgery; 5] =
        [Forgery::Signature, Forgery::Name, Forgery::Short, Forgery::Repeated, Forgery::Mixed];
}

/// A way in which a part of a state can be counterfeit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateForgery {
    /// One bit of it is another one.
    Bit,
    /// It claims that there is far more to come.
    Extent,
    /// It is a single byte long.
    Short,
}

impl StateForgery {
    /// All of them.
    pub const ALL: [StateForgery; 3] = [StateForgery::Bit, StateForgery::Extent, StateForgery::Short];
}

impl Signature {
    /// The same signature with a bit of it changed.
    pub fn corrupted(&self) -> Signature {
        let mut bytes = self.0;
        bytes[0] ^= 1;
        Signature(bytes)
    }
}

/// Why a peer's message was not let in or not acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// A signature does not hold.
    #[error("bad signature")]
    BadSignature,
    /// A tag that authenticates a message for its receiver alone does not hold (`pbft-mac`).
    #[error("bad tag")]
    BadTag,
    /// The author is no replica of this cluster, or not the one that it may be.
    #[error("author not entitled")]
    NotEntitled,
    /// The batch does not hash to the digest.
    #[error("digest mismatch")]
    DigestMismatch,
    /// Too few, repeated or mixed votes, or a commander's PREPARE.
    #[error("malformed certificate")]
    MalformedCertificate,
    /// A VIEW-CHANGE or NEW-VIEW that breaks the rules.
    #[error("malformed view change")]
    MalformedViewChange,
    /// Empty or foreign requests, or too many of them.
    #[error("malformed requests")]
    MalformedRequests,
    /// Not this replica's current view.
    #[error("wrong view")]
    WrongView,
    /// Outside the watermarks.
    #[error("outside the watermarks")]
    OutsideWindow,
    /// A second, different proposal for one slot.
    #[error("conflicting proposal")]
    ConflictingProposal,
    /// A second, different vote of one author.
    #[error("conflicting vote")]
    ConflictingVote,
    /// It was here before: sent again, or replayed.
    #[error("duplicate")]
    Duplicate,
    /// Requests with tags that do not hold here, though they may elsewhere: whether their author or whoever passed
    /// them on is to blame, nobody can say (`pbft-mac-requests`).
    #[error("requests that are not authentic here")]
    DoubtedRequests,
    /// Its gateway has too many requests waiting here.
    #[error("too many requests waiting")]
    Overloaded,
    /// An operation that its actor may not do (secure broadcast).
    #[error("invalid operation")]
    InvalidOperation,
    /// Of members that are not the current ones (secure broadcast).
    #[error("wrong generation of members")]
    WrongGeneration,
}

impl Reason {
    /// Whether only a faulty author gives this reason. An honest one may well send
    /// what is late, early or too much.
    pub fn is_offence(self) -> bool {
        !matches!(
            self,
            Reason::WrongView
                | Reason::OutsideWindow
                | Reason::Duplicate
                | Reason::DoubtedRequests
                | Reason::Overloaded
                | Reason::WrongGeneration
        )
    }
}

/// A peer's message that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// Who sent it.
    pub from: ReplicaId,
    /// The slot it was about.
    pub seq: Option<Seq>,
    /// Whether it was a vote, a proposal or a certificate, and offends: then it
    /// is tallied as corrupt.
    pub corrupt_vote: bool,
    /// Why.
    pub reason: Reason,
}

/// A message whose every signature was checked. [`Admission`] makes one, and a journal reads
/// it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verified<M>(M);

impl<M> Verified<M> {
    /// A message that this replica admitted before it was restarted. For its own journal
    /// alone, whose every record has a checksum: nothing that came from elsewhere may be
    /// taken in by this.
    pub fn admitted_before(message: M) -> Verified<M> {
        Verified(message)
    }

    /// The message.
    pub fn into_inner(self) -> M {
        self.0
    }

    /// The message.
    pub fn get(&self) -> &M {
        &self.0
    }
}

/// Claims that were found to hold a moment ago, so that a vote seen alone is
/// not checked again inside a certificate.
const REMEMBERED_CLAIMS: usize = 8192;

/// Lets messages in. One per replica; a host may keep several on several
/// threads.
#[derive(Clone, Debug)]
pub struct Admission {
    cluster: Cluster,
    keyring: Keyring,
    known: HashSet<[u8; 32]>,
    known_in_order: VecDeque<[u8; 32]>,
    checked: u64,
    shares_checked: u64,
    share_checks: Cell<u64>,
    /// The receiver's, which tags of requests are checked with.
    shared: Option<SharedKeys>,
    tags_checked: u64,
    /// Who sent something that did not hold. What they send is checked apart from the rest, so that they make its check fail once
    /// and not again and again.
    suspected: BTreeSet<ReplicaId>,
}

impl Admission {
    /// Admission to `cluster`, whose public keys are in `keyring`.
    pub fn new(cluster: Cluster, keyring: Keyring) -> Admission {
        Admission {
            cluster,
            keyring,
            known: HashSet::new(),
            known_in_order: VecDeque::new(),
            checked: 0,
            shares_checked: 0,
            share_checks: Cell::new(0),
            shared: None,
            tags_checked: 0,
            suspected: BTreeSet::new(),
        }
    }

    /// The same, for a receiver who can check the tags of requests. Without, none of them holds.
    #[must_use]
    pub fn of_receiver(self, receiver: &Signer) -> Admission {
        Admission { shared: receiver.shared_keys().cloned(), ..self }
    }

    /// Signatures checked so far; those remembered do not count, nor do shares.
    pub fn signatures_checked(&self) -> u64 {
        self.checked
    }

    /// Shares and sums of shares checked so far, and in how many checks: many cost hardly more than one.
    pub fn shares_checked(&self) -> (u64, u64) {
        (self.shares_checked, self.share_checks.get())
    }

    /// Tags of requests checked so far.
    pub fn tags_checked(&self) -> u64 {
        self.tags_checked
    }

    /// Checks one message.
    pub fn admit<M: Wire>(&mut self, from: ReplicaId, message: M) -> Result<Verified<M>, Rejection> {
        let mut admitted = self.admit_all(vec![(from, message)]);
        admitted.pop().expect("one in, one out")
    }

    /// Checks messages that came together, their signatures in one batch. The
    /// answers are in the order of the messages.
    pub fn admit_all<M: Wire>(
        &mut self,
        messages: Vec<(ReplicaId, M)>,
    ) -> Vec<Result<Verified<M>, Rejection>> {
        let claims =
            messages.iter().map(|(from, message)| (*from, self.unknown_claims(*from, message))).collect();
        let verdicts = self.check_all(claims);
        let judge = |((from, message), verdict): ((ReplicaId, M), Result<(), Reason>)| {
            let (seq, is_agreement) = (message.seq(), message.class().is_agreement());
            let admitted = verdict.and_then(|()| self.admit_requests(message));
            admitted.map_err(|reason| {
                let corrupt_vote = is_agreement && reason.is_offence();
                Rejection { from, seq, corrupt_vote, reason }
            })
        };
        messages.into_iter().zip(verdicts).map(judge).collect()
    }

    /// Lets in what has no bad signature, if the tags of its requests hold too, and else what is left of it.
    fn admit_requests<M: Wire>(&mut self, message: M) -> Result<Verified<M>, Reason> {
        let hold = !self.cluster.requests_have_tags()
            || message.bundles().iter().all(|bundle| self.holds_here(bundle));
        let admitted = if hold { Some(message) } else { message.doubted() };
        admitted.map(Verified).ok_or(Reason::DoubtedRequests)
    }

    fn holds_here(&mut self, bundle: &Bundle) -> bool {
        self.tags_checked += 1;
        self.shared.as_ref().is_some_and(|keys| bundle.holds_for(keys, &self.cluster))
    }

    /// Checks bundles that clients handed over together, each beside the client that did,
    /// their signatures in one batch. Those that are not the client's own, or malformed,
    /// or badly signed, are refused; the answers are in the order of the bundles.
    pub fn admit_bundles(&mut self, bundles: &[(ReplicaId, Arc<Bundle>)]) -> Vec<Result<(), Reason>> {
        let claims =
            bundles.iter().map(|(from, bundle)| (*from, self.unknown_claim(*from, bundle))).collect();
        let verdicts = self.check_all(claims);
        let tags_hold = |(verdict, (_, bundle)): (Result<(), Reason>, &(ReplicaId, Arc<Bundle>))| {
            verdict?;
            let holds = !self.cluster.requests_have_tags() || self.holds_here(bundle);
            holds.then_some(()).ok_or(Reason::BadTag)
        };
        verdicts.into_iter().zip(bundles).map(tags_hold).collect()
    }

    /// Checks groups of claims by sender, all signatures in one batch, and remembers those of each
    /// group that holds.
    fn check_all(&mut self, groups: Vec<(ReplicaId, Result<Claims, Reason>)>) -> Vec<Result<(), Reason>> {
        for claims in groups.iter().flat_map(|(_, claims)| claims) {
            self.checked += claims.signatures.len() as u64;
            self.shares_checked += claims.shares.len() as u64;
        }
        let mut holding = [false, true].map(|suspected| self.which_hold(&groups, suspected).into_iter());
        let mut offenders = Vec::new();
        let verdicts = groups.into_iter().map(|(from, claims)| {
            let claims = claims?;
            let holding = &mut holding[usize::from(self.suspected.contains(&from))];
            if !claims.is_empty() && holding.next() != Some(true) {
                offenders.push(from);
                return Err(Reason::BadSignature);
            }
            self.remember(&claims);
            Ok(())
        });
        let verdicts = verdicts.collect();
        self.suspected.extend(offenders);
        verdicts
    }

    /// Which of the groups that have claims hold, among those whose senders are suspected or not.
    fn which_hold(&self, groups: &[(ReplicaId, Result<Claims, Reason>)], suspected: bool) -> Vec<bool> {
        let ours = groups.iter().filter(|(from, _)| self.suspected.contains(from) == suspected);
        let claims: Vec<&Claims> =
            ours.flat_map(|(_, claims)| claims).filter(|claims| !claims.is_empty()).collect();
        let mut holding = Vec::with_capacity(claims.len());
        self.search(&claims, false, &mut holding);
        holding
    }

    /// Which of these hold, appended in their order. Where not all do, one half is searched after the other: one that does
    /// not hold among many is found in a few checks, and none in one.
    fn search(&self, groups: &[&Claims], do_not_all_hold: bool, holding: &mut Vec<bool>) {
        if !do_not_all_hold && self.hold(groups) {
            holding.extend(groups.iter().map(|_| true));
        } else if let [_] = groups {
            holding.push(false);
        } else {
            let (first, second) = groups.split_at(groups.len() / 2);
            let before = holding.len();
            self.search(first, false, holding);
            // If it is not in the first half, it is in the second.
            self.search(second, !holding[before..].contains(&false), holding);
        }
    }

    /// Checks a single claim that is part of no message, such as a reply's.
    pub fn check(&mut self, claim: &Claim) -> bool {
        self.checked += 1;
        self.keyring.verify(claim)
    }

    /// Checks that replies are those of the replica that they name; `from` is whose link they came on.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check_reply(&mut self, from: ReplicaId, bundle: &ReplyBundle) -> Result<(), Reason> {
        if bundle.has_tag(&self.cluster) {
            return match (from == bundle.replica, bundle.signature) {
                (true, Signature::NONE) => Ok(()),
                (true, _) => Err(Reason::BadTag),
                (false, _) => Err(Reason::NotEntitled),
            };
        }
        let claim = bundle.claim(&self.cluster);
        self.check(&claim).then_some(()).ok_or(Reason::BadSignature)
    }

    fn hold(&self, groups: &[&Claims]) -> bool {
        let signatures = groups.iter().flat_map(|claims| &claims.signatures);
        self.keyring.verify_all(signatures) && self.shares_hold(groups)
    }

    fn shares_hold(&self, groups: &[&Claims]) -> bool {
        let shares: Vec<&ShareClaim> = groups.iter().flat_map(|claims| &claims.shares).collect();
        if shares.is_empty() || weakened(Weakening::SharesNotChecked) {
            return true;
        }
        self.share_checks.set(self.share_checks.get() + 1);
        self.keyring.verify_shares(&shares)
    }

    /// The signature of a bundle that a client hands over, unless it is known to hold.
    fn unknown_claim(&self, from: ReplicaId, bundle: &Bundle) -> Result<Claims, Reason> {
        if bundle.gateway() != from || !self.cluster.is_client(from) {
            return Err(Reason::NotEntitled);
        }
        if !bundle.is_well_formed(&self.cluster) {
            return Err(Reason::MalformedRequests);
        }
        let claim = bundle.claim(&self.cluster);
        let unknown = claim.into_iter().filter(|claim| !self.known.contains(&fingerprint(claim)));
        Ok(Claims { signatures: unknown.collect(), shares: vec![] })
    }

    fn unknown_claims<M: Wire>(&self, from: ReplicaId, message: &M) -> Result<Claims, Reason> {
        if !self.cluster.contains(from) {
            return Err(Reason::NotEntitled);
        }
        let mut claims = Claims::of(from, message, &self.cluster)?;
        claims.signatures.retain(|claim| !self.known.contains(&fingerprint(claim)));
        claims.shares.retain(|claim| !self.known.contains(&share_fingerprint(claim)));
        Ok(claims)
    }

    /// Remembers the signatures in a vote that this replica itself is about to
    /// send, so that it is not checked when it comes back inside a certificate.
    /// Other messages are left alone: listing their signatures costs more than
    /// it saves.
    pub fn vouch<M: Wire>(&mut self, id: ReplicaId, message: &M) {
        if message.class() != Class::Vote {
            return;
        }
        if let Ok(claims) = Claims::of(id, message, &self.cluster) {
            self.remember(&claims);
        }
    }

    /// Remembers claims that hold.
    fn remember(&mut self, claims: &Claims) {
        let fingerprints = claims.signatures.iter().map(fingerprint);
        for fingerprint in fingerprints.chain(claims.shares.iter().map(share_fingerprint)) {
            if self.known.insert(fingerprint) {
                self.known_in_order.push_back(fingerprint);
            }
        }
        while self.known_in_order.len() > REMEMBERED_CLAIMS {
            if let Some(oldest) = self.known_in_order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

/// All that is to hold of one message.
#[derive(Debug)]
struct Claims {
    signatures: Vec<Claim>,
    shares: Vec<ShareClaim>,
}

impl Claims {
    fn is_empty(&self) -> bool {
        self.signatures.is_empty() && self.shares.is_empty()
    }

    fn of<M: Wire>(from: ReplicaId, message: &M, cluster: &Cluster) -> Result<Claims, Reason> {
        Ok(Claims { signatures: message.claims(from, cluster)?, shares: message.shares(cluster) })
    }
}

fn share_fingerprint(claim: &ShareClaim) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("shares that hold");
    hasher.update(&claim.sum.0);
    hasher.update(&(claim.voters.count() as u64).to_le_bytes());
    for voter in claim.voters.iter() {
        hasher.update(&voter.0.to_le_bytes());
    }
    hasher.update(&claim.bytes);
    *hasher.finalize().as_bytes()
}

fn fingerprint(claim: &Claim) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&claim.author.0.to_le_bytes());
    hasher.update(&claim.signature.0);
    hasher.update(&claim.bytes);
    *hasher.finalize().as_bytes()
}
