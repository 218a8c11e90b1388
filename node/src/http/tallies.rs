//! Every node's tally of one slot: as far as replies have brought them, or, for a
//! client that wants to wait, as the nodes give them when asked.

use super::peer::FROM_HEADER;
use crate::api::{LogReport, NodeTally};
use crate::host::node::Node;
use crate::tally::Tally;
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
use tokio::time::{Instant, sleep, timeout_at};

const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The tallies of a slot, in the order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tallies {
    pub(super) nodes: Vec<NodeTally>,
    pub(super) not_answered: Vec<ReplicaId>,
}

/// What is known without asking anybody.
pub(super) fn known<P: Protocol>(node: &Node<P>, seq: Seq) -> Tallies {
    let n = usize::from(node.config.cluster.n);
    let mut tallies = Tallies { nodes: Vec::with_capacity(n), not_answered: Vec::new() };
    for id in node.config.cluster.replicas() {
        tallies.add(id, node.tally_of(id, seq));
    }
    tallies
}

/// Asks the peers until all have answered and no tally changes any more, for at most
/// `within`. Between two rounds the votes that were on their way get as long to arrive
/// as the decision took, then twice as long, and so on.
pub(super) async fn settled<P: Protocol>(
    node: &Node<P>,
    seq: Seq,
    decision_took: Duration,
    within: Duration,
) -> Tallies {
    let end = Instant::now() + within;
    let mut pause = decision_took.max(Duration::from_millis(1));
    let mut answers = vec![None; usize::from(node.config.cluster.n)];
    loop {
        let has_changed = ask_all(node, seq, end, &mut answers).await;
        let tallies = with_known(node, seq, &answers);
        let is_settled = tallies.not_answered.is_empty() && !has_changed;
        if is_settled || Instant::now() + pause > end {
            return tallies;
        }
        sleep(pause).await;
        pause *= 2;
    }
}

/// Asks every peer once. Returns whether any tally is another than before.
async fn ask_all<P: Protocol>(node: &Node<P>, seq: Seq, end: Instant, answers: &mut [Option<Tally>]) -> bool {
    let config = &node.config;
    let mut asked = JoinSet::new();
    for id in config.cluster.replicas().filter(|id| *id != config.id) {
        let (address, from) = (config.addresses[usize::from(id.0)], config.id);
        asked.spawn_local(async move {
            let answer = timeout_at(end, ask(address, from, seq)).await;
            (id, answer.ok().and_then(Result::ok))
        });
    }
    let mut update = |id: ReplicaId, tally: Option<Tally>| {
        let known = &mut answers[usize::from(id.0)];
        let is_new = tally.is_some() && tally != *known;
        *known = tally.or(*known);
        is_new
    };
    let mut has_changed = update(config.id, node.tally_of(config.id, seq));
    while let Some(answered) = asked.join_next().await {
        if let Ok((id, tally)) = answered {
            has_changed |= update(id, tally);
        }
    }
    has_changed
}

fn with_known<P: Protocol>(node: &Node<P>, seq: Seq, answers: &[Option<Tally>]) -> Tallies {
    let mut tallies = Tallies::default();
    for (id, answer) in node.config.cluster.replicas().zip(answers) {
        tallies.add(id, answer.or_else(|| node.tally_of(id, seq)));
    }
    tallies
}

impl Tallies {
    fn add(&mut self, node: ReplicaId, tally: Option<Tally>) {
        match tally {
            Some(Tally { correct, corrupt }) => self.nodes.push(NodeTally { node, correct, corrupt }),
            None => self.not_answered.push(node),
        }
    }
}

async fn ask(address: SocketAddr, from: ReplicaId, seq: Seq) -> anyhow::Result<Tally> {
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
        Ok(row.map_or(Tally::default(), |row| Tally { correct: row.correct, corrupt: row.corrupt }))
    };
    tokio::pin!(connection);
    tokio::select! {
        biased;
        answer = answer => answer,
        ended = &mut connection => anyhow::bail!("the connection ended: {ended:?}"),
    }
}
