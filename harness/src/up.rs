//! `harness up`: a cluster to try by hand.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use kernel::{ReplicaId, Status, View};

use crate::cli::UpRest;
use crate::cluster::{Cluster, ClusterSpec, nodes_up};
use crate::compare::apply;
use crate::console::say;
use crate::faults;
use crate::limits;
use crate::observe;
use crate::plan::Plan;
use crate::protocols::ProtocolName;
use crate::report::summary::PAPER_WARNING;
use crate::stop::{INTERRUPTED, Stop};

/// Clients that the descriptor limit is checked for.
const CLIENTS: u64 = 64;
/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long nodes may take to connect before the banner comes anyway.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The cluster that the flags ask for.
pub fn spec_of(protocol: ProtocolName, args: &UpRest) -> Result<ClusterSpec> {
    let mut plan = Plan {
        name: "up".into(),
        protocols: vec![protocol],
        nodes: vec![args.nodes],
        batch: vec![args.batch.unwrap_or(256)],
        link_delay_us: vec![args.link_delay_us.unwrap_or(0)],
        link_loss: vec![args.link_loss.unwrap_or(0.0)],
        ..Plan::default()
    };
    apply(&args.cluster, &mut plan);
    let scenarios = faults::scenarios(&args.cluster.fault)?;
    let [scenario] = scenarios.as_slice() else {
        bail!(
            "one cluster can have one scenario, and the flags name {}; repeat --fault to put several faults \
             on it at once",
            scenarios.len()
        );
    };
    if scenario.has_crash() {
        bail!("crash needs a moment to happen at; kill the node's process yourself (its pid is in /status)");
    }
    plan.faults = vec![scenario.to_string()];
    let cell = plan.cells()?.remove(0);
    Ok(ClusterSpec { first_port: Some(args.port), ..ClusterSpec::of(&plan, &cell) })
}

/// Runs `harness up` and returns the exit code.
pub async fn run(protocol: ProtocolName, args: UpRest, executable: Option<PathBuf>) -> Result<u8> {
    let mut spec = spec_of(protocol, &args)?;
    spec.executable = executable.unwrap_or(spec.executable);
    let descriptors = limits::raise_descriptor_limit();
    limits::check_cluster(spec.placement, spec.nodes, CLIENTS, descriptors)?;
    let stop = Stop::listen()?;
    let mut cluster = tokio::select! {
        cluster = Cluster::start(&spec) => cluster?,
        () = stop.wait() => return Ok(INTERRUPTED),
    };
    let up: Vec<u16> = nodes_up(&spec.faults).into_iter().collect();
    tokio::select! {
        _ = observe::wait_connected(cluster.addresses(), &up, CONNECT_LIMIT) => {}
        () = stop.wait() => return Ok(INTERRUPTED),
    }
    let mut view = current_view(&spec, &cluster).await;
    say(banner(&spec, &cluster, view.as_ref()));
    loop {
        tokio::select! {
            () = stop.wait() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for death in cluster.newly_dead() {
            say(format_args!("{death}. The others go on."));
        }
        let now = current_view(&spec, &cluster).await;
        if let (Some(before), Some(now)) = (&view, &now)
            && now.view > before.view
        {
            say(format_args!("View {} now: node {} is the commander.", now.view, now.commander));
        }
        view = now.or(view);
    }
    drop(cluster);
    say(format_args!("\nAll nodes are stopped."));
    // Ctrl-C is how this command ends.
    Ok(0)
}

/// What an honest node that answers says of the cluster. Usually
/// the first does.
async fn current_view(spec: &ClusterSpec, cluster: &Cluster) -> Option<Status> {
    for id in spec.faults.honest() {
        let address = cluster.addresses()[usize::from(id)];
        if let Some(Some(status)) = observe::statuses(&[address]).await.pop() {
            return Some(status.replica);
        }
    }
    None
}

fn banner(spec: &ClusterSpec, cluster: &Cluster, view: Option<&Status>) -> String {
    let f = spec.protocol.tolerates(spec.nodes);
    let addresses = cluster.addresses();
    let mut text = format!("{} with {} nodes, {}\n", spec.protocol, spec.nodes, tolerance(f));
    if spec.protocol == ProtocolName::CcroPaper {
        let _ = writeln!(text, "({PAPER_WARNING})");
    }
    let _ = writeln!(text, "view {}\n", view.map_or(View(0), |view| view.view));
    for (id, address) in addresses.iter().enumerate() {
        let mut roles = Vec::new();
        let id = ReplicaId(id as u16);
        if view.map_or(id.0 == 0, |view| view.commander == id) {
            roles.push("commander");
        }
        if view.and_then(|view| view.communication_node) == Some(id) {
            roles.push("communication node");
        }
        let faults = spec.faults.nodes[usize::from(id.0)].describe();
        let faults = if faults == "none" { String::new() } else { format!("FAULTY: {faults}") };
        let _ = writeln!(text, "  node {id:<3} http://{address}  {:<30} {faults}", roles.join(", "));
    }
    let gateway = addresses[usize::from(spec.faults.honest().first().copied().unwrap_or(0))];
    let last = addresses[addresses.len() - 1];
    let _ = write!(
        text,
        "\nTry:\n  \
         curl -s http://{gateway}/status\n  \
         curl -s -d '{{\"data\": \"hello\"}}' http://{gateway}/preprepare\n  \
         curl -s -H 'Accept: text/plain' -d '{{\"data\": \"hello\"}}' http://{gateway}/preprepare\n  \
         curl -s -d '{{\"faults\": [\"malicious\"]}}' http://{last}/faults\n  \
         curl -s http://{gateway}/log\n\n\
         Ctrl-C stops all nodes."
    );
    text
}

fn tolerance(f: usize) -> String {
    match f {
        0 => "tolerates no fault at all (f = 0)".to_string(),
        1 => "tolerates one faulty node (f = 1)".to_string(),
        f => format!("tolerates {f} faulty nodes (f = {f})"),
    }
}
