//! The page that is part of this program, and `harness view`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn harness(args: &[&str]) -> Output {
    Command::new(HARNESS).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_page_was_built_from_these_sources() {
    let page = std::fs::read_to_string(project().join("viewer/page.html")).unwrap();
    let digest = viewer::sources::digest(project()).unwrap();
    assert_eq!(
        viewer::sources::recorded(&page),
        Some(digest.as_str()),
        "viewer/page.html is stale: build it again with viewer/build.sh"
    );
}

/// What `harness simulate` says its run's digest is.
fn simulated(protocol: &str, more: &[&str]) -> String {
    let args = [&["simulate", "--protocol", protocol, "--requests", "7", "--seed", "11"], more].concat();
    let output = harness(&args);
    let printed = text(&output.stdout);
    let digest = printed.lines().find_map(|line| line.strip_prefix("digest "));
    digest.unwrap_or_else(|| panic!("{printed}{}", text(&output.stderr))).to_owned()
}

#[test]
fn the_page_plays_the_runs_of_harness_simulate() {
    for protocol in ["pbft", "ccro", "ccro-paper"] {
        let scenario = json!({ "protocol": protocol, "nodes": 4, "requests": 7, "seed": 11 });
        let trace = viewer::ask::play(scenario).unwrap();
        assert_eq!(trace.end.digest, Some(simulated(protocol, &[])), "{protocol}");
    }
    let scenario = json!({
        "protocol": "ccro", "nodes": 7, "app": "bank", "requests": 7, "seed": 11, "clients": 3,
        "network": "lossy", "faults": { "2": ["malicious"], "5": ["drop=0.3"] },
    });
    let more = "--nodes 7 --app bank --clients 3 --network lossy --fault malicious@2 --fault drop=0.3@5";
    let more: Vec<&str> = more.split(' ').collect();
    let trace = viewer::ask::play(scenario).unwrap();
    assert_eq!(trace.end.digest, Some(simulated("ccro", &more)));
}

#[test]
fn a_trace_says_how_many_votes_decide_in_its_flow() {
    let quorum = |protocol: &str| {
        let scenario = json!({ "protocol": protocol, "nodes": 7, "requests": 1 });
        let header = viewer::ask::play(scenario).unwrap().header;
        (header.f, header.quorum)
    };
    // The published flow tolerates one of seven, and decides on 2f+1 votes.
    assert_eq!([quorum("pbft"), quorum("ccro"), quorum("ccro-paper")], [(2, 5), (2, 5), (1, 3)]);
}

/// Takes the module out of the page, and has it play.
const IN_THE_MODULE: &str = r#"
const { readFileSync } = require("node:fs");
const { gunzipSync } = require("node:zlib");
const page = readFileSync(process.argv[1], "utf8");
const packed = page.match(/<script type="text\/plain" id="module">([^<]*)</)[1];
WebAssembly.instantiate(gunzipSync(Buffer.from(packed, "base64"))).then(({ instance: { exports } }) => {
  const question = new TextEncoder().encode(process.argv[2]);
  const place = exports.alloc(question.length);
  new Uint8Array(exports.memory.buffer, place, question.length).set(question);
  const answer = exports.call(place, question.length);
  const bytes = new Uint8Array(exports.memory.buffer, Number(answer >> 32n), Number(answer & 0xffffffffn));
  const { trace } = JSON.parse(new TextDecoder().decode(bytes));
  console.log(JSON.parse(trace.trimEnd().split("\n").at(-1)).digest);
});
"#;

#[test]
fn the_module_in_the_page_plays_them_too() {
    if !Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: node.js is not installed");
        return;
    }
    let page = project().join("viewer/page.html");
    for protocol in ["pbft", "ccro", "ccro-paper"] {
        let scenario = json!({ "protocol": protocol, "nodes": 4, "requests": 7, "seed": 11 });
        let question = json!({ "do": "play", "scenario": scenario }).to_string();
        let output =
            Command::new("node").args(["-e", IN_THE_MODULE]).arg(&page).arg(question).output().unwrap();
        let digest = text(&output.stdout);
        assert_eq!(digest.trim(), simulated(protocol, &[]), "{protocol}: {}", text(&output.stderr));
    }
}

