//! What is found in a folder, whatever became of it.

use journal::folder::Inputs;
use journal::{Folder, FolderError, Found, Identity, When};
use kernel::Weakening;
use kernel::weakening::assert_detected;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn identity() -> Identity {
    Identity {
        cluster: "c1".into(),
        protocol: "pbft".into(),
        app: "kv".into(),
        n: 4,
        clients: 1,
        node: 2,
        settings: "s1".into(),
    }
}

fn open(path: &Path) -> Result<(Folder, Option<Found>), FolderError> {
    Folder::open(path, identity())
}

/// What is said about a folder that cannot be opened.
fn refusal(path: &Path) -> String {
    open(path).expect_err("it is refused").to_string()
}

fn entries(found: &Found) -> Vec<u8> {
    found.inputs.iter().flat_map(|generation| &generation.entries).copied().collect()
}

/// The replica and the entries that are found, in one.
fn found(path: &Path) -> (String, String) {
    let (_, found) = open(path).unwrap();
    let found = found.expect("something is there");
    let entries = entries(&found);
    (String::from_utf8(found.replica).unwrap(), String::from_utf8(entries).unwrap())
}

fn write_all(folder: &Folder, text: &'static str) -> u64 {
    folder.save().write(|to| to.write_all(text.as_bytes())).unwrap()
}

/// A folder with a first replica, and these batches behind it.
fn begun(path: &Path, batches: &[&str]) -> (Folder, Inputs) {
    let (mut folder, nothing) = open(path).unwrap();
    assert!(nothing.is_none());
    folder.save_first().write(|to| to.write_all(b"first")).unwrap();
    let mut inputs = folder.begin_generation(When::default()).unwrap();
    for batch in batches {
        assert_eq!(inputs.append(batch.as_bytes(), false).unwrap(), None, "it was not synced");
    }
    (folder, inputs)
}

