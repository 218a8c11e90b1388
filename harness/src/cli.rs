//! The command line as it is typed. What it means is resolved in
//! [`crate::plan`] and in each command's module.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::faults::CommanderDraw;
use crate::outage::{Partition, Victim};
use crate::protocols::{Communication, Gateway, Placement, ProtocolName};

/// Compares Byzantine consensus protocols on real HTTP nodes on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  harness compare                       the main comparison, in under a minute
  harness up --protocol ccro --nodes 4  a cluster to try by hand
  harness sweep harness/plans/faults.toml
  harness report results/faults

Exit codes: 0 the experiment ran, whatever its outcomes; 1 honest nodes disagreed although at most f were
faulty; 2 unusable input; 130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare protocols under the same faults
    ///
    /// Starts a fresh cluster for every protocol, size and fault, sends requests through it, checks that the
    /// honest nodes agree, and leaves raw data, statistics, plots and a report behind. Without flags: pbft, ccro
    /// and ccro-paper with 4 and 7 nodes, without faults, with f nodes offline, with f malicious, with an
    /// equivocating commander, and with a silent communication node. f is what PBFT tolerates, for all alike.
    #[command(after_help = "\
Examples:
  harness compare
  harness compare --nodes 4,7,10 --fault none,offline:1,malicious:1
  harness compare --protocol pbft,ccro --nodes 13 --fault malicious:2 --fault delay=5ms:1   (both at once)
  harness compare --nodes 4 --clients 512 --batch 512 --requests 100000
  harness compare --nodes 4 --rate 2000 --requests 10000 --timeout 2                        (open loop)
  harness compare --nodes 4 --fault crash@0 --out results/dead-commander")]
    Compare(Box<CompareArgs>),
    /// Run a plan: a grid of cells, which can be stopped and resumed
    ///
    /// The plan is a TOML file with lists for protocols, nodes, faults, payload_bytes, batch, clients, rate,
    /// link_delay_us and link_loss; every combination is a cell. After each finished run of a cell its rows are
    /// on disk; --resume goes on after the last one.
    #[command(after_help = "\
Examples:
  harness sweep harness/plans/quick.toml
  harness sweep harness/plans/ccro-paper.toml --out results/paper
  harness sweep harness/plans/ccro-paper.toml --out results/paper --resume")]
    Sweep(SweepArgs),
    /// Measure what clients see of a killed node or of a partition
    ///
    /// Open-loop load (times count from when a request was due) on a fresh cluster; at --at the victim's process is
    /// killed, and started again without its memory after --restart-after. The load goes to the other nodes: clients
    /// of a killed gateway are lost with it, whatever the protocol does. Reports the longest time without an answer,
    /// late and undecided requests, and when the killed node took part again. Exit code 1 if an acknowledged request
    /// was lost or doubled, 3 if a node did not come back.
    #[command(after_help = "\
Examples:
  harness outage                                          the commander is killed, pbft and ccro, n = 4
  harness outage --kill node:2 --stay-down --rate 1000
  harness outage --kill communication-node --protocol ccro --nodes 7
  harness outage --partition '0,1|2,3:2..5' --duration 10
  harness outage --partition '0|1,2,3:2..4' --out results/isolated-commander")]
    Outage(OutageArgs),
    /// Kill f nodes in turn and start them again, under load, for minutes
    ///
    /// The next f nodes are killed as soon as the last are back. At the end every node must serve, all logs must be
    /// equal, and every acknowledged request must have its own place in them; exit code 1 if not, 3 if a node did
    /// not come back.
    #[command(after_help = "\
Examples:
  harness soak
  harness soak --duration 20 --protocol ccro --nodes 7 --rate 100")]
    Soak(SoakArgs),
    /// Start a cluster that stays up until Ctrl-C
    ///
    /// Prints where the nodes are, what is wrong with which of them, and the curl lines to try.
    #[command(after_help = "\
