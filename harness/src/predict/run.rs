//! What work costs is measured by itself ([`crate::costs::work`]), without any protocol;
//! the simulator is fed with that and with nothing else. The same cells then run on
//! real nodes, and both sides give the column `consensus_us`: from the gateway's
//! receipt of a request to the reply that completes `f+1` matching ones. Nothing is
//! ever fitted to what the nodes took.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use sim::{Costs, Delay, Network};

use crate::base::console::{say, warn};
use crate::base::exit::{INTERRUPTED, NOT_MEASURED, NotMeasured};
use crate::base::folder;
use crate::base::stop::Stop;
use crate::cluster::limits;
use crate::costs::work::{self, Measured};
use crate::experiment::cell::run_cell;
use crate::experiment::rows::RunId;
use crate::plan::{Cell, Placement, Plan};
use crate::report::build;
use crate::report::format::duration;
use crate::results::files::write_rows;
use crate::results::machine::Machine;
use crate::results::schema::{CellRow, PredictionRow, Row as _, SampleRow};
use crate::results::statistics::quantile;
use crate::results::warnings::FOREIGN_CPU_SHARE;
use crate::simulate::all::one;
use crate::simulate::cell::{Run, job_of};
use crate::simulate::rows;
use crate::simulate::simulation::Simulation;

/// A prediction is good if it is off by so much of what was measured at most.
const GOOD_PERCENT: u64 = 30;
/// CPU time beyond the model's by this share is reported.
const MORE_CPU: f64 = 0.15;
/// Cores idle for this share more than in the model are reported.
const MORE_IDLE: f64 = 0.1;

/// What the real nodes and the simulated ones have in common to be compared.
#[derive(Clone, Debug, Default, PartialEq)]
struct Side {
    /// Consensus times of decided requests, ascending.
    consensus_us: Vec<u64>,
    requests: u64,
    cpu_us: Option<f64>,
    idle_share: Option<f64>,
    foreign_share: Option<f64>,
    /// Runs that could not be measured.
    not_measured: u32,
}

/// Measures and simulates the cells of a plan, prints both, and writes
/// `predictions.csv`, `costs.json` and the report into `out`. Returns the exit code: a poor
/// prediction is a result.
pub async fn run(plan: Plan, out: Option<&Path>) -> Result<u8> {
    let cells = plan.cells()?;
    limits::check(&plan, &cells, limits::raise_descriptor_limit())?;
    if let Some(dir) = out {
        folder::begin(dir)?;
        Machine::inspect().write(dir)?;
    }
    let stop = Stop::listen()?;
    let (measured, real) = tokio::select! {
        sides = measure(&plan, &cells) => sides?,
        () = stop.wait() => return Ok(INTERRUPTED),
    };
    let simulation = simulation(&plan, &measured);
    let mut predictions = Vec::new();
    let not_measured: u32 = real.iter().map(|side| side.not_measured).sum();
    for (cell, real) in cells.iter().zip(&real).filter(|(_, side)| side.not_measured < plan.repetitions) {
        let played = one(job_of(&simulation, cell, plan.seed), &stop).await?;
        if played.interrupted {
            return Ok(INTERRUPTED);
        }
        predictions.push(compare(cell, real, &simulated(cell, &played, measured.costs.cores)));
    }
    print(&predictions, &measured);
    if let Some(dir) = out {
        write(&predictions, &measured, dir)?;
    }
    if not_measured > 0 {
        warn(format_args!(
            "{not_measured} runs of real nodes could not be measured and are in none of the numbers; remove the cause \
             and repeat the command."
        ));
        return Ok(NOT_MEASURED);
    }
    Ok(0)
}

