//! One cell with one seed, from the first request to the verdict.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flows::job::{Asked, Job, Visitor};
use kernel::{Digest, Mark, Observation, Path, Protocol, ReplicaId, Status, ViewMark};
use node::api::SlotRow;
use node::{SLOTS_KEPT, SlotLog, Tally};
use sim::{Outcome, Pace, Role, RoleTraffic, Signatures, Submitted, Traffic, Volume, World};

use super::simulation::Simulation;
use crate::cluster::procfs::this_thread_cpu_us;
use crate::plan::{self, Cell, Gateway};

/// What came of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Digest of every delivery.
    pub digest: Digest,
    /// The requests.
    pub submitted: Vec<Submitted>,
    /// Accepted results.
    pub accepted: Vec<Outcome>,
    /// Requests that were not answered in time.
    pub timed_out: Vec<usize>,
    /// Matching replies that a client needed.
    pub replies_needed: usize,
    /// Messages and bytes by kind.
    pub by_kind: BTreeMap<&'static str, Volume>,
    /// The same by role.
    pub by_role: BTreeMap<Role, RoleTraffic>,
    /// Commits by path, over all replicas.
    pub paths: BTreeMap<Path, u64>,
    /// What each node did and knows.
    pub nodes: Vec<NodeRun>,
    /// Views that began after the first.
    pub view_changes: u64,
    /// Slots that fell back, over all replicas.
    pub fallbacks: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// What all nodes spent on their work until then, microseconds of virtual time.
    pub worked_us: u64,
    /// Virtual time, microseconds, from the first request to the last answer.
    pub lasted_us: u64,
    /// Real time.
    pub took: Duration,
    /// CPU time.
    pub cpu: Duration,
    /// How the honest nodes broke a promise, if they did.
    pub breach: Option<String>,
    /// Whether the network was healthy when the run ended.
    pub healthy_at_end: bool,
    /// It was stopped before its end.
    pub interrupted: bool,
}

/// What one node did and knows.
#[derive(Clone, Debug)]
pub struct NodeRun {
    /// Its status at the end.
    pub status: Status,
    /// What it sent and received.
    pub traffic: Traffic,
    /// Votes that it received.
    pub votes: Tally,
    /// Signatures made and checked.
    pub signatures: (u64, u64),
    /// Its slots.
    pub slots: Vec<SlotRow>,
}

/// What is noted while a world runs.
struct Notes {
    logs: Vec<SlotLog>,
    last_view: u64,
    view_changes: u64,
    fallbacks: u64,
}

/// The job of a cell of what was asked for.
pub fn job_of(simulation: &Simulation, cell: &Cell, seed: u64) -> Job {
    let honest = cell.faults.honest();
    let gateways = match simulation.plan.gateway {
        Gateway::Auto => vec![honest.first().copied().unwrap_or(0)],
        Gateway::Spread if honest.is_empty() => vec![0],
        Gateway::Spread => honest,
        Gateway::Node(id) => vec![id],
    };
    let nodes = || (0..).zip(&cell.faults.nodes);
    Job {
        flow: cell.protocol.into(),
        nodes: cell.nodes,
        seed,
        app: cell.app,
        network: simulation.network.clone(),
        costs: simulation.costs,
        signatures: if simulation.real_signatures { Signatures::Ed25519 } else { Signatures::Symbolic },
        faults: nodes().map(|(id, node)| (id, node.behaviours.clone())).collect(),
        crashed: nodes().filter(|(_, node)| node.crash).map(|(id, _)| id).collect(),
        options: simulation.options(cell),
        gateways,
        pace: match cell.load {
            plan::Load::Closed { clients } => Pace::Closed { clients },
            plan::Load::Open { rate_per_s } => Pace::Open { rate_per_s },
        },
        asked: Asked::Workload { requests: simulation.plan.requests, payload_bytes: cell.payload_bytes },
        timeout_us: simulation.plan.timeout_us(),
    }
}

/// Plays a job until its end, or until `stopped` says so.
pub fn play(job: &Job, stopped: &AtomicBool) -> Run {
    job.visit(Playing { job, stopped })
}

struct Playing<'a> {
    job: &'a Job,
    stopped: &'a AtomicBool,
}

