//! What the application of a replica holds, read as any client reads it.

use apps::{AppName, BankOperation, BankOutput, KvOperation, KvOutput, MAX_LISTED, SetOperation, SetOutput};
use kernel::{Operation, Reading};
use std::collections::{BTreeMap, BTreeSet};

/// What stands beside each member of a set.
const MEMBER: &str = "in the set";
/// Applications that hold more entries are not read: nobody could look at them.
pub const MAX_ENTRIES: usize = MAX_LISTED as usize;

/// Reads the applications of a run's replicas.
#[derive(Clone, Debug)]
pub struct Contents {
    app: AppName,
    /// Accounts that a request has named: a bank does not list them.
    accounts: BTreeSet<String>,
}

/// What an application holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing that could be read: a log that is not interpreted, or a state that is known
    /// to be wrong.
    Unknown,
    /// More than [`MAX_ENTRIES`] or a megabyte.
    TooMuch,
    /// All of it.
    Entries {
        /// The last slot executed in this state.
        as_of: u64,
        /// Values by key, or balances by account; of a set `in the set` by member.
        entries: BTreeMap<String, String>,
    },
}

impl Contents {
    /// Of replicas of this application.
    pub fn new(app: AppName) -> Contents {
        Contents { app, accounts: BTreeSet::new() }
    }

    /// Takes notice of what a client asks for.
    pub fn learn(&mut self, operation: &Operation) {
        // One more than can be shown is enough to know that there are too many.
        if self.app != AppName::Bank || self.accounts.len() > MAX_ENTRIES {
            return;
        }
        match BankOperation::decode(operation) {
            Ok(BankOperation::Transfer { from, to, .. }) => self.accounts.extend([from, to]),
            Ok(
                BankOperation::Open { account }
                | BankOperation::Deposit { account, .. }
                | BankOperation::Withdraw { account, .. }
                | BankOperation::Balance { account },
            ) => drop(self.accounts.insert(account)),
            Err(_) => {}
        }
    }

    /// What an application holds; `ask` reads from a replica's own state
    /// ([`kernel::Protocol::query`]).
    pub fn read(&self, ask: impl Fn(&Operation) -> Option<Reading>) -> Held {
        match self.app {
            AppName::Opaque => Held::Unknown,
            AppName::Kv => listed(&ask),
            AppName::Bank => balances(&self.accounts, &ask),
            AppName::Set => members(&ask),
        }
    }
}

/// All keys and values of a key-value store.
fn listed(ask: &impl Fn(&Operation) -> Option<Reading>) -> Held {
    let list = KvOperation::List { prefix: String::new(), after: None, limit: MAX_LISTED };
    let Some(reading) = ask(&list.encode()) else { return Held::Unknown };
    match KvOutput::decode(&reading.output) {
        Some(KvOutput::Listed { more: true, .. }) => Held::TooMuch,
        Some(KvOutput::Listed { entries, .. }) => {
            Held::Entries { as_of: reading.as_of.0, entries: entries.into_iter().collect() }
        }
        _ => Held::Unknown,
    }
}

/// All members of a set.
fn members(ask: &impl Fn(&Operation) -> Option<Reading>) -> Held {
    let list = SetOperation::List { prefix: String::new(), after: None, limit: MAX_LISTED };
    let Some(reading) = ask(&list.encode()) else { return Held::Unknown };
    match SetOutput::decode(&reading.output) {
        Some(SetOutput::Listed { more: true, .. }) => Held::TooMuch,
        Some(SetOutput::Listed { members, .. }) => {
            let entries = members.into_iter().map(|member| (member, MEMBER.into())).collect();
            Held::Entries { as_of: reading.as_of.0, entries }
        }
        _ => Held::Unknown,
    }
}

/// The balances of these accounts of a bank, as far as they are open.
fn balances(accounts: &BTreeSet<String>, ask: &impl Fn(&Operation) -> Option<Reading>) -> Held {
    if accounts.len() > MAX_ENTRIES {
        return Held::TooMuch;
    }
    let (mut as_of, mut entries) = (0, BTreeMap::new());
    for account in accounts {
        let balance = BankOperation::Balance { account: account.clone() };
        let Some(reading) = ask(&balance.encode()) else { return Held::Unknown };
        as_of = reading.as_of.0;
        if let Some(BankOutput::Balance(balance)) = BankOutput::decode(&reading.output) {
            entries.insert(account.clone(), balance.to_string());
        }
    }
    Held::Entries { as_of, entries }
}
