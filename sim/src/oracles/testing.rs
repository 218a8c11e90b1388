//! Traces made by hand, for the oracles' own tests.

use crate::trace::{Change, Lifecycle, Outcome, Stamped, Submitted, Trace};
use kernel::{
    Cluster, ClusterId, Digest, Mark, Output, Path, Phase, ReplicaId, Seq, SessionId, View, ViewMark,
};

pub(crate) fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

pub(crate) fn session(number: u64) -> SessionId {
    SessionId { gateway: ReplicaId(0), number }
}

/// A trace of `n` replicas without anything in it.
pub(crate) fn trace(n: u16) -> Trace {
    Trace::new(Cluster::new(ClusterId([0; 16]), "pbft", n), true)
}

impl Trace {
    pub(crate) fn mark(mut self, replica: u16, mark: Mark) -> Trace {
        let at_us = self.marks.len() as u64;
        self.marks.push(Stamped { at_us, replica: ReplicaId(replica), mark });
        self
    }

    pub(crate) fn faulty(mut self, replicas: &[u16]) -> Trace {
        self.faulty.extend(replicas);
        self
    }

    pub(crate) fn restart(mut self, replica: u16) -> Trace {
        let marks = self.marks.len();
        let (replica, change) = (ReplicaId(replica), Change::Restarted);
        self.lifecycle.push(Lifecycle { at_us: marks as u64, replica, change, marks });
        self
    }

    pub(crate) fn submit(mut self, number: u64, counter: u64) -> Trace {
        self.submitted.push(Submitted {
            request: self.submitted.len(),
            session: session(number),
            counter,
            gateway: ReplicaId(0),
            at_us: self.marks.len() as u64,
            taken_up_us: None,
        });
        self
    }

    pub(crate) fn accept(mut self, request: usize, result: &str) -> Trace {
        let at_us = self.marks.len() as u64;
        self.accepted.push(Outcome {
            request,
            result: Output::new(result.as_bytes()),
            seq: Seq(0),
            view: View(0),
            at_us,
        });
        self
    }

    pub(crate) fn propose(self, replica: u16, view: u64, seq: u64, name: &str) -> Trace {
        let (view, seq, digest) = (View(view), Seq(seq), digest(name));
        self.mark(
            replica,
            Mark::Proposed { view: Some(view), seq, digest, requests: 1, communication_node: None },
        )
    }

    pub(crate) fn vote(self, phase: Phase, voters: &[u16], view: u64, seq: u64, name: &str) -> Trace {
        let (view, seq, digest) = (View(view), Seq(seq), digest(name));
        voters
            .iter()
            .fold(self, |trace, id| trace.mark(*id, Mark::Voted { phase, view: Some(view), seq, digest }))
    }

    pub(crate) fn commit(self, replica: u16, path: Path, view: u64, seq: u64, name: &str) -> Trace {
        let (view, seq, digest) = (View(view), Seq(seq), digest(name));
        self.mark(replica, Mark::Committed { view: Some(view), seq, digest, path })
    }

    pub(crate) fn apply(self, replica: u16, seq: u64, number: u64, counter: u64) -> Trace {
        self.mark(replica, Mark::Applied { seq: Some(Seq(seq)), session: session(number), counter })
    }

    /// Executes a slot; the chain is named after all that went into it.
    pub(crate) fn execute(self, replica: u16, seq: u64, name: &str, chain: &str) -> Trace {
        let (digest, chain) = (digest(name), digest(chain));
        self.mark(replica, Mark::Executed { seq: Seq(seq), digest, requests: 1, chain })
    }

    pub(crate) fn adopt(self, replica: u16, seq: u64, chain: &str) -> Trace {
        self.mark(replica, Mark::StateAdopted { seq: Seq(seq), chain: digest(chain) })
    }

    pub(crate) fn damaged(mut self, replicas: &[u16]) -> Trace {
        self.damaged.extend(replicas);
        self
    }

    pub(crate) fn diverge(self, replica: u16, seq: u64) -> Trace {
        let (own, proven) = (digest("own"), digest("proven"));
        self.mark(replica, Mark::Diverged { seq: Seq(seq), own, proven })
    }

    pub(crate) fn stable(self, replica: u16, seq: u64) -> Trace {
        self.mark(replica, Mark::View(ViewMark::Stable { seq: Seq(seq) }))
    }
}
