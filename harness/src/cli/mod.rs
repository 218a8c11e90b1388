//! The command line as it is typed, one file for each command, and the plan that it
//! asks for. Runs nothing.

pub mod bench;
pub mod check;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod demo;
mod durability;
pub mod endure;
pub mod floor;
pub mod history;
pub mod init;
pub mod load;
pub mod load_overhead;
pub mod node;
pub mod out;
pub mod outage;
pub mod predict;
pub mod recorded;
pub mod replay;
pub mod report;
pub mod simulate;
pub mod sweep;
pub mod trace;
pub mod up;
pub mod view;

use clap::{Parser, Subcommand};

pub use bench::BenchArgs;
pub use check::CheckArgs;
pub use client::ClientArgs;
pub use compare::CompareArgs;
pub use demo::DemoArgs;
pub use endure::EndureArgs;
pub use floor::FloorArgs;
pub use history::HistoryArgs;
pub use init::InitArgs;
pub use load_overhead::OverheadArgs;
pub use node::NodeArgs;
pub use outage::{OutageArgs, SoakArgs};
pub use predict::PredictArgs;
pub use recorded::RecordedArgs;
pub use replay::ReplayArgs;
pub use report::ReportArgs;
pub use simulate::SimulateArgs;
pub use sweep::SweepArgs;
pub use up::{FixedUp, UpArgs, UpRest};
pub use view::ViewArgs;

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

Exit codes: 0 the experiment ran, whatever its outcomes; 1 honest nodes disagreed although at most f were \
faulty; 2 unusable input, or output that could not be written; 3 something that was due never came; 4 something \
could not be measured (a port was taken, a node did not start, a disk was full), is no result, and is tried \
again by --resume; 130 interrupted. Commands that use them otherwise (up, view, demo and node among them: there a port that is taken is 2) say so in their own --help."
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
    /// honest nodes agree, and leaves raw data, statistics, plots and a report behind. Without flags: pbft, pbft-mac, ccro
    /// and ccro-paper with 4 and 7 nodes, without faults, with f nodes offline, with f malicious, with an
    /// equivocating commander, and with a silent communication node. f is what PBFT tolerates, for all alike.
    #[command(after_help = "\
Examples:
  harness compare
  harness compare --nodes 4,7,10 --fault none,offline:1,malicious:1
  harness compare --protocol pbft,ccro --nodes 13 --fault malicious:2 --fault delay=5ms:1   (both at once)
  harness compare --nodes 4 --clients 512 --batch 512 --requests 100000
  harness compare --nodes 4 --rate 2000 --requests 10000 --timeout 2                        (open loop)
  harness compare --durability off,on,fsync --clients 64 --fault none                       (nodes with journals)
  harness compare --nodes 4 --fault crash@0 --out results/dead-commander")]
    Compare(Box<CompareArgs>),
    /// Run a plan: a grid of cells, which can be stopped and resumed
    ///
    /// The plan is a TOML file with lists for protocols, apps, nodes, faults, payload_bytes, batch, clients, rate, via,
    /// durability, link_delay_us and link_loss; every combination is a cell. After each finished run of a cell its rows are
    /// on disk; --resume goes on after the last one.
    #[command(after_help = "\
Examples:
  harness sweep harness/plans/quick.toml
  harness sweep harness/plans/quick.toml --durability off,fsync --out results/durable
  harness sweep harness/plans/ccro-paper.toml --out results/paper
  harness sweep harness/plans/ccro-paper.toml --out results/paper --resume")]
    Sweep(SweepArgs),
    /// Measure what clients see of a killed node or of a partition
    ///
    /// Open-loop load (times count from when a request was due) on a fresh cluster; at --at the victim's process is
    /// killed, and started again after --restart-after: without its memory, or with --durability by its journal. The load goes to the other nodes: clients
    /// of a killed gateway are lost with it, whatever the protocol does. Reports the longest time without an answer,
    /// late and undecided requests, and when the killed node took part again. Exit code 1 if an acknowledged request
    /// was lost or doubled, 3 if a node did not come back.
    #[command(after_help = "\
