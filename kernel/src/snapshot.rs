//! A state in chunks, and a digest that commits to every one of them.
//!
//! The digest is the root of a hash tree over the chunks, together with their number
//! and their bytes in all. So a single chunk can be checked when it comes, whoever
//! sends it, and the first one proves how much there is to come.

use crate::ids::Digest;
use crate::request::Operation;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// A part of a state. Its digest is computed once, when it is made; clones share the
/// bytes. An application that keeps the chunks that did not change pays only for those
/// that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    bytes: Operation,
    digest: Digest,
}

impl Hash for Chunk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Chunk {
    /// A chunk takes at most so many bytes, so that it fits into one message.
    pub const MOST_BYTES: usize = 64 << 10;

    /// A chunk of these bytes.
    pub fn new(bytes: &[u8]) -> Chunk {
        Chunk::of(Operation::new(bytes))
    }

    fn of(bytes: Operation) -> Chunk {
        let digest = hash(LEAF, &[&bytes.0]);
        Chunk { bytes, digest }
    }

    /// Cuts bytes into chunks of the largest size, the last one apart.
    pub fn cut(bytes: &[u8]) -> Vec<Chunk> {
        bytes.chunks(Chunk::MOST_BYTES).map(Chunk::new).collect()
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.0
    }

    /// Its hash.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// How a chunk is written: its bytes, or which of those written before it is.
#[derive(Serialize, Deserialize)]
enum WrittenChunk<B> {
    Bytes(B),
    Same(Digest),
}

thread_local! {
    /// What was written or read so far by [`share_chunks`], if it runs on this thread.
    static SHARED: RefCell<Option<HashMap<Digest, Chunk>>> = const { RefCell::new(None) };
}

/// Within `work`, a chunk that is serialised or deserialised for the second time is but its
/// digest. The states that a replica keeps have nearly all chunks in common: so they take
/// little more than one of them, on a disk and in memory. What was written so must be read so.
pub fn share_chunks<R>(work: impl FnOnce() -> R) -> R {
    SHARED.set(Some(HashMap::new()));
    let result = work();
    SHARED.set(None);
    result
}

impl Serialize for Chunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_known = SHARED.with_borrow_mut(|shared| {
            shared.as_mut().is_some_and(|shared| shared.insert(self.digest, self.clone()).is_some())
        });
        match is_known {
            true => WrittenChunk::Same(self.digest),
            false => WrittenChunk::Bytes(&self.bytes),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Chunk, D::Error> {
        SHARED.with_borrow_mut(|shared| match WrittenChunk::<Operation>::deserialize(deserializer)? {
            WrittenChunk::Bytes(bytes) => {
                let chunk = Chunk::of(bytes);
                if let Some(shared) = shared {
                    shared.insert(chunk.digest, chunk.clone());
                }
                Ok(chunk)
            }
            WrittenChunk::Same(digest) => {
                let known = shared.as_ref().and_then(|shared| shared.get(&digest));
                known.cloned().ok_or_else(|| D::Error::custom("a chunk that was not written before"))
            }
        })
    }
}

/// The chunks of a part of a state, as long as it does not change. They follow from that
/// part, so they make no difference between two states.
#[derive(Clone, Debug, Default)]
pub struct CachedChunks(Option<Vec<Chunk>>);

impl CachedChunks {
    /// The part has changed.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// These are the chunks, as they were just read.
    pub fn set(&mut self, chunks: Vec<Chunk>) {
        self.0 = Some(chunks);
    }

    /// The chunks, if the part has not changed since they were written.
    pub fn get(&self) -> Option<&[Chunk]> {
        self.0.as_deref()
    }

    /// The chunks, written anew by `write` if the part has changed since they were.
    pub fn get_or_write(&mut self, write: impl FnOnce() -> Vec<Chunk>) -> &[Chunk] {
        self.0.get_or_insert_with(write)
    }
}

impl PartialEq for CachedChunks {
    fn eq(&self, _: &CachedChunks) -> bool {
        true
    }
}

impl Eq for CachedChunks {}

impl Hash for CachedChunks {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// How much there is of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of all chunks together.
    pub bytes: u64,
}

/// A state as it is voted on and served: its chunks, and the hash tree over them.
#[derive(Clone, Debug)]
pub struct Snapshot {
    chunks: Vec<Chunk>,
    /// The inner nodes, from the parents of the chunks up to the top.
    levels: Vec<Vec<Digest>>,
    extent: Extent,
    digest: Digest,
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Snapshot) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Snapshot {}

impl Hash for Snapshot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.chunks.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Snapshot, D::Error> {
        Ok(Snapshot::new(Vec::deserialize(deserializer)?))
    }
}

