//! A schedule from a seed: which combinations come up, and how often.

use super::schedule::{BadDisk, Client, Crash, Fault, Schedule, Settings, Steady};
use crate::disk::{Disk, DiskFault};
use crate::network::{Delay, LinkRule, Network, Partition};
use adversary::Behaviour;
use kernel::{Choose as _, SeededChoice};

/// Draws the schedule of a seed for a flow that tolerates `tolerates(n)` faulty
/// nodes among `n`. The same seed draws the same, everywhere.
pub fn draw(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let has_commanders_to_watch = !matches!(protocol, "ccro-paper" | BROADCAST);
    let schedule = match seed % 8 {
        3 | 7 => hostile(protocol, seed, tolerates),
        1 if has_commanders_to_watch && seed % 16 == 9 => slow(protocol, seed, tolerates),
        1 if has_commanders_to_watch => unfair(protocol, seed, tolerates),
        5 if has_commanders_to_watch => left_behind(protocol, seed, tolerates),
        _ => varied(protocol, seed, tolerates),
    };
    if protocol == BROADCAST { without_lost_memories(schedule) } else { schedule }
}

/// Secure broadcast, in which a member that loses its memory takes part no more.
const BROADCAST: &str = "broadcast";
const REQUESTS_WITH_TAGS: &str = "pbft-mac-requests";

/// The same schedule in which nobody crashes without a disk.
fn without_lost_memories(schedule: Schedule) -> Schedule {
    Schedule { crashes: vec![], probes: 0, ..schedule }
}

/// Which schedules of a swarm have disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disks {
    /// All.
    Always,
    /// None: the schedules are those of [`draw()`].
    Never,
    /// Those of every third seed.
    #[default]
    Drawn,
}

impl Disks {
    /// Draws the schedule of a seed: that of [`draw()`], and maybe with disks.
    pub fn draw(self, protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
        let schedule = draw(protocol, seed, tolerates);
        match self {
            Disks::Never => schedule,
            Disks::Drawn if !(seed / 8).is_multiple_of(3) => schedule,
            Disks::Always | Disks::Drawn => with_disks(schedule, tolerates),
        }
    }
}

/// The same schedule with disks: any number of nodes may crash, all at once as well. It is drawn from a
/// generator of its own, so that everything else stays as it was.
pub fn with_disks(mut schedule: Schedule, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(schedule.seed ^ 0x0d15_c5ee_df00_d5ee));
    let (nodes, heal_us) = (schedule.nodes, schedule.heal_us);
    // A timer that is shorter than a sync is long lets nothing come about, which shows nothing.
    let most_us = (schedule.settings.request_timer_us / 40).max(20);
    let least_us = dice.between(5, most_us);
    schedule.disk = Some(Disk {
        sync_us: (least_us, dice.between(least_us, most_us)),
        save_after_bytes: dice.one_of(&[500, 2000, 2000, 10_000, 50_000]),
        save_us: (100, dice.between(100, 50_000)),
    });
    for _ in 0..dice.one_of(&[0, 1, 1, 2, 2, 3, 4]) {
        let at_us = dice.0.below(heal_us);
        let restart_us = at_us + 1 + dice.0.below(heal_us - at_us);
        let some = if dice.percent(50) { nodes } else { 1 + dice.0.below(u64::from(nodes)) as u16 };
        for node in dice.0.draw((0..nodes).collect(), usize::from(some)) {
            // Sometimes all come back at the same time, too.
            let later_us = if dice.percent(50) { 0 } else { dice.0.below(heal_us - restart_us + 1) };
            schedule.crashes.push(Crash { node, at_us, restart_us: restart_us + later_us });
        }
    }
    let faulty = schedule.faulty();
    let mut may_fail: Vec<u16> = faulty.iter().copied().collect();
    let honest: Vec<u16> = (0..nodes).filter(|node| !faulty.contains(node)).collect();
    let more = tolerates(nodes).saturating_sub(faulty.len()).min(honest.len());
    may_fail.extend(dice.0.draw(honest, more));
    if dice.percent(40) {
        for node in may_fail {
            let fault =
                if dice.percent(70) { DiskFault::Lies } else { DiskFault::FailsFrom(dice.between(1, 200)) };
            schedule.disk_faults.push(BadDisk { node, fault });
        }
    }
    for _ in 0..dice.one_of(&[0, 0, 1, 1, 2]) {
        let fault = match dice.between(0, 3) {
            0 | 1 => DiskFault::FailsAt(dice.between(1, 200)),
            2 => DiskFault::FullAfterBytes(dice.between(1, 50_000)),
            _ => DiskFault::SlowUs(dice.between(1, 20_000)),
        };
        schedule.disk_faults.push(BadDisk { node: dice.node(nodes), fault });
    }
    schedule
}

