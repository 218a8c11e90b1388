//! What happens to messages in transit: a description that people write, in
//! TOML, and that is checked before anything runs.
//!
//! ```toml
//! name = "two-sites"
//! delay = { uniform_us = [80, 120] }   # or { constant_us = 100 }, or
//!                                      # { log_normal = { median_us = 100, sigma = 0.3 } }
//! loss = 0.001                         # probabilities, for each message
//! duplication = 0.001                  # a second copy, with a delay of its own
//! reordering = 0.01                    # held back by up to reordering_us more
//! reordering_us = 5000
//! bandwidth_mbit_s = 1000              # of each node's line to the outside
//! regions = ["us-east-1", "eu-west-1"] # nodes round robin; delays from the region table
//! jitter = 0.05                        # sigma of what is added to a region's delay
//!
//! [[link]]                             # what differs on single links, later rules first
//! from = [0]                           # left out: all nodes
//! to = [2, 3]
//! delay = { constant_us = 40000 }
//! bandwidth_mbit_s = 10                # of each such link by itself
//!
//! [[partition]]                        # nodes of different groups cannot reach each other;
//! groups = [[0, 1], [2]]               # those not named make one more group
//! from_us = 1000000
//! until_us = 3000000
//! ```

use crate::regions;
use serde::{Deserialize, Serialize};

/// What happens to messages in transit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// For people.
    pub name: String,
    /// How long a message travels, where neither regions nor links say it.
    pub delay: Delay,
    /// Probability that a message is lost.
    pub loss: f64,
    /// Probability that a message arrives twice.
    pub duplication: f64,
    /// Probability that a message is held back.
    pub reordering: f64,
    /// How long at most, in microseconds.
    pub reordering_us: f64,
    /// What a node can send in all, in megabits per second; messages queue for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbit_s: Option<f64>,
    /// Where nodes are, round robin; then delays come from the region table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Sigma of the log-normal factor that spreads the delays between regions.
    pub jitter: f64,
    /// What differs on single links; of several rules for one link the last one
    /// that says something counts.
    #[serde(rename = "link", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkRule>,
    /// When which nodes cannot reach each other.
    #[serde(rename = "partition", skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
}

/// How long a message travels; each one draws its own delay, so messages overtake
/// each other where it varies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Delay {
    /// Always so many microseconds.
    #[serde(rename = "constant_us")]
    Constant(f64),
    /// From the first to the second number of microseconds.
    #[serde(rename = "uniform_us")]
    Uniform(f64, f64),
    /// Log-normal: `median · e^(sigma · z)`, `z` normal.
    #[serde(rename = "log_normal")]
    LogNormal {
        /// Half of the messages are faster, microseconds.
        median_us: f64,
        /// Spread; 0.1 means about ten percent.
        sigma: f64,
    },
}

/// What differs on the links from some nodes to others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkRule {
    /// Senders; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<u16>,
    /// Receivers; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<u16>,
    /// See [`Network::delay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// See [`Network::loss`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// See [`Network::duplication`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplication: Option<f64>,
    /// See [`Network::reordering`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reordering: Option<f64>,
    /// What each of these links can carry, in megabits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbit_s: Option<f64>,
}

/// A time in which nodes of different groups cannot reach each other: what one
/// sends to another then is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Who can reach whom; nodes not named make one more group.
    pub groups: Vec<Vec<u16>>,
    /// Its beginning, virtual microseconds.
    pub from_us: u64,
    /// Its end.
    pub until_us: u64,
}

/// A network that cannot be meant, or that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// The text is no description.
    #[error("{0}")]
    Unreadable(String),
    /// A value is out of range.
    #[error("{key}: {problem}; {way_out}")]
    BadValue {
        /// Where.
        key: String,
        /// What is wrong.
        problem: String,
        /// What would do.
        way_out: String,
    },
}

/// An hour: longer than any message here travels.
const LONGEST_US: f64 = 3.6e9;

impl Default for Network {
    fn default() -> Network {
        Network::constant(100)
    }
}

impl Network {
    /// Every message takes the same time.
    pub fn constant(us: u64) -> Network {
        Network::of("constant", Delay::Constant(us as f64))
    }

    /// Every message takes between `least_us` and `most_us`.
    pub fn uniform(least_us: u64, most_us: u64) -> Network {
        Network::of("uniform", Delay::Uniform(least_us as f64, most_us as f64))
    }

    /// The same network, losing messages with this probability.
    pub fn with_loss(self, loss: f64) -> Network {
        Network { loss, ..self }
    }

    pub(crate) fn of(name: &str, delay: Delay) -> Network {
        Network {
            name: name.to_owned(),
            delay,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reordering_us: 10_000.0,
            bandwidth_mbit_s: None,
            regions: Vec::new(),
            jitter: 0.0,
            links: Vec::new(),
            partitions: Vec::new(),
        }
    }

    /// Reads a description. What it leaves out is as in [`Network::default`].
    pub fn parse(text: &str) -> Result<Network, BadNetwork> {
        if text.trim().is_empty() {
            return Err(BadNetwork::Unreadable("it is empty; give at least a delay".into()));
        }
        toml::from_str(text).map_err(|error| BadNetwork::Unreadable(error.to_string()))
    }

