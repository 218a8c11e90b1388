//! Parts of several nodes become one trace.

use kernel::{Cluster, ClusterId, Digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trace::{About, Clock, Line, Message, NodeChange, Part, Trace, merge};

fn digest(content: &str) -> Value {
    serde_json::to_value(Digest::of(content.as_bytes())).unwrap()
}

fn began(node: u16, t: u64) -> Value {
    json!({ "part": "began", "t": t, "node": node })
}

fn content(name: &str) -> Value {
    json!({ "part": "content", "digest": digest(name), "body": name })
}

fn sent(t: u64, name: &str, to: &[u16]) -> Value {
    let kind = "prepare";
    json!({ "part": "sent", "t": t, "kind": kind, "content": digest(name), "bytes": 9, "to": to })
}

fn arrived(t: u64, from: u16, name: &str) -> Value {
    json!({ "part": "arrived", "t": t, "from": from, "content": digest(name) })
}

fn ended(t: u64) -> Value {
    json!({ "part": "ended", "t": t })
}

/// As a node writes it: a line begins with what it is.
fn text(lines: &[Value]) -> String {
    let line = |line: &Value| {
        let mut fields = line.as_object().unwrap().clone();
        let (tag, value) =
            ["part", "is"].into_iter().find_map(|tag| Some((tag, fields.remove(tag)?))).unwrap();
        format!("{{\"{tag}\":{value},{}\n", &Value::Object(fields).to_string()[1..])
    };
    lines.iter().map(line).collect()
}

fn part(lines: &[Value]) -> Part {
    Part::parse(text(lines).as_bytes()).unwrap().unwrap()
}

fn about() -> About {
    About {
        title: "test".into(),
        app: apps::AppName::Kv,
        f: 1,
        quorum: 3,
        clock: Clock::Real,
        faults: BTreeMap::new(),
        scenario: None,
    }
}

/// The trace of so many nodes, which a reader takes.
fn merged(n: u16, parts: Vec<Part>, killed: &[(u64, u16)]) -> Trace {
    let cluster = Cluster::new(ClusterId::derive("test", 1), "pbft", n);
    let trace = merge(&cluster, about(), parts, killed);
    assert_eq!(Trace::parse(&trace.to_text()).unwrap(), trace);
    trace
}

/// Sender, content, when it left, and for each copy to whom and when it arrived.
type Seen = (u16, String, u64, Vec<(u16, Vec<u64>)>);

fn messages(trace: &Trace) -> Vec<Seen> {
    let body = |id: u32| {
        trace.lines.iter().find_map(|line| match line {
            Line::Content { id: of, body } if *of == id => body.as_str().map(str::to_owned),
            _ => None,
        })
    };
    let message = |line: &Line| match line {
        Line::Message(Message { t, from, content, to, .. }) => {
            Some((*from, body(*content).unwrap(), *t, to.clone()))
        }
        _ => None,
    };
    trace.lines.iter().filter_map(message).collect()
}

fn changes(trace: &Trace) -> Vec<(u64, u16, NodeChange)> {
    let change = |line: &Line| match line {
        Line::Node { t, node, change } => Some((*t, *node, change.clone())),
        _ => None,
    };
    trace.lines.iter().filter_map(change).collect()
}

#[test]
fn an_arrival_belongs_to_its_copy_and_what_is_lost_has_none() {
    let sender = part(&[
        began(0, 100),
        content("a"),
        sent(110, "a", &[1, 2]),
        content("b"),
        sent(120, "b", &[1]),
        ended(150),
    ]);
    // Links are not of equal speed: node 2 has `a` after node 1 has `b`; `a` to node 1 is lost.
    let first = part(&[began(1, 101), arrived(125, 0, "b"), ended(150)]);
    let second = part(&[began(2, 102), arrived(140, 0, "a"), ended(150)]);
    let trace = merged(3, vec![second, first, sender], &[]);
    assert_eq!(
        messages(&trace),
        [(0, "a".into(), 0, vec![(1, vec![]), (2, vec![30])]), (0, "b".into(), 10, vec![(1, vec![15])]),]
    );
    assert_eq!(trace.header.notes, [""; 0]);
    assert_eq!((trace.header.clock, trace.end.t), (Clock::Real, 10));
}

#[test]
fn of_equal_copies_the_oldest_that_is_not_known_to_be_lost_arrives_first() {
    let mut lost = sent(10, "a", &[1]);
    lost["lost"] = json!([1]);
    let sender = part(&[
        began(0, 0),
        content("a"),
        lost,
        sent(20, "a", &[1]),
        sent(30, "a", &[1]),
        sent(40, "a", &[1]),
        ended(50),
    ]);
    let other = part(&[began(1, 0), arrived(35, 0, "a"), arrived(36, 0, "a"), ended(50)]);
    let trace = merged(2, vec![sender, other], &[]);
    let arrivals: Vec<_> = messages(&trace).into_iter().map(|(_, _, t, to)| (t, to[0].1.clone())).collect();
    assert_eq!(arrivals, [(0, vec![]), (10, vec![25]), (20, vec![26]), (30, vec![])]);
    let copies: Vec<u64> = trace
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Message(message) => Some(message.copy),
            _ => None,
        })
        .collect();
    assert_eq!(copies, [0, 1, 2, 3]);
    let contents = trace.lines.iter().filter(|line| matches!(line, Line::Content { .. }));
    assert_eq!(contents.count(), 1, "a content has one line");
}

