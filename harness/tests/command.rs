//! The program as it is used: arguments in, folders and exit codes out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use harness::results::files::read_rows;
use harness::results::schema::{BenchRow, CellRow, NodeRow, Outcome, SampleRow, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn harness(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a small comparison and returns the output and the samples.
fn compare(dir: &Path, arguments: &[&str]) -> (Output, Vec<SampleRow>) {
    let dir_text = dir.to_str().unwrap();
    let common = ["compare", "--out", dir_text, "--warmup", "2", "--repetitions", "1"];
    let few: &[&str] = if arguments.contains(&"--requests") { &[] } else { &["--requests", "10"] };
    let output = harness(&[&common, few, arguments].concat());
    (output, read_rows(dir).unwrap_or_default())
}

/// The processes that were started as nodes by `parent`'s program.
fn is_running(pid: u32) -> bool {
    // A zombie's command line is empty.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn children_of(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what} did not happen");
}

/// Starts `harness up` on free ports and waits for its banner.
fn up() -> (Child, Vec<u32>) {
    let port = harness::cluster::ports::bind_free(1).unwrap()[0].local_addr().unwrap().port();
    let mut child = with_default_hangup()
        .args(["up", "--nodes", "4", "--port", &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ctrl-C stops all nodes")));
    let nodes = children_of(child.id());
    assert_eq!(nodes.len(), 4);
    (child, nodes)
}

#[test]
fn unusable_input_ends_with_2_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("file"), "x").unwrap();
    let plan = folder.path().join("plan.toml");
    fs::write(&plan, "nodes = [4]\nfautls = [\"none\"]\n").unwrap();
    let taken = harness::cluster::ports::bind_free(1).unwrap().remove(0);
    let port = taken.local_addr().unwrap().port().to_string();
    let new = folder.path().join("new");
    let new = new.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["compare", "--fault", "offline:5", "--nodes", "4", "--out", new], "more faulty nodes"),
        (vec!["compare", "--fault", "nonsense:1", "--out", new], "nonsense"),
        (vec!["compare", "--out", occupied.to_str().unwrap()], "not empty"),
        (vec!["compare", "--fault", "crash:1", "--placement", "tasks", "--out", new], "crash"),
        (vec!["compare", "--nodes", "4", "--communication", "fixed:4", "--out", new], "out of range"),
        (vec!["compare", "--out", "/proc/results"], "--out"),
        (vec!["sweep", plan.to_str().unwrap(), "--out", new], "fautls"),
        (vec!["sweep", "missing.toml", "--out", new], "missing.toml"),
        (vec!["up", "--port", &port], &port),
        (vec!["up", "--protocol", "ccro-paper", "--nodes", "2"], "at least 3"),
        (vec!["compare", "--unknown"], "--unknown"),
        (vec!["report", "/nonexistent"], "/nonexistent"),
    ] {
        let output = harness(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
    assert!(!Path::new(new).exists(), "nothing may be left of what never started");
}

/// One run of one small cell, with these arguments beside.
fn one_run(dir: &Path, arguments: &[&str], tmpdir: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["compare", "--nodes", "4", "--protocol", "pbft", "--fault", "none", "--repetitions", "1"]);
    command.args(["--requests", "5", "--warmup", "1", "--out", dir.to_str().unwrap()]).args(arguments);
    tmpdir.map(|folder| command.env("TMPDIR", folder));
    command.output().unwrap()
}

#[test]
fn what_could_not_be_measured_is_no_result_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let taken = harness::cluster::ports::bind_free(1).unwrap().remove(0);
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = folder.path().join("port");
    let output = one_run(&dir, &["--port", &port], None);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port) && stderr(&output).contains("--resume"), "{}", stderr(&output));
    assert_eq!(read_rows::<CellRow>(&dir).unwrap(), []);
    assert_eq!(read_rows::<SampleRow>(&dir).unwrap(), []);

    drop(taken);
    let output = one_run(&dir, &["--port", &port, "--resume"], None);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let cells = read_rows::<CellRow>(&dir).unwrap();
    assert_eq!((cells.len(), cells[0].decided, cells[0].errors), (1, 5, 0));

    let dir = folder.path().join("tmpdir");
    let output = one_run(&dir, &[], Some("/nonexistent/tmp"));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("/nonexistent/tmp"), "{}", stderr(&output));
    assert_eq!(read_rows::<CellRow>(&dir).unwrap(), []);
}

