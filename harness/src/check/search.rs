//! Searches through the scopes asked for, and what is printed of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sim::checker::{Progress, Report};

use super::named::{Finds, NAMED, Named};
use crate::base::console::say;
use crate::base::exit::{INTERRUPTED, UNSAFE};
use crate::base::stop::Stop;

/// Prints all scopes with what they explore.
pub fn list() {
    NAMED.iter().for_each(|named| say(format_args!("{:<42} {}", named.name, named.about)));
}

/// Searches through the scopes whose names begin like these, or all, within limits
/// for each; writes a disagreement as a sequence diagram into `example`. Returns the
/// exit code.
pub async fn run(scopes: &[String], limits: Bounds, example: Option<&Path>) -> Result<u8> {
    let chosen = choose(scopes)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let (stop, flag) = (Stop::listen()?, Arc::clone(&interrupted));
    tokio::task::spawn_local(async move {
        stop.wait().await;
        flag.store(true, Ordering::Relaxed);
    });
    let (mut code, mut is_written) = (0, false);
    for named in chosen {
        let (limits, flag, began) = (Limits::from_now(limits), Arc::clone(&interrupted), Instant::now());
        let search =
            move || named.run(Box::new(|step| step()), &mut |progress| limits.reached(progress, &flag));
        let report = tokio::task::spawn_blocking(search).await?;
        say(summary(named, &report, began.elapsed()));
        if !named.is_as_expected(&report) {
            code = UNSAFE;
        }
        if let (Finds::Disagreement, Some(path), Some((_, diagram))) =
            (named.finds, example, &report.violation)
        {
            write_example(path, named, &diagram.mermaid())?;
            is_written = true;
        }
        if interrupted.load(Ordering::Relaxed) {
            return Ok(INTERRUPTED);
        }
    }
    if let (Some(path), false) = (example, is_written) {
        say(format_args!(
            "{} is not written: no scope found a disagreement that it must find",
            path.display()
        ));
    }
    Ok(code)
}

fn choose(names: &[String]) -> Result<Vec<&'static Named>> {
    if names.is_empty() {
        return Ok(NAMED.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let exact = NAMED.iter().find(|named| named.name == name);
        let beginning = || NAMED.iter().filter(|named| named.name.starts_with(name.as_str()));
        let fitting: Vec<_> = exact.map_or_else(|| beginning().collect(), |exact| vec![exact]);
        if fitting.is_empty() {
            bail!("there is no scope {name:?}; `harness check --list` names them all");
        }
        chosen.extend(fitting);
    }
    Ok(chosen)
}

/// Where a search ends without having seen everything.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Distinct states.
    pub states: usize,
    /// Time.
    pub time: Duration,
    /// Memory of the whole process.
    pub memory_bytes: u64,
}

/// The same for a search that began.
#[derive(Clone, Copy, Debug)]
struct Limits {
    bounds: Bounds,
    began: Instant,
}

impl Limits {
    fn from_now(bounds: Bounds) -> Limits {
        Limits { bounds, began: Instant::now() }
    }

    fn reached(&self, progress: Progress, interrupted: &AtomicBool) -> Option<String> {
        if interrupted.load(Ordering::Relaxed) {
            Some("Ctrl-C".to_owned())
        } else if progress.unique >= self.bounds.states {
            Some(format!("{} states", self.bounds.states))
        } else if self.began.elapsed() >= self.bounds.time {
            Some(format!("{} s", self.bounds.time.as_secs()))
        } else if resident_bytes().is_some_and(|bytes| bytes >= self.bounds.memory_bytes) {
            Some(format!("{} MiB of memory", self.bounds.memory_bytes >> 20))
        } else {
            None
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// What a person wants to know of one scope.
fn summary(named: &Named, report: &Report, took: Duration) -> String {
    let Report { progress, reach, stopped, violation } = report;
    let how = match (violation, stopped) {
        (Some((property, _)), _) => format!("VIOLATED {property}"),
        (None, Some(reason)) => format!("bounded by {reason}, nothing found"),
        (None, None) => "exhausted, nothing found".to_owned(),
    };
    let expected = if named.is_as_expected(report) { "" } else { "  NOT AS EXPECTED" };
    let mut text = format!(
        "{}: {how}{expected}\n  {}\n  {} states, {} unique, {} moves deep, {:.1} s; {} local states, {} messages \
         ({} refused); up to view {}, slot {} decided, slot {} executed; {} outcomes",
        named.name,
        named.about,
        progress.states,
        progress.unique,
        progress.depth,
        took.as_secs_f64(),
        reach.local_states,
        reach.messages,
        reach.refused,
        reach.view,
        reach.decided,
        reach.executed,
        reach.outcomes,
    );
    if let Some((_, diagram)) = violation {
        text.push('\n');
        text.push_str(&diagram.text());
    }
    text
}

fn write_example(path: &Path, named: &Named, diagram: &str) -> Result<()> {
    let text = format!(
        "# A disagreement in `ccro-paper`\n\n\
         Written by `harness check --scope {} --example {}`; do not edit. The scope: {}.\n\n\
         The run is a shortest one in moves of honest nodes. Each arrow is a delivery; what was sent and not delivered \
         is left out. Two honest nodes execute different blocks in one round, because COMMIT is one node's word and \
         carries no proof: had it to carry `2f+1` votes, a faulty communication node would have none to show.\n\n\
         ```mermaid\n{diagram}```\n",
        named.name,
        path.display(),
        named.about,
    );
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
