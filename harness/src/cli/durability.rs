//! What `--data-dir` and `--durability` ask for together.

use std::path::Path;

use anyhow::{Result, bail};
use journal::Durability;

/// What a node outlives that was given this folder and this durability: a loss of power if only the folder
/// was given.
///
/// # Errors
/// If there has to be a folder and none was given.
pub(super) fn durability(given: Option<Durability>, folder: Option<&Path>) -> Result<Durability> {
    match (given, folder) {
        (Some(durability @ (Durability::On | Durability::Fsync)), None) => {
            bail!("--durability {durability} needs a folder: give it with --data-dir")
        }
        (given, None) => Ok(given.unwrap_or(Durability::Off)),
        (given, Some(_)) => Ok(given.unwrap_or(Durability::Fsync)),
    }
}