impl Snapshot {
    /// The snapshot of these chunks.
    pub fn new(chunks: Vec<Chunk>) -> Snapshot {
        let mut levels: Vec<Vec<Digest>> = Vec::new();
        let mut below: Vec<Digest> = chunks.iter().map(|chunk| chunk.digest).collect();
        while below.len() > 1 {
            // Without a sibling, a node is its own parent.
            let join = |pair: &[Digest]| pair.get(1).map_or(pair[0], |right| parent(&pair[0], right));
            let level: Vec<Digest> = below.chunks(2).map(join).collect();
            levels.push(level.clone());
            below = level;
        }
        let bytes = chunks.iter().map(|chunk| chunk.bytes().len() as u64).sum();
        let extent = Extent { chunks: chunks.len() as u64, bytes };
        let digest = root(extent, &below.first().copied().unwrap_or(Digest::ZERO));
        Snapshot { chunks, levels, extent, digest }
    }

    /// What replicas vote on: it commits to every chunk, and to how many there are.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How much there is of it.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// All chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Every node of the tree, chunks included: its digest, and which chunks are below it.
    pub fn nodes(&self) -> impl Iterator<Item = (&Digest, Range<u64>)> {
        let chunks = self.extent.chunks;
        let leaves = (0..).zip(&self.chunks);
        let leaves = leaves.map(move |(place, chunk)| (&chunk.digest, below(place, 0, chunks)));
        let levels = (1..).zip(&self.levels);
        let inner = levels.flat_map(move |(height, level)| {
            (0..).zip(level).map(move |(place, digest)| (digest, below(place, height, chunks)))
        });
        leaves.chain(inner)
    }

    /// One chunk with the proof that it belongs to this snapshot; none if there is no such.
    pub fn prove(&self, index: u64) -> Option<ProvenChunk> {
        let chunk = self.chunks.get(usize::try_from(index).ok()?)?;
        let mut place = index as usize;
        let mut path = Vec::with_capacity(self.levels.len());
        if self.chunks.len() > 1 {
            path.extend(self.chunks.get(place ^ 1).map(|sibling| sibling.digest));
        }
        for level in &self.levels {
            place /= 2;
            path.extend(level.get(place ^ 1));
        }
        Some(ProvenChunk { extent: self.extent, index, bytes: chunk.bytes.clone(), path })
    }

    /// All of it as bytes, for whoever sends it whole.
    pub fn to_bytes(&self) -> Vec<u8> {
        let chunks: Vec<&Operation> = self.chunks.iter().map(|chunk| &chunk.bytes).collect();
        postcard::to_stdvec(&chunks).expect("chunks are plain data")
    }

    /// The snapshot that was written so; none if these are not such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Snapshot> {
        let chunks: Vec<Operation> = postcard::from_bytes(bytes).ok()?;
        Some(Snapshot::new(chunks.into_iter().map(Chunk::of).collect()))
    }
}

/// A chunk on its way, with the proof that it belongs to a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProvenChunk {
    /// How much there is of the snapshot.
    pub extent: Extent,
    /// Which chunk it is, counted from 0.
    pub index: u64,
    /// Its bytes.
    pub bytes: Operation,
    /// The siblings on the way from the chunk to the top of the tree, lowest first.
    pub path: Vec<Digest>,
}

impl ProvenChunk {
    /// The chunk, if it belongs to the snapshot of this digest, at this place, and if
    /// the snapshot's extent is as it says.
    pub fn verify(&self, digest: &Digest) -> Option<Chunk> {
        if self.index >= self.extent.chunks || self.bytes.0.len() as u64 > self.extent.bytes {
            return None;
        }
        let chunk = self.unchecked();
        let (mut node, mut place, mut width) = (chunk.digest, self.index, self.extent.chunks);
        let mut path = self.path.iter();
        while width > 1 {
            if place ^ 1 < width {
                let sibling = path.next()?;
                node = if place % 2 == 1 { parent(sibling, &node) } else { parent(&node, sibling) };
            }
            (place, width) = (place / 2, width.div_ceil(2));
        }
        (path.next().is_none() && root(self.extent, &node) == *digest).then_some(chunk)
    }

