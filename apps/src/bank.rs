//! A bank: accounts with whole amounts.

use crate::codec;
use crate::table::Table;
use kernel::{Application, Chunk, Operation, Output};
use serde::{Deserialize, Serialize};

/// The name of an account has at most so many bytes.
pub const MAX_ACCOUNT_BYTES: usize = 256;

/// What a client asks of the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BankOperation {
    /// Opens an account without money.
    Open {
        /// Its name.
        account: String,
    },
    /// Pays money in.
    Deposit {
        /// The account.
        account: String,
        /// How much.
        amount: u64,
    },
    /// Takes money out.
    Withdraw {
        /// The account.
        account: String,
        /// How much.
        amount: u64,
    },
    /// Moves money from one account to another.
    Transfer {
        /// Whose it is.
        from: String,
        /// Whose it becomes.
        to: String,
        /// How much.
        amount: u64,
    },
    /// How much is in the account?
    Balance {
        /// The account.
        account: String,
    },
}

/// What the bank answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BankOutput {
    /// The account was opened.
    Opened,
    /// It was done, or asked: what is in the account now; after a transfer, in the one
    /// that paid.
    Balance(u64),
    /// It was not done.
    Refused(BankRefusal),
    /// It was done. What is in the account now is not said, where payments by others have no order with it.
    Done,
}

/// Why an operation is not done. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BankRefusal {
    /// These bytes are no operation of a bank.
    #[error("this is no operation of a bank")]
    NotAnOperation,
    /// The account's name is empty or too long.
    #[error("an account's name has 1 to {MAX_ACCOUNT_BYTES} bytes")]
    BadName,
    /// There is an account of this name.
    #[error("there is already an account of this name")]
    AccountExists,
    /// There is no such account.
    #[error("there is no account {}; open it first", if *.receiver { "to pay to" } else { "of this name" })]
    UnknownAccount {
        /// Whether it is the one that a transfer should go to.
        receiver: bool,
    },
    /// A transfer from an account to itself.
    #[error("both accounts are the same")]
    SameAccount,
    /// There is less in the account.
    #[error("there is only {balance} in the account")]
    Overdraft {
        /// What is in it.
        balance: u64,
    },
    /// The account would hold more than can be counted.
    #[error("the account would hold more than {}", u64::MAX)]
    Overflow,
    /// Without consensus an account has one owner, whom its name says.
    #[error("without consensus an account has one owner, a node, and is named after it: 0/alice is node 0's")]
    NoOwner,
    /// Another node's client draws on it.
    #[error("the account is node {owner}'s, which alone opens it and draws on it; ask node {owner}")]
    NotTheOwner {
        /// Whose it is.
        owner: u16,
    },
    /// There is no order in which it could be read.
    #[error("without consensus a read has no place in an order; ask for what one node has, below /local")]
    NoOrder,
}

impl BankOperation {
    /// As it is ordered.
    pub fn encode(&self) -> Operation {
        codec::operation(self)
    }

    /// What these bytes ask for.
    ///
    /// # Errors
    ///
    /// What the bank answers to them as well.
    pub fn decode(operation: &Operation) -> Result<BankOperation, BankRefusal> {
        let operation: BankOperation = codec::read(&operation.0).ok_or(BankRefusal::NotAnOperation)?;
        operation.check()?;
        Ok(operation)
    }

    /// Whether the names are such.
    ///
    /// # Errors
    ///
    /// [`BankRefusal::BadName`] if one is not.
    pub fn check(&self) -> Result<(), BankRefusal> {
        let is_name = |name: &str| (1..=MAX_ACCOUNT_BYTES).contains(&name.len());
        let are_names = match self {
            BankOperation::Transfer { from, to, .. } => is_name(from) && is_name(to),
            BankOperation::Open { account }
            | BankOperation::Deposit { account, .. }
            | BankOperation::Withdraw { account, .. }
            | BankOperation::Balance { account } => is_name(account),
        };
        if are_names { Ok(()) } else { Err(BankRefusal::BadName) }
    }
}

impl BankOutput {
    /// As it is answered.
    pub fn encode(&self) -> Output {
        codec::output(self)
    }

