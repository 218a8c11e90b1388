//! The `[outage]` part of a plan: nodes are killed and started again, or cut off
//! and healed, while requests keep coming.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use journal::Durability;
use serde::{Deserialize, Serialize};

use apps::AppName;

use super::cell::Cell;
use super::protocols::{Placement, ProtocolName};

/// More clients make a history that takes too long to judge.
const MOST_HISTORY_CLIENTS: u32 = 64;

/// What happens to a cluster while it is under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outage {
    /// Who is killed: `commander`, `communication-node`, `node:ID`, `all`, or `in-turn`:
    /// `f` nodes at a time, again and again; where nodes keep journals, one to `f`, drawn by the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill: Option<Victim>,
    /// When, in seconds since the load began.
    pub at_s: f64,
    /// How long after the kill the node is started again; never if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_after_s: Option<f64>,
    /// Who is cut off from whom and when, such as `0,1|2,3:2..5`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<Partition>,
    /// With `kill = "in-turn"`: for how long the next `f` nodes are cut off after the
    /// killed ones are back, in seconds; nobody is if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_s: Option<f64>,
    /// With `kill = "in-turn"`: how often all nodes are killed at once instead, in seconds; never if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_all_every_s: Option<f64>,
    /// Clients of the key-value store whose history is recorded and judged, beside the load.
    #[serde(skip_serializing_if = "is_zero")]
    pub history_clients: u32,
    /// Megabytes of values that are put into the key-value store before the load: what a
    /// node that comes back without memory has to fetch.
    #[serde(skip_serializing_if = "is_none")]
    pub fill_mb: u64,
    /// An answer that takes longer than this, in milliseconds, is a late one.
    pub late_ms: f64,
}

fn is_none(megabytes: &u64) -> bool {
    *megabytes == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Default for Outage {
    fn default() -> Outage {
        Outage {
            kill: None,
            at_s: 2.0,
            restart_after_s: None,
            partition: Vec::new(),
            cut_s: None,
            kill_all_every_s: None,
            history_clients: 0,
            fill_mb: 0,
            late_ms: 100.0,
        }
    }
}

/// Whom a kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Victim {
    /// Whoever is the commander at that moment.
    Commander,
    /// Whoever collects the votes at that moment.
    CommunicationNode,
    /// This node.
    Node(u16),
    /// All nodes at once, which takes journals.
    All,
    /// `f` nodes, and the next `f` when those are back, until the load ends.
    InTurn,
}

/// Groups of nodes between which no message passes for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Partition {
    /// The groups; every node is in one.
    pub groups: Vec<Vec<u16>>,
    /// From when, in seconds since the load began.
    pub from_s: f64,
    /// Until when.
    pub until_s: f64,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Victim::Commander => f.write_str("commander"),
            Victim::CommunicationNode => f.write_str("communication-node"),
            Victim::Node(id) => write!(f, "node:{id}"),
            Victim::All => f.write_str("all"),
            Victim::InTurn => f.write_str("in-turn"),
        }
    }
}

