//! Shares: signatures of one statement by several replicas that can be added up to one.
//!
//! BLS signatures on the curve BLS12-381 (Boneh, Lynn, Shacham, *Short signatures from the Weil pairing*, ASIACRYPT 2001;
//! draft-irtf-cfrg-bls-signature, proof of possession scheme): a share is a point of 48 bytes, the sum of shares is
//! their point sum, and it is checked against the sum of the public keys, at the cost of one share whatever their number.
//! A key counts only with a proof that its owner has the secret: else a public key could be chosen so that it cancels
//! those of others (Ristenpart, Yilek, *The power of proofs-of-possession*, EUROCRYPT 2007).
//!
//! Where signatures are symbolic, a share is a keyed hash, and a sum is the exclusive or of shares: like points, they can
//! be added and taken away by anyone.

use crate::ids::{ReplicaId, byte_string};
use crate::keys::Signature;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::sync::Arc;

byte_string!(
    /// A replica's public key for shares, 96 bytes, and the proof that it has the secret, 48 bytes.
    ShareKey,
    144
);

/// Bytes of a share or a sum; the others of a [`Signature`] are zero.
#[cfg(not(target_family = "wasm"))]
const SHARE_BYTES: usize = 48;

/// A point says in its first bit that it is in compressed form; a symbolic share has no such bit.
const IS_POINT: u8 = 0x80;

/// Replicas whose shares make a sum. One bit for each, without bytes of zeros at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voters(Box<[u8]>);

impl Voters {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = ReplicaId> + use<'_> {
        let bits = self.0.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        (0..=u16::MAX).map(ReplicaId).zip(bits).filter(|(_, is_in)| *is_in).map(|(id, _)| id)
    }

    /// Whether it is one of them.
    pub fn contains(&self, id: ReplicaId) -> bool {
        let byte = self.0.get(usize::from(id.0 / 8));
        byte.is_some_and(|byte| byte >> (id.0 % 8) & 1 == 1)
    }

    /// The last of them.
    pub fn last(&self) -> Option<ReplicaId> {
        self.iter().last()
    }

    fn of_bits(bits: Vec<u8>) -> Option<Voters> {
        // One form for each set, and none that no cluster is large enough for.
        let is_canonical = bits.last() != Some(&0) && bits.len() <= usize::from(u16::MAX / 8) + 1;
        is_canonical.then(|| Voters(bits.into()))
    }
}

impl FromIterator<ReplicaId> for Voters {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(ids: I) -> Voters {
        let mut bits = Vec::new();
        for id in ids {
            let byte = usize::from(id.0 / 8);
            if bits.len() <= byte {
                bits.resize(byte + 1, 0);
            }
            bits[byte] |= 1 << (id.0 % 8);
        }
        Voters(bits.into())
    }
}

/// For people, a list of ids.
impl Serialize for Voters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_seq(self.iter()),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Voters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Voters, D::Error> {
        if deserializer.is_human_readable() {
            return Ok(Vec::<ReplicaId>::deserialize(deserializer)?.into_iter().collect());
        }
        Voters::of_bits(Vec::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no set of voters"))
    }
}

/// Shares to be checked: who is said to have signed what, by a share or by a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareClaim {
    /// The alleged signers.
    pub voters: Voters,
    /// The exact bytes that each signed.
    pub bytes: Vec<u8>,
    /// The share of one, or the sum of all.
    pub sum: Signature,
}

/// Adds shares up. None if one of them is no share. A point and a symbolic share, as where a journal is played without the node's key,
/// or points where there is no arithmetic for them (WebAssembly), make a sum that does not hold.
pub fn sum<'a>(shares: impl Iterator<Item = &'a Signature> + Clone) -> Option<Signature> {
    let are_points =
        cfg!(not(target_family = "wasm")) && shares.clone().all(|share| share.0[0] & IS_POINT != 0);
    if are_points { points::sum(shares) } else { Some(shares.fold(Signature::NONE, exclusive_or)) }
}

fn exclusive_or(mut sum: Signature, share: &Signature) -> Signature {
    sum.0.iter_mut().zip(share.0).for_each(|(byte, other)| *byte ^= other);
    sum
}

/// A replica's secret key for shares.
#[derive(Clone)]
pub(crate) enum ShareSecret {
    Symbolic([u8; 32]),
    #[cfg(not(target_family = "wasm"))]
    Bls(Box<blst::min_sig::SecretKey>),
    /// There is no arithmetic for points.
    #[cfg(target_family = "wasm")]
    Nothing,
}

