//! The lines of a trace.

use kernel::{Content, Digest, Falsify, GenerationMark, Mark, Phase, Rejection, Status, ViewMark};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The name of the format, in the first line of every trace.
pub const FORMAT: &str = "bft-trace";
/// Its version. A reader takes this one and no other.
pub const VERSION: u32 = 1;

/// The first line: what ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The flow: `pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`, `ccro-paper` or `broadcast`.
    pub protocol: String,
    /// The application: `opaque`, `kv`, `bank` or `orswot`.
    pub app: String,
    /// Replicas, numbered from 0.
    pub nodes: u16,
    /// Faulty ones that the flow tolerates.
    pub f: usize,
    /// Votes that decide.
    pub quorum: usize,
    /// Whose clock the times are.
    pub clock: Clock,
    /// For people.
    pub title: String,
    /// Nodes that misbehave from the start, and how, as `--fault` takes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<u16, Vec<String>>,
    /// What plays the same run again; none for a run of real nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Value>,
    /// What is missing in this trace, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whose clock the times of a trace are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// That of a simulation.
    Virtual,
    /// That of the machine on which the nodes ran.
    Real,
}

/// A line between the first and the last. Times `t` are nanoseconds since the beginning
/// of the run, so that programs whose numbers are exact up to 2^53 only, such as those in
/// JavaScript, read those of 104 days rightly; lines are in the order of their times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Line {
    /// A value that votes are for; comes before the first line that names it.
    Value {
        /// Numbered from 0.
        id: u32,
        /// In hexadecimal.
        digest: String,
    },
    /// The content of a message; comes before the first line that names it.
    Content {
        /// Numbered from 0.
        id: u32,
        /// The message as JSON: operations and results in words, byte strings in
        /// hexadecimal.
        body: Value,
    },
    /// A message leaves its sender, in one copy for each recipient. Copies that leave at
    /// other times have a line of their own.
    Message(Message),
    /// A vote of another node counts at `node`, in whatever message it came.
    Vote {
        /// When.
        t: u64,
        /// Where it counts.
        node: u16,
        /// Whose it is.
        author: u16,
        /// In which phase.
        phase: VotePhase,
        /// For which slot.
        seq: u64,
        /// For what: the number of a [`Line::Value`].
        value: u32,
        /// It contradicts an earlier vote of its author.
        #[serde(default, skip_serializing_if = "is_false")]
        contradicts: bool,
    },
    /// A replica did something else that is worth knowing.
    Mark {
        /// When.
        t: u64,
        /// Which.
        node: u16,
        /// What.
        #[serde(flatten)]
        mark: MarkRecord,
    },
    /// What has changed in what a replica says of itself.
    State {
        /// When.
        t: u64,
        /// Which.
        node: u16,
        /// What is not as it was in the node's line before.
        #[serde(flatten)]
        state: StateChange,
    },
    /// What has changed in the application of a replica.
    App {
        /// When.
        t: u64,
        /// Which.
        node: u16,
        /// The last slot executed in this state.
        as_of: u64,
        /// New values by key, new balances by account, or `in the set` by new member.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        set: BTreeMap<String, String>,
        /// Keys that are gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<String>,
    },
    /// A replica refused a message.
    Rejected {
        /// When.
        t: u64,
        /// Who refused it.
        node: u16,
        /// Whose message.
        from: u16,
        /// The slot that it was about, if it was about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// Why, for people.
        reason: String,
        /// Whether only a faulty author gives this reason: the sender, or another node
        /// whose vote or proposal it passed on.
        #[serde(default, skip_serializing_if = "is_false")]
        offence: bool,
    },
    /// Somebody did something to a node.
    Node {
        /// When.
        t: u64,
        /// Which.
        node: u16,
        /// What.
        #[serde(flatten)]
        change: NodeChange,
    },
    /// Somebody changed the network.
    Network {
        /// When.
        t: u64,
        /// For people.
        change: String,
    },
    /// A client asked.
    Request {
        /// When.
        t: u64,
        /// Numbered from 0.
        request: u64,
        /// The node that it asked.
        gateway: u16,
        /// What for.
        asks: Value,
    },
    /// A client accepted a result, which `f+1` nodes have given it alike.
    Answer {
        /// When.
        t: u64,
        /// See [`Line::Request`].
        request: u64,
        /// The slot that ordered it.
        seq: u64,
        /// The view in which it was.
        view: u64,
        /// What was answered.
        result: Value,
    },
    /// A client waited for too long.
    TimedOut {
        /// When.
        t: u64,
        /// See [`Line::Request`].
        request: u64,
    },
}

