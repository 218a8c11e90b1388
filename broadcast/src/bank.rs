//! A bank without consensus: only the owner of an account draws on it, so only the
//! order of one actor's operations matters (Guerraoui et al., *The Consensus Number of a
//! Cryptocurrency*, PODC 2019; *AT2*, 2018).
//!
//! It takes the operations of the bank that consensus replicates ([`BankOperation`]), so that the same transfers
//! can be had from both. An account is named after its owner: `0/alice` is node 0's. Two actors never compete for
//! one account or its name, which would need consensus.

use crate::data::DataType;
use crate::shared_map::SharedMap;
use apps::{BankOperation, BankOutput, BankRefusal};
use kernel::{Operation, Output, ReplicaId};
use serde::{Deserialize, Serialize};

/// The bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bank {
    /// Never below zero while the rules hold; what is proven is not checked again. Members try operations on copies.
    accounts: SharedMap<i128>,
}

/// Whose an account is.
fn owner(account: &str) -> Result<ReplicaId, BankRefusal> {
    let (owner, name) = account.split_once('/').ok_or(BankRefusal::NoOwner)?;
    // One account has one name: 0/alice is not written 00/alice.
    let number = owner.parse::<u16>().ok().filter(|number| number.to_string() == owner && !name.is_empty());
    number.map(ReplicaId).ok_or(BankRefusal::NoOwner)
}

/// Refuses an actor that does not own the account.
fn check_owner(actor: ReplicaId, account: &str) -> Result<(), BankRefusal> {
    let owner = owner(account)?;
    if owner == actor { Ok(()) } else { Err(BankRefusal::NotTheOwner { owner: owner.0 }) }
}

/// Refuses to take more out of an account than is in it.
fn check_funds(balance: i128, amount: u64) -> Result<(), BankRefusal> {
    if balance >= amount.into() {
        return Ok(());
    }
    Err(BankRefusal::Overdraft { balance: u64::try_from(balance).unwrap_or(0) })
}

impl Bank {
    /// All accounts and what is in them.
    pub fn balances(&self) -> impl Iterator<Item = (&str, i128)> {
        self.accounts.iter().map(|(account, balance)| (account, *balance))
    }

    /// All money in all accounts.
    pub fn total(&self) -> i128 {
        self.balances().map(|(_, balance)| balance).sum()
    }

    fn balance(&self, account: &str) -> Result<i128, BankRefusal> {
        self.accounts.get(account).copied().ok_or(BankRefusal::UnknownAccount { receiver: false })
    }

    fn check(&self, actor: ReplicaId, operation: &Operation) -> Result<(), BankRefusal> {
        match BankOperation::decode(operation)? {
            BankOperation::Open { account } => {
                check_owner(actor, &account)?;
                if self.accounts.get(&account).is_some() { Err(BankRefusal::AccountExists) } else { Ok(()) }
            }
            BankOperation::Deposit { account, .. } => {
                owner(&account)?;
                self.balance(&account).map(drop)
            }
            BankOperation::Withdraw { account, amount } => {
                check_owner(actor, &account)?;
                check_funds(self.balance(&account)?, amount)
            }
            BankOperation::Transfer { from, to, amount } => {
                check_owner(actor, &from)?;
                owner(&to)?;
                let balance = self.balance(&from)?;
                self.balance(&to).map_err(|_| BankRefusal::UnknownAccount { receiver: true })?;
                if from == to {
                    return Err(BankRefusal::SameAccount);
                }
                check_funds(balance, amount)
            }
            // What is in an account depends on what others pay, which has no order with this.
            BankOperation::Balance { .. } => Err(BankRefusal::NoOrder),
        }
    }

    /// Adds to an account, or takes from it. There it is: members wait for the batch that opens it.
    fn add(&mut self, account: &str, amount: i128) {
        *self.accounts.get_mut(account) += amount;
    }
}

impl DataType for Bank {
    fn validate(&self, actor: ReplicaId, operation: &Operation) -> Result<(), Output> {
        self.check(actor, operation).map_err(|refusal| BankOutput::Refused(refusal).encode())
    }

    fn apply(&mut self, _: ReplicaId, operation: &Operation) -> Output {
        let output = match BankOperation::decode(operation) {
            Ok(BankOperation::Open { account }) => {
                *self.accounts.get_mut(&account) = 0;
                BankOutput::Opened
            }
            Ok(BankOperation::Deposit { account, amount }) => {
                self.add(&account, amount.into());
                BankOutput::Done
            }
            Ok(BankOperation::Withdraw { account, amount }) => {
                self.add(&account, -i128::from(amount));
                BankOutput::Done
            }
            Ok(BankOperation::Transfer { from, to, amount }) => {
                self.add(&from, -i128::from(amount));
                self.add(&to, amount.into());
                BankOutput::Done
            }
            Ok(BankOperation::Balance { .. }) => BankOutput::Refused(BankRefusal::NoOrder),
            Err(refusal) => BankOutput::Refused(refusal),
        };
        output.encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let Ok(BankOperation::Balance { account }) = BankOperation::decode(operation) else { return None };
        let balance = self.balance(&account);
        let balance = balance.and_then(|balance| u64::try_from(balance).map_err(|_| BankRefusal::Overflow));
        Some(balance.map_or_else(BankOutput::Refused, BankOutput::Balance).encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_after_its_owner() {
        assert_eq!(owner("0/alice"), Ok(ReplicaId(0)));
        assert_eq!(owner("17/a/b"), Ok(ReplicaId(17)));
        for name in ["alice", "/alice", "a/alice", "00/alice", "+1/alice", "65536/alice", "1/", ""] {
            assert_eq!(owner(name), Err(BankRefusal::NoOwner), "{name:?}");
        }
    }

    #[test]
    fn an_account_with_more_than_can_be_said_is_not_read_wrong() {
        let mut bank = Bank::default();
        let account = || String::from("0/a");
        let deposit = BankOperation::Deposit { account: account(), amount: u64::MAX }.encode();
        bank.apply(ReplicaId(0), &BankOperation::Open { account: account() }.encode());
        let read = |bank: &Bank| {
            BankOutput::decode(&bank.query(&BankOperation::Balance { account: account() }.encode()).unwrap())
        };
        for balance in [BankOutput::Balance(u64::MAX), BankOutput::Refused(BankRefusal::Overflow)] {
            bank.validate(ReplicaId(0), &deposit).unwrap();
            bank.apply(ReplicaId(0), &deposit);
            assert_eq!(read(&bank), Some(balance));
        }
        let withdraw = BankOperation::Withdraw { account: account(), amount: u64::MAX }.encode();
        bank.validate(ReplicaId(0), &withdraw).unwrap();
        bank.apply(ReplicaId(0), &withdraw);
        assert_eq!(read(&bank), Some(BankOutput::Balance(u64::MAX)));
    }
}
