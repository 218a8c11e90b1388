//! The network at work: when a message arrives, if it does.

use crate::network::{BadNetwork, Delay, LinkRule, Network};
use crate::regions;
use kernel::{Choose as _, SeededChoice};
use std::collections::BTreeMap;

/// A delay in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Travel {
    Constant(u64),
    Uniform(u64, u64),
    LogNormal { median_ns: f64, sigma: f64 },
}

/// What all links with the same properties have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Link {
    travel: Travel,
    loss: f64,
    duplication: f64,
    reordering: f64,
    /// Nanoseconds that a byte takes on a line of this link's own.
    byte_ns: Option<f64>,
}

/// A partition; nodes of the same number can reach each other.
#[derive(Clone, Debug)]
struct Cut {
    from_ns: u64,
    until_ns: u64,
    group: Vec<u16>,
}

/// When the copies of a message arrive: none, one or two.
pub(crate) type Arrivals = [Option<u64>; 2];

/// The network at work.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    n: usize,
    links: Vec<Link>,
    /// For each sender and receiver the place in `links`; empty if all are alike.
    link_of: Vec<u16>,
    reordering_ns: u64,
    cuts: Vec<Cut>,
    /// Nanoseconds that a byte takes on a node's line to the outside.
    byte_ns: Option<f64>,
    /// When each node's line is free.
    free_ns: Vec<u64>,
    /// When a link's own line is free.
    link_free_ns: BTreeMap<(u16, u16), u64>,
    choose: SeededChoice,
}

fn ns(us: f64) -> u64 {
    (us * 1e3).round() as u64
}

/// Nanoseconds that a byte takes.
fn byte_ns(mbit_s: f64) -> f64 {
    8e3 / mbit_s
}

impl Travel {
    fn of(delay: Delay) -> Travel {
        match delay {
            Delay::Constant(us) => Travel::Constant(ns(us)),
            Delay::Uniform(least, most) => Travel::Uniform(ns(least), ns(most)),
            Delay::LogNormal { median_us, sigma } => Travel::LogNormal { median_ns: median_us * 1e3, sigma },
        }
    }

    fn draw(self, choose: &mut SeededChoice) -> u64 {
        match self {
            Travel::Constant(ns) => ns,
            Travel::Uniform(least, most) => least + choose.below(most - least + 1),
            Travel::LogNormal { median_ns, sigma } => {
                (median_ns * libm::exp(sigma * normal(choose))).round() as u64
            }
        }
    }
}

/// A draw from the standard normal distribution (Box and Muller), with `libm`'s
/// functions, which give the same bits on every machine.
fn normal(choose: &mut SeededChoice) -> f64 {
    const STEPS: f64 = (1u64 << 53) as f64;
    let mut unit = || (choose.below(1 << 53) as f64 + 0.5) / STEPS;
    let (u, v) = (unit(), unit());
    libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v)
}

impl Links {
    pub(crate) fn new(network: &Network, n: u16, choose: SeededChoice) -> Result<Links, BadNetwork> {
        network.check(n)?;
        let n = usize::from(n);
        let mut links = Links {
            n,
            links: Vec::new(),
            link_of: Vec::new(),
            reordering_ns: ns(network.reordering_us),
            cuts: network
                .partitions
                .iter()
                .map(|partition| Cut {
                    from_ns: partition.from_us.saturating_mul(1000),
                    until_ns: partition.until_us.saturating_mul(1000),
                    group: groups(&partition.groups, n),
                })
                .collect(),
            byte_ns: network.bandwidth_mbit_s.map(byte_ns),
            free_ns: vec![0; n],
            link_free_ns: BTreeMap::new(),
            choose,
        };
        if network.regions.is_empty() && network.links.is_empty() {
            links.links.push(link_between(network, 0, 0, &[]));
        } else {
            links.lay(network);
        }
        Ok(links)
    }

    /// Gives each link its properties.
    fn lay(&mut self, network: &Network) {
        let applies = |ids: &[u16], id: usize| ids.is_empty() || ids.iter().any(|i| usize::from(*i) == id);
        for from in 0..self.n {
            let outgoing: Vec<&LinkRule> =
                network.links.iter().filter(|rule| applies(&rule.from, from)).collect();
            for to in 0..self.n {
                let rules: Vec<&LinkRule> =
                    outgoing.iter().copied().filter(|rule| applies(&rule.to, to)).collect();
                let link = link_between(network, from, to, &rules);
                let place = self.links.iter().position(|known| *known == link).unwrap_or_else(|| {
                    self.links.push(link);
                    self.links.len() - 1
                });
                self.link_of.push(place as u16);
            }
        }
    }

