//! `harness replay`.

use std::io::{self, BufWriter};

use anyhow::Result;
use kernel::Seq;

use crate::base::console::{note, warn};
use crate::cli::ReplayArgs;
use crate::replay::FolderOf;
use crate::replay::steps::{self, Shown};

/// Runs the command and returns the exit code.
pub fn run(args: &ReplayArgs) -> Result<u8> {
    let shown = Shown {
        to_seq: args.to_seq.map(Seq),
        slot: args.slot.map(Seq),
        in_full: args.full,
        as_json: args.json,
    };
    let folder = FolderOf::read(&args.folder)?;
    if let Some(doubt) = folder.doubt() {
        warn(doubt);
    }
    match steps::print(&folder, shown, BufWriter::new(io::stdout().lock())) {
        // Whoever reads along has seen enough.
        Err(error)
            if error
                .downcast_ref()
                .is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            note(Ok(()));
            Ok(0)
        }
        printed => printed.map(|()| 0),
    }
}
