//! Checks that can fail: every rule, switched off, is missed by somebody.
//!
//! `cargo test --release -p harness --test weakenings -- --ignored --nocapture`
//! searches from several places for the first seed that shows it, and prints
//! the table of docs/weakenings.md. The other test replays known seeds.

use adversary::Behaviour;
use harness::simulate::flows;
use kernel::weakening::weaken;
use kernel::{Protocol, Weakening};
use sim::oracles::{Property, Violation};
use sim::swarm::schedule::{Crash, Fault};
use sim::swarm::{Flow, Schedule, draw, play};

/// Independent searches for each rule.
const SEARCHES: u64 = 5;
/// How far apart they begin.
const APART: u64 = 10_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Pbft,
    Ccro,
}

/// How schedules for a rule are drawn, and how long it is searched for.
struct Case {
    rule: Weakening,
    flow: Which,
    bias: Bias,
    most_seeds: u64,
    /// A seed that shows it.
    known: u64,
}

/// What is changed in a schedule of the swarm so that the rule matters.
#[derive(Clone, Copy, Debug)]
enum Bias {
    /// Nothing.
    Swarm,
    /// Only schedules with hostile networks.
    Hostile,
    /// The first commander behaves like this, in a hostile network.
    Commander(&'static str),
    /// The first communication node (replica 1, commander of view 1) does.
    Collector(&'static str),
    /// Every replica in turn crashes and forgets, beside a liar like this.
    Restarts(&'static str),
    /// The request timer is far too short.
    Hasty,
    /// One communication node for ever, and it is silent.
    FixedSilence,
}

impl Case {
    fn schedule(&self, seed: u64) -> Schedule {
        match self.flow {
            Which::Pbft => self.bias.apply(&flows::PBFT, seed),
            Which::Ccro => self.bias.apply(&flows::CCRO, seed),
        }
    }

    fn play(&self, schedule: &Schedule) -> Option<Violation> {
        match self.flow {
            Which::Pbft => play(&flows::PBFT, schedule).violation,
            Which::Ccro => play(&flows::CCRO, schedule).violation,
        }
    }

    /// Seeds from `first` on until one shows the rule's absence: how many it took.
    fn search(&self, first: u64) -> Option<(u64, u64, Property)> {
        (0..self.most_seeds).find_map(|tried| {
            let seed = first + tried;
            let schedule = self.schedule(seed);
            let violation = weaken(self.rule, || self.play(&schedule))?;
            assert_eq!(self.play(&schedule), None, "{:?} seed {seed} fails with the rule, too", self.rule);
            Some((tried + 1, seed, violation.property))
        })
    }
}

impl Bias {
    fn apply<P: Protocol>(self, flow: &Flow<P>, seed: u64) -> Schedule {
        let hostile = || draw::hostile(flow.name, seed, flow.tolerates);
        match self {
            Bias::Swarm => draw::draw(flow.name, seed, flow.tolerates),
            Bias::Hostile => hostile(),
            Bias::Commander(acts) => with_liar(hostile(), 0, acts),
            Bias::Collector(acts) => with_liar(hostile(), 1, acts),
            Bias::Restarts(acts) => {
                let mut schedule = with_liar(hostile(), 1, acts);
                schedule.heal_us *= 4;
                let step = schedule.heal_us / 5;
                let crash = |(turn, node): (u64, u16)| {
                    let at_us = (turn + 1) * step;
                    Crash { node, at_us, restart_us: at_us + step / 2 }
                };
                schedule.crashes = (0u64..).zip([3, 2, 0]).map(crash).collect();
                schedule.network = sim::Network::default();
                schedule.clients.iter_mut().for_each(|client| client.requests += 20);
                schedule
            }
            Bias::Hasty => {
                let mut schedule = with_liar(hostile(), 0, "offline");
                schedule.settings.request_timer_us = 150 + seed % 100;
                schedule
            }
            Bias::FixedSilence => {
                let mut schedule = with_liar(hostile(), 1, "withhold");
                schedule.settings.communication = "fixed:1".into();
                schedule.reform = false;
                schedule
            }
        }
    }
}

/// The schedule with `node` as the one faulty node.
fn with_liar(mut schedule: Schedule, node: u16, acts: &str) -> Schedule {
    let behaviours: Vec<Behaviour> =
        acts.split_whitespace().map(|act| act.parse().expect("written by hand")).collect();
    schedule.faults = if acts.is_empty() { vec![] } else { vec![Fault { node, behaviours, from_us: 0 }] };
    schedule
}

fn case(rule: Weakening, flow: Which, bias: Bias, known: u64) -> Case {
    Case { rule, flow, bias, most_seeds: 3000, known }
}

fn cases() -> Vec<Case> {
    use Weakening::*;
    use Which::{Ccro, Pbft};
    vec![
        case(QuorumOneLess, Pbft, Bias::Swarm, 0),
        case(CommitWithoutPrepared, Pbft, Bias::Swarm, 0),
        case(SecondProposalAccepted, Pbft, Bias::Commander("equivocate replay=0.5"), 0),
        case(DigestNotCompared, Pbft, Bias::Commander("malicious"), 0),
        case(NewViewNotRecomputed, Pbft, Bias::Collector("forge=mixed[kind=new-view]"), 0),
        case(ReportedVotesIgnored, Ccro, Bias::Hostile, 0),
        case(ReportsCountedPerView, Ccro, Bias::Hostile, 0),
        case(ReportsOneLess, Ccro, Bias::Hostile, 0),
        case(TieWonByReports, Ccro, Bias::Hostile, 0),
        case(CommanderNotReported, Ccro, Bias::Hostile, 0),
        case(PreparedForgotten, Pbft, Bias::Hostile, 0),
        case(FastPathOneLess, Ccro, Bias::Swarm, 0),
        case(RepeatedVoterAccepted, Ccro, Bias::Collector("forge=repeated"), 0),
        case(PhaseNotSigned, Ccro, Bias::Collector("forge=mixed"), 0),
        case(SessionsLost, Pbft, Bias::Hostile, 0),
        case(CheckpointProofNotChecked, Pbft, Bias::Restarts("forge malicious[kind=stable-checkpoint]"), 0),
        case(WatermarkIgnored, Pbft, Bias::Collector("flood=1000"), 0),
        case(TimerNeverDoubled, Pbft, Bias::Hasty, 0),
        case(FallbackNeverTriggered, Ccro, Bias::FixedSilence, 0),
        case(AmnesiacVotes, Pbft, Bias::Hostile, 0),
        case(StateNotCompared, Pbft, Bias::Restarts("malicious[kind=state]"), 0),
        case(NothingSentAgain, Pbft, Bias::Hostile, 0),
    ]
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

#[test]
#[ignore = "minutes; prints the table of docs/weakenings.md"]
fn how_long_each_rule_is_missed() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        if text.contains("fails with the rule") {
            eprintln!("{text}");
        }
    }));
    println!("| rule switched off | flow | schedules | caught by | seeds until caught, median (all) |");
    println!("| --- | --- | --- | --- | --- |");
    let only = std::env::var("RULE").unwrap_or_default();
    for case in cases().iter().filter(|case| format!("{:?}", case.rule).contains(&only)) {
        let searches: Vec<_> = std::thread::scope(|scope| {
            let search = |k: u64| scope.spawn(move || case.search(k * APART));
            let searches: Vec<_> = (0..SEARCHES).map(search).collect();
            searches.into_iter().map(|search| search.join().ok().flatten()).collect()
        });
        let found: Vec<_> = searches.iter().flatten().collect();
        let mut properties: Vec<String> = found.iter().map(|(_, _, property)| property.to_string()).collect();
        properties.sort();
        properties.dedup();
        let counts: Vec<String> = searches
            .iter()
            .map(|search| search.map_or(format!(">{}", case.most_seeds), |(count, ..)| count.to_string()))
            .collect();
        let seeds: Vec<u64> =
            searches.iter().map(|search| search.map_or(u64::MAX, |(count, ..)| count)).collect();
        let middle = median(seeds);
        let middle = if middle == u64::MAX { format!(">{}", case.most_seeds) } else { middle.to_string() };
        println!(
            "| {:?} | {:?} | {:?} | {} | **{middle}** ({}) | {:?}",
            case.rule,
            case.flow,
            case.bias,
            properties.join(", "),
            counts.join(", "),
            found.first().map(|(_, seed, _)| seed)
        );
    }
}

#[test]
fn every_rule_is_missed_where_it_is_known_to_be() {
    for case in cases() {
        let schedule = case.schedule(case.known);
        assert_eq!(case.play(&schedule), None, "{:?} holds", case.rule);
        assert_ne!(weaken(case.rule, || case.play(&schedule)), None, "{:?} is missed", case.rule);
    }
}
