//! From what was measured to the rows of the result files.

use std::collections::{BTreeMap, HashMap};

use kernel::Path;
use node::api::{CounterReport, LogReport, SlotRow};

use super::audit::Audit;
use super::outage::recorded::Recorded;
use crate::cluster::observe::{self, NodeState};
use crate::cluster::procfs::CpuUse;
use crate::load::{Answer, Decision, LoadResult, Sample};
use crate::plan::faults::join_ids;
use crate::plan::{Cell, Load, Placement};
use crate::results::schema::{CellRow, CommitPath, EventRow, NodeRow, Outcome, SampleRow};
use crate::results::store::CellRows;

/// Which run of which cell.
#[derive(Clone, Copy, Debug)]
pub struct RunId {
    /// Repetition, from 0.
    pub repetition: u32,
    /// Place in the repetition's order, from 0.
    pub order: u32,
    /// Wall clock at its start, milliseconds since 1970.
    pub started_unix_ms: u64,
}

/// Everything that was read off one run of one cell.
#[derive(Debug)]
pub struct Measured {
    /// The requests.
    pub load: LoadResult,
    /// What nodes said after the warm-up, by id.
    pub before: Vec<Option<NodeState>>,
    /// What nodes said at the end, by id.
    pub after: Vec<Option<NodeState>>,
    /// Logs at the end, by id.
    pub logs: Vec<Option<LogReport>>,
    /// The honest nodes' agreement.
    pub audit: Audit,
    /// What the machine did meanwhile.
    pub cpu: CpuUse,
    /// For `events.csv`.
    pub events: Vec<EventRow>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// What clients of the key-value store saw, if that was recorded.
    pub history: Option<Recorded>,
}

/// Requests in flight at most, as the `clients` column has it.
pub fn clients_column(load: Load, max_in_flight: usize) -> u64 {
    match load {
        Load::Closed { clients } => clients as u64,
        Load::Open { .. } => max_in_flight as u64,
    }
}

/// Puts the rows of one run together.
pub fn rows(cell: &Cell, run: RunId, placement: Placement, clients: u64, measured: &Measured) -> CellRows {
    let nodes = node_rows(cell, run, measured);
    let samples = sample_rows(cell, run, clients, measured);
    let count = |outcome| samples.iter().filter(|sample| sample.outcome == outcome).count() as u64;
    let nodes_cpu_us = match placement {
        Placement::Processes => nodes.iter().filter_map(|node| node.cpu_us).reduce(|a, b| a + b),
        Placement::Tasks => measured.cpu.node_threads_us,
        Placement::Simulated => None,
    };
    let honest = cell.faults.honest();
    let of_honest = nodes.iter().filter(|node| honest.contains(&(node.node as u16)));
    let cell_row = CellRow {
        cell: cell.name.clone(),
        repetition: run.repetition,
        protocol: cell.protocol.to_string(),
        nodes: cell.nodes.into(),
        f: cell.f() as u32,
        fault: cell.faults.text.clone(),
        faulty: join_ids(&cell.faults.faulty()),
        app: cell.app.to_string(),
        payload_bytes: cell.payload_bytes as u64,
        batch_max: cell.batch as u64,
        clients,
        rate_per_s: cell.rate_per_s(),
        via: cell.via.to_string(),
        durability: cell.durability.to_string(),
        order: run.order,
        started_unix_ms: run.started_unix_ms,
        measured_s: measured.load.elapsed.as_secs_f64(),
        requests: samples.len() as u64,
        decided: count(Outcome::Decided),
        timeouts: count(Outcome::Timeout),
        errors: count(Outcome::Error),
        violations: count(Outcome::Violation),
        decided_slots: of_honest.map(|node| node.decided_slots).max().unwrap_or(0),
        nodes_cpu_us,
        load_cpu_us: measured.cpu.load_us,
        idle_share: measured.cpu.idle_share,
        foreign_cpu_share: measured.cpu.foreign_share,
        placement: placement.to_string(),
        link_delay_us: cell.link_delay_us,
        link_loss: cell.link_loss,
        note: measured.notes.iter().cloned().chain(divergences(measured)).collect::<Vec<_>>().join("; "),
    };
    CellRows { samples, nodes, cell: cell_row, events: measured.events.clone() }
}

