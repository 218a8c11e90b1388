//! Makes a trace of what an observer is told.

use crate::Trace;
use crate::format::{
    self, Clock, End, FORMAT, Header, Line, Message, NodeChange, StateChange, Topic, VERSION,
};
use crate::words;
use apps::AppName;
use kernel::{
    Cluster, Content, Digest, Falsify, Mark, Observation, Operation, Output, Rejection, ReplicaId, Status,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Notes a run, observation by observation: the same for simulated and for real nodes.
#[derive(Debug)]
pub struct Recorder<M> {
    app: AppName,
    header: Header,
    lines: Vec<Line>,
    values: HashMap<Digest, u32>,
    contents: HashMap<Digest, u32>,
    /// The message that was last seen to leave: its copies follow each other.
    last: Option<Last<M>>,
    /// For each copy on its way, its line and its place there.
    copies: HashMap<u64, (usize, usize)>,
    states: Vec<StateChange>,
    apps: Vec<BTreeMap<String, String>>,
    /// Nodes at which something was observed since [`Recorder::take_touched`].
    touched: BTreeSet<ReplicaId>,
}

#[derive(Debug)]
struct Last<M> {
    from: ReplicaId,
    message: M,
    line: usize,
    next_copy: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// See [`End::digest`].
    pub digest: Option<Digest>,
    /// Why the recording ends before the run does, for people.
    pub stopped: Option<String>,
    /// See [`End::violation`].
    pub violation: Option<String>,
}

/// What a trace says of a whole run.
#[derive(Clone, Debug)]
pub struct About {
    /// For people.
    pub title: String,
    /// The application.
    pub app: AppName,
    /// Faulty nodes that the flow tolerates.
    pub f: usize,
    /// Votes that decide.
    pub quorum: usize,
    /// Whose clock the times are.
    pub clock: Clock,
    /// Nodes that misbehave from the start, and how.
    pub faults: BTreeMap<u16, Vec<String>>,
    /// What plays the same run again.
    pub scenario: Option<Value>,
}

impl About {
    /// The first line of a trace of this cluster.
    pub(crate) fn header(self, cluster: &Cluster) -> Header {
        Header {
            format: FORMAT.into(),
            version: VERSION,
            protocol: cluster.protocol.clone(),
            app: self.app.to_string(),
            nodes: cluster.n,
            f: self.f,
            quorum: self.quorum,
            clock: self.clock,
            title: self.title,
            faults: self.faults,
            scenario: self.scenario,
            notes: Vec::new(),
        }
    }
}

impl<M: Falsify> Recorder<M> {
    /// Of a cluster in which nothing has happened yet.
    pub fn new(cluster: &Cluster, about: About) -> Recorder<M> {
        let nodes = usize::from(cluster.n);
        Recorder {
            app: about.app,
            header: about.header(cluster),
            lines: Vec::new(),
            values: HashMap::new(),
            contents: HashMap::new(),
            last: None,
            copies: HashMap::new(),
            states: vec![StateChange::default(); nodes],
            apps: vec![BTreeMap::new(); nodes],
            touched: BTreeSet::new(),
        }
    }

    /// Takes what a [`kernel::Observer`] is told.
    pub fn observe(&mut self, t: u64, node: ReplicaId, observation: Observation<'_, M>) {
        self.touched.insert(node);
        match observation {
            Observation::Mark(mark) => self.mark(t, node, mark),
            Observation::Rejection(rejection) => self.rejection(t, node, rejection),
            Observation::Departed { copy, to, content, .. } => self.departed(t, node, to, copy, content),
            Observation::Arrived { copy: Some(copy), .. } => self.arrived(t, copy),
            // Only where the host knows which copy it is.
            Observation::Arrived { copy: None, .. } => {}
        }
    }

    fn mark(&mut self, t: u64, node: ReplicaId, mark: &Mark) {
        let line = Line::of_mark(t, node.0, mark, |digest| self.value(digest));
        self.lines.extend(line);
    }

    fn rejection(&mut self, t: u64, node: ReplicaId, rejection: &Rejection) {
        self.lines.push(Line::rejected(t, node.0, rejection));
    }

    fn departed(&mut self, t: u64, from: ReplicaId, to: ReplicaId, copy: u64, content: Content<'_, M>) {
        let line = match self.line_of_last(t, from, copy, content) {
            Some(line) => line,
            None => self.begin_message(t, from, copy, content),
        };
        if let Line::Message(message) = &mut self.lines[line] {
            message.to.push((to.0, Vec::new()));
            self.copies.insert(copy, (line, message.to.len() - 1));
        }
    }

    /// The line of the last message, if this is its next copy.
    fn line_of_last(&mut self, t: u64, from: ReplicaId, copy: u64, content: Content<'_, M>) -> Option<usize> {
        let last = self.last.as_mut()?;
        let is_same = matches!(content, Content::Message(now) if *now == last.message);
        let Line::Message(message) = &self.lines[last.line] else { return None };
        if !is_same || last.from != from || last.next_copy != copy || message.t != t {
            return None;
        }
        last.next_copy += 1;
        Some(last.line)
    }

    fn begin_message(&mut self, t: u64, from: ReplicaId, copy: u64, content: Content<'_, M>) -> usize {
        let Topic { view, seq, value } = Topic::of(content);
        let id = self.content(format::json(content));
        let value = value.map(|digest| self.value(&digest));
        self.lines.push(Line::Message(Message {
            t,
            from: from.0,
            kind: content.kind().into(),
            content: id,
            view,
            seq,
            value,
            bytes: format::binary(content).len() as u64,
            copy,
            to: Vec::new(),
        }));
        let line = self.lines.len() - 1;
        // A reply goes to one gateway, so that it has no second copy.
        self.last = match content {
            Content::Message(message) => {
                Some(Last { from, message: message.clone(), line, next_copy: copy + 1 })
            }
            Content::Reply(_) => None,
        };
        line
    }

    fn arrived(&mut self, t: u64, copy: u64) {
        if let Some((line, place)) = self.copies.get(&copy)
            && let Line::Message(message) = &mut self.lines[*line]
        {
            message.to[*place].1.push(t);
        }
    }

    /// The number of a value, which gets a line when it is first named.
    fn value(&mut self, digest: &Digest) -> u32 {
        if let Some(id) = self.values.get(digest) {
            return *id;
        }
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.insert(*digest, id);
        self.lines.push(Line::Value { id, digest: digest.to_string() });
        id
    }

    /// The number of a content, which gets a line when it is first sent.
    fn content(&mut self, mut body: Value) -> u32 {
        let digest = Digest::of(body.to_string().as_bytes());
        if let Some(id) = self.contents.get(&digest) {
            return *id;
        }
        let id = u32::try_from(self.contents.len()).unwrap_or(u32::MAX);
        self.contents.insert(digest, id);
        words::put_into(&mut body, self.app);
        self.lines.push(Line::Content { id, body });
        id
    }

    /// The nodes at which something was observed since the last time.
    pub fn take_touched(&mut self) -> BTreeSet<ReplicaId> {
        std::mem::take(&mut self.touched)
    }

    /// What a replica says of itself now. Says whether it has executed anything since it
    /// was asked last, or has another state for another reason.
    pub fn state(&mut self, t: u64, node: ReplicaId, status: &Status) -> bool {
        let Some(state) = self.states[usize::from(node.0)].update(status) else { return false };
        let is_executed = state.concerns_application();
        self.lines.push(Line::State { t, node: node.0, state });
        is_executed
    }

    /// What the application of a replica holds now.
    pub fn app(&mut self, t: u64, node: ReplicaId, as_of: u64, entries: BTreeMap<String, String>) {
        let known = &mut self.apps[usize::from(node.0)];
        self.lines.extend(Line::app(t, node.0, as_of, known, &entries));
        *known = entries;
    }

    /// A client asks; for what may be unknown here.
    pub fn request(&mut self, t: u64, request: u64, gateway: ReplicaId, operation: Option<&Operation>) {
        let asks = operation.map_or(Value::Null, |operation| words::operation(self.app, operation));
        self.lines.push(Line::Request { t, request, gateway: gateway.0, asks });
    }

    /// A client accepts a result.
    pub fn answer(&mut self, t: u64, request: u64, (seq, view): (u64, u64), output: &Output) {
        let result = words::output(self.app, output);
        self.lines.push(Line::Answer { t, request, seq, view, result });
    }

    /// A client has waited for too long.
    pub fn timed_out(&mut self, t: u64, request: u64) {
        self.lines.push(Line::TimedOut { t, request });
    }

    /// Somebody does something to a node.
    pub fn change(&mut self, t: u64, node: ReplicaId, change: NodeChange) {
        self.touched.insert(node);
        self.lines.push(Line::Node { t, node: node.0, change });
    }

    /// Somebody changes the network.
    pub fn network(&mut self, t: u64, change: &str) {
        self.lines.push(Line::Network { t, change: change.into() });
    }

    /// Copies of messages noted so far.
    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    /// The trace of all that was noted, of a run that went on until `t`.
    pub fn finish(self, t: u64, ending: Ending) -> Trace {
        let Recorder { mut header, mut lines, .. } = self;
        header.notes.extend(ending.stopped);
        // A host may observe a departure before something that happens earlier: work takes
        // time. Values and contents, which have no time, come first of all.
        lines.sort_by_key(Line::t);
        let latest = lines.iter().rev().find_map(Line::t).unwrap_or(0);
        let end = End {
            end: true,
            lines: lines.len(),
            t: t.max(latest),
            digest: ending.digest.map(|digest| digest.to_string()),
            violation: ending.violation,
        };
        Trace { header, lines, end }
    }
}