    /// The description as a file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a network is plain data")
    }

    /// How long a message takes on the slowest link between `n` nodes, as a rule:
    /// the longest delay, or the median where there is no longest.
    pub fn slowest_us(&self, n: u16) -> u64 {
        let regions = self.regions.iter().filter_map(|region| regions::index(region)).take(usize::from(n));
        let between: Vec<usize> = regions.collect();
        let pairs = between.iter().flat_map(|from| between.iter().map(|to| regions::one_way_us(*from, *to)));
        let general = if between.is_empty() { self.delay.usual_us() } else { 0.0 };
        let single = self.links.iter().filter_map(|rule| rule.delay).map(Delay::usual_us);
        pairs.chain(single).fold(general, f64::max) as u64
    }

    /// Whether messages get through at a time, most of them at least: no
    /// partition is on, and no link loses more than one in ten.
    pub fn is_healthy_at(&self, at_us: u64) -> bool {
        let on = |partition: &Partition| (partition.from_us..partition.until_us).contains(&at_us);
        let losses = self.links.iter().filter_map(|rule| rule.loss).chain([self.loss]);
        !self.partitions.iter().any(on) && losses.fold(0.0, f64::max) <= 0.1
    }

    /// Refuses what cannot be meant for `n` nodes.
    pub fn check(&self, n: u16) -> Result<(), BadNetwork> {
        self.delay.check("delay")?;
        probability("loss", self.loss)?;
        probability("duplication", self.duplication)?;
        probability("reordering", self.reordering)?;
        within("reordering_us", self.reordering_us, 0.0, LONGEST_US)?;
        within("jitter", self.jitter, 0.0, 3.0)?;
        bandwidth("bandwidth_mbit_s", self.bandwidth_mbit_s)?;
        for region in &self.regions {
            if regions::index(region).is_none() {
                let known = regions::names().collect::<Vec<_>>().join(", ");
                return Err(bad("regions", format!("unknown region {region:?}"), format!("known: {known}")));
            }
        }
        for (place, rule) in self.links.iter().enumerate() {
            rule.check(&format!("link {}", place + 1), n)?;
        }
        for (place, partition) in self.partitions.iter().enumerate() {
            partition.check(&format!("partition {}", place + 1), n)?;
        }
        Ok(())
    }
}

impl Delay {
    fn usual_us(self) -> f64 {
        match self {
            Delay::Constant(us) | Delay::Uniform(_, us) | Delay::LogNormal { median_us: us, .. } => us,
        }
    }

    fn check(&self, key: &str) -> Result<(), BadNetwork> {
        match *self {
            Delay::Constant(us) => within(&format!("{key}.constant_us"), us, 0.0, LONGEST_US),
            Delay::Uniform(least, most) => {
                let key = format!("{key}.uniform_us");
                within(&key, least, 0.0, LONGEST_US)?;
                within(&key, most, 0.0, LONGEST_US)?;
                if least > most {
                    let problem = format!("the shortest delay, {least}, is above the longest, {most}");
                    return Err(bad(&key, problem, "swap them".into()));
                }
                Ok(())
            }
            Delay::LogNormal { median_us, sigma } => {
                within(&format!("{key}.log_normal.median_us"), median_us, 0.0, LONGEST_US)?;
                within(&format!("{key}.log_normal.sigma"), sigma, 0.0, 3.0)
            }
        }
    }
}

impl LinkRule {
    fn check(&self, key: &str, n: u16) -> Result<(), BadNetwork> {
        known(&format!("{key}: from"), &self.from, n)?;
        known(&format!("{key}: to"), &self.to, n)?;
        if let Some(delay) = &self.delay {
            delay.check(&format!("{key}: delay"))?;
        }
        let chances =
            [("loss", self.loss), ("duplication", self.duplication), ("reordering", self.reordering)];
        for (name, chance) in chances {
            probability(&format!("{key}: {name}"), chance.unwrap_or(0.0))?;
        }
        bandwidth(&format!("{key}: bandwidth_mbit_s"), self.bandwidth_mbit_s)
    }
}

impl Partition {
    fn check(&self, key: &str, n: u16) -> Result<(), BadNetwork> {
        if self.from_us >= self.until_us {
            let problem = format!("from_us, {}, is not before until_us, {}", self.from_us, self.until_us);
            return Err(bad(key, problem, "let it begin before it ends".into()));
        }
        let mut seen = vec![false; usize::from(n)];
        for group in &self.groups {
            known(&format!("{key}: groups"), group, n)?;
            for id in group {
                if std::mem::replace(&mut seen[usize::from(*id)], true) {
                    let problem = format!("node {id} is named twice");
                    return Err(bad(&format!("{key}: groups"), problem, "name it once".into()));
                }
            }
        }
        if self.groups.iter().all(Vec::is_empty) {
            let way_out = "give groups of node ids, such as [[0, 1], [2, 3]]";
            return Err(bad(&format!("{key}: groups"), "no node is named".into(), way_out.into()));
        }
        Ok(())
    }
}

fn bad(key: &str, problem: String, way_out: String) -> BadNetwork {
    BadNetwork::BadValue { key: key.to_owned(), problem, way_out }
}

fn within(key: &str, value: f64, least: f64, most: f64) -> Result<(), BadNetwork> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let problem =
        if value < 0.0 { format!("{value} is negative") } else { format!("{value} is out of range") };
    Err(bad(key, problem, format!("give a number from {least} to {most}")))
}

fn probability(key: &str, value: f64) -> Result<(), BadNetwork> {
    within(key, value, 0.0, 1.0)
}

fn bandwidth(key: &str, value: Option<f64>) -> Result<(), BadNetwork> {
    value.map_or(Ok(()), |value| within(key, value, 0.001, 1e6))
}

fn known(key: &str, ids: &[u16], n: u16) -> Result<(), BadNetwork> {
    let Some(outside) = ids.iter().find(|id| **id >= n) else {
        return Ok(());
    };
    let way_out = format!("{n} nodes have the ids 0 to {}", n.saturating_sub(1));
    Err(bad(key, format!("there is no node {outside}"), way_out))
}
