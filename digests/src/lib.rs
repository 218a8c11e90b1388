//! Digests of fixed runs of every flow, with faults, losses, crashes and restarts.
//!
//! A run's digest covers every delivery: when, from whom, to whom and what. It must be
//! the same on every platform: a run in a browser is the run that `harness simulate`
//! makes of the same seed. The digests are pinned in `pinned.txt`. A test compares them
//! natively, so that nothing changes what a protocol does without being noticed;
//! `wasm/run.sh` compares them in WebAssembly, where a pointer has 32 bits.
//!
//! When a change of behaviour is meant, pin again:
//!
//! ```sh
//! cargo run -p digests > digests/pinned.txt
//! ```

use flows::{BROADCAST, CCRO, CCRO_AGGREGATE, CCRO_PAPER, PBFT, PBFT_MAC, PBFT_MAC_REQUESTS};
use kernel::{Cluster, ClusterId, Digest, Protocol, Recorder, ReplicaId};
use sim::swarm::{self, Flow, Settings, Verdict};
use sim::{Costs, Delay, IterationCosts, Network, Setup, Signatures, World};
use std::ops::Range;

/// What is pinned: a line for each digest, of flow, runs and digest.
pub const PINNED: &str = include_str!("../pinned.txt");

/// The swarm's seeds, in portions that share a digest.
const SEEDS: [Range<u64>; 4] = [0..25, 25..50, 50..75, 75..100];

/// The lines of [`PINNED`] as this platform computes them.
pub fn computed() -> impl Iterator<Item = String> {
    let pbft = lines_of(PBFT).chain(lines_of(PBFT_MAC)).chain(lines_of(PBFT_MAC_REQUESTS));
    let ccro = lines_of(CCRO).chain(lines_of(CCRO_AGGREGATE)).chain(lines_of(CCRO_PAPER));
    pbft.chain(ccro).chain(lines_of(BROADCAST))
}

/// The first line that is not as pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number, from 1.
    pub number: u8,
    /// What it is here; empty if only more is pinned.
    pub computed: String,
    /// What is pinned; empty if nothing is.
    pub pinned: String,
}

/// Compares what this platform computes with what is pinned.
pub fn first_difference() -> Option<Difference> {
    let (mut computed, mut pinned) = (computed(), PINNED.lines());
    for number in 1.. {
        match (computed.next(), pinned.next()) {
            (None, None) => break,
            (Some(computed), Some(pinned)) if computed == pinned => {}
            (computed, pinned) => {
                let computed = computed.unwrap_or_default();
                return Some(Difference { number, computed, pinned: pinned.unwrap_or_default().to_owned() });
            }
        }
    }
    None
}

fn lines_of<P: Protocol + 'static>(flow: Flow<P>) -> impl Iterator<Item = String> {
    let line = move |run: &str, digest: Digest| format!("{} {run} {digest}", flow.name);
    let fixed = [line("faultless", faultless(&flow)), line("floating-point", floating_point(&flow))];
    // In WebAssembly there is no arithmetic for shares that are points.
    let has_shares = kernel::cluster::has_shares(flow.name);
    let signed = (!has_shares).then(|| line("signed", signed(&flow)));
    let swarm = SEEDS.into_iter().map(move |seeds| {
        let name = format!("swarm-{}-to-{}", seeds.start, seeds.end - 1);
        line(&name, swarm_runs(&flow, seeds))
    });
    fixed.into_iter().chain(signed).chain(swarm)
}

/// Runs that the swarm draws: every behaviour, partitions, losses, crashes. The digest
/// of their digests, and of what the oracles say.
fn swarm_runs<P: Protocol + 'static>(flow: &Flow<P>, seeds: Range<u64>) -> Digest {
    let verdict = |seed| swarm::play(flow, &swarm::draw(flow.name, seed, flow.tolerates));
    let encoded: Vec<u8> = seeds.flat_map(|seed| encoding(&verdict(seed))).collect();
    Digest::of(&encoded)
}

