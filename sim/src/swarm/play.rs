//! Plays a schedule in a world and has the oracles judge it.

use super::Flow;
use super::schedule::{Client, Schedule, Settings, Steady};
use crate::disk::Disk;
use crate::network::Network;
use crate::oracles::states::{self, Behind};
use crate::oracles::{
    self, Property, Violation,
    bounded::Kept,
    service::{Row, Terms},
};
use crate::setup::Setup;
use crate::trace::Trace;
use crate::world::World;
use kernel::{Cluster, ClusterId, Digest, Protocol, ReplicaId, Seq};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The property that it broke, if any.
    pub violation: Option<Violation>,
    /// Digest of the whole run; zero if it was cut short by an assertion.
    pub digest: Digest,
    /// Requests submitted and answered.
    pub requests: (usize, usize),
    /// Virtual time at its end.
    pub ended_us: u64,
}

/// In a healed network, a replica lacks the state of a stable checkpoint for at most so
/// many periods of the resend timer: 32 until it asks, as the timer has doubled, and as
/// many again for each of several rounds whose waits have doubled, too.
const MOST_PERIODS_BEHIND: u64 = 200;
/// How often the end is looked for after healing, virtual microseconds. It is no multiple of
/// any timer: else a replica that sends at each look would have its write in flight at each.
const SLICE_US: u64 = 20_011;
/// After how long gateways hand requests over once more until the network has healed:
/// replies that were lost come only then.
const REMIND_AFTER_US: u64 = 1_000_000;

/// Plays a schedule. An assertion of the replicas' own that fails is a violation,
/// too.
pub fn play<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| Player::new(flow, schedule).play())).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        let violation = Violation { property: Property::Assertions, breach: message.to_owned() };
        Verdict { violation: Some(violation), digest: Digest::ZERO, requests: (0, 0), ended_us: 0 }
    })
}

/// Plays a schedule and returns everything that happened.
pub fn record<P: Protocol + 'static>(flow: &Flow<P>, schedule: &Schedule) -> Trace {
    let mut player = Player::new(flow, schedule);
    player.run();
    player.world.trace().clone()
}

/// Plays a schedule and shows every replica as it was when its time was over: at the
/// end of the run, or when its node was started again after a crash.
pub fn inspect<P: Protocol + 'static>(
    flow: &Flow<P>,
    schedule: &Schedule,
    show: impl FnMut(&Cluster, ReplicaId, &P),
) -> Verdict {
    let mut player = Player::new(flow, schedule);
    player.inspector = Some(Box::new(show));
    player.play()
}

/// Called with a replica whose time is over.
type Inspector<'a, P> = Box<dyn FnMut(&Cluster, ReplicaId, &P) + 'a>;

/// Plays a schedule and shows the world before it begins, and then after every event.
pub fn watch<P: Protocol + 'static>(
    flow: &Flow<P>,
    schedule: &Schedule,
    prepare: impl FnOnce(&mut World<P>),
    look: impl FnMut(&World<P>),
) -> Verdict {
    let mut player = Player::new(flow, schedule);
    prepare(&mut player.world);
    player.watch = Some(Box::new(look));
    player.play()
}

/// Called after every event.
type Watch<'a, P> = Box<dyn FnMut(&World<P>) + 'a>;

/// Something that happens at a given time.
#[derive(Clone, Copy, Debug)]
enum Action {
    Misbehave(usize),
    Crash(u16),
    Restart(u16),
}

/// How far the clients of one entry are.
struct Progress {
    client: Client,
    asked: u64,
    /// The first request of the bundle on its way.
    waits_for: Option<usize>,
    due_us: u64,
}

/// One of the clients that keep on asking.
#[derive(Clone, Copy)]
struct SteadyClient {
    gateway: ReplicaId,
    waits_for: Option<usize>,
    due_us: u64,
}