impl FromStr for Victim {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Victim> {
        match (text, text.strip_prefix("node:").map(str::parse)) {
            ("commander", _) => Ok(Victim::Commander),
            ("communication-node", _) => Ok(Victim::CommunicationNode),
            ("all", _) => Ok(Victim::All),
            ("in-turn", _) => Ok(Victim::InTurn),
            (_, Some(Ok(id))) => Ok(Victim::Node(id)),
            _ => bail!(
                "{text:?} cannot be killed; known: commander, communication-node, node:ID, all, in-turn"
            ),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |ids: &Vec<u16>| ids.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let groups: Vec<String> = self.groups.iter().map(group).collect();
        write!(f, "{}:{}..{}", groups.join("|"), self.from_s, self.until_s)
    }
}

impl FromStr for Partition {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Partition> {
        let parsed = || {
            let (groups, times) = text.split_once(':')?;
            let (from, until) = times.split_once("..")?;
            let ids = |group: &str| group.split(',').map(|id| id.trim().parse().ok()).collect();
            let groups: Option<Vec<Vec<u16>>> = groups.split('|').map(ids).collect();
            Some(Partition { groups: groups?, from_s: from.parse().ok()?, until_s: until.parse().ok()? })
        };
        parsed().with_context(|| {
            format!(
                "{text:?} is no partition; write the groups and the seconds, such as 0,1|2,3:2..5 (from second 2 \
                 to 5, nodes 0 and 1 hear nothing of 2 and 3)"
            )
        })
    }
}

macro_rules! text_for_serde {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = anyhow::Error;

            fn try_from(text: String) -> Result<$name> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}
text_for_serde!(Victim, Partition);

impl Outage {
    /// Refuses what cannot happen while so many requests come at these rates.
    pub fn check(&self, rates: &[f64], requests: u64, placement: Placement, apps: &[AppName]) -> Result<()> {
        ensure!(
            !rates.is_empty(),
            "an outage is measured in an open loop, because a closed one sends nothing while nothing is answered; \
             give rate, such as rate = [500]"
        );
        ensure!(
            self.kill.is_some() || !self.partition.is_empty(),
            "the outage neither kills nor cuts off anybody; give kill or partition"
        );
        if self.kill.is_some() && placement == Placement::Tasks {
            bail!("a kill needs a process to kill; use the placement processes");
        }
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = rates.iter().copied().fold(0.0, f64::max);
        let load_s = requests as f64 / fastest;
        ensure!(slowest > 0.0, "rate is {slowest}; it must be above 0");
        if self.kill.is_some() {
            ensure!(
                self.at_s >= 0.0 && self.at_s < load_s,
                "the kill at second {} is not while the load lasts: {} requests at {fastest}/s take {load_s:.1} s",
                self.at_s,
                requests
            );
        }
        if let Some(after) = self.restart_after_s {
            ensure!((0.0..=3600.0).contains(&after), "restart_after_s is {after}; it must be from 0 to 3600");
        }
        if let Some(cut_s) = self.cut_s {
            ensure!((0.0..=3600.0).contains(&cut_s), "cut_s is {cut_s}; it must be from 0 to 3600");
            ensure!(
                self.kill == Some(Victim::InTurn),
                "cut_s is for nodes that are killed in turn; give the times and groups of other cuts as partition"
            );
        }
        if let Some(every_s) = self.kill_all_every_s {
            ensure!(
                (0.1..=3600.0).contains(&every_s),
                "kill_all_every_s is {every_s}; it must be from 0.1 to 3600"
            );
            ensure!(
                self.kill == Some(Victim::InTurn),
                "kill_all_every_s is for nodes that are killed in turn; kill = \"all\" kills all nodes once"
            );
        }
        ensure!(
            self.history_clients <= MOST_HISTORY_CLIENTS,
            "history_clients is {}; it must be from 0 to {MOST_HISTORY_CLIENTS}",
            self.history_clients
        );
        ensure!(
            self.history_clients == 0 || apps.contains(&AppName::Kv),
            "only the key-value store's clients have a history to judge; give the app kv, or no history clients"
        );
        ensure!(
            self.fill_mb == 0 || apps == [AppName::Kv],
            "only the key-value store can be filled; give the app kv, or nothing to fill it with"
        );
        ensure!(self.late_ms > 0.0, "late_ms is {}; it must be above 0", self.late_ms);
        self.partition.iter().try_for_each(|partition| partition.check(load_s))
    }

