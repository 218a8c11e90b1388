//! Which nodes are faulty, and how: the text forms of the command line and of
//! plans, and the draw that picks the nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use adversary::{Act, Behaviour};
use anyhow::{Result, anyhow, bail};
use kernel::{Digest, Falsify as _, ReplicaId, SeededChoice};
use serde::{Deserialize, Serialize};

/// What a faulty node does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The node's process is killed (SIGKILL) once the warm-up is over.
    Crash,
    /// The node misbehaves from its start.
    Behaviour(Behaviour),
}

/// Which nodes do it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// So many, drawn by seed.
    Count(u16),
    /// As many as a Byzantine protocol tolerates: `⌊(n−1)/3⌋`, drawn by seed.
    Tolerated,
    /// Exactly these.
    Ids(Vec<u16>),
}

/// One kind of fault on some nodes: `malicious:1`, `delay=5ms@2,3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    kind: Kind,
    target: Target,
}

/// All faults that are on a cluster at once, joined by `+`; `none` without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scenario(Vec<Fault>);

/// Whether a fault drawn by number may hit the commander of view 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CommanderDraw {
    /// Draw among the other nodes first.
    #[default]
    Spare,
    /// Draw among all nodes.
    Include,
}

/// What is wrong with one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFaults {
    /// How it misbehaves while it runs.
    pub behaviours: Vec<Behaviour>,
    /// Whether it is killed after the warm-up.
    pub crash: bool,
}

/// A scenario applied to a cluster of a certain size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The scenario's text, numbers put in for `f`.
    pub text: String,
    /// What is wrong with each node, by id.
    pub nodes: Vec<NodeFaults>,
}

impl Kind {
    fn strikes_commander_first(&self) -> bool {
        // A commander has most to equivocate about.
        matches!(self, Kind::Behaviour(Behaviour { act: Act::Equivocate(_) | Act::Twins(_), .. }))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Crash => f.write_str("crash"),
            Kind::Behaviour(behaviour) => behaviour.fmt(f),
        }
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Kind> {
        if text == "crash" {
            return Ok(Kind::Crash);
        }
        text.parse()
            .map(Kind::Behaviour)
            .map_err(|error| anyhow!("{error}; the harness also knows `crash`, which kills the process"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Count(count) => write!(f, "{}:{count}", self.kind),
            Target::Tolerated => write!(f, "{}:f", self.kind),
            Target::Ids(ids) => write!(f, "{}@{}", self.kind, join_ids(ids)),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Fault> {
        const FORMS: &str = "a fault is KIND:COUNT or KIND@ID,ID, such as offline:1 or malicious@2,3";
        let Some(at) = text.rfind([':', '@']) else {
            bail!("{text:?} says neither how many nodes nor which: {FORMS}");
        };
        let kind = text[..at].parse()?;
        let rest = &text[at + 1..];
        let target = match (&text[at..=at], rest) {
            (":", "f") => Target::Tolerated,
            (":", count) => Target::Count(count.parse().map_err(|_| {
                anyhow!("{count:?} in {text:?} is not a number of nodes (a number, or f for as many as are tolerated): {FORMS}")
            })?),
            (_, ids) => Target::Ids(parse_ids(ids, text)?),
        };
        Ok(Fault { kind, target })
    }
}

fn parse_ids(ids: &str, text: &str) -> Result<Vec<u16>> {
    let mut parsed = Vec::new();
    for id in ids.split([',', ';']) {
        let id = id.trim().parse().map_err(|_| {
            anyhow!("{id:?} in {text:?} is not a node id; ids count from 0, separated by commas")
        })?;
        if parsed.contains(&id) {
            bail!("node {id} is named twice in {text:?}; name each node once");
        }
        parsed.push(id);
    }
    parsed.sort_unstable();
    Ok(parsed)
}

/// Ids as the result files show them: separated by `;`.
pub fn join_ids(ids: &[u16]) -> String {
    ids.iter().map(u16::to_string).collect::<Vec<_>>().join(";")
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let faults: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&faults.join("+"))
    }
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Scenario> {
        let text = text.trim();
        if text == "none" {
            return Ok(Scenario::default());
        }
        if text.is_empty() {
            bail!("an empty fault; write none for a cluster without faults");
        }
        text.split('+')
            .map(|fault| {
                if fault.trim() == "none" {
                    bail!("none cannot be combined with other faults in {text:?}");
                }
                fault.trim().parse()
            })
            .collect::<Result<_>>()
            .map(Scenario)
    }
}

/// The scenarios that the values of a repeated `--fault` stand for.
///
/// Several flags act at once; within one flag a comma before a letter starts an
/// alternative, a comma before a digit goes on with a list of ids; `none` is
/// always a scenario of its own.
pub fn scenarios(flags: &[String]) -> Result<Vec<Scenario>> {
    let mut none = false;
    let mut combined: Vec<Scenario> = vec![Scenario::default()];
    for flag in flags {
        let mut alternatives = Vec::new();
        for text in split_alternatives(flag) {
            match text.parse::<Scenario>()? {
                scenario if scenario.0.is_empty() => none = true,
                scenario => alternatives.push(scenario),
            }
        }
        if !alternatives.is_empty() {
            combined = combined
                .iter()
                .flat_map(|so_far| {
                    alternatives.iter().map(|more| Scenario([&so_far.0[..], &more.0[..]].concat()))
                })
                .collect();
        }
    }
    let has_faults = combined.iter().any(|scenario| !scenario.0.is_empty());
    if none && has_faults {
        combined.insert(0, Scenario::default());
    }
    Ok(combined)
}

fn split_alternatives(flag: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in flag.match_indices(',') {
        if flag[at + 1..].trim_start().starts_with(|c: char| c.is_ascii_alphabetic()) {
            parts.push(&flag[start..at]);
            start = at + 1;
        }
    }
    parts.push(&flag[start..]);
    parts
}

impl Scenario {
    /// Whether some node's process is to be killed.
    pub fn has_crash(&self) -> bool {
        self.0.iter().any(|fault| fault.kind == Kind::Crash)
    }

