//! Terminals that are none, output that cannot be written, names that files cannot
//! have, and advice that must fit the command.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use harness::cli::Cli;

fn harness() -> Command {
    Command::new(env!("CARGO_BIN_EXE_harness"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A simulated run with these further arguments into a folder.
fn simulate(dir: &Path, arguments: &[&str]) -> Output {
    let common = ["simulate", "--nodes", "4", "--requests", "3"];
    harness().args(common).args(arguments).arg("--out").arg(dir).output().unwrap()
}

#[test]
fn output_that_cannot_be_written_ends_with_a_message_and_a_closed_pipe_silently() {
    let folder = tempfile::tempdir().unwrap();
    assert!(simulate(&folder.path().join("out"), &[]).status.success());
    let report = folder.path().join("out");
    let commands: [&[&OsStr]; 5] = [
        &["--help".as_ref()],
        &["--version".as_ref()],
        &["check".as_ref(), "--list".as_ref()],
        &["simulate".as_ref(), "--requests".as_ref(), "1".as_ref()],
        &["report".as_ref(), report.as_ref()],
    ];
    for arguments in commands {
        let full = File::create("/dev/full").unwrap();
        let output = harness().args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("could not be written: No space left"), "{}", stderr(&output));

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = harness().args(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_folder_may_have_a_name_that_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(OsString::from_vec(b"results-\xff".to_vec()));
    let output = simulate(&dir, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let machine: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("machine.json")).unwrap()).unwrap();
    assert!(
        machine["command"].as_array().unwrap().iter().any(|word| word.as_str().unwrap().contains("results-"))
    );
    assert!(dir.join("report.html").exists());
}

#[test]
fn every_file_of_a_result_has_a_portable_name_however_long_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = "[kind=prepare;commit;pre-prepare;checkpoint;view-change;new-view]";
    let long = format!("drop=0.01{kinds}@1+delay=1ms{kinds}@1+reorder=1ms{kinds}@2+duplicate=0.1{kinds}@2");
    let dir = folder.path().join("out");
    let output = simulate(&dir, &["--protocol", "pbft,ccro", "--fault", &format!("none,offline:1,{long}")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut folders = vec![dir.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let portable = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            assert!(portable && name.len() <= 100, "{name}");
            files += 1;
            folders.extend(entry.path().is_dir().then(|| entry.path()));
        }
    }
    assert!(files > 15, "only {files} files");
    let histograms = fs::read_dir(dir.join("histograms")).unwrap().count();
    assert_eq!(histograms, 6, "one for each cell");
}

/// What a command writes to a pseudoterminal of this kind.
fn on_a_terminal(term: &str, arguments: &[&str]) -> String {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut child = harness()
        .args(arguments)
        .env("TERM", term)
        .env_remove("NO_COLOR")
        .stdout(Stdio::null())
        .stderr(terminal.slave)
        .spawn()
        .unwrap();
    let mut written = Vec::new();
    // Ends with an error once nobody has the other side open.
    let _ = File::from(terminal.master).read_to_end(&mut written);
    assert!(child.wait().unwrap().success());
    String::from_utf8_lossy(&written).into_owned()
}

#[test]
fn messages_do_not_depend_on_whether_a_bar_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "pbft compare --nodes 2 --fault none --requests 2 --warmup 1 --repetitions 1 --protocol";
    let (protocol, arguments) = plan.split_once(' ').unwrap();
    for term in ["dumb", "xterm"] {
        let out = folder.path().join(format!("out-{term}"));
        let arguments: Vec<&str> =
            arguments.split(' ').chain([protocol, "--out", out.to_str().unwrap()]).collect();
        let written = on_a_terminal(term, &arguments);
        assert!(written.contains("compare: 1 cell x 1 repetition,"), "{term}: {written}");
        assert!(written.contains("Tolerate no fault at all (f = 0): pbft with 2 nodes"), "{term}: {written}");
        let line = written.contains("pbft-n2-none #0: 2 of 2 decided");
        assert_eq!(line, term == "dumb", "a line for each cell where there is no bar: {written}");
    }
}

/// The flags that a text names.
fn flags_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter_map(|word| word.strip_prefix("--")).filter(|flag| !flag.is_empty()).collect()
}

#[test]
fn advice_names_only_flags_that_the_command_has() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    assert!(simulate(&begun, &[]).status.success());
    let begun = begun.to_str().unwrap();
    let new = folder.path().join("new");
    let new = new.to_str().unwrap();
    let plan = folder.path().join("plan.toml");
    let plan_path = plan.to_str().unwrap();
    let plans = [
        "nodes = [2]\nprotocols = [\"ccro-paper\"]",
        "faults = [\"offline:9\"]",
        "faults = [\"offline@9\"]",
        "faults = [\"crash:1\"]\nplacement = \"tasks\"",
        "protocols = [\"pbft\"]\ncommunication = \"collocated\"",
        "timeout_s = 0.0",
        "payload_bytes = [0]",
    ];
    let mut tried = 0;
    let mut check = |arguments: &[&str]| {
        let output = harness().args(arguments).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        let said = stderr(&output);
        let command = Cli::command();
        let command = command.find_subcommand(arguments[0]).unwrap();
        for flag in flags_in(&said.replace(new, "").replace(begun, "")) {
            let known = command.get_arguments().any(|arg| arg.get_long() == Some(flag)) || flag == "help";
            assert!(known, "{arguments:?}: {} has no --{flag}: {said}", arguments[0]);
            tried += 1;
        }
    };
    for text in plans {
        fs::write(&plan, text).unwrap();
        check(&["sweep", plan_path, "--out", new]);
    }
    fs::write(&plan, "nodes = [4]").unwrap();
    check(&["sweep", plan_path, "--out", begun]);
    check(&["sweep", plan_path, "--out", new, "--resume"]);
    for arguments in [
        &["simulate", "--out", begun][..],
        &["simulate", "--nodes", "2", "--protocol", "ccro-paper"],
        &["simulate", "--payload", "1"],
        &["compare", "--out", begun],
        &["compare", "--nodes", "4", "--fault", "offline:9", "--out", new],
        &["outage", "--duration", "1", "--out", new],
        &["soak", "--nodes", "3", "--out", new],
        &["up", "--nodes", "2", "--protocol", "ccro-paper"],
        &["up", "--port", "65535"],
        &["predict", "--nodes", "1", "--protocol", "ccro-paper", "--out", begun],
        &["floor", "--nodes", "0"],
        &["load-overhead", "--payload", "0"],
        &["report", new],
    ] {
        check(arguments);
    }
    assert!(tried > 5, "{tried} flags were named");
}
