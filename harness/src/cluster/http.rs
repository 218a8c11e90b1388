//! The little of an HTTP client that the harness needs beside its load: JSON
//! from a node's control plane.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// Gets `path` from a node and reads the JSON of the answer.
pub async fn get_json<T: DeserializeOwned>(address: SocketAddr, path: &str, limit: Duration) -> Result<T> {
    let body = exchange(Request::get(path), Bytes::new(), address, limit).await?;
    serde_json::from_slice(&body).with_context(|| format!("GET http://{address}{path}: unexpected answer"))
}

/// Posts JSON to `path` of a node.
pub async fn post_json(
    address: SocketAddr,
    path: &str,
    value: &impl Serialize,
    limit: Duration,
) -> Result<()> {
    let body = serde_json::to_vec(value)?.into();
    exchange(Request::post(path), body, address, limit).await.map(drop)
}

async fn exchange(request: Builder, body: Bytes, address: SocketAddr, limit: Duration) -> Result<Bytes> {
    let request = request.header(hyper::header::HOST, address.to_string()).body(Full::new(body))?;
    let what = format!("{} http://{address}{}", request.method(), request.uri());
    tokio::time::timeout(limit, send(request, address))
        .await
        .map_err(|_| anyhow!("{what}: no answer within {limit:?}"))?
        .context(what)
}

async fn send(request: Request<Full<Bytes>>, address: SocketAddr) -> Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    };
    // Polled together: the connection does the reading and writing.
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        closed = &mut connection => {
            closed?;
            exchange.await
        }
    }
}
