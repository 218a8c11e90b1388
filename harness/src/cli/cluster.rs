//! Flags about the cluster, which all commands with one have.

use apps::AppName;
use clap::Args;

use crate::plan::faults::CommanderDraw;
use crate::plan::{Communication, Placement, Plan};

const FAULT_HELP: &str = "Faults: KIND[=ARG][WHEN]:COUNT, KIND[=ARG][WHEN]@ID,ID or none";

/// The kinds that `up` has; `harness` can kill nodes of its experiments besides.
macro_rules! fault_kinds {
    () => {
        "Faults: KIND[=ARG][WHEN]:COUNT, KIND[=ARG][WHEN]@ID,ID or none\n\n\
         KIND is offline, malicious, equivocate, equivocate=victim, withhold, partial[=ID;ID], ignore-gateway[=ID;ID], \
         gateway-last[=300ms][;ID;ID], small-batches, delay[=5ms], drop[=0.1], duplicate[=1], reorder[=10ms], \
         replay[=0.1], forge[=signature|name|short|repeated|mixed], amnesia, twins[=ID;ID], view-change-spam[=50ms], mac-attack[=100ms], \
         flood[=1000] (messages per second), bad-state[=bit|extent|short|silence] or diverge"
    };
}
macro_rules! fault_rest {
    () => {
        " Numbers and times are shown with their defaults; without ids, partial, ignore-gateway, gateway-last and twins \
         take the odd nodes.\n\
         COUNT nodes are drawn by --seed; the count f stands for what PBFT tolerates. Several nodes that equivocate share \
         one plan. A repeated flag puts several faults on the cluster at once."
    };
}
macro_rules! fault_conditions {
    () => {
        "\n\n\
         WHEN is any of [after=2s], [until=5s] (since the node began), [view=1..], [seq=10..20] (slots; the end is not part \
         of it), [to=1;2] (what passes between the node and these), [kind=commit;prepare] (kinds of messages), each in \
         brackets of its own; all given must hold: drop=0.5[seq=10..20][to=1;2]:1"
    };
}

const FAULT_LONG_HELP: &str = concat!(
    fault_kinds!(),
    "; and crash: SIGKILL after the warm-up.",
    fault_rest!(),
    " `none`, or a comma followed by a letter, starts a further scenario.",
    fault_conditions!()
);
/// Of a cluster that stays up: there is one scenario, and no warm-up.
pub(super) const FAULT_OF_UP: &str = concat!(fault_kinds!(), ".", fault_rest!(), fault_conditions!());
/// The same of what is replicated.
pub(super) const APP_OF_UP: &str = "What is replicated: opaque (a log of any data), kv (a key-value store), bank or orswot (a set) [default: opaque]";
/// The same of a recording.
pub(super) const TRACE_OF_UP: &str =
    "Record every message, vote and change of state, and write it into this file at the end";

/// What a cluster is made of; the same for all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// What is replicated: opaque (a log of any data), kv (a key-value store), bank, orswot (a set); comma-separated to compare
    #[arg(long, value_name = "APPS", value_delimiter = ',')]
    pub app: Vec<AppName>,
    /// Faults on the cluster
    #[arg(long, value_name = "FAULT", help = FAULT_HELP, long_help = FAULT_LONG_HELP)]
    pub fault: Vec<String>,
    /// Seed of keys, payloads, drawn faults and the order of cells [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Request timeout at the gateway, seconds (fractions too)
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<f64>,
    /// Nodes as processes of their own, or as tasks of this one [default: processes]
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
    /// Who collects CCRO's votes: separate, collocated, trust or fixed:ID [default: separate]
    #[arg(long, value_name = "WHO")]
    pub communication: Option<Communication>,
    /// Let CCRO take its two-phase path only
    #[arg(long)]
    pub no_fast_path: bool,
    /// Whether faults given by number may hit the first commander: they do where all others are taken, and equivocate
    /// and twins begin with it [default: spare]
    #[arg(long, value_name = "HOW")]
    pub commander: Option<CommanderDraw>,
    /// How peers encode messages: binary or json (for reading along) [default: binary]
    #[arg(long, value_name = "ENCODING", value_parser = parse_encoding)]
    pub encoding: Option<node::Encoding>,
    /// Pin nodes to cores, round robin
    #[arg(long)]
    pub pin: bool,
}

impl ClusterArgs {
    /// Puts the flags about clusters, faults apart, into a plan.
    pub(super) fn put_into(&self, plan: &mut Plan) {
        if !self.app.is_empty() {
            plan.apps.clone_from(&self.app);
        }
        plan.seed = self.seed.unwrap_or(plan.seed);
        plan.timeout_s = self.timeout.unwrap_or(plan.timeout_s);
        plan.placement = self.placement.unwrap_or(plan.placement);
        plan.window = self.window.unwrap_or(plan.window);
        plan.fast_wait_ms = self.fast_wait_ms.or(plan.fast_wait_ms);
        plan.fallback_after_ms = self.fallback_after_ms.or(plan.fallback_after_ms);
        plan.request_timer_ms = self.request_timer_ms.or(plan.request_timer_ms);
        plan.resend_after_ms = self.resend_after_ms.or(plan.resend_after_ms);
        plan.communication = self.communication.unwrap_or(plan.communication);
        plan.fast_path &= !self.no_fast_path;
        plan.commander = self.commander.unwrap_or(plan.commander);
        plan.encoding = self.encoding.unwrap_or(plan.encoding);
        plan.pin |= self.pin;
    }
}

fn parse_encoding(text: &str) -> Result<node::Encoding, String> {
    match text {
        "binary" => Ok(node::Encoding::Binary),
        "json" => Ok(node::Encoding::Json),
        _ => Err("known encodings: binary, json".to_string()),
    }
}