    /// Decides which of `nodes` nodes are faulty. The same seed, size and text
    /// give the same nodes, whatever the protocol.
    pub fn assign(&self, nodes: u16, seed: u64, commander: CommanderDraw) -> Result<Assignment> {
        let tolerated = kernel::cluster::max_faulty(nodes) as u16;
        let faults: Vec<Fault> = self
            .0
            .iter()
            .map(|fault| match fault.target {
                Target::Tolerated => Fault { kind: fault.kind.clone(), target: Target::Count(tolerated) },
                _ => fault.clone(),
            })
            .filter(|fault| fault.target != Target::Count(0))
            .collect();
        let text = Scenario(faults.clone()).to_string();
        let mut assigned = vec![NodeFaults::default(); usize::from(nodes)];
        for (fault, target) in self.draw(&faults, &text, nodes, seed, commander)? {
            let node = &mut assigned[usize::from(target)];
            match fault {
                Kind::Crash => node.crash = true,
                Kind::Behaviour(behaviour) => node.behaviours.push(behaviour),
            }
        }
        share_plans(&mut assigned);
        Ok(Assignment { text, nodes: assigned })
    }

    fn draw(
        &self,
        faults: &[Fault],
        text: &str,
        nodes: u16,
        seed: u64,
        commander: CommanderDraw,
    ) -> Result<Vec<(Kind, u16)>> {
        let mut drawn = Vec::new();
        for fault in faults {
            if let Kind::Behaviour(behaviour) = &fault.kind
                && let Some(problem) = behaviour.problem(nodes, &message_kinds())
            {
                bail!("{fault} among {nodes} nodes: {problem}");
            }
            let Target::Ids(ids) = &fault.target else { continue };
            if let Some(outside) = ids.iter().find(|id| **id >= nodes) {
                bail!(
                    "{fault} names node {outside}, but {nodes} nodes have the ids 0 to {}; \
                     name an existing node or give more nodes",
                    nodes - 1
                );
            }
            drawn.extend(ids.iter().map(|id| (fault.kind.clone(), *id)));
        }
        let hash = Digest::of(format!("{seed}/{nodes}/{text}").as_bytes());
        let draw_seed = u64::from_le_bytes(hash.0[..8].try_into().expect("eight bytes"));
        let mut choice = SeededChoice::new(draw_seed);
        for fault in faults {
            let Target::Count(count) = fault.target else { continue };
            let mut free: Vec<u16> =
                (0..nodes).filter(|id| drawn.iter().all(|(_, taken)| taken != id)).collect();
            if usize::from(count) > free.len() {
                bail!(
                    "{text} wants more faulty nodes than there are: {fault}, and {} of {nodes} nodes are \
                     left; lower the count or give more nodes",
                    free.len()
                );
            }
            let mut picked = Vec::new();
            if free.first() == Some(&0) && count > 0 {
                if fault.kind.strikes_commander_first() {
                    picked.push(free.remove(0));
                } else if commander == CommanderDraw::Spare && free.len() > usize::from(count) {
                    free.remove(0);
                }
            }
            picked.extend(choice.draw(free, usize::from(count) - picked.len()));
            drawn.extend(picked.into_iter().map(|id| (fault.kind.clone(), id)));
        }
        Ok(drawn)
    }
}

/// Nodes that are all to equivocate in the same way share one plan, unless the
/// fault names them itself.
fn share_plans(nodes: &mut [NodeFaults]) {
    let acts_alone = |behaviour: &Behaviour| match &behaviour.act {
        Act::Equivocate(plan) if plan.colluders.is_empty() => Some(behaviour.to_string()),
        _ => None,
    };
    let mut alike: BTreeMap<String, Vec<ReplicaId>> = BTreeMap::new();
    for (id, node) in (0u16..).zip(nodes.iter()) {
        for text in node.behaviours.iter().filter_map(acts_alone) {
            alike.entry(text).or_default().push(ReplicaId(id));
        }
    }
    for behaviour in nodes.iter_mut().flat_map(|node| &mut node.behaviours) {
        let colluders = acts_alone(behaviour).and_then(|text| alike.get(&text).cloned());
        if let (Act::Equivocate(plan), Some(colluders)) = (&mut behaviour.act, colluders)
            && colluders.len() > 1
        {
            plan.colluders = colluders;
        }
    }
}

/// The kinds of messages that conditions can name: those of any flow.
fn message_kinds() -> Vec<&'static str> {
    let mut kinds = [pbft::Message::KINDS, ccro::paper::Message::KINDS, &[adversary::REPLY]].concat();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

impl NodeFaults {
    /// Whether nothing is wrong with the node.
    pub fn is_honest(&self) -> bool {
        !self.crash && self.behaviours.is_empty()
    }

