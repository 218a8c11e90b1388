//! What this machine could do at best.
//!
//! Measured: one message over a peer link, a vote and a proposal, one hash of a
//! request, one signature made, one checked. Counted,
//! on the real replicas in memory: messages and signatures of one decision. From
//! these, two lower bounds for one decision, of which the larger is the floor:
//!
//! * the *critical path*: the messages and the signature operations that no machine
//!   can do at the same time, one after the other;
//! * the *total work* of all nodes, divided by the cores they share.

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum as _;
use serde::Serialize;

use apps::OpaqueLog;
use kernel::keys::seeded;
use kernel::{Claim, Cluster, ClusterId, Digest, Protocol, ReplicaId, Signer};
use node::{LinkCostPlan, LinkCostReport, LinkCosts, measure_posts, measure_streaming};
use sim::{Setup, Signatures, World};

use super::overhead;
use crate::base::console::say;
use crate::base::exit::NotMeasured;
use crate::base::folder;
use crate::plan::{Plan, ProtocolName};

/// What one signature operation costs, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SignatureCosts {
    /// Making one.
    pub sign_us: f64,
    /// Checking one alone.
    pub verify_us: f64,
    /// Checking one in a batch of 16, per signature.
    pub verify_in_batch_us: f64,
}

/// What a request of some size costs in transit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RequestCosts {
    /// Bytes of data.
    pub payload_bytes: usize,
    /// Link latency of a message that carries it, alone, microseconds.
    pub link_us: f64,
    /// CPU time for such a message at both ends, microseconds.
    pub link_cpu_us: f64,
    /// Hashing it, microseconds.
    pub hash_us: f64,
}

/// What one decision is made of, counted over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Work {
    /// Messages between nodes, replies included.
    pub messages: f64,
    /// Those of them that carry the request.
    pub large: f64,
    /// Signatures made.
    pub signed: f64,
    /// Signatures checked.
    pub checked: f64,
}

/// The operations of one decision that must follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CriticalPath {
    /// Messages.
    pub messages: u32,
    /// Signatures made.
    pub signed: u32,
    /// Signatures checked.
    pub checked: u32,
}

/// The least time for one decision of a flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Floor {
    /// The flow.
    pub protocol: ProtocolName,
    /// Number of nodes.
    pub nodes: u16,
    /// Bytes of data in the request.
    pub payload_bytes: usize,
    /// How the decision is reached.
    pub path: &'static str,
    /// Operations one after the other …
    pub critical: CriticalPath,
    /// … and what they take.
    pub critical_path_us: f64,
    /// Operations of all nodes …
    pub work: Work,
    /// … and what they take, divided by the cores.
    pub work_us: f64,
    /// The larger of the two times.
    pub floor_us: f64,
}

/// Where floors are written, in the folder of what they are for.
pub const FILE: &str = "floor.json";

/// Everything that `floor.json` holds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Cores that all nodes share.
    pub cores: usize,
    /// One message over a link, by the links as they are and by one POST per message.
    pub link: LinkCostReport,
    /// What grows with the request.
    pub requests: Vec<RequestCosts>,
    /// Signatures.
    pub signature: SignatureCosts,
    /// By flow and number of nodes.
    pub floors: Vec<Floor>,
}

/// Measures the floors for these numbers of nodes and this payload, prints them, and
/// writes `floor.json` into `out`.
pub async fn run(nodes: &[u16], payload: usize, out: Option<&Path>) -> Result<()> {
    if nodes.is_empty() || nodes.iter().any(|n| !(1..=1000).contains(n)) {
        bail!("--nodes takes numbers from 1 to 1000, such as --nodes 4,7");
    }
    overhead::check_payload(payload)?;
    if let Some(dir) = out {
        folder::begin(dir)?;
    }
    let flows = ProtocolName::value_variants();
    let wanted = flows.iter().flat_map(|flow| nodes.iter().map(|n| (*flow, *n))).collect();
    say(format_args!(
        "Measuring one message over a link, both ways of sending it, signatures, and the work of one decision …"
    ));
    let report = measure(LinkCostPlan::default(), wanted, &[payload]).await?;
    print(&report);
    let overhead =
        overhead::measure(overhead::answer_at_once()?, 1, payload, 2_000).await.context(NotMeasured)?;
    say(format_args!(
        "The load generator adds {:.1} us of CPU per request (one client, against an immediate answer: p50 {} us).",
        overhead.cpu_us_per_request, overhead.p50_us
    ));
    if let Some(dir) = out {
        write(&report, dir)?;
        say(format_args!("Written to {}.", dir.join(FILE).display()));
    }
    Ok(())
}

