//! One client's connection to one node.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use node::api::kv::{CompareAndSwap, Compared, Deleted, Put, Stored, Value};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::operation::{Answer, Call};

const KV: &str = "/api/v1/kv";

/// An open connection to a node.
pub(super) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects. Must run in a `LocalSet`.
    pub(super) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(async move {
            // A broken connection shows at the request that was on it.
            let _ = connection.await;
        });
        Ok(Connection { address, sender })
    }

    /// Whether it has not broken yet, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Asks for an operation on a key, whose characters need no escapes, and waits for its
    /// answer. After an error nobody knows whether the operation takes effect.
    pub(super) async fn ask(&mut self, key: &str, call: &Call) -> Result<Answer> {
        let (method, path, body) = match call {
            Call::Get => (Method::GET, format!("{KV}?key={key}"), Bytes::new()),
            Call::Delete => (Method::DELETE, format!("{KV}?key={key}"), Bytes::new()),
            Call::Put { value } => {
                (Method::POST, KV.into(), json(&Put { key: key.into(), value: value.into() })?)
            }
            Call::CompareAndSwap { expected, new } => {
                let [expected, new] = [expected, new].map(|value| value.as_deref().map(Into::into));
                (Method::POST, format!("{KV}/cas"), json(&CompareAndSwap { key: key.into(), expected, new })?)
            }
        };
        let request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                answer(call, &body).with_context(|| String::from_utf8_lossy(&body).into_owned())
            }
            _ => bail!("{status}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

fn json(value: &impl Serialize) -> Result<Bytes> {
    Ok(serde_json::to_vec(value)?.into())
}

fn answer(call: &Call, body: &[u8]) -> Result<Answer> {
    Ok(match call {
        Call::Get => {
            let Value { value, .. } = serde_json::from_slice(body)?;
            Answer::Value { value: value.map(Into::into) }
        }
        Call::Put { .. } => {
            let Stored { created, .. } = serde_json::from_slice(body)?;
            Answer::Stored { created }
        }
        Call::Delete => {
            let Deleted { existed, .. } = serde_json::from_slice(body)?;
            Answer::Deleted { existed }
        }
        Call::CompareAndSwap { .. } => {
            let Compared { swapped, current, .. } = serde_json::from_slice(body)?;
            Answer::Compared { swapped, current: current.map(Into::into) }
        }
    })
}
