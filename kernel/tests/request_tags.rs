//! Tags of requests: each holds for one receiver, and for nobody else.

use kernel::keys::{seeded, symbolic};
use kernel::{
    Admission, Authenticator, Bundle, Cluster, ClusterId, Operation, Reason, ReplicaId, Request, SessionId,
    Signer,
};
use std::sync::Arc;

/// Four replicas and a client.
const CLIENT: u16 = 4;

fn cluster(protocol: &str, seed: u64) -> Cluster {
    Cluster::new(ClusterId::derive("tags", seed), protocol, 4).with_clients(1)
}

fn tagged() -> Cluster {
    cluster("pbft-mac-requests", 1)
}

fn requests(gateway: u16) -> Vec<Request> {
    let session = SessionId { gateway: ReplicaId(gateway), number: 1 };
    vec![Request { session, counter: 1, operation: Operation::new(b"pay") }]
}

/// What a replica says to a client's bundle.
fn verdicts(
    cluster: &Cluster,
    keys: &(Vec<Signer>, kernel::Keyring),
    bundle: &Bundle,
) -> Vec<Result<(), Reason>> {
    let bundle = [(bundle.gateway(), Arc::new(bundle.clone()))];
    let admission = |signer| Admission::new(cluster.clone(), keys.1.clone()).of_receiver(signer);
    keys.0[..4].iter().map(|signer| admission(signer).admit_bundles(&bundle)[0]).collect()
}

#[test]
fn a_bundle_has_a_tag_for_each_replica() {
    for keys in [seeded(1, 5), symbolic(1, 5)] {
        let bundle = Bundle::sign(&tagged(), &keys.0[4], requests(CLIENT));
        assert_eq!((bundle.claim(&tagged()), keys.0[4].signatures_made()), (None, 0));
        assert!(bundle.is_well_formed(&tagged()));
        assert_eq!(verdicts(&tagged(), &keys, &bundle), [Ok(()); 4]);
        // The requests of another cluster, or in another's name.
        assert_eq!(verdicts(&cluster("pbft-mac-requests", 2), &keys, &bundle), [Err(Reason::BadTag); 4]);
        let of_another = Bundle::sign(&tagged(), &keys.0[3], requests(CLIENT));
        assert_eq!(verdicts(&tagged(), &keys, &of_another), [Err(Reason::NotEntitled); 4]);
        let favouring = bundle.favouring(ReplicaId(2));
        let only_2 = [Err(Reason::BadTag), Err(Reason::BadTag), Ok(()), Err(Reason::BadTag)];
        assert_eq!(verdicts(&tagged(), &keys, &favouring), only_2);
        assert_eq!(favouring.digest(), bundle.digest());
    }
}

#[test]
fn tags_are_checked_by_whoever_knows_its_keys() {
    let (signers, keyring) = symbolic(1, 5);
    let bundle = [(ReplicaId(CLIENT), Arc::new(Bundle::sign(&tagged(), &signers[4], requests(CLIENT))))];
    let mut knows = Admission::new(tagged(), keyring.clone()).of_receiver(&signers[0]);
    assert_eq!((knows.admit_bundles(&bundle), knows.tags_checked()), (vec![Ok(())], 1));
    assert_eq!(knows.signatures_checked(), 0);
    let mut knows_not = Admission::new(tagged(), keyring);
    assert_eq!(knows_not.admit_bundles(&bundle), [Err(Reason::BadTag)]);
}

#[test]
fn requests_are_authentic_in_the_cluster_s_way_or_not_at_all() {
    let keys = symbolic(1, 5);
    let (signed, other) = (cluster("pbft-mac", 1), cluster("pbft", 1));
    let with_tags = Bundle::sign(&tagged(), &keys.0[4], requests(CLIENT));
    let with_signature = Bundle::sign(&signed, &keys.0[4], requests(CLIENT));
    assert!(matches!(with_signature.favouring(ReplicaId(0)), same if same == with_signature));
    let malformed = [Err(Reason::MalformedRequests); 4];
    assert_eq!(verdicts(&tagged(), &keys, &with_signature), malformed);
    for cluster in [&signed, &other] {
        assert_eq!(verdicts(cluster, &keys, &with_tags), malformed);
        assert_eq!(verdicts(cluster, &keys, &with_signature), [Ok(()); 4]);
    }
    // Tags for more replicas than there are, or for fewer.
    for n in [3, 5] {
        let larger = Cluster::new(tagged().id, "pbft-mac-requests", n).with_clients(2);
        let bundle = Bundle::sign(&larger, &keys.0[4], requests(CLIENT));
        assert_eq!(verdicts(&tagged(), &keys, &bundle), malformed);
    }
}

#[test]
fn both_kinds_are_written_and_read_again() {
    let keys = symbolic(1, 5);
    for protocol in ["pbft", "pbft-mac-requests"] {
        let bundle = Bundle::sign(&cluster(protocol, 1), &keys.0[4], requests(CLIENT));
        let bytes = postcard::to_stdvec(&bundle).unwrap();
        assert_eq!(postcard::from_bytes::<Bundle>(&bytes).unwrap(), bundle);
        let text = serde_json::to_string(&bundle).unwrap();
        assert_eq!(serde_json::from_str::<Bundle>(&text).unwrap(), bundle);
        assert_eq!(text.contains("\"tags\""), protocol != "pbft", "{text}");
    }
    assert_eq!(postcard::to_stdvec(&Authenticator::Tags(vec![])).unwrap().len(), 2);
}

#[test]
#[should_panic(expected = "shares keys")]
fn who_shares_no_keys_makes_no_tags() {
    let (secret, _) = kernel::keys::key_pairs(1, 1)[0];
    Bundle::sign(&tagged(), &Signer::new(ReplicaId(0), &secret), requests(0));
}
