//! What is signed of a batch, and which batches there are.

use kernel::{Cluster, Digest, ReplicaId};

/// How many batches of each actor a member has applied, by the actor's id.
pub type Applied = Vec<u64>;

/// What an actor signs of its batch.
pub(crate) fn proposed(cluster: &Cluster, actor: ReplicaId, number: u64, digest: &Digest) -> Vec<u8> {
    statement_of(b"operations/1", cluster, actor, number, digest)
}

/// What a member signs of a batch that it found valid.
pub(crate) fn validated(
    cluster: &Cluster,
    actor: ReplicaId,
    number: u64,
    digest: &Digest,
    generation: u64,
) -> Vec<u8> {
    let mut bytes = statement_of(b"validated/2", cluster, actor, number, digest);
    bytes.extend(generation.to_le_bytes());
    bytes
}

fn statement_of(kind: &[u8], cluster: &Cluster, actor: ReplicaId, number: u64, digest: &Digest) -> Vec<u8> {
    [kind, &cluster.id.0, &actor.0.to_le_bytes(), &number.to_le_bytes(), &digest.0].concat()
}
