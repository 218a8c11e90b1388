//! Nodes as processes of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kernel::ReplicaId;
use tokio::task::spawn_blocking;

use super::node::NodeSpec;

/// How long nodes may take until they listen.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);

/// One of them.
pub(super) struct NodeProcess {
    pub(super) id: u16,
    pub(super) child: Child,
    // Held open: the node exits when it reaches the end of its input, so none
    // outlives this process however that ends.
    stdin: Option<ChildStdin>,
    log: File,
    pub(super) asked_to_die: bool,
}

impl NodeProcess {
    /// The process, and whether it said that it listens before its output ended.
    pub(super) fn spawn(
        executable: &Path,
        node: &NodeSpec,
        logs: Option<&Path>,
    ) -> Result<(NodeProcess, Ready)> {
        let log = open_log(logs, node.node.id)?;
        let mut child = Command::new(executable)
            .arg0("harness")
            .arg("node-from-input")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            // Ctrl-C in a terminal is for the harness, which ends the nodes.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {} as a node", executable.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a node without output")?;
        let mut node_process = NodeProcess { id: node.node.id.0, child, stdin, log, asked_to_die: false };
        let mut line = serde_json::to_vec(node)?;
        line.push(b'\n');
        let written = node_process.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&line));
        if let Err(error) = written {
            bail!("node {} did not take its configuration: {error}{}", node.node.id, node_process.log_tail());
        }
        let ready = spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).is_ok_and(|_| line.trim() == "ready")
        });
        Ok((node_process, ready))
    }

    pub(super) fn died(&mut self) -> Option<String> {
        if self.asked_to_die {
            return None;
        }
        let status = self.child.try_wait().ok()??;
        Some(format!("node {} died ({status}){}", self.id, self.log_tail()))
    }

    pub(super) fn newly_dead(&mut self) -> Option<String> {
        let death = self.died()?;
        self.asked_to_die = true;
        Some(death)
    }

    /// Makes it end by itself.
    pub(super) fn close_input(&mut self) {
        self.asked_to_die = true;
        self.stdin = None;
    }

    /// Waits for its end.
    pub(super) fn wait_until(&mut self, deadline: Instant) {
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(2));
        }
    }

    /// The last lines of its log.
    fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    /// Its log, for when it is gone.
    pub(super) fn log(&self) -> std::io::Result<File> {
        self.log.try_clone()
    }
}

/// The last lines of a node's log.
pub(super) fn log_tail(log: &File) -> String {
    const LINES: usize = 8;
    const BYTES: u64 = 2048;
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    let mut tail = vec![0; length.min(BYTES) as usize];
    if log.read_exact_at(&mut tail, length.saturating_sub(BYTES)).is_err() || tail.is_empty() {
        return ", having logged nothing".to_string();
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    format!("; its last lines: {}", last.join(" | "))
}

/// The file for a node's log: of its own, or one that goes with the process.
fn open_log(logs: Option<&Path>, id: ReplicaId) -> Result<File> {
    let Some(folder) = logs else {
        return tempfile::tempfile().with_context(|| {
            format!(
                "cannot make a temporary file for a node's log in {}; set TMPDIR to a folder that exists, is \
                 writable and has space left",
                std::env::temp_dir().display()
            )
        });
    };
    let path = folder.join(format!("node-{id}.log"));
    std::fs::create_dir_all(folder)
        .and_then(|()| File::options().read(true).append(true).create(true).open(&path))
        .with_context(|| format!("cannot open {}; give another folder with --logs", path.display()))
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nodes as processes, and what it takes to start one of them again.
pub(super) struct NodeProcesses {
    pub(super) executable: PathBuf,
    pub(super) logs: Option<PathBuf>,
    pub(super) specs: Vec<NodeSpec>,
    pub(super) running: Vec<NodeProcess>,
}

/// Whether a node says that it listens.
pub(super) type Ready = tokio::task::JoinHandle<bool>;

impl NodeProcesses {
    pub(super) async fn start(
        executable: &Path,
        logs: Option<&Path>,
        specs: Vec<NodeSpec>,
    ) -> Result<NodeProcesses> {
        let mut running = Vec::new();
        let mut waiting = Vec::new();
        for node in &specs {
            let (process, ready) = NodeProcess::spawn(executable, node, logs)?;
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
                    bail!("node {} did not start{}", process.id, process.log_tail());
                }
                Err(_) => bail!("node {} did not listen within {START_LIMIT:?}", process.id),
            }
        }
        let logs = logs.map(Path::to_path_buf);
        Ok(NodeProcesses { executable: executable.to_path_buf(), logs, specs, running })
    }
}
