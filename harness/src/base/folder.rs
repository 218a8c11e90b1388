//! Folders for results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Makes the folder that was given with `--out`, unless it is there and empty.
///
/// # Errors
///
/// If it cannot be made, or holds something.
pub fn begin(out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot create the --out folder {}", out.display()))?;
    if fs::read_dir(out)?.next().is_some() {
        bail!("the --out folder {} is not empty; give another one", out.display());
    }
    Ok(())
}
