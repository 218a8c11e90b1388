//! Short runs of all targets: every seed, and mutations of them, without coverage. Inputs that
//! once made a target panic are among the seeds.

use fuzz::mutate::mutate;
use fuzz::targets::ALL;
use fuzz::{Limit, Target};
use kernel::{Choose as _, Digest, SeededChoice};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// Names and contents of the seeds of a target, in a fixed order.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder("seeds").join(target.name)).expect("every target has seeds");
    let mut seeds: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let file = file.expect("it can be listed");
            (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("it can be read"))
        })
        .collect();
    seeds.sort();
    seeds
}

/// Gives a target an input. What makes it panic is kept in a file, to be looked at.
fn try_input(target: &Target, input: &[u8]) -> bool {
    let tried = catch_unwind(AssertUnwindSafe(|| target.check(input)));
    tried.unwrap_or_else(|_| {
        let name = format!("fuzz-{}-{:.12}", target.name, Digest::of(input));
        let file = std::env::temp_dir().join(name);
        fs::write(&file, input).expect("a temporary file can be written");
        panic!("{}: the input in {} makes it panic", target.name, file.display());
    })
}

/// `FUZZ_TIMES=100 cargo test -p fuzz` tries so many times more.
fn times() -> u32 {
    let given = std::env::var("FUZZ_TIMES").ok();
    given.map_or(1, |times| times.parse().expect("FUZZ_TIMES is a whole number"))
}

/// A target in each thread: some have nodes that run as long as their thread.
fn in_each(check: fn(&Target)) {
    std::thread::scope(|scope| {
        let threads = ALL.map(|target| scope.spawn(move || check(target)));
        let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!(panicked, 0, "see above which targets panic");
    });
}

#[test]
fn every_seed_is_read_without_panic_and_each_target_takes_one() {
    in_each(|target| {
        let taken = seeds(target).iter().filter(|(_, seed)| try_input(target, seed)).count();
        assert!(taken > 0, "{}: none of its seeds is taken for what it should be", target.name);
    });
}

#[test]
fn mutations_of_the_seeds_make_no_target_panic() {
    in_each(|target| {
        let seeds = seeds(target);
        let mut choice = SeededChoice::new(1);
        let tries = target.tries * times();
        let one = |choice: &mut SeededChoice| &seeds[choice.below(seeds.len() as u64) as usize].1;
        for _ in 0..tries {
            let (seed, other) = (one(&mut choice), one(&mut choice));
            try_input(target, &mutate(seed, other, &mut choice));
        }
    });
}

#[test]
fn each_target_has_its_program_and_its_seeds_and_no_other_is_left() {
    let names: BTreeSet<String> = ALL.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), ALL.len(), "two targets have one name");
    let listed = |of: &str| -> BTreeSet<String> {
        let files = fs::read_dir(folder(of)).expect("the folder is there");
        files
            .map(|file| {
                file.expect("it can be listed")
                    .path()
                    .file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    assert_eq!(listed("seeds"), names);
    assert_eq!(listed("fuzz_targets"), names);
    let manifest: toml::Table = fs::read_to_string(folder("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().expect("there are programs");
    let programs: BTreeSet<String> =
        programs.iter().map(|program| program["name"].as_str().expect("it has a name").to_owned()).collect();
    assert_eq!(programs, names);
    for name in &names {
        let program = fs::read_to_string(folder("fuzz_targets").join(name).with_extension("rs")).unwrap();
        assert!(
            program.contains(&format!("{}.check", name.to_uppercase())),
            "{name}: its program runs another target"
        );
    }
}

#[test]
fn what_takes_more_memory_than_its_limit_is_found() {
    let greedy = Target {
        run: |input| vec![0_u8; 10 * input.len()].is_empty(),
        limit: Limit { bytes: 5, per_byte: 9 },
        ..*ALL[0]
    };
    assert!(catch_unwind(|| greedy.check(&[1; 5])).is_ok());
    assert!(catch_unwind(|| greedy.check(&[1; 6])).is_err());
}
