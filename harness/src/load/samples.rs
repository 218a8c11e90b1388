//! What came of requests.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

/// How one request was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Not yet.
    Pending,
    /// By `f+1` matching replies.
    Decided(Decision),
    /// By the gateway's word that it was not decided in time.
    Timeout {
        /// Matching replies that the gateway held.
        replies: Option<u64>,
    },
    /// Not at all, or not as it should be.
    Error(String),
}

/// What is kept of a gateway's answer to a decided request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The slot.
    pub seq: u64,
    /// Receipt to `f+1`st reply, microseconds.
    pub consensus_us: f64,
    /// When the gateway received the request, nanoseconds on CLOCK_MONOTONIC.
    pub received_ns: u64,
    /// Matching replies.
    pub replies: u64,
    /// The view in which a replica executed it.
    pub view: u64,
    /// What the application answered.
    pub result: String,
}

/// The part of the answer of `/preprepare` ([`node::api::Decided`]) that is kept: what the
/// rest would cost, the load generator would take from the nodes.
#[derive(Deserialize)]
pub(super) struct Kept<'a> {
    pub(super) seq: u64,
    pub(super) view: u64,
    pub(super) consensus_us: f64,
    pub(super) received_ns: u64,
    pub(super) replies: u64,
    #[serde(borrow)]
    pub(super) result: Cow<'a, str>,
}

impl From<Kept<'_>> for Decision {
    fn from(answer: Kept<'_>) -> Decision {
        let Kept { seq, view, consensus_us, received_ns, replies, result } = answer;
        Decision { seq, view, consensus_us, received_ns, replies, result: result.into_owned() }
    }
}

impl From<node::api::Decision> for Decision {
    /// Without what the application answered, which nobody compares.
    fn from(answer: node::api::Decision) -> Decision {
        Decision {
            seq: answer.seq.0,
            consensus_us: answer.consensus_us,
            received_ns: answer.received_ns,
            replies: answer.replies as u64,
            view: answer.view.0,
            result: String::new(),
        }
    }
}

/// One request, times in microseconds since the load began.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The node that it was posted to.
    pub gateway: u16,
    /// When it was due.
    pub intended_us: u64,
    /// When it was sent.
    pub sent_us: Option<u64>,
    /// From `intended_us` to the complete answer; only if decided.
    pub response_us: Option<u64>,
    /// How it was answered.
    pub answer: Answer,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// All requests that were due, in order.
    pub samples: Vec<Sample>,
    /// From the first request's due time to the last answer.
    pub elapsed: Duration,
    /// Why it ended before all requests were sent.
    pub cut_short: Option<String>,
}
