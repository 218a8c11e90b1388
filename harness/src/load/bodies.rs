//! The bodies of requests.

use std::sync::Arc;

use apps::{AppName, BankOperation, KvOperation, SetOperation, workload};
use bytes::Bytes;
use kernel::{Choose, Operation, SeededChoice};
use node::api::bank::{Open, Payment, Transfer};
use node::api::kv::Put;
use node::api::set::Add;
use serde::Serialize;

/// The bodies of requests to one application.
#[derive(Clone, Debug)]
pub enum Bodies {
    /// For `/preprepare`.
    Data(DataBodies),
    /// For `/api/v1/kv`.
    Kv {
        /// Bytes of each value.
        value_bytes: usize,
        /// Bytes of the values that are there before.
        fill_bytes: u64,
    },
    /// For `/api/v1/bank/transfer`.
    Bank {
        /// The nodes that take requests. Each has accounts of its own, from which what it takes is paid.
        owners: Vec<u16>,
    },
    /// For `/api/v1/set`: additions.
    Set,
}

impl Bodies {
    /// Bodies that carry exactly `payload_bytes` bytes, where the application takes data. `owners` are the nodes that
    /// take them.
    pub fn new(app: AppName, payload_bytes: usize, seed: u64, owners: &[u16]) -> Bodies {
        match app {
            AppName::Opaque => Bodies::Data(DataBodies::new(payload_bytes, seed)),
            AppName::Kv => Bodies::Kv { value_bytes: payload_bytes, fill_bytes: 0 },
            AppName::Bank => Bodies::Bank { owners: owners.into() },
            AppName::Set => Bodies::Set,
        }
    }

    /// Likewise, with so many bytes of values in the store before.
    pub(super) fn after_filling(self, bytes: u64) -> Bodies {
        match self {
            Bodies::Kv { value_bytes, .. } => Bodies::Kv { value_bytes, fill_bytes: bytes },
            other => other,
        }
    }

    /// Where they are posted to.
    pub fn path(&self) -> &'static str {
        match self {
            Bodies::Data(_) => "/preprepare",
            Bodies::Kv { .. } => "/api/v1/kv",
            Bodies::Bank { .. } => "/api/v1/bank/transfer",
            Bodies::Set => "/api/v1/set",
        }
    }

    /// The body of one request, for the node that takes it.
    pub fn body(&self, request: u64, owner: u16) -> Bytes {
        match self {
            Bodies::Data(bodies) => bodies.body(request),
            Bodies::Kv { value_bytes, .. } => put(workload::put(request, *value_bytes)).1,
            Bodies::Bank { owners } => match workload::transfer(request, owner, owners) {
                BankOperation::Transfer { from, to, amount } => {
                    json(&Transfer { from: from.into(), to: to.into(), amount })
                }
                other => unreachable!("{other:?} is no transfer"),
            },
            Bodies::Set => match workload::addition(request) {
                SetOperation::Add { member } => json(&Add { member: member.into() }),
                other => unreachable!("{other:?} is no addition"),
            },
        }
    }
}

