//! What clients ask for, and how it travels: requests in bundles with one signature or
//! authenticator, bundles in batches.

use crate::cluster::Cluster;
use crate::ids::{ClusterId, Digest, ReplicaId, SessionId};
use crate::keys::{Claim, Signature, Signer};
use crate::tags::{SharedKeys, Tag};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::Arc;

/// Bytes of requests that are hashed together.
const HASHED_AT_ONCE_BYTES: usize = 16 << 10;

/// The bytes of one operation, in the application's own encoding and opaque to
/// consensus. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation(pub Arc<[u8]>);

/// The bytes of an operation's result, in the application's own encoding and opaque
/// to consensus. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output(pub Arc<[u8]>);

/// One operation of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub session: SessionId,
    /// Rises by one with each request of the session.
    pub counter: u64,
    /// What is asked.
    pub operation: Operation,
}

/// What shows whose requests a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authenticator {
    /// A signature, which holds for everybody.
    Signature(Signature),
    /// A tag for each replica, in the order of their ids. Each holds for that replica alone, and nobody else can tell
    /// whether it does (`pbft-mac-requests`).
    Tags(Vec<Tag>),
}

/// Requests that one gateway or client hands over together, under one signature or authenticator of
/// its own. A bundle is ordered whole, so that one authenticates
/// every request in it to every replica (ADR 0002).
///
/// Immutable, so that its digest is computed once, when it is signed or decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Unhashed")]
pub struct Bundle {
    gateway: ReplicaId,
    requests: Vec<Request>,
    authenticator: Authenticator,
    #[serde(skip_serializing)]
    digest: Digest,
}

/// A bundle as it comes off the wire.
#[derive(Deserialize)]
struct Unhashed {
    gateway: ReplicaId,
    requests: Vec<Request>,
    authenticator: Authenticator,
}

impl From<Unhashed> for Bundle {
    fn from(unhashed: Unhashed) -> Bundle {
        let Unhashed { gateway, requests, authenticator } = unhashed;
        let digest = digest_of(gateway, &requests);
        Bundle { gateway, requests, authenticator, digest }
    }
}

/// Replicas remember the last request of so many sessions of a gateway or client, those
/// with the highest numbers. A request of any other session has no effect once there are
/// as many, as it may be a replay.
pub const SESSIONS_KEPT: usize = 65_536;

/// A bundle takes at most so many bytes on the wire, and so does every message
/// that carries one batch: a proposal must never be too large to be sent.
pub const MAX_BUNDLE_BYTES: usize = 24 << 20;
/// The bundles of one batch together.
pub const MAX_BATCH_BYTES: usize = 48 << 20;
/// Upper bounds of what the encoding adds to a request and to a bundle.
const REQUEST_OVERHEAD_BYTES: usize = 40;
const BUNDLE_OVERHEAD_BYTES: usize = 90;

/// What one slot orders. An empty batch is the null request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// In the order of execution.
    pub bundles: Vec<Arc<Bundle>>,
}

impl Bundle {
    /// Signs `requests` as `signer`'s, or makes a tag for each replica where requests have tags.
    ///
    /// # Panics
    ///
    /// If requests have tags and the signer was not told whom it shares keys with.
    pub fn sign(cluster: &Cluster, signer: &Signer, requests: Vec<Request>) -> Bundle {
        let gateway = signer.id();
        let digest = digest_of(gateway, &requests);
        let statement = statement(&cluster.id, &digest);
        let authenticator = if cluster.requests_have_tags() {
            let keys = signer.shared_keys().expect("who makes tags shares keys with all replicas");
            let tag = |id| keys.tag(id, &statement).expect("it shares a key with each of them");
            Authenticator::Tags(cluster.replicas().map(tag).collect())
        } else {
            Authenticator::Signature(signer.sign(&statement))
        };
        Bundle { gateway, requests, authenticator, digest }
    }

