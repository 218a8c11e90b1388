//! Where envelopes come in: `POST /envelopes`, each a JSON object.

use std::net::TcpListener;

use anyhow::Result;
use demo::envelope::Envelope;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::mpsc::UnboundedSender;

use crate::base::server::{self, Answer, text};

/// No envelope of the demo is nearly as large.
const MOST_BYTES: usize = 16 << 20;

/// The path that envelopes are posted to.
pub const ENVELOPES: &str = "/envelopes";

/// Takes envelopes until the returned future is dropped. Must be called inside a tokio
/// `LocalSet`.
///
/// # Errors
///
/// If the operating system refuses the socket.
pub async fn serve(listener: TcpListener, envelopes: UnboundedSender<Envelope>) -> Result<()> {
    server::serve(listener, move |request| answer(request, envelopes.clone())).await
}

async fn answer(request: Request<Incoming>, envelopes: UnboundedSender<Envelope>) -> Answer {
    if request.uri().path() != ENVELOPES || request.method() != Method::POST {
        let about = "this is a terminal of `harness demo`; it takes signed envelopes by POST /envelopes\n";
        return text(StatusCode::NOT_FOUND, about);
    }
    let Ok(body) = Limited::new(request.into_body(), MOST_BYTES).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "the envelope did not arrive whole\n");
    };
    match serde_json::from_slice(&body.to_bytes()) {
        Ok(envelope) => {
            // Nobody takes envelopes any more when the terminal is being left.
            let _ = envelopes.send(envelope);
            text(StatusCode::NO_CONTENT, "")
        }
        Err(error) => text(StatusCode::BAD_REQUEST, format!("this is no envelope: {error}\n")),
    }
}