/// Few slots between checkpoints and a replica that is cut off for many of them, so that
/// it needs the state of others, some of whom serve theirs badly; or one of them, the
/// commander maybe, has a damaged state and does not know.
pub fn left_behind(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(seed ^ 0x1ef7_be41_4d57_a7e5));
    let nodes = dice.one_of(&[4, 4, 4, 4, 5, 6, 7, 7, 10]);
    let heal_us = 1000 * dice.between(200, 900);
    let targets = dice.targets(nodes, tolerates(nodes));
    let others: Vec<u16> = (0..nodes).filter(|node| !targets.contains(node)).collect();
    let away = dice.one_of(&others);
    let mut network = Network { name: "left behind".into(), ..Network::default() };
    network.delay = Delay::Uniform(50.0, dice.between(100, 1000) as f64);
    network.loss = dice.one_of(&[0.0, 0.0, 0.05, 0.2]);
    let from_us = dice.between(0, heal_us / 8);
    let until_us = dice.one_of(&[heal_us / 2, heal_us / 2, heal_us]);
    network.partitions.push(Partition { groups: vec![vec![away]], from_us, until_us });
    let settings = Settings {
        batch_max: dice.one_of(&[1, 1, 1, 4]),
        checkpoint_interval: dice.one_of(&[4, 4, 5, 8]),
        ..dice.settings(nodes)
    };
    let fault = |dice: &mut Dice, node: u16| {
        let act = dice.state_fault();
        Fault { node, behaviours: vec![act.parse().expect("written as people do")], from_us: 0 }
    };
    Schedule {
        protocol: protocol.to_owned(),
        seed,
        nodes,
        heal_us,
        reform: dice.percent(25),
        limit_us: 300_000_000,
        steady: None,
        probes: 0,
        settings,
        network,
        disk: None,
        disk_faults: vec![],
        faults: targets.iter().map(|node| fault(&mut dice, *node)).collect(),
        crashes: vec![],
        clients: (0..dice.between(1, 3))
            .map(|_| Client {
                gateway: dice.one_of(&others),
                begins_us: 0,
                pause_us: 0,
                sessions: dice.one_of(&[1, 1, 2, 3]),
                requests: dice.between(10, 50),
            })
            .collect(),
    }
}

/// Requests made when everything is at rest.
const PROBES: u64 = 4;

/// Anything that could come up in practice, and much that would not.
fn varied(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(seed ^ 0x5eed_0f5c_4ed0_1e55));
    let nodes = dice.nodes(if protocol == "ccro-paper" { 3 } else { 1 });
    let heal_us = 1000 * dice.between(50, 1500);
    let f = tolerates(nodes);
    let faulty = dice.one_of(&[0, 1, f, f]).min(f);
    let scene = Scene { protocol, nodes, heal_us, targets: dice.targets(nodes, faulty) };
    Schedule {
        protocol: protocol.to_owned(),
        seed,
        nodes,
        heal_us,
        reform: dice.percent(25),
        limit_us: 300_000_000,
        steady: None,
        probes: PROBES,
        settings: dice.settings(nodes),
        network: dice.network(nodes, heal_us),
        disk: None,
        disk_faults: vec![],
        faults: scene.targets.iter().flat_map(|node| dice.faults(*node, &scene)).collect(),
        crashes: if f > 0 && dice.percent(35) { dice.crashes(nodes, heal_us) } else { vec![] },
        clients: dice.clients(nodes, heal_us),
    }
}

