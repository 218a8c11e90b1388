//! What the recorder makes of runs whose course is known exactly.

use crate::runs::{self, Run};
use apps::{AppName, KvOperation};
use kernel::{Cluster, ClusterId, Operation, Output, ReplicaId};
use std::collections::BTreeMap;
use trace::{About, Clock, Ending, Line, MarkRecord, Message, NodeChange, Recorder, Trace, VotePhase};

const DELAY: u64 = 100_000;

fn messages<'a>(trace: &'a Trace, kind: &str) -> Vec<&'a Message> {
    let messages = trace.lines.iter().filter_map(|line| match line {
        Line::Message(message) => Some(message),
        _ => None,
    });
    messages.filter(|message| message.kind == kind).collect()
}

/// The votes that counted: when, where, whose.
fn votes(trace: &Trace, wanted: VotePhase) -> Vec<(u64, u16, u16)> {
    let votes = trace.lines.iter().filter_map(|line| match line {
        Line::Vote { t, node, author, phase, .. } if *phase == wanted => Some((*t, *node, *author)),
        _ => None,
    });
    votes.collect()
}

#[test]
fn the_copies_of_a_message_are_one_line_with_the_time_of_each_arrival() {
    let trace = runs::one_put();
    // The gateway sends the request to the commander; each phase takes one delay.
    for (kind, from, left) in [
        ("pre-prepare", &[0][..], DELAY),
        ("prepare", &[1, 2, 3], 2 * DELAY),
        ("commit", &[0, 1, 2, 3], 3 * DELAY),
    ] {
        let mut sent = messages(&trace, kind);
        sent.sort_by_key(|message| message.from);
        assert_eq!(sent.iter().map(|message| message.from).collect::<Vec<_>>(), from, "{kind}");
        for message in sent {
            let others = (0..4).filter(|to| *to != message.from);
            assert_eq!(message.t, left, "{kind}");
            assert_eq!(message.to, others.map(|to| (to, vec![left + DELAY])).collect::<Vec<_>>(), "{kind}");
            assert_eq!((message.view, message.seq, message.value), (Some(0), Some(1), Some(0)), "{kind}");
        }
    }
    let replies = messages(&trace, "reply");
    assert_eq!(replies.iter().map(|reply| reply.from).collect::<Vec<_>>(), [0, 2, 3]);
    for reply in replies {
        assert_eq!((reply.t, &reply.to), (4 * DELAY, &vec![(1, vec![5 * DELAY])]));
        assert_eq!((reply.view, reply.seq, reply.value), (Some(0), Some(1), None));
    }
}

#[test]
fn copies_have_the_ordinals_of_the_run() {
    let trace = runs::view_change();
    let mut next = 0;
    let mut sent: Vec<&Message> = trace
        .lines
        .iter()
        .filter_map(|line| if let Line::Message(m) = line { Some(m) } else { None })
        .collect();
    sent.sort_by_key(|message| message.copy);
    for message in sent {
        assert_eq!(message.copy, next, "{message:?}");
        next += message.to.len() as u64;
    }
    assert!(next > 40, "{next}");
}

