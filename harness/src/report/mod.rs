//! From the raw files of a result folder to everything that is computed from
//! them: `summary.csv`, `histograms/`, `plots/` and `report.html`.

mod figure;
mod figures;
pub mod findings;
pub(crate) mod format;
mod html_table;
mod line_chart;
mod material;
mod method;
pub mod outages;
pub mod page;
mod row_chart;
mod scale;
mod style;
mod svg;
pub mod table;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Result, bail};

use crate::results::disk::Disk;
use crate::results::schema::{CellRow, EventRow, NodeRow, PredictionRow, Row as _, SampleRow, SummaryRow};
use crate::results::warnings::{self, Warning};
use crate::results::{files, histograms, setting, summary};
use figure::Figure;
use findings::Finding;
use material::{Material, Rows};
use method::Method;
use page::{Doubt, Page};

/// What [`build`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What was found, in sentences.
    pub findings: Vec<Finding>,
    /// One row per cell, in the order of tables.
    pub summary: Vec<SummaryRow>,
    /// For each summary row, in what its load, placement or links differ from
    /// other cells; empty where all are alike.
    pub variants: Vec<String>,
    /// For each summary row, what makes its numbers doubtful.
    pub doubts: Vec<Vec<Warning>>,
    /// What is wrong with the result as a whole: unfinished repetitions, counts that
    /// contradict each other, files that could not be written.
    pub warnings: Vec<String>,
    /// What `cells.csv` notes of cells, such as why one ended early.
    pub notes: Vec<String>,
    /// What clients saw of kills, restarts and cuts.
    pub outages: Vec<outages::OutageSummary>,
}

impl Report {
    /// All that makes the numbers doubtful, as sentences: of the result as a whole,
    /// then of its cells, alike ones together.
    pub fn warning_lines(&self) -> Vec<String> {
        let of_cells = warnings::sentences(&self.summary, &self.doubts);
        self.warnings.iter().cloned().chain(of_cells).collect()
    }

    /// The cells in which honest nodes disagreed although at most `f` nodes
    /// were faulty: what no safe protocol lets happen.
    pub fn violations_within_f(&self) -> impl Iterator<Item = &SummaryRow> {
        self.summary.iter().filter(|row| {
            // Lists of repetitions that drew other nodes are separated by `|`.
            let faulty = row.faulty.split('|').map(summary::faulty_count).min().unwrap_or(0);
            row.violations > 0 && faulty <= row.f as usize
        })
    }
}

/// Reads `samples.csv`, `nodes.csv` and `cells.csv` of `dir` (and `events.csv`,
/// `floor.json`, `disk.json` and `machine.json`, where they are there) and writes `summary.csv`,
/// `histograms/`, `plots/` and `report.html` anew. Of a folder of `harness predict` it
/// reads `predictions.csv`.
///
/// A repetition counts once it has its row in `cells.csv`; rows of an
/// unfinished one are left out with a warning.
pub fn build(dir: &Path) -> Result<Report> {
    if dir.join(PredictionRow::FILE).exists() && !dir.join(CellRow::FILE).exists() {
        return build_prediction(dir);
    }
    let cells: Vec<CellRow> = files::read_rows(dir)?;
    let mut samples: Vec<SampleRow> = files::read_rows(dir)?;
    let mut nodes: Vec<NodeRow> = files::read_rows(dir)?;
    let mut events: Vec<EventRow> = match dir.join(EventRow::FILE).exists() {
        true => files::read_rows(dir)?,
        false => Vec::new(),
    };
    let floors = summary::read_floors(dir)?;
    let disk = Disk::read(dir)?;
    let machine = page::read_machine(dir)?;
    let mut problems = leave_out_unfinished(dir, &cells, &mut samples, &mut nodes)?;
    events.retain(|event| {
        cells.iter().any(|cell| cell.cell == event.cell && cell.repetition == event.repetition)
    });
    problems.extend(contradictions(&cells, &samples));
    problems.extend(missing_nodes(&cells, &nodes));
    problems.extend(disk.as_ref().and_then(Disk::warning).map(String::from));

    let mut rows = summary::summarise(&samples, &nodes, &cells, &floors);
    let doubts = warnings::find(&rows, &cells, &samples, &nodes, &events);
    for (row, doubts) in rows.iter_mut().zip(&doubts) {
        row.warnings = warnings::column(doubts);
    }
    let material = Material::new(Rows {
        samples: &samples,
        nodes: &nodes,
        cells: &cells,
        events: &events,
        summary: &rows,
    });
    let figures = figures::all(&material);
    let mut report = Report {
        findings: findings::of_cells(&material, disk.as_ref()),
        variants: variants(&rows, &cells),
        notes: notes(&cells),
        outages: outages::summarise(&events),
        summary: rows.clone(),
        doubts,
        warnings: problems,
    };
    files::write_rows(dir, &report.summary)?;
    // What cannot be drawn or written costs itself only.
    report.warnings.extend(histograms::write_all(dir, &samples)?);
    report.warnings.extend(write_figures(dir, &figures));
    let of_cell = |cell: &str| doubts_of_cell(&report, cell);
    let (title, lead) = method::heading(&material, machine.as_ref());
    let page = Page {
        title,
        lead,
        findings: &report.findings,
        warnings: report.warning_lines(),
        doubts: doubts_of_findings(&report),
        figures: &figures,
        summary: html_table::summary(&report.summary, &report.variants, &of_cell),
        table_notes: table_notes(&rows),
        outages: html_table::outages(&report.outages),
        method: Method::of_cells(&material, machine.as_ref(), dir),
        notes: &report.notes,
        conditions: html_table::conditions(&cells),
        machine: machine.as_ref(),
    };
    files::write_atomically(&dir.join("report.html"), page.render()?.as_bytes())?;
    Ok(report)
}

