//! Shares and their sums, as points and symbolic.

use kernel::keys::{key_pairs, seeded, seeded_with_shares, symbolic};
use kernel::{
    Admission, Claim, Class, Cluster, ClusterId, Keyring, Reason, ReplicaId, Seq, ShareClaim, ShareKey,
    Signature, Signer, Voters, Wire, shares,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const STATEMENT: &[u8] = b"what all of them sign";

fn voters(ids: &[u16]) -> Voters {
    ids.iter().copied().map(ReplicaId).collect()
}

fn share(signers: &[Signer], id: u16, bytes: &[u8]) -> Signature {
    signers[usize::from(id)].sign_share(bytes)
}

fn sum(signers: &[Signer], ids: &[u16], bytes: &[u8]) -> Signature {
    let shares: Vec<Signature> = ids.iter().map(|id| share(signers, *id, bytes)).collect();
    shares::sum(shares.iter()).unwrap()
}

fn claim(ids: &[u16], bytes: &[u8], sum: Signature) -> ShareClaim {
    ShareClaim { voters: voters(ids), bytes: bytes.to_vec(), sum }
}

fn holds(keyring: &Keyring, claims: &[ShareClaim]) -> bool {
    keyring.verify_shares(&claims.iter().collect::<Vec<_>>())
}

fn for_both(check: impl Fn(&[Signer], &Keyring)) {
    for (signers, keyring) in [seeded_with_shares(1, 5), symbolic(1, 5)] {
        check(&signers, &keyring);
    }
}

#[test]
fn shares_add_up_to_one_signature_of_all() {
    for_both(|signers, keyring| {
        let all = [0, 1, 2, 4];
        let good = claim(&all, STATEMENT, sum(signers, &all, STATEMENT));
        let one = claim(&[3], STATEMENT, share(signers, 3, STATEMENT));
        let other = claim(&[2], b"other", share(signers, 2, b"other"));
        assert!(holds(keyring, &[]));
        assert!(holds(keyring, std::slice::from_ref(&good)) && holds(keyring, std::slice::from_ref(&one)));
        assert!(holds(keyring, &[good.clone(), one, other]), "statements are checked together");
        // In whatever order, and in parts.
        let parts = [sum(signers, &[4, 1], STATEMENT), sum(signers, &[2, 0], STATEMENT)];
        assert_eq!(shares::sum(parts.iter()), Some(good.sum));
        assert_eq!((good.sum.0[48..].to_vec(), signers[0].shares_made()), (vec![0; 16], 2));
    });
}

#[test]
fn the_sum_of_any_of_them_holds_and_of_no_others() {
    for_both(|signers, keyring| {
        let of = |set: u32| (0..5).filter(|id| set >> id & 1 == 1).collect::<Vec<u16>>();
        for set in 1..1 << 5 {
            let ids = of(set);
            let sum = sum(signers, &ids, STATEMENT);
            assert!(holds(keyring, &[claim(&ids, STATEMENT, sum)]), "{ids:?}");
            assert!(!holds(keyring, &[claim(&of(set ^ 1 << 2), STATEMENT, sum)]), "{ids:?}");
        }
    });
}

#[test]
fn a_sum_of_others_or_of_something_else_does_not_hold() {
    for_both(|signers, keyring| {
        let good = sum(signers, &[0, 1, 2], STATEMENT);
        let too_long = {
            let mut bytes = good;
            bytes.0[63] = 1;
            bytes
        };
        for (ids, bytes, sum) in [
            (&[0, 1][..], STATEMENT, good),
            (&[0, 1, 2, 3], STATEMENT, good),
            (&[0, 1, 3], STATEMENT, good),
            (&[0, 1, 9], STATEMENT, good),
            (&[0, 1, 2], b"other", good),
            (&[0, 1, 2], STATEMENT, good.corrupted()),
            (&[0, 1, 2], STATEMENT, too_long),
            (&[0, 1, 2], STATEMENT, Signature::NONE),
            (&[], STATEMENT, Signature::NONE),
            (&[], STATEMENT, good),
        ] {
            assert!(!holds(keyring, &[claim(ids, bytes, sum)]), "{ids:?}");
        }
        // What is not known to be a share of its own is no signature, and no signature is a share.
        let signature = signers[0].sign(STATEMENT);
        assert!(!holds(keyring, &[claim(&[0], STATEMENT, signature)]));
        let as_signature = Claim {
            author: ReplicaId(0),
            bytes: STATEMENT.to_vec(),
            signature: share(signers, 0, STATEMENT),
        };
        assert!(!keyring.verify(&as_signature));
    });
}

#[test]
fn two_false_shares_that_cancel_each_other_are_let_in_by_no_check() {
    for_both(|signers, keyring| {
        let error = sum(signers, &[3], b"an error");
        // Twice the error, or none where two are none: added to one share it is missing in the other.
        let (one, other) = (share(signers, 1, STATEMENT), share(signers, 2, STATEMENT));
        let with = |share: Signature| shares::sum([share, error].iter()).unwrap();
        let off = [claim(&[1], STATEMENT, with(one)), claim(&[2], STATEMENT, with(other))];
        assert!(!holds(keyring, &off));
        let swapped = [claim(&[1], STATEMENT, other), claim(&[2], STATEMENT, one)];
        let both = sum(signers, &[1, 2], STATEMENT);
        assert_eq!(shares::sum([one, other].iter()), Some(both));
        assert!(!holds(keyring, &swapped), "their sum is right, and neither of them is");
    });
}

#[test]
fn what_is_no_share_adds_up_to_nothing() {
    let (signers, _) = seeded_with_shares(1, 2);
    let good = share(&signers, 0, STATEMENT);
    let mut no_point = good;
    // An abscissa beyond the field.
    no_point.0[..48].fill(0x9f);
    assert_eq!(shares::sum([good, no_point].iter()), None);
    let (symbolic, _) = symbolic(1, 2);
    // As where a journal is played without the node's key: the replica goes on, and its sum is worth nothing.
    let mixed = shares::sum([good, share(&symbolic, 1, STATEMENT)].iter()).unwrap();
    let (_, keyring) = seeded_with_shares(1, 2);
    assert!(!holds(&keyring, &[claim(&[0, 1], STATEMENT, mixed)]));
}

#[test]
fn a_key_counts_with_proof_alone() {
    let keys: Vec<ShareKey> = key_pairs(1, 3).iter().map(|(secret, _)| secret.share_key()).collect();
    let with = |keys: &[ShareKey]| Keyring::new(&[]).unwrap().with_share_keys(keys);
    assert!(with(&keys).is_ok());
    // Another's proof for one's own key, or the other way round.
    let mut rogue = keys[1];
    rogue.0[96..].copy_from_slice(&keys[2].0[96..]);
    let refused = with(&[keys[0], rogue]).unwrap_err().to_string();
    assert!(refused.contains("share key 1") && refused.contains("proof"), "{refused}");
    assert!(with(&[ShareKey([0; 144])]).is_err() && with(&[ShareKey([0xff; 144])]).is_err());
    // One that is another's: the other's shares would count twice.
    assert!(with(&[keys[0], keys[1], keys[0]]).unwrap_err().to_string().contains("share key 2"));
    // Without any, no share holds.
    let (signers, keyring) = seeded(1, 3);
    assert!(!holds(&keyring, &[claim(&[0], STATEMENT, share(&signers, 0, STATEMENT))]));
}

/// A message that is a share of its author's, of a statement that is a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Vote {
    author: ReplicaId,
    about: u8,
    share: Signature,
}

