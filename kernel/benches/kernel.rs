//! What the kernel's building blocks cost: signing, verifying alone and in
//! batches, counting a quorum, hashing a bundle.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernel::keys::seeded;
use kernel::{
    Bundle, Claim, Cluster, ClusterId, Digest, Operation, ReplicaId, Request, SessionId, Signature, VoteSet,
};
use std::hint::black_box;

fn claims(count: u16) -> (kernel::Keyring, Vec<Claim>) {
    let (signers, keyring) = seeded(1, count);
    let claims = signers.iter().map(|signer| {
        let bytes =
            format!("a vote of about a hundred bytes, which is what votes are like {:>40}", signer.id());
        Claim { author: signer.id(), signature: signer.sign(bytes.as_bytes()), bytes: bytes.into_bytes() }
    });
    (keyring, claims.collect())
}

fn signatures(c: &mut Criterion) {
    let mut group = c.benchmark_group("signature");
    let (signers, _) = seeded(1, 1);
    group.bench_function("sign", |b| b.iter(|| signers[0].sign(black_box(&[7; 100]))));
    let (keyring, one) = claims(1);
    group.bench_function("verify", |b| b.iter(|| keyring.verify(black_box(&one[0]))));
    for count in [4, 16, 64] {
        let (keyring, claims) = claims(count);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::new("verify-batch", count), |b| {
            b.iter(|| keyring.verify_all(black_box(&claims).iter()));
        });
    }
    group.finish();
}

fn counting(c: &mut Criterion) {
    let mut group = c.benchmark_group("quorum");
    for n in [4u16, 16, 64] {
        group.throughput(Throughput::Elements(u64::from(n)));
        group.bench_function(BenchmarkId::new("count", n), |b| {
            b.iter(|| {
                let mut votes = VoteSet::default();
                for id in 0..n {
                    votes.insert(ReplicaId(id), Digest::ZERO, Signature([0; 64]));
                    black_box(votes.count(&Digest::ZERO));
                }
                votes
            });
        });
    }
    group.finish();
}

fn hashing(c: &mut Criterion) {
    let cluster = Cluster::new(ClusterId([0; 16]), "pbft", 4);
    let (signers, _) = seeded(1, 1);
    let requests = (0..64)
        .map(|number| Request {
            session: SessionId { gateway: ReplicaId(0), number },
            counter: 1,
            operation: Operation::new(&[7; 100]),
        })
        .collect();
    let bundle = Bundle::sign(&cluster, &signers[0], requests);
    c.bench_function("bundle/digest of 64 requests", |b| b.iter(|| black_box(&bundle).digest()));
}

criterion_group!(benches, signatures, counting, hashing);
criterion_main!(benches);
