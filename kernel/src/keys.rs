//! Ed25519 keys and signatures, and symbolic ones for simulations.
//!
//! Signatures are checked by ZIP 215 (`verification.rs`), because by its rules checks of one and of
//! many together always agree: replicas that check the same signature in
//! different company must come to the same answer.

use crate::ids::{ReplicaId, byte_string, deserialize_bytes, serialize_bytes};
#[cfg(not(target_family = "wasm"))]
use crate::shares::points;
use crate::shares::{ShareClaim, ShareKey, ShareKeys, ShareSecret};
use crate::tags::SharedKeys;
use crate::verification::KnownKeys;
use ed25519_zebra::{SigningKey, VerificationKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

byte_string!(
    /// An Ed25519 signature.
    Signature,
    64
);
byte_string!(
    /// An Ed25519 public key.
    PublicKey,
    32
);

impl Signature {
    /// What stands in the place of a signature where a link's tags authenticate, see
    /// [`crate::Authentication::Tags`].
    pub const NONE: Signature = Signature([0; 64]);
}

/// A signature where there may be none, which then takes no room.
pub(crate) mod signature_or_none {
    use super::Signature;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(signature: &Signature, serializer: S) -> Result<S::Ok, S::Error> {
        (*signature != Signature::NONE).then_some(signature).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signature, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(Signature::NONE))
    }
}

/// The secret half of a key pair. It has no text form: no message, log or error can
/// print it by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKey(pub [u8; 32]);

impl SecretKey {
    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(VerificationKey::from(&SigningKey::from(self.0)).into())
    }

    /// The public half of the key for shares that goes with it ([`crate::shares`]).
    #[cfg(not(target_family = "wasm"))]
    pub fn share_key(&self) -> ShareKey {
        points::key_of(&points::secret_of(self))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(not shown)")
    }
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for SecretKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error would quote what it found.
        let unreadable = |_| D::Error::custom("a secret key is 32 bytes, in hexadecimal for people");
        deserialize_bytes(deserializer).map(SecretKey).map_err(unreadable)
    }
}

/// One replica's signing key. Counts what it signs; the count is a meter for
/// the host and never part of a protocol's state.
#[derive(Clone)]
pub struct Signer {
    id: ReplicaId,
    key: PrivateKey,
    share_secret: ShareSecret,
    shared: Option<SharedKeys>,
    made: Cell<u64>,
    shares_made: Cell<u64>,
}

#[derive(Clone)]
enum PrivateKey {
    Ed25519(Box<SigningKey>),
    Symbolic([u8; 32]),
}

/// A symbolic signature: a keyed hash. Whoever can check it could make it, so it
/// is worth something only where all keyrings are in honest hands.
fn symbolic_signature(key: &[u8; 32], bytes: &[u8]) -> Signature {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(blake3::keyed_hash(key, bytes).as_bytes());
    Signature(signature)
}

impl Signer {
    /// The signer of replica `id` with the given secret.
    pub fn new(id: ReplicaId, secret: &SecretKey) -> Signer {
        let key = PrivateKey::Ed25519(Box::new(SigningKey::from(secret.0)));
        let share_secret = ShareSecret::of(secret);
        Signer { id, key, share_secret, shared: None, made: Cell::new(0), shares_made: Cell::new(0) }
    }

    /// The same signer, which can make tags for all in `keyring` as well.
    #[must_use]
    pub fn sharing_keys(self, keyring: &Keyring) -> Signer {
        let secret = match &self.key {
            PrivateKey::Ed25519(key) => Some(SecretKey(key.to_bytes())),
            PrivateKey::Symbolic(_) => None,
        };
        let shared = Some(SharedKeys::new(self.id, secret, keyring));
        Signer { shared, ..self }
    }

    /// The keys that it shares with others, if it was told of them.
    pub fn shared_keys(&self) -> Option<&SharedKeys> {
        self.shared.as_ref()
    }

    /// Whose signatures these are.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Signs `bytes`.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        self.made.set(self.made.get() + 1);
        match &self.key {
            PrivateKey::Ed25519(key) => Signature(key.sign(bytes).into()),
            PrivateKey::Symbolic(key) => symbolic_signature(key, bytes),
        }
    }

    /// This replica's share of a sum of signatures of `bytes`.
    pub fn sign_share(&self, bytes: &[u8]) -> Signature {
        self.shares_made.set(self.shares_made.get() + 1);
        self.share_secret.sign(bytes)
    }

    /// Signatures made so far, without shares.
    pub fn signatures_made(&self) -> u64 {
        self.made.get()
    }

    /// Shares made so far.
    pub fn shares_made(&self) -> u64 {
        self.shares_made.get()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

/// A signature to be checked: who is said to have signed what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The alleged signer.
    pub author: ReplicaId,
    /// The exact bytes signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

/// The public keys of all replicas and then of all clients, by id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Keys,
    /// None where no share holds.
    shares: Option<ShareKeys>,
}

