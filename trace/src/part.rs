//! What one real node notes while it runs.
//!
//! A *part* is UTF-8 text, a JSON object in each line, in about the order of time. It holds
//! [`Line`]s as a trace does, with numbers of values and requests that are its own, and
//! [`Noted`] lines for what a node alone cannot tell: who has sent the copy that
//! arrived, and when the copy that left arrives. Times are those of the machine's clock,
//! which all its nodes share. [`crate::merge`] makes a trace of the parts of all nodes.
//!
//! A node that is killed leaves a part without a last line, and perhaps with half a line
//! at its end. Everything before that counts.

use crate::contents::{Contents, Held, MAX_ENTRIES};
use crate::format::{self, Line, NodeChange, StateChange, Topic};
use crate::words;
use apps::AppName;
use kernel::{
    Bundle, Content, Digest, Falsify, Mark, Observation, Operation, Output, Reading, Rejection, ReplicaId,
    ReplyBundle, Status,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A line of a part that a trace does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub(crate) enum Noted {
    /// The first line.
    Began { t: u64, node: u16 },
    /// What a message holds; comes before the line that names it.
    Content { digest: Digest, body: Value },
    /// A message left the node.
    Sent(Sent),
    /// A copy reached the node.
    Arrived { t: u64, from: u16, content: Digest },
    /// A client with a key of its own asked this node, among others.
    ClientAsked { t: u64, of: Asked, asks: Value },
    /// The node sent such a client a result.
    ClientAnswered { t: u64, of: Asked, seq: u64, view: u64, result: Value },
    /// Something that is missing, for people.
    Missing { what: String },
    /// The node went on, and its recording did not.
    Stopped { why: String },
    /// The last line of a node that was not killed.
    Ended { t: u64 },
}

/// See [`Noted::Sent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) t: u64,
    pub(crate) kind: String,
    pub(crate) content: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) view: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<u32>,
    pub(crate) bytes: u64,
    pub(crate) to: Vec<u16>,
    /// Those of `to` that it will not reach, as far as the node knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lost: Vec<u16>,
}

/// The request of a client with a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) client: u16,
    pub(crate) session: u64,
    pub(crate) counter: u64,
}

/// Notes what one node does, as text.
#[derive(Debug)]
pub struct PartWriter<M> {
    node: u16,
    app: AppName,
    text: Vec<u8>,
    values: HashMap<Digest, u32>,
    /// Of messages that left the node.
    contents: HashSet<Digest>,
    /// The message whose copies leave just now.
    leaving: Option<(M, Sent)>,
    state: StateChange,
    entries: BTreeMap<String, String>,
    application: Contents,
    is_too_large: bool,
    is_touched: bool,
    identity: fn(Content<'_, M>) -> (Digest, u64),
}

impl<M: Falsify> PartWriter<M> {
    /// Of a node that begins now.
    pub fn new(node: ReplicaId, app: AppName, t: u64) -> PartWriter<M> {
        let mut part = PartWriter {
            node: node.0,
            app,
            text: Vec::new(),
            values: HashMap::new(),
            contents: HashSet::new(),
            leaving: None,
            state: StateChange::default(),
            entries: BTreeMap::new(),
            application: Contents::new(app),
            is_too_large: false,
            is_touched: true,
            identity,
        };
        part.line(&Noted::Began { t, node: node.0 });
        part
    }

    /// Of a node whose journal is played without its key: contents that differ in signatures only are the same.
    pub fn without_signatures(self) -> PartWriter<M> {
        PartWriter { identity: identity_without_signatures, ..self }
    }

    /// Takes what a [`kernel::Observer`] is told of this node.
    pub fn observe(&mut self, t: u64, observation: Observation<'_, M>) {
        self.is_touched = true;
        match observation {
            Observation::Mark(mark) => self.mark(t, mark),
            Observation::Rejection(rejection) => self.rejection(t, rejection),
            Observation::Departed { to, content, arrivals_ns, .. } => {
                let is_lost = arrivals_ns.is_some_and(<[u64]>::is_empty);
                self.departed(t, to, content, is_lost);
            }
            Observation::Arrived { from, content, .. } => self.arrived(t, from, content),
        }
    }