/// Where the zeros begin at its end.
fn without_zeros(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn of(found: (&str, &str)) -> (String, String) {
    (found.0.into(), found.1.into())
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// All that is in a folder, but its lock.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| !path.ends_with("lock"))
        .map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn copy(files: &[(PathBuf, Vec<u8>)]) -> TempDir {
    let to = folder();
    files.iter().for_each(|(name, bytes)| fs::write(to.path().join(name), bytes).unwrap());
    to
}

#[test]
fn a_fresh_folder_is_made_and_empty() {
    let parent = folder();
    let path = parent.path().join("deep/er");
    assert!(!Folder::is_used(&path));
    assert!(open(&path).unwrap().1.is_none());
    assert!(!Folder::is_used(&path));
    begun(&path, &[]);
    assert!(Folder::is_used(&path));
}

#[test]
fn a_replica_that_was_saved_before_any_input_is_found() {
    let at = folder();
    let (folder, _) = open(at.path()).unwrap();
    folder.save_first().write(|to| to.write_all(b"first")).unwrap();
    drop(folder);
    let (_, seen) = open(at.path()).unwrap();
    let seen = seen.expect("it is there");
    assert_eq!((&seen.replica[..], seen.inputs.len(), seen.is_first), (&b"first"[..], 0, true));
}

#[test]
fn what_was_appended_is_found_over_generations() {
    let at = folder();
    drop(begun(at.path(), &["a", "b"]));
    assert_eq!(found(at.path()), of(("first", "ab")));
    let (mut folder, _) = open(at.path()).unwrap();
    let mut inputs = folder.begin_generation(When::default()).unwrap();
    inputs.append(b"c", false).unwrap();
    drop((folder, inputs));
    assert_eq!(found(at.path()), of(("first", "abc")));
    let (identity_of, looked) = Folder::look(at.path()).unwrap().unwrap();
    assert_eq!((identity_of, entries(&looked)), (identity(), b"abc".to_vec()));
}

#[test]
fn a_save_replaces_what_was_before_it() {
    let at = folder();
    let (mut folder, _) = begun(at.path(), &["a", "b"]);
    let mut inputs = folder.begin_generation(When::default()).unwrap();
    inputs.append(b"c", false).unwrap();
    let bytes = write_all(&folder, "second");
    drop((folder, inputs));
    assert_eq!(found(at.path()), of(("second", "c")));
    let names: Vec<_> = files(at.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [PathBuf::from("inputs-2"), PathBuf::from("replica-2")]);
    assert_eq!(fs::metadata(at.path().join("replica-2")).unwrap().len(), bytes);
}

#[test]
fn a_torn_end_is_cut() {
    let at = folder();
    drop(begun(at.path(), &["a", "bbbb"]));
    let path = at.path().join("inputs-1");
    let whole = fs::read(&path).unwrap();
    let first = whole.len() - 4 - journal::batch::HEAD_BYTES;
    for kept in first..whole.len() {
        fs::write(&path, &whole[..kept]).unwrap();
        let torn = without_zeros(&whole[first..kept]);
        let (_, seen) = Folder::look(at.path()).unwrap().unwrap();
        assert_eq!(seen.torn as usize, torn);
        assert_eq!(fs::read(&path).unwrap().len(), kept, "a look changes nothing");
        let opened = open(at.path()).unwrap().1.unwrap();
        assert_eq!((opened.torn as usize, entries(&opened)), (torn, b"a".to_vec()));
        assert_eq!(fs::read(&path).unwrap(), whole[..first]);
    }
    // A file that was just begun when power was lost.
    fs::write(at.path().join("lock"), "").unwrap();
    for kept in [0, 1, 40] {
        fs::write(&path, &whole[..kept]).unwrap();
        assert_eq!(found(at.path()), of(("first", "")));
        assert_eq!(found(at.path()), of(("first", "")), "again");
    }
}

/// It is synced before anything is written behind it, so no loss of power leaves a batch behind half of it.
#[test]
fn a_first_line_without_an_end_is_damaged_if_a_batch_follows() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    let path = at.path().join("inputs-1");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes[end] = b' ';
    fs::write(&path, &bytes).unwrap();
    let said = refusal(at.path());
    // A checksum in the batch may hold the byte that ends a line.
    let expected =
        if bytes.contains(&b'\n') { "its first line is damaged" } else { "its first line has no end" };
    assert!(said.contains(expected), "{said}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is cut");
}

/// Zeros are written ahead of the batches that are synced. A batch that was torn there is cut, whatever
/// sectors of it were written, and the zeros are no part of it.
#[test]
fn zeros_ahead_of_the_batches_are_not_taken_for_one_that_is_torn() {
    let at = folder();
    let (_, mut inputs) = begun(at.path(), &[]);
    // More than a block, so that the file grows.
    let long = vec![b'a'; 5_000];
    for batch in [&long, b"bbbb".as_slice()] {
        inputs.append(batch, true).unwrap();
    }
    drop(inputs);
    let path = at.path().join("inputs-1");
    let whole = fs::read(&path).unwrap();
    let ends = without_zeros(&whole);
    // The second batch overwrites zeros, and adds none. They end with a block where the file is written directly.
    let zeros = (256 << 10) - 4 - journal::batch::HEAD_BYTES;
    assert!((zeros..zeros + 4096).contains(&(whole.len() - ends)), "{}", whole.len() - ends);
    let first = ends - 4 - journal::batch::HEAD_BYTES;
    for lost in [first..first + 9, first + 9..ends, first..ends] {
        let mut torn = whole.clone();
        torn[lost.clone()].fill(0);
        fs::write(&path, &torn).unwrap();
        let left = without_zeros(&torn[first..]);
        let opened = open(at.path()).unwrap().1.unwrap();
        assert_eq!((opened.torn as usize, entries(&opened)), (left, long.clone()), "{lost:?}");
        assert_eq!(fs::read(&path).unwrap(), whole[..first]);
    }
    fs::write(&path, &whole).unwrap();
    let opened = open(at.path()).unwrap().1.unwrap();
    assert_eq!((opened.torn, entries(&opened)), (0, [&long[..], b"bbbb"].concat()));
    assert_eq!(fs::read(&path).unwrap(), whole[..ends]);
}

/// What follows must not be read without all that was before it.
#[test]
fn a_file_is_finished_before_another_follows() {
    let at = folder();
    let (mut folder, mut inputs) = begun(at.path(), &[]);
    inputs.append(b"a", true).unwrap();
    let unfinished = fs::read(at.path().join("inputs-1")).unwrap();
    inputs.finish().unwrap();
    folder.begin_generation(When::default()).unwrap().append(b"b", false).unwrap();
    drop((folder, inputs));
    assert_eq!(found(at.path()), of(("first", "ab")));
    fs::write(at.path().join("inputs-1"), unfinished).unwrap();
    assert!(refusal(at.path()).contains("torn, and another file follows"));
}

/// But up to the end of a block where the file is written directly.
#[test]
fn no_zeros_are_written_behind_large_batches_or_where_nothing_is_synced() {
    for (bytes, sync, block) in [(100_000, true, 4096), (1, false, 1)] {
        let at = folder();
        let (_, mut inputs) = begun(at.path(), &[]);
        let length = || fs::metadata(at.path().join("inputs-1")).unwrap().len() as usize;
        let before = length();
        inputs.append(&vec![7; bytes], sync).unwrap();
        let written = bytes + journal::batch::HEAD_BYTES;
        assert!((written..written + block).contains(&(length() - before)), "{}", length() - before);
    }
}

/// Whatever byte of whatever file changes: it is noticed, or only the last batch is missing, which a loss of power
/// may have torn just so.
#[test]
fn a_changed_byte_is_never_read_as_what_was_written() {
    let at = folder();
    let (mut folder, _) = begun(at.path(), &["a", "b"]);
    folder.begin_generation(When::default()).unwrap().append(b"c", false).unwrap();
    let mut newest = folder.begin_generation(When::default()).unwrap();
    newest.append(b"d", false).unwrap();
    newest.append(b"e", false).unwrap();
    drop(folder);
    let whole = files(at.path());
    let (mut refused, mut cut) = (0, 0);
    for (place, (name, bytes)) in whole.iter().enumerate() {
        for byte in 0..bytes.len() {
            for change in [1, 0x80] {
                let mut changed = whole.clone();
                changed[place].1[byte] ^= change;
                let copied = copy(&changed);
                match open(copied.path()) {
                    Err(error) => {
                        refused += 1;
                        assert_eq!(files(copied.path()), changed, "it was touched");
                        assert!(error.to_string().contains(name.to_str().unwrap()), "{error}");
                    }
                    Ok((_, found)) => {
                        cut += 1;
                        assert_eq!(entries(&found.unwrap()), b"abcd", "{} {byte}", name.display());
                    }
                }
            }
        }
    }
    assert_eq!(cut, 2 * (journal::batch::HEAD_BYTES + 1), "only in the last batch");
    assert!(refused > 1000);
}

#[test]
fn damage_in_the_middle_says_what_to_do() {
    let at = folder();
    drop(begun(at.path(), &["a", "b", "c"]));
    let path = at.path().join("inputs-1");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - journal::batch::HEAD_BYTES - 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let says = refusal(at.path());
    assert!(says.contains("batch 1") && says.contains("Take the whole folder from a copy"), "{says}");
}

#[test]
fn the_journal_of_another_is_refused() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    type Change = fn(&mut Identity);
    let changes: [(&str, Change); 7] = [
        ("cluster", |identity| identity.cluster = "c2".into()),
        // Another id follows from another protocol, which says more.
        ("protocol", |identity| (identity.protocol, identity.cluster) = ("ccro".into(), "c2".into())),
        ("application", |identity| identity.app = "bank".into()),
        ("number of clients", |identity| identity.clients = 2),
        ("number of nodes", |identity| identity.n = 5),
        ("node", |identity| identity.node = 3),
        ("configuration", |identity| identity.settings = "s2".into()),
    ];
    for (what, change) in changes {
        let mut other = identity();
        change(&mut other);
        for refused in [Folder::open(at.path(), other.clone()).map(drop), Folder::check(at.path(), &other)] {
            let says = refused.err().unwrap().to_string();
            let way_out = ["its own", "of its own"].iter().any(|words| says.ends_with(words));
            assert!(says.contains(&format!("another {what}:")) && way_out, "{says}");
        }
    }
    assert!(Folder::check(at.path(), &identity()).is_ok());
    assert!(Folder::check(&at.path().join("none"), &identity()).is_ok(), "there is nothing to be of another");
    let of_another = at.path().join("inputs-1");
    let text = String::from_utf8_lossy(&fs::read(&of_another).unwrap()).replace("\"c1\"", "\"c2\"");
    let line = text.split_once('\t').unwrap().0.to_owned();
    let checksum = blake3::hash(line.as_bytes()).to_hex();
    let whole = fs::read(&of_another).unwrap();
    fs::write(&of_another, format!("{line}\t{}\n", &checksum[..16])).unwrap();
    let says = Folder::look(at.path()).err().unwrap().to_string();
    assert!(says.contains("another cluster: c2, and this is c1"), "not even to be looked at: {says}");
    fs::write(&of_another, whole).unwrap();
    assert_eq!(found(at.path()), of(("first", "a")));
}

