//! Runs that are written out: why the published flow is not safe, and how a node
//! without memory comes back.

use crate::by_hand::Hand;
use apps::OpaqueLog;
use ccro::paper::{Attempt, Message, Replica, Statement, Step};
use kernel::{Batch, Digest, Input, Micros, Seq};
use std::sync::Arc;

/// Five honest nodes, none of them down; some links are slow. Nobody lies and no
/// message is lost, and yet two honest nodes execute one block and three another.
#[test]
fn a_false_suspicion_makes_honest_nodes_disagree() {
    let mut run = Hand::new(5);
    // Round 1: commander 0, communication node 1. Nodes 3 and 4 are far from both,
    // and the way from 2 to 0 is slow.
    let slow = |from: u16, to: u16| (from < 2 && to > 2) || (from > 2 && to < 2) || (from, to) == (2, 0);
    run.submit(0, b"a");
    run.deliver(|sent| !slow(sent.from, sent.to) && sent.to < 3 && sent.from < 3);
    // Node 1 announced block a, nodes 1 and 2 executed it. Their commander does not
    // know: the REPLY is on its way.
    assert_eq!([0, 1, 2, 3, 4].map(|id: usize| run.logs[id].len()), [0, 1, 1, 0, 0]);

    // A client of node 3. The request is on its way to the commander when node 3
    // finds the commander down, then the next in trust, then the one after it.
    run.submit(3, b"b");
    for _ in 0..3 {
        run.expire(3);
    }
    // So it is node 3's turn: attempt (3, 0), with node 4 as communication node. Only
    // now are the links fast enough.
    run.deliver(|sent| sent.from > 2 || sent.to > 2 && sent.from == 0 && is_later(&sent.message));
    let blocks: Vec<Option<Digest>> = run.logs.iter().map(|log| log.first().map(|entry| entry.1)).collect();
    let (a, b) = (blocks[1], blocks[3]);
    assert!(a.is_some() && b.is_some() && a != b);
    // Node 0 had block a and no lock on it, so its vote made block b.
    assert_eq!(blocks, [b, a, a, b, b]);
    // No quorum rule and no proof stood in the way; and the client of b has its answer.
    assert_eq!(run.status(3).last_executed, Seq(1));
}

fn is_later(message: &Message) -> bool {
    message.header().is_some_and(|header| header.attempt > Attempt::default())
}

/// One announcement without proof: a commander that hands out two blocks and a
/// communication node that announces each to whom it suits.
#[test]
fn a_lying_communication_node_makes_honest_nodes_disagree() {
    let mut run = Hand::new(5);
    let block = |operation| Arc::new(Batch { bundles: vec![run.bundle(0, operation)] });
    let told = [(2, block(b"a")), (3, block(b"b")), (4, block(b"b"))];
    for (victim, batch) in told {
        let say = |liar: usize, step| {
            let round = (Seq(1), Attempt::default());
            Statement::sign(&run.cluster, &run.signers[liar], step, round, batch.digest())
        };
        let request = Message::Block { header: say(0, Step::Request), batch: Arc::clone(&batch) };
        let announcement = Message::Step(say(1, Step::Commit));
        run.deliver_one(0, victim, request);
        run.deliver_one(1, victim, announcement);
    }
    assert_eq!(run.logs[3], run.logs[4]);
    assert_ne!(run.logs[2], run.logs[3], "two honest nodes, two blocks");
}

#[test]
fn a_node_without_its_memory_asks_and_is_told_all() {
    let mut run = Hand::new(4);
    for i in 0..150u8 {
        run.submit(2, &[i]);
        run.deliver(|_| true);
    }
    for lost in [3, 0] {
        let config = pbft::Config::for_cluster(4);
        run.nodes[lost] = Replica::recovering(&config, OpaqueLog::default());
        run.logs[lost].clear();
        run.step(lost as u16, Input::Start);
        run.deliver(|_| true);
        assert_eq!(run.logs[lost], run.logs[1], "150 rounds, which is more than one FETCH brings");
        assert_eq!(run.nodes[lost].trust(), run.nodes[1].trust());
    }
    run.submit(0, b"x");
    run.deliver(|_| true);
    assert!((0..4).all(|id| run.logs[id].len() == 151 && run.logs[id] == run.logs[0]));
}

#[test]
fn a_node_that_missed_more_than_is_kept_takes_over_a_state() {
    let mut run = Hand::new(4);
    // Node 3 is down and hears nothing of 1,100 rounds, of which 1,024 are kept.
    for i in 0..1_100u16 {
        run.submit(2, &i.to_be_bytes());
        run.deliver(|sent| sent.to != 3);
        run.sent.clear();
    }
    run.nodes[3] = Replica::recovering(&pbft::Config::for_cluster(4), OpaqueLog::default());
    run.step(3, Input::Start);
    run.deliver(|_| true);
    assert_eq!((run.status(3).last_executed, run.logs[3].len()), (Seq(1_100), 0));
    run.submit(3, b"and on");
    run.deliver(|_| true);
    assert_eq!(run.logs[3].last(), run.logs[0].last());
    let digests = run.nodes.iter().map(Replica::digest).collect::<Vec<_>>();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert!(run.nodes.iter().all(|node| node.trust() == run.nodes[0].trust()));
}

#[test]
fn a_commander_that_lost_its_memory_is_told_by_those_whom_it_asks() {
    let mut run = Hand::new(4);
    for i in 0..20u8 {
        run.submit(2, &[i]);
        run.deliver(|_| true);
    }
    // It does not even know that it was there before.
    run.nodes[0] = Replica::new(&pbft::Config::for_cluster(4), OpaqueLog::default());
    run.logs[0].clear();
    run.submit(0, b"x");
    run.deliver(|_| true);
    assert_eq!(run.logs[0].len(), 21);
    assert!((1..4).all(|id| run.logs[id] == run.logs[0]));
}

#[test]
fn the_table_follows_measured_response_times() {
    let mut run = Hand::new(4);
    for i in 0..2u8 {
        run.submit(0, &[i]);
        run.deliver(|sent| !matches!(sent.message, Message::Reply { .. }));
        // Node 3 answers after 1 ms, node 2 after 2 ms; the second of the two comes
        // after the block was stored.
        for (from, at) in [(3, 1_000), (2, 2_000)] {
            run.now = Micros(u64::from(i) * 10_000 + at);
            run.deliver(|sent| sent.from == from);
        }
        run.now = Micros(u64::from(i + 1) * 10_000);
        run.deliver(|_| true);
    }
    // Published with round 2, about round 1: the commander, then communication node
    // and node 3, then node 2: quintiles 0, 1, 1, 3 as in the trust table's own test.
    for id in 0..4 {
        assert_eq!(
            run.status(id).views.as_ref().unwrap().trust_milli,
            [6_480, 6_240, 5_760, 6_240],
            "at node {id}"
        );
    }
}
