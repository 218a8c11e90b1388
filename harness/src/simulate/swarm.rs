//! Many seeds from which everything is drawn, and one such run again.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ccro::CommunicationPolicy;
use kernel::Protocol;
use sim::oracles::{Property, Violation};
use sim::swarm::{Finding, Flow, Schedule, Search, draw, play, shrink};

use crate::base::console;
use crate::base::exit::{INTERRUPTED, NOT_LIVE, UNSAFE};
use crate::base::progress::ProgressLine;
use crate::base::stop::Stop;
use crate::plan::ProtocolName;

/// Findings that are shrunk and printed whole; the others are only counted.
const PRINTED: usize = 3;

/// What became of the seeds of one flow.
struct Outcome {
    played: u64,
    findings: Vec<Finding>,
    interrupted: bool,
}

/// Plays every seed for every flow and says what was violated.
pub async fn run(protocols: &[ProtocolName], seeds: Range<u64>) -> Result<u8> {
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
            ProtocolName::Pbft => search(flows::PBFT, seeds.clone(), &stop).await?,
            ProtocolName::Ccro => search(flows::CCRO, seeds.clone(), &stop).await?,
            ProtocolName::CcroPaper => search(flows::CCRO_PAPER, seeds.clone(), &stop).await?,
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

async fn search<P: Protocol + 'static>(flow: Flow<P>, seeds: Range<u64>, stop: &Stop) -> Result<Outcome> {
    let total = seeds.end - seeds.start;
    let search = Search::new(seeds);
    let mut progress = ProgressLine::new(total, "{msg:10} {bar:40} {pos}/{len} seeds {per_sec}")?;
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
    report(flow, &outcome, stop).await;
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
async fn report<P: Protocol + 'static>(flow: Flow<P>, outcome: &Outcome, stop: &Stop) {
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
        return;
    }
    console::say(format_args!("{}: violated: {}", flow.name, by_property(breaches())));
    for finding in breaches().take(PRINTED) {
        let schedule = draw(flow.name, finding.seed, flow.tolerates);
        let smallest = smallest(flow, schedule, finding.violation.property, stop).await;
        let breach = play(&flow, &smallest).violation.unwrap_or_else(|| finding.violation.clone());
        console::say(format_args!(
            "\n# {} seed {} violates {}\n# replay with: harness simulate --schedule FILE\n{smallest}",
            flow.name, finding.seed, breach
        ));
    }
    let seeds: Vec<String> = breaches().take(20).map(|finding| finding.seed.to_string()).collect();
    console::say(format_args!("{}: first seeds: {}", flow.name, seeds.join(" ")));
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
pub fn replay(path: &Path) -> Result<u8> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let schedule =
        Schedule::parse(&text).with_context(|| format!("{} cannot be replayed", path.display()))?;
    check_policy(&schedule).with_context(|| format!("{} cannot be replayed", path.display()))?;
    match schedule.protocol.as_str() {
        "pbft" => judge(&flows::PBFT, &schedule),
        "ccro" => judge(&flows::CCRO, &schedule),
        "ccro-paper" => judge(&flows::CCRO_PAPER, &schedule),
        other => bail!("protocol {other:?} is unknown; known: pbft, ccro, ccro-paper"),
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

fn judge<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule) -> Result<u8> {
    let faulty = schedule.faulty().len();
    let verdict = play(flow, schedule);
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
