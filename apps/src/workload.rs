//! What clients that measure ask of an application: the same requests for the load
//! generator and for the simulator.

use crate::{AppName, BankOperation, KvOperation, Service, SetOperation};
use kernel::Application as _;

/// Keys that puts are spread over.
const KEYS: u64 = 10_000;
/// Bytes of each value that fills a store.
const FILLING_BYTES: usize = 100_000;
/// Accounts that transfers are spread over, or as many of them as all owners have alike.
const ACCOUNTS: u64 = 1_000;
/// Members that additions are spread over.
const MEMBERS: u64 = 1_000;
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

/// The transfer of a request: 1 from an account of `owner` to another account, of any of `owners`. `owner` is one of
/// them: the node that takes the request.
///
/// # Panics
///
/// If it is not.
pub fn transfer(request: u64, owner: u16, owners: &[u16]) -> BankOperation {
    let place = owners.iter().position(|one| *one == owner).expect("the owner is one of the owners") as u64;
    let (of_each, all) = (accounts_of_each(owners), accounts_of_each(owners) * owners.len() as u64);
    let from = mixed(request) % of_each * owners.len() as u64 + place;
    let to = (from + 1 + mixed(!request) % (all - 1)) % all;
    BankOperation::Transfer { from: account(from, owners).1, to: account(to, owners).1, amount: 1 }
}

/// The addition of a request: one of 1,000 members, which others add as well. Nothing is removed: whether a removal is
/// refused depends on what came before it, and requests in flight have no order.
pub fn addition(request: u64) -> SetOperation {
    SetOperation::Add { member: format!("member {}", mixed(request) % MEMBERS) }
}

/// Accounts of each owner; at least two, as there is no transfer within one.
fn accounts_of_each(owners: &[u16]) -> u64 {
    (ACCOUNTS / owners.len() as u64).max(2)
}

/// An account, by number: its owner, and its name, which begins with the owner. Owners have every account in turn.
fn account(number: u64, owners: &[u16]) -> (u16, String) {
    let owner = owners[(number % owners.len() as u64) as usize];
    (owner, format!("{owner}/account {number}"))
}

/// What has to be done before there can be transfers, each operation by the owner that it is with: first all accounts
/// are opened, then each is paid into.
pub fn preparation(owners: &[u16]) -> [Vec<(u16, BankOperation)>; 2] {
    let open = |(owner, account)| (owner, BankOperation::Open { account });
    let pay = |(owner, account)| (owner, BankOperation::Deposit { account, amount: FUNDS });
    let accounts =
        || (0..accounts_of_each(owners) * owners.len() as u64).map(|number| account(number, owners));
    [accounts().map(open).collect(), accounts().map(pay).collect()]
}

/// An application that is prepared for its requests, which these nodes take.
pub fn prepared(app: AppName, owners: &[u16]) -> Service {
    let mut service = Service::new(app);
    if app == AppName::Bank {
        for (_, operation) in preparation(owners).iter().flatten() {
            service.execute(&operation.encode());
        }
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BankOutput, KvOutput, SetOutput};
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
    fn every_put_is_stored_every_transfer_done_and_every_member_added() {
        let mut kv = prepared(AppName::Kv, &[0]);
        for request in 0..5_000 {
            let stored = kv.execute(&put(request, 20).encode());
            assert!(matches!(KvOutput::decode(&stored), Some(KvOutput::Stored { .. })));
        }
        let mut set = prepared(AppName::Set, &[0]);
        for request in 0..5_000 {
            let added = set.execute(&addition(request).encode());
            assert_eq!(SetOutput::decode(&added), Some(SetOutput::Added));
        }
        for owners in [vec![0], vec![2], vec![0, 1, 3], (0..1_500).collect()] {
            let mut bank = prepared(AppName::Bank, &owners);
            for (request, owner) in (0..5_000).zip(owners.iter().cycle()) {
                let transfer = transfer(request, *owner, &owners);
                let done = bank.execute(&transfer.encode());
                assert!(matches!(BankOutput::decode(&done), Some(BankOutput::Balance(_))), "{transfer:?}");
                let BankOperation::Transfer { from, .. } = transfer else { panic!("{transfer:?}") };
                assert!(from.starts_with(&format!("{owner}/")), "{from} is not {owner}'s");
            }
        }
    }
}
