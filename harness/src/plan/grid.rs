//! The plan as a file holds it: a grid of cells.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use apps::AppName;
use flows::options::Options;
use flows::waits::{Links, Waits};
use journal::Durability;
use kernel::{Choose, SeededChoice};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, Load, MAX_PAYLOAD_BYTES};
use super::faults::{Assignment, CommanderDraw, Scenario};
use super::outage::Outage;
use super::protocols::{Communication, Gateway, Placement, ProtocolName, Via};

/// A grid of cells and how to run them. Every list is one dimension of the
/// grid; whatever a file leaves out has the default of [`Plan::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The plan's name, and that of its result folder.
    pub name: String,
    /// `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper`, `broadcast`.
    pub protocols: Vec<ProtocolName>,
    /// What is replicated: `opaque`, `kv`, `bank`, `orswot`.
    pub apps: Vec<AppName>,
    /// Cluster sizes.
    pub nodes: Vec<u16>,
    /// Scenarios such as `none`, `offline:1`, `offline:f`, `malicious:1+delay=5ms@2`.
    pub faults: Vec<String>,
    /// Bytes of data in each request.
    pub payload_bytes: Vec<usize>,
    /// Most requests that one slot orders.
    pub batch: Vec<usize>,
    /// Requests in flight, closed loop.
    pub clients: Vec<usize>,
    /// Requests due per second, open loop; empty for a closed loop.
    pub rate: Vec<f64>,
    /// How requests reach the cluster: `http`, `client`.
    pub via: Vec<Via>,
    /// What the nodes' journals outlive: `off`, `on`, `fsync`.
    pub durability: Vec<Durability>,
    /// HTTP/2 connections to each gateway, which the clients share.
    pub connections: usize,
    /// Delay on every peer link, microseconds.
    pub link_delay_us: Vec<u64>,
    /// Loss on every peer link, a probability.
    pub link_loss: Vec<f64>,
    /// Measured requests in each cell and repetition.
    pub requests: u64,
    /// Requests before those, which are not recorded.
    pub warmup: u64,
    /// Request timeout at the gateway, seconds; without it 2, or more where the links
    /// are slow.
    pub timeout_s: f64,
    /// How often every cell runs.
    pub repetitions: u32,
    /// Seed of payloads, keys, fault draws and the order of cells.
    pub seed: u64,
    /// The first node's port, the others' following; without it, free ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Nodes as processes of their own or as tasks of this one.
    pub placement: Placement,
    /// Most slots that the commander keeps in flight.
    pub window: u64,
    /// How long CCRO's communication node waits for all votes, milliseconds;
    /// without it, what suits the cluster and its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_wait_ms: Option<f64>,
    /// After how long a CCRO replica sends its votes to all, milliseconds;
    /// without it, what suits the cluster and its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_after_ms: Option<f64>,
    /// How long a replica waits for a request's execution before it asks for
    /// another commander, milliseconds; without it, what suits the cluster and its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timer_ms: Option<f64>,
    /// After how long without progress a replica sends its votes again,
    /// milliseconds; without it, what suits the cluster and its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_after_ms: Option<f64>,
    /// Who collects CCRO's votes: `separate`, `collocated` or `fixed:ID`.
    pub communication: Communication,
    /// Whether CCRO tries its fast path.
    pub fast_path: bool,
    /// Whether faults drawn by number may hit the first commander.
    pub commander: CommanderDraw,
    /// Which node the load is posted to: `auto`, `spread` or an id.
    pub gateway: Gateway,
    /// How peers encode messages.
    pub encoding: node::Encoding,
    /// Whether nodes are pinned to cores, round robin.
    pub pin: bool,
    /// A cell in which nothing was decided ends after so many undecided
    /// requests in a row; 0 for never.
    pub give_up_after: u64,
    /// Secure broadcast: so many nodes are members at first, if not all. A plan that measures has none that wait.
    #[serde(skip)]
    pub members: Option<u16>,
    /// Leave out clusters that are too small for a protocol, instead of refusing
    /// the plan.
    pub skip_too_small: bool,
    /// Leave out faults that a cluster cannot have, instead of refusing the plan.
    pub skip_impossible_faults: bool,
    /// Kills, restarts and cuts while the load goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            name: "sweep".into(),
            protocols: vec![ProtocolName::Pbft, ProtocolName::Ccro],
            apps: vec![AppName::Opaque],
            nodes: vec![4],
            faults: vec!["none".into()],
            payload_bytes: vec![100],
            batch: vec![256],
            clients: vec![1],
            rate: vec![],
            via: vec![Via::Http],
            durability: vec![Durability::Off],
            connections: 4,
            link_delay_us: vec![0],
            link_loss: vec![0.0],
            requests: 200,
            warmup: 20,
            timeout_s: 2.0,
            repetitions: 3,
            seed: 1,
            placement: Placement::Processes,
            window: pbft::Config::for_cluster(4).window,
            fast_wait_ms: None,
            fallback_after_ms: None,
            request_timer_ms: None,
            resend_after_ms: None,
            port: None,
            communication: Communication::Separate,
            fast_path: true,
            commander: CommanderDraw::Spare,
            gateway: Gateway::Auto,
            encoding: node::Encoding::Binary,
            pin: false,
            give_up_after: 2,
            members: None,
            skip_too_small: false,
            skip_impossible_faults: false,
            outage: None,
        }
    }
}

