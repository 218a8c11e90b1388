//! Identifiers: small, ordered, hashable, readable in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A participant: a replica, `0..n`, or where requests and replies are concerned a
/// client with a key of its own, `n..n + clients`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(pub u16);

/// A view: a period with one replica as commander. Numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct View(pub u64);

/// A sequence number. The first decided slot is 1; 0 means "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

/// A client session: one request outstanding at a time, each executed at most
/// once. Sessions belong to a gateway, which signs for them (ADR 0002).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// Whose key authenticates the session's requests: a node's or a client's.
    pub gateway: ReplicaId,
    /// Distinct among the sessions that this gateway ever opened.
    pub number: u64,
}

impl View {
    /// The view after this one.
    pub fn next(self) -> View {
        View(self.0 + 1)
    }
}

impl Seq {
    /// The sequence number after this one.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl Micros {
    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Micros {
        Micros(millis * 1000)
    }
}

macro_rules! displayed_as_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
displayed_as_number!(ReplicaId, View, Seq, Micros);

/// Fixed-length byte strings: raw in the binary encoding, hexadecimal for people.
macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $length:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", hex::encode(&self.0[..6]))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::NotHex;

            fn from_str(text: &str) -> Result<$name, $crate::ids::NotHex> {
                $crate::ids::parse_hex(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::ids::serialize_bytes(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::ids::deserialize_bytes(deserializer).map($name)
            }
        }
    };
}
pub(crate) use byte_string;

byte_string!(
    /// A blake3 hash.
    Digest,
    32
);
byte_string!(
    /// Tells clusters apart: a message signed for one is worthless in another.
    ClusterId,
    16
);

impl Digest {
    /// The hash of nothing at all; the start of every chain.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The hash of this digest followed by another: one link of a chain.
    pub fn chain(&self, next: &Digest) -> Digest {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&self.0);
        both[32..].copy_from_slice(&next.0);
        Digest::of(&both)
    }
}

impl ClusterId {
    /// An id drawn from a name and a seed: the same for the same arguments.
    pub fn derive(name: &str, seed: u64) -> ClusterId {
        let mut hasher = blake3::Hasher::new_derive_key("cluster id");
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        ClusterId(id)
    }
}

/// A text that is not the hexadecimal form of a byte string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {bytes} bytes of hex: {reason}")]
pub struct NotHex {
    text: String,
    bytes: usize,
    reason: String,
}

pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(NotHex { text: text.to_owned(), bytes: N, reason: error.to_string() }),
    }
}

pub(crate) fn serialize_bytes<const N: usize, S: Serializer>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&hex::encode(bytes))
    } else {
        // A tuple, so that postcard writes no length: the length is fixed.
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in bytes {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

pub(crate) fn deserialize_bytes<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    if deserializer.is_human_readable() {
        parse_hex(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    } else {
        struct Visitor<const N: usize>;
        impl<'de, const N: usize> serde::de::Visitor<'de> for Visitor<N> {
            type Value = [u8; N];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut bytes = [0; N];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(i, &self))?;
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_tuple(N, Visitor)
    }
}
