//! The classic text of `/preprepare`.

use super::tallies::Tallies;
use crate::host::gateway::Decided;
use std::fmt::Write as _;

/// A decided request.
pub(super) fn decided(protocol: &str, decided: &Decided, tallies: &Tallies) -> String {
    let us = decided.rounded_us();
    format!(
        "{} Consensus Time: {}.{:06}s\n{}",
        protocol.to_uppercase(),
        us / 1_000_000,
        us % 1_000_000,
        lines(tallies)
    )
}

/// A request that was not decided in time: no time appears anywhere.
pub(super) fn undecided(protocol: &str, error: &str, tallies: &Tallies) -> String {
    format!("{}: {error}\n{}", protocol.to_uppercase(), lines(tallies))
}

fn lines(tallies: &Tallies) -> String {
    let n = tallies.nodes.len() + tallies.not_answered.len();
    let mut answered = tallies.nodes.iter().peekable();
    let mut lines = String::new();
    for id in 0..n {
        // Writing to a string cannot fail.
        let _ = match answered.next_if(|tally| usize::from(tally.node.0) == id) {
            Some(tally) => {
                writeln!(lines, "Node {id} -> {} Correct {} Corrupt", tally.correct, tally.corrupt)
            }
            None => writeln!(lines, "Node {id} -> no answer"),
        };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NodeTally;
    use kernel::{Output, ReplicaId, Seq, View};

    fn tallies() -> Tallies {
        Tallies {
            nodes: vec![NodeTally { node: ReplicaId(0), correct: 5, corrupt: 2 }],
            not_answered: vec![ReplicaId(1)],
        }
    }

    #[test]
    fn a_decision_has_its_time_to_the_microsecond() {
        let text = |consensus_ns| {
            let result = Output::new(b"");
            let (seq, view, received_ns) = (Seq(7), View(1), 5);
            decided(
                "ccro-paper",
                &Decided { seq, view, received_ns, consensus_ns, replies: 2, result, evidence: None },
                &tallies(),
            )
        };
        assert_eq!(
            text(912_345),
            "CCRO-PAPER Consensus Time: 0.000912s\nNode 0 -> 5 Correct 2 Corrupt\nNode 1 -> no answer\n"
        );
        assert!(text(1_999_999_600).contains(": 2.000000s"));
    }

    #[test]
    fn an_undecided_request_has_none() {
        let text = undecided("pbft", "why", &tallies());
        assert_eq!(text, "PBFT: why\nNode 0 -> 5 Correct 2 Corrupt\nNode 1 -> no answer\n");
    }
}