/// A sentence on each node that found its state to be wrong.
fn divergences(measured: &Measured) -> impl Iterator<Item = String> {
    let both = measured.after.iter().zip(&measured.before).enumerate();
    both.filter_map(|(id, (after, before))| {
        let after = after.as_ref()?;
        let found = after.divergences - before.as_ref().map_or(0, |before| before.divergences);
        let now = if after.is_diverged { "has not taken over theirs yet" } else { "took over theirs" };
        let said = format!("node {id} found {found} times that its state was not the one that a quorum vouched for, and {now}");
        (found > 0).then(|| said.replace("found 1 times", "found"))
    })
}

/// What all honest nodes' logs together say of a slot.
#[derive(Default)]
struct Slot {
    path: Option<CommitPath>,
    commander_commit_us: Option<u64>,
    last_commit_ns: Option<u64>,
    committed_at: usize,
    correct: u64,
    corrupt: u64,
}

fn slots(cell: &Cell, measured: &Measured) -> HashMap<u64, Slot> {
    let honest = cell.faults.honest();
    let state = |id: u16| measured.after.get(usize::from(id)).and_then(Option::as_ref);
    let commander = honest.first().and_then(|id| state(*id)).and_then(|state| state.commander);
    let mut slots: HashMap<u64, Slot> = HashMap::new();
    for id in &honest {
        let Some(log) = &measured.logs[usize::from(*id)] else { continue };
        for row in &log.rows {
            let slot = slots.entry(row.seq).or_default();
            slot.correct += row.correct;
            slot.corrupt += row.corrupt;
            slot.last_commit_ns = slot.last_commit_ns.max(row.committed_ns);
            slot.committed_at += usize::from(row.committed_ns.is_some());
            // Honest nodes come in ascending order: the commander's word counts,
            // else the first node's.
            if slot.path.is_none() || Some(*id) == commander {
                slot.path = row.path.map(path_of).or(slot.path);
            }
            if slot.commander_commit_us.is_none() {
                slot.commander_commit_us = proposal_to_commit_us(row);
            }
        }
    }
    slots
}

/// Only the commander has a time of proposal.
fn proposal_to_commit_us(row: &SlotRow) -> Option<u64> {
    Some(row.committed_ns?.checked_sub(row.proposed_ns?)? / 1000)
}

fn path_of(path: Path) -> CommitPath {
    match path {
        Path::Direct => CommitPath::Direct,
        Path::Fast => CommitPath::Fast,
        Path::TwoPhase => CommitPath::TwoPhase,
        Path::Fallback => CommitPath::Fallback,
    }
}

fn sample_rows(cell: &Cell, run: RunId, clients: u64, measured: &Measured) -> Vec<SampleRow> {
    let slots = slots(cell, measured);
    let faulty = join_ids(&cell.faults.faulty());
    let honest = cell.faults.honest().len();
    let row = |(request, sample): (usize, &Sample)| {
        let empty = SampleRow {
            cell: cell.name.clone(),
            repetition: run.repetition,
            protocol: cell.protocol.to_string(),
            nodes: cell.nodes.into(),
            f: cell.f() as u32,
            fault: cell.faults.text.clone(),
            faulty: faulty.clone(),
            app: cell.app.to_string(),
            payload_bytes: cell.payload_bytes as u64,
            batch_max: cell.batch as u64,
            clients,
            rate_per_s: cell.rate_per_s(),
            via: cell.via.to_string(),
            durability: cell.durability.to_string(),
            request: request as u64,
            outcome: Outcome::Error,
            path: None,
            intended_us: sample.intended_us,
            sent_us: sample.sent_us,
            response_us: None,
            consensus_us: None,
            commander_commit_us: None,
            last_commit_us: None,
            replies: None,
            correct: None,
            corrupt: None,
            seq: None,
            gateway: sample.gateway.into(),
            error: String::new(),
        };
        match &sample.answer {
            Answer::Decided(decision) => {
                let slot = slots.get(&decision.seq);
                decided_row(empty, sample, decision, slot, honest, &measured.audit)
            }
            Answer::Timeout { replies } => {
                SampleRow { outcome: Outcome::Timeout, replies: *replies, ..empty }
            }
            Answer::Error(error) => SampleRow { error: error.clone(), ..empty },
            Answer::Pending => SampleRow { error: "no answer".into(), ..empty },
        }
    };
    measured.load.samples.iter().enumerate().map(row).collect()
}