/// Measures costs and cells alternately, so that both see the same machine.
async fn measure(plan: &Plan, cells: &[Cell]) -> Result<(Measured, Vec<Side>)> {
    let mut costs = Vec::new();
    let mut sides = vec![Side::default(); cells.len()];
    for repetition in 0..plan.repetitions {
        warn(format_args!("Measuring what work costs, then {} cells, #{repetition} …", cells.len()));
        costs.push(work::measure().context(NotMeasured)?);
        for (place, index) in (0u32..).zip(plan.order(cells.len(), repetition)) {
            let run = match run_cell(plan, &cells[index], repetition, place, None, None).await {
                Ok(run) => run,
                Err(error) => {
                    warn(format_args!("NOT MEASURED: {} #{repetition} {error:#}", cells[index].name));
                    sides[index].not_measured += 1;
                    continue;
                }
            };
            if let Some(violation) = run.violations.first() {
                bail!("honest nodes disagreed without any fault in {}: {violation}", cells[index].name);
            }
            sides[index].add(&run.rows.samples, &run.rows.cell, plan.repetitions);
        }
    }
    for side in &mut sides {
        side.consensus_us.sort_unstable();
        // Shares are means over the runs that were measured.
        let measured = plan.repetitions - side.not_measured;
        let scale = f64::from(plan.repetitions) / f64::from(measured.max(1));
        side.idle_share = side.idle_share.map(|share| share * scale);
        side.foreign_share = side.foreign_share.map(|share| share * scale);
    }
    Ok((median(&costs), sides))
}

impl Side {
    /// Adds one of `repetitions` runs.
    fn add(&mut self, samples: &[SampleRow], cell: &CellRow, repetitions: u32) {
        let add = |sum: &mut Option<f64>, part: Option<f64>| {
            *sum = part.map(|part| sum.unwrap_or(0.0) + part).or(*sum);
        };
        let share = |share: Option<f64>| share.map(|share| share / f64::from(repetitions));
        self.consensus_us.extend(samples.iter().filter_map(|sample| sample.consensus_us));
        self.requests += cell.requests;
        add(&mut self.cpu_us, cell.nodes_cpu_us.map(|us| us as f64));
        add(&mut self.idle_share, share(cell.idle_share));
        add(&mut self.foreign_share, share(cell.foreign_cpu_share));
    }

    fn p50_us(&self) -> Option<u64> {
        quantile(&self.consensus_us, 0.5)
    }

    fn cpu_us_per_decision(&self) -> Option<f64> {
        let decided = self.consensus_us.len();
        self.cpu_us.filter(|_| decided > 0).map(|us| us / decided as f64)
    }
}

/// What disturbed one measurement does not count.
fn median(measured: &[Measured]) -> Measured {
    let mut wake_us: Vec<f64> = measured.iter().map(|measured| measured.wake_us).collect();
    wake_us.sort_by(f64::total_cmp);
    let costs: Vec<Costs> = measured.iter().map(|measured| measured.costs).collect();
    Measured {
        costs: work::median(&costs),
        wake_us: wake_us.get(wake_us.len().saturating_sub(1) / 2).copied().unwrap_or(0.0),
    }
}

/// The same cells for the simulator. A message travels as long as waking its
/// receiver takes: all else about it is work.
fn simulation(plan: &Plan, measured: &Measured) -> Simulation {
    let network =
        Network { name: "measured".into(), delay: Delay::Constant(measured.wake_us), ..Network::constant(0) };
    Simulation {
        plan: Plan { placement: Placement::Simulated, ..plan.clone() },
        network,
        costs: measured.costs,
        real_signatures: false,
        seeds: plan.seed..plan.seed.saturating_add(1),
        trace: None,
    }
}

fn simulated(cell: &Cell, run: &Run, cores: Option<u16>) -> Side {
    let id = RunId { repetition: 0, order: 0, started_unix_ms: 0 };
    let rows = rows::rows(cell, id, run);
    let cores = cores.unwrap_or(cell.nodes).min(cell.nodes);
    let busy = run.worked_us as f64 / (run.lasted_us.max(1) as f64 * f64::from(cores));
    let mut side = Side::default();
    side.add(&rows.samples, &rows.cell, 1);
    side.consensus_us.sort_unstable();
    Side { cpu_us: Some(run.worked_us as f64), idle_share: Some((1.0 - busy).max(0.0)), ..side }
}

