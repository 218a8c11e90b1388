//! A replica is a function of its inputs: over swarm runs with faults, losses, crashes
//! and restarts, every replica is built again from what it was given, and is equal.

use adversary::{Adversary, Behaviour};
use flows::{Broadcast, Ccro, CcroPaper, Pbft};
use kernel::record::Divergence;
use kernel::{Cluster, ClusterId, Protocol, Recorder, ReplicaId, keys};
use sim::swarm::{Flow, Settings, draw, inspect};
use sim::{Memory, Network, Setup, World};

const SEEDS: u64 = 60;

fn pbft(settings: &Settings, n: u16, memory: Memory) -> Recorder<Pbft> {
    Recorder::new((flows::PBFT.make)(settings, n, memory))
}

fn ccro(settings: &Settings, n: u16, memory: Memory) -> Recorder<Ccro> {
    Recorder::new((flows::CCRO.make)(settings, n, memory))
}

fn ccro_paper(settings: &Settings, n: u16, memory: Memory) -> Recorder<CcroPaper> {
    Recorder::new((flows::CCRO_PAPER.make)(settings, n, memory))
}

fn broadcast(settings: &Settings, n: u16, memory: Memory) -> Recorder<Broadcast> {
    Recorder::new((flows::BROADCAST.make)(settings, n, memory))
}

fn all_are_rebuilt<P: Protocol + 'static>(
    flow: &Flow<P>,
    make: fn(&Settings, u16, Memory) -> Recorder<P>,
) -> (usize, usize) {
    let recorded = Flow {
        name: flow.name,
        make,
        kept: |_| (0, 0),
        transferred: |_| 0,
        state: |_| kernel::Digest::ZERO,
        holds: |_, _| Ok(()),
        ask: flow.ask,
        is_total_order: flow.is_total_order,
        tolerates: flow.tolerates,
        withstands_faults: flow.withstands_faults,
    };
    let (mut replicas, mut steps) = (0, 0);
    for seed in 0..SEEDS {
        let schedule = draw(flow.name, seed, flow.tolerates);
        let signers = keys::symbolic(schedule.seed, schedule.nodes).0;
        let verdict = inspect(&recorded, &schedule, |cluster, id, recorder| {
            let rebuilt = recorder.rebuilt(cluster, &signers[usize::from(id.0)]);
            let rebuilt = rebuilt.unwrap_or_else(|error| panic!("{} seed {seed}, {id}: {error}", flow.name));
            assert!(rebuilt == *recorder.inner(), "{} seed {seed}: replica {id} differs", flow.name);
            replicas += 1;
            steps += recorder.steps().len();
        });
        let plain = sim::swarm::play(flow, &schedule);
        assert_eq!(verdict.digest, plain.digest, "seed {seed}: recording changes nothing");
    }
    (replicas, steps)
}

#[test]
fn every_replica_of_the_swarm_is_a_function_of_its_inputs() {
    let runs = [
        all_are_rebuilt(&flows::PBFT, pbft),
        all_are_rebuilt(&flows::CCRO, ccro),
        all_are_rebuilt(&flows::CCRO_PAPER, ccro_paper),
        all_are_rebuilt(&flows::BROADCAST, broadcast),
    ];
    for (replicas, steps) in runs {
        assert!(
            replicas as u64 > 4 * SEEDS && steps > 100 * replicas / 10,
            "{replicas} replicas, {steps} steps"
        );
    }
}

/// Nodes that draw choices are built again with the same ones; and whatever is left
/// out of the record is noticed.
#[test]
fn choices_and_times_are_part_of_the_record() {
    let cluster = Cluster::new(ClusterId::derive("rebuilt", 1), "pbft", 4);
    let mut setup = Setup::new(cluster.clone(), 1);
    setup.network = Network::uniform(50, 5_000);
    let faults = ["replay=0.5", "reorder=2ms", "flood=100"];
    let faults: Vec<Behaviour> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let mut world: World<Recorder<Adversary<Pbft>>> = World::new(setup, move |id, _| {
        let replica = Pbft::new(pbft::Config::for_cluster(4), apps::OpaqueLog::default());
        let faults = if id == ReplicaId(3) { faults.clone() } else { vec![] };
        Recorder::new(Adversary::new(replica, faults))
    });
    for request in 0..20u8 {
        world.submit(ReplicaId(u16::from(request) % 4), &[request]);
        world.run(50_000);
    }
    let signers = keys::symbolic(1, 4).0;
    let recorder = world.replica(3);
    assert!(recorder.rebuilt(&cluster, &signers[3]) == Ok(recorder.inner().clone()));

    let initial = || {
        let replica = Pbft::new(pbft::Config::for_cluster(4), apps::OpaqueLog::default());
        Adversary::new(replica, recorder.inner().behaviours().to_vec())
    };
    let rebuild =
        |steps: &[_]| kernel::record::rebuild(initial(), &cluster, &signers[3], steps, |_, _, _| {});
    let chose = recorder.steps().iter().position(|step| !step.choices.is_empty()).unwrap();
    let mut fewer = recorder.steps().to_vec();
    fewer[chose].choices.pop();
    assert_eq!(rebuild(&fewer).err(), Some(Divergence::Choices { step: chose }));
    let mut others = recorder.steps().to_vec();
    others
        .iter_mut()
        .flat_map(|step| &mut step.choices)
        .for_each(|(bound, chosen)| *chosen = (*chosen + 1) % *bound);
    assert!(rebuild(&others).is_err(), "other choices");
    let mut missing = recorder.steps().to_vec();
    missing.remove(chose);
    assert!(rebuild(&missing) != Ok(recorder.inner().clone()), "an input is missing");
}