    /// The same requests as if `gateway` had made them, with the signature or tags of `signer`: what a faulty replica invents.
    #[must_use]
    pub fn as_if_of(&self, gateway: ReplicaId, cluster: &Cluster, signer: &Signer) -> Bundle {
        let renamed = |request: &Request| {
            let session = SessionId { gateway, ..request.session };
            Request { session, ..request.clone() }
        };
        let requests: Vec<Request> = self.requests.iter().map(renamed).collect();
        let digest = digest_of(gateway, &requests);
        let Bundle { authenticator, .. } = Bundle::sign(cluster, signer, requests.clone());
        Bundle { gateway, requests, authenticator, digest }
    }

    /// The same bundle with tags that hold for `favoured` alone; unchanged if it is signed.
    #[must_use]
    pub fn favouring(&self, favoured: ReplicaId) -> Bundle {
        let authenticator = match &self.authenticator {
            Authenticator::Signature(signature) => Authenticator::Signature(*signature),
            Authenticator::Tags(tags) => {
                let changed = |(id, tag): (usize, &Tag)| {
                    if id == usize::from(favoured.0) { *tag } else { tag.corrupted() }
                };
                Authenticator::Tags(tags.iter().enumerate().map(changed).collect())
            }
        };
        Bundle { authenticator, requests: self.requests.clone(), ..*self }
    }

    /// Who made signature or tags; every request's session must be one of its own.
    pub fn gateway(&self) -> ReplicaId {
        self.gateway
    }

    /// What is asked for, in order; at least one request if well formed.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The hash of gateway and requests, which is what is signed or tagged.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The signature to be checked. None if it has tags instead, which [`crate::Admission`] checks for its receiver.
    pub fn claim(&self, cluster: &Cluster) -> Option<Claim> {
        let Authenticator::Signature(signature) = self.authenticator else { return None };
        Some(Claim { author: self.gateway, bytes: statement(&cluster.id, &self.digest), signature })
    }

    /// Whether the tag for the receiver holds whose `keys` these are. A signed bundle has none.
    pub(crate) fn holds_for(&self, keys: &SharedKeys, cluster: &Cluster) -> bool {
        let Authenticator::Tags(tags) = &self.authenticator else { return false };
        let statement = statement(&cluster.id, &self.digest);
        tags.get(usize::from(keys.own().0)).is_some_and(|tag| keys.holds(self.gateway, &statement, *tag))
    }

    /// Whether the bundle is well formed: signed or with as many tags as there are replicas, whichever is
    /// the cluster's way; not empty, not too large, and every session the gateway's own.
    pub fn is_well_formed(&self, cluster: &Cluster) -> bool {
        let is_authentic_as_others_are = match &self.authenticator {
            Authenticator::Signature(_) => !cluster.requests_have_tags(),
            Authenticator::Tags(tags) => cluster.requests_have_tags() && tags.len() == usize::from(cluster.n),
        };
        is_authentic_as_others_are
            && self.wire_bytes() <= MAX_BUNDLE_BYTES
            && !self.requests.is_empty()
            && self.requests.iter().all(|r| r.session.gateway == self.gateway)
    }

    /// Bytes on the wire, at most.
    fn wire_bytes(&self) -> usize {
        let tags = match &self.authenticator {
            Authenticator::Signature(_) => 0,
            Authenticator::Tags(tags) => tags.len() * size_of::<Tag>(),
        };
        self.payload_bytes() + self.requests.len() * REQUEST_OVERHEAD_BYTES + BUNDLE_OVERHEAD_BYTES + tags
    }

    /// Bytes of all operations.
    pub fn payload_bytes(&self) -> usize {
        self.requests.iter().map(|r| r.operation.0.len()).sum()
    }
}

