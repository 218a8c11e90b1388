//! Counting the votes of distinct replicas.

use crate::ids::{Digest, ReplicaId};
use crate::keys::Signature;
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The votes of one phase of one slot in one view: at most one per replica, the
/// first that came.
///
/// A thousand replicas keep a thousand votes each, so a vote takes one byte and its
/// signature; where it came in a certificate, the signature stays in there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "ByAuthor", into = "ByAuthor")]
pub struct VoteSet {
    /// By author: the place of the digest in `counts`, from 1; 0 for no vote.
    choices: Vec<u8>,
    // Nearly always one entry: honest replicas vote for one digest.
    counts: Vec<(Digest, usize)>,
    voters: usize,
    /// Signatures that are kept here, in any order. One that is not here is the
    /// list's, or else none ([`Signature::NONE`]).
    singles: Vec<(ReplicaId, Signature)>,
    /// The list of a certificate that others hold as well ([`VoteSet::share`]).
    list: Option<Arc<[(ReplicaId, Signature)]>>,
}

/// Digests of one set at most. Only faulty replicas vote for others than one or
/// two; the votes beyond are not counted.
const MOST_DIGESTS: usize = u8::MAX as usize;

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tallied {
    /// It counts.
    New,
    /// The same vote was there already.
    Duplicate,
    /// Its author voted for another digest before; the first vote stands.
    Contradiction,
}

impl VoteSet {
    /// No votes yet, with room for those of `replicas` that all come singly: each has
    /// a part in every set, and the sets are most of what a large cluster keeps.
    pub fn for_votes_of(replicas: u16) -> VoteSet {
        VoteSet {
            choices: Vec::with_capacity(replicas.into()),
            singles: Vec::with_capacity(replicas.into()),
            ..VoteSet::default()
        }
    }