/// A few slots under a network that keeps breaking where it hurts: short timers,
/// links that carry nothing one way, nodes cut off for moments. Views change all
/// the time and nearly everybody knows something else.
pub fn hostile(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(seed ^ 0x0057_11e5_eed5_0f5c));
    let nodes = dice.one_of(&[4, 4, 4, 4, 4, 4, 5, 5, 6, 7]);
    let heal_us = 1000 * dice.between(20, 120);
    let scene = Scene { protocol, nodes, heal_us, targets: dice.targets(nodes, tolerates(nodes)) };
    let fallback_after_us = 500 * dice.between(2, 8);
    let mut network = Network { name: "hostile".into(), ..Network::default() };
    network.delay = Delay::Uniform(50.0, dice.between(100, 3000) as f64);
    network.loss = dice.one_of(&[0.0, 0.0, 0.1, 0.3]);
    for _ in 0..dice.between(0, 6) {
        let (from, to) = (vec![dice.node(nodes)], vec![dice.node(nodes)]);
        let loss = Some(dice.one_of(&[0.5, 1.0, 1.0]));
        network.links.push(LinkRule { from, to, loss, ..LinkRule::default() });
    }
    for _ in 0..dice.between(0, 5) {
        let from_us = dice.between(0, heal_us);
        let until_us = from_us + 1000 * dice.between(1, 30);
        network.partitions.push(Partition { groups: vec![vec![dice.node(nodes)]], from_us, until_us });
    }
    let (checkpoint_interval, batch_max) = (dice.one_of(&[4, 8, 16]), dice.one_of(&[1, 1, 4]));
    Schedule {
        protocol: protocol.to_owned(),
        seed,
        nodes,
        heal_us,
        reform: dice.percent(25),
        limit_us: 300_000_000,
        steady: None,
        probes: PROBES,
        settings: Settings {
            window: dice.between(1, 4),
            batch_max,
            checkpoint_interval,
            resend_after_us: 1000 * dice.between(2, 20),
            request_timer_us: fallback_after_us + 1000 * dice.between(1, 10),
            fast_path: dice.percent(90),
            fast_wait_us: 100 * dice.between(2, 20),
            fallback_after_us,
            communication: dice.one_of(&["separate", "separate", "collocated"]).to_owned(),
        },
        network,
        disk: None,
        disk_faults: vec![],
        faults: scene.targets.iter().flat_map(|node| dice.faults(*node, &scene)).collect(),
        crashes: if dice.percent(15) { dice.crashes(nodes, heal_us) } else { vec![] },
        clients: (0..dice.between(1, 3))
            .map(|_| Client {
                gateway: dice.node(nodes),
                begins_us: 0,
                pause_us: 0,
                sessions: dice.one_of(&[1, 1, 2]),
                requests: dice.between(1, 4),
            })
            .collect(),
    }
}

/// A network that is well, and `f` nodes, often the first commanders, that go on for
/// ever to serve only some, late, or not at all.
pub fn unfair(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(seed ^ 0x0f41_75e4_71ce_5eed));
    let nodes = dice.one_of(&[4, 4, 4, 4, 4, 5, 6, 7, 7, 8, 10]);
    let heal_us = 1000 * dice.between(1, 300);
    let f = tolerates(nodes);
    let targets = if dice.percent(50) { (0..f as u16).collect() } else { dice.targets(nodes, f) };
    let settings = dice.settings(nodes);
    let faults = targets.iter().map(|node| Fault {
        node: *node,
        behaviours: dice.services(nodes, settings.request_timer_us),
        from_us: 0,
    });
    Schedule {
        protocol: protocol.to_owned(),
        seed,
        nodes,
        heal_us,
        reform: false,
        limit_us: 300_000_000,
        steady: None,
        probes: 2 * PROBES,
        network: Network { delay: Delay::Uniform(50.0, 200.0), ..Network::default() },
        disk: None,
        disk_faults: vec![],
        faults: faults.collect(),
        crashes: vec![],
        clients: dice.clients(nodes, heal_us),
        settings,
    }
}

