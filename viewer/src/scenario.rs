//! What a person asks the page to play, as JSON and TOML have it.

use adversary::Behaviour;
use apps::{AppName, BankOperation, KvOperation, SetOperation};
use flows::job::{Asked, FlowName, Job};
use flows::options::Options;
use flows::record::Edit as Done;
use flows::waits::{Links, Waits};
use kernel::{Operation, ReplicaId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sim::{Alteration, Costs, Intervention, Network, Pace, Signatures};
use std::collections::BTreeMap;

/// Nodes at most: a page shows no more.
const MOST_NODES: u16 = 100;
/// Requests at most.
const MOST_REQUESTS: u64 = 1_000;
/// An hour of virtual time.
const LONGEST_MS: u64 = 3_600_000;
/// How long a run is played unless a scenario says so, virtual milliseconds.
const USUAL_LIMIT_MS: u64 = 60_000;
/// Most requests in one slot, most slots in flight and bytes of each generated request,
/// unless a scenario says so: those of `harness simulate`.
const USUAL_BATCH: usize = 256;
const USUAL_PAYLOAD_BYTES: usize = 100;
const USUAL_REQUESTS: u64 = 3;

/// One run. What is left out is as `harness simulate` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// Replicas.
    pub nodes: u16,
    /// `opaque`, `kv`, `bank` or `orswot`, a set.
    #[serde(default = "opaque")]
    pub app: String,
    /// How many requests of the application's usual kind; counts if `operations` is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What is asked for, one after the other, in words: `put KEY VALUE`, `deposit A 5`, `add apple`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// Requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<usize>,
    /// The node that clients ask; else the first one that is not faulty. With `broadcast`, where every node has clients
    /// of its own, else all that are not faulty, and for each of `operations` of a bank the owner of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<u16>,
    /// For each faulty node how it misbehaves, as `--fault` takes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, Vec<String>>,
    /// The network, by name or described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkChoice>,
    /// Everything random comes from it.
    #[serde(default = "one")]
    pub seed: u64,
    /// A checkpoint every so many slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_interval: Option<u64>,
    /// Most requests in one slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// How long a replica waits for a request before it asks for another commander.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timer_ms: Option<f64>,
    /// CCRO: who collects votes, as `--communication` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communication: Option<String>,
    /// CCRO: whether all votes together commit at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_path: Option<bool>,
    /// Virtual time at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// What is done to the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

fn opaque() -> String {
    AppName::Opaque.to_string()
}

fn one() -> u64 {
    1
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum NetworkChoice {
    /// By name; see [`sim::NAMED`].
    Named(String),
    /// Described.
    Described(Box<Network>),
}

impl TryFrom<Value> for NetworkChoice {
    type Error = serde_json::Error;

    /// So that an error names the field of the network that is wrong.
    fn try_from(value: Value) -> Result<NetworkChoice, serde_json::Error> {
        match value {
            Value::String(name) => Ok(NetworkChoice::Named(name)),
            described => serde_json::from_value(described).map(NetworkChoice::Described),
        }
    }
}

/// What is done to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "lowercase", deny_unknown_fields)]
pub enum Edit {
    /// A node misbehaves from then on; without faults it keeps the rules.
    Behave {
        /// When, virtual microseconds.
        at_us: u64,
        /// Which.
        node: u16,
        /// How.
        faults: Vec<String>,
    },
    /// A node stops and loses what it knew.
    Crash {
        /// When, virtual microseconds.
        at_us: u64,
        /// Which.
        node: u16,
    },
    /// A node begins again.
    Restart {
        /// When, virtual microseconds.
        at_us: u64,
        /// Which.
        node: u16,
    },
    /// The network is another one from then on.
    Network {
        /// When, virtual microseconds.
        at_us: u64,
        /// Which.
        network: NetworkChoice,
    },
    /// A copy of a message is lost.
    Lose {
        /// Its ordinal in the run.
        copy: u64,
    },
    /// A copy of a message arrives twice.
    Duplicate {
        /// Its ordinal in the run.
        copy: u64,
    },
    /// A copy of a message arrives later.
    Delay {
        /// Its ordinal in the run.
        copy: u64,
        /// By how much, virtual microseconds.
        by_us: u64,
    },
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field, such as `faults.2`.
    pub field: String,
    /// The rule that it breaks, and what would do.
    pub problem: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Problem {
        Problem { field: field.into(), problem: problem.into() }
    }
}

/// What a scenario asks for, ready to be played.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The run.
    pub job: Job,
    /// What is done to it.
    pub edits: Vec<Done>,
    /// When it ends at the latest, virtual microseconds.
    pub limit_us: u64,
}

/// Collects what is wrong, so that a person sees all of it at once.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, problem: impl ToString) {
        self.0.push(Problem::new(field, problem.to_string()));
    }

    /// The value, or the problem of this field.
    fn take<T>(&mut self, field: &str, value: Result<T, impl ToString>) -> Option<T> {
        value.map_err(|problem| self.add(field, problem)).ok()
    }

    fn demand(&mut self, field: &str, holds: bool, problem: impl ToString) {
        if !holds {
            self.add(field, problem);
        }
    }
}