/// See [`Line::Message`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// When it leaves.
    pub t: u64,
    /// The sender.
    pub from: u16,
    /// The field's name for it, such as `prepare`.
    pub kind: String,
    /// The number of its [`Line::Content`].
    pub content: u32,
    /// The view that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// The slot that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What it proposes, votes for or proves decided: the number of a [`Line::Value`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u32>,
    /// Its size in the binary encoding of the links, without the frame around it.
    pub bytes: u64,
    /// The ordinal of its first copy in the run; those that follow have the next ones.
    pub copy: u64,
    /// For each copy: to whom, and when it arrives. No time if it is lost, reaches a node
    /// that is down, or is still on its way when the run ends; two where the network
    /// duplicates it.
    pub to: Vec<(u16, Vec<u64>)>,
}

/// In which phase a vote is cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VotePhase {
    /// A proposal is its commander's vote.
    PrePrepare,
    /// A backup accepts the proposal.
    Prepare,
    /// A replica saw a quorum accept the proposal.
    Commit,
}

impl From<Phase> for VotePhase {
    fn from(phase: Phase) -> VotePhase {
        match phase {
            Phase::PrePrepare => VotePhase::PrePrepare,
            Phase::Prepare => VotePhase::Prepare,
            Phase::Commit => VotePhase::Commit,
        }
    }
}

/// What a replica did; see [`Mark`] and [`ViewMark`], whose words these are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of the marks")]
pub enum MarkRecord {
    Proposed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<u64>,
        seq: u64,
        value: u32,
        requests: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        communication_node: Option<u16>,
    },
    Accepted {
        seq: u64,
        value: u32,
    },
    Voted {
        phase: VotePhase,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<u64>,
        seq: u64,
        value: u32,
    },
    Committed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<u64>,
        seq: u64,
        value: u32,
        path: String,
    },
    Executed {
        seq: u64,
        value: u32,
        requests: usize,
        chain: String,
    },
    Applied {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        gateway: u16,
        session: u64,
        counter: u64,
    },
    StateAdopted {
        seq: u64,
        chain: String,
    },
    Diverged {
        seq: u64,
    },
    Recovered {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<u64>,
    },
    Certified {
        seq: u64,
        certificate: String,
    },
    FellBack {
        seq: u64,
        communication_node: u16,
    },
    Rotated {
        from: u16,
        to: u16,
    },
    Trusted {
        seq: u64,
        commander: u16,
        communication_node: u16,
        trust_milli: Vec<u16>,
    },
    Stable {
        seq: u64,
    },
    LeftFor {
        view: u64,
    },
    Reported {
        stable: u64,
        prepared: Vec<u64>,
        voted: Vec<u64>,
    },
    ViewBegan {
        view: u64,
    },
    GenerationBegan {
        number: u64,
        members: Vec<u16>,
    },
    GenerationAdopted {
        number: u64,
    },
}

impl MarkRecord {
    /// What a mark tells, with the numbers that `value` gives digests. None for a vote
    /// received, which has a line of its own.
    fn of(mark: &Mark, mut value: impl FnMut(&Digest) -> u32) -> Option<MarkRecord> {
        Some(match mark {
            Mark::VoteReceived { .. } => return None,
            Mark::Proposed { view, seq, digest, requests, communication_node } => MarkRecord::Proposed {
                view: view.map(|view| view.0),
                seq: seq.0,
                value: value(digest),
                requests: *requests,
                communication_node: communication_node.map(|id| id.0),
            },
            Mark::Accepted { seq, digest } => MarkRecord::Accepted { seq: seq.0, value: value(digest) },
            Mark::Voted { phase, view, seq, digest } => MarkRecord::Voted {
                phase: (*phase).into(),
                view: view.map(|view| view.0),
                seq: seq.0,
                value: value(digest),
            },
            Mark::Committed { view, seq, digest, path } => MarkRecord::Committed {
                view: view.map(|view| view.0),
                seq: seq.0,
                value: value(digest),
                path: path.to_string(),
            },
            Mark::Executed { seq, digest, requests, chain } => MarkRecord::Executed {
                seq: seq.0,
                value: value(digest),
                requests: *requests,
                chain: chain.to_string(),
            },
            Mark::Applied { seq, session, counter } => MarkRecord::Applied {
                seq: seq.map(|seq| seq.0),
                gateway: session.gateway.0,
                session: session.number,
                counter: *counter,
            },
            Mark::StateAdopted { seq, chain } => {
                MarkRecord::StateAdopted { seq: seq.0, chain: chain.to_string() }
            }
            Mark::Diverged { seq, .. } => MarkRecord::Diverged { seq: seq.0 },
            Mark::Recovered { view } => MarkRecord::Recovered { view: view.map(|view| view.0) },
            Mark::View(mark) => MarkRecord::of_view(mark),
            Mark::Generation(GenerationMark::Began { number, members }) => MarkRecord::GenerationBegan {
                number: *number,
                members: members.iter().map(|id| id.0).collect(),
            },
            Mark::Generation(GenerationMark::Adopted { number, .. }) => {
                MarkRecord::GenerationAdopted { number: *number }
            }
        })
    }

