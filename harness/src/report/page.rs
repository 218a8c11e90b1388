//! The report page: one file, nothing loaded from elsewhere, and all of it readable
//! without its script.

use std::path::Path;

use anyhow::{Context, Result, bail};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use serde_json::Value as Json;

use super::figure::Figure;
use super::findings::{Finding, Weight};
use super::html_table::Table;
use super::method::Method;
use super::style::{FIGURE_CSS, patterns};

const TEMPLATE: &str = include_str!("template.html");
const PAGE_CSS: &str = include_str!("page.css");
const PAGE_JS: &str = include_str!("page.js");

/// Most bytes of a figure's data on the page; what is longer is in `plots/` alone. The percentiles of the default comparison
/// take 60 KB.
const INLINE_DATA: usize = 100_000;

/// What a page says.
pub(super) struct Page<'a> {
    /// Its heading.
    pub(super) title: String,
    /// What was run, in a sentence or two.
    pub(super) lead: String,
    pub(super) findings: &'a [Finding],
    /// What makes the numbers doubtful, alike cells together.
    pub(super) warnings: Vec<String>,
    /// What is shown beside the findings about a cell.
    pub(super) doubts: Vec<Doubt>,
    pub(super) figures: &'a [Figure],
    pub(super) summary: Table,
    pub(super) table_notes: Vec<String>,
    pub(super) outages: Option<Table>,
    pub(super) method: Method,
    pub(super) notes: &'a [String],
    pub(super) conditions: Option<Table>,
    pub(super) machine: Option<&'a Json>,
}

/// What makes a number doubtful, and which.
pub(super) struct Doubt {
    /// The cell; `None` if all are meant.
    pub(super) cell: Option<String>,
    pub(super) text: String,
}

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

#[derive(Serialize)]
struct ShownFinding {
    text: String,
    weight: &'static str,
    figure: &'static str,
    /// The figure's number; 0 if it is not drawn.
    number: usize,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShownFigure {
    id: &'static str,
    title: String,
    caption: String,
    panels: Vec<Value>,
    omitted: usize,
    data: String,
}

#[derive(Serialize)]
struct Fact {
    key: String,
    value: String,
}

impl Page<'_> {
    /// The page as text.
    pub(super) fn render(&self) -> Result<String> {
        let mut environment = Environment::new();
        // The name's ending switches the escaping of HTML on.
        environment.add_template("report.html", TEMPLATE).context("the report's template")?;
        let template = environment.get_template("report.html").context("the report's template")?;
        let values = context! {
            title => self.title.as_str(),
            lead => self.lead.as_str(),
            page_css => Value::from_safe_string(PAGE_CSS.into()),
            figure_css => Value::from_safe_string(FIGURE_CSS.into()),
            page_js => Value::from_safe_string(PAGE_JS.into()),
            patterns => Value::from_safe_string(patterns().to_string()),
            findings => serialised(self.shown_findings()),
            warnings => serialised(&self.warnings),
            figures => serialised(self.figures.iter().map(figure).collect::<Vec<_>>()),
            summary => serialised(&self.summary),
            table_notes => serialised(&self.table_notes),
            outages => serialised(&self.outages),
            method => serialised(&self.method),
            notes => serialised(self.notes),
            conditions => serialised(&self.conditions),
            machine => serialised(self.machine.map(facts).unwrap_or_default()),
        };
        template.render(values).context("cannot fill in the report's template")
    }

    fn shown_findings(&self) -> Vec<ShownFinding> {
        self.findings.iter().map(|finding| self.finding(finding)).collect()
    }

    fn finding(&self, finding: &Finding) -> ShownFinding {
        let number = self.figures.iter().position(|figure| Some(figure.id) == finding.figure);
        let about = |doubt: &&Doubt| doubt.cell.as_ref().is_some_and(|cell| finding.cells.contains(cell));
        ShownFinding {
            text: unbroken(&finding.text),
            weight: match finding.weight {
                Weight::Alarm => "alarm",
                Weight::Headline => "headline",
                Weight::Detail => "detail",
            },
            figure: finding.figure.unwrap_or_default(),
            number: number.map_or(0, |place| place + 1),
            warnings: together(self.doubts.iter().filter(about)),
        }
    }
}