    fn mark(&mut self, t: u64, mark: &Mark) {
        if let Some(line) = Line::of_mark(t, self.node, mark, |digest| self.value(digest)) {
            self.line(&line);
        }
    }

    fn rejection(&mut self, t: u64, rejection: &Rejection) {
        // A client with a key is no node.
        let line = Line::rejected(t, self.node, rejection);
        self.line(&line);
    }

    fn departed(&mut self, t: u64, to: ReplicaId, content: Content<'_, M>, is_lost: bool) {
        let is_next_copy = self.leaving.as_ref().is_some_and(|(message, sent)| {
            matches!(content, Content::Message(now) if now == message) && !sent.to.contains(&to.0)
        });
        if !is_next_copy {
            self.close();
            let sent = self.sent(t, content);
            match content {
                Content::Message(message) => self.leaving = Some((message.clone(), sent)),
                // A reply goes to one gateway.
                Content::Reply(_) => return self.write_sent(sent, to, is_lost),
            }
        }
        if let Some((_, sent)) = &mut self.leaving {
            sent.to.push(to.0);
            sent.lost.extend(is_lost.then_some(to.0));
        }
    }

    fn write_sent(&mut self, mut sent: Sent, to: ReplicaId, is_lost: bool) {
        sent.to.push(to.0);
        sent.lost.extend(is_lost.then_some(to.0));
        self.line(&Noted::Sent(sent));
    }