impl Batch {
    /// The hash over the bundles' digests: the value that replicas vote on.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("batch");
        for bundle in &self.bundles {
            hasher.update(&bundle.digest.0);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// Whether every bundle is well formed, and all are not too much together.
    pub fn is_well_formed(&self, cluster: &Cluster) -> bool {
        let bytes: usize = self.bundles.iter().map(|bundle| bundle.wire_bytes()).sum();
        bytes <= MAX_BATCH_BYTES && self.bundles.iter().all(|bundle| bundle.is_well_formed(cluster))
    }

    /// The signatures that make every request authentic; none if it is not well formed. Where requests have tags there
    /// are no signatures, see [`crate::Wire::bundles`].
    pub fn claims(&self, cluster: &Cluster) -> Option<Vec<Claim>> {
        self.is_well_formed(cluster)
            .then(|| self.bundles.iter().filter_map(|bundle| bundle.claim(cluster)).collect())
    }

    /// All bundles but the last, none if there is none: what an equivocating
    /// commander proposes to others instead. It is authentic as well, and shorter,
    /// so that neither is the alternative to the other.
    pub fn shortened(&self) -> Option<Batch> {
        let (_, kept) = self.bundles.split_last()?;
        Some(Batch { bundles: kept.to_vec() })
    }

    /// Number of requests in all bundles.
    pub fn requests(&self) -> usize {
        self.bundles.iter().map(|bundle| bundle.requests.len()).sum()
    }

    /// Bytes of all operations.
    pub fn payload_bytes(&self) -> usize {
        self.bundles.iter().map(|bundle| bundle.payload_bytes()).sum()
    }
}

fn digest_of(gateway: ReplicaId, requests: &[Request]) -> Digest {
    let hasher = blake3::Hasher::new_derive_key("bundle");
    // Long updates are hashed several blocks at a time.
    let mut hasher = BufWriter::with_capacity(HASHED_AT_ONCE_BYTES, hasher);
    let mut add = |bytes: &[u8]| hasher.write_all(bytes).expect("a hasher takes everything");
    add(&gateway.0.to_le_bytes());
    for request in requests {
        add(&request.session.gateway.0.to_le_bytes());
        add(&request.session.number.to_le_bytes());
        add(&request.counter.to_le_bytes());
        add(&(request.operation.0.len() as u64).to_le_bytes());
        add(&request.operation.0);
    }
    let hasher = hasher.into_inner().expect("a hasher takes everything");
    Digest(*hasher.finalize().as_bytes())
}

fn statement(cluster: &ClusterId, digest: &Digest) -> Vec<u8> {
    [b"requests/1".as_slice(), &cluster.0, &digest.0].concat()
}

/// Byte strings of the application: raw in the binary encoding; for people
/// `text:…`, or `hex:…` where the bytes are not UTF-8.
macro_rules! application_bytes {
    ($($name:ident),*) => {$(
        impl $name {
            /// A copy of these bytes.
            pub fn new(bytes: &[u8]) -> $name {
                $name(bytes.into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match std::str::from_utf8(&self.0) {
                    Ok(text) if text.len() <= 40 => write!(f, "{text:?}"),
                    _ => write!(f, "{} bytes", self.0.len()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if !serializer.is_human_readable() {
                    return serializer.serialize_bytes(&self.0);
                }
                match std::str::from_utf8(&self.0) {
                    Ok(text) => serializer.collect_str(&format_args!("text:{text}")),
                    Err(_) => serializer.collect_str(&format_args!("hex:{}", hex::encode(&self.0))),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    if let Some(text) = text.strip_prefix("text:") {
                        return Ok($name::new(text.as_bytes()));
                    }
                    let digits = text
                        .strip_prefix("hex:")
                        .ok_or_else(|| D::Error::custom("it must start with text: or hex:"))?;
                    return hex::decode(digits).map(|b| $name(b.into())).map_err(D::Error::custom);
                }
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("bytes")
                    }
                    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<$name, E> {
                        Ok($name::new(bytes))
                    }
                }
                deserializer.deserialize_bytes(Visitor)
            }
        }
    )*};
}
application_bytes!(Operation, Output);
