//! Clusters of nodes: starting them, watching them, and leaving none behind.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kernel::{Cluster as Identity, ClusterId, ReplicaId};
use node::{Encoding, LinkConditions, NodeConfig};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_blocking};

use crate::faults::Assignment;
use crate::limits;
use crate::plan::{Cell, MAX_PAYLOAD_BYTES, Plan};
use crate::ports;
use crate::procfs::NODE_THREADS;
use crate::protocols::{Memory, NodeSpec, Options, Placement, ProtocolName, run_node};

/// All that is needed to start a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// The flow.
    pub protocol: ProtocolName,
    /// Number of nodes.
    pub nodes: u16,
    /// Who is faulty, and how.
    pub faults: Assignment,
    /// The replicas' settings.
    pub options: Options,
    /// Request timeout at gateways, microseconds.
    pub timeout_us: u64,
    /// Delay and loss on every peer link.
    pub link: LinkConditions,
    /// How peers encode messages.
    pub encoding: Encoding,
    /// Seed of keys and random decisions.
    pub seed: u64,
    /// Processes or tasks.
    pub placement: Placement,
    /// Whether nodes are pinned to cores.
    pub pin: bool,
    /// The first node's port; free ones if `None`.
    pub first_port: Option<u16>,
    /// The program that `node` is called on.
    pub executable: PathBuf,
}

impl ClusterSpec {
    /// The cluster of one cell.
    pub fn of(plan: &Plan, cell: &Cell) -> ClusterSpec {
        ClusterSpec {
            protocol: cell.protocol,
            nodes: cell.nodes,
            faults: cell.faults.clone(),
            options: plan.options(cell.batch),
            timeout_us: plan.timeout_us(),
            link: LinkConditions {
                delay_us: cell.link_delay_us,
                loss: cell.link_loss,
                ..LinkConditions::default()
            },
            encoding: plan.encoding,
            seed: plan.seed,
            placement: plan.placement,
            pin: plan.pin,
            first_port: plan.port,
            // This very program, even if its file was replaced meanwhile.
            executable: PathBuf::from("/proc/self/exe"),
        }
    }

    fn node_specs(&self, addresses: &[SocketAddr]) -> Vec<NodeSpec> {
        let name = self.protocol.to_string();
        let cluster = Identity::new(ClusterId::derive(&name, self.seed), &name, self.nodes);
        let pairs = kernel::keys::key_pairs(self.seed, self.nodes);
        let public_keys: Vec<_> = pairs.iter().map(|(_, public)| *public).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spec_of = |(id, (secret, _)): (u16, &(kernel::keys::SecretKey, _))| NodeSpec {
            protocol: self.protocol,
            options: self.options.clone(),
            memory: Memory::Fresh,
            behaviours: self.faults.nodes[usize::from(id)].behaviours.clone(),
            pin: self.pin.then(|| usize::from(id) % cores),
            node: NodeConfig {
                cluster: cluster.clone(),
                id: ReplicaId(id),
                secret: *secret,
                public_keys: public_keys.clone(),
                addresses: addresses.to_vec(),
                faulty_tolerated: self.protocol.tolerates(self.nodes),
                batch_max: self.options.batch_max,
                timeout_us: self.timeout_us,
                link: self.link.clone(),
                encoding: self.encoding,
                seed: self.seed,
                max_data_bytes: MAX_PAYLOAD_BYTES,
                max_clients: limits::max_clients(self.placement, self.nodes, limits::descriptor_limit()),
                read_limit_us: node::DEFAULT_READ_LIMIT_US,
                shares_process: self.placement == Placement::Tasks,
            },
        };
        (0u16..).zip(&pairs).map(spec_of).collect()
    }
}

/// A running cluster. Dropping it kills every process and ends every task.
pub struct Cluster {
    addresses: Vec<SocketAddr>,
    members: Members,
}

enum Members {
    Processes(NodeProcesses),
    Tasks(NodeThreads),
}

