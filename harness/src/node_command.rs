//! `harness node`: one node in a process of its own.

use std::io::{BufRead, Read, Write, stdin, stdout};

use anyhow::{Context, Result};
use tokio::task::LocalSet;

use crate::cluster::pin_to;
use crate::protocols::{NodeSpec, run_node};

/// Reads the node's configuration, runs it, and exits with the end of the
/// input, which comes when the parent is gone, however it went.
pub fn run() -> Result<u8> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the node's configuration")?;
    let spec: NodeSpec = serde_json::from_str(&line)
        .context("the first line of the input is not a node's configuration; `harness up` starts nodes")?;
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = stdin().lock().read_to_end(&mut rest);
        std::process::exit(0);
    });
    if let Some(core) = spec.pin {
        pin_to(core)?;
    }
    let address = spec.node.addresses[usize::from(spec.node.id.0)];
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}: address in use?"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = || {
        println!("ready");
        let _ = stdout().flush();
    };
    LocalSet::new().block_on(&runtime, run_node(spec, listener, ready, std::future::pending()))?;
    Ok(0)
}
