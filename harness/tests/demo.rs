//! `harness demo`: piped scripts, lessons, a terminal for each participant over HTTP, and the
//! prompt on a pseudo-terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use harness::cluster::ports::bind_free;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.arg("demo").args(arguments);
    command
}

/// What the demo does with a script on its input.
fn piped(arguments: &[&str], script: &str) -> Output {
    let mut child =
        demo(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses its flags does not read its input.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_piped_script_is_played_and_ends_with_its_input() {
    let script = "tx\naccount=alice,amount=100,operation=deposit\nP1,P2: prepare yes\nP0,P1,P2: ack commit\njump\nall: data\n";
    let output = piped(&[], script);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "P0 (commander, view 0)> tx\n",
        "data> account=alice,amount=100,operation=deposit\n",
        "P0, P2, P3: PREPARE from P1 for slot 1: 2/4 (threshold ≥ 3)\n",
        "there is no command \"jump\"; \"help\" lists all\n",
        "P0, P1, P2, P3: alice 100, bob 0, carol 0 (as of slot 1)\n",
    ] {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
}

#[test]
fn a_lesson_plays_to_its_end_and_an_unknown_one_names_those_there_are() {
    let output = piped(&["--lesson", "rotation", "--yes"], "");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("The end is as it should be: all replicas have executed up to slot 1, are in view 1"),
        "{said}"
    );

    let output = piped(&["--lesson", "chaos"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no lesson \"chaos\"; there are deposit, withdraw"));
}

#[test]
fn a_port_in_use_and_flags_that_do_not_fit_are_refused_with_what_is_possible() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, part) in [
        (&["--node", "P2", "--port", &port][..], "P2 cannot listen; give --port here, and --peers P2=PORT"),
        (&["--node", "P2", "--port", &port], "another port"),
        (&["--node", "P9"], "there is no \"P9\"; there are P0 to P3 and client"),
        (&["--node", "client"], "its terminal is --client"),
        (&["--port", "6000"], "say whose with --node P0 or --client"),
        (&["--client", "--peers", "P0"], "is not NAME=PORT"),
        (&["--client", "--peers", "P0=5001"], "port 5001 is P1's and another's as well"),
        (&["--lesson", "deposit", "--nodes", "7"], "leave --nodes out"),
    ] {
        let output = piped(arguments, "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

/// A participant in a process of its own.
struct Terminal {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Terminal {
        let mut child = demo(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Terminal { input: child.stdin.take(), child, lines, seen: Vec::new() }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until a line that was not waited for before has this in it.
    fn shows(&mut self, part: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(part);
                    self.seen.push(line);
                    if found {
                        return;
                    }
                }
                Err(_) => panic!("{part:?} never came: {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Terminals of P0 to P3 and the client, all up, and where each listens.
fn terminals() -> (Vec<Terminal>, Terminal, String) {
    let free = bind_free(5).unwrap();
    let ports: Vec<u16> = free.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(free);
    let peers =
        format!("P0={},P1={},P2={},P3={},client={}", ports[0], ports[1], ports[2], ports[3], ports[4]);
    let mut nodes: Vec<Terminal> =
        (0..4).map(|id| Terminal::start(&["--node", &format!("P{id}"), "--peers", &peers])).collect();
    let mut client = Terminal::start(&["--client", "--peers", &peers]);
    nodes.iter_mut().chain([&mut client]).for_each(|terminal| terminal.shows("This terminal is"));
    (nodes, client, peers)
}

#[test]
fn processes_decide_over_http_and_go_on_without_a_killed_commander() {
    let (mut nodes, mut client, _) = terminals();
    client.types("send account=alice,amount=100,operation=deposit");
    nodes[0].shows("request of client: deposit 100 to alice");
    nodes[0].types("progress");
    for node in &mut nodes[1..] {
        node.shows("\"prepare yes\" accepts slot 1");
        node.types("prepare yes");
    }
    for node in &mut nodes {
        node.shows("slot 1 is prepared");
        node.types("ack commit");
    }
    client.shows("result of request 1: alice has 100");
    // The client's result needs two replicas only. One that has not decided slot 1 before the view
    // changes votes for it again, and "prepare yes" below would mean slot 1 there.
    nodes.iter_mut().for_each(|node| node.shows("executes slot 1"));

    let pid = i32::try_from(nodes[0].child.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    nodes[0].child.wait().unwrap();
    client.types("send account=alice,amount=30,operation=withdraw");
    client.shows("P0 does not answer");
    nodes[1].types("view change");
    nodes[1].shows("sends VIEW-CHANGE for view 1: 1/4 (threshold ≥ 3); its own counts");
    nodes[2].types("view change");
    nodes[1].shows("view 1 begins, it is the commander");
    nodes[1].types("progress");
    for node in &mut nodes[2..] {
        node.shows("\"prepare yes\" accepts slot 2");
        node.types("prepare yes");
    }
    for node in &mut nodes[1..] {
        node.shows("slot 2 is prepared");
        node.types("ack commit");
    }
    client.shows("result of request 2: alice has 70");
    nodes[1..].iter_mut().for_each(|node| node.shows("executes slot 2"));
    for node in &mut nodes[1..] {
        node.types("data");
        node.shows("alice 70, bob 0, carol 0 (as of slot 2)");
        node.types("quit");
        assert_eq!(node.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_process_that_is_started_again_as_if_it_were_new_is_told_that_it_lost_its_memory() {
    let (mut nodes, _client, peers) = terminals();
    nodes[2].types("progress");
    nodes[2].shows("sends again what may be lost");
    nodes[0].types("tx account=alice,amount=100,operation=deposit");
    nodes[2].shows("\"prepare yes\" accepts slot 1");
    nodes[2].types("prepare yes");
    nodes[0].shows("PREPARE from P2");
    nodes[2].child.kill().unwrap();
    nodes[2].child.wait().unwrap();
    nodes[2] = Terminal::start(&["--node", "P2", "--peers", &peers]);
    nodes[2].shows("This terminal is");
    nodes[0].types("progress");
    nodes[2].shows("start it again with --recovering");
}

#[test]
fn the_prompt_edits_completes_remembers_and_survives_ctrl_c() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let side = |slave: &OwnedFd| Stdio::from(slave.try_clone().unwrap());
    let mut child = demo(&[])
        .env("TERM", "xterm")
        .stdin(side(&terminal.slave))
        .stdout(side(&terminal.slave))
        .stderr(side(&terminal.slave))
        .spawn()
        .unwrap();
    drop(terminal.slave);
    let mut keys = File::from(terminal.master.try_clone().unwrap());
    let mut output = File::from(terminal.master);
    let (sender, shown) = channel();
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        // Ends with an error once nobody has the other side open.
        while let Ok(read) = output.read(&mut part) {
            if read == 0 || sender.send(text(&part[..read])).is_err() {
                return;
            }
        }
    });
    let mut screen = String::new();
    let mut seen = 0;
    // Waits until this is on the screen, behind what was waited for before.
    let mut waits_for = |wanted: &str| {
        let until = Instant::now() + LIMIT;
        let found = loop {
            if let Some(at) = screen[seen..].find(wanted) {
                break at;
            }
            match shown.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(part) => screen.push_str(&part),
                Err(_) => panic!("{wanted:?} is not on the screen: {screen}"),
            }
        };
        seen += found + wanted.len();
    };
    waits_for("P0 (commander, view 0)> ");
    // Tab completes, backspace takes back.
    keys.write_all(b"chex\x7f\t\r").unwrap();
    waits_for("stable checkpoint: slot 0");
    waits_for("P0 (commander, view 0)> ");
    // Up brings the line back.
    keys.write_all(b"\x1b[A\r").unwrap();
    waits_for("stable checkpoint: slot 4");
    // Keys that come before the next prompt would not be the prompt's to read.
    waits_for("P0 (commander, view 0)> ");
    keys.write_all(b"half a line\x03").unwrap();
    waits_for("\"quit\" leaves the demo");
    waits_for("P0 (commander, view 0)> ");
    keys.write_all(b"as P1\r").unwrap();
    waits_for("P1 (view 0)> ");
    keys.write_all(b"\x04").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