#[test]
fn a_comparison_leaves_rows_that_agree_with_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    let faults = ["--nodes", "4", "--fault", "none,malicious:1,offline:2", "--timeout", "1"];
    let (output, samples) = compare(&dir, &faults);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let cells: Vec<CellRow> = read_rows(&dir).unwrap();
    let nodes: Vec<NodeRow> = read_rows(&dir).unwrap();
    assert_eq!(cells.len(), 4 * 3);
    assert_eq!(nodes.len(), 4 * 4 * 3);
    for cell in &cells {
        let of_cell: Vec<&SampleRow> = samples.iter().filter(|sample| sample.cell == cell.cell).collect();
        assert_eq!(of_cell.len() as u64, cell.requests);
        let decided = of_cell.iter().filter(|s| s.outcome == Outcome::Decided).count() as u64;
        assert_eq!(decided, cell.decided);
        match (cell.fault.as_str(), cell.protocol.as_str()) {
            ("none", _) => assert_eq!((cell.decided, cell.faulty.as_str()), (10, ""), "{cell:?}"),
            ("malicious:1", "pbft" | "pbft-mac" | "ccro") => assert_eq!(cell.decided, 10, "{cell:?}"),
            ("offline:2", "pbft" | "pbft-mac" | "ccro") => {
                // The first undecided request in a row was one of the warm-up.
                assert_eq!((cell.decided, cell.timeouts), (0, 1), "{cell:?}");
                assert!(cell.note.starts_with("cut short"), "{cell:?}");
            }
            _ => {}
        }
    }
    for sample in &samples {
        let decided = sample.outcome == Outcome::Decided;
        assert_eq!(sample.consensus_us.is_some(), decided, "{sample:?}");
        assert_eq!(sample.seq.is_some(), decided);
    }
    assert!(dir.join("report.html").exists() && dir.join("machine.json").exists());
}

#[test]
fn a_killed_process_and_tasks_work_too() {
    let folder = tempfile::tempdir().unwrap();
    let common = ["--nodes", "4", "--protocol", "pbft"];
    let crash = [&common[..], &["--fault", "crash:1"]].concat();
    let (output, samples) = compare(&folder.path().join("crash"), &crash);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(samples.iter().filter(|sample| sample.outcome == Outcome::Decided).count(), 10);
    let tasks = [&common[..], &["--fault", "none", "--placement", "tasks"]].concat();
    let (output, samples) = compare(&folder.path().join("tasks"), &tasks);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(samples.iter().filter(|sample| sample.outcome == Outcome::Decided).count(), 10);
}

#[test]
fn a_node_whose_state_diverges_says_so_and_takes_over_the_proven_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    // The first checkpoint is due within these requests, and posted to the node itself
    // they show that its wrong answers reach no client.
    let arguments = ["--protocol", "pbft,ccro", "--nodes", "4", "--fault", "diverge@3", "--gateway", "3"];
    let (output, samples) = compare(&dir, &[&arguments[..], &["--requests", "200"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(samples.iter().filter(|sample| sample.outcome == Outcome::Decided).count(), 2 * 200);
    let cells: Vec<CellRow> = read_rows(&dir).unwrap();
    for cell in &cells {
        let expected =
            "node 3 found that its state was not the one that a quorum vouched for, and took over theirs";
        assert_eq!(cell.note, expected, "{}", cell.cell);
    }
    let nodes: Vec<NodeRow> = read_rows(&dir).unwrap();
    let fetched: Vec<u32> = nodes
        .iter()
        .filter(|row| row.messages_out_by_kind.contains("fetch-state="))
        .map(|row| row.node)
        .collect();
    assert_eq!(fetched, [3, 3]);
}

/// The harness with SIGHUP as a terminal leaves it, however the tests were started
/// (`nohup` ignores it, and children inherit that).
fn with_default_hangup() -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_harness")]);
    command
}

#[test]
fn no_node_outlives_the_harness_however_it_ends() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let (mut child, nodes) = up();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.success(), signal != Signal::SIGKILL, "{signal}: {status}");
        wait_until("the end of all nodes", || !nodes.iter().any(|pid| is_running(*pid)));
    }
}

