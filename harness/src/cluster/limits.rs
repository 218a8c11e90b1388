//! What the machine allows: checked, and stretched, before anything starts.

use anyhow::{Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::plan::{Cell, Gateway, Load, OPEN_LOOP_IN_FLIGHT, Placement, Plan};

/// Connections of clients that a node takes at most, if descriptors allow.
const CLIENTS: u64 = 100_000;
/// Descriptors that a process needs for itself.
const BASE: u64 = 64;

/// Raises the soft limit of open descriptors to the hard one, for this process
/// and the nodes that it starts, and returns it.
pub fn raise_descriptor_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    // Where even that is forbidden, the check below finds out whether it matters.
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

/// Open descriptors that this process may have now.
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

/// Connections that clients may have to one node, so that there are descriptors
/// for all that a node itself needs.
pub fn max_clients(placement: Placement, nodes: u16, descriptors: u64) -> usize {
    let sides = match placement {
        Placement::Processes | Placement::Simulated => 1,
        Placement::Tasks => 2,
    };
    let rest = descriptors.saturating_sub(needed(placement, nodes.into(), 0)) / sides;
    rest.clamp(1, CLIENTS) as usize
}

/// Descriptors that the neediest process needs: the clients' connections; in a
/// node those to every peer, from it, to ask it for a log, and the spare ones for
/// links that come back; in the harness three for each node process.
fn needed(placement: Placement, nodes: u64, clients: u64) -> u64 {
    match placement {
        Placement::Processes => {
            let node = 7 * nodes + clients + BASE;
            let harness = 4 * nodes + clients + BASE;
            node.max(harness)
        }
        // Nothing is connected.
        Placement::Simulated => BASE,
        // Every connection has both its ends here, and there is one per ordered
        // pair of nodes.
        Placement::Tasks => 2 * nodes * nodes.saturating_sub(1) + 2 * clients + 8 * nodes + BASE,
    }
}

/// Refuses cells that need more descriptors than the process may have.
pub fn check(plan: &Plan, cells: &[Cell], descriptors: u64) -> Result<()> {
    for cell in cells {
        check_cluster(plan.placement, cell.nodes, connections(plan, cell), descriptors)?;
    }
    Ok(())
}

/// Connections that the load opens in all.
fn connections(plan: &Plan, cell: &Cell) -> u64 {
    let gateways = match plan.gateway {
        Gateway::Auto if plan.outage.is_none() => 1,
        Gateway::Node(_) => 1,
        Gateway::Auto | Gateway::Spread => usize::from(cell.nodes),
    };
    let most = match cell.load {
        Load::Closed { clients } => clients,
        Load::Open { .. } => OPEN_LOOP_IN_FLIGHT,
    };
    (gateways * plan.connections).min(most) as u64
}

/// Refuses a cluster that needs more descriptors than the process may have, with
/// so many connections of clients.
pub fn check_cluster(placement: Placement, nodes: u16, clients: u64, descriptors: u64) -> Result<()> {
    let need = needed(placement, nodes.into(), clients);
    if need > descriptors {
        bail!(
            "{nodes} nodes as {placement} with {clients} connections of clients need {need} open descriptors in one process, \
             and the hard limit is {descriptors}; raise it (as root: ulimit -Hn {need}; or LimitNOFILE, \
             limits.conf), then run `ulimit -n {need}`, or use fewer nodes or connections{}",
            match placement {
                Placement::Tasks => " or the placement processes",
                Placement::Processes | Placement::Simulated => "",
            }
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_grow_as_connections_do() {
        assert!(check_cluster(Placement::Processes, 64, 1, 1024).is_ok());
        let tasks = check_cluster(Placement::Tasks, 100, 1, 1024).unwrap_err().to_string();
        assert!(tasks.contains("20666") && tasks.contains("ulimit -n 20666"), "{tasks}");
        assert!(check_cluster(Placement::Tasks, 100, 1, 20_666).is_ok());
        assert!(check_cluster(Placement::Processes, 4, 2000, 1024).is_err());
    }

    #[test]
    fn clients_share_connections() {
        let in_all = |text: &str| {
            let plan = Plan::parse(text, Some("p")).unwrap();
            connections(&plan, &plan.cells().unwrap()[0])
        };
        assert_eq!(in_all("clients = [1]"), 1);
        assert_eq!(in_all("clients = [512]"), 4);
        assert_eq!(in_all("clients = [512]\nconnections = 512"), 512);
        assert_eq!(in_all("clients = [512]\ngateway = \"spread\""), 16);
        assert_eq!(in_all("rate = [100.0]"), 4);
    }
}
