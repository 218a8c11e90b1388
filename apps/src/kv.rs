//! A key-value store.

use crate::codec;
use crate::table::Table;
use kernel::{Application, Chunk, Operation, Output};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A key has at most so many bytes.
pub const MAX_KEY_BYTES: usize = 1 << 10;
/// A value has at most so many bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// A list has at most so many entries.
pub const MAX_LISTED: u32 = 1_000;
/// And ends with the entry that brings it to so many bytes.
const LISTED_BYTES: usize = 1 << 20;

/// What a client asks of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvOperation {
    /// What is the key's value?
    Get {
        /// The key.
        key: String,
    },
    /// Sets the key's value.
    Put {
        /// The key.
        key: String,
        /// Its value from now on.
        value: String,
    },
    /// Takes the key out.
    Delete {
        /// The key.
        key: String,
    },
    /// Sets the key's value if it is the expected one: compare-and-swap.
    CompareAndSwap {
        /// The key.
        key: String,
        /// The value that it must have; none if it must have none.
        expected: Option<String>,
        /// Its value from then on; none to take the key out.
        new: Option<String>,
    },
    /// Which entries have keys that begin so?
    List {
        /// What the keys begin with; everything if it is empty.
        prefix: String,
        /// Only keys after this one.
        after: Option<String>,
        /// At most so many, and at most [`MAX_LISTED`].
        limit: u32,
    },
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvOutput {
    /// To a get: the value, if there is one.
    Value(Option<String>),
    /// To a put.
    Stored {
        /// Whether the key had no value before.
        created: bool,
    },
    /// To a delete.
    Deleted {
        /// Whether the key had a value.
        existed: bool,
    },
    /// To a compare-and-swap.
    Compared {
        /// Whether the value was the expected one and was set.
        swapped: bool,
        /// The value now.
        current: Option<String>,
    },
    /// To a list.
    Listed {
        /// Keys and values, in the order of the keys.
        entries: Vec<(String, String)>,
        /// Whether there are more after the last one.
        more: bool,
    },
    /// The operation cannot be meant.
    Refused(KvRefusal),
}

/// Why an operation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum KvRefusal {
    /// These bytes are no operation of a key-value store.
    #[error("this is no operation of a key-value store")]
    NotAnOperation,
    /// The key is empty.
    #[error("the key is empty; it needs at least one character")]
    EmptyKey,
    /// The key is too long.
    #[error("the key is longer than {MAX_KEY_BYTES} bytes")]
    LongKey,
    /// The value is too long.
    #[error("the value is longer than {MAX_VALUE_BYTES} bytes")]
    LongValue,
}

impl KvOperation {
    /// As it is ordered.
    pub fn encode(&self) -> Operation {
        codec::operation(self)
    }

    /// What these bytes ask for, if they are within the limits.
    ///
    /// # Errors
    ///
    /// What the store answers to them as well.
    pub fn decode(operation: &Operation) -> Result<KvOperation, KvRefusal> {
        let operation: KvOperation = codec::read(&operation.0).ok_or(KvRefusal::NotAnOperation)?;
        operation.check()?;
        Ok(operation)
    }

    /// Whether keys and values are within the limits.
    ///
    /// # Errors
    ///
    /// Which one is not.
    pub fn check(&self) -> Result<(), KvRefusal> {
        let (key, values) = match self {
            KvOperation::Get { key } | KvOperation::Delete { key } => (Some(key), [None, None]),
            KvOperation::Put { key, value } => (Some(key), [Some(value), None]),
            KvOperation::CompareAndSwap { key, expected, new } => {
                (Some(key), [expected.as_ref(), new.as_ref()])
            }
            KvOperation::List { .. } => (None, [None, None]),
        };
        match key {
            Some(key) if key.is_empty() => return Err(KvRefusal::EmptyKey),
            Some(key) if key.len() > MAX_KEY_BYTES => return Err(KvRefusal::LongKey),
            _ => {}
        }
        let is_long = |value: &&String| value.len() > MAX_VALUE_BYTES;
        if values.iter().flatten().any(is_long) { Err(KvRefusal::LongValue) } else { Ok(()) }
    }
}

impl KvOutput {
    /// What a replica answered; none if these bytes are no answer of this store.
    pub fn decode(output: &Output) -> Option<KvOutput> {
        codec::read(&output.0)
    }
}

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvStore {
    table: Table<Arc<str>>,
}