Examples:
  harness outage                                          the commander is killed, pbft and ccro, n = 4
  harness outage --kill node:2 --stay-down --rate 1000
  harness outage --kill all --durability fsync            all at once: when is the first answer after their restart?
  harness outage --kill communication-node --protocol ccro --nodes 7
  harness outage --partition '0,1|2,3:2..5' --duration 10
  harness outage --partition '0|1,2,3:2..4' --out results/isolated-commander")]
    Outage(OutageArgs),
    /// Kill f nodes in turn and start them again, under load, for minutes
    ///
    /// The next f nodes are killed as soon as the last are back; every third time they are cut off instead. At the end
    /// every node must serve, all logs and states must be equal, and every acknowledged request must have its own place in them.
    /// With --app kv, more clients ask all honest nodes at the same time, also those that are killed, and what they
    /// see must be linearizable: it is kept as a file and judged (harness history). Exit code 1 if not, 3 if a node
    /// did not come back, 4 if a history could not be judged.
    #[command(after_help = "\
Examples:
  harness soak
  harness soak --duration 20 --protocol ccro --nodes 7 --rate 100
  harness soak --app kv --duration 60
  harness soak --app kv --durability fsync --kill-all-every 10   nodes remember; now and then all are killed at once
  harness soak --app kv --nodes 7 --fault equivocate@0")]
    #[command(mut_arg("duration", |arg| arg.help("How long requests keep coming, seconds [default: 120]")))]
    #[command(mut_arg("repetitions", |arg| arg.help("How often [default: 1]")))]
    Soak(SoakArgs),
    /// See whether throughput and memory hold over minutes
    ///
    /// Each number of clients asks a fresh cluster without a pause. Prints throughput, response times, the longest
    /// time without an answer, and by how much the resident memory of all nodes has grown since --settle. Exit
    /// code 3 if a request was not decided or memory has grown by more than --growth.
    #[command(after_help = "\
Examples:
  harness endure --app kv                                six minutes each with 1, 16, 64, 256 and 1,024 clients
  harness endure --app kv --protocol pbft,ccro --clients 1024 --duration 60 --settle 10
  harness endure --app bank --clients 64 --csv endured.csv")]
    Endure(EndureArgs),
    /// Start a cluster that stays up until Ctrl-C
    ///
    /// Prints where the nodes are, what is wrong with which of them, and the curl lines to try.
    #[command(mut_arg("app", |arg| arg.help(cluster::APP_OF_UP)))]
    #[command(mut_arg("fault", |arg| arg.long_help(cluster::FAULT_OF_UP)))]
    #[command(mut_arg("trace", |arg| arg.help(cluster::TRACE_OF_UP)))]
    #[command(after_help = format!("{}\n\n{}\n\n{}", up::EXAMPLES, up::REQUESTS, up::EXIT_CODES))]
    Up(UpArgs),
    /// See a run, message by message, in a browser
    ///
    /// Serves one page on 127.0.0.1, which plays the same replicas inside the browser, or shows the run of a file that
    /// --trace has written. The page asks for nothing from anywhere.
    #[command(after_help = "\
Examples:
  harness view                                   choose a protocol, nodes and faults there
  harness simulate --fault equivocate@0 --trace run.trace && harness view run.trace
  harness view run.trace --export run.html       one file, to be mailed

Exit codes: 0 ended by Ctrl-C, or written; 2 no such run, or a port that is taken.")]
    View(ViewArgs),
    /// Vote by hand: PBFT's replicas, whose votes wait for you
    ///
    /// The real replicas with the real rules, four of them unless --nodes says otherwise, and a client. A person decides
    /// when and whether a vote leaves, and every vote that arrives is counted: x/N, with the quorum beside it. One terminal for all, or one for each
    /// node and one for the client, over HTTP on this machine. "help" at the prompt explains every command.
    #[command(after_help = "\
Examples:
  harness demo                                   all in this terminal; try: tx, all: prepare yes, all: ack commit
  harness demo --lesson deposit                  explained step by step
  printf 'tx account=alice,amount=100,operation=deposit\\nP1,P2,P3: prepare yes\\nall: ack commit\\n' | harness demo
  harness demo --node P0                         a terminal for P0, on port 5000; and so on to P3
  harness demo --client                          a terminal for the client, on port 7000
  harness demo --node P2 --port 6002 --peers P0=6000,P1=6001,P3=6003,client=7001
  harness demo --node P2 --recovering            P2 again, after its process was killed