/// The page of a folder that `harness predict` wrote.
fn build_prediction(dir: &Path) -> Result<Report> {
    let predictions: Vec<PredictionRow> = files::read_rows(dir)?;
    let machine = page::read_machine(dir)?;
    let figures: Vec<Figure> = figures::prediction::figure(&predictions).into_iter().collect();
    let mut report = Report { findings: findings::of_predictions(&predictions), ..Report::default() };
    report.warnings.extend(write_figures(dir, &figures));
    let page = Page {
        title: "What the simulator predicts, and what real nodes take".into(),
        lead:
            "Medians without faults and with one client; the simulator knows what work costs, and nothing of \
               the measured cells."
                .into(),
        findings: &report.findings,
        warnings: report.warning_lines(),
        doubts: vec![],
        figures: &figures,
        summary: html_table::predictions(&predictions),
        table_notes: predictions
            .iter()
            .filter(|row| !row.why.is_empty())
            .map(|row| format!("{}: {}.", row.cell, row.why))
            .collect(),
        outages: None,
        method: Method::of_predictions(machine.as_ref(), dir),
        notes: &[],
        conditions: None,
        machine: machine.as_ref(),
    };
    files::write_atomically(&dir.join("report.html"), page.render()?.as_bytes())?;
    Ok(report)
}

/// Writes each figure as SVG with its data as CSV. The page holds all of them: it does
/// not depend on these files, so a failure is a warning.
fn write_figures(dir: &Path, figures: &[Figure]) -> Option<String> {
    let folder = dir.join("plots");
    let file = |figure: &Figure, extension: &str, text: String| {
        (format!("{}.{extension}", figure.id), text.into_bytes())
    };
    let pictures: Vec<_> = figures.iter().map(|figure| file(figure, "svg", figure.standalone())).collect();
    let data: Vec<_> = figures.iter().map(|figure| file(figure, "csv", figure.data.csv())).collect();
    let mut problems = files::replace_folder(&folder, "svg", &pictures);
    problems.extend(files::replace_folder(&folder, "csv", &data));
    let warning = || format!("The figures are on the page only, not all in plots/: {}", problems.join("; "));
    (!problems.is_empty()).then(warning)
}

/// What a warning is about: the cell that it names, or all.
fn doubt(text: &str, rows: &[SummaryRow]) -> Doubt {
    let named = |row: &&SummaryRow| {
        let mut words = text.split([' ', ',', ':', ';']);
        words.any(|word| word == row.cell) || text.starts_with(&format!("{},", row.cell))
    };
    Doubt { cell: rows.iter().find(named).map(|row| row.cell.clone()), text: text.to_string() }
}