impl Scenario {
    /// What it asks for.
    ///
    /// # Errors
    ///
    /// Every field that breaks a rule.
    pub fn ready(&self) -> Result<Ready, Vec<Problem>> {
        let mut problems = Problems::default();
        let flow = problems.take("protocol", self.protocol.parse()).unwrap_or(FlowName::Pbft);
        let app = problems.take("app", self.app.parse::<AppName>()).unwrap_or_default();
        problems.take("app", flow.check_app(app));
        self.check_numbers(flow, &mut problems);
        let network = self.network.as_ref().map_or_else(|| "lan".into(), Clone::clone);
        let network = self.network("network", &network, &mut problems);
        let faults = self.faults(&mut problems);
        let asked = self.asked(app, &mut problems);
        let communication = self.communication(&mut problems);
        let edits = self.edits(&mut problems);
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let asked_nodes = self.asked_nodes(flow, app, &faults);
        let clients = self.clients.unwrap_or(if flow.orders_everything() { 1 } else { asked_nodes.len() });
        let batch_max = self.batch.unwrap_or(USUAL_BATCH);
        let links = Links::of(&network, self.nodes, batch_max.min(clients) * USUAL_PAYLOAD_BYTES);
        let suits = Waits::suiting(self.nodes, &links);
        let request_after_us = self.request_timer_ms.map_or(suits.request_after_us, |ms| (ms * 1e3) as u64);
        let slowest_us = network.slowest_us(self.nodes);
        let job = Job {
            flow,
            nodes: self.nodes,
            seed: self.seed,
            app,
            timeout_us: 10_000_000 + 20 * slowest_us,
            network,
            costs: Costs::default(),
            signatures: Signatures::Symbolic,
            faults,
            crashed: Vec::new(),
            options: Options {
                batch_max,
                window: pbft::Config::for_cluster(4).window,
                fast_path: self.fast_path.unwrap_or(true),
                waits: Waits { request_after_us, ..suits },
                communication,
                checkpoint_interval: self.checkpoint_interval,
                members: None,
            },
            pace: match asked {
                // Each has its own time, as a client waits for one node only.
                Asked::Operations(_) if asked_nodes.len() > 1 => {
                    Pace::Open { rate_per_s: 1e6 / (1_000 + 8 * slowest_us) as f64 }
                }
                _ => Pace::Closed { clients },
            },
            gateways: asked_nodes,
            asked,
        };
        Ok(Ready { job, edits, limit_us: self.limit_ms.unwrap_or(USUAL_LIMIT_MS) * 1_000 })
    }