#[test]
fn each_content_and_each_value_has_one_line_however_often_it_is_sent() {
    let trace = runs::one_put();
    let bodies: Vec<String> = trace
        .lines
        .iter()
        .filter_map(|line| if let Line::Content { body, .. } = line { Some(body.to_string()) } else { None })
        .collect();
    let mut distinct = bodies.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), bodies.len());
    let values = trace.lines.iter().filter(|line| matches!(line, Line::Value { .. })).count();
    assert_eq!(values, 1);
    let kinds = ["request", "pre-prepare", "prepare", "commit", "reply"];
    let sent: usize = kinds.iter().map(|kind| messages(&trace, kind).len()).sum();
    assert_eq!(bodies.len(), sent, "each is signed by another node");
    // What a proposal carries is told in words, not in bytes.
    let proposal = messages(&trace, "pre-prepare")[0];
    let body = &bodies[proposal.content as usize];
    assert!(body.contains(r#""Put":{"key":"key","value":"a \"value\"; of #2\n<end>"}"#), "{body}");
    let operations: Vec<u64> = messages(&trace, "prepare").iter().map(|prepare| prepare.bytes).collect();
    assert!(operations.iter().all(|bytes| (100..300).contains(bytes)), "{operations:?}");
}

#[test]
fn a_message_that_is_sent_again_has_two_lines_and_one_content() {
    let mut run = Run::new(&[]);
    run.put(0, "key", "value");
    run.run(10_000);
    let trace = run.finish();
    // Without the answers of others, the commander sends its proposal again.
    let mut alone = Run::new(&[]);
    (1..4).for_each(|node| alone.crash(node));
    alone.put(0, "key", "value");
    alone.run(2_000_000);
    let alone = alone.finish();
    let first = messages(&trace, "pre-prepare");
    let again = messages(&alone, "pre-prepare");
    assert_eq!(first.len(), 1);
    assert!(again.len() > 1, "{again:?}");
    assert!(again.iter().all(|message| message.content == again[0].content));
}

#[test]
fn votes_count_where_and_when_they_arrive() {
    let trace = runs::one_put();
    let others = |node: u16| (0..4).filter(move |author| *author != node);
    let expected = |t: u64, authors: &dyn Fn(u16) -> Vec<u16>| -> Vec<(u64, u16, u16)> {
        (0..4).flat_map(|node| authors(node).into_iter().map(move |author| (t, node, author))).collect()
    };
    let sorted = |mut votes: Vec<(u64, u16, u16)>| {
        votes.sort_unstable();
        votes
    };
    let proposals = expected(2 * DELAY, &|node| if node == 0 { vec![] } else { vec![0] });
    assert_eq!(sorted(votes(&trace, VotePhase::PrePrepare)), proposals);
    let prepares = expected(3 * DELAY, &|node| others(node).filter(|author| *author != 0).collect());
    assert_eq!(sorted(votes(&trace, VotePhase::Prepare)), prepares);
    let commits = expected(4 * DELAY, &|node| others(node).collect());
    assert_eq!(sorted(votes(&trace, VotePhase::Commit)), commits);
}

#[test]
fn a_copy_that_is_lost_has_no_arrival_and_its_vote_does_not_count() {
    let whole = runs::one_put();
    let prepare = messages(&whole, "prepare")[1].clone();
    assert_eq!(prepare.from, 2);
    let mut run = Run::new(&[]);
    // From 2 to 0, 1 and 3: the second is lost.
    run.world.alter_copy(prepare.copy + 1, sim::Alteration::Lose);
    run.put(1, "key", "a \"value\"; of #2\n<end>");
    run.run(10_000);
    let trace = run.finish();
    let at = 3 * DELAY;
    assert_eq!(messages(&trace, "prepare")[1].to, [(0, vec![at]), (1, vec![]), (3, vec![at])]);
    let missing: Vec<_> = votes(&whole, VotePhase::Prepare)
        .into_iter()
        .filter(|vote| !votes(&trace, VotePhase::Prepare).contains(vote))
        .collect();
    assert_eq!(missing, [(at, 1, 2)]);
}

#[test]
fn what_is_on_its_way_to_a_node_that_crashes_does_not_arrive() {
    let mut run = Run::new(&[]);
    run.put(1, "key", "value");
    // Prepares have left, and are to arrive at 300 microseconds.
    run.run(250);
    run.crash(3);
    run.run(10_000);
    let trace = run.finish();
    let at = 3 * DELAY;
    let prepares = messages(&trace, "prepare");
    assert_eq!(prepares[0].to, [(0, vec![at]), (2, vec![at]), (3, vec![])]);
    assert_eq!(prepares[2].from, 3, "it had voted before");
    assert_eq!(prepares[2].to, [(0, vec![at]), (1, vec![at]), (2, vec![at])]);
    let crash = trace.lines.iter().find(|line| matches!(line, Line::Node { .. }));
    assert_eq!(crash, Some(&Line::Node { t: 250_000, node: 3, change: NodeChange::Crashed }));
    assert!(votes(&trace, VotePhase::Commit).iter().all(|(_, node, author)| *node != 3 && *author != 3));
}

#[test]
fn a_view_change_is_told_by_marks_and_states() {
    let trace = runs::view_change();
    let marks = |wanted: &MarkRecord| -> Vec<u16> {
        let told = trace.lines.iter().filter_map(|line| match line {
            Line::Mark { node, mark, .. } if mark == wanted => Some(*node),
            _ => None,
        });
        told.collect()
    };
    assert_eq!(marks(&MarkRecord::ViewBegan { view: 1 })[..3], [1, 2, 3]);
    let views: Vec<(u16, u16)> = trace
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::State { node, state, .. } if state.view == Some(1) => Some((*node, state.commander?)),
            _ => None,
        })
        .collect();
    assert_eq!(views, [(1, 1), (2, 1), (3, 1), (0, 1)]);
    let executed = |seq| {
        let is_it = |mark: &MarkRecord| matches!(mark, MarkRecord::Executed { seq: of, .. } if *of == seq);
        trace.lines.iter().filter(|line| matches!(line, Line::Mark { mark, .. } if is_it(mark))).count()
    };
    assert_eq!(executed(2), 3, "at those that are up");
    let changes: Vec<&Line> = trace.lines.iter().filter(|line| matches!(line, Line::Node { .. })).collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(trace.lines.is_sorted_by_key(|line| line.t()), "definitions first, then by time");
    assert_eq!(trace.end.digest.as_ref().map(String::len), Some(64));
}

