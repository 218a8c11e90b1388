//! A cluster that stays up, to try by hand.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use apps::AppName;
use flows::job::FlowName;
use journal::Durability;
use kernel::{ReplicaId, View, ViewStatus};

use super::limits;
use super::node::after_loss;
use super::observe;
use super::recording::Recording;
use super::running::Cluster;
use super::spec::{ClusterSpec, Journals, nodes_up};
use crate::base::console::{counted, say};
use crate::base::exit::INTERRUPTED;
use crate::base::stop::Stop;
use crate::plan::ProtocolName;
use crate::plan::trace::TraceTo;
use crate::results::summary::PAPER_WARNING;

/// Clients that the descriptor limit is checked for.
const CLIENTS: u64 = 64;
/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long nodes may take to connect before the banner comes anyway.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Starts the cluster, prints where it is and what happens to it, and stops it at
/// the first Ctrl-C. Then the trace is written, if there is to be one. Returns the exit code.
pub async fn run(mut spec: ClusterSpec, trace: Option<&TraceTo>) -> Result<u8> {
    let recording = trace.map(|to| Recording::begin(&to.file, to.limit_bytes)).transpose()?;
    spec.recording = recording.as_ref().map(|recording| recording.of_nodes(spec.nodes));
    let spec = &spec;
    let descriptors = limits::raise_descriptor_limit();
    limits::check_cluster(spec.placement, spec.nodes, CLIENTS, descriptors)?;
    let stop = Stop::listen()?;
    let without_memory = spec.without_memory();
    spec.begin_first_start()?;
    let mut cluster = tokio::select! {
        cluster = Cluster::start(spec) => cluster?,
        () = stop.wait() => return Ok(INTERRUPTED),
    };
    spec.end_first_start()?;
    for id in without_memory {
        say(format_args!(
            "Node {id} had no journal, and others had. It has lost its memory: {}.",
            after_loss(spec.protocol)
        ));
    }
    write_client_files(spec, &cluster)?;
    let up: Vec<u16> = nodes_up(&spec.faults).into_iter().collect();
    tokio::select! {
        _ = observe::wait_connected(cluster.addresses(), &up, CONNECT_LIMIT) => {}
        () = stop.wait() => return Ok(INTERRUPTED),
    }
    let mut view = current_view(spec, &cluster).await;
    say(banner(spec, &cluster, view.as_ref()));
    if let Some(Journals { folder, durability }) = &spec.journals {
        let lost = if *durability == Durability::Fsync { "a loss of power" } else { "the end of a process" };
        say(format_args!(
            "What nodes are given is kept in {} and outlives {lost}: the same command goes on from there.",
            folder.display()
        ));
    }
    if let Some(to) = trace {
        say(format_args!("What happens is recorded, and is in {} then.", to.file.display()));
    }
    let mut failed = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.wait() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let deaths = cluster.newly_dead();
        let failures = new_failures(spec, &cluster, &mut failed).await;
        let is_killed = |id: u16| cluster.killed().iter().any(|(_, killed)| *killed == id);
        let is_working = |id: u16| !is_killed(id) && !failed.contains(&usize::from(id));
        let working = up.iter().filter(|id| is_working(**id)).count();
        let others = what_others_do(spec.nodes.into(), spec.identity().f(), working);
        deaths.iter().for_each(|death| say(format_args!("{death}. {others}")));
        for (id, failure) in failures {
            say(format_args!(
                "Node {id}: {failure}. It takes part in nothing more. {others} Mend the disk, and start the cluster again."
            ));
        }
        let now = current_view(spec, &cluster).await;
        if let (Some(before), Some(now)) = (&view, &now)
            && now.view > before.view
        {
            say(format_args!("View {} now: node {} is the commander.", now.view, now.commander));
        }
        view = now.or(view);
    }
    cluster.stop();
    say(format_args!("\nAll nodes are stopped."));
    if let Some(recording) = recording {
        let title = format!("{} with {} nodes, by hand", spec.protocol, spec.nodes);
        recording.finish(&mut cluster, spec, title)?.sentences().iter().for_each(say);
    }
    // Ctrl-C is how this command ends.
    Ok(0)
}

/// What is to be expected of a cluster of which so many nodes still work.
fn what_others_do(nodes: usize, f: usize, working: usize) -> String {
    match nodes - working {
        _ if working == 0 => "No node is left; Ctrl-C ends this.".to_owned(),
        failed if failed > f => {
            format!("{failed} nodes do not work, more than f = {f}: nothing is decided until they are back.")
        }
        _ => "The others go on.".to_owned(),
    }
}

/// Journals that have ended, each told once, with the node and why.
async fn new_failures(
    spec: &ClusterSpec,
    cluster: &Cluster,
    failed: &mut BTreeSet<usize>,
) -> Vec<(usize, String)> {
    if spec.journals.is_none() {
        return Vec::new();
    }
    let reports = observe::statuses(cluster.addresses()).await.into_iter().enumerate();
    let failures = reports.filter_map(|(id, report)| Some((id, report?.journal?.failure?)));
    failures.filter(|(id, _)| failed.insert(*id)).collect()
}

