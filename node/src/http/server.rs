//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on them.

use super::coalesced::Coalesced;
use super::connections::{self, Connections, Explained, Permit};
use super::interface::Interface;
use super::local_tasks::LocalTasks;
use super::own_hosts::OwnHosts;
use super::response::{TOO_MANY_CONNECTIONS, Unwritten};
use super::router::route;
use crate::host::node::Node;
use hyper::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use kernel::Protocol;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Accepts connections until the node stops, and returns when its clients have had their
/// answers.
pub(crate) async fn serve<P: Protocol + 'static>(
    node: Rc<Node<P>>,
    listener: TcpListener,
    tasks: &mut JoinSet<()>,
) {
    let peers = node.links.len() - 1;
    let connections = Connections::new(node.config.max_clients, peers);
    let announced = node.config.addresses[usize::from(node.config.id.0)];
    let own_hosts = OwnHosts::new(listener.local_addr().unwrap_or(announced), announced);
    let interface = Rc::new(Interface::new(Rc::clone(&node), own_hosts));
    let stopping = node.until_stopping();
    tokio::pin!(stopping);
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopping => break,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely out of descriptors: others must close first.
                tracing::warn!(%error, "cannot accept a connection; `ulimit -n` may be too low");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let Some(permit) = connections.admit(client.ip()) else {
            // Not even listened to: it gets one answer, if that can be written at once.
            let _ = stream
                .try_write(&connections::raw_answer(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_CONNECTIONS));
            continue;
        };
        tasks.spawn_local(serve_connection(Rc::clone(&interface), stream, permit));
    }
    drop(listener);
    while connections.clients() > 0 {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// While a node stops: between two looks at whether its clients are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How HTTP/2 begins (RFC 9113, section 3.4), as no request of HTTP/1.1 does.
const HTTP2: &[u8] = b"PRI ";
/// Requests that an HTTP/2 connection may have in flight. Each takes some kB for as long as its client wants, so that
/// together they take about as much as answers that are not read may.
pub const MAX_STREAMS: u32 = 4096;
/// Bodies that come in on an HTTP/2 connection and are not read yet.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A client that lets more bytes of answers pile up than this does not read them.
const MAX_UNWRITTEN_BYTES: usize = 16 << 20;

/// One connection, from its first request to its end.
async fn serve_connection<P: Protocol + 'static>(
    interface: Rc<Interface<P>>,
    stream: TcpStream,
    permit: Permit,
) {
    let limit = permit.read_limit(interface.node.config.read_limit());
    let mut start = [0; HTTP2.len()];
    // Whoever says nothing, or is gone already, is owed no answer.
    let bytes = tokio::select! {
        peeked = tokio::time::timeout(limit, stream.peek(&mut start)) => peeked,
        () = interface.node.until_stopping() => return,
    };
    let Ok(Ok(bytes)) = bytes else { return };
    match &start[..bytes] == HTTP2 {
        true => serve_http2(interface, stream, permit, limit).await,
        false => serve_http1(&interface, stream, &permit, limit).await,
    }
}

async fn serve_http1<P: Protocol + 'static>(
    interface: &Rc<Interface<P>>,
    stream: TcpStream,
    permit: &Permit,
    limit: Duration,
) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(route(interface, permit, request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limit);
    let mut connection = http.serve_connection(Explained::new(stream), service);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = interface.node.until_stopping() => {
            // What has begun gets its answer, and then the connection is closed.
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!(%error, "connection ended");
    let parts = connection.into_parts();
    // Whoever has begun a request gets an answer; whoever was idle would take it for
    // the answer to his next.
    let late = error.is_timeout() && !parts.read_buf.is_empty();
    let answer = late.then(|| {
        let error = format!("the request's head did not come within {limit:?}");
        connections::raw_answer(StatusCode::REQUEST_TIMEOUT, &error)
    });
    connections::close(parts.io, answer).await;
}

/// Many requests at once on one connection, which is closed once there was none
/// for as long as an idle HTTP/1.1 connection is kept.
async fn serve_http2<P: Protocol + 'static>(
    interface: Rc<Interface<P>>,
    stream: TcpStream,
    permit: Permit,
    limit: Duration,
) {
    let tasks = LocalTasks::default();
    let stopping = interface.node.until_stopping();
    let permit = Rc::new(permit);
    let (unwritten, too_many) = (Unwritten::default(), Rc::new(Notify::new()));
    let service = service_fn(|request| {
        let (interface, permit) = (Rc::clone(&interface), Rc::clone(&permit));
        let (unwritten, too_many) = (unwritten.clone(), Rc::clone(&too_many));
        async move {
            // Others may have come together with the one that was too much.
            if unwritten.bytes() > MAX_UNWRITTEN_BYTES {
                return std::future::pending().await;
            }
            let mut answer = route(&interface, &permit, request).await;
            unwritten.count(&mut answer);
            if unwritten.bytes() > MAX_UNWRITTEN_BYTES {
                too_many.notify_one();
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http2::Builder::new(tasks.clone());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let connection = http.serve_connection(Coalesced::new(stream), service);
    tokio::pin!(connection, stopping);
    loop {
        let begun = tasks.begun();
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = too_many.notified() => {
                tracing::debug!(limit_bytes = MAX_UNWRITTEN_BYTES, "closes a connection whose client does not read its answers");
                return;
            }
            () = tokio::time::sleep(limit) => {}
            () = &mut stopping => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
                return;
            }
        }
        if tasks.begun() == begun && tasks.running() == 0 {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(limit, connection).await;
            return;
        }
    }
}