impl Visitor for Playing<'_> {
    type Out = Run;

    fn visit<P: Protocol + 'static>(self, mut world: World<P>) -> Run {
        let Playing { job, stopped } = self;
        let (began, cpu_began_us) = (Instant::now(), this_thread_cpu_us().unwrap_or(0));
        let notes = Rc::new(RefCell::new(Notes::new(job.nodes)));
        let observer = Rc::clone(&notes);
        world.observe(Box::new(move |now_ns, id, seen| observer.borrow_mut().take(now_ns, id, seen)));
        let mut events = 0u64;
        let mut is_stopped = move |_: &World<P>| {
            events += 1;
            events.is_multiple_of(1024) && stopped.load(Ordering::Relaxed)
        };
        let over = job.play(&mut world, &mut is_stopped);
        let healthy_at_end = job.network.is_healthy_at(world.now_us());
        job.settle(&mut world, &mut is_stopped);
        let mut run = gather(job, &world, &notes.borrow());
        if let Some(over) = over {
            (run.lasted_us, run.worked_us) = (over.at_us, over.worked_us);
        }
        run.healthy_at_end = healthy_at_end;
        run.interrupted = stopped.load(Ordering::Relaxed);
        run.took = began.elapsed();
        run.cpu = Duration::from_micros(this_thread_cpu_us().unwrap_or(0) - cpu_began_us);
        run
    }
}

fn gather<P: Protocol>(job: &Job, world: &World<P>, notes: &Notes) -> Run {
    let trace = world.trace();
    let node = |(id, log): (u16, &SlotLog)| NodeRun {
        status: world.replica(id).status(&trace.cluster),
        traffic: world.traffic(id).clone(),
        votes: log.totals(),
        signatures: world.signatures(id),
        slots: log.rows(0, u64::MAX - 1),
    };
    Run {
        digest: world.digest(),
        submitted: trace.submitted.clone(),
        accepted: trace.accepted.clone(),
        timed_out: trace.timed_out.clone(),
        replies_needed: job.f() + 1,
        by_kind: world.by_kind().clone(),
        by_role: world.by_role().clone(),
        paths: world.paths().clone(),
        nodes: (0..).zip(&notes.logs).map(node).collect(),
        view_changes: notes.view_changes,
        fallbacks: notes.fallbacks,
        delivered: world.delivered(),
        worked_us: 0,
        lasted_us: 0,
        took: Duration::ZERO,
        cpu: Duration::ZERO,
        breach: world.judge().err(),
        healthy_at_end: true,
        interrupted: false,
    }
}

impl Notes {
    fn new(n: u16) -> Notes {
        let logs = (0..n).map(|_| SlotLog::new(SLOTS_KEPT)).collect();
        Notes { logs, last_view: 0, view_changes: 0, fallbacks: 0 }
    }

    fn take<M>(&mut self, now_ns: u64, id: ReplicaId, seen: Observation<'_, M>) {
        let log = &mut self.logs[usize::from(id.0)];
        match seen {
            Observation::Rejection(rejection) => {
                if let Some(seq) = rejection.seq.filter(|_| rejection.corrupt_vote) {
                    log.note_refused(seq, rejection.from, rejection.reason);
                }
            }
            Observation::Mark(mark) => {
                log.note(mark, now_ns);
                match mark {
                    Mark::View(ViewMark::ViewBegan { view }) if view.0 > self.last_view => {
                        self.last_view = view.0;
                        self.view_changes += 1;
                    }
                    Mark::View(ViewMark::FellBack { .. }) => self.fallbacks += 1,
                    _ => {}
                }
            }
            Observation::Departed { .. } | Observation::Arrived { .. } => {}
        }
    }
}

impl Run {
    /// Requests that were never decided, not even late.
    pub fn undecided(&self) -> usize {
        self.submitted.len() - self.accepted.len()
    }

    /// Slots that some node decided.
    pub fn decided_slots(&self) -> u64 {
        let decided = |node: &NodeRun| node.slots.iter().filter(|slot| slot.committed_ns.is_some()).count();
        self.nodes.iter().map(decided).max().unwrap_or(0) as u64
    }

    /// Latencies of the requests that were answered in time, in ascending order,
    /// microseconds: the same as in the result files, so response times from the
    /// submission in an open loop, else consensus times from the gateway's receipt.
    pub fn latencies_us(&self, rate_per_s: Option<f64>) -> Vec<u64> {
        let late: std::collections::HashSet<usize> = self.timed_out.iter().copied().collect();
        let in_time = self.accepted.iter().filter(|outcome| !late.contains(&outcome.request));
        let mut latencies: Vec<u64> = in_time
            .map(|outcome| {
                let submitted = &self.submitted[outcome.request];
                let received_us = submitted.taken_up_us.unwrap_or(submitted.at_us);
                let began_us = if rate_per_s.is_some() { submitted.at_us } else { received_us };
                outcome.at_us.saturating_sub(began_us)
            })
            .collect();
        latencies.sort_unstable();
        latencies
    }
}