/// Writes what `harness client` needs, if that is wanted.
fn write_client_files(spec: &ClusterSpec, cluster: &Cluster) -> Result<()> {
    let Some(folder) = &spec.client_files else { return Ok(()) };
    let files = spec.files_for_client(cluster.addresses())?;
    // The keys of this cluster follow from its seed, so that nothing is lost by writing them again.
    files.write(folder, files.is_in(folder))?;
    Ok(())
}

/// What an honest node that answers says of the cluster. Usually
/// the first does.
async fn current_view(spec: &ClusterSpec, cluster: &Cluster) -> Option<ViewStatus> {
    for id in spec.faults.honest() {
        let address = cluster.addresses()[usize::from(id)];
        if let Some(Some(status)) = observe::statuses(&[address]).await.pop() {
            return status.replica.views;
        }
    }
    None
}

fn banner(spec: &ClusterSpec, cluster: &Cluster, view: Option<&ViewStatus>) -> String {
    let f = spec.protocol.tolerates(spec.nodes);
    let addresses = cluster.addresses();
    let nodes = counted(spec.nodes.into(), "node");
    let mut text = format!("{} with {nodes}, {}\n", spec.protocol, tolerance(f));
    if spec.protocol == ProtocolName::CcroPaper {
        let _ = writeln!(text, "({PAPER_WARNING})");
    }
    let has_views = FlowName::from(spec.protocol).orders_everything();
    match has_views {
        true => drop(writeln!(text, "view {}\n", view.map_or(View(0), |view| view.view))),
        false => text += "no commander: every node orders the requests of its own clients\n\n",
    }
    for (id, address) in addresses.iter().enumerate() {
        let mut roles = Vec::new();
        let id = ReplicaId(id as u16);
        if has_views && view.map_or(id.0 == 0, |view| view.commander == id) {
            roles.push("commander");
        }
        if view.and_then(|view| view.communication_node) == Some(id) {
            roles.push("communication node");
        }
        if !has_views && spec.options.members.is_some_and(|members| id.0 >= members) {
            roles.push("no member yet");
        }
        let faults = spec.faults.nodes[usize::from(id.0)].describe();
        let faults = if faults == "none" { String::new() } else { format!("FAULTY: {faults}") };
        let _ = writeln!(text, "  node {id:<3} http://{address}  {:<30} {faults}", roles.join(", "));
    }
    let honest = spec.faults.honest();
    let gateway_id = honest.first().copied().unwrap_or(0);
    let gateway = addresses[usize::from(gateway_id)];
    let other = addresses[usize::from(honest.last().copied().unwrap_or(0))];
    let last = addresses[addresses.len() - 1];
    let curl = curl(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let _ = writeln!(text, "\nTry:\n  {curl} http://{gateway}/status");
    for line in to_try(spec.app, FlowName::from(spec.protocol).orders_everything()) {
        let line = line.replace("NODE", &gateway.to_string()).replace("OWNER", &gateway_id.to_string());
        let _ = writeln!(text, "  {curl} {}", line.replace("OTHER", &other.to_string()));
    }
    if !has_views {
        let _ = writeln!(text, "\nMembers:\n  {curl} http://{gateway}/api/v1/members");
        text += &ask_for_change(spec, addresses, curl);
    }
    if let Some(folder) = &spec.client_files {
        let _ = writeln!(text, "  harness client --config {}/cluster.toml status", folder.display());
    }
    let _ = writeln!(
        text,
        "\nWatch:\n  {curl} http://{gateway}/ready       whether a request that comes now is likely to be decided, and if not, why\n  \
         {curl} http://{gateway}/metrics     what it counts, for Prometheus\n  {}",
        logs(spec)
    );
    let _ = write!(
        text,
        "\nDisturb:\n  {curl} -d '{{\"faults\": [\"malicious\"]}}' http://{last}/faults\n  {curl} http://{gateway}/log\n\n\
         Ctrl-C stops all nodes."
    );
    text
}

/// How a change of members is asked for: `f+1` of them let a node join, and one that leaves asks alone.
fn ask_for_change(spec: &ClusterSpec, addresses: &[SocketAddr], curl: &str) -> String {
    let members = spec.options.members.unwrap_or(spec.nodes).min(spec.nodes);
    if members == spec.nodes {
        let (last, address) = (members - 1, addresses[usize::from(members) - 1]);
        return format!("  {curl} -d '{{\"leave\": {last}}}' http://{address}/api/v1/members\n");
    }
    let asks = kernel::cluster::max_faulty(members) + 1;
    let of = |address: &SocketAddr| {
        format!("  {curl} -d '{{\"join\": {members}}}' http://{address}/api/v1/members\n")
    };
    addresses.iter().take(asks).map(of).collect()
}

/// How to read the nodes' logs.
fn logs(spec: &ClusterSpec) -> String {
    match &spec.logs {
        Some(folder) => format!(
            "tail -f {}/node-*.log   a line for each view change, fallback, link and kind of refusal; RUST_LOG=debug adds checkpoints",
            folder.display()
        ),
        None => "RUST_LOG=info harness up --logs DIR   writes a log of each node".to_owned(),
    }
}

/// What curl may be asked for, of an application on NODE, which is number OWNER, and on OTHER, if there is one.
fn to_try(app: AppName, is_ordered: bool) -> &'static [&'static str] {
    match app {
        AppName::Bank if !is_ordered => &[
            r#"-d '{"account": "OWNER/alice"}' http://NODE/api/v1/bank/accounts"#,
            r#"-d '{"account": "OWNER/bob"}' http://NODE/api/v1/bank/accounts"#,
            r#"-d '{"account": "OWNER/alice", "amount": 100}' http://NODE/api/v1/bank/deposit"#,
            r#"-d '{"from": "OWNER/alice", "to": "OWNER/bob", "amount": 30}' http://NODE/api/v1/bank/transfer"#,
            r#"'http://NODE/api/v1/bank/local?account=OWNER/bob'"#,
        ],
        AppName::Set if !is_ordered => &[
            r#"-d '{"member": "apple"}' http://NODE/api/v1/set"#,
            r#"-d '{"member": "pear"}' http://OTHER/api/v1/set"#,
            r#"'http://NODE/api/v1/set/local?prefix='"#,
            r#"-X DELETE 'http://OTHER/api/v1/set?member=apple'"#,
            r#"'http://NODE/api/v1/set/local?member=apple'"#,
        ],
        AppName::Set => &[
            r#"-d '{"member": "apple"}' http://NODE/api/v1/set"#,
            r#"'http://NODE/api/v1/set?member=apple'"#,
            r#"'http://NODE/api/v1/set?prefix=a&limit=10'"#,
            r#"'http://NODE/api/v1/set/local?prefix='"#,
            r#"-X DELETE 'http://NODE/api/v1/set?member=apple'"#,
        ],
        AppName::Opaque => &[
            r#"-d '{"data": "hello"}' http://NODE/preprepare"#,
            r#"-d '{"data": "hello"}' 'http://NODE/preprepare?settle=1000'"#,
            r#"-H 'Accept: text/plain' -d '{"data": "hello"}' http://NODE/preprepare"#,
        ],
        AppName::Kv => &[
            r#"-d '{"key": "color", "value": "blue"}' http://NODE/api/v1/kv"#,
            r#"'http://NODE/api/v1/kv?key=color'"#,
            r#"'http://NODE/api/v1/kv/local?key=color'"#,
            r#"-d '{"key": "color", "expected": "blue", "new": "red"}' http://NODE/api/v1/kv/cas"#,
            r#"'http://NODE/api/v1/kv?prefix=c&limit=10'"#,
            r#"-X DELETE 'http://NODE/api/v1/kv?key=color'"#,
        ],
        AppName::Bank => &[
            r#"-d '{"account": "alice"}' http://NODE/api/v1/bank/accounts"#,
            r#"-d '{"account": "bob"}' http://NODE/api/v1/bank/accounts"#,
            r#"-d '{"account": "alice", "amount": 100}' http://NODE/api/v1/bank/deposit"#,
            r#"-d '{"from": "alice", "to": "bob", "amount": 30}' http://NODE/api/v1/bank/transfer"#,
            r#"'http://NODE/api/v1/bank/accounts?account=bob'"#,
        ],
    }
}

