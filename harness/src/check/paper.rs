//! Scopes of the published flow, in which honest nodes disagree.

use std::collections::BTreeSet;
use std::sync::Arc;

use apps::OpaqueLog;
use ccro::paper::{self, Attempt, Message, Statement, Step};
use kernel::{Batch, Cluster, ReplicaId, Seq, Wire as _};
use sim::checker::{Forged, Names, Node, Scope, requests_of, signers};

use super::scopes::{cluster, honest, two};

/// A node of the published flow.
pub type Paper = paper::Replica<OpaqueLog>;

const COMMANDER: ReplicaId = ReplicaId(0);
const COMMUNICATION_NODE: ReplicaId = ReplicaId(1);

/// Who is faulty in the published flow, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultyRoles {
    /// The communication node announces whatever it likes.
    CommunicationNode,
    /// The same, and then it says that it took over as commander of a rerun.
    TakingOver,
    /// The commander hands out two blocks, and says of either that it is stored.
    Commander,
    /// The commander hands out two blocks, and the communication node announces
    /// either.
    Both,
}

/// One round of the published flow.
pub fn paper(n: u16, roles: FaultyRoles) -> Scope<Paper> {
    let cluster = cluster("ccro-paper", n);
    let faulty: BTreeSet<ReplicaId> = match roles {
        FaultyRoles::CommunicationNode | FaultyRoles::TakingOver => [COMMUNICATION_NODE].into(),
        FaultyRoles::Commander => [COMMANDER].into(),
        FaultyRoles::Both => [COMMANDER, COMMUNICATION_NODE].into(),
    };
    let replica = paper::Replica::new(&pbft::Config::for_cluster(n), OpaqueLog::default());
    let mut nodes: Vec<Node<Paper>> = honest(0..n, &replica);
    nodes.retain(|node| !faulty.contains(&node.id));
    let two = two(&cluster);
    if let Some(commander) = nodes.iter_mut().find(|node| node.id == COMMANDER) {
        commander.submits = two.bundles.to_vec();
    }
    let forged = forged_messages(&cluster, roles, &two.batches);
    let mut scope = Scope::new(cluster, nodes);
    scope.asked = two.bundles.iter().flat_map(|bundle| requests_of(bundle)).collect();
    scope.names = two.names;
    scope.describe = describe;
    scope.lost =
        |message| matches!(message, Message::Requests(_) | Message::Fetch { .. } | Message::State { .. });
    scope.faulty = faulty;
    scope.forge = Box::new(move |_| {
        let forged_message = |(from, message): &(ReplicaId, Message)| Forged {
            from: *from,
            to: None,
            message: message.clone(),
        };
        forged.iter().map(forged_message).collect()
    });
    scope
}

/// No forged message of this flow needs anything that others said.
fn forged_messages(
    cluster: &Cluster,
    roles: FaultyRoles,
    batches: &[Arc<Batch>],
) -> Vec<(ReplicaId, Message)> {
    let signers = signers(cluster);
    let signer = |author: ReplicaId| &signers[usize::from(author.0)];
    let first = (Seq(1), Attempt::default());
    let rerun = (Seq(1), Attempt { takeovers: 1, replacements: 0 });
    let mut forged = Vec::new();
    for batch in batches {
        let sign =
            |author, step, round| Statement::sign(cluster, signer(author), step, round, batch.digest());
        let block = |author, round| Message::Block {
            header: sign(author, Step::Request, round),
            batch: Arc::clone(batch),
        };
        let store =
            |author, round| Message::store(cluster, signer(author), round, Arc::clone(batch), Arc::default());
        let step = |step| (COMMUNICATION_NODE, Message::Step(sign(COMMUNICATION_NODE, step, first)));
        match roles {
            FaultyRoles::Commander => {
                forged.extend([(COMMANDER, block(COMMANDER, first)), (COMMANDER, store(COMMANDER, first))]);
            }
            FaultyRoles::Both => {
                forged.push((COMMANDER, block(COMMANDER, first)));
                forged.extend([step(Step::PrePrepare), step(Step::Commit)]);
            }
            FaultyRoles::CommunicationNode => forged.extend([step(Step::PrePrepare), step(Step::Commit)]),
            // The commander's block is the first; the other is for the rerun.
            FaultyRoles::TakingOver if batch == &batches[0] => forged.push(step(Step::Commit)),
            FaultyRoles::TakingOver => {
                forged.push((COMMUNICATION_NODE, block(COMMUNICATION_NODE, rerun)));
                forged.push((COMMUNICATION_NODE, store(COMMUNICATION_NODE, rerun)));
            }
        }
    }
    forged
}

fn describe(message: &Message, names: &Names) -> String {
    let about = |header: &Statement| {
        let rerun = if header.attempt == Attempt::default() { "" } else { ", run again" };
        format!("{} (round {}{rerun})", names.of(&header.digest), header.seq)
    };
    match message {
        Message::Requests(_) => "requests".to_owned(),
        Message::Store { header, .. } => format!("STORE block {}", about(header)),
        Message::Block { header, .. } => format!("REQUEST block {}", about(header)),
        Message::Reply { header, .. } => format!("REPLY {}", about(header)),
        Message::Step(header) => format!("{} {}", message.kind().to_uppercase(), about(header)),
        other => other.kind().to_uppercase(),
    }
}