    /// Adds a vote.
    pub fn insert(&mut self, author: ReplicaId, digest: Digest, signature: Signature) -> Tallied {
        if let Some(earlier) = self.choice(author) {
            if *earlier != digest {
                return Tallied::Contradiction;
            }
            // Of a vote that was known without its signature, that is new.
            if signature != Signature::NONE && !self.has_signature_of(author) {
                // That it has none may be noted there, where the list has one of an earlier vote.
                self.singles.retain(|vote| vote.0 != author);
                self.singles.push((author, signature));
            }
            return Tallied::Duplicate;
        }
        let known = self.counts.iter().position(|(counted, _)| *counted == digest);
        let place = known.unwrap_or(self.counts.len());
        if place == MOST_DIGESTS {
            return Tallied::Contradiction;
        }
        match self.counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((digest, 1)),
        }
        let index = usize::from(author.0);
        if index >= self.choices.len() {
            self.choices.resize(index + 1, 0);
        }
        self.choices[index] = place as u8 + 1;
        self.voters += 1;
        if *self.listed(author) != signature {
            self.singles.push((author, signature));
        }
        Tallied::New
    }

    /// From now on the signatures that `list`, a certificate's, has as well are kept
    /// there alone. Which votes there are does not change.
    pub fn share(&mut self, list: &Arc<[(ReplicaId, Signature)]>) {
        // Else some votes need the list that there is: one for a set is enough.
        if self.singles.len() == self.voters {
            self.singles.retain(|(author, signature)| find(list, *author) != Some(signature));
            self.singles.shrink_to_fit();
            self.list = Some(Arc::clone(list));
        }
    }

    /// Forgets the vote of `author`.
    pub fn remove(&mut self, author: ReplicaId) {
        let Some(choice) = self.choices.get_mut(usize::from(author.0)) else {
            return;
        };
        if let Some(place) = usize::from(std::mem::take(choice)).checked_sub(1) {
            self.singles.retain(|vote| vote.0 != author);
            self.counts[place].1 -= 1;
            self.voters -= 1;
        }
    }

    /// Distinct replicas that voted for `digest`.
    pub fn count(&self, digest: &Digest) -> usize {
        self.counts.iter().find(|(counted, _)| counted == digest).map_or(0, |(_, count)| *count)
    }

    /// Distinct replicas that voted at all.
    pub fn voters(&self) -> usize {
        self.voters
    }

    /// The digest that at least `quorum` replicas voted for. At most one can
    /// exist for a quorum of more than half.
    pub fn decided(&self, quorum: usize) -> Option<Digest> {
        self.counts.iter().find(|(_, count)| *count >= quorum).map(|(digest, _)| *digest)
    }

    /// The digests that somebody voted for.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.counts.iter().filter(|(_, count)| *count > 0).map(|(digest, _)| *digest)
    }

    /// The votes for `digest` in order of their authors.
    pub fn of(&self, digest: &Digest) -> Vec<(ReplicaId, Signature)> {
        let Some(place) = self.counts.iter().position(|(counted, _)| counted == digest) else {
            return vec![];
        };
        let chosen = self.choices.iter().map(|choice| usize::from(*choice) == place + 1);
        let votes = (0..=u16::MAX).map(ReplicaId).zip(self.signatures()).zip(chosen);
        votes.filter(|(_, chosen)| *chosen).map(|(vote, _)| vote).collect()
    }

    /// What `author` voted for.
    pub fn choice(&self, author: ReplicaId) -> Option<&Digest> {
        let choice = self.choices.get(usize::from(author.0))?;
        Some(&self.counts[usize::from(*choice).checked_sub(1)?].0)
    }

    /// The vote of `author`. It is searched for: where the digest is enough, take [`VoteSet::choice`].
    pub fn get(&self, author: ReplicaId) -> Option<(&Digest, &Signature)> {
        let digest = self.choice(author)?;
        let single = self.singles.iter().find(|vote| vote.0 == author);
        Some((digest, single.map_or_else(|| self.listed(author), |(_, signature)| signature)))
    }

    /// Whether `author` has voted, and the signature of that vote is known.
    pub fn has_signature_of(&self, author: ReplicaId) -> bool {
        self.get(author).is_some_and(|(_, signature)| *signature != Signature::NONE)
    }

    /// The signature of a vote of `author` that is not among the singles.
    fn listed(&self, author: ReplicaId) -> &Signature {
        self.list.as_ref().and_then(|list| find(list, author)).unwrap_or(&Signature::NONE)
    }

    /// By author, wherever they are kept; none where there is no vote.
    fn signatures(&self) -> Vec<Signature> {
        let listed = |(author, choice): (u16, &u8)| match choice {
            0 => Signature::NONE,
            _ => *self.listed(ReplicaId(author)),
        };
        let mut signatures: Vec<Signature> = (0..=u16::MAX).zip(&self.choices).map(listed).collect();
        for (author, signature) in &self.singles {
            signatures[usize::from(author.0)] = *signature;
        }
        signatures
    }
}

/// The signature of `author` in a certificate's list, which is in order of the authors. In
/// one that is not, it may be missed, and is kept singly then.
fn find(list: &[(ReplicaId, Signature)], author: ReplicaId) -> Option<&Signature> {
    let place = list.binary_search_by_key(&author, |vote| vote.0).ok()?;
    Some(&list[place].1)
}

/// Where a signature is kept makes no difference: sets with the same votes are one state to the checker.
impl PartialEq for VoteSet {
    fn eq(&self, other: &VoteSet) -> bool {
        (&self.choices, &self.counts) == (&other.choices, &other.counts)
            && self.signatures() == other.signatures()
    }
}

impl Eq for VoteSet {}

impl Hash for VoteSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.choices, self.signatures(), &self.counts, self.voters).hash(state);
    }
}

/// A set as it is saved: each signature at the place of its author.
#[derive(Serialize, Deserialize)]
struct ByAuthor {
    choices: Vec<u8>,
    signatures: Vec<Signature>,
    counts: Vec<(Digest, usize)>,
    voters: usize,
}

impl From<VoteSet> for ByAuthor {
    fn from(set: VoteSet) -> ByAuthor {
        let signatures = set.signatures();
        ByAuthor { choices: set.choices, signatures, counts: set.counts, voters: set.voters }
    }
}

