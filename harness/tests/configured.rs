//! Clusters that a file describes: `harness init`, and `harness node` for each of its nodes.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

#[path = "support/http.rs"]
mod http;

use http::{ask, until_ready};

fn harness() -> Command {
    Command::new(env!("CARGO_BIN_EXE_harness"))
}

/// A folder that `harness init` filled, and the nodes that were started with it.
struct Configured {
    folder: tempfile::TempDir,
    first_port: u16,
    nodes: Vec<Option<Child>>,
}

impl Configured {
    fn init(nodes: u16, arguments: &[&str]) -> Configured {
        let folder = tempfile::tempdir().unwrap();
        let first_port = harness::cluster::ports::bind_free(1).unwrap()[0].local_addr().unwrap().port();
        let output = harness()
            .args(["init", "--nodes", &nodes.to_string(), "--port", &first_port.to_string()])
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Configured { folder, first_port, nodes: (0..nodes).map(|_| None).collect() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, id: u16) -> Command {
        let mut command = harness();
        command.args(["node", "--id", &id.to_string(), "--config"]).arg(self.file("cluster.toml"));
        command
    }

    fn start(&mut self, id: u16) {
        let log = fs::File::create(self.file(&format!("{id}.log"))).unwrap();
        let mut child = self.command(id).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("listens on")), "node {id} did not start");
        std::thread::spawn(move || lines.for_each(drop));
        self.nodes[usize::from(id)] = Some(child);
    }

    /// How a node ends that is sent a signal.
    fn end(&mut self, id: u16, signal: Signal) -> std::process::ExitStatus {
        let mut child = self.nodes[usize::from(id)].take().unwrap();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        child.wait().unwrap()
    }

    fn ask(&self, node: u16, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(self.first_port + node, method, path, body)
    }

    fn until_ready(&self, node: u16) {
        until_ready(self.first_port + node);
    }

    /// What is said of a file that was changed so, on the way out with code 2.
    fn refusal(&self, text: &str) -> String {
        fs::write(self.file("cluster.toml"), text).unwrap();
        refusal(&mut self.command(0))
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{text}{}", String::from_utf8_lossy(&stdout));
    text
}

