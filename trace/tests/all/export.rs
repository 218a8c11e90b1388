//! The charts: valid in their languages whatever is in a trace, and right about small runs.

use crate::generated::any_trace;
use crate::runs;
use proptest::prelude::*;
use roxmltree::Document;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Command;
use trace::export::{ExportError, Selection, chrome, mermaid, msc, summary, svg};
use trace::{Line, Message, NodeChange, Trace};

const ALL: Selection = Selection { seq: None, from_ns: 0, until_ns: None };

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_form_is_valid_whatever_is_in_a_trace(trace in any_trace()) {
        summary(&trace);
        let Ok(svg) = svg(&trace, &ALL) else {
            prop_assert!(trace.lines.iter().all(|line| line.t().is_none()));
            return Ok(());
        };
        let document = Document::parse(&svg);
        prop_assert!(document.is_ok(), "{:?}", document);
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
        check_chrome(&chrome(&trace, &ALL).expect("not empty"));
        check_mermaid(&mermaid(&trace, &ALL).expect("not empty"), trace.header.nodes);
        check_msc(&msc(&trace, &ALL).expect("not empty"));
    }
}

fn messages(trace: &Trace) -> impl Iterator<Item = &Message> {
    trace.lines.iter().filter_map(|line| if let Line::Message(message) = line { Some(message) } else { None })
}

/// How many copies left, and how many of them arrived.
fn copies(trace: &Trace) -> (usize, usize) {
    let copies = || messages(trace).flat_map(|message| &message.to);
    (copies().count(), copies().map(|(_, times)| times.len()).sum())
}

// ---- Selections

fn kinds(chart: &str, kind: &str) -> usize {
    chart.lines().filter(|line| line.contains(kind)).count()
}

#[test]
fn a_selection_of_slots_has_them_and_what_is_about_none_between() {
    let trace = runs::view_change();
    let slot = |seq| Selection { seq: Some(seq..seq + 1), ..ALL };
    let first = mermaid(&trace, &slot(1)).unwrap();
    assert!(first.contains("pre-prepare v0 s1"), "{first}");
    assert!(!first.contains(" s2 "), "{first}");
    let second = mermaid(&trace, &slot(2)).unwrap();
    assert!(second.contains("pre-prepare v1 s2"), "{second}");
    assert!(!second.contains(" s1 "), "{second}");
    // The request that slot 2 answers, the crash before it, and the view change.
    assert!(second.contains("clients->>n1: 0.450 ms Put key=two value=2\n"), "{second}");
    assert!(!second.contains("key=one"), "{second}");
    assert_eq!(kinds(&second, "begins view 1"), 3, "{second}");
}

#[test]
fn a_selection_of_times_has_what_happens_then() {
    let trace = runs::one_put();
    let selection = Selection { from_ns: 200_000, until_ns: Some(300_000), seq: None };
    let chart = msc(&trace, &selection).unwrap();
    assert_eq!(kinds(&chart, "prepare v0"), 3, "{chart}");
    assert_eq!(kinds(&chart, "->"), 3, "{chart}");
    let selection = Selection { seq: Some(1..2), ..selection };
    assert_eq!(msc(&trace, &selection).unwrap(), chart);
}

#[test]
fn a_chart_that_nobody_could_read_is_refused_with_what_to_do() {
    let mut trace = runs::one_put();
    let message = messages(&trace).nth(1).expect("a proposal").clone();
    let many = std::iter::repeat_n(Line::Message(Message { t: trace.end.t, ..message }), 1000);
    trace.lines.extend(many);
    let sentence = |most| {
        format!(
            "the chart would have 3030 arrows, and one with more than {most} cannot be read; choose slots with \
             --slots A..B or a time with --ms A..B: the trace has slots 1 to 1, and it lasts 10.000 ms"
        )
    };
    assert_eq!(msc(&trace, &ALL).unwrap_err().to_string(), sentence(500));
    assert_eq!(mermaid(&trace, &ALL).unwrap_err().to_string(), sentence(500));
    assert_eq!(svg(&trace, &ALL).unwrap_err().to_string(), sentence(3000));
    assert!(chrome(&trace, &ALL).is_ok());
    assert!(svg(&trace, &Selection { until_ns: Some(1_000_000), ..ALL }).is_ok());
}

