//! Requests over HTTP/2, and their answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use node::LocalTasks;
use node::api::{Decided, Undecided};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::spawn_local;

use super::bodies::Bodies;
use super::progress::Progress;
use super::samples::Answer;
use super::spec::LoadSpec;

/// Beyond the nodes' own timeout, before an answer counts as missing.
const GRACE: Duration = Duration::from_secs(2);

/// Makes requests and reads answers.
pub(super) struct Sender {
    bodies: Bodies,
    gateways: Vec<Target>,
    limit: Duration,
}

/// A gateway, and the connections to it: opened when first needed, and again
/// after they broke.
struct Target {
    address: SocketAddr,
    uri: Uri,
    connections: Vec<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Sender {
    pub(super) fn new(spec: &LoadSpec) -> Sender {
        let target = |address: SocketAddr| Target {
            address,
            uri: format!("http://{address}/preprepare").parse().expect("an address makes a valid URI"),
            connections: (0..spec.connections.max(1)).map(|_| Mutex::default()).collect(),
        };
        Sender {
            bodies: Bodies::new(spec.payload_bytes, spec.seed),
            gateways: spec.gateways.iter().map(|(_, address)| target(*address)).collect(),
            limit: spec.timeout + GRACE,
        }
    }

    /// One request and its answer. Connections are used round robin, by this number.
    pub(super) async fn exchange(
        &self,
        request: usize,
        gateway: usize,
        number: usize,
        progress: &Progress,
    ) -> Answer {
        let exchange = self.try_exchange(request, &self.gateways[gateway], number, progress);
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Error(format!("{error:#}")),
            Err(_) => Answer::Error(format!("no answer from the gateway within {:?}", self.limit)),
        }
    }

    async fn try_exchange(
        &self,
        request: usize,
        gateway: &Target,
        number: usize,
        progress: &Progress,
    ) -> Result<Answer> {
        let mut connection = gateway.connection(number).await?;
        let message = Request::post(gateway.uri.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(self.bodies.body(request as u64)))?;
        progress.sent(request);
        let response = connection.send_request(message).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        read_answer(status, &body)
    }
}

impl Target {
    async fn connection(&self, number: usize) -> Result<SendRequest<Full<Bytes>>> {
        let mut connection = self.connections[number % self.connections.len()].lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        Ok(connection.insert(connect(self.address).await?).clone())
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(LocalTasks::default())
        .timer(TokioTimer::new())
        .initial_max_send_streams(usize::MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    spawn_local(async move {
        // A broken connection shows at the requests that were on it.
        let _ = connection.await;
    });
    Ok(sender)
}

fn read_answer(status: StatusCode, body: &[u8]) -> Result<Answer> {
    match status {
        StatusCode::OK => Ok(Answer::Decided(serde_json::from_slice::<Decided<'_>>(body)?.into())),
        StatusCode::GATEWAY_TIMEOUT => {
            let replies = serde_json::from_slice::<Undecided<'_>>(body)?.replies;
            Ok(Answer::Timeout { replies: Some(replies as u64) })
        }
        _ => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            bail!("the gateway answered {status}: {text}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undecided_answer_never_has_a_time() {
        let body = br#"{"outcome":"timeout","error":"x","replies":1,"undecided_slot":1,"nodes":[],
            "not_answered":[0,1],"consensus_us":5.0}"#;
        let answer = read_answer(StatusCode::GATEWAY_TIMEOUT, body).unwrap();
        assert_eq!(answer, Answer::Timeout { replies: Some(1) });
        assert!(read_answer(StatusCode::OK, b"{}").is_err());
        let busy = read_answer(StatusCode::SERVICE_UNAVAILABLE, b"{\"error\":\"offline\"}").unwrap_err();
        assert!(busy.to_string().contains("503") && busy.to_string().contains("offline"));
    }
}
