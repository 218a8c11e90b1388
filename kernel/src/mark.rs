//! Trace events. Hosts put the time on them; metrics, tallies and traces are
//! read from marks and from nothing else.

use crate::ids::{Digest, ReplicaId, Seq, SessionId, View};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a vote is for. A proposal is its commander's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// The commander's proposal.
    PrePrepare,
    /// A backup accepted the proposal.
    Prepare,
    /// A replica saw a quorum accept the proposal.
    Commit,
}

/// How a slot was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// PBFT's votes, received one by one; in `ccro-paper`, the published round.
    Direct,
    /// CCRO: a certificate of all `n` votes.
    Fast,
    /// CCRO: a prepared, then a committed certificate.
    TwoPhase,
    /// CCRO: by votes sent to all, after the communication node failed to deliver.
    Fallback,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Path::Direct => "direct",
            Path::Fast => "fast",
            Path::TwoPhase => "two-phase",
            Path::Fallback => "fallback",
        })
    }
}

/// Something that happened inside a replica: what any protocol can report. A
/// protocol reports what it has and invents nothing: one without views leaves
/// `view` out, one that does not order everything in slots reports that it applied
/// requests and no slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// This replica proposed a batch, in protocols with views as commander.
    Proposed {
        /// Its view, in a protocol with views.
        view: Option<View>,
        /// The slot.
        seq: Seq,
        /// The batch.
        digest: Digest,
        /// Requests in it.
        requests: usize,
        /// The vote collector it named (CCRO).
        communication_node: Option<ReplicaId>,
    },
    /// This replica accepted another's proposal.
    Accepted {
        /// The slot.
        seq: Seq,
        /// The batch.
        digest: Digest,
    },
    /// A valid vote of another replica got here, in whatever envelope.
    VoteReceived {
        /// The slot.
        seq: Seq,
        /// What it votes for.
        digest: Digest,
        /// Whose vote.
        author: ReplicaId,
        /// In which phase.
        phase: Phase,
        /// It contradicts an earlier vote of the same author.
        contradicts: bool,
    },
    /// This replica cast a vote.
    Voted {
        /// In which phase.
        phase: Phase,
        /// Its view, in a protocol with views.
        view: Option<View>,
        /// The slot.
        seq: Seq,
        /// What it votes for.
        digest: Digest,
    },
    /// The slot is decided here.
    Committed {
        /// The view of the deciding votes, in a protocol with views.
        view: Option<View>,
        /// The slot.
        seq: Seq,
        /// The decided batch.
        digest: Digest,
        /// How.
        path: Path,
    },
    /// The slot was executed here.
    Executed {
        /// The slot.
        seq: Seq,
        /// The decided batch.
        digest: Digest,
        /// Requests executed; those executed before do not count.
        requests: usize,
        /// The chain over all executed digests up to and including this one.
        chain: Digest,
    },
    /// A request was executed here; comes before its slot's [`Mark::Executed`].
    Applied {
        /// The slot that ordered it, in a protocol that orders everything in slots.
        seq: Option<Seq>,
        /// The session that asked.
        session: SessionId,
        /// Which of its requests.
        counter: u64,
    },
    /// This replica took over a state from its peers instead of executing.
    StateAdopted {
        /// The last slot that the state contains.
        seq: Seq,
        /// The chain over all executed digests up to and including that slot.
        chain: Digest,
    },
    /// This replica's state after a slot is not the one that a quorum vouched for. It
    /// answers nothing from it until it has taken over the proven one, which may be
    /// behind what it executed.
    Diverged {
        /// The slot.
        seq: Seq,
        /// The digest of its own state.
        own: Digest,
        /// The digest of the proven one.
        proven: Digest,
    },
    /// A replica that had lost its memory votes again.
    Recovered {
        /// In this view and later ones, in a protocol with views.
        view: Option<View>,
    },
    /// What only a protocol with views has to report.
    View(ViewMark),
    /// What only a protocol whose members change has to report.
    Generation(GenerationMark),
}

/// Something that happened inside a replica of a protocol whose members change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GenerationMark {
    /// A generation of members began here.
    Began {
        /// How many there were before.
        number: u64,
        /// Who they are.
        members: Vec<ReplicaId>,
    },
    /// This replica took over the state that a generation began with.
    Adopted {
        /// Which generation.
        number: u64,
        /// The state's digest.
        state: Digest,
    },
}

/// Something that happened inside a replica of a protocol that works in views, with
/// one commander at a time, as PBFT and CCRO do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ViewMark {
    /// This communication node sent a certificate.
    Certified {
        /// The slot.
        seq: Seq,
        /// `prepared`, `fast` or `committed`.
        kind: &'static str,
    },
    /// This replica gave up on the slot's communication node.
    FellBack {
        /// The slot.
        seq: Seq,
        /// The node that did not deliver.
        communication_node: ReplicaId,
    },
    /// This commander will name another communication node.
    Rotated {
        /// The one that did not deliver.
        from: ReplicaId,
        /// The next one.
        to: ReplicaId,
    },
    /// The roles of a round follow from the trust in each node (`ccro-paper`).
    Trusted {
        /// The round.
        seq: Seq,
        /// Its commander, unless it is found down.
        commander: ReplicaId,
        /// Its communication node, unless it is found down.
        communication_node: ReplicaId,
        /// By id, in thousandths.
        trust_milli: Vec<u16>,
    },
    /// A checkpoint became stable.
    Stable {
        /// Its sequence number.
        seq: Seq,
    },
    /// This replica voted to leave for a view.
    LeftFor {
        /// The view it wants.
        view: View,
    },
    /// What this replica's VIEW-CHANGE says; comes after its [`ViewMark::LeftFor`].
    Reported {
        /// Its stable checkpoint: of slots up to that it says nothing.
        stable: Seq,
        /// The slots that it has a prepared certificate for, of which view and digest.
        prepared: Vec<(Seq, View, Digest)>,
        /// Its last vote to accept of each slot; none in flows without a fast path.
        voted: Vec<(Seq, View, Digest)>,
    },
    /// A view began here.
    ViewBegan {
        /// The view.
        view: View,
    },
}
