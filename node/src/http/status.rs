//! `/status`: what a node says of itself.

use super::response::{Answer, json};
use crate::api::{PeerReport, StatusReport};
use crate::host::node::Node;
use hyper::StatusCode;
use kernel::{Cluster, Protocol, ReplicaId, Status};

/// The whole report.
pub(super) fn get<P: Protocol>(node: &Node<P>) -> Answer {
    json(StatusCode::OK, &report(node))
}

/// Makes the report of a node.
pub(super) fn report<P: Protocol>(node: &Node<P>) -> StatusReport {
    let config = &node.config;
    let status = node.replica_status();
    let peers: Vec<PeerReport> = node
        .links
        .iter()
        .enumerate()
        .filter_map(|(id, link)| {
            Some(PeerReport {
                id: ReplicaId(id as u16),
                address: config.addresses[id],
                reachable: link.as_ref()?.is_connected(),
            })
        })
        .collect();
    StatusReport {
        id: config.id,
        pid: std::process::id(),
        protocol: config.cluster.protocol.clone(),
        app: config.app,
        role: role(config.id, &status).to_owned(),
        nodes: config.cluster.n,
        f: config.faulty_tolerated,
        quorum: status
            .membership
            .as_ref()
            .map_or_else(|| quorum(&config.cluster, config.faulty_tolerated), |they| they.members_quorum),
        replica: status,
        peers_reachable: peers.iter().filter(|peer| peer.reachable).count(),
        peers_expected: peers.len(),
        peers,
        faults: node.behaviours(),
        requests_in_flight: node.requests_in_flight(),
        counters: node.counters(),
        journal: node.journal_report(),
    }
}

/// The role of a node, by its own word: see [`StatusReport::role`].
pub fn role(id: ReplicaId, status: &Status) -> &'static str {
    let Some(views) = &status.views else {
        return "replica";
    };
    match (views.commander == id, views.communication_node == Some(id)) {
        (true, true) => "commander+communication_node",
        (true, false) => "commander",
        (false, true) => "communication_node",
        (false, false) => "replica",
    }
}

/// Votes that decide in a cluster that tolerates `f`: the published flow has its own `f`
/// and decides on `2f+1` votes of it.
pub(crate) fn quorum(cluster: &Cluster, f: usize) -> usize {
    if cluster.protocol == "ccro-paper" { 2 * f + 1 } else { cluster.quorum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{ClusterId, Seq, View, ViewStatus};

    #[test]
    fn a_node_can_have_two_roles() {
        let status = |commander, communication_node: Option<u16>| Status {
            views: Some(ViewStatus {
                view: View(0),
                changing_view: false,
                commander: ReplicaId(commander),
                communication_node: communication_node.map(ReplicaId),
                stable_checkpoint: Seq(0),
                trust_milli: vec![],
            }),
            ..Status::default()
        };
        let role = |status: Status| role(ReplicaId(1), &status);
        assert_eq!(role(status(1, Some(1))), "commander+communication_node");
        assert_eq!(role(status(1, None)), "commander");
        assert_eq!(role(status(0, Some(1))), "communication_node");
        assert_eq!(role(status(0, Some(2))), "replica");
    }

    #[test]
    fn the_quorum_is_the_flow_s_own() {
        let cluster = |protocol| Cluster::new(ClusterId([0; 16]), protocol, 6);
        assert_eq!(quorum(&cluster("pbft"), 1), 4);
        assert_eq!(quorum(&cluster("ccro-paper"), 1), 3);
    }
}
