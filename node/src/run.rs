//! Puts one node together: its host, its peer links, its HTTP interface.

use crate::config::NodeConfig;
use crate::host::event_loop::EventLoop;
use crate::host::journal;
use crate::host::node::Node;
use crate::http;
use ::journal::Durable;
use adversary::Adversary;
use anyhow::Context as _;
use kernel::{Observer, Protocol, ReplicaId, Signer};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Runs one node that nobody observes; see [`run_observed`].
///
/// # Errors
///
/// As [`run_observed`].
pub async fn run<P: Durable>(
    config: NodeConfig,
    replica: Adversary<P>,
    listener: std::net::TcpListener,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    run_observed(config, replica, listener, None, ready, shutdown).await
}

/// Beyond the time that a decision may take, a client may take so long to read its answer.
const STOP_ALLOWANCE: Duration = Duration::from_secs(1);

/// Runs one node until `shutdown` completes, and then until it has answered what it had accepted. `listener` is bound already;
/// `ready` is called once requests are being served. Must run inside a tokio
/// `LocalSet` on a runtime with I/O and time enabled. All of the node's tasks
/// end with the returned future. An observer is called from the event loop with every
/// mark, rejection, departure and arrival, and must be quick: the node waits for it.
///
/// # Errors
///
/// If the configuration does not fit together, the operating system refuses
/// a socket or a timer, or the journal cannot be used.
pub async fn run_observed<P: Durable>(
    config: NodeConfig,
    replica: Adversary<P>,
    listener: std::net::TcpListener,
    observer: Option<Observer<P::Message>>,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let keyring = config.validate().context("this node's configuration cannot be used")?;
    listener.set_nonblocking(true).context("cannot make the listening socket non-blocking")?;
    let listener =
        tokio::net::TcpListener::from_std(listener).context("cannot serve on the listening socket")?;
    let signer = Signer::new(config.id, &config.secret).sharing_keys(&keyring);
    let wake = Arc::new(Notify::new());
    let start = journal::start(&config, &signer, replica, &wake)?;
    let progress = start.journal.as_ref().map(journal::Journal::progress);
    let replica = (start.replica, start.began, start.started_ns);
    let node = Node::new(config, keyring, signer, replica, progress, wake);
    let node = Rc::new(node);
    let stopping = async {
        shutdown.await;
        node.stop();
        // Every request is decided or given up by then.
        tokio::time::sleep(node.config.timeout() + STOP_ALLOWANCE).await;
    };
    let mut tasks = JoinSet::new();
    start_links(&node, &mut tasks)?;
    let event_loop = EventLoop::new(Rc::clone(&node), observer, start.journal)?;
    ready();
    tokio::select! {
        stopped = event_loop.run(start.timers, start.inputs) => stopped.context("the node's alarm failed"),
        () = http::serve(Rc::clone(&node), listener, &mut tasks) => Ok(()),
        () = stopping => {
            tracing::warn!("stops although some connections are not at their end");
            Ok(())
        }
    }
}

fn start_links<P: Protocol>(node: &Node<P>, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    for (id, link) in (0..).map(ReplicaId).zip(&node.links) {
        if let Some(link) = link {
            let target = http::link_target(node, id).context("cannot describe a peer link")?;
            tasks.spawn_local(Rc::clone(link).run(target));
        }
    }
    Ok(())
}