/// Where something is posted to, and what.
pub(super) type Post = (&'static str, Bytes);

impl Bodies {
    /// What the body of one request asks for, in the application's own encoding.
    pub(super) fn operation(&self, request: u64, owner: u16) -> Operation {
        match self {
            Bodies::Data(bodies) => Operation::new(bodies.data(&bodies.body(request))),
            Bodies::Kv { value_bytes, .. } => workload::put(request, *value_bytes).encode(),
            Bodies::Bank { owners } => workload::transfer(request, owner, owners).encode(),
            Bodies::Set => workload::addition(request).encode(),
        }
    }

    /// What must be decided before the requests, in stages that follow each other.
    pub(super) fn operations_before(&self) -> Vec<Vec<Operation>> {
        let Bodies::Bank { owners } = self else { return vec![] };
        let encode = |stage: Vec<(u16, BankOperation)>| {
            stage.iter().map(|(_, operation)| operation.encode()).collect()
        };
        workload::preparation(owners).into_iter().map(encode).collect()
    }

    /// The same as posts, one stage after the other, each with the node that takes it; none if any can.
    pub(super) fn preparation(&self) -> Box<dyn Iterator<Item = Vec<(Option<u16>, Post)>>> {
        match self {
            Bodies::Data(_) | Bodies::Set => Box::new(std::iter::empty()),
            Bodies::Kv { fill_bytes, .. } => {
                let mut puts = workload::fill(*fill_bytes).map(|fill| (None, put(fill)));
                let stage = move || Some(puts.by_ref().take(PUTS_PER_STAGE).collect::<Vec<_>>());
                Box::new(std::iter::from_fn(stage).take_while(|stage| !stage.is_empty()))
            }
            Bodies::Bank { owners } => {
                let post = |(owner, operation)| (Some(owner), open_or_deposit(operation));
                let stages = workload::preparation(owners).into_iter();
                Box::new(stages.map(move |stage| stage.into_iter().map(post).collect()))
            }
        }
    }
}

/// Puts that fill a store and are in flight together.
const PUTS_PER_STAGE: usize = 100;

fn put(operation: KvOperation) -> Post {
    match operation {
        KvOperation::Put { key, value } => {
            ("/api/v1/kv", json(&Put { key: key.into(), value: value.into() }))
        }
        other => unreachable!("{other:?} is no put"),
    }
}

fn open_or_deposit(operation: BankOperation) -> Post {
    match operation {
        BankOperation::Open { account } => ("/api/v1/bank/accounts", json(&Open { account: account.into() })),
        BankOperation::Deposit { account, amount } => {
            ("/api/v1/bank/deposit", json(&Payment { account: account.into(), amount }))
        }
        other => unreachable!("{other:?} prepares nothing"),
    }
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("a body is plain data").into()
}

/// Bodies of data: the same random printable text, stamped with the request's
/// number as far as there is room, so that requests differ.
#[derive(Clone, Debug)]
pub struct DataBodies {
    template: Arc<[u8]>,
    stamp_bytes: usize,
}

const BODY_START: &[u8] = b"{\"data\":\"";
const BODY_END: &[u8] = b"\"}";

impl DataBodies {
    fn new(payload_bytes: usize, seed: u64) -> DataBodies {
        let printable: Vec<u8> = (b' '..=b'~').filter(|c| !b"\"\\".contains(c)).collect();
        let mut choice = SeededChoice::new(seed);
        let mut template = BODY_START.to_vec();
        template.extend((0..payload_bytes).map(|_| printable[choice.below(printable.len() as u64) as usize]));
        template.extend_from_slice(BODY_END);
        DataBodies { template: template.into(), stamp_bytes: payload_bytes.min(6) }
    }

    /// The data in one of these bodies.
    fn data<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        &body[BODY_START.len()..self.template.len() - BODY_END.len()]
    }

    fn body(&self, request: u64) -> Bytes {
        let mut body = self.template.to_vec();
        let mut rest = request;
        for byte in &mut body[BODY_START.len()..BODY_START.len() + self.stamp_bytes] {
            *byte = workload::CHARACTERS[(rest % 64) as usize];
            rest /= 64;
        }
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_exactly_the_payload_and_differ() {
        for payload in [1, 5, 6, 100, 1_000_000] {
            let bodies = Bodies::new(AppName::Opaque, payload, 7, &[0]);
            let data = |request| -> String {
                let json: serde_json::Value = serde_json::from_slice(&bodies.body(request, 0)).unwrap();
                json["data"].as_str().unwrap().to_string()
            };
            assert_eq!(data(0).len(), payload);
            assert_ne!(data(0), data(1));
            assert_eq!(data(3), data(3));
            assert_eq!(&*bodies.operation(3, 0).0, data(3).as_bytes());
        }
        assert_ne!(
            Bodies::new(AppName::Opaque, 100, 1, &[0]).body(0, 0),
            Bodies::new(AppName::Opaque, 100, 2, &[0]).body(0, 0)
        );
    }
}
