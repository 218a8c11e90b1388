//! A sorted map whose chunks follow what changed.
//!
//! The entries are spread over buckets by the hash of their key, in the order of linear
//! hashing (Litwin, VLDB 1980): there is a bucket for every 64 entries or 8 KiB, and one
//! entry more or less splits or joins one bucket at most. Which entry is in which bucket
//! depends on the entries alone, not on how they came, so equal tables have equal chunks;
//! and an entry that changes makes one bucket to be written anew. A large entry has
//! chunks of its own, so that those beside it are not written anew with it.

use kernel::{CachedChunks, Chunk, Digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Entries for each bucket, on average, if they are small.
const ENTRIES_PER_BUCKET: usize = 64;
/// Bytes of its entries, on average, if they are not.
const BYTES_PER_BUCKET: usize = 8 << 10;
/// From this size on, an entry has chunks of its own.
const LARGE_BYTES: usize = 4 << 10;
const LENGTH_BYTES: usize = size_of::<u64>();

/// What can belong to a key.
pub(crate) trait Value: Clone + Serialize + DeserializeOwned {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

impl Value for Arc<str> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Value for u64 {
    fn bytes(&self) -> usize {
        size_of::<u64>()
    }
}

/// Keys are text; `V` is what belongs to each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table<V> {
    /// Short keys lie in the nodes of the map: to compare them, no pointer is followed.
    entries: BTreeMap<SmolStr, Entry<V>>,
    buckets: Vec<Bucket>,
    /// Bytes of all small entries.
    small_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry<V> {
    /// Of the key.
    hash: u64,
    value: V,
    /// Of a large entry.
    chunks: CachedChunks,
}

/// What an entry takes.
struct Bytes {
    is_large: bool,
    /// What it adds to those of the small entries.
    small: usize,
}

impl Bytes {
    fn of(key: &str, value: &impl Value) -> Bytes {
        let bytes = key.len() + value.bytes();
        let is_large = bytes >= LARGE_BYTES;
        Bytes { is_large, small: if is_large { 0 } else { bytes } }
    }
}

/// The keys of one bucket, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Bucket {
    small: Vec<SmolStr>,
    /// Of the small entries.
    chunks: CachedChunks,
    large: Vec<SmolStr>,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { entries: BTreeMap::new(), buckets: vec![Bucket::default()], small_bytes: 0 }
    }
}