Examples:
  harness up --protocol pbft --nodes 4
  harness up --protocol ccro --nodes 7 --fault malicious:2 --port 9000
  harness up --protocol ccro --fault withhold@1 --fault delay=5ms@2 --encoding json")]
    Up(UpArgs),
    /// Rebuild summary, histograms, plots and report of a result folder
    ///
    /// Needs nothing but samples.csv, nodes.csv and cells.csv (and uses floor.json and machine.json if they are
    /// there).
    #[command(after_help = "Example:\n  harness report results/reference")]
    Report(ReportArgs),
    /// Measure what this machine could do at best
    ///
    /// A loopback HTTP hop as the peer links use it, a signature, a verification; from these the least time that
    /// one decision can take.
    #[command(after_help = "Examples:\n  harness floor\n  harness floor --nodes 4,7,10")]
    Floor(FloorArgs),
    /// Measure what the load generator itself adds and how much it can send
    ///
    /// The nodes are replaced by a server that answers at once, on a thread of its own.
    #[command(
        after_help = "Examples:\n  harness load-overhead\n  harness load-overhead --clients 1,64,512 --payload 1000"
    )]
    LoadOverhead(OverheadArgs),
    /// Play a cluster in virtual time
    ///
    /// The replicas of the real nodes with the same faults around them, in one thread, on a network that is
    /// described: thousands of nodes, five continents, partitions. The same seed gives the same run, and the same
    /// digest, on every machine. Waits that are not given suit the cluster's size and the network.
    #[command(mut_arg("placement", |arg| arg.hide(true)))]
    #[command(mut_arg("encoding", |arg| arg.hide(true)))]
    #[command(mut_arg("pin", |arg| arg.hide(true)))]
    #[command(after_help = "\
Examples:
  harness simulate --nodes 100 --requests 50
  harness simulate --protocol pbft,ccro,ccro-paper --nodes 1000 --requests 10 --network five-continents
  harness simulate --protocol ccro --nodes 7 --fault withhold@1 --network my-network.toml
  harness simulate --nodes 4,7,10 --network localhost --costs measured --clients 8 --out results/predicted
  harness simulate --nodes 4 --fault malicious:1 --seeds 0..100
  harness simulate --swarm --protocol pbft,ccro --seeds 0..10000

The network file is TOML: delay = { constant_us = 100 } | { uniform_us = [80, 120] } |
{ log_normal = { median_us = 100, sigma = 0.3 } }; loss, duplication, reordering (probabilities), reordering_us;
bandwidth_mbit_s (of each node's line); regions = [\"frankfurt\", \"tokyo\"] (nodes by turns), jitter;
[[link]] from = [0] to = [1] and any of delay, loss, duplication, reordering, bandwidth_mbit_s;
[[partition]] groups = [[0, 1], [2]] from_us = 1000000 until_us = 3000000.
Regions: dallas, toronto, washington, frankfurt, london, madrid, osaka, sydney, tokyo, sao-paulo.

Exit codes: 0 held; 1 honest nodes disagreed although at most f were faulty; 3 a request was never decided
although at most f were faulty and the network was healthy in the end; 2 unusable input; 130 interrupted.")]
    Simulate(Box<crate::simulate::args::SimulateArgs>),
    /// Compare what the simulator predicts with what real nodes take
    ///
    /// Measures on this machine, without any protocol, what signatures, messages and wake-ups cost; runs every
    /// cell, without faults and with one client, on real nodes; and plays the same cell in the simulator, fed with
    /// those costs and nothing else. Prints the median consensus time of both (from the gateway's receipt of a
    /// request to the f+1st matching reply), their ratio, whether it is within 30 %, and if not, what was
    /// measured that tells why.
    #[command(after_help = "\
Examples:
  harness predict
  harness predict --protocol pbft --nodes 4,13
  harness predict --requests 1000 --repetitions 5 --out results/predicted

Exit codes: 0 it was measured, however good the prediction; 2 unusable input; 130 interrupted.")]
    Predict(crate::predict::PredictArgs),
    /// Explore every interleaving of small scopes
    ///
    /// The replicas that run on nodes, with a network that delivers anything at any time or never, and a faulty
    /// one that says anything it can sign. Prints for each scope whether it was exhausted or what bounded it, and
    /// for a violation the run that leads to it.
    #[command(after_help = "\
Examples:
  harness check                                    all scopes, within the limits for each
  harness check --list
  harness check --scope ccro --seconds 600         all scopes whose names begin with ccro
  harness check --scope paper-colluding --example docs/ccro-paper-disagreement.md

Exit codes: 0 everything as expected (the scopes of ccro-paper must find a disagreement); 1 not as expected;
2 unusable input; 130 interrupted.")]
    Check(CheckArgs),
    /// Run one node; reads its configuration as a line of JSON and ends with its input
    #[command(hide = true)]
    Node,
}

