//! `harness up`.

use anyhow::Result;
use journal::Durability;

use crate::cli::UpRest;
use crate::cluster::{ClusterSpec, Journals, up};
use crate::plan::ProtocolName;

/// Runs the command and returns the exit code.
pub async fn run(protocol: ProtocolName, args: UpRest) -> Result<u8> {
    let plan = args.plan(protocol)?;
    let cell = plan.cells()?.remove(0);
    let trace = args.trace.to();
    let (logs, client_files) = (args.logs, args.client_files);
    let of_folder = |folder| Journals { folder, durability: cell.durability };
    let journals = args.data_dir.map(of_folder);
    let mut spec = ClusterSpec { logs, client_files, journals, ..ClusterSpec::of(&plan, &cell) };
    if cell.durability == Durability::Off {
        spec.check_that_no_journal_goes_out_of_date()?;
        spec.journals = None;
    }
    up::run(spec, trace.as_ref()).await
}