#[test]
fn an_empty_chart_is_refused_with_what_there_is() {
    let trace = runs::one_put();
    let selection = Selection { seq: Some(2..9), ..ALL };
    let nothing = ExportError::Nothing("the trace has slots 1 to 1, and it lasts 10.000 ms".into());
    assert_eq!(
        nothing.to_string(),
        "nothing that is chosen is in the trace; choose other slots with --slots A..B or another time with --ms \
         A..B: the trace has slots 1 to 1, and it lasts 10.000 ms"
    );
    for made in [
        msc(&trace, &selection),
        mermaid(&trace, &selection),
        svg(&trace, &selection),
        chrome(&trace, &selection),
    ] {
        assert_eq!(made.unwrap_err(), nothing);
    }
}

// ---- mscgen

/// Outside of quotation marks there are only words, arrows and punctuation.
fn check_msc(chart: &str) {
    let mut quoted = false;
    let mut outside = String::new();
    let mut chars = chart.split_once('\n').expect("a comment").1.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => assert!(matches!(chars.next(), Some('"' | 'n')), "{chart}"),
            _ if !quoted => outside.push(c),
            _ => assert!(!c.is_control(), "{chart}"),
        }
    }
    assert!(!quoted, "{chart}");
    let is_expected = |c: char| c.is_ascii_alphanumeric() || "-> \n{}[]=,;".contains(c);
    assert!(outside.chars().all(is_expected), "{outside}");
}

/// Whether mscgen draws it; skipped where it is not installed.
fn render(name: &str, chart: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, drawn) = (folder.path().join("chart.msc"), folder.path().join("chart.svg"));
    std::fs::write(&source, chart).expect("a file");
    let command =
        Command::new("mscgen").args(["-T", "svg", "-i"]).arg(&source).arg("-o").arg(&drawn).output();
    let output = match command {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return println!(
                "SKIPPED: mscgen is not installed (Debian: apt-get install mscgen), {name} was not drawn"
            );
        }
        output => output.expect("mscgen runs"),
    };
    assert!(output.status.success(), "{name}: {}\n{chart}", String::from_utf8_lossy(&output.stderr));
    let drawn = std::fs::read_to_string(&drawn).expect("a drawing");
    assert!(drawn.contains("pre-prepare"), "{name}: {drawn}");
}

#[test]
fn mscgen_draws_the_charts() {
    let mut words = runs::one_put();
    let nasty = r#"\ " \" \n ; # % < > & [ ] { } -> ü 漢 end"#;
    words.header.title = format!("{nasty}\nmore");
    words.header.faults = BTreeMap::from([(3, vec![nasty.into()])]);
    words.lines.push(Line::Network { t: words.end.t, change: nasty.into() });
    for (name, trace) in [
        ("one put", runs::one_put()),
        ("view change", runs::view_change()),
        ("equivocation", runs::equivocation()),
        ("words", words),
    ] {
        let until_ns = Some(2_000_000);
        render(name, &msc(&trace, &Selection { until_ns, ..ALL }).expect("a chart"));
    }
}

#[test]
fn a_chart_for_mscgen_has_each_copy_and_each_decision() {
    let chart = msc(&runs::one_put(), &ALL).unwrap();
    let arrows: usize = chart.lines().map(|line| line.matches(" -> ").count()).sum();
    assert_eq!(arrows, copies(&runs::one_put()).1 + 2, "with the request and the answer: {chart}");
    assert_eq!(kinds(&chart, "decided slot 1"), 4, "{chart}");
    for line in [
        "  clients, n0 [label=\"node 0\\ncommander\"], n1 [label=\"node 1\"], n2 [label=\"node 2\"], n3 [label=\"node 3\"];",
        "  n0 -> n1 [label=\"0.100 ms pre-prepare v0 s1 024051af\"], n0 -> n2, n0 -> n3;",
        "  n1 -> clients [label=\"0.500 ms answer s1 Stored created=true\"];",
    ] {
        assert!(chart.lines().any(|of| of == line), "{line}\nis not in\n{chart}");
    }
    let crash = msc(&runs::view_change(), &Selection { until_ns: Some(2_000_000), ..ALL }).unwrap();
    for line in [
        "  n0 box n0 [label=\"crashes\", textbgcolour=\"#ffd9d9\"];",
        "  n1 -x n0 [label=\"0.450 ms request\"];",
    ] {
        assert!(crash.lines().any(|of| of == line), "{line}\nis not in\n{crash}");
    }
}