#[derive(Clone, Debug)]
enum Keys {
    Ed25519(Arc<KnownKeys>),
    Symbolic(Arc<[[u8; 32]]>),
}

/// A public key that is not a point on the curve.
#[derive(Debug, thiserror::Error)]
#[error("public key {index} ({key}) is not a valid Ed25519 key")]
pub struct BadKey {
    pub(crate) index: usize,
    pub(crate) key: PublicKey,
}

/// A key for shares that counts for nothing.
#[cfg(not(target_family = "wasm"))]
#[derive(Debug, thiserror::Error)]
#[error(
    "share key {index} is not valid, without proof that its owner has the secret, or another one's as well"
)]
pub struct BadShareKey {
    index: usize,
}

impl Keyring {
    /// A keyring of these public keys: the `i`th is that of replica or client `i`.
    pub fn new(keys: &[PublicKey]) -> Result<Keyring, BadKey> {
        let keys = Arc::new(KnownKeys::new(keys)?);
        Ok(Keyring { keys: Keys::Ed25519(keys), shares: None })
    }

    /// The same, with which shares can be checked: the `i`th key is that of replica `i`.
    ///
    /// # Errors
    ///
    /// If one of them is no key, its owner has not proven to have the secret, or it is another one's as well.
    #[cfg(not(target_family = "wasm"))]
    pub fn with_share_keys(self, keys: &[ShareKey]) -> Result<Keyring, BadShareKey> {
        let checked = |(index, key): (usize, &ShareKey)| {
            let public = |key| points::halves(key).0;
            let is_new = !keys[..index].iter().any(|other| public(other) == public(key));
            let parsed = points::checked(key).filter(|_| is_new);
            parsed.ok_or(BadShareKey { index })
        };
        let keys = keys.iter().enumerate().map(checked).collect::<Result<_, _>>()?;
        let keys = points::Keys::new(keys);
        Ok(Keyring { shares: Some(ShareKeys::Bls(Arc::new(keys))), ..self })
    }

    /// Whether all these shares hold. Which one does not, asking for each tells.
    pub fn verify_shares(&self, claims: &[&ShareClaim]) -> bool {
        claims.is_empty() || self.shares.as_ref().is_some_and(|keys| keys.verify_all(claims))
    }

    /// The public key of a participant, or what stands for it where signatures are symbolic.
    pub(crate) fn key_bytes(&self, id: ReplicaId) -> Option<[u8; 32]> {
        match &self.keys {
            Keys::Ed25519(keys) => keys.bytes(usize::from(id.0)),
            Keys::Symbolic(keys) => keys.get(usize::from(id.0)).copied(),
        }
    }

    /// Checks one claim.
    pub fn verify(&self, claim: &Claim) -> bool {
        match &self.keys {
            Keys::Ed25519(keys) => keys.verify(claim),
            Keys::Symbolic(keys) => keys
                .get(usize::from(claim.author.0))
                .is_some_and(|key| symbolic_signature(key, &claim.bytes) == claim.signature),
        }
    }

    /// Checks all claims together; true only if every one holds. Where it is
    /// false, [`Keyring::verify`] tells which do not.
    pub fn verify_all<'a>(&self, mut claims: impl Iterator<Item = &'a Claim>) -> bool {
        match &self.keys {
            Keys::Ed25519(keys) => keys.verify_all(claims),
            Keys::Symbolic(_) => claims.all(|claim| self.verify(claim)),
        }
    }
}

/// Makes the key pairs of a cluster's replicas and clients, `n` together, from a seed:
/// for tests, demos and benchmarks, where every run must have the same keys. Not for
/// secrets.
pub fn key_pairs(seed: u64, n: u16) -> Vec<(SecretKey, PublicKey)> {
    (0..n)
        .map(|id| {
            let mut hasher = blake3::Hasher::new_derive_key("replica signing key");
            hasher.update(&seed.to_le_bytes());
            hasher.update(&id.to_le_bytes());
            let secret = SecretKey(*hasher.finalize().as_bytes());
            (secret, secret.public_key())
        })
        .collect()
}

