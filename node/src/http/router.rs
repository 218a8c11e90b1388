//! Which resource answers a request.

use super::apps::bank::Direction;
use super::apps::{bank, kv, members, set};
use super::connections::Permit;
use super::endpoints::{PEER, PEER_HELLO};
use super::interface::Interface;
use super::response::{
    Answer, Refusal, TOO_MANY_CONNECTIONS, error, no_fault_injection, options, without_body, wrong_method,
};
use super::{client_link, endpoints, openapi};
use super::{faults, links, log, metrics, peer, preprepare, state, status};
use crate::clock::now_ns;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use kernel::Protocol;
use std::rc::Rc;

/// Answers one request.
pub(super) async fn route<P: Protocol + 'static>(
    interface: &Rc<Interface<P>>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Answer {
    let is_head = request.method() == Method::HEAD;
    if let Some(refusal) = too_fast(interface, permit, request.uri().path()) {
        return refusal;
    }
    let answered = match interface.own_hosts.check(&request) {
        Ok(()) => answer(interface, permit, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut answer = answered.unwrap_or_else(|Refusal(status, what)| error(status, &what));
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if is_head { without_body(answer) } else { answer }
}

/// What is not limited: peers' links, and what watches over the node.
const NOT_LIMITED: [&str; 5] = [PEER, PEER_HELLO, "/health", "/ready", "/metrics"];

/// The refusal of a client that sends more than it may.
fn too_fast<P: Protocol>(interface: &Interface<P>, permit: &Permit, path: &str) -> Option<Answer> {
    if !interface.rates.is_limited() || NOT_LIMITED.contains(&path) {
        return None;
    }
    let wait_s = interface.rates.take(permit.client, now_ns()).err()?;
    let what = format!(
        "this client has sent all the requests that it may send in a second; wait for {wait_s} s, or raise \
         limits.requests_per_s in the configuration"
    );
    let mut answer = error(StatusCode::TOO_MANY_REQUESTS, &what);
    answer.headers_mut().insert(RETRY_AFTER, wait_s.into());
    Some(answer)
}

async fn answer<P: Protocol + 'static>(
    interface: &Rc<Interface<P>>,
    permit: &Permit,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let path = request.uri().path();
    if permit.is_spare() && ![PEER, PEER_HELLO].contains(&path) {
        let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_CONNECTIONS);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(answer);
    }
    // HEAD is GET without the body.
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    // On the heap is what would make the future of every request large.
    match (path, &method) {
        ("/preprepare", &Method::POST) => preprepare::post(interface, request).await,
        ("/peer/hello", &Method::POST) => peer::hello(interface, permit, &request),
        ("/peer", &Method::POST) => Box::pin(peer::post(interface, permit, request)).await,
        ("/client", &Method::POST) => client_link::post(interface, request),
        ("/status", &Method::GET) => Ok(status::get(&interface.node)),
        ("/log", &Method::GET) => log::get(&interface.node, &request),
        ("/faults" | "/links", _) if !interface.node.config.fault_injection => Err(no_fault_injection()),
        ("/faults", &Method::GET) => Ok(faults::get(&interface.node)),
        ("/faults", &Method::POST) => Box::pin(faults::post(interface, request)).await,
        ("/links", &Method::GET) => Ok(links::get(&interface.node)),
        ("/links", &Method::POST) => Box::pin(links::post(interface, request)).await,
        ("/metrics", &Method::GET) => Ok(metrics::get(&interface.node)),
        ("/openapi.json", &Method::GET) => Ok(openapi::get()),
        ("/health", &Method::GET) => Ok(state::health()),
        ("/ready", &Method::GET) => Ok(state::ready(&interface.node)),
        ("/api/v1/state", &Method::GET) => Ok(state::get(&interface.node)),
        ("/api/v1/state/digest", &Method::GET) => Ok(state::digest(&interface.node)),
        ("/api/v1/pbft/state", &Method::GET) => state::get_pbft(&interface.node),
        ("/api/v1/members", &Method::GET) => members::get(&interface.node),
        ("/api/v1/members", &Method::POST) => Box::pin(members::post(interface, request)).await,
        ("/api/v1/kv", &Method::POST) => Box::pin(kv::put(interface, request)).await,
        ("/api/v1/kv", &Method::GET) => Box::pin(kv::get(interface, request)).await,
        ("/api/v1/kv", &Method::DELETE) => Box::pin(kv::delete(interface, request)).await,
        ("/api/v1/kv/cas", &Method::POST) => Box::pin(kv::compare_and_swap(interface, request)).await,
        ("/api/v1/kv/local", &Method::GET) => kv::local(&interface.node, &request),
        ("/api/v1/bank/accounts", &Method::POST) => Box::pin(bank::open(interface, request)).await,
        ("/api/v1/bank/accounts", &Method::GET) => Box::pin(bank::balance(interface, request)).await,
        ("/api/v1/bank/deposit", &Method::POST) => {
            Box::pin(bank::pay(interface, request, Direction::Deposit)).await
        }
        ("/api/v1/bank/withdraw", &Method::POST) => {
            Box::pin(bank::pay(interface, request, Direction::Withdrawal)).await
        }
        ("/api/v1/bank/transfer", &Method::POST) => Box::pin(bank::transfer(interface, request)).await,
        ("/api/v1/bank/local", &Method::GET) => bank::local(&interface.node, &request),
        ("/api/v1/set", &Method::POST) => Box::pin(set::add(interface, request)).await,
        ("/api/v1/set", &Method::GET) => Box::pin(set::get(interface, request)).await,
        ("/api/v1/set", &Method::DELETE) => Box::pin(set::remove(interface, request)).await,
        ("/api/v1/set/local", &Method::GET) => set::local(&interface.node, &request),
        (path, method) => match endpoints::methods(path) {
            Some(allowed) if *method == Method::OPTIONS => Ok(options(&allowed)),
            Some(allowed) => Ok(wrong_method(&request, &allowed)),
            None => Err(Refusal(
                StatusCode::NOT_FOUND,
                format!("there is no {path}; this node has {}", endpoints::all()),
            )),
        },
    }
}
