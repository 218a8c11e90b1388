//! Whether runs are recorded, and into which files. No part of a plan: it says nothing of
//! what is run.

use std::path::{Path, PathBuf};

/// Where recorded runs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceTo {
    /// The file of the only run; where there are several, the pattern of their files.
    pub file: PathBuf,
    /// What all nodes of a run record together at most, bytes.
    pub limit_bytes: u64,
}

impl TraceTo {
    /// The file of a run that is one of so many: with the cell's name and the repetition
    /// in it if there are several.
    pub fn file_of(&self, cell: &str, repetition: u64, runs: usize) -> PathBuf {
        if runs == 1 { self.file.clone() } else { file_of(&self.file, cell, repetition) }
    }

    /// The folder of the file.
    pub fn folder(file: &Path) -> &Path {
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

/// A file named like `pattern`, with what is run and a number in it.
pub fn file_of(pattern: &Path, what: &str, number: u64) -> PathBuf {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (text(pattern.file_stem()), text(pattern.extension()));
    let dot = if extension.is_empty() { "" } else { "." };
    pattern.with_file_name(format!("{stem}-{what}-{number}{dot}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_runs_have_a_file_each() {
        let file = |file: &str, runs| {
            let to = TraceTo { file: file.into(), limit_bytes: 0 };
            to.file_of("pbft-n4-none", 2, runs).display().to_string()
        };
        assert_eq!(file("a/run.trace", 1), "a/run.trace");
        assert_eq!(file("a/run.trace", 3), "a/run-pbft-n4-none-2.trace");
        assert_eq!(file("run", 3), "run-pbft-n4-none-2");
        assert_eq!(TraceTo::folder(Path::new("run")), Path::new("."));
        assert_eq!(TraceTo::folder(Path::new("a/run")), Path::new("a"));
    }
}