Exit codes: 0 left; 2 unusable input, or a port that is taken; 3 a lesson did not end as it should; 130 interrupted.")]
    Demo(DemoArgs),
    /// Ask a cluster, as a client with a key of its own that trusts no node
    ///
    /// Connects to all nodes of the configuration, signs what it asks with its own key, checks the signature of every
    /// reply, and prints the result that f+1 nodes have signed. A node that lies is outvoted, one that is down is
    /// passed by, and nothing is executed twice.
    #[command(after_help = "\
Examples:
  harness client put test_key test_value
  harness client get test_key
  harness client cas test_key --expected test_value --new another
  harness client list test --limit 10
  harness client --config cluster/cluster.toml --name client-1 delete test_key
  harness client transfer alice bob 5                    (a cluster that replicates the bank)
  harness client add apple                               (a cluster that replicates the set)
  harness client bench --requests 100000 --clients 512
  harness client status

Exit codes: 0 done; 1 the answer is no (a key without a value, a swap that found another, no such member, a refusal); \
2 unusable input; 3 no result in time: it may still be executed, once.")]
    Client(ClientArgs),
    /// Rebuild summary, histograms, plots and report of a result folder
    ///
    /// Needs nothing but samples.csv, nodes.csv and cells.csv (and uses events.csv, floor.json, disk.json and
    /// machine.json if they are there).
    #[command(after_help = "Example:\n  harness report results/reference")]
    Report(ReportArgs),
    /// Measure what this machine could do at best
    ///
    /// A message over a loopback link as peers use it, a signature, a verification; from these the least time that
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
    /// The replicas of the real nodes with the same faults around them, on a network that is described: up to 1000
    /// nodes, five continents, partitions. Each run has one thread; several runs are played at once. The same seed gives the same run, and the same
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

