//! What a client is told: JSON by default, the classic text where asked for.

use crate::host::gateway::Decided;
use kernel::{Operation, Path, ReplicaId};
use std::fmt::Write as _;

/// One node's tally of a slot; none if it did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeTally {
    pub(crate) node: ReplicaId,
    pub(crate) votes: Option<(u64, u64)>,
}

/// A decided request. The path is empty while the slot is not decided here:
/// other nodes' replies may be faster.
pub(crate) fn decided_json(
    protocol: &str,
    node: ReplicaId,
    path: Option<Path>,
    decided: &Decided,
    nodes: Option<&[NodeTally]>,
) -> String {
    let mut json = String::with_capacity(320);
    // Built by hand because it is built for every request; only the result can
    // hold characters that need care.
    let _ = write!(
        json,
        "{{\"outcome\":\"decided\",\"protocol\":\"{protocol}\",\"node\":{node},\"seq\":{},\"view\":{},\"path\":",
        decided.seq, decided.view
    );
    match path {
        Some(path) => write!(json, "\"{path}\""),
        None => write!(json, "null"),
    }
    .expect("writing to a string cannot fail");
    let ns = decided.consensus_ns;
    let _ = write!(
        json,
        ",\"consensus_time_s\":{}.{:06},\"consensus_us\":{}.{:03},\"received_ns\":{},\"replies\":{},\"result\":{}",
        rounded_us(ns) / 1_000_000,
        rounded_us(ns) % 1_000_000,
        ns / 1_000,
        ns % 1_000,
        decided.received_ns,
        decided.replies,
        quoted(&decided.result)
    );
    if let Some(nodes) = nodes {
        json.push_str(",\"nodes\":");
        json.push_str(&nodes_json(nodes));
    }
    json.push('}');
    json
}

/// The classic text of a decided request.
pub(crate) fn decided_text(protocol: &str, decided: &Decided, nodes: &[NodeTally]) -> String {
    let us = rounded_us(decided.consensus_ns);
    let mut text =
        format!("{} Consensus Time: {}.{:06}s\n", protocol.to_uppercase(), us / 1_000_000, us % 1_000_000);
    text.push_str(&nodes_text(nodes));
    text
}

/// A request that was not decided in time: no time appears anywhere.
pub(crate) fn timeout_json(
    error: &str,
    replies: usize,
    undecided_slot: Option<u64>,
    nodes: Option<&[NodeTally]>,
) -> String {
    let error = serde_json::Value::from(error);
    let mut json = format!("{{\"outcome\":\"timeout\",\"error\":{error},\"replies\":{replies}");
    if let Some(slot) = undecided_slot {
        let _ = write!(json, ",\"undecided_slot\":{slot}");
    }
    if let Some(nodes) = nodes {
        json.push_str(",\"nodes\":");
        json.push_str(&nodes_json(nodes));
    }
    json.push('}');
    json
}

/// The classic text of a request that was not decided in time.
pub(crate) fn timeout_text(protocol: &str, error: &str, nodes: &[NodeTally]) -> String {
    format!("{}: {error}\n{}", protocol.to_uppercase(), nodes_text(nodes))
}

/// An error that is not about consensus.
pub(crate) fn error_json(error: &str) -> String {
    format!("{{\"error\":{}}}", serde_json::Value::from(error))
}

fn rounded_us(ns: u64) -> u64 {
    (ns + 500) / 1_000
}

fn nodes_json(nodes: &[NodeTally]) -> String {
    let nodes: Vec<String> = nodes
        .iter()
        .map(|NodeTally { node, votes }| match votes {
            Some((correct, corrupt)) => {
                format!("{{\"node\":{node},\"correct\":{correct},\"corrupt\":{corrupt}}}")
            }
            None => format!("{{\"node\":{node},\"answer\":null}}"),
        })
        .collect();
    format!("[{}]", nodes.join(","))
}

fn nodes_text(nodes: &[NodeTally]) -> String {
    nodes
        .iter()
        .map(|NodeTally { node, votes }| match votes {
            Some((correct, corrupt)) => {
                format!("Node {node} -> {correct} Correct {corrupt} Corrupt\n")
            }
            None => format!("Node {node} -> no answer\n"),
        })
        .collect()
}

/// The result as a JSON string; what is not text, as `hex:…`.
fn quoted(result: &Operation) -> String {
    let quoted = match std::str::from_utf8(&result.0) {
        Ok(text) => serde_json::to_string(text),
        // An operation writes itself as hex for people.
        Err(_) => serde_json::to_string(result),
    };
    quoted.unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Seq, View};

    fn decided(consensus_ns: u64, result: &[u8]) -> Decided {
        Decided {
            seq: Seq(7),
            view: View(1),
            received_ns: 123_456,
            consensus_ns,
            replies: 2,
            result: Operation::new(result),
        }
    }

    const NODES: [NodeTally; 2] = [
        NodeTally { node: ReplicaId(0), votes: Some((5, 2)) },
        NodeTally { node: ReplicaId(2), votes: None },
    ];

    #[test]
    fn the_json_of_a_decision() {
        let json =
            decided_json("pbft", ReplicaId(3), Some(Path::Direct), &decided(912_345, b"\"o\n"), Some(&NODES));
        assert_eq!(
            json,
            "{\"outcome\":\"decided\",\"protocol\":\"pbft\",\"node\":3,\"seq\":7,\"view\":1,\"path\":\"direct\",\
             \"consensus_time_s\":0.000912,\"consensus_us\":912.345,\"received_ns\":123456,\"replies\":2,\
             \"result\":\"\\\"o\\n\",\"nodes\":[{\"node\":0,\"correct\":5,\"corrupt\":2},{\"node\":2,\"answer\":null}]}"
        );
        let json = decided_json("pbft", ReplicaId(3), None, &decided(61_000_000_042, b"\xff"), None);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["consensus_time_s"], 61.0);
        assert_eq!(value["consensus_us"], 61_000_000.042);
        assert_eq!((&value["path"], &value["result"]), (&serde_json::Value::Null, &"hex:ff".into()));
        assert!(value.get("nodes").is_none());
    }

    #[test]
    fn the_classic_text() {
        assert_eq!(
            decided_text("ccro-paper", &decided(912_345, b""), &NODES),
            "CCRO-PAPER Consensus Time: 0.000912s\nNode 0 -> 5 Correct 2 Corrupt\nNode 2 -> no answer\n"
        );
        assert!(decided_text("pbft", &decided(1_999_999_600, b""), &[]).contains(": 2.000000s"));
    }

    #[test]
    fn a_timeout_names_no_time() {
        let json = timeout_json("say \"why\"", 1, Some(4), Some(&NODES[1..]));
        assert_eq!(
            json,
            "{\"outcome\":\"timeout\",\"error\":\"say \\\"why\\\"\",\"replies\":1,\"undecided_slot\":4,\
             \"nodes\":[{\"node\":2,\"answer\":null}]}"
        );
        assert_eq!(timeout_text("pbft", "why", &NODES[1..]), "PBFT: why\nNode 2 -> no answer\n");
        assert_eq!(
            timeout_json("e", 0, None, None),
            "{\"outcome\":\"timeout\",\"error\":\"e\",\"replies\":0}"
        );
    }
}
