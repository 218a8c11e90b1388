//! Kills, restarts, cuts and heals while the load goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use journal::Durability;
use kernel::{Choose, SeededChoice};
use node::LinkConditions;
use node::api::{LogReport, StatusReport};
use tokio::time::{Instant, sleep, sleep_until};

use crate::cluster::Cluster;
use crate::cluster::http::{get_json, post_json};
use crate::cluster::observe;
use crate::load::Progress;
use crate::plan::Cell;
use crate::plan::outage::{self, Outage, Victim};
use crate::results::schema::EventKind;

/// How long a node may take until it is back.
const BACK_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// All nodes are not killed so late that no load would be left to see when they serve again.
const SEEN: Duration = Duration::from_secs(2);
/// Between the return of the killed nodes and the next kill.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a gateway's last requests are waited for before it is killed.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
const CONTROL_LIMIT: Duration = Duration::from_secs(5);

/// Something that was done to the cluster.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To whom.
    pub nodes: Vec<u16>,
    /// When, microseconds since the load began.
    pub at_us: u64,
    /// How long after a restart or a healing all of them had executed as much
    /// as the others.
    pub caught_up_us: Option<u64>,
    /// How long after it all of them took part again.
    pub voting_us: Option<u64>,
}

/// What the driver saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// In the order of time.
    pub events: Vec<Event>,
    /// The logs of nodes just before they were killed: their memory is gone.
    pub logs: Vec<LogReport>,
    /// Nodes that were started again, whose counters began anew.
    pub restarted: BTreeSet<u16>,
    /// Nodes that are down at the end, on purpose.
    pub down: BTreeSet<u16>,
    /// Sentences on nodes that did not come back.
    pub not_back: Vec<String>,
}

/// Whom a kill or a cut hits next.
struct Turns {
    honest: Vec<u16>,
    /// Nodes that may be away at once.
    at_most: usize,
    next: usize,
    /// Where nodes keep journals, some are drawn; else it is the next in order.
    draw: Option<SeededChoice>,
}

impl Turns {
    fn next(&mut self) -> Vec<u16> {
        let places = self.honest.len() as u64;
        let Some(draw) = &mut self.draw else {
            let next = self.next;
            self.next += self.at_most;
            return (next..self.next).map(|place| self.honest[place % self.honest.len()]).collect();
        };
        let count = 1 + draw.below(self.at_most as u64) as usize;
        let mut drawn = BTreeSet::new();
        while drawn.len() < count.min(self.honest.len()) {
            drawn.insert(self.honest[draw.below(places) as usize]);
        }
        drawn.into_iter().collect()
    }
}

/// One outage of one cluster.
pub struct Driver {
    outage: Outage,
    honest: Vec<u16>,
    /// All nodes whose processes are not killed from the start.
    all: Vec<u16>,
    turns: RefCell<Turns>,
    load_ends: Duration,
    addresses: Vec<SocketAddr>,
    cluster: Rc<RefCell<Cluster>>,
    progress: Rc<Progress>,
    seen: RefCell<Seen>,
}

impl Driver {
    /// For a cluster and a load of this cell that is about to begin.
    pub fn new(
        outage: &Outage,
        cell: &Cell,
        load_ends: Duration,
        cluster: &Rc<RefCell<Cluster>>,
        progress: &Rc<Progress>,
        seed: u64,
    ) -> Driver {
        let has_process = |id: &u16| !cell.faults.nodes[usize::from(*id)].crash;
        let turns = Turns {
            honest: cell.faults.honest(),
            at_most: outage.killed_at_once(cell),
            next: 0,
            draw: (cell.durability != Durability::Off).then(|| SeededChoice::new(seed)),
        };
        Driver {
            all: (0..cell.nodes).filter(has_process).collect(),
            turns: RefCell::new(turns),
            outage: outage.clone(),
            honest: cell.faults.honest(),
            load_ends,
            addresses: cluster.borrow().addresses().to_vec(),
            cluster: Rc::clone(cluster),
            progress: Rc::clone(progress),
            seen: RefCell::default(),
        }
    }

    /// Does everything at its time.
    pub async fn run(&self) -> Result<()> {
        let kills = async {
            match self.outage.kill {
                None => Ok(()),
                Some(Victim::InTurn) => self.kill_in_turn().await,
                Some(Victim::All) => {
                    self.wait_until(self.outage.at_s).await;
                    self.kill_all(self.outage.restart_after_s.unwrap_or(0.0)).await.map(|_| ())
                }
                Some(victim) => self.kill_once(victim).await,
            }
        };
        let cuts = async {
            for partition in &self.outage.partition {
                self.wait_until(partition.from_s).await;
                let lasts = Duration::from_secs_f64(partition.until_s - partition.from_s);
                self.cut_and_heal(&partition.groups, lasts).await?;
            }
            Ok(())
        };
        tokio::try_join!(kills, cuts).map(|_| ())
    }