impl From<ByAuthor> for VoteSet {
    fn from(saved: ByAuthor) -> VoteSet {
        let ByAuthor { choices, signatures, counts, voters } = saved;
        // Where what is read was not written by a set, there may be signatures without votes.
        let votes = (0..=u16::MAX).map(ReplicaId).zip(signatures).zip(&choices);
        let signed = votes.filter(|((_, signature), choice)| **choice != 0 && *signature != Signature::NONE);
        let singles = signed.map(|(vote, _)| vote).collect();
        VoteSet { choices, counts, voters, singles, list: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::hash::DefaultHasher;

    #[test]
    fn counts_each_replica_once() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let signature = Signature([0; 64]);
        let mut votes = VoteSet::default();
        assert_eq!(votes.insert(ReplicaId(1), a, signature), Tallied::New);
        assert_eq!(votes.insert(ReplicaId(1), a, signature), Tallied::Duplicate);
        assert_eq!(votes.insert(ReplicaId(1), b, signature), Tallied::Contradiction);
        assert_eq!(votes.insert(ReplicaId(0), a, signature), Tallied::New);
        assert_eq!(votes.insert(ReplicaId(2), b, signature), Tallied::New);
        assert_eq!((votes.count(&a), votes.count(&b)), (2, 1));
        assert_eq!(votes.decided(2), Some(a));
        assert_eq!(votes.decided(3), None);
        assert_eq!(votes.of(&a).iter().map(|v| v.0.0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((votes.voters(), votes.get(ReplicaId(2))), (3, Some((&b, &signature))));
        assert_eq!((votes.get(ReplicaId(3)), votes.of(&Digest::ZERO)), (None, vec![]));
        votes.remove(ReplicaId(1));
        votes.remove(ReplicaId(1));
        votes.remove(ReplicaId(9));
        assert_eq!((votes.count(&a), votes.count(&b), votes.voters()), (1, 1, 2));
        assert_eq!(votes.get(ReplicaId(1)), None);
        assert_eq!(votes.insert(ReplicaId(1), b, signature), Tallied::New);
    }

    #[test]
    fn more_digests_than_anyone_honest_votes_for_are_not_counted() {
        let mut votes = VoteSet::default();
        let of = |id: u16| (ReplicaId(id), Digest::of(&id.to_le_bytes()), Signature([1; 64]));
        for (author, digest, signature) in (0..255).map(of) {
            assert_eq!(votes.insert(author, digest, signature), Tallied::New);
        }
        let (author, digest, signature) = of(255);
        assert_eq!(votes.insert(author, digest, signature), Tallied::Contradiction);
        assert_eq!(votes.insert(author, of(7).1, signature), Tallied::New);
        assert_eq!((votes.count(&of(7).1), votes.get(author).map(|vote| vote.0)), (2, Some(&of(7).1)));
    }

    /// A certificate's list, of authors and the first byte of their signatures.
    fn list(votes: &[(u16, u8)]) -> Arc<[(ReplicaId, Signature)]> {
        votes.iter().map(|(author, signature)| (ReplicaId(*author), Signature([*signature; 64]))).collect()
    }

    fn take_list(votes: &mut VoteSet, digest: Digest, list: &Arc<[(ReplicaId, Signature)]>) {
        for (author, signature) in &**list {
            votes.insert(*author, digest, *signature);
        }
        votes.share(list);
    }

    #[test]
    fn a_signature_that_a_list_has_is_kept_nowhere_else() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let first = list(&[(0, 1), (1, 1), (2, 1), (4, 1)]);
        let mut votes = VoteSet::for_votes_of(6);
        // One is in the list too, one has signed otherwise than there, one has voted otherwise, one is not there.
        for (author, digest, signature) in [(1, a, 1), (2, a, 2), (4, b, 3), (5, a, 1)] {
            votes.insert(ReplicaId(author), digest, Signature([signature; 64]));
        }
        take_list(&mut votes, a, &first);
        assert_eq!(votes.singles[..], list(&[(2, 2), (4, 3), (5, 1)])[..]);
        assert_eq!(votes.of(&a)[..], list(&[(0, 1), (1, 1), (2, 2), (5, 1)])[..]);
        assert_eq!(votes.of(&b)[..], list(&[(4, 3)])[..]);
        // Votes depend on the first list: of a second one, the signatures that are new are kept singly.
        let second = list(&[(0, 7), (3, 7)]);
        take_list(&mut votes, a, &second);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 1));
        assert_eq!(votes.of(&a)[..], list(&[(0, 1), (1, 1), (2, 2), (3, 7), (5, 1)])[..]);
    }

