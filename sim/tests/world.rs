//! The world itself, with a protocol so small that everything can be computed by
//! hand: whoever has a request sends a PING to all, and whoever hears one answers
//! with a PONG.

use kernel::wire::{Forgery, Subject};
use kernel::{
    Bundle, Choose, Claim, Class, Cluster, ClusterId, Context, Digest, Effect, Falsify, Input, Mark, Micros,
    Output, Protocol, Reason, ReplicaId, Reply, ReplyBundle, Seq, Signer, Status, View, ViewMark, Wire,
};
use serde::{Deserialize, Serialize};
use sim::{
    Costs, Delay, Disk, IterationCosts, LinkRule, Load, Memory, Network, Operations, Pace, Partition, Setup,
    World,
};
use std::sync::Arc;

/// 40 bytes each, and some more for the encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Message {
    pong: bool,
    filling: [u64; 4],
}

impl Wire for Message {
    fn kind(&self) -> &'static str {
        if self.pong { "pong" } else { "ping" }
    }
    fn class(&self) -> Class {
        Class::Vote
    }
    fn seq(&self) -> Option<Seq> {
        None
    }
    fn claims(&self, _: ReplicaId, _: &Cluster) -> Result<Vec<Claim>, Reason> {
        Ok(vec![])
    }
}

