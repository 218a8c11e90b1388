//! Rules that the swarm misses when they are switched off. Those that need an exact
//! sequence of inputs are missed by tests of `pbft` and `ccro`: docs/weakenings.md
//! has them all.
//!
//! `cargo test --release -p harness --test weakenings -- --ignored --nocapture`
//! searches from several places for the first seed that shows it, and prints
//! rows of that table. The other test replays known seeds.

use adversary::Behaviour;
use kernel::weakening::weaken;
use kernel::{Protocol, Weakening};
use sim::oracles::{Property, Violation};
use sim::swarm::draw::Disks;
use sim::swarm::schedule::{Client, Fault};
use sim::swarm::{Flow, Schedule, draw, play};
use sim::{LinkRule, Network, Partition};

/// Independent searches for each rule.
const SEARCHES: u64 = 5;
/// How far apart they begin.
const APART: u64 = 10_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Pbft,
    PbftMac,
    PbftMacRequests,
    Ccro,
    CcroAggregate,
    Broadcast,
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
    /// Only schedules with commanders that serve some, late, or not at all.
    Unfair,
    /// Only schedules with a first commander that is slow, or serves one gateway last.
    Slow,
    /// Only schedules with hostile networks.
    Hostile,
    /// Every schedule has disks, on which all nodes keep journals.
    Disks,
    /// Every schedule has disks, and the first commander behaves like this.
    DisksAndCommander(&'static str),
    /// Only schedules in which a replica is cut off for long or has a damaged state.
    LeftBehind,
    /// The first commander behaves like this, in a hostile network.
    Commander(&'static str),
    /// So does the first communication node.
    CommunicationNode(&'static str),
    /// Replica 1 sends useless messages as fast as it can, and checkpoints are close.
    Flood,
    /// The request timer is far too short.
    Hasty,
    /// One communication node for ever, and it is silent.
    FixedSilence,
    /// Replica 3 receives all and reaches nobody, and replica 1 forgets what it
    /// voted for, so that 3 alone commits; then replica 1 behaves like this.
    CommitsAlone(&'static str),
    /// The first commander tells two stories; the communication node commits one of
    /// them and is cut off.
    TwoStories,
}

impl Case {
    fn schedule(&self, seed: u64) -> Schedule {
        match self.flow {
            Which::Pbft => self.bias.apply(&flows::PBFT, seed),
            Which::PbftMac => self.bias.apply(&flows::PBFT_MAC, seed),
            Which::PbftMacRequests => self.bias.apply(&flows::PBFT_MAC_REQUESTS, seed),
            Which::Ccro => self.bias.apply(&flows::CCRO, seed),
            Which::CcroAggregate => self.bias.apply(&flows::CCRO_AGGREGATE, seed),
            Which::Broadcast => self.bias.apply(&flows::BROADCAST, seed),
        }
    }

    fn play(&self, schedule: &Schedule) -> Option<Violation> {
        match self.flow {
            Which::Pbft => play(&flows::PBFT, schedule).violation,
            Which::PbftMac => play(&flows::PBFT_MAC, schedule).violation,
            Which::PbftMacRequests => play(&flows::PBFT_MAC_REQUESTS, schedule).violation,
            Which::Ccro => play(&flows::CCRO, schedule).violation,
            Which::CcroAggregate => play(&flows::CCRO_AGGREGATE, schedule).violation,
            Which::Broadcast => play(&flows::BROADCAST, schedule).violation,
        }
    }

    /// Seeds from `first` on until one shows the rule's absence: how many it took.
    fn search(&self, first: u64) -> Option<(u64, u64, Property)> {
        (0..self.most_seeds).find_map(|tried| {
            let seed = first + tried;
            let schedule = self.schedule(seed);
            let violation = weaken(self.rule, || self.play(&schedule))?;
            // What fails with the rule, too, shows nothing of the rule.
            self.play(&schedule).is_none().then_some((tried + 1, seed, violation.property))
        })
    }
}

impl Bias {
    fn apply<P: Protocol>(self, flow: &Flow<P>, seed: u64) -> Schedule {
        let hostile = || draw::hostile(flow.name, seed, flow.tolerates);
        match self {
            Bias::Swarm => draw::draw(flow.name, seed, flow.tolerates),
            Bias::Unfair => draw::unfair(flow.name, seed, flow.tolerates),
            Bias::Slow => draw::slow(flow.name, seed, flow.tolerates),
            Bias::Hostile => hostile(),
            Bias::Disks => Disks::Always.draw(flow.name, seed, flow.tolerates),
            Bias::DisksAndCommander(acts) => {
                with_liar(Disks::Always.draw(flow.name, seed, flow.tolerates), 0, acts)
            }
            Bias::LeftBehind => draw::left_behind(flow.name, seed, flow.tolerates),
            Bias::Commander(acts) => with_liar(hostile(), 0, acts),
            Bias::CommunicationNode(acts) => with_liar(hostile(), 1, acts),
            Bias::Flood => {
                let mut schedule = with_liar(hostile(), 1, "flood=20000");
                schedule.settings.checkpoint_interval = 4;
                schedule
            }
            Bias::Hasty => {
                let mut schedule = with_liar(hostile(), 0, "offline");
                schedule.settings.request_timer_us = 150 + seed % 100;
                schedule.limit_us = 5_000_000;
                schedule
            }
            Bias::CommitsAlone(later) => {
                let mut schedule = with_liar(duel(hostile()), 1, &format!("amnesia[view=0] {later}"));
                let silent = LinkRule { from: vec![3], loss: Some(1.0), ..LinkRule::default() };
                schedule.network.links = vec![silent];
                schedule.settings.resend_after_us = 60_000;
                schedule
            }
            Bias::TwoStories => {
                let mut schedule = with_liar(duel(hostile()), 0, "equivocate=0");
                cut_off(&mut schedule, 1, 300 + 50 * (seed % 50));
                schedule
            }
            Bias::FixedSilence => {
                let mut schedule = with_liar(hostile(), 1, "withhold");
                schedule.settings.communication = "fixed:1".into();
                schedule.reform = false;
                schedule.limit_us = 5_000_000;
                schedule
            }
        }
    }
}

/// Four replicas in a quick and steady network, with several clients that differ
/// in what they ask for, and time for some views before it heals.
fn duel(mut schedule: Schedule) -> Schedule {
    let seed = schedule.seed;
    schedule.nodes = 4;
    schedule.heal_us = 400_000;
    schedule.limit_us = 20_000_000;
    schedule.network = Network::default();
    schedule.crashes.clear();
    schedule.settings.batch_max = 1;
    schedule.settings.fast_path = true;
    schedule.settings.communication = "separate".into();
    schedule.settings.checkpoint_interval = 16;
    let client = |(place, gateway): (u64, u16)| {
        let begins_us = place * (seed % 7) * 20;
        Client { gateway, begins_us, pause_us: 0, sessions: 1, requests: 2 }
    };
    schedule.clients = (0u64..).zip([0, 3, 0, 2]).map(client).collect();
    schedule
}

/// Cuts a node off from a moment on.
fn cut_off(schedule: &mut Schedule, node: u16, from_us: u64) {
    let until_us = schedule.heal_us;
    schedule.network.partitions = vec![Partition { groups: vec![vec![node]], from_us, until_us }];
}

/// The schedule with `node` as the one faulty node.
fn with_liar(mut schedule: Schedule, node: u16, acts: &str) -> Schedule {
    let behaviours: Vec<Behaviour> =
        acts.split_whitespace().map(|act| act.parse().expect("written by hand")).collect();
    schedule.faults = if acts.is_empty() { vec![] } else { vec![Fault { node, behaviours, from_us: 0 }] };
    schedule
}

fn case(rule: Weakening, flow: Which, bias: Bias, known: u64) -> Case {
    Case { rule, flow, bias, most_seeds: 300, known }
}

fn cases() -> Vec<Case> {
    use Weakening::*;
    use Which::{Broadcast, Ccro, CcroAggregate, Pbft, PbftMac, PbftMacRequests};
    vec![
        case(QuorumOneLess, Pbft, Bias::Swarm, 1),
        case(CommitWithoutPrepared, Pbft, Bias::Swarm, 0),
        case(SecondProposalAccepted, Pbft, Bias::Commander("equivocate replay=0.5"), 0),
        case(DigestNotCompared, Pbft, Bias::Commander("forge=mixed[to=2]"), 0),
        case(NewViewNotRecomputed, Pbft, Bias::CommitsAlone("forge=mixed[kind=new-view]"), 0),
        case(TieWonByReports, Ccro, Bias::TwoStories, 8),
        case(CommanderNotReported, Ccro, Bias::Swarm, 7),
        case(PreparedForgotten, Pbft, Bias::Swarm, 7),
        case(CertificateNotKept, Ccro, Bias::Swarm, 15),
        case(FastPathOneLess, Ccro, Bias::Swarm, 3),
        case(SessionsLost, Pbft, Bias::Hostile, 4),
        case(WatermarkIgnored, Pbft, Bias::Flood, 0),
        case(TimerNeverDoubled, Pbft, Bias::Hasty, 1),
        case(LoneSuspectRests, Pbft, Bias::Unfair, 26),
        case(SlowCommanderKept, Pbft, Bias::Slow, 15),
        case(UnfairCommanderKept, Ccro, Bias::Slow, 1),
        case(FallbackNeverTriggered, Ccro, Bias::FixedSilence, 0),
        case(NothingSentAgain, Pbft, Bias::Hostile, 1),
        case(ChunkNotChecked, Pbft, Bias::LeftBehind, 2),
        case(ServerKeepsItsTurn, Pbft, Bias::LeftBehind, 7),
        case(DivergenceNotNoticed, Ccro, Bias::LeftBehind, 0),
        case(EffectsBeforeJournal, Pbft, Bias::Disks, 1),
        case(ResumedCommanderProposes, Pbft, Bias::Disks, 6),
        case(ResumedBackupPrepares, Pbft, Bias::DisksAndCommander("equivocate replay=0.5"), 10_000_271),
        case(UnsentVoteNotHeld, Ccro, Bias::Disks, 3),
        case(UnsyncedTailTrusted, Pbft, Bias::Disks, 3),
        case(FailedSyncIgnored, Pbft, Bias::Disks, 14),
        case(CutBeforeSaved, Pbft, Bias::Disks, 3),
        case(QuorumOneLess, PbftMac, Bias::Swarm, 1),
        case(PreparedForgotten, PbftMac, Bias::Swarm, 7),
        case(CommanderNotReported, PbftMac, Bias::Swarm, 5),
        case(StatementsOneLess, PbftMac, Bias::Hostile, 4),
        case(DecidedNotVotedAgain, PbftMac, Bias::Hostile, 206),
        case(DoubtedRequestsAccepted, PbftMacRequests, Bias::Commander("forge=name[kind=pre-prepare]"), 0),
        case(SharesNotChecked, CcroAggregate, Bias::CommunicationNode("malicious"), 0),
        case(CertificateNotKept, CcroAggregate, Bias::Swarm, 1),
        case(FastPathOneLess, CcroAggregate, Bias::Swarm, 3),
        case(QuorumOneLess, Broadcast, Bias::Swarm, 1),
        case(ProofNotChecked, Broadcast, Bias::Swarm, 15),
        case(NumberNotChecked, Broadcast, Bias::Swarm, 216),
        case(EffectsBeforeJournal, Broadcast, Bias::Disks, 2),
    ]
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

#[test]
#[ignore = "minutes; prints the table of docs/weakenings.md"]
fn how_many_seeds_each_rule_takes() {
    std::panic::set_hook(Box::new(|_| {}));
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
fn known_seeds_detect_each_rule() {
    for case in cases() {
        let schedule = case.schedule(case.known);
        assert_eq!(case.play(&schedule), None, "{:?} holds", case.rule);
        assert_ne!(weaken(case.rule, || case.play(&schedule)), None, "{:?} is missed", case.rule);
    }
}

#[test]
fn the_table_names_every_rule() {
    let table = include_str!("../../docs/weakenings.md");
    for rule in Weakening::ALL {
        assert!(table.contains(&format!("`{rule:?}`")), "docs/weakenings.md lacks {rule:?}");
    }
}
