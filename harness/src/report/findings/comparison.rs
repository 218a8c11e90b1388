//! Protocols compared with PBFT; where there is nothing to compare, how long each takes.

use std::collections::BTreeMap;

use super::{Finding, Weight, limited, name, without_faults_under};
use crate::report::figures::{id, interval};
use crate::report::format::{digits, duration, per_decision};
use crate::report::material::{Group, Material, join};
use crate::report::style::{given_up, is_marked};
use crate::report::words::{fault_phrase, list};
use crate::results::schema::SummaryRow;
use crate::results::setting::Variant;
use crate::results::summary::{BASELINE, PAPER_WARNING, is_significant, protocol_rank};

/// Most sizes of clusters that one sentence names.
const SIZES: usize = 3;

/// With more loads than this, one sentence tells of all of them.
const LOADS: usize = 2;

/// Most settings that one sentence names for a verdict.
const NAMED: usize = 4;

/// A row and PBFT's of the same setting.
#[derive(Clone, Copy)]
struct Pair<'a> {
    row: &'a SummaryRow,
    baseline: &'a SummaryRow,
    ratio: f64,
}

/// How a protocol's time compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Faster,
    Slower,
    NotSignificant,
}

impl Pair<'_> {
    fn verdict(&self) -> Verdict {
        match (is_significant(self.row), self.ratio < 1.0) {
            (false, _) => Verdict::NotSignificant,
            (true, true) => Verdict::Faster,
            (true, false) => Verdict::Slower,
        }
    }

    /// `0.51–0.62`, or that there is none.
    fn interval(&self) -> String {
        match (self.row.ratio_low, self.row.ratio_high) {
            (Some(low), Some(high)) => interval(low, high),
            _ => "no interval".into(),
        }
    }

    /// What it is about: what makes either side doubtful makes the comparison so.
    fn cells(&self) -> [String; 2] {
        [&self.row, &self.baseline].map(|row| row.cell.clone())
    }

    /// `17 messages instead of 84`, or `as many messages, 24`.
    fn messages(&self) -> Option<String> {
        let (own, theirs) = (self.row.messages_per_decision?, self.baseline.messages_per_decision?);
        let (own, theirs) = (per_decision(own), per_decision(theirs));
        Some(match own == theirs {
            true => format!("as many messages, {own}"),
            false => format!("{own} messages instead of {theirs}"),
        })
    }
}

/// The findings: a sentence for each protocol without faults, then one for each
/// protocol and size with all its faults.
pub(super) fn findings(material: &Material) -> Vec<Finding> {
    let groups = material.groups();
    let mut by_protocol: BTreeMap<(usize, &str), BTreeMap<&Variant, Vec<&Group>>> = BTreeMap::new();
    for group in &groups {
        for row in &group.rows {
            let of_protocol =
                by_protocol.entry((protocol_rank(&row.protocol), row.protocol.as_str())).or_default();
            of_protocol.entry(&group.setting.variant).or_default().push(group);
        }
    }
    let mut headlines = Vec::new();
    let mut details = Vec::new();
    for ((_, protocol), by_load) in &by_protocol {
        let compared = |groups: &[&Group]| groups.iter().any(|group| pair(group, protocol).is_some());
        let many = by_load.values().filter(|groups| compared(groups)).count() > LOADS;
        if many {
            headlines.extend(under_loads(protocol, by_load, material));
        }
        for (variant, groups) in by_load {
            let label = material.label(variant);
            if compared(groups) {
                headlines.extend((!many).then(|| without_faults(protocol, groups, &label)).flatten());
                details.extend(with_faults(protocol, groups, &label));
            } else if !groups.iter().any(|group| group.row(BASELINE).is_some()) {
                headlines.extend(alone(protocol, groups, &label));
            }
        }
    }
    let mut all = limited(headlines, id::RATIO);
    all.extend(limited(details, id::RATIO));
    all
}

fn pair<'a>(group: &Group<'a>, protocol: &str) -> Option<Pair<'a>> {
    if protocol == BASELINE {
        return None;
    }
    let row = group.row(protocol)?;
    Some(Pair { row, baseline: group.row(BASELINE)?, ratio: row.ratio_to_pbft? })
}

/// The smallest and the largest sizes, as many as fit one sentence.
fn few<T: Copy>(all: &[T]) -> Vec<T> {
    match all {
        [first, .., last] if all.len() > SIZES => vec![*first, *last],
        _ => all.to_vec(),
    }
}

fn without_faults(protocol: &str, groups: &[&Group], label: &str) -> Option<Finding> {
    let pairs: Vec<Pair> = groups
        .iter()
        .filter(|group| group.setting.fault == "none")
        .filter_map(|group| pair(group, protocol))
        .collect();
    let mut named = few(&pairs);
    // What was found before what was not.
    named.sort_by_key(|pair| pair.verdict() == Verdict::NotSignificant);
    let clauses: Vec<String> = named.iter().map(clause).collect();
    if clauses.is_empty() {
        return None;
    }
    let condition = without_faults_under(label);
    let text = format!("{condition}, {} {}.{}", name(protocol), clauses.join("; it "), warning(protocol));
    let cells = pairs.iter().flat_map(Pair::cells).collect();
    Some(Finding::new(Weight::Headline, id::RATIO, text, cells))
}

fn clause(pair: &Pair) -> String {
    let (nodes, interval, ratio) = (pair.row.nodes, pair.interval(), digits(pair.ratio));
    let messages =
        |with: &str| pair.messages().map_or_else(String::new, |messages| format!("{with} {messages}"));
    match pair.verdict() {
        Verdict::Faster => {
            let messages = messages(" and sends");
            format!("decides in {ratio} × PBFT’s time at n = {nodes} (95 % {interval}){messages}")
        }
        Verdict::Slower => {
            let messages = messages(" and sends");
            format!("takes {ratio} × PBFT’s time at n = {nodes} (95 % {interval}){messages}")
        }
        Verdict::NotSignificant => {
            let messages = messages(", and sends");
            format!(
                "is not significantly faster or slower than PBFT at n = {nodes} ({ratio} ×, 95 % {interval}){messages}"
            )
        }
    }
}