impl Falsify for Message {
    const KINDS: &'static [&'static str] = &["ping", "pong"];
    fn falsified(&self, _: &Cluster, _: &Signer) -> Message {
        self.clone()
    }
    fn alternative(&self, _: &Cluster, _: &Signer) -> Option<Message> {
        None
    }
    fn subject(&self) -> Option<Subject> {
        None
    }
    fn with_value(&self, _: Digest, _: &[Message], _: &Cluster, _: &Signer) -> Option<Message> {
        None
    }
    fn forged(&self, _: Forgery, _: &Cluster, _: &Signer) -> Option<Message> {
        None
    }
    fn needless_view_changes(_: View, _: &Cluster, _: &Signer) -> Vec<Message> {
        vec![]
    }
    fn noise(_: Seq, _: &mut dyn Choose, _: &Cluster, _: &Signer) -> Message {
        Message { pong: true, filling: [0; 4] }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pinger {
    received: u64,
    reborn: bool,
    started: u64,
    resumed: u64,
}

impl Protocol for Pinger {
    type Message = Message;
    type Timer = u8;

    fn step(&mut self, cx: &mut Context<'_, Self>, input: Input<Self>) {
        match input {
            Input::Start => {
                self.started += 1;
                cx.set_timer(1, Micros(1_000_000));
            }
            Input::Resume => self.resumed += 1,
            Input::Submit(bundle) => {
                cx.send_all(Message { pong: false, filling: [0; 4] });
                answer(cx, &bundle);
            }
            Input::Deliver { from, message } => {
                self.received += 1;
                // A mark at the moment at which it is received.
                cx.mark(Mark::View(ViewMark::Stable { seq: Seq(u64::from(from.0)) }));
                if !message.get().pong {
                    cx.send(from, Message { pong: true, filling: [0; 4] });
                }
            }
            Input::Expire(_) => {}
        }
    }

    fn status(&self, _: &Cluster) -> Status {
        Status::default()
    }
}

fn answer(cx: &mut Context<'_, Pinger>, bundle: &Arc<Bundle>) {
    let result = Output::new(b"1");
    let of = |r: &kernel::Request| Reply { session: r.session, counter: r.counter, result: result.clone() };
    let replies = bundle.requests().iter().map(of).collect();
    let bundle = ReplyBundle::sign(cx.cluster, cx.signer, View(0), Seq(1), cx.id(), vec![], replies);
    cx.push(Effect::Reply { to: cx.id(), bundle });
}

fn setup(n: u16, network: Network) -> Setup {
    let cluster = Cluster::new(ClusterId::derive("world", 1), "ping", n);
    Setup { network, replies_needed: 1, record: true, ..Setup::new(cluster, 1) }
}

fn world_of(setup: Setup) -> World<Pinger> {
    World::new(setup, |_, memory| Pinger {
        received: 0,
        reborn: memory == Memory::Lost,
        started: 0,
        resumed: 0,
    })
}

fn world(n: u16, network: Network) -> World<Pinger> {
    world_of(setup(n, network))
}

/// Who received whom and when, microseconds.
fn received(world: &World<Pinger>) -> Vec<(u64, u16, u64)> {
    let of = |stamped: &sim::Stamped| match stamped.mark {
        Mark::View(ViewMark::Stable { seq }) => Some((stamped.at_us, stamped.replica.0, seq.0)),
        _ => None,
    };
    world.trace().marks.iter().filter_map(of).collect()
}

#[test]
fn a_constant_delay_is_what_it_says() {
    let mut world = world(3, Network::constant(250));
    world.submit(ReplicaId(0), b"a");
    world.run(10_000);
    assert_eq!(received(&world), [(250, 1, 0), (250, 2, 0), (500, 0, 1), (500, 0, 2)]);
    assert_eq!(world.messages(), [("ping", 2), ("pong", 2)].into());
    assert_eq!((world.delivered(), world.traffic(0).agreement_in.messages), (4, 2));
}

#[test]
fn a_link_may_be_slower_one_way() {
    let slow =
        LinkRule { from: vec![1], to: vec![0], delay: Some(Delay::Constant(900.0)), ..LinkRule::default() };
    let mut world = world(3, Network { links: vec![slow], ..Network::constant(100) });
    world.submit(ReplicaId(0), b"a");
    world.run(10_000);
    assert_eq!(received(&world), [(100, 1, 0), (100, 2, 0), (200, 0, 2), (1000, 0, 1)]);
}

#[test]
fn bandwidth_makes_messages_queue_for_the_line() {
    let mut plain = world(3, Network::constant(100));
    plain.submit(ReplicaId(0), b"a");
    plain.run(10_000);
    let bytes = plain.by_kind()["ping"].bytes / 2;
    // One byte in a microsecond: 8 Mbit/s. The second copy waits for the first.
    let mut narrow = world(3, Network { bandwidth_mbit_s: Some(8.0), ..Network::constant(100) });
    narrow.submit(ReplicaId(0), b"a");
    narrow.run(10_000);
    let first = 100 + bytes;
    assert_eq!(
        received(&narrow),
        [(first, 1, 0), (first + bytes, 2, 0), (2 * first, 0, 1), (2 * first + bytes, 0, 2),]
    );
    // A limit of one link leaves the other alone.
    let link = LinkRule { to: vec![1], bandwidth_mbit_s: Some(8.0), ..LinkRule::default() };
    let mut one = world(3, Network { links: vec![link], ..Network::constant(100) });
    one.submit(ReplicaId(0), b"a");
    one.run(10_000);
    assert_eq!(received(&one)[..2], [(100, 2, 0), (first, 1, 0)]);
}

#[test]
fn work_occupies_a_node_and_what_comes_meanwhile_waits() {
    // Signing takes 50 us: node 0 signs its bundle and its reply. A message takes
    // 10 us at either end.
    let costs = Costs { sign_us: 50.0, per_message_us: 10.0, ..Costs::default() };
    let mut world = world_of(Setup { costs, ..setup(3, Network::constant(100)) });
    world.submit(ReplicaId(0), b"a");
    world.run(10_000);
    // Two signatures (100), then a PING each 10 us; a PING is received when the node
    // begins to read it, and its PONG leaves 10 us for reading and 10 for writing
    // later. Node 0 has just read the first PONG when the second one comes.
    assert_eq!(received(&world), [(210, 1, 0), (220, 2, 0), (330, 0, 1), (340, 0, 2)]);
    // On one core for all, the nodes wait for each other.
    let costs = Costs { cores: Some(1), ..costs };
    let mut shared = world_of(Setup { costs, ..setup(3, Network::constant(100)) });
    shared.submit(ReplicaId(0), b"a");
    shared.run(10_000);
    assert_eq!(received(&shared), [(210, 1, 0), (230, 2, 0), (330, 0, 1), (350, 0, 2)]);
}

#[test]
fn a_tag_is_paid_for_at_both_ends_where_messages_have_tags() {
    let costs = Costs { per_message_us: 10.0, tag_us: 1.0, ..Costs::default() };
    for (protocol, each) in [("ping", 10), ("pbft-mac", 11)] {
        let cluster = Cluster::new(ClusterId::derive("world", 1), protocol, 3);
        let mut world = world_of(Setup { costs, cluster, ..setup(3, Network::constant(100)) });
        world.submit(ReplicaId(0), b"a");
        world.run(10_000);
        // As above, without signatures.
        let first = 100 + each;
        let expected = [
            (first, 1, 0),
            (first + each, 2, 0),
            (first + 100 + 2 * each, 0, 1),
            (first + 100 + 3 * each, 0, 2),
        ];
        assert_eq!(received(&world), expected, "{protocol}");
    }
}

#[test]
fn what_a_node_handles_in_one_iteration_is_read_and_sent_together() {
    let iteration = IterationCosts { per_iteration_us: 2.0, per_chunk_us: 5.0, ..IterationCosts::default() };
    let costs = Costs { sign_us: 50.0, per_message_us: 10.0, iteration: Some(iteration), ..Costs::default() };
    let mut world = world_of(Setup { costs, ..setup(3, Network::constant(100)) });
    world.submit(ReplicaId(0), b"a");
    world.run(10_000);
    // Every iteration 2 us; the second one brings no more requests and bundles those of
    // the first. Two signatures (100), both PINGs (20), and only then the links
    // are written to, 5 us each. A PONG leaves after 15 us of reading and 15 of
    // writing. While node 0 reads the first one the second one comes.
    assert_eq!(received(&world), [(229, 1, 0), (234, 2, 0), (361, 0, 1), (378, 0, 2)]);
    assert_eq!(world.worked_us(), 134 + 2 * 32 + 2 * 17);
}

#[test]
fn more_requests_may_be_in_flight_than_a_node_takes() {
    let mut world = world(3, Network::constant(100));
    world.crash(ReplicaId(0));
    let many = vec![b"a".as_slice(); 65_537];
    world.submit_all(ReplicaId(0), &many);
    assert_eq!((world.submitted(), world.accepted().len()), (65_537, 0));
}

#[test]
fn a_partition_separates_groups_and_heals() {
    let cut = Partition { groups: vec![vec![0, 1]], from_us: 1_000, until_us: 2_000 };
    let mut world = world(4, Network { partitions: vec![cut], ..Network::constant(100) });
    for _ in 0..3 {
        world.submit(ReplicaId(0), b"a");
        world.run(1_000);
    }
    let pings: Vec<(u64, u16)> =
        received(&world).iter().filter(|(_, at, _)| *at != 0).map(|(when, at, _)| (*when, *at)).collect();
    assert_eq!(pings, [(100, 1), (100, 2), (100, 3), (1_100, 1), (2_100, 1), (2_100, 2), (2_100, 3)]);
}

#[test]
fn loss_and_duplication_have_their_probabilities() {
    let network = Network { loss: 0.25, duplication: 0.5, ..Network::constant(100) };
    let mut world = world(2, network);
    for _ in 0..2_000 {
        world.submit(ReplicaId(0), b"a");
        world.run(1_000);
    }
    let pings = received(&world).iter().filter(|(_, at, _)| *at == 1).count();
    // 2,000 · 0.75 · 1.5 = 2,250.
    assert!((2_150..2_350).contains(&pings), "{pings}");
    let pongs = received(&world).len() - pings;
    assert!((0.9..1.3).contains(&(pongs as f64 / (pings as f64 * 1.125))), "{pongs} of {pings}");
}

#[test]
fn delays_follow_their_distribution() {
    let delays = |delay| {
        let mut world = world(2, Network { delay, ..Network::default() });
        for _ in 0..1_001 {
            world.submit(ReplicaId(0), b"a");
            world.run(100_000);
        }
        let pings = received(&world).into_iter().filter(|(_, at, _)| *at == 1);
        let mut delays: Vec<u64> = pings.map(|(when, ..)| when % 100_000).collect();
        delays.sort_unstable();
        delays
    };
    let uniform = delays(Delay::Uniform(100.0, 300.0));
    assert!(uniform[0] >= 100 && uniform[1_000] <= 300, "{} {}", uniform[0], uniform[1_000]);
    assert!((185..215).contains(&uniform[500]), "{}", uniform[500]);
    let spread = delays(Delay::LogNormal { median_us: 1_000.0, sigma: 0.5 });
    // Quantiles of the normal distribution: 50 % at 0, 84.1 % at 1.
    assert!((950..1_050).contains(&spread[500]), "{}", spread[500]);
    assert!((1_550..1_750).contains(&spread[841]), "{}", spread[841]);
}

#[test]
fn what_is_on_its_way_to_a_crashed_node_is_lost() {
    let mut world = world(3, Network::constant(100));
    world.submit(ReplicaId(0), b"a");
    world.run(50);
    world.crash(ReplicaId(1));
    world.run(20);
    world.restart(ReplicaId(1));
    world.run(1_000);
    assert_eq!(received(&world), [(100, 2, 0), (200, 0, 2)]);
    assert!(world.replica(1).reborn && !world.replica(0).reborn);
    world.submit(ReplicaId(0), b"b");
    world.run(1_000);
    assert_eq!(world.replica(1).received, 1);
    let changes: Vec<(u64, u16)> = world.trace().lifecycle.iter().map(|l| (l.at_us, l.replica.0)).collect();
    assert_eq!(changes, [(50, 1), (70, 1)]);
}

#[test]
fn a_node_that_wrote_nothing_is_started_when_it_is_resumed() {
    let mut world = world_of(Setup { disk: Some(Disk::quick()), ..setup(3, Network::constant(100)) });
    let stop_and_start = |world: &mut World<Pinger>| {
        world.crash(ReplicaId(1));
        world.restart(ReplicaId(1));
        (world.replica(1).started, world.replica(1).resumed)
    };
    assert_eq!(stop_and_start(&mut world), (1, 1));
    assert_eq!(stop_and_start(&mut world), (1, 1), "nothing waited for what it was given");
    world.submit(ReplicaId(1), b"a");
    world.run(10_000);
    assert_eq!(stop_and_start(&mut world), (1, 2), "its journal has what it was given first");
}

#[test]
fn clients_ask_again_when_they_have_an_answer_or_at_their_rate() {
    let load = |pace| Load {
        gateways: vec![0, 1],
        pace,
        requests: 10,
        operations: Operations::numbered(16),
        timeout_us: 1_000,
    };
    let mut open = world(2, Network::constant(100));
    open.offer(load(Pace::Open { rate_per_s: 1_000.0 }));
    assert!(open.run_until(World::load_is_over, 1_000_000));
    let due: Vec<(u64, u16)> = open.trace().submitted.iter().map(|s| (s.at_us, s.gateway.0)).collect();
    assert_eq!(due, (0..10).map(|i| (1_000 * i, (i % 2) as u16)).collect::<Vec<_>>());

    // An answer costs 20 us: making it.
    let costs = Costs { sign_us: 10.0, ..Costs::default() };
    let mut closed = world_of(Setup { costs, ..setup(2, Network::constant(100)) });
    closed.offer(load(Pace::Closed { clients: 3 }));
    assert!(closed.run_until(World::load_is_over, 1_000_000));
    assert_eq!(closed.accepted().len(), 10);
    // Gateway 0 has two clients and gateway 1 one; each asks when it has its answer.
    let of = |gateway: u16| {
        let submitted = closed.trace().submitted.iter().filter(move |s| s.gateway.0 == gateway);
        submitted.map(|s| s.at_us).collect::<Vec<_>>()
    };
    assert_eq!((of(0), of(1)), (vec![0, 0, 20, 20, 40, 40, 60], vec![0, 20, 40]));
    let counters: Vec<u64> = closed.trace().submitted.iter().map(|s| s.counter).collect();
    assert_eq!(counters, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4], "sessions are used again");
}

