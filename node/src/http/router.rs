//! Which resource answers a request.

use super::connections::Permit;
use super::interface::Interface;
use super::response::{Answer, Refusal, TOO_MANY_CONNECTIONS, error, options, without_body, wrong_method};
use super::{faults, links, log, peer, preprepare, status};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use kernel::Protocol;

/// What this node has.
const PATHS: &str = "GET /status, POST /preprepare?settle=MS, GET /log?from=A&to=B, GET or POST /faults, \
                     GET or POST /links, POST /peer";

/// The methods that a path takes; none if there is no such path.
fn methods(path: &str) -> Option<&'static str> {
    match path {
        "/status" | "/log" => Some("GET, HEAD, OPTIONS"),
        "/faults" | "/links" => Some("GET, HEAD, POST, OPTIONS"),
        "/preprepare" | "/peer" => Some("POST, OPTIONS"),
        _ => None,
    }
}

/// Answers one request.
pub(super) async fn route<P: Protocol>(
    interface: &Interface<P>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Answer {
    let is_head = request.method() == Method::HEAD;
    let answered = match interface.own_hosts.check(&request) {
        Ok(()) => answer(interface, permit, request).await,
        Err(refusal) => Err(refusal),
    };
    let answer = answered.unwrap_or_else(|Refusal(status, what)| error(status, &what));
    if is_head { without_body(answer) } else { answer }
}

async fn answer<P: Protocol>(
    interface: &Interface<P>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let path = request.uri().path();
    if permit.is_spare() && path != "/peer" {
        let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_CONNECTIONS);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(answer);
    }
    // HEAD is GET without the body.
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    // On the heap is what would make the future of every request large.
    match (path, &method) {
        ("/preprepare", &Method::POST) => preprepare::post(interface, request).await,
        ("/peer", &Method::POST) => Box::pin(peer::post(interface, permit, request)).await,
        ("/status", &Method::GET) => Ok(status::get(&interface.node)),
        ("/log", &Method::GET) => log::get(&interface.node, &request),
        ("/faults", &Method::GET) => Ok(faults::get(&interface.node)),
        ("/faults", &Method::POST) => Box::pin(faults::post(interface, request)).await,
        ("/links", &Method::GET) => Ok(links::get(&interface.node)),
        ("/links", &Method::POST) => Box::pin(links::post(interface, request)).await,
        (path, method) => match methods(path) {
            Some(allowed) if *method == Method::OPTIONS => Ok(options(allowed)),
            Some(allowed) => Ok(wrong_method(&request, allowed)),
            None => Err(Refusal(StatusCode::NOT_FOUND, format!("there is no {path}; this node has {PATHS}"))),
        },
    }
}