#[test]
fn a_recorded_simulation_can_be_played_again_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.trace");
    let digest = simulated("pbft", &["--fault", "equivocate@0", "--trace", file.to_str().unwrap()]);
    let trace = trace::Trace::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(trace.end.digest.as_ref(), Some(&digest));
    let again = viewer::ask::play(trace.header.scenario.clone().unwrap()).unwrap();
    assert_eq!(again.lines, trace.lines);
}

#[test]
fn an_edit_changes_nothing_before_its_time() {
    let scenario = |edits: serde_json::Value| json!({ "protocol": "pbft", "nodes": 4, "app": "kv", "requests": 4, "edits": edits });
    let before = viewer::ask::play(scenario(json!([]))).unwrap();
    let at_us = before.end.t / 1_000 / 400;
    let prepare = before.lines.iter().find_map(|line| match line {
        trace::Line::Message(message) if message.kind == "prepare" => Some((message.t, message.copy)),
        _ => None,
    });
    let (t, copy) = prepare.unwrap();
    let edits = [
        (at_us * 1_000, json!({ "edit": "crash", "at_us": at_us, "node": 0 })),
        (at_us * 1_000, json!({ "edit": "behave", "at_us": at_us, "node": 2, "faults": ["malicious"] })),
        (t, json!({ "edit": "lose", "copy": copy })),
        (t, json!({ "edit": "duplicate", "copy": copy })),
        (t, json!({ "edit": "delay", "copy": copy, "by_us": 700 })),
    ];
    for (from, edit) in edits {
        let after = viewer::ask::play(scenario(json!([edit]))).unwrap();
        let earlier = |trace: &trace::Trace| -> Vec<String> {
            let lines = trace.lines.iter().filter(|line| line.t().is_some_and(|t| t < from));
            // A message that left before may arrive after, where its receiver is down.
            let lines = lines.filter(|line| !matches!(line, trace::Line::Message(_)));
            lines.map(|line| format!("{line:?}")).collect()
        };
        assert_eq!(earlier(&after), earlier(&before), "{edit}");
        assert_ne!(after.end.digest, before.end.digest, "{edit}");
    }
}

#[test]
fn a_file_that_is_no_whole_trace_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.trace");
    let name = file.to_str().unwrap();
    simulated("pbft", &["--trace", name]);
    let whole = std::fs::read_to_string(&file).unwrap();
    let half = &whole[..whole.len() / 2];
    let other = whole.replacen("\"version\":1", "\"version\":9", 1);
    let refused = [("hello\n", "this is no trace"), (half, "cut short"), (&other, "version 9")];
    for (content, says) in refused {
        std::fs::write(&file, content).unwrap();
        let output = harness(&["view", name]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
    let output = harness(&["view", "nowhere.trace"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read nowhere.trace"));
}

/// Ends with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn asked(address: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_page_is_served_to_its_own_name_only_and_a_taken_port_is_named() {
    let mut served = Served(Command::new(HARNESS).arg("view").stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(served.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let page = std::fs::read_to_string(project().join("viewer/page.html")).unwrap();
    let answer = asked(&address, &address);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&page));
    assert!(asked(&address, "evil.example").starts_with("HTTP/1.1 421"));
    let (_, port) = address.split_once(':').unwrap();
    let output = harness(&["view", "--port", port]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains(&format!("port {port} cannot be used")),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_exported_page_holds_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let [trace, page] = ["run.trace", "run.html"].map(|name| folder.path().join(name));
    simulated("ccro", &["--trace", trace.to_str().unwrap()]);
    let output = harness(&["view", trace.to_str().unwrap(), "--export", page.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (trace, page) = (std::fs::read_to_string(trace).unwrap(), std::fs::read_to_string(page).unwrap());
    assert!(page.contains(&trace.replace('<', "\\u003c")));
    let output = harness(&["view", "--export", "/nowhere/run.html"]);
    assert_eq!(output.status.code(), Some(2));
}
