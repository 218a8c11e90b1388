//! Liars that share a plan: beyond `f` they do make honest replicas disagree.

use crate::bench::{Bench, bench, sent, to_each};
use adversary::Behaviour;
use apps::OpaqueLog;
use kernel::{Cluster, ClusterId, Falsify as _, Phase, Protocol, ReplicaId, Wire as _};
use pbft::Message;
use sim::{Setup, World};

const SECOND: u64 = 1_000_000;

/// A proposal of replica 0 and its alternative.
fn values(bench: &Bench) -> (Message, Message) {
    let truth = bench.proposal(1, 2);
    let lie = truth.alternative(&bench.cluster, &bench.signers[0]).unwrap();
    (truth, lie)
}

fn prepare(bench: &Bench, story: &Message) -> Message {
    let digest = story.subject().unwrap().digest;
    Message::Vote(bench.vote(1, Phase::Prepare, 1, digest))
}

#[test]
fn the_commander_tells_each_side_its_story_and_its_accomplice_both() {
    let mut bench = bench(0, &["equivocate=0;1"]);
    let (truth, lie) = values(&bench);
    let sent = bench.send_or_hold(&truth);
    let expected = [to_each(&[1, 2], &truth), to_each(&[1, 3], &lie)].concat();
    assert_eq!(sent, expected);
    let own = Message::Vote(bench.vote(0, Phase::Commit, 1, truth.subject().unwrap().digest));
    let other = Message::Vote(bench.vote(0, Phase::Commit, 1, lie.subject().unwrap().digest));
    assert_eq!(bench.send_or_hold(&own), [to_each(&[1, 2], &own), to_each(&[1, 3], &other)].concat());
}

/// In either order of arrival the accomplice follows the first story, keeps the
/// second to itself, says nothing until it knows both, and then to each side
/// what that side must hear.
#[test]
fn the_accomplice_tells_the_same_stories_whichever_it_hears_first() {
    for swapped in [false, true] {
        let mut bench = bench(1, &["equivocate=0;1"]);
        let (truth, lie) = values(&bench);
        let (first, second) = if swapped { (&lie, &truth) } else { (&truth, &lie) };
        bench.deliver(0, first);
        assert_eq!(bench.node.inner().received, 1);
        assert_eq!(bench.send_or_hold(&prepare(&bench, first)), [], "one story is not enough");
        let sendable = sent(&bench.deliver(0, second));
        assert_eq!(bench.node.inner().received, 2, "the second story was not passed on");
        for expected in
            [to_each(&[0, 2], &prepare(&bench, &truth)), to_each(&[0, 3], &prepare(&bench, &lie))].concat()
        {
            assert!(sendable.contains(&expected), "swapped {swapped}: {expected:?} in {sendable:?}");
        }
    }
}

#[test]
fn a_certificate_for_the_other_side_waits_for_its_votes() {
    use kernel::{Seq, View};
    use pbft::{Certificate, CertificateKind};
    let mut bench = bench(1, &["equivocate=0;1"]);
    let (truth, lie) = values(&bench);
    bench.deliver(0, &truth);
    bench.deliver(0, &lie);
    let digest = truth.subject().unwrap().digest;
    let signature = |id: usize| {
        let phase = if id == 0 { Phase::PrePrepare } else { Phase::Prepare };
        bench.vote(id, phase, 1, digest).signature
    };
    let certificate = Message::Certificate(std::sync::Arc::new(Certificate {
        kind: CertificateKind::Prepared,
        view: View(0),
        seq: Seq(1),
        digest,
        communication_node: None,
        votes: (0..3).map(|id| (ReplicaId(id as u16), signature(id))).collect(),
        sum: None,
    }));
    assert_eq!(bench.send_or_hold(&certificate), to_each(&[0, 2], &certificate));
    let vote = Message::Vote(bench.vote(3, Phase::Prepare, 1, lie.subject().unwrap().digest));
    let sent = sent(&bench.deliver(3, &vote));
    let built: Vec<_> = sent.iter().filter(|(_, message)| message.kind() == "prepared-certificate").collect();
    assert_eq!(built.len(), 2, "to the accomplice and to replica 3: {sent:?}");
    for (_, message) in built {
        assert_eq!(message.subject(), lie.subject());
        bench.admission().admit(ReplicaId(1), message.clone()).expect("it holds");
    }
}

