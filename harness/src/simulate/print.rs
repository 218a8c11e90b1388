//! What a simulated run tells a person.

use comfy_table::{CellAlignment, Table, presets};
use sim::{Role, Volume};

use super::cell::Run;
use super::simulation::Simulation;
use crate::base::console::say;
use crate::plan::Cell;
use crate::report::format::{digits, duration};
use crate::results::schema::{basis_words, latency_basis};
use crate::results::statistics::quantile;

/// One line, where there are many runs.
pub(super) fn line(cell: &Cell, seed: u64, run: &Run) {
    let latencies = run.latencies_us(cell.rate_per_s());
    say(format_args!(
        "{} seed {seed}: {} of {} decided in time, p50 {}, {} view changes, digest {}",
        cell.name,
        latencies.len(),
        run.submitted.len(),
        duration(quantile(&latencies, 0.5).map(|us| us as f64)),
        run.view_changes,
        run.digest
    ));
}

/// Everything, where there is one.
pub(super) fn whole(cell: &Cell, run: &Run, simulation: &Simulation) {
    let n = cell.nodes;
    say(format_args!(
        "{}: {} nodes, faults {}, network {}, {} signatures",
        cell.protocol,
        n,
        cell.faults.text,
        simulation.network.name,
        if simulation.real_signatures { "real" } else { "symbolic" }
    ));
    let latencies = run.latencies_us(cell.rate_per_s());
    let decided = latencies.len();
    say(format_args!(
        "  decisions: {} slots, {decided} of {} requests in time, {} late or never ({} never)",
        run.decided_slots(),
        run.submitted.len(),
        run.submitted.len() - decided,
        run.undecided()
    ));
    let at = |q| duration(quantile(&latencies, q).map(|us| us as f64));
    say(format_args!(
        "  {} in virtual time: p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        basis_words(latency_basis(cell.rate_per_s())),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    ));
    let virtual_s = run.lasted_us as f64 / 1e6;
    let rate = if virtual_s > 0.0 { digits(decided as f64 / virtual_s) } else { "–".into() };
    say(format_args!("  virtual time {}, {rate} requests/s", duration(Some(run.lasted_us as f64))));
    let paths: Vec<String> = run.paths.iter().map(|(path, count)| format!("{path} {count}")).collect();
    say(format_args!(
        "  commits at all nodes: {}; fallbacks {}, view changes {}",
        if paths.is_empty() { "none".to_string() } else { paths.join(", ") },
        run.fallbacks,
        run.view_changes
    ));
    say(format_args!("{}", kinds(run)));
    say(format_args!("{}", roles(run)));
    // Per second of CPU: what others do on the machine is not the simulator's speed.
    let cpu_s = run.cpu.as_secs_f64();
    say(format_args!(
        "  simulated in {:.2} s ({cpu_s:.2} s of CPU): {} messages delivered, {} per second of CPU",
        run.took.as_secs_f64(),
        digits(run.delivered as f64),
        digits(run.delivered as f64 / cpu_s.max(1e-9))
    ));
    say(format_args!("digest {}", run.digest));
}

fn table(header: [&str; 5]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn kinds(run: &Run) -> Table {
    let mut table = table(["  kind", "messages", "bytes", "messages/slot", "bytes/slot"]);
    let slots = run.decided_slots().max(1) as f64;
    for (kind, volume) in &run.by_kind {
        table.add_row([
            format!("  {kind}"),
            digits(volume.messages as f64),
            digits(volume.bytes as f64),
            digits(volume.messages as f64 / slots),
            digits(volume.bytes as f64 / slots),
        ]);
    }
    table
}

/// By role: what counts is what one node of the role has to carry, so the sum of
/// all others is divided by their number.
fn roles(run: &Run) -> Table {
    let mut table = table(["  role", "sent", "bytes sent", "received", "bytes received"]);
    let special = run.by_role.keys().filter(|role| **role != Role::Other).count();
    let others = run.nodes.len().saturating_sub(special).max(1);
    for (role, traffic) in &run.by_role {
        let (name, nodes) = match role {
            Role::Commander => ("  commander".to_string(), 1),
            Role::CommunicationNode => ("  communication node".to_string(), 1),
            Role::Both => ("  commander and communication node".to_string(), 1),
            Role::Other if special == 0 => (format!("  each of {others} nodes, on average"), others),
            Role::Other => (format!("  each of {others} others, on average"), others),
        };
        let each = |volume: &Volume| {
            let of = |total: u64| digits(total as f64 / nodes as f64);
            (of(volume.messages), of(volume.bytes))
        };
        let ((sent, bytes_sent), (received, bytes_received)) = (each(&traffic.out), each(&traffic.into));
        table.add_row([name, sent, bytes_sent, received, bytes_received]);
    }
    table
}
