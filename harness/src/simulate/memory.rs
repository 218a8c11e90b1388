//! How much memory a simulation needs: said before it starts.

use anyhow::{Result, bail};

use super::simulation::Simulation;
use crate::plan::{Cell, ProtocolName};

/// Bytes for each vote that a replica keeps with its signature: both, its author's
/// number, and room to grow. Measured: PBFT, 300 nodes, 30 slots: 84 bytes per vote.
const SIGNED_VOTE_BYTES: u64 = 95;
/// The same where the signature is in a certificate that all replicas share, or there is
/// none: its author's choice, and room to grow. Measured: CCRO, 1,000 nodes: 102 MiB for 10
/// slots, 536 for 100, of which one checkpoint 140; `pbft-mac`, 300 nodes, 30 slots: 97.
const VOTE_BYTES: u64 = 3;
/// Bytes for each slot at each replica beside its votes: batch, log, records.
const SLOT_BYTES: u64 = 4_000;
/// Bytes for each replica and for the program.
const REPLICA_BYTES: u64 = 20_000;
const BASE_BYTES: u64 = 20 << 20;
/// Bytes for each message in transit whose arrival is drawn for itself.
const EVENT_BYTES: u64 = 32;
/// Bytes for each request beside its payload: waiting, in the trace, in results.
const REQUEST_BYTES: u64 = 1_500;

/// An estimate for one cell, on the safe side.
pub fn needed(simulation: &Simulation, cell: &Cell) -> u64 {
    let n = u64::from(cell.nodes);
    let requests = simulation.plan.requests;
    let options = simulation.options(cell).pbft(cell.nodes);
    // Slots are kept between the checkpoint before the last and the watermark;
    // there are no more slots than requests.
    let kept = requests.min(2 * options.checkpoint_interval + options.window);
    let vote = match cell.protocol {
        ProtocolName::CcroPaper | ProtocolName::Broadcast => 0,
        ProtocolName::Ccro | ProtocolName::CcroAggregate if may_fall_back(simulation, cell) => {
            SIGNED_VOTE_BYTES
        }
        ProtocolName::Ccro
        | ProtocolName::CcroAggregate
        | ProtocolName::PbftMac
        | ProtocolName::PbftMacRequests => VOTE_BYTES,
        ProtocolName::Pbft => SIGNED_VOTE_BYTES,
    };
    let votes = kept * 2 * n * n * vote;
    // Each replica gathers the votes for a checkpoint, and then keeps the proof.
    let checkpoint =
        if requests < options.checkpoint_interval || vote == 0 { 0 } else { 2 * n * n * SIGNED_VOTE_BYTES };
    let in_flight = match cell.protocol {
        ProtocolName::Pbft | ProtocolName::PbftMac | ProtocolName::PbftMacRequests => {
            2 * n * n * options.window * EVENT_BYTES
        }
        ProtocolName::Ccro
        | ProtocolName::CcroAggregate
        | ProtocolName::CcroPaper
        | ProtocolName::Broadcast => 0,
    };
    let logs = requests * n * SLOT_BYTES / 8 + kept * n * SLOT_BYTES;
    let payload = requests * (REQUEST_BYTES + 2 * cell.payload_bytes as u64);
    BASE_BYTES + n * REPLICA_BYTES + votes + checkpoint + in_flight + logs + payload
}

/// Whether slots of CCRO may fall back, so that their votes come one by one.
fn may_fall_back(simulation: &Simulation, cell: &Cell) -> bool {
    let network = &simulation.network;
    let is_sound = network.loss == 0.0 && network.links.is_empty() && network.partitions.is_empty();
    !is_sound || !cell.faults.faulty().is_empty()
}

/// Refuses what would not fit into the memory that is free.
pub fn check(simulation: &Simulation) -> Result<()> {
    let Some(available) = available_bytes() else {
        return Ok(());
    };
    for cell in simulation.cells(simulation.seeds.start)? {
        let needed = needed(simulation, &cell);
        if needed > available {
            bail!(
                "{}: the simulation needs about {} GiB of memory, and {} GiB are available; give fewer --nodes \
                 or --requests",
                cell.name,
                gib(needed),
                gib(available)
            );
        }
    }
    Ok(())
}

/// How many runs are played at once: as many as there are cores, and as fit into half of the memory that is free.
pub fn at_once(simulation: &Simulation) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cells = simulation.cells(simulation.seeds.start)?;
    let largest = cells.iter().map(|cell| needed(simulation, cell)).max().unwrap_or(1);
    let fit = available_bytes().map_or(cores, |available| (available / 2 / largest.max(1)) as usize);
    Ok(cores.min(fit).max(1))
}

fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1u64 << 30) as f64)
}

/// What the kernel says could be had without swapping.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}
