//! How the numbers came about: how to read them, what was held equal, how sure they
//! are, and how to have them again.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;

use super::format::percent;
use super::material::Material;
use super::words::{count, list};
use crate::results::schema::CellRow;
use crate::results::setting::Variant;
use crate::results::statistics::{DRAW_CAP, RESAMPLES};
use crate::results::summary::{BASELINE, BOOTSTRAP_SEED, PAPER_WARNING};

/// Lines for the page.
#[derive(Serialize, Default)]
pub(super) struct Method {
    pub(super) reading: Vec<String>,
    pub(super) equal: Vec<String>,
    pub(super) sure: Vec<String>,
    pub(super) repeat: Vec<String>,
}

impl Method {
    /// Of a result with cells.
    pub(super) fn of_cells(material: &Material, machine: Option<&Json>, dir: &Path) -> Method {
        Method {
            reading: reading(material),
            equal: equal(material),
            sure: sure(material),
            repeat: repeat(machine, dir, true),
        }
    }

    /// Of `harness predict`.
    pub(super) fn of_predictions(machine: Option<&Json>, dir: &Path) -> Method {
        let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        Method {
            reading: lines(&[
                "Both sides give the median (nearest rank) of the consensus time: from the gateway’s receipt of a \
                 request to the reply that completes f + 1 matching ones.",
                "The simulator is fed with costs.json, measured without any protocol, and with nothing that the \
                 cells themselves showed.",
            ]),
            equal: lines(&[
                "The same cells, without faults and with one client, on real nodes and in the simulator.",
            ]),
            sure: lines(&[
                "A ratio from 0.7 to 1.3 counts as good; what is known of why others are off stands under the table.",
                "Where other programs used the CPU meanwhile, the comparison does not judge the model.",
            ]),
            repeat: repeat(machine, dir, false),
        }
    }
}

fn reading(material: &Material) -> Vec<String> {
    let rows = material.rows.summary;
    let mut lines = vec![
        "Times are of decided requests only; an undecided request has no time.".to_string(),
        "Percentiles are by nearest rank: the p-th of m ascending values is the one at rank ⌈p·m⌉. It is always a \
         measured value; nothing is interpolated."
            .into(),
    ];
    if rows.iter().any(|row| row.latency_basis == "consensus") {
        lines.push(
            "Consensus time: at the gateway (via client: at the client), from the request’s receipt to the f + 1st \
             matching valid reply (closed loops)."
                .into(),
        );
    }
    if rows.iter().any(|row| row.latency_basis == "response") {
        lines.push(
            "Response time: from the moment at which the request was due to the complete answer, so that a stall \
             counts for every request that it delayed (open loops)."
                .into(),
        );
    }
    lines.push(
        "A decision is one slot, with the batch of requests that it orders; messages, bytes and CPU time are \
         those of all nodes together, divided by decided slots."
            .into(),
    );
    if rows.iter().any(|row| row.durability != "off") {
        lines.push(
            "Durability: without journals (off), a node that stops has lost its memory. With journals, what a node \
             was given is written before anything that it promises because of that leaves: to the operating system (on), which \
             outlives the end of a process, or synced to the disk (fsync), which outlives a loss of power. All \
             nodes of a cluster share one disk here."
                .into(),
        );
    }
    if rows.iter().any(|row| row.safety == PAPER_WARNING) {
        lines.push(format!(
            "* ccro-paper is {PAPER_WARNING}: a lower time of it is not a lower time for the same service."
        ));
    }
    lines
}

fn equal(material: &Material) -> Vec<String> {
    let mut lines = Vec::new();
    let alike = Variant::common(material.variants());
    if !alike.is_empty() {
        lines.push(format!("In all cells: {}.", alike.join(", ")));
    }
    lines.push(
        "Protocols are compared only with cells that are alike in nodes, faults, load and links; all get the same \
         faulty nodes and the same requests."
            .into(),
    );
    let simulated = material.rows.cells.iter().any(|cell| cell.placement == "simulated");
    lines.push(match simulated {
        true => "A repetition plays every cell with a seed of its own, the same for all protocols.".into(),
        false => "A repetition runs every cell once on a fresh cluster, in an order drawn anew, so that a drift of \
                  the machine hits all protocols alike."
            .into(),
    });
    lines
}