// ---- Mermaid

/// Each line is one of the forms that are written, and its text has no character that
/// means something to Mermaid, other than in character codes.
fn check_mermaid(chart: &str, nodes: u16) {
    let parties: Vec<String> = (0..nodes).map(|node| format!("n{node}")).chain(["clients".into()]).collect();
    let mut lines = chart.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    for line in lines {
        let line = line.strip_prefix("  ").expect("indented");
        let text = if let Some((head, text)) = line.split_once(": ") {
            let parts = head.strip_prefix("Note over ").map(|over| over.split(',').collect::<Vec<_>>());
            let parts = parts.unwrap_or_else(|| {
                head.splitn(2, if head.contains("--x") { "--x" } else { "->>" }).collect()
            });
            assert!(parts.iter().all(|part| parties.iter().any(|party| party == part)), "{line}");
            text
        } else if let Some((head, text)) = line.split_once(" as ") {
            assert!(
                head.strip_prefix("participant ").is_some_and(|id| parties.iter().any(|party| party == id)),
                "{line}"
            );
            text
        } else {
            assert!(line == "actor clients" || line.starts_with("title "), "{line}");
            line
        };
        let mut rest = text;
        while let Some((before, code)) = rest.split_once('#') {
            let (code, after) = code.split_once(';').unwrap_or_else(|| panic!("{line}"));
            assert!(code.parse::<u32>().is_ok(), "{line}");
            assert!(!before.contains([';', '"', '<', '>', ':', '%', '{', '}']), "{line}");
            rest = after;
        }
        assert!(!rest.contains([';', '"', '<', '>', ':', '%', '{', '}']), "{line}");
    }
}

#[test]
fn contents_are_escaped_for_mermaid() {
    let chart = mermaid(&runs::one_put(), &ALL).unwrap();
    // "a \"value\"; of #2\n<end>"; a line end is a space in every chart.
    let value = ": 0.000 ms Put key=key value=a #34;value#34;#59; of #35;2 #60;end#62;\n";
    assert!(chart.contains(value), "{value}\nis not in\n{chart}");
    check_mermaid(&chart, 4);
}

#[test]
fn a_chart_for_mermaid_has_each_copy_and_marks_the_lost() {
    let trace = runs::view_change();
    let selection = Selection { until_ns: Some(2_000_000), ..ALL };
    let chart = mermaid(&trace, &selection).unwrap();
    assert!(chart.contains("  Note over n0: ⚠ crashes\n"), "{chart}");
    assert!(chart.contains("  n1--xn0: 0.450 ms request (lost)\n"), "{chart}");
    let whole = mermaid(&runs::one_put(), &ALL).unwrap();
    assert_eq!(kinds(&whole, "->>"), copies(&runs::one_put()).1 + 2);
    assert!(whole.contains("  participant n0 as node 0, commander\n"), "{whole}");
}

// ---- SVG

#[test]
fn arrows_are_at_their_real_times() {
    let trace = runs::one_put();
    let text = svg(&trace, &ALL).unwrap();
    let document = Document::parse(&text).unwrap();
    let number = |node: roxmltree::Node<'_, '_>, name| {
        node.attribute(name).expect(name).parse::<f64>().expect("a number")
    };
    let tip = |node: &roxmltree::Node<'_, '_>| {
        node.first_element_child().and_then(|child| child.text()).unwrap_or("").to_owned()
    };
    let arrows: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("line") && tip(node).contains(" ms to "))
        .collect();
    assert_eq!(arrows.len(), copies(&trace).1);
    let width = number(arrows[0], "x2") - number(arrows[0], "x1");
    assert!(width > 150.0, "nothing is drawn when states are noted at the end: {width}");
    for arrow in &arrows {
        // All delays are the same.
        assert!((number(*arrow, "x2") - number(*arrow, "x1") - width).abs() < 0.2, "{arrow:?}");
    }
    let of = |label: &str| *arrows.iter().find(|arrow| tip(arrow).starts_with(label)).expect(label);
    let proposal = of("pre-prepare v0 s1 024051af from 0 to 2, 0.100 ms to 0.200 ms");
    let prepare = of("prepare v0 s1 024051af from 2 to 0, 0.200 ms to 0.300 ms");
    assert!((number(proposal, "x2") - number(prepare, "x1")).abs() < 0.2);
    assert_eq!(proposal.attribute("y2"), prepare.attribute("y1"), "on the lane of node 2");
    assert_eq!(proposal.attribute("y1"), prepare.attribute("y2"), "on the lane of node 0");
}

