//! A small HTTP server on this machine.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

/// Connections at once; further ones wait.
const MOST_CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// Answers requests until the returned future is dropped. Must be called inside a tokio
/// `LocalSet`.
///
/// # Errors
///
/// If the listener cannot be used.
pub async fn serve<F, A>(listener: TcpListener, answer: F) -> Result<()>
where
    F: Fn(Request<Incoming>) -> A + Clone + 'static,
    A: Future<Output = Answer> + 'static,
{
    listener.set_nonblocking(true).context("cannot make the listening socket non-blocking")?;
    let listener =
        tokio::net::TcpListener::from_std(listener).context("cannot serve on the listening socket")?;
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&free).acquire_owned().await?;
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: some connection ends.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let answer = answer.clone();
        spawn_local(async move {
            let service = service_fn(|request| {
                let answered = answer(request);
                async { Ok::<_, Infallible>(answered.await) }
            });
            // A client that goes away half-way is no news.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

/// An answer of some text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer
}
