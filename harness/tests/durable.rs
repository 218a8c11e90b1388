//! Nodes that keep journals: killed one by one, all at once, with their files damaged, and under load.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use harness::results::disk::Disk;
use harness::results::files::read_rows;
use harness::results::schema::{CellRow, EventKind, EventRow, SampleRow, SummaryRow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

#[path = "support/http.rs"]
mod http;

use http::{ask, until_ready};

fn harness() -> Command {
    Command::new(env!("CARGO_BIN_EXE_harness"))
}

fn free_port() -> u16 {
    harness::cluster::ports::bind_free(1).unwrap()[0].local_addr().unwrap().port()
}

fn put(port: u16, key: &str, value: &str) {
    let body = format!("{{\"key\": \"{key}\", \"value\": \"{value}\"}}");
    let (status, answer) = ask(port, "POST", "/api/v1/kv", &body);
    assert_eq!(status, 200, "{answer}");
}

fn value(port: u16, key: &str) -> Value {
    let (_, answer) = ask(port, "GET", &format!("/api/v1/kv?key={key}"), "");
    answer["value"].clone()
}

/// Waits for a line of a program's output, and reads on, so that it can write more.
fn wait_for_line(child: &mut Child, part: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(part)), "{part:?} was not said");
    std::thread::spawn(move || lines.for_each(drop));
}

/// Four nodes with journals, each started by itself.
struct Nodes {
    folder: tempfile::TempDir,
    first_port: u16,
    running: Vec<Child>,
}

impl Nodes {
    fn init() -> Nodes {
        let (folder, first_port) = (tempfile::tempdir().unwrap(), free_port());
        let mut init = harness();
        init.args(["init", "--nodes", "4", "--app", "kv", "--port", &first_port.to_string(), "--dir"]);
        let output = init.arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Nodes { folder, first_port, running: Vec::new() }
    }

    fn command(&self, id: u16) -> Command {
        let mut command = self.without_journal(id);
        command.args(["--durability", "fsync", "--data-dir"]).arg(self.folder.path().join("data"));
        command
    }

    fn without_journal(&self, id: u16) -> Command {
        let mut command = harness();
        command.args(["node", "--id", &id.to_string(), "--config"]);
        command.arg(self.folder.path().join("cluster.toml"));
        command
    }

    fn start(&mut self, ids: &[u16]) {
        for id in ids {
            let mut command = self.command(*id);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            wait_for_line(&mut child, "listens on");
            self.running.push(child);
        }
        ids.iter().for_each(|id| until_ready(self.port(*id)));
    }

    /// `kill -9` of every node.
    fn kill_all(&mut self) {
        self.running.iter_mut().for_each(|node| node.kill().unwrap());
        self.running.drain(..).for_each(|mut node| {
            node.wait().unwrap();
        });
    }

    fn port(&self, id: u16) -> u16 {
        self.first_port + id
    }

