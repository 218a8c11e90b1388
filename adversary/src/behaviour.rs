//! What a faulty node does, and how a person writes it.

use crate::text::{display_ids, display_time, parse_ids, parse_probability, parse_time};
use crate::trigger::Trigger;
use kernel::{Forgery, Micros, ReplicaId, StateForgery};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// One way of misbehaving, and when. The text form, such as `malicious` or
/// `drop=0.5[seq=10..20]`, is what `--fault` and `POST /faults` take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Behaviour {
    /// What the node does.
    pub act: Act,
    /// When it does so.
    pub when: Trigger,
}

/// What a faulty node does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// `offline`: receives nothing, sends nothing.
    Offline,
    /// `malicious`: votes, certificates, checkpoints, VIEW-CHANGEs, answers and
    /// replies carry a wrong value, correctly signed with the node's own key. Its
    /// proposals are left alone: lying as commander is `equivocate`.
    Malicious,
    /// `equivocate`, `equivocate=victim`: as commander, a different batch for
    /// some nodes; as voter, a different vote for them; as communication node, a
    /// different certificate. With ids, `equivocate=0;1` or
    /// `equivocate=victim;0;1`, these nodes share one plan.
    Equivocate(Equivocation),
    /// `withhold`: takes part but never votes; as communication node it gathers
    /// votes and sends nothing.
    Withhold,
    /// `partial`, `partial=ID;ID`: as commander or communication node it serves
    /// only the odd nodes, or those given.
    Partial(Vec<ReplicaId>),
    /// `ignore-gateway`, `ignore-gateway=ID;ID`: requests of the odd nodes' gateways, or of
    /// those given, do not exist for it, whoever hands them over.
    IgnoreGateway(Vec<ReplicaId>),
    /// `gateway-last`, `gateway-last=300ms;ID;ID`: it takes notice of requests of the odd
    /// nodes' gateways, or of those given, 300 ms or the time given after they came: as
    /// commander it proposes all others first.
    GatewayLast {
        /// Whose; none: the odd nodes.
        gateways: Vec<ReplicaId>,
        /// How much later.
        after: Micros,
    },
    /// `small-batches`: as commander it proposes one bundle at a time, whatever waits.
    SmallBatches,
    /// `delay`, `delay=20ms`: every outgoing message is held back for 5 ms or for
    /// the time given.
    Delay(Micros),
    /// `drop`, `drop=0.5`: every outgoing message is lost with probability 0.1 or
    /// the one given (in millionths).
    Drop(u32),
    /// `duplicate`, `duplicate=0.5`: every outgoing message is sent twice, or
    /// with that probability (in millionths).
    Duplicate(u32),
    /// `reorder`, `reorder=50ms`: every outgoing message is held back for a time
    /// of its own, up to 10 ms or to the time given.
    Reorder(Micros),
    /// `replay`, `replay=0.5`: with every outgoing message goes, with probability
    /// 0.1 or the one given (in millionths), an old one that the node once sent
    /// or received.
    Replay(u32),
    /// `forge`, `forge=short`: messages are counterfeit, in one way or in one that is
    /// drawn each time: `signature`, `name`, `short`, `repeated`, `mixed`.
    Forge(Option<Forgery>),
    /// `amnesia`: having sent a vote, the node forgets everything and goes on as
    /// if it had just been started; once.
    Amnesia,
    /// `twins`, `twins=ID;ID`: two copies of the node under one identity; the
    /// second one talks to the odd nodes, or to those given, alone.
    Twins(Vec<ReplicaId>),
    /// `view-change-spam`, `view-change-spam=20ms`: asks for view changes without
    /// cause, every 50 ms or as often as given.
    ViewChangeSpam(Micros),
    /// `mac-attack`, `mac-attack=20ms`: every 100 ms or as often as given, its gateway hands the commander, be it the node itself, a
    /// request whose tags hold for the commander alone (Clement et al., NSDI 2009, §3). Where requests are signed, a request as any other.
    MacAttack(Micros),
    /// `bad-state`, `bad-state=extent`: parts of its state that it serves to a replica
    /// that was left behind are of no use, in one way, or in one drawn for each.
    BadState(Option<StateFault>),
    /// `diverge`: having sent a message, a bit of the state that it executed flips; once.
    /// By itself it keeps all rules, so a node that does nothing else is judged as
    /// an honest one.
    Diverge,
    /// `flood`, `flood=5000`: so many messages a second, 1000 unless given, that
    /// are of no use: repeated ones, votes for far slots, fetches.
    Flood(u32),
}

