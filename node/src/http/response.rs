//! Responses, and refusals that say what is wrong.

use crate::api::ErrorAnswer;
use crate::host::client_links::OpenLink;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Told to a client for whom there is no connection left.
pub(super) const TOO_MANY_CONNECTIONS: &str =
    "this node has as many connections as it takes; close some, or try again later";

/// A response.
pub(super) type Answer = Response<AnswerBody>;

/// What is answered.
pub(super) enum AnswerBody {
    /// All of it, until it is handed over to be written.
    Whole(Option<Bytes>),
    /// A client's link, which is open until this is dropped.
    Link(Box<OpenLink>),
}

impl AnswerBody {
    fn whole(body: impl Into<Bytes>) -> AnswerBody {
        AnswerBody::Whole(Some(body.into()).filter(|body| !body.is_empty()))
    }

    pub(super) fn link(open: OpenLink) -> AnswerBody {
        AnswerBody::Link(Box::new(open))
    }
}

/// Answers of a connection that are not written yet, because its client takes them slowly or not at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Unwritten(Arc<AtomicUsize>);

/// Smaller answers take less than what keeps count of them.
const COUNTED_BYTES: usize = 512;

impl Unwritten {
    /// Counts this answer until it is written.
    pub(super) fn count(&self, answer: &mut Answer) {
        if let AnswerBody::Whole(Some(bytes)) = answer.body_mut()
            && bytes.len() >= COUNTED_BYTES
        {
            self.0.fetch_add(bytes.len(), Ordering::Relaxed);
            *bytes = Bytes::from_owner(Counted { bytes: std::mem::take(bytes), of: self.clone() });
        }
    }

    /// How much of all that was counted is left.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes of an answer, as long as somebody has them.
struct Counted {
    bytes: Bytes,
    of: Unwritten,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            AnswerBody::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            AnswerBody::Link(open) => Pin::new(open.body()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(body) => body.is_none(),
            AnswerBody::Link(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            AnswerBody::Link(..) => SizeHint::default(),
        }
    }
}

/// A refusal: status and what is wrong.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    pub(super) fn bad(error: impl Into<String>) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, error.into())
    }
}

/// Nearly every answer fits, so that its buffer need not grow.
const USUAL_BYTES: usize = 512;

/// Bytes that an answer may take beyond its own.
const MOST_SPARE_BYTES: usize = 16 << 10;

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => {
            // A large answer may wait for long until it is read.
            if body.capacity() - body.len() > MOST_SPARE_BYTES {
                body.shrink_to_fit();
            }
            with_type(status, "application/json", body)
        }
        // Only a map whose keys are no strings, or a value's own error, gets here.
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            with_type(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", error.to_string())
        }
    }
}

/// An error that says what is wrong.
pub(super) fn error(status: StatusCode, error: &str) -> Answer {
    json(status, &ErrorAnswer { error: error.into() })
}

pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(AnswerBody::whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn wrong_method(request: &Request<Incoming>, allowed: &str) -> Answer {
    let what = format!("{} takes {allowed}, not {}", request.uri().path(), request.method());
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &what);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_str(allowed).expect("names of methods are plain text"));
    answer
}

/// What a path takes.
pub(super) fn options(allowed: &str) -> Answer {
    let mut answer = Response::new(AnswerBody::whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_str(allowed).expect("names of methods are plain text"));
    answer
}

/// The answer to HEAD: that to GET without its body, whose length it names.
pub(super) fn without_body(mut answer: Answer) -> Answer {
    let bytes = answer.body().size_hint().lower();
    answer.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    *answer.body_mut() = AnswerBody::whole(Bytes::new());
    answer
}

pub(super) fn no_fault_injection() -> Refusal {
    Refusal(
        StatusCode::FORBIDDEN,
        "faults cannot be injected into this node; start it with --allow-fault-injection if that is wanted"
            .to_owned(),
    )
}

pub(super) fn offline() -> Refusal {
    Refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "this node is offline by fault injection; ask another one, or POST {\"faults\": []} to /faults"
            .to_owned(),
    )
}