#[test]
fn quorums_fill_as_votes_come_in() {
    let text = svg(&runs::one_put(), &ALL).unwrap();
    for tip in [
        "node 2 has 2 of 3 votes to prepare 024051af in slot 1",
        "node 2 has 4 of 3 votes to prepare 024051af in slot 1",
        "node 2 has 4 of 3 votes to commit 024051af in slot 1",
    ] {
        assert!(text.contains(tip), "{tip}\nis not in\n{text}");
    }
    assert!(text.contains("quorum prepare\"><title>node 2 has 2 of 3"), "{text}");
    assert!(text.contains("quorum prepare full\"><title>node 2 has 4 of 3"), "{text}");
}

#[test]
fn the_diagram_shows_faults_and_view_changes_and_suits_dark_pages() {
    let mut trace = runs::view_change();
    trace.header.title = "<script>&\"\u{1}".into();
    let until = |ns| Selection { until_ns: Some(ns), seq: Some(1..3), from_ns: 0 };
    let text = svg(&trace, &until(1_000_000_000)).unwrap();
    let document = Document::parse(&text).unwrap();
    let count =
        |class: &str| document.descendants().filter(|node| node.attribute("class") == Some(class)).count();
    assert_eq!(count("down") - 1, 1, "beside the legend's");
    assert_eq!(count("change") - 1, 3);
    let later = Selection { from_ns: 600_400_000, until_ns: Some(601_500_000), seq: None };
    assert!(svg(&trace, &later).unwrap().contains("<title>node 0 is down</title>"), "since before");
    let much_later = Selection { from_ns: 1_500_000_000, ..ALL };
    assert!(!svg(&trace, &much_later).unwrap().contains("<title>node 0 is down</title>"), "it is up again");
    assert!(text.contains("node 1 changes to view 1") && text.contains(">view 1</text>"), "{text}");
    assert!(text.contains("does not arrive"), "{text}");
    assert!(text.contains("<title>&lt;script&gt;&amp;&quot; </title>"), "{text}");
    assert!(text.contains("@media screen and (prefers-color-scheme:dark)"));
}

// ---- Chrome

type Key = (u64, u64);

fn key(event: &Value) -> Key {
    (event["pid"].as_u64().expect("pid"), event["tid"].as_u64().expect("tid"))
}

/// JSON whose times never go back, whose flows begin once, then end once, each in a slice.
fn check_chrome(text: &str) -> Value {
    let whole: Value = serde_json::from_str(text).expect("JSON");
    let events = whole["traceEvents"].as_array().expect("events");
    let mut before = 0.0;
    let mut flows: BTreeMap<u64, &str> = BTreeMap::new();
    let mut slices: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
    for event in events {
        let ts = event["ts"].as_f64().expect("a time");
        assert!(ts >= before, "{event} is before {before}");
        before = ts;
        let phase = event["ph"].as_str().expect("a phase");
        if phase == "X" {
            assert!(event["dur"].as_f64().expect("a duration") >= 0.0, "{event}");
            slices.entry(key(event)).or_default().push(ts);
        }
        if phase == "s" || phase == "f" {
            let id = event["id"].as_u64().expect("an id");
            let expected = if phase == "s" { None } else { Some("s") };
            assert_eq!(flows.insert(id, phase), expected, "{event}");
            assert!(slices[&key(event)].contains(&ts), "{event} is in no slice");
        }
    }
    assert!(flows.values().all(|phase| *phase == "f"), "{flows:?}");
    whole
}