#[test]
fn another_version_of_the_format_is_refused() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    for name in ["replica-1", "inputs-1"] {
        let whole = files(at.path());
        let path = at.path().join(name);
        let newer = String::from_utf8_lossy(&fs::read(&path).unwrap()).replacen(":2,", ":3,", 1);
        fs::write(&path, newer).unwrap();
        let says = refusal(at.path());
        assert!(says.contains("format 3") && says.contains("use the program that wrote it"), "{says}");
        fs::write(&path, "no header\n").unwrap();
        let says = refusal(at.path());
        assert!(
            says.contains("does not begin with the line") && says.contains("remove the whole folder"),
            "{says}"
        );
        let bytes = &whole.iter().find(|(found, _)| found.as_os_str() == name).unwrap().1;
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    let at = folder();
    let held = begun(at.path(), &["a"]);
    let says = refusal(at.path());
    assert!(says.contains("in use by a node that runs"), "{says}");
    assert!(Folder::look(at.path()).unwrap().is_some(), "a look is allowed");
    drop(held);
    assert!(open(at.path()).is_ok());
}

#[test]
fn a_journal_whose_only_inputs_were_removed_is_not_one_that_never_began() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    fs::remove_file(at.path().join("inputs-1")).unwrap();
    for says in [refusal(at.path()), Folder::look(at.path()).err().unwrap().to_string()] {
        assert!(says.contains("inputs-1 is missing"), "{says}");
    }
}