/// How a node serves its state badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateFault {
    /// `bit`: a bit of each part is wrong. `extent`: it says that the state is far
    /// larger. `short`: each part is cut to one byte.
    Forged(StateForgery),
    /// `silence`: it sends none.
    Silence,
}

/// Who sends two values, and who gets which.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Equivocation {
    /// Who gets the other value.
    pub split: Split,
    /// The nodes that act together, in ascending order. None: each by itself.
    pub colluders: Vec<ReplicaId>,
}

/// Who gets the other value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Every replica with an odd id; where nodes collude, every second one of the
    /// others.
    #[default]
    Halves,
    /// The replica after the faulty one in ring order, alone; where nodes collude,
    /// the last one of the others.
    Victim,
}

/// A behaviour that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseBehaviourError {
    /// There is no such behaviour.
    #[error("unknown fault {0:?}; known: {KNOWN}")]
    UnknownKind(String),
    /// The part after `=`, or a condition, is missing, superfluous or wrong.
    #[error("fault {fault:?}: {problem}")]
    BadArgument {
        /// The fault as given.
        fault: String,
        /// What is wrong and what would do.
        problem: &'static str,
    },
}

/// All forms, for messages.
pub const KNOWN: &str = "offline, malicious, equivocate[=halves|victim][;ID;ID], withhold, partial[=ID;ID], \
     ignore-gateway[=ID;ID], gateway-last[=TIME][;ID;ID], small-batches, \
     delay[=TIME] (5ms, 300us, 1s), drop[=PROBABILITY] (0 to 1), duplicate[=PROBABILITY], reorder[=TIME], \
     replay[=PROBABILITY], forge[=signature|name|short|repeated|mixed], amnesia, twins[=ID;ID], \
     view-change-spam[=TIME], mac-attack[=TIME], flood[=PER_SECOND], bad-state[=bit|extent|short|silence], diverge; \
     each with conditions in brackets behind it: [after=TIME], [until=TIME], [view=A..B], [seq=A..B], [to=ID;ID], [kind=NAME;NAME]";

const DEFAULT_DELAY: Micros = Micros::from_millis(5);
/// Less than the request timer of any cluster.
const DEFAULT_LAST: Micros = Micros::from_millis(300);
const DEFAULT_DROP: u32 = 100_000;
const DEFAULT_REORDER: Micros = Micros::from_millis(10);
const DEFAULT_SPAM: Micros = Micros::from_millis(50);
const DEFAULT_MAC_ATTACK: Micros = Micros::from_millis(100);
const DEFAULT_REPLAY: u32 = 100_000;
const DEFAULT_FLOOD: u32 = 1000;
const CERTAIN: u32 = 1_000_000;

impl From<Act> for Behaviour {
    fn from(act: Act) -> Behaviour {
        Behaviour { act, when: Trigger::default() }
    }
}

impl Behaviour {
    /// Whether a node that behaves so still says nothing but what the protocol has it
    /// say: it is damaged, not malicious.
    pub fn keeps_rules(&self) -> bool {
        self.act == Act::Diverge
    }

    /// Every replica that the behaviour names.
    pub fn named(&self) -> impl Iterator<Item = ReplicaId> {
        let ids: &[ReplicaId] = match &self.act {
            Act::Partial(ids) | Act::Twins(ids) | Act::IgnoreGateway(ids) => ids,
            Act::GatewayLast { gateways, .. } => gateways,
            Act::Equivocate(plan) => &plan.colluders,
            _ => &[],
        };
        ids.iter().chain(&self.when.to).copied()
    }