    fn sent(&mut self, t: u64, content: Content<'_, M>) -> Sent {
        let (digest, bytes) = (self.identity)(content);
        if self.contents.insert(digest) {
            let body = format::json(content);
            self.note_accounts(&body);
            self.line(&Noted::Content { digest, body });
        }
        let Topic { view, seq, value } = Topic::of(content);
        Sent {
            t,
            kind: content.kind().into(),
            content: digest,
            view,
            seq,
            value: value.map(|digest| self.value(&digest)),
            bytes,
            to: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn arrived(&mut self, t: u64, from: ReplicaId, content: Content<'_, M>) {
        let (digest, _) = (self.identity)(content);
        if self.app == AppName::Bank && matches!(content, Content::Message(_)) {
            self.note_accounts(&format::json(content));
        }
        self.line(&Noted::Arrived { t, from: from.0, content: digest });
    }

    /// What the replica says of itself now, if anything was observed since the last time.
    /// Says whether it has executed anything since then, or has another state for another
    /// reason.
    pub fn state(&mut self, t: u64, status: impl FnOnce() -> Status) -> bool {
        if !std::mem::take(&mut self.is_touched) {
            return false;
        }
        let Some(state) = self.state.update(&status()) else { return false };
        let is_executed = state.concerns_application();
        self.line(&Line::State { t, node: self.node, state });
        is_executed
    }

    /// What the application holds now, as `ask` reads it from the replica's own state.
    pub fn contents(&mut self, t: u64, ask: impl Fn(&Operation) -> Option<Reading>) {
        if self.is_too_large {
            return;
        }
        match self.application.read(ask) {
            Held::Unknown => {}
            Held::TooMuch => {
                self.is_too_large = true;
                let what = format!(
                    "node {}: what its application holds, once that was more than {MAX_ENTRIES} entries or a megabyte",
                    self.node
                );
                self.line(&Noted::Missing { what });
            }
            Held::Entries { as_of, entries } => {
                let line = Line::app(t, self.node, as_of, &self.entries, &entries);
                self.entries = entries;
                if let Some(line) = line {
                    self.line(&line);
                }
            }
        }
    }

    /// A client asks for something through this node; `request` is a number among this
    /// node's own.
    pub fn request(&mut self, t: u64, request: u64, operation: &Operation) {
        self.application.learn(operation);
        let asks = words::operation(self.app, operation);
        self.line(&Line::Request { t, request, gateway: self.node, asks });
    }

    /// It has its result.
    pub fn answer(&mut self, t: u64, request: u64, (seq, view): (u64, u64), output: &Output) {
        let result = words::output(self.app, output);
        self.line(&Line::Answer { t, request, seq, view, result });
    }

    /// It has waited for too long.
    pub fn timed_out(&mut self, t: u64, request: u64) {
        self.line(&Line::TimedOut { t, request });
    }

    /// A client with a key of its own asks.
    pub fn client_asks(&mut self, t: u64, client: ReplicaId, bundle: &Bundle) {
        for request in bundle.requests() {
            self.application.learn(&request.operation);
            let of = Asked { client: client.0, session: request.session.number, counter: request.counter };
            let asks = words::operation(self.app, &request.operation);
            self.line(&Noted::ClientAsked { t, of, asks });
        }
    }

    /// Results leave for a client with a key of its own.
    pub fn client_answered(&mut self, t: u64, client: ReplicaId, bundle: &ReplyBundle) {
        for reply in &bundle.replies {
            let of = Asked { client: client.0, session: reply.session.number, counter: reply.counter };
            let result = words::output(self.app, &reply.result);
            let (seq, view) = (bundle.seq.0, bundle.view.0);
            self.line(&Noted::ClientAnswered { t, of, seq, view, result });
        }
    }

    /// Somebody changes how the node behaves.
    pub fn behaves(&mut self, t: u64, faults: Vec<String>) {
        self.line(&Line::Node { t, node: self.node, change: NodeChange::Behaves { faults } });
    }

    /// Somebody changes what the network does to the node's messages.
    pub fn network(&mut self, t: u64, change: &str) {
        self.line(&Line::Network { t, change: format!("node {}: {change}", self.node) });
    }

    /// The recording ends here, although the node goes on.
    pub fn stop(&mut self, why: &str) {
        self.line(&Noted::Stopped { why: why.into() });
    }

    /// The node ends here.
    pub fn end(&mut self, t: u64) {
        self.line(&Noted::Ended { t });
    }

    /// The whole lines since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.close();
        std::mem::take(&mut self.text)
    }

    /// Writes the message whose copies have left.
    fn close(&mut self) {
        if let Some((_, sent)) = self.leaving.take() {
            self.push(&Noted::Sent(sent));
        }
    }

    fn line(&mut self, line: &impl Serialize) {
        self.close();
        self.push(line);
    }

    fn push(&mut self, line: &impl Serialize) {
        serde_json::to_writer(&mut self.text, line).expect("memory takes all that is written to it");
        self.text.push(b'\n');
    }

    /// The number of a value, which gets a line when it is first named.
    fn value(&mut self, digest: &Digest) -> u32 {
        if let Some(id) = self.values.get(digest) {
            return *id;
        }
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.insert(*digest, id);
        self.line(&Line::Value { id, digest: digest.to_string() });
        id
    }

    fn note_accounts(&mut self, body: &Value) {
        if self.app == AppName::Bank {
            words::operations_in(body, &mut |operation| self.application.learn(&operation));
        }
    }
}

/// What tells a content from all others, and its size in the binary encoding of the links.
fn identity<M: Falsify>(content: Content<'_, M>) -> (Digest, u64) {
    let bytes = format::binary(content);
    (Digest::of(&bytes), bytes.len() as u64)
}

fn identity_without_signatures<M: Falsify>(content: Content<'_, M>) -> (Digest, u64) {
    let mut body = format::json(content);
    strike_signatures(&mut body);
    (Digest::of(body.to_string().as_bytes()), format::binary(content).len() as u64)
}

/// A signature is the only text of so many hexadecimal digits.
fn strike_signatures(value: &mut Value) {
    let is_signature = |text: &str| text.len() == 128 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value {
        Value::String(text) if is_signature(text) => text.clear(),
        Value::Array(values) => values.iter_mut().for_each(strike_signatures),
        Value::Object(fields) => fields.values_mut().for_each(strike_signatures),
        _ => {}
    }
}