#[test]
fn the_same_content_on_two_links_is_told_apart() {
    let of =
        |node: u16| part(&[began(node, 0), content("a"), sent(10 + u64::from(node), "a", &[2]), ended(50)]);
    let other = part(&[began(2, 0), arrived(30, 1, "a"), arrived(40, 0, "a"), ended(50)]);
    let trace = merged(3, vec![of(0), of(1), other], &[]);
    assert_eq!(
        messages(&trace),
        [(0, "a".into(), 0, vec![(2, vec![30])]), (1, "a".into(), 1, vec![(2, vec![20])])]
    );
}

#[test]
fn a_part_that_was_cut_loses_half_a_line_and_nothing_else() {
    let whole = text(&[began(0, 0), content("a"), sent(10, "a", &[1]), sent(20, "a", &[1])]);
    let other = || part(&[began(1, 0), arrived(15, 0, "a"), ended(50)]);
    for cut in 1..30 {
        let sender = Part::parse(&whole.as_bytes()[..whole.len() - cut]).unwrap().unwrap();
        let trace = merged(2, vec![sender, other()], &[(22, 0)]);
        assert_eq!(messages(&trace), [(0, "a".into(), 0, vec![(1, vec![5])])], "{cut}");
        assert_eq!(changes(&trace), [(12, 0, NodeChange::Crashed)]);
        assert_eq!(trace.header.notes, [""; 0]);
    }
    assert!(Part::parse(b"").unwrap().is_none());
    assert!(Part::parse(&whole.as_bytes()[..10]).unwrap().is_none(), "not even the first line is whole");
}

#[test]
fn what_is_missing_is_said() {
    let sender = part(&[began(0, 0), content("a"), sent(10, "a", &[1, 2])]);
    let other = part(&[began(1, 0), arrived(15, 0, "a"), arrived(17, 2, "b"), ended(50)]);
    let trace = merged(3, vec![sender, other], &[]);
    assert_eq!(messages(&trace), [(0, "a".into(), 0, vec![(1, vec![5]), (2, vec![])])]);
    let [no_part, no_end, unmatched] = trace.header.notes.as_slice() else {
        panic!("{:?}", trace.header.notes)
    };
    assert!(no_part.starts_with("node 2: it has recorded nothing"), "{no_part}");
    assert!(no_end.starts_with("node 0: the end of its recording is missing"), "{no_end}");
    assert!(unmatched.starts_with("1 copies from node 2 have arrived"), "{unmatched}");
}

#[test]
fn a_trace_ends_where_the_first_recording_does() {
    let stopped = json!({ "part": "stopped", "why": "the disk is full" });
    let sender = part(&[began(0, 0), content("a"), sent(10, "a", &[1]), stopped]);
    let other = part(&[
        began(1, 0),
        arrived(20, 0, "a"),
        content("b"),
        sent(9, "b", &[0]),
        sent(30, "b", &[0]),
        ended(50),
    ]);
    let trace = merged(2, vec![sender, other], &[(40, 1)]);
    assert_eq!(messages(&trace).len(), 2, "what comes later is not whole");
    assert!(changes(&trace).is_empty());
    let notes = trace.header.notes.join("\n");
    assert!(notes.contains("node 0 is not recorded to the end: the disk is full"), "{notes}");
}

