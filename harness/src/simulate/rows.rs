//! From a simulated run to the rows that a real one has.

use std::collections::HashMap;
use std::time::Duration;

use kernel::ReplicaId;
use node::api::{CounterReport, LogReport};

use super::cell::{NodeRun, Run};
use crate::cluster::observe::NodeState;
use crate::cluster::procfs::CpuUse;
use crate::experiment::audit;
use crate::experiment::rows::{self, Measured, RunId};
use crate::load::{Answer, Decision, LoadResult, Sample};
use crate::plan::{Cell, Placement};
use crate::results::schema::VIOLATION;
use crate::results::store::CellRows;

/// What the `clients` column says of an open loop: there is always another one.
const VIRTUAL_CLIENTS: usize = 1 << 20;

/// The rows of a run.
pub fn rows(cell: &Cell, id: RunId, run: &Run) -> CellRows {
    let logs: Vec<Option<LogReport>> = (0..).zip(&run.nodes).map(|(id, node)| Some(log(id, node))).collect();
    let honest = cell.faults.honest();
    let of_honest: Vec<&LogReport> = logs.iter().flatten().filter(|log| honest.contains(&log.id)).collect();
    let audit = audit::compare(&of_honest);
    let after = (0..).zip(&run.nodes).map(|(id, node)| Some(state(id, node))).collect();
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
        events: vec![],
        notes: run.breach.iter().map(|breach| format!("{VIOLATION}: {breach}")).collect(),
        history: None,
    };
    let clients = rows::clients_column(cell.load, VIRTUAL_CLIENTS);
    rows::rows(cell, id, Placement::Simulated, clients, &measured)
}

fn samples(run: &Run) -> Vec<Sample> {
    let mut answers: HashMap<usize, (Option<u64>, Answer)> = HashMap::new();
    for outcome in &run.accepted {
        let submitted = &run.submitted[outcome.request];
        let took_us = outcome.at_us - submitted.at_us;
        // As on a real node: what waits to be read is not yet received.
        let received_us = submitted.taken_up_us.unwrap_or(submitted.at_us);
        let decision = Decision {
            seq: outcome.seq.0,
            consensus_us: outcome.at_us.saturating_sub(received_us) as f64,
            received_ns: received_us * 1000,
            replies: run.replies_needed as u64,
            view: outcome.view.0,
            result: String::from_utf8_lossy(&outcome.result.0).into_owned(),
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

fn log(id: u16, node: &NodeRun) -> LogReport {
    let rows = node.slots.clone();
    LogReport { id, last_executed: node.status.last_executed.0, executed_before: 0, truncated: false, rows }
}

fn state(id: u16, node: &NodeRun) -> NodeState {
    let traffic = &node.traffic;
    let by_kind = traffic.out_by_kind.iter();
    NodeState {
        role: node::role(ReplicaId(id), &node.status).to_owned(),
        commander: node.status.views.as_ref().map(|views| views.commander.0),
        divergences: node.status.divergences,
        is_diverged: node.status.diverged,
        counters: CounterReport {
            messages_out: by_kind.map(|(kind, v)| ((*kind).to_string(), v.messages)).collect(),
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
            rejected: [("for any reason".to_string(), traffic.rejected)].into(),
            decided_slots: node.slots.iter().filter(|slot| slot.committed_ns.is_some()).count() as u64,
            ..CounterReport::default()
        },
    }
}
