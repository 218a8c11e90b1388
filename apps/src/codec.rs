//! The one form in which operations and results of the applications are written.

use kernel::{Operation, Output};
use postcard::ser_flavors::Flavor;
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
    let is_written_so = postcard::serialize_with_flavor(&value, Expected(bytes)).is_ok_and(<[u8]>::is_empty);
    is_written_so.then_some(value)
}

/// What is still to be written; anything else is an error.
struct Expected<'a>(&'a [u8]);

impl<'a> Flavor for Expected<'a> {
    type Output = &'a [u8];

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<&'a [u8]> {
        Ok(self.0)
    }
}