/// How curl reaches a node from a shell with these variables: not by way of the
/// proxy that they name.
fn curl(is_set: impl Fn(&str) -> bool) -> &'static str {
    // HTTP_PROXY in capitals is not read by curl.
    let through_proxy = ["http_proxy", "all_proxy", "ALL_PROXY"].into_iter().any(is_set);
    if through_proxy { "curl -s --noproxy '*'" } else { "curl -s" }
}

fn tolerance(f: usize) -> String {
    match f {
        0 => "tolerates no fault at all (f = 0)".to_string(),
        1 => "tolerates one faulty node (f = 1)".to_string(),
        f => format!("tolerates {f} faulty nodes (f = {f})"),
    }
}

#[cfg(test)]
mod tests {
    use super::{curl, what_others_do};

    #[test]
    fn what_is_left_of_a_cluster_is_told() {
        assert_eq!(what_others_do(4, 1, 3), "The others go on.");
        assert_eq!(
            what_others_do(4, 1, 2),
            "2 nodes do not work, more than f = 1: nothing is decided until they are back."
        );
        assert_eq!(what_others_do(4, 1, 0), "No node is left; Ctrl-C ends this.");
        assert_eq!(what_others_do(7, 2, 5), "The others go on.");
        assert_eq!(what_others_do(1, 0, 0), "No node is left; Ctrl-C ends this.");
    }

    #[test]
    fn the_lines_to_try_reach_the_node_past_a_proxy() {
        assert_eq!(curl(|_| false), "curl -s");
        assert_eq!(curl(|name| name == "no_proxy"), "curl -s");
        assert_eq!(curl(|name| name == "http_proxy"), "curl -s --noproxy '*'");
        assert_eq!(curl(|name| name == "ALL_PROXY"), "curl -s --noproxy '*'");
    }
}
