//! A bank without consensus: only the owner of an account draws on it, so only the
//! order of one actor's operations matters (Guerraoui et al., *The Consensus Number of a
//! Cryptocurrency*, PODC 2019; *AT2*, 2018).

use crate::data::DataType;
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An account: its owner, who alone draws on it, and a name among the owner's. Two actors
/// never compete for one account, which would need consensus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is.
    pub owner: ReplicaId,
    /// Which of the owner's, at most [`MAX_NAME_BYTES`].
    pub name: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Bytes of an account's name, at most; at least one.
pub const MAX_NAME_BYTES: usize = 100;

/// What the bank is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BankOperation {
    /// Opens an account of the actor's with money in it.
    Open {
        /// Which of the actor's.
        name: String,
        /// What is in it at first.
        balance: u64,
    },
    /// Moves money from an account of the actor's to anybody's.
    Transfer {
        /// Which of the actor's.
        from: String,
        /// Where to.
        to: Account,
        /// How much.
        amount: u64,
    },
    /// Reads an account.
    Balance {
        /// Whose and which.
        account: Account,
    },
}

/// What the bank answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BankOutput {
    /// The account is open.
    Opened,
    /// The money was moved.
    Transferred,
    /// What is in the account, as far as the member that answers has got.
    Balance(i128),
    /// Nothing was done.
    Refused(BankRefusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum BankRefusal {
    /// These bytes are no operation of this bank.
    #[error("this is no operation of the bank")]
    NotAnOperation,
    /// A name is empty or too long.
    #[error("the name of an account has 1 to {MAX_NAME_BYTES} bytes")]
    BadName,
    /// There is such an account.
    #[error("the actor has an account of this name")]
    AccountExists,
    /// There is none.
    #[error("there is no such account; its owner must open it first")]
    UnknownAccount,
    /// Payer and payee are one.
    #[error("both accounts are the same")]
    SameAccount,
    /// There is less in the account.
    #[error("there is less than that in the account")]
    Overdraft,
}

impl BankOperation {
    /// As it is broadcast.
    pub fn encode(&self) -> Operation {
        Operation::new(&postcard::to_stdvec(self).expect("an operation is plain data"))
    }

    fn decode(operation: &Operation) -> Result<BankOperation, BankRefusal> {
        postcard::from_bytes(&operation.0).map_err(|_| BankRefusal::NotAnOperation)
    }
}

impl BankOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        Output::new(&postcard::to_stdvec(self).expect("an output is plain data"))
    }

    /// What a member answered; none if these bytes are no answer of this bank.
    pub fn decode(output: &Output) -> Option<BankOutput> {
        postcard::from_bytes(&output.0).ok()
    }
}

/// The bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bank {
    /// Never below zero while the rules hold; what is proven is not checked again.
    accounts: BTreeMap<Account, i128>,
}

impl Bank {
    /// All accounts and what is in them.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, i128)> {
        self.accounts.iter().map(|(account, balance)| (account, *balance))
    }

    /// All money in all accounts.
    pub fn total(&self) -> i128 {
        self.accounts.values().sum()
    }

    fn balance(&self, account: &Account) -> Result<i128, BankRefusal> {
        self.accounts.get(account).copied().ok_or(BankRefusal::UnknownAccount)
    }

    fn check(&self, actor: ReplicaId, operation: &Operation) -> Result<(), BankRefusal> {
        match BankOperation::decode(operation)? {
            BankOperation::Open { name, .. } if !(1..=MAX_NAME_BYTES).contains(&name.len()) => {
                Err(BankRefusal::BadName)
            }
            BankOperation::Open { name, .. } => match self.balance(&Account { owner: actor, name }) {
                Ok(_) => Err(BankRefusal::AccountExists),
                Err(_) => Ok(()),
            },
            BankOperation::Transfer { from, to, amount } => {
                let from = Account { owner: actor, name: from };
                let there_is = self.balance(&from)?;
                self.balance(&to)?;
                if from == to {
                    return Err(BankRefusal::SameAccount);
                }
                if there_is < i128::from(amount) { Err(BankRefusal::Overdraft) } else { Ok(()) }
            }
            // It is not for others to agree on.
            BankOperation::Balance { .. } => Err(BankRefusal::NotAnOperation),
        }
    }
}

impl DataType for Bank {
    fn validate(&self, actor: ReplicaId, operation: &Operation) -> Result<(), Output> {
        self.check(actor, operation).map_err(|refusal| BankOutput::Refused(refusal).encode())
    }

    fn apply(&mut self, actor: ReplicaId, operation: &Operation) -> Output {
        let output = match BankOperation::decode(operation) {
            Ok(BankOperation::Open { name, balance }) => {
                self.accounts.insert(Account { owner: actor, name }, balance.into());
                BankOutput::Opened
            }
            Ok(BankOperation::Transfer { from, to, amount }) => {
                *self.accounts.entry(Account { owner: actor, name: from }).or_default() -= i128::from(amount);
                *self.accounts.entry(to).or_default() += i128::from(amount);
                BankOutput::Transferred
            }
            Ok(BankOperation::Balance { .. }) | Err(_) => BankOutput::Refused(BankRefusal::NotAnOperation),
        };
        output.encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let Ok(BankOperation::Balance { account }) = BankOperation::decode(operation) else { return None };
        let output = match self.balance(&account) {
            Ok(balance) => BankOutput::Balance(balance),
            Err(refusal) => BankOutput::Refused(refusal),
        };
        Some(output.encode())
    }
}
