//! Gives the crate a digest of the sources that decide what a replica makes of an input, so that a journal is not
//! played by another build of the program.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::io;
use std::path::Path;

use walkdir::WalkDir;

/// Crates of the workspace.
const CRATES: [&str; 8] = ["adversary", "apps", "broadcast", "ccro", "flows", "journal", "kernel", "pbft"];

fn main() -> io::Result<()> {
    let project = Path::new("..");
    let mut files = Vec::new();
    for folder in CRATES.map(|name| project.join(name).join("src")) {
        println!("cargo::rerun-if-changed={}", folder.display());
        for entry in WalkDir::new(folder) {
            let entry = entry?;
            files.extend(entry.file_type().is_file().then(|| entry.into_path()));
        }
    }
    files.sort();
    let mut digest = DefaultHasher::new();
    for file in files {
        digest.write(file.to_string_lossy().as_bytes());
        digest.write(&fs::read(&file)?);
    }
    println!("cargo::rustc-env=SOURCES_DIGEST={:016x}", digest.finish());
    Ok(())
}