fn hash(key: &str) -> u64 {
    let hash = blake3::hash(key.as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The bucket of the keys with this hash among so many.
fn bucket_of(hash: u64, buckets: usize) -> usize {
    let all = (buckets as u64).next_power_of_two();
    let place = hash & (all - 1);
    // The upper half is there only as far as it was split already.
    let place = if place < buckets as u64 { place } else { place & (all / 2 - 1) };
    place as usize
}

impl<V: Value> Table<V> {
    /// What belongs to a key.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The entries whose keys begin with `prefix` and come after `after`, in order.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a SmolStr, &'a V)> {
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let range = self.entries.range::<str, _>((from, Bound::Unbounded));
        range.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, entry)| (key, &entry.value))
    }

    /// Puts an entry in. Returns what belonged to the key before.
    pub(crate) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        let bytes = Bytes::of(key, &value);
        let present = self.entries.get_mut(key).map(|entry| (Bytes::of(key, &entry.value), entry));
        let before = match present {
            Some((present, entry)) if present.is_large == bytes.is_large => {
                self.small_bytes -= present.small;
                entry.chunks.clear();
                if !bytes.is_large {
                    let place = bucket_of(entry.hash, self.buckets.len());
                    self.buckets[place].chunks.clear();
                }
                Some(std::mem::replace(&mut entry.value, value))
            }
            _ => {
                let before = self.take(key);
                let (key, hash) = (SmolStr::new(key), hash(key));
                let place = bucket_of(hash, self.buckets.len());
                self.buckets[place].insert(key.clone(), bytes.is_large);
                self.entries.insert(key, Entry { hash, value, chunks: CachedChunks::default() });
                before
            }
        };
        self.small_bytes += bytes.small;
        self.fit();
        before
    }

    /// Takes an entry out. Returns what belonged to the key.
    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        let value = self.take(key)?;
        self.fit();
        Some(value)
    }

    fn take(&mut self, key: &str) -> Option<V> {
        let Entry { hash, value, .. } = self.entries.remove(key)?;
        let bytes = Bytes::of(key, &value);
        let place = bucket_of(hash, self.buckets.len());
        self.buckets[place].remove(key, bytes.is_large);
        self.small_bytes -= bytes.small;
        Some(value)
    }

    fn buckets_wanted(&self) -> usize {
        let by_bytes = self.small_bytes.div_ceil(BYTES_PER_BUCKET);
        self.entries.len().div_ceil(ENTRIES_PER_BUCKET).max(by_bytes).max(1)
    }

    /// As many buckets as there should be.
    fn fit(&mut self) {
        let wanted = self.buckets_wanted();
        while self.buckets.len() < wanted {
            self.split();
        }
        while self.buckets.len() > wanted {
            self.join();
        }
    }

    /// One bucket more: it takes over about half of another one's keys.
    fn split(&mut self) {
        let last = self.buckets.len();
        let sibling = &mut self.buckets[sibling_of(last)];
        sibling.chunks.clear();
        let entries = &self.entries;
        let is_moved =
            |key: &mut SmolStr| entries.get(key).is_some_and(|entry| bucket_of(entry.hash, last + 1) == last);
        let small = sibling.small.extract_if(.., is_moved).collect();
        let large = sibling.large.extract_if(.., is_moved).collect();
        self.buckets.push(Bucket { small, large, chunks: CachedChunks::default() });
    }

    /// The last bucket goes back to where it came from.
    fn join(&mut self) {
        let Some(Bucket { small, large, .. }) = self.buckets.pop() else { return };
        let place = sibling_of(self.buckets.len());
        let sibling = &mut self.buckets[place];
        small.into_iter().for_each(|key| sibling.insert(key, false));
        large.into_iter().for_each(|key| sibling.insert(key, true));
        sibling.chunks.clear();
    }

    /// All entries in chunks; only buckets and large entries that have changed are written
    /// anew.
    pub(crate) fn snapshot(&mut self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for Bucket { small, chunks: cached, large } in &mut self.buckets {
            let entries = &self.entries;
            chunks.extend_from_slice(cached.get_or_write(|| write(small, entries)));
            for key in large {
                if let Some(Entry { value, chunks: cached, .. }) = self.entries.get_mut(key) {
                    chunks.extend_from_slice(cached.get_or_write(|| run(&[(&*key, &*value)])));
                }
            }
        }
        chunks
    }

    /// The table that these chunks hold; none if they hold none. What is the same in
    /// `previous` is taken from there.
    pub(crate) fn restore(chunks: &[Chunk], previous: Option<&Table<V>>) -> Option<Table<V>> {
        if chunks.is_empty() {
            return Some(Table::default());
        }
        let known = previous.map(Table::runs).unwrap_or_default();
        let (mut runs, mut rest) = (Vec::new(), chunks);
        while let Some(first) = rest.first() {
            let run = match known.get(first.digest()).filter(|run| run.begins(rest)) {
                Some(run) => run.clone(),
                None => Run::read(rest)?,
            };
            rest = &rest[run.chunks.len()..];
            runs.push(run);
        }
        Table::of(runs)
    }

    /// What is written of this table, by the first chunk.
    fn runs(&self) -> HashMap<Digest, Run<V>> {
        let mut runs = HashMap::new();
        let mut add = |keys: &[SmolStr], chunks: Option<&[Chunk]>| {
            let Some(chunks) = chunks.filter(|chunks| !chunks.is_empty()) else { return };
            let entry = |key: &SmolStr| Some((key.clone(), self.entries.get(key)?.value.clone()));
            let entries = keys.iter().filter_map(entry).collect();
            runs.insert(*chunks[0].digest(), Run { entries, chunks: chunks.to_vec() });
        };
        for bucket in &self.buckets {
            add(&bucket.small, bucket.chunks.get());
            for key in &bucket.large {
                let entry = self.entries.get(key);
                add(std::slice::from_ref(key), entry.and_then(|entry| entry.chunks.get()));
            }
        }
        runs
    }

    /// The table of these entries; none if two have the same key.
    fn of(runs: Vec<Run<V>>) -> Option<Table<V>> {
        let (mut entries, mut small_bytes) = (BTreeMap::new(), 0);
        for (key, value) in runs.iter().flat_map(|run| &run.entries) {
            small_bytes += Bytes::of(key, value).small;
            let entry = Entry { hash: hash(key), value: value.clone(), chunks: CachedChunks::default() };
            if entries.insert(key.clone(), entry).is_some() {
                return None;
            }
        }
        let mut table = Table { buckets: Vec::new(), entries, small_bytes };
        table.buckets = vec![Bucket::default(); table.buckets_wanted()];
        let count = table.buckets.len();
        for (key, Entry { hash, value, .. }) in &table.entries {
            let bucket = &mut table.buckets[bucket_of(*hash, count)];
            // They come in order.
            bucket.keys(Bytes::of(key, value).is_large).push(key.clone());
        }
        table.keep_chunks(runs);
        Some(table)
    }

    /// What was read is what would be written, if it is in the same order.
    fn keep_chunks(&mut self, runs: Vec<Run<V>>) {
        let mut runs = runs.into_iter();
        let mut chunks_of = |keys: &[SmolStr]| {
            let run = runs.next()?;
            keys.iter().eq(run.entries.iter().map(|(key, _)| key)).then_some(run.chunks)
        };
        for bucket in &mut self.buckets {
            if let Some(chunks) = chunks_of(&bucket.small) {
                bucket.chunks.set(chunks);
            }
            for key in &bucket.large {
                if let (Some(chunks), Some(entry)) =
                    (chunks_of(std::slice::from_ref(key)), self.entries.get_mut(key))
                {
                    entry.chunks.set(chunks);
                }
            }
        }
    }
}