const FAULT_HELP: &str = "Faults: KIND[=ARG][WHEN]:COUNT, KIND[=ARG][WHEN]@ID,ID or none";

const FAULT_LONG_HELP: &str = "\
Faults: KIND[=ARG][WHEN]:COUNT, KIND[=ARG][WHEN]@ID,ID or none

KIND is offline, malicious, equivocate, equivocate=victim, withhold, partial=ID;ID, delay=5ms, drop=0.1,
duplicate[=0.5], reorder[=10ms], replay[=0.1], forge[=signature|name|short|repeated|mixed], amnesia,
twins[=ID;ID], view-change-spam[=50ms], flood[=MESSAGES_PER_SECOND] or crash (SIGKILL after the warm-up).
COUNT nodes are drawn by --seed; the count f stands for what PBFT tolerates. Several nodes that equivocate
share one plan. A repeated flag puts several faults on the cluster at once; `none`, or a comma followed by
a letter, starts a further scenario.

WHEN is any of [after=2s], [until=5s] (since the node began), [view=1..], [seq=10..20] (slots; the end is
not part of it), [to=1;2] (what passes between the node and these), [kind=commit;prepare] (kinds of
messages), each in brackets of its own; all given must hold: drop=0.5[seq=10..20][to=1;2]:1";

/// What a cluster is made of; the same for all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Faults on the cluster
    #[arg(long, value_name = "FAULT", help = FAULT_HELP, long_help = FAULT_LONG_HELP)]
    pub fault: Vec<String>,
    /// Seed of keys, payloads, drawn faults and the order of cells
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Request timeout at the gateway, seconds (fractions too)
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<f64>,
    /// Nodes as processes of their own, or as tasks of this one
    #[arg(long, value_name = "WHERE")]
    pub placement: Option<Placement>,
    /// Most slots that the commander keeps in flight
    #[arg(long, value_name = "SLOTS")]
    pub window: Option<u64>,
    /// How long CCRO's communication node waits for all votes, milliseconds
    #[arg(long, value_name = "MS")]
    pub fast_wait_ms: Option<f64>,
    /// After how long a CCRO replica sends its votes to all, milliseconds
    #[arg(long, value_name = "MS")]
    pub fallback_after_ms: Option<f64>,
    /// How long a replica waits for a request before it asks for another commander, milliseconds
    #[arg(long, value_name = "MS")]
    pub request_timer_ms: Option<f64>,
    /// After how long without progress a replica sends its votes again, milliseconds
    #[arg(long, value_name = "MS")]
    pub resend_after_ms: Option<f64>,
    /// Who collects CCRO's votes: separate, collocated, trust or fixed:ID
    #[arg(long, value_name = "WHO")]
    pub communication: Option<Communication>,
    /// Let CCRO take its two-phase path only
    #[arg(long)]
    pub no_fast_path: bool,
    /// Whether faults given by number may hit the first commander
    #[arg(long, value_name = "HOW")]
    pub commander: Option<CommanderDraw>,
    /// How peers encode messages: binary or json (for reading along)
    #[arg(long, value_name = "ENCODING", value_parser = parse_encoding)]
    pub encoding: Option<node::Encoding>,
    /// Pin nodes to cores, round robin
    #[arg(long)]
    pub pin: bool,
}

/// Flags of `compare`. Lists take commas.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Protocols: pbft, ccro, ccro-paper
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Where results go.
    #[command(flatten)]
    pub out: OutArgs,
}