fn together(colluders: &[u16], fault: &str) -> Vec<(u16, Vec<Behaviour>)> {
    colluders.iter().map(|id| (*id, vec![fault.parse().unwrap()])).collect()
}

fn judge<P: Protocol + 'static>(
    flow: &str,
    n: u16,
    faults: Vec<(u16, Vec<Behaviour>)>,
    make: impl Fn(u16) -> P + 'static,
) -> Result<(), String> {
    let cluster = Cluster::new(ClusterId::derive("collusion", 1), flow, n);
    let mut world = World::new(Setup { faults, ..Setup::new(cluster, 1) }, move |_, _| make(n));
    let gateway = ReplicaId(n - 1);
    for i in 0..4u8 {
        world.submit_all(gateway, &[&[i], &[i, 1]]);
        world.run(SECOND);
    }
    world.judge()
}

fn pbft_with(n: u16, faults: Vec<(u16, Vec<Behaviour>)>) -> Result<(), String> {
    judge("pbft", n, faults, |n| pbft::Replica::new(pbft::Config::for_cluster(n), OpaqueLog::default()))
}

fn ccro_with(n: u16, faults: Vec<(u16, Vec<Behaviour>)>) -> Result<(), String> {
    judge("ccro", n, faults, |n| ccro::Replica::new(ccro::Config::for_cluster(n), OpaqueLog::default()))
}

fn paper_with(n: u16, faults: Vec<(u16, Vec<Behaviour>)>) -> Result<(), String> {
    judge("ccro-paper", n, faults, |n| {
        ccro::paper::Replica::new(&pbft::Config::for_cluster(n), OpaqueLog::default())
    })
}

#[test]
fn beyond_f_they_make_honest_replicas_disagree() {
    for (n, colluders, fault) in [
        (4, vec![0, 1], "equivocate=0;1"),
        (4, vec![0, 3], "equivocate=0;3"),
        (4, vec![0, 2], "equivocate=victim;0;2"),
        (7, vec![0, 1, 2], "equivocate=0;1;2"),
        (7, vec![0, 4, 5], "equivocate=0;4;5"),
    ] {
        let pbft = pbft_with(n, together(&colluders, fault));
        assert!(pbft.is_err(), "pbft, n = {n}, {fault}");
    }
    for (n, colluders, fault) in [(4, vec![0, 1], "equivocate=0;1"), (7, vec![0, 1, 2], "equivocate=0;1;2")] {
        let ccro = ccro_with(n, together(&colluders, fault));
        assert!(ccro.is_err(), "ccro, n = {n}, {fault}");
    }
}

#[test]
fn within_f_they_do_not() {
    for (n, colluders, fault) in [
        (4, vec![0], "equivocate=0"),
        (7, vec![0, 1], "equivocate=0;1"),
        (7, vec![0, 1], "equivocate=victim;0;1"),
        (7, vec![2, 5], "equivocate=2;5"),
        (10, vec![0, 1, 2], "equivocate=0;1;2"),
    ] {
        pbft_with(n, together(&colluders, fault)).unwrap();
        ccro_with(n, together(&colluders, fault)).unwrap();
    }
}

/// A STORE is the commander's word alone, so it takes no accomplice: one node of
/// six, which is as many as the published flow is sent to tolerate, stores another
/// block at its victim.
#[test]
fn one_commander_breaks_the_published_flow() {
    assert_eq!(ccro::paper::max_faulty(6), 1);
    assert!(paper_with(6, together(&[0], "equivocate=victim;0")).is_err());
    paper_with(6, together(&[1], "equivocate=victim;1")).unwrap();
}

/// Commander and communication node are two, as many as `n = 9` nodes of the
/// published flow are sent to tolerate.
#[test]
fn the_published_flow_is_broken_within_its_own_f() {
    assert_eq!(ccro::paper::max_faulty(9), 2);
    let violated = paper_with(9, together(&[0, 1], "equivocate=victim;0;1"));
    assert!(violated.is_err());
}
