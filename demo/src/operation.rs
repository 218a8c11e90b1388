//! What is asked of the bank, as a person types it and reads it.

use apps::{Bank, BankOperation, BankOutput, BankRefusal};
use kernel::{Application, Batch, Operation, Output};

/// The accounts that the bank has from the beginning, without money.
pub const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// An example of everything that can be asked.
pub const EXAMPLES: &str = "account=alice,amount=100,operation=deposit (or withdraw); \
                            account=alice,to=bob,amount=30,operation=transfer; account=dave,operation=open; \
                            account=alice,operation=balance";

/// The bank in the beginning. All replicas begin with the same.
pub fn first_bank() -> Bank {
    let mut bank = Bank::default();
    for account in ACCOUNTS {
        bank.execute(&BankOperation::Open { account: account.into() }.encode());
    }
    bank
}

/// Reads `account=alice,amount=100,operation=deposit`.
///
/// # Errors
///
/// A sentence that says what is wrong and what is possible.
pub fn read(text: &str) -> Result<BankOperation, String> {
    let mut fields = Fields::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is not key=value; an example: {}", first_example()))?;
        fields.set(key.trim(), value.trim())?;
    }
    fields.operation()
}

/// The fields as typed.
#[derive(Default)]
struct Fields {
    account: Option<String>,
    to: Option<String>,
    amount: Option<String>,
    operation: Option<String>,
}

impl Fields {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let field = match key {
            "account" => &mut self.account,
            "to" => &mut self.to,
            "amount" => &mut self.amount,
            "operation" => &mut self.operation,
            _ => return Err(format!("there is no {key:?}; the keys are account, to, amount and operation")),
        };
        match field.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!("{key:?} is given twice; give it once")),
        }
    }

    fn operation(self) -> Result<BankOperation, String> {
        let kind = self.operation.as_deref().ok_or_else(|| missing("operation"))?;
        let account = self.account.ok_or_else(|| missing("account"));
        let amount = || {
            let text = self.amount.as_deref().ok_or_else(|| missing("amount"))?;
            let wrong = |_| format!("amount={text} is no whole number from 0 to {}", u64::MAX);
            text.parse::<u64>().map_err(wrong)
        };
        let operation = match kind {
            "deposit" => BankOperation::Deposit { account: account?, amount: amount()? },
            "withdraw" => BankOperation::Withdraw { account: account?, amount: amount()? },
            "transfer" => BankOperation::Transfer {
                from: account?,
                amount: amount()?,
                to: self.to.clone().ok_or_else(|| missing("to"))?,
            },
            "open" => BankOperation::Open { account: account? },
            "balance" => BankOperation::Balance { account: account? },
            _ => {
                return Err(format!(
                    "there is no operation {kind:?}; there are deposit, withdraw, transfer, open and balance"
                ));
            }
        };
        operation.check().map_err(|refusal| refusal.to_string())?;
        Ok(operation)
    }
}

fn first_example() -> &'static str {
    EXAMPLES.split_once(" (").map_or(EXAMPLES, |(first, _)| first)
}

fn missing(key: &str) -> String {
    format!("{key}=… is missing; possible are: {EXAMPLES}")
}

/// An operation in words.
pub fn in_words(operation: &Operation) -> String {
    if *operation == filler() {
        return "nothing (it fills a slot)".into();
    }
    match BankOperation::decode(operation) {
        Ok(BankOperation::Open { account }) => format!("open {account}"),
        Ok(BankOperation::Deposit { account, amount }) => format!("deposit {amount} to {account}"),
        Ok(BankOperation::Withdraw { account, amount }) => format!("withdraw {amount} from {account}"),
        Ok(BankOperation::Transfer { from, to, amount }) => format!("transfer {amount} from {from} to {to}"),
        Ok(BankOperation::Balance { account }) => format!("balance of {account}"),
        Err(refusal) => refusal.to_string(),
    }
}

/// A result in words.
pub fn result_in_words(operation: &Operation, result: &Output) -> String {
    let account = match BankOperation::decode(operation) {
        Ok(
            BankOperation::Open { account }
            | BankOperation::Deposit { account, .. }
            | BankOperation::Withdraw { account, .. }
            | BankOperation::Transfer { from: account, .. }
            | BankOperation::Balance { account },
        ) => account,
        Err(_) => String::new(),
    };
    match BankOutput::decode(result) {
        Some(BankOutput::Opened) => format!("{account} is open"),
        Some(BankOutput::Balance(amount)) => format!("{account} has {amount}"),
        Some(BankOutput::Done) => "done".into(),
        Some(BankOutput::Refused(refusal @ BankRefusal::Overdraft { .. })) => {
            format!("refused, an overdraft: {refusal}")
        }
        Some(BankOutput::Refused(refusal)) => format!("refused: {refusal}"),
        None => "no answer of a bank".into(),
    }
}

/// What a batch orders, in words.
pub fn batch_in_words(batch: &Batch) -> String {
    let operations = batch.bundles.iter().flat_map(|bundle| bundle.requests());
    let words: Vec<String> = operations.map(|request| in_words(&request.operation)).collect();
    if words.is_empty() { "a null request, which does nothing".into() } else { words.join("; ") }
}

/// An operation that changes nothing.
pub fn filler() -> Operation {
    Operation::new(b"nothing")
}

/// Whether a batch changes nothing: a null request, or fillers only. Nobody is asked to
/// vote for it.
pub fn changes_nothing(batch: &Batch) -> bool {
    batch.bundles.iter().flat_map(|bundle| bundle.requests()).all(|request| request.operation == filler())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_shown_again() {
        for (typed, shown) in [
            ("account=alice,amount=100,operation=deposit", "deposit 100 to alice"),
            (" operation=withdraw , account=bob, amount=7 ", "withdraw 7 from bob"),
            ("account=alice,to=bob,amount=30,operation=transfer", "transfer 30 from alice to bob"),
            ("account=dave,operation=open", "open dave"),
            ("account=dave,operation=balance", "balance of dave"),
        ] {
            assert_eq!(in_words(&read(typed).unwrap().encode()), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_possible() {
        for (typed, part) in [
            ("", "operation=… is missing; possible are: account=alice"),
            ("hello", "\"hello\" is not key=value; an example: account=alice,amount=100,operation=deposit"),
            ("acount=alice", "the keys are account, to, amount and operation"),
            ("account=alice,amount=-1,operation=deposit", "amount=-1 is no whole number"),
            ("account=alice,operation=steal", "there are deposit, withdraw, transfer, open and balance"),
            ("account=alice,operation=deposit", "amount=… is missing"),
            ("account=a,account=b,operation=open", "\"account\" is given twice"),
            ("account=,operation=open", "an account's name has 1 to 256 bytes"),
        ] {
            let error = read(typed).unwrap_err();
            assert!(error.contains(part), "{typed:?}: {error}");
        }
    }

    #[test]
    fn an_overdraft_is_called_one() {
        let mut bank = first_bank();
        let operation = read("account=alice,amount=1,operation=withdraw").unwrap().encode();
        let result = bank.execute(&operation);
        assert_eq!(
            result_in_words(&operation, &result),
            "refused, an overdraft: there is only 0 in the account"
        );
    }
}
