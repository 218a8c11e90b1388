//! A counter that everybody may add to and take from: the smallest data type, as an example of one
//! (`docs/data-types.md`).

use crate::data::DataType;
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};

/// What the counter is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CounterOperation {
    /// Adds so much; less than zero takes it away.
    Add(i64),
    /// Reads it.
    Read,
}

/// What the counter answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CounterOutput {
    /// It was added. How much there is then depends on what others have added, which members see in different
    /// orders, so it is no answer on which all agree.
    Added,
    /// So much, as far as the member that answers has got.
    Is(i128),
    /// These bytes are no operation of a counter, or one that is only for reading.
    NotAnOperation,
}

impl CounterOperation {
    /// As it is broadcast.
    pub fn encode(&self) -> Operation {
        Operation::new(&postcard::to_stdvec(self).expect("an operation is plain data"))
    }
}

impl CounterOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        Output::new(&postcard::to_stdvec(self).expect("an output is plain data"))
    }

    /// What a member answered; none if these bytes are no answer of a counter.
    pub fn decode(output: &Output) -> Option<CounterOutput> {
        postcard::from_bytes(&output.0).ok()
    }
}

/// The counter. Sums are the same in every order, so everything is always valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counter(i128);

impl DataType for Counter {
    fn validate(&self, _: ReplicaId, operation: &Operation) -> Result<(), Output> {
        match postcard::from_bytes(&operation.0) {
            Ok(CounterOperation::Add(_)) => Ok(()),
            _ => Err(CounterOutput::NotAnOperation.encode()),
        }
    }

    fn apply(&mut self, _: ReplicaId, operation: &Operation) -> Output {
        let Ok(CounterOperation::Add(amount)) = postcard::from_bytes(&operation.0) else {
            return CounterOutput::NotAnOperation.encode();
        };
        self.0 += i128::from(amount);
        CounterOutput::Added.encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let is_read = matches!(postcard::from_bytes(&operation.0), Ok(CounterOperation::Read));
        is_read.then(|| CounterOutput::Is(self.0).encode())
    }
}