impl Wire for Vote {
    fn kind(&self) -> &'static str {
        "vote"
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

    fn shares(&self, _: &Cluster) -> Vec<ShareClaim> {
        vec![claim(&[self.author.0], &[self.about], self.share)]
    }
}

fn votes(signers: &[Signer], about: u8, bad: &[u16]) -> Vec<(ReplicaId, Vote)> {
    let vote = |id: u16| {
        let statement: &[u8] = if bad.contains(&id) { b"other" } else { &[about] };
        (ReplicaId(id), Vote { author: ReplicaId(id), about, share: share(signers, id, statement) })
    };
    (0..signers.len() as u16).map(vote).collect()
}

#[test]
fn of_many_shares_the_bad_ones_are_found_in_few_checks() {
    let (signers, keyring) = symbolic(1, 64);
    let cluster = Cluster::new(ClusterId::derive("shares", 1), "ccro-aggregate", 64);
    let mut admission = Admission::new(cluster, keyring);
    let votes = votes(&signers, 0, &[17, 40]);
    let refused: Vec<u16> = (0..)
        .zip(admission.admit_all(votes.clone()))
        .filter_map(|(id, verdict)| {
            verdict.is_err_and(|rejection| rejection.reason == Reason::BadSignature).then_some(id)
        })
        .collect();
    assert_eq!(refused, [17, 40]);
    // All of them; the halves, with one of the two in each; and in each half, at each of five steps, one or two.
    let (shares, checks) = admission.shares_checked();
    assert!(shares == 64 && (3 + 2 * 5..=3 + 2 * 10).contains(&checks), "{checks}");
    // What holds is remembered, what does not is checked again.
    admission.admit_all(votes);
    assert_eq!(admission.shares_checked().0, 66);
}

