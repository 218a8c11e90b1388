//! One node: what it needs to know, and how it runs, as a task or in a process of
//! its own.

use std::future::Future;
use std::io::{BufRead, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use adversary::{Adversary, Behaviour};
use anyhow::{Context, Result};
use apps::Service;
use broadcast::Data;
use flows::job::{FlowName, Member};
use flows::options::Options;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use super::pinning::pin_to;
use crate::plan::ProtocolName;

/// What a node knows of its own past when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Memory {
    /// It has none: this is its first start.
    Fresh,
    /// It had one and lost it: it was killed and is started again. It must not
    /// vote until nothing that it may have said before can contradict it.
    Lost,
}

/// What a node does that has lost its memory, in words.
pub(super) fn after_loss(protocol: ProtocolName) -> &'static str {
    match FlowName::from(protocol).orders_everything() {
        true => "it learns from the others first and votes later",
        false => "it takes over what it can get, and takes part no more",
    }
}

/// All that one node needs to know: the line of JSON that `harness node` reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The flow.
    pub protocol: ProtocolName,
    /// The replica's settings.
    pub options: Options,
    /// Whether it starts for the first time.
    pub memory: Memory,
    /// What is wrong with the node from the start.
    pub behaviours: Vec<Behaviour>,
    /// The core to stay on.
    pub pin: Option<usize>,
    /// The node's identity, keys, peers and limits.
    pub node: node::NodeConfig,
}

/// Runs one node until `shutdown`; must be inside a `LocalSet`.
pub async fn run_node(
    spec: NodeSpec,
    listener: std::net::TcpListener,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let NodeSpec { protocol, options, memory, behaviours, node: config, .. } = spec;
    let (n, lost) = (config.cluster.n, memory == Memory::Lost);
    match protocol {
        ProtocolName::Pbft | ProtocolName::PbftMac | ProtocolName::PbftMacRequests => {
            let new = if lost { pbft::Replica::recovering } else { pbft::Replica::new };
            let replica = new(options.pbft(n), Service::new(config.app));
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
        ProtocolName::Ccro | ProtocolName::CcroAggregate => {
            let new = if lost { ccro::Replica::recovering } else { ccro::Replica::new };
            let replica = new(options.ccro(n), Service::new(config.app));
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
        ProtocolName::CcroPaper => {
            let new = if lost { ccro::paper::Replica::recovering } else { ccro::paper::Replica::new };
            let replica = new(&options.pbft(n), Service::new(config.app));
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
        ProtocolName::Broadcast => {
            let new = if lost { Member::recovering } else { Member::new };
            let data = Data::new(config.app);
            let data = data.with_context(|| format!("broadcast does not replicate {}", config.app))?;
            let replica = new(options.broadcast(), n, data);
            node::run(config, Adversary::new(replica, behaviours), listener, ready, shutdown).await
        }
    }
}

/// Runs the node that this process is for, until `shutdown`.
pub(super) fn run_process(
    spec: NodeSpec,
    listener: std::net::TcpListener,
    ready: impl FnOnce(),
    shutdown: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let shutdown = shutdown();
        tokio::pin!(shutdown);
        let mut failed = Ok(());
        let stopped = async { failed = shutdown.await };
        run_node(spec, listener, ready, stopped).await?;
        failed
    })
}

/// Listens on an address.
pub(super) fn listen(address: SocketAddr) -> Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}: address in use? Stop the program that has it, or give another address")
    })
}

/// Where a node's log goes, and how much of it without `RUST_LOG`.
pub(super) fn write_log(usually: &str) {
    let filter = tracing_subscriber::EnvFilter::builder();
    let filter = match std::env::var_os(tracing_subscriber::EnvFilter::DEFAULT_ENV) {
        Some(_) => filter.from_env_lossy(),
        None => filter.parse_lossy(usually),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .init();
}

/// What a node may take to write what it has recorded.
const END_LIMIT: Duration = Duration::from_secs(4);

/// Reads the node's configuration from the input, runs it, and exits with the end of
/// the input, which comes when the parent is gone, however it went. A node that is recorded
/// writes what it has to write first.
pub fn run_from_input() -> Result<u8> {
    write_log("error");
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the node's configuration")?;
    let spec: NodeSpec = serde_json::from_str(&line)
        .context("the first line of the input is not a node's configuration; `harness up` starts nodes so")?;
    let is_recorded = spec.node.recording.is_some();
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = stdin().lock().read_to_end(&mut rest);
        if is_recorded && end.send(()).is_ok() {
            std::thread::sleep(END_LIMIT);
        }
        std::process::exit(0);
    });
    if let Some(core) = spec.pin {
        pin_to(core)?;
    }
    let listener = listen(spec.node.addresses[usize::from(spec.node.id.0)])?;
    let ready = || {
        println!("ready");
        let _ = stdout().flush();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        // At once: nobody waits for what an experiment has left.
        tokio::select! {
            ended = run_node(spec, listener, ready, std::future::pending()) => ended,
            _ = ended => Ok(()),
        }
    })?;
    Ok(0)
}
