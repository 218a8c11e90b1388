//! `harness trace`: what it makes of a recorded run, and what it refuses.

use std::path::{Path, PathBuf};
use std::process::Command;

use trace::export::{self, Selection};

fn harness(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_harness")).arg("trace").args(arguments).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/one-decision.trace")
}

#[test]
fn a_trace_is_shown_in_every_form() {
    let file = example();
    let name = file.to_str().unwrap();
    let trace = trace::Trace::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let slots = Selection { seq: Some(1..2), ..Selection::default() };
    let time = Selection { from_ns: 200_000, until_ns: Some(300_000), seq: None };
    for (arguments, expected) in [
        (&[name][..], export::summary(&trace)),
        (&[name, "--as", "summary"], export::summary(&trace)),
        (&[name, "--as", "msc", "--slots", "1..2"], export::msc(&trace, &slots).unwrap()),
        (&[name, "--as", "mermaid", "--ms", "0.2..0.3"], export::mermaid(&trace, &time).unwrap()),
        (&[name, "--as", "svg"], export::svg(&trace, &Selection::default()).unwrap()),
        (&[name, "--as", "chrome"], export::chrome(&trace, &Selection::default()).unwrap()),
    ] {
        assert_eq!(harness(arguments), (Some(0), expected, String::new()), "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("chart.svg");
    let (code, said, _) = harness(&[name, "--as", "svg", "--out", out.to_str().unwrap()]);
    assert_eq!((code, said), (Some(0), format!("Written: {}\n", out.display())));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), export::svg(&trace, &Selection::default()).unwrap());
}

#[test]
fn what_cannot_be_shown_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(example()).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, cut) = (write("good", &whole), write("cut", &whole[..2000]));
    // Behind its first line, it is no text.
    let damaged = write("damaged", &[&whole[..300], &[0xff; 40][..], &whole[340..]].concat());
    let (empty, binary) = (write("empty", b""), write("binary", &[0xff, 0xfe, 0, 1]));
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let nowhere = folder.path().join("no/such/folder").to_str().unwrap().to_owned();
    let no_trace = "this is no trace: its first line does not say \"format\": \"bft-trace\"";
    for (arguments, sentence) in [
        (&[&missing[..]][..], "give a trace: No such file"),
        (&[folder.path().to_str().unwrap()], "holds no journals; give a folder with node-0"),
        (&[&empty], no_trace),
        (&[&binary], "line 1 is no text; give a trace"),
        (&[&damaged], "line 2 is no text; give a trace, or copy the whole file again"),
        (&[&cut], "this trace was cut short after line "),
        (
            &[&good, "--as", "svg", "--slots", "7..8"],
            "nothing that is chosen is in the trace; choose other slots",
        ),
        (&[&good, "--slots", "1..2"], "a summary is of the whole trace; leave --slots and --ms out"),
        (&[&good, "--as", "svg", "--slots", "2..1"], "the range 2..1 is empty"),
        (&[&good, "--as", "gif"], "invalid value 'gif' for '--as <FORM>'"),
        (&[&good, "--as", "svg", "--out", &nowhere], "cannot write "),
        (&[], "<FILE>"),
    ] {
        let (code, out, err) = harness(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(sentence), "{arguments:?}: {err}");
    }
}
