//! How participants are called: `P0`, `P1`, … and `client`.

use kernel::{Cluster, ReplicaId};

/// A participant's name.
pub fn name(cluster: &Cluster, id: ReplicaId) -> String {
    if cluster.contains(id) { format!("P{id}") } else { "client".into() }
}

/// Names one after the other: `P1, P2`.
pub fn names<'a>(cluster: &Cluster, ids: impl IntoIterator<Item = &'a ReplicaId>) -> String {
    ids.into_iter().map(|id| name(cluster, *id)).collect::<Vec<_>>().join(", ")
}

/// The participant of this name.
///
/// # Errors
///
/// A sentence that says which there are.
pub fn id(cluster: &Cluster, name: &str) -> Result<ReplicaId, String> {
    let known = |id: &ReplicaId| self::name(cluster, *id).eq_ignore_ascii_case(name);
    let all = (0..=cluster.n).map(ReplicaId).find(known);
    all.ok_or_else(|| format!("there is no {name:?}; there are P0 to P{} and client", cluster.n - 1))
}

/// The replicas of these names, separated by commas.
///
/// # Errors
///
/// As [`id`]; the client is no replica.
pub fn replicas(cluster: &Cluster, list: &str) -> Result<Vec<ReplicaId>, String> {
    let of = |part: &str| {
        let id = id(cluster, part.trim())?;
        if cluster.contains(id) {
            Ok(id)
        } else {
            Err("the client is no replica; votes go to replicas".into())
        }
    };
    list.split(',').filter(|part| !part.trim().is_empty()).map(of).collect()
}
