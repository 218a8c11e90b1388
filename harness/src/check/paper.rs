//! Scopes of the published flow, in which honest nodes disagree.

use std::collections::BTreeSet;
use std::sync::Arc;

use apps::OpaqueLog;
use ccro::paper::{self, Attempt, Message, Statement, Step};
use kernel::{Batch, Cluster, ReplicaId, Seq, Wire as _};
use sim::checker::{Lie, Names, Node, Scope, requests_of, signers};

use super::scopes::{cluster, honest, two};

/// A node of the published flow.
pub type Paper = paper::Replica<OpaqueLog>;

const COMMANDER: ReplicaId = ReplicaId(0);
const COMMUNICATION_NODE: ReplicaId = ReplicaId(1);

/// What the liars of the published flow do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liars {
    /// The communication node announces whatever it likes.
    CommunicationNode,
    /// The commander hands out two blocks, and says of either that it is stored.
    Commander,
    /// The commander hands out two blocks, and the communication node announces
    /// either.
    Both,
}

/// One round of the published flow.
pub fn paper(n: u16, liars: Liars) -> Scope<Paper> {
    let cluster = cluster("ccro-paper", n);
    let lying: BTreeSet<ReplicaId> = match liars {
        Liars::CommunicationNode => [COMMUNICATION_NODE].into(),
        Liars::Commander => [COMMANDER].into(),
        Liars::Both => [COMMANDER, COMMUNICATION_NODE].into(),
    };
    let replica = paper::Replica::new(&pbft::Config::for_cluster(n), OpaqueLog::default());
    let mut nodes: Vec<Node<Paper>> = honest(0..n, &replica);
    nodes.retain(|node| !lying.contains(&node.id));
    let two = two(&cluster);
    if let Some(commander) = nodes.iter_mut().find(|node| node.id == COMMANDER) {
        commander.submits = two.bundles.to_vec();
    }
    let lies = lies(&cluster, liars, &two.batches);
    let mut scope = Scope::new(cluster, nodes);
    scope.asked = two.bundles.iter().flat_map(|bundle| requests_of(bundle)).collect();
    scope.names = two.names;
    scope.describe = describe;
    scope.liars = lying;
    scope.forge = Box::new(move |_| {
        let lie =
            |(from, message): &(ReplicaId, Message)| Lie { from: *from, to: None, message: message.clone() };
        lies.iter().map(lie).collect()
    });
    scope
}

/// No lie of this flow needs anything that others said.
fn lies(cluster: &Cluster, liars: Liars, batches: &[Arc<Batch>]) -> Vec<(ReplicaId, Message)> {
    let signers = signers(cluster);
    let sign = |author: ReplicaId, step, batch: &Batch| {
        let signer = &signers[usize::from(author.0)];
        Statement::sign(cluster, signer, step, (Seq(1), Attempt::default()), batch.digest())
    };
    let commander = &signers[usize::from(COMMANDER.0)];
    let store = |batch: &Arc<Batch>| {
        let round = (Seq(1), Attempt::default());
        Message::store(cluster, commander, round, Arc::clone(batch), Arc::default())
    };
    let mut lies = Vec::new();
    for batch in batches {
        let block = |step| Message::Block { header: sign(COMMANDER, step, batch), batch: Arc::clone(batch) };
        let step = |step| Message::Step(sign(COMMUNICATION_NODE, step, batch));
        if liars != Liars::CommunicationNode {
            lies.push((COMMANDER, block(Step::Request)));
        }
        if liars == Liars::Commander {
            lies.push((COMMANDER, store(batch)));
        } else {
            lies.push((COMMUNICATION_NODE, step(Step::PrePrepare)));
            lies.push((COMMUNICATION_NODE, step(Step::Commit)));
        }
    }
    lies
}

fn describe(message: &Message, names: &Names) -> String {
    let about = |header: &Statement| format!("{} (round {})", names.of(&header.digest), header.seq);
    match message {
        Message::Requests(_) => "requests".to_owned(),
        Message::Store { header, .. } => format!("STORE block {}", about(header)),
        Message::Fetch { next } => format!("FETCH from round {next}"),
        Message::State { header, .. } => format!("STATE after {}", about(header)),
        Message::Block { header, .. } => format!("REQUEST block {}", about(header)),
        Message::Reply { header, .. } => format!("REPLY {}", about(header)),
        Message::Step(header) => format!("{} {}", message.kind().to_uppercase(), about(header)),
    }
}