    /// What a replica answered; none if these bytes are no answer of this bank.
    pub fn decode(output: &Output) -> Option<BankOutput> {
        codec::read(&output.0)
    }
}

/// The bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bank {
    accounts: Table<u64>,
}

impl Bank {
    /// All accounts and what is in them, in the order of their names.
    pub fn balances(&self) -> impl Iterator<Item = (&str, u64)> {
        self.accounts.with_prefix("", None).map(|(account, balance)| (&**account, *balance))
    }

    /// All money in all accounts.
    pub fn total(&self) -> u128 {
        self.balances().map(|(_, balance)| u128::from(balance)).sum()
    }

    fn balance(&self, account: &str) -> Result<u64, BankRefusal> {
        self.accounts.get(account).copied().ok_or(BankRefusal::UnknownAccount { receiver: false })
    }

    /// Sets what is in an account.
    fn set(&mut self, account: &str, balance: u64) -> BankOutput {
        self.accounts.insert(account, balance);
        BankOutput::Balance(balance)
    }

    fn apply(&mut self, operation: BankOperation) -> Result<BankOutput, BankRefusal> {
        let less =
            |balance: u64, amount| balance.checked_sub(amount).ok_or(BankRefusal::Overdraft { balance });
        let more = |balance: u64, amount| balance.checked_add(amount).ok_or(BankRefusal::Overflow);
        Ok(match operation {
            BankOperation::Open { account } => {
                if self.accounts.get(&account).is_some() {
                    return Err(BankRefusal::AccountExists);
                }
                self.accounts.insert(&account, 0);
                BankOutput::Opened
            }
            BankOperation::Deposit { account, amount } => {
                let balance = more(self.balance(&account)?, amount)?;
                self.set(&account, balance)
            }
            BankOperation::Withdraw { account, amount } => {
                let balance = less(self.balance(&account)?, amount)?;
                self.set(&account, balance)
            }
            BankOperation::Transfer { from, to, amount } => {
                let payer = self.balance(&from)?;
                let receiver =
                    *self.accounts.get(&to).ok_or(BankRefusal::UnknownAccount { receiver: true })?;
                if from == to {
                    return Err(BankRefusal::SameAccount);
                }
                let (payer, receiver) = (less(payer, amount)?, more(receiver, amount)?);
                self.set(&to, receiver);
                self.set(&from, payer)
            }
            BankOperation::Balance { account } => BankOutput::Balance(self.balance(&account)?),
        })
    }
}

impl Application for Bank {
    fn execute(&mut self, operation: &Operation) -> Output {
        let output = BankOperation::decode(operation).and_then(|operation| self.apply(operation));
        output.unwrap_or_else(BankOutput::Refused).encode()
    }

    fn query(&self, operation: &Operation) -> Option<Output> {
        let BankOperation::Balance { account } = BankOperation::decode(operation).ok()? else {
            return None;
        };
        Some(self.balance(&account).map_or_else(BankOutput::Refused, BankOutput::Balance).encode())
    }

    fn snapshot(&mut self) -> Vec<Chunk> {
        self.accounts.snapshot()
    }

    fn restore(chunks: &[Chunk]) -> Option<Bank> {
        Some(Bank { accounts: Table::restore(chunks, None)? })
    }

