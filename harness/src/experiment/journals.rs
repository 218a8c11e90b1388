//! Where the nodes of one run keep their journals: beside its results, on the same disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use journal::Durability;

use crate::cluster::Journals;
use crate::plan::Cell;
use crate::results::files::file_name;

/// The journals of one run. They are removed when this is dropped, which must be after its nodes.
#[derive(Debug)]
pub struct RunJournals {
    folder: PathBuf,
    durability: Durability,
    are_kept: bool,
}

impl RunJournals {
    /// For a run whose results go to `dir`; `None` if its nodes keep none. What a program that
    /// was killed has left of the same run is removed.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn begin(dir: &Path, cell: &Cell, repetition: u32) -> Result<Option<RunJournals>> {
        if cell.durability == Durability::Off {
            return Ok(None);
        }
        let folder = dir.join(file_name(&format!("{}-{repetition}", cell.name), "journals"));
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}, which is of a run before", folder.display()))?;
        }
        Ok(Some(RunJournals { folder, durability: cell.durability, are_kept: false }))
    }

    /// What its nodes have to know.
    pub fn of_nodes(&self) -> Journals {
        Journals { folder: self.folder.clone(), durability: self.durability }
    }

    /// Does not remove them, and says where they are.
    pub fn keep(&mut self) -> String {
        self.are_kept = true;
        format!("the journals are kept in {}", self.folder.display())
    }
}

impl Drop for RunJournals {
    fn drop(&mut self) {
        if !self.are_kept {
            // What stays is removed when the run is tried again.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn journals_go_with_the_run_unless_they_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { durability: vec![Durability::Off, Durability::Fsync], ..Plan::default() };
        let cells = plan.cells().unwrap();
        assert!(RunJournals::begin(dir.path(), &cells[0], 0).unwrap().is_none());
        let begin = || RunJournals::begin(dir.path(), &cells[1], 3).unwrap().unwrap();
        let mut journals = begin();
        let folder = dir.path().join("pbft-n4-none-fsync-3.journals");
        assert_eq!(journals.of_nodes().folder, folder);
        fs::create_dir_all(folder.join("node-0")).unwrap();
        assert!(journals.keep().ends_with("pbft-n4-none-fsync-3.journals"));
        drop(journals);
        assert!(folder.join("node-0").exists());
        let journals = begin();
        assert!(!folder.exists(), "those of the run before");
        fs::create_dir_all(folder.join("node-1")).unwrap();
        drop(journals);
        assert!(!folder.exists());
    }
}
