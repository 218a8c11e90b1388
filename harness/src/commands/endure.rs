//! `harness endure`.

use anyhow::{Context, Result};
use comfy_table::{Table, presets};

use crate::base::console::{say, warn};
use crate::base::exit::{INTERRUPTED, NOT_LIVE, NOT_MEASURED, graver};
use crate::base::stop::Stop;
use crate::cli::EndureArgs;
use crate::experiment::endure::{Endured, endure};
use crate::report::format::duration;

const HEADER: [&str; 9] =
    ["cell", "clients", "req/s", "p50", "p99", "longest without answer", "undecided", "memory", "growth"];

/// Runs the command and returns the exit code.
pub async fn run(args: EndureArgs) -> Result<u8> {
    let (plan, [lasts, settle]) = (args.plan()?, args.times()?);
    let stop = Stop::listen()?;
    let (mut rows, mut code) = (Vec::new(), 0);
    for cell in plan.cells()? {
        let row = tokio::select! {
            row = endure(&plan, &cell, lasts, settle) => match row.with_context(|| cell.name.clone()) {
                Ok(row) => row,
                Err(error) => {
                    // What was measured before is shown all the same.
                    warn(format_args!("NOT MEASURED: {error:#}"));
                    code = graver(code, NOT_MEASURED);
                    continue;
                }
            },
            () = stop.wait() => {
                code = INTERRUPTED;
                break;
            }
        };
        if row.undecided > 0 {
            warn(format_args!("{}: {} requests were not decided: {}", row.cell, row.undecided, row.errors));
            code = graver(code, NOT_LIVE);
        }
        if row.growth_percent() > args.growth {
            warn(format_args!("{}: memory grew by {:.1} %", row.cell, row.growth_percent()));
            code = graver(code, NOT_LIVE);
        }
        rows.push(row);
    }
    say(table(&rows));
    if let Some(file) = &args.csv {
        let written = || -> Result<()> {
            let mut csv = csv::Writer::from_path(file)?;
            rows.iter().try_for_each(|row| csv.serialize(row))?;
            Ok(csv.flush()?)
        };
        written().with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(code)
}

fn table(rows: &[Endured]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(HEADER);
    for row in rows {
        let us = |us: u64| duration(Some(us as f64));
        table.add_row([
            row.cell.clone(),
            row.clients.to_string(),
            format!("{:.0}", row.per_s),
            us(row.p50_us),
            us(row.p99_us),
            us(row.stall_us),
            row.undecided.to_string(),
            format!("{} MB", row.end_bytes / 1_000_000),
            format!("{:+.1} %", row.growth_percent()),
        ]);
    }
    table
}