/// Measures the floors of a plan's cells quickly and writes `floor.json` into
/// `dir`.
pub async fn measure_quick(plan: &Plan, dir: &Path) -> Result<()> {
    let links = LinkCostPlan { round_trips: 500, burst: 4_000, ..LinkCostPlan::default() };
    let wanted: BTreeSet<(ProtocolName, u16)> =
        plan.protocols.iter().flat_map(|flow| plan.nodes.iter().map(|n| (*flow, *n))).collect();
    let report = measure(links, wanted, &plan.payload_bytes).await?;
    write(&report, dir)
}

async fn measure(
    links: LinkCostPlan,
    wanted: BTreeSet<(ProtocolName, u16)>,
    payloads: &[usize],
) -> Result<Report> {
    let link = LinkCostReport {
        streaming: at_best(links, measure_streaming).await.context(NotMeasured)?,
        one_post_per_message: at_best(links, measure_posts).await.context(NotMeasured)?,
    };
    let mut requests = Vec::new();
    for payload in payloads {
        requests.push(request_costs(*payload, links).await?);
    }
    let signature = signature_costs();
    let cores = std::thread::available_parallelism()?.get();
    let fits = |(flow, n): &(ProtocolName, u16)| flow.check_size(*n).is_ok();
    let mut floors = Vec::new();
    for (flow, n) in wanted.into_iter().filter(fits) {
        let work = work(flow, n);
        floors.extend(requests.iter().map(|request| floor(flow, n, cores, work, &link, request, &signature)));
    }
    Ok(Report { cores, link, requests, signature, floors })
}

/// The best of several measurements, which share `plan` among them: a floor is no
/// floor if something else ran on the machine while it was measured.
async fn at_best(
    plan: LinkCostPlan,
    measure: impl AsyncFn(LinkCostPlan) -> anyhow::Result<LinkCosts>,
) -> Result<LinkCosts> {
    const ROUNDS: usize = 4;
    let round = LinkCostPlan {
        round_trips: plan.round_trips.div_ceil(ROUNDS),
        burst: plan.burst.div_ceil(ROUNDS),
        ..plan
    };
    let mut best = measure(round).await?;
    for _ in 1..ROUNDS {
        best = best.best(measure(round).await?);
    }
    Ok(best)
}

/// Beyond the payload, what a proposal with one request carries.
const PROPOSAL_OVERHEAD_BYTES: usize = 300;

async fn request_costs(payload: usize, links: LinkCostPlan) -> Result<RequestCosts> {
    let message_bytes = payload + PROPOSAL_OVERHEAD_BYTES;
    // The larger the message, the fewer of them, so that it takes no longer.
    let share = 1 + message_bytes / 10_000;
    let plan = LinkCostPlan {
        message_bytes,
        round_trips: (links.round_trips / share).max(20),
        outstanding: (links.outstanding / share).max(2),
        burst: (links.burst / share).max(40),
        ..links
    };
    let link = at_best(plan, measure_streaming).await.context(NotMeasured)?;
    let data = vec![7; payload];
    Ok(RequestCosts {
        payload_bytes: payload,
        link_us: link.latency_p50_us,
        link_cpu_us: link.cpu_us_per_message,
        hash_us: at_best_us(20, || {
            black_box(Digest::of(black_box(&data)));
        }),
    })
}

/// The least time for a decision of `nodes` nodes on so many cores, from what its work and critical path consist of and what
/// each part takes here.
pub fn floor(
    protocol: ProtocolName,
    nodes: u16,
    cores: usize,
    work: Work,
    link: &LinkCostReport,
    request: &RequestCosts,
    costs: &SignatureCosts,
) -> Floor {
    let critical = critical_path(protocol, nodes);
    let (vote_us, vote_cpu_us) = (link.streaming.latency_p50_us, link.streaming.cpu_us_per_message);
    let check_us = costs.verify_us.min(costs.verify_in_batch_us);
    // One message carries the request. It is hashed where it comes in, where it is
    // checked, and where it is executed.
    let critical_path_us = f64::from(critical.messages.saturating_sub(1)) * vote_us
        + f64::from(critical.messages.min(1)) * request.link_us
        + 3.0 * request.hash_us
        + f64::from(critical.signed) * costs.sign_us
        + f64::from(critical.checked) * check_us;
    let hashed = f64::from(2 * nodes);
    let total_us = (work.messages - work.large) * vote_cpu_us
        + work.large * request.link_cpu_us
        + hashed * request.hash_us
        + work.signed * costs.sign_us
        + work.checked * check_us;
    let work_us = total_us / cores.min(usize::from(nodes)) as f64;
    Floor {
        protocol,
        nodes,
        payload_bytes: request.payload_bytes,
        path: match protocol {
            ProtocolName::Ccro | ProtocolName::CcroAggregate => "fast",
            _ => "direct",
        },
        critical,
        critical_path_us,
        work,
        work_us,
        floor_us: critical_path_us.max(work_us),
    }
}