#[test]
fn inputs_without_a_replica_are_a_damaged_journal_for_everybody() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    fs::remove_file(at.path().join("replica-1")).unwrap();
    assert!(Folder::is_used(at.path()));
    for says in [refusal(at.path()), Folder::look(at.path()).err().unwrap().to_string()] {
        assert!(says.contains("the file of the replica is missing"), "{says}");
    }
}

#[test]
fn what_cannot_be_read_is_used() {
    let at = folder();
    let file = at.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Folder::is_used(&file));
    let says = refusal(&file);
    assert!(says.contains("cannot make the folder") && says.contains("give another path"), "{says}");
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_noticed() {
    for (sync, removed) in [(false, "inputs-1"), (true, "inputs-1"), (false, "lock"), (true, "lock")] {
        let at = folder();
        let (_folder, mut inputs) = begun(at.path(), &["a"]);
        inputs.append(b"b", sync).unwrap();
        fs::remove_file(at.path().join(removed)).unwrap();
        let said = inputs.append(b"c", sync).unwrap_err().to_string();
        assert!(said.contains("removed its file"), "{said}");
    }
}

#[test]
fn a_first_line_that_was_whole_once_is_not_torn() {
    for length in [0, 1, 100] {
        let at = folder();
        drop(begun(at.path(), &["a"]));
        let path = at.path().join("inputs-1");
        fs::write(&path, &fs::read(&path).unwrap()[..length]).unwrap();
        let said = refusal(at.path());
        assert!(said.contains("inputs-1 is damaged: its first line is cut short"), "{length}: {said}");
        assert_eq!(Folder::look(at.path()).unwrap_err().to_string(), said);
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    for name in ["lock", "replica-1", "inputs-1"] {
        let at = folder();
        drop(begun(at.path(), &["a"]));
        let path = at.path().join(name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let said = refusal(at.path());
        assert!(said.contains("it is no file. Something else stands where a file is to be"), "{said}");
        fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(refusal(at.path()), said);
    }
}

#[test]
fn a_lock_that_was_removed_is_written_anew() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    fs::remove_file(at.path().join("lock")).unwrap();
    drop(open(at.path()).unwrap().0.begin_generation(When::default()).unwrap());
    for name in ["inputs-1", "inputs-2"] {
        fs::remove_file(at.path().join(name)).unwrap();
    }
    assert!(refusal(at.path()).contains("inputs-1 is missing"));
}

#[test]
fn a_number_has_one_name() {
    let at = folder();
    drop(begun(at.path(), &["a"]));
    fs::rename(at.path().join("inputs-1"), at.path().join("inputs-01")).unwrap();
    assert!(refusal(at.path()).contains("inputs-1 is missing"));
}

#[test]
fn a_look_goes_on_while_a_node_saves_and_removes_files() {
    let at = folder();
    let (mut folder, _inputs) = begun(at.path(), &["a"]);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                folder.begin_generation(When::default()).unwrap().append(b"b", false).unwrap();
                write_all(&folder, "later");
            }
            is_over.store(true, std::sync::atomic::Ordering::Release);
        });
        while !is_over.load(std::sync::atomic::Ordering::Acquire) {
            assert!(Folder::look(at.path()).unwrap().is_some());
        }
    });
}

