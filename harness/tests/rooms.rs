//! The crates depend on each other only as the architecture allows.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeSet;

/// Each room and what it may depend on; everything else is a wrong arrow.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("kernel", &[]),
    ("pbft", &["kernel"]),
    ("ccro", &["kernel", "pbft"]),
    ("apps", &["kernel"]),
    ("adversary", &["kernel"]),
    ("sim", &["kernel", "adversary"]),
    ("node", &["kernel", "adversary"]),
    ("harness", &["kernel", "pbft", "ccro", "apps", "adversary", "sim", "node"]),
];

/// Where sockets and tasks are at home.
const MAY_DO_IO: [&str; 2] = ["node", "harness"];

#[test]
fn the_arrows_between_crates_are_those_of_the_architecture() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let rooms: BTreeSet<&str> = ALLOWED.iter().map(|(room, _)| *room).collect();
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(members, rooms, "a crate was added or removed: say in ALLOWED what it may depend on");
    for package in &metadata.packages {
        let (_, allowed) = ALLOWED.iter().find(|(room, _)| *room == package.name.as_str()).expect("checked");
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        for dependency in normal {
            let name = dependency.name.as_str();
            let inside = rooms.contains(name);
            assert!(!inside || allowed.contains(&name), "{} must not depend on {name}", package.name);
            let does_io = ["tokio", "hyper", "hyper-util"].contains(&name);
            assert!(
                !does_io || MAY_DO_IO.contains(&package.name.as_str()),
                "{} must stay pure, but depends on {name}",
                package.name
            );
        }
    }
}