/// What stands in the table beside the numbers of a cell.
fn doubts_of_cell(report: &Report, cell: &str) -> Vec<String> {
    let general = report.warnings.iter().map(|text| doubt(text, &report.summary));
    let general = general.filter(|doubt| doubt.cell.as_deref() == Some(cell)).map(|doubt| doubt.text);
    let rows = report.summary.iter().zip(&report.doubts).filter(|(row, _)| row.cell == cell);
    general.chain(rows.flat_map(|(_, found)| found).map(Warning::to_string)).collect()
}

/// What stands beside the findings about a cell: what concerns every number of it.
fn doubts_of_findings(report: &Report) -> Vec<Doubt> {
    let general = report.warnings.iter().map(|text| doubt(text, &report.summary));
    let found = report.summary.iter().zip(&report.doubts).flat_map(|(row, found)| {
        let found = found.iter().filter(|warning| warning.concerns_every_number());
        found.map(|warning| Doubt { cell: Some(row.cell.clone()), text: warning.meaning().to_string() })
    });
    general.chain(found).collect()
}

/// What has to be known to read the table.
fn table_notes(rows: &[SummaryRow]) -> Vec<String> {
    let mut notes = vec![
        "Small figures under p50, p99 and the ratio are 95 % intervals. p50 ÷ PBFT compares with the PBFT cell \
         that is alike in nodes, faults, load and links. The floor is the least time in which this machine can do \
         the work of one fault-free decision."
            .to_string(),
    ];
    if rows.iter().any(|row| style::is_marked(&row.protocol)) {
        notes.push(format!("* ccro-paper is {}.", summary::PAPER_WARNING));
    }
    notes.extend(
        rows.iter().find_map(|row| style::given_up(&row.protocol)).map(|given_up| format!("{given_up}.")),
    );
    notes
}

/// Drops the rows of repetitions without a row in `cells.csv` and says so.
fn leave_out_unfinished(
    dir: &Path,
    cells: &[CellRow],
    samples: &mut Vec<SampleRow>,
    nodes: &mut Vec<NodeRow>,
) -> Result<Vec<String>> {
    let mut finished: BTreeSet<(&str, u32)> = BTreeSet::new();
    for row in cells {
        if !finished.insert((&row.cell, row.repetition)) {
            bail!(
                "{}: cell {} has repetition {} twice; results of two runs were mixed: \
                 give each run a folder of its own",
                dir.join(CellRow::FILE).display(),
                row.cell,
                row.repetition
            );
        }
    }
    let mut dropped: BTreeMap<(String, u32), usize> = BTreeMap::new();
    samples.retain(|row| {
        let keep = finished.contains(&(row.cell.as_str(), row.repetition));
        if !keep {
            *dropped.entry((row.cell.clone(), row.repetition)).or_default() += 1;
        }
        keep
    });
    nodes.retain(|row| finished.contains(&(row.cell.as_str(), row.repetition)));
    let warnings = dropped.into_iter().map(|((cell, repetition), count)| {
        format!(
            "{count} requests of {cell}, repetition {repetition}, are left out: \
             it did not finish (cells.csv has no row of it); resume the run"
        )
    });
    Ok(warnings.collect())
}

/// Repetitions for which `samples.csv` does not hold as many requests as
/// `cells.csv` says.
fn contradictions(cells: &[CellRow], samples: &[SampleRow]) -> Vec<String> {
    let mut counts: HashMap<(&str, u32), u64> = HashMap::new();
    for row in samples {
        *counts.entry((&row.cell, row.repetition)).or_default() += 1;
    }
    let found = |row: &CellRow| counts.get(&(row.cell.as_str(), row.repetition)).copied().unwrap_or(0);
    cells
        .iter()
        .filter(|row| found(row) != row.requests)
        .map(|row| {
            format!(
                "{}, repetition {}: samples.csv holds {} requests, cells.csv says {}; \
                 rows were lost or added",
                row.cell,
                row.repetition,
                found(row),
                row.requests
            )
        })
        .collect()
}

/// For each summary row, what sets its load, placement and links apart.
fn variants(rows: &[SummaryRow], cells: &[CellRow]) -> Vec<String> {
    let settings = setting::settings(cells);
    let all = settings.values().map(|setting| setting.variant.clone()).collect();
    rows.iter()
        .map(|row| settings.get(row.cell.as_str()).map_or_else(String::new, |s| s.variant.label(&all)))
        .collect()
}

