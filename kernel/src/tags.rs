//! Tags of requests: message authentication codes under keys that two participants share, one for each receiver.
//!
//! Two participants need not have met for that: either computes their key from its own secret and the other's public key
//! (X25519 between their Ed25519 keys, in Montgomery form). So a tag still says whose requests these are after others
//! have passed them on, but it says so to one receiver, and to nobody else.

use crate::ids::{ReplicaId, byte_string};
use crate::keys::{Keyring, SecretKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha512};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

byte_string!(
    /// A message authentication code for one receiver: a keyed BLAKE3 hash, cut to 16 bytes.
    Tag,
    16
);

impl Tag {
    /// The same tag with a bit of it changed.
    #[must_use]
    pub fn corrupted(self) -> Tag {
        let mut bytes = self.0;
        bytes[0] ^= 1;
        Tag(bytes)
    }
}

/// The keys that one participant shares with each other one. Each is computed when it is needed first.
#[derive(Clone)]
pub struct SharedKeys {
    own: ReplicaId,
    /// None where signatures are symbolic, and so are these keys.
    secret: Option<SecretKey>,
    keyring: Keyring,
    keys: RefCell<BTreeMap<ReplicaId, [u8; 32]>>,
}

impl SharedKeys {
    /// The keys that `own` shares with all in `keyring`.
    pub(crate) fn new(own: ReplicaId, secret: Option<SecretKey>, keyring: &Keyring) -> SharedKeys {
        SharedKeys { own, secret, keyring: keyring.clone(), keys: RefCell::default() }
    }

    /// Whose keys these are.
    pub fn own(&self) -> ReplicaId {
        self.own
    }

    /// The tag of `bytes` between this participant and `other`, whoever of the two made them. None if `other` is nobody.
    pub(crate) fn tag(&self, other: ReplicaId, bytes: &[u8]) -> Option<Tag> {
        let known = self.keys.borrow().get(&other).copied();
        let key = match known {
            Some(key) => key,
            None => *self.keys.borrow_mut().entry(other).or_insert(self.key(other)?),
        };
        let hash = blake3::keyed_hash(&key, bytes);
        let (tag, _) = hash.as_bytes().split_first_chunk().expect("a hash is longer than a tag");
        Some(Tag(*tag))
    }

    /// Whether `tag` is the one of `bytes` between this participant and `other`.
    pub(crate) fn holds(&self, other: ReplicaId, bytes: &[u8], tag: Tag) -> bool {
        // Hashes are compared in a time that does not tell where they differ.
        let padded = |tag: Tag| {
            let mut hash = [0; 32];
            hash[..tag.0.len()].copy_from_slice(&tag.0);
            blake3::Hash::from_bytes(hash)
        };
        self.tag(other, bytes).is_some_and(|expected| padded(expected) == padded(tag))
    }

    fn key(&self, other: ReplicaId) -> Option<[u8; 32]> {
        let (low, high) = (self.own.min(other), self.own.max(other));
        let mut hasher = blake3::Hasher::new_derive_key("tags of requests");
        hasher.update(&low.0.to_le_bytes()).update(&high.0.to_le_bytes());
        match &self.secret {
            Some(secret) => hasher.update(&shared_point(secret, &self.keyring.key_bytes(other)?)),
            None => hasher.update(&self.keyring.key_bytes(low)?).update(&self.keyring.key_bytes(high)?),
        };
        Some(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedKeys({})", self.own)
    }
}

/// X25519 between the Ed25519 keys of two participants: the secret scalar is the one that signs (RFC 8032 §5.1.5).
fn shared_point(secret: &SecretKey, public: &[u8; 32]) -> [u8; 32] {
    let hash: [u8; 64] = Sha512::digest(secret.0).into();
    let (scalar, _) = hash.split_first_chunk().expect("64 bytes are more than 32");
    let point = CompressedEdwardsY(*public).decompress().expect("the keyring holds points on the curve");
    point.to_montgomery().mul_clamped(*scalar).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{seeded, symbolic};

    #[test]
    fn two_participants_have_the_same_key_and_nobody_else_has_it() {
        for (signers, _) in [seeded(1, 4), symbolic(1, 4)] {
            let tag = |own: usize, other: u16, bytes: &[u8]| {
                signers[own].shared_keys().unwrap().tag(ReplicaId(other), bytes)
            };
            assert_eq!(tag(1, 3, b"requests"), tag(3, 1, b"requests"));
            assert_ne!(tag(1, 3, b"requests"), tag(1, 3, b"other"));
            assert_ne!(tag(1, 3, b"requests"), tag(1, 2, b"requests"));
            assert_ne!(tag(1, 3, b"requests"), tag(2, 3, b"requests"));
            assert_eq!(tag(1, 4, b"requests"), None);
            assert!(
                tag(1, 3, b"")
                    .is_some_and(|tag| tag.corrupted() != tag && tag.corrupted().corrupted() == tag)
            );
        }
        let (one, other) = (seeded(1, 4).0, seeded(2, 4).0);
        let tag =
            |signers: &[crate::Signer]| signers[1].shared_keys().unwrap().tag(ReplicaId(3), b"requests");
        assert_ne!(tag(&one), tag(&other));
    }
}
