//! Responses, and refusals that say what is wrong.

use super::answers;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

/// Told to a client for whom there is no connection left.
pub(super) const TOO_MANY_CONNECTIONS: &str =
    "this node has as many connections as it takes; close some, or try again later";

/// A whole response.
pub(super) type Answer = Response<Full<Bytes>>;

/// A refusal: status and what is wrong.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    pub(super) fn bad(error: impl Into<String>) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, error.into())
    }
}

pub(super) fn json(status: StatusCode, body: String) -> Answer {
    with_type(status, "application/json", body)
}

pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn json_of(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => json(
            StatusCode::INTERNAL_SERVER_ERROR,
            answers::error_json(&format!("the answer cannot be written: {error}")),
        ),
    }
}

pub(super) fn wrong_method(request: &Request<Incoming>, allowed: &'static str) -> Answer {
    let error = format!("{} takes {allowed}, not {}", request.uri().path(), request.method());
    let mut answer = json(StatusCode::METHOD_NOT_ALLOWED, answers::error_json(&error));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub(super) fn offline() -> Refusal {
    Refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "this node is offline by fault injection; ask another one, or POST {\"faults\": []} to /faults"
            .to_owned(),
    )
}