    /// A node's files of inputs, in the order of their generations.
    fn inputs(&self, id: u16) -> Vec<PathBuf> {
        let folder = self.folder.path().join(format!("data/node-{id}"));
        let generation = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.strip_prefix("inputs-").and_then(|number| number.parse::<u64>().ok())
        };
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut inputs: Vec<PathBuf> = files.filter(|path| generation(path).is_some()).collect();
        inputs.sort_by_key(generation);
        inputs
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.running {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_all_nodes_were_killed_or_one_s_file_was_damaged() {
    let mut nodes = Nodes::init();
    nodes.start(&[0, 1, 2, 3]);
    (0..20).for_each(|key| put(nodes.port(key % 4), &format!("key-{key}"), &format!("value-{key}")));
    nodes.kill_all();

    nodes.start(&[0, 1, 2, 3]);
    for key in 0..20 {
        assert_eq!(value(nodes.port(key % 4), &format!("key-{key}")), format!("value-{key}"));
    }
    put(nodes.port(1), "afterwards", "yes");
    nodes.kill_all();
    replay_shows_what_there_is(&nodes.folder.path().join("data/node-1"));
    copies_of_journals_are_no_nodes(&nodes.folder.path().join("data"));

    // The last batch of node 2 is torn, as if power had been lost while it was written.
    let newest = nodes.inputs(2).pop().unwrap();
    let file = OpenOptions::new().write(true).open(newest).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    nodes.start(&[0, 1, 2, 3]);
    (0..4).for_each(|id| assert_eq!(value(nodes.port(id), "afterwards"), "yes", "through node {id}"));
    put(nodes.port(2), "torn", "and mended");
    nodes.kill_all();

    // A byte of node 3 is another one than was written, and whole batches are behind it.
    let oldest = nodes.inputs(3).remove(0);
    let mut bytes = fs::read(&oldest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&oldest, bytes).unwrap();
    nodes.start(&[0, 1, 2]);
    let Output { status, stderr, .. } = nodes.command(3).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    for part in [
        oldest.to_str().unwrap(),
        "is damaged",
        "A loss of power does not do that; the disk may",
        "remove the whole folder and start the node as one that lost its memory",
    ] {
        assert!(said.contains(part), "{part:?} not in {said}");
    }
    (0..3).for_each(|id| assert_eq!(value(nodes.port(id), "torn"), "and mended", "through node {id}"));
    put(nodes.port(0), "without node 3", "too");
}

/// The journal of a node that has executed more than three slots and far fewer than a million.
fn replay_shows_what_there_is(journal: &Path) {
    let replay = |arguments: &[&str]| {
        let Output { status, stdout, stderr } =
            harness().arg("replay").arg(journal).args(arguments).output().unwrap();
        let [shown, said] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        (status.code(), shown, said)
    };
    let (code, shown, said) = replay(&["--to-seq", "3"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(shown.contains("executes slot 3") && !shown.contains("executes slot 4"), "{shown}");
    let (code, shown, _) = replay(&["--slot", "2", "--json"]);
    assert_eq!(code, Some(0));
    for line in shown.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert!(step.to_string().contains("slot 2"), "{step}");
    }
    // What is not there is said, after what is there was shown.
    let text = String::from_utf8(harness().arg("replay").arg(journal.join("lock")).output().unwrap().stderr)
        .unwrap();
    assert!(text.contains("is no folder; give the folder of one node"), "{text}");
    for (arguments, says) in [
        (["--to-seq", "1000000"], "slot 1000000 is not in this journal: it ends after slot"),
        (["--to-seq", "0"], "0 is not in 1.."),
        (["--slot", "1000000"], "no step of this journal is about slot 1000000"),
    ] {
        let (code, _, said) = replay(&arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// Copies the files of a folder into a new one.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// `data` has the journals of nodes 0 to 3.
fn copies_of_journals_are_no_nodes(data: &Path) {
    let shown = |what: &str| {
        let Output { status, stdout, stderr } = harness().arg("trace").arg(data).output().unwrap();
        let [shown, said] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(format!("{shown}{said}").contains(what), "{shown}{said}");
        status.code()
    };
    copy(&data.join("node-1"), &data.join("backup"));
    assert_eq!(shown("4 journals of"), Some(0));
    copy(&data.join("node-1"), &data.join("node-1-before"));
    assert_eq!(shown("are both journals of node 1; give a folder with one journal of each node"), Some(2));
    fs::remove_dir_all(data.join("node-1-before")).unwrap();
    let (replica, elsewhere) = (data.join("node-1/replica-1"), data.join("backup/elsewhere"));
    fs::rename(&replica, &elsewhere).unwrap();
    assert_eq!(shown("the file of the replica is missing"), Some(2), "it is not left out");
    fs::rename(&elsewhere, &replica).unwrap();
}

/// Only node 3 is killed and started again, and what each start says.
#[test]
fn a_node_knows_whether_it_has_lost_its_memory() {
    let mut nodes = Nodes::init();
    nodes.start(&[0, 1, 2, 3]);
    put(nodes.port(0), "color", "red");
    let of_3 = nodes.folder.path().join("data/node-3");
    let stop_3 = |nodes: &mut Nodes| {
        let mut node = nodes.running.pop().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    };
    stop_3(&mut nodes);

    // Without the folder of its journal, wherever it is given another.
    let mut off = nodes.without_journal(3);
    let off = refusal(off.args(["--durability", "off", "--data-dir"]).arg(of_3.parent().unwrap()));
    assert!(off.contains("would be out of date after a start without it"), "{off}");
    fs::rename(&of_3, nodes.folder.path().join("old")).unwrap();
    nodes.start(&[3]);
    assert_eq!(ask(nodes.port(3), "GET", "/status", "").1["recovering"], false, "it has recovered");
    stop_3(&mut nodes);

    for file in nodes.inputs(3) {
        fs::remove_file(file).unwrap();
    }
    let damaged = refusal(&mut nodes.command(3));
    assert!(damaged.contains("inputs-1 is missing"), "{damaged}");
    // As if it had been killed before it was given anything: it begins once more.
    fs::write(of_3.join("lock"), "").unwrap();
    nodes.start(&[3]);
    assert_eq!(value(nodes.port(3), "color"), "red");
    stop_3(&mut nodes);

    // A start without a journal makes the one there is out of date.
    let mut without = nodes.without_journal(3);
    let mut without = without.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_line(&mut without, "listens on");
    until_ready(nodes.port(3));
    without.kill().unwrap();
    without.wait().unwrap();
    let stale = refusal(&mut nodes.command(3));
    assert!(stale.contains("node 3 was started without its journal"), "{stale}");
    fs::remove_dir_all(&of_3).unwrap();
    nodes.start(&[3]);
    assert_eq!(value(nodes.port(3), "color"), "red");
}

/// What a node said with one journal, it does not know from another.
#[test]
fn a_journal_is_refused_after_a_start_with_another_one() {
    let nodes = Nodes::init();
    let with = |data: &str| {
        let mut command = nodes.without_journal(3);
        command.args(["--durability", "on", "--data-dir"]).arg(nodes.folder.path().join(data));
        command
    };
    let run_for_a_moment = |data: &str| {
        let mut child = with(data).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_line(&mut child, "listens on");
        child.kill().unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    for _ in 0..2 {
        assert!(!run_for_a_moment("first").contains("lost its memory"), "it goes on from its journal");
    }
    assert!(run_for_a_moment("second").contains("lost its memory"));
    run_for_a_moment("second");
    let said = refusal(&mut with("first"));
    assert!(said.contains("with another journal since that in"), "{said}");
    // A note that was cut off does not make it forget that it was started.
    let note = nodes.folder.path().join("node-3.started");
    fs::write(&note, "").unwrap();
    let said = refusal(&mut with("third"));
    assert!(said.contains("cannot be understood"), "{said}");
}

#[test]
fn a_first_start_that_fails_is_none() {
    let mut nodes = Nodes::init();
    let data = nodes.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("node-0"), "in the way").unwrap();
    let failed = refusal(&mut nodes.command(0));
    assert!(failed.contains("cannot make the folder"), "{failed}");
    assert_eq!(failed.matches("os error").count(), 1, "{failed}");
    fs::remove_file(data.join("node-0")).unwrap();
    let mut command = nodes.command(0);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_line(&mut child, "listens on");
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap().stderr;
    assert!(!String::from_utf8_lossy(&said).contains("lost its memory"));
    nodes.start(&[0, 1, 2, 3]);
}

fn up(folder: &Path, port: u16, more: &[&str]) -> Command {
    let mut command = harness();
    command.args(["up", "--app", "kv", "--port", &port.to_string(), "--data-dir"]).arg(folder).args(more);
    command
}

/// A cluster that is up; its nodes end with it.
struct Up(Child);

impl Up {
    fn start(folder: &Path, port: u16) -> Up {
        let mut child = up(folder, port, &[]).stdout(Stdio::piped()).spawn().unwrap();
        wait_for_line(&mut child, "outlives a loss of power");
        Up(child)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refusal(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    said
}

#[test]
fn a_cluster_that_is_up_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = free_port();
    let mut cluster = Up::start(&data, port);
    put(port + 1, "color", "blue");
    let pid_of = |id| ask(port + id, "GET", "/status", "").1["pid"].as_i64().unwrap();
    let pids: Vec<i64> = (0..4).map(pid_of).collect();
    cluster.0.kill().unwrap();
    // They may have ended with their parent already.
    pids.iter().for_each(|pid| {
        let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
    });
    drop(cluster);
    // A zombie's command line is empty, and nobody may be there to reap it.
    let is_running = |pid: &i64| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    while pids.iter().any(is_running) {
        std::thread::sleep(Duration::from_millis(5));
    }

    let other_port = free_port();
    let cluster = Up::start(&data, other_port);
    assert_eq!(value(other_port + 2, "color"), "blue");
    let in_use = refusal(&mut up(&data, free_port(), &[]));
    assert!(in_use.contains("is in use by a node that runs"), "{in_use}");
    let pids: Vec<i64> =
        (0..4).map(|id| ask(other_port + id, "GET", "/status", "").1["pid"].as_i64().unwrap()).collect();
    drop(cluster);
    while pids.iter().any(is_running) {
        std::thread::sleep(Duration::from_millis(5));
    }

    // One whose journal is gone has lost its memory.
    fs::remove_dir_all(data.join("node-2")).unwrap();
    let mut child = up(&data, free_port(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    wait_for_line(&mut child, "Node 2 had no journal, and others had");
    drop(Up(child));

    let other = refusal(&mut up(&data, free_port(), &["--seed", "2"]));
    assert!(other.contains("it is the journal of another cluster"), "{other}");
    let other = refusal(&mut up(&data, free_port(), &["--batch", "7"]));
    assert!(other.contains("it is the journal of another configuration"), "{other}");
    let other = refusal(&mut up(&data, free_port(), &["--protocol", "ccro"]));
    assert!(other.contains("it is the journal of another protocol: pbft, and this is ccro"), "{other}");
    let other = refusal(&mut up(&data, free_port(), &["--nodes", "5"]));
    assert!(other.contains("it is the journal of another number of nodes: 4, and this is 5"), "{other}");
    assert!(!data.join("node-4").exists(), "nothing was begun");
    let without = refusal(&mut up(&data, free_port(), &["--durability", "off"]));
    assert!(without.contains("which would be out of date after a start without them"), "{without}");
    let without = refusal(harness().args(["up", "--durability", "on"]));
    assert!(without.contains("--durability on needs a folder: give it with --data-dir"), "{without}");
}

#[test]
fn after_a_first_start_that_was_broken_off_no_node_has_lost_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("node-3"), "in the way").unwrap();
    let failed = refusal(&mut up(&data, free_port(), &[]));
    assert!(failed.contains("cannot read the folder"), "{failed}");
    assert!(!data.join("node-0").exists(), "nothing was begun");
    fs::remove_file(data.join("node-3")).unwrap();
    fs::create_dir_all(data.join("node-3/lock")).unwrap();
    let failed = refusal(&mut up(&data, free_port(), &[]));
    assert!(failed.contains("cannot write"), "{failed}");
    assert!(data.join("first-start").exists(), "nodes may have begun their journals");
    fs::remove_dir_all(data.join("node-3")).unwrap();
    // As if the others had begun them in any case.
    let (begun, started) = (folder.path().join("begun"), folder.path().join("data/node-0"));
    said_until_up(&begun);
    if !started.exists() {
        fs::rename(begun.join("node-0"), &started).unwrap();
    }
    let said = said_until_up(&data);
    assert!(!said.contains("had no journal"), "{said}");
    assert!(!data.join("first-start").exists());
    fs::remove_dir_all(data.join("node-3")).unwrap();
    assert!(
        said_until_up(&data).contains("Node 3 had no journal, and others had"),
        "now it has lost its memory"
    );
}

#[test]
fn a_node_whose_disk_fails_is_named_in_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let up = up(&folder.path().join("data"), port, &["--timeout", "1"]);
    // No file may grow beyond one or two megabytes, as if the disk were full.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 3000; exec \"$0\" \"$@\""])
        .arg(up.get_program())
        .args(up.get_args());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _cluster = Up(child);
    assert!(lines.any(|line| line.contains("outlives a loss of power")));
    let value = "x".repeat(20_000);
    let body = |key: u32| format!("{{\"key\": \"key-{key}\", \"value\": \"{value}\"}}");
    let failed = (0..200).find(|key| ask(port + 1, "POST", "/api/v1/kv", &body(*key)).0 != 200);
    assert!(failed.is_some(), "all of it was written");
    // How many have failed when it is told depends on when it is looked.
    let says = ["It takes part in nothing more. ", " Mend the disk, and start the cluster again."];
    let is_told = |line: &str| line.starts_with("Node ") && says.iter().all(|part| line.contains(part));
    assert!(lines.any(|line| is_told(&line)), "no node was named");
}

/// In secure broadcast, slots of different nodes are executed in any order.
#[test]
fn a_replay_stops_at_a_slot_of_broadcast_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (data, port) = (folder.path().join("data"), free_port());
    let mut command = harness();
    command.args([
        "up",
        "--protocol",
        "broadcast",
        "--app",
        "bank",
        "--port",
        &port.to_string(),
        "--data-dir",
    ]);
    let mut child = command.arg(&data).stdout(Stdio::piped()).spawn().unwrap();
    wait_for_line(&mut child, "outlives a loss of power");
    let cluster = Up(child);
    for node in [2, 0, 0, 3, 1, 0] {
        let account = format!("{{\"account\": \"{node}/{}\"}}", rand::random::<u32>());
        assert_eq!(ask(port + node, "POST", "/api/v1/bank/accounts", &account).0, 200);
    }
    drop(cluster);
    let replay = |arguments: &[&str]| {
        let output = harness().arg("replay").arg(data.join("node-3")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let decided = |shown: &str| -> Vec<String> {
        let slots =
            shown.lines().filter_map(|line| line.trim().strip_prefix("decides slot ")?.split_once(','));
        slots.map(|(slot, _)| slot.to_owned()).collect()
    };
    let all = decided(&replay(&[]).1);
    assert!(all.len() >= 4, "{all:?}");
    for (place, slot) in all.iter().enumerate() {
        let (code, shown) = replay(&["--to-seq", slot]);
        assert_eq!((code, &decided(&shown)[place..]), (Some(0), &all[place..=place]), "{shown}");
        assert!(shown.contains("slots executed ") && !shown.contains("executed up to"), "{shown}");
    }
    assert_eq!(replay(&["--to-seq", "1000000"]).0, Some(2));
}

/// What `up` says until all nodes are.
fn said_until_up(data: &Path) -> String {
    let mut child = up(data, free_port(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> =
        lines.by_ref().take_while(|line| !line.contains("outlives a loss of power")).collect();
    assert!(said.iter().any(|line| line.contains("Ctrl-C stops all nodes")), "{said:?}");
    // Then its nodes have ended as well, and their folders are free.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    lines.for_each(drop);
    child.wait().unwrap();
    said.join("\n")
}

/// Runs a command that measures, and returns what it said.
fn measured(dir: &Path, arguments: &[&str]) -> String {
    let output = harness().args(arguments).arg("--out").arg(dir).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    let is_journal = |name: &str| name.ends_with(".journals");
    let mut files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
    assert!(!files.any(|name| is_journal(name.to_str().unwrap())), "the journals are removed after each run");
    said
}

#[test]
fn durability_is_compared_beside_what_syncing_costs() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let cells = ["--protocol", "pbft", "--nodes", "4", "--fault", "none", "--durability", "off,on,fsync"];
    let load = ["--requests", "10", "--warmup", "2", "--repetitions", "1"];
    let said = measured(&dir, &[&["compare"], &cells[..], &load].concat());
    assert!(said.contains("One fdatasync after 2000 appended bytes took"), "{said}");
    let summary: Vec<SummaryRow> = read_rows(&dir).unwrap();
    let mut durabilities: Vec<&str> = summary.iter().map(|row| row.durability.as_str()).collect();
    durabilities.sort_unstable();
    assert_eq!(durabilities, ["fsync", "off", "on"]);
    assert!(summary.iter().all(|row| row.decided == 10 && row.ratio_to_pbft == Some(1.0)));
    let samples: Vec<SampleRow> = read_rows(&dir).unwrap();
    assert!(samples.iter().all(|row| row.cell.ends_with(&row.durability)));
    let measured = Disk::read(&dir).unwrap().unwrap().measurements;
    assert_eq!(measured.iter().map(|times| times.files).collect::<Vec<_>>(), [1, 4, 1, 4]);
    assert!(dir.join("plots/durability.svg").exists());
}

fn kinds(events: &[EventRow]) -> Vec<EventKind> {
    events.iter().map(|event| event.event).collect()
}

#[test]
fn a_cluster_whose_nodes_are_all_killed_under_load_answers_again_and_has_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let kill = ["--kill", "all", "--at", "0.3", "--restart-after", "0.1", "--duration", "2"];
    let run = ["outage", "--durability", "fsync", "--rate", "40", "--repetitions", "1", "--timeout", "30"];
    let said = measured(&dir, &[&run[..], &kill].concat());
    let events: Vec<EventRow> = read_rows(&dir).unwrap();
    let both = [EventKind::KillAll, EventKind::RestartAll];
    assert_eq!(kinds(&events), [both, both].concat(), "pbft and ccro");
    for event in events.iter().filter(|event| event.event == EventKind::RestartAll) {
        assert_eq!(event.node, "0;1;2;3");
        assert!(event.service_after_us.is_some() && event.voting_us.is_some(), "{event:?}");
    }
    assert!(said.contains("all nodes were killed at once and started again, 1 times"), "{said}");
    let cells: Vec<CellRow> = read_rows(&dir).unwrap();
    assert!(cells.iter().all(|cell| cell.note.is_empty() && cell.durability == "fsync"), "{cells:?}");
}

#[test]
fn a_soak_of_durable_nodes_is_linearizable_over_kills_of_some_and_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let run = [
        "soak",
        "--app",
        "kv",
        "--durability",
        "on",
        "--protocol",
        "ccro",
        "--rate",
        "40",
        "--timeout",
        "30",
    ];
    let kills = ["--kill-all-every", "1", "--down", "0.1", "--cut", "0", "--duration", "8"];
    measured(&dir, &[&run[..], &kills].concat());
    let kinds = kinds(&read_rows::<EventRow>(&dir).unwrap());
    assert!(kinds.contains(&EventKind::Kill) && kinds.contains(&EventKind::RestartAll), "{kinds:?}");
    assert!(dir.join("history-ccro-n4-none-r40-0.jsonl").exists());
}
