//! Nodes as tasks of this process.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use anyhow::{Result, bail};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_blocking};

use super::node::{NodeSpec, run_node};
use super::pinning::pin_to;
use super::processes::START_LIMIT;
use super::procfs::NODE_THREADS;

/// Nodes as tasks, spread over a thread per core.
pub(super) struct NodeThreads {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    pub(super) failure: Arc<Mutex<Option<String>>>,
}

impl NodeThreads {
    pub(super) async fn start(specs: Vec<NodeSpec>, listeners: Vec<TcpListener>) -> Result<NodeThreads> {
        let nodes = specs.len();
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(nodes);
        let mut shares: Vec<Vec<(NodeSpec, TcpListener)>> = (0..cores).map(|_| Vec::new()).collect();
        for (at, node) in specs.into_iter().zip(listeners).enumerate() {
            shares[at % cores].push(node);
        }
        let (stop, stopped) = watch::channel(false);
        let (ready, all_ready) = mpsc::channel();
        let mut started = NodeThreads { stop, threads: Vec::new(), failure: Arc::default() };
        for (core, share) in shares.into_iter().enumerate() {
            let (stopped, ready, failure) = (stopped.clone(), ready.clone(), Arc::clone(&started.failure));
            let thread = std::thread::Builder::new()
                .name(format!("{NODE_THREADS}{core}"))
                .spawn(move || run_share(share, core, &stopped, &ready, &failure))?;
            started.threads.push(thread);
        }
        drop(ready);
        let arrived = spawn_blocking(move || (0..nodes).all(|_| all_ready.recv_timeout(START_LIMIT).is_ok()));
        if !arrived.await? {
            let why = started.failure.lock().ok().and_then(|failure| failure.clone());
            bail!(why.unwrap_or_else(|| format!("not all nodes listened within {START_LIMIT:?}")));
        }
        Ok(started)
    }
}

fn run_share(
    share: Vec<(NodeSpec, TcpListener)>,
    core: usize,
    stopped: &watch::Receiver<bool>,
    ready: &mpsc::Sender<()>,
    failure: &Arc<Mutex<Option<String>>>,
) {
    let fail = |what: String| {
        if let Ok(mut failure) = failure.lock() {
            failure.get_or_insert(what);
        }
    };
    if share.iter().any(|(spec, _)| spec.pin.is_some())
        && let Err(error) = pin_to(core)
    {
        return fail(format!("{error:#}"));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format!("cannot start a runtime for nodes: {error}")),
    };
    let tasks = LocalSet::new();
    for (spec, listener) in share {
        let (mut stopped, ready, failure) = (stopped.clone(), ready.clone(), Arc::clone(failure));
        let id = spec.node.id;
        let mut stop = stopped.clone();
        let node = tasks.spawn_local(async move {
            let shutdown = async {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let ready = || {
                // Nobody listens any more once another node failed to start.
                let _ = ready.send(());
            };
            // At once: nobody waits for what an experiment has left.
            tokio::select! {
                ended = run_node(spec, listener, ready, std::future::pending()) => ended,
                () = shutdown => Ok(()),
            }
        });
        tasks.spawn_local(async move {
            let end = node.await;
            if *stop.borrow_and_update() {
                return;
            }
            let why = match end {
                Ok(Ok(())) => "it returned".to_string(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => panic.to_string(),
            };
            if let Ok(mut failure) = failure.lock() {
                failure.get_or_insert(format!("node {id} died: {why}"));
            }
        });
    }
    runtime.block_on(tasks);
    // Connections of nodes that are gone may still be held by tasks.
    runtime.shutdown_background();
}

impl NodeThreads {
    /// Ends all nodes.
    pub(super) fn stop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for NodeThreads {
    fn drop(&mut self) {
        self.stop();
    }
}