struct Player<'a, P: Protocol> {
    flow: &'a Flow<P>,
    schedule: &'a Schedule,
    world: World<P>,
    timeline: Vec<(u64, Action)>,
    clients: Vec<Progress>,
    answered: BTreeSet<usize>,
    seen: usize,
    kept: Vec<Kept>,
    behind: Vec<Behind>,
    /// From when on everything was at rest before each request.
    settled_us: Option<u64>,
    /// How long the requests of steady clients took: the slowest gateway's.
    row: Option<Row>,
    /// The first honest replica that was seen with a state that cannot be.
    breach: Option<String>,
    inspector: Option<Inspector<'a, P>>,
    watch: Option<Watch<'a, P>>,
}

impl<'a, P: Protocol + 'static> Player<'a, P> {
    fn new(flow: &'a Flow<P>, schedule: &'a Schedule) -> Player<'a, P> {
        let (n, make, settings) = (schedule.nodes, flow.make, schedule.settings.clone());
        let cluster = Cluster::new(ClusterId::derive("swarm", schedule.seed), flow.name, n);
        let mut setup = Setup::new(cluster, schedule.seed);
        setup.network = schedule.network.clone();
        setup.replies_needed = (flow.tolerates)(n) + 1;
        setup.record = true;
        setup.results_are_places = flow.is_total_order;
        setup.remind_after_us = REMIND_AFTER_US;
        let at_once = schedule.faults.iter().filter(|fault| fault.from_us == 0);
        setup.disk = schedule.disk.clone();
        setup.disk_faults = schedule.disk_faults.iter().map(|bad| (bad.node, bad.fault)).collect();
        setup.faults = at_once.map(|fault| (fault.node, fault.behaviours.clone())).collect();
        let clients = schedule.clients.iter().map(|client| Progress {
            client: *client,
            asked: 0,
            waits_for: None,
            due_us: client.begins_us,
        });
        Player {
            flow,
            schedule,
            world: World::new(setup, move |_, memory| make(&settings, n, memory)),
            timeline: timeline(schedule),
            clients: clients.collect(),
            answered: BTreeSet::new(),
            seen: 0,
            kept: Vec::new(),
            behind: Vec::new(),
            settled_us: None,
            row: None,
            breach: None,
            inspector: None,
            watch: None,
        }
    }

    fn play(mut self) -> Verdict {
        let deadline_us = self.run();
        (0..self.schedule.nodes).for_each(|node| self.inspect(node));
        let violation = self.judge(deadline_us).err();
        Verdict {
            violation,
            digest: self.world.digest(),
            requests: (self.world.trace().submitted.len(), self.world.trace().accepted.len()),
            ended_us: self.world.now_us(),
        }
    }

    /// Runs until `done` says so, and at most so long. Says whether it did.
    fn advance(&mut self, mut done: impl FnMut(&World<P>) -> bool, at_most_us: u64) -> bool {
        let watch = &mut self.watch;
        let look_and_ask = |world: &World<P>| {
            if let Some(watch) = watch {
                watch(world);
            }
            done(world)
        };
        self.world.run_until(look_and_ask, at_most_us)
    }

    /// Runs it all and returns by when everything was due.
    fn run(&mut self) -> u64 {
        for (at_us, action) in std::mem::take(&mut self.timeline) {
            self.run_to(at_us);
            self.act(action);
        }
        self.run_to(self.schedule.heal_us);
        self.heal();
        let mut deadline_us = self.schedule.heal_us + self.schedule.limit_us;
        self.run_until_done(deadline_us);
        if !self.world.trace().damaged.is_empty() {
            self.bring_damage_to_light(deadline_us);
            self.run_until_done(deadline_us);
        }
        if self.is_done() && self.flow.withstands_faults {
            deadline_us = deadline_us.max(self.make_probes());
            if let Some(steady) = self.schedule.steady.filter(|_| self.settled_us.is_some()) {
                self.keep_asking(steady);
                self.run_until_done(self.world.now_us() + self.schedule.limit_us);
                deadline_us = deadline_us.max(self.world.now_us());
            }
        }
        deadline_us
    }

    /// Runs until everything that is demanded has come about.
    fn run_until_done(&mut self, deadline_us: u64) {
        while self.world.now_us() < deadline_us && !self.is_done() {
            self.run_to(deadline_us.min(self.world.now_us() + SLICE_US));
        }
    }

    /// A damaged state is noticed at the next checkpoint: so there must be one after the
    /// last damage, and a few slots more, so that all get to know of it.
    fn bring_damage_to_light(&mut self, deadline_us: u64) {
        let trace = self.world.trace();
        let damaged: Vec<u16> = trace.damaged.difference(&trace.faulty).copied().collect();
        let Some(gateway) = trace.honest().into_iter().find(|id| !damaged.contains(&id.0)) else {
            return;
        };
        for node in damaged {
            self.world.set_behaviours(ReplicaId(node), vec![]);
        }
        for number in 0..3 * self.schedule.settings.checkpoint_interval {
            let first = self.submit(gateway, &[&[u8::MAX, number as u8]]);
            let left_us = deadline_us.saturating_sub(self.world.now_us());
            let answered = |world: &World<P>| world.accepted().iter().any(|outcome| outcome.request == first);
            self.advance(answered, left_us);
            self.listen();
            self.probe();
        }
    }

    /// Makes requests one at a time, each when all has come to rest, in turn at each
    /// honest gateway. The first ends what is left of earlier failures: timers return
    /// to their base when it is executed. Returns by when the last one was due.
    fn make_probes(&mut self) -> u64 {
        let gateways = self.world.trace().honest();
        let settings = &self.schedule.settings;
        let rest_us = 2 * (settings.request_timer_us + settings.resend_after_us);
        let probes =
            if self.schedule.probes == 0 || gateways.is_empty() { 0 } else { self.schedule.probes + 1 };
        for (number, gateway) in (0..probes).zip(gateways.into_iter().cycle()) {
            self.run_to(self.world.now_us() + rest_us);
            if number == 1 {
                self.settled_us = Some(self.world.now_us());
                // From here on nothing may depend on it.
                self.world.set_remind_after_us(u64::from(u32::MAX));
            }
            let terms = self.terms();
            let bound_us = if number == 0 { terms.when_healed_us() } else { terms.when_settled_us() };
            let request = self.submit(gateway, &[&[255, number as u8]]);
            let answered = |world: &World<P>| world.accepted().iter().any(|one| one.request == request);
            if !self.advance(answered, bound_us) {
                break;
            }
            self.listen();
            self.run_until_done(self.world.now_us() + self.schedule.limit_us);
        }
        self.world.now_us()
    }

    /// Lets clients of all honest gateways ask until each gateway has had its answers.
    fn keep_asking(&mut self, steady: Steady) {
        let begun_us = self.world.now_us();
        let mut clients: Vec<SteadyClient> = Vec::new();
        for gateway in self.world.trace().honest() {
            let client = SteadyClient { gateway, waits_for: None, due_us: begun_us };
            clients.extend(std::iter::repeat_n(client, usize::from(steady.clients)));
        }
        let mut answers: BTreeMap<ReplicaId, u64> =
            clients.iter().map(|client| (client.gateway, 0)).collect();
        while answers.values().any(|answers| *answers < steady.requests) {
            let now_us = self.world.now_us();
            for client in clients.iter_mut().filter(|client| client.waits_for.is_none()) {
                if client.due_us <= now_us {
                    client.waits_for = Some(submit(self.flow, &mut self.world, client.gateway, &[&[254]]));
                }
            }
            let idle = clients.iter().filter(|client| client.waits_for.is_none());
            let next_us = idle.map(|client| client.due_us).min().unwrap_or(u64::MAX);
            let left_us = (begun_us + self.schedule.limit_us).saturating_sub(now_us);
            let seen = self.world.accepted().len();
            self.advance(|world| world.accepted().len() > seen, left_us.min(next_us - now_us));
            let now_us = self.world.now_us();
            let new: BTreeSet<usize> = self.world.accepted()[seen..].iter().map(|one| one.request).collect();
            for client in &mut clients {
                if client.waits_for.is_some_and(|request| new.contains(&request)) {
                    client.waits_for = None;
                    client.due_us = now_us + steady.pause_us;
                    *answers.entry(client.gateway).or_default() += 1;
                }
            }
            if left_us == 0 {
                break;
            }
        }
        // Each client of the slowest gateway made its share, one after the other.
        let requests = steady.requests.div_ceil(u64::from(steady.clients.max(1)));
        let took_us = (self.world.now_us() - begun_us).saturating_sub(requests * steady.pause_us);
        let Settings { batch_max, window, .. } = self.schedule.settings;
        let slots = clients.len().div_ceil(batch_max).div_ceil(window as usize) as u64;
        self.row = Some(Row { requests, slots, took_us });
        // What the other gateways asked for last is due as well.
        let due: Vec<usize> = clients.iter().filter_map(|client| client.waits_for).collect();
        let seen = self.world.accepted().len();
        let is_answered = |world: &World<P>| {
            due.iter().all(|due| world.accepted()[seen..].iter().any(|one| one.request == *due))
        };
        self.advance(is_answered, self.terms().when_settled_us());
        self.listen();
    }

    fn submit(&mut self, gateway: ReplicaId, asked: &[&[u8]]) -> usize {
        submit(self.flow, &mut self.world, gateway, asked)
    }

    fn terms(&self) -> Terms {
        let schedule = self.schedule;
        let without_memory = if schedule.crashes.is_empty() { 0 } else { 2 };
        Terms {
            request_timer_us: schedule.settings.request_timer_us,
            resend_after_us: schedule.settings.resend_after_us,
            failing_views: (self.flow.tolerates)(schedule.nodes) as u32 + without_memory,
            bundles: schedule.clients.len() as u64,
            remind_after_us: REMIND_AFTER_US,
            healed_us: schedule.heal_us,
            settled_us: self.settled_us,
        }
    }

    fn judge(&self, deadline_us: u64) -> Result<(), Violation> {
        let trace = self.world.trace();
        if let Some(breach) = &self.breach {
            Property::Application.judge(Err(breach.clone()))?;
        }
        if !self.flow.is_total_order {
            oracles::check_unordered_results(trace)?;
            Property::Liveness.judge(oracles::liveness::answered(trace, deadline_us))?;
            Property::EqualLogs.judge(oracles::source_order::converged(trace))?;
            // No more batches are signed when four intervals are full; one of each member may have been on its way.
            let interval = 2 * self.schedule.settings.checkpoint_interval + u64::from(self.schedule.nodes);
            Property::BoundedState.judge(oracles::bounded::check_kept(trace, interval, &self.kept))?;
            return Property::States.judge(states::equal(&self.states()));
        }
        oracles::check_results(trace)?;
        if self.flow.withstands_faults {
            oracles::check_votes(trace)?;
            let Settings { checkpoint_interval: interval, resend_after_us, .. } = self.schedule.settings;
            let (healed_us, most_us) = (self.schedule.heal_us, MOST_PERIODS_BEHIND * resend_after_us);
            Property::CaughtUp.judge(states::caught_up(trace, &self.behind, healed_us, most_us))?;
            Property::States.judge(states::equal(&self.states()))?;
            Property::BoundedState.judge(oracles::bounded::check(trace, interval, &self.kept))?;
            Property::Service.judge(oracles::service::check(trace, &self.terms()))?;
            if let Some(row) = self.row {
                let timer_us = self.schedule.settings.request_timer_us;
                Property::Service.judge(oracles::service::at_fair_pace(row, timer_us))?;
            }
        }
        Property::Liveness.judge(oracles::liveness::answered(trace, deadline_us))?;
        Property::EqualLogs.judge(oracles::liveness::equal_logs(trace))?;
        if self.flow.withstands_faults {
            Property::Acknowledged.judge(oracles::acknowledged::check(trace))?;
        }
        Ok(())
    }

    /// Runs until a time, handing over what clients ask for on the way.
    fn run_to(&mut self, end_us: u64) {
        loop {
            self.ask();
            let due = |progress: &Progress| progress.waits_for.is_none() && !progress.is_over();
            let next = self.clients.iter().filter(|p| due(p)).map(|progress| progress.due_us).min();
            let until_us = next.map_or(end_us, |next| next.min(end_us));
            let seen = self.seen;
            let at_most_us = until_us - self.world.now_us();
            self.advance(|world| world.accepted().len() > seen, at_most_us);
            self.listen();
            if self.world.now_us() >= end_us {
                break;
            }
        }
        self.probe();
    }

    /// Hands over the requests that are due.
    fn ask(&mut self) {
        let now_us = self.world.now_us();
        for (number, progress) in self.clients.iter_mut().enumerate() {
            if progress.waits_for.is_some() || progress.is_over() || progress.due_us > now_us {
                continue;
            }
            progress.asked += 1;
            let gateway = ReplicaId(progress.client.gateway);
            let operations: Vec<[u8; 3]> = (0..progress.client.sessions)
                .map(|index| [number as u8, index as u8, progress.asked as u8])
                .collect();
            let operations: Vec<&[u8]> = operations.iter().map(<[u8; 3]>::as_slice).collect();
            progress.waits_for = Some(submit(self.flow, &mut self.world, gateway, &operations));
        }
    }

    /// Notes new answers: who has all of its own may go on.
    fn listen(&mut self) {
        let accepted = self.world.accepted();
        if accepted.len() == self.seen {
            return;
        }
        self.answered.extend(accepted[self.seen..].iter().map(|outcome| outcome.request));
        self.seen = accepted.len();
        let now_us = self.world.now_us();
        for progress in &mut self.clients {
            let Some(first) = progress.waits_for else {
                continue;
            };
            let mut bundle = first..first + usize::from(progress.client.sessions);
            if bundle.all(|request| self.answered.contains(&request)) {
                progress.waits_for = None;
                progress.due_us = now_us + progress.client.pause_us;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Misbehave(place) => {
                let fault = &self.schedule.faults[place];
                self.world.set_behaviours(ReplicaId(fault.node), fault.behaviours.clone());
            }
            Action::Crash(node) if self.may_crash(node) => self.world.crash(ReplicaId(node)),
            Action::Restart(node) if self.world.is_down(node) => self.restart(node),
            Action::Crash(_) | Action::Restart(_) => {}
        }
    }

    fn restart(&mut self, node: u16) {
        self.inspect(node);
        self.world.restart(ReplicaId(node));
    }

    fn inspect(&mut self, node: u16) {
        if let Some(show) = &mut self.inspector {
            show(&self.world.trace().cluster, ReplicaId(node), self.world.replica(node));
        }
    }

    /// Whether at most `f` nodes are faulty, down or without memory if one more
    /// crashes. With disks, any number may be down.
    fn may_crash(&self, node: u16) -> bool {
        if self.schedule.disk.is_some() {
            return !self.world.is_down(node);
        }
        let faulty = self.schedule.faulty();
        if faulty.contains(&node) {
            return false;
        }
        let cluster = &self.world.trace().cluster;
        let lacking = cluster.replicas().filter(|id| {
            id.0 == node
                || faulty.contains(&id.0)
                || self.world.is_down(id.0)
                || self.world.replica(id.0).status(cluster).recovering
        });
        lacking.count() <= (self.flow.tolerates)(self.schedule.nodes)
    }

    fn heal(&mut self) {
        self.world.set_network(&Network::constant(100));
        self.world.mend_disks(&Disk::quick());
        for node in 0..self.schedule.nodes {
            if self.world.is_down(node) {
                self.restart(node);
            }
        }
        if self.schedule.reform {
            for node in self.schedule.faulty() {
                self.world.set_behaviours(ReplicaId(node), vec![]);
            }
        }
    }

    /// Whether everything that is demanded has come about.
    fn is_done(&self) -> bool {
        let trace = self.world.trace();
        let honest = |progress: &&Progress| trace.is_honest(ReplicaId(progress.client.gateway));
        let over = |progress: &Progress| progress.is_over() && progress.waits_for.is_none();
        let executed = |id: &ReplicaId| self.world.replica(id.0).status(&trace.cluster).last_executed;
        let mut logs = trace.honest().into_iter().map(|id| executed(&id));
        let first = logs.next();
        self.clients.iter().filter(honest).all(over)
            && logs.all(|log| Some(log) == first)
            && trace.honest().into_iter().all(|id| self.world.is_safe(id.0))
            && match self.flow.is_total_order {
                // After a crash of all, what was answered before is decided once more.
                true => oracles::validity::check(trace).is_ok(),
                // Replicas that have applied as many requests need not have applied the same ones.
                false => {
                    let states = self.states();
                    oracles::source_order::converged(trace).is_ok()
                        && states.windows(2).all(|pair| pair[0].2 == pair[1].2)
                }
            }
    }

    fn probe(&mut self) {
        let at_us = self.world.now_us();
        let cluster = &self.world.trace().cluster;
        for replica in cluster.replicas() {
            let inner = self.world.replica(replica.0);
            if self.breach.is_none() && self.world.trace().is_honest(replica) {
                let holds = (self.flow.holds)(inner, self.schedule.nodes);
                self.breach = holds.err().map(|breach| format!("replica {replica} at {at_us} us: {breach}"));
            }
            let (slots, votes) = (self.flow.kept)(inner);
            self.kept.push(Kept { replica, at_us, slots, votes });
            let status = inner.status(cluster);
            let is_behind = !self.world.is_down(replica.0)
                && status.views.is_some_and(|views| views.stable_checkpoint > status.last_executed);
            let received_bytes = (self.flow.transferred)(inner);
            self.behind.push(Behind { replica, at_us, is_behind, received_bytes });
        }
    }

    /// How far the honest replicas have come, and in which state they are.
    fn states(&self) -> Vec<(ReplicaId, Seq, Digest)> {
        let trace = self.world.trace();
        let state = |id: ReplicaId| {
            let replica = self.world.replica(id.0);
            (id, replica.status(&trace.cluster).last_executed, (self.flow.state)(replica))
        };
        trace.honest().into_iter().map(state).collect()
    }
}

