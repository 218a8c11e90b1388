//! What is written and synced at a time: some entries, with a number and a checksum.
//!
//! The next batch is written only after the one before was synced. So after a loss of
//! power only the last one may be torn: what is behind damage and whole proves that the damage
//! is not that of a loss of power.

use kernel::{Weakening, weakened};
use std::ops::Range;

/// What is in front of the entries.
pub const HEAD_BYTES: usize = 4 + 4 + 8 + 4 + 8;
/// In front of each batch, so that one can be found behind damage.
const MARKER: [u8; 4] = *b"btch";

/// What the checksums of one file depend on: its first line, which has a random number in it. So
/// nothing that a client asks for passes for a batch.
#[derive(Clone, Debug)]
pub struct Key([u8; 32]);

impl Key {
    /// That of the file with this first line.
    pub fn of(first_line: &[u8]) -> Key {
        Key(*blake3::hash(first_line).as_bytes())
    }

    fn hash<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer")
    }
}

/// The head of the batch that holds these entries; `number` counts the batches of a file from 0.
pub fn head(key: &Key, number: u64, entries: &[u8]) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(entries.len()).expect("a turn takes in less than 4 GiB");
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&MARKER);
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&number.to_le_bytes());
    let of_head: [u8; 4] = key.hash(&[&head[..16]]);
    head[16..20].copy_from_slice(&of_head);
    let of_entries: [u8; 8] = key.hash(&[&head[..16], entries]);
    head[20..].copy_from_slice(&of_entries);
    head
}

/// Whether there may be a batch in these bytes, whole or not.
pub fn may_be_in(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|bytes| *bytes == MARKER)
}

/// The whole batches at the beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    /// Where the entries of each are.
    pub entries: Vec<Range<usize>>,
    /// Where the last one ends.
    pub end: usize,
    /// Bytes behind that, which a loss of power left torn.
    pub torn: usize,
}

/// A batch was damaged, or taken out, after it was safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "batch {number}, at byte {at}, is not what was written there, and it or a later one is whole at byte {whole}"
)]
pub struct Damaged {
    /// Which.
    pub number: u64,
    /// Where it should be.
    pub at: usize,
    /// Where a whole one follows.
    pub whole: usize,
}

/// Reads the batches that `bytes` hold, the first at `start`.
///
/// # Errors
///
/// If one is damaged that a loss of power cannot have damaged.
pub fn read(key: &Key, bytes: &[u8], start: usize) -> Result<Batches, Damaged> {
    let (mut entries, mut end) = (Vec::new(), start);
    while let Some((number, range)) = batch_at(key, bytes, end)
        && number == entries.len() as u64
    {
        end = range.end;
        entries.push(range);
    }
    let number = entries.len() as u64;
    if weakened(Weakening::TornTailTrusted) {
        entries.extend(torn_entries(bytes, end));
    }
    let is_later = |at: &usize| batch_at(key, bytes, *at).is_some_and(|(later, _)| later >= number);
    match (end..bytes.len()).find(is_later) {
        Some(whole) => Err(Damaged { number, at: end, whole }),
        None => Ok(Batches { entries, end, torn: bytes.len() - end }),
    }
}

/// The batch that begins here, if it is whole: its number, and where its entries are.
fn batch_at(key: &Key, bytes: &[u8], at: usize) -> Option<(u64, Range<usize>)> {
    let found = bytes.get(at..)?.first_chunk::<HEAD_BYTES>()?;
    // Nearly everything that is looked at is no batch.
    if found[..4] != MARKER || found[16..20] != key.hash::<4>(&[&found[..16]]) {
        return None;
    }
    let length = u32::from_le_bytes(*found[4..].first_chunk()?) as usize;
    let number = u64::from_le_bytes(*found[8..].first_chunk()?);
    let start = at + HEAD_BYTES;
    let entries = bytes.get(start..start.checked_add(length)?)?;
    (head(key, number, entries) == *found).then(|| (number, start..start + length))
}