#[test]
fn an_interrupted_sweep_is_resumed_without_loss_or_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    let text = "protocols = [\"pbft\"]\nnodes = [4]\nfaults = [\"none\", \"offline:1\", \"malicious:1\"]\n\
                requests = 20\nwarmup = 2\nrepetitions = 3\n";
    fs::write(&plan, text).unwrap();
    let out = folder.path().join("out");
    let (plan, out) = (plan.to_str().unwrap(), out.to_str().unwrap());
    let child = with_default_hangup()
        .args(["sweep", plan, "--out", out])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let finished =
        || fs::read_to_string(Path::new(out).join("progress.log")).unwrap_or_default().lines().count();
    // The first line tells of the headers only.
    wait_until("the second cell", || finished() >= 3);
    // The terminal was closed. Ctrl-C and SIGTERM take the same way.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    let interrupted = child.wait_with_output().unwrap();
    assert_eq!(interrupted.status.code(), Some(130));
    let said = String::from_utf8_lossy(&interrupted.stdout).into_owned();
    assert!(said.contains("--resume goes on") && said.contains("report.html"), "{said}");
    let before: Vec<CellRow> = read_rows(Path::new(out)).unwrap();
    assert!((2..9).contains(&before.len()), "{} cells before the interruption", before.len());

    let again = harness(&["sweep", plan, "--out", out]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--resume"), "{}", stderr(&again));

    let resumed = harness(&["sweep", plan, "--out", out, "--resume"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", stderr(&resumed));
    let after: Vec<CellRow> = read_rows(Path::new(out)).unwrap();
    assert_eq!(after[..before.len()], before);
    let mut runs: Vec<(String, u32)> = after.iter().map(|row| (row.cell.clone(), row.repetition)).collect();
    runs.sort();
    runs.dedup();
    assert_eq!((runs.len(), after.len()), (9, 9));
    assert_eq!(read_rows::<SampleRow>(Path::new(out)).unwrap().len(), 9 * 20);
}

/// A program that ends as `compare` does, after it has written that each cell took `p50_us`.
fn other_program(folder: &Path, p50_us: f64, decided_share: f64) -> std::path::PathBuf {
    let script = format!(
        "for dir; do :; done\nmkdir -p \"$dir\"\n\
         printf 'cell,decided_share,p50_us,throughput_per_s,cpu_us_per_request,ratio_to_floor,foreign_cpu_share\\n\
         pbft-n4-none,{decided_share},{p50_us},,,,\\n' > \"$dir/summary.csv\"\n"
    );
    program(folder, &format!("other-{p50_us}-{decided_share}"), &script)
}

/// A program that does what the script says.
fn program(folder: &Path, name: &str, script: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).unwrap();
    path
}

#[test]
fn a_build_is_compared_with_another_one_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let bench = |name: &str, against: &Path| {
        let (out, against) = (folder.path().join(name), against.to_str().unwrap());
        let cells = ["--", "--protocol", "pbft", "--nodes", "4", "--fault", "none", "--requests", "10"];
        let own = ["bench", "--pairs", "2", "--against", against, "--out", out.to_str().unwrap()];
        let output = harness(&[&own[..], &cells].concat());
        (output.status.code(), stderr(&output), read_rows::<BenchRow>(&out).unwrap_or_default())
    };
    // A microsecond is less than any decision takes, and an hour is more.
    for (p50_us, decided_share, code, verdict) in
        [(1.0, 1.0, 3, Verdict::Worse), (3.6e9, 1.0, 0, Verdict::Better), (3.6e9, 0.9, 3, Verdict::Undecided)]
    {
        let other = other_program(folder.path(), p50_us, decided_share);
        let (ended, said, rows) = bench(&format!("{p50_us}-{decided_share}"), &other);
        assert_eq!(ended, Some(code), "{said}");
        let row = rows.iter().find(|row| row.quantity == "p50_us").expect("a row");
        assert_eq!((row.verdict, row.other), (verdict, Some(p50_us)), "{row:?}");
        assert_eq!(row.ratio.is_some(), verdict != Verdict::Undecided);
    }
    let this = Path::new(env!("CARGO_BIN_EXE_harness"));
    let (_, said, rows) = bench("itself", this);
    assert_eq!(rows.iter().map(|row| row.pairs).collect::<Vec<_>>(), [2, 2, 2], "{said}");
    for run in ["this-0", "this-1", "other-0", "other-1"] {
        let samples: Vec<SampleRow> = read_rows(&folder.path().join("itself").join(run)).unwrap();
        assert_eq!(samples.len(), 10, "{run}");
    }
    // What `compare` says by its exit code stands.
    for (ends_with, code, says) in [(1, 1, "honest nodes disagreed"), (4, 4, "could not be measured")] {
        let other =
            program(folder.path(), &format!("ends-{ends_with}"), &format!("echo why; exit {ends_with}"));
        let (ended, said, rows) = bench(&format!("ended-{ends_with}"), &other);
        assert_eq!((ended, rows.len()), (Some(code), 0), "{said}");
        let status = format!("compare ended with exit status: {ends_with}");
        for part in [says, &status, "why"] {
            assert!(said.contains(part), "{said}");
        }
    }
    let (code, said, _) = bench("missing", Path::new("/nowhere/harness"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--against /nowhere/harness: there is no such program"), "{said}");
    assert!(!folder.path().join("missing").exists());
}