impl KvStore {
    /// The answer to an operation that only reads; none for any other.
    fn read(&self, operation: &KvOperation) -> Option<KvOutput> {
        match operation {
            KvOperation::Get { key } => Some(KvOutput::Value(self.value(key))),
            KvOperation::List { prefix, after, limit } => Some(self.list(prefix, after.as_deref(), *limit)),
            _ => None,
        }
    }

    fn value(&self, key: &str) -> Option<String> {
        self.table.get(key).map(|value| value.to_string())
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: u32) -> KvOutput {
        let mut rest = self.table.with_prefix(prefix, after).peekable();
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < limit.min(MAX_LISTED) as usize && bytes < LISTED_BYTES {
            let Some((key, value)) = rest.next() else { break };
            bytes += key.len() + value.len();
            entries.push((key.to_string(), value.to_string()));
        }
        KvOutput::Listed { entries, more: rest.peek().is_some() }
    }

    fn apply(&mut self, operation: KvOperation) -> KvOutput {
        match operation {
            KvOperation::Put { key, value } => {
                KvOutput::Stored { created: self.table.insert(&key, value.into()).is_none() }
            }
            KvOperation::Delete { key } => KvOutput::Deleted { existed: self.table.remove(&key).is_some() },
            KvOperation::CompareAndSwap { key, expected, new } => {
                let swapped = self.table.get(&key).map(|value| &**value) == expected.as_deref();
                if swapped {
                    match new {
                        Some(value) => drop(self.table.insert(&key, value.into())),
                        None => drop(self.table.remove(&key)),
                    }
                }
                KvOutput::Compared { swapped, current: self.value(&key) }
            }
            KvOperation::Get { .. } | KvOperation::List { .. } => {
                self.read(&operation).unwrap_or(KvOutput::Refused(KvRefusal::NotAnOperation))
            }
        }
    }
}

impl Application for KvStore {
    fn execute(&mut self, operation: &Operation) -> Output {
        let output = match KvOperation::decode(operation) {
            Ok(operation) => self.apply(operation),
            Err(refusal) => KvOutput::Refused(refusal),
        };
        codec::output(&output)
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let operation = KvOperation::decode(operation).ok()?;
        self.read(&operation).map(|output| codec::output(&output))
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        self.table.snapshot()
    }

    fn restore(chunks: &[Chunk]) -> Option<KvStore> {
        Some(KvStore { table: Table::restore(chunks, None)? })
    }