    /// The nodes that clients ask: in turn, or one for each operation.
    fn asked_nodes(&self, flow: FlowName, app: AppName, faults: &[(u16, Vec<Behaviour>)]) -> Vec<u16> {
        let is_faulty =
            |id: &u16| faults.iter().any(|(faulty, behaviours)| faulty == id && !behaviours.is_empty());
        let honest: Vec<u16> = (0..self.nodes).filter(|id| !is_faulty(id)).collect();
        let first = honest.first().copied().unwrap_or(0);
        match self.gateway {
            Some(gateway) => vec![gateway],
            None if flow.orders_everything() || honest.is_empty() => vec![first],
            None if self.operations.is_empty() || app != AppName::Bank => honest,
            None => {
                let owner = |words: &String| {
                    let account = words.split_whitespace().nth(1)?;
                    let (owner, _) = account.split_once('/')?;
                    owner.parse().ok().filter(|owner| *owner < self.nodes)
                };
                self.operations.iter().map(|words| owner(words).unwrap_or(first)).collect()
            }
        }
    }

    /// The scenario that asks for this run; none if no scenario can.
    pub fn of(job: &Job) -> Option<Scenario> {
        let (Asked::Workload { requests, .. }, Pace::Closed { clients }) = (&job.asked, job.pace) else {
            return None;
        };
        let faulty = job.faults.iter().filter(|(_, behaviours)| !behaviours.is_empty());
        let in_words = |behaviours: &[Behaviour]| behaviours.iter().map(ToString::to_string).collect();
        let mut scenario = Scenario {
            protocol: job.flow.as_str().into(),
            nodes: job.nodes,
            app: job.app.to_string(),
            requests: Some(*requests),
            operations: Vec::new(),
            clients: Some(clients),
            gateway: if job.gateways.len() == 1 { job.gateways.first().copied() } else { None },
            faults: faulty.map(|(id, behaviours)| (id.to_string(), in_words(behaviours))).collect(),
            network: Some(NetworkChoice::Described(Box::new(job.network.clone()))),
            seed: job.seed,
            checkpoint_interval: job.options.checkpoint_interval,
            batch: Some(job.options.batch_max),
            request_timer_ms: None,
            communication: Some(job.options.communication.to_string()),
            fast_path: Some(job.options.fast_path),
            limit_ms: None,
            edits: Vec::new(),
        };
        if let Some(name) =
            sim::NAMED.into_iter().find(|name| Network::named(name).as_ref() == Some(&job.network))
        {
            scenario.network = Some(name.into());
        }
        let asks_for_it = |scenario: &Scenario| {
            // A node without faults may be listed or left out.
            let told = |job: &Job| {
                let mut job = job.clone();
                job.faults.retain(|(_, behaviours)| !behaviours.is_empty());
                format!("{job:?}")
            };
            scenario.ready().is_ok_and(|ready| told(&ready.job) == told(job))
        };
        if !asks_for_it(&scenario) {
            scenario.request_timer_ms = Some(job.options.waits.request_after_us as f64 / 1e3);
        }
        asks_for_it(&scenario).then_some(scenario)
    }

    fn check_numbers(&self, flow: FlowName, problems: &mut Problems) {
        let (nodes, least) = (self.nodes, flow.least_nodes());
        problems.demand(
            "nodes",
            (least..=MOST_NODES).contains(&nodes),
            format_args!("{nodes} nodes; {} runs with {least} to {MOST_NODES} here", flow.as_str()),
        );
        let requests = self.requests.unwrap_or(0).max(self.operations.len() as u64);
        let problem = format_args!(
            "{requests} requests; at most {MOST_REQUESTS} can be shown: `harness simulate` plays more"
        );
        problems.demand("requests", requests <= MOST_REQUESTS, problem);
        let clients = self.clients.unwrap_or(1);
        let problem = format_args!("{clients} clients; there are 1 to {MOST_REQUESTS}");
        problems.demand("clients", (1..=MOST_REQUESTS as usize).contains(&clients), problem);
        if let Some(gateway) = self.gateway {
            problems.demand("gateway", gateway < nodes, no_node(gateway, nodes));
        }
        let interval = self.checkpoint_interval.unwrap_or(1);
        let problem = format_args!("a checkpoint every {interval} slots; give 1 to 1000000");
        problems.demand("checkpoint_interval", (1..=1_000_000).contains(&interval), problem);
        let batch = self.batch.unwrap_or(1);
        let problem = format_args!("{batch} requests in a slot; give 1 to 10000");
        problems.demand("batch", (1..=10_000).contains(&batch), problem);
        let timer = self.request_timer_ms.unwrap_or(1.0);
        let problem = format_args!("a request timer of {timer} ms; give 0.1 to {LONGEST_MS}");
        problems.demand("request_timer_ms", (0.1..=LONGEST_MS as f64).contains(&timer), problem);
        let limit = self.limit_ms.unwrap_or(1);
        let problem = format_args!("a limit of {limit} ms; give 1 to {LONGEST_MS}");
        problems.demand("limit_ms", (1..=LONGEST_MS).contains(&limit), problem);
    }