    fn restore_over(&self, chunks: &[Chunk]) -> Option<Bank> {
        Some(Bank { accounts: Table::restore(chunks, Some(&self.accounts))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(bank: &mut Bank, operation: &BankOperation) -> BankOutput {
        BankOutput::decode(&bank.execute(&operation.encode())).unwrap()
    }

    fn open(account: &str) -> BankOperation {
        BankOperation::Open { account: account.into() }
    }

    fn deposit(account: &str, amount: u64) -> BankOperation {
        BankOperation::Deposit { account: account.into(), amount }
    }

    fn withdraw(account: &str, amount: u64) -> BankOperation {
        BankOperation::Withdraw { account: account.into(), amount }
    }

    fn transfer(from: &str, to: &str, amount: u64) -> BankOperation {
        BankOperation::Transfer { from: from.into(), to: to.into(), amount }
    }

    fn balance(account: &str) -> BankOperation {
        BankOperation::Balance { account: account.into() }
    }

    #[test]
    fn every_operation_has_its_answer() {
        use BankOutput::{Balance, Opened, Refused};
        let unknown = |receiver| Refused(BankRefusal::UnknownAccount { receiver });
        let mut bank = Bank::default();
        for (operation, answer) in [
            (open("a"), Opened),
            (open("a"), Refused(BankRefusal::AccountExists)),
            (open("b"), Opened),
            (balance("a"), Balance(0)),
            (deposit("a", 100), Balance(100)),
            (withdraw("a", 101), Refused(BankRefusal::Overdraft { balance: 100 })),
            (withdraw("a", 30), Balance(70)),
            (transfer("a", "b", 50), Balance(20)),
            (transfer("a", "b", 21), Refused(BankRefusal::Overdraft { balance: 20 })),
            (transfer("a", "a", 1), Refused(BankRefusal::SameAccount)),
            (transfer("a", "c", 1), unknown(true)),
            (transfer("c", "a", 1), unknown(false)),
            (deposit("c", 1), unknown(false)),
            (withdraw("c", 1), unknown(false)),
            (balance("c"), unknown(false)),
            (deposit("a", u64::MAX), Refused(BankRefusal::Overflow)),
            (deposit("b", u64::MAX - 50), Balance(u64::MAX)),
            (transfer("a", "b", 1), Refused(BankRefusal::Overflow)),
            (transfer("a", "b", 0), Balance(20)),
            (open(""), Refused(BankRefusal::BadName)),
            (transfer("a", &"x".repeat(MAX_ACCOUNT_BYTES + 1), 1), Refused(BankRefusal::BadName)),
            (balance("b"), Balance(u64::MAX)),
            (balance("a"), Balance(20)),
        ] {
            assert_eq!(ask(&mut bank, &operation), answer, "{operation:?}");
        }
        let nonsense = bank.execute(&Operation::new(b"hello"));
        assert_eq!(BankOutput::decode(&nonsense), Some(Refused(BankRefusal::NotAnOperation)));
    }

    #[test]
    fn a_refusal_reads_well() {
        let texts = [true, false].map(|receiver| BankRefusal::UnknownAccount { receiver }.to_string());
        assert_eq!(texts[0], "there is no account to pay to; open it first");
        assert_eq!(texts[1], "there is no account of this name; open it first");
    }

    fn operations() -> impl Strategy<Value = BankOperation> {
        let account = || (0..5u8).prop_map(|number| number.to_string());
        prop_oneof![
            account().prop_map(|account| BankOperation::Open { account }),
            (account(), 0..1_000u64).prop_map(|(account, amount)| BankOperation::Deposit { account, amount }),
            (account(), 0..1_000u64)
                .prop_map(|(account, amount)| BankOperation::Withdraw { account, amount }),
            (account(), account(), 0..1_000u64).prop_map(|(from, to, amount)| BankOperation::Transfer {
                from,
                to,
                amount
            }),
            account().prop_map(|account| BankOperation::Balance { account }),
        ]
    }

    proptest! {
        #[test]
        fn money_is_conserved(operations in proptest::collection::vec(operations(), 0..200)) {
            let (mut bank, mut paid_in) = (Bank::default(), 0u128);
            for operation in operations {
                let read = bank.query(&operation.encode());
                let before = bank.clone();
                let answer = ask(&mut bank, &operation);
                match (&operation, &answer) {
                    (_, BankOutput::Refused(_)) => prop_assert_eq!(&bank, &before, "a refusal changes nothing"),
                    (BankOperation::Deposit { amount, .. }, _) => paid_in += u128::from(*amount),
                    (BankOperation::Withdraw { amount, .. }, _) => paid_in -= u128::from(*amount),
                    _ => {}
                }
                prop_assert_eq!(bank.total(), paid_in);
                if let Some(read) = read {
                    prop_assert_eq!(BankOutput::decode(&read), Some(answer));
                    prop_assert_eq!(&bank, &before, "a read changes nothing");
                }
            }
            prop_assert_eq!(Bank::restore(&bank.snapshot()), Some(bank));
        }
    }
}
