//! What is read back, and what is refused.

use crate::generated::any_trace;
use crate::runs;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use trace::{BadTrace, Trace};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read(trace in any_trace()) {
        prop_assert_eq!(Trace::parse(&trace.to_text()), Ok(trace));
    }
}

#[test]
fn a_recorded_run_is_read() {
    for trace in [runs::one_put(), runs::view_change()] {
        assert_eq!(Trace::parse(&trace.to_text()), Ok(trace));
    }
}

/// The example in the documentation, which pins the format.
#[test]
fn a_run_is_written_as_the_documentation_shows() {
    let example = include_str!("../../../docs/one-decision.trace");
    assert!(
        runs::example().to_text() == example,
        "the format of traces has changed: if that is meant, raise VERSION unless only optional fields are new (see \
         docs/trace-format.md), and write docs/one-decision.trace again: \
         cargo test -p trace -- --ignored"
    );
    let said = include_str!("../../../docs/trace-format.md");
    for line in said.lines().filter(|line| line.starts_with("{\"")) {
        assert!(
            example.lines().any(|of| of == line),
            "{line}\nis not in docs/one-decision.trace: copy its line from there to docs/trace-format.md"
        );
    }
}

#[test]
#[ignore = "writes the example of the documentation"]
fn the_example_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/one-decision.trace");
    std::fs::write(path, runs::example().to_text()).unwrap();
}

const HEADER: &str = r#"{"format":"bft-trace","version":1,"protocol":"pbft","app":"kv","nodes":4,"f":1,"quorum":3,"clock":"virtual","title":"x"}"#;
const VALUE: &str = r#"{"is":"value","id":0,"digest":"aa"}"#;
const CONTENT: &str = r#"{"is":"content","id":0,"body":{}}"#;
const VOTE: &str = r#"{"is":"vote","t":5,"node":0,"author":1,"phase":"prepare","seq":1,"value":0}"#;
const MESSAGE: &str =
    r#"{"is":"message","t":5,"from":0,"kind":"prepare","content":0,"bytes":9,"copy":0,"to":[[1,[7]]]}"#;

/// A trace of these lines.
fn text(header: &str, lines: &[&str]) -> String {
    let mut text = format!("{header}\n");
    lines.iter().for_each(|line| writeln!(text, "{line}").expect("memory"));
    writeln!(text, "{{\"end\":true,\"lines\":{},\"t\":9}}", lines.len()).expect("memory");
    text
}

#[track_caller]
fn check(text: &str, sentence: &str) {
    assert_eq!(Trace::parse(text).unwrap_err().to_string(), sentence);
}

#[test]
fn what_the_refusals_begin_with_is_read() {
    let trace = Trace::parse(&text(HEADER, &[VALUE, CONTENT, VOTE, MESSAGE])).unwrap();
    assert_eq!((trace.header.nodes, trace.lines.len(), trace.end.t), (4, 4, 9));
    // Line ends as on other systems, and a last line without one.
    let whole = text(HEADER, &[VALUE, CONTENT, VOTE, MESSAGE]);
    assert_eq!(Trace::parse(&whole.replace('\n', "\r\n")), Ok(trace.clone()));
    assert_eq!(Trace::parse(whole.trim_end()), Ok(trace.clone()));
    // Fields of a later program.
    assert_eq!(
        Trace::parse(
            &whole.replace("\"t\":", "\"later\":[1],\"t\":").replace("\"app\"", "\"later\":0,\"app\"")
        ),
        Ok(trace)
    );
}

#[test]
fn what_is_no_trace_is_refused() {
    let sentence = "this is no trace: its first line does not say \"format\": \"bft-trace\"; give a file that \
                    --trace has written";
    for other in ["", "\n", "hello", "{}", "[1]", "{\"format\":\"pcap\"}", "\u{feff}", VALUE] {
        check(other, sentence);
    }
    check(&text(HEADER, &[])[HEADER.len() + 1..], sentence);
}

#[test]
fn another_version_is_refused() {
    for version in ["0", "2", "4294967297"] {
        let header = HEADER.replace("\"version\":1", &format!("\"version\":{version},\"other\":[]"));
        let sentence = format!(
            "this trace has version {version} of the format, and only version 1 can be read; record the run \
             again with this program, or read it with the one that wrote it"
        );
        check(&text(&header, &[]), &sentence);
    }
    for version in ["\"1\"", "-1", "null"] {
        let header = HEADER.replace("\"version\":1", &format!("\"version\":{version}"));
        check(&text(&header, &[]), "line 1 cannot be read: its version is no whole number");
    }
}

#[test]
fn a_header_that_cannot_be_meant_is_refused() {
    for (good, bad, sentence) in [
        ("\"nodes\":4", "\"nodes\":0", "nodes is 0; a cluster has at least one replica"),
        (
            "\"title\":\"x\"",
            "\"title\":\"x\",\"faults\":{\"4\":[]}",
            "faults names node 4, and there are 4, from 0",
        ),
        ("\"quorum\":3,", "", "missing field `quorum`"),
        ("virtual", "lunar", "unknown variant `lunar`, expected `virtual` or `real`"),
    ] {
        check(&text(&HEADER.replace(good, bad), &[]), &format!("line 1 cannot be read: {sentence}"));
    }
}