fn decided_row(
    empty: SampleRow,
    sample: &Sample,
    decision: &Decision,
    slot: Option<&Slot>,
    honest: usize,
    audit: &Audit,
) -> SampleRow {
    let last_commit_us = slot
        // As long as an honest node has not committed there is no last commit.
        .filter(|slot| slot.committed_at == honest)
        .and_then(|slot| slot.last_commit_ns)
        .and_then(|ns| ns.checked_sub(decision.received_ns))
        .map(|ns| ns / 1000);
    let answered = SampleRow {
        path: slot.and_then(|slot| slot.path),
        commander_commit_us: slot.and_then(|slot| slot.commander_commit_us),
        last_commit_us,
        replies: Some(decision.replies),
        correct: slot.map(|slot| slot.correct),
        corrupt: slot.map(|slot| slot.corrupt),
        seq: Some(decision.seq),
        ..empty
    };
    // An answer that honest nodes disagree on is no decision and has no latency.
    if let Some(how) = audit.disagreements.get(&decision.seq) {
        return SampleRow { outcome: Outcome::Violation, error: how.clone(), ..answered };
    }
    SampleRow {
        outcome: Outcome::Decided,
        response_us: sample.response_us,
        consensus_us: Some(decision.consensus_us.round() as u64),
        ..answered
    }
}

fn node_rows(cell: &Cell, run: RunId, measured: &Measured) -> Vec<NodeRow> {
    (0..cell.nodes)
        .filter_map(|id| {
            let at = usize::from(id);
            let (before, after) = (measured.before.get(at), measured.after.get(at));
            let before = before.and_then(Option::as_ref);
            let after = after.and_then(Option::as_ref);
            // What a node that died by itself had counted is lost, so it has no row;
            // one that was killed on purpose did nothing since the warm-up.
            let killed = cell.faults.nodes[at].crash;
            let after = if killed { after.or(before) } else { Some(after?) };
            let nothing = CounterReport::default();
            let counters = after.map_or(&nothing, |state| &state.counters);
            let counters = observe::since(counters, before.map_or(&nothing, |state| &state.counters));
            Some(node_row(cell, run, id, after.map_or("", |state| &state.role), &counters))
        })
        .collect()
}

fn node_row(cell: &Cell, run: RunId, id: u16, role: &str, counters: &CounterReport) -> NodeRow {
    NodeRow {
        cell: cell.name.clone(),
        repetition: run.repetition,
        protocol: cell.protocol.to_string(),
        nodes: cell.nodes.into(),
        f: cell.f() as u32,
        fault: cell.faults.text.clone(),
        node: id.into(),
        role: role.to_string(),
        faults: cell.faults.nodes[usize::from(id)].describe(),
        decided_slots: counters.decided_slots,
        correct: counters.votes_correct,
        corrupt: counters.votes_corrupt,
        agreement_messages_out: counters.agreement_messages_out,
        agreement_messages_in: counters.agreement_messages_in,
        other_messages_out: counters.other_messages_out,
        other_messages_in: counters.other_messages_in,
        bytes_out: counters.bytes_out,
        bytes_in: counters.bytes_in,
        signatures_made: counters.signatures_made,
        signatures_checked: counters.signatures_checked,
        rejected: counters.rejected.values().sum(),
        syncs: counters.syncs,
        sync_us: counters.sync_us,
        cpu_us: counters.cpu_us,
        memory_bytes: counters.memory_bytes,
        messages_out_by_kind: pairs(&counters.messages_out),
    }
}