    /// The network changes; what is in transit stays so, and lines stay busy.
    pub(crate) fn change(&mut self, network: &Network) -> Result<(), BadNetwork> {
        let changed = Links::new(network, self.n as u16, self.choose.clone())?;
        let before = std::mem::replace(self, changed);
        self.free_ns = before.free_ns;
        self.link_free_ns = before.link_free_ns;
        Ok(())
    }

    fn link(&self, from: u16, to: u16) -> Link {
        match self.link_of.is_empty() {
            true => self.links[0],
            false => self.links[usize::from(self.link_of[usize::from(from) * self.n + usize::from(to)])],
        }
    }

    /// The time that every message takes, if nothing distinguishes one from
    /// another at this moment.
    pub(crate) fn same_for_all(&self, now_ns: u64) -> Option<u64> {
        let [link] = self.links.as_slice() else {
            return None;
        };
        let Travel::Constant(ns) = link.travel else {
            return None;
        };
        let plain = link.loss == 0.0
            && link.duplication == 0.0
            && link.reordering == 0.0
            && link.byte_ns.is_none()
            && self.byte_ns.is_none()
            && !self.cuts.iter().any(|cut| cut.is_on(now_ns));
        plain.then_some(ns)
    }

    /// When a message that leaves at `depart_ns` arrives.
    pub(crate) fn carry(&mut self, from: u16, to: u16, depart_ns: u64, bytes: usize) -> Arrivals {
        let link = self.link(from, to);
        let sent_ns = self.transmit(from, to, depart_ns, bytes, &link);
        let separated =
            |cut: &Cut| cut.is_on(depart_ns) && cut.group[usize::from(from)] != cut.group[usize::from(to)];
        if self.cuts.iter().any(separated) || self.happens(link.loss) {
            return [None, None];
        }
        let first = sent_ns + self.travel(&link);
        let second = self.happens(link.duplication).then(|| sent_ns + self.travel(&link));
        [Some(first), second]
    }

    /// Sends the bytes down the lines that have a limit; they wait until those
    /// are free.
    fn transmit(&mut self, from: u16, to: u16, depart_ns: u64, bytes: usize, link: &Link) -> u64 {
        let mut sent_ns = depart_ns;
        if let Some(byte_ns) = self.byte_ns {
            let free = &mut self.free_ns[usize::from(from)];
            sent_ns = sent_ns.max(*free) + (bytes as f64 * byte_ns).round() as u64;
            *free = sent_ns;
        }
        if let Some(byte_ns) = link.byte_ns {
            let free = self.link_free_ns.entry((from, to)).or_default();
            sent_ns = sent_ns.max(*free) + (bytes as f64 * byte_ns).round() as u64;
            *free = sent_ns;
        }
        sent_ns
    }

    fn travel(&mut self, link: &Link) -> u64 {
        let held_back = self.happens(link.reordering);
        let more = if held_back { self.choose.below(self.reordering_ns + 1) } else { 0 };
        link.travel.draw(&mut self.choose) + more
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.choose.chance(probability)
    }
}

impl Cut {
    fn is_on(&self, now_ns: u64) -> bool {
        (self.from_ns..self.until_ns).contains(&now_ns)
    }
}

/// The number of each node's group; those in none are in group 0.
fn groups(named: &[Vec<u16>], n: usize) -> Vec<u16> {
    let mut group = vec![0; n];
    for (number, ids) in (1..).zip(named) {
        for id in ids {
            group[usize::from(*id)] = number;
        }
    }
    group
}

fn link_between(network: &Network, from: usize, to: usize, rules: &[&LinkRule]) -> Link {
    let mut link = Link {
        travel: Travel::of(delay_between(network, from, to)),
        loss: network.loss,
        duplication: network.duplication,
        reordering: network.reordering,
        byte_ns: None,
    };
    for rule in rules {
        link.travel = rule.delay.map_or(link.travel, Travel::of);
        link.loss = rule.loss.unwrap_or(link.loss);
        link.duplication = rule.duplication.unwrap_or(link.duplication);
        link.reordering = rule.reordering.unwrap_or(link.reordering);
        link.byte_ns = rule.bandwidth_mbit_s.map(byte_ns).or(link.byte_ns);
    }
    link
}

fn delay_between(network: &Network, from: usize, to: usize) -> Delay {
    let regions = &network.regions;
    if regions.is_empty() {
        return network.delay;
    }
    let region = |node: usize| regions::index(&regions[node % regions.len()]).expect("checked");
    let median_us = regions::one_way_us(region(from), region(to));
    match network.jitter {
        0.0 => Delay::Constant(median_us),
        sigma => Delay::LogNormal { median_us, sigma },
    }
}
