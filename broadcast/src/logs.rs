//! A log for each actor, of operations that are not interpreted: what one broadcasts stands in its log in its order, and
//! there is no order between logs.

use crate::data::DataType;
use kernel::{Digest, Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The logs of all actors, of which only length and hash chain are kept. The result of an operation is its place in its
/// actor's log, counted from 1, and the first eight bytes of the chain after it, as in a log that all share
/// (`apps::OpaqueLog`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Logs(BTreeMap<ReplicaId, Log>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Log {
    length: u64,
    chain: Digest,
}

impl DataType for Logs {
    fn validate(&self, _: ReplicaId, _: &Operation) -> Result<(), Output> {
        Ok(())
    }

    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        let log = self.0.entry(actor).or_insert(Log { length: 0, chain: Digest::ZERO });
        log.length += 1;
        log.chain = log.chain.chain(&Digest::of(&operation.0));
        let tail = u64::from_be_bytes(log.chain.0[..8].try_into().expect("eight of 32 bytes"));
        Output::new(format!("{} {tail:016x}", log.length).as_bytes())
    }

    /// Everything is valid, whatever came before.
    fn try_out(&mut self, _: ReplicaId, _: &Operation) {}

    /// Every operation appends: there is nothing that only reads.
    fn query(&self, _: &Operation) -> Option<Output> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_actor_has_a_log_of_its_own() {
        let (mut one, mut other) = (Logs::default(), Logs::default());
        let operation = |text: &str| Operation::new(text.as_bytes());
        let first = one.apply(ReplicaId(1), &operation("a"));
        assert!(first.0.starts_with(b"1 "));
        assert_ne!(one.apply(ReplicaId(2), &operation("b")), first);
        assert!(one.apply(ReplicaId(1), &operation("c")).0.starts_with(b"2 "));
        for (actor, text) in [(2, "b"), (1, "a"), (1, "c")] {
            other.apply(ReplicaId(actor), &operation(text));
        }
        assert_eq!(one, other, "logs do not depend on each other");
    }
}