    /// What was done and seen.
    pub fn finish(&self) -> Seen {
        let mut seen = self.seen.take();
        seen.events.sort_by_key(|event| event.at_us);
        seen
    }

    async fn kill_once(&self, victim: Victim) -> Result<()> {
        self.wait_until(self.outage.at_s).await;
        let id = find(victim, &self.honest, &self.addresses).await?;
        self.kill(&[id]).await?;
        match self.outage.restart_after_s {
            None => Ok(()),
            Some(after) => self.restart(&[id], after).await.map(|_| ()),
        }
    }

    /// Kills all nodes at once, in the midst of what they do, and starts them again. Says whether they are back.
    async fn kill_all(&self, down_s: f64) -> Result<bool> {
        let logs = observe::logs(&self.addresses).await;
        for id in &self.all {
            self.cluster.borrow_mut().kill(*id)?;
        }
        self.note(EventKind::KillAll, &self.all);
        self.seen.borrow_mut().logs.extend(logs.into_iter().flatten());
        sleep(Duration::from_secs_f64(down_s)).await;
        let event = self.note(EventKind::RestartAll, &self.all);
        self.start(&self.all).await?;
        Ok(self.wait_back(&self.honest, event).await)
    }

    /// Kills the next `f` as long as the last are back in time, until the load ends. Every
    /// third time they are cut off instead, if the plan says so, and now and then all are killed at once.
    async fn kill_in_turn(&self) -> Result<()> {
        self.wait_until(self.outage.at_s).await;
        let down_s = self.outage.restart_after_s.unwrap_or(0.0);
        let every = self.outage.kill_all_every_s.map(Duration::from_secs_f64);
        let mut all_killed = Instant::now();
        for turn in 1.. {
            let cut_s = self.outage.cut_s.filter(|_| turn % 3 == 0);
            let away = Duration::from_secs_f64(cut_s.unwrap_or(down_s));
            if self.progress.started().elapsed() + away >= self.load_ends {
                break;
            }
            let is_seen =
                self.progress.started().elapsed() + Duration::from_secs_f64(down_s) + SEEN < self.load_ends;
            let are_back = if is_seen && every.is_some_and(|every| all_killed.elapsed() >= every) {
                all_killed = Instant::now();
                self.kill_all(down_s).await?
            } else {
                let next = self.turns.borrow_mut().next();
                match cut_s {
                    Some(_) => self.cut_and_heal(&self.isolating(&next), away).await?,
                    None => {
                        self.kill(&next).await?;
                        self.restart(&next, down_s).await?
                    }
                }
            };
            if !are_back {
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// These nodes, each alone, and all others together.
    fn isolating(&self, ids: &[u16]) -> Vec<Vec<u16>> {
        let others = (0..).take(self.addresses.len()).filter(|id| !ids.contains(id));
        ids.iter().map(|id| vec![*id]).chain([others.collect()]).collect()
    }

    /// Kills nodes after their clients are served.
    async fn kill(&self, ids: &[u16]) -> Result<()> {
        ids.iter().for_each(|id| self.progress.spare(*id, true));
        let limit = Instant::now() + DRAIN_LIMIT;
        while ids.iter().any(|id| self.progress.in_flight(*id) > 0) && Instant::now() < limit {
            sleep(Duration::from_millis(1)).await;
        }
        let addresses: Vec<SocketAddr> = ids.iter().map(|id| self.addresses[usize::from(*id)]).collect();
        let logs = observe::logs(&addresses).await;
        for id in ids {
            self.cluster.borrow_mut().kill(*id)?;
        }
        self.note(EventKind::Kill, ids);
        let mut seen = self.seen.borrow_mut();
        seen.logs.extend(logs.into_iter().flatten());
        seen.down.extend(ids);
        Ok(())
    }

    /// Starts killed nodes again and waits until they are back. Says whether
    /// they are.
    async fn restart(&self, ids: &[u16], after_s: f64) -> Result<bool> {
        sleep(Duration::from_secs_f64(after_s)).await;
        let event = self.note(EventKind::Restart, ids);
        self.start(ids).await?;
        Ok(self.wait_back(ids, event).await)
    }

    /// Starts killed nodes, all at the same time, and waits until they listen.
    async fn start(&self, ids: &[u16]) -> Result<()> {
        let mut listening = Vec::new();
        for id in ids {
            listening.push(self.cluster.borrow_mut().restart(*id)?);
        }
        {
            let mut seen = self.seen.borrow_mut();
            seen.restarted.extend(ids);
            seen.down.retain(|id| !ids.contains(id));
        }
        for listens in listening {
            listens.await?;
        }
        Ok(())
    }

    /// Cuts groups off from each other for a while, and waits until those outside the
    /// largest are back. Says whether they are.
    async fn cut_and_heal(&self, groups: &[Vec<u16>], lasts: Duration) -> Result<bool> {
        let began = Instant::now();
        let cut_off = outage::cut_off(groups);
        cut_off.iter().for_each(|id| self.progress.spare(*id, true));
        self.set_links(|id| outage::cut_off_from(groups, id)).await?;
        self.note(EventKind::Cut, &cut_off);
        sleep_until(began + lasts).await;
        self.set_links(|_| Vec::new()).await?;
        let event = self.note(EventKind::Heal, &cut_off);
        Ok(self.wait_back(&cut_off, event).await)
    }

    /// Cuts each node's links to those named; what else was injected stays.
    async fn set_links(&self, cut: impl Fn(u16) -> Vec<u16>) -> Result<()> {
        for (id, address) in (0u16..).zip(&self.addresses) {
            if self.seen.borrow().down.contains(&id) {
                continue;
            }
            let links: LinkConditions = get_json(*address, "/links", CONTROL_LIMIT).await?;
            let cut = cut(id).into_iter().map(kernel::ReplicaId).collect();
            post_json(*address, "/links", &LinkConditions { cut, ..links }, CONTROL_LIMIT).await?;
        }
        Ok(())
    }

    /// Waits until these nodes have executed what the others have, and vote
    /// again; then they get requests again. Says whether they did in time.
    async fn wait_back(&self, ids: &[u16], event: usize) -> bool {
        let began = Instant::now();
        let mut others_had = None;
        while began.elapsed() < BACK_LIMIT {
            let statuses = observe::statuses(&self.addresses).await;
            let of = |id: &u16| statuses[usize::from(*id)].as_ref();
            // Compared with what the others had a moment ago: under load they
            // go on between two questions.
            let is_level =
                |status: &StatusReport| others_had.is_some_and(|had| status.replica.last_executed >= had);
            let caught_up = ids.iter().all(|id| of(id).is_some_and(is_level));
            let voting = caught_up && ids.iter().all(|id| of(id).is_some_and(|s| !s.replica.recovering));
            self.note_back(event, caught_up, voting);
            if voting {
                ids.iter().for_each(|id| self.progress.spare(*id, false));
                return true;
            }
            // Where all were away, they are compared with each other.
            let all_away = self.honest.iter().all(|id| ids.contains(id));
            let others = self.honest.iter().filter(|id| all_away || !ids.contains(id)).filter_map(of);
            others_had = others.map(|status| status.replica.last_executed).max().or(others_had);
            sleep(LOOK_EVERY).await;
        }
        let message = format!("nodes {ids:?} were not back {BACK_LIMIT:?} after their return");
        self.seen.borrow_mut().not_back.push(message);
        false
    }

    fn note(&self, kind: EventKind, ids: &[u16]) -> usize {
        let at_us = self.now_us();
        let events = &mut self.seen.borrow_mut().events;
        events.push(Event { kind, nodes: ids.to_vec(), at_us, caught_up_us: None, voting_us: None });
        events.len() - 1
    }

    fn note_back(&self, event: usize, caught_up: bool, voting: bool) {
        let now = self.now_us();
        let event = &mut self.seen.borrow_mut().events[event];
        let since = now - event.at_us;
        if caught_up {
            event.caught_up_us.get_or_insert(since);
        }
        if voting {
            event.voting_us.get_or_insert(since);
        }
    }

    fn now_us(&self) -> u64 {
        self.progress.started().elapsed().as_micros() as u64
    }

    async fn wait_until(&self, second: f64) {
        sleep_until(Instant::from_std(self.progress.started()) + Duration::from_secs_f64(second)).await;
    }
}

/// Whom a kill would hit now.
pub async fn find(victim: Victim, honest: &[u16], addresses: &[SocketAddr]) -> Result<u16> {
    if let Victim::Node(id) = victim {
        return Ok(id);
    }
    let statuses = observe::statuses(addresses).await;
    let honest = honest.iter().filter_map(|id| statuses[usize::from(*id)].as_ref());
    let views = honest.filter_map(|status| status.replica.views.as_ref());
    let latest = views.max_by_key(|views| views.view).context("no honest node answers")?;
    let found = match victim {
        Victim::CommunicationNode => latest.communication_node,
        _ => Some(latest.commander),
    };
    Ok(found.context("there is no communication node yet to kill")?.0)
}
