//! Ports for nodes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use rand::RngExt;

use crate::plan::grid::last_port;

/// The address range of all nodes: this machine, not reachable from others.
pub const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Listeners on `first`, `first + 1`, … An occupied port is named.
pub fn bind_range(first: u16, nodes: u16) -> Result<Vec<TcpListener>> {
    let last = last_port(first, nodes)?;
    (first..=last).map(bind).collect()
}

fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((HOST, port))).with_context(|| {
        format!("port {port} cannot be used; stop the program that has it, or give another port")
    })
}

/// Listeners on free ports, all outside the range from which the kernel takes
/// ports for outgoing connections: there, a connection of the first node could
/// take the port of the last before that listens.
pub fn bind_free(nodes: u16) -> Result<Vec<TcpListener>> {
    const LOWEST: u16 = 10_000;
    let outgoing_from = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32_768);
    let highest = if outgoing_from > LOWEST + 4096 { outgoing_from } else { u16::MAX };
    let mut listeners = Vec::new();
    let mut attempts = 0;
    while listeners.len() < usize::from(nodes) {
        attempts += 1;
        if attempts > 20 * u32::from(nodes) + 1000 {
            bail!("found only {} free ports of {nodes} between {LOWEST} and {highest}", listeners.len());
        }
        let port = rand::rng().random_range(LOWEST..highest);
        match TcpListener::bind(SocketAddr::from((HOST, port))) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("cannot listen on this machine's loopback address"),
        }
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occupied_port_is_named_with_the_way_out() {
        let taken = bind_free(1).unwrap().remove(0);
        let port = taken.local_addr().unwrap().port();
        let message = format!("{:#}", bind_range(port, 1).unwrap_err());
        assert!(message.contains(&port.to_string()) && message.contains("another port"), "{message}");
        assert!(bind_range(65_535, 2).unwrap_err().to_string().contains("65536"));
        assert!(bind_range(0, 1).is_err());
    }
}
