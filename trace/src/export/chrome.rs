//! Trace events as Chrome and Perfetto read them.

use super::labels::{self, Labels};
use super::{ExportError, Selection, roles};
use crate::{Line, MarkRecord, Message, Trace, VotePhase};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Tracks of every node. Slots have tracks of their own after these, as many as are open
/// at the same time.
const MARKS: u64 = 0;
const SENT: u64 = 1;
const RECEIVED: u64 = 2;
const FIRST_SLOT: u64 = 3;
/// The process beside the nodes.
const CLUSTER: u64 = 0;

/// The part of a trace in Chrome's trace event format (JSON), for Perfetto. Each node is a
/// process: a track for what it sends, one for what it receives, slots with their phases
/// as slices, and marks. Flow arrows join each departure with its arrivals. Times are
/// microseconds.
///
/// Slices of one track do not overlap: of several messages at one moment, each is one
/// nanosecond after the one before it. `args.t` is the exact time.
///
/// # Errors
///
/// If there would be nothing in it.
pub fn chrome(trace: &Trace, selection: &Selection) -> Result<String, ExportError> {
    let lines = selection.lines(trace)?;
    let mut events = Events { labels: Labels::of(trace), list: Vec::new(), free: BTreeMap::new() };
    events.names(trace, lines.first().and_then(|line| line.t()).unwrap_or(0));
    events.messages(&lines);
    events.slots(&lines);
    for line in &lines {
        events.instant(line);
        events.counter(line);
    }
    Ok(events.finish(trace))
}

struct Events<'a> {
    labels: Labels<'a>,
    /// With their times in nanoseconds.
    list: Vec<(u64, Value)>,
    /// From when on a track of a node is free.
    free: BTreeMap<(u64, u64), u64>,
}

fn process(node: u16) -> u64 {
    u64::from(node) + 1
}

