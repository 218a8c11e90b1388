//! `harness init`.

use anyhow::Result;

use crate::base::console::say;
use crate::cli::InitArgs;
use crate::config::init::NewCluster;

/// Runs the command and returns the exit code.
pub fn run(args: &InitArgs) -> Result<u8> {
    let wanted = args.wanted()?;
    let config = NewCluster::draw(&wanted)?.write(&args.dir, args.force)?;
    let (nodes, clients) = (wanted.addresses.len(), wanted.clients.len());
    say(format_args!(
        "{} describes the cluster (nodes: {nodes}, clients: {clients}); beside it is a key file of each, which only its owner may \
         read.\nRun each node with\n  harness node --config {} --id ID        (0 to {})",
        config.display(),
        config.display(),
        nodes - 1
    ));
    Ok(0)
}