/// Flags about requests, on real nodes and simulated ones.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct RequestArgs {
    /// Clients with one request in flight each (closed loop)
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub clients: Vec<usize>,
    /// Requests due per second, whatever becomes of earlier ones (open loop; --clients then means nothing)
    #[arg(long, value_delimiter = ',', value_name = "PER_SECOND")]
    pub rate: Vec<f64>,
    /// Bytes of data in each request
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub payload: Vec<usize>,
    /// Most requests that one slot orders
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub batch: Vec<usize>,
    /// The node that the load is posted to: auto (the commander, or the lowest honest node), spread, or an id
    #[arg(long, value_name = "NODE")]
    pub gateway: Option<Gateway>,
}

/// Flags about load on real nodes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Port of the first node, the others' following [default: free ports]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Cut a cell short after so many undecided requests in a row with none decided; 0 never
    #[arg(long, value_name = "N")]
    pub give_up_after: Option<u64>,
    /// Measured requests in each cell and repetition
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// Requests before those, which are not recorded
    #[arg(long, value_name = "N")]
    pub warmup: Option<u64>,
    /// How often every cell runs
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// HTTP/2 connections to each gateway, which the clients share [default: 4]
    #[arg(long, value_name = "N")]
    pub connections: Option<usize>,
    /// What is asked for.
    #[command(flatten)]
    pub asked: RequestArgs,
    /// Delay on every peer link, microseconds
    #[arg(long, value_delimiter = ',', value_name = "US")]
    pub link_delay_us: Vec<u64>,
    /// Loss on every peer link, a probability
    #[arg(long, value_delimiter = ',', value_name = "P")]
    pub link_loss: Vec<f64>,
}

/// Flags about the result folder.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct OutArgs {
    /// The result folder; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the stopped run in --out
    #[arg(long, requires = "out")]
    pub resume: bool,
}

/// Flags of `sweep`.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// The plan
    #[arg(value_name = "PLAN.toml")]
    pub plan: PathBuf,
    /// The result folder; must be empty or not exist [default: results/NAME, the name of the plan]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run of the same plan
    #[arg(long)]
    pub resume: bool,
}

/// Flags of `outage`.
#[derive(Clone, Debug, Args)]
pub struct OutageArgs {
    /// Who is killed: commander, communication-node or node:ID [default: commander, without a --partition]
    #[arg(long, value_name = "WHO")]
    pub kill: Option<Victim>,
    /// When, in seconds since the load began
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub at: f64,
    /// How long after the kill the node is started again, seconds
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub restart_after: f64,
    /// Do not start the killed node again
    #[arg(long)]
    pub stay_down: bool,
    /// Cut links between groups of nodes for a while, such as 0,1|2,3:2..5 (seconds); can be repeated
    #[arg(long, value_name = "GROUPS:FROM..UNTIL")]
    pub partition: Vec<Partition>,
    /// An answer that takes longer than so many milliseconds is late
    #[arg(long, value_name = "MS", default_value = "100")]
    pub late_ms: f64,
    /// The load.
    #[command(flatten)]
    pub load: OutageLoad,
}

/// Flags of `soak`.
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// How long killed nodes stay down, seconds
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub down: f64,
    /// An answer that takes longer than so many milliseconds is late
    #[arg(long, value_name = "MS", default_value = "100")]
    pub late_ms: f64,
    /// The load.
    #[command(flatten)]
    pub load: OutageLoad,
}

/// Flags of `outage` and `soak` about what runs meanwhile.
#[derive(Clone, Debug, Args)]
pub struct OutageLoad {
    /// Protocols: pbft, ccro, ccro-paper
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "pbft,ccro")]
    pub protocol: Vec<ProtocolName>,
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: Vec<u16>,
    /// Requests due per second
    #[arg(long, value_name = "PER_SECOND", default_value = "500")]
    pub rate: f64,
    /// How long requests keep coming, seconds [default: 8, soak 120]
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<f64>,
    /// How often [default: 3, soak 1]
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Where results go.
    #[command(flatten)]
    pub out: OutArgs,
}

/// Flags of `up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Protocol: pbft, ccro or ccro-paper
    #[arg(long, value_name = "NAME", default_value = "pbft")]
    pub protocol: ProtocolName,
    /// The rest.
    #[command(flatten)]
    pub rest: UpRest,
}

