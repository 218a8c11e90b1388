//! Requests over HTTP/2, and their answers.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, bail};
use apps::AppName;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioTimer;
use node::api::Undecided;
use node::{Coalesced, LocalTasks, MAX_STREAMS};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_local};

use super::bodies::Bodies;
use super::progress::Progress;
use super::samples::{Answer, Kept};
use super::spec::LoadSpec;

/// Beyond the nodes' own timeout, before an answer counts as missing.
const GRACE: Duration = Duration::from_secs(2);

/// Posts requests to nodes and reads their answers.
pub(super) struct Gateways {
    bodies: Bodies,
    app: AppName,
    gateways: Vec<Target>,
    limit: Duration,
}

/// A gateway, and the connections to it: opened when first needed, and again
/// after they broke.
struct Target {
    id: u16,
    address: SocketAddr,
    uri: Uri,
    connections: Vec<Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

impl Gateways {
    pub(super) fn new(spec: &LoadSpec, nodes: &[(u16, SocketAddr)], connections: usize) -> Gateways {
        let owners = spec.targets.ids();
        let bodies =
            Bodies::new(spec.app, spec.payload_bytes, spec.seed, &owners).after_filling(spec.fill_bytes);
        let target = |(id, address): &(u16, SocketAddr)| Target {
            id: *id,
            address: *address,
            uri: format!("http://{address}{}", bodies.path()).parse().expect("an address makes a valid URI"),
            connections: (0..connections.max(1)).map(|_| Mutex::default()).collect(),
        };
        let gateways = nodes.iter().map(target).collect();
        Gateways { bodies, app: spec.app, gateways, limit: spec.timeout + GRACE }
    }

    /// One request and its answer. Connections are used round robin, by this number.
    pub(super) async fn exchange(
        &self,
        request: usize,
        gateway: usize,
        number: usize,
        progress: &Progress,
    ) -> Answer {
        // Pinned here, as it would be moved into the timeout byte by byte.
        let exchange = pin!(self.try_exchange(request, &self.gateways[gateway], number, progress));
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
        let message = post(gateway.uri.clone(), self.bodies.body(request as u64, gateway.id))?;
        progress.sent(request);
        let (status, body) = answered(connection.send_request(message).await?).await?;
        read_answer(self.app, status, &body)
    }

    /// Does what must be done before the requests: posts each stage's bodies to the gateways that take
    /// them, or to the first one, all at once, and waits for the answers.
    pub(super) async fn prepare(&self) -> Result<()> {
        for stage in self.bodies.preparation() {
            let mut running = JoinSet::new();
            for (number, (owner, (path, body))) in stage.into_iter().enumerate() {
                let of_owner = self.gateways.iter().find(|gateway| Some(gateway.id) == owner);
                let gateway = of_owner.unwrap_or(&self.gateways[0]);
                let mut connection = gateway.connection(number).await?;
                let uri = format!("http://{}{path}", gateway.address).parse()?;
                let answer = tokio::time::timeout(self.limit, connection.send_request(post(uri, body)?));
                running.spawn_local(async move { answered(answer.await??).await });
            }
            while let Some(answer) = running.join_next().await {
                let (status, body) = answer??;
                if let Answer::Timeout { .. } = read_answer(self.app, status, &body)? {
                    bail!("not all that the requests need was decided in time");
                }
            }
        }
        Ok(())
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

fn post(uri: Uri, body: Bytes) -> Result<Request<Full<Bytes>>> {
    let json = HeaderValue::from_static("application/json");
    Ok(Request::post(uri).header(CONTENT_TYPE, json).body(Full::new(body))?)
}

async fn answered(response: Response<Incoming>) -> Result<(StatusCode, Bytes)> {
    let (status, mut body) = (response.status(), response.into_body());
    let mut answer = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        // Nearly every answer comes in one piece.
        answer = if answer.is_empty() { chunk } else { [answer, chunk].concat().into() };
    }
    Ok((status, answer))
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(LocalTasks::default())
        .timer(TokioTimer::new())
        // Until the node says so itself.
        .initial_max_send_streams(MAX_STREAMS as usize)
        .handshake(Coalesced::new(stream))
        .await?;
    spawn_local(async move {
        // A broken connection shows at the requests that were on it.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The part of an application's answer that is kept.
#[derive(Deserialize)]
struct WithDecision {
    decision: node::api::Decision,
}

fn read_answer(app: AppName, status: StatusCode, body: &[u8]) -> Result<Answer> {
    match status {
        // An application's refusals are decided like everything else.
        StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::CONFLICT
            if app != AppName::Opaque
                && let Ok(answer) = serde_json::from_slice::<WithDecision>(body) =>
        {
            Ok(Answer::Decided(answer.decision.into()))
        }
        StatusCode::OK => Ok(Answer::Decided(serde_json::from_slice::<Kept<'_>>(body)?.into())),
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
        let answer = read_answer(AppName::Opaque, StatusCode::GATEWAY_TIMEOUT, body).unwrap();
        assert_eq!(answer, Answer::Timeout { replies: Some(1) });
        assert!(read_answer(AppName::Opaque, StatusCode::OK, b"{}").is_err());
        let busy = read_answer(AppName::Opaque, StatusCode::SERVICE_UNAVAILABLE, b"{\"error\":\"offline\"}")
            .unwrap_err();
        assert!(busy.to_string().contains("503") && busy.to_string().contains("offline"));
    }

    #[test]
    fn what_an_application_refuses_is_decided_and_what_is_not_ordered_is_an_error() {
        let body = br#"{"error":"there is only 3 in the account","decision":{"node":0,"seq":7,"view":1,
            "consensus_us":600.5,"received_ns":9,"replies":2}}"#;
        let answer = read_answer(AppName::Bank, StatusCode::CONFLICT, body).unwrap();
        let Answer::Decided(decision) = answer else { panic!("{answer:?}") };
        assert_eq!((decision.seq, decision.view, decision.consensus_us), (7, 1, 600.5));
        let wrong_app = br#"{"error":"this cluster runs the application kv"}"#;
        assert!(read_answer(AppName::Bank, StatusCode::NOT_FOUND, wrong_app).is_err());
        assert!(read_answer(AppName::Opaque, StatusCode::CONFLICT, body).is_err());
    }
}