    /// The faults as the result files show them; `none` for an honest node.
    pub fn describe(&self) -> String {
        let crash = self.crash.then(|| "crash".to_string());
        let all: Vec<String> = self.behaviours.iter().map(Behaviour::to_string).chain(crash).collect();
        if all.is_empty() { "none".to_string() } else { all.join("+") }
    }
}

impl Assignment {
    /// Ids of the faulty nodes in ascending order.
    pub fn faulty(&self) -> Vec<u16> {
        (0u16..).zip(&self.nodes).filter(|(_, node)| !node.is_honest()).map(|(id, _)| id).collect()
    }

    /// Ids of the honest nodes in ascending order.
    pub fn honest(&self) -> Vec<u16> {
        (0u16..).zip(&self.nodes).filter(|(_, node)| node.is_honest()).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(flags: &[&str]) -> Vec<String> {
        let flags: Vec<String> = flags.iter().map(|flag| flag.to_string()).collect();
        scenarios(&flags).unwrap().iter().map(Scenario::to_string).collect()
    }

    fn assign(text: &str, nodes: u16, seed: u64) -> Assignment {
        text.parse::<Scenario>().unwrap().assign(nodes, seed, CommanderDraw::Spare).unwrap()
    }

    fn failure(text: &str, nodes: u16) -> String {
        let assigned = text.parse::<Scenario>().and_then(|s| s.assign(nodes, 1, CommanderDraw::Spare));
        format!("{:#}", assigned.unwrap_err())
    }

    #[test]
    fn every_form_is_read_and_printed() {
        for text in [
            "none",
            "offline:1",
            "malicious@2;3",
            "delay=5ms:2",
            "partial=1;2@0",
            "crash:1",
            "equivocate=victim@0",
            "offline:f",
            "offline:1+malicious@3",
            "drop=0.5[seq=10..20][to=1;2]:2",
            "equivocate=0;1@0;1",
            "partial=2[kind=fast-certificate]@1",
            "twins[after=2000ms]:f",
        ] {
            assert_eq!(text.parse::<Scenario>().unwrap().to_string(), text);
        }
        assert_eq!("malicious@3,2".parse::<Scenario>().unwrap().to_string(), "malicious@2;3");
    }

    #[test]
    fn flags_combine_and_commas_separate() {
        assert_eq!(texts(&[]), ["none"]);
        assert_eq!(texts(&["none"]), ["none"]);
        assert_eq!(texts(&["none,offline:1,malicious:1"]), ["none", "offline:1", "malicious:1"]);
        assert_eq!(texts(&["offline:1", "malicious:1"]), ["offline:1+malicious:1"]);
        assert_eq!(texts(&["none", "offline:1"]), ["none", "offline:1"]);
        assert_eq!(texts(&["malicious@2,3,offline:1"]), ["malicious@2;3", "offline:1"]);
        assert_eq!(
            texts(&["offline:1,crash:1", "drop=0.1:1"]),
            ["offline:1+drop=0.1:1", "crash:1+drop=0.1:1"]
        );
        assert_eq!(
            texts(&["forge=short[seq=2..4]@1,2,delay=1ms[to=0]:1"]),
            ["forge=short[seq=2..4]@1;2", "delay=1ms[to=0]:1"]
        );
    }

    #[test]
    fn bad_faults_say_what_is_accepted() {
        assert!(failure("offline", 4).contains("KIND:COUNT"));
        assert!(failure("offline:many", 4).contains("\"many\""));
        assert!(failure("offline@1,x", 4).contains("not a node id"));
        assert!(failure("offline@1,1", 4).contains("named twice"));
        assert!(failure("sleepy:1", 4).contains("crash"));
        assert!(failure("offline@4", 4).contains("ids 0 to 3"));
        assert!(failure("offline:3+malicious:2", 4).contains("more faulty nodes than there are"));
        assert!(failure("none+offline:1", 4).contains("cannot be combined"));
        assert!(failure("", 4).contains("write none"));
        assert!(failure("partial=1;4@0", 4).contains("no node 4"));
        assert!(failure("drop=1[to=9]:1", 4).contains("no node 9"));
        assert!(failure("drop=1[kind=commits]:1", 4).contains("known: block-request, checkpoint, commit,"));
        assert!(failure("drop=1[seq=3..]", 4).contains("KIND:COUNT"));
    }

    #[test]
    fn those_who_equivocate_in_the_same_way_do_so_together() {
        let described = |text| -> Vec<String> {
            let faulty = assign(text, 7, 1);
            faulty.faulty().iter().map(|id| faulty.nodes[usize::from(*id)].describe()).collect()
        };
        assert_eq!(described("equivocate@0"), ["equivocate"]);
        assert_eq!(described("equivocate@0,3"), ["equivocate=0;3", "equivocate=0;3"]);
        assert_eq!(described("equivocate@0+equivocate@1"), ["equivocate=0;1", "equivocate=0;1"]);
        assert_eq!(described("equivocate=victim@0+equivocate@1"), ["equivocate=victim", "equivocate"]);
        assert_eq!(described("equivocate=0;5@0,1"), ["equivocate=0;5", "equivocate=0;5"]);
    }

    #[test]
    fn the_draw_depends_on_seed_size_and_text_only() {
        let faulty = |seed| assign("malicious:3", 31, seed).faulty();
        assert_eq!(faulty(1), faulty(1));
        assert_ne!(faulty(1), faulty(2));
        assert_eq!(faulty(1).len(), 3);
    }

    #[test]
    fn the_commander_is_spared_unless_asked_or_needed() {
        for seed in 0..50 {
            assert!(!assign("offline:3", 4, seed).faulty().contains(&0));
            assert_eq!(assign("equivocate:1", 7, seed).faulty(), [0]);
        }
        assert_eq!(assign("offline:4", 4, 1).faulty(), [0, 1, 2, 3]);
        let scenario: Scenario = "offline:1".parse().unwrap();
        let hit =
            (0..50).any(|seed| scenario.assign(4, seed, CommanderDraw::Include).unwrap().faulty() == [0]);
        assert!(hit, "in 50 draws the commander is drawn once at least");
    }

    #[test]
    fn several_draws_take_distinct_nodes_and_ids_combine() {
        for seed in 0..50 {
            assert_eq!(assign("offline:1+malicious:1+delay=1ms:1", 4, seed).faulty(), [1, 2, 3]);
        }
        let both = assign("malicious@2+delay=5ms@2", 4, 1);
        assert_eq!(both.nodes[2].describe(), "malicious+delay=5ms");
        assert_eq!(both.honest(), [0, 1, 3]);
    }

    #[test]
    fn f_stands_for_what_is_tolerated() {
        assert_eq!(assign("offline:f", 7, 1).text, "offline:2");
        assert_eq!(assign("offline:f", 3, 1).text, "none");
        assert_eq!(assign("offline:0", 4, 1).text, "none");
    }
}