    /// What makes the behaviour meaningless among `n` nodes that send messages
    /// of these kinds.
    pub fn problem(&self, n: u16, kinds: &[&str]) -> Option<String> {
        if let Some(stranger) = self.named().find(|id| id.0 >= n) {
            return Some(format!("there is no node {stranger}; ids run from 0 to {}", n - 1));
        }
        let unknown = self.when.kind.iter().find(|kind| !kinds.contains(&kind.as_str()))?;
        Some(format!("no message is of the kind {unknown:?}; known: {}", kinds.join(", ")))
    }
}

impl FromStr for Behaviour {
    type Err = ParseBehaviourError;

    fn from_str(text: &str) -> Result<Behaviour, ParseBehaviourError> {
        let bad = |problem| ParseBehaviourError::BadArgument { fault: text.to_owned(), problem };
        let (act, mut conditions) = text.split_at(text.find('[').unwrap_or(text.len()));
        let mut when = Trigger::default();
        let act = parse_act(act, text)?;
        while !conditions.is_empty() {
            let (condition, rest) =
                conditions.strip_prefix('[').and_then(|open| open.split_once(']')).ok_or_else(|| {
                    bad("conditions stand in brackets of their own, such as [seq=10..20][to=1]")
                })?;
            when.add(condition).map_err(bad)?;
            conditions = rest;
        }
        if !when.is_possible() {
            return Err(bad("a range of its conditions is empty; it must end after it begins"));
        }
        if matches!(act, Act::Twins(_)) && !when.is_about_moments() {
            return Err(bad("twins take conditions about time and view only"));
        }
        Ok(Behaviour { act, when })
    }
}

fn parse_act(act: &str, text: &str) -> Result<Act, ParseBehaviourError> {
    let bad = |problem| ParseBehaviourError::BadArgument { fault: text.to_owned(), problem };
    let (kind, argument) = match act.split_once('=') {
        Some((kind, argument)) => (kind, Some(argument)),
        None => (act, None),
    };
    let none = |act| if argument.is_none() { Ok(act) } else { Err(bad("takes no argument")) };
    // Without an argument the list is empty, which stands for the odd nodes.
    let ids = |problem| argument.map_or(Some(vec![]), parse_ids).ok_or_else(|| bad(problem));
    let probability =
        |problem| argument.map(|p| parse_probability(p).ok_or_else(|| bad(problem))).transpose();
    let time = |problem| argument.map(|t| parse_time(t).ok_or_else(|| bad(problem))).transpose();
    let seldom_enough = |every: Micros| {
        if every >= Micros::from_millis(1) { Ok(every) } else { Err(bad("at most one a millisecond")) }
    };
    match kind {
        "offline" => none(Act::Offline),
        "malicious" => none(Act::Malicious),
        "withhold" => none(Act::Withhold),
        "small-batches" => none(Act::SmallBatches),
        "amnesia" => none(Act::Amnesia),
        "diverge" => none(Act::Diverge),
        "bad-state" => parse_state_fault(argument)
            .map(Act::BadState)
            .ok_or_else(|| bad("the argument is bit, extent, short or silence")),
        "equivocate" => parse_equivocation(argument).map(Act::Equivocate).ok_or_else(|| {
            bad("the argument is halves or victim, ids of nodes that act together, or both, such as victim;0;1")
        }),
        "partial" => ids("the argument is the ids that are served, such as partial=1;2").map(Act::Partial),
        "ignore-gateway" => {
            ids("the argument is the ids of the gateways, such as ignore-gateway=1;2").map(Act::IgnoreGateway)
        }
        "gateway-last" => parse_gateway_last(argument).ok_or_else(|| {
            bad("the argument is a time, ids of gateways, or both, such as gateway-last=300ms;1;2")
        }),
        "delay" => time("the argument is a time, such as delay=5ms, delay=300us or delay=1s")
            .map(|by| Act::Delay(by.unwrap_or(DEFAULT_DELAY))),
        "drop" => probability("the argument is a probability from 0 to 1, such as drop=0.1")
            .map(|p| Act::Drop(p.unwrap_or(DEFAULT_DROP))),
        "duplicate" => probability("the argument is a probability from 0 to 1, such as duplicate=0.5")
            .map(|p| Act::Duplicate(p.unwrap_or(CERTAIN))),
        "replay" => probability("the argument is a probability from 0 to 1, such as replay=0.5")
            .map(|p| Act::Replay(p.unwrap_or(DEFAULT_REPLAY))),
        "reorder" => time("the argument is a time, such as reorder=50ms")
            .map(|most| Act::Reorder(most.unwrap_or(DEFAULT_REORDER))),
        "view-change-spam" => {
            let every = time("the argument is a time, such as view-change-spam=20ms")?;
            seldom_enough(every.unwrap_or(DEFAULT_SPAM)).map(Act::ViewChangeSpam)
        }
        "mac-attack" => {
            let every = time("the argument is a time, such as mac-attack=20ms")?;
            seldom_enough(every.unwrap_or(DEFAULT_MAC_ATTACK)).map(Act::MacAttack)
        }
        "forge" => parse_forgery(argument)
            .map(Act::Forge)
            .ok_or_else(|| bad("the argument is signature, name, short, repeated or mixed")),
        "twins" => {
            ids("the argument is the ids that the second copy talks to, such as twins=1;2").map(Act::Twins)
        }
        "flood" => {
            let rate = argument.map_or(Some(DEFAULT_FLOOD), |rate| rate.parse().ok());
            rate.filter(|rate| (1..=1_000_000).contains(rate))
                .map(Act::Flood)
                .ok_or_else(|| bad("the argument is messages a second, from 1 to 1000000"))
        }
        _ => Err(ParseBehaviourError::UnknownKind(text.to_owned())),
    }
}

