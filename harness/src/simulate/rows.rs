//! From a simulated run to the rows that a real one has.

use std::collections::HashMap;
use std::time::Duration;

use kernel::ReplicaId;

use super::run::{NodeRun, Run};
use crate::audit;
use crate::load::{Answer, Decision, LoadResult, Sample};
use crate::observe::{Counters, LogRow, NodeLog, NodeStatus};
use crate::plan::Cell;
use crate::procfs::CpuUse;
use crate::protocols::Placement;
use crate::rows::{self, CellRows, Measured, RunId};

/// Requests in flight at most in an open loop: virtual clients are never short.
const OPEN_LOOP_IN_FLIGHT: usize = 1 << 20;

/// The rows of a run.
pub fn rows(cell: &Cell, id: RunId, run: &Run) -> CellRows {
    let logs: Vec<Option<NodeLog>> = (0..).zip(&run.nodes).map(|(id, node)| Some(log(id, node))).collect();
    let honest = cell.faults.honest();
    let of_honest: Vec<&NodeLog> = logs.iter().flatten().filter(|log| honest.contains(&log.id)).collect();
    let audit = audit::compare(&of_honest);
    let after: Vec<Option<NodeStatus>> =
        (0..).zip(&run.nodes).map(|(id, node)| Some(status(id, node))).collect();
    let measured = Measured {
        load: LoadResult {
            samples: samples(run),
            elapsed: Duration::from_micros(run.lasted_us),
            cut_short: None,
        },
        before: vec![None; run.nodes.len()],
        after,
        logs,
        audit,
        cpu: CpuUse::default(),
        notes: run.breach.iter().map(|breach| format!("VIOLATION: {breach}")).collect(),
    };
    let clients = rows::clients_column(cell.load, OPEN_LOOP_IN_FLIGHT);
    rows::rows(cell, id, Placement::Simulated, clients, &measured)
}

fn samples(run: &Run) -> Vec<Sample> {
    let mut answers: HashMap<usize, (Option<u64>, Answer)> = HashMap::new();
    for outcome in &run.accepted {
        let asked_us = run.submitted[outcome.request].at_us;
        let took_us = outcome.at_us - asked_us;
        let decision = Decision {
            seq: outcome.seq.0,
            consensus_us: took_us as f64,
            received_ns: asked_us * 1000,
            replies: run.replies_needed as u64,
        };
        answers.insert(outcome.request, (Some(took_us), Answer::Decided(decision)));
    }
    // An answer that came too late is none.
    for request in &run.timed_out {
        answers.insert(*request, (None, Answer::Timeout { replies: None }));
    }
    let began_us = run.submitted.first().map_or(0, |first| first.at_us);
    let sample = |submitted: &sim::Submitted| {
        let (response_us, answer) = answers.remove(&submitted.request).unwrap_or((None, Answer::Pending));
        let intended_us = submitted.at_us - began_us;
        let gateway = submitted.gateway.0;
        Sample { gateway, intended_us, sent_us: Some(intended_us), response_us, answer }
    };
    run.submitted.iter().map(sample).collect()
}

fn log(id: u16, node: &NodeRun) -> NodeLog {
    let rows = node.slots.iter().map(|slot| LogRow {
        seq: slot.seq,
        digest: slot.digest.map(|digest| digest.to_string()),
        path: slot.path.map(|path| path.to_string()),
        proposed_ns: slot.proposed_ns,
        committed_ns: slot.committed_ns,
        chain: slot.chain.map(|chain| chain.to_string()),
        correct: slot.correct,
        corrupt: slot.corrupt,
    });
    NodeLog { id, last_executed: node.status.last_executed.0, truncated: false, rows: rows.collect() }
}

fn status(id: u16, node: &NodeRun) -> NodeStatus {
    let (status, traffic) = (&node.status, &node.traffic);
    let is = |role: Option<ReplicaId>| role == Some(ReplicaId(id));
    let roles =
        [("commander", is(Some(status.commander))), ("communication_node", is(status.communication_node))];
    let roles: Vec<&str> = roles.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    NodeStatus {
        role: if roles.is_empty() { "replica".to_string() } else { roles.join("+") },
        last_executed: status.last_executed.0,
        commander: status.commander.0,
        communication_node: status.communication_node.map(|id| id.0),
        peers_reachable: 0,
        counters: Counters {
            messages_out: traffic
                .out_by_kind
                .iter()
                .map(|(kind, volume)| ((*kind).to_string(), volume.messages))
                .collect(),
            bytes_out: traffic.agreement_out.bytes + traffic.other_out.bytes,
            bytes_in: traffic.agreement_in.bytes + traffic.other_in.bytes,
            agreement_messages_out: traffic.agreement_out.messages,
            agreement_messages_in: traffic.agreement_in.messages,
            other_messages_out: traffic.other_out.messages,
            other_messages_in: traffic.other_in.messages,
            votes_correct: node.votes.correct,
            votes_corrupt: node.votes.corrupt,
            signatures_made: node.signatures.0,
            signatures_checked: node.signatures.1,
            rejected: [("all".to_string(), traffic.rejected)].into(),
            decided_slots: node.slots.iter().filter(|slot| slot.committed_ns.is_some()).count() as u64,
            cpu_us: None,
            memory_bytes: None,
        },
    }
}
