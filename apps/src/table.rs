//! A sorted map whose chunks follow what changed.
//!
//! The entries are spread over buckets by the hash of their key, in the order of linear
//! hashing (Litwin, VLDB 1980): there is a bucket for every 64 entries, and one entry more or
//! less splits or joins one bucket at most. Which entry is in which bucket depends on
//! the entries alone, not on how they came, so equal tables have equal chunks; and an
//! entry that changes makes one bucket to be written anew.

use kernel::{CachedChunks, Chunk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Entries for each bucket, on average.
const ENTRIES_PER_BUCKET: usize = 64;
const LENGTH_BYTES: usize = size_of::<u64>();

/// Keys are text; `V` is what belongs to each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table<V> {
    entries: BTreeMap<Arc<str>, V>,
    buckets: Vec<Bucket>,
}

/// The keys of one bucket, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Bucket {
    keys: Vec<Arc<str>>,
    chunks: CachedChunks,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { entries: BTreeMap::new(), buckets: vec![Bucket::default()] }
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

impl<V: Serialize + DeserializeOwned> Table<V> {
    /// What belongs to a key.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    /// The entries whose keys begin with `prefix` and come after `after`, in order.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a V)> {
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let range = self.entries.range::<str, _>((from, Bound::Unbounded));
        range.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Puts an entry in. Returns what belonged to the key before.
    pub(crate) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        let place = bucket_of(key, self.buckets.len());
        let bucket = &mut self.buckets[place];
        bucket.chunks.clear();
        if let Some(present) = self.entries.get_mut(key) {
            return Some(std::mem::replace(present, value));
        }
        let key: Arc<str> = key.into();
        bucket.insert(Arc::clone(&key));
        self.entries.insert(key, value);
        if self.buckets.len() < self.buckets_wanted() {
            self.split();
        }
        None
    }

    /// Takes an entry out. Returns what belonged to the key.
    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        let value = self.entries.remove(key)?;
        let place = bucket_of(key, self.buckets.len());
        self.buckets[place].remove(key);
        if self.buckets.len() > self.buckets_wanted() {
            self.join();
        }
        Some(value)
    }

    fn buckets_wanted(&self) -> usize {
        self.entries.len().div_ceil(ENTRIES_PER_BUCKET).max(1)
    }

    /// One bucket more: it takes over about half of another one's keys.
    fn split(&mut self) {
        let last = self.buckets.len();
        let sibling = &mut self.buckets[sibling_of(last)];
        sibling.chunks.clear();
        let is_moved = |key: &mut Arc<str>| bucket_of(key, last + 1) == last;
        let keys = sibling.keys.extract_if(.., is_moved).collect();
        self.buckets.push(Bucket { keys, chunks: CachedChunks::default() });
    }

    /// The last bucket goes back to where it came from.
    fn join(&mut self) {
        let Some(bucket) = self.buckets.pop() else { return };
        let place = sibling_of(self.buckets.len());
        let sibling = &mut self.buckets[place];
        sibling.chunks.clear();
        bucket.keys.into_iter().for_each(|key| sibling.insert(key));
    }

    /// All entries in chunks; only buckets that have changed are written anew.
    pub(crate) fn snapshot(&mut self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for Bucket { keys, chunks: cached } in &mut self.buckets {
            let entries = &self.entries;
            chunks.extend_from_slice(cached.get_or_write(|| write(keys, entries)));
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

fn write<V: Serialize>(keys: &[Arc<str>], entries: &BTreeMap<Arc<str>, V>) -> Vec<Chunk> {
    let of_bucket: Vec<(&Arc<str>, &V)> = keys.iter().filter_map(|key| entries.get_key_value(key)).collect();
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes = postcard::to_extend(&of_bucket, bytes).expect("entries are plain data");
    let length = (bytes.len() - LENGTH_BYTES) as u64;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Chunk::cut(&bytes)
}

impl Bucket {
    fn insert(&mut self, key: Arc<str>) {
        if let Err(place) = self.keys.binary_search(&key) {
            self.keys.insert(place, key);
        }
    }

    fn remove(&mut self, key: &str) {
        self.chunks.clear();
        if let Ok(place) = self.keys.binary_search_by(|other| (**other).cmp(key)) {
            self.keys.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(keys: impl Iterator<Item = u32>) -> Table<u32> {
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
        assert_eq!(chunks.len(), 4);
        assert_eq!(Table::restore(&chunks), Some(table));
        assert_eq!(Table::<String>::restore(&chunks[..3]), None);
        assert_eq!(Table::<String>::restore(&chunks[1..]), None);
    }

    #[test]
    fn entries_are_listed_in_order_by_prefix() {
        let table = filled([30, 3, 1, 31, 4, 300].into_iter());
        let keys =
            |prefix, after| -> Vec<u32> { table.with_prefix(prefix, after).map(|(_, v)| *v).collect() };
        assert_eq!(keys("key 3", None), [3, 30, 300, 31]);
        assert_eq!(keys("key 3", Some("key 30")), [300, 31]);
        assert_eq!(keys("key 3", Some("a")), [3, 30, 300, 31]);
        assert_eq!(keys("", None).len(), 6);
        assert_eq!(keys("nothing", None), [0; 0]);
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_map_does(steps in proptest::collection::vec((0..400u32, any::<bool>()), 0..2_000)) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for (number, (key, is_insert)) in (0..).zip(steps) {
                let key = key.to_string();
                if is_insert {
                    prop_assert_eq!(table.insert(&key, number), model.insert(key, number));
                } else {
                    prop_assert_eq!(table.remove(&key), model.remove(&key));
                }
                if number % 64 == 0 {
                    table.snapshot();
                }
            }
            let entries: Vec<_> = table.with_prefix("", None).map(|(k, v)| (k.to_string(), *v)).collect();
            prop_assert_eq!(entries, model.into_iter().collect::<Vec<_>>());
            let chunks = table.snapshot();
            let mut afresh = Table::restore(&chunks).unwrap();
            prop_assert_eq!(&afresh, &table);
            prop_assert_eq!(afresh.snapshot(), chunks, "what was kept is what would be written");
        }
    }
}