    /// Refuses what cannot happen to this cell.
    pub fn check_cell(&self, cell: &Cell) -> Result<()> {
        let last = cell.nodes - 1;
        match self.kill {
            Some(Victim::Node(id)) if id > last => {
                bail!("node {id} cannot be killed: {} nodes have the ids 0 to {last}", cell.nodes);
            }
            Some(Victim::CommunicationNode)
                if !matches!(
                    cell.protocol,
                    ProtocolName::Ccro | ProtocolName::CcroAggregate | ProtocolName::CcroPaper
                ) =>
            {
                bail!(
                    "{} has no communication node to kill; leave it out, or kill another node",
                    cell.protocol
                );
            }
            Some(Victim::Commander) if cell.protocol == ProtocolName::Broadcast => {
                bail!("broadcast has no commander to kill; kill a node by its id: --kill node:3");
            }
            Some(Victim::InTurn) if self.restart_after_s.is_none() => {
                bail!("nodes that are killed in turn must be started again; give restart_after_s");
            }
            _ => {}
        }
        for partition in &self.partition {
            let mut ids = partition.groups.concat();
            ids.sort_unstable();
            ensure!(
                ids == (0..cell.nodes).collect::<Vec<u16>>(),
                "the partition {partition} must name each of the nodes 0 to {last} once"
            );
        }
        ensure!(
            cell.protocol != ProtocolName::Broadcast
                || cell.durability != Durability::Off
                || self.kill.is_none()
                || self.restart_after_s.is_none(),
            "a member of broadcast that is started again without a journal takes part no more; give the durability on \
             or fsync, or do not start it again"
        );
        let (kills_all, faulty) = (self.kills_all(), cell.faults.faulty().len());
        ensure!(
            !kills_all || cell.durability != Durability::Off,
            "when all nodes are killed at once without journals, everything they decided is lost; give the durability \
             on or fsync"
        );
        ensure!(
            !kills_all || self.kill == Some(Victim::InTurn) || self.restart_after_s.is_some(),
            "when all nodes are killed, some must be started again; give restart_after_s"
        );
        let killed = if self.kill == Some(Victim::All) { 0 } else { self.killed_at_once(cell) };
        ensure!(
            faulty + killed <= cell.f(),
            "{} with {} nodes tolerates f = {}; {faulty} faulty and {killed} killed at once are more, and a node that was \
             killed is away or has lost its memory: give more nodes or fewer faults",
            cell.protocol,
            cell.nodes,
            cell.f(),
        );
        Ok(())
    }

    /// Whether clients of this cell have a history to judge.
    pub fn records_history(&self, cell: &Cell) -> bool {
        self.history_clients > 0 && cell.app == AppName::Kv
    }

    /// Whether all nodes are killed at once some time.
    pub fn kills_all(&self) -> bool {
        self.kill == Some(Victim::All) || self.kill_all_every_s.is_some()
    }