/// A network that is well, and a first commander that does all that it must, but slowly,
/// or for one gateway last, for ever, while clients of all gateways keep on asking.
pub fn slow(protocol: &str, seed: u64, tolerates: fn(u16) -> usize) -> Schedule {
    let mut dice = Dice(SeededChoice::new(seed ^ 0x0510_3c03_5eed_f00d));
    let nodes = dice.one_of(&[4, 4, 4, 5, 6]);
    let mut schedule = unfair(protocol, seed, tolerates);
    let timer_us = schedule.settings.request_timer_us;
    let late_us = timer_us * dice.between(5, 99) / 100;
    let slices_us = timer_us * dice.between(3, 9) / 100;
    let gateway = dice.between(1, u64::from(nodes) - 1);
    let last = format!("gateway-last={late_us}us;{gateway}");
    let behaviours: &[String] = match dice.between(0, 5) {
        // Headers of proposals travel in `stuck` as well, without their batches.
        0 => &[format!("delay={late_us}us[kind={}]", dice.one_of(&["pre-prepare;stuck", "pre-prepare"]))],
        1 => &[format!("offline[kind=request][to={gateway}]")],
        2 => &["small-batches".to_owned(), format!("delay={slices_us}us[kind=pre-prepare]")],
        _ => &[last],
    };
    let read = |text: &String| text.parse().expect("the swarm writes behaviours as people do");
    let behaviours: Vec<Behaviour> = behaviours.iter().map(read).collect();
    // With a window of one slot, small batches are as slow as they can be.
    let is_small = behaviours.len() > 1;
    schedule.settings.window = if is_small { 1 } else { schedule.settings.window };
    schedule.settings.batch_max = if is_small { 64 } else { dice.one_of(&[1, 2, 16, 64]) };
    schedule.settings.communication = "separate".to_owned();
    schedule.nodes = nodes;
    schedule.faults = vec![Fault { node: 0, behaviours, from_us: 0 }];
    schedule.clients = vec![];
    schedule.probes = 1;
    schedule.steady = Some(Steady {
        clients: if is_small { 4 } else { 1 },
        pause_us: if is_small { 0 } else { timer_us / 64 },
        requests: if is_small { 200 } else { 60 },
    });
    schedule
}

/// What a behaviour is drawn for.
struct Scene<'a> {
    protocol: &'a str,
    nodes: u16,
    heal_us: u64,
    /// The faulty nodes.
    targets: Vec<u16>,
}

struct Dice(SeededChoice);

