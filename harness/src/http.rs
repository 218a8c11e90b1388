//! The little of an HTTP client that the harness needs beside its load: JSON
//! from a node's control plane.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// Gets `path` from a node and reads the JSON of the answer.
pub async fn get_json<T: DeserializeOwned>(address: SocketAddr, path: &str, limit: Duration) -> Result<T> {
    let what = || format!("GET http://{address}{path}");
    let body = tokio::time::timeout(limit, get(address, path))
        .await
        .map_err(|_| anyhow!("{}: no answer within {limit:?}", what()))?
        .with_context(what)?;
    serde_json::from_slice(&body).with_context(|| format!("{}: unexpected answer", what()))
}

async fn get(address: SocketAddr, path: &str) -> Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get(path).header(hyper::header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
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