#[test]
fn five_nodes_that_are_started_one_by_one_survive_their_commander() {
    let mut cluster = Configured::init(5, &["--app", "kv"]);
    for id in 0..5 {
        cluster.start(id);
    }
    (0..5).for_each(|id| cluster.until_ready(id));
    let (status, stored) =
        cluster.ask(0, "POST", "/api/v1/kv", r#"{"key": "test_key", "value": "test_value"}"#);
    assert_eq!((status, &stored["created"]), (200, &true.into()));
    let (status, read) = cluster.ask(3, "GET", "/api/v1/kv?key=test_key", "");
    assert_eq!((status, &read["value"]), (200, &"test_value".into()));
    let (status, local) = cluster.ask(3, "GET", "/api/v1/kv/local?key=test_key", "");
    assert_eq!((status, &local["value"]), (200, &"test_value".into()));
    assert_eq!(cluster.ask(0, "GET", "/api/v1/pbft/state", "").1["role"], "commander");

    cluster.end(0, Signal::SIGKILL);
    let (status, read) = cluster.ask(1, "GET", "/api/v1/kv?key=test_key", "");
    assert_eq!((status, &read["value"]), (200, &"test_value".into()));
    let (_, state) = cluster.ask(1, "GET", "/api/v1/pbft/state", "");
    assert_eq!((&state["view"], &state["role"]), (&1.into(), &"commander".into()));

    // It is started again in its shell, and knows that it has lost its memory.
    let forgot = |cluster: &Configured| {
        fs::read_to_string(cluster.file("0.log")).unwrap().contains("has lost its memory")
    };
    assert!(!forgot(&cluster));
    cluster.start(0);
    assert!(forgot(&cluster));
    cluster.until_ready(0);
    let (status, read) = cluster.ask(0, "GET", "/api/v1/kv/local?key=test_key", "");
    assert_eq!((status, &read["value"]), (200, &"test_value".into()));

    assert_eq!(cluster.ask(2, "POST", "/faults", r#"{"faults": ["malicious"]}"#).0, 403);
    assert_eq!(cluster.ask(2, "GET", "/links", "").0, 403);
    for (id, signal) in [(1, Signal::SIGTERM), (2, Signal::SIGINT)] {
        assert_eq!(cluster.end(id, signal).code(), Some(0), "{signal}");
    }
}

#[test]
fn a_node_that_is_stopped_answers_what_it_had_accepted() {
    let mut cluster = Configured::init(4, &[]);
    let text = fs::read_to_string(cluster.file("cluster.toml")).unwrap();
    fs::write(cluster.file("cluster.toml"), text.replace("[timers]", "[timers]\ntimeout_ms = 60000.0"))
        .unwrap();
    (0..4).for_each(|id| cluster.start(id));
    (0..4).for_each(|id| cluster.until_ready(id));
    // Two of four cannot decide anything.
    let pid =
        |cluster: &Configured, id: usize| Pid::from_raw(cluster.nodes[id].as_ref().unwrap().id() as i32);
    let paused = [pid(&cluster, 2), pid(&cluster, 3)];
    paused.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    let stopped = pid(&cluster, 1);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| cluster.ask(1, "POST", "/api/v1/kv", r#"{"key": "k", "value": "v"}"#));
        while cluster.ask(1, "GET", "/status", "").1["requests_in_flight"] != 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(stopped, Signal::SIGTERM).unwrap();
        // It takes no more: nobody listens.
        while TcpStream::connect(("127.0.0.1", cluster.first_port + 1)).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        paused.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
        let (status, stored) = asked.join().unwrap();
        assert_eq!((status, &stored["created"]), (200, &true.into()));
    });
    assert_eq!(cluster.nodes[1].take().unwrap().wait().unwrap().code(), Some(0));
    let log = fs::read_to_string(cluster.file("1.log")).unwrap();
    assert!(log.contains("peer link is up") && !log.contains("stops although"), "{log}");
}

#[test]
fn every_value_can_come_from_flags_and_variables() {
    let mut cluster = Configured::init(1, &["--app", "opaque"]);
    let text = fs::read_to_string(cluster.file("cluster.toml")).unwrap();
    let value = |field: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{field} = "))).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let node = format!("{}={}", value("address"), value("public_key"));
    let mut child = harness()
        .args(["node", "--node", &node, "--app", "kv", "--batch", "7", "--first-start"])
        .env("HARNESS_ID", "0")
        .env("HARNESS_KEY", cluster.file("node-0.key"))
        .env("HARNESS_CLUSTER_ID", value("cluster_id"))
        .env("HARNESS_PROTOCOL", "pbft")
        .env("HARNESS_ALLOW_FAULT_INJECTION", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("listens on")));
    cluster.nodes[0] = Some(child);
    assert_eq!(cluster.ask(0, "POST", "/api/v1/kv", r#"{"key": "k", "value": "v"}"#).0, 200);
    assert_eq!(cluster.ask(0, "GET", "/faults", "").0, 200);
}

#[test]
fn a_configuration_that_breaks_a_rule_is_refused_by_name() {
    let cluster = Configured::init(4, &[]);
    let path = cluster.file("cluster.toml");
    let good = fs::read_to_string(&path).unwrap();
    let port = |id: u16| format!("127.0.0.1:{}", cluster.first_port + id);
    let keys: Vec<&str> =
        good.lines().filter_map(|line| line.strip_prefix("public_key = \"")?.strip_suffix('"')).collect();
    let id = good.lines().find(|line| line.starts_with("cluster_id")).unwrap();
    let not_on_the_curve = format!("02{}", "00".repeat(31));
    let cases = [
        (good.replace(&port(2), &port(1)), vec!["node 1 and node 2 have the same address"]),
        (good.replace(keys[2], keys[1]), vec!["node 1 and node 2 have the same public_key"]),
        (good.replace(keys[4], keys[1]), vec!["node 1 and client \"client-0\" have the same public_key"]),
        (good.replace(keys[2], "1f3a"), vec!["public_key = \"1f3a\"", "is not 32 bytes of hex"]),
        (good.replace(keys[2], &not_on_the_curve), vec!["node 2: public_key", "not a valid Ed25519 key"]),
        (good.replace(&port(3), "0.0.0.0:80"), vec!["node 3: address 0.0.0.0:80", "--listen"]),
        (good.replace(&port(3), "127.0.0.1:0"), vec!["node 3: address", "port 0"]),
        (good.replace(&port(3), "nowhere"), vec!["address = \"nowhere\"", "invalid socket address"]),
        (
            good.replace("\"pbft\"", "\"raft\""),
            vec!["protocol = \"raft\"", "`pbft`, `pbft-mac`, `pbft-mac-requests`, `ccro`, `ccro-aggregate`"],
        ),
        (good.replace("\"kv\"", "\"sql\""), vec!["app = \"sql\"", "`opaque`, `kv`, `bank`, `orswot`"]),
        (good.replace("[limits]", "[limits]\nspeed = 3"), vec!["unknown field `speed`", "`batch`"]),
        (good.replace("[limits]", "[limits]\nbatch = 0"), vec!["limits.batch is 0", "from 1"]),
        (good.replace("link_delay_ms = 0.0", "link_delay_ms = nan"), vec!["timers.link_delay_ms is NaN"]),
        (good.replace("link_delay_ms = 0.0", "timeout_ms = -1.0"), vec!["timers.timeout_ms is -1"]),
        (good.replace("\"client-0\"", "\"../key\""), vec!["client 0", "letters, digits"]),
        (good.replace(id, ""), vec!["cluster_id is not given"]),
        (good.replace("nodes = 4", "nodes = 5"), vec!["nodes = 5, and 4 [[node]] tables follow"]),
        (
            good[..good.find("[[node]]").unwrap()]
                .replace("nodes = 4", "nodes = 0")
                .replace("clients = 1", ""),
            vec!["there are 0 nodes"],
        ),
        (String::new(), vec!["cluster_id is not given"]),
        (format!("communication = \"fixed:1\"\n{good}"), vec!["communication", "the protocol is pbft"]),
    ];
    for (text, expected) in cases {
        let said = cluster.refusal(&text);
        for part in expected {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
        assert!(said.contains(path.to_str().unwrap()), "names no file: {said}");
    }
    fs::write(&path, &good).unwrap();
    assert!(refusal(&mut cluster.command(4)).contains("node 4 is out of range"));
    fs::remove_file(&path).unwrap();
    assert!(refusal(&mut cluster.command(0)).contains("`harness init` makes one"));
}

#[test]
fn keys_for_shares_are_in_the_file_and_count_with_their_proofs() {
    let mut cluster = Configured::init(4, &["--protocol", "ccro-aggregate"]);
    let path = cluster.file("cluster.toml");
    let good = fs::read_to_string(&path).unwrap();
    let keys: Vec<&str> =
        good.lines().filter_map(|line| line.strip_prefix("share_key = \"")?.strip_suffix('"')).collect();
    assert_eq!(keys.len(), 4);
    // Another node's proof for one's own key.
    let rogue = format!("{}{}", &keys[2][..192], &keys[1][192..]);
    for (text, expected) in [
        (
            good.replace(&format!("share_key = \"{}\"\n", keys[2]), ""),
            "node 2 has no share_key, which ccro-aggregate needs",
        ),
        (good.replace(keys[2], &rogue), "node 2: share_key is not valid, or without proof"),
        (good.replace(keys[2], "1f3a"), "is not 144 bytes of hex"),
        (good.replace("\"ccro-aggregate\"", "\"ccro\""), "node 0 has a share_key, and ccro has no shares"),
        (good.replace(keys[2], keys[1]), "node 1 and node 2 have the same share_key"),
        (
            good.replace(keys[0], "first").replace(keys[1], keys[0]).replace("first", keys[1]),
            "the share_key of node 0 in the configuration is not the one of its secret key",
        ),
    ] {
        let said = cluster.refusal(&text);
        assert!(said.contains(expected), "{expected:?} is not in: {said}");
    }
    fs::write(&path, &good).unwrap();
    (0..4).for_each(|id| cluster.start(id));
    (0..4).for_each(|id| cluster.until_ready(id));
    assert_eq!(cluster.ask(0, "POST", "/api/v1/kv", r#"{"key": "k", "value": "v"}"#).0, 200);
    let (_, read) = cluster.ask(3, "GET", "/api/v1/kv?key=k", "");
    assert_eq!(read["value"], "v");
}

#[test]
fn a_key_file_is_its_owner_s_and_its_node_s_and_is_not_shown() {
    let cluster = Configured::init(4, &[]);
    let key = cluster.file("node-0.key");
    let secret = fs::read_to_string(&key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&mut cluster.command(0)).contains("chmod 600"));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    fs::copy(cluster.file("node-1.key"), &key).unwrap();
    let said = refusal(&mut cluster.command(0));
    assert!(said.contains("the secret key is not that of node 0"), "{said}");
    fs::write(&key, &secret[..20]).unwrap();
    let said = refusal(&mut cluster.command(0));
    assert!(said.contains("64 hexadecimal digits") && !said.contains(&secret[..20]), "{said}");
    fs::remove_file(&key).unwrap();
    assert!(refusal(&mut cluster.command(0)).contains("no key file"));
}

#[test]
fn no_secret_is_in_what_a_node_prints() {
    let mut cluster = Configured::init(1, &[]);
    let log = cluster.file("log");
    let child = cluster
        .command(0)
        .env("RUST_LOG", "trace")
        .stdout(fs::File::create(&log).unwrap())
        .stderr(fs::File::create(cluster.file("log2")).unwrap())
        .spawn()
        .unwrap();
    cluster.nodes[0] = Some(child);
    while !fs::read_to_string(&log).unwrap().contains("listens on") {
        std::thread::sleep(Duration::from_millis(10));
    }
    cluster.ask(0, "POST", "/api/v1/kv", r#"{"key": "k", "value": "v"}"#);
    cluster.ask(0, "GET", "/status", "");
    cluster.end(0, Signal::SIGTERM);
    let printed = fs::read_to_string(&log).unwrap() + &fs::read_to_string(cluster.file("log2")).unwrap();
    let secret = fs::read_to_string(cluster.file("node-0.key")).unwrap();
    assert!(!printed.is_empty() && !printed.contains(&secret[..16]), "{printed}");
}

#[test]
fn other_machines_are_talked_to_only_when_that_is_asked_for() {
    let cluster = Configured::init(4, &["--host", "10.1.2.3"]);
    let said = refusal(&mut cluster.command(0));
    assert!(said.contains("node 0: address 10.1.2.3") && said.contains("--allow-remote"), "{said}");
    let local = Configured::init(4, &[]);
    let said = refusal(local.command(0).args(["--listen", "0.0.0.0:0"]));
    assert!(said.contains("--listen 0.0.0.0:0") && said.contains("--allow-remote"), "{said}");
}

#[test]
fn init_replaces_nothing_unasked() {
    let cluster = Configured::init(4, &[]);
    let read = |name: &str| fs::read_to_string(cluster.file(name)).unwrap();
    let before = (read("cluster.toml"), read("node-3.key"));
    let again = |arguments: &[&str]| {
        let mut command = harness();
        command.args(["init", "--dir"]).arg(cluster.folder.path()).args(arguments);
        command
    };
    assert!(refusal(&mut again(&[])).contains("--force"));
    assert_eq!((read("cluster.toml"), read("node-3.key")), before);
    for bad in [&["--nodes", "0"][..], &["--nodes", "1001"], &["--port", "0"], &["--client-names", "a,a"]] {
        let said = refusal(again(bad).arg("--force"));
        assert!(!said.is_empty());
        assert_eq!((read("cluster.toml"), read("node-3.key")), before, "{bad:?}");
    }
    assert!(again(&["--force"]).output().unwrap().status.success());
    assert_ne!(read("node-3.key"), before.1);
    assert_eq!(mode(&cluster.file("node-3.key")), 0o600);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_client_with_a_key_of_its_own_asks_the_nodes_whoever_of_them_is_killed() {
    let mut cluster = Configured::init(4, &["--clients", "2"]);
    for id in 0..4 {
        cluster.start(id);
    }
    (0..4).for_each(|id| cluster.until_ready(id));
    let ask = |cluster: &Configured, arguments: &[&str]| {
        let mut command = harness();
        command.arg("client").arg("--config").arg(cluster.file("cluster.toml")).args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    let done = |text: &str| (0, text.to_owned(), String::new());
    assert_eq!(ask(&cluster, &["put", "a", "1"]), done("created"));
    assert_eq!(ask(&cluster, &["--name", "client-1", "get", "a"]), done("1"));
    assert_eq!(ask(&cluster, &["cas", "a", "--expected", "1", "--new", "2"]), done("swapped"));
    let (code, _, why) = ask(&cluster, &["cas", "a", "--expected", "1", "--new", "3"]);
    assert!(code == 1 && why.contains("\"2\""), "{code}: {why}");
    cluster.end(0, Signal::SIGKILL);
    assert_eq!(ask(&cluster, &["--timeout", "60", "put", "b", "after"]), done("created"));
    assert_eq!(ask(&cluster, &["--timeout", "60", "list"]), done("a\t2\nb\tafter"));
    let (code, said, _) = ask(&cluster, &["status"]);
    assert!(code == 0 && said.starts_with("3 of 4 nodes"), "{said}");
    let (code, said, why) =
        ask(&cluster, &["--timeout", "60", "bench", "--requests", "200", "--clients", "8"]);
    assert!(code == 0 && said.starts_with("200 requests decided") && said.contains("p99"), "{said} {why}");
    assert_eq!(ask(&cluster, &["delete", "a"]), done("deleted"));
    assert_eq!(ask(&cluster, &["get", "a"]).0, 1);

    for (arguments, says) in [
        (&["balance", "a"][..], "asked of bank"),
        (&["members", "a"], "asked of orswot"),
        (&["--name", "nobody", "get", "a"], "client-0, client-1"),
        (&["--timeout", "0", "get", "a"], "--timeout"),
        (&["--key", cluster.file("client-1.key").to_str().unwrap(), "get", "a"], "not that of client"),
    ] {
        let (code, _, why) = ask(&cluster, arguments);
        assert!(code == 2 && why.contains(says), "{arguments:?}: {code}: {why}");
    }
    for id in 1..3 {
        cluster.end(id, Signal::SIGKILL);
    }
    let (code, _, why) = ask(&cluster, &["--timeout", "0.5", "get", "b"]);
    assert!(code == 3 && why.contains("1 of 4 nodes connected"), "{code}: {why}");
}

/// What `client verify` says of a file: its exit code and its words.
fn verified(cluster: &Configured, file: &Path) -> (Option<i32>, String) {
    let mut command = harness();
    let config = cluster.file("cluster.toml");
    let output = command.args(["client", "verify"]).arg(file).arg("--config").arg(config).output().unwrap();
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), words)
}

#[test]
fn an_answer_proves_itself_to_anybody_and_one_that_was_changed_does_not() {
    let mut cluster = Configured::init(4, &["--app", "kv"]);
    (0..4).for_each(|id| cluster.start(id));
    (0..4).for_each(|id| cluster.until_ready(id));
    cluster.ask(0, "POST", "/api/v1/kv", r#"{"key": "color", "value": "blue"}"#);
    let (status, plain) = cluster.ask(1, "GET", "/api/v1/kv?key=color", "");
    assert_eq!((status, plain["decision"].get("evidence")), (200, None));
    let (status, answer) = cluster.ask(1, "GET", "/api/v1/kv?key=color&evidence=true", "");
    assert_eq!((status, &answer["value"]), (200, &"blue".into()));
    for (path, says) in [
        ("/api/v1/kv?key=color&evidence=maybe", "evidence is true or false"),
        ("/api/v1/kv/local?key=color&evidence=true", "has no evidence"),
    ] {
        let (status, refused) = cluster.ask(1, "GET", path, "");
        assert!(status == 400 && refused["error"].as_str().unwrap().contains(says), "{refused}");
    }
    // Nobody is asked.
    for id in 0..4 {
        cluster.end(id, Signal::SIGKILL);
    }

    let file = cluster.file("answer.json");
    let check = |answer: &Value| {
        fs::write(&file, answer.to_string()).unwrap();
        verified(&cluster, &file)
    };
    let (code, words) = check(&answer);
    assert!(code == Some(0) && words.starts_with("PROVEN: nodes "), "{words}");
    assert!(words.contains("Get { key: \"color\" }") && words.contains(r#""value":"blue""#), "{words}");
    assert_eq!(check(&answer["decision"]["evidence"]).0, Some(0), "evidence alone");

    let changed = |pointer: &str, to: Value| {
        let mut changed = answer.clone();
        *changed.pointer_mut(pointer).unwrap() = to;
        check(&changed)
    };
    let evidence = "/decision/evidence";
    let reply = |number: usize| answer.pointer(&format!("{evidence}/replies/{number}")).unwrap().clone();
    for ((code, words), says) in [
        (
            changed("/value", "red".into()),
            r#"the answer says value "red", and what the nodes have signed says "blue""#,
        ),
        (changed("/key", "shape".into()), "says key"),
        (changed(&format!("{evidence}/replies/1"), reply(0)), "1 of 2 replicas"),
        (changed(&format!("{evidence}/replies/0/view"), 7.into()), "signature that does not hold"),
        (changed(&format!("{evidence}/counter"), 77.into()), "do not hold request 77"),
    ] {
        assert!(code == Some(1) && words.contains("NOT PROVEN") && words.contains(says), "{words}");
    }
    let text = answer.to_string();
    for (text, says) in [
        (plain.to_string().as_str(), "?evidence=true"),
        (&text[..text.len() / 2], "truncated"),
        (&text.replace("\"signature\"", "\"signed\""), "cannot be read"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, words) = verified(&cluster, &file);
        assert!(code == Some(2) && words.contains(says), "{words}");
    }
    // Another cluster's keys prove nothing.
    let other = Configured::init(4, &["--app", "kv"]);
    fs::write(&file, text).unwrap();
    let (code, words) = verified(&other, &file);
    assert!(code == Some(1) && words.contains("signature"), "{words}");
}