/// Repetitions of which some node has no row: their messages and bytes are left
/// out of the summary.
fn missing_nodes(cells: &[CellRow], nodes: &[NodeRow]) -> Vec<String> {
    let mut rows: HashMap<(&str, u32), u32> = HashMap::new();
    for node in nodes {
        *rows.entry((&node.cell, node.repetition)).or_default() += 1;
    }
    let found = |cell: &CellRow| rows.get(&(cell.cell.as_str(), cell.repetition)).copied().unwrap_or(0);
    cells
        .iter()
        .filter(|cell| found(cell) != cell.nodes)
        .map(|cell| {
            format!(
                "nodes.csv has {} of {} rows of {}, repetition {}; its messages and bytes are left out",
                found(cell),
                cell.nodes,
                cell.cell,
                cell.repetition
            )
        })
        .collect()
}

/// The notes of cells, alike ones together.
fn notes(cells: &[CellRow]) -> Vec<String> {
    let mut by_text: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for row in cells.iter().filter(|row| !row.note.trim().is_empty()) {
        let repetitions = by_text.entry(row.note.trim()).or_default().entry(&row.cell).or_default();
        repetitions.push(row.repetition.to_string());
    }
    let cell = |(cell, repetitions): (&&str, &Vec<String>)| format!("{cell} #{}", repetitions.join(","));
    by_text
        .iter()
        .map(|(text, cells)| format!("{text}: {}", cells.iter().map(cell).collect::<Vec<_>>().join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::schema;
    use crate::results::testdata::{self, Data};

    fn all_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(all_files(&path));
            } else {
                files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
        files
    }

    #[test]
    fn building_twice_gives_the_same_files_and_leaves_no_temporary_ones() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        let report = build(dir.path()).unwrap();
        let first = all_files(dir.path());
        assert_eq!(build(dir.path()).unwrap(), report);
        assert_eq!(all_files(dir.path()), first);
        assert!(!first.keys().any(|name| name.ends_with(".tmp")));
        assert_eq!(files::read_rows::<SummaryRow>(dir.path()).unwrap(), report.summary);
        assert_eq!(report.warnings, [""; 0]);
    }

    #[test]
    fn a_missing_file_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        std::fs::remove_file(dir.path().join("nodes.csv")).unwrap();
        let message = build(dir.path()).unwrap_err().to_string();
        assert!(message.contains("nodes.csv") && message.contains("that a run wrote"), "{message}");
    }

    #[test]
    fn headers_alone_give_an_empty_report() {
        let dir = tempfile::tempdir().unwrap();
        Data::default().write(dir.path());
        assert_eq!(build(dir.path()).unwrap().summary, []);
        assert!(dir.path().join("report.html").exists());
    }

    #[test]
    fn unfinished_repetitions_are_left_out_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::standard();
        data.cells.retain(|row| row.cell != "pbft-4-none" || row.repetition < 2);
        data.write(dir.path());
        let report = build(dir.path()).unwrap();
        let row = report.summary.iter().find(|row| row.cell == "pbft-4-none").unwrap();
        assert_eq!((row.repetitions, row.requests), (2, 600));
        assert!(report.warnings[0].starts_with("300 requests of pbft-4-none, repetition 2,"));
    }

    #[test]
    fn lost_samples_and_mixed_runs_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::standard();
        data.samples.pop();
        data.write(dir.path());
        let report = build(dir.path()).unwrap();
        assert!(report.warnings[0].contains("holds 299 requests, cells.csv says 300"));
        data.cells.push(data.cells[0].clone());
        data.write(dir.path());
        assert!(build(dir.path()).unwrap_err().to_string().contains("has repetition 0 twice"));
    }

    #[test]
    fn only_violations_within_f_count_against_a_protocol() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = testdata::standard();
        for sample in data.samples.iter_mut().filter(|s| s.cell == "pbft-4-offline:2") {
            sample.outcome = schema::Outcome::Violation;
        }
        data.write(dir.path());
        let report = build(dir.path()).unwrap();
        let names: Vec<&str> = report.violations_within_f().map(|row| row.cell.as_str()).collect();
        assert_eq!(names, ["ccro-paper-4-equivocate@0"]);
    }
}
