//! Reading bodies, within bounds of time and memory.

use super::interface::Interface;
use super::response::Refusal;
use super::unfinished::Unfinished;
use bytes::Bytes;
use client::MAX_IN_FLIGHT_BYTES;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use kernel::Protocol;
use std::cell::Cell;

/// The largest body that changes faults or links.
pub(super) const MAX_CONTROL_BODY_BYTES: usize = 64 << 10;
/// Of a body that is too large, this much more is read before the answer.
pub(super) const MAX_DISCARDED_BYTES: usize = 64 << 20;

/// The whole body, if it comes in time, is no larger than `limit` bytes and all
/// that come in now leave room for it.
pub(super) async fn read_body<P: Protocol>(
    interface: &Interface<P>,
    body: Incoming,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let within = interface.node.config.read_limit();
    let reading = read_all(body, limit, &interface.unfinished_bodies);
    tokio::time::timeout(within, reading).await.unwrap_or_else(|_| {
        let error = format!("the body did not come within {within:?}");
        Err(Refusal(StatusCode::REQUEST_TIMEOUT, error))
    })
}

async fn read_all(
    mut body: Incoming,
    limit: usize,
    unfinished_bodies: &Cell<usize>,
) -> Result<Bytes, Refusal> {
    let mut unfinished = Unfinished::new(unfinished_bodies, MAX_IN_FLIGHT_BYTES, 0);
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::bad(format!("the body broke off: {error}")))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if whole.len() + first.len() + chunk.len() > limit {
            Box::pin(discard(body)).await;
            return Err(too_large(limit));
        }
        // Nearly every request comes in one piece, which need not be copied.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
        }
        unfinished.update(first.len() + whole.len());
        if unfinished.is_too_much() {
            let error = format!(
                "the bodies that come in now have more than {MAX_IN_FLIGHT_BYTES} bytes; try again later"
            );
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error));
        }
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

pub(super) fn too_large(limit: usize) -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is too large; the limit is {limit} bytes"))
}

/// Reads on to the end, within bounds: a client that is cut off while it sends
/// would not get to see the answer.
async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}