/// What cannot be done at the same time, for a request posted to the commander,
/// from its receipt to the `f+1`st matching reply.
///
/// PBFT: bundle and proposal signed; message; both checked, PREPARE signed; message;
/// the quorum's last PREPARE checked, COMMIT signed; message; the last COMMIT
/// checked, reply signed; with `f ≥ 1`, a message and one more reply checked.
///
/// `pbft-mac`: the same messages, of which the bundle alone is signed and checked. Tags, a hash of some hundred bytes each, are left out.
/// `pbft-mac-requests`: the same messages, of which none is signed; the tags of the bundle are left out as well.
///
/// CCRO, fast: the same up to the last PREPARE at the communication node; message;
/// the certificate checked; reply signed. The communication node's own reply is in by then; only with
/// `f ≥ 2` must a further one follow. `ccro-aggregate`: the same with one check for a certificate; shares are taken to cost no more than
/// signatures, so this is a bound, and not a close one.
///
/// `ccro-paper`: REQUEST, PRE-PREPARE, PREPARE, COMMIT, REPLY.
///
/// Broadcast: bundle and batch signed; message; both checked, validation signed; message; the quorum's last validation
/// checked, reply signed; with `f ≥ 1`, the proof goes on: message; the quorum's signatures checked, reply signed; message;
/// that reply checked.
fn critical_path(protocol: ProtocolName, nodes: u16) -> CriticalPath {
    let faults = protocol.tolerates(nodes);
    let path = |messages, signed, checked| CriticalPath { messages, signed, checked };
    match protocol {
        ProtocolName::PbftMacRequests if nodes == 1 => path(0, 0, 0),
        ProtocolName::PbftMacRequests if faults == 0 => path(3, 0, 0),
        ProtocolName::PbftMacRequests => path(4, 0, 0),
        ProtocolName::PbftMac if nodes == 1 => path(0, 1, 0),
        ProtocolName::PbftMac if faults == 0 => path(3, 1, 1),
        ProtocolName::PbftMac => path(4, 1, 1),
        // Bundle and proposal, with PBFT a COMMIT, and the reply.
        ProtocolName::Ccro | ProtocolName::CcroAggregate if nodes == 1 => path(0, 3, 0),
        _ if nodes == 1 => path(0, 4, 0),
        ProtocolName::Pbft if faults == 0 => path(3, 5, 4),
        ProtocolName::Pbft => path(4, 5, 5),
        ProtocolName::Ccro if faults <= 1 => path(3, 4, 3 + u32::from(nodes)),
        ProtocolName::Ccro => path(4, 4, 3 + u32::from(nodes) - 2 + 1),
        ProtocolName::CcroAggregate if faults <= 1 => path(3, 4, 4),
        ProtocolName::CcroAggregate => path(4, 4, 5),
        ProtocolName::CcroPaper => path(5, 8, 7),
        ProtocolName::Broadcast if faults == 0 => path(2, 4, 3),
        ProtocolName::Broadcast => {
            path(4, 4, 4 + Cluster::new(ClusterId::derive("floor", 1), "broadcast", nodes).quorum() as u32)
        }
    }
}

/// Counts the work of one decision on the real replicas, in memory.
pub fn work(protocol: ProtocolName, n: u16) -> Work {
    let config = pbft::Config::for_cluster(n);
    let app = OpaqueLog::default;
    match protocol {
        ProtocolName::Pbft | ProtocolName::PbftMac | ProtocolName::PbftMacRequests => {
            count(protocol, n, move || pbft::Replica::new(config.clone(), app()))
        }
        ProtocolName::Ccro | ProtocolName::CcroAggregate => {
            count(protocol, n, move || ccro::Replica::new(ccro::Config::for_cluster(n), app()))
        }
        ProtocolName::CcroPaper => count(protocol, n, move || ccro::paper::Replica::new(&config, app())),
        ProtocolName::Broadcast => count(protocol, n, move || {
            broadcast::Replica::new(broadcast::Config::default(), n, broadcast::Logs::default())
        }),
    }
}

