//! The report page: one file, nothing loaded from elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use minijinja::{Environment, Value, context};
use serde_json::Value as Json;

use super::Report;
use super::draw::is_marked;
use super::format::{NONE, digits, duration, optional, outcomes, percent, ratio};
use super::outages;
use super::plots::{Plot, SECTIONS};
use crate::results::schema::{CellRow, SummaryRow};
use crate::results::summary::PAPER_WARNING;

const TEMPLATE: &str = include_str!("template.html");

/// Most plots of a section on the page: with thousands a browser gets slow.
/// All are in `plots/`.
const INLINE_PLOTS: usize = 60;

/// Reads `dir/machine.json`; `None` without such a file.
pub fn read_machine(dir: &Path) -> Result<Option<Json>> {
    let path = dir.join("machine.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let json: Json = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON; repair or delete it", path.display()))?;
    if !json.is_object() {
        bail!("{} is not a JSON object; repair or delete it", path.display());
    }
    Ok(Some(json))
}

/// The page as text.
pub fn render(report: &Report, cells: &[CellRow], plots: &[Plot], machine: Option<&Json>) -> Result<String> {
    let mut environment = Environment::new();
    // The name's ending switches the escaping of HTML on.
    environment.add_template("report.html", TEMPLATE).context("the report's template")?;
    let rows: Vec<_> = report.summary.iter().zip(&report.variants).map(|(r, v)| headline(r, v)).collect();
    let violations: Vec<_> = report.summary.iter().filter(|r| r.violations > 0).map(violation).collect();
    let values = context! {
        rows,
        violations,
        paper => report.summary.iter().any(|row| is_marked(&row.protocol)),
        paper_warning => PAPER_WARNING,
        open_loop => report.summary.iter().any(|row| row.latency_basis == "response"),
        warnings => report.warnings.clone(),
        notes => report.notes.clone(),
        outage_header => outages::HEADER,
        outages => report.outages.iter().map(|outage| outage.fields().to_vec()).collect::<Vec<_>>(),
        sections => sections(plots),
        machine => machine.map(flatten).unwrap_or_default(),
        cells => cells.iter().map(condition).collect::<Vec<_>>(),
    };
    let template = environment.get_template("report.html").context("the report's template")?;
    template.render(values).context("cannot fill in the report's template")
}

type Fields = BTreeMap<&'static str, Value>;

/// A row of the headline table.
fn headline(row: &SummaryRow, variant: &str) -> Fields {
    let ms = |us: Option<u64>| us.map_or_else(|| NONE.into(), |us| digits(us as f64 / 1000.0));
    BTreeMap::from([
        ("cell", row.cell.clone().into()),
        ("protocol", row.protocol.clone().into()),
        ("marked", is_marked(&row.protocol).into()),
        ("nodes", row.nodes.into()),
        ("f", row.f.into()),
        ("fault", row.fault.clone().into()),
        ("faulty", row.faulty.clone().into()),
        ("variant", variant.into()),
        ("requests", row.requests.into()),
        ("repetitions", row.repetitions.into()),
        ("outcomes", outcomes(row).into()),
        ("violation", (row.violations > 0).into()),
        ("p50", ms(row.p50_us).into()),
        ("p99", ms(row.p99_us).into()),
        ("throughput", optional(row.throughput_per_s).into()),
        ("messages", optional(row.messages_per_decision).into()),
        ("cpu", duration(row.cpu_us_per_decision).into()),
        ("ratio", ratio(row).into()),
        ("floor", optional(row.ratio_to_floor).into()),
        ("paths", row.paths.split(';').map(str::to_string).collect::<Vec<_>>().into()),
    ])
}

fn violation(row: &SummaryRow) -> Fields {
    BTreeMap::from([
        ("cell", row.cell.clone().into()),
        ("count", row.violations.into()),
        ("requests", row.requests.into()),
        ("faulty", if row.faulty.is_empty() { "none".into() } else { row.faulty.clone().into() }),
        ("f", row.f.into()),
        ("marked", is_marked(&row.protocol).into()),
    ])
}