fn parse_equivocation(argument: Option<&str>) -> Option<Equivocation> {
    let Some(argument) = argument else {
        return Some(Equivocation::default());
    };
    let (first, rest) =
        argument.split_once(';').map_or((argument, None), |(first, rest)| (first, Some(rest)));
    let (split, colluders) = match first {
        "halves" => (Split::Halves, rest),
        "victim" => (Split::Victim, rest),
        _ => (Split::Halves, Some(argument)),
    };
    let colluders = colluders.map_or(Some(vec![]), parse_ids)?;
    Some(Equivocation { split, colluders })
}

fn parse_gateway_last(argument: Option<&str>) -> Option<Act> {
    let Some(argument) = argument else {
        return Some(Act::GatewayLast { gateways: vec![], after: DEFAULT_LAST });
    };
    let (first, rest) =
        argument.split_once(';').map_or((argument, None), |(first, rest)| (first, Some(rest)));
    let (after, ids) = match parse_time(first) {
        Some(after) => (after, rest),
        None => (DEFAULT_LAST, Some(argument)),
    };
    let gateways = ids.map_or(Some(vec![]), parse_ids)?;
    Some(Act::GatewayLast { gateways, after })
}

const FORGERIES: [(Forgery, &str); 5] = [
    (Forgery::Signature, "signature"),
    (Forgery::Name, "name"),
    (Forgery::Short, "short"),
    (Forgery::Repeated, "repeated"),
    (Forgery::Mixed, "mixed"),
];

fn parse_forgery(argument: Option<&str>) -> Option<Option<Forgery>> {
    let Some(argument) = argument else {
        return Some(None);
    };
    FORGERIES.iter().find(|(_, name)| *name == argument).map(|(forgery, _)| Some(*forgery))
}

const STATE_FAULTS: [(StateFault, &str); 4] = [
    (StateFault::Forged(StateForgery::Bit), "bit"),
    (StateFault::Forged(StateForgery::Extent), "extent"),
    (StateFault::Forged(StateForgery::Short), "short"),
    (StateFault::Silence, "silence"),
];