fn pairs(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(kind, count)| format!("{kind}={count}")).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use kernel::Digest;

    use super::*;
    use crate::plan::Plan;
    use std::time::Duration;

    fn cell(fault: &str) -> Cell {
        let plan = Plan { faults: vec![fault.into()], ..Plan::default() };
        plan.cells().unwrap().remove(0)
    }

    fn log(id: u16, seq: u64, digest: &str, times: (Option<u64>, u64)) -> Option<LogReport> {
        let row = SlotRow {
            seq,
            digest: Some(Digest::of(digest.as_bytes())),
            path: Some(if id == 0 { Path::Direct } else { Path::Fallback }),
            proposed_ns: times.0,
            committed_ns: Some(times.1),
            correct: 6,
            corrupt: 1,
            ..SlotRow::default()
        };
        Some(LogReport { id, last_executed: seq, executed_before: 0, truncated: false, rows: vec![row] })
    }

    fn measured(cell: &Cell, digests: [&str; 4]) -> Measured {
        let logs: Vec<Option<LogReport>> = (0u16..4)
            .map(|id| {
                let proposed = (id == 0).then_some(2_000_000);
                log(id, 5, digests[usize::from(id)], (proposed, 3_000_000 + 1000 * u64::from(id)))
            })
            .collect();
        let honest = cell.faults.honest();
        let honest_logs: Vec<&LogReport> =
            logs.iter().flatten().filter(|log| honest.contains(&log.id)).collect();
        let decision = Decision {
            seq: 5,
            consensus_us: 912.6,
            received_ns: 1_000_000,
            replies: 2,
            view: 0,
            result: "1 0".into(),
        };
        let sample = |answer, response_us| Sample {
            gateway: 0,
            intended_us: 10,
            sent_us: Some(12),
            response_us,
            answer,
        };
        Measured {
            audit: crate::experiment::audit::compare(&honest_logs),
            load: LoadResult {
                samples: vec![
                    sample(Answer::Decided(decision), Some(1000)),
                    sample(Answer::Timeout { replies: Some(1) }, None),
                    sample(Answer::Error("refused".into()), None),
                ],
                elapsed: Duration::from_millis(1500),
                cut_short: None,
            },
            before: vec![None; 4],
            after: vec![None; 4],
            logs,
            cpu: CpuUse::default(),
            events: vec![],
            notes: vec![],
            history: None,
        }
    }

    const RUN: RunId = RunId { repetition: 0, order: 0, started_unix_ms: 0 };

    #[test]
    fn times_come_from_the_commander_and_the_last_honest_node() {
        let cell = cell("malicious@3");
        let rows = rows(&cell, RUN, Placement::Processes, 1, &measured(&cell, ["a", "a", "a", "z"]));
        let decided = &rows.samples[0];
        assert_eq!(decided.outcome, Outcome::Decided);
        assert_eq!(decided.path, Some(CommitPath::Direct));
        assert_eq!((decided.consensus_us, decided.response_us), (Some(913), Some(1000)));
        assert_eq!(decided.commander_commit_us, Some(1000));
        // Node 3 committed last but is not honest: node 2's time counts.
        assert_eq!(decided.last_commit_us, Some(2002));
        assert_eq!((decided.correct, decided.corrupt), (Some(18), Some(3)));
        assert_eq!((rows.cell.decided, rows.cell.timeouts, rows.cell.errors), (1, 1, 1));
        assert_eq!(rows.cell.measured_s, 1.5);
    }

    #[test]
    fn undecided_requests_have_no_times() {
        let cell = cell("none");
        let rows = rows(&cell, RUN, Placement::Processes, 1, &measured(&cell, ["a"; 4]));
        for row in &rows.samples[1..] {
            let times = (row.response_us, row.consensus_us, row.commander_commit_us, row.last_commit_us);
            assert_eq!(times, (None, None, None, None));
        }
        assert_eq!(rows.samples[1].outcome, Outcome::Timeout);
        assert_eq!(rows.samples[1].replies, Some(1));
        assert_eq!(rows.samples[2].error, "refused");
    }

    #[test]
    fn a_disagreement_among_the_honest_makes_a_violation_without_latency() {
        let cell = cell("none");
        let rows = rows(&cell, RUN, Placement::Processes, 1, &measured(&cell, ["a", "a", "b", "a"]));
        assert_eq!(rows.samples[0].outcome, Outcome::Violation);
        assert_eq!((rows.samples[0].consensus_us, rows.samples[0].response_us), (None, None));
        assert_eq!((rows.cell.violations, rows.cell.decided), (1, 0));
        assert!(rows.samples[0].error.contains(&format!("node 2 decided {}", Digest::of(b"b"))));
    }
}
