//! `/api/v1/set`: the set.

use super::{body_for, decide, local_query, only_with, parse, query, read, unreadable, with_reason};
use crate::api::Decision;
use crate::api::set::{Add, Added, Contains, LocalContains, LocalMembers, Members, Removed};
use crate::host::node::Node;
use crate::http::interface::Interface;
use crate::http::response::{Answer, Refusal, json};
use apps::{AppName, MAX_LISTED, SetOperation, SetOutput, SetRefusal};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::Protocol;
use serde::Deserialize;

const MAX_BODY_BYTES: usize = 16 << 10;
const ADD_USAGE: &str = "{\"member\": \"apple\"}";
const REMOVE_USAGE: &str = "?member=TEXT";
const READ_USAGE: &str = "?member=TEXT, or for ?prefix=TEXT with, if you like, &after=MEMBER&limit=N";

/// What is asked for behind the `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    member: Option<String>,
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    member: String,
}

/// `POST /api/v1/set`.
pub(in crate::http) async fn add<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Set, interface, request, MAX_BODY_BYTES).await?;
    let Add { member } = parse(&body, ADD_USAGE)?;
    ask(&interface.node, SetOperation::Add { member: member.into_owned() }, evidence).await
}

/// `DELETE /api/v1/set?member=`.
pub(in crate::http) async fn remove<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(&interface.node, AppName::Set)?;
    let (Member { member }, evidence) = query(&request, REMOVE_USAGE)?;
    ask(&interface.node, SetOperation::Remove { member }, evidence).await
}

/// `GET /api/v1/set`: through consensus.
pub(in crate::http) async fn get<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(&interface.node, AppName::Set)?;
    let (wanted, evidence) = query(&request, READ_USAGE)?;
    ask(&interface.node, reading(wanted)?, evidence).await
}

/// `GET /api/v1/set/local`: what this node's own state says.
pub(in crate::http) fn local<P: Protocol>(
    node: &Node<P>,
    request: &Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(node, AppName::Set)?;
    let wanted = checked(reading(local_query(request, READ_USAGE)?)?)?;
    let reading = read(node, &wanted.encode())?;
    let (as_of, may_be_stale) = (reading.as_of, true);
    match (wanted, SetOutput::decode(&reading.output)) {
        (SetOperation::Contains { member }, Some(SetOutput::Contains(contains))) => {
            let member = member.into();
            Ok(json(StatusCode::OK, &LocalContains { member, contains, as_of, may_be_stale }))
        }
        (_, Some(SetOutput::Listed { members, more })) => {
            Ok(json(StatusCode::OK, &LocalMembers { members, more, as_of, may_be_stale }))
        }
        _ => Err(unreadable()),
    }
}

fn reading(wanted: Wanted) -> Result<SetOperation, Refusal> {
    let Wanted { member, prefix, after, limit } = wanted;
    match (member, prefix) {
        (Some(member), None) if after.is_none() && limit.is_none() => Ok(SetOperation::Contains { member }),
        (None, Some(prefix)) => Ok(SetOperation::List { prefix, after, limit: limit.unwrap_or(MAX_LISTED) }),
        _ => Err(Refusal::bad(format!("this is neither a member nor a prefix; ask for {READ_USAGE}"))),
    }
}

fn checked(operation: SetOperation) -> Result<SetOperation, Refusal> {
    operation.check().map_err(|refusal| Refusal::bad(refusal.to_string()))?;
    Ok(operation)
}

/// Has an operation ordered.
async fn ask<P: Protocol>(
    node: &Node<P>,
    operation: SetOperation,
    wants_evidence: bool,
) -> Result<Answer, Refusal> {
    let encoded = checked(operation.clone())?.encode();
    decide(node, encoded, wants_evidence, |output, decision| {
        answer(operation, SetOutput::decode(output)?, decision)
    })
    .await
}

/// The answer to an operation; none if this is no result of it.
fn answer(operation: SetOperation, output: SetOutput, decision: Decision) -> Option<Answer> {
    Some(match (operation, output) {
        (SetOperation::Add { member }, SetOutput::Added) => {
            json(StatusCode::OK, &Added { added: member.into(), decision })
        }
        (SetOperation::Remove { member }, SetOutput::Removed) => {
            json(StatusCode::OK, &Removed { removed: member.into(), decision })
        }
        (SetOperation::Contains { member }, SetOutput::Contains(contains)) => {
            json(StatusCode::OK, &Contains { member: member.into(), contains, decision })
        }
        (SetOperation::List { .. }, SetOutput::Listed { members, more }) => {
            json(StatusCode::OK, &Members { members, more, decision })
        }
        (_, SetOutput::Refused(refusal)) => refused(refusal, decision),
        _ => return None,
    })
}

fn refused(refusal: SetRefusal, decision: Decision) -> Answer {
    let status = match refusal {
        SetRefusal::NotAMember | SetRefusal::NotSeen => StatusCode::NOT_FOUND,
        SetRefusal::NotAnOperation | SetRefusal::BadMember | SetRefusal::NoOrder => StatusCode::BAD_REQUEST,
    };
    with_reason(status, &refusal, decision)
}