/// The text with numbers kept on a line with what belongs to them.
fn unbroken(text: &str) -> String {
    text.replace(" ×", "\u{a0}×").replace(" %", "\u{a0}%").replace(" = ", "\u{a0}=\u{a0}")
}

fn serialised(value: impl Serialize) -> Value {
    Value::from(Serde(value))
}

/// Most cells that are named beside a finding.
const NAMED: usize = 3;

/// What is doubtful, alike cells together.
fn together<'a>(doubts: impl Iterator<Item = &'a Doubt>) -> Vec<String> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for doubt in doubts {
        let cell = doubt.cell.as_deref().filter(|cell| !doubt.text.contains(cell)).unwrap_or_default();
        match kinds.iter_mut().find(|(text, _)| *text == doubt.text) {
            Some((_, cells)) => cells.push(cell),
            None => kinds.push((&doubt.text, vec![cell])),
        }
    }
    let sentence = |(text, cells): &(&str, Vec<&str>)| match cells.as_slice() {
        [""] => (*text).to_string(),
        cells if cells.len() > NAMED => format!("{} cells: {text}", cells.len()),
        cells => format!("{}: {text}", cells.join(", ")),
    };
    kinds.iter().map(sentence).collect()
}

/// A figure as the template needs it. Its SVG is ours and already escaped.
fn figure(figure: &Figure) -> ShownFigure {
    let data = figure.data.csv();
    ShownFigure {
        id: figure.id,
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        panels: figure
            .panels
            .iter()
            .map(|panel| Value::from_safe_string(panel.inline(&figure.title)))
            .collect(),
        omitted: figure.omitted,
        data: if data.len() <= INLINE_DATA { data } else { String::new() },
    }
}

/// Keys and values of a JSON object, nested keys joined by a dot.
fn facts(machine: &Json) -> Vec<Fact> {
    fn walk(key: &str, value: &Json, into: &mut Vec<Fact>) {
        match value {
            Json::Object(map) => {
                for (name, value) in map {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    walk(&key, value, into);
                }
            }
            Json::String(text) => into.push(Fact { key: key.into(), value: text.clone() }),
            other => into.push(Fact { key: key.into(), value: other.to_string() }),
        }
    }
    let mut pairs = Vec::new();
    walk("", machine, &mut pairs);
    pairs
}

#[cfg(test)]
mod tests {
    use crate::report::build;
    use crate::results::testdata::{self, CellSpec, Data};

    fn page(data: &Data, machine: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        std::fs::write(dir.path().join("machine.json"), machine).unwrap();
        build(dir.path()).unwrap();
        std::fs::read_to_string(dir.path().join("report.html")).unwrap()
    }

    /// What a reader without JavaScript has: the page before its script.
    fn without_script(page: &str) -> &str {
        page.split("<script>").next().unwrap()
    }

