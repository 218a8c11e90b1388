//! What the built page is made of. A page that was built from other sources is stale.

use std::fs;
use std::io;
use std::path::Path;

use walkdir::WalkDir;

/// All that the module and the page are made of, below the project's folder.
const SOURCES: [&str; 19] = [
    "adversary/src",
    "apps/src",
    "broadcast/src",
    "ccro/src",
    "client/src",
    "flows/src",
    "journal/src",
    "kernel/src",
    "pbft/src",
    "sim/src",
    "trace/src",
    "viewer/src",
    "viewer/lessons",
    "viewer/page/src",
    "viewer/page/build.mjs",
    "viewer/page/package.json",
    "viewer/page/package-lock.json",
    "viewer/page/tsconfig.json",
    "viewer/Cargo.toml",
];

/// A digest of the sources below `project`, in hexadecimal: of the path and content of each
/// file, in the order of their paths.
///
/// # Errors
///
/// Which file cannot be read.
pub fn digest(project: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for entry in SOURCES.iter().flat_map(|source| WalkDir::new(project.join(source))) {
        let entry = entry?;
        files.extend(entry.file_type().is_file().then(|| entry.into_path()));
    }
    files.sort();
    let mut digest = blake3::Hasher::new();
    for file in files {
        let content = read(&file)?;
        let path = file.strip_prefix(project).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        digest.update(path.as_bytes()).update(&[0]);
        digest.update(&(content.len() as u64).to_le_bytes()).update(&content);
    }
    Ok(digest.finalize().to_hex().to_string())
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    fs::read(file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// The digest that a built page records.
pub fn recorded(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<meta name=\"sources-digest\" content=\"")?;
    rest.split_once('"').map(|(digest, _)| digest)
}