#[test]
fn a_missing_file_is_noticed() {
    let at = folder();
    let (mut folder, _) = begun(at.path(), &["a"]);
    folder.begin_generation(When::default()).unwrap().append(b"b", false).unwrap();
    folder.begin_generation(When::default()).unwrap().append(b"c", false).unwrap();
    write_all(&folder, "third");
    folder.begin_generation(When::default()).unwrap().append(b"d", false).unwrap();
    folder.begin_generation(When::default()).unwrap().append(b"e", false).unwrap();
    drop(folder);
    assert_eq!(found(at.path()), of(("third", "cde")));
    let whole = files(at.path());
    let without = |missing: &[&str]| {
        let left: Vec<_> = whole
            .iter()
            .filter(|(name, _)| !missing.iter().any(|one| name.as_os_str() == *one))
            .cloned()
            .collect();
        copy(&left)
    };
    assert!(refusal(without(&["replica-3"]).path()).contains("the file of the replica is missing"));
    assert!(refusal(without(&["inputs-3"]).path()).contains("inputs-3 before it is missing"));
    assert!(refusal(without(&["inputs-4"]).path()).contains("inputs-4 before it is missing"));
    assert!(refusal(without(&["inputs-3", "inputs-4", "inputs-5"]).path()).contains("inputs-3 is missing"));
}

/// The folder as it would be found if power were lost during a save, again and again: while the replica is written,
/// before and after it gets its name, and between the removals.
fn crash_points() {
    let at = folder();
    let (mut folder, _) = begun(at.path(), &["a", "b"]);
    drop(folder.begin_generation(When::default()).unwrap());
    folder.begin_generation(When::default()).unwrap().append(b"c", false).unwrap();
    let before = files(at.path());
    let as_before = of(("first", "abc"));
    let looks_as_before = |files: &[(PathBuf, Vec<u8>)]| assert_eq!(found(copy(files).path()), as_before);
    looks_as_before(&before);
    folder
        .save()
        .write(|to| {
            looks_as_before(&files(at.path()));
            to.write_all(b"thi")?;
            to.flush()?;
            looks_as_before(&files(at.path()));
            to.write_all(b"rd")
        })
        .unwrap();
    let after = files(at.path());
    assert_eq!(found(copy(&after).path()), of(("third", "c")));
    // Written, and not yet named: any part of it.
    let (_, replica) = after.iter().find(|(name, _)| name.as_os_str() == "replica-3").unwrap();
    for kept in [0, 1, replica.len() / 2, replica.len()] {
        let unfinished = (PathBuf::from("replica-3.unfinished"), replica[..kept].to_vec());
        looks_as_before(&[&before[..], &[unfinished]].concat());
    }
    // Named, and some of what was before is removed, in whatever order.
    for removed in 0..1 << before.len() {
        let is_left = |place: usize| removed & (1 << place) == 0;
        let mut left: Vec<_> = (0..before.len())
            .filter(|place| is_left(*place) || before[*place].0.as_os_str() == "inputs-3")
            .map(|place| before[place].clone())
            .collect();
        left.push((PathBuf::from("replica-3"), replica.clone()));
        assert_eq!(found(copy(&left).path()), of(("third", "c")));
    }
}