    /// The value that it names.
    fn value(&self) -> Option<u32> {
        match self {
            MarkRecord::Proposed { value, .. }
            | MarkRecord::Accepted { value, .. }
            | MarkRecord::Voted { value, .. }
            | MarkRecord::Committed { value, .. }
            | MarkRecord::Executed { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// The slot that it is about.
    fn seq(&self) -> Option<u64> {
        match self {
            MarkRecord::Proposed { seq, .. }
            | MarkRecord::Accepted { seq, .. }
            | MarkRecord::Voted { seq, .. }
            | MarkRecord::Committed { seq, .. }
            | MarkRecord::Executed { seq, .. }
            | MarkRecord::StateAdopted { seq, .. }
            | MarkRecord::Diverged { seq }
            | MarkRecord::Certified { seq, .. }
            | MarkRecord::FellBack { seq, .. }
            | MarkRecord::Trusted { seq, .. }
            | MarkRecord::Stable { seq } => Some(*seq),
            MarkRecord::Applied { seq, .. } => *seq,
            MarkRecord::Recovered { .. }
            | MarkRecord::Rotated { .. }
            | MarkRecord::LeftFor { .. }
            | MarkRecord::Reported { .. }
            | MarkRecord::ViewBegan { .. }
            | MarkRecord::GenerationBegan { .. }
            | MarkRecord::GenerationAdopted { .. } => None,
        }
    }

    fn value_mut(&mut self) -> Option<&mut u32> {
        match self {
            MarkRecord::Proposed { value, .. }
            | MarkRecord::Accepted { value, .. }
            | MarkRecord::Voted { value, .. }
            | MarkRecord::Committed { value, .. }
            | MarkRecord::Executed { value, .. } => Some(value),
            _ => None,
        }
    }

    fn of_view(mark: &ViewMark) -> MarkRecord {
        match mark {
            ViewMark::Certified { seq, kind } => {
                MarkRecord::Certified { seq: seq.0, certificate: (*kind).into() }
            }
            ViewMark::FellBack { seq, communication_node } => {
                MarkRecord::FellBack { seq: seq.0, communication_node: communication_node.0 }
            }
            ViewMark::Rotated { from, to } => MarkRecord::Rotated { from: from.0, to: to.0 },
            ViewMark::Trusted { seq, commander, communication_node, trust_milli } => MarkRecord::Trusted {
                seq: seq.0,
                commander: commander.0,
                communication_node: communication_node.0,
                trust_milli: trust_milli.clone(),
            },
            ViewMark::Stable { seq } => MarkRecord::Stable { seq: seq.0 },
            ViewMark::LeftFor { view } => MarkRecord::LeftFor { view: view.0 },
            ViewMark::Reported { stable, prepared, voted } => MarkRecord::Reported {
                stable: stable.0,
                prepared: prepared.iter().map(|(seq, ..)| seq.0).collect(),
                voted: voted.iter().map(|(seq, ..)| seq.0).collect(),
            },
            ViewMark::ViewBegan { view } => MarkRecord::ViewBegan { view: view.0 },
        }
    }
}

/// What a replica says of itself; see [`Status`] and [`kernel::ViewStatus`]. In a line,
/// what has not changed is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateChange {
    /// See [`Status::recovering`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering: Option<bool>,
    /// See [`Status::diverged`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged: Option<bool>,
    /// See [`Status::last_executed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_executed: Option<u64>,
    /// See [`Status::slots_in_flight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<usize>,
    /// See [`kernel::ViewStatus::view`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// See [`kernel::ViewStatus::changing_view`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changing_view: Option<bool>,
    /// See [`kernel::ViewStatus::commander`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commander: Option<u16>,
    /// See [`kernel::ViewStatus::communication_node`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communication_node: Option<u16>,
    /// See [`kernel::ViewStatus::stable_checkpoint`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_checkpoint: Option<u64>,
}

impl StateChange {
    /// Becomes what a status says. Returns what of it was not so before; none if all was.
    pub(crate) fn update(&mut self, status: &Status) -> Option<StateChange> {
        let before = std::mem::replace(self, StateChange::of(status));
        let change = self.since(&before);
        (change != StateChange::default()).then_some(change)
    }

    /// Whether the application may hold something else after this change.
    pub(crate) fn concerns_application(&self) -> bool {
        self.last_executed.is_some() || self.diverged.is_some()
    }

    /// All that a status says.
    fn of(status: &Status) -> StateChange {
        let views = status.views.as_ref();
        StateChange {
            recovering: Some(status.recovering),
            diverged: Some(status.diverged),
            last_executed: Some(status.last_executed.0),
            in_flight: Some(status.slots_in_flight),
            view: views.map(|views| views.view.0),
            changing_view: views.map(|views| views.changing_view),
            commander: views.map(|views| views.commander.0),
            communication_node: views.and_then(|views| views.communication_node).map(|id| id.0),
            stable_checkpoint: views.map(|views| views.stable_checkpoint.0),
        }
    }

    /// What of it is not as it was.
    fn since(&self, before: &StateChange) -> StateChange {
        fn changed<T: Copy + PartialEq>(now: Option<T>, before: Option<T>) -> Option<T> {
            if now == before { None } else { now }
        }
        StateChange {
            recovering: changed(self.recovering, before.recovering),
            diverged: changed(self.diverged, before.diverged),
            last_executed: changed(self.last_executed, before.last_executed),
            in_flight: changed(self.in_flight, before.in_flight),
            view: changed(self.view, before.view),
            changing_view: changed(self.changing_view, before.changing_view),
            commander: changed(self.commander, before.commander),
            communication_node: changed(self.communication_node, before.communication_node),
            stable_checkpoint: changed(self.stable_checkpoint, before.stable_checkpoint),
        }
    }
}

/// What somebody did to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum NodeChange {
    /// It stopped, and lost what it knew.
    Crashed,
    /// It began again, without what it knew.
    Restarted,
    /// From now on it misbehaves in these ways; in none: it keeps the rules.
    Behaves {
        /// As `--fault` takes them.
        faults: Vec<String>,
    },
}

/// The last line: nothing is missing if it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Always true: tells this line from the others.
    pub end: bool,
    /// Lines between the first and this one.
    pub lines: usize,
    /// When the run ended.
    pub t: u64,
    /// The digest of every delivery of a simulated run, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How the honest nodes broke a promise, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Line {
    /// When it happened; none for a definition.
    pub fn t(&self) -> Option<u64> {
        match self {
            Line::Value { .. } | Line::Content { .. } => None,
            Line::Message(Message { t, .. })
            | Line::Vote { t, .. }
            | Line::Mark { t, .. }
            | Line::State { t, .. }
            | Line::App { t, .. }
            | Line::Rejected { t, .. }
            | Line::Node { t, .. }
            | Line::Network { t, .. }
            | Line::Request { t, .. }
            | Line::Answer { t, .. }
            | Line::TimedOut { t, .. } => Some(*t),
        }
    }

