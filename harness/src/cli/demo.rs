//! Flags of `demo`.

use clap::Args;

/// Flags of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Number of replicas; f = ⌊(n-1)/3⌋ of them may be faulty
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=13))]
    pub nodes: u16,
    /// Play this lesson: deposit, withdraw, overdraft, conflict, crash-recover, rotation, checkpoint, equivocation
    #[arg(long, value_name = "NAME", conflicts_with_all = ["node", "client"])]
    pub lesson: Option<String>,
    /// Play the lesson without waiting for Enter
    #[arg(long, requires = "lesson")]
    pub yes: bool,
    /// This terminal is the replica P0, P1, …; the others have terminals of their own
    #[arg(long, value_name = "NAME", conflicts_with = "client")]
    pub node: Option<String>,
    /// This terminal is the client
    #[arg(long)]
    pub client: bool,
    /// The port that this terminal's node or client listens on; without it, 5000 for P0, 5001 for P1, …, and 7000 for
    /// the client
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Where the others listen, if not there: P0=5000,client=7000
    #[arg(long, value_name = "NAME=PORT", value_delimiter = ',')]
    pub peers: Vec<String>,
    /// The replica ran before and lost its memory: it learns from the others before it votes
    #[arg(long, requires = "node")]
    pub recovering: bool,
    /// The seed of all keys, the same in every terminal; the keys are for this demo only
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
}