/// Hands over a bundle of what clients of a gateway ask for. Returns the number of the first.
fn submit<P: Protocol + 'static>(
    flow: &Flow<P>,
    world: &mut World<P>,
    gateway: ReplicaId,
    asked: &[&[u8]],
) -> usize {
    let n = world.trace().cluster.n;
    let operations: Vec<Vec<u8>> = asked.iter().map(|bytes| (flow.ask)(gateway, n, bytes)).collect();
    let operations: Vec<&[u8]> = operations.iter().map(Vec::as_slice).collect();
    world.submit_again(gateway, &operations)
}

impl Progress {
    fn is_over(&self) -> bool {
        self.asked == self.client.requests
    }
}

fn timeline(schedule: &Schedule) -> Vec<(u64, Action)> {
    let later = schedule.faults.iter().enumerate().filter(|(_, fault)| fault.from_us > 0);
    let faults = later.map(|(place, fault)| (fault.from_us, Action::Misbehave(place)));
    let crashes = schedule.crashes.iter().flat_map(|crash| {
        [(crash.at_us, Action::Crash(crash.node)), (crash.restart_us, Action::Restart(crash.node))]
    });
    let mut timeline: Vec<(u64, Action)> = faults.chain(crashes).collect();
    timeline.retain(|(at_us, _)| *at_us < schedule.heal_us);
    timeline.sort_by_key(|(at_us, _)| *at_us);
    timeline
}
