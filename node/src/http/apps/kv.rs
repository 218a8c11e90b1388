//! `/api/v1/kv`: the key-value store.

use super::{body_for, decide, local_query, only_with, parse, query, read, unreadable};
use crate::api::Decision;
use crate::api::kv::{
    CompareAndSwap, Compared, Deleted, Entry, Listed, LocalList, LocalValue, Put, Stored, Value,
};
use crate::host::node::Node;
use crate::http::interface::Interface;
use crate::http::response::{Answer, Refusal, json};
use apps::{AppName, KvOperation, KvOutput, KvRefusal, MAX_LISTED, MAX_VALUE_BYTES};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::{Output, Protocol, Reading, ReplicaId, View, Weakening, weakened};
use serde::Deserialize;

/// A value whose every byte is escaped takes six times as many, and there may be two.
const MAX_BODY_BYTES: usize = 12 * MAX_VALUE_BYTES + (64 << 10);
const PUT_USAGE: &str = "{\"key\": \"color\", \"value\": \"blue\"}";
const CAS_USAGE: &str =
    "{\"key\": \"color\", \"expected\": \"blue\", \"new\": \"red\"}, and null for no value";
const READ_USAGE: &str = "?key=KEY, or for ?prefix=TEXT with, if you like, &after=KEY&limit=N";
const DELETE_USAGE: &str = "?key=KEY";

/// What is asked for behind the `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    key: Option<String>,
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    key: String,
}

fn checked(operation: KvOperation) -> Result<KvOperation, Refusal> {
    operation.check().map_err(refused)?;
    Ok(operation)
}

fn refused(refusal: KvRefusal) -> Refusal {
    let status = match refusal {
        KvRefusal::LongKey | KvRefusal::LongValue => StatusCode::PAYLOAD_TOO_LARGE,
        KvRefusal::EmptyKey | KvRefusal::NotAnOperation => StatusCode::BAD_REQUEST,
    };
    Refusal(status, refusal.to_string())
}

/// `POST /api/v1/kv`.
pub(in crate::http) async fn put<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Kv, interface, request, MAX_BODY_BYTES).await?;
    let Put { key, value } = parse(&body, PUT_USAGE)?;
    let put = KvOperation::Put { key: key.clone().into_owned(), value: value.into_owned() };
    let operation = checked(put)?.encode();
    decide(&interface.node, operation, evidence, |output, decision| match KvOutput::decode(output)? {
        KvOutput::Stored { created } => Some(json(StatusCode::OK, &Stored { key, created, decision })),
        _ => None,
    })
    .await
}

/// `POST /api/v1/kv/cas`.
pub(in crate::http) async fn compare_and_swap<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (body, evidence) = body_for(AppName::Kv, interface, request, MAX_BODY_BYTES).await?;
    let CompareAndSwap { key, expected, new } = parse(&body, CAS_USAGE)?;
    let operation = checked(KvOperation::CompareAndSwap {
        key: key.clone().into_owned(),
        expected: expected.map(String::from),
        new: new.map(String::from),
    })?;
    decide(&interface.node, operation.encode(), evidence, |output, decision| {
        match KvOutput::decode(output)? {
            KvOutput::Compared { swapped, current } => {
                let status = if swapped { StatusCode::OK } else { StatusCode::CONFLICT };
                let current = current.map(Into::into);
                Some(json(status, &Compared { key, swapped, current, decision }))
            }
            _ => None,
        }
    })
    .await
}

/// `DELETE /api/v1/kv?key=`.
pub(in crate::http) async fn delete<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    only_with(node, AppName::Kv)?;
    let (Key { key }, evidence) = query(&request, DELETE_USAGE)?;
    let operation = checked(KvOperation::Delete { key: key.clone() })?.encode();
    decide(node, operation, evidence, |output, decision| match KvOutput::decode(output)? {
        KvOutput::Deleted { existed } => {
            Some(json(found(existed), &Deleted { key: key.into(), existed, decision }))
        }
        _ => None,
    })
    .await
}

fn found(is_there: bool) -> StatusCode {
    if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

/// `GET /api/v1/kv`: through consensus.
pub(in crate::http) async fn get<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &*interface.node;
    only_with(node, AppName::Kv)?;
    let (wanted, evidence) = query(&request, READ_USAGE)?;
    let wanted = reading(wanted)?;
    let operation = wanted.encode();
    let answer = |output: &Output, decision| match (wanted, KvOutput::decode(output)?) {
        (KvOperation::Get { key }, KvOutput::Value(value)) => {
            let status = found(value.is_some());
            let value = value.map(Into::into);
            Some(json(status, &Value { key: key.into(), value, decision }))
        }
        (KvOperation::List { .. }, KvOutput::Listed { entries, more }) => {
            Some(json(StatusCode::OK, &Listed { entries: listed(entries), more, decision }))
        }
        _ => None,
    };
    if weakened(Weakening::StaleReadServed) {
        let reading = read(node, &operation)?;
        return answer(&reading.output, undecided_reading(node.config.id, &reading)).ok_or_else(unreadable);
    }
    decide(node, operation, evidence, answer).await
}

/// `GET /api/v1/kv/local`: what this node's own state says.
pub(in crate::http) fn local<P: Protocol>(
    node: &Node<P>,
    request: &Request<Incoming>,
) -> Result<Answer, Refusal> {
    only_with(node, AppName::Kv)?;
    let wanted = reading(local_query(request, READ_USAGE)?)?;
    let reading = read(node, &wanted.encode())?;
    let (as_of, may_be_stale) = (reading.as_of, true);
    match (wanted, KvOutput::decode(&reading.output)) {
        (KvOperation::Get { key }, Some(KvOutput::Value(value))) => {
            let status = found(value.is_some());
            let (key, value) = (key.into(), value.map(Into::into));
            Ok(json(status, &LocalValue { key, value, as_of, may_be_stale }))
        }
        (_, Some(KvOutput::Listed { entries, more })) => {
            let entries = listed(entries);
            Ok(json(StatusCode::OK, &LocalList { entries, more, as_of, may_be_stale }))
        }
        _ => Err(unreadable()),
    }
}

/// The decision that a read without its rule claims.
fn undecided_reading(node: ReplicaId, reading: &Reading) -> Decision {
    Decision {
        node,
        seq: reading.as_of,
        view: View(0),
        consensus_us: 0.0,
        received_ns: 0,
        replies: 0,
        evidence: None,
    }
}

fn reading(wanted: Wanted) -> Result<KvOperation, Refusal> {
    let Wanted { key, prefix, after, limit } = wanted;
    checked(match (key, prefix) {
        (Some(key), None) if after.is_none() && limit.is_none() => KvOperation::Get { key },
        (None, Some(prefix)) => KvOperation::List { prefix, after, limit: limit.unwrap_or(MAX_LISTED) },
        _ => return Err(Refusal::bad(format!("this is neither a key nor a prefix; ask for {READ_USAGE}"))),
    })
}

fn listed(entries: Vec<(String, String)>) -> Vec<Entry> {
    entries.into_iter().map(|(key, value)| Entry { key, value }).collect()
}
