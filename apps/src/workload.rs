//! What clients that measure ask of an application: the same requests for the load
//! generator and for the simulator.

use crate::{AppName, BankOperation, KvOperation, Service};
use kernel::Application as _;

/// Keys that puts are spread over.
const KEYS: u64 = 10_000;
/// Bytes of each value that fills a store.
const FILLING_BYTES: usize = 100_000;
/// Accounts that transfers are spread over.
const ACCOUNTS: u64 = 1_000;
/// What is paid into each account before: enough for every transfer.
const FUNDS: u64 = 1 << 40;
/// 64 characters that JSON takes as they are.
pub const CHARACTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// A number that looks like any other, always the same for the same request (the
/// finalizer of splitmix64).
fn mixed(request: u64) -> u64 {
    let mut word = request.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The put of a request: a value of exactly `value_bytes` bytes that no other request has
/// as far as there is room for its number, under one of 10,000 keys.
pub fn put(request: u64, value_bytes: usize) -> KvOperation {
    let mut value = Vec::with_capacity(value_bytes + 11);
    let mut rest = request;
    while value.len() < value_bytes {
        value.push(CHARACTERS[(rest % 64) as usize]);
        rest = if value.len() % 11 == 0 { mixed(request ^ value.len() as u64) } else { rest / 64 };
    }
    let value = String::from_utf8(value).expect("only ASCII characters");
    KvOperation::Put { key: format!("key {}", mixed(request) % KEYS), value }
}

/// What fills a store before its requests: values of 100 kB under keys that no request
/// has, of at least so many bytes together.
pub fn fill(bytes: u64) -> impl Iterator<Item = KvOperation> {
    let one = |number| match put(number, FILLING_BYTES) {
        KvOperation::Put { value, .. } => KvOperation::Put { key: format!("filling {number}"), value },
        other => other,
    };
    (0..bytes.div_ceil(FILLING_BYTES as u64)).map(one)
}

/// The transfer of a request: 1 from one account to another.
pub fn transfer(request: u64) -> BankOperation {
    let from = mixed(request) % ACCOUNTS;
    let to = (from + 1 + mixed(!request) % (ACCOUNTS - 1)) % ACCOUNTS;
    BankOperation::Transfer { from: account(from), to: account(to), amount: 1 }
}

fn account(number: u64) -> String {
    format!("account {number}")
}

/// What has to be done before there can be transfers: first all accounts are opened, then
/// each is paid into.
pub fn preparation() -> [Vec<BankOperation>; 2] {
    let open = |number| BankOperation::Open { account: account(number) };
    let pay = |number| BankOperation::Deposit { account: account(number), amount: FUNDS };
    [(0..ACCOUNTS).map(open).collect(), (0..ACCOUNTS).map(pay).collect()]
}

/// An application that is prepared for its requests.
pub fn prepared(app: AppName) -> Service {
    let mut service = Service::new(app);
    if app == AppName::Bank {
        for operation in preparation().iter().flatten() {
            service.execute(&operation.encode());
        }
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BankOutput, KvOutput};
    use std::collections::BTreeSet;

    #[test]
    fn values_have_their_size_and_differ() {
        let value = |request, bytes| match put(request, bytes) {
            KvOperation::Put { value, .. } => value,
            other => panic!("{other:?}"),
        };
        for bytes in [1, 11, 12, 100, 10_000] {
            assert_eq!(value(7, bytes).len(), bytes);
            let distinct: BTreeSet<String> = (0..50).map(|request| value(request, bytes)).collect();
            assert_eq!(distinct.len(), 50, "{bytes} bytes");
        }
    }

    #[test]
    fn a_filling_has_its_size_and_keys_of_its_own() {
        let bytes = |operation| match operation {
            KvOperation::Put { key, value } if key.starts_with("filling ") => value.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fill(250_000).map(bytes).sum::<usize>(), 300_000);
        assert_eq!(fill(0).count(), 0);
    }

    #[test]
    fn every_put_is_stored_and_every_transfer_done() {
        let (mut kv, mut bank) = (prepared(AppName::Kv), prepared(AppName::Bank));
        for request in 0..5_000 {
            let stored = kv.execute(&put(request, 20).encode());
            assert!(matches!(KvOutput::decode(&stored), Some(KvOutput::Stored { .. })));
            let done = bank.execute(&transfer(request).encode());
            assert!(
                matches!(BankOutput::decode(&done), Some(BankOutput::Balance(_))),
                "{:?}",
                transfer(request)
            );
        }
    }
}