impl ShareSecret {
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn of(secret: &crate::keys::SecretKey) -> ShareSecret {
        ShareSecret::Bls(Box::new(points::secret_of(secret)))
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn of(_: &crate::keys::SecretKey) -> ShareSecret {
        ShareSecret::Nothing
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        match self {
            ShareSecret::Symbolic(key) => symbolic_share(key, bytes),
            #[cfg(not(target_family = "wasm"))]
            ShareSecret::Bls(secret) => points::sign(secret, bytes),
            #[cfg(target_family = "wasm")]
            ShareSecret::Nothing => Signature::NONE,
        }
    }
}

fn symbolic_share(key: &[u8; 32], bytes: &[u8]) -> Signature {
    let key = blake3::derive_key("symbolic shares", key);
    let mut share = Signature::NONE;
    share.0[..32].copy_from_slice(blake3::keyed_hash(&key, bytes).as_bytes());
    share.0[0] &= !IS_POINT;
    share
}

/// The public keys of all replicas for shares.
#[derive(Clone, Debug)]
pub(crate) enum ShareKeys {
    Symbolic(Arc<[[u8; 32]]>),
    #[cfg(not(target_family = "wasm"))]
    Bls(Arc<points::Keys>),
}

impl ShareKeys {
    /// Whether all claims hold.
    pub(crate) fn verify_all(&self, claims: &[&ShareClaim]) -> bool {
        match self {
            ShareKeys::Symbolic(keys) => claims.iter().all(|claim| {
                let shares: Option<Vec<Signature>> = claim
                    .voters
                    .iter()
                    .map(|id| Some(symbolic_share(keys.get(usize::from(id.0))?, &claim.bytes)))
                    .collect();
                let is_of_somebody = claim.voters.count() > 0;
                is_of_somebody && shares.is_some_and(|shares| sum(shares.iter()) == Some(claim.sum))
            }),
            #[cfg(not(target_family = "wasm"))]
            ShareKeys::Bls(keys) => points::verify_all(keys, claims),
        }
    }
}

#[cfg(target_family = "wasm")]
mod points {
    use crate::keys::Signature;

