//! Crates, and the folders of `harness`, use each other only as the architecture
//! allows, and no files use each other in a circle.

mod graph;

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use graph::{arrows, circle};

/// Each crate and what it may depend on; everything else is a wrong arrow.
const CRATES: [(&str, &[&str]); 17] = [
    ("kernel", &[]),
    ("pbft", &["kernel"]),
    ("ccro", &["kernel", "pbft"]),
    ("broadcast", &["kernel", "apps"]),
    ("apps", &["kernel"]),
    ("client", &["kernel"]),
    ("demo", &["kernel", "pbft", "apps", "client"]),
    ("adversary", &["kernel"]),
    ("journal", &["kernel"]),
    ("sim", &["kernel", "client", "adversary", "journal"]),
    ("trace", &["kernel", "apps"]),
    ("flows", &["kernel", "pbft", "ccro", "broadcast", "apps", "adversary", "sim", "trace"]),
    ("viewer", &["kernel", "pbft", "ccro", "apps", "adversary", "sim", "trace", "flows"]),
    ("digests", &["kernel", "sim", "flows"]),
    ("node", &["kernel", "apps", "client", "adversary", "journal", "trace"]),
    (
        "harness",
        &[
            "kernel",
            "pbft",
            "ccro",
            "broadcast",
            "apps",
            "adversary",
            "sim",
            "flows",
            "client",
            "demo",
            "node",
            "journal",
            "trace",
            "viewer",
        ],
    ),
    (
        "fuzz",
        &[
            "kernel",
            "pbft",
            "ccro",
            "broadcast",
            "apps",
            "adversary",
            "sim",
            "flows",
            "client",
            "demo",
            "node",
            "journal",
            "trace",
            "viewer",
            "harness",
        ],
    ),
];

/// Each folder of `harness` and what it may use, from the top to the bottom.
const FOLDERS: [(&str, &[&str]); 19] = [
    (
        "commands",
        &[
            "base",
            "plan",
            "cli",
            "config",
            "cluster",
            "costs",
            "demo",
            "experiment",
            "history",
            "simulate",
            "check",
            "predict",
            "results",
            "replay",
            "report",
            "view",
            "bench",
        ],
    ),
    ("cli", &["plan", "config"]),
    ("bench", &["base", "results", "report"]),
    ("predict", &["base", "plan", "cluster", "costs", "experiment", "simulate", "results", "report"]),
    ("simulate", &["base", "plan", "cluster", "load", "experiment", "results", "report"]),
    ("experiment", &["base", "plan", "cluster", "load", "history", "results", "report"]),
    ("replay", &[]),
    ("view", &["base"]),
    ("history", &[]),
    ("check", &["base"]),
    ("demo", &["base", "cluster"]),
    ("costs", &["base", "plan", "cluster", "load"]),
    ("load", &["plan"]),
    ("cluster", &["base", "plan", "config", "results"]),
    ("report", &["base", "results"]),
    ("results", &["base"]),
    ("config", &["plan"]),
    ("plan", &[]),
    ("base", &[]),
];

/// The crates in which no files may use each other in a circle.
const WITHOUT_CIRCLES: [&str; 3] = ["harness", "node", "trace"];

/// Where sockets and tasks are at home.
const MAY_DO_IO: [&str; 3] = ["node", "harness", "fuzz"];

#[test]
fn the_arrows_between_crates_are_those_of_the_architecture() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let known: BTreeSet<&str> = CRATES.iter().map(|(member, _)| *member).collect();
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(members, known, "a crate was added or removed: say in CRATES what it may depend on");
    for package in &metadata.packages {
        let (_, allowed) =
            CRATES.iter().find(|(member, _)| *member == package.name.as_str()).expect("checked");
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        for dependency in normal {
            let name = dependency.name.as_str();
            let inside = members.contains(name);
            assert!(!inside || allowed.contains(&name), "{} must not depend on {name}", package.name);
            // What only the feature `driver` of `client` needs is no part of its pure core.
            let does_io = !dependency.optional && ["tokio", "hyper", "hyper-util"].contains(&name);
            assert!(
                !does_io || MAY_DO_IO.contains(&package.name.as_str()),
                "{} must stay pure, but depends on {name}",
                package.name
            );
        }
    }
}

#[test]
fn the_folders_of_the_harness_use_only_those_below() {
    let places: Vec<&str> = FOLDERS.iter().map(|(folder, _)| *folder).collect();
    for (place, (folder, allowed)) in FOLDERS.iter().enumerate() {
        let above = allowed.iter().find(|used| !places[place..].contains(used));
        assert_eq!(above, None, "{folder} is below what it may use");
    }
    let arrows = arrows(&src("harness"));
    assert!(arrows.len() > 100, "{} arrows found: the source is not read rightly", arrows.len());
    for arrow in &arrows {
        let (Some(from), Some(to)) = (arrow.from.first(), arrow.to.first()) else { continue };
        let Some((_, allowed)) = FOLDERS.iter().find(|(folder, _)| folder == from) else {
            // The binaries use what the library has.
            assert!(
                ["main", "bin"].contains(&from.as_str()),
                "{from} is new: say in FOLDERS what it may use"
            );
            continue;
        };
        assert!(
            from == to || allowed.contains(&to.as_str()),
            "{} must not use {}",
            arrow.from.join("::"),
            arrow.to.join("::")
        );
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for name in WITHOUT_CIRCLES {
        let circle = circle(&arrows(&src(name)))
            .map(|circle| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> "));
        assert_eq!(circle, None, "in {name}");
    }
}

fn src(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src")
}
