//! What the machine allows: checked, and stretched, before anything starts.

use anyhow::{Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::plan::{Cell, Load, Plan};
use crate::protocols::Placement;

/// Requests in flight at most in an open loop, if descriptors allow.
const OPEN_LOOP_IN_FLIGHT: u64 = 4096;
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

/// Requests in flight at most in an open loop: each takes one connection, and
/// one gateway may get them all.
pub fn open_loop_in_flight(plan: &Plan, descriptors: u64) -> usize {
    let nodes = plan.nodes.iter().copied().max().unwrap_or(1);
    max_clients(plan.placement, nodes, descriptors).min(OPEN_LOOP_IN_FLIGHT as usize)
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

/// Descriptors that the neediest process needs: one connection per client; in a
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
        let clients = match cell.load {
            Load::Closed { clients } => clients as u64,
            Load::Open { .. } => 0,
        };
        check_cluster(plan.placement, cell.nodes, clients, descriptors)?;
    }
    Ok(())
}

/// Refuses a cluster that needs more descriptors than the process may have.
pub fn check_cluster(placement: Placement, nodes: u16, clients: u64, descriptors: u64) -> Result<()> {
    let need = needed(placement, nodes.into(), clients);
    if need > descriptors {
        bail!(
            "{nodes} nodes as {placement} with {clients} clients need {need} open descriptors in one process, \
             and the hard limit is {descriptors}; raise it (as root: ulimit -Hn {need}; or LimitNOFILE, \
             limits.conf), then run `ulimit -n {need}`, or use fewer nodes or clients{}",
            match placement {
                Placement::Tasks => " or --placement processes",
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
    fn open_loops_take_what_is_left() {
        let plan = Plan::default();
        assert_eq!(open_loop_in_flight(&plan, 1_000_000), 4096);
        assert_eq!(open_loop_in_flight(&plan, 1024), 1024 - 28 - 64);
        assert_eq!(open_loop_in_flight(&plan, 0), 1);
    }
}
