//! One operation of one client, as the client saw it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One operation: a line of a history file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The client, which has one operation in flight at a time.
    pub client: u32,
    /// The node that it asked.
    pub node: u16,
    /// The key.
    pub key: String,
    /// What it asked for.
    pub call: Call,
    /// When it began to ask, nanoseconds since the clients began.
    pub called_ns: u64,
    /// Its answer; none if it was not decided in time or the connection broke. Such an
    /// operation may take effect at any time after its call, or never.
    pub returned: Option<Returned>,
}

/// An answer, and when it was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// Nanoseconds since the clients began.
    pub at_ns: u64,
    /// What was answered.
    pub answer: Answer,
}

/// What a client asks about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// For its value.
    Get,
    /// To set its value.
    Put {
        /// To what.
        value: String,
    },
    /// To take it out.
    Delete,
    /// To set its value if it has the expected one.
    CompareAndSwap {
        /// The value that it must have; none if it must have none.
        expected: Option<String>,
        /// Its value from then on; none to take it out.
        new: Option<String>,
    },
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// After a get: the value, if there is one.
    Value {
        /// The value.
        value: Option<String>,
    },
    /// After a put.
    Stored {
        /// Whether the key had no value before.
        created: bool,
    },
    /// After a delete.
    Deleted {
        /// Whether the key had a value.
        existed: bool,
    },
    /// After a compare-and-swap.
    Compared {
        /// Whether the value was the expected one and was set.
        swapped: bool,
        /// The value afterwards.
        current: Option<String>,
    },
}

impl Operation {
    /// When its answer was there, nanoseconds since the clients began.
    pub fn returned_ns(&self) -> Option<u64> {
        self.returned.as_ref().map(|returned| returned.at_ns)
    }
}

struct OrNone<'a>(&'a Option<String>);

impl fmt::Display for OrNone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:?}"),
            None => f.write_str("no value"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Get => f.write_str("get"),
            Call::Put { value } => write!(f, "put {value:?}"),
            Call::Delete => f.write_str("delete"),
            Call::CompareAndSwap { expected, new } => {
                write!(f, "swap {} for {}", OrNone(expected), OrNone(new))
            }
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Value { value } => write!(f, "{}", OrNone(value)),
            Answer::Stored { created: true } => f.write_str("stored, new"),
            Answer::Stored { created: false } => f.write_str("stored over another value"),
            Answer::Deleted { existed: true } => f.write_str("deleted"),
            Answer::Deleted { existed: false } => f.write_str("there was no value"),
            Answer::Compared { swapped: true, current } => write!(f, "swapped, now {}", OrNone(current)),
            Answer::Compared { swapped: false, current } => {
                write!(f, "not swapped, still {}", OrNone(current))
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |ns: u64| ns as f64 / 1e6;
        let Operation { client, node, call, called_ns, .. } = self;
        write!(f, "{:>12.3} ms", ms(*called_ns))?;
        match &self.returned {
            Some(Returned { at_ns, .. }) => write!(f, " to {:>12.3} ms", ms(*at_ns))?,
            None => write!(f, " to {:>15}", "no answer")?,
        }
        write!(f, "  client {client} at node {node}: {call}")?;
        match &self.returned {
            Some(Returned { answer, .. }) => write!(f, " -> {answer}"),
            None => Ok(()),
        }
    }
}