    #[test]
    fn votes_without_signatures_keep_none() {
        let mut votes = VoteSet::default();
        votes.insert(ReplicaId(3), Digest::ZERO, Signature::NONE);
        assert_eq!(votes.get(ReplicaId(3)), Some((&Digest::ZERO, &Signature::NONE)));
        // A list would give it a signature.
        votes.share(&list(&[(3, 1)]));
        assert_eq!(votes.of(&Digest::ZERO), [(ReplicaId(3), Signature::NONE)]);
        assert!(votes.singles.is_empty() && votes.list.is_none());
    }

    #[test]
    fn a_signature_that_was_not_known_is_taken_when_the_vote_comes_again() {
        let mut votes = VoteSet::default();
        votes.insert(ReplicaId(3), Digest::ZERO, Signature::NONE);
        assert!(!votes.has_signature_of(ReplicaId(3)) && !votes.has_signature_of(ReplicaId(4)));
        for (signature, kept) in [(1, 1), (2, 1)] {
            let signature = Signature([signature; 64]);
            assert_eq!(votes.insert(ReplicaId(3), Digest::ZERO, signature), Tallied::Duplicate);
            assert_eq!(votes.of(&Digest::ZERO)[..], list(&[(3, kept)])[..]);
        }
        assert_eq!((votes.voters(), votes.has_signature_of(ReplicaId(3))), (1, true));
    }

    #[test]
    fn a_signature_is_taken_though_the_list_has_one_of_an_earlier_vote() {
        let (author, signature) = (ReplicaId(6), Signature([1; 64]));
        let mut votes = VoteSet::default();
        votes.insert(author, Digest::ZERO, signature);
        votes.share(&list(&[(6, 1)]));
        votes.remove(author);
        votes.insert(author, Digest::ZERO, Signature::NONE);
        assert!(!votes.has_signature_of(author));
        for _ in 0..2 {
            votes.insert(author, Digest::ZERO, signature);
            assert_eq!(votes.get(author), Some((&Digest::ZERO, &signature)));
            assert_eq!(votes.singles.len(), 1, "it is kept once");
        }
    }

    #[test]
    fn signatures_without_votes_are_not_read() {
        let saved = |signatures: &[u8]| {
            let signatures = signatures.iter().map(|signature| Signature([*signature; 64])).collect();
            let counts = vec![(Digest::ZERO, 1)];
            postcard::to_stdvec(&ByAuthor { choices: vec![0, 1], signatures, counts, voters: 1 }).unwrap()
        };
        let votes: VoteSet = postcard::from_bytes(&saved(&[7, 8, 9])).unwrap();
        assert_eq!(votes.of(&Digest::ZERO)[..], list(&[(1, 8)])[..]);
        assert_eq!(postcard::to_stdvec(&votes).unwrap(), saved(&[0, 8]));
    }

    /// What may happen to a set. Authors, digests and signatures are few, so that they meet.
    #[derive(Clone, Debug)]
    enum Happens {
        Vote(u16, u8, u8),
        Certificate(u8, Vec<(u16, u8)>),
        Removal(u16),
        Restart,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let votes = || prop::collection::vec((0..8u16, 0..3u8), 0..8);
        // As they should be, or as no admitted certificate's list is: in any order, authors twice.
        let in_order = prop::collection::btree_map(0..8u16, 0..3u8, 0..8).prop_map(Vec::from_iter);
        prop_oneof![
            4 => (0..8u16, 0..3u8, 0..3u8).prop_map(|(author, digest, signature)| Happens::Vote(author, digest, signature)),
            3 => (0..3u8, in_order).prop_map(|(digest, votes)| Happens::Certificate(digest, votes)),
            1 => (0..3u8, votes()).prop_map(|(digest, votes)| Happens::Certificate(digest, votes)),
            1 => (0..8u16).prop_map(Happens::Removal),
            1 => Just(Happens::Restart),
        ]
    }

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    /// A set as simple as can be.
    #[derive(Default)]
    struct Model(BTreeMap<ReplicaId, (Digest, Signature)>);