#[test]
fn a_save_can_be_interrupted_anywhere() {
    crash_points();
}

#[test]
fn a_save_that_was_left_unfinished_is_made_anew() {
    let at = folder();
    let (mut folder, _) = begun(at.path(), &["a"]);
    drop(folder.begin_generation(When::default()).unwrap());
    fs::write(at.path().join("replica-2.unfinished"), "half").unwrap();
    drop(folder);
    let (mut folder, _) = open(at.path()).unwrap();
    assert!(!at.path().join("replica-2.unfinished").exists(), "it would stay for ever");
    drop(folder.begin_generation(When::default()).unwrap());
    write_all(&folder, "third");
    drop(folder);
    assert_eq!(found(at.path()), of(("third", "")));
}

fn torn_end() {
    let at = folder();
    drop(begun(at.path(), &["a", "bbbb"]));
    let path = at.path().join("inputs-1");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(found(at.path()), of(("first", "a")));
}

#[test]
fn these_checks_fail_without_their_rules() {
    assert_detected(&[(Weakening::CutBeforeSaved, crash_points), (Weakening::TornTailTrusted, torn_end)]);
}

/// What files say of themselves and of each other.
#[test]
fn files_that_were_emptied_cut_renamed_or_copied_are_refused() {
    let at = folder();
    drop(begun(at.path(), &["a", "b"]));
    for batch in ["c", "d"] {
        let (mut folder, _) = open(at.path()).unwrap();
        folder.begin_generation(When::default()).unwrap().append(batch.as_bytes(), false).unwrap();
    }
    assert_eq!(found(at.path()), of(("first", "abcd")));
    let before = files(at.path());
    let changed = |change: &dyn Fn(&Path)| {
        let copied = copy(&before);
        change(copied.path());
        refusal(copied.path())
    };
    let length = |name: &str| fs::metadata(at.path().join(name)).unwrap().len();
    let cut = |path: &Path, name: &str, to: u64| {
        fs::OpenOptions::new().write(true).open(path.join(name)).unwrap().set_len(to).unwrap();
    };
    // At the end of a batch, of which nothing else can tell.
    let one_batch = length("inputs-1") - (journal::batch::HEAD_BYTES + "b".len()) as u64;
    for (name, to) in [("inputs-1", 0), ("inputs-2", 0), ("inputs-1", one_batch)] {
        let said = changed(&|path| cut(path, name, to));
        assert!(said.contains(&format!("{name} is damaged: it ends at byte")), "{said}");
        assert!(to < length(name));
    }
    let swapped = changed(&|path| {
        fs::rename(path.join("inputs-1"), path.join("x")).unwrap();
        fs::rename(path.join("inputs-2"), path.join("inputs-1")).unwrap();
        fs::rename(path.join("x"), path.join("inputs-2")).unwrap();
    });
    assert!(swapped.contains("by its first line its number is 2: files were renamed"), "{swapped}");
    for (from, to) in [("inputs-1", "inputs-2"), ("replica-1", "replica-3"), ("inputs-3", "inputs-4")] {
        let said = changed(&|path| {
            fs::copy(path.join(from), path.join(to)).unwrap();
        });
        assert!(said.contains("files were renamed"), "{from} as {to}: {said}");
    }
}