#[test]
fn a_node_that_begins_again_has_lost_what_it_held() {
    let app =
        |t: u64, value: &str| json!({ "is": "app", "t": t, "node": 0, "as_of": 1, "set": { "k": value } });
    let line = |t: u64| json!({ "is": "state", "t": t, "node": 0, "view": 1 });
    let first = part(&[began(0, 0), app(10, "v"), line(11)]);
    let again = part(&[began(0, 40), line(41), ended(60)]);
    let other = || part(&[began(1, 0), ended(60)]);
    let crashed = |trace: &Trace| {
        let expected = [NodeChange::Crashed, NodeChange::Restarted];
        assert_eq!(changes(trace).into_iter().map(|(.., change)| change).collect::<Vec<_>>(), expected);
        let gone = |line: &Line| matches!(line, Line::App { gone, t: 30, .. } if gone == &["k"]);
        assert!(trace.lines.iter().any(gone), "{trace:?}");
        changes(trace)[0].0
    };
    // With and without somebody who has seen it die.
    assert_eq!(crashed(&merged(2, vec![again.clone(), first.clone(), other()], &[(35, 0)])), 25);
    assert_eq!(crashed(&merged(2, vec![again, first, other()], &[])), 1);
}

#[test]
fn values_and_requests_get_numbers_of_their_own() {
    let value = |id: u32, digest: &str| json!({ "is": "value", "id": id, "digest": digest });
    let accepted = |t: u64, node: u16, value: u32| json!({ "is": "mark", "t": t, "node": node, "mark": "accepted", "seq": 1, "value": value });
    let request =
        |t: u64, node: u16| json!({ "is": "request", "t": t, "request": 0, "gateway": node, "asks": "x" });
    let answer = |t: u64| json!({ "is": "answer", "t": t, "request": 0, "seq": 1, "view": 0, "result": "y" });
    let first = part(&[
        began(0, 0),
        value(0, "aa"),
        value(1, "bb"),
        accepted(20, 0, 1),
        accepted(30, 0, 0),
        // Noted when it was handed over, of the time when it came.
        request(10, 0),
        answer(40),
        ended(90),
    ]);
    let second = part(&[
        began(1, 0),
        value(0, "bb"),
        accepted(25, 1, 0),
        request(5, 1),
        json!({ "is": "timed-out", "t": 50, "request": 0 }),
        ended(90),
    ]);
    let trace = merged(2, vec![first, second], &[]);
    let lines: Vec<String> = trace.lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            r#"{"is":"request","t":0,"request":0,"gateway":1,"asks":"x"}"#,
            r#"{"is":"request","t":5,"request":1,"gateway":0,"asks":"x"}"#,
            r#"{"is":"value","id":0,"digest":"bb"}"#,
            r#"{"is":"mark","t":15,"node":0,"mark":"accepted","seq":1,"value":0}"#,
            r#"{"is":"mark","t":20,"node":1,"mark":"accepted","seq":1,"value":0}"#,
            r#"{"is":"value","id":1,"digest":"aa"}"#,
            r#"{"is":"mark","t":25,"node":0,"mark":"accepted","seq":1,"value":1}"#,
            r#"{"is":"answer","t":35,"request":1,"seq":1,"view":0,"result":"y"}"#,
            r#"{"is":"timed-out","t":45,"request":0}"#,
        ]
    );
}

#[test]
fn a_client_with_a_key_asks_all_and_is_answered_by_enough_that_agree() {
    let of = json!({ "client": 4, "session": 7, "counter": 1 });
    let asked = |t: u64| json!({ "part": "client-asked", "t": t, "of": of, "asks": "x" });
    let answered = |t: u64, result: &str| json!({ "part": "client-answered", "t": t, "of": of, "seq": 3, "view": 1, "result": result });
    let of_node = |node: u16, t: u64, result: &str| {
        // It asks again, and is answered again.
        let lines = [asked(t), asked(t + 1), answered(t + 10, result), answered(t + 11, result)];
        part(&[&[began(node, 0)], &lines[..], &[ended(90)]].concat())
    };
    // Node 1 lies.
    let parts = vec![of_node(0, 12, "y"), of_node(1, 10, "z"), of_node(2, 14, "y"), of_node(3, 16, "y")];
    let trace = merged(4, parts, &[]);
    let lines: Vec<String> = trace.lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            r#"{"is":"request","t":0,"request":0,"gateway":1,"asks":"x"}"#,
            r#"{"is":"answer","t":14,"request":0,"seq":3,"view":1,"result":"y"}"#,
        ]
    );
}

#[test]
fn what_is_no_part_is_refused_by_its_line() {
    let refused = |lines: &str| Part::parse(lines.as_bytes()).unwrap_err().to_string();
    let no_part = refused("{\"is\":\"value\"}\n");
    assert!(no_part.starts_with("line 1 of what node ? has recorded cannot be read"), "{no_part}");
    let broken = refused(&(text(&[began(3, 0), content("a")]) + "nonsense\n" + &text(&[ended(9)])));
    assert!(broken.starts_with("line 3 of what node 3 has recorded cannot be read"), "{broken}");
}