    impl Model {
        fn insert(&mut self, author: ReplicaId, digest: Digest, signature: Signature) -> Tallied {
            match self.0.get_mut(&author) {
                Some((earlier, known)) if *earlier == digest => {
                    if *known == Signature::NONE {
                        *known = signature;
                    }
                    Tallied::Duplicate
                }
                Some(_) => Tallied::Contradiction,
                None => {
                    self.0.insert(author, (digest, signature));
                    Tallied::New
                }
            }
        }

        fn of(&self, digest: Digest) -> Vec<(ReplicaId, Signature)> {
            let votes = self.0.iter().filter(|(_, vote)| vote.0 == digest);
            votes.map(|(author, (_, signature))| (*author, *signature)).collect()
        }

        fn compare(&self, votes: &VoteSet) {
            for author in (0..9).map(ReplicaId) {
                let expected = self.0.get(&author);
                assert_eq!(votes.get(author), expected.map(|(digest, signature)| (digest, signature)));
                assert_eq!(votes.choice(author), expected.map(|(digest, _)| digest));
            }
            for digest in (0..4).map(digest) {
                assert_eq!(votes.of(&digest), self.of(digest));
                assert_eq!(votes.count(&digest), self.of(digest).len());
            }
            assert_eq!(votes.voters(), self.0.len());
            let most = (0..3).map(digest).max_by_key(|digest| votes.count(digest)).unwrap();
            let majority = self.0.len() / 2 + 1;
            assert_eq!(votes.decided(majority), Some(most).filter(|most| votes.count(most) >= majority));
        }
    }

    fn hash_of(votes: &VoteSet) -> u64 {
        let mut hasher = DefaultHasher::new();
        votes.hash(&mut hasher);
        hasher.finish()
    }

    /// Both are the same state, though one has its signatures from a list.
    fn assert_same(votes: &VoteSet, copies: &VoteSet) {
        assert_eq!((votes, hash_of(votes)), (copies, hash_of(copies)));
        let saved = postcard::to_stdvec(votes).unwrap();
        assert_eq!(saved, postcard::to_stdvec(copies).unwrap());
        assert_eq!(&postcard::from_bytes::<VoteSet>(&saved).unwrap(), votes);
    }

    /// With another signature of any voter it is another state.
    fn assert_signatures_count(votes: &VoteSet) {
        for author in (0..8).map(ReplicaId) {
            let mut other = votes.clone();
            if let Some((digest, signature)) = votes.get(author) {
                other.remove(author);
                other.insert(author, *digest, signature.corrupted());
                assert_ne!(votes, &other);
                assert_ne!(hash_of(votes), hash_of(&other));
            }
        }
    }

    proptest! {
        #[test]
        fn a_set_is_a_map_wherever_its_signatures_are(all in prop::collection::vec(happens(), 0..20)) {
            let (mut votes, mut copies, mut model) = (VoteSet::default(), VoteSet::default(), Model::default());
            for happens in all {
                let (came, digest) = match &happens {
                    Happens::Vote(author, digest, signature) => (list(&[(*author, *signature)]), *digest),
                    Happens::Certificate(digest, votes) => (list(votes), *digest),
                    Happens::Removal(_) | Happens::Restart => (list(&[]), 0),
                };
                for (author, signature) in &*came {
                    let expected = model.insert(*author, self::digest(digest), *signature);
                    assert_eq!(votes.insert(*author, self::digest(digest), *signature), expected);
                    assert_eq!(copies.insert(*author, self::digest(digest), *signature), expected);
                }
                match happens {
                    Happens::Vote(..) => {}
                    Happens::Certificate(..) => votes.share(&came),
                    Happens::Removal(author) => {
                        model.0.remove(&ReplicaId(author));
                        votes.remove(ReplicaId(author));
                        copies.remove(ReplicaId(author));
                    }
                    Happens::Restart => votes = postcard::from_bytes(&postcard::to_stdvec(&votes).unwrap()).unwrap(),
                }
                model.compare(&votes);
                assert_same(&votes, &copies);
                assert_signatures_count(&votes);
            }
        }
    }
}