/// Some entries, and the chunks that they are written in.
#[derive(Clone)]
struct Run<V> {
    entries: Vec<(SmolStr, V)>,
    chunks: Vec<Chunk>,
}

impl<V: Value> Run<V> {
    /// Whether these chunks begin with those of this run.
    fn begins(&self, chunks: &[Chunk]) -> bool {
        let digests = self.chunks.iter().map(Chunk::digest);
        chunks.len() >= self.chunks.len()
            && digests.eq(chunks.iter().take(self.chunks.len()).map(Chunk::digest))
    }

    /// The run that these chunks begin with; none if they do not.
    fn read(chunks: &[Chunk]) -> Option<Run<V>> {
        let (length, _) = chunks.first()?.bytes().split_first_chunk::<LENGTH_BYTES>()?;
        let bytes = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(LENGTH_BYTES)?;
        let chunks = chunks.get(..bytes.div_ceil(Chunk::MOST_BYTES))?;
        let joined: Cow<'_, [u8]> = match chunks {
            [one] => one.bytes().into(),
            several => several.iter().flat_map(Chunk::bytes).copied().collect(),
        };
        let (entries, rest) = postcard::take_from_bytes(joined.get(LENGTH_BYTES..bytes)?).ok()?;
        (rest.is_empty() && joined.len() == bytes).then(|| Run { entries, chunks: chunks.to_vec() })
    }
}

/// The bucket that the one at this place, which is not the first, is split from.
fn sibling_of(place: usize) -> usize {
    place - (1 << place.ilog2())
}

fn write<V: Serialize>(keys: &[SmolStr], entries: &BTreeMap<SmolStr, Entry<V>>) -> Vec<Chunk> {
    let found = keys.iter().filter_map(|key| entries.get_key_value(key));
    run(&found.map(|(key, entry)| (key, &entry.value)).collect::<Vec<_>>())
}

/// Some entries in as few chunks as possible, their length in front.
fn run<V: Serialize>(entries: &[(&SmolStr, &V)]) -> Vec<Chunk> {
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes = postcard::to_extend(entries, bytes).expect("entries are plain data");
    let length = (bytes.len() - LENGTH_BYTES) as u64;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Chunk::cut(&bytes)
}

impl Bucket {
    /// The keys of one list, of which an entry changes.
    fn keys(&mut self, is_large: bool) -> &mut Vec<SmolStr> {
        if is_large {
            return &mut self.large;
        }
        self.chunks.clear();
        &mut self.small
    }

    fn insert(&mut self, key: SmolStr, is_large: bool) {
        let keys = self.keys(is_large);
        if let Err(place) = keys.binary_search(&key) {
            keys.insert(place, key);
        }
    }