    /// The nodes beside the way from the chunk to the top, which together cover all other
    /// chunks: which chunks are below each, and its digest. They are proven as the chunk is.
    pub fn siblings(&self) -> impl Iterator<Item = (Range<u64>, &Digest)> {
        let chunks = self.extent.chunks;
        let mut path = self.path.iter();
        let heights = (0..u64::BITS).take_while(move |height| chunks.div_ceil(1 << height) > 1);
        heights.filter_map(move |height| {
            let sibling = (self.index >> height) ^ 1;
            (sibling < chunks.div_ceil(1 << height))
                .then(|| path.next())
                .flatten()
                .map(|digest| (below(sibling, height, chunks), digest))
        })
    }

    /// The chunk as it came.
    pub fn unchecked(&self) -> Chunk {
        Chunk::of(self.bytes.clone())
    }
}

/// The chunks below a node at this place of its level, among so many in all.
fn below(place: u64, height: u32, chunks: u64) -> Range<u64> {
    place << height..((place + 1) << height).min(chunks)
}

// One byte in front tells apart what is hashed.
const LEAF: u8 = 0;
const PARENT: u8 = 1;
const ROOT: u8 = 2;

fn hash(kind: u8, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]);
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

fn parent(left: &Digest, right: &Digest) -> Digest {
    hash(PARENT, &[&left.0, &right.0])
}

fn root(extent: Extent, top: &Digest) -> Digest {
    hash(ROOT, &[&extent.chunks.to_le_bytes(), &extent.bytes.to_le_bytes(), &top.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(chunks: u8) -> Snapshot {
        Snapshot::new((0..chunks).map(|i| Chunk::new(&vec![i; usize::from(i) + 1])).collect())
    }

    #[test]
    fn every_chunk_of_every_size_is_proven_and_nothing_else_is() {
        for size in 1..=17 {
            let (whole, other) = (snapshot(size), snapshot(size + 1));
            for index in 0..u64::from(size) {
                let proven = whole.prove(index).unwrap();
                assert_eq!(proven.verify(&whole.digest()).as_ref(), whole.chunks().get(index as usize));
                assert_eq!(proven.verify(&other.digest()), None);
                let not_proven = |change: fn(&mut ProvenChunk)| {
                    let mut changed = proven.clone();
                    change(&mut changed);
                    assert_eq!(changed.verify(&whole.digest()), None, "{size} chunks, number {index}");
                };
                not_proven(|chunk| chunk.bytes = Operation::new(b"another"));
                not_proven(|chunk| chunk.bytes = Operation::new(&chunk.bytes.0[1..]));
                not_proven(|chunk| chunk.index += 1);
                not_proven(|chunk| chunk.extent.chunks += 1);
                not_proven(|chunk| chunk.extent.chunks = u64::MAX);
                not_proven(|chunk| chunk.extent.bytes += 1);
                not_proven(|chunk| chunk.path.push(Digest::ZERO));
                if size > 1 {
                    not_proven(|chunk| chunk.path[0] = Digest::ZERO);
                    not_proven(|chunk| chunk.path.truncate(chunk.path.len() - 1));
                }
            }
            assert_eq!(whole.prove(u64::from(size)), None);
        }
    }

    #[test]
    fn a_parent_cannot_pass_for_a_chunk() {
        let whole = snapshot(2);
        let pair = [whole.chunks[0].digest.0, whole.chunks[1].digest.0].concat();
        assert_ne!(Snapshot::new(vec![Chunk::new(&pair)]).digest(), whole.digest());
    }

    #[test]
    fn bytes_are_cut_and_put_together_again() {
        let bytes: Vec<u8> = (0..Chunk::MOST_BYTES * 2 + 5).map(|i| i as u8).collect();
        let chunks = Chunk::cut(&bytes);
        assert_eq!(chunks.iter().map(|chunk| chunk.bytes().len()).collect::<Vec<_>>(), [65536, 65536, 5]);
        assert_eq!(chunks.iter().flat_map(Chunk::bytes).copied().collect::<Vec<u8>>(), bytes);
        let whole = Snapshot::new(chunks);
        assert_eq!(whole.extent(), Extent { chunks: 3, bytes: bytes.len() as u64 });
        assert_eq!(Snapshot::from_bytes(&whole.to_bytes()), Some(whole.clone()));
        assert_eq!(Snapshot::from_bytes(&whole.to_bytes()[1..]), None);
        assert!(Chunk::cut(b"").is_empty());
    }
}