/// The last port of so many nodes, the first of which has this one.
///
/// # Errors
/// If there are not so many ports.
pub fn last_port(first: u16, nodes: u16) -> Result<u16> {
    let last = u32::from(first) + u32::from(nodes.max(1)) - 1;
    match u16::try_from(last) {
        Ok(last) if first > 0 => Ok(last),
        _ => bail!(
            "{nodes} nodes from port {first} on would need ports up to {last}; ports go from 1 to 65535: give another port"
        ),
    }
}

impl Plan {
    /// Reads a plan.
    pub fn read(path: &Path) -> Result<Plan> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read the plan {}; plans to start from are in harness/plans/", path.display())
        })?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Plan::parse(&text, stem.as_deref()).with_context(|| format!("the plan {}", path.display()))
    }

    /// Reads a plan's text; `name` stands in for a missing name.
    pub fn parse(text: &str, name: Option<&str>) -> Result<Plan> {
        if text.trim().is_empty() {
            bail!("is empty; plans to start from are in harness/plans/");
        }
        let table = toml::from_str::<toml::Table>(text)?;
        // The message of an unknown key names the key and all that are accepted.
        let mut plan: Plan = toml::from_str(text)?;
        if let (false, Some(name)) = (table.contains_key("name"), name) {
            plan.name = name.to_string();
        }
        if !table.contains_key("timeout_s") {
            plan.timeout_s = plan.timeout_s.max(plan.suitable_timeout_s());
        }
        Ok(plan)
    }

    /// The plan as a file.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// What the replicas of one cell are configured with on these links.
    pub fn options(&self, cell: &Cell, links: &Links) -> Options {
        Options {
            batch_max: cell.batch,
            window: self.window,
            fast_path: self.fast_path,
            waits: self.waits(cell.nodes, links),
            communication: self.communication.into(),
            checkpoint_interval: None,
            members: self.members,
        }
    }

    /// The waits that were given, and for the others those that suit the links.
    fn waits(&self, nodes: u16, links: &Links) -> Waits {
        let us = |given: Option<f64>, suits: u64| given.map_or(suits, |ms| (ms * 1e3) as u64);
        let suits = Waits::suiting(nodes, links);
        Waits {
            fast_wait_us: us(self.fast_wait_ms, suits.fast_wait_us),
            fallback_after_us: us(self.fallback_after_ms, suits.fallback_after_us),
            resend_after_us: us(self.resend_after_ms, suits.resend_after_us),
            request_after_us: us(self.request_timer_ms, suits.request_after_us),
        }
    }

    /// The request timeout that suits every cell, seconds.
    pub fn suitable_timeout_s(&self) -> f64 {
        let links = self
            .link_delay_us
            .iter()
            .flat_map(|delay_us| self.link_loss.iter().map(|loss| Links::uniform(*delay_us, *loss)));
        let timeouts = links.flat_map(|links| {
            let sizes = self.nodes.iter().filter(|n| **n > 0);
            sizes.flat_map(move |n| [self.waits(*n, &links), Waits::suiting(*n, &links)])
        });
        // Absurd links are refused when the plan is checked, under their own name.
        timeouts.map(|waits| waits.request_timeout().as_secs_f64()).fold(0.0, f64::max).min(LONGEST_S)
    }

    /// The request timeout in microseconds.
    pub fn timeout_us(&self) -> u64 {
        (self.timeout_s * 1e6) as u64
    }

    /// All cells in the order of the lists, checked.
    pub fn cells(&self) -> Result<Vec<Cell>> {
        self.check_settings()?;
        let scenarios: Vec<Scenario> = self
            .faults
            .iter()
            .map(|text| text.parse().with_context(|| format!("the fault {text:?}")))
            .collect::<Result<_>>()?;
        if self.placement == Placement::Tasks && scenarios.iter().any(Scenario::has_crash) {
            bail!(
                "crash kills a node's process, and with the placement tasks no node has one; \
                 use the placement processes, or the fault offline"
            );
        }
        let mut cells = Vec::new();
        for &nodes in &self.nodes {
            for scenario in &scenarios {
                let faults = match scenario.assign(nodes, self.seed, self.commander) {
                    Err(_) if self.skip_impossible_faults => continue,
                    faults => faults?,
                };
                for &protocol in &self.protocols {
                    self.check_uses(protocol)?;
                    match protocol.check_size(nodes) {
                        Err(_) if self.skip_too_small => continue,
                        checked => checked?,
                    }
                    self.add_cells(protocol, nodes, &faults, &mut cells);
                }
            }
        }
        let mut seen = HashSet::new();
        cells.retain(|cell| seen.insert(cell.name.clone()));
        if let Some(outage) = &self.outage {
            cells.iter().try_for_each(|cell| outage.check_cell(cell))?;
        }
        if cells.is_empty() {
            bail!("no combination of the plan can be run; check protocols, nodes and faults");
        }
        Ok(cells)
    }

    fn check_uses(&self, protocol: ProtocolName) -> Result<()> {
        let uses = self.apps.iter().flat_map(|app| self.via.iter().map(|via| (*app, *via)));
        uses.into_iter().try_for_each(|(app, via)| protocol.check_use(app, via))
    }

    fn add_cells(&self, protocol: ProtocolName, nodes: u16, faults: &Assignment, cells: &mut Vec<Cell>) {
        let mut combinations = Vec::new();
        for &app in &self.apps {
            for &payload_bytes in &self.payload_bytes {
                for &batch in &self.batch {
                    for load in self.loads() {
                        for &via in &self.via {
                            let durability = self.durability.iter();
                            combinations
                                .extend(durability.map(|d| (app, payload_bytes, batch, load, via, *d)));
                        }
                    }
                }
            }
        }
        for (app, payload_bytes, batch, load, via, durability) in combinations {
            for &link_delay_us in &self.link_delay_us {
                for &link_loss in &self.link_loss {
                    let mut cell = Cell {
                        name: String::new(),
                        protocol,
                        nodes,
                        faults: faults.clone(),
                        app,
                        payload_bytes,
                        batch,
                        load,
                        via,
                        durability,
                        link_delay_us,
                        link_loss,
                    };
                    cell.name = self.name_of(&cell);
                    cells.push(cell);
                }
            }
        }
    }

    fn loads(&self) -> Vec<Load> {
        if self.rate.is_empty() {
            self.clients.iter().map(|&clients| Load::Closed { clients }).collect()
        } else {
            self.rate.iter().map(|&rate_per_s| Load::Open { rate_per_s }).collect()
        }
    }

    /// Protocol, size and fault, and every other dimension that has more than
    /// one value in this plan.
    fn name_of(&self, cell: &Cell) -> String {
        let mut name = format!("{}-n{}-{}", cell.protocol, cell.nodes, cell.faults.text);
        if self.apps.len() > 1 {
            name += &format!("-{}", cell.app);
        }
        if self.payload_bytes.len() > 1 {
            name += &format!("-p{}", cell.payload_bytes);
        }
        if self.batch.len() > 1 {
            name += &format!("-b{}", cell.batch);
        }
        match cell.load {
            Load::Closed { clients } if self.clients.len() > 1 => name += &format!("-c{clients}"),
            Load::Open { rate_per_s } => name += &format!("-r{rate_per_s}"),
            Load::Closed { .. } => {}
        }
        if self.via.len() > 1 {
            name += &format!("-{}", cell.via);
        }
        if self.durability.len() > 1 {
            name += &format!("-{}", cell.durability);
        }
        if self.link_delay_us.len() > 1 {
            name += &format!("-d{}us", cell.link_delay_us);
        }
        if self.link_loss.len() > 1 {
            name += &format!("-l{}", cell.link_loss);
        }
        name
    }

    /// Refuses ids that some cluster of the plan does not have.
    fn check_ids(&self) -> Result<()> {
        let Some(&smallest) = self.nodes.iter().min() else { return Ok(()) };
        if smallest == 0 {
            bail!("a cluster has at least 1 node; nodes contains 0");
        }
        let ids = format!("{smallest} nodes have the ids 0 to {}", smallest - 1);
        if let Communication::Fixed(id) = self.communication
            && id >= smallest
        {
            bail!("the communication node {id} is out of range: {ids}; give fixed:ID with an id among them");
        }
        let has_ccro = self.protocols.iter().any(|protocol| protocol.chooses_communication_node());
        if self.communication != Communication::default() && !has_ccro {
            bail!(
                "the communication node can be chosen for ccro and ccro-aggregate only, and neither is asked for; leave \
                 communication out or add the protocol ccro"
            );
        }
        if !self.fast_path && !has_ccro {
            bail!(
                "only ccro and ccro-aggregate have a fast path, and neither is asked for; leave fast_path and \
                 --no-fast-path out or add the protocol ccro"
            );
        }
        if let Gateway::Node(id) = self.gateway
            && id >= smallest
        {
            bail!("the gateway {id} is out of range: {ids}; give one of them, auto or spread");
        }
        Ok(())
    }

    fn check_settings(&self) -> Result<()> {
        self.check_ids()?;
        if let (Some(port), Some(most)) = (self.port, self.nodes.iter().max()) {
            last_port(port, *most)?;
        }
        let lists = [
            ("protocols", self.protocols.len()),
            ("nodes", self.nodes.len()),
            ("faults", self.faults.len()),
            ("apps", self.apps.len()),
            ("payload_bytes", self.payload_bytes.len()),
            ("batch", self.batch.len()),
            ("clients", self.clients.len()),
            ("via", self.via.len()),
            ("durability", self.durability.len()),
            ("link_delay_us", self.link_delay_us.len()),
            ("link_loss", self.link_loss.len()),
        ];
        if let Some((key, _)) = lists.iter().find(|(_, length)| *length == 0) {
            bail!("{key} is empty; give at least one value");
        }
        within("timeout_s, the request timeout,", self.timeout_s, 0.001, LONGEST_S)?;
        within("fast_wait_ms", self.fast_wait_ms.unwrap_or(0.0), 0.0, LONGEST_S * 1e3)?;
        within("request_timer_ms", self.request_timer_ms.unwrap_or(1.0), 1.0, LONGEST_S * 1e3)?;
        within("resend_after_ms", self.resend_after_ms.unwrap_or(1.0), 1.0, LONGEST_S * 1e3)?;
        within("fallback_after_ms", self.fallback_after_ms.unwrap_or(0.0), 0.0, LONGEST_S * 1e3)?;
        for &rate in &self.rate {
            within("rate (per second)", rate, 0.001, 1e6)?;
        }
        for &loss in &self.link_loss {
            within("link_loss (a probability)", loss, 0.0, 1.0)?;
        }
        for &delay in &self.link_delay_us {
            within("link_delay_us", delay as f64, 0.0, 10e6)?;
        }
        for &payload in &self.payload_bytes {
            within("payload_bytes", payload as f64, 1.0, MAX_PAYLOAD_BYTES as f64)?;
        }
        for &batch in &self.batch {
            within("batch", batch as f64, 1.0, 1e6)?;
        }
        for &clients in &self.clients {
            within("clients", clients as f64, 1.0, 65_536.0)?;
        }
        if let Some(outage) = &self.outage {
            outage.check(&self.rate, self.requests, self.placement, &self.apps)?;
            if self.via.contains(&Via::Client) {
                bail!("an outage takes its load by http; leave via out, or use a plan without an outage");
            }
        }
        if self.via == [Via::Client] && self.gateway != Gateway::Auto {
            bail!("a client with a key asks all nodes; leave out gateway, or give http to via");
        }
        within("connections", self.connections as f64, 1.0, 65_536.0)?;
        within("requests", self.requests as f64, 1.0, 1e9)?;
        within("repetitions", f64::from(self.repetitions), 1.0, 1e6)?;
        within("window", self.window as f64, 1.0, 1e6)?;
        if self.name.is_empty() || self.name.starts_with('.') {
            bail!(
                "the name {:?} is empty or starts with a dot; it names a folder, such as my-sweep",
                self.name
            );
        }
        if let Some(bad) = self.name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
            bail!(
                "the name {:?} contains {bad:?}; it names a folder: letters, digits, '-', '_' and '.'",
                self.name
            );
        }
        if self.name.len() > MAX_NAME_BYTES {
            bail!("the name {:?} is longer than {MAX_NAME_BYTES} characters; it names a folder", self.name);
        }
        Ok(())
    }

    /// The order in which a repetition runs its cells: drawn from the seed.
    pub fn order(&self, cells: usize, repetition: u32) -> Vec<usize> {
        let mut choice = SeededChoice::new(self.seed ^ (u64::from(repetition) + 1).rotate_left(32));
        let mut order: Vec<usize> = (0..cells).collect();
        for last in (1..cells).rev() {
            order.swap(last, choice.below(last as u64 + 1) as usize);
        }
        order
    }

    /// Refuses to go on with a run that was begun with another plan, which is in
    /// this file.
    pub fn check_same(&self, begun_with: &Path) -> Result<()> {
        let there = Plan::read(begun_with)?;
        if let Some(difference) = self.difference(&there)? {
            bail!(
                "{} was begun with another plan: {difference}; resume with the same plan, or give \
                 another folder with --out",
                begun_with.parent().unwrap_or(begun_with).display()
            );
        }
        Ok(())
    }

    /// The first key in which two plans differ, with both values.
    pub fn difference(&self, other: &Plan) -> Result<Option<String>> {
        let (ours, theirs) = (toml::Table::try_from(self)?, toml::Table::try_from(other)?);
        let show = |plan: &toml::Table, key| plan.get(key).map_or("not set".into(), toml::Value::to_string);
        let mut keys = ours.keys().chain(theirs.keys());
        Ok(keys
            .find(|key| ours.get(*key) != theirs.get(*key))
            .map(|key| format!("{key} is {} there and {} here", show(&theirs, key), show(&ours, key))))
    }
}