#[test]
fn events_for_chrome_have_a_process_for_each_node_and_an_arrow_for_each_arrival() {
    let trace = runs::view_change();
    let whole = check_chrome(&chrome(&trace, &ALL).unwrap());
    let events = whole["traceEvents"].as_array().unwrap();
    let of = |phase: &str, name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["ph"] == phase && event["name"] == name).collect()
    };
    let names: Vec<&str> =
        of("M", "process_name").iter().filter_map(|event| event["args"]["name"].as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(names.contains(&"node 0, commander"), "{names:?}");
    let arrows = events.iter().filter(|event| event["ph"] == "f").count();
    assert_eq!(arrows, copies(&trace).1);
    let sent = messages(&trace).count();
    assert_eq!(events.iter().filter(|event| event["ph"] == "X" && event["tid"] == 1).count(), sent);
    // An arrow joins two slices, and it is clear which: no two of a track begin together.
    let mut begun = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X" && [1, 2].contains(&key(event).1)) {
        let ts = event["ts"].as_f64().expect("a time");
        let before = begun.insert(key(event), ts);
        assert!(before.is_none_or(|before| before < ts), "{event} and the one before it");
    }
    // Slot 1 at node 2: accepted at 200, a commit sent at 300, decided and executed at 400.
    let slices =
        events.iter().filter(|event| event["ph"] == "X" && event["pid"] == 3 && event["args"]["seq"] == 1);
    let slices: Vec<(&str, f64, f64)> = slices
        .map(|event| {
            (event["name"].as_str().unwrap(), event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap())
        })
        .collect();
    let expected = [
        ("slot 1", 200.0, 200.0),
        ("prepare", 200.0, 100.0),
        ("commit", 300.0, 100.0),
        ("execute", 400.0, 0.0),
    ];
    assert_eq!(slices[..4], expected);
    assert_eq!(of("i", "crashes").len(), 1);
    assert_eq!(of("i", "begins view 1").len(), 4, "the restarted node, too");
    assert!(of("C", "in flight").len() >= 4);
}

// ---- Summary

#[test]
fn a_summary_tells_what_is_in_it() {
    let mut trace = runs::view_change();
    trace.header.faults = BTreeMap::from([(3, vec!["withhold".into()])]);
    trace.header.notes = vec!["node 1 was not recorded".into()];
    trace.end.violation = Some("they disagree\u{1b}[2J".into());
    let text = summary(&trace);
    let line = |begin: &str| {
        text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {text}"))
    };
    assert_eq!(line("protocol"), "protocol      pbft, application kv");
    assert_eq!(line("nodes"), "nodes         4, at most 1 faulty, 3 votes decide");
    assert_eq!(line("missing"), "missing       node 1 was not recorded");
    assert_eq!(line("VIOLATION"), "VIOLATION     they disagree [2J");
    assert!(line("requests").starts_with("requests      2 asked, 2 answered, median "), "{text}");
    assert!(line("decided").starts_with("decided       80 slots, 1 to 80: 80 direct"), "{text}");
    assert!(line("view changes").starts_with("view changes  view 1 at "), "{text}");
    assert_eq!(line("faults"), "faults        node 3: withhold");
    assert!(text.contains("0.450 ms: node 0 crashes\n"), "{text}");
    assert!(text.contains(": node 0 starts again without its memory\n"), "{text}");
    let requests = messages(&trace).filter(|message| message.kind == "request").count();
    let row = text.lines().find(|line| line.trim_start().starts_with("request ")).unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some(requests.to_string().as_str()), "{row}");
}

#[test]
fn a_summary_counts_offences_by_who_sent_them() {
    let mut trace = runs::one_put();
    let rejected = |from, offence| Line::Rejected {
        t: trace.end.t,
        node: 0,
        from,
        seq: None,
        reason: "bad signature".into(),
        offence,
    };
    let lines = [rejected(1, true), rejected(1, true), rejected(2, false), rejected(3, true)];
    trace.lines.extend(lines);
    let text = summary(&trace);
    let said = "refused       2 from node 1 for what only a faulty author writes, itself or another\n              1 from node 3 for";
    assert!(text.contains(said), "{text}");
}

#[test]
fn a_summary_of_nothing_says_so() {
    let mut trace = runs::one_put();
    trace.lines.clear();
    let text = summary(&trace);
    for line in [
        "requests      0 asked, 0 answered, 0 not in time",
        "decided       no slot",
        "view changes  none",
        "faults        none",
        "messages      none",
    ] {
        assert!(text.lines().any(|of| of == line), "{line}\nis not in\n{text}");
    }
    trace.lines.push(Line::Node {
        t: 0,
        node: 1,
        change: NodeChange::Behaves { faults: vec!["malicious".into()] },
    });
    assert!(summary(&trace).contains("faults        0.000 ms: node 1 faulty: malicious\n"));
}
