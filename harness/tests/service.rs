//! The applications as they are used: `harness up --app` and plain HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use harness::results::files::read_rows;
use harness::results::schema::{Outcome, SampleRow, SummaryRow};
use serde_json::Value;

#[path = "support/http.rs"]
#[allow(dead_code, reason = "shared with other tests, which need more of it")]
mod http;

/// A cluster of five nodes that is stopped with its end.
struct Cluster {
    harness: Child,
    first_port: u16,
}

impl Cluster {
    fn start(arguments: &[&str]) -> Cluster {
        let first_port = harness::cluster::ports::bind_free(1).unwrap()[0].local_addr().unwrap().port();
        let mut harness = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(["up", "--nodes", "5", "--port", &first_port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(harness.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Ctrl-C stops all nodes")));
        // Whoever writes to a pipe that nobody reads is ended by it.
        std::thread::spawn(move || lines.for_each(drop));
        Cluster { harness, first_port }
    }

    /// Status and body of an answer of one node.
    fn ask(&self, node: u16, method: &str, path: &str, body: &str) -> (u16, Value) {
        http::ask(self.first_port + node, method, path, body)
    }

    fn text(&self, node: u16, method: &str, path: &str, body: &str) -> (u16, String) {
        http::text(self.first_port + node, method, path, body)
    }

    fn get(&self, node: u16, path: &str) -> (u16, Value) {
        self.ask(node, "GET", path, "")
    }

    fn post(&self, node: u16, path: &str, body: &str) -> (u16, Value) {
        self.ask(node, "POST", path, body)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.harness.kill();
        let _ = self.harness.wait();
    }
}

#[test]
fn a_value_is_read_through_any_node_and_survives_the_commander() {
    let cluster = Cluster::start(&["--app", "kv"]);
    let (status, stored) = cluster.post(0, "/api/v1/kv", r#"{"key": "test_key", "value": "test_value"}"#);
    assert_eq!((status, &stored["created"]), (200, &true.into()));
    assert_eq!((&stored["decision"]["seq"], &stored["decision"]["replies"]), (&1.into(), &2.into()));
    for node in 0..5 {
        let (status, read) = cluster.get(node, "/api/v1/kv?key=test_key");
        assert_eq!((status, &read["value"]), (200, &"test_value".into()), "through node {node}");
    }
    let (status, local) = cluster.get(0, "/api/v1/kv/local?key=test_key");
    assert_eq!((status, &local["value"], &local["may_be_stale"]), (200, &"test_value".into(), &true.into()));
    assert!(local["as_of"].as_u64() >= Some(1));

    let (_, before) = cluster.get(0, "/api/v1/pbft/state");
    assert_eq!((&before["role"], &before["view"]), (&"commander".into(), &0.into()));
    let (_, status) = cluster.get(0, "/status");
    let pid = nix::unistd::Pid::from_raw(status["pid"].as_i64().unwrap() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let (status, read) = cluster.get(1, "/api/v1/kv?key=test_key");
    assert_eq!((status, &read["value"]), (200, &"test_value".into()));
    let (_, after) = cluster.get(1, "/api/v1/state");
    assert_eq!((&after["role"], &after["view"]), (&"commander".into(), &1.into()));
    assert_eq!(after, cluster.get(1, "/api/v1/pbft/state").1);
    assert_eq!(cluster.get(1, "/ready"), (200, serde_json::json!({"ok": true, "problems": []})));
}

/// Whether an answer is as `/openapi.json` describes it.
fn is_as_described(description: &Value, (method, path): (&str, &str), status: u16, answer: &Value) -> bool {
    let responses = &description["paths"][path][method.to_lowercase()]["responses"];
    let schema = &responses[status.to_string()]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} does not describe {status}: {responses}");
    let whole = serde_json::json!({ "components": description["components"], "allOf": [schema] });
    jsonschema::validator_for(&whole).unwrap().is_valid(answer)
}

#[test]
fn answers_are_as_the_description_says() {
    for (protocol, app, asked) in [
        (
            "pbft",
            "kv",
            &[
                ("POST", "/api/v1/kv", "", r#"{"key": "k", "value": "v"}"#, 200),
                ("POST", "/api/v1/kv", "", r#"{"key": "k"}"#, 400),
                ("GET", "/api/v1/kv", "?key=k", "", 200),
                ("GET", "/api/v1/kv", "?key=x", "", 404),
                ("GET", "/api/v1/kv", "?prefix=k", "", 200),
                ("GET", "/api/v1/kv/local", "?key=k", "", 200),
                ("GET", "/api/v1/kv/local", "?prefix=", "", 200),
                ("POST", "/api/v1/kv/cas", "", r#"{"key": "k", "expected": "x", "new": null}"#, 409),
                ("POST", "/api/v1/kv/cas", "", r#"{"key": "k", "expected": "v", "new": "w"}"#, 200),
                ("DELETE", "/api/v1/kv", "?key=k", "", 200),
                ("DELETE", "/api/v1/kv", "?key=k", "", 404),
                ("POST", "/api/v1/bank/accounts", "", r#"{"account": "a"}"#, 404),
            ][..],
        ),
        (
            "broadcast",
            "bank",
            &[
                ("POST", "/api/v1/bank/accounts", "", r#"{"account": "0/a"}"#, 200),
                ("POST", "/api/v1/bank/accounts", "", r#"{"account": "1/a"}"#, 403),
                ("POST", "/api/v1/bank/accounts", "", r#"{"account": "a"}"#, 400),
                ("POST", "/api/v1/bank/deposit", "", r#"{"account": "0/a", "amount": 5}"#, 200),
                ("POST", "/api/v1/bank/withdraw", "", r#"{"account": "0/a", "amount": 9}"#, 409),
                ("POST", "/api/v1/bank/transfer", "", r#"{"from": "0/a", "to": "0/b", "amount": 1}"#, 404),
                ("GET", "/api/v1/bank/accounts", "?account=0/a", "", 400),
                ("GET", "/api/v1/bank/local", "?account=0/a", "", 200),
                ("GET", "/api/v1/bank/local", "?account=0/b", "", 404),
                ("GET", "/api/v1/state", "", "", 200),
                ("GET", "/log", "", "", 200),
            ],
        ),
        (
            "pbft",
            "orswot",
            &[
                ("POST", "/api/v1/set", "", r#"{"member": "apple"}"#, 200),
                ("POST", "/api/v1/set", "", r#"{"member": ""}"#, 400),
                ("GET", "/api/v1/set", "?member=apple", "", 200),
                ("GET", "/api/v1/set", "?member=pear", "", 200),
                ("GET", "/api/v1/set", "?prefix=a&limit=10", "", 200),
                ("GET", "/api/v1/set", "?member=a&prefix=a", "", 400),
                ("GET", "/api/v1/set/local", "?member=apple", "", 200),
                ("GET", "/api/v1/set/local", "?prefix=", "", 200),
                ("DELETE", "/api/v1/set", "?member=apple", "", 200),
                ("DELETE", "/api/v1/set", "?member=apple", "", 404),
            ],
        ),
        (
            "pbft",
            "bank",
            &[
                ("POST", "/api/v1/bank/accounts", "", r#"{"account": "a"}"#, 200),
                ("POST", "/api/v1/bank/deposit", "", r#"{"account": "a", "amount": 5}"#, 200),
                ("POST", "/api/v1/bank/withdraw", "", r#"{"account": "a", "amount": 9}"#, 409),
                ("POST", "/api/v1/bank/transfer", "", r#"{"from": "a", "to": "b", "amount": 1}"#, 404),
                ("GET", "/api/v1/bank/accounts", "?account=a", "", 200),
                ("GET", "/api/v1/bank/local", "?account=a", "", 200),
                ("GET", "/api/v1/bank/local", "?account=b", "", 404),
            ],
        ),
        (
            "pbft",
            "opaque",
            &[
                ("POST", "/preprepare", "", r#"{"data": "hello"}"#, 200),
                ("POST", "/preprepare", "", r#"{"data": ""}"#, 400),
                ("GET", "/status", "", "", 200),
                ("GET", "/log", "", "", 200),
                ("GET", "/faults", "", "", 200),
                ("POST", "/faults", "", r#"{"faults": ["delay=1ms"]}"#, 200),
                ("GET", "/links", "", "", 200),
                ("POST", "/links", "", r#"{"delay_us": 5}"#, 200),
                ("GET", "/api/v1/state", "", "", 200),
                ("GET", "/api/v1/pbft/state", "", "", 200),
                ("GET", "/health", "", "", 200),
                ("GET", "/ready", "", "", 200),
            ],
        ),
    ] {
        let cluster = Cluster::start(&["--app", app, "--protocol", protocol]);
        let (_, description) = cluster.get(0, "/openapi.json");
        for (method, path, query, body, expected) in asked {
            let (status, answer) = cluster.ask(0, method, &format!("{path}{query}"), body);
            assert_eq!(status, *expected, "{method} {path}{query}: {answer}");
            assert!(
                is_as_described(&description, (method, path), status, &answer),
                "{method} {path}: {answer}"
            );
            let other = serde_json::json!({ "something": "else" });
            assert!(!is_as_described(&description, (method, path), status, &other), "{method} {path}");
        }
    }
}

#[test]
fn metrics_count_what_happens() {
    let cluster = Cluster::start(&["--app", "kv"]);
    for number in 0..7 {
        let body = format!(r#"{{"key": "k", "value": "{number}"}}"#);
        assert_eq!(cluster.post(1, "/api/v1/kv", &body).0, 200);
    }
    let (status, text) = cluster.text(1, "GET", "/metrics", "");
    assert_eq!(status, 200);
    let value = |name: &str| -> f64 {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        values.next().unwrap_or_else(|| panic!("{name} is not in {text}"))
    };
    assert_eq!(value("consensus_last_executed "), 7.0);
    assert_eq!(value("consensus_commits_total{path=\"direct\"} "), 7.0);
    assert_eq!(value("consensus_request_seconds_count "), 7.0);
    assert_eq!(value("consensus_request_seconds_bucket{le=\"+Inf\"} "), 7.0);
    assert!(value("consensus_request_seconds_sum ") > 0.0);
    assert_eq!(value("consensus_requests_timed_out_total "), 0.0);
    assert_eq!(value("consensus_requests_refused_total "), 0.0);
    assert_eq!((value("consensus_commander "), value("consensus_view ")), (0.0, 0.0));
    assert_eq!(value("consensus_messages_sent_total{kind=\"request\"} "), 7.0);
    assert!(text.ends_with("# EOF\n"));
    let metric = |line: &&str| !line.starts_with('#');
    assert!(text.lines().filter(metric).all(|line| line.starts_with("consensus_")));
}

#[test]
fn keys_are_listed_swapped_and_deleted() {
    let cluster = Cluster::start(&["--app", "kv", "--protocol", "ccro"]);
    for key in ["b/1", "b/2", "c", "%&? ü"] {
        let body = serde_json::json!({"key": key, "value": key}).to_string();
        assert_eq!(cluster.post(1, "/api/v1/kv", &body).0, 200);
    }
    for path in ["/api/v1/kv", "/api/v1/kv/local"] {
        let keys = |query: &str| {
            let (status, list) = cluster.get(2, &format!("{path}{query}"));
            assert_eq!(status, 200, "{list}");
            let keys = list["entries"].as_array().unwrap().iter().map(|e| e["key"].as_str().unwrap());
            (keys.collect::<Vec<_>>().join(" "), list["more"].as_bool().unwrap())
        };
        // What node 2 itself has may be less; one read through consensus later it is not.
        cluster.get(2, "/api/v1/kv?key=c");
        assert_eq!(keys("?prefix=b/"), ("b/1 b/2".into(), false));
        assert_eq!(keys("?prefix=b%2F&limit=1"), ("b/1".into(), true));
        assert_eq!(keys("?prefix=&after=b/1"), ("b/2 c".into(), false));
        let (status, value) = cluster.get(2, &format!("{path}?key=%25%26%3F+%C3%BC"));
        assert_eq!((status, &value["value"]), (200, &"%&? ü".into()));
    }
    let swap = |body| cluster.post(3, "/api/v1/kv/cas", body);
    let (status, answer) = swap(r#"{"key": "c", "expected": "x", "new": "y"}"#);
    assert_eq!((status, &answer["swapped"], &answer["current"]), (409, &false.into(), &"c".into()));
    let (status, answer) = swap(r#"{"key": "c", "expected": "c", "new": "y"}"#);
    assert_eq!((status, &answer["swapped"], &answer["current"]), (200, &true.into(), &"y".into()));
    let (status, answer) = swap(r#"{"key": "new", "expected": null, "new": "1"}"#);
    assert_eq!((status, &answer["current"]), (200, &"1".into()));
    assert_eq!(cluster.ask(4, "DELETE", "/api/v1/kv?key=c", "").0, 200);
    let (status, gone) = cluster.ask(4, "DELETE", "/api/v1/kv?key=c", "");
    assert_eq!((status, &gone["existed"]), (404, &false.into()));
    let (status, gone) = cluster.get(0, "/api/v1/kv?key=c");
    assert_eq!((status, &gone["value"]), (404, &Value::Null));
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_reason_and_not_ordered() {
    let cluster = Cluster::start(&["--app", "kv"]);
    let long_key = format!(r#"{{"key": "{}", "value": ""}}"#, "k".repeat(1025));
    let long_value = format!(r#"{{"key": "k", "value": "{}"}}"#, "v".repeat((1 << 20) + 1));
    let far_too_long = "x".repeat(20 << 20);
    for (method, path, body, status, reason) in [
        ("POST", "/api/v1/kv", "", 400, "send JSON such as"),
        ("POST", "/api/v1/kv", "{", 400, "EOF"),
        ("POST", "/api/v1/kv", r#"{"key": "k"}"#, 400, "missing field `value`"),
        ("POST", "/api/v1/kv", r#"{"key": "k", "value": 1}"#, 400, "expected a string"),
        ("POST", "/api/v1/kv", r#"{"key": "k", "value": "v", "ttl": 1}"#, 400, "unknown field `ttl`"),
        ("POST", "/api/v1/kv", r#"{"key": "", "value": "v"}"#, 400, "key is empty"),
        ("POST", "/api/v1/kv", &long_key, 413, "longer than 1024 bytes"),
        ("POST", "/api/v1/kv", &long_value, 413, "longer than 1048576 bytes"),
        ("POST", "/api/v1/kv", &far_too_long, 413, "too large"),
        ("GET", "/api/v1/kv", "", 400, "neither a key nor a prefix"),
        ("GET", "/api/v1/kv?key=a&prefix=b", "", 400, "neither a key nor a prefix"),
        ("GET", "/api/v1/kv?key=a&limit=2", "", 400, "neither a key nor a prefix"),
        ("GET", "/api/v1/kv?kee=a", "", 400, "unknown field `kee`"),
        ("GET", "/api/v1/kv?prefix=a&limit=x", "", 400, "invalid digit"),
        ("GET", "/api/v1/kv?key=", "", 400, "key is empty"),
        ("DELETE", "/api/v1/kv", "", 400, "missing field `key`"),
        ("PUT", "/api/v1/kv", "", 405, "takes GET"),
        ("GET", "/api/v1/vk", "", 404, "this node has"),
        ("POST", "/api/v1/bank/accounts", r#"{"account": "a"}"#, 404, "runs the application kv"),
        ("POST", "/preprepare", r#"{"data": "hello"}"#, 404, "asked at /api/v1/kv"),
    ] {
        let (answered, answer) = cluster.ask(0, method, path, body);
        let error = answer["error"].as_str().unwrap();
        assert!(answered == status && error.contains(reason), "{method} {path}: {answered} {error}");
    }
    assert_eq!(cluster.get(0, "/api/v1/state").1["last_applied"], 0);
}

#[test]
fn a_bank_s_refusals_are_answers() {
    let cluster = Cluster::start(&["--app", "bank"]);
    let post = |path: &str, body: &str| {
        let (status, answer) = cluster.post(1, &format!("/api/v1/bank/{path}"), body);
        (status, answer["balance"].as_u64(), answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let done = |balance| (200, Some(balance), String::new());
    let refused = |status, error: &str| (status, None, error.to_owned());
    assert_eq!(post("accounts", r#"{"account": "alice"}"#), done(0));
    assert_eq!(post("accounts", r#"{"account": "bob"}"#), done(0));
    let exists = refused(409, "there is already an account of this name");
    assert_eq!(post("accounts", r#"{"account": "bob"}"#), exists);
    assert_eq!(post("deposit", r#"{"account": "alice", "amount": 100}"#), done(100));
    assert_eq!(post("transfer", r#"{"from": "alice", "to": "bob", "amount": 30}"#), done(70));
    let overdraft = refused(409, "there is only 70 in the account");
    assert_eq!(post("transfer", r#"{"from": "alice", "to": "bob", "amount": 71}"#), overdraft);
    assert_eq!(post("withdraw", r#"{"account": "alice", "amount": 71}"#), overdraft);
    let same = refused(409, "both accounts are the same");
    assert_eq!(post("transfer", r#"{"from": "bob", "to": "bob", "amount": 1}"#), same);
    let unknown = refused(404, "there is no account to pay to; open it first");
    assert_eq!(post("transfer", r#"{"from": "bob", "to": "carol", "amount": 1}"#), unknown);
    let (status, _, error) = post("deposit", r#"{"account": "bob", "amount": -1}"#);
    assert!(status == 400 && error.contains("-1"), "{error}");
    let (status, answer) = cluster.get(3, "/api/v1/bank/accounts?account=bob");
    assert_eq!((status, &answer["balance"]), (200, &30.into()));
    let (status, answer) = cluster.get(3, "/api/v1/bank/local?account=bob");
    assert_eq!((status, &answer["balance"], &answer["may_be_stale"]), (200, &30.into(), &true.into()));
    assert_eq!(cluster.get(3, "/api/v1/bank/local?account=carol").0, 404);
}

/// Without consensus each account has one owner, the node whose clients draw on it, and money moves all the same.
#[test]
fn a_bank_without_consensus_moves_money_between_nodes() {
    let cluster = Cluster::start(&["--app", "bank", "--protocol", "broadcast"]);
    let post = |node, path: &str, body: &str| {
        let (status, answer) = cluster.post(node, &format!("/api/v1/bank/{path}"), body);
        (status, answer["balance"].clone(), answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let done = || (200, Value::Null, String::new());
    let refused = |status, error: &str| (status, Value::Null, error.to_owned());
    for node in [0, 1] {
        let opened = post(node, "accounts", &format!(r#"{{"account": "{node}/a"}}"#));
        assert_eq!(opened, (200, 0.into(), String::new()));
    }
    assert_eq!(post(0, "deposit", r#"{"account": "0/a", "amount": 100}"#), done());
    assert_eq!(post(0, "transfer", r#"{"from": "0/a", "to": "1/a", "amount": 30}"#), done());
    assert_eq!(post(1, "transfer", r#"{"from": "1/a", "to": "0/a", "amount": 10}"#), done());
    let overdraft = refused(409, "there is only 80 in the account");
    assert_eq!(post(0, "transfer", r#"{"from": "0/a", "to": "1/a", "amount": 81}"#), overdraft);
    let not_owner = refused(403, "the account is node 0's, which alone opens it and draws on it; ask node 0");
    assert_eq!(post(1, "withdraw", r#"{"account": "0/a", "amount": 1}"#), not_owner);
    for (account, balance) in [("0/a", 80), ("1/a", 20)] {
        (0..5).for_each(|node| {
            let read =
                || cluster.get(node, &format!("/api/v1/bank/local?account={account}")).1["balance"].clone();
            assert!(in_the_end(read, &balance.into()), "node {node}: {}", read());
        });
    }
    let (status, answer) = cluster.get(2, "/api/v1/bank/accounts?account=0/a");
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("below /local"), "{answer}");
}

/// What an answer is waited for: all members have it a moment later than the one that answers.
fn in_the_end(ask: impl Fn() -> Value, expected: &Value) -> bool {
    let mut answers = (0..200).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        ask()
    });
    answers.any(|answer| answer == *expected)
}

/// Everybody adds to the set and removes from it what it has seen, without consensus.
#[test]
fn a_set_without_consensus_has_the_same_members_everywhere() {
    let cluster = Cluster::start(&["--app", "orswot", "--protocol", "broadcast"]);
    let (_, description) = cluster.get(0, "/openapi.json");
    let ask = |node, method, query: &str, body: &str| {
        let (status, mut answer) = cluster.ask(node, method, &format!("/api/v1/set{query}"), body);
        assert!(is_as_described(&description, (method, "/api/v1/set"), status, &answer), "{answer}");
        answer.as_object_mut().unwrap().remove("decision");
        (status, answer)
    };
    let are_members = |members: Value| {
        (0..5).for_each(|node| {
            let read = || cluster.get(node, "/api/v1/set/local?prefix=").1["members"].clone();
            assert!(in_the_end(read, &members), "node {node} has {} and not {members}", read());
        });
    };
    let is_member = |node, member: &str| {
        cluster.get(node, &format!("/api/v1/set/local?member={member}")).1["contains"].clone()
    };
    let added = |member: &str| (200, serde_json::json!({ "added": member }));
    assert_eq!(ask(0, "POST", "", r#"{"member": "apple"}"#), added("apple"));
    assert_eq!(ask(1, "POST", "", r#"{"member": "apple"}"#), added("apple"));
    assert_eq!(ask(1, "POST", "", r#"{"member": "pear"}"#), added("pear"));
    are_members(serde_json::json!(["apple", "pear"]));
    assert_eq!(ask(2, "DELETE", "?member=apple", ""), (200, serde_json::json!({ "removed": "apple" })));
    are_members(serde_json::json!(["pear"]));
    assert_eq!((is_member(3, "pear"), is_member(3, "apple")), (true.into(), false.into()));
    for (node, method, query, body, status, reason) in [
        (2, "DELETE", "?member=apple", "", 404, "does not see it in the set"),
        (0, "DELETE", "?member=fig", "", 404, "does not see it in the set"),
        (0, "GET", "?member=pear", "", 400, "below /local"),
        (0, "GET", "?prefix=", "", 400, "below /local"),
        (0, "POST", "", r#"{"member": ""}"#, 400, "has 1 to 256 bytes"),
    ] {
        let (answered, answer) = ask(node, method, query, body);
        let error = answer["error"].as_str().unwrap();
        assert!(answered == status && error.contains(reason), "{method} {query}: {answered} {error}");
    }
}

/// A node that waits is let in by two of four, has what the others have, is needed from then on, and leaves again.
#[test]
fn members_join_and_leave_while_money_moves() {
    let cluster = Cluster::start(&["--app", "bank", "--protocol", "broadcast", "--members", "4"]);
    let (_, description) = cluster.get(0, "/openapi.json");
    let ask_for = |node, change: &str| {
        let (status, answer) = cluster.post(node, "/api/v1/members", change);
        if status < 500 && status != 400 {
            assert!(is_as_described(&description, ("POST", "/api/v1/members"), status, &answer), "{answer}");
        }
        let text = answer["asked"].as_str().or(answer["error"].as_str());
        (status, text.unwrap_or_default().to_owned())
    };
    let are_members = |members: &[u16]| {
        (0..5).for_each(|node| {
            let read = || cluster.get(node, "/api/v1/members").1["members"].clone();
            assert!(in_the_end(read, &members.into()), "node {node} has {}", read());
        });
    };
    let open = |node: u16, name: &str| {
        let body = format!(r#"{{"account": "{node}/{name}"}}"#);
        cluster.post(node, "/api/v1/bank/accounts", &body)
    };
    let asked = |change: &str| (200, change.to_owned());
    assert_eq!(open(0, "a").0, 200);
    let (status, answer) = open(4, "a");
    assert!(status == 503 && answer["error"].as_str().unwrap().contains("it is no member"), "{answer}");
    assert_eq!(ask_for(0, r#"{"join": 4}"#), asked("node 4 joins"));
    let pending = serde_json::json!([{ "change": "node 4 joins", "by": [0] }]);
    assert_eq!(cluster.get(0, "/api/v1/members").1["asked"], pending);
    assert_eq!(ask_for(1, r#"{"join": 4}"#), asked("node 4 joins"));
    are_members(&[0, 1, 2, 3, 4]);
    assert_eq!(cluster.get(3, "/status").1["quorum"], 4);
    assert_eq!(open(4, "a").0, 200);
    let deposit = cluster.post(0, "/api/v1/bank/deposit", r#"{"account": "0/a", "amount": 9}"#);
    let paid = cluster.post(0, "/api/v1/bank/transfer", r#"{"from": "0/a", "to": "4/a", "amount": 5}"#);
    assert_eq!((deposit.0, paid.0), (200, 200));
    for (node, change, status, reason) in [
        (1, r#"{"join": 4}"#, 409, "node 4 is a member already"),
        (1, r#"{"leave": 7}"#, 404, "the cluster has no node 7"),
        (1, r#"{"leave": "x"}"#, 400, "send JSON such as"),
        (1, r#"{"remove": 3}"#, 400, "send JSON such as"),
    ] {
        let (answered, error) = ask_for(node, change);
        assert!(answered == status && error.contains(reason), "{change}: {answered} {error}");
    }
    let (_, metrics) = cluster.text(1, "GET", "/metrics", "");
    assert!(metrics.contains("consensus_requests_refused_total 2\n"), "{metrics}");
    assert!(metrics.contains("consensus_generation 1\n") && metrics.contains("consensus_members 5\n"));
    assert_eq!(ask_for(4, r#"{"leave": 4}"#), asked("node 4 leaves"));
    are_members(&[0, 1, 2, 3]);
    assert_eq!(ask_for(1, r#"{"leave": 4}"#), (409, "node 4 is no member".to_owned()));
    let balance = || cluster.get(4, "/api/v1/bank/local?account=4/a").1["balance"].clone();
    assert!(in_the_end(balance, &5.into()), "it goes on to see what there is");
}

#[test]
fn what_broadcast_cannot_do_is_refused_before_anything_starts() {
    for (arguments, reason) in [
        (&["compare", "--app", "kv"][..], "gives requests of different nodes no order, which kv needs"),
        (&["up", "--app", "kv"], "gives requests of different nodes no order, which kv needs"),
        (&["simulate", "--app", "kv"], "gives requests of different nodes no order, which kv needs"),
        (&["up", "--members", "5"], "members is 5; it must be from 1 to the number of nodes, 4"),
        (&["compare", "--via", "client"], "has no clients with keys of their own"),
        (&["soak"], "takes part no more; give the durability on or fsync"),
        (&["outage", "--kill", "node:3"], "takes part no more; give the durability on or fsync"),
        (&["outage", "--kill", "commander"], "broadcast has no commander to kill"),
        (&["outage", "--kill", "communication-node"], "broadcast has no communication node to kill"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(arguments)
            .args(["--protocol", "broadcast"])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(reason), "{arguments:?}: {error}");
    }
}

#[test]
fn applications_are_compared_on_real_nodes_and_simulated() {
    let all = &[
        ("bank", "pbft-n4-none-bank"),
        ("kv", "pbft-n4-none-kv"),
        ("opaque", "pbft-n4-none-opaque"),
        ("orswot", "pbft-n4-none-orswot"),
    ][..];
    let both = &[
        ("bank", "broadcast-n4-none-bank"),
        ("bank", "pbft-n4-none-bank"),
        ("orswot", "broadcast-n4-none-orswot"),
        ("orswot", "pbft-n4-none-orswot"),
    ];
    for (command, protocols, apps, expected) in [
        ("compare", "pbft", "opaque,kv,bank,orswot", all),
        ("compare", "broadcast,pbft", "bank,orswot", both),
        ("simulate", "pbft", "opaque,kv,bank,orswot", all),
        ("simulate", "broadcast,pbft", "bank,orswot", both),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args([command, "--app", apps, "--protocol", protocols, "--nodes", "4"])
            .args(["--requests", "30", "--clients", "4", "--fault", "none", "--out"])
            .arg(&out)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows: Vec<SummaryRow> = read_rows(&out).unwrap();
        let mut apps: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.app, &*row.cell)).collect();
        apps.sort_unstable();
        assert_eq!(apps, expected);
        let samples: Vec<SampleRow> = read_rows(&out).unwrap();
        assert!(samples.iter().all(|sample| sample.outcome == Outcome::Decided), "{command}");
        assert!(samples.iter().all(|sample| sample.consensus_us.is_some()), "{command}");
    }
}
