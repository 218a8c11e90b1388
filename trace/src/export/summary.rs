//! What is in a trace, for people.

use super::labels::{self, plain};
use crate::{Clock, Line, MarkRecord, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Most lines of a list.
const LISTED: usize = 20;

/// What is in a whole trace: protocol, nodes, times, messages by kind, requests, decided
/// slots, view changes, faults, and a violation.
pub fn summary(trace: &Trace) -> String {
    let mut text = Text(String::new());
    head(&mut text, trace);
    requests(&mut text, trace);
    decided(&mut text, trace);
    view_changes(&mut text, trace);
    faults(&mut text, trace);
    messages(&mut text, trace);
    text.0
}

struct Text(String);

impl Text {
    /// A line: what, and what is said of it.
    fn say(&mut self, what: &str, said: impl std::fmt::Display) {
        let line = format!("{what:<14}{said}");
        writeln!(self.0, "{}", line.trim_end()).expect("memory takes all that is written to it");
    }

    /// A list under one heading, cut where it is long.
    fn list(&mut self, what: &str, items: &[String]) {
        for (place, item) in items.iter().take(LISTED).enumerate() {
            self.say(if place == 0 { what } else { "" }, item);
        }
        if items.len() > LISTED {
            self.say("", format_args!("and {} more", items.len() - LISTED));
        }
    }
}

fn head(text: &mut Text, trace: &Trace) {
    let header = &trace.header;
    text.say("title", plain(&header.title));
    text.say("protocol", plain(&format!("{}, application {}", header.protocol, header.app)));
    let nodes = format!("{}, at most {} faulty, {} votes decide", header.nodes, header.f, header.quorum);
    text.say("nodes", nodes);
    let clock = match header.clock {
        Clock::Virtual => "virtual time",
        Clock::Real => "real time",
    };
    text.say("time", format_args!("{} of {clock}", labels::time(trace.end.t)));
    if let Some(digest) = &trace.end.digest {
        text.say("digest", plain(digest));
    }
    let notes: Vec<String> = header.notes.iter().map(|note| plain(note)).collect();
    text.list("missing", &notes);
    match &trace.end.violation {
        Some(violation) => text.say("VIOLATION", plain(violation)),
        None => text.say("violation", "none"),
    }
}

fn requests(text: &mut Text, trace: &Trace) {
    let (mut asked, mut times, mut timed_out) = (BTreeMap::new(), Vec::new(), 0);
    for line in &trace.lines {
        match line {
            Line::Request { t, request, .. } => drop(asked.insert(request, *t)),
            Line::Answer { t, request, .. } => {
                times.extend(asked.get(request).map(|began| t.saturating_sub(*began)));
            }
            Line::TimedOut { .. } => timed_out += 1,
            _ => {}
        }
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).map(|ns| format!(", median {}", labels::time(*ns)));
    text.say(
        "requests",
        format_args!(
            "{} asked, {} answered{}, {timed_out} not in time",
            asked.len(),
            times.len(),
            median.unwrap_or_default()
        ),
    );
}

fn decided(text: &mut Text, trace: &Trace) {
    let mut slots = BTreeSet::new();
    let mut paths: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for line in &trace.lines {
        if let Line::Mark { mark: MarkRecord::Committed { seq, path, .. }, .. } = line {
            slots.insert(*seq);
            paths.entry(path).or_default().insert(*seq);
        }
    }
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
        return text.say("decided", "no slot");
    };
    let paths: Vec<String> =
        paths.iter().map(|(path, slots)| format!("{} {}", slots.len(), plain(path))).collect();
    let slots = match slots.len() {
        1 => format!("slot {first}"),
        count => format!("{count} slots, {first} to {last}"),
    };
    text.say("decided", format_args!("{slots}: {}", paths.join(", ")));
}

fn view_changes(text: &mut Text, trace: &Trace) {
    let mut views: BTreeMap<u64, (u64, BTreeSet<u16>)> = BTreeMap::new();
    for line in &trace.lines {
        if let Line::Mark { t, node, mark: MarkRecord::ViewBegan { view } } = line {
            views.entry(*view).or_insert((*t, BTreeSet::new())).1.insert(*node);
        }
    }
    let items: Vec<String> = views
        .iter()
        .map(|(view, (t, nodes))| {
            let nodes: Vec<String> = nodes.iter().map(u16::to_string).collect();
            format!("view {view} at {}, at nodes {}", labels::time(*t), nodes.join(", "))
        })
        .collect();
    match items.is_empty() {
        true => text.say("view changes", "none"),
        false => text.list("view changes", &items),
    }
}

fn faults(text: &mut Text, trace: &Trace) {
    let header = &trace.header;
    let mut items: Vec<String> = header
        .faults
        .iter()
        .map(|(node, faults)| plain(&format!("node {node}: {}", faults.join(", "))))
        .collect();
    let mut offences: BTreeMap<u16, usize> = BTreeMap::new();
    for line in &trace.lines {
        match line {
            Line::Node { t, node, change } => {
                items.push(format!("{}: node {node} {}", labels::time(*t), labels::change(change)));
            }
            Line::Network { t, change } => {
                items.push(plain(&format!("{}: network {change}", labels::time(*t))));
            }
            Line::Rejected { from, offence: true, .. } => *offences.entry(*from).or_default() += 1,
            _ => {}
        }
    }
    match items.is_empty() {
        true => text.say("faults", "none"),
        false => text.list("faults", &items),
    }
    let refused: Vec<String> = offences
        .iter()
        .map(|(from, count)| {
            format!("{count} from node {from} for what only a faulty author writes, itself or another")
        })
        .collect();
    text.list("refused", &refused);
}

#[derive(Default)]
struct Volume {
    sent: usize,
    copies: usize,
    missing: usize,
    bytes: u64,
}

fn messages(text: &mut Text, trace: &Trace) {
    let mut kinds: BTreeMap<&str, Volume> = BTreeMap::new();
    for line in &trace.lines {
        let Line::Message(message) = line else { continue };
        let volume = kinds.entry(&message.kind).or_default();
        volume.sent += 1;
        volume.copies += message.to.len();
        volume.missing += message.to.iter().filter(|(_, times)| times.is_empty()).count();
        volume.bytes = volume.bytes.saturating_add(message.bytes.saturating_mul(message.to.len() as u64));
    }
    if kinds.is_empty() {
        return text.say("messages", "none");
    }
    text.say(
        "messages",
        format_args!("{:<20}{:>10}{:>10}{:>13}{:>14}", "kind", "sent", "copies", "not arrived", "bytes"),
    );
    for (kind, Volume { sent, copies, missing, bytes }) in kinds {
        text.say("", format_args!("{:<20}{sent:>10}{copies:>10}{missing:>13}{bytes:>14}", plain(kind)));
    }
}
