//! Makes one trace of the parts that the nodes of a real cluster have written.

use crate::Trace;
use crate::format::{End, Header, Line, Message, NodeChange};
use crate::part::{Asked, Noted, Sent};
use crate::recorder::About;
use crate::words;
use apps::AppName;
use kernel::{Cluster, Digest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What one node has noted from one start to its end, read from its text.
#[derive(Clone, Debug)]
pub struct Part {
    node: u16,
    began: u64,
    /// When it last noted anything.
    last: u64,
    /// By their number in this part.
    values: Vec<String>,
    contents: HashMap<Digest, Value>,
    missing: Vec<String>,
    events: Vec<(u64, Event)>,
    end: PartEnd,
}

/// What happened at a node.
#[derive(Clone, Debug)]
enum Event {
    Line(Line),
    Sent(Sent),
    Arrived { from: u16, content: Digest },
    ClientAsked { of: Asked, asks: Value },
    ClientAnswered { of: Asked, seq: u64, view: u64, result: Value },
    Began,
    Crashed,
}

/// How a part ends.
#[derive(Clone, Debug)]
enum PartEnd {
    Whole,
    /// The node was killed, or its file could not be written any more.
    CutOff,
    /// The recording ended before the node did.
    Stopped(String),
}

/// A text that is no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of what node {node} has recorded cannot be read: {problem}; record the run again")]
pub struct BadPart {
    /// Whose it is; `?` if even that cannot be read.
    pub node: String,
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

impl Part {
    /// Reads what a [`crate::PartWriter`] has written. A last line that was cut in the
    /// middle is left out; none is returned if not even the first is whole.
    ///
    /// # Errors
    ///
    /// What cannot be read, and where.
    pub fn parse(text: &[u8]) -> Result<Option<Part>, BadPart> {
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = (1..).zip(text[..whole].split_inclusive(|byte| *byte == b'\n'));
        let Some((_, first)) = lines.next() else { return Ok(None) };
        let bad = |node: &str, line, problem: &dyn ToString| BadPart {
            node: node.into(),
            line,
            problem: problem.to_string(),
        };
        let (t, node) = match serde_json::from_slice(first) {
            Ok(Noted::Began { t, node }) => (t, node),
            Ok(_) => return Err(bad("?", 1, &"it does not say whose part this is")),
            Err(error) => return Err(bad("?", 1, &error)),
        };
        let mut part = Part {
            node,
            began: t,
            last: t,
            values: Vec::new(),
            contents: HashMap::new(),
            missing: Vec::new(),
            events: vec![(t, Event::Began)],
            end: PartEnd::CutOff,
        };
        for (at, line) in lines {
            part.take(line).map_err(|error| bad(&node.to_string(), at, &error))?;
        }
        Ok(Some(part))
    }

    fn take(&mut self, text: &[u8]) -> serde_json::Result<()> {
        // Which of the two it is shows in its first field.
        if !text.starts_with(b"{\"part\"") {
            match serde_json::from_slice(text)? {
                Line::Value { digest, .. } => self.values.push(digest),
                line => {
                    if let Some(t) = line.t() {
                        self.note(t, Event::Line(line));
                    }
                }
            }
            return Ok(());
        }
        match serde_json::from_slice(text)? {
            Noted::Began { .. } => {}
            Noted::Content { digest, body } => drop(self.contents.insert(digest, body)),
            Noted::Sent(sent) => self.note(sent.t, Event::Sent(sent)),
            Noted::Arrived { t, from, content } => self.note(t, Event::Arrived { from, content }),
            Noted::ClientAsked { t, of, asks } => self.note(t, Event::ClientAsked { of, asks }),
            Noted::ClientAnswered { t, of, seq, view, result } => {
                self.note(t, Event::ClientAnswered { of, seq, view, result });
            }
            Noted::Missing { what } => self.missing.push(what),
            Noted::Stopped { why } => self.end = PartEnd::Stopped(why),
            Noted::Ended { .. } => self.end = PartEnd::Whole,
        }
        Ok(())
    }

    fn note(&mut self, t: u64, event: Event) {
        self.last = self.last.max(t);
        self.events.push((t, event));
    }
}

/// One trace of all parts; a node that was started again has several. `killed` says when
/// which node was killed. Notes in the header say what is missing.
///
/// An arrival belongs to the oldest copy of the same content from the same sender to the
/// same recipient that has not arrived yet: links keep the order. Where the recording of
/// one node ended early, the trace ends there.
pub fn merge(cluster: &Cluster, about: About, mut parts: Vec<Part>, killed: &[(u64, u16)]) -> Trace {
    parts.sort_by_key(|part| (part.node, part.began));
    let mut merge = Merge::new(about.app, about.f + 1);
    let mut header = about.header(cluster);
    let until = merge.note_ends(cluster, &parts, killed);
    let mut events = timeline(&mut parts, killed);
    for part in &mut parts {
        merge.notes.append(&mut part.missing);
        merge.bodies.extend(std::mem::take(&mut part.contents));
    }
    events.retain(|(t, ..)| until.is_none_or(|until| *t <= until));
    events.sort_by_key(|(t, ..)| *t);
    for (t, place, event) in events {
        merge.take(t, place, &parts, event);
    }
    merge.note_unmatched();
    header.notes = merge.notes;
    finish(header, merge.lines)
}

/// All that happened: when, in which part, what.
fn timeline(parts: &mut [Part], killed: &[(u64, u16)]) -> Vec<(u64, usize, Event)> {
    let mut events = Vec::new();
    for (place, part) in parts.iter_mut().enumerate() {
        events.extend(std::mem::take(&mut part.events).into_iter().map(|(t, event)| (t, place, event)));
    }
    for (place, part) in parts.iter().enumerate() {
        // Its next part shows that it was killed, if nobody has said so.
        let next = parts.get(place + 1).filter(|next| next.node == part.node);
        if let Some(next) = next
            && !was_killed(killed, part, next.began)
        {
            events.push((part.last, place, Event::Crashed));
        }
    }
    for (t, node) in killed {
        let of_node = |part: &Part| part.node == *node && part.began <= *t;
        if let Some(place) = parts.iter().rposition(of_node) {
            events.push((*t, place, Event::Crashed));
        }
    }
    events
}

/// Whether somebody has said that the node was killed between the last line of this part
/// and `before`.
fn was_killed(killed: &[(u64, u16)], part: &Part, before: u64) -> bool {
    killed.iter().any(|(t, node)| *node == part.node && (part.last..=before).contains(t))
}

/// A trace of these lines, its times counted from the first of them.
fn finish(header: Header, mut lines: Vec<Line>) -> Trace {
    let origin = lines.iter().find_map(Line::t).unwrap_or(0);
    lines.iter_mut().for_each(|line| line.move_back(origin));
    let t = lines.iter().rev().find_map(Line::t).unwrap_or(0);
    let end = End { end: true, lines: lines.len(), t, digest: None, violation: None };
    Trace { header, lines, end }
}

/// A copy that has not arrived yet: its line and its place there.
type OnItsWay = (usize, usize);

struct Merge {
    app: AppName,
    /// Results that a client with a key accepts.
    replies_needed: usize,
    lines: Vec<Line>,
    notes: Vec<String>,
    values: HashMap<String, u32>,
    contents: HashMap<Digest, u32>,
    /// Contents that have no line yet.
    bodies: HashMap<Digest, Value>,
    copies: u64,
    /// By sender, recipient and content; the oldest first.
    on_their_way: HashMap<(u16, u16, Digest), VecDeque<OnItsWay>>,
    /// Arrivals of what nobody has noted to have sent, by sender.
    unmatched: BTreeMap<u16, u64>,
    requests: u64,
    /// By part and number there.
    of_gateways: HashMap<(usize, u64), u64>,
    of_clients: HashMap<Asked, ClientRequest>,
    /// What is in the application of each node.
    keys: BTreeMap<u16, BTreeSet<String>>,
}

/// The request of a client with a key.
struct ClientRequest {
    request: u64,
    /// Who has sent it which result; none once that were enough.
    results: Option<Vec<(u16, Value)>>,
}

impl Merge {
    fn new(app: AppName, replies_needed: usize) -> Merge {
        Merge {
            app,
            replies_needed,
            lines: Vec::new(),
            notes: Vec::new(),
            values: HashMap::new(),
            contents: HashMap::new(),
            bodies: HashMap::new(),
            copies: 0,
            on_their_way: HashMap::new(),
            unmatched: BTreeMap::new(),
            requests: 0,
            of_gateways: HashMap::new(),
            of_clients: HashMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Notes which parts are missing or not whole. Returns until when all of them are.
    fn note_ends(&mut self, cluster: &Cluster, parts: &[Part], killed: &[(u64, u16)]) -> Option<u64> {
        for id in cluster.replicas().filter(|id| parts.iter().all(|part| part.node != id.0)) {
            self.notes.push(format!("node {id}: it has recorded nothing, so that what it did is missing"));
        }
        for (place, part) in parts.iter().enumerate() {
            let is_last = parts.get(place + 1).is_none_or(|next| next.node != part.node);
            if matches!(part.end, PartEnd::CutOff) && is_last && !was_killed(killed, part, u64::MAX) {
                self.notes.push(format!(
                    "node {}: the end of its recording is missing, although nobody killed the node",
                    part.node
                ));
            }
        }
        let stopped = parts.iter().filter_map(|part| match &part.end {
            PartEnd::Stopped(why) => Some((part.last, part.node, why)),
            _ => None,
        });
        let (until, node, why) = stopped.min()?;
        self.notes.push(format!("the trace ends early: node {node} is not recorded to the end: {why}"));
        Some(until)
    }

    fn note_unmatched(&mut self) {
        for (from, count) in &self.unmatched {
            self.notes.push(format!(
                "{count} copies from node {from} have arrived whose departure was not recorded; they are left out"
            ));
        }
    }

    fn take(&mut self, t: u64, place: usize, parts: &[Part], event: Event) {
        let part = &parts[place];
        match event {
            Event::Line(line) => self.line(place, part, line),
            Event::Sent(sent) => self.sent(part, sent),
            Event::Arrived { from, content } => self.arrived(t, from, part.node, content),
            Event::ClientAsked { of, asks } => self.client_asked(t, part.node, of, asks),
            Event::ClientAnswered { of, seq, view, result } => {
                self.client_answered(t, part.node, of, (seq, view), result);
            }
            Event::Began => {
                let is_again = place.checked_sub(1).is_some_and(|before| parts[before].node == part.node);
                if is_again {
                    self.restarted(t, part.node);
                }
            }
            Event::Crashed => {
                self.lines.push(Line::Node { t, node: part.node, change: NodeChange::Crashed });
            }
        }
    }

    /// What a part has as a trace has it, apart from the numbers.
    fn line(&mut self, place: usize, part: &Part, mut line: Line) {
        if let Some(value) = line.value_mut() {
            *value = self.value(part, *value);
        }
        match &mut line {
            Line::Request { request, .. } => {
                let number = self.next_request();
                self.of_gateways.insert((place, *request), number);
                *request = number;
            }
            Line::Answer { request, .. } | Line::TimedOut { request, .. } => {
                let Some(number) = self.of_gateways.get(&(place, *request)) else { return };
                *request = *number;
            }
            Line::App { node, set, gone, .. } => {
                let keys = self.keys.entry(*node).or_default();
                keys.extend(set.keys().cloned());
                keys.retain(|key| !gone.contains(key));
            }
            _ => {}
        }
        self.lines.push(line);
    }

    fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests - 1
    }

    fn sent(&mut self, part: &Part, sent: Sent) {
        let value = sent.value.map(|value| self.value(part, value));
        let content = self.content(sent.content);
        let line = self.lines.len();
        for (place, to) in sent.to.iter().enumerate().filter(|(_, to)| !sent.lost.contains(to)) {
            let link = (part.node, *to, sent.content);
            self.on_their_way.entry(link).or_default().push_back((line, place));
        }
        let copy = self.copies;
        self.copies += sent.to.len() as u64;
        self.lines.push(Line::Message(Message {
            t: sent.t,
            from: part.node,
            kind: sent.kind,
            content,
            view: sent.view,
            seq: sent.seq,
            value,
            bytes: sent.bytes,
            copy,
            to: sent.to.into_iter().map(|to| (to, Vec::new())).collect(),
        }));
    }

    fn arrived(&mut self, t: u64, from: u16, to: u16, content: Digest) {
        let link = (from, to, content);
        let oldest = self.on_their_way.get_mut(&link).and_then(VecDeque::pop_front);
        let Some((line, place)) = oldest else {
            *self.unmatched.entry(from).or_default() += 1;
            return;
        };
        if let Line::Message(message) = &mut self.lines[line] {
            message.to[place].1.push(t);
        }
    }

    fn client_asked(&mut self, t: u64, node: u16, of: Asked, asks: Value) {
        // Clients ask all nodes, and again when they get no answer.
        if self.of_clients.contains_key(&of) {
            return;
        }
        let request = self.next_request();
        self.of_clients.insert(of, ClientRequest { request, results: Some(Vec::new()) });
        self.lines.push(Line::Request { t, request, gateway: node, asks });
    }

    fn client_answered(&mut self, t: u64, node: u16, of: Asked, (seq, view): (u64, u64), result: Value) {
        let Some(ClientRequest { request, results }) = self.of_clients.get_mut(&of) else { return };
        let Some(sent) = results else { return };
        if sent.iter().any(|(of_node, sent)| *of_node == node && *sent == result) {
            return;
        }
        sent.push((node, result.clone()));
        if sent.iter().filter(|(_, sent)| *sent == result).count() >= self.replies_needed {
            *results = None;
            self.lines.push(Line::Answer { t, request: *request, seq, view, result });
        }
    }

    /// A node began again, with nothing in its application.
    fn restarted(&mut self, t: u64, node: u16) {
        self.lines.push(Line::Node { t, node, change: NodeChange::Restarted });
        let gone: Vec<String> = self.keys.remove(&node).unwrap_or_default().into_iter().collect();
        if !gone.is_empty() {
            self.lines.push(Line::App { t, node, as_of: 0, set: BTreeMap::new(), gone });
        }
    }

    /// The number of a value, which gets a line when it is first named.
    fn value(&mut self, part: &Part, local: u32) -> u32 {
        // A part defines what it names.
        let digest = part.values.get(local as usize).cloned().unwrap_or_default();
        let next = self.values.len() as u32;
        let id = *self.values.entry(digest.clone()).or_insert(next);
        if id == next {
            self.lines.push(Line::Value { id, digest });
        }
        id
    }

    /// The number of a content, which gets a line when it is first sent.
    fn content(&mut self, digest: Digest) -> u32 {
        let next = self.contents.len() as u32;
        let id = *self.contents.entry(digest).or_insert(next);
        if id == next {
            let mut body = self.bodies.remove(&digest).unwrap_or_default();
            words::put_into(&mut body, self.app);
            self.lines.push(Line::Content { id, body });
        }
        id
    }
}