/// Longest name of a plan, and of the folder that is named after it.
const MAX_NAME_BYTES: usize = 80;

/// The longest timeout and wait, seconds: a day.
const LONGEST_S: f64 = 86_400.0;

fn within(what: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(anyhow!("{what} is {value}; it must be from {low} to {high}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> String {
        let cells = Plan::parse(text, None).and_then(|plan| plan.cells());
        format!("{:#}", cells.map(|cells| cells.len()).unwrap_err())
    }

    #[test]
    fn an_unknown_key_is_named_with_those_accepted() {
        let message = failure("nodez = [4]");
        assert!(message.contains("nodez") && message.contains("`nodes`"), "{message}");
        assert!(message.contains("`payload_bytes`"), "{message}");
    }

    #[test]
    fn impossible_combinations_are_refused_by_name() {
        for (text, expected) in [
            ("nodes = [2]\nprotocols = [\"ccro-paper\"]", "at least 3"),
            ("nodes = [0]", "at least 1"),
            ("link_delay_us = [9223372036854775807]", "link_delay_us"),
            ("faults = [\"offline:5\"]", "more faulty nodes"),
            ("faults = [\"offline@4\"]", "ids 0 to 3"),
            ("communication = \"fixed:4\"", "communication node 4 is out of range"),
            ("faults = [\"partial=9@1\"]", "there is no node 9"),
            ("protocols = [\"pbft\"]\ncommunication = \"collocated\"", "for ccro and ccro-aggregate only"),
            ("protocols = [\"pbft\"]\nfast_path = false", "have a fast path, and neither is asked for"),
            ("gateway = \"9\"", "gateway 9"),
            ("nodes = []", "nodes is empty"),
            ("durability = []", "durability is empty"),
            ("durability = [\"always\"]", "`off`, `on`, `fsync`"),
            ("payload_bytes = [0]", "payload_bytes"),
            ("payload_bytes = [99999999]", "8388608"),
            ("timeout_s = 0.0", "timeout_s"),
            ("link_loss = [1.5]", "link_loss"),
            ("rate = [-1.0]", "rate"),
            ("clients = [0]", "clients"),
            ("requests = 0", "requests"),
            ("faults = [\"crash:1\"]\nplacement = \"tasks\"", "crash kills"),
            ("protocols = [\"raft\"]", "pbft"),
            ("name = \"a/b\"", "names a folder"),
            ("name = \"\"", "names a folder"),
            ("name = \".\"", "names a folder"),
            ("name = \"é\"", "names a folder"),
            ("", "is empty"),
        ] {
            let message = failure(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_timeout_that_is_not_given_suits_the_slowest_links() {
        let timeout = |text: &str| Plan::parse(text, None).unwrap().timeout_s;
        assert_eq!(timeout("nodes = [4]"), 2.0);
        assert_eq!(timeout("link_delay_us = [0, 200000]"), 10.8);
        assert_eq!(timeout("link_delay_us = [200000]\ntimeout_s = 3.0"), 3.0);
    }

    #[test]
    fn waits_that_are_given_are_kept() {
        let plan = Plan { fast_wait_ms: Some(1.5), ..Plan::default() };
        let cell = plan.cells().unwrap().remove(0);
        let waits = plan.options(&cell, &Links::uniform(20_000, 0.0)).waits;
        assert_eq!((waits.fast_wait_us, waits.fallback_after_us), (1_500, 180_000));
    }

    #[test]
    fn a_plan_survives_its_file_and_differences_are_named() {
        let plan = Plan { rate: vec![100.0], communication: Communication::Fixed(2), ..Plan::default() };
        let read = Plan::parse(&plan.to_toml().unwrap(), None).unwrap();
        assert_eq!(read, plan);
        assert_eq!(plan.difference(&read).unwrap(), None);
        let other = Plan { nodes: vec![7], ..plan.clone() };
        assert_eq!(plan.difference(&other).unwrap().unwrap(), "nodes is [7] there and [4] here");
    }

    #[test]
    fn names_tell_cells_apart_and_equal_cells_run_once() {
        let plan = Plan {
            protocols: vec![ProtocolName::Pbft],
            nodes: vec![3, 4],
            faults: vec!["none".into(), "offline:f".into()],
            payload_bytes: vec![1, 100],
            ..Plan::default()
        };
        let names: Vec<String> = plan.cells().unwrap().into_iter().map(|cell| cell.name).collect();
        assert_eq!(
            names,
            [
                "pbft-n3-none-p1",
                "pbft-n3-none-p100",
                "pbft-n4-none-p1",
                "pbft-n4-none-p100",
                "pbft-n4-offline:1-p1",
                "pbft-n4-offline:1-p100"
            ]
        );
    }

    #[test]
    fn durability_is_a_dimension_of_the_grid() {
        let plan = |text: &str| Plan::parse(text, None).unwrap();
        let all = plan("protocols = [\"pbft\"]\ndurability = [\"off\", \"on\", \"fsync\"]");
        assert_eq!(Plan::parse(&all.to_toml().unwrap(), None).unwrap(), all);
        let cells = all.cells().unwrap();
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["pbft-n4-none-off", "pbft-n4-none-on", "pbft-n4-none-fsync"]);
        assert_eq!(cells[2].durability, Durability::Fsync);
        let one = plan("protocols = [\"pbft\"]").cells().unwrap().remove(0);
        assert_eq!((one.name.as_str(), one.durability), ("pbft-n4-none", Durability::Off));
    }

    #[test]
    fn the_order_is_a_permutation_drawn_anew_for_each_repetition() {
        let plan = Plan::default();
        let mut sorted = plan.order(20, 0);
        assert_eq!(plan.order(20, 0), sorted);
        assert_ne!(plan.order(20, 0), plan.order(20, 1));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
}