/// Signers and keyring of a cluster made from a seed.
pub fn seeded(seed: u64, n: u16) -> (Vec<Signer>, Keyring) {
    let pairs = key_pairs(seed, n);
    let public: Vec<PublicKey> = pairs.iter().map(|(_, public)| *public).collect();
    let keyring = Keyring::new(&public).expect("keys made from a seed are valid");
    let signer = |(id, (secret, _)): (usize, &(SecretKey, PublicKey))| {
        Signer::new(ReplicaId(id as u16), secret).sharing_keys(&keyring)
    };
    (pairs.iter().enumerate().map(signer).collect(), keyring)
}

/// The same, whose keyring can check shares as well.
#[cfg(not(target_family = "wasm"))]
pub fn seeded_with_shares(seed: u64, n: u16) -> (Vec<Signer>, Keyring) {
    let (signers, keyring) = seeded(seed, n);
    let keys: Vec<ShareKey> = key_pairs(seed, n).iter().map(|(secret, _)| secret.share_key()).collect();
    (signers, keyring.with_share_keys(&keys).expect("keys made from a seed are valid"))
}

/// Signers and keyring of a cluster whose signatures are symbolic: keyed hashes,
/// hundreds of times cheaper, and unforgeable in a world where nobody but its
/// owner is lent a signer. For simulations and checkers.
pub fn symbolic(seed: u64, n: u16) -> (Vec<Signer>, Keyring) {
    let key = |id: u16| {
        let mut hasher = blake3::Hasher::new_derive_key("symbolic signing key");
        hasher.update(&seed.to_le_bytes()).update(&id.to_le_bytes());
        *hasher.finalize().as_bytes()
    };
    let keys: Arc<[[u8; 32]]> = (0..n).map(key).collect();
    let shares = Some(ShareKeys::Symbolic(Arc::clone(&keys)));
    let keyring = Keyring { keys: Keys::Symbolic(Arc::clone(&keys)), shares };
    let signer = |(id, key): (usize, &[u8; 32])| {
        let signer = Signer {
            id: ReplicaId(id as u16),
            key: PrivateKey::Symbolic(*key),
            share_secret: ShareSecret::Symbolic(*key),
            shared: None,
            made: Cell::new(0),
            shares_made: Cell::new(0),
        };
        signer.sharing_keys(&keyring)
    };
    (keys.iter().enumerate().map(signer).collect(), keyring)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(signer: &Signer, bytes: &[u8]) -> Claim {
        Claim { author: signer.id(), bytes: bytes.to_vec(), signature: signer.sign(bytes) }
    }

    #[test]
    fn single_and_batch_verification_agree() {
        for (signers, keyring) in [seeded(1, 4), symbolic(1, 4)] {
            agree(&signers, &keyring);
        }
    }

    fn agree(signers: &[Signer], keyring: &Keyring) {
        let good: Vec<Claim> = signers.iter().map(|s| claim(s, b"vote")).collect();
        assert!(keyring.verify_all(good.iter()));
        assert!(good.iter().all(|c| keyring.verify(c)));

        let mut bad = good.clone();
        bad[2].bytes = b"other".to_vec();
        assert!(!keyring.verify_all(bad.iter()));
        assert!(!keyring.verify(&bad[2]));

        let mut impostor = good;
        impostor[1].author = ReplicaId(3);
        assert!(!keyring.verify_all(impostor.iter()));
        impostor[1].author = ReplicaId(9);
        assert!(!keyring.verify_all(impostor.iter()) && !keyring.verify(&impostor[1]));
    }

    #[test]
    fn a_secret_key_is_never_shown() {
        let (secret, _) = key_pairs(1, 1)[0];
        let text = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<SecretKey>(&text).unwrap(), secret);
        let hidden = text.trim_matches('"');
        let error = serde_json::from_str::<SecretKey>(&format!("\"{}\"", &hidden[..62])).unwrap_err();
        for shown in [format!("{secret:?}"), error.to_string()] {
            assert!(!shown.contains(&hidden[..8]), "{shown}");
        }
    }

    #[test]
    fn a_signer_counts_what_it_signs() {
        let (signers, _) = seeded(1, 1);
        signers[0].sign(b"a");
        signers[0].sign(b"b");
        assert_eq!(signers[0].signatures_made(), 2);
    }
}