/// Flags of `up` and of the commands that have their protocol fixed.
#[derive(Clone, Debug, Args)]
pub struct UpRest {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: u16,
    /// The first node's port; the others follow
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// Most requests that one slot orders
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Delay on every peer link, microseconds
    #[arg(long, value_name = "US")]
    pub link_delay_us: Option<u64>,
    /// Loss on every peer link, a probability
    #[arg(long, value_name = "P")]
    pub link_loss: Option<f64>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Flags of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Flags of `floor`.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// Numbers of nodes
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "4,7")]
    pub nodes: Vec<u16>,
    /// Bytes of data in a request
    #[arg(long, value_name = "BYTES", default_value = "100")]
    pub payload: usize,
    /// Where floor.json goes [default: printed only]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Flags of `load-overhead`.
#[derive(Clone, Debug, Args)]
pub struct OverheadArgs {
    /// Clients with one request in flight each
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,512")]
    pub clients: Vec<usize>,
    /// Bytes of data in each request
    #[arg(long, value_name = "BYTES", default_value = "100")]
    pub payload: usize,
    /// Requests for each number of clients
    #[arg(long, value_name = "N", default_value = "50000")]
    pub requests: u64,
}

/// Flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Scopes, by the beginning of their names [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub scope: Vec<String>,
    /// Name all scopes and end
    #[arg(long)]
    pub list: bool,
    /// Most distinct states of a scope
    #[arg(long, value_name = "N", default_value = "5000000", value_parser = parse_at_least_one)]
    pub states: usize,
    /// Most seconds for a scope
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Most memory of the whole process, MiB
    #[arg(long, value_name = "MIB", default_value = "4096", value_parser = clap::value_parser!(u64).range(16..=1 << 20))]
    pub memory_mib: u64,
    /// Write the disagreement found as a sequence chart
    #[arg(long, value_name = "FILE")]
    pub example: Option<PathBuf>,
}

fn parse_at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number from 1".to_owned()),
    }
}

/// Reads the command line; on one that is not understood, says why and exits.
pub fn read<C: Parser>() -> C {
    let found = with_negative_numbers(C::command()).try_get_matches();
    found.and_then(|found| C::from_arg_matches(&found)).unwrap_or_else(|error| error.exit())
}

/// Takes `-4` behind a flag as the flag's value, so that the refusal names the
/// flag instead of calling `-4` an unknown one.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_action().takes_values() {
            true => arg.allow_negative_numbers(true),
            false => arg,
        })
        .mut_subcommands(with_negative_numbers)
}

fn parse_encoding(text: &str) -> Result<node::Encoding, String> {
    match text {
        "binary" => Ok(node::Encoding::Binary),
        "json" => Ok(node::Encoding::Json),
        _ => Err("known encodings: binary, json".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        with_negative_numbers(Cli::command()).debug_assert();
    }

    #[test]
    fn lists_take_commas() {
        let cli = Cli::try_parse_from(["harness", "compare", "--nodes", "4,7", "--protocol", "pbft,ccro"]);
        let Command::Compare(args) = cli.unwrap().command else { panic!("not compare") };
        assert_eq!(args.nodes, [4, 7]);
        assert_eq!(args.protocol, [ProtocolName::Pbft, ProtocolName::Ccro]);
        for bad in [["--nodes", "0"], ["--nodes", "x"], ["--protocol", "raft"], ["--placement", "moon"]] {
            let error = Cli::try_parse_from(["harness", "compare"].into_iter().chain(bad)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_negative_number_is_refused_under_the_name_of_its_flag() {
        for (command, flag) in [
            ("compare", "--nodes"),
            ("compare", "--payload"),
            ("compare", "--seed"),
            ("compare", "--window"),
            ("compare", "--gateway"),
            ("up", "--port"),
            ("floor", "--payload"),
            ("load-overhead", "--requests"),
        ] {
            let typed = ["harness", command, flag, "-4"];
            let error = with_negative_numbers(Cli::command()).try_get_matches_from(typed).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("invalid value '-4' for '{flag}")), "{typed:?}: {text}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
