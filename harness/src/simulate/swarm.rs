//! Many seeds from which everything is drawn, and one such run again.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ccro::CommunicationPolicy;
use kernel::Protocol;
use sim::oracles::{Property, Violation};
use sim::swarm::{Disks, Finding, Flow, Schedule, Search, Verdict, play, shrink};

use super::trace;
use crate::base::console;
use crate::base::exit::{INTERRUPTED, NOT_LIVE, UNSAFE};
use crate::base::progress::ProgressLine;
use crate::base::stop::Stop;
use crate::plan::ProtocolName;
use crate::plan::trace::file_of;

/// Findings that are shrunk and printed whole; the others are only counted.
const PRINTED: usize = 3;

/// What became of the seeds of one flow.
struct Outcome {
    played: u64,
    findings: Vec<Finding>,
    interrupted: bool,
}

/// Plays every seed for every flow and says what was violated. What is printed is recorded as well, if `trace` says where.
pub async fn run(
    protocols: &[ProtocolName],
    seeds: Range<u64>,
    disks: Disks,
    trace: Option<&Path>,
) -> Result<u8> {
    if seeds.is_empty() {
        bail!(
            "the seeds {}..{} are none; give a range that ends after it begins, such as 0..1000",
            seeds.start,
            seeds.end
        );
    }
    let stop = Stop::listen()?;
    std::panic::set_hook(Box::new(|_| {})); // A failed assertion is a finding and is reported as one.
    let (mut played, mut breaches, mut code) = (0, 0, 0);
    for protocol in protocols {
        let outcome = match protocol {
            ProtocolName::Pbft => search(flows::PBFT, seeds.clone(), disks, trace, &stop).await?,
            ProtocolName::PbftMac => search(flows::PBFT_MAC, seeds.clone(), disks, trace, &stop).await?,
            ProtocolName::PbftMacRequests => {
                search(flows::PBFT_MAC_REQUESTS, seeds.clone(), disks, trace, &stop).await?
            }
            ProtocolName::Ccro => search(flows::CCRO, seeds.clone(), disks, trace, &stop).await?,
            ProtocolName::CcroAggregate => {
                search(flows::CCRO_AGGREGATE, seeds.clone(), disks, trace, &stop).await?
            }
            ProtocolName::CcroPaper => search(flows::CCRO_PAPER, seeds.clone(), disks, trace, &stop).await?,
            ProtocolName::Broadcast => search(flows::BROADCAST, seeds.clone(), disks, trace, &stop).await?,
        };
        played += outcome.played;
        let of_flow: Vec<&Finding> = outcome.findings.iter().filter(|finding| finding.is_breach).collect();
        breaches += of_flow.len();
        code = of_flow.iter().fold(code, |code, finding| worse(code, &finding.violation));
        if outcome.interrupted {
            console::say(format_args!("Interrupted; this is what was done so far."));
            console::say(format_args!("{played} seeds, {breaches} violations"));
            return Ok(if code == 0 { INTERRUPTED } else { code });
        }
    }
    console::say(format_args!("{played} seeds, {breaches} violations"));
    Ok(code)
}

fn worse(code: u8, violation: &Violation) -> u8 {
    match (code, violation.property.is_safety()) {
        (UNSAFE, _) | (_, true) => UNSAFE,
        _ => NOT_LIVE,
    }
}

async fn search<P: Protocol + 'static>(
    flow: Flow<P>,
    seeds: Range<u64>,
    disks: Disks,
    trace: Option<&Path>,
    stop: &Stop,
) -> Result<Outcome> {
    let search = Search::new(seeds, disks);
    let mut progress = ProgressLine::new(search.seeds(), "{msg:10} {bar:40} {pos}/{len} seeds {per_sec}")?;
    progress.describe(flow.name);
    let seeds_of = format!("{}, seeds", flow.name);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut interrupted = false;
    // Scoped threads would have to be joined before anything can be awaited, so
    // the waiting is done by the threads' side: each tick looks at the counters.
    let search = std::sync::Arc::new(search);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let search = std::sync::Arc::clone(&search);
            std::thread::spawn(move || search.work(&flow))
        })
        .collect();
    while workers.iter().any(|worker| !worker.is_finished()) {
        tokio::select! {
            () = stop.wait(), if !interrupted => {
                interrupted = true;
                search.stop();
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        progress.tell(search.done(), &seeds_of);
    }
    progress.finish();
    for worker in workers {
        worker.join().ok().context("a worker thread panicked")?;
    }
    let outcome = Outcome { played: search.done(), findings: search.findings(), interrupted };
    report(flow, &search, &outcome, trace, stop).await?;
    Ok(outcome)
}

/// A smaller schedule that breaks the same property; the schedule itself, once the
/// user wants to stop: what fails for lack of an answer takes minutes to cut down.
async fn smallest<P: Protocol + 'static>(
    flow: Flow<P>,
    schedule: Schedule,
    property: Property,
    stop: &Stop,
) -> Schedule {
    let (done, smallest) = tokio::sync::oneshot::channel();
    let whole = schedule.clone();
    std::thread::spawn(move || {
        // After an interruption nobody waits for it.
        let _ = done.send(shrink(&flow, &schedule, property));
    });
    tokio::select! {
        biased;
        () = stop.wait() => whole,
        smallest = smallest => smallest.unwrap_or(whole),
    }
}

