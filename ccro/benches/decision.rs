//! One full decision of each flow in memory, with real signatures and the codec
//! of its messages.

use apps::OpaqueLog;
use ccro::{Config, paper};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kernel::keys::seeded;
use kernel::{
    Batch, Bundle, Cluster, ClusterId, Operation, Protocol, ReplicaId, Request, Seq, SessionId, View,
};
use pbft::Message;
use sim::{Setup, Signatures, World};
use std::hint::black_box;
use std::sync::Arc;

fn world<P: Protocol>(protocol: &str, n: u16, needed: usize, make: impl Fn() -> P + 'static) -> World<P> {
    let cluster = Cluster::new(ClusterId::derive("bench", 1), protocol, n);
    let setup = Setup { replies_needed: needed, signatures: Signatures::Ed25519, ..Setup::new(cluster, 1) };
    World::new(setup, move |_, _| make())
}

fn decide<P: Protocol>(world: &mut World<P>) {
    let before = world.accepted().len();
    world.submit(ReplicaId(0), &[7; 100]);
    world.run(1_000_000);
    assert_eq!(world.accepted().len(), before + 1, "only a decision is timed");
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision");
    group.sample_size(10);
    for n in [4u16, 16, 64] {
        let weak = kernel::cluster::max_faulty(n) + 1;
        let mut pbft = world("pbft", n, weak, move || {
            pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default())
        });
        group.bench_function(BenchmarkId::new("pbft", n), |b| b.iter(|| decide(&mut pbft)));
        for (name, fast_path) in [("ccro-fast", true), ("ccro-two-phase", false)] {
            let mut config = Config::for_cluster(n);
            config.fast_path = fast_path;
            let mut ccro =
                world("ccro", n, weak, move || ccro::Replica::new(config.clone(), OpaqueLog::default()));
            group.bench_function(BenchmarkId::new(name, n), |b| b.iter(|| decide(&mut ccro)));
        }
        let mut published = world("ccro-paper", n, paper::max_faulty(n) + 1, move || {
            paper::Replica::new(&pbft::Config::for_cluster(n), OpaqueLog::default())
        });
        group.bench_function(BenchmarkId::new("ccro-paper", n), |b| b.iter(|| decide(&mut published)));
    }
    group.finish();
}

fn codec(c: &mut Criterion) {
    let cluster = Cluster::new(ClusterId([0; 16]), "pbft", 4);
    let (signers, _) = seeded(1, 4);
    let requests = (0..64).map(|number| Request {
        session: SessionId { gateway: ReplicaId(0), number },
        counter: 1,
        operation: Operation::new(&[7; 100]),
    });
    let bundle = Bundle::sign(&cluster, &signers[0], requests.collect());
    let batch = Arc::new(Batch { bundles: vec![Arc::new(bundle)] });
    let (header, proposal) = Message::propose(&cluster, &signers[0], View(0), Seq(1), batch, None);
    let mut vote = header;
    vote.phase = kernel::Phase::Commit;
    let mut group = c.benchmark_group("codec");
    for (name, message) in [("vote", Message::Vote(vote)), ("proposal of 64 requests", proposal)] {
        let bytes = postcard::to_stdvec(&message).expect("encodes");
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| postcard::to_stdvec(black_box(&message)));
        });
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            b.iter(|| postcard::from_bytes::<Message>(black_box(&bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, codec, decisions);
criterion_main!(benches);