    fn network(&self, field: &str, choice: &NetworkChoice, problems: &mut Problems) -> Network {
        let network = match choice {
            NetworkChoice::Named(name) => Network::named(name).ok_or_else(|| {
                let known = sim::NAMED.join(", ");
                Problem::new(field, format!("there is no network {name:?}; there are {known}"))
            }),
            NetworkChoice::Described(network) => match network.check(self.nodes.max(1)) {
                Ok(()) => Ok((**network).clone()),
                Err(sim::BadNetwork::BadValue { key, problem, way_out }) => {
                    Err(Problem::new(format!("{field}.{key}"), format!("{problem}; {way_out}")))
                }
                Err(error) => Err(Problem::new(field, error.to_string())),
            },
        };
        network.map_err(|problem| problems.0.push(problem)).unwrap_or_default()
    }

    fn faults(&self, problems: &mut Problems) -> Vec<(u16, Vec<Behaviour>)> {
        let mut faults = Vec::new();
        for (node, texts) in &self.faults {
            let field = format!("faults.{node}");
            match node.parse::<u16>() {
                Ok(id) if id < self.nodes => faults.push((id, self.behaviours(&field, texts, problems))),
                Ok(id) => problems.add(&field, no_node(id, self.nodes)),
                Err(_) => problems.add(&field, format!("{node:?} is no node; nodes are numbered from 0")),
            }
        }
        faults
    }

    fn behaviours(&self, field: &str, texts: &[String], problems: &mut Problems) -> Vec<Behaviour> {
        let mut behaviours = Vec::new();
        for text in texts {
            let Some(behaviour) = problems.take(field, text.parse::<Behaviour>()) else { continue };
            let stranger = behaviour.named().find(|id| id.0 >= self.nodes);
            match stranger {
                Some(id) => problems.add(field, format!("{behaviour}: {}", no_node(id.0, self.nodes))),
                None => behaviours.push(behaviour),
            }
        }
        behaviours
    }

    fn asked(&self, app: AppName, problems: &mut Problems) -> Asked {
        if self.operations.is_empty() {
            let requests = self.requests.unwrap_or(USUAL_REQUESTS);
            return Asked::Workload { requests, payload_bytes: USUAL_PAYLOAD_BYTES };
        }
        let numbered = self.operations.iter().enumerate();
        let read = numbered
            .filter_map(|(at, words)| problems.take(&format!("operations.{at}"), operation(app, words)));
        Asked::Operations(read.collect())
    }

    fn communication(&self, problems: &mut Problems) -> ccro::CommunicationPolicy {
        let Some(text) = &self.communication else { return ccro::CommunicationPolicy::default() };
        let policy = problems.take("communication", text.parse()).unwrap_or_default();
        if let ccro::CommunicationPolicy::Fixed(id) = policy {
            problems.demand("communication", id.0 < self.nodes, no_node(id.0, self.nodes));
        }
        policy
    }

    fn edits(&self, problems: &mut Problems) -> Vec<Done> {
        let edits = self.edits.iter().enumerate();
        edits.filter_map(|(at, edit)| self.edit(&format!("edits.{at}"), edit, problems)).collect()
    }