    /// Nodes that are down at the same time, but for when all are: as many as are tolerated beside the
    /// faulty ones.
    pub fn killed_at_once(&self, cell: &Cell) -> usize {
        match self.kill {
            None => 0,
            Some(Victim::InTurn) => cell.f().saturating_sub(cell.faults.faulty().len()).max(1),
            Some(_) => 1,
        }
    }
}

impl Partition {
    fn check(&self, load_s: f64) -> Result<()> {
        ensure!(self.groups.len() > 1, "the partition {self} has one group; separate groups by |");
        ensure!(
            self.from_s >= 0.0 && self.from_s < self.until_s && self.until_s <= load_s,
            "the partition {self} must begin before it ends, and end within the {load_s:.1} s that the load lasts"
        );
        Ok(())
    }
}

/// Those that a node is cut off from by these groups.
pub fn cut_off_from(groups: &[Vec<u16>], id: u16) -> Vec<u16> {
    groups.iter().filter(|group| !group.contains(&id)).flatten().copied().collect()
}

/// The nodes outside the largest group: none if there are several such.
pub fn cut_off(groups: &[Vec<u16>]) -> Vec<u16> {
    let largest = groups.iter().map(Vec::len).max().unwrap_or(0);
    groups.iter().filter(|group| group.len() < largest).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn plan(outage: &str) -> Result<usize> {
        let text = format!("rate = [100.0]\nrequests = 1000\nprotocols = [\"ccro\"]\n[outage]\n{outage}");
        Plan::parse(&text, None)?.cells().map(|cells| cells.len())
    }

    #[test]
    fn an_outage_survives_its_file() {
        let text = "kill = \"node:2\"\nat_s = 1.5\nrestart_after_s = 2.0\npartition = [\"0,1|2,3:2..5.5\"]\n";
        let outage: Outage = toml::from_str(text).unwrap();
        assert_eq!(outage.kill, Some(Victim::Node(2)));
        assert_eq!(cut_off_from(&outage.partition[0].groups, 3), [0, 1]);
        assert_eq!(toml::from_str::<Outage>(&toml::to_string(&outage).unwrap()).unwrap(), outage);
        assert_eq!(plan(text).unwrap(), 1);
    }

    #[test]
    fn what_cannot_happen_is_refused_by_name() {
        for (outage, expected) in [
            ("", "neither kills nor cuts"),
            ("kill = \"king\"", "commander, communication-node, node:ID"),
            ("kill = \"node:4\"", "ids 0 to 3"),
            ("kill = \"commander\"\nat_s = 10.0", "not while the load lasts"),
            ("kill = \"in-turn\"", "restart_after_s"),
            ("partition = [\"0,1|2:1..2\"]", "each of the nodes 0 to 3"),
            ("partition = [\"0,1|2,3:5..2\"]", "must begin before it ends"),
            ("partition = [\"0,1,2,3:1..2\"]", "separate groups"),
            ("partition = [\"0,1|2,x:1..2\"]", "is no partition"),
            ("kil = \"commander\"", "unknown field"),
            ("kill = \"commander\"\ncut_s = 1.0", "killed in turn"),
            ("kill = \"in-turn\"\nrestart_after_s = 1.0\ncut_s = -1.0", "from 0 to 3600"),
            ("kill = \"all\"", "give the durability"),
            ("kill = \"in-turn\"\nrestart_after_s = 1.0\nkill_all_every_s = 2.0", "give the durability"),
            ("kill = \"in-turn\"\nrestart_after_s = 1.0\nkill_all_every_s = 0.0", "from 0.1 to 3600"),
            ("kill = \"commander\"\nkill_all_every_s = 2.0", "killed in turn"),
            ("kill = \"commander\"\nhistory_clients = 8", "give the app kv"),
            ("kill = \"commander\"\nhistory_clients = 65", "from 0 to 64"),
        ] {
            let message = format!("{:#}", plan(outage).unwrap_err());
            assert!(message.contains(expected), "{outage}: {message}");
        }
        let durable = "durability = [\"on\"]\nrate = [100.0]\n[outage]\nkill = \"all\"\nat_s = 1.0";
        let message = Plan::parse(durable, None).unwrap().cells().unwrap_err().to_string();
        assert!(message.contains("give restart_after_s"), "{message}");
        let again = format!("{durable}\nrestart_after_s = 0.0");
        assert_eq!(Plan::parse(&again, None).unwrap().cells().unwrap().len(), 2);
        let closed = Plan::parse("[outage]\nkill = \"commander\"", None).unwrap().cells();
        assert!(closed.unwrap_err().to_string().contains("open loop"));
        let small = "nodes = [3]\nrate = [100.0]\n[outage]\nkill = \"commander\"\nat_s = 1.0";
        let message = Plan::parse(small, None).unwrap().cells().unwrap_err().to_string();
        assert!(message.contains("tolerates f = 0"), "{message}");
    }

    #[test]
    fn the_smaller_side_is_cut_off() {
        let cut_off = |text: &str| cut_off(&text.parse::<Partition>().unwrap().groups);
        assert_eq!(cut_off("0|1,2,3:1..2"), [0]);
        assert_eq!(cut_off("0,1|2,3:1..2"), Vec::<u16>::new());
        assert_eq!(cut_off("0,1,2|3|4:1..2"), [3, 4]);
    }
}