/// The same bytes on every platform, unlike what `Hash` makes of lengths. The words
/// with which an oracle explains a violation are left out.
fn encoding(verdict: &Verdict) -> Vec<u8> {
    let Verdict { violation, digest, requests: (submitted, accepted), ended_us } = verdict;
    let property = violation.as_ref().map_or(String::new(), |violation| violation.property.to_string());
    let numbers = [*submitted as u64, *accepted as u64, *ended_us, property.len() as u64];
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    digest.0.into_iter().chain(numbers).chain(property.into_bytes()).collect()
}

/// The settings of the fixed runs: small, so that batches, checkpoints and transfers of
/// states come up in short runs.
fn settings() -> Settings {
    Settings {
        window: 4,
        batch_max: 4,
        checkpoint_interval: 8,
        resend_after_us: 20_000,
        request_timer_us: 60_000,
        fast_path: true,
        fast_wait_us: 2_000,
        fallback_after_us: 10_000,
        communication: "separate".to_owned(),
    }
}

fn setup<P>(flow: &Flow<P>, n: u16) -> Setup {
    let cluster = Cluster::new(ClusterId::derive(flow.name, 5), flow.name, n);
    Setup { replies_needed: (flow.tolerates)(n) + 1, ..Setup::new(cluster, 5) }
}

/// The digest of a run with requests of two clients every ten milliseconds, and of all
/// that its replicas did: what they sent, timers, results and marks. With `crashes`,
/// one replica crashes meanwhile, and begins again without what it knew.
fn play<P: Protocol + 'static>(flow: &Flow<P>, setup: Setup, crashes: bool) -> Digest {
    let (n, make) = (setup.cluster.n, flow.make);
    let mut world = World::new(setup, move |_, memory| Recorder::new(make(&settings(), n, memory)));
    for request in 0..60u8 {
        let gateway = ReplicaId(u16::from(request) % n);
        let asked = [[request].as_slice(), &[request, 1]].map(|bytes| (flow.ask)(gateway, n, bytes));
        world.submit_again(gateway, &asked.each_ref().map(Vec::as_slice));
        world.run(10_000);
        match request {
            20 if crashes => world.crash(ReplicaId(2)),
            40 if crashes => world.restart(ReplicaId(2)),
            _ => {}
        }
    }
    world.run(2_000_000);
    let steps = (0..n).flat_map(|id| world.replica(id).steps());
    let effects = steps.flat_map(|step| step.effects.to_le_bytes());
    Digest::of(&world.digest().0.into_iter().chain(effects).collect::<Vec<u8>>())
}

/// Four replicas, a constant delay and no faults.
fn faultless<P: Protocol + 'static>(flow: &Flow<P>) -> Digest {
    play(flow, setup(flow, 4), false)
}

/// All that is computed in floating point: work takes time, delays are log-normal, lines
/// have a bandwidth. And two behaviours, losses, a crash.
fn floating_point<P: Protocol + 'static>(flow: &Flow<P>) -> Digest {
    let costs = Costs {
        sign_us: 17.3,
        verify_us: 41.9,
        per_message_us: 2.7,
        per_byte_ns: 1.3,
        share_sign_us: 170.3,
        share_verify_us: 910.7,
        client_us: 50.1,
        cores: Some(2),
        iteration: Some(IterationCosts {
            per_iteration_us: 7.3,
            per_chunk_us: 3.1,
            batch_us: 21.7,
            batch_verify_us: 27.9,
            batch_share_us: 31.3,
        }),
        ..Costs::default()
    };
    let network = Network {
        delay: Delay::LogNormal { median_us: 321.7, sigma: 0.6 },
        loss: 0.01,
        duplication: 0.01,
        reordering: 0.02,
        reordering_us: 1234.5,
        bandwidth_mbit_s: Some(93.7),
        ..Network::default()
    };
    let faults = ["replay=0.1", "drop=0.05"].map(|fault| fault.parse().expect("a fault"));
    let setup = Setup { costs, network, faults: vec![(3, faults.into())], ..setup(flow, 7) };
    play(flow, setup, true)
}

/// Real signatures, which other arithmetic computes where words have 32 bits; with a
/// commander that sends contradictory proposals.
fn signed<P: Protocol + 'static>(flow: &Flow<P>) -> Digest {
    let faults = vec![(0, vec!["equivocate".parse().expect("a fault")])];
    let setup = Setup { signatures: Signatures::Ed25519, faults, ..setup(flow, 4) };
    play(flow, setup, false)
}