fn sure(material: &Material) -> Vec<String> {
    let rows = material.rows.summary;
    let mut lines = Vec::new();
    let repetitions: BTreeSet<u64> = rows.iter().map(|row| u64::from(row.repetitions)).collect();
    let requests: BTreeSet<u64> = rows.iter().map(|row| row.requests).collect();
    if let (Some(least), Some(most)) = (requests.first(), requests.last()) {
        let requests = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let runs: Vec<String> = repetitions.iter().map(u64::to_string).collect();
        lines.push(format!("Each cell: {requests} requests in {} repetitions.", list(&runs)));
    }
    lines.push(format!(
        "Intervals are 95 % bootstrap intervals ({RESAMPLES} draws, at most {DRAW_CAP} requests each, seed \
         {BOOTSTRAP_SEED}): repetitions are drawn, for ratios the same for both cells, then requests within each. \
         With {} they know little of what changes between runs of the program.",
        if repetitions.last() == Some(&1) { "one repetition" } else { "few repetitions" }
    ));
    let compared = rows.iter().filter(|row| row.protocol != BASELINE && row.ratio_low.is_some()).count();
    if compared > 0 {
        lines.push(format!(
            "Significant means that the interval of the ratio does not hold 1. Of {compared} comparisons about {} \
             would look significant by chance alone, if nothing differed.",
            (compared as f64 * 0.05).ceil()
        ));
    }
    let most = |share: fn(&CellRow) -> Option<f64>| {
        material.rows.cells.iter().filter_map(share).max_by(f64::total_cmp)
    };
    if let Some(foreign) = most(|cell| cell.foreign_cpu_share) {
        let idle = material.rows.cells.iter().filter_map(|cell| cell.idle_share).min_by(f64::total_cmp);
        let idle =
            idle.map_or_else(String::new, |idle| format!("; at least {} of them was idle", percent(idle)));
        lines.push(format!(
            "Other programs used at most {} of the cores’ time during a cell{idle}.",
            percent(foreign)
        ));
    }
    lines
}

/// Commands that give the result again, and the page from its data.
fn repeat(machine: Option<&Json>, dir: &Path, has_plan: bool) -> Vec<String> {
    let words = machine.and_then(|machine| machine.get("command"));
    let command = match words {
        Some(Json::Array(words)) => {
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            command(&words)
        }
        Some(Json::String(text)) => text.clone(),
        _ => String::new(),
    };
    let name = dir.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned());
    let commit = machine.and_then(|machine| machine.get("commit")).and_then(Json::as_str);
    let mut lines: Vec<String> = commit.map(|commit| format!("git checkout {commit}")).into_iter().collect();
    lines.extend((!command.is_empty()).then_some(command));
    if has_plan {
        lines.push(format!("harness sweep {name}/plan.toml     # the same plan"));
    }
    lines.push(format!("harness report {name}     # this page from the data"));
    lines
}

/// A command as one types it; the program without the folder in which it was built.
fn command(words: &[&str]) -> String {
    let quoted = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.to_string()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let mut words = words.iter();
    let program = words.next().map_or("harness", |path| path.rsplit('/').next().unwrap_or(path));
    std::iter::once(quoted(program)).chain(words.map(|word| quoted(word))).collect::<Vec<_>>().join(" ")
}

/// The page's heading and what was run, in a sentence.
pub(super) fn heading(material: &Material, machine: Option<&Json>) -> (String, String) {
    let cells = material.rows.cells;
    let mut protocols: Vec<&str> = Vec::new();
    let mut sizes: BTreeSet<u32> = BTreeSet::new();
    let mut faults: BTreeSet<&str> = BTreeSet::new();
    for row in material.rows.summary {
        if !protocols.contains(&row.protocol.as_str()) {
            protocols.push(&row.protocol);
        }
        sizes.insert(row.nodes);
        faults.insert(&row.fault);
    }
    let names: Vec<String> = protocols.iter().map(ToString::to_string).collect();
    let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
    let what = if protocols.is_empty() { "Consensus under faults".into() } else { list(&names) };
    let at = if sizes.is_empty() { String::new() } else { format!(" at n = {}", list(&sizes)) };
    let how = match (cells.iter().any(|c| c.placement == "simulated"), material.rows.events.is_empty()) {
        (true, _) => ", simulated",
        (_, false) => " when nodes fail under load",
        _ => {
            if faults.len() > 1 {
                " with and without faults"
            } else {
                ""
            }
        }
    };
    let requests: u64 = material.rows.summary.iter().map(|row| row.requests).sum();
    let text = |key: &str| machine.and_then(|machine| machine.get(key)).and_then(Json::as_str);
    let mut lead =
        format!("{} in {}", count(requests, "request"), count(material.rows.summary.len() as u64, "cell"));
    if let Some(cpu) = text("cpu_model") {
        let cores =
            machine.and_then(|machine| machine.get("cores")).map_or_else(String::new, Json::to_string);
        lead += &format!(", on {cores} cores of {cpu}");
    }
    if let Some(started) = text("started_utc") {
        lead += &format!(", {}", started.replace('T', " ").replace('Z', " UTC"));
    }
    lead += ". Times are of decided requests only.";
    (format!("{what}{at}{how}"), lead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["/tmp/target/release/harness", "compare", "--fault", "equivocate=victim;0@1", "it's"];
        assert_eq!(command(&words), r"harness compare --fault 'equivocate=victim;0@1' 'it'\''s'");
        assert_eq!(command(&[]), "harness");
        let machine = serde_json::json!({"command": ["harness", "compare"], "commit": "abc"});
        let lines = repeat(Some(&machine), Path::new("results/reference"), true);
        assert_eq!(lines[..2], ["git checkout abc", "harness compare"]);
        assert!(lines[2].contains("reference/plan.toml") && lines[3].contains("harness report reference"));
    }
}
