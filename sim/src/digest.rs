//! The digest of a run: of every delivery, in order.

use kernel::Digest;
use serde::Serialize;

/// Hashes small records of fixed size as they come, many at once.
#[derive(Clone, Debug)]
pub(crate) struct RunDigest {
    hasher: blake3::Hasher,
    records: Vec<u8>,
    /// For encoding, so that it is allocated once.
    scratch: Vec<u8>,
}

/// Records are hashed in portions of so many bytes.
const PORTION_BYTES: usize = 16 << 10;

impl RunDigest {
    pub(crate) fn new() -> RunDigest {
        let hasher = blake3::Hasher::new_derive_key("run");
        RunDigest { hasher, records: Vec::with_capacity(PORTION_BYTES + 64), scratch: Vec::new() }
    }

    /// A short hash of what is sent, and its size.
    pub(crate) fn tag(&mut self, content: &impl Serialize) -> (u64, usize) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let bytes = postcard::to_extend(content, bytes).expect("messages are plain data");
        let hash = blake3::hash(&bytes);
        let tag = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight of 32 bytes"));
        let size = bytes.len();
        self.scratch = bytes;
        (tag, size)
    }

    /// Something with this tag got from one node to another.
    pub(crate) fn note(&mut self, at_ns: u64, from: u16, to: u16, tag: u64) {
        let mut record = [0; 20];
        record[..8].copy_from_slice(&at_ns.to_le_bytes());
        record[8..10].copy_from_slice(&from.to_le_bytes());
        record[10..12].copy_from_slice(&to.to_le_bytes());
        record[12..].copy_from_slice(&tag.to_le_bytes());
        self.records.extend_from_slice(&record);
        if self.records.len() >= PORTION_BYTES {
            self.hasher.update(&self.records);
            self.records.clear();
        }
    }

    pub(crate) fn value(&self) -> Digest {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.records);
        Digest(*hasher.finalize().as_bytes())
    }
}