/// How long nodes may take until they listen.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often free ports are drawn again when another program was faster.
const START_ATTEMPTS: u32 = 3;

impl Cluster {
    /// Starts all nodes and returns when all of them listen.
    pub async fn start(spec: &ClusterSpec) -> Result<Cluster> {
        let mut attempt = 1;
        loop {
            match Cluster::try_start(spec).await {
                Err(error)
                    if spec.first_port.is_none()
                        && attempt < START_ATTEMPTS
                        && format!("{error:#}").contains("in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_start(spec: &ClusterSpec) -> Result<Cluster> {
        let listeners = match spec.first_port {
            Some(first) => ports::bind_range(first, spec.nodes)?,
            None => ports::bind_free(spec.nodes)?,
        };
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
        let specs = spec.node_specs(&addresses);
        let members = match spec.placement {
            Placement::Processes => {
                drop(listeners);
                Members::Processes(NodeProcesses::start(&spec.executable, specs).await?)
            }
            Placement::Tasks => Members::Tasks(NodeThreads::start(specs, listeners).await?),
            Placement::Simulated => bail!("a simulated cluster has no nodes to start"),
        };
        Ok(Cluster { addresses, members })
    }

    /// Where each node listens, by id.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The processes of the nodes.
    pub fn pids(&self) -> Vec<u32> {
        match &self.members {
            Members::Processes(nodes) => nodes.running.iter().map(|node| node.child.id()).collect(),
            Members::Tasks(_) => Vec::new(),
        }
    }

    /// Kills one node's process with SIGKILL, as an experiment.
    pub fn kill(&mut self, id: u16) -> Result<()> {
        let node = &mut self.processes()?.running[usize::from(id)];
        node.asked_to_die = true;
        node.child.kill().with_context(|| format!("cannot kill node {id}"))?;
        node.child.wait()?;
        Ok(())
    }

    /// Starts a killed node again, on its port and without its memory. The
    /// future ends when the node listens; its peers come back by themselves.
    pub fn restart(&mut self, id: u16) -> Result<impl Future<Output = Result<()>> + use<>> {
        let NodeProcesses { executable, specs, running } = self.processes()?;
        let spec = &mut specs[usize::from(id)];
        spec.memory = Memory::Lost;
        let (process, ready) = NodeProcess::spawn(executable, spec)?;
        running[usize::from(id)] = process;
        Ok(async move {
            match tokio::time::timeout(START_LIMIT, ready).await {
                Ok(Ok(true)) => Ok(()),
                _ => bail!("node {id} did not start again"),
            }
        })
    }

    fn processes(&mut self) -> Result<&mut NodeProcesses> {
        match &mut self.members {
            Members::Processes(nodes) => Ok(nodes),
            Members::Tasks(_) => bail!("with the placement tasks no node has a process to kill"),
        }
    }

    /// Nodes that are gone since the last call, and their last words.
    pub fn newly_dead(&mut self) -> Vec<String> {
        match &mut self.members {
            Members::Processes(nodes) => {
                nodes.running.iter_mut().filter_map(NodeProcess::newly_dead).collect()
            }
            Members::Tasks(threads) => {
                threads.failure.lock().ok().and_then(|mut f| f.take()).into_iter().collect()
            }
        }
    }

    /// Whether a node is gone that should be there, and its last words.
    pub fn died(&mut self) -> Option<String> {
        match &mut self.members {
            Members::Processes(nodes) => nodes.running.iter_mut().find_map(NodeProcess::died),
            Members::Tasks(threads) => threads.failure.lock().ok()?.clone(),
        }
    }
}

/// The address range of all nodes: this machine, not reachable from others.
pub const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

struct NodeProcess {
    id: u16,
    child: Child,
    // Held open: the node exits when it reaches the end of its input, so none
    // outlives this process however that ends.
    _stdin: Option<ChildStdin>,
    log: File,
    asked_to_die: bool,
}

impl NodeProcess {
    /// The process, and whether it said that it listens before its output ended.
    fn spawn(executable: &Path, node: &NodeSpec) -> Result<(NodeProcess, Ready)> {
        let log = tempfile::tempfile().context("cannot make a temporary file for a node's log")?;
        let mut child = Command::new(executable)
            .arg0("harness")
            .arg("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            // Ctrl-C in a terminal is for the harness, which ends the nodes.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {} as a node", executable.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a node without output")?;
        let mut node_process =
            NodeProcess { id: node.node.id.0, child, _stdin: stdin, log, asked_to_die: false };
        let mut line = serde_json::to_vec(node)?;
        line.push(b'\n');
        let told = node_process._stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&line));
        if let Err(error) = told {
            bail!(
                "node {} did not take its configuration: {error}{}",
                node.node.id,
                node_process.last_words()
            );
        }
        let ready = spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).is_ok_and(|_| line.trim() == "ready")
        });
        Ok((node_process, ready))
    }

    fn died(&mut self) -> Option<String> {
        if self.asked_to_die {
            return None;
        }
        let status = self.child.try_wait().ok()??;
        Some(format!("node {} died ({status}){}", self.id, self.last_words()))
    }

    fn newly_dead(&mut self) -> Option<String> {
        let death = self.died()?;
        self.asked_to_die = true;
        Some(death)
    }

    /// The last lines of its log.
    fn last_words(&self) -> String {
        const LINES: usize = 8;
        const BYTES: u64 = 2048;
        let length = self.log.metadata().map_or(0, |metadata| metadata.len());
        let mut tail = vec![0; length.min(BYTES) as usize];
        if self.log.read_exact_at(&mut tail, length.saturating_sub(BYTES)).is_err() || tail.is_empty() {
            return ", having logged nothing".to_string();
        }
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        format!("; its last lines: {}", last.join(" | "))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nodes as processes, and what it takes to start one of them again.
struct NodeProcesses {
    executable: PathBuf,
    specs: Vec<NodeSpec>,
    running: Vec<NodeProcess>,
}

/// Whether a node says that it listens.
type Ready = tokio::task::JoinHandle<bool>;

impl NodeProcesses {
    async fn start(executable: &Path, specs: Vec<NodeSpec>) -> Result<NodeProcesses> {
        let mut running = Vec::new();
        let mut waiting = Vec::new();
        for node in &specs {
            let (process, ready) = NodeProcess::spawn(executable, node)?;
            running.push(process);
            waiting.push(ready);
        }
        for (ready, process) in waiting.into_iter().zip(&mut running) {
            match tokio::time::timeout(START_LIMIT, ready).await {
                Ok(Ok(true)) => {}
                Ok(_) => {
                    // Its end is near; the exit status comes a moment later.
                    let _ = process.child.kill();
                    let _ = process.child.wait();
                    bail!("node {} did not start{}", process.id, process.last_words());
                }
                Err(_) => bail!("node {} did not listen within {START_LIMIT:?}", process.id),
            }
        }
        Ok(NodeProcesses { executable: executable.to_path_buf(), specs, running })
    }
}

/// Nodes as tasks, spread over a thread per core.
struct NodeThreads {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    failure: Arc<Mutex<Option<String>>>,
}

impl NodeThreads {
    async fn start(specs: Vec<NodeSpec>, listeners: Vec<TcpListener>) -> Result<NodeThreads> {
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
            run_node(spec, listener, ready, shutdown).await
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

impl Drop for NodeThreads {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Keeps the calling thread on one core.
pub fn pin_to(core: usize) -> Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core)
        .and_then(|()| sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|error| anyhow!("cannot pin to core {core}: {error}; leave out --pin"))
}

/// Ids of the nodes that talk to others from the start.
pub fn nodes_up(faults: &Assignment) -> BTreeSet<u16> {
    (0u16..)
        .zip(&faults.nodes)
        .filter(|(_, node)| !node.behaviours.contains(&adversary::Act::Offline.into()))
        .map(|(id, _)| id)
        .collect()
}