    fn edit(&self, field: &str, edit: &Edit, problems: &mut Problems) -> Option<Done> {
        let mut node = |id: u16| {
            problems.demand(field, id < self.nodes, no_node(id, self.nodes));
            (id < self.nodes).then_some(ReplicaId(id))
        };
        Some(match edit {
            Edit::Behave { at_us, node: id, faults } => {
                let id = node(*id)?;
                Done::At(*at_us, Intervention::Behave(id, self.behaviours(field, faults, problems)))
            }
            Edit::Crash { at_us, node: id } => Done::At(*at_us, Intervention::Crash(node(*id)?)),
            Edit::Restart { at_us, node: id } => Done::At(*at_us, Intervention::Restart(node(*id)?)),
            Edit::Network { at_us, network } => {
                Done::At(*at_us, Intervention::Network(self.network(field, network, problems)))
            }
            Edit::Lose { copy } => Done::Copy(*copy, Alteration::Lose),
            Edit::Duplicate { copy } => Done::Copy(*copy, Alteration::Duplicate),
            Edit::Delay { copy, by_us } => Done::Copy(*copy, Alteration::Delay(by_us.saturating_mul(1_000))),
        })
    }
}

impl From<&str> for NetworkChoice {
    fn from(name: &str) -> NetworkChoice {
        NetworkChoice::Named(name.into())
    }
}

fn no_node(id: u16, nodes: u16) -> String {
    format!("there is no node {id}; there are {nodes}, numbered from 0")
}

/// An operation in words.
fn operation(app: AppName, words: &str) -> Result<Operation, String> {
    match app {
        AppName::Opaque if words.is_empty() => Err("the request is empty; give it some text".into()),
        AppName::Opaque => Ok(Operation::new(words.as_bytes())),
        AppName::Kv => key_value(words),
        AppName::Bank => bank(words),
        AppName::Set => set(words),
    }
}

fn key_value(words: &str) -> Result<Operation, String> {
    let parts: Vec<&str> = words.split_whitespace().collect();
    let operation = match parts.as_slice() {
        ["get", key] => KvOperation::Get { key: (*key).into() },
        ["delete", key] => KvOperation::Delete { key: (*key).into() },
        ["put", key, value] => KvOperation::Put { key: (*key).into(), value: (*value).into() },
        ["cas", key, expected, new] => KvOperation::CompareAndSwap {
            key: (*key).into(),
            expected: Some((*expected).into()),
            new: Some((*new).into()),
        },
        _ => {
            return Err(format!(
                "{words:?} is no operation of a key-value store; there are put KEY VALUE, get KEY, delete KEY and cas KEY OLD NEW"
            ));
        }
    };
    operation.check().map_err(|refusal| refusal.to_string())?;
    Ok(operation.encode())
}

fn set(words: &str) -> Result<Operation, String> {
    let parts: Vec<&str> = words.split_whitespace().collect();
    let operation = match parts.as_slice() {
        ["add", member] => SetOperation::Add { member: (*member).into() },
        ["remove", member] => SetOperation::Remove { member: (*member).into() },
        ["contains", member] => SetOperation::Contains { member: (*member).into() },
        _ => {
            return Err(format!(
                "{words:?} is no operation of a set; there are add MEMBER, remove MEMBER and contains MEMBER"
            ));
        }
    };
    operation.check().map_err(|refusal| refusal.to_string())?;
    Ok(operation.encode())
}

fn bank(words: &str) -> Result<Operation, String> {
    let parts: Vec<&str> = words.split_whitespace().collect();
    let amount = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("{text:?} is no amount; give a whole number from 0"))
    };
    let operation = match parts.as_slice() {
        ["open", account] => BankOperation::Open { account: (*account).into() },
        ["balance", account] => BankOperation::Balance { account: (*account).into() },
        ["deposit", account, sum] => {
            BankOperation::Deposit { account: (*account).into(), amount: amount(sum)? }
        }
        ["withdraw", account, sum] => {
            BankOperation::Withdraw { account: (*account).into(), amount: amount(sum)? }
        }
        ["transfer", from, to, sum] => {
            BankOperation::Transfer { from: (*from).into(), to: (*to).into(), amount: amount(sum)? }
        }
        _ => {
            return Err(format!(
                "{words:?} is no operation of a bank; there are open A, deposit A 5, withdraw A 5, transfer A B 5 and balance A"
            ));
        }
    };
    Ok(operation.encode())
}

