//! The one form in which operations and results of the applications are written.

use kernel::{Operation, Output};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes an operation.
pub(crate) fn operation<T: Serialize>(operation: &T) -> Operation {
    Operation::new(&write(operation))
}

/// Writes a result.
pub(crate) fn output<T: Serialize>(output: &T) -> Output {
    Output::new(&write(output))
}

fn write<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("operations and results are plain data")
}

/// Reads what was written; none if it is anything else, the same value written
/// otherwise included.
pub(crate) fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = postcard::from_bytes(bytes).ok()?;
    (write(&value) == bytes).then_some(value)
}