    fn restore_over(&self, chunks: &[Chunk]) -> Option<KvStore> {
        Some(KvStore { table: Table::restore(chunks, Some(&self.table))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(store: &mut KvStore, operation: KvOperation) -> KvOutput {
        KvOutput::decode(&store.execute(&operation.encode())).unwrap()
    }

    fn put(key: &str, value: &str) -> KvOperation {
        KvOperation::Put { key: key.into(), value: value.into() }
    }

    fn get(key: &str) -> KvOperation {
        KvOperation::Get { key: key.into() }
    }

    fn swap(expected: Option<&str>, new: Option<&str>) -> KvOperation {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        KvOperation::CompareAndSwap { key: "a".into(), expected: owned(expected), new: owned(new) }
    }

    #[test]
    fn what_is_put_is_got_until_it_is_deleted() {
        let mut store = KvStore::default();
        assert_eq!(ask(&mut store, get("a")), KvOutput::Value(None));
        assert_eq!(ask(&mut store, put("a", "1")), KvOutput::Stored { created: true });
        assert_eq!(ask(&mut store, put("a", "2")), KvOutput::Stored { created: false });
        assert_eq!(ask(&mut store, get("a")), KvOutput::Value(Some("2".into())));
        let delete = KvOperation::Delete { key: "a".into() };
        assert_eq!(ask(&mut store, delete.clone()), KvOutput::Deleted { existed: true });
        assert_eq!(ask(&mut store, delete), KvOutput::Deleted { existed: false });
        assert_eq!(ask(&mut store, get("a")), KvOutput::Value(None));
    }

    #[test]
    fn a_value_is_swapped_only_if_it_is_the_expected_one() {
        let mut store = KvStore::default();
        let compared = |swapped, current: Option<&str>| KvOutput::Compared {
            swapped,
            current: current.map(str::to_owned),
        };
        assert_eq!(ask(&mut store, swap(Some("1"), Some("2"))), compared(false, None));
        assert_eq!(ask(&mut store, swap(None, Some("1"))), compared(true, Some("1")));
        assert_eq!(ask(&mut store, swap(None, Some("2"))), compared(false, Some("1")));
        assert_eq!(ask(&mut store, swap(Some("1"), Some("2"))), compared(true, Some("2")));
        assert_eq!(ask(&mut store, swap(Some("2"), None)), compared(true, None));
        assert_eq!(ask(&mut store, swap(None, None)), compared(true, None));
    }

    #[test]
    fn lists_say_whether_there_is_more() {
        let mut store = KvStore::default();
        for key in ["b/2", "a", "b/1", "b/3", "c"] {
            ask(&mut store, put(key, "x"));
        }
        let list = |after: Option<&str>, limit| KvOperation::List {
            prefix: "b/".into(),
            after: after.map(str::to_owned),
            limit,
        };
        let mut keys = |operation| match ask(&mut store, operation) {
            KvOutput::Listed { entries, more } => {
                (entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" "), more)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(keys(list(None, 2)), ("b/1 b/2".into(), true));
        assert_eq!(keys(list(Some("b/2"), 2)), ("b/3".into(), false));
        assert_eq!(keys(list(None, 3)), ("b/1 b/2 b/3".into(), false));
        assert_eq!(keys(list(None, 0)), (String::new(), true));
        for i in 0..3 {
            ask(&mut store, put(&format!("b/large {i}"), &"x".repeat(LISTED_BYTES / 2)));
        }
        let operation = KvOperation::List { prefix: "b/l".into(), after: None, limit: 10 };
        let KvOutput::Listed { entries, more } = ask(&mut store, operation) else { panic!() };
        assert_eq!((entries.len(), more), (2, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_changes_nothing() {
        let mut store = KvStore::default();
        ask(&mut store, put("a", "1"));
        let before = store.clone();
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let refusals = [
            (put("", "1"), KvRefusal::EmptyKey),
            (get(&"k".repeat(MAX_KEY_BYTES + 1)), KvRefusal::LongKey),
            (put("a", &long), KvRefusal::LongValue),
            (swap(Some(&long), None), KvRefusal::LongValue),
            (swap(Some("1"), Some(&long)), KvRefusal::LongValue),
        ];
        for (operation, refusal) in refusals {
            assert_eq!(ask(&mut store, operation), KvOutput::Refused(refusal));
        }
        let mut trailing = get("a").encode().0.to_vec();
        trailing.push(0);
        // The length of the key, written with a needless byte.
        let not_canonical = [0, 0x81, 0, b'a'];
        for bytes in [b"".as_slice(), b"hello", &[200], &trailing, &not_canonical] {
            let operation = Operation::new(bytes);
            let output = KvOutput::decode(&store.execute(&operation)).unwrap();
            assert_eq!(output, KvOutput::Refused(KvRefusal::NotAnOperation), "{bytes:?}");
            assert_eq!(store.query(&operation), None);
        }
        assert_eq!(store, before);
    }

    #[test]
    fn only_what_reads_is_answered_without_agreement_and_alike() {
        let mut store = KvStore::default();
        ask(&mut store, put("a", "1"));
        let list = KvOperation::List { prefix: String::new(), after: None, limit: 10 };
        for operation in [get("a"), get("b"), list] {
            let operation = operation.encode();
            let answer = store.query(&operation);
            assert_eq!(answer, Some(store.execute(&operation)));
        }
        for operation in [put("a", "2"), swap(None, None), KvOperation::Delete { key: "a".into() }] {
            assert_eq!(store.query(&operation.encode()), None);
        }
    }

    #[test]
    fn a_snapshot_is_the_whole_state() {
        let mut store = KvStore::default();
        for i in 0..500 {
            ask(&mut store, put(&i.to_string(), "value"));
        }
        let chunks = store.snapshot();
        assert_eq!(KvStore::restore(&chunks), Some(store));
        assert_eq!(
            KvStore::restore(&chunks[1..]).as_ref().map(|store| store == &KvStore::default()),
            Some(false)
        );
    }
}