/// Prints what was found in one flow: how often each property broke, and the
/// first breaches with minimised schedules.
async fn report<P: Protocol + 'static>(
    flow: Flow<P>,
    search: &Search,
    outcome: &Outcome,
    trace: Option<&Path>,
    stop: &Stop,
) -> Result<()> {
    let breaches = || outcome.findings.iter().filter(|finding| finding.is_breach);
    let expected = outcome.findings.len() - breaches().count();
    console::say(format_args!("{}: {} seeds, {} violations", flow.name, outcome.played, breaches().count()));
    if expected > 0 {
        console::say(format_args!(
            "{}: {expected} expected findings under faults, against which this flow promises nothing: {}",
            flow.name,
            by_property(outcome.findings.iter().filter(|finding| !finding.is_breach))
        ));
    }
    if breaches().next().is_none() {
        return Ok(());
    }
    console::say(format_args!("{}: violated: {}", flow.name, by_property(breaches())));
    for finding in breaches().take(PRINTED) {
        let schedule = search.schedule(&flow, finding.seed);
        let smallest = smallest(flow, schedule, finding.violation.property, stop).await;
        let breach = play(&flow, &smallest).violation.unwrap_or_else(|| finding.violation.clone());
        console::say(format_args!(
            "\n# {} seed {} violates {}\n# replay with: harness simulate --schedule FILE\n{smallest}",
            flow.name, finding.seed, breach
        ));
        if let Some(file) = trace {
            record(&flow, &smallest, &file_of(file, flow.name, finding.seed))?;
        }
    }
    let seeds: Vec<String> = breaches().take(20).map(|finding| finding.seed.to_string()).collect();
    console::say(format_args!("{}: first seeds: {}", flow.name, seeds.join(" ")));
    Ok(())
}

fn by_property<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.violation.property).or_insert(0u64) += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(property, count)| format!("{property} {count}")).collect();
    counts.join(", ")
}

/// Plays a schedule from a file.
pub fn replay(path: &Path, trace: Option<&Path>) -> Result<u8> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let schedule =
        Schedule::parse(&text).with_context(|| format!("{} cannot be replayed", path.display()))?;
    check_policy(&schedule).with_context(|| format!("{} cannot be replayed", path.display()))?;
    match schedule.protocol.as_str() {
        "pbft" => judge(&flows::PBFT, &schedule, trace),
        "pbft-mac" => judge(&flows::PBFT_MAC, &schedule, trace),
        "pbft-mac-requests" => judge(&flows::PBFT_MAC_REQUESTS, &schedule, trace),
        "ccro" => judge(&flows::CCRO, &schedule, trace),
        "ccro-aggregate" => judge(&flows::CCRO_AGGREGATE, &schedule, trace),
        "ccro-paper" => judge(&flows::CCRO_PAPER, &schedule, trace),
        "broadcast" => judge(&flows::BROADCAST, &schedule, trace),
        other => bail!(
            "protocol {other:?} is unknown; known: pbft, pbft-mac, pbft-mac-requests, ccro, ccro-aggregate, ccro-paper, broadcast"
        ),
    }
}

/// Who collects CCRO's votes is a text that the schedule itself cannot judge.
fn check_policy(schedule: &Schedule) -> Result<()> {
    let policy: CommunicationPolicy = schedule.settings.communication.parse()?;
    match policy {
        CommunicationPolicy::Fixed(id) if id.0 >= schedule.nodes => {
            bail!(
                "communication = \"{policy}\": with {} nodes, ids end at {}",
                schedule.nodes,
                schedule.nodes - 1
            )
        }
        _ => Ok(()),
    }
}

/// Plays a schedule and writes its trace.
fn record<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule, file: &Path) -> Result<Verdict> {
    let title = format!("{} with {} nodes, a schedule of seed {}", flow.name, schedule.nodes, schedule.seed);
    let (verdict, recorded) = flows::record::schedule(flow, schedule, title);
    trace::save(&recorded, file)?;
    Ok(verdict)
}

fn judge<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule, trace_to: Option<&Path>) -> Result<u8> {
    let faulty = schedule.faulty().len();
    let verdict = match trace_to {
        None => play(flow, schedule),
        Some(file) => record(flow, schedule, file)?,
    };
    let (submitted, answered) = verdict.requests;
    console::say(format_args!(
        "{} with {} nodes, {faulty} of them faulty: {answered} of {submitted} requests answered, \
         {} ms of virtual time",
        flow.name,
        schedule.nodes,
        verdict.ended_us / 1000
    ));
    console::say(format_args!("digest {}", verdict.digest));
    let Some(violation) = verdict.violation else {
        console::say("held");
        return Ok(0);
    };
    console::say(format_args!("violated: {violation}"));
    if faulty > (flow.tolerates)(schedule.nodes) || !flow.must_hold(schedule) {
        console::say("this flow promises nothing for so many faults: a result, not a failure");
        return Ok(0);
    }
    Ok(worse(0, &violation))
}
