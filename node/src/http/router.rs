//! Which resource answers a request.

use super::connections::Permit;
use super::interface::Interface;
use super::response::{Answer, Refusal, TOO_MANY_CONNECTIONS, json, wrong_method};
use super::{answers, faults, links, log, peer, preprepare, status};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use kernel::Protocol;

/// What this node has.
const PATHS: &str = "GET /status, POST /preprepare, GET /log?from=A&to=B, GET or POST /faults, GET or POST /links, POST /peer";

/// Answers one request.
pub(super) async fn route<P: Protocol>(
    interface: &Interface<P>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Answer {
    let path = request.uri().path();
    if permit.is_spare() && path != "/peer" {
        let mut answer = json(StatusCode::SERVICE_UNAVAILABLE, answers::error_json(TOO_MANY_CONNECTIONS));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    // On the heap is what would make the future of every request large.
    let answered = match (path, request.method()) {
        ("/preprepare", &Method::POST) => preprepare::post(interface, request).await,
        ("/peer", &Method::POST) => Box::pin(peer::post(interface, permit, request)).await,
        ("/status", &Method::GET) => Ok(status::get(&interface.node)),
        ("/log", &Method::GET) => log::get(&interface.node, &request),
        ("/faults", &Method::GET) => Ok(faults::get(&interface.node)),
        ("/faults", &Method::POST) => Box::pin(faults::post(interface, request)).await,
        ("/links", &Method::GET) => Ok(links::get(&interface.node)),
        ("/links", &Method::POST) => Box::pin(links::post(interface, request)).await,
        ("/preprepare" | "/peer", _) => Ok(wrong_method(&request, "POST")),
        ("/status" | "/log", _) => Ok(wrong_method(&request, "GET")),
        ("/faults" | "/links", _) => Ok(wrong_method(&request, "GET, POST")),
        _ => Err(Refusal(StatusCode::NOT_FOUND, format!("there is no {path}; this node has {PATHS}"))),
    };
    answered.unwrap_or_else(|Refusal(status, error)| json(status, answers::error_json(&error)))
}