fn compare(cell: &Cell, real: &Side, simulated: &Side) -> PredictionRow {
    let (measured_p50_us, predicted_p50_us) = (real.p50_us(), simulated.p50_us());
    let ratio = measured_p50_us
        .zip(predicted_p50_us)
        .filter(|(measured, _)| *measured > 0)
        .map(|(measured, predicted)| predicted as f64 / measured as f64);
    let within = measured_p50_us.zip(predicted_p50_us).is_some_and(|(measured, predicted)| {
        // In whole numbers: 0.7 itself is within, whatever a quotient is rounded to.
        measured > 0 && 100 * predicted.abs_diff(measured) <= GOOD_PERCENT * measured
    });
    PredictionRow {
        cell: cell.name.clone(),
        protocol: cell.protocol.to_string(),
        nodes: cell.nodes,
        requests: real.requests,
        decided: real.consensus_us.len() as u64,
        measured_p50_us,
        predicted_p50_us,
        ratio,
        within_30_percent: within,
        measured_cpu_us: real.cpu_us_per_decision(),
        predicted_cpu_us: simulated.cpu_us_per_decision(),
        measured_idle_share: real.idle_share,
        predicted_idle_share: simulated.idle_share,
        foreign_cpu_share: real.foreign_share,
        why: if within { String::new() } else { why(real, simulated) },
    }
}

/// What was measured beside the times, where it differs from the model.
fn why(real: &Side, simulated: &Side) -> String {
    if real.consensus_us.is_empty() {
        return "no request was decided by the real nodes".into();
    }
    let mut reasons = Vec::new();
    if let Some(share) = real.foreign_share.filter(|share| *share >= FOREIGN_CPU_SHARE) {
        reasons.push(format!("other programs used {:.0} % of the CPU meanwhile", share * 100.0));
    }
    let cpu = real.cpu_us_per_decision().zip(simulated.cpu_us_per_decision());
    if let Some((measured, model)) = cpu
        && measured > model * (1.0 + MORE_CPU)
    {
        reasons.push(format!(
            "the nodes spent {measured:.0} µs of CPU per decision and the model {model:.0} µs; on what was not \
             measured (not in the model: HTTP work at the gateway, the scheduling of tokio's tasks, the replicas' own steps)"
        ));
    }
    if let Some((measured, model)) = cpu
        && model > measured * (1.0 + MORE_CPU)
    {
        reasons.push(format!(
            "the model spends {model:.0} µs of CPU per decision and the nodes {measured:.0} µs: costs are measured one at \
             a time, on cores that go idle in between, and busy nodes pay less for each"
        ));
    }
    let idle = real.idle_share.zip(simulated.idle_share);
    if let Some((measured, model)) = idle
        && measured > model + MORE_IDLE
    {
        reasons.push(format!(
            "the cores were idle for {:.0} % of the time and in the model for {:.0} % (not in the model: how long \
             idle cores take to wake up, nodes that wait for one core while another is idle)",
            measured * 100.0,
            model * 100.0
        ));
    }
    if reasons.is_empty() {
        reasons.push(
            "neither CPU time nor idle time differs enough to say: in which order the operating system runs the \
             nodes is not in the model"
                .into(),
        );
    }
    reasons.join("; ")
}

