//! A log of operations that are not interpreted.

use kernel::{Application, Chunk, Digest, Operation, Output};
use std::io::Write;

/// No log is longer: it would have taken centuries. So its length can always be counted on.
const LONGEST: u64 = u64::MAX / 2;
const LENGTH_BYTES: usize = size_of::<u64>();

/// A number of 20 decimal digits at most, a space and one of 16 hexadecimal digits.
const RESULT_BYTES_MAX: usize = 20 + 1 + 16;

/// Appends every operation to a log, of which only length and hash chain are
/// kept. The result of an operation is its place in the log, counted from 1,
/// and the first eight bytes of the chain after it: replicas that executed
/// other operations before give another result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpaqueLog {
    length: u64,
    chain: Digest,
}

impl Default for OpaqueLog {
    fn default() -> OpaqueLog {
        OpaqueLog { length: 0, chain: Digest::ZERO }
    }
}

impl Application for OpaqueLog {
    fn execute(&mut self, operation: &Operation) -> Output {
        self.length += 1;
        self.chain = self.chain.chain(&Digest::of(&operation.0));
        let tail = u64::from_be_bytes(self.chain.0[..8].try_into().expect("eight of 32 bytes"));
        let mut text = [0; RESULT_BYTES_MAX];
        let mut free = text.as_mut_slice();
        write!(free, "{} {tail:016x}", self.length).expect("there is room for both numbers");
        let unused = free.len();
        Output::new(&text[..RESULT_BYTES_MAX - unused])
    }

    /// Every operation appends: there is nothing that only reads.
    fn query(&self, _: &Operation) -> Option<Output> {
        None
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        vec![Chunk::new(&[self.length.to_le_bytes().as_slice(), &self.chain.0].concat())]
    }

    fn restore(chunks: &[Chunk]) -> Option<OpaqueLog> {
        let [chunk] = chunks else {
            return None;
        };
        let (length, chain) = chunk.bytes().split_first_chunk::<LENGTH_BYTES>()?;
        let length = u64::from_le_bytes(*length);
        let has_room = length <= LONGEST;
        has_room.then_some(OpaqueLog { length, chain: Digest(chain.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_the_whole_state() {
        let mut log = OpaqueLog::default();
        log.execute(&Operation::new(b"a"));
        let chunks = log.snapshot();
        assert_eq!(OpaqueLog::restore(&chunks), Some(log));
        assert_eq!(OpaqueLog::restore(&[Chunk::new(&chunks[0].bytes()[1..])]), None);
        assert_eq!(OpaqueLog::restore(&[]), None);
    }

    #[test]
    fn a_state_that_no_log_can_have_is_none() {
        let mut chunk = OpaqueLog::default().snapshot()[0].bytes().to_vec();
        chunk[..LENGTH_BYTES].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(OpaqueLog::restore(&[Chunk::new(&chunk)]), None, "it could not take another operation");
    }

    #[test]
    fn the_result_tells_place_and_history() {
        let (a, b) = (Operation::new(b"a"), Operation::new(b"b"));
        let mut one = OpaqueLog::default();
        let mut other = OpaqueLog::default();
        assert_eq!(one.execute(&a), other.execute(&a));
        assert_eq!(one.snapshot(), other.snapshot());
        one.execute(&a);
        other.execute(&b);
        assert_ne!(one.snapshot(), other.snapshot());
        assert_ne!(one.execute(&a), other.execute(&a), "the same place after another history");
        assert!(String::from_utf8_lossy(&one.execute(&b).0).starts_with("4 "));
    }
}