    #[test]
    fn the_page_reads_without_its_script_and_loads_nothing() {
        let page = page(&testdata::standard(), "{}");
        let reads = without_script(&page);
        for text in
            ["What was found", "CCRO", "Figure 1", "How to read this", "How sure this is", "nearest rank"]
        {
            assert!(reads.contains(text), "{text}");
        }
        assert!(reads.matches("<svg class=\"fig\"").count() > 10, "figures are drawn already");
        assert!(reads.contains("<title>ccro, n = 7, no faults"), "values without a script");
        assert!(reads.contains("cell,protocol,nodes,fault,ratio_to_pbft"), "data without a script");
        for reference in ["src=", "href=\"http", "@import", "url(http", "url(\"", "<link"] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.len() < 1_000_000, "{}", page.len());
    }

    #[test]
    fn violations_notes_and_machine_are_shown_and_any_text_is_escaped() {
        let mut data = testdata::standard();
        data.cells[3].note = "node 2 died: <script>alert(1)</script>".into();
        let page = page(&data, r#"{"command":"harness compare --out \"<x>\"","limits":{"nofile":1024}}"#);
        assert!(page.contains("class=\"alarm\""));
        assert!(page.contains("not Byzantine-safe, and not crash-safe without synchrony"));
        assert!(page.contains("node 2 died: &lt;script&gt;alert(1)"));
        assert_eq!(page.matches("<script").count(), 1, "ours");
        assert!(page.contains("limits.nofile") && page.contains("1024") && page.contains("&lt;x&gt;"));
    }

    /// A fault may hold any characters, and be very long.
    #[test]
    fn odd_and_long_faults_cost_nothing() {
        let long =
            Box::leak(format!("drop=0.5[to={}]&<\"'>\u{1}:1", vec!["1"; 400].join(";")).into_boxed_str());
        let mut data = Data::default();
        for protocol in ["pbft", "ccro", "leaderless"] {
            data.add(&CellSpec::new(protocol, 4, long));
        }
        for (place, cell) in ["a", "b", "c"].into_iter().enumerate() {
            let old = format!("{}-4-{long}", ["pbft", "ccro", "leaderless"][place]);
            data.samples.iter_mut().filter(|row| row.cell == old).for_each(|row| row.cell = cell.into());
            data.nodes.iter_mut().filter(|row| row.cell == old).for_each(|row| row.cell = cell.into());
            data.cells.iter_mut().filter(|row| row.cell == old).for_each(|row| row.cell = cell.into());
        }
        let dir = tempfile::tempdir().unwrap();
        data.write(dir.path());
        let report = build(dir.path()).unwrap();
        assert_eq!(report.warnings, [""; 0]);
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(!page.contains("&<\"'>") && page.contains("&amp;&lt;"));
        for entry in std::fs::read_dir(dir.path().join("plots")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                let text = std::fs::read_to_string(&path).unwrap();
                roxmltree::Document::parse(&text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
    }

    #[test]
    fn every_figure_is_well_formed_alone_and_on_the_page_and_has_its_data() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        build(dir.path()).unwrap();
        let mut figures = 0;
        for entry in std::fs::read_dir(dir.path().join("plots")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                let text = std::fs::read_to_string(&path).unwrap();
                let picture = roxmltree::Document::parse(&text).unwrap();
                assert_eq!(picture.root_element().tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
                let csv = std::fs::read_to_string(path.with_extension("csv")).unwrap();
                assert!(csv.lines().count() > 1, "{}", path.display());
                figures += 1;
            }
        }
        assert!(figures >= 6, "{figures}");
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        for part in page.split("<svg class=\"fig\"").skip(1) {
            let svg = format!("<svg class=\"fig\"{}</svg>", part.split("</svg>").next().unwrap());
            roxmltree::Document::parse(&svg).unwrap();
        }
    }

    #[test]
    fn a_folder_that_cannot_hold_pictures_costs_the_pictures_alone() {
        let dir = tempfile::tempdir().unwrap();
        testdata::standard().write(dir.path());
        std::fs::write(dir.path().join("plots"), "a file where the folder should be").unwrap();
        let report = build(dir.path()).unwrap();
        assert!(report.warnings[0].starts_with("The figures are on the page only"), "{:?}", report.warnings);
        assert!(dir.path().join("report.html").exists());
    }

    #[test]
    fn without_violations_there_is_no_alarm_and_without_the_paper_no_label() {
        let mut data = Data::default();
        data.add(&CellSpec::new("pbft", 4, "none"));
        let page = page(&data, "{}");
        assert!(!page.contains("class=\"alarm\"") && !page.contains("not Byzantine-safe"));
    }

    #[test]
    fn an_unreadable_machine_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        Data::default().write(dir.path());
        for text in ["{", "[1]"] {
            std::fs::write(dir.path().join("machine.json"), text).unwrap();
            assert!(build(dir.path()).unwrap_err().to_string().contains("machine.json"));
        }
    }
}