#[test]
fn a_trace_that_was_cut_is_refused_wherever_it_was() {
    let whole = text(HEADER, &[VALUE, CONTENT, VOTE, MESSAGE]);
    for length in 1..whole.len() - 1 {
        let cut = &whole[..length];
        let error = Trace::parse(cut).unwrap_err();
        let lines = cut.lines().count();
        // A line that lost nothing but its end is whole.
        let is_whole = whole[length..].starts_with('\n') || cut.ends_with('\n');
        let expected = match (lines, is_whole) {
            (1, false) if !cut.contains("bft-trace\"") => BadTrace::NoTrace,
            (lines, is_whole) => BadTrace::CutShort(lines - usize::from(!is_whole)),
        };
        assert_eq!(error, expected, "{cut}");
    }
    check(
        &whole[..whole.len() - 10],
        "this trace was cut short after line 5: its last line, which says how many there are, is missing; copy \
         the whole file, or record the run again",
    );
}

#[test]
fn a_trace_with_lines_lost_or_added_is_refused() {
    let whole = text(HEADER, &[VALUE, CONTENT, VOTE]);
    let sentence = |found| {
        format!(
            "this trace has {found} lines between the first and the last, and the last says 3; copy the whole \
             file again"
        )
    };
    check(&whole.replace(&format!("{VOTE}\n"), ""), &sentence(2));
    check(&whole.replace(VOTE, &format!("{VOTE}\n{VOTE}")), &sentence(4));
    for more in ["\n", VALUE, "{\"end\":true,\"lines\":3,\"t\":9}\n"] {
        let sentence = "line 6 cannot be read: nothing may follow the line that ends a trace";
        check(&format!("{whole}{more}"), sentence);
    }
}

#[test]
fn a_line_that_names_what_there_is_not_is_refused() {
    let lines = [VALUE, CONTENT, VOTE, MESSAGE];
    let node = "it names node 4, and there are 4, from 0";
    for (line, good, bad, problem) in [
        (4, "\"node\":0", "\"node\":4", node),
        (4, "\"author\":1", "\"author\":4", node),
        (5, "\"from\":0", "\"from\":4", node),
        (5, "[1,[7]]", "[1,[7]],[4,[]]", node),
        (4, "\"value\":0", "\"value\":1", "it names value 1, which has no line before it"),
        (5, "\"bytes\"", "\"value\":3,\"bytes\"", "it names value 3, which has no line before it"),
        (5, "\"content\":0", "\"content\":1", "it names content 1, which has no line before it"),
        (2, "\"id\":0", "\"id\":1", "it defines value 1, and the next one is 0"),
        (3, "\"id\":0", "\"id\":7", "it defines content 7, and the next one is 0"),
        (5, "\"t\":5", "\"t\":4", "its time is before that of the line above it"),
        (6, "\"t\":9", "\"t\":4", "the run ends before the time of the line above it"),
        (4, "\"vote\"", "\"veto\"", "unknown variant `veto`"),
        (4, ",\"phase\":\"prepare\"", "", "missing field `phase`"),
        (5, "\"t\":5", "\"t\":-5", "invalid value: integer `-5`, expected u64"),
        (3, CONTENT, "", "EOF while parsing a value"),
    ] {
        let whole = text(HEADER, &lines);
        let changed: Vec<String> = (1..)
            .zip(whole.lines())
            .map(|(at, text)| if at == line { text.replacen(good, bad, 1) } else { text.to_owned() })
            .collect();
        let error = Trace::parse(&(changed.join("\n") + "\n")).unwrap_err().to_string();
        let expected = format!("line {line} cannot be read: {problem}");
        assert!(error.starts_with(&expected), "{error}\nis not\n{expected}");
    }
    let mark = r#"{"is":"mark","t":6,"node":0,"mark":"accepted","seq":1,"value":2}"#;
    check(
        &text(HEADER, &[VALUE, mark]),
        "line 3 cannot be read: it names value 2, which has no line before it",
    );
    // The definition is there, only too late.
    check(
        &text(HEADER, &[VOTE, VALUE]),
        "line 2 cannot be read: it names value 0, which has no line before it",
    );
}

#[test]
fn ten_megabytes_are_read_in_well_under_a_second() {
    let mut trace = runs::view_change();
    let (definitions, events): (Vec<_>, Vec<_>) = trace.lines.drain(..).partition(|line| line.t().is_none());
    let length = |lines: &[trace::Line]| serde_json::to_string(lines).expect("JSON").len();
    let times = (10 << 20) / length(&events) + 1;
    let t = trace.end.t;
    let repeated = events.iter().cycle().take(times * events.len()).cloned();
    trace.lines = definitions.into_iter().chain(repeated.map(|line| at(line, t))).collect();
    trace.end.lines = trace.lines.len();
    let text = trace.to_text();
    assert!(text.len() > 10 << 20);
    let began = Instant::now();
    let read = Trace::parse(&text);
    let took = began.elapsed();
    assert!(read.is_ok(), "{read:?}");
    println!("{} bytes, {} lines: {took:?}", text.len(), trace.lines.len());
    // Five times what it takes on a slow machine that does nothing else: a quadratic
    // reader takes minutes.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// The same line at another time.
fn at(line: trace::Line, t: u64) -> trace::Line {
    let mut value = serde_json::to_value(line).expect("JSON");
    value["t"] = t.into();
    serde_json::from_value(value).expect("a line")
}