impl Dice {
    /// A number from `least` to `most`.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.0.below(100) < chance
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len() as u64) as usize].clone()
    }

    fn node(&mut self, nodes: u16) -> u16 {
        self.0.below(u64::from(nodes)) as u16
    }

    /// In hundredths, up to `most`.
    fn probability(&mut self, most: u64) -> f64 {
        self.between(1, most) as f64 / 100.0
    }

    fn nodes(&mut self, least: u16) -> u16 {
        let sizes = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 6, 6, 7, 7, 7, 8, 8, 10, 13, 1, 2, 3, 9];
        self.one_of(&sizes).max(least)
    }

    fn settings(&mut self, nodes: u16) -> Settings {
        let communication = match self.between(0, 9) {
            0 | 1 => "collocated".to_owned(),
            2 => format!("fixed:{}", self.node(nodes)),
            3 => "trust".to_owned(),
            _ => "separate".to_owned(),
        };
        let checkpoint_interval = self.one_of(&[4, 4, 5, 6, 8, 16]);
        let fallback_after_us = 1000 * self.between(5, 30);
        Settings {
            window: self.between(1, 8),
            batch_max: self.one_of(&[1, 1, 2, 4, 16]),
            checkpoint_interval,
            resend_after_us: 1000 * self.between(10, 60),
            // Longer than the fallback and PBFT's phases together.
            request_timer_us: fallback_after_us + 1000 * self.between(20, 100),
            fast_path: self.percent(75),
            fast_wait_us: 1000 * self.between(1, 5),
            fallback_after_us,
            communication,
        }
    }

    // ---- The network ----

    fn delay(&mut self) -> Delay {
        match self.between(0, 4) {
            0 => Delay::Constant(100.0),
            1 => Delay::Uniform(50.0, 200.0),
            2 => Delay::Uniform(100.0, self.between(1000, 20_000) as f64),
            3 => Delay::LogNormal { median_us: 300.0, sigma: 1.0 },
            _ => Delay::LogNormal { median_us: 1000.0, sigma: 1.5 },
        }
    }

    fn network(&mut self, nodes: u16, heal_us: u64) -> Network {
        let mut network = Network { name: "swarm".into(), delay: self.delay(), ..Network::default() };
        if self.percent(40) {
            network.loss = self.probability(25);
        }
        if self.percent(25) {
            network.duplication = self.probability(20);
        }
        if self.percent(25) {
            network.reordering = self.probability(30);
            network.reordering_us = self.between(1000, 50_000) as f64;
        }
        for _ in 0..self.one_of(&[0, 0, 0, 1, 1, 2]) {
            network.partitions.push(self.partition(nodes, heal_us));
        }
        if self.percent(20) {
            network.links.push(self.link(nodes));
        }
        network
    }

    fn partition(&mut self, nodes: u16, heal_us: u64) -> Partition {
        let from_us = self.0.below(heal_us);
        let until_us = from_us + 1 + self.0.below(heal_us - from_us);
        let ends = self.0.draw((0..nodes).collect(), usize::from(nodes) / 2);
        let size = 1 + self.0.below(ends.len().max(1) as u64) as usize;
        let mut group = ends;
        group.truncate(size);
        if group.is_empty() {
            group.push(0);
        }
        Partition { groups: vec![group], from_us, until_us }
    }

    fn link(&mut self, nodes: u16) -> LinkRule {
        let mut rule = LinkRule { from: vec![self.node(nodes)], ..LinkRule::default() };
        if self.percent(50) {
            rule.to = vec![self.node(nodes)];
        }
        if self.percent(50) {
            rule.delay = Some(Delay::Constant(self.between(1000, 100_000) as f64));
        } else {
            rule.loss = Some(self.probability(100));
        }
        rule
    }

    // ---- Faults ----

    /// Nodes that will be faulty: those with the first roles more often.
    fn targets(&mut self, nodes: u16, faulty: usize) -> Vec<u16> {
        let mut targets = Vec::new();
        if faulty > 0 && self.percent(60) {
            targets.push(self.one_of(&[0, 0, 1, 2]).min(nodes - 1));
        }
        let rest = (0..nodes).filter(|node| !targets.contains(node)).collect();
        targets.extend(self.0.draw(rest, faulty - targets.len()));
        targets
    }

    fn faults(&mut self, node: u16, scene: &Scene) -> Vec<Fault> {
        let heal_us = scene.heal_us;
        let from_us = if self.percent(60) { 0 } else { self.0.below(heal_us) };
        let mut faults = vec![Fault { node, behaviours: self.behaviours(scene), from_us }];
        if self.percent(20) {
            let from_us = from_us + self.0.below(heal_us - from_us);
            faults.push(Fault { node, behaviours: self.behaviours(scene), from_us: from_us + 1 });
        }
        faults
    }

    fn behaviours(&mut self, scene: &Scene) -> Vec<Behaviour> {
        let count = self.one_of(&[1, 1, 1, 2, 2, 3]);
        (0..count).map(|_| self.behaviour(scene)).collect()
    }

    fn behaviour(&mut self, scene: &Scene) -> Behaviour {
        let act = self.act(scene);
        // A node is two nodes or it is not: no message can tell. And as long as a MAC attack goes on, views change
        // under honest commanders, so that nothing is promised of when clients are served.
        let when = match act.as_str() {
            "twins" => String::new(),
            act if act.starts_with("mac-attack") => format!("[until={}us]", 1 + self.0.below(scene.heal_us)),
            _ if self.percent(40) => self.condition(scene),
            _ => String::new(),
        };
        format!("{act}{when}").parse().expect("the swarm writes behaviours as people do")
    }

    fn act(&mut self, scene: &Scene) -> String {
        let ids = scene.targets.iter().map(u16::to_string).collect::<Vec<_>>().join(";");
        if scene.protocol == REQUESTS_WITH_TAGS && self.percent(20) {
            return format!("mac-attack={}ms", self.between(10, 200));
        }
        match self.between(0, 18) {
            0 => "offline".to_owned(),
            1 => "malicious".to_owned(),
            2 => "equivocate".to_owned(),
            3 => "equivocate=victim".to_owned(),
            4 | 5 => format!("equivocate={ids}"),
            6 => format!("equivocate=victim;{ids}"),
            7 => "withhold".to_owned(),
            8 => format!("partial={}", self.some(scene.nodes)),
            9 => format!("delay={}us", self.between(100, 60_000)),
            10 => format!("drop={}", self.probability(60)),
            11 => format!("duplicate={}", self.probability(100)),
            12 => format!("reorder={}us", self.between(100, 30_000)),
            13 => format!("replay={}", self.probability(50)),
            14 => "forge".to_owned(),
            15 => "amnesia".to_owned(),
            16 => "twins".to_owned(),
            17 => format!("view-change-spam={}ms", self.between(10, 200)),
            _ => format!("flood={}", self.between(50, 1000)),
        }
    }

    /// Serves its state badly, or has a bad state itself.
    fn state_fault(&mut self) -> String {
        match self.between(0, 9) {
            0 => "bad-state".to_owned(),
            1 => "bad-state=bit".to_owned(),
            2 => "bad-state=extent".to_owned(),
            3 => "bad-state=short".to_owned(),
            4 => "bad-state=silence".to_owned(),
            5 => format!("delay={}us[kind=state]", self.between(1000, 200_000)),
            6 => "malicious[kind=state;stable-checkpoint;checkpoint]".to_owned(),
            7 => format!("diverge[after={}us]", self.between(0, 400_000)),
            _ => format!("diverge[seq={}..]", self.between(1, 40)),
        }
    }

    /// How a node serves some, late, or not at all, whatever its role.
    fn services(&mut self, nodes: u16, request_timer_us: u64) -> Vec<Behaviour> {
        let count = self.one_of(&[1, 1, 2]);
        let services = (0..count).map(|_| self.service(nodes, request_timer_us));
        let read = |text: String| text.parse().expect("the swarm writes behaviours as people do");
        services.collect::<Vec<_>>().into_iter().map(read).collect()
    }

    fn service(&mut self, nodes: u16, request_timer_us: u64) -> String {
        let late = request_timer_us * self.between(5, 120) / 100;
        let some = self.some(nodes);
        match self.between(0, 12) {
            0..=2 => format!("partial={some}"),
            3 => format!("drop=1[kind=pre-prepare][to={some}]"),
            4 => format!("drop=1[to={some}]"),
            5 => format!("delay={late}us[kind=pre-prepare]"),
            6 => format!("delay={late}us[kind=pre-prepare][to={some}]"),
            7 => format!("delay={late}us"),
            8 => format!("offline[kind=request][to={some}]"),
            9 => format!("offline[to={some}]"),
            10 => "withhold".to_owned(),
            11 => format!("partial={some}[seq={}..]", self.between(1, 8)),
            _ => "offline".to_owned(),
        }
    }

    /// When a behaviour is in force.
    fn condition(&mut self, scene: &Scene) -> String {
        match self.between(0, 4) {
            0 => format!("[seq={}..{}]", self.between(1, 6), self.between(7, 30)),
            1 => format!("[view={}..{}]", self.between(0, 2), self.between(3, 6)),
            2 => format!("[to={}]", self.some(scene.nodes)),
            3 => format!("[until={}us]", 1 + self.0.below(scene.heal_us)),
            _ => {
                let votes = ["prepare", "commit", "pre-prepare"];
                let certificates = ["prepared-certificate", "fast-certificate", "committed-certificate"];
                let changes = ["view-change", "new-view", "checkpoint", "state"];
                let kinds: &[&str] = match scene.protocol {
                    "ccro" | "ccro-aggregate" => &[votes.as_slice(), &certificates, &changes].concat(),
                    "pbft" => &[votes.as_slice(), &changes].concat(),
                    "pbft-mac" | REQUESTS_WITH_TAGS => &[votes.as_slice(), &["decided"], &changes].concat(),
                    BROADCAST => &["propose", "validated", "proof", "applied", "fetch", "proven"],
                    _ => &["pre-prepare", "prepare", "commit"],
                };
                format!("[kind={}]", self.one_of(kinds))
            }
        }
    }

    /// Some nodes, at least one, as behaviours take them.
    fn some(&mut self, nodes: u16) -> String {
        let count = 1 + self.0.below(u64::from(nodes)) as usize;
        let some = self.0.draw((0..nodes).collect(), count);
        some.iter().map(u16::to_string).collect::<Vec<_>>().join(";")
    }

    fn crashes(&mut self, nodes: u16, heal_us: u64) -> Vec<Crash> {
        let mut at_us = 0;
        let mut crashes = Vec::new();
        for _ in 0..self.between(1, 4) {
            at_us += self.0.below(heal_us - at_us);
            let restart_us = at_us + 1 + self.0.below(heal_us - at_us);
            crashes.push(Crash { node: self.node(nodes), at_us, restart_us });
        }
        crashes
    }

    // ---- Load ----

    fn clients(&mut self, nodes: u16, heal_us: u64) -> Vec<Client> {
        let count = self.between(1, 4);
        (0..count)
            .map(|_| Client {
                gateway: self.node(nodes),
                begins_us: if self.percent(50) { 0 } else { self.0.below(heal_us) },
                pause_us: if self.percent(50) { 0 } else { self.0.below(heal_us / 4) },
                sessions: self.one_of(&[1, 1, 1, 2, 3]),
                requests: self.between(1, 12),
            })
            .collect()
    }
}