#[cfg(test)]
mod tests {
    use crate::ask::play;
    use serde_json::{Value, json};
    use trace::Line;

    fn refused(changes: Value) -> Vec<String> {
        let mut scenario = json!({ "protocol": "pbft", "nodes": 4 });
        let fields = scenario.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        let problems = play(scenario).unwrap_err();
        problems.iter().map(|problem| format!("{}: {}", problem.field, problem.problem)).collect()
    }

    /// Each node in turn is asked for one, and has seen what came before.
    #[test]
    fn a_set_is_asked_for_in_words_with_and_without_consensus() {
        for (protocol, read, again) in [
            ("pbft", json!({ "Contains": true }), json!({ "Refused": "NotAMember" })),
            ("broadcast", json!({ "Refused": "NoOrder" }), json!({ "Refused": "NotSeen" })),
        ] {
            let operations = ["add apple", "add pear", "contains apple", "remove apple", "remove apple"];
            let scenario =
                json!({ "protocol": protocol, "nodes": 4, "app": "orswot", "operations": operations });
            let trace = play(scenario).unwrap();
            let (mut asked, mut answers, mut held) = (vec![], vec![], vec![]);
            for line in trace.lines {
                match line {
                    Line::Request { asks, .. } => asked.push(asks),
                    Line::Answer { result, .. } => answers.push(result),
                    Line::App { node: 3, set, gone, .. } => held.push((set, gone)),
                    _ => {}
                }
            }
            assert_eq!(asked[3], json!({ "Remove": { "member": "apple" } }));
            assert_eq!(
                answers,
                [json!("Added"), json!("Added"), read, json!("Removed"), again],
                "{protocol}"
            );
            let added = |member: &str| ([(member.into(), "in the set".into())].into(), vec![]);
            let removed = ([].into(), vec!["apple".into()]);
            held.retain(|(set, gone)| !set.is_empty() || !gone.is_empty());
            assert_eq!(held, [added("apple"), added("pear"), removed], "{protocol}");
        }
        assert_eq!(
            refused(json!({ "app": "orswot", "operations": ["put apple"] })),
            [
                "operations.0: \"put apple\" is no operation of a set; there are add MEMBER, remove MEMBER and contains MEMBER"
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_field() {
        assert_eq!(refused(json!({ "nodes": 0 })), ["nodes: 0 nodes; pbft runs with 1 to 100 here"]);
        assert_eq!(
            refused(json!({ "protocol": "paxos" })),
            [
                "protocol: \"paxos\" is no protocol; there are pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper and broadcast"
            ]
        );
        assert_eq!(
            refused(json!({ "requests": 10_000 })),
            ["requests: 10000 requests; at most 1000 can be shown: `harness simulate` plays more"]
        );
        assert_eq!(
            refused(json!({ "faults": { "4": ["malicious"] }, "gateway": 9 })),
            [
                "gateway: there is no node 9; there are 4, numbered from 0",
                "faults.4: there is no node 4; there are 4, numbered from 0"
            ]
        );
        let [network] = &refused(json!({ "network": { "lost": 1 } }))[..] else { panic!() };
        assert!(network.starts_with("network: unknown field `lost`, expected one of"), "{network}");
        assert_eq!(
            refused(json!({ "network": "moon" })),
            [
                "network: there is no network \"moon\"; there are localhost, lan, wan, lossy, five-continents, world"
            ]
        );
        let [unknown] = &refused(json!({ "colour": 1 }))[..] else { panic!() };
        assert!(unknown.contains("unknown field `colour`"), "{unknown}");
    }
}
