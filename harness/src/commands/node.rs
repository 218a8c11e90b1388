//! `harness node`.

use anyhow::Result;

use crate::cli::NodeArgs;
use crate::cluster::configured::{self, Member};
use crate::config::key_file;

/// Runs the command and returns the exit code.
pub fn run(args: &NodeArgs) -> Result<u8> {
    let cluster = args.cluster()?;
    cluster.node(args.id)?;
    configured::run(Member {
        secret: key_file::read(&args.key_file()?)?,
        data: args.data_folder()?,
        key_folder: args.key_folder()?,
        durability: args.durability()?,
        cluster,
        id: args.id,
        listen: args.listen,
        first_start: args.first_start,
        allow_remote: args.allow_remote,
        allow_fault_injection: args.allow_fault_injection,
    })
}
