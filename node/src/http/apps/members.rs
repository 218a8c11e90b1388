//! `/api/v1/members`: who the members are, and asking for a change.

use super::{body, decide, parse, split_query, with_reason};
use crate::api::members::{Asked, AskedChange, MemberChange, MembersReport};
use crate::host::node::Node;
use crate::http::interface::Interface;
use crate::http::response::{Answer, Refusal, json};
use apps::{Change, MembershipOperation, MembershipOutput, MembershipRefusal};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use kernel::{MembershipStatus, Protocol, ReplicaId};

const MAX_BODY_BYTES: usize = 1 << 10;
const USAGE: &str = "{\"join\": 4} or {\"leave\": 2}";

/// Who the members are.
fn membership<P: Protocol>(node: &Node<P>) -> Result<MembershipStatus, Refusal> {
    let protocol = &node.config.cluster.protocol;
    node.replica_status().membership.ok_or_else(|| {
        let error = format!(
            "this cluster runs {protocol}, in which all nodes are members for good; start one with --protocol broadcast"
        );
        Refusal(StatusCode::NOT_FOUND, error)
    })
}

/// `GET /api/v1/members`.
pub(in crate::http) fn get<P: Protocol>(node: &Node<P>) -> Result<Answer, Refusal> {
    let MembershipStatus { generation, members, members_quorum, changes_asked } = membership(node)?;
    let ids = |nodes: Vec<ReplicaId>| nodes.into_iter().map(|id| id.0).collect();
    let asked = changes_asked.into_iter().map(|it| AskedChange { change: it.change, by: ids(it.asked_by) });
    let (quorum, asked) = (members_quorum, asked.collect());
    Ok(json(StatusCode::OK, &MembersReport { generation, members: ids(members), quorum, asked }))
}

/// `POST /api/v1/members`.
pub(in crate::http) async fn post<P: Protocol>(
    interface: &Interface<P>,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let node = &interface.node;
    membership(node)?;
    let (evidence, _) = split_query(&request)?;
    let body = body(interface, request, MAX_BODY_BYTES).await?;
    let change = match parse(&body, USAGE)? {
        MemberChange::Join(node) => Change::Join(ReplicaId(node)),
        MemberChange::Leave(node) => Change::Leave(ReplicaId(node)),
    };
    let operation = MembershipOperation::Ask(change).encode();
    decide(node, operation, evidence, |output, decision| {
        Some(match MembershipOutput::decode(output)? {
            MembershipOutput::Asked => json(StatusCode::OK, &Asked { asked: change.to_string(), decision }),
            MembershipOutput::Refused(refusal) => {
                let status = match refusal {
                    MembershipRefusal::UnknownNode(_) => StatusCode::NOT_FOUND,
                    MembershipRefusal::NotAnOperation => StatusCode::BAD_REQUEST,
                    _ => StatusCode::CONFLICT,
                };
                with_reason(status, &refusal, decision)
            }
        })
    })
    .await
}