#[test]
fn who_sent_a_bad_share_makes_the_check_of_all_others_fail_only_once() {
    let (signers, keyring) = symbolic(1, 64);
    let cluster = Cluster::new(ClusterId::derive("shares", 1), "ccro-aggregate", 64);
    let mut admission = Admission::new(cluster, keyring);
    let mut checks = 0;
    // In each round all sign something new.
    let mut round = |number: u8| {
        let verdicts = admission.admit_all(votes(&signers, number, &[17]));
        let refused: Vec<usize> = (0..64).filter(|id| verdicts[*id].is_err()).collect();
        assert_eq!(refused, [17], "round {number}");
        admission.shares_checked().1 - std::mem::replace(&mut checks, admission.shares_checked().1)
    };
    // All, then one or two at each of six steps.
    assert!((7..=13).contains(&round(1)));
    // The others together, and it alone.
    assert_eq!([round(2), round(3), round(4)], [2, 2, 2]);
}

#[test]
fn one_check_lets_in_all_that_hold() {
    let (signers, keyring) = seeded_with_shares(1, 8);
    let cluster = Cluster::new(ClusterId::derive("shares", 1), "ccro-aggregate", 8);
    let mut admission = Admission::new(cluster, keyring);
    assert!(admission.admit_all(votes(&signers, 0, &[])).iter().all(Result::is_ok));
    assert_eq!(admission.shares_checked(), (8, 1));
    // Those that were vouched for are not checked.
    admission.vouch(ReplicaId(0), &votes(&signers, 0, &[5])[5].1);
    assert!(admission.admit_all(votes(&signers, 0, &[3]))[3].is_err());
    assert_eq!(admission.shares_checked(), (9, 2));
}

#[test]
fn a_set_of_voters_has_one_form() {
    let set = voters(&[0, 9, 2, 9]);
    assert_eq!(postcard::to_stdvec(&set).unwrap(), [2, 0b101, 0b10]);
    assert_eq!(serde_json::to_string(&set).unwrap(), "[0,2,9]");
    for (bytes, says) in [(&[2, 1, 0][..], "zeros at the end"), (&[1, 0], "an empty byte")] {
        assert!(postcard::from_bytes::<Voters>(bytes).is_err(), "{says}");
    }
    let endless = postcard::to_stdvec(&vec![1u8; 8193]).unwrap();
    assert!(postcard::from_bytes::<Voters>(&endless).is_err());
    assert_eq!(
        (voters(&[]).count(), voters(&[]).last(), voters(&[65_535]).last()),
        (0, None, Some(ReplicaId(65_535)))
    );
}

proptest! {
    #[test]
    fn a_set_of_voters_is_a_set(ids in prop::collection::btree_set(0..200u16, 0..20)) {
        let set: Voters = ids.iter().copied().map(ReplicaId).collect();
        prop_assert_eq!(set.iter().map(|id| id.0).collect::<BTreeSet<_>>(), ids.clone());
        prop_assert!(set.iter().is_sorted());
        prop_assert_eq!((set.count(), set.last().map(|id| id.0)), (ids.len(), ids.last().copied()));
        prop_assert!((0..210).all(|id| set.contains(ReplicaId(id)) == ids.contains(&id)));
        let bytes = postcard::to_stdvec(&set).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Voters>(&bytes).unwrap(), &set);
        let text = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(serde_json::from_str::<Voters>(&text).unwrap(), set);
    }
}