fn with_faults(protocol: &str, groups: &[&Group], label: &str) -> Vec<Finding> {
    let mut sizes: Vec<u32> = groups.iter().map(|group| group.setting.nodes).collect();
    sizes.dedup();
    let sentence = |nodes: u32| {
        let here = || groups.iter().filter(move |group| group.setting.nodes == nodes);
        let faulty = here().filter(|group| group.setting.fault != "none");
        let pairs: Vec<Pair> = faulty.filter_map(|group| pair(group, protocol)).collect();
        let free = here().find(|group| group.setting.fault == "none").and_then(|group| pair(group, protocol));
        let was_faster = free.is_some_and(|free| free.verdict() == Verdict::Faster);
        let under = |pair: &Pair| under(pair, &fault_phrase(&pair.row.fault, nodes));
        let parts = verdicts(&pairs, was_faster, &under);
        let cells = pairs.iter().flat_map(Pair::cells).collect();
        let at = join(&[&format!("n = {nodes}"), label]);
        let text = format!("With faults at {at}, {} is {parts}.", name(protocol));
        (!parts.is_empty()).then(|| Finding::new(Weight::Detail, id::RATIO, text, cells))
    };
    sizes.into_iter().filter_map(sentence).collect()
}

/// All fault-free cells of a protocol that was measured under many loads.
fn under_loads(
    protocol: &str,
    by_load: &BTreeMap<&Variant, Vec<&Group>>,
    material: &Material,
) -> Option<Finding> {
    let groups = by_load.values().flatten().filter(|group| group.setting.fault == "none");
    let pairs: Vec<Pair> = groups.filter_map(|group| pair(group, protocol)).collect();
    let mut sizes: Vec<u32> = pairs.iter().map(|pair| pair.row.nodes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let condition = |pair: &Pair| {
        let load = material.setting(pair.row).map_or_else(String::new, |s| material.label(&s.variant));
        let nodes = if sizes.len() > 1 { format!("n = {}", pair.row.nodes) } else { String::new() };
        under(pair, &join(&[&nodes, &load]))
    };
    let parts = verdicts(&pairs, false, &condition);
    let at = match sizes.as_slice() {
        [one] => format!(" at n = {one}"),
        _ => String::new(),
    };
    let text = format!("Without faults{at}, {} is {parts}.{}", name(protocol), warning(protocol));
    let cells = pairs.iter().flat_map(Pair::cells).collect();
    (!parts.is_empty()).then(|| Finding::new(Weight::Headline, id::RATIO, text, cells))
}

/// Under what it is faster, slower and neither.
fn verdicts(pairs: &[Pair], was_faster: bool, condition: &dyn Fn(&Pair) -> String) -> String {
    let of = |verdict: Verdict, what: &str| {
        let mut alike: Vec<String> =
            pairs.iter().filter(|pair| pair.verdict() == verdict).map(condition).collect();
        if alike.len() > NAMED + 1 {
            let more = alike.split_off(NAMED).len();
            alike.push(format!("{more} more"));
        }
        let gone =
            if was_faster && verdict != Verdict::Faster { ": there the advantage is gone" } else { "" };
        (!alike.is_empty()).then(|| format!("{what} with {}{gone}", list(&alike)))
    };
    let parts = [
        of(Verdict::Faster, "faster than PBFT"),
        of(Verdict::Slower, "slower than PBFT"),
        of(Verdict::NotSignificant, "not significantly different from PBFT"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What has to stand beside numbers of another service.
fn warning(protocol: &str) -> String {
    if is_marked(protocol) {
        return format!(" But {protocol} is {PAPER_WARNING}: this is not the same service.");
    }
    given_up(protocol)
        .map_or_else(String::new, |given_up| format!(" This is not the same service: {given_up}."))
}

/// `f = 2 offline nodes (0.99 ×, 95 % 0.95–1.04)`.
fn under(pair: &Pair, condition: &str) -> String {
    format!("{condition} ({} ×, 95 % {})", digits(pair.ratio), pair.interval())
}

/// Where PBFT was not measured beside it: medians and messages.
fn alone(protocol: &str, groups: &[&Group], label: &str) -> Option<Finding> {
    let mut cells = Vec::new();
    let mut clauses = Vec::new();
    for group in few(groups) {
        let row = group.row(protocol)?;
        cells.push(row.cell.clone());
        let nodes = group.setting.nodes;
        let fault = match group.setting.fault.as_str() {
            "none" => "without faults".to_string(),
            fault => format!("with {}", fault_phrase(fault, nodes)),
        };
        clauses.push(match row.p50_us {
            None => format!("decides nothing at n = {nodes} {fault}"),
            Some(p50) => {
                let us = |us: u64| duration(Some(us as f64));
                let interval = match (row.p50_low_us, row.p50_high_us) {
                    (Some(low), Some(high)) => format!("95 % {} to {}", us(low), us(high)),
                    _ => "no interval".into(),
                };
                let messages = row
                    .messages_per_decision
                    .map_or_else(String::new, |messages| format!(" and {} messages", per_decision(messages)));
                format!("takes {} (median; {interval}){messages} at n = {nodes} {fault}", us(p50))
            }
        });
    }
    let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
    let text = format!("{}{label} {}.", name(protocol), clauses.join("; "));
    (!clauses.is_empty()).then(|| Finding::new(Weight::Headline, id::TIME, text, cells))
}