    pub(super) fn sum<'a>(_: impl Iterator<Item = &'a Signature>) -> Option<Signature> {
        None
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod points {
    use super::{SHARE_BYTES, ShareClaim, ShareKey, Voters};
    use crate::ids::ReplicaId;
    use crate::keys::{SecretKey, Signature};
    use blst::min_sig::{AggregatePublicKey, AggregateSignature, PublicKey};
    use blst::{BLST_ERROR, blst_scalar, min_sig};
    use std::collections::BTreeMap;

    /// The ciphersuite of the draft: signatures in G1, proofs of possession.
    const SIGNATURES: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    const PROOFS: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    /// Bits of the random factors that shares are multiplied by when they are checked together.
    const FACTOR_BITS: usize = 64;
    const FACTOR_BYTES: usize = FACTOR_BITS / 8;

    /// A key of its own, which follows from the key for signatures.
    pub(crate) fn secret_of(secret: &SecretKey) -> min_sig::SecretKey {
        let material = blake3::derive_key("share signing key", &secret.0);
        min_sig::SecretKey::key_gen(&material, &[]).expect("32 bytes are enough to make a key of")
    }

    pub(crate) fn key_of(secret: &min_sig::SecretKey) -> ShareKey {
        let public = secret.sk_to_pk().to_bytes();
        let mut key = ShareKey([0; 144]);
        key.0[..public.len()].copy_from_slice(&public);
        key.0[public.len()..].copy_from_slice(&secret.sign(&public, PROOFS, &[]).to_bytes());
        key
    }

    /// The bytes of the public key, and those of the proof.
    pub(crate) fn halves(key: &ShareKey) -> (&[u8], &[u8]) {
        key.0.split_at(key.0.len() - SHARE_BYTES)
    }

    /// The public key, if it is one and its proof holds.
    pub(crate) fn checked(key: &ShareKey) -> Option<PublicKey> {
        let (public, proof) = halves(key);
        let parsed = PublicKey::key_validate(public).ok()?;
        let proof = min_sig::Signature::sig_validate(proof, true).ok()?;
        let holds = proof.verify(false, public, PROOFS, &[], &parsed, false) == BLST_ERROR::BLST_SUCCESS;
        holds.then_some(parsed)
    }

    pub(super) fn sign(secret: &min_sig::SecretKey, bytes: &[u8]) -> Signature {
        to_signature(&secret.sign(bytes, SIGNATURES, &[]))
    }

    fn to_signature(point: &min_sig::Signature) -> Signature {
        let mut signature = Signature::NONE;
        signature.0[..SHARE_BYTES].copy_from_slice(&point.to_bytes());
        signature
    }

    /// The point that a signature is, if its other bytes are zero.
    fn share_bytes(signature: &Signature) -> Option<&[u8]> {
        let (point, rest) = signature.0.split_at(SHARE_BYTES);
        rest.iter().all(|byte| *byte == 0).then_some(point)
    }

    pub(super) fn sum<'a>(shares: impl Iterator<Item = &'a Signature>) -> Option<Signature> {
        // They were checked when they came in.
        let point = |share: &Signature| min_sig::Signature::from_bytes(share_bytes(share)?).ok();
        let points = shares.map(point).collect::<Option<Vec<_>>>()?;
        let sum = AggregateSignature::aggregate(&points.iter().collect::<Vec<_>>(), false).ok()?;
        Some(to_signature(&sum.to_signature()))
    }

    pub(super) fn verify_all(keys: &Keys, claims: &[&ShareClaim]) -> bool {
        let mut by_statement: BTreeMap<&[u8], Vec<(PublicKey, min_sig::Signature)>> = BTreeMap::new();
        for claim in claims {
            let Some(key) = keys.sum_of(&claim.voters) else { return false };
            let point =
                share_bytes(&claim.sum).and_then(|bytes| min_sig::Signature::sig_validate(bytes, true).ok());
            let Some(point) = point else { return false };
            by_statement.entry(&claim.bytes).or_default().push((key, point));
        }
        let sums: Vec<_> =
            by_statement.into_iter().map(|(bytes, signed)| (bytes, added_up(signed))).collect();
        let verdict = match &sums[..] {
            [] => BLST_ERROR::BLST_SUCCESS,
            [(bytes, (key, point))] => point.verify(false, bytes, SIGNATURES, &[], key, false),
            several => {
                let statements: Vec<&[u8]> = several.iter().map(|(bytes, _)| *bytes).collect();
                let (keys, points): (Vec<_>, Vec<_>) =
                    several.iter().map(|(_, (key, point))| (key, point)).unzip();
                let factors: Vec<blst_scalar> = several.iter().map(|_| factor()).collect();
                min_sig::Signature::verify_multiple_aggregate_signatures(
                    &statements,
                    SIGNATURES,
                    &keys,
                    false,
                    &points,
                    false,
                    &factors,
                    FACTOR_BITS,
                )
            }
        };
        verdict == BLST_ERROR::BLST_SUCCESS
    }

    /// The public keys of all replicas, and their sum.
    #[derive(Debug)]
    pub(crate) struct Keys {
        each: Vec<PublicKey>,
        /// None if there is no key.
        all: Option<AggregatePublicKey>,
    }

    impl Keys {
        pub(crate) fn new(each: Vec<PublicKey>) -> Keys {
            let all = AggregatePublicKey::aggregate(&each.iter().collect::<Vec<_>>(), false).ok();
            Keys { each, all }
        }

        /// The sum of the keys of these; none if there are none, or one is nobody. Where few are missing, their keys are taken
        /// away from the sum of all.
        fn sum_of(&self, voters: &Voters) -> Option<PublicKey> {
            let count = voters.count();
            if count == 0 || usize::from(voters.last()?.0) >= self.each.len() {
                return None;
            }
            if count == 1 {
                return voters.last().map(|id| self.each[usize::from(id.0)]);
            }
            if count <= self.each.len() / 2 {
                let keys: Vec<&PublicKey> = voters.iter().map(|id| &self.each[usize::from(id.0)]).collect();
                return AggregatePublicKey::aggregate(&keys, false).ok().map(|sum| sum.to_public_key());
            }
            let mut sum = self.all?;
            let missing = (0..).zip(&self.each).filter(|(id, _)| !voters.contains(ReplicaId(*id)));
            missing.for_each(|(_, key)| sum.sub_aggregate(&AggregatePublicKey::from_public_key(key)));
            Some(sum.to_public_key())
        }
    }

    /// Shares of one statement as one, each multiplied by a random factor: else two invalid ones could cancel each other
    /// out, and be let in, though no other sum with one of them would hold.
    fn added_up(signed: Vec<(PublicKey, min_sig::Signature)>) -> (PublicKey, min_sig::Signature) {
        if let [one] = signed[..] {
            return one;
        }
        let factors: Vec<u8> = signed.iter().flat_map(|_| rand::random::<[u8; FACTOR_BYTES]>()).collect();
        let (keys, points): (Vec<PublicKey>, Vec<min_sig::Signature>) = signed.into_iter().unzip();
        let key = AggregatePublicKey::aggregate_with_randomness(&keys, &factors, FACTOR_BITS, false);
        let point = AggregateSignature::aggregate_with_randomness(&points, &factors, FACTOR_BITS, false);
        let some = "there are at least two";
        (key.expect(some).to_public_key(), point.expect(some).to_signature())
    }

    fn factor() -> blst_scalar {
        let mut factor = blst_scalar::default();
        factor.b[..FACTOR_BYTES].copy_from_slice(&rand::random::<[u8; FACTOR_BYTES]>());
        factor
    }
}