    /// The slot that it is about, if it is about one.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Line::Message(message) => message.seq,
            Line::Vote { seq, .. } | Line::Answer { seq, .. } => Some(*seq),
            Line::Rejected { seq, .. } => *seq,
            Line::Mark { mark, .. } => mark.seq(),
            _ => None,
        }
    }

    /// The nodes that it names as senders, recipients or places.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u16> {
        let (node, other, to) = match self {
            Line::Message(message) => (Some(message.from), None, message.to.as_slice()),
            Line::Vote { node, author, .. } => (Some(*node), Some(*author), [].as_slice()),
            Line::Rejected { node, .. } | Line::Mark { node, .. } | Line::State { node, .. } => {
                (Some(*node), None, [].as_slice())
            }
            Line::App { node, .. } | Line::Node { node, .. } => (Some(*node), None, [].as_slice()),
            Line::Request { gateway, .. } => (Some(*gateway), None, [].as_slice()),
            _ => (None, None, [].as_slice()),
        };
        node.into_iter().chain(other).chain(to.iter().map(|(to, _)| *to))
    }

    /// The value that it names.
    pub(crate) fn value(&self) -> Option<u32> {
        match self {
            Line::Message(message) => message.value,
            Line::Vote { value, .. } => Some(*value),
            Line::Mark { mark, .. } => mark.value(),
            _ => None,
        }
    }

    /// The value that it names, to be given another number.
    pub(crate) fn value_mut(&mut self) -> Option<&mut u32> {
        match self {
            Line::Message(message) => message.value.as_mut(),
            Line::Vote { value, .. } => Some(value),
            Line::Mark { mark, .. } => mark.value_mut(),
            _ => None,
        }
    }

    /// Counts its times from `origin`.
    pub(crate) fn move_back(&mut self, origin: u64) {
        match self {
            Line::Value { .. } | Line::Content { .. } => {}
            Line::Message(message) => {
                message.t -= origin;
                message.to.iter_mut().flat_map(|(_, arrivals)| arrivals).for_each(|t| *t -= origin);
            }
            Line::Vote { t, .. }
            | Line::Mark { t, .. }
            | Line::State { t, .. }
            | Line::App { t, .. }
            | Line::Rejected { t, .. }
            | Line::Node { t, .. }
            | Line::Network { t, .. }
            | Line::Request { t, .. }
            | Line::Answer { t, .. }
            | Line::TimedOut { t, .. } => *t -= origin,
        }
    }

    /// What a mark tells, with the numbers that `value` gives digests.
    pub(crate) fn of_mark(
        t: u64,
        node: u16,
        mark: &Mark,
        mut value: impl FnMut(&Digest) -> u32,
    ) -> Option<Line> {
        let Mark::VoteReceived { seq, digest, author, phase, contradicts } = mark else {
            return Some(Line::Mark { t, node, mark: MarkRecord::of(mark, value)? });
        };
        Some(Line::Vote {
            t,
            node,
            author: author.0,
            phase: (*phase).into(),
            seq: seq.0,
            value: value(digest),
            contradicts: *contradicts,
        })
    }

    /// A node refused a message.
    pub(crate) fn rejected(t: u64, node: u16, rejection: &Rejection) -> Line {
        Line::Rejected {
            t,
            node,
            from: rejection.from.0,
            seq: rejection.seq.map(|seq| seq.0),
            reason: rejection.reason.to_string(),
            offence: rejection.reason.is_offence(),
        }
    }

    /// What has changed in an application; none if nothing has.
    pub(crate) fn app(
        t: u64,
        node: u16,
        as_of: u64,
        before: &BTreeMap<String, String>,
        now: &BTreeMap<String, String>,
    ) -> Option<Line> {
        let is_new = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        let set: BTreeMap<_, _> =
            now.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone())).collect();
        let gone: Vec<_> = before.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
        let is_changed = !set.is_empty() || !gone.is_empty();
        is_changed.then_some(Line::App { t, node, as_of, set, gone })
    }
}