impl Events<'_> {
    fn push(&mut self, t: u64, (pid, tid): (u64, u64), event: Value) {
        let mut fields = Map::from_iter([
            ("ts".to_owned(), microseconds(t)),
            ("pid".to_owned(), pid.into()),
            ("tid".to_owned(), tid.into()),
        ]);
        if let Value::Object(own) = event {
            fields.extend(own);
        }
        self.list.push((t, fields.into()));
    }

    fn names(&mut self, trace: &Trace, at: u64) {
        let names = roles::names(trace, at);
        let processes = names.into_iter().zip(1..).chain([("clients and network".to_owned(), CLUSTER)]);
        for (name, pid) in processes {
            self.push(0, (pid, 0), json!({ "ph": "M", "name": "process_name", "args": { "name": name } }));
            self.push(
                0,
                (pid, 0),
                json!({ "ph": "M", "name": "process_sort_index", "args": { "sort_index": pid } }),
            );
            let tracks = if pid == CLUSTER { &["events"][..] } else { &["marks", "sent", "received"] };
            for (track, tid) in tracks.iter().zip(0..) {
                self.name_track((pid, tid), track);
            }
        }
    }

    fn name_track(&mut self, (pid, tid): (u64, u64), name: &str) {
        self.push(0, (pid, tid), json!({ "ph": "M", "name": "thread_name", "args": { "name": name } }));
        self.push(
            0,
            (pid, tid),
            json!({ "ph": "M", "name": "thread_sort_index", "args": { "sort_index": tid } }),
        );
    }

    /// What a node sends or receives at one moment, as a slice of its own. Returns where
    /// it begins.
    fn moment(&mut self, t: u64, (pid, tid): (u64, u64), name: &str, args: Value) -> u64 {
        let free = self.free.entry((pid, tid)).or_insert(0);
        let begins = t.max(*free);
        *free = begins.saturating_add(1);
        self.push(begins, (pid, tid), json!({ "ph": "X", "dur": 0.001, "name": name, "args": args }));
        begins
    }

    fn messages(&mut self, lines: &[&Line]) {
        let mut arrivals = Vec::new();
        let mut flow = 0u64;
        let messages =
            lines.iter().filter_map(|line| if let Line::Message(it) = line { Some(it) } else { None });
        for message in messages {
            let label = self.labels.message(message);
            let sent = self.moment(message.t, (process(message.from), SENT), &label, of_message(message));
            for (to, times) in &message.to {
                for t in times {
                    let start = json!({ "ph": "s", "id": flow, "name": message.kind, "cat": "message" });
                    self.push(sent, (process(message.from), SENT), start);
                    // An arrow cannot point back in time.
                    arrivals.push(((*t).max(sent), *to, *t, message, flow));
                    flow += 1;
                }
            }
        }
        arrivals.sort_by_key(|(at, to, ..)| (*at, *to));
        for (at, to, t, message, flow) in arrivals {
            let track = (process(to), RECEIVED);
            let label = format!("{} from {}", self.labels.message(message), message.from);
            let args = json!({ "t": t, "from": message.from, "content": message.content });
            let begins = self.moment(at, track, &label, args);
            let end = json!({ "ph": "f", "bp": "e", "id": flow, "name": message.kind, "cat": "message" });
            self.push(begins, track, end);
        }
    }

    /// Slots from a node's first step in them to their execution there.
    fn slots(&mut self, lines: &[&Line]) {
        let mut open: BTreeMap<(u16, u64), Vec<(u64, &'static str)>> = BTreeMap::new();
        let mut tracks = Tracks::default();
        let mut last = 0;
        for line in lines {
            last = last.max(line.t().unwrap_or(0));
            let Line::Mark { t, node, mark } = line else { continue };
            let Some((seq, phase)) = phase(mark) else { continue };
            let steps = open.entry((*node, seq)).or_default();
            if steps.is_empty() {
                tracks.take(*node, seq);
            }
            if phase.is_some() && steps.last().map(|(_, before)| *before) != phase {
                steps.extend(phase.map(|phase| (*t, phase)));
            }
            if let MarkRecord::Executed { .. } = mark {
                let steps = open.remove(&(*node, seq)).unwrap_or_default();
                let tid = tracks.give_back(*node, seq);
                self.slot((*node, tid), seq, &steps, *t);
            }
        }
        for ((node, seq), steps) in open {
            let tid = tracks.give_back(node, seq);
            self.slot((node, tid), seq, &steps, last);
        }
        for (node, count) in tracks.counts() {
            for tid in 0..count {
                let name = if tid == 0 { "slots".to_owned() } else { format!("slots {}", tid + 1) };
                self.name_track((process(node), FIRST_SLOT + tid), &name);
            }
        }
    }

    /// A slice for the slot, and one in it for each phase.
    fn slot(&mut self, (node, tid): (u16, u64), seq: u64, steps: &[(u64, &'static str)], end: u64) {
        let Some((begin, _)) = steps.first() else { return };
        let track = (process(node), FIRST_SLOT + tid);
        let slice = |from: u64, to: u64, name: &str| json!({ "ph": "X", "dur": microseconds(to.saturating_sub(from)), "name": name, "args": { "seq": seq } });
        self.push(*begin, track, slice(*begin, end, &format!("slot {seq}")));
        let ends = steps.iter().skip(1).map(|(t, _)| *t).chain([end]);
        for ((from, phase), to) in steps.iter().zip(ends) {
            self.push(*from, track, slice(*from, to, phase));
        }
    }

    fn instant(&mut self, line: &Line) {
        let event = |name: String| json!({ "ph": "i", "s": "t", "name": name, "args": line_args(line) });
        match line {
            Line::Mark { t, node, mark } => {
                let name = labels::of_mark(mark).unwrap_or_else(|| word(mark));
                self.push(*t, (process(*node), MARKS), event(name));
            }
            Line::Node { t, node, change } => {
                self.push(*t, (process(*node), MARKS), event(labels::change(change)));
            }
            Line::Rejected { t, node, from, reason, .. } => {
                let name = labels::plain(&format!("refuses a message of {from}: {reason}"));
                self.push(*t, (process(*node), MARKS), event(name));
            }
            Line::Network { t, change } => self.push(*t, (CLUSTER, 0), event(labels::plain(change))),
            Line::Request { t, request, .. } => {
                self.push(*t, (CLUSTER, 0), event(format!("request {request}")))
            }
            Line::Answer { t, request, .. } => {
                self.push(*t, (CLUSTER, 0), event(format!("answer to {request}")))
            }
            Line::TimedOut { t, request } => {
                self.push(*t, (CLUSTER, 0), event(format!("no answer in time to {request}")));
            }
            _ => {}
        }
    }

    /// How many slots are in flight, and the last one executed.
    fn counter(&mut self, line: &Line) {
        let Line::State { t, node, state } = line else { return };
        let mut count = |name: &str, value: u64| {
            self.push(
                *t,
                (process(*node), MARKS),
                json!({ "ph": "C", "name": name, "args": { "slots": value } }),
            );
        };
        if let Some(in_flight) = state.in_flight {
            count("in flight", in_flight as u64);
        }
        if let Some(executed) = state.last_executed {
            count("last executed", executed);
        }
    }

    fn finish(self, trace: &Trace) -> String {
        let Events { mut list, .. } = self;
        list.sort_by_key(|(t, _)| *t);
        let events: Vec<Value> = list.into_iter().map(|(_, event)| event).collect();
        let about = json!({
            "protocol": trace.header.protocol,
            "app": trace.header.app,
            "nodes": trace.header.nodes,
            "title": trace.header.title,
        });
        json!({ "displayTimeUnit": "ns", "otherData": about, "traceEvents": events }).to_string() + "\n"
    }
}

/// Tracks on which the open slots of each node are.
#[derive(Default)]
struct Tracks {
    taken: BTreeMap<u16, BTreeMap<u64, u64>>,
    most: BTreeMap<u16, u64>,
}

impl Tracks {
    /// The lowest track that is free.
    fn take(&mut self, node: u16, seq: u64) {
        let taken = self.taken.entry(node).or_default();
        let used: BTreeSet<u64> = taken.values().copied().collect();
        let tid = (0..).find(|tid| !used.contains(tid)).unwrap_or(0);
        taken.insert(seq, tid);
        let most = self.most.entry(node).or_default();
        *most = (*most).max(tid + 1);
    }

    fn give_back(&mut self, node: u16, seq: u64) -> u64 {
        self.taken.entry(node).or_default().remove(&seq).unwrap_or(0)
    }

    fn counts(&self) -> Vec<(u16, u64)> {
        self.most.iter().map(|(node, count)| (*node, *count)).collect()
    }
}

/// What a node waits for in a slot from this mark on; none if the mark only ends it.
fn phase(mark: &MarkRecord) -> Option<(u64, Option<&'static str>)> {
    match mark {
        MarkRecord::Proposed { seq, .. } | MarkRecord::Accepted { seq, .. } => Some((*seq, Some("prepare"))),
        MarkRecord::Voted { phase: VotePhase::Commit, seq, .. } => Some((*seq, Some("commit"))),
        MarkRecord::Voted { seq, .. } => Some((*seq, Some("prepare"))),
        MarkRecord::Committed { seq, .. } => Some((*seq, Some("execute"))),
        MarkRecord::Executed { seq, .. } => Some((*seq, None)),
        _ => None,
    }
}

fn of_message(message: &Message) -> Value {
    let lost = message.to.iter().filter(|(_, times)| times.is_empty()).map(|(to, _)| *to);
    json!({
        "t": message.t,
        "bytes": message.bytes,
        "content": message.content,
        "not arrived at": lost.collect::<Vec<_>>(),
    })
}

/// All that a line says.
fn line_args(line: &Line) -> Value {
    serde_json::to_value(line).unwrap_or_default()
}

/// The name of a mark in the format.
fn word(mark: &MarkRecord) -> String {
    let value = serde_json::to_value(mark).unwrap_or_default();
    value["mark"].as_str().unwrap_or_default().into()
}

/// Exact to the nanosecond for runs of up to 104 days.
fn microseconds(ns: u64) -> Value {
    if ns.is_multiple_of(1000) { (ns / 1000).into() } else { (ns as f64 / 1000.0).into() }
}
