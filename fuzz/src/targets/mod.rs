//! The targets. What is decoded by a crate of others alone (HTTP itself, TOML, JSON, CSV) is
//! reached through what uses it.

pub mod apps;
pub mod demo;
pub mod examples;
pub mod files;
pub mod http;
pub mod journals;
pub mod page;
pub mod peers;
pub mod plays;
pub mod results;
pub mod traces;

use crate::Target;
use std::path::PathBuf;

/// All of them.
pub const ALL: [&Target; 30] = [
    // What peers and clients send.
    &peers::PEER_FRAMES,
    &peers::TAGGED_FRAMES,
    &peers::CLIENT_FRAMES,
    &peers::MESSAGES,
    &peers::STATES,
    &peers::EVIDENCE,
    &http::CONNECTIONS,
    &http::BODIES,
    &apps::OPERATIONS,
    &apps::SNAPSHOTS,
    // Files, and what is typed.
    &files::CLUSTER_FILES,
    &files::KEY_FILES,
    &files::PLANS,
    &files::NETWORKS,
    &files::SCHEDULES,
    &files::HISTORIES,
    &files::TYPED,
    &journals::JOURNALS,
    &journals::JOURNAL_ENTRIES,
    &journals::SAVED_REPLICAS,
    &traces::TRACES,
    &traces::TRACE_PARTS,
    &results::ROWS,
    &results::REPORTS,
    &page::QUESTIONS,
    &page::LESSONS,
    &demo::DEMO,
    // Many messages, one after the other.
    &plays::PLAYS_OF_PBFT,
    &plays::PLAYS_OF_PBFT_MAC,
    &plays::PLAYS_OF_CCRO,
];

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.into_iter().find(|target| target.name == name)
}

/// Reads text; none if it is none.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// In memory, where there is such a file system: thousands of folders a second are no work for
/// a disk.
fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder can be made")
}