/// A recorder of nothing yet.
fn recorder(app: AppName) -> Recorder<pbft::Message> {
    let cluster = Cluster::new(ClusterId::derive("pbft", 5), "pbft", 4);
    let about = About {
        title: "by hand".into(),
        app,
        f: 1,
        quorum: 3,
        clock: Clock::Real,
        faults: BTreeMap::new(),
        scenario: None,
    };
    Recorder::new(&cluster, about)
}

#[test]
fn of_an_application_only_what_has_changed_is_noted() {
    let mut recorder = recorder(AppName::Kv);
    let entries = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let node = ReplicaId(2);
    recorder.app(1, node, 1, entries(&[("a", "1"), ("b", "2")]));
    recorder.app(2, node, 2, entries(&[("a", "1"), ("b", "2")]));
    recorder.app(3, node, 3, entries(&[("b", "3"), ("c", "4")]));
    // Another node knows nothing of it.
    recorder.app(4, ReplicaId(0), 3, entries(&[("c", "4")]));
    let line = |t, node, as_of, set: &[(&str, &str)], gone: &[&str]| Line::App {
        t,
        node,
        as_of,
        set: entries(set),
        gone: gone.iter().map(|key| (*key).into()).collect(),
    };
    let expected = [
        line(1, 2, 1, &[("a", "1"), ("b", "2")], &[]),
        line(3, 2, 3, &[("b", "3"), ("c", "4")], &["a"]),
        line(4, 0, 3, &[("c", "4")], &[]),
    ];
    assert_eq!(recorder.finish(0, Ending::default()).lines, expected);
}

#[test]
fn what_clients_ask_is_noted_in_words_and_the_run_ends_with_its_last_line() {
    let mut kv = recorder(AppName::Kv);
    let get = KvOperation::Get { key: "k".into() }.encode();
    kv.request(7, 0, ReplicaId(1), Some(&get));
    kv.timed_out(9, 0);
    kv.network(5, "nodes 0 and 1 apart");
    let trace = kv.finish(3, Ending { violation: Some("none".into()), ..Ending::default() });
    let asks = serde_json::json!({ "Get": { "key": "k" } });
    let expected = [
        Line::Network { t: 5, change: "nodes 0 and 1 apart".into() },
        Line::Request { t: 7, request: 0, gateway: 1, asks },
        Line::TimedOut { t: 9, request: 0 },
    ];
    assert_eq!(trace.lines, expected, "in the order of their times");
    assert_eq!((trace.end.t, trace.end.lines, trace.end.violation.as_deref()), (9, 3, Some("none")));
    assert_eq!(trace::Trace::parse(&trace.to_text()), Ok(trace));

    // Bytes of no known form: as text if they are, else as a number of bytes.
    let mut opaque = recorder(AppName::Opaque);
    opaque.request(0, 0, ReplicaId(0), Some(&get));
    opaque.request(0, 1, ReplicaId(0), Some(&Operation::new(b"pay 5")));
    opaque.answer(1, 1, (3, 0), &Output::new(&[0xff; 40]));
    let noted = serde_json::to_value(opaque.finish(0, Ending::default()).lines).expect("JSON");
    assert_eq!(noted[0]["asks"]["bytes"], get.0.len());
    assert_eq!(noted[1]["asks"], "pay 5");
    assert_eq!(noted[2]["result"], serde_json::json!({ "bytes": 40, "hex": "ff".repeat(32) }));
}