    fn remove(&mut self, key: &str, is_large: bool) {
        let keys = self.keys(is_large);
        if let Ok(place) = keys.binary_search_by(|other| (**other).cmp(key)) {
            keys.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(keys: impl Iterator<Item = u64>) -> Table<u64> {
        let mut table = Table::default();
        for key in keys {
            table.insert(&format!("key {key}"), key);
        }
        table
    }

    #[test]
    fn the_chunks_depend_on_the_entries_alone() {
        let mut upwards = filled(0..1_000);
        let mut downwards = filled((0..1_500).rev());
        for key in 1_000..1_500 {
            downwards.remove(&format!("key {key}"));
        }
        assert_eq!(upwards, downwards);
        let chunks = upwards.snapshot();
        assert_eq!(chunks, downwards.snapshot());
        assert_eq!(chunks.len(), 16, "a bucket for each 64");
        assert_eq!(Table::restore(&chunks, None), Some(upwards));
    }

    #[test]
    fn an_entry_that_changes_changes_one_chunk() {
        let mut table = filled(0..10_000);
        let before = table.snapshot();
        table.insert("key 77", 1);
        let after = table.snapshot();
        assert_eq!(before.len(), after.len());
        assert_eq!(before.iter().zip(&after).filter(|(old, new)| old != new).count(), 1);
        // One more may split a bucket: two change, at most one is added.
        table.insert("another", 1);
        let more = table.snapshot();
        let kept = more.iter().filter(|chunk| after.contains(chunk)).count();
        assert!(kept >= after.len() - 2 && more.len() <= after.len() + 1, "{kept} of {}", after.len());
    }

    #[test]
    fn large_values_take_several_chunks() {
        let mut table = Table::<Arc<str>>::default();
        for key in ["a", "b", "c"] {
            table.insert(key, key.repeat(Chunk::MOST_BYTES).into());
        }
        let chunks = table.snapshot();
        // Two each, and the bucket's, which has no small entries.
        assert_eq!(chunks.len(), 7);
        assert_eq!(Table::restore(&chunks, None), Some(table));
        assert_eq!(Table::<Arc<str>>::restore(&chunks[..6], None), None);
        assert_eq!(Table::<Arc<str>>::restore(&chunks[2..], None), None);
    }

    #[test]
    fn a_large_entry_that_changes_leaves_those_beside_it_as_they_are() {
        let mut table = Table::<Arc<str>>::default();
        for key in 0..60 {
            table.insert(&format!("key {key}"), "x".repeat(50_000).into());
        }
        let before = table.snapshot();
        assert_eq!((table.buckets.len(), before.len()), (1, 61));
        table.insert("key 7", "y".repeat(50_000).into());
        let after = table.snapshot();
        let shared =
            before.iter().filter(|chunk| after.iter().any(|c| c.bytes().as_ptr() == chunk.bytes().as_ptr()));
        assert_eq!(shared.count(), 60, "the others are not even copied");
        // Small ones of a kilobyte are few in a bucket.
        for key in 0..800 {
            table.insert(&format!("small {key}"), "z".repeat(1_015).into());
        }
        assert_eq!(table.buckets.len(), 100);
    }

    #[test]
    fn entries_are_listed_in_order_by_prefix() {
        let table = filled([30, 3, 1, 31, 4, 300].into_iter());
        let keys =
            |prefix, after| -> Vec<u64> { table.with_prefix(prefix, after).map(|(_, v)| *v).collect() };
        assert_eq!(keys("key 3", None), [3, 30, 300, 31]);
        assert_eq!(keys("key 3", Some("key 30")), [300, 31]);
        assert_eq!(keys("key 3", Some("a")), [3, 30, 300, 31]);
        assert_eq!(keys("", None).len(), 6);
        assert_eq!(keys("nothing", None), [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_map_does(steps in proptest::collection::vec((0..400u32, 0..4usize), 0..2_000)) {
            let (mut table, mut model) = (Table::<Arc<str>>::default(), BTreeMap::new());
            let mut earlier = Table::default();
            for (number, (key, size)) in (0..).zip(steps) {
                let key = key.to_string();
                if size > 0 {
                    let value: Arc<str> = number.to_string().repeat([1, 200, 2_000][size - 1]).into();
                    prop_assert_eq!(table.insert(&key, value.clone()), model.insert(key, value));
                } else {
                    prop_assert_eq!(table.remove(&key), model.remove(&key));
                }
                if number % 64 == 0 {
                    table.snapshot();
                }
                if number == 700 {
                    earlier = table.clone();
                }
            }
            let entries: Vec<_> = table.with_prefix("", None).map(|(k, v)| (k.to_string(), v.clone())).collect();
            prop_assert_eq!(entries, model.into_iter().collect::<Vec<_>>());
            let chunks = table.snapshot();
            let mut afresh = Table::<Arc<str>>::restore(&chunks, None).unwrap();
            prop_assert_eq!(&afresh, &table);
            prop_assert_eq!(afresh.snapshot(), chunks.clone(), "what was kept is what would be written");
            let mut over = Table::restore(&chunks, Some(&earlier)).unwrap();
            prop_assert_eq!(&over, &table);
            prop_assert_eq!(over.snapshot(), chunks.clone());
            // What was read is written anew alike once it is forgotten.
            over.entries.values_mut().for_each(|entry| entry.chunks.clear());
            over.buckets.iter_mut().for_each(|bucket| bucket.chunks.clear());
            prop_assert_eq!(over.snapshot(), chunks);
        }
    }
}