fn parse_state_fault(argument: Option<&str>) -> Option<Option<StateFault>> {
    let Some(argument) = argument else {
        return Some(None);
    };
    STATE_FAULTS.iter().find(|(_, name)| *name == argument).map(|(fault, _)| Some(*fault))
}

/// A probability as it is written behind the name: nothing if it goes without
/// saying.
struct Probability(u32);

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / 1e6).fmt(f)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Offline => f.write_str("offline"),
            Act::Malicious => f.write_str("malicious"),
            Act::Equivocate(plan) => plan.fmt(f),
            Act::Withhold => f.write_str("withhold"),
            Act::Partial(ids) if ids.is_empty() => f.write_str("partial"),
            Act::Partial(ids) => write!(f, "partial={}", display_ids(ids)),
            Act::IgnoreGateway(ids) if ids.is_empty() => f.write_str("ignore-gateway"),
            Act::IgnoreGateway(ids) => write!(f, "ignore-gateway={}", display_ids(ids)),
            Act::GatewayLast { gateways, after } => {
                let after = (*after != DEFAULT_LAST).then(|| display_time(*after));
                let gateways = (!gateways.is_empty()).then(|| display_ids(gateways));
                write_list(f, "gateway-last", after.into_iter().chain(gateways))
            }
            Act::SmallBatches => f.write_str("small-batches"),
            Act::Delay(by) => write!(f, "delay={}", display_time(*by)),
            Act::Drop(p) => write!(f, "drop={}", Probability(*p)),
            Act::Duplicate(CERTAIN) => f.write_str("duplicate"),
            Act::Duplicate(p) => write!(f, "duplicate={}", Probability(*p)),
            Act::Reorder(DEFAULT_REORDER) => f.write_str("reorder"),
            Act::Reorder(most) => write!(f, "reorder={}", display_time(*most)),
            Act::Replay(DEFAULT_REPLAY) => f.write_str("replay"),
            Act::Replay(p) => write!(f, "replay={}", Probability(*p)),
            Act::Forge(None) => f.write_str("forge"),
            Act::Forge(Some(forgery)) => {
                let name = FORGERIES.iter().find(|(known, _)| known == forgery).map_or("", |(_, name)| name);
                write!(f, "forge={name}")
            }
            Act::Amnesia => f.write_str("amnesia"),
            Act::Diverge => f.write_str("diverge"),
            Act::BadState(None) => f.write_str("bad-state"),
            Act::BadState(Some(fault)) => {
                let name = STATE_FAULTS.iter().find(|(known, _)| known == fault).map_or("", |(_, name)| name);
                write!(f, "bad-state={name}")
            }
            Act::Twins(ids) if ids.is_empty() => f.write_str("twins"),
            Act::Twins(ids) => write!(f, "twins={}", display_ids(ids)),
            Act::ViewChangeSpam(DEFAULT_SPAM) => f.write_str("view-change-spam"),
            Act::ViewChangeSpam(every) => write!(f, "view-change-spam={}", display_time(*every)),
            Act::MacAttack(DEFAULT_MAC_ATTACK) => f.write_str("mac-attack"),
            Act::MacAttack(every) => write!(f, "mac-attack={}", display_time(*every)),
            Act::Flood(DEFAULT_FLOOD) => f.write_str("flood"),
            Act::Flood(rate) => write!(f, "flood={rate}"),
        }
    }
}

impl fmt::Display for Equivocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let victim = (self.split == Split::Victim).then(|| "victim".to_owned());
        let colluders = (!self.colluders.is_empty()).then(|| display_ids(&self.colluders));
        write_list(f, "equivocate", victim.into_iter().chain(colluders))
    }
}

/// A kind and what stands behind it, if anything does.
fn write_list(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    arguments: impl Iterator<Item = String>,
) -> fmt::Result {
    let arguments: Vec<String> = arguments.collect();
    if arguments.is_empty() { f.write_str(kind) } else { write!(f, "{kind}={}", arguments.join(";")) }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.act, self.when)
    }
}

impl Serialize for Behaviour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Behaviour, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[path = "behaviour_tests.rs"]
mod tests;