/// What a deliberate weakening takes for entries: whatever is there of a torn batch.
fn torn_entries(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + HEAD_BYTES;
    (start < bytes.len()).then_some(start..bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::of(b"the first line")
    }

    fn batch(number: u64, entries: &[u8]) -> Vec<u8> {
        [&head(&key(), number, entries)[..], entries].concat()
    }

    fn file(batches: &[Vec<u8>]) -> Vec<u8> {
        (0..).zip(batches).flat_map(|(number, entries)| batch(number, entries)).collect()
    }

    fn read_entries(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), Damaged> {
        let read = read(&key(), bytes, 0)?;
        Ok((read.entries.iter().map(|range| bytes[range.clone()].to_vec()).collect(), read.torn))
    }

    proptest! {
        #[test]
        fn what_is_cut_short_loses_its_last_batch_alone(
            batches in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            cut in 0_usize..1000,
        ) {
            let whole = file(&batches);
            let last = HEAD_BYTES + batches.last().map_or(0, Vec::len);
            let kept = whole.len() - cut % last;
            let (read, torn) = read_entries(&whole[..kept]).unwrap();
            let left = if kept == whole.len() { batches.len() } else { batches.len() - 1 };
            prop_assert_eq!(&read[..], &batches[..left]);
            prop_assert_eq!(torn, if left == batches.len() { 0 } else { kept - (whole.len() - last) });
        }

        #[test]
        fn a_changed_byte_is_noticed_wherever_it_is(
            batches in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            place in 0_usize..1000,
            change in 1_u8..,
        ) {
            let mut bytes = file(&batches);
            let place = place % bytes.len();
            bytes[place] ^= change;
            let last = bytes.len() - HEAD_BYTES - batches.last().map_or(0, Vec::len);
            match read_entries(&bytes) {
                Ok((read, torn)) => {
                    prop_assert!(place >= last);
                    prop_assert_eq!(&read[..], &batches[..batches.len() - 1]);
                    prop_assert_eq!(torn, bytes.len() - last);
                }
                Err(damaged) => prop_assert!(place < last && damaged.at <= place),
            }
        }
    }

    #[test]
    fn what_a_client_asks_for_does_not_pass_for_a_batch() {
        // It is written with the key of another file, as that of this one is not known to clients.
        let other = Key::of(b"another first line");
        let forged = [&head(&other, 7, b"forged")[..], b"forged"].concat();
        let torn = batch(0, &forged);
        assert_eq!(read(&key(), &torn[..torn.len() - 1], 0).unwrap().torn, torn.len() - 1);
        let damage = [&torn[..torn.len() - 1], &batch(1, b"")[..]].concat();
        let damaged = Damaged { number: 0, at: 0, whole: torn.len() - 1 };
        assert_eq!(read(&key(), &damage, 0), Err(damaged));
    }

    #[test]
    fn a_batch_that_was_taken_out_is_noticed() {
        let with_a_gap = [batch(0, b"first"), batch(2, b"third")].concat();
        let end = batch(0, b"first").len();
        assert_eq!(read(&key(), &with_a_gap, 0), Err(Damaged { number: 1, at: end, whole: end }));
        let moved = [batch(0, b"first"), vec![7], batch(1, b"second")].concat();
        assert_eq!(read(&key(), &moved, 0), Err(Damaged { number: 1, at: end, whole: end + 1 }));
        // What is written twice is no later one.
        let twice = [batch(0, b"first"), batch(0, b"first")].concat();
        let read = read(&key(), &twice, 0).unwrap();
        assert_eq!((read.entries.len(), read.torn), (1, end));
    }

    #[test]
    fn zeros_behind_the_last_batch_are_torn() {
        let mut bytes = batch(0, b"entries");
        bytes.resize(4096, 0);
        assert_eq!(read(&key(), &bytes, 0).unwrap().entries.len(), 1);
    }
}