The network file is TOML: delay = { constant_us = 100 } | { uniform_us = [80, 120] } | \
{ log_normal = { median_us = 100, sigma = 0.3 } }; loss, duplication, reordering (probabilities), reordering_us; \
bandwidth_mbit_s (of each node's line); regions = [\"frankfurt\", \"tokyo\"] (nodes round robin), jitter; \
[[link]] from = [0] to = [1] and any of delay, loss, duplication, reordering, bandwidth_mbit_s; \
[[partition]] groups = [[0, 1], [2]] from_us = 1000000 until_us = 3000000.
Regions: dallas, toronto, washington, frankfurt, london, madrid, osaka, sydney, tokyo, sao-paulo.

Exit codes: 0 held; 1 honest nodes disagreed although at most f were faulty; 3 a request was never decided \
although at most f were faulty and the network was healthy in the end; 2 unusable input; 4 something could not be \
measured or written; 130 interrupted.")]
    Simulate(Box<SimulateArgs>),
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

Exit codes: 0 it was measured, however good the prediction; 2 unusable input; 4 something could not be measured; \
130 interrupted.")]
    Predict(PredictArgs),
    /// Compare this build with another one: is it faster or slower?
    ///
    /// Both programs run the same cells, in turn and each on fresh clusters. Prints for each cell the median
    /// latency, decided requests a second and CPU time a request of both, and the ratio: its median, and its range over
    /// all pairs of runs. What differs in all pairs, and by more than --tolerate in the median, is called better or worse.
    /// Without --against this program is measured alone, beside the floor of the machine.
    #[command(after_help = "\
Examples:
  cargo build --release && cp target/release/harness old        (then change something, and build again)
  harness bench --against ./old
  harness bench --against ./old --pairs 10 -- --protocol pbft --nodes 4,7,10 --clients 1 --fault none --requests 2000
  harness bench --against ./old -- --nodes 4 --via http,client --clients 512 --fault none --requests 50000

Exit codes: 0 no worse; 1 honest nodes disagreed; 3 worse, or a request was not decided; 2 unusable input, or a program that cannot be started; \
4 a run ended with an error; 130 interrupted: what was measured is shown and written.")]
    Bench(BenchArgs),
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

Exit codes: 0 everything as expected (the scopes of ccro-paper must find a disagreement); 1 not as expected; \
2 unusable input; 130 interrupted.")]
    Check(CheckArgs),
    /// Judge recorded histories of the key-value store's clients again
    ///
    /// A history is linearizable if every operation can have taken effect at one moment between its call and its
    /// answer; one without an answer may take effect at any later time or never. Of a history that is not, the first
    /// answer on each key that no order explains is shown, with the operations around it. `harness soak --app kv`
    /// records and judges a history with every run.
    #[command(after_help = "\
Example:
  harness history results/soak-kv/history-*.jsonl

Exit codes: 0 linearizable; 1 not linearizable; 2 unusable input; 4 a search took too long, so that nothing is known of \
its key; 130 interrupted.")]
    History(HistoryArgs),
    /// Show a recorded run: in words, as a chart, or for another program
    ///
    /// A trace holds every message of a run with its times (docs/trace-format.md). Charts are of a part that can be
    /// read: choose slots or a time.
    #[command(after_help = "\
Examples:
  harness trace run.trace
  harness trace run.trace --as svg --slots 1..3 --out chart.svg
  harness trace run.trace --as mermaid --ms 400..402
  harness trace run.trace --as msc --slots 1..2 | mscgen -T svg -o chart.svg
  harness trace run.trace --as chrome --out run.json            (open it at https://ui.perfetto.dev)

Exit codes: 0 done; 2 no trace, one that was cut short or damaged, or a chart that nobody could read.")]
    Trace(RecordedArgs),
    /// Play the journal of a node step by step
    ///
    /// A node that is started with --data-dir keeps what it was given there. This plays it, and prints what the replica
    /// saw, what it did and what it knew after each step: what went wrong on a real node can be looked at as often as
    /// need be. `harness view DIR` and `harness trace DIR` show the journals of all nodes below DIR as one run.
    #[command(after_help = "\
Examples:
  harness replay data/node-3
  harness replay data/node-3 --to-seq 120 --full | tail -40
  harness replay data/node-0 --slot 7
  harness replay data/node-0 --json | jq .given

Exit codes: 0 played; 2 no journal, or one that cannot be played.")]
    Replay(ReplayArgs),
    /// Make the configuration of a cluster, and the keys of its nodes and clients
    ///
    /// Writes cluster.toml, node-ID.key and NAME.key into a folder. A key file holds a secret: nobody but the member
    /// needs it, and it is made so that nobody but its owner can read it. On several hosts, copy cluster.toml to
    /// all of them, and each node's key to its own.
    #[command(after_help = "\
Examples:
  harness init
  harness init --nodes 7 --protocol ccro --app bank --clients 3 --dir my-cluster
  harness init --addresses 10.0.0.1:8080,10.0.0.2:8080,10.0.0.3:8080,10.0.0.4:8080 --link-delay-ms 1")]
    Init(InitArgs),
    /// Run one node of a cluster that a configuration describes, until Ctrl-C or SIGTERM
    ///
    /// With --data-dir, a node that is started again goes on where it was. Without it, a node that is started
    /// again has lost its memory (it notes its first start beside its key): it learns from the others before it votes. This
    /// works only while enough others are up; when all were stopped, everything they decided is lost, and --first-start on
    /// each begins anew. With broadcast it does not vote again at all: its nodes need --data-dir.
    #[command(after_help = "\
Examples:
  harness node --config cluster/cluster.toml --id 3
  harness node --config cluster/cluster.toml --id 3 --data-dir data             remembers, synced to the disk
  harness node --config cluster.toml --id 0 --allow-remote --listen 0.0.0.0:8080
  HARNESS_CONFIG=cluster.toml HARNESS_ID=2 RUST_LOG=debug harness node

Exit codes: 0 it was stopped; 2 unusable configuration or key, or a port that is taken; the message names it.")]
    Node(Box<NodeArgs>),
    /// Run one node that is described by a line of JSON on the input, and ends with it
    #[command(hide = true)]
    NodeFromInput,
}

/// Reads the command line.
///
/// # Errors
/// One that is not understood, or that asks for help or the version: the error
/// holds what is to be printed.
pub fn read<C: Parser>() -> Result<C, clap::Error> {
    with_negative_numbers(C::command()).try_get_matches().and_then(|found| C::from_arg_matches(&found))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ProtocolName;
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