/// What a message is about: its view and slot, and the value that it proposes, votes for or
/// proves decided.
pub(crate) struct Topic {
    pub(crate) view: Option<u64>,
    pub(crate) seq: Option<u64>,
    pub(crate) value: Option<Digest>,
}

impl Topic {
    /// What this message or reply is about.
    pub(crate) fn of<M: Falsify>(content: Content<'_, M>) -> Topic {
        match content {
            Content::Message(message) => {
                let subject = message.subject();
                Topic {
                    view: subject.and_then(|subject| subject.view).map(|view| view.0),
                    seq: message.seq().map(|seq| seq.0),
                    value: subject.map(|subject| subject.digest),
                }
            }
            Content::Reply(bundle) => {
                Topic { view: Some(bundle.view.0), seq: Some(bundle.seq.0), value: None }
            }
        }
    }
}

/// A message in the binary encoding of the links. Messages are plain data; one
/// that cannot be written is shown as nothing.
pub(crate) fn binary<M: Falsify>(content: Content<'_, M>) -> Vec<u8> {
    match content {
        Content::Message(message) => postcard::to_stdvec(message),
        Content::Reply(bundle) => postcard::to_stdvec(bundle),
    }
    .unwrap_or_default()
}

/// The same for people.
pub(crate) fn json<M: Falsify>(content: Content<'_, M>) -> Value {
    match content {
        Content::Message(message) => serde_json::to_value(message),
        Content::Reply(bundle) => serde_json::to_value(bundle),
    }
    .unwrap_or_default()
}
