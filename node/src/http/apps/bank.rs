//! `/api/v1/bank`: the bank.

use super::{body_for, decide, local_query, only_with, parse, query, read, unreadable, with_reason};
use crate::api::Decision;
use crate::api::bank::{Balance, LocalBalance, Open, Payment, Transfer};
use crate::host::node::Node;
use crate::http::interface::Interface;
use crate::http::response::{Answer, Refusal, json};
use apps::{AppName, BankOperation, BankOutput, BankRefusal};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::Protocol;
use serde::Deserialize;

const MAX_BODY_BYTES: usize = 16 << 10;
const OPEN_USAGE: &str = "{\"account\": \"alice\"}";
const PAYMENT_USAGE: &str = "{\"account\": \"alice\", \"amount\": 100}";
const TRANSFER_USAGE: &str = "{\"from\": \"alice\", \"to\": \"bob\", \"amount\": 30}";
const READ_USAGE: &str = "?account=NAME";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    account: String,
}

/// What a payment does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Direction {
    Deposit,
    Withdrawal,
}

/// `POST /api/v1/bank/accounts`.
pub(in crate::http) async fn open<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Bank, interface, request, MAX_BODY_BYTES).await?;
    let Open { account } = parse(&body, OPEN_USAGE)?;
    let account = account.into_owned();
    ask(&interface.node, account.clone(), BankOperation::Open { account }, evidence).await
}

/// `POST /api/v1/bank/deposit` and `/api/v1/bank/withdraw`.
pub(in crate::http) async fn pay<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
    direction: Direction,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Bank, interface, request, MAX_BODY_BYTES).await?;
    let Payment { account, amount } = parse(&body, PAYMENT_USAGE)?;
    let account = account.into_owned();
    let name = account.clone();
    let operation = match direction {
        Direction::Deposit => BankOperation::Deposit { account, amount },
        Direction::Withdrawal => BankOperation::Withdraw { account, amount },
    };
    ask(&interface.node, name, operation, evidence).await
}

/// `POST /api/v1/bank/transfer`.
pub(in crate::http) async fn transfer<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Bank, interface, request, MAX_BODY_BYTES).await?;
    let Transfer { from, to, amount } = parse(&body, TRANSFER_USAGE)?;
    let (from, to) = (from.into_owned(), to.into_owned());
    ask(&interface.node, from.clone(), BankOperation::Transfer { from, to, amount }, evidence).await
}

/// `GET /api/v1/bank/accounts?account=`: through consensus.
pub(in crate::http) async fn balance<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(&interface.node, AppName::Bank)?;
    let (Account { account }, evidence) = query(&request, READ_USAGE)?;
    ask(&interface.node, account.clone(), BankOperation::Balance { account }, evidence).await
}

/// `GET /api/v1/bank/local?account=`: what this node's own state says.
pub(in crate::http) fn local<P: Protocol>(
    node: &Node<P>,
    request: &Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(node, AppName::Bank)?;
    let Account { account } = local_query(request, READ_USAGE)?;
    let operation = checked(BankOperation::Balance { account: account.clone() })?;
    let reading = read(node, &operation.encode())?;
    let balance = match BankOutput::decode(&reading.output) {
        Some(BankOutput::Balance(balance)) => Some(balance),
        Some(BankOutput::Refused(BankRefusal::UnknownAccount { .. })) => None,
        Some(BankOutput::Refused(BankRefusal::Overflow)) => {
            let error = format!("there is more than {} in the account, which cannot be said", u64::MAX);
            return Err(Refusal(StatusCode::CONFLICT, error));
        }
        _ => return Err(unreadable()),
    };
    let status = if balance.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let account = account.into();
    Ok(json(status, &LocalBalance { account, balance, as_of: reading.as_of, may_be_stale: true }))
}

fn checked(operation: BankOperation) -> Result<BankOperation, Refusal> {
    operation.check().map_err(|refusal| Refusal::bad(refusal.to_string()))?;
    Ok(operation)
}

/// Has an operation ordered that is about this account.
async fn ask<P: Protocol>(
    node: &Node<P>,
    account: String,
    operation: BankOperation,
    wants_evidence: bool,
) -> Result<Answer, Refusal> {
    let operation = checked(operation)?.encode();
    decide(node, operation, wants_evidence, |output, decision| {
        let balance = match BankOutput::decode(output)? {
            BankOutput::Opened => Some(0),
            BankOutput::Balance(balance) => Some(balance),
            BankOutput::Done => None,
            BankOutput::Refused(refusal) => return Some(refused(refusal, decision)),
        };
        Some(json(StatusCode::OK, &Balance { account: account.into(), balance, decision }))
    })
    .await
}

fn refused(refusal: BankRefusal, decision: Decision) -> Answer {
    let status = match refusal {
        BankRefusal::UnknownAccount { .. } => StatusCode::NOT_FOUND,
        BankRefusal::NotAnOperation | BankRefusal::BadName | BankRefusal::NoOwner | BankRefusal::NoOrder => {
            StatusCode::BAD_REQUEST
        }
        BankRefusal::NotTheOwner { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::CONFLICT,
    };
    with_reason(status, &refusal, decision)
}