fn count<P: Protocol>(protocol: ProtocolName, n: u16, make: impl Fn() -> P + 'static) -> Work {
    const DECISIONS: usize = 4;
    let cluster = Cluster::new(ClusterId::derive("floor", 1), &protocol.to_string(), n);
    // Real signatures, so that each node remembers what it has checked itself.
    let setup = Setup {
        replies_needed: protocol.tolerates(n) + 1,
        signatures: Signatures::Ed25519,
        ..Setup::new(cluster, 1)
    };
    let mut world = World::new(setup, move |_, _| make());
    for _ in 0..DECISIONS {
        world.submit(ReplicaId(0), b"request");
        // Long enough for the decision, and too short for anybody's timer.
        world.run(10_000);
    }
    let per_decision = |total: u64| total as f64 / DECISIONS as f64;
    let (signed, checked) =
        (0..n).map(|id| world.signatures(id)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let carriers = ["pre-prepare", "block-request", "store", "propose"].map(|kind| match (kind, protocol) {
        // In the published flow PRE-PREPARE carries no block.
        ("pre-prepare", ProtocolName::CcroPaper) => 0,
        _ => world.messages().get(kind).copied().unwrap_or(0),
    });
    Work {
        messages: per_decision(world.messages().values().sum()),
        large: per_decision(carriers.iter().sum()),
        signed: per_decision(signed),
        checked: per_decision(checked),
    }
}

/// Signatures of some signers, each under 100 bytes of its own.
pub fn claims(signers: &[Signer]) -> Vec<Claim> {
    let claim = |signer: &Signer| {
        let bytes = vec![signer.id().0 as u8; 100];
        Claim { author: signer.id(), signature: signer.sign(&bytes), bytes }
    };
    signers.iter().map(claim).collect()
}

/// What this machine takes for a signature.
pub fn signature_costs() -> SignatureCosts {
    const ROUNDS: usize = 400;
    let (signers, keyring) = seeded(1, 16);
    let claims = claims(&signers);
    SignatureCosts {
        sign_us: at_best_us(ROUNDS, || {
            black_box(signers[0].sign(black_box(&claims[0].bytes)));
        }),
        verify_us: at_best_us(ROUNDS, || {
            assert!(keyring.verify(black_box(&claims[0])));
        }),
        verify_in_batch_us: at_best_us(ROUNDS / 8, || {
            assert!(keyring.verify_all(black_box(&claims).iter()));
        }) / claims.len() as f64,
    }
}

fn at_best_us(rounds: usize, operation: impl FnMut()) -> f64 {
    // The floor is what the machine can do at best: what it does in one case of ten.
    times_us(rounds, operation)[rounds / 10]
}

/// How long an operation takes, in ascending order, microseconds.
pub fn times_us(rounds: usize, mut operation: impl FnMut()) -> Vec<f64> {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            operation();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn write(report: &Report, dir: &Path) -> Result<()> {
    let path = dir.join(FILE);
    let text = serde_json::to_string_pretty(report)?;
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn print(report: &Report) {
    let link = &report.link;
    say(format_args!("One message of 200 bytes over a link:"));
    for (sending, figures) in [
        ("streaming link, coalesced frames", &link.streaming),
        ("one POST per message", &link.one_post_per_message),
    ] {
        say(format_args!(
            "  {sending:<34} {:>6.1} us alone, {:>5.2} us of CPU in a burst, {:>8.0} messages/s",
            figures.latency_p50_us, figures.cpu_us_per_message, figures.messages_per_s
        ));
    }
    for request in &report.requests {
        say(format_args!(
            "A message with a request of {} bytes: {:.1} us alone, {:.2} us of CPU in a burst; hashing the request {:.1} us.",
            request.payload_bytes, request.link_us, request.link_cpu_us, request.hash_us
        ));
    }
    let costs = &report.signature;
    say(format_args!(
        "One signature: made in {:.1} us, checked in {:.1} us, in a batch of 16 in {:.1} us.",
        costs.sign_us, costs.verify_us, costs.verify_in_batch_us
    ));
    say(format_args!("The least time for one decision, on {} cores:", report.cores));
    for floor in &report.floors {
        say(format_args!(
            "  {:<10} n = {:<3} {:<6} floor {:>7.0} us = max(critical path {:.0}, work {:.0}); {:.0} messages, \
             {:.0} signatures made, {:.0} checked",
            floor.protocol.to_string(),
            floor.nodes,
            floor.path,
            floor.floor_us,
            floor.critical_path_us,
            floor.work_us,
            floor.work.messages,
            floor.work.signed,
            floor.work.checked
        ));
    }
}