/// The state of the machine during a cell.
fn condition(row: &CellRow) -> Fields {
    let share = |share: Option<f64>| share.map_or_else(|| NONE.into(), percent);
    BTreeMap::from([
        ("cell", row.cell.clone().into()),
        ("repetition", row.repetition.into()),
        ("order", row.order.into()),
        ("measured", duration(Some(row.measured_s * 1e6)).into()),
        ("placement", row.placement.clone().into()),
        ("idle", share(row.idle_share).into()),
        ("foreign", share(row.foreign_cpu_share).into()),
        ("load", duration(row.load_cpu_us.map(|us| us as f64)).into()),
        ("nodes", duration(row.nodes_cpu_us.map(|us| us as f64)).into()),
        ("note", row.note.clone().into()),
    ])
}

/// The plots by section. Their SVG is ours and already escaped.
fn sections(plots: &[Plot]) -> Vec<Fields> {
    let picture = |plot: &&Plot| {
        BTreeMap::from([
            ("title", Value::from(plot.title.clone())),
            ("svg", Value::from_safe_string(plot.svg.clone())),
        ])
    };
    let mut filled = Vec::new();
    for section in SECTIONS {
        let all: Vec<&Plot> = plots.iter().filter(|plot| plot.section == section).collect();
        if !all.is_empty() {
            let shown: Vec<_> = all.iter().take(INLINE_PLOTS).map(picture).collect();
            filled.push(BTreeMap::from([
                ("name", section.into()),
                ("left", (all.len() - shown.len()).into()),
                ("plots", shown.into()),
            ]));
        }
    }
    filled
}

/// Keys and values of a JSON object, nested keys joined by a dot.
fn flatten(machine: &Json) -> Vec<Fields> {
    fn walk(key: &str, value: &Json, into: &mut Vec<Fields>) {
        match value {
            Json::Object(map) => {
                for (name, value) in map {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    walk(&key, value, into);
                }
            }
            Json::String(text) => {
                into.push(BTreeMap::from([("key", key.into()), ("value", text.into())]));
            }
            other => {
                let text = other.to_string();
                into.push(BTreeMap::from([("key", key.into()), ("value", text.into())]));
            }
        }
    }
    let mut pairs = Vec::new();
    walk("", machine, &mut pairs);
    pairs
}

#[cfg(test)]
mod tests {
    use crate::report::build;
    use crate::results::testdata;

    fn page(data: &testdata::Data, machine: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        std::fs::write(dir.path().join("machine.json"), machine).unwrap();
        build(dir.path()).unwrap();
        std::fs::read_to_string(dir.path().join("report.html")).unwrap()
    }

    #[test]
    fn the_page_shows_violations_notes_machine_and_loads_nothing() {
        let mut data = testdata::standard();
        data.cells[3].note = "node 2 died: <script>alert(1)</script>".into();
        let page = page(&data, r#"{"command":"harness compare --out \"<x>\"","limits":{"nofile":1024}}"#);
        assert!(page.contains("class=\"violations\""));
        assert!(page.contains("not Byzantine-safe, and not crash-safe without synchrony"));
        assert!(page.contains("node 2 died: &lt;script&gt;alert(1)"));
        assert!(!page.contains("<script"));
        assert!(page.contains("limits.nofile") && page.contains("1024"));
        assert!(page.contains("&lt;x&gt;"));
        assert!(page.contains("<svg") && page.contains("</html>"));
        for reference in ["src=", "href=\"http", "@import", "url("] {
            assert!(!page.contains(reference), "{reference}");
        }
    }

    #[test]
    fn without_violations_there_is_no_banner_and_without_the_paper_no_label() {
        let mut data = testdata::Data::default();
        data.add(&testdata::CellSpec::new("pbft", 4, "none"));
        let page = page(&data, "{}");
        assert!(!page.contains("class=\"violations\"") && !page.contains("not Byzantine-safe"));
    }

    #[test]
    fn an_unreadable_machine_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        testdata::Data::default().write(dir.path());
        for text in ["{", "[1]"] {
            std::fs::write(dir.path().join("machine.json"), text).unwrap();
            assert!(build(dir.path()).unwrap_err().to_string().contains("machine.json"));
        }
    }
}
