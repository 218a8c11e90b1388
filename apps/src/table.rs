//! A sorted map whose chunks follow what changed.
//!
//! The entries are spread over buckets by the hash of their key, in the order of linear
//! hashing (Litwin, VLDB 1980): there is a bucket for every 64 entries or 8 KiB, and one
//! entry more or less splits or joins two buckets at most. Which entry is in which bucket
//! depends on the entries alone, not on how they came, so equal tables have equal chunks;
//! and an entry that changes makes one bucket to be written anew. A large entry has
//! chunks of its own, so that those beside it are not written anew with it.

use kernel::{CachedChunks, Chunk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
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
pub(crate) trait Value: Serialize + DeserializeOwned {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

impl Value for String {
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
    entries: BTreeMap<Arc<str>, Entry<V>>,
    buckets: Vec<Bucket>,
    /// Bytes of all small entries.
    small_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry<V> {
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
    small: Vec<Arc<str>>,
    /// Of the small entries.
    chunks: CachedChunks,
    large: Vec<Arc<str>>,
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

/// The bucket of a key among so many.
fn bucket_of(key: &str, buckets: usize) -> usize {
    let all = (buckets as u64).next_power_of_two();
    let place = hash(key) & (all - 1);
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
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a V)> {
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let range = self.entries.range::<str, _>((from, Bound::Unbounded));
        range.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, entry)| (key, &entry.value))
    }

    /// Puts an entry in. Returns what belonged to the key before.
    pub(crate) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        let bytes = Bytes::of(key, &value);
        let before = match self.entries.get_mut(key) {
            Some(entry) if Bytes::of(key, &entry.value).is_large == bytes.is_large => {
                self.small_bytes -= Bytes::of(key, &entry.value).small;
                entry.chunks.clear();
                let before = std::mem::replace(&mut entry.value, value);
                let place = bucket_of(key, self.buckets.len());
                self.buckets[place].keys(bytes.is_large);
                Some(before)
            }
            _ => {
                let before = self.take(key);
                let place = bucket_of(key, self.buckets.len());
                let key: Arc<str> = key.into();
                self.buckets[place].insert(Arc::clone(&key), bytes.is_large);
                self.entries.insert(key, Entry { value, chunks: CachedChunks::default() });
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
        let value = self.entries.remove(key)?.value;
        let bytes = Bytes::of(key, &value);
        let place = bucket_of(key, self.buckets.len());
        self.buckets[place].remove(key, bytes.is_large);
        self.small_bytes -= bytes.small;
        Some(value)
    }

    /// As many buckets as there should be.
    fn fit(&mut self) {
        let by_bytes = self.small_bytes.div_ceil(BYTES_PER_BUCKET);
        let wanted = self.entries.len().div_ceil(ENTRIES_PER_BUCKET).max(by_bytes).max(1);
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
        let is_moved = |key: &mut Arc<str>| bucket_of(key, last + 1) == last;
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
                if let Some(Entry { value, chunks: cached }) = self.entries.get_mut(key) {
                    chunks.extend_from_slice(cached.get_or_write(|| run(&[(&*key, &*value)])));
                }
            }
        }
        chunks
    }

    /// The table that these chunks hold; none if they hold none.
    pub(crate) fn restore(chunks: &[Chunk]) -> Option<Table<V>> {
        let mut table = Table::default();
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.extend_from_slice(chunk.bytes());
            let (length, content) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
            if (content.len() as u64) < u64::from_le_bytes(*length) {
                continue;
            }
            let entries: Vec<(String, V)> = postcard::from_bytes(content).ok()?;
            for (key, value) in entries {
                table.insert(&key, value);
            }
            bytes.clear();
        }
        bytes.is_empty().then_some(table)
    }
}

/// The bucket that the one at this place, which is not the first, is split from.
fn sibling_of(place: usize) -> usize {
    place - (1 << place.ilog2())
}

fn write<V: Serialize>(keys: &[Arc<str>], entries: &BTreeMap<Arc<str>, Entry<V>>) -> Vec<Chunk> {
    let found = keys.iter().filter_map(|key| entries.get_key_value(key));
    run(&found.map(|(key, entry)| (key, &entry.value)).collect::<Vec<_>>())
}

/// Some entries in as few chunks as possible, their length in front.
fn run<V: Serialize>(entries: &[(&Arc<str>, &V)]) -> Vec<Chunk> {
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes = postcard::to_extend(entries, bytes).expect("entries are plain data");
    let length = (bytes.len() - LENGTH_BYTES) as u64;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Chunk::cut(&bytes)
}

impl Bucket {
    /// The keys of one list, of which an entry changes.
    fn keys(&mut self, is_large: bool) -> &mut Vec<Arc<str>> {
        if is_large {
            return &mut self.large;
        }
        self.chunks.clear();
        &mut self.small
    }

    fn insert(&mut self, key: Arc<str>, is_large: bool) {
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
        assert_eq!(Table::restore(&chunks), Some(upwards));
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
        let mut table = Table::default();
        for key in ["a", "b", "c"] {
            table.insert(key, key.repeat(Chunk::MOST_BYTES));
        }
        let chunks = table.snapshot();
        // Two each, and the bucket's, which has no small entries.
        assert_eq!(chunks.len(), 7);
        assert_eq!(Table::restore(&chunks), Some(table));
        assert_eq!(Table::<String>::restore(&chunks[..6]), None);
        assert_eq!(Table::<String>::restore(&chunks[2..]), None);
    }

    #[test]
    fn a_large_entry_that_changes_leaves_those_beside_it_as_they_are() {
        let mut table = Table::default();
        for key in 0..60 {
            table.insert(&format!("key {key}"), "x".repeat(50_000));
        }
        let before = table.snapshot();
        assert_eq!((table.buckets.len(), before.len()), (1, 61));
        table.insert("key 7", "y".repeat(50_000));
        let after = table.snapshot();
        let shared =
            before.iter().filter(|chunk| after.iter().any(|c| c.bytes().as_ptr() == chunk.bytes().as_ptr()));
        assert_eq!(shared.count(), 60, "the others are not even copied");
        // Small ones of a kilobyte are few in a bucket.
        for key in 0..800 {
            table.insert(&format!("small {key}"), "z".repeat(1_015));
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
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for (number, (key, size)) in (0..).zip(steps) {
                let key = key.to_string();
                if size > 0 {
                    let value = number.to_string().repeat([1, 200, 2_000][size - 1]);
                    prop_assert_eq!(table.insert(&key, value.clone()), model.insert(key, value));
                } else {
                    prop_assert_eq!(table.remove(&key), model.remove(&key));
                }
                if number % 64 == 0 {
                    table.snapshot();
                }
            }
            let entries: Vec<_> = table.with_prefix("", None).map(|(k, v)| (k.to_string(), v.clone())).collect();
            prop_assert_eq!(entries, model.into_iter().collect::<Vec<_>>());
            let chunks = table.snapshot();
            let mut afresh = Table::<String>::restore(&chunks).unwrap();
            prop_assert_eq!(&afresh, &table);
            prop_assert_eq!(afresh.snapshot(), chunks, "what was kept is what would be written");
        }
    }
}