#[test]
fn clients_give_up_when_their_patience_is_over() {
    let mut world = world(2, Network::constant(100));
    world.crash(ReplicaId(0));
    world.offer(Load {
        gateways: vec![0],
        pace: Pace::Closed { clients: 1 },
        requests: 3,
        operations: Operations::numbered(8),
        timeout_us: 1_000,
    });
    assert!(world.run_until(World::load_is_over, 1_000_000));
    assert_eq!((world.now_us(), world.accepted().len()), (3_000, 0));
    assert_eq!(world.trace().timed_out, [0, 1, 2]);
}

#[test]
fn the_same_seed_gives_the_same_digest_and_another_seed_another() {
    let run = |seed| {
        let network = Network { loss: 0.1, reordering: 0.1, ..Network::named("five-continents").unwrap() };
        let mut world = world_of(Setup { seed, ..setup(7, network) });
        for i in 0..20u8 {
            world.submit(ReplicaId(u16::from(i) % 7), &[i]);
            world.run(10_000);
        }
        world.run(1_000_000);
        world.digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert_ne!(run(1), Digest::ZERO);
}

fn refused(text: &str) -> String {
    match Network::parse(text) {
        Ok(network) => network.check(4).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_network_that_cannot_be_meant_is_refused_with_its_key_and_a_way_out() {
    for (text, says) in [
        ("", vec!["empty", "delay"]),
        ("delay = { constant_us = -5 }", vec!["delay.constant_us", "-5 is negative", "from 0"]),
        ("delay = { uniform_us = [300, 100] }", vec!["delay.uniform_us", "swap"]),
        ("delay = { sometimes = 1 }", vec!["unknown variant", "constant_us"]),
        ("loss = 1.5", vec!["loss", "from 0 to 1"]),
        ("duplication = nan", vec!["duplication", "from 0 to 1"]),
        ("los = 0.1", vec!["unknown field `los`", "loss"]),
        ("regions = [\"moon\"]", vec!["unknown region \"moon\"", "frankfurt"]),
        ("bandwidth_mbit_s = 0", vec!["bandwidth_mbit_s", "from 0.001"]),
        ("[[link]]\nfrom = [9]", vec!["link 1: from", "no node 9", "ids 0 to 3"]),
        ("[[link]]\nloss = 2", vec!["link 1: loss", "from 0 to 1"]),
        ("[[partition]]\ngroups = [[0, 7]]\nfrom_us = 0\nuntil_us = 1", vec!["partition 1", "no node 7"]),
        ("[[partition]]\ngroups = [[0]]\nfrom_us = 5\nuntil_us = 5", vec!["partition 1", "before it ends"]),
        ("[[partition]]\ngroups = [[0], [0]]\nfrom_us = 0\nuntil_us = 1", vec!["named twice"]),
        ("[[partition]]\ngroups = []\nfrom_us = 0\nuntil_us = 1", vec!["no node is named"]),
        ("[[partition]]\nfrom_us = 0\nuntil_us = 1", vec!["missing field `groups`"]),
    ] {
        let message = refused(text);
        for part in says {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

#[test]
fn a_described_network_is_the_one_that_is_used() {
    let text = "
        name = \"two-sites\"
        delay = { log_normal = { median_us = 100, sigma = 0.3 } }
        loss = 0.001
        [[link]]
        to = [2]
        delay = { constant_us = 4000 }
        [[partition]]
        groups = [[0, 1]]
        from_us = 10
        until_us = 20
    ";
    let network = Network::parse(text).unwrap();
    network.check(4).unwrap();
    assert_eq!(network.delay, Delay::LogNormal { median_us: 100.0, sigma: 0.3 });
    assert_eq!((network.slowest_us(4), network.links[0].to.clone()), (4_000, vec![2]));
    assert!(network.is_healthy_at(9) && !network.is_healthy_at(10) && network.is_healthy_at(20));
    assert_eq!(Network::parse(&network.to_toml()).unwrap(), network);
}
