//! `harness demo`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use client::first_session;
use demo::lessons;
use demo::local::Local;
use demo::names;
use demo::node::Setup;
use kernel::{Cluster, ClusterId, ReplicaId};

use super::block_on;
use crate::base::console::say;
use crate::cli::demo::DemoArgs;
use crate::cluster::ports;
use crate::demo::{terminal, together};

/// P0 listens on this port, P1 on the next, and so on,
const FIRST_PORT: u16 = 5000;
/// and the client here.
const CLIENT_PORT: u16 = 7000;

/// Runs the command and returns the exit code.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let cluster = Cluster::new(ClusterId::derive("demo", args.seed), "pbft", args.nodes).with_clients(1);
    if let Some(name) = &args.lesson {
        ensure!(args.nodes == 4, "a lesson is played with 4 replicas; leave --nodes out");
        return together::play(lessons::find(name).map_err(|wrong| anyhow!(wrong))?, args.yes);
    }
    if let Some(id) = own_id(args, &cluster)? {
        return one_terminal(args, cluster, id);
    }
    ensure!(
        args.port.is_none() && args.peers.is_empty(),
        "--port and --peers are for a terminal of its own; say whose with --node P0 or --client"
    );
    greet(&cluster);
    together::run(Local::new(Setup { cluster, seed: args.seed, first_session: 1 }))
}

/// Whose terminal it is; none if it is everybody's.
fn own_id(args: &DemoArgs, cluster: &Cluster) -> Result<Option<ReplicaId>> {
    if args.client {
        return Ok(Some(ReplicaId(cluster.n)));
    }
    let Some(name) = &args.node else { return Ok(None) };
    let id = names::id(cluster, name).map_err(|wrong| anyhow!("--node: {wrong}"))?;
    ensure!(cluster.contains(id), "the client is no node; its terminal is --client");
    Ok(Some(id))
}

fn one_terminal(args: &DemoArgs, cluster: Cluster, id: ReplicaId) -> Result<u8> {
    let mut ports = ports_of(args, &cluster)?;
    let own = usize::from(id.0);
    if let Some(port) = args.port {
        ports[own] = port;
    }
    let twice = (0..ports.len()).find(|place| ports[..*place].contains(&ports[*place]));
    if let Some(place) = twice {
        let name = names::name(&cluster, ReplicaId(place as u16));
        return Err(anyhow!(
            "port {} is {name}'s and another's as well; give each its own, with --port and --peers",
            ports[place]
        ));
    }
    let name = names::name(&cluster, id);
    let listener = ports::bind_range(ports[own], 1).with_context(|| {
        format!("{name} cannot listen; give --port here, and --peers {name}=PORT in the other terminals")
    })?;
    greet(&cluster);
    let port = ports[own];
    say(format_args!(
        "This terminal is {name}'s, on http://127.0.0.1:{port}; the others: harness demo --node …, --client."
    ));
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let setup = Setup { cluster, seed: args.seed, first_session: first_session(since_epoch) };
    let settings = terminal::Settings { setup, id, recovering: args.recovering, ports };
    let mut listener = listener.into_iter();
    let listener = listener.next().context("there is no listener")?;
    block_on(terminal::run(settings, listener))
}

/// The port of each participant, by id.
fn ports_of(args: &DemoArgs, cluster: &Cluster) -> Result<Vec<u16>> {
    let mut ports: Vec<u16> = (0..cluster.n).map(|id| FIRST_PORT + id).collect();
    ports.push(CLIENT_PORT);
    for peer in &args.peers {
        let wrong = || format!("--peers {peer:?} is not NAME=PORT, such as P0=5000 or client=7000");
        let (name, port) = peer.split_once('=').with_context(wrong)?;
        let id = names::id(cluster, name.trim()).map_err(|wrong| anyhow!("--peers: {wrong}"))?;
        let port: u16 = port.trim().parse().with_context(wrong)?;
        ensure!(port > 0, "--peers {peer:?}: ports go from 1 to 65535");
        ports[usize::from(id.0)] = port;
    }
    Ok(ports)
}

fn greet(cluster: &Cluster) {
    say(format_args!(
        "PBFT by hand: {} replicas, P0 to P{}, and a client. f = {} may be faulty; a quorum is {}. P0 is the commander of \
         view 0.\nAccounts alice, bob and carol. \"help\" lists the commands; \"tx\" at the commander begins.",
        cluster.n,
        cluster.n - 1,
        cluster.f(),
        cluster.quorum()
    ));
}
