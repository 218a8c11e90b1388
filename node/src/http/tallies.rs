//! Asks the peers for their tallies of one slot.

use super::answers::NodeTally;
use super::peer::FROM_HEADER;
use crate::host::node::Node;
use crate::host::slot_log::LogReport;
use anyhow::ensure;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kernel::{Protocol, ReplicaId, Seq};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a peer may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Votes still on their way when the result was accepted get this long to
/// arrive, plus what the injected link delay needs.
const SETTLE: Duration = Duration::from_millis(20);
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Every node's tally of `seq`, once the votes have arrived.
pub(super) async fn tallies<P: Protocol>(node: &Node<P>, seq: Seq) -> Vec<NodeTally> {
    let config = &node.config;
    let delay_us = node.link_conditions().delay_us;
    tokio::time::sleep(SETTLE + 4 * Duration::from_micros(delay_us)).await;
    let mut asked = JoinSet::new();
    for id in config.cluster.replicas().filter(|id| *id != config.id) {
        let address = config.addresses[usize::from(id.0)];
        let from = config.id;
        asked.spawn_local(async move {
            let answer = tokio::time::timeout(ANSWER_WITHIN, tally_of(address, from, seq)).await;
            (id, answer.ok().and_then(Result::ok))
        });
    }
    let own = node.tally(seq);
    let mut nodes = vec![NodeTally { node: config.id, votes: Some((own.correct, own.corrupt)) }];
    while let Some(answered) = asked.join_next().await {
        if let Ok((node, votes)) = answered {
            nodes.push(NodeTally { node, votes });
        }
    }
    nodes.sort_unstable_by_key(|tally| tally.node);
    nodes
}

async fn tally_of(address: SocketAddr, from: ReplicaId, seq: Seq) -> anyhow::Result<(u64, u64)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Naming ourselves makes this a peer's question, which a node that is
    // offline by fault injection does not answer.
    let request = Request::get(format!("/log?from={seq}&to={seq}"))
        .header(hyper::header::HOST, address.to_string())
        .header(FROM_HEADER, from.0)
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        ensure!(response.status().is_success(), "status {}", response.status());
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        let log: LogReport = serde_json::from_slice(&body)?;
        let row = log.rows.iter().find(|row| row.seq == seq.0);
        Ok(row.map_or((0, 0), |row| (row.correct, row.corrupt)))
    };
    tokio::pin!(connection);
    tokio::select! {
        biased;
        answer = answer => answer,
        ended = &mut connection => anyhow::bail!("the connection ended: {ended:?}"),
    }
}