fn print(predictions: &[PredictionRow], measured: &Measured) {
    say(format_args!("Measured without any protocol, the median of all repetitions:"));
    say(format_args!("  {}", work::as_text(&measured.costs)));
    say(format_args!("  and {:.1} µs to wake a receiver up", measured.wake_us));
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "n",
        "protocol",
        "measured p50",
        "predicted p50",
        "ratio",
        "within 30 %",
        "CPU measured",
        "CPU predicted",
    ]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in predictions {
        let p50 = |us: Option<u64>| duration(us.map(|us| us as f64));
        table.add_row([
            row.nodes.to_string(),
            row.protocol.clone(),
            p50(row.measured_p50_us),
            p50(row.predicted_p50_us),
            row.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")),
            if row.within_30_percent { "yes" } else { "no" }.into(),
            duration(row.measured_cpu_us),
            duration(row.predicted_cpu_us),
        ]);
    }
    say(table);
    let good = predictions.iter().filter(|row| row.within_30_percent).count();
    say(format_args!(
        "{good} of {} cells are predicted within 30 % of what was measured.",
        predictions.len()
    ));
    let foreign = predictions.iter().filter_map(|row| row.foreign_cpu_share).fold(0.0, f64::max);
    if foreign >= FOREIGN_CPU_SHARE {
        say(format_args!(
            "Other programs used up to {:.0} % of the CPU: none of this judges the model; repeat it on a quiet machine.",
            foreign * 100.0
        ));
    }
    for row in predictions.iter().filter(|row| !row.within_30_percent) {
        say(format_args!("{}: {}.", row.cell, row.why));
    }
}

fn write(predictions: &[PredictionRow], measured: &Measured, dir: &Path) -> Result<()> {
    write_rows(dir, predictions)?;
    let costs = dir.join("costs.json");
    fs::write(&costs, serde_json::to_string_pretty(measured)? + "\n")
        .with_context(|| format!("cannot write {}", costs.display()))?;
    build(dir).context("cannot build the report")?;
    let path = dir.join(PredictionRow::FILE);
    say(format_args!("Written to {} and {}.", path.display(), costs.display()));
    say(format_args!("Report: {}", dir.join("report.html").display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ProtocolName;

    fn cell() -> Cell {
        Plan { protocols: vec![ProtocolName::Pbft], nodes: vec![4], ..Plan::default() }
            .cells()
            .unwrap()
            .remove(0)
    }

    fn side(consensus_us: &[u64], cpu_us: f64, idle_share: f64) -> Side {
        Side {
            consensus_us: consensus_us.to_vec(),
            requests: 3,
            cpu_us: Some(cpu_us),
            idle_share: Some(idle_share),
            foreign_share: Some(0.0),
            not_measured: 0,
        }
    }

    #[test]
    fn a_prediction_is_good_within_thirty_percent_of_what_was_measured() {
        let real = side(&[900, 1000, 5000], 3000.0, 0.2);
        for (predicted, good) in [(700, true), (1300, true), (699, false), (1301, false)] {
            let row = compare(&cell(), &real, &side(&[predicted], 1000.0, 0.2));
            assert_eq!((row.within_30_percent, row.why.is_empty()), (good, good), "{row:?}");
            assert_eq!(row.ratio, Some(predicted as f64 / 1000.0));
        }
    }

    #[test]
    fn what_is_off_is_explained_by_what_was_measured_beside_it() {
        let model = side(&[100], 1000.0, 0.2);
        let of = |real: &Side| compare(&cell(), real, &model).why;
        assert!(of(&side(&[], 0.0, 0.0)).contains("no request was decided"));
        assert!(of(&side(&[1000], 2000.0, 0.2)).contains("2000 µs of CPU"), "more work");
        assert!(of(&side(&[1000], 500.0, 0.2)).contains("the model spends 1000 µs"), "less work");
        assert!(of(&side(&[1000], 1000.0, 0.5)).contains("idle for 50 %"), "more waiting");
        assert!(of(&side(&[1000], 1000.0, 0.2)).contains("neither"));
        let disturbed = Side { foreign_share: Some(0.4), ..side(&[1000], 1000.0, 0.2) };
        assert!(of(&disturbed).contains("other programs used 40 %"));
    }
}
