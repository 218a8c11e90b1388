//! The runs: each program, called again and again as `PROGRAM compare …`.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::judge::{Measured, Runs, table};
use crate::base::console::{say, warn};
use crate::base::exit::{INTERRUPTED, NOT_LIVE, NotMeasured, UNSAFE, Unsafe};
use crate::base::folder;
use crate::base::progress::ProgressLine;
use crate::base::stop::Stop;
use crate::results::files::write_rows;
use crate::results::machine::Machine;
use crate::results::schema::{BenchRow, Row as _, Verdict};

/// Other programs may use so much of the CPU, a share of it.
const FOREIGN_CPU_SHARE: f64 = 0.05;
/// Between two looks at whether a program has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The other program; none to measure this one alone.
    pub against: Option<PathBuf>,
    /// How often each program runs every cell.
    pub pairs: u32,
    /// The share by which figures may differ without being called different.
    pub tolerated: f64,
    /// The flags that both programs are given behind `compare`.
    pub flags: Vec<String>,
    /// Where results go.
    pub out: PathBuf,
}

/// Measures, prints and writes `bench.csv`. Returns the exit code: 3 if this program is worse than the other one. What was
/// measured before an error is told all the same.
///
/// # Errors
///
/// If a program cannot be run, or ends with an error.
pub async fn run(bench: &Bench) -> Result<u8> {
    let this = std::env::current_exe().context("cannot find this program itself")?;
    if let Some(other) = &bench.against {
        let is_there = fs::metadata(other).is_ok_and(|found| found.is_file());
        ensure!(
            is_there,
            "--against {}: there is no such program; keep one with cp target/release/harness old",
            other.display()
        );
    }
    folder::begin(&bench.out)?;
    Machine::inspect().write(&bench.out)?;
    let stop = Stop::listen()?;
    let mut programs = vec![("this", &this)];
    programs.extend(bench.against.iter().map(|other| ("other", other)));
    let total = u64::from(bench.pairs) * programs.len() as u64;
    let mut progress = ProgressLine::new(total, "{bar:30} {pos} of {len} runs, {eta} left")?;
    let mut measured = vec![Vec::new(); programs.len()];
    let mut broken_off = None;
    'runs: for pair in 0..bench.pairs {
        for turn in 0..programs.len() {
            // Which of them is first is no advantage.
            let place = if pair % 2 == 0 { turn } else { programs.len() - 1 - turn };
            let (name, program) = programs[place];
            let dir = bench.out.join(format!("{name}-{pair}"));
            match measure(program, bench, pair, &dir, &stop).await {
                Ok(Some(rows)) => measured[place].push(rows),
                Ok(None) => {
                    broken_off = Some(Ok(INTERRUPTED));
                    break 'runs;
                }
                Err(error) => {
                    broken_off = Some(Err(error));
                    break 'runs;
                }
            }
            progress.tell(measured.iter().map(|of| of.len() as u64).sum(), "runs");
        }
    }
    progress.finish();
    let runs = Runs::of(measured);
    let rows = runs.judge(bench.tolerated);
    tell(bench, &rows, &runs)?;
    let is_worse = rows.iter().any(|row| matches!(row.verdict, Verdict::Worse | Verdict::Undecided));
    broken_off.unwrap_or(Ok(if is_worse { NOT_LIVE } else { 0 }))
}

fn tell(bench: &Bench, rows: &[BenchRow], runs: &Runs) -> Result<()> {
    write_rows(&bench.out, rows)?;
    if rows.is_empty() {
        warn("No run was finished, so there is nothing to tell.");
        return Ok(());
    }
    say(table(rows));
    if let Some(confidence) = rows.iter().find_map(|row| row.confidence) {
        say(format_args!(
            "{} pairs: the median ratio lies in the range of all pairs with a probability of {:.0} %.",
            runs.this.len(),
            confidence * 100.0
        ));
    }
    let foreign = Measured::foreign_cpu_share(&runs.this).max(Measured::foreign_cpu_share(&runs.other));
    if foreign >= FOREIGN_CPU_SHARE {
        warn(format_args!(
            "WARNING: other programs used up to {:.0} % of the CPU meanwhile: repeat it on a quiet machine.",
            foreign * 100.0
        ));
    }
    say(format_args!("Written to {}.", bench.out.join(BenchRow::FILE).display()));
    Ok(())
}

/// One run of all cells. None if it was interrupted.
async fn measure(
    program: &Path,
    bench: &Bench,
    pair: u32,
    dir: &Path,
    stop: &Stop,
) -> Result<Option<Vec<Measured>>> {
    let said = dir.with_extension("log");
    let log = File::create(&said).with_context(|| format!("cannot create {}", said.display()))?;
    let errors = log.try_clone()?;
    let mut command = Command::new(program);
    command.arg("compare").args(&bench.flags).args([
        "--repetitions",
        "1",
        "--seed",
        &pair.to_string(),
        "--out",
    ]);
    // A group of its own: Ctrl-C reaches it through this program, once.
    command.arg(dir).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let Some(status) = until_ended(child, stop).await? else { return Ok(None) };
    if !status.success() {
        let is_unsafe = status.code() == Some(UNSAFE.into());
        let text = fs::read_to_string(&said).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        let error = anyhow::anyhow!(
            "{} compare ended with {status}; all that it said is in {}, in the end:\n{last}",
            program.display(),
            said.display()
        );
        // That honest nodes disagree is a result, and the gravest.
        return Err(if is_unsafe { error.context(Unsafe) } else { error.context(NotMeasured) });
    }
    Measured::read(dir).map(Some)
}

/// Waits until a program has ended. None if it was interrupted: then it is told to end in order, and has.
async fn until_ended(mut child: Child, stop: &Stop) -> Result<Option<ExitStatus>> {
    let mut interrupted = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!interrupted).then_some(status));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = stop.wait(), if !interrupted => {
                interrupted = true;
                // It may have ended in the meantime.
                let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            }
        }
    }
}
