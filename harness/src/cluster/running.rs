//! A running cluster: starting it, watching it, and leaving nothing of it behind.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use journal::Folder;

use super::node::Memory;
use super::ports;
use super::processes::{NodeProcess, NodeProcesses, START_LIMIT, log_tail};
use super::spec::ClusterSpec;
use super::tasks::NodeThreads;
use crate::plan::Placement;

/// A running cluster. Dropping it kills every process and ends every task.
pub struct Cluster {
    addresses: Vec<SocketAddr>,
    members: Members,
    /// Nodes whose processes were killed or have died, and when, on the machine's clock.
    killed: Vec<(u64, u16)>,
}

enum Members {
    Processes(NodeProcesses),
    Tasks(NodeThreads),
}

/// How long nodes may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);
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
        // Before any node writes into its folder.
        specs.iter().try_for_each(|spec| spec.node.check_journal())?;
        let members = match spec.placement {
            Placement::Processes => {
                drop(listeners);
                Members::Processes(NodeProcesses::start(&spec.executable, spec.logs.as_deref(), specs).await?)
            }
            Placement::Tasks => Members::Tasks(NodeThreads::start(specs, listeners).await?),
            Placement::Simulated => bail!("a simulated cluster has no nodes to start"),
        };
        Ok(Cluster { addresses, members, killed: Vec::new() })
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
        self.killed.push((node::now_ns(), id));
        Ok(())
    }

    /// Nodes whose processes were killed or have died, and when, on the machine's clock.
    pub fn killed(&self) -> &[(u64, u16)] {
        &self.killed
    }

    /// Ends all nodes, so that what they have recorded is whole. Waits for them for a few
    /// seconds at most.
    pub fn stop(&mut self) {
        // One that has died a moment ago was not stopped.
        self.newly_dead();
        match &mut self.members {
            Members::Processes(nodes) => {
                let deadline = Instant::now() + STOP_LIMIT;
                nodes.running.iter_mut().for_each(NodeProcess::close_input);
                nodes.running.iter_mut().for_each(|node| node.wait_until(deadline));
            }
            Members::Tasks(threads) => threads.stop(),
        }
    }

    /// Starts a killed node again, on its port: as it was by its journal, or without its memory. The
    /// future ends when the node listens; its peers come back by themselves.
    pub fn restart(&mut self, id: u16) -> Result<impl Future<Output = Result<()>> + use<>> {
        let NodeProcesses { executable, logs, specs, running } = self.processes()?;
        let spec = &mut specs[usize::from(id)];
        let remembers = spec.node.journal.as_ref().is_some_and(|to| Folder::is_used(&to.folder));
        spec.memory = if remembers { Memory::Fresh } else { Memory::Lost };
        let (process, ready) = NodeProcess::spawn(executable, spec, logs.as_deref())?;
        let log = process.log()?;
        running[usize::from(id)] = process;
        Ok(async move {
            match tokio::time::timeout(START_LIMIT, ready).await {
                Ok(Ok(true)) => Ok(()),
                _ => bail!("node {id} did not start again{}", log_tail(&log)),
            }
        })
    }

    fn processes(&mut self) -> Result<&mut NodeProcesses> {
        match &mut self.members {
            Members::Processes(nodes) => Ok(nodes),
            Members::Tasks(_) => bail!("with the placement tasks no node has a process to kill"),
        }
    }

    /// Nodes that are gone since the last call, and the end of their logs.
    pub fn newly_dead(&mut self) -> Vec<String> {
        match &mut self.members {
            Members::Processes(nodes) => {
                let killed = &mut self.killed;
                let newly_dead = |node: &mut NodeProcess| {
                    let death = node.newly_dead()?;
                    killed.push((node::now_ns(), node.id));
                    Some(death)
                };
                nodes.running.iter_mut().filter_map(newly_dead).collect()
            }
            Members::Tasks(threads) => {
                threads.failure.lock().ok().and_then(|mut f| f.take()).into_iter().collect()
            }
        }
    }

    /// Whether a node is gone that should be there, and the end of its log.
    pub fn died(&mut self) -> Option<String> {
        match &mut self.members {
            Members::Processes(nodes) => {
                let dead = |node: &mut NodeProcess| node.died().map(|death| (node.id, death));
                let (id, death) = nodes.running.iter_mut().find_map(dead)?;
                if self.killed.iter().all(|(_, known)| *known != id) {
                    self.killed.push((node::now_ns(), id));
                }
                Some(death)
            }
            Members::Tasks(threads) => threads.failure.lock().ok()?.clone(),
        }
    }
}
